#include "pyspy-report/index/index_schema.h"

#include <string.h>

const struct index_table index_tables[] = {
    {"about",
     "CREATE TABLE about(\n"
     "  key TEXT PRIMARY KEY, -- schema_version, made_by\n"
     "  value TEXT\n"
     ") WITHOUT ROWID",
     "Who made the index."},
    {"input",
     "CREATE TABLE input(\n"
     "  id INTEGER PRIMARY KEY, -- from 0, in the order in which they were added\n"
     "  name TEXT, -- as it was given\n"
     "  size INTEGER, -- bytes\n"
     "  mtime_ns INTEGER, -- when it was last written, ns since 1970\n"
     "  damaged_bytes INTEGER, -- passed over while it was read\n"
     "  missing_blocks INTEGER,\n"
     "  missing_samples INTEGER\n"
     ")",
     "Files that were indexed. A file may hold several recordings."},
    {"recording",
     "CREATE TABLE recording(\n"
     "  id INTEGER PRIMARY KEY, -- from 0\n"
     "  input INTEGER REFERENCES input,\n"
     "  uuid TEXT,\n"
     "  host TEXT, kernel TEXT, machine TEXT, boot_id TEXT, recorder TEXT,\n"
     "  command TEXT, -- of the recorder, words joined by spaces\n"
     "  engine TEXT, -- outside, kernel, both\n"
     "  start_utc TEXT, -- when it began, ISO 8601\n"
     "  start_realtime_ns INTEGER, -- the same, ns since 1970\n"
     "  start_ns INTEGER, -- the same by CLOCK_BOOTTIME: all other times of this recording are of this clock\n"
     "  begin_ns INTEGER, end_ns INTEGER, -- covered by its blocks\n"
     "  mean_gap_ns INTEGER, -- between two ticks, as asked for\n"
     "  samples INTEGER, -- of ticks and events\n"
     "  ticks INTEGER, events INTEGER,\n"
     "  sampled_ns INTEGER, -- time that ticks stand for\n"
     "  not_sampled_ns INTEGER, -- gaps that no tick stands for\n"
     "  by_time INTEGER, -- 1: shares are of time (weight_ns), 0: of samples\n"
     "  is_closed INTEGER, -- 0: the recorder was killed, or is still at work\n"
     "  end_reason TEXT -- duration, target, SIGINT, ...\n"
     ")",
     "Recordings: who recorded what, when, how, and how much."},
    {"note",
     "CREATE TABLE note(\n"
     "  recording INTEGER REFERENCES recording,\n"
     "  key TEXT, value TEXT -- pyspy.*: the recorder's own\n"
     ")",
     "Notes of recordings."},
    {"counter",
     "CREATE TABLE counter(\n"
     "  recording INTEGER REFERENCES recording,\n"
     "  counter INTEGER, -- FORMAT.md 5.2\n"
     "  value INTEGER\n"
     ")",
     "What the recorder counted: stops, its own CPU time, ..."},
    {"loss",
     "CREATE TABLE loss(\n"
     "  recording INTEGER REFERENCES recording,\n"
     "  cause TEXT, -- late, unreadable, torn, limit, damage, dropped, overrun, unstopped, unknown\n"
     "  count INTEGER -- ticks (late) or samples\n"
     ")",
     "What was missed, by cause."},
    {"string",
     "CREATE TABLE string(\n"
     "  id INTEGER PRIMARY KEY,\n"
     "  text -- TEXT; a BLOB where it is no UTF-8 or holds a NUL: names are whatever the program called them\n"
     ")",
     "All texts that functions, locations, processes and threads refer to. 0 is the empty one, and not there."},
    {"module",
     "CREATE TABLE module(\n"
     "  id INTEGER PRIMARY KEY,\n"
     "  path, -- of a shared library or program\n"
     "  build_id TEXT -- hexadecimal\n"
     ")",
     "Libraries that native locations lie in."},
    {"function",
     "CREATE TABLE function(\n"
     "  id INTEGER PRIMARY KEY,\n"
     "  kind INTEGER, -- 0 Python; 1 made by pyspy: in motion, lost, no Python frame, ...\n"
     "  module INTEGER, -- string: __name__\n"
     "  name INTEGER, -- string: qualified name\n"
     "  file INTEGER, -- string\n"
     "  line INTEGER -- its first\n"
     ")",
     "Functions."},
    {"location",
     "CREATE TABLE location(\n"
     "  id INTEGER PRIMARY KEY,\n"
     "  function INTEGER, -- NULL: native\n"
     "  line INTEGER, end_line INTEGER, -- NULL: not known\n"
     "  column INTEGER, end_column INTEGER, -- from 0, bytes of UTF-8; NULL: not known\n"
     "  module INTEGER, offset INTEGER, symbol INTEGER -- native ones; symbol: string\n"
     ")",
     "Places in code: a line of a function, or an address in a library."},
    {"stack",
     "CREATE TABLE stack(\n"
     "  id INTEGER PRIMARY KEY,\n"
     "  parent INTEGER, -- stack of the caller; 0: this is an outermost frame\n"
     "  location INTEGER -- of this, the innermost frame\n"
     ")",
     "Stacks, as a tree: a stack is its innermost frame and the stack of its caller, whose id is smaller."},
    {"process",
     "CREATE TABLE process(\n"
     "  id INTEGER PRIMARY KEY, -- 0: not known\n"
     "  host TEXT, pid INTEGER, namespace_pid INTEGER, parent_pid INTEGER,\n"
     "  start_ns INTEGER, exec_number INTEGER, uid INTEGER,\n"
     "  python TEXT, executable TEXT, folder TEXT, prefix TEXT,\n"
     "  command TEXT, -- words joined by spaces\n"
     "  end_ns INTEGER, how TEXT, status INTEGER -- NULL: it was alive at the end\n"
     ")",
     "Processes."},
    {"thread",
     "CREATE TABLE thread(\n"
     "  id INTEGER PRIMARY KEY, -- 0: not known\n"
     "  process INTEGER REFERENCES process,\n"
     "  tid INTEGER, namespace_tid INTEGER, interpreter INTEGER,\n"
     "  name TEXT, is_main INTEGER,\n"
     "  start_ns INTEGER, end_ns INTEGER, -- NULL: not known; it was alive at the end\n"
     "  cpu_unsampled_ns INTEGER -- CPU time that it used while it was not sampled\n"
     ")",
     "Threads."},
    {"block",
     "CREATE TABLE block(\n"
     "  id INTEGER PRIMARY KEY,\n"
     "  recording INTEGER REFERENCES recording,\n"
     "  epoch INTEGER,\n"
     "  begin_ns INTEGER, end_ns INTEGER, -- that it covers\n"
     "  first_ns INTEGER, last_ns INTEGER, -- of its samples; NULL: it has none\n"
     "  ticks INTEGER, events INTEGER,\n"
     "  samples INTEGER, -- of ticks and events\n"
     "  wall_ns INTEGER, cpu_ns INTEGER, -- that they stand for\n"
     "  flags INTEGER, -- all flags of its samples, or'ed together\n"
     "  data BLOB -- the samples without their stacks: columns, varints, zstd (chunk.h)\n"
     ")",
     "Samples, some 65,000 to a block, packed. The virtual table `sample` unpacks them."},
    {"block_stacks",
     "CREATE TABLE block_stacks(\n"
     "  block INTEGER PRIMARY KEY REFERENCES block,\n"
     "  data BLOB\n"
     ")",
     "The stacks of a block's samples, packed."},
    {"block_sum",
     "CREATE TABLE block_sum(\n"
     "  id INTEGER PRIMARY KEY,\n"
     "  first_block INTEGER REFERENCES block, last_block INTEGER REFERENCES block, -- and all of the epoch between\n"
     "  data BLOB\n"
     ")",
     "What is counted of 1, 4 or 16 blocks together, packed: read instead of them when all of their time is asked "
     "for."},
    {"activity",
     "CREATE TABLE activity(\n"
     "  block INTEGER REFERENCES block,\n"
     "  thread INTEGER REFERENCES thread,\n"
     "  flags INTEGER, -- as in sample\n"
     "  samples INTEGER, wall_ns INTEGER, cpu_ns INTEGER\n"
     ")",
     "What each thread did in each block, without stacks: for questions about states, the GIL, CPU time over time."},
    {"damage",
     "CREATE TABLE damage(\n"
     "  input INTEGER REFERENCES input,\n"
     "  offset INTEGER, bytes INTEGER, blocks INTEGER, samples INTEGER,\n"
     "  what TEXT\n"
     ")",
     "What was wrong with a file: at most 1,000 places of each."},
    {"pack",
     "CREATE TABLE pack(\n"
     "  id INTEGER PRIMARY KEY,\n"
     "  kind INTEGER, -- index_facts.h\n"
     "  number INTEGER, -- of an input or a recording\n"
     "  data BLOB\n"
     ")",
     "The tables above once more, packed and with checksums: what pyspy-report itself reads."},
};
const unsigned index_n_tables = sizeof index_tables / sizeof *index_tables;

int index_schema_make(sqlite3 *db)
{
	int rc = SQLITE_OK;

	for (unsigned i = 0; i < index_n_tables && rc == SQLITE_OK; i++)
		rc = sqlite3_exec(db, index_tables[i].sql, NULL, NULL, NULL);
	return rc;
}

int index_schema_check(sqlite3 *db)
{
	sqlite3_stmt *s;
	unsigned i = 0;
	int rc =
	    sqlite3_prepare_v2(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid", -1, &s, NULL);

	if (rc != SQLITE_OK)
		return rc;
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && i < index_n_tables) {
		const struct index_table *t = &index_tables[i++];
		const char *type = (const char *)sqlite3_column_text(s, 0),
		           *name = (const char *)sqlite3_column_text(s, 1),
		           *table = (const char *)sqlite3_column_text(s, 2),
		           *sql = (const char *)sqlite3_column_text(s, 3);

		if (!type || !name || !table || !sql || strcmp(type, "table") != 0 || strcmp(name, t->name) != 0 ||
		    strcmp(table, t->name) != 0 || strcmp(sql, t->sql) != 0)
			break;
	}
	if (rc == SQLITE_DONE)
		rc = i == index_n_tables ? SQLITE_OK : SQLITE_MISMATCH;
	else if (rc == SQLITE_ROW)
		rc = SQLITE_MISMATCH;
	sqlite3_finalize(s);
	return rc;
}

/* The statement, with what its comments say. */
void index_schema_print(FILE *out)
{
	fprintf(out,
	        "# The schema of an index, version %d\n\n"
	        "What `pyspy-report index` makes. Printed by `pyspy-report sql --schema`; do not edit.\n\n"
	        "`PRAGMA application_id` is 0x%08X, `PRAGMA user_version` %d: any change of the tables or of a BLOB is "
	        "another\n"
	        "version, and an index of another version is made anew. Times are nanoseconds of the recording's "
	        "CLOCK_BOOTTIME\n"
	        "unless a column says something else (`recording.start_realtime_ns` is the same moment as\n"
	        "`recording.start_ns`); what is beyond 2^63-1 stands as that. Names are what the recorded program "
	        "called things:\n"
	        "whoever shows them escapes them.\n\n"
	        "## Tables\n\nAny program that reads SQLite files can read these; `sqlite3 FILE .schema` shows them "
	        "with their\n"
	        "comments. They are for people: `pyspy-report` itself reads the BLOBs, which have checksums.\n",
	        INDEX_VERSION, INDEX_APPLICATION_ID, INDEX_VERSION);
	for (unsigned i = 0; i < index_n_tables; i++)
		fprintf(out, "\n### %s\n%s\n\n```sql\n%s;\n```\n", index_tables[i].name, index_tables[i].about,
		        index_tables[i].sql);
}

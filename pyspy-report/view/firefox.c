#include "pyspy-report/view/firefox.h"

#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/view/firefox_tables.h"
#include "pyspy-report/view/track_names.h"

enum {
	NS_PLACES = 6, /* of a millisecond */
	PIECES = 1000, /* of the whole time: a longer run is several samples */
	VISIBLE = 30,  /* tracks that are shown at first */
};
enum column { COLUMN_STACK, COLUMN_TIME, COLUMN_WEIGHT };

struct firefox {
	struct jsonout json;
	struct timeline *timeline;
	struct firefox_tables tables;
	bool by_time;
	uint64_t piece_ns;
	uint64_t rows; /* of the column that was written last */
};

static void put_row(struct firefox *x, enum column column, uint64_t begin_ns, uint64_t length_ns, uint64_t weight,
                    const struct timeline_run *run)
{
	struct jsonout *j = &x->json;

	x->rows++;
	if (column == COLUMN_TIME)
		jsonout_decimal(j, begin_ns + length_ns / 2, NS_PLACES);
	else if (column == COLUMN_WEIGHT && x->by_time)
		jsonout_decimal(j, weight, NS_PLACES);
	else if (column == COLUMN_WEIGHT)
		jsonout_number(j, weight);
	else if (run && run->path)
		jsonout_number(j, firefox_tables_stack(&x->tables, run->path, run->state));
	else
		jsonout_plain(j, "null");
}

/* A hole begins and ends with a sample, so that no viewer gives its time to its neighbours. */
static void put_hole(struct firefox *x, enum column column, uint64_t begin_ns, uint64_t end_ns)
{
	uint64_t length = end_ns - begin_ns;

	if (length < 2 * x->piece_ns) {
		put_row(x, column, begin_ns, length, 0, NULL);
		return;
	}
	put_row(x, column, begin_ns, x->piece_ns, 0, NULL);
	put_row(x, column, end_ns - x->piece_ns, x->piece_ns, 0, NULL);
}

/* part / of of it, so that all parts add up. */
static uint64_t part_of(uint64_t whole, uint64_t part, uint64_t of)
{
	return (uint64_t)((unsigned __int128)whole * part / of);
}

static void put_run(struct firefox *x, enum column column, const struct timeline_run *run)
{
	uint64_t pieces = run->length_ns / x->piece_ns + (run->length_ns % x->piece_ns || !run->length_ns);

	for (uint64_t i = 0; i < pieces; i++) {
		uint64_t begin = part_of(run->length_ns, i, pieces), end = part_of(run->length_ns, i + 1, pieces),
		         weight =
		             x->by_time ? end - begin : part_of(run->n, i + 1, pieces) - part_of(run->n, i, pieces);

		put_row(x, column, run->begin_ns + begin, end - begin, weight, run);
	}
}

static int put_column(struct firefox *x, size_t track, const char *name, enum column column)
{
	struct timeline_reader reader;
	struct timeline_run run;
	uint64_t at = 0;
	int rc = timeline_read(&reader, x->timeline, track);

	x->rows = 0;
	jsonout_key(&x->json, name);
	jsonout_open(&x->json, '[');
	while (!rc && (rc = timeline_next(&reader, &run)) > 0) {
		rc = 0;
		if (run.begin_ns > at)
			put_hole(x, column, at, run.begin_ns);
		put_run(x, column, &run);
		at = run.begin_ns + run.length_ns;
	}
	if (!rc && x->timeline->end_ns > at)
		put_hole(x, column, at, x->timeline->end_ns);
	jsonout_close(&x->json, ']');
	timeline_read_done(&reader);
	return rc;
}

static int put_samples(struct firefox *x, size_t track)
{
	struct jsonout *j = &x->json;

	jsonout_line(j);
	jsonout_key(j, "samples");
	jsonout_open(j, '{');
	TRY(put_column(x, track, "stack", COLUMN_STACK));
	TRY(put_column(x, track, "time", COLUMN_TIME));
	TRY(put_column(x, track, "weight", COLUMN_WEIGHT));
	jsonout_key_word(j, "weightType", x->by_time ? "tracing-ms" : "samples");
	jsonout_key_number(j, "length", x->rows);
	jsonout_close(j, '}');
	return 0;
}

/* Threads with the same pid are one process to the viewer: a pid that was used before gets a number behind it. */
static void put_pid(struct firefox *x, const struct timeline_track *k)
{
	const struct profile *p = x->timeline->profile;
	uint32_t process = p->threads.v[k->thread].process, before = 0;
	char text[32];

	for (uint32_t i = 1; i < process; i++)
		before += p->processes.v[i].pid == p->processes.v[process].pid;
	if (before)
		snprintf(text, sizeof text, "%u.%u", p->processes.v[process].pid, before + 1);
	else
		snprintf(text, sizeof text, "%u", process ? p->processes.v[process].pid : 0);
	jsonout_key_word(&x->json, "pid", text);
}

static void put_tid(struct firefox *x, const struct timeline_track *k)
{
	char text[32];

	jsonout_key(&x->json, "tid");
	snprintf(text, sizeof text, "%u.%u", k->thread ? x->timeline->profile->threads.v[k->thread].tid : 0,
	         k->thread ? k->twin : k->id);
	if (k->thread && k->twin < 2)
		jsonout_number(&x->json, x->timeline->profile->threads.v[k->thread].tid);
	else
		jsonout_word(&x->json, text);
}

static int put_thread(struct firefox *x, size_t track)
{
	const struct profile *p = x->timeline->profile;
	const struct timeline_track *k = &x->timeline->tracks.v[track];
	const struct profile_thread *t = &p->threads.v[k->thread];
	struct jsonout *j = &x->json;
	struct buf name;

	jsonout_line(j);
	jsonout_open(j, '{');
	jsonout_key_word(j, "processType", "default");
	jsonout_key_number(j, "processStartupTime", 0);
	jsonout_key(j, "processShutdownTime");
	jsonout_plain(j, "null");
	jsonout_key_number(j, "registerTime", 0);
	jsonout_key(j, "unregisterTime");
	jsonout_plain(j, "null");
	jsonout_key(j, "pausedRanges");
	jsonout_plain(j, "[]");
	buf_init(&name, 0);
	track_names_thread(&name, p, k);
	jsonout_key(j, "name");
	jsonout_string(j, buf_cstr(&name), name.len);
	buf_reset(&name);
	track_names_process(&name, p, t->process);
	jsonout_key(j, "processName");
	jsonout_string(j, buf_cstr(&name), name.len);
	int rc = name.err;
	buf_done(&name);
	TRY(rc);
	jsonout_key(j, "isMainThread");
	jsonout_plain(j, t->flags & WIRE_THREAD_MAIN ? "true" : "false");
	put_pid(x, k);
	put_tid(x, k);
	TRY(put_samples(x, track));
	jsonout_key(j, "markers");
	jsonout_plain(j, "{\"length\":0,\"data\":[],\"name\":[],\"startTime\":[],\"endTime\":[],\"phase\":[],"
	                 "\"category\":[]}");
	jsonout_close(j, '}');
	return 0;
}

static void put_fact(struct jsonout *j, const char *label, const char *value)
{
	jsonout_open(j, '{');
	jsonout_key_word(j, "label", label);
	jsonout_key_word(j, "format", "string");
	jsonout_key_word(j, "value", value);
	jsonout_close(j, '}');
}

static void put_meta(struct firefox *x, const struct firefox_options *o)
{
	struct jsonout *j = &x->json;

	jsonout_key(j, "meta");
	jsonout_open(j, '{');
	jsonout_key(j, "interval");
	jsonout_decimal(j, profile_sample_worth_ns(x->timeline->profile), NS_PLACES);
	jsonout_key(j, "startTime");
	jsonout_decimal(j, x->timeline->origin_ns > 0 ? (uint64_t)x->timeline->origin_ns : 0, NS_PLACES);
	jsonout_key_number(j, "processType", 0);
	jsonout_key_number(j, "stackwalk", 1);
	jsonout_key_number(j, "version", 31);
	jsonout_key_number(j, "preprocessedProfileVersion", 61);
	jsonout_key_word(j, "product", o->command);
	jsonout_key_word(j, "importedFrom", o->exporter);
	jsonout_key(j, "symbolicated");
	jsonout_plain(j, "true");
	jsonout_key(j, "usesOnlyOneStackType");
	jsonout_plain(j, "true");
	jsonout_key(j, "sourceCodeIsNotOnSearchfox");
	jsonout_plain(j, "true");
	jsonout_key(j, "categories");
	firefox_tables_categories(j);
	jsonout_key(j, "markerSchema");
	jsonout_plain(j, "[]");
	jsonout_key(j, "sampleUnits");
	jsonout_plain(j, "{\"time\":\"ms\",\"eventDelay\":\"ms\",\"threadCPUDelta\":\"ns\"}");
	jsonout_key(j, "extra");
	jsonout_plain(j, "[{\"label\":\"Recording\",\"entries\":");
	j->comma = false;
	jsonout_open(j, '[');
	put_fact(j, "Samples", o->samples);
	put_fact(j, "Lost", o->losses);
	jsonout_close(j, ']');
	fputs("}]", j->out);
	jsonout_key(j, "initialVisibleThreads");
	jsonout_open(j, '[');
	for (size_t i = 0; i < x->timeline->tracks.n && i < VISIBLE; i++)
		jsonout_number(j, i);
	jsonout_close(j, ']');
	if (x->timeline->tracks.n) {
		jsonout_key(j, "initialSelectedThreads");
		jsonout_open(j, '[');
		jsonout_number(j, timeline_busiest(x->timeline));
		jsonout_close(j, ']');
	}
	jsonout_close(j, '}');
}

static int put_all(struct firefox *x, const struct shape *p, const struct firefox_options *o)
{
	struct jsonout *j = &x->json;

	TRY(firefox_tables_make(&x->tables, p, x->timeline));
	jsonout_open(j, '{');
	put_meta(x, o);
	firefox_tables_write(&x->tables, j);
	jsonout_line(j);
	jsonout_key(j, "threads");
	jsonout_open(j, '[');
	for (size_t i = 0; i < x->timeline->tracks.n; i++)
		TRY(put_thread(x, i));
	jsonout_close(j, ']');
	jsonout_close(j, '}');
	putc('\n', j->out);
	return 0;
}

int firefox_write(FILE *out, struct timeline *t, const struct shape *p, const struct firefox_options *o)
{
	struct firefox x;
	int rc, written;

	memset(&x, 0, sizeof x);
	x.timeline = t;
	x.by_time = o->by_time;
	x.piece_ns = profile_sample_worth_ns(t->profile);
	if (x.piece_ns < t->end_ns / PIECES)
		x.piece_ns = t->end_ns / PIECES;
	jsonout_init(&x.json, out);
	rc = put_all(&x, p, o);
	written = jsonout_done(&x.json);
	firefox_tables_done(&x.tables);
	return rc ? rc : written;
}

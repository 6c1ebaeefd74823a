/* linetable_check: reads from stdin what an interpreter says about its code objects (linetable_dump.py) and compares it
 * with linetable_find. All numbers are little-endian words of 4 bytes:
 *   code    "code", group, kind (enum linetable_kind), first line, bytes of the table, bytes of the name, blocks
 *           then the table, the name, the blocks
 *   block   source, start, step, count, width, then count * width numbers: answers for the offsets start + i * step,
 *           of width 1 (line) or 4 (line, end line, column, end column); INT32_MIN is none
 *   at last "end.", number of codes
 * Prints one line for each group and source: GROUP SOURCE CODES OFFSETS WITHOUT-LINE DIFFERENT. Differences are shown
 * on stderr, the first few. Exit status: 0 no difference, 1 some, 2 the input is cut or wrong.
 */
#include "pyspy-record/python/linetable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 2, SOURCES = 5, SHOWN = 5, NONE = INT32_MIN, LARGEST = 1 << 28 };

struct count {
	uint64_t codes, offsets, without_line, different;
};

static struct count counts[GROUPS][SOURCES];

struct code {
	enum linetable_kind kind;
	int32_t first_line;
	uint32_t table_n;
	uint8_t *table;
	char *name;
};

static void read_exactly(void *to, size_t n)
{
	if (n && fread(to, 1, n, stdin) != n) {
		fprintf(stderr, "linetable_check: the input is cut\n");
		exit(2);
	}
}

/* Exactly n bytes, so that a sanitizer sees each byte outside. */
static void *read_new(size_t n)
{
	void *p = n <= LARGEST ? malloc(n ? n : 1) : NULL;
	if (!p) {
		fprintf(stderr, "linetable_check: %zu bytes are too many\n", n);
		exit(2);
	}
	read_exactly(p, n);
	return p;
}

static void demand(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "linetable_check: wrong input: %s\n", what);
	exit(2);
}

/* The interpreter's columns are none each for itself, ours both. */
static bool is_same(const struct linetable_place *p, bool found, const int32_t *want, uint32_t width)
{
	if (found != p->has_line || found != (want[0] != NONE))
		return false;
	if (!found)
		return !p->has_columns;
	if (p->line != want[0])
		return false;
	if (width == 1)
		return true;
	if (p->end_line != want[1] || p->has_columns != (want[2] != NONE && want[3] != NONE))
		return false;
	return !p->has_columns || (p->column == want[2] && p->end_column == want[3]);
}

struct block {
	uint32_t source, start, step, count, width;
};

static void compare_block(const struct code *c, const struct block *b, struct count *count)
{
	static const char *const names[SOURCES] = {"PyCode_Addr2Line", "dis.findlinestarts", "co_lines", "co_positions",
	                                           "f_lineno"};
	for (uint32_t i = 0; i < b->count; i++) {
		struct linetable_place p;
		uint32_t instr = b->start + i * b->step;
		int32_t want[4] = {NONE, NONE, NONE, NONE};
		read_exactly(want, b->width * sizeof *want);
		memset(&p, 0x5a, sizeof p);
		bool found =
		    linetable_find(c->kind, c->table_n ? c->table : NULL, c->table_n, c->first_line, instr, &p);
		count->offsets++;
		count->without_line += want[0] == NONE;
		if (is_same(&p, found, want, b->width))
			continue;
		if (count->different++ >= SHOWN)
			continue;
		fprintf(stderr, "%s: %s at %u: the interpreter says", names[b->source], c->name, instr);
		for (uint32_t k = 0; k < b->width; k++)
			fprintf(stderr, " %d", want[k]);
		fprintf(stderr, ", linetable_find %d: %d %d %d %d %d\n", found, p.line, p.end_line, p.has_columns,
		        p.column, p.end_column);
	}
}

struct head {
	uint32_t group, kind;
	int32_t first_line;
	uint32_t table_n, name_n, blocks;
};

static void read_code(void)
{
	struct head h;
	read_exactly(&h, sizeof h);
	demand(h.group < GROUPS && h.kind <= LINETABLE_LOCATIONS && h.name_n > 0, "code");
	struct code c = {.kind = (enum linetable_kind)h.kind, .first_line = h.first_line, .table_n = h.table_n};
	c.table = read_new(c.table_n);
	c.name = read_new(h.name_n);
	c.name[h.name_n - 1] = 0;
	bool counted[SOURCES] = {0};
	while (h.blocks-- > 0) {
		struct block b;
		read_exactly(&b, sizeof b);
		demand(b.source < SOURCES && (b.width == 1 || b.width == 4), "block");
		struct count *count = &counts[h.group][b.source];
		count->codes += !counted[b.source];
		counted[b.source] = true;
		compare_block(&c, &b, count);
	}
	free(c.table);
	free(c.name);
}

int main(void)
{
	uint32_t n_codes = 0, n_said;
	for (;;) {
		char tag[4];
		read_exactly(tag, sizeof tag);
		if (!memcmp(tag, "end.", sizeof tag))
			break;
		demand(!memcmp(tag, "code", sizeof tag), "neither a code nor the end");
		read_code();
		n_codes++;
	}
	read_exactly(&n_said, sizeof n_said);
	demand(n_said == n_codes, "another number of codes than was said");
	uint64_t different = 0;
	for (unsigned g = 0; g < GROUPS; g++) {
		for (unsigned s = 0; s < SOURCES; s++) {
			const struct count *c = &counts[g][s];
			printf("%u %u %llu %llu %llu %llu\n", g, s, (unsigned long long)c->codes,
			       (unsigned long long)c->offsets, (unsigned long long)c->without_line,
			       (unsigned long long)c->different);
			different += c->different;
		}
	}
	return different != 0;
}

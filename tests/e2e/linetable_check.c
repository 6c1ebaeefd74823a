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

static void compare_block(const struct code *c, struct count *count, uint32_t start, uint32_t step, uint32_t n,
                          uint32_t width, const int32_t *numbers, const char *what)
{
	for (uint32_t i = 0; i < n; i++, numbers += width) {
		struct linetable_place p;
		uint32_t instr = start + i * step;
		memset(&p, 0x5a, sizeof p);
		bool found =
		    linetable_find(c->kind, c->table_n ? c->table : NULL, c->table_n, c->first_line, instr, &p);
		count->offsets++;
		count->without_line += numbers[0] == NONE;
		if (is_same(&p, found, numbers, width))
			continue;
		if (count->different++ >= SHOWN)
			continue;
		fprintf(stderr, "%s: %s at %u: the interpreter says", what, c->name, instr);
		for (uint32_t k = 0; k < width; k++)
			fprintf(stderr, " %d", numbers[k]);
		fprintf(stderr, ", linetable_find %d: %d %d %d %d %d\n", found, p.line, p.end_line, p.has_columns,
		        p.column, p.end_column);
	}
}

static void read_code(uint32_t group_and_rest[6])
{
	static const char *const names[] = {"PyCode_Addr2Line", "dis.findlinestarts", "co_lines", "co_positions",
	                                    "f_lineno"};
	uint32_t group = group_and_rest[0], kind = group_and_rest[1], name_n = group_and_rest[4],
	         blocks = group_and_rest[5];
	demand(group < GROUPS && kind <= LINETABLE_LOCATIONS && blocks <= 64, "code");
	struct code c = {
	    .kind = (enum linetable_kind)kind, .first_line = (int32_t)group_and_rest[2], .table_n = group_and_rest[3]};
	c.table = read_new(c.table_n);
	c.name = read_new(name_n);
	demand(name_n > 0, "a code without a name");
	c.name[name_n - 1] = 0;
	bool counted[SOURCES] = {0};
	while (blocks-- > 0) {
		uint32_t b[5]; /* source, start, step, count, width */
		read_exactly(b, sizeof b);
		demand(b[0] < SOURCES && (b[4] == 1 || b[4] == 4) && b[3] <= LARGEST / 16, "block");
		int32_t *numbers = read_new((size_t)b[3] * b[4] * sizeof *numbers);
		struct count *count = &counts[group][b[0]];
		count->codes += !counted[b[0]];
		counted[b[0]] = true;
		compare_block(&c, count, b[1], b[2], b[3], b[4], numbers, names[b[0]]);
		free(numbers);
	}
	free(c.table);
	free(c.name);
}

int main(void)
{
	uint32_t n_codes = 0, words[6];
	for (;;) {
		char tag[4];
		read_exactly(tag, sizeof tag);
		if (!memcmp(tag, "end.", sizeof tag))
			break;
		demand(!memcmp(tag, "code", sizeof tag), "neither a code nor the end");
		read_exactly(words, sizeof words);
		read_code(words);
		n_codes++;
	}
	read_exactly(words, sizeof *words);
	demand(words[0] == n_codes, "another number of codes than was said");
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

/* linetable, the tables up to 3.10 (line steps and ranges, both of pairs of bytes): against examples of real code
 * objects, examples from the interpreter's own description, and tables made here from known lines as its compilers make
 * them; never outside of its bytes. tests/e2e/test_truth_lines.py holds them against living interpreters. */
#include "pyspy-record/python/linetable.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

static const enum linetable_kind kinds[] = {LINETABLE_LNOTAB_UNSIGNED, LINETABLE_LNOTAB_SIGNED, LINETABLE_RANGES};

static uint64_t seed = 1;
static uint32_t draw(uint32_t below)
{
	return support_draw(&seed, below);
}

enum { NO_LINE = -1 };

/* On a copy of exactly n bytes, so that the address sanitizer sees each byte outside. The line, or NO_LINE. */
static int find(enum linetable_kind kind, const uint8_t *table, size_t n, int32_t first_line, uint32_t instr)
{
	struct linetable_place p;
	uint8_t *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	if (n)
		memcpy(copy, table, n);
	memset(&p, 0x5a, sizeof p);
	bool found = linetable_find(kind, n ? copy : copy + 1, n, first_line, instr, &p);
	free(copy);
	assert_int_equal(found, p.has_line);
	assert_false(p.has_columns);
	assert_int_equal(p.column, 0);
	assert_int_equal(p.end_column, 0);
	assert_int_equal(p.end_line, p.line);
	if (!found)
		assert_int_equal(p.line, 0);
	return found ? p.line : NO_LINE;
}

struct run {
	uint32_t start;
	int line;
};

/* Every offset below `end` of runs in order. */
static void assert_runs(enum linetable_kind kind, const uint8_t *table, size_t n, int32_t first_line,
                        const struct run *runs, size_t n_runs, uint32_t end)
{
	for (size_t k = 0; k < n_runs; k++) {
		uint32_t stop = k + 1 < n_runs ? runs[k + 1].start : end;
		for (uint32_t instr = runs[k].start; instr < stop; instr++)
			assert_int_equal(find(kind, table, n, first_line, instr), runs[k].line);
	}
	assert_int_equal(find(kind, table, n, first_line, LINETABLE_NOT_STARTED), first_line);
}

/* One source, compiled by 2.7.18, 3.9.18 and 3.10.13 (walking.md 3.1, 3.2). */
static void test_real_tables(void **state)
{
	static const uint8_t t27[] = {0, 1, 6, 3, 3, 1, 9, 1, 13, 1, 10, 1};
	static const struct run runs27[] = {{0, 2}, {6, 5}, {9, 6}, {18, 7}, {31, 8}, {41, 9}};
	static const uint8_t t39[] = {0, 1, 4, 3, 2, 1, 2, 0xfe, 4, 3, 8, 1, 6, 1};
	static const struct run runs39[] = {{0, 2}, {4, 5}, {6, 6}, {8, 4}, {12, 7}, {20, 8}, {26, 9}};
	static const uint8_t t310[] = {4, 1, 2, 3, 2, 1, 4, 0xfe, 8, 3, 6, 1, 4, 1};
	assert_runs(LINETABLE_LNOTAB_UNSIGNED, t27, sizeof t27, 1, runs27, N_OF(runs27), 60);
	assert_runs(LINETABLE_LNOTAB_SIGNED, t27, sizeof t27, 1, runs27, N_OF(runs27), 60);
	assert_runs(LINETABLE_LNOTAB_SIGNED, t39, sizeof t39, 1, runs39, N_OF(runs39), 60);
	assert_runs(LINETABLE_RANGES, t310, sizeof t310, 1, runs39, N_OF(runs39), 30);
	assert_int_equal(find(LINETABLE_RANGES, t310, sizeof t310, 1, 30), NO_LINE);
	/* a step of 0xfe is 254 up to 3.5 */
	assert_int_equal(find(LINETABLE_LNOTAB_UNSIGNED, t39, sizeof t39, 1, 8), 6 + 254);
}

/* Offsets 0, 6, 50, 350, 361 on lines 1, 2, 7, 307, 308: steps that do not fit into a byte are spread over pairs, the
 * address first, as Objects/lnotab_notes.txt tells; up to 3.5 by 255 lines at most, from 3.6 on by 127. */
static void test_large_steps(void **state)
{
	static const struct run runs[] = {{0, 1}, {6, 2}, {50, 7}, {350, 307}, {361, 308}};
	static const uint8_t is_unsigned[] = {6, 1, 44, 5, 255, 0, 45, 255, 0, 45, 11, 1};
	static const uint8_t is_signed[] = {6, 1, 44, 5, 255, 0, 45, 127, 0, 127, 0, 46, 11, 1};
	/* in ranges: a step comes with the range that it leads to */
	static const uint8_t ranges[] = {6, 0, 44, 1, 254, 5, 46, 0, 0, 127, 0, 127, 11, 46, 10, 1};
	assert_runs(LINETABLE_LNOTAB_UNSIGNED, is_unsigned, sizeof is_unsigned, 1, runs, N_OF(runs), 371);
	assert_runs(LINETABLE_LNOTAB_SIGNED, is_signed, sizeof is_signed, 1, runs, N_OF(runs), 371);
	assert_runs(LINETABLE_RANGES, ranges, sizeof ranges, 1, runs, N_OF(runs), 371);
	/* 300 lines back, and 128 at once */
	static const uint8_t back[] = {2, 0x80, 2, 0x81, 0, 0xd3, 2, 1};
	static const struct run runs_back[] = {{0, 500}, {2, 372}, {4, 200}, {6, 201}};
	assert_runs(LINETABLE_LNOTAB_SIGNED, back, sizeof back, 500, runs_back, N_OF(runs_back), 20);
}

static void test_no_line(void **state)
{
	/* -128 is no step but a range without a line: the running line stays */
	static const uint8_t t[] = {2, 1, 4, 0x80, 0, 0x80, 2, 0, 2, 0x81, 2, 127};
	static const struct run runs[] = {{0, 101}, {2, NO_LINE}, {6, 101}, {8, 101 - 127}, {10, 101}};
	assert_runs(LINETABLE_RANGES, t, sizeof t, 100, runs, 3, 8);
	assert_int_equal(find(LINETABLE_RANGES, t, sizeof t, 100, 8), NO_LINE); /* below 0: as f_lineno */
	assert_int_equal(find(LINETABLE_RANGES, t, sizeof t, 100, 10), 101);
	assert_int_equal(find(LINETABLE_RANGES, t, sizeof t, 126, 8), 0);
	assert_int_equal(find(LINETABLE_RANGES, t, sizeof t, 100, 12), NO_LINE);
	assert_int_equal(find(LINETABLE_RANGES, t, sizeof t, 100, UINT32_MAX - 1), NO_LINE);
	/* line steps know no such thing: -128 lines, and f_lineno of 3.9 does go below 0 */
	static const uint8_t steps[] = {0, 0x80, 2, 100};
	assert_int_equal(find(LINETABLE_LNOTAB_SIGNED, steps, sizeof steps, 100, 0), -28);
	assert_int_equal(find(LINETABLE_LNOTAB_SIGNED, steps, sizeof steps, 100, 2), 72);
}

static void test_ends(void **state)
{
	for (unsigned k = 0; k < N_OF(kinds); k++) {
		enum linetable_kind kind = kinds[k];
		bool steps = kind != LINETABLE_RANGES;
		static const uint8_t t[] = {4, 1, 4, 1, 9};
		assert_int_equal(find(kind, NULL, 0, 7, LINETABLE_NOT_STARTED), 7);
		assert_int_equal(find(kind, t, 4, 7, LINETABLE_NOT_STARTED), 7);
		/* no table: the code stands on its first line, or nowhere */
		assert_int_equal(find(kind, NULL, 0, 7, 0), steps ? 7 : NO_LINE);
		assert_int_equal(find(kind, NULL, 0, 7, 1000), steps ? 7 : NO_LINE);
		/* beyond it */
		assert_int_equal(find(kind, t, 4, 7, 8), steps ? 9 : NO_LINE);
		assert_int_equal(find(kind, t, 4, 7, UINT32_MAX - 1), steps ? 9 : NO_LINE);
		/* half a pair: of no effect on lines; a range goes on */
		assert_int_equal(find(kind, t, 5, 7, 8), 9);
		assert_int_equal(find(kind, t, 5, 7, 16), 9);
		assert_int_equal(find(kind, t, 5, 7, 17), steps ? 9 : NO_LINE);
		assert_int_equal(find(kind, t, 1, 7, 0), 7);
		assert_int_equal(find(kind, t, 1, 7, 4), steps ? 7 : NO_LINE);
	}
}

/* --- tables made from lines that are known, by the rules of the compilers */

enum { MOST_UNITS = 3000 };

struct made {
	uint8_t bytes[16384];
	size_t n;
	uint32_t end;
	int lines[MOST_UNITS]; /* by offset */
};

static void put(struct made *t, uint32_t first, int second)
{
	t->bytes[t->n++] = (uint8_t)first;
	t->bytes[t->n++] = (uint8_t)second;
}

/* so many bytes further on the line is another */
static void put_step(struct made *t, bool is_signed, uint32_t bytes, int lines)
{
	int most = is_signed ? 127 : 255;
	while (bytes > 255) {
		put(t, 255, 0);
		bytes -= 255;
	}
	while (lines > most || lines < -128) {
		int now = lines > 0 ? most : -128;
		put(t, bytes, now);
		bytes = 0;
		lines -= now;
	}
	put(t, bytes, lines);
}

static void put_range(struct made *t, uint32_t bytes, int lines, bool has_line)
{
	while (lines > 127 || lines < -127) {
		int now = lines > 0 ? 127 : -127;
		put(t, 0, now);
		lines -= now;
	}
	int step = has_line ? lines : -128;
	while (bytes > 254) {
		put(t, 254, step);
		step = has_line ? 0 : -128;
		bytes -= 254;
	}
	put(t, bytes, step);
}

static int some_step(enum linetable_kind kind)
{
	static const int steps[] = {0, 1, 2, 127, 128, 129, 254, 255, 256, 300, 511, 1000};
	int step = draw(2) ? (int)draw(4) : steps[draw(N_OF(steps))];
	return kind != LINETABLE_LNOTAB_UNSIGNED && draw(2) ? -step : step;
}

static void make(struct made *t, enum linetable_kind kind, int first_line)
{
	static const uint32_t lengths[] = {2, 4, 6, 127, 128, 252, 254, 255, 256, 258, 510, 700};
	int line = first_line;
	t->n = t->end = 0;
	uint32_t since = 0; /* bytes since the last pair, in line steps */
	for (unsigned i = 1 + draw(20); i > 0; i--) {
		uint32_t length = draw(2) ? 1 + draw(30) : lengths[draw(N_OF(lengths))];
		if (t->end + length > MOST_UNITS)
			break;
		int step = some_step(kind);
		bool has_line = kind != LINETABLE_RANGES || draw(5);
		if (kind == LINETABLE_RANGES) {
			put_range(t, length, has_line ? step : 0, has_line);
		} else if (t->end > 0 || draw(2)) {
			put_step(t, kind == LINETABLE_LNOTAB_SIGNED, since, step);
			since = 0;
		} else {
			step = 0; /* the first line of the code is the first */
		}
		since += length;
		line += has_line ? step : 0;
		while (length-- > 0)
			t->lines[t->end++] = has_line ? line : NO_LINE;
	}
}

static void test_made_tables(void **state)
{
	static struct made t;
	for (unsigned round = 0; round < 600; round++) {
		enum linetable_kind kind = kinds[round % N_OF(kinds)];
		int first_line = 100000 + (int)draw(1000);
		make(&t, kind, first_line);
		for (uint32_t instr = 0; instr < t.end; instr++)
			assert_int_equal(find(kind, t.bytes, t.n, first_line, instr), t.lines[instr]);
		int last = kind == LINETABLE_RANGES ? NO_LINE : t.lines[t.end - 1];
		assert_int_equal(find(kind, t.bytes, t.n, first_line, t.end), last);
		assert_int_equal(find(kind, t.bytes, t.n, first_line, UINT32_MAX - 1), last);
		/* cut anywhere: what lies in front of the cut is as before */
		uint32_t known = 0;
		for (size_t cut = 0; cut <= t.n; cut++) {
			if (known > 0)
				assert_int_equal(find(kind, t.bytes, cut, first_line, known - 1), t.lines[known - 1]);
			if (known > 0) {
				uint32_t instr = draw(known);
				assert_int_equal(find(kind, t.bytes, cut, first_line, instr), t.lines[instr]);
			}
			find(kind, t.bytes, cut, first_line, t.end);
			/* a step holds from its address on; of a range both bytes must be there */
			if (cut < t.n && cut % 2 == (kind == LINETABLE_RANGES))
				known += t.bytes[cut & ~(size_t)1];
		}
	}
}

static void test_any_bytes(void **state)
{
	uint8_t bytes[64];
	for (unsigned round = 0; round < 60000; round++) {
		enum linetable_kind kind = kinds[draw(N_OF(kinds))];
		size_t n = draw(sizeof bytes + 1);
		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(draw(3) ? draw(256) : draw(2) ? 0x7f : 0x80);
		int32_t first = draw(2) ? (int32_t)draw(1000) : draw(2) ? INT32_MAX : INT32_MIN;
		find(kind, bytes, n, first, draw(3) ? draw(4096) : UINT32_MAX - draw(3));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_real_tables), cmocka_unit_test(test_large_steps), cmocka_unit_test(test_no_line),
	    cmocka_unit_test(test_ends),        cmocka_unit_test(test_made_tables), cmocka_unit_test(test_any_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* linetable, locations (3.11+): against examples of real code objects, and tables of known places made here; never
 * outside of its bytes. The older tables: test_linetable_pairs.c. */
#include "pyspy-record/python/linetable.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

static uint64_t seed = 1;
static uint32_t draw(uint32_t below)
{
	return support_draw(&seed, below);
}

/* On a copy of exactly n bytes, so that the address sanitizer sees each byte outside. */
static bool find(const uint8_t *table, size_t n, int32_t first_line, uint32_t instr, struct linetable_place *place)
{
	uint8_t *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	if (n)
		memcpy(copy, table, n);
	memset(place, 0x5a, sizeof *place);
	bool found = linetable_find(LINETABLE_LOCATIONS, n ? copy : copy + 1, n, first_line, instr, place);
	free(copy);
	return found;
}

/* Tables as CPython 3.11.7 made them (walking.md 3.3): lines of the units. */
static void test_real_tables(void **state)
{
	static const uint8_t t311[] = {0x80, 0x00, 0xd8, 0x08, 0x09, 0x80, 0x41, 0xf0, 0x06, 0x00,
	                               0x09, 0x0a, 0xd8, 0x08, 0x09, 0xf0, 0x05, 0x02, 0x09, 0x0b};
	static const int lines311[] = {1, 2, 2, 5, 6, 4};
	static const uint8_t t315[] = {0x81, 0x00, 0xd8, 0x08, 0x09, 0x80, 0x41};
	static const int lines315[] = {1, 1, 2, 2};
	struct linetable_place p;
	for (unsigned i = 0; i < N_OF(lines311); i++) {
		for (unsigned k = 0; k < 2; k++) {
			assert_true(find(t311, sizeof t311, 1, 2 * i + k, &p));
			assert_int_equal(p.line, lines311[i]);
		}
	}
	for (unsigned i = 0; i < N_OF(lines315); i++) {
		assert_true(find(t315, sizeof t315, 1, 2 * i, &p));
		assert_int_equal(p.line, lines315[i]);
	}
	assert_false(find(t315, sizeof t315, 1, 8, &p));
	/* the columns of `b = a`, 8 blanks in front of it would be 8: d8 08 09 is column 8 to 9; 80 41 column 4 to 5 */
	assert_true(find(t311, sizeof t311, 1, 2, &p));
	assert_true(p.has_columns);
	assert_int_equal(p.column, 8);
	assert_int_equal(p.end_column, 9);
	assert_true(find(t311, sizeof t311, 1, 4, &p));
	assert_int_equal(p.column, 4);
	assert_int_equal(p.end_column, 5);
	/* f0 06 00 09 0a: end line the same, columns 8 to 9; f0 05 02 09 0b: two lines, 8 to 10 */
	assert_true(find(t311, sizeof t311, 1, 6, &p));
	assert_int_equal(p.end_line, 5);
	assert_int_equal(p.column, 8);
	assert_int_equal(p.end_column, 9);
	assert_true(find(t311, sizeof t311, 1, 10, &p));
	assert_int_equal(p.line, 4);
	assert_int_equal(p.end_line, 6);
	assert_int_equal(p.column, 8);
	assert_int_equal(p.end_column, 10);
}

static void test_kinds(void **state)
{
	struct linetable_place p;
	for (unsigned kind = 0; kind <= 9; kind++) { /* short: (kind << 3 | 3 bits), 4 bits more */
		uint8_t t[] = {(uint8_t)(0x80 | kind << 3), 0x7f};
		assert_true(find(t, sizeof t, 10, 0, &p));
		assert_true(p.has_line && p.has_columns);
		assert_int_equal(p.line, 10);
		assert_int_equal(p.end_line, 10);
		assert_int_equal(p.column, kind * 8 + 7);
		assert_int_equal(p.end_column, kind * 8 + 7 + 15);
	}
	for (unsigned kind = 10; kind <= 12; kind++) {
		uint8_t t[] = {(uint8_t)(0x80 | kind << 3), 200, 255};
		assert_true(find(t, sizeof t, 10, 1, &p));
		assert_int_equal(p.line, 10 + kind - 10);
		assert_int_equal(p.end_line, p.line);
		assert_int_equal(p.column, 200);
		assert_int_equal(p.end_column, 255);
		assert_true(p.has_columns);
	}
	uint8_t no_columns[] = {0x80 | 13 << 3, 0x40 | 0x2d, 0x03}; /* signed varint 3 << 6 | 45 = 237: -118 */
	assert_true(find(no_columns, sizeof no_columns, 1000, 0, &p));
	assert_int_equal(p.line, 882);
	assert_int_equal(p.end_line, 882);
	assert_false(p.has_columns);
	/* long: +4; 3 lines more; column 300, end column 64 */
	uint8_t large[] = {0x80 | 14 << 3, 8, 3, 0x40 | (301 & 63), 301 >> 6, 0x40 | (65 & 63), 65 >> 6};
	assert_true(find(large, sizeof large, 7, 0, &p));
	assert_int_equal(p.line, 11);
	assert_int_equal(p.end_line, 14);
	assert_int_equal(p.column, 300);
	assert_int_equal(p.end_column, 64);
	assert_true(p.has_columns);
	uint8_t without[] = {0x80 | 14 << 3, 8, 3, 0, 0}; /* column + 1 = 0: there is none */
	assert_true(find(without, sizeof without, 7, 0, &p));
	assert_int_equal(p.line, 11);
	assert_int_equal(p.end_line, 14);
	assert_false(p.has_columns);
	/* no place: and the running line stays */
	uint8_t none[] = {0x80 | 13 << 3, 10, 0x80 | 15 << 3 | 7, 0x80, 0x00};
	assert_true(find(none, sizeof none, 1, 0, &p));
	assert_int_equal(p.line, 6);
	for (unsigned instr = 2; instr < 18; instr++) {
		assert_false(find(none, sizeof none, 1, instr, &p));
		assert_false(p.has_line);
		assert_false(p.has_columns);
	}
	assert_true(find(none, sizeof none, 1, 18, &p));
	assert_int_equal(p.line, 6);
}

/* f_lineno is None then; a later entry may stand above 0 again */
static void test_below_zero(void **state)
{
	struct linetable_place p;
	uint8_t t[] = {0x80 | 13 << 3, 3, 0x80 | 13 << 3, 3, 0x80 | 14 << 3, 1, 0, 1, 1, 0x80, 0, 0x80 | 13 << 3, 8};
	assert_true(find(t, sizeof t, 1, 0, &p));
	assert_int_equal(p.line, 0);
	for (uint32_t instr = 2; instr < 8; instr++) {
		assert_false(find(t, sizeof t, 1, instr, &p));
		assert_false(p.has_line || p.has_columns || p.line || p.end_line || p.column || p.end_column);
	}
	assert_true(find(t, sizeof t, 1, 8, &p));
	assert_int_equal(p.line, 3);
}

static void test_lengths(void **state)
{
	struct linetable_place p;
	for (unsigned units = 1; units <= 8; units++) {
		uint8_t t[] = {(uint8_t)(0x80 | (units - 1)), 0x00, 0x80 | 11 << 3, 0, 0};
		assert_true(find(t, sizeof t, 1, 2 * units - 1, &p));
		assert_int_equal(p.line, 1);
		assert_true(find(t, sizeof t, 1, 2 * units, &p));
		assert_int_equal(p.line, 2);
		assert_true(find(t, sizeof t, 1, 2 * units + 1, &p));
		assert_false(find(t, sizeof t, 1, 2 * units + 2, &p));
		assert_false(p.has_line || p.has_columns || p.line);
		assert_false(find(t, sizeof t, 1, UINT32_MAX - 1, &p));
		/* a frame that has not started */
		assert_true(find(t, sizeof t, 77, LINETABLE_NOT_STARTED, &p));
		assert_true(p.has_line && !p.has_columns);
		assert_int_equal(p.line, 77);
		assert_int_equal(p.end_line, 77);
	}
	assert_false(find(NULL, 0, 1, 0, &p));
	assert_false(p.has_line);
	assert_true(find(NULL, 0, 5, LINETABLE_NOT_STARTED, &p));
	assert_int_equal(p.line, 5);
}

/* --- tables made here, with the place of each unit known */

struct made {
	uint8_t bytes[4096];
	size_t n;
	struct linetable_place places[2048]; /* by code unit */
	unsigned units;
	size_t ends[512]; /* where the entries end */
	unsigned n_entries;
};

static void put_varint(struct made *t, uint32_t v)
{
	while (v >= 64) {
		t->bytes[t->n++] = (uint8_t)(64 | (v & 63));
		v >>= 6;
	}
	t->bytes[t->n++] = (uint8_t)v;
}

static void put_signed(struct made *t, int32_t v)
{
	put_varint(t, v < 0 ? (uint32_t)-v << 1 | 1 : (uint32_t)v << 1);
}

static void put_entry(struct made *t, int32_t *line)
{
	static const int32_t steps[] = {0, 1, -1, 2, -2, 31, 32, -32, 100, -100, 2047, 2048, 100000, -100000};
	unsigned kind = draw(16), units = 1 + draw(8);
	struct linetable_place p = {.has_line = kind != 15, .has_columns = kind != 15 && kind != 13};
	t->bytes[t->n++] = (uint8_t)(0x80 | kind << 3 | (units - 1));
	if (kind <= 9) {
		unsigned low = draw(8), width = draw(16);
		t->bytes[t->n++] = (uint8_t)(low << 4 | width);
		p.column = (int32_t)(kind * 8 + low);
		p.end_column = p.column + (int32_t)width;
		p.line = p.end_line = *line;
	} else if (kind <= 12) {
		p.line = p.end_line = *line += (int32_t)kind - 10;
		p.column = (int32_t)draw(256);
		p.end_column = (int32_t)draw(256);
		t->bytes[t->n++] = (uint8_t)p.column;
		t->bytes[t->n++] = (uint8_t)p.end_column;
	} else if (kind <= 14) {
		int32_t step = steps[draw(N_OF(steps))];
		p.line = p.end_line = *line += step;
		put_signed(t, step);
		if (kind == 14) {
			uint32_t more = draw(3) ? draw(70) : draw(100000), from = draw(5000), to = draw(5000);
			bool none = draw(4) == 0;
			p.end_line += (int32_t)more;
			p.has_columns = !none;
			p.column = (int32_t)from;
			p.end_column = (int32_t)to;
			put_varint(t, more);
			put_varint(t, none ? 0 : from + 1);
			put_varint(t, none ? 0 : to + 1);
		}
	}
	for (unsigned i = 0; i < units; i++)
		t->places[t->units++] = p;
	t->ends[t->n_entries++] = t->n;
}

static void compare(const struct made *t, size_t n, int32_t first_line, unsigned unit)
{
	struct linetable_place p;
	const struct linetable_place *want = &t->places[unit];
	bool found = find(t->bytes, n, first_line, unit * 2 + draw(2), &p);
	assert_int_equal(found, want->has_line);
	assert_int_equal(p.has_line, want->has_line);
	assert_int_equal(p.has_columns, want->has_columns);
	if (want->has_line) {
		assert_int_equal(p.line, want->line);
		assert_int_equal(p.end_line, want->end_line);
	}
	if (want->has_columns) {
		assert_int_equal(p.column, want->column);
		assert_int_equal(p.end_column, want->end_column);
	}
}

static void test_made_tables(void **state)
{
	static struct made t;
	struct linetable_place p;
	for (unsigned round = 0; round < 300; round++) {
		int32_t first = (int32_t)draw(100000) + 500000, line = first;
		t.n = t.units = t.n_entries = 0;
		for (unsigned i = 1 + draw(60); i > 0; i--)
			put_entry(&t, &line);
		for (unsigned unit = 0; unit < t.units; unit++)
			compare(&t, t.n, first, unit);
		assert_false(find(t.bytes, t.n, first, t.units * 2, &p));
		if (round % 20)
			continue;
		/* cut anywhere: what lies in front of the cut is as before, the rest is some place or none */
		for (size_t cut = 0; cut < t.n; cut++) {
			unsigned whole = 0, unit = 0;
			while (whole < t.n_entries && t.ends[whole] <= cut)
				whole++;
			size_t at = 0;
			for (unsigned k = 0; k < whole; k++) { /* units of the whole entries */
				unit += (t.bytes[at] & 7u) + 1;
				at = t.ends[k];
			}
			if (unit > 0)
				compare(&t, cut, first, draw(unit));
			if (unit > 0)
				compare(&t, cut, first, unit - 1);
			find(t.bytes, cut, first, unit * 2, &p);
			assert_false(find(t.bytes, cut, first, t.units * 2, &p));
		}
	}
}

static void test_any_bytes(void **state)
{
	struct linetable_place p;
	uint8_t bytes[64];
	for (unsigned round = 0; round < 40000; round++) {
		size_t n = draw(sizeof bytes + 1);
		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(draw(3) ? draw(256) : draw(2) ? 0xff : 0x7f);
		if (n && draw(4))
			bytes[0] |= 0x80;
		int32_t first = draw(2) ? (int32_t)draw(1000) : draw(2) ? INT32_MAX : INT32_MIN;
		bool found = find(bytes, n, first, draw(3) ? draw(64) : UINT32_MAX - draw(3), &p);
		assert_true(!p.has_columns || (p.column >= 0 && p.end_column >= 0 && p.end_line >= p.line));
		assert_int_equal(found, p.has_line);
		if (!found)
			assert_false(p.has_columns);
	}
	/* varints without an end */
	memset(bytes, 0x7f, sizeof bytes);
	for (unsigned kind = 13; kind <= 14; kind++) {
		bytes[0] = (uint8_t)(0x80 | kind << 3);
		bytes[1] = 0x7f; /* the least line of all */
		assert_false(find(bytes, sizeof bytes, 1, 0, &p));
		bytes[1] = 0x7e;
		assert_true(find(bytes, sizeof bytes, 0, 0, &p));
		assert_int_equal(p.line, INT32_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_real_tables), cmocka_unit_test(test_kinds),     cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_made_tables), cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_below_zero),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

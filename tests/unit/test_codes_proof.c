/* codes: the proof that an address still holds the object that we know. */
#include "pyspy-record/python/codes.h"

#include <errno.h>

#include "libcommon/err.h"
#include "tests/unit/support_codes.h"
#include "tests/unit/support_test.h"

static struct support_codes s;

/* One object dies, another comes to its address: by its version; up to 3.11 by any of the words and names. */
static void replaced(void)
{
	struct support_objects_code others[6];
	for (size_t i = 0; i < N_OF(others); i++)
		others[i] = s.plain;
	others[0].qualname = "Class.mathod"; /* the same length */
	others[1].file = "/srv/app/module.pi";
	others[2].first_line = 42;
	support_codes_table(&others[3], s.other.linetable, s.other.linetable_len);
	others[4].units = 19;
	/* [5]: equal in all but its address of names: as made anew by the same exec() */
	for (size_t i = 0; i < N_OF(others); i++) {
		raddr_t at = support_objects_code(&s.o, &s.plain);
		code_id id = support_codes_read(&s, at, s.globals);
		assert_false(support_codes_is_bad(&s, id));
		assert_int_equal(codes_known(&s.c, at, s.globals), id);
		others[i].version = 100 + (uint32_t)i;
		support_objects_recode(&s.o, at, &others[i]);
		assert_true(support_codes_is_bad(&s, id));
		assert_int_equal(codes_known(&s.c, at, s.globals), 0); /* it is not that one any more */
		code_id now = support_codes_read(&s, at, s.globals);
		assert_int_not_equal(now, id);
		assert_string_equal(support_codes_name(&s, codes_at(&s.c, now)->qualname), others[i].qualname);
		assert_string_equal(support_codes_name(&s, codes_at(&s.c, now)->file), others[i].file);
		assert_int_equal(codes_known(&s.c, at, s.globals), now);
		assert_false(support_codes_is_bad(&s, now));
		assert_string_equal(support_codes_name(&s, codes_at(&s.c, id)->qualname),
		                    "Class.method"); /* past samples keep theirs */
		assert_true(codes_at(&s.c, id)->is_stale);
	}
}
static void test_replaced(void **state)
{
	support_codes_in_all(&s, replaced);
}

/* An object that could not be read once, and is there again: a new entry, that holds. */
static void there_again(void)
{
	unsigned char kept[512];
	raddr_t at = support_objects_code(&s.o, &s.plain);
	code_id id = support_codes_read(&s, at, s.globals);
	size_t n = s.o.l->code.size;
	memcpy(kept, support_memory_at(&s.m, at, n), n);
	support_memory_unmap(&s.m, at);
	assert_true(support_codes_is_bad(&s, id));
	support_memory_map(&s.m, at, n);
	support_memory_put(&s.m, at, kept, n);
	code_id again = support_codes_read(&s, at, s.globals);
	assert_int_not_equal(again, id);
	assert_int_equal(codes_known(&s.c, at, s.globals), again);
	assert_false(support_codes_is_bad(&s, again));
	assert_int_equal(support_codes_read(&s, at, s.globals), again);
}
static void test_there_again(void **state)
{
	support_codes_in_all(&s, there_again);
}

/* Another object whose names lie at the same addresses as the dead one's did (up to 3.11 only the texts tell). */
static void replaced_names(void)
{
	if (!support_codes_is_by_words(&s))
		return;
	raddr_t at = support_objects_code(&s.o, &s.plain), qualname;
	code_id id = support_codes_read(&s, at, s.globals);
	memcpy(&qualname, support_memory_at(&s.m, at + s.o.l->code.qualname, 8), 8);
	support_memory_put(&s.m, qualname + support_codes_text_at(&s), "Klass", 5);
	assert_true(support_codes_is_bad(&s, id));
	id = support_codes_read(&s, at, s.globals);
	assert_string_equal(support_codes_name(&s, codes_at(&s.c, id)->qualname), "Klass.method");
	support_objects_size(&s.o, qualname + (s.o.l->is_python2 ? s.o.l->bytes.ob_size : s.o.l->unicode.length), 5);
	assert_true(support_codes_is_bad(&s, id));
	id = support_codes_read(&s, at, s.globals);
	assert_string_equal(support_codes_name(&s, codes_at(&s.c, id)->qualname), "Klass");
	assert_false(support_codes_is_bad(&s, id));
}
static void test_replaced_names(void **state)
{
	support_codes_in_all(&s, replaced_names);
}

/* What the interpreter writes into a living code object and its names is no change: reference counts, warm-up counters,
 * the hash and the interned state of names, the instructions themselves. */
static void alive(void)
{
	raddr_t at = support_objects_code(&s.o, &s.plain), names[2];
	code_id id = support_codes_read(&s, at, s.globals);
	memcpy(&names[0], support_memory_at(&s.m, at + s.o.l->code.qualname, 8), 8);
	memcpy(&names[1], support_memory_at(&s.m, at + s.o.l->code.filename, 8), 8);
	for (size_t i = 0; i < 2; i++) {
		uint32_t bits;
		support_memory_u64(&s.m, names[i], 77);
		if (s.o.l->is_python2) { /* hash, interned or not */
			memset(support_memory_at(&s.m, names[i] + s.o.l->bytes.ob_sval - 12, 12), 0x11, 12);
			continue;
		}
		support_memory_u64(&s.m, names[i] + s.o.l->unicode.length + 8, 0x123456789abcdef);
		memcpy(&bits, support_memory_at(&s.m, names[i] + s.o.l->unicode.state, 4), 4);
		support_memory_u32(&s.m, names[i] + s.o.l->unicode.state, bits | 1);
	}
	support_memory_u64(&s.m, at, 1234567);
	if (s.o.l->code.ident_skip) {
		support_memory_u8(&s.m, at + s.o.l->code.ident_skip, 0xee);
		support_memory_u8(&s.m, at + s.o.l->code.ident_skip + 1, 0xff);
	}
	if (s.o.l->code.ident_end + 8 <= s.o.l->code.size)
		support_memory_u64(&s.m, at + s.o.l->code.ident_end,
		                   0xdeadbeef); /* weak references, and what follows */
	if (support_codes_has_own_bytecode(&s))
		support_memory_u64(&s.m, at + s.o.l->code.code_adaptive, 0xffffffffffffffff);
	assert_false(support_codes_is_bad(&s, id));
	assert_int_equal(support_codes_read(&s, at, s.globals), id);
}
static void test_alive(void **state)
{
	support_codes_in_all(&s, alive);
}

/* When was the object certainly there? 3.13: its version was given out before the sample began; before: not known. */
static void proof(void)
{
	static const struct {
		uint32_t version;
		uint64_t before;
		bool proved; /* in 3.13 */
	} cases[] = {{17, 18, true},
	             {17, 17, false},
	             {17, 16, false},
	             {17, 1000, true},
	             {0, 1000, false},
	             {1, 0, false},
	             {UINT32_MAX, 1ull << 32, true}};
	bool is_made = s.o.l->generation_kind == LAYOUT_GENERATION_MADE;
	if (s.o.l->generation_kind == LAYOUT_GENERATION_DESTROYED)
		return;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct support_objects_code made = s.plain;
		made.version = cases[i].version;
		raddr_t at = support_objects_code(&s.o, &made);
		code_id id;
		bool proved = !cases[i].proved;
		struct codes_generation g = {cases[i].before, cases[i].before + 5, 0};
		assert_int_equal(codes_read(&s.c, at, s.globals, g, &id, &proved), 0);
		assert_int_equal(proved, is_made && cases[i].proved);
		assert_true(codes_at(&s.c, id)->checked_generation == cases[i].before + 5);
		bool bad;
		assert_int_equal(codes_check(&s.c, &id, 1, 5000 + i, &bad), 0);
		assert_false(bad);
		assert_true(codes_at(&s.c, id)->checked_generation == 5000 + i);
		/* read again, for other globals: checked again */
		g.after = 9000;
		assert_int_equal(codes_read(&s.c, at, support_objects_globals(&s.o, "app.module"), g, &id, &proved), 0);
		assert_true(codes_at(&s.c, id)->checked_generation == 9000);
	}
	assert_int_equal(s.c.has_generation, is_made);
	s.c.has_generation = false; /* the word was found to be none */
	raddr_t at = support_objects_code(&s.o, &s.plain);
	code_id id;
	bool proved = true;
	assert_int_equal(codes_read(&s.c, at, s.globals, support_codes_later, &id, &proved), 0);
	assert_false(proved);
}
static void test_proof(void **state)
{
	support_codes_in_all(&s, proof);
}

/* 3.14 and later: no code object has gone since the sample began. */
static void proof_by_count(void)
{
	if (s.o.l->generation_kind != LAYOUT_GENERATION_DESTROYED)
		return;
	raddr_t at = support_objects_code(&s.o, &s.plain), count = support_objects_new(&s.o, 0, 8, 0);
	static const uint64_t counts[][2] = {{5, 5}, {4, 5}, {6, 5}, {0, 0}}; /* at the sample, now */
	assert_true(s.c.has_generation);
	for (size_t i = 0; i < N_OF(counts); i++) {
		code_id id;
		bool proved = false;
		struct codes_generation g = {counts[i][0], counts[i][0], count};
		support_memory_u64(&s.m, count, counts[i][1]);
		assert_int_equal(codes_read(&s.c, at, s.globals, g, &id, &proved), 0);
		assert_int_equal(proved, counts[i][0] == counts[i][1]);
		assert_true(codes_at(&s.c, id)->checked_generation == counts[i][1]);
		g.at = 0x5000; /* the count cannot be read */
		assert_int_equal(codes_read(&s.c, at, s.globals, g, &id, &proved), 0);
		assert_false(proved);
		assert_true(codes_at(&s.c, id)->checked_generation == CODES_UNSTABLE);
	}
}
static void test_proof_by_count(void **state)
{
	support_codes_in_all(&s, proof_by_count);
}

/* The object is replaced while it is read: its names are nobody's. */
static raddr_t meanwhile_at;
static uint64_t meanwhile_call;
static void replaces(struct support_memory *memory, uint64_t call)
{
	struct support_objects_code other = s.plain;
	if (call != meanwhile_call)
		return;
	memory->before = NULL;
	other.qualname = "something.else";
	other.version = 99;
	support_objects_recode(&s.o, meanwhile_at, &other);
}
static void meanwhile(void)
{
	unsigned torn = 0, old = 0, new = 0;
	for (unsigned k = 1; k < 60; k++) {
		raddr_t at = support_objects_code(&s.o, &s.plain);
		code_id id = 0;
		bool proved;
		size_t n = s.c.v.n, tables = s.c.tables.len;
		meanwhile_at = at;
		meanwhile_call = s.m.reader.calls + k;
		s.m.before = replaces;
		int rc = codes_read(&s.c, at, s.globals, support_codes_later, &id, &proved);
		bool was_replaced = !s.m.before;
		s.m.before = NULL;
		if (rc == 0) { /* all of the one or all of the other; the one is known not to be there any more */
			bool is_new = was_replaced && k == 1;
			assert_string_equal(support_codes_name(&s, codes_at(&s.c, id)->qualname),
			                    is_new ? "something.else" : "Class.method");
			assert_int_equal(codes_at(&s.c, id)->linetable_len, s.plain.linetable_len);
			old += !is_new;
			new += is_new;
			assert_int_equal(support_codes_is_bad(&s, id), was_replaced && !is_new);
		} else {
			assert_int_equal(rc, ERR_TORN);
			assert_int_equal(s.c.v.n, n);
			assert_int_equal(s.c.tables.len, tables);
			assert_int_equal(codes_known(&s.c, at, s.globals), 0);
			torn++;
		}
	}
	assert_true(torn > 5 && old > 5 && new == 1);
}
static void test_meanwhile(void **state)
{
	support_codes_in_all(&s, meanwhile);
}

/* Many at once, with some replaced and some that cannot be read any more; none is looked at twice, none left
 * out. */
static void many(void)
{
	enum { MANY = 300 };
	raddr_t at[MANY];
	code_id ids[MANY];
	bool bad[MANY];
	struct support_objects_code made = s.plain;
	for (unsigned i = 0; i < MANY; i++) {
		made.version = 100 + i;
		at[i] = support_objects_code(&s.o, &made);
		ids[i] = support_codes_read(&s, at[i], s.globals);
	}
	uint64_t calls = s.m.reader.calls, checks = s.c.checks;
	assert_int_equal(codes_check(&s.c, ids, MANY, 2000, bad), 0);
	assert_int_equal(s.c.checks - checks, MANY);
	if (s.o.pages)
		assert_true(s.m.reader.calls - calls <= MANY / 64 + 1);
	for (unsigned i = 0; i < MANY; i++)
		assert_false(bad[i]);
	for (unsigned i = 0; i < MANY; i++) {
		if (i % 7 == 3) {
			made.version = 1000 + i;
			made.first_line = 7;
			support_objects_recode(&s.o, at[i], &made);
		} else if (i % 31 == 5 || i == 63 || i == 64 || i == MANY - 1 || i == 0) {
			support_memory_unmap(&s.m, at[i]);
		}
	}
	checks = s.c.checks;
	assert_int_equal(codes_check(&s.c, ids, MANY, 3000, bad), 0);
	assert_int_equal(s.c.checks - checks, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		bool changed = i % 7 == 3 || i % 31 == 5 || i == 63 || i == 64 || i == MANY - 1 || i == 0;
		assert_int_equal(bad[i], changed);
		assert_int_equal(codes_known(&s.c, at[i], s.globals), changed ? 0 : ids[i]);
		assert_true(codes_at(&s.c, ids[i])->checked_generation == (changed ? 2000 : 3000));
	}
	assert_int_equal(codes_check(&s.c, ids, 0, 3000, bad), 0);
	s.m.error = ESRCH;
	assert_int_equal(codes_check(&s.c, ids + 1, 5, 3000, bad), ERR_GONE);
	assert_false(codes_at(&s.c, ids[1])->is_stale);
	s.m.error = 0;
}
static void test_many(void **state)
{
	support_codes_in_all(&s, many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_replaced),  cmocka_unit_test(test_there_again), cmocka_unit_test(test_replaced_names),
	    cmocka_unit_test(test_alive),     cmocka_unit_test(test_proof),       cmocka_unit_test(test_proof_by_count),
	    cmocka_unit_test(test_meanwhile), cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

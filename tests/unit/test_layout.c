/* layout: the table's rows: there is one for every version and build that is said to be supported, and all are sane. */
#include "pyspy-record/python/layout.h"

#include "tests/unit/support_layout.h"
#include "tests/unit/support_test.h"

enum { FINAL = 0xf0 };

static uint32_t hex(unsigned major, unsigned minor, unsigned micro)
{
	return major << 24 | minor << 16 | micro << 8 | FINAL;
}

static const struct support_sizes unknown;

/* Which builds there were: debug always; object lists in builds of their own from 3.8 on; free-threaded from 3.13. */
static void test_find(void **state)
{
	static const struct {
		unsigned major, least, most;
	} known[] = {{2, 3, 7}, {3, 3, 15}};
	unsigned n = 0;
	for (unsigned major = 0; major < 6; major++)
		for (unsigned minor = 0; minor < 40; minor++)
			for (unsigned micro = 0; micro < 30; micro++)
				for (unsigned build = 0; build <= LAYOUT_FREETHREADED_DEBUG; build++) {
					bool is_known = false;
					for (size_t i = 0; i < N_OF(known); i++)
						is_known |= major == known[i].major && minor >= known[i].least &&
						            minor <= known[i].most;
					if (build == LAYOUT_TRACEREFS)
						is_known &= major == 3 && minor >= 8 && minor <= 13;
					if (build >= LAYOUT_FREETHREADED)
						is_known &= major == 3 && minor >= 13;
					const struct layout *l = layout_find(hex(major, minor, micro), build);
					if (!!l != is_known)
						fail_msg("%u.%u.%u build %u", major, minor, micro, build);
					if (!l)
						continue;
					n++;
					assert_int_equal(layout_minor(l), major << 8 | minor);
					assert_int_equal(l->build, build);
					assert_true(l->since <= hex(major, minor, micro));
				}
	assert_true(n > 1000);
	assert_null(layout_find(0, LAYOUT_RELEASE));
	assert_null(layout_find(UINT32_MAX, LAYOUT_RELEASE));
}

/* Alphas and betas have other layouts than what came of them; release candidates have the same. */
static void test_levels(void **state)
{
	for (unsigned level = 0; level < 16; level++) {
		uint32_t version = 0x030c0002 | level << 4;
		assert_int_equal(layout_find(version, LAYOUT_RELEASE) != NULL, level >= 0xc);
		version |= 4 << 8;
		assert_int_equal(layout_find(version, LAYOUT_RELEASE) != NULL, level >= 0xc);
	}
}

/* What is new in which version, as walking.md's sources say, and not the generator. */
static void test_kinds(void **state)
{
	size_t n;
	const struct layout *rows = layout_rows(&n);
	for (size_t i = 0; i < n; i++) {
		const struct layout *l = &rows[i];
		unsigned v = layout_minor(l);
		bool adds_words = l->build == LAYOUT_TRACEREFS ? v <= 0x30c : l->build == LAYOUT_DEBUG && v <= 0x307;
		assert_int_equal(l->is_python2, v < 0x300);
		assert_int_equal(l->object.wide_sizes, v >= 0x205);
		assert_int_equal(l->object.size, layout_is_freethreaded(l) || adds_words ? 32 : 16);
		assert_int_equal(l->frame_root, v <= 0x30a   ? LAYOUT_ROOT_FRAME
		                                : v <= 0x30c ? LAYOUT_ROOT_CFRAME
		                                             : LAYOUT_ROOT_TSTATE);
		assert_int_equal(l->gil_kind, v <= 0x30b   ? LAYOUT_GIL_CURRENT
		                              : v == 0x30c ? LAYOUT_GIL_STATUS
		                                           : LAYOUT_GIL_STATE);
		assert_int_equal(l->lines, v <= 0x305   ? LINETABLE_LNOTAB_UNSIGNED
		                           : v <= 0x309 ? LINETABLE_LNOTAB_SIGNED
		                           : v == 0x30a ? LINETABLE_RANGES
		                                        : LINETABLE_LOCATIONS);
		assert_int_equal(l->generation_kind, v <= 0x30c   ? LAYOUT_GENERATION_NONE
		                                     : v == 0x30d ? LAYOUT_GENERATION_MADE
		                                                  : LAYOUT_GENERATION_DESTROYED);
		assert_int_equal(l->code.version != 0, v >= 0x30c);
		assert_int_equal(l->code.bytecode != 0, v <= 0x30a);
		assert_int_equal(l->code.tlbc != 0, v >= 0x30e && layout_is_freethreaded(l));
		assert_int_equal(l->frame.instr_unit, v <= 0x309 ? 1 : v == 0x30a ? 2 : 0);
		assert_int_equal(l->frame.tag_mask, v >= 0x30e ? 3 : 0);
		assert_int_equal(l->tstate.native_thread_id != 0, v >= 0x30b);
		assert_int_equal(l->tstate.datastack_chunk != 0, v >= 0x30b);
		assert_int_equal(l->runtime.interpreters_head != 0, v >= 0x307);
		assert_int_equal(l->interp.gc_collecting != 0, v >= 0x309);
		assert_int_equal(l->interp.id != 0, v >= 0x307);
		assert_int_equal(l->unicode.kind_shift, v < 0x300                                 ? 0
		                                        : v >= 0x30e && layout_is_freethreaded(l) ? 8
		                                                                                  : 2);
		assert_int_equal(l->integer.tag_has_count, v >= 0x30c);
	}
	/* 3.7.4 made the collector's heads larger */
	assert_int_equal(layout_find(0x030703f0, LAYOUT_RELEASE)->runtime.gil_current, 1392);
	assert_int_equal(layout_find(0x030704c1, LAYOUT_RELEASE)->runtime.gil_current, 1480);
	assert_int_equal(layout_find(0x030710f0, LAYOUT_RELEASE)->runtime.gil_current, 1480);
}

static void test_rows(void **state)
{
	size_t n;
	const struct layout *rows = layout_rows(&n);
	assert_true(n > 40);
	for (size_t i = 0; i < n; i++) {
		const char *bad = layout_insane(&rows[i]), *wild = support_layout_wild(&rows[i], &unknown);
		if (bad || wild)
			fail_msg("%#x build %d: %s", rows[i].since, rows[i].build, bad ? bad : wild);
		struct layout l = rows[i];
		l.tstate.size = 0;
		layout_finish(&l);
		assert_int_equal(l.tstate.size, rows[i].tstate.size);
	}
}

/* Of every row, each number in turn made wrong: what is then called sane is not wild. */
/* The words that hold all that is read of a thread state: in order, none twice, each member in one of them. */
static void test_tstate_words(void **state)
{
	size_t n_rows;
	const struct layout *rows = layout_rows(&n_rows);
	for (size_t i = 0; i < n_rows; i++) {
		struct layout l = rows[i];
		uint32_t words[LAYOUT_TSTATE_WORDS];
		layout_finish(&l);
		const uint32_t members[] = {l.tstate.next,
		                            l.tstate.interp,
		                            l.tstate.frame_root,
		                            l.tstate.status,
		                            l.tstate.state,
		                            l.tstate.id,
		                            l.tstate.cframe,
		                            l.tstate.thread_id,
		                            l.tstate.native_thread_id,
		                            l.tstate.datastack_chunk,
		                            l.tstate.datastack_top};
		size_t n = layout_tstate_words(&l, words), n_found = 0;
		assert_true(n > 0 && n <= LAYOUT_TSTATE_WORDS);
		for (size_t k = 0; k < n; k++)
			assert_true(words[k] % 8 == 0 && (k == 0 || words[k] > words[k - 1]));
		assert_int_equal(l.tstate.size, words[n - 1] + 8);
		for (size_t m = 0; m < sizeof members / sizeof *members; m++)
			for (size_t k = 0; k < n; k++)
				n_found += members[m] >= words[k] && members[m] < words[k] + 8;
		assert_int_equal(n_found, sizeof members / sizeof *members);
	}
}

static void test_insane(void **state)
{
	static const uint32_t values[] = {0,   1,   4,    8,    12,      16,      24,      32,         40,
	                                  48,  52,  56,   60,   64,      72,      80,      88,         96,
	                                  100, 104, 112,  160,  200,     248,     256,     260,        392,
	                                  400, 408, 1024, 4096, 4194296, 4194300, 4194304, 0x7ffffffc, UINT32_MAX - 3};
	size_t n;
	unsigned n_insane = 0;
	const struct layout *rows = layout_rows(&n);
	for (size_t i = 0; i < n; i++)
		for (size_t at = offsetof(struct layout, object); at < sizeof(struct layout); at += 4) {
			if (at == offsetof(struct layout, object.wide_sizes) ||
			    at == offsetof(struct layout, integer.tag_has_count) ||
			    at == offsetof(struct layout, frame.instr_unit))
				continue;
			for (size_t k = 0; k < N_OF(values); k++) {
				struct layout l = rows[i];
				memcpy((char *)&l + at, &values[k], 4);
				const char *bad = layout_insane(&l);
				n_insane += bad != NULL;
				if (!bad && support_layout_wild(&l, &unknown))
					fail_msg("%#x build %d, word %zu = %u: %s", l.since, l.build, at / 4, values[k],
					         support_layout_wild(&l, &unknown));
			}
		}
	assert_true(n_insane > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find), cmocka_unit_test(test_levels), cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_rows), cmocka_unit_test(test_insane), cmocka_unit_test(test_tstate_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

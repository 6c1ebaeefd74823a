/* layout_offsets: what real interpreters say of themselves gives what their headers say; what is wild is refused. */
#include "libcommon/err.h"
#include "pyspy-record/python/layout.h"
#include "tests/unit/support_layout.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

enum { SLOTS = LAYOUT_OFFSETS_MAX / 8, N_HEADS = 3 };

static const struct real {
	const char *what;
	enum layout_build build;
	unsigned n;
	uint64_t v[SLOTS]; /* the cookie stands in front */
} reals[] = {
#include "tests/unit/layout_real.inc"
};
static const struct order {
	uint32_t minor, n;
	const char *names[SLOTS];
} orders[] = {
#include "pyspy-record/python/layout_offsets.inc"
};

static const struct order *order_of(const struct real *r)
{
	for (size_t i = 0; i < N_OF(orders); i++)
		if (orders[i].minor == r->v[1] >> 16)
			return &orders[i];
	return NULL;
}

static unsigned slot_of(const struct real *r, const char *name)
{
	const struct order *o = order_of(r);
	for (unsigned i = 0; i < o->n; i++)
		if (strcmp(o->names[i], name) == 0)
			return i;
	return 0;
}

static int from_slots(struct layout *l, unsigned n, const uint64_t *slots)
{
	uint8_t *raw = malloc(n * 8); /* exactly: nothing behind it is read */
	memcpy(raw, slots, n * 8);
	memcpy(raw, "xdebugpy", 8);
	memset(l, 0x5a, sizeof *l);
	int rc = layout_from_debug_offsets(l, raw);
	free(raw);
	return rc;
}

static const struct real *real_of(uint32_t hex, enum layout_build build)
{
	for (size_t i = 0; i < N_OF(reals); i++)
		if (reals[i].v[1] == hex && reals[i].build == build)
			return &reals[i];
	fail_msg("no offsets of %#x build %d", hex, build);
	return NULL;
}

/* Each gives the row that the headers of its version and build gave, in every field; 3.13: where next_version is, too.
 */
static void test_real(void **state)
{
	unsigned minors = 0, builds = 0;
	for (size_t i = 0; i < N_OF(reals); i++) {
		const struct real *r = &reals[i];
		struct layout l;
		assert_int_equal(layout_offsets_size((uint32_t)r->v[1]), r->n * 8);
		if (from_slots(&l, r->n, r->v) != 0)
			fail_msg("%s was refused", r->what);
		const struct layout *row = layout_find((uint32_t)r->v[1], r->build);
		assert_non_null(row);
		/* this one differs between configurations of one release: the table does not know it */
		unsigned slot = slot_of(r, "interpreter_state.tlbc_generation");
		assert_int_equal(l.interp.copies_generation, slot ? r->v[slot] : 0);
		assert_int_equal(row->interp.copies_generation, 0);
		l.interp.copies_generation = 0;
		size_t word = support_layout_difference(&l, row);
		if (word != SIZE_MAX)
			fail_msg("%s: word %zu of struct layout: %u, in the table %u", r->what, word,
			         ((const uint32_t *)&l)[word], ((const uint32_t *)row)[word]);
		minors |= 1u << (r->v[1] >> 16 & 31);
		builds |= 1u << r->build;
	}
	assert_int_equal(minors, 1 << 13 | 1 << 14 | 1 << 15);
	assert_int_equal(builds, 1 << LAYOUT_RELEASE | 1 << LAYOUT_DEBUG | 1 << LAYOUT_FREETHREADED);
}

static struct support_sizes sizes_of(const struct real *r, const uint64_t *v)
{
	struct support_sizes s = {
	    .runtime = v[slot_of(r, "runtime_state.size")],
	    .interp = v[slot_of(r, "interpreter_state.size")],
	    .tstate = v[slot_of(r, "thread_state.size")],
	    .frame = v[slot_of(r, "interpreter_frame.size")],
	    .type = v[slot_of(r, "type_object.size")],
	};
	/* cut to the room that readers have */
	if (s.tstate > LAYOUT_TSTATE_MAX)
		s.tstate = LAYOUT_TSTATE_MAX;
	return s;
}

static void check_not_wild(const struct real *r, const uint64_t *v, const struct layout *l)
{
	struct support_sizes s = sizes_of(r, v);
	const char *wild = support_layout_wild(l, &s);
	if (!wild)
		return;
	for (unsigned i = N_HEADS; i < r->n; i++)
		if (v[i] != r->v[i])
			print_error("slot %s = %#llx\n", order_of(r)->names[i], (unsigned long long)v[i]);
	fail_msg("%s: that was taken, and %s is outside", r->what, wild);
}

/* One slot at a time: all that is near to zero from both sides, near to what it was, near to the end of any struct. */
static void test_wild_slots(void **state)
{
	static const uint64_t more[] = {
	    1,         2,    7,     16,      24,      32,       40,         48,
	    56,        64,   72,    80,      88,      96,       104,        128,
	    152,       255,  256,   392,     400,     512,      1000,       2048,
	    4088,      4096, 65536, 4194296, 4194304, 1u << 31, 1ull << 32, (1ull << 32) + 8,
	    1ull << 63};
	for (size_t i = 0; i < N_OF(reals); i++) {
		const struct real *r = &reals[i];
		unsigned n_refused = 0, n_taken = 0;
		for (unsigned slot = N_HEADS; slot < r->n; slot++) {
			uint64_t around[1024], v[SLOTS];
			size_t n = 0;
			for (uint64_t k = 0; k < 32; k++)
				around[n++] = 0 - k;
			for (uint64_t k = 0; k < 8; k++) {
				around[n++] = r->v[slot] + (k < 4 ? 1 + k : 4 + 8 * (k - 4));
				around[n++] = r->v[slot] - (k < 4 ? 1 + k : 4 + 8 * (k - 4));
			}
			memcpy(around + n, more, sizeof more);
			n += N_OF(more);
			for (unsigned k = N_HEADS; k < r->n; k++)
				if (strstr(order_of(r)->names[k], "size"))
					for (uint64_t before = 0; before < 32; before += 4)
						around[n++] = r->v[k] - before;
			assert_true(n < N_OF(around));
			for (size_t k = 0; k < n; k++) {
				struct layout l;
				memcpy(v, r->v, sizeof v);
				v[slot] = around[k];
				int rc = from_slots(&l, r->n, v);
				n_refused += rc != 0;
				n_taken += rc == 0;
				if (rc != 0)
					assert_int_equal(rc, ERR_LAYOUT);
				else
					check_not_wild(r, v, &l);
			}
		}
		assert_true(n_refused > 1000 && n_taken > 1000);
	}
}

/* Several slots at once. */
static void test_wild_layouts(void **state)
{
	static const uint64_t values[] = {0,   8,   16,   24,   32,       40,      48,
	                                  56,  64,  69,   72,   80,       96,      200,
	                                  208, 256, 4096, 7272, 1u << 20, 4 << 20, UINT64_MAX - 7};
	uint64_t seed = 9, v[SLOTS];
	struct layout l;
	for (size_t i = 0; i < N_OF(reals); i++) {
		const struct real *r = &reals[i];
		unsigned n_taken = 0;
		for (unsigned round = 0; round < 60000; round++) {
			memcpy(v, r->v, sizeof v);
			for (unsigned n = 1 + round % 4; n > 0; n--) {
				support_random(&seed);
				v[N_HEADS + (seed >> 33) % (r->n - N_HEADS)] =
				    values[(seed >> 20 & 0xfff) % N_OF(values)];
			}
			if (from_slots(&l, r->n, v) != 0)
				continue;
			n_taken++;
			check_not_wild(r, v, &l);
		}
		assert_true(n_taken > 500);
	}
}

static void test_refused(void **state)
{
	for (size_t i = 0; i < N_OF(reals); i++) {
		const struct real *r = &reals[i];
		struct layout l;
		uint64_t v[SLOTS];
		uint8_t raw[LAYOUT_OFFSETS_MAX];
		for (unsigned k = 0; k < 8; k++) {
			memcpy(raw, r->v, r->n * 8);
			memcpy(raw, "xdebugpy", 8);
			raw[k] ^= 1;
			assert_int_equal(layout_from_debug_offsets(&l, raw), ERR_LAYOUT);
		}
		static const uint64_t wrong[] = {1ull << 32, 1ull << 63, UINT64_MAX << 32};
		for (size_t k = 0; k < N_OF(wrong); k++) {
			memcpy(v, r->v, sizeof v);
			v[1] |= wrong[k];
			assert_int_equal(from_slots(&l, SLOTS, v), ERR_LAYOUT);
		}
		static const uint64_t unknown[] = {0, 0x020712f0, 0x030c01f0, 0x031000f0, 0xffffffff};
		for (size_t k = 0; k < N_OF(unknown); k++) {
			memcpy(v, r->v, sizeof v);
			v[1] = unknown[k];
			assert_int_equal(from_slots(&l, SLOTS, v), ERR_UNSUPPORTED);
			assert_int_equal(layout_offsets_size((uint32_t)unknown[k]), 0);
		}
		memcpy(v, r->v, sizeof v);
		v[1] = (v[1] & 0xffff0000) | 0xa3; /* an alpha */
		assert_int_equal(from_slots(&l, r->n, v), ERR_UNSUPPORTED);
		v[1] += 0x10; /* a beta */
		assert_int_equal(from_slots(&l, r->n, v), ERR_UNSUPPORTED);
		v[1] += 0x10; /* a release candidate */
		assert_int_equal(from_slots(&l, r->n, v), 0);
		v[1] = (v[1] & 0xffff0000) | 0xfff0; /* a later micro */
		assert_int_equal(from_slots(&l, r->n, v), 0);
		v[2] ^= 1; /* its objects' heads have another size */
		assert_int_equal(from_slots(&l, r->n, v), ERR_LAYOUT);
		v[2] = 2;
		assert_int_equal(from_slots(&l, r->n, v), ERR_LAYOUT);
		/* another minor version's order */
		v[2] = r->v[2];
		v[1] = r->v[1] >> 16 == 0x30d ? 0x030e00f0 : 0x030d00f0;
		assert_int_equal(from_slots(&l, SLOTS, v), ERR_LAYOUT);
	}
}

/* A release in which something was put in between: what is named moves, and what is near it moves along. */
static void test_moved(void **state)
{
	for (size_t i = 0; i < N_OF(reals); i++) {
		const struct real *r = &reals[i];
		const struct layout *row = layout_find((uint32_t)r->v[1], r->build);
		struct layout l;
		uint64_t v[SLOTS];
		memcpy(v, r->v, sizeof v);
		static const char *const moved[] = {"thread_state.status", "thread_state.current_frame",
		                                    "thread_state.thread_id", "thread_state.native_thread_id",
		                                    "thread_state.datastack_chunk"};
		for (size_t k = 0; k < N_OF(moved); k++)
			v[slot_of(r, moved[k])] += 16;
		v[slot_of(r, "thread_state.size")] += 16;
		assert_int_equal(from_slots(&l, r->n, v), 0);
		assert_int_equal(l.tstate.frame_root, row->tstate.frame_root + 16);
		assert_int_equal(l.tstate.state, row->tstate.state + 16);
		assert_int_equal(l.tstate.id, row->tstate.id + 16);
		assert_int_equal(l.tstate.datastack_top, row->tstate.datastack_top + 16);
		assert_int_equal(l.tstate.size, row->tstate.size + 16);
		/* the struct that it lies in is not one that was compiled */
		assert_int_equal(l.interp.next_version, 0);
		assert_int_equal(l.generation_kind,
		                 r->v[1] >> 16 == 0x30d ? LAYOUT_GENERATION_NONE : LAYOUT_GENERATION_DESTROYED);
	}
}

/* Where next_version is, is known of what was compiled, and of the releases between two that agree. */
static void test_next_version(void **state)
{
	static const struct {
		unsigned micro, interp, tstate, place;
	} cases[] = {
	    {0, 194968, 304, 17000},  {0, 194984, 304, 17016},  {0, 194976, 304, 17008}, /* with object lists */
	    {5, 194976, 304, 17000},                                                     /* not so */
	    {3, 194968, 304, 17000},  {3, 194976, 304, 0},      {3, 194984, 304, 0},     /* either */
	    {15, 194984, 312, 17000}, {18, 194984, 312, 17000}, {40, 194984, 312, 17000}, {18, 195000, 312, 17016},
	    {18, 194984, 304, 0},     {0, 194960, 304, 0},      {40, 195008, 312, 0},     {18, 194968, 304, 0},
	};
	const struct real *r = real_of(0x030d00f0, LAYOUT_RELEASE);
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct layout l;
		uint64_t v[SLOTS];
		memcpy(v, r->v, sizeof v);
		v[1] = 0x030d00f0 | cases[i].micro << 8;
		v[slot_of(r, "interpreter_state.size")] = cases[i].interp;
		v[slot_of(r, "thread_state.size")] = cases[i].tstate;
		assert_int_equal(from_slots(&l, r->n, v), 0);
		if (l.interp.next_version != cases[i].place)
			fail_msg("3.13.%u, %u: %u", cases[i].micro, cases[i].interp, l.interp.next_version);
		assert_int_equal(l.generation_kind, cases[i].place ? LAYOUT_GENERATION_MADE : LAYOUT_GENERATION_NONE);
		/* the sizes, but not the places */
		v[slot_of(r, "interpreter_state.imports_modules")] += 16;
		assert_int_equal(from_slots(&l, r->n, v), 0);
		assert_int_equal(l.interp.next_version, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_real),    cmocka_unit_test(test_wild_slots), cmocka_unit_test(test_wild_layouts),
	    cmocka_unit_test(test_refused), cmocka_unit_test(test_moved),      cmocka_unit_test(test_next_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

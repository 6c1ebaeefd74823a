/* layout: the table's rows, and _Py_DebugOffsets of 3.13: what is right is taken over, what is wild is refused. */
#include "pyspy-record/python/layout.h"

#include "libcommon/err.h"
#include "pyspy-record/python/walk.h"
#include "tests/unit/support_test.h"

enum { SLOTS = 584 / 8, HEX_3_13_0 = 0x030d00f0 };

/* As found in the binary of CPython 3.13.0, release build, x86_64 (the cookie stands in front). */
static const uint64_t real[SLOTS] = {
    0,      0x30d00f0, /* version */
    0,                 /* free_threaded */
    283320,            /* runtime_state.size */
    608,               /* runtime_state.finalizing */
    632,               /* runtime_state.interpreters_head */
    194968,            /* interpreter_state.size */
    7272,              /* interpreter_state.id */
    7264,              /* interpreter_state.next */
    7344,              /* interpreter_state.threads_head */
    7400,              /* interpreter_state.gc */
    7656,              /* interpreter_state.imports_modules */
    7640,              /* interpreter_state.sysdict */
    7648,              /* interpreter_state.builtins */
    16,                /* interpreter_state.ceval_gil */
    7752,              /* interpreter_state.gil_runtime_state */
    0,                 /* interpreter_state.gil_runtime_state_enabled */
    7768,              /* interpreter_state.gil_runtime_state_locked */
    7760,              /* interpreter_state.gil_runtime_state_holder */
    304,               /* thread_state.size */
    0,                 /* thread_state.prev */
    8,                 /* thread_state.next */
    16,                /* thread_state.interp */
    72,                /* thread_state.current_frame */
    152,               /* thread_state.thread_id */
    160,               /* thread_state.native_thread_id */
    232,               /* thread_state.datastack_chunk */
    32,                /* thread_state.status */
    80,                /* interpreter_frame.size */
    8,                 /* interpreter_frame.previous */
    0,                 /* interpreter_frame.executable */
    56,                /* interpreter_frame.instr_ptr */
    72,                /* interpreter_frame.localsplus */
    70,                /* interpreter_frame.owner */
    208,               /* code_object.size */
    112,               /* code_object.filename */
    120,               /* code_object.name */
    128,               /* code_object.qualname */
    136,               /* code_object.linetable */
    68,                /* code_object.firstlineno */
    52,                /* code_object.argcount */
    96,                /* code_object.localsplusnames */
    104,               /* code_object.localspluskinds */
    200,               /* code_object.co_code_adaptive */
    16,                /* pyobject.size */
    8,                 /* pyobject.ob_type */
    416,               /* type_object.size */
    24,                /* type_object.tp_name */
    88,                /* type_object.tp_repr */
    168,               /* type_object.tp_flags */
    32,                /* tuple_object.size */
    24,                /* tuple_object.ob_item */
    16,                /* tuple_object.ob_size */
    40,                /* list_object.size */
    24,                /* list_object.ob_item */
    16,                /* list_object.ob_size */
    48,                /* dict_object.size */
    32,                /* dict_object.ma_keys */
    40,                /* dict_object.ma_values */
    24,                /* float_object.size */
    16,                /* float_object.ob_fval */
    32,                /* long_object.size */
    16,                /* long_object.lv_tag */
    24,                /* long_object.ob_digit */
    40,                /* bytes_object.size */
    16,                /* bytes_object.ob_size */
    32,                /* bytes_object.ob_sval */
    64,                /* unicode_object.size */
    32,                /* unicode_object.state */
    16,                /* unicode_object.length */
    40,                /* unicode_object.asciiobject_size */
    240,               /* gc.size */
    200,               /* gc.collecting */
};

static void make_raw(uint8_t *raw, const uint64_t *slots)
{
	memcpy(raw, slots, (SLOTS * 8));
	memcpy(raw, "xdebugpy", 8);
}

static int from_slots(struct layout *l, const uint64_t *slots)
{
	uint8_t *raw = malloc((SLOTS * 8)); /* exactly: nothing behind it is read */
	make_raw(raw, slots);
	memset(l, 0x5a, sizeof *l);
	int rc = layout_from_debug_offsets(l, raw);
	free(raw);
	return rc;
}

static void test_find(void **state)
{
	static const struct {
		uint32_t hex;
		unsigned minor; /* 0 = none */
	} cases[] = {
	    {0x030b00f0, 11}, {0x030b02f0, 11}, {0x030b0ef0, 11}, {0x030c00f0, 12}, {0x030c01f0, 12}, {0x030cfff0, 12},
	    {0x030d00f0, 13}, {0x030d12f0, 13}, {0x030a0df0, 0},  {0x030e00f0, 0},  {0x030e0af0, 0},  {0x030800f0, 0},
	    {0x02071200, 0},  {0x040b00f0, 0},  {0, 0},           {0xffffffff, 0},
	};
	for (size_t i = 0; i < N_OF(cases); i++) {
		const struct layout *l = layout_find(cases[i].hex, LAYOUT_RELEASE);
		assert_int_equal(l ? layout_minor(l) & 255 : 0, cases[i].minor);
		if (!l)
			continue;
		assert_int_equal(l->frame_root, cases[i].minor == 13 ? LAYOUT_ROOT_TSTATE : LAYOUT_ROOT_CFRAME);
		assert_int_equal(l->gil_kind, cases[i].minor == 11   ? LAYOUT_GIL_CURRENT
		                              : cases[i].minor == 12 ? LAYOUT_GIL_STATUS
		                                                     : LAYOUT_GIL_STATE);
		assert_int_equal(l->code.version != 0, cases[i].minor >= 12);
		assert_int_equal(l->interp.next_version != 0, cases[i].minor == 13);
	}
}

/* The offsets of 3.13.0 give the table's row of 3.13.0, in every field. */
static void test_real(void **state)
{
	struct layout l;
	assert_int_equal(from_slots(&l, real), 0);
	const struct layout *row = layout_find(HEX_3_13_0, LAYOUT_RELEASE);
	assert_non_null(row);
	const uint32_t *a = (const uint32_t *)&l, *b = (const uint32_t *)row;
	for (size_t i = 0; i < offsetof(struct layout, integer.tag_has_count) / 4; i++)
		if (a[i] != b[i])
			fail_msg("word %zu of struct layout: %u, in the table %u", i, a[i], b[i]);
	assert_int_equal(l.integer.tag_has_count, row->integer.tag_has_count);
}

/* Is all that is read of a struct inside of it, and inside of the room that we keep for it? NULL, or what is not. */
static const char *wild(const struct layout *l, const uint64_t *v)
{
	uint64_t runtime = v[3], interp = v[6], type = v[46], unicode = v[67];
	const struct {
		const char *what;
		uint64_t at, bytes, size;
	} fields[] = {
	    {"interpreters_head", l->runtime.interpreters_head, 8, runtime},
	    {"interp.next", l->interp.next, 8, interp},
	    {"interp.id", l->interp.id, 8, interp},
	    {"interp.threads_head", l->interp.threads_head, 8, interp},
	    {"interp.modules", l->interp.modules, 8, interp},
	    {"interp.sysdict", l->interp.sysdict, 8, interp},
	    {"interp.gc_collecting", l->interp.gc_collecting, 4, interp},
	    {"interp.gil", l->interp.gil, 8, interp},
	    {"interp.own_gil", l->interp.own_gil, 4, interp},
	    {"interp.next_version", l->interp.next_version, 4, interp},
	    {"tstate.next", l->tstate.next, 8, l->tstate.size},
	    {"tstate.interp", l->tstate.interp, 8, l->tstate.size},
	    {"tstate.frame_root", l->tstate.frame_root, 8, l->tstate.size},
	    {"tstate.status", l->tstate.status, 4, l->tstate.size},
	    {"tstate.state", l->tstate.state, 4, l->tstate.size},
	    {"tstate.thread_id", l->tstate.thread_id, 8, l->tstate.size},
	    {"tstate.native_thread_id", l->tstate.native_thread_id, 8, l->tstate.size},
	    {"tstate.datastack_chunk", l->tstate.datastack_chunk, 8, l->tstate.size},
	    {"tstate.datastack_top", l->tstate.datastack_top, 8, l->tstate.size},
	    {"tstate", 0, l->tstate.size, WALK_TSTATE},
	    {"frame.previous", l->frame.previous, 8, l->frame.size},
	    {"frame.code", l->frame.code, 8, l->frame.size},
	    {"frame.globals", l->frame.globals, 8, l->frame.size},
	    {"frame.instr", l->frame.instr, 8, l->frame.size},
	    {"frame.owner", l->frame.owner, 1, l->frame.size},
	    {"frame", 0, l->frame.size, WALK_PIECE},
	    {"code.flags", l->code.flags, 4, l->code.size},
	    {"code.first_line", l->code.first_line, 4, l->code.size},
	    {"code.version", l->code.version, 4, l->code.size},
	    {"code.filename", l->code.filename, 8, l->code.size},
	    {"code.name", l->code.name, 8, l->code.size},
	    {"code.qualname", l->code.qualname, 8, l->code.size},
	    {"code.linetable", l->code.linetable, 8, l->code.size},
	    {"code.first_traceable", l->code.first_traceable, 4, l->code.size},
	    {"code.code_adaptive", l->code.code_adaptive, 1, l->code.size},
	    {"code", 0, l->code.size, 256},
	    {"unicode.length", l->unicode.length, 8, l->unicode.ascii_size},
	    {"unicode.state", l->unicode.state, 4, l->unicode.ascii_size},
	    {"unicode", 0, l->unicode.ascii_size, 64},
	    {"unicode.data", l->unicode.data, 8, unicode},
	    {"bytes.ob_size", l->bytes.ob_size, 8, 64},
	    {"bytes.ob_sval", l->bytes.ob_sval, 1, 64},
	    {"dict.keys", l->dict.keys, 8, 64},
	    {"dict.values", l->dict.values, 8, 64},
	    {"list.ob_size", l->list.ob_size, 8, 256},
	    {"list.ob_item", l->list.ob_item, 8, 256},
	    {"type.name", l->type.name, 8, type},
	    {"type.basicsize", l->type.basicsize, 8, type},
	    {"type.flags", l->type.flags, 8, type},
	    {"type.dictoffset", l->type.dictoffset, 8, type},
	    {"integer.tag", l->integer.tag, 8, 40},
	    {"integer.digit", l->integer.digit, 4, 40},
	};
	for (size_t i = 0; i < N_OF(fields); i++)
		if (fields[i].at + fields[i].bytes > fields[i].size)
			return fields[i].what;
	return NULL;
}

static void test_wild_slots(void **state)
{
	static const unsigned sizes[] = {3,  6,  19, 28, 36, 46,
	                                 53, 56, 61, 64, 67, 70}; /* slots that are sizes of structs */
	uint64_t around[160], v[SLOTS];
	unsigned n_refused = 0;
	struct layout l;
	for (unsigned slot = 3; slot < SLOTS; slot++) {
		size_t n = 0;
		for (unsigned k = 0; k < 32;
		     k++) /* all that is near to zero from below, and what wraps around when added */
			around[n++] = 0 - (uint64_t)k;
		for (unsigned k = 0; k < 8; k++)
			around[n++] = real[slot] + (k < 4 ? 1 + k : 4 + 8 * (k - 4));
		static const uint64_t more[] = {1,          2,
		                                7,          8,
		                                56,         64,
		                                72,         80,
		                                96,         128,
		                                152,        255,
		                                256,        392,
		                                400,        512,
		                                1000,       2048,
		                                4088,       4096,
		                                65536,      4194296,
		                                4194304,    1u << 31,
		                                1ull << 32, (1ull << 32) + 8,
		                                1ull << 63};
		for (size_t k = 0; k < N_OF(more) && n < N_OF(around); k++)
			around[n++] = more[k];
		for (size_t k = 0; k < N_OF(sizes); k++) /* the ends of structs */
			for (unsigned before = 0; before < 32 && n < N_OF(around); before += 4)
				around[n++] = real[sizes[k]] - before;
		for (size_t k = 0; k < n; k++) {
			memcpy(v, real, sizeof v);
			v[slot] = around[k];
			int rc = from_slots(&l, v);
			n_refused += rc != 0;
			if (rc != 0)
				assert_int_equal(rc, ERR_LAYOUT);
			else if (wild(&l, v))
				fail_msg("slot %u = %#llx was taken: %s is outside", slot,
				         (unsigned long long)around[k], wild(&l, v));
		}
	}
	assert_true(n_refused > 1000);
}

/* Several slots at once. */
static void test_wild_layouts(void **state)
{
	static const uint64_t values[] = {0,   8,   16,   24,   32,       40,      48,
	                                  56,  64,  69,   72,   80,       96,      200,
	                                  208, 256, 4096, 7272, 1u << 20, 4 << 20, UINT64_MAX - 7};
	uint64_t seed = 9, v[SLOTS];
	unsigned n_taken = 0;
	struct layout l;
	for (unsigned round = 0; round < 200000; round++) {
		memcpy(v, real, sizeof v);
		for (unsigned n = 1 + round % 4; n > 0; n--) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			v[3 + (seed >> 33) % (SLOTS - 3)] = values[(seed >> 20 & 0xfff) % N_OF(values)];
		}
		if (from_slots(&l, v) != 0)
			continue;
		n_taken++;
		if (wild(&l, v))
			fail_msg("round %u: %s is outside", round, wild(&l, v));
	}
	assert_true(n_taken > 1000);
}

static void test_refused(void **state)
{
	struct layout l;
	uint64_t v[SLOTS];
	uint8_t raw[(SLOTS * 8)];
	for (unsigned i = 0; i < 8; i++) {
		make_raw(raw, real);
		raw[i] ^= 1;
		assert_int_equal(layout_from_debug_offsets(&l, raw), ERR_LAYOUT);
	}
	static const uint64_t versions[] = {0, 0x030c01f0, 0x030e00f0, 0x030f00f0, 0x1030d00f0, 0xffffffff030d00f0};
	for (size_t i = 0; i < N_OF(versions); i++) {
		memcpy(v, real, sizeof v);
		v[1] = versions[i];
		assert_int_equal(from_slots(&l, v), ERR_LAYOUT);
	}
	memcpy(v, real, sizeof v);
	v[1] = 0x030d12f0; /* another micro */
	assert_int_equal(from_slots(&l, v), 0);
	v[2] = 1;
	assert_int_equal(from_slots(&l, v), ERR_UNSUPPORTED);
	v[2] = 1ull << 40;
	assert_int_equal(from_slots(&l, v), ERR_UNSUPPORTED);
}

/* 3.13.18's thread state and interpreter are larger, the collector's part has other sizes. What the offsets do not
 * name is only taken from the table where what is around it has not moved. */
static void test_other_sizes(void **state)
{
	struct layout l;
	uint64_t v[SLOTS];
	memcpy(v, real, sizeof v);
	v[6] += 16; /* interpreter */
	v[19] += 8; /* thread state */
	assert_int_equal(from_slots(&l, v), 0);
	assert_int_equal(l.tstate.size, real[19] + 8);
	assert_int_equal(l.interp.next_version, layout_find(HEX_3_13_0, LAYOUT_RELEASE)->interp.next_version);
	v[11] += 16; /* modules */
	assert_int_equal(from_slots(&l, v), 0);
	assert_int_equal(l.interp.modules, real[11] + 16);
	assert_int_equal(l.interp.next_version, 0);
	memcpy(v, real, sizeof v);
	v[23] += 8; /* current_frame */
	assert_int_equal(from_slots(&l, v), 0);
	assert_int_equal(l.tstate.frame_root, real[23] + 8);
	v[26] = 240; /* datastack_chunk: the top lies behind it */
	assert_int_equal(from_slots(&l, v), 0);
	assert_int_equal(l.tstate.datastack_top, 248);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find),         cmocka_unit_test(test_real),    cmocka_unit_test(test_wild_slots),
	    cmocka_unit_test(test_wild_layouts), cmocka_unit_test(test_refused), cmocka_unit_test(test_other_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* _Py_DebugOffsets (3.13 and later): the target itself says where its fields are. Nothing of it is trusted: each value
 * must lie inside of the struct that it belongs to, whose size must be likely, and the whole must be sane. What is not
 * in it comes from the table, and moves along with what is near it.
 *
 * Source: Include/internal/pycore_debug_offsets.h (3.13: pycore_runtime.h); the order of the slots as read from
 * binaries.
 */
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-record/python/layout.h"

enum { SLOTS_MAX = LAYOUT_OFFSETS_MAX / 8, SLOT_VERSION = 1, SLOT_FREE_THREADED = 2 };

static const struct order {
	uint32_t minor; /* 0x30d = 3.13 */
	uint32_t n;
	const char *names[SLOTS_MAX];
} orders[] = {
#include "pyspy-record/python/layout_offsets.inc"
};

/* 3.13: where func_state.next_version is, in what was compiled. */
static const struct generation {
	uint32_t hex; /* PY_VERSION_HEX */
	bool is_freethreaded;
	uint32_t interp_size, tstate_size, next_version;
} generations[] = {
#include "pyspy-record/python/layout_generation.inc"
};

struct rule {
	const char *slot, *inside; /* the value + bytes must lie inside of the struct whose size is in slot `inside` */
	uint32_t bytes;
	size_t target; /* offset in struct layout of the uint32_t to set */
};
#define RULE(slot, inside, bytes, member)                                                                              \
	{                                                                                                              \
		slot, inside ".size", bytes, offsetof(struct layout, member)                                           \
	}

static const struct rule rules[] = {
    RULE("runtime_state.interpreters_head", "runtime_state", 8, runtime.interpreters_head),
    RULE("interpreter_state.id", "interpreter_state", 8, interp.id),
    RULE("interpreter_state.next", "interpreter_state", 8, interp.next),
    RULE("interpreter_state.threads_head", "interpreter_state", 8, interp.threads_head),
    RULE("interpreter_state.imports_modules", "interpreter_state", 8, interp.modules),
    RULE("interpreter_state.sysdict", "interpreter_state", 8, interp.sysdict),
    RULE("interpreter_state.ceval_gil", "interpreter_state", 16, interp.gil),
    RULE("interpreter_state.code_object_generation", "interpreter_state", 8, interp.code_generation),
    RULE("interpreter_state.tlbc_generation", "interpreter_state", 4, interp.copies_generation),
    RULE("thread_state.next", "thread_state", 8, tstate.next),
    RULE("thread_state.interp", "thread_state", 8, tstate.interp),
    RULE("thread_state.current_frame", "thread_state", 8, tstate.frame_root),
    RULE("thread_state.thread_id", "thread_state", 8, tstate.thread_id),
    RULE("thread_state.native_thread_id", "thread_state", 8, tstate.native_thread_id),
    RULE("thread_state.datastack_chunk", "thread_state", 16, tstate.datastack_chunk),
    RULE("thread_state.status", "thread_state", 24, tstate.status),
    RULE("interpreter_frame.previous", "interpreter_frame", 24, frame.previous),
    RULE("interpreter_frame.executable", "interpreter_frame", 8, frame.code),
    RULE("interpreter_frame.instr_ptr", "interpreter_frame", 8, frame.instr),
    RULE("interpreter_frame.owner", "interpreter_frame", 1, frame.owner),
    RULE("interpreter_frame.tlbc_index", "interpreter_frame", 4, frame.tlbc_index),
    RULE("code_object.filename", "code_object", 8, code.filename),
    RULE("code_object.name", "code_object", 8, code.name),
    RULE("code_object.qualname", "code_object", 8, code.qualname),
    RULE("code_object.linetable", "code_object", 8, code.linetable),
    RULE("code_object.firstlineno", "code_object", 4, code.first_line),
    RULE("code_object.co_code_adaptive", "code_object", 1, code.code_adaptive),
    RULE("code_object.co_tlbc", "code_object", 8, code.tlbc),
    RULE("pyobject.ob_type", "pyobject", 8, object.type),
    RULE("type_object.tp_name", "type_object", 8, type.name),
    RULE("type_object.tp_flags", "type_object", 8, type.flags),
    RULE("type_object.tp_basicsize", "type_object", 8, type.basicsize),
    RULE("type_object.tp_dictoffset", "type_object", 8, type.dictoffset),
    RULE("heap_type_object.ht_cached_keys", "heap_type_object", 8, type.cached_keys),
    RULE("list_object.ob_item", "list_object", 8, list.ob_item),
    RULE("list_object.ob_size", "list_object", 8, list.ob_size),
    RULE("tuple_object.ob_item", "tuple_object", 8, tuple.ob_item),
    RULE("tuple_object.ob_size", "tuple_object", 8, tuple.ob_size),
    RULE("dict_object.ma_keys", "dict_object", 8, dict.keys),
    RULE("dict_object.ma_values", "dict_object", 8, dict.values),
    RULE("long_object.lv_tag", "long_object", 8, integer.tag),
    RULE("long_object.ob_digit", "long_object", 4, integer.digit),
    RULE("bytes_object.ob_size", "bytes_object", 8, bytes.ob_size),
    RULE("bytes_object.ob_sval", "bytes_object", 1, bytes.ob_sval),
    {"unicode_object.state", "unicode_object.asciiobject_size", 4, offsetof(struct layout, unicode.state)},
    {"unicode_object.length", "unicode_object.asciiobject_size", 8, offsetof(struct layout, unicode.length)},
};

/* Sizes of structs, the least and the most that is likely. */
struct size_rule {
	const char *slot;
	uint32_t least, most;
};
static const struct size_rule sizes[] = {
    {"runtime_state.size", 1024, LAYOUT_INTERP_MAX},
    {"interpreter_state.size", 1024, LAYOUT_INTERP_MAX},
    {"thread_state.size", 200, 4096},
    {"code_object.size", 160, LAYOUT_CODE_MAX},
    {"pyobject.size", 16, 48},
    {"type_object.size", 300, LAYOUT_TYPE_MAX},
    {"unicode_object.size", 48, 256},
    {"list_object.size", 32, 256},
    {"tuple_object.size", 24, 64},
    {"dict_object.size", 40, 96},
    {"long_object.size", 24, 64},
    {"bytes_object.size", 32, 96},
    {"unicode_object.asciiobject_size", 32, 96},
};

static const struct order *order_of(uint32_t version_hex)
{
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
		if (orders[i].minor == version_hex >> 16)
			return &orders[i];
	return NULL;
}

size_t layout_offsets_size(uint32_t version_hex)
{
	const struct order *o = order_of(version_hex);
	return o ? o->n * 8 : 0;
}

/* The slot's value; false when this version has no such slot. */
static bool slot(const struct order *o, const uint64_t *v, const char *name, uint64_t *value)
{
	for (uint32_t i = 0; i < o->n; i++)
		if (strcmp(o->names[i], name) == 0) {
			*value = v[i];
			return true;
		}
	return false;
}

static int check_sizes(const struct order *o, const uint64_t *v, const struct layout *row)
{
	uint64_t value;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (!slot(o, v, sizes[i].slot, &value) || value < sizes[i].least || value > sizes[i].most)
			return ERR_LAYOUT;
	if (slot(o, v, "heap_type_object.size", &value) && (value < 300 || value > LAYOUT_TYPE_MAX))
		return ERR_LAYOUT;
	/* what the walk takes from the table lies in these */
	if (!slot(o, v, "interpreter_frame.size", &value) || value != row->frame.size)
		return ERR_LAYOUT;
	if (!slot(o, v, "pyobject.size", &value) || value != row->object.size)
		return ERR_LAYOUT;
	return 0;
}

static int follow_rules(const struct order *o, const uint64_t *v, struct layout *l)
{
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const struct rule *r = &rules[i];
		uint32_t *to = (uint32_t *)((char *)l + r->target);
		uint64_t value, size;
		if (!slot(o, v, r->slot, &value)) /* not in this version: the table's, or none */
			continue;
		if (!slot(o, v, r->inside, &size) || value > size || r->bytes > size - value ||
		    (r->bytes >= 8 && value % 8 != 0))
			return ERR_LAYOUT;
		if (value == 0 && *to == 0) /* builds without it say 0 */
			continue;
		*to = (uint32_t)value;
	}
	return 0;
}

/* A field of a struct inside of the interpreter's: `outer` is its place, `inner` the field's in it. */
static int find_inner(const struct order *o, const uint64_t *v, const char *outer, const char *inner, uint64_t *at)
{
	uint64_t a, b, size;
	if (!slot(o, v, outer, &a) || !slot(o, v, inner, &b) || !slot(o, v, "interpreter_state.size", &size) ||
	    a > size || b > size || a + b + 4 > size)
		return ERR_LAYOUT;
	*at = a + b;
	return 0;
}

/* The GIL's fields are told as offsets in the interpreter that holds it, whose own it is. */
static int find_gil(const struct order *o, const uint64_t *v, struct layout *l)
{
	uint64_t gil, holder, locked, size;
	if (!slot(o, v, "interpreter_state.gil_runtime_state", &gil) ||
	    !slot(o, v, "interpreter_state.gil_runtime_state_holder", &holder) ||
	    !slot(o, v, "interpreter_state.gil_runtime_state_locked", &locked) ||
	    !slot(o, v, "interpreter_state.size", &size))
		return ERR_LAYOUT;
	if (gil > size || l->gil.size > size - gil || holder < gil || locked < gil || holder - gil > l->gil.size ||
	    locked - gil > l->gil.size)
		return ERR_LAYOUT;
	l->gil.last_holder = (uint32_t)(holder - gil);
	l->gil.locked = (uint32_t)(locked - gil);
	return 0;
}

/* Where the fields that the offsets do not name lie: as far from those that they do as in the table. */
static void move_along(const struct order *o, const uint64_t *v, struct layout *l, const struct layout *row)
{
	uint64_t unused;
	l->interp.own_gil = l->interp.gil + (row->interp.own_gil - row->interp.gil);
	l->tstate.state = l->tstate.status + (row->tstate.state - row->tstate.status);
	l->tstate.datastack_top = l->tstate.datastack_chunk + (row->tstate.datastack_top - row->tstate.datastack_chunk);
	l->tstate.id = l->tstate.native_thread_id + (row->tstate.id - row->tstate.native_thread_id);
	l->frame.globals = l->frame.previous + (row->frame.globals - row->frame.previous);
	l->code.first_traceable = l->code.code_adaptive - (row->code.code_adaptive - row->code.first_traceable);
	l->code.version = l->code.linetable - (row->code.linetable - row->code.version);
	l->code.flags = l->code.first_line - (row->code.first_line - row->code.flags);
	l->code.ident_end = l->code.linetable + 8;
	l->code.ident_skip = l->code.flags + (row->code.ident_skip - row->code.flags);
	l->unicode.compact_size = l->unicode.ascii_size + (row->unicode.compact_size - row->unicode.ascii_size);
	l->unicode.data = l->unicode.ascii_size + (row->unicode.data - row->unicode.ascii_size);
	if (slot(o, v, "type_object.tp_basicsize", &unused))
		return;
	l->type.basicsize = l->type.name + (row->type.basicsize - row->type.name);
	l->type.dictoffset = l->type.flags + (row->type.dictoffset - row->type.flags);
}

/* Is all that was moved along inside of the structs too, as large as the target says that they are? */
static int check_ends(const struct order *o, const uint64_t *v, const struct layout *l)
{
	const struct {
		const char *size;
		uint64_t end;
	} ends[] = {
	    {"thread_state.size", l->tstate.size},
	    {"interpreter_state.size", (uint64_t)l->interp.own_gil + 4},
	    {"interpreter_frame.size", (uint64_t)l->frame.globals + 8},
	    {"type_object.size", (uint64_t)l->type.basicsize + 8},
	    {"type_object.size", (uint64_t)l->type.dictoffset + 8},
	    {"unicode_object.size", (uint64_t)l->unicode.data + 8},
	};
	uint64_t size;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (!slot(o, v, ends[i].size, &size) || ends[i].end > size)
			return ERR_LAYOUT;
	return 0;
}

/* The next of the versions of which a build was compiled that is not above (below: not below) this one; 0 = none. */
static uint32_t compiled_next(uint32_t version_hex, bool below)
{
	uint32_t found = 0;
	for (size_t i = 0; i < sizeof generations / sizeof *generations; i++) {
		uint32_t hex = generations[i].hex;
		if (hex >> 16 == version_hex >> 16 && (below ? hex <= version_hex : hex >= version_hex) &&
		    (!found || (below ? hex > found : hex < found)))
			found = hex;
	}
	return found;
}

/* The place of next_version is known by the sizes of two structs, from the compiled versions next to this one. Where
 * builds that look alike disagree, or none looks like this one, it is not known: 0. */
static uint32_t find_next_version(uint32_t version_hex, bool is_freethreaded, uint64_t interp_size,
                                  uint64_t tstate_size)
{
	uint32_t before = compiled_next(version_hex, true), after = compiled_next(version_hex, false), found = 0;
	for (size_t i = 0; i < sizeof generations / sizeof *generations; i++) {
		const struct generation *g = &generations[i];
		if ((g->hex != before && g->hex != after) || g->is_freethreaded != is_freethreaded ||
		    g->interp_size != interp_size || g->tstate_size != tstate_size)
			continue;
		if (found && found != g->next_version)
			return 0;
		found = g->next_version;
	}
	return found;
}

static void find_generation(const struct order *o, const uint64_t *v, struct layout *l, const struct layout *row)
{
	uint64_t interp_size = 0, tstate_size = 0;
	if (l->generation_kind != LAYOUT_GENERATION_MADE)
		return;
	slot(o, v, "interpreter_state.size", &interp_size);
	slot(o, v, "thread_state.size", &tstate_size);
	l->interp.next_version =
	    find_next_version((uint32_t)v[SLOT_VERSION], v[SLOT_FREE_THREADED], interp_size, tstate_size);
	/* sizes may be alike by accident: what is around it must lie where it does in the table, too */
	if (l->code.size != row->code.size || l->code.linetable != row->code.linetable ||
	    l->interp.threads_head != row->interp.threads_head || l->interp.modules != row->interp.modules)
		l->interp.next_version = 0;
	if (!l->interp.next_version)
		l->generation_kind = LAYOUT_GENERATION_NONE;
}

int layout_from_debug_offsets(struct layout *l, const uint8_t *raw)
{
	uint64_t head[3], v[SLOTS_MAX], at;
	memcpy(head, raw, sizeof head);
	const struct order *o = order_of((uint32_t)head[SLOT_VERSION]);
	if (memcmp(raw, "xdebugpy", 8) != 0 || head[SLOT_VERSION] >> 32 != 0 || head[SLOT_FREE_THREADED] > 1)
		return ERR_LAYOUT;
	const struct layout *row =
	    layout_find((uint32_t)head[SLOT_VERSION], head[SLOT_FREE_THREADED] ? LAYOUT_FREETHREADED : LAYOUT_RELEASE);
	if (!o || !row)
		return ERR_UNSUPPORTED;
	memcpy(v, raw, o->n * 8);
	*l = *row;
	TRY(check_sizes(o, v, row));
	TRY(follow_rules(o, v, l));
	TRY(find_inner(o, v, "interpreter_state.gc", "gc.collecting", &at));
	l->interp.gc_collecting = (uint32_t)at;
	TRY(find_gil(o, v, l));
	slot(o, v, "unicode_object.asciiobject_size", &at);
	l->unicode.ascii_size = (uint32_t)at;
	slot(o, v, "code_object.size", &at);
	l->code.size = (uint32_t)at;
	move_along(o, v, l, row);
	if (slot(o, v, "unicode_object.compactunicodeobject_size", &at)) {
		if (at > LAYOUT_STR_MAX)
			return ERR_LAYOUT;
		l->unicode.compact_size = l->unicode.data = (uint32_t)at;
	}
	find_generation(o, v, l, row);
	layout_finish(l);
	TRY(check_ends(o, v, l));
	return layout_insane(l) ? ERR_LAYOUT : 0;
}

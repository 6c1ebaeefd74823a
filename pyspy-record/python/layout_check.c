/* Is a layout one that nothing wild is read with? The readers' rooms are those of layout.h. */
#include "pyspy-record/python/layout.h"

enum group {
	RUNTIME,
	INTERP,
	TSTATE,
	GIL,
	CFRAME,
	FRAME,
	OBJECT,
	CODE,
	STR,
	BYTES,
	DICT,
	KEYS,
	LIST,
	TUPLE,
	TYPE,
	MODULE,
	INTEGER,
	SMALL_INTEGER, /* int of 2.x */
	GROUPS
};
enum { SIZE = 100, INSTR = 101 }; /* bytes of a field that depend on the version */
enum { FRAME_OBJECT_MAX = 1024 };
enum need { ALWAYS, NOT_ALWAYS };

static const struct field {
	const char *name;
	enum group group;
	uint32_t bytes;
	enum need need; /* NOT_ALWAYS: 0 says that there is none */
	size_t member;
} fields[] = {
#define FIELD(group, bytes, need, member)                                                                              \
	{                                                                                                              \
#member, group, bytes, need, offsetof(struct layout, member)                                           \
	}
    FIELD(RUNTIME, 8, NOT_ALWAYS, runtime.interpreters_head),
    FIELD(RUNTIME, 8, NOT_ALWAYS, runtime.gil_current),
    FIELD(RUNTIME, 8, NOT_ALWAYS, runtime.gil),
    FIELD(RUNTIME, 4, NOT_ALWAYS, runtime.gc_collecting),
    FIELD(INTERP, 8, ALWAYS, interp.next),
    FIELD(INTERP, 8, NOT_ALWAYS, interp.id),
    FIELD(INTERP, 8, ALWAYS, interp.threads_head),
    FIELD(INTERP, 8, ALWAYS, interp.modules),
    FIELD(INTERP, 8, ALWAYS, interp.sysdict),
    FIELD(INTERP, 4, NOT_ALWAYS, interp.gc_collecting),
    FIELD(INTERP, 8, NOT_ALWAYS, interp.gil),
    FIELD(INTERP, 4, NOT_ALWAYS, interp.own_gil),
    FIELD(INTERP, 4, NOT_ALWAYS, interp.next_version),
    FIELD(INTERP, 8, NOT_ALWAYS, interp.code_generation),
    FIELD(INTERP, 4, NOT_ALWAYS, interp.copies_generation),
    FIELD(TSTATE, 8, ALWAYS, tstate.next),
    FIELD(TSTATE, 8, ALWAYS, tstate.interp),
    FIELD(TSTATE, 8, ALWAYS, tstate.frame_root),
    FIELD(TSTATE, 8, NOT_ALWAYS, tstate.cframe),
    FIELD(TSTATE, 4, NOT_ALWAYS, tstate.status),
    FIELD(TSTATE, 4, NOT_ALWAYS, tstate.state),
    FIELD(TSTATE, 8, NOT_ALWAYS, tstate.id),
    FIELD(TSTATE, 8, ALWAYS, tstate.thread_id),
    FIELD(TSTATE, 8, NOT_ALWAYS, tstate.native_thread_id),
    FIELD(TSTATE, 8, NOT_ALWAYS, tstate.datastack_chunk),
    FIELD(TSTATE, 8, NOT_ALWAYS, tstate.datastack_top),
    FIELD(GIL, 8, NOT_ALWAYS, gil.last_holder),
    FIELD(GIL, 4, NOT_ALWAYS, gil.locked),
    FIELD(GIL, 4, NOT_ALWAYS, gil.enabled),
    FIELD(CFRAME, 8, NOT_ALWAYS, cframe.current_frame),
    FIELD(CFRAME, 8, NOT_ALWAYS, cframe.previous),
    FIELD(FRAME, 8, ALWAYS, frame.previous),
    FIELD(FRAME, 8, ALWAYS, frame.code),
    FIELD(FRAME, 8, ALWAYS, frame.globals),
    FIELD(FRAME, INSTR, ALWAYS, frame.instr),
    FIELD(FRAME, 1, NOT_ALWAYS, frame.owner),
    FIELD(FRAME, 1, NOT_ALWAYS, frame.is_entry),
    FIELD(FRAME, 4, NOT_ALWAYS, frame.tlbc_index),
    FIELD(OBJECT, 8, ALWAYS, object.type),
    FIELD(CODE, 4, ALWAYS, code.flags),
    FIELD(CODE, 4, ALWAYS, code.first_line),
    FIELD(CODE, 4, NOT_ALWAYS, code.version),
    FIELD(CODE, 8, ALWAYS, code.filename),
    FIELD(CODE, 8, ALWAYS, code.name),
    FIELD(CODE, 8, ALWAYS, code.qualname),
    FIELD(CODE, 8, ALWAYS, code.linetable),
    FIELD(CODE, 4, NOT_ALWAYS, code.first_traceable),
    FIELD(CODE, 1, NOT_ALWAYS, code.code_adaptive),
    FIELD(CODE, 8, NOT_ALWAYS, code.ob_size),
    FIELD(CODE, 8, NOT_ALWAYS, code.bytecode),
    FIELD(CODE, 8, NOT_ALWAYS, code.tlbc),
    FIELD(STR, SIZE, ALWAYS, unicode.length),
    FIELD(STR, 4, NOT_ALWAYS, unicode.state),
    FIELD(STR, 8, ALWAYS, unicode.data),
    FIELD(BYTES, SIZE, ALWAYS, bytes.ob_size),
    FIELD(BYTES, 1, ALWAYS, bytes.ob_sval),
    FIELD(DICT, 8, NOT_ALWAYS, dict.keys),
    FIELD(DICT, 8, NOT_ALWAYS, dict.values),
    FIELD(DICT, SIZE, NOT_ALWAYS, dict.mask),
    FIELD(DICT, 8, NOT_ALWAYS, dict.table),
    FIELD(KEYS, 8, NOT_ALWAYS, keys.slots),
    FIELD(KEYS, 1, NOT_ALWAYS, keys.log2_size),
    FIELD(KEYS, 1, NOT_ALWAYS, keys.log2_index_bytes),
    FIELD(KEYS, 1, NOT_ALWAYS, keys.kind),
    FIELD(KEYS, 8, NOT_ALWAYS, keys.n_entries),
    FIELD(LIST, SIZE, ALWAYS, list.ob_size),
    FIELD(LIST, 8, ALWAYS, list.ob_item),
    FIELD(TUPLE, SIZE, ALWAYS, tuple.ob_size),
    FIELD(TUPLE, 8, ALWAYS, tuple.ob_item),
    FIELD(TYPE, 8, ALWAYS, type.name),
    FIELD(TYPE, SIZE, ALWAYS, type.basicsize),
    FIELD(TYPE, 8, ALWAYS, type.flags),
    FIELD(TYPE, SIZE, ALWAYS, type.dictoffset),
    FIELD(TYPE, 8, NOT_ALWAYS, type.cached_keys),
    FIELD(MODULE, 8, ALWAYS, module.dict),
    FIELD(SMALL_INTEGER, 8, NOT_ALWAYS, integer.value),
    FIELD(INTEGER, SIZE, ALWAYS, integer.tag),
    FIELD(INTEGER, 4, ALWAYS, integer.digit),
#undef FIELD
};
enum { N_FIELDS = sizeof fields / sizeof *fields };

static uint32_t least_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Of a struct, as far as it is read: where its fields may begin, and where they must end. */
static void find_bounds(const struct layout *l, enum group g, uint32_t *from, uint32_t *to)
{
	uint32_t in_frame = l->frame.size > l->frame.first ? l->frame.size - l->frame.first : 0;
	uint32_t entries = l->keys.indices ? l->keys.indices : l->keys.entries;
	const uint32_t ends[GROUPS] = {
	    [RUNTIME] = LAYOUT_INTERP_MAX,
	    [INTERP] = LAYOUT_INTERP_MAX,
	    [TSTATE] = least_of(l->tstate.size, LAYOUT_TSTATE_MAX),
	    [GIL] = least_of(l->gil.size, LAYOUT_GIL_MAX),
	    [CFRAME] = least_of(l->cframe.size, LAYOUT_FRAME_MAX),
	    [FRAME] = least_of(in_frame, LAYOUT_FRAME_MAX),
	    [OBJECT] = l->object.size,
	    [CODE] = least_of(l->code.size, LAYOUT_CODE_MAX),
	    [STR] = l->is_python2 ? LAYOUT_HEAD_MAX : LAYOUT_STR_MAX,
	    [BYTES] = LAYOUT_HEAD_MAX,
	    [DICT] = LAYOUT_HEAD_MAX,
	    [KEYS] = least_of(entries ? entries : LAYOUT_KEYS_MAX, LAYOUT_KEYS_MAX),
	    [LIST] = LAYOUT_HEAD_MAX,
	    [TUPLE] = LAYOUT_HEAD_MAX,
	    [TYPE] = LAYOUT_TYPE_MAX,
	    [MODULE] = LAYOUT_HEAD_MAX,
	    [INTEGER] = LAYOUT_HEAD_MAX,
	    [SMALL_INTEGER] = LAYOUT_HEAD_MAX,
	};
	bool is_object = g >= CODE && g != KEYS;
	*from = is_object ? l->object.size : 0;
	*to = ends[g];
}

/* The bytes that a field takes; false: this version has none. */
static bool find_place(const struct layout *l, const struct field *f, uint64_t *from, uint64_t *to)
{
	*from = *(const uint32_t *)((const char *)l + f->member);
	uint32_t bytes = f->bytes;
	if (bytes == SIZE)
		bytes = l->object.wide_sizes ? 8 : 4;
	if (bytes == INSTR)
		bytes = l->frame.instr_unit ? 4 : 8;
	*to = *from + bytes;
	return *from || f->need == ALWAYS;
}

/* A name and a qualified name may be one; the innermost frame may be found through the cframe. */
static bool may_share(const struct layout *l, const struct field *a, const struct field *b)
{
	bool names = a->member == offsetof(struct layout, code.name) &&
	             b->member == offsetof(struct layout, code.qualname) && l->code.name == l->code.qualname;
	bool roots = a->member == offsetof(struct layout, tstate.frame_root) &&
	             b->member == offsetof(struct layout, tstate.cframe) && l->tstate.frame_root == l->tstate.cframe;
	return names || (roots && l->frame_root == LAYOUT_ROOT_CFRAME);
}

static const char *check_fields(const struct layout *l)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		const struct field *f = &fields[i];
		uint64_t from, to, other_from, other_to;
		uint32_t least, most;
		if (!find_place(l, f, &from, &to))
			continue;
		find_bounds(l, f->group, &least, &most);
		if (from < least || to > most)
			return f->name;
		for (size_t k = 0; k < i; k++)
			if (fields[k].group == f->group && find_place(l, &fields[k], &other_from, &other_to) &&
			    from < other_to && other_from < to && !may_share(l, &fields[k], f))
				return f->name;
	}
	return NULL;
}

/* What else follows from each other. */
static const char *check_rest(const struct layout *l)
{
	bool has_chunks = l->frame_root != LAYOUT_ROOT_FRAME;
	if (l->object.size > LAYOUT_HEAD_MAX || l->object.size < 16 || l->object.size % 8)
		return "object.size";
	if (l->tstate.size > LAYOUT_TSTATE_MAX)
		return "tstate.size";
	if (l->gil.size > LAYOUT_GIL_MAX || (uint64_t)l->runtime.gil + l->gil.size > LAYOUT_INTERP_MAX)
		return "gil.size";
	if (has_chunks && (!l->tstate.datastack_chunk || l->tstate.datastack_top != l->tstate.datastack_chunk + 8))
		return "tstate.datastack_top";
	if (has_chunks && !l->frame.owner)
		return "frame.owner";
	if (l->frame.size > FRAME_OBJECT_MAX)
		return "frame.size";
	if (l->cframe.size > LAYOUT_FRAME_MAX || (l->frame_root == LAYOUT_ROOT_CFRAME && !l->cframe.size))
		return "cframe.size";
	if (l->code.size > LAYOUT_CODE_MAX)
		return "code.size";
	if (l->code.ident_from != l->object.size || l->code.ident_end > l->code.size ||
	    l->code.ident_end <= l->code.ident_from || l->code.ident_end - l->code.ident_from > LAYOUT_IDENT_MAX ||
	    (l->code.ident_skip && (l->code.ident_skip < l->code.ident_from || l->code.ident_end < 4 ||
	                            l->code.ident_skip > l->code.ident_end - 4)))
		return "code.ident_end";
	if (!l->code.bytecode && (!l->code.code_adaptive || !l->code.ob_size || !l->code.first_traceable))
		return "code.code_adaptive";
	if (!l->is_python2 &&
	    (!l->unicode.state || l->unicode.ascii_size > LAYOUT_HEAD_MAX ||
	     (uint64_t)l->unicode.state + 4 > l->unicode.ascii_size ||
	     (uint64_t)l->unicode.length + 8 > l->unicode.ascii_size || l->unicode.data < l->unicode.ascii_size))
		return "unicode.ascii_size";
	if (!l->is_python2 &&
	    (l->unicode.compact_size < l->unicode.ascii_size || l->unicode.compact_size > LAYOUT_STR_MAX))
		return "unicode.compact_size";
	if (l->unicode.ascii_size > LAYOUT_HEAD_MAX || l->unicode.compact_size > LAYOUT_STR_MAX)
		return "unicode.compact_size";
	if (l->unicode.kind_shift > 28)
		return "unicode.kind_shift";
	uint32_t entries = l->keys.indices ? l->keys.indices : l->keys.entries;
	if (!l->is_python2 && (!l->dict.keys || !l->dict.values || !entries || entries > LAYOUT_KEYS_MAX ||
	                       (uint64_t)l->keys.n_entries + 8 > entries))
		return "keys.indices";
	if (l->is_python2 && (!l->dict.mask || !l->dict.table))
		return "dict.table";
	if (l->dict.values_first > LAYOUT_HEAD_MAX)
		return "dict.values_first";
	if (l->gil_kind != LAYOUT_GIL_CURRENT &&
	    (!l->gil.size || l->gil.locked != l->gil.last_holder + 8 || !l->interp.gil || !l->interp.own_gil))
		return "gil.locked"; /* both are read at once */
	if ((l->generation_kind == LAYOUT_GENERATION_MADE && !l->interp.next_version) ||
	    (l->generation_kind == LAYOUT_GENERATION_DESTROYED && !l->interp.code_generation))
		return "generation_kind";
	return NULL;
}

const char *layout_insane(const struct layout *l)
{
	const char *bad = check_rest(l);
	return bad ? bad : check_fields(l);
}

#include "tests/unit/support_layout.h"

#include <string.h>

/* The rooms are those of the readers themselves, not those that layout.h promises. */
#include "pyspy-record/kernel/shared.h"
#include "pyspy-record/python/codes.h"
#include "pyspy-record/python/walk.h"

const char *support_layout_wild(const struct layout *l, const struct support_sizes *s)
{
	static const struct support_sizes most = {4 << 20, 4 << 20, WALK_TSTATE, 1024, 256, 4096, 4096,
	                                          64,      64,      64,          64,   64,  96};
	const uint64_t word = l->object.wide_sizes ? 8 : 4, instr = l->frame.instr_unit ? 4 : 8;
	const bool has_gil = l->gil_kind != LAYOUT_GIL_CURRENT; /* of each interpreter: its words are read */
	const uint64_t in_frame = l->frame.first,
	               keys = l->is_python2     ? 0
	                      : l->keys.indices ? l->keys.indices
	                                        : l->keys.entries,
	               in_keys = keys ? keys : 40;
#define SIZE(what) (s->what ? s->what : most.what)
	const struct {
		const char *what;
		uint64_t at, bytes, size;
	} fields[] = {
	    {"runtime.interpreters_head", l->runtime.interpreters_head, 8, SIZE(runtime)},
	    {"runtime.gil_current", l->runtime.gil_current, 8, SIZE(runtime)},
	    {"runtime.gil", l->runtime.gil, l->gil.size, SIZE(runtime)},
	    {"runtime.gc_collecting", l->runtime.gc_collecting, 4, SIZE(runtime)},
	    {"interp.next", l->interp.next, 8, SIZE(interp)},
	    {"interp.id", l->interp.id, 8, SIZE(interp)},
	    {"interp.threads_head", l->interp.threads_head, 8, SIZE(interp)},
	    {"interp.modules", l->interp.modules, 8, SIZE(interp)},
	    {"interp.sysdict", l->interp.sysdict, 8, SIZE(interp)},
	    {"interp.gc_collecting", l->interp.gc_collecting, 4, SIZE(interp)},
	    {"interp.gil", l->interp.gil, 8, SIZE(interp)},
	    {"interp.own_gil", l->interp.own_gil, 4, SIZE(interp)},
	    {"interp.next_version", l->interp.next_version, 4, SIZE(interp)},
	    {"interp.code_generation", l->interp.code_generation, 8, SIZE(interp)},
	    {"interp.copies_generation", l->interp.copies_generation, 4, SIZE(interp)},
	    {"tstate", 0, l->tstate.size, SIZE(tstate)},
	    {"tstate in the kernel", 0, l->tstate.size, KERNEL_TSTATE_MAX},
	    {"tstate.next", l->tstate.next, 8, l->tstate.size},
	    {"tstate.interp", l->tstate.interp, 8, l->tstate.size},
	    {"tstate.frame_root", l->tstate.frame_root, 8, l->tstate.size},
	    {"tstate.cframe", l->tstate.cframe, 8, l->tstate.size},
	    {"tstate.status", l->tstate.status, 4, l->tstate.size},
	    {"tstate.state", l->tstate.state, 4, l->tstate.size},
	    {"tstate.id", l->tstate.id, 8, l->tstate.size},
	    {"tstate.thread_id", l->tstate.thread_id, 8, l->tstate.size},
	    {"tstate.native_thread_id", l->tstate.native_thread_id, 8, l->tstate.size},
	    {"tstate.datastack_chunk", l->tstate.datastack_chunk, 8, l->tstate.size},
	    {"tstate.datastack_top", l->tstate.datastack_top, 8, l->tstate.size},
	    {"gil.last_holder", l->gil.last_holder, 8, has_gil ? l->gil.size : UINT64_MAX},
	    {"gil.locked", l->gil.locked, 4, has_gil ? l->gil.size : UINT64_MAX},
	    {"gil.enabled", l->gil.enabled, 4, has_gil ? l->gil.size : UINT64_MAX},
	    {"cframe", 0, l->cframe.size, WALK_PIECE},
	    {"cframe.current_frame", l->cframe.current_frame, 8,
	     l->frame_root == LAYOUT_ROOT_CFRAME ? l->cframe.size : 16},
	    {"cframe.previous", l->cframe.previous, 8, l->frame_root == LAYOUT_ROOT_CFRAME ? l->cframe.size : 16},
	    {"frame", 0, l->frame.size, SIZE(frame)},
	    {"frame.previous", in_frame + l->frame.previous, 8, l->frame.size},
	    {"frame.code", in_frame + l->frame.code, 8, l->frame.size},
	    {"frame.globals", in_frame + l->frame.globals, 8, l->frame.size},
	    {"frame.instr", in_frame + l->frame.instr, instr, l->frame.size},
	    {"frame.owner", in_frame + l->frame.owner, 1, l->frame.size},
	    {"frame.is_entry", in_frame + l->frame.is_entry, 1, l->frame.size},
	    {"frame.tlbc_index", in_frame + l->frame.tlbc_index, 4, l->frame.size},
	    {"what is read of a frame", 0, walk_frame_bytes(l), WALK_PIECE},
	    {"the same in the kernel", 0, (walk_frame_bytes(l) + 7) / 8 * 8, KERNEL_FRAME_MAX},
	    {"object.type", l->object.type, 8, l->object.size},
	    {"code", 0, l->code.size, SIZE(code)},
	    {"code.flags", l->code.flags, 4, l->code.size},
	    {"code.first_line", l->code.first_line, 4, l->code.size},
	    {"code.version", l->code.version, 4, l->code.size},
	    {"code.filename", l->code.filename, 8, l->code.size},
	    {"code.name", l->code.name, 8, l->code.size},
	    {"code.qualname", l->code.qualname, 8, l->code.size},
	    {"code.linetable", l->code.linetable, 8, l->code.size},
	    {"code.first_traceable", l->code.first_traceable, 4, l->code.size},
	    {"code.code_adaptive", l->code.code_adaptive, 1, l->code.size},
	    {"code.ob_size", l->code.ob_size, 8, l->code.size},
	    {"code.bytecode", l->code.bytecode, 8, l->code.size},
	    {"code.tlbc", l->code.tlbc, 8, l->code.size},
	    {"code's identity", 0, (uint64_t)l->code.ident_end - l->code.ident_from, CODES_IDENT},
	    {"code.ident_from", l->code.ident_from, 0, l->code.ident_end},
	    {"code.ident_end", l->code.ident_end, 0, l->code.size},
	    {"code.ident_skip", l->code.ident_skip ? l->code.ident_skip - l->code.ident_from : 0, 4, CODES_IDENT},
	    {"unicode.ascii_size", l->unicode.ascii_size, 0, 64}, /* object.c: find_key's head */
	    {"unicode.length", l->unicode.length, l->is_python2 ? word : 8, l->is_python2 ? 64 : l->unicode.ascii_size},
	    {"unicode.state", l->unicode.state, l->is_python2 ? 0 : 4, l->is_python2 ? 64 : l->unicode.ascii_size},
	    {"unicode.compact_size", l->unicode.compact_size, CODES_NAME_HEAD - 8, LAYOUT_CODE_MAX},
	    {"unicode.data", l->unicode.data, 8, SIZE(unicode)},
	    {"bytes.ob_size", l->bytes.ob_size, word, SIZE(bytes)},
	    {"bytes.ob_sval", l->bytes.ob_sval, 1, SIZE(bytes)},
	    {"dict.keys", l->dict.keys, l->is_python2 ? 0 : 8, SIZE(dict)},
	    {"dict.values", l->dict.values, l->is_python2 ? 0 : 8, SIZE(dict)},
	    {"dict.mask", l->dict.mask, l->is_python2 ? word : 0, SIZE(dict)},
	    {"dict.table", l->dict.table, l->is_python2 ? 8 : 0, SIZE(dict)},
	    {"keys", 0, keys, 40}, /* object.c: read_key_table's head */
	    {"keys.log2_size", l->keys.log2_size, 1, in_keys},
	    {"keys.log2_index_bytes", l->keys.log2_index_bytes, 1, in_keys},
	    {"keys.kind", l->keys.kind, 1, in_keys},
	    {"keys.n_entries", l->keys.n_entries, 8, in_keys},
	    {"keys.slots", l->keys.slots, 8, in_keys},
	    {"list.ob_size", l->list.ob_size, word, SIZE(list)},
	    {"list.ob_item", l->list.ob_item, 8, SIZE(list)},
	    {"tuple.ob_size", l->tuple.ob_size, word, SIZE(tuple)},
	    {"tuple.ob_item", l->tuple.ob_item, 8, SIZE(tuple)},
	    {"type.name", l->type.name, 8, SIZE(type)},
	    {"type.basicsize", l->type.basicsize, word, SIZE(type)},
	    {"type.flags", l->type.flags, 8, SIZE(type)},
	    {"type.dictoffset", l->type.dictoffset, word, SIZE(type)},
	    {"type.cached_keys", l->type.cached_keys, 8, SIZE(heap_type)},
	    {"module.dict", l->module.dict, 8, 64},
	    {"integer.value", l->integer.value, 8, 64},
	    {"integer.tag", l->integer.tag, word, SIZE(integer)},
	    {"integer.digit", l->integer.digit, 4, SIZE(integer)},
	};
#undef SIZE
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (fields[i].at + fields[i].bytes > fields[i].size)
			return fields[i].what;
	return NULL;
}

size_t support_layout_difference(const struct layout *a, const struct layout *b)
{
	size_t from = offsetof(struct layout, build) + sizeof a->build;
	for (size_t at = from; at < sizeof *a; at += 4)
		if (at != offsetof(struct layout, is_python2) && at != offsetof(struct layout, object.wide_sizes) &&
		    at != offsetof(struct layout, integer.tag_has_count) &&
		    memcmp((const char *)a + at, (const char *)b + at, 4) != 0)
			return at / 4;
	bool same = a->is_python2 == b->is_python2 && a->object.wide_sizes == b->object.wide_sizes &&
	            a->integer.tag_has_count == b->integer.tag_has_count;
	return same ? SIZE_MAX : offsetof(struct layout, is_python2) / 4;
}

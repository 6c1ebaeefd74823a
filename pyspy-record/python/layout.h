/* layout: where the fields are that we read of one CPython version.
 *
 * 3.11 and 3.12 come from a generated table (scripts/gen-layouts, from headers); 3.13 from the target's own
 * _Py_DebugOffsets, checked field by field, with what is missing there from the table. All offsets in bytes, from the
 * start of the struct named.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a thread's innermost frame is found. */
enum layout_frame_root {
	LAYOUT_ROOT_CFRAME, /* tstate->cframe->current_frame: 3.11, 3.12 */
	LAYOUT_ROOT_TSTATE, /* tstate->current_frame: 3.13 */
};
/* How the holder of the GIL is told. */
enum layout_gil {
	LAYOUT_GIL_RUNTIME, /* _PyRuntime.gilstate.tstate_current: 3.11 */
	LAYOUT_GIL_STATUS,  /* interp->ceval.gil: locked and last_holder, and tstate->_status.active: 3.12 */
	LAYOUT_GIL_STATE,   /* the same, and tstate->state == 1 (attached): 3.13 */
};

struct layout {
	uint32_t version_hex; /* of the row, not of the target */
	enum layout_frame_root frame_root;
	enum layout_gil gil_kind;
	struct {
		uint32_t interpreters_head, gil_current, gil;
	} runtime;
	struct {
		uint32_t next, id, threads_head, modules, sysdict, gc_collecting, gil, own_gil, next_version;
	} interp; /* gil: pointer (3.12+); next_version: 0 = there is none */
	struct {
		uint32_t size, next, interp, frame_root, status, state, thread_id, native_thread_id, datastack_chunk,
		    datastack_top;
		uint32_t status_active; /* mask in status, 3.12 */
	} tstate;
	struct {
		uint32_t size, last_holder, locked;
	} gil;
	struct {
		uint32_t size, current_frame, previous;
	} cframe;
	struct {
		uint32_t size, previous, code, globals, instr, owner;
		uint32_t owner_cstack; /* owner value of the shim frames to skip; 255 = none (3.11) */
		uint32_t is_entry;     /* 3.11: the outermost frame of one call of the evaluator; 0 = no such field */
	} frame;
	struct {
		uint32_t size, flags, first_line, version, filename, name, qualname, linetable, first_traceable,
		    code_adaptive, ob_size;
		uint32_t ident_end, ident_skip; /* 3.11: bytes 16..ident_end identify it, but for 4 bytes at ident_skip
		                                   (warm-up counter) */
	} code;                                 /* version: 0 = has none */
	struct {
		uint32_t length, state, ascii_size, compact_size, data;
	} unicode;
	struct {
		uint32_t ob_size, ob_sval;
	} bytes;
	struct {
		uint32_t keys, values, values_first; /* values_first: of PyDictValues */
	} dict;
	struct {
		uint32_t log2_size, log2_index_bytes, kind, n_entries, indices;
	} keys;
	struct {
		uint32_t ob_size, ob_item;
	} list, tuple;
	struct {
		uint32_t name, basicsize, flags, dictoffset, cached_keys;
	} type;
	struct {
		uint32_t dict;
	} module;
	struct {
		uint32_t tag, digit;
		bool tag_has_count; /* 3.12+: count = tag >> 3; else ob_size */
	} integer;
};

enum {
	LAYOUT_DEBUG_OFFSETS_3_13 = 584, /* bytes of _Py_DebugOffsets in 3.13 */
	LAYOUT_TSTATE_MAX = 400,         /* no layout says that these structs are larger: room for their copies */
	LAYOUT_CODE_MAX = 256,
};

/* The table's row for this version (major.minor; nearest micro), or NULL. */
const struct layout *layout_find(uint32_t version_hex);
/* Fill *l for 3.13 from its _Py_DebugOffsets (`raw`, LAYOUT_DEBUG_OFFSETS_3_13 bytes as found at _PyRuntime) and the
 * table. 0; ERR_LAYOUT when a value is out of its sane bounds; ERR_UNSUPPORTED for a free-threaded build. */
int layout_from_debug_offsets(struct layout *l, const uint8_t *raw);

#include "pyspy-record/python/layout.h"

#include <string.h>

#include "libcommon/err.h"

static const struct layout layout_table[] = {
#include "pyspy-record/python/layout_table.inc"
};

const struct layout *layout_find(uint32_t version_hex)
{
	for (size_t i = 0; i < sizeof layout_table / sizeof *layout_table; i++)
		if (layout_table[i].version_hex >> 16 == version_hex >> 16)
			return &layout_table[i];
	return NULL;
}

/* Slots of _Py_DebugOffsets in 3.13, 8 bytes each (Include/internal/pycore_runtime.h of 3.13). */
enum slot {
	SLOT_COOKIE,
	SLOT_VERSION,
	SLOT_FREE_THREADED,
	SLOT_RUNTIME_SIZE,
	SLOT_RUNTIME_FINALIZING,
	SLOT_RUNTIME_INTERPRETERS_HEAD,
	SLOT_INTERP_SIZE,
	SLOT_INTERP_ID,
	SLOT_INTERP_NEXT,
	SLOT_INTERP_THREADS_HEAD,
	SLOT_INTERP_GC,
	SLOT_INTERP_MODULES,
	SLOT_INTERP_SYSDICT,
	SLOT_INTERP_BUILTINS,
	SLOT_INTERP_CEVAL_GIL,
	SLOT_INTERP_GIL_STATE,
	SLOT_INTERP_GIL_ENABLED,
	SLOT_INTERP_GIL_LOCKED,
	SLOT_INTERP_GIL_HOLDER,
	SLOT_TSTATE_SIZE,
	SLOT_TSTATE_PREV,
	SLOT_TSTATE_NEXT,
	SLOT_TSTATE_INTERP,
	SLOT_TSTATE_CURRENT_FRAME,
	SLOT_TSTATE_THREAD_ID,
	SLOT_TSTATE_NATIVE_THREAD_ID,
	SLOT_TSTATE_DATASTACK_CHUNK,
	SLOT_TSTATE_STATUS,
	SLOT_FRAME_SIZE,
	SLOT_FRAME_PREVIOUS,
	SLOT_FRAME_EXECUTABLE,
	SLOT_FRAME_INSTR_PTR,
	SLOT_FRAME_LOCALSPLUS,
	SLOT_FRAME_OWNER,
	SLOT_CODE_SIZE,
	SLOT_CODE_FILENAME,
	SLOT_CODE_NAME,
	SLOT_CODE_QUALNAME,
	SLOT_CODE_LINETABLE,
	SLOT_CODE_FIRSTLINENO,
	SLOT_CODE_ARGCOUNT,
	SLOT_CODE_LOCALSPLUSNAMES,
	SLOT_CODE_LOCALSPLUSKINDS,
	SLOT_CODE_CODE_ADAPTIVE,
	SLOT_PYOBJECT_SIZE,
	SLOT_PYOBJECT_OB_TYPE,
	SLOT_TYPE_SIZE,
	SLOT_TYPE_NAME,
	SLOT_TYPE_REPR,
	SLOT_TYPE_FLAGS,
	SLOT_TUPLE_SIZE,
	SLOT_TUPLE_OB_ITEM,
	SLOT_TUPLE_OB_SIZE,
	SLOT_LIST_SIZE,
	SLOT_LIST_OB_ITEM,
	SLOT_LIST_OB_SIZE,
	SLOT_DICT_SIZE,
	SLOT_DICT_MA_KEYS,
	SLOT_DICT_MA_VALUES,
	SLOT_FLOAT_SIZE,
	SLOT_FLOAT_OB_FVAL,
	SLOT_LONG_SIZE,
	SLOT_LONG_LV_TAG,
	SLOT_LONG_OB_DIGIT,
	SLOT_BYTES_SIZE,
	SLOT_BYTES_OB_SIZE,
	SLOT_BYTES_OB_SVAL,
	SLOT_UNICODE_SIZE,
	SLOT_UNICODE_STATE,
	SLOT_UNICODE_LENGTH,
	SLOT_UNICODE_ASCIIOBJECT_SIZE,
	SLOT_GC_SIZE,
	SLOT_GC_COLLECTING,
	SLOT_END,
};
_Static_assert(SLOT_END * 8 == LAYOUT_DEBUG_OFFSETS_3_13, "3.13 has 73 slots");

struct rule {
	enum slot slot, inside; /* the value + bytes must lie inside the struct whose size is in `inside` */
	uint32_t bytes;
	size_t target; /* offset in struct layout of the uint32_t to set */
};
#define RULE(slot, inside, bytes, member)                                                                              \
	{                                                                                                              \
		slot, inside, bytes, offsetof(struct layout, member)                                                   \
	}

static const struct rule rules[] = {
    RULE(SLOT_RUNTIME_INTERPRETERS_HEAD, SLOT_RUNTIME_SIZE, 8, runtime.interpreters_head),
    RULE(SLOT_INTERP_ID, SLOT_INTERP_SIZE, 8, interp.id),
    RULE(SLOT_INTERP_NEXT, SLOT_INTERP_SIZE, 8, interp.next),
    RULE(SLOT_INTERP_THREADS_HEAD, SLOT_INTERP_SIZE, 8, interp.threads_head),
    RULE(SLOT_INTERP_MODULES, SLOT_INTERP_SIZE, 8, interp.modules),
    RULE(SLOT_INTERP_SYSDICT, SLOT_INTERP_SIZE, 8, interp.sysdict),
    RULE(SLOT_INTERP_CEVAL_GIL, SLOT_INTERP_SIZE, 16, interp.gil),
    RULE(SLOT_TSTATE_NEXT, SLOT_TSTATE_SIZE, 8, tstate.next),
    RULE(SLOT_TSTATE_INTERP, SLOT_TSTATE_SIZE, 8, tstate.interp),
    RULE(SLOT_TSTATE_CURRENT_FRAME, SLOT_TSTATE_SIZE, 8, tstate.frame_root),
    RULE(SLOT_TSTATE_THREAD_ID, SLOT_TSTATE_SIZE, 8, tstate.thread_id),
    RULE(SLOT_TSTATE_NATIVE_THREAD_ID, SLOT_TSTATE_SIZE, 8, tstate.native_thread_id),
    RULE(SLOT_TSTATE_DATASTACK_CHUNK, SLOT_TSTATE_SIZE, 16, tstate.datastack_chunk),
    RULE(SLOT_TSTATE_STATUS, SLOT_TSTATE_SIZE, 16, tstate.status),
    RULE(SLOT_FRAME_PREVIOUS, SLOT_FRAME_SIZE, 24, frame.previous),
    RULE(SLOT_FRAME_EXECUTABLE, SLOT_FRAME_SIZE, 8, frame.code),
    RULE(SLOT_FRAME_INSTR_PTR, SLOT_FRAME_SIZE, 8, frame.instr),
    RULE(SLOT_FRAME_OWNER, SLOT_FRAME_SIZE, 1, frame.owner),
    RULE(SLOT_CODE_FILENAME, SLOT_CODE_SIZE, 8, code.filename),
    RULE(SLOT_CODE_NAME, SLOT_CODE_SIZE, 8, code.name),
    RULE(SLOT_CODE_QUALNAME, SLOT_CODE_SIZE, 8, code.qualname),
    RULE(SLOT_CODE_LINETABLE, SLOT_CODE_SIZE, 8, code.linetable),
    RULE(SLOT_CODE_FIRSTLINENO, SLOT_CODE_SIZE, 4, code.first_line),
    RULE(SLOT_CODE_CODE_ADAPTIVE, SLOT_CODE_SIZE, 1, code.code_adaptive),
    RULE(SLOT_TYPE_NAME, SLOT_TYPE_SIZE, 8, type.name),
    RULE(SLOT_TYPE_FLAGS, SLOT_TYPE_SIZE, 8, type.flags),
    RULE(SLOT_LIST_OB_ITEM, SLOT_LIST_SIZE, 8, list.ob_item),
    RULE(SLOT_LIST_OB_SIZE, SLOT_LIST_SIZE, 8, list.ob_size),
    RULE(SLOT_DICT_MA_KEYS, SLOT_DICT_SIZE, 8, dict.keys),
    RULE(SLOT_DICT_MA_VALUES, SLOT_DICT_SIZE, 8, dict.values),
    RULE(SLOT_LONG_LV_TAG, SLOT_LONG_SIZE, 8, integer.tag),
    RULE(SLOT_LONG_OB_DIGIT, SLOT_LONG_SIZE, 4, integer.digit),
    RULE(SLOT_BYTES_OB_SIZE, SLOT_BYTES_SIZE, 8, bytes.ob_size),
    RULE(SLOT_BYTES_OB_SVAL, SLOT_BYTES_SIZE, 1, bytes.ob_sval),
    RULE(SLOT_UNICODE_STATE, SLOT_UNICODE_ASCIIOBJECT_SIZE, 4, unicode.state),
    RULE(SLOT_UNICODE_LENGTH, SLOT_UNICODE_ASCIIOBJECT_SIZE, 8, unicode.length),
};

/* Sane bounds of the sizes themselves, so that no offset can be wild: what is read of the small structs has room in
 * walk, object and codes, and the fields that only the table knows lie inside. */
static int check_size(uint64_t size, uint64_t least, uint64_t most)
{
	return size >= least && size <= most ? 0 : ERR_LAYOUT;
}

int layout_from_debug_offsets(struct layout *l, const uint8_t *raw)
{
	uint64_t v[SLOT_END];
	memcpy(v, raw, sizeof v);
	if (memcmp(raw, "xdebugpy", 8) != 0 || v[SLOT_VERSION] >> 16 != 0x030d)
		return ERR_LAYOUT;
	if (v[SLOT_FREE_THREADED] != 0)
		return ERR_UNSUPPORTED;
	const struct layout *row = layout_find((uint32_t)v[SLOT_VERSION]);
	if (!row)
		return ERR_UNSUPPORTED;
	*l = *row;
	TRY(check_size(v[SLOT_RUNTIME_SIZE], 1024, 4 << 20));
	TRY(check_size(v[SLOT_INTERP_SIZE], 1024, 4 << 20));
	TRY(check_size(v[SLOT_TSTATE_SIZE], 200, LAYOUT_TSTATE_MAX));
	TRY(check_size(v[SLOT_FRAME_SIZE], row->frame.size, row->frame.size));
	TRY(check_size(v[SLOT_CODE_SIZE], row->code.first_traceable + 4, LAYOUT_CODE_MAX));
	TRY(check_size(v[SLOT_TYPE_SIZE], row->type.dictoffset + 8, 2048));
	TRY(check_size(v[SLOT_UNICODE_SIZE], row->unicode.data + 8, 256));
	TRY(check_size(v[SLOT_LIST_SIZE], 32, 256));
	TRY(check_size(v[SLOT_DICT_SIZE], 40, 64));
	TRY(check_size(v[SLOT_LONG_SIZE], 24, 40));
	TRY(check_size(v[SLOT_BYTES_SIZE], 32, 64));
	TRY(check_size(v[SLOT_UNICODE_ASCIIOBJECT_SIZE], 32, 64));
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const struct rule *r = &rules[i];
		uint64_t value = v[r->slot];
		if (value > v[r->inside] || r->bytes > v[r->inside] - value || (r->bytes >= 8 && value % 8 != 0))
			return ERR_LAYOUT;
		*(uint32_t *)((char *)l + r->target) = (uint32_t)value;
	}
	if (v[SLOT_INTERP_GC] > v[SLOT_INTERP_SIZE] || v[SLOT_GC_COLLECTING] > v[SLOT_INTERP_SIZE] ||
	    v[SLOT_INTERP_GC] + v[SLOT_GC_COLLECTING] + 4 > v[SLOT_INTERP_SIZE])
		return ERR_LAYOUT;
	l->interp.gc_collecting = (uint32_t)(v[SLOT_INTERP_GC] + v[SLOT_GC_COLLECTING]);
	/* where the fields that the offsets do not name lie: beside those that they do */
	l->interp.own_gil = l->interp.gil + 8;
	l->tstate.state = l->tstate.status + 8;
	l->tstate.datastack_top = l->tstate.datastack_chunk + 8;
	l->frame.globals = l->frame.previous + 16;
	l->tstate.size = (uint32_t)v[SLOT_TSTATE_SIZE];
	l->code.size = (uint32_t)v[SLOT_CODE_SIZE];
	l->unicode.ascii_size = (uint32_t)v[SLOT_UNICODE_ASCIIOBJECT_SIZE];
	/* these lie in the table's places only if what is around them does */
	if (v[SLOT_CODE_SIZE] != row->code.size || l->code.linetable != row->code.linetable)
		l->interp.next_version = 0;
	if (l->interp.threads_head != row->interp.threads_head || l->interp.modules != row->interp.modules ||
	    l->interp.next_version + 4 > v[SLOT_INTERP_SIZE])
		l->interp.next_version = 0;
	return 0;
}

/* layout: where the fields are that we read of one CPython version and build.
 *
 * 2.3 to 2.7 and 3.3 to 3.12 come from a generated table (scripts/gen-layouts, from headers); 3.13 and later from the
 * target's own _Py_DebugOffsets, checked field by field (layout_offsets.c), with what is missing there from the table.
 * All offsets in bytes, from the start of the struct named. 0 where a version has no such field, unless said otherwise.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pyspy-record/python/linetable.h"

enum layout_build {
	LAYOUT_RELEASE,
	LAYOUT_DEBUG,     /* up to 3.7 this implies TRACEREFS */
	LAYOUT_TRACEREFS, /* two more words in front of each object's header */
	LAYOUT_FREETHREADED,
	LAYOUT_FREETHREADED_DEBUG,
};
/* Where a thread's innermost frame is found. */
enum layout_frame_root {
	LAYOUT_ROOT_FRAME,  /* tstate->frame, a PyFrameObject like all its callers: up to 3.10 */
	LAYOUT_ROOT_CFRAME, /* tstate->cframe->current_frame: 3.11, 3.12 */
	LAYOUT_ROOT_TSTATE, /* tstate->current_frame: 3.13 and later */
};
/* How the holder of the GIL is told. */
enum layout_gil {
	LAYOUT_GIL_CURRENT, /* a word (struct interpreter.current) names the thread state that runs: up to 3.11 */
	LAYOUT_GIL_STATUS,  /* interp->ceval.gil: locked and last_holder, and tstate->_status.active: 3.12 */
	LAYOUT_GIL_STATE,   /* the same, and tstate->state == 1 (attached): 3.13 and later */
};
/* The word of an interpreter that tells whether a code object's address may have been given to another one. */
enum layout_generation {
	LAYOUT_GENERATION_NONE,
	LAYOUT_GENERATION_MADE,      /* interp.next_version, 4 bytes: the next co_version to be given out: 3.13 */
	LAYOUT_GENERATION_DESTROYED, /* interp.code_generation, 8 bytes: counts code objects freed: 3.14 and later */
};

struct layout {
	uint32_t since; /* PY_VERSION_HEX of the first release that the table's row is right for */
	enum layout_build build;
	enum layout_frame_root frame_root;
	enum layout_gil gil_kind;
	enum linetable_kind lines;
	enum layout_generation generation_kind;
	bool is_python2; /* str is bytes */
	struct {
		uint32_t size, type; /* of the header of every object; ob_type */
		bool wide_sizes;     /* sizes and lengths are 8 bytes; before 2.5 4 */
	} object;
	struct {
		uint32_t interpreters_head, gil_current, gil, gc_collecting; /* of _PyRuntime, 3.7 and later */
	} runtime;
	struct {
		uint32_t next, id, threads_head, modules, sysdict, gc_collecting, gil, own_gil, next_version,
		    code_generation, copies_generation;
	} interp; /* gil: pointer (3.12+); copies_generation: counts threads that began and ended, 4 bytes */
	struct {
		uint32_t size; /* bytes from the start that hold all that is read */
		uint32_t next, interp, frame_root, status, state, id, thread_id, native_thread_id, datastack_chunk,
		    datastack_top;
		uint32_t status_active; /* mask in status, 3.12 */
		uint32_t
		    cframe; /* 3.10 to 3.12: pointer into the C stack, the innermost call of the evaluator; else 0 */
	} tstate;
	struct {
		uint32_t size, last_holder, locked, enabled; /* enabled: free-threaded builds */
	} gil;
	struct {
		uint32_t size, current_frame, previous;
	} cframe;
	struct {
		uint32_t size;
		/* Frame objects are read from `first` on, and the other members count from there; else it is 0. */
		uint32_t first, previous, code, globals, instr, owner, tlbc_index;
		uint32_t
		    owner_cstack;    /* owner of the entry frames to skip, from this one ...; 255 = none (up to 3.11) */
		uint32_t owner_last; /* ... to this, the largest there is */
		uint32_t is_entry;   /* 3.11: the outermost frame of one call of the evaluator */
		uint32_t instr_unit; /* `instr` is f_lasti, an int of so many bytes of code each; 0: an address */
		uint32_t tag_mask;   /* bits of `code` that do not belong to the address */
	} frame;
	struct {
		uint32_t size, flags, first_line, version, filename, name, qualname, linetable, first_traceable,
		    code_adaptive, ob_size;
		uint32_t bytecode; /* pointer to a bytes object: up to 3.10 */
		uint32_t tlbc;     /* pointer to the table of the threads' own copies of the code */
		uint32_t ident_from, ident_end, ident_skip; /* these bytes identify it, but for 4 bytes at ident_skip
		                                               (3.11: warm-up counter; 0 = none) */
	} code;                                             /* qualname: co_name where there is none */
	struct {
		uint32_t length, state, ascii_size, compact_size, data; /* up to 2.7: length and data only */
		uint32_t kind_shift, compact, ascii;                    /* in state: kind (3 bits), masks */
	} unicode;
	struct {
		uint32_t ob_size, ob_sval;
	} bytes; /* up to 2.7 also str */
	struct {
		uint32_t keys, values, values_first; /* values_first: of PyDictValues */
		uint32_t mask, table;                /* up to 2.7 */
	} dict;
	struct {
		uint32_t log2_size, log2_index_bytes, kind, n_entries, indices;
		uint32_t slots;   /* dk_size: up to 3.10 */
		uint32_t entries; /* up to 3.5: in place of indices */
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
		uint32_t value; /* of an int object of 2.x */
		uint32_t tag, digit;
		bool tag_has_count; /* 3.12+: count = tag >> 3; else tag is ob_size */
		uint32_t digit_bits, digit_size;
	} integer;
};

enum {
	LAYOUT_OFFSETS_MAX = 1024, /* bytes of _Py_DebugOffsets, of any version that is known */
	/* No layout says that what is read of these structs is more: room for their copies. */
	LAYOUT_TSTATE_MAX = 400,
	LAYOUT_TSTATE_WORDS = 12, /* so many words of a thread state are read at most */
	LAYOUT_CODE_MAX = 256,
	LAYOUT_IDENT_MAX = 160, /* code.ident_end - code.ident_from */
	LAYOUT_FRAME_MAX = 104, /* of a frame, from frame.first on, and of a cframe */
	LAYOUT_HEAD_MAX = 64,   /* dict, int, list, tuple, bytes, str as far as its ASCII text */
	LAYOUT_STR_MAX = 96,    /* str as far as its text or the pointer to it */
	LAYOUT_KEYS_MAX = 40,   /* key table of a dict as far as its indices */
	LAYOUT_GIL_MAX = 1024,
	LAYOUT_TYPE_MAX = 4096,
	LAYOUT_INTERP_MAX = 4 << 20, /* also of _PyRuntime */
};

static inline bool layout_is_freethreaded(const struct layout *l)
{
	return l->build == LAYOUT_FREETHREADED || l->build == LAYOUT_FREETHREADED_DEBUG;
}
static inline unsigned layout_minor(const struct layout *l) /* 0x30b = 3.11 */
{
	return l->since >> 16;
}

/* The table's row for this version (PY_VERSION_HEX of a release or a release candidate; of its minor version, the one
 * that is right for its micro version) and build; NULL = none. */
const struct layout *layout_find(uint32_t version_hex, enum layout_build build);
/* All rows, *n of them. */
const struct layout *layout_rows(size_t *n);
/* How many bytes _Py_DebugOffsets has in this version; 0 = it has none that we know. At most LAYOUT_OFFSETS_MAX. */
size_t layout_offsets_size(uint32_t version_hex);
/* Fill *l from _Py_DebugOffsets (`raw`, layout_offsets_size bytes as found at _PyRuntime) and the table. 0; ERR_LAYOUT
 * when a value is out of its sane bounds; ERR_UNSUPPORTED: no such version, or an alpha or beta. A debug build cannot
 * be told from a release build here, nor need it be. *l is undefined after an error. */
int layout_from_debug_offsets(struct layout *l, const uint8_t *raw);
/* NULL when all that is read with this layout lies inside of the structs and inside of the room that readers have for
 * them (LAYOUT_*_MAX), and no two fields of a struct overlap; else the name of the first member that does not. */
const char *layout_insane(const struct layout *l);
/* Where the 8-byte words of a thread state are that hold all that is read of it, in order, each once. How many: at
 * least one. */
size_t layout_tstate_words(const struct layout *l, uint32_t words[LAYOUT_TSTATE_WORDS]);
/* Between the parts of layout: set what follows from the other members (tstate.size). */
void layout_finish(struct layout *l);

/* codes: code objects seen, their names and line tables, and the proof that an address still is the object we know.
 *
 * Flow:    walk (addresses), memory/reader -> [codes] -> trie, emit.
 * Identity: code objects die and their addresses live on.
 *          3.12 and later: every code object gets a version number of its own when it is made. In 3.13 the interpreter
 * keeps the next one (PyInterpreterState.func_state.next_version), in 3.14 and later it counts those that are freed
 * (code_object_generation): "the generation". An entry checked at a generation is good for every sample of that
 * generation; otherwise its version is read again. Not moved = nothing was made, or nothing was freed = nothing was
 * reused. 3.12 has versions but no generation that could be found: the versions are compared. Up to 3.11 there are no
 * versions: the words that never change in a code object, and the beginnings of its names, are compared.
 * Memory:  capped; at the cap codes_is_full() turns true and the caller clears all (between two passes).
 * Trust:   names are read after the sample, from a running target: bracketed by two reads of the identity.
 */
#pragma once
#include "format/records.h"
#include "libcommon/buf.h"
#include "libcommon/intern.h"
#include "libcommon/map.h"
#include "libcommon/vec.h"
#include "pyspy-record/memory/reader.h"
#include "pyspy-record/python/copies.h"
#include "pyspy-record/python/layout.h"
#include "pyspy-record/python/linetable.h"

enum {
	CODES_IDENT = 160,
	CODES_NAME_HEAD = 40,
	CODES_MAX = 1 << 18,
	CODES_BYTES_MAX = 64 << 20,
	CODES_LINETABLE_MAX = 4 << 20
};
#define CODES_UNSTABLE UINT64_MAX /* no generation: they are 4 bytes */

typedef uint32_t code_id; /* 1 ... ; 0 = none */

/* What tells one code object from another at the same address. */
struct code_ident {
	uint32_t version;                 /* 3.12+; 0 otherwise */
	unsigned char words[CODES_IDENT]; /* up to 3.11 */
	unsigned char
	    names[2][CODES_NAME_HEAD]; /* up to 3.11: first bytes of qualified name and file name, with their length */
};

struct code {
	raddr_t at, start;        /* the object; its first instruction; up to 3.10 0: frames count from there */
	uint32_t size_bytes;      /* of its instructions */
	uint32_t first_traceable; /* in bytes: a frame before it is not complete yet */
	int32_t first_line;
	uint32_t qualname, file, module; /* in codes.names */
	size_t linetable, linetable_len; /* in codes.tables */
	uint64_t checked_generation;
	uint64_t read_generation; /* of generation_kind DESTROYED: it did not change while the object was read; else
	                             CODES_UNSTABLE */
	uint64_t read_ns;         /* the caller's clock (codes.now_ns) when it was read */
	uint32_t function_epoch;  /* writer's; valid when function != 0 */
	function_id function;
	uint64_t check_mark;  /* the caller's: last check it was put down for */
	uint64_t judged_by;   /* the caller's: the drain that is_foreign was found out in; 0 = none */
	bool is_foreign;      /* see codes_is_foreign */
	bool is_stale;        /* the address holds another object by now */
	bool is_gone;         /* stands for objects that were gone before they could be read */
	uint32_t ident;       /* index in codes.idents */
	uint32_t frame_bytes; /* the caller's: of its frames on a data stack, 0 = not known */
	code_id same;         /* another entry of this address (run with other globals, or stale), 0 = none */
};

struct codes {
	struct reader *reader;
	const struct layout *layout;
	struct map by_address; /* (address, globals) -> code_id; (address, 0) -> the entry met last at this address */
	VEC(struct code) v;    /* [0] unused */
	VEC(struct code_ident) idents;
	struct intern names;
	struct buf tables;
	struct copies copies; /* by code_id */
	raddr_t code_type;    /* address of PyCode_Type, once known */
	bool has_generation;  /* the generation word can be trusted */
	bool has_words;       /* identity is told by words and names, whatever the version: see codes_by_words */
	uint32_t epoch;       /* counts codes_clear */
	uint64_t checks;      /* objects looked at again */
	code_id gone, torn;   /* see codes_gone; 0 = not made yet */
	uint64_t gone_met;    /* calls of codes_gone */
	uint64_t now_ns;      /* set by the caller, for code.read_ns */
};

int codes_init(struct codes *c, struct reader *r, const struct layout *l);
void codes_done(struct codes *c);
void codes_clear(struct codes *c);
/* From now on identity is told by the words of the objects, as up to 3.11: each interpreter of a process gives out
 * versions of its own, the same ones again, and has a generation of its own. Forgets everything. */
void codes_by_words(struct codes *c);
bool codes_is_full(const struct codes *c);
size_t codes_bytes(const struct codes *c); /* of memory in use, about */

static inline struct code *codes_at(struct codes *c, code_id id)
{
	return &c->v.v[id];
}

/* The known object at this address, as run with these globals (an object's module is that of the globals), or 0. */
code_id codes_known(const struct codes *c, raddr_t at, raddr_t globals);
static inline raddr_t codes_address(const struct codes *c, code_id id)
{
	return c->v.v[id].at;
}
static inline uint32_t codes_version(const struct codes *c, code_id id)
{
	return c->idents.v[c->v.v[id].ident].version;
}
/* The generation word as it was read just before and just after the stacks of a sample. */
struct codes_generation {
	uint64_t before, after;
	raddr_t at; /* of generation_kind DESTROYED: where it is, to be read once more; else 0 */
};
/* Read the object at `at`; `globals` is the dict of a frame that runs it (its module's name).
 * *proved: it is certain that the sample's frame ran this very object. 0 and *id; ERR_TORN (no code object there, or it
 * changed meanwhile); ERR_GONE; ERR_FULL. */
int codes_read(struct codes *c, raddr_t at, raddr_t globals, struct codes_generation generation, code_id *id,
               bool *proved);
/* What stands for an object that was gone before it could be read: one entry for all of them. */
int codes_gone(struct codes *c, code_id *id);
/* What stands for frames that are not known because the thread was moving while it was read. */
int codes_torn(struct codes *c, code_id *id);
/* An object that may have come to its address after it was run: do these globals say that they ran another one (their
 * __file__ names another source, or is None, as a dropped module's up to 3.3)? False when they say nothing, or cannot
 * be read. */
bool codes_is_foreign(struct codes *c, code_id id, raddr_t globals);
/* Look at n objects again, in as few reads as possible (`generation`: the sample's `after`): bad[i] is set when the
 * address of ids[i] holds another object (the entry is stale from then on). 0, or the error of reading (then nothing is
 * proved). */
int codes_check(struct codes *c, const code_id *ids, size_t n, uint64_t generation, bool *bad);
/* The place of an instruction. */
bool codes_place(const struct codes *c, const struct code *code, uint32_t instr, struct linetable_place *place);

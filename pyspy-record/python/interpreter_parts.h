/* interpreter_parts: between the parts of interpreter: objects mapped into a process, versions, scans. */
#pragma once
#include "pyspy-record/python/interpreter.h"
#include "pyspy-record/target/elf.h"
#include "pyspy-record/target/maps.h"

enum interpreter_symbol {
	SYMBOL_RUNTIME,
	SYMBOL_VERSION,
	SYMBOL_GET_VERSION,
	SYMBOL_CURRENT,
	SYMBOL_INTERP_HEAD, /* from here on static: in .symtab only */
	SYMBOL_COLLECTING,
	SYMBOL_GIL_LOCK, /* 2.x */
	SYMBOL_GIL_FIRST,
	SYMBOL_GIL_LAST = SYMBOL_GIL_FIRST + 5, /* gil_mutex, gil_cond, gil_locked, gil_last_holder, switch_* */
	SYMBOLS
};

/* An object file mapped into the target. */
struct mapped_object {
	const struct maps_entry *first; /* the mapping of its first byte */
	uint64_t bias;
	bool is_likely; /* by its name, it may hold an interpreter */
	bool is_exe;
	bool has_file; /* sections and .symtab were asked too */
	struct elf_facts elf;
	struct elf_symbol symbols[SYMBOLS];
};

/* What a search has at hand. */
struct search {
	struct reader *r;
	struct maps maps;
	struct mapped_object exe; /* first is NULL when it could not be read */
	uint64_t exe_inode;
	char exe_path[4096];
	uint64_t bytes_left; /* that may still be read in scans of unlikely objects */
};

/* By its name, is it where an interpreter is looked for first? */
bool mapped_object_is_likely(const struct search *s, const struct maps_entry *m);
/* Is there an object file at maps.v[i], loaded to be run? Its facts as far as its image tells them. */
bool mapped_object_read(struct search *s, size_t i, struct mapped_object *f);
/* Ask its file for what the image does not tell. */
void mapped_object_ask_file(struct search *s, struct mapped_object *f);
/* Look for one more symbol, in the image; in the program's file too. */
bool mapped_object_find(struct search *s, const struct mapped_object *f, struct elf_symbol *symbol);
static inline raddr_t mapped_object_symbol(const struct mapped_object *f, enum interpreter_symbol symbol)
{
	return f->symbols[symbol].value ? f->bias + f->symbols[symbol].value : 0;
}
/* Bytes of its writable segments. */
uint64_t mapped_object_data_bytes(const struct mapped_object *f);
/* Can 8 bytes at a word-aligned `address` be read and written by the target? */
bool maps_is_data(const struct maps *maps, uint64_t address);

/* Walk the writable segments in pieces: visit(ctx, address of the piece, its bytes, n) returns true to stop. `overlap`
 * bytes of a piece are seen again in the next one. True: stopped. */
enum { SEGMENT_PIECE = 64 << 10 };
typedef bool segment_visit(void *ctx, raddr_t at, const char *bytes, size_t n);
bool segments_walk(struct reader *r, const struct mapped_object *f, size_t overlap, segment_visit *visit, void *ctx);

/* "3.8.18" of "3.8.18 (default, ..." as Py_GetVersion has it, in the n bytes at p. */
bool version_parse(const char *p, size_t n, char out[INTERPRETER_VERSION_TEXT]);
/* PY_VERSION_HEX of "3.8.18", "3.9.0rc1", "2.5"; 0 when the text is none. A "+" means nothing. */
uint32_t version_hex(const char *text);
void version_text(uint32_t hex, char out[INTERPRETER_VERSION_TEXT]);
/* Find that text in the first `most` bytes of the object's data. */
bool version_scan(struct reader *r, const struct mapped_object *f, uint64_t most, char out[INTERPRETER_VERSION_TEXT]);

/* No symbols: find the word that points to the newest interpreter (up to 3.6), or _PyRuntime by it (3.7 to 3.12), with
 * the layout given. 0 and *at; ERR_AGAIN: there is none (yet). */
int scan_heads(struct search *s, const struct mapped_object *f, const struct layout *l, raddr_t *at);
int scan_runtime(struct search *s, const struct mapped_object *f, const struct layout *l, raddr_t *at);
/* 3.13 and later: the next 8-byte aligned "xdebugpy" behind *at (0: the first). False: no more. */
bool scan_cookie(struct reader *r, const struct mapped_object *f, raddr_t *at);
/* Static words that name a thread state of the interpreters at `in->heads`: at most `most`. */
size_t scan_thread_words(struct reader *r, const struct mapped_object *f, const struct interpreter *in, raddr_t *at,
                         size_t most);
/* Thread states of all interpreters: at most `most`. */
enum { THREAD_STATES_MAX = 256 };
size_t thread_states(struct reader *r, const struct interpreter *in, raddr_t *at, size_t most);
/* Up to 3.6, no symbols: set what the static words of the object tell of `current` and of the GIL. */
void scan_settle(struct reader *r, const struct mapped_object *f, struct interpreter *in);

/* pthreads.c: in->pthread_tid. */
void pthreads_find(struct search *s, struct interpreter *in);
/* Threads that a search looks at, and bytes of a thread descriptor. */
enum { PTHREADS_MAX = 64, PTHREAD_BYTES = 2304 };
/* Where is the tid in these thread descriptors (n of PTHREAD_BYTES each, as far as `sizes` says)? All its values must
 * be among `tids` (ascending) and differ. 0: nowhere. */
uint32_t pthreads_search(const uint8_t (*descriptors)[PTHREAD_BYTES], const size_t *sizes, size_t n, const pid_t *tids,
                         size_t n_tids);

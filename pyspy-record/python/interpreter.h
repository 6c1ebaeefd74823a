/* interpreter: find CPython in a process, tell its version, get its layout.
 *
 * Flow:    target/maps, target/elf, memory/reader -> [interpreter] -> walk, names, facts.
 */
#pragma once
#include "pyspy-record/memory/reader.h"
#include "pyspy-record/python/layout.h"

enum { INTERPRETER_VERSION_TEXT = 32 };
struct interpreter {
	raddr_t runtime; /* _PyRuntime; 0: older than 3.7 */
	raddr_t heads;   /* the word that points to the newest interpreter */
	raddr_t current; /* the word that names the thread state that has the GIL; 0: none (3.12+), not found */
	raddr_t gil;     /* up to 3.11: who waits for the GIL sleeps on a futex in these bytes; 0: not known */
	uint32_t gil_bytes;
	raddr_t gc; /* 4 bytes: not 0 while the collector runs; 0: each interpreter has its own, or not found */
	uint32_t pthread_tid; /* up to 3.10: where in the thread descriptor of libc the tid is; 0: not known */
	uint32_t version_hex; /* PY_VERSION_HEX of the target; 0 = not told exactly */
	char version[INTERPRETER_VERSION_TEXT]; /* "3.13.1", "3.14.0rc2"; set also with ERR_UNSUPPORTED when it could be
	                                           told */
	struct layout layout;
};

/* 0: found and initialised. ERR_AGAIN: it is Python, or may become it, but not up yet: try again. ERR_NOT_PYTHON;
 * ERR_UNSUPPORTED (in->version names it, "" when unknown); ERR_PERMISSION; ERR_GONE; ERR_LAYOUT. `r` reads the same
 * process. */
int interpreter_find(struct reader *r, struct interpreter *in);

/* interpreter: find CPython in a process, tell its version, get its layout.
 *
 * Flow:    target/maps, target/elf, memory/reader -> [interpreter] -> walk, names, facts.
 */
#pragma once
#include "pyspy-record/memory/reader.h"
#include "pyspy-record/python/layout.h"

enum { INTERPRETER_VERSION_TEXT = 32 };
struct interpreter {
	raddr_t runtime;                        /* _PyRuntime */
	uint32_t version_hex;                   /* PY_VERSION_HEX of the target; 0 = not told exactly */
	char version[INTERPRETER_VERSION_TEXT]; /* "3.13.1", "3.14.0rc2"; set also with ERR_UNSUPPORTED when it could be
	                                           told */
	struct layout layout;
};

/* 0: found and initialised. ERR_AGAIN: it is Python, or may become it, but not up yet: try again. ERR_NOT_PYTHON;
 * ERR_UNSUPPORTED (in->version names it, "" when unknown); ERR_PERMISSION; ERR_GONE; ERR_LAYOUT. `r` reads the same
 * process. */
int interpreter_find(struct reader *r, struct interpreter *in);

/* interpreter: find CPython in a process, tell its version, get its layout.
 *
 * How: objects mapped into the process, likely ones first (the program, libpython*), then every other. Symbols of the
 * image in memory, then the file's (.symtab, the section .PyRuntime), then a validated scan of the writable segments.
 * The version comes from memory: Py_Version, _Py_DebugOffsets, or the text that Py_GetVersion makes at start-up; never
 * from a file's name. The one whose interpreter list and dictionary of modules are what they should be is it.
 *
 * Flow:    target/maps, target/elf, memory/reader -> [interpreter] -> walk, names, facts.
 * Parts:   interpreter_object.c (objects), interpreter_version.c, interpreter_scan.c, pthreads.c (tids up to 3.10).
 */
#pragma once
#include "pyspy-record/memory/reader.h"
#include "pyspy-record/python/layout.h"

enum { INTERPRETER_VERSION_TEXT = 32, INTERPRETER_WORDS = 4 };
/* What told where _PyRuntime (up to 3.6: the word that points to the interpreters) is. */
enum interpreter_told {
	INTERPRETER_BY_IMAGE,   /* a dynamic symbol, as it lies in memory */
	INTERPRETER_BY_SYMTAB,  /* .symtab of the file */
	INTERPRETER_BY_SECTION, /* the section .PyRuntime of the file */
	INTERPRETER_BY_SCAN,    /* a search of the writable segments */
};
struct interpreter {
	raddr_t runtime; /* _PyRuntime; 0: older than 3.7 */
	raddr_t heads;   /* the word that points to the newest interpreter */
	raddr_t current; /* the word that names the thread state that has the GIL; 0: none (3.12+), not found */
	raddr_t gil;     /* up to 3.11: who waits for the GIL sleeps on a futex in these bytes; 0: not known */
	uint32_t gil_bytes;
	raddr_t gc; /* 4 bytes: not 0 while the collector runs; 0: each interpreter has its own, or not found */
	uint32_t pthread_tid; /* up to 3.10: where in the thread descriptor of libc the tid is; 0: not known */
	uint32_t version_hex; /* PY_VERSION_HEX of the target; 0 = not told exactly */
	char version[INTERPRETER_VERSION_TEXT]; /* "3.13.1", "3.14.0rc2", "3.12.0+"; set also with ERR_UNSUPPORTED when
	                                           it could be told */
	struct layout layout;
	enum interpreter_told told_by;
	raddr_t object; /* where the file that holds it is mapped */
	/* What interpreter_look_again goes on with. */
	struct {
		raddr_t gil_pointer;              /* 2.x: the word that points to the GIL, once there is one */
		raddr_t words[INTERPRETER_WORDS]; /* up to 3.6: static words that named a thread state */
		uint32_t n_words;
		bool wants_current, wants_gil; /* no symbol says where, and no proof yet */
		bool wants_tid;                /* pthread_tid was told by a single thread, or not at all */
		unsigned looks;
	} more;
};

/* 0: found and initialised. ERR_AGAIN: it is Python, or may become it, but not up yet: try again. ERR_NOT_PYTHON;
 * ERR_UNSUPPORTED (in->version names it, "" when unknown); ERR_PERMISSION; ERR_GONE; ERR_LAYOUT. `r` reads the same
 * process. */
int interpreter_find(struct reader *r, struct interpreter *in);
/* Are system calls that a signal or a stop interrupts tried again? 3.5 and later do (PEP 475). */
bool interpreter_retries_calls(const struct interpreter *in);
/* What could not be told at first (a 2.x program makes its GIL with the first thread; a stripped one names its current
 * thread state only while it runs) may be told now: to be called with each census, and now and then. True: something
 * has changed. */
bool interpreter_look_again(struct reader *r, struct interpreter *in);

#include "pyspy-record/python/interpreter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-record/python/interpreter_parts.h"
#include "pyspy-record/python/object.h"
#include "pyspy-record/target/source.h"

enum {
	SCAN_BUDGET = 64 << 20, /* bytes of unlikely objects that one search reads */
	TEXT_BYTES = 4 << 20,   /* that the text is worth when the number is known */
	LOOKS_MAX = 64,
	INTERPRETERS_MAX = 4096,
	SEM_BYTES = 32, /* sem_t: what a lock of 2.x is on Linux (Python/thread_pthread.h, USE_SEMAPHORES) */
};

/* Does an interpreter that is up lie where this layout says? The dictionary of its modules is one by its type's name.
 */
static int check_layout(struct reader *r, const struct interpreter *in)
{
	const struct layout *l = &in->layout;
	uint64_t interp, tstate = 0, back, modules;
	TRY(reader_word(r, in->heads, &interp));
	for (int i = 0; i < INTERPRETERS_MAX && interp; i++) { /* one that nobody is in has no thread states (3.13) */
		TRY(reader_word(r, interp + l->interp.threads_head, &tstate));
		if (tstate)
			break;
		TRY(reader_word(r, interp + l->interp.next, &interp));
	}
	if (!tstate)
		return ERR_AGAIN;
	TRY(reader_word(r, tstate + l->tstate.interp, &back));
	if (back != interp)
		return ERR_LAYOUT;
	TRY(reader_word(r, interp + l->interp.modules, &modules));
	if (!modules)
		return ERR_AGAIN;
	int rc = object_type_may_be(r, l, modules, "dict");
	if (rc == ERR_MEMORY_READ && r->core) /* it was cut off */
		return 0;
	return rc == 1 ? 0 : rc == 0 ? ERR_LAYOUT : rc;
}

/* A program that was linked without PIE and uses a variable of libpython has the only copy of it that is used (a copy
 * relocation): it defines the variable, and does not define Py_GetVersion. */
static raddr_t variable(const struct search *s, const struct mapped_object *f, enum interpreter_symbol symbol)
{
	const struct mapped_object *exe = &s->exe;
	if (exe->first && f->first != exe->first && exe->symbols[symbol].value &&
	    !exe->symbols[SYMBOL_GET_VERSION].value)
		return mapped_object_symbol(exe, symbol);
	return mapped_object_symbol(f, symbol);
}

/* 3.2 to 3.6: the GIL's mutexes and conditions are variables beside each other. */
static void place_static_gil(const struct mapped_object *f, struct interpreter *in)
{
	raddr_t from = UINT64_MAX, to = 0;
	for (int i = SYMBOL_GIL_FIRST; i <= SYMBOL_GIL_LAST; i++) {
		raddr_t at = mapped_object_symbol(f, i);
		if (!at)
			continue;
		from = at < from && f->symbols[i].size >= 16 ? at : from; /* gil_locked may lie far off */
		to = at + f->symbols[i].size > to && f->symbols[i].size >= 16 ? at + f->symbols[i].size : to;
	}
	if (from < to && to - from <= 65536) {
		in->gil = from;
		in->gil_bytes = (uint32_t)(to - from);
	}
}

/* Where the words of this interpreter are that the layout counts from _PyRuntime, or that have symbols of their own. */
static void place_words(const struct search *s, const struct mapped_object *f, struct interpreter *in)
{
	const struct layout *l = &in->layout;
	if (in->runtime) {
		in->heads = in->runtime + l->runtime.interpreters_head;
		in->current = l->runtime.gil_current ? in->runtime + l->runtime.gil_current : 0;
		in->gil = l->runtime.gil ? in->runtime + l->runtime.gil : 0;
		in->gil_bytes = l->gil.size;
		in->gc = l->runtime.gc_collecting ? in->runtime + l->runtime.gc_collecting : 0;
		return;
	}
	in->current = variable(s, f, SYMBOL_CURRENT);
	in->gc = mapped_object_symbol(f, SYMBOL_COLLECTING);
	in->more.gil_pointer = l->is_python2 ? mapped_object_symbol(f, SYMBOL_GIL_LOCK) : 0;
	if (!l->is_python2)
		place_static_gil(f, in);
	in->more.wants_current = !in->current;
	in->more.wants_gil = !in->gil && !l->is_python2;
}

static bool is_final(int rc)
{
	return rc == 0 || rc == ERR_AGAIN || rc == ERR_GONE || rc == ERR_PERMISSION || rc == ERR_NO_MEMORY;
}

static int check_offsets(struct search *s, const struct mapped_object *f, struct interpreter *in, size_t size)
{
	uint8_t raw[LAYOUT_OFFSETS_MAX];
	TRY(reader_read(s->r, in->runtime, raw, size));
	TRY(layout_from_debug_offsets(&in->layout, raw));
	place_words(s, f, in);
	return check_layout(s->r, in);
}

/* 3.13 and later. */
static int check_new(struct search *s, const struct mapped_object *f, struct interpreter *in, size_t size)
{
	if (in->runtime)
		return check_offsets(s, f, in, size);
	int rc = ERR_AGAIN;
	in->told_by = INTERPRETER_BY_SCAN;
	for (raddr_t at = 0; scan_cookie(s->r, f, &at) && rc != 0;) {
		in->runtime = at;
		rc = check_offsets(s, f, in, size);
	}
	if (rc != 0)
		in->runtime = 0;
	return rc;
}

/* Up to 3.12: which build is it? The one whose layout fits. */
static int check_rows(struct search *s, const struct mapped_object *f, struct interpreter *in)
{
	static const enum layout_build builds[] = {LAYOUT_RELEASE, LAYOUT_DEBUG, LAYOUT_TRACEREFS};
	bool is_old = in->version_hex >> 16 < 0x307,
	     is_known = is_old ? mapped_object_symbol(f, SYMBOL_INTERP_HEAD) : in->runtime;
	raddr_t runtime = in->runtime;
	int rc = ERR_UNSUPPORTED;
	if (is_old)
		in->runtime = 0;
	if (!is_known)
		in->told_by = INTERPRETER_BY_SCAN;
	for (size_t i = 0; i < sizeof builds / sizeof *builds; i++) {
		const struct layout *row = layout_find(in->version_hex, builds[i]);
		if (!row)
			continue;
		in->layout = *row;
		if (is_known && is_old) {
			in->heads = mapped_object_symbol(f, SYMBOL_INTERP_HEAD);
		} else if (is_old) {
			if ((rc = scan_heads(s, f, row, &in->heads)) < 0)
				continue;
		} else if (!is_known) {
			if ((rc = scan_runtime(s, f, row, &runtime)) < 0)
				continue;
			in->runtime = runtime;
		}
		place_words(s, f, in);
		rc = check_layout(s->r, in);
		if (is_final(rc))
			return rc;
	}
	return rc;
}

/* The version, as exactly as can be told: hex and text. False: no version is there (yet). */
static bool tell_version(struct search *s, const struct mapped_object *f, struct interpreter *in)
{
	uint64_t head[2];
	uint32_t hex = 0;
	char text[INTERPRETER_VERSION_TEXT];
	if (in->runtime && reader_read(s->r, in->runtime, head, sizeof head) == 0 && memcmp(head, "xdebugpy", 8) == 0)
		hex = (uint32_t)head[1];
	else if (mapped_object_symbol(f, SYMBOL_VERSION))
		reader_read(s->r, mapped_object_symbol(f, SYMBOL_VERSION), &hex, sizeof hex);
	if (hex >> 24 != 3 || (hex >> 16 & 255) > 63)
		hex = 0;
	if (version_scan(s->r, f, hex ? TEXT_BYTES : UINT64_MAX - 1, text) && (!hex || version_hex(text) == hex))
		memcpy(in->version, text, sizeof text); /* it has the "+" too */
	else if (hex)
		version_text(hex, in->version);
	in->version_hex = hex ? hex : version_hex(in->version);
	return in->version_hex != 0;
}

/* Is this an interpreter that is up and that we know? */
static int check(struct search *s, struct mapped_object *f, struct interpreter *in)
{
	bool has_names = f->symbols[SYMBOL_RUNTIME].value || f->symbols[SYMBOL_GET_VERSION].value;
	*in = (struct interpreter){.object = f->first->begin};
	in->told_by = INTERPRETER_BY_IMAGE;
	if (!f->symbols[SYMBOL_RUNTIME].value) {
		mapped_object_ask_file(s, f);
		in->told_by = INTERPRETER_BY_SYMTAB;
	}
	in->runtime = variable(s, f, SYMBOL_RUNTIME);
	if (!in->runtime && f->elf.pyruntime_addr) {
		in->runtime = f->bias + f->elf.pyruntime_addr;
		in->told_by = INTERPRETER_BY_SECTION;
	}
	if (!has_names && !in->runtime && !f->is_likely) {
		uint64_t bytes = mapped_object_data_bytes(f);
		if (bytes > s->bytes_left)
			return ERR_NOT_PYTHON;
		s->bytes_left -= bytes;
	}
	if (!tell_version(s, f, in))
		return has_names || in->runtime ? ERR_AGAIN : ERR_NOT_PYTHON;
	if ((in->version_hex & 0xff) < 0xc0) /* alphas and betas: their structures differ from day to day */
		return ERR_UNSUPPORTED;
	if (!layout_find(in->version_hex, LAYOUT_RELEASE) && !layout_offsets_size(in->version_hex))
		return ERR_UNSUPPORTED;
	size_t offsets = layout_offsets_size(in->version_hex);
	return offsets ? check_new(s, f, in, offsets) : check_rows(s, f, in);
}

/* Which of two answers about two objects says more? */
static int weight(int rc)
{
	switch (rc) {
	case ERR_NOT_PYTHON:
		return 0;
	case ERR_AGAIN:
		return 1;
	case ERR_LAYOUT:
		return 2;
	case ERR_UNSUPPORTED:
		return 3;
	default:
		return 4;
	}
}

/* The list of mappings takes a lesser right than the memory itself (yama), and a seccomp filter may take either. */
static bool is_refused(struct search *s)
{
	char byte;
	return s->maps.n && reader_read(s->r, s->maps.v[0].begin, &byte, 1) == ERR_PERMISSION;
}

static int open_search(struct reader *r, struct search *s)
{
	memset(s, 0, sizeof *s);
	s->r = r;
	s->bytes_left = SCAN_BUDGET;
	TRY(source_maps(r->core, r->pid, &s->maps));
	source_exe(r->core, r->pid, s->exe_path, sizeof s->exe_path, &s->exe_inode);
	for (size_t i = 0; i < s->maps.n && !s->exe.first; i++)
		if (strcmp(s->maps.v[i].path, s->exe_path) == 0 && !mapped_object_read(s, i, &s->exe))
			s->exe.first = NULL;
	return 0;
}

static void found(struct search *s, const struct mapped_object *f, struct interpreter *in)
{
	if (in->more.wants_current || in->more.wants_gil)
		scan_settle(s->r, f, in);
	if (!in->layout.tstate.native_thread_id)
		pthreads_find(s, in);
	interpreter_look_again(s->r, in);
}

int interpreter_find(struct reader *r, struct interpreter *in)
{
	struct search *s = malloc(sizeof *s);
	struct interpreter one;
	*in = one = (struct interpreter){0};
	if (!s)
		return ERR_NO_MEMORY;
	int rc = open_search(r, s);
	if (rc < 0) {
		free(s);
		return rc;
	}
	rc = is_refused(s) ? ERR_PERMISSION : ERR_NOT_PYTHON; /* a thread of the kernel has no memory at all */
	if (rc == ERR_PERMISSION)
		goto done;
	for (int likely = 1; likely >= 0; likely--)
		for (size_t i = 0; i < s->maps.n; i++) {
			struct mapped_object f;
			if (mapped_object_is_likely(s, &s->maps.v[i]) != (likely == 1) || !mapped_object_read(s, i, &f))
				continue;
			int this = check(s, &f, &one);
			if (this == ERR_MEMORY_READ || this == ERR_TORN)
				this = ERR_AGAIN;
			if (this == 0 || weight(this) > weight(rc)) {
				rc = this;
				*in = one;
			}
			if (this == 0)
				found(s, &f, in);
			if (this == 0 || this == ERR_GONE || this == ERR_PERMISSION || this == ERR_NO_MEMORY)
				goto done;
		}
done:
	maps_done(&s->maps);
	free(s);
	return rc;
}

/* The object whose data hold the word that points to the interpreters. */
static bool object_of(struct search *s, raddr_t at, struct mapped_object *f)
{
	for (size_t i = 0; i < s->maps.n; i++) {
		if (s->maps.v[i].begin > at)
			break;
		if (!mapped_object_read(s, i, f))
			continue;
		for (unsigned k = 0; k < f->elf.n_data; k++)
			if (at - (f->bias + f->elf.data_vaddr[k]) < f->elf.data_size[k])
				return true;
	}
	return false;
}

bool interpreter_retries_calls(const struct interpreter *in)
{
	unsigned major = 0, minor = 0;
	sscanf(in->version, "%u.%u", &major, &minor);
	return major > 3 || (major == 3 && minor >= 5);
}

bool interpreter_look_again(struct reader *r, struct interpreter *in)
{
	uint64_t lock;
	raddr_t gil = in->gil, current = in->current;
	uint32_t tid = in->pthread_tid;
	if (in->more.gil_pointer && reader_word(r, in->more.gil_pointer, &lock) == 0) {
		in->gil = lock;
		in->gil_bytes = lock ? SEM_BYTES : 0;
	}
	bool searches = in->more.wants_current || in->more.wants_gil || in->more.wants_tid;
	/* not the first time, which is that of interpreter_find; after some times seldom */
	uint32_t looks = in->more.looks;
	in->more.looks += searches;
	if (searches && looks && (looks < LOOKS_MAX || (looks & (looks - 1)) == 0)) {
		struct search *s = malloc(sizeof *s);
		struct mapped_object f;
		if (s && open_search(r, s) == 0) {
			if ((in->more.wants_current || in->more.wants_gil) && object_of(s, in->heads, &f))
				scan_settle(r, &f, in);
			if (in->more.wants_tid)
				pthreads_find(s, in);
			maps_done(&s->maps);
		}
		free(s);
	}
	return gil != in->gil || current != in->current || tid != in->pthread_tid;
}

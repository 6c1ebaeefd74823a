/* The notes of a core: threads, the process, mapped files, the auxiliary vector. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>

#include "libcommon/err.h"
#include "pyspy-record/target/corefile_parts.h"

enum { WINDOW = 64 << 10, AUXV_MAX = 8192, FILE_WORDS = 3 };
#ifndef NT_SIGINFO
#define NT_SIGINFO 0x53494749
#endif
#ifndef NT_FILE
#define NT_FILE 0x46494c45
#endif

/* The bytes around the note at hand, so that small notes are not read one by one. */
struct window {
	const struct corefile *c;
	uint64_t at;
	size_t n;
	unsigned char bytes[WINDOW];
};

/* n <= WINDOW bytes at `at`; NULL: they are not there. */
static const unsigned char *look(struct window *w, uint64_t at, size_t n)
{
	if (at < w->at || at - w->at > w->n || n > w->n - (at - w->at)) {
		uint64_t left = at < w->c->size ? w->c->size - at : 0;
		w->n = left < WINDOW ? (size_t)left : WINDOW;
		w->at = at;
		if (!corefile_bytes(w->c, at, w->bytes, w->n))
			w->n = 0;
		if (n > w->n)
			return NULL;
	}
	return w->bytes + (at - w->at);
}

/* Which system call the thread was in, from its registers: the kernel keeps its number beside them, -1 = none. */
static void take_registers(const struct elf_prstatus *s, struct corefile_thread *t)
{
#if defined(__x86_64__)
	/* user_regs_struct: di 14, orig_ax 15, sp 19, fs_base 21 */
	t->arg = s->pr_reg[14];
	t->syscall = (int64_t)s->pr_reg[15] < 0 || s->pr_reg[15] > 4096 ? -1 : (long)s->pr_reg[15];
	t->sp = s->pr_reg[19];
	t->tls = s->pr_reg[21];
#else
	t->syscall = -1;
#endif
}

static int take_thread(struct corefile *c, const unsigned char *desc, size_t n)
{
	struct elf_prstatus s;
	if (n < sizeof s || c->threads.n >= COREFILE_THREADS_MAX) {
		c->is_damaged = true;
		return 0;
	}
	memcpy(&s, desc, sizeof s);
	struct corefile_thread t = {.tid = s.pr_pid, .index = (int32_t)c->threads.n, .signal = s.pr_cursig};
	take_registers(&s, &t);
	if (c->threads.n == 0) {
		c->first_tid = t.tid;
		c->signal = t.signal > 0 && t.signal < NSIG ? t.signal : 0;
	}
	return vec_push(&c->threads, t) ? 0 : ERR_NO_MEMORY;
}

static void take_process(struct corefile *c, const unsigned char *desc, size_t n)
{
	struct elf_prpsinfo p;
	if (n < sizeof p || c->process.is_there)
		return;
	memcpy(&p, desc, sizeof p);
	c->process.is_there = true;
	c->process.pid = p.pr_pid;
	c->process.parent_pid = p.pr_ppid;
	c->process.uid = p.pr_uid;
	memcpy(c->process.comm, p.pr_fname, sizeof p.pr_fname);
	memcpy(c->process.arguments, p.pr_psargs, sizeof p.pr_psargs);
}

/* Only the first thread's says why. A debugger writes one for each, of the signal with which it stopped them. */
static void take_siginfo(struct corefile *c, const unsigned char *desc, size_t n)
{
	siginfo_t info;
	if (n < sizeof info || c->threads.n > 1)
		return;
	memcpy(&info, desc, sizeof info);
	if (info.si_signo != c->signal)
		return;
	c->signal_code = info.si_code;
	c->has_fault = info.si_code > 0 && (info.si_signo == SIGSEGV || info.si_signo == SIGBUS ||
	                                    info.si_signo == SIGILL || info.si_signo == SIGFPE);
	c->fault = (uint64_t)(uintptr_t)info.si_addr;
}

/* count, page size, count times (begin, end, offset in pages), count names. */
static int take_files(struct corefile *c, uint64_t at, uint64_t n)
{
	if (c->text.n || n < 16 || n > COREFILE_FILES_BYTES)
		return 0;
	if (!vec_room(&c->text, n + 1))
		return ERR_NO_MEMORY;
	if (!corefile_bytes(c, at, c->text.v, n))
		return 0;
	c->text.v[n] = 0;
	c->text.n = n;
	return 0;
}

static int take_auxv(struct corefile *c, const unsigned char *desc, size_t n)
{
	if (c->auxv.n || !n || n > AUXV_MAX)
		return 0;
	if (!vec_room(&c->auxv, n))
		return ERR_NO_MEMORY;
	memcpy(c->auxv.v, desc, n);
	c->auxv.n = n;
	return 0;
}

static int take_note(struct corefile *c, struct window *w, uint32_t type, uint64_t at, uint32_t n)
{
	if (type == NT_FILE)
		return take_files(c, at, n);
	const unsigned char *desc = n <= AUXV_MAX ? look(w, at, n) : NULL;
	if (!desc)
		return 0;
	switch (type) {
	case NT_PRSTATUS:
		return take_thread(c, desc, n);
	case NT_PRPSINFO:
		take_process(c, desc, n);
		return 0;
	case NT_SIGINFO:
		take_siginfo(c, desc, n);
		return 0;
	case NT_AUXV:
		return take_auxv(c, desc, n);
	default:
		return 0;
	}
}

static int by_tid(const void *a, const void *b)
{
	const struct corefile_thread *x = a, *y = b;
	return x->tid != y->tid ? (x->tid > y->tid) - (x->tid < y->tid) : (x->index > y->index) - (x->index < y->index);
}

int corefile_take_notes(struct corefile *c, uint64_t offset, uint64_t size)
{
	enum { ALIGN = 4 };
	if (c->n_note_segments++ >= COREFILE_NOTE_SEGMENTS_MAX)
		c->is_damaged = true;
	if (offset > c->size || c->n_note_segments > COREFILE_NOTE_SEGMENTS_MAX)
		return 0;
	if (size > c->size - offset)
		size = c->size - offset;
	struct window *w = calloc(1, sizeof *w);
	if (!w)
		return ERR_NO_MEMORY;
	w->c = c;
	int rc = 0;
	for (uint64_t at = 0; rc == 0 && size - at >= sizeof(Elf64_Nhdr);) {
		Elf64_Nhdr h;
		const unsigned char *p = look(w, offset + at, sizeof h);
		if (!p || c->n_notes++ >= COREFILE_NOTES_MAX)
			break;
		memcpy(&h, p, sizeof h);
		uint64_t name = ((uint64_t)h.n_namesz + ALIGN - 1) / ALIGN * ALIGN,
		         desc = ((uint64_t)h.n_descsz + ALIGN - 1) / ALIGN * ALIGN;
		at += sizeof h;
		if (name > size - at || h.n_descsz > size - at - name) {
			c->is_damaged |= offset + size < c->size; /* or it was cut off within this one */
			break;
		}
		const unsigned char *owner = h.n_namesz == 5 ? look(w, offset + at, 5) : NULL;
		if (owner && memcmp(owner, "CORE", 5) == 0)
			rc = take_note(c, w, h.n_type, offset + at + name, h.n_descsz);
		at += name;
		at += desc < size - at ? desc : size - at;
	}
	free(w);
	return rc;
}

static int by_tls(const void *a, const void *b, void *ctx)
{
	const struct corefile_thread *v = ctx, *x = &v[*(const uint32_t *)a], *y = &v[*(const uint32_t *)b];
	return x->tls != y->tls ? (x->tls > y->tls) - (x->tls < y->tls) : (x > y) - (x < y);
}

int corefile_sort_threads(struct corefile *c)
{
	if (c->threads.n == 0)
		return 0;
	qsort(c->threads.v, c->threads.n, sizeof *c->threads.v, by_tid);
	if (!vec_room(&c->by_tls, c->threads.n))
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < c->threads.n; i++)
		c->by_tls.v[c->by_tls.n++] = i;
	qsort_r(c->by_tls.v, c->by_tls.n, sizeof *c->by_tls.v, by_tls, c->threads.v);
	return 0;
}

const struct corefile_thread *corefile_thread(const struct corefile *c, pid_t tid)
{
	size_t low = 0, high = c->threads.n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (c->threads.v[mid].tid < tid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->threads.n && c->threads.v[low].tid == tid ? &c->threads.v[low] : NULL;
}

const struct corefile_thread *corefile_thread_of(const struct corefile *c, uint64_t tls, pid_t tid)
{
	const struct corefile_thread *t = corefile_thread(c, tid);
	if (!tls || (t && t->tls == tls))
		return t;
	size_t low = 0, high = c->by_tls.n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (c->threads.v[c->by_tls.v[mid]].tls < tls)
			low = mid + 1;
		else
			high = mid;
	}
	t = low < c->by_tls.n ? &c->threads.v[c->by_tls.v[low]] : NULL;
	return t && t->tls == tls ? t : NULL;
}

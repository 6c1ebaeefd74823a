#include "pyspy-record/doctor/python_findings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/path.h"
#include "pyspy-record/python/facts.h"
#include "pyspy-record/python/names.h"
#include "pyspy-record/target/maps.h"
#include "pyspy-record/target/process.h"

enum { INTERPRETERS_MAX = 4096, SINCE_OWN_GIL = 0x030c0000 };

static const char *const told[] = {
    [INTERPRETER_BY_IMAGE] = "dynamic symbol",
    [INTERPRETER_BY_SYMTAB] = ".symtab",
    [INTERPRETER_BY_SECTION] = ".PyRuntime",
    [INTERPRETER_BY_SCAN] = "scan",
};
static const char *const told_words[] = {
    [INTERPRETER_BY_IMAGE] = "by a dynamic symbol, in memory",
    [INTERPRETER_BY_SYMTAB] = "by .symtab of the file",
    [INTERPRETER_BY_SECTION] = "by the section .PyRuntime of the file",
    [INTERPRETER_BY_SCAN] = "by a search of its writable memory: the file is stripped",
};

/* Interpreters, and the oldest of them: the main one, the last of the list. */
static raddr_t count_interpreters(struct reader *r, const struct interpreter *in, uint32_t *n)
{
	raddr_t at = 0, main = 0;
	*n = 0;
	if (reader_word(r, in->heads, &at) < 0)
		return 0;
	while (at && *n < INTERPRETERS_MAX) {
		main = at;
		++*n;
		if (reader_word(r, at + in->layout.interp.next, &at) < 0)
			break;
	}
	return main;
}

static void count_name(void *ctx, uint64_t ident, const char *name, size_t n)
{
	(void)ident;
	(void)name;
	(void)n;
	++*(uint32_t *)ctx;
}

/* The file of the object, and whether its C library is musl. */
static char *object_of(const struct reader *r, const struct interpreter *in, bool *is_musl)
{
	struct maps m;
	char *path = NULL;
	*is_musl = false;
	if (maps_read(r->pid, &m) < 0)
		return NULL;
	const struct maps_entry *e = maps_find(&m, in->object);
	if (e)
		path = strdup(e->path);
	for (size_t i = 0; i < m.n; i++)
		*is_musl |= strncmp(path_base(m.v[i].path), "ld-musl", 7) == 0;
	maps_done(&m);
	return path;
}

/* --- features */

struct look {
	struct findings *f;
	const struct interpreter *in;
	const struct layout *l;
	const struct python_findings *s;
	bool is_musl, is_free;
};

static void feature(struct look *k, const char *id, bool works, const char *source, const char *yes, const char *no)
{
	findings_add(k->f, id, works ? FINDING_OK : FINDING_WARNING, 0, source, "%s", works ? yes : no);
}

static void examine_gil(struct look *k)
{
	const struct interpreter *in = k->in;
	bool holder = k->l->gil_kind != LAYOUT_GIL_CURRENT || in->current;
	bool words = k->l->gil_kind == LAYOUT_GIL_CURRENT ? in->gil != 0 || in->more.gil_pointer : true;
	feature(k, "gil_holder", holder && !k->is_free, "the layout", "GIL: who holds it is told",
	        k->is_free ? "GIL: this build has none (unless it was switched on; then its holder is told)"
	                   : "GIL: who holds it is not told yet: no symbol, and no proof where the word is");
	feature(k, "gil_waiters", words && !k->is_free && !k->is_musl, "the layout, the C library",
	        "GIL: who waits for it is told",
	        k->is_free   ? "GIL: nobody waits for it in this build"
	        : k->is_musl ? "GIL: who waits for it is not told on musl"
	                     : "GIL: who waits for it is not told: no symbol says where its lock is");
	bool gc = k->l->interp.gc_collecting || in->gc;
	feature(k, "collector", gc && !k->is_free, "the layout", "collector: when it runs is told",
	        k->is_free ? "collector: not told in free-threaded builds"
	                   : "collector: not told: no symbol says where its word is");
}

static void examine_names(struct look *k, struct reader *r, raddr_t main)
{
	uint32_t n_names = 0;
	bool has_tids = k->l->tstate.native_thread_id || k->in->pthread_tid;
	int rc = main ? names_read(r, k->l, main, count_name, &n_names, NULL) : -1;
	feature(k, "thread_ids", has_tids,
	        k->l->tstate.native_thread_id ? "the layout" : "its threads' descriptors in libc",
	        "threads: the kernel's number of each is told",
	        "threads: which of the kernel's threads is which is not certain yet; it may be when there are more");
	findings_add(k->f, "thread_names", FINDING_OK, 0, "threading._active",
	             rc == 0 ? "threads: names are told, of %u threads just now"
	                     : "threads: names are told as soon as `threading` is imported",
	             n_names);
	findings_add(k->f, "sub_interpreters", FINDING_OK, 0, "the list of interpreters",
	             "interpreters: all of them are seen, %u just now%s", k->s->n_interpreters,
	             k->in->version_hex >= SINCE_OWN_GIL ? "; each may have a GIL of its own" : "");
}

static void examine_features(struct look *k, struct reader *r, raddr_t main)
{
	bool places = k->l->lines == LINETABLE_LOCATIONS, qualified = k->l->code.qualname != k->l->code.name;
	k->f->group = "features";
	feature(k, "names", true, "the layout", "names of functions, modules and files", "");
	feature(k, "qualified_names", qualified, "the layout", "qualified names (Class.method)",
	        "no qualified names: CPython has them from 3.11 on");
	feature(k, "lines", true, "the layout", "exact lines", "");
	feature(k, "columns", places, "the layout", "columns", "no columns: CPython has them from 3.11 on");
	examine_gil(k);
	examine_names(k, r, main);
	feature(k, "native", false, "", "", "native (C) frames: not there yet, in any version");
	feature(k, "tasks", false, "", "", "asyncio tasks: not there yet, in any version");
}

static void examine_engines(const struct machine *m, struct findings *f)
{
	findings_add(f, "outside_engine", FINDING_OK, 0, "process_vm_readv(2)", "sampling from outside works");
	findings_add(f, "kernel_engine", m->kernel.open.worked ? FINDING_OK : FINDING_WARNING, 0, "bpf(2)",
	             m->kernel.open.worked ? "sampling by the kernel works, and will be used"
	                                   : "sampling by the kernel does not work, see kernel_engine above");
}

void python_findings_examine(struct python_findings *s, struct reader *r, const struct interpreter *in,
                             const struct machine *m, struct findings *f)
{
	static const char *const builds[] = {"release", "debug", "free-threaded", "free-threaded debug"};
	struct look k = {.f = f, .in = in, .l = &in->layout, .s = s, .is_free = layout_is_freethreaded(&in->layout)};
	struct facts facts;
	raddr_t main = count_interpreters(r, in, &s->n_interpreters);
	facts_read(r, &in->layout, main, &facts, NULL);
	s->is_known = true;
	s->build = builds[facts.is_debug | k.is_free << 1];
	s->is_free_threaded = k.is_free;
	s->found_by = told[in->told_by];
	s->object = object_of(r, in, &k.is_musl);
	s->n_threads = process_n_threads(r->pid);
	snprintf(s->version, sizeof s->version, "%s", in->version);
	f->group = "python";
	findings_add(f, "python", FINDING_OK, 0, "its memory: Py_Version, _Py_DebugOffsets or what Py_GetVersion made",
	             "CPython %s, %s build%s", in->version, s->build, k.is_musl ? ", on musl" : "");
	findings_add(f, "found", FINDING_OK, 0, s->object ? s->object : "/proc/PID/maps",
	             "the interpreter was found %s", told_words[in->told_by]);
	findings_add(f, "free_threaded", FINDING_OK, 0, "the layout", "%s",
	             k.is_free ? "a free-threaded build: its threads run at the same time" : "a build with a GIL");
	if (facts.prefix && *facts.prefix)
		findings_add(f, "prefix", FINDING_OK, 0, "sys.prefix, in its memory", "%s", facts.prefix);
	facts_done(&facts);
	examine_features(&k, r, main);
	examine_engines(m, f);
}

void python_findings_done(struct python_findings *s)
{
	free(s->object);
	s->object = NULL;
}

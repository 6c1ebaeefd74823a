#include "pyspy-record/sample/target.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/path.h"
#include "pyspy-record/memory/core_reader.h"
#include "pyspy-record/python/facts.h"

enum {
	ENOUGH_BYTES = 3 << 19, /* for code objects and stacks of a process, at first */
};

static int open_read(struct target *t)
{
	int rc = interpreter_find(&t->reader, &t->interpreter);
	if (rc < 0) {
		process_facts_done(&t->facts);
		return rc;
	}
	walk_init(&t->walk, &t->reader, &t->interpreter.layout);
	rc = codes_init(&t->codes, &t->reader, &t->interpreter.layout);
	if (rc == 0)
		rc = trie_init(&t->trie);
	if (rc < 0)
		target_close(t);
	t->trie.codes = &t->codes;
	t->enough_bytes = ENOUGH_BYTES;
	t->census_due = t->names_due = true;
	return rc;
}

int target_open(struct target *t, pid_t pid)
{
	*t = (struct target){0};
	reader_live(&t->reader, pid);
	TRY(process_facts_read(pid, &t->facts));
	return open_read(t);
}

int target_open_core(struct target *t, struct corefile *core)
{
	*t = (struct target){0};
	reader_core(&t->reader, core);
	TRY(corefile_facts(core, &t->facts));
	return open_read(t);
}

void target_close(struct target *t)
{
	target_close_threads(t);
	walk_done(&t->walk);
	codes_done(&t->codes);
	trie_done(&t->trie);
	vec_free(&t->active);
	vec_free(&t->to_check);
	object_trail_done(&t->names_trail);
	object_trail_done(&t->facts_trail);
	process_facts_done(&t->facts);
}

void target_describe(const struct target *t, char *out, size_t size)
{
	struct buf text;
	buf_init(&text, 0);
	for (uint32_t i = 0; i < t->facts.n_cmdline && text.len < 80; i++) {
		const char *word = i ? t->facts.cmdline[i] : path_base(t->facts.cmdline[i]);
		size_t n = strlen(word);
		if (i)
			buf_str(&text, " ");
		escape_text(&text, word, n < 60 ? n : 60);
	}
	snprintf(out, size, "%s (pid %d, CPython %s)", buf_cstr(&text), (int)t->facts.pid, t->interpreter.version);
	buf_done(&text);
}

/* FNV-1a over a string. */
static uint64_t hash_text(uint64_t h, const char *s)
{
	for (; s && *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

int target_tell_process(struct target *t, struct writer *w, bool started, uint64_t now_ns)
{
	struct facts f;
	raddr_t interp =
	    t->n_interps ? t->interps[t->n_interps - 1].at : 0; /* the main one is the oldest, the last of the list */
	if (!interp)
		reader_word(&t->reader, t->interpreter.heads, &interp);
	if (t->id && interp == t->facts_interp && object_trail_holds(&t->facts_trail, &t->reader))
		return 0;
	t->facts_interp = interp;
	object_trail_clear(&t->facts_trail);
	facts_read(&t->reader, &t->interpreter.layout, interp, &f, &t->facts_trail);
	uint64_t hash = hash_text(hash_text(UINT64_C(0xcbf29ce484222325), f.prefix), f.base_prefix);
	hash += f.is_debug;
	for (uint32_t i = 0; i < f.n_path; i++)
		hash = hash_text(hash, f.path[i]);
	struct writer_process p = {
	    .pid = (uint32_t)t->facts.pid,
	    .ns_pid = (uint32_t)t->facts.ns_pid,
	    .parent_pid = (uint32_t)t->facts.parent_pid,
	    .exec_number = t->exec_number,
	    .flags = started ? WIRE_PROCESS_STARTED : 0,
	    .uid = t->facts.uid,
	    .version_hex = t->interpreter.version_hex,
	    .build = f.is_debug | (uint32_t)layout_is_freethreaded(&t->interpreter.layout) << 1,
	    .start_ns = t->facts.start_ns,
	    .seen_ns = now_ns,
	    .version = t->interpreter.version,
	    .exe = t->facts.exe,
	    .cwd = t->facts.cwd,
	    .prefix = f.prefix ? f.prefix : "",
	    .base_prefix = f.base_prefix ? f.base_prefix : "",
	    .cmdline = t->facts.cmdline,
	    .n_cmdline = t->facts.n_cmdline,
	    .sys_path = f.path,
	    .n_sys_path = f.n_path,
	};
	if (!t->id || hash != t->facts_hash)
		t->id = writer_process(w, t->id, &p);
	t->facts_hash = hash;
	facts_done(&f);
	return t->id ? 0 : ERR_NO_MEMORY;
}

void target_before_flush(struct target *t, struct writer *w)
{
	for (size_t i = 0; i < t->threads.n; i++) {
		struct sample_thread *th = t->threads.v[i];
		if (th->skipped)
			taskstate_run(&th->task, &th->run);
		if (th->run.cpu_ns > th->cpu_told_ns && th->is_shown) {
			writer_closing(w, th->id, th->run.cpu_ns - th->cpu_told_ns);
			th->cpu_told_ns = th->run.cpu_ns;
		}
	}
}

void target_forget(struct target *t)
{
	t->codes_before += t->codes.v.n - 1;
	t->nodes_before += t->trie.nodes.n - 1;
	codes_clear(&t->codes);
	trie_clear(&t->trie);
	lockstep_forget(&t->events.lockstep);
	for (size_t i = 0; i < t->threads.n; i++) {
		t->threads.v[i]->asleep = false;
		t->threads.v[i]->shown_epoch = UINT32_MAX; /* its node means nothing any more: show it anew */
		t->threads.v[i]->path.n = 0;
	}
}

static size_t table_bytes(const struct target *t)
{
	return t->trie.nodes.n * TRIE_NODE_BYTES + codes_bytes(&t->codes);
}

bool target_is_large(const struct target *t)
{
	return table_bytes(t) > t->enough_bytes || codes_is_full(&t->codes) || trie_is_full(&t->trie);
}

bool target_trim(struct target *t)
{
	bool is_full = codes_is_full(&t->codes) || trie_is_full(&t->trie);
	if (!target_is_large(t))
		return false;
	if (recur_is_again(&t->trie.recur)) /* it needs more than that */
		while (!is_full && table_bytes(t) > t->enough_bytes)
			t->enough_bytes *= 2;
	if (!is_full && table_bytes(t) <= t->enough_bytes)
		return false;
	target_forget(t);
	return true;
}

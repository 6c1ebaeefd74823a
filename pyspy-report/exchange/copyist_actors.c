#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/copyist_parts.h"

static int text(struct copyist *c, enum copyist_text kind, str_id id, str_id *to)
{
	return copyist_text(c, kind, copyist_raw(c, id), 0, to);
}

static int end(struct copyist *c)
{
	return scribe_end(c->to, SCRIBE_ACTORS, 0, 0);
}

/* Append to c->ids. */
static int texts(struct copyist *c, enum copyist_text kind, const str_id *ids, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		str_id to;

		TRY(text(c, kind, ids[i], &to));
		if (!vec_push(&c->ids, to))
			return ERR_NO_MEMORY;
	}
	return 0;
}

static int notes(struct copyist *c, const struct rec_recording *r)
{
	static const char own[] = WIRE_NOTE_RESERVED;

	c->notes.n = 0;
	for (uint32_t i = 0; i < r->n_notes; i++) {
		struct rec_note to;
		size_t n;
		const char *key = intern_bytes(&c->raw, copyist_raw(c, r->notes[i].key), &n);
		bool is_own = n >= sizeof own - 1 && memcmp(key, own, sizeof own - 1) == 0;

		TRY(text(c, is_own ? COPYIST_PLAIN : COPYIST_NOTE, r->notes[i].key, &to.key));
		TRY(text(c, is_own ? COPYIST_PLAIN : COPYIST_NOTE, r->notes[i].value, &to.value));
		if (!vec_push(&c->notes, to))
			return ERR_NO_MEMORY;
	}
	return 0;
}

static int on_recording(void *ctx, const struct rec_recording *r)
{
	struct copyist *c = ctx;
	struct rec_recording to = *r;
	size_t n;

	TRY(text(c, COPYIST_HOST, r->host, &to.host));
	TRY(text(c, COPYIST_VERSION, r->kernel, &to.kernel));
	TRY(text(c, COPYIST_PLAIN, r->machine, &to.machine));
	TRY(text(c, COPYIST_BOOT, r->boot_id, &to.boot_id));
	TRY(text(c, COPYIST_PLAIN, r->recorder, &to.recorder));
	c->ids.n = 0;
	TRY(texts(c, COPYIST_OPTION, r->options, r->n_options));
	to.options = c->ids.v;
	TRY(notes(c, r));
	if (c->hooks.note) {
		struct rec_note more;

		TRY(scribe_string(c->to, c->hooks.note_key, strlen(c->hooks.note_key), &more.key));
		TRY(scribe_string(c->to, c->hooks.note, strlen(c->hooks.note), &more.value));
		if (!vec_push(&c->notes, more))
			return ERR_NO_MEMORY;
	}
	to.notes = c->notes.v;
	to.n_notes = (uint32_t)c->notes.n;
	encode_recording(scribe_begin(c->to, SCRIBE_RECORDING), &to);
	const char *host = intern_bytes(&c->to->strings, to.host, &n);
	if (intern_get(&c->hosts, host, n, &(uint32_t){0}, NULL) == ERR_NO_MEMORY)
		return ERR_NO_MEMORY;
	return scribe_end(c->to, SCRIBE_RECORDING, 0, 0);
}

static int on_process(void *ctx, const struct rec_process *p)
{
	struct copyist *c = ctx;
	struct rec_process to = *p;

	TRY(text(c, COPYIST_VERSION, p->version, &to.version));
	TRY(text(c, COPYIST_PATH, p->exe, &to.exe));
	TRY(text(c, COPYIST_PATH, p->cwd, &to.cwd));
	TRY(text(c, COPYIST_PATH, p->prefix, &to.prefix));
	TRY(text(c, COPYIST_PATH, p->base_prefix, &to.base_prefix));
	c->ids.n = 0;
	TRY(texts(c, COPYIST_WORD, p->cmdline, p->n_cmdline));
	TRY(texts(c, COPYIST_PATH, p->sys_path, p->n_sys_path));
	to.cmdline = c->ids.v;
	to.sys_path = c->ids.v + p->n_cmdline;
	if (c->hooks.process)
		c->hooks.process(c->hooks.ctx, &to);
	encode_process(scribe_begin(c->to, SCRIBE_ACTORS), &to);
	return end(c);
}

static int on_process_end(void *ctx, const struct rec_process_end *p)
{
	struct copyist *c = ctx;

	encode_process_end(scribe_begin(c->to, SCRIBE_ACTORS), p);
	return end(c);
}

static int on_thread(void *ctx, const struct rec_thread *t)
{
	struct copyist *c = ctx;
	struct rec_thread to = *t;

	TRY(text(c, COPYIST_THREAD, t->name, &to.name));
	encode_thread(scribe_begin(c->to, SCRIBE_ACTORS), &to);
	return end(c);
}

static int on_thread_end(void *ctx, thread_id id, uint64_t time_ns)
{
	struct copyist *c = ctx;

	encode_thread_end(scribe_begin(c->to, SCRIBE_ACTORS), id, time_ns);
	return end(c);
}

static int on_interpreter(void *ctx, const struct rec_interpreter *i)
{
	struct copyist *c = ctx;

	encode_interpreter(scribe_begin(c->to, SCRIBE_ACTORS), i);
	return end(c);
}

static int on_host(void *ctx, const struct rec_host *h)
{
	struct copyist *c = ctx;
	struct rec_host to = *h;

	TRY(text(c, COPYIST_HOST, h->name, &to.name));
	TRY(text(c, COPYIST_BOOT, h->boot_id, &to.boot_id));
	TRY(text(c, COPYIST_VERSION, h->kernel, &to.kernel));
	TRY(text(c, COPYIST_PLAIN, h->machine, &to.machine));
	encode_host(scribe_begin(c->to, SCRIBE_ACTORS), &to);
	return end(c);
}

static int on_lost(void *ctx, const struct rec_lost *l)
{
	struct copyist *c = ctx;

	encode_lost(scribe_begin(c->to, SCRIBE_SAMPLES), l);
	return scribe_end(c->to, SCRIBE_SAMPLES, 0, 0);
}

static int on_counter(void *ctx, const struct rec_counter *r)
{
	struct copyist *c = ctx;

	return vec_push(&c->counters, *r) ? 0 : ERR_NO_MEMORY;
}

static int on_end(void *ctx, const struct rec_end *e)
{
	struct copyist *c = ctx;

	encode_end(scribe_begin(c->to, SCRIBE_SAMPLES), e);
	return scribe_end(c->to, SCRIBE_SAMPLES, 0, 0);
}

void copyist_add_actors(struct decode_visitor *v)
{
	v->recording = on_recording;
	v->process = on_process;
	v->process_end = on_process_end;
	v->thread = on_thread;
	v->thread_end = on_thread_end;
	v->interpreter = on_interpreter;
	v->host = on_host;
	v->lost = on_lost;
	v->counter = on_counter;
	v->end = on_end;
}

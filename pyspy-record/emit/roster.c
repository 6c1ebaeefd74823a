#include "pyspy-record/emit/roster.h"

#include <string.h>

#include "libcommon/err.h"

/* Of one process's command line, and of its sys.path: what is beyond is cut, and marked. */
enum { ROSTER_WORDS_MAX = 1024, ROSTER_TEXT_MAX = 256 << 10 };
static const char ellipsis[] = "\xe2\x80\xa6";

void roster_init(struct roster *r)
{
	memset(r, 0, sizeof *r);
}

void roster_done(struct roster *r)
{
	for (size_t i = 0; i < r->processes.n; i++)
		free(r->processes.v[i].memory);
	for (size_t i = 0; i < r->threads.n; i++)
		free(r->threads.v[i].name);
	vec_free(&r->processes);
	vec_free(&r->interpreters);
	vec_free(&r->threads);
	vec_free(&r->process_ends);
	vec_free(&r->thread_ends);
	vec_free(&r->free_processes);
	vec_free(&r->free_threads);
	vec_free(&r->words);
}

/* How many of the words fit; *bytes is what they take, NULs included. */
static uint32_t fitting_words(char *const *words, uint32_t n, size_t *bytes)
{
	*bytes = 0;
	for (uint32_t i = 0; i < n; i++) {
		size_t len = strlen(words[i]) + 1;
		if (i == ROSTER_WORDS_MAX || *bytes + len > ROSTER_TEXT_MAX)
			return i;
		*bytes += len;
	}
	return n;
}

static const char *copy_text(char **at, const char *text)
{
	char *begin = *at;
	size_t n = text ? strlen(text) : 0;
	if (n)
		memcpy(begin, text, n);
	begin[n] = '\0';
	*at += n + 1;
	return begin;
}

static void copy_words(char ***slots, char **at, char *const *from, uint32_t keep, uint32_t *n)
{
	bool is_cut = keep < *n;
	for (uint32_t i = 0; i < keep; i++)
		(*slots)[i] = (char *)copy_text(at, from[i]);
	if (is_cut)
		(*slots)[keep] = (char *)copy_text(at, ellipsis);
	*n = keep + is_cut;
	*slots += *n;
}

/* One allocation: word pointers, then the texts. */
static bool copy_process(struct roster_process *to, const struct writer_process *p)
{
	const char *texts[] = {p->version, p->exe, p->cwd, p->prefix, p->base_prefix};
	size_t bytes = 2 * sizeof ellipsis, cmdline_bytes, path_bytes;
	uint32_t n_cmdline = fitting_words(p->cmdline, p->n_cmdline, &cmdline_bytes);
	uint32_t n_path = fitting_words(p->sys_path, p->n_sys_path, &path_bytes);

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		bytes += (texts[i] ? strlen(texts[i]) : 0) + 1;
	char **slots = malloc(((size_t)n_cmdline + n_path + 2) * sizeof *slots + bytes + cmdline_bytes + path_bytes);
	if (!slots)
		return false;
	char *at = (char *)(slots + n_cmdline + n_path + 2);
	free(to->memory);
	to->memory = slots;
	to->facts = *p;
	to->facts.version = copy_text(&at, p->version);
	to->facts.exe = copy_text(&at, p->exe);
	to->facts.cwd = copy_text(&at, p->cwd);
	to->facts.prefix = copy_text(&at, p->prefix);
	to->facts.base_prefix = copy_text(&at, p->base_prefix);
	to->facts.cmdline = slots;
	copy_words(&slots, &at, p->cmdline, n_cmdline, &to->facts.n_cmdline);
	to->facts.sys_path = slots;
	copy_words(&slots, &at, p->sys_path, n_path, &to->facts.n_sys_path);
	return true;
}

process_id roster_process(struct roster *r, process_id id, const struct writer_process *p)
{
	bool is_old = id > 0 && id < r->processes.n && r->processes.v[id].state == ROSTER_RUNS;
	struct roster_process fresh = {.state = ROSTER_RUNS};

	if (!copy_process(is_old ? &r->processes.v[id] : &fresh, p))
		return is_old ? id : 0;
	if (!is_old) {
		if (r->free_processes.n) {
			id = r->free_processes.v[--r->free_processes.n];
		} else {
			if (!vec_room(&r->processes, 2)) {
				free(fresh.memory);
				return 0;
			}
			if (r->processes.n == 0)
				memset(&r->processes.v[r->processes.n++], 0, sizeof *r->processes.v);
			id = (process_id)r->processes.n++;
		}
		r->processes.v[id] = fresh;
	}
	r->processes.v[id].is_unsent = r->has_news = true;
	return id;
}

static bool is_same_thread(const struct writer_thread *a, const struct writer_thread *b)
{
	return a->process == b->process && a->tid == b->tid && a->ns_tid == b->ns_tid &&
	       a->interpreter == b->interpreter && a->flags == b->flags && a->kind == b->kind &&
	       a->start_ns == b->start_ns && a->pthread == b->pthread && a->name_len == b->name_len &&
	       (a->name_len == 0 || !memcmp(a->name, b->name, a->name_len));
}

thread_id roster_thread(struct roster *r, thread_id id, const struct writer_thread *t)
{
	bool is_old = id > 0 && id < r->threads.n && r->threads.v[id].state == ROSTER_RUNS;
	struct writer_thread facts = *t;

	if (!facts.name)
		facts.name_len = 0;
	if (is_old && is_same_thread(&r->threads.v[id].facts, &facts))
		return id;
	char *name = malloc(facts.name_len + 1);
	if (!name)
		return is_old ? id : 0;
	if (facts.name_len)
		memcpy(name, facts.name, facts.name_len);
	name[facts.name_len] = '\0';
	facts.name = name;
	if (is_old) {
		free(r->threads.v[id].name);
	} else if (r->free_threads.n) {
		id = r->free_threads.v[--r->free_threads.n];
	} else {
		if (r->threads.n + 2 > WIRE_IDS_MAX || !vec_room(&r->threads, 2)) {
			free(name);
			return 0;
		}
		if (r->threads.n == 0)
			memset(&r->threads.v[r->threads.n++], 0, sizeof *r->threads.v);
		id = (thread_id)r->threads.n++;
	}
	r->threads.v[id] =
	    (struct roster_thread){.state = ROSTER_RUNS, .is_unsent = true, .facts = facts, .name = name};
	r->has_news = true;
	return id;
}

void roster_interpreter(struct roster *r, const struct rec_interpreter *i)
{
	struct roster_interpreter entry = {.is_unsent = true, .facts = *i};
	struct roster_interpreter *known = NULL;

	for (size_t k = 0; k < r->interpreters.n && !known; k++)
		if (r->interpreters.v[k].facts.process == i->process && r->interpreters.v[k].facts.number == i->number)
			known = &r->interpreters.v[k];
	if (known && known->facts.flags == i->flags)
		return;
	if (known)
		*known = entry;
	else if (!vec_push(&r->interpreters, entry))
		return;
	r->has_news = true;
}

void roster_process_end(struct roster *r, const struct rec_process_end *e)
{
	if (e->id == 0 || e->id >= r->processes.n || r->processes.v[e->id].state != ROSTER_RUNS)
		return;
	r->processes.v[e->id].state = ROSTER_ENDED;
	if (vec_push(&r->process_ends, *e))
		r->has_news = true;
}

bool roster_thread_end(struct roster *r, thread_id id, uint64_t time_ns)
{
	if (id == 0 || id >= r->threads.n || r->threads.v[id].state != ROSTER_RUNS)
		return false;
	r->threads.v[id].state = ROSTER_ENDED;
	struct roster_thread_end end = {.id = id, .time_ns = time_ns};
	if (vec_push(&r->thread_ends, end))
		r->has_news = true;
	return true;
}

thread_id roster_next_thread(const struct roster *r, process_id p, thread_id after)
{
	for (size_t id = (size_t)after + 1; id < r->threads.n; id++)
		if (r->threads.v[id].state == ROSTER_RUNS && r->threads.v[id].facts.process == p)
			return (thread_id)id;
	return 0;
}

static str_id text_id(struct dictionary *d, const char *s)
{
	return dictionary_string(d, s, strlen(s));
}

static void encode_one_process(struct roster *r, process_id id, struct dictionary *d, struct buf *out)
{
	const struct writer_process *p = &r->processes.v[id].facts;

	r->words.n = 0;
	if (!vec_room(&r->words, (size_t)p->n_cmdline + p->n_sys_path)) {
		out->err = ERR_NO_MEMORY;
		return;
	}
	for (uint32_t i = 0; i < p->n_cmdline; i++)
		r->words.v[r->words.n++] = text_id(d, p->cmdline[i]);
	for (uint32_t i = 0; i < p->n_sys_path; i++)
		r->words.v[r->words.n++] = text_id(d, p->sys_path[i]);
	encode_process(out, &(struct rec_process){
	                        .id = id,
	                        .pid = p->pid,
	                        .ns_pid = p->ns_pid,
	                        .parent_pid = p->parent_pid,
	                        .start_ns = p->start_ns,
	                        .exec_number = p->exec_number,
	                        .seen_ns = p->seen_ns,
	                        .flags = p->flags,
	                        .uid = p->uid,
	                        .version_hex = p->version_hex,
	                        .build = p->build,
	                        .version = text_id(d, p->version),
	                        .exe = text_id(d, p->exe),
	                        .cwd = text_id(d, p->cwd),
	                        .prefix = text_id(d, p->prefix),
	                        .base_prefix = text_id(d, p->base_prefix),
	                        .cmdline = r->words.v,
	                        .n_cmdline = p->n_cmdline,
	                        .sys_path = r->words.v + p->n_cmdline,
	                        .n_sys_path = p->n_sys_path,
	                    });
}

static void encode_one_thread(thread_id id, const struct writer_thread *t, struct dictionary *d, struct buf *out)
{
	encode_thread(out, &(struct rec_thread){
	                       .id = id,
	                       .process = t->process,
	                       .tid = t->tid,
	                       .ns_tid = t->ns_tid,
	                       .start_ns = t->start_ns,
	                       .interpreter = t->interpreter,
	                       .pthread = t->pthread,
	                       .name = dictionary_string(d, t->name, t->name_len),
	                       .flags = t->flags,
	                       .kind = t->kind,
	                   });
}

void roster_encode(struct roster *r, struct dictionary *d, struct buf *out)
{
	if (!r->has_news)
		return;
	for (process_id id = 1; id < r->processes.n; id++) {
		if (r->processes.v[id].is_unsent)
			encode_one_process(r, id, d, out);
		r->processes.v[id].is_unsent = false;
	}
	for (size_t i = 0; i < r->interpreters.n; i++) {
		if (r->interpreters.v[i].is_unsent)
			encode_interpreter(out, &r->interpreters.v[i].facts);
		r->interpreters.v[i].is_unsent = false;
	}
	for (thread_id id = 1; id < r->threads.n; id++) {
		if (r->threads.v[id].is_unsent)
			encode_one_thread(id, &r->threads.v[id].facts, d, out);
		r->threads.v[id].is_unsent = false;
	}
	r->has_news = false;
}

void roster_encode_ends(struct roster *r, struct buf *out)
{
	for (size_t i = 0; i < r->thread_ends.n; i++)
		encode_thread_end(out, r->thread_ends.v[i].id, r->thread_ends.v[i].time_ns);
	for (size_t i = 0; i < r->process_ends.n; i++)
		encode_process_end(out, &r->process_ends.v[i]);
	r->thread_ends.n = r->process_ends.n = 0;
}

static void forget_interpreters(struct roster *r, process_id p)
{
	size_t keep = 0;
	for (size_t i = 0; i < r->interpreters.n; i++)
		if (r->interpreters.v[i].facts.process != p)
			r->interpreters.v[keep++] = r->interpreters.v[i];
	r->interpreters.n = keep;
}

void roster_new_epoch(struct roster *r)
{
	for (process_id id = 1; id < r->processes.n; id++) {
		struct roster_process *p = &r->processes.v[id];
		if (p->state == ROSTER_ENDED && vec_push(&r->free_processes, id)) {
			forget_interpreters(r, id);
			free(p->memory);
			memset(p, 0, sizeof *p);
		}
		p->is_unsent = p->state == ROSTER_RUNS;
	}
	for (thread_id id = 1; id < r->threads.n; id++) {
		struct roster_thread *t = &r->threads.v[id];
		if (t->state == ROSTER_ENDED && vec_push(&r->free_threads, id)) {
			free(t->name);
			memset(t, 0, sizeof *t);
		}
		t->is_unsent = t->state == ROSTER_RUNS;
	}
	for (size_t i = 0; i < r->interpreters.n; i++)
		r->interpreters.v[i].is_unsent = true;
	r->has_news = true;
}

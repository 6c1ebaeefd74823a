#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "libcommon/clock.h"
#include "libcommon/escape.h"
#include "pyspy-record/show/dump.h"

struct json {
	FILE *out;
	const struct dump_process *p;
	const struct dump_options *o;
	struct buf text;
};

static void put_string(struct json *j, const char *s, size_t n)
{
	buf_reset(&j->text);
	escape_json(&j->text, s, n);
	fprintf(j->out, "\"%s\"", buf_cstr(&j->text));
}

/* `key` with what stands between it and the value before */
static void put_text(struct json *j, const char *key, const char *s, size_t n)
{
	fprintf(j->out, ", \"%s\": ", key);
	put_string(j, s, n);
}

static void put_bool(struct json *j, const char *key, bool value)
{
	fprintf(j->out, ", \"%s\": %s", key, value ? "true" : "false");
}

static void put_number(struct json *j, const char *key, bool is_known, int64_t value)
{
	if (is_known)
		fprintf(j->out, ", \"%s\": %" PRId64, key, value);
	else
		fprintf(j->out, ", \"%s\": null", key);
}

static void put_words(struct json *j, const char *key, char **words, uint32_t n)
{
	fprintf(j->out, ", \"%s\": [", key);
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			fputs(", ", j->out);
		put_string(j, words[i], strlen(words[i]));
	}
	fputc(']', j->out);
}

static void put_time(struct json *j, uint64_t ns)
{
	time_t s = (time_t)(ns / CLOCK_NS_PER_S);
	struct tm tm;
	char text[40];
	gmtime_r(&s, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(j->out, ", \"time\": \"%s.%06uZ\"", text, (unsigned)(ns % CLOCK_NS_PER_S / 1000));
}

static void put_locals(struct json *j, const struct locals_list *list)
{
	static const char *const kinds[] = {"local", "cell", "free", "name"};
	fputs(", \"locals\": [", j->out);
	for (size_t i = 0; i < list->v.n; i++) {
		const struct locals_entry *e = &list->v.v[i];
		fputs(i ? ",\n      {\"name\": " : "\n      {\"name\": ", j->out);
		put_string(j, (const char *)list->text.data + e->name, e->name_len);
		put_text(j, "repr", (const char *)list->text.data + e->value, e->value_len);
		put_bool(j, "arg", e->is_argument);
		fprintf(j->out, ", \"kind\": \"%s\"", kinds[e->kind]);
		put_bool(j, "hidden", e->is_hidden);
		fputc('}', j->out);
	}
	fprintf(j->out, "], \"locals_left_out\": %zu}", list->left_out);
}

static void put_frame(struct json *j, const struct snapshot_frame *f, const struct locals_list *list)
{
	const struct code *code = codes_at(&j->p->target->codes, f->code);
	const struct linetable_place *at = &f->place;
	size_t n;
	const char *s = dump_name(j->p, code->qualname, &n), *absent = dump_absent(j->p, code);
	if (absent) {
		s = absent;
		n = strlen(s);
	}
	fputs("{\"name\": ", j->out);
	put_string(j, s, n);
	s = dump_name(j->p, code->file, &n);
	put_text(j, "file", s, n);
	const char *part = dump_short_file(j->p, s);
	put_text(j, "short_file", part, n - (size_t)(part - s));
	s = dump_name(j->p, code->module, &n);
	put_text(j, "module", s, n);
	put_number(j, "line", at->has_line, at->line);
	put_number(j, "end_line", at->has_line && at->has_columns, at->end_line);
	put_number(j, "column", at->has_line && at->has_columns, at->column);
	put_number(j, "end_column", at->has_line && at->has_columns, at->end_column);
	put_number(j, "first_line", code->first_line > 0, code->first_line);
	if (list)
		put_locals(j, list);
	else
		fputs(", \"locals\": null}", j->out);
}

static void put_frames(struct json *j, size_t first, size_t n)
{
	fputs(", \"frames\": [", j->out);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ",\n    " : "\n    ", j->out);
		put_frame(j, &j->p->snapshot->frames.v[first + i], dump_locals_at(j->p->locals, first + i));
	}
	fputc(']', j->out);
}

static const char *state_word(char letter)
{
	switch (letter) {
	case 'R':
		return "running";
	case 'S':
	case 'I':
		return "sleeping";
	case 'D':
		return "disk";
	case 'T':
		return "stopped";
	case 't':
		return "traced";
	default:
		return "unknown";
	}
}

static void put_thread(struct json *j, const struct snapshot_thread *st)
{
	const struct sample_thread *th = st->thread;
	bool from_kernel = th->thread_flags & WIRE_THREAD_KERNEL_NAME;
	fprintf(j->out, "{\"tid\": %d", (int)th->tid);
	put_number(j, "namespace_tid", th->ns_tid > 0, th->ns_tid);
	fprintf(j->out, ", \"ident\": %" PRIu64, th->pthread);
	put_text(j, "name", th->name.v ? th->name.v : "", th->name.n);
	fprintf(j->out, ", \"name_is_from\": \"%s\"", from_kernel ? "kernel" : "python");
	fprintf(j->out, ", \"interpreter\": %u, \"state\": \"%s\"", th->interp_number, state_word(st->state));
	put_bool(j, "active", dump_is_active(st));
	put_bool(j, "holds_gil", st->flags & WIRE_FLAG_GIL);
	put_bool(j, "waits_for_gil", st->flags & WIRE_FLAG_GIL_WAIT);
	put_bool(j, "collects_garbage", st->flags & WIRE_FLAG_GC);
	put_bool(j, "crashed", st->has_crashed);
	put_bool(j, "certain", st->is_certain);
	put_bool(j, "torn", st->is_torn);
	put_bool(j, "cut", st->is_cut);
	put_frames(j, st->first, st->n);
	fputc('}', j->out);
}

static void put_task_text(struct json *j, const char *key, struct tasks_text text)
{
	const struct tasks *t = &j->p->tasks->tasks;
	if (text.n)
		put_text(j, key, tasks_bytes(t, text), text.n);
	else
		fprintf(j->out, ", \"%s\": null", key);
}

static void put_thing(struct json *j, const struct tasks_thing *thing)
{
	fprintf(j->out, "{\"id\": %" PRIu64, thing->at);
	put_task_text(j, "type", thing->type);
	put_task_text(j, "name", thing->name);
	const char *state = thing->state == 'p'   ? "pending"
	                    : thing->state == 'c' ? "cancelled"
	                    : thing->state == 'f' ? "finished"
	                                          : NULL;
	if (state)
		put_text(j, "state", state, strlen(state));
	else
		fputs(", \"state\": null", j->out);
}

static void put_waiter(struct json *j, const struct tasks_entry *e)
{
	fputs(", \"waits_for\": ", j->out);
	if (!e->waits) {
		fputs("null", j->out);
		return;
	}
	put_thing(j, &e->waiter);
	fputs(", \"all_of\": [", j->out);
	for (size_t i = 0; i < e->n_children; i++) {
		if (i)
			fputs(", ", j->out);
		put_thing(j, &j->p->tasks->tasks.things.v[e->first_child + i]);
		fputc('}', j->out);
	}
	fputs("]}", j->out);
}

static void put_binaries(struct json *j, const struct corefile *c)
{
	static const char *const words[] = {"used", "not here", "another one is here", "cannot be checked",
	                                    "used unchecked"};
	fputs(", \"binaries\": [", j->out);
	for (size_t i = 0; i < c->binaries.n; i++) {
		const struct corefile_binary *b = &c->binaries.v[i];
		fputs(i ? ", {\"file\": " : "{\"file\": ", j->out);
		put_string(j, b->path, strlen(b->path));
		fputs(", \"build_id\": \"", j->out);
		for (uint32_t k = 0; k < b->n_build_id; k++)
			fprintf(j->out, "%02x", b->build_id[k]);
		fprintf(j->out, "\", \"state\": \"%s\"}", words[b->state]);
	}
	fputc(']', j->out);
}

static void put_core(struct json *j)
{
	const struct corefile *c = j->p->core;
	char room[24];
	if (!c) {
		fputs(", \"core\": null", j->out);
		return;
	}
	fputs(", \"core\": {\"file\": ", j->out);
	put_string(j, j->p->core_path, strlen(j->p->core_path));
	put_number(j, "signal", c->signal, c->signal);
	if (c->signal)
		fprintf(j->out, ", \"signal_name\": \"%s\"", corefile_signal_name(c->signal, room));
	else
		fputs(", \"signal_name\": null", j->out);
	put_number(j, "signal_code", c->signal, c->signal_code);
	if (c->has_fault)
		fprintf(j->out, ", \"fault_address\": %" PRIu64, c->fault);
	else
		fputs(", \"fault_address\": null", j->out);
	put_number(j, "crashed_tid", c->signal, c->first_tid);
	fprintf(j->out, ", \"threads\": %zu, \"bytes\": %" PRIu64 ", \"bytes_expected\": %" PRIu64, c->threads.n,
	        c->size, c->wanted);
	put_bool(j, "truncated", c->wanted > c->size);
	put_bool(j, "damaged", c->is_damaged);
	put_bool(j, "compressed", c->packed_bytes);
	put_binaries(j, c);
	fputc('}', j->out);
}

static void put_task(struct json *j, const struct dump_task *task)
{
	const struct tasks *t = &j->p->tasks->tasks;
	const struct tasks_entry *e = &t->list.v[task->entry];
	fprintf(j->out, "{\"id\": %" PRIu64, e->at);
	put_text(j, "name", tasks_bytes(t, e->name), e->name.n);
	put_task_text(j, "type", e->type);
	put_task_text(j, "coroutine", e->coroutine_name);
	fprintf(j->out, ", \"state\": \"%s\"", e->is_running ? "running" : "pending");
	put_bool(j, "begun", e->is_begun);
	put_waiter(j, e);
	put_task_text(j, "awaits", e->awaits);
	fprintf(j->out, ", \"interpreter\": %u", e->interp);
	put_number(j, "thread", task->thread, task->thread ? task->thread->thread->tid : 0);
	put_number(j, "loop", e->loop, (int64_t)e->loop);
	put_task_text(j, "loop_type", e->loop_type);
	if (e->has_awaited_by) {
		fputs(", \"awaited_by\": [", j->out);
		for (size_t i = 0; i < e->n_awaited_by; i++)
			fprintf(j->out, "%s%" PRIu64, i ? ", " : "", t->awaited_by.v[e->first_awaited_by + i]);
		fputc(']', j->out);
	} else {
		fputs(", \"awaited_by\": null", j->out);
	}
	put_bool(j, "certain", task->is_certain);
	put_bool(j, "cut", e->is_cut);
	put_frames(j, task->first, task->n);
	fputc('}', j->out);
}

static void put_tasks(struct json *j)
{
	const struct dump_tasks *d = j->p->tasks;
	if (!d || d->problem) {
		fputs("],\n \"tasks\": null", j->out);
		if (d)
			put_text(j, "tasks_problem", d->problem, strlen(d->problem));
		return;
	}
	fputs("],\n \"tasks\": [", j->out);
	for (size_t i = 0; i < d->list.n; i++) {
		fputs(i ? ",\n  " : "\n  ", j->out);
		put_task(j, &d->list.v[i]);
	}
	fprintf(j->out, "], \"tasks_left_out\": %zu, \"tasks_not_understood\": %zu", d->left_out,
	        d->tasks.not_understood);
	put_bool(j, "tasks_complete", !d->may_lack);
}

void dump_json_open(FILE *out, const struct dump_process *p, const struct dump_options *o)
{
	struct json j = {.out = out, .p = p, .o = o};
	const struct target *t = p->target;
	buf_init(&j.text, 0);
	fprintf(out, "{\"schema_version\": %d, \"recorder\": \"pyspy-record %s\"", DUMP_SCHEMA, PYSPY_VERSION);
	put_number(&j, "pid", !p->core || p->pid, p->pid);
	if (p->problem) {
		put_words(&j, "command", p->cmdline, p->n_cmdline);
		put_bool(&j, "is_python", p->is_python);
		put_text(&j, "problem", p->problem, strlen(p->problem));
		fputs(", \"threads\": [", out);
	} else {
		put_time(&j, p->snapshot->realtime_ns);
		put_number(&j, "namespace_pid", t->facts.ns_pid > 0, t->facts.ns_pid);
		put_number(&j, "parent_pid", true, t->facts.parent_pid);
		put_words(&j, "command", t->facts.cmdline, t->facts.n_cmdline);
		put_text(&j, "executable", t->facts.exe, strlen(t->facts.exe));
		put_text(&j, "working_folder", t->facts.cwd, strlen(t->facts.cwd));
		put_bool(&j, "is_python", true);
		put_text(&j, "python_version", t->interpreter.version, strlen(t->interpreter.version));
		put_bool(&j, "free_threaded", layout_is_freethreaded(&t->interpreter.layout));
		put_bool(&j, "debug_build", p->facts->is_debug);
		fprintf(out, ", \"interpreters\": %zu", t->n_interps + t->interps_unseen);
		fprintf(out,
		        ", \"stops\": {\"allowed\": %s, \"count\": %" PRIu64 ", \"longest_ns\": %" PRIu64
		        ", \"total_ns\": %" PRIu64 "}",
		        p->snapshot->may_stop ? "true" : "false", p->stops->n, p->stops->longest_ns,
		        p->stops->total_ns);
		put_core(&j);
		fputs(",\n \"threads\": [", out);
		bool is_first = true;
		for (size_t i = 0; i < p->snapshot->threads.n; i++) {
			if (p->snapshot->threads.v[i].thread->look == LOOK_GONE)
				continue;
			fputs(is_first ? "\n  " : ",\n  ", out);
			put_thread(&j, &p->snapshot->threads.v[i]);
			is_first = false;
		}
	}
	if (p->problem)
		fputs("],\n \"tasks\": null", out);
	else
		put_tasks(&j);
	fputs(",\n \"children\": [", out);
	buf_done(&j.text);
}

void dump_json_close(FILE *out)
{
	fputs("]}", out);
}

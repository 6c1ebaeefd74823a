#include <inttypes.h>
#include <string.h>

#include "libcommon/escape.h"
#include "pyspy-record/show/dump.h"

struct text {
	FILE *out;
	const struct dump_process *p;
	const struct dump_options *o;
	struct buf line;
};

static const char BOLD[] = "\033[1m", GREEN[] = "\033[32m", CYAN[] = "\033[36m", DIM[] = "\033[2m",
                  YELLOW[] = "\033[33m", PLAIN[] = "\033[0m";

static void paint(struct text *x, const char *colour)
{
	if (x->o->colour)
		buf_str(&x->line, colour);
}

static void painted(struct text *x, const char *colour, const char *s, size_t n)
{
	paint(x, colour);
	escape_text(&x->line, s, n);
	paint(x, PLAIN);
}

static void end_line(struct text *x)
{
	buf_u8(&x->line, '\n');
	if (!x->line.err)
		fwrite(x->line.data, 1, x->line.len, x->out);
	buf_reset(&x->line);
}

/* "active+gil+gc", "idle", "waits for the GIL" */
static void put_state(struct text *x, const struct snapshot_thread *st)
{
	bool is_active = dump_is_active(st);
	paint(x, is_active ? GREEN : YELLOW);
	if (st->flags & WIRE_FLAG_GIL_WAIT)
		buf_str(&x->line, "waits for the GIL");
	else if (st->state == 'T')
		buf_str(&x->line, "stopped");
	else if (st->state == 't')
		buf_str(&x->line, "stopped by its tracer");
	else if (x->p->core && !st->state && !is_active)
		buf_str(&x->line, "state not known");
	else
		buf_str(&x->line, is_active ? "active" : "idle");
	if (st->flags & WIRE_FLAG_GIL)
		buf_str(&x->line, "+gil");
	if (st->flags & WIRE_FLAG_GC)
		buf_str(&x->line, "+gc");
	paint(x, PLAIN);
	if (st->has_crashed) {
		char room[24];
		paint(x, BOLD);
		buf_printf(&x->line, ", %s", corefile_signal_name(x->p->core->signal, room));
		paint(x, PLAIN);
	}
}

static void put_frame(struct text *x, const struct snapshot_frame *f)
{
	const struct code *code = codes_at(&x->p->target->codes, f->code);
	size_t n;
	const char *absent = dump_absent(x->p, code);
	buf_str(&x->line, "    ");
	if (absent) {
		buf_str(&x->line, absent);
		end_line(x);
		return;
	}
	const char *name = dump_name(x->p, code->qualname, &n);
	painted(x, GREEN, n ? name : "<unknown>", n ? n : 9);
	const char *file = dump_name(x->p, code->file, &n);
	if (!x->o->full_filenames) {
		const char *part = dump_short_file(x->p, file);
		n -= (size_t)(part - file);
		file = part;
	}
	buf_str(&x->line, " (");
	painted(x, CYAN, file, n);
	if (f->place.has_line) {
		buf_u8(&x->line, ':');
		paint(x, DIM);
		buf_printf(&x->line, "%" PRId32, f->place.line);
		paint(x, PLAIN);
	}
	buf_u8(&x->line, ')');
	end_line(x);
}

/* Values are safe to print as they come (repr.h). */
static void put_variables(struct text *x, const struct locals_list *list, bool arguments)
{
	bool is_begun = false;
	for (size_t i = 0; i < list->v.n; i++) {
		const struct locals_entry *e = &list->v.v[i];
		if (e->is_argument != arguments)
			continue;
		if (!is_begun) {
			buf_str(&x->line, arguments ? "        Arguments:" : "        Locals:");
			end_line(x);
			is_begun = true;
		}
		buf_str(&x->line, "            ");
		paint(x, CYAN);
		buf_put(&x->line, list->text.data + e->name, e->name_len);
		paint(x, PLAIN);
		buf_str(&x->line, ": ");
		buf_put(&x->line, list->text.data + e->value, e->value_len);
		end_line(x);
	}
	if (!arguments && list->left_out) {
		buf_printf(&x->line, "            \xe2\x80\xa6 %zu more (-ll, -lll)", list->left_out);
		end_line(x);
	}
}

static void put_frames(struct text *x, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++) {
		put_frame(x, &x->p->snapshot->frames.v[i]);
		const struct locals_list *list = dump_locals_at(x->p->locals, i);
		if (list) {
			put_variables(x, list, true);
			put_variables(x, list, false);
		}
	}
}

static void put_thread(struct text *x, const struct snapshot_thread *st)
{
	const struct sample_thread *th = st->thread;
	buf_str(&x->line, "Thread ");
	paint(x, BOLD);
	buf_printf(&x->line, "%d", (int)th->tid);
	paint(x, PLAIN);
	buf_str(&x->line, " (");
	put_state(x, st);
	buf_u8(&x->line, ')');
	if (th->name.n) {
		buf_str(&x->line, ": \"");
		escape_text(&x->line, th->name.v, th->name.n);
		buf_u8(&x->line, '"');
	}
	if (x->p->target->n_interps > 1)
		buf_printf(&x->line, ", interpreter %u", th->interp_number);
	if (!st->is_certain && x->p->core)
		buf_str(&x->line, ", its stack is not in the core, or damaged");
	else if (!st->is_certain)
		buf_str(&x->line, st->is_torn
		                      ? ", it runs: its stack could not be read"
		                      : ", it ran while it was read: what is innermost may be another moment's");
	end_line(x);
	put_frames(x, st->first, st->n);
	if (st->is_cut) {
		buf_str(&x->line, "    [cut: more frames further out]");
		end_line(x);
	}
	if (st->n == 0 && !st->is_torn) {
		buf_str(&x->line, "    [no Python frame]");
		end_line(x);
	}
}

static void put_task(struct text *x, const struct dump_task *task)
{
	const struct tasks *t = &x->p->tasks->tasks;
	const struct tasks_entry *e = &t->list.v[task->entry];
	buf_str(&x->line, "Task \"");
	painted(x, BOLD, tasks_bytes(t, e->name), e->name.n);
	buf_str(&x->line, "\" (");
	paint(x, e->is_running ? GREEN : YELLOW);
	dump_task_state(t, e, &x->line);
	paint(x, PLAIN);
	buf_str(&x->line, "): ");
	escape_text(&x->line, tasks_bytes(t, e->coroutine_name), e->coroutine_name.n);
	if (task->thread)
		buf_printf(&x->line, ", thread %d", (int)task->thread->thread->tid);
	if (x->p->target->n_interps > 1)
		buf_printf(&x->line, ", interpreter %u", e->interp);
	if (!task->is_certain)
		buf_str(&x->line, ", it may have run while it was read");
	end_line(x);
	put_frames(x, task->first, task->n);
	if (e->is_cut) {
		buf_str(&x->line, "    [cut: more frames further in]");
		end_line(x);
	}
}

static void put_tasks(struct text *x)
{
	const struct dump_tasks *d = x->p->tasks;
	end_line(x);
	if (d->problem) {
		buf_printf(&x->line, "Tasks: %s", d->problem);
		end_line(x);
		return;
	}
	buf_printf(&x->line, "Tasks: %zu%s", d->list.n, d->tasks.has_asyncio ? "" : " (asyncio is not in use)");
	if (d->left_out)
		buf_printf(&x->line, ", and %zu that there was no time for", d->left_out);
	else if (d->may_lack)
		buf_str(&x->line, ", and perhaps more: what keeps them made no sense to its end");
	if (d->tasks.not_understood)
		buf_printf(&x->line, "; %zu that are not understood", d->tasks.not_understood);
	end_line(x);
	for (size_t i = 0; i < d->list.n; i++) {
		end_line(x);
		put_task(x, &d->list.v[i]);
	}
}

static void put_words(struct text *x, char **words, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			buf_u8(&x->line, ' ');
		painted(x, GREEN, words[i], strlen(words[i]));
	}
}

/* Which core, and how it came to be. */
static void put_core(struct text *x)
{
	const struct corefile *c = x->p->core;
	char room[24];
	bool is_shown = false;
	buf_str(&x->line, "Core file ");
	escape_text(&x->line, x->p->core_path, strlen(x->p->core_path));
	buf_str(&x->line, ": ");
	if (!c->signal) {
		buf_str(&x->line, c->threads.n ? "taken of the running process" : "without notes on threads");
		end_line(x);
		return;
	}
	buf_printf(&x->line, "%s", corefile_signal_name(c->signal, room));
	if (c->has_fault)
		buf_printf(&x->line, " at address 0x%" PRIx64, c->fault);
	for (size_t i = 0; i < x->p->snapshot->threads.n; i++)
		is_shown |= x->p->snapshot->threads.v[i].has_crashed;
	buf_printf(&x->line, " in thread %d%s", (int)c->first_tid, is_shown ? "" : ", which ran no Python");
	end_line(x);
}

void dump_text(FILE *out, const struct dump_process *p, const struct dump_options *o)
{
	struct text x = {.out = out, .p = p, .o = o};
	buf_init(&x.line, 0);
	if (p->core && !p->pid) /* the note that has it is not there */
		buf_str(&x.line, "Process ?: ");
	else
		buf_printf(&x.line, "Process %d: ", (int)p->pid);
	if (p->problem) {
		put_words(&x, p->cmdline, p->n_cmdline);
		buf_printf(&x.line, "%s%s", p->n_cmdline ? ": " : "", p->problem);
		end_line(&x);
		buf_done(&x.line);
		return;
	}
	const struct target *t = p->target;
	put_words(&x, t->facts.cmdline, t->facts.n_cmdline);
	end_line(&x);
	buf_printf(&x.line, "Python %s%s%s (", t->interpreter.version,
	           layout_is_freethreaded(&t->interpreter.layout) ? ", free-threaded" : "",
	           p->facts->is_debug ? ", debug" : "");
	escape_text(&x.line, t->facts.exe, strlen(t->facts.exe));
	buf_u8(&x.line, ')');
	end_line(&x);
	if (p->core)
		put_core(&x);
	for (size_t i = 0; i < p->snapshot->threads.n; i++) {
		if (p->snapshot->threads.v[i].thread->look == LOOK_GONE)
			continue;
		end_line(&x);
		put_thread(&x, &p->snapshot->threads.v[i]);
	}
	if (p->tasks)
		put_tasks(&x);
	buf_done(&x.line);
}

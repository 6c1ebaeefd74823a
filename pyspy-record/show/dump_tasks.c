#include "pyspy-record/show/dump_tasks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/path.h"
#include "pyspy-record/target/elf.h"
#include "pyspy-record/target/source.h"

enum { PAGES_FEW = 300, QUICK_NS = 1000 * 1000, COPYING_NS = 3000 * 1000 /* more than others may stand */ };
#define PATIENCE_NS (3 * CLOCK_NS_PER_S) /* for those that run */

/* --- what the program says of its own structs (3.14 and later) */

static bool take_section(struct dump_tasks *d, struct target *t, const struct maps_entry *m)
{
	struct elf_facts facts;
	bool doubtful, found = false;
	int fd = source_open_mapped(t->reader.core, t->reader.pid, m, &doubtful);
	if (fd < 0)
		return false;
	size_t n = sizeof d->debug_offsets;
	if (elf_read(fd, &facts, NULL, 0) == 0 && facts.asyncio_addr && facts.asyncio_size <= n) {
		raddr_t bias = facts.is_pie ? m->begin - (facts.first_load_vaddr - facts.first_load_offset) : 0;
		n = (size_t)facts.asyncio_size;
		found = reader_read(&t->reader, bias + facts.asyncio_addr, d->debug_offsets, n) == 0;
		if (found)
			tasks_debug_offsets(&d->tasks, d->debug_offsets, n);
	}
	close(fd);
	return found;
}

/* It is in the module _asyncio, or where that is built in. */
static void find_section(struct dump_tasks *d, struct target *t)
{
	struct maps maps;
	if (source_maps(t->reader.core, t->reader.pid, &maps) < 0)
		return;
	for (size_t i = 0; i < maps.n; i++) {
		const struct maps_entry *m = &maps.v[i];
		if (m->offset != 0 || !m->path[0] || m->path[0] == '[')
			continue;
		if ((m->begin == t->interpreter.object || strncmp(path_base(m->path), "_asyncio.", 9) == 0) &&
		    take_section(d, t, m))
			break;
	}
	maps_done(&maps);
}

void dump_tasks_open(struct dump_tasks *d, struct target *t)
{
	int rc = tasks_init(&d->tasks, &t->reader, &t->interpreter.layout);
	d->is_open = true;
	if (rc < 0)
		d->problem = rc == ERR_UNSUPPORTED ? "tasks are shown of Python 3.8 and later" : err_words(rc);
	else if (d->tasks.places.node)
		find_section(d, t);
}

/* --- reading */

/* The frames of a task that runs are the innermost ones of its thread, down to its coroutine. */
static bool take_running(struct dump_task *task, struct snapshot *s, raddr_t frame)
{
	for (size_t i = 0; i < s->threads.n; i++) {
		const struct snapshot_thread *st = &s->threads.v[i];
		for (size_t k = 0; k < st->n; k++)
			if (s->frames.v[st->first + k].frame.at == frame) {
				task->first = st->first;
				task->n = k + 1;
				task->thread = st;
				return true;
			}
	}
	return false;
}

static const struct snapshot_thread *thread_of(const struct snapshot *s, const struct tasks_entry *e)
{
	for (size_t i = 0; i < s->threads.n; i++) {
		const struct sample_thread *th = s->threads.v[i].thread;
		if (e->ident && th->pthread == e->ident)
			return &s->threads.v[i];
		for (size_t k = 0; e->tstate && k < th->states.n; k++)
			if (th->states.v[k]->tstate == e->tstate)
				return &s->threads.v[i];
	}
	return NULL;
}

static int add_task(struct dump_tasks *d, struct target *t, struct snapshot *s, bool is_certain)
{
	if (!s) /* only what is read matters */
		return 0;
	const struct tasks_entry *e = &d->tasks.list.v[d->tasks.list.n - 1];
	struct dump_task task = {.entry = d->tasks.list.n - 1, .is_certain = is_certain};
	const struct walk_frame *frames = d->tasks.frames.list.v;
	if (!(e->is_running && e->n && take_running(&task, s, frames[e->first].at))) {
		task.first = s->frames.n;
		for (size_t i = e->n; i-- > 0;)
			TRY(snapshot_add_frame(t, s, (uint32_t)d->interp, &frames[e->first + i]));
		task.n = e->n;
		task.thread = thread_of(s, e);
	}
	return vec_push(&d->list, task) ? 0 : ERR_NO_MEMORY;
}

/* All that are left, of all interpreters. ERR_MEMORY_READ: it is too late. */
static int read_all(struct dump_tasks *d, struct target *t, struct snapshot *s, bool is_certain)
{
	for (; d->interp < t->n_interps; d->interp++, d->has_found = false) {
		if (!d->has_found)
			TRY(tasks_find(&d->tasks, t->interps[d->interp].at, (uint32_t)t->interps[d->interp].number));
		d->has_found = true;
		d->may_lack |= d->tasks.is_listed_cut;
		for (;;) {
			d->tasks.cache.is_mixed = false;
			int rc = tasks_read(&d->tasks);
			if (rc == ERR_AGAIN)
				break;
			if (rc == 1)
				rc = add_task(d, t, s, is_certain && !(d->is_large && d->tasks.cache.is_mixed));
			TRY(rc);
		}
	}
	return 0;
}

static void begin(struct dump_tasks *d, struct target *t)
{
	t->check_mark++;
	d->list.n = 0;
	d->left_out = d->interp = 0;
	d->may_lack = d->has_found = false;
}

/* Many tasks take longer to make out than threads may stand. So this look, while all runs, tells which pages they are
 * in; while the threads stand these are only copied. */
void dump_tasks_prepare(struct dump_tasks *d, struct target *t)
{
	if (!d->is_open || d->problem)
		return;
	uint64_t begin_ns = clock_mono_ns();
	begin(d, t);
	tasks_begin(&d->tasks, begin_ns + PATIENCE_NS);
	read_all(d, t, NULL, false);
	d->is_large = d->tasks.cache.n_used > PAGES_FEW || clock_mono_ns() - begin_ns > QUICK_NS;
	pagecache_note(&d->tasks.cache);
}

static bool look(struct dump_tasks *d, struct target *t, struct snapshot *s)
{
	int rc = read_all(d, t, s, true);
	if (rc < 0 && rc != ERR_MEMORY_READ)
		d->problem = err_words(rc);
	return rc == 0;
}

bool dump_tasks_visit(void *ctx, struct target *t, struct snapshot *s, uint64_t until_ns)
{
	struct dump_tasks *d = ctx;
	if (!d->is_open || d->problem)
		return false;
	uint64_t deadline_ns = until_ns ? until_ns : clock_mono_ns() + PATIENCE_NS;
	if (d->is_large) {
		d->tasks.cache.deadline_ns = deadline_ns + COPYING_NS;
		pagecache_again(&d->tasks.cache);
		return true;
	}
	begin(d, t);
	tasks_begin(&d->tasks, deadline_ns);
	look(d, t, s);
	return true;
}

/* --- afterwards */

/* Digits count as numbers: Task-2 comes before Task-10. */
static int compare_names(const char *a, size_t na, const char *b, size_t nb)
{
	size_t i = 0, k = 0;
	while (i < na && k < nb) {
		size_t x = i, y = k;
		while (i < na && a[i] >= '0' && a[i] <= '9')
			i++;
		while (k < nb && b[k] >= '0' && b[k] <= '9')
			k++;
		if (i > x && k > y) {
			while (x < i && a[x] == '0')
				x++;
			while (y < k && b[y] == '0')
				y++;
			int c = i - x != k - y ? (i - x > k - y) - (i - x < k - y) : memcmp(a + x, b + y, i - x);
			if (c)
				return c;
			continue;
		}
		i = x;
		k = y;
		if (a[i] != b[k])
			return (unsigned char)a[i] < (unsigned char)b[k] ? -1 : 1;
		i++;
		k++;
	}
	return (na - i > nb - k) - (na - i < nb - k);
}

static int by_name(const void *x, const void *y, void *ctx)
{
	const struct tasks *t = ctx;
	const struct tasks_entry *a = &t->list.v[((const struct dump_task *)x)->entry],
	                         *b = &t->list.v[((const struct dump_task *)y)->entry];
	if (a->interp != b->interp)
		return a->interp < b->interp ? -1 : 1;
	if (a->is_running != b->is_running)
		return a->is_running ? -1 : 1;
	int c = compare_names(tasks_bytes(t, a->name), a->name.n, tasks_bytes(t, b->name), b->name.n);
	return c ? c : (a->at > b->at) - (a->at < b->at);
}

void dump_tasks_finish(struct dump_tasks *d, struct target *t, struct snapshot *s)
{
	if (!d->is_open || d->problem)
		return;
	if (d->is_large) { /* out of the pages that were copied; what came since is read as it is */
		begin(d, t);
		tasks_again(&d->tasks, clock_mono_ns() + PATIENCE_NS);
		look(d, t, s);
	}
	if (d->problem)
		return;
	if (s->is_moved)
		for (size_t i = 0; i < d->list.n; i++)
			d->list.v[i].is_certain = false;
	if (d->interp < t->n_interps) { /* it was too late for some: what they are by now, then */
		tasks_resume(&d->tasks, clock_mono_ns() + PATIENCE_NS);
		if (d->tasks.is_listed_late)
			d->has_found = d->may_lack = false;
		int rc = read_all(d, t, s, false);
		d->left_out = rc < 0 ? tasks_left(&d->tasks) : 0;
		d->may_lack |= rc < 0;
	}
	if (d->list.n)
		qsort_r(d->list.v, d->list.n, sizeof *d->list.v, by_name, &d->tasks);
}

void dump_tasks_done(struct dump_tasks *d)
{
	if (d->is_open)
		tasks_done(&d->tasks);
	vec_free(&d->list);
	d->is_open = false;
}

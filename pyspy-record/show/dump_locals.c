#include "pyspy-record/show/dump_locals.h"

#include <string.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"

enum { BYTES_MAX = 256 << 20 }; /* of text: frames beyond have no variables */

/* Values of those that run are read for so long at most; of a level. */
static uint64_t patience_ns(unsigned level)
{
	return (level <= 1 ? 2 : level == 2 ? 10 : 60) * CLOCK_NS_PER_S;
}

static raddr_t modules_of(struct target *t)
{
	uint64_t modules = 0;
	if (t->n_interps)
		reader_word(&t->reader, t->interps[t->n_interps - 1].at + t->interpreter.layout.interp.modules,
		            &modules);
	return modules;
}

static bool make_room(struct dump_locals *d, size_t n)
{
	size_t more = n > d->lists.n ? n - d->lists.n : 0;
	if (!vec_room(&d->lists, more) || !vec_room(&d->is_late, more))
		return false;
	for (; more > 0; more--) {
		d->lists.v[d->lists.n++] = (struct locals_list){0};
		d->is_late.v[d->is_late.n++] = true;
	}
	return true;
}

/* Forget a look before. */
static void reset(struct dump_locals *d)
{
	for (size_t i = 0; i < d->lists.n; i++) {
		d->lists.v[i].v.n = d->lists.v[i].left_out = 0;
		buf_reset(&d->lists.v[i].text);
	}
	d->n_bytes = 0;
	if (d->is_late.n)
		memset(d->is_late.v, 0, d->is_late.n * sizeof *d->is_late.v);
}

/* Frames [first, first + n): those that are late, too. */
static void read_frames(struct dump_locals *d, struct snapshot *s, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++) {
		if (!d->reader.cache.is_late && d->n_bytes < BYTES_MAX)
			locals_read(&d->reader, &s->frames.v[i].frame, &d->lists.v[i]);
		d->n_bytes += d->lists.v[i].text.len;
		d->is_late.v[i] = d->reader.cache.is_late;
	}
}

bool dump_locals_visit(void *ctx, struct target *t, struct snapshot *s, uint64_t until_ns)
{
	struct dump_locals *d = ctx;
	if (!d->is_open && locals_init(&d->reader, &t->reader, &t->interpreter.layout, d->level, d->secrets) < 0)
		return false;
	d->is_open = true;
	if (!make_room(d, s->frames.n))
		return false;
	reset(d);
	locals_begin(&d->reader, until_ns ? until_ns : clock_mono_ns() + patience_ns(d->level), modules_of(t));
	for (int running = 1; running >= 0; running--)
		for (size_t i = 0; i < s->threads.n; i++)
			if ((s->threads.v[i].state == 'R') == running)
				read_frames(d, s, s->threads.v[i].first, s->threads.v[i].n);
	size_t first = 0; /* frames of no thread lie behind those of all threads */
	for (size_t i = 0; i < s->threads.n; i++)
		if (s->threads.v[i].first + s->threads.v[i].n > first)
			first = s->threads.v[i].first + s->threads.v[i].n;
	read_frames(d, s, first, s->frames.n - first);
	return false;
}

void dump_locals_finish(struct dump_locals *d, struct target *t, struct snapshot *s)
{
	if (!d->is_open || (!d->reader.cache.is_late && d->lists.n >= s->frames.n) || !make_room(d, s->frames.n))
		return;
	struct locals_list list = {0};
	locals_begin(&d->reader, clock_mono_ns() + patience_ns(d->level), modules_of(t));
	for (size_t i = 0; i < s->frames.n && !d->reader.cache.is_late && d->n_bytes < BYTES_MAX; i++) {
		/* what there is of a frame that is gone by now is better than nothing */
		if (!d->is_late.v[i] || locals_read(&d->reader, &s->frames.v[i].frame, &list) < 0)
			continue;
		struct locals_list was = d->lists.v[i];
		d->lists.v[i] = list;
		d->n_bytes += list.text.len;
		list = was;
	}
	locals_list_done(&list);
}

void dump_locals_done(struct dump_locals *d)
{
	for (size_t i = 0; i < d->lists.n; i++)
		locals_list_done(&d->lists.v[i]);
	vec_free(&d->lists);
	vec_free(&d->is_late);
	if (d->is_open)
		locals_done(&d->reader);
	d->is_open = false;
}

const struct locals_list *dump_locals_at(const struct dump_locals *d, size_t i)
{
	return d && i < d->lists.n ? &d->lists.v[i] : NULL;
}

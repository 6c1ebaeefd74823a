#include "pyspy-record/emit/tickbook.h"

#include <string.h>

enum {
	ENTRY_WIRE = 24, /* five varints */
	TICK_WIRE = 6,
	GAP_WIRE = 9,
	CLOSING_WIRE = 13,
	BLOCK_MAX = WIRE_CONTENT_MAX / 4, /* leaves room for definitions and a last, large tick */
};

void tickbook_init(struct tickbook *t, uint64_t unit_ns, uint64_t mean_gap_ns)
{
	memset(t, 0, sizeof *t);
	t->usual_gap_ns = t->gap_ns = mean_gap_ns;
	t->unit_ns = t->cpu_unit_ns = unit_ns;
}

void tickbook_done(struct tickbook *t)
{
	vec_free(&t->times);
	vec_free(&t->entries);
	vec_free(&t->closings);
	vec_free(&t->gaps);
	vec_free(&t->threads);
}

bool tickbook_room(struct tickbook *t, thread_id id)
{
	if (id < t->threads.n)
		return true;
	size_t more = id + 1 - t->threads.n;
	if (!vec_room(&t->threads, more) || !vec_room(&t->closings, id + 1))
		return false;
	memset(t->threads.v + t->threads.n, 0, more * sizeof *t->threads.v);
	t->threads.n += more;
	return true;
}

static bool is_in_block(const struct tickbook *t, thread_id id)
{
	uint32_t first = t->threads.v[id].first;
	return first < t->entries.n && t->entries.v[first].thread == id;
}

/* The part of a thread's untold CPU time that can be told in whole units; the rest stays for the next time. */
static uint64_t take_cpu(const struct tickbook *t, struct tickbook_thread *thread)
{
	uint64_t whole = thread->cpu_ns - thread->cpu_ns % t->cpu_unit_ns;
	thread->cpu_ns -= whole;
	return whole;
}

/* No room: the open tick never was, and what holds at its end is kept for the next block. */
static void drop_tick(struct tickbook *t)
{
	for (size_t i = t->tick_entries; i < t->entries.n; i++)
		t->threads.v[t->entries.v[i].thread].cpu_ns += t->entries.v[i].cpu_ns;
	t->entries.n = t->tick_entries;
	t->times.n--;
	t->is_dropping = true;
}

static bool add_entry(struct tickbook *t, thread_id id)
{
	struct tickbook_thread *thread = &t->threads.v[id];
	if (!vec_room(&t->entries, 1))
		return false;
	if (!is_in_block(t, id))
		thread->first = (uint32_t)t->entries.n;
	thread->in_epoch = true;
	thread->last = (uint32_t)t->entries.n;
	t->entries.v[t->entries.n++] = (struct rec_entry){
	    .tick = (uint32_t)(t->times.n - 1),
	    .thread = id,
	    .stack = thread->stack,
	    .flags = thread->flags,
	    .cpu_ns = take_cpu(t, thread),
	};
	return true;
}

static bool repeat_what_holds(struct tickbook *t)
{
	for (thread_id id = 0; id < t->threads.n; id++)
		if (t->threads.v[id].is_present && !is_in_block(t, id) && !add_entry(t, id))
			return false;
	return true;
}

void tickbook_close(struct tickbook *t)
{
	if (!t->in_tick)
		return;
	t->in_tick = false;
	if (!t->is_dropping && t->times.n == 1 && !repeat_what_holds(t))
		drop_tick(t);
	if (t->is_dropping)
		t->not_kept += t->n_present;
	else
		t->samples += t->n_present;
}

void tickbook_gap(struct tickbook *t, uint64_t mean_ns)
{
	t->gap_ns = mean_ns < WIRE_MEAN_GAP_MAX_NS ? mean_ns : WIRE_MEAN_GAP_MAX_NS;
}

/* The gap that ends with tick number `tick`, or with the block, has a mean of its own. False: no memory. */
static bool add_gap(struct tickbook *t, size_t tick)
{
	uint64_t before = t->gaps.n ? t->gaps.v[t->gaps.n - 1].mean_ns : t->usual_gap_ns;
	return t->gap_ns == before || vec_push(&t->gaps, ((struct rec_gap){(uint32_t)tick, t->gap_ns}));
}

void tickbook_tick(struct tickbook *t, uint64_t time_ns)
{
	tickbook_close(t);
	t->in_tick = true;
	t->tick_entries = t->entries.n;
	if (t->is_dropping || tickbook_bytes(t) > BLOCK_MAX || !add_gap(t, t->times.n) || !vec_push(&t->times, time_ns))
		t->is_dropping = true;
}

void tickbook_entry(struct tickbook *t, thread_id id, stack_id stack, uint32_t flags, uint64_t cpu_ns)
{
	if (id >= t->threads.n)
		return;
	struct tickbook_thread *thread = &t->threads.v[id];
	bool is_present = !(flags & WIRE_FLAG_ABSENT), was_present = thread->is_present;
	if (thread->in_epoch)
		thread->cpu_ns += cpu_ns;
	if (!is_present && !was_present && !(flags & WIRE_FLAG_FAILED))
		return;
	t->n_present += (uint64_t)is_present - (uint64_t)was_present;
	thread->is_present = is_present;
	thread->stack = is_present ? stack : 0;
	thread->flags = flags;
	if (!t->in_tick || t->is_dropping)
		return;
	if (is_in_block(t, id) && t->entries.v[thread->last].tick == t->times.n - 1) {
		struct rec_entry *e = &t->entries.v[thread->last];
		e->stack = thread->stack;
		e->flags = flags;
		e->cpu_ns += take_cpu(t, thread);
	} else if (!add_entry(t, id)) {
		drop_tick(t);
	}
}

void tickbook_closing(struct tickbook *t, thread_id id, uint64_t cpu_ns)
{
	if (id < t->threads.n && t->threads.v[id].in_epoch)
		t->threads.v[id].closing_ns += cpu_ns;
}

void tickbook_forget(struct tickbook *t, thread_id id)
{
	tickbook_entry(t, id, 0, WIRE_FLAG_ABSENT, 0);
}

uint64_t tickbook_samples(const struct tickbook *t)
{
	return t->samples + (t->in_tick && !t->is_dropping ? t->n_present : 0);
}

size_t tickbook_bytes(const struct tickbook *t)
{
	return t->times.n * TICK_WIRE + t->gaps.n * GAP_WIRE + t->entries.n * ENTRY_WIRE +
	       (t->entries.n ? t->threads.n * CLOSING_WIRE : 0);
}

/* "The same stack as before" needs no id: a second look at the entries, in the order in which they are read. */
static void mark_repeats(struct tickbook *t)
{
	for (size_t i = 0; i < t->entries.n; i++) {
		struct rec_entry *e = &t->entries.v[i];
		struct tickbook_thread *thread = &t->threads.v[e->thread];
		/* an absent thread has no stack to name; `last` now walks along with the entries */
		e->has_stack = thread->first == i ||
		               (!(e->flags & WIRE_FLAG_ABSENT) && e->stack != t->entries.v[thread->last].stack);
		if (!e->has_stack)
			e->stack = t->entries.v[thread->last].stack;
		thread->last = (uint32_t)i;
	}
}

static void take_closings(struct tickbook *t)
{
	t->closings.n = 0;
	for (thread_id id = 0; id < t->threads.n; id++) {
		struct tickbook_thread *thread = &t->threads.v[id];
		thread->cpu_ns += thread->closing_ns;
		thread->closing_ns = 0;
		uint64_t cpu_ns = is_in_block(t, id) ? take_cpu(t, thread) : 0;
		if (cpu_ns) /* tickbook_room made the place */
			t->closings.v[t->closings.n++] = (struct rec_closing){.thread = id, .cpu_ns = cpu_ns};
	}
}

/* Of ticks that were dropped nothing is told, but of the gap that is open. */
static void close_gaps(struct tickbook *t)
{
	while (t->gaps.n && t->gaps.v[t->gaps.n - 1].tick >= t->times.n)
		t->gaps.n--;
	add_gap(t,
	        t->times.n); /* without memory the part of it that is in this block is taken for one of another mean */
}

void tickbook_encode(struct tickbook *t, struct buf *out)
{
	take_closings(t);
	mark_repeats(t);
	close_gaps(t);
	if (t->times.n)
		encode_ticks(out, &(struct rec_ticks){
		                      .unit_ns = t->unit_ns,
		                      .cpu_unit_ns = t->cpu_unit_ns,
		                      .times_ns = t->times.v,
		                      .n_ticks = (uint32_t)t->times.n,
		                      .entries = t->entries.v,
		                      .n_entries = (uint32_t)t->entries.n,
		                      .closings = t->closings.v,
		                      .n_closings = (uint32_t)t->closings.n,
		                      .gaps = t->gaps.v,
		                      .n_gaps = (uint32_t)t->gaps.n,
		                  });
	t->gaps.n = t->times.n = t->entries.n = t->tick_entries = 0;
	t->samples = t->not_kept = 0;
	t->is_dropping = false;
}

void tickbook_new_epoch(struct tickbook *t)
{
	if (t->threads.n)
		memset(t->threads.v, 0, t->threads.n * sizeof *t->threads.v);
	t->n_present = 0;
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support_readback.h"

struct readback_stack readback_universe[UNIVERSE];

int readback_find(int parent, int location)
{
	for (int i = 1; i < UNIVERSE; i++)
		if (readback_universe[i].parent == parent && readback_universe[i].location == location)
			return i;
	return -1;
}

static void forget(struct decoded *d)
{
	for (int i = 0; i < IDS; i++)
		free(d->strings[i]);
	memset(d->strings, 0, sizeof d->strings);
	memset(d->functions, 0, sizeof d->functions);
	memset(d->locations, 0, sizeof d->locations);
	memset(d->stacks, 0, sizeof d->stacks);
	memset(d->certified, 0, sizeof d->certified);
	memset(d->tids, 0, sizeof d->tids);
}

static int on_file(void *ctx, const struct rec_file *f)
{
	struct decoded *d = ctx;
	d->files++;
	assert_int_equal(f->major, 1);
	assert_int_equal(f->uuid[6] >> 4, 4);
	return 0;
}
static int on_epoch(void *ctx, uint32_t epoch, bool complete)
{
	struct decoded *d = ctx;
	assert_true(complete);
	assert_int_equal(epoch, d->epochs);
	if (d->on_epoch_end && epoch)
		d->on_epoch_end(d, epoch - 1);
	forget(d);
	d->epochs++;
	return 0;
}
static int on_block(void *ctx, const struct rec_block *b)
{
	struct decoded *d = ctx;
	assert_int_equal(b->sequence, d->blocks);
	assert_int_equal(b->samples_before, d->n_samples);
	assert_true(b->begin_ns >= d->end_ns && b->end_ns >= b->begin_ns);
	if (d->blocks)
		assert_int_equal(b->begin_ns, d->end_ns);
	d->end_ns = b->end_ns;
	d->blocks++;
	d->block = *b;
	return 0;
}
static int on_block_end(void *ctx, const struct rec_block *b)
{
	struct decoded *d = ctx;
	d->n_samples += b->n_samples;
	assert_int_equal(d->samples.n, d->n_samples);
	return 0;
}
static int on_damage(void *ctx, const struct decode_damage *damage)
{
	(void)ctx;
	fail_msg("damage %d at %llu: %s", damage->problem, (unsigned long long)damage->offset, damage->what);
	return 1;
}
static int on_string(void *ctx, str_id id, const char *s, size_t n)
{
	struct decoded *d = ctx;
	assert_true(id < IDS && !d->strings[id]);
	d->strings[id] = strndup(s, n);
	d->strings_seen++;
	return 0;
}
static const char *text(const struct decoded *d, str_id id)
{
	return id == 0 ? "" : d->strings[id] ? d->strings[id] : "?";
}
static int on_function(void *ctx, function_id id, const struct rec_function *f)
{
	struct decoded *d = ctx;
	int number = atoi(text(d, f->qualname) + 1);
	assert_int_equal(d->functions[id], 0);
	assert_int_equal(f->first_line, number * 10);
	assert_string_equal(text(d, f->file), "/app.py");
	d->functions[id] = number;
	return 0;
}
static int on_location(void *ctx, location_id id, const struct rec_location *l)
{
	struct decoded *d = ctx;
	assert_int_equal(d->locations[id], 0);
	d->locations[id] = d->functions[l->function];
	assert_int_equal(l->line, d->locations[id] * 10 + 3);
	assert_true(d->locations[id] > 0);
	return 0;
}
static int on_stack(void *ctx, stack_id id, const struct rec_stack *s)
{
	struct decoded *d = ctx;
	assert_int_equal(d->stacks[id], 0);
	int parent = s->parent ? d->stacks[s->parent] : 0;
	d->stacks[id] = readback_find(parent, d->locations[s->location]);
	assert_true(d->stacks[id] > 0);
	if (s->certified)
		d->certified[d->stacks[id]] = true;
	return 0;
}
static int on_certify(void *ctx, stack_id id)
{
	struct decoded *d = ctx;
	assert_true(d->stacks[id] > 0);
	assert_false(d->certified[d->stacks[id]]); /* nothing is said twice */
	d->certified[d->stacks[id]] = true;
	return 0;
}
static int on_doubt(void *ctx, stack_id id)
{
	struct decoded *d = ctx;
	assert_true(d->stacks[id] > 0);
	d->doubts++;
	return 0;
}
static int on_recording(void *ctx, const struct rec_recording *r)
{
	struct decoded *d = ctx;
	d->recordings++;
	assert_true(d->recordings == 1 || d->mean_gap_ns == r->mean_gap_ns);
	d->mean_gap_ns = r->mean_gap_ns;
	d->cpu_ppm = r->cpu_ppm;
	if (r->n_notes)
		snprintf(d->note, sizeof d->note, "%s=%s", text(d, r->notes[0].key), text(d, r->notes[0].value));
	if (r->n_options)
		snprintf(d->option, sizeof d->option, "%s", text(d, r->options[r->n_options - 1]));
	assert_true(strlen(text(d, r->kernel)) > 1 && strlen(text(d, r->boot_id)) == 36);
	assert_non_null(strstr(text(d, r->recorder), "pyspy-record "));
	assert_true(r->kernel_hz >= 24 && r->kernel_hz <= 10000);
	return 0;
}
static int on_process(void *ctx, const struct rec_process *p)
{
	struct decoded *d = ctx;
	d->processes++;
	d->pids[p->id] = p->pid;
	d->n_cmdline = p->n_cmdline;
	d->n_sys_path = p->n_sys_path;
	if (p->n_cmdline)
		snprintf(d->cmdline0, sizeof d->cmdline0, "%s", text(d, p->cmdline[0]));
	return 0;
}
static int on_process_end(void *ctx, const struct rec_process_end *p)
{
	struct decoded *d = ctx;
	d->process_ends++;
	return 0;
}
static int on_thread(void *ctx, const struct rec_thread *t)
{
	struct decoded *d = ctx;
	d->threads++;
	assert_true(d->pids[t->process] > 0);
	d->tids[t->id] = t->tid;
	snprintf(d->name, sizeof d->name, "%s", text(d, t->name));
	return 0;
}
static int on_thread_end(void *ctx, thread_id id, uint64_t time_ns)
{
	struct decoded *d = ctx;
	assert_true(d->tids[id] > 0);
	d->thread_ends++;
	return 0;
}
static int on_interpreter(void *ctx, const struct rec_interpreter *i)
{
	((struct decoded *)ctx)->interpreters++;
	return 0;
}
static int by_tid(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}
/* 0: the recording's, which is told behind the ticks of its block. */
static uint64_t mean_at(const struct rec_ticks *t, uint32_t tick)
{
	uint64_t mean_ns = 0;
	for (uint32_t i = 0; i < t->n_gaps && t->gaps[i].tick <= tick; i++)
		mean_ns = t->gaps[i].mean_ns;
	return mean_ns;
}
/* The naive way: at every tick, look for every thread's last entry. */
static int on_ticks(void *ctx, const struct rec_ticks *t)
{
	struct decoded *d = ctx;
	static struct sample now[IDS];
	static bool present[IDS];
	uint32_t e = 0;

	memset(present, 0, sizeof present);
	assert_int_equal(t->n_ticks, d->block.n_ticks);
	for (uint32_t tick = 0; tick < t->n_ticks; tick++) {
		size_t begin = d->samples.n;
		assert_true(t->times_ns[tick] >= d->block.begin_ns && t->times_ns[tick] <= d->block.end_ns);
		for (; e < t->n_entries && t->entries[e].tick == tick; e++) {
			const struct rec_entry *x = &t->entries[e];
			assert_true(d->tids[x->thread] > 0);
			d->cpu_ns[d->tids[x->thread]] += x->cpu_ns;
			present[x->thread] = !(x->flags & WIRE_FLAG_ABSENT);
			now[x->thread] = (struct sample){
			    .tid = d->tids[x->thread], .flags = x->flags, .stack = x->stack ? d->stacks[x->stack] : 0};
			assert_true(x->stack == 0 || d->stacks[x->stack] > 0);
		}
		for (uint32_t id = 0; id < THREADS; id++) {
			if (!present[id])
				continue;
			now[id].time_ns = t->times_ns[tick];
			now[id].mean_ns = mean_at(t, tick);
			assert_true(vec_push(&d->samples, now[id]));
		}
		if (d->samples.n > begin)
			qsort(d->samples.v + begin, d->samples.n - begin, sizeof *d->samples.v, by_tid);
	}
	assert_int_equal(e, t->n_entries);
	d->open_mean_ns = mean_at(t, t->n_ticks);
	for (uint32_t i = 0; i < t->n_closings; i++)
		d->cpu_ns[d->tids[t->closings[i].thread]] += t->closings[i].cpu_ns;
	return 0;
}
static int on_events(void *ctx, const struct rec_events *e)
{
	struct decoded *d = ctx;
	for (uint32_t i = 0; i < e->n_events; i++) {
		struct sample s = {.time_ns = e->events[i].time_ns,
		                   .tid = d->tids[e->events[i].thread],
		                   .flags = e->events[i].flags,
		                   .stack = d->stacks[e->events[i].stack]};
		assert_true(vec_push(&d->samples, s));
		d->cpu_ns[s.tid] += e->events[i].weight_ns;
	}
	return 0;
}
static int on_lost(void *ctx, const struct rec_lost *l)
{
	((struct decoded *)ctx)->lost[l->cause] += l->count;
	return 0;
}
static int on_counter(void *ctx, const struct rec_counter *c)
{
	((struct decoded *)ctx)->counters[c->counter] = c->value;
	return 0;
}
static int on_end(void *ctx, const struct rec_end *e)
{
	struct decoded *d = ctx;
	d->ends++;
	d->end = *e;
	return 0;
}

struct decoded *readback(const char *file_name, void (*on_epoch_end)(struct decoded *, uint32_t epoch))
{
	static char bytes[1 << 16];
	struct decoded *d = calloc(1, sizeof *d);
	struct decode_visitor v = {.ctx = d,
	                           .file = on_file,
	                           .epoch = on_epoch,
	                           .block = on_block,
	                           .block_end = on_block_end,
	                           .damage = on_damage,
	                           .string = on_string,
	                           .function = on_function,
	                           .location = on_location,
	                           .stack = on_stack,
	                           .certify = on_certify,
	                           .doubt = on_doubt,
	                           .recording = on_recording,
	                           .process = on_process,
	                           .process_end = on_process_end,
	                           .thread = on_thread,
	                           .thread_end = on_thread_end,
	                           .interpreter = on_interpreter,
	                           .ticks = on_ticks,
	                           .events = on_events,
	                           .lost = on_lost,
	                           .counter = on_counter,
	                           .end = on_end};
	assert_non_null(d);
	d->on_epoch_end = on_epoch_end;
	struct stream *s = stream_new(&v);
	FILE *f = fopen(file_name, "rb");
	assert_non_null(f);
	for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
		assert_int_equal(stream_feed(s, bytes, n), 0);
	fclose(f);
	assert_int_equal(stream_finish(s), 0);
	if (on_epoch_end)
		on_epoch_end(d, d->epochs - 1);
	stream_free(s);
	for (size_t i = 0; i < d->samples.n; i++)
		d->samples.v[i].mean_ns += d->samples.v[i].mean_ns ? 0 : d->mean_gap_ns;
	d->open_mean_ns += d->open_mean_ns ? 0 : d->mean_gap_ns;
	return d;
}

void readback_free(struct decoded *d)
{
	forget(d);
	vec_free(&d->samples);
	free(d);
}

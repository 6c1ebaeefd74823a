/* writer, with dictionary, roster and tickbook: what is told to it comes out of the decoder again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/decode.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/vec.h"
#include "pyspy-record/emit/writer.h"

enum { UNIVERSE = 300, LOCATIONS = 40, THREADS = 4000, IDS = 70000, UNIT_NS = 1000 };

struct sample {
	uint64_t time_ns;
	uint32_t tid, flags;
	int stack; /* in the universe; 0 = no frame */
};
typedef VEC(struct sample) samples_t;

/* All stacks that a test may use: parent (an earlier one) and location number, each pair once. */
static struct {
	int parent, location;
} universe[UNIVERSE];

static uint64_t seed;
static uint32_t draw(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % below;
}

static int find_stack(int parent, int location)
{
	for (int i = 1; i < UNIVERSE; i++)
		if (universe[i].parent == parent && universe[i].location == location)
			return i;
	return -1;
}

static void make_universe(void)
{
	memset(universe, 0, sizeof universe);
	for (int i = 1; i < UNIVERSE;) {
		int parent = (int)draw((uint32_t)i), location = 1 + (int)draw(LOCATIONS);
		if (find_stack(parent, location) > 0)
			continue;
		universe[i].parent = parent;
		universe[i].location = location;
		i++;
	}
}

static char file_name[64];

static int make_file(void **state)
{
	(void)state;
	snprintf(file_name, sizeof file_name, "/tmp/pyspy-writer-XXXXXX");
	int fd = mkstemp(file_name);
	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	unlink(file_name);
	return 0;
}

/* --- reading it back */

struct decoded {
	samples_t samples;
	int strings_seen;
	char *strings[IDS];
	int functions[IDS], locations[IDS], stacks[IDS]; /* ids -> numbers of the universe; 0 = not defined */
	bool certified[UNIVERSE];
	uint32_t tids[IDS], pids[IDS];
	uint64_t cpu_ns[THREADS];
	uint64_t n_samples, lost[8], counters[WIRE_COUNTER_END_];
	uint32_t epochs, blocks, files, threads, thread_ends, processes, process_ends, recordings, ends, doubts;
	uint32_t n_cmdline, n_sys_path, interpreters;
	char cmdline0[64], name[64], note[64], option[64];
	struct rec_end end;
	struct rec_block block;
	uint64_t end_ns;
	void (*on_epoch_end)(struct decoded *d, uint32_t epoch);
};

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
	d->stacks[id] = find_stack(parent, d->locations[s->location]);
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
			assert_true(vec_push(&d->samples, now[id]));
		}
		if (d->samples.n > begin)
			qsort(d->samples.v + begin, d->samples.n - begin, sizeof *d->samples.v, by_tid);
	}
	assert_int_equal(e, t->n_entries);
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

static struct decoded *read_back(void (*on_epoch_end)(struct decoded *, uint32_t))
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
	return d;
}

static void free_decoded(struct decoded *d)
{
	forget(d);
	vec_free(&d->samples);
	free(d);
}

/* --- writing */

struct author {
	struct sink sink;
	struct writer *w;
	uint64_t now_ns;
};

static void begin(struct author *a, const struct writer_options *o)
{
	assert_int_equal(sink_open(&a->sink, file_name, false), 0);
	assert_int_equal(writer_new(&a->w, &a->sink, o), 0);
	a->now_ns = clock_boot_ns();
}

static void finish(struct author *a)
{
	struct rec_end end = {.time_ns = a->now_ns, .reason = WIRE_END_TARGET, .how = WIRE_HOW_EXITED, .status = 3};
	assert_int_equal(writer_flush(a->w, a->now_ns, &end), 0);
	writer_free(a->w);
	assert_int_equal(sink_close(&a->sink), 0);
}

static stack_id put_stack(struct writer *w, int number)
{
	char name[16];
	if (number == 0)
		return 0;
	stack_id parent = put_stack(w, universe[number].parent);
	int l = universe[number].location;
	snprintf(name, sizeof name, "f%d", l);
	struct rec_function f = {.qualname = writer_string(w, name, strlen(name)),
	                         .module = writer_string(w, "app", 3),
	                         .file = writer_string(w, "/app.py", 7),
	                         .first_line = (uint32_t)l * 10};
	struct rec_location where = {.function = writer_function(w, &f),
	                             .has_line = true,
	                             .line = l * 10 + 3,
	                             .has_columns = l % 2,
	                             .end_line = l * 10 + 3 + l % 3,
	                             .column = l,
	                             .end_column = l + 5};
	struct rec_stack s = {.parent = parent, .location = writer_location(w, &where)};
	return writer_stack(w, &s);
}

static process_id put_process(struct writer *w, uint32_t pid)
{
	char *words[] = {"python3", "app.py", NULL};
	struct writer_process p = {.pid = pid,
	                           .ns_pid = pid,
	                           .version = "3.13.0",
	                           .exe = "/usr/bin/python3",
	                           .cmdline = words,
	                           .n_cmdline = 2,
	                           .sys_path = words,
	                           .n_sys_path = 1};
	return writer_process(w, 0, &p);
}

static thread_id put_thread(struct writer *w, process_id p, uint32_t tid, const char *name)
{
	struct writer_thread t = {.process = p, .tid = tid, .ns_tid = tid, .name = name, .name_len = strlen(name)};
	return writer_thread(w, 0, &t);
}

/* --- a random session against a naive model */

struct model_thread {
	thread_id id;
	uint32_t tid, flags;
	int stack;
	bool lives, is_present, in_epoch;
	uint64_t cpu_ns;
};
static struct model {
	struct model_thread threads[THREADS];
	uint32_t n_threads;
	samples_t samples;
	bool certified[64][UNIVERSE]; /* by epoch */
	uint32_t n_epochs, ends;
} * model;

static void compare_certified(struct decoded *d, uint32_t epoch)
{
	for (int i = 1; i < UNIVERSE; i++)
		assert_int_equal(d->certified[i], model->certified[epoch][i]);
}

static void model_entry(struct author *a, struct model_thread *t)
{
	uint64_t cpu = t->in_epoch && t->is_present ? draw(3000000) : 0;
	t->flags = draw(6) | (draw(2) ? WIRE_FLAG_GIL : 0);
	t->is_present = draw(10) > 0;
	if (!t->is_present)
		t->flags = WIRE_FLAG_ABSENT | (draw(2) ? WIRE_FLAG_FAILED : 0);
	t->stack = t->is_present ? (int)draw(UNIVERSE) : 0;
	t->cpu_ns += cpu;
	writer_entry(a->w, t->id, put_stack(a->w, t->stack), t->flags, cpu);
	if (t->is_present || (t->flags & WIRE_FLAG_FAILED))
		t->in_epoch = true;
}

static void model_tick(struct author *a, process_id p)
{
	static uint64_t last_ns;
	a->now_ns += draw(3) ? draw(3000000) : draw(900);
	uint64_t time_ns = a->now_ns - a->now_ns % UNIT_NS;
	if (model->samples.n == 0 || time_ns > last_ns)
		last_ns = time_ns;
	writer_tick(a->w, a->now_ns);
	if (draw(8) == 0 && model->n_threads + 2 < THREADS) {
		struct model_thread *t = &model->threads[model->n_threads++];
		t->tid = model->n_threads;
		t->id = put_thread(a->w, p, t->tid, "worker");
		t->lives = true;
		assert_true(t->id > 0);
	}
	for (uint32_t i = 0; i < model->n_threads; i++) {
		struct model_thread *t = &model->threads[i];
		if (!t->lives)
			continue;
		if (draw(3) == 0)
			model_entry(a, t);
		if (draw(60) == 0) {
			writer_thread_end(a->w, t->id, a->now_ns);
			t->lives = t->is_present = false;
			model->ends++;
		}
	}
	for (uint32_t i = 0; i < model->n_threads; i++) {
		struct model_thread *t = &model->threads[i];
		struct sample s = {.time_ns = last_ns, .tid = t->tid, .flags = t->flags, .stack = t->stack};
		if (t->is_present)
			assert_true(vec_push(&model->samples, s));
	}
	if (draw(4) == 0) {
		int stack = (int)draw(UNIVERSE);
		writer_certify(a->w, put_stack(a->w, stack));
		for (; stack; stack = universe[stack].parent)
			model->certified[writer_epoch(a->w)][stack] = true;
	}
	if (draw(20) == 0)
		writer_doubt(a->w, put_stack(a->w, (int)draw(UNIVERSE)));
}

static void model_flush(struct author *a)
{
	uint32_t epoch = writer_epoch(a->w);
	for (uint32_t i = 0; i < model->n_threads; i++) {
		struct model_thread *t = &model->threads[i];
		uint64_t cpu = draw(5000);
		if (!t->is_present || draw(4) == 0)
			continue;
		writer_closing(a->w, t->id, cpu);
		t->cpu_ns += cpu;
	}
	if (draw(12) == 0 && epoch < 50)
		a->now_ns += 601 * CLOCK_NS_PER_S; /* old enough for a new epoch */
	assert_int_equal(writer_flush(a->w, a->now_ns, NULL), 0);
	if (writer_epoch(a->w) == epoch)
		return;
	assert_int_equal(writer_epoch(a->w), epoch + 1);
	for (uint32_t i = 0; i < model->n_threads; i++)
		model->threads[i].is_present = model->threads[i].in_epoch = false;
}

static void test_random(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 20; round++) {
		struct author a;
		struct writer_options o = {.mean_gap_ns = 1000000, .max_bytes = round % 3 ? 0 : 40000};
		seed = round * 7919 + 1;
		make_universe();
		model = calloc(1, sizeof *model);
		begin(&a, &o);
		process_id p = put_process(a.w, 4711);
		for (int step = 0; step < 600; step++) {
			model_tick(&a, p);
			assert_int_equal(writer_samples(a.w), model->samples.n);
			if (draw(15) == 0 && writer_epoch(a.w) < 60)
				model_flush(&a);
		}
		uint32_t epochs = writer_epoch(a.w) + 1;
		finish(&a);

		struct decoded *d = read_back(compare_certified);
		assert_int_equal(d->epochs, epochs);
		assert_int_equal(d->recordings, epochs);
		assert_int_equal(d->processes, epochs);
		assert_int_equal(d->files, 1);
		assert_int_equal(d->thread_ends, model->ends);
		assert_int_equal(d->counters[WIRE_COUNTER_SAMPLES], model->samples.n);
		assert_int_equal(d->counters[WIRE_COUNTER_TICKS], 600);
		assert_int_equal(d->lost[WIRE_LOST_LIMIT] + d->lost[WIRE_LOST_DROPPED], 0);
		assert_int_equal(d->samples.n, model->samples.n);
		for (size_t i = 0; i < d->samples.n; i++) {
			struct sample *x = &d->samples.v[i], *y = &model->samples.v[i];
			if (x->time_ns != y->time_ns || x->tid != y->tid || x->flags != y->flags ||
			    x->stack != y->stack)
				fail_msg("round %u, sample %zu: (%llu %u %x %d), not (%llu %u %x %d)", round, i,
				         (unsigned long long)x->time_ns, x->tid, x->flags, x->stack,
				         (unsigned long long)y->time_ns, y->tid, y->flags, y->stack);
		}
		for (uint32_t i = 0; i < model->n_threads; i++) {
			uint64_t told = d->cpu_ns[i + 1], used = model->threads[i].cpu_ns;
			assert_true(told <= used);
			/* what is below a unit may get lost once an epoch */
			assert_true(used - told < (uint64_t)1000 * epochs);
		}
		free_decoded(d);
		vec_free(&model->samples);
		free(model);
	}
}

/* --- single properties */

static void test_nothing_to_say(void **state)
{
	(void)state;
	struct author a;
	begin(&a, &(struct writer_options){.mean_gap_ns = 1});
	assert_int_equal(writer_flush(a.w, a.now_ns, NULL), 0);
	writer_count(a.w, WIRE_COUNTER_CPU_NS, 17);
	assert_int_equal(writer_flush(a.w, a.now_ns, NULL), 0);
	assert_int_equal(a.sink.bytes, 0);
	finish(&a);
	struct decoded *d = read_back(NULL);
	assert_int_equal(d->blocks, 1);
	assert_int_equal(d->ends, 1);
	assert_int_equal(d->end.status, 3);
	assert_int_equal(d->end.reason, WIRE_END_TARGET);
	assert_int_equal(d->block.flags, WIRE_BLOCK_EPOCH | WIRE_BLOCK_LAST);
	assert_int_equal(d->counters[WIRE_COUNTER_CPU_NS], 17);
	free_decoded(d);
}

static void test_equal_input_equal_id(void **state)
{
	(void)state;
	struct author a;
	seed = 5;
	make_universe();
	begin(&a, &(struct writer_options){.mean_gap_ns = 1});
	assert_int_equal(writer_string(a.w, "", 0), 0);
	str_id s = writer_string(a.w, "x", 1);
	assert_int_equal(writer_string(a.w, "x", 1), s);
	stack_id first = put_stack(a.w, UNIVERSE - 1);
	assert_int_equal(put_stack(a.w, UNIVERSE - 1), first);
	/* what is not said does not make a difference */
	struct rec_function f = {.qualname = s};
	struct rec_location no_line = {.function = writer_function(a.w, &f)}, other = no_line;
	other.line = 17;
	other.has_columns = true;
	assert_int_equal(writer_location(a.w, &no_line), writer_location(a.w, &other));
	/* what refers to nothing is refused */
	assert_int_equal(writer_location(a.w, &(struct rec_location){.function = 999}), 0);
	assert_int_equal(writer_stack(a.w, &(struct rec_stack){.parent = 0, .location = 999}), 0);
	writer_certify(a.w, 0);
	writer_certify(a.w, 12345);
	writer_doubt(a.w, 12345);
	writer_free(a.w);
	sink_close(&a.sink);
}

static void test_processes_and_threads(void **state)
{
	(void)state;
	struct author a;
	struct writer_note note = {"commit", "abc"};
	char *argv[] = {"pyspy-record", "-d", "5", NULL};
	begin(&a, &(struct writer_options){
	              .mean_gap_ns = 1, .notes = &note, .n_notes = 1, .argv = argv, .epoch_min_ns = 1});
	process_id p = put_process(a.w, 10), q = put_process(a.w, 11);
	thread_id t = put_thread(a.w, p, 100, "MainThread"), u = put_thread(a.w, q, 101, "");
	writer_interpreter(a.w, p, 0, WIRE_INTERPRETER_MAIN);
	writer_interpreter(a.w, q, 0, WIRE_INTERPRETER_MAIN);
	assert_true(p && q && t && u && p != q && t != u);
	/* the same again says nothing new; another name does */
	struct writer_thread named = {.process = q, .tid = 101, .ns_tid = 101, .name = "pool-1", .name_len = 6};
	assert_int_equal(writer_thread(a.w, u, &named), u);
	writer_tick(a.w, a.now_ns += 1000000);
	writer_entry(a.w, t, 0, WIRE_STATE_SLEEPING, 0);
	writer_entry(a.w, u, 0, WIRE_STATE_SLEEPING, 0);
	writer_tick(a.w, a.now_ns += 1000000);
	writer_process_end(a.w, q, a.now_ns, WIRE_HOW_EXITED, 1); /* and with it thread u, from this tick on */
	assert_int_equal(writer_samples(a.w), 3);
	a.now_ns += 700 * CLOCK_NS_PER_S;
	assert_int_equal(writer_flush(a.w, a.now_ns, NULL), 0);
	assert_int_equal(writer_epoch(a.w), 1);
	writer_tick(a.w, a.now_ns += 1000000); /* nobody: an epoch starts empty */
	assert_int_equal(writer_samples(a.w), 3);
	/* ids of those that ended are free again */
	assert_int_equal(put_process(a.w, 12), q);
	assert_int_equal(put_thread(a.w, p, 102, "new"), u);
	finish(&a);
	struct decoded *d = read_back(NULL);
	assert_int_equal(d->epochs, 2);
	assert_int_equal(d->processes, 4);
	assert_int_equal(d->threads, 4);
	assert_int_equal(d->interpreters, 3);
	assert_int_equal(d->process_ends, 1);
	assert_int_equal(d->thread_ends, 1);
	assert_int_equal(d->pids[q], 12);
	assert_int_equal(d->tids[u], 102);
	assert_string_equal(d->note, "commit=abc");
	assert_string_equal(d->option, "5");
	assert_string_equal(d->cmdline0, "python3");
	free_decoded(d);
}

static void test_long_texts(void **state)
{
	(void)state;
	struct author a;
	enum { LONG = 200000, WORDS = 3000 };
	char *text_of_many = malloc(LONG + 1);
	char **words = calloc(WORDS, sizeof *words);
	memset(text_of_many, 'x', LONG);
	text_of_many[LONG] = '\0';
	for (int i = 0; i < WORDS; i++)
		words[i] = "word";
	begin(&a, &(struct writer_options){.mean_gap_ns = 1});
	str_id id = writer_string(a.w, text_of_many, LONG);
	assert_true(id > 0);
	assert_int_equal(writer_string(a.w, text_of_many, LONG), id);
	struct writer_process p = {.pid = 1,
	                           .exe = text_of_many,
	                           .cmdline = words,
	                           .n_cmdline = WORDS,
	                           .sys_path = &text_of_many,
	                           .n_sys_path = 1};
	assert_true(writer_process(a.w, 0, &p) > 0);
	finish(&a);
	struct decoded *d = read_back(NULL);
	assert_int_equal(d->n_cmdline, 1025); /* cut, and marked */
	assert_int_equal(d->n_sys_path, 1);
	assert_true(strlen(d->strings[id]) <= WIRE_STRING_WRITE_MAX);
	assert_string_equal(d->strings[id] + strlen(d->strings[id]) - 3, "\xe2\x80\xa6");
	free_decoded(d);
	free(text_of_many);
	free(words);
}

static void test_memory_bound(void **state)
{
	(void)state;
	struct author a;
	int refused = 0;
	begin(&a, &(struct writer_options){.mean_gap_ns = 1, .max_bytes = 100000});
	for (int i = 0; i < 5000; i++) {
		char name[32];
		snprintf(name, sizeof name, "a rather long name %d", i);
		refused += writer_string(a.w, name, strlen(name)) == 0;
	}
	assert_true(refused > 1000 && refused < 5000);
	writer_tick(a.w, a.now_ns += 1000000);
	assert_int_equal(writer_flush(a.w, a.now_ns, NULL), 0);
	assert_int_equal(writer_epoch(a.w), 1); /* nearly full: the next block starts afresh */
	assert_true(writer_string(a.w, "room again", 10) > 0);
	finish(&a);
	struct decoded *d = read_back(NULL);
	assert_int_equal(d->lost[WIRE_LOST_LIMIT], refused);
	free_decoded(d);
}

static void test_losses_and_events(void **state)
{
	(void)state;
	struct author a;
	seed = 9;
	make_universe();
	begin(&a, &(struct writer_options){.mean_gap_ns = 1});
	thread_id t = put_thread(a.w, put_process(a.w, 1), 7, "");
	for (uint32_t i = 0; i < 2000; i++) {
		struct rec_lost l = {.begin_ns = a.now_ns,
		                     .end_ns = a.now_ns + i,
		                     .cause = 1 + i % 4,
		                     .thread = i % 4 == 2 ? i : 0,
		                     .count = 2};
		writer_lost(a.w, &l);
	}
	stack_id s = put_stack(a.w, 3);
	struct rec_event events[] = {{.time_ns = a.now_ns + 5, .thread = t, .stack = s, .weight_ns = 100},
	                             {.time_ns = a.now_ns + 9, .thread = t, .stack = s, .weight_ns = 200}};
	struct rec_events e = {.unit_ns = 1, .weight_unit_ns = 1, .events = events, .n_events = 2};
	writer_events(a.w, &e);
	writer_events(a.w, &e);
	assert_int_equal(writer_samples(a.w), 4);
	a.now_ns += 1000000;
	finish(&a);
	struct decoded *d = read_back(NULL);
	for (int cause = 1; cause <= 4; cause++)
		assert_int_equal(d->lost[cause], 1000);
	assert_int_equal(d->samples.n, 4);
	assert_int_equal(d->samples.v[1].stack, 3);
	assert_int_equal(d->cpu_ns[7], 600);
	free_decoded(d);
}

/* A session that never flushes: ticks without room are counted, those that are told are whole. */
static void test_full_block(void **state)
{
	(void)state;
	enum { MANY = 3000 };
	static thread_id ids[MANY];
	struct author a;
	begin(&a, &(struct writer_options){.mean_gap_ns = 1});
	process_id p = put_process(a.w, 1);
	for (uint32_t i = 0; i < MANY; i++)
		ids[i] = put_thread(a.w, p, i + 1, "");
	uint32_t told = 0;
	for (uint32_t tick = 0; tick < 200; tick++) {
		writer_tick(a.w, a.now_ns += 1000000);
		for (uint32_t i = 0; i < MANY; i++)
			writer_entry(a.w, ids[i], 0, tick % 2, 0);
		told += writer_is_full(a.w);
	}
	assert_true(told > 100);
	uint64_t samples = writer_samples(a.w);
	assert_true(samples < 200 * MANY && samples % MANY == 0);
	assert_int_equal(writer_flush(a.w, a.now_ns, NULL), 0);
	writer_tick(a.w, a.now_ns += 1000000); /* what held goes on */
	assert_int_equal(writer_samples(a.w), samples + MANY);
	finish(&a);
	struct decoded *d = read_back(NULL);
	assert_int_equal(d->samples.n, samples + MANY);
	assert_int_equal(d->samples.v[samples].flags, 1);
	assert_int_equal(d->lost[WIRE_LOST_DROPPED], 200 * MANY - samples);
	free_decoded(d);
}

static void test_output_fails(void **state)
{
	(void)state;
	struct sink sink;
	struct writer *w;
	assert_int_equal(sink_open(&sink, "/dev/full", false), 0);
	assert_int_equal(writer_new(&w, &sink, &(struct writer_options){.mean_gap_ns = 1}), 0);
	put_process(w, 1);
	assert_int_equal(writer_flush(w, clock_boot_ns(), NULL), ERR_IO);
	assert_int_equal(sink.error_number, ENOSPC);
	struct rec_end end = {0};
	assert_int_equal(writer_flush(w, clock_boot_ns(), &end), ERR_IO);
	writer_free(w);
	assert_int_equal(sink_close(&sink), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_random, make_file, remove_file),
	    cmocka_unit_test_setup_teardown(test_nothing_to_say, make_file, remove_file),
	    cmocka_unit_test_setup_teardown(test_equal_input_equal_id, make_file, remove_file),
	    cmocka_unit_test_setup_teardown(test_processes_and_threads, make_file, remove_file),
	    cmocka_unit_test_setup_teardown(test_long_texts, make_file, remove_file),
	    cmocka_unit_test_setup_teardown(test_memory_bound, make_file, remove_file),
	    cmocka_unit_test_setup_teardown(test_losses_and_events, make_file, remove_file),
	    cmocka_unit_test_setup_teardown(test_full_block, make_file, remove_file),
	    cmocka_unit_test(test_output_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

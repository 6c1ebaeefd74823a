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
#include "tests/unit/support_random.h"
#include "tests/unit/support_readback.h"

enum { MEAN_NS = 1000000, UNIT_NS = MEAN_NS / 32 }; /* what the writer makes of it */

static uint64_t seed;
static uint32_t draw(uint32_t below)
{
	return support_draw(&seed, below);
}

static void make_universe(void)
{
	memset(readback_universe, 0, sizeof readback_universe);
	for (int i = 1; i < UNIVERSE;) {
		int parent = (int)draw((uint32_t)i), location = 1 + (int)draw(LOCATIONS);
		if (readback_find(parent, location) > 0)
			continue;
		readback_universe[i].parent = parent;
		readback_universe[i].location = location;
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
	stack_id parent = put_stack(w, readback_universe[number].parent);
	int l = readback_universe[number].location;
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
	uint64_t mean_ns;             /* of the gap that is open */
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
	if (draw(9) == 0)
		writer_gap(a->w, model->mean_ns = draw(3) ? 1 + draw(5000000) : MEAN_NS);
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
		struct sample s = {
		    .time_ns = last_ns, .tid = t->tid, .flags = t->flags, .stack = t->stack, .mean_ns = model->mean_ns};
		if (t->is_present)
			assert_true(vec_push(&model->samples, s));
	}
	if (draw(4) == 0) {
		int stack = (int)draw(UNIVERSE);
		writer_certify(a->w, put_stack(a->w, stack));
		for (; stack; stack = readback_universe[stack].parent)
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
	uint32_t all_epochs = 0;
	for (uint32_t round = 0; round < 20; round++) {
		struct author a;
		struct writer_options o = {.mean_gap_ns = MEAN_NS, .max_bytes = round % 3 ? 0 : 40000};
		seed = round * 7919 + 1;
		make_universe();
		model = calloc(1, sizeof *model);
		model->mean_ns = MEAN_NS;
		begin(&a, &o);
		process_id p = put_process(a.w, 4711);
		for (int step = 0; step < 600; step++) {
			model_tick(&a, p);
			assert_int_equal(writer_samples(a.w), model->samples.n);
			if (draw(15) == 0 && writer_epoch(a.w) < 60)
				model_flush(&a);
		}
		uint32_t epochs = writer_epoch(a.w) + 1;
		all_epochs += epochs;
		finish(&a);

		struct decoded *d = readback(file_name, compare_certified);
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
			    x->stack != y->stack || x->mean_ns != y->mean_ns)
				fail_msg("round %u, sample %zu: (%llu %u %x %d), not (%llu %u %x %d)", round, i,
				         (unsigned long long)x->time_ns, x->tid, x->flags, x->stack,
				         (unsigned long long)y->time_ns, y->tid, y->flags, y->stack);
		}
		for (uint32_t i = 0; i < model->n_threads; i++) {
			uint64_t told = d->cpu_ns[i + 1], used = model->threads[i].cpu_ns;
			assert_true(told <= used);
			/* what is below a unit may get lost once an epoch */
			assert_true(used - told < (uint64_t)UNIT_NS * epochs);
		}
		readback_free(d);
		vec_free(&model->samples);
		free(model);
	}
	assert_true(all_epochs > 60); /* or it was no test of them */
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
	struct decoded *d = readback(file_name, NULL);
	assert_int_equal(d->blocks, 1);
	assert_int_equal(d->ends, 1);
	assert_int_equal(d->end.status, 3);
	assert_int_equal(d->end.reason, WIRE_END_TARGET);
	assert_int_equal(d->block.flags, WIRE_BLOCK_EPOCH | WIRE_BLOCK_LAST);
	assert_int_equal(d->counters[WIRE_COUNTER_CPU_NS], 17);
	readback_free(d);
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
	struct decoded *d = readback(file_name, NULL);
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
	readback_free(d);
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
	struct decoded *d = readback(file_name, NULL);
	assert_int_equal(d->n_cmdline, 1025); /* cut, and marked */
	assert_int_equal(d->n_sys_path, 1);
	assert_true(strlen(d->strings[id]) <= WIRE_STRING_WRITE_MAX);
	assert_string_equal(d->strings[id] + strlen(d->strings[id]) - 3, "\xe2\x80\xa6");
	readback_free(d);
	free(text_of_many);
	free(words);
}

/* The mean of the gap that is open goes along, over blocks; what is not the recording's is told in each. */
static void test_mean_gaps(void **state)
{
	(void)state;
	struct author a;
	static const uint64_t want[] = {10, 10, 30, 30, 10, 50};
	seed = 3;
	make_universe();
	begin(&a, &(struct writer_options){.mean_gap_ns = 10, .cpu_ppm = 5000});
	thread_id t = put_thread(a.w, put_process(a.w, 1), 7, "");
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		writer_gap(a.w, want[i]);
		writer_tick(a.w, a.now_ns += 1000000);
		writer_entry(a.w, t, put_stack(a.w, 3), WIRE_STATE_ACTIVE, 0);
		if (i == 1)
			writer_gap(a.w, 30); /* drawn before the block ends */
		if (i % 2)
			assert_int_equal(writer_flush(a.w, a.now_ns, NULL), 0);
	}
	writer_gap(a.w, UINT64_MAX);
	writer_tick(a.w, a.now_ns += 1000000);
	finish(&a);
	struct decoded *d = readback(file_name, NULL);
	assert_int_equal(d->cpu_ppm, 5000);
	assert_int_equal(d->samples.n, 7);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(d->samples.v[i].mean_ns, want[i]);
	assert_int_equal(d->samples.v[6].mean_ns, WIRE_MEAN_GAP_MAX_NS);
	assert_int_equal(d->open_mean_ns, WIRE_MEAN_GAP_MAX_NS);
	readback_free(d);
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
	struct decoded *d = readback(file_name, NULL);
	assert_int_equal(d->lost[WIRE_LOST_LIMIT], refused);
	readback_free(d);
}

static void put_names(struct author *a, int first, int n)
{
	char name[64];
	for (int i = first; i < first + n; i++) {
		snprintf(name, sizeof name, "a name, and so long that it takes its room %d", i);
		assert_true(writer_string(a->w, name, strlen(name)) > 0);
	}
	writer_tick(a->w, a->now_ns += 1000000);
	assert_int_equal(writer_flush(a->w, a->now_ns, NULL), 0);
}

/* Definitions for ever: an epoch ends when they are many, and many times those of its first block. */
static void test_flat_memory(void **state)
{
	(void)state;
	enum { MANY = 4000, LOTS = 40000 }; /* 0.35 and 3.5 MB */
	struct author a;
	begin(&a, &(struct writer_options){.mean_gap_ns = 1});
	for (int block = 0; block < 100; block++)
		put_names(&a, block * MANY, MANY);
	assert_in_range(writer_epoch(a.w), 20, 50);
	finish(&a);
	begin(&a, &(struct writer_options){.mean_gap_ns = 1});
	for (int block = 0; block < 20; block++)
		put_names(&a, block % 2 * LOTS / 2, LOTS); /* what comes again in each block is not sent anew */
	assert_int_equal(writer_epoch(a.w), 0);
	finish(&a);
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
	struct decoded *d = readback(file_name, NULL);
	for (int cause = 1; cause <= 4; cause++)
		assert_int_equal(d->lost[cause], 1000);
	assert_int_equal(d->samples.n, 4);
	assert_int_equal(d->samples.v[1].stack, 3);
	assert_int_equal(d->cpu_ns[7], 600);
	readback_free(d);
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
	struct decoded *d = readback(file_name, NULL);
	assert_int_equal(d->samples.n, samples + MANY);
	assert_int_equal(d->samples.v[samples].flags, 1);
	assert_int_equal(d->lost[WIRE_LOST_DROPPED], 200 * MANY - samples);
	readback_free(d);
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
	    cmocka_unit_test_setup_teardown(test_mean_gaps, make_file, remove_file),
	    cmocka_unit_test_setup_teardown(test_memory_bound, make_file, remove_file),
	    cmocka_unit_test_setup_teardown(test_flat_memory, make_file, remove_file),
	    cmocka_unit_test_setup_teardown(test_losses_and_events, make_file, remove_file),
	    cmocka_unit_test_setup_teardown(test_full_block, make_file, remove_file),
	    cmocka_unit_test(test_output_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

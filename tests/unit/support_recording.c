#include "tests/unit/support_recording.h"

#include <stdlib.h>
#include <string.h>

static void must(bool is_good)
{
	if (!is_good)
		abort();
}

static void forget_ids(struct support_recording *r)
{
	intern_clear(&r->names);
	r->n_functions = r->n_locations = r->n_stacks = 0;
}

void support_recording_open(struct support_recording *r, uint8_t uuid)
{
	*r = (struct support_recording){0};
	buf_init(&r->out, 0);
	buf_init(&r->head, 0);
	buf_init(&r->content, 0);
	encode_batch_init(&r->strings);
	encode_batch_init(&r->functions);
	encode_batch_init(&r->locations);
	encode_batch_init(&r->stacks);
	must(intern_init(&r->names, 0) == 0);
	r->sealer = block_sealer_new(1);
	must(r->sealer != NULL);
	r->file = (struct rec_file){
	    .major = WIRE_MAJOR,
	    .minor = WIRE_MINOR,
	    .realtime_ns = SUPPORT_REAL_NS,
	    .boottime_ns = SUPPORT_BOOT_NS,
	};
	memset(r->file.uuid, uuid, sizeof r->file.uuid);
	encode_file_header(&r->out, &r->file);
	r->block = (struct rec_block){
	    .flags = WIRE_BLOCK_EPOCH,
	    .begin_ns = SUPPORT_BOOT_NS,
	    .end_ns = SUPPORT_BOOT_NS + SUPPORT_S,
	    .anchor_ns = SUPPORT_REAL_NS - (int64_t)SUPPORT_BOOT_NS,
	};
	memset(r->block.uuid8, uuid, sizeof r->block.uuid8);
	r->mean_gap_ns = 10 * SUPPORT_MS;
	r->starts[0] = r->out.len;
}

void support_recording_version(struct support_recording *r, uint16_t minor)
{
	buf_reset(&r->out);
	r->file.minor = minor;
	encode_file_header(&r->out, &r->file);
}

void support_recording_close(struct support_recording *r)
{
	buf_done(&r->out);
	buf_done(&r->head);
	buf_done(&r->content);
	encode_batch_done(&r->strings);
	encode_batch_done(&r->functions);
	encode_batch_done(&r->locations);
	encode_batch_done(&r->stacks);
	intern_done(&r->names);
	block_sealer_free(r->sealer);
}

void support_recording_epoch(struct support_recording *r)
{
	forget_ids(r);
	r->block.flags |= WIRE_BLOCK_EPOCH;
	r->block.epoch++;
}

void support_recording_seal(struct support_recording *r, uint64_t n_samples, uint32_t n_ticks, bool is_last)
{
	struct buf whole;

	buf_init(&whole, 0);
	buf_put(&whole, r->head.data, r->head.len);
	encode_batch_flush(&r->strings, WIRE_STRINGS, &whole);
	encode_batch_flush(&r->functions, WIRE_FUNCTIONS, &whole);
	encode_batch_flush(&r->locations, WIRE_LOCATIONS, &whole);
	encode_batch_flush(&r->stacks, WIRE_STACKS, &whole);
	buf_put(&whole, r->content.data, r->content.len);
	r->block.n_samples = n_samples;
	r->block.n_ticks = n_ticks;
	r->block.flags |= is_last ? WIRE_BLOCK_LAST : 0;
	must(r->n_blocks < SUPPORT_BLOCKS && !r->content.err && !r->head.err);
	must(block_seal(r->sealer, &r->block, whole.data, whole.len, &r->out) == 0);
	buf_done(&whole);
	buf_reset(&r->head);
	buf_reset(&r->content);
	r->starts[++r->n_blocks] = r->out.len;
	r->block.flags = 0;
	r->block.sequence++;
	r->block.samples_before += n_samples;
	r->block.begin_ns = r->block.end_ns;
	r->block.end_ns += SUPPORT_S;
}

str_id support_recording_bytes(struct support_recording *r, const char *s, size_t n)
{
	uint32_t id;
	bool is_new;

	must(intern_get(&r->names, s, n, &id, &is_new) == 0);
	if (is_new)
		encode_add_string(&r->strings, id, s, n);
	return id;
}

str_id support_recording_string(struct support_recording *r, const char *s)
{
	return support_recording_bytes(r, s, strlen(s));
}

function_id support_recording_function(struct support_recording *r, const char *module, const char *qualname,
                                       const char *file, uint32_t first_line)
{
	struct rec_function f = {
	    .module = support_recording_string(r, module),
	    .qualname = support_recording_string(r, qualname),
	    .file = support_recording_string(r, file),
	    .first_line = first_line,
	};

	must(++r->n_functions < 256);
	r->first_lines[r->n_functions] = first_line;
	encode_add_function(&r->functions, r->n_functions, &f);
	return r->n_functions;
}

location_id support_recording_location(struct support_recording *r, const struct rec_location *l)
{
	encode_add_location(&r->locations, ++r->n_locations, l, l->is_native ? 0 : r->first_lines[l->function]);
	return r->n_locations;
}

location_id support_recording_line(struct support_recording *r, function_id f, int32_t line)
{
	return support_recording_location(r, &(struct rec_location){.function = f, .has_line = true, .line = line});
}

stack_id support_recording_stack(struct support_recording *r, stack_id parent, location_id l, bool is_certified)
{
	struct rec_stack s = {.parent = parent, .location = l, .certified = is_certified};

	encode_add_stack(&r->stacks, ++r->n_stacks, &s);
	return r->n_stacks;
}

void support_recording_head(struct support_recording *r, uint32_t engine)
{
	str_id options[] = {
	    support_recording_string(r, "pyspy-record"),
	    support_recording_string(r, "-p"),
	    support_recording_string(r, "4711"),
	};
	struct rec_note notes[3] = {
	    {support_recording_string(r, "trigger"), support_recording_string(r, "own timer")},
	};
	uint32_t n_notes = 1;

	if (r->engine)
		notes[n_notes++] = (struct rec_note){support_recording_string(r, WIRE_NOTE_ENGINE),
		                                     support_recording_string(r, r->engine)};
	if (r->engine_why)
		notes[n_notes++] = (struct rec_note){support_recording_string(r, WIRE_NOTE_ENGINE_WHY),
		                                     support_recording_string(r, r->engine_why)};
	struct rec_recording head = {
	    .host = support_recording_string(r, "build-07"),
	    .kernel = support_recording_string(r, "6.1.0-18-amd64"),
	    .machine = support_recording_string(r, "x86_64"),
	    .boot_id = support_recording_string(r, "5f0c1c6e-7d3a-4c52-9a54-2f3b8a1e0c11"),
	    .recorder = support_recording_string(r, "pyspy-record 1.0"),
	    .options = options,
	    .n_options = sizeof options / sizeof options[0],
	    .mean_gap_ns = r->mean_gap_ns,
	    .engine = engine,
	    .kernel_hz = 250,
	    .stop_ppm = 2000,
	    .notes = notes,
	    .n_notes = n_notes,
	    .started_ns = SUPPORT_BOOT_NS,
	    .cpu_ppm = r->cpu_ppm,
	};

	encode_recording(&r->head, &head);
}

void support_recording_process(struct support_recording *r, process_id id, uint32_t pid, const char *script)
{
	str_id cmdline[] = {support_recording_string(r, "python3"), support_recording_string(r, script)};
	str_id sys_path[] = {
	    support_recording_string(r, "/srv/app"),
	    support_recording_string(r, "/usr/lib/python3.13"),
	    support_recording_string(r, "/usr/lib/python3.13/site-packages"),
	};
	struct rec_process p = {
	    .id = id,
	    .pid = pid,
	    .ns_pid = pid,
	    .parent_pid = 1,
	    .start_ns = SUPPORT_BOOT_NS - 60 * SUPPORT_S,
	    .seen_ns = SUPPORT_BOOT_NS,
	    .uid = 1000,
	    .version_hex = 0x030D00F0,
	    .version = support_recording_string(r, "3.13.0 (main, Oct  7 2024)"),
	    .exe = support_recording_string(r, "/usr/bin/python3.13"),
	    .cwd = support_recording_string(r, "/srv/app"),
	    .prefix = support_recording_string(r, "/usr"),
	    .base_prefix = support_recording_string(r, "/usr"),
	    .cmdline = cmdline,
	    .n_cmdline = 2,
	    .sys_path = sys_path,
	    .n_sys_path = 3,
	};
	struct rec_thread main_thread = {
	    .id = id,
	    .process = id,
	    .tid = pid,
	    .ns_tid = pid,
	    .start_ns = SUPPORT_BOOT_NS - 60 * SUPPORT_S,
	    .pthread = 0x7F0000001000 + id * UINT64_C(0x100000),
	    .name = support_recording_string(r, "MainThread"),
	    .flags = WIRE_THREAD_MAIN,
	};

	encode_process(&r->content, &p);
	encode_interpreter(&r->content, &(struct rec_interpreter){.process = id, .flags = 1});
	encode_thread(&r->content, &main_thread);
}

/* Ticks from entry i until the thread's next one. */
static uint32_t run_of(const struct rec_entry *e, uint32_t n_entries, uint32_t i, uint32_t n)
{
	for (uint32_t k = i + 1; k < n_entries; k++) {
		if (e[k].thread == e[i].thread)
			return e[k].tick - e[i].tick;
	}
	return n - e[i].tick;
}

uint64_t support_recording_ticks(struct support_recording *r, uint32_t n, const struct rec_entry *entries,
                                 uint32_t n_entries, const struct rec_closing *closings, uint32_t n_closings)
{
	uint64_t *times = calloc(n ? n : 1, sizeof *times), n_samples = 0;
	struct rec_ticks t = {
	    .unit_ns = 1000,
	    .cpu_unit_ns = 1000,
	    .times_ns = times,
	    .n_ticks = n,
	    .entries = entries,
	    .n_entries = n_entries,
	    .closings = closings,
	    .n_closings = n_closings,
	};

	must(times != NULL);
	for (uint32_t i = 0; i < n; i++)
		times[i] = r->block.begin_ns + r->mean_gap_ns / 2 + i * r->mean_gap_ns;
	for (uint32_t i = 0; i < n_entries; i++)
		n_samples += entries[i].flags & WIRE_FLAG_ABSENT ? 0 : run_of(entries, n_entries, i, n);
	encode_ticks(&r->content, &t);
	free(times);
	return n_samples;
}

enum {
	SMALL_TICKS = 100,
	RUNNING = WIRE_STATE_ACTIVE | WIRE_FLAG_GIL,
	ASLEEP = WIRE_STATE_SLEEPING | WIRE_WAY_STILL << 6
};

struct small_stacks {
	stack_id work, parse, wait;
};

static struct small_stacks small_definitions(struct support_recording *r)
{
	function_id module = support_recording_function(r, "__main__", "<module>", "/srv/app/app.py", 1);
	function_id work = support_recording_function(r, "__main__", "work", "/srv/app/app.py", 10);
	function_id parse = support_recording_function(r, "app.parse", "Parser.parse", "/srv/app/app/parse.py", 42);
	function_id wait =
	    support_recording_function(r, "threading", "Event.wait", "/usr/lib/python3.13/threading.py", 630);
	stack_id root = support_recording_stack(r, 0, support_recording_line(r, module, 30), true);
	struct small_stacks s;

	s.work = support_recording_stack(r, root, support_recording_line(r, work, 12), true);
	s.parse = support_recording_stack(r, s.work, support_recording_line(r, parse, 55), true);
	s.wait = support_recording_stack(r, 0, support_recording_line(r, wait, 659), true);
	return s;
}

static void small_epoch_head(struct support_recording *r)
{
	struct rec_thread worker = {
	    .id = 2,
	    .process = 1,
	    .tid = 4712,
	    .ns_tid = 4712,
	    .start_ns = SUPPORT_BOOT_NS - 50 * SUPPORT_S,
	    .pthread = 0x7F0000900000,
	    .name = support_recording_string(r, "worker-0"),
	};

	support_recording_head(r, 0);
	support_recording_process(r, 1, 4711, "app.py");
	encode_thread(&r->content, &worker);
}

/* Thread 1 works and parses in turn, thread 2 sleeps: 200 samples. */
static void small_block(struct support_recording *r, const struct small_stacks *s, bool is_last)
{
	struct rec_entry entries[] = {
	    {.tick = 0, .thread = 1, .stack = s->work, .has_stack = true, .flags = RUNNING},
	    {.tick = 0, .thread = 2, .stack = s->wait, .has_stack = true, .flags = ASLEEP},
	    {.tick = 40,
	     .thread = 1,
	     .stack = s->parse,
	     .has_stack = true,
	     .flags = RUNNING,
	     .cpu_ns = 400 * SUPPORT_MS},
	    {.tick = 90,
	     .thread = 1,
	     .stack = s->work,
	     .has_stack = true,
	     .flags = RUNNING,
	     .cpu_ns = 500 * SUPPORT_MS},
	};
	struct rec_closing closings[] = {{.thread = 1, .cpu_ns = 100 * SUPPORT_MS}, {.thread = 2}};
	struct rec_counter counters[] = {
	    {WIRE_COUNTER_TICKS, (r->block.sequence + 1) * SMALL_TICKS},
	    {WIRE_COUNTER_SAMPLES, r->block.samples_before + 2 * SMALL_TICKS},
	};
	struct rec_end end = {.time_ns = r->block.end_ns, .reason = WIRE_END_DURATION};

	support_recording_ticks(r, SMALL_TICKS, entries, 4, closings, 2);
	encode_counters(&r->content, counters, 2);
	if (is_last)
		encode_end(&r->content, &end);
	support_recording_seal(r, 2 * SMALL_TICKS, SMALL_TICKS, is_last);
}

void support_recording_small(struct buf *out, size_t *starts)
{
	struct support_recording r;

	support_recording_open(&r, 0xA1);
	for (int epoch = 0; epoch < 2; epoch++) {
		struct small_stacks s;

		if (epoch)
			support_recording_epoch(&r);
		small_epoch_head(&r);
		s = small_definitions(&r);
		small_block(&r, &s, false);
		small_block(&r, &s, epoch == 1);
	}
	buf_put(out, r.out.data, r.out.len);
	for (uint32_t i = 0; starts && i <= r.n_blocks; i++)
		starts[i] = r.starts[i];
	support_recording_close(&r);
}

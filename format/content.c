#include "format/content.h"

#include <stdlib.h>

#include "libcommon/err.h"

struct content *content_new(const struct decode_visitor *v)
{
	struct content *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->v = v;
	content_new_epoch(d);
	return d;
}

void content_free(struct content *d)
{
	if (!d)
		return;
	idtable_clear(&d->first_lines);
	idtable_clear(&d->depths);
	idtable_clear(&d->entry_of);
	vec_free(&d->ids);
	vec_free(&d->more_ids);
	vec_free(&d->notes);
	vec_free(&d->times);
	vec_free(&d->entries);
	vec_free(&d->closings);
	vec_free(&d->gaps);
	vec_free(&d->events);
	free(d);
}

void content_new_epoch(struct content *d)
{
	for (int i = 0; i < CONTENT_KINDS; i++)
		d->next[i] = 1;
	idtable_clear(&d->first_lines);
	idtable_clear(&d->depths);
}

enum content_result content_bad(struct content *d, const char *what)
{
	d->what = what;
	return CONTENT_BAD;
}

enum content_result content_no_memory(struct content *d)
{
	d->rc = ERR_NO_MEMORY;
	return CONTENT_STOP;
}

static enum content_result judge(struct content *d, const struct cursor *c, const char *what)
{
	return c->is_bad ? content_bad(d, what) : CONTENT_OK;
}

#define READ_IDS(d, c, list)                                                                                           \
	do {                                                                                                           \
		uint32_t n_ = cursor_count(c, 1);                                                                      \
		(list)->n = 0;                                                                                         \
		if (!vec_room(list, n_))                                                                               \
			return content_no_memory(d);                                                                   \
		for (uint32_t i_ = 0; i_ < n_; i_++)                                                                   \
			(list)->v[(list)->n++] = cursor_id(c);                                                         \
	} while (0)

static enum content_result read_notes(struct content *d, struct cursor *c)
{
	uint32_t n = cursor_count(c, 2);

	d->notes.n = 0;
	if (!vec_room(&d->notes, n))
		return content_no_memory(d);
	for (uint32_t i = 0; i < n; i++) {
		str_id key = cursor_id(c);

		d->notes.v[d->notes.n++] = (struct rec_note){.key = key, .value = cursor_id(c)};
	}
	return CONTENT_OK;
}

static enum content_result read_recording(struct content *d, struct cursor *c, struct rec_recording *r)
{
	*r = (struct rec_recording){0};
	r->host = cursor_id(c);
	r->kernel = cursor_id(c);
	r->machine = cursor_id(c);
	r->boot_id = cursor_id(c);
	r->recorder = cursor_id(c);
	READ_IDS(d, c, &d->ids);
	r->mean_gap_ns = cursor_u64(c);
	r->schedule = cursor_u32(c);
	r->engine = cursor_u32(c);
	r->view_defaults = cursor_u32(c);
	r->kernel_hz = cursor_u32(c);
	r->stop_ppm = cursor_u32(c);
	CONTENT_TRY(read_notes(d, c));
	r->started_ns = cursor_u64(c);
	r->cpu_ppm = c->p < c->end ? cursor_u32(c) : 0; /* since 1.2 */
	r->options = d->ids.v;
	r->n_options = (uint32_t)d->ids.n;
	r->notes = d->notes.v;
	r->n_notes = (uint32_t)d->notes.n;
	return judge(d, c, "a bad RECORDING record");
}

static enum content_result record_recording(struct content *d, struct cursor *c)
{
	struct rec_recording r;
	struct cursor whole = *c;

	CONTENT_TRY(read_recording(d, c, &r));
	d->recording = whole;
	d->has_recording = true;
	return CONTENT_OK;
}

static enum content_result tell_recording(struct content *d)
{
	struct rec_recording r;
	struct cursor c = d->recording;

	if (!d->has_recording)
		return CONTENT_OK;
	CONTENT_TRY(read_recording(d, &c, &r));
	return CONTENT_TELL(d, recording, &r);
}

/* CERTIFY and DOUBT are checked whole before anything of them is told. */
static enum content_result stack_ids(struct content *d, struct cursor *c, int (*tell)(void *, stack_id))
{
	uint32_t n = cursor_count(c, 1);
	int64_t id = 0;

	d->ids.n = 0;
	if (!vec_room(&d->ids, n))
		return content_no_memory(d);
	for (uint32_t i = 0; i < n; i++) {
		int64_t step = cursor_zigzag(c);

		if (c->is_bad || step < -WIRE_IDS_MAX || step > WIRE_IDS_MAX || (id += step) < 1 || id > WIRE_IDS_MAX)
			return content_bad(d, "a bad list of stacks");
		d->ids.v[d->ids.n++] = (stack_id)id;
	}
	for (size_t i = 0; tell && i < d->ids.n; i++) {
		d->rc = tell(d->v->ctx, d->ids.v[i]);
		if (d->rc)
			return CONTENT_STOP;
	}
	return judge(d, c, "a bad list of stacks");
}

static enum content_result record_certify(struct content *d, struct cursor *c)
{
	return stack_ids(d, c, d->v->certify);
}

static enum content_result record_doubt(struct content *d, struct cursor *c)
{
	return stack_ids(d, c, d->v->doubt);
}

static enum content_result record_process(struct content *d, struct cursor *c)
{
	struct rec_process p = {0};

	p.id = cursor_own_id(c);
	p.pid = cursor_u32(c);
	p.ns_pid = cursor_u32(c);
	p.parent_pid = cursor_u32(c);
	p.host = cursor_id(c);
	p.start_ns = cursor_u64(c);
	p.exec_number = cursor_u32(c);
	p.seen_ns = cursor_u64(c);
	p.flags = cursor_u32(c);
	p.uid = cursor_u32(c);
	p.version_hex = cursor_u32(c);
	p.build = cursor_u32(c);
	p.version = cursor_id(c);
	p.exe = cursor_id(c);
	p.cwd = cursor_id(c);
	p.prefix = cursor_id(c);
	p.base_prefix = cursor_id(c);
	READ_IDS(d, c, &d->ids);
	READ_IDS(d, c, &d->more_ids);
	p.cmdline = d->ids.v;
	p.n_cmdline = (uint32_t)d->ids.n;
	p.sys_path = d->more_ids.v;
	p.n_sys_path = (uint32_t)d->more_ids.n;
	CONTENT_TRY(judge(d, c, "a bad PROCESS record"));
	return CONTENT_TELL(d, process, &p);
}

static enum content_result record_process_end(struct content *d, struct cursor *c)
{
	struct rec_process_end p = {0};

	p.id = cursor_own_id(c);
	p.time_ns = cursor_u64(c);
	p.how = cursor_u32(c);
	p.status = cursor_u32(c);
	CONTENT_TRY(judge(d, c, "a bad PROCESS_END record"));
	return CONTENT_TELL(d, process_end, &p);
}

static enum content_result record_module(struct content *d, struct cursor *c)
{
	struct rec_module m = {0};

	m.id = cursor_own_id(c);
	m.process = cursor_id(c);
	m.path = cursor_id(c);
	m.n_build_id = cursor_count(c, 1);
	m.build_id = cursor_bytes(c, m.n_build_id);
	m.begin = cursor_u64(c);
	m.end = cursor_u64(c);
	m.file_offset = cursor_u64(c);
	CONTENT_TRY(judge(d, c, "a bad MODULE record"));
	return CONTENT_TELL(d, module, &m);
}

static enum content_result record_thread(struct content *d, struct cursor *c)
{
	struct rec_thread t = {0};

	t.id = cursor_own_id(c);
	t.process = cursor_id(c);
	t.tid = cursor_u32(c);
	t.ns_tid = cursor_u32(c);
	t.start_ns = cursor_u64(c);
	t.interpreter = cursor_u32(c);
	t.pthread = cursor_u64(c);
	t.name = cursor_id(c);
	t.flags = cursor_u32(c);
	t.kind = cursor_u32(c);
	t.owner = cursor_id(c);
	CONTENT_TRY(judge(d, c, "a bad THREAD record"));
	return CONTENT_TELL(d, thread, &t);
}

static enum content_result record_thread_end(struct content *d, struct cursor *c)
{
	thread_id id = cursor_own_id(c);
	uint64_t time_ns = cursor_u64(c);

	CONTENT_TRY(judge(d, c, "a bad THREAD_END record"));
	return CONTENT_TELL(d, thread_end, id, time_ns);
}

static enum content_result record_lost(struct content *d, struct cursor *c)
{
	struct rec_lost l = {0};

	l.begin_ns = cursor_u64(c);
	l.end_ns = cursor_u64(c);
	l.cause = cursor_u32(c);
	l.thread = cursor_id(c);
	l.count = cursor_u64(c);
	CONTENT_TRY(judge(d, c, "a bad LOST record"));
	return CONTENT_TELL(d, lost, &l);
}

static enum content_result record_counters(struct content *d, struct cursor *c)
{
	uint32_t n = cursor_count(c, 2);

	for (uint32_t i = 0; i < n; i++) {
		struct rec_counter counter = {.counter = cursor_u32(c)};

		counter.value = cursor_u64(c);
		CONTENT_TRY(judge(d, c, "a bad COUNTERS record"));
		CONTENT_TRY(CONTENT_TELL(d, counter, &counter));
	}
	return judge(d, c, "a bad COUNTERS record");
}

static enum content_result record_end(struct content *d, struct cursor *c)
{
	struct rec_end e = {0};

	e.time_ns = cursor_u64(c);
	e.reason = cursor_u32(c);
	e.how = cursor_u32(c);
	e.status = cursor_u32(c);
	CONTENT_TRY(judge(d, c, "a bad END record"));
	return CONTENT_TELL(d, end, &e);
}

static enum content_result record_host(struct content *d, struct cursor *c)
{
	struct rec_host h = {0};

	h.id = cursor_id(c);
	h.name = cursor_id(c);
	h.boot_id = cursor_id(c);
	h.kernel = cursor_id(c);
	h.machine = cursor_id(c);
	CONTENT_TRY(judge(d, c, "a bad HOST record"));
	return CONTENT_TELL(d, host, &h);
}

static enum content_result record_interpreter(struct content *d, struct cursor *c)
{
	struct rec_interpreter i = {0};

	i.process = cursor_id(c);
	i.number = cursor_u32(c);
	i.flags = cursor_u32(c);
	CONTENT_TRY(judge(d, c, "a bad INTERPRETER record"));
	return CONTENT_TELL(d, interpreter, &i);
}

static enum content_result (*const RECORDS[])(struct content *, struct cursor *) = {
    [WIRE_RECORDING] = record_recording,
    [WIRE_STRINGS] = content_strings,
    [WIRE_FUNCTIONS] = content_functions,
    [WIRE_LOCATIONS] = content_locations,
    [WIRE_STACKS] = content_stacks,
    [WIRE_CERTIFY] = record_certify,
    [WIRE_PROCESS] = record_process,
    [WIRE_PROCESS_END] = record_process_end,
    [WIRE_MODULE] = record_module,
    [WIRE_THREAD] = record_thread,
    [WIRE_THREAD_END] = record_thread_end,
    [WIRE_TICKS] = content_ticks,
    [WIRE_EVENTS] = content_events,
    [WIRE_LOST] = record_lost,
    [WIRE_COUNTERS] = record_counters,
    [WIRE_END] = record_end,
    [WIRE_HOST] = record_host,
    [WIRE_DOUBT] = record_doubt,
    [WIRE_INTERPRETER] = record_interpreter,
};

static enum content_result next_record(struct content *d, struct cursor *block)
{
	uint64_t type = cursor_u64(block), n = cursor_u64(block);
	const uint8_t *p = cursor_bytes(block, n);
	struct cursor c;

	if (block->is_bad)
		return content_bad(d, "a record that is longer than its block");
	c = (struct cursor){.p = p, .end = p + n};
	if (type >= sizeof RECORDS / sizeof RECORDS[0] || !RECORDS[type])
		return CONTENT_OK;
	return RECORDS[type](d, &c);
}

enum content_result content_decode(struct content *d, const uint8_t *p, size_t n, size_t *rest)
{
	struct cursor block = {.p = p, .end = p + n};
	enum content_result result = CONTENT_OK;

	d->has_recording = d->has_ticks = false;
	*rest = 0;
	while (result == CONTENT_OK && block.p < block.end) {
		*rest = (size_t)(block.end - block.p);
		result = next_record(d, &block);
	}
	if (result != CONTENT_STOP && tell_recording(d) == CONTENT_STOP)
		result = CONTENT_STOP;
	return result;
}

#include "tests/unit/support_events_world.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "format/decode.h"
#include "libcommon/clock.h"
#include "tests/unit/support_test.h"

#define RUNTIME  UINT64_C(0x20000000)
#define INTERP   UINT64_C(0x21000000)
#define GIL      UINT64_C(0x22000000)
#define PTHREADS UINT64_C(0x23000000) /* thread descriptors; the tid stands at PTHREAD_TID in each */
enum { INTERP_BYTES = 32768, TSTATE_STRIDE = 0x1000, GENERATION = 1000, IDS = 4096, PTHREAD = 1024, PTHREAD_TID = 720 };

static void make_interpreter(struct support_world *w)
{
	const struct layout *l = w->s.l;
	struct support_memory *m = &w->s.m;
	support_memory_map(m, RUNTIME, 4096);
	support_memory_map(m, INTERP, INTERP_BYTES);
	support_memory_map(m, GIL, l->gil.size ? l->gil.size : 8);
	support_memory_map(m, PTHREADS, (size_t)WORLD_THREADS * PTHREAD);
	support_memory_u64(m, RUNTIME + l->runtime.interpreters_head, INTERP);
	if (l->interp.gil)
		support_memory_u64(m, INTERP + l->interp.gil, GIL);
	if (l->interp.next_version)
		support_memory_u32(m, INTERP + l->interp.next_version, GENERATION);
	w->interp = INTERP;
	w->gil = l->interp.gil ? GIL : 0;
}

static void make_codes(struct support_world *w)
{
	support_objects_init(&w->o, &w->s.m, w->s.version);
	w->o.pages = true; /* 3.11 looks at more of a name than there is */
	w->globals = support_objects_globals(&w->o, "app");
	for (unsigned i = 0; i < WORLD_CODES; i++) {
		const char name[] = {(char)('a' + i), 0};
		struct support_objects_code code = {
		    .qualname = name, .file = "app.py", .version = i + 1, .units = WORLD_UNITS, .first_line = 10};
		w->codes[i] = support_objects_code(&w->o, &code);
	}
}

static void make_target(struct support_world *w)
{
	struct target *t = &w->t;
	*t = (struct target){.reader = w->s.m.reader};
	assert_int_equal(process_facts_read(getpid(), &t->facts), 0);
	t->interpreter.layout = *w->s.l;
	t->interpreter.runtime = RUNTIME;
	t->interpreter.heads = RUNTIME + w->s.l->runtime.interpreters_head;
	if (w->s.l->gil_kind == LAYOUT_GIL_CURRENT) {
		t->interpreter.current = RUNTIME + w->s.l->runtime.gil_current;
		t->interpreter.gil = w->s.l->runtime.gil ? RUNTIME + w->s.l->runtime.gil : 0;
		t->interpreter.gil_bytes = w->s.l->gil.size;
	}
	t->interpreter.pthread_tid = w->s.l->tstate.native_thread_id ? 0 : PTHREAD_TID;
	walk_init(&t->walk, &t->reader, &t->interpreter.layout);
	assert_int_equal(codes_init(&t->codes, &t->reader, &t->interpreter.layout), 0);
	assert_int_equal(trie_init(&t->trie), 0);
	t->n_interps = 1;
	t->interps[0] = (struct sample_interp){.at = w->interp, .gil = w->gil};
	t->id = writer_process(w->w, 0, &(struct writer_process){.pid = (uint32_t)getpid(), .exe = "python"});
	t->events.begin_ns = clock_mono_ns();
	map_init(&t->events.by_tid, 0);
}

static void make_writer(struct support_world *w)
{
	static char *argv[] = {"pyspy-record", NULL};
	snprintf(w->file_name, sizeof w->file_name, "/tmp/pyspy-world-XXXXXX");
	int fd = mkstemp(w->file_name);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sink_open(&w->sink, w->file_name, false), 0);
	assert_int_equal(writer_new(&w->w, &w->sink, &(struct writer_options){.argv = argv, .mean_gap_ns = 1000000}),
	                 0);
}

void support_world_begin(struct support_world *w, uint32_t version)
{
	memset(w, 0, sizeof *w);
	support_stack_begin(&w->s, version);
	make_interpreter(w);
	make_codes(w);
	make_writer(w);
	make_target(w);
}

static void close_file(struct support_world *w)
{
	if (!w->w)
		return;
	uint64_t now = clock_boot_ns();
	assert_int_equal(writer_flush(w->w, now, &(struct rec_end){.time_ns = now}), 0);
	writer_free(w->w);
	w->w = NULL;
	assert_int_equal(sink_close(&w->sink), 0);
}

void support_world_end(struct support_world *w)
{
	struct events *e = &w->t.events;
	close_file(w);
	unlink(w->file_name);
	if (!e->kernel) {
		map_done(&e->by_tid);
		vec_free(&e->threads);
		vec_free(&e->list);
		vec_free(&e->out);
		vec_free(&e->to_read);
		lockstep_done(&e->lockstep);
	} else {
		events_done(&w->t);
	}
	target_close(&w->t);
	support_copy_forget(&w->copy);
	support_stack_end(&w->s);
}

raddr_t support_world_thread(struct support_world *w, pid_t tid)
{
	const struct layout *l = w->s.l;
	struct support_memory *m = &w->s.m;
	assert_true(w->n_tstates < WORLD_THREADS);
	raddr_t at = SUPPORT_STACK_TSTATE + w->n_tstates * TSTATE_STRIDE;
	if (w->n_tstates)
		support_memory_map(m, at, l->tstate.size);
	w->tstates[w->n_tstates++] = at;
	support_memory_u64(m, at + l->tstate.interp, w->interp);
	if (l->tstate.native_thread_id) {
		support_memory_u64(m, at + l->tstate.native_thread_id, (uint64_t)tid);
		support_memory_u64(m, at + l->tstate.thread_id, 0x7f0000000000 + (uint64_t)tid);
	} else {
		raddr_t descriptor = PTHREADS + (w->n_tstates - 1) * PTHREAD;
		support_memory_u32(m, descriptor + PTHREAD_TID, (uint32_t)tid);
		support_memory_u64(m, at + l->tstate.thread_id, descriptor);
	}
	support_memory_u64(m, at + l->tstate.next, support_copy_word(&w->s, w->interp + l->interp.threads_head));
	support_memory_u64(m, w->interp + l->interp.threads_head, at);
	return at;
}

void support_world_forget_thread(struct support_world *w, raddr_t tstate)
{
	const struct layout *l = w->s.l;
	raddr_t at = w->interp + l->interp.threads_head;
	while (support_copy_word(&w->s, at) != tstate) {
		at = support_copy_word(&w->s, at) + l->tstate.next;
		assert_true(at != l->tstate.next);
	}
	support_memory_u64(&w->s.m, at, support_copy_word(&w->s, tstate + l->tstate.next));
}

void support_world_push(struct support_world *w, unsigned code, unsigned unit)
{
	if (w->s.frames.n == 0)
		support_stack_call(&w->s);
	support_stack_push(&w->s, OWNER_THREAD);
	support_world_dress(w, code, unit);
}

void support_world_dress(struct support_world *w, unsigned code, unsigned unit)
{
	const struct layout *l = w->s.l;
	raddr_t at = support_stack_innermost(&w->s) + l->frame.first;
	support_memory_u64(&w->s.m, at + l->frame.code, w->codes[code]);
	support_memory_u64(&w->s.m, at + l->frame.globals, w->globals);
	if (l->frame.instr_unit) {
		support_memory_u32(&w->s.m, at + l->frame.instr, 2 * unit / l->frame.instr_unit);
		return;
	}
	support_memory_u64(&w->s.m, at + l->frame.instr, w->codes[code] + l->code.code_adaptive + 2 * unit);
}

/* --- records */

static unsigned char *put_piece(unsigned char *p, uint32_t kind, raddr_t at, const void *bytes, size_t n)
{
	struct kernel_piece piece = {.at = at, .len = (uint32_t)n, .kind = kind};
	memcpy(p, &piece, sizeof piece);
	memcpy(p + sizeof piece, bytes, n);
	return p + sizeof piece + (n + 7) / 8 * 8;
}

static size_t size_of_pieces(const struct walk_copy *c)
{
	size_t n = sizeof(struct kernel_piece) + (c->tstate_len + 7) / 8 * 8;
	for (size_t i = 0; i < c->n_chunks; i++)
		n += sizeof(struct kernel_piece) + (c->chunks[i].len + 7) / 8 * 8;
	for (size_t i = 0; i < c->n_extras; i++)
		n += sizeof(struct kernel_piece) + (c->extras[i].len + 7) / 8 * 8;
	if (c->objects)
		n += sizeof(struct kernel_piece) + c->n_objects * sizeof *c->objects;
	return n;
}

struct kernel_sample *support_world_sample(struct support_world *w, const struct kernel_record *head, raddr_t tstate,
                                           size_t *n)
{
	const struct walk_copy *c = &w->copy.copy;
	unsigned char image[LAYOUT_TSTATE_MAX];
	uint64_t tid = head->tid;
	support_copy_make(&w->copy, &w->s);
	memcpy(image, c->tstate, c->tstate_len);
	if (w->s.l->tstate.native_thread_id)
		memcpy(image + w->s.l->tstate.native_thread_id, &tid, sizeof tid);
	size_t pieces = size_of_pieces(c);
	struct kernel_sample *m = calloc(1, sizeof *m + pieces);
	assert_non_null(m);
	m->head = *head;
	m->head.kind = KERNEL_SAMPLE;
	m->tstate = tstate;
	m->interp = w->interp;
	m->gil = w->gil;
	m->generation = w->s.l->interp.next_version ? GENERATION : 0;
	m->n_bytes = (uint32_t)pieces;
	m->syscall = -1;
	unsigned char *p = put_piece((unsigned char *)(m + 1), KERNEL_PIECE_TSTATE, tstate, image, c->tstate_len);
	for (size_t i = 0; i < c->n_chunks; i++)
		p = put_piece(p, KERNEL_PIECE_CHUNK, c->chunks[i].at, c->chunks[i].bytes, c->chunks[i].len);
	for (size_t i = 0; i < c->n_extras; i++)
		p = put_piece(p, KERNEL_PIECE_EXTRA, c->extras[i].at, c->extras[i].bytes, c->extras[i].len);
	if (c->objects)
		put_piece(p, KERNEL_PIECE_OBJECTS, 0, c->objects, c->n_objects * sizeof *c->objects);
	*n = sizeof *m + pieces;
	return m;
}

struct events_thread *support_world_events_thread(struct support_world *w, pid_t tid, uint64_t begin_ns)
{
	struct events *e = &w->t.events;
	struct events_thread et = {.tid = tid, .clock_fd = -1, .told_ns = begin_ns};
	bool is_new;
	struct writer_thread wt = {.process = w->t.id, .tid = (uint32_t)tid, .ns_tid = (uint32_t)tid};
	et.last_id = writer_thread(w->w, 0, &wt);
	assert_true(et.last_id > 0 && vec_push(&e->threads, et));
	uint32_t *slot = map_put(&e->by_tid, (uint64_t)tid, 0, &is_new);
	assert_true(slot && is_new);
	*slot = (uint32_t)e->threads.n;
	return &e->threads.v[e->threads.n - 1];
}

uint32_t support_world_flags(enum events_class class)
{
	static const uint32_t states[] = {WIRE_STATE_ON_CPU, WIRE_STATE_RUNNABLE, WIRE_STATE_SLEEPING};
	return states[class] | WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT;
}

bool support_world_add(struct support_world *w, pid_t tid, enum events_class class, uint64_t time_ns, double raw)
{
	return support_world_add_sleep(w, tid, class, time_ns, raw, -1);
}

bool support_world_add_sleep(struct support_world *w, pid_t tid, enum events_class class, uint64_t time_ns, double raw,
                             int length)
{
	struct events_thread *et = events_find(&w->t.events, tid);
	assert_non_null(et);
	struct events_event v = {.length = (uint8_t)(length + 1),
	                         .sleeps = length >= 0,
	                         .time_ns = time_ns,
	                         .raw = raw,
	                         .id = et->last_id,
	                         .flags = support_world_flags(class)};
	return events_add(&w->t, et, &v);
}

void support_world_set_task(struct events_thread *et, uint64_t out_ns, uint64_t cpu_ns, uint64_t ready_ns)
{
	et->task.tid = (uint32_t)et->tid;
	et->task.cpu_ns = cpu_ns;
	et->task.ready_ns = ready_ns;
	et->task.in_ns = 0;
	et->task.out_ns = out_ns;
	et->task.off_state = KERNEL_OFF_SLEEPS;
	et->task.switches++;
}

/* --- reading back */

struct reading {
	support_world_events *events;
	uint32_t tids[IDS];
	bool is_thread[IDS];
	char strings[IDS][8];
	uint32_t functions[IDS], locations[IDS], parents[IDS], stacks[IDS];
};

static int on_damage(void *ctx, const struct decode_damage *damage)
{
	fail_msg("%s", damage->what);
	return 0;
}

static int on_string(void *ctx, str_id id, const char *s, size_t n)
{
	struct reading *r = ctx;
	assert_true(id < IDS);
	snprintf(r->strings[id], sizeof r->strings[id], "%.*s", (int)n, s);
	return 0;
}

static int on_function(void *ctx, function_id id, const struct rec_function *f)
{
	((struct reading *)ctx)->functions[id] = f->qualname;
	return 0;
}

static int on_location(void *ctx, location_id id, const struct rec_location *l)
{
	((struct reading *)ctx)->locations[id] = l->function;
	return 0;
}

static int on_stack(void *ctx, stack_id id, const struct rec_stack *s)
{
	struct reading *r = ctx;
	assert_true(id < IDS && s->location < IDS);
	r->parents[id] = s->parent;
	r->stacks[id] = s->location;
	return 0;
}

static int on_thread(void *ctx, const struct rec_thread *t)
{
	struct reading *r = ctx;
	assert_true(t->id < IDS);
	r->tids[t->id] = t->tid;
	r->is_thread[t->id] = true;
	return 0;
}

static void name_stack(const struct reading *r, stack_id id, char *out, size_t size)
{
	if (r->parents[id])
		name_stack(r, r->parents[id], out, size);
	size_t n = strlen(out);
	snprintf(out + n, size - n, "%s%s", n ? ";" : "", r->strings[r->functions[r->locations[r->stacks[id]]]]);
}

static int on_events(void *ctx, const struct rec_events *e)
{
	struct reading *r = ctx;
	uint64_t boot_minus_mono = clock_boot_ns() - clock_mono_ns();
	for (uint32_t i = 0; i < e->n_events; i++) {
		const struct rec_event *v = &e->events[i];
		struct support_world_event got = {.time_ns = v->time_ns - boot_minus_mono,
		                                  .weight_ns = v->weight_ns,
		                                  .tid = r->tids[v->thread],
		                                  .flags = v->flags};
		assert_true(v->thread < IDS && r->is_thread[v->thread]);
		if (v->stack)
			name_stack(r, v->stack, got.stack, sizeof got.stack);
		assert_true(vec_push(r->events, got));
	}
	return 0;
}

void support_world_read(struct support_world *w, support_world_events *events)
{
	static struct reading r;
	static char bytes[1 << 16];
	struct decode_visitor v = {.ctx = &r,
	                           .damage = on_damage,
	                           .string = on_string,
	                           .function = on_function,
	                           .location = on_location,
	                           .stack = on_stack,
	                           .thread = on_thread,
	                           .events = on_events};
	memset(&r, 0, sizeof r);
	r.events = events;
	events->n = 0;
	close_file(w);
	struct stream *s = stream_new(&v);
	FILE *f = fopen(w->file_name, "rb");
	assert_true(s && f);
	for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
		assert_int_equal(stream_feed(s, bytes, n), 0);
	fclose(f);
	assert_int_equal(stream_finish(s), 0);
	stream_free(s);
}

uint64_t support_world_sum(const support_world_events *events, pid_t tid, enum events_class class)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < events->n; i++)
		if (events->v[i].tid == (uint32_t)tid &&
		    (class == EVENTS_CLASSES || events_class(events->v[i].flags) == class))
			sum += events->v[i].weight_ns;
	return sum;
}

void support_world_expect(const support_world_events *events, pid_t tid, uint64_t on, uint64_t ready, uint64_t off)
{
	uint64_t sums[] = {support_world_sum(events, tid, EVENTS_ON), support_world_sum(events, tid, EVENTS_READY),
	                   support_world_sum(events, tid, EVENTS_OFF)};
	if (sums[0] != on || sums[1] != ready || sums[2] != off)
		fail_msg("thread %d: on %llu ready %llu off %llu", (int)tid, (unsigned long long)sums[0],
		         (unsigned long long)sums[1], (unsigned long long)sums[2]);
}

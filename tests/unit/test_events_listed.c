/* events: samples whose frames are listed (3.11 and later), and only those that are not as in the thread's last one.
 * Each record is a block of its own, so that sanitizers see a byte too many. */
#include "pyspy-record/sample/events.h"

#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/sample/target.h"
#include "tests/unit/support_events_engine.h"
#include "tests/unit/support_events_world.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

enum { MS = 1000000, FRAMES = 64, MUTATIONS = 20000, SLOT = 3, ROUND = 1 };

static struct support_world world;
static struct target *const t = &world.t;
static struct events *const e = &world.t.events;
static struct kernel engine;
static raddr_t tstate;
static uint32_t serial;
static uint32_t version;
static size_t shims; /* frames of a call of the evaluator that run no code: 3.12 and later */

static uint64_t seed;
static uint32_t draw(uint32_t below)
{
	return support_draw(&seed, below);
}

static void begin(void)
{
	support_world_begin(&world, version);
	shims = world.s.l->frame.owner_cstack != UINT8_MAX;
	tstate = support_world_thread(&world, getpid());
	engine = (struct kernel){.rate_hz = 100, .clocks_error = ERR_FULL};
	serial = 0;
	assert_int_equal(events_begin(t, world.w, &engine), 0);
	assert_true(e->rules.frames_are_listed && !e->rules.frames_are_objects);
}

/* The frames that the memory holds now, innermost first. */
static size_t list(struct kernel_frame *frames)
{
	const struct layout *l = world.s.l;
	raddr_t at = support_stack_innermost(&world.s);
	size_t n = 0;
	for (; at; at = support_copy_word(&world.s, at + l->frame.previous)) {
		assert_true(n < FRAMES);
		unsigned char owner = *(unsigned char *)support_memory_at(&world.s.m, at + l->frame.owner, 1);
		bool flag =
		    l->frame.is_entry && *(unsigned char *)support_memory_at(&world.s.m, at + l->frame.is_entry, 1);
		frames[n++] = (struct kernel_frame){.at = at | owner | (flag ? 4 : 0),
		                                    .code = support_copy_word(&world.s, at + l->frame.code),
		                                    .globals = support_copy_word(&world.s, at + l->frame.globals),
		                                    .instr = support_copy_word(&world.s, at + l->frame.instr)};
	}
	return n;
}

/* What the program would send, without the outermost `same` frames. */
static struct kernel_sample *sample(size_t same, size_t *n)
{
	struct kernel_frame frames[FRAMES];
	struct kernel_record h = {.trigger = KERNEL_ON_CLOCK,
	                          .tid = (uint32_t)getpid(),
	                          .tgid = (uint32_t)getpid(),
	                          .time_ns = e->begin_ns + MS * (serial + 1),
	                          .switches = 1,
	                          .off_chance = 256};
	struct kernel_sample *whole = support_world_sample(&world, &h, tstate, n), *m;
	struct kernel_piece *first = (struct kernel_piece *)(whole + 1);
	size_t n_frames = list(frames) - same, head = sizeof *first + e->rules.n_tstate_words * sizeof(uint64_t);
	for (uint32_t i = 0; i < e->rules.n_tstate_words; i++) /* only these words of the thread state */
		memmove((uint64_t *)(first + 1) + i, (char *)(first + 1) + e->rules.tstate_words[i], sizeof(uint64_t));
	first->len = (uint32_t)(head - sizeof *first);
	struct kernel_piece piece = {.kind = KERNEL_PIECE_FRAMES, .len = (uint32_t)(n_frames * sizeof *frames)};
	whole->n_bytes = (uint32_t)(head + sizeof piece + piece.len);
	whole->slot = SLOT;
	whole->round = ROUND;
	whole->serial = ++serial;
	whole->same = (uint32_t)same;
	*n = sizeof *m + whole->n_bytes;
	m = malloc(*n);
	assert_non_null(m);
	memcpy(m, whole, sizeof *m + head);
	unsigned char *p = (unsigned char *)(m + 1) + head;
	memcpy(p, &piece, sizeof piece);
	memcpy(p + sizeof piece, frames, piece.len);
	free(whole);
	return m;
}

static void give(struct kernel_sample *m, size_t n)
{
	assert_int_equal(events_record(t, world.w, &m->head, n), 0);
	free(m);
}

static void take(size_t same)
{
	size_t n;
	struct kernel_sample *m = sample(same, &n);
	give(m, n);
}

/* What was recorded, sample by sample. */
static void expect(const char *const *stacks, size_t n)
{
	support_world_events got = {0};
	events_flush(t, world.w, e->begin_ns + 1000 * MS, false);
	support_world_read(&world, &got);
	assert_int_equal(got.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(got.v[i].stack, stacks[i]);
	vec_free(&got);
	support_world_end(&world);
}

/* Lists and images of the same stack are the same stack. */
static void test_calls_and_returns(void **state)
{
	static const char *const stacks[] = {"a;b;c", "a;b;c", "a;b;c;d;e", "a;b;c;d;e", "a;b;c",
	                                     "a;b;f", "a;b",   "a;b",       "a"};
	begin();
	for (unsigned i = 0; i < 3; i++)
		support_world_push(&world, i, i);
	take(0);
	take(3 + shims); /* nothing new: three functions, and where C called them */
	support_stack_push_generator(&world.s, SUPPORT_STACK_OBJECTS + 16);
	support_world_dress(&world, 3, 1);
	support_world_push(&world, 4, 2);
	take(3 + shims);
	size_t n;
	struct kernel_record h = {.trigger = KERNEL_ON_CLOCK,
	                          .tid = (uint32_t)getpid(),
	                          .tgid = (uint32_t)getpid(),
	                          .time_ns = e->begin_ns + MS * serial};
	struct kernel_sample *image = support_world_sample(&world, &h, tstate, &n);
	node_id node = e->threads.v[0].last_node;
	give(image, n);
	assert_int_equal(e->threads.v[0].last_node, node);
	support_stack_pop(&world.s);
	support_stack_pop(&world.s);
	take(3 + shims);
	support_stack_pop(&world.s);
	support_world_push(&world, 5, 0);
	take(2 + shims);
	support_stack_pop(&world.s); /* nothing is new, but what is gone is gone */
	take(2 + shims);
	take(2 + shims);
	support_stack_pop(&world.s);
	take(1 + shims);
	expect(stacks, N_OF(stacks));
}

/* Nothing is made up for what did not come, and the thread is bound anew. */
static void test_out_of_step(void **state)
{
	static const char *const stacks[] = {"a;b", "a;b"};
	begin();
	support_world_push(&world, 0, 0);
	support_world_push(&world, 1, 1);
	unsigned binds = engine.n_binds;
	take(1);
	assert_int_equal(e->counts.lost, 1);
	assert_int_equal(engine.n_binds, binds + 1);
	take(0);
	serial++; /* one is missing */
	take(2 + shims);
	assert_int_equal(e->counts.lost, 2);
	assert_int_equal(engine.n_binds, binds + 2);
	take(2 + shims);
	assert_int_equal(e->counts.lost, 3);
	take(0);
	expect(stacks, N_OF(stacks));
}

static void change(size_t frame, uint64_t at, uint64_t next, uint32_t cut)
{
	size_t n;
	struct kernel_sample *m = sample(0, &n);
	struct kernel_piece *piece = (struct kernel_piece *)(m + 1);
	piece = (struct kernel_piece *)((unsigned char *)(piece + 1) + (piece->len + 7) / 8 * 8);
	struct kernel_frame *frames = (struct kernel_frame *)(piece + 1);
	if (at)
		frames[frame].at = at;
	m->next = next;
	m->cut = cut;
	give(m, n);
}

/* What makes no sense is torn; what was not there is cut; where nothing was there, nothing was read. */
static void test_torn_and_cut(void **state)
{
	begin();
	for (unsigned i = 0; i < 3; i++)
		support_world_push(&world, i, i);
	change(0, 0, 0, 0);
	assert_int_equal(t->counts.torn, 0);
	change(1, 8, 0, 0); /* no address */
	assert_int_equal(t->counts.torn, 1);
	change(1, support_stack_innermost(&world.s) | 7, 0, 0); /* no owner */
	assert_int_equal(t->counts.torn, 2);
	if (support_stack_has_cframe(&world.s))
		t->counts.torn++;
	else
		change(0, support_stack_innermost(&world.s) + 64, 0, 0); /* not where the thread state points to */
	assert_int_equal(t->counts.torn, 3);
	change(2 + shims, (world.s.frames.v[0].at & ~UINT64_C(7)) | OWNER_THREAD, 0,
	       0); /* ends in a frame that has a caller */
	assert_int_equal(t->counts.torn, 4);
	change(0, 0, 0x5000, 0); /* goes on elsewhere, and nobody knows why it was not followed */
	assert_int_equal(t->counts.torn, 5);
	change(0, 0, 0x5000, KERNEL_CUT_FULL);
	assert_int_equal(t->counts.torn, 5);
	assert_true(e->list.v[e->list.n - 1].flags & WIRE_FLAG_CUT);
	/* ends in a generator: only where it loses its caller before the thread state loses it */
	change(2 + shims, (world.s.frames.v[0].at & ~UINT64_C(7)) | OWNER_GENERATOR, 0, 0);
	assert_int_equal(t->counts.torn, support_stack_has_cframe(&world.s) ? 5 : 6);
	assert_true(!support_stack_has_cframe(&world.s) || e->list.v[e->list.n - 1].flags & WIRE_FLAG_CUT);
	change(0, 0, 0, KERNEL_CUT_ABSENT); /* all of it is there all the same */
	assert_false(e->list.v[e->list.n - 1].flags & WIRE_FLAG_CUT);
	size_t events = e->list.n;
	uint64_t unread = t->counts.reads_failed;
	raddr_t root = support_stack_innermost(&world.s);
	size_t n;
	struct kernel_sample *m = sample(3 + shims, &n); /* none of them came */
	m->serial = 0;
	m->slot = m->same = 0;
	m->next = root;
	m->cut = KERNEL_CUT_ABSENT;
	give(m, n);
	assert_int_equal(e->list.n, events);
	assert_int_equal(t->counts.reads_failed, unread + 1);
	support_world_end(&world);
}

/* A circle ends. */
static void test_circle(void **state)
{
	begin();
	support_world_push(&world, 0, 0);
	size_t n, many = 2000, n_frames;
	struct kernel_frame frames[FRAMES];
	struct kernel_sample *m = sample(0, &n);
	n_frames = list(frames);
	size_t more = many * sizeof *frames;
	struct kernel_sample *larger = realloc(m, n + more);
	assert_non_null(larger);
	m = larger;
	struct kernel_frame *end = (struct kernel_frame *)((unsigned char *)m + n);
	for (size_t i = 0; i < many; i++)
		end[i] = (struct kernel_frame){.at = (SUPPORT_STACK_OBJECTS + i % 7 * 160) | OWNER_GENERATOR};
	struct kernel_piece *piece = (struct kernel_piece *)(end - n_frames) - 1;
	assert_int_equal(piece->kind, KERNEL_PIECE_FRAMES);
	piece->len += (uint32_t)more;
	m->n_bytes += (uint32_t)more;
	m->next = SUPPORT_STACK_OBJECTS;
	m->cut = KERNEL_CUT_FULL;
	give(m, n + more);
	assert_int_equal(t->counts.torn, 1);
	support_world_end(&world);
}

static void mutate(unsigned char *p, size_t n)
{
	static const uint64_t words[] = {0, 1, 8, 255, 4096, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};
	for (uint32_t times = 1 + draw(4); times > 0; times--) {
		size_t among = draw(2) ? sizeof(struct kernel_sample) : n, width = (size_t)1 << draw(4);
		size_t at = draw((uint32_t)(among < n ? among : n)) / width * width;
		if (at + width > n)
			continue;
		if (draw(3))
			p[at] ^= (unsigned char)(1 << draw(8));
		else
			memcpy(p + at, &words[draw(N_OF(words))], width);
	}
}

/* Whatever comes, it is bounded, and what is written can be read. */
static void test_mutations(void **state)
{
	support_world_events got = {0};
	begin();
	seed = 7;
	for (unsigned i = 0; i < 5; i++)
		support_world_push(&world, i, i);
	for (int i = 0; i < MUTATIONS; i++) {
		size_t n, same = draw(3) ? draw((uint32_t)(6 + shims)) : 5 + shims;
		struct kernel_sample *m = sample(same, &n);
		m->head.trigger = (uint32_t)1 << draw(3);
		if (draw(8) == 0)
			m->next = draw(2) ? 0x5000 : tstate;
		m->cut = draw(8) ? 0 : draw(4);
		if (draw(3))
			mutate((unsigned char *)m, n);
		void *exact = malloc(n);
		assert_non_null(exact);
		memcpy(exact, m, n);
		free(m);
		give(exact, n);
		if (draw(100) == 0)
			events_before_drain(t);
		if (draw(300) == 0)
			events_flush(t, world.w, e->begin_ns + (uint64_t)serial * MS, false);
	}
	support_world_read(&world, &got);
	assert_true(got.n > 0);
	vec_free(&got);
	support_world_end(&world);
}

static int run(uint32_t of)
{
	version = of;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_calls_and_returns), cmocka_unit_test(test_out_of_step),
	    cmocka_unit_test(test_torn_and_cut),      cmocka_unit_test(test_circle),
	    cmocka_unit_test(test_mutations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	int failed = 0;
	for (size_t i = 0; i < N_OF(support_stack_versions); i++)
		failed += run(support_stack_versions[i]);
	return failed;
}

/* events: records that lie. Nothing of them is believed that could do harm; sanitizers see a byte too many, for each
 * record is a block of its own. */
#include "pyspy-record/sample/events.h"

#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/sample/target.h"
#include "tests/unit/support_events_engine.h"
#include "tests/unit/support_events_world.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

enum { MS = 1000000, MUTATIONS = 6000 };

static struct support_world world;
static struct target *const t = &world.t;
static struct events *const e = &world.t.events;
static struct kernel engine;
static raddr_t tstate;

static uint64_t seed;
static uint32_t draw(uint32_t below)
{
	return support_draw(&seed, below);
}

static void begin(uint32_t version)
{
	support_world_begin(&world, version);
	tstate = support_world_thread(&world, getpid());
	for (unsigned i = 0; i < 4; i++)
		support_world_push(&world, i, i);
	support_stack_push_generator(&world.s, SUPPORT_STACK_OBJECTS + 16);
	support_world_dress(&world, 4, 4);
	engine = (struct kernel){.rate_hz = 100, .clocks_error = ERR_FULL};
	assert_int_equal(events_begin(t, world.w, &engine), 0);
}

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < N_OF(support_stack_versions); i++) {
		begin(support_stack_versions[i]);
		test();
		support_world_end(&world);
	}
}

static struct kernel_sample *sample(uint32_t trigger, size_t *n)
{
	struct kernel_record h = {.trigger = trigger,
	                          .tid = (uint32_t)getpid(),
	                          .tgid = (uint32_t)getpid(),
	                          .time_ns = e->begin_ns + MS,
	                          .switches = 1,
	                          .off_chance = 256};
	return support_world_sample(&world, &h, tstate, n);
}

/* The first n bytes of a record, in a block that ends there. */
static void give(const void *record, size_t n)
{
	void *exact = malloc(n);
	assert_non_null(exact);
	memcpy(exact, record, n);
	assert_int_equal(events_record(t, world.w, exact, n), 0);
	free(exact);
}

/* What became of a sample: one of these numbers has moved. */
struct fate {
	uint64_t events, lost, torn, unread, limit;
};
static struct fate fates(void)
{
	return (struct fate){e->list.n, e->counts.lost, t->counts.torn, t->counts.reads_failed, t->counts.limit};
}

static struct kernel_piece *piece(struct kernel_sample *m, unsigned number)
{
	unsigned char *p = (unsigned char *)(m + 1);
	while (number--)
		p += sizeof(struct kernel_piece) + (((struct kernel_piece *)p)->len + 7) / 8 * 8;
	return (struct kernel_piece *)p;
}

/* --- too short */

/* At each length: what is there is taken, and nothing that is not. */
static void cut_short(void)
{
	size_t n;
	struct kernel_sample *m = sample(KERNEL_ON_TICK, &n);
	for (size_t cut = sizeof(struct kernel_record); cut < n; cut++) {
		struct fate before = fates();
		give(m, cut);
		struct fate now = fates();
		assert_int_equal(now.events, before.events);
		assert_int_equal(now.lost, before.lost + (cut >= sizeof *m));
	}
	/* as if it had been sent so: n_bytes fits */
	for (size_t cut = sizeof *m; cut <= n; cut++) {
		struct fate before = fates();
		m->n_bytes = (uint32_t)(cut - sizeof *m);
		give(m, cut);
		struct fate now = fates();
		assert_int_equal(now.events - before.events + now.lost - before.lost, 1);
	}
	assert_true(e->list.n > 0 && t->counts.torn < e->list.n);
	free(m);
}
static void test_cut_short(void **state)
{
	in_all(cut_short);
}

/* --- pieces */

static void length(unsigned number, uint32_t len)
{
	size_t n;
	struct kernel_sample *m = sample(KERNEL_ON_TICK, &n);
	struct fate before = fates();
	piece(m, number)->len = len;
	give(m, n);
	struct fate now = fates();
	assert_true(now.lost == before.lost + 1 && now.events == before.events);
	free(m);
}
static void lengths(void)
{
	static const uint32_t huge[] = {1 << 20, INT32_MAX, (uint32_t)INT32_MAX + 1, UINT32_MAX - 7, UINT32_MAX};
	for (unsigned number = 0; number < 3; number++)
		for (size_t i = 0; i < N_OF(huge); i++)
			length(number, huge[i]);
}
static void test_lengths(void **state)
{
	in_all(lengths);
}

/* A thread state that is not all there, and nothing behind it. */
static void short_states(void)
{
	size_t n, whole = world.s.l->tstate.size;
	struct kernel_sample *m = sample(KERNEL_ON_TICK, &n);
	for (uint32_t len = 0; len <= whole; len++) {
		struct fate before = fates();
		piece(m, 0)->len = len;
		m->n_bytes = (uint32_t)sizeof(struct kernel_piece) + len;
		give(m, sizeof *m + m->n_bytes);
		struct fate now = fates();
		assert_int_equal(now.lost - before.lost, len < whole);
		assert_int_equal(now.events - before.events, len == whole);
	}
	free(m);
}
static void test_short_states(void **state)
{
	in_all(short_states);
}

/* No thread state at all; only that; one of an unknown kind. */
static void kinds(void)
{
	size_t n;
	struct kernel_sample *m = sample(KERNEL_ON_TICK, &n);
	struct fate before = fates();
	piece(m, 0)->kind = KERNEL_PIECE_CHUNK;
	give(m, n);
	assert_int_equal(fates().lost, before.lost + 1);
	piece(m, 0)->kind = 77;
	give(m, n);
	assert_int_equal(fates().lost, before.lost + 2);
	piece(m, 0)->kind = KERNEL_PIECE_TSTATE;
	piece(m, 1)->kind = UINT32_MAX; /* the chunk is missing */
	give(m, n);
	struct fate now = fates();
	assert_int_equal(now.events, before.events + 1);
	free(m);
}
static void test_kinds(void **state)
{
	in_all(kinds);
}

/* Where memory was absent, a stack of which nothing is left was not read; else it is torn. */
static void absent(void)
{
	size_t n;
	struct kernel_sample *m = sample(KERNEL_ON_TICK, &n);
	struct fate before = fates();
	m->n_bytes = (uint32_t)((unsigned char *)piece(m, 1) - (unsigned char *)(m + 1));
	m->cut = KERNEL_CUT_ABSENT;
	give(m, n);
	struct fate now = fates();
	assert_true(now.unread == before.unread + 1 && now.events == before.events && now.torn == before.torn);
	m->cut = 0;
	give(m, n);
	now = fates();
	assert_true(now.unread == before.unread + 1 && now.events == before.events + 1 && now.torn == before.torn + 1);
	assert_true(e->list.v[e->list.n - 1].stack == target_torn_stack(world.w));
	free(m);
}
static void test_absent(void **state)
{
	in_all(absent);
}

/* Thousands of pieces: no more are kept than there is room for. */
static void many_pieces(void)
{
	size_t n, more = 5000 * (sizeof(struct kernel_piece) + 88);
	struct kernel_sample *one = sample(KERNEL_ON_TICK, &n), *m = calloc(1, n + more);
	assert_non_null(m);
	memcpy(m, one, n);
	free(one);
	for (uint32_t kind = KERNEL_PIECE_TSTATE; kind <= KERNEL_PIECE_EXTRA; kind++) {
		unsigned char *p = (unsigned char *)m + n;
		memset(p, 0xff, more);
		for (size_t at = 0; at < more; at += sizeof(struct kernel_piece) + 88) {
			struct kernel_piece k = {.at = 0x10000 + at, .len = 88, .kind = kind};
			memcpy(p + at, &k, sizeof k);
		}
		m->n_bytes = (uint32_t)(n - sizeof *m + more);
		give(m, n + more);
	}
	free(m);
}
static void test_many_pieces(void **state)
{
	in_all(many_pieces);
}

/* --- records */

static void other_records(void)
{
	static const uint32_t kinds[] = {4, 5, 77, INT32_MAX, UINT32_MAX};
	struct fate before = fates();
	size_t n;
	struct kernel_sample *m = sample(KERNEL_ON_TICK, &n);
	for (size_t i = 0; i < N_OF(kinds); i++) {
		m->head.kind = kinds[i];
		give(m, n);
		give(m, sizeof m->head);
	}
	struct fate now = fates();
	assert_memory_equal(&before, &now, sizeof now);
	m->head.kind = KERNEL_SAMPLE;
	m->head.tid = UINT32_MAX; /* nobody's, and of no interpreter */
	m->interp += 8;
	give(m, n);
	assert_int_equal(fates().lost, before.lost + 1);
	m->head.tid = (uint32_t)getpid();
	m->tstate = 0; /* a thread that is known, in a state of which nothing is to be had any more */
	give(m, n);
	assert_int_equal(fates().lost, before.lost + 1);
	assert_int_equal(e->list.n, 1);
	assert_int_equal(e->list.v[0].flags & (WIRE_FLAG_GIL | WIRE_FLAG_GC), 0);
	free(m);
}
static void test_other_records(void **state)
{
	in_all(other_records);
}

/* A chance of nothing: its sleep weighs nothing, and takes nothing from the others. */
static void test_no_chance(void **state)
{
	support_world_events got = {0};
	begin(support_stack_versions[2]);
	size_t n;
	struct kernel_sample *m = sample(KERNEL_ON_SWITCH, &n);
	uint64_t begin_ns = e->threads.v[0].told_ns;
	for (int i = 0; i < 3; i++) {
		m->head.kind = KERNEL_SAMPLE;
		m->head.off_chance = 0;
		m->head.time_ns = begin_ns + (uint64_t)i * MS;
		give(m, n);
		m->head.kind = KERNEL_WOKE;
		m->head.time_ns += MS / 2;
		give(&m->head, sizeof m->head);
		events_flush(t, world.w, begin_ns + (uint64_t)(i + 1) * MS, false);
	}
	events_flush(t, world.w, begin_ns + 3 * MS, true);
	support_world_read(&world, &got);
	assert_int_equal(support_world_sum(&got, getpid(), EVENTS_CLASSES), 3 * MS);
	vec_free(&got);
	free(m);
	support_world_end(&world);
}

/* --- mutations */

static void mutate(unsigned char *p, size_t n)
{
	static const uint64_t words[] = {0, 1, 8, 255, 4096, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};
	for (uint32_t times = 1 + draw(4); times > 0; times--) {
		/* the head and the pieces' heads oftener than what is in them */
		size_t among = draw(2) ? sizeof(struct kernel_sample) + 64 : n;
		size_t at = draw((uint32_t)(among < n ? among : n));
		size_t width = (size_t)1 << draw(4);
		if (at + width > n)
			continue;
		at -= at % width;
		if (draw(3)) {
			p[at] ^= (unsigned char)(1 << draw(8));
		} else if (draw(2)) {
			memcpy(p + at, &words[draw(N_OF(words))], width);
		} else { /* another word of the same record */
			size_t from = draw((uint32_t)(n - width + 1));
			memmove(p + at, p + from - from % width, width);
		}
	}
}

static void mutations(void)
{
	support_world_events got = {0};
	seed = world.s.version;
	for (int i = 0; i < MUTATIONS; i++) {
		size_t n;
		struct kernel_sample *m = sample((uint32_t)1 << draw(3), &n);
		m->head.kind = draw(3) ? KERNEL_SAMPLE : draw(5);
		m->head.time_ns += (uint64_t)i * MS;
		m->cut = draw(4);
		if (draw(8))
			mutate((unsigned char *)m, n);
		give(m, draw(8) ? n : draw(2) ? sizeof m->head : sizeof *m + draw((uint32_t)(n - sizeof *m)));
		free(m);
		if (draw(50) == 0)
			events_before_drain(t);
		if (draw(100) == 0) {
			target_census(t, world.w, 0);
			events_bind(t);
		}
		if (draw(300) == 0)
			events_flush(t, world.w, e->begin_ns + (uint64_t)i * MS, draw(5) == 0);
		if (draw(2000) == 0) {
			codes_clear(&t->codes);
			trie_clear(&t->trie);
		}
	}
	assert_true(t->counts.samples > MUTATIONS / 10 && e->counts.lost > MUTATIONS / 100);
	events_flush(t, world.w, e->begin_ns + (uint64_t)MUTATIONS * MS, true);
	support_world_read(&world, &got);
	vec_free(&got);
}
static void test_mutations(void **state)
{
	in_all(mutations);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cut_short),     cmocka_unit_test(test_lengths),   cmocka_unit_test(test_short_states),
	    cmocka_unit_test(test_kinds),         cmocka_unit_test(test_absent),    cmocka_unit_test(test_many_pieces),
	    cmocka_unit_test(test_other_records), cmocka_unit_test(test_no_chance), cmocka_unit_test(test_mutations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

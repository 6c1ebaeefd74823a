/* The kernel engine in its first moments, before all of its programs are there, with and without bpf_loop; and its ring
 * when nobody drains it. */
#include "tests/unit/support_test.h"

#include <time.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "tests/unit/support_kernel_target.h"

static struct kernel *k;
static struct kernel_target t;

static bool open_first(bool without_loop)
{
	k = kt_engine(&(struct kernel_options){.rate_hz = 100000, .n_threads = 1, .without_loop = without_loop});
	if (!k)
		return false;
	kt_open(&t, k);
	assert_int_equal(kernel_watch(k, t.pid, &t.rules, false, 1), 0); /* each tick, and no clock */
	return true;
}

static void close_first(void)
{
	kt_close(&t);
	kernel_close(k);
}

static uint32_t u32_at(const void *p, size_t offset)
{
	uint32_t v;
	memcpy(&v, (const char *)p + offset, sizeof v);
	return v;
}

/* How many samples there are on the tick in so many ms, all of them with so many bytes of stack and cut so. */
static size_t samples_in(unsigned ms, size_t bytes, uint32_t cut)
{
	size_t n = 0;
	kt_run(&t, KT_SPIN, ms);
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_sample *m = t.records.v[i].m;
		if (m->head.kind != KERNEL_SAMPLE || m->head.trigger != KERNEL_ON_TICK)
			continue;
		assert_int_equal(m->cut, cut);
		size_t copied = 0, at = 0;
		const char *pieces = (const char *)(m + 1);
		for (; at < m->n_bytes; at += sizeof(struct kernel_piece) + (u32_at(pieces, at + 8) + 7) / 8 * 8)
			if (u32_at(pieces, at + 12) != KERNEL_PIECE_TSTATE)
				copied += u32_at(pieces, at + 8);
		assert_int_equal(at, m->n_bytes);
		if (!cut)
			assert_int_equal(copied, bytes);
		n++;
	}
	return n;
}

/* The same, in as long as it takes: on a busy machine a tick may come while others have the CPU. */
static size_t samples(size_t bytes, uint32_t cut)
{
	size_t n = 0;
	for (unsigned ms = 40; n == 0 && ms <= 2560; ms *= 2)
		n = samples_in(ms, bytes, cut);
	return n;
}

/* The bytes of all chunks, as they are copied: the top one with what lies behind its newest frame. */
static size_t chunk_bytes(void)
{
	size_t sum = 0;
	for (size_t i = 0; i < t.n_chunks; i++) {
		uint64_t size = kt_get(&t, t.chunks[i] + 8), top = kt_get(&t, t.chunks[i] + 16);
		uint64_t used = i + 1 < t.n_chunks ? 24 + top * 8 : t.top - t.chunks[i] + KERNEL_FRAME_MAX;
		sum += used > size ? size : used;
	}
	return sum;
}

static void push_and_expect(unsigned n, uint32_t cut)
{
	kt_clear(&t);
	kt_chunk(&t, 300000);
	kt_push(&t, KT_FRAME_SIZE, n);
	kt_set_root(&t, t.frames[t.n_frames - 1]);
	assert_true(samples(chunk_bytes(), cut) > 0);
}

static void test_with_loop(void **state)
{
	if (!kt_has_loop() || !open_first(false))
		skip();
	push_and_expect(1, 0);
	push_and_expect(300, 0);
	push_and_expect(3000, 0);
	assert_false(kernel_has_clocks(k));
	close_first();
}

/* Before Linux 5.17 not all of a deep stack fits in the first moments, and that is said; then it does. */
static void test_without_loop(void **state)
{
	if (!open_first(true))
		skip();
	push_and_expect(1, 0);
	push_and_expect(200, 0);
	push_and_expect(1500, KERNEL_CUT_FULL); /* 108 KB: four parts of the chunk, two a program */
	uint64_t begin = clock_mono_ns();
	assert_false(kernel_complete(k, false)); /* a thread does it, and takes 50 ms and more */
	assert_true(clock_mono_ns() - begin < UINT64_C(1000000000));
	assert_false(kernel_has_clocks(k));
	push_and_expect(200, 0); /* samples come meanwhile */
	while (!kernel_complete(k, false)) {
		assert_true(clock_mono_ns() - begin < UINT64_C(30000000000));
		usleep(1000);
	}
	assert_true(kernel_has_clocks(k));
	assert_false(kernel_complete(k, false) || kernel_complete(k, true));
	push_and_expect(1500, 0);
	close_first();
}

static void test_waits_for_the_rest(void **state)
{
	if (!open_first(true))
		skip();
	assert_false(kernel_complete(k, false));
	assert_true(kernel_complete(k, true)); /* for the thread that is at it */
	push_and_expect(1500, 0);
	close_first();
}

static void test_closed_meanwhile(void **state)
{
	if (!open_first(true))
		skip();
	assert_false(kernel_complete(k, false));
	close_first();
}

/* Nobody is looked for yet who was not bound: that is told, and samples come when it is. */
static void test_not_bound(void **state)
{
	if (!open_first(false))
		skip();
	uint64_t counts[KERNEL_COUNT_END_];
	kernel_unbind(k, t.pid);
	kt_run(&t, KT_SPIN, 40);
	assert_int_equal(kt_count(&t, KERNEL_SAMPLE, 0), 0);
	kernel_counts(k, counts);
	assert_true(counts[KERNEL_COUNT_UNKNOWN] > 0);
	assert_int_equal(kernel_bind(k, t.pid, &t.binding), 0);
	kt_run(&t, KT_SPIN, 40);
	assert_true(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_TICK) > 0);
	close_first();
}

static uint64_t cpu_ns(void)
{
	clockid_t clock;
	struct timespec now;
	assert_int_equal(clock_getcpuclockid(t.pid, &clock), 0);
	assert_int_equal(clock_gettime(clock, &now), 0);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

struct seen {
	uint64_t n, last_ns;
	size_t bytes;
};

static int see(void *ctx, const struct kernel_record *r, size_t n)
{
	struct seen *s = ctx;
	if (r->kind != KERNEL_SAMPLE || r->tgid != (uint32_t)t.pid)
		return 0;
	assert_true(r->time_ns >= s->last_ns); /* one thread: in order, from ring to ring */
	s->last_ns = r->time_ns;
	s->bytes += n;
	s->n++;
	return 0;
}

static struct seen drain_after(unsigned ms)
{
	struct seen s = {0};
	kt_begin(&t, KT_SPIN);
	for (uint64_t until = cpu_ns() + ms * UINT64_C(1000000); cpu_ns() < until;)
		usleep(1000);
	assert_int_equal(kernel_drain(k, see, &s), 0);
	kt_begin(&t, KT_WAIT);
	return s;
}

/* Small samples, and nobody comes: what was lost is counted, and then there is room for more, as much as there may be.
 */
static void test_ring_overrun(void **state)
{
	uint64_t counts[KERNEL_COUNT_END_];
	k = kt_engine(&(struct kernel_options){.rate_hz = 10000, .n_threads = 1});
	if (!k)
		skip();
	kt_open(&t, k);
	kt_clear(&t);
	kt_chunk(&t, 100000);
	kt_push(&t, KT_FRAME_SIZE, 100); /* 7 KB */
	kt_set_root(&t, t.frames[t.n_frames - 1]);
	kt_clock(&t);
	assert_true(drain_after(300).n > 0); /* 2000 of them, of which some hundred had room */
	struct seen second = drain_after(300);
	kernel_counts(k, counts);
	assert_true(counts[KERNEL_COUNT_OVERRUN] > 0);
	assert_true(second.bytes > 6 << 20 && second.bytes < 8 << 20);
	struct seen third = drain_after(300);
	assert_true(third.bytes > 6 << 20 && third.bytes < 8 << 20);
	close_first();
}

/* Large samples: room is made when the first one is seen. */
static void test_ring_of_large_samples(void **state)
{
	uint64_t counts[KERNEL_COUNT_END_];
	k = kt_engine(&(struct kernel_options){.rate_hz = 1000, .n_threads = 1});
	if (!k)
		skip();
	kt_open(&t, k);
	kt_clear(&t);
	kt_chunk(&t, 200000);
	kt_push(&t, KT_FRAME_SIZE, 2000); /* 144 KB: three in the first ring, 50 in the last one */
	kt_set_root(&t, t.frames[t.n_frames - 1]);
	assert_int_equal(kernel_watch(k, t.pid, &t.rules, false, 1), 0); /* each tick */
	kt_run(&t, KT_SPIN, 40);
	assert_true(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_TICK) > 0);
	kernel_counts(k, counts);
	uint64_t overrun = counts[KERNEL_COUNT_OVERRUN];
	kt_clock(&t);
	struct seen s = drain_after(8);
	assert_true(s.n > 4);
	kernel_counts(k, counts);
	assert_int_equal(counts[KERNEL_COUNT_OVERRUN], overrun);
	close_first();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_with_loop),
	    cmocka_unit_test(test_without_loop),
	    cmocka_unit_test(test_waits_for_the_rest),
	    cmocka_unit_test(test_closed_meanwhile),
	    cmocka_unit_test(test_not_bound),
	    cmocka_unit_test(test_ring_overrun),
	    cmocka_unit_test(test_ring_of_large_samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* sample.bpf.c: memory that lies, or is not there. Each sample ends, in bounded time, and says what is missing. Needs
 * rights; skipped without. */
#include <dirent.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "tests/unit/support_kernel_target.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

enum { ROOT = 24, CHUNK = 40, TOP = 48, NATIVE_ID = 8, PREVIOUS = 16, PERF_EVENT = 7 };
#define NOT_MAPPED    UINT64_C(0x7000)
#define OF_THE_KERNEL UINT64_C(0xffff888000100000)
#define NO_ADDRESS    UINT64_C(0x8000000000000000)

static struct kernel *k;
static struct kernel_target t;
static int stats = -1;

static bool begin(void)
{
	if (!k)
		return false;
	kt_open(&t, k);
	kt_clock(&t);
	return true;
}

/* --- how long the program runs (sysctl kernel.bpf_stats_enabled, for as long as `stats` is open) */

struct spent {
	uint64_t ns, calls;
};

static void add_spent(struct spent *s, const char *name)
{
	char path[300], line[200];
	unsigned type = 0;
	unsigned long long ns = 0, calls = 0;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%s", name);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		sscanf(line, "prog_type: %u", &type);
		sscanf(line, "run_time_ns: %llu", &ns);
		sscanf(line, "run_cnt: %llu", &calls);
	}
	if (f)
		fclose(f);
	if (type != PERF_EVENT)
		return;
	s->ns += ns;
	s->calls += calls;
}

/* By the program of the clocks, and what it calls. */
static struct spent spent(void)
{
	struct spent s = {0};
	DIR *dir = opendir("/proc/self/fdinfo");
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));)
		if (e->d_name[0] != '.')
			add_spent(&s, e->d_name);
	closedir(dir);
	return s;
}

/* --- one lie */

/* Samples that end with these marks, at the rate of the clock, with that many pieces; the rest of the world goes on. */
static void expect(const char *lie, uint32_t cut, size_t least_pieces, size_t most_pieces)
{
	struct spent before = spent();
	uint64_t cpu_before = t.control->cpu_ns;
	kt_run(&t, KT_SPIN, 20);
	struct spent after = spent();
	uint64_t calls = after.calls - before.calls, cpu_ns = t.control->cpu_ns - cpu_before;
	uint64_t each_ns = calls ? (after.ns - before.ns) / calls : 0;
	size_t n = 0;
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_sample *m = t.records.v[i].m;
		if (m->head.kind != KERNEL_SAMPLE)
			continue;
		const unsigned char *p = (const unsigned char *)(m + 1), *end = p + m->n_bytes;
		size_t pieces = 0;
		for (; p < end; pieces++)
			p += sizeof(struct kernel_piece) + (((const struct kernel_piece *)p)->len + 7) / 8 * 8;
		if (m->cut != cut || p != end || pieces < least_pieces || pieces > most_pieces)
			fail_msg("%s: cut %u, %zu pieces", lie, m->cut, pieces);
		n += m->head.trigger == KERNEL_ON_CLOCK;
	}
	if (!n)
		fail_msg("%s: %zu samples in %.1f ms of CPU time", lie, n, (double)cpu_ns / 1e6);
	double ms = (double)cpu_ns / 1e6;
	if (stats >= 0 && ((double)calls < ms / 3 - 2 || (double)calls > ms * 3 + 5 || each_ns > 500000))
		fail_msg("%s: %d calls in %.1f ms, %d ns each", lie, (int)calls, ms, (int)each_ns);
}

static void build(void)
{
	kt_clear(&t);
	while (t.n_chunks < 4)
		kt_push(&t, 1000, 1);
	kt_push(&t, 104, 3);
}

static uint64_t tstate(size_t offset)
{
	return kt_at(&t, KT_TSTATE) + offset;
}

/* Frame `i`, counted from the innermost. */
static uint64_t frame(size_t i)
{
	return t.frames[t.n_frames - 1 - i];
}

static const uint64_t bad[] = {1, 7, NOT_MAPPED, OF_THE_KERNEL, NO_ADDRESS, UINT64_MAX, UINT64_MAX - 7, INT64_MAX};

static void test_frames_that_are_not_there(void **state)
{
	if (!begin())
		skip();
	for (size_t i = 0; i < N_OF(bad); i++) {
		build();
		kt_put(&t, frame(2) + PREVIOUS, bad[i]);
		expect("a caller", KERNEL_CUT_ABSENT, 2, 2);
		kt_put(&t, tstate(ROOT), bad[i]);
		expect("the innermost frame", KERNEL_CUT_ABSENT, 2, 2);
	}
	kt_close(&t);
}

static void test_chunks_that_are_not_there(void **state)
{
	if (!begin())
		skip();
	for (size_t i = 0; i < N_OF(bad); i++) {
		build();
		kt_put(&t, t.chunks[t.n_chunks - 1], bad[i]);
		expect("the next chunk", 0, 2, 400); /* its frames are taken for others', while they can be read */
		kt_put(&t, tstate(CHUNK), bad[i]);
		kt_put(&t, tstate(TOP), bad[i] + 100);
		expect("the top chunk", KERNEL_CUT_ABSENT, 1, 1);
	}
	kt_close(&t);
}

/* Sizes and tops that cannot be. */
static void test_sizes(void **state)
{
	static const uint64_t sizes[] = {
	    0, 1, 23, 1 << 20, UINT64_C(1) << 32, UINT64_C(1) << 61, INT64_MAX, NO_ADDRESS, UINT64_MAX};
	if (!begin())
		skip();
	for (size_t i = 0; i < N_OF(sizes); i++) {
		build();
		kt_put(&t, t.chunks[t.n_chunks - 2] + 16, sizes[i]); /* words in use of the chunk below */
		expect("top of a chunk", 0, 2, 400);
		kt_put(&t, t.chunks[t.n_chunks - 1] + 8, sizes[i]);
		bool is_small = sizes[i] < 24;
		expect("size of the top chunk", is_small ? KERNEL_CUT_ABSENT : 0, is_small ? 1 : 2, 400);
		kt_put(&t, tstate(TOP), sizes[i]);
		expect("top below or far above the chunk", KERNEL_CUT_ABSENT, 1, 1);
	}
	build();
	kt_put(&t, tstate(TOP), t.chunks[t.n_chunks - 1] - 8);
	expect("top just below the chunk", KERNEL_CUT_ABSENT, 1, 1);
	kt_put(&t, tstate(TOP), t.chunks[t.n_chunks - 1] + KERNEL_DATA);
	kt_put(&t, t.chunks[t.n_chunks - 1] + 8, NO_ADDRESS);
	expect("more than a sample holds", KERNEL_CUT_ABSENT, 1, 1);
	kt_close(&t);
}

/* A chunk of a megabyte, all of it in use: its frames cannot be copied, and that is said. */
static void test_chunk_of_a_megabyte(void **state)
{
	if (!begin())
		skip();
	kt_chunk(&t, 1 << 20);
	kt_push(&t, 10000, 100);
	expect("a megabyte", KERNEL_CUT_ABSENT, 1, 1);
	kt_close(&t);
}

static void test_circles(void **state)
{
	if (!begin())
		skip();
	build();
	kt_put(&t, frame(1) + PREVIOUS, frame(1));
	expect("a frame that called itself", 0, 2, 2);
	kt_put(&t, frame(1) + PREVIOUS, frame(0));
	expect("a circle in a chunk", 0, 2, 2);
	build();
	kt_put(&t, frame(10) + PREVIOUS, frame(0)); /* from a chunk below */
	expect("a circle over chunks", KERNEL_CUT_FULL, KT_OUTSIDE_MAX, 400);
	build();
	kt_push_outside(&t, KT_GENERATOR);
	kt_put(&t, frame(0) + PREVIOUS, frame(0));
	expect("a generator that called itself", 0, 3, 3);
	build();
	kt_push_outside(&t, KT_GENERATOR);
	kt_push_outside(&t, KT_GENERATOR);
	kt_push_outside(&t, KT_CSTACK);
	kt_put(&t, frame(2) + PREVIOUS, frame(0));
	expect("a circle outside", KERNEL_CUT_FULL, 2 + KT_OUTSIDE_MAX, 2 + KT_OUTSIDE_MAX);
	kt_close(&t);
}

/* Chunks that lie below themselves, met again and again by frames that say to be of the data stack. */
static void test_circles_of_chunks(void **state)
{
	if (!begin())
		skip();
	for (size_t back = 1; back <= 3; back++) {
		build();
		uint64_t outside = kt_at(&t, KT_FRAMES);
		kt_put(&t, t.chunks[t.n_chunks - back], t.chunks[t.n_chunks - 1]);
		kt_put(&t, t.chunks[t.n_chunks - 1] + 16, 20);
		kt_put(&t, frame(1) + PREVIOUS, outside);
		kt_put(&t, outside + PREVIOUS, outside + 1000);
		expect("chunks in a circle", KERNEL_CUT_FULL, 20, 2600);
		/* with frames in them */
		build();
		kt_put(&t, t.chunks[t.n_chunks - back], t.chunks[t.n_chunks - 1]);
		kt_put(&t, t.chunks[t.n_chunks - 1] + 16, 1000);
		kt_put(&t, frame(2) + PREVIOUS, frame(1));
		expect("frames in chunks in a circle", 0, 2, 2600);
	}
	kt_close(&t);
}

static void test_cframes(void **state)
{
	if (!begin())
		skip();
	t.rules.root_is_cframe = 1;
	kt_tell(&t);
	for (size_t i = 0; i < N_OF(bad); i++) {
		build();
		kt_put(&t, kt_at(&t, KT_CFRAMES) + 8, bad[i]);
		expect("the cframe before", KERNEL_CUT_ABSENT, 2, 2);
		kt_put(&t, tstate(ROOT), bad[i]);
		expect("the cframe", KERNEL_CUT_ABSENT, 1, 1);
	}
	build();
	kt_put(&t, kt_at(&t, KT_CFRAMES) + 8, kt_at(&t, KT_CFRAMES)); /* itself: copied twice, and that is all */
	expect("a cframe in a circle", 0, 4, 8);
	kt_close(&t);
}

/* Words that cannot be read are zero, and harm nothing. */
static void test_words(void **state)
{
	if (!begin())
		skip();
	for (size_t i = 0; i < N_OF(bad); i++) {
		build();
		t.binding.states[0].gil = t.binding.states[0].interp = bad[i];
		t.rules.gil_current = i % 2 ? bad[i] : 0;
		kt_tell(&t);
		expect("the GIL and the interpreter", 0, 5, 5);
		for (size_t n = 0; n < t.records.n; n++) {
			const struct kernel_sample *m = t.records.v[n].m;
			if (m->head.kind == KERNEL_SAMPLE)
				assert_true(!m->gil_last_holder && !m->gil_current && !m->gc && !m->generation);
		}
	}
	kt_close(&t);
}

/* --- thread states */

static uint64_t counted(enum kernel_count what)
{
	uint64_t counts[KERNEL_COUNT_END_];
	kernel_counts(k, counts);
	return counts[what];
}

/* Nobody's, or another thread's: counted, no samples, let go of; said once and not again. */
static void expect_none(const char *lie, enum kernel_count what)
{
	uint64_t before = counted(what), unknown = counted(KERNEL_COUNT_UNKNOWN);
	kt_tell(&t);
	kt_run(&t, KT_YIELD, 20);
	assert_true(counted(what) > before && counted(KERNEL_COUNT_UNKNOWN) > unknown);
	before = counted(what);
	unknown = counted(KERNEL_COUNT_UNKNOWN);
	kt_run(&t, KT_YIELD, 20);
	if (kt_count(&t, KERNEL_SAMPLE, 0) || kt_count(&t, KERNEL_UNKNOWN, 0))
		fail_msg("%s: sampled, or said again", lie);
	assert_true(counted(what) == before && counted(KERNEL_COUNT_UNKNOWN) > unknown);
}

static void test_thread_states(void **state)
{
	if (!begin())
		skip();
	for (size_t i = 0; i < N_OF(bad); i++) {
		build();
		t.binding.states[0].tstate = bad[i];
		expect_none("a thread state that is not there", KERNEL_COUNT_UNREADABLE);
	}
	t.binding.states[0].tstate = kt_at(&t, KT_TSTATE);
	kt_tell(&t);
	expect("told anew", 0, 5, 5);
	kt_put(&t, tstate(NATIVE_ID), (uint64_t)t.pid + 1);
	expect_none("another thread's", KERNEL_COUNT_STALE);
	kt_put(&t, tstate(NATIVE_ID), (uint64_t)t.pid);
	kt_tell(&t);
	expect("it is this thread's again", 0, 5, 5);
	kt_close(&t);
}

/* --- memory that changes while the thread runs */

static void check_form(const struct kernel_sample *m, size_t n)
{
	const unsigned char *p = (const unsigned char *)(m + 1), *end = p + m->n_bytes;
	assert_int_equal(n, sizeof *m + m->n_bytes);
	assert_true(m->n_bytes < KERNEL_DATA + KERNEL_COPY + 4096);
	while (p < end) {
		const struct kernel_piece *piece = (const void *)p;
		assert_true(end - p >= (ptrdiff_t)sizeof *piece);
		p += sizeof *piece;
		assert_true(piece->kind <= KERNEL_PIECE_EXTRA && piece->len <= (size_t)(end - p));
		p += (piece->len + 7) / 8 * 8;
	}
	assert_true(p == end);
}

static void check_forms(void)
{
	for (size_t i = 0; i < t.records.n; i++)
		if (t.records.v[i].m->head.kind == KERNEL_SAMPLE)
			check_form(t.records.v[i].m, t.records.v[i].n);
}

/* Its pages go and come: what is absent is marked. */
static void pages(enum kt_order order)
{
	kt_begin(&t, KT_WAIT);
	build();
	size_t whole = 0, cut = 0, times = 0;
	for (; times < 20 && (!whole || !cut); times++) {
		kt_begin(&t, order);
		for (int i = 0; i < 20; i++) {
			kt_tell(&t); /* when the thread state is not there it is let go of */
			usleep(1000);
		}
		kt_drain(&t);
		check_forms();
		for (size_t i = 0; i < t.records.n; i++) {
			const struct kernel_sample *m = t.records.v[i].m;
			whole += m->head.kind == KERNEL_SAMPLE && m->cut == 0;
			cut += m->head.kind == KERNEL_SAMPLE ? m->cut == KERNEL_CUT_ABSENT
			                                     : m->head.kind == KERNEL_UNKNOWN;
		}
	}
	assert_true(t.control->rounds > 0);
	if (!whole || !cut)
		fail_msg("order %d: %zu whole and %zu others", order, whole, cut);
}

static void test_pages_that_go(void **state)
{
	if (!begin())
		skip();
	pages(KT_DROP);
	pages(KT_MOVE);
	kt_close(&t);
}

/* Anything at all is written into it, at 10 kHz. */
static uint64_t seed;
static uint32_t draw(uint32_t below)
{
	return support_draw(&seed, below);
}

static uint64_t some_word(void)
{
	switch (draw(6)) {
	case 0:
		return draw(1000);
	case 1:
		return bad[draw(N_OF(bad))];
	case 2:
		return kt_at(&t, draw(KT_MEMORY / 8) * 8);
	case 3:
		return t.chunks[draw((uint32_t)t.n_chunks)];
	case 4:
		return kt_at(&t, KT_FRAMES) + draw(100) * 8;
	default:
		return t.frames[draw((uint32_t)t.n_frames)];
	}
}

static void some_lie(void)
{
	uint64_t v = some_word();
	switch (draw(5)) {
	case 0:
		kt_put(&t, tstate(ROOT + 8 * draw(4)), v);
		break;
	case 1:
		kt_put(&t, t.chunks[draw((uint32_t)t.n_chunks)] + 8 * draw(3), v);
		break;
	case 2:
		kt_put(&t, kt_at(&t, KT_FRAMES) + 8 * draw(200), v);
		break;
	default:
		kt_put(&t, t.frames[draw((uint32_t)t.n_frames)] + 8 * draw(9), v);
	}
}

static void test_anything(void **state)
{
	size_t n = 0;
	uint32_t cuts = 0;
	seed = 1;
	if (!begin())
		skip();
	close(t.clock_fd);
	t.clock_fd = kernel_clock_open(k, t.pid, 100000, NULL);
	assert_true(t.clock_fd >= 0);
	struct spent before = spent();
	for (int round = 0; round < 40; round++) {
		uint64_t end = clock_mono_ns() + 20000000;
		build();
		kt_tell(&t);
		kt_begin(&t, KT_SPIN);
		while (clock_mono_ns() < end)
			some_lie();
		kt_drain(&t);
		check_forms();
		kt_run(&t, KT_WAIT, 0);
	}
	struct spent after = spent();
	build();
	kt_tell(&t);
	kt_run(&t, KT_SPIN, 20);
	for (size_t i = 0; i < t.records.n; i++, n++)
		cuts |= t.records.v[i].m->head.kind == KERNEL_SAMPLE ? t.records.v[i].m->cut : 0;
	assert_true(n > 0 && cuts == 0); /* when nobody lies any more all is well */
	if (stats >= 0 && after.calls > before.calls)
		assert_true((after.ns - before.ns) / (after.calls - before.calls) < 500000);
	kt_close(&t);
}

static int set_up(void **state)
{
	union bpf_attr a = {.enable_stats.type = BPF_STATS_RUN_TIME};
	k = kt_engine_complete(1000);
	stats = k ? (int)syscall(SYS_bpf, BPF_ENABLE_STATS, &a, sizeof a) : -1;
	return 0;
}

static int tear_down(void **state)
{
	if (stats >= 0)
		close(stats);
	kernel_close(k);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_frames_that_are_not_there),
	    cmocka_unit_test(test_chunks_that_are_not_there),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_chunk_of_a_megabyte),
	    cmocka_unit_test(test_circles),
	    cmocka_unit_test(test_circles_of_chunks),
	    cmocka_unit_test(test_cframes),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_thread_states),
	    cmocka_unit_test(test_pages_that_go),
	    cmocka_unit_test(test_anything),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

#include "tests/unit/support_kernel_target.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "tests/unit/support_test.h"

enum { NATIVE_ID = 8, ROOT = 24, CHUNK = 40, TOP = 48, PREVIOUS = 16, OWNER = 70, CFRAME_FRAME = 16, HEADER = 24 };
enum { PAGE = 4096, WAIT_MS = 5000 };

/* --- what the process does */

static uint64_t own_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void touch(const unsigned char *memory)
{
	for (size_t at = 0; at < KT_MEMORY; at += PAGE)
		(void)*(const volatile unsigned char *)(memory + at);
}

static void spin(struct kt_control *c)
{
	for (int i = 0; i < 2000; i++)
		asm volatile("");
	atomic_fetch_add_explicit(&c->work, 1, memory_order_relaxed);
}

static void sleep_once(struct kt_control *c)
{
	uint64_t before = own_ns(CLOCK_MONOTONIC);
	struct timespec gap = {.tv_sec = (time_t)(c->sleep_ns / CLOCK_NS_PER_S),
	                       .tv_nsec = (long)(c->sleep_ns % CLOCK_NS_PER_S)};
	nanosleep(&gap, NULL);
	c->slept_ns += own_ns(CLOCK_MONOTONIC) - before;
}

static void move(unsigned char *memory)
{
	static unsigned char *elsewhere;
	if (!elsewhere)
		elsewhere = mmap(NULL, KT_MEMORY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mremap(memory, KT_MEMORY, KT_MEMORY, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == MAP_FAILED ||
	    mremap(elsewhere, KT_MEMORY, KT_MEMORY, MREMAP_MAYMOVE | MREMAP_FIXED, memory) == MAP_FAILED)
		_exit(3);
}

/* Without its memory for a while, and with it. */
static void come_back(struct kt_control *c, unsigned char *memory)
{
	for (int i = 0; i < 500; i++)
		spin(c);
	touch(memory);
	for (int i = 0; i < 1000; i++)
		spin(c);
}

static void spin_for(struct kt_control *c, uint64_t cpu_ns)
{
	for (uint64_t end = own_ns(CLOCK_THREAD_CPUTIME_ID) + cpu_ns; own_ns(CLOCK_THREAD_CPUTIME_ID) < end;)
		spin(c);
}

static void *spin_as_thread(void *arg)
{
	struct kt_control *c = arg;
	c->thread = (unsigned)syscall(SYS_gettid);
	spin_for(c, 10000000);
	return NULL;
}

static void start_threads(struct kt_control *c, unsigned n)
{
	pthread_t threads[4];
	for (unsigned i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, spin_as_thread, c))
			_exit(4);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static int sleep_as_process(void *arg)
{
	const struct kt_control *c = arg;
	struct timespec gap = {.tv_nsec = (long)c->sleep_ns};
	nanosleep(&gap, NULL);
	return 0;
}

static void wait_for_process(struct kt_control *c)
{
	static char stack[1 << 16] __attribute__((aligned(64)));
	pid_t pid = clone(sleep_as_process, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, c);
	waitpid(pid, NULL, 0);
}

static void turn(struct kt_control *c, unsigned char *memory, unsigned order)
{
	static unsigned turns;
	switch (order) {
	case KT_SPIN:
	case KT_LACK:
		spin(c);
		return;
	case KT_YIELD:
		spin(c);
		if (++turns % 64 == 0)
			sched_yield();
		return;
	case KT_SLEEP:
		sleep_once(c);
		break;
	case KT_DROP:
		madvise(memory, KT_MEMORY, MADV_DONTNEED);
		come_back(c, memory);
		break;
	case KT_MOVE:
		move(memory);
		come_back(c, memory);
		break;
	case KT_THREADS:
		start_threads(c, 1);
		break;
	case KT_CROWD:
		start_threads(c, 4);
		break;
	case KT_VFORK:
		wait_for_process(c);
		break;
	default:
		syscall(SYS_futex, &c->order, FUTEX_WAIT, order, NULL, NULL, 0);
		return;
	}
	atomic_fetch_add(&c->rounds, 1);
}

static _Noreturn void obey(struct kt_control *c, unsigned char *memory)
{
	unsigned serial = 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	touch(memory);
	for (;;) {
		unsigned now = c->serial, order = c->order; /* in this order */
		if (serial != now) {
			if (order != KT_WAIT)
				touch(memory);
			if (order == KT_LACK)
				madvise((void *)(uintptr_t)c->lacking, PAGE, MADV_DONTNEED);
			c->cpu_ns = own_ns(CLOCK_THREAD_CPUTIME_ID);
			c->seen = serial = now;
		}
		turn(c, memory, order);
	}
}

/* --- the test's side */

static void order(struct kernel_target *t, enum kt_order what)
{
	struct kt_control *c = t->control;
	c->order = what;
	unsigned serial = ++c->serial;
	uint64_t end = clock_mono_ns() + WAIT_MS * UINT64_C(1000000);
	do { /* it may be about to wait for the order before */
		syscall(SYS_futex, &c->order, FUTEX_WAKE, 1, NULL, NULL, 0);
		usleep(100);
		if (clock_mono_ns() > end)
			fail_msg("the process does not answer");
	} while (c->seen != serial);
}

static void forget(struct kernel_target *t)
{
	for (size_t i = 0; i < t->records.n; i++) {
		free(t->records.v[i].m);
		free(t->records.v[i].frames);
	}
	t->records.n = 0;
}

/* Its second piece is a list: what was left out is put in. */
static void complete(struct kernel_target *t, struct kt_sample *s)
{
	const struct kernel_piece *tstate = (const void *)(s->m + 1), *list;
	const struct kernel_frame *frames;
	assert_int_equal(tstate->len, t->rules.n_tstate_words * sizeof(uint64_t));
	for (uint32_t i = 0; i < t->rules.n_tstate_words; i++) {
		uint32_t at = t->rules.tstate_words[i];
		if (at != ROOT && at != CHUNK && at != TOP) /* it goes on */
			assert_int_equal(((const uint64_t *)(tstate + 1))[i], kt_get(t, tstate->at + at));
	}
	list = (const void *)((const unsigned char *)(tstate + 1) + tstate->len);
	assert_int_equal(list->kind, KERNEL_PIECE_FRAMES);
	assert_int_equal(s->m->n_bytes, 2 * sizeof *list + tstate->len + list->len);
	s->n_sent = list->len / sizeof *frames;
	assert_int_equal(kernel_frames(t->k, s->m, (const void *)(list + 1), s->n_sent, &frames, &s->n_frames), 0);
	s->frames = malloc(s->n_frames * sizeof *frames + 1);
	assert_non_null(s->frames);
	if (s->n_frames)
		memcpy(s->frames, frames, s->n_frames * sizeof *frames);
}

static int keep(void *ctx, const struct kernel_record *r, size_t n)
{
	struct kernel_target *t = ctx;
	if (r->tgid != (uint32_t)t->pid)
		return 0;
	assert_true(vec_push(&t->records, ((struct kt_sample){.m = malloc(n), .n = n})));
	struct kernel_sample *copy = t->records.v[t->records.n - 1].m;
	assert_non_null(copy);
	memcpy(copy, r, n);
	if (r->kind == KERNEL_SAMPLE && t->rules.frames_are_listed && t->binding.n == 1)
		complete(t, &t->records.v[t->records.n - 1]);
	return 0;
}

void kt_drain(struct kernel_target *t)
{
	assert_int_equal(kernel_drain(t->k, keep, t), 0);
}

void kt_begin(struct kernel_target *t, enum kt_order what)
{
	kt_drain(t);
	order(t, what);
	kt_drain(t);
	forget(t);
}

static uint64_t cpu_ns_of(const struct kernel_target *t)
{
	clockid_t clock;
	return clock_getcpuclockid(t->pid, &clock) ? 0 : own_ns(clock);
}

void kt_run(struct kernel_target *t, enum kt_order what, unsigned ms)
{
	bool by_cpu = what == KT_SPIN || what == KT_YIELD || what == KT_LACK;
	kt_begin(t, what);
	uint64_t now = clock_mono_ns(), end = now + WAIT_MS * UINT64_C(1000000);
	uint64_t until = (by_cpu ? cpu_ns_of(t) : now) + ms * UINT64_C(1000000);
	while ((now = clock_mono_ns()) < end && (by_cpu ? cpu_ns_of(t) : now) < until) {
		usleep(5000);
		kt_drain(t);
	}
	if (now >= end)
		fail_msg("the process gets no CPU time");
	order(t, KT_WAIT);
	kt_drain(t);
}

size_t kt_count(const struct kernel_target *t, uint32_t kind, uint32_t trigger)
{
	size_t n = 0;
	for (size_t i = 0; i < t->records.n; i++) {
		const struct kernel_record *r = &t->records.v[i].m->head;
		n += r->kind == kind && (!trigger || r->trigger == trigger);
	}
	return n;
}

struct kernel *kt_engine(const struct kernel_options *o)
{
	char why[512];
	struct kernel *k;
	int rc = kernel_open(&k, o, why, sizeof why);
	if (rc == 0)
		return k;
	if (rc != ERR_PERMISSION && rc != ERR_UNSUPPORTED)
		fail_msg("%s", why);
	print_message("skipped: %s\n", why);
	return NULL;
}

struct kernel *kt_engine_complete(double rate_hz)
{
	struct kernel *k = kt_engine(&(struct kernel_options){.rate_hz = rate_hz, .n_threads = 4});
	if (k)
		kernel_complete(k, true);
	return k;
}

struct kernel *kt_engine_without_loop(double rate_hz)
{
	struct kernel *k =
	    kt_engine(&(struct kernel_options){.rate_hz = rate_hz, .n_threads = 4, .without_loop = true});
	if (k)
		kernel_complete(k, true);
	return k;
}

bool kt_has_loop(void)
{
	struct utsname u;
	unsigned major = 0, minor = 0;
	assert_int_equal(uname(&u), 0);
	assert_int_equal(sscanf(u.release, "%u.%u", &major, &minor), 2);
	return major > 5 || (major == 5 && minor >= 17);
}

void kt_tell(struct kernel_target *t)
{
	assert_int_equal(kernel_watch(t->k, t->pid, &t->rules, true, 1), 0);
	assert_int_equal(kernel_bind(t->k, t->pid, &t->binding), 0);
}

void kt_clock(struct kernel_target *t)
{
	t->clock_fd = kernel_clock_open(t->k, t->pid, 0, NULL);
	assert_true(t->clock_fd >= 0);
}

static void *shared(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	return p;
}

void kt_open(struct kernel_target *t, struct kernel *k)
{
	memset(t, 0, sizeof *t);
	t->k = k;
	t->clock_fd = -1;
	t->memory = shared(KT_MEMORY);
	t->control = shared(sizeof *t->control);
	fflush(NULL);
	t->pid = fork();
	if (t->pid == 0)
		obey(t->control, t->memory);
	assert_true(t->pid > 0);
	t->rules = (struct kernel_process){.tstate_words = {0, NATIVE_ID, ROOT, CHUNK, TOP, 96, KT_TSTATE_SIZE - 8},
	                                   .n_tstate_words = 7,
	                                   .tstate_size = KT_TSTATE_SIZE,
	                                   .frame_root = ROOT,
	                                   .datastack_chunk = CHUNK,
	                                   .datastack_top = TOP,
	                                   .native_thread_id = NATIVE_ID,
	                                   .state_word = 64,
	                                   .state_mask = 1,
	                                   .cframe_size = KT_CFRAME_SIZE,
	                                   .cframe_current_frame = CFRAME_FRAME,
	                                   .cframe_previous = 8,
	                                   .frame_size = KT_FRAME_SIZE,
	                                   .frame_previous = PREVIOUS,
	                                   .frames_max = KT_OUTSIDE_MAX,
	                                   .frame_owner = OWNER,
	                                   .gil_last_holder = 32,
	                                   .interp_gc = 100,
	                                   .interp_generation = 104};
	t->binding = (struct kernel_binding){.n = 1, .ns_tid = (uint64_t)t->pid};
	t->binding.states[0].tstate = kt_at(t, KT_TSTATE);
	t->binding.states[0].interp = kt_at(t, KT_INTERP);
	t->binding.states[0].gil = kt_at(t, KT_GIL);
	kt_clear(t);
	order(t, KT_WAIT); /* it has touched its memory: what cannot be read is let go of */
	kt_tell(t);
}

void kt_close(struct kernel_target *t)
{
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
	if (t->clock_fd >= 0)
		close(t->clock_fd);
	kernel_unbind(t->k, t->pid);
	kernel_leave(t->k, t->pid);
	munmap(t->memory, KT_MEMORY);
	munmap(t->control, sizeof *t->control);
	forget(t);
	vec_free(&t->records);
}

/* --- memory */

uint64_t kt_at(const struct kernel_target *t, size_t place)
{
	return (uint64_t)(uintptr_t)t->memory + place;
}

void kt_put(struct kernel_target *t, uint64_t at, uint64_t v)
{
	memcpy(t->memory + (at - kt_at(t, 0)), &v, sizeof v);
}

void kt_put_u32(struct kernel_target *t, uint64_t at, uint32_t v)
{
	memcpy(t->memory + (at - kt_at(t, 0)), &v, sizeof v);
}

uint64_t kt_get(const struct kernel_target *t, uint64_t at)
{
	uint64_t v;
	memcpy(&v, t->memory + (at - kt_at(t, 0)), sizeof v);
	return v;
}

/* --- the stack */

void kt_clear(struct kernel_target *t)
{
	memset(t->memory, 0, KT_MEMORY);
	t->n_frames = t->n_chunks = 0;
	t->top = t->end = 0;
	t->next_chunk = kt_at(t, KT_CHUNKS);
	t->next_frame = kt_at(t, KT_FRAMES);
	for (size_t i = 0; i < KT_TSTATE_SIZE; i += 8) /* words that are nobody's, so that a copy of them shows */
		kt_put(t, kt_at(t, KT_TSTATE) + i, 0x5500000000000000 + i);
	kt_put(t, kt_at(t, KT_TSTATE) + NATIVE_ID, (uint64_t)t->pid);
	kt_put(t, kt_at(t, KT_TSTATE) + CHUNK, 0);
	kt_put(t, kt_at(t, KT_TSTATE) + TOP, 0);
	kt_set_root(t, 0);
}

void kt_set_root(struct kernel_target *t, uint64_t frame)
{
	uint64_t cframe = kt_at(t, KT_CFRAMES);
	if (t->rules.root_is_cframe) {
		kt_put(t, kt_at(t, KT_TSTATE) + ROOT, cframe);
		kt_put(t, cframe + CFRAME_FRAME, frame);
	} else {
		kt_put(t, kt_at(t, KT_TSTATE) + ROOT, frame);
	}
}

static void set_top(struct kernel_target *t)
{
	kt_put(t, kt_at(t, KT_TSTATE) + CHUNK, t->chunks[t->n_chunks - 1]);
	kt_put(t, kt_at(t, KT_TSTATE) + TOP, t->top);
}

void kt_chunk(struct kernel_target *t, size_t size)
{
	uint64_t at = t->next_chunk, before = t->n_chunks ? t->chunks[t->n_chunks - 1] : 0;
	assert_true(at + size <= kt_at(t, KT_MEMORY) && t->n_chunks < N_OF(t->chunks));
	if (before)
		kt_put(t, before + 16, (t->top - before - HEADER) / 8);
	kt_put(t, at, before);
	kt_put(t, at + 8, size);
	t->chunks[t->n_chunks++] = at;
	t->top = at + HEADER;
	t->end = at + size;
	t->next_chunk += (size + PAGE - 1) / PAGE * PAGE + PAGE;
	set_top(t);
}

void kt_put_frame(struct kernel_target *t, uint64_t at, enum kt_owner owner)
{
	static uint64_t serial;
	uint64_t caller = t->n_frames ? t->frames[t->n_frames - 1] : 0;
	assert_true(t->n_frames < KT_FRAMES_MAX);
	for (size_t i = 0; i < KT_FRAME_SIZE; i += 8)
		kt_put(t, at + i, ++serial);
	kt_put(t, at + PREVIOUS, caller);
	t->memory[at - kt_at(t, 0) + OWNER] = (unsigned char)owner;
	t->frames[t->n_frames++] = at;
	kt_set_root(t, at);
}

void kt_push(struct kernel_target *t, size_t bytes, unsigned n)
{
	while (n--) {
		if (t->top + bytes > t->end)
			kt_chunk(t, 16384);
		uint64_t at = t->top;
		t->top += bytes;
		set_top(t);
		kt_put_frame(t, at, KT_THREAD);
	}
}

void kt_push_outside(struct kernel_target *t, enum kt_owner owner)
{
	uint64_t at = t->next_frame;
	t->next_frame += 160;
	assert_true(t->next_frame < kt_at(t, KT_CHUNKS));
	kt_put_frame(t, at, owner);
}

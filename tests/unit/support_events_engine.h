/* support_events_engine: an engine that takes no samples and writes down what it is told. Included by one file of a
 * test program: its functions take the place of kernel/engine's there.
 */
#pragma once
#include <unistd.h>

#include "pyspy-record/kernel/engine.h"
#include "pyspy-record/kernel/lists.h"
#include "tests/unit/support_test.h"

enum { ENGINE_BINDINGS = 256, ENGINE_CLOCKS = 256, ENGINE_SLOTS = 8 };

struct kernel {
	double rate_hz, stretch; /* stretch 0: 1 */
	enum kernel_clock clock;
	bool inherits, lacks_clocks; /* lacks: so far */
	int clocks_error;            /* not 0: there are no clocks to be had */
	int watch_error;             /* not 0: kernel_watch fails */
	bool is_watched, own_clock;
	unsigned clock_times; /* as watched last */
	struct kernel_process rules;
	unsigned n_watches, n_binds; /* calls */
	struct {
		pid_t tid; /* 0: not used, or unbound */
		struct kernel_binding binding;
	} bound[ENGINE_BINDINGS];
	struct {
		pid_t tid;
		int fd;
		uint64_t period_ns;
		bool inherits;
		unsigned times, varied; /* the period, by the last call; calls */
	} clocks[ENGINE_CLOCKS];
	unsigned n_clocks;
};

enum kernel_clock kernel_clock(const struct kernel *k)
{
	return k->clock;
}

bool kernel_has_clocks(const struct kernel *k)
{
	return !k->lacks_clocks;
}

double kernel_stretch(const struct kernel *k)
{
	return k->stretch > 0 ? k->stretch : 1;
}

uint32_t kernel_tick_hz(const struct kernel *k)
{
	(void)k;
	return 250;
}

uint64_t kernel_clock_ns(const struct kernel *k, unsigned times)
{
	return kernel_period_ns(k) * times / 4;
}

uint64_t kernel_period_ns(const struct kernel *k)
{
	return (uint64_t)(1e9 / k->rate_hz * kernel_stretch(k));
}

void kernel_slow(struct kernel *k, double stretch)
{
	k->stretch = stretch;
}

int kernel_watch(struct kernel *k, pid_t tgid, const struct kernel_process *p, bool own_clock, unsigned clock_times)
{
	(void)tgid;
	k->n_watches++;
	if (k->watch_error)
		return k->watch_error;
	k->is_watched = true;
	k->rules = *p;
	k->own_clock = own_clock;
	k->clock_times = clock_times;
	return 0;
}

void kernel_leave(struct kernel *k, pid_t tgid)
{
	(void)tgid;
	k->is_watched = false;
}

static size_t support_engine_find(const struct kernel *k, pid_t tid)
{
	size_t i = 0;
	while (i < ENGINE_BINDINGS && k->bound[i].tid != tid)
		i++;
	return i;
}

/* What this thread is bound to; NULL = nothing. */
static inline const struct kernel_binding *support_engine_binding(const struct kernel *k, pid_t tid)
{
	size_t i = support_engine_find(k, tid);
	return i < ENGINE_BINDINGS ? &k->bound[i].binding : NULL;
}

int kernel_bind(struct kernel *k, pid_t tid, const struct kernel_binding *b)
{
	size_t i = support_engine_find(k, tid);
	if (i == ENGINE_BINDINGS)
		i = support_engine_find(k, 0);
	assert_true(i < ENGINE_BINDINGS);
	k->n_binds++;
	k->bound[i].tid = tid;
	k->bound[i].binding = *b;
	return 0;
}

void kernel_unbind(struct kernel *k, pid_t tid)
{
	size_t i = support_engine_find(k, tid);
	if (i < ENGINE_BINDINGS)
		k->bound[i].tid = 0;
}

int kernel_frames(struct kernel *k, const struct kernel_sample *m, const struct kernel_frame *sent, size_t n_sent,
                  const struct kernel_frame **frames, size_t *n)
{
	static struct kernel_lists lists;
	(void)k;
	if (!lists.v)
		assert_int_equal(lists_init(&lists, ENGINE_SLOTS), 0);
	return lists_take(&lists, m, sent, n_sent, frames, n);
}

int kernel_clock_open(struct kernel *k, pid_t tid, uint64_t period_ns, bool *inherits)
{
	if (k->clocks_error)
		return k->clocks_error;
	assert_true(k->n_clocks < ENGINE_CLOCKS);
	int fd = dup(0);
	assert_true(fd >= 0);
	k->clocks[k->n_clocks].tid = tid;
	k->clocks[k->n_clocks].fd = fd;
	k->clocks[k->n_clocks].period_ns = period_ns;
	k->clocks[k->n_clocks++].inherits = inherits != NULL;
	if (inherits)
		*inherits = k->inherits;
	return fd;
}

/* The clock opened last for this descriptor. */
static size_t support_engine_clock(const struct kernel *k, int fd)
{
	for (size_t i = k->n_clocks; i-- > 0;)
		if (k->clocks[i].fd == fd)
			return i;
	fail_msg("no clock has descriptor %d", fd);
	return 0;
}

void kernel_clock_vary(struct kernel *k, int fd, unsigned times, uint64_t draw)
{
	(void)draw;
	k->clocks[support_engine_clock(k, fd)].varied++;
	k->clocks[support_engine_clock(k, fd)].times = times;
}

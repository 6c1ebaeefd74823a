#include "pyspy-report/exchange/austin.h"

#include <string.h>

#include "libcommon/err.h"

enum { AUSTIN_GAP_NS = 100000 }; /* its default interval, 100 us */

void austin_done(struct austin *a)
{
	vec_free(&a->clocks);
}

static bool is(const char *p, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(p, word, n) == 0;
}

int austin_metadata(struct austin *a, const char *key, size_t n_key, const char *value, size_t n_value)
{
	uint64_t us;

	if (a->mode != AUSTIN_MEMORY && is(key, n_key, "interval") && import_number(value, n_value, &us) && us &&
	    us < 1000000000)
		a->f->facts.gap_ns = us * 1000;
	if (is(key, n_key, "mode"))
		a->mode = is(value, n_value, "memory") ? AUSTIN_MEMORY
		          : is(value, n_value, "cpu")  ? AUSTIN_CPU
		          : is(value, n_value, "full") ? AUSTIN_FULL
		                                       : AUSTIN_WALL;
	if (a->mode == AUSTIN_MEMORY) {
		a->f->facts.unit = "bytes of memory: a nanosecond stands for a byte";
		a->f->facts.gap_ns = 1; /* so that folded stacks are in bytes */
	}
	buf_reset(&a->f->text);
	buf_str(&a->f->text, "austin.");
	buf_put(&a->f->text, key, n_key);
	TRY(a->f->text.err);
	return foreign_note(a->f, (const char *)a->f->text.data, a->f->text.len, value, n_value);
}

static bool number_of(const char *p, size_t n, int base, uint64_t *value)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		char c = p[i] | 32;
		uint64_t d = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
		             : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a') + 10
		                                    : 99;

		if (d >= (uint64_t)base || v >> 56)
			return false;
		v = v * (uint64_t)base + d;
	}
	*value = v;
	return n > 0;
}

int austin_thread(struct austin *a, int64_t pid, int64_t interpreter, const char *tid, size_t n, int base,
                  uint32_t *thread)
{
	uint32_t process, number = pid >= 0 && pid <= UINT32_MAX ? (uint32_t)pid : 0,
	                  of = interpreter >= 0 && interpreter <= UINT32_MAX ? (uint32_t)interpreter : 0;
	uint64_t value;

	TRY(foreign_process(a->f, number, "", 0, &process));
	if (!number_of(tid, n, base, &value))
		return foreign_thread(a->f, process, 0, 0, of, tid, n, thread);
	if (value <= UINT32_MAX)
		return foreign_thread(a->f, process, (uint32_t)value, 0, of, "", 0, thread);
	return foreign_thread(a->f, process, 0, value, of, "", 0, thread);
}

int austin_put(struct austin *a, const struct austin_sample *s)
{
	uint64_t weight = 0, limit = FOREIGN_MAX_NS / 1000;
	int64_t metric = a->mode == AUSTIN_MEMORY ? s->memory_bytes : s->time_us;
	uint32_t flags = s->flags | (s->is_gc ? WIRE_FLAG_GC : 0);

	a->n_samples++;
	if (a->mode == AUSTIN_MEMORY ? !s->has_memory : !s->has_time)
		a->n_without_time++;
	if (metric < 0) { /* memory was given back */
		a->n_decreases++;
		metric = 0;
	}
	weight = (uint64_t)metric;
	if (a->mode != AUSTIN_MEMORY)
		weight = (weight < limit ? weight : limit) * 1000;
	if (s->knows_idle || a->mode == AUSTIN_CPU)
		flags |= s->is_idle ? WIRE_STATE_SLEEPING : WIRE_STATE_ACTIVE;
	while (a->clocks.n <= s->thread)
		if (!vec_push(&a->clocks, ((struct austin_clock){0})))
			return ERR_NO_MEMORY;
	uint64_t *at = &a->clocks.v[s->thread].at_ns, begin = *at;
	*at = weight < FOREIGN_MAX_NS - begin ? begin + weight : FOREIGN_MAX_NS;
	return foreign_event(a->f, s->thread, s->stack, flags, begin, weight);
}

void austin_finish(struct austin *a, const struct import_options *o)
{
	struct foreign *f = a->f;

	if (!f->facts.gap_ns) {
		f->facts.gap_ns = o->gap_ns ? o->gap_ns : AUSTIN_GAP_NS;
		foreign_without(f, "the interval (austin's default was taken)");
	}
	foreign_without(f, "the time of day");
	foreign_without(f, "when threads began (each begins at 0)");
	if (a->mode == AUSTIN_WALL)
		foreign_without(f, "states of threads");
	if (a->mode == AUSTIN_FULL)
		foreign_without(f, "room for memory beside time (it was left out)");
	if (a->n_decreases)
		foreign_without(f, "room for memory given back (left out)");
	if (a->n_without_time)
		foreign_problem(f, false, 0, "%llu samples without a metric; they weigh nothing",
		                (unsigned long long)a->n_without_time);
}

#include <math.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/speedscope_parts.h"

/* A profile of speedscope, once all of it is known: whose it is, and what its samples weigh. */

static uint64_t as_ns(const struct speed *x, double v)
{
	double ns = v * (x->unit_ns > 0 ? x->unit_ns : 1);

	return ns >= (double)FOREIGN_MAX_NS ? FOREIGN_MAX_NS : ns > 0 ? (uint64_t)(ns + 0.5) : 0;
}

/* `Process 12 Thread 34 "name"` (py-spy), `... (pid 12) name (tid 34)` (ours), or a name. */
static int take_who(struct speed *x, uint32_t *process)
{
	const char *p = buf_cstr(&x->name), *at = strstr(p, "Thread "), *quote, *end;
	size_t n = x->name.len;
	unsigned long long pid = 0, tid = 0;
	char rest;

	if (sscanf(p, "Process %llu Thread %llu %c", &pid, &tid, &rest) >= 2 ||
	    (at == p && sscanf(p, "Thread %llu", &tid) == 1)) {
		quote = memchr(p, '"', n);
		end = n ? p + n - 1 : p;
		if (!quote || end <= quote || *end != '"')
			quote = end = NULL;
		TRY(foreign_process(x->f, pid <= UINT32_MAX ? (uint32_t)pid : 0, "", 0, process));
		return foreign_thread(x->f, *process, tid <= UINT32_MAX ? (uint32_t)tid : 0, tid > UINT32_MAX ? tid : 0,
		                      0, quote ? quote + 1 : "", quote ? (size_t)(end - quote - 1) : 0, &x->thread);
	}
	at = memmem(p, n, " (pid ", 6);
	end = at ? memmem(at, n - (size_t)(at - p), " (tid ", 6) : NULL;
	if (at && sscanf(at, " (pid %llu)", &pid) == 1 && end && sscanf(end, " (tid %llu)", &tid) == 1 &&
	    pid <= UINT32_MAX && tid <= UINT32_MAX) {
		const char *name = memchr(at + 2, ')', (size_t)(end - at - 2));

		TRY(foreign_process(x->f, (uint32_t)pid, p, (size_t)(at - p), process));
		name = name && name + 2 <= end ? name + 2 : end;
		return foreign_thread(x->f, *process, (uint32_t)tid, 0, 0, name, (size_t)(end - name), &x->thread);
	}
	TRY(foreign_process(x->f, 0, "", 0, process));
	buf_reset(&x->f->text);
	buf_put(&x->f->text, p, n);
	if (!n)
		buf_printf(&x->f->text, "profile %u", x->n_profiles);
	TRY(x->f->text.err);
	return foreign_thread(x->f, *process, 0, x->n_profiles, 0, (const char *)x->f->text.data, x->f->text.len,
	                      &x->thread);
}

/* The thread of a sample, where its frames tell another one than the profile's name. */
static int thread_of(struct speed *x, const struct speed_sample *s, uint32_t process, uint32_t *thread)
{
	bool taken;
	size_t n;

	*thread = x->thread;
	if (s->process_label) {
		const char *p = intern_bytes(&x->labels, x->frames.v[s->process_label - 1].name, &n);
		TRY(import_process_label(x->f, p, n, &process, &taken));
	}
	if (!s->thread_label)
		return 0;
	const char *p = intern_bytes(&x->labels, x->frames.v[s->thread_label - 1].name, &n);
	return import_thread_label(x->f, process, p, n, thread, &taken);
}

static int put(struct speed *x, uint32_t thread, stack_id stack, uint32_t flags, double at, double weight)
{
	x->n_samples++;
	if (x->unit_ns == 0) {
		uint64_t n = as_ns(x, weight);

		x->n_odd += weight < 0 || weight != floor(weight);
		return foreign_count(x->f, thread, stack, flags, n);
	}
	x->n_odd += weight < 0;
	if (!x->has_gap && weight > 0 && as_ns(x, weight)) {
		x->has_gap = true;
		if (!x->o->gap_ns && as_ns(x, weight) < UINT64_C(5000000000))
			x->f->facts.gap_ns = as_ns(x, weight);
	}
	if (x->is_bytes) {
		x->f->facts.unit = "bytes: a nanosecond stands for one";
		x->f->facts.gap_ns = 1;
	}
	return foreign_event(x->f, thread, stack, flags, as_ns(x, at), as_ns(x, weight));
}

static int put_sampled(struct speed *x, uint32_t process)
{
	uint64_t n = x->samples.n / sizeof(struct speed_sample), n_weights = x->weights.n / sizeof(double);
	double at = 0, weights[SPEEDSCOPE_PIECE];
	struct speed_sample samples[SPEEDSCOPE_PIECE];
	uint32_t thread = 0;

	if (x->is_broken) /* what has no weight yet is not whole */
		n = n < n_weights ? n : n_weights;
	else if (n_weights && n != n_weights)
		foreign_problem(x->f, false, intake_at(x->s), "profile %u has %llu samples and %llu weights",
		                x->n_profiles, (unsigned long long)n, (unsigned long long)n_weights);
	for (uint64_t i = 0; i < n; i += SPEEDSCOPE_PIECE) {
		size_t k = n - i < SPEEDSCOPE_PIECE ? (size_t)(n - i) : SPEEDSCOPE_PIECE,
		       w = i >= n_weights      ? 0
		           : n_weights - i < k ? (size_t)(n_weights - i)
		                               : k;

		TRY(spool_read(&x->samples, i * sizeof *samples, samples, k * sizeof *samples));
		TRY(spool_read(&x->weights, i * sizeof *weights, weights, w * sizeof *weights));
		for (size_t m = 0; m < k; m++) {
			double weight = m < w ? weights[m] : n_weights ? 0 : 1;

			TRY(thread_of(x, &samples[m], process, &thread));
			if (samples[m].stack || x->unit_ns == 0)
				TRY(put(x, thread, samples[m].stack, samples[m].flags, at, weight));
			at += weight > 0 ? weight : 0; /* an empty stack is a gap */
		}
	}
	return 0;
}

/* A stack from one event to the next. */
static int put_evented(struct speed *x)
{
	uint64_t n = x->events.n / sizeof(struct speed_event);
	double before = 0;
	bool began = false;

	x->path.n = 0;
	for (uint64_t i = 0; i < n; i++) {
		struct speed_event e;
		struct speed_sample s;

		TRY(spool_read(&x->events, i * sizeof e, &e, sizeof e));
		if (began && e.at > before && x->path.n) {
			TRY(speedscope_make_sample(x, &s));
			TRY(put(x, x->thread, s.stack, s.flags, before - x->begins, e.at - before));
		}
		if (!began)
			x->begins = e.at;
		x->n_odd += began && e.at < before;
		before = !began || e.at > before ? e.at : before;
		began = true;
		if (!e.closes) {
			if (x->path.n < SPEEDSCOPE_DEPTH_MAX && !vec_push(&x->path, e.frame))
				return ERR_NO_MEMORY;
		} else if (x->path.n && x->path.v[x->path.n - 1] == e.frame) {
			x->path.n--;
		} else { /* close what is open above it, if it is open at all */
			size_t k = x->path.n;

			x->n_unpaired++;
			while (k > 0 && x->path.v[k - 1] != e.frame && x->path.n - k < SPEEDSCOPE_PIECE)
				k--;
			x->path.n = k > 0 && x->path.v[k - 1] == e.frame ? k - 1 : x->path.n;
		}
	}
	return 0;
}

int speedscope_put_profile(struct speed *x)
{
	uint32_t process;

	TRY(take_who(x, &process));
	TRY(put_sampled(x, process));
	return put_evented(x);
}

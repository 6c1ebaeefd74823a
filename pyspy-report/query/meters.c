#include "pyspy-report/query/meters.h"

#include <string.h>

#include "libcommon/err.h"

void meters_init(struct meters *m)
{
	memset(m, 0, sizeof *m);
	m->width_ns = METERS_LEAST_NS;
}

void meters_done(struct meters *m)
{
	for (size_t i = 0; i < m->list.n; i++)
		vec_free(&m->list.v[i].bins);
	vec_free(&m->list);
}

static void meters_widen(struct meters *m)
{
	m->width_ns *= 2;
	m->n_bins = 0;
	for (size_t i = 0; i < m->list.n; i++) {
		struct meter *k = &m->list.v[i];
		uint64_t first = k->first / 2;
		size_t n = 0;

		for (size_t j = 0; j < k->bins.n; j++) {
			size_t to = (size_t)((k->first + j) / 2 - first);
			struct meters_bin b = k->bins.v[j];

			if (to >= n) {
				k->bins.v[to] = b;
				n = to + 1;
				continue;
			}
			k->bins.v[to].cpu_ns += b.cpu_ns;
			k->bins.v[to].gil_ns += b.gil_ns;
			k->bins.v[to].wait_ns += b.wait_ns;
		}
		k->first = first;
		k->bins.n = n;
		m->n_bins += n;
	}
}

/* Bins of the meter up to the one that `ns` is in; events may be older than all before: then in front, too. */
static int meters_reach(struct meters *m, struct meter *k, uint64_t ns)
{
	for (;;) {
		uint64_t bin = ns / m->width_ns, first = k->bins.n && k->first < bin ? k->first : bin,
		         last = k->bins.n && k->first + k->bins.n - 1 > bin ? k->first + k->bins.n - 1 : bin;
		uint64_t want = last - first + 1, more = want - k->bins.n;

		if (!more)
			return 0;
		if (want > METERS_BINS || m->n_bins + more > METERS_ALL) {
			if (m->width_ns > LANES_MAX_NS) /* one bin each, and too many processes */
				return 0;
			meters_widen(m);
			continue;
		}
		if (!vec_room(&k->bins, more))
			return ERR_NO_MEMORY;
		size_t shift = k->bins.n ? (size_t)(k->first - first) : 0;
		memmove(k->bins.v + shift, k->bins.v, k->bins.n * sizeof *k->bins.v);
		memset(k->bins.v, 0, shift * sizeof *k->bins.v);
		memset(k->bins.v + shift + k->bins.n, 0, (more - shift) * sizeof *k->bins.v);
		k->first = first;
		k->bins.n = (size_t)want;
		m->n_bins += (size_t)more;
		return 0;
	}
}

int meters_add(struct meters *m, const struct profile *p, const struct lane_stretch *s)
{
	uint32_t process = p->threads.v[s->thread].process, state = s->flags & WIRE_FLAG_STATE;
	bool runs = state == WIRE_STATE_ON_CPU || state == WIRE_STATE_ACTIVE, holds = s->flags & WIRE_FLAG_GIL,
	     waits = s->flags & WIRE_FLAG_GIL_WAIT;
	uint64_t at = s->begin_ns, end = at + s->length_ns;

	if (!s->length_ns || (!runs && !holds && !waits))
		return 0;
	m->has_gil |= holds || waits;
	while (m->list.n <= process)
		if (!vec_push(&m->list, ((struct meter){.recording = s->recording})))
			return ERR_NO_MEMORY;
	struct meter *k = &m->list.v[process];
	if (!k->bins.n)
		k->recording = s->recording;
	TRY(meters_reach(m, k, at));
	TRY(meters_reach(m, k, end - 1));
	while (at < end) {
		uint64_t bin = at / m->width_ns, until = (bin + 1) * m->width_ns < end ? (bin + 1) * m->width_ns : end,
		         ns = until - at;

		if (bin >= k->first && bin - k->first < k->bins.n) {
			struct meters_bin *b = &k->bins.v[bin - k->first];

			b->cpu_ns += runs ? ns : 0;
			b->gil_ns += holds ? ns : 0;
			b->wait_ns += waits ? ns : 0;
		}
		at = until;
	}
	return 0;
}

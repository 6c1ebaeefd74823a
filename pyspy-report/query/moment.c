#include "pyspy-report/query/moment.h"

#include <string.h>

#include "libcommon/err.h"

int moment_init(struct moment *m, const struct profile *p, const struct span_point *at)
{
	memset(m, 0, sizeof *m);
	if (!vec_room(&m->threads, p->threads.n) || !vec_room(&m->at_ns, p->recordings.n))
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < p->recordings.n; i++) {
		const struct profile_recording *r = &p->recordings.v[i];
		struct span_of of = {r->started_ns, r->end_ns, r->anchor_ns};

		m->at_ns.v[m->at_ns.n++] = span_point_at(at, &of);
	}
	m->threads.n = p->threads.n;
	memset(m->threads.v, 0, m->threads.n * sizeof *m->threads.v);
	return 0;
}

void moment_done(struct moment *m)
{
	vec_free(&m->threads);
	vec_free(&m->at_ns);
}

void moment_take(struct moment *m, const struct replay_sample *s)
{
	if (s->recording >= m->at_ns.n || s->thread >= m->threads.n)
		return; /* the file is another one by now */
	uint64_t at = m->at_ns.v[s->recording], distance = s->time_ns > at ? s->time_ns - at : at - s->time_ns;
	struct moment_thread *t = &m->threads.v[s->thread];
	bool is_earlier = t->is_seen && distance == t->distance_ns && s->time_ns < t->sample.time_ns;

	if (t->is_seen && distance >= t->distance_ns && !is_earlier)
		return;
	*t = (struct moment_thread){true, distance, *s};
}

bool moment_has(const struct moment *m, const struct profile *p, uint32_t thread)
{
	const struct profile_thread *t = &p->threads.v[thread];
	const struct moment_thread *k = &m->threads.v[thread];
	uint64_t at = m->at_ns.v[k->sample.recording];

	if (t->has_ended && t->end_ns < at)
		return false;
	return k->sample.time_ns <= at || !t->start_ns || t->start_ns <= at || t->start_ns - at <= MOMENT_START_NS;
}

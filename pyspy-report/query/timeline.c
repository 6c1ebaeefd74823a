#include "pyspy-report/query/timeline.h"

#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/query/filter.h"

enum {
	TIMELINE_RUN = 40, /* bytes that a run takes at most: four numbers of ten */
	TIMELINE_FIRST = 64,
	TIMELINE_CHUNK = 4096,
	TIMELINE_STATE_BITS = 2,
};
#define TIMELINE_LEAD_NS (UINT64_C(60) * 1000000000) /* a recording does not begin longer before its first block */

void timeline_init(struct timeline *t, const struct profile *p, bool by_state)
{
	memset(t, 0, sizeof *t);
	t->profile = p;
	t->by_state = by_state;
	map_init(&t->unknown, 0);
}

void timeline_done(struct timeline *t)
{
	for (size_t i = 0; i < t->tracks.n; i++) {
		free(t->tracks.v[i].bytes);
		vec_free(&t->tracks.v[i].chunks);
	}
	vec_free(&t->tracks);
	vec_free(&t->newest);
	vec_free(&t->used);
	map_done(&t->unknown);
	spool_done(&t->spool);
}

static enum timeline_state timeline_state(uint32_t flags)
{
	if (flags & WIRE_FLAG_GIL)
		return TIMELINE_GIL;
	if (flags & WIRE_FLAG_GIL_WAIT)
		return TIMELINE_GIL_WAIT;
	return filter_is_idle(flags) ? TIMELINE_IDLE : TIMELINE_BUSY;
}

/* The place of the number of the thread's newest track; NULL: no memory. */
static uint32_t *timeline_newest(struct timeline *t, uint32_t thread, uint32_t id)
{
	bool is_new;

	if (!thread)
		return map_put(&t->unknown, id, 0, &is_new);
	while (t->newest.n <= thread)
		if (!vec_push(&t->newest, 0))
			return NULL;
	return &t->newest.v[thread];
}

static struct timeline_track *timeline_track(struct timeline *t, const struct lane_stretch *s)
{
	uint32_t *newest = timeline_newest(t, s->thread, s->id);
	struct timeline_track *k = newest && *newest && *newest <= t->tracks.n ? &t->tracks.v[*newest - 1] : NULL;

	if (!newest)
		return NULL;
	if (k && k->recording == s->recording)
		return k;
	/* a thread's recordings are by one clock, because a thread is of one boot */
	if (k && s->thread && s->begin_ns >= k->end_ns) {
		k->recording = s->recording;
		return k;
	}
	if (!vec_room(&t->tracks, 1) || !t->tracks.v)
		return NULL;
	if (!vec_push(&t->tracks, ((struct timeline_track){.thread = s->thread,
	                                                   .id = s->id,
	                                                   .recording = s->recording,
	                                                   .begin_ns = s->begin_ns,
	                                                   .end_ns = s->begin_ns,
	                                                   .closed_ns = s->begin_ns})))
		return NULL;
	*newest = (uint32_t)t->tracks.n;
	return &t->tracks.v[t->tracks.n - 1];
}

static unsigned char *timeline_put(unsigned char *to, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*to++ = (unsigned char)(v | 0x80);
	*to++ = (unsigned char)v;
	return to;
}

/* Room for one more run in the track's bytes. */
static int timeline_room(struct timeline *t, struct timeline_track *k)
{
	struct timeline_chunk chunk = {0, k->length};

	if (k->cap - k->length >= TIMELINE_RUN)
		return 0;
	if (k->cap < TIMELINE_CHUNK) {
		uint32_t cap = k->cap ? 2 * k->cap : TIMELINE_FIRST;
		unsigned char *p = realloc(k->bytes, cap);

		if (!p)
			return ERR_NO_MEMORY;
		k->bytes = p;
		k->cap = cap;
		return 0;
	}
	TRY(spool_write(&t->spool, k->bytes, k->length, &chunk.at));
	k->length = 0;
	return vec_push(&k->chunks, chunk) ? 0 : ERR_NO_MEMORY;
}

/* The open run is over. */
static int timeline_close(struct timeline *t, struct timeline_track *k)
{
	const struct timeline_run *r = &k->open;
	unsigned char *to;

	if (!r->n)
		return 0;
	TRY(timeline_room(t, k));
	to = timeline_put(k->bytes + k->length, r->begin_ns - k->closed_ns);
	to = timeline_put(to, r->length_ns);
	to = timeline_put(to, r->n);
	to = timeline_put(to, (uint64_t)r->path << TIMELINE_STATE_BITS | r->state);
	k->length = (uint32_t)(to - k->bytes);
	k->closed_ns = r->begin_ns + r->length_ns;
	k->open.n = 0;
	return 0;
}

int timeline_add(struct timeline *t, const struct lane_stretch *s, uint32_t path)
{
	enum timeline_state state = t->by_state ? timeline_state(s->flags) : TIMELINE_BUSY;
	struct timeline_track *k = timeline_track(t, s);

	if (!k)
		return ERR_NO_MEMORY;
	t->n += s->n;
	t->timeless += s->length_ns ? 0 : s->n;
	k->n += s->n;
	k->busy_ns += s->length_ns;
	if (k->open.n && k->open.path == path && k->open.state == state && k->end_ns == s->begin_ns) {
		k->open.length_ns += s->length_ns;
		k->open.n += s->n;
	} else {
		TRY(timeline_close(t, k));
		while (t->used.n <= path)
			if (!vec_push(&t->used, false))
				return ERR_NO_MEMORY;
		t->used.v[path] = true;
		k->open = (struct timeline_run){s->begin_ns, s->length_ns, s->n, path, state};
	}
	k->end_ns = s->begin_ns + s->length_ns;
	return 0;
}

/* CLOCK_REALTIME minus the clock of the recording: the same for all of one boot. */
static int64_t timeline_offset(const struct profile *p, size_t recording)
{
	const struct profile_recording *r = &p->recordings.v[recording], *of = r;
	int64_t ns = 0;

	for (size_t i = 0; i < recording && of == r && r->boot_id; i++)
		if (p->recordings.v[i].boot_id == r->boot_id && p->recordings.v[i].host == r->host)
			of = &p->recordings.v[i];
	if (!of->has_file_header || __builtin_sub_overflow(of->file.realtime_ns, of->file.boottime_ns, &ns))
		ns = of->anchor_ns;
	if (ns > INT64_C(1) << 61 || ns < -(INT64_C(1) << 61)) /* so that no sum overflows */
		ns = 0;
	return ns;
}

/* Where what is shown of a recording begins, by its own clock. */
static uint64_t timeline_start(const struct profile_recording *r)
{
	uint64_t begin = r->begin_ns < LANES_MAX_NS ? r->begin_ns : LANES_MAX_NS;
	bool is_told = r->started_ns <= begin && begin - r->started_ns <= TIMELINE_LEAD_NS;

	if (r->shown_begin_ns > r->begin_ns) /* --time */
		return r->shown_begin_ns < LANES_MAX_NS ? r->shown_begin_ns : LANES_MAX_NS;
	return is_told ? r->started_ns : begin;
}

static int timeline_order(const void *a, const void *b, void *ctx)
{
	const struct timeline_track *x = a, *y = b;
	const struct profile *p = ctx;
	const struct profile_thread *s = &p->threads.v[x->thread], *t = &p->threads.v[y->thread];
	bool is_main = s->flags & WIRE_THREAD_MAIN, other = t->flags & WIRE_THREAD_MAIN;

	if (s->process != t->process)
		return s->process < t->process ? -1 : 1;
	if (is_main != other)
		return is_main ? -1 : 1;
	if (s->start_ns != t->start_ns)
		return s->start_ns < t->start_ns ? -1 : 1;
	if (s->tid != t->tid)
		return s->tid < t->tid ? -1 : 1;
	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	if (x->recording != y->recording)
		return x->recording < y->recording ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Tracks of one thread stand side by side. */
static void timeline_count_twins(struct timeline *t)
{
	struct timeline_track *v = t->tracks.v;

	for (size_t i = 1; i < t->tracks.n; i++) {
		if (!v[i].thread || v[i].thread != v[i - 1].thread)
			continue;
		v[i - 1].twin = v[i - 1].twin ? v[i - 1].twin : 1;
		v[i].twin = v[i - 1].twin + 1;
	}
}

int timeline_settle(struct timeline *t)
{
	const struct profile *p = t->profile;
	int64_t begin = INT64_MAX, end = INT64_MIN, at;

	for (size_t i = 0; i < p->recordings.n; i++) {
		const struct profile_recording *r = &p->recordings.v[i];
		int64_t offset = timeline_offset(p, i);

		if (!r->shown_end_ns)
			continue;
		at = (int64_t)timeline_start(r) + offset;
		begin = at < begin ? at : begin;
		at = (int64_t)(r->shown_end_ns < LANES_MAX_NS ? r->shown_end_ns : LANES_MAX_NS) + offset;
		end = at > end ? at : end;
	}
	for (size_t i = 0; i < t->tracks.n; i++) {
		struct timeline_track *k = &t->tracks.v[i];
		int64_t offset = timeline_offset(p, k->recording);

		TRY(timeline_close(t, k));
		k->offset_ns = (uint64_t)offset;
		begin = (int64_t)k->begin_ns + offset < begin ? (int64_t)k->begin_ns + offset : begin;
		end = (int64_t)k->end_ns + offset > end ? (int64_t)k->end_ns + offset : end;
	}
	if (end < begin)
		begin = end = 0;
	for (size_t i = 0; i < t->tracks.n; i++) {
		struct timeline_track *k = &t->tracks.v[i];

		k->offset_ns -= (uint64_t)begin;
		k->begin_ns += k->offset_ns;
		k->end_ns += k->offset_ns;
	}
	t->origin_ns = begin;
	t->end_ns = (uint64_t)end - (uint64_t)begin;
	if (t->tracks.n)
		qsort_r(t->tracks.v, t->tracks.n, sizeof *t->tracks.v, timeline_order, (void *)p);
	timeline_count_twins(t);
	return 0;
}

uint64_t timeline_clock(const struct timeline *t, uint32_t recording)
{
	return (uint64_t)timeline_offset(t->profile, recording) - (uint64_t)t->origin_ns;
}

size_t timeline_busiest(const struct timeline *t)
{
	size_t best = 0;

	for (size_t i = 1; i < t->tracks.n; i++) {
		const struct timeline_track *a = &t->tracks.v[i], *b = &t->tracks.v[best];

		if (a->busy_ns > b->busy_ns || (a->busy_ns == b->busy_ns && a->n > b->n))
			best = i;
	}
	return best;
}

int timeline_read(struct timeline_reader *r, struct timeline *t, size_t track)
{
	memset(r, 0, sizeof *r);
	r->timeline = t;
	r->track = &t->tracks.v[track];
	r->time_ns = r->track->begin_ns;
	r->bytes = malloc(TIMELINE_CHUNK);
	return r->bytes ? 0 : ERR_NO_MEMORY;
}

void timeline_read_done(struct timeline_reader *r)
{
	free(r->bytes);
	r->bytes = NULL;
}

static uint64_t timeline_get(struct timeline_reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; r->at < r->length && shift < 64; shift += 7) {
		unsigned char c = r->bytes[r->at++];

		v |= (uint64_t)(c & 0x7F) << shift;
		if (c < 0x80)
			break;
	}
	return v;
}

/* The next bytes: first those of the spool, then those in memory. 0 = there are none. */
static int timeline_more(struct timeline_reader *r)
{
	const struct timeline_track *k = r->track;

	r->at = r->length = 0;
	if (r->chunk < k->chunks.n) {
		const struct timeline_chunk *c = &k->chunks.v[r->chunk++];

		TRY(spool_read(&r->timeline->spool, c->at, r->bytes, c->length));
		r->length = c->length;
	} else if (r->chunk == k->chunks.n && k->length) {
		r->chunk++;
		memcpy(r->bytes, k->bytes, k->length);
		r->length = k->length;
	}
	return r->length != 0;
}

int timeline_next(struct timeline_reader *r, struct timeline_run *run)
{
	uint64_t word;

	if (r->at == r->length) {
		int rc = timeline_more(r);
		if (rc <= 0)
			return rc;
	}
	run->begin_ns = r->time_ns + timeline_get(r);
	run->length_ns = timeline_get(r);
	run->n = timeline_get(r);
	word = timeline_get(r);
	run->path = (uint32_t)(word >> TIMELINE_STATE_BITS);
	run->state = (enum timeline_state)(word & ((1 << TIMELINE_STATE_BITS) - 1));
	r->time_ns = run->begin_ns + run->length_ns;
	return 1;
}

int timeline_next_timed(struct timeline_reader *r, struct timeline_run *run)
{
	struct timeline_run next;
	int rc;

	*run = r->ahead;
	r->ahead.n = 0;
	while ((rc = timeline_next(r, &next)) > 0) {
		if (!next.length_ns)
			continue;
		if (!run->n) {
			*run = next;
		} else if (next.path == run->path && next.state == run->state &&
		           next.begin_ns == run->begin_ns + run->length_ns) {
			run->length_ns += next.length_ns;
			run->n += next.n;
		} else {
			r->ahead = next;
			return 1;
		}
	}
	return rc < 0 ? rc : run->n != 0;
}

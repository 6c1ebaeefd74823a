#include "pyspy-record/drain.h"

#include "libcommon/clock.h"
#include "libcommon/log.h"
#include "pyspy-record/seats.h"

enum {
	LEAST_GAP_NS = 5 * 1000 * 1000,
	MOST_GAP_NS = 100 * 1000 * 1000,
	COMPLETE_AFTER = 3,                  /* drains: with nobody on a CPU, see may_complete */
	EAGER_SAMPLES = 16,                  /* after the last news: as long as so many samples of a thread take, */
	EAGER_LEAST_NS = 10 * 1000 * 1000,   /* at least this */
	EAGER_MOST_NS = 100 * 1000 * 1000,   /* and at most this */
	EARLY_PART = 50,                     /* of the time goes into it at most, as CPU time, */
	EARLY_CREDIT_NS = 500 * 1000 * 1000, /* and this */
	SLOWEST_NS = 1000 * 1000 * 1000,     /* not even when our CPU time is bounded */
};

void drain_init(struct drain *d, struct kernel *k, struct seats *s, uint64_t mean_gap_ns, uint64_t now_ns)
{
	uint64_t eager_ns = mean_gap_ns < EAGER_MOST_NS ? EAGER_SAMPLES * mean_gap_ns : EAGER_MOST_NS;

	*d = (struct drain){.kernel = k,
	                    .seats = s,
	                    .gap_ns = LEAST_GAP_NS,
	                    .stretch = 1,
	                    .random = now_ns | 1,
	                    .begin_ns = now_ns,
	                    .eager_for_ns = eager_ns < EAGER_LEAST_NS  ? EAGER_LEAST_NS
	                                    : eager_ns < EAGER_MOST_NS ? eager_ns
	                                                               : EAGER_MOST_NS,
	                    .code_news_ns = now_ns};
	d->next_ns = now_ns + d->gap_ns;
}

static struct seat *find_seat(struct seats *s, uint32_t tgid)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].open && (uint32_t)s->v[i].target.facts.pid == tgid && events_is_on(&s->v[i].target.events))
			return &s->v[i];
	return NULL;
}

static int take_record(void *ctx, const struct kernel_record *r, size_t n)
{
	struct drain *d = ctx;
	struct seat *seat = find_seat(d->seats, r->tgid);
	return seat ? events_record(&seat->target, d->seats->w, r, n) : 0;
}

void drain_ring(struct drain *d)
{
	if (d->kernel)
		kernel_drain(d->kernel, take_record, d);
}

static uint64_t next_random(struct drain *d)
{
	d->random ^= d->random << 13;
	d->random ^= d->random >> 7;
	d->random ^= d->random << 17;
	return d->random;
}

static bool take_snapshot(struct drain *d)
{
	const struct kernel_task *tasks;
	int n = kernel_tasks(d->kernel, &tasks, &d->at_ns);
	uint64_t draw = next_random(d);
	for (int i = 0; i < n; i++) {
		struct seat *seat = tasks[i].tgid ? find_seat(d->seats, tasks[i].tgid) : NULL;
		if (seat)
			events_task(&seat->target, &tasks[i], draw);
	}
	return n >= 0;
}

static bool is_ours(const struct seat *seat)
{
	return seat->open && events_is_on(&seat->target.events);
}

static void mind_code_news(struct drain *d, uint64_t now)
{
	struct seats *s = d->seats;
	uint64_t news = 0;
	for (size_t i = 0; i < s->n; i++)
		news += is_ours(&s->v[i]) ? s->v[i].target.events.code_news : 0;
	if (news != d->code_news)
		d->code_news_ns = now;
	d->code_news = news;
	d->is_eager = now - d->code_news_ns < d->eager_for_ns && d->stretch <= 1 &&
	              d->early_ns < EARLY_CREDIT_NS + (now - d->begin_ns) / EARLY_PART;
	for (size_t i = 0; i < s->n; i++)
		if (is_ours(&s->v[i]))
			events_eager(&s->v[i].target, d->is_eager);
}

/* Only the samples. */
static void take_early(struct drain *d)
{
	struct seats *s = d->seats;
	uint64_t begin = clock_process_cpu_ns();
	for (size_t i = 0; i < s->n; i++)
		if (is_ours(&s->v[i])) {
			target_words(&s->v[i].target);
			events_before_drain(&s->v[i].target);
		}
	drain_ring(d);
	d->early_ns += clock_process_cpu_ns() - begin;
	mind_code_news(d, clock_mono_ns());
}

void drain_wait(struct drain *d, uint64_t wake_ns)
{
	if (!kernel_wait(d->kernel, wake_ns))
		return;
	if (d->is_eager)
		take_early(d);
	else
		d->next_ns = 0;
}

static void look_at_sleepers(struct drain *d)
{
	struct seats *s = d->seats;
	bool again = false;
	for (size_t i = 0; i < s->n; i++)
		if (is_ours(&s->v[i]))
			again |= events_look(&s->v[i].target, s->w, d->at_ns);
	if (!again || !take_snapshot(d))
		return;
	for (size_t i = 0; i < s->n; i++)
		if (is_ours(&s->v[i]))
			events_look_proved(&s->v[i].target, s->w);
}

void drain_complete(struct drain *d, bool wait)
{
	struct seats *s = d->seats;
	if (!kernel_complete(d->kernel, wait))
		return;
	for (size_t i = 0; i < s->n; i++)
		if (is_ours(&s->v[i]))
			events_bind(&s->v[i].target);
}

/* Clocks are faster than the tick: how large samples are is to be known before, so that the ring has room. */
static bool may_complete(const struct drain *d)
{
	struct events_counts c = seats_totals(d->seats).events;
	return d->n > COMPLETE_AFTER || c.tick + c.at_switch > 0;
}

void drain_take(struct drain *d)
{
	struct seats *s = d->seats;
	uint64_t news = 0, now = clock_mono_ns();
	d->n++;
	for (size_t i = 0; i < s->n; i++) {
		struct seat *seat = &s->v[i];
		if (is_ours(seat) && (target_words(&seat->target) < 0 || seat->target.threads.n == 0))
			seats_check(s, seat, now);
		if (is_ours(seat))
			events_before_drain(&seat->target);
	}
	drain_ring(d);
	if (take_snapshot(d))
		look_at_sleepers(d);
	if (may_complete(d))
		drain_complete(d, false); /* what ran up to now was without a clock */
	for (size_t i = 0; i < s->n; i++)
		if (is_ours(&s->v[i])) {
			events_pace(&s->v[i].target, d->at_ns);
			events_judge(&s->v[i].target);
		}
	seats_look_around(s);
	for (size_t i = 0; i < s->n; i++)
		news += is_ours(&s->v[i]) ? s->v[i].target.events.news + s->v[i].target.census_due : 0;
	d->gap_ns = news != d->news ? LEAST_GAP_NS : 2 * d->gap_ns > MOST_GAP_NS ? MOST_GAP_NS : 2 * d->gap_ns;
	d->news = news;
	mind_code_news(d, clock_mono_ns());
	double gap = (double)d->gap_ns * d->stretch;
	d->next_ns = clock_mono_ns() + (gap < SLOWEST_NS ? (uint64_t)gap : SLOWEST_NS);
}

void drain_slow(struct drain *d, double stretch)
{
	struct seats *s = d->seats;
	drain_take(d); /* what comes now was taken at the old rate */
	d->stretch = stretch;
	kernel_slow(d->kernel, stretch);
	for (size_t i = 0; i < s->n; i++)
		if (is_ours(&s->v[i]))
			events_rate(&s->v[i].target);
}

void drain_count(struct drain *d)
{
	uint64_t counts[KERNEL_COUNT_END_];
	kernel_counts(d->kernel, counts);
	d->overrun = counts[KERNEL_COUNT_OVERRUN];
	if (counts[KERNEL_COUNT_NO_ROOM] == 0)
		return;
	for (size_t i = 0; i < d->seats->n; i++)
		if (is_ours(&d->seats->v[i])) {
			log_info("pid %d: more threads than the kernel's table holds; it is sampled from outside now",
			         (int)d->seats->v[i].pid);
			events_give_up(&d->seats->v[i].target, d->seats->w, d->at_ns);
		}
}

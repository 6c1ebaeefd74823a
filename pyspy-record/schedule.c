#include "pyspy-record/schedule.h"

#include <math.h>

#include "libcommon/clock.h"

enum { STOP_MEAN_GAP_NS = 2 * 1000 * 1000, LATE_MAX = 1 << 20, LEAST_CREDIT_NS = 1000 };

/* xorshift128+: no secrets, only no pattern */
uint64_t schedule_random(struct schedule *s)
{
	uint64_t a = s->random[0], b = s->random[1];
	s->random[0] = b;
	a ^= a << 23;
	s->random[1] = a ^ b ^ a >> 17 ^ b >> 26;
	return s->random[1] + b;
}

uint64_t schedule_gap(struct schedule *s, uint64_t mean_ns)
{
	double u = (double)((schedule_random(s) >> 11) + 1) * 0x1p-53; /* (0, 1] */
	return (uint64_t)(-log(u) * (double)mean_ns) + 1;
}

void schedule_init(struct schedule *s, uint64_t mean_gap_ns, uint32_t stop_ppm, uint64_t now_ns, uint64_t seed)
{
	*s = (struct schedule){
	    .mean_gap_ns = mean_gap_ns,
	    .stops = {.ppm = stop_ppm, .credited_ns = now_ns},
	    .holds = {.ppm = (uint64_t)stop_ppm * SCHEDULE_HOLD_TIMES, .credited_ns = now_ns},
	};
	s->random[0] = seed ^ UINT64_C(0x9e3779b97f4a7c15);
	s->random[1] = seed * UINT64_C(0xbf58476d1ce4e5b9) + 1;
	for (int i = 0; i < 16; i++)
		schedule_random(s);
	s->next_ns = now_ns + schedule_gap(s, mean_gap_ns);
}

void schedule_next(struct schedule *s, uint64_t now_ns)
{
	s->next_ns += schedule_gap(s, s->mean_gap_ns);
	for (unsigned skipped = 0; s->next_ns <= now_ns; skipped++) {
		s->late++;
		if (skipped == LATE_MAX) { /* suspended for long: what is far behind is not drawn one by one */
			uint64_t behind = (now_ns - s->next_ns) / s->mean_gap_ns;
			s->late += behind;
			schedule_again(s, now_ns);
			return;
		}
		s->next_ns += schedule_gap(s, s->mean_gap_ns);
	}
}

void schedule_again(struct schedule *s, uint64_t now_ns)
{
	s->next_ns = now_ns + schedule_gap(s, s->mean_gap_ns);
}

/* Give what time has brought; is there enough for something that takes `need_ns`? */
static bool budget_has(struct budget *b, uint64_t now_ns, int64_t need_ns)
{
	int64_t most = (int64_t)(b->ppm * SCHEDULE_CREDIT_S * 1000);
	double earned = (double)(now_ns - b->credited_ns) * (double)b->ppm * 1e-6;
	if (earned >= LEAST_CREDIT_NS) { /* many small pieces would be lost in rounding */
		b->credit_ns += (int64_t)earned;
		b->credited_ns = now_ns;
	}
	if (most < need_ns) /* a small budget takes longer to save up for the first one */
		most = need_ns;
	if (b->credit_ns > most)
		b->credit_ns = most;
	return b->ppm && b->credit_ns >= need_ns;
}

void schedule_want_stop(struct schedule *s, uint64_t now_ns)
{
	if (!s->stop_next_ns && budget_has(&s->stops, now_ns, SCHEDULE_STOP_NS))
		s->stop_next_ns = now_ns + schedule_gap(s, STOP_MEAN_GAP_NS);
}

void schedule_pay_stop(struct schedule *s, uint64_t took_ns)
{
	s->stop_next_ns = 0;
	s->stops.credit_ns -= (int64_t)took_ns;
}

void schedule_pay_way_back(struct schedule *s, uint64_t ns)
{
	s->stops.credit_ns -= (int64_t)ns;
}

bool schedule_may_hold(struct schedule *s, uint64_t now_ns)
{
	return s->mean_gap_ns <= SCHEDULE_HOLD_GAP_NS && budget_has(&s->holds, now_ns, SCHEDULE_HOLD_NS);
}

void schedule_pay_hold(struct schedule *s, uint64_t took_ns)
{
	s->holds.credit_ns -= (int64_t)took_ns;
}

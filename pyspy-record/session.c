#include "pyspy-record/session.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/fds.h"
#include "libcommon/log.h"
#include "pyspy-record/attach.h"
#include "pyspy-record/drain.h"
#include "pyspy-record/emit/status.h"
#include "pyspy-record/emit/writer.h"
#include "pyspy-record/sample/hold.h"
#include "pyspy-record/schedule.h"
#include "pyspy-record/seats.h"
#include "pyspy-record/throttle.h"

enum {
	PROGRESS_NS = 500 * 1000 * 1000,
	SETTLE_NS = 200 * 1000,
	UNBOUNDED_PPM = 1000000,
	TABLE_BYTES = 64 << 10,           /* tables from this on grow in place, and leave no holes in the heap */
	SLEEP_MAX_NS = 200 * 1000 * 1000, /* a started program's end is seen within this */
	CPU_PART =
	    4, /* of a bound of our CPU time: stops, looking for threads, and for names take one in so many each */
};

#define GUESS_SAMPLE_S 4e-6 /* of the kernel's; and emptying its buffer all the time, while there is news */
#define GUESS_DRAINS   0.02
#define GUESS_LOOK_S   50e-6 /* from outside */
#define GUESS_THREAD_S 10e-6

struct session {
	const struct record_options *o;
	struct spawn *spawn;
	struct sink *sink;
	const struct session_signals *signals;
	struct session_result *r;
	struct writer *w;
	struct schedule schedule;
	struct throttle throttle;
	uint64_t busy_ns; /* wall time spent since it measured */
	bool has_failed;  /* the bound cannot be held: said */
	struct seats seats;
	struct drain drain;
	uint64_t begin_ns, end_ns, flush_next_ns, progress_next_ns; /* CLOCK_MONOTONIC; end 0 = none */
	uint64_t cpu_begin_ns;
	uint64_t ticks;
	struct hold hold;
	bool held;        /* a thread waited for us in the last tick */
	uint64_t held_ns; /* what threads waited for us */
	uint64_t woke_ns; /* when the last tick began */
	struct rec_end end;
};

static void on_child(int signal)
{
	(void)signal; /* only to end a sleep */
}

static void take_tick(struct session *s, uint64_t now)
{
	uint64_t held = seats_held(&s->seats);
	hold_woke(&s->hold, now, now - s->schedule.next_ns);
	writer_tick(s->w, clock_boot_ns());
	s->ticks++;
	seats_pass(&s->seats, now);
	s->held = seats_held(&s->seats) != held;
	seats_look_around(&s->seats); /* not part of the sample */
}

/* A stop is waited for, which takes CPU time of ours that no rate bounds, the more the less the program gets of its
 * CPU: none while much is owed. */
static void want_stop(struct session *s)
{
	if (s->throttle.credit_ns >= -s->throttle.part * (double)CLOCK_NS_PER_S)
		schedule_want_stop(&s->schedule, clock_mono_ns());
}

/* How to certify what was not: at the next tick by holding the CPU of a thread, else by a stop. */
static void plan_certificates(struct session *s)
{
	uint64_t now = clock_mono_ns();
	if (s->held) {
		uint64_t took = hold_until(&s->hold, now) - s->woke_ns;
		schedule_pay_hold(&s->schedule, took);
		s->held_ns += took;
	}
	schedule_pay_way_back(&s->schedule, stops_ways_back(&s->seats.stops));
	if (s->o->nonblocking || s->o->blocking)
		return;
	int cpu = -1;
	if (hold_may(&s->hold, now) && schedule_may_hold(&s->schedule, now))
		cpu = seats_cpu_to_hold(&s->seats, schedule_random(&s->schedule));
	if (cpu >= 0 && hold_take(&s->hold, cpu))
		return;
	hold_release(&s->hold);
	if (!s->held && seats_want_stop(&s->seats))
		want_stop(s);
}

static void take_stop(struct session *s)
{
	uint64_t cpu = s->o->cpu_ppm ? clock_process_cpu_ns() : 0;
	schedule_pay_stop(&s->schedule, seats_stop(&s->seats, schedule_random(&s->schedule)));
	if (s->o->cpu_ppm)
		throttle_other(&s->throttle, clock_process_cpu_ns() - cpu);
	schedule_again(&s->schedule, clock_mono_ns());
	if (seats_want_stop(&s->seats))
		want_stop(s);
}

static void tell_counters(struct session *s)
{
	struct seats_totals t = seats_totals(&s->seats);
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	writer_count(s->w, WIRE_COUNTER_TICKS, s->ticks);
	writer_count(s->w, WIRE_COUNTER_SAMPLES, writer_samples(s->w));
	writer_count(s->w, WIRE_COUNTER_LATE, s->schedule.late);
	stops_tell(&s->seats.stops, s->w);
	writer_count(s->w, WIRE_COUNTER_UNCERTIFIED, t.counts.uncertified);
	writer_count(s->w, WIRE_COUNTER_READS_FAILED, t.counts.reads_failed);
	writer_count(s->w, WIRE_COUNTER_READS, t.reads);
	writer_count(s->w, WIRE_COUNTER_CPU_NS, clock_process_cpu_ns() - s->cpu_begin_ns);
	writer_count(s->w, WIRE_COUNTER_CODES, t.codes);
	writer_count(s->w, WIRE_COUNTER_STACKS, t.nodes);
	writer_count(s->w, WIRE_COUNTER_REPAIRS, t.repairs);
	writer_count(s->w, WIRE_COUNTER_PEAK_BYTES, (uint64_t)usage.ru_maxrss * 1024);
	writer_count(s->w, WIRE_COUNTER_HELD, t.counts.held);
	writer_count(s->w, WIRE_COUNTER_HELD_NS, s->held_ns);
	if (s->o->cpu_ppm)
		throttle_tell(&s->throttle, s->w);
	if (!s->drain.kernel)
		return;
	writer_count(s->w, WIRE_COUNTER_EVENTS_TICK, t.events.tick);
	writer_count(s->w, WIRE_COUNTER_EVENTS_CLOCK, t.events.clock);
	writer_count(s->w, WIRE_COUNTER_EVENTS_SWITCH, t.events.at_switch);
	writer_count(s->w, WIRE_COUNTER_EVENTS_CUT, t.events.cut);
	writer_count(s->w, WIRE_COUNTER_EVENTS_OVERRUN, s->drain.overrun);
	writer_count(s->w, WIRE_COUNTER_DRAINS, s->drain.n);
}

/* What was lost since the last flush, by cause. */
static void tell_losses(struct session *s, uint64_t begin, uint64_t end)
{
	static const enum wire_lost causes[] = {WIRE_LOST_LATE,     WIRE_LOST_UNREADABLE, WIRE_LOST_TORN,
	                                        WIRE_LOST_LIMIT,    WIRE_LOST_OVERRUN,    WIRE_LOST_DROPPED,
	                                        WIRE_LOST_UNSTOPPED};
	static uint64_t told[7]; /* one session a process */
	struct seats_totals t = seats_totals(&s->seats);
	struct target_counts c = t.counts;
	uint64_t now[7] = {s->schedule.late, c.reads_failed, c.torn,     c.limit,
	                   s->drain.overrun, t.events.lost,  c.unstopped};
	for (int i = 0; i < 7; i++) {
		struct rec_lost l = {.begin_ns = begin, .end_ns = end, .cause = causes[i], .count = now[i] - told[i]};
		if (l.count)
			writer_lost(s->w, &l);
		told[i] = now[i];
	}
}

static int flush(struct session *s, const struct rec_end *end)
{
	if (s->drain.kernel) {
		drain_take(&s->drain);
		drain_count(&s->drain);
	}
	uint64_t now = clock_boot_ns(); /* no event of the block is later */
	seats_before_flush(&s->seats, now, end != NULL);
	tell_losses(s, now > s->o->flush_ns ? now - s->o->flush_ns : 0, now);
	tell_counters(s);
	int rc = writer_flush(s->w, now, end);
	seats_after_flush(&s->seats);
	return rc;
}

static void show_progress(struct session *s, uint64_t now)
{
	struct seats_totals t = seats_totals(&s->seats);
	struct status_now n = {
	    .elapsed_ns = now - s->begin_ns,
	    .ticks = s->ticks,
	    .samples = t.counts.samples,
	    .late = s->schedule.late,
	    .uncertified = t.counts.uncertified,
	    .bytes = s->sink->bytes,
	    .threads = t.n_threads,
	};
	status_progress(&n);
}

static uint64_t wake_time(const struct session *s, uint64_t now)
{
	uint64_t t = seats_want_ticks(&s->seats) ? s->schedule.next_ns : UINT64_MAX;
	if (s->drain.kernel && s->drain.next_ns < t)
		t = s->drain.next_ns;
	if (s->schedule.stop_next_ns && s->schedule.stop_next_ns < t)
		t = s->schedule.stop_next_ns;
	if (s->flush_next_ns < t)
		t = s->flush_next_ns;
	if (s->end_ns && s->end_ns < t)
		t = s->end_ns;
	if (now + SLEEP_MAX_NS < t)
		t = now + SLEEP_MAX_NS;
	if (s->seats.stops.n_pending && now + SETTLE_NS < t)
		t = now + SETTLE_NS;
	return t;
}

static enum wire_reason signal_reason(int signal)
{
	return signal == SIGINT ? WIRE_END_SIGINT : signal == SIGTERM ? WIRE_END_SIGTERM : WIRE_END_SIGHUP;
}

/* Look more seldom, or more often, as our CPU time allows. woke_ns: since then we worked. */
static void mind_cpu(struct session *s, uint64_t woke_ns)
{
	uint64_t now = clock_mono_ns();
	s->busy_ns += now - woke_ns;
	if (!throttle_is_due(&s->throttle, now, s->busy_ns))
		return;
	s->busy_ns = 0;
	bool has_changed = throttle_measure(&s->throttle, now, clock_process_cpu_ns());
	if (has_changed && s->drain.kernel)
		drain_slow(&s->drain, s->throttle.stretch);
	if (throttle_fails(&s->throttle) && !s->has_failed) {
		s->has_failed = true;
		log_info("--max-cpu %g: not held; what the recorder needs at any rate is more than that",
		         s->o->cpu_ppm / 1e4);
	}
}

/* A gap has one mean: the next one is drawn with what the rate is now. */
static void draw_tick(struct session *s)
{
	s->schedule.mean_gap_ns = throttle_gap_ns(&s->throttle);
	writer_gap(s->w, s->schedule.mean_gap_ns);
	schedule_next(&s->schedule, clock_mono_ns());
}

/* Threads that did not stand in time; what they stood is paid for. */
static void settle(struct session *s)
{
	uint64_t before = s->seats.stops.total_ns;
	seats_settle(&s->seats);
	if (s->seats.stops.total_ns != before)
		schedule_pay_stop(&s->schedule, s->seats.stops.total_ns - before);
}

/* Until something ends it; returns why. *error: of the output. */
static enum wire_reason run_loop(struct session *s, int *error)
{
	for (;;) {
		uint64_t now = clock_mono_ns(), wake = wake_time(s, now);
		if (wake > now) {
			bool is_tick = wake == s->schedule.next_ns && seats_want_ticks(&s->seats);
			stops_before_sleep(&s->seats.stops);
			if (!is_tick) {
				hold_after();
			} else if (!hold_before(&s->hold, now, wake, s->schedule.mean_gap_ns)) {
				s->schedule.late++;
				draw_tick(s);
				continue;
			}
			if (s->drain.kernel && !seats_want_ticks(&s->seats))
				drain_wait(&s->drain, wake);
			else
				hold_sleep_until(&s->hold, wake, is_tick ? s->schedule.mean_gap_ns : UINT64_MAX);
			now = clock_mono_ns();
		}
		if (s->signals->stop_signal)
			return signal_reason(s->signals->stop_signal);
		if (s->end_ns && now >= s->end_ns)
			return WIRE_END_DURATION;
		settle(s);
		if (!seats_want_ticks(&s->seats)) {
			seats_poll(&s->seats);
			if (now >= s->schedule.next_ns)
				schedule_again(&s->schedule, now);
		} else if (now >= s->schedule.next_ns) {
			s->woke_ns = now;
			take_tick(s, now);
			plan_certificates(s);
			/* what was due while we moved to a CPU is late: we arrive there when its thread lets us */
			draw_tick(s);
			hold_worked(&s->hold, now, clock_mono_ns());
		} else {
			hold_after();
			seats_poll(&s->seats);
		}
		if (s->drain.kernel && now >= s->drain.next_ns)
			drain_take(&s->drain);
		if (s->schedule.stop_next_ns && now >= s->schedule.stop_next_ns)
			take_stop(s);
		if (seats_all_ended(&s->seats))
			return WIRE_END_TARGET;
		if (now >= s->flush_next_ns || writer_is_full(s->w) || seats_are_large(&s->seats)) {
			hold_after();
			*error = flush(s, NULL);
			if (*error)
				return WIRE_END_OUTPUT;
			s->flush_next_ns = clock_mono_ns() + s->o->flush_ns;
		}
		if (now >= s->progress_next_ns && log_has_screen()) {
			show_progress(s, now);
			s->progress_next_ns = now + PROGRESS_NS;
		}
		if (s->o->cpu_ppm)
			mind_cpu(s, now);
	}
}

/* A thread that would not stop must not be left behind with our request pending. */
static void settle_all(struct session *s)
{
	for (int tries = 0; tries < 5000 && seats_settle(&s->seats); tries++)
		clock_sleep_until(clock_mono_ns() + SETTLE_NS);
}

static void finish(struct session *s, enum wire_reason reason, int error)
{
	struct session_result *r = s->r;
	uint64_t now = clock_mono_ns();
	hold_after();
	settle_all(s);
	hold_done(&s->hold);
	seats_poll(&s->seats);
	s->end.time_ns = clock_boot_ns();
	s->end.reason = reason;
	if (s->spawn && s->spawn->ended) {
		s->end.how = WIFEXITED(s->spawn->wait_status) ? WIRE_HOW_EXITED : WIRE_HOW_KILLED;
		s->end.status = (uint32_t)(s->end.how == WIRE_HOW_EXITED ? WEXITSTATUS(s->spawn->wait_status)
		                                                         : WTERMSIG(s->spawn->wait_status));
	}
	if (!error)
		error = flush(s, &s->end);
	struct seats_totals t = seats_totals(&s->seats);
	struct target_counts c = t.counts;
	r->reason = error == ERR_IO ? WIRE_END_OUTPUT : reason;
	r->error = error;
	r->ticks = s->ticks;
	r->samples = writer_samples(s->w);
	r->late = s->schedule.late;
	r->uncertified = c.uncertified;
	r->stops = s->seats.stops.n;
	r->stopped_ns = s->seats.stops.total_ns;
	r->reads_failed = c.reads_failed;
	r->threads_seen = t.threads_seen;
	r->elapsed_ns = now - s->begin_ns;
	r->cpu_ns = clock_process_cpu_ns() - s->throttle.begin_cpu_ns;
	r->lowest_hz = s->o->rate_hz / s->throttle.longest;
	r->mean_hz = r->elapsed_ns ? s->o->rate_hz * s->throttle.rate_ns / (double)r->elapsed_ns : 0;
}

static int open_seats(struct session *s)
{
	const struct record_options *o = s->o;
	size_t n = s->spawn ? 1 : o->n_pids, opened = 0;
	int rc = ERR_NOT_PYTHON;
	for (size_t i = 0; i < n; i++) {
		struct seat *seat = &s->seats.v[s->seats.n];
		pid_t pid = s->spawn ? s->spawn->pid : o->pids[i];
		int one = attach_open(&seat->target, pid, s->spawn, o->wait_ns, o->wait_is_given, s->signals,
		                      s->r->message, sizeof s->r->message);
		if (one < 0) {
			rc = one;
			if (n > 1) {
				log_error("%s", s->r->message);
				snprintf(s->r->message, sizeof s->r->message,
				         "cannot record: none of the %zu processes could be attached", n);
			}
			continue;
		}
		seat->pid = pid;
		s->seats.n++;
		if (!opened++)
			target_describe(&seat->target, s->r->target, sizeof s->r->target);
	}
	return opened ? 0 : rc;
}

/* What the full rate may cost, as a part of a CPU; dearer than it is where nothing is known yet. */
static double guess_cost(const struct session *s)
{
	size_t n = seats_totals(&s->seats).n_threads;
	if (s->drain.kernel)
		return s->o->rate_hz * GUESS_SAMPLE_S + GUESS_DRAINS;
	return s->o->rate_hz * (GUESS_LOOK_S + GUESS_THREAD_S * (double)n);
}

/* The recording begins when the first process is looked at: to get to know many threads may take its time. */
static void begin(struct session *s, uint32_t stop_ppm)
{
	uint64_t now = clock_mono_ns(), first = now;
	for (size_t i = 0; i < s->seats.n; i++) {
		const struct seat *seat = &s->seats.v[i];
		if (seat->open && events_is_on(&seat->target.events) && seat->target.events.begin_ns < first)
			first = seat->target.events.begin_ns;
	}
	writer_begin(s->w, clock_boot_ns() - (now - first));
	s->begin_ns = first;
	s->end_ns = s->o->duration_ns ? first + s->o->duration_ns : 0;
	s->flush_next_ns = first + s->o->flush_ns;
	s->progress_next_ns = first + PROGRESS_NS;
	throttle_init(&s->throttle, s->o->cpu_ppm, (uint64_t)(1e9 / s->o->rate_hz), now, clock_process_cpu_ns());
	if (s->o->cpu_ppm)
		s->seats.least_share = CPU_PART * (uint64_t)THROTTLE_PPM / s->o->cpu_ppm;
	throttle_guess(&s->throttle, guess_cost(s));
	if (s->throttle.stretch > 1 && s->drain.kernel)
		drain_slow(&s->drain, s->throttle.stretch);
	writer_gap(s->w, throttle_gap_ns(&s->throttle));
	schedule_init(&s->schedule, throttle_gap_ns(&s->throttle), stop_ppm, now,
	              clock_boot_ns() ^ (uint64_t)getpid() << 32);
}

int session_run(const struct record_options *o, const struct choice *choice, struct spawn *spawn, struct sink *sink,
                const struct session_signals *signals, char *const *argv, struct session_result *r)
{
	struct session s = {.o = o, .spawn = spawn, .sink = sink, .signals = signals, .r = r};
	*r = (struct session_result){0};
	struct writer_options wo = {
	    .argv = argv,
	    .mean_gap_ns = (uint64_t)(1e9 / o->rate_hz),
	    .view_defaults = o->view_defaults,
	    .stop_ppm = o->blocking      ? UNBOUNDED_PPM
	                : o->nonblocking ? 0
	                                 : o->stop_ppm,
	    .cpu_ppm = o->cpu_ppm,
	    .engine = choice->kernel ? WIRE_ENGINE_KERNEL : WIRE_ENGINE_OUTSIDE,
	    .notes = choice->notes,
	    .n_notes = choice->n_notes,
	};
	if (o->cpu_ppm && wo.stop_ppm > o->cpu_ppm / CPU_PART) /* we wait for a stop, and work after it */
		wo.stop_ppm = o->cpu_ppm / CPU_PART;
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, TABLE_BYTES);
#endif
	fds_raise();
	struct sigaction child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
	if (spawn)
		sigaction(SIGCHLD, &child, NULL);
	s.seats = (struct seats){.spawn = spawn, .drain = &s.drain, .wait_ns = o->wait_ns};
	s.seats.stop = o->blocking        ? SEATS_STOP_EACH
	               : !wo.stop_ppm     ? SEATS_STOP_NONE
	               : o->stop_is_given ? SEATS_STOP_ALL
	                                  : SEATS_STOP_WHO_RETRY;
	drain_init(&s.drain, choice->kernel, &s.seats, wo.mean_gap_ns, clock_mono_ns());
	s.seats.v = calloc(spawn ? 1 : o->n_pids, sizeof *s.seats.v);
	int rc = s.seats.v ? open_seats(&s) : ERR_NO_MEMORY;
	if (rc == 0)
		rc = writer_new(&s.w, sink, &wo);
	if (rc < 0) {
		if (rc == ERR_NO_MEMORY)
			snprintf(r->message, sizeof r->message, "cannot record: out of memory");
		seats_close(&s.seats);
		return r->error = rc;
	}
	if (o->engine == RECORD_ENGINE_AUTO && !choice->kernel)
		log_info("sampling from outside, not by the kernel: %s", choice->why);
	status_started(r->target, o->rate_hz, sink->path);
	s.cpu_begin_ns = clock_process_cpu_ns();
	s.seats.w = s.w;
	hold_init(&s.hold, !o->cpu_ppm);
	s.seats.hold = &s.hold;
	for (size_t i = 0; i < s.seats.n; i++)
		seats_take(&s.seats, &s.seats.v[i]);
	seats_look_around(&s.seats);
	if (o->cpu_ppm && s.drain.kernel) /* what is bounded begins after it */
		drain_complete(&s.drain, true);
	begin(&s, wo.stop_ppm);
	r->started = true;
	int error = 0;
	enum wire_reason reason = run_loop(&s, &error);
	finish(&s, reason, error);
	seats_close(&s.seats);
	writer_free(s.w);
	return r->error;
}

#include "pyspy-record/session.h"

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
#include "libcommon/log.h"
#include "pyspy-record/attach.h"
#include "pyspy-record/emit/status.h"
#include "pyspy-record/emit/writer.h"
#include "pyspy-record/schedule.h"

enum {
	CENSUS_SHARE = 20,                  /* looking who is there takes at most a twentieth of the time */
	NAMES_AFTER_NS = 20 * 1000 * 1000,  /* a new thread is in threading._active soon after it began to run */
	NAMES_AGAIN_S = 10,                 /* names may change */
	PROGRESS_NS = 500 * 1000 * 1000,
	SETTLE_NS = 1000 * 1000,
	FAILURES_MAX = 5,                   /* passes in a row that read nothing: is it still the same program? */
	SLEEP_MAX_NS = 200 * 1000 * 1000,   /* a started program's end is seen within this */
};

/* One process of the session. */
struct seat {
	struct target target;
	bool open;          /* an interpreter is being looked at */
	bool reopening;     /* the process executed another program: wait for its interpreter */
	pid_t pid;
	uint32_t exec_number;
	uint64_t census_next_ns, names_next_ns, reopen_until_ns;
};

struct session {
	const struct record_options *o;
	struct spawn *spawn;
	struct sink *sink;
	const struct session_signals *signals;
	struct session_result *r;
	struct writer *w;
	struct schedule schedule;
	struct seat *seats;
	size_t n_seats;
	struct target_counts past; /* of targets that were closed */
	uint64_t begin_ns, end_ns, flush_next_ns, progress_next_ns; /* CLOCK_MONOTONIC; end 0 = none */
	uint64_t cpu_begin_ns;
	uint64_t ticks, reads_past, repairs_past, codes_past, nodes_past; /* past: of targets that were closed */
	struct rec_end end;
};

static void on_child(int signal)
{
	(void)signal; /* only to end a sleep */
}

static void add_counts(struct target_counts *to, const struct target_counts *c)
{
	to->samples += c->samples;
	to->uncertified += c->uncertified;
	to->reads_failed += c->reads_failed;
	to->torn += c->torn;
	to->limit += c->limit;
	to->stops += c->stops;
	to->stopped_ns += c->stopped_ns;
	to->stops_in_syscall += c->stops_in_syscall;
	to->stops_given_up += c->stops_given_up;
	to->unproved += c->unproved;
	if (c->longest_stop_ns > to->longest_stop_ns)
		to->longest_stop_ns = c->longest_stop_ns;
}

static struct target_counts all_counts(const struct session *s)
{
	struct target_counts sum = s->past;
	for (size_t i = 0; i < s->n_seats; i++)
		if (s->seats[i].open)
			add_counts(&sum, &s->seats[i].target.counts);
	return sum;
}

/* The process of this seat is over, or is another program now. */
static void leave_seat(struct session *s, struct seat *seat, uint32_t how, uint32_t status)
{
	struct target *t = &seat->target;
	if (!seat->open)
		return;
	uint64_t now = clock_boot_ns();
	target_before_flush(t, s->w);
	for (size_t i = 0; i < t->threads.n; i++)
		writer_thread_end(s->w, t->threads.v[i]->id, now);
	writer_process_end(s->w, t->id, now, how, status);
	add_counts(&s->past, &t->counts);
	s->reads_past += t->reader.calls;
	s->repairs_past += t->walk.repairs;
	s->codes_past += t->codes.v.n - 1;
	s->nodes_past += t->trie.nodes.n - 1;
	target_close(t);
	seat->open = false;
}

static void take_seat(struct session *s, struct seat *seat)
{
	struct target *t = &seat->target;
	t->exec_number = seat->exec_number++;
	seat->open = true;
	seat->reopening = false;
	seat->census_next_ns = seat->names_next_ns = 0;
	target_tell_process(t, s->w, s->spawn != NULL, clock_boot_ns());
}

/* The last act of a stop may have been the end of our own child. */
static void pass_on_end(struct session *s, struct target *t)
{
	if (t->ended_tid && s->spawn && t->ended_tid == s->spawn->pid &&
	    (WIFEXITED(t->ended_status) || WIFSIGNALED(t->ended_status))) {
		s->spawn->ended = true;
		s->spawn->wait_status = t->ended_status;
	}
	t->ended_tid = 0;
}

static void end_seat(struct session *s, struct seat *seat)
{
	uint32_t how = WIRE_HOW_UNKNOWN, status = 0;
	pass_on_end(s, &seat->target);
	if (s->spawn && s->spawn->pid == seat->pid && spawn_poll(s->spawn)) {
		how = WIFEXITED(s->spawn->wait_status) ? WIRE_HOW_EXITED : WIRE_HOW_KILLED;
		status = (uint32_t)(how == WIRE_HOW_EXITED ? WEXITSTATUS(s->spawn->wait_status) : WTERMSIG(s->spawn->wait_status));
	}
	leave_seat(s, seat, how, status);
	seat->reopening = false;
	seat->pid = 0;
}

/* Is the process still there, and still the program that we know? */
static void check_seat(struct session *s, struct seat *seat, uint64_t now)
{
	struct target *t = &seat->target;
	if ((s->spawn && s->spawn->pid == seat->pid && spawn_poll(s->spawn)) ||
	    !process_is_alive(t->facts.pid, t->facts.start_ticks)) {
		end_seat(s, seat);
	} else if (t->failures >= FAILURES_MAX) {
		leave_seat(s, seat, WIRE_HOW_LEFT, 0);
		seat->reopening = true;
		seat->reopen_until_ns = now + s->o->wait_ns;
	}
}

static void reopen_seat(struct session *s, struct seat *seat, uint64_t now)
{
	if (s->spawn && s->spawn->pid == seat->pid && spawn_poll(s->spawn)) {
		end_seat(s, seat);
		return;
	}
	int rc = target_open(&seat->target, seat->pid);
	if (rc == 0)
		take_seat(s, seat);
	else if (rc == ERR_GONE || now >= seat->reopen_until_ns)
		end_seat(s, seat);
}

/* Who is there, what are they called: when due, within their share of the time. */
static void look_around(struct session *s, struct seat *seat)
{
	struct target *t = &seat->target;
	uint64_t begin = clock_mono_ns();
	if (t->census_due && begin >= seat->census_next_ns) {
		int rc = target_census(t, s->w, clock_boot_ns());
		uint64_t end = clock_mono_ns();
		seat->census_next_ns = end + (end - begin) * CENSUS_SHARE;
		if (t->names_due && seat->names_next_ns > end + NAMES_AFTER_NS)
			seat->names_next_ns = end + NAMES_AFTER_NS;
		if (rc == ERR_GONE)
			check_seat(s, seat, end);
		if (!seat->open)
			return;
		begin = end;
	}
	if (begin >= seat->names_next_ns) {
		target_names(t, s->w);
		uint64_t end = clock_mono_ns();
		uint64_t gap = t->names_due ? NAMES_AFTER_NS : NAMES_AGAIN_S * CLOCK_NS_PER_S;
		seat->names_next_ns = end + gap + (end - begin) * CENSUS_SHARE;
	}
}

static void take_tick(struct session *s, uint64_t now)
{
	writer_tick(s->w, clock_boot_ns());
	s->ticks++;
	for (size_t i = 0; i < s->n_seats; i++) {
		struct seat *seat = &s->seats[i];
		if (seat->reopening)
			reopen_seat(s, seat, now);
		if (!seat->open)
			continue;
		int rc = target_pass(&seat->target, s->w);
		if (rc < 0 || seat->target.threads.n == 0)
			check_seat(s, seat, now);
	}
	/* what follows is not part of the sample */
	for (size_t i = 0; i < s->n_seats; i++)
		if (s->seats[i].open)
			look_around(s, &s->seats[i]);
}

static void take_stop(struct session *s)
{
	uint64_t draw = schedule_random(&s->schedule), before = all_counts(s).stopped_ns;
	struct sample_thread *th = NULL;
	for (size_t i = 0; i < s->n_seats && !th; i++) {
		struct seat *seat = &s->seats[(draw + i) % s->n_seats];
		if (!seat->open || !(th = target_wants_stop(&seat->target, draw >> 32)))
			continue;
		target_stop(&seat->target, s->w, th);
		pass_on_end(s, &seat->target);
	}
	schedule_pay_stop(&s->schedule, all_counts(s).stopped_ns - before);
	schedule_again(&s->schedule, clock_mono_ns());
}

static bool wants_stop(const struct session *s)
{
	for (size_t i = 0; i < s->n_seats; i++)
		if (s->seats[i].open && target_wants_stop(&s->seats[i].target, 0))
			return true;
	return false;
}

static void tell_counters(struct session *s)
{
	struct target_counts c = all_counts(s);
	struct rusage usage;
	uint64_t codes = s->codes_past, nodes = s->nodes_past, reads = s->reads_past, repairs = s->repairs_past;
	for (size_t i = 0; i < s->n_seats; i++) {
		struct target *t = &s->seats[i].target;
		if (!s->seats[i].open)
			continue;
		codes += t->codes.v.n - 1;
		nodes += t->trie.nodes.n - 1;
		reads += t->reader.calls;
		repairs += t->walk.repairs;
	}
	getrusage(RUSAGE_SELF, &usage);
	writer_count(s->w, WIRE_COUNTER_TICKS, s->ticks);
	writer_count(s->w, WIRE_COUNTER_SAMPLES, writer_samples(s->w));
	writer_count(s->w, WIRE_COUNTER_LATE, s->schedule.late);
	writer_count(s->w, WIRE_COUNTER_STOPS, c.stops);
	writer_count(s->w, WIRE_COUNTER_STOPPED_NS, c.stopped_ns);
	writer_count(s->w, WIRE_COUNTER_STOPS_IN_SYSCALL, c.stops_in_syscall);
	writer_count(s->w, WIRE_COUNTER_UNCERTIFIED, c.uncertified);
	writer_count(s->w, WIRE_COUNTER_READS_FAILED, c.reads_failed);
	writer_count(s->w, WIRE_COUNTER_READS, reads);
	writer_count(s->w, WIRE_COUNTER_CPU_NS, clock_process_cpu_ns() - s->cpu_begin_ns);
	writer_count(s->w, WIRE_COUNTER_STOPS_GIVEN_UP, c.stops_given_up);
	writer_count(s->w, WIRE_COUNTER_CODES, codes);
	writer_count(s->w, WIRE_COUNTER_STACKS, nodes);
	writer_count(s->w, WIRE_COUNTER_REPAIRS, repairs);
	writer_count(s->w, WIRE_COUNTER_PEAK_BYTES, (uint64_t)usage.ru_maxrss * 1024);
	writer_count(s->w, WIRE_COUNTER_LONGEST_STOP_NS, c.longest_stop_ns);
}

/* What was lost since the last flush, by cause. */
static void tell_losses(struct session *s, uint64_t begin, uint64_t end)
{
	static const enum wire_lost causes[] = {WIRE_LOST_LATE, WIRE_LOST_UNREADABLE, WIRE_LOST_TORN, WIRE_LOST_LIMIT};
	static uint64_t told[4]; /* one session a process */
	struct target_counts c = all_counts(s);
	uint64_t now[4] = {s->schedule.late, c.reads_failed, c.torn, c.limit};
	for (int i = 0; i < 4; i++) {
		struct rec_lost l = {.begin_ns = begin, .end_ns = end, .cause = causes[i], .count = now[i] - told[i]};
		if (l.count)
			writer_lost(s->w, &l);
		told[i] = now[i];
	}
}

static int flush(struct session *s, const struct rec_end *end)
{
	uint64_t now = clock_boot_ns();
	for (size_t i = 0; i < s->n_seats; i++) {
		if (!s->seats[i].open)
			continue;
		target_before_flush(&s->seats[i].target, s->w);
		target_tell_process(&s->seats[i].target, s->w, s->spawn != NULL, now);
	}
	tell_losses(s, now > s->o->flush_ns ? now - s->o->flush_ns : 0, now);
	tell_counters(s);
	int rc = writer_flush(s->w, now, end);
	for (size_t i = 0; i < s->n_seats; i++)
		if (s->seats[i].open)
			target_trim(&s->seats[i].target);
	return rc;
}

static void show_progress(struct session *s, uint64_t now)
{
	struct target_counts c = all_counts(s);
	size_t threads = 0;
	for (size_t i = 0; i < s->n_seats; i++)
		threads += s->seats[i].open ? s->seats[i].target.threads.n : 0;
	struct status_now n = {
	        .elapsed_ns = now - s->begin_ns,
	        .ticks = s->ticks,
	        .samples = c.samples,
	        .late = s->schedule.late,
	        .uncertified = c.uncertified,
	        .bytes = s->sink->bytes,
	        .threads = threads,
	};
	status_progress(&n);
}

static bool all_ended(const struct session *s)
{
	for (size_t i = 0; i < s->n_seats; i++)
		if (s->seats[i].open || s->seats[i].reopening)
			return false;
	return true;
}

static uint64_t wake_time(const struct session *s, uint64_t now)
{
	uint64_t t = s->schedule.next_ns;
	if (s->schedule.stop_next_ns && s->schedule.stop_next_ns < t)
		t = s->schedule.stop_next_ns;
	if (s->flush_next_ns < t)
		t = s->flush_next_ns;
	if (s->end_ns && s->end_ns < t)
		t = s->end_ns;
	if (now + SLEEP_MAX_NS < t)
		t = now + SLEEP_MAX_NS;
	for (size_t i = 0; i < s->n_seats; i++)
		if (s->seats[i].open && s->seats[i].target.pending_detach && now + SETTLE_NS < t)
			t = now + SETTLE_NS;
	return t;
}

static enum wire_reason signal_reason(int signal)
{
	return signal == SIGINT ? WIRE_END_SIGINT : signal == SIGTERM ? WIRE_END_SIGTERM : WIRE_END_SIGHUP;
}

/* Until something ends it; returns why. *error: of the output. */
static enum wire_reason run_loop(struct session *s, int *error)
{
	for (;;) {
		uint64_t now = clock_mono_ns(), wake = wake_time(s, now);
		if (wake > now) {
			clock_sleep_until(wake);
			now = clock_mono_ns();
		}
		if (s->signals->stop_signal)
			return signal_reason(s->signals->stop_signal);
		if (s->end_ns && now >= s->end_ns)
			return WIRE_END_DURATION;
		for (size_t i = 0; i < s->n_seats; i++)
			if (s->seats[i].open)
				target_settle(&s->seats[i].target);
		if (now >= s->schedule.next_ns) {
			take_tick(s, now);
			schedule_next(&s->schedule, clock_mono_ns());
			if (!s->o->nonblocking && wants_stop(s))
				schedule_want_stop(&s->schedule, clock_mono_ns());
		} else if (s->spawn && spawn_poll(s->spawn)) {
			for (size_t i = 0; i < s->n_seats; i++)
				if (s->seats[i].pid == s->spawn->pid)
					end_seat(s, &s->seats[i]);
		}
		if (s->schedule.stop_next_ns && now >= s->schedule.stop_next_ns)
			take_stop(s);
		if (all_ended(s))
			return WIRE_END_TARGET;
		if (now >= s->flush_next_ns || writer_is_full(s->w)) {
			*error = flush(s, NULL);
			if (*error)
				return WIRE_END_OUTPUT;
			s->flush_next_ns = clock_mono_ns() + s->o->flush_ns;
		}
		if (now >= s->progress_next_ns) {
			show_progress(s, now);
			s->progress_next_ns = now + PROGRESS_NS;
		}
	}
}

/* A thread that would not stop must not be left behind with our request pending. */
static void settle_all(struct session *s)
{
	for (int tries = 0; tries < 1000; tries++) {
		bool pending = false;
		for (size_t i = 0; i < s->n_seats; i++) {
			if (!s->seats[i].open || !s->seats[i].target.pending_detach)
				continue;
			target_settle(&s->seats[i].target);
			pass_on_end(s, &s->seats[i].target);
			pending |= s->seats[i].target.pending_detach != 0;
		}
		if (!pending)
			return;
		clock_sleep_until(clock_mono_ns() + SETTLE_NS);
	}
}

static void finish(struct session *s, enum wire_reason reason, int error)
{
	struct session_result *r = s->r;
	uint64_t now = clock_mono_ns();
	settle_all(s);
	for (size_t i = 0; i < s->n_seats; i++)
		if (s->seats[i].open && s->spawn && spawn_poll(s->spawn))
			end_seat(s, &s->seats[i]);
	s->end.time_ns = clock_boot_ns();
	s->end.reason = reason;
	if (s->spawn && s->spawn->ended) {
		s->end.how = WIFEXITED(s->spawn->wait_status) ? WIRE_HOW_EXITED : WIRE_HOW_KILLED;
		s->end.status = (uint32_t)(s->end.how == WIRE_HOW_EXITED ? WEXITSTATUS(s->spawn->wait_status)
		                                                         : WTERMSIG(s->spawn->wait_status));
	}
	if (!error)
		error = flush(s, &s->end);
	struct target_counts c = all_counts(s);
	r->reason = error == ERR_IO ? WIRE_END_OUTPUT : reason;
	r->error = error;
	r->ticks = s->ticks;
	r->samples = writer_samples(s->w);
	r->late = s->schedule.late;
	r->uncertified = c.uncertified;
	r->stops = c.stops;
	r->stopped_ns = c.stopped_ns;
	r->reads_failed = c.reads_failed;
	r->elapsed_ns = now - s->begin_ns;
}

static int open_seats(struct session *s)
{
	const struct record_options *o = s->o;
	size_t n = s->spawn ? 1 : o->n_pids, opened = 0;
	int rc = ERR_NOT_PYTHON;
	for (size_t i = 0; i < n; i++) {
		struct seat *seat = &s->seats[s->n_seats];
		pid_t pid = s->spawn ? s->spawn->pid : o->pids[i];
		int one = attach_open(&seat->target, pid, s->spawn, o->wait_ns, s->signals, s->r->message, sizeof s->r->message);
		if (one < 0) {
			rc = one;
			if (n > 1) {
				log_error("%s", s->r->message);
				snprintf(s->r->message, sizeof s->r->message, "cannot record: none of the %zu processes could be attached", n);
			}
			continue;
		}
		seat->pid = pid;
		s->n_seats++;
		if (!opened++)
			target_describe(&seat->target, s->r->target, sizeof s->r->target);
	}
	return opened ? 0 : rc;
}

int session_run(const struct record_options *o, struct spawn *spawn, struct sink *sink, const struct session_signals *signals,
                char *const *argv, struct session_result *r)
{
	struct session s = {.o = o, .spawn = spawn, .sink = sink, .signals = signals, .r = r};
	*r = (struct session_result){0};
	struct writer_options wo = {
	        .argv = argv,
	        .mean_gap_ns = (uint64_t)(1e9 / o->rate_hz),
	        .view_defaults = o->view_defaults,
	        .stop_ppm = o->nonblocking ? 0 : o->stop_ppm,
	        .notes = o->notes,
	        .n_notes = o->n_notes,
	};
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	struct sigaction child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
	if (spawn)
		sigaction(SIGCHLD, &child, NULL);
	s.seats = calloc(spawn ? 1 : o->n_pids, sizeof *s.seats);
	int rc = s.seats ? open_seats(&s) : ERR_NO_MEMORY;
	if (rc == 0)
		rc = writer_new(&s.w, sink, &wo);
	if (rc < 0) {
		if (rc == ERR_NO_MEMORY)
			snprintf(r->message, sizeof r->message, "cannot record: out of memory");
		free(s.seats);
		return r->error = rc;
	}
	status_started(r->target, o->rate_hz, sink->path);
	s.begin_ns = clock_mono_ns();
	s.cpu_begin_ns = clock_process_cpu_ns();
	s.end_ns = o->duration_ns ? s.begin_ns + o->duration_ns : 0;
	s.flush_next_ns = s.begin_ns + o->flush_ns;
	s.progress_next_ns = s.begin_ns + PROGRESS_NS;
	schedule_init(&s.schedule, wo.mean_gap_ns, wo.stop_ppm, s.begin_ns, clock_boot_ns() ^ (uint64_t)getpid() << 32);
	for (size_t i = 0; i < s.n_seats; i++) {
		take_seat(&s, &s.seats[i]);
		look_around(&s, &s.seats[i]);
	}
	r->started = true;
	int error = 0;
	enum wire_reason reason = run_loop(&s, &error);
	finish(&s, reason, error);
	for (size_t i = 0; i < s.n_seats; i++)
		if (s.seats[i].open)
			target_close(&s.seats[i].target);
	writer_free(s.w);
	free(s.seats);
	return r->error;
}

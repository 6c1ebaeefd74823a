#include "pyspy-record/seats.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/log.h"

enum {
	CENSUS_SHARE = 20,                 /* looking who is there takes at most a twentieth of the time */
	NAMES_AFTER_NS = 20 * 1000 * 1000, /* a new thread is in threading._active soon after it began to run */
	NAMES_AGAIN_S = 1,                 /* names may change ... */
	NAMES_SHARE = 1000,                /* ... but looking for that takes at most a thousandth of the time */
	FAILURES_MAX = 5,                  /* passes in a row that read nothing: is it still the same program? */
};

static void add_counts(struct target_counts *to, const struct target_counts *c)
{
	to->samples += c->samples;
	to->uncertified += c->uncertified;
	to->reads_failed += c->reads_failed;
	to->torn += c->torn;
	to->limit += c->limit;
	to->unstopped += c->unstopped;
	to->unproved += c->unproved;
	to->held += c->held;
}

static void add_events(struct events_counts *to, const struct events_counts *c)
{
	to->tick += c->tick;
	to->clock += c->clock;
	to->at_switch += c->at_switch;
	to->still += c->still;
	to->lost += c->lost;
	to->cut += c->cut;
	to->no_clock += c->no_clock;
}

static bool is_spawned(const struct seats *s, const struct seat *seat)
{
	return s->spawn && s->spawn->pid == seat->pid;
}

static void add_target(struct seats_totals *sum, const struct target *t)
{
	add_counts(&sum->counts, &t->counts);
	sum->reads += t->reader.calls;
	sum->repairs += t->walk.repairs;
	sum->codes += t->codes_before + t->codes.v.n - 1;
	sum->nodes += t->nodes_before + t->trie.nodes.n - 1;
	sum->threads_seen += t->threads_seen;
	add_events(&sum->events, &t->events.counts);
}

struct seats_totals seats_totals(const struct seats *s)
{
	struct seats_totals sum = s->past;
	for (size_t i = 0; i < s->n; i++) {
		if (!s->v[i].open)
			continue;
		add_target(&sum, &s->v[i].target);
		sum.n_threads += s->v[i].target.threads.n;
	}
	return sum;
}

uint64_t seats_held(const struct seats *s)
{
	uint64_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		n += s->v[i].open ? s->v[i].target.counts.held : 0;
	return n;
}

/* The process of this seat is over, or is another program now. */
static void leave_seat(struct seats *s, struct seat *seat, uint32_t how, uint32_t status)
{
	struct target *t = &seat->target;
	if (!seat->open)
		return;
	drain_ring(s->drain);
	uint64_t now = clock_boot_ns();
	if (events_is_on(&t->events))
		events_flush(t, s->w, clock_mono_ns(), true);
	else
		target_before_flush(t, s->w);
	for (size_t i = 0; i < t->threads.n; i++)
		writer_thread_end(s->w, t->threads.v[i]->id, now);
	writer_process_end(s->w, t->id, now, how, status);
	events_done(t);
	add_target(&s->past, t);
	target_close(t);
	seat->open = false;
}

void seats_take(struct seats *s, struct seat *seat)
{
	struct target *t = &seat->target;
	t->exec_number = seat->exec_number++;
	t->stops = &s->stops;
	t->hold = s->hold;
	seat->open = true;
	seat->reopening = false;
	seat->census_next_ns = seat->names_next_ns = 0;
	target_tell_process(t, s->w, s->spawn != NULL, clock_boot_ns());
	if (s->drain->kernel && events_begin(t, s->w, s->drain->kernel) < 0)
		log_info("pid %d: the kernel cannot sample it; it is sampled from outside", (int)seat->pid);
	bool retries = interpreter_retries_calls(&t->interpreter);
	t->may_stop = s->stop == SEATS_STOP_ALL || (s->stop == SEATS_STOP_WHO_RETRY && retries);
	t->stops_each = s->stop == SEATS_STOP_EACH;
	if (t->stops_each && !retries)
		log_info(
		    "pid %d: CPython %s does not try interrupted system calls again: a thread that goes to sleep just "
		    "as it is stopped gets EINTR, and may raise an exception",
		    (int)seat->pid, t->interpreter.version);
	if (s->stop == SEATS_STOP_WHO_RETRY && !retries && !events_is_on(&t->events))
		log_info("pid %d: CPython %s is not stopped, not even for a moment: it does not try interrupted system "
		         "calls again. More of it may be [in motion]; --max-stop 0.2 stops it all the same",
		         (int)seat->pid, t->interpreter.version);
}

/* The last act of a stop may have been the end of our own child. */
static void pass_on_end(struct seats *s)
{
	if (s->stops.ended_pid && s->spawn && s->stops.ended_pid == s->spawn->pid) {
		s->spawn->ended = true;
		s->spawn->wait_status = s->stops.ended_status;
	}
	s->stops.ended_pid = 0;
}

static void end_seat(struct seats *s, struct seat *seat)
{
	uint32_t how = WIRE_HOW_UNKNOWN, status = 0;
	pass_on_end(s);
	if (is_spawned(s, seat) && spawn_poll(s->spawn)) {
		how = WIFEXITED(s->spawn->wait_status) ? WIRE_HOW_EXITED : WIRE_HOW_KILLED;
		status = (uint32_t)(how == WIRE_HOW_EXITED ? WEXITSTATUS(s->spawn->wait_status)
		                                           : WTERMSIG(s->spawn->wait_status));
	}
	leave_seat(s, seat, how, status);
	seat->reopening = false;
	seat->pid = 0;
}

void seats_check(struct seats *s, struct seat *seat, uint64_t now)
{
	struct target *t = &seat->target;
	if ((is_spawned(s, seat) && spawn_poll(s->spawn)) || !process_is_alive(t->facts.pid, t->facts.start_ticks)) {
		end_seat(s, seat);
	} else if (t->failures >= FAILURES_MAX) {
		leave_seat(s, seat, WIRE_HOW_LEFT, 0);
		seat->reopening = true;
		seat->reopen_until_ns = now + s->wait_ns;
	}
}

static void reopen_seat(struct seats *s, struct seat *seat, uint64_t now)
{
	if (is_spawned(s, seat) && spawn_poll(s->spawn)) {
		end_seat(s, seat);
		return;
	}
	int rc = target_open(&seat->target, seat->pid);
	if (rc == 0)
		seats_take(s, seat);
	else if (rc == ERR_GONE || now >= seat->reopen_until_ns)
		end_seat(s, seat);
}

static uint64_t pause_after(const struct seats *s, uint64_t took_ns, uint64_t share)
{
	return took_ns * (share > s->least_share ? share : s->least_share);
}

/* Who is there, what are they called: when due, within their share of the time. */
static void look_around_one(struct seats *s, struct seat *seat)
{
	struct target *t = &seat->target;
	uint64_t begin = clock_mono_ns();
	if (t->census_due && begin >= seat->census_next_ns) {
		int rc = target_census(t, s->w, clock_boot_ns());
		events_bind(t);
		uint64_t end = clock_mono_ns();
		seat->census_next_ns = end + pause_after(s, end - begin, CENSUS_SHARE);
		if (t->names_due && seat->names_next_ns > end + NAMES_AFTER_NS)
			seat->names_next_ns = end + NAMES_AFTER_NS;
		if (rc == ERR_GONE)
			seats_check(s, seat, end);
		if (!seat->open)
			return;
		begin = end;
	}
	if (begin >= seat->names_next_ns) {
		t->census_due |= interpreter_look_again(&t->reader, &t->interpreter);
		target_names(t, s->w);
		uint64_t end = clock_mono_ns();
		uint64_t gap = t->names_due ? NAMES_AFTER_NS : NAMES_AGAIN_S * CLOCK_NS_PER_S;
		seat->names_next_ns =
		    end + gap + pause_after(s, end - begin, t->names_due ? CENSUS_SHARE : NAMES_SHARE);
	}
}

bool seats_want_ticks(const struct seats *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].reopening || (s->v[i].open && !events_is_on(&s->v[i].target.events)))
			return true;
	return false;
}

void seats_pass(struct seats *s, uint64_t now)
{
	for (size_t i = 0; i < s->n; i++) {
		struct seat *seat = &s->v[i];
		if (seat->reopening)
			reopen_seat(s, seat, now);
		if (!seat->open || events_is_on(&seat->target.events))
			continue;
		int rc = target_pass(&seat->target, s->w);
		pass_on_end(s);
		if (rc < 0 || seat->target.threads.n == 0)
			seats_check(s, seat, now);
	}
}

void seats_look_around(struct seats *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].open)
			look_around_one(s, &s->v[i]);
}

void seats_poll(struct seats *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_spawned(s, &s->v[i]) && spawn_poll(s->spawn))
			end_seat(s, &s->v[i]);
}

bool seats_want_stop(const struct seats *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].open && target_wants_stop(&s->v[i].target, 0))
			return true;
	return false;
}

int seats_cpu_to_hold(const struct seats *s, uint64_t draw)
{
	for (size_t i = 0; i < s->n; i++) {
		struct seat *seat = &s->v[(draw + i) % s->n];
		int cpu = seat->open ? target_cpu_to_hold(&seat->target, draw >> 32) : -1;
		if (cpu >= 0)
			return cpu;
	}
	return -1;
}

uint64_t seats_stop(struct seats *s, uint64_t draw)
{
	for (size_t i = 0; i < s->n; i++) {
		struct seat *seat = &s->v[(draw + i) % s->n];
		struct sample_thread *th = seat->open ? target_wants_stop(&seat->target, draw >> 32) : NULL;
		if (!th)
			continue;
		uint64_t before = s->stops.total_ns;
		target_stop(&seat->target, s->w, th);
		pass_on_end(s);
		return s->stops.total_ns - before;
	}
	return 0;
}

bool seats_settle(struct seats *s)
{
	bool pending = stops_settle(&s->stops);
	pass_on_end(s);
	return pending;
}

void seats_before_flush(struct seats *s, uint64_t boot_ns, bool is_last)
{
	for (size_t i = 0; i < s->n; i++) {
		if (!s->v[i].open)
			continue;
		if (events_is_on(&s->v[i].target.events))
			events_flush(&s->v[i].target, s->w, s->drain->at_ns, is_last);
		else
			target_before_flush(&s->v[i].target, s->w);
		target_tell_process(&s->v[i].target, s->w, s->spawn != NULL, boot_ns);
	}
}

void seats_after_flush(struct seats *s)
{
	bool has_forgotten = false;
	for (size_t i = 0; i < s->n; i++)
		has_forgotten |= s->v[i].open && target_trim(&s->v[i].target);
	if (has_forgotten)
		writer_forget(s->w, clock_boot_ns());
}

bool seats_are_large(const struct seats *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].open && target_is_large(&s->v[i].target))
			return true;
	return false;
}

bool seats_all_ended(const struct seats *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].open || s->v[i].reopening)
			return false;
	return true;
}

void seats_close(struct seats *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].open) {
			events_done(&s->v[i].target);
			target_close(&s->v[i].target);
		}
	free(s->v);
	s->v = NULL;
	s->n = 0;
}

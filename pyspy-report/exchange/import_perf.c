#include <ctype.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/importer.h"

/* The text of `perf script`: a line for each sample, "comm [pid/]tid [cpu] time: period event: ", then its frames, the
 * innermost first, each on a line that begins with white space: "address symbol+0x1f (file)". An empty line ends it. */

enum { PERF_DEPTH_MAX = WIRE_DEPTH_MAX - 8, PERF_EVENT_MAX = 64, PERF_HEAD_MAX = 4096 };
#define PERF_GAP_NS UINT64_C(10000000)

struct perf {
	struct foreign *f;
	const struct import_options *o;
	struct intern texts;
	VEC(location_id) locations; /* by the text of the line */
	VEC(location_id) frames;    /* of the sample, the innermost first */
	char event[PERF_EVENT_MAX]; /* the one that is imported */
	bool is_inline;             /* the frame stands on the sample's own line: no lines of frames follow */
	bool has_event, is_time, has_sample, is_left_out, has_pids, has_times;
	uint32_t thread, n_dropped;
	uint64_t time_ns, period, n_others, n_samples, last_ns;
};

struct perf_head {
	const char *comm, *event;
	size_t n_comm, n_event, rest; /* rest: where the text behind the event begins */
	uint64_t pid, tid, time_ns, period;
	bool has_pid, has_time, has_period;
};

static size_t digits(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && isdigit((unsigned char)p[i]))
		i++;
	return i;
}

/* "35535.829826:" at p: its length with the colon, or 0. */
static size_t take_time(const char *p, size_t n, uint64_t *ns)
{
	size_t whole = digits(p, n),
	       part = whole && whole < n && p[whole] == '.' ? digits(p + whole + 1, n - whole - 1) : 0;
	uint64_t s, fraction;

	if (!part || whole + 1 + part >= n || p[whole + 1 + part] != ':' || part > 9 || !import_number(p, whole, &s) ||
	    !import_number(p + whole + 1, part, &fraction) || s > FOREIGN_MAX_NS / 1000000000 - 1)
		return 0;
	for (size_t i = part; i < 9; i++)
		fraction *= 10;
	*ns = s * 1000000000 + fraction;
	return whole + 1 + part + 1;
}

/* "12" or "12/34" at p, then white space or the end: its length, or 0. */
static size_t take_ids(const char *p, size_t n, struct perf_head *h)
{
	size_t first = digits(p, n),
	       second = first && first < n && p[first] == '/' ? digits(p + first + 1, n - first - 1) : 0,
	       len = second ? first + 1 + second : first;

	if (!first || (len < n && p[len] != ' ' && p[len] != '\t') || !import_number(p, first, &h->tid))
		return 0;
	h->has_pid = second > 0;
	if (second) {
		h->pid = h->tid;
		if (!import_number(p + first + 1, second, &h->tid))
			return 0;
	}
	return h->tid <= UINT32_MAX && h->pid <= UINT32_MAX ? len : 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static size_t spaces(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && is_space(p[i]))
		i++;
	return i;
}

/* The line of a sample. The command may hold spaces and numbers, so the first number that something of the rest fits
 * behind is the thread's. */
static bool take_head(const char *p, size_t n, struct perf_head *h)
{
	for (size_t i = 1; i < n && i < PERF_HEAD_MAX; i++) {
		size_t at, len;

		if (is_space(p[i]) || !is_space(p[i - 1]))
			continue;
		*h = (struct perf_head){.comm = p};
		len = take_ids(p + i, n - i, h);
		if (!len)
			continue;
		h->n_comm = i;
		while (h->n_comm > 0 && is_space(p[h->n_comm - 1]))
			h->n_comm--;
		at = i + len + spaces(p + i + len, n - i - len);
		if (at < n && p[at] == '[') { /* [003] */
			len = digits(p + at + 1, n - at - 1);
			if (len && at + 1 + len < n && p[at + 1 + len] == ']')
				at += len + 2 + spaces(p + at + len + 2, n - at - len - 2);
		}
		len = take_time(p + at, n - at, &h->time_ns);
		h->has_time = len > 0;
		at += len + spaces(p + at + len, n - at - len);
		len = digits(p + at, n - at);
		if (len && at + len < n && is_space(p[at + len]) && import_number(p + at, len, &h->period)) {
			h->has_period = true;
			at += len + spaces(p + at + len, n - at - len);
		}
		h->event = p + at;
		while (at + h->n_event < n && !is_space(p[at + h->n_event]))
			h->n_event++;
		h->rest = at + h->n_event;
		if (h->n_event > 1 && h->event[h->n_event - 1] == ':' && digits(h->event, h->n_event) == 0) {
			h->n_event--;
			return true;
		}
		if (h->n_event == 0 && (h->has_time || at >= n))
			return true;
	}
	return false;
}

/* Without modifiers: cpu-clock of cpu-clock:pppH. */
static size_t event_name(const char *p, size_t n)
{
	const char *colon = memchr(p, ':', n);
	size_t len = colon ? (size_t)(colon - p) : n, rest = n - len;

	if (!colon || rest > 8)
		return n;
	for (size_t i = len + 1; i < n; i++)
		if (!strchr("ukhHGpPSDIWbe", p[i]))
			return n;
	return len;
}

static bool starts(const char *p, size_t n, const char *with)
{
	size_t len = strlen(with);

	return n >= len && memcmp(p, with, len) == 0;
}

static int put_frame(struct perf *x, const char *p, size_t n, uint64_t address, location_id *location)
{
	const char *path = "", *plus;
	size_t at = n > 2 && p[n - 1] == ')' ? n - 1 : 0, n_path = 0;

	while (at > 0 && !(p[at] == '(' && is_space(p[at - 1])))
		at--;
	if (at > 0 && starts(p + at, n - at, "(inlined)")) {
		n = at - 1;
	} else if (at > 0) {
		path = p + at + 1;
		n_path = n - at - 2;
		n = at - 1;
	}
	while (n > 0 && is_space(p[n - 1]))
		n--;
	plus = n ? memrchr(p, '+', n) : NULL;
	if (plus && plus > p && starts(plus, n - (size_t)(plus - p), "+0x"))
		n = (size_t)(plus - p);
	if (starts(p, n, "py::"))
		return import_frame_text(x->f, p, n, location);
	if (starts(path, n_path, "[unknown]"))
		n_path = 0;
	if (n == 0 || starts(p, n, "[unknown]"))
		return foreign_native(x->f, "", 0, path, n_path, address, location);
	return foreign_native(x->f, p, n, path, n_path, 0, location);
}

static int take_frame(struct perf *x, const char *p, size_t n)
{
	size_t i = spaces(p, n), from = i;
	uint64_t address = 0;
	uint32_t id;

	while (i < n && isxdigit((unsigned char)p[i]) && i - from < 16) {
		address = address << 4 | (uint64_t)(isdigit((unsigned char)p[i]) ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
		i++;
	}
	if (i == from || (i < n && !is_space(p[i]))) { /* without an address */
		i = from;
		address = 0;
	}
	i += spaces(p + i, n - i);
	if (i >= n && !address)
		return 0;
	if (x->frames.n >= PERF_DEPTH_MAX) {
		x->n_dropped++;
		return 0;
	}
	/* the same function at another place is the same frame; an unknown one is its address */
	TRY(intern_get(&x->texts, starts(p + i, n - i, "[unknown]") ? p : p + i,
	               starts(p + i, n - i, "[unknown]") ? n : n - i, &id, NULL));
	while (x->locations.n <= id)
		if (!vec_push(&x->locations, 0))
			return ERR_NO_MEMORY;
	if (!x->locations.v[id])
		TRY(put_frame(x, p + i, n - i, address, &x->locations.v[id]));
	return vec_push(&x->frames, x->locations.v[id]) ? 0 : ERR_NO_MEMORY;
}

static int end_sample(struct perf *x)
{
	stack_id stack = 0;
	uint32_t flags = x->n_dropped ? WIRE_FLAG_CUT : 0;

	if (!x->has_sample)
		return 0;
	x->has_sample = false;
	if (x->is_left_out)
		return 0;
	for (size_t i = x->frames.n; i-- > 0;)
		TRY(foreign_stack(x->f, stack, x->frames.v[i], &stack));
	x->n_samples++;
	return foreign_event(x->f, x->thread, stack, flags | (x->is_time ? WIRE_STATE_ON_CPU : 0), x->time_ns,
	                     x->period);
}

static void choose_event(struct perf *x, const struct perf_head *h)
{
	size_t n = event_name(h->event, h->n_event), kept = n < sizeof x->event ? n : sizeof x->event - 1;
	struct foreign_facts *facts = &x->f->facts;

	x->has_event = true;
	memcpy(x->event, h->event, kept);
	x->is_time = starts(h->event, n, "cpu-clock") || starts(h->event, n, "task-clock");
	facts->start_ns = h->has_time ? h->time_ns : 0;
	facts->gap_ns = x->o->gap_ns ? x->o->gap_ns : PERF_GAP_NS;
	if (h->has_period && h->period && h->period < UINT64_C(5000000000) && (!x->o->gap_ns || !x->is_time))
		facts->gap_ns = h->period;
	else if (!x->o->gap_ns)
		foreign_without(x->f, "the period of samples (10 ms was taken)");
	if (h->has_period && !x->is_time)
		facts->unit = "counts of perf's event (see perf.event): a nanosecond stands for one";
}

static int begin_sample(struct perf *x, const struct perf_head *h)
{
	size_t n = event_name(h->event, h->n_event);
	uint32_t process;

	if (!x->has_event)
		choose_event(x, h);
	x->has_sample = true;
	x->frames.n = 0;
	x->n_dropped = 0;
	x->has_pids |= h->has_pid;
	x->has_times |= h->has_time;
	x->is_left_out =
	    strlen(x->event) != (n < sizeof x->event ? n : sizeof x->event - 1) || !starts(h->event, n, x->event);
	x->n_others += x->is_left_out;
	x->period = h->has_period ? h->period : x->f->facts.gap_ns;
	x->time_ns = h->has_time ? h->time_ns : x->last_ns;
	x->last_ns = x->time_ns + (h->has_time || x->last_ns > FOREIGN_MAX_NS / 2 ? 0
	                           : x->period < FOREIGN_MAX_NS / 2               ? x->period
	                                                                          : 0);
	TRY(foreign_process(x->f, (uint32_t)h->pid, "", 0, &process));
	return foreign_thread(x->f, process, (uint32_t)h->tid, 0, 0, h->comm, h->n_comm, &x->thread);
}

static int take_line(struct perf *x, const char *p, size_t n, uint64_t line)
{
	struct perf_head h;

	while (n > 0 && is_space(p[n - 1]))
		n--;
	if (!n)
		return end_sample(x);
	if (p[0] == '#')
		return 0;
	/* a command is padded with spaces on the left, a frame begins with an address or one tab */
	if (is_space(p[0]) && x->has_sample && !x->is_inline)
		return x->is_left_out ? 0 : take_frame(x, p, n);
	size_t skip = spaces(p, n);
	if (!take_head(p + skip, n - skip, &h)) {
		foreign_problem(x->f, true, line,
		                "neither a sample (command, thread, time: event:) nor a frame of one");
		return end_sample(x);
	}
	TRY(end_sample(x));
	TRY(begin_sample(x, &h));
	skip += h.rest;
	skip += skip < n ? spaces(p + skip, n - skip) : 0;
	x->is_inline = skip < n && isxdigit((unsigned char)p[skip]);
	return x->is_inline ? take_frame(x, p + skip, n - skip) : 0;
}

static bool looks_perf(const char *p, size_t n)
{
	struct perf_head h;

	for (int lines = 0; n > 0 && lines < 200; lines++) {
		const char *end = memchr(p, '\n', n);
		size_t len = end ? (size_t)(end - p) : n, skip = spaces(p, len);

		if (len > skip && p[0] != '#')
			return take_head(p + skip, len - skip, &h) && (h.has_time || h.n_event) && !memchr(p, ';', len);
		n -= end ? len + 1 : n;
		p = end ? end + 1 : p;
	}
	return false;
}

static int read_perf(struct foreign *f, struct intake *s, const struct import_options *o)
{
	struct perf x = {.f = f, .o = o};
	const char *p;
	size_t n;
	bool is_long;

	f->facts.format = "perf script";
	f->facts.gap_ns = PERF_GAP_NS;
	int rc = intern_init(&x.texts, 1 << 30);
	for (uint64_t line = 1; !rc && intake_line(s, &p, &n, &is_long); line++) {
		if (is_long)
			foreign_problem(f, true, line, "longer than 64 MB; it is left out");
		else
			rc = take_line(&x, p, n, line);
	}
	rc = rc ? rc : s->rc;
	rc = rc ? rc : end_sample(&x);
	if (!rc && !x.n_samples && f->n_problems)
		rc = ERR_FORMAT;
	if (!rc && x.has_event)
		rc = foreign_note(f, "perf.event", 10, x.event, strlen(x.event));
	if (x.n_others)
		foreign_problem(f, true, 0,
		                "%llu samples of other events than %s were left out; import them on their own "
		                "(perf script has --event)",
		                (unsigned long long)x.n_others, x.event);
	if (!x.has_pids)
		foreign_without(f, "processes (perf script -F +pid has them)");
	if (!x.has_times)
		foreign_without(f, "times");
	foreign_without(f, "the time of day");
	foreign_without(f, "lines");
	foreign_without(f, "time off the CPU");
	intern_done(&x.texts);
	vec_free(&x.locations);
	vec_free(&x.frames);
	return rc;
}

const struct import_format import_perf = {
    .name = "perf",
    .what = "the text of perf script",
    .looks = looks_perf,
    .read = read_perf,
};

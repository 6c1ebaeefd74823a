#include "pyspy-report/report_live.h"

#include <stdarg.h>
#include <string.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "libcommon/path.h"
#include "pyspy-report/live/live_loop.h"
#include "pyspy-report/report_trouble.h"

#define DELAY_DEFAULT UINT64_C(1000000000)
#define DELAY_LEAST   UINT64_C(50000000)
#define DELAY_MOST    UINT64_C(3600000000000)

static struct {
	VEC(const char *) pids;
	const char *rate, *follow;
	uint64_t delay_ns;
	bool nonblocking, takes_args, has_delay;
} live;

int report_live_option(int id, const char *value, char *message, size_t size)
{
	int pid;

	switch (id) {
	case LIVE_PID:
		if (human_parse_pid(value, &pid) < 0) {
			snprintf(message, size, "-p wants a process number, 12 or 0xc");
			return ERR_USAGE;
		}
		/* the options are read twice where a recording is shown */
		return vec_push(&live.pids, value) ? 0 : ERR_NO_MEMORY;
	case LIVE_RATE:
		live.rate = value;
		return 0;
	case LIVE_FOLLOW:
		live.follow = value;
		return 0;
	case LIVE_ARGS:
		live.takes_args = true;
		return 0;
	case LIVE_NONBLOCKING:
		live.nonblocking = true;
		return 0;
	case LIVE_DELAY:
		live.has_delay = true;
		if (human_parse_duration(value, &live.delay_ns) == 0 && live.delay_ns >= DELAY_LEAST &&
		    live.delay_ns <= DELAY_MOST)
			return 0;
		snprintf(message, size, "--delay wants a time from 50ms to 1h, such as 1 or 0.5 seconds");
		return ERR_USAGE;
	case LIVE_SUBPROCESSES:
		snprintf(message, size,
		         "-s/--subprocesses is not there yet; leave it out, and name each process with its own -p");
		return ERR_USAGE;
	default:
		snprintf(message, size, "-n/--native is not there yet; leave it out to see Python frames");
		return ERR_USAGE;
	}
}

static int usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int usage(const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_error("%s; see pyspy-report top --help", text);
	return REPORT_USAGE;
}

bool report_live_is_asked(bool has_words)
{
	return has_words || live.pids.n || live.takes_args || live.follow;
}

int report_live_unasked(void)
{
	if (live.rate || live.nonblocking || live.has_delay)
		return usage("%s is for what runs: with -p PID, -- PROGRAM or --follow", live.rate ? "-r/--rate"
		                                                                         : live.nonblocking
		                                                                             ? "--nonblocking"
		                                                                             : "--delay");
	return 0;
}

/* What cannot be together, and what only finished recordings have. */
static int check(const struct report_options *o, const struct report_live_how *how, char *const *words, size_t n)
{
	const char *unfitting = how->unfitting;
	int sources = (live.pids.n > 0) + (live.follow != NULL) + (words != NULL), status = 0;
	struct buf rules, safe;

	if (o->files.n)
		return usage("a recording, and something that runs: name one of them");
	if (live.takes_args && (live.pids.n || live.follow || live.rate || live.nonblocking))
		return usage("--live: -p, -r and so on belong behind the --, they are pyspy-record's");
	if (sources > 1)
		return usage("-p, --follow and -- PROGRAM: one of them");
	if (live.takes_args && !words)
		return usage("--live wants pyspy-record's words behind it: --live -- -p 4711 --max-cpu 1%%");
	if (words && !n)
		return usage("-- wants a program behind it: -- python3 app.py");
	if (live.follow && (live.rate || live.nonblocking))
		return usage("%s is for who records; leave it out with --follow", live.rate ? "-r" : "--nonblocking");
	buf_init(&rules, 0);
	buf_init(&safe, 0);
	filter_words(&(struct filter){.rules = &o->rules}, &rules);
	escape_text(&safe, buf_cstr(&rules), rules.len);
	if (!unfitting)
		unfitting = o->output      ? "-o"
		            : o->strict    ? "--strict"
		            : o->strip.n   ? "--strip-prefix"
		            : o->group     ? "--level"
		            : o->collapse  ? "--collapse-recursion"
		            : o->measure   ? "--measure"
		            : o->processes ? "--processes"
		            : safe.len     ? buf_cstr(&safe) + 1
		                           : NULL;
	if (unfitting)
		status = usage("%s is for finished recordings; leave it out, save what was seen with the key s, and "
		               "ask the recording",
		               unfitting);
	buf_done(&safe);
	buf_done(&rules);
	return status;
}

static void join(struct buf *out, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_str(out, i ? " " : "");
		buf_str(out, words[i]);
	}
}

int report_live_run(const struct report_options *o, const struct report_live_how *how, char *const *words, size_t n)
{
	VEC(char *) args = {0};
	struct buf command;
	bool ok = true;
	char name[64];
	int status = check(o, how, words, n);

	if (status)
		return status;
	for (size_t i = 0; i < live.pids.n && ok; i++)
		ok = vec_push(&args, "-p") && vec_push(&args, (char *)live.pids.v[i]);
	if (live.rate && ok)
		ok = vec_push(&args, "-r") && vec_push(&args, (char *)live.rate);
	if (live.nonblocking && ok)
		ok = vec_push(&args, "--nonblocking");
	if (words && !live.takes_args && ok)
		ok = vec_push(&args, "--");
	for (size_t i = 0; i < n && ok; i++)
		ok = vec_push(&args, words[i]);
	buf_init(&command, 0);
	if (live.follow)
		buf_printf(&command, "following %s", strcmp(live.follow, "-") ? live.follow : "standard input");
	else if (live.pids.n)
		join(&command, (const char *const *)args.v, args.n);
	else
		join(&command, (const char *const *)words, n);
	snprintf(name, sizeof name, "%s%s", live.pids.n ? "pid" : "", live.pids.n ? live.pids.v[0] : "top");
	struct live_options run = {
	    .follow = live.follow,
	    .args = args.v,
	    .n_args = args.n,
	    .command = buf_cstr(&command),
	    .program = words && !live.takes_args ? path_base(words[0]) : name,
	    .is_program = words != NULL,
	    .delay_ns = live.has_delay ? live.delay_ns : DELAY_DEFAULT,
	    .want = {.by_line = how->by_line,
	             .by_thread = how->by_thread || o->threads == REPORT_YES,
	             .gil_only = o->gil == REPORT_YES,
	             .idle = o->idle == REPORT_YES,
	             .no_lines = o->nolineno == REPORT_YES,
	             .full_filenames = o->full_filenames == REPORT_YES},
	    .by_total = how->by_total,
	    .limit = how->limit,
	    .error = REPORT_ERROR,
	};
	status = ok ? live_loop_run(&run) : report_trouble_failed("cannot start", ERR_NO_MEMORY);
	vec_free(&args);
	buf_done(&command);
	return status;
}

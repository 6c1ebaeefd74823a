#include "pyspy-record/cmd_record.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "pyspy-record/emit/sink.h"
#include "pyspy-record/emit/status.h"
#include "pyspy-record/handover.h"
#include "pyspy-record/record_options.h"
#include "pyspy-record/recording_place.h"
#include "pyspy-record/session.h"
#include "pyspy-record/target/spawn.h"

enum {
	EXIT_FINE = 0,
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,
	EXIT_RECORDER = 125, /* of these three, as env(1) and timeout(1) */
	EXIT_CANNOT_RUN = 126,
	EXIT_NOT_FOUND = 127,
};
#define ECHO_NS UINT64_C(30000000)

/* What the signal handlers see. */
static struct {
	struct session_signals session;
	struct spawn spawn;
	bool has_program;                   /* one is to be started */
	volatile sig_atomic_t is_forwarded; /* the program got stop_signal */
	volatile sig_atomic_t interrupts;
	volatile int last_signal, last_sender;
	volatile uint64_t last_signal_ns;
	/* one step: the view is being made */
	struct view_file view;
	struct reporter reporter;
	volatile sig_atomic_t in_view;
	volatile sig_atomic_t view_signal; /* which ended it */
} run;

static void stop_by(int signal)
{
	run.session.stop_signal = signal;
}

/* timeout(1) sends its signal to us and, at once, to our whole group: that is one wish, not two. A terminal does not.
 */
static bool is_echo(const siginfo_t *info)
{
	uint64_t now = clock_mono_ns();
	bool is_it = info->si_code == SI_USER && info->si_signo == run.last_signal && info->si_pid == run.last_sender &&
	             now - run.last_signal_ns < ECHO_NS;
	run.last_signal = info->si_signo;
	run.last_sender = info->si_pid;
	run.last_signal_ns = now;
	return is_it;
}

static void stop_view(int signal)
{
	run.view_signal = signal;
	spawn_signal(&run.reporter.spawn, SIGKILL); /* it has nothing to clean up */
}

/* Attached: the first signal finishes the file; a second one ends us at once (the kernel lets the target go), but for a
 * view, of which no half may stay. */
static void on_signal_attached(int signal, siginfo_t *info, void *context)
{
	static const struct sigaction usual = {.sa_handler = SIG_DFL};
	int error_number = errno;

	if (is_echo(info)) {
	} else if (run.in_view) {
		stop_view(signal);
	} else if (!run.session.stop_signal) {
		stop_by(signal);
	} else {
		sigaction(signal, &usual, NULL);
		raise(signal);
	}
	errno = error_number;
}

/* With a program: Ctrl-C is the program's own (the terminal sends it to both), only a second one is ours. All of them
 * are when the program is over. */
static void on_signal_spawned(int signal, siginfo_t *info, void *context)
{
	int error_number = errno;
	bool is_started = run.spawn.pid > 0, is_ours = !is_started || run.spawn.ended;

	bool echo = is_echo(info);
	if (signal != SIGINT) {
		spawn_signal(&run.spawn, signal);
		run.is_forwarded = is_started;
	} else {
		is_ours |= ++run.interrupts > 1;
	}
	if (run.in_view && is_ours && !echo)
		stop_view(signal);
	if (signal != SIGINT || is_ours)
		stop_by(signal);
	errno = error_number;
}

/* No SA_RESTART: sleeps and blocking calls end. SIGHUP stays ignored when it was (nohup). */
static void install_handlers(void)
{
	struct sigaction handler = {.sa_sigaction = run.has_program ? on_signal_spawned : on_signal_attached,
	                            .sa_flags = SA_SIGINFO};
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;

	sigfillset(&handler.sa_mask);
	sigaction(SIGINT, &handler, NULL);
	sigaction(SIGTERM, &handler, NULL);
	if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &handler, NULL);
	sigaction(SIGPIPE, &ignore, NULL); /* writing says EPIPE, and beyond a file size limit EFBIG */
	sigaction(SIGXFSZ, &ignore, NULL);
}

/* Die of a signal, the one that came before there was anything to finish, or that ended the view. */
static int leave_by_signal(void)
{
	int signal = run.view_signal ? run.view_signal : run.session.stop_signal;
	struct sigaction usual = {.sa_handler = SIG_DFL};
	sigaction(signal, &usual, NULL);
	raise(signal);
	return 128 + signal;
}

static const char *shown(struct buf *b, const char *path)
{
	buf_reset(b);
	if (!strcmp(path, "-"))
		buf_str(b, "standard output");
	else
		escape_text(b, path, strlen(path));
	return buf_cstr(b);
}

/* 0, or the exit status. */
static int open_output(struct sink *sink, const struct record_options *o, int failed)
{
	char path[sizeof sink->path];
	int error_number;

	if (o->output && !strcmp(o->output, "-") && isatty(STDOUT_FILENO) && (!o->view || o->view->is_binary)) {
		log_error("-o -: standard output is a terminal, which cannot show a %s; redirect it, or name a file",
		          o->view ? "file of this format" : "recording");
		return EXIT_USAGE;
	}
	if (recording_place_open(sink, &run.view, o, path, sizeof path, &error_number) == 0)
		return 0;
	if (error_number == EINTR && run.session.stop_signal)
		return leave_by_signal();
	struct buf b;
	buf_init(&b, 0);
	log_error("cannot write %s: %s; choose another place with -o", shown(&b, path), strerror(error_number));
	buf_done(&b);
	return failed;
}

/* 0, or the exit status. */
static int start_program(char **program)
{
	int error_number;
	if (spawn_start(&run.spawn, program, &error_number) == 0) {
		if (run.session.stop_signal && !run.is_forwarded) /* it came between our look and the start */
			spawn_signal(&run.spawn, run.session.stop_signal);
		return 0;
	}
	struct buf b;
	buf_init(&b, 0);
	const char *hint = error_number == ENOENT   ? "check the name, and PATH"
	                   : error_number == EACCES ? "make it executable, or start it with: python3 FILE"
	                                            : "check that it runs without pyspy-record";
	log_error("cannot start %s: %s; %s", shown(&b, program[0]), strerror(error_number), hint);
	buf_done(&b);
	if (error_number == EAGAIN || error_number == ENOMEM)
		return EXIT_RECORDER;
	return error_number == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

static const char *why_ended(const struct session_result *r)
{
	switch (r->reason) {
	case WIRE_END_DURATION:
		return "the time is over";
	case WIRE_END_TARGET:
		return "the program ended";
	case WIRE_END_SIGINT:
		return "Ctrl-C";
	case WIRE_END_SIGTERM:
		return "SIGTERM";
	case WIRE_END_SIGHUP:
		return "SIGHUP";
	case WIRE_END_OUTPUT:
		return "the output failed";
	default:
		return "an error ended it";
	}
}

/* The reader of our output has gone: that is its right, if it has got something. */
static bool is_reader_gone(const struct session_result *r, const struct sink *sink)
{
	return r->error == ERR_IO && sink->error_number == EPIPE && sink->bytes > 0;
}

static void explain_failure(const struct session_result *r, const struct sink *sink)
{
	struct buf b;
	buf_init(&b, 0);
	if (r->error == ERR_IO)
		log_error("cannot write %s: %s; %s", shown(&b, sink->path), strerror(sink->error_number),
		          sink->error_number == EPIPE ? "nobody reads it"
		          : sink->bytes               ? "what was written before is whole and can be read"
		                                      : "nothing was recorded");
	else if (*r->message)
		log_error("%s", r->message);
	else if (run.session.stop_signal)
		log_error("nothing was recorded: stopped before the first sample");
	else
		log_error("recording failed: %s", err_words(r->error));
	if (run.has_program && !spawn_poll(&run.spawn))
		log_info("the program goes on");
	buf_done(&b);
}

static void summarise(const struct record_options *o, const struct session_result *r)
{
	struct status_now n = {
	    .elapsed_ns = r->elapsed_ns,
	    .ticks = r->ticks,
	    .samples = r->samples,
	    .late = r->late,
	    .uncertified = r->uncertified,
	    .stops = r->stops,
	    .stopped_ns = r->stopped_ns,
	    .reads_failed = r->reads_failed,
	    .threads = r->threads_seen,
	    .cpu_ppm = o->cpu_ppm,
	    .cpu_ns = r->cpu_ns,
	    .mean_hz = r->mean_hz,
	    .lowest_hz = r->lowest_hz,
	    .asked_hz = o->rate_hz,
	};
	status_summary(&n, why_ended(r));
}

/* The recording to its end. *recording: with a view, a descriptor to read it, or -errno. True: the recorder did
 * what it should. */
static bool record(const struct record_options *o, const struct choice *choice, struct sink *sink, char *const *words,
                   int *recording)
{
	struct session_result r;

	session_run(o, choice, run.has_program ? &run.spawn : NULL, sink, &run.session, words, &r);
	log_progress("");
	run.in_view = o->view && sink->bytes; /* from here on a signal means the view */
	*recording = run.in_view ? sink_reopen(sink) : -1;
	if (run.in_view && *recording < 0)
		*recording = -errno;
	if (sink_close(sink) < 0 && r.error == 0)
		r.error = ERR_IO;
	bool is_fine = r.error == 0 || is_reader_gone(&r, sink);
	if (!is_fine)
		explain_failure(&r, sink);
	if (sink->bytes) {
		summarise(o, &r);
		if (!o->view)
			status_wrote(sink, "flamegraph", NULL);
	}
	/* a program that was over before it could be looked at: its status says more than ours */
	return is_fine || (run.has_program && r.error == ERR_GONE);
}

static int run_record(const struct record_options *o, char *const *words)
{
	struct sink sink;
	int recording = -1;

	run.has_program = o->program != NULL;
	run.view.fd = -1;
	int failed = run.has_program ? EXIT_RECORDER : EXIT_ERROR;
	spawn_init(&run.spawn);
	run.spawn.stdout_to_stderr = o->output && !strcmp(o->output, "-");
	install_handlers();
	status_init(!run.has_program);
	int status = open_output(&sink, o, failed);
	if (status)
		return status;
	struct choice choice;
	if (choice_make(&choice, o) < 0) {
		log_error("--engine kernel: %s", *choice.why ? choice.why : err_words(ERR_NO_MEMORY));
		status = failed;
	} else if (run.session.stop_signal)
		status = -1;
	else if (o->program)
		status = start_program(o->program);
	if (status) {
		choice_done(&choice);
		sink_close(&sink);
		return status < 0 ? leave_by_signal() : status;
	}
	bool is_fine = record(o, &choice, &sink, words, &recording);
	choice_done(&choice);
	if (run.in_view) {
		struct handover h = {
		    .view = &run.view, .reporter = &run.reporter, .sink = &sink, .signal = &run.view_signal};
		is_fine &= handover_run(&h, o, recording, is_fine);
		run.in_view = 0;
	}
	view_file_drop(&run.view);
	if (run.view_signal && (!run.has_program || run.spawn.ended))
		return leave_by_signal();
	if (!run.has_program)
		return is_fine ? EXIT_FINE : EXIT_ERROR;
	spawn_wait(&run.spawn);
	if (!is_fine)
		return EXIT_RECORDER;
	spawn_exit_like(&run.spawn);
}

int cmd_record(int argc, char **argv, char *const *words)
{
	struct record_options o;

	int rc = record_options_parse(&o, argc, argv);
	if (rc == 0) {
		log_init("pyspy-record", o.quiet);
		rc = run_record(&o, words);
	} else {
		rc = rc < 0 ? EXIT_USAGE : EXIT_FINE;
	}
	record_options_done(&o);
	return rc;
}

#include "pyspy-report/live/live_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "pyspy-report/live/live_child.h"
#include "pyspy-report/live/live_keys.h"
#include "pyspy-report/live/live_save.h"
#include "pyspy-report/live/live_screen.h"
#include "pyspy-report/live/live_signals.h"
#include "pyspy-report/live/live_source.h"

#define NS_PER_MS  UINT64_C(1000000)
#define WINDOW_MIN CLOCK_NS_PER_S    /* what "now" is, at least */
#define FIRST_NS   (100 * NS_PER_MS) /* until the first samples are here pictures come this often */
enum { LOOKS = 20, END_MS = 1500, DEAD_MS = 3000, STATUS_RECORDER = 125 };

struct loop {
	const struct live_options *o;
	struct live_child child;
	struct live_source source;
	struct live_model model;
	struct live_lines lines;
	int in; /* keys; -1 = no terminal */
	bool has_screen, has_model;
	uint64_t look_next_ns, look_cost_ns;
	bool is_quit;    /* by a key */
	char saved[160]; /* the last recording that `s` made; "" = none */
};

static int say_failure(const struct live_options *o, const char *what, const char *why)
{
	struct buf b;

	buf_init(&b, 0);
	escape_text(&b, what, strlen(what));
	log_error("cannot %s: %s", buf_cstr(&b), why);
	buf_done(&b);
	return o->error;
}

/* Keys: from standard input when it is a terminal, else from the one that we belong to. */
static int open_keys(const struct live_options *o)
{
	bool is_input = o->follow && strcmp(o->follow, "-") == 0;

	if (!isatty(STDOUT_FILENO))
		return -1;
	if (!is_input && isatty(STDIN_FILENO))
		return STDIN_FILENO;
	return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

static int open_source(struct loop *l)
{
	const struct live_options *o = l->o;
	const char *what = "start";
	int fd = STDIN_FILENO;
	struct buf b;

	if (!o->follow) {
		if (live_child_start(&l->child, o->args, o->n_args, &what) < 0)
			return say_failure(o, what, strerror(errno));
		fd = l->child.fd;
	} else if (strcmp(o->follow, "-") != 0) {
		fd = open(o->follow, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		buf_init(&b, 0);
		buf_printf(&b, "follow %s", o->follow);
		int status = say_failure(o, buf_cstr(&b), strerror(errno));
		buf_done(&b);
		return status;
	}
	if (o->follow && isatty(fd))
		return say_failure(o, "follow a terminal",
		                   "a recording is wanted: pyspy-record -o - ... | pyspy-report top --follow -");
	int rc = live_source_start(&l->source, fd, o->follow ? o->follow : "pyspy-record",
	                           o->delay_ns > WINDOW_MIN ? o->delay_ns : WINDOW_MIN);
	if (rc < 0)
		return say_failure(o, "read the recording", rc == ERR_SYSTEM ? strerror(errno) : err_words(rc));
	return 0;
}

/* What keys asked for that is not the model's own. Locked. */
static int obey(struct loop *l)
{
	struct live_model *m = &l->model;
	char name[160];
	int rc;

	if (m->saves) {
		m->saves = false;
		rc = live_save(&l->source, l->o->program, name, sizeof name);
		if (!rc)
			snprintf(l->saved, sizeof l->saved, "%s", name);
		if (!rc && l->source.sums.reset_ns && l->source.sums.profile.recordings.n) {
			uint64_t from = l->source.sums.reset_ns - l->source.sums.profile.recordings.v[0].started_ns;
			live_model_say(m, "saved %s (all of it; since r: --time %.3fs..)", name, (double)from / 1e9);
		} else if (!rc) {
			live_model_say(m, "saved %s", name);
		} else {
			live_model_say(m, "not saved: %s",
			               rc == ERR_GONE   ? "nothing was seen yet"
			               : rc == ERR_FULL ? "it is longer than what is kept (2 GB)"
			                                : strerror(errno));
		}
	}
	if (m->resets) {
		m->resets = false;
		TRY(live_sums_reset(&l->source.sums));
	}
	rc = live_source_hold(&l->source, m->is_paused);
	return rc < 0 ? rc : 0;
}

/* Count anew, draw. */
static int look(struct loop *l, bool counts)
{
	uint64_t begin = clock_mono_ns();
	int rc = 0;

	live_source_lock(&l->source);
	if (l->source.was_let_go) {
		l->source.was_let_go = l->model.is_paused = false;
		live_model_say(&l->model, "held for too long: going on");
	}
	rc = obey(l);
	l->model.is_over = l->source.is_over;
	if (!rc && counts)
		rc = live_model_look(&l->model);
	if (!rc) {
		if (l->has_screen)
			live_screen_size(&l->lines.width, &l->lines.height);
		rc = live_lines_make(&l->lines, &l->model);
	}
	live_source_unlock(&l->source);
	if (counts)
		l->look_cost_ns = clock_mono_ns() - begin;
	if (!rc && l->has_screen)
		live_screen_draw(&l->lines); /* may stand still, without the lock */
	return rc;
}

/* For a file or a pipe, and the last picture: as text. */
static void print_lines(const struct live_lines *l)
{
	for (size_t i = 0; i < l->v.n; i++) {
		size_t n = l->v.v[i].n;
		const char *s = (const char *)l->text.data + l->v.v[i].begin;

		while (n && s[n - 1] == ' ')
			n--;
		fwrite(s, 1, n, stdout);
		putchar('\n');
	}
	putchar('\n');
	fflush(stdout);
}

static void read_keys(struct loop *l, bool *counts, bool *draws)
{
	bool resized;
	uint32_t key;

	do {
		key = live_screen_key(&resized);
		*draws |= resized || key != LIVE_KEY_NONE;
		if (key != LIVE_KEY_NONE) {
			bool again;
			live_source_lock(&l->source);
			again = live_keys_press(&l->model, key);
			live_source_unlock(&l->source);
			*counts |= again;
			if (again && look(l, true) < 0) /* the next key is for what this one did */
				return;
		}
	} while (key != LIVE_KEY_NONE && !l->model.quits);
}

/* When the next picture is due: rarer when it costs much. */
static void plan(struct loop *l, uint64_t now)
{
	uint64_t delay = l->o->delay_ns, least = l->look_cost_ns * LOOKS;

	if (l->model.is_waiting && l->has_screen)
		delay = delay < FIRST_NS ? delay : FIRST_NS;
	l->look_next_ns = now + (delay > least ? delay : least);
}

static bool is_over(struct loop *l)
{
	live_source_lock(&l->source);
	bool over = l->source.is_over;
	live_source_unlock(&l->source);
	return over;
}

/* Until something ends. 0, or ERR_*. */
static int run(struct loop *l)
{
	uint64_t one;
	int rc = 0;

	while (!rc && !l->is_quit && !live_signals_caught()) {
		uint64_t now = clock_mono_ns();
		bool counts = now >= l->look_next_ns, draws = counts;
		struct pollfd p[] = {{.fd = live_signals_fd(), .events = POLLIN},
		                     {.fd = l->source.news_fd, .events = POLLIN},
		                     {.fd = l->has_screen ? l->in : -1, .events = POLLIN}};

		if (!counts) {
			int ms = (int)((l->look_next_ns - now) / NS_PER_MS) + 1;
			poll(p, 3, ms < 1000 ? ms : 1000);
		}
		if (p[1].revents && read(l->source.news_fd, &one, sizeof one) > 0 && l->model.is_waiting)
			counts = draws = l->has_screen;
		if (l->has_screen) {
			read_keys(l, &counts, &draws);
			l->is_quit = l->model.quits;
			if (p[2].revents & (POLLHUP | POLLERR)) /* the terminal has gone */
				raise(SIGHUP);
		}
		if (is_over(l) && !(l->has_screen && l->model.is_paused))
			break;
		if (!draws || l->is_quit)
			continue;
		rc = look(l, counts);
		if (!rc && counts && !l->has_screen && !l->model.is_waiting)
			print_lines(&l->lines);
		if (counts)
			plan(l, clock_mono_ns());
		if (!l->has_screen && ferror(stdout))
			l->is_quit = true; /* nobody reads it */
	}
	return rc;
}

/* Nobody looks any more: the recorder, and the program with it, is asked to end. */
static void end_child(struct loop *l)
{
	if (!l->child.pid)
		return;
	if (live_child_wait(&l->child, is_over(l) ? DEAD_MS : 0))
		return;
	live_child_signal(&l->child, live_signals_caught() == SIGHUP ? SIGHUP : SIGTERM);
	if (live_child_wait(&l->child, END_MS))
		return;
	log_error("the program does not end; it goes on without being looked at (pyspy-record is process %d)",
	          (int)l->child.pid);
}

/* Of the program, or of the recorder that failed. */
static int child_status(const struct loop *l)
{
	const struct profile *p = &l->source.sums.profile;
	bool is_closed = p->recordings.n && p->recordings.v[p->recordings.n - 1].is_closed;

	if (!l->child.has_ended)
		return l->o->error;
	if (WIFSIGNALED(l->child.status) && !is_closed) { /* else it died as its program did */
		log_error("pyspy-record was killed by signal %d; what was seen until then is above",
		          WTERMSIG(l->child.status));
		return l->o->is_program ? STATUS_RECORDER : l->o->error;
	}
	return live_child_status(&l->child);
}

static int end_status(struct loop *l, int rc)
{
	const struct live_options *o = l->o;
	int signal = live_signals_caught();

	if (rc < 0)
		return say_failure(o, "make the picture", err_words(rc));
	if (signal && signal != SIGINT)
		return 128 + signal;
	if (signal || l->is_quit)
		return 0;
	if (l->child.pid)
		return child_status(l);
	switch (l->source.rc) {
	case 0:
		return 0;
	case ERR_SYSTEM:
		return say_failure(o, "read the recording", strerror(l->source.error_number));
	case ERR_FORMAT:
		return say_failure(o, "follow this",
		                   l->source.sums.profile.input_bytes ? "it is not a recording of pyspy-record"
		                                                      : "nothing came: there is no recording in it");
	case ERR_DAMAGED:
		return say_failure(o, "go on", "the file became shorter: it was replaced; follow it anew");
	default:
		return say_failure(o, "read the recording", err_words(l->source.rc));
	}
}

static int open_screen(struct loop *l)
{
	l->in = open_keys(l->o);
	if (l->in < 0)
		return 0;
	int rc = live_screen_open(l->in, STDOUT_FILENO);
	if (rc == ERR_USAGE) {
		log_info("TERM names no terminal that is known here: plain tables");
		return 0;
	}
	if (rc < 0)
		return say_failure(l->o, "take the terminal", strerror(errno));
	l->has_screen = true;
	l->lines.is_ascii = live_screen_is_ascii();
	return 0;
}

static void begin_model(struct loop *l)
{
	const struct live_options *o = l->o;

	live_model_init(&l->model, &l->source.sums);
	l->model.want = o->want;
	l->model.sort = o->by_total ? LIVE_BY_TOTAL_NOW : LIVE_BY_SELF_NOW;
	l->lines.command = o->command;
	l->lines.rows = o->limit;
	l->lines.output = o->is_program && l->child.output[0] ? l->child.output : NULL;
	l->has_model = true;
	plan(l, clock_mono_ns());
}

/* What is left on the terminal: the last picture, and what is to be known. */
static int finish(struct loop *l, int rc)
{
	bool had_screen = l->has_screen, is_killed = live_signals_caught() && live_signals_caught() != SIGINT;

	if (had_screen && l->model.view == LIVE_HELP) { /* of no use any more */
		live_keys_press(&l->model, LIVE_KEY_ESCAPE);
		l->model.view = LIVE_TABLE;
		rc = rc ? rc : look(l, true);
	}
	live_screen_close();
	l->has_screen = false;
	if (!rc && !is_killed && !l->model.is_waiting) {
		if (had_screen) /* as it was; its keys are of no use any more */
			l->lines.v.n -= l->lines.v.n > 0;
		while (l->lines.v.n && !l->lines.v.v[l->lines.v.n - 1].n)
			l->lines.v.n--;
		print_lines(&l->lines);
	}
	if (l->saved[0])
		log_info("saved %s", l->saved);
	end_child(l);
	live_signals_leave();
	return rc;
}

int live_loop_run(const struct live_options *o)
{
	struct loop l = {.o = o, .in = -1, .child = {.fd = -1}};
	int rc, status;

	live_signals_catch(&l.child);
	live_lines_init(&l.lines);
	status = open_source(&l);
	if (!status) {
		begin_model(&l);
		status = open_screen(&l);
	}
	if (!status) {
		rc = l.has_screen ? look(&l, true) : 0;
		if (!rc)
			rc = run(&l);
		/* what came at last */
		if (!rc && is_over(&l)) {
			l.model.is_over = true;
			buf_reset(&l.model.message);
			rc = look(&l, true);
		}
		rc = finish(&l, rc);
		live_source_stop(&l.source);
		live_child_tell(&l.child, o->is_program);
		status = end_status(&l, rc);
	} else {
		live_child_signal(&l.child, SIGTERM);
		live_child_wait(&l.child, END_MS);
		live_child_tell(&l.child, o->is_program);
	}
	if (l.has_model)
		live_model_done(&l.model);
	if (l.source.news_fd || l.source.has_thread)
		live_source_done(&l.source);
	live_lines_done(&l.lines);
	if (l.in > STDIN_FILENO)
		close(l.in);
	return status;
}

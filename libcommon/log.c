#include "libcommon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/utf8.h"

#define CLEAR_LINE "\r\033[K"
enum { USUAL_COLUMNS = 80 };

static struct {
	const char *program;
	bool is_quiet, is_terminal;
	bool has_progress; /* on the screen now */
} state = {.program = "pyspy"};

void log_init(const char *program, bool quiet)
{
	const char *term = getenv("TERM");

	state.program = program;
	state.is_quiet = quiet;
	state.is_terminal = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

/* One write for the whole message: lines of several processes on one terminal stay whole. */
static void emit(struct buf *b)
{
	if (!b->err && b->len)
		fwrite(b->data, 1, b->len, stderr);
	fflush(stderr);
}

static void clear_progress(struct buf *b)
{
	if (state.has_progress)
		buf_str(b, CLEAR_LINE);
	state.has_progress = false;
}

static void message(const char *fmt, va_list ap)
{
	struct buf b;
	char *text = NULL;

	buf_init(&b, 0);
	clear_progress(&b);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	buf_printf(&b, "%s: %s\n", state.program, text ? text : fmt);
	emit(&b);
	free(text);
	buf_done(&b);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	if (state.is_quiet)
		return;
	va_start(ap, fmt);
	message(fmt, ap);
	va_end(ap);
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(fmt, ap);
	va_end(ap);
}

/* Bytes of `line` that fit on the terminal's line: one that wraps could not be cleared again. */
static size_t fitting(const char *line)
{
	struct winsize w;
	size_t columns = USUAL_COLUMNS, used = 0, n = strlen(line), i = 0;
	uint32_t cp;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
		columns = w.ws_col;
	while (i < n) {
		size_t len = utf8_next(line + i, n - i, &cp);

		used += utf8_columns(line + i, len);
		if (used >= columns)
			break;
		i += len;
	}
	return i;
}

bool log_has_screen(void)
{
	return state.is_terminal && !state.is_quiet;
}

void log_progress(const char *line)
{
	struct buf b;

	if (!log_has_screen())
		return;
	buf_init(&b, 0);
	clear_progress(&b);
	if (*line) {
		buf_put(&b, line, fitting(line));
		state.has_progress = true;
	}
	emit(&b);
	buf_done(&b);
}

#include "pyspy-report/live/live_screen.h"

#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "libcommon/err.h"
#include "libcommon/fds.h"
#include "libcommon/utf8.h"
#include "pyspy-report/live/live_keys.h"

enum { ESCAPE_MS = 25 };

static struct {
	SCREEN *screen;
	FILE *in, *out;
	int in_fd, out_fd;
	volatile bool is_open;
	bool is_ascii, has_termios;
	struct termios before;
	char restore[256]; /* what a terminal of this kind has to be told */
} it;

static void add_string(const char *name)
{
	const char *s = tigetstr((char *)name);

	if (s && s != (char *)-1 && strlen(it.restore) + strlen(s) < sizeof it.restore && !strchr(s, '$'))
		strcat(it.restore, s);
}

int live_screen_open(int in, int out)
{
	memset(&it, 0, sizeof it);
	setlocale(LC_CTYPE, "");
	it.is_ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	it.in_fd = in;
	it.out_fd = out;
	it.has_termios = tcgetattr(out, &it.before) == 0;
	int in_copy = dup(in), out_copy = dup(out);
	it.in = in_copy < 0 ? NULL : fdopen(in_copy, "r");
	it.out = out_copy < 0 ? NULL : fdopen(out_copy, "w");
	if (!it.in || !it.out)
		return ERR_SYSTEM;
	it.screen = newterm(NULL, it.out, it.in);
	if (!it.screen)
		return ERR_USAGE;
	set_term(it.screen);
	add_string("sgr0");
	add_string("rmkx");
	add_string("cnorm");
	add_string("rmcup");
	it.is_open = true;
	set_escdelay(ESCAPE_MS);
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	if (has_colors()) {
		start_color();
		use_default_colors();
		init_pair(1, COLOR_YELLOW, -1);
	}
	return 0;
}

void live_screen_close(void)
{
	if (!it.screen)
		return;
	curs_set(1);
	endwin();
	it.is_open = false; /* a signal until here restores it once more */
	delscreen(it.screen);
	it.screen = NULL;
	fclose(it.in);
	fclose(it.out);
}

void live_screen_rescue(void)
{
	struct pollfd p = {.fd = it.out_fd, .events = POLLOUT};

	if (!it.is_open)
		return;
	it.is_open = false;
	tcflush(it.out_fd, TCOFLUSH);
	if (it.has_termios)
		tcsetattr(it.out_fd, TCSANOW, &it.before);
	if (poll(&p, 1, 0) == 1 && p.revents & POLLOUT && write(it.out_fd, it.restore, strlen(it.restore)) < 0)
		return; /* there is nobody to tell */
}

void live_screen_size(size_t *width, size_t *height)
{
	*width = COLS > 1 ? (size_t)COLS : 1;
	*height = LINES > 1 ? (size_t)LINES : 1;
}

bool live_screen_is_ascii(void)
{
	return it.is_ascii;
}

static attr_t attribute(enum live_style style)
{
	switch (style) {
	case LIVE_STRONG:
		return A_BOLD;
	case LIVE_FAINT:
		return A_DIM;
	case LIVE_HEAD:
		return A_REVERSE;
	case LIVE_CHOSEN:
		return A_STANDOUT | A_BOLD;
	case LIVE_WARN:
		return A_BOLD | (has_colors() ? COLOR_PAIR(1) : 0);
	default:
		return A_NORMAL;
	}
}

/* The terminal's library has its own idea of what is how wide: what it sees otherwise than we is shown as '?'. */
static int convert(wchar_t *out, size_t room, const char *s, size_t n, size_t columns)
{
	size_t used = 0, k = 0;
	uint32_t cp;

	for (size_t i = 0; i < n && k + 3 < room;) {
		i += utf8_next(s + i, n - i, &cp);
		int width = utf8_width(cp);

		if (used + (size_t)width > columns)
			break;
		used += (size_t)width;
		if (wcwidth((wchar_t)cp) == width && (cp >= 0x20 && cp != 0x7F)) {
			out[k++] = (wchar_t)cp;
			continue;
		}
		for (int j = 0; j < width; j++)
			out[k++] = L'?';
	}
	out[k] = 0;
	return (int)k;
}

void live_screen_draw(const struct live_lines *l)
{
	size_t width, height, room;

	live_screen_size(&width, &height);
	room = 4 * width + 8; /* with marks */
	wchar_t *line = malloc(room * sizeof *line);
	if (!line)
		return;
	erase();
	for (size_t i = 0; i < l->v.n && i < height; i++) {
		const struct live_line *k = &l->v.v[i];
		/* the last cell of the last line would scroll on some terminals */
		size_t columns = i + 1 == height ? width - 1 : width;

		convert(line, room, (const char *)l->text.data + k->begin, k->n, columns);
		attrset(attribute(k->style));
		mvaddwstr((int)i, 0, line);
	}
	free(line);
	attrset(A_NORMAL);
	refresh();
}

uint32_t live_screen_key(bool *resized)
{
	wint_t key;
	int rc = get_wch(&key);

	*resized = false;
	if (rc == ERR)
		return LIVE_KEY_NONE;
	if (rc == OK)
		return key == '\r' || key == '\n'   ? LIVE_KEY_ENTER
		       : key == 0x1B                ? LIVE_KEY_ESCAPE
		       : key == 0x7F || key == '\b' ? LIVE_KEY_BACKSPACE
		                                    : (uint32_t)key;
	switch (key) {
	case KEY_RESIZE:
		*resized = true;
		return LIVE_KEY_NONE;
	case KEY_UP:
		return LIVE_KEY_UP;
	case KEY_DOWN:
		return LIVE_KEY_DOWN;
	case KEY_LEFT:
		return LIVE_KEY_LEFT;
	case KEY_RIGHT:
		return LIVE_KEY_RIGHT;
	case KEY_PPAGE:
		return LIVE_KEY_PAGE_UP;
	case KEY_NPAGE:
		return LIVE_KEY_PAGE_DOWN;
	case KEY_HOME:
		return LIVE_KEY_HOME;
	case KEY_END:
		return LIVE_KEY_END;
	case KEY_ENTER:
		return LIVE_KEY_ENTER;
	case KEY_BACKSPACE:
		return LIVE_KEY_BACKSPACE;
	default:
		return LIVE_KEY_NONE;
	}
}

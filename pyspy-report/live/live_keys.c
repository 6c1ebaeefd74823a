#include "pyspy-report/live/live_keys.h"

#include <string.h>

#include "libcommon/utf8.h"

const char *const live_keys_help[] = {
    "1 2 3 4     sort by self now, total now, self since the start, total since",
    "l           lines or functions",
    "t           each thread apart, or added up",
    "g           only who holds the GIL",
    "i           idle too: who sleeps, or waits for the GIL",
    "p           percentages of threads' whole time, or of the time that the rows are of",
    "c           where there is no room for both: percentages of now, or since the start",
    "/           only rows with this in them (a regular expression); empty: all",
    "up, down, page keys, home, end (or k, j)",
    "enter       who called this function, and whom it called; backspace or esc: back",
    "space       hold the picture, or go on (nothing that comes meanwhile is lost)",
    "s           save what was seen as a recording, in this folder",
    "r           count from now on anew",
    "q, Ctrl-C   quit; a program that was started here is ended",
    "",
    "self: the time in the function itself; total: with what it called.",
    "100 % is the whole (wall) time of the threads that have rows, whether they worked",
    "or waited in it; with t: of the row's own thread. So it is never more than 100.",
    "GIL: for how much of the time some thread held it (of several processes: on",
    "the average). active: threads on a CPU or ready for one.",
    "[in motion]: below its caller not known for sure. lost: samples that are missing.",
    NULL,
};

static void type(struct live_model *m, uint32_t key)
{
	char bytes[4];

	if (key == LIVE_KEY_ENTER) {
		m->is_typing = false;
	} else if (key == LIVE_KEY_ESCAPE) {
		m->is_typing = false;
		buf_reset(&m->filter);
	} else if (key == LIVE_KEY_BACKSPACE) {
		while (m->filter.len && (m->filter.data[m->filter.len - 1] & 0xC0) == 0x80)
			m->filter.len--;
		if (m->filter.len)
			m->filter.len--;
	} else if (key < LIVE_KEY_NONE && !utf8_is_unsafe(key) && m->filter.len < m->filter.limit - sizeof bytes) {
		buf_put(&m->filter, bytes, utf8_put(bytes, key));
	}
	live_model_match(m);
	m->at = m->from = 0;
	m->follows = false;
}

static bool move(struct live_model *m, uint32_t key)
{
	long page = m->page > 1 ? (long)m->page - 1 : 1, all = (long)m->items.n;

	switch (key) {
	case LIVE_KEY_UP:
	case 'k':
		live_model_move(m, -1);
		return true;
	case LIVE_KEY_DOWN:
	case 'j':
		live_model_move(m, 1);
		return true;
	case LIVE_KEY_PAGE_UP:
		live_model_move(m, -page);
		return true;
	case LIVE_KEY_PAGE_DOWN:
		live_model_move(m, page);
		return true;
	case LIVE_KEY_HOME:
		live_model_move(m, -all);
		return true;
	case LIVE_KEY_END:
		live_model_move(m, all);
		return true;
	default:
		return false;
	}
}

/* What changes the rows. */
static bool change(struct live_model *m, uint32_t key)
{
	switch (key) {
	case '1':
	case '2':
	case '3':
	case '4':
		m->sort = (enum live_sort)(key - '1');
		return true;
	case 'l':
	case 'L':
		m->want.by_line = !m->want.by_line;
		break;
	case 't':
		m->want.by_thread = !m->want.by_thread;
		break;
	case 'g':
		m->want.gil_only = !m->want.gil_only;
		break;
	case 'i':
		m->want.idle = !m->want.idle;
		break;
	default:
		return false;
	}
	m->at = m->from = 0;
	m->follows = false;
	while (live_model_back(m)) /* its name may be another now */
		;
	return true;
}

static void leave(struct live_model *m)
{
	if (!live_model_back(m) && m->filter.len) {
		buf_reset(&m->filter);
		live_model_match(m);
	}
}

static bool scroll_help(struct live_model *m, uint32_t key)
{
	size_t step = key == LIVE_KEY_PAGE_DOWN || key == LIVE_KEY_PAGE_UP ? m->page : 1;
	size_t last = m->help_lines > m->page ? m->help_lines - m->page : 0;

	switch (key) {
	case LIVE_KEY_DOWN:
	case LIVE_KEY_PAGE_DOWN:
	case 'j':
		m->at = m->at + step < last ? m->at + step : last;
		return true;
	case LIVE_KEY_UP:
	case LIVE_KEY_PAGE_UP:
	case 'k':
		m->at = m->at > step ? m->at - step : 0;
		return true;
	case LIVE_KEY_HOME:
	case LIVE_KEY_END:
		m->at = key == LIVE_KEY_HOME ? 0 : last;
		return true;
	default:
		return false;
	}
}

bool live_keys_press(struct live_model *m, uint32_t key)
{
	if (key == LIVE_KEY_NONE)
		return false;
	if (m->is_typing) {
		type(m, key);
		return true;
	}
	buf_reset(&m->message);
	if (key == 'q' || key == 'Q' || key == 3) {
		m->quits = true;
		return false;
	}
	if (m->view == LIVE_HELP && scroll_help(m, key))
		return false;
	if (m->view == LIVE_HELP) {
		m->at = m->from = 0;
		m->follows = false;
		m->view = m->around.n ? LIVE_AROUND : LIVE_TABLE;
		return true;
	}
	if (move(m, key))
		return false;
	if (change(m, key))
		return true;
	switch (key) {
	case '?':
	case 'h':
		m->view = LIVE_HELP;
		m->at = m->from = 0;
		m->help_lines = SIZE_MAX / 2; /* until it is drawn */
		return false;
	case 'p':
		m->is_of_shown = !m->is_of_shown;
		return true;
	case 'c':
		m->shows_since = !m->shows_since;
		return false;
	case ' ':
		m->is_paused = !m->is_paused;
		return true;
	case 's':
		m->saves = true;
		return false;
	case 'r':
	case 'R':
		m->resets = true;
		return true;
	case '/':
		m->is_typing = m->view == LIVE_TABLE;
		return false;
	case LIVE_KEY_ENTER:
	case LIVE_KEY_RIGHT:
		return live_model_enter(m);
	case LIVE_KEY_ESCAPE:
	case LIVE_KEY_BACKSPACE:
	case LIVE_KEY_LEFT:
		leave(m);
		return true;
	default:
		live_model_say(m, "this key does nothing; ? shows those that do");
		return false;
	}
}

#include "pyspy-report/report_progress.h"

#include <string.h>

#include "libcommon/buf.h"
#include "libcommon/clock.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"

#define QUIET_NS (1 * CLOCK_NS_PER_S)
#define EVERY_NS (CLOCK_NS_PER_S / 10)
enum { BAR = 30, NAME_MAX_BYTES = 200 };

static struct {
	bool is_on;
	const char *what, *name;
	uint64_t all, begun_ns, shown_ns;
	uint64_t started_ns; /* the first job: a second job of the same command need not wait again */
} state;

void report_progress_begin(const char *what, const char *name, uint64_t all)
{
	state.is_on = log_has_screen();
	if (!state.is_on)
		return;
	state.what = what;
	state.name = name;
	state.all = all == UINT64_MAX ? 0 : all;
	state.begun_ns = clock_mono_ns();
	state.shown_ns = 0;
	if (!state.started_ns)
		state.started_ns = state.begun_ns;
}

static bool is_due(uint64_t now)
{
	return state.is_on && now - state.started_ns >= QUIET_NS && now - state.shown_ns >= EVERY_NS;
}

static void put_bar(struct buf *b, uint64_t bytes, uint64_t now)
{
	char text[HUMAN_SIZE];
	double part = bytes < state.all ? (double)bytes / (double)state.all : 1;
	int full = (int)(part * BAR);
	double left_ns = part > 0 ? (double)(now - state.begun_ns) * (1 - part) / part : 0;

	buf_str(b, " [");
	for (int i = 0; i < BAR; i++)
		buf_u8(b, i < full ? '#' : '-');
	buf_printf(b, "] %d %%", (int)(part * 100));
	if (left_ns >= CLOCK_NS_PER_S && left_ns < 1e18)
		buf_printf(b, ", %s left", human_duration(text, (uint64_t)(left_ns / 1e9) * CLOCK_NS_PER_S));
}

void report_progress_bytes(uint64_t bytes)
{
	uint64_t now;
	char text[HUMAN_SIZE];
	struct buf b;
	size_t n;

	if (!state.is_on || !is_due(now = clock_mono_ns()))
		return;
	state.shown_ns = now;
	buf_init(&b, 0);
	buf_printf(&b, "%s ", state.what);
	n = strlen(state.name);
	escape_text(&b, state.name, n < NAME_MAX_BYTES ? n : NAME_MAX_BYTES);
	if (state.all)
		put_bar(&b, bytes, now);
	else
		buf_printf(&b, ": %s", human_bytes(text, bytes));
	log_progress(buf_cstr(&b));
	buf_done(&b);
}

void report_progress_say(const char *what)
{
	uint64_t now = clock_mono_ns();

	if (log_has_screen() && state.started_ns && now - state.started_ns >= QUIET_NS)
		log_progress(what);
}

void report_progress_end(void)
{
	state.is_on = false;
	log_progress("");
}

/* The golden recording of names. */
#include "tests/unit/support_golden.h"

#include <string.h>

#define N(array) (sizeof(array) / sizeof(array)[0])

/* Names as a hostile or unlucky program may give them. */
void support_golden_names(struct buf *out)
{
	static const char *const NAMES[] = {
	    "</script><script>alert(1)</script>",
	    "<lambda>",
	    "a;b 12",
	    "quotes \" ' ` and & and \\",
	    "'; DROP TABLE sample; --",
	    "=cmd|' /C calc'!A0",
	    "%s%n%x",
	    "new\nline\ttab\rreturn",
	    "\033[31mred\033[0m\a",
	    "bidi \342\200\256evil\342\200\254",
	    "line\xE2\x80\xA8separator",
	    "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE9\x96\xA2\xE6\x95\xB0", /* wide */
	    "e\xCC\x81t\xCC\xA7",                                           /* combining */
	    "\xF0\x9F\x90\x8D",                                             /* outside the BMP */
	    "surrogate \xED\xB2\x80",
	    "bad byte \xFF",
	    "c1 \302\23331m",
	    "[in motion]",
	    "",
	    " ",
	};
	struct support_recording r;
	struct rec_entry entries[N(NAMES) + 3];
	char long_name[400];
	uint32_t n_entries = 0;
	stack_id s = 0;
	uint64_t n;

	support_golden_open(&r, 0x07, 0);
	support_recording_process(&r, 1, 4711, "</title>\033]0;x\a.py");
	for (unsigned i = 0; i < N(NAMES); i++)
		s = support_golden_frame(&r, s, NAMES[i], NAMES[i], NAMES[N(NAMES) - 1 - i], i, (int32_t)i + 1);
	memset(long_name, 'x', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = 0;
	s = support_golden_frame(&r, s, "long", long_name, "../../../etc/passwd", 1, 1);
	/* a NUL inside */
	struct rec_function nul = {.module = support_recording_string(&r, "nul"),
	                           .qualname = support_recording_bytes(&r, "a\0b", 3),
	                           .file = support_recording_string(&r, "/srv/\xED\xB3\xBF/\xED\xB3\xBE.py"),
	                           .first_line = 1};
	r.first_lines[++r.n_functions] = 1;
	encode_add_function(&r.functions, r.n_functions, &nul);
	support_recording_stack(&r, s, support_recording_line(&r, r.n_functions, 2), true);
	struct rec_function made_up = {.kind = WIRE_FUNCTION_SYNTHETIC,
	                               .qualname = support_recording_string(&r, "no stack")};
	r.first_lines[++r.n_functions] = 0;
	encode_add_function(&r.functions, r.n_functions, &made_up);
	struct rec_location no_line = {.function = r.n_functions};
	support_recording_stack(&r, 0, support_recording_location(&r, &no_line), true);
	/* every depth is a leaf once */
	for (stack_id leaf = 1; leaf <= r.n_stacks; leaf++)
		entries[n_entries++] = (struct rec_entry){.tick = leaf - 1,
		                                          .thread = 1,
		                                          .stack = leaf,
		                                          .has_stack = true,
		                                          .flags = WIRE_STATE_ACTIVE | WIRE_FLAG_GIL,
		                                          .cpu_ns = leaf > 1 ? 100 * SUPPORT_MS : 0};
	r.block.end_ns = r.block.begin_ns + n_entries * r.mean_gap_ns;
	n = support_recording_ticks(&r, n_entries, entries, n_entries, NULL, 0);
	encode_thread(&r.content, &(struct rec_thread){.id = 1,
	                                               .process = 1,
	                                               .tid = 4711,
	                                               .ns_tid = 4711,
	                                               .name = support_recording_string(&r, "\033[2J<b>\xE2\x80\xAE"),
	                                               .flags = WIRE_THREAD_MAIN});
	support_golden_put_end(&r, WIRE_END_DURATION, 0, 0);
	support_recording_seal(&r, n, n_entries, true);
	support_golden_end(&r, out);
}

#include "pyspy-report/view/words.h"

#include <stddef.h>

#include "format/decode.h"
#include "format/wire.h"

#define WORD(list, i) ((size_t)(i) < sizeof(list) / sizeof *(list) && (list)[i] ? (list)[i] : "unknown")

const char *words_state(uint32_t state)
{
	static const char *const list[] = {"unknown", "on-cpu", "runnable", "active", "sleeping", "disk", "stopped"};
	return WORD(list, state);
}

const char *words_way(uint32_t way)
{
	static const char *const list[] = {"outside", "still", "kernel", "stopped"};
	return WORD(list, way);
}

const char *words_engine(uint32_t engine)
{
	static const char *const list[] = {"outside", "kernel", "both"};
	return WORD(list, engine);
}

const char *words_lost(uint32_t cause)
{
	static const char *const list[] = {"unknown", "late",    "unreadable", "torn",     "limit",
	                                   "damage",  "dropped", "overrun",    "unstopped"};
	return WORD(list, cause);
}

const char *words_counter(uint32_t counter)
{
	static const char *const list[] = {
	    [WIRE_COUNTER_TICKS] = "ticks",
	    [WIRE_COUNTER_SAMPLES] = "samples",
	    [WIRE_COUNTER_LATE] = "late",
	    [WIRE_COUNTER_STOPS] = "stops",
	    [WIRE_COUNTER_STOPPED_NS] = "stopped_ns",
	    [WIRE_COUNTER_STOPS_IN_SYSCALL] = "stops_in_syscall",
	    [WIRE_COUNTER_UNCERTIFIED] = "uncertified",
	    [WIRE_COUNTER_READS_FAILED] = "reads_failed",
	    [WIRE_COUNTER_READS] = "read_calls",
	    [WIRE_COUNTER_CPU_NS] = "recorder_cpu_ns",
	    [WIRE_COUNTER_STOPS_GIVEN_UP] = "stops_given_up",
	    [WIRE_COUNTER_CODES] = "code_objects",
	    [WIRE_COUNTER_STACKS] = "stacks",
	    [WIRE_COUNTER_REPAIRS] = "repairs",
	    [WIRE_COUNTER_PEAK_BYTES] = "peak_rss",
	    [WIRE_COUNTER_LONGEST_STOP_NS] = "longest_stop_ns",
	    [WIRE_COUNTER_HELD] = "held",
	    [WIRE_COUNTER_HELD_NS] = "held_ns",
	    [WIRE_COUNTER_EVENTS_TICK] = "events_tick",
	    [WIRE_COUNTER_EVENTS_CLOCK] = "events_clock",
	    [WIRE_COUNTER_EVENTS_SWITCH] = "events_switch",
	    [WIRE_COUNTER_EVENTS_CUT] = "events_cut",
	    [WIRE_COUNTER_EVENTS_OVERRUN] = "events_overrun",
	    [WIRE_COUNTER_DRAINS] = "drains",
	    [WIRE_COUNTER_LONGEST_GAP_NS] = "longest_mean_gap_ns",
	    [WIRE_COUNTER_LOWERED_NS] = "lowered_ns",
	    [WIRE_COUNTER_RATE_NS] = "full_rate_ns",
	    [WIRE_COUNTER_BOUNDED_CPU_NS] = "bounded_cpu_ns",
	};
	return counter < sizeof list / sizeof *list && list[counter] ? list[counter] : "";
}

const char *words_lost_long(uint32_t cause)
{
	static const char *const list[] = {
	    [0] = "samples lost for a reason that this version does not know",
	    [WIRE_LOST_LATE] = "ticks came too late and were skipped",
	    [WIRE_LOST_UNREADABLE] = "samples lost because the program's memory could not be read",
	    [WIRE_LOST_TORN] = "samples lost because no stack could be made of what was read",
	    [WIRE_LOST_LIMIT] = "samples lost because the recorder's memory bound was reached",
	    [WIRE_LOST_DAMAGE] = "samples lost through damage",
	    [WIRE_LOST_DROPPED] = "samples lost because the output could not take them",
	    [WIRE_LOST_OVERRUN] = "samples lost because the buffer between kernel and recorder was full",
	    [WIRE_LOST_UNSTOPPED] = "samples lost because the thread could not be stopped in time",
	};
	return list[cause < WIRE_LOST_END_ ? cause : 0];
}

const char *words_taken(uint32_t taken)
{
	static const char *const list[] = {"outside", "still", "held", "kernel", "switch", "stopped"};
	return WORD(list, taken);
}

const char *words_taken_long(uint32_t taken)
{
	static const char *const list[] = {"from outside, while the thread ran",
	                                   "from outside, while the thread stood still",
	                                   "from outside, while the thread's CPU was held",
	                                   "by the kernel, on the thread's CPU",
	                                   "by the kernel, as the thread left its CPU",
	                                   "from outside, stopped for it (biased: too often in system calls)"};
	return WORD(list, taken);
}

const char *words_reason(uint32_t reason)
{
	static const char *const list[] = {"unknown", "duration", "target ended",  "SIGINT",
	                                   "SIGTERM", "SIGHUP",   "output failed", "recorder error"};
	return WORD(list, reason);
}

const char *words_reason_long(uint32_t reason)
{
	static const char *const list[] = {"for an unknown reason",
	                                   "because its duration was over",
	                                   "because the program ended",
	                                   "by Ctrl-C (SIGINT)",
	                                   "by SIGTERM",
	                                   "by SIGHUP",
	                                   "because the output could not take more",
	                                   "by an error of the recorder"};
	return WORD(list, reason);
}

const char *words_how(uint32_t how)
{
	static const char *const list[] = {"unknown", "exited", "killed", "left"};
	return WORD(list, how);
}

const char *words_problem(int problem)
{
	static const char *const list[] = {
	    [DECODE_TRUNCATED] = "truncated",   [DECODE_GARBAGE] = "garbage",       [DECODE_BAD_HEADER] = "bad header",
	    [DECODE_BAD_BLOCK] = "bad block",   [DECODE_BAD_RECORD] = "bad record", [DECODE_MISSING] = "missing",
	    [DECODE_NOT_CLOSED] = "not closed",
	};
	return WORD(list, problem);
}

const char *words_problem_long(int problem)
{
	static const char *const list[] = {
	    [DECODE_TRUNCATED] = "it ends in the middle",
	    [DECODE_GARBAGE] = "bytes that are no part of a recording",
	    [DECODE_BAD_HEADER] = "bad file header",
	    [DECODE_BAD_BLOCK] = "damaged block",
	    [DECODE_BAD_RECORD] = "damaged record",
	    [DECODE_MISSING] = "blocks are missing",
	    [DECODE_NOT_CLOSED] = "not finished (recorder killed, or still running): at most the last flush is missing",
	};
	return WORD(list, problem);
}

const char *words_thread_kind(uint32_t kind)
{
	static const char *const list[] = {"thread", "task", "greenlet"};
	return WORD(list, kind);
}

const char *words_view_default(uint32_t bit)
{
	static const char *const list[] = {"gil", "idle", "threads", "function", "nolineno", "full-filenames"};
	return bit < sizeof list / sizeof *list ? list[bit] : NULL;
}

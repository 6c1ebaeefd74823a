/* What the columns of `sample` say of one. */
#include "pyspy-report/index/index_table_parts.h"

#include "pyspy-report/index/index_table.h"

const struct table_column table_columns[T_COLUMNS] = {
    [T_RECORDING] = {"recording", "INTEGER", "`recording.id`"},
    [T_BLOCK] = {"block", "INTEGER", "`block.id`"},
    [T_TIME] = {"time_ns", "INTEGER", "when it was taken; CLOCK_BOOTTIME of the recording"},
    [T_PID] = {"pid", "INTEGER", "of its process; NULL: not known"},
    [T_TID] = {"tid", "INTEGER", "of its thread; NULL: not known"},
    [T_THREAD] = {"thread", "INTEGER", "`thread.id`"},
    [T_STACK] = {"stack", "INTEGER",
                 "`stack.id`, as views show it: lost, in motion and no-frame samples have such a stack"},
    [T_LOCATION] = {"location", "INTEGER", "`location.id` of the innermost frame"},
    [T_STATE] = {"state", "TEXT", "running, runnable, active (one of the two), sleeping, disk, stopped, unknown"},
    [T_GIL] = {"gil", "INTEGER", "1: it holds the GIL"},
    [T_GIL_WAIT] = {"gil_wait", "INTEGER", "1: it waits for the GIL"},
    [T_GC] = {"gc", "INTEGER", "1: it runs the garbage collector"},
    [T_IDLE] = {"idle", "INTEGER", "1: views leave it out unless `-i` is given"},
    [T_WAY] = {"way", "TEXT", "how it was taken: outside, still, kernel, stopped"},
    [T_EVENT] = {"is_event", "INTEGER", "1: an event of the kernel engine; 0: a tick"},
    [T_WEIGHT] = {"weight_ns", "INTEGER", "time of its thread that it stands for; sums are the views' times"},
    [T_CPU] = {"cpu_ns", "INTEGER", "of an event: the CPU time in that; NULL for ticks (see `activity`)"},
    [T_FLAGS] = {"flags", "INTEGER",
                 "all of it: FORMAT.md 4.2, and 8192 in motion, 16384 an event, 32768 its stack is lost"},
};

static bool table_is_cpu(uint32_t flags)
{
	uint32_t state = flags & WIRE_FLAG_STATE;

	return state == WIRE_STATE_ON_CPU || state == WIRE_STATE_ACTIVE;
}

/* As query/filter, which stands downstream. */
static bool table_is_idle(uint32_t flags)
{
	uint32_t state = flags & WIRE_FLAG_STATE;

	if (flags & WIRE_FLAG_GIL)
		return false;
	return state == WIRE_STATE_SLEEPING || state == WIRE_STATE_DISK || state == WIRE_STATE_STOPPED ||
	       (state == WIRE_STATE_UNKNOWN && flags & WIRE_FLAG_GIL_WAIT);
}

static void result_u64(sqlite3_context *to, uint64_t v)
{
	sqlite3_result_int64(to, v < INT64_MAX ? (int64_t)v : INT64_MAX);
}

void table_result(sqlite3_context *to, const struct profile *p, const struct table_sample *s, int column)
{
	static const char *const states[] = {"unknown",  "running", "runnable", "active",
	                                     "sleeping", "disk",    "stopped",  "unknown"};
	static const char *const ways[] = {"outside", "still", "kernel", "stopped"};
	uint32_t stack = s->code >> EPOCH_CODE_BITS;
	const struct profile_thread *t = &p->threads.v[s->thread];

	switch (column) {
	case T_RECORDING:
		sqlite3_result_int64(to, s->recording);
		break;
	case T_BLOCK:
		result_u64(to, s->block);
		break;
	case T_TIME:
		result_u64(to, s->time_ns);
		break;
	case T_PID:
		if (t->process)
			sqlite3_result_int64(to, p->processes.v[t->process].pid);
		break;
	case T_TID:
		if (s->thread)
			sqlite3_result_int64(to, t->tid);
		break;
	case T_THREAD:
		sqlite3_result_int64(to, s->thread);
		break;
	case T_STACK:
		sqlite3_result_int64(to, stack);
		break;
	case T_LOCATION:
		if (stack)
			sqlite3_result_int64(to, p->stacks.v[stack].location);
		break;
	case T_STATE:
		sqlite3_result_text(to, states[s->flags & WIRE_FLAG_STATE], -1, SQLITE_STATIC);
		break;
	case T_GIL:
		sqlite3_result_int(to, (s->flags & WIRE_FLAG_GIL) != 0);
		break;
	case T_GIL_WAIT:
		sqlite3_result_int(to, (s->flags & WIRE_FLAG_GIL_WAIT) != 0);
		break;
	case T_GC:
		sqlite3_result_int(to, (s->flags & WIRE_FLAG_GC) != 0);
		break;
	case T_IDLE:
		sqlite3_result_int(to, table_is_idle(s->flags));
		break;
	case T_WAY:
		sqlite3_result_text(to, ways[(s->flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT], -1, SQLITE_STATIC);
		break;
	case T_EVENT:
		sqlite3_result_int(to, s->is_event);
		break;
	case T_WEIGHT:
		result_u64(to, s->weight_ns);
		break;
	case T_CPU:
		if (s->is_event)
			result_u64(to, table_is_cpu(s->flags) ? s->weight_ns : 0);
		break;
	case T_FLAGS:
		sqlite3_result_int64(to, s->flags);
		break;
	default:
		break;
	}
}

void index_table_print(FILE *out)
{
	fprintf(out, "| column | type | |\n|---|---|---|\n");
	for (unsigned i = 0; i < T_COLUMNS; i++)
		fprintf(out, "| %s | %s | %s |\n", table_columns[i].name, table_columns[i].type,
		        table_columns[i].about);
}

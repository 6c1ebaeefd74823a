/* chunk_parts: what sealing a chunk and opening one agree on. Nobody else's. */
#pragma once
#include "pyspy-report/index/chunk.h"
#include "pyspy-report/profile/epoch.h"

/* Columns of the samples. */
enum {
	C_HEAD,
	C_BLOCKS,
	C_TICKS,
	C_ENTRY_TICK,
	C_ENTRY_THREAD,
	C_ENTRY_FLAGS,
	C_ENTRY_CPU,
	C_REST, /* closings, gaps, changes, carries */
	C_EVENT_TIME,
	C_EVENT_THREAD,
	C_EVENT_FLAGS,
	C_EVENT_WEIGHT,
	C_COLUMNS,
};
/* Of the stacks. A step is one byte: 0 the same as this thread's before; 1 .. STEP_NEAR another near it, zigzag; behind
 * that the code's kind, and the node's number in four columns of bytes. */
enum { S_HEAD, S_STEP, S_NODE, S_COLUMNS = S_NODE + 4, STEP_NEAR = 240, STEP_FAR };
enum { CHUNK_KIND = (1 << EPOCH_CODE_BITS) - 1, CHUNK_FEW = 256 };

/* What times are counted in. */
struct chunk_units {
	uint64_t tick_ns, cpu_ns, event_ns, weight_ns;
};

/* A number for each thread of an epoch; most have small ones. */
struct chunk_by_thread {
	uint32_t few[CHUNK_FEW];
	struct idtable more;
};

static inline uint32_t chunk_by_thread_get(const struct chunk_by_thread *t, uint32_t id)
{
	return id < CHUNK_FEW ? t->few[id] : idtable_get(&t->more, id);
}

static inline bool chunk_by_thread_set(struct chunk_by_thread *t, uint32_t id, uint32_t value)
{
	if (id >= CHUNK_FEW)
		return idtable_set(&t->more, id, value);
	t->few[id] = value;
	return true;
}

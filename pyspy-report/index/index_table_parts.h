/* index_table_parts: the columns of the virtual table `sample`. Nobody else's. */
#pragma once
#include <sqlite3.h>
#include <stdio.h>

#include "pyspy-report/profile/epoch.h"

enum {
	T_RECORDING,
	T_BLOCK,
	T_TIME,
	T_PID,
	T_TID,
	T_THREAD,
	T_STACK,
	T_LOCATION,
	T_STATE,
	T_GIL,
	T_GIL_WAIT,
	T_GC,
	T_IDLE,
	T_WAY,
	T_EVENT,
	T_WEIGHT,
	T_CPU,
	T_FLAGS,
	T_COLUMNS,
};

struct table_column {
	const char *name, *type, *about;
};
extern const struct table_column table_columns[T_COLUMNS];

/* A row. */
struct table_sample {
	uint32_t recording, thread, flags, code; /* code: profile/epoch.h */
	uint64_t block, time_ns, weight_ns;
	bool is_event;
};
/* What one of its columns says; NULL stays NULL. */
void table_result(sqlite3_context *to, const struct profile *p, const struct table_sample *s, int column);

/* index_rows: the tables for people: what a profile holds -> rows. */
#pragma once
#include <sqlite3.h>

#include "pyspy-report/index/index_facts.h"

/* What of the profile is in the tables already. All zero: nothing. */
struct index_rows_done {
	uint32_t strings, modules, functions, locations, stacks;
	uint32_t inputs, recordings;
};
/* SQLITE_OK or an SQLite error. */
int index_rows_dictionaries(sqlite3 *db, const struct profile *p, const struct index_rows_done *done);
int index_rows_input(sqlite3 *db, uint32_t id, const struct facts_input *i);
int index_rows_recording(sqlite3 *db, const struct profile *p, uint32_t id, uint32_t input);

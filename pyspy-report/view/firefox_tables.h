/* firefox_tables: what all threads of a Firefox profile share: strings, sources, functions, frames, stacks. */
#pragma once
#include "libcommon/jsonout.h"
#include "pyspy-report/query/timeline.h"

/* Categories, in the order of their numbers. */
enum firefox_category {
	FIREFOX_OTHER,
	FIREFOX_OWN,
	FIREFOX_SITE,
	FIREFOX_STDLIB,
	FIREFOX_NATIVE,
	FIREFOX_IDLE,
	FIREFOX_CATEGORIES
};

struct firefox_function {
	uint32_t name, source, line; /* numbers in strings; sources (UINT32_MAX = none); 0 = no line */
};
struct firefox_frame {
	uint32_t function, line; /* 0 = no line */
	uint32_t state;          /* enum timeline_state of a leaf; of all other frames TIMELINE_BUSY */
	uint32_t origin;         /* enum naming_origin */
};
struct firefox_stack {
	uint32_t frame, path; /* its prefix is the path's parent */
};

struct firefox_tables {
	const struct shape *shape;
	struct map string_numbers, source_numbers, function_numbers, frame_numbers, leaf_numbers;
	VEC(uint32_t) strings; /* of the profile */
	VEC(uint32_t) sources; /* numbers in strings */
	VEC(struct firefox_function) functions;
	VEC(struct firefox_frame) frames;
	VEC(struct firefox_stack) stacks; /* that of path i is i - 1; leaves in other states stand behind them */
};

/* From all paths and all runs. 0, ERR_NO_MEMORY, ERR_IO; done in any case. */
int firefox_tables_make(struct firefox_tables *t, const struct shape *p, struct timeline *of);
void firefox_tables_done(struct firefox_tables *t);
uint32_t firefox_tables_stack(const struct firefox_tables *t, uint32_t path, enum timeline_state state);
/* Keys "libs" to "shared", and the value of "categories". */
void firefox_tables_write(const struct firefox_tables *t, struct jsonout *j);
void firefox_tables_categories(struct jsonout *j);

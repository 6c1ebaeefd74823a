/* copyist_parts: what the files of the copyist share. Private to exchange/copyist*.c. */
#pragma once
#include "pyspy-report/exchange/copyist.h"

#define COPYIST_CLOCK_STEP INT64_C(1000000000) /* ns */

/* What an id of the input means, and what it became. An id of another generation than the copyist's is to be made anew.
 */
struct copyist_function {
	struct rec_function is; /* texts: raw */
	uint32_t to, generation;
	bool is_defined;
};
struct copyist_location {
	struct rec_location is; /* function: of the input; symbol: raw; module: of the input */
	uint32_t to, generation;
	bool is_defined;
};
struct copyist_module {
	uint32_t path, build_id, process; /* raw */
	uint64_t begin, end, file_offset;
	uint32_t to, generation;
	bool is_defined;
};
struct copyist_stack {
	uint32_t parent, location; /* of the input */
	uint32_t shared, own;      /* 0: not made yet */
	uint32_t generation;
	bool is_defined, is_certified;
};

struct copyist {
	struct scribe *to;
	struct copyist_hooks hooks;
	struct stream *stream;
	int (*damage)(void *ctx, const struct decode_damage *d);
	void *damage_ctx;
	struct copyist_totals totals;
	struct intern hosts;

	/* of the recording */
	struct rec_file file;
	uint64_t uuid[2];
	bool has_anchor, has_epoch;
	int64_t anchor_ns;
	uint64_t last_end_ns;
	struct map seen; /* recordings, and their blocks */

	/* of the epoch */
	uint32_t generation;
	struct intern raw;     /* texts as they came */
	struct map texts;      /* (raw and kind, raw of file) -> string of the output */
	VEC(uint32_t) strings; /* by id: raw */
	VEC(struct copyist_function) functions;
	VEC(struct copyist_location) locations;
	VEC(struct copyist_module) modules;
	VEC(struct copyist_stack) stacks;
	VEC(uint32_t) path; /* ancestors on the way */
	VEC(uint32_t) ids;
	VEC(struct rec_note) notes;
	struct buf text;

	/* of the block */
	bool is_repeat, is_damaged, has_ticks;
	uint64_t n_samples, lost;
	uint64_t tick_unit_ns, cpu_unit_ns;
	struct map doubts, last; /* stack ids; thread -> its last stack + 1 */
	VEC(uint64_t) times;
	VEC(struct rec_entry) entries;
	VEC(struct rec_closing) closings;
	VEC(struct rec_gap) gaps;
	VEC(struct rec_event) events;
	VEC(struct rec_counter) counters;
	VEC(struct rec_events) batches; /* how many of the events each record held, and its units */
};

/* Grow `v` so that index id is there, new entries zero; false: no memory. */
#define copyist_reach(vec, id)                                                                                         \
	((id) < (vec)->n || (vec_room(vec, (id) + 1 - (vec)->n) &&                                                     \
	                     (memset((vec)->v + (vec)->n, 0, ((id) + 1 - (vec)->n) * sizeof *(vec)->v),                \
	                      (vec)->n = (size_t)(id) + 1, true)))

/* Raw text of a string of the input; 0 = empty or undefined. */
static inline uint32_t copyist_raw(const struct copyist *c, str_id id)
{
	return id < c->strings.n ? c->strings.v[id] : 0;
}
/* The string of the output for it. */
int copyist_text(struct copyist *c, enum copyist_text kind, uint32_t raw, uint32_t file, str_id *to);
/* The stack of the output for a sample with these flags. */
int copyist_stack_of(struct copyist *c, stack_id stack, uint32_t flags, stack_id *to);
/* The samples of the block that is over. */
int copyist_put_samples(struct copyist *c);
/* Callbacks of a kind. */
void copyist_add_definitions(struct decode_visitor *v);
void copyist_add_actors(struct decode_visitor *v);

/* epoch: what the ids of one epoch mean, which of its stacks were certified, and its samples until that is known.
 *
 * Flow:    decoded records -> [epoch] -> profile. Ids go in as the file has them; global ones come out.
 * Trust:   ids are below WIRE_IDS_MAX + 1 (the decoder checks), but may be undefined, redefined or out of order.
 * FORMAT.md 3.5 decides only at the end of an epoch, so samples wait in a tally of the epoch's own.
 */
#pragma once
#include "pyspy-report/profile/profile.h"

/* Ids of one kind: index = id of the epoch, value = global id, 0 = undefined. */
struct epoch_ids {
	VEC(uint32_t) to;
};

/* A thread, as far as its runs go (profile/runs.c). */
struct epoch_thread {
	uint32_t global;       /* 0 = undefined */
	uint32_t stamp;        /* block that last_* are of; open when it is the current one */
	uint32_t stack, flags; /* of its latest entry */
	uint32_t tick;         /* where that entry begins */
	uint64_t cpu_ns;       /* told by later entries that changed nothing else */
	bool has_entry;
};

/* A PROCESS, THREAD or end of one, waiting for the end of its block: who a process is depends on the host, which
 * RECORDING tells only then. */
struct epoch_pending {
	enum { EPOCH_PROCESS, EPOCH_THREAD, EPOCH_PROCESS_END, EPOCH_THREAD_END } kind;
	struct rec_process process;
	struct profile_process facts; /* of process: the strings, as global ids */
	struct rec_thread thread;
	uint32_t name; /* of thread: global string */
	struct rec_process_end end;
};

struct epoch {
	struct profile *profile;
	uint32_t recording; /* index in profile->recordings */
	uint32_t number;
	bool is_open;
	struct epoch_ids strings, functions, locations, stacks, processes, modules;
	VEC(uint32_t) stack_parents; /* by id, of the epoch */
	VEC(uint8_t) certified;      /* by id */
	VEC(uint32_t) to_spread;     /* ids certified since epoch_settle, whose ancestors are so, too */
	VEC(uint32_t) resolved;      /* by id: epoch_resolve's memory */
	VEC(struct epoch_thread) threads;
	VEC(uint32_t) threads_seen; /* ids with a stamp of the current block */
	VEC(struct epoch_pending) pending;
	struct tally tally; /* what waits for certificates. thread: global; stack: of the epoch */
	bool is_settled;    /* certificates were spread to ancestors */
	bool replays;       /* loaded before: texts of processes and threads stay what they became at last */
	bool is_indexed;    /* from an index (index/): stacks are codes, below; nothing is defined or certified here */
};

/* A stack in an index: its global id << 2 and what became of the sample, which an epoch knows only at its end. */
enum epoch_code {
	EPOCH_CERTAIN,   /* certain when it was counted */
	EPOCH_WAITED,    /* certain at the end of its epoch, and counted there */
	EPOCH_IN_MOTION, /* never certain */
	EPOCH_LOST,      /* never defined */
	EPOCH_CODE_BITS = 2,
};
/* In the place of a code: the stack waits for the end of its epoch. Below it its way, its number in the epoch. */
#define EPOCH_CODE_WAITS (UINT32_C(1) << 31)

void epoch_init(struct epoch *e, struct profile *p);
void epoch_done(struct epoch *e);
/* Forget everything; a new one of recording `recording` begins. */
void epoch_begin(struct epoch *e, uint32_t recording, uint32_t number);
/* The same, but strings, functions, locations, stacks, certificates and modules stay (WIRE_BLOCK_GOES_ON). */
void epoch_go_on(struct epoch *e, uint32_t recording, uint32_t number);
/* The epoch is over: nothing is defined or certified from here on. */
void epoch_settle(struct epoch *e);
/* The same for a look while it goes on: epoch_resolve tells what would become of its stacks if it ended now. */
void epoch_peek(struct epoch *e);
/* The global stack of a sample with `stack` of the epoch, and what became of it added to *flags (tally_flag). Only
 * after epoch_settle. 0, ERR_FULL, ERR_NO_MEMORY. */
int epoch_resolve(struct epoch *e, uint32_t stack, uint32_t *flags, uint32_t *global);
/* Fetch the memory that epoch_count needs for this stack. */
static inline void epoch_expect(const struct epoch *e, uint32_t stack)
{
	if (stack < e->stacks.to.n) {
		__builtin_prefetch(&e->stacks.to.v[stack]);
		__builtin_prefetch(&e->certified.v[stack]);
	}
}
/* The global stack of a sample that is certain already, whatever comes; 0: its epoch's end will tell. */
uint32_t epoch_certain(const struct epoch *e, uint32_t stack, uint32_t flags);
/* The code of a sample's stack as far as it is known now; and, after epoch_settle, of one that waited. The latter: 0,
 * ERR_FULL, ERR_NO_MEMORY. */
uint32_t epoch_code(const struct epoch *e, uint32_t stack, uint32_t flags);
int epoch_settle_code(struct epoch *e, uint32_t *code);
/* A sample's row; its stack: of the epoch. What is certain of it already goes to the profile at once. 0 or
 * ERR_NO_MEMORY. */
int epoch_count(struct epoch *e, const struct tally_row *row);
/* Hand what waited for certificates to the profile. */
int epoch_merge(struct epoch *e);

/* Global ids of ids of the epoch; 0 when undefined. */
uint32_t epoch_id(const struct epoch_ids *ids, uint32_t id);
/* The thread's entry, made when it is not there (NULL: no memory). Moves when another is made. */
struct epoch_thread *epoch_thread(struct epoch *e, thread_id id);

/* Definitions, as the records have them. 0, ERR_FULL, ERR_NO_MEMORY. */
int epoch_define_string(struct epoch *e, str_id id, const char *s, size_t n);
int epoch_define_function(struct epoch *e, function_id id, const struct rec_function *f);
int epoch_define_location(struct epoch *e, location_id id, const struct rec_location *l);
int epoch_define_stack(struct epoch *e, stack_id id, const struct rec_stack *s);
int epoch_certify(struct epoch *e, stack_id id);
int epoch_define_module(struct epoch *e, const struct rec_module *m);
/* These take effect with epoch_apply, at the end of the block. */
int epoch_define_process(struct epoch *e, const struct rec_process *r);
int epoch_define_thread(struct epoch *e, const struct rec_thread *r);
int epoch_process_end(struct epoch *e, const struct rec_process_end *r);
int epoch_thread_end(struct epoch *e, thread_id id, uint64_t time_ns);
/* `of`: the recording, as far as it is known by now. */
int epoch_apply(struct epoch *e, const struct profile_recording *of);

/* dump_locals: the variables of all frames of a snapshot.
 *
 * Flow:    sample/snapshot, python/locals -> [dump_locals] -> dump_text, dump_json.
 * How:     read while the threads stand, those that would run first; what time does not suffice for then is read when
 * they run again: frames that are gone by then have no variables.
 */
#pragma once
#include "pyspy-record/python/locals.h"
#include "pyspy-record/sample/snapshot.h"

struct dump_locals {
	unsigned level;                /* 0: not asked for */
	const struct secrets *secrets; /* NULL: nothing is hidden */
	struct locals reader;
	bool is_open;
	VEC(struct locals_list) lists; /* by snapshot.frames */
	VEC(bool) is_late;
	size_t n_bytes; /* of text so far */
};

/* A snapshot_visit; ctx is a struct dump_locals with level and secrets set, all else zero. */
bool dump_locals_visit(void *ctx, struct target *t, struct snapshot *s, uint64_t until_ns);
/* Read what was too late for the visit, and of frames that were added since. */
void dump_locals_finish(struct dump_locals *d, struct target *t, struct snapshot *s);
void dump_locals_done(struct dump_locals *d);
/* Of frame i of the snapshot; NULL: not asked for. */
const struct locals_list *dump_locals_at(const struct dump_locals *d, size_t i);

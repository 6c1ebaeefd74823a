/* dictionary: strings, functions, locations and stacks of one epoch: equal input, equal id; each is sent once.
 *
 * Flow:    writer (and through it python/ and sample/) -> [dictionary] -> definition records.
 * Memory:  grows up to about `max_bytes`; then new entries are refused (id 0) until dictionary_clear. Nothing is
 * allocated for what is already known, so the sampling path allocates only when it meets something new.
 */
#pragma once
#include "format/encode.h"
#include "libcommon/idset.h"
#include "libcommon/intern.h"
#include "libcommon/vec.h"

struct dictionary_stack {
	stack_id parent;
	location_id location;
	bool certified, doubted;
};

struct dictionary {
	struct intern strings, functions, locations; /* the latter two keyed by the bytes of their rec_ structs */
	struct idset stack_ids;                      /* by (parent, location) */
	VEC(struct dictionary_stack) stacks;         /* by id; [0] is "no frame" */
	VEC(stack_id) certify;                       /* sent without the bit, certified since */
	VEC(stack_id) doubt;                         /* of the open block */
	uint32_t sent_strings, sent_functions, sent_locations, sent_stacks; /* ids below are in the file */
	struct encode_batch batch;
	size_t max_bytes, bytes; /* `bytes` estimates what the entries take */
	size_t pending_bytes;    /* no less than what the unsent definitions will take in a block */
	uint64_t refused;        /* entries that did not fit, since the last dictionary_refused */
};

int dictionary_init(struct dictionary *d, size_t max_bytes); /* 0 or ERR_NO_MEMORY */
void dictionary_done(struct dictionary *d);
/* A new epoch: forget all. */
void dictionary_clear(struct dictionary *d);

/* Ids; 0 = does not fit. References to ids that are not defined are refused too. Strings are cut at 64 KiB. */
str_id dictionary_string(struct dictionary *d, const char *s, size_t n);
function_id dictionary_function(struct dictionary *d, const struct rec_function *f);
location_id dictionary_location(struct dictionary *d, const struct rec_location *l);
stack_id dictionary_stack(struct dictionary *d, stack_id parent, location_id location);
void dictionary_certify(struct dictionary *d, stack_id id); /* and its ancestors */
void dictionary_doubt(struct dictionary *d, stack_id id);

/* Near one of its bounds: time for a new epoch. */
bool dictionary_is_nearly_full(const struct dictionary *d);
/* Append what was not sent yet, in the order of FORMAT.md; it counts as sent from now on. */
void dictionary_encode(struct dictionary *d, struct buf *out);

/* content: the records of one block's content -> visitor. Private to format/ (decode.h is the door).
 *
 * content.c goes from record to record and reads the small ones, content_defs.c reads the batches of definitions,
 * content_samples.c TICKS and EVENTS.
 */
#pragma once
#include "format/cursor.h"
#include "format/decode.h"
#include "format/idtable.h"
#include "libcommon/vec.h"

enum content_result {
	CONTENT_OK,
	CONTENT_BAD,  /* not as FORMAT.md says: content.what says what */
	CONTENT_STOP, /* content.rc is to be passed out: of a callback, or ERR_NO_MEMORY */
};

enum content_kind { CONTENT_STRINGS, CONTENT_FUNCTIONS, CONTENT_LOCATIONS, CONTENT_STACKS, CONTENT_KINDS };

struct content {
	const struct decode_visitor *v;
	int rc;
	const char *what;
	/* of the epoch */
	uint32_t next[CONTENT_KINDS]; /* ids below are defined or skipped for good */
	struct idtable first_lines;   /* by function: first line + 1 */
	struct idtable depths;        /* by stack */
	/* of the block */
	struct cursor recording; /* RECORDING waits for the strings of its block */
	bool has_recording, has_ticks;
	/* of the record */
	struct idtable entry_of; /* by thread: index + 1 of its last entry, in TICKS and EVENTS */
	VEC(str_id) ids, more_ids;
	VEC(struct rec_note) notes;
	VEC(uint64_t) times;
	VEC(struct rec_entry) entries;
	VEC(struct rec_closing) closings;
	VEC(struct rec_gap) gaps;
	VEC(struct rec_event) events;
};

struct content *content_new(const struct decode_visitor *v); /* the visitor stays the caller's */
void content_free(struct content *d);
void content_new_epoch(struct content *d);
/* All records of a block. CONTENT_BAD: *rest = bytes from the bad record on. */
enum content_result content_decode(struct content *d, const uint8_t *p, size_t n, size_t *rest);

/* One record each; c holds the payload. */
enum content_result content_strings(struct content *d, struct cursor *c);
enum content_result content_functions(struct content *d, struct cursor *c);
enum content_result content_locations(struct content *d, struct cursor *c);
enum content_result content_stacks(struct content *d, struct cursor *c);
enum content_result content_ticks(struct content *d, struct cursor *c);
enum content_result content_events(struct content *d, struct cursor *c);

enum content_result content_bad(struct content *d, const char *what);
enum content_result content_no_memory(struct content *d);
/* Call back, if the visitor wants to know. */
#define CONTENT_TELL(d, callback, ...)                                                                                 \
	((d)->v->callback && ((d)->rc = (d)->v->callback((d)->v->ctx, __VA_ARGS__)) ? CONTENT_STOP : CONTENT_OK)
/* Forward anything but CONTENT_OK. */
#define CONTENT_TRY(expr)                                                                                              \
	do {                                                                                                           \
		enum content_result result_ = (expr);                                                                  \
		if (result_ != CONTENT_OK)                                                                             \
			return result_;                                                                                \
	} while (0)

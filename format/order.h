/* order: which recording and epoch a block belongs to, and what is missing before it. Private to format/.
 *
 * Flow: headers as [stream] finds them -> [order] -> visitor's file, epoch, and damage MISSING, NOT_CLOSED, BAD_HEADER.
 * Functions return 0 or what a callback returned.
 */
#pragma once
#include "format/block.h"
#include "format/decode.h"

struct order {
	const struct decode_visitor *v;
	bool has_recording, is_closed;
	bool said_bad_header; /* of the recording to come */
	uint8_t uuid8[8];
	uint32_t next_sequence;
	uint64_t next_samples;
	bool has_epoch;
	uint32_t epoch;
};

void order_init(struct order *o, const struct decode_visitor *v);
int order_file(struct order *o, const struct rec_file *f, uint64_t offset);
/* A valid block header, whether or not its content is good. *is_repeat: a block of this number was here already, or a
 * later one: it must not count again. */
int order_block(struct order *o, const struct rec_block *b, uint64_t offset, bool *is_repeat);
/* Before the records of a good block. *is_new: another epoch began. */
int order_epoch(struct order *o, const struct rec_block *b, bool *is_new);
int order_finish(struct order *o, uint64_t offset);

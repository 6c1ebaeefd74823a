/* encode_record: what the files of the encoder share. Private to format/. */
#pragma once
#include "format/records.h"
#include "libcommon/buf.h"

/* A record's length stands before its payload: begin writes the type and returns where the payload starts, end puts the
 * length in between. Not nested. */
size_t encode_record_begin(struct buf *b, enum wire_record type);
void encode_record_end(struct buf *b, size_t payload);

/* A string's bytes with their length, cut at WIRE_STRING_WRITE_MAX. */
void encode_record_bytes(struct buf *b, const char *s, size_t n);
/* list of str */
void encode_record_ids(struct buf *b, const str_id *ids, uint32_t n);

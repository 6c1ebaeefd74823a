/* proto: messages in protobuf's wire format (protobuf.dev, "Encoding"), field by field.
 *
 * Appends to the caller's buf (sticky error there). A value of 0 and an empty text are what proto3 takes a field that
 * is missing for, so they are not written. A message inside another is made in a buf of its own and put as bytes.
 */
#pragma once
#include "libcommon/buf.h"

void proto_number(struct buf *b, uint32_t field,
                  uint64_t v); /* int64, uint64, bool; negative ones as two's complement */
void proto_bytes(struct buf *b, uint32_t field, const void *p, size_t n);     /* string, bytes, packed numbers */
void proto_message(struct buf *b, uint32_t field, const struct buf *message); /* written when it is empty, too */

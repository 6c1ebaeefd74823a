/* packed_out: numbers and texts -> zlib -> base64, on a FILE: how data lies inside a page.
 *
 * Why: as JSON 200,000 frames are four times as many bytes (3.3 MB for 0.9). A browser reads JSON in half the time, 20
 * for 40 ms (tests/bench/page.mjs measures both), but pages are sent around and kept. The alphabet has no character
 * that HTML knows.
 * Numbers are LEB128 (little-endian, seven bits a byte), columns one after the other.
 * Memory:  what zlib needs, and one buffer. Write errors stay in `out`.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <zlib.h>

struct packed_out {
	FILE *out;
	z_stream z;
	unsigned char in[16 << 10], room[24 << 10], rest[3]; /* rest: bytes that are no whole group of three yet */
	size_t n_in, n_rest;
};

int packed_out_begin(struct packed_out *p, FILE *out); /* 0 or ERR_NO_MEMORY */
void packed_out_number(struct packed_out *p, uint64_t v);
void packed_out_bytes(struct packed_out *p, const void *s, size_t n);
/* The rest, and free what zlib holds. Once, after packed_out_begin was fine. */
void packed_out_end(struct packed_out *p);

/* gzip_out: bytes -> a gzip stream on a FILE.
 *
 * The header holds no time and no name, so that the same bytes give the same stream (with the same zlib).
 * Memory:  what zlib needs, and one buffer; never the whole. Errors of writing stay in `out`, as for any view.
 */
#pragma once
#include <stddef.h>
#include <stdio.h>
#include <zlib.h>

struct gzip_out {
	FILE *out;
	z_stream z;
	unsigned char room[64 << 10];
};

int gzip_out_begin(struct gzip_out *g, FILE *out); /* 0 or ERR_NO_MEMORY */
void gzip_out_put(struct gzip_out *g, const void *p, size_t n);
/* The rest of the stream, and free what zlib holds. Once, after gzip_out_begin was fine. */
void gzip_out_end(struct gzip_out *g);

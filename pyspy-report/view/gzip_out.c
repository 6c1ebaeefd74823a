#include "pyspy-report/view/gzip_out.h"

#include <limits.h>
#include <string.h>

#include "libcommon/err.h"

enum { LEVEL = 4, WINDOW = 15, IS_GZIP = 16, MEMORY = 8 };

int gzip_out_begin(struct gzip_out *g, FILE *out)
{
	memset(&g->z, 0, sizeof g->z);
	g->out = out;
	/* no other error is possible with these arguments */
	return deflateInit2(&g->z, LEVEL, Z_DEFLATED, WINDOW + IS_GZIP, MEMORY, Z_DEFAULT_STRATEGY) == Z_OK
	           ? 0
	           : ERR_NO_MEMORY;
}

static void run(struct gzip_out *g, int flush)
{
	do {
		g->z.next_out = g->room;
		g->z.avail_out = sizeof g->room;
		deflate(&g->z, flush);
		fwrite(g->room, 1, sizeof g->room - g->z.avail_out, g->out);
	} while (g->z.avail_out == 0);
}

void gzip_out_put(struct gzip_out *g, const void *p, size_t n)
{
	const unsigned char *from = p;

	while (n) {
		unsigned piece = n < UINT_MAX ? (unsigned)n : UINT_MAX;

		g->z.next_in = (unsigned char *)from;
		g->z.avail_in = piece;
		run(g, Z_NO_FLUSH);
		from += piece;
		n -= piece;
	}
}

void gzip_out_end(struct gzip_out *g)
{
	run(g, Z_FINISH);
	deflateEnd(&g->z);
}

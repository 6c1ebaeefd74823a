#include "pyspy-report/view/packed_out.h"

#include <string.h>

#include "libcommon/err.h"

enum { LEVEL = 6 };

int packed_out_begin(struct packed_out *p, FILE *out)
{
	memset(p, 0, sizeof *p);
	p->out = out;
	return deflateInit(&p->z, LEVEL) == Z_OK ? 0 : ERR_NO_MEMORY; /* no other error is possible here */
}

static void put_group(struct packed_out *p)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t v = (uint32_t)p->rest[0] << 16 | (uint32_t)p->rest[1] << 8 | p->rest[2];
	char text[4] = {digits[v >> 18], digits[v >> 12 & 63], p->n_rest > 1 ? digits[v >> 6 & 63] : '=',
	                p->n_rest > 2 ? digits[v & 63] : '='};

	fwrite(text, 1, sizeof text, p->out);
	memset(p->rest, 0, sizeof p->rest);
	p->n_rest = 0;
}

static void run(struct packed_out *p, int flush)
{
	p->z.next_in = p->in;
	p->z.avail_in = (unsigned)p->n_in;
	do {
		p->z.next_out = p->room;
		p->z.avail_out = sizeof p->room;
		deflate(&p->z, flush);
		for (size_t i = 0; i < sizeof p->room - p->z.avail_out; i++) {
			p->rest[p->n_rest++] = p->room[i];
			if (p->n_rest == 3)
				put_group(p);
		}
	} while (p->z.avail_out == 0);
	p->n_in = 0;
}

void packed_out_bytes(struct packed_out *p, const void *s, size_t n)
{
	const unsigned char *from = s;

	while (n) {
		size_t piece = sizeof p->in - p->n_in < n ? sizeof p->in - p->n_in : n;

		memcpy(p->in + p->n_in, from, piece);
		p->n_in += piece;
		from += piece;
		n -= piece;
		if (p->n_in == sizeof p->in)
			run(p, Z_NO_FLUSH);
	}
}

void packed_out_number(struct packed_out *p, uint64_t v)
{
	unsigned char bytes[10];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (unsigned char)(v | 0x80);
	bytes[n++] = (unsigned char)v;
	packed_out_bytes(p, bytes, n);
}

void packed_out_end(struct packed_out *p)
{
	run(p, Z_FINISH);
	if (p->n_rest)
		put_group(p);
	deflateEnd(&p->z);
}

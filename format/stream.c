/* stream: bytes as they come -> frames -> blocks (FORMAT.md 1). */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "format/block.h"
#include "format/content.h"
#include "format/decode.h"
#include "format/order.h"
#include "libcommon/buf.h"
#include "libcommon/crc32c.h"
#include "libcommon/err.h"

enum { PIECE = 64 << 10 };

enum state {
	STATE_BETWEEN,   /* a frame should begin here */
	STATE_SEARCHING, /* for the next valid header */
	STATE_CONTENT,   /* behind a block's header */
};

struct stream {
	struct decode_visitor v;
	int rc; /* not 0: decoding has ended */
	struct buf in;
	size_t at;       /* in.data[at .. in.len) is not read yet */
	uint64_t offset; /* of in.data[at] in the input */
	bool is_over;    /* no more bytes will come */
	bool has_header; /* a valid one was seen */
	enum state state;
	uint64_t skip; /* bytes left of a foreign frame */

	struct decode_damage garbage; /* STATE_SEARCHING: to be told when the search ends */

	struct block_header block; /* STATE_CONTENT */
	uint64_t block_offset;
	bool is_bad_frame;           /* its checksum was wrong; what follows may have to be seen to go on */
	uint64_t searched_to_offset; /* a bad frame that begins before is not searched again */

	struct order order;
	struct content *content;
	ZSTD_DCtx *zstd;
	uint8_t *bytes; /* content of a block */
	size_t bytes_cap;
};

struct stream *stream_new(const struct decode_visitor *v)
{
	struct stream *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->v = *v;
	buf_init(&s->in, 0);
	order_init(&s->order, &s->v);
	s->content = content_new(&s->v);
	s->zstd = ZSTD_createDCtx();
	if (!s->content || !s->zstd) {
		stream_free(s);
		return NULL;
	}
	return s;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	content_free(s->content);
	ZSTD_freeDCtx(s->zstd);
	buf_done(&s->in);
	free(s->bytes);
	free(s);
}

static const uint8_t *unread(const struct stream *s)
{
	return s->in.data + s->at;
}

static size_t n_unread(const struct stream *s)
{
	return s->in.len - s->at;
}

static void consume(struct stream *s, size_t n)
{
	s->at += n;
	s->offset += n;
}

/* Returns 0 or what the callback returned, which ends decoding. */
static int tell(struct stream *s, int rc)
{
	s->rc = rc;
	return rc;
}

static int tell_damage(struct stream *s, const struct decode_damage *d)
{
	return s->v.damage ? tell(s, s->v.damage(s->v.ctx, d)) : 0;
}

static void begin_search(struct stream *s, enum decode_problem problem, const char *what)
{
	s->state = STATE_SEARCHING;
	s->garbage = (struct decode_damage){.problem = problem, .offset = s->offset, .what = what};
	if (problem == DECODE_BAD_HEADER)
		s->order.said_bad_header = true;
}

static int end_search(struct stream *s)
{
	s->state = STATE_BETWEEN;
	s->garbage.bytes = s->offset - s->garbage.offset;
	return s->garbage.bytes ? tell_damage(s, &s->garbage) : 0;
}

static int take_file(struct stream *s)
{
	struct rec_file f;

	s->has_header = true;
	block_read_file(unread(s), &f);
	if (f.major > WIRE_MAJOR)
		return tell(s, ERR_VERSION);
	if (tell(s, order_file(&s->order, &f, s->offset)))
		return s->rc;
	consume(s, WIRE_FILE_HEADER_SIZE);
	return 0;
}

static void take_block_header(struct stream *s)
{
	s->has_header = true;
	block_read_header(unread(s), &s->block);
	s->block_offset = s->offset;
	s->is_bad_frame = false;
	s->state = STATE_CONTENT;
	consume(s, WIRE_BLOCK_HEADER_SIZE);
}

/* The input ends in something that might have become a header. */
static bool end_in_header(struct stream *s)
{
	struct decode_damage d = {
	    .problem = DECODE_TRUNCATED,
	    .offset = s->offset,
	    .bytes = n_unread(s),
	    .what = "the file ends inside a header",
	};

	if (!s->is_over || n_unread(s) == 0)
		return false;
	consume(s, n_unread(s));
	return tell_damage(s, &d) == 0;
}

/* The steps return true when they got on, false when more bytes are needed or decoding has ended. */
static bool step_between(struct stream *s)
{
	uint64_t skip = 0;

	switch (block_kind(unread(s), n_unread(s), &skip)) {
	case BLOCK_KIND_FILE:
		return take_file(s) == 0;
	case BLOCK_KIND_BLOCK:
		take_block_header(s);
		return true;
	case BLOCK_KIND_FOREIGN:
		s->skip = skip;
		return true;
	case BLOCK_KIND_SHORT:
		return end_in_header(s);
	case BLOCK_KIND_BAD_FILE:
		begin_search(s, DECODE_BAD_HEADER, "the file header is damaged");
		return true;
	case BLOCK_KIND_NONE:
		break;
	}
	begin_search(s, DECODE_GARBAGE, "bytes that belong to no block");
	return true;
}

static bool step_skip(struct stream *s)
{
	struct decode_damage d = {
	    .problem = DECODE_TRUNCATED, .offset = s->offset, .what = "the file ends inside a frame of another kind"};
	size_t n = n_unread(s) < s->skip ? n_unread(s) : (size_t)s->skip;

	if (n == 0 && s->is_over) {
		s->skip = 0;
		return tell_damage(s, &d) == 0;
	}
	consume(s, n);
	s->skip -= n;
	return n > 0;
}

/* Bytes from p on in which no header can begin. */
static size_t not_a_magic(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && (p[i] & 0xFE) != 0x50)
		i++;
	return i;
}

static bool step_search(struct stream *s)
{
	uint64_t skip;
	enum block_kind kind;

	for (;;) {
		consume(s, not_a_magic(unread(s), n_unread(s)));
		kind = block_kind(unread(s), n_unread(s), &skip);
		if (kind == BLOCK_KIND_FILE || kind == BLOCK_KIND_BLOCK)
			return end_search(s) == 0;
		if (kind == BLOCK_KIND_SHORT && !s->is_over)
			return false;
		if (n_unread(s) == 0)
			break;
		consume(s, 1);
	}
	/* the end of the input */
	if (s->has_header)
		end_search(s);
	return false;
}

static bool make_room(struct stream *s, size_t n)
{
	uint8_t *p;

	if (s->bytes && n <= s->bytes_cap)
		return true;
	p = realloc(s->bytes, n ? n : 1);
	if (!p)
		return false;
	s->bytes = p;
	s->bytes_cap = n;
	return true;
}

static int tell_block(struct stream *s)
{
	const struct rec_block *b = &s->block.block;
	struct decode_damage d = {.problem = DECODE_BAD_RECORD, .offset = s->block_offset};
	enum content_result result;
	size_t rest;
	bool is_new_epoch;

	if (tell(s, order_epoch(&s->order, b, &is_new_epoch)))
		return s->rc;
	if (is_new_epoch && !(b->flags & WIRE_BLOCK_GOES_ON))
		content_new_epoch(s->content);
	if (s->v.block && tell(s, s->v.block(s->v.ctx, b)))
		return s->rc;
	result = content_decode(s->content, s->bytes, s->block.content_bytes, &rest);
	if (result == CONTENT_STOP)
		return tell(s, s->content->rc);
	d.bytes = rest;
	d.what = s->content->what;
	if (result == CONTENT_BAD && tell_damage(s, &d))
		return s->rc;
	return s->v.block_end ? tell(s, s->v.block_end(s->v.ctx, b)) : 0;
}

/* The block's header was good, its content is not: `what`. */
static int tell_bad_block(struct stream *s, enum decode_problem problem, const char *what)
{
	struct decode_damage d = {
	    .problem = problem,
	    .offset = s->block_offset,
	    .bytes = s->offset - s->block_offset,
	    .blocks = 1,
	    .samples = s->block.block.n_samples,
	    .what = what,
	};
	bool is_repeat;

	if (tell(s, order_block(&s->order, &s->block.block, s->block_offset, &is_repeat)))
		return s->rc;
	if (is_repeat)
		d.blocks = d.samples = 0;
	return tell_damage(s, &d);
}

static int tell_repeat(struct stream *s)
{
	struct decode_damage d = {
	    .problem = DECODE_GARBAGE,
	    .offset = s->block_offset,
	    .bytes = s->offset - s->block_offset,
	    .what = "a block that was here before",
	};

	return tell_damage(s, &d);
}

/* The frame's bytes are as they were written. */
static bool step_good_frame(struct stream *s)
{
	const char *wrong;
	bool is_repeat;

	if (!make_room(s, s->block.content_bytes))
		return tell(s, ERR_NO_MEMORY) == 0;
	wrong = block_open(&s->block, unread(s), s->zstd, s->bytes);
	consume(s, s->block.frame_bytes);
	s->state = STATE_BETWEEN;
	if (wrong)
		return tell_bad_block(s, DECODE_BAD_BLOCK, wrong) == 0;
	if (tell(s, order_block(&s->order, &s->block.block, s->block_offset, &is_repeat)))
		return false;
	return (is_repeat ? tell_repeat(s) : tell_block(s)) == 0;
}

/* Offset of the first valid header that begins in the first n bytes at p, of which `all` are here; n when there is
 * none. */
static size_t find_header(const uint8_t *p, size_t n, size_t all)
{
	uint64_t skip;

	for (size_t i = not_a_magic(p, n); i < n; i += 1 + not_a_magic(p + i + 1, n - i - 1)) {
		enum block_kind kind = block_kind(p + i, all - i, &skip);

		if (kind == BLOCK_KIND_FILE || kind == BLOCK_KIND_BLOCK)
			return i;
	}
	return n;
}

/* Bytes were changed; or the file was cut here and another one joined to it, so that the next header stands inside what
 * was taken for the frame. It is not looked for in a block that was itself found in this way, or many headers in a row
 * would each have all of the rest summed. */
static bool step_bad_frame(struct stream *s)
{
	size_t n = s->block.frame_bytes;

	if (s->block_offset >= s->searched_to_offset) {
		if (n_unread(s) < n + WIRE_BLOCK_HEADER_SIZE && !s->is_over)
			return false;
		s->searched_to_offset = s->offset + n;
		n = find_header(unread(s), n, n_unread(s));
	}
	consume(s, n);
	s->state = STATE_BETWEEN;
	return tell_bad_block(s, DECODE_BAD_BLOCK, "the block's content is damaged") == 0;
}

/* The input ends before the frame does. */
static bool step_short_frame(struct stream *s)
{
	size_t n = find_header(unread(s), n_unread(s), n_unread(s));
	bool is_end = n == n_unread(s);

	consume(s, n);
	s->state = STATE_BETWEEN;
	if (is_end)
		return tell_bad_block(s, DECODE_TRUNCATED, "the file ends inside a block") == 0;
	return tell_bad_block(s, DECODE_BAD_BLOCK, "the block was cut") == 0;
}

static bool step_content(struct stream *s)
{
	if (n_unread(s) < s->block.frame_bytes)
		return s->is_over ? step_short_frame(s) : false;
	if (!s->is_bad_frame && crc32c(0, unread(s), s->block.frame_bytes) == s->block.frame_crc)
		return step_good_frame(s);
	s->is_bad_frame = true;
	return step_bad_frame(s);
}

static bool step(struct stream *s)
{
	if (s->skip > 0)
		return step_skip(s);
	if (s->state == STATE_CONTENT)
		return step_content(s);
	return s->state == STATE_SEARCHING ? step_search(s) : step_between(s);
}

/* Move what is left to the front; only when it is the smaller part, so that the moves cost no more than the reading. */
static void drop_read(struct stream *s)
{
	size_t left = n_unread(s);

	if (left > s->at)
		return;
	if (left > 0)
		memmove(s->in.data, unread(s), left);
	s->in.len = left;
	s->at = 0;
}

int stream_feed(struct stream *s, const void *p, size_t n)
{
	const uint8_t *from = p;

	while (s->rc == 0 && n > 0) {
		size_t piece = n < PIECE ? n : PIECE;

		buf_put(&s->in, from, piece);
		if (s->in.err)
			return tell(s, s->in.err);
		from += piece;
		n -= piece;
		while (step(s))
			;
		drop_read(s);
	}
	return s->rc;
}

uint64_t stream_whole(const struct stream *s)
{
	return s->state == STATE_CONTENT ? s->block_offset : s->offset;
}

int stream_finish(struct stream *s)
{
	if (s->rc)
		return s->rc;
	s->is_over = true;
	while (step(s))
		;
	if (s->rc)
		return s->rc;
	if (!s->has_header)
		return tell(s, ERR_FORMAT);
	if (tell(s, order_finish(&s->order, s->offset)))
		return s->rc;
	return s->v.end_of_stream ? tell(s, s->v.end_of_stream(s->v.ctx)) : 0;
}

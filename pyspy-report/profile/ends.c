#include "pyspy-report/profile/ends.h"

#include "format/decode.h"
#include "libcommon/err.h"

struct ends_look {
	struct ends *ends;
	bool has_recording;
};

static int look_new(struct ends_look *k)
{
	k->has_recording = true;
	return vec_push(&k->ends->v, 0) ? 0 : ERR_NO_MEMORY;
}

static int look_on_file(void *ctx, const struct rec_file *f)
{
	(void)f;
	return look_new(ctx);
}

static int look_on_epoch(void *ctx, uint32_t number, bool complete)
{
	struct ends_look *k = ctx;

	(void)number, (void)complete;
	return k->has_recording ? 0 : look_new(k);
}

static int look_on_block_end(void *ctx, const struct rec_block *b)
{
	struct ends_look *k = ctx;
	uint64_t *end = &k->ends->v.v[k->ends->v.n - 1];

	*end = b->end_ns > *end ? b->end_ns : *end;
	return 0;
}

static int look_feed(void *stream, const void *bytes, size_t n)
{
	return stream_feed(stream, bytes, n);
}

static int look_finish(void *stream)
{
	return stream_finish(stream);
}

int ends_fd(int fd, uint64_t most, struct ends *ends, struct feed_result *r)
{
	struct ends_look k = {.ends = ends};
	struct stream *s = stream_new(&(struct decode_visitor){
	    .ctx = &k, .file = look_on_file, .epoch = look_on_epoch, .block_end = look_on_block_end});
	int rc = ERR_NO_MEMORY;

	*r = (struct feed_result){0};
	if (s)
		rc = feed_fd(&(struct feed_to){look_feed, look_finish, s, NULL}, fd, most, r);
	stream_free(s);
	return rc;
}

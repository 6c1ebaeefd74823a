/* Mutated recordings, in the same order each time, for PYSPY_FUZZ_SECONDS of CPU time (1): whatever comes in, the
 * decoder keeps its promises to the visitor. Half of the mutations are of the file, half of a block's content, sealed
 * anew. */
#include <zstd.h>

#include "format/block.h"
#include "format/decode.h"
#include "format/encode.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "tests/unit/support_golden.h"
#include "tests/unit/support_test.h"

static uint64_t seed = 0x5EED;

static uint32_t noise(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return below ? (uint32_t)((seed >> 16) % below) : 0;
}

/* What the callbacks have seen. */
struct watch {
	bool in_block, has_ticks, is_over;
	uint64_t n_calls;
	unsigned char sum;
};

static void touch(struct watch *w, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		w->sum ^= ((const unsigned char *)p)[i];
	w->n_calls++;
}

static int on_epoch(void *ctx, uint32_t epoch, bool complete)
{
	struct watch *w = ctx;

	assert_false(w->in_block);
	return 0;
}

static int on_block(void *ctx, const struct rec_block *b)
{
	struct watch *w = ctx;

	assert_false(w->in_block);
	assert_true(b->begin_ns <= b->end_ns);
	w->in_block = true;
	w->has_ticks = false;
	return 0;
}

static int on_block_end(void *ctx, const struct rec_block *b)
{
	struct watch *w = ctx;

	assert_true(w->in_block);
	w->in_block = false;
	return 0;
}

static int on_end_of_stream(void *ctx)
{
	struct watch *w = ctx;

	assert_false(w->in_block || w->is_over);
	w->is_over = true;
	return 0;
}

static int on_string(void *ctx, str_id id, const char *s, size_t n)
{
	assert_true(id >= 1 && id <= WIRE_IDS_MAX && n <= WIRE_STRING_MAX);
	touch(ctx, s, n);
	return 0;
}

static int on_function(void *ctx, function_id id, const struct rec_function *f)
{
	assert_true(id >= 1 && id <= WIRE_IDS_MAX && f->module <= WIRE_IDS_MAX && f->first_line <= INT32_MAX);
	return 0;
}

static int on_location(void *ctx, location_id id, const struct rec_location *l)
{
	assert_true(id >= 1 && id <= WIRE_IDS_MAX && l->function <= WIRE_IDS_MAX && l->module <= WIRE_IDS_MAX);
	assert_true(!l->has_columns || (l->has_line && l->end_line >= l->line && l->column >= 0 && l->end_column >= 0));
	return 0;
}

static int on_stack(void *ctx, stack_id id, const struct rec_stack *s)
{
	assert_true(id >= 1 && id <= WIRE_IDS_MAX && s->parent < id && s->location <= WIRE_IDS_MAX);
	return 0;
}

static int on_stack_id(void *ctx, stack_id id)
{
	assert_true(id >= 1 && id <= WIRE_IDS_MAX);
	return 0;
}

static int on_recording(void *ctx, const struct rec_recording *r)
{
	assert_true(((struct watch *)ctx)->in_block);
	touch(ctx, r->options, r->n_options * sizeof *r->options);
	touch(ctx, r->notes, r->n_notes * sizeof *r->notes);
	return 0;
}

static int on_process(void *ctx, const struct rec_process *p)
{
	assert_true(p->id >= 1 && p->id <= WIRE_IDS_MAX);
	touch(ctx, p->cmdline, p->n_cmdline * sizeof *p->cmdline);
	touch(ctx, p->sys_path, p->n_sys_path * sizeof *p->sys_path);
	return 0;
}

static int on_module(void *ctx, const struct rec_module *m)
{
	touch(ctx, m->build_id, m->n_build_id);
	return 0;
}

static int on_ticks(void *ctx, const struct rec_ticks *t)
{
	struct watch *w = ctx;

	assert_false(w->has_ticks);
	w->has_ticks = true;
	assert_true(t->unit_ns > 0 && t->cpu_unit_ns > 0);
	for (uint32_t i = 1; i < t->n_ticks; i++)
		assert_true(t->times_ns[i - 1] <= t->times_ns[i]);
	for (uint32_t i = 0; i < t->n_entries; i++) {
		const struct rec_entry *e = &t->entries[i];

		assert_true(e->has_stack && e->tick < t->n_ticks && e->stack <= WIRE_IDS_MAX);
		assert_true(e->thread >= 1 && e->thread <= WIRE_IDS_MAX);
		assert_true(i == 0 || e[-1].tick <= e->tick);
	}
	touch(ctx, t->closings, t->n_closings * sizeof *t->closings);
	return 0;
}

static int on_events(void *ctx, const struct rec_events *r)
{
	for (uint32_t i = 0; i < r->n_events; i++)
		assert_true(r->events[i].thread >= 1 && r->events[i].stack <= WIRE_IDS_MAX);
	return 0;
}

static int on_damage(void *ctx, const struct decode_damage *d)
{
	assert_non_null(d->what);
	return 0;
}

static void decode(const uint8_t *p, size_t n)
{
	struct watch w = {0};
	struct decode_visitor v = {
	    .ctx = &w,
	    .epoch = on_epoch,
	    .block = on_block,
	    .block_end = on_block_end,
	    .end_of_stream = on_end_of_stream,
	    .damage = on_damage,
	    .string = on_string,
	    .function = on_function,
	    .location = on_location,
	    .stack = on_stack,
	    .certify = on_stack_id,
	    .doubt = on_stack_id,
	    .recording = on_recording,
	    .process = on_process,
	    .module = on_module,
	    .ticks = on_ticks,
	    .events = on_events,
	};
	struct stream *s = stream_new(&v);
	/* an allocation of its own for each piece: reads beyond it are seen by the sanitizer */
	int rc = 0;

	while (n > 0 && rc == 0) {
		size_t piece = 1 + noise((uint32_t)n);
		uint8_t *copy = malloc(piece);

		memcpy(copy, p, piece);
		rc = stream_feed(s, copy, piece);
		free(copy);
		p += piece;
		n -= piece;
	}
	if (rc == 0)
		rc = stream_finish(s);
	assert_true(rc == 0 || rc == ERR_FORMAT || rc == ERR_VERSION);
	assert_true(rc != 0 || w.is_over);
	stream_free(s);
}

static void mutate(struct buf *b)
{
	static const uint8_t LIKELY[] = {0, 1, 2, 0x7F, 0x80, 0xFF, 0x50, 0x51};

	for (uint32_t n = 1 + noise(4); n > 0 && b->len > 0; n--) {
		size_t at = noise((uint32_t)b->len), length = 1 + noise(16);

		length = length < b->len - at ? length : b->len - at;
		switch (noise(6)) {
		case 0:
			b->data[at] ^= (uint8_t)(1 << noise(8));
			break;
		case 1:
			b->data[at] = LIKELY[noise(N_OF(LIKELY))];
			break;
		case 2: /* a varint that grows */
			memset(b->data + at, 0xFF, length);
			break;
		case 3: /* bytes go */
			memmove(b->data + at, b->data + at + length, b->len - at - length);
			b->len -= length;
			break;
		case 4: { /* bytes of elsewhere come */
			size_t from = noise((uint32_t)(b->len - length + 1));

			assert_non_null(buf_reserve(b, length));
			memmove(b->data + at + length, b->data + at, b->len - at);
			b->len += length;
			memmove(b->data + at, b->data + from, length);
			break;
		}
		default:
			b->len = noise(8) ? b->len : at;
		}
	}
}

/* The file with the content of one of its blocks changed; false when that is no whole block. */
static bool mutate_content(struct buf *file, struct block_sealer *sealer)
{
	struct buf content, out;
	struct block_header h;
	uint64_t skip;
	size_t at = WIRE_FILE_HEADER_SIZE, n, end = 0;
	uint32_t which = noise(4);

	for (; file->len - at >= WIRE_BLOCK_HEADER_SIZE; at = end) {
		if (block_kind(file->data + at, file->len - at, &skip) != BLOCK_KIND_BLOCK)
			return false;
		block_read_header(file->data + at, &h);
		end = at + WIRE_BLOCK_HEADER_SIZE + h.frame_bytes;
		if (end > file->len || which-- == 0)
			break;
	}
	if (end == 0 || end > file->len || at == end)
		return false;
	buf_init(&content, 0);
	buf_init(&out, 0);
	assert_non_null(buf_reserve(&content, h.content_bytes + 1));
	n = ZSTD_decompress(content.data, h.content_bytes, file->data + at + WIRE_BLOCK_HEADER_SIZE, h.frame_bytes);
	if (!ZSTD_isError(n)) {
		content.len = n;
		mutate(&content);
		buf_put(&out, file->data, at);
		assert_int_equal(block_seal(sealer, &h.block, content.data, content.len, &out), 0);
		buf_put(&out, file->data + end, file->len - end);
		decode(out.data, out.len);
	}
	buf_done(&content);
	buf_done(&out);
	return true;
}

static void test_mutations(void **state)
{
	const char *seconds = getenv("PYSPY_FUZZ_SECONDS");
	uint64_t end = clock_process_cpu_ns() + (seconds ? strtoull(seconds, NULL, 10) : 1) * CLOCK_NS_PER_S;
	struct block_sealer *sealer = block_sealer_new(1);
	unsigned n_golden = 0;
	struct buf files[32], b;

	for (; SUPPORT_GOLDEN[n_golden].name; n_golden++) {
		buf_init(&files[n_golden], 0);
		SUPPORT_GOLDEN[n_golden].build(&files[n_golden]);
	}
	buf_init(&b, 0);
	while (clock_process_cpu_ns() < end) {
		const struct buf *file = &files[noise(n_golden)];

		buf_reset(&b);
		buf_put(&b, file->data, file->len);
		if (noise(2) && mutate_content(&b, sealer))
			continue;
		mutate(&b);
		decode(b.data, b.len);
	}
	for (unsigned i = 0; i < n_golden; i++)
		buf_done(&files[i]);
	buf_done(&b);
	block_sealer_free(sealer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutations)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

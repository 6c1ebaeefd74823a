#include <inttypes.h>

#include "format/decode.h"
#include "format/encode.h"
#include "libcommon/clock.h"
#include "libcommon/crc32c.h"
#include "libcommon/err.h"
#include "tests/unit/support_dump.h"
#include "tests/unit/support_golden.h"
#include "tests/unit/support_recording.h"
#include "tests/unit/support_test.h"

enum { BLOCKS = 4, SAMPLES = 200 }; /* of support_recording_small */

/* The small recording, what it says, and copies to damage. */
struct fixture {
	struct buf file;
	size_t starts[BLOCKS + 1];
	struct support_dump whole;
	uint8_t *copy;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	buf_init(&f->file, 0);
	support_recording_small(&f->file, f->starts);
	support_dump_bytes(&f->whole, f->file.data, f->file.len, 0);
	f->copy = malloc(f->file.len);
	memcpy(f->copy, f->file.data, f->file.len);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	support_dump_done(&f->whole);
	buf_done(&f->file);
	free(f->copy);
	free(f);
	return 0;
}

static void check_counts(const struct support_dump *d, uint64_t n_blocks, uint64_t lost_samples, uint64_t n_damages)
{
	if (d->rc != 0 || d->n_blocks != n_blocks || d->lost_samples != lost_samples || d->n_damages != n_damages)
		fail_msg("rc %d, %" PRIu64 " blocks, %" PRIu64 " lost, %" PRIu64 " damages: %.*s", d->rc, d->n_blocks,
		         d->lost_samples, d->n_damages, (int)d->damage.len, (const char *)d->damage.data);
	assert_int_equal(d->n_bad_records, 0);
}

/* Decode parts of the file one after the other; n pairs of begin and end. */
static void dump_parts(struct fixture *f, struct support_dump *d, const size_t (*parts)[2], unsigned n)
{
	struct buf b;

	buf_init(&b, 0);
	for (unsigned i = 0; i < n; i++)
		buf_put(&b, f->file.data + parts[i][0], parts[i][1] - parts[i][0]);
	support_dump_bytes(d, b.data, b.len, 0);
	buf_done(&b);
}

static bool has(struct support_dump *d, const char *problem)
{
	return strstr(buf_cstr(&d->damage), problem) != NULL;
}

static void test_whole(void **state)
{
	struct fixture *f = *state;

	check_counts(&f->whole, BLOCKS, 0, 0);
	assert_int_equal(f->whole.n_samples, BLOCKS * SAMPLES);
	assert_non_null(strstr(buf_cstr(&f->whole.text), "end_of_stream"));
}

static void check_pieces(const uint8_t *p, size_t n)
{
	static const size_t PIECES[] = {1, 2, 3, 7, 16, 63, 64, 65, 103, 104, 105, 1000};
	struct support_dump whole, d;

	support_dump_bytes(&whole, p, n, 0);
	for (unsigned i = 0; i < N_OF(PIECES); i++) {
		support_dump_bytes(&d, p, n, PIECES[i]);
		assert_int_equal(d.rc, whole.rc);
		assert_string_equal(buf_cstr(&d.text), buf_cstr(&whole.text));
		assert_string_equal(buf_cstr(&d.damage), buf_cstr(&whole.damage));
		support_dump_done(&d);
	}
	support_dump_done(&whole);
}

static void test_pieces(void **state)
{
	struct fixture *f = *state;

	check_pieces(f->file.data, f->file.len);
	for (const struct support_golden *g = SUPPORT_GOLDEN; g->name; g++) {
		struct buf b;

		buf_init(&b, 0);
		g->build(&b);
		check_pieces(b.data, b.len);
		buf_done(&b);
	}
}

static void test_every_truncation(void **state)
{
	struct fixture *f = *state;

	for (size_t n = 0; n < f->file.len; n++) {
		struct support_dump d;
		unsigned whole = 0;
		bool is_at_end;

		while (whole < BLOCKS && f->starts[whole + 1] <= n)
			whole++;
		is_at_end = n == f->starts[whole];
		/* an allocation of its own, so that the sanitizer sees a read behind the end */
		memcpy(f->copy = realloc(f->copy, n ? n : 1), f->file.data, n);
		support_dump_bytes(&d, f->copy, n, 0);
		if (n < WIRE_FILE_HEADER_SIZE) {
			assert_int_equal(d.rc, ERR_FORMAT);
		} else {
			assert_int_equal(d.rc, 0);
			assert_int_equal(d.n_blocks, whole);
			assert_true(is_at_end ? has(&d, "not_closed") : has(&d, "truncated"));
			assert_memory_equal(d.text.data, f->whole.text.data, d.text.len - strlen("end_of_stream\n"));
		}
		support_dump_done(&d);
	}
}

/* What is told of block i: from "block i" to its "block_end". */
static void block_text(struct support_dump *d, unsigned i, const char **begin, size_t *n)
{
	char word[32];
	const char *end;

	snprintf(word, sizeof word, "\nblock %u ", i);
	*begin = strstr(buf_cstr(&d->text), word);
	snprintf(word, sizeof word, "\nblock_end %u\n", i);
	end = strstr(buf_cstr(&d->text), word);
	*n = *begin && end ? (size_t)(end - *begin) : 0;
}

static void check_block_is_the_same(struct fixture *f, struct support_dump *d, unsigned i)
{
	const char *want, *got;
	size_t n_want, n_got;

	block_text(&f->whole, i, &want, &n_want);
	block_text(d, i, &got, &n_got);
	assert_true(n_want > 0);
	assert_int_equal(n_got, n_want);
	assert_memory_equal(got, want, n_want);
}

/* Which block the byte at `at` belongs to; BLOCKS = the file header. */
static unsigned block_of(const struct fixture *f, size_t at)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (at >= f->starts[i] && at < f->starts[i + 1])
			return i;
	}
	return BLOCKS;
}

static void check_flip(struct fixture *f, size_t at)
{
	unsigned hit = block_of(f, at);
	bool is_last_header = hit == BLOCKS - 1 && at < f->starts[hit] + WIRE_BLOCK_HEADER_SIZE;
	struct support_dump d;

	support_dump_bytes(&d, f->copy, f->file.len, 0);
	assert_int_equal(d.rc, 0);
	assert_true(d.n_damages > 0);
	assert_int_equal(d.n_bad_records, 0);
	assert_int_equal(d.n_blocks, hit == BLOCKS ? BLOCKS : BLOCKS - 1);
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (i != hit)
			check_block_is_the_same(f, &d, i);
	}
	/* nothing tells how much was in the last block when its header is gone */
	if (is_last_header)
		assert_true(has(&d, "not_closed"));
	else
		assert_int_equal(d.n_samples + d.lost_samples, BLOCKS * SAMPLES);
	support_dump_done(&d);
}

static void test_every_bit_flip(void **state)
{
	struct fixture *f = *state;

	memcpy(f->copy = realloc(f->copy, f->file.len), f->file.data, f->file.len);
	for (size_t at = 0; at < f->file.len; at++) {
		for (int bit = 0; bit < 8; bit++) {
			f->copy[at] ^= (uint8_t)(1 << bit);
			check_flip(f, at);
			f->copy[at] ^= (uint8_t)(1 << bit);
		}
	}
}

static void test_inserted_garbage(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} GARBAGE[] = {
	    {"x", 1},
	    {"\x50", 1},
	    {"\x51\x2A\x4D", 3},
	    {"\x50\x2A\x4D\x18\x38\0\0\0PySpyRec", 16},
	    {"\x51\x2A\x4D\x18\x60\0\0\0PySpyBlk", 16},
	    {"PySpyBlk\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 26},
	    {"\x28\xB5\x2F\xFD\x24\0\1\0\0", 9},
	};
	struct fixture *f = *state;

	for (unsigned k = 0; k < N_OF(GARBAGE); k++) {
		for (unsigned i = 0; i <= BLOCKS; i++) {
			struct support_dump d;
			struct buf b;

			buf_init(&b, 0);
			buf_put(&b, f->file.data, f->starts[i]);
			buf_put(&b, GARBAGE[k].bytes, GARBAGE[k].n);
			buf_put(&b, f->file.data + f->starts[i], f->file.len - f->starts[i]);
			check_pieces(b.data, b.len);
			support_dump_bytes(&d, b.data, b.len, 0);
			check_counts(&d, BLOCKS, 0, 1);
			assert_string_equal(buf_cstr(&d.text), buf_cstr(&f->whole.text));
			support_dump_done(&d);
			buf_done(&b);
		}
	}
}

static void test_garbage_in_front(void **state)
{
	struct fixture *f = *state;
	struct support_dump d;
	struct buf b;

	buf_init(&b, 0);
	buf_str(&b, "#!/bin/sh\n");
	buf_put(&b, f->file.data, f->file.len);
	support_dump_bytes(&d, b.data, b.len, 0);
	check_counts(&d, BLOCKS, 0, 1);
	assert_string_equal(buf_cstr(&d.damage),
	                    "garbage at 0 bytes 10 blocks 0 samples 0: bytes that belong to no block\n");
	support_dump_done(&d);
	buf_done(&b);
}

static void test_foreign_frames(void **state)
{
	struct fixture *f = *state;
	struct support_dump d;
	struct buf b;

	/* a large one, passed over without being kept; and one of nothing */
	buf_init(&b, 0);
	buf_put(&b, f->file.data, f->starts[1]);
	buf_str(&b, "\x5A\x2A\x4D\x18");
	buf_u32(&b, 300000);
	assert_non_null(buf_reserve(&b, 300000));
	memset(b.data + b.len, 0x51, 300000);
	b.len += 300000;
	buf_str(&b, "\x52\x2A\x4D\x18");
	buf_u32(&b, 0);
	buf_put(&b, f->file.data + f->starts[1], f->file.len - f->starts[1]);
	check_pieces(b.data, b.len);
	support_dump_bytes(&d, b.data, b.len, 0);
	check_counts(&d, BLOCKS, 0, 0);
	support_dump_done(&d);
	/* cut inside */
	support_dump_bytes(&d, b.data, f->starts[1] + 1000, 0);
	assert_true(has(&d, "truncated"));
	assert_true(has(&d, "not_closed"));
	support_dump_done(&d);
	buf_done(&b);
}

static void test_missing(void **state)
{
	struct fixture *f = *state;
	struct support_dump d;

	/* one in the middle; two, with the start of an epoch; the first */
	dump_parts(f, &d, (const size_t[][2]){{0, f->starts[1]}, {f->starts[2], f->file.len}}, 2);
	check_counts(&d, 3, SAMPLES, 1);
	assert_non_null(strstr(buf_cstr(&d.damage), "blocks 1 samples 200:"));
	assert_null(strstr(buf_cstr(&d.text), "incomplete"));
	support_dump_done(&d);
	dump_parts(f, &d, (const size_t[][2]){{0, f->starts[1]}, {f->starts[3], f->file.len}}, 2);
	check_counts(&d, 2, 2 * SAMPLES, 1);
	assert_non_null(strstr(buf_cstr(&d.damage), "blocks 2 samples 400:"));
	assert_non_null(strstr(buf_cstr(&d.text), "epoch 1 incomplete\nblock 3"));
	support_dump_done(&d);
	dump_parts(f, &d, (const size_t[][2]){{0, f->starts[0]}, {f->starts[1], f->file.len}}, 2);
	check_counts(&d, 3, SAMPLES, 1);
	assert_non_null(strstr(buf_cstr(&d.text), "epoch 0 incomplete\nblock 1"));
	support_dump_done(&d);
	/* the end: nobody can tell how much */
	dump_parts(f, &d, (const size_t[][2]){{0, f->starts[3]}}, 1);
	check_counts(&d, 3, 0, 1);
	assert_true(has(&d, "not_closed"));
	support_dump_done(&d);
}

/* A bad block tells its own loss; it is not told again as missing. */
static void test_bad_and_missing(void **state)
{
	struct fixture *f = *state;
	struct support_dump d;

	f->file.data[f->starts[1] + WIRE_BLOCK_HEADER_SIZE + 20] ^= 1;
	dump_parts(f, &d, (const size_t[][2]){{0, f->starts[2]}, {f->starts[3], f->file.len}}, 2);
	check_counts(&d, 2, 2 * SAMPLES, 2);
	assert_true(has(&d, "bad_block") && has(&d, "missing"));
	assert_non_null(strstr(buf_cstr(&d.damage), "blocks 1 samples 200: blocks are missing"));
	support_dump_done(&d);
}

static void test_bad_epoch_start(void **state)
{
	struct fixture *f = *state;
	struct support_dump d;

	f->file.data[f->starts[2] + WIRE_BLOCK_HEADER_SIZE + 20] ^= 1;
	support_dump_bytes(&d, f->file.data, f->file.len, 0);
	check_counts(&d, 3, SAMPLES, 1);
	assert_non_null(strstr(buf_cstr(&d.text), "epoch 1 incomplete\nblock 3"));
	support_dump_done(&d);
}

static void test_bytes_lost_in_a_block(void **state)
{
	struct fixture *f = *state;
	struct support_dump d;
	size_t at = f->starts[1] + WIRE_BLOCK_HEADER_SIZE + 10;

	/* fewer bytes, more bytes: the next block is found all the same */
	dump_parts(f, &d, (const size_t[][2]){{0, at}, {at + 5, f->file.len}}, 2);
	assert_int_equal(d.n_blocks, 3);
	assert_int_equal(d.lost_samples, SAMPLES);
	check_block_is_the_same(f, &d, 2);
	support_dump_done(&d);
	dump_parts(f, &d, (const size_t[][2]){{0, at}, {0, 10}, {at, f->file.len}}, 3);
	assert_int_equal(d.n_blocks, 3);
	assert_int_equal(d.lost_samples, SAMPLES);
	support_dump_done(&d);
}

static void test_joined(void **state)
{
	struct fixture *f = *state;
	struct support_dump d;
	struct buf b;
	size_t end = f->file.len;

	dump_parts(f, &d, (const size_t[][2]){{0, end}, {0, end}}, 2);
	check_counts(&d, 2 * BLOCKS, 0, 0);
	support_dump_done(&d);
	/* the first one was not closed, or cut at any byte of its last block: the second is whole */
	dump_parts(f, &d, (const size_t[][2]){{0, f->starts[3]}, {0, end}}, 2);
	check_counts(&d, 2 * BLOCKS - 1, 0, 1);
	assert_true(has(&d, "not_closed"));
	support_dump_done(&d);
	for (size_t cut = f->starts[3] + 1; cut < end; cut++) {
		buf_init(&b, 0);
		buf_put(&b, f->file.data, cut);
		buf_put(&b, f->file.data, end);
		support_dump_bytes(&d, b.data, b.len, 0);
		assert_int_equal(d.n_blocks, 2 * BLOCKS - 1);
		assert_int_equal(d.lost_samples, cut < f->starts[3] + WIRE_BLOCK_HEADER_SIZE ? 0 : SAMPLES);
		assert_true(d.n_damages > 0);
		support_dump_done(&d);
		if (cut % 31 == 0)
			check_pieces(b.data, b.len);
		buf_done(&b);
	}
}

static void test_header_missing(void **state)
{
	struct fixture *f = *state;
	struct support_dump d;
	struct buf other;

	dump_parts(f, &d, (const size_t[][2]){{f->starts[0], f->file.len}}, 1);
	check_counts(&d, BLOCKS, 0, 1);
	assert_true(has(&d, "bad_header"));
	assert_non_null(strstr(buf_cstr(&d.text), "file 1.0 flags 0 real 1763795624000000000 boot 1000000000000 uuid "
	                                          "a1a1a1a1a1a1a1a10000000000000000\n"));
	support_dump_done(&d);
	/* behind another recording */
	buf_init(&other, 0);
	SUPPORT_GOLDEN[0].build(&other);
	buf_put(&other, f->file.data + f->starts[0], f->file.len - f->starts[0]);
	support_dump_bytes(&d, other.data, other.len, 0);
	check_counts(&d, BLOCKS + 2, 0, 1);
	assert_true(has(&d, "bad_header"));
	support_dump_done(&d);
	buf_done(&other);
}

/* A block that comes twice counts once. */
static void test_repeated_block(void **state)
{
	struct fixture *f = *state;
	struct support_dump d;

	dump_parts(f, &d, (const size_t[][2]){{0, f->starts[2]}, {f->starts[1], f->file.len}}, 2);
	check_counts(&d, BLOCKS, 0, 1);
	assert_true(has(&d, "garbage"));
	assert_string_equal(buf_cstr(&d.text), buf_cstr(&f->whole.text));
	support_dump_done(&d);
}

static void fix_file_crc(uint8_t *p)
{
	uint32_t crc = crc32c(0, p, WIRE_FILE_HEADER_SIZE - 4);

	memcpy(p + WIRE_FILE_HEADER_SIZE - 4, &crc, 4);
}

static void test_versions(void **state)
{
	struct fixture *f = *state;
	struct support_dump d;
	struct buf b;

	f->copy[18] = 99; /* minor */
	fix_file_crc(f->copy);
	support_dump_bytes(&d, f->copy, f->file.len, 0);
	check_counts(&d, BLOCKS, 0, 0);
	support_dump_done(&d);
	f->copy[16] = 2; /* major */
	fix_file_crc(f->copy);
	support_dump_bytes(&d, f->copy, f->file.len, 0);
	assert_int_equal(d.rc, ERR_VERSION);
	assert_int_equal(d.text.len, 0);
	support_dump_done(&d);
	/* behind one that can be read; and nothing can be fed any more */
	buf_init(&b, 0);
	buf_put(&b, f->file.data, f->file.len);
	buf_put(&b, f->copy, f->file.len);
	support_dump_bytes(&d, b.data, b.len, 0);
	assert_int_equal(d.rc, ERR_VERSION);
	assert_int_equal(d.n_blocks, BLOCKS);
	support_dump_done(&d);
	buf_done(&b);
	f->copy[16] = 0;
	fix_file_crc(f->copy);
	support_dump_bytes(&d, f->copy, f->file.len, 0);
	check_counts(&d, BLOCKS, 0, 1);
	assert_true(has(&d, "bad_header"));
	support_dump_done(&d);
}

static void test_not_a_recording(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} FILES[] = {
	    {"", 0},
	    {"P", 1},
	    {"{\"shared\": {}}\n", 15},
	    {"\x50\x2A\x4D\x18\x38\0\0\0PySpyRec", 16},
	    {"\x5A\x2A\x4D\x18\0\0\0\0", 8},
	    {"\x28\xB5\x2F\xFD\x24\0\1\0\0\x99\xE9\xD8\x51", 13},
	};

	for (unsigned i = 0; i < N_OF(FILES); i++) {
		struct support_dump d;

		support_dump_bytes(&d, FILES[i].bytes, FILES[i].n, 0);
		assert_int_equal(d.rc, ERR_FORMAT);
		assert_int_equal(d.text.len, 0);
		support_dump_done(&d);
	}
}

struct stopper {
	unsigned calls, stop_at;
};

static int stop_string(void *ctx, str_id id, const char *s, size_t n)
{
	struct stopper *t = ctx;

	return ++t->calls == t->stop_at ? 7 : 0;
}

static int stop_end(void *ctx)
{
	return -5;
}

static int stop_damage(void *ctx, const struct decode_damage *d)
{
	return 9;
}

static void test_stop(void **state)
{
	struct fixture *f = *state;
	struct stopper t = {.stop_at = 3};
	struct stream *s = stream_new(&(struct decode_visitor){.ctx = &t, .string = stop_string});

	assert_int_equal(stream_feed(s, f->file.data, f->file.len), 7);
	assert_int_equal(t.calls, 3);
	assert_int_equal(stream_feed(s, f->file.data, f->file.len), 7);
	assert_int_equal(stream_finish(s), 7);
	assert_int_equal(t.calls, 3);
	stream_free(s);
	s = stream_new(&(struct decode_visitor){.end_of_stream = stop_end});
	assert_int_equal(stream_feed(s, f->file.data, f->file.len), 0);
	assert_int_equal(stream_finish(s), -5);
	stream_free(s);
	s = stream_new(&(struct decode_visitor){.damage = stop_damage});
	assert_int_equal(stream_feed(s, f->file.data, 100), 0);
	assert_int_equal(stream_finish(s), 9);
	stream_free(s);
	/* no callback at all */
	s = stream_new(&(struct decode_visitor){0});
	assert_int_equal(stream_feed(s, f->file.data, f->file.len - 1), 0);
	assert_int_equal(stream_finish(s), 0);
	stream_free(s);
	stream_free(NULL);
}

/* Many headers in a row, each claiming all of what follows: must not take time in the square of their number. */
static void test_nested_claims(void **state)
{
	enum { HEADERS = 100000 };
	struct fixture *f = *state;
	uint8_t *h = f->file.data + f->starts[0];
	struct support_dump d;
	struct buf b;
	uint32_t v;
	uint64_t begin;

	v = WIRE_FRAME_MAX;
	memcpy(h + 28, &v, 4);
	v = crc32c(0, h, 100);
	memcpy(h + 100, &v, 4);
	buf_init(&b, 0);
	for (int i = 0; i < 3 * HEADERS; i++)
		buf_put(&b, h, WIRE_BLOCK_HEADER_SIZE);
	begin = clock_process_cpu_ns();
	support_dump_bytes(&d, b.data, b.len, 0);
	assert_int_equal(d.rc, 0);
	assert_int_equal(d.n_blocks, 0);
	assert_true(clock_process_cpu_ns() - begin < 10 * CLOCK_NS_PER_S);
	support_dump_done(&d);
	buf_done(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_whole),
	    TEST(test_pieces),
	    TEST(test_every_truncation),
	    TEST(test_every_bit_flip),
	    TEST(test_inserted_garbage),
	    TEST(test_garbage_in_front),
	    TEST(test_foreign_frames),
	    TEST(test_missing),
	    TEST(test_bad_and_missing),
	    TEST(test_bad_epoch_start),
	    TEST(test_bytes_lost_in_a_block),
	    TEST(test_joined),
	    TEST(test_header_missing),
	    TEST(test_repeated_block),
	    TEST(test_versions),
	    TEST(test_not_a_recording),
	    TEST(test_stop),
	    TEST(test_nested_claims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

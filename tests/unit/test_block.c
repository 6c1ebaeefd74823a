#include <unistd.h>
#include <zstd.h>

#include "format/block.h"
#include "format/encode.h"
#include "libcommon/crc32c.h"
#include "libcommon/err.h"
#include "tests/unit/support_dump.h"
#include "tests/unit/support_recording.h"
#include "tests/unit/support_test.h"

static void test_headers(void **state)
{
	struct rec_file f = {1, 2, 3, {4, 5, 6}, INT64_MIN, UINT64_MAX}, g;
	struct rec_block b = {UINT32_MAX,     1,          2,        3, UINT64_MAX, INT64_MIN, UINT64_MAX,
	                      UINT64_MAX - 1, UINT32_MAX, {1, 2, 3}};
	struct block_header h;
	struct block_sealer *s = block_sealer_new(1);
	struct buf out;
	uint64_t skip;

	buf_init(&out, 0);
	encode_file_header(&out, &f);
	assert_int_equal(out.len, WIRE_FILE_HEADER_SIZE);
	assert_int_equal(block_kind(out.data, out.len, &skip), BLOCK_KIND_FILE);
	block_read_file(out.data, &g);
	assert_memory_equal(&f, &g, sizeof f);
	buf_reset(&out);
	assert_int_equal(block_seal(s, &b, "content", 7, &out), 0);
	assert_int_equal(block_kind(out.data, out.len, &skip), BLOCK_KIND_BLOCK);
	block_read_header(out.data, &h);
	assert_int_equal(h.block.flags, b.flags);
	assert_int_equal(h.block.sequence, 1);
	assert_int_equal(h.block.epoch, 2);
	assert_int_equal(h.block.begin_ns, 3);
	assert_true(h.block.end_ns == UINT64_MAX && h.block.anchor_ns == INT64_MIN);
	assert_true(h.block.samples_before == UINT64_MAX && h.block.n_samples == UINT64_MAX - 1);
	assert_int_equal(h.block.n_ticks, UINT32_MAX);
	assert_memory_equal(h.block.uuid8, b.uuid8, 8);
	assert_int_equal(h.content_bytes, 7);
	assert_int_equal(h.frame_bytes, out.len - WIRE_BLOCK_HEADER_SIZE);
	buf_done(&out);
	block_sealer_free(s);
}

/* The answer for a prefix is "short" or that for all of it. */
static void test_kind_of_prefixes(void **state)
{
	struct buf b;
	size_t starts[5];
	uint64_t skip = 0;

	buf_init(&b, 0);
	support_recording_small(&b, starts);
	for (size_t n = 0; n < WIRE_FILE_HEADER_SIZE; n++)
		assert_int_equal(block_kind(b.data, n, &skip), BLOCK_KIND_SHORT);
	for (size_t n = 0; n < WIRE_BLOCK_HEADER_SIZE; n++)
		assert_int_equal(block_kind(b.data + starts[0], n, &skip), BLOCK_KIND_SHORT);
	buf_done(&b);
	assert_int_equal(block_kind((const uint8_t *)"\x5F\x2A\x4D\x18\xFF\xFF\xFF\xFF", 8, &skip), BLOCK_KIND_FOREIGN);
	assert_true(skip == 8 + (uint64_t)UINT32_MAX);
	assert_int_equal(block_kind((const uint8_t *)"\x50\x2A\x4D\x18\x07\0\0\0", 8, &skip), BLOCK_KIND_NONE);
	assert_int_equal(block_kind((const uint8_t *)"\x51\x2A\x4D\x18\x60\0\0\0PySpyRec", 16, &skip), BLOCK_KIND_NONE);
	assert_int_equal(block_kind((const uint8_t *)"\x51\x2A\x4D\x18\x08\0\0\0PySpyBlk", 16, &skip), BLOCK_KIND_NONE);
	assert_int_equal(block_kind((const uint8_t *)"\x60", 1, &skip), BLOCK_KIND_NONE);
	assert_int_equal(block_kind((const uint8_t *)"\x50\x2A\x4E", 3, &skip), BLOCK_KIND_NONE);
	assert_int_equal(block_kind((const uint8_t *)"\x28\xB5\x2F\xFD", 4, &skip), BLOCK_KIND_NONE);
}

static void test_seal_limits(void **state)
{
	struct block_sealer *s = block_sealer_new(1);
	struct rec_block h = {0};
	struct support_dump d;
	uint8_t *big = malloc(WIRE_CONTENT_MAX + 1);
	struct buf out;
	uint32_t noise = 1;

	/* what does not compress; behind an unknown record's head */
	for (size_t i = 0; i < WIRE_CONTENT_MAX + 1; i++)
		big[i] = (uint8_t)((noise = noise * 1664525 + 1013904223) >> 24);
	memcpy(big, "\x63\xFB\xFF\xFF\x07", 5);
	buf_init(&out, 0);
	buf_str(&out, "x");
	assert_int_equal(block_seal(s, &h, big, WIRE_CONTENT_MAX + 1, &out), ERR_FULL);
	assert_int_equal(out.len, 1);
	assert_int_equal(out.err, 0);
	buf_reset(&out);
	encode_file_header(&out, &(struct rec_file){.major = 1});
	h.flags = WIRE_BLOCK_LAST | WIRE_BLOCK_EPOCH;
	assert_int_equal(block_seal(s, &h, big, WIRE_CONTENT_MAX, &out), 0);
	assert_true(out.len <= WIRE_FILE_HEADER_SIZE + WIRE_BLOCK_HEADER_SIZE + WIRE_FRAME_MAX);
	support_dump_bytes(&d, out.data, out.len, 0);
	assert_int_equal(d.n_blocks, 1);
	assert_int_equal(d.n_damages, 0);
	support_dump_done(&d);
	buf_done(&out);
	buf_init(&out, 50);
	assert_int_equal(block_seal(s, &h, big, 10, &out), ERR_FULL);
	assert_int_equal(out.len, 0);
	assert_int_equal(out.err, 0);
	buf_done(&out);
	free(big);
	block_sealer_free(s);
	block_sealer_free(NULL);
}

/* A file of one block whose frame is `frame` and whose header says so, with a right CRC, and `content_bytes`. */
static void check_frame(const void *frame, size_t n, uint32_t content_bytes, const char *what)
{
	struct support_recording r;
	struct support_dump d;
	uint8_t *h;
	uint32_t v[3] = {(uint32_t)n, content_bytes, crc32c(0, frame, n)};

	support_recording_open(&r, 1);
	support_recording_seal(&r, 5, 5, true);
	r.out.len = WIRE_FILE_HEADER_SIZE + WIRE_BLOCK_HEADER_SIZE;
	buf_put(&r.out, frame, n);
	h = r.out.data + WIRE_FILE_HEADER_SIZE;
	memcpy(h + 28, v, sizeof v);
	v[0] = crc32c(0, h, 100);
	memcpy(h + 100, v, 4);
	support_dump_bytes(&d, r.out.data, r.out.len, 0);
	assert_int_equal(d.n_damages, what ? 1 : 0);
	assert_int_equal(d.lost_samples, what ? 5 : 0);
	if (what && !strstr(buf_cstr(&d.damage), what))
		fail_msg("wanted \"%s\", got %s", what, buf_cstr(&d.damage));
	support_dump_done(&d);
	support_recording_close(&r);
}

static size_t frame_of(uint8_t *out, size_t size, const char *s, size_t n, bool has_checksum, bool has_size)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t length;

	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, has_checksum);
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, has_size);
	length = ZSTD_compress2(c, out, size, s, n);
	ZSTD_freeCCtx(c);
	return length;
}

/* Headers that are right in themselves over frames that are not what they say. */
static void test_lying_headers(void **state)
{
	uint8_t frame[256];
	size_t n = frame_of(frame, 128, "", 0, true, true);

	check_frame(frame, n, 0, NULL);
	check_frame("", 0, 0, "no zstd frame");
	check_frame("\x28\xB5\x2F\xFD", 4, 0, "no zstd frame");
	check_frame("\x50\x2A\x4D\x18\x04\0\0\0PySp", 12, 4, "no zstd frame");
	n = frame_of(frame, 128, "\x63\x02hi", 4, true, true);
	check_frame(frame, n, 4, NULL);
	check_frame(frame, n, 5, "another size");
	check_frame(frame, n, WIRE_CONTENT_MAX, "another size");
	check_frame(frame, n - 1, 4, "another size");
	check_frame(frame, n + 1, 4, "another size");
	frame[n - 1] ^= 1; /* zstd's own checksum */
	check_frame(frame, n, 4, "cannot be decompressed");
	n = frame_of(frame, 128, "\x63\x02hi", 4, false, true);
	check_frame(frame, n, 4, "no zstd frame");
	n = frame_of(frame, 128, "\x63\x02hi", 4, true, false);
	check_frame(frame, n, 4, "another size");
	/* two frames in one */
	n = frame_of(frame, 128, "\x63\x02hi", 4, true, true);
	n += frame_of(frame + n, 128, "\x63\x02hi", 4, true, true);
	check_frame(frame, n, 4, "another size");
}

/* The zstd library reads a whole file as the contents one after the other. */
static void test_zstd_library(void **state)
{
	struct buf b;
	size_t starts[5], n = 0;
	uint8_t out[65536];
	struct block_header h;

	buf_init(&b, 0);
	support_recording_small(&b, starts);
	for (int i = 0; i < 4; i++) {
		block_read_header(b.data + starts[i], &h);
		n += h.content_bytes;
	}
	assert_int_equal(ZSTD_decompress(out, sizeof out, b.data, b.len), n);
	assert_int_equal(out[0], WIRE_RECORDING);
	buf_done(&b);
}

static int run(const char *command, const char *path)
{
	char line[256];

	snprintf(line, sizeof line, "%s %s", command, path);
	return system(line);
}

static void test_zstd_tool(void **state)
{
	char path[] = "/tmp/pyspy-test-XXXXXX";
	struct buf b;
	int fd, rc;

	if (system("command -v zstd >/dev/null") != 0)
		skip();
	fd = mkstemp(path);
	assert_true(fd >= 0);
	buf_init(&b, 0);
	support_recording_small(&b, NULL);
	assert_int_equal(write(fd, b.data, b.len), b.len);
	close(fd);
	rc = run("zstd -tq", path);
	if (rc == 0)
		rc = run("zstd -dcq >/dev/null", path);
	unlink(path);
	assert_int_equal(rc, 0);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_headers),      cmocka_unit_test(test_kind_of_prefixes),
	    cmocka_unit_test(test_seal_limits),  cmocka_unit_test(test_lying_headers),
	    cmocka_unit_test(test_zstd_library), cmocka_unit_test(test_zstd_tool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

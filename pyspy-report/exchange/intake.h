/* intake: the bytes of a foreign file, unpacked (gzip, zstd) on the way, seen through a window that moves on.
 *
 * Trust:   none: what is packed may be a bomb, so no more than INTAKE_MAX_BYTES come out of it; a line has an end
 * somewhere. Memory:  the window: 64 KB, or as much as one intake_need or intake_line asks for. Errors:  0, ERR_SYSTEM
 * (error_number), ERR_IO (no room for a temporary file; error_number), ERR_NO_MEMORY. Damage of the packing ends the
 * bytes; `damage` says what it is.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INTAKE_LINE_MAX = 64 << 20 };
#define INTAKE_MAX_BYTES (UINT64_C(64) << 30)

enum intake_packing { INTAKE_PLAIN, INTAKE_GZIP, INTAKE_ZSTD };

struct intake {
	int fd;
	bool is_own_fd; /* a temporary file of ours */
	uint64_t base;  /* where the bytes begin in fd, once it can be sought in */
	bool can_seek;
	uint64_t allowed; /* bytes that may still be read from fd */
	enum intake_packing packing;
	void *unpacker;
	uint8_t *packed;
	size_t packed_at, packed_n;
	bool is_stream_end;

	uint8_t *bytes; /* the window: bytes[at .. n) are next */
	size_t at, n, cap;
	uint64_t offset; /* of bytes[0], in what is unpacked */
	bool is_over;    /* nothing behind the window */
	int rc, error_number;
	const char *damage;
	const char *copy_damage; /* of the packing, found while it was copied */
};

int intake_open(struct intake *s, int fd); /* the descriptor stays the caller's */
/* n bytes from `offset` of a source that can seek, packed as `packing` says; it must not be used meanwhile. */
int intake_open_part(struct intake *s, const struct intake *of, uint64_t offset, uint64_t n,
                     enum intake_packing packing);
void intake_done(struct intake *s);
/* At least n bytes from bytes + at; false: fewer are left (or s->rc). */
bool intake_need(struct intake *s, size_t n);
static inline uint64_t intake_at(const struct intake *s)
{
	return s->offset + s->at;
}
static inline size_t intake_left(const struct intake *s) /* in the window */
{
	return s->n - s->at;
}
/* The next line, without its end (\n, \r\n); valid until the next call. false: no more, or s->rc. *is_long: it is
 * longer than INTAKE_LINE_MAX, and only its begin is here. */
bool intake_line(struct intake *s, const char **p, size_t *n, bool *is_long);
/* Make it possible to go back: what is packed or a pipe is copied to a temporary file. Only before anything is taken.
 */
int intake_make_seekable(struct intake *s, uint64_t *size);
int intake_seek(struct intake *s, uint64_t offset);

/* feed: bytes of a file descriptor -> whoever takes them, a chunk at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the bytes go. Both return 0, or what ends the reading. */
struct feed_to {
	int (*feed)(void *ctx, const void *bytes, size_t n);
	int (*finish)(void *ctx);
	void *ctx;
	void (*progress)(uint64_t bytes); /* NULL, or: told after each chunk how many there were so far */
};

struct feed_result {
	int error_number;
	bool is_empty;
	uint64_t bytes; /* read */
};

/* From where fd stands, at most `most` bytes. 0; ERR_SYSTEM: it could not be read, r->error_number; ERR_NO_MEMORY; or
 * what `to` returned. */
int feed_fd(const struct feed_to *to, int fd, uint64_t most, struct feed_result *r);

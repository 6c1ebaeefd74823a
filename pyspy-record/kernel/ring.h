/* ring: reads what eBPF programs put into a ring buffer (BPF_MAP_TYPE_RINGBUF), where it lies.
 *
 * Threads: one reader a ring; writers are programs in the kernel, on all CPUs at once.
 * Memory:  the kernel's pages. All that are mapped count as ours at once, so that of a large one only a part is: a
 * window, which moves along.
 * Trust:   the kernel writes the headers, and a program of ours the records; a header that makes no sense is an error.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct ring {
	uint64_t *consumer;       /* how far it was read, in bytes since it was made; ours to write */
	const uint64_t *producer; /* how far it was written */
	size_t size;              /* of the data: a power of two */
	int fd;
	const unsigned char *whole; /* all of a small one; what goes over its end is looked at through the window */
	unsigned char *window; /* `window_len` bytes of the data, from position `window_at` on: over its end, too */
	uint64_t window_at;
	size_t window_len, window_room;
};

/* Map the ring buffer `fd` with max_entries `size`; the fd stays the caller's, open until ring_close. 0; ERR_USAGE (no
 * such size); ERR_PERMISSION, ERR_NO_MEMORY, ERR_SYSTEM (errno). */
int ring_open(struct ring *r, int fd, size_t size);
void ring_close(struct ring *r);

/* One record: n bytes at a multiple of 8, valid until visit returns. Anything but 0 ends ring_drain, with the record
 * counted as read. */
typedef int ring_visit(void *ctx, const void *record, size_t n);
/* Visit the records that are complete, in the order in which they were begun, until there is none, or more than
 * max_bytes were read (0 = what is there now, so this ends even while programs write as fast as we read). A record that
 * a program is still writing holds up those behind it. Space is given back after each record.
 * 0; what visit returned; ERR_DAMAGED (the header lies; nothing more can be read from this ring); ERR_NO_MEMORY,
 * ERR_SYSTEM (the record that is next could not be mapped). */
int ring_drain(struct ring *r, ring_visit *visit, void *ctx, size_t max_bytes);
/* Bytes written and not read yet, with their headers. */
size_t ring_waiting(const struct ring *r);

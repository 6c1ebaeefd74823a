/* reader: how bytes of the target come over.
 *
 * Threads: one reader per process looked at; not re-entrant.
 * Memory:  no allocation. A batch is the caller's and is filled before each read.
 * Trust:   what is read may be torn at any byte; addresses come from the target and may point anywhere.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* An address in the target; never a pointer. */
typedef uint64_t raddr_t;

struct corefile;
struct reader {
	/* As process_vm_readv: bytes read (whole segments first to last, maybe fewer than asked for), or -1 with errno.
	 */
	ssize_t (*readv)(struct reader *r, const struct iovec *local, const struct iovec *remote, size_t n);
	pid_t pid;
	struct corefile *core; /* not NULL: the process is in there, and pid is no process of this system */
	void *ctx;             /* a fake's memory */
	uint64_t calls;        /* system calls made */
	int last_errno;        /* of the last failure: ESRCH = gone, EPERM, EFAULT */
	bool tells_delays;     /* set by the caller for reads of a live process; what follows is of those */
	bool is_delayed;       /* we lost the CPU in one since the caller set this to false */
	unsigned watched_reads;
	double usual_slowness; /* of reads of a live process that did not wait, to what they may take */
};

/* Read a live process. */
void reader_live(struct reader *r, pid_t pid);

/* One piece. 0; ERR_GONE; ERR_PERMISSION; ERR_MEMORY_READ (not all of it could be read). */
int reader_read(struct reader *r, raddr_t from, void *to, size_t n);
/* A pointer-sized word. */
int reader_word(struct reader *r, raddr_t from, uint64_t *value);

enum { READER_BATCH_MAX = 1024 };
/* Pieces that are read in one call, in order. */
struct reader_batch {
	struct iovec local[READER_BATCH_MAX], remote[READER_BATCH_MAX];
	size_t n;
	size_t bytes;
};
static inline void reader_batch_clear(struct reader_batch *b)
{
	b->n = b->bytes = 0;
}
/* False when the batch is full (nothing added). */
static inline bool reader_batch_add(struct reader_batch *b, raddr_t from, void *to, size_t n)
{
	if (b->n == READER_BATCH_MAX)
		return false;
	b->local[b->n] = (struct iovec){.iov_base = to, .iov_len = n};
	b->remote[b->n] = (struct iovec){.iov_base = (void *)(uintptr_t)from, .iov_len = n};
	b->n++;
	b->bytes += n;
	return true;
}
/* Read the batch in one call. Returns how many pieces, from the first on, came over whole (all of them: b->n);
 * negative: ERR_GONE, ERR_PERMISSION, or ERR_MEMORY_READ (not even the first). */
int reader_batch_read(struct reader *r, const struct reader_batch *b);

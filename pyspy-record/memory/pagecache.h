/* pagecache: a reader that keeps the pages that came over, with an end to what it brings.
 *
 * For a look at many small things that lie near to each other (values of variables): one system call brings a page, and
 * whatever is asked for twice is the same both times, however the target changes meanwhile.
 * Threads: one, as the reader behind it.
 * Memory:  the pages, until pagecache_clear or pagecache_trim; between them never more than the bytes granted.
 * Trust:   what is read may be torn between two pages; addresses may point anywhere.
 */
#pragma once
#include "libcommon/map.h"
#include "libcommon/vec.h"
#include "pyspy-record/memory/reader.h"

enum { PAGECACHE_PAGE = 4096 };

struct pagecache_use {
	uint64_t number; /* of the page */
	uint32_t asked;  /* how often something in it was wanted; 0: it came along */
};

struct pagecache {
	struct reader reader; /* to be read from */
	struct reader *behind;
	size_t bytes_left;      /* that may still be brought; set by the caller */
	uint64_t deadline_ns;   /* of CLOCK_MONOTONIC; nothing is read after it; 0 = none */
	size_t ahead;           /* pages brought behind each that is asked for; set by the caller */
	bool is_spent, is_late; /* something was not brought because there were no bytes left, or it was too late */
	struct map at;          /* page number -> index in pages + 1; 0 = cannot be read as a whole */
	VEC(unsigned char *) pages;
	VEC(struct pagecache_use) uses; /* of pages[i] */
	size_t n_used;
	uint64_t n_asked;
	VEC(struct pagecache_use) noted; /* those asked for most first */
	size_t n_again;                  /* the first so many pages are of pagecache_again's moment ... */
	bool is_mixed;                   /* ... and others were asked for since the caller set this to false */
};

void pagecache_init(struct pagecache *c, struct reader *behind);
void pagecache_done(struct pagecache *c);
/* Forget what was read; is_spent and is_late too. The memory is kept. */
void pagecache_clear(struct pagecache *c);
/* Forget what was read if it is more than `most` pages. */
void pagecache_trim(struct pagecache *c, size_t most);
/* Note down which pages something was asked for in, until the next note. */
void pagecache_note(struct pagecache *c);
/* Bring these anew, and forget all others, in as few calls as possible: what they hold then is of one moment, if the
 * target stands. Those that it gets too late for, of those asked for least, are missing. What is asked for later and is
 * not here is read as it is then (is_mixed). */
void pagecache_again(struct pagecache *c);

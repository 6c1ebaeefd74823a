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

struct pagecache {
	struct reader reader; /* to be read from */
	struct reader *behind;
	size_t bytes_left;      /* that may still be brought; set by the caller */
	uint64_t deadline_ns;   /* of CLOCK_MONOTONIC; nothing is read after it; 0 = none */
	size_t ahead;           /* pages brought behind each that is asked for; set by the caller */
	bool is_spent, is_late; /* something was not brought because there were no bytes left, or it was too late */
	struct map at;          /* page number -> index in pages + 1; 0 = cannot be read as a whole */
	VEC(unsigned char *) pages;
	size_t n_used;
	uint64_t n_asked;
};

void pagecache_init(struct pagecache *c, struct reader *behind);
void pagecache_done(struct pagecache *c);
/* Forget what was read; is_spent and is_late too. The memory is kept. */
void pagecache_clear(struct pagecache *c);
/* Forget what was read if it is more than `most` pages. */
void pagecache_trim(struct pagecache *c, size_t most);

/* load: files -> profile.
 *
 * Flow:    FILE -> format/decode -> [load] -> profile; and samples in their order to whoever asks
 * (load_options.sample). Memory:  one chunk and what decode, epoch and profile need; never the file. Several files are
 * loaded one after the other into the same profile.
 */
#pragma once
#include "pyspy-report/profile/lanes.h"
#include "pyspy-report/profile/ends.h"
#include "pyspy-report/profile/replay.h"
#include "pyspy-report/profile/span.h"

/* For who wants the samples as the stream has them, with ids of their epoch (index/index_build). */
struct load_tap {
	/* A block is over, its definitions hold; its samples are in `r` and not counted yet: `e` has its threads as
	 * they were before. 0 or ERR_*. */
	int (*block)(void *ctx, struct epoch *e, struct runs *r, const struct rec_block *b);
	/* The epoch is over and counted: epoch_resolve tells what became of its stacks. */
	int (*epoch_end)(void *ctx, struct epoch *e);
	struct tally *parts; /* NULL, or: all that is counted, without its stack (runs.parts) */
	struct tally *rows;  /* NULL, or: the same with its stack of the epoch (runs.rows) */
	void *ctx;
};

struct load_options {
	replay_visit *sample; /* NULL: only the tally is wanted */
	void *ctx;
	lanes_visit *lane;   /* NULL, or: stretches of time are wanted; with the same ctx */
	struct spool *spool; /* for them; ERR_IO: it failed */
	struct span span;    /* what of each recording; all zero: everything */
	/* Where span_needs_end: when each recording ends, by its number in the profile (profile/ends). */
	const struct ends *ends;
	/* The same input was loaded into this profile before: `sample` gets its samples, and nothing is counted again.
	 * `first` is the number of the input's first recording, `name` as it was. */
	bool replays;
	uint32_t first;
	const struct load_tap *tap;       /* NULL, or: the samples of the stream are wanted */
	void (*progress)(uint64_t bytes); /* NULL, or: told now and then how many bytes were read */
};

/* Load `path` ("-" = standard input). 0, damaged or not (see profile->damage). Otherwise:
 * ERR_SYSTEM   it could not be opened or read: *error_number
 * ERR_FORMAT   not a recording; *is_empty tells whether there was nothing in it
 * ERR_VERSION  written by a newer version
 * ERR_FULL     more distinct things than PROFILE_MAX_*
 * ERR_NO_MEMORY, or what `sample` returned. */
int load_file(struct profile *p, const char *path, const struct load_options *o, struct feed_result *r);
/* The same of what is open: from where fd stands, at most `most` bytes of it. r->bytes: how many there were. */
int load_fd(struct profile *p, int fd, const char *name, uint64_t most, const struct load_options *o,
            struct feed_result *r);

/* For tests and streams: the same from bytes. */
struct load;
struct load *load_new(struct profile *p, const char *input, const struct load_options *o); /* NULL: no memory */
int load_feed(struct load *l, const void *bytes, size_t n);
int load_finish(struct load *l);
uint64_t load_whole(const struct load *l); /* stream_whole */
/* Make ready to ask epoch_resolve what would become of the samples if the input ended here. */
struct epoch *load_peek(struct load *l);
void load_free(struct load *l);

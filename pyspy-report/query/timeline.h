/* timeline: who was where when: for each thread a track of runs, each a path (query/shape) over a stretch of time.
 *
 * Flow:    profile/lanes + shape -> [timeline] -> view/.
 * Consecutive stretches with the same path and state are one run. What the filter drops, and time without samples, is a
 * hole between two runs. Times of all tracks are of one clock after timeline_settle: ns since its begin; recordings of
 * one boot of one host by that host's clock, others by the time of day. A thread has one track, but for recordings of
 * it that overlap in time: these have one each, or else none of them could stay in its place. Memory:  some hundred
 * bytes a track; runs are some bytes each and leave for a temporary file.
 */
#pragma once
#include "libcommon/spool.h"
#include "pyspy-report/profile/lanes.h"
#include "pyspy-report/query/shape.h"

/* What a thread was up to, as far as the views tell it apart. */
enum timeline_state { TIMELINE_BUSY, TIMELINE_GIL, TIMELINE_GIL_WAIT, TIMELINE_IDLE, TIMELINE_STATES };

struct timeline_run {
	uint64_t begin_ns, length_ns; /* since the timeline's begin; length 0: samples that stand for no time */
	uint64_t n;                   /* samples */
	uint32_t path;
	enum timeline_state state;
};

struct timeline_chunk {
	uint64_t at;
	uint32_t length;
};

struct timeline_track {
	uint32_t thread, id, recording; /* of the profile; lane_stretch.id */
	uint64_t offset_ns;             /* of its clock: added to its times gives those of the timeline; modulo 2^64 */
	uint64_t begin_ns, end_ns;      /* first run's begin, last one's end; by its recording's clock until settled */
	uint64_t busy_ns, n;            /* of all runs: length, samples */
	uint32_t twin;                  /* how many tracks of this thread stand before it, + 1; 0: it is the only one */
	struct timeline_run open;       /* the last run: it may become longer */
	uint64_t closed_ns;             /* where the run before it ends */
	unsigned char *bytes;           /* the newest runs */
	uint32_t length, cap;
	VEC(struct timeline_chunk) chunks; /* the older ones, in the spool */
};

struct timeline {
	const struct profile *profile;
	bool by_state; /* runs of different states are different runs */
	VEC(struct timeline_track)
	tracks;               /* in the order in which they were met; after settle in the order of the views */
	VEC(uint32_t) newest; /* track + 1, by thread */
	struct map unknown;   /* id of an unknown thread -> track + 1 */
	VEC(bool) used;       /* by path: some run is of it */
	struct spool spool;
	uint64_t end_ns;      /* how long it is: see settle */
	int64_t origin_ns;    /* where 0 is, as CLOCK_REALTIME */
	uint64_t n, timeless; /* samples; of them, that stand for no time */
};

void timeline_init(struct timeline *t, const struct profile *p, bool by_state);
void timeline_done(struct timeline *t);
/* A stretch that the view keeps. 0, ERR_NO_MEMORY, ERR_IO (spool.error_number). */
int timeline_add(struct timeline *t, const struct lane_stretch *s, uint32_t path);
/* All stretches are there. Tracks get their order: process by process, main threads first, then by start and number.
 * The timeline begins with the first recording, or the first run if that is earlier, and ends with the last of either.
 * The same errors. */
int timeline_settle(struct timeline *t);
/* What has to be added to times of that recording's clock; modulo 2^64. After settle. */
uint64_t timeline_clock(const struct timeline *t, uint32_t recording);
/* Index of the track with the most time (samples, where nothing has time); 0 when there is none. */
size_t timeline_busiest(const struct timeline *t);

/* The runs of a track, in order. */
struct timeline_reader {
	struct timeline *timeline;
	const struct timeline_track *track;
	unsigned char *bytes;
	size_t at, length, chunk; /* in bytes; next chunk */
	uint64_t time_ns;
	struct timeline_run ahead; /* of timeline_next_timed; n 0 = none */
};
int timeline_read(struct timeline_reader *r, struct timeline *t, size_t track); /* 0 or ERR_NO_MEMORY */
int timeline_next(struct timeline_reader *r, struct timeline_run *run);         /* 1, 0 at the end, or an error */
/* The same without runs of length 0: equal paths that only they part are one run. Its state is that of the first. */
int timeline_next_timed(struct timeline_reader *r, struct timeline_run *run);
void timeline_read_done(struct timeline_reader *r);

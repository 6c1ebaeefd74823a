/* report_input: the files of the command line -> profile. */
#pragma once
#include "pyspy-report/index/index_load.h"
#include "pyspy-report/report_options.h"
#include "pyspy-report/report_trouble.h"

/* One file of the command line. What cannot be read twice and has to be is copied to a file without a name. */
struct report_source {
	const char *name;
	int fd;        /* -1: opened by its name each time */
	uint64_t base; /* where in fd it begins */
	uint64_t most; /* bytes of it that are looked at: a file may grow while it is read */
	uint64_t device, inode;
	bool is_begun;       /* of report_input_read */
	uint32_t first;      /* number of its first recording in the profile */
	bool is_beside;      /* the latter */
	bool is_bad;         /* it was damaged */
	struct index *index; /* NULL, or: it is one, or the one beside it is read in its place */
};

struct report_input {
	VEC(struct report_source) sources;
	struct ends ends;
	char *newest; /* name of the file that was chosen; NULL: they were named */
};

/* The files of the command line, or the newest recording here (named on stderr); report_input_done in any case. 0, or
 * REPORT_ERROR (said on stderr). */
int report_input_list(struct report_input *in, const struct report_options *o);
/* All bytes of one of them. `again`: they will be read once more. 0, REPORT_ERROR (said on stderr). */
int report_input_read(struct report_source *s, const struct feed_to *to, bool again);
/* Load o->files (recordings, indexes; where FILE.idx beside a recording is of exactly this recording, that one) (or the
 * newest recording here, named on stderr), of it what o->rules.span asks for, into p, which is initialised here;
 * profile_done and report_input_done in any case. `replays`: report_input_replay will be called. 0, or REPORT_ERROR
 * (said on stderr). */
int report_input_load(struct report_input *in, struct profile *p, const struct report_options *o, bool replays);
/* The samples again, one by one, as load_options.sample gets them. 0; what `visit` returned when that is negative;
 * REPORT_ERROR (said on stderr). */
int report_input_replay(struct report_input *in, struct profile *p, const struct report_options *o, replay_visit *visit,
                        void *ctx);
/* The same, as stretches of time (load_options.lane); `spool` is room for them. ERR_IO: the spool failed. */
int report_input_lanes(struct report_input *in, struct profile *p, const struct report_options *o, lanes_visit *visit,
                       void *ctx, struct spool *spool);
void report_input_done(struct report_input *in);

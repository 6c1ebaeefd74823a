/* live_source: where the bytes come from: a pipe, or a file that grows; read and counted by a thread of its own.
 *
 * Flow:    pipe, file -> [live_source's thread] -> live/live_sums; live_loop looks at them under the lock.
 * Who draws may stand still for as long as the terminal likes: he holds the lock only while he counts, never while he
 * writes. So the recorder never waits for a terminal, and nothing has to be dropped for one. While the picture is held
 * (live_source_hold) bytes wait in memory; beyond LIVE_WAITING_MAX they are counted all the same.
 */
#pragma once
#include <pthread.h>

#include "libcommon/buf.h"
#include "libcommon/spool.h"
#include "pyspy-report/live/live_sums.h"

enum { LIVE_WAITING_MAX = 64 << 20 };     /* bytes */
#define LIVE_KEPT_MAX (UINT64_C(2) << 30) /* bytes that are kept to be saved */

struct live_source {
	int fd;
	bool is_growing;      /* a regular file: its end is not the end */
	int stop_fd, news_fd; /* eventfds: end the thread; something was read (or is over) */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* of all that follows */
	struct live_sums sums;
	struct buf waiting; /* read, not counted */
	bool is_held;
	bool was_let_go; /* too much was waiting */
	struct spool kept;
	bool keeps;     /* `kept` has all that was read */
	int keep_error; /* errno of the spool; 0: it is only too much */
	bool is_over;
	int rc; /* what ended it: 0, ERR_SYSTEM (error_number), ERR_FORMAT, ERR_VERSION, ERR_DAMAGED: the file
	           became shorter, ... */
	int error_number;
};

/* Begin to read `fd`, which becomes the source's. 0, ERR_NO_MEMORY, ERR_SYSTEM (errno); live_source_done in any case.
 */
int live_source_start(struct live_source *s, int fd, const char *name, uint64_t window_ns);
/* Ends the thread. */
void live_source_stop(struct live_source *s);
void live_source_done(struct live_source *s);
void live_source_lock(struct live_source *s);
void live_source_unlock(struct live_source *s);
/* Locked: hold what comes back, or go on. 0 or what counting returned. */
int live_source_hold(struct live_source *s, bool holds);
/* Locked: write what the sums are of to `fd`. 0; ERR_SYSTEM, ERR_IO: errno; ERR_FULL: too much to be kept. */
int live_source_copy(struct live_source *s, int fd);

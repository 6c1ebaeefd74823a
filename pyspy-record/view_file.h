/* view_file: where a finished view goes: a file that appears only when it is whole, or a stream.
 *
 * Flow:    pyspy-report -> [view_file] -> FILE. We open it and hand the descriptor over, so the reporter needs no right
 *          to any folder.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct view_file {
	char path[4096];      /* as asked for; "-" = standard output */
	char real[4096];      /* where links lead */
	char temporary[4128]; /* beside it, until it is whole; "" = none */
	int fd;               /* what the reporter writes to; -1 = not open yet */
	bool is_stream;       /* no regular file: standard output, a pipe, a device */
	bool has_old;         /* there is a file: its owner stays */
	uid_t uid;
	gid_t gid;
};

/* Can it be written? Opens streams; touches nothing else. 0, or errno; EINTR: a signal while a fifo had no reader. */
int view_file_check(struct view_file *v, const char *path);
/* Make v->fd. 0 or errno. */
int view_file_begin(struct view_file *v);
/* It is whole: put it in its place; *bytes = its size. 0, or errno: what was there is as it was. */
int view_file_end(struct view_file *v, uint64_t *bytes);
/* Nothing came of it. */
void view_file_drop(struct view_file *v);

/* sink: where a recording's bytes go: a regular file, a fifo or device, or standard output.
 *
 * Flow:    writer -> [sink] -> FILE. The only place of the recorder that writes data.
 * A file is opened (and proved writable) early but not touched: an existing file keeps its contents until the first
 * bytes come. A failed write is cut back to the last whole piece where the output is a regular file.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sink {
	int fd;
	char path[4096]; /* "-" for standard output */
	bool is_regular, is_new, started;
	uint64_t bytes;   /* written so far, whole pieces */
	int error_number; /* errno of the failure */
};

/* "-" = standard output. `exclusive`: a generated name: must not exist (the caller tries another), no symlink is
 * followed, mode 0600. Else an existing file will be replaced (truncated at the first piece). A file made under sudo
 * belongs to SUDO_UID/GID. 0, or ERR_IO with s->error_number. */
int sink_open(struct sink *s, const char *path, bool exclusive);
/* Write one piece (header or block) whole, in as few calls as possible; EINTR and short writes handled. 0 or ERR_IO:
 * the piece is not there (a regular file is truncated back), s->error_number says why (EPIPE: the reader has gone). */
int sink_write(struct sink *s, const void *p, size_t n);
/* A descriptor that reads what was written, whatever stands at the path by now; -1 with errno. */
int sink_reopen(const struct sink *s);
/* Close; a file that never got a byte and was made by sink_open is removed. 0 or ERR_IO (close or fsync failed late).
 */
int sink_close(struct sink *s);

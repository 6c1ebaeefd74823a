/* spool: bytes that are put aside and read again, in memory while they are few, else in a temporary file without a
 * name.
 *
 * The file is made in $TMPDIR (default /tmp; where that cannot be, /var/tmp) and is gone with the process. Places are
 * offsets from 0, in the order of writing. All zero is an empty spool.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPOOL_IN_MEMORY = 8 << 20 }; /* bytes; what comes after goes to the file */

struct spool {
	unsigned char *bytes; /* the first SPOOL_IN_MEMORY */
	size_t cap;
	uint64_t n; /* written so far */
	int fd;     /* of the file; valid when has_file */
	bool has_file;
	int error_number; /* of the system call that failed */
};

void spool_done(struct spool *s);
void spool_clear(struct spool *s); /* forget the contents; keeps memory and file */
/* Append; *at (may be NULL) is where they begin. 0, ERR_NO_MEMORY, ERR_IO (error_number: no temporary file, or the
 * disk is full). */
int spool_write(struct spool *s, const void *p, size_t n, uint64_t *at);
/* n bytes from `at`; reading past the end is ERR_DAMAGED. The other errors as above. */
int spool_read(struct spool *s, uint64_t at, void *p, size_t n);

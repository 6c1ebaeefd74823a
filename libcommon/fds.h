/* fds: file descriptors that may be kept. A recorder that looks at many threads keeps files of each open; some must be
 * left for what is opened for a moment.
 */
#pragma once

/* Raise the soft limit of open files to the hard one. */
void fds_raise(void);
/* A descriptor that is to be kept: itself while there are some left beside it, else it is closed: -1. */
int fds_keep(int fd);

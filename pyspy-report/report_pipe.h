/* report_pipe: input that has to be read twice and cannot be (pipes, terminals) -> a file without a name. */
#pragma once

/* What is left in `from`, as a copy in TMPDIR, or /tmp: a descriptor, to be closed. -1 (said on stderr, where it is
 * called `name`; "-": standard input). */
int report_pipe_keep(int from, const char *name);

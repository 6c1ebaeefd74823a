/* reporter: the pyspy-report beside our own executable, started for one view.
 *
 * It reads the recording from its standard input and writes the view to its standard output, and gets nothing else of
 * ours: no descriptor, no capability, no rights by sudo, setuid or file capabilities. It ends when we do.
 */
#pragma once
#include <stdbool.h>

#include "pyspy-record/target/spawn.h"

struct reporter {
	struct spawn spawn;        /* spawn.pid may be read by signal handlers */
	char path[4096];           /* of the program, where it should be */
	int program;               /* an O_PATH descriptor of it */
	const char *verb, *option; /* option: one more word for the verb, or NULL */
	int in, out, err;
};

/* Start it: `in` and `out` and `err` become its standard streams. 0, or errno; ENOENT: it is not there (r->path). */
int reporter_start(struct reporter *r, const char *verb, const char *option, int in, int out, int err);
/* Wait for its end. True: it did what it should; else `how` says how it ended. */
bool reporter_wait(struct reporter *r, char *how, unsigned size);

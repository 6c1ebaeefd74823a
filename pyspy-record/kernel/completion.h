/* completion: loads what the first samples did without (loading_rest), and does not keep the recorder from draining.
 *
 * Flow:    engine -> [completion] -> loading. With bpf_loop (Linux 5.17) that is 5 to 10 ms, and is done at once.
 * Without it the kernel checks programs for 150 ms, on a busy or slow machine for seconds, in which the ring would run
 * over and threads that start would not be met: there a thread of its own does it. It lives as long as that takes,
 * takes no signals, and runs as an ordinary thread whatever the recorder's own priority is.
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "pyspy-record/kernel/loading.h"

struct completion {
	bool is_done; /* all is loaded that can be */
	bool has_thread;
	pthread_t thread;
	atomic_bool is_over;    /* the thread is through */
	struct loading loading; /* what it loads into: maps as they were when it began */
	int rc;
	char why[400];
};

/* Begin it if need be; `wait`: and be through with it. True: it is done now, and was not before. What could not be
 * loaded is told (log_info). */
bool completion_go(struct completion *c, struct loading *l, bool wait);
/* Wait for the thread, so that nothing is loaded any more. The kernel lets nobody break that off. */
void completion_end(struct completion *c, struct loading *l);

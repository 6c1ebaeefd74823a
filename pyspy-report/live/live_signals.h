/* live_signals: what tells us to end, and what kills us: the terminal is restored, and the recorder told. */
#pragma once
#include "pyspy-report/live/live_child.h"

/* `child` gets SIGTERM when we are told to end. A second signal, or one that nobody hears for two seconds (the terminal
 * takes nothing), ends at once. */
void live_signals_catch(const struct live_child *child);
/* SIGINT, SIGTERM, SIGHUP; 0 = none came. */
int live_signals_caught(void);
/* Readable when one came. */
int live_signals_fd(void);
/* We are leaving by ourselves. */
void live_signals_leave(void);

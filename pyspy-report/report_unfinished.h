/* report_unfinished: files that a signal (SIGINT, SIGTERM, SIGHUP) must not leave behind. */
#pragma once

/* Until report_finished of the same path a signal removes it. Two at a time: a view, and an index made for it. */
void report_unfinished(const char *path);
void report_finished(const char *path);

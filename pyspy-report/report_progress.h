/* report_progress: how far a long job is, on the terminal: nothing at all where stderr is none, in the first second,
 * and when it is over.
 *
 * The bar is of bytes of the file, not of time: blocks differ, but the last one is the end. One job at a time.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* `what` ("reading"), of a file of `all` bytes (0 or UINT64_MAX: not known); `name` is escaped here. */
void report_progress_begin(const char *what, const char *name, uint64_t all);
/* So many bytes of it are done; as load_options.progress. */
void report_progress_bytes(uint64_t bytes);
/* The job has no bytes that could be counted: "making the view". */
void report_progress_say(const char *what);
/* Clear the line. Also before anything is written to a terminal. */
void report_progress_end(void);

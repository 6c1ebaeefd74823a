/* recording_place: where the recording goes: as asked for, beside its view, or under a name of our own making. */
#pragma once
#include <stddef.h>

#include "pyspy-record/emit/sink.h"
#include "pyspy-record/record_options.h"
#include "pyspy-record/view_file.h"

/* Open the output (sink), and with a view check its place (view; its path is chosen here when none was named).
 *  -o x.pyspy   that file
 *  -o x.svg     x.pyspy, in the same folder. One that is there is replaced only when it is a recording and x.svg is
 *               there, too (the same command again), and never with --no-keep; else x-1.pyspy is taken, and so on
 *  a stream     (-o - with -f, a fifo, a device) or no -o: PROGRAM-TIME.pyspy here; with a stream in the folder for
 *               temporary files when this one cannot be written
 * 0, or ERR_IO: `path` (size bytes) is what cannot be written and *error_number why. */
int recording_place_open(struct sink *sink, struct view_file *view, const struct record_options *o, char *path,
                         size_t size, int *error_number);

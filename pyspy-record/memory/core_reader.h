/* core_reader: a core file as memory to be read.
 *
 * As reader_live, but for what it costs: a pread for each piece, so that many small things are best read through a
 * pagecache. What the core has not, and no binary here either, cannot be read (ERR_MEMORY_READ).
 */
#pragma once
#include "pyspy-record/memory/reader.h"
#include "pyspy-record/target/corefile.h"

void reader_core(struct reader *r, struct corefile *core);

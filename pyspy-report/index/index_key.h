/* index_key: how an index knows a recording again. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "pyspy-report/index/index_facts.h"

/* Size, time and the checksum of the ends of what is open. 0, or ERR_SYSTEM (errno). */
int index_key_of(int fd, struct facts_input *key);
/* The file is the one that was indexed: the same size and ends, and the same time or the same checksum of all of it.
 * 1, 0, or ERR_SYSTEM (errno). */
int index_key_is(const struct facts_input *key, const char *path);

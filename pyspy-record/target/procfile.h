/* procfile: texts of /proc. Trust: some come from the target (names): bytes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As much of the file as fits, NUL-terminated; how much, or -1 with errno. */
ssize_t procfile_read(const char *name, char *out, size_t size);
/* The number in the line "key: ..." of such a text: the index-th one, counted from 0 (-1: the last one), written in
 * `base`. False: there is none. */
bool procfile_number(const char *text, const char *key, int index, int base, uint64_t *v);

/* support_index: files for tests of indexes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Fails the test where it cannot. */
void support_write_file(const char *path, const void *bytes, size_t n);
/* As index_build, told to nobody; what is at `path` is gone before, unless it goes on. */
int support_index_build(const char *path, bool goes_on, const char *const *inputs, size_t n);

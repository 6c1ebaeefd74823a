#include "tests/unit/support_index.h"

#include <unistd.h>

#include "pyspy-report/index/index_build.h"
#include "tests/unit/support_test.h"

void support_write_file(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void progress_begin(const char *name, uint64_t all)
{
	(void)name, (void)all;
}

static void progress_bytes(uint64_t bytes)
{
	(void)bytes;
}

static void progress_end(void)
{
}

int support_index_build(const char *path, bool goes_on, const char *const *inputs, size_t n)
{
	static const struct index_progress progress = {progress_begin, progress_bytes, progress_end};
	struct index_built built;

	if (!goes_on)
		unlink(path);
	return index_build(path, goes_on, inputs, n, &progress, &built);
}

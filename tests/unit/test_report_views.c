/* The reporter's profile and query rooms on small recordings.
 * `test_report_views --write DIR` writes these recordings as files, for tests/cli/report_*.sh and tests/e2e. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "pyspy-report/profile/load.h"
#include "tests/unit/support_views.h"

static int write_all(const char *dir)
{
	for (const struct support_view *v = support_views; v->name; v++) {
		char path[4096];
		struct buf b;
		FILE *f;

		buf_init(&b, 0);
		v->make(&b);
		snprintf(path, sizeof path, "%s/%s.pyspy", dir, v->name);
		f = fopen(path, "wb");
		if (!f || fwrite(b.data, 1, b.len, f) != b.len || fclose(f)) {
			perror(path);
			return 1;
		}
		buf_done(&b);
	}
	return 0;
}

static void nothing(void **state)
{
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing),
	};

	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_all(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

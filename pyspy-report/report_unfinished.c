#include "pyspy-report/report_unfinished.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { AT_A_TIME = 2 };

/* For the signal handler. */
static struct {
	char path[PATH_MAX + 16];
	volatile sig_atomic_t is_there;
} files[AT_A_TIME];

static void on_signal(int number)
{
	for (int i = 0; i < AT_A_TIME; i++)
		if (files[i].is_there)
			unlink(files[i].path);
	signal(number, SIG_DFL);
	raise(number);
}

void report_unfinished(const char *path)
{
	for (int i = 0; i < AT_A_TIME; i++)
		if (!files[i].is_there) {
			snprintf(files[i].path, sizeof files[i].path, "%s", path);
			files[i].is_there = 1;
			break;
		}
	for (const int *s = (const int[]){SIGINT, SIGTERM, SIGHUP, 0}; *s; s++)
		if (signal(*s, on_signal) == SIG_IGN)
			signal(*s, SIG_IGN);
}

void report_finished(const char *path)
{
	for (int i = 0; i < AT_A_TIME; i++)
		if (files[i].is_there && strcmp(files[i].path, path) == 0)
			files[i].is_there = 0;
}

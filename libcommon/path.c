#include "libcommon/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"

enum { PROGRAM_MAX = 60 };

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_letter_or_digit(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* `program` with each run of other characters as one '_'. It begins with a letter or digit: a file name must be neither
 * hidden nor an option. */
static void clean_name(char out[PROGRAM_MAX + 1], const char *program)
{
	size_t n = 0;

	for (; *program && n < PROGRAM_MAX; program++) {
		bool is_plain = is_letter_or_digit(*program);

		if (is_plain || (n > 0 && strchr("._-", *program)))
			out[n++] = *program;
		else if (n > 0 && out[n - 1] != '_')
			out[n++] = '_';
	}
	while (n > 0 && out[n - 1] == '_')
		n--;
	out[n] = 0;
	if (n == 0)
		strcpy(out, "python");
}

void path_default_name(char *out, size_t size, const char *program, int64_t realtime_ns)
{
	char name[PROGRAM_MAX + 1], when[32];
	int64_t s = realtime_ns / (int64_t)CLOCK_NS_PER_S;
	time_t t = (time_t)(realtime_ns % (int64_t)CLOCK_NS_PER_S < 0 ? s - 1 : s);
	struct tm tm;

	clean_name(name, path_base(program));
	if (!gmtime_r(&t, &tm) || !strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm))
		strcpy(when, "0");
	snprintf(out, size, "%s-%s.pyspy", name, when);
}

static bool is_recording_name(const char *name)
{
	size_t n = strlen(name);

	return n > 6 && name[0] != '.' && strcmp(name + n - 6, ".pyspy") == 0;
}

static bool is_newer(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static void find_newest(DIR *d, char best[NAME_MAX + 1])
{
	struct timespec best_time = {0};
	struct dirent *e;
	struct stat st;

	best[0] = 0;
	while ((e = readdir(d))) {
		if (!is_recording_name(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if (best[0] && (is_newer(&best_time, &st.st_mtim) ||
		                (!is_newer(&st.st_mtim, &best_time) && strcmp(e->d_name, best) < 0)))
			continue;
		best_time = st.st_mtim;
		snprintf(best, NAME_MAX + 1, "%s", e->d_name);
	}
}

int path_newest(const char *dir, char *out, size_t size)
{
	char best[NAME_MAX + 1];
	const char *slash = *dir && dir[strlen(dir) - 1] == '/' ? "" : "/";
	DIR *d = opendir(dir);
	int n;

	if (!d)
		return ERR_SYSTEM;
	find_newest(d, best);
	closedir(d);
	if (!best[0])
		return ERR_GONE;
	if (strcmp(dir, ".") == 0)
		n = snprintf(out, size, "%s", best);
	else
		n = snprintf(out, size, "%s%s%s", dir, slash, best);
	return n >= 0 && (size_t)n < size ? 0 : ERR_FULL;
}

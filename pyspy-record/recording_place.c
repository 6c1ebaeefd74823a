#include "pyspy-record/recording_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/wire.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/path.h"
#include "pyspy-record/target/process.h"

enum { NAMES_TRIED = 1000, PLACE_MAX = 4096 };
#define ENDING ".pyspy"

/* What people call a program: of `python3 -u app.py` it is app, of `python -m http.server` http.server. */
static void name_program(char *out, size_t size, char *const *words, unsigned n)
{
	const char *name = n ? path_base(words[0]) : "", *found = NULL;
	bool is_module = false;
	if (!strncmp(name, "python", 6)) {
		for (unsigned i = 1; i < n && !found; i++) {
			const char *word = words[i];
			if (!strcmp(word, "-W") || !strcmp(word, "-X")) {
				i++;
			} else if (!strcmp(word, "-m")) {
				is_module = true;
			} else if (!strncmp(word, "-c", 2) || !strcmp(word, "-")) {
				break;
			} else if (*word != '-') {
				found = word;
			}
		}
	}
	if (found)
		name = is_module ? found : path_base(found);
	size_t len = strlen(name);
	if (found && !is_module && len > 3 && !strcmp(name + len - 3, ".py"))
		len -= 3;
	snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), name);
}

static void name_target(char *out, size_t size, const struct record_options *o)
{
	struct process_facts facts;
	char program[64];
	unsigned n = 0;

	if (o->program) {
		while (o->program[n])
			n++;
		name_program(out, size, o->program, n);
		return;
	}
	snprintf(out, size, "pid-%d", o->pids[0]);
	if (process_facts_read(o->pids[0], &facts) < 0)
		return;
	name_program(program, sizeof program, facts.cmdline, facts.n_cmdline);
	if (*program)
		snprintf(out, size, "%s-%d", program, o->pids[0]);
	process_facts_done(&facts);
}

static bool exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

static int fail(const char *wrong, int code, char *path, size_t size, int *error_number)
{
	snprintf(path, size, "%s", wrong);
	*error_number = code;
	return ERR_IO;
}

/* STEM.pyspy, STEM-1.pyspy ...: never over what is there. With `suffix`, STEM-N.suffix must be free, too. */
static int open_free(struct sink *sink, const char *stem, const char *suffix)
{
	char tried[PLACE_MAX + 32], view[PLACE_MAX + 32], tail[16] = "";

	for (int i = 0;; i++) {
		if (i)
			snprintf(tail, sizeof tail, "-%d", i);
		snprintf(tried, sizeof tried, "%s%s" ENDING, stem, tail);
		snprintf(view, sizeof view, "%s%s%s", stem, tail, suffix ? suffix : "");
		if (suffix && exists(view)) {
			if (i < NAMES_TRIED)
				continue;
			sink->error_number = EEXIST;
			return ERR_IO;
		}
		int rc = sink_open(sink, tried, true);
		if (rc == 0 || sink->error_number != EEXIST || i == NAMES_TRIED)
			return rc;
	}
}

static bool is_recording(const char *path)
{
	unsigned char magic[4];
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool is_it = fd >= 0 && read(fd, magic, 4) == 4 &&
	             (magic[0] | magic[1] << 8 | magic[2] << 16 | (uint32_t)magic[3] << 24) == WIRE_FILE_MAGIC;
	if (fd >= 0)
		close(fd);
	return is_it;
}

static int open_beside(struct sink *sink, const struct view_file *view, const struct record_options *o)
{
	char stem[PLACE_MAX], first[PLACE_MAX + 16];

	snprintf(stem, sizeof stem, "%.*s", (int)view_format_stem(view->path), view->path);
	snprintf(first, sizeof first, "%s" ENDING, stem);
	if (!o->no_keep && view->has_old && strcmp(first, view->path) != 0 && is_recording(first))
		return sink_open(sink, first, false);
	return open_free(sink, stem, NULL);
}

/* PROGRAM-TIME, for a recording, and for its view when that has no name either. */
static int open_default(struct sink *sink, struct view_file *view, const struct record_options *o)
{
	const char *suffix = o->view && !o->output ? o->view->suffix : NULL;
	char program[96], name[128], elsewhere[PLACE_MAX];
	int rc;

	name_target(program, sizeof program, o);
	path_default_name(name, sizeof name, program, clock_real_ns());
	name[strlen(name) - strlen(ENDING)] = 0;
	rc = open_free(sink, name, suffix);
	if (rc < 0 && o->view && view->is_stream && sink->error_number != EEXIST) {
		const char *folder = getenv("TMPDIR");
		int error_number = sink->error_number;
		snprintf(elsewhere, sizeof elsewhere, "%s/%s", folder && *folder ? folder : "/tmp", name);
		rc = open_free(sink, elsewhere, NULL);
		if (rc < 0) {
			snprintf(sink->path, sizeof sink->path, "%s" ENDING, name);
			sink->error_number = error_number;
		}
	}
	if (rc == 0 && suffix) {
		snprintf(elsewhere, sizeof elsewhere, "%.*s%s", (int)(strlen(sink->path) - strlen(ENDING)), sink->path,
		         suffix);
		int error_number = view_file_check(view, elsewhere);
		if (error_number) {
			sink_close(sink);
			sink->error_number = error_number;
			return ERR_IO;
		}
	}
	return rc;
}

int recording_place_open(struct sink *sink, struct view_file *view, const struct record_options *o, char *path,
                         size_t size, int *error_number)
{
	int rc;

	if (o->view && o->output) {
		int wrong = view_file_check(view, o->output);
		if (wrong)
			return fail(o->output, wrong, path, size, error_number);
	}
	if (o->view && o->output && !view->is_stream)
		rc = open_beside(sink, view, o);
	else if (o->view || !o->output)
		rc = open_default(sink, view, o);
	else
		rc = sink_open(sink, o->output, false);
	if (rc < 0)
		return fail(sink->path, sink->error_number, path, size, error_number);
	return 0;
}

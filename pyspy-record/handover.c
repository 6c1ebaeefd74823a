#include "pyspy-record/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "pyspy-record/emit/status.h"

static void put_path(struct buf *b, const char *path)
{
	if (!strcmp(path, "-"))
		buf_str(b, "standard output");
	else
		escape_text(b, path, strlen(path));
}

static bool fail(const struct handover *h, const struct record_options *o, const char *why)
{
	struct buf b;

	view_file_drop(h->view);
	buf_init(&b, 0);
	buf_printf(&b, "cannot write the %s view to ", o->view->name);
	put_path(&b, h->view->path);
	buf_printf(&b, ": %s; the recording is kept: ", why);
	put_path(&b, h->sink->path);
	log_error("%s", buf_cstr(&b));
	buf_done(&b);
	status_wrote(h->sink, o->view->verb, h->view->path);
	return false;
}

static bool fail_by(const struct handover *h, const struct record_options *o, int error_number)
{
	return fail(h, o, strerror(error_number));
}

/* With -q: what the reporter says is kept back until it is known that it failed. */
static int open_words(bool quiet)
{
	return quiet ? memfd_create("pyspy-report", MFD_CLOEXEC) : -1;
}

static void show_words(int fd)
{
	char text[4096];
	ssize_t n;

	for (off_t at = 0; fd >= 0 && (n = pread(fd, text, sizeof text, at)) > 0; at += n)
		if (write(STDERR_FILENO, text, (size_t)n) < 0)
			return;
}

static void drop_recording(const struct sink *sink, int recording)
{
	struct stat ours, there;
	if (fstat(recording, &ours) == 0 && lstat(sink->path, &there) == 0 && ours.st_dev == there.st_dev &&
	    ours.st_ino == there.st_ino)
		unlink(sink->path);
}

static bool explain_start(const struct handover *h, const struct record_options *o, int error_number)
{
	struct buf why;

	buf_init(&why, 0);
	if (error_number == ENOENT)
		buf_str(&why, "there is no ");
	else
		buf_str(&why, "cannot run ");
	escape_text(&why, h->reporter->path, strlen(h->reporter->path));
	if (error_number != ENOENT)
		buf_printf(&why, ": %s", strerror(error_number));
	fail(h, o, buf_cstr(&why));
	buf_done(&why);
	return false;
}

static bool make(struct handover *h, const struct record_options *o, int recording, int words, uint64_t *bytes)
{
	char why[128];

	if (recording < 0)
		return fail_by(h, o, -recording);
	int error_number = view_file_begin(h->view);
	if (error_number)
		return fail_by(h, o, error_number);
	if (*h->signal)
		return fail(h, o, "stopped");
	error_number = reporter_start(h->reporter, o->view->verb, o->view->option, recording, h->view->fd,
	                              words < 0 ? STDERR_FILENO : words);
	if (error_number)
		return explain_start(h, o, error_number);
	if (*h->signal) /* it came between our look and the start */
		spawn_signal(&h->reporter->spawn, SIGKILL);
	if (!reporter_wait(h->reporter, why, sizeof why)) {
		if (!*h->signal)
			show_words(words);
		return fail(h, o, *h->signal ? "stopped" : why);
	}
	error_number = view_file_end(h->view, bytes);
	return error_number ? fail_by(h, o, error_number) : true;
}

bool handover_run(struct handover *h, const struct record_options *o, int recording, bool is_whole)
{
	int words = open_words(o->quiet);
	uint64_t bytes = 0;
	bool is_made = make(h, o, recording, words, &bytes), is_kept = !o->no_keep || !is_whole;

	if (is_made && !is_kept)
		drop_recording(h->sink, recording);
	if (is_made)
		status_wrote_view(h->view->path, bytes, is_kept ? h->sink : NULL);
	if (recording >= 0)
		close(recording);
	if (words >= 0)
		close(words);
	return is_made;
}

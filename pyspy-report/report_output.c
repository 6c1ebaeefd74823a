#include "pyspy-report/report_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "pyspy-report/report_trouble.h"
#include "pyspy-report/report_unfinished.h"

static int failed(const char *path, int error_number)
{
	const char *what = "check the folder and its permissions";
	struct buf b;

	if (error_number == ENOSPC || error_number == EDQUOT)
		what = "free some space, or choose another place with -o";
	else if (error_number == EBADF)
		what = "it is closed; name a file with -o";
	else if (error_number == EISDIR)
		what = "name a file in it";
	buf_init(&b, 0);
	escape_text(&b, path, strlen(path));
	log_error("cannot write %s: %s; %s", buf_cstr(&b), strerror(error_number), what);
	buf_done(&b);
	return REPORT_ERROR;
}

static bool is_input(const struct report_options *o, const struct stat *out)
{
	for (size_t i = 0; i < o->files.n; i++) {
		struct stat in;
		if (stat(o->files.v[i], &in) == 0 && in.st_dev == out->st_dev && in.st_ino == out->st_ino)
			return true;
	}
	return false;
}

static ssize_t put(void *cookie, const char *bytes, size_t n)
{
	struct report_output *out = cookie;
	size_t done = 0;

	while (done < n && !out->error_number) {
		ssize_t k = write(out->fd, bytes + done, n - done);
		if (k < 0 && errno != EINTR)
			out->error_number = errno;
		done += k > 0 ? (size_t)k : 0;
	}
	out->bytes += done;
	return out->error_number ? 0 : (ssize_t)n;
}

static int open_stream(struct report_output *out)
{
	out->file = fopencookie(out, "w", (cookie_io_functions_t){.write = put});
	if (!out->file)
		return failed(out->is_stdout ? "standard output" : out->path, ENOMEM);
	setvbuf(out->file, NULL, _IOFBF, 1 << 16);
	return 0;
}

static int open_temporary(struct report_output *out)
{
	mode_t mask = umask(0);
	int fd;

	umask(mask);
	snprintf(out->temporary, sizeof out->temporary, "%s.XXXXXX.tmp", out->path);
	out->fd = fd = mkostemps(out->temporary, 4, O_CLOEXEC);
	if (fd < 0) {
		int error_number = errno;
		out->temporary[0] = 0;
		return failed(out->path, error_number);
	}
	report_unfinished(out->temporary);
	fchmod(fd, 0666 & ~mask);
	return open_stream(out);
}

bool report_output_is_html(const struct report_options *o)
{
	const char *dot = o->output ? strrchr(o->output, '.') : NULL;

	return dot && (strcasecmp(dot, ".html") == 0 || strcasecmp(dot, ".htm") == 0);
}

int report_output_open(struct report_output *out, const struct report_options *o)
{
	struct stat st;

	memset(out, 0, sizeof *out);
	out->fd = -1;
	if (!o->output || strcmp(o->output, "-") == 0) {
		out->fd = STDOUT_FILENO;
		out->is_stdout = true;
		return open_stream(out);
	}
	if (strlen(o->output) >= sizeof out->path)
		return failed(o->output, ENAMETOOLONG);
	strcpy(out->path, o->output);
	if (stat(out->path, &st) < 0)
		return errno == ENOENT ? open_temporary(out) : failed(out->path, errno);
	if (S_ISDIR(st.st_mode))
		return failed(out->path, EISDIR);
	if (is_input(o, &st)) {
		log_error("cannot write the result over the recording it is made from; choose another name with -o");
		return REPORT_ERROR;
	}
	if (S_ISREG(st.st_mode)) {
		char real[PATH_MAX];
		if (access(out->path, W_OK) < 0) /* a rename would not ask */
			return failed(out->path, errno);
		if (realpath(out->path, real)) /* a link stays a link */
			strcpy(out->path, real);
		return open_temporary(out);
	}
	out->fd = open(out->path, O_WRONLY | O_CLOEXEC);
	return out->fd < 0 ? failed(out->path, errno) : open_stream(out);
}

void report_output_private(const struct report_output *out)
{
	if (out->temporary[0])
		fchmod(out->fd, 0600);
}

int report_output_close(struct report_output *out)
{
	const char *name = out->is_stdout ? "to standard output" : out->path;
	int error_number;

	fclose(out->file);
	out->file = NULL;
	error_number = out->error_number;
	if (!out->is_stdout && close(out->fd) < 0 && !error_number)
		error_number = errno;
	out->fd = -1;
	if (error_number == EPIPE) /* whoever read has seen enough */
		error_number = 0;
	else if (!error_number && out->temporary[0] && rename(out->temporary, out->path) < 0)
		error_number = errno;
	if (error_number) {
		report_output_drop(out);
		return failed(name, error_number);
	}
	report_finished(out->temporary);
	out->temporary[0] = 0;
	return 0;
}

void report_output_drop(struct report_output *out)
{
	out->error_number = EPIPE; /* what is still buffered goes nowhere */
	if (out->file)
		fclose(out->file);
	if (out->fd >= 0 && !out->is_stdout)
		close(out->fd);
	out->file = NULL;
	out->fd = -1;
	if (out->temporary[0])
		unlink(out->temporary);
	report_finished(out->temporary);
	out->temporary[0] = 0;
}

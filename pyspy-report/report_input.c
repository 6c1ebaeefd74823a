#include "pyspy-report/report_input.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "libcommon/path.h"
#include "pyspy-report/index/index_db.h"
#include "pyspy-report/index/index_key.h"
#include "pyspy-report/report_index.h"
#include "pyspy-report/report_pipe.h"
#include "pyspy-report/report_progress.h"

static int say(int code, const char *file, const struct feed_result *r)
{
	return report_trouble_unreadable(file, code, r->error_number, r->is_empty);
}

/* The same file twice would count everything twice. */
static int check_twice(const struct report_options *o)
{
	for (size_t i = 0; i < o->files.n; i++) {
		struct stat a, b;

		if (stat(o->files.v[i], &a) < 0 || !S_ISREG(a.st_mode))
			continue;
		for (size_t k = 0; k < i; k++) {
			if (stat(o->files.v[k], &b) < 0 || a.st_dev != b.st_dev || a.st_ino != b.st_ino)
				continue;
			struct buf name;
			buf_init(&name, 0);
			escape_text(&name, o->files.v[i], strlen(o->files.v[i]));
			log_error("%s is named twice: its samples would count twice; name it once", buf_cstr(&name));
			buf_done(&name);
			return REPORT_ERROR;
		}
	}
	return 0;
}

static int newest(char *name, size_t size)
{
	int rc = path_newest(".", name, size);
	struct buf b;

	if (rc == ERR_GONE)
		log_error(
		    "no recording named and no *.pyspy file in this folder; name one, or make one with pyspy-record");
	else if (rc < 0)
		log_error("cannot look for recordings in this folder: %s; name one", strerror(errno));
	if (rc < 0)
		return REPORT_ERROR;
	buf_init(&b, 0);
	escape_text(&b, name, strlen(name));
	log_info("reading %s, the newest recording here", buf_cstr(&b));
	buf_done(&b);
	return 0;
}

static void close_index(struct report_source *s)
{
	if (s->index)
		index_close(s->index);
	free(s->index);
	s->index = NULL;
}

/* The source's bytes from its begin: a descriptor, *is_own: to be closed. */
static int open_source(const struct report_source *s, bool *is_own)
{
	*is_own = s->fd < 0;
	if (s->fd < 0)
		return open(s->name, O_RDONLY | O_CLOEXEC);
	return s->base == UINT64_MAX || lseek(s->fd, (off_t)s->base, SEEK_SET) >= 0 ? s->fd : -1;
}

/* The file is an index. */
static int open_index(struct report_source *s)
{
	struct feed_result r = {0};
	int rc;

	s->index = calloc(1, sizeof *s->index);
	if (!s->index)
		return say(ERR_NO_MEMORY, s->name, &r);
	rc = index_open(s->index, s->name, &r.error_number);
	return rc ? report_index_failed(s->name, rc, r.error_number) : 0;
}

/* FILE.idx, when it was made of just this file; else the file itself is read. */
static int find_index(struct report_source *s)
{
	char name[PATH_MAX];
	int error_number, rc;

	if (snprintf(name, sizeof name, "%s%s", s->name, REPORT_INDEX_SUFFIX) >= (int)sizeof name ||
	    access(name, F_OK) < 0 || index_db_is(name) != 1)
		return 0;
	s->index = calloc(1, sizeof *s->index);
	if (!s->index)
		return say(ERR_NO_MEMORY, s->name, &(struct feed_result){0});
	rc = index_open(s->index, name, &error_number);
	if (!rc && s->index->inputs.n == 1 && index_key_is(&s->index->inputs.v[0], s->name) == 1) {
		s->is_beside = true;
		return 0;
	}
	close_index(s);
	if (rc == ERR_NO_MEMORY)
		return say(rc, s->name, &(struct feed_result){0});
	report_index_passed_over(name, rc);
	return 0;
}

static int begin_source(struct report_source *s, bool twice, bool finds_index)
{
	bool is_stdin = strcmp(s->name, "-") == 0;
	int rc = 0, fd = is_stdin ? STDIN_FILENO : open(s->name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	off_t at;

	if (fd < 0 || fstat(fd, &st) < 0) {
		struct feed_result r = {.error_number = errno};

		if (fd >= 0 && !is_stdin)
			close(fd);
		return say(ERR_SYSTEM, s->name, &r);
	}
	s->device = st.st_dev;
	s->inode = st.st_ino;
	if (!is_stdin && S_ISREG(st.st_mode)) {
		rc = index_db_is(s->name) == 1 ? open_index(s) : finds_index ? find_index(s) : 0;
		if (rc || s->index) {
			close(fd);
			return rc;
		}
	}
	if (is_stdin) {
		at = lseek(fd, 0, SEEK_CUR);
		s->fd = fd;
		s->base = at < 0 ? UINT64_MAX : (uint64_t)at; /* UINT64_MAX: wherever it stands */
	}
	if (twice && !S_ISREG(st.st_mode)) {
		s->base = 0;
		s->fd = report_pipe_keep(fd, s->name);
		rc = s->fd < 0 ? REPORT_ERROR : 0;
	}
	if (!is_stdin)
		close(fd);
	return rc;
}

/* Among those before it: the same samples, in an index. (The same file: check_twice.) */
static int check_indexes(const struct report_input *in, const struct report_source *s)
{
	bool is_named = s->index && !s->is_beside;
	int status = 0;

	for (const struct report_source *o = in->sources.v; o < s && !status; o++) {
		const struct index *its = o->is_beside ? NULL : o->index;

		if (is_named)
			status = report_index_twice(s->name, s->index, o->name, its);
		else if (its)
			status = report_index_twice(o->name, its, s->name, NULL);
	}
	return status;
}

/* Of what is still to be read of it. */
static void begin_progress(const char *what, const struct report_source *s, int fd)
{
	struct stat st;
	off_t at = lseek(fd, 0, SEEK_CUR);
	uint64_t all = UINT64_MAX;

	if (at >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= at)
		all = (uint64_t)(st.st_size - at);
	report_progress_begin(what, strcmp(s->name, "-") == 0 ? "standard input" : s->name,
	                      all < s->most ? all : s->most);
}

enum { BAD_INDEX = -1 }; /* the one beside the recording */

static int load_source(struct report_source *s, struct profile *p, const struct load_options *load)
{
	struct feed_result r = {0};
	bool is_own = false;
	int rc = ERR_SYSTEM, fd;

	if (s->index) {
		rc = index_load(s->index, p, s->is_beside ? s->name : NULL, load);
		if (rc && rc != ERR_NO_MEMORY && s->is_beside)
			return s->is_bad = true, BAD_INDEX;
		return rc ? report_index_failed(s->name, rc, s->index->error_number) : 0;
	}
	fd = open_source(s, &is_own);
	if (fd < 0)
		r.error_number = errno;
	else
		begin_progress("reading", s, fd);
	if (fd >= 0)
		rc = load_fd(p, fd, strcmp(s->name, "-") == 0 ? "standard input" : s->name, s->most, load, &r);
	if (fd >= 0 && is_own)
		close(fd);
	s->most = r.bytes < s->most ? r.bytes : s->most;
	report_progress_end();
	return rc ? say(rc, s->name, &r) : 0;
}

static int look_at_source(struct report_source *s, struct ends *ends)
{
	struct feed_result r = {0};
	bool is_own = false;
	int rc = ERR_SYSTEM, fd;

	if (s->index)
		return index_ends(s->index, ends) ? say(ERR_NO_MEMORY, s->name, &r) : 0;
	fd = open_source(s, &is_own);
	if (fd < 0)
		r.error_number = errno;
	else
		rc = ends_fd(fd, s->most, ends, &r);
	if (fd >= 0 && is_own)
		close(fd);
	s->most = r.bytes;
	return rc ? say(rc, s->name, &r) : 0;
}

static int list_sources(struct report_input *in, const struct report_options *o)
{
	char name[PATH_MAX];

	memset(in, 0, sizeof *in);
	if (check_twice(o) || (!o->files.n && newest(name, sizeof name)))
		return REPORT_ERROR;
	if (!o->files.n && !(in->newest = strdup(name)))
		return report_trouble_failed("cannot start", ERR_NO_MEMORY);
	for (size_t i = 0; i < (o->files.n ? o->files.n : 1); i++)
		if (!vec_push(&in->sources,
		              ((struct report_source){
		                  .name = o->files.n ? o->files.v[i] : in->newest, .fd = -1, .most = UINT64_MAX})))
			return report_trouble_failed("cannot start", ERR_NO_MEMORY);
	return 0;
}

int report_input_list(struct report_input *in, const struct report_options *o)
{
	return list_sources(in, o);
}

int report_input_read(struct report_source *s, const struct feed_to *to, bool again)
{
	struct feed_result r = {0};
	bool is_own = false;
	int rc = ERR_SYSTEM, fd;

	if (!s->is_begun && begin_source(s, again, false))
		return REPORT_ERROR;
	s->is_begun = true;
	if (s->index) {
		log_error("cannot read %s: it is an index, and recordings are wanted; name those that it was made of",
		          s->name);
		return REPORT_ERROR;
	}
	fd = open_source(s, &is_own);
	r.error_number = errno;
	if (fd >= 0) {
		begin_progress("reading", s, fd);
		rc = feed_fd(to, fd, s->most, &r);
		s->most = again && r.bytes < s->most ? r.bytes : s->most;
		report_progress_end();
	}
	if (fd >= 0 && is_own)
		close(fd);
	return rc ? say(rc, s->name, &r) : 0;
}

static int load_all(struct report_input *in, struct profile *p, const struct report_options *o, bool replays,
                    bool finds_index)
{
	struct load_options load = {.span = o->rules.span, .ends = &in->ends, .progress = report_progress_bytes};
	bool looks = span_needs_end(&o->rules.span);
	int rc = profile_init(p), status;

	memset(in, 0, sizeof *in);
	if (rc < 0)
		return report_trouble_failed("cannot start", rc);
	status = list_sources(in, o);
	for (size_t i = 0; i < in->sources.n && !status; i++) {
		struct report_source *s = &in->sources.v[i];

		s->first = (uint32_t)p->recordings.n;
		status = begin_source(s, looks || replays, finds_index);
		if (!status)
			status = check_indexes(in, s);
		if (!status && looks)
			status = look_at_source(s, &in->ends);
		if (!status)
			status = load_source(s, p, &load);
	}
	return status;
}

int report_input_load(struct report_input *in, struct profile *p, const struct report_options *o, bool replays)
{
	bool finds_index = !o->no_index;
	int status;

	for (size_t i = 0; i < o->files.n; i++) /* what is read from a pipe cannot be read again */
		finds_index &= strcmp(o->files.v[i], "-") != 0;
	status = load_all(in, p, o, replays, finds_index);
	if (status != BAD_INDEX)
		return status;
	/* what lies beside a recording must never keep anybody from reading it */
	for (size_t i = 0; i < in->sources.n; i++)
		if (in->sources.v[i].is_bad) {
			char name[PATH_MAX + sizeof REPORT_INDEX_SUFFIX];

			snprintf(name, sizeof name, "%s%s", in->sources.v[i].name, REPORT_INDEX_SUFFIX);
			report_index_passed_over(name, ERR_DAMAGED);
		}
	report_input_done(in);
	profile_done(p);
	return load_all(in, p, o, replays, false);
}

/* Whoever replaced a file between the two readings shall not get numbers that fit neither. */
static int check_same(const struct report_source *s)
{
	struct stat st;
	struct buf name;

	if (s->index || s->fd >= 0 || (stat(s->name, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode))
		return 0;
	buf_init(&name, 0);
	escape_text(&name, s->name, strlen(s->name));
	log_error("cannot read %s again: it was replaced meanwhile; try again", buf_cstr(&name));
	buf_done(&name);
	return REPORT_ERROR;
}

/* Keeps apart what the visitor returned and what reading did. */
struct replay_to {
	replay_visit *visit;
	lanes_visit *lane;
	void *ctx;
	int rc;
};

static int on_replayed(void *ctx, const struct profile *p, const struct replay_sample *s)
{
	struct replay_to *to = ctx;

	to->rc = to->visit(to->ctx, p, s);
	return to->rc;
}

static int on_again(void *ctx, const struct profile *p, const struct lane_stretch *s)
{
	struct replay_to *to = ctx;

	to->rc = to->lane(to->ctx, p, s);
	return to->rc;
}

/* The result does not go to the terminal where the bar would be. */
static bool writes_elsewhere(const struct report_options *o)
{
	return (o->output && strcmp(o->output, "-") != 0) || !isatty(STDOUT_FILENO);
}

static int replay(struct report_input *in, struct profile *p, const struct report_options *o, struct load_options *load,
                  struct replay_to *to)
{
	load->ctx = to;
	load->span = o->rules.span;
	load->ends = &in->ends;
	load->replays = true;
	for (size_t i = 0; i < in->sources.n; i++) {
		struct report_source *s = &in->sources.v[i];
		struct feed_result r = {0};
		bool is_own = false;
		int rc, fd;

		if (check_same(s))
			return REPORT_ERROR;
		load->first = s->first;
		if (s->index) {
			rc = index_load(s->index, p, NULL, load);
			if (to->rc)
				return to->rc;
			if (rc == ERR_IO)
				return rc;
			if (rc)
				return report_index_failed(s->name, rc, s->index->error_number);
			continue;
		}
		fd = open_source(s, &is_own);
		r.error_number = errno;
		load->progress = writes_elsewhere(o) ? report_progress_bytes : NULL;
		if (fd >= 0 && load->progress)
			begin_progress("reading again", s, fd);
		rc = fd < 0 ? ERR_SYSTEM : load_fd(p, fd, "", s->most, load, &r);
		report_progress_end();
		if (fd >= 0 && is_own)
			close(fd);
		if (to->rc)
			return to->rc;
		if (rc == ERR_IO) /* of the spool */
			return rc;
		if (rc)
			return say(rc, s->name, &r);
	}
	return 0;
}

int report_input_replay(struct report_input *in, struct profile *p, const struct report_options *o, replay_visit *visit,
                        void *ctx)
{
	struct load_options load = {.sample = on_replayed};

	return replay(in, p, o, &load, &(struct replay_to){.visit = visit, .ctx = ctx});
}

int report_input_lanes(struct report_input *in, struct profile *p, const struct report_options *o, lanes_visit *visit,
                       void *ctx, struct spool *spool)
{
	struct load_options load = {.lane = on_again, .spool = spool};

	return replay(in, p, o, &load, &(struct replay_to){.lane = visit, .ctx = ctx});
}

void report_input_done(struct report_input *in)
{
	for (size_t i = 0; i < in->sources.n; i++) {
		if (in->sources.v[i].fd > STDIN_FILENO)
			close(in->sources.v[i].fd);
		close_index(&in->sources.v[i]);
	}
	vec_free(&in->sources);
	vec_free(&in->ends.v);
	free(in->newest);
}

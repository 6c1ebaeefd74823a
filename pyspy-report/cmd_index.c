#include "pyspy-report/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "libcommon/path.h"
#include "pyspy-report/index/index_build.h"
#include "pyspy-report/index/index_db.h"
#include "pyspy-report/index/index_key.h"
#include "pyspy-report/report_build.h"
#include "pyspy-report/report_index.h"
#include "pyspy-report/report_progress.h"
#include "pyspy-report/report_trouble.h"

enum { OPTION_REBUILD = REPORT_OWN };

static const struct arg_option own[] = {
    {OPTION_REBUILD, 0, "rebuild", NULL, "make it anew, whatever is there"},
    {0},
};

static bool rebuild;

static int own_option(int id, const char *value, char *message, size_t size)
{
	(void)id, (void)value, (void)message, (void)size;
	rebuild = true;
	return 0;
}

/* What goes into it. */
struct job {
	struct report_options options;
	char newest[PATH_MAX], path[PATH_MAX];
	VEC(const char *) names;
	struct report_build build;
	struct index old;
	bool has_old;
};

static const char *shown(struct buf *b, const char *name)
{
	buf_reset(b);
	escape_text(b, name, strlen(name));
	return buf_cstr(b);
}

static int say(const char *format, const char *name)
{
	struct buf b;

	buf_init(&b, 0);
	log_error(format, shown(&b, name));
	buf_done(&b);
	return REPORT_ERROR;
}

/* Which recordings, and where to. */
static int choose(struct job *j)
{
	struct report_options *o = &j->options;
	struct stat a, b;

	if (!o->files.n) {
		int rc = path_newest(".", j->newest, sizeof j->newest);

		if (rc == ERR_GONE)
			log_error("no recording named and no *.pyspy file in this folder; name one");
		else if (rc < 0)
			log_error("cannot look for recordings in this folder: %s; name one", strerror(errno));
		if (rc < 0)
			return REPORT_ERROR;
		if (!vec_push(&o->files, j->newest))
			return report_trouble_failed("cannot start", ERR_NO_MEMORY);
	}
	for (size_t i = 0; i < o->files.n; i++) {
		const char *name = o->files.v[i];

		if (strcmp(name, "-") == 0) {
			log_error("an index is made of files; save standard input and name the file");
			return REPORT_USAGE;
		}
		if (stat(name, &a) == 0 && !S_ISREG(a.st_mode))
			return say("cannot make an index of %s: it is no regular file; save it and name the file",
			           name);
		if (index_db_is(name) == 1)
			return say("%s is an index; name the recordings that it was made of", name);
		for (size_t k = 0; k < i; k++)
			if (stat(name, &a) == 0 && stat(o->files.v[k], &b) == 0 && a.st_dev == b.st_dev &&
			    a.st_ino == b.st_ino)
				return say("%s is named twice: its samples would count twice; name it once", name);
	}
	if (!o->output && o->files.n > 1) {
		log_error("an index of several recordings needs a name: -o FILE.db");
		return REPORT_USAGE;
	}
	if (o->output && strcmp(o->output, "-") == 0) {
		log_error("an index is a file, not a stream: -o needs the name of one");
		return REPORT_USAGE;
	}
	if (snprintf(j->path, sizeof j->path, "%s%s", o->output ? o->output : o->files.v[0],
	             o->output ? "" : REPORT_INDEX_SUFFIX) >= (int)sizeof j->path) {
		log_error("the name of the index is too long");
		return REPORT_ERROR;
	}
	for (size_t i = 0; i < o->files.n; i++)
		if (stat(j->path, &a) == 0 && stat(o->files.v[i], &b) == 0 && a.st_dev == b.st_dev &&
		    a.st_ino == b.st_ino)
			return say("cannot write the index over %s, which it is made of; choose another name with -o",
			           j->path);
	return 0;
}

/* What is at its place: nothing, an index to be kept or written over, or something that is nobody's to write over. */
static int open_old(struct job *j)
{
	struct stat st;
	int error_number, rc;

	if (stat(j->path, &st) < 0 || st.st_size == 0)
		return 0;
	rc = index_db_is(j->path) == 1 ? index_open(&j->old, j->path, &error_number) : ERR_FORMAT;
	j->has_old = rc == 0;
	if (rc == ERR_FORMAT)
		return say("cannot write %s: there is a file of this name that is no index; choose another with -o",
		           j->path);
	if (rc == ERR_SYSTEM || rc == ERR_NO_MEMORY)
		return report_index_failed(j->path, rc, error_number);
	if (rc) {
		struct buf b;

		buf_init(&b, 0);
		log_info("making %s anew: what is there is %s", shown(&b, j->path),
		         rc == ERR_VERSION ? "of another version of pyspy-report" : "damaged");
		buf_done(&b);
	}
	return 0;
}

enum place { PLACE_NEW, PLACE_IN, PLACE_STALE };

/* Of this file in the old index. */
static enum place place_of(const struct job *j, const char *name)
{
	enum place place = PLACE_NEW;

	for (size_t i = 0; i < j->old.inputs.n; i++) {
		if (index_key_is(&j->old.inputs.v[i], name) == 1)
			return PLACE_IN;
		if (strcmp(j->old.inputs.v[i].name, name) == 0)
			place = PLACE_STALE;
	}
	return place;
}

static bool is_named(const struct job *j, const char *name)
{
	for (size_t i = 0; i < j->names.n; i++)
		if (strcmp(j->names.v[i], name) == 0)
			return true;
	return false;
}

/* Everything anew: what was in it, and what is named. */
static int name_all(struct job *j)
{
	struct stat st;

	j->names.n = 0;
	for (size_t i = 0; j->options.output && i < j->old.inputs.n; i++) {
		const char *name = j->old.inputs.v[i].name;

		if (stat(name, &st) < 0) {
			struct buf b;

			buf_init(&b, 0);
			log_error(
			    "cannot make the index anew: %s, which is in it, is not there: %s; make another with -o",
			    shown(&b, name), strerror(errno));
			buf_done(&b);
			return REPORT_ERROR;
		}
		if (!vec_push(&j->names, name))
			return report_trouble_failed("cannot start", ERR_NO_MEMORY);
	}
	for (size_t i = 0; i < j->options.files.n; i++)
		if (!is_named(j, j->options.files.v[i]) && !vec_push(&j->names, j->options.files.v[i]))
			return report_trouble_failed("cannot start", ERR_NO_MEMORY);
	return 0;
}

/* *goes_on: the old one stays, and j->names are added (none: it is complete). */
static int plan(struct job *j, bool *goes_on)
{
	*goes_on = j->has_old && !rebuild;
	for (size_t i = 0; *goes_on && i < j->options.files.n; i++) {
		const char *name = j->options.files.v[i];
		enum place place = place_of(j, name);

		if (place == PLACE_STALE)
			*goes_on = false;
		if (place == PLACE_NEW && !j->options.output) /* X.idx is of X */
			*goes_on = false;
		if (place == PLACE_NEW && !vec_push(&j->names, name))
			return report_trouble_failed("cannot start", ERR_NO_MEMORY);
	}
	if (!*goes_on)
		return name_all(j);
	if (j->names.n)
		return report_build_copy(&j->build);
	return 0;
}

static void progress_begin(const char *name, uint64_t all)
{
	report_progress_begin("indexing", name, all);
}

static int say_failed(const struct job *j, int rc, const struct index_built *r)
{
	struct buf b;

	if (!r->failed && rc == ERR_SYSTEM)
		return report_build_failed(&j->build, r->error_number);
	if (!r->failed)
		return report_index_failed(j->path, rc, r->error_number);
	buf_init(&b, 0);
	shown(&b, r->failed);
	if (rc == ERR_IO || (rc == ERR_SYSTEM && r->error_number == ENOSPC))
		log_error("cannot make an index of %s: %s; free some space, or set TMPDIR", buf_cstr(&b),
		          strerror(r->error_number));
	else if (rc == ERR_SYSTEM)
		log_error("cannot make an index of %s: %s; check the name, the disk and the permissions", buf_cstr(&b),
		          strerror(r->error_number));
	else if (rc == ERR_FORMAT)
		log_error("cannot make an index of %s: %s", buf_cstr(&b),
		          r->is_empty ? "it is empty; the recorder wrote nothing, its messages say why"
		                      : "not a pyspy recording; make one with pyspy-record");
	else if (rc == ERR_VERSION)
		log_error(
		    "cannot make an index of %s: written by a newer version of pyspy; update pyspy-report (this is %s)",
		    buf_cstr(&b), report_version);
	else
		log_error("cannot make an index of %s: %s; nothing was written", buf_cstr(&b),
		          rc == ERR_FULL ? "it names more different functions and stacks than fit" : err_words(rc));
	buf_done(&b);
	return REPORT_ERROR;
}

static int say_built(const struct job *j, const struct index_built *r)
{
	char n[HUMAN_SIZE], m[HUMAN_SIZE], k[HUMAN_SIZE];
	struct stat st = {0};
	struct buf b;

	buf_init(&b, 0);
	shown(&b, j->path);
	stat(j->path, &st);
	log_info("%s: %s samples of %s recording%s in %s", buf_cstr(&b), human_count(n, r->n_samples),
	         human_count(m, r->n_recordings), r->n_recordings == 1 ? "" : "s",
	         human_bytes(k, (uint64_t)st.st_size));
	if (r->n_damage)
		log_error("warning: %s place%s of what was indexed %s damaged; `pyspy-report info %s` says where",
		          human_count(n, r->n_damage), r->n_damage == 1 ? "" : "s", r->n_damage == 1 ? "is" : "are",
		          buf_cstr(&b));
	buf_done(&b);
	return r->n_damage && j->options.strict ? REPORT_DAMAGED : REPORT_OK;
}

static int make(struct job *j)
{
	const struct index_progress progress = {progress_begin, report_progress_bytes, report_progress_end};
	struct index_built built;
	bool goes_on;
	int rc, status = plan(j, &goes_on);

	if (status)
		return status;
	if (goes_on && !j->names.n) {
		struct buf b;

		buf_init(&b, 0);
		log_info("%s is there already, and of just this; --rebuild makes it anew", shown(&b, j->path));
		buf_done(&b);
		report_build_drop(&j->build);
		return REPORT_OK;
	}
	status = goes_on ? 0 : report_build_empty(&j->build);
	if (status)
		return status;
	rc = index_build(j->build.temporary, goes_on, j->names.v, j->names.n, &progress, &built);
	if (rc)
		return say_failed(j, rc, &built);
	status = report_build_end(&j->build);
	return status ? status : say_built(j, &built);
}

static int cmd_index(const struct report_verb *verb, int argc, char **argv)
{
	struct job *j = calloc(1, sizeof *j);
	int rc, status;

	if (!j)
		return report_trouble_failed("cannot start", ERR_NO_MEMORY);
	j->build.fd = -1;
	rc = report_options_parse(&j->options, verb, argc, argv);
	status = rc < 0 ? REPORT_USAGE : REPORT_OK;
	if (!rc) {
		status = choose(j);
		if (!status)
			status = report_build_begin(&j->build, j->path);
		if (!status)
			status = open_old(j);
		if (!status)
			status = make(j);
		report_build_drop(&j->build);
	}
	index_close(&j->old);
	vec_free(&j->names);
	report_options_done(&j->options);
	free(j);
	return status;
}

const struct report_verb cmd_index_verb = {
    .name = "index",
    .summary = "An SQLite index, for quick second questions and for SQL.",
    .examples =
        "  pyspy-report index app.pyspy                       app.pyspy.idx: views of app.pyspy use it by themselves\n"
        "  pyspy-report index -o all.db a.pyspy b.pyspy       several recordings in one; again: adds to it\n"
        "  pyspy-report top all.db                            every verb reads an index as it reads recordings\n"
        "  pyspy-report sql all.db 'select * from recording'\n",
    .about =
        "Every verb shows the same of an index as of the recordings that it was made of, only sooner: of a part of\n"
        "the time (--time) only that part is read. FILE.idx beside FILE is used by itself as long as it is of\n"
        "just this FILE (its size, its time or checksum); --no-index does without. An index that is there and of\n"
        "just these recordings stays as it is; one that is out of date is made anew. It appears only when it is\n"
        "whole, so a build may be killed, and others may read the old one meanwhile. It is an SQLite database\n"
        "with a documented schema: pyspy-report sql --schema.",
    .own = own,
    .own_option = own_option,
    .run = cmd_index,
};

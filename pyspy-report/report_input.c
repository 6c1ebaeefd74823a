#include "pyspy-report/report_input.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "format/decode.h"
#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "libcommon/path.h"
#include "pyspy-report/view/words.h"

static const char *advice(int error_number)
{
	switch (error_number) {
	case ENOENT:
		return "check the name; `ls *.pyspy` shows the recordings of this folder";
	case EISDIR:
		return "name a recording inside it";
	case EACCES:
	case EPERM:
		return "recordings are private to who made them (mode 0600): read it as that user";
	default:
		return "nothing was read";
	}
}

static int say(int code, const char *file, const struct load_result *r)
{
	struct buf name;

	buf_init(&name, 0);
	escape_text(&name, file, strlen(file));
	const char *f = strcmp(file, "-") == 0 ? "standard input" : buf_cstr(&name);
	if (code == ERR_SYSTEM)
		log_error("cannot read %s: %s; %s", f, strerror(r->error_number), advice(r->error_number));
	else if (code == ERR_FORMAT && r->is_empty)
		log_error("cannot read %s: it is empty; the recorder wrote nothing, its messages say why", f);
	else if (code == ERR_FORMAT)
		log_error("cannot read %s: not a pyspy recording; make one with pyspy-record", f);
	else if (code == ERR_VERSION)
		log_error("cannot read %s: written by a newer version of pyspy; update pyspy-report (this is %s)", f,
		          report_version);
	else if (code == ERR_FULL)
		log_error("cannot read %s: it names more different functions and stacks than fit (64 M stacks, 1 GB of "
		          "names); read fewer files at once",
		          f);
	else
		log_error("cannot read %s: %s; nothing was written", f, err_words(code));
	buf_done(&name);
	return REPORT_ERROR;
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

int report_input_failed(const char *what, int code)
{
	log_error("%s: %s; nothing was written", what, err_words(code));
	return REPORT_ERROR;
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

int report_input_load(struct profile *p, const struct report_options *o, const struct load_options *load)
{
	char name[PATH_MAX];
	const char *file = name;
	struct load_result r;
	int rc = profile_init(p);

	if (rc < 0)
		return report_input_failed("cannot start", rc);
	if (check_twice(o) || (!o->files.n && newest(name, sizeof name)))
		return REPORT_ERROR;
	for (size_t i = 0; i < (o->files.n ? o->files.n : 1); i++) {
		if (o->files.n)
			file = o->files.v[i];
		rc = load_file(p, file, load, &r);
		if (rc == 0)
			continue;
		/* an error of whoever takes the samples is theirs to tell */
		return rc == ERR_IO ? rc : say(rc, file, &r);
	}
	return 0;
}

int report_input_damage(const struct profile *p, const struct report_options *o)
{
	char n[HUMAN_SIZE], m[HUMAN_SIZE];
	struct buf b;

	if (!p->n_damage)
		return REPORT_OK;
	buf_init(&b, 0);
	for (size_t i = 0; i < p->damage.n && i < 3; i++) {
		const struct profile_damage *d = &p->damage.v[i];
		size_t len;
		const char *input = profile_text(p, d->input, &len);

		buf_reset(&b);
		escape_text(&b, input, len);
		if (d->problem == DECODE_NOT_CLOSED)
			log_error("warning: %s: %s", buf_cstr(&b), words_problem_long(d->problem));
		else
			log_error("warning: %s: %s at byte %llu: %s", buf_cstr(&b), words_problem_long(d->problem),
			          (unsigned long long)d->offset, d->what ? d->what : "");
	}
	buf_done(&b);
	if (p->n_damage > 3)
		log_error("warning: %s more such places; pyspy-report info lists them",
		          human_count(n, p->n_damage - 3));
	if (p->damaged_bytes || p->missing_blocks)
		log_error(
		    "warning: everything outside the damage is shown; %s samples known to be missing, %s passed over",
		    human_count(n, p->missing_samples), human_bytes(m, p->damaged_bytes));
	return o->strict ? REPORT_DAMAGED : REPORT_OK;
}

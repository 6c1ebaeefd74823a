#include "pyspy-report/report_trouble.h"

#include <errno.h>
#include <string.h>

#include "format/decode.h"
#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
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

int report_trouble_unreadable(const char *file, int code, int error_number, bool is_empty)
{
	struct buf name;

	buf_init(&name, 0);
	escape_text(&name, file, strlen(file));
	const char *f = strcmp(file, "-") == 0 ? "standard input" : buf_cstr(&name);
	if (code == ERR_SYSTEM)
		log_error("cannot read %s: %s; %s", f, strerror(error_number), advice(error_number));
	else if (code == ERR_FORMAT && is_empty)
		log_error("cannot read %s: it is empty; the recorder wrote nothing, its messages say why", f);
	else if (code == ERR_FORMAT)
		log_error("cannot read %s: not a pyspy recording; make one with pyspy-record, or of another profiler's "
		          "file with pyspy-report import",
		          f);
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

int report_trouble_failed(const char *what, int code)
{
	log_error("%s: %s; nothing was written", what, err_words(code));
	return REPORT_ERROR;
}

int report_trouble_damage(const struct profile *p, const struct report_options *o)
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

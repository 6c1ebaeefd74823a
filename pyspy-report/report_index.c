#include "pyspy-report/report_index.h"

#include <string.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "pyspy-report/index/index_key.h"
#include "pyspy-report/report_trouble.h"

const char *report_index_why(int code, int error_number)
{
	switch (code) {
	case 0:
		return "the recording is another one by now";
	case ERR_SYSTEM:
		return strerror(error_number);
	case ERR_FORMAT:
		return "an SQLite file, but no index made by pyspy-report";
	case ERR_VERSION:
		return "an index of another version of pyspy-report";
	case ERR_DAMAGED:
		return "the index is damaged";
	case ERR_FULL:
		return "it names more different functions and stacks than fit";
	default:
		return err_words(code);
	}
}

static const char *report_index_advice(int code)
{
	switch (code) {
	case ERR_SYSTEM:
		return "check the name and its permissions";
	case ERR_FORMAT:
		return "name a recording, or an index of one";
	default:
		return "`pyspy-report index` makes it anew from the recording";
	}
}

int report_index_failed(const char *name, int code, int error_number)
{
	struct buf b;

	buf_init(&b, 0);
	escape_text(&b, name, strlen(name));
	log_error("cannot read %s: %s; %s", buf_cstr(&b), report_index_why(code, error_number),
	          report_index_advice(code));
	buf_done(&b);
	return REPORT_ERROR;
}

static bool is_same(const struct facts_input *a, const struct facts_input *b)
{
	return a->size == b->size && a->ends_crc == b->ends_crc && a->whole_crc == b->whole_crc;
}

int report_index_twice(const char *name, const struct index *idx, const char *other, const struct index *of)
{
	struct buf b;
	bool is = false;

	for (size_t i = 0; i < idx->inputs.n && !is; i++) {
		is = !of && index_key_is(&idx->inputs.v[i], other) == 1;
		for (size_t k = 0; of && k < of->inputs.n && !is; k++)
			is = is_same(&idx->inputs.v[i], &of->inputs.v[k]);
	}
	if (!is)
		return 0;
	buf_init(&b, 0);
	escape_text(&b, name, strlen(name));
	buf_str(&b, of ? " and " : " is an index of ");
	escape_text(&b, other, strlen(other));
	log_error("%s%s: samples would count twice; name one of them", buf_cstr(&b),
	          of ? " are indexes of the same recording" : ", which is named too");
	buf_done(&b);
	return REPORT_ERROR;
}

void report_index_passed_over(const char *name, int code)
{
	struct buf b;

	buf_init(&b, 0);
	escape_text(&b, name, strlen(name));
	log_info("not using %s: %s; `pyspy-report index` makes it anew", buf_cstr(&b), report_index_why(code, 0));
	buf_done(&b);
}

#include "libcommon/err.h"

static const struct {
	enum err_kind kind;
	const char *words;
} LIST[] = {
#define ERR_ROW(name, kind, words) {ERR_KIND_##kind, words},
    ERR_LIST(ERR_ROW)
#undef ERR_ROW
};

enum { N_LIST = sizeof LIST / sizeof LIST[0] };

static int row(int code)
{
	long i = (long)code - (ERR_BASE_ + 1);

	return i >= 0 && i < N_LIST ? (int)i : -1;
}

const char *err_words(int code)
{
	int i = row(code);

	if (i >= 0)
		return LIST[i].words;
	return code == ERR_NONE ? "no error" : "unknown error";
}

enum err_kind err_kind(int code)
{
	int i = row(code);

	if (i >= 0)
		return LIST[i].kind;
	return code >= 0 ? ERR_KIND_NONE : ERR_KIND_FATAL;
}

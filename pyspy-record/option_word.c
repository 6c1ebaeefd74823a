#include "pyspy-record/option_word.h"

#include <string.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"

int option_wrong(const char *option, const char *word, const char *what)
{
	struct buf b;
	buf_init(&b, 0);
	escape_text(&b, word, strlen(word));
	log_error("%s %s: %s", option, buf_cstr(&b), what);
	buf_done(&b);
	return ERR_USAGE;
}

int option_pid(const char *word, int *pid)
{
	if (human_parse_pid(word, pid) < 0)
		return option_wrong("-p", word, "not a process id; a number such as 4711 or 0x1267 (see ps)");
	if (*pid == (int)getpid())
		return option_wrong("-p", word, "that is pyspy-record itself; name another process");
	return 0;
}

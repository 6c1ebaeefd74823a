/* front_words: `pyspy record` and `pyspy dump` in the words of pyspy-record, `pyspy top` in those of pyspy-report,
 * which takes our place. */
#pragma once
#include "libcommon/vec.h"

struct front_words {
	VEC(char *) v; /* ends with NULL; each from malloc */
};

/* argv[0] is the command. 0 and the words for pyspy-record; 1: help was asked for; ERR_USAGE or ERR_NO_MEMORY: said on
 * stderr. front_words_done in any case. `is_program`: one is to be started. */
int front_words_record(struct front_words *w, int argc, char **argv, bool *is_program);
int front_words_top(struct front_words *w, int argc, char **argv, bool *is_program);
int front_words_dump(struct front_words *w, int argc, char **argv);
void front_words_done(struct front_words *w);

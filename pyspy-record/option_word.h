/* option_word: what commands have in common in taking the words of their options. */
#pragma once

/* Say on stderr "OPTION WORD: what is wrong with it"; the word may hold anything. Returns ERR_USAGE. */
int option_wrong(const char *option, const char *word, const char *what);
/* The word of -p: a process that is not ourselves. 0; ERR_USAGE (said). */
int option_pid(const char *word, int *pid);

/* view_formats: which view of pyspy-report a file name or the word after -f asks for. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct view_format {
	const char *name;   /* for -f, as py-spy's where it has it */
	const char *verb;   /* of pyspy-report */
	const char *suffix; /* of files that get a name of our making */
	bool is_binary;     /* nothing for a terminal */
	const char *option; /* for that verb; NULL = none */
};
/* The words for -f, in the order of help; ends with a row without a name. */
extern const struct view_format view_formats[];

/* NULL = no such word. */
const struct view_format *view_format_named(const char *name);
/* What the end of a file name asks for: a view; NULL: a recording, or, with *refused set to a pyspy-report verb, a
 * file that no view makes yet. Upper and lower case are one. */
const struct view_format *view_format_of_file(const char *path, const char **refused);
/* Length of `path` without such an end: that of "a/profile" in "a/profile.trace.json". */
size_t view_format_stem(const char *path);

/* naming: locations -> the frames of a view: by line or function, with short or full file names.
 *
 * Flow:    profile -> [naming] -> query/tree, view/.
 * Identity: two locations are one frame when function, shown file and shown line are equal. Equal text alone does not
 * merge: two functions of one name in one file stay two.
 * Texts are raw bytes: escape them on the way out.
 */
#pragma once
#include "libcommon/buf.h"
#include "pyspy-report/profile/profile.h"

struct naming_options {
	bool by_function;    /* -F: the line is the function's first */
	bool no_lines;       /* --nolineno: no line at all */
	bool by_text;        /* equal text is one frame: for outputs that have nothing but text */
	bool full_filenames; /* not shortened by sys.path and prefixes */
	bool by_column;      /* by line: each column is a frame of its own */
	enum naming_group {
		NAMING_FUNCTIONS, /* a frame is a function, or a line of one */
		NAMING_FILES,     /* or a whole file or library */
		NAMING_MODULES,   /* or a whole Python module (its __name__) or library */
	} group;
	/* Folders that file names lose in front; the longest that fits wins over sys.path. The caller's. */
	const char *const *strip;
	size_t n_strip;
};

enum naming_kind { NAMING_PYTHON, NAMING_NATIVE, NAMING_SYNTHETIC, NAMING_PROCESS, NAMING_THREAD };
/* Where a function comes from: what it is coloured by. */
enum naming_origin {
	NAMING_OWN,
	NAMING_SITE,
	NAMING_STDLIB,
	NAMING_IS_NATIVE,
	NAMING_MADE,
	NAMING_ROW,
	NAMING_ORIGINS
};

struct naming_frame {
	uint32_t kind, origin;
	uint32_t name, file; /* strings of the profile; file 0 = none */
	uint32_t line;       /* 0 = none */
	uint32_t location;   /* one that it stands for; rows: the process or thread */
};

struct naming {
	struct profile *profile; /* gets the strings of new names */
	struct naming_options options;
	struct intern keys; /* what makes a frame one; id - 1 = index in frames */
	VEC(struct naming_frame) frames;
	struct map memory;         /* (path set, location) -> frame + 1 */
	struct intern path_sets;   /* the folders of a process, as string ids */
	VEC(uint32_t) path_set_of; /* process -> path set + 1 */
};

int naming_init(struct naming *n, struct profile *p, const struct naming_options *o);
void naming_done(struct naming *n);

/* Frame numbers, from 0. 0, ERR_FULL, ERR_NO_MEMORY. */
int naming_location(struct naming *n, uint32_t process, uint32_t location, uint32_t *frame);
int naming_process(struct naming *n, uint32_t process, uint32_t *frame); /* "process 12: python app.py" */
int naming_thread(struct naming *n, uint32_t thread, uint32_t *frame);   /* "thread 14: worker-1" */
int naming_made(struct naming *n, const char *text, uint32_t *frame);    /* "[cut]", "[hidden]": frames of our own */
/* In a stack, `inner` right below `outer` is no frame of its own: groups always, else with `collapse` when both are of
 * one function. */
bool naming_repeats(const struct naming *n, uint32_t outer, uint32_t inner, bool collapse);

/* Parts and whole ("qualname (file:line)") of a frame's text. */
const char *naming_name(const struct naming *n, uint32_t frame, size_t *len);
const char *naming_file(const struct naming *n, uint32_t frame, size_t *len);
void naming_text(const struct naming *n, uint32_t frame, struct buf *out);
/* An order that does not depend on how the frames were found: name, file, line, then number. */
int naming_compare(const struct naming *n, uint32_t a, uint32_t b);
/* Length of `file`'s longest folder among those the process knows (sys.path, prefixes, working folder), with the '/'.
 */
size_t naming_folder(const struct profile *p, uint32_t process, const char *file, size_t len);

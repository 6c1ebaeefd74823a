/* err: the one closed list of errors.
 *
 * Functions return 0 or a negative code of this list; results go through pointers. Nothing in a library prints or
 * exits: words are made at the edge (cmd_*.c, session.c) in the shape "what failed: why; what to do".
 * The kind of a code says what the caller does: transient = count it and go on, target = drop this process and go on,
 * fatal = finish the file and stop.
 */
#pragma once

enum err_kind { ERR_KIND_NONE, ERR_KIND_TRANSIENT, ERR_KIND_TARGET, ERR_KIND_FATAL };

/* name, kind, words (completing the sentence "X: ...") */
#define ERR_LIST(X)                                                                                                    \
	X(ERR_AGAIN, TRANSIENT, "not ready yet")                                                                       \
	X(ERR_TORN, TRANSIENT, "the target changed while it was read")                                                 \
	X(ERR_MEMORY_READ, TRANSIENT, "the target's memory could not be read")                                         \
	X(ERR_GONE, TARGET, "the process or thread has ended")                                                         \
	X(ERR_NOT_PYTHON, TARGET, "no Python interpreter in this process")                                             \
	X(ERR_UNSUPPORTED, TARGET, "this Python is not supported yet")                                                 \
	X(ERR_PERMISSION, TARGET, "permission denied")                                                                 \
	X(ERR_LAYOUT, TARGET, "the interpreter's structures are not where they should be")                             \
	X(ERR_NO_MEMORY, FATAL, "out of memory")                                                                       \
	X(ERR_IO, FATAL, "input/output error")                                                                         \
	X(ERR_FULL, FATAL, "a limit was reached")                                                                      \
	X(ERR_FORMAT, FATAL, "not in the expected format")                                                             \
	X(ERR_DAMAGED, FATAL, "damaged")                                                                               \
	X(ERR_VERSION, FATAL, "written by a newer version")                                                            \
	X(ERR_USAGE, FATAL, "wrong usage")                                                                             \
	X(ERR_SYSTEM, FATAL, "a system call failed")

enum err_code {
	ERR_NONE = 0,
	ERR_BASE_ = -1000,
#define ERR_ENUM(name, kind, words) name,
	ERR_LIST(ERR_ENUM)
#undef ERR_ENUM
};

/* "permission denied" etc.; never NULL. */
const char *err_words(int code);
enum err_kind err_kind(int code);

/* Forward an error to the caller. */
#define TRY(expr)                                                                                                      \
	do {                                                                                                           \
		int try_rc_ = (expr);                                                                                  \
		if (try_rc_ < 0)                                                                                       \
			return try_rc_;                                                                                \
	} while (0)

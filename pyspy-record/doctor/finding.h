/* finding: what the doctor has found, in the order in which it looked.
 *
 * Memory: a list owns its texts. Trust: facts may hold names of the target: bytes, escaped by who shows them.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/vec.h"

enum finding_level {
	FINDING_OK,
	FINDING_WARNING, /* something does not work, or would not for others */
	FINDING_PROBLEM, /* what was asked for cannot be done because of this */
};

/* What can be done about it: a set. */
enum finding_remedy {
	REMEDY_SUDO = 1 << 0,
	REMEDY_SETCAP = 1 << 1,        /* the right over other processes */
	REMEDY_SETCAP_KERNEL = 1 << 2, /* and the kernel's engine */
	REMEDY_YAMA = 1 << 3,
	REMEDY_START = 1 << 4, /* let pyspy-record start the program */
	REMEDY_SAME_USER = 1 << 5,
	REMEDY_DOCKER = 1 << 6, /* these three go together */
	REMEDY_COMPOSE = 1 << 7,
	REMEDY_KUBERNETES = 1 << 8,
	REMEDY_DOCKER_KERNEL = 1 << 9, /* the same with what the kernel's engine needs */
	REMEDY_COMPOSE_KERNEL = 1 << 10,
	REMEDY_KUBERNETES_KERNEL = 1 << 11,
	REMEDY_SECCOMP = 1 << 12, /* containers: no filter */
	REMEDY_APPARMOR = 1 << 13,
	REMEDY_HOST = 1 << 14, /* run on the host */
	REMEDY_REBOOT = 1 << 15,
	REMEDY_OUTSIDE = 1 << 16, /* --engine outside */
	REMEDY_PARANOID = 1 << 17,
	REMEDY_NOSUID = 1 << 18, /* copy the recorder */
	REMEDY_NONBLOCKING = 1 << 19,
	REMEDY_OUTPUT = 1 << 20, /* -o */
	REMEDY_ENTER = 1 << 21,  /* nsenter */
	REMEDIES = 22,
	REMEDY_CONTAINER = REMEDY_DOCKER | REMEDY_COMPOSE | REMEDY_KUBERNETES,
	REMEDY_CONTAINER_KERNEL = REMEDY_DOCKER_KERNEL | REMEDY_COMPOSE_KERNEL | REMEDY_KUBERNETES_KERNEL,
};

struct finding {
	const char *group, *id; /* literals: "machine", "yama" */
	enum finding_level level;
	char *fact, *source; /* source: the file or the call that it was read from */
	char *advice;        /* words for this one alone; NULL = none */
	uint32_t remedies;
};
struct findings {
	VEC(struct finding) v;
	const char *group; /* of what is added */
	bool failed;       /* without memory */
};

void findings_done(struct findings *f);
/* Add one. `source` is "" where it is a conclusion from the others. */
void findings_add(struct findings *f, const char *id, enum finding_level level, uint32_t remedies, const char *source,
                  const char *fact, ...) __attribute__((format(printf, 6, 7)));
/* Words of what to do, for the one that was added last. */
void findings_advise(struct findings *f, const char *advice, ...) __attribute__((format(printf, 2, 3)));
/* The first problem; NULL = there is none. */
const struct finding *findings_problem(const struct findings *f);

/* The i-th remedy (0 .. REMEDIES - 1): its kind ("docker"); its words, one line or more, in which %s is the recorder's
 * own file. */
const char *remedy_kind(int i);
const char *remedy_words(int i);
/* Lines to put into a file, and not one to be read. */
bool remedy_is_snippet(int i);
/* The recorder's own file, "" when it cannot be told. Not thread-safe. */
const char *remedy_own_file(void);

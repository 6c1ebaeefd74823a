/* hide: texts of a recording -> what may be shown of them to others.
 *
 * Two readings: hide_look gathers what is secret (names of hosts, of users, folders of code), then hide_hooks says what
 * stands for each text. The same secret has the same stand-in everywhere: a number in the order of their coming
 * ("host-1"), or with a salt the first 10 hex digits of SHA-256(salt, kind, secret), equal in all recordings with that
 * salt. What is kept of a text is searched for names of users and hosts once more.
 */
#pragma once
#include "libcommon/intern.h"
#include "pyspy-report/exchange/copyist.h"

struct hide_rules {
	const char *salt;    /* NULL: numbers */
	bool functions;      /* names of own functions and modules, and of their files, too */
	bool files;          /* files of own code, relative to their folder, too */
	bool threads, notes; /* names of threads; notes: keep the user's */
};

enum hide_kind {
	HIDE_HOST,
	HIDE_BOOT,
	HIDE_USER,
	HIDE_FOLDER,
	HIDE_ENVIRONMENT,
	HIDE_FILE,
	HIDE_FUNCTION,
	HIDE_MODULE,
	HIDE_THREAD,
	HIDE_WORD,
	HIDE_NOTE,
	HIDE_SYMBOL,
	HIDE_KINDS
};

struct hide {
	struct hide_rules rules;
	struct intern secrets[HIDE_KINDS]; /* its ids are the numbers */
	struct intern users, hosts;        /* found by the first reading; in lower case */
	size_t longest;                    /* of them */
	struct intern roots;               /* folders of code: sys.path, working folders */
	struct intern looked;              /* of the epoch: texts by id, for the roots */
	VEC(uint32_t) ids;
	struct stream *stream;
	char note[600];
};

int hide_init(struct hide *h, const struct hide_rules *rules);
void hide_done(struct hide *h);
/* First reading: one input after the other. */
int hide_look_begin(struct hide *h);
int hide_look_feed(void *hide, const void *bytes, size_t n);
int hide_look_finish(void *hide);
/* For the second one. */
struct copyist_hooks hide_hooks(struct hide *h);
/* "2 hosts, 1 user, ..." : what was hidden so far. */
void hide_say(const struct hide *h, struct buf *out);
/* For tests: what stands for a path. */
int hide_path(struct hide *h, const char *p, size_t n, struct buf *to);

/* json_pull: JSON (RFC 8259) from a source, token by token, in bounded memory.
 *
 * jansson, which the views write with, holds a document in memory as a tree: 60 to 100 bytes a number, over a gigabyte
 * for 10 million samples. It has no reader of tokens, and the libraries that do (yajl, json-c's tokener) are not kept
 * or build trees, too. Texts become generalised UTF-8 (a lone \ud800 is its three bytes).
 */
#pragma once
#include "libcommon/buf.h"
#include "libcommon/vec.h"
#include "pyspy-report/exchange/intake.h"

enum json_token {
	PULL_END, /* of the document */
	PULL_OBJECT,
	PULL_OBJECT_END,
	PULL_ARRAY,
	PULL_ARRAY_END,
	PULL_KEY,    /* in text */
	PULL_STRING, /* in text */
	PULL_NUMBER, /* in number */
	PULL_TRUE,
	PULL_FALSE,
	PULL_NULL,
	PULL_BAD /* see wrong; source.rc when reading failed. Every later call returns it, too */
};
enum { PULL_DEPTH_MAX = 1 << 20, PULL_TEXT_MAX = 16 << 20 };

struct json_pull {
	struct intake *s;
	VEC(uint8_t) open; /* for each container: 1 object, 0 array */
	bool wants_value, may_end, is_done;
	bool wants_key, after_value;
	struct buf text;
	double number;
	const char *wrong;
};

void json_pull_init(struct json_pull *j, struct intake *s);
void json_pull_done(struct json_pull *j);
enum json_token json_pull_next(struct json_pull *j);
/* Pass over the rest of the value that began with `token`, looking only for where it ends. false: PULL_BAD. */
bool json_pull_skip(struct json_pull *j, enum json_token token);
bool json_pull_is(const struct json_pull *j, const char *key); /* the text is this */

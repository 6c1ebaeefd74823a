/* object: Python objects read from outside: strings, bytes, dictionaries, lists.
 *
 * Flow:    memory/reader -> [object] -> codes, names, facts.
 * Trust:   every length is bounded before anything is read; every loop is bounded. What was torn comes back as ERR_TORN
 * or ERR_MEMORY_READ, or as a wrong but harmless value: callers verify where it matters.
 */
#pragma once
#include "libcommon/buf.h"
#include "pyspy-record/memory/reader.h"
#include "pyspy-record/python/layout.h"

enum { OBJECT_STRING_MAX = 65536 }; /* characters read of one string; the rest is cut and marked by U+2026 */

/* Append a str object's text as generalised UTF-8 to out. */
int object_string(struct reader *r, const struct layout *l, raddr_t str, struct buf *out);
/* Append a bytes object's contents; ERR_TORN above `most` bytes. */
int object_bytes(struct reader *r, const struct layout *l, raddr_t bytes, size_t most, struct buf *out);
/* Is the object's type called `name`? 1, 0, or an error. */
int object_type_is(struct reader *r, const struct layout *l, raddr_t object, const char *name);

/* Walk a dict's entries in insertion order. visit returns 0 to go on, 1 to stop (then object_dict returns 1), or an
 * error. value may be 0 never: empty entries are left out. */
typedef int object_visit(void *ctx, raddr_t key, raddr_t value);
int object_dict(struct reader *r, const struct layout *l, raddr_t dict, object_visit *visit, void *ctx);
/* Value of a string key: 0 and *value, or ERR_AGAIN when it is not there. */
int object_dict_get(struct reader *r, const struct layout *l, raddr_t dict, const char *key, raddr_t *value);
/* A list's items: at most cap of them into `items`. */
int object_list(struct reader *r, const struct layout *l, raddr_t list, raddr_t *items, size_t cap, size_t *n);
/* An int object's low 64 bits (sign ignored). */
int object_int(struct reader *r, const struct layout *l, raddr_t integer, uint64_t *value);
/* An attribute kept in an instance's own dict or inline values: 0 and *value, or ERR_AGAIN when it has none. */
int object_attribute(struct reader *r, const struct layout *l, raddr_t object, const char *name, raddr_t *value);

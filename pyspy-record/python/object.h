/* object: Python objects read from outside: strings, bytes, dictionaries, lists, ints, attributes; of 2.3 to 3.15,
 * every build.
 *
 * Flow:    memory/reader -> [object] -> codes, names, facts.
 * Trust:   every length is bounded before anything is read; every loop is bounded. What was torn comes back as ERR_TORN
 * or ERR_MEMORY_READ, or as a wrong but harmless value: callers verify where it matters.
 * Source:  ../shared/cpython/walking.md section 4; offsets are layout's.
 */
#pragma once
#include "libcommon/buf.h"
#include "pyspy-record/memory/reader.h"
#include "pyspy-record/python/layout.h"
#include "pyspy-record/python/object_trail.h"

enum { OBJECT_STRING_MAX = 65536 }; /* characters (2.x str: bytes) read of one string; the rest is cut: U+2026 */

/* Append a str's text (2.x: str or unicode) as generalised UTF-8 to out. Of a 2.x str's bytes, what is no UTF-8 is
 * taken as 3.x's "surrogateescape" does: byte B becomes U+DC00 + B, so that the bytes can be had back. Surrogate pairs
 * of a 2.x unicode are joined; whether it has 2 or 4 bytes a character (that is the build's choice) is told by its
 * text: one that makes sense as 4 bytes each, and ends with a zero there, is so.
 * trail (NULL: none): where to enter what this depended on; so below. */
int object_string(struct reader *r, const struct layout *l, raddr_t str, struct buf *out, struct object_trail *trail);
/* Append the contents of a bytes object (2.x: str); ERR_TORN above `most` bytes. */
int object_bytes(struct reader *r, const struct layout *l, raddr_t bytes, size_t most, struct buf *out);
/* Is the object's type called `name`? 1, 0, or an error. */
int object_type_is(struct reader *r, const struct layout *l, raddr_t object, const char *name);
/* The same, but where the name is in a binary that a core lacks: does it have a type at all, as far as can be told? */
int object_type_may_be(struct reader *r, const struct layout *l, raddr_t object, const char *name);
/* Is it one that object_string takes, by its type? 1, 0, or an error. */
int object_is_text(struct reader *r, const struct layout *l, raddr_t object);

/* Walk a dict's entries, in insertion order (up to 3.5: as they lie there). visit returns 0 to go on, 1 to stop (then
 * object_dict returns 1), or an error. key and value are never 0: empty entries are left out. */
typedef int object_visit(void *ctx, raddr_t key, raddr_t value);
int object_dict(struct reader *r, const struct layout *l, raddr_t dict, object_visit *visit, void *ctx,
                struct object_trail *trail);
/* Value of an ASCII string key: 0 and *value, or ERR_AGAIN when it is not there. */
int object_dict_get(struct reader *r, const struct layout *l, raddr_t dict, const char *key, raddr_t *value,
                    struct object_trail *trail);
/* A list's items: at most cap of them into `items`. */
int object_list(struct reader *r, const struct layout *l, raddr_t list, raddr_t *items, size_t cap, size_t *n,
                struct object_trail *trail);
/* An int object's (2.x: int or long) low 64 bits, two's complement. */
int object_int(struct reader *r, const struct layout *l, raddr_t integer, uint64_t *value, struct object_trail *trail);
/* An attribute kept in an instance's own dict or inline values: 0 and *value, or ERR_AGAIN when it has none. */
int object_attribute(struct reader *r, const struct layout *l, raddr_t object, const char *name, raddr_t *value,
                     struct object_trail *trail);

/* Where an instance keeps its attributes: *dict; or, 3.11 and later, *keys and *values (of its type, its own) of a
 * split table; all 0: it has none. */
int object_instance(struct reader *r, const struct layout *l, raddr_t object, raddr_t *dict, raddr_t *keys,
                    raddr_t *values, struct object_trail *trail);
/* Walk such a split table: as object_dict. */
int object_split(struct reader *r, const struct layout *l, raddr_t keys, raddr_t values, object_visit *visit, void *ctx,
                 struct object_trail *trail);

/* The first characters of a text, at most `most` of them into `to`: code points; of a 2.x str, bytes. *n of *length. A
 * 2.x unicode of 2 bytes a character gives its surrogate pairs as they are. */
int object_characters(struct reader *r, const struct layout *l, raddr_t str, uint32_t *to, size_t most, size_t *n,
                      uint64_t *length);

/* Between the parts of object: */
enum { OBJECT_KEY_MAX = 64 };
static inline bool object_is_address(raddr_t a)
{
	return a >= 4096 && a < (raddr_t)1 << 47 && a % 8 == 0;
}
uint32_t object_u32(const void *p, size_t at);
uint64_t object_u64(const void *p, size_t at);
/* A Py_ssize_t, which was an int before 2.5. */
int64_t object_size(const struct layout *l, const void *p, size_t at);
/* Value of a key in the split table that has `keys` and `values`: as object_dict_get. */
int object_split_get(struct reader *r, const struct layout *l, raddr_t keys, raddr_t values, const char *key,
                     raddr_t *value, struct object_trail *trail);

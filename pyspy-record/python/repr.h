/* repr: a value of the target as Python's own repr() would print it, within a budget.
 *
 * Flow:    memory/pagecache -> object -> [repr] -> locals, show.
 * What it cannot do: run code. Builtin types, what the standard library's own __repr__ methods do (enum, dataclasses,
 * collections, datetime, ...), named tuples and numpy's simple arrays are printed as they print themselves. Of a class
 * with any other __repr__ of its own, and of one with none, the form is Python's default one with what the object holds
 * behind a colon: `<shop.Cart object at 0x7f12: items=[1, 2], owner='ann'>`. Addresses are left out where they tell
 * nothing (functions, methods, generators). See python/README.md, "Values".
 * Budget:  what is left out is said: `[1, 2, 3, … 990 more]`, `'abc'… 17 more` (characters), `…`.
 * Output:  generalised UTF-8 without characters that repr() would escape: safe on a terminal.
 * Memory:  a table of types and `out`; values are not kept.
 * Trust:   the target may lie in everything. Depth, items, characters, bytes read and time are bounded; there is no
 * loop and no recursion without an end.
 */
#pragma once
#include "libcommon/buf.h"
#include "libcommon/map.h"
#include "libcommon/vec.h"
#include "pyspy-record/memory/pagecache.h"
#include "pyspy-record/python/secrets.h"
#include "pyspy-record/python/values_layout.h"

enum { REPR_DEPTH_MAX = 40, REPR_TYPES_MAX = 4096 };

struct repr_limits {
	size_t chars;   /* about; closing brackets and what says what is missing come in addition */
	size_t items;   /* shown of one container, and attributes of one object */
	unsigned depth; /* containers within containers; at most REPR_DEPTH_MAX */
	size_t bytes;   /* read from the target for one value */
};

struct repr_type;
struct repr {
	struct pagecache *cache;
	struct reader *reader; /* the cache's */
	const struct layout *layout;
	const struct values_layout *shape;
	const struct secrets *secrets; /* NULL: hides nothing */
	raddr_t modules;               /* sys.modules, to tell versions of libraries; 0: not known */
	struct repr_limits limits;
	struct buf *out;

	/* --- of the value that is printed */
	size_t chars; /* used */
	unsigned depth;
	raddr_t path[REPR_DEPTH_MAX]; /* containers that we are in */
	VEC(struct repr_type *) types;
	struct map type_at; /* address -> index in types + 1 */
	uint64_t library;   /* versions found: see repr_numpy.c */
};

/* level 1 (-l), 2 (-ll), 3 (-lll and more) */
struct repr_limits repr_limits_of(unsigned level);
/* *p keeps what it is given; `cache` reads the target. ERR_NO_MEMORY. */
int repr_init(struct repr *p, struct pagecache *cache, const struct layout *l, const struct repr_limits *limits);
void repr_done(struct repr *p);
/* Forget the types that are known: they may change from look to look. */
void repr_forget(struct repr *p);
/* Append the value's text to `out`. What cannot be read is said in its place: there are no errors but ERR_NO_MEMORY,
 * and ERR_GONE. */
int repr_value(struct repr *p, raddr_t value, struct buf *out);
/* Append a plain int's (a tagged one's: 3.14 and later keep some in the reference itself). */
void repr_integer(struct repr *p, int64_t value, struct buf *out);
/* Append a name (of a variable, a type) so that it is safe to print: what is not printable is escaped. */
void repr_name(struct buf *out, const char *name, size_t n);
/* Is it a printable character, as str.isprintable() of this version (layout_minor) says? */
bool repr_is_printable(uint32_t cp, unsigned minor);
/* Is the value something that a module's namespace is full of: a module, class or function? */
bool repr_is_furniture(struct repr *p, raddr_t value);

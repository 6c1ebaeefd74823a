/* support_objects: Python objects in a fake target's memory, laid out as the given version and build does.
 *
 * Each object lies in a region of its own of exactly its bytes with nothing readable around it (so that reading outside
 * shows), unless `pages` is set: then 4 KiB behind each can be read, as usual in a real heap.
 */
#pragma once
#include "pyspy-record/python/layout.h"
#include "tests/unit/support_memory.h"

enum { SUPPORT_OBJECTS_3_11 = 0x030b07f0, SUPPORT_OBJECTS_3_12 = 0x030c01f0, SUPPORT_OBJECTS_3_13 = 0x030d00f0 };
enum { SUPPORT_OBJECTS_MANAGED_DICT = 1 << 4, SUPPORT_OBJECTS_INLINE_VALUES = 1 << 2 }; /* tp_flags, 3.11 and later */
enum { SUPPORT_OBJECTS_STR2 = 1 << 27, SUPPORT_OBJECTS_UNICODE = 1 << 28 };             /* 2.6 and later */

/* One of each kind of layout there is. */
struct support_objects_family {
	const char *name;
	uint32_t version_hex;
	enum layout_build build;
};
enum { SUPPORT_OBJECTS_FAMILIES = 17 };
extern const struct support_objects_family support_objects_families[SUPPORT_OBJECTS_FAMILIES];

struct support_objects {
	struct support_memory *m;
	const struct layout *l;
	raddr_t next;
	bool pages;
	raddr_t str, bytes, dict, list, integer, code, module; /* their types */
	raddr_t unicode, small;                                /* 2.x: unicode; int (integer: long) */
	raddr_t dummy; /* up to 3.5: the key of a deleted entry that is in use as one that goes on */
};

void support_objects_init(struct support_objects *o, struct support_memory *m, uint32_t version_hex);
void support_objects_init_build(struct support_objects *o, struct support_memory *m, uint32_t version_hex,
                                enum layout_build build);
/* Run a test with each family, with and without something readable behind the objects. */
void support_objects_in_all(struct support_objects *o, struct support_memory *m, void (*test)(void));
/* n bytes for an object, `front` bytes in front of it too. Returns the object's address; its header's type is set. */
raddr_t support_objects_new(struct support_objects *o, raddr_t type, size_t n, size_t front);
/* Set a size or length (4 bytes before 2.5). */
void support_objects_size(struct support_objects *o, raddr_t at, uint64_t size);
raddr_t support_objects_type(struct support_objects *o, const char *name, uint64_t flags, uint64_t basicsize);
/* A str of ASCII (2.x: of any bytes). */
raddr_t support_objects_ascii(struct support_objects *o, const char *text);
/* n characters of `kind` bytes each, compact; `ascii`: kind 1 and all below 128. 2.x: a str when `ascii`, else a
 * unicode of 4 bytes a character. */
raddr_t support_objects_str(struct support_objects *o, unsigned kind, bool ascii, const void *data, size_t n);
/* The same, not compact: its text lies elsewhere (*data_at, may be NULL). */
raddr_t support_objects_legacy(struct support_objects *o, unsigned kind, bool ascii, const void *data, size_t n,
                               raddr_t *data_at);
/* 3.3 to 3.11: one with nothing but its wchar_t text. */
raddr_t support_objects_wstr(struct support_objects *o, const uint32_t *data, size_t n);
/* 2.x: a unicode of `width` bytes a character; *data_at (may be NULL): where its text is. */
raddr_t support_objects_unicode(struct support_objects *o, unsigned width, const void *data, size_t n,
                                raddr_t *data_at);
raddr_t support_objects_bytes(struct support_objects *o, const void *p, size_t n);
raddr_t support_objects_list(struct support_objects *o, const raddr_t *items, size_t n);
/* An int (2.x: long) of these digits of 30 bits each. */
raddr_t support_objects_int(struct support_objects *o, bool negative, const uint32_t *digits, size_t n);
/* 2.x: an int. */
raddr_t support_objects_small(struct support_objects *o, int64_t value);

struct support_objects_entry {
	raddr_t key, value; /* value 0: deleted */
};
/* Key table: `general` has hashes in it (as all have up to 3.10); values are left out when `split`. Room for more keys
 * than n. Up to 3.5 there are empty entries and dummies between those given. */
raddr_t support_objects_keys(struct support_objects *o, bool general, bool split, const struct support_objects_entry *e,
                             size_t n);
raddr_t support_objects_dict(struct support_objects *o, bool general, const struct support_objects_entry *e, size_t n);
/* 2.x has none: a plain one. */
raddr_t support_objects_split_dict(struct support_objects *o, const struct support_objects_entry *e, size_t n);
/* Values of a split table by themselves, as the version keeps them; `at` 0: in a region of their own. */
raddr_t support_objects_values(struct support_objects *o, raddr_t at, const struct support_objects_entry *e, size_t n);
/* Where the value of the i-th entry of a dict that is not split stands. */
raddr_t support_objects_slot(struct support_objects *o, raddr_t dict, size_t i);
/* A module with this dict. */
raddr_t support_objects_module(struct support_objects *o, raddr_t dict);

struct support_objects_code {
	const char *qualname, *file;
	uint32_t version, units, first_traceable;
	int32_t first_line;
	const void *linetable;
	size_t linetable_len;
};
raddr_t support_objects_code(struct support_objects *o, const struct support_objects_code *c);
/* The same object replaced in place by another one. */
void support_objects_recode(struct support_objects *o, raddr_t at, const struct support_objects_code *c);
/* A module's globals with this __name__. */
raddr_t support_objects_globals(struct support_objects *o, const char *name);

/* Between the parts of repr. */
#pragma once
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/utf8.h"
#include "pyspy-record/python/object.h"
#include "pyspy-record/python/repr.h"

/* tp_flags (2.6 and later; the first since 2.2) */
enum { REPR_HEAPTYPE = 1 << 9, REPR_DICT_SUBCLASS = 1 << 29, REPR_EXC_SUBCLASS = 1 << 30 };
#define REPR_TYPE_SUBCLASS (UINT64_C(1) << 31)
enum { REPR_NAME = 160, REPR_BASES_MAX = 64 };

struct repr_type;
/* Append the text of `object`, whose type is t. 0, or an error: then nothing was appended that makes no sense. */
typedef int repr_show(struct repr *p, raddr_t object, const struct repr_type *t);

/* A builtin (or C) type that we know to print, or whose memory we know. */
struct repr_known {
	const char *name; /* tp_name */
	repr_show *show;
	unsigned flags;
};
enum {
	REPR_HOLDS = 1, /* what derives from it and has a __repr__ of its own is shown with what it holds */
};

struct repr_type {
	raddr_t at, base, dict, mro, repr;
	uint64_t flags;
	int64_t basicsize, itemsize;
	const struct repr_known *storage; /* the known type that it is or derives from; never NULL: `object` */
	repr_show *show;                  /* what prints its instances */
	raddr_t maker;                    /* class whose dict has the __repr__; 0: none that we looked at */
	char name[REPR_NAME];             /* tp_name */
	char module[REPR_NAME];           /* "" for builtins */
	char qualname[REPR_NAME];
};

/* --- text */
void repr_put(struct repr *p, const char *ascii);
void repr_format(struct repr *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void repr_put_name(struct repr *p, const char *name);
/* "module.qualname", or the qualified name alone of a builtin */
void repr_put_type(struct repr *p, const struct repr_type *t);
size_t repr_room(const struct repr *p); /* characters left */

/* --- the parts of a value */
/* Show a value in a value: its own error becomes text. 0, ERR_GONE, ERR_NO_MEMORY. */
int repr_inner(struct repr *p, raddr_t value);
/* Go into a container: 1: go on, and call repr_leave; 0: it is open already, or too deep: the words for that were put
 * (`open`, dots, `close`), n: how many items it has, UINT64_MAX: not known. */
int repr_enter(struct repr *p, raddr_t object, const char *open, const char *close, uint64_t n);
void repr_leave(struct repr *p);
/* A row of items. */
struct repr_row {
	uint64_t shown, total;
	bool is_begun; /* something stands in front of its first item */
};
/* May one more be shown? Puts what separates it. */
bool repr_next(struct repr *p, struct repr_row *row);
/* Says how many were not. */
void repr_row_end(struct repr *p, const struct repr_row *row);
/* `key: value` and `name=value`, hidden where the name is that of a secret */
int repr_pair(struct repr *p, raddr_t key, raddr_t value);
/* `key, value`: an item of a dict as a tuple */
int repr_pair_item(struct repr *p, raddr_t key, raddr_t value);
int repr_assign(struct repr *p, const char *name, raddr_t value);
/* n items at `at`, between `open` and `close` */
int repr_vector(struct repr *p, raddr_t object, raddr_t at, uint64_t n, const char *open, const char *close);

/* --- types and attributes */
const struct repr_type *repr_type_of(struct repr *p, raddr_t object, int *rc);
const struct repr_type *repr_type_at(struct repr *p, raddr_t type, int *rc);
const struct repr_known *repr_known_type(const char *name);
repr_show *repr_known_method(const char *name); /* "enum.Enum.__repr__" */
bool repr_derives(struct repr *p, const struct repr_type *t, const char *qualified);
/* The attribute of an instance: of its dict or values, or in a slot. 0; ERR_AGAIN: it has none. */
int repr_attribute(struct repr *p, raddr_t object, const struct repr_type *t, const char *name, raddr_t *value);
/* Of a class: from the dicts of its bases, in order; *owner (may be NULL): where it was. */
int repr_class_attribute(struct repr *p, const struct repr_type *t, const char *name, raddr_t *value, raddr_t *owner);
/* Of an instance or else of its class. */
int repr_any_attribute(struct repr *p, raddr_t object, const struct repr_type *t, const char *name, raddr_t *value);
/* Walk all attributes of an instance: slots, then dict. As object_dict; names as NUL-terminated UTF-8. */
typedef int repr_visit(struct repr *p, void *ctx, const char *name, raddr_t value);
int repr_attributes(struct repr *p, raddr_t object, const struct repr_type *t, repr_visit *visit, void *ctx);
/* the same of a dict of attributes */
int repr_dict_attributes(struct repr *p, raddr_t dict, repr_visit *visit, void *ctx);
uint64_t repr_count_attributes(struct repr *p, raddr_t object, const struct repr_type *t);
/* A text (str, 2.x also unicode) as UTF-8, cut to fit, NUL-terminated. */
int repr_text(struct repr *p, raddr_t str, char *to, size_t n);
/* A C string, as much of it as fits. */
int repr_c_string(struct repr *p, raddr_t at, char *to, size_t room);
int repr_word(struct repr *p, raddr_t at, uint64_t *word);
/* Low 64 bits of an int; ERR_TORN when it is none. */
int repr_int(struct repr *p, raddr_t object, int64_t *value);
/* One that is not negative, of up to 128 bits. */
int repr_int128(struct repr *p, raddr_t object, unsigned __int128 *value);
uint64_t repr_dict_len(struct repr *p, raddr_t dict);
/* A module out of sys.modules. */
int repr_module(struct repr *p, const char *name, raddr_t *dict);

static inline bool repr_is_none(const struct repr_type *t)
{
	return strcmp(t->name, "NoneType") == 0;
}
static inline raddr_t repr_body(const struct repr *p) /* of an object: behind its header */
{
	return p->layout->object.size;
}
static inline raddr_t repr_var_body(const struct repr *p) /* the same of one with ob_size */
{
	return p->layout->object.size + 8;
}

/* --- what prints what; by file */
repr_show repr_show_none, repr_show_ellipsis, repr_show_not_implemented, repr_show_bool, repr_show_int, repr_show_long,
    repr_show_float, repr_show_complex;                                            /* number */
repr_show repr_show_str, repr_show_unicode2, repr_show_bytes, repr_show_bytearray; /* text */
repr_show repr_show_list, repr_show_tuple, repr_show_dict, repr_show_set, repr_show_frozenset, repr_show_range,
    repr_show_xrange, repr_show_slice, repr_show_mappingproxy, repr_show_dict_keys, repr_show_dict_values,
    repr_show_dict_items; /* containers */
repr_show repr_show_object, repr_show_custom, repr_show_exception, repr_show_import_error, repr_show_dataclass,
    repr_show_attrs, repr_show_namedtuple, repr_show_structseq, repr_show_namespace, repr_show_instance2,
    repr_show_fields;                                            /* objects */
repr_show repr_show_enum, repr_show_flag, repr_show_global_enum; /* enum */
repr_show repr_show_type, repr_show_enum_type, repr_show_class2, repr_show_function, repr_show_builtin,
    repr_show_method, repr_show_method_descriptor, repr_show_slot_wrapper, repr_show_getset, repr_show_member,
    repr_show_module, repr_show_generator, repr_show_coroutine, repr_show_async_generator, repr_show_code,
    repr_show_weakref, repr_show_partial, repr_show_cell, repr_show_memory, repr_show_method_wrapper,
    repr_show_staticmethod, repr_show_classmethod, repr_show_alias, repr_show_union; /* callables */
repr_show repr_show_deque, repr_show_defaultdict, repr_show_ordereddict, repr_show_ordereddict2, repr_show_counter,
    repr_show_userdata, repr_show_chainmap, repr_show_array; /* collections */
repr_show repr_show_date, repr_show_datetime, repr_show_time, repr_show_timedelta, repr_show_timezone,
    repr_show_zoneinfo; /* datetime */
repr_show repr_show_decimal, repr_show_decimal2, repr_show_fraction, repr_show_uuid, repr_show_path, repr_show_pattern,
    repr_show_match, repr_show_environ; /* library */
repr_show repr_show_lock, repr_show_rlock, repr_show_event, repr_show_thread, repr_show_buffered, repr_show_text_io,
    repr_show_file2, repr_show_socket, repr_show_logger, repr_show_address, repr_show_network, repr_show_count,
    repr_show_repeat;                                                  /* system */
repr_show repr_show_ndarray, repr_show_numpy_scalar, repr_show_pandas; /* numpy, pandas */

/* Also of subclasses: the name in front of the bracket. */
const char *repr_short_name(const struct repr_type *t);
enum repr_text_kind { REPR_TEXT, REPR_BYTES, REPR_BYTEARRAY /* always escapes ' */ };
/* Text of `n` code points (or bytes) of `length`, quoted. */
void repr_quote(struct repr *p, const char *prefix, const uint32_t *chars, size_t n, uint64_t length,
                enum repr_text_kind kind);
/* A double's digits; `dot`: with ".0" where there is no other sign of a float; `sign`: + too. */
void repr_double(struct repr *p, double v, bool dot, bool sign);

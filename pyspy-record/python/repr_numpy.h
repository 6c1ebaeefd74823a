/* Between the parts of numpy: dtypes and scalars (repr_numpy.c), items as texts (repr_numpy_items.c), numbers and times
 * (repr_numpy_numbers.c), arrays (repr_numpy_array.c).
 *
 * Source: PyArrayObject_fields, PyArray_Descr and the scalars' structs in ndarraytypes.h and arrayscalars.h of
 * numpy 1.x and 2.x; how an array is printed: numpy's documentation of printoptions, and what it prints.
 */
#pragma once
#include "pyspy-record/python/repr_parts.h"

enum {
	NUMPY_DIMENSIONS_MAX = 64,
	NUMPY_FIELDS_MAX = 64,
	NUMPY_ITEMS_MAX = 4096,
	NUMPY_ITEM_MAX = 32,
	NUMPY_NESTED_MAX = 6,
	NUMPY_NUMBER = 80
};
#define NUMPY_NAT INT64_MIN

/* What an item is made of. */
enum numpy_form {
	NUMPY_BOOL,
	NUMPY_INT,
	NUMPY_UINT,
	NUMPY_FLOAT, /* 2, 4, 8 or 16 bytes: half, float, double, long double */
	NUMPY_COMPLEX,
	NUMPY_OBJECT,
	NUMPY_STRING,  /* bytes, zeros at the end do not count */
	NUMPY_UNICODE, /* the same of 4 bytes each */
	NUMPY_VOID,    /* bytes, or fields */
	NUMPY_DATETIME,
	NUMPY_TIMEDELTA,
};

struct numpy_dtype {
	enum numpy_form form;
	const char *name; /* "int64"; NULL: it has a size of its own */
	bool is_default;  /* not said in an array's repr() */
	uint64_t size;
	bool is_swapped;    /* big-endian */
	int unit, multiple; /* of times */
	raddr_t at;
	raddr_t names, fields; /* of records; 0 = none */
	raddr_t base;          /* of a subarray: its dtype; 0 = none */
	raddr_t shape;
};

/* --- dtypes */
/* 126 of 1.26, 205 of 2.5; of an unknown one 205 */
unsigned numpy_version(struct repr *p);
static inline bool numpy_is_new(struct repr *p)
{
	return numpy_version(p) >= 200;
}
/* ERR_UNSUPPORTED: a kind of dtype that we do not know. */
int numpy_dtype_read(struct repr *p, raddr_t at, struct numpy_dtype *d);
struct numpy_field {
	char name[REPR_NAME];
	raddr_t dtype;
	int64_t offset;
};
/* Field i of a record, in its own order: 1; 0: there is none; or an error. */
int numpy_dtype_field(struct repr *p, const struct numpy_dtype *d, unsigned i, struct numpy_field *f);
/* Tuple of numbers, such as a subarray's shape: how many, at most NUMPY_DIMENSIONS_MAX; or an error. */
int numpy_shape_read(struct repr *p, raddr_t shape, int64_t *dimensions);
/* Put it as `dtype=` has it: float32, '<U3', [('a', '<i4')]. */
int numpy_dtype_put(struct repr *p, const struct numpy_dtype *d);

/* --- numbers */
/* One item, in this machine's order. */
int numpy_item_read(struct repr *p, raddr_t at, const struct numpy_dtype *d, unsigned char *raw);
long double numpy_float_of(const unsigned char *raw, uint64_t size);
/* As a scalar prints itself. */
void numpy_float_put(struct repr *p, long double v, uint64_t size, bool dot, bool sign);
void numpy_complex_put(struct repr *p, const unsigned char *raw, uint64_t size, const char *open, const char *close);
void numpy_integer_put(struct repr *p, const unsigned char *raw, uint64_t size, bool is_signed);
/* "2020-01-01T10", without quotes; room for NUMPY_NUMBER. */
void numpy_datetime_text(int64_t v, int unit, int multiple, char *text);
/* "D", "25s"; "" = generic */
void numpy_unit_text(int unit, int multiple, char *text, size_t n);
/* Texts of floats as they stand below each other in an array. */
struct numpy_texts {
	struct buf text;
	VEC(size_t) ends; /* of each one, in text */
};
int numpy_floats_put(const long double *v, size_t n, uint64_t size, bool sign, struct numpy_texts *out);

/* --- items */
int numpy_void_put(struct repr *p, raddr_t at, uint64_t size);
enum numpy_place {
	NUMPY_IN_ROW,
	NUMPY_ALONE,     /* in an array without dimensions */
	NUMPY_IN_SCALAR, /* in a record that is none of an array: 2.x prints its floats as scalars */
};
/* Texts of n items at these places. */
int numpy_items_read(struct repr *p, const struct numpy_dtype *d, const raddr_t *at, size_t n, enum numpy_place place,
                     unsigned depth, struct numpy_texts *out);
void numpy_texts_done(struct numpy_texts *t);
bool numpy_texts_add(struct numpy_texts *t, const char *s, size_t n);
static inline const char *numpy_texts_at(const struct numpy_texts *t, size_t i, size_t *n)
{
	size_t from = i ? t->ends.v[i - 1] : 0;
	*n = t->ends.v[i] - from;
	return (const char *)t->text.data + from;
}

/* pandas: data frames, series and indexes by their shape. Their own repr() is a table made by much code. */
#include "pyspy-record/python/repr_parts.h"

enum { WORDS_MAX = 32, INDEX_NESTED = 3 };

/* Cython's classes keep attributes where no name leads: the first word of the object that is of this type. */
static int find_word(struct repr *p, raddr_t object, const struct repr_type *t, const char *name, raddr_t *value)
{
	for (int64_t i = 0; i < WORDS_MAX && (int64_t)repr_body(p) + 8 * i + 8 <= t->basicsize; i++) {
		if (repr_word(p, object + repr_body(p) + 8 * (uint64_t)i, value) == 0 && object_is_address(*value) &&
		    object_type_is(p->reader, p->layout, *value, name) == 1)
			return 0;
	}
	return ERR_AGAIN;
}

/* An attribute, however it is kept. */
static int find(struct repr *p, raddr_t object, const char *name, const char *type, raddr_t *value)
{
	int rc;
	const struct repr_type *t = repr_type_of(p, object, &rc);
	if (!t)
		return rc;
	rc = repr_attribute(p, object, t, name, value);
	return rc == ERR_AGAIN && type ? find_word(p, object, t, type, value) : rc;
}

static int array_length(struct repr *p, raddr_t array, int64_t *n)
{
	uint64_t words[3];
	TRY(object_type_is(p->reader, p->layout, array, "numpy.ndarray") == 1 ? 0 : ERR_UNSUPPORTED);
	TRY(reader_read(p->reader, array + repr_body(p), words, sizeof words)); /* data, nd, dimensions */
	if ((uint32_t)words[1] < 1 || (uint32_t)words[1] > 64)
		return ERR_UNSUPPORTED;
	/* of two dimensions, the values of one index are in the last */
	return repr_word(p, words[2] + 8 * (uint64_t)((uint32_t)words[1] - 1), (uint64_t *)n);
}

/* How many labels an index has. */
static int index_length(struct repr *p, raddr_t index, int64_t *n)
{
	raddr_t at = 0, length, items[1];
	size_t have = 0;
	if (find(p, index, "_range", NULL, &at) == 0) {
		TRY(repr_word(p, at + repr_body(p) + 24, &length)); /* start, stop, step, length */
		return repr_int(p, length, n);
	}
	if (find(p, index, "_codes", NULL, &at) == 0) { /* of several levels */
		TRY(object_list(p->reader, p->layout, at, items, 1, &have, NULL));
		return have ? array_length(p, items[0], n) : ERR_UNSUPPORTED;
	}
	TRY(find(p, index, "_data", NULL, &at));
	for (int i = 0; i < INDEX_NESTED; i++) {
		if (array_length(p, at, n) == 0)
			return 0;
		if (find(p, at, "_ndarray", "numpy.ndarray", &at) < 0)
			break;
	}
	return ERR_UNSUPPORTED;
}

/* Lengths of the axes of a frame's or series' manager; of a frame its columns come first there. */
static int read_shape(struct repr *p, raddr_t object, int64_t *shape, size_t *n)
{
	raddr_t manager, axes, items[2];
	if (find(p, object, "_mgr", NULL, &manager) < 0)
		TRY(find(p, object, "_data", NULL, &manager));
	TRY(find(p, manager, "axes", "list", &axes));
	TRY(object_list(p->reader, p->layout, axes, items, 2, n, NULL));
	if (*n < 1)
		return ERR_UNSUPPORTED;
	for (size_t i = 0; i < *n; i++)
		TRY(index_length(p, items[*n - 1 - i], &shape[i]));
	return 0;
}

static int show(struct repr *p, raddr_t object, const struct repr_type *t, const int64_t *shape, size_t n)
{
	raddr_t name;
	int rc;
	repr_put(p, "<");
	repr_put_type(p, t);
	repr_format(p, " object at 0x%llx: shape=(", (unsigned long long)object);
	for (size_t i = 0; i < n; i++)
		repr_format(p, "%s%lld", i ? ", " : "", (long long)shape[i]);
	repr_put(p, n == 1 ? ",)" : ")");
	if (n == 1 && find(p, object, "_name", NULL, &name) == 0) {
		const struct repr_type *kind = repr_type_of(p, name, &rc);
		if (kind && !repr_is_none(kind)) {
			repr_put(p, ", ");
			TRY(repr_assign(p, "name", name));
		}
	}
	repr_put(p, ">");
	return 0;
}

int repr_show_pandas(struct repr *p, raddr_t object, const struct repr_type *t)
{
	int64_t shape[2];
	size_t n = 1;
	int rc = read_shape(p, object, shape, &n);
	if (rc < 0) {
		n = 1;
		rc = index_length(p, object, shape);
	}
	if (rc == ERR_GONE || rc == ERR_NO_MEMORY)
		return rc;
	return rc < 0 ? repr_show_custom(p, object, t) : show(p, object, t, shape, n);
}

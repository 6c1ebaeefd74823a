/* vec: typed growable arrays. struct { T *v; size_t n, cap; } name; all zero is empty. */
#pragma once
#include <stdbool.h>
#include <stdlib.h>

#define VEC(type)                                                                                                      \
	struct {                                                                                                       \
		type *v;                                                                                               \
		size_t n, cap;                                                                                         \
	}
/* Make room for `more` entries; true when there is room, false (unchanged) without memory. */
#define vec_room(a, more)                                                                                              \
	((a)->n + (more) <= (a)->cap || vec_grow_((void **)&(a)->v, &(a)->cap, (a)->n + (more), sizeof *(a)->v))
/* Append a value; false without memory. */
#define vec_push(a, value) (vec_room(a, 1) ? ((a)->v[(a)->n++] = (value), true) : false)
#define vec_free(a)        (free((a)->v), (a)->v = NULL, (a)->n = (a)->cap = 0)

static inline _Bool vec_grow_(void **v, size_t *cap, size_t want, size_t size)
{
	size_t c = *cap ? *cap : 8;
	while (c < want)
		c *= 2;
	void *p = c > (size_t)-1 / 2 / size ? NULL : realloc(*v, c * size);
	if (!p)
		return 0;
	*v = p;
	*cap = c;
	return 1;
}

#include "pyspy-record/python/shape.h"

static const struct shape shape_table[] = {
#include "pyspy-record/python/shape_table.inc"
};
enum { N_ROWS = sizeof shape_table / sizeof *shape_table };

const struct shape *shape_find(const struct layout *l)
{
	const struct shape *found = NULL;
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct shape *row = &shape_table[i];
		if (row->build == l->build && row->since >> 16 == l->since >> 16 && row->since <= l->since &&
		    (!found || row->since > found->since))
			found = row;
	}
	return found;
}

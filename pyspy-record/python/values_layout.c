#include "pyspy-record/python/values_layout.h"

static const struct values_layout values_layout_table[] = {
#include "pyspy-record/python/values_layout_table.inc"
};
enum { N_ROWS = sizeof values_layout_table / sizeof *values_layout_table };

const struct values_layout *values_layout_find(const struct layout *l)
{
	const struct values_layout *found = NULL;
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct values_layout *row = &values_layout_table[i];
		if (row->build == l->build && row->since >> 16 == l->since >> 16 && row->since <= l->since &&
		    (!found || row->since > found->since))
			found = row;
	}
	return found;
}

#include "libcommon/branches.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/map.h"
#include "libcommon/table.h"

enum { LINE = 8, FULL = 6, NEAR = 4, FIRST_LINES = 16 }; /* NEAR: parents that share a line */

void branches_init(struct branches *b)
{
	*b = (struct branches){0};
}

void branches_done(struct branches *b)
{
	free(b->slots);
	*b = (struct branches){0};
}

static const uint32_t *node_at(const void *nodes, size_t stride, uint32_t node)
{
	return (const uint32_t *)((const char *)nodes + stride * node);
}

static bool is_key(const uint32_t *node, uint32_t parent, uint32_t label)
{
	return node[0] == parent && node[1] == label;
}

/* The slot that holds the child, or the free one where it belongs. At most FULL of LINE slots are in use. */
static struct branches_slot *slot_of(const struct branches *b, const void *nodes, size_t stride, uint32_t parent,
                                     uint32_t label, uint32_t *tag)
{
	uint64_t hash = map_hash(parent, label);
	size_t line = parent / NEAR & (b->n_lines - 1);

	*tag = (uint32_t)(hash >> 32);
	for (bool is_near = true;; is_near = false) {
		struct branches_slot *s = b->slots + line * LINE;

		for (size_t i = 0; i < LINE; i++)
			if (!s[i].node ||
			    (s[i].tag == *tag && is_key(node_at(nodes, stride, s[i].node), parent, label)))
				return &s[i];
		line = (is_near ? hash : line + 1) & (b->n_lines - 1);
	}
}

static int grow(struct branches *b, const void *nodes, size_t stride)
{
	struct branches more = {.n = b->n, .n_lines = b->n_lines ? b->n_lines * 2 : FIRST_LINES};
	uint32_t tag;

	if (more.n_lines > SIZE_MAX / 2 / TABLE_ALIGN)
		return ERR_NO_MEMORY;
	more.slots = table_new(more.n_lines * LINE * sizeof *more.slots);
	if (!more.slots)
		return ERR_NO_MEMORY;
	for (uint32_t node = 1; node <= b->n; node++) {
		const uint32_t *key = node_at(nodes, stride, node);
		struct branches_slot *s = slot_of(&more, nodes, stride, key[0], key[1], &tag);

		*s = (struct branches_slot){node, tag};
	}
	free(b->slots);
	*b = more;
	return 0;
}

uint32_t branches_get(const struct branches *b, const void *nodes, size_t stride, uint32_t parent, uint32_t label)
{
	uint32_t tag;

	return b->n ? slot_of(b, nodes, stride, parent, label, &tag)->node : 0;
}

int branches_put(struct branches *b, const void *nodes, size_t stride)
{
	uint32_t node = (uint32_t)b->n + 1, tag;
	const uint32_t *key = node_at(nodes, stride, node);

	if (b->n >= b->n_lines * FULL)
		TRY(grow(b, nodes, stride));
	struct branches_slot *s = slot_of(b, nodes, stride, key[0], key[1], &tag);
	*s = (struct branches_slot){node, tag};
	b->n++;
	return 0;
}

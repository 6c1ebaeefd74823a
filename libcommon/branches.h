/* branches: the children of the nodes of a tree, by what leads to them: (parent, label) -> node.
 *
 * The nodes are the caller's: an array of structs that begin with two uint32_t, parent and label. Node 0 is the root;
 * nodes 1, 2, 3 ... are put in this order, each after its parent. Beside them 11 to 22 bytes a node.
 * Children of nodes with near numbers lie near each other in memory, up to eight in one cache line; what does not fit
 * there lies anywhere. A tree that is grown or walked node by node so costs few cache misses, and one node with
 * millions of children no more than a hash map does.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct branches_slot {
	uint32_t node, tag; /* node 0 = free; tag: of the hash */
};
struct branches {
	struct branches_slot *slots;
	size_t n, n_lines; /* n_lines: 0 or a power of two */
};

void branches_init(struct branches *b);
void branches_done(struct branches *b);
/* The child; 0 when there is none. `stride`: bytes from one node to the next. */
uint32_t branches_get(const struct branches *b, const void *nodes, size_t stride, uint32_t parent, uint32_t label);
/* Put node b->n + 1, which is in `nodes` already, and no child of its parent by this label. 0 or ERR_NO_MEMORY. */
int branches_put(struct branches *b, const void *nodes, size_t stride);

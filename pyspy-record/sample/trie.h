/* trie: raw stacks seen, and which of them were certain.
 *
 * A node is (parent node, code object, instruction); a group gathers the nodes of one parent and code object. A stack,
 * read from outside while its thread ran, is accepted when its whole path was certain before: every caller with this
 * very instruction, and the innermost frame by its code object (its instruction may be anywhere in it): the innermost
 * node's group is certified. The writer's stack ids hang on the nodes; they are void when the writer's epoch has moved
 * on.
 *
 * Memory: TRIE_NODE_BYTES a node, about; capped: at the cap trie_is_full() turns true and the caller clears all
 * (certificates are then collected anew). It may do so earlier.
 */
#pragma once
#include "libcommon/idset.h"
#include "libcommon/vec.h"
#include "pyspy-record/emit/writer.h"
#include "pyspy-record/python/codes.h"
#include "pyspy-record/sample/recur.h"

enum { TRIE_MAX = 1 << 20, TRIE_NODE_BYTES = 60 /* with its group, and places in tables */ };

typedef uint32_t node_id; /* 0 = the root: no frame */

struct trie_node {
	node_id parent;
	uint32_t group;
	uint32_t instr; /* byte offset in the code object */
	node_id next_in_group;
	stack_id stack; /* the writer's, valid in `epoch` */
	uint32_t epoch;
	uint32_t hash; /* of the path, by the addresses of code objects: the same after trie_clear */
};
struct trie_group {
	node_id parent; /* of all its nodes */
	code_id code;
	node_id first;
	bool is_certified;
};

struct trie {
	struct idset group_ids; /* by (parent, code) */
	struct idset node_ids;  /* by (group, instr) */
	VEC(struct trie_node) nodes;
	VEC(struct trie_group) groups;
	uint32_t epoch; /* counts trie_clear */
	struct recur recur;
	const struct codes *codes; /* the caller's: what code_ids are; NULL = numbers */
};

/* The innermost code object of a path; 0 of the root. */
static inline code_id trie_code(const struct trie *t, node_id n)
{
	return n ? t->groups.v[t->nodes.v[n].group].code : 0;
}

int trie_init(struct trie *t);
void trie_done(struct trie *t);
void trie_clear(struct trie *t);
bool trie_is_full(const struct trie *t);
/* The child of `parent` for this code and instruction, made if need be; 0 = no memory or full. */
node_id trie_child(struct trie *t, node_id parent, code_id code, uint32_t instr);
static inline bool trie_is_certified(const struct trie *t, node_id n)
{
	return n == 0 || t->groups.v[t->nodes.v[n].group].is_certified;
}
/* The writer's stack for this node (defines what is not defined yet in this epoch). 0 = the empty stack, or does not
 * fit (for n != 0). */
stack_id trie_stack(struct trie *t, struct codes *c, struct writer *w, node_id n);
/* This whole path was certain. Stacks of the epoch that become certified by it are told to the writer. True when it is
 * news. */
bool trie_certify(struct trie *t, struct writer *w, node_id n);

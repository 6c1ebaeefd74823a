#include "pyspy-record/sample/trie.h"

#include <string.h>

#include "libcommon/err.h"

int trie_init(struct trie *t)
{
	*t = (struct trie){0};
	if (!vec_push(&t->nodes, (struct trie_node){0}) ||
	    !vec_push(&t->groups, (struct trie_group){.is_certified = true}))
		return ERR_NO_MEMORY;
	return 0;
}

void trie_done(struct trie *t)
{
	idset_done(&t->group_ids);
	idset_done(&t->node_ids);
	vec_free(&t->nodes);
	vec_free(&t->groups);
	recur_done(&t->recur);
}

void trie_clear(struct trie *t)
{
	idset_clear(&t->group_ids);
	idset_clear(&t->node_ids);
	t->nodes.n = t->groups.n = 1;
	t->epoch++;
	recur_turn(&t->recur);
}

bool trie_is_full(const struct trie *t)
{
	return t->nodes.n >= TRIE_MAX;
}

static struct idset_key key_of_group(const void *trie, uint32_t id)
{
	const struct trie_group *g = &((const struct trie *)trie)->groups.v[id];
	return (struct idset_key){g->parent, g->code};
}

static struct idset_key key_of_node(const void *trie, uint32_t id)
{
	const struct trie_node *n = &((const struct trie *)trie)->nodes.v[id];
	return (struct idset_key){n->group, n->instr};
}

/* 0 = no memory. */
static uint32_t group_of(struct trie *t, node_id parent, code_id code)
{
	struct idset_key key = {parent, code};
	uint32_t id = idset_find(&t->group_ids, key, key_of_group, t);
	if (id)
		return id;
	struct trie_group g = {.parent = parent, .code = code};
	if (!idset_room(&t->group_ids, key_of_group, t) || !vec_push(&t->groups, g))
		return 0;
	id = (uint32_t)(t->groups.n - 1);
	idset_add(&t->group_ids, key, id);
	return id;
}

static uint32_t hash_of(const struct trie *t, node_id parent, code_id code, uint32_t instr)
{
	uint64_t at = t->codes ? codes_address(t->codes, code) : code;
	uint64_t h = (t->nodes.v[parent].hash + (at >> 4)) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)((h ^ h >> 29 ^ instr) * UINT64_C(0xbf58476d1ce4e5b9) >> 32);
}

node_id trie_child(struct trie *t, node_id parent, code_id code, uint32_t instr)
{
	if (trie_is_full(t))
		return 0;
	uint32_t group = group_of(t, parent, code);
	if (!group)
		return 0;
	struct idset_key key = {group, instr};
	node_id id = idset_find(&t->node_ids, key, key_of_node, t);
	if (id)
		return id;
	struct trie_node n = {.parent = parent,
	                      .group = group,
	                      .instr = instr,
	                      .next_in_group = t->groups.v[group].first,
	                      .hash = hash_of(t, parent, code, instr)};
	if (!idset_room(&t->node_ids, key_of_node, t) || !vec_push(&t->nodes, n))
		return 0;
	id = (node_id)(t->nodes.n - 1);
	idset_add(&t->node_ids, key, id);
	t->groups.v[group].first = id;
	recur_put(&t->recur, n.hash);
	return id;
}

static str_id name_of(struct codes *c, struct writer *w, uint32_t name)
{
	size_t n;
	const char *s = intern_bytes(&c->names, name, &n);
	return writer_string(w, s, n);
}

static function_id function_of(struct codes *c, struct writer *w, struct code *code)
{
	if (code->function && code->function_epoch == writer_epoch(w))
		return code->function;
	struct rec_function f = {
	    .kind = code->is_gone ? WIRE_FUNCTION_SYNTHETIC : WIRE_FUNCTION_PYTHON,
	    .module = name_of(c, w, code->module),
	    .qualname = name_of(c, w, code->qualname),
	    .file = name_of(c, w, code->file),
	    .first_line = code->first_line > 0 ? (uint32_t)code->first_line : 0,
	};
	code->function = writer_function(w, &f);
	code->function_epoch = writer_epoch(w);
	return code->function;
}

static location_id location_of(struct codes *c, struct writer *w, struct code *code, uint32_t instr)
{
	struct linetable_place p;
	codes_place(c, code, instr, &p);
	struct rec_location l = {
	    .function = function_of(c, w, code),
	    .line = p.line,
	    .end_line = p.end_line,
	    .column = p.column,
	    .end_column = p.end_column,
	    .has_line = p.has_line,
	    .has_columns = p.has_line && p.has_columns,
	};
	return l.function ? writer_location(w, &l) : 0;
}

stack_id trie_stack(struct trie *t, struct codes *c, struct writer *w, node_id n)
{
	uint32_t epoch = writer_epoch(w);
	/* down from the nearest ancestor that is defined: deep stacks must not recurse here */
	VEC(node_id) path = {0};
	stack_id parent = 0;
	for (node_id i = n; i; i = t->nodes.v[i].parent) {
		if (t->nodes.v[i].stack && t->nodes.v[i].epoch == epoch) {
			parent = t->nodes.v[i].stack;
			break;
		}
		if (!vec_push(&path, i)) {
			vec_free(&path);
			return 0;
		}
	}
	while (path.n > 0) {
		struct trie_node *node = &t->nodes.v[path.v[--path.n]];
		struct trie_group *group = &t->groups.v[node->group];
		struct rec_stack s = {.parent = parent, .certified = group->is_certified};
		s.location = location_of(c, w, codes_at(c, group->code), node->instr);
		parent = s.location ? writer_stack(w, &s) : 0;
		if (!parent)
			break;
		node->stack = parent;
		node->epoch = epoch;
	}
	vec_free(&path);
	return parent;
}

bool trie_certify(struct trie *t, struct writer *w, node_id n)
{
	uint32_t epoch = writer_epoch(w);
	bool news = false;
	/* a certified path has certified ancestors: stop at the first that is known */
	for (; n && !trie_is_certified(t, n); n = t->nodes.v[n].parent) {
		struct trie_group *group = &t->groups.v[t->nodes.v[n].group];
		group->is_certified = true;
		news = true;
		for (node_id i = group->first; i; i = t->nodes.v[i].next_in_group)
			if (t->nodes.v[i].stack && t->nodes.v[i].epoch == epoch)
				writer_certify(w, t->nodes.v[i].stack);
	}
	return news;
}

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "libcommon/branches.h"
#include "libcommon/map.h"
#include "libcommon/vec.h"

struct node {
	uint32_t parent, label, more;
};
struct tree {
	struct branches children;
	struct map witness; /* the same, by other code */
	VEC(struct node) nodes;
};

static void tree_begin(struct tree *t)
{
	*t = (struct tree){0};
	branches_init(&t->children);
	map_init(&t->witness, 0);
	assert_true(vec_push(&t->nodes, (struct node){0}));
}

static void tree_end(struct tree *t)
{
	branches_done(&t->children);
	map_done(&t->witness);
	vec_free(&t->nodes);
}

static uint32_t get(const struct tree *t, uint32_t parent, uint32_t label)
{
	return branches_get(&t->children, t->nodes.v, sizeof *t->nodes.v, parent, label);
}

/* The child, made when it is not there; and both say the same of whether it was. */
static uint32_t child(struct tree *t, uint32_t parent, uint32_t label)
{
	bool is_new;
	uint32_t found = get(t, parent, label), *slot = map_put(&t->witness, parent, label, &is_new);

	assert_non_null(slot);
	assert_int_equal(is_new, found == 0);
	if (is_new) {
		assert_true(vec_push(&t->nodes, ((struct node){parent, label, 0})));
		assert_int_equal(branches_put(&t->children, t->nodes.v, sizeof *t->nodes.v), 0);
		*slot = found = (uint32_t)t->nodes.n - 1;
	}
	assert_int_equal(*slot, found);
	return found;
}

static void all_are_found(const struct tree *t)
{
	assert_int_equal(t->children.n, t->nodes.n - 1);
	for (uint32_t i = 1; i < t->nodes.n; i++)
		assert_int_equal(get(t, t->nodes.v[i].parent, t->nodes.v[i].label), i);
}

static void empty(void **state)
{
	struct tree t;

	tree_begin(&t);
	assert_int_equal(get(&t, 0, 0), 0);
	assert_int_equal(child(&t, 0, 0), 1);
	assert_int_equal(get(&t, 0, 0), 1);
	assert_int_equal(get(&t, 0, 1), 0);
	assert_int_equal(get(&t, 1, 0), 0);
	tree_end(&t);
}

static void a_chain(void **state)
{
	struct tree t;

	tree_begin(&t);
	for (uint32_t i = 0, at = 0; i < 300000; i++)
		at = child(&t, at, i % 7);
	all_are_found(&t);
	tree_end(&t);
}

/* All in the same place, and in two places that wrap to the same line. */
static void many_children_of_few(void **state)
{
	struct tree t;

	tree_begin(&t);
	uint32_t a = child(&t, 0, 1), b = child(&t, 0, 2);
	for (uint32_t i = 0; i < 100000; i++) {
		child(&t, a, i);
		child(&t, i % 2 ? b : 0, i + 10);
	}
	all_are_found(&t);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(get(&t, a, 100000 + i), 0);
	tree_end(&t);
}

static void any_tree(void **state)
{
	struct tree t;
	uint64_t x = 88172645463325252u;

	tree_begin(&t);
	for (uint32_t i = 0; i < 400000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		child(&t, (uint32_t)(x % t.nodes.n), (uint32_t)(x >> 40) % 3);
	}
	all_are_found(&t);
	tree_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty),
	    cmocka_unit_test(a_chain),
	    cmocka_unit_test(many_children_of_few),
	    cmocka_unit_test(any_tree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

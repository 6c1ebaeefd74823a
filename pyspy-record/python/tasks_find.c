/* Where an interpreter keeps its tasks. */
#include "libcommon/err.h"
#include "pyspy-record/python/repr_parts.h"
#include "pyspy-record/python/tasks.h"

enum { STATES_MAX = 32768, SET_MAX = 1 << 24 };

static int add(struct tasks *t, raddr_t task, raddr_t tstate)
{
	bool is_new;
	if (!object_is_address(task))
		return 0;
	if (t->found.n >= TASKS_MAX) {
		t->is_listed_cut = true;
		return ERR_FULL;
	}
	uint32_t *place = map_put(&t->seen, task, 0, &is_new);
	if (!place)
		return ERR_NO_MEMORY;
	if (!is_new)
		return ERR_AGAIN;
	*place = 1;
	return vec_push(&t->found, ((struct tasks_found){task, tstate})) ? 0 : ERR_NO_MEMORY;
}

/* --- sets */

static int add_from_set(struct tasks *t, raddr_t item, bool is_weak)
{
	raddr_t task = item;
	if (is_weak && repr_word(&t->repr, item + t->shape->weakref.object, &task) < 0)
		return 0;
	int rc = add(t, task, 0);
	return rc == ERR_AGAIN ? 0 : rc;
}

/* Every item of a set (of weak references). */
static int walk_set(struct tasks *t, raddr_t set, bool is_weak)
{
	struct repr *p = &t->repr;
	uint64_t mask, table;
	unsigned char raw[64 * 16];
	int rc;
	const struct repr_type *type = repr_type_of(p, set, &rc);
	if (!type || strcmp(type->storage->name, "set") != 0)
		return ERR_TORN;
	TRY(repr_word(p, set + t->shape->set.mask, &mask));
	TRY(repr_word(p, set + t->shape->set.table, &table));
	if (mask >= SET_MAX || mask & (mask + 1)) {
		t->is_listed_cut = true;
		return ERR_TORN;
	}
	for (uint64_t i = 0; i <= mask; i += 64) {
		size_t n = mask + 1 - i < 64 ? (size_t)(mask + 1 - i) : 64;
		TRY(reader_read(p->reader, table + i * 16, raw, n * 16));
		for (size_t k = 0; k < n; k++) /* what stands for a removed item has this as its hash */
			if (object_u64(raw, k * 16) && object_u64(raw, k * 16 + 8) != UINT64_MAX)
				TRY(add_from_set(t, object_u64(raw, k * 16), is_weak));
	}
	return 0;
}

/* A set, or a WeakSet, in the namespace of asyncio.tasks. */
static int walk_named(struct tasks *t, raddr_t dict, const char *name)
{
	raddr_t set, data;
	int rc;
	if (object_dict_get(t->repr.reader, t->layout, dict, name, &set, NULL) < 0)
		return 0;
	const struct repr_type *type = repr_type_of(&t->repr, set, &rc);
	if (!type)
		return rc;
	if (strcmp(type->storage->name, "set") == 0)
		return walk_set(t, set, false);
	TRY(repr_attribute(&t->repr, set, type, "data", &data));
	return walk_set(t, data, true);
}

/* --- lists */

/* A circle of nodes that begins and ends with `head`, which lies in no task. */
static int walk_list(struct tasks *t, raddr_t head, raddr_t tstate)
{
	raddr_t node, last = head, links[2];
	if (repr_word(&t->repr, head, &node) < 0)
		return t->cache.is_late || t->cache.is_spent ? ERR_MEMORY_READ : 0;
	if (!node) /* never used: no asyncio in this thread */
		return 0;
	while (node != head) {
		if (!object_is_address(node) || reader_read(t->repr.reader, node, links, sizeof links) < 0 ||
		    links[1] != last) {
			t->is_listed_cut = true;
			return ERR_TORN;
		}
		int rc = add(t, node - t->places.node, tstate);
		if (rc == ERR_AGAIN) { /* a circle without its head */
			t->is_listed_cut = true;
			return ERR_TORN;
		}
		TRY(rc);
		last = node;
		node = links[0];
	}
	return 0;
}

static int walk_lists(struct tasks *t, raddr_t interp)
{
	raddr_t tstate;
	int first = 0;
	if (!t->places.of_thread || !t->places.node)
		return 0;
	TRY(repr_word(&t->repr, interp + t->layout->interp.threads_head, &tstate));
	for (unsigned i = 0; tstate && i < STATES_MAX; i++) {
		if (!object_is_address(tstate))
			return ERR_TORN;
		int rc = walk_list(t, tstate + t->places.of_thread, tstate);
		if (rc == ERR_GONE || rc == ERR_NO_MEMORY || rc == ERR_FULL)
			return rc;
		first = first ? first : rc;
		TRY(repr_word(&t->repr, tstate + t->layout->tstate.next, &tstate));
	}
	if (t->places.of_interpreter) {
		int rc = walk_list(t, interp + t->places.of_interpreter, 0);
		first = first ? first : rc;
	}
	return first;
}

int tasks_find(struct tasks *t, raddr_t interp, uint32_t number)
{
	static const char *const sets[] = {"_all_tasks", "_scheduled_tasks", "_eager_tasks"};
	raddr_t dict;
	t->found.n = t->next = 0;
	t->is_listed_cut = t->is_listed_late = false;
	map_clear(&t->seen);
	t->interp = number;
	t->last_loop = 0;
	if (repr_word(&t->repr, interp + t->layout->interp.modules, &t->repr.modules) < 0)
		t->repr.modules = 0;
	int rc = repr_module(&t->repr, "asyncio.tasks", &dict);
	t->is_listed_cut = t->is_listed_late = t->cache.is_late || t->cache.is_spent;
	if (rc < 0)
		return rc == ERR_GONE || rc == ERR_NO_MEMORY ? rc : 0;
	t->has_asyncio = true;
	rc = walk_lists(t, interp);
	for (size_t i = 0; i < sizeof sets / sizeof *sets && rc != ERR_GONE && rc != ERR_NO_MEMORY; i++) {
		int found = walk_named(t, dict, sets[i]);
		rc = rc < 0 ? rc : found;
	}
	t->is_listed_late = t->cache.is_late || t->cache.is_spent;
	if (rc < 0 || t->is_listed_late)
		t->is_listed_cut = true;
	return rc == ERR_GONE || rc == ERR_NO_MEMORY ? rc : 0;
}

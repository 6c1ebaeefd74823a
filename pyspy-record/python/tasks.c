#include "pyspy-record/python/tasks.h"

#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

enum { NAME_CHARS = 1024, CHILDREN_MAX = 64, TASK_BYTES_MAX = 512, BASES_MAX = 16, PAGES_AHEAD = 8 };
enum { STATE_PENDING, STATE_CANCELLED, STATE_FINISHED }; /* of a future (Modules/_asynciomodule.c) */
enum { BYTES_MAX = 256 << 20 /* read in one look */ };

int tasks_init(struct tasks *t, struct reader *r, const struct layout *l)
{
	struct repr_limits limits = repr_limits_of(1);
	*t = (struct tasks){.layout = l};
	pagecache_init(&t->cache, r);
	buf_init(&t->text, TASKS_TEXT_MAX);
	map_init(&t->seen, 0);
	TRY(repr_init(&t->repr, &t->cache, l, &limits));
	t->shape = t->repr.shape;
	if (layout_minor(l) < 0x308)
		return ERR_UNSUPPORTED;
	t->places = (struct tasks_places){.loop = t->shape->task.loop,
	                                  .state = t->shape->task.state,
	                                  .waiter = t->shape->task.waiter,
	                                  .coroutine = t->shape->task.coroutine,
	                                  .name = t->shape->task.name,
	                                  .context = t->shape->task.context,
	                                  .awaited_by = t->shape->task.awaited_by,
	                                  .awaited_by_is_set = t->shape->task.awaited_by_is_set,
	                                  .node = t->shape->task.node,
	                                  .of_thread = t->shape->tasks.of_thread};
	return 0;
}

void tasks_done(struct tasks *t)
{
	repr_done(&t->repr);
	pagecache_done(&t->cache);
	buf_done(&t->text);
	map_done(&t->seen);
	vec_free(&t->found);
	vec_free(&t->list);
	vec_free(&t->frames.list);
	vec_free(&t->things);
	vec_free(&t->awaited_by);
}

/* Py_AsyncioModuleDebugOffsets of 3.14 and 3.15 (Modules/_asynciomodule.c): of a task size, name, awaited_by, is_task,
 * awaited_by_is_set, coro, node; of an interpreter size, tasks; of a thread size, running loop, running task, tasks. */
void tasks_debug_offsets(struct tasks *t, const void *raw, size_t n)
{
	enum {
		SIZE,
		NAME,
		AWAITED_BY,
		IS_TASK,
		IS_SET,
		COROUTINE,
		NODE,
		INTERP_SIZE,
		INTERP,
		THREAD_SIZE,
		LOOP,
		TASK,
		THREAD,
		SLOTS
	};
	uint64_t v[SLOTS];
	if (n < sizeof v || !t->places.node)
		return;
	memcpy(v, raw, sizeof v);
	bool fits = v[SIZE] <= TASK_BYTES_MAX && v[NODE] + 16 <= v[SIZE] && v[NAME] + 8 <= v[NODE] &&
	            v[COROUTINE] + 8 == v[NAME] && v[COROUTINE] >= t->layout->object.size + 8 &&
	            v[AWAITED_BY] + 8 <= v[SIZE] && v[AWAITED_BY] <= v[NAME] && v[IS_SET] <= v[NAME] &&
	            v[INTERP] < LAYOUT_INTERP_MAX && v[INTERP] + 16 <= v[INTERP_SIZE] &&
	            v[THREAD] < LAYOUT_INTERP_MAX && v[THREAD] + 16 <= v[THREAD_SIZE] &&
	            !((v[NODE] | v[NAME] | v[INTERP] | v[THREAD] | v[AWAITED_BY]) & 7);
	if (!fits)
		return;
	t->places.name = (uint32_t)v[NAME];
	t->places.coroutine = (uint32_t)v[COROUTINE];
	t->places.waiter = (uint32_t)v[COROUTINE] - 8;
	t->places.context = (uint32_t)v[NAME] + 8;
	t->places.awaited_by = (uint32_t)v[AWAITED_BY];
	t->places.awaited_by_is_set = (uint32_t)v[IS_SET];
	t->places.node = (uint32_t)v[NODE];
	t->places.of_interpreter = (uint32_t)v[INTERP];
	t->places.of_thread = (uint32_t)v[THREAD];
}

void tasks_again(struct tasks *t, uint64_t deadline_ns)
{
	repr_forget(&t->repr);
	t->cache.deadline_ns = deadline_ns;
	t->cache.bytes_left = BYTES_MAX;
	t->cache.is_late = t->cache.is_spent = false;
	t->cache.ahead = 0;
	t->list.n = t->frames.list.n = t->things.n = t->awaited_by.n = t->found.n = t->next = 0;
	t->not_understood = 0;
	t->last_loop = 0;
	t->is_listed_cut = t->is_listed_late = t->has_asyncio = false;
	buf_reset(&t->text);
}

void tasks_resume(struct tasks *t, uint64_t deadline_ns)
{
	pagecache_clear(&t->cache);
	repr_forget(&t->repr);
	t->cache.deadline_ns = deadline_ns;
	t->cache.bytes_left = BYTES_MAX;
	t->cache.ahead = PAGES_AHEAD;
	t->last_loop = 0;
}

void tasks_begin(struct tasks *t, uint64_t deadline_ns)
{
	pagecache_clear(&t->cache);
	tasks_again(t, deadline_ns);
	t->cache.ahead = PAGES_AHEAD;
}

/* --- words */

static struct tasks_text put(struct tasks *t, const char *s, size_t n)
{
	struct tasks_text out = {t->text.len, n};
	buf_put(&t->text, s, n);
	if (t->text.err)
		out = (struct tasks_text){0, 0};
	return out;
}

static struct tasks_text put_type(struct tasks *t, const struct repr_type *type)
{
	char name[2 * REPR_NAME + 2];
	int n = snprintf(name, sizeof name, "%s%s%s", type->module, *type->module ? "." : "", type->qualname);
	return put(t, name, n < 0 ? 0 : (size_t)n < sizeof name ? (size_t)n : sizeof name - 1);
}

/* A name: a text, or (3.12 and later) the number of a "Task-N" that nobody has asked for its name. */
static int read_name(struct tasks *t, raddr_t object, struct tasks_text *out)
{
	uint32_t chars[NAME_CHARS];
	char text[4 * NAME_CHARS + 4];
	size_t n, length = 0;
	uint64_t whole;
	int64_t number;
	int rc;
	const struct repr_type *type = repr_type_of(&t->repr, object, &rc);
	if (!type)
		return rc;
	if (strcmp(type->storage->name, "int") == 0) {
		TRY(repr_int(&t->repr, object, &number));
		*out = put(t, text, (size_t)snprintf(text, sizeof text, "Task-%lld", (long long)number));
		return 0;
	}
	if (strcmp(type->storage->name, "str") != 0)
		return ERR_TORN;
	TRY(object_characters(t->repr.reader, t->layout, object, chars, NAME_CHARS, &n, &whole));
	for (size_t i = 0; i < n; i++)
		length += utf8_put(text + length, chars[i]);
	if (whole > n)
		length += utf8_put(text + length, 0x2026);
	*out = put(t, text, length);
	return 0;
}

/* --- what a type is */

/* Does it derive from a type of C with this name? */
static bool is_kind(struct tasks *t, const struct repr_type *type, const char *name)
{
	int rc;
	for (int i = 0; i < BASES_MAX && type; i++) {
		if (strcmp(type->name, name) == 0)
			return true;
		type = type->base ? repr_type_at(&t->repr, type->base, &rc) : NULL;
	}
	return false;
}

/* Do a coroutine, a name and a context lie here, one behind the other? Whatever a task may run is neither a name nor a
 * context; that a name is one is certain. */
static bool is_trio(struct tasks *t, raddr_t coroutine, raddr_t name, raddr_t context)
{
	int rc;
	const struct repr_type *type = repr_type_of(&t->repr, context, &rc);
	if (!type || strcmp(repr_short_name(type), "Context") != 0)
		return false;
	type = repr_type_of(&t->repr, name, &rc);
	if (!type || (strcmp(type->storage->name, "str") != 0 && strcmp(type->storage->name, "int") != 0))
		return false;
	type = repr_type_of(&t->repr, coroutine, &rc);
	return type && !repr_is_none(type);
}

/* The table is not right for this build: look where the three are. */
static void search_places(struct tasks *t, raddr_t task, const struct repr_type *type)
{
	unsigned char raw[TASK_BYTES_MAX];
	size_t n = type->basicsize < 0                ? 0
	           : type->basicsize < TASK_BYTES_MAX ? (size_t)type->basicsize
	                                              : TASK_BYTES_MAX;
	if (reader_read(t->repr.reader, task, raw, n) < 0)
		return;
	for (uint32_t at = t->layout->object.size + 8; at + 24 <= n; at += 8) {
		if (!is_trio(t, object_u64(raw, at), object_u64(raw, at + 8), object_u64(raw, at + 16)))
			continue;
		t->places = (struct tasks_places){.loop = t->places.loop,
		                                  .state = t->places.state,
		                                  .waiter = at - 8,
		                                  .coroutine = at,
		                                  .name = at + 8,
		                                  .context = at + 16,
		                                  .node = t->places.node,
		                                  .of_thread = t->places.of_thread,
		                                  .of_interpreter = t->places.of_interpreter,
		                                  .is_proved = true};
		return;
	}
}

/* The struct of one of C's tasks. ERR_TORN: it makes no sense. */
static int read_struct(struct tasks *t, raddr_t task, const struct repr_type *type, unsigned char *raw)
{
	for (int tries = 0; tries < 2; tries++) {
		size_t n = t->places.context + 8;
		if ((int64_t)n > type->basicsize || n > TASK_BYTES_MAX)
			return ERR_TORN;
		TRY(reader_read(t->repr.reader, task, raw, n));
		if (is_trio(t, object_u64(raw, t->places.coroutine), object_u64(raw, t->places.name),
		            object_u64(raw, t->places.context))) {
			t->places.is_proved = true;
			return 0;
		}
		if (t->places.is_proved || t->cache.is_late || t->cache.is_spent)
			return ERR_TORN;
		search_places(t, task, type);
	}
	return ERR_TORN;
}

/* --- what it waits for */

static char state_of(int state)
{
	return state == STATE_PENDING ? 'p' : state == STATE_CANCELLED ? 'c' : state == STATE_FINISHED ? 'f' : 0;
}

/* The state of a future of Python: 'PENDING' and so on. */
static char python_state(struct tasks *t, raddr_t object, const struct repr_type *type)
{
	raddr_t value;
	char text[16];
	if (repr_any_attribute(&t->repr, object, type, "_state", &value) < 0 ||
	    repr_text(&t->repr, value, text, sizeof text) < 0)
		return 0;
	return strcmp(text, "PENDING") == 0     ? 'p'
	       : strcmp(text, "CANCELLED") == 0 ? 'c'
	       : strcmp(text, "FINISHED") == 0  ? 'f'
	                                        : 0;
}

static int read_thing(struct tasks *t, raddr_t at, struct tasks_thing *thing)
{
	struct repr *p = &t->repr;
	raddr_t name;
	uint32_t state;
	int rc;
	*thing = (struct tasks_thing){.at = at};
	const struct repr_type *type = repr_type_of(p, at, &rc);
	if (!type)
		return rc;
	thing->type = put_type(t, type);
	bool is_task = is_kind(t, type, "_asyncio.Task");
	if (is_task || is_kind(t, type, "_asyncio.Future")) {
		if (reader_read(p->reader, at + t->places.state, &state, sizeof state) == 0)
			thing->state = state_of(state > 3 ? -1 : (int)state);
		if (is_task && repr_word(p, at + t->places.name, &name) == 0)
			read_name(t, name, &thing->name);
	} else {
		thing->state = python_state(t, at, type);
		if (thing->state && repr_attribute(p, at, type, "_coro", &name) == 0 &&
		    repr_attribute(p, at, type, "_name", &name) == 0)
			read_name(t, name, &thing->name);
	}
	return 0;
}

/* What gather() made waits for its children. */
static void read_children(struct tasks *t, raddr_t future, struct tasks_entry *e)
{
	raddr_t list, items[CHILDREN_MAX];
	size_t n = 0;
	int rc;
	struct tasks_thing child;
	const struct repr_type *type = repr_type_of(&t->repr, future, &rc);
	e->first_child = t->things.n;
	if (!type || strcmp(type->qualname, "_GatheringFuture") != 0 ||
	    repr_attribute(&t->repr, future, type, "_children", &list) < 0 ||
	    object_type_is(t->repr.reader, t->layout, list, "list") != 1 ||
	    object_list(t->repr.reader, t->layout, list, items, CHILDREN_MAX, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (read_thing(t, items[i], &child) == 0 && child.state == 'p' && vec_push(&t->things, child))
			e->n_children++;
}

static int add_awaited_by(struct tasks *t, raddr_t object, bool is_set, struct tasks_entry *e)
{
	struct repr *p = &t->repr;
	uint64_t mask, table, entry[2];
	e->has_awaited_by = true;
	if (!object)
		return 0;
	if (!is_set)
		return t->awaited_by.n < TASKS_AWAITED_BY_MAX && vec_push(&t->awaited_by, object)
		           ? (int)(e->n_awaited_by++, 0)
		           : 0;
	if (object_type_is(p->reader, t->layout, object, "set") != 1 ||
	    repr_word(p, object + t->shape->set.mask, &mask) < 0 ||
	    repr_word(p, object + t->shape->set.table, &table) < 0 || mask >= TASKS_MAX)
		return ERR_TORN;
	for (uint64_t i = 0; i <= mask; i++) {
		TRY(reader_read(p->reader, table + i * 16, entry, sizeof entry));
		if (!entry[0] || entry[1] == UINT64_MAX || t->awaited_by.n >= TASKS_AWAITED_BY_MAX)
			continue;
		if (!vec_push(&t->awaited_by, (raddr_t)entry[0]))
			return ERR_NO_MEMORY;
		e->n_awaited_by++;
	}
	return 0;
}

/* --- its loop */

static void read_loop(struct tasks *t, raddr_t loop, struct tasks_entry *e)
{
	int rc;
	raddr_t ident;
	uint64_t number;
	if (!object_is_address(loop))
		return;
	if (loop != t->last_loop) {
		const struct repr_type *type = repr_type_of(&t->repr, loop, &rc);
		if (!type || repr_is_none(type))
			return;
		t->last_loop = loop;
		t->last_loop_type = put_type(t, type);
		t->last_loop_ident = 0;
		if (repr_attribute(&t->repr, loop, type, "_thread_id", &ident) == 0 &&
		    object_int(t->repr.reader, t->layout, ident, &number, NULL) == 0)
			t->last_loop_ident = number;
	}
	e->loop = loop;
	e->loop_type = t->last_loop_type;
	e->ident = t->last_loop_ident;
}

/* --- one task */

static int read_coroutine(struct tasks *t, struct tasks_entry *e)
{
	struct repr *p = &t->repr;
	struct awaits a = {0};
	raddr_t name;
	int rc;
	const struct repr_type *type = repr_type_of(p, e->coroutine, &rc);
	if (!type)
		return rc;
	e->first = t->frames.list.n;
	if (!awaits_has_frame(type) || repr_word(p, e->coroutine + t->shape->generator.name, &name) < 0 ||
	    read_name(t, name, &e->coroutine_name) < 0)
		e->coroutine_name = put_type(t, type);
	TRY(awaits_follow(p, e->coroutine, &t->frames, &a));
	e->n = a.n;
	e->is_running = a.is_running;
	e->is_begun = a.is_begun || a.n == 0;
	e->is_cut = a.is_cut;
	type = a.end && a.end != e->coroutine ? repr_type_of(p, a.end, &rc) : NULL;
	if (type)
		e->awaits = put_type(t, type);
	return 0;
}

static int read_waiter(struct tasks *t, raddr_t waiter, struct tasks_entry *e)
{
	int rc;
	const struct repr_type *type = waiter ? repr_type_of(&t->repr, waiter, &rc) : NULL;
	if (!type || repr_is_none(type))
		return 0;
	TRY(read_thing(t, waiter, &e->waiter));
	e->waits = true;
	read_children(t, waiter, e);
	return 0;
}

static int read_c_task(struct tasks *t, struct tasks_entry *e, const struct repr_type *type)
{
	const struct tasks_places *at = &t->places;
	unsigned char raw[TASK_BYTES_MAX];
	TRY(read_struct(t, e->at, type, raw));
	uint32_t state = object_u32(raw, at->state);
	if (state > STATE_FINISHED)
		return ERR_TORN;
	if (state != STATE_PENDING)
		return ERR_AGAIN;
	e->coroutine = object_u64(raw, at->coroutine);
	TRY(read_name(t, object_u64(raw, at->name), &e->name));
	TRY(read_coroutine(t, e));
	read_waiter(t, object_u64(raw, at->waiter), e);
	read_loop(t, object_u64(raw, at->loop), e);
	e->first_awaited_by = t->awaited_by.n;
	if (at->awaited_by)
		add_awaited_by(t, object_u64(raw, at->awaited_by), raw[at->awaited_by_is_set], e);
	return 0;
}

static int read_python_task(struct tasks *t, struct tasks_entry *e, const struct repr_type *type)
{
	struct repr *p = &t->repr;
	raddr_t value;
	TRY(repr_attribute(p, e->at, type, "_coro", &e->coroutine) < 0 ? ERR_TORN : 0);
	char state = python_state(t, e->at, type);
	if (state == 'c' || state == 'f')
		return ERR_AGAIN;
	if (repr_attribute(p, e->at, type, "_name", &value) == 0)
		read_name(t, value, &e->name);
	TRY(read_coroutine(t, e));
	if (repr_attribute(p, e->at, type, "_fut_waiter", &value) == 0)
		read_waiter(t, value, e);
	if (repr_attribute(p, e->at, type, "_loop", &value) == 0)
		read_loop(t, value, e);
	e->first_awaited_by = t->awaited_by.n;
	if (t->places.awaited_by && repr_attribute(p, e->at, type, "_Future__asyncio_awaited_by", &value) == 0) {
		int is_set = object_type_is(p->reader, t->layout, value, "set");
		add_awaited_by(t, is_set == 1 ? value : 0, true, e);
	} else {
		e->has_awaited_by = t->places.awaited_by;
	}
	return 0;
}

static int read_one(struct tasks *t, struct tasks_entry *e)
{
	int rc;
	const struct repr_type *type = repr_type_of(&t->repr, e->at, &rc);
	if (!type)
		return rc;
	e->type = put_type(t, type);
	return is_kind(t, type, "_asyncio.Task") ? read_c_task(t, e, type) : read_python_task(t, e, type);
}

int tasks_read(struct tasks *t)
{
	if (t->next >= t->found.n)
		return ERR_AGAIN;
	if (t->frames.list.n >= TASKS_FRAMES_MAX || t->text.err)
		return ERR_FULL;
	struct tasks_entry e = {
	    .at = t->found.v[t->next].at, .tstate = t->found.v[t->next].tstate, .interp = t->interp};
	size_t frames = t->frames.list.n, things = t->things.n, by = t->awaited_by.n, text = t->text.len;
	int rc = read_one(t, &e);
	bool is_late = t->cache.is_late || t->cache.is_spent;
	if (rc == 0 && !is_late)
		return t->next++, vec_push(&t->list, e) ? 1 : ERR_NO_MEMORY;
	t->frames.list.n = frames;
	t->things.n = things;
	t->awaited_by.n = by;
	t->text.len = text;
	t->last_loop = 0;
	if (rc == ERR_GONE || rc == ERR_NO_MEMORY)
		return rc;
	if (is_late)
		return ERR_MEMORY_READ;
	t->next++;
	t->not_understood += rc != ERR_AGAIN;
	return 0;
}

/* names: what threading knows, in each kind of version and build; what is told again, and when nothing needs to be.
 * facts: what sys says. */
#include "pyspy-record/python/names.h"

#include <errno.h>

#include "libcommon/err.h"
#include "pyspy-record/python/facts.h"
#include "pyspy-record/python/object.h"
#include "tests/unit/support_objects.h"
#include "tests/unit/support_test.h"

enum { THREADS_MAX = 8, BASICSIZE = 32, INTERP = 0x20000, TAKEN_MAX = 16 };
#define IDENT UINT64_C(0x7f1234567800)
static struct support_memory m;
static struct support_objects o;

/* A made-up process: sys.modules, threading, its _active with n threads. */
static struct world {
	raddr_t modules, threading, globals, active, thread[THREADS_MAX], name_slot[THREADS_MAX];
	size_t n;
} w;

static struct taken {
	size_t n;
	struct {
		uint64_t ident;
		char name[64];
		size_t len;
	} v[TAKEN_MAX];
} taken;

static void take(void *ctx, uint64_t ident, const char *name, size_t n)
{
	assert_ptr_equal(ctx, &taken);
	assert_true(taken.n < TAKEN_MAX && n < sizeof taken.v->name);
	taken.v[taken.n].ident = ident;
	memcpy(taken.v[taken.n].name, name, n + 1);
	taken.v[taken.n++].len = n;
}

static int look(struct object_trail *trail)
{
	taken.n = 0;
	if (trail)
		object_trail_clear(trail);
	return names_read(&m.reader, o.l, INTERP, take, &taken, trail);
}

static const char *name_of(size_t i)
{
	for (size_t k = 0; k < taken.n; k++)
		if (taken.v[k].ident == IDENT + 64 * i)
			return taken.v[k].name;
	return NULL;
}

static raddr_t new_ident(uint64_t ident)
{
	uint32_t digits[] = {ident & ((1 << 30) - 1), ident >> 30 & ((1 << 30) - 1), (uint32_t)(ident >> 60)};
	if (o.l->is_python2)
		return support_objects_small(&o, (int64_t)ident);
	return support_objects_int(&o, false, digits, digits[2] ? 3 : 2);
}

/* A Thread, as its version keeps its attributes. */
static raddr_t new_thread(raddr_t name, raddr_t *name_slot)
{
	const char *attribute = o.l->is_python2 ? "_Thread__name" : "_name";
	struct support_objects_entry e[] = {{support_objects_ascii(&o, "_target"), o.dict},
	                                    {support_objects_ascii(&o, attribute), name}};
	bool is_managed = layout_minor(o.l) >= 0x30b, is_inline = layout_minor(o.l) >= 0x30d;
	raddr_t type = support_objects_type(&o, "Thread",
	                                    (is_managed ? SUPPORT_OBJECTS_MANAGED_DICT : 0) |
	                                        (is_inline ? SUPPORT_OBJECTS_INLINE_VALUES : 0),
	                                    BASICSIZE + 8);
	raddr_t at = support_objects_new(&o, type, BASICSIZE + 8 + 8 + 2 * 8, 32);
	if (!is_managed) {
		raddr_t dict = support_objects_dict(&o, false, e, 2);
		support_memory_u64(&m, type + o.l->type.dictoffset, BASICSIZE);
		support_memory_u64(&m, at + BASICSIZE, dict);
		*name_slot = support_objects_slot(&o, dict, 1);
		return at;
	}
	support_memory_u64(&m, type + o.l->type.cached_keys, support_objects_keys(&o, false, true, e, 2));
	raddr_t values = support_objects_values(&o, is_inline ? at + BASICSIZE + 8 : 0, e, 2);
	if (layout_minor(o.l) == 0x30b)
		support_memory_u64(&m, at - 32, values);
	else if (!is_inline)
		support_memory_u64(&m, at - 24, values - 1);
	*name_slot = values + o.l->dict.values_first + 8;
	return at;
}

static void build(size_t n)
{
	static const char *const names[THREADS_MAX] = {"MainThread", "", "worker 1", "a", "b", "c", "d", "e"};
	struct support_objects_entry e[THREADS_MAX];
	w.n = n;
	for (size_t i = 0; i < n; i++) {
		w.thread[i] = new_thread(support_objects_ascii(&o, names[i]), &w.name_slot[i]);
		e[i] = (struct support_objects_entry){new_ident(IDENT + 64 * i), w.thread[i]};
	}
	w.active = support_objects_dict(&o, true, e, n);
	struct support_objects_entry g[] = {{support_objects_ascii(&o, "__name__"), o.dict},
	                                    {support_objects_ascii(&o, "_active"), w.active}};
	w.globals = support_objects_dict(&o, false, g, 2);
	w.threading = support_objects_module(&o, w.globals);
	struct support_objects_entry sys[] = {{support_objects_ascii(&o, "sys"), o.module},
	                                      {support_objects_ascii(&o, "threading"), w.threading},
	                                      {support_objects_ascii(&o, "os"), o.module}};
	w.modules = support_objects_dict(&o, false, sys, 3);
	support_memory_map(&m, INTERP, 1 << 20);
	support_memory_u64(&m, INTERP + o.l->interp.modules, w.modules);
}

static void in_all(void (*test)(void))
{
	support_objects_in_all(&o, &m, test);
}

static void names(void)
{
	build(3);
	assert_int_equal(look(NULL), 0);
	assert_int_equal(taken.n, 3);
	assert_string_equal(name_of(0), "MainThread");
	assert_string_equal(name_of(1), "");
	assert_string_equal(name_of(2), "worker 1");
	/* no ASCII; no string (yet); nothing there */
	static const uint16_t narrow[] = {0x3b1, 0xd800};
	support_memory_u64(&m, w.name_slot[0], support_objects_str(&o, 2, false, narrow, 2));
	support_memory_u64(&m, w.name_slot[1], new_ident(5));
	support_memory_u64(&m, w.name_slot[2], 0x5000);
	assert_int_equal(look(NULL), 0);
	assert_int_equal(taken.n, 1);
	assert_string_equal(name_of(0), "\xce\xb1\xed\xa0\x80");
	/* threading is not imported; its _active is not there yet; there are no modules */
	support_memory_u64(&m, support_objects_slot(&o, w.globals, 1), 0);
	assert_int_equal(look(NULL), ERR_AGAIN);
	support_memory_u64(&m, support_objects_slot(&o, w.modules, 1), 0);
	assert_int_equal(look(NULL), ERR_AGAIN);
	support_memory_u64(&m, INTERP + o.l->interp.modules, 0);
	assert_int_equal(look(NULL), ERR_TORN);
	assert_int_equal(names_read(&m.reader, o.l, 0x8000, take, &taken, NULL), ERR_MEMORY_READ);
	m.error = ESRCH;
	assert_int_equal(look(NULL), ERR_GONE);
	m.error = 0;
}
static void test_names(void **state)
{
	in_all(names);
}

/* Idents are unsigned, whatever the version makes of that. */
static void idents(void)
{
	raddr_t slot, thread = new_thread(support_objects_ascii(&o, "high"), &slot);
	build(1);
	uint64_t high = UINT64_C(0xffff7f1234567890);
	struct support_objects_entry e = {new_ident(high), thread};
	support_memory_u64(&m, support_objects_slot(&o, w.globals, 1), support_objects_dict(&o, true, &e, 1));
	assert_int_equal(look(NULL), 0);
	assert_int_equal(taken.n, 1);
	assert_true(taken.v[0].ident == high);
	if (!o.l->is_python2)
		return;
	uint32_t digits[] = {high & ((1 << 30) - 1), high >> 30 & ((1 << 30) - 1), (uint32_t)(high >> 60)};
	e.key = support_objects_int(&o, false, digits, 3); /* a long */
	support_memory_u64(&m, support_objects_slot(&o, w.globals, 1), support_objects_dict(&o, true, &e, 1));
	assert_int_equal(look(NULL), 0);
	assert_true(taken.n == 1 && taken.v[0].ident == high);
}
static void test_idents(void **state)
{
	in_all(idents);
}

/* While nothing has changed, one call tells so; whatever changes is seen. */
static void unchanged(void)
{
	struct object_trail trail = {0};
	build(4);
	assert_int_equal(look(&trail), 0);
	assert_int_equal(taken.n, 4);
	uint64_t calls = m.reader.calls;
	assert_true(object_trail_holds(&trail, &m.reader));
	assert_int_equal(m.reader.calls - calls, 1);
	/* reference counts are no change */
	raddr_t counted[] = {w.modules, w.threading, w.globals, w.active, w.thread[0], w.thread[3]};
	for (size_t i = 0; i < N_OF(counted); i++)
		support_memory_u64(&m, counted[i] + o.l->object.type - 8, 1000 + i);
	assert_true(object_trail_holds(&trail, &m.reader));

	/* another name, at another address */
	support_memory_u64(&m, w.name_slot[3], support_objects_ascii(&o, "renamed"));
	assert_false(object_trail_holds(&trail, &m.reader));
	assert_int_equal(look(&trail), 0);
	assert_string_equal(name_of(3), "renamed");
	assert_true(object_trail_holds(&trail, &m.reader));
	/* another name at the same address, of the same length */
	raddr_t name;
	memcpy(&name, support_memory_at(&m, w.name_slot[3], 8), 8);
	support_memory_put(&m, name + (o.l->is_python2 ? o.l->bytes.ob_sval : o.l->unicode.ascii_size), "RENAMED", 7);
	assert_false(object_trail_holds(&trail, &m.reader));
	assert_int_equal(look(&trail), 0);
	assert_string_equal(name_of(3), "RENAMED");

	/* a thread goes, another comes to its place */
	raddr_t slot = support_objects_slot(&o, w.active, 2), other;
	support_memory_u64(&m, slot, 0);
	assert_false(object_trail_holds(&trail, &m.reader));
	assert_int_equal(look(&trail), 0);
	assert_int_equal(taken.n, 3);
	support_memory_u64(&m, slot, new_thread(support_objects_ascii(&o, "new"), &other));
	assert_false(object_trail_holds(&trail, &m.reader));
	assert_int_equal(look(&trail), 0);
	assert_string_equal(name_of(2), "new");
	/* the same Thread object under another ident, in the memory of the old one */
	raddr_t key;
	memcpy(&key, support_memory_at(&m, slot - 8, 8), 8);
	unsigned char *low =
	    support_memory_at(&m, key + (o.l->is_python2 ? o.l->integer.value : o.l->integer.digit), 1);
	*low ^= 0x40;
	assert_false(object_trail_holds(&trail, &m.reader));
	*low ^= 0x40;
	assert_true(object_trail_holds(&trail, &m.reader));
	/* another _active, another threading, other modules */
	raddr_t links[] = {support_objects_slot(&o, w.globals, 1), support_objects_slot(&o, w.modules, 1),
	                   INTERP + o.l->interp.modules, w.threading + o.l->module.dict};
	for (size_t i = 0; i < N_OF(links); i++) {
		uint64_t was;
		memcpy(&was, support_memory_at(&m, links[i], 8), 8);
		support_memory_u64(&m, links[i], was + 64);
		assert_false(object_trail_holds(&trail, &m.reader));
		support_memory_u64(&m, links[i], was);
		assert_true(object_trail_holds(&trail, &m.reader));
	}
	/* a name that cannot be read now may be later: look again */
	support_memory_u64(&m, w.name_slot[0], 0x5000);
	assert_int_equal(look(&trail), 0);
	assert_false(object_trail_holds(&trail, &m.reader));
	object_trail_done(&trail);
}
static void test_unchanged(void **state)
{
	in_all(unchanged);
}

/* threading is not imported: that holds until modules change. */
static void not_imported(void)
{
	struct object_trail trail = {0};
	build(1);
	struct support_objects_entry e[] = {{support_objects_ascii(&o, "sys"), o.module},
	                                    {support_objects_ascii(&o, "os"), o.module}};
	raddr_t dict = support_objects_dict(&o, false, e, 2);
	support_memory_u64(&m, INTERP + o.l->interp.modules, dict);
	assert_int_equal(look(&trail), ERR_AGAIN);
	assert_true(object_trail_holds(&trail, &m.reader));
	raddr_t used = dict + o.l->object.size; /* 2.x: slots in use, ma_fill */
	support_objects_size(&o, used, 3);
	assert_false(object_trail_holds(&trail, &m.reader));
	support_objects_size(&o, used, 0);
	assert_true(object_trail_holds(&trail, &m.reader));
	if (o.l->keys.n_entries) { /* one came, another went: as many are used, but the key table is fuller */
		raddr_t keys;
		memcpy(&keys, support_memory_at(&m, dict + o.l->dict.keys, 8), 8);
		support_memory_u64(&m, keys + o.l->keys.n_entries, 3);
		assert_false(object_trail_holds(&trail, &m.reader));
	}
	object_trail_done(&trail);
}
static void test_not_imported(void **state)
{
	in_all(not_imported);
}

/* --- facts */

static void facts(void)
{
	static const uint16_t narrow[] = {'/', 0x3b1};
	static char nothing[] = "";
	raddr_t path[] = {support_objects_ascii(&o, "/app"),
	                  support_objects_ascii(&o, ""),
	                  new_ident(5),
	                  support_objects_str(&o, 2, false, narrow, 2),
	                  0x5000,
	                  support_objects_ascii(&o, "/lib")};
	raddr_t list = support_objects_list(&o, path, N_OF(path));
	struct support_objects_entry e[] = {
	    {support_objects_ascii(&o, "prefix"), support_objects_ascii(&o, "/venv")},
	    {support_objects_ascii(&o, "base_prefix"), support_objects_ascii(&o, "/usr")},
	    {support_objects_ascii(&o, "path"), list}};
	struct facts f;
	support_memory_map(&m, INTERP, 1 << 20);
	support_memory_u64(&m, INTERP + o.l->interp.sysdict, support_objects_dict(&o, false, e, 3));
	facts_read(&m.reader, o.l, INTERP, &f, NULL);
	assert_string_equal(f.prefix, "/venv");
	assert_string_equal(f.base_prefix, "/usr");
	assert_int_equal(f.n_path, 3);
	assert_string_equal(f.path[0], "/app");
	assert_string_equal(f.path[1], "/\xce\xb1");
	assert_string_equal(f.path[2], "/lib");
	facts_done(&f);
	/* before 3.3 there is no base_prefix; a path that is none, or longer than is kept */
	e[1].value = 0;
	e[2].value = o.dict;
	support_memory_u64(&m, INTERP + o.l->interp.sysdict, support_objects_dict(&o, false, e, 3));
	facts_read(&m.reader, o.l, INTERP, &f, NULL);
	assert_string_equal(f.prefix, "/venv");
	assert_string_equal(f.base_prefix, nothing);
	assert_int_equal(f.n_path, 0);
	facts_done(&f);
	static raddr_t many[FACTS_PATHS_MAX + 10];
	for (size_t i = 0; i < N_OF(many); i++)
		many[i] = path[0];
	e[2].value = support_objects_list(&o, many, N_OF(many));
	support_memory_u64(&m, INTERP + o.l->interp.sysdict, support_objects_dict(&o, false, e, 3));
	facts_read(&m.reader, o.l, INTERP, &f, NULL);
	assert_int_equal(f.n_path, FACTS_PATHS_MAX);
	facts_done(&f);
	facts_read(&m.reader, o.l, 0x8000, &f, NULL);
	assert_string_equal(f.prefix, nothing);
	assert_int_equal(f.n_path, 0);
	facts_done(&f);
}
static void test_facts(void **state)
{
	in_all(facts);
}

/* As long as nothing has changed, one call tells so. */
static void facts_unchanged(void)
{
	struct object_trail trail = {0};
	struct facts f;
	raddr_t path[] = {support_objects_ascii(&o, "/app"), support_objects_ascii(&o, "/lib")};
	raddr_t list = support_objects_list(&o, path, 2), items;
	struct support_objects_entry e[] = {
	    {support_objects_ascii(&o, "prefix"), support_objects_ascii(&o, "/venv")},
	    {support_objects_ascii(&o, "base_prefix"), support_objects_ascii(&o, "/usr")},
	    {support_objects_ascii(&o, "path"), list}};
	raddr_t sysdict = support_objects_dict(&o, false, e, 3);
	support_memory_map(&m, INTERP, 1 << 20);
	support_memory_u64(&m, INTERP + o.l->interp.sysdict, sysdict);
	memcpy(&items, support_memory_at(&m, list + o.l->list.ob_item, 8), 8);
	facts_read(&m.reader, o.l, INTERP, &f, &trail);
	facts_done(&f);
	uint64_t calls = m.reader.calls, was;
	assert_true(object_trail_holds(&trail, &m.reader));
	assert_int_equal(m.reader.calls - calls, 1);
	raddr_t links[] = {INTERP + o.l->interp.sysdict,
	                   support_objects_slot(&o, sysdict, 0),
	                   support_objects_slot(&o, sysdict, 1),
	                   support_objects_slot(&o, sysdict, 2),
	                   list + o.l->list.ob_item,
	                   items + 8};
	for (size_t i = 0; i < N_OF(links); i++) {
		memcpy(&was, support_memory_at(&m, links[i], 8), 8);
		support_memory_u64(&m, links[i], was + 64);
		assert_false(object_trail_holds(&trail, &m.reader));
		support_memory_u64(&m, links[i], was);
		assert_true(object_trail_holds(&trail, &m.reader));
	}
	support_objects_size(&o, list + o.l->list.ob_size, 1);
	assert_false(object_trail_holds(&trail, &m.reader));
	object_trail_clear(&trail); /* a path that cannot be read is looked at again */
	support_memory_u64(&m, items, 0x5000);
	facts_read(&m.reader, o.l, INTERP, &f, &trail);
	assert_int_equal(f.n_path, 0);
	facts_done(&f);
	assert_false(object_trail_holds(&trail, &m.reader));
	object_trail_done(&trail);
}
static void test_facts_unchanged(void **state)
{
	in_all(facts_unchanged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),        cmocka_unit_test(test_idents), cmocka_unit_test(test_unchanged),
	    cmocka_unit_test(test_not_imported), cmocka_unit_test(test_facts),  cmocka_unit_test(test_facts_unchanged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

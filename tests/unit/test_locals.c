/* locals: the variables of a frame of each kind of version and build, in made-up memory. */
#include "pyspy-record/python/locals.h"

#include "libcommon/err.h"
#include "tests/unit/support_objects.h"
#include "tests/unit/support_test.h"

enum { VARARGS = 4, OPTIMIZED = 1, UNBOUND = 1 };

static struct support_memory m;
static struct support_objects o;
static struct locals c;
static struct locals_list list;
static struct secrets secrets;

static void (*to_run)(void);
static void run(void)
{
	char why[64];
	assert_int_equal(secrets_init(&secrets, SECRETS_DEFAULT, why, sizeof why), 0);
	assert_int_equal(locals_init(&c, &m.reader, o.l, 1, &secrets), 0);
	to_run();
	locals_list_done(&list);
	locals_done(&c);
	secrets_done(&secrets);
}
static void in_all(void (*test)(void))
{
	to_run = test;
	support_objects_in_all(&o, &m, run);
}

static raddr_t integer(uint32_t v)
{
	return o.l->is_python2 ? support_objects_small(&o, v) : support_objects_int(&o, false, &v, 1);
}

static raddr_t cell(raddr_t value)
{
	raddr_t at = support_objects_new(&o, support_objects_type(&o, "cell", 0, 0), c.shape->cell.ref + 8, 0);
	support_memory_u64(&m, at + c.shape->cell.ref, value);
	return at;
}

static raddr_t names_of(const char *const *names, size_t n)
{
	raddr_t at =
	    support_objects_new(&o, support_objects_type(&o, "tuple", 0, 0), o.l->tuple.ob_item + 8 * n + 8, 0);
	support_objects_size(&o, at + o.l->tuple.ob_size, n);
	for (size_t i = 0; i < n; i++)
		support_memory_u64(&m, at + o.l->tuple.ob_item + 8 * i, support_objects_ascii(&o, names[i]));
	return at;
}

static uint64_t slot(raddr_t value)
{
	if (!o.l->frame.tag_mask)
		return value;
	return value ? value : UNBOUND; /* NULL of a _PyStackRef */
}

/* def f(first, shared, *rest): local, gone; `shared` is in a cell, as is `made`; `outer` comes from around; `password`
 * is a local. */
static const char *const locals_names[] = {"first", "shared", "rest", "local", "gone", "password"};
static const char *const cell_names[] = {"shared", "made"};
static const char *const free_names[] = {"outer", "empty"};

static raddr_t make_code(void)
{
	static const char *const all[] = {"first",    "shared", "rest",  "local", "gone",
	                                  "password", "made",   "outer", "empty"};
	static const uint8_t kinds[] = {0x20, 0x60, 0x20, 0x20, 0x20, 0x20, 0x40, 0x80, 0x80};
	raddr_t code = support_objects_new(&o, o.code, o.l->code.size, 0);
	support_memory_u32(&m, code + o.l->code.flags, OPTIMIZED | VARARGS);
	support_memory_u32(&m, code + c.shape->code.argcount, 2);
	if (c.shape->code.names) {
		support_memory_u32(&m, code + c.shape->code.nlocalsplus, N_OF(all));
		support_memory_u64(&m, code + c.shape->code.names, names_of(all, N_OF(all)));
		support_memory_u64(&m, code + c.shape->code.kinds, support_objects_bytes(&o, kinds, N_OF(kinds)));
		return code;
	}
	raddr_t cells = names_of(cell_names, N_OF(cell_names)), locals = names_of(locals_names, N_OF(locals_names));
	raddr_t shared; /* the same object in both: names are interned */
	memcpy(&shared, support_memory_at(&m, locals + o.l->tuple.ob_item + 8, 8), 8);
	support_memory_u64(&m, cells + o.l->tuple.ob_item, shared);
	support_memory_u32(&m, code + c.shape->code.nlocals, N_OF(locals_names));
	support_memory_u64(&m, code + c.shape->code.varnames, locals);
	support_memory_u64(&m, code + c.shape->code.cellvars, cells);
	support_memory_u64(&m, code + c.shape->code.freevars, names_of(free_names, N_OF(free_names)));
	return code;
}

static struct walk_frame make_frame(raddr_t code)
{
	raddr_t shared = cell(integer(2)), made = cell(integer(6)), outer = cell(integer(7)), empty = cell(0);
	const raddr_t new[] = {integer(1), shared, integer(3), integer(4), 0, integer(5), made, outer, empty};
	const raddr_t old[] = {integer(1), 0, integer(3), integer(4), 0, integer(5), shared, made, outer, empty};
	bool is_new = c.shape->code.names;
	size_t n = is_new ? N_OF(new) : N_OF(old);
	raddr_t at = support_objects_new(&o, 0, c.shape->frame.localsplus + 8 * n + 8, 0);
	support_memory_u64(&m, at + o.l->frame.first + o.l->frame.code, code);
	for (size_t i = 0; i < n; i++)
		support_memory_u64(&m, at + c.shape->frame.localsplus + 8 * i, slot(is_new ? new[i] : old[i]));
	return (struct walk_frame){.code = code, .at = at};
}

static void assert_entry(size_t i, const char *name, const char *value, enum locals_kind kind, bool is_argument)
{
	assert_true(i < list.v.n);
	const struct locals_entry *e = &list.v.v[i];
	assert_int_equal(e->name_len, strlen(name));
	assert_memory_equal(list.text.data + e->name, name, e->name_len);
	assert_int_equal(e->value_len, strlen(value));
	assert_memory_equal(list.text.data + e->value, value, e->value_len);
	assert_int_equal(e->kind, kind);
	assert_int_equal(e->is_argument, is_argument);
}

static void functions(void)
{
	raddr_t code = make_code();
	struct walk_frame f = make_frame(code);
	assert_int_equal(locals_read(&c, &f, &list), 0);
	assert_int_equal(list.v.n, 7);
	assert_entry(0, "first", "1", LOCALS_LOCAL, true);
	assert_entry(1, "shared", "2", LOCALS_CELL, true);
	assert_entry(2, "rest", "3", LOCALS_LOCAL, true);
	assert_entry(3, "local", "4", LOCALS_LOCAL, false);
	assert_entry(4, "password", "<hidden>", LOCALS_LOCAL, false);
	assert_entry(5, "made", "6", LOCALS_CELL, false);
	assert_entry(6, "outer", "7", LOCALS_FREE, false);
	assert_true(list.v.v[4].is_hidden && !list.v.v[3].is_hidden);
	c.repr.secrets = NULL;
	assert_int_equal(locals_read(&c, &f, &list), 0);
	assert_entry(4, "password", "5", LOCALS_LOCAL, false);
	c.most = 3;
	assert_int_equal(locals_read(&c, &f, &list), 0);
	assert_int_equal(list.v.n, 3);
	assert_int_equal(list.left_out, 4);
	/* the frame is another one's by now, or gone */
	support_memory_u64(&m, f.at + o.l->frame.first + o.l->frame.code, code + 64);
	locals_begin(&c, 0, 0);
	assert_int_equal(locals_read(&c, &f, &list), ERR_TORN);
	assert_int_equal(list.v.n, 0);
	support_memory_unmap(&m, f.at);
	locals_begin(&c, 0, 0);
	assert_int_equal(locals_read(&c, &f, &list), ERR_MEMORY_READ);
	f.at = 0;
	assert_int_equal(locals_read(&c, &f, &list), ERR_TORN);
}
static void test_functions(void **state)
{
	in_all(functions);
}

/* 3.14 and later: small ints may stand in the reference itself; other references have a mark that is no part of it. */
static void tagged(void)
{
	struct walk_frame f = make_frame(make_code());
	raddr_t first = f.at + c.shape->frame.localsplus;
	if (!o.l->frame.tag_mask)
		return;
	support_memory_u64(&m, first, (uint64_t)-5 << 2 | 3);
	support_memory_u64(&m, first + 16, integer(9) | 1);
	assert_int_equal(locals_read(&c, &f, &list), 0);
	assert_entry(0, "first", "-5", LOCALS_LOCAL, true);
	assert_entry(2, "rest", "9", LOCALS_LOCAL, true);
}
static void test_tagged(void **state)
{
	in_all(tagged);
}

static void namespaces(void)
{
	struct support_objects_entry e[] = {
	    {support_objects_ascii(&o, "number"), integer(1)},
	    {support_objects_ascii(&o, "__name__"), support_objects_ascii(&o, "x")},
	    {support_objects_ascii(&o, "os"), support_objects_module(&o, integer(0))},
	    {support_objects_ascii(&o, "token"), integer(2)},
	};
	raddr_t code = make_code(), dict = support_objects_dict(&o, true, e, N_OF(e));
	support_memory_u32(&m, code + o.l->code.flags, 0);
	support_memory_u32(&m, code + c.shape->code.argcount, 0);
	support_memory_u32(&m, code + (c.shape->code.names ? c.shape->code.nlocalsplus : c.shape->code.nlocals), 0);
	if (!c.shape->code.names) {
		support_memory_u64(&m, code + c.shape->code.cellvars, names_of(NULL, 0));
		support_memory_u64(&m, code + c.shape->code.freevars, names_of(NULL, 0));
	}
	struct walk_frame f = make_frame(code);
	support_memory_u64(&m, f.at + c.shape->frame.locals, dict);
	assert_int_equal(locals_read(&c, &f, &list), 0);
	assert_int_equal(list.v.n, 2);
	assert_entry(0, "number", "1", LOCALS_NAME, false);
	assert_entry(1, "token", "<hidden>", LOCALS_NAME, false);
	c.level = 2;
	assert_int_equal(locals_read(&c, &f, &list), 0);
	assert_int_equal(list.v.n, 3);
	c.level = 3;
	assert_int_equal(locals_read(&c, &f, &list), 0);
	assert_int_equal(list.v.n, 4);
}
static void test_namespaces(void **state)
{
	in_all(namespaces);
}

/* --- lies: each word of the frame and of the code object */

static void lies(void)
{
	raddr_t code = make_code();
	struct walk_frame f = make_frame(code);
	const struct {
		raddr_t at;
		size_t n;
	} objects[] = {{code, o.l->code.size}, {f.at, c.shape->frame.localsplus + 64}};
	for (size_t k = 0; k < N_OF(objects); k++)
		for (size_t i = 0; i + 8 <= objects[k].n; i += 8)
			for (unsigned how = 0; how < 5; how++) {
				const uint64_t words[] = {0, UINT64_MAX, UINT64_C(1) << 60, f.at, code};
				uint64_t was;
				memcpy(&was, support_memory_at(&m, objects[k].at + i, 8), 8);
				support_memory_u64(&m, objects[k].at + i, words[how]);
				locals_begin(&c, 0, 0);
				int rc = locals_read(&c, &f, &list);
				assert_true(rc == 0 || rc == ERR_TORN || rc == ERR_MEMORY_READ || rc == ERR_AGAIN);
				assert_true(list.v.n <= 200 && list.text.len < 200000);
				support_memory_u64(&m, objects[k].at + i, was);
			}
	locals_begin(&c, 0, 0);
	assert_int_equal(locals_read(&c, &f, &list), 0);
	assert_int_equal(list.v.n, 7);
}
static void test_lies(void **state)
{
	in_all(lies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_functions),
	    cmocka_unit_test(test_tagged),
	    cmocka_unit_test(test_namespaces),
	    cmocka_unit_test(test_lies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* codes: names and tables of code objects, whatever they are. */
#include "pyspy-record/python/codes.h"

#include <errno.h>

#include "libcommon/err.h"
#include "tests/unit/support_codes.h"
#include "tests/unit/support_test.h"

static struct support_codes s;

static void contents(void)
{
	raddr_t at = support_objects_code(&s.o, &s.plain);
	assert_int_equal(codes_known(&s.c, at, s.globals), 0);
	code_id id = support_codes_read(&s, at, s.globals);
	assert_int_equal(codes_known(&s.c, at, s.globals), id);
	assert_int_equal(codes_known(&s.c, at + 8, s.globals), 0);
	const struct code *code = codes_at(&s.c, id);
	assert_string_equal(support_codes_name(&s, code->qualname), "Class.method");
	assert_string_equal(support_codes_name(&s, code->file), "/srv/app/module.py");
	assert_string_equal(support_codes_name(&s, code->module), "app.module");
	assert_int_equal(code->first_line, 41);
	assert_true(code->at == at &&
	            code->start == (support_codes_has_own_bytecode(&s) ? at + s.o.l->code.code_adaptive : 0));
	assert_int_equal(code->size_bytes, 40);
	assert_int_equal(code->first_traceable, support_codes_has_own_bytecode(&s) ? 4 : 0);
	assert_int_equal(codes_version(&s.c, id), support_codes_is_by_words(&s) ? 0 : 17);
	struct linetable_place p;
	assert_true(codes_place(&s.c, code, 0, &p));
	assert_int_equal(p.line, 41);
	assert_true(codes_place(&s.c, code, 2, &p));
	assert_int_equal(p.line, 42);
	if (s.o.l->lines == LINETABLE_LOCATIONS)
		assert_int_equal(p.column, 8);
	assert_int_equal(codes_place(&s.c, code, 4, &p), support_codes_has_steps(&s));
	assert_int_equal(codes_place(&s.c, code, 400, &p), support_codes_has_steps(&s));
	/* another object, its table behind the first one's */
	struct support_objects_code next = s.other;
	next.qualname = "<module>";
	next.version = 18;
	code_id other = support_codes_read(&s, support_objects_code(&s.o, &next), s.globals);
	assert_int_not_equal(other, id);
	assert_true(codes_place(&s.c, codes_at(&s.c, other), 1, &p));
	assert_int_equal(p.line, 43);
	assert_int_equal(codes_place(&s.c, codes_at(&s.c, other), 2, &p), support_codes_has_steps(&s));
	assert_true(codes_place(&s.c, codes_at(&s.c, id), 2, &p));
	assert_int_equal(p.line, 42);
	assert_false(support_codes_is_bad(&s, id));
	assert_false(support_codes_is_bad(&s, other));
	codes_clear(&s.c);
	assert_int_equal(codes_known(&s.c, at, s.globals), 0);
	assert_int_equal(s.c.epoch, 1);
	assert_int_equal(s.c.tables.len, 0);
	id = support_codes_read(&s, at, s.globals);
	assert_string_equal(support_codes_name(&s, codes_at(&s.c, id)->qualname), "Class.method");
}
static void test_contents(void **state)
{
	support_codes_in_all(&s, contents);
}

/* An object's module is that of the globals it runs with. */
static void modules(void)
{
	raddr_t at = support_objects_code(&s.o, &s.plain), same = support_objects_globals(&s.o, "app.module"),
	        other = support_objects_globals(&s.o, "app.other"), none = support_objects_dict(&s.o, false, NULL, 0);
	code_id id = support_codes_read(&s, at, s.globals);
	size_t n = s.c.v.n, tables = s.c.tables.len;
	assert_int_equal(codes_known(&s.c, at, same), 0);
	assert_int_equal(support_codes_read(&s, at, same), id);
	assert_int_equal(s.c.v.n, n);
	assert_int_equal(s.c.tables.len, tables);
	assert_int_equal(codes_known(&s.c, at, same), id);
	code_id moved = support_codes_read(&s, at, other);
	assert_int_not_equal(moved, id);
	assert_string_equal(support_codes_name(&s, codes_at(&s.c, moved)->module), "app.other");
	assert_string_equal(support_codes_name(&s, codes_at(&s.c, id)->module), "app.module");
	assert_int_equal(codes_known(&s.c, at, other), moved);
	assert_int_equal(codes_known(&s.c, at, s.globals), id);
	assert_int_equal(support_codes_read(&s, at, s.globals), id); /* whichever was met last */
	assert_int_equal(support_codes_read(&s, at, other), moved);
	/* no __name__, one that is no str, no dict at all: no module */
	code_id without = support_codes_read(&s, at, none);
	assert_int_equal(codes_at(&s.c, without)->module, 0);
	uint32_t digit = 1;
	struct support_objects_entry e = {support_objects_ascii(&s.o, "__name__"),
	                                  support_objects_int(&s.o, false, &digit, 1)};
	assert_int_equal(support_codes_read(&s, at, support_objects_dict(&s.o, false, &e, 1)), without);
	assert_int_equal(support_codes_read(&s, at, 0x7000), without);
	assert_int_equal(support_codes_read(&s, at, 3), without);
	assert_false(support_codes_is_bad(&s, id));
	assert_false(support_codes_is_bad(&s, moved));
}
static void test_modules(void **state)
{
	support_codes_in_all(&s, modules);
}

/* Names that are not compact ASCII, short and long, at the end of what can be read: the object stays what it is. */
static void kinds_of_names(void)
{
	static const uint16_t narrow[] = {0x3b1, 0x3b2, 0x3b3};
	static const uint8_t latin[] = {'f', 0xfc, 'r'};
	static const uint32_t wide[] = {0x1f600};
	char long_name[500];
	memset(long_name, 'n', sizeof long_name);
	raddr_t kinds[] = {support_objects_ascii(&s.o, ""),
	                   support_objects_ascii(&s.o, "f"),
	                   support_objects_str(&s.o, 1, true, long_name, sizeof long_name),
	                   support_objects_str(&s.o, 1, false, latin, 3),
	                   support_objects_str(&s.o, 2, false, narrow, 3),
	                   support_objects_str(&s.o, 4, false, wide, 1),
	                   support_objects_legacy(&s.o, 1, true, "a subclass of str", 17, NULL),
	                   support_objects_legacy(&s.o, 1, false, latin, 3, NULL)};
	if (s.o.l->is_python2) { /* names are str always: of any encoding */
		kinds[3] = support_objects_ascii(&s.o, "f\xc3\xbcr");
		kinds[4] = support_objects_ascii(&s.o, "\xce\xb1\xce\xb2\xce\xb3");
		kinds[5] = support_objects_ascii(&s.o, "\xf0\x9f\x98\x80");
		kinds[6] = support_objects_ascii(&s.o, "a subclass of str");
		kinds[7] = kinds[3];
	}
	static const char *const want[] = {
	    "",          "f", NULL, "f\xc3\xbcr", "\xce\xb1\xce\xb2\xce\xb3", "\xf0\x9f\x98\x80", "a subclass of str",
	    "f\xc3\xbcr"};
	for (size_t i = 0; i < N_OF(kinds); i++) {
		raddr_t at = support_objects_code(&s.o, &s.plain);
		support_memory_u64(&s.m, at + s.o.l->code.filename, kinds[i]);
		support_memory_u64(&s.m, at + s.o.l->code.qualname, kinds[i]);
		code_id id = support_codes_read(&s, at, s.globals);
		if (want[i])
			assert_string_equal(support_codes_name(&s, codes_at(&s.c, id)->file), want[i]);
		else
			assert_int_equal(strlen(support_codes_name(&s, codes_at(&s.c, id)->file)), sizeof long_name);
		for (int k = 0; k < 3; k++)
			assert_false(support_codes_is_bad(&s, id));
		assert_int_equal(support_codes_read(&s, at, s.globals), id);
	}
	/* what a str that is not compact is given later (its UTF-8 form), and what lies behind it, is not its text */
	for (size_t i = 6; i < N_OF(kinds) && !s.o.l->is_python2; i++) {
		raddr_t at = support_objects_code(&s.o, &s.plain);
		support_memory_u64(&s.m, at + s.o.l->code.filename, kinds[i]);
		code_id id = support_codes_read(&s, at, s.globals);
		for (raddr_t word = s.o.l->unicode.state + 8; word < s.o.l->unicode.data; word += 8)
			support_memory_u64(&s.m, kinds[i] + word, 0x7777777777777777);
		if (s.o.pages)
			memset(support_memory_at(&s.m, kinds[i] + s.o.l->unicode.data + 8, 64), 0x77, 64);
		assert_false(support_codes_is_bad(&s, id));
		assert_int_equal(support_codes_read(&s, at, s.globals), id);
	}
	if (s.o.pages) {
		raddr_t at = support_objects_code(&s.o, &s.plain);
		support_memory_u64(&s.m, at + s.o.l->code.filename, kinds[1]);
		code_id id = support_codes_read(&s, at, s.globals);
		memset(support_memory_at(&s.m, kinds[1] + support_codes_text_at(&s) + 2, 64), 0x77, 64);
		assert_false(support_codes_is_bad(&s, id));
	}
}
static void test_kinds_of_names(void **state)
{
	support_codes_in_all(&s, kinds_of_names);
}

/* What is no code object, or has contents that cannot be. */
static void refused(void)
{
	code_id id;
	bool proved;
	raddr_t text =
	    support_objects_ascii(&s.o, "a str, as large as a code object has to be, which takes some more words; "
	                                "............................................................"
	                                "............................................................");
	static const raddr_t nowhere[] = {0, 8, 4088, 0x7f0000000001, 1ull << 47, UINT64_MAX, UINT64_MAX - 7};
	for (size_t i = 0; i < N_OF(nowhere); i++)
		assert_int_equal(codes_read(&s.c, nowhere[i], s.globals, support_codes_later, &id, &proved), ERR_TORN);
	assert_int_equal(codes_read(&s.c, 0x123450, s.globals, support_codes_later, &id, &proved), ERR_MEMORY_READ);
	assert_int_equal(codes_read(&s.c, text, s.globals, support_codes_later, &id, &proved), ERR_TORN);
	raddr_t at = support_objects_code(&s.o, &s.plain);
	support_codes_read(&s, at, s.globals);
	assert_int_equal(codes_read(&s.c, text, s.globals, support_codes_later, &id, &proved),
	                 ERR_TORN); /* with the type known */
	size_t n = s.c.v.n, tables = s.c.tables.len;
	static const struct {
		size_t field; /* offset in struct layout */
		uint64_t value;
	} wild[] = {
	    {offsetof(struct layout, code.ob_size), 1ull << 40},  {offsetof(struct layout, code.ob_size), UINT64_MAX},
	    {offsetof(struct layout, code.qualname), 0},          {offsetof(struct layout, code.qualname), 0x5000},
	    {offsetof(struct layout, code.filename), UINT64_MAX}, {offsetof(struct layout, code.filename), 0x5000},
	    {offsetof(struct layout, code.linetable), 0},         {offsetof(struct layout, code.linetable), 0x5000},
	    {offsetof(struct layout, code.first_traceable), ~0u}, {offsetof(struct layout, code.bytecode), 0},
	    {offsetof(struct layout, code.bytecode), 0x5000},
	};
	for (size_t i = 0; i < N_OF(wild); i++) {
		raddr_t bad = support_objects_code(&s.o, &s.plain);
		uint32_t field = *(const uint32_t *)((const char *)s.o.l + wild[i].field);
		if (!field)
			continue; /* the version has none */
		if (wild[i].value == ~0u)
			support_memory_u32(&s.m, bad + field, ~0u);
		else
			support_memory_u64(&s.m, bad + field, wild[i].value);
		int rc = codes_read(&s.c, bad, s.globals, support_codes_later, &id, &proved);
		assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
		assert_int_equal(s.c.v.n, n);
		assert_int_equal(s.c.tables.len, tables);
		assert_int_equal(codes_known(&s.c, bad, s.globals), 0);
	}
	s.m.error = ESRCH;
	assert_int_equal(codes_read(&s.c, at, s.globals, support_codes_later, &id, &proved), ERR_GONE);
	s.m.error = 0;
}
static void test_refused(void **state)
{
	support_codes_in_all(&s, refused);
}

/* At the cap: said, and gone after codes_clear. */
static void test_full(void **state)
{
	support_codes_begin(&s, SUPPORT_OBJECTS_3_13, LAYOUT_RELEASE);
	raddr_t at = support_objects_code(&s.o, &s.plain);
	code_id id;
	bool proved;
	for (uint32_t n = 1; n <= 2000; n++) { /* each time another object at the same place */
		support_memory_u32(&s.m, at + s.o.l->code.version, n);
		assert_int_equal(codes_read(&s.c, at, s.globals, support_codes_later, &id, &proved), 0);
		assert_int_equal(id, n);
		codes_at(&s.c, id)->is_stale = true;
	}
	assert_false(codes_is_full(&s.c));
	s.c.tables.len = CODES_BYTES_MAX / 4 * 3 + 1;
	assert_true(codes_is_full(&s.c));
	assert_int_equal(codes_read(&s.c, at, s.globals, support_codes_later, &id, &proved), ERR_FULL);
	codes_clear(&s.c);
	assert_false(codes_is_full(&s.c));
	assert_int_equal(codes_read(&s.c, at, s.globals, support_codes_later, &id, &proved), 0);
	support_codes_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_contents), cmocka_unit_test(test_modules), cmocka_unit_test(test_kinds_of_names),
	    cmocka_unit_test(test_refused),  cmocka_unit_test(test_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

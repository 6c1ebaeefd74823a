/* codes: globals that name another source than an object does did not run it. */
#include "pyspy-record/python/codes.h"

#include "libcommon/err.h"
#include "tests/unit/support_objects.h"
#include "tests/unit/support_test.h"

static const struct codes_generation later = {1000, 1000, 0};
static struct support_memory m;
static struct support_objects o;

static raddr_t globals_with(raddr_t file)
{
	struct support_objects_entry e[] = {
	    {support_objects_ascii(&o, "__name__"), support_objects_ascii(&o, "app")},
	    {support_objects_ascii(&o, "__file__"), file},
	};
	return support_objects_dict(&o, false, e, N_OF(e));
}

static raddr_t globals_of(const char *file)
{
	return globals_with(file ? support_objects_ascii(&o, file) : o.dict);
}

static raddr_t dropped_globals(void)
{
	return globals_with(support_objects_new(&o, support_objects_type(&o, "NoneType", 0, 0), 64, 0));
}

static const struct {
	const char *code, *globals;
	bool is_foreign;
} cases[] = {
    {"/srv/app/views.py", "/srv/app/views.py", false},
    {"/srv/app/views.py", "/srv/app/models.py", true},
    {"/srv/app/views.py", "/srv/app/view.py", true},
    {"app/views.py", "/srv/app/views.py", false},         /* started by a relative path */
    {"/build/app/views.py", "/srv/app/views.pyc", false}, /* no sources were shipped */
    {"/srv/app/__init__.py", "/srv/app/__init__.py", false},
    {"/srv/app/__init__.py", "/srv/shop/__init__.py", true},
    {"/srv/app/__init__.py", "/srv/app/views.py", true},
    {"<frozen os>", "/usr/lib/python3.11/os.py", false},
    {"<frozen importlib.util>", "/usr/lib/python3.11/importlib/util.py", false},
    {"<frozen os>", "/usr/lib/python3.11/stat.py", true},
    {"/srv/app/views.py", "/usr/lib/python3.11/stat.py", true},
    {"<frozen importlib>", "/usr/lib/python3.11/importlib/__init__.py", false},
    {"/usr/bin/tool", "/usr/bin/tool", false},
    {"/usr/bin/tool", "/usr/bin/other", true},
    {".profile", ".profile", false},
    {"<string>", "/srv/app/views.py", false}, /* says nothing */
    {"<frozen ", "/srv/app/views.py", false},
    {"/srv/app/views.py", "", false},
    {"/srv/app/views.py", NULL, false}, /* no text */
    {"", "/srv/app/views.py", false},
    {"/", "/", false},
};

static void foreign(void)
{
	struct codes c;
	assert_int_equal(codes_init(&c, &m.reader, o.l), 0);
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct support_objects_code code = {
		    .qualname = "f", .file = cases[i].code, .version = 7, .units = 20, .first_line = 3};
		raddr_t at = support_objects_code(&o, &code), globals = globals_of(cases[i].globals);
		code_id id;
		bool proved;
		assert_int_equal(codes_read(&c, at, globals, later, &id, &proved), 0);
		if (codes_is_foreign(&c, id, globals) != cases[i].is_foreign)
			fail_msg("%s run by %s", cases[i].code, cases[i].globals ? cases[i].globals : "NULL");
		assert_false(codes_is_foreign(&c, id, support_objects_globals(&o, "app"))); /* no __file__ */
		assert_false(codes_is_foreign(&c, id, 0));
		bool is_source = cases[i].code[0] && strcmp(cases[i].code, "<string>") != 0 &&
		                 strcmp(cases[i].code, "<frozen ") != 0;
		assert_int_equal(codes_is_foreign(&c, id, dropped_globals()), is_source && layout_minor(o.l) < 0x304);
	}
	codes_done(&c);
}

static void test_foreign(void **state)
{
	support_objects_in_all(&o, &m, foreign);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_foreign)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* query/around, query/rank by file and module, and view/call_tree: recursion once, nothing left out unsaid, any depth.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pyspy-report/query/around.h"
#include "pyspy-report/query/rank.h"
#include "pyspy-report/view/call_tree.h"
#include "tests/unit/support_profile.h"
#include "tests/unit/support_recording.h"

static const struct naming_options by_function = {.by_function = true};

static char *written(const struct support_profile *s, const struct tree *t, const struct call_tree_options *o)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(call_tree_write(out, t, &s->naming, o), 0);
	fclose(out);
	return text;
}

static void around(struct around *a, const struct support_profile *s, const char *name, uint32_t depth)
{
	bool *matches = calloc(s->naming.frames.n, sizeof *matches);

	assert_non_null(matches);
	matches[support_profile_frame(s, name)] = true;
	assert_int_equal(around_build(a, &s->tree, &s->naming, &(struct around_options){matches, depth}), 0);
	free(matches);
}

static void small_is_as_drawn(void **state)
{
	struct support_profile s;
	struct around a;
	char *text;

	support_profile_view(&s, "small", &by_function);
	text = written(&s, &s.tree, &(struct call_tree_options){.all = 800});
	assert_string_equal(text, "total %  self %      total total time  function (file:line)\n"
	                          "  50.00    0.00        400      4.0 s  <module> (app.py:1)\n"
	                          "  50.00   25.00        400      4.0 s    work (app.py:10)\n"
	                          "  25.00   25.00        200      2.0 s      Parser.parse (app/parse.py:42)\n"
	                          "  50.00   50.00        400      4.0 s  Event.wait (threading.py:630)\n");
	free(text);
	text = written(&s, &s.tree, &(struct call_tree_options){.all = 800, .min_percent = 30, .depth = 2});
	assert_string_equal(text, "total %  self %      total total time  function (file:line)\n"
	                          "  50.00    0.00        400      4.0 s  <module> (app.py:1)\n"
	                          "  50.00   25.00        400      4.0 s    work (app.py:10)\n"
	                          "  25.00                                    ... 1 more callee\n"
	                          "  50.00   50.00        400      4.0 s  Event.wait (threading.py:630)\n");
	free(text);
	around(&a, &s, "work", 0);
	assert_int_equal(a.n_frames, 1);
	text = written(&s, &a.callers, &(struct call_tree_options){.all = 800, .is_callers = true});
	assert_string_equal(text, "total %      total total time  function (file:line)\n"
	                          "  50.00        400      4.0 s  work (app.py:10)\n"
	                          "  50.00        400      4.0 s    <module> (app.py:1)\n");
	free(text);
	text = written(&s, &a.callees, &(struct call_tree_options){.all = 800});
	assert_string_equal(text, "total %  self %      total total time  function (file:line)\n"
	                          "  50.00   25.00        400      4.0 s  work (app.py:10)\n"
	                          "  25.00   25.00        200      2.0 s    Parser.parse (app/parse.py:42)\n");
	free(text);
	around_done(&a);
	support_profile_done(&s);
}

/* A function that calls itself 40 times: it counts once, from its outermost frame on. */
static void recursion_counts_once(void **state)
{
	struct support_profile s;
	struct around a;

	support_profile_view(&s, "many", &by_function);
	around(&a, &s, "fib", 0);
	assert_int_equal(a.callees.nodes.v[0].total_n, 80);
	assert_int_equal(a.callers.nodes.v[0].total_n, 80);
	assert_int_equal(a.callees.max_depth, 40);
	assert_int_equal(a.callers.max_depth, 2);
	around_done(&a);
	support_profile_done(&s);
}

static void expect_rank(const char *view, enum rank_by by, const char *text, uint64_t self, uint64_t total)
{
	struct support_profile s;
	struct rank r;
	struct buf name;
	bool seen = false;

	buf_init(&name, 0);
	support_profile_view(&s, view, &(struct naming_options){0});
	assert_int_equal(rank_build(&r, &s.tree, &s.naming, &(struct rank_options){by, RANK_SELF}), 0);
	for (size_t i = 0; i < r.rows.n; i++) {
		buf_reset(&name);
		rank_text(&r, &s.naming, &r.rows.v[i], &name);
		assert_true(i == 0 || r.rows.v[i - 1].self_n >= r.rows.v[i].self_n);
		if (strcmp(buf_cstr(&name), text) != 0)
			continue;
		assert_false(seen);
		seen = true;
		assert_int_equal(r.rows.v[i].self_n, self);
		assert_int_equal(r.rows.v[i].total_n, total);
	}
	assert_true(seen);
	rank_done(&r);
	support_profile_done(&s);
	buf_done(&name);
}

static void ranks_of_files_modules_and_lines(void **state)
{
	expect_rank("many", RANK_FILE, "app/work.py", 400, 640);
	expect_rank("many", RANK_FILE, "server.py", 0, 640);
	expect_rank("many", RANK_FILE, "[cut]", 0, 160);
	expect_rank("many", RANK_MODULE, "app.work", 400, 640);
	expect_rank("many", RANK_MODULE, "orjson", 160, 160);
	expect_rank("many", RANK_LINE, "app/work.py:41", 0, 80); /* 20 times in its stack */
	expect_rank("many", RANK_LINE, "app/work.py:42", 80, 80);
	expect_rank("many", RANK_LINE, "app/work.py:22", 80, 320);
	expect_rank("motion", RANK_FILE, "[in motion]", 55, 55);
}

/* 10,000 frames, every third one the same function: no recursion on the C stack, indents end. */
static void any_depth(void **state)
{
	enum { DEPTH = 10000 };
	struct support_recording r;
	struct support_profile s;
	struct around a;
	struct rank rank;
	function_id f[3];
	stack_id stack = 0;
	char *text;

	support_recording_open(&r, 0xD0);
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 9, "deep.py");
	for (int i = 0; i < 3; i++)
		f[i] = support_recording_function(&r, "deep", (const char *[]){"a", "b", "c"}[i], "/srv/app/deep.py",
		                                  10 * (uint32_t)(i + 1));
	for (int i = 0; i < DEPTH; i++)
		stack = support_recording_stack(&r, stack, support_recording_line(&r, f[i % 3], 12), true);
	struct rec_entry e = {.thread = 1, .stack = stack, .has_stack = true, .flags = WIRE_STATE_ACTIVE};
	support_recording_seal(&r, support_recording_ticks(&r, 10, &e, 1, NULL, 0), 10, true);
	support_profile_bytes(&s, &r.out, &by_function);
	assert_int_equal(s.tree.max_depth, DEPTH);
	around(&a, &s, "b", 0);
	assert_int_equal(a.callees.max_depth, DEPTH - 1);
	assert_int_equal(a.callers.max_depth, 2);
	around_done(&a);
	around(&a, &s, "c", 2); /* callers: c, b; not a */
	assert_int_equal(a.callers.max_depth, 2);
	around_done(&a);
	text = written(&s, &s.tree, &(struct call_tree_options){.all = 10});
	assert_non_null(strstr(text, "(10000 deep) a (deep.py:10)\n"));
	assert_true(strlen(text) < DEPTH * 200);
	free(text);
	assert_int_equal(rank_build(&rank, &s.tree, &s.naming, &(struct rank_options){RANK_FILE, RANK_TOTAL}), 0);
	assert_int_equal(rank.rows.n, 1);
	assert_int_equal(rank.rows.v[0].total_n, 10);
	assert_int_equal(rank.rows.v[0].self_n, 10);
	rank_done(&rank);
	support_profile_done(&s);
	support_recording_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small_is_as_drawn),
	    cmocka_unit_test(recursion_counts_once),
	    cmocka_unit_test(ranks_of_files_modules_and_lines),
	    cmocka_unit_test(any_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

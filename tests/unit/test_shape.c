/* Which frames a view shows of a sample: filters, rows, recursion, groups; each path once, however deep or many. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/query/shape.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/query/tree.h"

enum { RUNNING = WIRE_STATE_ACTIVE | WIRE_FLAG_GIL, MOST = 12 };

/* A profile with functions "a" .. "z" of modules "m.a" .. "m.z" in files /src/a.py ..; stacks are words: "abc". */
struct world {
	struct profile p;
	struct naming n;
	struct filter_rules rules;
	struct filter f;
	struct shape s;
};

static void open_world(struct world *w)
{
	memset(w, 0, sizeof *w);
	w->f.idle = true;
	assert_int_equal(profile_init(&w->p), 0);
	for (uint32_t i = 0; i < 3; i++) {
		char name[20];
		struct profile_thread t = {.process = 1 + i / 2, .tid = 10 + i};

		snprintf(name, sizeof name, "worker-%u", i);
		assert_int_equal(profile_string(&w->p, name, strlen(name), &t.name), 0);
		vec_push(&w->p.threads, t);
	}
	vec_push(&w->p.processes, (struct profile_process){.pid = 100});
	vec_push(&w->p.processes, (struct profile_process){.pid = 200});
}

static uint32_t text(struct world *w, const char *s)
{
	uint32_t id;

	assert_int_equal(profile_string(&w->p, s, strlen(s), &id), 0);
	return id;
}

static uint32_t location(struct world *w, char letter, int line)
{
	char name[2] = {letter}, module[4] = {'m', '.', letter}, file[20];
	struct profile_function f = {.first_line = 1};
	struct profile_location l = {.line = line, .column = -1, .end_column = -1};
	uint32_t id;

	snprintf(file, sizeof file, "/src/%c.py", letter);
	f.qualname = text(w, name);
	f.module = text(w, module);
	f.file = text(w, file);
	assert_int_equal(profile_function(&w->p, &f, &l.function), 0);
	assert_int_equal(profile_location(&w->p, &l, &id), 0);
	return id;
}

/* "ab5": a on line 1, b on line 5. */
static uint32_t stack(struct world *w, const char *word)
{
	uint32_t id = 0;

	for (; *word; word++) {
		bool has_line = word[1] >= '0' && word[1] <= '9';
		assert_int_equal(profile_stack(&w->p, id, location(w, *word, has_line ? word[1] - '0' : 1), &id), 0);
		word += has_line;
	}
	return id;
}

static void add_pattern(struct filter_patterns *to, const char *pattern)
{
	struct pattern p;
	char message[300];

	assert_int_equal(pattern_init(&p, pattern, true, message, sizeof message), 0);
	vec_push(&to->list, p);
}

static void begin(struct world *w, const struct naming_options *n, const struct shape_options *o)
{
	w->f.rules = &w->rules;
	assert_int_equal(filter_prepare(&w->f, &w->p), 0);
	assert_int_equal(naming_init(&w->n, &w->p, n), 0);
	assert_int_equal(shape_init(&w->s, &w->n, &w->f, o), 0);
}

static void end(struct world *w)
{
	shape_done(&w->s);
	naming_done(&w->n);
	filter_done(&w->f);
	filter_rules_done(&w->rules);
	profile_done(&w->p);
}

static uint32_t path(struct world *w, uint32_t thread, uint32_t stack, uint32_t flags)
{
	uint32_t at;

	assert_int_equal(shape_path(&w->s, thread, stack, flags, &at), 0);
	return at;
}

/* Names of the path's frames, with '/' between them and lines that are not 1; "-" when it is dropped. */
static const char *shown(struct world *w, uint32_t at)
{
	static char out[400];
	char one[120];

	if (at == SHAPE_DROPPED)
		return "-";
	out[0] = 0;
	for (; at; at = w->s.nodes.v[at].parent) {
		const struct shape_node *k = &w->s.nodes.v[at];
		const struct naming_frame *f = &w->n.frames.v[k->frame];
		char rest[sizeof out];
		size_t n;

		assert_true(k->parent < at);
		assert_int_equal(k->depth, w->s.nodes.v[k->parent].depth + 1);
		const char *name = naming_name(&w->n, k->frame, &n);

		if (f->line > 1)
			snprintf(one, sizeof one, "%.80s%u", name, f->line);
		else
			snprintf(one, sizeof one, "%.80s", name);
		snprintf(rest, sizeof rest, "%s", out);
		snprintf(out, sizeof out, "%.90s%s%.300s", one, *rest ? "/" : "", rest);
	}
	return out;
}

struct expected {
	const char *stack, *shown;
};

static void expect(struct world *w, const struct naming_options *n, const struct shape_options *o,
                   const struct expected *e)
{
	uint32_t stacks[MOST];

	for (int i = 0; e[i].stack; i++)
		stacks[i] = stack(w, e[i].stack);
	begin(w, n, o);
	for (int i = 0; e[i].stack; i++) {
		uint32_t at = path(w, 1, stacks[i], RUNNING);
		assert_string_equal(shown(w, at), e[i].shown);
		assert_int_equal(at, path(w, 1, stacks[i], RUNNING));
	}
	end(w);
}

static const struct naming_options by_line = {0}, by_module = {.group = NAMING_MODULES},
                                   by_file = {.group = NAMING_FILES};
static const struct shape_options plain = {0}, collapsed = {.collapse = true};

static void everything(void **state)
{
	struct world w;

	open_world(&w);
	expect(&w, &by_line, &plain, (struct expected[]){{"abc", "a/b/c"}, {"ab", "a/b"}, {"ab2", "a/b2"}, {0}});
}

static void focus_and_ignore(void **state)
{
	struct world w;

	open_world(&w);
	add_pattern(&w.rules.focus, "^b$");
	expect(&w, &by_line, &plain,
	       (struct expected[]){{"abc", "a/b/c"}, {"a", "-"}, {"b", "b"}, {"cab", "c/a/b"}, {0}});
	open_world(&w);
	add_pattern(&w.rules.focus, "^b$");
	add_pattern(&w.rules.focus, "module:^m.c$");
	expect(&w, &by_line, &plain, (struct expected[]){{"ab", "a/b"}, {"ac", "a/c"}, {"ad", "-"}, {0}});
	open_world(&w);
	add_pattern(&w.rules.ignore, "file:/b.py$");
	expect(&w, &by_line, &plain, (struct expected[]){{"abc", "-"}, {"a", "a"}, {"ac", "a/c"}, {0}});
	/* ignore wins */
	open_world(&w);
	add_pattern(&w.rules.focus, "m.a.a|b");
	add_pattern(&w.rules.ignore, "function:c");
	expect(&w, &by_line, &plain, (struct expected[]){{"ac", "-"}, {"ad", "a/d"}, {"db", "d/b"}, {"d", "-"}, {0}});
}

static void hide(void **state)
{
	struct world w;

	open_world(&w);
	add_pattern(&w.rules.hide, "^[bc]$");
	expect(&w, &by_line, &plain,
	       (struct expected[]){
	           {"abc", "a"}, {"abcd", "a/d"}, {"bcbc", "[hidden]"}, {"bd", "d"}, {"a", "a"}, {"d", "d"}, {0}});
}

/* As `go tool pprof` has it: Prune's documentation of show_from. */
static void show_from(void **state)
{
	static const struct expected b[] = {{"abcb", "b/c/b"}, {"ab", "b"}, {"a", "-"}, {"ba", "b/a"}, {0}};
	struct world w;

	open_world(&w);
	add_pattern(&w.rules.show_from, "^b$");
	expect(&w, &by_line, &plain, b);
	open_world(&w);
	add_pattern(&w.rules.show_from, "^b$");
	add_pattern(&w.rules.hide, "^b$");
	expect(&w, &by_line, &plain, (struct expected[]){{"abcb", "c"}, {"ab", "[hidden]"}, {"ca", "-"}, {0}});
}

static void recursion(void **state)
{
	static const struct expected e[] = {{"abbbc", "a/b/c"},
	                                    {"ab2b3b4", "a/b4"},
	                                    {"ab2b3c", "a/b3/c"},
	                                    {"ab2", "a/b2"},
	                                    {"abab", "a/b/a/b"},
	                                    {"aaaa", "a"},
	                                    {0}};
	struct world w;

	open_world(&w);
	expect(&w, &by_line, &collapsed, e);
	/* what is hidden between two of one function brings them together */
	open_world(&w);
	add_pattern(&w.rules.hide, "^c$");
	expect(&w, &by_line, &collapsed, (struct expected[]){{"bcb2", "b2"}, {"bc", "b"}, {"cb", "b"}, {0}});
}

static void groups(void **state)
{
	struct world w;

	open_world(&w);
	expect(&w, &by_module, &plain,
	       (struct expected[]){{"ab2b3c", "m.a/m.b/m.c"}, {"abab", "m.a/m.b/m.a/m.b"}, {"aaaa", "m.a"}, {0}});
	open_world(&w);
	expect(&w, &by_file, &plain, (struct expected[]){{"ab2b3c", "/src/a.py//src/b.py//src/c.py"}, {0}});
}

static void rows(void **state)
{
	static const struct shape_options both = {.processes = true, .threads = true};
	struct world w;
	uint32_t ab, abc, one, two;

	open_world(&w);
	ab = stack(&w, "ab");
	abc = stack(&w, "abc");
	add_pattern(&w.rules.show_from, "a|c");
	begin(&w, &by_line, &both);
	assert_int_equal(shape_rows(&w.s), 2);
	one = path(&w, 1, ab, RUNNING);
	two = path(&w, 2, ab, RUNNING);
	assert_int_not_equal(one, two);
	assert_string_equal(shown(&w, one), "process 100/thread 10: worker-0/a/b");
	assert_string_equal(shown(&w, path(&w, 3, abc, RUNNING)), "process 200/thread 12: worker-2/a/b/c");
	/* frames are the same, rows are not */
	assert_int_equal(w.s.nodes.v[one].frame, w.s.nodes.v[two].frame);
	/* outer frames that are missing: nothing to say where outer ones are left out */
	assert_string_equal(shown(&w, path(&w, 1, ab, RUNNING | WIRE_FLAG_CUT)), "process 100/thread 10: worker-0/a/b");
	end(&w);
	open_world(&w);
	ab = stack(&w, "ab");
	begin(&w, &by_line, &plain);
	assert_string_equal(shown(&w, path(&w, 1, ab, RUNNING | WIRE_FLAG_CUT)), "[cut]/a/b");
	assert_string_equal(shown(&w, path(&w, 1, ab, RUNNING)), "a/b");
	end(&w);
}

static void threads_and_states(void **state)
{
	struct world w;
	char message[300];
	uint32_t s;

	open_world(&w);
	s = stack(&w, "a");
	vec_push(&w.rules.pids, 100);
	vec_push(&w.rules.threads, ((struct filter_thread){.is_tid = true, .tid = 12}));
	vec_push(&w.rules.threads, ((struct filter_thread){0}));
	assert_int_equal(pattern_init(&w.rules.threads.v[1].name, "-1$", false, message, sizeof message), 0);
	w.rules.states = FILTER_BLOCKED | FILTER_GC;
	begin(&w, &by_line, &plain);
	assert_int_equal(path(&w, 1, s, WIRE_STATE_SLEEPING), SHAPE_DROPPED); /* worker-0 */
	assert_int_not_equal(path(&w, 2, s, WIRE_STATE_SLEEPING), SHAPE_DROPPED);
	assert_int_equal(path(&w, 3, s, WIRE_STATE_SLEEPING), SHAPE_DROPPED); /* its tid, but another process */
	assert_int_equal(path(&w, 0, s, WIRE_STATE_SLEEPING), SHAPE_DROPPED); /* whose it is is not known */
	assert_int_not_equal(path(&w, 2, s, WIRE_STATE_DISK), SHAPE_DROPPED);
	assert_int_not_equal(path(&w, 2, s, WIRE_STATE_STOPPED), SHAPE_DROPPED);
	assert_int_equal(path(&w, 2, s, WIRE_STATE_ON_CPU), SHAPE_DROPPED);
	assert_int_equal(path(&w, 2, s, WIRE_STATE_UNKNOWN), SHAPE_DROPPED); /* not known is not blocked */
	assert_int_not_equal(path(&w, 2, s, WIRE_STATE_UNKNOWN | WIRE_FLAG_GC), SHAPE_DROPPED);
	w.rules.states = FILTER_RUNNING;
	assert_int_not_equal(path(&w, 2, s, WIRE_STATE_ACTIVE), SHAPE_DROPPED); /* not told apart: it is both */
	assert_int_equal(path(&w, 2, s, WIRE_STATE_RUNNABLE), SHAPE_DROPPED);
	w.rules.states = FILTER_RUNNABLE;
	assert_int_not_equal(path(&w, 2, s, WIRE_STATE_ACTIVE), SHAPE_DROPPED);
	assert_int_not_equal(path(&w, 2, s, WIRE_STATE_RUNNABLE), SHAPE_DROPPED);
	assert_int_equal(path(&w, 2, s, WIRE_STATE_ON_CPU), SHAPE_DROPPED);
	w.rules.states = FILTER_UNKNOWN;
	assert_int_not_equal(path(&w, 2, s, WIRE_STATE_UNKNOWN), SHAPE_DROPPED);
	assert_int_equal(path(&w, 2, s, WIRE_STATE_ACTIVE), SHAPE_DROPPED);
	w.rules.states = FILTER_GIL_WAIT;
	assert_int_not_equal(path(&w, 2, s, WIRE_STATE_SLEEPING | WIRE_FLAG_GIL_WAIT), SHAPE_DROPPED);
	w.f.idle = false;
	assert_int_equal(path(&w, 2, s, WIRE_STATE_SLEEPING | WIRE_FLAG_GIL_WAIT), SHAPE_DROPPED);
	end(&w);
}

/* A stack of 100,000 frames seen at each of its depths, by two threads: one node for each frame and thread. */
static void deep(void **state)
{
	enum { DEPTH = 100000 };
	static const struct shape_options threads = {.threads = true};
	uint32_t *stacks = calloc(DEPTH, sizeof *stacks), id = 0, a, b;
	struct world w;

	assert_non_null(stacks);
	open_world(&w);
	add_pattern(&w.rules.ignore, "^z$");
	a = location(&w, 'a', 1);
	b = location(&w, 'b', 1);
	for (uint32_t i = 0; i < DEPTH; i++) {
		assert_int_equal(profile_stack(&w.p, id, i % 2 ? a : b, &id), 0);
		stacks[i] = id;
	}
	begin(&w, &by_line, &threads);
	for (uint32_t i = DEPTH; i-- > 0;) {
		uint32_t at = path(&w, 1 + i % 2, stacks[i], RUNNING);
		assert_int_equal(w.s.nodes.v[at].depth, i + 2);
	}
	assert_int_equal(w.s.nodes.n, 1 + 2 + DEPTH + DEPTH - 1);
	end(&w);
	free(stacks);
}

/* The tree of the same: totals by each measure, either way round. */
static void measured_and_inverted(void **state)
{
	static const struct {
		enum filter_measure measure;
		bool by_time;
		uint64_t total, a_self, b_self;
	} cases[] = {{FILTER_BY_RECORDING, false, 7, 2, 4},
	             {FILTER_BY_SAMPLES, false, 7, 2, 4},
	             {FILTER_BY_WALL, true, 110, 20, 80},
	             {FILTER_BY_CPU, true, 7, 5, 2}};
	struct world w;

	for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
		bool invert = i % 2;
		uint64_t self[2] = {0};
		struct summary s;
		struct tree t;

		open_world(&w);
		w.f.measure = cases[i / 2].measure;
		tally_add(&w.p.tally, &(struct tally_row){1, stack(&w, "a"), RUNNING, 2, 20, 5});
		tally_add(&w.p.tally, &(struct tally_row){1, stack(&w, "ab"), RUNNING, 4, 80, 1});
		tally_add(&w.p.tally, &(struct tally_row){2, stack(&w, "ab"), RUNNING, 0, 0, 1});
		tally_add(&w.p.tally, &(struct tally_row){1, stack(&w, "c"), RUNNING, 1, 10, 0});
		assert_int_equal(tally_flush(&w.p.tally), 0);
		begin(&w, &by_line, &plain);
		assert_int_equal(tree_build(&t, &w.n, &w.f, &(struct tree_options){.invert = invert}), 0);
		assert_int_equal(summary_build(&s, &w.p, &w.f), 0);
		assert_int_equal(t.by_time, cases[i / 2].by_time);
		assert_int_equal(tree_total(&t, 0), cases[i / 2].total);
		assert_int_equal(summary_shares(&s, &s.kept)->n, cases[i / 2].total);
		for (uint32_t k = 1; k < t.nodes.n; k++) {
			size_t len;
			const char *name = naming_name(&w.n, t.nodes.v[k].frame, &len);
			/* inverted: a stack's weight stands at its outermost frame, which is its last */
			bool is_leaf = invert ? t.nodes.v[k].depth == 1 : true;
			if (is_leaf && *name != 'c')
				self[*name == 'b'] += invert ? tree_total(&t, k) : tree_self(&t, k);
		}
		assert_int_equal(self[0], cases[i / 2].a_self);
		assert_int_equal(self[1], cases[i / 2].b_self);
		assert_int_equal(t.max_depth, 2);
		summary_done(&s);
		tree_done(&t);
		end(&w);
	}
}

/* What was asked for, as one would type it. */
static void words(void **state)
{
	struct world w;
	struct buf b;

	open_world(&w);
	buf_init(&b, 0);
	filter_words(&w.f, &b);
	assert_int_equal(b.len, 0);
	w.rules.span_text = "1s..";
	vec_push(&w.rules.pids, 7);
	vec_push(&w.rules.pids, 8);
	vec_push(&w.rules.threads, ((struct filter_thread){.is_tid = true, .tid = 12}));
	w.rules.states = FILTER_GC | FILTER_RUNNING;
	add_pattern(&w.rules.focus, "it's (x)");
	add_pattern(&w.rules.focus, "");
	add_pattern(&w.rules.show_from, "main");
	begin(&w, &by_line, &plain);
	filter_words(&w.f, &b);
	assert_string_equal(buf_cstr(&b),
	                    " --time 1s.. --pid 7,8 --thread 12 --state running,gc --focus 'it'\\''s (x)' "
	                    "--focus '' --show-from main");
	buf_done(&b);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(everything),
	                                   cmocka_unit_test(focus_and_ignore),
	                                   cmocka_unit_test(hide),
	                                   cmocka_unit_test(show_from),
	                                   cmocka_unit_test(recursion),
	                                   cmocka_unit_test(groups),
	                                   cmocka_unit_test(rows),
	                                   cmocka_unit_test(deep),
	                                   cmocka_unit_test(threads_and_states),
	                                   cmocka_unit_test(measured_and_inverted),
	                                   cmocka_unit_test(words)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

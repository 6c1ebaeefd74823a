/* The live table without a terminal: its sums are those of the recording cut at that place, lines fit and are safe,
 * keys do what the help says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libcommon/err.h"
#include "libcommon/utf8.h"
#include "pyspy-report/live/live_keys.h"
#include "pyspy-report/live/live_lines.h"
#include "pyspy-report/query/rank.h"
#include "tests/unit/support_profile.h"
#include "tests/unit/support_recording.h"
#include "tests/unit/support_views.h"

struct live {
	struct live_sums sums;
	struct live_model model;
	struct live_lines lines;
};

static void live_open(struct live *l)
{
	assert_int_equal(live_sums_init(&l->sums, "test", SUPPORT_S), 0);
	live_model_init(&l->model, &l->sums);
	live_lines_init(&l->lines);
}

static void live_close(struct live *l)
{
	live_model_done(&l->model);
	live_lines_done(&l->lines);
	live_sums_done(&l->sums);
}

static void feed(struct live *l, const struct buf *b, size_t from, size_t until)
{
	assert_int_equal(live_sums_feed(&l->sums, b->data + from, until - from), 0);
	assert_int_equal(live_model_look(&l->model), 0);
}

static void make(struct live *l, size_t width, size_t height)
{
	l->lines.width = width;
	l->lines.height = height;
	assert_int_equal(live_lines_make(&l->lines, &l->model), 0);
}

static bool shows(const struct live *l, const char *text)
{
	return memmem(l->lines.text.data, l->lines.text.len, text, strlen(text)) != NULL;
}

static void type(struct live *l, const char *keys)
{
	for (; *keys; keys++)
		if (live_keys_press(&l->model, (uint32_t)*keys))
			assert_int_equal(live_model_look(&l->model), 0);
}

static void press(struct live *l, uint32_t key)
{
	if (live_keys_press(&l->model, key))
		assert_int_equal(live_model_look(&l->model), 0);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "text self total" of all rows, sorted. */
struct rows {
	VEC(char *) v;
};

static void rows_add(struct rows *r, const struct buf *text, uint64_t self_n, uint64_t total_n, uint64_t self_ns,
                     uint64_t total_ns)
{
	char *s;

	assert_true(asprintf(&s, "%.*s %llu %llu %llu %llu", (int)text->len, text->len ? (const char *)text->data : "",
	                     (unsigned long long)self_n, (unsigned long long)total_n, (unsigned long long)self_ns,
	                     (unsigned long long)total_ns) > 0);
	assert_true(vec_push(&r->v, s));
}

static void rows_done(struct rows *r)
{
	for (size_t i = 0; i < r->v.n; i++)
		free(r->v.v[i]);
	vec_free(&r->v);
}

static void rows_sort(struct rows *r)
{
	if (r->v.n)
		qsort(r->v.v, r->v.n, sizeof *r->v.v, by_text);
}

/* What `top` says of the first n bytes. */
static void rows_of_recording(struct rows *r, const struct buf *b, size_t n)
{
	struct buf cut = {.data = b->data, .len = n, .cap = n};
	struct support_profile p;
	struct rank rank;
	struct buf text;

	support_profile_bytes(&p, &cut, &(struct naming_options){.by_function = true});
	assert_int_equal(rank_build(&rank, &p.tree, &p.naming, &(struct rank_options){.by = RANK_FRAME}), 0);
	buf_init(&text, 0);
	for (size_t i = 0; i < rank.rows.n; i++) {
		const struct rank_row *k = &rank.rows.v[i];

		buf_reset(&text);
		rank_text(&rank, &p.naming, k, &text);
		rows_add(r, &text, k->self_n, k->total_n, k->self_ns, k->total_ns);
	}
	buf_done(&text);
	rank_done(&rank);
	support_profile_done(&p);
	rows_sort(r);
}

static void rows_of_live(struct rows *r, const struct live *l, enum live_part part)
{
	struct buf text;

	buf_init(&text, 0);
	for (uint32_t i = 0; i < l->model.ranks.groups.n; i++) {
		const struct live_group *g = &l->model.ranks.groups.v[i];

		if (!g->total[part].n)
			continue;
		buf_reset(&text);
		live_model_text(&l->model, i, &text);
		rows_add(r, &text, g->self[part].n, g->total[part].n, g->self[part].ns, g->total[part].ns);
	}
	buf_done(&text);
	rows_sort(r);
}

static void compare_rows(const struct rows *a, const struct rows *b, const char *what, size_t n)
{
	for (size_t i = 0; i < a->v.n || i < b->v.n; i++) {
		const char *x = i < a->v.n ? a->v.v[i] : "(none)", *y = i < b->v.n ? b->v.v[i] : "(none)";

		if (strcmp(x, y) != 0)
			fail_msg("%s at byte %zu: table \"%s\", live \"%s\"", what, n, x, y);
	}
}

/* Wherever the stream stands: a copy of it that is cut there has the same rows. */
static void as_the_recording(const char *name, const struct buf *b, size_t step)
{
	struct live l;

	live_open(&l);
	l.model.want.idle = true;
	for (size_t at = 0; at < b->len; at += step) {
		size_t until = at + step < b->len ? at + step : b->len;
		struct rows right = {0}, live = {0};

		feed(&l, b, at, until);
		assert_true(live_sums_bytes(&l.sums) <= until);
		if (!l.sums.profile.recordings.n)
			continue;
		rows_of_recording(&right, b, (size_t)live_sums_bytes(&l.sums));
		rows_of_live(&live, &l, LIVE_SINCE);
		compare_rows(&right, &live, name, until);
		rows_done(&right);
		rows_done(&live);
	}
	live_close(&l);
}

static void test_sums_are_the_recording(void **state)
{
	for (const struct support_view *v = support_views; v->name; v++) {
		struct buf b;

		buf_init(&b, 0);
		v->make(&b);
		as_the_recording(v->name, &b, b.len / 7 + 1);
		as_the_recording(v->name, &b, b.len);
		buf_done(&b);
	}
}

static void test_reset_and_now(void **state)
{
	struct buf b;
	size_t starts[5];
	struct live l;
	struct rows now = {0}, since = {0};

	buf_init(&b, 0);
	support_recording_small(&b, starts);
	live_open(&l);
	l.model.want.idle = true;
	feed(&l, &b, 0, starts[1]);
	assert_true(l.model.ranks.totals[LIVE_SINCE].all.n > 0);
	uint64_t first = l.model.ranks.totals[LIVE_SINCE].all.n;
	assert_int_equal(live_sums_reset(&l.sums), 0);
	assert_int_equal(live_model_look(&l.model), 0);
	assert_int_equal(l.model.ranks.totals[LIVE_SINCE].all.n, 0);
	assert_int_equal(l.model.ranks.totals[LIVE_NOW].all.n, first);
	/* a block is a second, and so is the window: both parts are of the block that came last */
	feed(&l, &b, starts[1], starts[2]);
	rows_of_live(&now, &l, LIVE_NOW);
	rows_of_live(&since, &l, LIVE_SINCE);
	compare_rows(&since, &now, "now", starts[2]);
	rows_done(&now);
	rows_done(&since);
	/* the next epoch: what was of the one before goes out of now, and stays in since */
	feed(&l, &b, starts[2], b.len);
	assert_true(l.model.ranks.totals[LIVE_NOW].all.n < l.model.ranks.totals[LIVE_SINCE].all.n);
	live_close(&l);
	buf_done(&b);
}

static void check_lines(const struct live *l, size_t width, size_t height)
{
	const struct live_lines *k = &l->lines;

	assert_int_equal(k->v.n, height);
	for (size_t i = 0; i < k->v.n; i++) {
		const char *s = (const char *)k->text.data + k->v.v[i].begin;
		uint32_t cp;

		if (utf8_columns(s, k->v.v[i].n) > width && width >= 40)
			fail_msg("%zux%zu: line %zu is %zu wide: %.*s", width, height, i, utf8_columns(s, k->v.v[i].n),
			         (int)k->v.v[i].n, s);
		for (size_t at = 0; at < k->v.v[i].n;) {
			at += utf8_next(s + at, k->v.v[i].n - at, &cp);
			assert_false(utf8_is_unsafe(cp));
		}
	}
}

static void test_lines_fit_and_are_safe(void **state)
{
	static const size_t sizes[][2] = {{40, 10}, {80, 24}, {300, 80}, {59, 15}, {104, 16}, {1, 1}, {5, 2}, {20, 3}};
	struct live l;
	struct buf b;

	for (const struct support_view *v = support_views; v->name; v++) {
		buf_init(&b, 0);
		v->make(&b);
		live_open(&l);
		feed(&l, &b, 0, b.len);
		for (int threads = 0; threads < 2; threads++, type(&l, "t"))
			for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
				make(&l, sizes[i][0], sizes[i][1]);
				check_lines(&l, sizes[i][0], sizes[i][1]);
				type(&l, "?");
				make(&l, sizes[i][0], sizes[i][1]);
				check_lines(&l, sizes[i][0], sizes[i][1]);
				type(&l, "x");
			}
		l.lines.is_ascii = true;
		make(&l, 80, 24);
		for (size_t i = 0; i < l.lines.text.len; i++)
			assert_true(l.lines.text.data[i] >= 0x20 && l.lines.text.data[i] < 0x7F);
		live_close(&l);
		buf_done(&b);
	}
}

static void text_is(const char *s, size_t columns, bool is_ascii, const char *want)
{
	struct buf b;

	buf_init(&b, 0);
	size_t used = live_lines_text(&b, s, strlen(s), columns, is_ascii);
	assert_string_equal(buf_cstr(&b), want);
	assert_int_equal(used, utf8_columns((const char *)b.data, b.len));
	buf_done(&b);
}

static void test_texts_are_cut(void **state)
{
	text_is("abcdef", 6, false, "abcdef");
	text_is("abcdefg", 6, false, "abcd..");
	text_is("abcdefg", 2, false, "..");
	text_is("abcdefg", 1, false, ".");
	text_is("\u6f22\u5b57\u95a2", 6, false, "\u6f22\u5b57\u95a2");
	text_is("\u6f22\u5b57\u95a2\u6570", 6, false, "\u6f22\u5b57..");
	text_is("\u6f22\u5b57\u95a2\u6570", 7, false, "\u6f22\u5b57...");
	text_is("\x1b[2Jx", 0, false, "\\x1b[2Jx");
	text_is("\u202e\u6f22", 0, true, "\\u202e\\u6f22");
	/* marks in front would go onto something else, and only so many stay on one character */
	text_is("\u0301e\u0301\u0301\u0301\u0301\u0301x", 0, false, "e\u0301\u0301\u0301x");
}

static void test_keys(void **state)
{
	struct live l;
	struct buf b;

	buf_init(&b, 0);
	support_views_many(&b);
	live_open(&l);
	make(&l, 100, 30);
	assert_true(shows(&l, "waiting for the first samples"));
	feed(&l, &b, 0, b.len);
	make(&l, 100, 30);
	size_t all = l.model.items.n;
	assert_true(all > 3);
	type(&l, "/");
	type(&l, "no such row");
	make(&l, 100, 30);
	assert_int_equal(l.model.items.n, 0);
	assert_true(shows(&l, "no row matches"));
	press(&l, LIVE_KEY_ESCAPE);
	assert_int_equal(l.model.items.n, all);
	type(&l, "/(");
	make(&l, 100, 30);
	assert_true(l.model.message.len > 0);
	press(&l, LIVE_KEY_ESCAPE);
	type(&l, "2");
	for (size_t i = 1; i < l.model.items.n; i++)
		assert_true(live_weigh(&l.model.ranks, &l.model.items.v[i - 1].total[LIVE_NOW]) >=
		            live_weigh(&l.model.ranks, &l.model.items.v[i].total[LIVE_NOW]));
	/* the outermost function has callees, and nobody calls it */
	press(&l, LIVE_KEY_ENTER);
	make(&l, 100, 30);
	assert_int_equal(l.model.view, LIVE_AROUND);
	assert_true(shows(&l, "calls"));
	uint64_t itself = 0, callers = 0;
	for (size_t i = 0; i < l.model.items.n; i++) {
		const struct live_item *k = &l.model.items.v[i];
		uint64_t total = live_weigh(&l.model.ranks, &k->total[LIVE_SINCE]);

		itself += k->kind == LIVE_ITSELF ? total : 0;
		callers += k->kind == LIVE_CALLER ? total : 0;
	}
	assert_true(itself > 0);
	assert_int_equal(callers, itself); /* of each stack one caller */
	press(&l, LIVE_KEY_ESCAPE);
	assert_int_equal(l.model.view, LIVE_TABLE);
	assert_int_equal(l.model.items.n, all);
	/* the choice stays with its function when the order changes */
	press(&l, LIVE_KEY_DOWN);
	press(&l, LIVE_KEY_DOWN);
	uint32_t group = l.model.items.v[l.model.at].group;
	type(&l, "1");
	type(&l, "3");
	assert_int_equal(l.model.items.v[l.model.at].group, group);
	type(&l, "sr ");
	assert_true(l.model.saves && l.model.resets && l.model.is_paused);
	type(&l, "q");
	assert_true(l.model.quits);
	live_close(&l);
	buf_done(&b);
}

static void test_any_keys(void **state)
{
	static const uint32_t keys[] = {'l',
	                                't',
	                                'g',
	                                'i',
	                                'p',
	                                'c',
	                                '1',
	                                '2',
	                                '3',
	                                '4',
	                                '/',
	                                'a',
	                                '(',
	                                '?',
	                                ' ',
	                                'x',
	                                'j',
	                                LIVE_KEY_UP,
	                                LIVE_KEY_DOWN,
	                                LIVE_KEY_PAGE_UP,
	                                LIVE_KEY_PAGE_DOWN,
	                                LIVE_KEY_HOME,
	                                LIVE_KEY_END,
	                                LIVE_KEY_ENTER,
	                                LIVE_KEY_ENTER,
	                                LIVE_KEY_ESCAPE,
	                                LIVE_KEY_BACKSPACE,
	                                LIVE_KEY_LEFT,
	                                0x6F22,
	                                0x301,
	                                0x202E,
	                                7};
	uint32_t random = 12345;

	for (const struct support_view *v = support_views; v->name; v++) {
		struct live l;
		struct buf b;
		size_t at = 0;

		if (strcmp(v->name, "wide") == 0)
			continue; /* slow, and not different */
		buf_init(&b, 0);
		v->make(&b);
		live_open(&l);
		for (int i = 0; i < 400; i++) {
			random = random * 1664525 + 1013904223;
			press(&l, keys[(random >> 8) % (sizeof keys / sizeof *keys)]);
			if ((random >> 20) % 8 == 0 && at < b.len) {
				size_t until = at + b.len / 20 + 1 < b.len ? at + b.len / 20 + 1 : b.len;

				feed(&l, &b, at, until);
				at = until;
			}
			size_t width = 1 + (random >> 4) % 130, height = 1 + (random >> 12) % 40;
			make(&l, width, height);
			check_lines(&l, width, height);
			assert_true(l.model.at == 0 || l.model.at < l.model.items.n || l.model.view == LIVE_HELP);
		}
		live_close(&l);
		buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sums_are_the_recording),
	    cmocka_unit_test(test_reset_and_now),
	    cmocka_unit_test(test_lines_fit_and_are_safe),
	    cmocka_unit_test(test_texts_are_cut),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_any_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

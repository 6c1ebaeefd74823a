/* view/page and what it is made of: nodes and their functions, packed columns, a document that holds no markup but
 * ours. `test_page --write DIR` writes hostile_page.pyspy there, for tests/e2e/test_page.mjs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "pyspy-report/profile/load.h"
#include "pyspy-report/view/packed_out.h"
#include "pyspy-report/view/page.h"
#include "tests/unit/support_recording.h"
#include "tests/unit/support_views.h"

static const struct filter everything = {.idle = true};

/* Names that the other hostile recording has not: what ends or hides a script, line ends of scripts, NUL, 1 MB. */
static void make_hostile(struct buf *out)
{
	static const struct {
		const char *s;
		size_t n;
	} names[] = {
	    {"<!--<script>", 12},
	    {"line\xE2\x80\xA8separator\xE2\x80\xA9", 19},
	    {"nul \0 inside", 12},
	    {"--></textarea></style><style>*{display:none}", 44},
	    {"]]><![CDATA[<svg onload=alert(1)>", 33},
	    {"&lt;img src=x onerror=alert(1)&gt;", 34},
	    {"long", 1 << 20},
	};
	enum { N = sizeof names / sizeof *names, TICKS = 100 };
	struct rec_entry entries[N];
	struct support_recording r;
	uint64_t times[TICKS];
	char *big = malloc(1 << 20);

	memset(big, 'x', 1 << 20);
	memcpy(big, "long", 4);
	support_recording_open(&r, 0xB7);
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 200, "-->hostile.py");
	for (uint32_t i = 0; i < N; i++) {
		struct rec_function f = {
		    .module = support_recording_string(&r, "m"),
		    .qualname = support_recording_bytes(&r, i + 1 < N ? names[i].s : big, names[i].n),
		    .file = support_recording_string(&r, "/srv/app/hostile.py"),
		    .first_line = i + 1,
		};

		encode_add_function(&r.functions, ++r.n_functions, &f);
		r.first_lines[r.n_functions] = i + 1;
		entries[i] = (struct rec_entry){
		    .tick = i * 10,
		    .thread = 1,
		    .stack =
		        support_recording_stack(&r, 0, support_recording_line(&r, r.n_functions, (int32_t)i + 1), true),
		    .has_stack = true,
		    .flags = WIRE_STATE_ON_CPU,
		};
	}
	for (uint32_t i = 0; i < TICKS; i++)
		times[i] = r.block.begin_ns + i * 10 * SUPPORT_MS;
	encode_ticks(&r.content, &(struct rec_ticks){.unit_ns = 1000,
	                                             .cpu_unit_ns = 1000,
	                                             .times_ns = times,
	                                             .n_ticks = TICKS,
	                                             .entries = entries,
	                                             .n_entries = N});
	encode_end(&r.content, &(struct rec_end){.time_ns = r.block.end_ns, .reason = WIRE_END_DURATION});
	support_recording_seal(&r, TICKS, TICKS, true);
	buf_put(out, r.out.data, r.out.len);
	support_recording_close(&r);
	free(big);
}

static int write_hostile(const char *folder)
{
	char path[4096];
	struct buf b;
	FILE *out;
	int rc = 1;

	buf_init(&b, 0);
	make_hostile(&b);
	snprintf(path, sizeof path, "%s/hostile_page.pyspy", folder);
	out = fopen(path, "wb");
	if (out) {
		rc = fwrite(b.data, 1, b.len, out) != b.len;
		rc |= fclose(out) != 0;
	}
	buf_done(&b);
	return rc;
}

struct loaded {
	struct profile p;
	struct naming n;
	struct shape s;
	struct tree t;
};

static void load(struct loaded *a, const char *view, const struct naming_options *o)
{
	struct load *l;
	struct buf b;

	buf_init(&b, 0);
	for (const struct support_view *v = support_views; v->name; v++)
		if (strcmp(v->name, view) == 0)
			v->make(&b);
	if (!b.len)
		make_hostile(&b);
	assert_int_equal(profile_init(&a->p), 0);
	l = load_new(&a->p, "test", NULL);
	assert_int_equal(load_feed(l, b.data, b.len), 0);
	assert_int_equal(load_finish(l), 0);
	load_free(l);
	buf_done(&b);
	assert_int_equal(naming_init(&a->n, &a->p, o), 0);
	assert_int_equal(shape_init(&a->s, &a->n, &everything, &(struct shape_options){0}), 0);
	assert_int_equal(tree_build_shape(&a->t, &a->s), 0);
}

static void unload(struct loaded *a)
{
	tree_done(&a->t);
	shape_done(&a->s);
	naming_done(&a->n);
	profile_done(&a->p);
}

/* Node i of the tree is node i of the shape, whoever built it. */
static void tree_is_the_shapes(void **state)
{
	struct loaded a;
	struct tree t;

	load(&a, "many", &(struct naming_options){0});
	assert_int_equal(a.t.nodes.n, a.s.nodes.n);
	for (size_t i = 1; i < a.t.nodes.n; i++) {
		assert_int_equal(a.t.nodes.v[i].frame, a.s.nodes.v[i].frame);
		assert_int_equal(a.t.nodes.v[i].parent, a.s.nodes.v[i].parent);
	}
	assert_int_equal(tree_build(&t, &a.n, &everything, &(struct tree_options){0}), 0);
	assert_int_equal(t.nodes.n, a.t.nodes.n);
	assert_int_equal(t.nodes.v[0].total_n, a.t.nodes.v[0].total_n);
	assert_int_equal(t.nodes.v[0].total_ns, a.t.nodes.v[0].total_ns);
	for (uint32_t i = tree_next(&t, 0), k = tree_next(&a.t, 0); i || k;
	     i = tree_next(&t, i), k = tree_next(&a.t, k)) {
		assert_int_equal(t.nodes.v[i].frame, a.t.nodes.v[k].frame);
		assert_int_equal(t.nodes.v[i].total_n, a.t.nodes.v[k].total_n);
		assert_int_equal(t.nodes.v[i].self_ns, a.t.nodes.v[k].self_ns);
	}
	tree_done(&t);
	unload(&a);
}

/* Whatever is kept: nodes hang together, all weight is there, every node has its place. */
static void nodes_lose_nothing(void **state)
{
	static const uint64_t most[] = {1, 2, 50, 5000, 1000000};
	struct loaded a;

	load(&a, "wide", &(struct naming_options){0});
	for (size_t m = 0; m < sizeof most / sizeof *most; m++) {
		struct page_nodes p;
		uint64_t n = 0, ns = 0, kept = 0, hidden = 0, *self = calloc(a.t.nodes.n, sizeof *self);

		assert_int_equal(page_nodes_make(&p, &a.t, &a.n, most[m]), 0);
		for (size_t i = 0; i < p.list.n; i++) {
			const struct page_node *k = &p.list.v[i];

			n += k->self_n;
			ns += k->self_ns;
			kept += !k->n_more;
			hidden += k->n_more;
			assert_true(i == 0 ? k->depth == 0 : k->depth >= 1 && k->depth <= p.list.v[i - 1].depth + 1);
			assert_true(k->n_more || p.place[k->node] == i);
		}
		for (size_t i = 0; i < a.t.nodes.n; i++)
			self[p.place[i]] += a.t.nodes.v[i].self_n;
		for (size_t i = 0; i < p.list.n; i++)
			assert_int_equal(self[i], p.list.v[i].self_n);
		assert_int_equal(n, a.t.nodes.v[0].total_n);
		assert_int_equal(ns, a.t.nodes.v[0].total_ns);
		assert_int_equal(kept - 1, most[m] < p.n_all ? most[m] : p.n_all);
		assert_int_equal(hidden, p.n_hidden);
		assert_int_equal(kept - 1 + hidden, a.t.nodes.n - 1);
		for (size_t i = 1; i < p.frames.n; i++)
			assert_true(naming_compare(&a.n, p.frames.v[i - 1], p.frames.v[i]) < 0);
		page_nodes_done(&p);
		free(self);
	}
	unload(&a);
}

/* Lines of one function are of one function; by function each frame is its own. */
static void frames_belong_to_functions(void **state)
{
	static const struct naming_options ways[] = {
	    {0}, {.by_function = true}, {.no_lines = true}, {.full_filenames = true}, {.group = NAMING_MODULES}};

	for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
		struct page_nodes p;
		struct loaded a;

		load(&a, "many", &ways[w]);
		assert_int_equal(page_nodes_make(&p, &a.t, &a.n, 1000), 0);
		assert_int_equal(p.belongs.n, p.frames.n);
		assert_true(p.functions.n <= p.frames.n);
		if (w && w != 3)
			assert_int_equal(p.functions.n, p.frames.n);
		for (size_t i = 0; i < p.frames.n; i++) {
			const struct naming_frame *f = &a.n.frames.v[p.frames.v[i]];
			const struct page_function *k = &p.functions.v[p.belongs.v[i]];

			assert_int_equal(f->name, k->name);
			assert_int_equal(f->file, k->file);
			if (ways[w].by_function)
				assert_int_equal(f->line, k->line);
			if (ways[w].no_lines)
				assert_int_equal(k->line, 0);
		}
		page_nodes_done(&p);
		unload(&a);
	}
}

static unsigned digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = strchr(digits, c);

	assert_true(c && at);
	return (unsigned)(at - digits);
}

/* What zlib finds in the text. */
static size_t unpack(const char *text, size_t n, unsigned char *out, size_t room)
{
	unsigned char *bytes = malloc(n);
	uLongf size = room;
	size_t len = 0;

	assert_int_equal(n % 4, 0);
	for (size_t i = 0; i < n; i += 4) {
		unsigned v = digit(text[i]) << 18 | digit(text[i + 1]) << 12;

		v |= text[i + 2] == '=' ? 0 : digit(text[i + 2]) << 6;
		v |= text[i + 3] == '=' ? 0 : digit(text[i + 3]);
		bytes[len++] = (unsigned char)(v >> 16);
		if (text[i + 2] != '=')
			bytes[len++] = (unsigned char)(v >> 8);
		if (text[i + 3] != '=')
			bytes[len++] = (unsigned char)v;
		assert_true(text[i + 3] != '=' || i + 4 == n);
	}
	assert_int_equal(uncompress(out, &size, bytes, len), Z_OK);
	free(bytes);
	return size;
}

static void numbers_come_back(void **state)
{
	static const uint64_t all[] = {0, 1, 127, 128, 16383, 16384, UINT64_C(1) << 53, UINT64_MAX};
	static unsigned char got[1 << 20];

	for (size_t extra = 0; extra < 70000; extra = extra * 3 + 1) { /* all lengths modulo three */
		struct packed_out p;
		char *text;
		size_t size, at = 0;
		FILE *out = open_memstream(&text, &size);

		assert_int_equal(packed_out_begin(&p, out), 0);
		for (size_t i = 0; i < sizeof all / sizeof *all; i++)
			packed_out_number(&p, all[i]);
		for (size_t i = 0; i < extra; i++)
			packed_out_bytes(&p, &(unsigned char){(unsigned char)(i * 2654435761u >> 13)}, 1);
		packed_out_end(&p);
		fclose(out);
		size = unpack(text, size, got, sizeof got);
		for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
			uint64_t v = 0;

			for (unsigned shift = 0;; shift += 7) {
				v |= (uint64_t)(got[at] & 0x7F) << shift;
				if (got[at++] < 0x80)
					break;
			}
			assert_int_equal(v, all[i]);
		}
		assert_int_equal(size - at, extra);
		for (size_t i = 0; i < extra; i++)
			assert_int_equal(got[at + i], (unsigned char)(i * 2654435761u >> 13));
		free(text);
	}
}

static size_t occurs(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

/* Whatever is recorded: the same markup, and none of the names among it. */
static void document_is_ours(void **state)
{
	static const char *const views[] = {"small", "hostile", "hostile_page", "undefined"};

	for (size_t v = 0; v < sizeof views / sizeof *views; v++) {
		struct page_options o = {.title = v ? "</title><script>alert(1)</script><!--" : NULL};
		struct page_nodes p;
		struct buckets b;
		struct summary s;
		struct loaded a;
		char *text;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		load(&a, views[v], &(struct naming_options){0});
		assert_int_equal(summary_build(&s, &a.p, &everything), 0);
		assert_int_equal(page_nodes_make(&p, &a.t, &a.n, 1000), 0);
		assert_int_equal(buckets_init(&b, SUPPORT_S, 1000), 0);
		assert_int_equal(buckets_add(&b, 0, 1, 0, SUPPORT_S, 5), 0);
		assert_int_equal(buckets_finish(&b), 0);
		assert_int_equal(page_write(out, &a.t, &a.n, &s, &everything, &p, &b, &o), 0);
		fclose(out);
		assert_int_equal(strlen(text), size); /* no NUL */
		assert_int_equal(occurs(text, "<script"), 4);
		assert_int_equal(occurs(text, "</script"), 4);
		assert_int_equal(occurs(text, "<style"), 1);
		assert_int_equal(occurs(text, "<!--"), 0);
		assert_int_equal(occurs(text, "alert(1)</script>"), 0);
		assert_int_equal(occurs(text, "onerror"), 0);
		assert_true(size < 200000); /* 1 MB of a name is cut */
		assert_int_equal(strncmp(text, "<!DOCTYPE html>\n", 16), 0);
		free(text);
		buckets_done(&b);
		page_nodes_done(&p);
		summary_done(&s);
		unload(&a);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tree_is_the_shapes),         cmocka_unit_test(nodes_lose_nothing),
	    cmocka_unit_test(frames_belong_to_functions), cmocka_unit_test(numbers_come_back),
	    cmocka_unit_test(document_is_ours),
	};

	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_hostile(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

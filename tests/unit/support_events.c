#include "tests/unit/support_events.h"

#include "tests/unit/support_test.h"

void support_events_open(struct support_events *w, uint32_t n_stacks, uint64_t gap_ns)
{
	char name[16];

	support_recording_open(&w->r, 0xE0);
	w->r.mean_gap_ns = gap_ns;
	support_recording_head(&w->r, 2);
	support_recording_process(&w->r, 1, 100, "events.py");
	for (uint32_t i = 1; i <= n_stacks; i++) {
		snprintf(name, sizeof name, "f%03u", i);
		function_id f = support_recording_function(&w->r, "m", name, "/srv/app/m.py", i);
		support_recording_stack(&w->r, 0, support_recording_line(&w->r, f, (int32_t)i), true);
	}
	w->t = w->r.block.begin_ns;
	assert_int_equal(profile_init(&w->p), 0);
}

void support_events_put(struct support_events *w, const struct rec_event *events, uint32_t n)
{
	encode_events(&w->r.content, &(struct rec_events){1, 1, events, n});
}

int support_events_load(struct profile *p, const struct buf *b, const struct load_options *o)
{
	struct load *l = load_new(p, "test", o);
	int rc;

	assert_non_null(l);
	rc = load_feed(l, b->data, b->len);
	if (!rc)
		rc = load_finish(l);
	load_free(l);
	return rc;
}

void support_events_read(struct support_events *w, uint64_t n_samples, uint32_t n_ticks)
{
	support_recording_seal(&w->r, n_samples, n_ticks, true);
	assert_int_equal(support_events_load(&w->p, &w->r.out, NULL), 0);
	assert_int_equal(w->p.n_damage, 0);
}

void support_events_close(struct support_events *w)
{
	profile_done(&w->p);
	support_recording_close(&w->r);
}

void support_events_view(struct support_events_view *v, struct profile *p, const struct filter *f)
{
	assert_int_equal(naming_init(&v->n, p, &(struct naming_options){.by_text = true}), 0);
	assert_int_equal(tree_build(&v->t, &v->n, f, &(struct tree_options){0}), 0);
	assert_int_equal(summary_build(&v->s, p, f), 0);
}

void support_events_view_close(struct support_events_view *v)
{
	summary_done(&v->s);
	tree_done(&v->t);
	naming_done(&v->n);
}

char *support_events_folded(struct support_events_view *v, struct folded_result *r)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_int_equal(folded_write(out, &v->t, &v->n, r), 0);
	fclose(out);
	return text;
}

uint64_t support_events_numbers(struct support_events_view *v, struct folded_result *r, uint64_t *of, size_t n_of)
{
	char *text = support_events_folded(v, r), *line, *rest = text;
	uint64_t sum = 0;

	memset(of, 0, n_of * sizeof *of);
	while ((line = strsep(&rest, "\n")) && *line) {
		unsigned f = (unsigned)strtoul(line + 1, NULL, 10);
		uint64_t number = strtoull(strrchr(line, ' ') + 1, NULL, 10);

		assert_true(f < n_of && number > 0);
		of[f] = number;
		sum += number;
	}
	free(text);
	return sum;
}

#include "pyspy-report/view/facts_json.h"

#include <string.h>

#include "libcommon/buf.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/json_text.h"
#include "pyspy-report/view/words.h"

static void put_number(json_t *object, const char *key, uint64_t n)
{
	json_object_set_new(object, key, json_text_number(n));
}

static void put_amount(json_t *object, const char *key, uint64_t samples, uint64_t ns)
{
	json_t *o = json_object();

	put_number(o, "samples", samples);
	put_number(o, "ns", ns);
	json_object_set_new(object, key, o);
}

static void put_caption(json_t *object, const char *key, struct buf *b)
{
	json_object_set_new(object, key, json_text_bytes(buf_cstr(b), b->len));
	buf_reset(b);
}

static json_t *totals(const struct summary *s)
{
	json_t *o = json_object();

	put_amount(o, "all", s->all.samples.n + s->outside_n, s->all.ns.n + s->outside_ns);
	put_amount(o, "kept", s->kept.samples.n, s->kept.ns.n);
	put_amount(o, "outside_time", s->outside_n, s->outside_ns);
	put_amount(o, "idle_left_out", s->idle.samples.n, s->idle.ns.n);
	return o;
}

static json_t *lost(const struct profile *p, const struct summary *s)
{
	const struct summary_count *samples = &s->kept.samples, *ns = &s->kept.ns;
	json_t *o = json_object(), *causes = json_object(), *damage = json_object();
	uint64_t gap = 0;

	put_amount(o, "in_motion", samples->in_motion, ns->in_motion);
	put_amount(o, "unproved", samples->unproved, ns->unproved);
	put_amount(o, "cut", samples->cut, ns->cut);
	put_amount(o, "stack_lost", samples->lost, ns->lost);
	for (uint32_t i = 0; i < WIRE_LOST_END_; i++) {
		uint64_t n = summary_lost(p, i);
		if (n)
			put_number(causes, words_lost(i), n);
	}
	json_object_set_new(o, "by_cause", causes);
	for (size_t i = 0; i < p->recordings.n; i++)
		gap += p->recordings.v[i].not_sampled_ns;
	put_number(o, "not_sampled_ns", gap);
	put_number(damage, "places", p->n_damage);
	put_number(damage, "bytes", p->damaged_bytes);
	put_number(damage, "missing_blocks", p->missing_blocks);
	put_number(damage, "missing_samples", p->missing_samples);
	json_object_set_new(o, "damage", damage);
	return o;
}

static json_t *patterns(const struct filter_patterns *list)
{
	json_t *o = json_array();

	for (size_t i = 0; i < list->list.n; i++)
		json_array_append_new(o, json_text_bytes(list->list.v[i].text, strlen(list->list.v[i].text)));
	return o;
}

static void put_patterns(json_t *o, const char *key, const struct filter_patterns *list)
{
	if (list->list.n)
		json_object_set_new(o, key, patterns(list));
}

static json_t *states(uint32_t mask)
{
	static const char *const words[] = {"running", "runnable", "blocked", "gc", "gil-wait", "unknown"};
	json_t *o = json_array();

	for (uint32_t i = 0; i < sizeof words / sizeof *words; i++)
		if (mask & 1u << i)
			json_array_append_new(o, json_string(words[i]));
	return o;
}

static void put_rules(json_t *o, const struct filter_rules *r)
{
	json_t *pids = json_array(), *threads = json_array();

	if (r->span_text)
		json_object_set_new(o, "time", json_text_bytes(r->span_text, strlen(r->span_text)));
	for (size_t i = 0; i < r->pids.n; i++)
		json_array_append_new(pids, json_integer(r->pids.v[i]));
	for (size_t i = 0; i < r->threads.n; i++) {
		const struct filter_thread *t = &r->threads.v[i];

		json_array_append_new(threads, t->is_tid ? json_integer(t->tid)
		                                         : json_text_bytes(t->name.text, strlen(t->name.text)));
	}
	json_object_set_new(o, "pid", r->pids.n ? json_incref(pids) : NULL);
	json_object_set_new(o, "thread", r->threads.n ? json_incref(threads) : NULL);
	json_decref(pids);
	json_decref(threads);
	if (r->states)
		json_object_set_new(o, "state", states(r->states));
	put_patterns(o, "process", &r->processes);
	put_patterns(o, "focus", &r->focus);
	put_patterns(o, "ignore", &r->ignore);
	put_patterns(o, "hide", &r->hide);
	put_patterns(o, "show_from", &r->show_from);
}

static json_t *filters(const struct filter *f)
{
	json_t *o = json_object();

	json_object_set_new(o, "gil", json_boolean(f->gil_only));
	json_object_set_new(o, "idle", json_boolean(f->idle));
	if (f->rules)
		put_rules(o, f->rules);
	return o;
}

static json_t *recordings(const struct profile *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->recordings.n; i++) {
		const struct profile_recording *r = &p->recordings.v[i];
		json_t *o = json_object(), *when = r->has_file_header ? json_text_time(r->file.realtime_ns) : NULL;

		json_object_set_new(o, "file", json_text_string(p, r->input));
		json_object_set_new(o, "host", json_text_string(p, r->host));
		if (when)
			json_object_set_new(o, "started", when);
		put_number(o, "duration_ns", r->end_ns - r->begin_ns);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *caption(const struct profile *p, const struct summary *s, const struct filter *f)
{
	json_t *o = json_object();
	struct buf b;

	buf_init(&b, 0);
	caption_command(&b, p, s);
	put_caption(o, "command", &b);
	caption_samples(&b, p, s, f);
	put_caption(o, "samples", &b);
	caption_losses(&b, p, s);
	put_caption(o, "lost", &b);
	buf_done(&b);
	return o;
}

json_t *facts_json(const char *verb, const struct profile *p, const struct summary *s, const struct filter *f)
{
	json_t *o = json_object();

	json_object_set_new(o, "schema_version", json_integer(FACTS_JSON_SCHEMA));
	json_object_set_new(o, "command", json_string(verb));
	json_object_set_new(o, "shares_of",
	                    json_string(!s->by_time                   ? "samples"
	                                : s->measure == FILTER_BY_CPU ? "cpu_time"
	                                                              : "time"));
	json_object_set_new(o, "recordings", recordings(p));
	json_object_set_new(o, "filters", filters(f));
	json_object_set_new(o, "totals", totals(s));
	json_object_set_new(o, "lost", lost(p, s));
	json_object_set_new(o, "caption", caption(p, s, f));
	return o;
}

void facts_json_frames(json_t *facts, const struct naming *n, const struct tree_options *t)
{
	struct buf b, text;

	buf_init(&b, 0);
	buf_init(&text, 0);
	caption_frames(&b, n, t);
	if (b.len > 2) /* "; " */
		buf_put(&text, b.data + 2, b.len - 2);
	put_caption(facts, "frames", &text);
	buf_done(&b);
	buf_done(&text);
}

void facts_json_columns(struct sheet_column *columns, size_t n, enum filter_measure measure)
{
	for (size_t i = 0; i < n && measure == FILTER_BY_CPU; i++) {
		if (strcmp(columns[i].name, "self_ns") == 0)
			columns[i] = (struct sheet_column){"self_cpu_ns", "ns of CPU time"};
		else if (strcmp(columns[i].name, "total_ns") == 0)
			columns[i] = (struct sheet_column){"total_cpu_ns", "ns of CPU time"};
	}
}

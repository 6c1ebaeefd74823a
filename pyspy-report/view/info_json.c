#include "pyspy-report/view/info_json.h"

#include <errno.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "pyspy-report/query/bound.h"
#include "pyspy-report/query/stops.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/json_text.h"
#include "pyspy-report/view/sheet.h"
#include "pyspy-report/view/words.h"

static json_t *number(uint64_t n)
{
	return json_text_number(n);
}

static json_t *text(const struct profile *p, uint32_t string)
{
	return json_text_string(p, string);
}

static json_t *texts(const struct profile *p, const uint32_t *strings, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, text(p, strings[i]));
	return list;
}

static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static void put_number(json_t *object, const char *key, uint64_t n)
{
	put(object, key, number(n));
}

static void put_time(json_t *object, const char *key, int64_t realtime_ns)
{
	json_t *when = json_text_time(realtime_ns);

	if (when)
		put(object, key, when);
}

static json_t *taken(const struct summary_count *c)
{
	json_t *o = json_object();

	for (uint32_t i = 0; i < SUMMARY_TAKEN_; i++)
		put_number(o, words_taken(i), c->taken[i]);
	return o;
}

/* Of recordings by the kernel, beside the numbers of samples: the time that they stand for, which shares are of. */
static json_t *times(const struct summary_count *c)
{
	json_t *o = json_object(), *states = json_object();

	put_number(o, "busy", c->n - c->idle);
	put_number(o, "idle", c->idle);
	put_number(o, "on_cpu", c->cpu_ns);
	put_number(o, "off_cpu", c->off_ns);
	put_number(o, "gil", c->gil);
	put_number(o, "gil_wait", c->gil_wait);
	put_number(o, "gc", c->gc);
	put_number(o, "in_motion", c->in_motion);
	put_number(o, "lost", c->lost);
	put_number(o, "unproved", c->unproved);
	put_number(o, "cut", c->cut);
	for (uint32_t i = 0; i <= WIRE_STATE_STOPPED; i++)
		put_number(states, words_state(i), c->state[i]);
	put(o, "states", states);
	put(o, "taken", taken(c));
	return o;
}

static json_t *count(const struct summary *s, const struct summary_part *part)
{
	const struct summary_count *c = &part->samples;
	json_t *o = json_object(), *states = json_object(), *ways = json_object();

	put_number(o, "samples", c->n);
	put_number(o, "events", c->events);
	put_number(o, "idle", c->idle);
	put_number(o, "gil", c->gil);
	put_number(o, "gil_wait", c->gil_wait);
	put_number(o, "gc", c->gc);
	put_number(o, "in_motion", c->in_motion);
	put_number(o, "lost", c->lost);
	put_number(o, "unproved", c->unproved);
	put_number(o, "cut", c->cut);
	put_number(o, "wall_ns", c->wall_ns);
	put_number(o, "cpu_ns", c->cpu_ns);
	for (uint32_t i = 0; i <= WIRE_STATE_STOPPED; i++)
		put_number(states, words_state(i), c->state[i]);
	for (uint32_t i = 0; i <= WIRE_WAY_STOPPED; i++)
		put_number(ways, words_way(i), c->way[i]);
	put(o, "states", states);
	put(o, "ways", ways);
	if (s->by_time) {
		put(o, "taken", taken(c));
		put(o, "time_ns", times(&part->ns));
	}
	return o;
}

static json_t *uuid(const uint8_t *u)
{
	char out[40];

	snprintf(out, sizeof out, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
	         u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	return json_string(out);
}

static json_t *end(const struct rec_end *e)
{
	json_t *o = json_object();

	put(o, "reason", json_string(words_reason(e->reason)));
	put_number(o, "time_ns", e->time_ns);
	put(o, "how", json_string(words_how(e->how)));
	put_number(o, "status", e->status);
	return o;
}

static json_t *bound(const struct profile_recording *r)
{
	struct bound b = bound_of(r);
	json_t *o = json_object();

	put_number(o, "ppm", b.ppm);
	put_number(o, "cpu_ns", b.cpu_ns);
	put(o, "held", json_boolean(b.is_held));
	put(o, "lowered", json_boolean(b.lowered_ns > 0));
	put_number(o, "lowered_ns", b.lowered_ns);
	put(o, "mean_rate_hz", json_real(b.mean_hz));
	put(o, "lowest_rate_hz", json_real(b.lowest_hz));
	return o;
}

static void put_facts(json_t *o, const struct profile *p, const struct profile_recording *r)
{
	json_t *host = json_object(), *defaults = json_array(), *notes = json_object();
	const char *word;

	put(host, "name", text(p, r->host));
	put(host, "kernel", text(p, r->kernel));
	put(host, "machine", text(p, r->machine));
	put(host, "boot_id", text(p, r->boot_id));
	put(o, "host", host);
	put(o, "recorder", text(p, r->recorder));
	put(o, "options", texts(p, r->options.v, r->options.n));
	for (uint32_t i = 0; (word = words_view_default(i)); i++)
		if (r->view_defaults & 1u << i)
			json_array_append_new(defaults, json_string(word));
	put(o, "view_defaults", defaults);
	for (size_t i = 0; i < r->notes.n; i++) {
		json_t *key = text(p, r->notes.v[i].key);
		json_object_set_new(notes, key ? json_string_value(key) : "", text(p, r->notes.v[i].value));
		json_decref(key);
	}
	put(o, "notes", notes);
	put(o, "engine", json_string(words_engine(r->engine)));
	put(o, "schedule", json_string(r->schedule ? "fixed" : "exponential"));
	put_number(o, "mean_gap_ns", r->mean_gap_ns);
	put(o, "rate_hz", r->mean_gap_ns ? json_real(1e9 / (double)r->mean_gap_ns) : json_null());
	put_number(o, "kernel_hz", r->kernel_hz);
	put_number(o, "stop_ppm", r->stop_ppm);
	if (r->cpu_ppm)
		put(o, "max_cpu", bound(r));
}

static json_t *stops(const struct profile_recording *r)
{
	struct stops s = stops_of(r);
	json_t *o = json_object();

	put_number(o, "count", s.n);
	put_number(o, "total_ns", s.total_ns);
	put(o, "median_ns", s.has_lengths ? number(s.median_ns) : json_null());
	put(o, "p99_ns", s.has_lengths ? number(s.p99_ns) : json_null());
	put_number(o, "longest_ns", s.longest_ns);
	put_number(o, "in_syscall", s.in_syscall);
	put_number(o, "given_up", s.given_up);
	return o;
}

static json_t *recording(const struct profile *p, const struct profile_recording *r)
{
	json_t *o = json_object(), *lost = json_object(), *counters = json_object();

	put(o, "file", text(p, r->input));
	if (r->has_file_header) {
		put(o, "uuid", uuid(r->file.uuid));
		put(o, "format", json_sprintf("%u.%u", r->file.major, r->file.minor));
		put_time(o, "started", r->file.realtime_ns);
		put(o, "started_realtime_ns", json_integer(r->file.realtime_ns));
	}
	put_number(o, "started_boottime_ns", r->started_ns);
	put(o, "complete_facts", json_boolean(r->has_facts));
	put_facts(o, p, r);
	put_number(o, "begin_ns", r->begin_ns);
	put_number(o, "end_ns", r->end_ns);
	put_number(o, "duration_ns", r->end_ns - r->begin_ns);
	put_number(o, "sampled_ns", r->sampled_ns);
	put_number(o, "not_sampled_ns", r->not_sampled_ns);
	put_number(o, "blocks", r->n_blocks);
	put_number(o, "epochs", r->n_epochs);
	put_number(o, "ticks", r->n_ticks);
	put_number(o, "events", r->n_events);
	put_number(o, "samples", r->n_samples);
	if (profile_note_text(p, r, WIRE_NOTE_ENGINE))
		put(o, "engine_text", text(p, profile_note_text(p, r, WIRE_NOTE_ENGINE)));
	if (profile_note_text(p, r, WIRE_NOTE_ENGINE_WHY))
		put(o, "engine_why_not_kernel", text(p, profile_note_text(p, r, WIRE_NOTE_ENGINE_WHY)));
	put_number(o, "absent_ticks", r->absent_ticks);
	put_number(o, "failed_ticks", r->failed_ticks);
	for (uint32_t i = 0; i < WIRE_LOST_END_; i++)
		if (i <= WIRE_LOST_DROPPED || r->lost[i] || (r->n_events && i == WIRE_LOST_OVERRUN))
			put_number(lost, words_lost(i), r->lost[i]);
	put(o, "lost", lost);
	for (uint32_t i = 1; i < WIRE_COUNTER_END_; i++)
		if (r->has_counter & 1u << i && *words_counter(i))
			put_number(counters, words_counter(i), r->counters[i]);
	put(o, "counters", counters);
	put(o, "stops", stops(r));
	put(o, "closed", json_boolean(r->is_closed));
	put(o, "end", r->has_end ? end(&r->end) : json_null());
	return o;
}

static json_t *thread(const struct profile *p, const struct summary *s, uint32_t id)
{
	const struct profile_thread *t = &p->threads.v[id];
	json_t *o = count(s, &s->threads.v[id]);

	put_number(o, "tid", t->tid);
	put_number(o, "ns_tid", t->ns_tid);
	put(o, "name", text(p, t->name));
	put(o, "name_from_kernel", json_boolean(t->flags & WIRE_THREAD_KERNEL_NAME));
	put(o, "main", json_boolean(t->flags & WIRE_THREAD_MAIN));
	put(o, "kind", json_string(words_thread_kind(t->kind)));
	put_number(o, "interpreter", t->interpreter);
	put_number(o, "start_ns", t->start_ns);
	put(o, "end_ns", t->has_ended ? number(t->end_ns) : json_null());
	put_number(o, "cpu_unsampled_ns", t->cpu_unsampled_ns);
	return o;
}

static json_t *process_end(const struct profile_process *q)
{
	json_t *o = json_object();

	put(o, "how", json_string(words_how(q->how)));
	put_number(o, "status", q->status);
	put_number(o, "time_ns", q->end_ns);
	return o;
}

static json_t *process(const struct profile *p, const struct profile_process *q)
{
	json_t *o = json_object();

	put_number(o, "pid", q->pid);
	put_number(o, "ns_pid", q->ns_pid);
	put_number(o, "parent_pid", q->parent_pid);
	put(o, "host", text(p, q->host));
	put_number(o, "start_ns", q->start_ns);
	put_number(o, "exec_number", q->exec_number);
	put_number(o, "seen_ns", q->seen_ns);
	put_number(o, "uid", q->uid);
	put(o, "started_by_recorder", json_boolean(q->flags & WIRE_PROCESS_STARTED));
	put(o, "command", texts(p, q->cmdline.v, q->cmdline.n));
	put(o, "version", text(p, q->version));
	put_number(o, "version_hex", q->version_hex);
	put(o, "debug_build", json_boolean(q->build & WIRE_BUILD_DEBUG));
	put(o, "free_threaded", json_boolean(q->build & WIRE_BUILD_FREE_THREADED));
	put(o, "exe", text(p, q->exe));
	put(o, "cwd", text(p, q->cwd));
	put(o, "prefix", text(p, q->prefix));
	put(o, "base_prefix", text(p, q->base_prefix));
	put(o, "sys_path", texts(p, q->sys_path.v, q->sys_path.n));
	put(o, "end", q->has_ended ? process_end(q) : json_null());
	return o;
}

static json_t *processes(const struct profile *p, const struct summary *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < p->processes.n; i++)
		json_array_append_new(list, i ? process(p, &p->processes.v[i]) : json_object());
	for (uint32_t i = 0; i < p->processes.n; i++)
		put(json_array_get(list, i), "threads", json_array());
	for (uint32_t i = 0; i < p->threads.n; i++) {
		const struct profile_thread *t = &p->threads.v[i];
		if (i || s->threads.v[i].samples.n) /* thread 0: samples of threads that were never defined */
			json_array_append_new(json_object_get(json_array_get(list, t->process), "threads"),
			                      thread(p, s, i));
	}
	if (!json_array_size(json_object_get(json_array_get(list, 0), "threads")))
		json_array_remove(list, 0);
	return list;
}

static json_t *damage(const struct profile *p)
{
	json_t *o = json_object(), *list = json_array();

	put_number(o, "count", p->n_damage);
	put_number(o, "bytes", p->damaged_bytes);
	put_number(o, "missing_blocks", p->missing_blocks);
	put_number(o, "missing_samples", p->missing_samples);
	for (size_t i = 0; i < p->damage.n; i++) {
		const struct profile_damage *d = &p->damage.v[i];
		json_t *one = json_object();

		put(one, "file", text(p, d->input));
		put(one, "problem", json_string(words_problem(d->problem)));
		put(one, "what", json_string(d->what ? d->what : ""));
		put_number(one, "offset", d->offset);
		put_number(one, "bytes", d->bytes);
		put_number(one, "blocks", d->blocks);
		put_number(one, "samples", d->samples);
		json_array_append_new(list, one);
	}
	put(o, "list", list);
	return o;
}

static json_t *document(const struct profile *p, const struct summary *s, const struct filter *f)
{
	json_t *o = json_object(), *list = json_array();
	struct buf words, safe;
	uint64_t n = profile_samples(p);

	put_number(o, "schema_version", INFO_JSON_SCHEMA);
	if (s->by_time)
		put(o, "shares_of", json_string("time"));
	buf_init(&words, 0);
	buf_init(&safe, 0);
	caption_filters(&words, f);
	escape_text(&safe, buf_cstr(&words), words.len);
	if (safe.len)
		put(o, "filters", json_string(buf_cstr(&safe)));
	buf_done(&words);
	buf_done(&safe);
	put_number(o, "bytes", p->input_bytes);
	put(o, "bytes_per_sample", n ? json_real((double)p->input_bytes / (double)n) : json_null());
	put_number(o, "duration_ns", caption_duration_ns(p));
	put(o, "samples", count(s, &s->all));
	for (size_t i = 0; i < p->recordings.n; i++)
		json_array_append_new(list, recording(p, &p->recordings.v[i]));
	put(o, "recordings", list);
	put(o, "processes", processes(p, s));
	put(o, "damage", damage(p));
	return o;
}

int info_json_write(FILE *out, const struct profile *p, const struct summary *s, const struct filter *f)
{
	json_t *o = document(p, s, f);
	int rc;

	errno = 0;
	rc = json_dumpf(o, out, JSON_INDENT(1) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
	fputc('\n', out);
	json_decref(o);
	return rc && !ferror(out) ? ERR_NO_MEMORY : 0;
}

static void csv_value(struct sheet *t, const json_t *value)
{
	char number[40];

	switch (json_typeof(value)) {
	case JSON_STRING:
		sheet_text(t, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		sheet_signed(t, json_integer_value(value));
		break;
	case JSON_REAL:
		snprintf(number, sizeof number, "%.6g", json_real_value(value));
		sheet_made(t, number, strlen(number));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		sheet_bool(t, json_is_true(value));
		break;
	default:
		sheet_none(t);
	}
}

/* As deep as the document is: five levels. */
static int csv_rows(struct sheet *t, struct buf *key, const json_t *value)
{
	size_t len = key->len;
	int rc = 0;

	if (json_is_object(value)) {
		const char *name;
		json_t *one;

		json_object_foreach((json_t *)value, name, one)
		{
			buf_printf(key, "%s%s", len ? "." : "", name);
			rc = rc ? rc : csv_rows(t, key, one);
			key->len = len;
		}
		return rc;
	}
	if (json_is_array(value)) {
		for (size_t i = 0; i < json_array_size(value) && !rc; i++) {
			buf_printf(key, ".%zu", i);
			rc = csv_rows(t, key, json_array_get(value, i));
			key->len = len;
		}
		return rc;
	}
	sheet_text(t, buf_cstr(key), key->len);
	csv_value(t, value);
	return key->err ? key->err : sheet_row(t);
}

int info_json_csv(FILE *out, const struct profile *p, const struct summary *s, const struct filter *f)
{
	static const struct sheet_column columns[] = {{"key", NULL}, {"value", NULL}};
	json_t *o = document(p, s, f);
	struct sheet t;
	struct buf key;
	int rc, err;

	buf_init(&key, 0);
	rc = sheet_begin(&t, out, SHEET_CSV, columns, 2, NULL);
	if (!rc)
		rc = csv_rows(&t, &key, o);
	err = sheet_end(&t);
	buf_done(&key);
	json_decref(o);
	return rc == ERR_IO ? 0 : rc ? rc : err;
}

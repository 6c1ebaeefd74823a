/* The verdict for programs. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "libcommon/clock.h"
#include "libcommon/escape.h"
#include "pyspy-record/doctor/verdict.h"

enum { SCHEMA_VERSION = 1 };

static void put_string(struct buf *out, const char *s)
{
	if (!s) {
		buf_str(out, "null");
		return;
	}
	buf_str(out, "\"");
	escape_json(out, s, strlen(s));
	buf_str(out, "\"");
}

/* ,"key":"value" */
static void put_member(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, ",\"%s\":", key);
	put_string(out, value);
}

static const char *yes(bool b)
{
	return b ? "true" : "false";
}

static void put_head(const struct verdict *v, struct buf *out)
{
	char time[40];
	time_t seconds = (time_t)(v->time_ns / (int64_t)CLOCK_NS_PER_S);
	struct tm tm;
	strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
	buf_printf(out,
	           "{\"schema_version\":%d,\"program\":\"pyspy-record\",\"version\":\"%s\",\"time\":\"%s\",\"pid\":",
	           SCHEMA_VERSION, PYSPY_VERSION, time);
	if (v->pid)
		buf_printf(out, "%d", (int)v->pid);
	else
		buf_str(out, "null");
	buf_printf(out, ",\n\"verdict\":{\"can\":%s,\"engine\":%s", yes(v->can),
	           !v->can        ? "null"
	           : v->by_kernel ? "\"kernel\""
	                          : "\"outside\"");
	put_member(out, "text", v->text);
	buf_printf(
	    out,
	    "},\n\"machine\":{\"started_programs\":%s,\"own_processes\":%s,\"other_users\":%s,\"kernel_engine\":%s,"
	    "\"stop\":%s",
	    yes(v->machine->may_start), yes(v->machine->may_attach_own), yes(v->machine->may_attach_others),
	    yes(v->machine->kernel.open.worked), yes(v->machine->own.stop.worked));
	put_member(out, "container", *v->machine->container ? v->machine->container : NULL);
	buf_str(out, "}");
}

static void put_python(const struct python_findings *s, struct buf *out)
{
	buf_str(out, ",\n\"python\":");
	if (!s->is_known && !*s->version) {
		buf_str(out, "null");
		return;
	}
	buf_str(out, "{\"implementation\":\"CPython\"");
	put_member(out, "version", s->version);
	put_member(out, "build", s->build);
	put_member(out, "found_by", s->found_by);
	put_member(out, "object", s->object);
	buf_printf(out, ",\"free_threaded\":%s", yes(s->is_free_threaded));
	buf_printf(out, ",\"interpreters\":%" PRIu32 ",\"threads\":%" PRIu32 "}", s->n_interpreters, s->n_threads);
}

static void put_features(const struct verdict *v, struct buf *out)
{
	bool is_first = true;
	buf_str(out, ",\n\"features\":");
	if (!v->python->is_known) {
		buf_str(out, "null");
		return;
	}
	buf_str(out, "{");
	for (size_t i = 0; i < v->findings->v.n; i++) {
		const struct finding *one = &v->findings->v.v[i];
		if (strcmp(one->group, "features"))
			continue;
		buf_printf(out, "%s\"%s\":%s", is_first ? "" : ",", one->id, yes(one->level == FINDING_OK));
		is_first = false;
	}
	buf_str(out, "}");
}

static void put_remedy(struct buf *out, const char *kind, const char *text, bool *is_first)
{
	buf_printf(out, "%s{\"kind\":\"%s\"", *is_first ? "" : ",", kind);
	put_member(out, "text", text);
	buf_str(out, "}");
	*is_first = false;
}

static void put_finding(const struct finding *one, struct buf *out)
{
	static const char *const levels[] = {"ok", "warning", "problem"};
	bool is_first = true;
	buf_printf(out, "{\"group\":\"%s\",\"id\":\"%s\",\"level\":\"%s\"", one->group, one->id, levels[one->level]);
	put_member(out, "fact", one->fact);
	put_member(out, "source", one->source);
	buf_str(out, ",\"remedies\":[");
	if (one->advice)
		put_remedy(out, "advice", one->advice, &is_first);
	for (int i = 0; i < REMEDIES; i++)
		if (one->remedies & UINT32_C(1) << i)
			put_remedy(out, remedy_kind(i), remedy_words(i), &is_first);
	buf_str(out, "]}");
}

void verdict_json(const struct verdict *v, struct buf *out)
{
	put_head(v, out);
	put_python(v->python, out);
	put_features(v, out);
	buf_str(out, ",\n\"findings\":[");
	for (size_t i = 0; i < v->findings->v.n; i++) {
		buf_str(out, i ? ",\n" : "\n");
		put_finding(&v->findings->v.v[i], out);
	}
	buf_str(out, "\n]}\n");
}

#include "pyspy-report/report_filters.h"

#include <string.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "pyspy-report/query/when.h"

enum { WHY_MAX = 400, SHOWN_MAX = 60 };

static const char *const names[] = {
    [REPORT_TIME - REPORT_TIME] = "--time",           [REPORT_PID - REPORT_TIME] = "--pid",
    [REPORT_PROCESS - REPORT_TIME] = "--process",     [REPORT_THREAD - REPORT_TIME] = "--thread",
    [REPORT_STATE - REPORT_TIME] = "--state",         [REPORT_FOCUS - REPORT_TIME] = "--focus",
    [REPORT_IGNORE - REPORT_TIME] = "--ignore",       [REPORT_HIDE - REPORT_TIME] = "--hide",
    [REPORT_SHOW_FROM - REPORT_TIME] = "--show-from", [REPORT_STRIP - REPORT_TIME] = "--strip-prefix",
    [REPORT_LEVEL - REPORT_TIME] = "--level",         [REPORT_MEASURE_BY - REPORT_TIME] = "--measure",
};

static int wrong(int id, const char *value, const char *why, char *message, size_t size)
{
	struct buf b;
	size_t n = strlen(value);

	buf_init(&b, 0);
	escape_text(&b, value, n < SHOWN_MAX ? n : SHOWN_MAX);
	snprintf(message, size, "wrong value '%s%s' for %s: %s", buf_cstr(&b), n > SHOWN_MAX ? "..." : "",
	         names[id - REPORT_TIME], why);
	buf_done(&b);
	return ERR_USAGE;
}

static int add_pattern(struct filter_patterns *to, const char *value, bool scoped, char *why)
{
	struct pattern p;

	TRY(pattern_init(&p, value, scoped, why, WHY_MAX));
	if (vec_push(&to->list, p))
		return 0;
	pattern_done(&p);
	return ERR_NO_MEMORY;
}

static bool is_number(const char *s, uint64_t most, uint64_t *out)
{
	*out = 0;
	for (const char *c = s; *c; c++) {
		if (*c < '0' || *c > '9' || *out > most)
			return false;
		*out = *out * 10 + (uint64_t)(*c - '0');
	}
	return *s && *out <= most;
}

static int add_thread(struct filter_rules *r, const char *value, char *why)
{
	struct filter_thread t = {0};
	uint64_t tid;

	t.is_tid = is_number(value, UINT32_MAX, &tid);
	t.tid = t.is_tid ? (uint32_t)tid : 0;
	if (!t.is_tid)
		TRY(pattern_init(&t.name, value, false, why, WHY_MAX));
	if (vec_push(&r->threads, t))
		return 0;
	if (!t.is_tid)
		pattern_done(&t.name);
	return ERR_NO_MEMORY;
}

static int add_pids(struct filter_rules *r, const char *value, char *why)
{
	for (const char *s = value;; s++) {
		size_t n = strcspn(s, ",");
		char word[32];
		int pid;

		snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), s);
		if (n >= sizeof word || human_parse_pid(word, &pid)) {
			snprintf(why, WHY_MAX, "no process number at character %zu", (size_t)(s - value) + 1);
			return ERR_USAGE;
		}
		if (!vec_push(&r->pids, (uint32_t)pid))
			return ERR_NO_MEMORY;
		s += n;
		if (!*s)
			return 0;
	}
}

static int take_level(struct report_options *o, const char *value, char *why)
{
	static const char *const words[] = {"line", "function", "file", "module"};
	size_t i = 0;

	while (i < 4 && strcmp(value, words[i]) != 0)
		i++;
	if (i == 4) {
		snprintf(why, WHY_MAX, "line, function, file or module");
		return ERR_USAGE;
	}
	o->function = i == 0 ? REPORT_NO : REPORT_YES;
	o->group = i == 2 ? NAMING_FILES : i == 3 ? NAMING_MODULES : NAMING_FUNCTIONS;
	return 0;
}

static int take_measure(struct report_options *o, const char *value, char *why)
{
	o->measure = strcmp(value, "samples") == 0 ? FILTER_BY_SAMPLES
	             : strcmp(value, "wall") == 0  ? FILTER_BY_WALL
	             : strcmp(value, "cpu") == 0   ? FILTER_BY_CPU
	                                           : FILTER_BY_RECORDING;
	if (o->measure != FILTER_BY_RECORDING)
		return 0;
	snprintf(why, WHY_MAX, "samples, wall or cpu");
	return ERR_USAGE;
}

static int take_strip(struct report_options *o, const char *value, char *why)
{
	if (*value)
		return vec_push(&o->strip, value) ? 0 : ERR_NO_MEMORY;
	snprintf(why, WHY_MAX, "the name of a folder");
	return ERR_USAGE;
}

static int take_rule(struct filter_rules *r, int id, const char *value, char *why)
{
	switch (id) {
	case REPORT_TIME:
		r->span_text = value;
		return when_parse_span(value, &r->span, why, WHY_MAX);
	case REPORT_PID:
		return add_pids(r, value, why);
	case REPORT_PROCESS:
		return add_pattern(&r->processes, value, false, why);
	case REPORT_THREAD:
		return add_thread(r, value, why);
	case REPORT_STATE:
		return filter_states_parse(value, &r->states, why, WHY_MAX);
	case REPORT_FOCUS:
		return add_pattern(&r->focus, value, true, why);
	case REPORT_IGNORE:
		return add_pattern(&r->ignore, value, true, why);
	case REPORT_HIDE:
		return add_pattern(&r->hide, value, true, why);
	default:
		return add_pattern(&r->show_from, value, true, why);
	}
}

int report_filters_take(struct report_options *o, int id, const char *value, char *message, size_t size)
{
	char why[WHY_MAX] = "";
	int rc;

	if (id == REPORT_STRIP)
		rc = take_strip(o, value, why);
	else if (id == REPORT_LEVEL)
		rc = take_level(o, value, why);
	else if (id == REPORT_MEASURE_BY)
		rc = take_measure(o, value, why);
	else
		rc = take_rule(&o->rules, id, value, why);
	return rc == ERR_USAGE ? wrong(id, value, why, message, size) : rc;
}

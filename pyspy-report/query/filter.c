#include "pyspy-report/query/filter.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"

static const struct {
	const char *word;
	uint32_t bit;
} states[] = {{"running", FILTER_RUNNING}, {"runnable", FILTER_RUNNABLE}, {"blocked", FILTER_BLOCKED},
              {"gc", FILTER_GC},           {"gil-wait", FILTER_GIL_WAIT}, {"unknown", FILTER_UNKNOWN}};

int filter_states_parse(const char *text, uint32_t *out, char *message, size_t size)
{
	for (const char *s = text;; s++) {
		size_t n = strcspn(s, ","), i = 0;

		while (i < sizeof states / sizeof *states &&
		       (strlen(states[i].word) != n || memcmp(states[i].word, s, n) != 0))
			i++;
		if (i == sizeof states / sizeof *states) {
			struct buf b;

			buf_init(&b, 0);
			escape_text(&b, s, n < 30 ? n : 30);
			snprintf(message, size,
			         "'%s' at character %zu is no state: running, runnable, blocked, gc, "
			         "gil-wait, unknown",
			         buf_cstr(&b), (size_t)(s - text) + 1);
			buf_done(&b);
			return ERR_USAGE;
		}
		*out |= states[i].bit;
		s += n;
		if (!*s)
			return 0;
	}
}

static void filter_patterns_done(struct filter_patterns *p)
{
	for (size_t i = 0; i < p->list.n; i++)
		pattern_done(&p->list.v[i]);
	vec_free(&p->list);
}

void filter_rules_done(struct filter_rules *r)
{
	filter_patterns_done(&r->processes);
	filter_patterns_done(&r->focus);
	filter_patterns_done(&r->ignore);
	filter_patterns_done(&r->hide);
	filter_patterns_done(&r->show_from);
	for (size_t i = 0; i < r->threads.n; i++)
		if (!r->threads.v[i].is_tid)
			pattern_done(&r->threads.v[i].name);
	vec_free(&r->threads);
	vec_free(&r->pids);
}

void filter_done(struct filter *f)
{
	vec_free(&f->threads);
	vec_free(&f->locations);
	vec_free(&f->stacks);
}

static bool filter_finds(const struct filter_patterns *set, enum pattern_of of, const char *s, size_t n)
{
	for (size_t i = 0; i < set->list.n; i++) {
		const struct pattern *p = &set->list.v[i];

		if ((p->of == PATTERN_ANY || p->of == of) && pattern_finds(p, s, n))
			return true;
	}
	return false;
}

static int filter_process(const struct filter_rules *r, const struct profile *p, uint32_t process, bool *keep)
{
	const struct profile_process *q = &p->processes.v[process];
	struct buf b;
	int rc = 0;

	*keep = !r->pids.n;
	for (size_t i = 0; i < r->pids.n; i++)
		*keep |= process && r->pids.v[i] == q->pid;
	if (!*keep || !r->processes.list.n)
		return 0;
	buf_init(&b, 0);
	for (size_t i = 0; i < q->cmdline.n; i++) {
		size_t n;
		const char *s = profile_text(p, q->cmdline.v[i], &n);

		if (i)
			buf_u8(&b, ' ');
		buf_put(&b, s, n);
	}
	*keep = filter_finds(&r->processes, PATTERN_ANY, buf_cstr(&b), b.len);
	rc = b.err;
	buf_done(&b);
	return rc;
}

static bool filter_thread_matches(const struct filter_rules *r, const struct profile *p, uint32_t thread)
{
	const struct profile_thread *t = &p->threads.v[thread];
	size_t n;
	const char *name = profile_text(p, t->name, &n);

	for (size_t i = 0; i < r->threads.n; i++) {
		const struct filter_thread *want = &r->threads.v[i];

		if (want->is_tid ? thread && want->tid == t->tid : pattern_finds(&want->name, name, n))
			return true;
	}
	return !r->threads.n;
}

static int filter_prepare_threads(struct filter *f, const struct profile *p)
{
	bool *processes = calloc(p->processes.n, sizeof *processes);
	int rc = processes && vec_room(&f->threads, p->threads.n) ? 0 : ERR_NO_MEMORY;

	for (uint32_t i = 0; i < p->processes.n && !rc; i++)
		rc = filter_process(f->rules, p, i, &processes[i]);
	f->threads.n = 0;
	for (uint32_t i = 0; i < p->threads.n && !rc; i++)
		f->threads.v[f->threads.n++] =
		    processes[p->threads.v[i].process] && filter_thread_matches(f->rules, p, i);
	free(processes);
	return rc;
}

/* One function: its name, its name behind the module's, module and file. Native: symbol and the library's path. */
bool filter_matches(const struct filter_patterns *set, const struct profile *p, const struct profile_location *l,
                    struct buf *b)
{
	struct profile_function f = profile_function_of(p, l->function);
	size_t n, module_n;
	const char *name = profile_text(p, l->function ? f.qualname : l->symbol, &n);
	const char *file, *module = profile_text(p, f.module, &module_n);

	if (!set->list.n)
		return false;
	buf_reset(b);
	if (f.kind == WIRE_FUNCTION_SYNTHETIC)
		buf_u8(b, '[');
	if (l->function || l->symbol)
		buf_put(b, name, n);
	else
		buf_printf(b, "0x%llx", (unsigned long long)l->offset);
	if (f.kind == WIRE_FUNCTION_SYNTHETIC)
		buf_u8(b, ']');
	if (filter_finds(set, PATTERN_FUNCTION, buf_cstr(b), b->len))
		return true;
	if (module_n && filter_finds(set, PATTERN_MODULE, module, module_n))
		return true;
	if (module_n) {
		buf_reset(b);
		buf_put(b, module, module_n);
		buf_u8(b, '.');
		buf_put(b, name, n);
		if (filter_finds(set, PATTERN_FUNCTION, buf_cstr(b), b->len))
			return true;
	}
	if (l->function) {
		file = profile_text(p, f.file, &n);
	} else {
		file = profile_module_path(p, l->module);
		n = strlen(file);
		if (n && filter_finds(set, PATTERN_MODULE, file, n))
			return true;
	}
	return n && filter_finds(set, PATTERN_FILE, file, n);
}

static uint8_t filter_location_marks(const struct filter_rules *r, const struct profile *p,
                                     const struct profile_location *l, struct buf *b)
{
	uint8_t m = 0;

	if (filter_matches(&r->focus, p, l, b))
		m |= FILTER_FOCUS;
	if (filter_matches(&r->ignore, p, l, b))
		m |= FILTER_IGNORE;
	if (filter_matches(&r->hide, p, l, b))
		m |= FILTER_HIDE;
	if (filter_matches(&r->show_from, p, l, b))
		m |= FILTER_SHOWN;
	return m;
}

/* A function is looked at once, however many lines of it there are. */
static int filter_prepare_locations(struct filter *f, const struct profile *p)
{
	enum { KNOWN = 0x80 };
	uint8_t *functions = calloc(p->functions.n, sizeof *functions);
	struct buf b;
	int rc = 0;

	if (!functions || !vec_room(&f->locations, p->locations.n)) {
		free(functions);
		return ERR_NO_MEMORY;
	}
	buf_init(&b, 0);
	f->locations.n = 0;
	f->locations.v[f->locations.n++] = 0;
	for (uint32_t i = 1; i < p->locations.n && !rc; i++) {
		struct profile_location l = profile_location_of(p, i);
		uint8_t *known = l.function && l.function < p->functions.n ? &functions[l.function] : NULL;
		uint8_t m = known && *known ? *known : filter_location_marks(f->rules, p, &l, &b) | KNOWN;

		if (known)
			*known = m;
		f->locations.v[f->locations.n++] = m & (uint8_t)~KNOWN;
		rc = b.err;
	}
	buf_done(&b);
	free(functions);
	return rc;
}

/* Parents stand before their children. */
static int filter_prepare_stacks(struct filter *f, const struct profile *p)
{
	if (!vec_room(&f->stacks, p->stacks.n))
		return ERR_NO_MEMORY;
	f->stacks.n = 0;
	f->stacks.v[f->stacks.n++] = 0;
	for (size_t i = 1; i < p->stacks.n; i++) {
		const struct profile_stack *s = &p->stacks.v[i];
		f->stacks.v[f->stacks.n++] =
		    (f->stacks.v[s->parent] | f->locations.v[s->location]) & (uint8_t)~FILTER_HIDE;
	}
	return 0;
}

int filter_prepare(struct filter *f, const struct profile *p)
{
	const struct filter_rules *r = f->rules;

	if (!r)
		return 0;
	if (r->pids.n || r->processes.list.n || r->threads.n)
		TRY(filter_prepare_threads(f, p));
	if (!r->focus.list.n && !r->ignore.list.n && !r->hide.list.n && !r->show_from.list.n)
		return 0;
	TRY(filter_prepare_locations(f, p));
	return filter_prepare_stacks(f, p);
}

bool filter_is_idle(uint32_t flags)
{
	if (flags & WIRE_FLAG_GIL)
		return false;
	switch (flags & WIRE_FLAG_STATE) {
	case WIRE_STATE_SLEEPING:
	case WIRE_STATE_DISK:
	case WIRE_STATE_STOPPED:
		return true;
	case WIRE_STATE_UNKNOWN:
		return (flags & WIRE_FLAG_GIL_WAIT) != 0;
	default:
		return false;
	}
}

static uint32_t filter_state_of(uint32_t flags)
{
	uint32_t more = (flags & WIRE_FLAG_GC ? FILTER_GC : 0) | (flags & WIRE_FLAG_GIL_WAIT ? FILTER_GIL_WAIT : 0);

	switch (flags & WIRE_FLAG_STATE) {
	case WIRE_STATE_ON_CPU:
		return more | FILTER_RUNNING;
	case WIRE_STATE_RUNNABLE:
		return more | FILTER_RUNNABLE;
	case WIRE_STATE_ACTIVE:
		return more | FILTER_RUNNING | FILTER_RUNNABLE;
	case WIRE_STATE_SLEEPING:
	case WIRE_STATE_DISK:
	case WIRE_STATE_STOPPED:
		return more | FILTER_BLOCKED;
	default:
		return more | FILTER_UNKNOWN;
	}
}

static bool filter_keeps_stack(const struct filter *f, uint32_t stack)
{
	uint8_t m = stack < f->stacks.n ? f->stacks.v[stack] : 0;

	if (m & FILTER_IGNORE)
		return false;
	if (f->rules->focus.list.n && !(m & FILTER_FOCUS))
		return false;
	return !f->rules->show_from.list.n || m & FILTER_SHOWN;
}

bool filter_keeps(const struct filter *f, uint32_t thread, uint32_t stack, uint32_t flags)
{
	if (f->gil_only && !(flags & WIRE_FLAG_GIL))
		return false;
	if (!f->idle && filter_is_idle(flags))
		return false;
	if (!f->rules)
		return true;
	if (f->rules->states && !(f->rules->states & filter_state_of(flags)))
		return false;
	if (f->threads.n && !(thread < f->threads.n && f->threads.v[thread]))
		return false;
	return !f->stacks.n || filter_keeps_stack(f, stack);
}

bool filter_shows(const struct filter *f, uint32_t stack, uint32_t location)
{
	if (!f->stacks.n)
		return true;
	if (location < f->locations.n && f->locations.v[location] & FILTER_HIDE)
		return false;
	return !f->rules->show_from.list.n || (stack < f->stacks.n && f->stacks.v[stack] & FILTER_SHOWN);
}

bool filter_by_time(const struct filter *f, const struct profile *p)
{
	return f->measure == FILTER_BY_RECORDING ? profile_by_time(p) : f->measure != FILTER_BY_SAMPLES;
}

uint64_t filter_row_ns(const struct filter *f, const struct tally_row *r)
{
	return f->measure == FILTER_BY_CPU ? r->cpu_ns : r->wall_ns;
}

static void filter_word(struct buf *out, const char *option, const char *value)
{
	bool plain = *value && !value[strcspn(value, " \t\n'\"\\$&|;<>()[]{}*?!#`~")];

	buf_printf(out, " %s ", option);
	for (const char *c = plain ? value : "'"; *c; c++)
		buf_u8(out, (uint8_t)*c);
	if (plain)
		return;
	for (const char *c = value; *c; c++)
		buf_str(out, *c == '\'' ? "'\\''" : (char[]){*c, 0});
	buf_u8(out, '\'');
}

static void filter_words_of(struct buf *out, const char *option, const struct filter_patterns *p)
{
	for (size_t i = 0; i < p->list.n; i++)
		filter_word(out, option, p->list.v[i].text);
}

void filter_words(const struct filter *f, struct buf *out)
{
	const struct filter_rules *r = f->rules;

	if (!r)
		return;
	if (r->span_text)
		filter_word(out, "--time", r->span_text);
	for (size_t i = 0; i < r->pids.n; i++)
		buf_printf(out, "%s%u", i ? "," : " --pid ", r->pids.v[i]);
	filter_words_of(out, "--process", &r->processes);
	for (size_t i = 0; i < r->threads.n; i++) {
		if (r->threads.v[i].is_tid)
			buf_printf(out, " --thread %u", r->threads.v[i].tid);
		else
			filter_word(out, "--thread", r->threads.v[i].name.text);
	}
	for (size_t i = 0, n = 0; i < sizeof states / sizeof *states; i++)
		if (r->states & states[i].bit)
			buf_printf(out, "%s%s", n++ ? "," : " --state ", states[i].word);
	filter_words_of(out, "--focus", &r->focus);
	filter_words_of(out, "--ignore", &r->ignore);
	filter_words_of(out, "--hide", &r->hide);
	filter_words_of(out, "--show-from", &r->show_from);
}

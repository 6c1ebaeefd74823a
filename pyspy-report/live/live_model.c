#include "pyspy-report/live/live_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/err.h"

void live_model_init(struct live_model *m, struct live_sums *s)
{
	memset(m, 0, sizeof *m);
	live_ranks_init(&m->ranks, s);
	buf_init(&m->filter, 256);
	buf_init(&m->chosen, 0);
	buf_init(&m->message, 0);
	m->around_group = LIVE_NO_GROUP;
	m->is_waiting = true;
	m->page = 20;
}

void live_model_done(struct live_model *m)
{
	live_ranks_done(&m->ranks);
	if (m->has_match)
		pattern_done(&m->match);
	for (size_t i = 0; i < m->around.n; i++)
		free(m->around.v[i]);
	vec_free(&m->around);
	vec_free(&m->items);
	vec_free(&m->neighbours.v);
	buf_done(&m->filter);
	buf_done(&m->chosen);
	buf_done(&m->message);
}

void live_model_say(struct live_model *m, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_reset(&m->message);
	buf_str(&m->message, text);
}

void live_model_thread(const struct live_model *m, uint32_t group, struct buf *out)
{
	const struct live_group *g = &m->ranks.groups.v[group];
	const struct profile *p = &m->ranks.sums->profile;
	size_t n;

	if (g->thread == LIVE_NO_GROUP)
		return;
	const struct profile_thread *t = &p->threads.v[g->of];
	const char *name = profile_text(p, t->name, &n);
	buf_printf(out, "%u%s", t->tid, n ? " " : "");
	buf_put(out, name, n);
}

void live_model_text(const struct live_model *m, uint32_t group, struct buf *out)
{
	live_model_thread(m, group, out);
	if (m->ranks.groups.v[group].thread != LIVE_NO_GROUP)
		buf_str(out, " | ");
	naming_text(&m->ranks.naming, m->ranks.groups.v[group].frame, out);
}

void live_model_match(struct live_model *m)
{
	char message[256] = "";
	struct buf text;

	if (m->has_match)
		pattern_done(&m->match);
	m->has_match = false;
	buf_reset(&m->message);
	if (!m->filter.len)
		return;
	buf_init(&text, 0);
	buf_str(&text, "(?i)");
	buf_put(&text, m->filter.data, m->filter.len);
	m->has_match = pattern_init(&m->match, buf_cstr(&text), false, message, sizeof message) == 0;
	m->match.text = ""; /* the text goes away */
	buf_done(&text);
	if (!m->has_match)
		live_model_say(m, "/: %s", message);
}

uint64_t live_model_whole(const struct live_model *m, const struct live_group *g, enum live_part part)
{
	return m->is_of_shown ? live_weigh(&m->ranks, &m->ranks.totals[part].kept)
	                      : live_ranks_whole(&m->ranks, g, part);
}

static bool matches(const struct live_model *m, uint32_t group, struct buf *b)
{
	if (!m->filter.len)
		return true;
	if (!m->has_match)
		return false;
	buf_reset(b);
	live_model_text(m, group, b);
	return pattern_finds(&m->match, buf_cstr(b), b->len);
}

static double share(const struct live_model *m, uint32_t group, uint64_t weight)
{
	uint64_t whole = group == LIVE_NO_GROUP ? 0 : live_ranks_whole(&m->ranks, &m->ranks.groups.v[group], LIVE_NOW);

	return whole ? (double)weight / (double)whole : 0;
}

static int compare_weights(const struct live_model *m, const struct live_item *x, const struct live_item *y)
{
	static const struct {
		bool is_total;
		enum live_part part;
	} by[] = {{false, LIVE_NOW}, {true, LIVE_NOW}, {false, LIVE_SINCE}, {true, LIVE_SINCE}};
	static const int orders[4][4] = {{0, 1, 2, 3}, {1, 0, 3, 2}, {2, 3, 0, 1}, {3, 2, 1, 0}};

	for (int i = 0; i < 4; i++) {
		int k = orders[m->sort][i];
		const struct live_weight *a = by[k].is_total ? &x->total[by[k].part] : &x->self[by[k].part];
		const struct live_weight *b = by[k].is_total ? &y->total[by[k].part] : &y->self[by[k].part];
		uint64_t v = live_weigh(&m->ranks, a), w = live_weigh(&m->ranks, b);

		if (m->want.by_thread && by[k].part == LIVE_NOW && !m->is_of_shown) { /* by what is shown */
			double x_share = share(m, x->group, v), y_share = share(m, y->group, w);
			if (x_share != y_share)
				return x_share > y_share ? -1 : 1;
		}
		if (v != w)
			return v > w ? -1 : 1;
	}
	return 0;
}

static int compare(const void *a, const void *b, void *ctx)
{
	const struct live_model *m = ctx;
	const struct live_item *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	int c = compare_weights(m, x, y);
	if (c || x->group == y->group)
		return c;
	if (x->group == LIVE_NO_GROUP || y->group == LIVE_NO_GROUP)
		return x->group == LIVE_NO_GROUP ? 1 : -1;
	const struct live_group *g = &m->ranks.groups.v[x->group], *h = &m->ranks.groups.v[y->group];
	if (g->frame != h->frame)
		return naming_compare(&m->ranks.naming, g->frame, h->frame);
	return naming_compare(&m->ranks.naming, g->thread, h->thread);
}

static int fill_table(struct live_model *m)
{
	struct buf b;
	int rc = 0;

	buf_init(&b, 0);
	for (uint32_t i = 0; i < m->ranks.groups.n && !rc; i++) {
		const struct live_group *g = &m->ranks.groups.v[i];
		struct live_item item = {.kind = LIVE_ROW, .group = i};

		if ((!g->total[LIVE_NOW].n && !g->total[LIVE_SINCE].n) || !matches(m, i, &b))
			continue;
		memcpy(item.self, g->self, sizeof item.self);
		memcpy(item.total, g->total, sizeof item.total);
		if (b.err || !vec_push(&m->items, item))
			rc = ERR_NO_MEMORY;
	}
	buf_done(&b);
	return rc;
}

static int fill_neighbours(struct live_model *m, enum live_kind kind)
{
	TRY(live_ranks_neighbours(&m->ranks, m->around_group, kind == LIVE_CALLER, &m->neighbours));
	for (size_t i = 0; i < m->neighbours.v.n; i++) {
		const struct live_neighbour *k = &m->neighbours.v.v[i];
		struct live_item item = {.kind = kind, .group = k->group};

		memcpy(item.total, k->weight, sizeof item.total);
		if (!vec_push(&m->items, item))
			return ERR_NO_MEMORY;
	}
	return 0;
}

/* The group of this text, after groups were numbered anew. */
static uint32_t find_group(const struct live_model *m, const char *text)
{
	struct buf b;
	uint32_t found = LIVE_NO_GROUP;

	buf_init(&b, 0);
	for (uint32_t i = 0; i < m->ranks.groups.n && found == LIVE_NO_GROUP; i++) {
		buf_reset(&b);
		live_model_text(m, i, &b);
		if (strcmp(buf_cstr(&b), text) == 0)
			found = i;
	}
	buf_done(&b);
	return found;
}

static int fill_around(struct live_model *m)
{
	if (m->around_group == LIVE_NO_GROUP)
		return 0;
	const struct live_group *g = &m->ranks.groups.v[m->around_group];
	struct live_item item = {.kind = LIVE_ITSELF, .group = m->around_group};

	memcpy(item.self, g->self, sizeof item.self);
	memcpy(item.total, g->total, sizeof item.total);
	TRY(fill_neighbours(m, LIVE_CALLER));
	if (!vec_push(&m->items, item))
		return ERR_NO_MEMORY;
	return fill_neighbours(m, LIVE_CALLEE);
}

static void remember_choice(struct live_model *m)
{
	buf_reset(&m->chosen);
	if (m->at < m->items.n && m->items.v[m->at].group != LIVE_NO_GROUP &&
	    m->items.v[m->at].group < m->ranks.groups.n)
		live_model_text(m, m->items.v[m->at].group, &m->chosen);
}

static void find_choice(struct live_model *m, const struct live_item *before, bool is_new)
{
	uint32_t group = before->group;

	if (is_new)
		group = m->chosen.len ? find_group(m, buf_cstr(&m->chosen)) : LIVE_NO_GROUP;
	for (size_t i = 0; i < m->items.n && m->follows; i++)
		if (m->items.v[i].group == group && m->items.v[i].kind == before->kind) {
			m->at = i;
			break;
		}
	if (m->at >= m->items.n)
		m->at = m->items.n ? m->items.n - 1 : 0;
}

int live_model_look(struct live_model *m)
{
	struct live_item before = {.group = LIVE_NO_GROUP};
	bool is_new;

	if (m->at < m->items.n)
		before = m->items.v[m->at];
	if (m->follows)
		remember_choice(m);
	m->items.n = 0;
	TRY(live_ranks_look(&m->ranks, &m->want, &is_new));
	m->is_waiting = !m->ranks.totals[LIVE_SINCE].all.n && !m->ranks.sums->reset_ns;
	if (m->around.n)
		m->around_group = is_new || m->around_group == LIVE_NO_GROUP
		                      ? find_group(m, m->around.v[m->around.n - 1])
		                      : m->around_group;
	TRY(m->view == LIVE_AROUND ? fill_around(m) : fill_table(m));
	if (m->items.n)
		qsort_r(m->items.v, m->items.n, sizeof *m->items.v, compare, m);
	if (m->view != LIVE_HELP) /* there it is the first line */
		find_choice(m, &before, is_new);
	return 0;
}

bool live_model_enter(struct live_model *m)
{
	struct buf b;

	if (m->at >= m->items.n || m->items.v[m->at].group == LIVE_NO_GROUP || m->items.v[m->at].kind == LIVE_ITSELF)
		return false;
	if (!vec_room(&m->around, 1))
		return false;
	buf_init(&b, 0);
	live_model_text(m, m->items.v[m->at].group, &b);
	m->around.v[m->around.n] = strdup(buf_cstr(&b));
	buf_done(&b);
	if (!m->around.v[m->around.n])
		return false;
	m->around.n++;
	m->around_group = m->items.v[m->at].group;
	m->view = LIVE_AROUND;
	m->at = m->from = 0;
	m->follows = false;
	return true;
}

bool live_model_back(struct live_model *m)
{
	if (!m->around.n)
		return false;
	free(m->around.v[--m->around.n]);
	m->around_group = LIVE_NO_GROUP; /* is looked for by its text */
	m->view = m->around.n ? LIVE_AROUND : LIVE_TABLE;
	m->at = m->from = 0;
	m->follows = false;
	return true;
}

void live_model_move(struct live_model *m, long rows)
{
	long last = m->items.n ? (long)m->items.n - 1 : 0, to = (long)m->at;

	to = rows > last - to ? last : rows < -to ? 0 : to + rows;
	m->at = (size_t)to;
	m->follows = to != 0; /* the first place is what most is at, whatever that is */
}

/* list, tuple, dict and its views, set, frozenset, range, slice. */
#include "pyspy-record/python/repr_parts.h"

static int read_length(struct repr *p, raddr_t at, uint64_t *n)
{
	unsigned char raw[8] = {0};
	TRY(reader_read(p->reader, at, raw, p->layout->object.wide_sizes ? 8 : 4));
	int64_t v = object_size(p->layout, raw, 0);
	*n = (uint64_t)v;
	return v < 0 || v > (int64_t)1 << 46 ? ERR_TORN : 0;
}

int repr_show_list(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t n;
	raddr_t items;
	TRY(read_length(p, object + p->layout->list.ob_size, &n));
	TRY(repr_word(p, object + p->layout->list.ob_item, &items));
	return repr_vector(p, object, items, n, "[", "]");
}

int repr_show_tuple(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t n;
	TRY(read_length(p, object + p->layout->tuple.ob_size, &n));
	return repr_vector(p, object, object + p->layout->tuple.ob_item, n, "(", n == 1 ? ",)" : ")");
}

/* --- dicts */

enum part { PAIRS, KEYS, VALUES, TUPLES };

struct entries {
	struct repr *p;
	struct repr_row row;
	enum part part;
};

static int show_entry(void *ctx, raddr_t key, raddr_t value)
{
	struct entries *e = ctx;
	if (!repr_next(e->p, &e->row))
		return 1;
	if (e->part == KEYS)
		return repr_inner(e->p, key);
	if (e->part == VALUES)
		return repr_inner(e->p, value);
	if (e->part == PAIRS)
		return repr_pair(e->p, key, value);
	repr_put(e->p, "(");
	TRY(repr_pair_item(e->p, key, value));
	repr_put(e->p, ")");
	return 0;
}

static int show_entries(struct repr *p, raddr_t dict, enum part part, const char *open, const char *close)
{
	struct entries e = {.p = p, .row = {.total = repr_dict_len(p, dict)}, .part = part};
	if (!repr_enter(p, dict, open, close, e.row.total))
		return 0;
	repr_put(p, open);
	if (e.row.total) { /* what could not be read is among what is missing */
		int rc = object_dict(p->reader, p->layout, dict, show_entry, &e, NULL);
		if (rc < 0 && (e.row.shown == 0 || rc == ERR_GONE || rc == ERR_NO_MEMORY))
			return rc;
		repr_row_end(p, &e.row);
	}
	repr_put(p, close);
	repr_leave(p);
	return 0;
}

int repr_show_dict(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_entries(p, object, PAIRS, "{", "}");
}

static int show_view(struct repr *p, raddr_t object, enum part part, const char *open)
{
	raddr_t dict;
	TRY(repr_word(p, object + repr_body(p), &dict));
	return show_entries(p, dict, part, open, "])");
}

int repr_show_dict_keys(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_view(p, object, KEYS, *t->name == 'o' ? "odict_keys([" : "dict_keys([");
}

int repr_show_dict_values(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_view(p, object, VALUES, *t->name == 'o' ? "odict_values([" : "dict_values([");
}

int repr_show_dict_items(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_view(p, object, TUPLES, *t->name == 'o' ? "odict_items([" : "dict_items([");
}

int repr_show_mappingproxy(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t mapping;
	TRY(repr_word(p, object + repr_body(p), &mapping));
	if (!repr_enter(p, object, "mappingproxy(", ")", UINT64_MAX))
		return 0;
	repr_put(p, p->layout->is_python2 ? "dict_proxy(" : "mappingproxy(");
	TRY(repr_inner(p, mapping));
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

/* --- sets */

/* What stands in place of an item that was removed: 2.x to 3.3 a str, later an object of a type of its own. */
static bool is_dummy(struct repr *p, raddr_t item)
{
	int rc;
	char text[16];
	const struct repr_type *t = repr_type_of(p, item, &rc);
	if (!t)
		return false;
	if (strcmp(t->name, "<dummy key> type") == 0)
		return true;
	return layout_minor(p->layout) < 0x304 && repr_text(p, item, text, sizeof text) == 0 &&
	       strcmp(text, "<dummy key>") == 0;
}

static int show_items(struct repr *p, raddr_t set, struct repr_row *row)
{
	uint64_t mask;
	raddr_t table;
	unsigned char raw[64 * 16];
	size_t key_at = layout_minor(p->layout) >= 0x304 ? 0 : 8; /* setentry: hash first up to 3.3 */
	TRY(read_length(p, set + p->shape->set.mask, &mask));
	TRY(repr_word(p, set + p->shape->set.table, &table));
	for (uint64_t i = 0; i <= mask; i += 64) {
		size_t n = mask + 1 - i < 64 ? (size_t)(mask + 1 - i) : 64;
		int rc = reader_read(p->reader, table + i * 16, raw, n * 16);
		if (rc < 0)
			return rc;
		for (size_t k = 0; k < n; k++) {
			raddr_t item = object_u64(raw, k * 16 + key_at);
			bool is_removed = key_at == 0 && object_u64(raw, k * 16 + 8) == UINT64_MAX;
			if (!item || is_removed || is_dummy(p, item))
				continue;
			if (row->shown == row->total || !repr_next(p, row))
				return 0;
			TRY(repr_inner(p, item));
		}
	}
	return 0;
}

static int show_set(struct repr *p, raddr_t object, const char *open, const char *close)
{
	struct repr_row row = {0};
	size_t n = *open == '{' ? 0 : strcspn(open, "(");
	char cycle[REPR_NAME + 4] = "set("; /* in place of a plain set's braces */
	TRY(read_length(p, object + p->shape->set.used, &row.total));
	if (n) {
		memcpy(cycle, open, n);
		memcpy(cycle + n, "(", 2);
	}
	if (row.total == 0) {
		repr_put(p, cycle);
		repr_put(p, p->layout->is_python2 ? "[])" : ")");
		return 0;
	}
	if (!repr_enter(p, object, cycle, ")", row.total))
		return 0;
	repr_put(p, open);
	int rc = show_items(p, object, &row);
	if (rc < 0 && (row.shown == 0 || rc == ERR_GONE || rc == ERR_NO_MEMORY))
		return rc;
	repr_row_end(p, &row);
	repr_put(p, close);
	repr_leave(p);
	return 0;
}

int repr_show_set(struct repr *p, raddr_t object, const struct repr_type *t)
{
	struct buf open;
	if (!p->layout->is_python2 && strcmp(t->name, "set") == 0)
		return show_set(p, object, "{", "}");
	buf_init(&open, REPR_NAME);
	repr_name(&open, repr_short_name(t), strlen(repr_short_name(t)) < 40 ? strlen(repr_short_name(t)) : 40);
	buf_str(&open, p->layout->is_python2 ? "([" : "({");
	int rc = show_set(p, object, buf_cstr(&open), p->layout->is_python2 ? "])" : "})");
	buf_done(&open);
	return rc;
}

int repr_show_frozenset(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return repr_show_set(p, object, t);
}

/* --- range, slice */

static int show_words(struct repr *p, raddr_t object, const char *open, unsigned n)
{
	raddr_t words[3];
	TRY(reader_read(p->reader, object + repr_body(p), words, n * 8));
	if (!repr_enter(p, object, open, ")", UINT64_MAX))
		return 0;
	repr_put(p, open);
	for (unsigned i = 0; i < n; i++) {
		if (i)
			repr_put(p, ", ");
		TRY(repr_inner(p, words[i]));
	}
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

int repr_show_range(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t step;
	int64_t value = 0;
	TRY(repr_word(p, object + repr_body(p) + 16, &step));
	bool is_one = repr_int(p, step, &value) == 0 && value == 1;
	return show_words(p, object, "range(", is_one ? 2 : 3);
}

int repr_show_xrange(struct repr *p, raddr_t object, const struct repr_type *t)
{
	int64_t v[3]; /* start, step, length */
	TRY(reader_read(p->reader, object + repr_body(p), v, sizeof v));
	int64_t stop = (int64_t)((uint64_t)v[0] + (uint64_t)v[1] * (uint64_t)v[2]);
	if (v[0] == 0 && v[1] == 1)
		repr_format(p, "xrange(%lld)", (long long)stop);
	else if (v[1] == 1)
		repr_format(p, "xrange(%lld, %lld)", (long long)v[0], (long long)stop);
	else
		repr_format(p, "xrange(%lld, %lld, %lld)", (long long)v[0], (long long)stop, (long long)v[1]);
	return 0;
}

int repr_show_slice(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_words(p, object, "slice(", 3);
}

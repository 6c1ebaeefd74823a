/* content_defs: STRINGS FUNCTIONS LOCATIONS STACKS (FORMAT.md 2, 3.2-3.4). */
#include "format/content.h"

/* First id and number of entries of a batch. Ids of a kind only grow within an epoch: a definition that is replaced
 * would change the meaning of samples already told. */
static enum content_result batch(struct content *d, struct cursor *c, enum content_kind kind, uint32_t each,
                                 uint32_t *id, uint32_t *n)
{
	*id = cursor_own_id(c);
	*n = cursor_count(c, each);
	if (c->is_bad || *n > WIRE_IDS_MAX - *id + 1)
		return content_bad(d, "a batch of definitions with a bad head");
	if (*id < d->next[kind])
		return content_bad(d, "a batch that defines ids again");
	return CONTENT_OK;
}

enum content_result content_strings(struct content *d, struct cursor *c)
{
	uint32_t id, n;

	CONTENT_TRY(batch(d, c, CONTENT_STRINGS, 1, &id, &n));
	for (; n > 0; n--, id++) {
		uint32_t length = cursor_max(c, WIRE_STRING_MAX);
		const uint8_t *s = cursor_bytes(c, length);

		if (c->is_bad)
			return content_bad(d, "a bad string");
		d->next[CONTENT_STRINGS] = id + 1;
		CONTENT_TRY(CONTENT_TELL(d, string, id, (const char *)s, length));
	}
	return CONTENT_OK;
}

enum content_result content_functions(struct content *d, struct cursor *c)
{
	uint32_t id, n;

	CONTENT_TRY(batch(d, c, CONTENT_FUNCTIONS, 5, &id, &n));
	for (; n > 0; n--, id++) {
		struct rec_function f = {0};

		f.kind = cursor_u32(c);
		f.module = cursor_id(c);
		f.qualname = cursor_id(c);
		f.file = cursor_id(c);
		f.first_line = cursor_max(c, INT32_MAX);
		if (c->is_bad)
			return content_bad(d, "a bad function");
		d->next[CONTENT_FUNCTIONS] = id + 1;
		if (!idtable_set(&d->first_lines, id, f.first_line + 1))
			return content_no_memory(d);
		CONTENT_TRY(CONTENT_TELL(d, function, id, &f));
	}
	return CONTENT_OK;
}

static bool is_line(int64_t line)
{
	return line >= INT32_MIN && line <= INT32_MAX;
}

static bool read_python(struct content *d, struct cursor *c, struct rec_location *l)
{
	uint32_t first = idtable_get(&d->first_lines, l->function);
	int64_t delta = cursor_zigzag(c), line = (int64_t)first - 1;
	uint64_t flags = cursor_u64(c);

	if (delta > UINT32_MAX || delta < -(int64_t)UINT32_MAX)
		return false;
	if (first && !(flags & WIRE_LOCATION_NO_LINE)) {
		l->has_line = true;
		line += delta;
	}
	if (first)
		l->line = l->end_line = (int32_t)line;
	if (flags & WIRE_LOCATION_COLUMNS) {
		int64_t end_line = line + cursor_max(c, INT32_MAX);

		l->column = (int32_t)cursor_max(c, INT32_MAX);
		l->end_column = (int32_t)cursor_max(c, INT32_MAX);
		l->has_columns = l->has_line;
		if (l->has_columns)
			l->end_line = (int32_t)end_line;
		return is_line(line) && is_line(end_line) && !c->is_bad;
	}
	return is_line(line) && !c->is_bad;
}

static bool read_native(struct cursor *c, struct rec_location *l)
{
	l->offset = cursor_u64(c);
	l->symbol = cursor_id(c);
	return !c->is_bad;
}

enum content_result content_locations(struct content *d, struct cursor *c)
{
	uint32_t id, n;

	CONTENT_TRY(batch(d, c, CONTENT_LOCATIONS, 3, &id, &n));
	for (; n > 0; n--, id++) {
		struct rec_location l = {0};
		uint64_t head = cursor_u64(c);
		bool is_good = head >> 1 <= WIRE_IDS_MAX && !c->is_bad;

		l.is_native = head & 1;
		if (is_good && l.is_native) {
			l.module = (module_id)(head >> 1);
			is_good = read_native(c, &l);
		} else if (is_good) {
			l.function = (function_id)(head >> 1);
			is_good = read_python(d, c, &l);
		}
		if (!is_good)
			return content_bad(d, "a bad location");
		d->next[CONTENT_LOCATIONS] = id + 1;
		CONTENT_TRY(CONTENT_TELL(d, location, id, &l));
	}
	return CONTENT_OK;
}

enum content_result content_stacks(struct content *d, struct cursor *c)
{
	uint32_t id, n;

	CONTENT_TRY(batch(d, c, CONTENT_STACKS, 2, &id, &n));
	for (; n > 0; n--, id++) {
		struct rec_stack s = {0};
		uint32_t up = cursor_u32(c), depth;
		uint64_t what = cursor_u64(c);

		if (c->is_bad || up == 0 || up > id || what >> 1 > WIRE_IDS_MAX)
			return content_bad(d, "a bad stack");
		s.parent = id - up;
		s.location = (location_id)(what >> 1);
		s.certified = what & 1;
		depth = idtable_get(&d->depths, s.parent) + 1;
		if (depth > WIRE_DEPTH_MAX)
			return content_bad(d, "a stack that is too deep");
		d->next[CONTENT_STACKS] = id + 1;
		if (!idtable_set(&d->depths, id, depth))
			return content_no_memory(d);
		CONTENT_TRY(CONTENT_TELL(d, stack, id, &s));
	}
	return CONTENT_OK;
}

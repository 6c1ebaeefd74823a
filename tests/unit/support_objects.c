#include "tests/unit/support_objects.h"

#include "tests/unit/support_test.h"

enum { GAP = 64, PAGE = 4096, TYPE_SIZE = 1024 };
#define FIRST_ADDRESS UINT64_C(0x7f0000000000)

static void field(struct support_objects *o, raddr_t at, size_t size, uint64_t v)
{
	support_memory_put(o->m, at, &v, size); /* little-endian */
}

raddr_t support_objects_new(struct support_objects *o, raddr_t type, size_t n, size_t front)
{
	raddr_t begin = o->next;
	support_memory_map(o->m, begin, front + n + (o->pages ? PAGE : 0));
	o->next = (begin + front + n + (o->pages ? PAGE : 0) + GAP + 15) / 16 * 16;
	if (type) {
		field(o, begin + front, 8, 1);
		field(o, begin + front + 8, 8, type);
	}
	return begin + front;
}

raddr_t support_objects_type(struct support_objects *o, const char *name, uint64_t flags, uint64_t basicsize)
{
	raddr_t text = support_objects_new(o, 0, 32, 0);
	support_memory_put(o->m, text, name, strlen(name) + 1);
	raddr_t type = support_objects_new(o, 0, TYPE_SIZE, 0);
	field(o, type, 8, 1);
	field(o, type + o->l->type.name, 8, text);
	field(o, type + o->l->type.flags, 8, flags);
	field(o, type + o->l->type.basicsize, 8, basicsize);
	return type;
}

void support_objects_init(struct support_objects *o, struct support_memory *m, uint32_t version_hex)
{
	*o = (struct support_objects){.m = m, .l = layout_find(version_hex, LAYOUT_RELEASE), .next = FIRST_ADDRESS};
	assert_non_null(o->l);
	o->str = support_objects_type(o, "str", 0, 0);
	o->bytes = support_objects_type(o, "bytes", 0, 0);
	o->dict = support_objects_type(o, "dict", 0, 0);
	o->list = support_objects_type(o, "list", 0, 0);
	o->integer = support_objects_type(o, "int", 0, 0);
	o->code = support_objects_type(o, "code", 0, 0);
	o->module = support_objects_type(o, "module", 0, 0);
}

static uint64_t string_state(const struct support_objects *o, unsigned kind, bool ascii, bool compact)
{
	bool ready = layout_minor(o->l) == 0x30b;
	return kind << 2 | (uint64_t)compact << 5 | (uint64_t)ascii << 6 | (uint64_t)ready << 7;
}

raddr_t support_objects_str(struct support_objects *o, unsigned kind, bool ascii, const void *data, size_t n)
{
	size_t head = ascii ? o->l->unicode.ascii_size : o->l->unicode.compact_size;
	raddr_t at = support_objects_new(o, o->str, head + (n + 1) * kind, 0);
	field(o, at + o->l->unicode.length, 8, n);
	field(o, at + o->l->unicode.length + 8, 8, UINT64_MAX); /* hash: not known */
	field(o, at + o->l->unicode.state, 4, string_state(o, kind, ascii, true));
	if (n)
		support_memory_put(o->m, at + head, data, n * kind);
	return at;
}

raddr_t support_objects_ascii(struct support_objects *o, const char *text)
{
	return support_objects_str(o, 1, true, text, strlen(text));
}

raddr_t support_objects_legacy(struct support_objects *o, unsigned kind, bool ascii, const void *data, size_t n,
                               raddr_t *data_at)
{
	raddr_t at = support_objects_new(o, o->str, o->l->unicode.data + 8, 0);
	raddr_t text = support_objects_new(o, 0, (n + 1) * kind, 0);
	field(o, at + o->l->unicode.length, 8, n);
	field(o, at + o->l->unicode.state, 4, string_state(o, kind, ascii, false));
	field(o, at + o->l->unicode.data, 8, text);
	if (n)
		support_memory_put(o->m, text, data, n * kind);
	if (data_at)
		*data_at = text;
	return at;
}

raddr_t support_objects_bytes(struct support_objects *o, const void *p, size_t n)
{
	raddr_t at = support_objects_new(o, o->bytes, o->l->bytes.ob_sval + n + 1, 0);
	field(o, at + o->l->bytes.ob_size, 8, n);
	if (n)
		support_memory_put(o->m, at + o->l->bytes.ob_sval, p, n);
	return at;
}

raddr_t support_objects_list(struct support_objects *o, const raddr_t *items, size_t n)
{
	raddr_t at = support_objects_new(o, o->list, o->l->list.ob_item + 16, 0);
	raddr_t block = n ? support_objects_new(o, 0, n * 8, 0) : 0;
	field(o, at + o->l->list.ob_size, 8, n);
	field(o, at + o->l->list.ob_item, 8, block);
	if (n)
		support_memory_put(o->m, block, items, n * 8);
	return at;
}

raddr_t support_objects_int(struct support_objects *o, bool negative, const uint32_t *digits, size_t n)
{
	raddr_t at = support_objects_new(o, o->integer, o->l->integer.digit + 4 * (n ? n : 1), 0);
	uint64_t size = negative ? 0 - (uint64_t)n : n, tag = n << 3 | (n == 0 ? 1 : negative ? 2 : 0);
	field(o, at + o->l->integer.tag, 8, o->l->integer.tag_has_count ? tag : size);
	if (n)
		support_memory_put(o->m, at + o->l->integer.digit, digits, n * 4);
	return at;
}

raddr_t support_objects_keys(struct support_objects *o, bool general, bool split, const struct support_objects_entry *e,
                             size_t n)
{
	unsigned log2_size = 3;
	while (n > (size_t)2 << log2_size >> 1)
		log2_size++;
	unsigned log2_bytes = log2_size + (log2_size >= 8) + (log2_size >= 16);
	size_t entry = general ? 24 : 16, indices = (size_t)1 << log2_bytes;
	raddr_t at = support_objects_new(o, 0, o->l->keys.indices + indices + entry * n, 0);
	field(o, at, 8, 1);
	field(o, at + o->l->keys.log2_size, 1, log2_size);
	field(o, at + o->l->keys.log2_index_bytes, 1, log2_bytes);
	field(o, at + o->l->keys.kind, 1, general ? 0 : split ? 2 : 1);
	field(o, at + o->l->keys.n_entries, 8, n);
	memset(support_memory_at(o->m, at + o->l->keys.indices, indices), 0xff, indices);
	for (size_t i = 0; i < n; i++) {
		raddr_t p = at + o->l->keys.indices + indices + i * entry;
		if (general) {
			field(o, p, 8, 0x1234567 * (i + 1));
			p += 8;
		}
		field(o, p, 8, e[i].value || split ? e[i].key : 0);
		field(o, p + 8, 8, split ? 0 : e[i].value);
	}
	return at;
}

static raddr_t new_dict(struct support_objects *o, raddr_t keys, raddr_t values)
{
	raddr_t at = support_objects_new(o, o->dict, o->l->dict.values + 8, 0);
	field(o, at + o->l->dict.keys, 8, keys);
	field(o, at + o->l->dict.values, 8, values);
	return at;
}

raddr_t support_objects_dict(struct support_objects *o, bool general, const struct support_objects_entry *e, size_t n)
{
	return new_dict(o, support_objects_keys(o, general, false, e, n), 0);
}

raddr_t support_objects_values(struct support_objects *o, raddr_t at, const struct support_objects_entry *e, size_t n)
{
	size_t first = o->l->dict.values_first;
	if (!at)
		at = support_objects_new(o, 0, first + (n ? n : 1) * 8, 0);
	if (first) { /* capacity, size, embedded, valid */
		field(o, at, 1, n);
		field(o, at + 1, 1, n);
		field(o, at + 2, 1, 1);
		field(o, at + 3, 1, 1);
	}
	for (size_t i = 0; i < n; i++)
		field(o, at + first + i * 8, 8, e[i].value);
	return at;
}

raddr_t support_objects_split_dict(struct support_objects *o, const struct support_objects_entry *e, size_t n)
{
	raddr_t keys = support_objects_keys(o, false, true, e, n);
	return new_dict(o, keys, support_objects_values(o, 0, e, n));
}

void support_objects_recode(struct support_objects *o, raddr_t at, const struct support_objects_code *c)
{
	const struct layout *l = o->l;
	memset(support_memory_at(o->m, at, l->code.size), 0, l->code.size);
	field(o, at, 8, 1);
	field(o, at + 8, 8, o->code);
	field(o, at + l->code.ob_size, 8, c->units);
	field(o, at + l->code.first_line, 4, (uint32_t)c->first_line);
	if (l->code.version)
		field(o, at + l->code.version, 4, c->version);
	field(o, at + l->code.first_traceable, 4, c->first_traceable);
	raddr_t name = support_objects_ascii(o, c->qualname);
	field(o, at + l->code.name, 8, name);
	field(o, at + l->code.qualname, 8, name);
	field(o, at + l->code.filename, 8, support_objects_ascii(o, c->file));
	field(o, at + l->code.linetable, 8, support_objects_bytes(o, c->linetable, c->linetable_len));
}

raddr_t support_objects_code(struct support_objects *o, const struct support_objects_code *c)
{
	raddr_t at = support_objects_new(o, o->code, o->l->code.size + 2 * (size_t)c->units, 0);
	support_objects_recode(o, at, c);
	return at;
}

raddr_t support_objects_globals(struct support_objects *o, const char *name)
{
	struct support_objects_entry e[] = {
	    {support_objects_ascii(o, "__builtins__"), o->dict},
	    {support_objects_ascii(o, "__name__"), support_objects_ascii(o, name)},
	};
	return support_objects_dict(o, false, e, N_OF(e));
}

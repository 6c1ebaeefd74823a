#include "tests/unit/support_objects.h"

#include "tests/unit/support_test.h"

enum { GAP = 64, PAGE = 4096, TYPE_SIZE = 1024, ENTRY = 24 };
#define FIRST_ADDRESS UINT64_C(0x7f0000000000)

const struct support_objects_family support_objects_families[SUPPORT_OBJECTS_FAMILIES] = {
    {"2.3", 0x020307f0, LAYOUT_RELEASE},
    {"2.4 debug", 0x020406f0, LAYOUT_DEBUG},
    {"2.6", 0x020609f0, LAYOUT_RELEASE},
    {"2.7", 0x020712f0, LAYOUT_RELEASE},
    {"2.7 debug", 0x020712f0, LAYOUT_DEBUG},
    {"3.3", 0x030307f0, LAYOUT_RELEASE},
    {"3.6", 0x03060ff0, LAYOUT_RELEASE},
    {"3.7 debug", 0x030710f0, LAYOUT_DEBUG}, /* has trace refs */
    {"3.10", 0x030a0df0, LAYOUT_RELEASE},
    {"3.11", SUPPORT_OBJECTS_3_11, LAYOUT_RELEASE},
    {"3.12", SUPPORT_OBJECTS_3_12, LAYOUT_RELEASE},
    {"3.12 tracerefs", SUPPORT_OBJECTS_3_12, LAYOUT_TRACEREFS},
    {"3.13", SUPPORT_OBJECTS_3_13, LAYOUT_RELEASE},
    {"3.13t", SUPPORT_OBJECTS_3_13, LAYOUT_FREETHREADED},
    {"3.14", 0x030e0af0, LAYOUT_RELEASE},
    {"3.14t", 0x030e0af0, LAYOUT_FREETHREADED},
    {"3.15", 0x030f02f0, LAYOUT_RELEASE},
};

static void field(struct support_objects *o, raddr_t at, size_t size, uint64_t v)
{
	support_memory_put(o->m, at, &v, size); /* little-endian */
}

void support_objects_size(struct support_objects *o, raddr_t at, uint64_t size)
{
	field(o, at, o->l->object.wide_sizes ? 8 : 4, size);
}

raddr_t support_objects_new(struct support_objects *o, raddr_t type, size_t n, size_t front)
{
	raddr_t begin = o->next;
	support_memory_map(o->m, begin, front + n + (o->pages ? PAGE : 0));
	o->next = (begin + front + n + (o->pages ? PAGE : 0) + GAP + 15) / 16 * 16;
	if (type) {
		field(o, begin + front + o->l->object.type - 8, 8, 1);
		field(o, begin + front + o->l->object.type, 8, type);
	}
	return begin + front;
}

raddr_t support_objects_type(struct support_objects *o, const char *name, uint64_t flags, uint64_t basicsize)
{
	raddr_t text = support_objects_new(o, 0, 32, 0);
	support_memory_put(o->m, text, name, strlen(name) + 1);
	raddr_t type = support_objects_new(o, 0, TYPE_SIZE, 0);
	field(o, type + o->l->object.type - 8, 8, 1);
	field(o, type + o->l->type.name, 8, text);
	field(o, type + o->l->type.flags, 8, flags);
	support_objects_size(o, type + o->l->type.basicsize, basicsize);
	return type;
}

void support_objects_init_build(struct support_objects *o, struct support_memory *m, uint32_t version_hex,
                                enum layout_build build)
{
	*o = (struct support_objects){.m = m, .l = layout_find(version_hex, build), .next = FIRST_ADDRESS};
	assert_non_null(o->l);
	bool has_flags = layout_minor(o->l) >= 0x206, is_2 = o->l->is_python2;
	o->str = support_objects_type(o, "str",
	                              !has_flags ? 0
	                              : is_2     ? SUPPORT_OBJECTS_STR2
	                                         : SUPPORT_OBJECTS_UNICODE,
	                              0);
	o->unicode = is_2 ? support_objects_type(o, "unicode", has_flags ? SUPPORT_OBJECTS_UNICODE : 0, 0) : o->str;
	o->bytes = is_2 ? o->str : support_objects_type(o, "bytes", SUPPORT_OBJECTS_STR2, 0);
	o->dict = support_objects_type(o, "dict", 0, 0);
	o->list = support_objects_type(o, "list", 0, 0);
	o->integer = support_objects_type(o, is_2 ? "long" : "int", 0, 0);
	o->small = support_objects_type(o, "int", 0, 0);
	o->code = support_objects_type(o, "code", 0, 0);
	o->module = support_objects_type(o, "module", 0, 0);
	o->dummy = support_objects_ascii(o, "<dummy key>");
}

void support_objects_init(struct support_objects *o, struct support_memory *m, uint32_t version_hex)
{
	support_objects_init_build(o, m, version_hex, LAYOUT_RELEASE);
}

void support_objects_in_all(struct support_objects *o, struct support_memory *m, void (*test)(void))
{
	for (size_t i = 0; i < SUPPORT_OBJECTS_FAMILIES; i++) {
		const struct support_objects_family *f = &support_objects_families[i];
		for (int pages = 0; pages < 2; pages++) {
			support_memory_init(m);
			support_objects_init_build(o, m, f->version_hex, f->build);
			o->pages = pages;
			test();
			support_memory_done(m);
		}
	}
}

/* --- strings */

static uint64_t string_state(const struct support_objects *o, unsigned kind, bool ascii, bool compact)
{
	bool ready = layout_minor(o->l) <= 0x30b;
	return (uint64_t)kind << o->l->unicode.kind_shift | (compact ? o->l->unicode.compact : 0) |
	       (ascii ? o->l->unicode.ascii : 0) | (ready ? o->l->unicode.ascii << 1 : 0);
}

static raddr_t new_head(struct support_objects *o, size_t size, uint64_t length, uint64_t state)
{
	raddr_t at = support_objects_new(o, o->str, size, 0);
	field(o, at + o->l->unicode.length, 8, length);
	field(o, at + o->l->unicode.length + 8, 8, UINT64_MAX); /* hash: not known */
	field(o, at + o->l->unicode.state, 4, state);
	return at;
}

/* n characters of `width` bytes, and a zero. */
static raddr_t new_text(struct support_objects *o, const void *data, size_t n, size_t width)
{
	raddr_t at = support_objects_new(o, 0, (n + 1) * width, 0);
	if (data && n)
		support_memory_put(o->m, at, data, n * width);
	return at;
}

raddr_t support_objects_unicode(struct support_objects *o, unsigned width, const void *data, size_t n, raddr_t *data_at)
{
	raddr_t at = support_objects_new(o, o->unicode, o->l->unicode.data + 24, 0); /* hash, defenc */
	raddr_t text = new_text(o, data, n, width);
	support_objects_size(o, at + o->l->unicode.length, n);
	field(o, at + o->l->unicode.data, 8, text);
	if (data_at)
		*data_at = text;
	return at;
}

/* 2.x: a str, or a unicode of 4 bytes a character. */
static raddr_t string_2(struct support_objects *o, unsigned kind, bool ascii, const void *data, size_t n,
                        raddr_t *data_at)
{
	if (ascii)
		return support_objects_bytes(o, data, n);
	raddr_t text, at = support_objects_unicode(o, 4, NULL, 0, NULL);
	text = new_text(o, NULL, n, 4);
	for (size_t i = 0; i < n; i++)
		support_memory_put(o->m, text + 4 * i, (const char *)data + i * kind, kind);
	support_objects_size(o, at + o->l->unicode.length, n);
	field(o, at + o->l->unicode.data, 8, text);
	if (data_at)
		*data_at = text;
	return at;
}

raddr_t support_objects_str(struct support_objects *o, unsigned kind, bool ascii, const void *data, size_t n)
{
	if (o->l->is_python2)
		return string_2(o, kind, ascii, data, n, NULL);
	size_t head = ascii ? o->l->unicode.ascii_size : o->l->unicode.compact_size;
	raddr_t at = new_head(o, head + (n + 1) * kind, n, string_state(o, kind, ascii, true));
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
	if (o->l->is_python2)
		return string_2(o, kind, false, data, n, data_at);
	raddr_t at = new_head(o, o->l->unicode.data + 8, n, string_state(o, kind, ascii, false));
	raddr_t text = new_text(o, data, n, kind);
	field(o, at + o->l->unicode.data, 8, text);
	if (data_at)
		*data_at = text;
	return at;
}

raddr_t support_objects_wstr(struct support_objects *o, const uint32_t *data, size_t n)
{
	raddr_t at = new_head(o, o->l->unicode.data + 8, 0, 0);
	field(o, at + o->l->unicode.state + 8, 8, new_text(o, data, n, 4));
	field(o, at + o->l->unicode.compact_size - 8, 8, n);
	return at;
}

raddr_t support_objects_bytes(struct support_objects *o, const void *p, size_t n)
{
	raddr_t at = support_objects_new(o, o->bytes, o->l->bytes.ob_sval + n + 1, 0);
	support_objects_size(o, at + o->l->bytes.ob_size, n);
	if (n)
		support_memory_put(o->m, at + o->l->bytes.ob_sval, p, n);
	return at;
}

/* --- lists, ints */

raddr_t support_objects_list(struct support_objects *o, const raddr_t *items, size_t n)
{
	raddr_t at = support_objects_new(o, o->list, o->l->list.ob_item + 16, 0);
	raddr_t block = n ? support_objects_new(o, 0, n * 8, 0) : 0;
	support_objects_size(o, at + o->l->list.ob_size, n);
	field(o, at + o->l->list.ob_item, 8, block);
	if (n)
		support_memory_put(o->m, block, items, n * 8);
	return at;
}

raddr_t support_objects_int(struct support_objects *o, bool negative, const uint32_t *digits, size_t n)
{
	uint32_t own[64];
	size_t width = o->l->integer.digit_size, n_own = 0;
	assert_true(2 * n <= N_OF(own));
	for (size_t i = 0; i < n; i++) {
		if (width == 2) {
			own[n_own++] = digits[i] & 0x7fff;
			own[n_own++] = digits[i] >> 15;
		} else {
			own[n_own++] = digits[i];
		}
	}
	while (n_own && own[n_own - 1] == 0)
		n_own--;
	raddr_t at = support_objects_new(o, o->integer, o->l->integer.digit + width * (n_own ? n_own : 1), 0);
	if (o->l->integer.tag_has_count)
		field(o, at + o->l->integer.tag, 8, (uint64_t)n_own << 3 | (n_own == 0 ? 1 : negative ? 2 : 0));
	else
		support_objects_size(o, at + o->l->integer.tag, negative ? 0 - (uint64_t)n_own : n_own);
	for (size_t i = 0; i < n_own; i++)
		field(o, at + o->l->integer.digit + width * i, width, own[i]);
	return at;
}

raddr_t support_objects_small(struct support_objects *o, int64_t value)
{
	raddr_t at = support_objects_new(o, o->small, o->l->integer.value + 8, 0);
	field(o, at + o->l->integer.value, 8, (uint64_t)value);
	return at;
}

/* --- dicts */

static void put_entry(struct support_objects *o, raddr_t at, bool general, bool split,
                      const struct support_objects_entry *e, size_t i, raddr_t deleted)
{
	if (general) {
		field(o, at, 8, 0x1234567 * (i + 1));
		at += 8;
	}
	field(o, at, 8, e->value || split ? e->key : deleted);
	field(o, at + 8, 8, split ? 0 : e->value);
}

/* Up to 3.5 the i-th entry given stands here; every third is empty, with a dummy now and then. */
static size_t scattered(size_t i)
{
	return i + i / 2;
}

static size_t power_above(size_t n)
{
	size_t p = 8;
	while (p <= n)
		p *= 2;
	return p;
}

static void put_scattered(struct support_objects *o, raddr_t entries, bool split, const struct support_objects_entry *e,
                          size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_entry(o, entries + scattered(i) * ENTRY, true, split, &e[i], i, o->dummy);
	for (size_t i = 0; i + 1 < n; i += 6)
		if (!split && scattered(i + 1) + 1 != scattered(i + 2))
			field(o, entries + (scattered(i + 1) + 1) * ENTRY + 8, 8, o->dummy);
}

raddr_t support_objects_keys(struct support_objects *o, bool general, bool split, const struct support_objects_entry *e,
                             size_t n)
{
	const struct layout *l = o->l;
	size_t slots = power_above(n + n / 2), width = slots <= 0xff ? 1 : slots <= 0xffff ? 2 : 4;
	if (l->keys.entries) { /* 3.3 to 3.5; the values of a split one have no gaps: nor have its keys */
		raddr_t at = support_objects_new(o, 0, l->keys.entries + ENTRY * slots, 0);
		field(o, at, 8, 1);
		field(o, at + l->keys.slots, 8, slots);
		if (!split)
			put_scattered(o, at + l->keys.entries, split, e, n);
		for (size_t i = 0; split && i < n; i++)
			put_entry(o, at + l->keys.entries + i * ENTRY, true, true, &e[i], i, 0);
		return at;
	}
	general = general || l->keys.slots;
	unsigned log2_size = (unsigned)__builtin_ctzll(slots);
	size_t entry = general ? ENTRY : 16, indices = slots * width;
	raddr_t at = support_objects_new(o, 0, l->keys.indices + indices + entry * n, 0);
	field(o, at, 8, 1);
	if (l->keys.slots) {
		field(o, at + l->keys.slots, 8, slots);
	} else {
		field(o, at + l->keys.log2_size, 1, log2_size);
		field(o, at + l->keys.log2_index_bytes, 1, log2_size + (width == 2 ? 1 : width == 4 ? 2 : 0));
		field(o, at + l->keys.kind, 1, general ? 0 : split ? 2 : 1);
	}
	field(o, at + l->keys.n_entries, 8, n);
	memset(support_memory_at(o->m, at + l->keys.indices, indices), 0xff, indices);
	for (size_t i = 0; i < n; i++)
		put_entry(o, at + l->keys.indices + indices + i * entry, general, split, &e[i], i, 0);
	return at;
}

static raddr_t new_dict(struct support_objects *o, raddr_t keys, raddr_t values)
{
	raddr_t at = support_objects_new(o, o->dict, o->l->dict.values + 8, 0);
	field(o, at + o->l->dict.keys, 8, keys);
	field(o, at + o->l->dict.values, 8, values);
	return at;
}

static raddr_t new_dict_2(struct support_objects *o, const struct support_objects_entry *e, size_t n)
{
	size_t slots = power_above(n + n / 2);
	raddr_t at = support_objects_new(o, o->dict, o->l->dict.table + 8, 0);
	raddr_t table = support_objects_new(o, 0, slots * ENTRY, 0);
	support_objects_size(o, at + o->l->dict.mask, slots - 1);
	field(o, at + o->l->dict.table, 8, table);
	put_scattered(o, table, false, e, n);
	return at;
}

raddr_t support_objects_dict(struct support_objects *o, bool general, const struct support_objects_entry *e, size_t n)
{
	return o->l->is_python2 ? new_dict_2(o, e, n) : new_dict(o, support_objects_keys(o, general, false, e, n), 0);
}

raddr_t support_objects_values(struct support_objects *o, raddr_t at, const struct support_objects_entry *e, size_t n)
{
	size_t first = o->l->dict.values_first, all = o->l->keys.entries ? power_above(n + n / 2) : n, n_set = 0;
	bool has_order = layout_minor(o->l) >= 0x30b && n <= 64;
	if (!at)
		at = support_objects_new(o, 0, first + (all ? all : 1) * 8 + (first && has_order ? n : 0),
		                         !first && has_order ? (n + 9) / 8 * 8 : 0);
	for (size_t i = 0; has_order && i < n; i++) /* in the order of the keys */
		if (e[i].value) {
			raddr_t place = first ? at + first + n * 8 + n_set : at - 3 - n_set;
			n_set++;
			if (support_memory_has(o->m, place, 1))
				field(o, place, 1, i);
		}
	if (!first && has_order && support_memory_has(o->m, at - 2, 1))
		field(o, at - 2, 1, n_set);
	if (first) { /* capacity, size, embedded, valid */
		field(o, at, 1, n);
		field(o, at + 1, 1, has_order ? n_set : n);
		field(o, at + 2, 1, 1);
		field(o, at + 3, 1, 1);
	}
	for (size_t i = 0; i < n; i++)
		field(o, at + first + i * 8, 8, e[i].value);
	return at;
}

raddr_t support_objects_split_dict(struct support_objects *o, const struct support_objects_entry *e, size_t n)
{
	if (o->l->is_python2)
		return new_dict_2(o, e, n);
	raddr_t keys = support_objects_keys(o, false, true, e, n);
	return new_dict(o, keys, support_objects_values(o, 0, e, n));
}

raddr_t support_objects_slot(struct support_objects *o, raddr_t dict, size_t i)
{
	const struct layout *l = o->l;
	raddr_t keys;
	memcpy(&keys, support_memory_at(o->m, dict + (l->is_python2 ? l->dict.table : l->dict.keys), 8), 8);
	if (l->is_python2 || l->keys.entries)
		return keys + (l->is_python2 ? 0 : l->keys.entries) + scattered(i) * ENTRY + 16;
	const unsigned char *head = support_memory_at(o->m, keys, l->keys.indices);
	if (l->keys.slots) {
		uint64_t slots;
		memcpy(&slots, head + l->keys.slots, 8);
		return keys + l->keys.indices + slots * (slots <= 0xff ? 1 : slots <= 0xffff ? 2 : 4) + i * ENTRY + 16;
	}
	bool general = head[l->keys.kind] == 0;
	return keys + l->keys.indices + ((raddr_t)1 << head[l->keys.log2_index_bytes]) + i * (general ? ENTRY : 16) +
	       (general ? 16 : 8);
}

raddr_t support_objects_module(struct support_objects *o, raddr_t dict)
{
	raddr_t at = support_objects_new(o, o->module, o->l->module.dict + 8, 0);
	field(o, at + o->l->module.dict, 8, dict);
	return at;
}

/* --- code */

void support_objects_recode(struct support_objects *o, raddr_t at, const struct support_objects_code *c)
{
	const struct layout *l = o->l;
	memset(support_memory_at(o->m, at, l->code.size), 0, l->code.size);
	field(o, at + l->object.type - 8, 8, 1);
	field(o, at + l->object.type, 8, o->code);
	if (l->code.bytecode) {
		raddr_t bytecode = support_objects_bytes(o, NULL, 0);
		support_objects_size(o, bytecode + l->bytes.ob_size, 2 * (uint64_t)c->units);
		field(o, at + l->code.bytecode, 8, bytecode);
	} else {
		field(o, at + l->code.ob_size, 8, c->units);
		field(o, at + l->code.first_traceable, 4, c->first_traceable);
	}
	field(o, at + l->code.first_line, 4, (uint32_t)c->first_line);
	if (l->code.version)
		field(o, at + l->code.version, 4, c->version);
	raddr_t name = support_objects_ascii(o, c->qualname);
	field(o, at + l->code.name, 8, name);
	field(o, at + l->code.qualname, 8, name);
	field(o, at + l->code.filename, 8, support_objects_ascii(o, c->file));
	field(o, at + l->code.linetable, 8, support_objects_bytes(o, c->linetable, c->linetable_len));
}

raddr_t support_objects_code(struct support_objects *o, const struct support_objects_code *c)
{
	raddr_t at =
	    support_objects_new(o, o->code, o->l->code.size + (o->l->code.bytecode ? 0 : 2 * (size_t)c->units), 0);
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

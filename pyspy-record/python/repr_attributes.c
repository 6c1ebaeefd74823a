/* The attributes of an instance, wherever it keeps them. */
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

enum { SLOTS_MAX = 256, OBJECT_SIZE_MAX = 1 << 20 };
enum { MEMBER_OBJECT = 6, MEMBER_OBJECT_EX = 16 }; /* T_OBJECT, T_OBJECT_EX (structmember.h) */

struct member {
	raddr_t name;
	int32_t type;
	int64_t offset;
};

/* PyMemberDef number i of a type. ERR_AGAIN: there are no more. */
static int read_member(struct repr *p, raddr_t members, unsigned i, struct member *m)
{
	bool wide = p->layout->object.wide_sizes;
	unsigned char raw[24];
	if (i >= SLOTS_MAX)
		return ERR_AGAIN;
	TRY(reader_read(p->reader, members + i * (wide ? 40 : 32), raw, sizeof raw));
	m->name = object_u64(raw, 0);
	m->type = (int32_t)object_u32(raw, 8);
	m->offset = wide ? (int64_t)object_u64(raw, 16) : (int32_t)object_u32(raw, 12);
	return m->name ? 0 : ERR_AGAIN;
}

/* tp_members lies two words in front of tp_base in every version. */
static int members_of(struct repr *p, raddr_t type, raddr_t *members)
{
	return repr_word(p, type + p->shape->type.base - 16, members);
}

/* Python classes among a type and its bases, the type first. */
static size_t slot_types(struct repr *p, const struct repr_type *t, raddr_t *types)
{
	size_t n = 0;
	raddr_t at = t->at, base;
	uint64_t flags;
	while (n < REPR_BASES_MAX && object_is_address(at) && repr_word(p, at + p->layout->type.flags, &flags) == 0 &&
	       flags & REPR_HEAPTYPE) {
		types[n++] = at;
		if (repr_word(p, at + p->shape->type.base, &base) < 0)
			break;
		at = base;
	}
	return n;
}

/* The slots of one type. As repr_attributes. */
static int visit_slots(struct repr *p, raddr_t object, raddr_t type, repr_visit *visit, void *ctx)
{
	raddr_t members, value;
	struct member m;
	char name[REPR_NAME];
	TRY(members_of(p, type, &members));
	for (unsigned i = 0; object_is_address(members) && read_member(p, members, i, &m) == 0; i++) {
		if ((m.type != MEMBER_OBJECT && m.type != MEMBER_OBJECT_EX) || m.offset < 16 ||
		    m.offset > OBJECT_SIZE_MAX || repr_c_string(p, m.name, name, sizeof name) < 0 ||
		    repr_word(p, object + (uint64_t)m.offset, &value) < 0 || !value)
			continue;
		int rc = visit(p, ctx, name, value);
		if (rc != 0)
			return rc;
	}
	return 0;
}

struct entries {
	struct repr *p;
	repr_visit *visit;
	void *ctx;
};

static int visit_entry(void *ctx, raddr_t key, raddr_t value)
{
	struct entries *e = ctx;
	char name[REPR_NAME];
	if (repr_text(e->p, key, name, sizeof name) < 0)
		return 0;
	return e->visit(e->p, e->ctx, name, value);
}

int repr_dict_attributes(struct repr *p, raddr_t dict, repr_visit *visit, void *ctx)
{
	struct entries e = {p, visit, ctx};
	return object_dict(p->reader, p->layout, dict, visit_entry, &e, NULL);
}

int repr_attributes(struct repr *p, raddr_t object, const struct repr_type *t, repr_visit *visit, void *ctx)
{
	raddr_t types[REPR_BASES_MAX], dict, keys, values;
	struct entries e = {p, visit, ctx};
	for (size_t n = slot_types(p, t, types); n-- > 0;) {
		int rc;
		const struct repr_type *class = repr_type_at(p, types[n], &rc);
		if (!class || strchr(class->name, '.')) /* what C's types show of themselves is no attribute of ours */
			continue;
		rc = visit_slots(p, object, types[n], visit, ctx);
		if (rc > 0 || rc == ERR_GONE || rc == ERR_NO_MEMORY)
			return rc;
	}
	TRY(object_instance(p->reader, p->layout, object, &dict, &keys, &values, NULL));
	if (dict)
		return object_dict(p->reader, p->layout, dict, visit_entry, &e, NULL);
	return values ? object_split(p->reader, p->layout, keys, values, visit_entry, &e, NULL) : 0;
}

static int count_one(struct repr *p, void *ctx, const char *name, raddr_t value)
{
	uint64_t *n = ctx;
	return ++*n >= 1 << 16;
}

uint64_t repr_count_attributes(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t n = 0;
	repr_attributes(p, object, t, count_one, &n);
	return n;
}

struct find {
	const char *name;
	raddr_t value;
};

static int find_one(struct repr *p, void *ctx, const char *name, raddr_t value)
{
	struct find *f = ctx;
	if (strcmp(name, f->name) != 0)
		return 0;
	f->value = value;
	return 1;
}

int repr_attribute(struct repr *p, raddr_t object, const struct repr_type *t, const char *name, raddr_t *value)
{
	raddr_t types[REPR_BASES_MAX];
	struct find f = {.name = name};
	int rc = object_attribute(p->reader, p->layout, object, name, value, NULL);
	if (rc != ERR_AGAIN)
		return rc;
	size_t n = slot_types(p, t, types);
	for (size_t i = 0; i < n; i++) {
		rc = visit_slots(p, object, types[i], find_one, &f);
		*value = f.value;
		if (rc == 1)
			return 0;
	}
	return ERR_AGAIN;
}

int repr_any_attribute(struct repr *p, raddr_t object, const struct repr_type *t, const char *name, raddr_t *value)
{
	int rc = repr_attribute(p, object, t, name, value);
	return rc == ERR_AGAIN ? repr_class_attribute(p, t, name, value, NULL) : rc;
}

int repr_c_string(struct repr *p, raddr_t at, char *to, size_t room)
{
	size_t n = 0;
	while (n + 1 < room) {
		size_t piece = 16 - (at + n) % 16; /* never into a page that it does not reach */
		piece = piece < room - 1 - n ? piece : room - 1 - n;
		int rc = reader_read(p->reader, at + n, to + n, piece);
		if (rc == ERR_MEMORY_READ && piece > 1) /* the end of what is there */
			rc = reader_read(p->reader, at + n, to + n, piece = 1);
		TRY(rc);
		if (memchr(to + n, 0, piece))
			return 0;
		n += piece;
	}
	to[n] = 0;
	return 0;
}

uint64_t repr_dict_len(struct repr *p, raddr_t dict)
{
	unsigned char raw[8] = {0};
	if (reader_read(p->reader, dict + p->shape->dict.used, raw, p->layout->object.wide_sizes ? 8 : 4) < 0)
		return 0;
	int64_t n = object_size(p->layout, raw, 0);
	return n < 0 ? 0 : (uint64_t)n;
}

int repr_module(struct repr *p, const char *name, raddr_t *dict)
{
	raddr_t module;
	if (!p->modules)
		return ERR_AGAIN;
	TRY(object_dict_get(p->reader, p->layout, p->modules, name, &module, NULL));
	return repr_word(p, module + p->layout->module.dict, dict);
}

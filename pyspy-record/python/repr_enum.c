/* Members of enums and flags, and their classes. */
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

enum { MEMBERS_MAX = 128 };

struct member {
	raddr_t object;
	int64_t value;
	char name[64];
};

struct members {
	struct repr *p;
	int64_t value; /* looked for */
	size_t n;
	struct member v[MEMBERS_MAX];
};

/* _name_; false: None, or none */
static bool read_name(struct repr *p, raddr_t object, const struct repr_type *t, char *to, size_t room)
{
	raddr_t name;
	return repr_attribute(p, object, t, "_name_", &name) == 0 && repr_text(p, name, to, room) == 0;
}

/* One of _value2member_map_. */
static int look_at(void *ctx, raddr_t key, raddr_t object)
{
	struct members *m = ctx;
	struct member *to = &m->v[m->n];
	int rc;
	const struct repr_type *t = repr_type_of(m->p, object, &rc);
	if (!t || repr_int(m->p, key, &to->value) < 0 || !read_name(m->p, object, t, to->name, sizeof to->name))
		return 0;
	to->object = object;
	if (to->value && (to->value & m->value) == to->value)
		m->n++;
	return m->n == MEMBERS_MAX;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = ((const struct member *)a)->value, y = ((const struct member *)b)->value;
	return x < y ? 1 : x > y ? -1 : 0;
}

/* Up to 3.10 a combination has no name: those of its parts, the largest first. */
static int find_parts(struct repr *p, const struct repr_type *t, int64_t value, struct members *m)
{
	raddr_t map;
	m->p = p;
	m->value = value;
	m->n = 0;
	TRY(repr_class_attribute(p, t, "_value2member_map_", &map, NULL));
	TRY(object_dict(p->reader, p->layout, map, look_at, m, NULL));
	qsort(m->v, m->n, sizeof *m->v, by_value);
	return 0;
}

static void put_parts(struct repr *p, const struct members *m, const char *module)
{
	for (size_t i = 0; i < m->n; i++) {
		if (i)
			repr_put(p, "|");
		if (*module) {
			repr_put_name(p, module);
			repr_put(p, ".");
		}
		repr_put_name(p, m->v[i].name);
	}
}

/* `<Class.NAME: value>` */
static int show_member(struct repr *p, raddr_t object, const struct repr_type *t, bool is_flag)
{
	raddr_t value;
	int64_t number = 0;
	char name[REPR_NAME];
	struct members *m = NULL;
	bool has_name = read_name(p, object, t, name, sizeof name);
	TRY(repr_attribute(p, object, t, "_value_", &value));
	if (!has_name && !is_flag)
		return ERR_TORN;
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	repr_put(p, "<");
	repr_put_name(p, repr_short_name(t));
	if (has_name) {
		repr_put(p, ".");
		repr_put_name(p, name);
	} else if (layout_minor(p->layout) < 0x30b) {
		m = malloc(sizeof *m);
		if (!m)
			return ERR_NO_MEMORY;
		repr_put(p, ".");
		if (repr_int(p, value, &number) == 0 && find_parts(p, t, number, m) == 0 && m->n)
			put_parts(p, m, "");
		else
			repr_format(p, "%lld", (long long)number);
		free(m);
	}
	repr_put(p, ": ");
	TRY(repr_inner(p, value));
	repr_put(p, ">");
	repr_leave(p);
	return 0;
}

int repr_show_enum(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_member(p, object, t, false);
}

int repr_show_flag(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_member(p, object, t, true);
}

/* `re.IGNORECASE|re.MULTILINE`: enums whose members are names of their module */
int repr_show_global_enum(struct repr *p, raddr_t object, const struct repr_type *t)
{
	char name[REPR_NAME];
	const char *dot = strrchr(t->module, '.'), *module = dot ? dot + 1 : t->module;
	raddr_t value;
	int64_t number;
	if (!read_name(p, object, t, name, sizeof name)) {
		struct members *m = malloc(sizeof *m);
		if (!m)
			return ERR_NO_MEMORY;
		int rc = repr_attribute(p, object, t, "_value_", &value);
		rc = rc < 0 ? rc : repr_int(p, value, &number);
		rc = rc < 0 ? rc : find_parts(p, t, number, m);
		for (size_t i = 0; rc == 0 && i < m->n / 2; i++) { /* the smallest first */
			struct member was = m->v[i];
			m->v[i] = m->v[m->n - 1 - i];
			m->v[m->n - 1 - i] = was;
		}
		if (rc == 0 && m->n)
			put_parts(p, m, module);
		else if (rc == 0)
			repr_format(p, "%s.%s(%lld)", "re", "RegexFlag", (long long)number);
		free(m);
		return rc;
	}
	for (char *part = name, *next; part; part = next) {
		next = strchr(part, '|');
		if (next)
			*next++ = 0;
		if (*part < '0' || *part > '9') {
			repr_put_name(p, module);
			repr_put(p, ".");
		}
		repr_put_name(p, part);
		if (next)
			repr_put(p, "|");
	}
	return 0;
}

/* The class itself: its metaclass is ours to print. */
int repr_show_enum_type(struct repr *p, raddr_t object, const struct repr_type *meta)
{
	int rc;
	const struct repr_type *t = repr_type_at(p, object, &rc);
	if (!t)
		return rc;
	bool is_flag = layout_minor(p->layout) >= 0x30b && repr_derives(p, t, "enum.Flag");
	repr_put(p, is_flag ? "<flag '" : "<enum '");
	repr_put_name(p, repr_short_name(t));
	repr_put(p, "'>");
	return 0;
}

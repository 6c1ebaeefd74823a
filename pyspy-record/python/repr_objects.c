/* Objects by their attributes: plain ones, dataclasses, attrs, named tuples, C's named tuples, exceptions, namespaces.
 */
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

/* The form of a subclass, as far as a name goes that may hold anything. */
static const char *safe_name(const char *name, char *to, size_t room)
{
	struct buf b;
	buf_init(&b, 0);
	repr_name(&b, name, strlen(name));
	snprintf(to, room, "%s", buf_cstr(&b));
	buf_done(&b);
	return to;
}

static int show_one(struct repr *p, void *ctx, const char *name, raddr_t value)
{
	struct repr_row *row = ctx;
	if (!repr_next(p, row))
		return 1;
	return repr_assign(p, name, value);
}

/* `name=value, ...`. What cannot be read is among what is missing. */
static int show_attributes(struct repr *p, raddr_t object, const struct repr_type *t, struct repr_row *row)
{
	int rc = repr_attributes(p, object, t, show_one, row);
	if (rc == ERR_GONE || rc == ERR_NO_MEMORY)
		return rc;
	repr_row_end(p, row);
	return 0;
}

/* Python's default form, with what is in it behind a colon. `inner`: prints what a builtin base holds; NULL: nothing.
 */
static int show_default(struct repr *p, raddr_t object, const struct repr_type *t, repr_show *inner)
{
	char open[2 * REPR_NAME + 64], class[2 * REPR_NAME + 4], safe[2 * REPR_NAME + 4];
	struct repr_row row = {.total = repr_count_attributes(p, object, t), .is_begun = inner != NULL};
	if (strcmp(t->storage->name, "type") == 0) /* its metaclass prints it in its own way */
		return repr_show_type(p, object, t);
	snprintf(class, sizeof class, "%s%s%s", t->module, *t->module ? "." : "", t->qualname);
	snprintf(open, sizeof open, "<%s object at 0x%llx", safe_name(class, safe, sizeof safe),
	         (unsigned long long)object);
	repr_put(p, open);
	bool is_deep = p->depth >= p->limits.depth;
	if (inner && !is_deep) { /* goes into the object itself */
		repr_put(p, ": ");
		TRY(inner(p, object, t));
	}
	if (row.total && !is_deep && repr_enter(p, object, ": ", "", UINT64_MAX)) {
		repr_put(p, inner ? "" : ": ");
		TRY(show_attributes(p, object, t, &row));
		repr_leave(p);
	}
	repr_put(p, ">");
	return 0;
}

int repr_show_object(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_default(p, object, t, NULL);
}

/* It has a __repr__ that cannot be run. */
int repr_show_custom(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_default(p, object, t, t->storage->flags & REPR_HOLDS ? t->storage->show : NULL);
}

static int count_field(struct repr *p, void *ctx, const char *name, raddr_t value)
{
	uint64_t *n = ctx;
	*n += strncmp(name, "__", 2) != 0;
	return *n >= 1 << 16;
}

static int show_field_of(struct repr *p, void *ctx, const char *name, raddr_t value)
{
	return strncmp(name, "__", 2) == 0 ? 0 : show_one(p, ctx, name, value);
}

/* `Name(a=1, b=2)` of all attributes but those that begin with __ */
int repr_show_fields(struct repr *p, raddr_t object, const struct repr_type *t)
{
	struct repr_row row = {0};
	repr_attributes(p, object, t, count_field, &row.total);
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	repr_put_name(p, repr_short_name(t));
	repr_put(p, "(");
	int rc = repr_attributes(p, object, t, show_field_of, &row);
	if (rc == ERR_GONE || rc == ERR_NO_MEMORY)
		return rc;
	repr_row_end(p, &row);
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

/* --- dataclasses */

struct fields {
	struct repr *p;
	raddr_t object;
	const struct repr_type *t;
	struct repr_row row;
};

static bool is_true(struct repr *p, raddr_t object)
{
	int64_t v;
	return repr_int(p, object, &v) == 0 && v != 0;
}

/* One of __dataclass_fields__: name -> Field, which says whether it is shown, and is no ClassVar or InitVar. */
static int show_field(void *ctx, raddr_t key, raddr_t field)
{
	struct fields *f = ctx;
	struct repr *p = f->p;
	raddr_t value, kind;
	char name[REPR_NAME], text[32];
	int rc;
	const struct repr_type *ft = repr_type_of(p, field, &rc), *kt;
	if (!ft)
		return rc == ERR_GONE ? rc : 0;
	if (repr_attribute(p, field, ft, "repr", &value) == 0 && !is_true(p, value))
		return 0;
	if (repr_attribute(p, field, ft, "_field_type", &kind) == 0 && (kt = repr_type_of(p, kind, &rc)) &&
	    repr_attribute(p, kind, kt, "name", &value) == 0 && repr_text(p, value, text, sizeof text) == 0 &&
	    strcmp(text, "_FIELD") != 0)
		return 0;
	if (repr_text(p, key, name, sizeof name) < 0)
		return 0;
	if (!repr_next(p, &f->row))
		return 1;
	if (repr_any_attribute(p, f->object, f->t, name, &value) == 0)
		return repr_assign(p, name, value);
	repr_put_name(p, name);
	repr_put(p, "=<unset>");
	return 0;
}

int repr_show_dataclass(struct repr *p, raddr_t object, const struct repr_type *t)
{
	struct fields f = {.p = p, .object = object, .t = t};
	raddr_t dict, fields;
	TRY(repr_word(p, t->maker + p->shape->type.dict, &dict));
	TRY(object_dict_get(p->reader, p->layout, dict, "__dataclass_fields__", &fields, NULL));
	f.row.total = repr_dict_len(p, fields);
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	repr_put_name(p, t->qualname);
	repr_put(p, "(");
	int rc = object_dict(p->reader, p->layout, fields, show_field, &f, NULL);
	if (rc == ERR_GONE || rc == ERR_NO_MEMORY)
		return rc;
	if (rc != 0)
		repr_row_end(p, &f.row);
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

/* --- attrs: a tuple of Attribute objects */

int repr_show_attrs(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t dict, attrs, items[64], value;
	uint64_t n;
	struct repr_row row = {0};
	TRY(repr_word(p, t->maker + p->shape->type.dict, &dict));
	TRY(object_dict_get(p->reader, p->layout, dict, "__attrs_attrs__", &attrs, NULL));
	TRY(repr_word(p, attrs + p->layout->tuple.ob_size, &n));
	n = n > 64 ? 64 : n;
	TRY(reader_read(p->reader, attrs + p->layout->tuple.ob_item, items, n * 8));
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	const char *local = strstr(t->qualname, ">.");
	repr_put_name(p, local ? local + 2 : t->qualname);
	repr_put(p, "(");
	for (row.total = n; row.total; row.total--) {
		char name[REPR_NAME];
		raddr_t attr = items[n - row.total];
		int rc;
		const struct repr_type *at = repr_type_of(p, attr, &rc);
		if (!at || repr_attribute(p, attr, at, "name", &value) < 0 ||
		    repr_text(p, value, name, sizeof name) < 0)
			continue;
		int64_t shown;
		if (repr_attribute(p, attr, at, "repr", &value) == 0 && repr_int(p, value, &shown) == 0 && !shown)
			continue;
		if (!repr_next(p, &row))
			break;
		if (repr_any_attribute(p, object, t, name, &value) == 0) {
			TRY(repr_assign(p, name, value));
		} else {
			repr_put_name(p, name);
			repr_put(p, "=NOTHING");
		}
	}
	if (row.total) {
		row.total += row.shown;
		repr_row_end(p, &row);
	}
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

/* --- tuples with names */

enum { NAMED_MAX = 256 };

/* The i-th item's name: from _fields, or of a C type from its members. */
typedef int name_of(struct repr *p, const struct repr_type *t, raddr_t names, uint64_t i, char *to, size_t room);

static int name_in_fields(struct repr *p, const struct repr_type *t, raddr_t fields, uint64_t i, char *to, size_t room)
{
	raddr_t name;
	TRY(repr_word(p, fields + p->layout->tuple.ob_item + i * 8, &name));
	return repr_text(p, name, to, room);
}

static int name_in_members(struct repr *p, const struct repr_type *t, raddr_t members, uint64_t i, char *to,
                           size_t room)
{
	bool wide = p->layout->object.wide_sizes;
	uint64_t name;
	/* by number and not by offset, as repr() does: items without a name are not among them */
	TRY(repr_word(p, members + i * (wide ? 40 : 32), &name));
	return name ? repr_c_string(p, name, to, room) : ERR_AGAIN;
}

static int show_named(struct repr *p, raddr_t object, const struct repr_type *t, const char *class, name_of *name_at,
                      raddr_t names)
{
	struct repr_row row = {0};
	TRY(repr_word(p, object + p->layout->tuple.ob_size, &row.total));
	if (row.total > NAMED_MAX)
		return ERR_TORN;
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	repr_put_name(p, class);
	repr_put(p, "(");
	while (row.shown < row.total && repr_next(p, &row)) {
		char name[REPR_NAME];
		raddr_t value;
		TRY(name_at(p, t, names, row.shown - 1, name, sizeof name));
		TRY(repr_word(p, object + p->layout->tuple.ob_item + (row.shown - 1) * 8, &value));
		TRY(repr_assign(p, name, value));
	}
	repr_row_end(p, &row);
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

int repr_show_namedtuple(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t fields;
	uint64_t n, items;
	int rc;
	TRY(repr_class_attribute(p, t, "_fields", &fields, NULL));
	TRY(repr_word(p, fields + p->layout->tuple.ob_size, &n));
	TRY(repr_word(p, object + p->layout->tuple.ob_size, &items));
	if (n != items)
		return repr_show_tuple(p, object, t);
	const struct repr_type *maker = p->layout->is_python2 && t->maker ? repr_type_at(p, t->maker, &rc) : NULL;
	return show_named(p, object, t, repr_short_name(maker ? maker : t), name_in_fields, fields);
}

int repr_show_structseq(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t members;
	char name[REPR_NAME];
	/* in front of tp_base: tp_members, tp_getset */
	TRY(repr_word(p, t->at + p->shape->type.base - 16, &members));
	if (!object_is_address(members) || name_in_members(p, t, members, 0, name, sizeof name) < 0)
		return repr_show_tuple(p, object, t);
	return show_named(p, object, t, t->name, name_in_members, members);
}

/* --- exceptions */

int repr_show_exception(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t args;
	uint64_t n;
	int rc;
	TRY(repr_word(p, object + repr_body(p) + 8, &args)); /* dict, args */
	const struct repr_type *at = repr_type_of(p, args, &rc);
	if (!at || strcmp(at->storage->name, "tuple") != 0)
		return ERR_TORN;
	TRY(repr_word(p, args + p->layout->tuple.ob_size, &n));
	repr_put_name(p, repr_short_name(t));
	/* up to 3.6 the tuple as it is: ValueError('x',) */
	if (n != 1 || layout_minor(p->layout) < 0x307)
		return repr_show_tuple(p, args, at);
	return repr_vector(p, args, args + p->layout->tuple.ob_item, 1, "(", ")");
}

/* 3.15: `ImportError('x', name='m')`. Behind dict, args, notes, traceback, context, cause, a flag and msg: name, path.
 */
int repr_show_import_error(struct repr *p, raddr_t object, const struct repr_type *t)
{
	static const char *const names[] = {"name", "path"};
	raddr_t words[2];
	uint64_t n, args;
	if (layout_minor(p->layout) < 0x30f)
		return repr_show_exception(p, object, t);
	TRY(reader_read(p->reader, object + repr_body(p) + 64, words, sizeof words));
	TRY(repr_word(p, object + repr_body(p) + 8, &args));
	TRY(repr_word(p, args + p->layout->tuple.ob_size, &n));
	TRY(repr_show_exception(p, object, t));
	for (int i = 0; i < 2; i++)
		if (words[i]) {
			size_t len = p->out->len;
			if (len && p->out->data[len - 1] == ')') { /* go on in front of it */
				p->out->len--;
				p->chars--;
			}
			repr_format(p, "%s%s=", n || i ? ", " : "", names[i]);
			TRY(repr_inner(p, words[i]));
			repr_put(p, ")");
		}
	return 0;
}

/* --- types.SimpleNamespace */

struct named {
	VEC(struct named_value {
		raddr_t value;
		char name[REPR_NAME];
	})
	v;
};

static int gather_named(struct repr *p, void *ctx, const char *name, raddr_t value)
{
	struct named *g = ctx;
	struct named_value v = {.value = value};
	snprintf(v.name, sizeof v.name, "%s", name);
	if (g->v.n >= 4096)
		return 1;
	return vec_push(&g->v, v) ? 0 : ERR_NO_MEMORY;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named_value *)a)->name, ((const struct named_value *)b)->name);
}

/* Up to 3.8 sorted by name. */
static int show_sorted(struct repr *p, raddr_t object, const struct repr_type *t, struct repr_row *row)
{
	struct named g = {0};
	int rc = repr_attributes(p, object, t, gather_named, &g);
	if (rc >= 0 && g.v.n)
		qsort(g.v.v, g.v.n, sizeof *g.v.v, by_name);
	for (size_t i = 0; rc >= 0 && i < g.v.n && repr_next(p, row); i++)
		rc = repr_assign(p, g.v.v[i].name, g.v.v[i].value);
	if (rc >= 0)
		repr_row_end(p, row);
	vec_free(&g.v);
	return rc < 0 ? rc : 0;
}

int repr_show_namespace(struct repr *p, raddr_t object, const struct repr_type *t)
{
	struct repr_row row = {.total = repr_count_attributes(p, object, t)};
	bool is_exact = strcmp(t->name, t->storage->name) == 0;
	if (!repr_enter(p, object, is_exact ? "namespace(" : "", is_exact ? ")" : "", UINT64_MAX))
		return 0;
	repr_put_name(p, is_exact ? "namespace" : t->name);
	repr_put(p, "(");
	TRY((layout_minor(p->layout) < 0x309 ? show_sorted : show_attributes)(p, object, t, &row));
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

/* --- 2.x: instances of classes that do not derive from object: class, dict */

int repr_show_instance2(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t words[2], name, class_dict, module;
	char text[REPR_NAME] = "?", module_name[REPR_NAME] = "";
	struct fields f = {.p = p, .object = object, .t = t};
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	TRY(repr_word(p, words[0] + repr_body(p) + 16, &name)); /* of the class: bases, dict, name */
	TRY(repr_word(p, words[0] + repr_body(p) + 8, &class_dict));
	repr_text(p, name, text, sizeof text);
	if (object_dict_get(p->reader, p->layout, class_dict, "__module__", &module, NULL) == 0)
		repr_text(p, module, module_name, sizeof module_name);
	f.row.total = repr_dict_len(p, words[1]);
	repr_put(p, "<");
	repr_put_name(p, module_name);
	repr_put(p, ".");
	repr_put_name(p, text);
	repr_format(p, " instance at 0x%llx", (unsigned long long)object);
	if (f.row.total && p->depth < p->limits.depth && repr_enter(p, object, ": ", "", UINT64_MAX)) {
		repr_put(p, ": ");
		TRY(repr_dict_attributes(p, words[1], show_one, &f.row));
		repr_row_end(p, &f.row);
		repr_leave(p);
	}
	repr_put(p, ">");
	return 0;
}

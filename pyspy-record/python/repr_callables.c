/* Classes, functions, methods, modules, generators: by qualified name; addresses are left out. */
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

int repr_show_type(struct repr *p, raddr_t object, const struct repr_type *meta)
{
	int rc;
	const struct repr_type *t = repr_type_at(p, object, &rc);
	if (!t)
		return rc;
	bool is_builtin2 = p->layout->is_python2 && !(t->flags & REPR_HEAPTYPE);
	repr_put(p, is_builtin2 ? "<type '" : "<class '");
	repr_put_type(p, t);
	repr_put(p, "'>");
	return 0;
}

/* 2.x: a class that does not derive from object: bases, dict, name */
int repr_show_class2(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t words[3], module;
	char name[REPR_NAME] = "?", in[REPR_NAME] = "?";
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	repr_text(p, words[2], name, sizeof name);
	if (object_dict_get(p->reader, p->layout, words[1], "__module__", &module, NULL) == 0)
		repr_text(p, module, in, sizeof in);
	repr_put(p, "<class ");
	repr_put_name(p, in);
	repr_put(p, ".");
	repr_put_name(p, name);
	repr_put(p, ">");
	return 0;
}

static int name_at(struct repr *p, raddr_t at, char *to, size_t room)
{
	raddr_t name;
	TRY(repr_word(p, at, &name));
	return repr_text(p, name, to, room);
}

static int show_named(struct repr *p, raddr_t name_at_, const char *open, const char *close)
{
	char name[REPR_NAME];
	TRY(name_at(p, name_at_, name, sizeof name));
	repr_put(p, open);
	repr_put_name(p, name);
	repr_put(p, close);
	return 0;
}

int repr_show_function(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_named(p, object + p->shape->function.name, "<function ", ">");
}

int repr_show_builtin(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t definition, name, self;
	char text[REPR_NAME];
	int rc;
	TRY(repr_word(p, object + p->shape->builtin.definition, &definition));
	TRY(repr_word(p, object + p->shape->builtin.self, &self));
	TRY(repr_word(p, definition, &name)); /* ml_name is the first of PyMethodDef */
	TRY(repr_c_string(p, name, text, sizeof text));
	const struct repr_type *of = self ? repr_type_of(p, self, &rc) : NULL;
	if (!of || strcmp(of->storage->name, "module") == 0) {
		repr_put(p, "<built-in function ");
		repr_put_name(p, text);
	} else {
		repr_put(p, "<built-in method ");
		repr_put_name(p, text);
		repr_put(p, " of ");
		repr_put_name(p, of->name);
		repr_put(p, " object");
	}
	repr_put(p, ">");
	return 0;
}

int repr_show_method(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t function, self, class;
	char name[REPR_NAME] = "?";
	int rc;
	TRY(repr_word(p, object + p->shape->method.function, &function));
	TRY(repr_word(p, object + p->shape->method.self, &self));
	const struct repr_type *ft = repr_type_of(p, function, &rc);
	if (ft && strcmp(ft->storage->name, "function") == 0) {
		TRY(name_at(p, function + p->shape->function.name, name, sizeof name));
	} else if (ft && strcmp(ft->storage->name, "builtin_function_or_method") == 0) {
		uint64_t definition, text;
		TRY(repr_word(p, function + p->shape->builtin.definition, &definition));
		TRY(repr_word(p, definition, &text));
		TRY(repr_c_string(p, text, name, sizeof name));
	}
	if (!repr_enter(p, object, "<bound method ", ">", UINT64_MAX))
		return 0;
	repr_put(p, self ? "<bound method " : "<unbound method ");
	if (p->layout->is_python2 && repr_word(p, object + p->shape->method.self + 8, &class) == 0) {
		const struct repr_type *ct = repr_type_of(p, class, &rc);
		char class_name[REPR_NAME] = "?";
		if (ct && strcmp(ct->storage->name, "classobj") == 0)
			name_at(p, class + repr_body(p) + 16, class_name, sizeof class_name);
		else if (ct && (ct = repr_type_at(p, class, &rc)))
			snprintf(class_name, sizeof class_name, "%s", repr_short_name(ct));
		repr_put_name(p, class_name);
		repr_put(p, ".");
	}
	repr_put_name(p, name);
	if (self) {
		repr_put(p, " of ");
		TRY(repr_inner(p, self));
	}
	repr_put(p, ">");
	repr_leave(p);
	return 0;
}

/* Descriptors begin with the type and the name. */
static int show_descriptor(struct repr *p, raddr_t object, const char *open)
{
	raddr_t words[2];
	char name[REPR_NAME];
	int rc;
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	TRY(repr_text(p, words[1], name, sizeof name));
	const struct repr_type *of = repr_type_at(p, words[0], &rc);
	if (!of)
		return rc;
	repr_put(p, open);
	repr_put(p, " '");
	repr_put_name(p, name);
	/* 3.15: that of `object` is everybody's */
	if (layout_minor(p->layout) >= 0x30f && strcmp(of->name, "object") == 0) {
		repr_put(p, "'>");
		return 0;
	}
	repr_put(p, "' of '");
	repr_put_name(p, of->name);
	repr_put(p, "' objects>");
	return 0;
}

int repr_show_method_descriptor(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_descriptor(p, object, "<method");
}

int repr_show_slot_wrapper(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_descriptor(p, object, "<slot wrapper");
}

int repr_show_getset(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_descriptor(p, object, "<attribute");
}

int repr_show_member(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_descriptor(p, object, "<member");
}

/* A wrapper of a slot, and what it is bound to. */
int repr_show_method_wrapper(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t words[2], text;
	char name[REPR_NAME];
	int rc;
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	TRY(repr_word(p, words[0] + repr_body(p) + 8, &text));
	TRY(repr_text(p, text, name, sizeof name));
	const struct repr_type *of = repr_type_of(p, words[1], &rc);
	if (!of)
		return rc;
	repr_put(p, "<method-wrapper '");
	repr_put_name(p, name);
	repr_put(p, "' of ");
	repr_put_name(p, of->name);
	repr_put(p, " object>");
	return 0;
}

/* From 3.10 on with what it wraps. */
static int show_wrapped(struct repr *p, raddr_t object, const struct repr_type *t, const char *open)
{
	raddr_t callable;
	if (layout_minor(p->layout) < 0x30a)
		return repr_show_object(p, object, t);
	TRY(repr_word(p, object + repr_body(p), &callable));
	if (!repr_enter(p, object, open, ")>", UINT64_MAX))
		return 0;
	repr_put(p, open);
	TRY(repr_inner(p, callable));
	repr_put(p, ")>");
	repr_leave(p);
	return 0;
}

int repr_show_staticmethod(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_wrapped(p, object, t, "<staticmethod(");
}

int repr_show_classmethod(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_wrapped(p, object, t, "<classmethod(");
}

/* A class by its name alone, as in annotations. */
static int show_in_alias(struct repr *p, raddr_t object)
{
	int rc;
	const struct repr_type *t = repr_type_of(p, object, &rc), *class = NULL;
	if (t && strcmp(t->name, "ellipsis") == 0) {
		repr_put(p, "...");
		return 0;
	}
	if (t && strcmp(t->storage->name, "type") == 0)
		class = repr_type_at(p, object, &rc);
	if (!class)
		return repr_inner(p, object);
	if (repr_is_none(class))
		repr_put(p, "None");
	else
		repr_put_type(p, class);
	return 0;
}

static int show_arguments(struct repr *p, raddr_t tuple, const char *between)
{
	uint64_t n;
	raddr_t item;
	if (object_type_is(p->reader, p->layout, tuple, "tuple") != 1)
		return ERR_TORN;
	TRY(repr_word(p, tuple + p->layout->tuple.ob_size, &n));
	for (uint64_t i = 0; i < n && i < p->limits.items; i++) {
		repr_put(p, i ? between : "");
		if (repr_room(p) == 0) {
			repr_put(p, "\xe2\x80\xa6");
			break;
		}
		TRY(repr_word(p, tuple + p->layout->tuple.ob_item + i * 8, &item));
		TRY(show_in_alias(p, item));
	}
	return 0;
}

/* `list[int]`: origin, arguments */
int repr_show_alias(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t words[2];
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	TRY(show_in_alias(p, words[0]));
	repr_put(p, "[");
	TRY(show_arguments(p, words[1], ", "));
	repr_put(p, "]");
	repr_leave(p);
	return 0;
}

/* `int | str`: arguments */
int repr_show_union(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t arguments;
	TRY(repr_word(p, object + repr_body(p), &arguments));
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	TRY(show_arguments(p, arguments, " | "));
	repr_leave(p);
	return 0;
}

/* --- modules */

static bool text_of(struct repr *p, raddr_t dict, const char *key, raddr_t *value)
{
	return object_dict_get(p->reader, p->layout, dict, key, value, NULL) == 0 &&
	       object_is_text(p->reader, p->layout, *value) == 1;
}

/* Of a module that came from no place: what loaded it. */
static int show_loader(struct repr *p, raddr_t loader)
{
	int rc;
	const struct repr_type *t = repr_type_of(p, loader, &rc), *class = NULL;
	if (!t || repr_is_none(t))
		return 0;
	if (strcmp(t->storage->name, "type") == 0)
		class = repr_type_at(p, loader, &rc);
	if (class && strcmp(class->name, "BuiltinImporter") == 0)
		repr_put(p, " (built-in)");
	else if (class && strcmp(class->name, "FrozenImporter") == 0)
		repr_put(p, " (frozen)");
	else if (strstr(t->name, "NamespaceLoader"))
		repr_put(p, " (namespace)");
	return 0;
}

/* `<module 'os' from '/usr/lib/python3.11/os.py'>`: by its spec, else by its file */
int repr_show_module(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t dict, spec, name, file, value;
	int64_t has_location = 0;
	int rc;
	char origin[REPR_NAME];
	TRY(repr_word(p, object + p->layout->module.dict, &dict));
	bool has_name = text_of(p, dict, "__name__", &name);
	const struct repr_type *st = NULL;
	if (!p->layout->is_python2 && object_dict_get(p->reader, p->layout, dict, "__spec__", &spec, NULL) == 0)
		st = repr_type_of(p, spec, &rc);
	repr_put(p, "<module ");
	if (has_name)
		TRY(repr_inner(p, name));
	else
		repr_put(p, "'?'");
	if (st && !repr_is_none(st)) {
		if (repr_attribute(p, spec, st, "_set_fileattr", &value) == 0)
			repr_int(p, value, &has_location);
		if (repr_attribute(p, spec, st, "origin", &value) == 0 &&
		    repr_text(p, value, origin, sizeof origin) == 0) {
			if (has_location) {
				repr_put(p, " from ");
				TRY(repr_inner(p, value));
			} else {
				repr_put(p, " (");
				repr_put_name(p, origin);
				repr_put(p, ")");
			}
		} else if (repr_attribute(p, spec, st, "loader", &value) == 0) {
			TRY(show_loader(p, value));
		}
	} else if (text_of(p, dict, "__file__", &file)) {
		repr_put(p, " from ");
		TRY(repr_inner(p, file));
	} else if (p->layout->is_python2) {
		repr_put(p, " (built-in)");
	}
	repr_put(p, ">");
	return 0;
}

/* --- generators and their like */

static int show_generator(struct repr *p, raddr_t object, const char *open)
{
	uint64_t code;
	if (p->shape->generator.name)
		return show_named(p, object + p->shape->generator.name, open, ">");
	if (layout_minor(p->layout) < 0x206 || !p->shape->generator.code)
		return show_named(p, object, "<generator", ">");
	TRY(repr_word(p, object + p->shape->generator.code, &code));
	return show_named(p, code + p->layout->code.name, open, ">");
}

int repr_show_generator(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_generator(p, object, "<generator object ");
}

int repr_show_coroutine(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_generator(p, object, "<coroutine object ");
}

int repr_show_async_generator(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_generator(p, object, "<async_generator object ");
}

int repr_show_code(struct repr *p, raddr_t object, const struct repr_type *t)
{
	unsigned char line[4];
	char name[REPR_NAME], file[1024];
	TRY(name_at(p, object + p->layout->code.name, name, sizeof name));
	TRY(name_at(p, object + p->layout->code.filename, file, sizeof file));
	TRY(reader_read(p->reader, object + p->layout->code.first_line, line, sizeof line));
	repr_put(p, "<code object ");
	repr_put_name(p, name);
	repr_put(p, ", file \"");
	repr_put_name(p, file);
	repr_format(p, "\", line %d>", (int)object_u32(line, 0));
	return 0;
}

/* --- what leads to other objects */

int repr_show_weakref(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t to;
	int rc;
	TRY(repr_word(p, object + p->shape->weakref.object, &to));
	const struct repr_type *of = repr_type_of(p, to, &rc);
	if (!of)
		return rc;
	repr_format(p, "<weakref at 0x%llx; ", (unsigned long long)object);
	if (repr_is_none(of)) {
		repr_put(p, "dead>");
		return 0;
	}
	repr_put(p, "to '");
	repr_put_name(p, of->name);
	repr_format(p, "' at 0x%llx>", (unsigned long long)to);
	return 0;
}

int repr_show_memory(struct repr *p, raddr_t object, const struct repr_type *t)
{
	repr_format(p, "<memory at 0x%llx>", (unsigned long long)object);
	return 0;
}

int repr_show_cell(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t to;
	int rc;
	TRY(repr_word(p, object + p->shape->cell.ref, &to));
	const struct repr_type *of = to ? repr_type_of(p, to, &rc) : NULL;
	repr_format(p, "<cell at 0x%llx: ", (unsigned long long)object);
	if (of) {
		repr_put_name(p, of->name);
		repr_format(p, " object at 0x%llx>", (unsigned long long)to);
	} else {
		repr_put(p, "empty>");
	}
	return 0;
}

struct keywords {
	struct repr *p;
	struct repr_row row;
};

static int show_keyword(void *ctx, raddr_t key, raddr_t value)
{
	struct keywords *k = ctx;
	char name[REPR_NAME];
	if (repr_text(k->p, key, name, sizeof name) < 0)
		return 0;
	if (!repr_next(k->p, &k->row))
		return 1;
	return repr_assign(k->p, name, value);
}

/* functools.partial: function, args, keywords */
int repr_show_partial(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t words[3], item;
	uint64_t n;
	struct keywords k = {.p = p, .row = {.is_begun = true}};
	if (p->layout->is_python2)
		return repr_show_object(p, object, t);
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	TRY(repr_word(p, words[1] + p->layout->tuple.ob_size, &n));
	if (n > 1 << 20)
		return ERR_TORN;
	if (!repr_enter(p, object, "...", "", UINT64_MAX))
		return 0;
	repr_put_type(p, t);
	repr_put(p, "(");
	TRY(repr_inner(p, words[0]));
	k.row.total = n + repr_dict_len(p, words[2]);
	for (uint64_t i = 0; i < n && repr_next(p, &k.row); i++) {
		TRY(repr_word(p, words[1] + p->layout->tuple.ob_item + i * 8, &item));
		TRY(repr_inner(p, item));
	}
	if (k.row.total > n)
		TRY(object_dict(p->reader, p->layout, words[2], show_keyword, &k, NULL));
	repr_row_end(p, &k.row);
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

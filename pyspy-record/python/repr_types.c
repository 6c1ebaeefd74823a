/* What a type is: its names, which builtin it derives from, and what its instances' repr() is made by. */
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

static bool is_python_class(const char *name, uint64_t flags)
{
	/* C's heap types have the module in tp_name */
	return flags & REPR_HEAPTYPE && !strchr(name, '.');
}

static int read_ssize(struct repr *p, raddr_t at, int64_t *v)
{
	unsigned char raw[8] = {0};
	TRY(reader_read(p->reader, at, raw, p->layout->object.wide_sizes ? 8 : 4));
	*v = object_size(p->layout, raw, 0);
	return 0;
}

/* A core may lack the names of static types, which are in the program. Those that others derive from have a flag each
 * (Include/object.h); derived ones (bool) cannot be told. */
static int name_by_flags(struct repr *p, struct repr_type *t)
{
	static const char *const names[] = {"int", "list", "tuple", "bytes", "str", "dict"};
	static const char *const names2[] = {"long", "list", "tuple", "str", "unicode", "dict"};
	enum { FIRST = 24, INT2 = 1 << 23 };
	const char *name = NULL;
	uint64_t above = 0;
	bool is_2 = p->layout->is_python2;
	if (t->base)
		TRY(repr_word(p, t->base + p->shape->type.base, &above));
	else
		name = "object";
	for (size_t i = 0; i < sizeof names / sizeof *names && !above && t->base && !name; i++)
		if (t->flags >> (FIRST + i) & 1)
			name = is_2 ? names2[i] : names[i];
	if (is_2 && t->flags & INT2 && t->base && !above)
		name = "int";
	if (!name)
		return ERR_MEMORY_READ;
	snprintf(t->name, sizeof t->name, "%s", name);
	return 0;
}

static int read_type(struct repr *p, raddr_t at, struct repr_type *t)
{
	const struct layout *l = p->layout;
	uint64_t name;
	*t = (struct repr_type){.at = at};
	if (!object_is_address(at))
		return ERR_TORN;
	TRY(repr_word(p, at + l->type.name, &name));
	int named = repr_c_string(p, name, t->name, sizeof t->name);
	if (named < 0 && !p->reader->core)
		return named;
	TRY(repr_word(p, at + l->type.flags, &t->flags));
	TRY(read_ssize(p, at + l->type.basicsize, &t->basicsize));
	TRY(read_ssize(p, at + p->shape->type.itemsize, &t->itemsize));
	TRY(repr_word(p, at + p->shape->type.base, &t->base));
	TRY(repr_word(p, at + p->shape->type.dict, &t->dict));
	TRY(repr_word(p, at + p->shape->type.mro, &t->mro));
	TRY(repr_word(p, at + p->shape->type.repr, &t->repr));
	return named < 0 ? name_by_flags(p, t) : 0;
}

/* The nearest known type among it and its bases, and that type's tp_repr. */
static const struct repr_known *find_storage(struct repr *p, const struct repr_type *t, raddr_t *its_repr)
{
	struct repr_type base = *t;
	for (int i = 0; i < REPR_BASES_MAX; i++) {
		const struct repr_known *known =
		    is_python_class(base.name, base.flags) ? NULL : repr_known_type(base.name);
		*its_repr = base.repr;
		if (known)
			return known;
		if (!base.base || read_type(p, base.base, &base) < 0)
			break;
	}
	*its_repr = 0;
	return repr_known_type("object");
}

static int find_names(struct repr *p, struct repr_type *t)
{
	uint64_t word;
	raddr_t module;
	char *dot = strrchr(t->name, '.');
	snprintf(t->qualname, sizeof t->qualname, "%s", dot ? dot + 1 : t->name);
	if (dot)
		snprintf(t->module, sizeof t->module, "%.*s", (int)(dot - t->name), t->name);
	if (t->flags & REPR_HEAPTYPE) {
		char text[REPR_NAME];
		if (repr_word(p, t->at + p->shape->type.qualname, &word) == 0 &&
		    repr_text(p, word, text, sizeof text) == 0)
			memcpy(t->qualname, text, sizeof text);
		if (t->dict && object_dict_get(p->reader, p->layout, t->dict, "__module__", &module, NULL) == 0 &&
		    repr_text(p, module, text, sizeof text) == 0)
			memcpy(t->module, text, sizeof text);
	}
	if (strcmp(t->module, "builtins") == 0 || strcmp(t->module, "__builtin__") == 0)
		*t->module = 0;
	return 0;
}

/* The classes that an attribute is looked for in, in order. */
static size_t read_mro(struct repr *p, const struct repr_type *t, raddr_t *classes)
{
	int64_t n;
	if (!object_is_address(t->mro) || read_ssize(p, t->mro + p->layout->tuple.ob_size, &n) < 0 || n < 1 ||
	    n > 1 << 16)
		n = 0;
	n = n > REPR_BASES_MAX ? REPR_BASES_MAX : n;
	if (n == 0 || reader_read(p->reader, t->mro + p->layout->tuple.ob_item, classes, (size_t)n * 8) < 0) {
		classes[0] = t->at;
		return 1;
	}
	return (size_t)n;
}

int repr_class_attribute(struct repr *p, const struct repr_type *t, const char *name, raddr_t *value, raddr_t *owner)
{
	raddr_t classes[REPR_BASES_MAX], dict;
	size_t n = read_mro(p, t, classes);
	for (size_t i = 0; i < n; i++) {
		if (!object_is_address(classes[i]) || repr_word(p, classes[i] + p->shape->type.dict, &dict) < 0 ||
		    !dict)
			continue;
		int rc = object_dict_get(p->reader, p->layout, dict, name, value, NULL);
		if (rc == 0 && owner)
			*owner = classes[i];
		if (rc == 0 || rc == ERR_GONE)
			return rc;
	}
	return ERR_AGAIN;
}

/* "module.Class.__repr__" of the function that a class has as its __repr__; and its code's file name. */
static int method_name(struct repr *p, raddr_t function, raddr_t owner, char *name, size_t room, char *file,
                       size_t file_room)
{
	char module[REPR_NAME] = "", qualname[REPR_NAME] = "", class[REPR_NAME] = "";
	uint64_t word, code;
	TRY(object_type_is(p->reader, p->layout, function, "function") == 1 ? 0 : ERR_TORN);
	TRY(repr_word(p, function + p->shape->function.module, &word));
	if (word)
		repr_text(p, word, module, sizeof module);
	TRY(repr_word(p, function + p->shape->function.name, &word));
	TRY(repr_text(p, word, qualname, sizeof qualname));
	TRY(repr_word(p, function + p->shape->function.code, &code));
	TRY(repr_word(p, code + p->layout->code.filename, &word));
	repr_text(p, word, file, file_room);
	if (p->layout->is_python2 && repr_word(p, owner + p->shape->type.qualname, &word) == 0) {
		repr_text(p, word, class, sizeof class);
		snprintf(name, room, "%s.%s.%s", module, class, qualname);
	} else {
		snprintf(name, room, "%s.%s", module, qualname);
	}
	return 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), k = strlen(end);
	return n >= k && strcmp(text + n - k, end) == 0;
}

static bool has_own(struct repr *p, raddr_t owner, const char *name)
{
	raddr_t dict, value;
	return repr_word(p, owner + p->shape->type.dict, &dict) == 0 && dict &&
	       object_dict_get(p->reader, p->layout, dict, name, &value, NULL) == 0;
}

/* What a Python function as __repr__ makes. */
static repr_show *show_of_function(struct repr *p, const struct repr_type *t, raddr_t function, raddr_t owner)
{
	char name[3 * REPR_NAME + 3], file[256] = "";
	raddr_t value;
	if (method_name(p, function, owner, name, sizeof name, file, sizeof file) < 0)
		return repr_show_custom;
	repr_show *known = repr_known_method(name);
	if (known)
		return known;
	if ((ends_with(file, "/dataclasses.py") || ends_with(file, "/reprlib.py") || strcmp(file, "<string>") == 0 ||
	     strcmp(file, "<frozen reprlib>") == 0) &&
	    has_own(p, owner, "__dataclass_fields__"))
		return repr_show_dataclass;
	if (strncmp(file, "<attrs generated", 16) == 0 && has_own(p, owner, "__attrs_attrs__"))
		return repr_show_attrs;
	/* collections.namedtuple makes it in a namespace of its own, or by exec; typing.NamedTuple too */
	if (strcmp(t->storage->name, "tuple") == 0 && has_own(p, owner, "_fields") &&
	    (ends_with(file, "/collections/__init__.py") || ends_with(file, "/collections.py") ||
	     strncmp(file, "<string>", 8) == 0 || strcmp(file, "<frozen collections>") == 0) &&
	    repr_class_attribute(p, t, "_fields", &value, NULL) == 0)
		return repr_show_namedtuple;
	return repr_show_custom;
}

/* A C type's repr as an attribute: that of which type? */
static repr_show *show_of_wrapper(struct repr *p, raddr_t wrapper)
{
	uint64_t type, name_at;
	char name[REPR_NAME];
	if (object_type_is(p->reader, p->layout, wrapper, "wrapper_descriptor") != 1 ||
	    repr_word(p, wrapper + repr_body(p), &type) < 0 || !object_is_address(type) ||
	    repr_word(p, type + p->layout->type.name, &name_at) < 0 || repr_c_string(p, name_at, name, sizeof name) < 0)
		return NULL;
	const struct repr_known *known = repr_known_type(name);
	return known ? known->show : NULL;
}

static repr_show *find_show(struct repr *p, struct repr_type *t)
{
	raddr_t storage_repr, classes[REPR_BASES_MAX], value;
	if (t->storage->show == repr_show_numpy_scalar || t->storage->show == repr_show_ndarray)
		return t->storage->show;
	find_storage(p, t, &storage_repr);
	if (t->repr == storage_repr || !storage_repr)
		return t->storage->show;
	size_t n = read_mro(p, t, classes);
	for (size_t i = 0; i < n; i++) {
		struct repr_type base;
		if (read_type(p, classes[i], &base) < 0)
			continue;
		const struct repr_known *known =
		    is_python_class(base.name, base.flags) ? NULL : repr_known_type(base.name);
		if (known && base.repr == t->repr)
			return known->show;
		if (base.dict && base.flags & REPR_HEAPTYPE &&
		    object_dict_get(p->reader, p->layout, base.dict, "__repr__", &value, NULL) == 0) {
			t->maker = base.at;
			repr_show *wrapped = show_of_wrapper(p, value);
			if (wrapped)
				return wrapped;
			if (is_python_class(base.name, base.flags))
				return show_of_function(p, t, value, base.at);
			break;
		}
	}
	if (!is_python_class(t->name, t->flags) &&
	    (strcmp(t->storage->name, "tuple") == 0 || /* 2.x: they are no tuples */
	     (p->layout->is_python2 && has_own(p, t->at, "n_sequence_fields"))))
		return repr_show_structseq;
	return repr_show_custom;
}

const struct repr_type *repr_type_at(struct repr *p, raddr_t type, int *rc)
{
	bool is_new;
	raddr_t unused;
	uint32_t *known = map_get(&p->type_at, type, 0);
	if (known && *known)
		return p->types.v[*known - 1];
	*rc = ERR_FULL;
	if (p->types.n >= REPR_TYPES_MAX)
		return NULL;
	struct repr_type *t = malloc(sizeof *t);
	*rc = ERR_NO_MEMORY;
	if (!t)
		return NULL;
	*rc = read_type(p, type, t);
	if (*rc == 0) {
		t->storage = find_storage(p, t, &unused);
		t->show = repr_show_object;
		find_names(p, t);
		t->show = find_show(p, t);
	}
	/* what could not be read now may be later */
	uint32_t *place =
	    *rc < 0 || p->cache->is_late || p->cache->is_spent ? NULL : map_put(&p->type_at, type, 0, &is_new);
	if (*rc == 0 && !vec_push(&p->types, t))
		*rc = ERR_NO_MEMORY;
	if (*rc < 0) {
		free(t);
		return NULL;
	}
	if (place)
		*place = (uint32_t)p->types.n;
	return t;
}

const struct repr_type *repr_type_of(struct repr *p, raddr_t object, int *rc)
{
	uint64_t type;
	*rc = ERR_TORN;
	if (!object_is_address(object))
		return NULL;
	*rc = repr_word(p, object + p->layout->object.type, &type);
	return *rc < 0 ? NULL : repr_type_at(p, type, rc);
}

bool repr_derives(struct repr *p, const struct repr_type *t, const char *qualified)
{
	raddr_t classes[REPR_BASES_MAX];
	char name[2 * REPR_NAME + 2];
	int rc;
	size_t n = read_mro(p, t, classes);
	for (size_t i = 0; i < n; i++) {
		const struct repr_type *base = repr_type_at(p, classes[i], &rc);
		if (!base)
			continue;
		snprintf(name, sizeof name, "%s%s%s", base->module, *base->module ? "." : "", base->qualname);
		if (strcmp(name, qualified) == 0)
			return true;
	}
	return false;
}

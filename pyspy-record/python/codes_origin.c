/* Can this object be what those globals ran? By the source that each of them names. Up to 3.3 a module that is dropped
 * has None in place of each of its globals (Objects/moduleobject.c, _PyModule_Clear): what it ran is gone with it. */
#include <string.h>

#include "pyspy-record/python/codes.h"
#include "pyspy-record/python/object.h"

struct word {
	const char *p;
	size_t n;
};

static struct word last_part(struct word path, char between, struct word *before)
{
	size_t at = path.n;
	while (at && path.p[at - 1] != between)
		at--;
	*before = (struct word){path.p, at ? at - 1 : 0};
	return (struct word){path.p + at, path.n - at};
}

static bool is_word(struct word w, const char *text)
{
	return w.n == strlen(text) && memcmp(w.p, text, w.n) == 0;
}

static const char frozen[] = "<frozen ";

static bool is_frozen(struct word path)
{
	return path.n > sizeof frozen && memcmp(path.p, frozen, sizeof frozen - 1) == 0 && path.p[path.n - 1] == '>';
}

/* What a module's source is called: a.py of p/a.py, p/a.pyc and <frozen p.a>: a; of p/__init__.py: p. */
static struct word source_name(struct word path)
{
	struct word before, stem;
	if (is_frozen(path))
		return last_part((struct word){path.p + sizeof frozen - 1, path.n - sizeof frozen}, '.', &before);
	struct word base = last_part(path, '/', &before);
	last_part(base, '.', &stem);
	if (stem.n == 0)
		stem = base;
	return is_word(stem, "__init__") ? last_part(before, '/', &stem) : stem;
}

bool codes_is_foreign(struct codes *c, code_id id, raddr_t globals)
{
	struct word file, ran;
	struct buf text;
	raddr_t name;
	file.p = intern_bytes(&c->names, c->v.v[id].file, &file.n);
	bool is_source = file.n && (file.p[0] != '<' || is_frozen(file));
	if (!is_source || object_dict_get(c->reader, c->layout, globals, "__file__", &name, NULL) != 0)
		return false;
	if (layout_minor(c->layout) < 0x304 && object_type_is(c->reader, c->layout, name, "NoneType") == 1)
		return true;
	buf_init(&text, 0);
	bool is_foreign = false;
	if (object_string(c->reader, c->layout, name, &text, NULL) == 0 && text.len) {
		file = source_name(file);
		ran = source_name((struct word){(const char *)text.data, text.len});
		is_foreign = file.n != ran.n || memcmp(file.p, ran.p, ran.n) != 0;
	}
	buf_done(&text);
	return is_foreign;
}

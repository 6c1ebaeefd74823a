#include "pyspy-record/python/names.h"

#include "libcommon/err.h"
#include "pyspy-record/python/object.h"

struct look {
	struct reader *r;
	const struct layout *l;
	names_visit *visit;
	void *ctx;
	struct buf text;
};

/* One entry of threading._active: ident -> Thread. What cannot be read is passed over. */
static int look_at(void *ctx, raddr_t key, raddr_t value)
{
	struct look *k = ctx;
	uint64_t ident;
	raddr_t name;
	buf_reset(&k->text);
	if (object_int(k->r, k->l, key, &ident) == 0 && object_attribute(k->r, k->l, value, "_name", &name) == 0 &&
	    object_type_is(k->r, k->l, name, "str") == 1 && object_string(k->r, k->l, name, &k->text) == 0)
		k->visit(k->ctx, ident, buf_cstr(&k->text), k->text.len);
	return 0;
}

int names_read(struct reader *r, const struct layout *l, raddr_t interp, names_visit *visit, void *ctx)
{
	raddr_t modules, threading, dict, active;
	TRY(reader_word(r, interp + l->interp.modules, &modules));
	TRY(object_dict_get(r, l, modules, "threading", &threading));
	TRY(reader_word(r, threading + l->module.dict, &dict));
	TRY(object_dict_get(r, l, dict, "_active", &active));
	struct look k = {.r = r, .l = l, .visit = visit, .ctx = ctx};
	buf_init(&k.text, 0);
	int rc = object_dict(r, l, active, look_at, &k);
	buf_done(&k.text);
	return rc;
}

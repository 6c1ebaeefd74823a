#include "pyspy-record/python/names.h"

#include "libcommon/err.h"
#include "pyspy-record/python/object.h"

struct look {
	struct reader *r;
	const struct layout *l;
	names_visit *visit;
	void *ctx;
	struct object_trail *trail;
	struct buf text;
};

/* One entry of threading._active: ident -> Thread. */
static int read_thread(struct look *k, raddr_t key, raddr_t thread, uint64_t *ident)
{
	raddr_t name;
	int is_text;
	buf_reset(&k->text);
	TRY(object_int(k->r, k->l, key, ident, k->trail));
	TRY(object_attribute(k->r, k->l, thread, k->l->is_python2 ? "_Thread__name" : "_name", &name, k->trail));
	TRY(is_text = object_is_text(k->r, k->l, name));
	return is_text ? object_string(k->r, k->l, name, &k->text, k->trail) : ERR_AGAIN;
}

/* What cannot be read is passed over. */
static int look_at(void *ctx, raddr_t key, raddr_t thread)
{
	struct look *k = ctx;
	uint64_t ident;
	int rc = read_thread(k, key, thread, &ident);
	if (rc == 0)
		k->visit(k->ctx, ident, buf_cstr(&k->text), k->text.len);
	else if (rc != ERR_AGAIN) /* another look may see more */
		object_trail_break(k->trail);
	return rc == ERR_GONE ? rc : 0;
}

static int read_active(struct look *k, raddr_t interp)
{
	raddr_t modules, threading, dict, active;
	TRY(reader_word(k->r, interp + k->l->interp.modules, &modules));
	object_trail_add(k->trail, interp + k->l->interp.modules, &modules, 8);
	TRY(object_dict_get(k->r, k->l, modules, "threading", &threading, k->trail));
	TRY(reader_word(k->r, threading + k->l->module.dict, &dict));
	object_trail_add(k->trail, threading + k->l->module.dict, &dict, 8);
	TRY(object_dict_get(k->r, k->l, dict, "_active", &active, k->trail));
	return object_dict(k->r, k->l, active, look_at, k, k->trail);
}

int names_read(struct reader *r, const struct layout *l, raddr_t interp, names_visit *visit, void *ctx,
               struct object_trail *trail)
{
	struct look k = {.r = r, .l = l, .visit = visit, .ctx = ctx, .trail = trail};
	buf_init(&k.text, 0);
	int rc = read_active(&k, interp);
	if (rc != 0 && rc != ERR_AGAIN)
		object_trail_break(trail);
	buf_done(&k.text);
	return rc;
}

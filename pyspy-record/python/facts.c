#include "pyspy-record/python/facts.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-record/python/object.h"

struct look {
	struct reader *r;
	const struct layout *l;
	struct object_trail *trail;
	raddr_t sysdict;
};

static bool is_read(struct look *k, int rc)
{
	if (rc != 0 && rc != ERR_AGAIN) /* another look may see more */
		object_trail_break(k->trail);
	return rc == 0;
}

static int read_text(struct look *k, raddr_t str, struct buf *text)
{
	int is_text;
	TRY(is_text = object_is_text(k->r, k->l, str));
	return is_text ? object_string(k->r, k->l, str, text, k->trail) : ERR_AGAIN;
}

/* A str object's text as an allocated string; "" on failure; NULL without memory. */
static char *text_of(struct look *k, raddr_t str)
{
	struct buf text;
	buf_init(&text, 0);
	char *copy = strdup(is_read(k, read_text(k, str, &text)) ? buf_cstr(&text) : "");
	buf_done(&text);
	return copy;
}

static bool find(struct look *k, const char *name, raddr_t *value)
{
	return is_read(k, object_dict_get(k->r, k->l, k->sysdict, name, value, k->trail));
}

static char *sys_text(struct look *k, const char *name)
{
	raddr_t value;
	return find(k, name, &value) ? text_of(k, value) : strdup("");
}

static int read_list(struct look *k, raddr_t list, raddr_t items[FACTS_PATHS_MAX], size_t *n)
{
	int is_list;
	*n = 0;
	TRY(is_list = object_type_is(k->r, k->l, list, "list"));
	return is_list ? object_list(k->r, k->l, list, items, FACTS_PATHS_MAX, n, k->trail) : ERR_AGAIN;
}

void facts_read(struct reader *r, const struct layout *l, raddr_t interp, struct facts *f, struct object_trail *trail)
{
	struct look k = {r, l, trail, 0};
	raddr_t path, items[FACTS_PATHS_MAX];
	size_t n = 0;
	*f = (struct facts){0};
	if (is_read(&k, reader_word(r, interp + l->interp.sysdict, &k.sysdict)))
		object_trail_add(trail, interp + l->interp.sysdict, &k.sysdict, 8);
	f->prefix = sys_text(&k, "prefix");
	f->base_prefix = sys_text(&k, "base_prefix");
	f->is_debug = find(&k, "gettotalrefcount", &path);
	if (find(&k, "path", &path) && is_read(&k, read_list(&k, path, items, &n))) {
		for (size_t i = 0; i < n; i++) {
			char *entry = text_of(&k, items[i]);
			if (entry && entry[0])
				f->path[f->n_path++] = entry;
			else
				free(entry);
		}
	}
}

void facts_done(struct facts *f)
{
	free(f->prefix);
	free(f->base_prefix);
	for (uint32_t i = 0; i < f->n_path; i++)
		free(f->path[i]);
	*f = (struct facts){0};
}

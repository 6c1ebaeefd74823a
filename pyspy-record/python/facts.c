#include "pyspy-record/python/facts.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-record/python/object.h"

/* A str object's text as an allocated string; "" on failure; NULL without memory. */
static char *text_of(struct reader *r, const struct layout *l, raddr_t str)
{
	struct buf text;
	buf_init(&text, 0);
	bool good = object_is_text(r, l, str) == 1 && object_string(r, l, str, &text, NULL) == 0;
	char *copy = strdup(good ? buf_cstr(&text) : "");
	buf_done(&text);
	return copy;
}

static char *sys_text(struct reader *r, const struct layout *l, raddr_t sysdict, const char *name)
{
	raddr_t value;
	return object_dict_get(r, l, sysdict, name, &value, NULL) == 0 ? text_of(r, l, value) : strdup("");
}

void facts_read(struct reader *r, const struct layout *l, raddr_t interp, struct facts *f)
{
	raddr_t sysdict = 0, path, items[FACTS_PATHS_MAX];
	size_t n = 0;
	*f = (struct facts){0};
	reader_word(r, interp + l->interp.sysdict, &sysdict);
	f->prefix = sys_text(r, l, sysdict, "prefix");
	f->base_prefix = sys_text(r, l, sysdict, "base_prefix");
	f->is_debug = object_dict_get(r, l, sysdict, "gettotalrefcount", &path, NULL) == 0;
	if (object_dict_get(r, l, sysdict, "path", &path, NULL) == 0 && object_type_is(r, l, path, "list") == 1 &&
	    object_list(r, l, path, items, FACTS_PATHS_MAX, &n) == 0) {
		for (size_t i = 0; i < n; i++) {
			char *entry = text_of(r, l, items[i]);
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

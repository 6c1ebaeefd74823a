#include "pyspy-record/python/repr_parts.h"
#include "pyspy-record/python/secrets_text.h"

#include <stdio.h>

enum { PAGES_MAX = 16384 }; /* 64 MiB, and what one value may bring */

struct repr_limits repr_limits_of(unsigned level)
{
	if (level <= 1)
		return (struct repr_limits){.chars = 256, .items = 50, .depth = 6, .bytes = 4 << 20};
	if (level == 2)
		return (struct repr_limits){.chars = 4096, .items = 1000, .depth = 12, .bytes = 8 << 20};
	return (struct repr_limits){.chars = 65536, .items = 20000, .depth = REPR_DEPTH_MAX, .bytes = 32 << 20};
}

int repr_init(struct repr *p, struct pagecache *cache, const struct layout *l, const struct repr_limits *limits)
{
	*p = (struct repr){.cache = cache, .reader = &cache->reader, .layout = l, .shape = values_layout_find(l)};
	p->limits = *limits;
	if (p->limits.depth > REPR_DEPTH_MAX)
		p->limits.depth = REPR_DEPTH_MAX;
	map_init(&p->type_at, 0);
	return p->shape ? 0 : ERR_UNSUPPORTED;
}

void repr_forget(struct repr *p)
{
	for (size_t i = 0; i < p->types.n; i++)
		free(p->types.v[i]);
	p->types.n = 0;
	map_clear(&p->type_at);
	p->library = 0;
}

void repr_done(struct repr *p)
{
	repr_forget(p);
	vec_free(&p->types);
	map_done(&p->type_at);
}

/* --- values in values */

static bool is_fatal(int rc)
{
	return rc == ERR_GONE || rc == ERR_NO_MEMORY || rc == ERR_PERMISSION;
}

static void put_unread(struct repr *p)
{
	repr_put(p, p->cache->is_late || p->cache->is_spent ? "<not read>" : "<unreadable>");
}

int repr_inner(struct repr *p, raddr_t value)
{
	int rc = 0;
	const struct repr_type *t = repr_type_of(p, value, &rc);
	size_t was = p->out->len, chars = p->chars;
	unsigned depth = p->depth;
	if (t)
		rc = t->show(p, value, t);
	p->depth = depth;
	if (rc == 0 || is_fatal(rc))
		return rc;
	p->out->len = was;
	p->chars = chars;
	put_unread(p);
	return 0;
}

int repr_value(struct repr *p, raddr_t value, struct buf *out)
{
	p->out = out;
	p->chars = 0;
	p->depth = 0;
	p->cache->bytes_left = p->limits.bytes;
	p->cache->is_spent = false;
	pagecache_trim(p->cache, PAGES_MAX);
	if (p->types.n > REPR_TYPES_MAX / 2)
		repr_forget(p);
	TRY(repr_inner(p, value));
	return out->err;
}

int repr_enter(struct repr *p, raddr_t object, const char *open, const char *close, uint64_t n)
{
	for (unsigned i = 0; i < p->depth; i++)
		if (p->path[i] == object) {
			repr_put(p, open);
			repr_put(p, "...");
			repr_put(p, close);
			return 0;
		}
	if (p->depth >= p->limits.depth && n) {
		repr_put(p, open);
		repr_put(p, "\xe2\x80\xa6");
		if (n != UINT64_MAX)
			repr_format(p, " %llu more", (unsigned long long)n);
		repr_put(p, close);
		return 0;
	}
	if (p->depth < REPR_DEPTH_MAX)
		p->path[p->depth] = object;
	p->depth++;
	return 1;
}

void repr_leave(struct repr *p)
{
	p->depth--;
}

bool repr_next(struct repr *p, struct repr_row *row)
{
	if (row->shown >= p->limits.items || repr_room(p) == 0 || p->cache->is_late || p->cache->is_spent)
		return false;
	if (row->shown++ || row->is_begun)
		repr_put(p, ", ");
	return true;
}

void repr_row_end(struct repr *p, const struct repr_row *row)
{
	if (row->total > row->shown)
		repr_format(p, "%s\xe2\x80\xa6 %llu more", row->shown || row->is_begun ? ", " : "",
		            (unsigned long long)(row->total - row->shown));
}

/* A text, or bytes: what names things in dicts, headers and command lines. -1: it is something else; else its length.
 */
static int64_t read_name(struct repr *p, raddr_t key, char *name, size_t room)
{
	int rc;
	const struct repr_type *t = p->secrets && p->secrets->is_on ? repr_type_of(p, key, &rc) : NULL;
	if (!t)
		return -1;
	if (strcmp(t->storage->name, "bytes") == 0 && !p->layout->is_python2) {
		unsigned char size[8];
		if (reader_read(p->reader, key + p->layout->bytes.ob_size, size, 8) < 0)
			return -1;
		uint64_t n = object_u64(size, 0) < room ? object_u64(size, 0) : room;
		return reader_read(p->reader, key + p->layout->bytes.ob_sval, name, n) == 0 ? (int64_t)n : -1;
	}
	return repr_text(p, key, name, room) < 0 ? -1 : (int64_t)strlen(name);
}

static bool is_secret_key(struct repr *p, raddr_t key)
{
	char name[1024];
	int64_t n = read_name(p, key, name, sizeof name);
	return n >= 0 && secrets_hides(p->secrets, name, (size_t)n);
}

/* Does an item say that the next one is a secret? `--password`, or the first of a pair. */
static bool announces(struct repr *p, raddr_t item, bool is_pair)
{
	char name[256];
	int64_t n = read_name(p, item, name, sizeof name), dashes = 0;
	while (dashes < n && dashes < 2 && name[dashes] == '-')
		dashes++;
	return n > dashes && (dashes || is_pair) && secrets_is_name(p->secrets, name + dashes, (size_t)(n - dashes));
}

static int show_hidden(struct repr *p)
{
	repr_put(p, "<hidden>");
	return 0;
}

int repr_vector(struct repr *p, raddr_t object, raddr_t at, uint64_t n, const char *open, const char *close)
{
	struct repr_row row = {.total = n};
	raddr_t items[64];
	size_t have = 0, i = 0;
	bool is_announced = false;
	if (!repr_enter(p, object, open, *close == ',' ? close + 1 : close, n))
		return 0;
	repr_put(p, open);
	while (row.shown < n) {
		if (i == have) {
			have = n - row.shown < 64 ? (size_t)(n - row.shown) : 64;
			i = 0;
			int rc = reader_read(p->reader, at + row.shown * 8, items, have * 8);
			if (rc < 0) {
				if (is_fatal(rc) || row.shown == 0)
					return rc;
				break;
			}
		}
		if (!repr_next(p, &row))
			break;
		char unused[8];
		bool hide = is_announced && read_name(p, items[i], unused, sizeof unused) >= 0;
		is_announced = announces(p, items[i], n == 2 && row.shown == 1);
		TRY(hide ? show_hidden(p) : repr_inner(p, items[i]));
		i++;
	}
	repr_row_end(p, &row);
	repr_put(p, close);
	repr_leave(p);
	return 0;
}

static int show_pair(struct repr *p, raddr_t key, raddr_t value, const char *between)
{
	TRY(repr_inner(p, key));
	repr_put(p, between);
	return is_secret_key(p, key) ? show_hidden(p) : repr_inner(p, value);
}

int repr_pair(struct repr *p, raddr_t key, raddr_t value)
{
	return show_pair(p, key, value, ": ");
}

int repr_pair_item(struct repr *p, raddr_t key, raddr_t value)
{
	return show_pair(p, key, value, ", ");
}

int repr_assign(struct repr *p, const char *name, raddr_t value)
{
	repr_put_name(p, name);
	repr_put(p, "=");
	return secrets_hides(p->secrets, name, strlen(name)) ? show_hidden(p) : repr_inner(p, value);
}

int repr_word(struct repr *p, raddr_t at, uint64_t *word)
{
	return reader_word(p->reader, at, word);
}

bool repr_is_furniture(struct repr *p, raddr_t value)
{
	static const char *const names[] = {"module", "type", "function", "builtin_function_or_method", "classobj"};
	int rc;
	p->cache->bytes_left = p->limits.bytes;
	p->cache->is_spent = false;
	const struct repr_type *t = repr_type_of(p, value, &rc);
	for (size_t i = 0; t && i < sizeof names / sizeof *names; i++)
		if (strcmp(t->storage->name, names[i]) == 0)
			return true;
	return false;
}

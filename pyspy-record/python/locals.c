#include "pyspy-record/python/locals.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/utf8.h"
#include "pyspy-record/python/object.h"

enum { SLOTS_MAX = 65536, NAME_MAX_CHARS = 256 };
enum { CODE_OPTIMIZED = 1, CODE_VARARGS = 4, CODE_VARKEYWORDS = 8 }; /* co_flags */
enum { KIND_LOCAL = 0x20, KIND_CELL = 0x40, KIND_FREE = 0x80 };      /* co_localspluskinds */
enum { TAG_MASK = 3, TAG_INT = 3 };                                  /* of a _PyStackRef, 3.14 and later */

int locals_init(struct locals *c, struct reader *r, const struct layout *l, unsigned level,
                const struct secrets *secrets)
{
	struct repr_limits limits = repr_limits_of(level);
	*c = (struct locals){.layout = l, .level = level};
	c->most = level <= 1 ? 200 : level == 2 ? 2000 : 20000;
	pagecache_init(&c->cache, r);
	int rc = repr_init(&c->repr, &c->cache, l, &limits);
	c->shape = c->repr.shape;
	c->repr.secrets = secrets;
	return rc;
}

void locals_done(struct locals *c)
{
	repr_done(&c->repr);
	pagecache_done(&c->cache);
}

void locals_begin(struct locals *c, uint64_t deadline_ns, raddr_t modules)
{
	pagecache_clear(&c->cache);
	repr_forget(&c->repr);
	c->cache.deadline_ns = deadline_ns;
	c->cache.bytes_left = c->repr.limits.bytes;
	c->repr.modules = modules;
}

void locals_list_done(struct locals_list *list)
{
	buf_done(&list->text);
	vec_free(&list->v);
	*list = (struct locals_list){0};
}

/* --- one variable */

struct look {
	struct locals *c;
	struct locals_list *list;
	struct buf raw; /* a name as it is */
};

static bool is_dunder(const struct buf *name)
{
	const unsigned char *s = name->data;
	size_t n = name->len;
	return n > 4 && s[0] == '_' && s[1] == '_' && s[n - 1] == '_' && s[n - 2] == '_';
}

/* What every piece of a look may cost anew. */
static void grant(struct locals *c)
{
	c->cache.bytes_left = c->repr.limits.bytes;
	c->cache.is_spent = false;
}

static int read_name(struct look *k, raddr_t name)
{
	uint32_t chars[NAME_MAX_CHARS];
	size_t n;
	uint64_t length;
	char text[4];
	grant(k->c);
	buf_reset(&k->raw);
	int is_text;
	TRY(is_text = object_is_text(&k->c->cache.reader, k->c->layout, name));
	if (!is_text)
		return ERR_TORN;
	TRY(object_characters(&k->c->cache.reader, k->c->layout, name, chars, NAME_MAX_CHARS, &n, &length));
	for (size_t i = 0; i < n; i++)
		buf_put(&k->raw, text, utf8_put(text, chars[i]));
	return k->raw.err;
}

/* Append the variable whose name is in k->raw. tagged: the value is this int. */
static int add(struct look *k, raddr_t value, const int64_t *tagged, enum locals_kind kind, bool is_argument)
{
	struct locals_list *list = k->list;
	struct buf *text = &list->text;
	const struct secrets *secrets = k->c->repr.secrets;
	struct locals_entry e = {.name = text->len, .kind = kind, .is_argument = is_argument};
	if (list->v.n >= k->c->most) {
		list->left_out++;
		return 0;
	}
	repr_name(text, (const char *)k->raw.data, k->raw.len);
	e.name_len = text->len - e.name;
	e.value = text->len;
	e.is_hidden = secrets_hides(secrets, (const char *)k->raw.data, k->raw.len);
	if (e.is_hidden)
		buf_str(text, "<hidden>");
	else if (tagged)
		repr_integer(&k->c->repr, *tagged, text);
	else
		TRY(repr_value(&k->c->repr, value, text));
	e.value_len = text->len - e.value;
	if (text->err || !vec_push(&list->v, e))
		return ERR_NO_MEMORY;
	return 0;
}

/* --- namespaces */

static int add_from_dict(void *ctx, raddr_t key, raddr_t value)
{
	struct look *k = ctx;
	int rc = read_name(k, key);
	if (rc == ERR_GONE || rc == ERR_NO_MEMORY)
		return rc;
	if (rc < 0 || (k->c->level <= 2 && is_dunder(&k->raw)) ||
	    (k->c->level <= 1 && repr_is_furniture(&k->c->repr, value)))
		return 0;
	rc = add(k, value, NULL, LOCALS_NAME, false);
	grant(k->c); /* to go on with the dict */
	return rc;
}

static int read_namespace(struct look *k, raddr_t frame)
{
	uint64_t dict;
	TRY(reader_word(&k->c->cache.reader, frame + k->c->shape->frame.locals, &dict));
	if (k->c->layout->frame.tag_mask)
		dict &= ~(uint64_t)TAG_MASK;
	if (!dict)
		return 0;
	int rc = object_dict(&k->c->cache.reader, k->c->layout, dict, add_from_dict, k, NULL);
	return rc < 0 ? rc : 0;
}

/* --- functions */

/* Fields of the code object. */
struct code_facts {
	uint32_t flags, n_arguments;
	uint32_t n; /* slots that have names */
};

static int read_u32(struct look *k, raddr_t at, uint32_t *v)
{
	return reader_read(&k->c->cache.reader, at, v, sizeof *v);
}

static int read_facts(struct look *k, raddr_t code, struct code_facts *f)
{
	const struct values_layout *s = k->c->shape;
	uint32_t keyword_only = 0;
	TRY(read_u32(k, code + k->c->layout->code.flags, &f->flags));
	TRY(read_u32(k, code + s->code.argcount, &f->n_arguments));
	if (s->code.kwonlyargcount)
		TRY(read_u32(k, code + s->code.kwonlyargcount, &keyword_only));
	TRY(read_u32(k, code + (s->code.names ? s->code.nlocalsplus : s->code.nlocals), &f->n));
	f->n_arguments += keyword_only + !!(f->flags & CODE_VARARGS) + !!(f->flags & CODE_VARKEYWORDS);
	return f->n > SLOTS_MAX ? ERR_TORN : 0;
}

static int name_count(struct look *k, raddr_t tuple, uint64_t *n)
{
	unsigned char raw[8] = {0};
	const struct layout *l = k->c->layout;
	TRY(reader_read(&k->c->cache.reader, tuple + l->tuple.ob_size, raw, l->object.wide_sizes ? 8 : 4));
	int64_t v = object_size(l, raw, 0);
	*n = v < 0 || v > SLOTS_MAX ? 0 : (uint64_t)v;
	return 0;
}

/* The i-th of a tuple of names, into k->raw too; ERR_AGAIN: there are not so many. */
static int name_in(struct look *k, raddr_t tuple, uint64_t i, raddr_t *name)
{
	uint64_t n;
	grant(k->c);
	TRY(name_count(k, tuple, &n));
	if (i >= n)
		return ERR_AGAIN;
	TRY(reader_word(&k->c->cache.reader, tuple + k->c->layout->tuple.ob_item + i * 8, name));
	return read_name(k, *name);
}

/* What a cell holds: *value, 0 = nothing. Before it is made, its slot holds the argument itself. */
static int open_cell(struct look *k, raddr_t slot, raddr_t *value)
{
	*value = slot;
	if (!slot)
		return 0;
	int is_cell = object_type_is(&k->c->cache.reader, k->c->layout, slot, "cell");
	if (is_cell < 0)
		return is_cell == ERR_GONE ? is_cell : 0;
	return is_cell ? reader_word(&k->c->cache.reader, slot + k->c->shape->cell.ref, value) : 0;
}

static int read_slot(struct look *k, raddr_t frame, uint64_t i, uint64_t *word)
{
	grant(k->c);
	return reader_word(&k->c->cache.reader, frame + k->c->shape->frame.localsplus + i * 8, word);
}

/* 3.11 and later: one row of slots, with a byte for each that says what it is. */
static int read_new(struct look *k, raddr_t frame, raddr_t code, const struct code_facts *f)
{
	raddr_t names, kinds, name, value;
	TRY(reader_word(&k->c->cache.reader, code + k->c->shape->code.names, &names));
	TRY(reader_word(&k->c->cache.reader, code + k->c->shape->code.kinds, &kinds));
	for (uint32_t i = 0; i < f->n; i++) {
		uint8_t kind;
		uint64_t word;
		TRY(name_in(k, names, i, &name));
		TRY(reader_read(&k->c->cache.reader, kinds + k->c->layout->bytes.ob_sval + i, &kind, 1));
		TRY(read_slot(k, frame, i, &word));
		bool is_tagged = k->c->layout->frame.tag_mask && (word & TAG_MASK) == TAG_INT;
		int64_t number = (int64_t)word >> 2;
		if (k->c->layout->frame.tag_mask && !is_tagged)
			word &= ~(uint64_t)TAG_MASK;
		value = word;
		if (!is_tagged && kind & (KIND_CELL | KIND_FREE))
			TRY(open_cell(k, word, &value));
		if (value || is_tagged)
			TRY(add(k, value, is_tagged ? &number : NULL,
			        kind & KIND_FREE   ? LOCALS_FREE
			        : kind & KIND_CELL ? LOCALS_CELL
			                           : LOCALS_LOCAL,
			        i < f->n_arguments));
	}
	return 0;
}

/* Which cell variable has the name in k->raw? SIZE_MAX: none. Names are interned, so their addresses tell. */
static size_t cell_named(struct look *k, raddr_t cells, uint64_t n, raddr_t name)
{
	raddr_t items[256];
	n = n < 256 ? n : 256;
	if (n == 0 || reader_read(&k->c->cache.reader, cells + k->c->layout->tuple.ob_item, items, (size_t)n * 8) < 0)
		return SIZE_MAX;
	for (size_t i = 0; i < n; i++)
		if (items[i] == name)
			return i;
	return SIZE_MAX;
}

/* Up to 3.10: locals, cells, free variables, one after the other. An argument that inner functions use is in a cell; up
 * to 3.3 also, as it was at the call, among the locals. */
static int read_old(struct look *k, raddr_t frame, raddr_t code, const struct code_facts *f)
{
	raddr_t names[3], name, value;
	uint64_t counts[3] = {f->n}, word, first = f->n;
	const uint32_t at[] = {k->c->shape->code.varnames, k->c->shape->code.cellvars, k->c->shape->code.freevars};
	uint8_t seen[256] = {0};
	for (int i = 0; i < 3; i++) {
		TRY(reader_word(&k->c->cache.reader, code + at[i], &names[i]));
		if (i)
			TRY(name_count(k, names[i], &counts[i]));
	}
	for (uint64_t i = 0; i < counts[0]; i++) {
		int rc = name_in(k, names[0], i, &name);
		if (rc == ERR_AGAIN)
			break;
		TRY(rc);
		size_t cell = cell_named(k, names[1], counts[1], name);
		TRY(read_slot(k, frame, cell == SIZE_MAX ? i : f->n + cell, &word));
		value = word;
		if (cell != SIZE_MAX) {
			seen[cell] = 1;
			TRY(open_cell(k, word, &value));
		}
		if (value)
			TRY(add(k, value, NULL, cell == SIZE_MAX ? LOCALS_LOCAL : LOCALS_CELL, i < f->n_arguments));
	}
	for (int group = 1; group < 3; first += counts[group++])
		for (uint64_t i = 0; i < counts[group]; i++) {
			if (group == 1 && i < 256 && seen[i])
				continue;
			TRY(name_in(k, names[group], i, &name));
			TRY(read_slot(k, frame, first + i, &word));
			TRY(open_cell(k, word, &value));
			if (value)
				TRY(add(k, value, NULL, group == 1 ? LOCALS_CELL : LOCALS_FREE, false));
		}
	return 0;
}

/* Is it still this frame? */
static int check_frame(struct look *k, const struct walk_frame *f)
{
	const struct layout *l = k->c->layout;
	uint64_t code;
	TRY(reader_word(&k->c->cache.reader, f->at + l->frame.first + l->frame.code, &code));
	return (code & ~(uint64_t)l->frame.tag_mask) == f->code ? 0 : ERR_TORN;
}

static int read_frame(struct look *k, const struct walk_frame *f)
{
	struct code_facts facts;
	TRY(check_frame(k, f));
	TRY(read_facts(k, f->code, &facts));
	/* a class body has cells, too: what its methods share with what is around it */
	TRY(k->c->shape->code.names ? read_new(k, f->at, f->code, &facts) : read_old(k, f->at, f->code, &facts));
	return facts.flags & CODE_OPTIMIZED ? 0 : read_namespace(k, f->at);
}

int locals_read(struct locals *c, const struct walk_frame *f, struct locals_list *list)
{
	struct look k = {.c = c, .list = list};
	list->v.n = 0;
	list->left_out = 0;
	buf_reset(&list->text);
	if (!object_is_address(f->at) || !object_is_address(f->code))
		return ERR_TORN;
	buf_init(&k.raw, 0);
	grant(c);
	int rc = read_frame(&k, f);
	if (rc < 0 && list->v.n && rc != ERR_GONE && rc != ERR_NO_MEMORY)
		rc = 0; /* what was read is good */
	buf_done(&k.raw);
	if (rc < 0)
		list->v.n = 0;
	return rc;
}

#include "pyspy-record/python/codes.h"

#include <string.h>

#include "libcommon/err.h"
#include "pyspy-record/python/object.h"

enum {
	REFERENCES_NARROW = 1 << 24,
	UNIT = 2,
	CODE_BYTES_MAX = LAYOUT_CODE_MAX,
	CODE_SIZE_MAX = 64 << 20,
	CHECK_AT_ONCE = 64,
	SAME_LOOKS = 16
};

int codes_init(struct codes *c, struct reader *r, const struct layout *l)
{
	*c = (struct codes){.reader = r, .layout = l, .has_generation = l->generation_kind != LAYOUT_GENERATION_NONE};
	map_init(&c->by_address, 0);
	copies_init(&c->copies, r, l);
	buf_init(&c->tables, CODES_BYTES_MAX);
	TRY(intern_init(&c->names, CODES_BYTES_MAX));
	return vec_push(&c->v, (struct code){0}) ? 0 : ERR_NO_MEMORY;
}

void codes_done(struct codes *c)
{
	map_done(&c->by_address);
	copies_done(&c->copies);
	buf_done(&c->tables);
	intern_done(&c->names);
	vec_free(&c->v);
	vec_free(&c->idents);
}

void codes_clear(struct codes *c)
{
	map_clear(&c->by_address);
	copies_clear(&c->copies);
	buf_reset(&c->tables);
	intern_clear(&c->names);
	c->v.n = 1;
	c->idents.n = 0;
	c->gone = c->torn = 0;
	c->epoch++;
}

void codes_by_words(struct codes *c)
{
	c->has_words = true;
	c->has_generation = false;
	codes_clear(c);
}

bool codes_is_full(const struct codes *c)
{
	return c->v.n >= CODES_MAX || copies_is_full(&c->copies) || c->names.len > CODES_BYTES_MAX / 4 * 3 ||
	       c->tables.len > CODES_BYTES_MAX / 4 * 3;
}

size_t codes_bytes(const struct codes *c)
{
	enum { MAP_SLOTS = 3 }; /* of an entry, one in by_address and those that are free */
	return c->v.n * (sizeof *c->v.v + MAP_SLOTS * sizeof(struct map_slot)) + c->idents.n * sizeof *c->idents.v +
	       c->names.len + c->tables.len +
	       c->copies.v.n * (sizeof *c->copies.v.v + MAP_SLOTS * sizeof(struct map_slot));
}

code_id codes_known(const struct codes *c, raddr_t at, raddr_t globals)
{
	const uint32_t *id = map_get(&c->by_address, at, globals);
	return id && !c->v.v[*id].is_stale ? *id : 0;
}

static bool by_version(const struct codes *c)
{
	return c->layout->code.version != 0 && !c->has_words;
}

static uint32_t u32_at(const unsigned char *p, size_t at)
{
	uint32_t v;
	memcpy(&v, p + at, sizeof v);
	return v;
}

static uint64_t u64_at(const unsigned char *p, size_t at)
{
	uint64_t v;
	memcpy(&v, p + at, sizeof v);
	return v;
}

static size_t ident_size(const struct layout *l)
{
	return l->code.ident_end - l->code.ident_from;
}

/* Up to 3.11: keep of `words` (the code object from ident_from on) those that never change. */
static void ident_words(const struct layout *l, unsigned char *words)
{
	if (l->code.ident_skip)
		memset(words + (l->code.ident_skip - l->code.ident_from), 0, 4); /* warm-up counter */
}

static uint64_t size_at(const struct layout *l, const unsigned char *p, size_t at)
{
	return l->object.wide_sizes ? u64_at(p, at) : u32_at(p, at);
}

static uint64_t name_length(const struct layout *l, const unsigned char *head)
{
	return l->is_python2 ? size_at(l, head, l->bytes.ob_size) : u64_at(head, l->unicode.length);
}

/* Where in a str object what identifies its text lies, and how much of that is kept: the first bytes; of a str whose
 * text lies elsewhere (a subclass of str, say) the pointer to it. */
static void name_text(const struct layout *l, const unsigned char *head, size_t *at, size_t *n)
{
	uint64_t length = name_length(l, head);
	uint32_t state = l->is_python2 ? 0 : u32_at(head, l->unicode.state);
	size_t width = l->is_python2 ? 1 : state >> l->unicode.kind_shift & 7;
	*at = l->is_python2 ? l->bytes.ob_sval : l->unicode.data;
	*n = 8;
	if (!l->is_python2 && !(state & l->unicode.compact))
		return;
	if (!l->is_python2)
		*at = state & l->unicode.ascii ? l->unicode.ascii_size : l->unicode.compact_size;
	*n = CODES_NAME_HEAD - 8;
	if (length < *n && length * width < *n)
		*n = length * width;
}

/* Of a str object's head only its length and text stay the same (hash and interned state are filled in later). */
static void ident_name(const struct layout *l, const unsigned char *head, unsigned char *kept)
{
	uint64_t length = name_length(l, head);
	size_t at, n;
	name_text(l, head, &at, &n);
	memset(kept, 0, CODES_NAME_HEAD);
	memcpy(kept, &length, 8);
	memcpy(kept + 8, head + at, n);
}

static size_t name_head_size(const struct layout *l)
{
	return (l->is_python2 ? l->bytes.ob_sval : l->unicode.compact_size) + CODES_NAME_HEAD - 8;
}

/* A name's head; near the end of a mapping the text may be shorter than the head. */
static int read_name_head(struct codes *c, raddr_t name, unsigned char *head)
{
	size_t at, n;
	memset(head, 0, CODE_BYTES_MAX);
	int rc = reader_read(c->reader, name, head, name_head_size(c->layout));
	if (rc != ERR_MEMORY_READ)
		return rc;
	TRY(reader_read(c->reader, name, head,
	                c->layout->is_python2 ? c->layout->bytes.ob_sval : c->layout->unicode.ascii_size));
	name_text(c->layout, head, &at, &n);
	return reader_read(c->reader, name + at, head + at, n);
}

static int read_ident(struct codes *c, const unsigned char *raw, struct code_ident *ident)
{
	const struct layout *l = c->layout;
	unsigned char head[CODE_BYTES_MAX];
	memset(ident, 0, sizeof *ident);
	if (by_version(c)) {
		ident->version = u32_at(raw, l->code.version);
		return 0;
	}
	memcpy(ident->words, raw + l->code.ident_from, ident_size(l));
	ident_words(l, ident->words);
	TRY(read_name_head(c, u64_at(raw, l->code.qualname), head));
	ident_name(l, head, ident->names[0]);
	TRY(read_name_head(c, u64_at(raw, l->code.filename), head));
	ident_name(l, head, ident->names[1]);
	return 0;
}

/* Append the text of a str to the name table. */
static int read_name(struct codes *c, raddr_t str, uint32_t *id)
{
	struct buf text;
	buf_init(&text, 0);
	int rc = object_string(c->reader, c->layout, str, &text, NULL);
	if (rc == 0)
		rc = intern_get(&c->names, text.data, text.len, id, NULL);
	buf_done(&text);
	return rc;
}

static void read_module(struct codes *c, raddr_t globals, uint32_t *id)
{
	raddr_t name;
	*id = 0;
	if (object_dict_get(c->reader, c->layout, globals, "__name__", &name, NULL) == 0 &&
	    object_is_text(c->reader, c->layout, name) == 1)
		read_name(c, name, id);
}

/* Is this the type of code objects? Learned once, by its name. */
static int check_type(struct codes *c, raddr_t at, raddr_t type)
{
	if (c->code_type)
		return type == c->code_type ? 0 : ERR_TORN;
	int rc = object_type_may_be(c->reader, c->layout, at, "code");
	if (rc == 1)
		c->code_type = type;
	return rc == 1 ? 0 : rc == 0 ? ERR_TORN : rc;
}

/* 3.11 and later: the instructions lie in the object itself. */
static int read_instructions(const struct layout *l, const unsigned char *raw, struct code *code)
{
	uint64_t units = u64_at(raw, l->code.ob_size);
	int64_t traceable = (int32_t)u32_at(raw, l->code.first_traceable);
	/* may lie behind the end: 3.13's static _Py_InitCleanup has 3 units, and says 4 so that its frames are never
	 * complete */
	if (units > CODE_SIZE_MAX || traceable < 0 || traceable > CODE_SIZE_MAX)
		return ERR_TORN;
	code->start = code->at + l->code.code_adaptive;
	code->size_bytes = (uint32_t)units * UNIT;
	code->first_traceable = (uint32_t)traceable * UNIT;
	return 0;
}

/* Up to 3.10: they are a bytes object (2.x: a str); frames have their number, and no address. */
static int read_bytecode_size(struct codes *c, const unsigned char *raw, struct code *code)
{
	const struct layout *l = c->layout;
	unsigned char size[8] = {0};
	TRY(reader_read(c->reader, u64_at(raw, l->code.bytecode) + l->bytes.ob_size, size,
	                l->object.wide_sizes ? 8 : 4));
	uint64_t n = size_at(l, size, 0);
	if (n > CODE_SIZE_MAX)
		return ERR_TORN;
	code->size_bytes = (uint32_t)n;
	return 0;
}

static int read_contents(struct codes *c, const unsigned char *raw, raddr_t globals, struct code *code)
{
	const struct layout *l = c->layout;
	TRY(l->code.bytecode ? read_bytecode_size(c, raw, code) : read_instructions(l, raw, code));
	code->first_line = (int32_t)u32_at(raw, l->code.first_line);
	TRY(read_name(c, u64_at(raw, l->code.qualname), &code->qualname));
	TRY(read_name(c, u64_at(raw, l->code.filename), &code->file));
	read_module(c, globals, &code->module);
	code->linetable = c->tables.len;
	TRY(object_bytes(c->reader, l, u64_at(raw, l->code.linetable), CODES_LINETABLE_MAX, &c->tables));
	code->linetable_len = c->tables.len - code->linetable;
	return 0;
}

/* Enter it, as one that is known already if it is: the same object run with other globals of the same module. */
static int remember(struct codes *c, struct code *code, const struct code_ident *ident, raddr_t globals, size_t tables,
                    code_id *id)
{
	bool is_new;
	uint32_t *slot = map_put(&c->by_address, code->at, 0, &is_new);
	if (!slot)
		return ERR_NO_MEMORY;
	code->same = *slot;
	*id = 0;
	unsigned looks = 0; /* an exec loop leaves a long row of objects that were here before */
	for (code_id i = *slot; i && !*id && looks < SAME_LOOKS; i = c->v.v[i].same, looks++)
		if (!c->v.v[i].is_stale && c->v.v[i].module == code->module &&
		    memcmp(&c->idents.v[c->v.v[i].ident], ident, sizeof *ident) == 0)
			*id = i;
	if (*id) {
		c->tables.len = tables;
		c->v.v[*id].checked_generation = code->checked_generation;
		c->v.v[*id].read_generation = code->read_generation;
	} else {
		code->ident = (uint32_t)c->idents.n;
		if (!vec_push(&c->idents, *ident) || !vec_push(&c->v, *code))
			return ERR_NO_MEMORY;
		*slot = *id = (code_id)(c->v.n - 1);
	}
	slot = map_put(&c->by_address, code->at, globals, &is_new);
	if (!slot)
		return ERR_NO_MEMORY;
	*slot = *id;
	return 0;
}

static uint64_t read_generation(struct codes *c, raddr_t at)
{
	uint32_t value;
	return at && reader_read(c->reader, at, &value, sizeof value) == 0 ? value : CODES_UNSTABLE;
}

/* Was the object (its bytes from the first on) alive when it was read? One that was freed keeps its contents until its
 * memory is used again, while its names may be others' already. Its reference count is 0 while it is torn down, and
 * then the allocator writes its own word there: a pointer, or, in a debug build, filler. Source: Objects/obmalloc.c,
 * Include/object.h; free-threaded: ob_tid, ob_ref_local, ob_ref_shared (3: merged, none left). */
static bool is_alive(const struct layout *l, const unsigned char *raw)
{
	if (layout_is_freethreaded(l)) {
		uint64_t shared = u64_at(raw, 16);
		return u64_at(raw, 0) != 0 || u32_at(raw, 12) != 0 || (shared != 0 && shared != 3);
	}
	uint32_t low = u32_at(raw, l->object.type - 8), high = u32_at(raw, l->object.type - 4);
	if (!l->object.wide_sizes) /* before 2.5 it is an int, and nothing is known of what follows it */
		return low != 0 && low < REFERENCES_NARROW;
	return low != 0 && (high & 0xffff) == 0; /* 3.14: flags above that */
}

int codes_read(struct codes *c, raddr_t at, raddr_t globals, struct codes_generation generation, code_id *id,
               bool *proved)
{
	const struct layout *l = c->layout;
	unsigned char raw[CODE_BYTES_MAX], again[CODE_BYTES_MAX];
	struct code_ident ident, after;
	struct code code = {.at = at};
	size_t size = l->code.size < sizeof raw ? l->code.size : sizeof raw;
	if (at < 4096 || at % 8 != 0 || at >> 47)
		return ERR_TORN;
	if (codes_is_full(c))
		return ERR_FULL;
	uint64_t generation_then = read_generation(c, generation.at);
	TRY(reader_read(c->reader, at, raw, size));
	TRY(check_type(c, at, u64_at(raw, l->object.type)));
	if (!is_alive(l, raw))
		return ERR_TORN;
	TRY(read_ident(c, raw, &ident));
	size_t tables = c->tables.len;
	int rc = read_contents(c, raw, globals, &code);
	if (rc == 0)
		rc = reader_read(c->reader, at, again, size);
	if (rc == 0)
		rc = read_ident(c, again, &after);
	if (rc == 0 && (memcmp(&ident, &after, sizeof ident) != 0 || !is_alive(l, again)))
		rc = ERR_TORN;
	if (rc < 0) {
		c->tables.len = tables;
		return rc;
	}
	code.checked_generation = generation.after;
	code.read_generation = CODES_UNSTABLE;
	if (l->generation_kind == LAYOUT_GENERATION_DESTROYED) {
		/* none was freed since the sample was taken: what it ran is there still */
		if (read_generation(c, generation.at) == generation_then)
			code.read_generation = generation_then;
		code.checked_generation = code.read_generation;
		*proved = c->has_generation && code.read_generation == generation.before;
	} else {
		/* a version not yet given out when the sample began: the object is younger than the sample */
		*proved = by_version(c) && c->has_generation && ident.version != 0 && ident.version < generation.before;
	}
	code.read_ns = c->now_ns;
	return remember(c, &code, &ident, globals, tables, id);
}

static int synthetic(struct codes *c, const char *name, code_id *kept)
{
	struct code code = {.size_bytes = UNIT, .is_gone = true, .ident = (uint32_t)c->idents.n};
	if (*kept)
		return 0;
	TRY(intern_get(&c->names, name, strlen(name), &code.qualname, NULL));
	if (!vec_push(&c->idents, (struct code_ident){0}) || !vec_push(&c->v, code))
		return ERR_NO_MEMORY;
	*kept = (code_id)(c->v.n - 1);
	return 0;
}

int codes_gone(struct codes *c, code_id *id)
{
	TRY(synthetic(c, "gone", &c->gone));
	*id = c->gone;
	c->gone_met++;
	return 0;
}

int codes_torn(struct codes *c, code_id *id)
{
	TRY(synthetic(c, "torn", &c->torn));
	*id = c->torn;
	return 0;
}

/* Is the object the one that `ident` says? One that could not be read with others, for a name may lie so near to the
 * end of a mapping that its head reaches over it. 1, 0, or an error. */
static int check_alone(struct codes *c, raddr_t at, const struct code_ident *ident)
{
	unsigned char raw[CODE_BYTES_MAX];
	struct code_ident now;
	int rc = reader_read(c->reader, at, raw, c->layout->code.ident_end);
	if (rc == 0)
		rc = read_ident(c, raw, &now);
	if (rc < 0)
		return rc == ERR_MEMORY_READ ? 0 : rc;
	return memcmp(&now, ident, sizeof now) == 0;
}

/* The same, of what a group's batch brought: `words` of the object, `heads` of the names that it had. */
static bool is_same(const struct codes *c, const struct code_ident *ident, unsigned char *words,
                    unsigned char heads[2][CODE_BYTES_MAX])
{
	const struct layout *l = c->layout;
	unsigned char name[2][CODES_NAME_HEAD];
	if (by_version(c))
		return u32_at(words, 0) == ident->version;
	ident_words(l, words);
	ident_name(l, heads[0], name[0]);
	ident_name(l, heads[1], name[1]);
	return memcmp(words, ident->words, ident_size(l)) == 0 && memcmp(name, ident->names, sizeof name) == 0;
}

/* One group of at most CHECK_AT_ONCE objects: one call. *done: how many of them, from the first on, were settled. */
static int check_group(struct codes *c, const code_id *ids, size_t n, uint64_t generation, bool *bad, size_t *done)
{
	static struct reader_batch batch; /* large, and used by one thread only */
	static unsigned char words[CHECK_AT_ONCE][CODES_IDENT], heads[CHECK_AT_ONCE][2][CODE_BYTES_MAX];
	const struct layout *l = c->layout;
	unsigned pieces = by_version(c) ? 1 : 3;
	reader_batch_clear(&batch);
	for (size_t i = 0; i < n; i++) {
		const struct code *code = codes_at(c, ids[i]);
		const struct code_ident *ident = &c->idents.v[code->ident];
		if (by_version(c)) {
			reader_batch_add(&batch, code->at + l->code.version, words[i], 4);
			continue;
		}
		reader_batch_add(&batch, code->at + l->code.ident_from, words[i], ident_size(l));
		reader_batch_add(&batch, u64_at(ident->words, l->code.qualname - l->code.ident_from), heads[i][0],
		                 name_head_size(l));
		reader_batch_add(&batch, u64_at(ident->words, l->code.filename - l->code.ident_from), heads[i][1],
		                 name_head_size(l));
	}
	int got = reader_batch_read(c->reader, &batch);
	if (got < 0 && got != ERR_MEMORY_READ)
		return got;
	size_t whole = got < 0 ? 0 : (size_t)got / pieces;
	*done = whole;
	int alone = 0;
	if (whole < n) {
		const struct code *code = codes_at(c, ids[(*done)++]);
		TRY(alone = check_alone(c, code->at, &c->idents.v[code->ident]));
	}
	for (size_t i = 0; i < *done; i++) {
		struct code *code = codes_at(c, ids[i]);
		bool same = i < whole ? is_same(c, &c->idents.v[code->ident], words[i], heads[i]) : alone;
		c->checks++;
		bad[i] = !same;
		if (same)
			code->checked_generation = generation;
		else
			code->is_stale = true;
	}
	return 0;
}

int codes_check(struct codes *c, const code_id *ids, size_t n, uint64_t generation, bool *bad)
{
	for (size_t done = 0, now; done < n; done += now) {
		size_t group = n - done < CHECK_AT_ONCE ? n - done : CHECK_AT_ONCE;
		TRY(check_group(c, ids + done, group, generation, bad + done, &now));
	}
	return 0;
}

bool codes_place(const struct codes *c, const struct code *code, uint32_t instr, struct linetable_place *place)
{
	return linetable_find(c->layout->lines, c->tables.data + code->linetable, code->linetable_len, code->first_line,
	                      instr, place);
}

#include "pyspy-report/query/naming.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/path.h"

/* What makes a frame one. Python: function, shown line and file. Native: module, symbol, offset. Rows: their number. */
struct naming_key {
	uint32_t kind, id, line, file;
	uint64_t offset;
};

int naming_init(struct naming *n, struct profile *p, const struct naming_options *o)
{
	memset(n, 0, sizeof *n);
	n->profile = p;
	n->options = *o;
	map_init(&n->memory, 0);
	TRY(intern_init(&n->keys, PROFILE_MAX_BYTES));
	return intern_init(&n->path_sets, PROFILE_MAX_BYTES);
}

void naming_done(struct naming *n)
{
	intern_done(&n->keys);
	intern_done(&n->path_sets);
	map_done(&n->memory);
	vec_free(&n->frames);
	vec_free(&n->path_set_of);
}

static size_t naming_match(const struct profile *p, uint32_t folder, const char *file, size_t len)
{
	size_t n;
	const char *s = profile_text(p, folder, &n);

	while (n > 1 && s[n - 1] == '/')
		n--;
	if (n < 2 || s[0] != '/' || n + 1 >= len || file[n] != '/' || memcmp(s, file, n) != 0)
		return 0;
	return n + 1;
}

size_t naming_folder(const struct profile *p, uint32_t process, const char *file, size_t len)
{
	const struct profile_process *q = &p->processes.v[process];
	const uint32_t more[] = {q->prefix, q->base_prefix, q->cwd};
	size_t best = 0;

	for (size_t i = 0; i < q->sys_path.n + sizeof more / sizeof *more; i++) {
		uint32_t folder = i < q->sys_path.n ? q->sys_path.v[i] : more[i - q->sys_path.n];
		size_t n = naming_match(p, folder, file, len);
		best = n > best ? n : best;
	}
	return best;
}

static bool naming_has(const char *s, size_t len, const char *what)
{
	return memmem(s, len, what, strlen(what)) != NULL;
}

static enum naming_origin naming_origin(const struct profile *p, uint32_t process, const char *file, size_t len)
{
	const struct profile_process *q = &p->processes.v[process];

	if (len > 7 && memcmp(file, "<frozen", 7) == 0)
		return NAMING_STDLIB;
	if (naming_has(file, len, "/site-packages/") || naming_has(file, len, "/dist-packages/"))
		return NAMING_SITE;
	size_t n = naming_match(p, q->base_prefix, file, len);
	if (!n)
		n = naming_match(p, q->prefix, file, len);
	if (n && len - n > 3 && memcmp(file + n, "lib", 3) == 0 && naming_has(file + n, len - n, "/python"))
		return NAMING_STDLIB;
	return NAMING_OWN;
}

/* Processes with the same folders share their names. */
static int naming_path_set(struct naming *n, uint32_t process, uint32_t *set)
{
	const struct profile *p = n->profile;
	const struct profile_process *q = &p->processes.v[process];
	struct buf b;

	while (n->path_set_of.n <= process)
		if (!vec_push(&n->path_set_of, 0))
			return ERR_NO_MEMORY;
	if (!n->path_set_of.v[process]) {
		uint32_t more[] = {q->cwd, q->prefix, q->base_prefix}, id = 0;

		buf_init(&b, 0);
		buf_put(&b, more, sizeof more);
		if (q->sys_path.n)
			buf_put(&b, q->sys_path.v, q->sys_path.n * sizeof *q->sys_path.v);
		int rc = b.err ? b.err : intern_get(&n->path_sets, b.data, b.len, &id, NULL);
		buf_done(&b);
		TRY(rc);
		n->path_set_of.v[process] = id;
	}
	*set = n->path_set_of.v[process];
	return 0;
}

static int naming_make(struct naming *n, const struct naming_key *key, const struct naming_frame *f, uint32_t *frame)
{
	uint32_t id;
	bool is_new;

	TRY(intern_get(&n->keys, key, sizeof *key, &id, &is_new));
	if (is_new && !vec_push(&n->frames, *f))
		return ERR_NO_MEMORY;
	*frame = id - 1;
	return 0;
}

static int naming_string(struct naming *n, struct buf *b, uint32_t *id)
{
	int rc = b->err ? b->err : profile_string(n->profile, (const char *)b->data, b->len, id);

	buf_done(b);
	return rc;
}

static int naming_bracketed(struct naming *n, uint32_t *name)
{
	size_t len;
	const char *s = profile_text(n->profile, *name, &len);
	struct buf b;

	buf_init(&b, 0);
	buf_u8(&b, '[');
	buf_put(&b, s, len);
	buf_u8(&b, ']');
	return naming_string(n, &b, name);
}

/* How much of the file name is not shown. */
static size_t naming_hidden(const struct naming *n, uint32_t process, const char *file, size_t len)
{
	size_t best = 0;

	for (size_t i = 0; i < n->options.n_strip; i++) {
		const char *s = n->options.strip[i];
		size_t k = strlen(s);

		while (k > 0 && s[k - 1] == '/')
			k--;
		if (k + 1 < len && k + 1 > best && *s && memcmp(file, s, k) == 0 && file[k] == '/')
			best = k + 1;
	}
	if (best || n->options.full_filenames)
		return best;
	return naming_folder(n->profile, process, file, len);
}

static int naming_group(struct naming *n, struct naming_frame *r, uint32_t *frame)
{
	if (!r->name)
		TRY(profile_string(n->profile, "<unknown>", 9, &r->name));
	r->file = r->line = 0;
	return naming_make(n, &(struct naming_key){.kind = r->kind, .id = r->name}, r, frame);
}

static int naming_python(struct naming *n, uint32_t process, uint32_t location, uint32_t *frame)
{
	struct profile_location l = profile_location_of(n->profile, location);
	struct profile_function f = profile_function_of(n->profile, l.function);
	struct naming_frame r = {.kind = f.kind == WIRE_FUNCTION_SYNTHETIC ? NAMING_SYNTHETIC : NAMING_PYTHON,
	                         .name = f.qualname,
	                         .file = f.file,
	                         .location = location};
	size_t len, cut;
	const char *file = profile_text(n->profile, f.file, &len);

	r.origin = r.kind == NAMING_SYNTHETIC ? NAMING_MADE : naming_origin(n->profile, process, file, len);
	if (!n->options.no_lines && r.kind == NAMING_PYTHON)
		r.line = n->options.by_function ? f.first_line : l.line > 0 ? (uint32_t)l.line : 0;
	cut = r.kind == NAMING_PYTHON ? naming_hidden(n, process, file, len) : 0;
	if (cut) {
		struct buf b; /* `file` may move while its tail is interned */
		buf_init(&b, 0);
		buf_put(&b, file + cut, len - cut);
		TRY(naming_string(n, &b, &r.file));
	}
	if (r.kind == NAMING_PYTHON && n->options.group != NAMING_FUNCTIONS) {
		r.name = n->options.group == NAMING_MODULES && f.module ? f.module : r.file;
		return naming_group(n, &r, frame);
	}
	if (r.kind == NAMING_SYNTHETIC)
		TRY(naming_bracketed(n, &r.name));
	else if (!r.name)
		TRY(profile_string(n->profile, "<unknown>", 9, &r.name));
	uint32_t what = n->options.by_text ? r.name : l.function;
	uint64_t column = n->options.by_column && !n->options.by_function && r.line ? (uint64_t)l.column + 1 : 0;
	return naming_make(n, &(struct naming_key){r.kind, what, r.line, r.file, column}, &r, frame);
}

static int naming_native(struct naming *n, uint32_t location, uint32_t *frame)
{
	struct profile_location l = profile_location_of(n->profile, location);
	struct naming_frame r = {
	    .kind = NAMING_NATIVE, .origin = NAMING_IS_NATIVE, .name = l.symbol, .location = location};
	struct naming_key key = {.kind = NAMING_NATIVE, .id = l.symbol, .line = l.module};
	const char *path = profile_module_path(n->profile, l.module);
	struct buf b;

	if (!l.symbol && n->options.group == NAMING_FUNCTIONS) {
		buf_init(&b, 0);
		buf_printf(&b, "0x%llx", (unsigned long long)l.offset);
		TRY(naming_string(n, &b, &r.name));
		key.offset = l.offset;
	}
	if (*path) {
		buf_init(&b, 0);
		buf_str(&b, n->options.full_filenames ? path : path_base(path));
		TRY(naming_string(n, &b, &r.file));
	}
	if (n->options.group != NAMING_FUNCTIONS) {
		r.name = r.file;
		return naming_group(n, &r, frame);
	}
	return naming_make(n, &key, &r, frame);
}

int naming_location(struct naming *n, uint32_t process, uint32_t location, uint32_t *frame)
{
	uint32_t set, *known;
	bool is_new;

	TRY(naming_path_set(n, process, &set));
	known = map_get(&n->memory, set, location);
	if (known) {
		*frame = *known;
		return 0;
	}
	if (profile_location_of(n->profile, location).function)
		TRY(naming_python(n, process, location, frame));
	else
		TRY(naming_native(n, location, frame));
	known = map_put(&n->memory, set, location, &is_new);
	if (!known)
		return ERR_NO_MEMORY;
	*known = *frame;
	return 0;
}

static int naming_row(struct naming *n, enum naming_kind kind, uint32_t id, struct buf *b, uint32_t *frame)
{
	struct naming_frame r = {.kind = kind, .origin = NAMING_ROW, .location = id};

	TRY(naming_string(n, b, &r.name));
	return naming_make(n, &(struct naming_key){.kind = kind, .id = id, .line = UINT32_MAX}, &r, frame);
}

int naming_process(struct naming *n, uint32_t process, uint32_t *frame)
{
	const struct profile_process *q = &n->profile->processes.v[process];
	struct buf b;

	buf_init(&b, 0);
	if (process)
		buf_printf(&b, "process %u", q->pid);
	else
		buf_str(&b, "[unknown process]");
	for (size_t i = 0; i < q->cmdline.n; i++) {
		size_t len;
		const char *s = profile_text(n->profile, q->cmdline.v[i], &len);
		buf_str(&b, i ? " " : ": ");
		buf_put(&b, s, len);
	}
	return naming_row(n, NAMING_PROCESS, process, &b, frame);
}

int naming_thread(struct naming *n, uint32_t thread, uint32_t *frame)
{
	const struct profile_thread *t = &n->profile->threads.v[thread];
	struct buf b;
	size_t len;
	const char *s = profile_text(n->profile, t->name, &len);

	buf_init(&b, 0);
	if (thread)
		buf_printf(&b, "thread %u", t->tid);
	else
		buf_str(&b, "[unknown thread]");
	if (t->interpreter)
		buf_printf(&b, " (interpreter %u)", t->interpreter);
	if (len) {
		buf_str(&b, ": ");
		buf_put(&b, s, len);
	}
	return naming_row(n, NAMING_THREAD, thread, &b, frame);
}

int naming_made(struct naming *n, const char *text, uint32_t *frame)
{
	struct naming_frame r = {.kind = NAMING_SYNTHETIC, .origin = NAMING_MADE};

	TRY(profile_string(n->profile, text, strlen(text), &r.name));
	return naming_make(n, &(struct naming_key){.kind = NAMING_SYNTHETIC, .id = r.name, .line = UINT32_MAX}, &r,
	                   frame);
}

bool naming_repeats(const struct naming *n, uint32_t outer, uint32_t inner, bool collapse)
{
	const struct naming_frame *a = &n->frames.v[outer], *b = &n->frames.v[inner];

	if (n->options.group != NAMING_FUNCTIONS && outer == inner)
		return true;
	if (!collapse || a->kind != b->kind || (a->kind != NAMING_PYTHON && a->kind != NAMING_NATIVE))
		return false;
	if (outer == inner)
		return true;
	return n->options.group == NAMING_FUNCTIONS && a->kind == NAMING_PYTHON &&
	       profile_location_of(n->profile, a->location).function ==
	           profile_location_of(n->profile, b->location).function;
}

const char *naming_name(const struct naming *n, uint32_t frame, size_t *len)
{
	return profile_text(n->profile, n->frames.v[frame].name, len);
}

const char *naming_file(const struct naming *n, uint32_t frame, size_t *len)
{
	return profile_text(n->profile, n->frames.v[frame].file, len);
}

void naming_text(const struct naming *n, uint32_t frame, struct buf *out)
{
	const struct naming_frame *f = &n->frames.v[frame];
	size_t len;
	const char *s = naming_name(n, frame, &len);

	buf_put(out, s, len);
	s = naming_file(n, frame, &len);
	if (!len)
		return;
	buf_str(out, " (");
	buf_put(out, s, len);
	if (f->line)
		buf_printf(out, ":%u", f->line);
	buf_u8(out, ')');
}

static int naming_bytes_compare(const struct naming *n, uint32_t a, uint32_t b)
{
	size_t x, y;
	const char *s = profile_text(n->profile, a, &x), *t = profile_text(n->profile, b, &y);
	int c = a == b ? 0 : memcmp(s, t, x < y ? x : y);

	return c ? c : (x > y) - (x < y);
}

int naming_compare(const struct naming *n, uint32_t a, uint32_t b)
{
	const struct naming_frame *f = &n->frames.v[a], *g = &n->frames.v[b];
	int c = naming_bytes_compare(n, f->name, g->name);

	if (!c)
		c = naming_bytes_compare(n, f->file, g->file);
	if (!c)
		c = (f->line > g->line) - (f->line < g->line);
	return c ? c : (a > b) - (a < b);
}

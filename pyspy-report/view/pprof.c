#include "pyspy-report/view/pprof.h"

#include <string.h>

#include "format/encode.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "pyspy-report/view/gzip_out.h"
#include "pyspy-report/view/proto.h"
#include "pyspy-report/view/words.h"

/* Field numbers of profile.proto. */
enum {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE = 2,
	PROFILE_MAPPING = 3,
	PROFILE_LOCATION = 4,
	PROFILE_FUNCTION = 5,
	PROFILE_STRING = 6,
	PROFILE_TIME_NANOS = 9,
	PROFILE_DURATION_NANOS = 10,
	PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD = 12,
	PROFILE_COMMENT = 13,
	PROFILE_DEFAULT_SAMPLE_TYPE = 14,
	VALUE_TYPE = 1,
	VALUE_UNIT = 2,
	SAMPLE_LOCATION = 1,
	SAMPLE_VALUE = 2,
	SAMPLE_LABEL = 3,
	LABEL_KEY = 1,
	LABEL_STR = 2,
	LABEL_NUM = 3,
	MAPPING_ID = 1,
	MAPPING_FILENAME = 5,
	MAPPING_BUILD_ID = 6,
	MAPPING_HAS_FUNCTIONS = 7,
	MAPPING_HAS_FILENAMES = 8,
	MAPPING_HAS_LINE_NUMBERS = 9,
	MAPPING_HAS_INLINE_FRAMES = 10,
	LOCATION_ID = 1,
	LOCATION_MAPPING = 2,
	LOCATION_ADDRESS = 3,
	LOCATION_LINE = 4,
	LINE_FUNCTION = 1,
	LINE_LINE = 2,
	LINE_COLUMN = 3,
	FUNCTION_ID = 1,
	FUNCTION_NAME = 2,
	FUNCTION_SYSTEM_NAME = 3, /* never written: pprof would take it for a C++ name and strip <module> from it */
	FUNCTION_FILENAME = 4,
	FUNCTION_START_LINE = 5,
};

struct pprof {
	struct gzip_out gzip;
	const struct shape *shape;
	const struct naming *n;
	const struct labelled *samples;
	const struct pprof_options *o;
	struct intern strings;          /* escaped: what is written */
	struct map text_ids;            /* (string of the profile + 1, module + 1) -> string + 1 */
	struct map functions, mappings; /* (name, file : first line) -> id; module -> id */
	struct map process_texts;       /* process -> string */
	struct buf message, part, line, raw, safe;
	int rc;
};

static void fail(struct pprof *p, int rc)
{
	if (!p->rc)
		p->rc = rc;
}

static uint32_t put_string(struct pprof *p, const char *s, size_t n)
{
	uint32_t id;

	buf_reset(&p->safe);
	escape_text(&p->safe, s, n);
	fail(p, p->safe.err ? p->safe.err : intern_get(&p->strings, p->safe.data, p->safe.len, &id, NULL));
	return p->rc ? 0 : id;
}

static uint32_t put_words(struct pprof *p, const char *s)
{
	return put_string(p, s, strlen(s));
}

/* The strings of the profile, each escaped once; with a module: "module.name". */
static uint32_t put_text(struct pprof *p, uint32_t string, uint32_t module)
{
	const struct profile *of = p->n->profile;
	bool is_new;
	size_t n;
	const char *s;
	uint32_t *known = map_put(&p->text_ids, string, module, &is_new), id;

	if (!known) {
		fail(p, ERR_NO_MEMORY);
		return 0;
	}
	if (!is_new)
		return *known;
	buf_reset(&p->raw);
	if (module) {
		s = profile_text(of, module, &n);
		buf_put(&p->raw, s, n);
		buf_u8(&p->raw, '.');
	}
	s = profile_text(of, string, &n);
	buf_put(&p->raw, s, n);
	fail(p, p->raw.err);
	id = put_string(p, (const char *)p->raw.data, p->raw.len);
	*known = id;
	return id;
}

/* p->message is whole: out with it. */
static void put_message(struct pprof *p, uint32_t field)
{
	buf_reset(&p->line);
	proto_message(&p->line, field, &p->message);
	fail(p, p->line.err);
	gzip_out_put(&p->gzip, p->line.data, p->line.len);
	buf_reset(&p->message);
}

static void put_number(struct pprof *p, uint32_t field, uint64_t v)
{
	buf_reset(&p->line);
	proto_number(&p->line, field, v);
	fail(p, p->line.err);
	gzip_out_put(&p->gzip, p->line.data, p->line.len);
}

static void put_type(struct pprof *p, uint32_t field, const char *type, const char *unit)
{
	proto_number(&p->message, VALUE_TYPE, put_words(p, type));
	proto_number(&p->message, VALUE_UNIT, put_words(p, unit));
	put_message(p, field);
}

/* When the first of the recordings began, by the clock on the wall. */
static int64_t begin_of(const struct profile *p)
{
	int64_t least = 0;
	bool has_one = false;

	for (size_t i = 0; i < p->recordings.n; i++) {
		const struct profile_recording *r = &p->recordings.v[i];
		int64_t at = r->file.realtime_ns;

		/* a file may say anything: no time at all then */
		if (r->n_blocks && __builtin_add_overflow(r->anchor_ns, (int64_t)r->begin_ns, &at))
			at = 0;
		if (!has_one || at < least)
			least = at;
		has_one = true;
	}
	return least;
}

static const struct {
	const char *type, *unit;
} types[] = {
    [PPROF_SAMPLES] = {"samples", "count"},
    [PPROF_WALL] = {"wall", "nanoseconds"},
    [PPROF_CPU] = {"cpu", "nanoseconds"},
};

static void put_head(struct pprof *p)
{
	const struct profile *of = p->n->profile;
	uint64_t duration = p->o->duration_ns;

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		put_type(p, PROFILE_SAMPLE_TYPE, types[i].type, types[i].unit);
	put_number(p, PROFILE_DEFAULT_SAMPLE_TYPE, put_words(p, types[p->o->shown].type));
	put_number(p, PROFILE_TIME_NANOS, (uint64_t)begin_of(of));
	put_number(p, PROFILE_DURATION_NANOS, duration < INT64_MAX ? duration : INT64_MAX);
	put_type(p, PROFILE_PERIOD_TYPE, "wall", "nanoseconds");
	put_number(p, PROFILE_PERIOD, profile_sample_worth_ns(of) & INT64_MAX);
	for (size_t i = 0; i < p->o->n_comments; i++)
		put_number(p, PROFILE_COMMENT, put_words(p, p->o->comments[i]));
}

static void put_mapping(struct pprof *p, uint32_t id, uint32_t filename, uint32_t build_id)
{
	proto_number(&p->message, MAPPING_ID, id);
	proto_number(&p->message, MAPPING_FILENAME, filename);
	proto_number(&p->message, MAPPING_BUILD_ID, build_id);
	/* all is known that there is to know: nobody shall look for symbols on the disk */
	for (uint32_t field = MAPPING_HAS_FUNCTIONS; field <= MAPPING_HAS_INLINE_FRAMES; field++)
		proto_number(&p->message, field, 1);
	put_message(p, PROFILE_MAPPING);
}

/* Mapping 1 is the interpreter: pprof shows the first one as what was profiled. */
static void put_interpreter(struct pprof *p)
{
	const struct profile *of = p->n->profile;
	uint32_t exe = 0;

	for (size_t i = 0; i < of->processes.n && !exe; i++)
		exe = of->processes.v[i].exe;
	put_mapping(p, 1, exe ? put_text(p, exe, 0) : put_words(p, "[python]"), 0);
}

static uint32_t module_mapping(struct pprof *p, uint32_t module)
{
	bool is_new;
	uint32_t *id = map_put(&p->mappings, module, 0, &is_new);
	size_t n, k;
	const char *s;

	if (!id) {
		fail(p, ERR_NO_MEMORY);
		return 0;
	}
	if (!is_new)
		return *id;
	*id = (uint32_t)p->mappings.n + 1;
	s = intern_bytes(&p->n->profile->modules, module, &n);
	k = strlen(s);
	buf_reset(&p->raw);
	for (size_t i = k + 1; i < n; i++) /* path NUL build id */
		buf_printf(&p->raw, "%02x", (unsigned char)s[i]);
	fail(p, p->raw.err);
	uint32_t build_id = put_words(p, buf_cstr(&p->raw));
	put_mapping(p, *id, put_string(p, s, k), build_id);
	return *id;
}

/* pprof's tables know a function by its name alone, so names say which module they are of: but for the program itself,
 * whose functions are those that one looks for. */
static uint32_t module_of(const struct pprof *p, const struct profile_function *f)
{
	size_t n;
	const char *s = profile_text(p->n->profile, f->module, &n);

	/* each function has the whole of it in its own name: what is too long for a name is left out */
	return n > 255 || (n == 8 && memcmp(s, "__main__", 8) == 0) ? 0 : f->module;
}

static uint32_t put_function(struct pprof *p, const struct naming_frame *f, uint32_t first_line, uint32_t module)
{
	uint32_t name = put_text(p, f->name, module), file = put_text(p, f->file, 0);
	bool is_new;
	uint32_t *id = map_put(&p->functions, (uint64_t)name << 32 | file, first_line, &is_new);

	if (!id) {
		fail(p, ERR_NO_MEMORY);
		return 0;
	}
	if (!is_new)
		return *id;
	*id = (uint32_t)p->functions.n;
	proto_number(&p->message, FUNCTION_ID, *id);
	proto_number(&p->message, FUNCTION_NAME, name);
	proto_number(&p->message, FUNCTION_FILENAME, file);
	proto_number(&p->message, FUNCTION_START_LINE, first_line);
	put_message(p, PROFILE_FUNCTION);
	return *id;
}

/* Frame -> location frame + 1. */
static void put_location(struct pprof *p, uint32_t frame)
{
	const struct profile *of = p->n->profile;
	const struct naming_frame *f = &p->n->frames.v[frame];
	struct profile_location l = {.column = -1};
	uint32_t first_line = 0, module = 0, mapping = 1;

	if (f->kind == NAMING_PYTHON || f->kind == NAMING_NATIVE)
		l = profile_location_of(of, f->location);
	if (f->kind == NAMING_PYTHON && p->n->options.group == NAMING_FUNCTIONS) {
		struct profile_function g = profile_function_of(of, l.function);
		first_line = g.first_line;
		module = module_of(p, &g);
	} else if (f->kind == NAMING_NATIVE && l.module) {
		mapping = module_mapping(p, l.module);
	}
	uint32_t function = put_function(p, f, first_line, module);
	proto_number(&p->message, LOCATION_ID, (uint64_t)frame + 1);
	proto_number(&p->message, LOCATION_MAPPING, mapping);
	if (f->kind == NAMING_NATIVE)
		proto_number(&p->message, LOCATION_ADDRESS, l.offset);
	buf_reset(&p->part);
	proto_number(&p->part, LINE_FUNCTION, function);
	proto_number(&p->part, LINE_LINE, f->line);
	if (p->n->options.by_column && !p->n->options.by_function && f->line && l.column >= 0)
		proto_number(&p->part, LINE_COLUMN, (uint64_t)l.column + 1);
	proto_message(&p->message, LOCATION_LINE, &p->part);
	put_message(p, PROFILE_LOCATION);
}

static int put_locations(struct pprof *p)
{
	bool *seen = calloc(p->n->frames.n + 1, sizeof *seen);

	if (!seen)
		return ERR_NO_MEMORY;
	for (size_t i = 1; i < p->shape->nodes.n; i++)
		seen[p->shape->nodes.v[i].frame] = true;
	for (uint32_t i = 0; i < p->n->frames.n && !p->rc; i++)
		if (seen[i])
			put_location(p, i);
	free(seen);
	return p->rc;
}

static void put_label(struct pprof *p, const char *key, uint32_t text, uint64_t number)
{
	buf_reset(&p->part);
	proto_number(&p->part, LABEL_KEY, put_words(p, key));
	proto_number(&p->part, LABEL_STR, text);
	proto_number(&p->part, LABEL_NUM, number);
	proto_message(&p->message, SAMPLE_LABEL, &p->part);
}

static uint32_t thread_text(struct pprof *p, uint32_t thread)
{
	const struct profile_thread *t = &p->n->profile->threads.v[thread];
	char s[40] = "[unknown thread]";

	if (t->name)
		return put_text(p, t->name, 0);
	if (thread)
		snprintf(s, sizeof s, "thread %u", t->tid);
	return put_words(p, s);
}

static uint32_t process_text(struct pprof *p, uint32_t process)
{
	const struct profile *of = p->n->profile;
	const struct profile_process *q = &of->processes.v[process];
	bool is_new;
	uint32_t *known = map_put(&p->process_texts, process, 0, &is_new);

	if (!known) {
		fail(p, ERR_NO_MEMORY);
		return 0;
	}
	if (!is_new)
		return *known;
	buf_reset(&p->raw);
	if (!process)
		buf_str(&p->raw, "[unknown process]");
	for (size_t i = 0; i < q->cmdline.n; i++) {
		size_t n;
		const char *s = profile_text(of, q->cmdline.v[i], &n);

		if (i)
			buf_u8(&p->raw, ' ');
		buf_put(&p->raw, s, n);
	}
	if (!p->raw.len)
		buf_printf(&p->raw, "process %u", q->pid);
	fail(p, p->raw.err);
	*known = put_string(p, (const char *)p->raw.data, p->raw.len);
	return *known;
}

static void put_labels(struct pprof *p, const struct labelled_row *r)
{
	const struct profile_thread *t = &p->n->profile->threads.v[r->thread];
	const struct profile_process *q = &p->n->profile->processes.v[t->process];

	put_label(p, "thread", thread_text(p, r->thread), 0);
	if (t->tid)
		put_label(p, "thread id", 0, t->tid);
	if (t->interpreter)
		put_label(p, "interpreter", 0, t->interpreter);
	put_label(p, "process", process_text(p, t->process), 0);
	if (q->pid)
		put_label(p, "pid", 0, q->pid);
	put_label(p, "state", put_words(p, words_state(r->flags & WIRE_FLAG_STATE)), 0);
	if (r->flags & (WIRE_FLAG_GIL | WIRE_FLAG_GIL_WAIT))
		put_label(p, "gil", put_words(p, r->flags & WIRE_FLAG_GIL ? "held" : "waited for"), 0);
	if (r->flags & WIRE_FLAG_GC)
		put_label(p, "gc", put_words(p, "running"), 0);
}

static void put_sample(struct pprof *p, const struct labelled_row *r)
{
	const struct shape_node *nodes = p->shape->nodes.v;

	buf_reset(&p->part);
	for (uint32_t at = r->path; at; at = nodes[at].parent)
		encode_varint(&p->part, (uint64_t)nodes[at].frame + 1);
	proto_bytes(&p->message, SAMPLE_LOCATION, p->part.data, p->part.len);
	fail(p, p->part.err);
	buf_reset(&p->part);
	encode_varint(&p->part, r->n & INT64_MAX);
	encode_varint(&p->part, r->wall_ns & INT64_MAX); /* sums of times stay below 2^63: profile_take_time */
	encode_varint(&p->part, r->cpu_ns < INT64_MAX ? r->cpu_ns : INT64_MAX);
	proto_bytes(&p->message, SAMPLE_VALUE, p->part.data, p->part.len);
	put_labels(p, r);
	put_message(p, PROFILE_SAMPLE);
}

static int put_all(struct pprof *p)
{
	put_head(p);
	put_interpreter(p);
	put_locations(p);
	for (size_t i = 0; i < p->samples->rows.n && !p->rc && !ferror(p->gzip.out); i++)
		put_sample(p, &p->samples->rows.v[i]);
	buf_reset(&p->message);
	for (uint32_t i = 0; i < p->strings.n && !p->rc; i++) {
		size_t n;
		const char *s = intern_bytes(&p->strings, i, &n);

		buf_put(&p->message, s, n);
		put_message(p, PROFILE_STRING); /* the first one is empty */
	}
	return p->rc;
}

int pprof_write(FILE *out, const struct shape *s, const struct labelled *samples, const struct pprof_options *o)
{
	struct pprof p = {.shape = s, .n = s->naming, .samples = samples, .o = o};
	int rc = intern_init(&p.strings, PROFILE_MAX_BYTES);

	if (rc)
		return rc;
	map_init(&p.text_ids, 0);
	map_init(&p.functions, 0);
	map_init(&p.mappings, 0);
	map_init(&p.process_texts, 0);
	buf_init(&p.message, 0);
	buf_init(&p.part, 0);
	buf_init(&p.line, 0);
	buf_init(&p.raw, 0);
	buf_init(&p.safe, 0);
	rc = gzip_out_begin(&p.gzip, out);
	if (!rc) {
		rc = put_all(&p);
		gzip_out_end(&p.gzip);
	}
	intern_done(&p.strings);
	map_done(&p.text_ids);
	map_done(&p.functions);
	map_done(&p.mappings);
	map_done(&p.process_texts);
	buf_done(&p.message);
	buf_done(&p.part);
	buf_done(&p.line);
	buf_done(&p.raw);
	buf_done(&p.safe);
	return rc;
}

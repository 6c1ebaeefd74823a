#include "pyspy-report/view/firefox_tables.h"

#include <string.h>

#include "libcommon/err.h"

static const struct {
	const char *name, *color;
} categories[FIREFOX_CATEGORIES] = {
    [FIREFOX_OTHER] = {"Other", "grey"},        [FIREFOX_OWN] = {"Own code", "yellow"},
    [FIREFOX_SITE] = {"Packages", "orange"},    [FIREFOX_STDLIB] = {"Standard library", "green"},
    [FIREFOX_NATIVE] = {"Native code", "blue"}, [FIREFOX_IDLE] = {"Idle", "transparent"},
};
enum { SUB_OTHER, SUB_GIL, SUB_GIL_WAIT };

void firefox_tables_categories(struct jsonout *j)
{
	jsonout_open(j, '[');
	for (int i = 0; i < FIREFOX_CATEGORIES; i++) {
		jsonout_open(j, '{');
		jsonout_key_word(j, "name", categories[i].name);
		jsonout_key_word(j, "color", categories[i].color);
		jsonout_key(j, "subcategories");
		jsonout_plain(j, "[\"Other\",\"holds the GIL\",\"waits for the GIL\"]");
		jsonout_close(j, '}');
	}
	jsonout_close(j, ']');
}

static uint32_t category_of(const struct firefox_frame *f)
{
	if (f->state == TIMELINE_IDLE || f->state == TIMELINE_GIL_WAIT)
		return FIREFOX_IDLE;
	switch (f->origin) {
	case NAMING_OWN:
		return FIREFOX_OWN;
	case NAMING_SITE:
		return FIREFOX_SITE;
	case NAMING_STDLIB:
		return FIREFOX_STDLIB;
	case NAMING_IS_NATIVE:
		return FIREFOX_NATIVE;
	default:
		return FIREFOX_OTHER;
	}
}

static uint32_t subcategory_of(const struct firefox_frame *f)
{
	return f->state == TIMELINE_GIL ? SUB_GIL : f->state == TIMELINE_GIL_WAIT ? SUB_GIL_WAIT : SUB_OTHER;
}

/* The number of a pair, the next one of `list` when it is new; `item` is pushed then. */
#define number_of(map, a, b, list, item, number)                                                                       \
	do {                                                                                                           \
		bool is_new_;                                                                                          \
		uint32_t *known_ = map_put(map, a, b, &is_new_);                                                       \
		if (!known_ || (is_new_ && !vec_push(list, item)))                                                     \
			return ERR_NO_MEMORY;                                                                          \
		if (is_new_)                                                                                           \
			*known_ = (uint32_t)(list)->n - 1;                                                             \
		*(number) = *known_;                                                                                   \
	} while (0)

static int string_number(struct firefox_tables *t, uint32_t string, uint32_t *number)
{
	number_of(&t->string_numbers, string, 0, &t->strings, string, number);
	return 0;
}

/* A function has one place: its file and its first line, whatever line of it a frame shows. */
static int function_number(struct firefox_tables *t, const struct naming_frame *f, uint32_t *number)
{
	const struct naming *n = t->shape->naming;
	uint32_t function = 0, line = 0, name, file, source = UINT32_MAX;

	if (f->kind == NAMING_PYTHON) {
		function = profile_location_of(n->profile, f->location).function;
		line = f->line ? profile_function_of(n->profile, function).first_line : 0;
	}
	if (n->options.by_text)
		function = 0;
	TRY(string_number(t, f->name, &name));
	if (f->file) {
		TRY(string_number(t, f->file, &file));
		number_of(&t->source_numbers, file, 0, &t->sources, file, &source);
	}
	number_of(&t->function_numbers, (uint64_t)f->name << 32 | f->file, (uint64_t)function << 32 | line,
	          &t->functions, ((struct firefox_function){name, source, line}), number);
	return 0;
}

static int frame_number(struct firefox_tables *t, uint32_t frame, enum timeline_state state, uint32_t *number)
{
	const struct naming_frame *f = &t->shape->naming->frames.v[frame];
	uint32_t *known = map_get(&t->frame_numbers, frame, state), function;

	if (known) {
		*number = *known;
		return 0;
	}
	TRY(function_number(t, f, &function));
	number_of(&t->frame_numbers, frame, state, &t->frames,
	          ((struct firefox_frame){function, f->line, state, f->origin}), number);
	return 0;
}

static int add_leaves(struct firefox_tables *t, struct timeline *of, size_t track)
{
	struct timeline_reader reader;
	struct timeline_run run;
	int rc = timeline_read(&reader, of, track);

	while (!rc && (rc = timeline_next(&reader, &run)) > 0) {
		bool is_new;
		uint32_t *known, frame;

		rc = 0;
		if (run.state == TIMELINE_BUSY || !run.path)
			continue;
		known = map_put(&t->leaf_numbers, run.path, run.state, &is_new);
		if (!known)
			rc = ERR_NO_MEMORY;
		if (rc || !is_new)
			continue;
		rc = frame_number(t, t->shape->nodes.v[run.path].frame, run.state, &frame);
		if (!rc && !vec_push(&t->stacks, ((struct firefox_stack){frame, run.path})))
			rc = ERR_NO_MEMORY;
		*known = (uint32_t)t->stacks.n - 1;
	}
	timeline_read_done(&reader);
	return rc;
}

int firefox_tables_make(struct firefox_tables *t, const struct shape *p, struct timeline *of)
{
	uint32_t frame;

	memset(t, 0, sizeof *t);
	t->shape = p;
	struct map *maps[] = {&t->string_numbers, &t->source_numbers, &t->function_numbers, &t->frame_numbers,
	                      &t->leaf_numbers};
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
		map_init(maps[i], 0);
	for (uint32_t i = 1; i < p->nodes.n; i++) {
		TRY(frame_number(t, p->nodes.v[i].frame, TIMELINE_BUSY, &frame));
		if (!vec_push(&t->stacks, ((struct firefox_stack){frame, i})))
			return ERR_NO_MEMORY;
	}
	for (size_t i = 0; i < of->tracks.n; i++)
		TRY(add_leaves(t, of, i));
	return 0;
}

void firefox_tables_done(struct firefox_tables *t)
{
	map_done(&t->string_numbers);
	map_done(&t->source_numbers);
	map_done(&t->function_numbers);
	map_done(&t->frame_numbers);
	map_done(&t->leaf_numbers);
	vec_free(&t->strings);
	vec_free(&t->sources);
	vec_free(&t->functions);
	vec_free(&t->frames);
	vec_free(&t->stacks);
}

uint32_t firefox_tables_stack(const struct firefox_tables *t, uint32_t path, enum timeline_state state)
{
	const uint32_t *leaf = state == TIMELINE_BUSY ? NULL : map_get(&t->leaf_numbers, path, state);

	return leaf ? *leaf : path - 1;
}

/* A column of a table: `value` is an expression in i. */
#define put_column(j, name, n_rows, value)                                                                             \
	do {                                                                                                           \
		jsonout_key(j, name);                                                                                  \
		jsonout_open(j, '[');                                                                                  \
		for (size_t i = 0; i < (n_rows); i++)                                                                  \
			value;                                                                                         \
		jsonout_close(j, ']');                                                                                 \
	} while (0)

static void put_or_null(struct jsonout *j, bool is_there, uint64_t n)
{
	if (is_there)
		jsonout_number(j, n);
	else
		jsonout_plain(j, "null");
}

static void table_begin(struct jsonout *j, const char *name, size_t n)
{
	jsonout_line(j);
	jsonout_key(j, name);
	jsonout_open(j, '{');
	jsonout_key_number(j, "length", n);
}

static void put_strings(const struct firefox_tables *t, struct jsonout *j)
{
	jsonout_line(j);
	jsonout_key(j, "stringArray");
	jsonout_open(j, '[');
	for (size_t i = 0; i < t->strings.n; i++) {
		size_t n;
		const char *s = profile_text(t->shape->naming->profile, t->strings.v[i], &n);

		jsonout_string(j, s, n);
	}
	jsonout_close(j, ']');
}

static void put_sources_and_functions(const struct firefox_tables *t, struct jsonout *j)
{
	table_begin(j, "sources", t->sources.n);
	put_column(j, "id", t->sources.n, jsonout_plain(j, "null"));
	put_column(j, "filename", t->sources.n, jsonout_number(j, t->sources.v[i]));
	put_column(j, "startLine", t->sources.n, jsonout_plain(j, "1"));
	put_column(j, "startColumn", t->sources.n, jsonout_plain(j, "1"));
	put_column(j, "sourceMapURL", t->sources.n, jsonout_plain(j, "null"));
	jsonout_close(j, '}');
	const struct firefox_function *f = t->functions.v;
	table_begin(j, "funcTable", t->functions.n);
	put_column(j, "name", t->functions.n, jsonout_number(j, f[i].name));
	put_column(j, "isJS", t->functions.n, jsonout_plain(j, "false"));
	put_column(j, "relevantForJS", t->functions.n, jsonout_plain(j, "false"));
	put_column(j, "resource", t->functions.n, jsonout_plain(j, "-1"));
	put_column(j, "source", t->functions.n, put_or_null(j, f[i].source != UINT32_MAX, f[i].source));
	put_column(j, "lineNumber", t->functions.n, put_or_null(j, f[i].line, f[i].line));
	put_column(j, "columnNumber", t->functions.n, jsonout_plain(j, "null"));
	jsonout_close(j, '}');
}

static void put_frames_and_stacks(const struct firefox_tables *t, struct jsonout *j)
{
	const struct firefox_frame *f = t->frames.v;
	const struct firefox_stack *s = t->stacks.v;
	const struct shape_node *nodes = t->shape->nodes.v;

	table_begin(j, "frameTable", t->frames.n);
	put_column(j, "address", t->frames.n, jsonout_plain(j, "-1"));
	put_column(j, "inlineDepth", t->frames.n, jsonout_plain(j, "0"));
	put_column(j, "category", t->frames.n, jsonout_number(j, category_of(&f[i])));
	put_column(j, "subcategory", t->frames.n, jsonout_number(j, subcategory_of(&f[i])));
	put_column(j, "func", t->frames.n, jsonout_number(j, f[i].function));
	put_column(j, "nativeSymbol", t->frames.n, jsonout_plain(j, "null"));
	put_column(j, "innerWindowID", t->frames.n, jsonout_plain(j, "0"));
	put_column(j, "line", t->frames.n, put_or_null(j, f[i].line, f[i].line));
	put_column(j, "column", t->frames.n, jsonout_plain(j, "null"));
	jsonout_close(j, '}');
	table_begin(j, "stackTable", t->stacks.n);
	put_column(j, "frame", t->stacks.n, jsonout_number(j, s[i].frame));
	put_column(j, "prefix", t->stacks.n,
	           put_or_null(j, nodes[s[i].path].parent != 0, nodes[s[i].path].parent - UINT64_C(1)));
	jsonout_close(j, '}');
}

void firefox_tables_write(const struct firefox_tables *t, struct jsonout *j)
{
	jsonout_key(j, "libs");
	jsonout_plain(j, "[]");
	jsonout_key(j, "pages");
	jsonout_plain(j, "[]");
	jsonout_key(j, "counters");
	jsonout_plain(j, "[]");
	jsonout_line(j);
	jsonout_key(j, "shared");
	jsonout_open(j, '{');
	put_strings(t, j);
	put_sources_and_functions(t, j);
	put_frames_and_stacks(t, j);
	jsonout_line(j);
	jsonout_key(j, "resourceTable");
	jsonout_plain(j, "{\"length\":0,\"lib\":[],\"name\":[],\"host\":[],\"type\":[]}");
	jsonout_key(j, "nativeSymbols");
	jsonout_plain(j, "{\"length\":0,\"libIndex\":[],\"address\":[],\"name\":[],\"functionSize\":[]}");
	jsonout_close(j, '}');
}

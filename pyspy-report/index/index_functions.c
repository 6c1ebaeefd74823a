#include "pyspy-report/index/index_functions.h"

#include <inttypes.h>
#include <string.h>

#include "libcommon/escape.h"

static const struct {
	const char *call, *about;
} functions[] = {
    {"tally(stack[, n])",
     "an aggregate: how often each stack came, or the sum of n (weight_ns, ...) for it, as JSON: `[[stack, n], ...]`, "
     "the largest first. Ten times faster than GROUP BY; `json_each` makes rows of it"},
    {"path(stack)", "the names of its functions, the outermost first, with ; between; a ; in a name is \\x3b"},
    {"frame(location)", "`name (file:line)`"},
    {"within(stack, name)", "1 when a function of this qualified name is in it, else 0"},
};

/* ---- names */

static void functions_name(const struct profile *p, uint32_t location, struct buf *b)
{
	struct profile_location l = profile_location_of(p, location);
	struct profile_function f = profile_function_of(p, l.function);
	size_t n;
	const char *name = profile_text(p, l.function ? f.qualname : l.symbol, &n);

	if (!l.function && !l.symbol)
		buf_printf(b, "0x%" PRIx64, l.offset);
	else if (f.kind == WIRE_FUNCTION_SYNTHETIC)
		buf_u8(b, '[');
	escape_folded(b, name, n);
	if (f.kind == WIRE_FUNCTION_SYNTHETIC)
		buf_u8(b, ']');
}

static void functions_text(sqlite3_context *to, struct buf *b)
{
	if (b->err)
		sqlite3_result_error_nomem(to);
	else
		sqlite3_result_text64(to, buf_cstr(b), b->len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

/* An id below n; 0 when it is none. */
static uint32_t functions_id(sqlite3_value *v, size_t n)
{
	int64_t id = sqlite3_value_type(v) == SQLITE_INTEGER ? sqlite3_value_int64(v) : 0;

	return id > 0 && (uint64_t)id < n ? (uint32_t)id : 0;
}

static void functions_path(sqlite3_context *to, int argc, sqlite3_value **argv)
{
	const struct profile *p = sqlite3_user_data(to);
	uint32_t stack = functions_id(argv[0], p->stacks.n), n = stack ? p->stacks.v[stack].depth : 0;
	uint32_t *locations = n ? sqlite3_malloc64(n * sizeof *locations) : NULL;
	struct buf b;

	(void)argc;
	if (!n)
		return;
	if (!locations) {
		sqlite3_result_error_nomem(to);
		return;
	}
	for (uint32_t at = stack, i = n; i > 0; at = p->stacks.v[at].parent)
		locations[--i] = p->stacks.v[at].location;
	buf_init(&b, (size_t)sqlite3_limit(sqlite3_context_db_handle(to), SQLITE_LIMIT_LENGTH, -1));
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			buf_u8(&b, ';');
		functions_name(p, locations[i], &b);
	}
	functions_text(to, &b);
	buf_done(&b);
	sqlite3_free(locations);
}

static void functions_frame(sqlite3_context *to, int argc, sqlite3_value **argv)
{
	const struct profile *p = sqlite3_user_data(to);
	uint32_t location = functions_id(argv[0], p->locations.n);
	struct buf b;
	size_t n;

	(void)argc;
	if (!location)
		return;
	struct profile_location l = profile_location_of(p, location);
	struct profile_function f = profile_function_of(p, l.function);
	const char *file = l.function ? profile_text(p, f.file, &n) : profile_module_path(p, l.module);
	n = l.function ? n : strlen(file);
	buf_init(&b, 0);
	functions_name(p, location, &b);
	if (n) {
		buf_str(&b, " (");
		escape_folded(&b, file, n);
		if (l.line)
			buf_printf(&b, ":%d", l.line);
		buf_u8(&b, ')');
	}
	functions_text(to, &b);
	buf_done(&b);
}

static void functions_within(sqlite3_context *to, int argc, sqlite3_value **argv)
{
	const struct profile *p = sqlite3_user_data(to);
	const void *name = sqlite3_value_blob(argv[1]);
	uint32_t stack = functions_id(argv[0], p->stacks.n),
	         string = name ? intern_find(&p->strings, name, (size_t)sqlite3_value_bytes(argv[1])) : 0;
	bool found = false;

	(void)argc;
	for (; stack && string && !found; stack = p->stacks.v[stack].parent) {
		struct profile_location l = profile_location_of(p, p->stacks.v[stack].location);

		found = l.function ? profile_function_of(p, l.function).qualname == string : l.symbol == string;
	}
	sqlite3_result_int(to, found);
}

/* ---- tally */

struct tallied {
	int64_t stack, n;
};
struct tallying {
	struct map rows;
	VEC(struct tallied) list;
};

static void functions_tally_step(sqlite3_context *to, int argc, sqlite3_value **argv)
{
	struct tallying **at = sqlite3_aggregate_context(to, sizeof *at);
	int64_t stack = sqlite3_value_int64(argv[0]), n = argc > 1 ? sqlite3_value_int64(argv[1]) : 1;
	bool is_new;

	if (!at || (!*at && !(*at = calloc(1, sizeof **at)))) {
		sqlite3_result_error_nomem(to);
		return;
	}
	if (sqlite3_value_type(argv[0]) == SQLITE_NULL || (argc > 1 && sqlite3_value_type(argv[1]) == SQLITE_NULL))
		return;
	struct tallying *t = *at;
	uint32_t *row = map_put(&t->rows, (uint64_t)stack, 0, &is_new);
	if (!row || t->list.n >= UINT32_MAX || (is_new && !vec_push(&t->list, ((struct tallied){stack, 0})))) {
		sqlite3_result_error_nomem(to);
		return;
	}
	if (is_new)
		*row = (uint32_t)t->list.n - 1;
	if (__builtin_add_overflow(t->list.v[*row].n, n, &t->list.v[*row].n))
		sqlite3_result_error(to, "tally: the sum is too large", -1);
}

static int functions_by_n(const void *a, const void *b)
{
	const struct tallied *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return (x->stack > y->stack) - (x->stack < y->stack);
}

static void functions_tally_end(sqlite3_context *to)
{
	struct tallying **at = sqlite3_aggregate_context(to, 0), *t = at ? *at : NULL;
	struct buf b;

	buf_init(&b, (size_t)sqlite3_limit(sqlite3_context_db_handle(to), SQLITE_LIMIT_LENGTH, -1));
	buf_u8(&b, '[');
	if (t && t->list.n)
		qsort(t->list.v, t->list.n, sizeof *t->list.v, functions_by_n);
	for (size_t i = 0; t && i < t->list.n; i++)
		buf_printf(&b, "%s[%" PRId64 ",%" PRId64 "]", i ? "," : "", t->list.v[i].stack, t->list.v[i].n);
	buf_u8(&b, ']');
	functions_text(to, &b);
	buf_done(&b);
	if (!t)
		return;
	map_done(&t->rows);
	vec_free(&t->list);
	free(t);
	*at = NULL;
}

int index_functions_register(sqlite3 *db, struct profile *p)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
	int rc = sqlite3_create_function_v2(db, "path", 1, flags, p, functions_path, NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_create_function_v2(db, "frame", 1, flags, p, functions_frame, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_function_v2(db, "within", 2, flags, p, functions_within, NULL, NULL, NULL);
	for (int n = 1; n <= 2 && rc == SQLITE_OK; n++)
		rc = sqlite3_create_function_v2(db, "tally", n, flags, NULL, NULL, functions_tally_step,
		                                functions_tally_end, NULL);
	return rc;
}

void index_functions_print(FILE *out)
{
	fprintf(out, "| function | |\n|---|---|\n");
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		fprintf(out, "| `%s` | %s |\n", functions[i].call, functions[i].about);
}

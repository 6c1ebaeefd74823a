#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/importer.h"

/* Folded stacks: "frame;frame;... count", as flame graph tools read them; of whom tells the outermost frames. */

enum { FOLDED_DEPTH_MAX = WIRE_DEPTH_MAX - 8 };
#define FOLDED_GAP_NS UINT64_C(10000000) /* 100 a second */

struct folded {
	struct foreign *f;
	struct intern texts;
	VEC(location_id) locations; /* by text */
	uint32_t process, thread;   /* of the line */
	uint64_t total, n_fractions;
	bool has_process, has_thread, has_line, has_file;
};

/* Digits behind `p` up to `end`; how many. */
static size_t digits(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] >= '0' && p[i] <= '9')
		i++;
	return i;
}

static int location_of(struct folded *x, const char *p, size_t n, location_id *location)
{
	uint32_t id;
	bool is_new;

	TRY(intern_get(&x->texts, p, n, &id, &is_new));
	if (is_new || !id) {
		while (x->locations.n <= id)
			if (!vec_push(&x->locations, 0))
				return ERR_NO_MEMORY;
		if (!x->locations.v[id])
			TRY(import_frame_text(x->f, p, n, &x->locations.v[id]));
	}
	*location = x->locations.v[id];
	return 0;
}

/* The count behind the last space: digits, or with a fraction, which is rounded. */
static bool take_count(const char *p, size_t *n, uint64_t *count, bool *is_fraction)
{
	size_t end = *n, at, whole;

	while (end > 0 && (p[end - 1] == ' ' || p[end - 1] == '\t'))
		end--;
	at = end;
	while (at > 0 && p[at - 1] != ' ' && p[at - 1] != '\t')
		at--;
	whole = digits(p + at, end - at);
	*is_fraction = whole && at + whole < end && p[at + whole] == '.' &&
	               digits(p + at + whole + 1, end - at - whole - 1) == end - at - whole - 1;
	if ((at + whole < end && !*is_fraction) || !import_number(p + at, whole, count) || at == 0)
		return false;
	if (*is_fraction && at + whole + 1 < end && p[at + whole + 1] >= '5')
		*count += *count < UINT64_MAX;
	while (at > 0 && (p[at - 1] == ' ' || p[at - 1] == '\t'))
		at--;
	*n = at;
	return true;
}

static int take_stack(struct folded *x, const char *p, size_t n, uint64_t count, uint64_t line)
{
	stack_id stack = 0;
	uint32_t flags = 0;
	size_t depth = 0, skip = 0;
	bool leads = true; /* process and thread may stand here */

	for (const char *at = p; (at = memchr(at, ';', n - (size_t)(at - p))) != NULL; at++)
		depth++;
	if (depth > FOLDED_DEPTH_MAX) {
		skip = depth - FOLDED_DEPTH_MAX;
		flags = WIRE_FLAG_CUT;
		foreign_problem(x->f, true, line, "%zu frames, more than a stack may have; the innermost are kept",
		                depth + 1);
	}
	x->process = x->thread = 0;
	for (size_t i = 0; i <= n;) {
		const char *end = memchr(p + i, ';', n - i);
		size_t len = end ? (size_t)(end - (p + i)) : n - i;
		location_id location;
		bool taken = false;

		if (leads)
			TRY(import_process_label(x->f, p + i, len, &x->process, &taken));
		x->has_process |= leads && taken;
		if (leads && !taken) {
			if (!x->process)
				TRY(foreign_process(x->f, 0, "", 0, &x->process));
			TRY(import_thread_label(x->f, x->process, p + i, len, &x->thread, &taken));
			x->has_thread |= taken;
			leads = false;
		}
		if (!taken && skip) {
			skip--;
		} else if (!taken && len) {
			TRY(location_of(x, p + i, len, &location));
			TRY(foreign_stack(x->f, stack, location, &stack));
		}
		i += len + 1;
	}
	if (!x->process)
		TRY(foreign_process(x->f, 0, "", 0, &x->process));
	if (!x->thread)
		TRY(foreign_thread(x->f, x->process, 0, 0, 0, "", 0, &x->thread));
	return foreign_count(x->f, x->thread, stack, flags, count);
}

static int take_line(struct folded *x, const char *p, size_t n, uint64_t line)
{
	uint64_t count;
	bool is_fraction;

	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	if (!n || p[0] == '#')
		return 0;
	if (!take_count(p, &n, &count, &is_fraction)) {
		foreign_problem(x->f, true, line, "no number of samples at its end; the line is left out");
		return 0;
	}
	if (__builtin_add_overflow(x->total, count, &x->total)) {
		foreign_problem(x->f, true, line,
		                "the numbers of samples add up to more than 2^64; the line is left out");
		x->total -= count;
		return 0;
	}
	x->n_fractions += is_fraction;
	return take_stack(x, p, n, count, line);
}

static int read_lines(struct folded *x, struct intake *s)
{
	const char *p;
	size_t n;
	bool is_long;

	for (uint64_t line = 1; intake_line(s, &p, &n, &is_long); line++) {
		if (is_long)
			foreign_problem(x->f, true, line, "longer than 64 MB; it is left out");
		else
			TRY(take_line(x, p, n, line));
	}
	return s->rc;
}

static bool looks_folded(const char *p, size_t n)
{
	uint64_t count;
	bool is_fraction;

	/* the first line that is whole, or all there is */
	while (n > 0 && (*p == '\n' || *p == '\r' || *p == '#')) {
		const char *end = memchr(p, '\n', n);

		if (!end)
			return false;
		n -= (size_t)(end + 1 - p);
		p = end + 1;
	}
	const char *end = memchr(p, '\n', n);
	size_t len = end ? (size_t)(end - p) : n;
	if (memchr(p, 0, len))
		return false;
	if (!end && n >= (32 << 10)) /* its end is not here */
		return memchr(p, ';', n) != NULL;
	while (len > 0 && (p[len - 1] == '\r' || p[len - 1] == ' '))
		len--;
	return len > 0 && take_count(p, &len, &count, &is_fraction);
}

static int read_folded(struct foreign *f, struct intake *s, const struct import_options *o)
{
	struct folded x = {.f = f};

	f->facts.format = "folded stacks";
	f->facts.gap_ns = o->gap_ns ? o->gap_ns : FOLDED_GAP_NS;
	f->facts.gap_is_assumed = !o->gap_ns;
	int rc = intern_init(&x.texts, 1 << 30);
	if (!rc)
		rc = read_lines(&x, s);
	if (!rc && x.n_fractions)
		foreign_problem(f, true, 0, "%llu numbers with a fraction were rounded",
		                (unsigned long long)x.n_fractions);
	if (!rc && !f->rows.n && f->n_problems)
		rc = ERR_FORMAT;
	foreign_without(f, "times");
	foreign_without(f, "the order of samples");
	foreign_without(f, "states of threads");
	if (f->facts.gap_is_assumed)
		foreign_without(f, "the rate");
	if (!x.has_process)
		foreign_without(f, "processes");
	if (!x.has_thread)
		foreign_without(f, "threads");
	intern_done(&x.texts);
	vec_free(&x.locations);
	return rc;
}

const struct import_format import_folded = {
    .name = "folded",
    .what = "folded stacks (py-spy raw, Tachyon --collapsed, flame graph tools)",
    .looks = looks_folded,
    .read = read_folded,
};

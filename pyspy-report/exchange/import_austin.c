#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/austin.h"

/* austin's collapsed stacks: "P<pid>;T<interpreter>:<tid>;file:name:line;... metric[,metric,metric]" and "# key:
 * value". */

struct text {
	struct austin a;
	struct intern frames;
	VEC(location_id) locations;
};

static bool starts(const char *p, size_t n, const char *with)
{
	size_t len = strlen(with);

	return n >= len && memcmp(p, with, len) == 0;
}

static bool take_signed(const char *p, size_t n, int64_t *value)
{
	uint64_t v;
	bool is_negative = n > 0 && p[0] == '-';

	if (!import_number(p + is_negative, n - is_negative, &v) || v > INT64_MAX)
		return false;
	*value = is_negative ? -(int64_t)v : (int64_t)v;
	return true;
}

static bool take_metrics(struct text *x, const char *p, size_t n, struct austin_sample *s)
{
	const char *comma = memchr(p, ',', n), *second;
	int64_t idle;

	if (!comma) {
		bool is_memory = x->a.mode == AUSTIN_MEMORY;

		s->has_memory = is_memory;
		s->has_time = !is_memory;
		return take_signed(p, n, is_memory ? &s->memory_bytes : &s->time_us);
	}
	second = memchr(comma + 1, ',', n - (size_t)(comma + 1 - p));
	if (!second || !take_signed(p, (size_t)(comma - p), &s->time_us) ||
	    !take_signed(comma + 1, (size_t)(second - comma - 1), &idle) ||
	    !take_signed(second + 1, n - (size_t)(second + 1 - p), &s->memory_bytes))
		return false;
	s->has_time = s->has_memory = s->knows_idle = true;
	s->is_idle = idle != 0;
	return true;
}

static int location_of(struct text *x, const char *p, size_t n, location_id *location)
{
	uint32_t id;

	TRY(intern_get(&x->frames, p, n, &id, NULL));
	while (x->locations.n <= id)
		if (!vec_push(&x->locations, 0))
			return ERR_NO_MEMORY;
	if (!x->locations.v[id])
		TRY(import_frame_text(x->a.f, p, n, &x->locations.v[id]));
	*location = x->locations.v[id];
	return 0;
}

static int take_frames(struct text *x, const char *p, size_t n, struct austin_sample *s)
{
	uint32_t depth = 0;

	for (size_t i = 0; i <= n && n;) {
		const char *end = memchr(p + i, ';', n - i);
		size_t len = end ? (size_t)(end - (p + i)) : n - i;
		location_id location;

		if (len == 4 && memcmp(p + i, ":GC:", 4) == 0) {
			s->is_gc = true;
		} else if (len == 9 && memcmp(p + i, ":INVALID:", 9) == 0) {
			s->flags |= WIRE_FLAG_UNPROVED;
		} else if (len && ++depth < WIRE_DEPTH_MAX - 8) {
			TRY(location_of(x, p + i, len, &location));
			TRY(foreign_stack(x->a.f, s->stack, location, &s->stack));
		}
		i += len + 1;
	}
	return 0;
}

/* "P12", "T0:12" or "T12". */
static bool take_head(struct text *x, const char *p, size_t n, size_t *frames, struct austin_sample *s, int *rc)
{
	const char *end = memchr(p, ';', n);
	size_t len = end ? (size_t)(end - p) : n, from = len + 1;
	int64_t pid, interpreter = 0;

	if (!end || p[0] != 'P' || !take_signed(p + 1, len - 1, &pid) || from >= n || p[from] != 'T')
		return false;
	const char *tid = p + from + 1;
	end = memchr(tid, ';', n - from - 1);
	size_t n_tid = end ? (size_t)(end - tid) : n - from - 1;
	const char *colon = memchr(tid, ':', n_tid);
	if (colon && take_signed(tid, (size_t)(colon - tid), &interpreter)) {
		n_tid -= (size_t)(colon + 1 - tid);
		tid = colon + 1;
	}
	*frames = end ? (size_t)(end + 1 - p) : n;
	*rc = austin_thread(&x->a, pid, interpreter, tid, n_tid, 10, &s->thread);
	return true;
}

static int take_line(struct text *x, const char *p, size_t n, uint64_t line)
{
	struct austin_sample s = {0};
	size_t frames = 0;
	int rc = 0;

	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	if (!n)
		return 0;
	if (p[0] == '#') {
		const char *colon = memmem(p, n, ": ", 2);

		return colon && n > 2 ? austin_metadata(&x->a, p + 2, (size_t)(colon - p) - 2, colon + 2,
		                                        n - (size_t)(colon + 2 - p))
		                      : 0;
	}
	const char *space = memrchr(p, ' ', n);
	if (!space || !take_metrics(x, space + 1, n - (size_t)(space + 1 - p), &s)) {
		foreign_problem(x->a.f, true, line, "no metric at its end; the line is left out");
		x->a.f->skipped++;
		return 0;
	}
	n = (size_t)(space - p);
	if (!take_head(x, p, n, &frames, &s, &rc)) {
		foreign_problem(x->a.f, true, line, "it does not begin with P<pid>;T<tid>; the line is left out");
		x->a.f->skipped++;
		return 0;
	}
	TRY(rc);
	TRY(frames < n ? take_frames(x, p + frames, n - frames, &s) : 0);
	return austin_put(&x->a, &s);
}

static bool looks_austin(const char *p, size_t n)
{
	size_t i = 1;

	if (starts(p, n, "# austin: "))
		return true;
	while (n > 0 && (*p == '\n' || *p == '#')) {
		const char *end = memchr(p, '\n', n);

		if (!end)
			return false;
		n -= (size_t)(end + 1 - p);
		p = end + 1;
	}
	while (i < n && p[i] >= '0' && p[i] <= '9')
		i++;
	return n > 4 && p[0] == 'P' && i > 1 && i + 1 < n && p[i] == ';' && p[i + 1] == 'T';
}

static int read_austin(struct foreign *f, struct intake *s, const struct import_options *o)
{
	struct text x = {.a = {.f = f}};
	const char *p;
	size_t n;
	bool is_long;

	f->facts.format = "austin collapsed stacks";
	int rc = intern_init(&x.frames, 1 << 30);
	for (uint64_t line = 1; !rc && intake_line(s, &p, &n, &is_long); line++) {
		if (is_long)
			foreign_problem(f, true, line, "longer than 64 MB; it is left out");
		else
			rc = take_line(&x, p, n, line);
	}
	rc = rc ? rc : s->rc;
	austin_finish(&x.a, o);
	if (!rc && !x.a.n_samples && f->n_problems)
		rc = ERR_FORMAT;
	austin_done(&x.a);
	intern_done(&x.frames);
	vec_free(&x.locations);
	return rc;
}

const struct import_format import_austin = {
    .name = "austin",
    .what = "austin's collapsed stacks (2.x, 3.x)",
    .looks = looks_austin,
    .read = read_austin,
};

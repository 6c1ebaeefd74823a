#include <math.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/speedscope_parts.h"

/* speedscope's JSON (its file-format-schema.json). The profiles of py-spy stand before the frames that they name by
 * number, and the samples of a profile before their weights, so the file is read twice, and samples, weights and events
 * wait in a spool until their profile is over. */

static int bad(struct speed *x)
{
	if (x->s->rc)
		return x->s->rc;
	foreign_problem(x->f, false, intake_at(x->s), "%s; nothing behind it is read",
	                x->j.wrong ? x->j.wrong : "not what speedscope's schema says");
	x->is_broken = true;
	return ERR_FORMAT;
}

/* The texts of a frame's object. */
static int read_frame(struct speed *x)
{
	struct buf name, file;
	double line = 0;
	enum json_token t;
	int rc = 0;

	buf_init(&name, 0);
	buf_init(&file, 0);
	while (!rc && (t = json_pull_next(&x->j)) == PULL_KEY) {
		bool is_name = json_pull_is(&x->j, "name"), is_file = json_pull_is(&x->j, "file"),
		     is_line = json_pull_is(&x->j, "line");

		t = json_pull_next(&x->j);
		if (t == PULL_STRING && (is_name || is_file))
			buf_put(is_name ? &name : &file, x->j.text.data, x->j.text.len);
		else if (t == PULL_NUMBER && is_line)
			line = x->j.number;
		else if (!json_pull_skip(&x->j, t))
			rc = bad(x);
	}
	if (!rc && x->j.wrong)
		rc = bad(x);
	struct speed_frame to = {0};
	struct foreign_frame r = {
	    .name = buf_cstr(&name), .n_name = name.len, .file = buf_cstr(&file), .n_file = file.len, .column = -1};
	if (!rc && !file.len && (strncmp(r.name, "thread (", 8) == 0 || strncmp(r.name, "process ", 8) == 0)) {
		to.is_label = true;
		rc = intern_get(&x->labels, r.name, r.n_name, &to.name, NULL);
	}
	r.line = line >= 1 && line < INT32_MAX ? (int32_t)line : 0;
	rc = rc ? rc : name.err ? name.err : file.err;
	if (!rc && r.n_name > 2 && r.name[0] == '[' && r.name[r.n_name - 1] == ']' && !r.n_file) {
		r.is_synthetic = true;
		r.name++;
		r.n_name -= 2;
	}
	if (!rc)
		rc = foreign_frame(x->f, &r, &to.location);
	if (!rc && !vec_push(&x->frames, to))
		rc = ERR_NO_MEMORY;
	buf_done(&name);
	buf_done(&file);
	return rc;
}

static int read_frames(struct speed *x)
{
	enum json_token t = json_pull_next(&x->j);

	if (t != PULL_ARRAY)
		return bad(x);
	while ((t = json_pull_next(&x->j)) == PULL_OBJECT)
		TRY(read_frame(x));
	return t == PULL_ARRAY_END ? 0 : bad(x);
}

/* First reading: the frames, and what the file says of itself. */
static int read_shared(struct speed *x)
{
	enum json_token t;

	if (json_pull_next(&x->j) != PULL_OBJECT)
		return bad(x);
	while ((t = json_pull_next(&x->j)) == PULL_KEY) {
		bool is_shared = json_pull_is(&x->j, "shared"), is_exporter = json_pull_is(&x->j, "exporter"),
		     is_name = json_pull_is(&x->j, "name");

		t = json_pull_next(&x->j);
		if (t == PULL_STRING && (is_exporter || is_name)) {
			const char *key = is_exporter ? "speedscope.exporter" : "speedscope.name";

			TRY(foreign_note(x->f, key, strlen(key), (const char *)x->j.text.data, x->j.text.len));
		} else if (t == PULL_OBJECT && is_shared) {
			while ((t = json_pull_next(&x->j)) == PULL_KEY) {
				if (json_pull_is(&x->j, "frames"))
					TRY(read_frames(x));
				else if (!json_pull_skip(&x->j, json_pull_next(&x->j)))
					return bad(x);
			}
			if (t != PULL_OBJECT_END)
				return bad(x);
		} else if (!json_pull_skip(&x->j, t)) {
			break;
		}
	}
	/* a file that was cut behind its frames has something to import */
	return x->j.wrong && !x->frames.n ? bad(x) : x->s->rc;
}

static location_id location_of(struct speed *x, uint32_t frame)
{
	if (frame < x->frames.n)
		return x->frames.v[frame].location;
	x->n_bad_frames++;
	return x->lost;
}

int speedscope_make_sample(struct speed *x, struct speed_sample *to)
{
	size_t i = 0, from = 0;

	*to = (struct speed_sample){0};
	for (; from < x->path.n && x->path.v[from] < x->frames.n && x->frames.v[x->path.v[from]].is_label && from < 2;
	     from++)
		*(intern_bytes(&x->labels, x->frames.v[x->path.v[from]].name, &(size_t){0})[0] == 'p'
		      ? &to->process_label
		      : &to->thread_label) = x->path.v[from] + 1;
	if (x->path.n - from > SPEEDSCOPE_DEPTH_MAX) {
		from = x->path.n - SPEEDSCOPE_DEPTH_MAX;
		to->flags = WIRE_FLAG_CUT;
	}
	size_t n = x->path.n - from;
	while (i < n && i < x->path_before.n && x->path_before.v[i] == x->path.v[from + i])
		i++;
	x->path_before.n = x->stacks.n = i;
	for (; i < n; i++) {
		stack_id stack = i ? x->stacks.v[i - 1] : 0;

		TRY(foreign_stack(x->f, stack, location_of(x, x->path.v[from + i]), &stack));
		if (!vec_push(&x->stacks, stack) || !vec_push(&x->path_before, x->path.v[from + i]))
			return ERR_NO_MEMORY;
	}
	to->stack = n ? x->stacks.v[n - 1] : 0;
	return 0;
}

static uint32_t as_index(double v)
{
	return v >= 0 && v < 4294967295.0 && v == floor(v) ? (uint32_t)v : UINT32_MAX;
}

static int read_samples(struct speed *x)
{
	enum json_token t;
	struct speed_sample to;

	while ((t = json_pull_next(&x->j)) == PULL_ARRAY) {
		x->path.n = 0;
		while ((t = json_pull_next(&x->j)) == PULL_NUMBER)
			if (!vec_push(&x->path, as_index(x->j.number)))
				return ERR_NO_MEMORY;
		if (t != PULL_ARRAY_END)
			return bad(x);
		TRY(speedscope_make_sample(x, &to));
		TRY(spool_write(&x->samples, &to, sizeof to, NULL));
	}
	return t == PULL_ARRAY_END ? 0 : bad(x);
}

static int read_weights(struct speed *x)
{
	enum json_token t;

	while ((t = json_pull_next(&x->j)) == PULL_NUMBER)
		TRY(spool_write(&x->weights, &x->j.number, sizeof x->j.number, NULL));
	return t == PULL_ARRAY_END ? 0 : bad(x);
}

static int read_events(struct speed *x)
{
	enum json_token t;

	while ((t = json_pull_next(&x->j)) == PULL_OBJECT) {
		struct speed_event e = {.frame = UINT32_MAX};

		while ((t = json_pull_next(&x->j)) == PULL_KEY) {
			bool is_type = json_pull_is(&x->j, "type"), is_frame = json_pull_is(&x->j, "frame"),
			     is_at = json_pull_is(&x->j, "at");

			t = json_pull_next(&x->j);
			if (t == PULL_STRING && is_type)
				e.closes = json_pull_is(&x->j, "C");
			else if (t == PULL_NUMBER && is_frame)
				e.frame = as_index(x->j.number);
			else if (t == PULL_NUMBER && is_at)
				e.at = x->j.number;
			else if (!json_pull_skip(&x->j, t))
				return bad(x);
		}
		if (t != PULL_OBJECT_END)
			return bad(x);
		TRY(spool_write(&x->events, &e, sizeof e, NULL));
	}
	return t == PULL_ARRAY_END ? 0 : bad(x);
}

static void take_unit(struct speed *x)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"nanoseconds", 1}, {"microseconds", 1e3}, {"milliseconds", 1e6}, {"seconds", 1e9}, {"none", 0}};

	x->is_bytes = json_pull_is(&x->j, "bytes");
	x->unit_ns = x->is_bytes ? 1 : 0;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (json_pull_is(&x->j, units[i].name))
			x->unit_ns = units[i].ns;
}

static int read_profile(struct speed *x)
{
	enum json_token t;
	int rc = 0;

	x->n_profiles++;
	buf_reset(&x->name);
	spool_clear(&x->samples);
	spool_clear(&x->weights);
	spool_clear(&x->events);
	x->unit_ns = 0;
	x->is_bytes = false;
	x->path_before.n = x->stacks.n = 0;
	while (!rc && (t = json_pull_next(&x->j)) == PULL_KEY) {
		bool is_name = json_pull_is(&x->j, "name"), is_unit = json_pull_is(&x->j, "unit"),
		     is_samples = json_pull_is(&x->j, "samples"), is_weights = json_pull_is(&x->j, "weights"),
		     is_events = json_pull_is(&x->j, "events");

		t = json_pull_next(&x->j);
		if (t == PULL_STRING && is_name)
			buf_put(&x->name, x->j.text.data, x->j.text.len < 4096 ? x->j.text.len : 4096);
		else if (t == PULL_STRING && is_unit)
			take_unit(x);
		else if (t == PULL_ARRAY && is_samples)
			rc = read_samples(x);
		else if (t == PULL_ARRAY && is_weights)
			rc = read_weights(x);
		else if (t == PULL_ARRAY && is_events)
			rc = read_events(x);
		else if (!json_pull_skip(&x->j, t))
			rc = bad(x);
	}
	if (!rc && x->j.wrong)
		rc = bad(x);
	/* what was there before it broke off is good */
	int put_rc = !rc || rc == ERR_FORMAT ? speedscope_put_profile(x) : 0;
	return put_rc ? put_rc : rc;
}

/* Second reading. */
static int read_profiles(struct speed *x)
{
	enum json_token t;

	if (json_pull_next(&x->j) != PULL_OBJECT)
		return bad(x);
	while ((t = json_pull_next(&x->j)) == PULL_KEY) {
		bool is_profiles = json_pull_is(&x->j, "profiles");

		t = json_pull_next(&x->j);
		if (t != PULL_ARRAY || !is_profiles) {
			if (!json_pull_skip(&x->j, t))
				return bad(x);
			continue;
		}
		while ((t = json_pull_next(&x->j)) == PULL_OBJECT)
			TRY(read_profile(x));
		if (t != PULL_ARRAY_END)
			return bad(x);
	}
	return t == PULL_OBJECT_END && json_pull_next(&x->j) == PULL_END ? 0 : bad(x);
}

static bool looks_speedscope(const char *p, size_t n)
{
	size_t i = n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

	while (i < n && strchr(" \t\r\n", p[i]) && p[i])
		i++;
	return i < n && p[i] == '{';
}

static int skip_mark(struct speed *x)
{
	if (intake_need(x->s, 3) && memcmp(x->s->bytes + x->s->at, "\xEF\xBB\xBF", 3) == 0)
		x->s->at += 3;
	return x->s->rc;
}

static int read_both(struct speed *x)
{
	uint64_t size;

	TRY(intake_make_seekable(x->s, &size));
	TRY(foreign_frame(x->f, &(struct foreign_frame){.name = "lost", .n_name = 4, .is_synthetic = true}, &x->lost));
	json_pull_init(&x->j, x->s);
	TRY(skip_mark(x));
	TRY(read_shared(x));
	if (!x->frames.n)
		foreign_problem(x->f, false, 0, "JSON without \"shared\": {\"frames\": [...]}: not speedscope's");
	json_pull_done(&x->j);
	TRY(intake_seek(x->s, 0));
	json_pull_init(&x->j, x->s);
	TRY(skip_mark(x));
	return read_profiles(x);
}

static int read_speedscope(struct foreign *f, struct intake *s, const struct import_options *o)
{
	struct speed x = {.f = f, .s = s, .o = o};

	f->facts.format = "speedscope JSON";
	f->facts.gap_ns = o->gap_ns ? o->gap_ns : 10000000;
	buf_init(&x.name, 0);
	int rc = intern_init(&x.labels, 1 << 28);
	if (!rc)
		rc = read_both(&x);
	if (rc == ERR_FORMAT && x.n_samples) /* said, and what was good is there */
		rc = 0;
	if (!rc && !x.n_profiles && !x.frames.n)
		rc = ERR_FORMAT;
	if (rc == ERR_IO)
		s->error_number = x.samples.error_number + x.weights.error_number + x.events.error_number;
	if (x.n_bad_frames)
		foreign_problem(f, false, 0, "%llu numbers of frames that the file does not have; they show as [lost]",
		                (unsigned long long)x.n_bad_frames);
	if (x.n_unpaired)
		foreign_problem(f, false, 0, "%llu events that close a frame that is not open, or not the innermost",
		                (unsigned long long)x.n_unpaired);
	if (x.n_odd)
		foreign_problem(f, false, 0, "%llu weights or times that are negative, go back or are no whole count",
		                (unsigned long long)x.n_odd);
	foreign_without(f, "the time of day");
	foreign_without(f, "states of threads");
	json_pull_done(&x.j);
	buf_done(&x.name);
	intern_done(&x.labels);
	vec_free(&x.frames);
	vec_free(&x.path);
	vec_free(&x.path_before);
	vec_free(&x.stacks);
	spool_done(&x.samples);
	spool_done(&x.weights);
	spool_done(&x.events);
	return rc;
}

const struct import_format import_speedscope = {
    .name = "speedscope",
    .what = "speedscope's JSON (py-spy, austin, and many others)",
    .looks = looks_speedscope,
    .read = read_speedscope,
};

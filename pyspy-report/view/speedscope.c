#include "pyspy-report/view/speedscope.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/jsonout.h"
#include "pyspy-report/view/track_names.h"

enum { SPEEDSCOPE_TEXTS = 64 << 20 }; /* bytes of stacks that are kept as text */

struct speedscope_text {
	size_t at, length; /* 0 = not there */
};

struct speedscope {
	struct jsonout json;
	struct timeline *timeline;
	const struct shape *shape;
	VEC(bool) used;                    /* by path */
	VEC(uint32_t) index;               /* frame of naming -> of shared.frames, + 1 */
	VEC(uint32_t) frames;              /* the way back */
	VEC(uint32_t) up;                  /* room for one stack */
	struct buf texts, scratch;         /* "[0,1,2]" */
	VEC(struct speedscope_text) known; /* by path: its text in texts */
};

/* Paths that are used, or lead to one that is: the shape knows more, of frames that were put together. */
static int find_used(struct speedscope *s)
{
	const struct shape_node *nodes = s->shape->nodes.v;
	size_t n = s->shape->nodes.n;

	if (!vec_room(&s->used, n))
		return ERR_NO_MEMORY;
	s->used.n = n;
	for (size_t i = 0; i < n; i++)
		s->used.v[i] = i < s->timeline->used.n && s->timeline->used.v[i];
	for (size_t i = n; i-- > 1;)
		if (s->used.v[i])
			s->used.v[nodes[i].parent] = true;
	return 0;
}

static int number_frames(struct speedscope *s)
{
	TRY(find_used(s));
	for (size_t i = 1; i < s->used.n; i++) {
		uint32_t frame = s->shape->nodes.v[i].frame;

		while (s->index.n <= frame)
			if (!vec_push(&s->index, 0))
				return ERR_NO_MEMORY;
		if (s->index.v[frame] || !s->used.v[i])
			continue;
		if (!vec_push(&s->frames, frame))
			return ERR_NO_MEMORY;
		s->index.v[frame] = (uint32_t)s->frames.n;
	}
	return 0;
}

static void put_frames(struct speedscope *s)
{
	const struct naming *n = s->shape->naming;
	struct jsonout *j = &s->json;

	jsonout_key(j, "shared");
	jsonout_open(j, '{');
	jsonout_key(j, "frames");
	jsonout_open(j, '[');
	for (size_t i = 0; i < s->frames.n; i++) {
		uint32_t frame = s->frames.v[i];
		size_t length;
		const char *text = naming_name(n, frame, &length);

		jsonout_line(j);
		jsonout_open(j, '{');
		jsonout_key(j, "name");
		jsonout_string(j, text, length);
		text = naming_file(n, frame, &length);
		if (length) {
			jsonout_key(j, "file");
			jsonout_string(j, text, length);
		}
		if (n->frames.v[frame].line)
			jsonout_key_number(j, "line", n->frames.v[frame].line);
		jsonout_close(j, '}');
	}
	jsonout_close(j, ']');
	jsonout_close(j, '}');
}

static void put_digits(struct buf *b, uint32_t n)
{
	char digits[10], *at = digits + sizeof digits;

	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	buf_put(b, at, (size_t)(digits + sizeof digits - at));
}

static int make_text(struct speedscope *s, struct buf *b, uint32_t path)
{
	s->up.n = 0;
	for (; path; path = s->shape->nodes.v[path].parent)
		if (!vec_push(&s->up, s->index.v[s->shape->nodes.v[path].frame] - 1))
			return ERR_NO_MEMORY;
	buf_u8(b, '[');
	while (s->up.n) {
		put_digits(b, s->up.v[--s->up.n]);
		if (s->up.n)
			buf_u8(b, ',');
	}
	buf_u8(b, ']');
	return b->err;
}

static int put_stack(struct speedscope *s, uint32_t path)
{
	size_t at;

	if (s->known.v[path].length) {
		jsonout_bytes(&s->json, s->texts.data + s->known.v[path].at, s->known.v[path].length);
		return 0;
	}
	at = s->texts.len;
	if (at < SPEEDSCOPE_TEXTS) {
		TRY(make_text(s, &s->texts, path));
		s->known.v[path].at = at;
		s->known.v[path].length = s->texts.len - at;
		jsonout_bytes(&s->json, s->texts.data + at, s->texts.len - at);
		return 0;
	}
	buf_reset(&s->scratch);
	TRY(make_text(s, &s->scratch, path));
	jsonout_bytes(&s->json, s->scratch.data, s->scratch.len);
	return 0;
}

/* All runs of a track, and the holes between them: their stacks, or their weights. */
static int put_runs(struct speedscope *s, size_t track, bool weights)
{
	struct timeline_reader reader;
	struct timeline_run run;
	uint64_t at = 0, end = s->timeline->end_ns;
	int rc = timeline_read(&reader, s->timeline, track);

	while (!rc && (rc = timeline_next_timed(&reader, &run)) > 0) {
		if (run.begin_ns > at && weights)
			jsonout_number(&s->json, run.begin_ns - at);
		else if (run.begin_ns > at)
			jsonout_plain(&s->json, "[]");
		at = run.begin_ns + run.length_ns;
		rc = 0;
		if (weights)
			jsonout_number(&s->json, run.length_ns);
		else
			rc = put_stack(s, run.path);
	}
	timeline_read_done(&reader);
	if (end > at && weights)
		jsonout_number(&s->json, end - at);
	else if (end > at)
		jsonout_plain(&s->json, "[]");
	return rc;
}

static int put_profile(struct speedscope *s, size_t track)
{
	const struct profile *p = s->timeline->profile;
	const struct timeline_track *k = &s->timeline->tracks.v[track];
	struct jsonout *j = &s->json;
	struct buf name;

	buf_init(&name, 0);
	track_names_process(&name, p, p->threads.v[k->thread].process);
	buf_str(&name, " ");
	track_names_thread(&name, p, k);
	jsonout_line(j);
	jsonout_open(j, '{');
	jsonout_key_word(j, "type", "sampled");
	jsonout_key(j, "name");
	jsonout_string(j, buf_cstr(&name), name.len);
	int rc = name.err;
	buf_done(&name);
	TRY(rc);
	jsonout_key_word(j, "unit", "nanoseconds");
	jsonout_key_number(j, "startValue", 0);
	jsonout_key_number(j, "endValue", s->timeline->end_ns);
	jsonout_key(j, "samples");
	jsonout_open(j, '[');
	TRY(put_runs(s, track, false));
	jsonout_close(j, ']');
	jsonout_key(j, "weights");
	jsonout_open(j, '[');
	TRY(put_runs(s, track, true));
	jsonout_close(j, ']');
	jsonout_close(j, '}');
	return 0;
}

/* The application shows nothing at all for a file without profiles. */
static void put_nothing(struct speedscope *s)
{
	struct jsonout *j = &s->json;

	jsonout_line(j);
	jsonout_open(j, '{');
	jsonout_key_word(j, "type", "sampled");
	jsonout_key_word(j, "name", "no samples");
	jsonout_key_word(j, "unit", "nanoseconds");
	jsonout_key_number(j, "startValue", 0);
	jsonout_key_number(j, "endValue", s->timeline->end_ns);
	jsonout_key(j, "samples");
	jsonout_plain(j, s->timeline->end_ns ? "[[]]" : "[]");
	jsonout_key(j, "weights");
	jsonout_open(j, '[');
	if (s->timeline->end_ns)
		jsonout_number(j, s->timeline->end_ns);
	jsonout_close(j, ']');
	jsonout_close(j, '}');
}

static int put_all(struct speedscope *s, const struct speedscope_options *o)
{
	struct jsonout *j = &s->json;

	TRY(number_frames(s));
	if (!vec_room(&s->known, s->shape->nodes.n))
		return ERR_NO_MEMORY;
	memset(s->known.v, 0, s->shape->nodes.n * sizeof *s->known.v);
	jsonout_open(j, '{');
	jsonout_key_word(j, "$schema", "https://www.speedscope.app/file-format-schema.json");
	jsonout_key_word(j, "exporter", o->exporter);
	jsonout_key(j, "name");
	jsonout_string(j, o->name, o->name_length);
	jsonout_key_number(j, "activeProfileIndex", timeline_busiest(s->timeline));
	put_frames(s);
	jsonout_key(j, "profiles");
	jsonout_open(j, '[');
	for (size_t i = 0; i < s->timeline->tracks.n; i++)
		TRY(put_profile(s, i));
	if (!s->timeline->tracks.n)
		put_nothing(s);
	jsonout_close(j, ']');
	jsonout_close(j, '}');
	putc('\n', j->out);
	return 0;
}

int speedscope_write(FILE *out, struct timeline *t, const struct shape *p, const struct speedscope_options *o)
{
	struct speedscope s;
	int rc, written;

	memset(&s, 0, sizeof s);
	s.timeline = t;
	s.shape = p;
	buf_init(&s.texts, 0);
	buf_init(&s.scratch, 0);
	jsonout_init(&s.json, out);
	rc = put_all(&s, o);
	written = jsonout_done(&s.json);
	vec_free(&s.used);
	vec_free(&s.index);
	vec_free(&s.frames);
	vec_free(&s.up);
	vec_free(&s.known);
	buf_done(&s.texts);
	buf_done(&s.scratch);
	return rc ? rc : written;
}

#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/austin.h"

/* MOJO, austin's binary format, versions 1 to 4 (austin 3.3 to 4.x): "MOJ", a version, then events. An integer's first
 * byte has 6 bits, a sign (0x40) and "more" (0x80), the others 7 bits and "more"; a string ends in NUL. Keys of strings
 * and frames are of the process whose stack was begun last. */

enum mojo_event {
	MOJO_METADATA = 1,
	MOJO_STACK,
	MOJO_FRAME,
	MOJO_FRAME_INVALID,
	MOJO_FRAME_REF,
	MOJO_FRAME_KERNEL,
	MOJO_GC,
	MOJO_IDLE,
	MOJO_METRIC_TIME,
	MOJO_METRIC_MEMORY,
	MOJO_STRING,
	MOJO_STRING_REF,
	MOJO_STACK_REPEAT,
	MOJO_TASK_STACK,
	MOJO_TASK_WAITER,
};
enum { MOJO_VERSION_MAX = 4, MOJO_STRING_MAX = 1 << 20, MOJO_UNKNOWN = 1 };

struct mojo {
	struct austin a;
	struct intake *s;
	uint64_t version;
	struct map strings, frames; /* (pid, key) -> index in texts + 1, location */
	struct intern texts;
	VEC(stack_id) last; /* by thread: its Python stack */
	int64_t pid;
	bool has_sample, in_task; /* a stack was begun; frames are of a task that waits */
	uint32_t depth;
	struct austin_sample now;
	const char *wrong;
	uint64_t n_unknown_keys, n_tasks;
};

static bool wrong(struct mojo *m, const char *what)
{
	if (!m->wrong)
		m->wrong = what;
	return false;
}

static bool take_byte(struct mojo *m, uint8_t *byte)
{
	if (!intake_left(m->s) && !intake_need(m->s, 1))
		return wrong(m, "the file ends inside an event");
	*byte = m->s->bytes[m->s->at++];
	return true;
}

static bool take_int(struct mojo *m, int64_t *value)
{
	uint8_t byte;
	unsigned shift = 6;

	if (!take_byte(m, &byte))
		return false;
	bool is_negative = byte & 0x40;
	uint64_t v = byte & 0x3F;
	while (byte & 0x80) {
		if (!take_byte(m, &byte))
			return false;
		if (shift > 62 || (shift == 62 && (byte & 0x7E)))
			return wrong(m, "a number of more than 63 bits");
		v |= (uint64_t)(byte & 0x7F) << shift;
		shift += 7;
	}
	if (v > INT64_MAX)
		return wrong(m, "a number of more than 63 bits");
	*value = is_negative ? -(int64_t)v : (int64_t)v;
	return true;
}

/* Valid until the next byte is taken. */
static bool take_string(struct mojo *m, const char **p, size_t *n)
{
	size_t seen = 0;

	for (;;) {
		size_t left = intake_left(m->s);
		uint8_t *from = m->s->bytes + m->s->at, *end = left > seen ? memchr(from + seen, 0, left - seen) : NULL;

		if (end) {
			*p = (const char *)from;
			*n = (size_t)(end - from);
			m->s->at += *n + 1;
			return true;
		}
		seen = left;
		if (seen > MOJO_STRING_MAX)
			return wrong(m, "a text of more than 1 MB");
		if (!intake_need(m->s, seen + 1))
			return wrong(m, "the file ends inside a text");
	}
}

/* Two strings in a row: the first would not survive the second. */
static int take_metadata(struct mojo *m)
{
	const char *p;
	size_t n, n_key;
	char key[256];

	if (!take_string(m, &p, &n))
		return 0;
	n_key = n < sizeof key ? n : sizeof key;
	memcpy(key, p, n_key);
	return take_string(m, &p, &n) ? austin_metadata(&m->a, key, n_key, p, n) : 0;
}

/* The sample that was begun is complete. */
static int end_sample(struct mojo *m)
{
	if (!m->has_sample)
		return 0;
	m->has_sample = m->in_task = false;
	while (m->last.n <= m->now.thread)
		if (!vec_push(&m->last, 0))
			return ERR_NO_MEMORY;
	if (!m->wrong || m->now.has_time || m->now.has_memory) {
		m->last.v[m->now.thread] = m->now.stack;
		/* in full mode idle is an event, and none means busy */
		m->now.knows_idle = m->a.mode == AUSTIN_FULL;
		return austin_put(&m->a, &m->now);
	}
	return 0;
}

static int begin_sample(struct mojo *m)
{
	int64_t pid, interpreter = 0;
	const char *p;
	size_t n;

	TRY(end_sample(m));
	if (!take_int(m, &pid) || (m->version >= 3 && !take_int(m, &interpreter)) || !take_string(m, &p, &n))
		return 0;
	m->pid = pid;
	m->now = (struct austin_sample){0};
	m->depth = 0;
	m->has_sample = true;
	/* names of threads came with version 4; a short word of hex digits may be either */
	return austin_thread(&m->a, pid, interpreter, p, n, m->version < 4 || n > 3 ? 16 : 10, &m->now.thread);
}

static int put_text(struct mojo *m, int64_t key, const char *p, size_t n)
{
	uint32_t id;
	bool is_new;

	TRY(intern_get(&m->texts, p, n, &id, NULL));
	uint32_t *at = map_put(&m->strings, (uint64_t)m->pid, (uint64_t)key, &is_new);
	if (!at)
		return ERR_NO_MEMORY;
	*at = id + 1;
	return 0;
}

static const char *text_of(struct mojo *m, int64_t key, size_t *n)
{
	uint32_t *at = map_get(&m->strings, (uint64_t)m->pid, (uint64_t)key);

	if (at)
		return intern_bytes(&m->texts, *at - 1, n);
	m->n_unknown_keys += key != MOJO_UNKNOWN;
	*n = strlen("<unknown>");
	return "<unknown>";
}

static int32_t as_line(int64_t v)
{
	return v > 0 && v < INT32_MAX ? (int32_t)v : 0;
}

static int take_frame(struct mojo *m)
{
	int64_t key, file, name, line, end_line = 0, column = 0, end_column = 0;
	bool has_columns = m->version >= 2, is_new;
	location_id location;

	if (!take_int(m, &key) || !take_int(m, &file) || !take_int(m, &name) || !take_int(m, &line))
		return 0;
	if (has_columns && (!take_int(m, &end_line) || !take_int(m, &column) || !take_int(m, &end_column)))
		return 0;
	struct foreign_frame r = {.line = as_line(line),
	                          .end_line = as_line(end_line),
	                          .column = as_line(column) - 1, /* it counts from 1, and 0 is none */
	                          .end_column = as_line(end_column) - 1};
	r.file = text_of(m, file, &r.n_file);
	r.name = text_of(m, name, &r.n_name);
	TRY(foreign_frame(m->a.f, &r, &location));
	uint32_t *at = map_put(&m->frames, (uint64_t)m->pid, (uint64_t)key, &is_new);
	if (!at)
		return ERR_NO_MEMORY;
	*at = location;
	return 0;
}

static int push_frame(struct mojo *m, location_id location)
{
	if (!m->has_sample || m->in_task || ++m->depth >= WIRE_DEPTH_MAX - 8)
		return 0;
	return foreign_stack(m->a.f, m->now.stack, location, &m->now.stack);
}

static int take_reference(struct mojo *m)
{
	int64_t key;
	location_id location;

	if (!take_int(m, &key))
		return 0;
	uint32_t *at = map_get(&m->frames, (uint64_t)m->pid, (uint64_t)key);
	if (at)
		return push_frame(m, *at);
	m->n_unknown_keys++;
	TRY(foreign_frame(m->a.f, &(struct foreign_frame){.name = "lost", .n_name = 4, .is_synthetic = true},
	                  &location));
	return push_frame(m, location);
}

static int take_kernel(struct mojo *m)
{
	const char *p;
	size_t n;
	location_id location;

	if (!take_string(m, &p, &n))
		return 0;
	TRY(foreign_native(m->a.f, p, n, "[kernel]", 8, 0, &location));
	return push_frame(m, location);
}

static int take_event(struct mojo *m, uint8_t event)
{
	int64_t key, other;
	const char *p;
	size_t n;

	switch (event) {
	case MOJO_METADATA:
		return take_metadata(m);
	case MOJO_STACK:
		return begin_sample(m);
	case MOJO_FRAME:
		return take_frame(m);
	case MOJO_FRAME_INVALID:
		m->now.flags |= WIRE_FLAG_UNPROVED;
		return 0;
	case MOJO_FRAME_REF:
		return take_reference(m);
	case MOJO_FRAME_KERNEL:
		return take_kernel(m);
	case MOJO_GC:
		m->now.is_gc = true;
		return 0;
	case MOJO_IDLE:
		m->now.is_idle = true;
		return 0;
	case MOJO_METRIC_TIME:
		m->now.has_time = take_int(m, &m->now.time_us);
		return 0;
	case MOJO_METRIC_MEMORY:
		m->now.has_memory = take_int(m, &m->now.memory_bytes);
		return 0;
	case MOJO_STRING:
		return take_int(m, &key) && take_string(m, &p, &n) ? put_text(m, key, p, n) : 0;
	case MOJO_STRING_REF:
		take_int(m, &key);
		return 0;
	case MOJO_STACK_REPEAT:
		if (m->has_sample && m->now.thread < m->last.n)
			m->now.stack = m->last.v[m->now.thread];
		return 0;
	case MOJO_TASK_STACK: /* what a suspended task waits in: of no thread's time */
		m->in_task = true;
		m->n_tasks++;
		if (take_int(m, &key))
			take_int(m, &other);
		return 0;
	case MOJO_TASK_WAITER:
		if (take_int(m, &key))
			take_int(m, &other);
		return 0;
	default:
		wrong(m, "an event that MOJO 1 to 4 does not have");
		return 0;
	}
}

static int read_events(struct mojo *m)
{
	struct foreign *f = m->a.f;

	while (intake_left(m->s) || intake_need(m->s, 1)) {
		uint64_t at = intake_at(m->s);
		uint8_t event = m->s->bytes[m->s->at++];

		TRY(take_event(m, event));
		TRY(m->s->rc);
		if (m->wrong) {
			foreign_problem(f, false, at, "%s; what is before it is imported", m->wrong);
			break;
		}
	}
	TRY(m->s->rc);
	return end_sample(m);
}

static bool looks_mojo(const char *p, size_t n)
{
	return n >= 4 && memcmp(p, "MOJ", 3) == 0;
}

static int read_header(struct mojo *m)
{
	int64_t version;

	intake_need(m->s, 4);
	m->s->at += intake_left(m->s) < 3 ? intake_left(m->s) : 3;
	if (!take_int(m, &version) || version < 1 || version > MOJO_VERSION_MAX) {
		if (m->wrong)
			foreign_problem(m->a.f, false, 3, "%s", m->wrong);
		else
			foreign_problem(m->a.f, false, 3, "MOJO of version %lld; versions 1 to 4 are known",
			                (long long)version);
		return ERR_FORMAT;
	}
	m->version = (uint64_t)version;
	return 0;
}

static int read_mojo(struct foreign *f, struct intake *s, const struct import_options *o)
{
	struct mojo m = {.a = {.f = f}, .s = s};

	f->facts.format = "austin MOJO";
	map_init(&m.strings, WIRE_IDS_MAX);
	map_init(&m.frames, WIRE_IDS_MAX);
	int rc = intern_init(&m.texts, 1 << 30);
	if (!rc)
		rc = read_header(&m);
	if (!rc)
		rc = read_events(&m);
	if (m.n_unknown_keys)
		foreign_problem(f, false, 0,
		                "%llu names or frames are used and not defined; they show as <unknown> or [lost]",
		                (unsigned long long)m.n_unknown_keys);
	if (m.n_tasks)
		foreign_without(f, "room for stacks of suspended tasks (left out)");
	austin_finish(&m.a, o);
	austin_done(&m.a);
	map_done(&m.strings);
	map_done(&m.frames);
	intern_done(&m.texts);
	vec_free(&m.last);
	return rc;
}

const struct import_format import_mojo = {
    .name = "mojo",
    .what = "austin's binary format MOJO, versions 1 to 4",
    .looks = looks_mojo,
    .read = read_mojo,
};

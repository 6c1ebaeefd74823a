#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/importer.h"

/* Tachyon's binary file (profiling.sampling --binary, CPython's InternalDocs/profiling_binary_format.md): a header of
 * 64 bytes, samples (zstd or plain), strings, frames, footer. Byte order is the writer's, the magic tells which. */

enum { TACHYON_HEADER = 64, TACHYON_FOOTER = 32, TACHYON_VERSION = 1, TACHYON_KEPT_MAX = 16 << 20 };
#define TACHYON_MAGIC UINT32_C(0x54414348) /* "TACH" */

enum { TACHYON_REPEAT, TACHYON_FULL, TACHYON_SUFFIX, TACHYON_POP_PUSH };
enum { TACHYON_GIL = 1, TACHYON_ON_CPU = 2, TACHYON_UNKNOWN = 4, TACHYON_GIL_WAIT = 8 };

struct tachyon_thread {
	uint32_t thread;
	uint64_t at_us; /* since the begin */
	uint64_t pending_ns;
	uint8_t pending_status;
	VEC(stack_id) stacks; /* of each depth, from the outermost frame in */
};

struct tachyon {
	struct foreign *f;
	struct intake *s, samples;
	bool swaps;
	uint32_t python[3];
	uint64_t start_us, interval_us, n_samples, size, strings_at, frames_at;
	uint32_t n_threads, n_strings, n_frames, compression;
	struct intern texts;
	VEC(uint32_t) strings;
	VEC(location_id) frames;
	struct map thread_of; /* (thread id, interpreter) -> index + 1 */
	VEC(struct tachyon_thread) threads;
	VEC(uint64_t) ids; /* of a record's new frames */
	uint64_t n_kept;   /* stacks of all threads together */
	uint64_t n_read;   /* samples */
	location_id lost;
	const char *wrong;
};

static bool wrong(struct tachyon *t, const char *what)
{
	if (!t->wrong)
		t->wrong = what;
	return false;
}

static uint64_t fixed(const struct tachyon *t, const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << 8 * (t->swaps ? n - 1 - i : i);
	return v;
}

static bool take_varint(struct tachyon *t, struct intake *s, uint64_t *v)
{
	*v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (!intake_left(s) && !intake_need(s, 1))
			return wrong(t, "it ends inside a number");
		uint8_t byte = s->bytes[s->at++];
		if (shift == 63 && byte > 1)
			break;
		*v |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80)
			return true;
	}
	return wrong(t, "a number of more than 64 bits");
}

static bool take_signed(struct tachyon *t, struct intake *s, int64_t *v)
{
	uint64_t u;

	if (!take_varint(t, s, &u))
		return false;
	*v = (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
	return true;
}

static int read_header(struct tachyon *t)
{
	const uint8_t *p;

	if (!intake_need(t->s, TACHYON_HEADER)) {
		foreign_problem(t->f, false, 0, "it ends inside the header");
		return t->s->rc ? t->s->rc : ERR_FORMAT;
	}
	p = t->s->bytes + t->s->at;
	if (fixed(t, p, 4) != TACHYON_MAGIC)
		t->swaps = true;
	if (fixed(t, p, 4) != TACHYON_MAGIC) {
		foreign_problem(t->f, false, 0,
		                "a Tachyon file that was not finished (its header is missing): Tachyon writes it "
		                "last, so nothing in it can be read");
		return ERR_FORMAT;
	}
	if (fixed(t, p + 4, 4) != TACHYON_VERSION) {
		foreign_problem(t->f, false, 4, "version %llu of the format; version 1 is known",
		                (unsigned long long)fixed(t, p + 4, 4));
		return ERR_FORMAT;
	}
	for (int i = 0; i < 3; i++)
		t->python[i] = p[8 + i];
	t->start_us = fixed(t, p + 12, 8);
	t->interval_us = fixed(t, p + 20, 8);
	t->n_samples = fixed(t, p + 28, 8);
	t->n_threads = (uint32_t)fixed(t, p + 36, 4);
	t->strings_at = fixed(t, p + 40, 8);
	t->frames_at = fixed(t, p + 48, 8);
	t->compression = (uint32_t)fixed(t, p + 56, 4);
	return 0;
}

static int read_footer(struct tachyon *t)
{
	if (t->size < TACHYON_HEADER + TACHYON_FOOTER || t->strings_at < TACHYON_HEADER ||
	    t->frames_at < t->strings_at || t->frames_at > t->size - TACHYON_FOOTER) {
		foreign_problem(t->f, false, 40,
		                "the tables are said to be where the file (%llu bytes) is not: it was cut, or "
		                "changed",
		                (unsigned long long)t->size);
		return ERR_FORMAT;
	}
	TRY(intake_seek(t->s, t->size - TACHYON_FOOTER));
	if (!intake_need(t->s, TACHYON_FOOTER))
		return t->s->rc ? t->s->rc : ERR_FORMAT;
	const uint8_t *p = t->s->bytes + t->s->at;
	t->n_strings = (uint32_t)fixed(t, p, 4);
	t->n_frames = (uint32_t)fixed(t, p + 4, 4);
	uint64_t size = fixed(t, p + 8, 8);
	if (size != t->size)
		foreign_problem(t->f, false, t->size - TACHYON_FOOTER,
		                "the footer tells of %llu bytes, the file has %llu", (unsigned long long)size,
		                (unsigned long long)t->size);
	return 0;
}

static int read_strings(struct tachyon *t)
{
	TRY(intake_seek(t->s, t->strings_at));
	for (uint32_t i = 0; i < t->n_strings; i++) {
		uint64_t n, at = intake_at(t->s);
		uint32_t id;

		if (!take_varint(t, t->s, &n) || n > t->frames_at - intake_at(t->s) || !intake_need(t->s, n)) {
			foreign_problem(t->f, false, at,
			                "text %u of %u is not whole; it and those behind it show as [lost]", i,
			                t->n_strings);
			t->wrong = NULL;
			return t->s->rc;
		}
		TRY(intern_get(&t->texts, t->s->bytes + t->s->at, n, &id, NULL));
		t->s->at += n;
		if (!vec_push(&t->strings, id))
			return ERR_NO_MEMORY;
	}
	return 0;
}

static const char *text_of(const struct tachyon *t, uint64_t i, size_t *n)
{
	return intern_bytes(&t->texts, i < t->strings.n ? t->strings.v[i] : 0, n);
}

static int32_t as_line(int64_t v)
{
	return v > 0 && v < INT32_MAX ? (int32_t)v : 0;
}

static bool take_frame(struct tachyon *t, int *rc)
{
	uint64_t file, name;
	int64_t line, end_delta, column, end_column;
	location_id location;

	if (!take_varint(t, t->s, &file) || !take_varint(t, t->s, &name) || !take_signed(t, t->s, &line) ||
	    !take_signed(t, t->s, &end_delta) || !take_signed(t, t->s, &column) || !take_signed(t, t->s, &end_column) ||
	    !intake_need(t->s, 1))
		return false;
	t->s->at++; /* the opcode: a place in the line is all that a recording has */
	struct foreign_frame r = {.line = as_line(line), .column = -1, .end_column = -1};
	if (column >= 0 && column < INT32_MAX && end_column >= -column && end_column < INT32_MAX - column &&
	    end_delta >= 0 && end_delta < INT32_MAX - r.line) {
		r.end_line = r.line + (int32_t)end_delta;
		r.column = (int32_t)column;
		r.end_column = (int32_t)(column + end_column);
	}
	r.file = text_of(t, file, &r.n_file);
	r.name = text_of(t, name, &r.n_name);
	if (file >= t->strings.n || name >= t->strings.n) {
		r.is_synthetic = true;
		r.name = "lost";
		r.n_name = 4;
	} else if (line < 0 && r.n_name > 2 && r.name[0] == '<') { /* <native>, <GC> */
		r.is_synthetic = true;
		r.name++;
		r.n_name -= 2;
	}
	*rc = foreign_frame(t->f, &r, &location);
	if (!*rc && !vec_push(&t->frames, location))
		*rc = ERR_NO_MEMORY;
	return *rc == 0;
}

static int read_frames(struct tachyon *t)
{
	int rc = 0;

	TRY(intake_seek(t->s, t->frames_at));
	for (uint32_t i = 0; i < t->n_frames; i++) {
		uint64_t at = intake_at(t->s);

		if (take_frame(t, &rc))
			continue;
		TRY(rc);
		TRY(t->s->rc);
		foreign_problem(t->f, false, at, "frame %u of %u is not whole; it and those behind it show as [lost]",
		                i, t->n_frames);
		t->wrong = NULL;
		break;
	}
	return 0;
}

static int thread_of(struct tachyon *t, uint64_t id, uint32_t interpreter, struct tachyon_thread **to)
{
	bool is_new;
	uint32_t process, *at = map_put(&t->thread_of, id, interpreter, &is_new);

	if (!at)
		return ERR_NO_MEMORY;
	if (is_new) {
		struct tachyon_thread n = {0};

		TRY(foreign_process(t->f, 0, "", 0, &process));
		TRY(id <= UINT32_MAX ? foreign_thread(t->f, process, (uint32_t)id, 0, interpreter, "", 0, &n.thread)
		                     : foreign_thread(t->f, process, 0, id, interpreter, "", 0, &n.thread));
		*at = (uint32_t)t->threads.n;
		if (!vec_push(&t->threads, n))
			return ERR_NO_MEMORY;
	}
	*to = &t->threads.v[*at];
	return 0;
}

static uint32_t flags_of(uint8_t status)
{
	uint32_t flags =
	    (status & TACHYON_GIL ? WIRE_FLAG_GIL : 0) | (status & TACHYON_GIL_WAIT ? WIRE_FLAG_GIL_WAIT : 0);

	if (status & TACHYON_ON_CPU)
		return flags | WIRE_STATE_ON_CPU;
	return flags | (status & TACHYON_UNKNOWN ? WIRE_STATE_UNKNOWN : WIRE_STATE_SLEEPING);
}

/* Time and status of one sample of the thread's present stack. */
static bool take_sample(struct tachyon *t, struct tachyon_thread *of, int *rc)
{
	uint64_t delta, base = t->f->facts.start_ns;

	if (!take_varint(t, &t->samples, &delta) || (!intake_left(&t->samples) && !intake_need(&t->samples, 1)))
		return wrong(t, "it ends inside a sample");
	of->pending_status = t->samples.bytes[t->samples.at++];
	of->at_us = delta < FOREIGN_MAX_NS / 1000 - of->at_us ? of->at_us + delta : FOREIGN_MAX_NS / 1000;
	of->pending_ns = of->at_us < (FOREIGN_MAX_NS - base) / 1000 ? base + of->at_us * 1000 : FOREIGN_MAX_NS;
	*rc = 0;
	return true;
}

static int put_sample(struct tachyon *t, const struct tachyon_thread *of)
{
	t->n_read++;
	return foreign_event(t->f, of->thread, of->stacks.n ? of->stacks.v[of->stacks.n - 1] : 0,
	                     flags_of(of->pending_status), of->pending_ns, t->f->facts.gap_ns);
}

/* n new frames, the innermost first, on top of what is there. */
static bool take_frames(struct tachyon *t, struct tachyon_thread *of, uint64_t n, int *rc)
{
	t->ids.n = 0;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t id;

		if (!take_varint(t, &t->samples, &id))
			return false;
		if (t->n_kept + t->ids.n >= TACHYON_KEPT_MAX || of->stacks.n + t->ids.n >= WIRE_DEPTH_MAX - 8)
			return wrong(t, "a stack of more than a million frames, or 16 million in all threads");
		if (!vec_push(&t->ids, id)) {
			*rc = ERR_NO_MEMORY;
			return false;
		}
	}
	while (t->ids.n) {
		uint64_t id = t->ids.v[--t->ids.n];
		stack_id stack = of->stacks.n ? of->stacks.v[of->stacks.n - 1] : 0;

		*rc = foreign_stack(t->f, stack, id < t->frames.n ? t->frames.v[id] : t->lost, &stack);
		if (!*rc && !vec_push(&of->stacks, stack))
			*rc = ERR_NO_MEMORY;
		if (*rc)
			return false;
		t->n_kept++;
	}
	return true;
}

static void keep(struct tachyon *t, struct tachyon_thread *of, uint64_t n)
{
	t->n_kept -= of->stacks.n - n;
	of->stacks.n = n;
}

/* One record; false: `wrong`, or *rc. */
static bool take_record(struct tachyon *t, int *rc)
{
	struct tachyon_thread *of;
	struct intake *s = &t->samples;
	uint64_t n, m = 0;

	if (!intake_need(s, 13))
		return wrong(t, "it ends inside a record");
	const uint8_t *p = s->bytes + s->at;
	uint8_t encoding = p[12];
	*rc = thread_of(t, fixed(t, p, 8), (uint32_t)fixed(t, p + 8, 4), &of);
	s->at += 13;
	if (*rc)
		return false;
	if (encoding == TACHYON_REPEAT) {
		if (!take_varint(t, s, &n))
			return false;
		for (; n > 0; n--) {
			if (!take_sample(t, of, rc) || (*rc = put_sample(t, of)))
				return false;
		}
		return true;
	}
	if (encoding > TACHYON_POP_PUSH)
		return wrong(t, "a record of an unknown kind");
	if (!take_sample(t, of, rc) || (encoding != TACHYON_FULL && !take_varint(t, s, &m)) || !take_varint(t, s, &n))
		return false;
	if (encoding == TACHYON_FULL)
		keep(t, of, 0);
	else if (m > of->stacks.n)
		return wrong(t, "it keeps or drops more frames than the thread has");
	else
		keep(t, of, encoding == TACHYON_SUFFIX ? m : of->stacks.n - m);
	if (!take_frames(t, of, n, rc))
		return false;
	*rc = put_sample(t, of);
	return *rc == 0;
}

static int read_samples(struct tachyon *t)
{
	int rc = 0;
	uint64_t at = 0;

	TRY(intake_open_part(&t->samples, t->s, TACHYON_HEADER, t->strings_at - TACHYON_HEADER,
	                     t->compression ? INTAKE_ZSTD : INTAKE_PLAIN));
	while (intake_left(&t->samples) || intake_need(&t->samples, 1)) {
		at = intake_at(&t->samples);
		if (!take_record(t, &rc))
			break;
	}
	rc = rc ? rc : t->samples.rc;
	if (t->samples.damage)
		foreign_problem(t->f, false, TACHYON_HEADER, "%s", t->samples.damage);
	if (!rc && t->wrong)
		foreign_problem(t->f, false, TACHYON_HEADER + at, "%s%s; what is before it is imported", t->wrong,
		                t->compression ? " (counted in the unpacked samples)" : "");
	if (!rc && t->n_read != t->n_samples) {
		foreign_problem(t->f, false, 28, "the header tells of %llu samples, %llu are there",
		                (unsigned long long)t->n_samples, (unsigned long long)t->n_read);
		if (t->n_samples > t->n_read && t->n_samples - t->n_read < UINT64_C(1) << 40)
			t->f->skipped = t->n_samples - t->n_read;
	}
	t->s->error_number = t->samples.error_number ? t->samples.error_number : t->s->error_number;
	intake_done(&t->samples);
	return rc;
}

static bool looks_tachyon(const char *p, size_t n)
{
	static const char zeros[TACHYON_HEADER];

	return (n >= 4 && (memcmp(p, "HCAT", 4) == 0 || memcmp(p, "TACH", 4) == 0)) ||
	       (n >= TACHYON_HEADER && memcmp(p, zeros, TACHYON_HEADER) == 0);
}

static int set_facts(struct tachyon *t, const struct import_options *o)
{
	struct foreign *f = t->f;

	if (t->interval_us && t->interval_us < UINT64_C(1000000000))
		f->facts.gap_ns = t->interval_us * 1000;
	else
		f->facts.gap_ns = o->gap_ns ? o->gap_ns : 1000000;
	if (f->facts.gap_ns != t->interval_us * 1000)
		foreign_without(f, "a sensible interval (1 ms was taken)");
	f->facts.start_ns = t->start_us < FOREIGN_MAX_NS / 4000 ? t->start_us * 1000 : 0;
	buf_reset(&f->text);
	buf_printf(&f->text, "%u.%u.%u", t->python[0], t->python[1], t->python[2]);
	TRY(f->text.err);
	foreign_without(f, "the process");
	foreign_without(f, "names of threads");
	foreign_without(f, "the time of day");
	return foreign_note(f, "tachyon.python", 14, (const char *)f->text.data, f->text.len);
}

static int read_all(struct tachyon *t, const struct import_options *o)
{
	TRY(read_header(t));
	TRY(read_footer(t));
	TRY(set_facts(t, o));
	TRY(foreign_frame(t->f, &(struct foreign_frame){.name = "lost", .n_name = 4, .is_synthetic = true}, &t->lost));
	TRY(read_strings(t));
	TRY(read_frames(t));
	return read_samples(t);
}

static int read_tachyon(struct foreign *f, struct intake *s, const struct import_options *o)
{
	struct tachyon t = {.f = f, .s = s};

	f->facts.format = "Tachyon binary";
	map_init(&t.thread_of, WIRE_IDS_MAX);
	int rc = intern_init(&t.texts, 1 << 30);
	if (!rc)
		rc = intake_make_seekable(s, &t.size);
	if (!rc)
		rc = read_all(&t, o);
	for (size_t i = 0; i < t.threads.n; i++)
		vec_free(&t.threads.v[i].stacks);
	vec_free(&t.threads);
	vec_free(&t.strings);
	vec_free(&t.frames);
	vec_free(&t.ids);
	map_done(&t.thread_of);
	intern_done(&t.texts);
	return rc;
}

const struct import_format import_tachyon = {
    .name = "tachyon",
    .what = "the binary file of Python 3.15's profiling.sampling",
    .looks = looks_tachyon,
    .read = read_tachyon,
};

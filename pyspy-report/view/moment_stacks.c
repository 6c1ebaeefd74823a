#include "pyspy-report/view/moment_stacks.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/facts_json.h"
#include "pyspy-report/view/json_text.h"
#include "pyspy-report/view/sample_lines.h"
#include "pyspy-report/view/words.h"

/* A thread that is shown. */
struct shown {
	uint32_t thread, path;
};

struct view {
	FILE *out;
	const struct moment *m;
	struct shape *shape;
	const struct profile *p;
	VEC(struct shown) list; /* in order of process and tid */
	uint64_t n_gone, n_left_out, n_never;
	struct frame_text texts;
	struct buf raw, safe;
};

static int by_process_and_tid(const void *a, const void *b, void *ctx)
{
	const struct profile *p = ctx;
	uint32_t x = ((const struct shown *)a)->thread, y = ((const struct shown *)b)->thread;
	const struct profile_thread *t = &p->threads.v[x], *u = &p->threads.v[y];

	if (t->process != u->process)
		return t->process < u->process ? -1 : 1;
	if (t->tid != u->tid)
		return t->tid < u->tid ? -1 : 1;
	return (x > y) - (x < y);
}

static int choose(struct view *v)
{
	for (uint32_t i = 0; i < v->m->threads.n; i++) {
		const struct moment_thread *t = &v->m->threads.v[i];
		struct shown one = {.thread = i};

		if (!t->is_seen) {
			v->n_never += i > 0;
			continue;
		}
		if (!moment_has(v->m, v->p, i)) {
			v->n_gone++;
			continue;
		}
		TRY(shape_path(v->shape, i, t->sample.stack, t->sample.flags, &one.path));
		if (one.path == SHAPE_DROPPED)
			v->n_left_out++;
		else if (!vec_push(&v->list, one))
			return ERR_NO_MEMORY;
	}
	if (v->list.n)
		qsort_r(v->list.v, v->list.n, sizeof *v->list.v, by_process_and_tid, (void *)v->p);
	return 0;
}

static const char *safe(struct view *v, const char *s, size_t n)
{
	v->safe.len = 0;
	escape_text(&v->safe, s, n);
	return buf_cstr(&v->safe);
}

static int64_t offset_of(const struct view *v, uint32_t thread)
{
	const struct moment_thread *t = &v->m->threads.v[thread];
	uint64_t ns = t->distance_ns > INT64_MAX ? INT64_MAX : t->distance_ns;

	return t->sample.time_ns < v->m->at_ns.v[t->sample.recording] ? -(int64_t)ns : (int64_t)ns;
}

/* CLOCK_REALTIME of a time of the recording. */
static void put_clock(FILE *out, const struct profile_recording *r, uint64_t at_ns)
{
	int64_t ns = (int64_t)(at_ns + (uint64_t)r->anchor_ns), ms = ns / 1000000;
	time_t s = (time_t)(ms / 1000);
	char when[64];
	struct tm tm;

	if (r->n_blocks && ms >= 0 && gmtime_r(&s, &tm) && strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm))
		fprintf(out, ", %s.%03d UTC", when, (int)(ms % 1000));
}

static void put_moment(struct view *v, uint32_t recording)
{
	const struct profile_recording *r = &v->p->recordings.v[recording];
	uint64_t at = v->m->at_ns.v[recording], begin = r->started_ns, end = r->end_ns;
	char a[HUMAN_SIZE], b[HUMAN_SIZE];

	fprintf(v->out, "%-9s", recording ? "" : "at");
	if (at >= begin)
		fprintf(v->out, "%" PRIu64 ".%06" PRIu64 " s", (at - begin) / CLOCK_NS_PER_S,
		        (at - begin) % CLOCK_NS_PER_S / 1000);
	else
		fprintf(v->out, "%s before the recording began", human_duration(a, begin - at));
	put_clock(v->out, r, at);
	if (at > end)
		fprintf(v->out, "; %s after the recording's end", human_duration(a, at - end));
	else if (end > begin && at >= begin)
		fprintf(v->out, "; %.2f %% of %s", 100.0 * (double)(at - begin) / (double)(end - begin),
		        human_duration(b, end - begin));
	if (v->p->recordings.n > 1) {
		size_t n;
		const char *file = profile_text(v->p, r->input, &n);

		fprintf(v->out, " of %s", safe(v, file, n));
	}
	fputc('\n', v->out);
}

/* How far the samples are from what was asked for. */
static void put_distances(struct view *v)
{
	char a[HUMAN_SIZE], b[HUMAN_SIZE];
	uint64_t before = 0, after = 0;

	for (size_t i = 0; i < v->list.n; i++) {
		int64_t ns = offset_of(v, v->list.v[i].thread);

		before = ns < 0 && (uint64_t)-ns > before ? (uint64_t)-ns : before;
		after = ns > 0 && (uint64_t)ns > after ? (uint64_t)ns : after;
	}
	if (!v->list.n)
		fprintf(v->out, "%-9sno thread has a sample\n", "samples");
	else if (!before && !after)
		fprintf(v->out, "%-9sof this very moment\n", "samples");
	else
		fprintf(v->out, "%-9sthe nearest of each thread: at most %s before, %s after\n", "samples",
		        human_duration(a, before), human_duration(b, after));
}

static void put_header(struct view *v, const struct summary *s)
{
	v->raw.len = 0;
	caption_command(&v->raw, v->p, s);
	if (v->raw.len)
		fprintf(v->out, "%-9s%s\n", "command", safe(v, buf_cstr(&v->raw), v->raw.len));
	for (uint32_t i = 0; i < v->p->recordings.n; i++)
		put_moment(v, i);
	put_distances(v);
	v->raw.len = 0;
	if (v->shape->filter->gil_only)
		buf_str(&v->raw, " -g");
	filter_words(v->shape->filter, &v->raw);
	if (v->raw.len)
		fprintf(v->out, "%-8s%s\n", "filters", safe(v, buf_cstr(&v->raw), v->raw.len));
	v->raw.len = 0;
	caption_losses(&v->raw, v->p, s);
	fprintf(v->out, "%-9s%s\n", "lost", v->raw.len ? safe(v, buf_cstr(&v->raw), v->raw.len) : "nothing");
}

static void put_thread(struct view *v, const struct shown *k)
{
	const struct profile_thread *t = &v->p->threads.v[k->thread];
	const struct replay_sample *s = &v->m->threads.v[k->thread].sample;
	int64_t offset = offset_of(v, k->thread);
	char distance[HUMAN_SIZE];
	size_t n;
	const char *name = profile_text(v->p, t->name, &n);

	if (k->thread)
		fprintf(v->out, "\nthread %u%s%s: ", t->tid, n ? " " : "", n ? safe(v, name, n) : "");
	else
		fprintf(v->out, "\n[unknown thread]: ");
	v->raw.len = 0;
	sample_lines_marks(&v->raw, s->flags & ~(uint32_t)TALLY_EVENT, 0);
	fprintf(v->out, "%s%s%s", words_state(s->flags & WIRE_FLAG_STATE), strcmp(buf_cstr(&v->raw), "-") ? ", " : "",
	        strcmp(buf_cstr(&v->raw), "-") ? buf_cstr(&v->raw) : "");
	if (offset)
		fprintf(v->out, "; sample %s %s", human_duration(distance, (uint64_t)(offset < 0 ? -offset : offset)),
		        offset < 0 ? "before" : "after");
	fputc('\n', v->out);
}

static void put_frames(struct view *v, uint32_t path)
{
	for (uint32_t i = path; i && !ferror(v->out); i = v->shape->nodes.v[i].parent) {
		size_t n;
		const char *s = frame_text_get(&v->texts, v->shape->nodes.v[i].frame, &n);

		fprintf(v->out, "    ");
		fwrite(s, 1, n, v->out);
		fputc('\n', v->out);
	}
}

static void put_process(struct view *v, uint32_t process)
{
	const struct profile_process *q = &v->p->processes.v[process];

	v->raw.len = 0;
	caption_cmdline(&v->raw, v->p, q);
	if (process)
		fprintf(v->out, "\nprocess %u%s%s\n", q->pid, v->raw.len ? ": " : "",
		        v->raw.len ? safe(v, buf_cstr(&v->raw), v->raw.len) : "");
	else
		fprintf(v->out, "\n[unknown process]\n");
}

static void put_rest(struct view *v)
{
	char a[HUMAN_SIZE];

	if (v->n_left_out)
		fprintf(v->out, "\n... %s more thread%s left out by filters\n", human_count(a, v->n_left_out),
		        v->n_left_out == 1 ? "" : "s");
	if (v->n_gone)
		fprintf(v->out, "\n... %s more thread%s ended before or began later\n", human_count(a, v->n_gone),
		        v->n_gone == 1 ? "" : "s");
	if (v->n_never)
		fprintf(v->out, "\n... %s more thread%s never sampled\n", human_count(a, v->n_never),
		        v->n_never == 1 ? "" : "s");
}

static int begin(struct view *v, FILE *out, const struct moment *m, struct shape *shape)
{
	*v = (struct view){.out = out, .m = m, .shape = shape, .p = shape->naming->profile};
	frame_text_init(&v->texts, shape->naming, escape_text);
	buf_init(&v->raw, 0);
	buf_init(&v->safe, 0);
	return choose(v);
}

static int end(struct view *v, int rc)
{
	rc = rc ? rc : v->raw.err ? v->raw.err : v->safe.err ? v->safe.err : v->texts.all.err;
	frame_text_done(&v->texts);
	buf_done(&v->raw);
	buf_done(&v->safe);
	vec_free(&v->list);
	return rc;
}

int moment_stacks_write(FILE *out, const struct moment *m, struct shape *shape, const struct summary *s)
{
	struct view v;
	int rc = begin(&v, out, m, shape);

	if (!rc)
		put_header(&v, s);
	for (size_t i = 0; i < v.list.n && !rc; i++) {
		uint32_t process = v.p->threads.v[v.list.v[i].thread].process;

		if (s->n_processes > 1 && (!i || v.p->threads.v[v.list.v[i - 1].thread].process != process))
			put_process(&v, process);
		put_thread(&v, &v.list.v[i]);
		put_frames(&v, v.list.v[i].path);
	}
	if (!rc)
		put_rest(&v);
	return end(&v, rc);
}

enum { COLUMNS = 11 };
static const struct sheet_column columns[COLUMNS] = {
    {"pid", NULL},
    {"tid", NULL},
    {"thread", NULL},
    {"state", NULL},
    {"marks", NULL},
    {"way", NULL},
    {"sample_offset_ns", "ns after the moment"},
    {"frame", "0 = innermost"},
    {"function", NULL},
    {"file", NULL},
    {"line", NULL},
};

static void cell_string(struct sheet *t, const struct profile *p, uint32_t string)
{
	size_t len;
	const char *s = profile_text(p, string, &len);

	sheet_text(t, s, len);
}

static void cell_word(struct sheet *t, const char *word)
{
	sheet_text(t, word, strlen(word));
}

static int sheet_frames(struct sheet *t, struct view *v, const struct shown *k)
{
	const struct profile_thread *thread = &v->p->threads.v[k->thread];
	const struct replay_sample *s = &v->m->threads.v[k->thread].sample;
	uint64_t n = 0;

	v->raw.len = 0;
	sample_lines_marks(&v->raw, s->flags & ~(uint32_t)TALLY_EVENT, 0);
	if (strcmp(buf_cstr(&v->raw), "-") == 0)
		v->raw.len = 0;
	for (uint32_t i = k->path; i; i = v->shape->nodes.v[i].parent) {
		const struct naming_frame *f = &v->shape->naming->frames.v[v->shape->nodes.v[i].frame];

		sheet_number(t, v->p->processes.v[thread->process].pid);
		sheet_number(t, thread->tid);
		cell_string(t, v->p, thread->name);
		cell_word(t, words_state(s->flags & WIRE_FLAG_STATE));
		sheet_text(t, buf_cstr(&v->raw), v->raw.len);
		cell_word(t, words_way((s->flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT));
		sheet_signed(t, offset_of(v, k->thread));
		sheet_number(t, n++);
		cell_string(t, v->p, f->name);
		cell_string(t, v->p, f->file);
		sheet_number_or_none(t, f->line);
		TRY(sheet_row(t));
	}
	return 0;
}

static json_t *head_moments(const struct view *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->p->recordings.n; i++) {
		const struct profile_recording *r = &v->p->recordings.v[i];
		uint64_t at = v->m->at_ns.v[i];

		json_array_append_new(list, json_integer((json_int_t)(at - r->started_ns)));
	}
	return list;
}

int moment_stacks_sheet(FILE *out, enum sheet_format format, const struct moment *m, struct shape *shape,
                        const struct summary *s)
{
	struct view v;
	int rc = begin(&v, out, m, shape), err;
	json_t *head = format == SHEET_JSON ? facts_json("stacks", v.p, s, shape->filter) : NULL;
	struct sheet t;

	if (head) {
		json_object_set_new(head, "at_ns", head_moments(&v));
		json_object_set_new(head, "threads_left_out", json_text_number(v.n_left_out));
		json_object_set_new(head, "threads_not_there", json_text_number(v.n_gone));
		json_object_set_new(head, "threads_never_sampled", json_text_number(v.n_never));
	}
	err = sheet_begin(&t, out, format, columns, COLUMNS, head);
	rc = rc ? rc : err;
	for (size_t i = 0; i < v.list.n && !rc; i++)
		rc = sheet_frames(&t, &v, &v.list.v[i]);
	err = sheet_end(&t);
	return end(&v, rc == ERR_IO ? 0 : rc ? rc : err);
}

#include "pyspy-report/view/chrometrace.h"

#include <inttypes.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/jsonout.h"
#include "pyspy-report/view/frame_text.h"
#include "pyspy-report/view/track_names.h"

#define MADE_UP UINT64_C(4194305) /* the first number that no pid or tid has */
enum { NS_PLACES = 3 };           /* of a microsecond */

struct chrometrace {
	struct jsonout json;
	struct timeline *timeline;
	const struct shape *shape;
	const struct meters *meters;
	struct frame_text texts;
	VEC(uint64_t) pids; /* by process; 0 = none given yet */
	VEC(uint64_t) tids; /* by track */
	uint64_t made_up;
	struct buf track;     /* `","pid":1,"tid":2,"ts":` */
	uint64_t opened_ns;   /* time of the last change */
	uint32_t open;        /* path of the frames that are open */
	VEC(uint32_t) opened; /* paths of those that are to be opened, innermost first */
};

/* A number for `who`: its own, unless that is taken in `scope`. */
static int give_number(struct chrometrace *c, struct map *taken, uint64_t scope, uint64_t own, uint64_t *number)
{
	bool is_new;

	if (!map_put(taken, scope, own, &is_new))
		return ERR_NO_MEMORY;
	*number = is_new ? own : c->made_up++;
	return 0;
}

static uint32_t process_of(const struct chrometrace *c, size_t track)
{
	return c->timeline->profile->threads.v[c->timeline->tracks.v[track].thread].process;
}

static int give_numbers(struct chrometrace *c)
{
	const struct profile *p = c->timeline->profile;
	struct map taken;
	int rc = 0;

	if (!vec_room(&c->pids, p->processes.n) || !vec_room(&c->tids, c->timeline->tracks.n + 1))
		return ERR_NO_MEMORY;
	memset(c->pids.v, 0, p->processes.n * sizeof *c->pids.v);
	map_init(&taken, 0);
	for (size_t i = 0; i < c->timeline->tracks.n && !rc; i++) {
		uint32_t process = process_of(c, i);
		const struct profile_process *q = &p->processes.v[process];
		const struct profile_thread *t = &p->threads.v[c->timeline->tracks.v[i].thread];

		if (!c->pids.v[process])
			rc = give_number(c, &taken, 0, process && q->pid ? q->pid : c->made_up++, &c->pids.v[process]);
		if (!rc)
			rc = give_number(c, &taken, c->pids.v[process], t->tid ? t->tid : c->made_up++, &c->tids.v[i]);
	}
	map_done(&taken);
	return rc;
}

static void put_head(struct chrometrace *c, const char *phase, uint64_t pid, uint64_t tid)
{
	struct jsonout *j = &c->json;

	jsonout_line(j);
	jsonout_open(j, '{');
	jsonout_key_word(j, "ph", phase);
	jsonout_key_number(j, "pid", pid);
	jsonout_key_number(j, "tid", tid);
}

static void put_time(struct chrometrace *c, uint64_t ns)
{
	jsonout_key(&c->json, "ts");
	jsonout_decimal(&c->json, ns, NS_PLACES);
}

static void put_name(struct chrometrace *c, const char *what, uint64_t pid, uint64_t tid, const struct buf *name)
{
	struct jsonout *j = &c->json;

	put_head(c, "M", pid, tid);
	jsonout_key_word(j, "name", what);
	jsonout_key(j, "args");
	jsonout_open(j, '{');
	jsonout_key(j, "name");
	jsonout_string(j, (const char *)name->data, name->len);
	jsonout_close(j, '}');
	jsonout_close(j, '}');
}

static void put_order(struct chrometrace *c, const char *what, uint64_t pid, uint64_t tid, uint64_t index)
{
	struct jsonout *j = &c->json;

	put_head(c, "M", pid, tid);
	jsonout_key_word(j, "name", what);
	jsonout_key(j, "args");
	jsonout_open(j, '{');
	jsonout_key_number(j, "sort_index", index);
	jsonout_close(j, '}');
	jsonout_close(j, '}');
}

static int put_names(struct chrometrace *c)
{
	const struct profile *p = c->timeline->profile;
	struct buf name;
	uint32_t process, before = UINT32_MAX;

	buf_init(&name, 0);
	for (size_t i = 0; i < c->timeline->tracks.n; i++, before = process) {
		uint64_t pid;

		process = process_of(c, i);
		pid = c->pids.v[process];
		if (process != before) {
			buf_reset(&name);
			track_names_process(&name, p, process);
			put_name(c, "process_name", pid, c->tids.v[i], &name);
			put_order(c, "process_sort_index", pid, c->tids.v[i], i);
		}
		buf_reset(&name);
		track_names_thread(&name, p, &c->timeline->tracks.v[i]);
		put_name(c, "thread_name", pid, c->tids.v[i], &name);
		put_order(c, "thread_sort_index", pid, c->tids.v[i], i);
	}
	int rc = name.err;
	buf_done(&name);
	return rc;
}

/* The greater part of a trace is this: what a track's and a frame's events have in common is made once. */
static void put_slice(struct chrometrace *c, char phase, const char *when, size_t n_when, uint32_t path)
{
	struct jsonout *j = &c->json;
	size_t n;
	const char *text = frame_text_get(&c->texts, c->shape->nodes.v[path].frame, &n);

	jsonout_line(j);
	fwrite_unlocked("{\"ph\":\"", 1, 7, j->out);
	putc_unlocked(phase, j->out);
	fwrite_unlocked(c->track.data, 1, c->track.len, j->out);
	fwrite_unlocked(when, 1, n_when, j->out);
	fwrite_unlocked(text, 1, n, j->out);
	fwrite_unlocked("\"}", 1, 2, j->out);
	j->comma = true;
}

static size_t make_when(char *when, size_t size, uint64_t ns)
{
	return (size_t)snprintf(when, size, "%" PRIu64 ".%03u,\"name\":\"", ns / 1000, (unsigned)(ns % 1000));
}

/* The path where both meet; what leads from there to `want` is in c->opened, innermost first. */
static int find_common(struct chrometrace *c, uint32_t want, uint32_t *common)
{
	const struct shape_node *list = c->shape->nodes.v;
	uint32_t open = c->open;

	c->opened.n = 0;
	while (open != want) {
		if (list[open].depth >= list[want].depth) {
			open = list[open].parent;
		} else {
			if (!vec_push(&c->opened, want))
				return ERR_NO_MEMORY;
			want = list[want].parent;
		}
	}
	*common = open;
	return 0;
}

/* speedscope takes B and E of one name at one time for a slice without length, B first, and then nothing fits. */
static bool opens_what_it_closes(const struct chrometrace *c, uint32_t common)
{
	const struct shape_node *list = c->shape->nodes.v;
	uint32_t first = c->opened.n ? list[c->opened.v[c->opened.n - 1]].frame : SHAPE_DROPPED;

	for (uint32_t i = c->open; i != common && c->opened.n; i = list[i].parent)
		if (list[i].frame == first)
			return true;
	return false;
}

/* From the open frames to those of `path`: what differs is closed, innermost first, and opened, outermost first. */
static int change_to(struct chrometrace *c, uint64_t ns, uint32_t path)
{
	char when[64];
	uint32_t common;
	size_t n;

	TRY(find_common(c, path, &common));
	n = make_when(when, sizeof when, ns - (ns > c->opened_ns + 1 && opens_what_it_closes(c, common)));
	for (uint32_t i = c->open; i != common; i = c->shape->nodes.v[i].parent)
		put_slice(c, 'E', when, n, i);
	n = make_when(when, sizeof when, ns);
	while (c->opened.n)
		put_slice(c, 'B', when, n, c->opened.v[--c->opened.n]);
	c->open = path;
	c->opened_ns = ns;
	return c->texts.all.err;
}

static int put_track(struct chrometrace *c, size_t track)
{
	struct timeline_reader reader;
	struct timeline_run run;
	uint64_t at = 0;
	int rc = timeline_read(&reader, c->timeline, track);

	c->opened_ns = 0;
	buf_reset(&c->track);
	buf_printf(&c->track, "\",\"pid\":%" PRIu64 ",\"tid\":%" PRIu64 ",\"ts\":", c->pids.v[process_of(c, track)],
	           c->tids.v[track]);
	rc = rc ? rc : c->track.err;
	while (!rc && (rc = timeline_next_timed(&reader, &run)) > 0) {
		rc = run.begin_ns > at ? change_to(c, at, 0) : 0;
		if (!rc)
			rc = change_to(c, run.begin_ns, run.path);
		at = run.begin_ns + run.length_ns;
	}
	timeline_read_done(&reader);
	return rc ? rc : change_to(c, at, 0);
}

static void put_counter(struct chrometrace *c, uint64_t pid, uint64_t ns, const char *name, const char *what,
                        uint64_t amount_ns, uint64_t of_ns)
{
	struct jsonout *j = &c->json;
	unsigned __int128 thousandths = ((unsigned __int128)amount_ns * 1000 + of_ns / 2) / (of_ns ? of_ns : 1);

	put_head(c, "C", pid, 0);
	put_time(c, ns);
	jsonout_key_word(j, "name", name);
	jsonout_key(j, "args");
	jsonout_open(j, '{');
	jsonout_key(j, what);
	jsonout_decimal(j, thousandths > UINT32_MAX ? UINT32_MAX : (uint64_t)thousandths, 3);
	jsonout_close(j, '}');
	jsonout_close(j, '}');
}

static void put_bin(struct chrometrace *c, uint64_t pid, uint64_t ns, uint64_t of_ns, const struct meters_bin *b)
{
	put_counter(c, pid, ns, "threads running", "threads", b->cpu_ns, of_ns);
	if (!c->meters->has_gil)
		return;
	put_counter(c, pid, ns, "GIL held", "share", b->gil_ns, of_ns);
	put_counter(c, pid, ns, "threads waiting for the GIL", "threads", b->wait_ns, of_ns);
}

static void put_meter(struct chrometrace *c, uint32_t process, const struct meter *m)
{
	uint64_t offset = timeline_clock(c->timeline, m->recording), end = c->timeline->end_ns, last = 0;

	for (size_t i = 0; i < m->bins.n; i++) {
		uint64_t begin = (m->first + i) * c->meters->width_ns + offset, until = begin + c->meters->width_ns;

		if ((int64_t)begin < 0) /* the first bin began before the recording did */
			begin = 0;
		until = (int64_t)until < 0 ? 0 : until < end ? until : end;
		if (begin >= until)
			continue;
		put_bin(c, c->pids.v[process], begin, until - begin, &m->bins.v[i]);
		last = until;
	}
	if (last)
		put_bin(c, c->pids.v[process], last, 1, &(struct meters_bin){0});
}

static void put_more(struct chrometrace *c, const struct chrometrace_options *o)
{
	struct jsonout *j = &c->json;

	jsonout_key(j, "otherData");
	jsonout_open(j, '{');
	jsonout_key_word(j, "exporter", o->exporter);
	jsonout_key_word(j, "command", o->command);
	jsonout_key_word(j, "samples", o->samples);
	jsonout_key_word(j, "losses", o->losses);
	jsonout_close(j, '}');
}

static int put_all(struct chrometrace *c, const struct chrometrace_options *o)
{
	struct jsonout *j = &c->json;

	TRY(give_numbers(c));
	jsonout_open(j, '{');
	jsonout_key(j, "traceEvents");
	jsonout_open(j, '[');
	TRY(put_names(c));
	for (size_t i = 0; i < c->timeline->tracks.n; i++)
		TRY(put_track(c, i));
	for (uint32_t i = 0; i < c->meters->list.n; i++)
		if (c->pids.v[i]) /* only of processes that are shown */
			put_meter(c, i, &c->meters->list.v[i]);
	jsonout_close(j, ']');
	jsonout_key_word(j, "displayTimeUnit", "ms");
	put_more(c, o);
	jsonout_close(j, '}');
	putc('\n', j->out);
	return 0;
}

int chrometrace_write(FILE *out, struct timeline *t, const struct shape *p, const struct meters *m,
                      const struct chrometrace_options *o)
{
	struct chrometrace c;
	int rc, written;

	memset(&c, 0, sizeof c);
	c.timeline = t;
	c.shape = p;
	c.meters = m;
	c.made_up = MADE_UP;
	frame_text_init(&c.texts, p->naming, escape_json);
	buf_init(&c.track, 0);
	jsonout_init(&c.json, out);
	rc = put_all(&c, o);
	written = jsonout_done(&c.json);
	frame_text_done(&c.texts);
	vec_free(&c.pids);
	vec_free(&c.tids);
	vec_free(&c.opened);
	buf_done(&c.track);
	return rc ? rc : written;
}

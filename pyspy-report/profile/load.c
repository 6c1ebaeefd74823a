#include "pyspy-report/profile/load_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"

struct profile_recording *load_recording(struct load *l)
{
	return l->options.replays ? &l->again : &l->profile->recordings.v[l->at];
}

static void load_forget(struct profile_recording *r)
{
	vec_free(&r->options);
	vec_free(&r->notes);
	*r = (struct profile_recording){0};
}

static int load_new_recording(struct load *l)
{
	uint32_t n = (uint32_t)l->profile->recordings.n;

	if (l->options.replays) {
		l->at = l->has_recording ? l->at + 1 : l->options.first;
		if (l->at >= n) /* it is not the input that it was */
			return ERR_FORMAT;
		load_forget(&l->again);
	} else {
		if (!vec_push(&l->profile->recordings, ((struct profile_recording){.input = l->input})))
			return ERR_NO_MEMORY;
		l->at = n;
	}
	l->has_recording = true;
	return 0;
}

/* The epoch that was being read is over. */
int load_end_epoch(struct load *l)
{
	if (!l->epoch.is_open)
		return 0;
	l->epoch.is_open = false;
	epoch_settle(&l->epoch);
	if (!l->options.replays)
		TRY(epoch_merge(&l->epoch));
	if (l->options.tap)
		TRY(l->options.tap->epoch_end(l->options.tap->ctx, &l->epoch));
	if (l->options.lane) {
		int rc = lanes_show(&l->lanes, &l->epoch, l->options.lane, l->options.ctx);
		if (rc)
			return rc;
	}
	return l->options.sample ? replay_show(&l->replay, &l->epoch, l->options.sample, l->options.ctx) : 0;
}

static int load_on_file(void *ctx, const struct rec_file *f)
{
	struct load *l = ctx;

	TRY(load_end_epoch(l));
	TRY(load_new_recording(l));
	load_recording(l)->file = *f;
	load_recording(l)->has_file_header = true;
	load_recording(l)->started_ns = f->boottime_ns;
	return 0;
}

static int load_next_epoch(struct load *l, uint32_t number, void (*begin)(struct epoch *, uint32_t, uint32_t))
{
	int rc = load_end_epoch(l);

	if (rc)
		return rc;
	if (!l->has_recording)
		TRY(load_new_recording(l));
	begin(&l->epoch, l->at, number);
	load_recording(l)->n_epochs++;
	return 0;
}

/* What is missing of an epoch shows in the damage list and as [lost]. */
static int load_on_epoch(void *ctx, uint32_t number, bool complete)
{
	return load_next_epoch(ctx, number, epoch_begin);
}

static int load_on_epoch_goes_on(void *ctx, uint32_t number, bool complete)
{
	return load_next_epoch(ctx, number, epoch_go_on);
}

static int load_on_block(void *ctx, const struct rec_block *b)
{
	struct load *l = ctx;

	if (!l->epoch.is_open) /* cannot be: the stream says `epoch` first */
		TRY(load_on_epoch(l, b->epoch, false));
	runs_begin_block(&l->runs);
	return 0;
}

void load_span(struct load *l, const struct rec_block *b, uint64_t started_ns)
{
	struct profile_recording *r = load_recording(l);
	const struct ends *ends = l->options.ends;
	struct span_of of = {.begin_ns = started_ns, .anchor_ns = b->anchor_ns};
	uint64_t from = b->begin_ns, until = b->end_ns;

	of.end_ns = ends && l->at < ends->v.n ? ends->v.v[l->at] : 0;
	span_resolve(&l->options.span, &of, &l->runs.from_ns, &l->runs.until_ns);
	from = from < l->runs.from_ns ? l->runs.from_ns : from;
	until = until > l->runs.until_ns ? l->runs.until_ns : until;
	if (from > until || (from == until && !span_is_open(&l->options.span)))
		return;
	if (!r->shown_end_ns || from < r->shown_begin_ns)
		r->shown_begin_ns = from;
	if (until > r->shown_end_ns)
		r->shown_end_ns = until;
}

int load_count(struct load *l, const struct rec_block *b, struct profile_recording *to)
{
	l->runs.keep = l->options.sample || l->options.lane;
	l->runs.replays = l->options.replays;
	load_span(l, b, to->started_ns);
	TRY(runs_finish(&l->runs, &l->epoch, b, to));
	if (l->options.lane)
		TRY(lanes_keep(&l->lanes, &l->runs, &l->epoch, b));
	return l->options.sample ? replay_keep(&l->replay, &l->runs, &l->epoch) : 0;
}

static int load_on_block_end(void *ctx, const struct rec_block *b)
{
	struct load *l = ctx;
	struct profile_recording *r = load_recording(l);

	if (!r->n_blocks || b->begin_ns < r->begin_ns)
		r->begin_ns = b->begin_ns;
	if (b->end_ns > r->end_ns)
		r->end_ns = b->end_ns;
	r->anchor_ns = b->anchor_ns;
	r->n_blocks++;
	r->is_closed |= (b->flags & WIRE_BLOCK_LAST) != 0;
	TRY(epoch_apply(&l->epoch, r));
	if (l->options.tap)
		TRY(l->options.tap->block(l->options.tap->ctx, &l->epoch, &l->runs, b));
	return load_count(l, b, r);
}

static int load_on_end_of_stream(void *ctx)
{
	return load_end_epoch(ctx);
}

static int load_on_damage(void *ctx, const struct decode_damage *d)
{
	struct load *l = ctx;

	return l->options.replays ? 0 : profile_add_damage(l->profile, l->input, d);
}

static int load_on_string(void *ctx, str_id id, const char *s, size_t n)
{
	return epoch_define_string(&((struct load *)ctx)->epoch, id, s, n);
}

static int load_on_function(void *ctx, function_id id, const struct rec_function *f)
{
	return epoch_define_function(&((struct load *)ctx)->epoch, id, f);
}

static int load_on_location(void *ctx, location_id id, const struct rec_location *r)
{
	return epoch_define_location(&((struct load *)ctx)->epoch, id, r);
}

static int load_on_stack(void *ctx, stack_id id, const struct rec_stack *s)
{
	return epoch_define_stack(&((struct load *)ctx)->epoch, id, s);
}

static int load_on_certify(void *ctx, stack_id id)
{
	return epoch_certify(&((struct load *)ctx)->epoch, id);
}

static int load_on_doubt(void *ctx, stack_id id)
{
	return runs_doubt(&((struct load *)ctx)->runs, id);
}

static int load_on_module(void *ctx, const struct rec_module *m)
{
	return epoch_define_module(&((struct load *)ctx)->epoch, m);
}

static int load_on_process(void *ctx, const struct rec_process *r)
{
	return epoch_define_process(&((struct load *)ctx)->epoch, r);
}

static int load_on_process_end(void *ctx, const struct rec_process_end *r)
{
	return epoch_process_end(&((struct load *)ctx)->epoch, r);
}

static int load_on_thread(void *ctx, const struct rec_thread *t)
{
	return epoch_define_thread(&((struct load *)ctx)->epoch, t);
}

static int load_on_thread_end(void *ctx, thread_id id, uint64_t time_ns)
{
	return epoch_thread_end(&((struct load *)ctx)->epoch, id, time_ns);
}

static int load_on_recording(void *ctx, const struct rec_recording *r)
{
	struct load *l = ctx;
	struct profile_recording *to = load_recording(l);
	const struct epoch_ids *s = &l->epoch.strings;

	to->has_facts = true;
	to->host = epoch_id(s, r->host);
	to->kernel = epoch_id(s, r->kernel);
	to->machine = epoch_id(s, r->machine);
	to->boot_id = epoch_id(s, r->boot_id);
	to->recorder = epoch_id(s, r->recorder);
	to->mean_gap_ns = r->mean_gap_ns;
	to->started_ns = r->started_ns;
	to->schedule = r->schedule;
	to->engine = r->engine;
	to->view_defaults = r->view_defaults;
	to->kernel_hz = r->kernel_hz;
	to->stop_ppm = r->stop_ppm;
	to->cpu_ppm = r->cpu_ppm;
	to->options.n = to->notes.n = 0;
	for (uint32_t i = 0; i < r->n_options; i++)
		if (!vec_push(&to->options, epoch_id(s, r->options[i])))
			return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < r->n_notes; i++)
		if (!vec_push(&to->notes,
		              ((struct profile_note){epoch_id(s, r->notes[i].key), epoch_id(s, r->notes[i].value)})))
			return ERR_NO_MEMORY;
	return 0;
}

static int load_on_ticks(void *ctx, const struct rec_ticks *t)
{
	return runs_ticks(&((struct load *)ctx)->runs, t);
}

static int load_on_events(void *ctx, const struct rec_events *e)
{
	return runs_events(&((struct load *)ctx)->runs, e);
}

static int load_on_lost(void *ctx, const struct rec_lost *r)
{
	load_recording(ctx)->lost[r->cause < WIRE_LOST_END_ ? r->cause : 0] += r->count;
	return 0;
}

static int load_on_counter(void *ctx, const struct rec_counter *c)
{
	if (c->counter < WIRE_COUNTER_END_) {
		load_recording(ctx)->counters[c->counter] = c->value;
		load_recording(ctx)->has_counter |= 1u << c->counter;
	} else if (c->counter >= WIRE_COUNTER_STOP_LENGTHS && c->counter < WIRE_COUNTER_LIMIT) {
		load_recording(ctx)->stop_lengths[c->counter - WIRE_COUNTER_STOP_LENGTHS] = c->value;
	}
	return 0;
}

static int load_on_end(void *ctx, const struct rec_end *r)
{
	load_recording(ctx)->end = *r;
	load_recording(ctx)->has_end = true;
	return 0;
}

void load_init(struct load *l, struct profile *p, const struct load_options *o)
{
	memset(l, 0, sizeof *l);
	l->profile = p;
	if (o)
		l->options = *o;
	l->lanes.spool = l->options.spool;
	epoch_init(&l->epoch, p);
	l->epoch.replays = l->options.replays;
	runs_init(&l->runs);
	l->runs.parts = l->options.tap ? l->options.tap->parts : NULL;
	l->runs.rows = l->options.tap ? l->options.tap->rows : NULL;
}

void load_done(struct load *l)
{
	epoch_done(&l->epoch);
	runs_done(&l->runs);
	replay_done(&l->replay);
	lanes_done(&l->lanes);
	load_forget(&l->again);
}

struct load *load_new(struct profile *p, const char *input, const struct load_options *o)
{
	struct load *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	load_init(l, p, o);
	l->stream = stream_new(&(struct decode_visitor){
	    .ctx = l,
	    .file = load_on_file,
	    .epoch = load_on_epoch,
	    .epoch_goes_on = load_on_epoch_goes_on,
	    .block = load_on_block,
	    .block_end = load_on_block_end,
	    .end_of_stream = load_on_end_of_stream,
	    .damage = load_on_damage,
	    .string = load_on_string,
	    .function = load_on_function,
	    .location = load_on_location,
	    .stack = load_on_stack,
	    .certify = load_on_certify,
	    .doubt = load_on_doubt,
	    .recording = load_on_recording,
	    .process = load_on_process,
	    .process_end = load_on_process_end,
	    .module = load_on_module,
	    .thread = load_on_thread,
	    .thread_end = load_on_thread_end,
	    .ticks = load_on_ticks,
	    .events = load_on_events,
	    .lost = load_on_lost,
	    .counter = load_on_counter,
	    .end = load_on_end,
	});
	if (!l->stream || profile_string(p, input, strlen(input), &l->input) < 0) {
		load_free(l);
		return NULL;
	}
	return l;
}

void load_free(struct load *l)
{
	if (!l)
		return;
	if (l->stream)
		stream_free(l->stream);
	load_done(l);
	free(l);
}

int load_feed(struct load *l, const void *bytes, size_t n)
{
	l->profile->input_bytes += l->options.replays ? 0 : n;
	return stream_feed(l->stream, bytes, n);
}

int load_finish(struct load *l)
{
	return stream_finish(l->stream);
}

uint64_t load_whole(const struct load *l)
{
	return stream_whole(l->stream);
}

struct epoch *load_peek(struct load *l)
{
	epoch_peek(&l->epoch);
	return &l->epoch;
}

static int load_feed_any(void *ctx, const void *bytes, size_t n)
{
	return load_feed(ctx, bytes, n);
}

static int load_finish_any(void *ctx)
{
	return load_finish(ctx);
}

int load_fd(struct profile *p, int fd, const char *name, uint64_t most, const struct load_options *o,
            struct feed_result *r)
{
	struct load *l = load_new(p, name, o);
	int rc = ERR_NO_MEMORY;

	*r = (struct feed_result){0};
	if (l)
		rc = feed_fd(&(struct feed_to){load_feed_any, load_finish_any, l, o ? o->progress : NULL}, fd, most, r);
	load_free(l);
	return rc;
}

int load_file(struct profile *p, const char *path, const struct load_options *o, struct feed_result *r)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int rc, fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		*r = (struct feed_result){.error_number = errno};
		return ERR_SYSTEM;
	}
	rc = load_fd(p, fd, is_stdin ? "standard input" : path, UINT64_MAX, o, r);
	if (!is_stdin)
		close(fd);
	return rc;
}

#include "tests/unit/support_dump.h"

#include <inttypes.h>
#include <stdlib.h>

#include "libcommon/escape.h"
#include "tests/unit/support_recording.h"

static struct buf *text(void *ctx)
{
	return &((struct support_dump *)ctx)->text;
}

static void put_hex(struct buf *b, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%02x", p[i]);
}

static void put_ids(struct buf *b, const uint32_t *ids, uint32_t n)
{
	buf_str(b, " [");
	for (uint32_t i = 0; i < n; i++)
		buf_printf(b, "%s%u", i ? " " : "", ids[i]);
	buf_str(b, "]");
}

static int on_file(void *ctx, const struct rec_file *f)
{
	buf_printf(text(ctx), "file %u.%u flags %u real %" PRId64 " boot %" PRIu64 " uuid ", f->major, f->minor,
	           f->flags, f->realtime_ns, f->boottime_ns);
	put_hex(text(ctx), f->uuid, 16);
	buf_str(text(ctx), "\n");
	return 0;
}

static int on_epoch(void *ctx, uint32_t epoch, bool complete)
{
	buf_printf(text(ctx), "epoch %u%s\n", epoch, complete ? "" : " incomplete");
	return 0;
}

static void put_block(struct buf *b, const char *word, const struct rec_block *h)
{
	buf_printf(b,
	           "%s %u flags %u epoch %u time %" PRIu64 "..%" PRIu64 " anchor %" PRId64 " samples %" PRIu64
	           "+%" PRIu64 " ticks %u uuid ",
	           word, h->sequence, h->flags, h->epoch, h->begin_ns, h->end_ns, h->anchor_ns, h->samples_before,
	           h->n_samples, h->n_ticks);
	put_hex(b, h->uuid8, 8);
	buf_str(b, "\n");
}

static int on_block(void *ctx, const struct rec_block *h)
{
	put_block(text(ctx), "block", h);
	return 0;
}

static int on_block_end(void *ctx, const struct rec_block *h)
{
	struct support_dump *d = ctx;

	buf_printf(&d->text, "block_end %u\n", h->sequence);
	d->n_blocks++;
	d->n_samples += h->n_samples;
	return 0;
}

static int on_end_of_stream(void *ctx)
{
	buf_str(text(ctx), "end_of_stream\n");
	return 0;
}

static int on_damage(void *ctx, const struct decode_damage *m)
{
	static const char *const NAMES[] = {"truncated",  "garbage", "bad_header", "bad_block",
	                                    "bad_record", "missing", "not_closed"};
	struct support_dump *d = ctx;

	buf_printf(&d->damage, "%s at %" PRIu64 " bytes %" PRIu64 " blocks %" PRIu64 " samples %" PRIu64 ": %s\n",
	           NAMES[m->problem], m->offset, m->bytes, m->blocks, m->samples, m->what);
	d->n_damages++;
	d->lost_samples += m->samples;
	d->n_bad_records += m->problem == DECODE_BAD_RECORD;
	return 0;
}

static int on_string(void *ctx, str_id id, const char *s, size_t n)
{
	buf_printf(text(ctx), "string %u \"", id);
	escape_text(text(ctx), s, n);
	buf_str(text(ctx), "\"\n");
	return 0;
}

static int on_function(void *ctx, function_id id, const struct rec_function *f)
{
	buf_printf(text(ctx), "function %u kind %u module %u qualname %u file %u line %u\n", id, f->kind, f->module,
	           f->qualname, f->file, f->first_line);
	return 0;
}

static int on_location(void *ctx, location_id id, const struct rec_location *l)
{
	struct buf *b = text(ctx);

	if (l->is_native) {
		buf_printf(b, "location %u module %u offset %" PRIu64 " symbol %u\n", id, l->module, l->offset,
		           l->symbol);
		return 0;
	}
	buf_printf(b, "location %u function %u", id, l->function);
	if (l->has_line)
		buf_printf(b, " line %d", l->line);
	if (l->has_columns)
		buf_printf(b, " to line %d columns %d..%d", l->end_line, l->column, l->end_column);
	buf_str(b, "\n");
	return 0;
}

static int on_stack(void *ctx, stack_id id, const struct rec_stack *s)
{
	buf_printf(text(ctx), "stack %u parent %u location %u%s\n", id, s->parent, s->location,
	           s->certified ? " certified" : "");
	return 0;
}

static int on_certify(void *ctx, stack_id id)
{
	buf_printf(text(ctx), "certify %u\n", id);
	return 0;
}

static int on_doubt(void *ctx, stack_id id)
{
	buf_printf(text(ctx), "doubt %u\n", id);
	return 0;
}

static int on_recording(void *ctx, const struct rec_recording *r)
{
	struct buf *b = text(ctx);

	buf_printf(b, "recording host %u kernel %u machine %u boot %u recorder %u options", r->host, r->kernel,
	           r->machine, r->boot_id, r->recorder);
	put_ids(b, r->options, r->n_options);
	buf_printf(b, " gap %" PRIu64 " schedule %u engine %u view %u hz %u stop %u notes [", r->mean_gap_ns,
	           r->schedule, r->engine, r->view_defaults, r->kernel_hz, r->stop_ppm);
	for (uint32_t i = 0; i < r->n_notes; i++)
		buf_printf(b, "%s%u=%u", i ? " " : "", r->notes[i].key, r->notes[i].value);
	buf_printf(b, "] started %" PRIu64, r->started_ns);
	if (r->cpu_ppm)
		buf_printf(b, " cpu %u", r->cpu_ppm);
	buf_str(b, "\n");
	return 0;
}

static int on_process(void *ctx, const struct rec_process *p)
{
	struct buf *b = text(ctx);

	buf_printf(b,
	           "process %u pid %u/%u parent %u host %u start %" PRIu64 " exec %u seen %" PRIu64
	           " flags %u uid %u hex %x build %u version %u exe %u cwd %u prefix %u %u",
	           p->id, p->pid, p->ns_pid, p->parent_pid, p->host, p->start_ns, p->exec_number, p->seen_ns, p->flags,
	           p->uid, p->version_hex, p->build, p->version, p->exe, p->cwd, p->prefix, p->base_prefix);
	put_ids(b, p->cmdline, p->n_cmdline);
	put_ids(b, p->sys_path, p->n_sys_path);
	buf_str(b, "\n");
	return 0;
}

static int on_process_end(void *ctx, const struct rec_process_end *p)
{
	buf_printf(text(ctx), "process_end %u time %" PRIu64 " how %u status %u\n", p->id, p->time_ns, p->how,
	           p->status);
	return 0;
}

static int on_module(void *ctx, const struct rec_module *m)
{
	buf_printf(text(ctx),
	           "module %u process %u path %u begin %" PRIu64 " end %" PRIu64 " offset %" PRIu64 " build_id ", m->id,
	           m->process, m->path, m->begin, m->end, m->file_offset);
	put_hex(text(ctx), m->build_id, m->n_build_id);
	buf_str(text(ctx), "\n");
	return 0;
}

static int on_thread(void *ctx, const struct rec_thread *t)
{
	buf_printf(text(ctx),
	           "thread %u process %u tid %u/%u start %" PRIu64 " interpreter %u pthread %" PRIu64
	           " name %u flags %u kind %u owner %u\n",
	           t->id, t->process, t->tid, t->ns_tid, t->start_ns, t->interpreter, t->pthread, t->name, t->flags,
	           t->kind, t->owner);
	return 0;
}

static int on_thread_end(void *ctx, thread_id id, uint64_t time_ns)
{
	buf_printf(text(ctx), "thread_end %u time %" PRIu64 "\n", id, time_ns);
	return 0;
}

static int on_interpreter(void *ctx, const struct rec_interpreter *i)
{
	buf_printf(text(ctx), "interpreter process %u number %u flags %u\n", i->process, i->number, i->flags);
	return 0;
}

static int on_host(void *ctx, const struct rec_host *h)
{
	buf_printf(text(ctx), "host %u name %u boot %u kernel %u machine %u\n", h->id, h->name, h->boot_id, h->kernel,
	           h->machine);
	return 0;
}

static int on_ticks(void *ctx, const struct rec_ticks *t)
{
	struct buf *b = text(ctx);

	buf_printf(b, "ticks unit %" PRIu64 " cpu %" PRIu64 " times", t->unit_ns, t->cpu_unit_ns);
	for (uint32_t i = 0; i < t->n_ticks; i++)
		buf_printf(b, " %" PRIu64, t->times_ns[i]);
	buf_str(b, "\n");
	for (uint32_t i = 0; i < t->n_entries; i++) {
		const struct rec_entry *e = &t->entries[i];

		buf_printf(b, "  entry tick %u thread %u stack %u flags %u cpu %" PRIu64 "%s\n", e->tick, e->thread,
		           e->stack, e->flags, e->cpu_ns, e->has_stack ? "" : " ?");
	}
	for (uint32_t i = 0; i < t->n_closings; i++)
		buf_printf(b, "  closing thread %u cpu %" PRIu64 "\n", t->closings[i].thread, t->closings[i].cpu_ns);
	for (uint32_t i = 0; i < t->n_gaps; i++)
		buf_printf(b, "  gap from tick %u mean %" PRIu64 "\n", t->gaps[i].tick, t->gaps[i].mean_ns);
	return 0;
}

static int on_events(void *ctx, const struct rec_events *r)
{
	buf_printf(text(ctx), "events unit %" PRIu64 " weight %" PRIu64 "\n", r->unit_ns, r->weight_unit_ns);
	for (uint32_t i = 0; i < r->n_events; i++) {
		const struct rec_event *e = &r->events[i];

		buf_printf(text(ctx), "  event %" PRIu64 " thread %u stack %u flags %u weight %" PRIu64 "\n",
		           e->time_ns, e->thread, e->stack, e->flags, e->weight_ns);
	}
	return 0;
}

static int on_lost(void *ctx, const struct rec_lost *l)
{
	buf_printf(text(ctx), "lost %" PRIu64 "..%" PRIu64 " cause %u thread %u count %" PRIu64 "\n", l->begin_ns,
	           l->end_ns, l->cause, l->thread, l->count);
	return 0;
}

static int on_counter(void *ctx, const struct rec_counter *c)
{
	buf_printf(text(ctx), "counter %u %" PRIu64 "\n", c->counter, c->value);
	return 0;
}

static int on_end(void *ctx, const struct rec_end *e)
{
	buf_printf(text(ctx), "end time %" PRIu64 " reason %u how %u status %u\n", e->time_ns, e->reason, e->how,
	           e->status);
	return 0;
}

struct decode_visitor support_dump_visitor(struct support_dump *d)
{
	return (struct decode_visitor){
	    .ctx = d,
	    .file = on_file,
	    .epoch = on_epoch,
	    .block = on_block,
	    .block_end = on_block_end,
	    .end_of_stream = on_end_of_stream,
	    .damage = on_damage,
	    .string = on_string,
	    .function = on_function,
	    .location = on_location,
	    .stack = on_stack,
	    .certify = on_certify,
	    .doubt = on_doubt,
	    .recording = on_recording,
	    .process = on_process,
	    .process_end = on_process_end,
	    .module = on_module,
	    .thread = on_thread,
	    .thread_end = on_thread_end,
	    .interpreter = on_interpreter,
	    .host = on_host,
	    .ticks = on_ticks,
	    .events = on_events,
	    .lost = on_lost,
	    .counter = on_counter,
	    .end = on_end,
	};
}

void support_dump_bytes(struct support_dump *d, const void *p, size_t n, size_t piece)
{
	struct decode_visitor v = support_dump_visitor(d);
	struct stream *s = stream_new(&v);
	const uint8_t *at = p;

	*d = (struct support_dump){0};
	if (!s)
		abort();
	piece = piece ? piece : n;
	while (n > 0 && d->rc == 0) {
		size_t now = n < piece ? n : piece;

		d->rc = stream_feed(s, at, now);
		at += now;
		n -= now;
	}
	if (d->rc == 0)
		d->rc = stream_finish(s);
	stream_free(s);
}

void support_dump_content(struct support_dump *d, const void *content, size_t n)
{
	struct support_recording r;

	support_recording_open(&r, 0x5A);
	buf_put(&r.content, content, n);
	support_recording_seal(&r, 0, 0, true);
	support_dump_bytes(d, r.out.data, r.out.len, 0);
	support_recording_close(&r);
}

void support_dump_done(struct support_dump *d)
{
	buf_done(&d->text);
	buf_done(&d->damage);
}

#include "format/encode.h"
#include "format/encode_record.h"

void encode_recording(struct buf *b, const struct rec_recording *r)
{
	size_t payload = encode_record_begin(b, WIRE_RECORDING);

	encode_varint(b, r->host);
	encode_varint(b, r->kernel);
	encode_varint(b, r->machine);
	encode_varint(b, r->boot_id);
	encode_varint(b, r->recorder);
	encode_record_ids(b, r->options, r->n_options);
	encode_varint(b, r->mean_gap_ns);
	encode_varint(b, r->schedule);
	encode_varint(b, r->engine);
	encode_varint(b, r->view_defaults);
	encode_varint(b, r->kernel_hz);
	encode_varint(b, r->stop_ppm);
	encode_varint(b, r->n_notes);
	for (uint32_t i = 0; i < r->n_notes; i++) {
		encode_varint(b, r->notes[i].key);
		encode_varint(b, r->notes[i].value);
	}
	encode_varint(b, r->started_ns);
	if (r->cpu_ppm)
		encode_varint(b, r->cpu_ppm);
	encode_record_end(b, payload);
}

static void stack_ids(struct buf *b, enum wire_record type, const stack_id *ids, uint32_t n)
{
	size_t payload;
	int64_t before = 0;

	if (n == 0)
		return;
	payload = encode_record_begin(b, type);
	encode_varint(b, n);
	for (uint32_t i = 0; i < n; i++) {
		encode_zigzag(b, (int64_t)ids[i] - before);
		before = ids[i];
	}
	encode_record_end(b, payload);
}

void encode_certify(struct buf *b, const stack_id *ids, uint32_t n)
{
	stack_ids(b, WIRE_CERTIFY, ids, n);
}

void encode_doubt(struct buf *b, const stack_id *ids, uint32_t n)
{
	stack_ids(b, WIRE_DOUBT, ids, n);
}

void encode_process(struct buf *b, const struct rec_process *p)
{
	size_t payload = encode_record_begin(b, WIRE_PROCESS);

	encode_varint(b, p->id);
	encode_varint(b, p->pid);
	encode_varint(b, p->ns_pid);
	encode_varint(b, p->parent_pid);
	encode_varint(b, p->host);
	encode_varint(b, p->start_ns);
	encode_varint(b, p->exec_number);
	encode_varint(b, p->seen_ns);
	encode_varint(b, p->flags);
	encode_varint(b, p->uid);
	encode_varint(b, p->version_hex);
	encode_varint(b, p->build);
	encode_varint(b, p->version);
	encode_varint(b, p->exe);
	encode_varint(b, p->cwd);
	encode_varint(b, p->prefix);
	encode_varint(b, p->base_prefix);
	encode_record_ids(b, p->cmdline, p->n_cmdline);
	encode_record_ids(b, p->sys_path, p->n_sys_path);
	encode_record_end(b, payload);
}

void encode_process_end(struct buf *b, const struct rec_process_end *p)
{
	size_t payload = encode_record_begin(b, WIRE_PROCESS_END);

	encode_varint(b, p->id);
	encode_varint(b, p->time_ns);
	encode_varint(b, p->how);
	encode_varint(b, p->status);
	encode_record_end(b, payload);
}

void encode_module(struct buf *b, const struct rec_module *m)
{
	size_t payload = encode_record_begin(b, WIRE_MODULE);

	encode_varint(b, m->id);
	encode_varint(b, m->process);
	encode_varint(b, m->path);
	encode_varint(b, m->n_build_id);
	buf_put(b, m->build_id, m->n_build_id);
	encode_varint(b, m->begin);
	encode_varint(b, m->end);
	encode_varint(b, m->file_offset);
	encode_record_end(b, payload);
}

void encode_thread(struct buf *b, const struct rec_thread *t)
{
	size_t payload = encode_record_begin(b, WIRE_THREAD);

	encode_varint(b, t->id);
	encode_varint(b, t->process);
	encode_varint(b, t->tid);
	encode_varint(b, t->ns_tid);
	encode_varint(b, t->start_ns);
	encode_varint(b, t->interpreter);
	encode_varint(b, t->pthread);
	encode_varint(b, t->name);
	encode_varint(b, t->flags);
	encode_varint(b, t->kind);
	encode_varint(b, t->owner);
	encode_record_end(b, payload);
}

void encode_thread_end(struct buf *b, thread_id id, uint64_t time_ns)
{
	size_t payload = encode_record_begin(b, WIRE_THREAD_END);

	encode_varint(b, id);
	encode_varint(b, time_ns);
	encode_record_end(b, payload);
}

void encode_interpreter(struct buf *b, const struct rec_interpreter *i)
{
	size_t payload = encode_record_begin(b, WIRE_INTERPRETER);

	encode_varint(b, i->process);
	encode_varint(b, i->number);
	encode_varint(b, i->flags);
	encode_record_end(b, payload);
}

void encode_host(struct buf *b, const struct rec_host *h)
{
	size_t payload = encode_record_begin(b, WIRE_HOST);

	encode_varint(b, h->id);
	encode_varint(b, h->name);
	encode_varint(b, h->boot_id);
	encode_varint(b, h->kernel);
	encode_varint(b, h->machine);
	encode_record_end(b, payload);
}

void encode_lost(struct buf *b, const struct rec_lost *l)
{
	size_t payload = encode_record_begin(b, WIRE_LOST);

	encode_varint(b, l->begin_ns);
	encode_varint(b, l->end_ns);
	encode_varint(b, l->cause);
	encode_varint(b, l->thread);
	encode_varint(b, l->count);
	encode_record_end(b, payload);
}

void encode_counters(struct buf *b, const struct rec_counter *c, uint32_t n)
{
	size_t payload = encode_record_begin(b, WIRE_COUNTERS);

	encode_varint(b, n);
	for (uint32_t i = 0; i < n; i++) {
		encode_varint(b, c[i].counter);
		encode_varint(b, c[i].value);
	}
	encode_record_end(b, payload);
}

void encode_end(struct buf *b, const struct rec_end *e)
{
	size_t payload = encode_record_begin(b, WIRE_END);

	encode_varint(b, e->time_ns);
	encode_varint(b, e->reason);
	encode_varint(b, e->how);
	encode_varint(b, e->status);
	encode_record_end(b, payload);
}

#include "tests/unit/support_same.h"

#include "libcommon/map.h"
#include "tests/unit/support_test.h"

uint64_t support_mix(uint64_t h, uint64_t v)
{
	return map_hash(h, v);
}

uint64_t support_mix_bytes(uint64_t h, const void *bytes, size_t n)
{
	const unsigned char *c = bytes;

	h = support_mix(h, n);
	for (size_t i = 0; i < n; i++)
		h = support_mix(h, c[i]);
	return h;
}

static uint64_t of_string(const struct profile *p, uint32_t id)
{
	size_t n;
	const char *s = profile_text(p, id, &n);

	return support_mix_bytes(1, s, n);
}

static uint64_t of_location(const struct profile *p, uint32_t id)
{
	struct profile_location l = profile_location_of(p, id);
	struct profile_function f = profile_function_of(p, l.function);
	size_t n = 0;
	const char *module = l.function ? "" : intern_bytes(&p->modules, l.module, &n);
	uint64_t h = support_mix_bytes(of_string(p, l.symbol), module, n);

	h = support_mix(support_mix(support_mix(h, (uint64_t)l.line), (uint64_t)l.end_line), (uint64_t)l.column);
	h = support_mix(support_mix(support_mix(h, (uint64_t)l.end_column), l.offset), l.function != 0);
	h = support_mix(support_mix(h, of_string(p, f.module)), of_string(p, f.qualname));
	return support_mix(support_mix(support_mix(h, of_string(p, f.file)), f.first_line), f.kind);
}

uint64_t support_stack_says(const struct profile *p, uint32_t id)
{
	uint64_t h = 7;

	for (; id; id = p->stacks.v[id].parent)
		h = support_mix(h, of_location(p, p->stacks.v[id].location));
	return h;
}

static uint64_t of_recording(const struct profile *p, const struct profile_recording *r)
{
	uint64_t h = of_string(p, r->input);
	const uint64_t numbers[] = {r->has_file_header,
	                            r->has_facts,
	                            r->has_end,
	                            r->is_closed,
	                            r->file.major,
	                            r->file.minor,
	                            r->file.flags,
	                            (uint64_t)r->file.realtime_ns,
	                            r->file.boottime_ns,
	                            r->mean_gap_ns,
	                            r->started_ns,
	                            r->schedule,
	                            r->engine,
	                            r->view_defaults,
	                            r->kernel_hz,
	                            r->stop_ppm,
	                            r->cpu_ppm,
	                            r->has_rates,
	                            r->end.time_ns,
	                            r->end.reason,
	                            r->end.how,
	                            r->end.status,
	                            r->begin_ns,
	                            r->end_ns,
	                            r->shown_begin_ns,
	                            r->shown_end_ns,
	                            (uint64_t)r->anchor_ns,
	                            r->n_blocks,
	                            r->n_epochs,
	                            r->n_ticks,
	                            r->n_events,
	                            r->n_samples,
	                            r->sampled_ns,
	                            r->not_sampled_ns,
	                            r->absent_ticks,
	                            r->failed_ticks,
	                            r->has_counter,
	                            r->options.n,
	                            r->notes.n};

	h = support_mix_bytes(h, numbers, sizeof numbers);
	h = support_mix_bytes(h, r->lost, sizeof r->lost);
	h = support_mix_bytes(h, r->counters, sizeof r->counters);
	h = support_mix_bytes(h, r->stop_lengths, sizeof r->stop_lengths);
	h = support_mix_bytes(h, r->file.uuid, sizeof r->file.uuid);
	h = support_mix(support_mix(support_mix(h, of_string(p, r->host)), of_string(p, r->kernel)),
	                of_string(p, r->machine));
	h = support_mix(support_mix(h, of_string(p, r->boot_id)), of_string(p, r->recorder));
	for (size_t i = 0; i < r->options.n; i++)
		h = support_mix(h, of_string(p, r->options.v[i]));
	for (size_t i = 0; i < r->notes.n; i++)
		h = support_mix(support_mix(h, of_string(p, r->notes.v[i].key)), of_string(p, r->notes.v[i].value));
	return h;
}

static uint64_t of_process(const struct profile *p, const struct profile_process *q)
{
	const uint64_t numbers[] = {q->pid,       q->ns_pid,      q->parent_pid, q->exec_number, q->flags,
	                            q->uid,       q->version_hex, q->build,      q->start_ns,    q->seen_ns,
	                            q->has_ended, q->end_ns,      q->how,        q->status};
	uint64_t h = support_mix_bytes(of_string(p, q->host), numbers, sizeof numbers);

	h = support_mix(support_mix(support_mix(h, of_string(p, q->version)), of_string(p, q->exe)),
	                of_string(p, q->cwd));
	h = support_mix(support_mix(h, of_string(p, q->prefix)), of_string(p, q->base_prefix));
	for (size_t i = 0; i < q->cmdline.n; i++)
		h = support_mix(h, of_string(p, q->cmdline.v[i]));
	for (size_t i = 0; i < q->sys_path.n; i++)
		h = support_mix(h, of_string(p, q->sys_path.v[i]));
	return h;
}

static uint64_t of_thread(const struct profile *p, const struct profile_thread *t)
{
	const uint64_t numbers[] = {t->process,  t->tid,     t->ns_tid,    t->interpreter, t->flags,           t->kind,
	                            t->start_ns, t->pthread, t->has_ended, t->end_ns,      t->cpu_unsampled_ns};

	return support_mix_bytes(of_string(p, t->name), numbers, sizeof numbers);
}

void support_same_profile(const struct profile *a, const struct profile *b)
{
	assert_int_equal(a->recordings.n, b->recordings.n);
	for (size_t i = 0; i < a->recordings.n; i++)
		assert_int_equal(of_recording(a, &a->recordings.v[i]), of_recording(b, &b->recordings.v[i]));
	assert_int_equal(a->processes.n, b->processes.n);
	for (size_t i = 0; i < a->processes.n; i++)
		assert_int_equal(of_process(a, &a->processes.v[i]), of_process(b, &b->processes.v[i]));
	assert_int_equal(a->threads.n, b->threads.n);
	for (size_t i = 0; i < a->threads.n; i++)
		assert_int_equal(of_thread(a, &a->threads.v[i]), of_thread(b, &b->threads.v[i]));
	assert_int_equal(a->outside_n, b->outside_n);
	assert_int_equal(a->outside_ns, b->outside_ns);
	assert_int_equal(a->outside_cpu_ns, b->outside_cpu_ns);
	assert_int_equal(a->wall_ns, b->wall_ns);
	assert_int_equal(a->n_damage, b->n_damage);
	assert_int_equal(a->damaged_bytes, b->damaged_bytes);
	assert_int_equal(a->missing_blocks, b->missing_blocks);
	assert_int_equal(a->missing_samples, b->missing_samples);
	assert_int_equal(a->input_bytes, b->input_bytes);
	assert_int_equal(a->damage.n, b->damage.n);
	for (size_t i = 0; i < a->damage.n; i++) {
		assert_int_equal(a->damage.v[i].problem, b->damage.v[i].problem);
		assert_int_equal(a->damage.v[i].offset, b->damage.v[i].offset);
		assert_string_equal(a->damage.v[i].what, b->damage.v[i].what);
	}
	assert_int_equal(a->tally.rows.n, b->tally.rows.n);
	for (size_t i = 0; i < a->tally.rows.n; i++) {
		const struct tally_row *x = &a->tally.rows.v[i], *y = &b->tally.rows.v[i];

		assert_int_equal(x->thread, y->thread);
		assert_int_equal(x->flags, y->flags);
		assert_int_equal(x->n, y->n);
		assert_int_equal(x->wall_ns, y->wall_ns);
		assert_int_equal(x->cpu_ns, y->cpu_ns);
		assert_int_equal(support_stack_says(a, x->stack), support_stack_says(b, y->stack));
	}
}

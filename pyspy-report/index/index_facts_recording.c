/* Inputs, recordings with their chunks, the tally. */
#include "pyspy-report/index/index_facts_parts.h"

#include <stdlib.h>
#include <string.h>

void facts_input_done(struct facts_input *i)
{
	for (size_t n = 0; n < i->damage.n; n++)
		free((char *)i->damage.v[n].what);
	vec_free(&i->damage);
	free(i->name);
	*i = (struct facts_input){0};
}

static void facts_damage(struct facts *f, struct profile_damage *d)
{
	uint32_t problem = (uint32_t)d->problem;
	char *what = (char *)d->what;

	facts_u32(f, F_BODY, &problem);
	facts_u64(f, F_BODY, &d->offset);
	facts_u64(f, F_BODY, &d->bytes);
	facts_u64(f, F_BODY, &d->blocks);
	facts_u64(f, F_BODY, &d->samples);
	facts_text(f, &what);
	d->problem = problem <= INT8_MAX ? (int)problem : 0;
	d->what = what;
}

static void facts_of_input(struct facts *f, struct facts_input *i)
{
	facts_text(f, &i->name);
	facts_u64(f, F_BODY, &i->size);
	facts_i64(f, F_BODY, &i->mtime_ns);
	facts_u32(f, F_BODY, &i->ends_crc);
	facts_u32(f, F_BODY, &i->whole_crc);
	facts_u64(f, F_BODY, &i->bytes);
	facts_u32(f, F_BODY, &i->first_recording);
	facts_u32(f, F_BODY, &i->n_recordings);
	facts_u64(f, F_BODY, &i->n_damage);
	facts_u64(f, F_BODY, &i->damaged_bytes);
	facts_u64(f, F_BODY, &i->missing_blocks);
	facts_u64(f, F_BODY, &i->missing_samples);
	uint32_t n = facts_count(f, i->damage.n);
	for (uint32_t k = 0; k < n && !f->rc && !f->in[F_BODY].is_bad; k++) {
		if (!f->writes && !vec_push(&i->damage, (struct profile_damage){0})) {
			f->rc = ERR_NO_MEMORY;
			return;
		}
		facts_damage(f, &i->damage.v[k]);
	}
	f->is_bad |= n > PROFILE_MAX_DAMAGE;
}

int facts_write_input(struct facts_input *i, struct pack *k, struct buf *out)
{
	struct facts f;

	facts_begin(&f, k, true);
	facts_of_input(&f, i);
	return f.rc ? f.rc : pack_seal(k, F_COLUMNS, out);
}

int facts_read_input(struct facts_input *i, struct pack *k, const void *b, size_t n)
{
	struct facts f;

	TRY(pack_open(k, F_COLUMNS, b, n));
	facts_begin(&f, k, false);
	facts_of_input(&f, i);
	return facts_end(&f);
}

void facts_recording_done(struct facts_recording *r)
{
	vec_free(&r->chunks);
	vec_free(&r->sums);
	vec_free(&r->facts.options);
	vec_free(&r->facts.notes);
	*r = (struct facts_recording){0};
}

static void facts_file(struct facts *f, struct rec_file *r)
{
	uint32_t major = r->major, minor = r->minor;

	facts_u32(f, F_BODY, &major);
	facts_u32(f, F_BODY, &minor);
	r->major = (uint16_t)major;
	r->minor = (uint16_t)minor;
	facts_u32(f, F_BODY, &r->flags);
	facts_bytes(f, r->uuid, sizeof r->uuid);
	facts_i64(f, F_BODY, &r->realtime_ns);
	facts_u64(f, F_BODY, &r->boottime_ns);
}

static void facts_totals(struct facts *f, struct profile_recording *r)
{
	facts_u64(f, F_BODY, &r->begin_ns);
	facts_u64(f, F_BODY, &r->end_ns);
	facts_u64(f, F_BODY, &r->shown_begin_ns);
	facts_u64(f, F_BODY, &r->shown_end_ns);
	facts_i64(f, F_BODY, &r->anchor_ns);
	facts_u64(f, F_BODY, &r->n_blocks);
	facts_u64(f, F_BODY, &r->n_epochs);
	facts_u64(f, F_BODY, &r->n_ticks);
	facts_u64(f, F_BODY, &r->n_events);
	facts_u64(f, F_BODY, &r->n_samples);
	facts_u64(f, F_BODY, &r->sampled_ns);
	facts_u64(f, F_BODY, &r->not_sampled_ns);
	facts_u64(f, F_BODY, &r->absent_ticks);
	facts_u64(f, F_BODY, &r->failed_ticks);
	for (unsigned i = 0; i < WIRE_LOST_END_; i++)
		facts_u64(f, F_BODY, &r->lost[i]);
	for (unsigned i = 0; i < WIRE_COUNTER_END_; i++)
		facts_u64(f, F_BODY, &r->counters[i]);
	facts_u32(f, F_BODY, &r->has_counter);
	for (unsigned i = 0; i < WIRE_STOP_LENGTHS; i++)
		facts_u64(f, F_BODY, &r->stop_lengths[i]);
}

static void facts_profile_recording(struct facts *f, struct profile_recording *r)
{
	facts_bool(f, &r->has_file_header);
	facts_bool(f, &r->has_facts);
	facts_bool(f, &r->has_end);
	facts_bool(f, &r->is_closed);
	facts_file(f, &r->file);
	facts_u32(f, F_BODY, &r->host);
	facts_u32(f, F_BODY, &r->kernel);
	facts_u32(f, F_BODY, &r->machine);
	facts_u32(f, F_BODY, &r->boot_id);
	facts_u32(f, F_BODY, &r->recorder);
	facts_ids(f, &r->options);
	bool writes = f->writes;
	uint32_t n = facts_count(f, r->notes.n);
	for (uint32_t i = 0; i < n && !f->rc; i++) {
		if (!writes && !vec_push(&r->notes, (struct profile_note){0})) {
			f->rc = ERR_NO_MEMORY;
			return;
		}
		facts_u32(f, F_BODY, &r->notes.v[i].key);
		facts_u32(f, F_BODY, &r->notes.v[i].value);
	}
	facts_u64(f, F_BODY, &r->mean_gap_ns);
	facts_u64(f, F_BODY, &r->started_ns);
	facts_u32(f, F_BODY, &r->schedule);
	facts_u32(f, F_BODY, &r->engine);
	facts_u32(f, F_BODY, &r->view_defaults);
	facts_u32(f, F_BODY, &r->kernel_hz);
	facts_u32(f, F_BODY, &r->stop_ppm);
	facts_u32(f, F_BODY, &r->cpu_ppm);
	facts_bool(f, &r->has_rates);
	facts_u64(f, F_BODY, &r->end.time_ns);
	facts_u32(f, F_BODY, &r->end.reason);
	facts_u32(f, F_BODY, &r->end.how);
	facts_u32(f, F_BODY, &r->end.status);
	facts_totals(f, r);
}

static void facts_of_chunk(struct facts *f, struct facts_chunk *c)
{
	facts_u64(f, 2, &c->id);
	facts_u32(f, 2, &c->epoch);
	facts_u64(f, 3, &c->begin_ns);
	facts_u64(f, 3, &c->end_ns);
	facts_i64(f, 4, &c->least_anchor_ns);
	facts_i64(f, 4, &c->most_anchor_ns);
	facts_u64(f, 3, &c->first_ns);
	facts_u64(f, 3, &c->last_ns);
	facts_u64(f, 2, &c->n_events);
	facts_u64(f, 5, &c->mean_gap_ns);
	facts_u64(f, 5, &c->started_ns);
	facts_u64(f, 6, &c->n);
	facts_u64(f, 6, &c->wall_ns);
	facts_u64(f, 6, &c->cpu_ns);
	facts_u32(f, 7, &c->flags);
	facts_u32(f, 7, &c->n_threads);
	f->is_bad |= c->n_threads > FACTS_MANY;
	for (uint32_t i = 0; i < c->n_threads && c->n_threads < FACTS_MANY; i++)
		facts_u32(f, 7, &c->threads[i]);
}

static void facts_of_recording(struct facts *f, struct facts_recording *r)
{
	uint32_t n = (uint32_t)r->chunks.n, n_sums = (uint32_t)r->sums.n;

	facts_u32(f, F_HEAD, &r->input);
	facts_u32(f, F_HEAD, &n);
	facts_u64(f, F_HEAD, &r->n_rows);
	facts_bool(f, &r->has_tally);
	facts_profile_recording(f, &r->facts);
	for (uint32_t i = 0; i < n && !f->rc && !f->in[2].is_bad; i++) {
		if (!f->writes && !vec_push(&r->chunks, (struct facts_chunk){0})) {
			f->rc = ERR_NO_MEMORY;
			return;
		}
		facts_of_chunk(f, &r->chunks.v[i]);
	}
	facts_u32(f, F_HEAD, &n_sums);
	for (uint32_t i = 0; i < n_sums && !f->rc && !f->in[F_HEAD].is_bad; i++) {
		if (!f->writes && !vec_push(&r->sums, (struct facts_sum){0})) {
			f->rc = ERR_NO_MEMORY;
			return;
		}
		facts_u64(f, F_HEAD, &r->sums.v[i].id);
		facts_u32(f, F_HEAD, &r->sums.v[i].first);
		facts_u32(f, F_HEAD, &r->sums.v[i].n);
	}
}

int facts_write_recording(struct facts_recording *r, struct pack *k, struct buf *out)
{
	struct facts f;

	facts_begin(&f, k, true);
	facts_of_recording(&f, r);
	return f.rc ? f.rc : pack_seal(k, F_COLUMNS, out);
}

int facts_read_recording(struct facts_recording *r, struct pack *k, const void *b, size_t n)
{
	struct facts f;

	TRY(pack_open(k, F_COLUMNS, b, n));
	facts_begin(&f, k, false);
	facts_of_recording(&f, r);
	/* sums of them must not overflow either */
	for (size_t i = 0; i < r->chunks.n; i++)
		f.is_bad |= r->chunks.v[i].n >= FACTS_MAX_N;
	return facts_end(&f);
}

int facts_map_recording(const struct facts_map *m, struct profile_recording *r)
{
	struct facts f = {0};

	facts_translate(&f, &m->strings, &r->host);
	facts_translate(&f, &m->strings, &r->kernel);
	facts_translate(&f, &m->strings, &r->machine);
	facts_translate(&f, &m->strings, &r->boot_id);
	facts_translate(&f, &m->strings, &r->recorder);
	for (size_t i = 0; i < r->options.n; i++)
		facts_translate(&f, &m->strings, &r->options.v[i]);
	for (size_t i = 0; i < r->notes.n; i++) {
		facts_translate(&f, &m->strings, &r->notes.v[i].key);
		facts_translate(&f, &m->strings, &r->notes.v[i].value);
	}
	return f.is_bad ? ERR_DAMAGED : 0;
}

static void facts_row(struct facts *f, struct tally_row *r)
{
	facts_u32(f, 1, &r->thread);
	facts_u32(f, 2, &r->stack);
	facts_u32(f, 3, &r->flags);
	facts_u64(f, 4, &r->n);
	facts_u64(f, 5, &r->wall_ns);
	facts_u64(f, 6, &r->cpu_ns);
}

int facts_write_rows(const struct tally_row *rows, size_t n_rows, uint64_t at, struct pack *k, struct buf *out)
{
	struct facts f;

	facts_begin(&f, k, true);
	encode_varint(f.out[F_HEAD], at);
	encode_varint(f.out[F_HEAD], n_rows);
	for (size_t i = 0; i < n_rows; i++) {
		struct tally_row r = rows[i];

		facts_row(&f, &r);
	}
	return pack_seal(k, F_COLUMNS, out);
}

/* The next row, whose thread and time are the profile's. */
static int facts_next_row(struct facts *f, struct profile *p, const struct facts_map *m, struct tally_row *r)
{
	*r = (struct tally_row){0};
	facts_row(f, r);
	facts_translate(f, &m->threads, &r->thread);
	f->is_bad |= r->n >= FACTS_MAX_N;
	r->wall_ns = profile_take_time(p, r->wall_ns);
	return f->is_bad ? ERR_DAMAGED : 0;
}

int facts_read_tally(struct profile *p, const struct facts_map *m, struct pack *k, const void *b, size_t n)
{
	struct facts f;
	struct tally_row r;

	TRY(pack_open(k, F_COLUMNS, b, n));
	facts_begin(&f, k, false);
	unpack_u64(&f.in[F_HEAD]);
	for (uint32_t count = unpack_max(&f.in[F_HEAD], FACTS_ROWS); count > 0; count--) {
		TRY(facts_next_row(&f, p, m, &r));
		facts_translate(&f, &m->stacks, &r.stack);
		if (f.is_bad)
			return ERR_DAMAGED;
		TRY(tally_add(&p->tally, &r));
	}
	TRY(tally_flush(&p->tally));
	return facts_end(&f);
}

int facts_read_sum(struct epoch *e, uint64_t id, const struct facts_map *m, struct pack *k, const void *b, size_t n)
{
	struct facts f;
	struct tally_row r;

	TRY(pack_open(k, F_COLUMNS, b, n));
	facts_begin(&f, k, false);
	if (unpack_u64(&f.in[F_HEAD]) != id)
		return ERR_DAMAGED;
	for (uint32_t count = unpack_max(&f.in[F_HEAD], FACTS_ROWS); count > 0; count--) {
		TRY(facts_next_row(&f, e->profile, m, &r));
		uint32_t stack = r.stack >> EPOCH_CODE_BITS, became = r.stack & ((1 << EPOCH_CODE_BITS) - 1);
		facts_translate(&f, &m->stacks, &stack);
		if (f.is_bad)
			return ERR_DAMAGED;
		r.stack = stack << EPOCH_CODE_BITS | became;
		TRY(epoch_count(e, &r));
	}
	return facts_end(&f);
}

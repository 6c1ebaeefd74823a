/* Mutated recordings, in the same order each time, for PYSPY_FUZZ_SECONDS of CPU time (1): whatever comes in, the
 * decoder keeps its promises to the visitor. Half of the mutations are of the file, half of a block's content, sealed
 * anew. */
#include "format/decode.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "tests/unit/support_golden.h"
#include "tests/unit/support_mutate.h"
#include "tests/unit/support_test.h"

/* What the callbacks have seen. */
struct watch {
	bool in_block, has_ticks, is_over;
	uint64_t n_calls;
	unsigned char sum;
};

static void touch(struct watch *w, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		w->sum ^= ((const unsigned char *)p)[i];
	w->n_calls++;
}

static int on_epoch(void *ctx, uint32_t epoch, bool complete)
{
	struct watch *w = ctx;

	assert_false(w->in_block);
	return 0;
}

static int on_block(void *ctx, const struct rec_block *b)
{
	struct watch *w = ctx;

	assert_false(w->in_block);
	assert_true(b->begin_ns <= b->end_ns);
	w->in_block = true;
	w->has_ticks = false;
	return 0;
}

static int on_block_end(void *ctx, const struct rec_block *b)
{
	struct watch *w = ctx;

	assert_true(w->in_block);
	w->in_block = false;
	return 0;
}

static int on_end_of_stream(void *ctx)
{
	struct watch *w = ctx;

	assert_false(w->in_block || w->is_over);
	w->is_over = true;
	return 0;
}

static int on_string(void *ctx, str_id id, const char *s, size_t n)
{
	assert_true(id >= 1 && id <= WIRE_IDS_MAX && n <= WIRE_STRING_MAX);
	touch(ctx, s, n);
	return 0;
}

static int on_function(void *ctx, function_id id, const struct rec_function *f)
{
	assert_true(id >= 1 && id <= WIRE_IDS_MAX && f->module <= WIRE_IDS_MAX && f->first_line <= INT32_MAX);
	return 0;
}

static int on_location(void *ctx, location_id id, const struct rec_location *l)
{
	assert_true(id >= 1 && id <= WIRE_IDS_MAX && l->function <= WIRE_IDS_MAX && l->module <= WIRE_IDS_MAX);
	assert_true(!l->has_columns || (l->has_line && l->end_line >= l->line && l->column >= 0 && l->end_column >= 0));
	return 0;
}

static int on_stack(void *ctx, stack_id id, const struct rec_stack *s)
{
	assert_true(id >= 1 && id <= WIRE_IDS_MAX && s->parent < id && s->location <= WIRE_IDS_MAX);
	return 0;
}

static int on_stack_id(void *ctx, stack_id id)
{
	assert_true(id >= 1 && id <= WIRE_IDS_MAX);
	return 0;
}

static int on_recording(void *ctx, const struct rec_recording *r)
{
	assert_true(((struct watch *)ctx)->in_block);
	touch(ctx, r->options, r->n_options * sizeof *r->options);
	touch(ctx, r->notes, r->n_notes * sizeof *r->notes);
	return 0;
}

static int on_process(void *ctx, const struct rec_process *p)
{
	assert_true(p->id >= 1 && p->id <= WIRE_IDS_MAX);
	touch(ctx, p->cmdline, p->n_cmdline * sizeof *p->cmdline);
	touch(ctx, p->sys_path, p->n_sys_path * sizeof *p->sys_path);
	return 0;
}

static int on_module(void *ctx, const struct rec_module *m)
{
	touch(ctx, m->build_id, m->n_build_id);
	return 0;
}

static int on_ticks(void *ctx, const struct rec_ticks *t)
{
	struct watch *w = ctx;

	assert_false(w->has_ticks);
	w->has_ticks = true;
	assert_true(t->unit_ns > 0 && t->cpu_unit_ns > 0);
	for (uint32_t i = 1; i < t->n_ticks; i++)
		assert_true(t->times_ns[i - 1] <= t->times_ns[i]);
	for (uint32_t i = 0; i < t->n_entries; i++) {
		const struct rec_entry *e = &t->entries[i];

		assert_true(e->has_stack && e->tick < t->n_ticks && e->stack <= WIRE_IDS_MAX);
		assert_true(e->thread >= 1 && e->thread <= WIRE_IDS_MAX);
		assert_true(i == 0 || e[-1].tick <= e->tick);
	}
	touch(ctx, t->closings, t->n_closings * sizeof *t->closings);
	return 0;
}

static int on_events(void *ctx, const struct rec_events *r)
{
	for (uint32_t i = 0; i < r->n_events; i++)
		assert_true(r->events[i].thread >= 1 && r->events[i].stack <= WIRE_IDS_MAX);
	return 0;
}

static int on_damage(void *ctx, const struct decode_damage *d)
{
	assert_non_null(d->what);
	return 0;
}

static void decode(const uint8_t *p, size_t n)
{
	struct watch w = {0};
	struct decode_visitor v = {
	    .ctx = &w,
	    .epoch = on_epoch,
	    .block = on_block,
	    .block_end = on_block_end,
	    .end_of_stream = on_end_of_stream,
	    .damage = on_damage,
	    .string = on_string,
	    .function = on_function,
	    .location = on_location,
	    .stack = on_stack,
	    .certify = on_stack_id,
	    .doubt = on_stack_id,
	    .recording = on_recording,
	    .process = on_process,
	    .module = on_module,
	    .ticks = on_ticks,
	    .events = on_events,
	};
	struct stream *s = stream_new(&v);
	/* an allocation of its own for each piece: reads beyond it are seen by the sanitizer */
	int rc = 0;

	while (n > 0 && rc == 0) {
		size_t piece = 1 + support_noise((uint32_t)n);
		uint8_t *copy = malloc(piece);

		memcpy(copy, p, piece);
		rc = stream_feed(s, copy, piece);
		free(copy);
		p += piece;
		n -= piece;
	}
	if (rc == 0)
		rc = stream_finish(s);
	assert_true(rc == 0 || rc == ERR_FORMAT || rc == ERR_VERSION);
	assert_true(rc != 0 || w.is_over);
	stream_free(s);
}

static void test_mutations(void **state)
{
	const char *seconds = getenv("PYSPY_FUZZ_SECONDS");
	uint64_t end = clock_process_cpu_ns() + (seconds ? strtoull(seconds, NULL, 10) : 1) * CLOCK_NS_PER_S;
	struct block_sealer *sealer = block_sealer_new(1);
	unsigned n_golden = 0;
	struct buf files[32], b, changed;

	for (; SUPPORT_GOLDEN[n_golden].name; n_golden++) {
		buf_init(&files[n_golden], 0);
		SUPPORT_GOLDEN[n_golden].build(&files[n_golden]);
	}
	buf_init(&b, 0);
	buf_init(&changed, 0);
	while (clock_process_cpu_ns() < end) {
		const struct buf *file = &files[support_noise(n_golden)];

		if (support_noise(2) && support_mutate_content(file, sealer, &changed)) {
			decode(changed.data, changed.len);
			continue;
		}
		buf_reset(&b);
		buf_put(&b, file->data, file->len);
		support_mutate(&b);
		decode(b.data, b.len);
	}
	for (unsigned i = 0; i < n_golden; i++)
		buf_done(&files[i]);
	buf_done(&b);
	buf_done(&changed);
	block_sealer_free(sealer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutations)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

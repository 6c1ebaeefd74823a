#include "tests/unit/support_any.h"

#include "tests/unit/support_mutate.h"
#include "tests/unit/support_recording.h"

enum { THREADS = 4, STACKS = 12, TICKS = 12, EVENTS = 20 };

static void any_definitions(struct support_recording *r, bool is_kernel)
{
	function_id f[3];
	stack_id stack = 0;

	r->mean_gap_ns = 50 * SUPPORT_MS;
	support_recording_head(r, is_kernel);
	support_recording_process(r, 1, 100, "any.py");
	for (uint32_t t = 2; t <= THREADS; t++)
		if (support_noise(8)) /* one that nobody defined is unknown */
			encode_thread(&r->content,
			              &(struct rec_thread){.id = t, .process = 1, .tid = 100 + t, .start_ns = t});
	for (unsigned i = 0; i < 3; i++)
		f[i] = support_recording_function(r, "m", i ? i == 1 ? "f" : "g" : "h", "any.py", 10 * i + 1);
	for (unsigned i = 0; i < STACKS; i++)
		stack = support_recording_stack(r, support_noise(3) ? stack : 0,
		                                support_recording_line(r, f[support_noise(3)], (int32_t)(i + 2)),
		                                support_noise(3) == 0);
}

static uint32_t any_flags(void)
{
	uint32_t flags = support_noise(7) | support_noise(4) << WIRE_FLAG_WAY_SHIFT;

	flags |= support_noise(3) ? 0 : WIRE_FLAG_GIL;
	if (support_noise(6) == 0)
		flags |= WIRE_FLAG_ABSENT | (support_noise(2) ? WIRE_FLAG_FAILED : 0);
	return flags;
}

static void any_ticks(struct support_recording *r)
{
	uint32_t n_ticks = 1 + support_noise(TICKS), n_entries = 0, n_closings = 0, n_gaps = 0;
	struct rec_entry entries[TICKS * THREADS];
	struct rec_closing closings[THREADS];
	struct rec_gap gaps[TICKS];
	bool has[THREADS + 1] = {false};
	uint64_t times[TICKS];

	for (uint32_t i = 0; i < n_ticks; i++)
		times[i] = r->block.begin_ns + i * (SUPPORT_S / TICKS) + support_noise(60) * SUPPORT_MS;
	for (uint32_t i = 0; i < n_ticks; i++) {
		for (uint32_t t = 1; t <= THREADS; t++) {
			if (support_noise(3) == 0)
				continue;
			entries[n_entries++] =
			    (struct rec_entry){.tick = i,
			                       .thread = t,
			                       .stack = support_noise(STACKS + 2),
			                       .has_stack = !has[t] || support_noise(2),
			                       .flags = any_flags(),
			                       .cpu_ns = support_noise(2) * support_noise(90) * SUPPORT_MS};
			has[t] = true;
		}
		if (support_noise(5) == 0)
			gaps[n_gaps++] = (struct rec_gap){i, (1 + support_noise(90)) * SUPPORT_MS};
	}
	for (uint32_t t = 1; t <= THREADS; t++)
		if (support_noise(3) == 0)
			closings[n_closings++] = (struct rec_closing){t, support_noise(90) * SUPPORT_MS};
	encode_ticks(&r->content, &(struct rec_ticks){.unit_ns = 1000,
	                                              .cpu_unit_ns = SUPPORT_MS,
	                                              .times_ns = times,
	                                              .n_ticks = n_ticks,
	                                              .entries = entries,
	                                              .n_entries = n_entries,
	                                              .closings = closings,
	                                              .n_closings = n_closings,
	                                              .gaps = gaps,
	                                              .n_gaps = support_noise(3) ? 0 : n_gaps});
}

/* Some of them older than their block. */
static void any_events(struct support_recording *r)
{
	struct rec_event events[EVENTS];
	uint32_t n = support_noise(EVENTS);

	for (uint32_t i = 0; i < n; i++)
		events[i] = (struct rec_event){.time_ns = r->block.begin_ns - 200 * SUPPORT_MS +
		                                          support_noise(1200) * SUPPORT_MS,
		                               .thread = 1 + support_noise(THREADS),
		                               .stack = support_noise(STACKS + 2),
		                               .flags = any_flags(),
		                               .weight_ns = support_noise(99) * SUPPORT_MS};
	encode_events(&r->content, &(struct rec_events){1000, 1000, events, n});
}

void support_any_recording(struct buf *out)
{
	bool has_events = support_noise(2), has_ticks = !has_events || support_noise(2);
	uint32_t n_blocks = 1 + support_noise(9);
	struct support_recording r;

	support_recording_open(&r, 3);
	support_recording_version(&r, 2);
	any_definitions(&r, has_events);
	for (uint32_t i = 0; i < n_blocks; i++) {
		if (i && support_noise(5) == 0) {
			support_recording_epoch(&r);
			any_definitions(&r, has_events);
		}
		for (uint32_t k = support_noise(3); k > 0; k--) {
			stack_id id = 1 + support_noise(STACKS);

			if (support_noise(2))
				encode_certify(&r.content, &id, 1);
			else
				encode_doubt(&r.content, &id, 1);
		}
		if (support_noise(6) == 0) /* another thread of the same number */
			encode_thread(&r.content, &(struct rec_thread){.id = 1 + support_noise(THREADS),
			                                               .process = 1,
			                                               .tid = 500 + support_noise(3)});
		if (has_ticks && support_noise(8))
			any_ticks(&r);
		if (has_events && support_noise(8))
			any_events(&r);
		support_recording_seal(&r, 0, 0, i + 1 == n_blocks);
	}
	buf_put(out, r.out.data, r.out.len);
	support_recording_close(&r);
}

#include "tests/unit/support_golden.h"

#include <string.h>

enum { TICKS = 10 };
#define ACTIVE (WIRE_STATE_ACTIVE | WIRE_FLAG_GIL)

static struct rec_entry at(uint32_t tick, stack_id stack)
{
	return (struct rec_entry){.tick = tick, .thread = 1, .stack = stack, .has_stack = true, .flags = ACTIVE};
}

static void put_ticks(struct support_recording *r, const struct rec_entry *entries, uint32_t n)
{
	uint64_t samples = support_recording_ticks(r, TICKS, entries, n, NULL, 0);

	support_golden_put_end(r, WIRE_END_DURATION, 0, 0);
	support_recording_seal(r, samples, TICKS, true);
}

/* Two recordings in one file, and one dictionary (FORMAT.md 2.1). */
void support_golden_shared(struct buf *out)
{
	struct support_recording r;
	struct support_golden_app a;
	stack_id early, late;

	support_golden_open(&r, 0x15, 0);
	support_recording_process(&r, 1, 4711, "app.py");
	a = support_golden_app(&r);
	function_id hot = support_recording_function(&r, "__main__", "hot", "/srv/app/app.py", 50);
	early = support_recording_stack(&r, a.work, support_recording_line(&r, hot, 51), false);
	late = support_recording_stack(&r, a.work, support_recording_line(&r, hot, 52), false);
	/* certified here, and so in what goes on from here */
	encode_certify(&r.content, (stack_id[]){early}, 1);
	put_ticks(&r, (struct rec_entry[]){at(0, a.work), at(4, early), at(7, late)}, 3);

	/* the second one: another id, its own clock's begin, processes and threads anew, a function more */
	memset(r.file.uuid, 0x16, sizeof r.file.uuid);
	r.file.minor = 3;
	encode_file_header(&r.out, &r.file);
	memset(r.block.uuid8, 0x16, sizeof r.block.uuid8);
	r.block.flags = WIRE_BLOCK_EPOCH | WIRE_BLOCK_GOES_ON;
	r.block.sequence = 0;
	r.block.samples_before = 0;
	r.block.begin_ns = SUPPORT_BOOT_NS;
	r.block.end_ns = SUPPORT_BOOT_NS + SUPPORT_S;
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 5100, "other.py");
	stack_id more = support_golden_frame(&r, a.main, "app.util", "more", "/srv/app/util.py", 3, 5);
	/* certified only now: what the first recording saw of it stays in motion */
	encode_certify(&r.content, (stack_id[]){late}, 1);
	put_ticks(&r, (struct rec_entry[]){at(0, more), at(2, early), at(5, late), at(9, a.loads)}, 4);
	support_golden_end(&r, out);
}

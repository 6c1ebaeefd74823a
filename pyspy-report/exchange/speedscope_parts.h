/* speedscope_parts: what the reader of speedscope's JSON keeps of a file. Private to import_speedscope*.c. */
#pragma once
#include "libcommon/spool.h"
#include "pyspy-report/exchange/importer.h"
#include "pyspy-report/exchange/json_pull.h"

enum { SPEEDSCOPE_DEPTH_MAX = WIRE_DEPTH_MAX - 8, SPEEDSCOPE_PIECE = 4096 };

struct speed_frame {
	location_id location;
	bool is_label; /* it names a thread or process */
	uint32_t name; /* text of a label */
};
struct speed_event {
	double at;
	uint32_t frame, closes;
};
/* A sample of the profile: its stack, and whom its outermost frames name. */
struct speed_sample {
	stack_id stack;
	uint32_t process_label, thread_label; /* frame + 1; 0: none */
	uint32_t flags;
};

struct speed {
	struct foreign *f;
	struct intake *s;
	const struct import_options *o;
	struct json_pull j;
	struct intern labels;
	location_id lost; /* of a frame that is not there */
	VEC(struct speed_frame) frames;
	VEC(uint32_t) path, path_before; /* frames of a sample */
	VEC(stack_id) stacks;            /* of path_before, by depth */
	struct spool samples, weights, events;
	/* of the profile */
	struct buf name;
	double unit_ns; /* 0: the unit is "none": counts */
	double begins;  /* of its events */
	bool is_bytes;
	uint32_t n_profiles, thread;
	uint64_t n_bad_frames, n_unpaired, n_odd, n_samples;
	bool has_gap, is_broken; /* is_broken: the rest is not read */
};

/* The sample whose frames are in x->path, the outermost first. What it shares with the one before is known already. */
int speedscope_make_sample(struct speed *x, struct speed_sample *to);
/* The profile that was read: its samples, weights and events are in the spools. */
int speedscope_put_profile(struct speed *x);

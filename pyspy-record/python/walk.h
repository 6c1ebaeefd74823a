/* walk: from a thread state to its frames, out of one bulk read, or out of a copy that the kernel made.
 *
 * Flow:    memory/reader -> [walk] -> codes, trie; or kernel/engine -> [walk] -> codes, trie.
 * How:     from outside, all that a thread's stack is made of (thread state, data-stack chunks, and the frames and
 * cframes that were met outside of them lately) is planned into a batch, read in one call, and walked in the images.
 * What they lack is read in addition, a "repair", and remembered for the next pass. What lies near to each other
 * outside of the chunks is read as one piece, a "span": a piece costs as much as some KB.
 * Memory:  the images of a thread grow with its stack; nothing is allocated once they have grown. A copy stays the
 * caller's.
 * Trust:   what was read may be torn, and a copy is the target's word: pointers lead anywhere, chains may be circular.
 * Every loop is bounded.
 */
#pragma once
#include "libcommon/vec.h"
#include "pyspy-record/memory/reader.h"
#include "pyspy-record/python/layout.h"

enum {
	WALK_FRAMES_MAX = 65536,         /* deeper stacks are cut: outermost frames are missing */
	WALK_CHUNK_MAX = 64 << 20,       /* bytes of one data-stack chunk, and of all below the top one */
	WALK_CHUNKS_MAX = 1024,          /* chunks below the top one */
	WALK_EXTRAS_MAX = 16384,         /* frames outside the chunks that are remembered: up to 3.10 all are */
	WALK_EXTRA_KEPT = 32,            /* passes that they are remembered without being met */
	WALK_SPANS_MAX = 512,            /* pieces that they are read in; what is left over is repaired */
	WALK_SPAN_GAP = 2048,            /* bytes between two of a span at most; less than a page, so none is skipped */
	WALK_REPAIRS_MAX = 2048,         /* of one walk; then it is cut */
	WALK_REPAIRS_FULL = 128,         /* the same where no more can be remembered: they would come again each time */
	WALK_PIECE = 104,                /* bytes kept of a thing outside: a frame's fixed part or a cframe */
	WALK_TSTATE = LAYOUT_TSTATE_MAX, /* bytes read of a thread state */
	WALK_PLAN_MAX = 880, /* pieces of a batch that threads may take; the rest is for words read behind them */
	WALK_OUTERMOST = 4,
	WALK_ROOT_LOOKS = 3,
	WALK_COPY_CHUNKS = 160,
	WALK_COPY_EXTRAS = 3072,
};

/* One Python frame, innermost first. */
#define WALK_NOT_STARTED UINT64_MAX
struct walk_frame {
	raddr_t code;    /* code object */
	raddr_t instr;   /* address of the instruction, as it stands in the frame; up to 3.10: its offset in bytes, or
	                    WALK_NOT_STARTED */
	raddr_t globals; /* dict of the frame's globals */
	uint8_t owner;   /* 0 thread, 1 generator, 2 frame object */
	/* Free-threaded, 3.14 and later: which thread's copy of the code `instr` is in. 0: the object's own. */
	uint32_t tlbc_index;
	raddr_t at;       /* of the frame itself */
	raddr_t previous; /* as it stands in the frame */
};

/* Where C called the evaluator (3.12 and later): the entry frame, which lies on the C stack, and how many of the walk's
 * frames are further in. Up to 3.10 there is one: the outermost frame object. */
struct walk_entry {
	raddr_t at;
	size_t n_frames;
};

/* len bytes of the target from `at` on, as they are in `bytes`. */
struct walk_piece {
	raddr_t at;
	uint32_t len;
	const unsigned char *bytes;
};

/* What is copied of a frame object (up to 3.10). */
struct walk_object {
	raddr_t at, code, globals;
	uint32_t lasti, unused;
};

/* What is copied of a frame of 3.11 and later: struct kernel_frame. */
struct walk_listed {
	raddr_t at, code, globals, instr;
};

/* A stack copied at one instant by somebody else (the kernel's program). All memory stays the caller's. */
struct walk_copy {
	const unsigned char *tstate; /* from its first byte on */
	size_t tstate_len;
	/* Data-stack chunks, innermost first, none left out, each from its header on as far as it was in use or was
	 * copied. A length below that of a header: it could not be read. */
	struct walk_piece chunks[WALK_COPY_CHUNKS];
	size_t n_chunks;
	/* What lies outside of the chunks, in the order of the walk: cframes (the thread state's, the one before it),
	 * then frames (walk_frame_bytes of each, or more). */
	struct walk_piece extras[WALK_COPY_EXTRAS];
	size_t n_extras;
	/* Up to 3.10, in place of the others: the frames, innermost first, as one calls the other. */
	const struct walk_object *objects;
	size_t n_objects;
	/* 3.11 and later, likewise: all frames, outermost first. */
	const struct walk_listed *listed;
	size_t n_listed;
	bool is_list;
	raddr_t next; /* where the chain goes on behind the outermost; 0 = it ended there */
	bool is_cut;  /* there are more */
};

struct walk_chunk {
	raddr_t at;
	size_t len;  /* bytes of the image that are valid in this pass */
	size_t want; /* bytes to read in the next */
	unsigned char *image;
	size_t cap;
};

struct walk_extra {
	raddr_t at;
	uint64_t met_pass, read_pass;
	uint32_t len;      /* bytes that are read: WALK_PIECE, fewer where the mapping ends */
	uint32_t image;    /* where in the thread's `spans` its bytes are, if they were read in this pass */
	uint32_t follower; /* number of the extra that was met after it */
};

/* What is kept of one thread from pass to pass. All zero but for `tstate` to begin with. */
struct walk_thread {
	raddr_t tstate;
	unsigned char image[WALK_TSTATE]; /* of the thread state, as of this pass */
	struct walk_chunk top;
	struct walk_chunk *older; /* below the top chunk, next one first */
	size_t n_older, cap_older;
	raddr_t root, other_root; /* its outermost chunk, as far as is known; what was met in its place ... */
	unsigned root_doubts;     /* ... so many times in a row */
	unsigned root_looks;      /* that met this root, one after the other: WALK_ROOT_LOOKS = it is believed */
	bool root_is_certain;     /* the caller's: met while the thread stood still */
	raddr_t outermost;        /* frame object of the last walk, up to 3.10; 0: not known */
	/* the caller's: the latest of n_outermost outermost frame objects that were certainly this thread's
	 * (sample/roots.c) */
	raddr_t own_outermost[WALK_OUTERMOST];
	unsigned n_outermost;
	/* the caller's too, while none is certain: what the last met_looks looks met, one after the other */
	raddr_t met_outermost;
	unsigned met_looks;
	struct walk_extra *extras; /* by address */
	size_t n_extras, cap_extras;
	size_t last_extra; /* met last in this walk; n_extras = none yet */
	unsigned char *spans;
	size_t n_span_bytes, cap_span_bytes;
	size_t n_spans, planned_bytes; /* of this plan */
};

struct walk {
	struct reader *reader;
	const struct layout *layout;
	uint64_t pass;                 /* counts up with each walk_begin_pass */
	uint64_t repairs;              /* reads in addition, all passes */
	VEC(struct walk_frame) frames; /* result of walk_frames, walk_copied */
	bool is_cut;                   /* of the last walk: outermost frames are missing */
	bool has_chunks;    /* of the last walk_frames: the chunks are those that the thread state speaks of */
	raddr_t innermost;  /* of the last walk, 3.11 and later: where its chain began; may be an entry frame */
	raddr_t outermost;  /* of the last walk: the outermost frame object, up to 3.10; 0: there was none */
	bool wants_entries; /* set by the caller: fill `entries` too */
	VEC(struct walk_entry) entries; /* of the last walk, innermost first */
	VEC(struct walk_piece) chunks;  /* of the thread that is walked */
};

void walk_init(struct walk *w, struct reader *r, const struct layout *l);
void walk_done(struct walk *w);
void walk_thread_done(struct walk_thread *t);
void walk_begin_pass(struct walk *w);
/* Add the thread's pieces to the batch, all or none: false = does not fit into what is left of it. The first piece
 * added is number *first, so that walk_failed_piece can tell what a piece was. */
bool walk_plan(struct walk *w, struct walk_thread *t, struct reader_batch *b, size_t *first);
/* The batch stopped at piece `piece` (counted from the thread's first): forget what cannot be read any more.
 * ERR_GONE: it was the thread state itself. */
int walk_failed_piece(struct walk *w, struct walk_thread *t, size_t piece);
/* Walk what was read: w->frames. 0: the chain reached its root. ERR_TORN: it did not; w->frames holds what was seen.
 * ERR_GONE. */
int walk_frames(struct walk *w, struct walk_thread *t);
/* After walk_frames came to nothing: is the frame that an earlier walk met at f->at there still, in what was read of
 * the thread, run by the same code and called by the same frame? Its *instr then. */
bool walk_still_has(struct walk *w, struct walk_thread *t, const struct walk_frame *f, raddr_t *instr);
/* Read one thread by itself, all of it, and walk it. For threads that stand still. */
int walk_alone(struct walk *w, struct walk_thread *t, struct reader_batch *scratch);
/* As walk_frames, out of the copy alone; nothing is read from the target. 0: w->frames, and w->is_cut when the chain
 * led out of the copy to where frames may well be (they did not fit, or were paged out). 3.11, 3.12: a call of the
 * evaluator that has begun and has no frame of its own yet is left out. ERR_TORN: it makes no sense, or not even the
 * innermost frame is there. ERR_NO_MEMORY. */
int walk_copied(struct walk *w, const struct walk_copy *c);
/* Bytes of a frame, from layout.frame.first on, that a walk looks at. At most WALK_PIECE. */
size_t walk_frame_bytes(const struct layout *l);

static inline uint64_t walk_u64(const unsigned char *p, size_t at)
{
	uint64_t v;
	__builtin_memcpy(&v, p + at, sizeof v);
	return v;
}
static inline uint32_t walk_u32(const unsigned char *p, size_t at)
{
	uint32_t v;
	__builtin_memcpy(&v, p + at, sizeof v);
	return v;
}

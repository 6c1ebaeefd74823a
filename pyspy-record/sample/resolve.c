/* From frames to a node of the trie: which code objects, still the same, which instructions. */
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/sample/target.h"

enum { CHECKS_MAX = 4096 };

/* Each object once: recursion brings the same one again and again. */
static bool add_check(struct target *t, code_id id)
{
	struct code *code = codes_at(&t->codes, id);
	if (code->check_mark == t->check_mark)
		return true;
	code->check_mark = t->check_mark;
	return t->to_check.n < CHECKS_MAX && vec_push(&t->to_check, id);
}

/* How many steps of the path, from the outermost on, are the frames of this sample too. */
static size_t shared_steps(const struct sample_thread *th, const struct walk_frame *frames, size_t n)
{
	size_t most = th->path.n < n ? th->path.n : n, i = 0;
	for (; i < most; i++) {
		const struct walk_frame *f = &frames[n - 1 - i];
		const struct path_step *step = &th->path.v[i];
		if (step->code_at != f->code || step->instr_at != f->instr || step->globals_at != f->globals ||
		    step->copy != f->tlbc_index)
			break;
	}
	return i;
}

/* Look again at the objects that may have been replaced since they were looked at last: all of the path when there is
 * no generation to tell that none was, for a new object may have come to the very place of an old one. */
static int check_codes(struct target *t, struct sample_thread *th, const struct walk_frame *frames, size_t n,
                       size_t *shared, uint64_t generation, bool *unproved)
{
	bool by_generation = t->codes.has_generation || t->sampled_ns;
	t->to_check.n = 0;
	t->check_mark++;
	for (size_t i = 0; i < *shared && !(by_generation && th->path_generation == generation); i++)
		if (!(by_generation && codes_at(&t->codes, th->path.v[i].code)->checked_generation == generation) &&
		    !add_check(t, th->path.v[i].code))
			return ERR_FULL;
	if (n > th->path.n && !vec_room(&th->path, n - th->path.n))
		return ERR_NO_MEMORY;
	th->path.n = *shared;
	for (size_t i = *shared; i < n; i++) {
		code_id id = codes_known(&t->codes, frames[n - 1 - i].code, frames[n - 1 - i].globals);
		th->path.v[i].code = id; /* for later; no step of the path yet */
		if (id && !(by_generation && codes_at(&t->codes, id)->checked_generation == generation) &&
		    !add_check(t, id))
			return ERR_FULL;
	}
	if (t->to_check.n == 0)
		return 0;
	bool bad[CHECKS_MAX];
	int rc = codes_check(&t->codes, t->to_check.v, t->to_check.n, generation, bad);
	if (rc == ERR_GONE && t->sampled_ns) { /* the program ended since: they are what they were when it was seen */
		*unproved = true;
		return 0;
	}
	TRY(rc);
	for (size_t i = 0; i < *shared; i++)
		if (codes_at(&t->codes, th->path.v[i].code)->is_stale)
			*shared = i;
	return 0;
}

static struct codes_generation generation_of(const struct target *t, const struct sample_thread *th)
{
	const struct sample_interp *in = &t->interps[th->top.interp];
	/* without generations: what was looked at since the kernel's samples came over, later than all of them, needs
	 * no second look */
	if (t->sampled_ns && !t->codes.has_generation)
		return (struct codes_generation){0, t->events.stamp, 0};
	raddr_t at =
	    t->interpreter.layout.generation_kind == LAYOUT_GENERATION_DESTROYED ? target_generation(t, in) : 0;
	return (struct codes_generation){in->words.generation_before, in->words.generation_after, at};
}

/* May this object have come to its address after the sample was taken? */
static bool is_younger(struct target *t, code_id id, uint64_t generation)
{
	if (!t->sampled_ns)
		return false;
	const struct code *code = codes_at(&t->codes, id);
	if (t->codes.has_generation && t->interpreter.layout.generation_kind == LAYOUT_GENERATION_MADE)
		return codes_version(&t->codes, id) >= generation;
	return code->read_ns > t->sampled_ns && !(t->codes.has_generation && code->read_generation == generation);
}

/* A sample that was taken earlier, by the kernel: is one of the objects of its path younger than it? What was not
 * younger than an earlier sample is not younger than this one: steps that both share are looked at once. */
static bool has_younger(struct target *t, struct sample_thread *th, uint64_t generation)
{
	/* interpreters come up the same way each time: an object that looks the same may be one of another */
	if (t->sampled_ns && t->sampled_ns < t->interps_changed_ns && th->path.n)
		return true;
	if (!t->sampled_ns)
		return false;
	uint64_t by = 2 * generation + t->codes.has_generation;
	if (th->path_proved_by != by || t->sampled_ns < th->path_proved_ns)
		th->path_proved = 0;
	th->path_proved_by = by;
	th->path_proved_ns = t->sampled_ns;
	for (; th->path_proved < th->path.n; th->path_proved++)
		if (is_younger(t, th->path.v[th->path_proved].code, generation))
			return true;
	return false;
}

/* The generation is the next version to be given out. A version that was seen and is not below a generation read later:
 * the word that we take for the generation is something else, and proves nothing. */
void target_weigh_generation(struct target *t, uint32_t interp)
{
	const struct sample_interp *in = &t->interps[interp];
	if (t->interpreter.layout.generation_kind == LAYOUT_GENERATION_MADE &&
	    in->words.generation_after <= in->highest_version)
		t->codes.has_generation = false;
}

static void note_version(struct target *t, const struct sample_thread *th, code_id id)
{
	struct sample_interp *in = &t->interps[th->top.interp];
	if (codes_version(&t->codes, id) > in->highest_version)
		in->highest_version = codes_version(&t->codes, id);
}

/* A frame's code object, met for the first time. One that a sample of the kernel's names may have died since (a
 * module's own, once it is imported): its place in the stack is certain, and what it was is not known. So it is with
 * one that a core has not. */
static int read_code(struct target *t, const struct walk_frame *f, struct codes_generation generation, code_id *id,
                     bool *proved)
{
	size_t known = t->codes.v.n;
	int rc = codes_read(&t->codes, f->code, f->globals, generation, id, proved);
	if (rc == 0 && t->sampled_ns &&
	    t->codes.v.n != known) /* when all of it was read: a sample taken before that does not prove it */
		codes_at(&t->codes, *id)->read_ns = clock_mono_ns();
	if ((!t->sampled_ns && !t->reader.core) || (rc != ERR_TORN && rc != ERR_MEMORY_READ && rc != ERR_GONE))
		return rc;
	*proved = false;
	return codes_gone(&t->codes, id);
}

/* By the globals that it is known with, which are read once for all the samples of a drain: those lie before it. */
static bool is_foreign(struct target *t, const struct walk_frame *f, code_id id)
{
	struct code *code = codes_at(&t->codes, id);
	if (code->judged_by != t->events.stamp) {
		code->is_foreign = codes_is_foreign(&t->codes, id, f->globals);
		code->judged_by = t->events.stamp;
	}
	return code->is_foreign;
}

/* The sample is older than the object: did its frame run another one, whose address this one has by now? Versions tell
 * for certain; without them, the globals that it ran with. */
static bool is_another(struct target *t, const struct walk_frame *f, code_id id, uint64_t generation)
{
	if (codes_at(&t->codes, id)->is_gone || !is_younger(t, id, generation))
		return false;
	return (t->codes.has_generation && t->interpreter.layout.generation_kind == LAYOUT_GENERATION_MADE) ||
	       is_foreign(t, f, id);
}

static bool is_beyond(const struct code *code, const struct walk_frame *f)
{
	return !code->is_gone && f->instr >= code->start && f->instr - code->start >= code->size_bytes;
}

/* The generation of the threads' copies of code, as it is by now. *is_same: it was that before the sample was taken. */
static uint64_t copies_generation(struct target *t, struct sample_interp *in, bool *is_same)
{
	uint32_t now;
	*is_same = false;
	if (reader_read(&t->reader, in->at + t->interpreter.layout.interp.copies_generation, &now, sizeof now) < 0)
		return COPIES_UNKNOWN;
	if (!in->copies.since_ns || in->copies.generation != now) {
		in->copies.generation = now;
		in->copies.since_ns = clock_mono_ns();
		in->copies.since_pass = t->walk.pass;
		return now;
	}
	*is_same = t->sampled_ns ? in->copies.since_ns < t->sampled_ns : in->copies.since_pass < t->walk.pass;
	return now;
}

static bool has_copies(const struct target *t)
{
	for (size_t i = 0; i < t->walk.frames.n; i++)
		if (t->walk.frames.v[i].tlbc_index)
			return true;
	return false;
}

/* Where the frame's instructions begin. *unproved is set when that may have been elsewhere at the time of the sample.
 */
static int find_start(struct target *t, const struct walk_frame *f, code_id id, uint64_t generation, bool is_same,
                      raddr_t *start, bool *unproved)
{
	const struct code *code = codes_at(&t->codes, id);
	bool known;
	*start = code->start;
	if (!t->interpreter.layout.code.tlbc || code->is_gone ||
	    (!f->tlbc_index && f->instr - code->start < code->size_bytes))
		return 0;
	struct copies_wanted w = {id, code->at, code->size_bytes, f->tlbc_index, f->instr, generation};
	TRY(copies_find(&t->codes.copies, &w, start, &known));
	*unproved |= !known && !is_same;
	return 0;
}

int target_resolve(struct target *t, struct sample_thread *th, node_id *node, bool *unproved)
{
	const struct walk_frame *frames = t->walk.frames.v;
	size_t n = t->walk.frames.n;
	struct codes_generation generation = generation_of(t, th);
	*unproved = false;
	*node = 0;
	if (th->codes_epoch != t->codes.epoch || th->trie_epoch != t->trie.epoch) {
		th->codes_epoch = t->codes.epoch;
		th->trie_epoch = t->trie.epoch;
		th->path.n = 0;
	}
	if (t->codes.has_generation && !t->sampled_ns) /* objects may have been read since the words were */
		target_weigh_generation(t, th->top.interp);
	bool copies_same = true, with_copies = t->interpreter.layout.code.tlbc && has_copies(t);
	uint64_t copies = with_copies ? copies_generation(t, &t->interps[th->top.interp], &copies_same) : 0;
	if (with_copies && th->top.is_joined) { /* it speaks of one interpreter only */
		copies = COPIES_UNKNOWN;
		copies_same = false;
	}
	size_t shared =
	    with_copies && (th->path_copies != copies || copies == COPIES_UNKNOWN) ? 0 : shared_steps(th, frames, n);
	TRY(check_codes(t, th, frames, n, &shared, generation.after, unproved));
	th->path.n = shared;
	for (size_t i = 0; i < shared && !t->sampled_ns; i++) { /* the same code called anew may be another frame */
		th->path.v[i].at = frames[n - 1 - i].at;
		th->path.v[i].previous = frames[n - 1 - i].previous;
	}
	if (th->path_proved > shared)
		th->path_proved = shared;
	node_id at = shared ? th->path.v[shared - 1].node : 0;
	size_t first_gone = n;
	for (size_t i = shared; i < n; i++) {
		const struct walk_frame *f = &frames[n - 1 - i];
		struct path_step step = {f->code, f->instr, f->globals,  f->tlbc_index, th->path.v[i].code,
		                         at,      f->at,    f->previous, f->owner};
		bool proved = true;
		if (!step.code || codes_at(&t->codes, step.code)->is_stale)
			step.code = codes_known(&t->codes, f->code, f->globals);
		if (!step.code) {
			TRY(read_code(t, f, generation, &step.code, &proved));
			note_version(t, th, step.code);
		}
		if (t->sampled_ns && ((!t->interpreter.layout.code.tlbc && f->instr != WALK_NOT_STARTED &&
		                       is_beyond(codes_at(&t->codes, step.code), f)) ||
		                      is_another(t, f, step.code, generation.before))) {
			proved = false; /* not this one, then: it came to the address of one that is gone */
			TRY(codes_gone(&t->codes, &step.code));
		}
		raddr_t start;
		int rc = find_start(t, f, step.code, copies, copies_same, &start, unproved);
		if (rc == ERR_TORN && t->sampled_ns) { /* the same, or its copy is gone */
			proved = false;
			rc = codes_gone(&t->codes, &step.code);
		}
		if (rc < 0)
			return rc;
		if (!proved)
			*unproved = true;
		const struct code *code = codes_at(&t->codes, step.code);
		bool is_generator = f->owner == 1;
		/* a frame that is being set up is none yet (CPython: _PyFrame_IsIncomplete) */
		if (code->is_gone && first_gone > i)
			first_gone = i;
		bool incomplete = !code->is_gone && !is_generator && f->instr < start + code->first_traceable;
		if (!incomplete) {
			uint64_t instr = !code->is_gone && f->instr >= start ? f->instr - start : 0;
			if (f->instr == WALK_NOT_STARTED)
				instr = code->is_gone ? 0 : LINETABLE_NOT_STARTED;
			else if (instr >= code->size_bytes)
				return ERR_TORN;
			at = trie_child(&t->trie, at, step.code, (uint32_t)instr);
			if (!at)
				return ERR_FULL;
			step.node = at;
		}
		if (!vec_push(&th->path, step))
			return ERR_NO_MEMORY;
	}
	th->path_generation = generation.after;
	th->path_copies = copies;
	*unproved |= has_younger(t, th, generation.before);
	if (first_gone < th->path.n && !t->reader.core) /* it may come again as another one */
		th->path.n = first_gone;
	*node = at;
	return 0;
}

bool target_knows_codes(const struct target *t)
{
	for (size_t i = 0; i < t->walk.frames.n; i++)
		if (!codes_known(&t->codes, t->walk.frames.v[i].code, t->walk.frames.v[i].globals))
			return false;
	return true;
}

int target_resolve_frame(struct target *t, uint32_t interp, const struct walk_frame *f, code_id *id, uint32_t *instr)
{
	const struct sample_interp *in = &t->interps[interp];
	struct codes_generation generation = {in->words.generation_before, in->words.generation_after, 0};
	bool proved, bad = false, copies_same = true, unproved = false;
	*instr = LINETABLE_NOT_STARTED;
	*id = codes_known(&t->codes, f->code, f->globals);
	if (*id && codes_at(&t->codes, *id)->check_mark != t->check_mark) {
		codes_at(&t->codes, *id)->check_mark = t->check_mark;
		TRY(codes_check(&t->codes, id, 1, generation.after, &bad));
	}
	if (!*id || bad) {
		TRY(codes_read(&t->codes, f->code, f->globals, generation, id, &proved));
		codes_at(&t->codes, *id)->check_mark = t->check_mark;
	}
	const struct code *code = codes_at(&t->codes, *id);
	if (f->instr == WALK_NOT_STARTED || code->is_gone)
		return 0;
	raddr_t start;
	uint64_t copies = t->interpreter.layout.code.tlbc ? copies_generation(t, &t->interps[interp], &copies_same) : 0;
	TRY(find_start(t, f, *id, copies, copies_same, &start, &unproved));
	uint64_t offset = f->instr >= start ? f->instr - start : 0;
	if (offset >= code->size_bytes)
		return ERR_TORN;
	*instr = (uint32_t)offset;
	return 0;
}

/* From outside, a thread that calls as fast as it can is often read in the middle of a call, and what its innermost
 * frames were cannot be told. But its callers stand below on the data stack, untouched: a frame that the last look met
 * and that lies below where the thread state says that the stack is in use (up to 3.10: a frame object that still has
 * its caller) has not returned. So such a sample shows its outermost frames, and [in motion] in place of the others.
 */
#include "libcommon/err.h"
#include "pyspy-record/sample/target.h"

enum { OWNER_THREAD = 0 };

/* Below `parent`, at the instruction where it is by now. 0: it is none of its code's. */
static node_id child(struct target *t, const struct path_step *step, node_id parent, raddr_t instr)
{
	const struct code *code = codes_at(&t->codes, step->code);
	raddr_t offset = instr - code->start;
	if (step->copy || instr == WALK_NOT_STARTED || instr < code->start || offset >= code->size_bytes ||
	    offset < code->first_traceable)
		return 0;
	return trie_child(&t->trie, parent, step->code, (uint32_t)offset);
}

node_id target_known_part(struct target *t, struct sample_thread *th, bool *is_known)
{
	struct sample_state *s = th->states.v[0];
	node_id at = 0, was = 0;
	code_id torn;
	bool is_ours =
	    th->states.n == 1 && !s->is_gone && th->codes_epoch == t->codes.epoch && th->trie_epoch == t->trie.epoch;
	for (size_t i = 0; is_ours && i < th->path.n; i++) {
		const struct path_step *step = &th->path.v[i];
		const struct walk_frame f = {.code = step->code_at,
		                             .globals = step->globals_at,
		                             .owner = step->owner,
		                             .at = step->at,
		                             .previous = step->previous};
		raddr_t instr;
		/* frames of generators lie elsewhere, and may be there without being called */
		if (step->node == was || step->owner != OWNER_THREAD || codes_at(&t->codes, step->code)->is_gone ||
		    !walk_still_has(&t->walk, &s->walk, &f, &instr))
			break;
		node_id next = at == was && instr == step->instr_at ? step->node : child(t, step, at, instr);
		if (!next)
			break;
		was = step->node;
		at = next;
	}
	*is_known = at != 0;
	return codes_torn(&t->codes, &torn) < 0 ? 0 : trie_child(&t->trie, at, torn, 0);
}

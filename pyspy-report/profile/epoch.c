#include "pyspy-report/profile/epoch.h"

#include <string.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"

void epoch_init(struct epoch *e, struct profile *p)
{
	memset(e, 0, sizeof *e);
	e->profile = p;
}

static void epoch_pending_done(struct epoch_pending *q)
{
	vec_free(&q->facts.cmdline);
	vec_free(&q->facts.sys_path);
}

static void epoch_forget_pending(struct epoch *e)
{
	for (size_t i = 0; i < e->pending.n; i++)
		epoch_pending_done(&e->pending.v[i]);
	e->pending.n = 0;
}

void epoch_done(struct epoch *e)
{
	vec_free(&e->strings.to);
	vec_free(&e->functions.to);
	vec_free(&e->locations.to);
	vec_free(&e->stacks.to);
	vec_free(&e->processes.to);
	vec_free(&e->modules.to);
	vec_free(&e->stack_parents);
	vec_free(&e->certified);
	vec_free(&e->to_spread);
	vec_free(&e->resolved);
	vec_free(&e->threads);
	vec_free(&e->threads_seen);
	epoch_forget_pending(e);
	vec_free(&e->pending);
	tally_done(&e->tally);
}

void epoch_go_on(struct epoch *e, uint32_t recording, uint32_t number)
{
	e->recording = recording;
	e->number = number;
	e->is_open = true;
	e->is_settled = false;
	e->processes.to.n = 0;
	e->resolved.n = 0; /* what is certified may grow */
	e->threads.n = e->threads_seen.n = 0;
	epoch_forget_pending(e);
	tally_clear(&e->tally);
}

void epoch_begin(struct epoch *e, uint32_t recording, uint32_t number)
{
	epoch_go_on(e, recording, number);
	e->strings.to.n = e->functions.to.n = e->locations.to.n = e->stacks.to.n = 0;
	e->modules.to.n = e->stack_parents.n = e->certified.n = e->to_spread.n = 0;
}

uint32_t epoch_id(const struct epoch_ids *ids, uint32_t id)
{
	return id < ids->to.n ? ids->to.v[id] : 0;
}

/* Grow `v` so that index id is there, new entries zero. */
#define epoch_reach(vec, id)                                                                                           \
	((id) < (vec)->n || (vec_room(vec, (id) + 1 - (vec)->n) &&                                                     \
	                     (memset((vec)->v + (vec)->n, 0, ((id) + 1 - (vec)->n) * sizeof *(vec)->v),                \
	                      (vec)->n = (size_t)(id) + 1, true)))

static int epoch_set(struct epoch_ids *ids, uint32_t id, uint32_t global)
{
	if (!epoch_reach(&ids->to, id))
		return ERR_NO_MEMORY;
	ids->to.v[id] = global;
	return 0;
}

struct epoch_thread *epoch_thread(struct epoch *e, thread_id id)
{
	return epoch_reach(&e->threads, id) ? &e->threads.v[id] : NULL;
}

int epoch_define_string(struct epoch *e, str_id id, const char *s, size_t n)
{
	uint32_t global;

	TRY(profile_string(e->profile, s, n, &global));
	return epoch_set(&e->strings, id, global);
}

int epoch_define_function(struct epoch *e, function_id id, const struct rec_function *f)
{
	struct profile_function g = {
	    .kind = f->kind,
	    .module = epoch_id(&e->strings, f->module),
	    .qualname = epoch_id(&e->strings, f->qualname),
	    .file = epoch_id(&e->strings, f->file),
	    .first_line = f->first_line,
	};
	uint32_t global;

	TRY(profile_function(e->profile, &g, &global));
	return epoch_set(&e->functions, id, global);
}

int epoch_define_location(struct epoch *e, location_id id, const struct rec_location *l)
{
	struct profile_location g = {.column = -1, .end_column = -1};
	uint32_t global = e->profile->lost;

	if (l->is_native) {
		g.module = epoch_id(&e->modules, l->module);
		g.symbol = epoch_id(&e->strings, l->symbol);
		g.offset = l->offset;
	} else {
		g.function = epoch_id(&e->functions, l->function);
		g.line = l->has_line ? l->line : 0;
		if (l->has_columns) {
			g.end_line = l->end_line;
			g.column = l->column;
			g.end_column = l->end_column;
		}
	}
	if (l->is_native || g.function)
		TRY(profile_location(e->profile, &g, &global));
	return epoch_set(&e->locations, id, global);
}

int epoch_define_stack(struct epoch *e, stack_id id, const struct rec_stack *s)
{
	struct profile *p = e->profile;
	uint32_t parent = epoch_id(&e->stacks, s->parent), location = epoch_id(&e->locations, s->location), global;

	if (s->parent && !parent)
		TRY(profile_stack(p, 0, p->lost, &parent));
	int rc = profile_stack(p, parent, location ? location : p->lost, &global);
	if (rc == ERR_FULL && p->stacks.v[parent].depth >= WIRE_DEPTH_MAX)
		return 0; /* FORMAT.md 6: too deep, so it stays undefined */
	TRY(rc);
	TRY(epoch_set(&e->stacks, id, global));
	if (!epoch_reach(&e->stack_parents, id) || !epoch_reach(&e->certified, id))
		return ERR_NO_MEMORY;
	e->stack_parents.v[id] = s->parent;
	return s->certified ? epoch_certify(e, id) : 0;
}

int epoch_certify(struct epoch *e, stack_id id)
{
	if (!epoch_reach(&e->certified, id))
		return ERR_NO_MEMORY;
	if (!e->certified.v[id] && !vec_push(&e->to_spread, id))
		return ERR_NO_MEMORY;
	e->certified.v[id] = 1;
	return 0;
}

int epoch_define_module(struct epoch *e, const struct rec_module *m)
{
	struct buf key;
	uint32_t global;
	size_t n;
	const char *path = profile_text(e->profile, epoch_id(&e->strings, m->path), &n);

	buf_init(&key, 0);
	buf_put(&key, path, n);
	buf_u8(&key, 0);
	buf_put(&key, m->build_id, m->n_build_id);
	int rc = key.err ? key.err : intern_get(&e->profile->modules, key.data, key.len, &global, NULL);
	buf_done(&key);
	TRY(rc);
	return epoch_set(&e->modules, m->id, global);
}

static int epoch_queue(struct epoch *e, struct epoch_pending *q)
{
	if (vec_push(&e->pending, *q))
		return 0;
	epoch_pending_done(q);
	return ERR_NO_MEMORY;
}

int epoch_define_process(struct epoch *e, const struct rec_process *r)
{
	struct epoch_pending q = {
	    .kind = EPOCH_PROCESS,
	    .process = *r,
	    .facts = {.version = epoch_id(&e->strings, r->version),
	              .exe = epoch_id(&e->strings, r->exe),
	              .cwd = epoch_id(&e->strings, r->cwd),
	              .prefix = epoch_id(&e->strings, r->prefix),
	              .base_prefix = epoch_id(&e->strings, r->base_prefix)},
	};
	struct profile_process *f = &q.facts;
	bool ok = true;

	for (uint32_t i = 0; i < r->n_cmdline && ok; i++)
		ok = vec_push(&f->cmdline, epoch_id(&e->strings, r->cmdline[i]));
	for (uint32_t i = 0; i < r->n_sys_path && ok; i++)
		ok = vec_push(&f->sys_path, epoch_id(&e->strings, r->sys_path[i]));
	if (!ok) {
		epoch_pending_done(&q);
		return ERR_NO_MEMORY;
	}
	return epoch_queue(e, &q);
}

int epoch_define_thread(struct epoch *e, const struct rec_thread *r)
{
	return epoch_queue(
	    e, &(struct epoch_pending){.kind = EPOCH_THREAD, .thread = *r, .name = epoch_id(&e->strings, r->name)});
}

int epoch_process_end(struct epoch *e, const struct rec_process_end *r)
{
	return epoch_queue(e, &(struct epoch_pending){.kind = EPOCH_PROCESS_END, .end = *r});
}

int epoch_thread_end(struct epoch *e, thread_id id, uint64_t time_ns)
{
	return epoch_queue(e,
	                   &(struct epoch_pending){.kind = EPOCH_THREAD_END, .thread.id = id, .end.time_ns = time_ns});
}

static int epoch_apply_process(struct epoch *e, const struct profile_recording *of, struct epoch_pending *q)
{
	uint32_t global;

	TRY(profile_process(e->profile, of->host, of->boot_id, &q->process, &global));
	if (e->replays)
		return epoch_set(&e->processes, q->process.id, global);
	struct profile_process *p = &e->profile->processes.v[global];
	p->version = q->facts.version;
	p->exe = q->facts.exe;
	p->cwd = q->facts.cwd;
	p->prefix = q->facts.prefix;
	p->base_prefix = q->facts.base_prefix;
	vec_free(&p->cmdline);
	vec_free(&p->sys_path);
	memcpy(&p->cmdline, &q->facts.cmdline, sizeof p->cmdline);
	memcpy(&p->sys_path, &q->facts.sys_path, sizeof p->sys_path);
	memset(&q->facts, 0, sizeof q->facts); /* handed over */
	return epoch_set(&e->processes, q->process.id, global);
}

static int epoch_apply_thread(struct epoch *e, const struct epoch_pending *q)
{
	struct epoch_thread *t = epoch_thread(e, q->thread.id);

	if (!t)
		return ERR_NO_MEMORY;
	TRY(profile_thread(e->profile, epoch_id(&e->processes, q->thread.process), &q->thread, &t->global));
	if (q->name && !e->replays)
		e->profile->threads.v[t->global].name = q->name;
	return 0;
}

static int epoch_apply_one(struct epoch *e, const struct profile_recording *of, struct epoch_pending *q)
{
	if (q->kind == EPOCH_PROCESS)
		return epoch_apply_process(e, of, q);
	if (q->kind == EPOCH_THREAD)
		return epoch_apply_thread(e, q);
	if (q->kind == EPOCH_PROCESS_END) {
		struct profile_process *p = &e->profile->processes.v[epoch_id(&e->processes, q->end.id)];
		p->has_ended = true;
		p->end_ns = q->end.time_ns;
		p->how = q->end.how;
		p->status = q->end.status;
	} else if (q->thread.id < e->threads.n) {
		struct profile_thread *t = &e->profile->threads.v[e->threads.v[q->thread.id].global];
		t->has_ended = true;
		t->end_ns = q->end.time_ns;
	}
	return 0;
}

int epoch_apply(struct epoch *e, const struct profile_recording *of)
{
	int rc = 0;

	for (size_t i = 0; i < e->pending.n && !rc; i++)
		rc = epoch_apply_one(e, of, &e->pending.v[i]);
	epoch_forget_pending(e);
	return rc;
}

void epoch_settle(struct epoch *e)
{
	/* An id without a definition can be certified, but has no parent to hand it on to. Each step ends at an
	 * ancestor that is on the list itself, or was spread before. */
	for (size_t i = e->to_spread.n; i-- > 0;) {
		uint32_t id = e->to_spread.v[i];

		while (id < e->stack_parents.n && e->stack_parents.v[id] && !e->certified.v[e->stack_parents.v[id]])
			e->certified.v[id = e->stack_parents.v[id]] = 1;
	}
	e->to_spread.n = 0;
	e->is_settled = true;
}

void epoch_peek(struct epoch *e)
{
	epoch_settle(e);
	e->is_settled = false;
	e->resolved.n = 0; /* what is certified may have grown since the last look */
}

/* The sample's stack up to its innermost certified frame, then [in motion]. */
static int epoch_in_motion(struct epoch *e, uint32_t stack, uint32_t *global)
{
	uint32_t at = stack;

	if (!epoch_reach(&e->resolved, stack))
		return ERR_NO_MEMORY;
	if (!e->resolved.v[stack]) {
		while (at && !(e->certified.v[at] && epoch_id(&e->stacks, at)))
			at = at < e->stack_parents.n ? e->stack_parents.v[at] : 0;
		TRY(profile_stack(e->profile, epoch_id(&e->stacks, at), e->profile->in_motion, &e->resolved.v[stack]));
	}
	*global = e->resolved.v[stack];
	return 0;
}

int epoch_resolve(struct epoch *e, uint32_t stack, uint32_t *flags, uint32_t *global)
{
	struct profile *p = e->profile;

	if (e->is_indexed) {
		uint32_t code = stack & ((1 << EPOCH_CODE_BITS) - 1);

		*flags |= code == EPOCH_IN_MOTION ? TALLY_IN_MOTION : code == EPOCH_LOST ? TALLY_LOST : 0;
		*global = stack >> EPOCH_CODE_BITS;
		return 0;
	}
	if (!stack)
		return profile_stack(p, 0, p->no_frame, global);
	*global = epoch_id(&e->stacks, stack);
	if (!*global) {
		*flags |= TALLY_LOST;
		return profile_stack(p, 0, p->lost, global);
	}
	if ((*flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT != WIRE_WAY_OUTSIDE || e->certified.v[stack])
		return 0;
	*flags |= TALLY_IN_MOTION;
	return epoch_in_motion(e, stack, global);
}

uint32_t epoch_certain(const struct epoch *e, uint32_t stack, uint32_t flags)
{
	uint32_t global;

	if (e->is_indexed)
		return (stack & ((1 << EPOCH_CODE_BITS) - 1)) == EPOCH_CERTAIN ? stack >> EPOCH_CODE_BITS : 0;
	global = epoch_id(&e->stacks, stack);
	if (!global || ((flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT == WIRE_WAY_OUTSIDE &&
	                !e->certified.v[stack])) /* a defined stack has its place there */
		return 0;
	return global;
}

/* How a waiting stack and its way lie in a code. */
enum { WAITS_WAY_SHIFT = 25, WAITS_ID = (1 << WAITS_WAY_SHIFT) - 1 };

uint32_t epoch_code(const struct epoch *e, uint32_t stack, uint32_t flags)
{
	uint32_t global = epoch_certain(e, stack, flags);

	return global ? global << EPOCH_CODE_BITS | EPOCH_CERTAIN
	              : EPOCH_CODE_WAITS | (flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT << WAITS_WAY_SHIFT | stack;
}

int epoch_settle_code(struct epoch *e, uint32_t *code)
{
	uint32_t global, flags = (*code & ~EPOCH_CODE_WAITS) >> WAITS_WAY_SHIFT << WIRE_FLAG_WAY_SHIFT;

	if (!(*code & EPOCH_CODE_WAITS))
		return 0;
	TRY(epoch_resolve(e, *code & WAITS_ID, &flags, &global));
	*code = global << EPOCH_CODE_BITS | (flags & TALLY_LOST        ? EPOCH_LOST
	                                     : flags & TALLY_IN_MOTION ? EPOCH_IN_MOTION
	                                                               : EPOCH_WAITED);
	return 0;
}

int epoch_count(struct epoch *e, const struct tally_row *row)
{
	struct tally_row certain = *row;

	certain.stack = epoch_certain(e, row->stack, row->flags);
	if (!certain.stack)
		return tally_add(&e->tally, row);
	return e->profile->uncounted ? 0 : tally_add(&e->profile->tally, &certain);
}

int epoch_merge(struct epoch *e)
{
	TRY(tally_flush(&e->tally));
	for (size_t i = 0; i < e->tally.rows.n; i++) {
		struct tally_row r = e->tally.rows.v[i];

		TRY(epoch_resolve(e, e->tally.rows.v[i].stack, &r.flags, &r.stack));
		if (!e->profile->uncounted)
			TRY(tally_add(&e->profile->tally, &r));
	}
	tally_clear(&e->tally);
	return tally_flush(&e->profile->tally);
}

#include "pyspy-report/profile/profile.h"

#include <string.h>

#include "libcommon/err.h"

int profile_init(struct profile *p)
{
	memset(p, 0, sizeof *p);
	branches_init(&p->stack_ids);
	TRY(intern_init(&p->strings, PROFILE_MAX_BYTES));
	TRY(intern_init(&p->functions, PROFILE_MAX_BYTES));
	TRY(intern_init(&p->locations, PROFILE_MAX_BYTES));
	TRY(intern_init(&p->modules, PROFILE_MAX_BYTES));
	TRY(intern_init(&p->process_keys, PROFILE_MAX_BYTES));
	TRY(intern_init(&p->thread_keys, PROFILE_MAX_BYTES));
	if (!vec_push(&p->stacks, (struct profile_stack){0}) || !vec_push(&p->processes, (struct profile_process){0}) ||
	    !vec_push(&p->threads, (struct profile_thread){0}))
		return ERR_NO_MEMORY;
	TRY(profile_synthetic(p, "in motion", &p->in_motion));
	TRY(profile_synthetic(p, "lost", &p->lost));
	return profile_synthetic(p, "no Python frame", &p->no_frame);
}

void profile_done(struct profile *p)
{
	for (size_t i = 0; i < p->processes.n; i++) {
		vec_free(&p->processes.v[i].cmdline);
		vec_free(&p->processes.v[i].sys_path);
	}
	for (size_t i = 0; i < p->recordings.n; i++) {
		vec_free(&p->recordings.v[i].options);
		vec_free(&p->recordings.v[i].notes);
	}
	intern_done(&p->strings);
	intern_done(&p->functions);
	intern_done(&p->locations);
	intern_done(&p->modules);
	intern_done(&p->process_keys);
	intern_done(&p->thread_keys);
	branches_done(&p->stack_ids);
	vec_free(&p->stacks);
	vec_free(&p->processes);
	vec_free(&p->threads);
	vec_free(&p->recordings);
	vec_free(&p->damage);
	for (size_t i = 0; i < p->words.n; i++)
		free(p->words.v[i]);
	vec_free(&p->words);
	tally_done(&p->tally);
}

int profile_add_damage(struct profile *p, uint32_t input, const struct decode_damage *d)
{
	p->n_damage++;
	p->damaged_bytes += d->bytes;
	p->missing_blocks += d->blocks;
	p->missing_samples += d->samples;
	if (p->damage.n >= PROFILE_MAX_DAMAGE)
		return 0;
	return vec_push(&p->damage, ((struct profile_damage){input, d->problem, d->what, d->offset, d->bytes, d->blocks,
	                                                     d->samples}))
	           ? 0
	           : ERR_NO_MEMORY;
}

int profile_string(struct profile *p, const char *s, size_t n, uint32_t *id)
{
	return intern_get(&p->strings, s, n, id, NULL);
}

int profile_function(struct profile *p, const struct profile_function *f, uint32_t *id)
{
	return intern_get(&p->functions, f, sizeof *f, id, NULL);
}

int profile_location(struct profile *p, const struct profile_location *l, uint32_t *id)
{
	return intern_get(&p->locations, l, sizeof *l, id, NULL);
}

int profile_stack(struct profile *p, uint32_t parent, uint32_t location, uint32_t *id)
{
	uint32_t depth = p->stacks.v[parent].depth + 1;

	*id = 0;
	if (depth > WIRE_DEPTH_MAX)
		return ERR_FULL;
	while (p->stack_ids.n + 1 < p->stacks.n)
		TRY(branches_put(&p->stack_ids, p->stacks.v, sizeof *p->stacks.v));
	*id = branches_get(&p->stack_ids, p->stacks.v, sizeof *p->stacks.v, parent, location);
	if (*id)
		return 0;
	if (p->stack_ids.n >= PROFILE_MAX_STACKS)
		return ERR_FULL;
	if (!vec_push(&p->stacks, ((struct profile_stack){parent, location, depth})))
		return ERR_NO_MEMORY;
	int rc = branches_put(&p->stack_ids, p->stacks.v, sizeof *p->stacks.v);
	if (rc)
		p->stacks.n--;
	else
		*id = (uint32_t)p->stacks.n - 1;
	return rc;
}

int profile_stack_append(struct profile *p, uint32_t parent, uint32_t location)
{
	uint32_t depth = p->stacks.v[parent].depth + 1;

	if (depth > WIRE_DEPTH_MAX)
		return ERR_DAMAGED;
	if (p->stacks.n > PROFILE_MAX_STACKS)
		return ERR_FULL;
	return vec_push(&p->stacks, ((struct profile_stack){parent, location, depth})) ? 0 : ERR_NO_MEMORY;
}

int profile_process(struct profile *p, uint32_t host, uint32_t boot_id, const struct rec_process *r, uint32_t *id)
{
	uint64_t key[] = {(uint64_t)boot_id << 32 | host, (uint64_t)r->host << 32 | r->pid, r->start_ns,
	                  r->exec_number};
	bool is_new;

	TRY(intern_get(&p->process_keys, key, sizeof key, id, &is_new));
	if (is_new) {
		if (p->processes.n >= PROFILE_MAX_THREADS)
			return ERR_FULL;
		if (!vec_push(&p->processes, (struct profile_process){.host = host}))
			return ERR_NO_MEMORY;
	}
	struct profile_process *q = &p->processes.v[*id];
	q->pid = r->pid;
	q->ns_pid = r->ns_pid;
	q->parent_pid = r->parent_pid;
	q->exec_number = r->exec_number;
	q->flags = r->flags;
	q->uid = r->uid;
	q->version_hex = r->version_hex;
	q->build = r->build;
	q->start_ns = r->start_ns;
	q->seen_ns = r->seen_ns;
	return 0;
}

int profile_thread(struct profile *p, uint32_t process, const struct rec_thread *r, uint32_t *id)
{
	uint64_t key[] = {(uint64_t)process << 32 | r->tid, r->start_ns, (uint64_t)r->interpreter << 32 | r->kind};
	bool is_new;

	TRY(intern_get(&p->thread_keys, key, sizeof key, id, &is_new));
	if (is_new) {
		if (p->threads.n >= PROFILE_MAX_THREADS)
			return ERR_FULL;
		if (!vec_push(&p->threads, (struct profile_thread){.process = process}))
			return ERR_NO_MEMORY;
	}
	struct profile_thread *t = &p->threads.v[*id];
	t->tid = r->tid;
	t->ns_tid = r->ns_tid;
	t->interpreter = r->interpreter;
	t->kind = r->kind;
	t->start_ns = r->start_ns;
	t->pthread = r->pthread;
	t->flags = r->flags;
	return 0;
}

int profile_synthetic(struct profile *p, const char *name, uint32_t *location)
{
	struct profile_function f = {.kind = WIRE_FUNCTION_SYNTHETIC};
	struct profile_location l = {.column = -1, .end_column = -1};

	TRY(profile_string(p, name, strlen(name), &f.qualname));
	TRY(profile_function(p, &f, &l.function));
	return profile_location(p, &l, location);
}

const char *profile_text(const struct profile *p, uint32_t string, size_t *n)
{
	size_t len;
	const char *s = intern_bytes(&p->strings, string, &len);

	if (n)
		*n = len;
	return s;
}

struct profile_function profile_function_of(const struct profile *p, uint32_t function)
{
	struct profile_function f = {0};
	size_t n;
	const char *bytes = function ? intern_bytes(&p->functions, function, &n) : NULL;

	if (bytes)
		memcpy(&f, bytes, sizeof f);
	return f;
}

struct profile_location profile_location_of(const struct profile *p, uint32_t location)
{
	struct profile_location l = {0};
	size_t n;
	const char *bytes = location ? intern_bytes(&p->locations, location, &n) : NULL;

	if (bytes)
		memcpy(&l, bytes, sizeof l);
	return l;
}

const char *profile_module_path(const struct profile *p, uint32_t module)
{
	size_t n;

	return intern_bytes(&p->modules, module, &n);
}

uint32_t profile_view_defaults(const struct profile *p)
{
	for (size_t i = 0; i < p->recordings.n; i++)
		if (p->recordings.v[i].has_facts)
			return p->recordings.v[i].view_defaults;
	return 0;
}

uint64_t profile_take_time(struct profile *p, uint64_t ns)
{
	uint64_t room = PROFILE_MAX_NS - 1 - p->wall_ns;

	ns = ns < room ? ns : room;
	p->wall_ns += ns;
	return ns;
}

bool profile_by_time(const struct profile *p)
{
	for (size_t i = 0; i < p->recordings.n && p->wall_ns; i++) /* weights of 0 alone: counts are all there is */
		if (p->recordings.v[i].n_events || p->recordings.v[i].has_rates)
			return true;
	return false;
}

uint64_t profile_sample_worth_ns(const struct profile *p)
{
	uint64_t least = 0, n = 0;

	for (size_t i = 0; i < p->recordings.n; i++) {
		uint64_t gap = p->recordings.v[i].mean_gap_ns;

		if (gap && (!least || gap < least))
			least = gap;
		n += p->recordings.v[i].n_samples;
	}
	if (!least && n)
		least = p->wall_ns / n;
	return least ? least : 1;
}

uint64_t profile_samples(const struct profile *p)
{
	uint64_t n = 0;

	for (size_t i = 0; i < p->recordings.n; i++)
		n += p->recordings.v[i].n_samples;
	return n;
}

uint32_t profile_note_text(const struct profile *p, const struct profile_recording *r, const char *key)
{
	for (size_t i = 0; i < r->notes.n; i++) {
		size_t n;
		const char *s = profile_text(p, r->notes.v[i].key, &n);

		if (n == strlen(key) && memcmp(s, key, n) == 0)
			return r->notes.v[i].value;
	}
	return 0;
}

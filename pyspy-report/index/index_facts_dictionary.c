/* Strings, modules, functions, locations, stacks, processes, threads. */
#include "pyspy-report/index/index_facts_parts.h"

#include <string.h>

enum { DICTIONARY_BYTES = 16 << 20, STRINGS_MAX = 1 << 26 };

/* Strings and modules: length, bytes. */
static int read_text(struct facts *f, struct intern *t, uint32_t *global)
{
	uint32_t n = unpack_max(&f->in[2], STRINGS_MAX);
	const uint8_t *bytes = unpack_bytes(&f->in[3], n);

	if (!bytes || !n) {
		f->is_bad = true;
		return 0;
	}
	return intern_get(t, bytes, n, global, NULL);
}

static void write_text(struct facts *f, const struct intern *t, uint32_t id)
{
	size_t n;
	const char *s = intern_bytes(t, id, &n);

	encode_varint(f->out[2], n);
	buf_put(f->out[3], s, n);
}

static void facts_function(struct facts *f, struct profile_function *g)
{
	facts_u32(f, 2, &g->kind);
	facts_u32(f, 3, &g->module);
	facts_u32(f, 4, &g->qualname);
	facts_u32(f, 5, &g->file);
	facts_u32(f, 6, &g->first_line);
}

static void facts_location(struct facts *f, struct profile_location *l)
{
	uint32_t is_native = !l->function;

	facts_u32(f, 2, &is_native);
	if (is_native) {
		facts_u32(f, 3, &l->module);
		facts_u32(f, 4, &l->symbol);
		facts_u64(f, 5, &l->offset);
	} else {
		facts_u32(f, 3, &l->function);
	}
	facts_i32(f, 6, &l->line);
	facts_i32(f, 7, &l->end_line);
	facts_i32(f, 7, &l->column);
	facts_i32(f, 7, &l->end_column);
}

static int read_location(struct facts *f, struct profile *p, const struct facts_map *m, uint32_t *global)
{
	struct profile_location l = {0};

	facts_location(f, &l);
	facts_translate(f, &m->functions, &l.function);
	facts_translate(f, &m->modules, &l.module);
	facts_translate(f, &m->strings, &l.symbol);
	return f->is_bad ? 0 : profile_location(p, &l, global);
}

static int read_function(struct facts *f, struct profile *p, const struct facts_map *m, uint32_t *global)
{
	struct profile_function g = {0};

	facts_function(f, &g);
	facts_translate(f, &m->strings, &g.module);
	facts_translate(f, &m->strings, &g.qualname);
	facts_translate(f, &m->strings, &g.file);
	return f->is_bad ? 0 : profile_function(p, &g, global);
}

static int read_stack(struct facts *f, struct profile *p, const struct facts_map *m, uint32_t *global)
{
	uint32_t id = (uint32_t)m->stacks.n, parent = id - unpack_max(&f->in[2], id), location;

	location = unpack_max(&f->in[3], UINT32_MAX);
	if (parent >= id || location >= m->locations.n || !location) {
		f->is_bad = true;
		return 0;
	}
	location = m->locations.v[location];
	if (id == p->stacks.n) { /* so far all are as in the index */
		*global = id;
		return profile_stack_append(p, parent, location);
	}
	parent = m->stacks.v[parent];
	int rc = profile_stack(p, parent, location, global);
	return rc == ERR_FULL && p->stacks.v[parent].depth >= WIRE_DEPTH_MAX ? ERR_DAMAGED : rc;
}

/* Who it is: profile_process's key, boot id and host as strings. */
static void facts_process(struct facts *f, struct profile_process *q, struct rec_process *r, uint32_t *boot_id)
{
	facts_u32(f, F_BODY, boot_id);
	facts_u32(f, F_BODY, &q->host);
	facts_u32(f, F_BODY, &r->host);
	facts_u32(f, F_BODY, &q->pid);
	facts_u32(f, F_BODY, &q->ns_pid);
	facts_u32(f, F_BODY, &q->parent_pid);
	facts_u32(f, F_BODY, &q->exec_number);
	facts_u32(f, F_BODY, &q->flags);
	facts_u32(f, F_BODY, &q->uid);
	facts_u32(f, F_BODY, &q->version_hex);
	facts_u32(f, F_BODY, &q->build);
	facts_u64(f, F_BODY, &q->start_ns);
	facts_u64(f, F_BODY, &q->seen_ns);
	facts_u32(f, F_BODY, &q->version);
	facts_u32(f, F_BODY, &q->exe);
	facts_u32(f, F_BODY, &q->cwd);
	facts_u32(f, F_BODY, &q->prefix);
	facts_u32(f, F_BODY, &q->base_prefix);
	facts_ids(f, &q->cmdline);
	facts_ids(f, &q->sys_path);
	facts_bool(f, &q->has_ended);
	facts_u64(f, F_BODY, &q->end_ns);
	facts_u32(f, F_BODY, &q->how);
	facts_u32(f, F_BODY, &q->status);
}

static void write_process(struct facts *f, const struct profile *p, uint32_t id)
{
	struct profile_process q = p->processes.v[id];
	struct rec_process r = {0};
	uint32_t boot_id = 0;
	size_t n;
	const char *bytes = id ? intern_bytes(&p->process_keys, id, &n) : NULL;

	if (bytes) { /* profile_process made it */
		uint64_t key[4];

		memcpy(key, bytes, sizeof key);
		boot_id = (uint32_t)(key[0] >> 32);
		q.host = (uint32_t)key[0];
		r.host = (uint32_t)(key[1] >> 32);
	}
	facts_process(f, &q, &r, &boot_id);
}

static void map_process(struct facts *f, const struct facts_map *m, struct profile_process *q, uint32_t *boot_id)
{
	facts_translate(f, &m->strings, boot_id);
	facts_translate(f, &m->strings, &q->host);
	facts_translate(f, &m->strings, &q->version);
	facts_translate(f, &m->strings, &q->exe);
	facts_translate(f, &m->strings, &q->cwd);
	facts_translate(f, &m->strings, &q->prefix);
	facts_translate(f, &m->strings, &q->base_prefix);
	for (size_t i = 0; i < q->cmdline.n; i++)
		facts_translate(f, &m->strings, &q->cmdline.v[i]);
	for (size_t i = 0; i < q->sys_path.n; i++)
		facts_translate(f, &m->strings, &q->sys_path.v[i]);
}

/* What a stream would have done to the process, in the end. */
static int read_process(struct facts *f, struct profile *p, const struct facts_map *m, uint32_t id, uint32_t *global)
{
	struct profile_process q = {0}, *to;
	struct rec_process r = {0};
	uint32_t boot_id = 0;
	int rc = 0;

	facts_process(f, &q, &r, &boot_id);
	map_process(f, m, &q, &boot_id);
	r.pid = q.pid, r.ns_pid = q.ns_pid, r.parent_pid = q.parent_pid, r.exec_number = q.exec_number;
	r.flags = q.flags, r.uid = q.uid, r.version_hex = q.version_hex, r.build = q.build;
	r.start_ns = q.start_ns, r.seen_ns = q.seen_ns;
	*global = 0;
	if (!f->is_bad && !f->rc && id)
		rc = profile_process(p, q.host, boot_id, &r, global);
	if (f->is_bad || f->rc || rc) {
		vec_free(&q.cmdline);
		vec_free(&q.sys_path);
		return rc;
	}
	to = &p->processes.v[*global];
	if (q.has_ended)
		to->has_ended = true, to->end_ns = q.end_ns, to->how = q.how, to->status = q.status;
	if (id) {
		to->version = q.version, to->exe = q.exe, to->cwd = q.cwd;
		to->prefix = q.prefix, to->base_prefix = q.base_prefix;
		vec_free(&to->cmdline);
		vec_free(&to->sys_path);
		memcpy(&to->cmdline, &q.cmdline, sizeof to->cmdline);
		memcpy(&to->sys_path, &q.sys_path, sizeof to->sys_path);
	} else {
		vec_free(&q.cmdline);
		vec_free(&q.sys_path);
	}
	return 0;
}

static void facts_thread(struct facts *f, struct profile_thread *t)
{
	facts_u32(f, F_BODY, &t->process);
	facts_u32(f, F_BODY, &t->tid);
	facts_u32(f, F_BODY, &t->ns_tid);
	facts_u32(f, F_BODY, &t->interpreter);
	facts_u32(f, F_BODY, &t->name);
	facts_u32(f, F_BODY, &t->flags);
	facts_u32(f, F_BODY, &t->kind);
	facts_u64(f, F_BODY, &t->start_ns);
	facts_u64(f, F_BODY, &t->pthread);
	facts_bool(f, &t->has_ended);
	facts_u64(f, F_BODY, &t->end_ns);
	facts_u64(f, F_BODY, &t->cpu_unsampled_ns);
}

static int read_thread(struct facts *f, struct profile *p, const struct facts_map *m, uint32_t id, uint32_t *global)
{
	struct profile_thread t = {0}, *to;

	facts_thread(f, &t);
	facts_translate(f, &m->processes, &t.process);
	facts_translate(f, &m->strings, &t.name);
	*global = 0;
	if (f->is_bad)
		return 0;
	if (id)
		TRY(profile_thread(p, t.process,
		                   &(struct rec_thread){.tid = t.tid,
		                                        .ns_tid = t.ns_tid,
		                                        .start_ns = t.start_ns,
		                                        .interpreter = t.interpreter,
		                                        .pthread = t.pthread,
		                                        .flags = t.flags,
		                                        .kind = t.kind},
		                   global));
	to = &p->threads.v[*global];
	to->name = t.name ? t.name : to->name;
	if (t.has_ended)
		to->has_ended = true, to->end_ns = t.end_ns;
	if (__builtin_add_overflow(to->cpu_unsampled_ns, t.cpu_unsampled_ns, &to->cpu_unsampled_ns))
		to->cpu_unsampled_ns = UINT64_MAX;
	return 0;
}

static void write_one(enum facts_kind kind, struct facts *f, const struct profile *p, uint32_t id)
{
	struct profile_function g;
	struct profile_location l;
	struct profile_thread t;

	switch (kind) {
	case FACTS_STRINGS:
		write_text(f, &p->strings, id);
		break;
	case FACTS_MODULES:
		write_text(f, &p->modules, id);
		break;
	case FACTS_FUNCTIONS:
		g = profile_function_of(p, id);
		facts_function(f, &g);
		break;
	case FACTS_LOCATIONS:
		l = profile_location_of(p, id);
		facts_location(f, &l);
		break;
	case FACTS_STACKS:
		encode_varint(f->out[2], id - p->stacks.v[id].parent);
		encode_varint(f->out[3], p->stacks.v[id].location);
		break;
	case FACTS_PROCESSES:
		write_process(f, p, id);
		break;
	default:
		t = p->threads.v[id];
		facts_thread(f, &t);
		break;
	}
}

static uint32_t facts_n(enum facts_kind kind, const struct profile *p)
{
	const uint32_t n[FACTS_END_] = {
	    [FACTS_STRINGS] = p->strings.n,           [FACTS_MODULES] = p->modules.n,
	    [FACTS_FUNCTIONS] = p->functions.n,       [FACTS_LOCATIONS] = p->locations.n,
	    [FACTS_STACKS] = (uint32_t)p->stacks.n,   [FACTS_PROCESSES] = (uint32_t)p->processes.n,
	    [FACTS_THREADS] = (uint32_t)p->threads.n,
	};

	return n[kind];
}

int facts_write_dictionary(enum facts_kind kind, const struct profile *p, uint32_t first, uint32_t *n, struct pack *k,
                           struct buf *out)
{
	uint32_t all = facts_n(kind, p), at = first;
	size_t bytes = 0;
	struct facts f;

	facts_begin(&f, k, true);
	for (; at < all && at - first < FACTS_PART && bytes < DICTIONARY_BYTES; at++) {
		write_one(kind, &f, p, at);
		bytes = f.out[F_BODY]->len + f.out[3]->len;
	}
	*n = at - first;
	encode_varint(f.out[F_HEAD], kind);
	encode_varint(f.out[F_HEAD], first);
	encode_varint(f.out[F_HEAD], *n);
	return pack_seal(k, F_COLUMNS, out);
}

static int read_one(enum facts_kind kind, struct facts *f, struct profile *p, struct facts_map *m, uint32_t *global)
{
	switch (kind) {
	case FACTS_STRINGS:
		return read_text(f, &p->strings, global);
	case FACTS_MODULES:
		return read_text(f, &p->modules, global);
	case FACTS_FUNCTIONS:
		return read_function(f, p, m, global);
	case FACTS_LOCATIONS:
		return read_location(f, p, m, global);
	case FACTS_STACKS:
		return read_stack(f, p, m, global);
	case FACTS_PROCESSES:
		return read_process(f, p, m, (uint32_t)m->processes.n, global);
	default:
		return read_thread(f, p, m, (uint32_t)m->threads.n, global);
	}
}

int facts_read_dictionary(enum facts_kind kind, struct profile *p, struct facts_map *m, struct pack *k, const void *b,
                          size_t n)
{
	struct facts_ids *const maps[FACTS_END_] = {
	    [FACTS_STRINGS] = &m->strings,     [FACTS_MODULES] = &m->modules, [FACTS_FUNCTIONS] = &m->functions,
	    [FACTS_LOCATIONS] = &m->locations, [FACTS_STACKS] = &m->stacks,   [FACTS_PROCESSES] = &m->processes,
	    [FACTS_THREADS] = &m->threads,
	};
	struct facts_ids *to = maps[kind];
	struct facts f;

	TRY(pack_open(k, F_COLUMNS, b, n));
	facts_begin(&f, k, false);
	uint32_t is = unpack_max(&f.in[F_HEAD], UINT32_MAX), first = unpack_max(&f.in[F_HEAD], UINT32_MAX),
	         count = unpack_max(&f.in[F_HEAD], FACTS_PART);

	if (is != kind || first != to->n)
		return ERR_DAMAGED;
	if (!vec_room(to, count))
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t global = 0;

		TRY(read_one(kind, &f, p, m, &global));
		if (f.is_bad || f.rc)
			break;
		to->v[to->n++] = global;
	}
	return facts_end(&f);
}

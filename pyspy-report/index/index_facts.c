#include "pyspy-report/index/index_facts.h"

#include <string.h>

#include "format/encode.h"
#include "libcommon/err.h"

enum { F_HEAD, F_BODY, F_COLUMNS = 8, PART = 1 << 20, PART_BYTES = 16 << 20, STRINGS_MAX = 1 << 26 };

#define FACTS_MAX_N (UINT64_C(1) << 58) /* samples; no stream can hold so many */

/* One value after the other, out or in. */
struct facts {
	bool writes;
	struct buf *out[F_COLUMNS];
	struct unpack in[F_COLUMNS];
	bool is_bad; /* reading: ids that are not there, and what else no index says */
	int rc;      /* ERR_NO_MEMORY */
};

static void facts_begin(struct facts *f, struct pack *k, bool writes)
{
	*f = (struct facts){.writes = writes};
	if (writes)
		pack_clear(k);
	for (unsigned i = 0; i < F_COLUMNS; i++) {
		f->out[i] = &k->columns[i];
		f->in[i] = unpack_column(k, i);
	}
}

static int facts_end(const struct facts *f)
{
	bool is_over = true;

	for (unsigned i = 0; i < F_COLUMNS && !f->writes; i++)
		is_over &= unpack_is_over(&f->in[i]);
	return f->rc ? f->rc : is_over && !f->is_bad ? 0 : ERR_DAMAGED;
}

static void facts_u64(struct facts *f, unsigned column, uint64_t *v)
{
	if (f->writes)
		encode_varint(f->out[column], *v);
	else
		*v = unpack_u64(&f->in[column]);
}

static void facts_u32(struct facts *f, unsigned column, uint32_t *v)
{
	if (f->writes)
		encode_varint(f->out[column], *v);
	else
		*v = unpack_max(&f->in[column], UINT32_MAX);
}

static void facts_i64(struct facts *f, unsigned column, int64_t *v)
{
	if (f->writes)
		encode_zigzag(f->out[column], *v);
	else
		*v = unpack_i64(&f->in[column]);
}

static void facts_i32(struct facts *f, unsigned column, int32_t *v)
{
	int64_t wide = *v;

	facts_i64(f, column, &wide);
	if (wide < INT32_MIN || wide > INT32_MAX)
		f->is_bad = true;
	else
		*v = (int32_t)wide;
}

static void facts_bool(struct facts *f, bool *v)
{
	if (f->writes)
		encode_varint(f->out[F_BODY], *v);
	else
		*v = unpack_max(&f->in[F_BODY], 1) != 0;
}

/* How many follow; each has at least one byte in F_BODY. */
static uint32_t facts_count(struct facts *f, size_t n)
{
	if (f->writes) {
		encode_varint(f->out[F_BODY], n);
		return (uint32_t)n;
	}
	size_t most = (size_t)(f->in[F_BODY].end - f->in[F_BODY].p);
	return unpack_max(&f->in[F_BODY], most < UINT32_MAX ? most : UINT32_MAX);
}

static void facts_bytes(struct facts *f, void *bytes, size_t n)
{
	if (f->writes) {
		buf_put(f->out[F_BODY], bytes, n);
		return;
	}
	const uint8_t *from = unpack_bytes(&f->in[F_BODY], n);
	if (from)
		memcpy(bytes, from, n);
}

/* A text of its own; *text is NULL before it is read. */
static void facts_text(struct facts *f, char **text)
{
	uint32_t n = facts_count(f, f->writes && *text ? strlen(*text) : 0);

	if (!f->writes) {
		*text = calloc(1, (size_t)n + 1);
		if (!*text) {
			f->rc = ERR_NO_MEMORY;
			return;
		}
	}
	if (n)
		facts_bytes(f, *text, n);
}

/* An array of ids. */
#define facts_ids(f, vec)                                                                                              \
	do {                                                                                                           \
		bool writes_ = (f)->writes;                                                                            \
		uint32_t n_ = facts_count(f, (vec)->n);                                                                \
		for (uint32_t i_ = 0; i_ < n_ && !(f)->rc; i_++)                                                       \
			if (!writes_ && !vec_push(vec, 0))                                                             \
				(f)->rc = ERR_NO_MEMORY;                                                               \
			else                                                                                           \
				facts_u32(f, F_BODY, &(vec)->v[i_]);                                                   \
	} while (0)

void facts_map_done(struct facts_map *m)
{
	vec_free(&m->strings);
	vec_free(&m->modules);
	vec_free(&m->functions);
	vec_free(&m->locations);
	vec_free(&m->stacks);
	vec_free(&m->processes);
	vec_free(&m->threads);
}

int facts_map_begin(struct facts_map *m)
{
	facts_map_done(m);
	return vec_push(&m->strings, 0) && vec_push(&m->modules, 0) && vec_push(&m->functions, 0) &&
	               vec_push(&m->locations, 0) && vec_push(&m->stacks, 0)
	           ? 0
	           : ERR_NO_MEMORY;
}

/* ---- dictionaries */

#define translate(f, vec, id)                                                                                          \
	do {                                                                                                           \
		if (*(id) < (vec)->n)                                                                                  \
			*(id) = (vec)->v[*(id)];                                                                       \
		else                                                                                                   \
			(f)->is_bad = true, *(id) = 0;                                                                 \
	} while (0)

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
	translate(f, &m->functions, &l.function);
	translate(f, &m->modules, &l.module);
	translate(f, &m->strings, &l.symbol);
	return f->is_bad ? 0 : profile_location(p, &l, global);
}

static int read_function(struct facts *f, struct profile *p, const struct facts_map *m, uint32_t *global)
{
	struct profile_function g = {0};

	facts_function(f, &g);
	translate(f, &m->strings, &g.module);
	translate(f, &m->strings, &g.qualname);
	translate(f, &m->strings, &g.file);
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
	translate(f, &m->strings, boot_id);
	translate(f, &m->strings, &q->host);
	translate(f, &m->strings, &q->version);
	translate(f, &m->strings, &q->exe);
	translate(f, &m->strings, &q->cwd);
	translate(f, &m->strings, &q->prefix);
	translate(f, &m->strings, &q->base_prefix);
	for (size_t i = 0; i < q->cmdline.n; i++)
		translate(f, &m->strings, &q->cmdline.v[i]);
	for (size_t i = 0; i < q->sys_path.n; i++)
		translate(f, &m->strings, &q->sys_path.v[i]);
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
	translate(f, &m->processes, &t.process);
	translate(f, &m->strings, &t.name);
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
	for (; at < all && at - first < PART && bytes < PART_BYTES; at++) {
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
	         count = unpack_max(&f.in[F_HEAD], PART);

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

/* ---- inputs and recordings */

void facts_input_done(struct facts_input *i)
{
	for (size_t n = 0; n < i->damage.n; n++)
		free((char *)i->damage.v[n].what);
	vec_free(&i->damage);
	free(i->name);
	*i = (struct facts_input){0};
}

static void facts_damage(struct facts *f, struct profile_damage *d)
{
	uint32_t problem = (uint32_t)d->problem;
	char *what = (char *)d->what;

	facts_u32(f, F_BODY, &problem);
	facts_u64(f, F_BODY, &d->offset);
	facts_u64(f, F_BODY, &d->bytes);
	facts_u64(f, F_BODY, &d->blocks);
	facts_u64(f, F_BODY, &d->samples);
	facts_text(f, &what);
	d->problem = problem <= INT8_MAX ? (int)problem : 0;
	d->what = what;
}

static void facts_of_input(struct facts *f, struct facts_input *i)
{
	facts_text(f, &i->name);
	facts_u64(f, F_BODY, &i->size);
	facts_i64(f, F_BODY, &i->mtime_ns);
	facts_u32(f, F_BODY, &i->ends_crc);
	facts_u32(f, F_BODY, &i->whole_crc);
	facts_u64(f, F_BODY, &i->bytes);
	facts_u32(f, F_BODY, &i->first_recording);
	facts_u32(f, F_BODY, &i->n_recordings);
	facts_u64(f, F_BODY, &i->n_damage);
	facts_u64(f, F_BODY, &i->damaged_bytes);
	facts_u64(f, F_BODY, &i->missing_blocks);
	facts_u64(f, F_BODY, &i->missing_samples);
	uint32_t n = facts_count(f, i->damage.n);
	for (uint32_t k = 0; k < n && !f->rc && !f->in[F_BODY].is_bad; k++) {
		if (!f->writes && !vec_push(&i->damage, (struct profile_damage){0})) {
			f->rc = ERR_NO_MEMORY;
			return;
		}
		facts_damage(f, &i->damage.v[k]);
	}
	f->is_bad |= n > PROFILE_MAX_DAMAGE;
}

int facts_write_input(struct facts_input *i, struct pack *k, struct buf *out)
{
	struct facts f;

	facts_begin(&f, k, true);
	facts_of_input(&f, i);
	return f.rc ? f.rc : pack_seal(k, F_COLUMNS, out);
}

int facts_read_input(struct facts_input *i, struct pack *k, const void *b, size_t n)
{
	struct facts f;

	TRY(pack_open(k, F_COLUMNS, b, n));
	facts_begin(&f, k, false);
	facts_of_input(&f, i);
	return facts_end(&f);
}

void facts_recording_done(struct facts_recording *r)
{
	vec_free(&r->chunks);
	vec_free(&r->facts.options);
	vec_free(&r->facts.notes);
	*r = (struct facts_recording){0};
}

static void facts_file(struct facts *f, struct rec_file *r)
{
	uint32_t major = r->major, minor = r->minor;

	facts_u32(f, F_BODY, &major);
	facts_u32(f, F_BODY, &minor);
	r->major = (uint16_t)major;
	r->minor = (uint16_t)minor;
	facts_u32(f, F_BODY, &r->flags);
	facts_bytes(f, r->uuid, sizeof r->uuid);
	facts_i64(f, F_BODY, &r->realtime_ns);
	facts_u64(f, F_BODY, &r->boottime_ns);
}

static void facts_totals(struct facts *f, struct profile_recording *r)
{
	facts_u64(f, F_BODY, &r->begin_ns);
	facts_u64(f, F_BODY, &r->end_ns);
	facts_u64(f, F_BODY, &r->shown_begin_ns);
	facts_u64(f, F_BODY, &r->shown_end_ns);
	facts_i64(f, F_BODY, &r->anchor_ns);
	facts_u64(f, F_BODY, &r->n_blocks);
	facts_u64(f, F_BODY, &r->n_epochs);
	facts_u64(f, F_BODY, &r->n_ticks);
	facts_u64(f, F_BODY, &r->n_events);
	facts_u64(f, F_BODY, &r->n_samples);
	facts_u64(f, F_BODY, &r->sampled_ns);
	facts_u64(f, F_BODY, &r->not_sampled_ns);
	facts_u64(f, F_BODY, &r->absent_ticks);
	facts_u64(f, F_BODY, &r->failed_ticks);
	for (unsigned i = 0; i < WIRE_LOST_END_; i++)
		facts_u64(f, F_BODY, &r->lost[i]);
	for (unsigned i = 0; i < WIRE_COUNTER_END_; i++)
		facts_u64(f, F_BODY, &r->counters[i]);
	facts_u32(f, F_BODY, &r->has_counter);
	for (unsigned i = 0; i < WIRE_STOP_LENGTHS; i++)
		facts_u64(f, F_BODY, &r->stop_lengths[i]);
}

static void facts_profile_recording(struct facts *f, struct profile_recording *r)
{
	facts_bool(f, &r->has_file_header);
	facts_bool(f, &r->has_facts);
	facts_bool(f, &r->has_end);
	facts_bool(f, &r->is_closed);
	facts_file(f, &r->file);
	facts_u32(f, F_BODY, &r->host);
	facts_u32(f, F_BODY, &r->kernel);
	facts_u32(f, F_BODY, &r->machine);
	facts_u32(f, F_BODY, &r->boot_id);
	facts_u32(f, F_BODY, &r->recorder);
	facts_ids(f, &r->options);
	bool writes = f->writes;
	uint32_t n = facts_count(f, r->notes.n);
	for (uint32_t i = 0; i < n && !f->rc; i++) {
		if (!writes && !vec_push(&r->notes, (struct profile_note){0})) {
			f->rc = ERR_NO_MEMORY;
			return;
		}
		facts_u32(f, F_BODY, &r->notes.v[i].key);
		facts_u32(f, F_BODY, &r->notes.v[i].value);
	}
	facts_u64(f, F_BODY, &r->mean_gap_ns);
	facts_u64(f, F_BODY, &r->started_ns);
	facts_u32(f, F_BODY, &r->schedule);
	facts_u32(f, F_BODY, &r->engine);
	facts_u32(f, F_BODY, &r->view_defaults);
	facts_u32(f, F_BODY, &r->kernel_hz);
	facts_u32(f, F_BODY, &r->stop_ppm);
	facts_u32(f, F_BODY, &r->cpu_ppm);
	facts_bool(f, &r->has_rates);
	facts_u64(f, F_BODY, &r->end.time_ns);
	facts_u32(f, F_BODY, &r->end.reason);
	facts_u32(f, F_BODY, &r->end.how);
	facts_u32(f, F_BODY, &r->end.status);
	facts_totals(f, r);
}

static void facts_of_chunk(struct facts *f, struct facts_chunk *c)
{
	facts_u64(f, 2, &c->id);
	facts_u32(f, 2, &c->epoch);
	facts_u64(f, 3, &c->begin_ns);
	facts_u64(f, 3, &c->end_ns);
	facts_i64(f, 4, &c->least_anchor_ns);
	facts_i64(f, 4, &c->most_anchor_ns);
	facts_u64(f, 3, &c->first_ns);
	facts_u64(f, 3, &c->last_ns);
	facts_u64(f, 2, &c->n_events);
	facts_u64(f, 5, &c->mean_gap_ns);
	facts_u64(f, 5, &c->started_ns);
	facts_u64(f, 6, &c->n);
	facts_u64(f, 6, &c->wall_ns);
	facts_u64(f, 6, &c->cpu_ns);
	facts_u32(f, 7, &c->flags);
	facts_u32(f, 7, &c->n_threads);
	f->is_bad |= c->n_threads > FACTS_MANY;
	for (uint32_t i = 0; i < c->n_threads && c->n_threads < FACTS_MANY; i++)
		facts_u32(f, 7, &c->threads[i]);
}

static void facts_of_recording(struct facts *f, struct facts_recording *r)
{
	uint32_t n = (uint32_t)r->chunks.n;

	facts_u32(f, F_HEAD, &r->input);
	facts_u32(f, F_HEAD, &n);
	facts_u64(f, F_HEAD, &r->n_rows);
	facts_bool(f, &r->has_tally);
	facts_profile_recording(f, &r->facts);
	for (uint32_t i = 0; i < n && !f->rc && !f->in[2].is_bad; i++) {
		if (!f->writes && !vec_push(&r->chunks, (struct facts_chunk){0})) {
			f->rc = ERR_NO_MEMORY;
			return;
		}
		facts_of_chunk(f, &r->chunks.v[i]);
	}
}

int facts_write_recording(struct facts_recording *r, struct pack *k, struct buf *out)
{
	struct facts f;

	facts_begin(&f, k, true);
	facts_of_recording(&f, r);
	return f.rc ? f.rc : pack_seal(k, F_COLUMNS, out);
}

int facts_read_recording(struct facts_recording *r, struct pack *k, const void *b, size_t n)
{
	struct facts f;

	TRY(pack_open(k, F_COLUMNS, b, n));
	facts_begin(&f, k, false);
	facts_of_recording(&f, r);
	/* sums of them must not overflow either */
	for (size_t i = 0; i < r->chunks.n; i++)
		f.is_bad |= r->chunks.v[i].n >= FACTS_MAX_N;
	return facts_end(&f);
}

int facts_map_recording(const struct facts_map *m, struct profile_recording *r)
{
	struct facts f = {0};

	translate(&f, &m->strings, &r->host);
	translate(&f, &m->strings, &r->kernel);
	translate(&f, &m->strings, &r->machine);
	translate(&f, &m->strings, &r->boot_id);
	translate(&f, &m->strings, &r->recorder);
	for (size_t i = 0; i < r->options.n; i++)
		translate(&f, &m->strings, &r->options.v[i]);
	for (size_t i = 0; i < r->notes.n; i++) {
		translate(&f, &m->strings, &r->notes.v[i].key);
		translate(&f, &m->strings, &r->notes.v[i].value);
	}
	return f.is_bad ? ERR_DAMAGED : 0;
}

/* ---- the tally */

static void facts_row(struct facts *f, struct tally_row *r)
{
	facts_u32(f, 1, &r->thread);
	facts_u32(f, 2, &r->stack);
	facts_u32(f, 3, &r->flags);
	facts_u64(f, 4, &r->n);
	facts_u64(f, 5, &r->wall_ns);
	facts_u64(f, 6, &r->cpu_ns);
}

int facts_write_tally(const struct tally *t, size_t first, size_t *n, struct pack *k, struct buf *out)
{
	struct facts f;

	*n = t->rows.n - first < PART ? t->rows.n - first : PART;
	facts_begin(&f, k, true);
	encode_varint(f.out[F_HEAD], first);
	encode_varint(f.out[F_HEAD], *n);
	for (size_t i = first; i < first + *n; i++) {
		struct tally_row r = t->rows.v[i];

		facts_row(&f, &r);
	}
	return pack_seal(k, F_COLUMNS, out);
}

int facts_read_tally(struct profile *p, const struct facts_map *m, struct pack *k, const void *b, size_t n)
{
	struct facts f;

	TRY(pack_open(k, F_COLUMNS, b, n));
	facts_begin(&f, k, false);
	unpack_u64(&f.in[F_HEAD]);
	for (uint32_t count = unpack_max(&f.in[F_HEAD], PART); count > 0; count--) {
		struct tally_row r = {0};

		facts_row(&f, &r);
		translate(&f, &m->threads, &r.thread);
		translate(&f, &m->stacks, &r.stack);
		f.is_bad |= r.n >= FACTS_MAX_N;
		if (f.is_bad)
			return ERR_DAMAGED;
		r.wall_ns = profile_take_time(p, r.wall_ns);
		TRY(tally_add(&p->tally, &r));
	}
	TRY(tally_flush(&p->tally));
	return facts_end(&f);
}

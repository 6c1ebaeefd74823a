#include "pyspy-report/index/index_facts_parts.h"

#include <stdlib.h>
#include <string.h>

void facts_begin(struct facts *f, struct pack *k, bool writes)
{
	*f = (struct facts){.writes = writes};
	if (writes)
		pack_clear(k);
	for (unsigned i = 0; i < F_COLUMNS; i++) {
		f->out[i] = &k->columns[i];
		f->in[i] = unpack_column(k, i);
	}
}

int facts_end(const struct facts *f)
{
	bool is_over = true;

	for (unsigned i = 0; i < F_COLUMNS && !f->writes; i++)
		is_over &= unpack_is_over(&f->in[i]);
	return f->rc ? f->rc : is_over && !f->is_bad ? 0 : ERR_DAMAGED;
}

void facts_u64(struct facts *f, unsigned column, uint64_t *v)
{
	if (f->writes)
		encode_varint(f->out[column], *v);
	else
		*v = unpack_u64(&f->in[column]);
}

void facts_u32(struct facts *f, unsigned column, uint32_t *v)
{
	if (f->writes)
		encode_varint(f->out[column], *v);
	else
		*v = unpack_max(&f->in[column], UINT32_MAX);
}

void facts_i64(struct facts *f, unsigned column, int64_t *v)
{
	if (f->writes)
		encode_zigzag(f->out[column], *v);
	else
		*v = unpack_i64(&f->in[column]);
}

void facts_i32(struct facts *f, unsigned column, int32_t *v)
{
	int64_t wide = *v;

	facts_i64(f, column, &wide);
	if (wide < INT32_MIN || wide > INT32_MAX)
		f->is_bad = true;
	else
		*v = (int32_t)wide;
}

void facts_bool(struct facts *f, bool *v)
{
	if (f->writes)
		encode_varint(f->out[F_BODY], *v);
	else
		*v = unpack_max(&f->in[F_BODY], 1) != 0;
}

uint32_t facts_count(struct facts *f, size_t n)
{
	if (f->writes) {
		encode_varint(f->out[F_BODY], n);
		return (uint32_t)n;
	}
	size_t most = (size_t)(f->in[F_BODY].end - f->in[F_BODY].p);
	return unpack_max(&f->in[F_BODY], most < UINT32_MAX ? most : UINT32_MAX);
}

void facts_bytes(struct facts *f, void *bytes, size_t n)
{
	if (f->writes) {
		buf_put(f->out[F_BODY], bytes, n);
		return;
	}
	const uint8_t *from = unpack_bytes(&f->in[F_BODY], n);
	if (from)
		memcpy(bytes, from, n);
}

void facts_text(struct facts *f, char **text)
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

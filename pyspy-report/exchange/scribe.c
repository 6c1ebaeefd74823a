#include "pyspy-report/exchange/scribe.h"

#include <string.h>

#include "libcommon/err.h"

enum { SCRIBE_LEVEL = 1, SCRIBE_BATCH_BYTES = 2 << 20, SCRIBE_CERTIFY_AT_ONCE = 1 << 18 };

/* What makes two locations the same. */
struct scribe_location_key {
	uint32_t is_native, function, module, symbol, flags;
	int32_t line, end_line, column, end_column;
	uint32_t unused_;
	uint64_t offset;
};

static const enum wire_record batch_types[SCRIBE_PARTS] = {
    [SCRIBE_STRINGS] = WIRE_STRINGS,
    [SCRIBE_FUNCTIONS] = WIRE_FUNCTIONS,
    [SCRIBE_LOCATIONS] = WIRE_LOCATIONS,
    [SCRIBE_STACKS] = WIRE_STACKS,
};

static int forget(struct scribe *s)
{
	intern_clear(&s->strings);
	intern_clear(&s->modules);
	intern_clear(&s->functions);
	intern_clear(&s->locations);
	map_clear(&s->stacks);
	s->n_stacks = s->n_modules = 1;
	s->certified.n = s->first_modules.n = 0;
	return vec_push(&s->certified, 1) ? 0 : ERR_NO_MEMORY; /* stack 0 */
}

int scribe_init(struct scribe *s, FILE *to)
{
	memset(s, 0, sizeof *s);
	s->to = to;
	map_init(&s->stacks, WIRE_IDS_MAX);
	for (int i = 0; i < SCRIBE_PARTS; i++) {
		encode_batch_init(&s->batches[i]);
		buf_init(&s->parts[i].bytes, 0);
	}
	buf_init(&s->content, 0);
	buf_init(&s->sealed, 0);
	s->sealer = block_sealer_new(SCRIBE_LEVEL);
	TRY(s->sealer ? 0 : ERR_NO_MEMORY);
	TRY(intern_init(&s->strings, 1 << 30));
	TRY(intern_init(&s->modules, 1 << 30));
	TRY(intern_init(&s->functions, 1 << 30));
	TRY(intern_init(&s->locations, 1 << 30));
	return forget(s);
}

void scribe_done(struct scribe *s)
{
	intern_done(&s->strings);
	intern_done(&s->modules);
	intern_done(&s->functions);
	intern_done(&s->locations);
	map_done(&s->stacks);
	vec_free(&s->certified);
	vec_free(&s->to_certify);
	vec_free(&s->first_modules);
	for (int i = 0; i < SCRIBE_PARTS; i++) {
		encode_batch_done(&s->batches[i]);
		buf_done(&s->parts[i].bytes);
		vec_free(&s->parts[i].records);
	}
	buf_done(&s->content);
	buf_done(&s->sealed);
	if (s->sealer)
		block_sealer_free(s->sealer);
}

static int put_header(struct scribe *s)
{
	if (!s->owes_header)
		return 0;
	s->owes_header = false;
	buf_reset(&s->sealed);
	encode_file_header(&s->sealed, &s->file);
	TRY(s->sealed.err);
	fwrite(s->sealed.data, 1, s->sealed.len, s->to);
	return 0;
}

int scribe_finish(struct scribe *s)
{
	return s->may_be_empty ? 0 : put_header(s);
}

int scribe_file(struct scribe *s, const struct rec_file *f, bool may_be_empty)
{
	TRY(scribe_finish(s));
	s->file = *f;
	s->file.major = WIRE_MAJOR;
	s->file.minor = WIRE_MINOR;
	s->file.flags = 0;
	s->has_file = true;
	s->sequence = 0;
	s->epoch = UINT32_MAX;
	s->samples = 0;
	s->owes_header = true;
	s->may_be_empty = may_be_empty;
	return 0;
}

int scribe_epoch(struct scribe *s, bool *is_fresh)
{
	size_t bytes = s->strings.len + s->modules.len + s->functions.len + s->locations.len;

	*is_fresh = !s->has_epoch || (!s->keeps_ids && (s->n_stacks > SCRIBE_MAX_STACKS || bytes > SCRIBE_MAX_BYTES));
	s->goes_on = !*is_fresh;
	s->has_epoch = s->begins_epoch = true;
	s->epoch++;
	scribe_forget(s, SCRIBE_RECORDING);
	scribe_forget(s, SCRIBE_ACTORS);
	return *is_fresh && !s->keeps_ids ? forget(s) : 0;
}

static int flush_batch(struct scribe *s, enum scribe_part part)
{
	if (!s->batches[part].n)
		return 0;
	encode_batch_flush(&s->batches[part], batch_types[part], &s->parts[part].bytes);
	return scribe_end(s, part, 0, 0);
}

/* Room for one more entry with this id in the part's batch. */
static struct encode_batch *batch_for(struct scribe *s, enum scribe_part part, uint32_t id, int *rc)
{
	struct encode_batch *t = &s->batches[part];

	*rc = id >= SCRIBE_HOLE ? ERR_FULL : 0;
	if (!*rc && t->n && (t->body.len > SCRIBE_BATCH_BYTES || t->first + t->n != id))
		*rc = flush_batch(s, part);
	return t;
}

int scribe_string(struct scribe *s, const char *p, size_t n, str_id *id)
{
	bool is_new;
	int rc;

	TRY(intern_get(&s->strings, p, n, id, &is_new));
	if (!is_new || !*id)
		return 0;
	struct encode_batch *t = batch_for(s, SCRIBE_STRINGS, *id, &rc);
	TRY(rc);
	encode_add_string(t, *id, p, n);
	return 0;
}

int scribe_function(struct scribe *s, const struct rec_function *f, function_id *id)
{
	struct rec_function key = *f; /* five words: no padding */
	bool is_new;
	int rc;

	TRY(intern_get(&s->functions, &key, sizeof key, id, &is_new));
	if (!is_new)
		return 0;
	struct encode_batch *t = batch_for(s, SCRIBE_FUNCTIONS, *id, &rc);
	TRY(rc);
	encode_add_function(t, *id, f);
	return 0;
}

int scribe_location(struct scribe *s, const struct rec_location *l, location_id *id)
{
	struct scribe_location_key key = {.is_native = l->is_native};
	struct rec_function f = {0};
	bool is_new;
	int rc;

	if (l->is_native) {
		key.module = l->module;
		key.symbol = l->symbol;
		key.offset = l->offset;
	} else {
		key.function = l->function;
		key.flags = l->has_line | (uint32_t)l->has_columns << 1;
		key.line = l->has_line ? l->line : 0;
	}
	if (!l->is_native && l->has_columns) {
		key.end_line = l->end_line;
		key.column = l->column;
		key.end_column = l->end_column;
	}
	TRY(intern_get(&s->locations, &key, sizeof key, id, &is_new));
	if (!is_new)
		return 0;
	struct encode_batch *t = batch_for(s, SCRIBE_LOCATIONS, *id, &rc);
	TRY(rc);
	if (!l->is_native && l->function < s->functions.n) {
		size_t n;
		memcpy(&f, intern_bytes(&s->functions, l->function, &n), sizeof f);
	}
	encode_add_location(t, *id, l, f.first_line);
	return 0;
}

int scribe_module(struct scribe *s, const struct rec_module *m, module_id *id)
{
	struct rec_module defined = *m;
	struct buf key;
	uint32_t at;
	bool is_new;

	buf_init(&key, 0);
	buf_u32(&key, m->path);
	buf_put(&key, m->build_id, m->n_build_id);
	int rc = key.err ? key.err : intern_get(&s->modules, key.data, key.len, &at, &is_new);
	buf_done(&key);
	TRY(rc);
	defined.id = s->n_modules++;
	if (defined.id >= SCRIBE_HOLE)
		return ERR_FULL;
	while (is_new && s->first_modules.n <= at)
		if (!vec_push(&s->first_modules, defined.id))
			return ERR_NO_MEMORY;
	encode_module(scribe_begin(s, SCRIBE_MODULES), &defined);
	*id = s->first_modules.v[at];
	return scribe_end(s, SCRIBE_MODULES, 0, 0);
}

static int define_stack(struct scribe *s, stack_id parent, location_id location, bool certified, stack_id *id)
{
	int rc;

	*id = s->n_stacks;
	struct encode_batch *t = batch_for(s, SCRIBE_STACKS, *id, &rc);
	TRY(rc);
	if (!vec_push(&s->certified, certified))
		return ERR_NO_MEMORY;
	s->n_stacks++;
	encode_add_stack(t, *id, &(struct rec_stack){.parent = parent, .location = location, .certified = certified});
	return 0;
}

int scribe_stack(struct scribe *s, stack_id parent, location_id location, bool certified, stack_id *id)
{
	bool is_new;
	uint32_t *at = map_put(&s->stacks, (uint64_t)parent << 32 | location, 0, &is_new);

	if (!at)
		return s->stacks.n >= WIRE_IDS_MAX ? ERR_FULL : ERR_NO_MEMORY;
	if (is_new) {
		TRY(define_stack(s, parent, location, certified, id));
		*at = *id;
		return 0;
	}
	*id = *at;
	return certified ? scribe_certify(s, *id) : 0;
}

int scribe_private_stack(struct scribe *s, stack_id parent, location_id location, stack_id *id)
{
	return define_stack(s, parent, location, false, id);
}

int scribe_certify(struct scribe *s, stack_id id)
{
	if (id >= s->certified.n || s->certified.v[id])
		return 0;
	s->certified.v[id] = 1;
	return vec_push(&s->to_certify, id) ? 0 : ERR_NO_MEMORY;
}

struct buf *scribe_begin(struct scribe *s, enum scribe_part part)
{
	return &s->parts[part].bytes;
}

int scribe_end(struct scribe *s, enum scribe_part part, uint64_t n_samples, uint32_t n_ticks)
{
	if (s->parts[part].bytes.err)
		return s->parts[part].bytes.err;
	return vec_push(&s->parts[part].records, ((struct scribe_record){s->parts[part].bytes.len, n_samples, n_ticks}))
	           ? 0
	           : ERR_NO_MEMORY;
}

void scribe_forget(struct scribe *s, enum scribe_part part)
{
	buf_reset(&s->parts[part].bytes);
	s->parts[part].records.n = 0;
}

size_t scribe_waiting(const struct scribe *s)
{
	size_t n = 0;

	for (int i = 0; i < SCRIBE_PARTS; i++)
		n += s->parts[i].bytes.len + s->batches[i].body.len;
	return n;
}

static int flush_certified(struct scribe *s)
{
	for (size_t i = 0; i < s->to_certify.n; i += SCRIBE_CERTIFY_AT_ONCE) {
		size_t n = s->to_certify.n - i;

		encode_certify(scribe_begin(s, SCRIBE_CERTIFY), s->to_certify.v + i,
		               (uint32_t)(n < SCRIBE_CERTIFY_AT_ONCE ? n : SCRIBE_CERTIFY_AT_ONCE));
		TRY(scribe_end(s, SCRIBE_CERTIFY, 0, 0));
	}
	s->to_certify.n = 0;
	return 0;
}

static int seal(struct scribe *s, const struct rec_block *b)
{
	struct rec_block h = *b;

	TRY(put_header(s));
	h.flags = (b->flags & WIRE_BLOCK_LAST) | (s->begins_epoch ? WIRE_BLOCK_EPOCH : 0) |
	          (s->goes_on ? WIRE_BLOCK_GOES_ON : 0);
	h.sequence = s->sequence++;
	h.epoch = s->epoch;
	h.samples_before = s->samples;
	s->samples += h.n_samples;
	memcpy(h.uuid8, s->file.uuid, sizeof h.uuid8);
	buf_reset(&s->sealed);
	TRY(s->content.err);
	TRY(block_seal(s->sealer, &h, s->content.data, s->content.len, &s->sealed));
	TRY(s->sealed.err);
	fwrite(s->sealed.data, 1, s->sealed.len, s->to);
	s->begins_epoch = false;
	buf_reset(&s->content);
	return 0;
}

/* One record goes to the content; what was there is sealed first, when it is full. */
static int pack(struct scribe *s, const struct rec_block *b, struct rec_block *now, const unsigned char *p, size_t n)
{
	if (n > WIRE_CONTENT_MAX)
		return ERR_FULL;
	if (s->content.len + n > WIRE_CONTENT_MAX) {
		now->end_ns = now->n_ticks ? b->end_ns : now->begin_ns; /* the time belongs to the ticks */
		TRY(seal(s, now));
		*now = (struct rec_block){.begin_ns = now->end_ns, .end_ns = b->end_ns, .anchor_ns = b->anchor_ns};
	}
	buf_put(&s->content, p, n);
	return s->content.err;
}

int scribe_block(struct scribe *s, const struct rec_block *b)
{
	struct rec_block now = {.begin_ns = b->begin_ns, .end_ns = b->end_ns, .anchor_ns = b->anchor_ns};

	for (int i = 0; i < SCRIBE_PARTS; i++)
		TRY(flush_batch(s, i));
	TRY(flush_certified(s));
	buf_reset(&s->content);
	for (int i = 0; i < SCRIBE_PARTS; i++) {
		size_t from = 0;

		for (size_t k = 0; k < s->parts[i].records.n; k++) {
			const struct scribe_record *r = &s->parts[i].records.v[k];

			TRY(pack(s, b, &now, s->parts[i].bytes.data + from, r->end - from));
			now.n_samples += r->n_samples;
			now.n_ticks += r->n_ticks;
			from = r->end;
		}
		scribe_forget(s, i);
	}
	now.flags = b->flags;
	return seal(s, &now);
}

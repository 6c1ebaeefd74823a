#include "pyspy-record/emit/dictionary.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/utf8.h"

enum {
	/* most bytes of one definition in a block: varints of its fields */
	STRING_WIRE = 3,
	FUNCTION_WIRE = 25,
	LOCATION_WIRE = 34,
	STACK_WIRE = 9,
	ID_WIRE = 5,
	/* memory of one entry beside its bytes, with the slack of tables that double */
	INTERN_BYTES = 40,
	STACK_BYTES = 24,
	IDS_MAX = WIRE_IDS_MAX - 1,
	IDS_NEAR = WIRE_IDS_MAX / 4 * 3,
};
/* definitions that wait for a flush; a block has room for them beside its samples */
#define PENDING_MAX ((size_t)WIRE_CONTENT_MAX / 2)

int dictionary_init(struct dictionary *d, size_t max_bytes)
{
	memset(d, 0, sizeof *d);
	d->max_bytes = max_bytes;
	encode_batch_init(&d->batch);
	if (intern_init(&d->strings, 0) < 0 || intern_init(&d->functions, 0) < 0 || intern_init(&d->locations, 0) < 0 ||
	    !vec_room(&d->stacks, 1)) {
		dictionary_done(d);
		return ERR_NO_MEMORY;
	}
	dictionary_clear(d);
	return 0;
}

void dictionary_done(struct dictionary *d)
{
	intern_done(&d->strings);
	intern_done(&d->functions);
	intern_done(&d->locations);
	idset_done(&d->stack_ids);
	vec_free(&d->stacks);
	vec_free(&d->certify);
	vec_free(&d->doubt);
	encode_batch_done(&d->batch);
}

void dictionary_clear(struct dictionary *d)
{
	intern_clear(&d->strings);
	intern_clear(&d->functions);
	intern_clear(&d->locations);
	idset_clear(&d->stack_ids);
	/* "no frame" is as certain as can be: walks towards the root end here */
	d->stacks.v[0] = (struct dictionary_stack){.certified = true};
	d->stacks.n = 1;
	d->certify.n = d->doubt.n = 0;
	d->sent_strings = d->sent_functions = d->sent_locations = d->sent_stacks = 1;
	d->bytes = d->pending_bytes = 0;
}

static bool has_room(const struct dictionary *d, size_t bytes, size_t wire, uint32_t next_id)
{
	return d->bytes + bytes <= d->max_bytes && d->pending_bytes + wire <= PENDING_MAX && next_id <= IDS_MAX;
}

static uint32_t refuse(struct dictionary *d)
{
	d->refused++;
	return 0;
}

static uint32_t intern_entry(struct dictionary *d, struct intern *t, const void *p, size_t n, size_t wire)
{
	uint32_t id = intern_find(t, p, n);
	if (id || n == 0)
		return id;
	size_t bytes = n + INTERN_BYTES;
	if (!has_room(d, bytes, wire, t->n) || intern_get(t, p, n, &id, NULL) < 0)
		return refuse(d);
	d->bytes += bytes;
	d->pending_bytes += wire;
	return id;
}

str_id dictionary_string(struct dictionary *d, const char *s, size_t n)
{
	static const char ellipsis[] = "\xe2\x80\xa6";
	if (n <= WIRE_STRING_WRITE_MAX)
		return intern_entry(d, &d->strings, s, n, n + STRING_WIRE);
	char cut[WIRE_STRING_WRITE_MAX];
	size_t keep = sizeof cut - (sizeof ellipsis - 1);
	while (keep > sizeof cut - 8 && ((unsigned char)s[keep] & 0xC0) == 0x80)
		keep--;
	memcpy(cut, s, keep);
	memcpy(cut + keep, ellipsis, sizeof ellipsis - 1);
	return intern_entry(d, &d->strings, cut, keep + sizeof ellipsis - 1, sizeof cut + STRING_WIRE);
}

function_id dictionary_function(struct dictionary *d, const struct rec_function *f)
{
	struct rec_function key;
	memset(&key, 0, sizeof key);
	key.kind = f->kind;
	key.module = f->module < d->strings.n ? f->module : 0;
	key.qualname = f->qualname < d->strings.n ? f->qualname : 0;
	key.file = f->file < d->strings.n ? f->file : 0;
	key.first_line = f->first_line;
	return intern_entry(d, &d->functions, &key, sizeof key, FUNCTION_WIRE);
}

location_id dictionary_location(struct dictionary *d, const struct rec_location *l)
{
	struct rec_location key; /* only what is said is compared */
	memset(&key, 0, sizeof key);
	key.is_native = l->is_native;
	if (l->is_native) {
		key.module = l->module;
		key.offset = l->offset;
		key.symbol = l->symbol < d->strings.n ? l->symbol : 0;
	} else {
		if (l->function == 0 || l->function >= d->functions.n)
			return refuse(d);
		key.function = l->function;
		key.has_line = l->has_line;
		key.line = l->has_line ? l->line : 0;
		key.has_columns =
		    l->has_line && l->has_columns && l->end_line >= l->line && l->column >= 0 && l->end_column >= 0;
		if (key.has_columns) {
			key.end_line = l->end_line;
			key.column = l->column;
			key.end_column = l->end_column;
		}
	}
	return intern_entry(d, &d->locations, &key, sizeof key, LOCATION_WIRE);
}

static struct idset_key key_of_stack(const void *dictionary, uint32_t id)
{
	const struct dictionary_stack *s = &((const struct dictionary *)dictionary)->stacks.v[id];
	return (struct idset_key){s->parent, s->location};
}

stack_id dictionary_stack(struct dictionary *d, stack_id parent, location_id location)
{
	struct idset_key key = {parent, location};
	stack_id id = idset_find(&d->stack_ids, key, key_of_stack, d);
	if (id)
		return id;
	if (parent >= d->stacks.n || location == 0 || location >= d->locations.n ||
	    !has_room(d, STACK_BYTES, STACK_WIRE, (uint32_t)d->stacks.n) || !vec_room(&d->stacks, 1) ||
	    !idset_room(&d->stack_ids, key_of_stack, d))
		return refuse(d);
	id = (stack_id)d->stacks.n;
	d->stacks.v[d->stacks.n++] = (struct dictionary_stack){.parent = parent, .location = location};
	idset_add(&d->stack_ids, key, id);
	d->bytes += STACK_BYTES;
	d->pending_bytes += STACK_WIRE;
	return id;
}

void dictionary_certify(struct dictionary *d, stack_id id)
{
	if (id >= d->stacks.n)
		return;
	size_t sent = 0;
	for (stack_id i = id; !d->stacks.v[i].certified; i = d->stacks.v[i].parent)
		sent += i < d->sent_stacks;
	/* without memory it stays uncertified: shown as in motion, never wrong */
	if (!vec_room(&d->certify, sent))
		return;
	for (; !d->stacks.v[id].certified; id = d->stacks.v[id].parent) {
		d->stacks.v[id].certified = true;
		if (id < d->sent_stacks)
			vec_push(&d->certify, id);
	}
	d->pending_bytes += sent * ID_WIRE;
}

void dictionary_doubt(struct dictionary *d, stack_id id)
{
	if (id == 0 || id >= d->stacks.n || d->stacks.v[id].doubted || !vec_push(&d->doubt, id))
		return;
	d->stacks.v[id].doubted = true;
	d->pending_bytes += ID_WIRE;
}

bool dictionary_is_nearly_full(const struct dictionary *d)
{
	return d->bytes > d->max_bytes / 4 * 3 || d->stacks.n > IDS_NEAR || d->strings.n > IDS_NEAR ||
	       d->functions.n > IDS_NEAR || d->locations.n > IDS_NEAR;
}

static void encode_strings(struct dictionary *d, struct buf *out)
{
	for (uint32_t id = d->sent_strings; id < d->strings.n; id++) {
		size_t n;
		const char *s = intern_bytes(&d->strings, id, &n);
		encode_add_string(&d->batch, id, s, n);
	}
	encode_batch_flush(&d->batch, WIRE_STRINGS, out);
	d->sent_strings = d->strings.n;
}

static struct rec_function function_at(const struct dictionary *d, function_id id)
{
	struct rec_function f;
	memcpy(&f, intern_bytes(&d->functions, id, NULL), sizeof f);
	return f;
}

static void encode_functions(struct dictionary *d, struct buf *out)
{
	for (uint32_t id = d->sent_functions; id < d->functions.n; id++) {
		struct rec_function f = function_at(d, id);
		encode_add_function(&d->batch, id, &f);
	}
	encode_batch_flush(&d->batch, WIRE_FUNCTIONS, out);
	d->sent_functions = d->functions.n;
}

static void encode_locations(struct dictionary *d, struct buf *out)
{
	for (uint32_t id = d->sent_locations; id < d->locations.n; id++) {
		struct rec_location l;
		memcpy(&l, intern_bytes(&d->locations, id, NULL), sizeof l);
		encode_add_location(&d->batch, id, &l, l.is_native ? 0 : function_at(d, l.function).first_line);
	}
	encode_batch_flush(&d->batch, WIRE_LOCATIONS, out);
	d->sent_locations = d->locations.n;
}

static void encode_stacks(struct dictionary *d, struct buf *out)
{
	for (uint32_t id = d->sent_stacks; id < d->stacks.n; id++) {
		const struct dictionary_stack *s = &d->stacks.v[id];
		encode_add_stack(
		    &d->batch, id,
		    &(struct rec_stack){.parent = s->parent, .location = s->location, .certified = s->certified});
	}
	encode_batch_flush(&d->batch, WIRE_STACKS, out);
	d->sent_stacks = (uint32_t)d->stacks.n;
}

void dictionary_encode(struct dictionary *d, struct buf *out)
{
	encode_strings(d, out);
	encode_functions(d, out);
	encode_locations(d, out);
	encode_stacks(d, out);
	encode_certify(out, d->certify.v, (uint32_t)d->certify.n);
	encode_doubt(out, d->doubt.v, (uint32_t)d->doubt.n);
	for (size_t i = 0; i < d->doubt.n; i++)
		d->stacks.v[d->doubt.v[i]].doubted = false;
	d->certify.n = d->doubt.n = 0;
	d->pending_bytes = 0;
}

#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/copyist_parts.h"

int copyist_text(struct copyist *c, enum copyist_text kind, uint32_t raw, uint32_t file, str_id *to)
{
	size_t n, n_file;
	bool is_new;

	*to = 0;
	if (!raw)
		return 0;
	uint32_t *at = map_put(&c->texts, (uint64_t)raw << 8 | kind, file, &is_new);
	if (!at)
		return ERR_NO_MEMORY;
	if (!is_new) {
		*to = *at;
		return 0;
	}
	const char *p = intern_bytes(&c->raw, raw, &n), *f = intern_bytes(&c->raw, file, &n_file);
	if (c->hooks.text) {
		buf_reset(&c->text);
		TRY(c->hooks.text(c->hooks.ctx, kind, p, n, f, n_file, &c->text));
		TRY(c->text.err);
		p = (const char *)c->text.data;
		n = c->text.len;
	}
	TRY(n ? scribe_string(c->to, p, n, to) : 0);
	*at = *to;
	return 0;
}

static int on_string(void *ctx, str_id id, const char *s, size_t n)
{
	struct copyist *c = ctx;
	uint32_t raw;

	TRY(intern_get(&c->raw, s, n, &raw, NULL));
	if (!copyist_reach(&c->strings, id))
		return ERR_NO_MEMORY;
	c->strings.v[id] = raw;
	return 0;
}

static int on_function(void *ctx, function_id id, const struct rec_function *f)
{
	struct copyist *c = ctx;

	if (!copyist_reach(&c->functions, id))
		return ERR_NO_MEMORY;
	c->functions.v[id] = (struct copyist_function){
	    .is = {.kind = f->kind,
	           .module = copyist_raw(c, f->module),
	           .qualname = copyist_raw(c, f->qualname),
	           .file = copyist_raw(c, f->file),
	           .first_line = f->first_line},
	    .is_defined = true,
	    .generation = c->generation - 1,
	};
	return 0;
}

static int function_of(struct copyist *c, function_id id, function_id *to)
{
	struct copyist_function *f = &c->functions.v[id];
	struct rec_function g = {.kind = f->is.kind, .first_line = f->is.first_line};

	if (f->generation != c->generation) {
		bool is_own = f->is.kind == WIRE_FUNCTION_PYTHON;

		TRY(copyist_text(c, is_own ? COPYIST_MODULE : COPYIST_PLAIN, f->is.module, f->is.file, &g.module));
		TRY(copyist_text(c, is_own ? COPYIST_FUNCTION : COPYIST_PLAIN, f->is.qualname, f->is.file,
		                 &g.qualname));
		TRY(copyist_text(c, COPYIST_FILE, f->is.file, 0, &g.file));
		TRY(scribe_function(c->to, &g, &f->to));
		f->generation = c->generation;
	}
	*to = f->to;
	return 0;
}

static int on_location(void *ctx, location_id id, const struct rec_location *l)
{
	struct copyist *c = ctx;

	if (!copyist_reach(&c->locations, id))
		return ERR_NO_MEMORY;
	c->locations.v[id] = (struct copyist_location){.is = *l, .is_defined = true, .generation = c->generation - 1};
	c->locations.v[id].is.symbol = copyist_raw(c, l->symbol);
	/* meant is what the ids are now */
	if (!l->is_native && !(l->function < c->functions.n && c->functions.v[l->function].is_defined))
		c->locations.v[id].is_defined = false;
	if (l->is_native && !(l->module < c->modules.n && c->modules.v[l->module].is_defined))
		c->locations.v[id].is.module = 0;
	return 0;
}

static int module_of(struct copyist *c, module_id id, module_id *to)
{
	struct copyist_module *m = &c->modules.v[id];
	size_t n;

	if (m->generation != c->generation) {
		struct rec_module r = {
		    .process = m->process, .begin = m->begin, .end = m->end, .file_offset = m->file_offset};

		TRY(copyist_text(c, COPYIST_PATH, m->path, 0, &r.path));
		r.build_id = (const uint8_t *)intern_bytes(&c->raw, m->build_id, &n);
		r.n_build_id = (uint32_t)n;
		TRY(scribe_module(c->to, &r, &m->to));
		m->generation = c->generation;
	}
	*to = m->to;
	return 0;
}

static int on_module(void *ctx, const struct rec_module *m)
{
	struct copyist *c = ctx;
	uint32_t build_id;

	TRY(intern_get(&c->raw, m->build_id, m->n_build_id, &build_id, NULL));
	if (!copyist_reach(&c->modules, m->id))
		return ERR_NO_MEMORY;
	c->modules.v[m->id] = (struct copyist_module){.path = copyist_raw(c, m->path),
	                                              .build_id = build_id,
	                                              .process = m->process,
	                                              .begin = m->begin,
	                                              .end = m->end,
	                                              .file_offset = m->file_offset,
	                                              .generation = c->generation - 1,
	                                              .is_defined = true};
	return module_of(c, m->id, &build_id); /* whether or not a frame names it */
}

/* What readers show for a frame that is not defined. */
static int lost_location(struct copyist *c, location_id *to)
{
	struct rec_function f = {.kind = WIRE_FUNCTION_SYNTHETIC};
	struct rec_location l = {0};

	TRY(scribe_string(c->to, "lost", 4, &f.qualname));
	TRY(scribe_function(c->to, &f, &l.function));
	return scribe_location(c->to, &l, to);
}

static int location_of(struct copyist *c, location_id id, location_id *to)
{
	struct copyist_location *l = id < c->locations.n ? &c->locations.v[id] : NULL;

	if (!l || !l->is_defined)
		return lost_location(c, to);
	if (l->generation != c->generation) {
		struct rec_location r = l->is;

		r.symbol = 0;
		if (r.is_native && r.module)
			TRY(module_of(c, r.module, &r.module));
		if (r.is_native)
			TRY(copyist_text(c, COPYIST_SYMBOL, l->is.symbol, 0, &r.symbol));
		else
			TRY(function_of(c, r.function, &r.function));
		TRY(scribe_location(c->to, &r, &l->to));
		l->generation = c->generation;
	}
	*to = l->to;
	return 0;
}

/* Its ancestors are certified with it (FORMAT.md 3.5). */
static int on_certify(void *ctx, stack_id id)
{
	struct copyist *c = ctx;

	if (!copyist_reach(&c->stacks, id))
		return ERR_NO_MEMORY;
	while (id && id < c->stacks.n && !c->stacks.v[id].is_certified) {
		struct copyist_stack *t = &c->stacks.v[id];

		t->is_certified = true;
		if (t->is_defined && t->generation == c->generation) {
			TRY(scribe_certify(c->to, t->own));
			TRY(scribe_certify(c->to, t->shared));
		}
		id = t->parent;
	}
	return 0;
}

static int on_stack(void *ctx, stack_id id, const struct rec_stack *s)
{
	struct copyist *c = ctx;

	if (!copyist_reach(&c->stacks, id))
		return ERR_NO_MEMORY;
	struct copyist_stack *t = &c->stacks.v[id];
	t->parent = s->parent;
	t->location = s->location;
	t->is_defined = true;
	t->generation = c->generation - 1;
	if (s->certified || t->is_certified) {
		t->is_certified = false;
		return on_certify(c, id);
	}
	return 0;
}

static struct copyist_stack *stack_at(struct copyist *c, stack_id id)
{
	struct copyist_stack *t = id < c->stacks.n && c->stacks.v[id].is_defined ? &c->stacks.v[id] : NULL;

	if (t && t->generation != c->generation) {
		t->generation = c->generation;
		t->shared = t->own = 0;
	}
	return t;
}

/* Where a stack of the input has no parent that is defined: [lost] stands there. */
static int lost_root(struct copyist *c, stack_id *to)
{
	location_id lost;

	TRY(lost_location(c, &lost));
	return scribe_stack(c->to, 0, lost, true, to);
}

/* Make what is missing on the way to `stack`, from the outside in: `is_own` as far as it is not certified. */
static int make_stack(struct copyist *c, stack_id stack, bool is_own, stack_id *to)
{
	stack_id at = stack, parent = 0;
	struct copyist_stack *t;

	c->path.n = 0;
	for (t = stack_at(c, at); t; t = stack_at(c, at)) {
		bool own = is_own && !t->is_certified;

		parent = own ? t->own : t->shared;
		if (parent)
			break;
		if (!vec_push(&c->path, at))
			return ERR_NO_MEMORY;
		at = t->parent;
	}
	if (!t && at)
		TRY(lost_root(c, &parent));
	while (c->path.n) {
		location_id location;

		t = &c->stacks.v[c->path.v[--c->path.n]];
		TRY(location_of(c, t->location, &location));
		if (is_own && !t->is_certified) {
			TRY(scribe_private_stack(c->to, parent, location, &t->own));
			parent = t->own;
		} else {
			TRY(scribe_stack(c->to, parent, location, t->is_certified, &t->shared));
			parent = t->shared;
		}
	}
	*to = parent;
	return 0;
}

int copyist_stack_of(struct copyist *c, stack_id stack, uint32_t flags, stack_id *to)
{
	bool needs_certificate = (flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT == WIRE_WAY_OUTSIDE;
	struct copyist_stack *t = stack_at(c, stack);

	*to = stack ? SCRIBE_HOLE : 0;
	if (!t)
		return 0;
	TRY(make_stack(c, stack, needs_certificate, to));
	return needs_certificate && t->is_certified ? scribe_certify(c->to, *to) : 0;
}

void copyist_add_definitions(struct decode_visitor *v)
{
	v->string = on_string;
	v->function = on_function;
	v->location = on_location;
	v->module = on_module;
	v->stack = on_stack;
	v->certify = on_certify;
}

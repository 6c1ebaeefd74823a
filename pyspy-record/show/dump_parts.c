/* What text and JSON have in common. */
#include <string.h>

#include "libcommon/escape.h"
#include "pyspy-record/show/dump.h"

/* Length of `folder` with a '/' behind it, when the file lies in it. */
static size_t match(const char *folder, const char *file)
{
	size_t n = folder ? strlen(folder) : 0;
	while (n > 1 && folder[n - 1] == '/')
		n--;
	if (n < 2 || folder[0] != '/' || strncmp(folder, file, n) != 0 || file[n] != '/' || !file[n + 1])
		return 0;
	return n + 1;
}

const char *dump_short_file(const struct dump_process *p, const char *file)
{
	const char *more[] = {p->facts->prefix, p->facts->base_prefix, p->target->facts.cwd};
	size_t best = 0;
	for (uint32_t i = 0; i < p->facts->n_path + sizeof more / sizeof *more; i++) {
		size_t n = match(i < p->facts->n_path ? p->facts->path[i] : more[i - p->facts->n_path], file);
		best = n > best ? n : best;
	}
	return file + best;
}

const char *dump_name(const struct dump_process *p, uint32_t id, size_t *n)
{
	return intern_bytes(&p->target->codes.names, id, n);
}

const char *dump_absent(const struct dump_process *p, const struct code *code)
{
	return !code->is_gone ? NULL : p->core ? "[not in the core]" : "[gone]";
}

/* On a CPU, or it would be; or it holds the GIL. Who only waits for the GIL is idle. */
bool dump_is_active(const struct snapshot_thread *st)
{
	return (st->flags & WIRE_FLAG_GIL) || (!(st->flags & WIRE_FLAG_GIL_WAIT) && st->state == 'R');
}

static void put_thing(const struct tasks *t, const struct tasks_thing *thing, struct buf *out)
{
	if (thing->name.n) {
		buf_u8(out, '"');
		escape_text(out, tasks_bytes(t, thing->name), thing->name.n);
		buf_u8(out, '"');
	} else {
		escape_text(out, tasks_bytes(t, thing->type), thing->type.n);
	}
}

void dump_task_state(const struct tasks *t, const struct tasks_entry *e, struct buf *out)
{
	enum { CHILDREN_SHOWN = 5 };
	if (e->is_running) {
		buf_str(out, "running");
	} else if (e->waits && e->waiter.state != 'f' && e->waiter.state != 'c') {
		buf_str(out, "waits for ");
		if (!e->n_children) {
			put_thing(t, &e->waiter, out);
			return;
		}
		buf_str(out, "all of ");
		for (size_t i = 0; i < e->n_children && i < CHILDREN_SHOWN; i++) {
			buf_str(out, i ? ", " : "");
			put_thing(t, &t->things.v[e->first_child + i], out);
		}
		if (e->n_children > CHILDREN_SHOWN)
			buf_printf(out, ", \xe2\x80\xa6 %zu more", e->n_children - CHILDREN_SHOWN);
	} else {
		buf_str(out, e->is_begun ? "runs next" : "has not begun");
	}
}

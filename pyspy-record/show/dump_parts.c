/* What text and JSON have in common. */
#include <string.h>

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

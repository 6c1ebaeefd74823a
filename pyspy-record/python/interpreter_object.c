/* Objects mapped into the target, and what their images and files tell. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/path.h"
#include "pyspy-record/python/interpreter_parts.h"
#include "pyspy-record/target/source.h"

static const struct elf_symbol wanted[SYMBOLS] = {
    [SYMBOL_RUNTIME] = {.name = "_PyRuntime"},
    [SYMBOL_VERSION] = {.name = "Py_Version"},
    [SYMBOL_GET_VERSION] = {.name = "Py_GetVersion"},
    [SYMBOL_CURRENT] = {.name = "_PyThreadState_Current", .wanted_size = 8},
    [SYMBOL_INTERP_HEAD] = {.name = "interp_head", .wanted_size = 8},
    [SYMBOL_COLLECTING] = {.name = "collecting", .wanted_size = 4},
    [SYMBOL_GIL_LOCK] = {.name = "interpreter_lock", .wanted_size = 8},
    [SYMBOL_GIL_FIRST] = {.name = "gil_mutex"},
    {.name = "gil_cond"},
    {.name = "gil_locked", .wanted_size = 4},
    {.name = "gil_last_holder", .wanted_size = 8},
    {.name = "switch_cond"},
    {.name = "switch_mutex"},
};

static bool read_memory(void *ctx, uint64_t address, void *out, size_t n)
{
	return reader_read(ctx, address, out, n) == 0;
}

bool maps_is_data(const struct maps *maps, uint64_t address)
{
	const struct maps_entry *m = address % 8 ? NULL : maps_find(maps, address);
	return m && m->perms[0] == 'r' && m->perms[1] == 'w' && address + 8 <= m->end;
}

/* The program itself, or a file whose name says so. */
bool mapped_object_is_likely(const struct search *s, const struct maps_entry *m)
{
	const char *name = path_base(m->path);
	return strcmp(m->path, s->exe_path) == 0 || (s->exe_inode && m->inode == s->exe_inode) ||
	       strncmp(name, "libpython", 9) == 0 || strncmp(name, "python", 6) == 0;
}

/* Loaded, not only mapped to be read: its first segment with data lies where it says, and some of it can be run. */
static bool is_loaded(const struct search *s, const struct mapped_object *f)
{
	bool runs = false;
	if (f->elf.n_data == 0 || !f->elf.data_size[0])
		return false;
	const struct maps_entry *data = maps_find(&s->maps, f->bias + f->elf.data_vaddr[0]);
	if (!data || data->perms[0] != 'r')
		return false;
	for (const struct maps_entry *m = f->first, *end = s->maps.v + s->maps.n;
	     m < end && m->begin < f->bias + f->elf.end_vaddr && !runs; m++)
		runs = m->perms[2] == 'x';
	return runs;
}

bool mapped_object_read(struct search *s, size_t i, struct mapped_object *f)
{
	const struct maps_entry *m = &s->maps.v[i];
	*f = (struct mapped_object){.first = m};
	memcpy(f->symbols, wanted, sizeof wanted);
	if (!m->path[0] || m->path[0] == '[' || m->offset != 0 || m->perms[0] != 'r' ||
	    (i && strcmp(m[-1].path, m->path) == 0 && m[-1].end == m->begin))
		return false;
	f->is_likely = mapped_object_is_likely(s, m);
	f->is_exe = strcmp(m->path, s->exe_path) == 0;
	/* dynamic symbols only */
	if (elf_read_image(read_memory, s->r, m->begin, &f->elf, f->symbols, SYMBOL_INTERP_HEAD) < 0)
		return false;
	if (f->elf.is_pie)
		f->bias = m->begin - (f->elf.first_load_vaddr - f->elf.first_load_offset);
	return is_loaded(s, f);
}

bool mapped_object_find(struct search *s, const struct mapped_object *f, struct elf_symbol *symbol)
{
	struct elf_facts facts;
	bool doubtful;
	if (elf_read_image(read_memory, s->r, f->first->begin, &facts, symbol, 1) == 0 && symbol->value)
		return true;
	int fd = f->is_exe ? source_open_mapped(s->r->core, s->r->pid, f->first, &doubtful) : -1;
	if (fd < 0)
		return false;
	bool found = elf_read(fd, &facts, symbol, 1) == 0 && symbol->value &&
	             facts.headers_hash == f->elf.headers_hash && !doubtful;
	close(fd);
	return found;
}

void mapped_object_ask_file(struct search *s, struct mapped_object *f)
{
	struct elf_facts facts;
	struct elf_symbol symbols[SYMBOLS];
	bool doubtful;
	if (f->has_file)
		return;
	f->has_file = true;
	int fd = source_open_mapped(s->r->core, s->r->pid, f->first, &doubtful);
	if (fd < 0)
		return;
	memcpy(symbols, wanted, sizeof wanted);
	int rc = elf_read(fd, &facts, symbols, SYMBOLS);
	close(fd);
	/* another file that now has its name */
	if (rc < 0 || facts.headers_hash != f->elf.headers_hash || facts.n_build_id != f->elf.n_build_id ||
	    memcmp(facts.build_id, f->elf.build_id, facts.n_build_id) != 0 || (doubtful && !facts.n_build_id))
		return;
	f->elf = facts;
	for (size_t i = 0; i < SYMBOLS; i++)
		if (!f->symbols[i].value)
			f->symbols[i] = symbols[i];
}

uint64_t mapped_object_data_bytes(const struct mapped_object *f)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < f->elf.n_data; i++)
		bytes += f->elf.data_size[i];
	return bytes;
}

bool segments_walk(struct reader *r, const struct mapped_object *f, size_t overlap, segment_visit *visit, void *ctx)
{
	enum { SEGMENT_MAX = 64 << 20, PAGE = 4096 };
	char *piece = malloc(SEGMENT_PIECE);
	bool stopped = false;
	for (unsigned i = 0; piece && i < f->elf.n_data && !stopped; i++) {
		raddr_t at = f->bias + (f->elf.data_vaddr[i] + 7) / 8 * 8;
		uint64_t size = f->elf.data_size[i] < SEGMENT_MAX ? f->elf.data_size[i] : SEGMENT_MAX;
		raddr_t end = f->bias + f->elf.data_vaddr[i] + size;
		while (at < end && !stopped) {
			size_t n = end - at < SEGMENT_PIECE ? (size_t)(end - at) : SEGMENT_PIECE;
			if (reader_read(r, at, piece, n) < 0) {
				n = n < PAGE - at % PAGE ? n : PAGE - at % PAGE;
				if (reader_read(r, at, piece, n) < 0) {
					at += n;
					continue;
				}
			}
			stopped = visit(ctx, at, piece, n);
			at += n > overlap && at + n < end ? n - overlap : n;
		}
	}
	free(piece);
	return stopped;
}

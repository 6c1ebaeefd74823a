#include "pyspy-record/python/interpreter.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "libcommon/path.h"
#include "pyspy-record/python/object.h"
#include "pyspy-record/target/elf.h"
#include "pyspy-record/target/maps.h"
#include "pyspy-record/target/process.h"

enum {
	SYMBOL_RUNTIME,
	SYMBOL_VERSION,
	SYMBOL_GET_VERSION,
	SYMBOL_INTERP_HEAD,
	SYMBOL_CURRENT,
	SYMBOL_COLLECTING,
	SYMBOLS
};
enum { VERSION_SCAN_MAX = 16 << 20 };

/* An object file mapped into the target. */
struct object_file {
	const char *path;
	uint64_t begin, end; /* first mapping */
	uint64_t bias;
	struct elf_facts elf;
	struct elf_symbol symbols[SYMBOLS];
};

static raddr_t symbol_address(const struct object_file *f, int symbol)
{
	return f->symbols[symbol].value ? f->bias + f->symbols[symbol].value : 0;
}

static void version_text(uint32_t hex, char *out)
{
	static const char *const levels[16] = {[0xa] = "a", [0xb] = "b", [0xc] = "rc"};
	const char *level = levels[hex >> 4 & 15];
	int n = snprintf(out, INTERPRETER_VERSION_TEXT, "%u.%u.%u", hex >> 24, hex >> 16 & 255, hex >> 8 & 255);
	if (level)
		snprintf(out + n, INTERPRETER_VERSION_TEXT - (size_t)n, "%s%u", level, hex & 15);
}

/* Could this file hold an interpreter? The program itself, or a library whose name says so. */
static bool is_candidate(const char *path, const char *exe)
{
	return strcmp(path, exe) == 0 || strncmp(path_base(path), "libpython", 9) == 0 ||
	       strncmp(path_base(path), "python", 6) == 0;
}

/* 0, ERR_NOT_PYTHON (no interpreter in it), or what stopped us. */
static int read_object(struct reader *r, const struct maps_entry *first, struct object_file *f)
{
	*f = (struct object_file){.path = first->path, .begin = first->begin, .end = first->end};
	f->symbols[SYMBOL_RUNTIME].name = "_PyRuntime";
	f->symbols[SYMBOL_VERSION].name = "Py_Version";
	f->symbols[SYMBOL_GET_VERSION].name = "Py_GetVersion";
	f->symbols[SYMBOL_INTERP_HEAD].name = "interp_head";
	f->symbols[SYMBOL_CURRENT].name = "_PyThreadState_Current";
	f->symbols[SYMBOL_COLLECTING].name = "collecting";
	int fd = process_open_file(r->pid, first->path, first->begin, first->end);
	if (fd < 0)
		return ERR_NOT_PYTHON;
	int rc = elf_read(fd, &f->elf, f->symbols, SYMBOLS);
	close(fd);
	if (rc < 0)
		return ERR_NOT_PYTHON;
	if (f->elf.is_pie)
		f->bias = first->begin - first->offset - (f->elf.first_load_vaddr - f->elf.first_load_offset);
	if (f->symbols[SYMBOL_RUNTIME].value || f->elf.pyruntime_addr || f->symbols[SYMBOL_GET_VERSION].value)
		return 0;
	return ERR_NOT_PYTHON;
}

/* "3.8.18 (default, ..." in the buffer that Py_GetVersion fills at start-up (Python/getversion.c); every version has
 * it. */
static bool parse_version(const char *p, size_t n, char *out)
{
	size_t i = 0, dots = 0;
	if (n < 24 || (p[0] != '2' && p[0] != '3') || p[1] != '.')
		return false;
	while (i < 24 && (isalnum((unsigned char)p[i]) || p[i] == '.' || p[i] == '+'))
		dots += p[i++] == '.';
	if (dots < 1 || dots > 2 || i < 3 || i + 8 >= n || p[i] != ' ')
		return false;
	const char *paren = memchr(p + i, '(', n - i < 48 ? n - i : 48);
	size_t rest = paren ? n - (size_t)(paren - p) : 0;
	const char *bracket = paren ? memchr(paren, '[', rest < 160 ? rest : 160) : NULL;
	if (!bracket)
		return false;
	snprintf(out, INTERPRETER_VERSION_TEXT, "%.*s", (int)i, p);
	return true;
}

/* PY_VERSION_HEX of "3.8.18", "3.9.0rc1"; 0 when the text is none. A "+" means nothing. */
static uint32_t version_hex(const char *text)
{
	unsigned part[3] = {0}, level = 0xf, serial = 0;
	const char *p = text;
	for (int i = 0; i < 3 && isdigit((unsigned char)*p); i++) {
		while (isdigit((unsigned char)*p) && part[i] < 256)
			part[i] = part[i] * 10 + (unsigned)(*p++ - '0');
		if (*p != '.')
			break;
		p++;
	}
	if (*p == 'a' || *p == 'b' || *p == 'c' || *p == 'r') {
		level = *p == 'a' ? 0xa : *p == 'b' ? 0xb : 0xc;
		while (isalpha((unsigned char)*p))
			p++;
		while (isdigit((unsigned char)*p) && serial < 16)
			serial = serial * 10 + (unsigned)(*p++ - '0');
	}
	if (part[0] < 2 || part[0] > 3 || part[1] > 63 || part[2] > 255)
		return 0;
	return part[0] << 24 | part[1] << 16 | part[2] << 8 | level << 4 | (serial & 15);
}

static bool scan_version(struct reader *r, const struct object_file *f, char *out)
{
	char page[4096 + 256];
	for (unsigned s = 0; s < f->elf.n_data; s++) {
		uint64_t at = f->bias + f->elf.data_vaddr[s];
		uint64_t end = at + (f->elf.data_size[s] < VERSION_SCAN_MAX ? f->elf.data_size[s] : VERSION_SCAN_MAX);
		for (; at + sizeof page <= end; at += 4096) {
			if (reader_read(r, at, page, sizeof page) < 0)
				continue;
			for (size_t i = 0; i < 4096; i++)
				if (page[i + 1] == '.' && parse_version(page + i, sizeof page - i, out))
					return true;
		}
	}
	return false;
}

/* The version, as exactly as can be told: hex, or only text. */
static void tell_version(struct reader *r, const struct object_file *f, struct interpreter *in)
{
	uint64_t head[2];
	uint32_t hex = 0;
	if (in->runtime && reader_read(r, in->runtime, head, sizeof head) == 0 && memcmp(head, "xdebugpy", 8) == 0)
		hex = (uint32_t)head[1];
	else if (f->symbols[SYMBOL_VERSION].value)
		reader_read(r, f->bias + f->symbols[SYMBOL_VERSION].value, &hex, sizeof hex);
	if (hex >> 24 == 3 && (hex >> 16 & 255) < 64) {
		in->version_hex = hex;
		version_text(hex, in->version);
		return;
	}
	if (scan_version(r, f, in->version)) {
		in->version_hex = version_hex(in->version);
		return;
	}
	const char *digits = strpbrk(path_base(f->path), "23");
	if (digits && digits[1] == '.')
		snprintf(in->version, sizeof in->version, "%.*s", (int)strspn(digits, "0123456789."), digits);
}

/* Does an interpreter that is up lie where this layout says? The dictionary of its modules is one by its type's name.
 */
static int check_layout(struct reader *r, const struct interpreter *in)
{
	const struct layout *l = &in->layout;
	uint64_t interp, tstate, back, modules;
	TRY(reader_word(r, in->heads, &interp));
	if (!interp)
		return ERR_AGAIN;
	TRY(reader_word(r, interp + l->interp.threads_head, &tstate));
	if (!tstate)
		return ERR_AGAIN;
	TRY(reader_word(r, tstate + l->tstate.interp, &back));
	if (back != interp)
		return ERR_LAYOUT;
	TRY(reader_word(r, interp + l->interp.modules, &modules));
	if (!modules)
		return ERR_AGAIN;
	int rc = object_type_is(r, l, modules, "dict");
	return rc == 1 ? 0 : rc == 0 ? ERR_LAYOUT : rc;
}

/* Where the words of this interpreter are that the layout counts from _PyRuntime, or that have symbols of their own. */
static void place_words(const struct object_file *f, struct interpreter *in)
{
	const struct layout *l = &in->layout;
	if (in->runtime) {
		in->heads = in->runtime + l->runtime.interpreters_head;
		in->current = l->runtime.gil_current ? in->runtime + l->runtime.gil_current : 0;
		in->gil = l->runtime.gil ? in->runtime + l->runtime.gil : 0;
		in->gil_bytes = l->gil.size;
		in->gc = l->runtime.gc_collecting ? in->runtime + l->runtime.gc_collecting : 0;
		return;
	}
	in->heads = symbol_address(f, SYMBOL_INTERP_HEAD);
	in->current = symbol_address(f, SYMBOL_CURRENT);
	in->gc = symbol_address(f, SYMBOL_COLLECTING);
}

/* Is this an interpreter that is up and that we know? */
static int check(struct reader *r, const struct object_file *f, struct interpreter *in)
{
	static const enum layout_build builds[] = {LAYOUT_RELEASE, LAYOUT_DEBUG, LAYOUT_TRACEREFS};
	in->runtime = symbol_address(f, SYMBOL_RUNTIME);
	if (!in->runtime && f->elf.pyruntime_addr)
		in->runtime = f->bias + f->elf.pyruntime_addr;
	tell_version(r, f, in);
	bool is_final = (in->version_hex & 0xff) >= 0xc0;
	if (!in->version_hex || !is_final)
		return in->version[0] ? ERR_UNSUPPORTED : ERR_AGAIN;
	size_t offsets = layout_offsets_size(in->version_hex);
	if (offsets) {
		uint8_t raw[LAYOUT_OFFSETS_MAX];
		TRY(reader_read(r, in->runtime, raw, offsets));
		TRY(layout_from_debug_offsets(&in->layout, raw));
		place_words(f, in);
		return check_layout(r, in);
	}
	int rc = ERR_UNSUPPORTED;
	for (size_t i = 0; i < sizeof builds / sizeof *builds; i++) {
		const struct layout *row = layout_find(in->version_hex, builds[i]);
		if (!row)
			continue;
		in->layout = *row;
		place_words(f, in);
		if (!in->heads)
			return ERR_AGAIN;
		rc = check_layout(r, in);
		if (rc == 0 || rc == ERR_AGAIN || rc == ERR_GONE || rc == ERR_PERMISSION)
			return rc;
	}
	return rc;
}

/* Up to 3.10 a thread state has the thread's pthread_t and not its tid. Libraries for debuggers find that in the thread
 * descriptor by a table in libc: bits, count, offset in bytes (glibc, nptl_db/structs.def). */
static void find_pthread_tid(struct reader *r, struct interpreter *in)
{
	struct maps maps;
	if (maps_read(r->pid, &maps) < 0) /* anew: the loader may have brought libc since */
		return;
	for (size_t i = 0; i < maps.n && !in->pthread_tid; i++) {
		const struct maps_entry *m = &maps.v[i];
		struct elf_facts elf;
		struct elf_symbol symbol = {.name = "_thread_db_pthread_tid"};
		uint32_t table[3];
		if (m->path[0] != '/' || m->offset != 0 || (i && strcmp(maps.v[i - 1].path, m->path) == 0) ||
		    (strncmp(path_base(m->path), "libc.so", 7) != 0 && strncmp(path_base(m->path), "libc-", 5) != 0 &&
		     strncmp(path_base(m->path), "libpthread", 10) != 0))
			continue;
		int fd = process_open_file(r->pid, m->path, m->begin, m->end);
		if (fd < 0)
			continue;
		int rc = elf_read(fd, &elf, &symbol, 1);
		close(fd);
		uint64_t bias = m->begin - elf.first_load_vaddr + elf.first_load_offset;
		if (rc == 0 && symbol.value && reader_read(r, bias + symbol.value, table, sizeof table) == 0 &&
		    table[0] == 32 && table[2] < 4096)
			in->pthread_tid = table[2];
	}
	maps_done(&maps);
}

int interpreter_find(struct reader *r, struct interpreter *in)
{
	struct maps maps;
	char exe[4096] = "", link[64];
	*in = (struct interpreter){0};
	TRY(maps_read(r->pid, &maps));
	snprintf(link, sizeof link, "/proc/%d/exe", (int)r->pid);
	ssize_t n = readlink(link, exe, sizeof exe - 1);
	if (n > 0)
		exe[n] = 0;
	char *deleted = strstr(exe, " (deleted)");
	if (deleted && deleted[10] == 0)
		*deleted = 0;
	int rc = maps.n ? ERR_NOT_PYTHON : ERR_AGAIN;
	for (size_t i = 0; i < maps.n; i++) {
		const struct maps_entry *m = &maps.v[i];
		bool first =
		    m->path[0] == '/' && (i == 0 || strcmp(maps.v[i - 1].path, m->path) != 0) && m->offset == 0;
		struct object_file f;
		if (!first || !is_candidate(m->path, exe))
			continue;
		int found = read_object(r, m, &f);
		if (found == 0)
			found = check(r, &f, in);
		if (found == ERR_NOT_PYTHON)
			continue;
		if (found == ERR_MEMORY_READ || found == ERR_TORN)
			found = ERR_AGAIN;
		rc = found;
		if (rc == 0) {
			if (!in->layout.tstate.native_thread_id)
				find_pthread_tid(r, in);
			break;
		}
	}
	maps_done(&maps);
	return rc;
}

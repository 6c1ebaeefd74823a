#include "pyspy-record/kernel/bpfobject.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/kernel/bpf.h"

enum {
	INSNS_MAX = 1000000,                 /* the kernel's own limit */
	LOAD_64 = BPF_LD | BPF_IMM | BPF_DW, /* the one instruction that takes two places */
	RELOC_64_64 = 1,                     /* R_BPF_64_64 */
	PSEUDO_FUNCTION = 4,                 /* BPF_PSEUDO_FUNC (5.13) */
	FUNCTIONS_MAX = 16,
};
static const char function_section[] = ".text";

/* A program as it is in the object. Where a map is meant, src_reg is BPF_PSEUDO_MAP_FD and imm the map's place in the
 * table; where a function is meant, PSEUDO_FUNCTION and its place among the functions. */
struct code {
	struct bpf_insn *insns;
	uint32_t n;
	bool has_functions; /* they stand behind it: */
	struct bpf_func_info functions[FUNCTIONS_MAX];
	uint32_t n_functions; /* with itself */
};
struct loading {
	Elf *elf;
	size_t names; /* section of the sections' names */
	char *license;
	const struct bpfobject_map *maps;
	size_t n_maps;
	char *why;
	size_t why_size;
	FILE *log;
};

/* Say what is wrong; names come from the object. */
__attribute__((format(printf, 3, 4))) static int refuse(struct loading *l, int rc, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(l->why, l->why_size, format, ap);
	va_end(ap);
	for (char *c = l->why; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return rc;
}

/* --- the object */

/* All bytes of a section; NULL: it has none, or they are not in the file. */
static const unsigned char *section_bytes(Elf_Scn *section, size_t *n)
{
	GElf_Shdr h;
	if (!gelf_getshdr(section, &h) || h.sh_type == SHT_NOBITS)
		return NULL;
	Elf_Data *d = elf_rawdata(section, NULL);
	if (!d || !d->d_buf || d->d_size == 0 || d->d_size != h.sh_size)
		return NULL;
	*n = d->d_size;
	return d->d_buf;
}

static Elf_Scn *find_section(const struct loading *l, const char *name)
{
	GElf_Shdr h;
	for (Elf_Scn *s = NULL; (s = elf_nextscn(l->elf, s));) {
		const char *its = gelf_getshdr(s, &h) ? elf_strptr(l->elf, l->names, h.sh_name) : NULL;
		if (its && h.sh_type == SHT_PROGBITS && !strcmp(its, name))
			return s;
	}
	return NULL;
}

static int open_object(struct loading *l, const void *bytes, size_t n)
{
	GElf_Ehdr h;
	elf_version(EV_CURRENT);
	l->elf = elf_memory((char *)(uintptr_t)bytes, n); /* which it does not write to */
	if (!l->elf || elf_kind(l->elf) != ELF_K_ELF || !gelf_getehdr(l->elf, &h))
		return refuse(l, ERR_FORMAT, "the eBPF object is no ELF file");
	const uint16_t one = 1;
	int order = *(const unsigned char *)&one ? ELFDATA2LSB : ELFDATA2MSB;
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != order || h.e_type != ET_REL ||
	    h.e_machine != EM_BPF)
		return refuse(l, ERR_FORMAT, "the eBPF object is not one of this machine");
	if (elf_getshdrstrndx(l->elf, &l->names) < 0)
		return refuse(l, ERR_FORMAT, "the eBPF object is damaged: no names of sections");
	return 0;
}

static int read_license(struct loading *l)
{
	size_t n;
	Elf_Scn *s = find_section(l, "license");
	const unsigned char *text = s ? section_bytes(s, &n) : NULL;
	if (!text || !memchr(text, 0, n))
		return refuse(l, ERR_FORMAT, "the eBPF object says no licence");
	l->license = strdup((const char *)text);
	return l->license ? 0 : ERR_NO_MEMORY;
}

/* --- a program's code */

/* Loads of 64-bit numbers are as the compiler leaves them: both halves there, and no file descriptors yet. */
static int check_insns(struct loading *l, const char *name, const struct code *c)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->insns[i].code != LOAD_64)
			continue;
		if (i + 1 == c->n || c->insns[i].src_reg != 0)
			return refuse(l, ERR_FORMAT, "program %s is damaged at instruction %u", name, i);
		i++;
	}
	return 0;
}

static int find_map(const struct loading *l, const char *name)
{
	for (size_t i = 0; i < l->n_maps; i++)
		if (!strcmp(l->maps[i].name, name))
			return l->maps[i].type ? (int)i : ERR_GONE;
	return ERR_GONE;
}

/* The name of what a relocation refers to: that of the symbol, or of the section that it stands for. */
static const char *symbol_name(const struct loading *l, Elf_Scn *symbols, size_t at)
{
	GElf_Shdr h, of;
	GElf_Sym sym;
	Elf_Data *d = elf_getdata(symbols, NULL);
	if (!gelf_getshdr(symbols, &h) || h.sh_type != SHT_SYMTAB || !d || at > INT_MAX ||
	    !gelf_getsym(d, (int)at, &sym))
		return NULL;
	if (GELF_ST_TYPE(sym.st_info) != STT_SECTION)
		return elf_strptr(l->elf, h.sh_link, sym.st_name);
	Elf_Scn *section = elf_getscn(l->elf, sym.st_shndx);
	return section && gelf_getshdr(section, &of) ? elf_strptr(l->elf, l->names, of.sh_name) : NULL;
}

/* Is the symbol in the section of functions, or that section's own? Then *at: where, in bytes. */
static bool is_function(const struct loading *l, Elf_Scn *symbols, size_t number, uint64_t *at)
{
	GElf_Sym sym;
	Elf_Data *d = elf_getdata(symbols, NULL);
	if (!d || number > INT_MAX || !gelf_getsym(d, (int)number, &sym))
		return false;
	*at = sym.st_value;
	Elf_Scn *functions = find_section(l, function_section);
	return functions && elf_ndxscn(functions) == sym.st_shndx;
}

static int relocate_function(struct loading *l, const char *name, struct code *c, uint64_t place, uint64_t at)
{
	struct bpf_insn *i = &c->insns[place];
	if (i->code != LOAD_64 || place + 1 == c->n || i[0].src_reg || i[0].imm < 0 || i[1].imm)
		return refuse(l, ERR_FORMAT, "program %s is damaged at a reference to a function", name);
	at += (uint32_t)i->imm;
	if (at % sizeof *i || at / sizeof *i >= INSNS_MAX)
		return refuse(l, ERR_FORMAT, "program %s refers to the middle of a function", name);
	i->src_reg = PSEUDO_FUNCTION;
	i->imm = (int32_t)(at / sizeof *i);
	c->has_functions = true;
	return 0;
}

static int relocate_one(struct loading *l, const char *name, struct code *c, Elf_Scn *symbols, const GElf_Rel *r)
{
	const char *symbol = symbols ? symbol_name(l, symbols, GELF_R_SYM(r->r_info)) : NULL;
	uint64_t at = r->r_offset / sizeof *c->insns, function;
	if (!symbol || r->r_offset % sizeof *c->insns || at >= c->n)
		return refuse(l, ERR_FORMAT, "program %s is damaged: a relocation leads nowhere", name);
	if (GELF_R_TYPE(r->r_info) != RELOC_64_64)
		return refuse(l, ERR_FORMAT, "program %s refers to %s by a relocation of type %u, not to a map", name,
		              symbol, (unsigned)GELF_R_TYPE(r->r_info));
	if (is_function(l, symbols, GELF_R_SYM(r->r_info), &function))
		return relocate_function(l, name, c, at, function);
	int map = find_map(l, symbol);
	if (map < 0)
		return refuse(l, ERR_FORMAT, "program %s refers to %s, which is no map that there is", name, symbol);
	struct bpf_insn *i = &c->insns[at];
	if (i->code != LOAD_64 || at + 1 == c->n || i[0].src_reg || i[0].imm || i[1].imm)
		return refuse(l, ERR_FORMAT, "program %s refers into the map %s", name, symbol);
	i->src_reg = BPF_PSEUDO_MAP_FD;
	i->imm = map;
	return 0;
}

static int relocate(struct loading *l, const char *name, struct code *c, size_t section)
{
	GElf_Shdr h;
	GElf_Rel r;
	for (Elf_Scn *s = NULL; (s = elf_nextscn(l->elf, s));) {
		if (!gelf_getshdr(s, &h) || (h.sh_type != SHT_REL && h.sh_type != SHT_RELA) || h.sh_info != section)
			continue;
		Elf_Data *d = elf_getdata(s, NULL);
		if (h.sh_type == SHT_RELA || !d)
			return refuse(l, ERR_FORMAT, "program %s is damaged: its relocations cannot be read", name);
		Elf_Scn *symbols = elf_getscn(l->elf, h.sh_link);
		for (int i = 0; gelf_getrel(d, i, &r); i++)
			TRY(relocate_one(l, name, c, symbols, &r));
	}
	return 0;
}

static int read_section(struct loading *l, const char *name, struct code *c)
{
	size_t n = 0;
	Elf_Scn *s = find_section(l, name);
	const unsigned char *bytes = s ? section_bytes(s, &n) : NULL;
	if (!bytes || n % sizeof *c->insns || n / sizeof *c->insns > INSNS_MAX)
		return refuse(l, ERR_FORMAT, "the eBPF object has no program %s", name);
	c->insns = malloc(n);
	if (!c->insns)
		return refuse(l, ERR_NO_MEMORY, "program %s: out of memory", name);
	memcpy(c->insns, bytes, n);
	c->n = (uint32_t)(n / sizeof *c->insns);
	TRY(check_insns(l, name, c));
	return relocate(l, name, c, elf_ndxscn(s));
}

static int by_place(const void *a, const void *b)
{
	const struct bpf_func_info *p = a, *q = b;
	return p->insn_off < q->insn_off ? -1 : p->insn_off > q->insn_off;
}

/* Where the functions begin, as the object's symbols say. The program's own begin is the first. */
static int find_functions(struct loading *l, const char *name, struct code *c, uint32_t n_program)
{
	GElf_Shdr h;
	GElf_Sym sym;
	size_t section = elf_ndxscn(find_section(l, function_section));
	c->functions[c->n_functions++].insn_off = 0;
	for (Elf_Scn *s = NULL; (s = elf_nextscn(l->elf, s));) {
		Elf_Data *d = gelf_getshdr(s, &h) && h.sh_type == SHT_SYMTAB ? elf_getdata(s, NULL) : NULL;
		for (int i = 0; d && gelf_getsym(d, i, &sym); i++) {
			if (sym.st_shndx != section || GELF_ST_TYPE(sym.st_info) != STT_FUNC)
				continue;
			uint64_t at = sym.st_value / sizeof *c->insns;
			if (c->n_functions == FUNCTIONS_MAX || at >= c->n - n_program)
				return refuse(l, ERR_FORMAT, "program %s has functions where none can be", name);
			c->functions[c->n_functions++].insn_off = (uint32_t)at + n_program;
		}
	}
	qsort(c->functions, c->n_functions, sizeof *c->functions, by_place);
	return 0;
}

static bool begins_function(const struct code *c, uint32_t at)
{
	for (uint32_t i = 0; i < c->n_functions; i++)
		if (c->functions[i].insn_off == at)
			return true;
	return false;
}

/* All functions come to stand behind a program that refers to one: there are few. */
static int add_functions(struct loading *l, const char *name, struct code *c)
{
	struct code f = {0};
	uint32_t n = c->n;
	int rc = read_section(l, function_section, &f);
	struct bpf_insn *both = rc == 0 ? realloc(c->insns, ((size_t)n + f.n) * sizeof *both) : NULL;
	if (both) {
		c->insns = both;
		if (f.n)
			memcpy(both + n, f.insns, f.n * sizeof *both);
		c->n += f.n;
	} else if (rc == 0) {
		rc = refuse(l, ERR_NO_MEMORY, "program %s: out of memory", name);
	}
	free(f.insns);
	TRY(rc);
	TRY(find_functions(l, name, c, n));
	for (uint32_t i = 0; i < c->n; i++) {
		struct bpf_insn *insn = &c->insns[i];
		if (insn->code != LOAD_64)
			continue;
		i++; /* it takes two places */
		if (insn->src_reg != PSEUDO_FUNCTION)
			continue;
		if (!begins_function(c, (uint32_t)insn->imm + n))
			return refuse(l, ERR_FORMAT, "program %s refers to the middle of a function", name);
		insn->imm += (int32_t)(n - i); /* as a jump to it from here */
	}
	return 0;
}

static int read_program(struct loading *l, const struct bpfobject_program *p, struct code *c)
{
	TRY(read_section(l, p->section, c));
	return c->has_functions ? add_functions(l, p->section, c) : 0;
}

/* --- the kernel */

static int create_maps(struct loading *l, struct bpfobject_map *maps)
{
	char words[200];
	for (size_t i = 0; i < l->n_maps; i++) {
		struct bpfobject_map *m = &maps[i];
		if (m->type == 0)
			continue;
		m->fd = m->of ? bpf_map_of_maps_create(m->of->fd, m->max_entries, m->name)
		              : bpf_map_create(m->type, m->key_size, m->value_size, m->max_entries, m->flags, m->name);
		if (m->fd < 0) {
			int rc = m->fd;
			m->fd = -1;
			return refuse(l, rc, "the kernel refused map %s: %s", m->name,
			              bpf_words(errno, words, sizeof words));
		}
	}
	return 0;
}

/* The line of the verifier's log that says what was wrong: the last but for its statistics. It is cut out in place. */
static const char *last_words(char *log)
{
	const char *found = NULL;
	char *rest = log;
	for (char *line; (line = strsep(&rest, "\n"));)
		if (*line && strncmp(line, "processed ", 10) && strncmp(line, "verification time", 17) &&
		    strncmp(line, "stack depth", 11))
			found = line;
	return found;
}

static int load_program(struct loading *l, struct bpfobject_program *p, struct code *c)
{
	char words[200], *log;
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->insns[i].code != LOAD_64)
			continue;
		if (c->insns[i].src_reg == BPF_PSEUDO_MAP_FD)
			c->insns[i].imm = l->maps[c->insns[i].imm].fd;
		i++;
	}
	const char *slash = strrchr(p->section, '/');
	struct bpf_program program = {.type = p->type,
	                              .insns = c->insns,
	                              .n_insns = c->n,
	                              .license = l->license,
	                              .name = slash ? slash + 1 : p->section,
	                              .functions = c->functions};
	if (c->n_functions) {
		uint32_t type = 0;
		program.btf_fd = bpf_function_type(&type);
		if (program.btf_fd < 0)
			return refuse(l, program.btf_fd,
			              "the kernel refused a type for the functions of program %s: %s", p->section,
			              bpf_words(errno, words, sizeof words));
		program.n_functions = c->n_functions;
		for (uint32_t i = 0; i < c->n_functions; i++)
			c->functions[i].type_id = type;
	}
	int fd = bpf_program_load(&program, &log), reason = errno;
	if (c->n_functions)
		close(program.btf_fd);
	errno = reason;
	if (fd >= 0) {
		p->fd = fd;
		return 0;
	}
	bpf_words(errno, words, sizeof words);
	if (log && l->log)
		fprintf(l->log, "the kernel refused program %s; what its verifier says:\n%s\n", p->section, log);
	const char *last = log ? last_words(log) : NULL;
	refuse(l, fd, "the kernel refused program %s: %s", p->section, last ? last : words);
	free(log);
	return fd;
}

/* --- all of it */

static int read_programs(struct loading *l, const struct bpfobject_program *programs, struct code *codes, size_t n)
{
	TRY(read_license(l));
	for (size_t i = 0; i < n; i++) {
		if (programs[i].type == 0)
			continue;
		int rc = read_program(l, &programs[i], &codes[i]);
		if (rc < 0 && !programs[i].optional)
			return rc;
		if (rc < 0)
			codes[i].n = 0; /* not to be loaded */
	}
	return 0;
}

static int load_programs(struct loading *l, struct bpfobject_program *programs, struct code *codes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc = codes[i].n ? load_program(l, &programs[i], &codes[i]) : 0;
		if (rc < 0 && !programs[i].optional)
			return rc;
	}
	return 0;
}

void bpfobject_close(struct bpfobject_map *maps, size_t n_maps, struct bpfobject_program *programs, size_t n_programs)
{
	for (size_t i = 0; i < n_maps; i++) {
		if (maps[i].fd >= 0)
			close(maps[i].fd);
		maps[i].fd = -1;
	}
	for (size_t i = 0; i < n_programs; i++) {
		if (programs[i].fd >= 0)
			close(programs[i].fd);
		programs[i].fd = -1;
	}
}

static int load(struct loading *l, const void *elf, size_t n, struct bpfobject_map *new_maps,
                struct bpfobject_program *programs, size_t n_programs)
{
	l->why[0] = 0;
	for (size_t i = 0; i < n_programs; i++)
		programs[i].fd = -1;
	struct code *codes = calloc(n_programs + 1, sizeof *codes);
	int rc = codes ? open_object(l, elf, n) : ERR_NO_MEMORY;
	if (rc == 0)
		rc = read_programs(l, programs, codes, n_programs);
	if (rc == 0 && new_maps)
		rc = create_maps(l, new_maps);
	if (rc == 0)
		rc = load_programs(l, programs, codes, n_programs);
	for (size_t i = 0; codes && i < n_programs; i++)
		free(codes[i].insns);
	free(codes);
	free(l->license);
	elf_end(l->elf);
	return rc;
}

int bpfobject_load(const void *elf, size_t n, struct bpfobject_map *maps, size_t n_maps,
                   struct bpfobject_program *programs, size_t n_programs, char *why, size_t why_size, FILE *log)
{
	struct loading l = {.maps = maps, .n_maps = n_maps, .why = why, .why_size = why_size, .log = log};
	for (size_t i = 0; i < n_maps; i++)
		maps[i].fd = -1;
	int rc = load(&l, elf, n, maps, programs, n_programs);
	if (rc < 0)
		bpfobject_close(maps, n_maps, programs, n_programs);
	return rc;
}

int bpfobject_load_more(const void *elf, size_t n, const struct bpfobject_map *maps, size_t n_maps,
                        struct bpfobject_program *program, char *why, size_t why_size, FILE *log)
{
	struct loading l = {.maps = maps, .n_maps = n_maps, .why = why, .why_size = why_size, .log = log};
	return load(&l, elf, n, NULL, program, 1);
}

#include "pyspy-record/target/elf.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"

enum {
	ELF_PHDRS_MAX = 1024,
	ELF_SYMBOLS_MAX = 1 << 22, /* of a table found without section headers */
	ELF_STRINGS_MAX = 64 << 20,
	ELF_NOTES_MAX = 1 << 20,
	ELF_DYNAMIC_MAX = 4096,
	ELF_CHUNK = 256,
};

#if defined(__x86_64__)
#define ELF_OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define ELF_OUR_MACHINE EM_AARCH64
#else
#error "this machine is not supported yet"
#endif

struct source {
	int fd;
	uint64_t size;
	Elf64_Phdr phdrs[ELF_PHDRS_MAX];
	size_t n_phdrs;
};

/* All n bytes at a file offset, or nothing. */
static bool read_at(const struct source *s, uint64_t offset, void *out, size_t n)
{
	if (offset > s->size || n > s->size - offset)
		return false;
	for (size_t got = 0; got < n;) {
		ssize_t r = pread(s->fd, (char *)out + got, n - got, (off_t)(offset + got));
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		got += (size_t)r;
	}
	return true;
}

/* File offset of n bytes at a virtual address. */
static bool offset_of(const struct source *s, uint64_t vaddr, uint64_t n, uint64_t *offset)
{
	for (size_t i = 0; i < s->n_phdrs; i++) {
		const Elf64_Phdr *p = &s->phdrs[i];
		if (p->p_type != PT_LOAD || vaddr < p->p_vaddr)
			continue;
		uint64_t into = vaddr - p->p_vaddr;
		if (into < p->p_filesz && n <= p->p_filesz - into) {
			*offset = p->p_offset + into;
			return true;
		}
	}
	return false;
}

static bool read_vaddr(const struct source *s, uint64_t vaddr, void *out, size_t n)
{
	uint64_t offset;
	return offset_of(s, vaddr, n, &offset) && read_at(s, offset, out, n);
}

static bool all_found(const struct elf_symbol *symbols, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (symbols[i].value == 0)
			return false;
	return true;
}

static void offer(const Elf64_Sym *sym, const char *name, struct elf_symbol *symbols, size_t n)
{
	if (sym->st_shndx == SHN_UNDEF || sym->st_value == 0 || ELF64_ST_TYPE(sym->st_info) == STT_TLS)
		return;
	for (size_t i = 0; i < n; i++)
		if (symbols[i].value == 0 && !strcmp(symbols[i].name, name)) {
			symbols[i].value = sym->st_value;
			symbols[i].size = sym->st_size;
		}
}

/* Program headers: loads, build id. */
static void take_notes(const struct source *s, const Elf64_Phdr *p, struct elf_facts *facts)
{
	if (p->p_filesz < sizeof(Elf64_Nhdr) || p->p_filesz > ELF_NOTES_MAX || facts->n_build_id)
		return;
	unsigned char *notes = malloc(p->p_filesz);
	if (!notes)
		return;
	size_t left = read_at(s, p->p_offset, notes, p->p_filesz) ? p->p_filesz : 0;
	for (const unsigned char *at = notes; left >= sizeof(Elf64_Nhdr);) {
		Elf64_Nhdr h;
		memcpy(&h, at, sizeof h);
		size_t align = p->p_align == 8 ? 8 : 4;
		size_t name = (h.n_namesz + align - 1) & ~(align - 1), desc = (h.n_descsz + align - 1) & ~(align - 1);
		if (h.n_namesz > left || h.n_descsz > left || sizeof h + name + h.n_descsz > left)
			break;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && !memcmp(at + sizeof h, "GNU", 4) &&
		    h.n_descsz <= sizeof facts->build_id) {
			memcpy(facts->build_id, at + sizeof h + name, h.n_descsz);
			facts->n_build_id = h.n_descsz;
			break;
		}
		size_t step = sizeof h + name + desc;
		if (step >= left)
			break;
		at += step;
		left -= step;
	}
	free(notes);
}

static void take_program_headers(const struct source *s, struct elf_facts *facts)
{
	bool has_load = false;
	for (size_t i = 0; i < s->n_phdrs; i++) {
		const Elf64_Phdr *p = &s->phdrs[i];
		if (p->p_type == PT_NOTE)
			take_notes(s, p, facts);
		if (p->p_type != PT_LOAD)
			continue;
		if (!has_load) {
			facts->first_load_vaddr = p->p_vaddr;
			facts->first_load_offset = p->p_offset;
			has_load = true;
		}
		if ((p->p_flags & PF_W) && facts->n_data < sizeof facts->data_vaddr / sizeof facts->data_vaddr[0]) {
			facts->data_vaddr[facts->n_data] = p->p_vaddr;
			facts->data_size[facts->n_data++] = p->p_memsz;
		}
	}
}

/* Sections: .PyRuntime, and the symbol tables in the order .dynsym, .symtab. */
static void take_section_symbols(Elf *elf, Elf_Scn *scn, const GElf_Shdr *h, struct elf_symbol *symbols, size_t n)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	if (!data || h->sh_entsize == 0)
		return;
	GElf_Sym sym;
	for (int i = 0; gelf_getsym(data, i, &sym); i++) {
		if (sym.st_shndx == SHN_UNDEF)
			continue;
		const char *name = elf_strptr(elf, h->sh_link, sym.st_name);
		if (name)
			offer(&sym, name, symbols, n);
	}
}

static bool take_sections(Elf *elf, struct elf_facts *facts, struct elf_symbol *symbols, size_t n)
{
	static const uint32_t order[] = {SHT_DYNSYM, SHT_SYMTAB};
	bool has_table = false;
	size_t names = 0;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return false;
	for (size_t pass = 0; pass < 2; pass++) {
		for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
			GElf_Shdr h;
			if (!gelf_getshdr(scn, &h))
				continue;
			const char *name = elf_strptr(elf, names, h.sh_name);
			if (pass == 0 && name && !strcmp(name, ".PyRuntime") && h.sh_type != SHT_NULL) {
				facts->pyruntime_addr = h.sh_addr;
				facts->pyruntime_size = h.sh_size;
			}
			if (h.sh_type != order[pass])
				continue;
			has_table = true;
			if (!all_found(symbols, n))
				take_section_symbols(elf, scn, &h, symbols, n);
		}
	}
	return has_table;
}

/* Without section headers: the dynamic segment, as the loader finds it (System V gABI, "Dynamic Section"). */
struct dynamic {
	uint64_t symtab, strtab, strsz, hash, gnu_hash;
};

static bool read_dynamic(const struct source *s, struct dynamic *d)
{
	memset(d, 0, sizeof *d);
	for (size_t i = 0; i < s->n_phdrs; i++) {
		const Elf64_Phdr *p = &s->phdrs[i];
		if (p->p_type != PT_DYNAMIC)
			continue;
		for (uint64_t k = 0; k < ELF_DYNAMIC_MAX && (k + 1) * sizeof(Elf64_Dyn) <= p->p_filesz; k++) {
			Elf64_Dyn e;
			if (!read_at(s, p->p_offset + k * sizeof e, &e, sizeof e) || e.d_tag == DT_NULL)
				break;
			switch (e.d_tag) {
			case DT_SYMTAB:
				d->symtab = e.d_un.d_ptr;
				break;
			case DT_STRTAB:
				d->strtab = e.d_un.d_ptr;
				break;
			case DT_STRSZ:
				d->strsz = e.d_un.d_val;
				break;
			case DT_HASH:
				d->hash = e.d_un.d_ptr;
				break;
			case DT_GNU_HASH:
				d->gnu_hash = e.d_un.d_ptr;
				break;
			default:
				break;
			}
		}
	}
	return d->symtab && d->strtab && d->strsz && d->strsz <= ELF_STRINGS_MAX;
}

/* The GNU table does not say how many symbols there are: the last chain's end does. */
static uint64_t count_gnu(const struct source *s, uint64_t table)
{
	uint32_t head[4]; /* buckets, first symbol, bloom words, bloom shift */
	if (!read_vaddr(s, table, head, sizeof head) || head[0] > ELF_SYMBOLS_MAX || head[2] > ELF_SYMBOLS_MAX)
		return 0;
	uint64_t buckets = table + sizeof head + UINT64_C(8) * head[2], chains = buckets + UINT64_C(4) * head[0];
	uint32_t last = 0, word[ELF_CHUNK];
	for (uint32_t i = 0; i < head[0]; i += ELF_CHUNK) {
		uint32_t n = head[0] - i < ELF_CHUNK ? head[0] - i : ELF_CHUNK;
		if (!read_vaddr(s, buckets + UINT64_C(4) * i, word, n * sizeof *word))
			return 0;
		for (uint32_t k = 0; k < n; k++)
			last = word[k] > last ? word[k] : last;
	}
	if (last < head[1])
		return head[1];
	for (; last < ELF_SYMBOLS_MAX; last++) {
		if (!read_vaddr(s, chains + UINT64_C(4) * (last - head[1]), word, sizeof *word))
			return 0;
		if (word[0] & 1)
			return (uint64_t)last + 1;
	}
	return 0;
}

static uint64_t count_symbols(const struct source *s, const struct dynamic *d)
{
	uint32_t head[2]; /* buckets, chains = symbols */
	if (d->hash && read_vaddr(s, d->hash, head, sizeof head))
		return head[1] <= ELF_SYMBOLS_MAX ? head[1] : 0;
	return d->gnu_hash ? count_gnu(s, d->gnu_hash) : 0;
}

static void take_dynamic_symbols(const struct source *s, struct elf_symbol *symbols, size_t n)
{
	struct dynamic d;
	if (!read_dynamic(s, &d))
		return;
	uint64_t count = count_symbols(s, &d);
	char *strings = malloc(d.strsz);
	if (!strings)
		return;
	if (!read_vaddr(s, d.strtab, strings, d.strsz) || strings[d.strsz - 1] != '\0')
		count = 0;
	Elf64_Sym sym[ELF_CHUNK];
	for (uint64_t i = 0; i < count && !all_found(symbols, n); i += ELF_CHUNK) {
		size_t some = count - i < ELF_CHUNK ? (size_t)(count - i) : ELF_CHUNK;
		if (!read_vaddr(s, d.symtab + i * sizeof *sym, sym, some * sizeof *sym))
			break;
		for (size_t k = 0; k < some; k++)
			if (sym[k].st_name < d.strsz)
				offer(&sym[k], strings + sym[k].st_name, symbols, n);
	}
	free(strings);
}

static bool read_program_headers(struct source *s, const Elf64_Ehdr *h)
{
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum > ELF_PHDRS_MAX)
		return false;
	if (!read_at(s, h->e_phoff, s->phdrs, h->e_phnum * sizeof(Elf64_Phdr)))
		return false;
	s->n_phdrs = h->e_phnum;
	return true;
}

int elf_read(int fd, struct elf_facts *facts, struct elf_symbol *symbols, size_t n_symbols)
{
	struct source s = {.fd = fd};
	struct stat st;
	Elf64_Ehdr h;

	memset(facts, 0, sizeof *facts);
	for (size_t i = 0; i < n_symbols; i++)
		symbols[i].value = symbols[i].size = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return ERR_FORMAT;
	s.size = (uint64_t)st.st_size;
	if (!read_at(&s, 0, &h, sizeof h) || memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_machine != ELF_OUR_MACHINE ||
	    (h.e_type != ET_DYN && h.e_type != ET_EXEC) || !read_program_headers(&s, &h))
		return ERR_FORMAT;
	facts->is_pie = h.e_type == ET_DYN;
	take_program_headers(&s, facts);

	bool has_table = false;
	if (elf_version(EV_CURRENT) != EV_NONE) {
		Elf *elf = elf_begin(fd, ELF_C_READ, NULL); /* not mapped: a file that shrinks must not be a SIGBUS */
		if (elf) {
			if (elf_kind(elf) == ELF_K_ELF)
				has_table = take_sections(elf, facts, symbols, n_symbols);
			elf_end(elf);
		}
	}
	if (!has_table || !all_found(symbols, n_symbols))
		take_dynamic_symbols(&s, symbols, n_symbols);
	return 0;
}

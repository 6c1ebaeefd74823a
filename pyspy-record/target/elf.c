#include "pyspy-record/target/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/target/elf_names.h"

enum {
	ELF_PHDRS_MAX = 256,
	ELF_SECTIONS_MAX = 65536,
	ELF_SECTIONS_A_PIECE = 48,
	ELF_SECTION_NAMES = 16384, /* bytes */
	ELF_DYNAMIC_A_PIECE = 32,
	ELF_NOTES_MAX = 1 << 16,
	ELF_DYNAMIC_MAX = 4096,
};

#if defined(__x86_64__)
#define ELF_OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define ELF_OUR_MACHINE EM_AARCH64
#else
#error "this machine is not supported yet"
#endif

static bool read_file(void *ctx, uint64_t at, void *out, size_t n)
{
	const struct elf_source *s = ctx;
	if (at > s->size || n > s->size - at)
		return false;
	for (size_t got = 0; got < n;) {
		ssize_t r = pread(s->fd, (char *)out + got, n - got, (off_t)(at + got));
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		got += (size_t)r;
	}
	return true;
}

bool elf_source_vaddr(const struct elf_source *s, uint64_t vaddr, void *out, size_t n)
{
	if (s->is_image)
		return s->read(s->ctx, s->bias + vaddr, out, n);
	for (size_t i = 0; i < s->n_phdrs; i++) {
		const Elf64_Phdr *p = &s->phdrs[i];
		if (p->p_type != PT_LOAD || vaddr < p->p_vaddr)
			continue;
		uint64_t into = vaddr - p->p_vaddr;
		if (into < p->p_filesz && n <= p->p_filesz - into && p->p_offset + into >= into)
			return s->read(s->ctx, p->p_offset + into, out, n);
	}
	return false;
}

/* Bytes of a segment that is in the file. */
static bool read_segment(const struct elf_source *s, const Elf64_Phdr *p, uint64_t into, void *out, size_t n)
{
	return s->read(s->ctx, s->is_image ? s->bias + p->p_vaddr + into : p->p_offset + into, out, n);
}

static void take_notes(const struct elf_source *s, const Elf64_Phdr *p, struct elf_facts *facts)
{
	if (p->p_filesz < sizeof(Elf64_Nhdr) || p->p_filesz > ELF_NOTES_MAX || facts->n_build_id)
		return;
	unsigned char *notes = malloc(p->p_filesz);
	if (!notes)
		return;
	size_t left = read_segment(s, p, 0, notes, p->p_filesz) ? p->p_filesz : 0;
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

static void take_program_headers(const struct elf_source *s, struct elf_facts *facts)
{
	bool has_load = false;
	const unsigned char *raw = (const unsigned char *)s->phdrs;
	facts->headers_hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < s->n_phdrs * sizeof *s->phdrs; i++)
		facts->headers_hash = (facts->headers_hash ^ raw[i]) * UINT64_C(0x100000001b3);
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
		if (p->p_vaddr + p->p_memsz > facts->end_vaddr)
			facts->end_vaddr = p->p_vaddr + p->p_memsz;
		if ((p->p_flags & PF_W) && facts->n_data < sizeof facts->data_vaddr / sizeof facts->data_vaddr[0]) {
			facts->data_vaddr[facts->n_data] = p->p_vaddr;
			facts->data_size[facts->n_data++] = p->p_memsz;
		}
	}
}

/* Section headers are in files only: .PyRuntime, .AsyncioDebug, and where the symbol tables are. */
struct tables {
	struct elf_table dynsym, symtab;
};

static bool read_sections(const struct elf_source *s, const Elf64_Ehdr *h, uint64_t index, Elf64_Shdr *out, size_t n)
{
	uint64_t into = index * sizeof *out;
	return h->e_shoff && h->e_shentsize == sizeof *out && h->e_shoff + into >= into &&
	       s->read(s->ctx, h->e_shoff + into, out, n * sizeof *out);
}

/* Names of sections, as far as they are looked at. */
struct section_names {
	char text[ELF_SECTION_NAMES];
	size_t n;
};

static bool is_named(const struct section_names *names, uint32_t at, const char *wanted, size_t size)
{
	return at < names->n && size <= names->n - at && !memcmp(names->text + at, wanted, size);
}

static void take_section(const struct elf_source *s, const Elf64_Ehdr *h, uint64_t count, const Elf64_Shdr *one,
                         struct tables *t)
{
	Elf64_Shdr strings;
	if (one->sh_entsize != sizeof(Elf64_Sym) || !one->sh_link || one->sh_link >= count ||
	    !read_sections(s, h, one->sh_link, &strings, 1))
		return;
	*(one->sh_type == SHT_DYNSYM ? &t->dynsym : &t->symtab) = (struct elf_table){
	    .at = one->sh_offset, .size = one->sh_size, .strings = strings.sh_offset, .n_strings = strings.sh_size};
}

static void take_sections(const struct elf_source *s, const Elf64_Ehdr *h, struct elf_facts *facts, struct tables *t)
{
	static const char runtime[] = ".PyRuntime", asyncio[] = ".AsyncioDebug";
	Elf64_Shdr names_header, some[ELF_SECTIONS_A_PIECE];
	struct section_names names;
	if (!read_sections(s, h, 0, some, 1))
		return;
	uint64_t count = h->e_shnum ? h->e_shnum : some[0].sh_size;
	uint64_t names_at = h->e_shstrndx == SHN_XINDEX ? some[0].sh_link : h->e_shstrndx;
	names.n = 0;
	if (names_at && names_at < count && read_sections(s, h, names_at, &names_header, 1)) {
		names.n = names_header.sh_size < sizeof names.text ? (size_t)names_header.sh_size : sizeof names.text;
		if (!s->read(s->ctx, names_header.sh_offset, names.text, names.n))
			names.n = 0;
	}
	for (uint64_t i = 1; i < count && i < ELF_SECTIONS_MAX; i += ELF_SECTIONS_A_PIECE) {
		size_t n = count - i < ELF_SECTIONS_A_PIECE ? (size_t)(count - i) : ELF_SECTIONS_A_PIECE;
		if (!read_sections(s, h, i, some, n))
			return;
		for (size_t k = 0; k < n; k++) {
			if (some[k].sh_type == SHT_DYNSYM || some[k].sh_type == SHT_SYMTAB)
				take_section(s, h, count, &some[k], t);
			if (some[k].sh_type == SHT_NULL || !some[k].sh_addr)
				continue;
			if (is_named(&names, some[k].sh_name, runtime, sizeof runtime)) {
				facts->pyruntime_addr = some[k].sh_addr;
				facts->pyruntime_size = some[k].sh_size;
			} else if (is_named(&names, some[k].sh_name, asyncio, sizeof asyncio)) {
				facts->asyncio_addr = some[k].sh_addr;
				facts->asyncio_size = some[k].sh_size;
			}
		}
	}
}

/* In memory the loader may have added the bias to the addresses in the dynamic segment (glibc does, musl does not). */
static uint64_t dynamic_vaddr(const struct elf_source *s, uint64_t value)
{
	return s->is_image && s->bias && value >= s->bias ? value - s->bias : value;
}

/* True at the end of the list. */
static bool take_dynamic(const struct elf_source *s, const Elf64_Dyn *some, size_t n, struct elf_dynamic *d)
{
	for (size_t i = 0; i < n; i++) {
		const Elf64_Dyn *e = &some[i];
		uint64_t *to = e->d_tag == DT_SYMTAB     ? &d->symtab
		               : e->d_tag == DT_STRTAB   ? &d->strtab
		               : e->d_tag == DT_HASH     ? &d->hash
		               : e->d_tag == DT_GNU_HASH ? &d->gnu_hash
		                                         : NULL;
		if (e->d_tag == DT_NULL)
			return true;
		if (to)
			*to = dynamic_vaddr(s, e->d_un.d_ptr);
		else if (e->d_tag == DT_STRSZ)
			d->strsz = e->d_un.d_val;
	}
	return false;
}

static void read_dynamic(const struct elf_source *s, struct elf_dynamic *d)
{
	memset(d, 0, sizeof *d);
	for (size_t i = 0; i < s->n_phdrs; i++) {
		const Elf64_Phdr *p = &s->phdrs[i];
		if (p->p_type != PT_DYNAMIC)
			continue;
		uint64_t count = p->p_filesz / sizeof(Elf64_Dyn), k = 0;
		Elf64_Dyn some[ELF_DYNAMIC_A_PIECE];
		for (size_t n; k < ELF_DYNAMIC_MAX && k < count; k += n) {
			n = count - k < ELF_DYNAMIC_A_PIECE ? (size_t)(count - k) : ELF_DYNAMIC_A_PIECE;
			if (!read_segment(s, p, k * sizeof *some, some, n * sizeof *some) ||
			    take_dynamic(s, some, n, d))
				break;
		}
	}
}

static bool is_ours(const Elf64_Ehdr *h)
{
	return !memcmp(h->e_ident, ELFMAG, SELFMAG) && h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_machine == ELF_OUR_MACHINE &&
	       (h->e_type == ET_DYN || h->e_type == ET_EXEC) && h->e_phentsize == sizeof(Elf64_Phdr) &&
	       h->e_phnum <= ELF_PHDRS_MAX;
}

static int start(struct elf_source *s, uint64_t base, Elf64_Ehdr *h, struct elf_facts *facts,
                 struct elf_symbol *symbols, size_t n)
{
	memset(facts, 0, sizeof *facts);
	for (size_t i = 0; i < n; i++)
		symbols[i].value = symbols[i].size = 0;
	if (!s->read(s->ctx, base, h, sizeof *h) || !is_ours(h))
		return ERR_FORMAT;
	s->phdrs = calloc(h->e_phnum ? h->e_phnum : 1, sizeof *s->phdrs);
	if (!s->phdrs)
		return ERR_NO_MEMORY;
	if (h->e_phoff > UINT64_MAX / 2 ||
	    !s->read(s->ctx, base + h->e_phoff, s->phdrs, h->e_phnum * sizeof *s->phdrs)) {
		free(s->phdrs);
		return ERR_FORMAT;
	}
	s->n_phdrs = h->e_phnum;
	facts->is_pie = h->e_type == ET_DYN;
	return 0;
}

int elf_read(int fd, struct elf_facts *facts, struct elf_symbol *symbols, size_t n_symbols)
{
	struct elf_source s = {.fd = fd, .read = read_file, .ctx = &s};
	struct stat st;
	Elf64_Ehdr h;
	struct elf_dynamic d;
	struct tables t = {0};

	memset(facts, 0, sizeof *facts);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return ERR_FORMAT;
	s.size = (uint64_t)st.st_size;
	TRY(start(&s, 0, &h, facts, symbols, n_symbols));
	take_program_headers(&s, facts);
	take_sections(&s, &h, facts, &t);
	read_dynamic(&s, &d);
	if (!elf_names_hashed(&s, &d, symbols, n_symbols))
		elf_names_listed(&s, &t.dynsym, symbols, n_symbols);
	elf_names_listed(&s, &t.symtab, symbols, n_symbols);
	free(s.phdrs);
	return 0;
}

int elf_read_image(elf_read_memory *read, void *ctx, uint64_t begin, struct elf_facts *facts,
                   struct elf_symbol *symbols, size_t n_symbols)
{
	struct elf_source s = {.fd = -1, .read = read, .ctx = ctx, .is_image = true};
	Elf64_Ehdr h;
	struct elf_dynamic d;

	TRY(start(&s, begin, &h, facts, symbols, n_symbols));
	for (size_t i = 0; i < s.n_phdrs && facts->is_pie; i++)
		if (s.phdrs[i].p_type == PT_LOAD) {
			s.bias = begin - (s.phdrs[i].p_vaddr - s.phdrs[i].p_offset);
			break;
		}
	take_program_headers(&s, facts);
	read_dynamic(&s, &d);
	elf_names_hashed(&s, &d, symbols, n_symbols);
	free(s.phdrs);
	return 0;
}

#include "pyspy-record/target/corefile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/target/corefile_parts.h"
#include "pyspy-record/target/process.h"

#if defined(__x86_64__)
#define CORE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define CORE_MACHINE EM_AARCH64
#endif

enum { HEADERS_A_PIECE = 512 };

bool corefile_bytes(const struct corefile *c, uint64_t at, void *to, size_t n)
{
	if (at > c->size || n > c->size - at)
		return false;
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(c->fd, (char *)to + done, n - done, (off_t)(at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static const char *machine_name(unsigned machine, unsigned class)
{
	switch (machine) {
	case EM_386:
		return "32-bit x86";
	case EM_X86_64:
		return class == ELFCLASS32 ? "x32" : "x86_64";
	case EM_ARM:
		return "32-bit ARM";
	case EM_AARCH64:
		return "aarch64";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390";
	case EM_RISCV:
		return "RISC-V";
	default:
		return "another machine";
	}
}

/* What else it may be that is given in place of a core. */
static const char *kind_of(const unsigned char *b, size_t n)
{
	static const struct {
		const char *magic;
		size_t n;
		const char *words;
	} kinds[] = {
	    {"\xfd"
	     "7zXZ",
	     5, "it is compressed with xz, which is not read here; unpack it: xz -dk FILE"},
	    {"\x04\x22\x4d\x18", 4, "it is compressed with lz4, which is not read here; unpack it: lz4 -d FILE"},
	    {"\x1f\x8b", 2, "it is compressed with gzip, which is not read here; unpack it: gzip -dk FILE"},
	    {"PYSPYREC", 8, "it is a recording; pyspy-report reads it"},
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (n >= kinds[i].n && memcmp(b, kinds[i].magic, kinds[i].n) == 0)
			return kinds[i].words;
	return n == 0 ? "it is empty; was the core written at all (ulimit -c, a full disk)?"
	              : "it is no core file; name one that gcore or the kernel wrote";
}

int corefile_check(const Elf64_Ehdr *h, size_t n, char *why, size_t size)
{
	static const char *const types[] = {"nothing", "an object file", "a program", "a program or a library"};
	if (n < EI_NIDENT + 4 || memcmp(h->e_ident, ELFMAG, SELFMAG)) {
		snprintf(why, size, "%s", kind_of(h->e_ident, n));
		return ERR_FORMAT;
	}
	bool is_little = h->e_ident[EI_DATA] == ELFDATA2LSB;
	unsigned type = h->e_type, machine = h->e_machine;
	if (!is_little) {
		type = type >> 8 | (type & 255) << 8;
		machine = machine >> 8 | (machine & 255) << 8;
	}
	if (type != ET_CORE) {
		snprintf(why, size, "it is %s, no core file; name one that gcore or the kernel wrote",
		         type < sizeof types / sizeof *types ? types[type] : "another kind of ELF file");
		return ERR_FORMAT;
	}
	if (!is_little || h->e_ident[EI_CLASS] != ELFCLASS64 || machine != CORE_MACHINE) {
		snprintf(why, size,
		         "it is of %s, and this pyspy-record reads cores of %s only; run it on such a machine",
		         machine_name(machine, h->e_ident[EI_CLASS]), machine_name(CORE_MACHINE, ELFCLASS64));
		return ERR_FORMAT;
	}
	if (n < sizeof *h || h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phoff < sizeof *h) {
		snprintf(why, size, "%s", n < sizeof *h ? "only its beginning is there" : "its header is damaged");
		return ERR_FORMAT;
	}
	return 0;
}

/* More than 65,534: the number is in the section header behind all else. Where that was cut off: the notes follow the
 * program headers, in cores of the kernel's. */
uint64_t corefile_n_headers(const Elf64_Ehdr *h, const Elf64_Phdr *first)
{
	if (h->e_phnum != PN_XNUM)
		return h->e_phnum;
	if (first->p_type != PT_NOTE || first->p_offset < h->e_phoff)
		return 0;
	return (first->p_offset - h->e_phoff) / sizeof *first;
}

static uint64_t count_headers(struct corefile *c, const Elf64_Ehdr *h)
{
	Elf64_Shdr section;
	Elf64_Phdr first;
	if (h->e_phnum == PN_XNUM && h->e_shoff && corefile_bytes(c, h->e_shoff, &section, sizeof section) &&
	    section.sh_info >= PN_XNUM)
		return section.sh_info;
	if (!corefile_bytes(c, h->e_phoff, &first, sizeof first))
		return h->e_phnum;
	return corefile_n_headers(h, &first);
}

static int take_segment(struct corefile *c, const Elf64_Phdr *p)
{
	struct corefile_segment s = {.begin = p->p_vaddr,
	                             .end = p->p_vaddr + p->p_memsz,
	                             .offset = p->p_offset,
	                             .claimed = p->p_filesz < p->p_memsz ? p->p_filesz : p->p_memsz,
	                             .flags = p->p_flags};
	if (p->p_memsz == 0)
		return 0;
	if (s.end < s.begin || p->p_offset + p->p_filesz < p->p_offset || p->p_offset + p->p_filesz > INT64_MAX) {
		c->is_damaged = true;
		return 0;
	}
	if (p->p_filesz && p->p_offset + p->p_filesz > c->wanted)
		c->wanted = p->p_offset + p->p_filesz;
	s.there = s.offset >= c->size ? 0 : c->size - s.offset;
	s.there = s.there < s.claimed ? s.there : s.claimed;
	return vec_push(&c->segments, s) ? 0 : ERR_NO_MEMORY;
}

static int by_begin(const void *a, const void *b)
{
	const struct corefile_segment *x = a, *y = b;
	return (x->begin > y->begin) - (x->begin < y->begin);
}

/* In order, without those that lie over others: the first one counts. */
static void sort_segments(struct corefile *c)
{
	size_t n = 0;
	if (c->segments.n)
		qsort(c->segments.v, c->segments.n, sizeof *c->segments.v, by_begin);
	for (size_t i = 0; i < c->segments.n; i++) {
		if (n && c->segments.v[i].begin < c->segments.v[n - 1].end)
			c->is_damaged = true;
		else
			c->segments.v[n++] = c->segments.v[i];
	}
	c->segments.n = n;
}

static int take_headers(struct corefile *c, const Elf64_Ehdr *h)
{
	Elf64_Phdr some[HEADERS_A_PIECE];
	uint64_t count = count_headers(c, h);
	uint64_t room = h->e_phoff < c->size ? (c->size - h->e_phoff) / sizeof *some : 0;
	if (h->e_phoff + count * sizeof *some > c->wanted)
		c->wanted = h->e_phoff + count * sizeof *some;
	if (count > room)
		count = room;
	if (count > COREFILE_SEGMENTS_MAX) {
		count = COREFILE_SEGMENTS_MAX;
		c->is_damaged = true;
	}
	for (uint64_t i = 0; i < count; i += HEADERS_A_PIECE) {
		size_t n = count - i < HEADERS_A_PIECE ? (size_t)(count - i) : HEADERS_A_PIECE;
		if (!corefile_bytes(c, h->e_phoff + i * sizeof *some, some, n * sizeof *some))
			break;
		for (size_t k = 0; k < n; k++) {
			if (some[k].p_type == PT_LOAD)
				TRY(take_segment(c, &some[k]));
			if (some[k].p_type != PT_NOTE)
				continue;
			if (some[k].p_offset + some[k].p_filesz > c->wanted && some[k].p_offset < INT64_MAX / 2 &&
			    some[k].p_filesz < INT64_MAX / 2)
				c->wanted = some[k].p_offset + some[k].p_filesz;
			TRY(corefile_take_notes(c, some[k].p_offset, some[k].p_filesz));
		}
	}
	sort_segments(c);
	return corefile_sort_threads(c);
}

static int open_file(struct corefile *c, const char *path, char *why, size_t size)
{
	struct stat st;
	c->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (c->fd < 0 || fstat(c->fd, &st) < 0) {
		snprintf(why, size, "%s; %s", strerror(errno),
		         errno == EACCES ? "it belongs to who ran the program: run with sudo"
		                         : "give the path of a core file");
		return ERR_SYSTEM;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, size, "it is no regular file; give the path of a core file");
		return ERR_FORMAT;
	}
	c->size = (uint64_t)st.st_size;
	c->mtime_s = st.st_mtim.tv_sec;
	c->mtime_ns = (uint32_t)st.st_mtim.tv_nsec;
	return 0;
}

/* What is read of it from now on is the unpacked one. */
static int unpack(struct corefile *c, char *why, size_t size)
{
	struct stat st;
	int unpacked = -1;
	TRY(corefile_unpack(c->fd, &unpacked, why, size));
	close(c->fd);
	c->fd = unpacked;
	c->packed_bytes = c->size;
	c->size = fstat(unpacked, &st) == 0 ? (uint64_t)st.st_size : 0;
	return 0;
}

static int read_all(struct corefile *c, const char *path, char *why, size_t size)
{
	Elf64_Ehdr h;
	memset(&h, 0, sizeof h);
	TRY(open_file(c, path, why, size));
	size_t n = c->size < sizeof h ? (size_t)c->size : sizeof h;
	if (corefile_bytes(c, 0, &h, n) && corefile_is_packed(h.e_ident, n)) {
		TRY(unpack(c, why, size));
		memset(&h, 0, sizeof h);
		n = c->size < sizeof h ? (size_t)c->size : sizeof h;
	}
	if (!corefile_bytes(c, 0, &h, n)) {
		snprintf(why, size, "it cannot be read: %s; copy it to another disk", strerror(errno ? errno : EIO));
		return ERR_SYSTEM;
	}
	TRY(corefile_check(&h, n, why, size));
	TRY(take_headers(c, &h));
	if (c->segments.n == 0) {
		snprintf(why, size, "there is no memory in it; %s",
		         c->wanted > c->size ? "it was cut off behind its header" : "its header is damaged");
		return ERR_FORMAT;
	}
	return corefile_settle(c);
}

int corefile_open(struct corefile *c, const char *path, const char *const *places, size_t n_places, char *why,
                  size_t size)
{
	*c = (struct corefile){.fd = -1, .exe = "", .places = places, .n_places = n_places};
	why[0] = 0;
	int rc = read_all(c, path, why, size);
	if (rc < 0) {
		if (!why[0])
			snprintf(why, size, "%s", err_words(rc));
		corefile_close(c);
	}
	return rc;
}

void corefile_close(struct corefile *c)
{
	corefile_binaries_done(c);
	maps_done(&c->maps);
	vec_free(&c->segments);
	vec_free(&c->threads);
	vec_free(&c->by_tls);
	vec_free(&c->text);
	vec_free(&c->auxv);
	free(c->cmdline);
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct corefile){.fd = -1, .exe = ""};
}

static const struct corefile_segment *find_segment(const struct corefile *c, uint64_t address)
{
	size_t low = 0, high = c->segments.n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (c->segments.v[mid].end <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->segments.n && c->segments.v[low].begin <= address ? &c->segments.v[low] : NULL;
}

size_t corefile_held(const struct corefile *c, uint64_t address, void *to, size_t n)
{
	const struct corefile_segment *s = find_segment(c, address);
	uint64_t into = s ? address - s->begin : 0;
	if (!s || into >= s->there)
		return 0;
	n = n < s->there - into ? n : (size_t)(s->there - into);
	return corefile_bytes(c, s->offset + into, to, n) ? n : 0;
}

/* What the core has not because it was never written to. */
static size_t read_binary(struct corefile *c, uint64_t address, void *to, size_t n)
{
	const struct corefile_segment *s = find_segment(c, address);
	const struct maps_entry *m = maps_find(&c->maps, address);
	if (s && address - s->begin < s->claimed) {
		c->missed += n;
		return 0;
	}
	struct corefile_binary *b = m && m->path[0] ? corefile_binary(c, m) : NULL;
	if (!b)
		return 0;
	uint64_t into = address - m->begin, at = m->offset + into;
	n = n < m->end - address ? n : (size_t)(m->end - address);
	if (b->fd < 0 || at < into || at >= b->size) {
		b->missed += b->fd < 0 ? n : 0;
		return 0;
	}
	n = n < b->size - at ? n : (size_t)(b->size - at);
	ssize_t got = pread(b->fd, to, n, (off_t)at);
	return got > 0 ? (size_t)got : 0;
}

size_t corefile_read(struct corefile *c, uint64_t address, void *to, size_t n)
{
	size_t done = 0;
	while (done < n && address + done >= address) {
		size_t got = corefile_held(c, address + done, (char *)to + done, n - done);
		if (!got)
			got = read_binary(c, address + done, (char *)to + done, n - done);
		if (!got)
			break;
		done += got;
	}
	return done;
}

const char *corefile_signal_name(int number, char out[24])
{
	static const struct {
		int number;
		const char *name;
	} names[] = {{SIGQUIT, "SIGQUIT"}, {SIGILL, "SIGILL"},   {SIGTRAP, "SIGTRAP"}, {SIGABRT, "SIGABRT"},
	             {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},   {SIGSEGV, "SIGSEGV"}, {SIGXCPU, "SIGXCPU"},
	             {SIGXFSZ, "SIGXFSZ"}, {SIGSYS, "SIGSYS"},   {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"},
	             {SIGKILL, "SIGKILL"}, {SIGHUP, "SIGHUP"},   {SIGPIPE, "SIGPIPE"}, {SIGALRM, "SIGALRM"},
	             {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"}, {SIGSTOP, "SIGSTOP"}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].number == number)
			return names[i].name;
	snprintf(out, 24, "signal %d", number);
	return out;
}

/* elf: this very program, with and without its section headers, cut and garbled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/target/elf.h"
#include "pyspy-record/target/maps.h"
#include "tests/unit/support_random.h"

/* found in .symtab of the test itself */
int elf_test_variable = 42;
/* as CPython has it */
char elf_test_runtime[1234] __attribute__((section(".PyRuntime"))) = {1};

static unsigned char *bytes;
static size_t n_bytes;

/* The C library: a stripped file, whose names are in .dynsym alone. */
static char libc_path[4096];

static int load(void **state)
{
	(void)state;
	struct maps m;
	if (maps_read(getpid(), &m) < 0)
		return -1;
	for (size_t i = 0; i < m.n; i++)
		if (strstr(m.v[i].path, "/libc.so.6"))
			snprintf(libc_path, sizeof libc_path, "%s", m.v[i].path);
	maps_done(&m);
	FILE *f = fopen(libc_path, "rb");
	fseek(f, 0, SEEK_END);
	n_bytes = (size_t)ftell(f);
	rewind(f);
	bytes = malloc(n_bytes);
	size_t got = fread(bytes, 1, n_bytes, f);
	fclose(f);
	return got == n_bytes ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	free(bytes);
	return 0;
}

static int memory_file(const void *p, size_t n)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	return fd;
}

static void test_self(void **state)
{
	(void)state;
	struct elf_symbol symbols[] = {{.name = "elf_test_variable"}, {.name = "elf_test_missing"}, {.name = "printf"}};
	struct elf_facts facts;
	struct maps m;
	int fd = open("/proc/self/exe", O_RDONLY);
	assert_int_equal(elf_read(fd, &facts, symbols, 3), 0);
	close(fd);
	assert_int_equal(symbols[0].size, sizeof elf_test_variable);
	assert_int_equal(symbols[1].value, 0);
	assert_int_equal(symbols[2].value, 0); /* undefined here */
	assert_true(facts.n_data > 0);
	/* where it is by our reckoning is where it is */
	assert_int_equal(maps_read(getpid(), &m), 0);
	const struct maps_entry *e = maps_find(&m, (uintptr_t)&elf_test_variable);
	while (e > m.v && !strcmp(e[-1].path, e->path))
		e--;
	uint64_t bias = e->begin - e->offset - (facts.first_load_vaddr - facts.first_load_offset);
	assert_int_equal(bias + symbols[0].value, (uintptr_t)&elf_test_variable);
	assert_int_equal(bias + facts.pyruntime_addr, (uintptr_t)elf_test_runtime);
	assert_true(facts.pyruntime_size >= sizeof elf_test_runtime);
	maps_done(&m);
}

static void test_stripped(void **state)
{
	(void)state;
	struct elf_symbol symbols[] = {{.name = "strtol"}, {.name = "environ"}};
	struct elf_facts facts;
	int fd = open(libc_path, O_RDONLY);
	assert_int_equal(elf_read(fd, &facts, symbols, 2), 0);
	close(fd);
	assert_true(symbols[0].value && symbols[1].value);
	assert_true(facts.is_pie);
	assert_int_equal(facts.pyruntime_addr, 0);
}

/* sstrip: no section headers at all. The loader lives with it, so do we. */
static void test_without_sections(void **state)
{
	(void)state;
	struct elf_symbol whole[] = {{.name = "strtol"}, {.name = "environ"}, {.name = "no_such_symbol"}};
	struct elf_symbol bare[] = {{.name = "strtol"}, {.name = "environ"}, {.name = "no_such_symbol"}};
	struct elf_facts a, b;
	int fd = memory_file(bytes, n_bytes);
	assert_int_equal(elf_read(fd, &a, whole, 3), 0);
	Elf64_Ehdr h;
	memcpy(&h, bytes, sizeof h);
	h.e_shoff = 0;
	h.e_shnum = h.e_shstrndx = 0;
	assert_int_equal(pwrite(fd, &h, sizeof h, 0), sizeof h);
	assert_int_equal(elf_read(fd, &b, bare, 3), 0);
	close(fd);
	assert_memory_equal(&a, &b, sizeof a);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(whole[i].value, bare[i].value);
		assert_int_equal(whole[i].size, bare[i].size);
	}
}

static void test_not_ours(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		unsigned char value;
	} bad[] = {{0, 'x'}, {EI_CLASS, ELFCLASS32}, {EI_DATA, ELFDATA2MSB}, {18, EM_386}, {16, ET_REL}, {54, 1}};
	struct elf_facts facts;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		unsigned char head[4096];
		memcpy(head, bytes, sizeof head);
		head[bad[i].at] = bad[i].value;
		int fd = memory_file(head, sizeof head);
		assert_int_equal(elf_read(fd, &facts, NULL, 0), ERR_FORMAT);
		close(fd);
	}
	int fd = memory_file("", 0);
	assert_int_equal(elf_read(fd, &facts, NULL, 0), ERR_FORMAT);
	close(fd);
	fd = open("/dev/zero", O_RDONLY);
	assert_int_equal(elf_read(fd, &facts, NULL, 0), ERR_FORMAT);
	close(fd);
}

/* Whatever the bytes: an answer, and no read beyond them (the sanitizers watch). */
static void test_damaged(void **state)
{
	(void)state;
	uint64_t seed = 1;
	unsigned char *copy = malloc(n_bytes);
	struct elf_facts facts;
	for (int round = 0; round < 300; round++) {
		struct elf_symbol symbols[] = {{.name = "strtol"}, {.name = "no_such_symbol"}};
		size_t n = n_bytes;
		memcpy(copy, bytes, n);
		for (int i = 0; i < 20; i++) {
			support_random(&seed);
			/* mostly in the headers at the front and the tables behind them, sometimes in the section
			 * headers */
			size_t at = seed >> 33;
			at = i % 4 ? 16 + at % 4096 : i % 8 ? n - 1 - at % 4096 : at % n;
			copy[at] = (unsigned char)(seed >> 24);
		}
		if (round % 3 == 0)
			n = (seed >> 33) % n;
		int fd = memory_file(copy, n);
		int rc = elf_read(fd, &facts, symbols, 2);
		assert_true(rc == 0 || rc == ERR_FORMAT);
		close(fd);
	}
	free(copy);
}

static bool read_self(void *ctx, uint64_t address, void *out, size_t n)
{
	struct iovec local = {out, n}, remote = {(void *)(uintptr_t)address, n};
	++*(unsigned *)ctx;
	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)n;
}

/* As it lies in memory, relocated by the loader: the same as in the file, and where dlsym says. */
static void test_image(void **state)
{
	(void)state;
	static const char *const names[] = {"strtol", "environ",        "malloc",
	                                    "stdout", "no_such_symbol", "gnu_get_libc_version"};
	enum { N = sizeof names / sizeof *names };
	struct elf_symbol file[N], image[N];
	struct elf_facts a, b;
	struct maps m;
	unsigned reads = 0;
	for (int i = 0; i < N; i++)
		file[i] = image[i] = (struct elf_symbol){.name = names[i]};
	assert_int_equal(maps_read(getpid(), &m), 0);
	const struct maps_entry *e = m.v;
	while (strcmp(e->path, libc_path) != 0)
		e++;
	int fd = open(libc_path, O_RDONLY);
	assert_int_equal(elf_read(fd, &a, file, N), 0);
	close(fd);
	assert_int_equal(elf_read_image(read_self, &reads, e->begin, &b, image, N), 0);
	assert_memory_equal(&a, &b, sizeof a);
	for (int i = 0; i < N; i++) {
		assert_int_equal(file[i].value, image[i].value);
		void *known = dlsym(RTLD_DEFAULT, names[i]);
		assert_int_equal(image[i].value != 0, known != NULL);
	}
	assert_int_equal(e->begin + image[5].value, (uintptr_t)dlsym(RTLD_NEXT, names[5]));
	assert_true(reads < 200); /* by hash, not by list */
	/* the wanted size */
	image[1] = (struct elf_symbol){.name = "environ", .wanted_size = 4};
	assert_int_equal(elf_read_image(read_self, &reads, e->begin, &b, image, 2), 0);
	assert_int_equal(image[1].value, 0);
	assert_int_equal(elf_read_image(read_self, &reads, 0, &b, image, 1), ERR_FORMAT);
	assert_int_equal(elf_read_image(read_self, &reads, e->begin + 1, &b, image, 1), ERR_FORMAT);
	maps_done(&m);
}

struct garbled {
	const unsigned char *copy;
	size_t n;
};

static bool read_garbled(void *ctx, uint64_t address, void *out, size_t n)
{
	const struct garbled *g = ctx;
	if (address < 0x10000 || address - 0x10000 > g->n || n > g->n - (address - 0x10000))
		return false;
	memcpy(out, g->copy + (address - 0x10000), n);
	return true;
}

static void test_damaged_image(void **state)
{
	(void)state;
	uint64_t seed = 2;
	size_t n = n_bytes < 65536 ? n_bytes : 65536;
	unsigned char *copy = malloc(n);
	struct elf_facts facts;
	unsigned whole = 0;
	for (int round = 0; round < 2000; round++) {
		struct elf_symbol symbols[] = {{.name = "strtol"}, {.name = "no_such_symbol"}};
		memcpy(copy, bytes, n);
		for (int i = 0; i < 12; i++) {
			support_random(&seed);
			size_t at = (seed >> 33) % (i % 3 ? 1024 : n); /* program headers; hash table, symbols */
			copy[at < 20 ? 20 : at] = (unsigned char)(seed >> 24);
		}
		struct garbled g = {copy, round % 4 ? n : (seed >> 33) % n};
		int rc = elf_read_image(read_garbled, &g, 0x10000, &facts, symbols, 2);
		assert_true(rc == 0 || rc == ERR_FORMAT);
		assert_true(facts.n_data <= 8 && facts.n_build_id <= sizeof facts.build_id);
		whole += rc == 0;
	}
	assert_true(whole > 100); /* else the damage is always at the same place */
	free(copy);
}

/* A made-up file with hash tables of one kind and the other, whole and hostile. */
struct made {
	Elf64_Ehdr h;
	Elf64_Phdr p[2];
	Elf64_Dyn d[6];
	Elf64_Sym sym[4];
	char strings[64];
	uint32_t sysv[2 + 1 + 4];
	struct {
		uint32_t head[4];
		uint64_t bloom;
		uint32_t bucket, chain[3];
	} gnu;
	char end[4096];
};

static uint32_t gnu_hash(const char *c)
{
	uint32_t h = 5381;
	for (; *c; c++)
		h = h * 33 + (unsigned char)*c;
	return h;
}

static void make(struct made *f, bool has_sysv, bool has_gnu)
{
	static const char *const names[] = {"", "alpha", "beta", "gamma"};
	memset(f, 0, sizeof *f);
	memcpy(f->h.e_ident, ELFMAG, SELFMAG);
	f->h.e_ident[EI_CLASS] = ELFCLASS64;
	f->h.e_ident[EI_DATA] = ELFDATA2LSB;
	f->h.e_type = ET_DYN;
	f->h.e_machine = EM_X86_64;
	f->h.e_phoff = offsetof(struct made, p);
	f->h.e_phentsize = sizeof f->p[0];
	f->h.e_phnum = 2;
	f->p[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_filesz = sizeof *f, .p_memsz = sizeof *f};
	f->p[1] = (Elf64_Phdr){.p_type = PT_DYNAMIC,
	                       .p_offset = offsetof(struct made, d),
	                       .p_vaddr = offsetof(struct made, d),
	                       .p_filesz = sizeof f->d,
	                       .p_memsz = sizeof f->d};
	size_t n = 0, at = 1;
	f->d[n++] = (Elf64_Dyn){.d_tag = DT_SYMTAB, .d_un.d_ptr = offsetof(struct made, sym)};
	f->d[n++] = (Elf64_Dyn){.d_tag = DT_STRTAB, .d_un.d_ptr = offsetof(struct made, strings)};
	f->d[n++] = (Elf64_Dyn){.d_tag = DT_STRSZ, .d_un.d_val = sizeof f->strings};
	if (has_sysv)
		f->d[n++] = (Elf64_Dyn){.d_tag = DT_HASH, .d_un.d_ptr = offsetof(struct made, sysv)};
	if (has_gnu)
		f->d[n++] = (Elf64_Dyn){.d_tag = DT_GNU_HASH, .d_un.d_ptr = offsetof(struct made, gnu)};
	f->sysv[0] = 1; /* one bucket, one chain of all: 3 2 1 */
	f->sysv[1] = 4;
	f->sysv[2] = 3;
	f->gnu.head[0] = 1;
	f->gnu.head[1] = 1;
	f->gnu.head[2] = 1;
	f->gnu.head[3] = 5;
	f->gnu.bucket = 1;
	for (uint32_t i = 1; i < 4; i++) {
		f->sym[i] =
		    (Elf64_Sym){.st_name = (uint32_t)at, .st_info = STT_OBJECT, .st_shndx = 1, .st_value = 0x1000 + i};
		strcpy(f->strings + at, names[i]);
		at += strlen(names[i]) + 1;
		f->sysv[3 + i] = i - 1;
		uint32_t h = gnu_hash(names[i]);
		f->gnu.bloom |= UINT64_C(1) << h % 64 | UINT64_C(1) << (h >> 5) % 64;
		f->gnu.chain[i - 1] = (h & ~1u) | (i == 3);
	}
}

static int look_up(const struct made *f, struct elf_symbol *symbols, size_t n)
{
	struct elf_facts facts;
	int fd = memory_file(f, sizeof *f);
	int rc = elf_read(fd, &facts, symbols, n);
	close(fd);
	return rc;
}

static void test_tables(void **state)
{
	(void)state;
	struct made *f = test_malloc(sizeof *f);
	for (int kind = 1; kind < 4; kind++) {
		struct elf_symbol s[] = {
		    {.name = "alpha"}, {.name = "beta"}, {.name = "gamma"}, {.name = "delta"}, {.name = "alph"}};
		make(f, kind & 1, kind & 2);
		assert_int_equal(look_up(f, s, 5), 0);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(s[i].value, 0x1001 + i);
		assert_int_equal(s[3].value, 0);
		assert_int_equal(s[4].value, 0);
		/* chains without an end, tables that lead out of the file, strings out of the table */
		f->sysv[3 + 1] = 3;
		f->gnu.chain[2] &= ~1u;
		memset(f->end, 0, sizeof f->end);
		assert_int_equal(look_up(f, s, 5), 0);
		assert_int_equal(s[3].value, 0);
		f->gnu.head[0] = f->gnu.head[2] = f->sysv[0] = UINT32_MAX;
		look_up(f, s, 5);
		make(f, kind & 1, kind & 2);
		f->gnu.head[0] = f->sysv[0] = 0;
		assert_int_equal(look_up(f, s, 5), 0);
		assert_int_equal(s[0].value, 0);
		make(f, kind & 1, kind & 2);
		f->gnu.bucket = f->sysv[2] = UINT32_MAX;
		f->sysv[1] = UINT32_MAX;
		look_up(f, s, 5);
		assert_int_equal(s[0].value, 0);
		make(f, kind & 1, kind & 2);
		f->sym[1].st_name = UINT32_MAX;
		f->sym[2].st_name = sizeof f->strings - 1;
		look_up(f, s, 5);
		assert_int_equal(s[0].value, 0);
		assert_int_equal(s[1].value, 0);
		assert_int_equal(s[2].value, 0x1003);
	}
	test_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_image),    cmocka_unit_test(test_damaged_image),
	    cmocka_unit_test(test_tables),   cmocka_unit_test(test_self),
	    cmocka_unit_test(test_stripped), cmocka_unit_test(test_without_sections),
	    cmocka_unit_test(test_not_ours), cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests(tests, load, unload);
}

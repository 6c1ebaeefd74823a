/* elf: this very program, with and without its section headers, cut and garbled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/target/elf.h"
#include "pyspy-record/target/maps.h"

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
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_self),     cmocka_unit_test(test_stripped), cmocka_unit_test(test_without_sections),
	    cmocka_unit_test(test_not_ours), cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests(tests, load, unload);
}

/* bpfobject: objects made here, as clang makes them, whole and in all ways wrong. What comes after reading them needs
 * rights; those tests are skipped without. */
#include "tests/unit/support_test.h"

#include <dirent.h>
#include <elf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/kernel/bpf.h"
#include "pyspy-record/kernel/bpfobject.h"
#include "pyspy-record/kernel/ring.h"

enum { PROGRAM = 1, RELOCATIONS, MAPS, LICENSE, SYMBOLS, STRINGS, N_SECTIONS };
enum { RING_SYMBOL = 1, SECTION_SYMBOL, STRANGE_SYMBOL, N_SYMBOLS };
enum { R_64_64 = 1, R_64_32 = 10, RINGBUF_OUTPUT = 130, MAGIC = 0x5eed };

/* Writes MAGIC into the ring. The first two places are the load that is relocated. */
static const struct bpf_insn the_program[] = {
    {.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1},
    {0},
    {.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = 10, .off = -8, .imm = MAGIC},
    {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10},
    {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -8},
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 8},
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 4, .imm = BPF_RB_NO_WAKEUP},
    {.code = BPF_JMP | BPF_CALL, .imm = RINGBUF_OUTPUT},
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0},
    {.code = BPF_JMP | BPF_EXIT},
};
static const char names[] = "\0raw_tp/sched_switch\0.rel\0.maps\0license\0.symtab\0.strtab\0the_ring\0str\nange";
static const char license[] = "Dual MIT/GPL";

static uint32_t name_at(const char *name)
{
	for (size_t i = 1; i < sizeof names; i++)
		if (!names[i - 1] && !strcmp(names + i, name))
			return (uint32_t)i;
	fail_msg("%s is not among the names", name);
	return 0;
}

/* An object, with its parts at hand so that a test can bend them. The headers of the sections come last. */
struct object {
	Elf64_Ehdr head;
	struct bpf_insn program[N_OF(the_program)];
	Elf64_Rel relocations[1];
	uint64_t maps[2];
	char license[16];
	Elf64_Sym symbols[N_SYMBOLS];
	char strings[(sizeof names + 7) / 8 * 8];
	Elf64_Shdr sections[N_SECTIONS];
};

#define SECTION(o, index, its_name, type, part, ...)                                                                   \
	(o)->sections[index] = (Elf64_Shdr)                                                                            \
	{                                                                                                              \
		.sh_name = name_at(its_name), .sh_type = (type), .sh_offset = offsetof(struct object, part),           \
		.sh_size = sizeof(o)->part, .sh_addralign = 8, __VA_ARGS__                                             \
	}

static void make(struct object *o)
{
	memset(o, 0, sizeof *o);
	o->head = (Elf64_Ehdr){.e_type = ET_REL,
	                       .e_machine = EM_BPF,
	                       .e_version = EV_CURRENT,
	                       .e_shoff = offsetof(struct object, sections),
	                       .e_ehsize = sizeof o->head,
	                       .e_shentsize = sizeof *o->sections,
	                       .e_shnum = N_SECTIONS,
	                       .e_shstrndx = STRINGS};
	memcpy(o->head.e_ident, ELFMAG, SELFMAG);
	o->head.e_ident[EI_CLASS] = ELFCLASS64;
	o->head.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	o->head.e_ident[EI_VERSION] = EV_CURRENT;
	memcpy(o->program, the_program, sizeof the_program);
	o->relocations[0].r_info = ELF64_R_INFO(RING_SYMBOL, R_64_64);
	memcpy(o->license, license, sizeof license);
	o->symbols[RING_SYMBOL] = (Elf64_Sym){.st_name = name_at("the_ring"), .st_shndx = MAPS, .st_size = 8};
	o->symbols[SECTION_SYMBOL] = (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION), .st_shndx = MAPS};
	o->symbols[STRANGE_SYMBOL] = (Elf64_Sym){.st_name = name_at("str\nange"), .st_shndx = MAPS};
	memcpy(o->strings, names, sizeof names);
	SECTION(o, PROGRAM, "raw_tp/sched_switch", SHT_PROGBITS, program);
	SECTION(o, RELOCATIONS, ".rel", SHT_REL, relocations, .sh_link = SYMBOLS, .sh_info = PROGRAM,
	        .sh_entsize = sizeof(Elf64_Rel));
	SECTION(o, MAPS, ".maps", SHT_PROGBITS, maps);
	SECTION(o, LICENSE, "license", SHT_PROGBITS, license);
	SECTION(o, SYMBOLS, ".symtab", SHT_SYMTAB, symbols, .sh_link = STRINGS, .sh_entsize = sizeof(Elf64_Sym));
	SECTION(o, STRINGS, ".strtab", SHT_STRTAB, strings);
}

struct tables {
	struct bpfobject_map maps[2];
	struct bpfobject_program programs[2];
	char why[200];
};
static const struct tables usual = {
    .maps = {{"the_ring", BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 99}, {"counts", BPF_MAP_TYPE_HASH, 4, 8, 1, 0, 99}},
    .programs = {{"raw_tp/sched_switch", BPF_PROG_TYPE_RAW_TRACEPOINT, false, 99}, {"left/out", 0, false, 99}},
};

static int load(struct tables *t, const void *bytes, size_t n)
{
	return bpfobject_load(bytes, n, t->maps, 2, t->programs, 2, t->why, sizeof t->why, NULL);
}

static void assert_nothing_open(const struct tables *t)
{
	assert_int_equal(t->maps[0].fd, -1);
	assert_int_equal(t->maps[1].fd, -1);
	assert_int_equal(t->programs[0].fd, -1);
	assert_int_equal(t->programs[1].fd, -1);
}

/* May we at all? */
static bool allowed(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, "may we");
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static size_t open_files(void)
{
	size_t n = 0;
	DIR *d = opendir("/proc/self/fd");
	assert_non_null(d);
	if (!d) /* for those who do not know that it ends there */
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* --- read, and refused before the kernel sees it */

static void assert_refused(const struct object *o, const char *why)
{
	struct tables t = usual;
	assert_int_equal(load(&t, o, sizeof *o), ERR_FORMAT);
	assert_string_equal(t.why, why);
	assert_nothing_open(&t);
}

static void test_other_files(void **state)
{
	struct object o;
	make(&o);
	o.head.e_ident[0] = 'x';
	assert_refused(&o, "the eBPF object is no ELF file");
	make(&o);
	o.head.e_machine = EM_X86_64;
	assert_refused(&o, "the eBPF object is not one of this machine");
	make(&o);
	o.head.e_ident[EI_DATA] ^= ELFDATA2LSB ^ ELFDATA2MSB;
	assert_refused(&o, "the eBPF object is not one of this machine");
	make(&o);
	o.head.e_type = ET_EXEC;
	assert_refused(&o, "the eBPF object is not one of this machine");
	struct tables t = usual;
	assert_int_equal(load(&t, "", 0), ERR_FORMAT);
	assert_nothing_open(&t);
}

static void test_licence(void **state)
{
	struct object o;
	make(&o);
	o.sections[LICENSE].sh_name = name_at(".maps");
	assert_refused(&o, "the eBPF object says no licence");
	make(&o);
	memset(o.license, 'x', sizeof o.license); /* and no end */
	assert_refused(&o, "the eBPF object says no licence");
	make(&o);
	o.sections[LICENSE].sh_type = SHT_NOBITS;
	assert_refused(&o, "the eBPF object says no licence");
	make(&o);
	o.sections[LICENSE].sh_offset = sizeof o;
	assert_refused(&o, "the eBPF object says no licence");
}

static void test_programs(void **state)
{
	struct object o;
	make(&o);
	o.sections[PROGRAM].sh_name = name_at(".maps");
	assert_refused(&o, "the eBPF object has no program raw_tp/sched_switch");
	make(&o);
	o.sections[PROGRAM].sh_size -= 1;
	assert_refused(&o, "the eBPF object has no program raw_tp/sched_switch");
	make(&o);
	o.sections[PROGRAM].sh_size = 0;
	assert_refused(&o, "the eBPF object has no program raw_tp/sched_switch");
	make(&o);
	o.program[N_OF(the_program) - 1] = the_program[0]; /* half a load */
	assert_refused(&o, "program raw_tp/sched_switch is damaged at instruction 9");
	make(&o);
	o.program[0].src_reg = BPF_PSEUDO_MAP_FD; /* a file descriptor that is not ours */
	assert_refused(&o, "program raw_tp/sched_switch is damaged at instruction 0");
}

static void test_relocations(void **state)
{
	struct object o;
	make(&o);
	o.relocations[0].r_info = ELF64_R_INFO(RING_SYMBOL, R_64_32);
	assert_refused(&o, "program raw_tp/sched_switch refers to the_ring by a relocation of type 10, not to a map");
	make(&o);
	o.relocations[0].r_info = ELF64_R_INFO(SECTION_SYMBOL, R_64_64);
	assert_refused(&o, "program raw_tp/sched_switch refers to .maps, which is no map that there is");
	make(&o);
	o.relocations[0].r_info = ELF64_R_INFO(STRANGE_SYMBOL, R_64_64);
	assert_refused(&o, "program raw_tp/sched_switch refers to str?ange, which is no map that there is");
	make(&o);
	o.relocations[0].r_info = ELF64_R_INFO(N_SYMBOLS, R_64_64);
	assert_refused(&o, "program raw_tp/sched_switch is damaged: a relocation leads nowhere");
	make(&o);
	o.sections[RELOCATIONS].sh_link = LICENSE;
	assert_refused(&o, "program raw_tp/sched_switch is damaged: a relocation leads nowhere");
	for (uint64_t offset = 4; offset < 400; offset += 4) {
		make(&o);
		o.relocations[0].r_offset = offset;
		struct tables t = usual;
		assert_int_equal(load(&t, &o, sizeof o), ERR_FORMAT);
		assert_nothing_open(&t);
	}
	make(&o);
	o.program[0].imm = 8;
	assert_refused(&o, "program raw_tp/sched_switch refers into the map the_ring");
	make(&o);
	o.sections[RELOCATIONS].sh_type = SHT_RELA;
	assert_refused(&o, "program raw_tp/sched_switch is damaged: its relocations cannot be read");
}

static void test_map_left_out(void **state)
{
	struct object o;
	struct tables t = usual;
	make(&o);
	t.maps[0].type = 0;
	assert_int_equal(load(&t, &o, sizeof o), ERR_FORMAT);
	assert_string_equal(t.why, "program raw_tp/sched_switch refers to the_ring, which is no map that there is");
	assert_nothing_open(&t);
}

static void test_cut(void **state)
{
	struct object o;
	make(&o);
	for (size_t n = 0; n < sizeof o; n++) {
		struct tables t = usual;
		void *cut = malloc(n + 1); /* for the sanitizer, which knows where it ends */
		memcpy(cut, &o, n);
		assert_int_equal(load(&t, cut, n), ERR_FORMAT);
		assert_nothing_open(&t);
		free(cut);
	}
}

static void test_garbled(void **state)
{
	struct object o;
	uint32_t random = 12345;
	size_t before = open_files();
	for (int i = 0; i < 4000; i++) {
		struct tables t = usual;
		make(&o);
		for (int changes = 1 + i % 3; changes; changes--) {
			random = random * 1664525 + 1013904223;
			uint32_t at = (random >> 8) % sizeof o;
			random = random * 1664525 + 1013904223;
			((unsigned char *)&o)[at] ^= (unsigned char)(random >> 16);
		}
		int rc = load(&t, &o, sizeof o);
		if (rc < 0)
			assert_nothing_open(&t);
		assert_true(rc <= 0 && strlen(t.why) < sizeof t.why && (rc == 0) == !t.why[0]);
		bpfobject_close(t.maps, 2, t.programs, 2);
	}
	assert_int_equal(open_files(), before);
}

/* --- through the kernel */

static int visit(void *ctx, const void *record, size_t n)
{
	size_t *seen = ctx;
	uint64_t value;
	assert_int_equal(n, sizeof value);
	memcpy(&value, record, n);
	assert_int_equal(value, MAGIC);
	return ++*seen < 100 ? 0 : 1;
}

static void test_runs(void **state)
{
	struct object o;
	struct tables t = usual;
	struct ring r;
	size_t seen = 0, before = open_files();
	if (!allowed())
		skip();
	make(&o);
	assert_int_equal(load(&t, &o, sizeof o), 0);
	assert_string_equal(t.why, "");
	assert_true(t.maps[0].fd >= 0 && t.maps[1].fd >= 0 && t.programs[0].fd >= 0 && t.programs[1].fd == -1);
	int ring_fd = dup(t.maps[0].fd);
	assert_int_equal(ring_open(&r, ring_fd, 4096), 0);
	assert_int_equal(bpf_raw_tracepoint_open("no such tracepoint", t.programs[0].fd), ERR_GONE);
	int attached = bpf_raw_tracepoint_open("sched_switch", t.programs[0].fd);
	assert_true(attached >= 0);
	bpfobject_close(t.maps, 2, t.programs, 2); /* it lives on while it is attached */
	assert_nothing_open(&t);
	for (int i = 0; i < 1000 && seen == 0; i++) {
		usleep(1000);
		assert_true(ring_drain(&r, visit, &seen, 0) >= 0);
	}
	assert_true(seen > 0);
	close(attached);
	ring_close(&r);
	close(ring_fd);
	assert_int_equal(open_files(), before);
}

static void test_verifier_refuses(void **state)
{
	struct object o;
	struct tables t = usual;
	char *text = NULL;
	size_t n = 0;
	if (!allowed())
		skip();
	FILE *log = open_memstream(&text, &n);
	make(&o);
	o.program[2].dst_reg = 9; /* which holds nothing */
	int rc = bpfobject_load(&o, sizeof o, t.maps, 2, t.programs, 2, t.why, sizeof t.why, log);
	fclose(log);
	assert_true(rc < 0);
	assert_string_equal(t.why, "the kernel refused program raw_tp/sched_switch: R9 !read_ok");
	assert_nothing_open(&t);
	assert_non_null(strstr(text, "program raw_tp/sched_switch;"));
	assert_non_null(strstr(text, "processed ")); /* all of it, to its end */
	free(text);
}

static void test_map_refused(void **state)
{
	struct object o;
	struct tables t = usual;
	if (!allowed())
		skip();
	make(&o);
	t.maps[1].max_entries = 0;
	assert_int_equal(load(&t, &o, sizeof o), ERR_UNSUPPORTED);
	assert_string_equal(t.why, "the kernel refused map counts: Invalid argument");
	assert_nothing_open(&t);
}

static void test_optional(void **state)
{
	struct object o;
	struct tables t = usual;
	if (!allowed())
		skip();
	make(&o);
	t.programs[1] = (struct bpfobject_program){"raw_tp/other", BPF_PROG_TYPE_RAW_TRACEPOINT, true, 99};
	assert_int_equal(load(&t, &o, sizeof o), 0);
	assert_string_equal(t.why, "the eBPF object has no program raw_tp/other");
	assert_true(t.programs[0].fd >= 0 && t.programs[1].fd == -1);
	bpfobject_close(t.maps, 2, t.programs, 2);

	t.programs[0].optional = true;
	o.program[7].imm = 0x7fffffff; /* a helper that no kernel has */
	assert_int_equal(load(&t, &o, sizeof o), 0);
	assert_non_null(
	    strstr(t.why, "the kernel refused program raw_tp/sched_switch: invalid func unknown#2147483647"));
	assert_int_equal(t.programs[0].fd, -1);
	assert_true(t.maps[0].fd >= 0);
	bpfobject_close(t.maps, 2, t.programs, 2);
}

static void test_reading_maps(void **state)
{
	static const uint32_t types[] = {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY};
	enum { N = 100 };
	if (!allowed())
		skip();
	for (size_t i = 0; i < N_OF(types); i++) {
		int fd = bpf_map_create(types[i], 4, 8, N, 0, "entries");
		assert_true(fd >= 0);
		uint32_t keys[2 * N], n;
		uint64_t values[2 * N], sum = 0;
		for (uint32_t key = 0; key < N; key++) {
			uint64_t value = UINT64_C(1000) * key;
			assert_int_equal(bpf_map_update(fd, &key, &value, BPF_ANY), 0);
		}
		for (uint32_t room = N; room <= 2 * N; room += N) {
			assert_int_equal(bpf_map_read(fd, keys, 4, values, 8, room, &n), 0);
			assert_int_equal(n, N);
			sum = 0;
			for (uint32_t j = 0; j < n; j++) {
				assert_int_equal(values[j], UINT64_C(1000) * keys[j]);
				sum += keys[j];
			}
			assert_int_equal(sum, N * (N - 1) / 2);
		}
		assert_int_equal(bpf_map_read(fd, keys, 4, values, 8, N - 1, &n), ERR_FULL);
		assert_true(n <= N - 1);
		uint32_t absent = 7 * N;
		assert_int_equal(bpf_map_lookup(fd, &absent, values), ERR_GONE);
		close(fd);
	}
}

static void test_values_of_all_cpus(void **state)
{
	if (!allowed())
		skip();
	int n = bpf_possible_cpus();
	assert_true(n >= sysconf(_SC_NPROCESSORS_ONLN));
	int fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1, 0, "of each");
	assert_true(fd >= 0);
	uint64_t *values = calloc((size_t)n + 1, sizeof *values);
	uint32_t zero = 0;
	for (int i = 0; i < n; i++)
		values[i] = (uint64_t)i + 1;
	assert_int_equal(bpf_map_update(fd, &zero, values, BPF_ANY), 0);
	memset(values, 0xff, sizeof *values * ((size_t)n + 1));
	assert_int_equal(bpf_map_lookup(fd, &zero, values), 0);
	for (int i = 0; i < n; i++)
		assert_int_equal(values[i], i + 1);
	assert_true(values[n] == UINT64_MAX); /* and not one more */
	free(values);
	close(fd);
}

/* Maps that the kernel does not read in batches are read one by one. */
static void test_reading_a_map_without_batches(void **state)
{
	if (!allowed())
		skip();
	int fd = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 10, 0, "programs");
	assert_true(fd >= 0);
	struct object o;
	struct tables t = usual;
	make(&o);
	assert_int_equal(load(&t, &o, sizeof o), 0);
	uint32_t keys[10], values[10], n, at = 3, program = (uint32_t)t.programs[0].fd;
	assert_int_equal(bpf_map_update(fd, &at, &program, BPF_ANY), 0);
	assert_int_equal(bpf_map_read(fd, keys, 4, values, 4, 10, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(keys[0], 3);
	assert_int_equal(bpf_map_delete(fd, &at), 0);
	assert_int_equal(bpf_map_read(fd, keys, 4, values, 4, 10, &n), 0);
	assert_int_equal(n, 0);
	close(fd);
	bpfobject_close(t.maps, 2, t.programs, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_other_files),
	    cmocka_unit_test(test_licence),
	    cmocka_unit_test(test_programs),
	    cmocka_unit_test(test_relocations),
	    cmocka_unit_test(test_map_left_out),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_garbled),
	    cmocka_unit_test(test_runs),
	    cmocka_unit_test(test_verifier_refuses),
	    cmocka_unit_test(test_map_refused),
	    cmocka_unit_test(test_optional),
	    cmocka_unit_test(test_reading_maps),
	    cmocka_unit_test(test_values_of_all_cpus),
	    cmocka_unit_test(test_reading_a_map_without_batches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

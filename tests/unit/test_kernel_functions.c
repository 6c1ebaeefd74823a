/* bpfobject: programs with functions that a helper calls back (bpf_loop), as clang lays them out: in .text, referred to
 * by that section and a place in it. */
#include "tests/unit/support_test.h"

#include <elf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/kernel/bpf.h"
#include "pyspy-record/kernel/bpfobject.h"

enum { PROGRAM = 1, RELOCATIONS, FUNCTIONS, LICENSE, SYMBOLS, STRINGS, N_SECTIONS };
enum { SECTION_SYMBOL = 1, FIRST_SYMBOL, SECOND_SYMBOL, N_SYMBOLS };
enum { R_64_64 = 1, LOOP = 181 };

/* Each function is called in a loop; the loads of their places are relocated. */
#define CALL(place)                                                                                                    \
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = 3},                                                 \
	    {.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 2, .imm = (place)}, {0},                                    \
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3}, {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 4},  \
	{                                                                                                              \
		.code = BPF_JMP | BPF_CALL, .imm = LOOP                                                                \
	}
#define RETURN                                                                                                         \
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0},                                                           \
	{                                                                                                              \
		.code = BPF_JMP | BPF_EXIT                                                                             \
	}
static const struct bpf_insn the_program[] = {CALL(0), CALL(16), RETURN};
static const struct bpf_insn the_functions[] = {RETURN, RETURN};
static const char names[] = "\0raw_tp/loop\0.rel\0.text\0license\0.symtab\0.strtab\0first\0second";

static uint32_t name_at(const char *name)
{
	for (size_t i = 1; i < sizeof names; i++)
		if (!names[i - 1] && !strcmp(names + i, name))
			return (uint32_t)i;
	fail_msg("%s is not among the names", name);
	return 0;
}

struct object {
	Elf64_Ehdr head;
	struct bpf_insn program[N_OF(the_program)];
	Elf64_Rel relocations[2];
	struct bpf_insn functions[N_OF(the_functions)];
	char license[8];
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
	memcpy(o->functions, the_functions, sizeof the_functions);
	o->relocations[0] = (Elf64_Rel){1 * 8, ELF64_R_INFO(SECTION_SYMBOL, R_64_64)};
	o->relocations[1] = (Elf64_Rel){7 * 8, ELF64_R_INFO(SECTION_SYMBOL, R_64_64)};
	memcpy(o->license, "GPL", 4);
	o->symbols[SECTION_SYMBOL] =
	    (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION), .st_shndx = FUNCTIONS};
	o->symbols[SECOND_SYMBOL] = (Elf64_Sym){.st_name = name_at("second"), /* not in order */
	                                        .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
	                                        .st_shndx = FUNCTIONS,
	                                        .st_size = 16};
	o->symbols[FIRST_SYMBOL] = (Elf64_Sym){.st_name = name_at("first"),
	                                       .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
	                                       .st_shndx = FUNCTIONS,
	                                       .st_value = 16,
	                                       .st_size = 16};
	memcpy(o->strings, names, sizeof names);
	SECTION(o, PROGRAM, "raw_tp/loop", SHT_PROGBITS, program);
	SECTION(o, RELOCATIONS, ".rel", SHT_REL, relocations, .sh_link = SYMBOLS, .sh_info = PROGRAM,
	        .sh_entsize = sizeof(Elf64_Rel));
	SECTION(o, FUNCTIONS, ".text", SHT_PROGBITS, functions);
	SECTION(o, LICENSE, "license", SHT_PROGBITS, license);
	SECTION(o, SYMBOLS, ".symtab", SHT_SYMTAB, symbols, .sh_link = STRINGS, .sh_entsize = sizeof(Elf64_Sym));
	SECTION(o, STRINGS, ".strtab", SHT_STRTAB, strings);
}

static int load(const struct object *o, char *why, size_t size)
{
	struct bpfobject_program p = {"raw_tp/loop", BPF_PROG_TYPE_RAW_TRACEPOINT, false, 99};
	int rc = bpfobject_load_more(o, sizeof *o, NULL, 0, &p, why, size, NULL);
	assert_true(rc == 0 ? p.fd >= 0 : p.fd == -1);
	if (rc == 0)
		close(p.fd);
	return rc;
}

static void assert_refused(const struct object *o, const char *why)
{
	char said[200];
	assert_int_equal(load(o, said, sizeof said), ERR_FORMAT);
	assert_string_equal(said, why);
}

static void test_loads(void **state)
{
	struct object o;
	char why[200];
	make(&o);
	int rc = load(&o, why, sizeof why);
	if (rc == ERR_PERMISSION || rc == ERR_UNSUPPORTED || strstr(why, "unknown#181")) /* before 5.17 */
		skip();
	assert_string_equal(why, "");
	/* by the function's own symbol */
	o.relocations[1].r_info = ELF64_R_INFO(FIRST_SYMBOL, R_64_64);
	o.program[7].imm = 0;
	rc = load(&o, why, sizeof why);
	assert_string_equal(why, "");
	assert_int_equal(rc, 0);
	/* the kernel wants all of them to be reached */
	o.program[7].imm = 0;
	o.relocations[1].r_info = ELF64_R_INFO(SECTION_SYMBOL, R_64_64);
	assert_true(load(&o, why, sizeof why) < 0);
	assert_non_null(strstr(why, "program raw_tp/loop"));
}

static void test_refuses(void **state)
{
	struct object o;
	make(&o);
	o.program[7].imm = 12;
	assert_refused(&o, "program raw_tp/loop refers to the middle of a function");
	make(&o);
	o.program[7].imm = -8;
	assert_refused(&o, "program raw_tp/loop is damaged at a reference to a function");
	make(&o);
	o.program[7].imm = 400;
	assert_refused(&o, "program raw_tp/loop refers to the middle of a function");
	make(&o);
	o.symbols[FIRST_SYMBOL].st_value = 8; /* that is where no function begins */
	assert_refused(&o, "program raw_tp/loop refers to the middle of a function");
	make(&o);
	o.symbols[SECOND_SYMBOL].st_value = 400;
	assert_refused(&o, "program raw_tp/loop has functions where none can be");
	make(&o);
	o.sections[FUNCTIONS].sh_size -= 4;
	assert_refused(&o, "the eBPF object has no program .text");
	make(&o);
	o.relocations[1].r_offset = 8 * 8;
	assert_refused(&o, "program raw_tp/loop is damaged at a reference to a function");
	make(&o);
	o.functions[0] = (struct bpf_insn){.code = BPF_LD | BPF_IMM | BPF_DW, .src_reg = 4};
	assert_refused(&o, "program .text is damaged at instruction 0");
}

static void test_garbled(void **state)
{
	struct object o;
	char why[200];
	uint32_t random = 4711;
	for (int i = 0; i < 4000; i++) {
		make(&o);
		for (int changes = 1 + i % 3; changes; changes--) {
			random = random * 1664525 + 1013904223;
			uint32_t at = (random >> 8) % sizeof o;
			random = random * 1664525 + 1013904223;
			((unsigned char *)&o)[at] ^= (unsigned char)(random >> 16);
		}
		int rc = load(&o, why, sizeof why);
		assert_true(rc <= 0 && strlen(why) < sizeof why && (rc == 0) == !why[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_loads),
	    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_garbled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

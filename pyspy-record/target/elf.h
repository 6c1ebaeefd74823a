/* elf: the few facts that are needed of an executable or shared object (libelf).
 *
 * Trust: files may be damaged or hostile; libelf checks, and every index is checked again here. 64-bit little-endian
 * files of this machine's kind only.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_symbol {
	const char *name; /* asked for */
	uint64_t value;   /* st_value; 0 = not found */
	uint64_t size;
};
struct elf_facts {
	uint64_t first_load_vaddr,
	    first_load_offset; /* of the first PT_LOAD; load bias = mapped begin - offset - (vaddr - offset) */
	bool is_pie;           /* ET_DYN */
	uint64_t pyruntime_addr, pyruntime_size; /* section .PyRuntime: sh_addr, sh_size; 0 = none */
	uint8_t build_id[64];
	uint32_t n_build_id;
	uint64_t data_vaddr[8], data_size[8]; /* writable PT_LOADs (memory size) */
	uint32_t n_data;
};
/* Look up symbols (defined ones, .dynsym first, then .symtab) in the file open at fd.
 * 0; ERR_FORMAT (not an ELF file of ours); fd stays open. Section headers may be missing: then only program headers
 * speak. */
int elf_read(int fd, struct elf_facts *facts, struct elf_symbol *symbols, size_t n_symbols);

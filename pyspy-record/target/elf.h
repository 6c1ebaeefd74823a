/* elf: the few facts that are needed of an executable or shared object, from its file or from where it is mapped.
 *
 * Memory:  nothing is kept, no table is loaded whole: names are looked up by the hash table of the dynamic segment, or
 * by reading the tables in pieces. Trust: files and images may be damaged or hostile: every offset and count is
 * checked, every loop is bounded. 64-bit little-endian files of this machine's kind only. Source: System V gABI
 * (headers, "Dynamic Section", "Hash Table"); the GNU hash table as binutils write it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_symbol {
	const char *name; /* asked for; shorter than ELF_NAME_MAX */
	uint64_t value;   /* st_value; 0 = not found */
	uint64_t size;
	uint32_t wanted_size; /* not 0: one of another size is not meant */
};
struct elf_facts {
	uint64_t first_load_vaddr,
	    first_load_offset; /* of the first PT_LOAD; load bias = mapped begin - offset - (vaddr - offset) */
	uint64_t end_vaddr;    /* of the last PT_LOAD */
	bool is_pie;           /* ET_DYN */
	uint64_t pyruntime_addr, pyruntime_size; /* section .PyRuntime: sh_addr, sh_size; 0 = none */
	uint64_t asyncio_addr, asyncio_size;     /* section .AsyncioDebug: the same */
	uint8_t build_id[64];
	uint32_t n_build_id;
	uint64_t data_vaddr[8], data_size[8]; /* writable PT_LOADs (memory size) */
	uint32_t n_data;
	uint64_t headers_hash; /* of the program headers: the same in a file and in its image */
};
enum { ELF_NAME_MAX = 64 };

/* Look up symbols (defined ones; the dynamic ones first, then .symtab) in the file open at fd.
 * 0; ERR_FORMAT (not an ELF file of ours); fd stays open. Section headers may be missing: then only program headers
 * speak. */
int elf_read(int fd, struct elf_facts *facts, struct elf_symbol *symbols, size_t n_symbols);

/* All n bytes at an address of the process, or false. */
typedef bool elf_read_memory(void *ctx, uint64_t address, void *out, size_t n);
/* The same of an object as it lies in memory, its file's first byte at `begin`: only what is mapped, so dynamic symbols
 * alone, and no section. */
int elf_read_image(elf_read_memory *read, void *ctx, uint64_t begin, struct elf_facts *facts,
                   struct elf_symbol *symbols, size_t n_symbols);

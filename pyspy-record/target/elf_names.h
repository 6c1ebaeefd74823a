/* elf_names: between the parts of elf: symbols by name, without loading a table. */
#pragma once
#include <elf.h>

#include "pyspy-record/target/elf.h"

/* A file (addresses are offsets in it), or an image in a process (addresses are the process's). */
struct elf_source {
	elf_read_memory *read;
	void *ctx;
	int fd;
	uint64_t size; /* of the file */
	bool is_image;
	uint64_t bias;
	Elf64_Phdr *phdrs; /* allocated */
	size_t n_phdrs;
};
/* The dynamic segment's tables, all virtual addresses; 0 = none. */
struct elf_dynamic {
	uint64_t symtab, strtab, strsz, hash, gnu_hash;
};
/* A symbol table in a file: offsets. */
struct elf_table {
	uint64_t at, size, strings, n_strings;
};
/* n bytes at a virtual address. */
bool elf_source_vaddr(const struct elf_source *s, uint64_t vaddr, void *out, size_t n);
/* Fill in the symbols (those without a value) that the hash table leads to. False: there is no such table. */
bool elf_names_hashed(const struct elf_source *s, const struct elf_dynamic *d, struct elf_symbol *symbols, size_t n);
/* The same by reading a whole table in pieces: first where the names are among the strings, then who has them. */
void elf_names_listed(const struct elf_source *s, const struct elf_table *t, struct elf_symbol *symbols, size_t n);

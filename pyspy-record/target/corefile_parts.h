/* corefile_parts: between the parts of corefile. */
#pragma once
#include <elf.h>

#include "pyspy-record/target/corefile.h"

/* The path of objects whose name the core has not. */
extern char corefile_no_name[];
/* n bytes of the file at `at`, all of them or false. */
bool corefile_bytes(const struct corefile *c, uint64_t at, void *to, size_t n);
/* A PT_NOTE segment, as far as it is in the file. ERR_NO_MEMORY. */
int corefile_take_notes(struct corefile *c, uint64_t offset, uint64_t size);
/* When all notes were seen. ERR_NO_MEMORY. */
int corefile_sort_threads(struct corefile *c);
/* When all segments and notes were seen: maps, the program, its command line. */
int corefile_settle(struct corefile *c);
/* Memory that the core itself holds, no binaries'. As corefile_read. */
size_t corefile_held(const struct corefile *c, uint64_t address, void *to, size_t n);
/* The binary that is mapped there; NULL = none, or no room for more. */
struct corefile_binary *corefile_binary(struct corefile *c, const struct maps_entry *m);
void corefile_binaries_done(struct corefile *c);

/* The program headers of a core, out of its first bytes: how many there are (0: they contradict themselves) and, in the
 * header, where. `first` is its first program header. */
uint64_t corefile_n_headers(const Elf64_Ehdr *h, const Elf64_Phdr *first);
/* ERR_FORMAT and *why when it is no core that we can read. */
int corefile_check(const Elf64_Ehdr *h, size_t n, char *why, size_t size);
/* fd of a compressed file -> that of an unlinked one. 0 (as much as there is and fits), ERR_FORMAT, ERR_SYSTEM,
 * ERR_NO_MEMORY with *why. */
int corefile_unpack(int fd, int *unpacked, char *why, size_t size);
/* By its first bytes, is it a file of zstd's? */
bool corefile_is_packed(const unsigned char *first, size_t n);

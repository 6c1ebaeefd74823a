/* support_core: core files made by hand, as wrong as a test wants them.
 *
 * Use:    support_core_segment, support_core_note, then support_core_write; what is written is ELF header, program
 * headers, notes, contents, as the kernel lays them out. Everything can be changed in `file` before it is written.
 */
#pragma once
#include <elf.h>

#include "libcommon/buf.h"
#include "tests/unit/support_test.h"

enum { SUPPORT_CORE_SEGMENTS = 64 };

struct support_core {
	Elf64_Ehdr header;
	Elf64_Phdr segments[SUPPORT_CORE_SEGMENTS]; /* p_offset is filled in by support_core_build */
	const void *contents[SUPPORT_CORE_SEGMENTS];
	size_t n;
	struct buf notes;
	struct buf file;
	char path[64];
};

void support_core_init(struct support_core *s);
void support_core_done(struct support_core *s);
/* [at, at + memsz), of which the first filesz bytes are `bytes`. Its index. */
size_t support_core_segment(struct support_core *s, uint64_t at, uint64_t memsz, const void *bytes, uint64_t filesz,
                            uint32_t flags);
void support_core_note(struct support_core *s, uint32_t type, const void *desc, size_t n);
/* A thread: tid, pthread_self(), stack pointer, system call (-1 = none) and its first argument, signal. */
void support_core_thread(struct support_core *s, int tid, uint64_t tls, uint64_t sp, int64_t syscall, uint64_t arg,
                         int signal);
/* The note of mapped files: n times begin, end, offset in pages, name. */
struct support_core_file {
	uint64_t begin, end, page;
	const char *name;
};
void support_core_files(struct support_core *s, const struct support_core_file *files, size_t n);
/* s->file, from all that was said. */
void support_core_build(struct support_core *s);
/* s->file's bytes to s->path, in place of what is there. */
void support_core_write(struct support_core *s);

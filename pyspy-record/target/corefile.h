/* corefile: a process as a core file has it: memory, threads, mapped files, in place of /proc.
 *
 * Flow:    a file -> [corefile] -> source (what /proc would say), memory/core_reader (bytes), show/.
 * Memory:  tables only, each bounded by what the file's own bytes can hold; contents are read with pread when they are
 * asked for, never mapped: a file that shrinks is an error and no SIGBUS. A zstd-compressed core is unpacked into an
 * unlinked file first, as far as its program headers say that there is something (corefile_unpack.c).
 * Trust:   none. Every offset, size and count is checked with arithmetic that cannot overflow, every loop is bounded.
 * Source:  elf(5); Linux fs/binfmt_elf.c (elf_core_dump, fill_files_note), include/linux/elfcore.h; gdb's gcore writes
 * the same notes, at the end of the file. 64-bit files of this machine's kind only.
 *
 * What a core does not hold: pages of files that were mapped and never written to (but for the first one of an ELF
 * file, coredump_filter bit 4). They come from the files themselves, if they are here and are the same (binaries).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcommon/vec.h"
#include "pyspy-record/target/maps.h"

struct process_facts;

enum {
	COREFILE_SEGMENTS_MAX = 1 << 20,
	COREFILE_THREADS_MAX = 1 << 20,
	COREFILE_NOTE_SEGMENTS_MAX = 16,
	COREFILE_NOTES_MAX = 8 << 20,      /* looked at, of all of these */
	COREFILE_FILES_BYTES = 16 << 20,   /* of the note of mapped files */
	COREFILE_BINARIES_MAX = 4096,      /* of which memory is read */
	COREFILE_ARGUMENTS_MAX = 64 << 10, /* bytes and words of the command line */
};

/* Memory [begin, end), of which `there` bytes from the first on are in the file from `offset` on, and `claimed` should
 * be: more than are there where the file was cut. What is not claimed was not written to. */
struct corefile_segment {
	uint64_t begin, end, offset, there, claimed;
	uint32_t flags; /* PF_R, ... */
};

struct corefile_thread {
	pid_t tid;     /* as its writer saw it: another pid namespace than the process's own, perhaps */
	int32_t index; /* of the note, 0 = the first */
	uint64_t tls;  /* what pthread_self() gives; 0 = not known */
	uint64_t sp;
	long syscall; /* that it was in; -1 = none */
	uint64_t arg; /* its first argument */
	int signal;   /* that it got; 0 = none */
};

/* A file that was mapped, of which pages are missing in the core. */
enum corefile_binary_state {
	BINARY_FOUND,
	BINARY_ABSENT,    /* no file of that name is here */
	BINARY_OTHER,     /* there is one, with another build id or other first bytes */
	BINARY_UNPROVED,  /* there is one; the core has not the page that tells whether it is the one */
	BINARY_UNCHECKED, /* the same, in a place that the user named: it is used */
};
struct corefile_binary {
	const char *path; /* in the core's words */
	enum corefile_binary_state state;
	int fd; /* -1 = none */
	uint64_t size;
	uint8_t build_id[64]; /* as the core has it */
	uint32_t n_build_id;
	uint64_t missed; /* bytes asked for that were not to be had */
	bool has_page;   /* its first bytes are in the core: it is an object, and no file of data */
};

struct corefile {
	int fd;
	uint64_t size;         /* of the file, unpacked */
	uint64_t wanted;       /* where its last segment ends: more than size = it is truncated */
	uint64_t packed_bytes; /* of the compressed file; 0 = it was not */
	int64_t mtime_s;
	uint32_t mtime_ns;
	VEC(struct corefile_segment) segments; /* ascending, none overlaps */
	VEC(struct corefile_thread) threads;   /* by tid */
	VEC(uint32_t) by_tls;                  /* the same by tls */
	uint64_t n_notes, n_note_segments;     /* looked at */
	pid_t first_tid;                       /* of the first note: who crashed, or whom the debugger looked at */
	struct {
		bool is_there;
		pid_t pid, parent_pid;
		uint32_t uid;
		char comm[17], arguments[81];
	} process;
	int signal; /* that ended the process; 0 = none did (gcore) */
	int signal_code;
	bool has_fault;
	uint64_t fault;   /* address, of SIGSEGV and the like */
	struct maps maps; /* as /proc/PID/maps, as far as can be told; its texts are `text` */
	VEC(char) text;
	VEC(unsigned char) auxv;
	const char *exe; /* its path; "" = not known */
	char **cmdline;  /* allocated as one */
	uint32_t n_cmdline;
	const char *const *places; /* folders and files that the user named */
	size_t n_places;
	VEC(struct corefile_binary) binaries;
	uint64_t missed; /* bytes of memory asked for that the truncated part would have had */
	bool is_damaged; /* headers or notes contradict themselves, or lead out of the file */
};

/* `places` (n of them, the caller's for as long as the core is open): folders where the binaries of another system lie,
 * or binaries. 0; else an error and *why, what follows "core PATH: " in a sentence, with what to do: ERR_FORMAT (no
 * core of ours), ERR_SYSTEM, ERR_NO_MEMORY. */
int corefile_open(struct corefile *c, const char *path, const char *const *places, size_t n_places, char *why,
                  size_t size);
void corefile_close(struct corefile *c);
/* How many of the n bytes at `address` are to be had, from the first on; they are copied. */
size_t corefile_read(struct corefile *c, uint64_t address, void *to, size_t n);
/* The thread whose pthread_self() is this, else whose tid; NULL = none. */
const struct corefile_thread *corefile_thread_of(const struct corefile *c, uint64_t tls, pid_t tid);
const struct corefile_thread *corefile_thread(const struct corefile *c, pid_t tid);
/* Where the main thread's stack ends; 0 = not known. */
uint64_t corefile_stack_end(const struct corefile *c);
/* A copy of c->maps, for maps_done; its texts are the core's. 0; ERR_NO_MEMORY. */
int corefile_maps(const struct corefile *c, struct maps *m);
/* As process_facts_read; for process_facts_done. */
int corefile_facts(const struct corefile *c, struct process_facts *p);
/* As process_open_mapped: the file whose first byte is mapped there. */
int corefile_open_mapped(struct corefile *c, const struct maps_entry *m, bool *doubtful);
/* "SIGSEGV", or "signal 77" in `out`. */
const char *corefile_signal_name(int signal, char out[24]);
/* " (build id 12ab...)", or "". */
const char *corefile_build_id_words(const struct corefile_binary *b, char out[160]);

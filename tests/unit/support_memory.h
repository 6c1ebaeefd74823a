/* support_memory: a target's memory that tests write themselves, behind a struct reader.
 *
 * Use:    support_memory_map regions of exactly the bytes that shall be readable, fill them, hand &m.reader to the code
 * under test. Reading behaves as process_vm_readv: pieces in order, up to the first that is not all there; with
 * splits_pieces a piece that crosses into unmapped bytes counts with what was there, as the kernel does at page bounds.
 * Errors: none; a test that maps or fills nonsense dies.
 */
#pragma once
#include "pyspy-record/memory/reader.h"

enum { SUPPORT_MEMORY_REGIONS = 4096 };

struct support_memory {
	struct reader reader;
	struct support_memory_region {
		raddr_t at;
		size_t n;
		unsigned char *bytes;
	} regions[SUPPORT_MEMORY_REGIONS]; /* by address */
	size_t n_regions;
	bool splits_pieces;
	int error;           /* not 0: every call fails with it */
	uint64_t bytes_read; /* so far */
	/* Called in front of each call that reads; may change the memory. `call` counts from 1. */
	void (*before)(struct support_memory *m, uint64_t call);
	void *ctx;
};

void support_memory_init(struct support_memory *m);
void support_memory_done(struct support_memory *m);
/* Make n bytes at `at` readable, all zero. No overlap with what is there. */
void support_memory_map(struct support_memory *m, raddr_t at, size_t n);
/* The whole region that begins at `at` cannot be read any more. */
void support_memory_unmap(struct support_memory *m, raddr_t at);
bool support_memory_has(struct support_memory *m, raddr_t at, size_t n);
/* Where the n bytes at `at` are (inside one region); valid until the region is unmapped. */
void *support_memory_at(struct support_memory *m, raddr_t at, size_t n);
void support_memory_put(struct support_memory *m, raddr_t at, const void *p, size_t n);
void support_memory_u64(struct support_memory *m, raddr_t at, uint64_t v);
void support_memory_u32(struct support_memory *m, raddr_t at, uint32_t v);
void support_memory_u8(struct support_memory *m, raddr_t at, uint8_t v);

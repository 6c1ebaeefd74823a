/* facts_parts: what the files of facts share: one value after the other, out of a pack or into it. Nobody else's. */
#pragma once
#include "format/encode.h"
#include "libcommon/err.h"
#include "libcommon/vec.h"
#include "pyspy-report/index/index_facts.h"

enum { F_HEAD, F_BODY, F_COLUMNS = 8, FACTS_PART = 1 << 20 }; /* entries of a pack of a dictionary at most */

#define FACTS_MAX_N (UINT64_C(1) << 58) /* samples; no stream can hold so many */

/* One value after the other, out or in. */
struct facts {
	bool writes;
	struct buf *out[F_COLUMNS];
	struct unpack in[F_COLUMNS];
	bool is_bad; /* reading: ids that are not there, and what else no index says */
	int rc;      /* ERR_NO_MEMORY */
};

void facts_begin(struct facts *f, struct pack *k, bool writes);
int facts_end(const struct facts *f);
void facts_u64(struct facts *f, unsigned column, uint64_t *v);
void facts_u32(struct facts *f, unsigned column, uint32_t *v);
void facts_i64(struct facts *f, unsigned column, int64_t *v);
void facts_i32(struct facts *f, unsigned column, int32_t *v);
void facts_bool(struct facts *f, bool *v);
/* How many follow; each has at least one byte in F_BODY. */
uint32_t facts_count(struct facts *f, size_t n);
void facts_bytes(struct facts *f, void *bytes, size_t n);
/* A text of its own; *text is NULL before it is read. */
void facts_text(struct facts *f, char **text);

/* An array of ids. */
#define facts_ids(f, vec)                                                                                              \
	do {                                                                                                           \
		bool writes_ = (f)->writes;                                                                            \
		uint32_t n_ = facts_count(f, (vec)->n);                                                                \
		for (uint32_t i_ = 0; i_ < n_ && !(f)->rc; i_++)                                                       \
			if (!writes_ && !vec_push(vec, 0))                                                             \
				(f)->rc = ERR_NO_MEMORY;                                                               \
			else                                                                                           \
				facts_u32(f, F_BODY, &(vec)->v[i_]);                                                   \
	} while (0)

/* An id of the index -> the one of the profile. */
#define facts_translate(f, vec, id)                                                                                    \
	do {                                                                                                           \
		if (*(id) < (vec)->n)                                                                                  \
			*(id) = (vec)->v[*(id)];                                                                       \
		else                                                                                                   \
			(f)->is_bad = true, *(id) = 0;                                                                 \
	} while (0)

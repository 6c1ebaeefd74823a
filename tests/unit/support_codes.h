/* support_codes: code objects in a fake target's memory, as each version and build has them, and the codes that are
 * read of them.
 *
 * Memory:  support_codes_begin .. support_codes_end own all of it.
 */
#pragma once
#include "pyspy-record/python/codes.h"
#include "tests/unit/support_objects.h"

struct support_codes {
	struct support_memory m;
	struct support_objects o;
	struct codes c;
	raddr_t globals;
	/* Lines 41 at 0, 42 at 2, none at 4 (line steps: 42 still); the other: 43 at 0, nothing behind. */
	struct support_objects_code plain, other;
};

extern const struct codes_generation support_codes_later; /* than all that is there */

void support_codes_begin(struct support_codes *s, uint32_t version_hex, enum layout_build build);
void support_codes_end(struct support_codes *s);
/* Run a test with each family, with and without something readable behind the objects. */
void support_codes_in_all(struct support_codes *s, void (*test)(void));
void support_codes_table(struct support_objects_code *code, const void *bytes, size_t n);
/* It must be there. */
code_id support_codes_read(struct support_codes *s, raddr_t at, raddr_t run_with);
/* Does the address of `id` hold another object by now? */
bool support_codes_is_bad(struct support_codes *s, code_id id);
/* Of codes' names. */
const char *support_codes_name(const struct support_codes *s, uint32_t id);

/* The version's tables are of line steps. */
bool support_codes_has_steps(const struct support_codes *s);
/* Objects are told apart by their words: they have no version. */
bool support_codes_is_by_words(const struct support_codes *s);
bool support_codes_has_own_bytecode(const struct support_codes *s);
/* Where a name's text begins in it. */
size_t support_codes_text_at(const struct support_codes *s);

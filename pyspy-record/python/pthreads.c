/* Up to 3.10 a thread state has the thread's pthread_t, and not its tid: that is in the thread descriptor of the C
 * library, which pthread_t points to. Where?
 *  - glibc has a table for debuggers: bits, count, offset in bytes (nptl_db/structs.def), in libc.so.6, before 2.34 in
 *    libpthread.so.0; a program with a static glibc has it in .symtab.
 *  - else (musl; static and stripped) the one place whose word is, in every thread's descriptor, the tid of a thread of
 *    the process, another one in each. With a single thread the first such place is taken, until there are two to tell.
 */
#include <stdlib.h>
#include <string.h>

#include "libcommon/path.h"
#include "pyspy-record/python/interpreter_parts.h"
#include "pyspy-record/target/source.h"

enum { TIDS_MAX = 32768 };

static int by_number(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* Has each descriptor a tid of the process at `at`, another one each? */
static bool fits(const uint8_t (*descriptors)[PTHREAD_BYTES], const size_t *sizes, size_t n, const pid_t *tids,
                 size_t n_tids, uint32_t at)
{
	pid_t seen[PTHREADS_MAX];
	for (size_t k = 0; k < n && k < PTHREADS_MAX; k++) {
		if (at + 4 > sizes[k])
			return false;
		memcpy(&seen[k], descriptors[k] + at, 4);
		for (size_t j = 0; j < k; j++)
			if (seen[j] == seen[k])
				return false;
		if (!bsearch(&seen[k], tids, n_tids, sizeof *tids, by_number))
			return false;
	}
	return n > 0;
}

uint32_t pthreads_search(const uint8_t (*descriptors)[PTHREAD_BYTES], const size_t *sizes, size_t n, const pid_t *tids,
                         size_t n_tids)
{
	/* A single thread's tid may be a number that is anywhere: 1 in a container. So first where x86_64's glibc and
	 * musl have it. */
	static const uint32_t usual[] = {720, 48};
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
		if (fits(descriptors, sizes, n, tids, n_tids, usual[i]))
			return usual[i];
	for (uint32_t at = 4; at + 4 <= PTHREAD_BYTES; at += 4)
		if (fits(descriptors, sizes, n, tids, n_tids, at))
			return at;
	return 0;
}

/* The descriptors of the threads that have a state, each once; a state that is new may name the thread that made it. */
static size_t read_descriptors(struct reader *r, const struct interpreter *in, uint8_t (*out)[PTHREAD_BYTES],
                               size_t *sizes)
{
	enum { PIECE = 256 };
	raddr_t states[PTHREADS_MAX], seen[PTHREADS_MAX];
	size_t n_states = thread_states(r, in, states, PTHREADS_MAX), n = 0;
	for (size_t i = 0; i < n_states; i++) {
		uint64_t pthread;
		bool known = false;
		if (reader_word(r, states[i] + in->layout.tstate.thread_id, &pthread) < 0 || pthread % 8 || !pthread)
			continue;
		for (size_t k = 0; k < n; k++)
			known |= seen[k] == pthread;
		if (known)
			continue;
		seen[n] = pthread;
		sizes[n] = 0;
		while (sizes[n] < PTHREAD_BYTES && reader_read(r, pthread + sizes[n], out[n] + sizes[n], PIECE) == 0)
			sizes[n] += PIECE;
		if (sizes[n])
			n++;
	}
	return n;
}

static void search_descriptors(struct reader *r, struct interpreter *in)
{
	uint8_t(*descriptors)[PTHREAD_BYTES] = malloc(PTHREADS_MAX * sizeof *descriptors);
	pid_t *tids = malloc(TIDS_MAX * sizeof *tids);
	size_t sizes[PTHREADS_MAX];
	if (descriptors && tids) {
		size_t n = read_descriptors(r, in, descriptors, sizes);
		size_t n_tids = source_ns_tids(r->core, r->pid, tids, TIDS_MAX);
		uint32_t found = pthreads_search((const uint8_t(*)[PTHREAD_BYTES])descriptors, sizes, n, tids, n_tids);
		if (found)
			in->pthread_tid = found;
		in->more.wants_tid = !found || n < 2;
	}
	free(descriptors);
	free(tids);
}

/* May this object have the table? The C library by any of its names, or the program, where it may be linked into. */
static bool may_have_table(const struct search *s, const struct maps_entry *m)
{
	const char *name = path_base(m->path);
	return strncmp(name, "libc.", 5) == 0 || strncmp(name, "libc-", 5) == 0 ||
	       strncmp(name, "libpthread", 10) == 0 || strcmp(m->path, s->exe_path) == 0;
}

void pthreads_find(struct search *s, struct interpreter *in)
{
	struct mapped_object f;
	for (size_t i = 0; i < s->maps.n && !in->more.looks; i++) {
		struct elf_symbol symbol = {.name = "_thread_db_pthread_tid"};
		uint32_t table[3];
		if (!may_have_table(s, &s->maps.v[i]) || !mapped_object_read(s, i, &f) ||
		    !mapped_object_find(s, &f, &symbol))
			continue;
		if (reader_read(s->r, f.bias + symbol.value, table, sizeof table) == 0 && table[0] == 32 &&
		    table[1] == 1 && table[2] % 4 == 0 && table[2] < PTHREAD_BYTES) {
			in->pthread_tid = table[2];
			in->more.wants_tid = false;
			return;
		}
	}
	search_descriptors(s->r, in);
}

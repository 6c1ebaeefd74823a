/* interpreter_scan and pthreads on made-up memory: what no symbol names is found among what only looks like it, and
 * hostile chains end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "libcommon/err.h"
#include "pyspy-record/python/interpreter_parts.h"
#include "tests/unit/support_memory.h"

#define DATA  UINT64_C(0x7f0000100000)
#define HEAP  UINT64_C(0x550000000000)
#define TYPES UINT64_C(0x7f0000200000)
enum { DATA_SIZE = 3 * SEGMENT_PIECE, HEAP_SIZE = 1 << 20, INTERP_BYTES = 16384, TSTATE_BYTES = 1024 };

struct world {
	struct support_memory m;
	struct maps_entry entries[3];
	struct search s;
	struct mapped_object f;
	const struct layout *l;
	raddr_t dict, free;
};

static void begin(struct world *w, uint32_t hex, enum layout_build build)
{
	memset(w, 0, sizeof *w);
	w->l = layout_find(hex, build);
	assert_non_null(w->l);
	support_memory_init(&w->m);
	support_memory_map(&w->m, HEAP, HEAP_SIZE);
	support_memory_map(&w->m, DATA, DATA_SIZE);
	support_memory_map(&w->m, TYPES, 4096);
	w->entries[0] = (struct maps_entry){.begin = HEAP, .end = HEAP + HEAP_SIZE, .perms = "rw-p", .path = "[heap]"};
	w->entries[1] = (struct maps_entry){.begin = DATA, .end = DATA + DATA_SIZE, .perms = "rw-p", .path = "/x"};
	w->entries[2] = (struct maps_entry){.begin = TYPES, .end = TYPES + 4096, .perms = "r--p", .path = "/x"};
	w->s.r = &w->m.reader;
	w->s.maps = (struct maps){.v = w->entries, .n = 3};
	w->f.elf.n_data = 1;
	w->f.elf.data_vaddr[0] = DATA;
	w->f.elf.data_size[0] = DATA_SIZE;
	/* type "dict", and one dict */
	support_memory_u64(&w->m, TYPES + w->l->type.name, TYPES + 1024);
	support_memory_put(&w->m, TYPES + 1024, "dict", 5);
	w->dict = HEAP + 4096;
	support_memory_u64(&w->m, w->dict + w->l->object.type, TYPES);
	w->free = HEAP + 8192;
}

static raddr_t make(struct world *w, size_t n)
{
	raddr_t at = w->free;
	w->free += n;
	assert_true(w->free <= HEAP + HEAP_SIZE);
	return at;
}

/* An interpreter with n threads, in front of `next`; the newest thread's state at *tstate. */
static raddr_t make_interp(struct world *w, raddr_t next, int n, raddr_t *tstate)
{
	raddr_t interp = make(w, INTERP_BYTES), newer = 0;
	for (int i = 0; i < n; i++) {
		raddr_t one = make(w, TSTATE_BYTES);
		support_memory_u64(&w->m, one + w->l->tstate.interp, interp);
		support_memory_u64(&w->m, one + w->l->tstate.next, newer);
		newer = one;
	}
	support_memory_u64(&w->m, interp + w->l->interp.next, next);
	support_memory_u64(&w->m, interp + w->l->interp.threads_head, newer);
	support_memory_u64(&w->m, interp + w->l->interp.modules, w->dict);
	if (tstate)
		*tstate = newer;
	return interp;
}

static const struct {
	uint32_t hex;
	enum layout_build build;
} olds[] = {{0x020307f0, LAYOUT_RELEASE}, {0x020712f0, LAYOUT_RELEASE}, {0x020712f0, LAYOUT_DEBUG},
            {0x030305f0, LAYOUT_RELEASE}, {0x03060ff0, LAYOUT_RELEASE}, {0x03060ff0, LAYOUT_DEBUG}},
  news[] = {{0x030703f0, LAYOUT_RELEASE}, {0x030710f0, LAYOUT_DEBUG},   {0x030812f0, LAYOUT_RELEASE},
            {0x030912f0, LAYOUT_RELEASE}, {0x030a0df0, LAYOUT_RELEASE}, {0x030a0df0, LAYOUT_TRACEREFS},
            {0x030b07f0, LAYOUT_RELEASE}, {0x030c01f0, LAYOUT_RELEASE}};

static void test_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof olds / sizeof *olds; i++) {
		struct world *w = test_calloc(1, sizeof *w);
		raddr_t at, head = DATA + SEGMENT_PIECE + 64, tstate;
		begin(w, olds[i].hex, olds[i].build);
		assert_int_equal(scan_heads(&w->s, &w->f, w->l, &at), ERR_AGAIN);
		raddr_t first = make_interp(w, 0, 2, &tstate);
		/* what only looks like it: pointers into data, to itself, to a thread state, to something that points
		 * to something */
		for (int k = 0; k < 500; k++)
			support_memory_u64(&w->m, DATA + 8 * (raddr_t)k, HEAP + 8 * (raddr_t)k);
		support_memory_u64(&w->m, DATA + 8000, DATA + 8000);
		support_memory_u64(&w->m, DATA + 8008, tstate);
		support_memory_u64(&w->m, head, first);
		assert_int_equal(scan_heads(&w->s, &w->f, w->l, &at), 0);
		assert_int_equal(at, head);
		/* the program's own copy in front, and autoInterpreterState behind */
		support_memory_u64(&w->m, DATA + 4096, first);
		support_memory_u64(&w->m, head + 8, first);
		assert_int_equal(scan_heads(&w->s, &w->f, w->l, &at), 0);
		assert_int_equal(at, head);
		/* a newer interpreter: the head is the one that leads to the others */
		raddr_t second = make_interp(w, first, 1, NULL);
		support_memory_u64(&w->m, head, second);
		assert_int_equal(scan_heads(&w->s, &w->f, w->l, &at), 0);
		assert_int_equal(at, head);
		/* its modules are no dict: it is not up, or none */
		support_memory_put(&w->m, TYPES + 1024, "list", 5);
		assert_int_equal(scan_heads(&w->s, &w->f, w->l, &at), ERR_AGAIN);
		support_memory_done(&w->m);
		test_free(w);
	}
}

static void test_runtime(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof news / sizeof *news; i++) {
		struct world *w = test_calloc(1, sizeof *w);
		begin(w, news[i].hex, news[i].build);
		raddr_t runtime = DATA + 2 * SEGMENT_PIECE - 64, head = runtime + w->l->runtime.interpreters_head, at;
		raddr_t first = make_interp(w, 0, 1, NULL);
		assert_int_equal(scan_runtime(&w->s, &w->f, w->l, &at), ERR_AGAIN);
		support_memory_u64(&w->m, DATA + 256, first); /* a copy */
		support_memory_u64(&w->m, head, first);
		support_memory_u64(&w->m, head + 8, first);
		support_memory_u64(&w->m, head + 16, 1);
		support_memory_u64(&w->m, head + 1024, first); /* autoInterpreterState */
		assert_int_equal(scan_runtime(&w->s, &w->f, w->l, &at), 0);
		assert_int_equal(at, runtime);
		raddr_t second = make_interp(w, first, 1, NULL);
		support_memory_u64(&w->m, head, second);
		support_memory_u64(&w->m, head + 16, 2);
		assert_int_equal(scan_runtime(&w->s, &w->f, w->l, &at), 0);
		assert_int_equal(at, runtime);
		/* the list of interpreters is a ring: no end, no answer, but an end of looking */
		raddr_t stray = make_interp(w, 0, 1, NULL);
		support_memory_u64(&w->m, second + w->l->interp.next, second);
		support_memory_u64(&w->m, head + 8, stray);
		assert_int_equal(scan_runtime(&w->s, &w->f, w->l, &at), ERR_AGAIN);
		support_memory_done(&w->m);
		test_free(w);
	}
}

/* A segment full of hits, and of pointers to the ends of what can be read. */
static void test_crowd(void **state)
{
	(void)state;
	struct world *w = test_calloc(1, sizeof *w);
	raddr_t at;
	begin(w, 0x03060ff0, LAYOUT_RELEASE);
	raddr_t first = make_interp(w, 0, 1, NULL);
	for (raddr_t k = 0; k < DATA_SIZE; k += 8)
		support_memory_u64(&w->m, DATA + k, k % 16 ? first : HEAP + HEAP_SIZE - 8);
	assert_int_equal(scan_heads(&w->s, &w->f, w->l, &at), 0);
	assert_true(w->m.reader.calls < 1000);
	/* mapped as data, gone when it is read */
	w->entries[0].end += 1 << 20;
	for (raddr_t k = 0; k < DATA_SIZE; k += 8)
		support_memory_u64(&w->m, DATA + k, HEAP + HEAP_SIZE + 8 * (k % 4096));
	assert_int_equal(scan_heads(&w->s, &w->f, w->l, &at), ERR_AGAIN);
	support_memory_done(&w->m);
	test_free(w);
}

static void test_current(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof olds / sizeof *olds; i++) {
		struct world *w = test_calloc(1, sizeof *w);
		begin(w, olds[i].hex, olds[i].build);
		bool is_2 = w->l->is_python2;
		raddr_t tstate, first = make_interp(w, 0, 3, &tstate), holder = DATA + 4096, head = DATA + 90000;
		struct interpreter fresh = {.heads = head, .layout = *w->l}, in;
		fresh.more.wants_current = fresh.more.wants_gil = true;
		support_memory_u64(&w->m, head, first);
		/* idle: nothing to see in 2.x, the last holder alone in 3.x, which must not be taken for it */
		in = fresh;
		if (!is_2)
			support_memory_u64(&w->m, holder, tstate);
		scan_settle(&w->m.reader, &w->f, &in);
		assert_true(in.more.wants_current);
		assert_int_equal(in.current, 0);
		/* running: the word beside the head */
		support_memory_u64(&w->m, head - 16, tstate);
		scan_settle(&w->m.reader, &w->f, &in);
		assert_false(in.more.wants_current);
		assert_int_equal(in.current, head - 16);
		if (!is_2) {
			assert_false(in.more.wants_gil);
			assert_true(in.gil <= holder - 240 && in.gil + in.gil_bytes >= holder + 240);
		} else {
			assert_int_equal(in.gil, 0); /* not to be told */
		}
		/* far from the head: only once it was seen NULL */
		support_memory_u64(&w->m, head - 16, 0);
		support_memory_u64(&w->m, DATA + 150000, tstate);
		in = fresh;
		scan_settle(&w->m.reader, &w->f, &in);
		if (!is_2) {
			assert_int_equal(in.current, 0);
			support_memory_u64(&w->m, DATA + 150000, 0);
			scan_settle(&w->m.reader, &w->f, &in);
		}
		assert_int_equal(in.current, DATA + 150000);
		/* a list of threads without an end */
		support_memory_u64(&w->m, tstate + w->l->tstate.next, tstate);
		raddr_t many[THREAD_STATES_MAX];
		assert_int_equal(thread_states(&w->m.reader, &in, many, THREAD_STATES_MAX), THREAD_STATES_MAX);
		support_memory_done(&w->m);
		test_free(w);
	}
}

static void test_cookie(void **state)
{
	(void)state;
	struct world *w = test_calloc(1, sizeof *w);
	raddr_t at = 0;
	begin(w, 0x030b07f0, LAYOUT_RELEASE);
	assert_false(scan_cookie(&w->m.reader, &w->f, &at));
	support_memory_put(&w->m, DATA + 100, "xdebugpy", 8); /* not at a word: text */
	support_memory_put(&w->m, DATA + 4096, "xdebugpy", 8);
	support_memory_put(&w->m, DATA + 2 * SEGMENT_PIECE, "xdebugpy", 8);
	at = 0;
	assert_true(scan_cookie(&w->m.reader, &w->f, &at));
	assert_int_equal(at, DATA + 4096);
	assert_true(scan_cookie(&w->m.reader, &w->f, &at));
	assert_int_equal(at, DATA + 2 * SEGMENT_PIECE);
	assert_false(scan_cookie(&w->m.reader, &w->f, &at));
	support_memory_done(&w->m);
	test_free(w);
}

static void put32(uint8_t *d, size_t at, int32_t v)
{
	memcpy(d + at, &v, sizeof v);
}

static void test_tids(void **state)
{
	(void)state;
	uint8_t(*d)[PTHREAD_BYTES] = test_calloc(3, sizeof *d);
	size_t sizes[3] = {PTHREAD_BYTES, PTHREAD_BYTES, PTHREAD_BYTES};
	static const pid_t tids[] = {7, 100, 101, 102};
	assert_int_equal(pthreads_search((const uint8_t(*)[PTHREAD_BYTES])d, sizes, 3, tids, 4), 0);
	assert_int_equal(pthreads_search((const uint8_t(*)[PTHREAD_BYTES])d, sizes, 0, tids, 4), 0);
	for (int i = 0; i < 3; i++) {
		put32(d[i], 720, 100 + i); /* glibc on x86_64 */
		put32(d[i], 724, 100);     /* and its pid, before 2.25 */
	}
	put32(d[0], 48, 100); /* by accident, in one of them */
	assert_int_equal(pthreads_search((const uint8_t(*)[PTHREAD_BYTES])d, sizes, 3, tids, 4), 720);
	for (int i = 0; i < 3; i++)
		put32(d[i], 720, 0);
	assert_int_equal(pthreads_search((const uint8_t(*)[PTHREAD_BYTES])d, sizes, 3, tids, 4), 0);
	for (int i = 0; i < 3; i++)
		put32(d[i], 1000, 102 - i); /* anywhere */
	assert_int_equal(pthreads_search((const uint8_t(*)[PTHREAD_BYTES])d, sizes, 3, tids, 4), 1000);
	for (int i = 0; i < 3; i++)
		put32(d[i], 48, 102 - i); /* musl */
	assert_int_equal(pthreads_search((const uint8_t(*)[PTHREAD_BYTES])d, sizes, 3, tids, 4), 48);
	put32(d[0], 24, 7); /* a number that happens to be a tid, of a single thread */
	assert_int_equal(pthreads_search((const uint8_t(*)[PTHREAD_BYTES])d, sizes, 1, tids, 4), 48);
	sizes[1] = 32; /* the descriptor ends where no more can be read */
	assert_int_equal(pthreads_search((const uint8_t(*)[PTHREAD_BYTES])d, sizes, 3, tids, 4), 0);
	assert_int_equal(pthreads_search((const uint8_t(*)[PTHREAD_BYTES])d, sizes, 1, tids, 4), 48);
	test_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_heads),   cmocka_unit_test(test_runtime), cmocka_unit_test(test_crowd),
	    cmocka_unit_test(test_current), cmocka_unit_test(test_cookie),  cmocka_unit_test(test_tids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

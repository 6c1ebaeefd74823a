/* stack_end: a frame read later than the thread state that named it may be another function's. */
#include "pyspy-record/sample/target.h"
#include "tests/unit/support_stack.h"
#include "tests/unit/support_test.h"

enum { SMALL = 1, LARGE, GENERATOR, CODES };

static struct target t;
static struct sample_thread th;
static struct sample_state thread_state;
static struct support_stack s;

static void begin(uint32_t version)
{
	support_stack_begin(&s, version);
	t = (struct target){.interpreter.layout = *s.l};
	walk_init(&t.walk, &s.m.reader, &t.interpreter.layout);
	map_init(&t.codes.by_address, 0);
	th = (struct sample_thread){0};
	thread_state = (struct sample_state){.walk.tstate = SUPPORT_STACK_TSTATE};
	assert_true(vec_push(&th.states, &thread_state));
	for (int i = 0; i < CODES; i++)
		assert_true(vec_push(&t.codes.v, (struct code){0}));
}

static void end(void)
{
	vec_free(&t.codes.v);
	map_done(&t.codes.by_address);
	vec_free(&th.states);
	walk_done(&t.walk);
	walk_thread_done(&thread_state.walk);
	support_stack_end(&s);
}

/* The thread is looked at; its frames are run by these, innermost first (all of the rest by the last). */
static void look(const code_id *codes, size_t n)
{
	static struct reader_batch batch;
	assert_int_equal(walk_alone(&t.walk, &thread_state.walk, &batch), 0);
	map_clear(&t.codes.by_address);
	for (size_t i = 0; i < t.walk.frames.n; i++) {
		const struct walk_frame *f = &t.walk.frames.v[i];
		bool is_new;
		uint32_t *id = map_put(&t.codes.by_address, f->code, f->globals, &is_new);
		assert_non_null(id);
		if (is_new) /* frames further out may be run by the same code */
			*id = codes[i < n ? i : n - 1];
	}
}

/* One frame of this many words on top of what is there. */
static void push(size_t words)
{
	size_t was = s.frame_bytes;
	s.frame_bytes += 8 * words;
	support_stack_push(&s, OWNER_THREAD);
	s.frame_bytes = was;
}

#define LOOK(...) look((const code_id[]){__VA_ARGS__}, sizeof((const code_id[]){__VA_ARGS__}) / sizeof(code_id))

static void test_sizes(void **state)
{
	for (size_t v = 0; v < 3; v++) {
		begin(support_stack_versions[v]);
		support_stack_call_and_push(&s, 2);
		push(4);
		LOOK(SMALL);
		assert_true(target_ends_fit(&t, &th)); /* nothing is known yet */
		target_note_end(&t, &th);
		assert_int_equal(t.codes.v.v[SMALL].frame_bytes, s.frame_bytes + 32);
		assert_true(target_ends_fit(&t, &th));
		support_stack_pop(&s);
		push(9);
		LOOK(LARGE, SMALL);
		target_note_end(&t, &th);
		assert_true(target_ends_fit(&t, &th));
		/* it stands where the other one's state said that the stack ends */
		LOOK(SMALL);
		assert_false(target_ends_fit(&t, &th));
		support_stack_pop(&s);
		push(4);
		LOOK(LARGE, SMALL);
		assert_false(target_ends_fit(&t, &th));
		LOOK(SMALL);
		assert_true(target_ends_fit(&t, &th));
		end();
	}
}

/* The innermost frame's callee has returned, and is cleared: it is behind it still. */
static void test_callee(void **state)
{
	for (size_t v = 0; v < 3; v++) {
		begin(support_stack_versions[v]);
		support_stack_call_and_push(&s, 1);
		push(4);
		LOOK(SMALL);
		target_note_end(&t, &th);
		raddr_t caller = support_stack_innermost(&s);
		push(9);
		raddr_t callee = support_stack_innermost(&s);
		support_stack_set_innermost(&s, caller);
		LOOK(SMALL);
		assert_true(target_ends_fit(&t, &th));
		target_note_end(&t, &th); /* the least that was seen stays */
		assert_int_equal(t.codes.v.v[SMALL].frame_bytes, s.frame_bytes + 32);
		/* one that is being set up, or something else */
		support_memory_u64(&s.m, callee + s.l->frame.previous, 0);
		LOOK(SMALL);
		assert_false(target_ends_fit(&t, &th));
		/* learned too large: put right when it is seen alone */
		t.codes.v.v[SMALL].frame_bytes += 64;
		support_stack_pop(&s);
		LOOK(SMALL);
		assert_false(target_ends_fit(&t, &th));
		target_note_end(&t, &th);
		assert_true(target_ends_fit(&t, &th));
		end();
	}
}

/* A generator's frame has its own memory: its caller's is the innermost on the data stack. */
static void test_generator(void **state)
{
	for (size_t v = 0; v < 3; v++) {
		begin(support_stack_versions[v]);
		support_stack_call_and_push(&s, 1);
		push(4);
		support_stack_push(&s, OWNER_GENERATOR);
		LOOK(GENERATOR, SMALL);
		target_note_end(&t, &th);
		assert_int_equal(t.codes.v.v[SMALL].frame_bytes, s.frame_bytes + 32);
		assert_int_equal(t.codes.v.v[GENERATOR].frame_bytes, 0);
		assert_true(target_ends_fit(&t, &th));
		LOOK(GENERATOR, LARGE);
		t.codes.v.v[LARGE].frame_bytes = (uint32_t)s.frame_bytes;
		assert_false(target_ends_fit(&t, &th));
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_callee),
	    cmocka_unit_test(test_generator),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* trie: whose stacks count as certain, against a naive model; and what of it reaches the file. */
#include "pyspy-record/sample/trie.h"

#include <fcntl.h>
#include <unistd.h>

#include "format/decode.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "tests/unit/support_objects.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

enum { CODES = 5, INSTRS = 4, DEEP = 5, FIRST_LINE = 100, IDS = 20000, PATHS = 4000, EPOCHS = 12 };

static struct support_memory m;
static struct support_objects o;
static struct codes c;
static struct trie t;
static struct writer *w;
static struct sink sink;
static char file_name[64];
static uint64_t now_ns;
static process_id process;
static thread_id thread;
static code_id ids[CODES];

static uint64_t seed;
static uint32_t draw(uint32_t below)
{
	return support_draw(&seed, below);
}

/* A stack by name: code and instruction numbers, outermost first. */
struct path {
	uint8_t n, code[DEEP], instr[DEEP];
};

static struct path make_path(const char *text) /* "a0b1c2" */
{
	struct path p = {.n = (uint8_t)(strlen(text) / 2)};
	for (unsigned i = 0; i < p.n; i++) {
		p.code[i] = (uint8_t)(text[2 * i] - 'a');
		p.instr[i] = (uint8_t)(text[2 * i + 1] - '0');
	}
	return p;
}

static node_id node_of(struct path p)
{
	node_id n = 0;
	for (unsigned i = 0; i < p.n; i++)
		assert_true((n = trie_child(&t, n, ids[p.code[i]], 2u * p.instr[i])) > 0);
	return n;
}

static node_id node(const char *text)
{
	return node_of(make_path(text));
}

static void set_up(size_t max_bytes)
{
	static const uint8_t table[] = {0x80 | 11 << 3, 1, 2, 0x80 | 11 << 3, 1, 2,
	                                0x80 | 11 << 3, 1, 2, 0x80 | 11 << 3, 1, 2};
	static char *argv[] = {"pyspy-record", NULL};
	support_memory_init(&m);
	support_objects_init(&o, &m, SUPPORT_OBJECTS_3_13);
	assert_int_equal(codes_init(&c, &m.reader, o.l), 0);
	raddr_t globals = support_objects_globals(&o, "app");
	for (unsigned i = 0; i < CODES; i++) {
		char name[] = {(char)('a' + i), 0};
		struct support_objects_code code = {.qualname = name,
		                                    .file = "app.py",
		                                    .version = i + 1,
		                                    .units = INSTRS,
		                                    .first_line = FIRST_LINE - 1,
		                                    .linetable = table,
		                                    .linetable_len = sizeof table};
		bool proved;
		assert_int_equal(codes_read(&c, support_objects_code(&o, &code), globals,
		                            (struct codes_generation){100, 100, 0}, &ids[i], &proved),
		                 0);
	}
	assert_int_equal(trie_init(&t), 0);
	snprintf(file_name, sizeof file_name, "/tmp/pyspy-trie-XXXXXX");
	int fd = mkstemp(file_name);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sink_open(&sink, file_name, false), 0);
	assert_int_equal(
	    writer_new(&w, &sink, &(struct writer_options){.argv = argv, .mean_gap_ns = 1, .max_bytes = max_bytes}), 0);
	now_ns = clock_boot_ns();
	process = writer_process(w, 0, &(struct writer_process){.pid = 1, .exe = "python"});
	thread = writer_thread(w, 0, &(struct writer_thread){.process = process, .tid = 1});
}

static void tear_down(void)
{
	writer_free(w);
	sink_close(&sink);
	unlink(file_name);
	trie_done(&t);
	codes_done(&c);
	support_memory_done(&m);
}

static void new_epoch(void)
{
	uint32_t epoch = writer_epoch(w);
	writer_tick(w, now_ns += 1000000);
	writer_entry(w, thread, 0, WIRE_STATE_SLEEPING, 0);
	now_ns += 601 * CLOCK_NS_PER_S;
	assert_int_equal(writer_flush(w, now_ns, NULL), 0);
	assert_int_equal(writer_epoch(w), epoch + 1);
}

static bool certified(const char *text)
{
	return trie_is_certified(&t, node(text));
}

static void test_children(void **state)
{
	set_up(0);
	node_id a = node("a0"), ab = node("a0b1");
	assert_int_equal(node("a0"), a);
	assert_int_equal(node("a0b1"), ab);
	const char *const different[] = {"a1", "b0", "a0b0", "a1b1", "b1", "a0a0", "a0b1b1", "b0a1"};
	node_id seen[N_OF(different) + 2] = {a, ab};
	for (size_t i = 0; i < N_OF(different); i++) {
		seen[i + 2] = node(different[i]);
		for (size_t k = 0; k < i + 2; k++)
			assert_int_not_equal(seen[k], seen[i + 2]);
	}
	assert_int_equal(t.nodes.v[ab].parent, a);
	assert_int_equal(t.nodes.v[ab].instr, 2);
	assert_false(trie_is_full(&t));
	trie_clear(&t);
	assert_int_equal(t.epoch, 1);
	assert_int_equal(t.nodes.n, 1);
	assert_true(trie_is_certified(&t, 0));
	assert_int_equal(node("b0"), 1);
	tear_down();
}

static void test_certification(void **state)
{
	set_up(0);
	assert_true(trie_is_certified(&t, 0)); /* no frame: nothing to be certain of */
	assert_false(certified("a0b1c2"));
	assert_true(trie_certify(&t, w, node("a0b1c2")));
	assert_false(trie_certify(&t, w, node("a0b1c2"))); /* no news */
	/* the stack, each of its prefixes; the innermost frame at any of its instructions */
	static const char *const good[] = {"a0b1c2", "a0b1", "a0",   "a0b1c0", "a0b1c1",
	                                   "a0b1c3", "a0b0", "a0b3", "a1",     "a3"};
	for (size_t i = 0; i < N_OF(good); i++) {
		assert_true(certified(good[i]));
		assert_false(trie_certify(&t, w, node(good[i])));
	}
	/* the same calls in another stack; a caller at another instruction; other leaves; what goes on further in */
	static const char *const bad[] = {"b1c2",   "c2",   "b1",     "a1b1",   "a1b1c2",   "a0b0c2",
	                                  "a0b2c2", "a0c2", "a0b1d2", "a0b1b1", "a0b1c2d0", "a0b1c3c2",
	                                  "d0a0b1", "d0",   "a0a0b1", "b1a0"};
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_false(certified(bad[i]));
	/* two certain stacks do not make a third one */
	assert_true(trie_certify(&t, w, node("d0b1e2")));
	assert_true(certified("d0b1e2") && certified("d3") && certified("d0b2"));
	assert_false(certified("a0b1e2"));
	assert_false(certified("d0b1c2"));
	/* a certain leaf does not make a certain caller of it */
	assert_true(certified("a0b3"));
	assert_false(certified("a0b3c0"));
	assert_true(trie_certify(&t, w, node("a0b3c0")));
	assert_true(certified("a0b3c3"));
	assert_false(certified("a0b2c0"));
	trie_clear(&t);
	assert_false(certified("a0b1c2"));
	assert_false(certified("a0"));
	tear_down();
}

/* --- the file */

struct decoded {
	struct rec_function functions[IDS];
	struct rec_location locations[IDS];
	struct rec_stack stacks[IDS];
	char names[IDS];
	bool certified[IDS];
	uint32_t n_stacks, epochs;
	void (*on_epoch_end)(struct decoded *d, uint32_t epoch);
};

static void end_epoch(struct decoded *d)
{
	if (d->epochs > 0 && d->on_epoch_end)
		d->on_epoch_end(d, d->epochs - 1);
	d->n_stacks = 0;
	memset(d->certified, 0, sizeof d->certified);
}

static int on_epoch(void *ctx, uint32_t epoch, bool complete)
{
	struct decoded *d = ctx;
	end_epoch(d);
	assert_int_equal(epoch, d->epochs);
	d->epochs++;
	return 0;
}

static int on_end_of_stream(void *ctx)
{
	end_epoch(ctx);
	return 0;
}

static int on_damage(void *ctx, const struct decode_damage *damage)
{
	if (damage->problem != DECODE_NOT_CLOSED)
		fail_msg("%s", damage->what);
	return 0;
}

static int on_string(void *ctx, str_id id, const char *s, size_t n)
{
	struct decoded *d = ctx;
	assert_true(id < IDS);
	d->names[id] = n == 1 ? s[0] : '?';
	return 0;
}

static int on_function(void *ctx, function_id id, const struct rec_function *f)
{
	struct decoded *d = ctx;
	assert_true(id < IDS);
	d->functions[id] = *f;
	return 0;
}

static int on_location(void *ctx, location_id id, const struct rec_location *l)
{
	struct decoded *d = ctx;
	assert_true(id < IDS);
	d->locations[id] = *l;
	return 0;
}

static void certify(struct decoded *d, stack_id id)
{
	for (; id; id = d->stacks[id].parent)
		d->certified[id] = true;
}

static int on_stack(void *ctx, stack_id id, const struct rec_stack *s)
{
	struct decoded *d = ctx;
	assert_true(id < IDS && s->parent < id);
	d->stacks[id] = *s;
	d->n_stacks++;
	if (s->certified)
		certify(d, id);
	return 0;
}

static int on_certify(void *ctx, stack_id id)
{
	struct decoded *d = ctx;
	assert_true(id > 0 && id < IDS && d->stacks[id].location);
	certify(d, id);
	return 0;
}

static struct path path_of(const struct decoded *d, stack_id id)
{
	struct path p = {0};
	for (stack_id i = id; i; i = d->stacks[i].parent)
		p.n++;
	assert_true(p.n <= DEEP);
	unsigned at = p.n;
	for (; id; id = d->stacks[id].parent) {
		const struct rec_location *l = &d->locations[d->stacks[id].location];
		at--;
		assert_true(l->has_line && l->has_columns);
		p.instr[at] = (uint8_t)(l->line - FIRST_LINE);
		p.code[at] = (uint8_t)(d->names[d->functions[l->function].qualname] - 'a');
		assert_true(p.instr[at] < INSTRS && p.code[at] < CODES);
	}
	return p;
}

static void read_back(void (*on_epoch_end)(struct decoded *, uint32_t), uint32_t epochs)
{
	struct decoded *d = calloc(1, sizeof *d);
	static unsigned char bytes[4 << 20];
	assert_non_null(d);
	d->on_epoch_end = on_epoch_end;
	int fd = open(file_name, O_RDONLY);
	ssize_t n = read(fd, bytes, sizeof bytes);
	close(fd);
	assert_true(n > 0 && n < (ssize_t)sizeof bytes);
	struct decode_visitor v = {.ctx = d,
	                           .epoch = on_epoch,
	                           .end_of_stream = on_end_of_stream,
	                           .damage = on_damage,
	                           .string = on_string,
	                           .function = on_function,
	                           .location = on_location,
	                           .stack = on_stack,
	                           .certify = on_certify};
	struct stream *s = stream_new(&v);
	assert_int_equal(stream_feed(s, bytes, (size_t)n), 0);
	assert_int_equal(stream_finish(s), 0);
	stream_free(s);
	assert_int_equal(d->epochs, epochs);
	free(d);
}

/* --- against a model */

static struct path certain[PATHS]; /* in the order in which they were certified */
static size_t n_certain;
static struct {
	size_t n_certain; /* at its end */
	struct path defined[PATHS];
	size_t n_defined;
} epochs[EPOCHS];

/* Is p, or a part of it from the root, with the last frame at any instruction, one of the first n certain ones? */
static bool model_certified(struct path p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct path *q = &certain[i];
		if (p.n > q->n)
			continue;
		unsigned k = 0;
		while (k < p.n && p.code[k] == q->code[k] && (k == p.n - 1u || p.instr[k] == q->instr[k]))
			k++;
		if (k == p.n)
			return true;
	}
	return false;
}

static bool begins_with(struct path p, struct path with)
{
	return with.n <= p.n && memcmp(p.code, with.code, with.n) == 0 && memcmp(p.instr, with.instr, with.n) == 0;
}

static struct path random_path(void)
{
	struct path p = {.n = (uint8_t)(1 + draw(DEEP))};
	for (unsigned i = 0; i < p.n; i++) {
		p.code[i] = (uint8_t)(draw(3) ? draw(2) : draw(CODES));
		p.instr[i] = (uint8_t)(draw(2) ? 0 : draw(INSTRS));
	}
	return p;
}

static void compare_epoch(struct decoded *d, uint32_t epoch)
{
	unsigned n_certified = 0, met = 0;
	assert_true(epoch < EPOCHS);
	for (stack_id id = 1; id <= d->n_stacks; id++) {
		struct path p = path_of(d, id);
		bool want = model_certified(p, epochs[epoch].n_certain);
		assert_int_equal(d->certified[id], want);
		n_certified += want;
		bool is_defined = false; /* nothing but what was asked for */
		for (size_t i = 0; i < epochs[epoch].n_defined && !is_defined; i++)
			is_defined = begins_with(epochs[epoch].defined[i], p);
		assert_true(is_defined);
	}
	for (size_t i = 0; i < epochs[epoch].n_defined; i++) {
		bool found = false;
		for (stack_id id = 1; id <= d->n_stacks && !found; id++) {
			struct path p = path_of(d, id);
			found = p.n == epochs[epoch].defined[i].n && begins_with(p, epochs[epoch].defined[i]);
		}
		assert_true(found);
		met++;
	}
	assert_true(met > 20 && n_certified > 10);
}

static void test_model(void **state)
{
	uint32_t epoch = 0;
	set_up(0);
	seed = 11;
	n_certain = 0;
	memset(epochs, 0, sizeof epochs);
	for (unsigned step = 0; step < 1200; step++) {
		struct path p = random_path();
		node_id n = node_of(p);
		assert_int_equal(trie_is_certified(&t, n), model_certified(p, n_certain));
		if (draw(3) == 0) {
			stack_id id = trie_stack(&t, &c, w, n);
			assert_true(id > 0);
			assert_int_equal(trie_stack(&t, &c, w, n), id);
			epochs[epoch].defined[epochs[epoch].n_defined++] = p;
		}
		if (draw(12) == 0) {
			bool was = model_certified(p, n_certain);
			assert_int_equal(trie_certify(&t, w, n), !was);
			certain[n_certain++] = p;
			assert_true(trie_is_certified(&t, n));
		}
		epochs[epoch].n_certain = n_certain;
		if (step % 150 == 149 && step < 1100) {
			new_epoch();
			epoch++;
			epochs[epoch].n_certain = n_certain;
		}
	}
	writer_tick(w, now_ns += 1000000);
	writer_entry(w, thread, 0, WIRE_STATE_SLEEPING, 0);
	assert_int_equal(writer_flush(w, now_ns += 1000000, &(struct rec_end){.reason = WIRE_END_TARGET}), 0);
	read_back(compare_epoch, epoch + 1);
	tear_down();
}

/* Ids hang on the writer's epoch: in a new one they are given anew, and what was certain is certain from the start. */
static struct path expected;
static unsigned epochs_seen;
static void compare_one(struct decoded *d, uint32_t epoch)
{
	epochs_seen++;
	assert_int_equal(d->n_stacks, expected.n);
	struct path p = path_of(d, d->n_stacks);
	assert_memory_equal(&p, &expected, sizeof p);
	for (stack_id id = 1; id <= d->n_stacks; id++)
		assert_int_equal(d->certified[id], epoch > 0 || id < 3);
}
static void test_epochs(void **state)
{
	set_up(0);
	expected = make_path("a0b1c2d3");
	node_id n = node("a0b1c2d3");
	assert_int_equal(trie_stack(&t, &c, w, 0), 0);
	stack_id id = trie_stack(&t, &c, w, n);
	assert_int_equal(id, 4);
	assert_int_equal(trie_stack(&t, &c, w, node("a0b1")), 2);
	assert_true(trie_certify(&t, w, node("a0b1")));
	new_epoch();
	assert_true(trie_certify(&t, w, n)); /* before it is defined in this one */
	assert_int_equal(trie_stack(&t, &c, w, n), 4);
	new_epoch();
	assert_int_equal(trie_stack(&t, &c, w, node("a0")), 1);
	assert_int_equal(trie_stack(&t, &c, w, node("a0b1c2")), 3); /* on top of what is there */
	assert_int_equal(trie_stack(&t, &c, w, n), 4);
	trie_clear(&t); /* forgotten; the writer still knows */
	n = node("a0b1c2d3");
	assert_int_equal(trie_stack(&t, &c, w, n), 4);
	assert_int_equal(writer_flush(w, now_ns += 1000000, &(struct rec_end){.reason = WIRE_END_TARGET}), 0);
	epochs_seen = 0;
	read_back(compare_one, 3);
	assert_int_equal(epochs_seen, 3);
	tear_down();
}

/* Deep stacks need no deep recursion; the cap holds. */
static void test_deep(void **state)
{
	enum { DEPTH = 60000 };
	set_up(0);
	node_id n = 0, half = 0;
	for (unsigned i = 0; i < DEPTH; i++) {
		n = trie_child(&t, n, ids[0], 2 * (i % INSTRS));
		half = i == DEPTH / 2 ? n : half;
	}
	assert_int_equal(trie_stack(&t, &c, w, half), DEPTH / 2 + 1);
	assert_int_equal(trie_stack(&t, &c, w, n), DEPTH);
	assert_true(trie_certify(&t, w, half));
	assert_false(trie_is_certified(&t, n));
	assert_true(trie_certify(&t, w, n));
	assert_true(trie_is_certified(&t, n));
	tear_down();
	set_up(0);
	uint32_t last = 0;
	for (uint32_t i = 0; !trie_is_full(&t); i++)
		assert_true((last = trie_child(&t, last % 1000 == 999 ? 0 : last, ids[i % CODES], i)) > 0);
	assert_int_equal(t.nodes.n, TRIE_MAX);
	assert_int_equal(trie_child(&t, 0, ids[0], 1 << 30), 0);
	trie_clear(&t);
	assert_false(trie_is_full(&t));
	assert_true(node("a0") > 0);
	tear_down();
}

/* The dictionaries are full: the stack has no id now, and gets one in the next epoch. */
static void test_dictionaries_full(void **state)
{
	set_up(20000);
	node_id n = 0;
	unsigned refused = 0;
	for (unsigned i = 0; i < 5000; i++) {
		n = trie_child(&t, i % 100 ? n : 0, ids[draw(CODES)], 2 * draw(INSTRS));
		refused += trie_stack(&t, &c, w, n) == 0;
	}
	assert_true(refused > 0);
	assert_int_equal(trie_stack(&t, &c, w, n), 0);
	trie_certify(&t, w, n);
	writer_tick(w, now_ns += 1000000);
	assert_int_equal(writer_flush(w, now_ns += 1000000, NULL), 0);
	assert_int_equal(writer_epoch(w), 1);
	assert_true(trie_stack(&t, &c, w, n) > 0);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_children), cmocka_unit_test(test_certification),
	    cmocka_unit_test(test_model),    cmocka_unit_test(test_epochs),
	    cmocka_unit_test(test_deep),     cmocka_unit_test(test_dictionaries_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

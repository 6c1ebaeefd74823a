/* codes: names and tables of code objects, and the proof that an address still holds the object that we know. */
#include "pyspy-record/python/codes.h"

#include <errno.h>

#include "libcommon/err.h"
#include "tests/unit/support_objects.h"
#include "tests/unit/support_test.h"

static const struct codes_generation later = {1000, 1000, 0};
static struct support_memory m;
static struct support_objects o;
static struct codes c;
static raddr_t globals;

/* Line 41 at 0, 42 at 2, none at 4 (line steps: 42 still), in each form of table. */
static const uint8_t locations[] = {0x80, 0x00, 0xd8, 0x08, 0x09, 0x80 | 15 << 3 | 1};
static const uint8_t ranges[] = {2, 0, 2, 1, 4, 0x80}, steps[] = {2, 1};
/* 43 at 0, nothing behind. */
static const uint8_t other_locations[] = {0x80 | 12 << 3, 1, 2}, other_ranges[] = {2, 2}, other_steps[] = {0, 2};
static struct support_objects_code plain = {.qualname = "Class.method",
                                            .file = "/srv/app/module.py",
                                            .version = 17,
                                            .units = 20,
                                            .first_traceable = 2,
                                            .first_line = 41};
static struct support_objects_code other_code;

static void set_table(struct support_objects_code *code, const void *bytes, size_t n)
{
	code->linetable = bytes;
	code->linetable_len = n;
}

static bool has_steps(void)
{
	return o.l->lines == LINETABLE_LNOTAB_UNSIGNED || o.l->lines == LINETABLE_LNOTAB_SIGNED;
}

/* As the version at hand has them. */
static void choose_tables(void)
{
	other_code = plain;
	if (has_steps()) {
		set_table(&plain, steps, sizeof steps);
		set_table(&other_code, other_steps, sizeof other_steps);
	} else if (o.l->lines == LINETABLE_RANGES) {
		set_table(&plain, ranges, sizeof ranges);
		set_table(&other_code, other_ranges, sizeof other_ranges);
	} else {
		set_table(&plain, locations, sizeof locations);
		set_table(&other_code, other_locations, sizeof other_locations);
	}
}

static bool is_by_words(void)
{
	return o.l->code.version == 0;
}

static bool has_own_bytecode(void)
{
	return o.l->code.bytecode == 0;
}

static size_t text_at(void)
{
	return o.l->is_python2 ? o.l->bytes.ob_sval : o.l->unicode.ascii_size;
}

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < SUPPORT_OBJECTS_FAMILIES; i++) {
		const struct support_objects_family *f = &support_objects_families[i];
		for (int pages = 0; pages < 2; pages++) {
			support_memory_init(&m);
			support_objects_init_build(&o, &m, f->version_hex, f->build);
			choose_tables();
			o.pages = pages;
			globals = support_objects_globals(&o, "app.module");
			assert_int_equal(codes_init(&c, &m.reader, o.l), 0);
			test();
			codes_done(&c);
			support_memory_done(&m);
		}
	}
}

static code_id read_one(raddr_t at, raddr_t run_with)
{
	code_id id = 0;
	bool proved;
	assert_int_equal(codes_read(&c, at, run_with, later, &id, &proved), 0);
	assert_true(id > 0);
	return id;
}

/* Does the address of `id` hold another object by now? */
static bool is_bad(code_id id)
{
	bool bad = false;
	assert_int_equal(codes_check(&c, &id, 1, 2000, &bad), 0);
	assert_int_equal(codes_at(&c, id)->is_stale, bad);
	return bad;
}

static const char *name(uint32_t id)
{
	size_t n;
	return intern_bytes(&c.names, id, &n);
}

static void contents(void)
{
	raddr_t at = support_objects_code(&o, &plain);
	assert_int_equal(codes_known(&c, at, globals), 0);
	code_id id = read_one(at, globals);
	assert_int_equal(codes_known(&c, at, globals), id);
	assert_int_equal(codes_known(&c, at + 8, globals), 0);
	const struct code *code = codes_at(&c, id);
	assert_string_equal(name(code->qualname), "Class.method");
	assert_string_equal(name(code->file), "/srv/app/module.py");
	assert_string_equal(name(code->module), "app.module");
	assert_int_equal(code->first_line, 41);
	assert_true(code->at == at && code->start == (has_own_bytecode() ? at + o.l->code.code_adaptive : 0));
	assert_int_equal(code->size_bytes, 40);
	assert_int_equal(code->first_traceable, has_own_bytecode() ? 4 : 0);
	assert_int_equal(codes_version(&c, id), is_by_words() ? 0 : 17);
	struct linetable_place p;
	assert_true(codes_place(&c, code, 0, &p));
	assert_int_equal(p.line, 41);
	assert_true(codes_place(&c, code, 2, &p));
	assert_int_equal(p.line, 42);
	if (o.l->lines == LINETABLE_LOCATIONS)
		assert_int_equal(p.column, 8);
	assert_int_equal(codes_place(&c, code, 4, &p), has_steps());
	assert_int_equal(codes_place(&c, code, 400, &p), has_steps());
	/* another object, its table behind the first one's */
	struct support_objects_code next = other_code;
	next.qualname = "<module>";
	next.version = 18;
	code_id other = read_one(support_objects_code(&o, &next), globals);
	assert_int_not_equal(other, id);
	assert_true(codes_place(&c, codes_at(&c, other), 1, &p));
	assert_int_equal(p.line, 43);
	assert_int_equal(codes_place(&c, codes_at(&c, other), 2, &p), has_steps());
	assert_true(codes_place(&c, codes_at(&c, id), 2, &p));
	assert_int_equal(p.line, 42);
	assert_false(is_bad(id));
	assert_false(is_bad(other));
	codes_clear(&c);
	assert_int_equal(codes_known(&c, at, globals), 0);
	assert_int_equal(c.epoch, 1);
	assert_int_equal(c.tables.len, 0);
	id = read_one(at, globals);
	assert_string_equal(name(codes_at(&c, id)->qualname), "Class.method");
}
static void test_contents(void **state)
{
	in_all(contents);
}

/* An object's module is that of the globals it runs with. */
static void modules(void)
{
	raddr_t at = support_objects_code(&o, &plain), same = support_objects_globals(&o, "app.module"),
	        other = support_objects_globals(&o, "app.other"), none = support_objects_dict(&o, false, NULL, 0);
	code_id id = read_one(at, globals);
	size_t n = c.v.n, tables = c.tables.len;
	assert_int_equal(codes_known(&c, at, same), 0);
	assert_int_equal(read_one(at, same), id);
	assert_int_equal(c.v.n, n);
	assert_int_equal(c.tables.len, tables);
	assert_int_equal(codes_known(&c, at, same), id);
	code_id moved = read_one(at, other);
	assert_int_not_equal(moved, id);
	assert_string_equal(name(codes_at(&c, moved)->module), "app.other");
	assert_string_equal(name(codes_at(&c, id)->module), "app.module");
	assert_int_equal(codes_known(&c, at, other), moved);
	assert_int_equal(codes_known(&c, at, globals), id);
	assert_int_equal(read_one(at, globals), id); /* whichever was met last */
	assert_int_equal(read_one(at, other), moved);
	/* no __name__, one that is no str, no dict at all: no module */
	code_id without = read_one(at, none);
	assert_int_equal(codes_at(&c, without)->module, 0);
	uint32_t digit = 1;
	struct support_objects_entry e = {support_objects_ascii(&o, "__name__"),
	                                  support_objects_int(&o, false, &digit, 1)};
	assert_int_equal(read_one(at, support_objects_dict(&o, false, &e, 1)), without);
	assert_int_equal(read_one(at, 0x7000), without);
	assert_int_equal(read_one(at, 3), without);
	assert_false(is_bad(id));
	assert_false(is_bad(moved));
}
static void test_modules(void **state)
{
	in_all(modules);
}

/* One object dies, another comes to its address: by its version; up to 3.11 by any of the words and names. */
static void replaced(void)
{
	struct support_objects_code others[6];
	for (size_t i = 0; i < N_OF(others); i++)
		others[i] = plain;
	others[0].qualname = "Class.mathod"; /* the same length */
	others[1].file = "/srv/app/module.pi";
	others[2].first_line = 42;
	set_table(&others[3], other_code.linetable, other_code.linetable_len);
	others[4].units = 19;
	/* [5]: equal in all but its address of names: as made anew by the same exec() */
	for (size_t i = 0; i < N_OF(others); i++) {
		raddr_t at = support_objects_code(&o, &plain);
		code_id id = read_one(at, globals);
		assert_false(is_bad(id));
		assert_int_equal(codes_known(&c, at, globals), id);
		others[i].version = 100 + (uint32_t)i;
		support_objects_recode(&o, at, &others[i]);
		assert_true(is_bad(id));
		assert_int_equal(codes_known(&c, at, globals), 0); /* it is not that one any more */
		code_id now = read_one(at, globals);
		assert_int_not_equal(now, id);
		assert_string_equal(name(codes_at(&c, now)->qualname), others[i].qualname);
		assert_string_equal(name(codes_at(&c, now)->file), others[i].file);
		assert_int_equal(codes_known(&c, at, globals), now);
		assert_false(is_bad(now));
		assert_string_equal(name(codes_at(&c, id)->qualname), "Class.method"); /* past samples keep theirs */
		assert_true(codes_at(&c, id)->is_stale);
	}
}
static void test_replaced(void **state)
{
	in_all(replaced);
}

/* An object that could not be read once, and is there again: a new entry, that holds. */
static void there_again(void)
{
	unsigned char kept[512];
	raddr_t at = support_objects_code(&o, &plain);
	code_id id = read_one(at, globals);
	size_t n = o.l->code.size;
	memcpy(kept, support_memory_at(&m, at, n), n);
	support_memory_unmap(&m, at);
	assert_true(is_bad(id));
	support_memory_map(&m, at, n);
	support_memory_put(&m, at, kept, n);
	code_id again = read_one(at, globals);
	assert_int_not_equal(again, id);
	assert_int_equal(codes_known(&c, at, globals), again);
	assert_false(is_bad(again));
	assert_int_equal(read_one(at, globals), again);
}
static void test_there_again(void **state)
{
	in_all(there_again);
}

/* Another object whose names lie at the same addresses as the dead one's did (up to 3.11 only the texts tell). */
static void replaced_names(void)
{
	if (!is_by_words())
		return;
	raddr_t at = support_objects_code(&o, &plain), qualname;
	code_id id = read_one(at, globals);
	memcpy(&qualname, support_memory_at(&m, at + o.l->code.qualname, 8), 8);
	support_memory_put(&m, qualname + text_at(), "Klass", 5);
	assert_true(is_bad(id));
	id = read_one(at, globals);
	assert_string_equal(name(codes_at(&c, id)->qualname), "Klass.method");
	support_objects_size(&o, qualname + (o.l->is_python2 ? o.l->bytes.ob_size : o.l->unicode.length), 5);
	assert_true(is_bad(id));
	id = read_one(at, globals);
	assert_string_equal(name(codes_at(&c, id)->qualname), "Klass");
	assert_false(is_bad(id));
}
static void test_replaced_names(void **state)
{
	in_all(replaced_names);
}

/* What the interpreter writes into a living code object and its names is no change: reference counts, warm-up counters,
 * the hash and the interned state of names, the instructions themselves. */
static void alive(void)
{
	raddr_t at = support_objects_code(&o, &plain), names[2];
	code_id id = read_one(at, globals);
	memcpy(&names[0], support_memory_at(&m, at + o.l->code.qualname, 8), 8);
	memcpy(&names[1], support_memory_at(&m, at + o.l->code.filename, 8), 8);
	for (size_t i = 0; i < 2; i++) {
		uint32_t s;
		support_memory_u64(&m, names[i], 77);
		if (o.l->is_python2) { /* hash, interned or not */
			memset(support_memory_at(&m, names[i] + o.l->bytes.ob_sval - 12, 12), 0x11, 12);
			continue;
		}
		support_memory_u64(&m, names[i] + o.l->unicode.length + 8, 0x123456789abcdef);
		memcpy(&s, support_memory_at(&m, names[i] + o.l->unicode.state, 4), 4);
		support_memory_u32(&m, names[i] + o.l->unicode.state, s | 1);
	}
	support_memory_u64(&m, at, 1234567);
	if (o.l->code.ident_skip) {
		support_memory_u8(&m, at + o.l->code.ident_skip, 0xee);
		support_memory_u8(&m, at + o.l->code.ident_skip + 1, 0xff);
	}
	if (o.l->code.ident_end + 8 <= o.l->code.size)
		support_memory_u64(&m, at + o.l->code.ident_end, 0xdeadbeef); /* weak references, and what follows */
	if (has_own_bytecode())
		support_memory_u64(&m, at + o.l->code.code_adaptive, 0xffffffffffffffff);
	assert_false(is_bad(id));
	assert_int_equal(read_one(at, globals), id);
}
static void test_alive(void **state)
{
	in_all(alive);
}

/* Names that are not compact ASCII, short and long, at the end of what can be read: the object stays what it is. */
static void kinds_of_names(void)
{
	static const uint16_t narrow[] = {0x3b1, 0x3b2, 0x3b3};
	static const uint8_t latin[] = {'f', 0xfc, 'r'};
	static const uint32_t wide[] = {0x1f600};
	char long_name[500];
	memset(long_name, 'n', sizeof long_name);
	raddr_t kinds[] = {support_objects_ascii(&o, ""),
	                   support_objects_ascii(&o, "f"),
	                   support_objects_str(&o, 1, true, long_name, sizeof long_name),
	                   support_objects_str(&o, 1, false, latin, 3),
	                   support_objects_str(&o, 2, false, narrow, 3),
	                   support_objects_str(&o, 4, false, wide, 1),
	                   support_objects_legacy(&o, 1, true, "a subclass of str", 17, NULL),
	                   support_objects_legacy(&o, 1, false, latin, 3, NULL)};
	if (o.l->is_python2) { /* names are str always: of any encoding */
		kinds[3] = support_objects_ascii(&o, "f\xc3\xbcr");
		kinds[4] = support_objects_ascii(&o, "\xce\xb1\xce\xb2\xce\xb3");
		kinds[5] = support_objects_ascii(&o, "\xf0\x9f\x98\x80");
		kinds[6] = support_objects_ascii(&o, "a subclass of str");
		kinds[7] = kinds[3];
	}
	static const char *const want[] = {
	    "",          "f", NULL, "f\xc3\xbcr", "\xce\xb1\xce\xb2\xce\xb3", "\xf0\x9f\x98\x80", "a subclass of str",
	    "f\xc3\xbcr"};
	for (size_t i = 0; i < N_OF(kinds); i++) {
		raddr_t at = support_objects_code(&o, &plain);
		support_memory_u64(&m, at + o.l->code.filename, kinds[i]);
		support_memory_u64(&m, at + o.l->code.qualname, kinds[i]);
		code_id id = read_one(at, globals);
		if (want[i])
			assert_string_equal(name(codes_at(&c, id)->file), want[i]);
		else
			assert_int_equal(strlen(name(codes_at(&c, id)->file)), sizeof long_name);
		for (int k = 0; k < 3; k++)
			assert_false(is_bad(id));
		assert_int_equal(read_one(at, globals), id);
	}
	/* what a str that is not compact is given later (its UTF-8 form), and what lies behind it, is not its text */
	for (size_t i = 6; i < N_OF(kinds) && !o.l->is_python2; i++) {
		raddr_t at = support_objects_code(&o, &plain);
		support_memory_u64(&m, at + o.l->code.filename, kinds[i]);
		code_id id = read_one(at, globals);
		for (raddr_t word = o.l->unicode.state + 8; word < o.l->unicode.data; word += 8)
			support_memory_u64(&m, kinds[i] + word, 0x7777777777777777);
		if (o.pages)
			memset(support_memory_at(&m, kinds[i] + o.l->unicode.data + 8, 64), 0x77, 64);
		assert_false(is_bad(id));
		assert_int_equal(read_one(at, globals), id);
	}
	if (o.pages) {
		raddr_t at = support_objects_code(&o, &plain);
		support_memory_u64(&m, at + o.l->code.filename, kinds[1]);
		code_id id = read_one(at, globals);
		memset(support_memory_at(&m, kinds[1] + text_at() + 2, 64), 0x77, 64);
		assert_false(is_bad(id));
	}
}
static void test_kinds_of_names(void **state)
{
	in_all(kinds_of_names);
}

/* When was the object certainly there? 3.13: its version was given out before the sample began; before: not known. */
static void proof(void)
{
	static const struct {
		uint32_t version;
		uint64_t before;
		bool proved; /* in 3.13 */
	} cases[] = {{17, 18, true},
	             {17, 17, false},
	             {17, 16, false},
	             {17, 1000, true},
	             {0, 1000, false},
	             {1, 0, false},
	             {UINT32_MAX, 1ull << 32, true}};
	bool is_made = o.l->generation_kind == LAYOUT_GENERATION_MADE;
	if (o.l->generation_kind == LAYOUT_GENERATION_DESTROYED)
		return;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct support_objects_code made = plain;
		made.version = cases[i].version;
		raddr_t at = support_objects_code(&o, &made);
		code_id id;
		bool proved = !cases[i].proved;
		struct codes_generation g = {cases[i].before, cases[i].before + 5, 0};
		assert_int_equal(codes_read(&c, at, globals, g, &id, &proved), 0);
		assert_int_equal(proved, is_made && cases[i].proved);
		assert_true(codes_at(&c, id)->checked_generation == cases[i].before + 5);
		bool bad;
		assert_int_equal(codes_check(&c, &id, 1, 5000 + i, &bad), 0);
		assert_false(bad);
		assert_true(codes_at(&c, id)->checked_generation == 5000 + i);
		/* read again, for other globals: checked again */
		g.after = 9000;
		assert_int_equal(codes_read(&c, at, support_objects_globals(&o, "app.module"), g, &id, &proved), 0);
		assert_true(codes_at(&c, id)->checked_generation == 9000);
	}
	assert_int_equal(c.has_generation, is_made);
	c.has_generation = false; /* the word was found to be none */
	raddr_t at = support_objects_code(&o, &plain);
	code_id id;
	bool proved = true;
	assert_int_equal(codes_read(&c, at, globals, later, &id, &proved), 0);
	assert_false(proved);
}
static void test_proof(void **state)
{
	in_all(proof);
}

/* 3.14 and later: no code object has gone since the sample began. */
static void proof_by_count(void)
{
	if (o.l->generation_kind != LAYOUT_GENERATION_DESTROYED)
		return;
	raddr_t at = support_objects_code(&o, &plain), count = support_objects_new(&o, 0, 8, 0);
	static const uint64_t counts[][2] = {{5, 5}, {4, 5}, {6, 5}, {0, 0}}; /* at the sample, now */
	assert_true(c.has_generation);
	for (size_t i = 0; i < N_OF(counts); i++) {
		code_id id;
		bool proved = false;
		struct codes_generation g = {counts[i][0], counts[i][0], count};
		support_memory_u64(&m, count, counts[i][1]);
		assert_int_equal(codes_read(&c, at, globals, g, &id, &proved), 0);
		assert_int_equal(proved, counts[i][0] == counts[i][1]);
		assert_true(codes_at(&c, id)->checked_generation == counts[i][1]);
		g.at = 0x5000; /* the count cannot be read */
		assert_int_equal(codes_read(&c, at, globals, g, &id, &proved), 0);
		assert_false(proved);
		assert_true(codes_at(&c, id)->checked_generation == CODES_UNSTABLE);
	}
}
static void test_proof_by_count(void **state)
{
	in_all(proof_by_count);
}

/* The object is replaced while it is read: its names are nobody's. */
static raddr_t meanwhile_at;
static uint64_t meanwhile_call;
static void replaces(struct support_memory *memory, uint64_t call)
{
	struct support_objects_code other = plain;
	if (call != meanwhile_call)
		return;
	memory->before = NULL;
	other.qualname = "something.else";
	other.version = 99;
	support_objects_recode(&o, meanwhile_at, &other);
}
static void meanwhile(void)
{
	unsigned torn = 0, old = 0, new = 0;
	for (unsigned k = 1; k < 60; k++) {
		raddr_t at = support_objects_code(&o, &plain);
		code_id id = 0;
		bool proved;
		size_t n = c.v.n, tables = c.tables.len;
		meanwhile_at = at;
		meanwhile_call = m.reader.calls + k;
		m.before = replaces;
		int rc = codes_read(&c, at, globals, later, &id, &proved);
		bool was_replaced = !m.before;
		m.before = NULL;
		if (rc == 0) { /* all of the one or all of the other; the one is known not to be there any more */
			bool is_new = was_replaced && k == 1;
			assert_string_equal(name(codes_at(&c, id)->qualname),
			                    is_new ? "something.else" : "Class.method");
			assert_int_equal(codes_at(&c, id)->linetable_len, plain.linetable_len);
			old += !is_new;
			new += is_new;
			assert_int_equal(is_bad(id), was_replaced && !is_new);
		} else {
			assert_int_equal(rc, ERR_TORN);
			assert_int_equal(c.v.n, n);
			assert_int_equal(c.tables.len, tables);
			assert_int_equal(codes_known(&c, at, globals), 0);
			torn++;
		}
	}
	assert_true(torn > 5 && old > 5 && new == 1);
}
static void test_meanwhile(void **state)
{
	in_all(meanwhile);
}

/* Many at once, with some replaced and some that cannot be read any more; none is looked at twice, none left out. */
static void many(void)
{
	enum { MANY = 300 };
	raddr_t at[MANY];
	code_id ids[MANY];
	bool bad[MANY];
	struct support_objects_code made = plain;
	for (unsigned i = 0; i < MANY; i++) {
		made.version = 100 + i;
		at[i] = support_objects_code(&o, &made);
		ids[i] = read_one(at[i], globals);
	}
	uint64_t calls = m.reader.calls, checks = c.checks;
	assert_int_equal(codes_check(&c, ids, MANY, 2000, bad), 0);
	assert_int_equal(c.checks - checks, MANY);
	if (o.pages)
		assert_true(m.reader.calls - calls <= MANY / 64 + 1);
	for (unsigned i = 0; i < MANY; i++)
		assert_false(bad[i]);
	for (unsigned i = 0; i < MANY; i++) {
		if (i % 7 == 3) {
			made.version = 1000 + i;
			made.first_line = 7;
			support_objects_recode(&o, at[i], &made);
		} else if (i % 31 == 5 || i == 63 || i == 64 || i == MANY - 1 || i == 0) {
			support_memory_unmap(&m, at[i]);
		}
	}
	checks = c.checks;
	assert_int_equal(codes_check(&c, ids, MANY, 3000, bad), 0);
	assert_int_equal(c.checks - checks, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		bool changed = i % 7 == 3 || i % 31 == 5 || i == 63 || i == 64 || i == MANY - 1 || i == 0;
		assert_int_equal(bad[i], changed);
		assert_int_equal(codes_known(&c, at[i], globals), changed ? 0 : ids[i]);
		assert_true(codes_at(&c, ids[i])->checked_generation == (changed ? 2000 : 3000));
	}
	assert_int_equal(codes_check(&c, ids, 0, 3000, bad), 0);
	m.error = ESRCH;
	assert_int_equal(codes_check(&c, ids + 1, 5, 3000, bad), ERR_GONE);
	assert_false(codes_at(&c, ids[1])->is_stale);
	m.error = 0;
}
static void test_many(void **state)
{
	in_all(many);
}

/* What is no code object, or has contents that cannot be. */
static void refused(void)
{
	code_id id;
	bool proved;
	raddr_t text =
	    support_objects_ascii(&o, "a str, as large as a code object has to be, which takes some more words; "
	                              "............................................................"
	                              "............................................................");
	static const raddr_t nowhere[] = {0, 8, 4088, 0x7f0000000001, 1ull << 47, UINT64_MAX, UINT64_MAX - 7};
	for (size_t i = 0; i < N_OF(nowhere); i++)
		assert_int_equal(codes_read(&c, nowhere[i], globals, later, &id, &proved), ERR_TORN);
	assert_int_equal(codes_read(&c, 0x123450, globals, later, &id, &proved), ERR_MEMORY_READ);
	assert_int_equal(codes_read(&c, text, globals, later, &id, &proved), ERR_TORN);
	raddr_t at = support_objects_code(&o, &plain);
	read_one(at, globals);
	assert_int_equal(codes_read(&c, text, globals, later, &id, &proved), ERR_TORN); /* with the type known */
	size_t n = c.v.n, tables = c.tables.len;
	static const struct {
		size_t field; /* offset in struct layout */
		uint64_t value;
	} wild[] = {
	    {offsetof(struct layout, code.ob_size), 1ull << 40},  {offsetof(struct layout, code.ob_size), UINT64_MAX},
	    {offsetof(struct layout, code.qualname), 0},          {offsetof(struct layout, code.qualname), 0x5000},
	    {offsetof(struct layout, code.filename), UINT64_MAX}, {offsetof(struct layout, code.filename), 0x5000},
	    {offsetof(struct layout, code.linetable), 0},         {offsetof(struct layout, code.linetable), 0x5000},
	    {offsetof(struct layout, code.first_traceable), ~0u}, {offsetof(struct layout, code.bytecode), 0},
	    {offsetof(struct layout, code.bytecode), 0x5000},
	};
	for (size_t i = 0; i < N_OF(wild); i++) {
		raddr_t bad = support_objects_code(&o, &plain);
		uint32_t field = *(const uint32_t *)((const char *)o.l + wild[i].field);
		if (!field)
			continue; /* the version has none */
		if (wild[i].value == ~0u)
			support_memory_u32(&m, bad + field, ~0u);
		else
			support_memory_u64(&m, bad + field, wild[i].value);
		int rc = codes_read(&c, bad, globals, later, &id, &proved);
		assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
		assert_int_equal(c.v.n, n);
		assert_int_equal(c.tables.len, tables);
		assert_int_equal(codes_known(&c, bad, globals), 0);
	}
	m.error = ESRCH;
	assert_int_equal(codes_read(&c, at, globals, later, &id, &proved), ERR_GONE);
	m.error = 0;
}
static void test_refused(void **state)
{
	in_all(refused);
}

/* At the cap: said, and gone after codes_clear. */
static void test_full(void **state)
{
	support_memory_init(&m);
	support_objects_init(&o, &m, SUPPORT_OBJECTS_3_13);
	globals = support_objects_globals(&o, "app");
	assert_int_equal(codes_init(&c, &m.reader, o.l), 0);
	raddr_t at = support_objects_code(&o, &plain);
	code_id id;
	bool proved;
	for (uint32_t n = 1; n <= 2000; n++) { /* each time another object at the same place */
		support_memory_u32(&m, at + o.l->code.version, n);
		assert_int_equal(codes_read(&c, at, globals, later, &id, &proved), 0);
		assert_int_equal(id, n);
		codes_at(&c, id)->is_stale = true;
	}
	assert_false(codes_is_full(&c));
	c.tables.len = CODES_BYTES_MAX / 4 * 3 + 1;
	assert_true(codes_is_full(&c));
	assert_int_equal(codes_read(&c, at, globals, later, &id, &proved), ERR_FULL);
	codes_clear(&c);
	assert_false(codes_is_full(&c));
	assert_int_equal(codes_read(&c, at, globals, later, &id, &proved), 0);
	codes_done(&c);
	support_memory_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_contents),       cmocka_unit_test(test_modules),
	    cmocka_unit_test(test_there_again),    cmocka_unit_test(test_replaced),
	    cmocka_unit_test(test_replaced_names), cmocka_unit_test(test_alive),
	    cmocka_unit_test(test_kinds_of_names), cmocka_unit_test(test_proof),
	    cmocka_unit_test(test_proof_by_count), cmocka_unit_test(test_meanwhile),
	    cmocka_unit_test(test_many),           cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

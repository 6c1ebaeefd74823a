#include "tests/unit/support_codes.h"

#include "libcommon/err.h"
#include "tests/unit/support_test.h"

const struct codes_generation support_codes_later = {1000, 1000, 0};

/* In each form of table. */
static const uint8_t locations[] = {0x80, 0x00, 0xd8, 0x08, 0x09, 0x80 | 15 << 3 | 1};
static const uint8_t ranges[] = {2, 0, 2, 1, 4, 0x80}, steps[] = {2, 1};
static const uint8_t other_locations[] = {0x80 | 12 << 3, 1, 2}, other_ranges[] = {2, 2}, other_steps[] = {0, 2};
static const struct support_objects_code without_table = {.qualname = "Class.method",
                                                          .file = "/srv/app/module.py",
                                                          .version = 17,
                                                          .units = 20,
                                                          .first_traceable = 2,
                                                          .first_line = 41};

void support_codes_table(struct support_objects_code *code, const void *bytes, size_t n)
{
	code->linetable = bytes;
	code->linetable_len = n;
}

bool support_codes_has_steps(const struct support_codes *s)
{
	return s->o.l->lines == LINETABLE_LNOTAB_UNSIGNED || s->o.l->lines == LINETABLE_LNOTAB_SIGNED;
}

/* As the version at hand has them. */
static void choose_tables(struct support_codes *s)
{
	s->plain = s->other = without_table;
	if (support_codes_has_steps(s)) {
		support_codes_table(&s->plain, steps, sizeof steps);
		support_codes_table(&s->other, other_steps, sizeof other_steps);
	} else if (s->o.l->lines == LINETABLE_RANGES) {
		support_codes_table(&s->plain, ranges, sizeof ranges);
		support_codes_table(&s->other, other_ranges, sizeof other_ranges);
	} else {
		support_codes_table(&s->plain, locations, sizeof locations);
		support_codes_table(&s->other, other_locations, sizeof other_locations);
	}
}

bool support_codes_is_by_words(const struct support_codes *s)
{
	return s->o.l->code.version == 0;
}

bool support_codes_has_own_bytecode(const struct support_codes *s)
{
	return s->o.l->code.bytecode == 0;
}

size_t support_codes_text_at(const struct support_codes *s)
{
	return s->o.l->is_python2 ? s->o.l->bytes.ob_sval : s->o.l->unicode.ascii_size;
}

void support_codes_begin(struct support_codes *s, uint32_t version_hex, enum layout_build build)
{
	support_memory_init(&s->m);
	support_objects_init_build(&s->o, &s->m, version_hex, build);
	choose_tables(s);
	s->globals = support_objects_globals(&s->o, "app.module");
	assert_int_equal(codes_init(&s->c, &s->m.reader, s->o.l), 0);
}

void support_codes_end(struct support_codes *s)
{
	codes_done(&s->c);
	support_memory_done(&s->m);
}

void support_codes_in_all(struct support_codes *s, void (*test)(void))
{
	for (size_t i = 0; i < SUPPORT_OBJECTS_FAMILIES; i++) {
		const struct support_objects_family *f = &support_objects_families[i];
		for (int pages = 0; pages < 2; pages++) {
			support_codes_begin(s, f->version_hex, f->build);
			s->o.pages = pages;
			test();
			support_codes_end(s);
		}
	}
}

code_id support_codes_read(struct support_codes *s, raddr_t at, raddr_t run_with)
{
	code_id id = 0;
	bool proved;
	assert_int_equal(codes_read(&s->c, at, run_with, support_codes_later, &id, &proved), 0);
	assert_true(id > 0);
	return id;
}

bool support_codes_is_bad(struct support_codes *s, code_id id)
{
	bool bad = false;
	assert_int_equal(codes_check(&s->c, &id, 1, 2000, &bad), 0);
	assert_int_equal(codes_at(&s->c, id)->is_stale, bad);
	return bad;
}

const char *support_codes_name(const struct support_codes *s, uint32_t id)
{
	size_t n;
	return intern_bytes(&s->c.names, id, &n);
}

/* btf: descriptions of structures, written by hand as pahole writes them; and the running kernel's. */
#include "tests/unit/support_test.h"

#include <linux/btf.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "pyspy-record/kernel/btf.h"

enum { KFLAG = 1u << 31 };

struct world {
	struct buf types, names, file;
};

static uint32_t name(struct world *w, const char *text)
{
	uint32_t at = (uint32_t)w->names.len;
	buf_put(&w->names, text, strlen(text) + 1);
	return at;
}

static void type(struct world *w, const char *its_name, uint32_t kind, uint32_t n, uint32_t flag, size_t n_rest)
{
	buf_u32(&w->types, its_name[0] ? name(w, its_name) : 0);
	buf_u32(&w->types, kind << 24 | n | flag);
	buf_u32(&w->types, 8);
	for (size_t i = 0; i < n_rest; i++)
		buf_u8(&w->types, 0xab);
}

static void member(struct world *w, const char *its_name, uint32_t offset)
{
	buf_u32(&w->types, its_name[0] ? name(w, its_name) : 0);
	buf_u32(&w->types, 1);
	buf_u32(&w->types, offset);
}

static void begin(struct world *w)
{
	buf_init(&w->types, 0);
	buf_init(&w->names, 0);
	buf_init(&w->file, 0);
	buf_u8(&w->names, 0);
}

/* One of each kind: what lies behind them is found only when each has its right size. */
static void all_kinds(struct world *w)
{
	static const struct {
		uint32_t kind, n;
		size_t rest;
	} kinds[] = {{1, 0, 4},   {2, 0, 0},  {3, 0, 12}, {4, 2, 24}, {5, 3, 36}, {6, 2, 16},  {7, 0, 0},
	             {8, 0, 0},   {9, 0, 0},  {10, 0, 0}, {11, 0, 0}, {12, 1, 0}, {13, 2, 16}, {14, 0, 4},
	             {15, 2, 24}, {16, 0, 0}, {17, 0, 4}, {18, 0, 0}, {19, 2, 24}};
	for (size_t i = 0; i < N_OF(kinds); i++)
		type(w, "task_struct_not", kinds[i].kind, kinds[i].n, 0, kinds[i].rest);
}

static void finish(struct world *w, uint16_t magic, uint32_t header)
{
	buf_u16(&w->file, magic);
	buf_u8(&w->file, 1);
	buf_u8(&w->file, 0);
	buf_u32(&w->file, header);
	buf_u32(&w->file, 0);
	buf_u32(&w->file, (uint32_t)w->types.len);
	buf_u32(&w->file, (uint32_t)w->types.len);
	buf_u32(&w->file, (uint32_t)w->names.len);
	for (uint32_t i = 24; i < header; i++)
		buf_u8(&w->file, 0);
	buf_put(&w->file, w->types.data, w->types.len);
	buf_put(&w->file, w->names.data, w->names.len);
	assert_int_equal(w->file.err, 0);
}

static void done(struct world *w)
{
	buf_done(&w->types);
	buf_done(&w->names);
	buf_done(&w->file);
}

/* From an allocation of exactly n bytes, for the sanitizers. */
static int find(const struct world *w, size_t n, struct btf_task *t)
{
	unsigned char *copy = malloc(n ? n : 1);
	memcpy(copy, w->file.data, n);
	int rc = btf_find_task(copy, n, t);
	free(copy);
	return rc;
}

static void task_5_10(struct world *w, uint32_t flag)
{
	begin(w);
	all_kinds(w);
	type(w, "task_struct", BTF_KIND_UNION, 1, 0, 12); /* only a structure counts */
	type(w, "task_struct", BTF_KIND_STRUCT, 4, flag, 0);
	member(w, "thread_info", 0);
	member(w, "state", 16 * 8);
	member(w, "", 20 * 8);
	member(w, "stack", 24 * 8);
	finish(w, BTF_MAGIC, 24);
}

static void members_are_found(void **state)
{
	(void)state;
	for (int flag = 0; flag < 2; flag++) {
		struct world w;
		struct btf_task t;
		task_5_10(&w, flag ? KFLAG : 0);
		assert_int_equal(find(&w, w.file.len, &t), 0);
		assert_int_equal(t.state, 16);
		assert_int_equal(t.stack, 24);
		done(&w);
	}
}

static void newer_names_and_bit_fields(void **state)
{
	(void)state;
	struct world w;
	struct btf_task t;
	begin(&w);
	type(&w, "task_struct", BTF_KIND_STRUCT, 3, KFLAG, 0);
	member(&w, "state", 40 * 8);
	member(&w, "__state", 24 * 8);
	member(&w, "stack", 4u << 24 | 32 * 8); /* 4 bits wide */
	finish(&w, BTF_MAGIC, 32);              /* a longer header */
	assert_int_equal(find(&w, w.file.len, &t), 0);
	assert_int_equal(t.state, 24);
	assert_int_equal(t.stack, 0);
	done(&w);
}

static void what_is_not_there_is_0(void **state)
{
	(void)state;
	struct world w;
	struct btf_task t = {7, 7};
	begin(&w);
	all_kinds(&w);
	finish(&w, BTF_MAGIC, 24);
	assert_int_equal(find(&w, w.file.len, &t), 0);
	assert_int_equal(t.state | t.stack, 0);
	done(&w);
}

static void unknown_kinds_end_it(void **state)
{
	(void)state;
	for (uint32_t kind = 20; kind < 33; kind++) {
		struct world w;
		struct btf_task t;
		begin(&w);
		type(&w, "x", kind & 31, 0, 0, 0); /* 0 is none either */
		finish(&w, BTF_MAGIC, 24);
		assert_int_equal(find(&w, w.file.len, &t), ERR_FORMAT);
		done(&w);
	}
}

/* Cut anywhere, and with any one byte changed: an error, or an answer; never beyond the bytes. */
static void damaged_bytes(void **state)
{
	(void)state;
	struct world w;
	struct btf_task t;
	task_5_10(&w, 0);
	for (size_t n = 0; n < w.file.len; n++) {
		assert_int_equal(find(&w, n, &t), ERR_FORMAT);
		assert_int_equal(t.state | t.stack, 0);
	}
	unsigned n_errors = 0;
	for (size_t i = 0; i < w.file.len * 255; i++) {
		unsigned char change = (unsigned char)(i % 255 + 1);
		w.file.data[i / 255] ^= change;
		int rc = find(&w, w.file.len, &t);
		assert_true(rc == 0 || rc == ERR_FORMAT);
		n_errors += rc != 0;
		w.file.data[i / 255] ^= change;
	}
	assert_true(n_errors > 255);
	assert_int_equal(find(&w, w.file.len, &t), 0);
	done(&w);
}

static void the_running_kernel(void **state)
{
	(void)state;
	struct btf_task t = {7, 7};
	int rc = btf_running_kernel(&t);
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0) {
		assert_int_equal(rc, ERR_GONE);
		assert_int_equal(t.state | t.stack, 0);
		return;
	}
	assert_int_equal(rc, 0);
	/* thread_info, state, stack: the order since Linux 4.9, on all that keep thread_info there */
	assert_in_range(t.state, 8, 512);
	assert_in_range(t.stack, t.state + 4, 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(members_are_found),      cmocka_unit_test(newer_names_and_bit_fields),
	    cmocka_unit_test(what_is_not_there_is_0), cmocka_unit_test(unknown_kinds_end_it),
	    cmocka_unit_test(damaged_bytes),          cmocka_unit_test(the_running_kernel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* corefile, core_reader: cores made by hand: right ones, and those that lie, are cut, or are compressed. */
#include <errno.h>
#include <signal.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "libcommon/err.h"
#include "pyspy-record/memory/core_reader.h"
#include "pyspy-record/target/corefile.h"
#include "pyspy-record/target/process.h"
#include "tests/unit/support_core.h"
#include "tests/unit/support_mutate.h"

enum { PAGE = 4096 };
#define TEXT  UINT64_C(0x400000)
#define DATA  UINT64_C(0x600000)
#define HEAP  UINT64_C(0x700000)
#define STACK UINT64_C(0x7ffd00000000)

static unsigned char text_page[PAGE], data_pages[2 * PAGE], heap_pages[4 * PAGE], stack_pages[4 * PAGE];
static char binary[64]; /* a file of three pages */

static void put_word(unsigned char *page, size_t at, uint64_t v)
{
	memcpy(page + at, &v, sizeof v);
}

/* A program: two pages of text of which the first is in the core, two of data, a heap, a stack with a command line. */
static void make(struct support_core *s)
{
	static const char *const words[] = {"python3", "a b.py", ""};
	uint64_t auxv[] = {AT_PHDR, TEXT + 64, AT_RANDOM, STACK + 3 * PAGE, AT_NULL, 0};
	struct elf_prpsinfo p = {.pr_pid = 77, .pr_ppid = 7, .pr_uid = 1000};
	siginfo_t info = {.si_signo = SIGSEGV, .si_code = SEGV_MAPERR};
	const struct support_core_file files[] = {{TEXT, TEXT + 2 * PAGE, 0, binary},
	                                          {DATA, DATA + PAGE, 2, binary},
	                                          {0x500000, 0x501000, 0, "/somewhere/else (deleted)"}};
	support_core_init(s);
	for (size_t i = 0; i < sizeof heap_pages; i++)
		heap_pages[i] = (unsigned char)(i * 7);
	memset(text_page, 0, sizeof text_page);
	Elf64_Ehdr h = s->header;
	h.e_type = ET_EXEC;
	memcpy(text_page, &h, sizeof h); /* no build id: the page itself tells */
	memset(data_pages, 0xdd, sizeof data_pages);
	/* above the stack: 3, words, 0, one of the environment, 0, auxv; the texts above */
	memset(stack_pages, 0, sizeof stack_pages);
	size_t at = 2 * PAGE, texts = 3 * PAGE + 64;
	put_word(stack_pages, at, 3);
	for (size_t i = 0; i < 3; i++) {
		put_word(stack_pages, at += 8, STACK + texts);
		strcpy((char *)stack_pages + texts, words[i]);
		texts += strlen(words[i]) + 1;
	}
	at += 16;
	put_word(stack_pages, at, STACK + texts);
	memcpy(stack_pages + at + 16, auxv, sizeof auxv);

	info.si_addr = (void *)(uintptr_t)0x1234;
	strcpy(p.pr_fname, "python3");
	strcpy(p.pr_psargs, "python3 cut off");
	support_core_thread(s, 80, 0x7000, STACK + PAGE, -1, 0, SIGSEGV);
	support_core_note(s, NT_PRPSINFO, &p, sizeof p);
	support_core_note(s, NT_SIGINFO, &info, sizeof info);
	support_core_note(s, NT_AUXV, auxv, sizeof auxv);
	support_core_files(s, files, N_OF(files));
	support_core_thread(s, 77, 0x9000, STACK + 2 * PAGE, 202, HEAP + 8, 0);
	support_core_segment(s, TEXT, 2 * PAGE, text_page, PAGE, PF_R | PF_X);
	support_core_segment(s, DATA, 2 * PAGE, data_pages, 2 * PAGE, PF_R | PF_W);
	support_core_segment(s, HEAP, 4 * PAGE, heap_pages, 4 * PAGE, PF_R | PF_W);
	support_core_segment(s, STACK, 4 * PAGE, stack_pages, 4 * PAGE, PF_R | PF_W);
	support_core_build(s);
}

static void open_it(struct support_core *s, struct corefile *c)
{
	char why[256];
	support_core_write(s);
	int rc = corefile_open(c, s->path, NULL, 0, why, sizeof why);
	if (rc < 0)
		fail_msg("%s", why);
}

static void refused(struct support_core *s, const char *words)
{
	struct corefile c;
	char why[256];
	support_core_write(s);
	assert_true(corefile_open(&c, s->path, NULL, 0, why, sizeof why) < 0);
	if (!strstr(why, words))
		fail_msg("\"%s\" has no \"%s\"", why, words);
	assert_null(strchr(why, '\n'));
}

static int setup(void **state)
{
	(void)state;
	struct support_core s;
	unsigned char page[PAGE];
	strcpy(binary, "/tmp/pyspy-unit-core-XXXXXX");
	int fd = mkstemp(binary);
	make(&s); /* text_page */
	for (int i = 0; i < 3; i++) {
		memset(page, 'a' + i, sizeof page);
		if (write(fd, i ? page : text_page, sizeof page) != sizeof page)
			return -1;
	}
	close(fd);
	support_core_done(&s);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(binary);
	return 0;
}

static void test_tells(void **state)
{
	(void)state;
	struct support_core s;
	struct corefile c;
	struct process_facts facts;
	struct maps maps;
	make(&s);
	open_it(&s, &c);
	assert_int_equal(c.process.pid, 77);
	assert_int_equal(c.process.parent_pid, 7);
	assert_int_equal(c.first_tid, 80);
	assert_int_equal(c.signal, SIGSEGV);
	assert_true(c.has_fault);
	assert_int_equal(c.fault, 0x1234);
	assert_int_equal(c.threads.n, 2);
	assert_int_equal(corefile_thread(&c, 77)->syscall, 202);
	assert_int_equal(corefile_thread(&c, 77)->arg, HEAP + 8);
	assert_int_equal(corefile_thread(&c, 80)->syscall, -1);
	assert_null(corefile_thread(&c, 78));
	assert_int_equal(corefile_thread_of(&c, 0x9000, 4711)->tid, 77); /* another namespace's number */
	assert_null(corefile_thread_of(&c, 0x9999, 77));
	assert_int_equal(corefile_thread_of(&c, 0, 77)->tid, 77);
	assert_int_equal(corefile_stack_end(&c), STACK + 4 * PAGE);
	assert_string_equal(c.exe, binary);
	assert_int_equal(corefile_facts(&c, &facts), 0);
	assert_int_equal(facts.n_cmdline, 3);
	assert_string_equal(facts.cmdline[0], "python3");
	assert_string_equal(facts.cmdline[1], "a b.py");
	assert_string_equal(facts.cmdline[2], "");
	assert_int_equal(facts.uid, 1000);
	process_facts_done(&facts);
	assert_int_equal(corefile_maps(&c, &maps), 0);
	assert_int_equal(maps.n, 6);
	const struct maps_entry *m = maps_find(&maps, DATA);
	assert_int_equal(m->offset, 2 * PAGE);
	assert_int_equal(m->end, DATA + PAGE);
	assert_string_equal(m->perms, "rw-p");
	assert_string_equal(maps_find(&maps, DATA + PAGE)->path, "");
	m = maps_find(&maps, 0x500000); /* the note alone has it */
	assert_true(m->deleted);
	assert_string_equal(m->path, "/somewhere/else");
	assert_int_equal(m->perms[0], 'r');
	maps_done(&maps);
	assert_false(c.is_damaged);
	assert_int_equal(c.wanted, c.size);
	corefile_close(&c);
	support_core_done(&s);
}

static void test_reads(void **state)
{
	(void)state;
	struct support_core s;
	struct corefile c;
	struct reader r;
	static struct reader_batch b;
	unsigned char got[3 * PAGE];
	uint64_t word;
	make(&s);
	open_it(&s, &c);
	assert_int_equal(corefile_read(&c, HEAP + 5, got, 100), 100);
	assert_memory_equal(got, heap_pages + 5, 100);
	/* over the end of what the core has: the rest is the file's, up to the end of the mapping */
	assert_int_equal(corefile_read(&c, TEXT + PAGE - 8, got, 2 * PAGE), PAGE + 8);
	assert_memory_equal(got, text_page + PAGE - 8, 8);
	assert_int_equal(got[8], 'b');
	assert_int_equal(got[PAGE + 7], 'b');
	assert_int_equal(c.binaries.n, 1);
	assert_int_equal(c.binaries.v[0].state, BINARY_FOUND);
	/* what was written to is never the file's */
	assert_int_equal(corefile_read(&c, DATA, got, 1), 1);
	assert_int_equal(got[0], 0xdd);
	assert_int_equal(corefile_read(&c, 0, got, 8), 0);
	assert_int_equal(corefile_read(&c, UINT64_MAX - 3, got, 8), 0);
	assert_int_equal(corefile_read(&c, HEAP + 4 * PAGE - 1, got, 8), 1);
	reader_core(&r, &c);
	assert_int_equal(reader_word(&r, HEAP + 16, &word), 0);
	assert_memory_equal(&word, heap_pages + 16, 8);
	assert_int_equal(reader_word(&r, HEAP + 4 * PAGE - 1, &word), ERR_MEMORY_READ);
	reader_batch_clear(&b);
	reader_batch_add(&b, HEAP, got, 8);
	reader_batch_add(&b, STACK, got + 8, 8);
	reader_batch_add(&b, 0x1000, got + 16, 8);
	reader_batch_add(&b, HEAP, got + 24, 8);
	assert_int_equal(reader_batch_read(&r, &b), 2);
	corefile_close(&c);
	support_core_done(&s);
}

/* The file was cut: what lies behind is not read from a binary in its place. */
static void test_truncated(void **state)
{
	(void)state;
	struct support_core s;
	struct corefile c;
	unsigned char got[16];
	make(&s);
	size_t whole = s.file.len;
	for (size_t n = whole; n > 0; n = n > 997 ? n - 997 : n - 1) {
		char why[256];
		s.file.len = n - (n == whole);
		support_core_write(&s);
		int rc = corefile_open(&c, s.path, NULL, 0, why, sizeof why);
		if (rc < 0) {
			assert_true(n < PAGE);
			assert_null(strchr(why, '\n'));
			continue;
		}
		assert_true(c.wanted > c.size);
		uint64_t data_at = s.segments[1].p_offset;
		if (s.file.len <= data_at)
			assert_int_equal(corefile_read(&c, DATA, got, sizeof got), 0);
		corefile_close(&c);
	}
	support_core_done(&s);
}

/* Without notes objects tell by their headers what is theirs. */
static void test_no_notes(void **state)
{
	(void)state;
	struct support_core s;
	struct corefile c;
	make(&s);
	Elf64_Ehdr *h = (Elf64_Ehdr *)text_page;
	h->e_phnum = 2;
	Elf64_Phdr p[] = {
	    {.p_type = PT_LOAD, .p_vaddr = TEXT, .p_filesz = 2 * PAGE, .p_memsz = 2 * PAGE},
	    {.p_type = PT_LOAD, .p_vaddr = DATA, .p_offset = 2 * PAGE, .p_filesz = PAGE, .p_memsz = 2 * PAGE}};
	memcpy(text_page + h->e_phoff, p, sizeof p);
	s.notes.len = 0;
	support_core_build(&s);
	open_it(&s, &c);
	assert_int_equal(c.threads.n, 0);
	const struct maps_entry *m = maps_find(&c.maps, DATA);
	assert_true(m && m->path[0] && m->offset == 2 * PAGE && m->end == DATA + PAGE);
	assert_string_equal(maps_find(&c.maps, HEAP)->path, "");
	corefile_close(&c);
	support_core_done(&s);
}

static void test_refuses(void **state)
{
	(void)state;
	struct support_core s;
	Elf64_Ehdr *h;
	make(&s);
	h = (Elf64_Ehdr *)s.file.data;
	h->e_machine = EM_AARCH64;
	refused(&s, "aarch64");
	h->e_machine = EM_X86_64;
	h->e_ident[EI_CLASS] = ELFCLASS32;
	refused(&s, "x32");
	h->e_ident[EI_CLASS] = ELFCLASS64;
	h->e_type = ET_DYN;
	refused(&s, "a library");
	h->e_type = ET_CORE;
	h->e_phentsize = 32;
	refused(&s, "damaged");
	h->e_phentsize = sizeof(Elf64_Phdr);
	h->e_phoff = UINT64_MAX - 8;
	refused(&s, "no memory");
	h->e_phoff = 0;
	refused(&s, "damaged");
	h->e_phoff = sizeof *h;
	h->e_phnum = 0;
	refused(&s, "no memory");
	h->e_phnum = PN_XNUM; /* the kernel's order tells how many, when the section header was cut off */
	struct corefile c;
	open_it(&s, &c);
	assert_int_equal(c.segments.n, s.n);
	corefile_close(&c);
	s.file.len = 0;
	refused(&s, "empty");
	support_core_done(&s);
}

/* Segments that lie over each other, beyond the end of all addresses, of more bytes than the file has. */
static void test_lies(void **state)
{
	(void)state;
	struct support_core s;
	struct corefile c;
	unsigned char got[16];
	make(&s);
	Elf64_Phdr *p = (Elf64_Phdr *)(s.file.data + sizeof(Elf64_Ehdr)) + 1;
	p[1].p_memsz = UINT64_MAX;
	p[2].p_vaddr = TEXT + PAGE;
	p[3].p_filesz = UINT64_C(1) << 62;
	p[3].p_memsz = UINT64_C(1) << 46;
	open_it(&s, &c);
	assert_true(c.is_damaged);
	assert_int_equal(c.segments.n, 2);
	assert_int_equal(corefile_read(&c, STACK + 8, got, 8), 8); /* what there is of it is there */
	assert_int_equal(corefile_read(&c, STACK + (UINT64_C(1) << 40), got, 8), 0);
	corefile_close(&c);
	p[3].p_offset = UINT64_MAX - 100;
	open_it(&s, &c);
	assert_true(c.is_damaged);
	corefile_close(&c);
	support_core_done(&s);

	/* a file that is another one now */
	make(&s);
	heap_pages[0] = 1;
	((unsigned char *)s.file.data)[s.segments[0].p_offset + 100] ^= 1;
	open_it(&s, &c);
	assert_int_equal(corefile_read(&c, TEXT + PAGE, got, 8), 0);
	assert_int_equal(c.binaries.v[0].state, BINARY_OTHER);
	assert_int_equal(c.binaries.v[0].missed, 8);
	corefile_close(&c);
	support_core_done(&s);
}

/* Notes of any length and number, mapped files that are none. */
static void test_notes_lie(void **state)
{
	(void)state;
	struct support_core s;
	struct corefile c;
	make(&s);
	for (size_t i = 0; i + 4 <= s.notes.len; i += 4) {
		static const uint32_t values[] = {0, 1, 5, 0x7fffffff, 0xffffffff, NT_FILE, NT_PRSTATUS};
		for (size_t k = 0; k < N_OF(values); k++) {
			unsigned char *at = s.file.data + sizeof(Elf64_Ehdr) + (s.n + 1) * sizeof(Elf64_Phdr) + i;
			uint32_t was;
			char why[256];
			memcpy(&was, at, 4);
			memcpy(at, &values[k], 4);
			support_core_write(&s);
			assert_int_equal(corefile_open(&c, s.path, NULL, 0, why, sizeof why), 0);
			for (size_t n = 1; n < c.maps.n; n++)
				assert_true(c.maps.v[n].begin >= c.maps.v[n - 1].end);
			corefile_close(&c);
			memcpy(at, &was, 4);
		}
	}
	support_core_done(&s);
}

static void read_everything(struct corefile *c)
{
	unsigned char got[256];
	struct process_facts facts;
	for (size_t i = 0; i < c->maps.n; i++) {
		bool doubtful;
		corefile_read(c, c->maps.v[i].begin, got, sizeof got);
		corefile_read(c, c->maps.v[i].end - 100, got, sizeof got);
		int fd = corefile_open_mapped(c, &c->maps.v[i], &doubtful);
		if (fd >= 0)
			close(fd);
	}
	corefile_stack_end(c);
	assert_int_equal(corefile_facts(c, &facts), 0);
	process_facts_done(&facts);
}

static void compress(const struct buf *from, struct buf *to)
{
	size_t most = ZSTD_compressBound(from->len);
	buf_reset(to);
	assert_non_null(buf_reserve(to, most));
	to->len = ZSTD_compress(to->data, most, from->data, from->len, 1);
	assert_false(ZSTD_isError(to->len));
}

static void test_any(void **state)
{
	(void)state;
	struct support_core s;
	struct buf whole, packed;
	make(&s);
	buf_init(&whole, 0);
	buf_init(&packed, 0);
	buf_put(&whole, s.file.data, s.file.len);
	for (int i = 0; i < 1500; i++) {
		struct corefile c;
		char why[256];
		bool is_packed = i % 3 == 0;
		buf_reset(&s.file);
		/* mostly what stands before the contents */
		size_t n = i % 4 ? PAGE : whole.len;
		buf_put(&s.file, whole.data, n);
		if (is_packed && i % 2) { /* the compressed bytes are what is wrong */
			buf_put(&s.file, whole.data + n, whole.len - n);
			compress(&s.file, &packed);
			buf_reset(&s.file);
			buf_put(&s.file, packed.data, packed.len);
			support_mutate(&s.file);
		} else {
			support_mutate(&s.file);
			buf_put(&s.file, whole.data + n, whole.len - n);
			if (is_packed) {
				compress(&s.file, &packed);
				buf_reset(&s.file);
				buf_put(&s.file, packed.data, packed.len);
			}
		}
		support_core_write(&s);
		if (corefile_open(&c, s.path, NULL, 0, why, sizeof why) == 0) {
			read_everything(&c);
			corefile_close(&c);
		} else if (!why[0] || strchr(why, '\n')) {
			fail_msg("round %d: \"%s\"", i, why);
		}
	}
	buf_done(&packed);
	buf_done(&whole);
	support_core_done(&s);
}

/* Gigabytes of zeros behind what the headers speak of are not unpacked, and zeros take no room. */
static void test_packed(void **state)
{
	(void)state;
	enum { ZEROS = 64 << 20 };
	struct support_core s;
	struct corefile c;
	struct stat st;
	struct buf packed;
	char why[256];
	unsigned char got[8];
	make(&s);
	buf_init(&packed, 0);
	size_t n = s.file.len;
	assert_non_null(buf_reserve(&s.file, ZEROS));
	memset(s.file.data + n, 0, ZEROS);
	s.file.len += ZEROS;
	compress(&s.file, &packed);
	struct buf was = s.file;
	s.file = packed;
	open_it(&s, &c);
	assert_true(c.packed_bytes == packed.len && c.size == n);
	assert_int_equal(corefile_read(&c, HEAP + 5, got, 8), 8);
	assert_memory_equal(got, heap_pages + 5, 8);
	corefile_close(&c);
	/* zeros that a header does speak of */
	s.file = was;
	Elf64_Phdr *p = (Elf64_Phdr *)(s.file.data + sizeof(Elf64_Ehdr)) + 1;
	p[3].p_filesz = p[3].p_memsz = 4 * PAGE + ZEROS;
	compress(&s.file, &packed);
	was = s.file;
	s.file = packed;
	open_it(&s, &c);
	assert_int_equal(c.size, n + ZEROS);
	assert_int_equal(fstat(c.fd, &st), 0);
	assert_true(st.st_blocks * 512 < 1 << 20);
	corefile_close(&c);
	setenv("TMPDIR", "/nonexistent", 1);
	assert_int_equal(corefile_open(&c, s.path, NULL, 0, why, sizeof why), ERR_SYSTEM);
	assert_non_null(strstr(why, "TMPDIR"));
	unsetenv("TMPDIR");
	s.file = was;
	buf_done(&packed);
	support_core_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tells),     cmocka_unit_test(test_reads),   cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_no_notes),  cmocka_unit_test(test_refuses), cmocka_unit_test(test_lies),
	    cmocka_unit_test(test_notes_lie), cmocka_unit_test(test_any),     cmocka_unit_test(test_packed),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

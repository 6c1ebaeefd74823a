#include "tests/unit/support_core.h"

#include <sys/procfs.h>
#include <unistd.h>

enum { PAGE = 4096 };

void support_core_init(struct support_core *s)
{
	memset(s, 0, sizeof *s);
	buf_init(&s->notes, 0);
	buf_init(&s->file, 0);
	memcpy(s->header.e_ident, ELFMAG, SELFMAG);
	s->header.e_ident[EI_CLASS] = ELFCLASS64;
	s->header.e_ident[EI_DATA] = ELFDATA2LSB;
	s->header.e_ident[EI_VERSION] = EV_CURRENT;
	s->header.e_type = ET_CORE;
	s->header.e_machine = EM_X86_64;
	s->header.e_version = EV_CURRENT;
	s->header.e_phoff = sizeof s->header;
	s->header.e_ehsize = sizeof s->header;
	s->header.e_phentsize = sizeof(Elf64_Phdr);
	strcpy(s->path, "/tmp/pyspy-unit-core-XXXXXX");
	int fd = mkstemp(s->path);
	assert_true(fd >= 0);
	close(fd);
}

void support_core_done(struct support_core *s)
{
	unlink(s->path);
	buf_done(&s->notes);
	buf_done(&s->file);
}

size_t support_core_segment(struct support_core *s, uint64_t at, uint64_t memsz, const void *bytes, uint64_t filesz,
                            uint32_t flags)
{
	assert_true(s->n < SUPPORT_CORE_SEGMENTS);
	s->contents[s->n] = bytes;
	s->segments[s->n] = (Elf64_Phdr){
	    .p_type = PT_LOAD, .p_flags = flags, .p_vaddr = at, .p_filesz = filesz, .p_memsz = memsz, .p_align = PAGE};
	return s->n++;
}

void support_core_note(struct support_core *s, uint32_t type, const void *desc, size_t n)
{
	buf_u32(&s->notes, 5);
	buf_u32(&s->notes, (uint32_t)n);
	buf_u32(&s->notes, type);
	buf_put(&s->notes, "CORE\0\0\0", 8);
	buf_put(&s->notes, desc, n);
	while (s->notes.len % 4)
		buf_u8(&s->notes, 0);
}

void support_core_thread(struct support_core *s, int tid, uint64_t tls, uint64_t sp, int64_t syscall, uint64_t arg,
                         int signal)
{
	struct elf_prstatus p;
	memset(&p, 0, sizeof p);
	p.pr_pid = tid;
	p.pr_cursig = (short)signal;
	p.pr_reg[14] = arg;
	p.pr_reg[15] = (unsigned long long)syscall;
	p.pr_reg[19] = sp;
	p.pr_reg[21] = tls;
	support_core_note(s, NT_PRSTATUS, &p, sizeof p);
}

void support_core_files(struct support_core *s, const struct support_core_file *files, size_t n)
{
	struct buf b;
	buf_init(&b, 0);
	buf_u64(&b, n);
	buf_u64(&b, PAGE);
	for (size_t i = 0; i < n; i++) {
		buf_u64(&b, files[i].begin);
		buf_u64(&b, files[i].end);
		buf_u64(&b, files[i].page);
	}
	for (size_t i = 0; i < n; i++)
		buf_put(&b, files[i].name, strlen(files[i].name) + 1);
	support_core_note(s, NT_FILE, b.data, b.len);
	buf_done(&b);
}

void support_core_build(struct support_core *s)
{
	Elf64_Phdr note = {.p_type = PT_NOTE, .p_filesz = s->notes.len};
	uint64_t at = sizeof s->header + (s->n + 1) * sizeof note;
	buf_reset(&s->file);
	s->header.e_phnum = (Elf64_Half)(s->n + 1);
	note.p_offset = at;
	at = (at + s->notes.len + PAGE - 1) / PAGE * PAGE;
	for (size_t i = 0; i < s->n; i++) {
		s->segments[i].p_offset = at;
		at += s->segments[i].p_filesz;
	}
	buf_put(&s->file, &s->header, sizeof s->header);
	buf_put(&s->file, &note, sizeof note);
	buf_put(&s->file, s->segments, s->n * sizeof *s->segments);
	buf_put(&s->file, s->notes.data, s->notes.len);
	while (s->file.len % PAGE)
		buf_u8(&s->file, 0);
	for (size_t i = 0; i < s->n; i++)
		buf_put(&s->file, s->contents[i], s->segments[i].p_filesz);
	assert_int_equal(s->file.err, 0);
}

void support_core_write(struct support_core *s)
{
	FILE *f = fopen(s->path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(s->file.data, 1, s->file.len, f), s->file.len);
	assert_int_equal(fclose(f), 0);
}

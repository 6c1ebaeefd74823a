/* What /proc would say of the process: mappings, the program, its command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/path.h"
#include "pyspy-record/target/corefile_parts.h"
#include "pyspy-record/target/process.h"

enum {
	IMAGE_HEADERS_MAX = 256,
	STACK_BYTES = 1 << 20, /* of the stack are searched for the command line */
	PAGE = 4096,
};
static const char deleted_suffix[] = " (deleted)";
/* Of a file: an object that lies in memory, and no note says which file it is of. */
char corefile_no_name[] = "(its name is not in the core)";

struct mapped_file {
	uint64_t begin, end, offset;
	char *path;
	bool deleted;
};
struct mapped_files {
	VEC(struct mapped_file) files;
};

static uint64_t word(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static int by_begin(const void *a, const void *b)
{
	const struct mapped_file *x = a, *y = b;
	return (x->begin > y->begin) - (x->begin < y->begin);
}

static void sort_files(struct mapped_files *f)
{
	size_t n = 0;
	if (f->files.n)
		qsort(f->files.v, f->files.n, sizeof *f->files.v, by_begin);
	for (size_t i = 0; i < f->files.n; i++)
		if (!n || f->files.v[i].begin >= f->files.v[n - 1].end)
			f->files.v[n++] = f->files.v[i];
	f->files.n = n;
}

/* The note of mapped files, which lies in c->text. */
static int read_files(struct corefile *c, struct mapped_files *f)
{
	enum { HEAD = 16, ENTRY = 24 };
	if (c->text.n < HEAD)
		return 0;
	uint64_t count = word(c->text.v), page = word(c->text.v + 8);
	if (count > (c->text.n - HEAD) / ENTRY || page == 0 || page > 1 << 20) {
		c->is_damaged = true;
		return 0;
	}
	char *name = c->text.v + HEAD + count * ENTRY, *end = c->text.v + c->text.n;
	for (uint64_t i = 0; i < count && name < end; i++) {
		const char *entry = c->text.v + HEAD + i * ENTRY;
		size_t n = strlen(name);
		struct mapped_file one = {.begin = word(entry), .end = word(entry + 8), .path = name};
		name += n + 1;
		if (one.end <= one.begin || __builtin_mul_overflow(word(entry + 16), page, &one.offset)) {
			c->is_damaged = true;
			continue;
		}
		if (n > sizeof deleted_suffix - 1 &&
		    strcmp(one.path + n - (sizeof deleted_suffix - 1), deleted_suffix) == 0) {
			one.path[n - (sizeof deleted_suffix - 1)] = 0;
			one.deleted = true;
		}
		if (!vec_push(&f->files, one))
			return ERR_NO_MEMORY;
	}
	return 0;
}

/* No such note (it was cut off): objects that begin a segment tell by their headers what is theirs. */
static int guess_object(const struct corefile *c, uint64_t begin, struct mapped_files *f)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;
	uint64_t bias = 0;
	bool has_bias = false;
	if (corefile_held(c, begin, &h, sizeof h) != sizeof h || memcmp(h.e_ident, ELFMAG, SELFMAG) ||
	    h.e_phentsize != sizeof p || h.e_phnum > IMAGE_HEADERS_MAX || h.e_phoff > PAGE)
		return 0;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		if (corefile_held(c, begin + h.e_phoff + i * sizeof p, &p, sizeof p) != sizeof p)
			return 0;
		if (p.p_type != PT_LOAD || !p.p_filesz)
			continue;
		if (!has_bias)
			bias = begin - (p.p_vaddr - p.p_offset);
		has_bias = true;
		struct mapped_file one = {.begin = (bias + p.p_vaddr) / PAGE * PAGE,
		                          .end = (bias + p.p_vaddr + p.p_filesz + PAGE - 1) / PAGE * PAGE,
		                          .offset = p.p_offset / PAGE * PAGE,
		                          .path = corefile_no_name};
		if (one.end > one.begin && one.begin >= begin && !vec_push(&f->files, one))
			return ERR_NO_MEMORY;
	}
	return 0;
}

static int guess_files(const struct corefile *c, struct mapped_files *f)
{
	for (size_t i = 0; i < c->segments.n && f->files.n < COREFILE_BINARIES_MAX; i++)
		TRY(guess_object(c, c->segments.v[i].begin, f));
	return 0;
}

/* Segments and files together: a piece for each stretch of memory that is of one of each. */
static int join(struct corefile *c, const struct mapped_files *f)
{
	VEC(struct maps_entry) list = {0};
	size_t i = 0, k = 0;
	uint64_t at = 0;
	for (;;) {
		while (i < c->segments.n && c->segments.v[i].end <= at)
			i++;
		while (k < f->files.n && f->files.v[k].end <= at)
			k++;
		const struct corefile_segment *s = i < c->segments.n ? &c->segments.v[i] : NULL;
		const struct mapped_file *file = k < f->files.n ? &f->files.v[k] : NULL;
		if (!s && !file)
			break;
		uint64_t next = s ? s->begin : UINT64_MAX;
		if (file && file->begin < next)
			next = file->begin;
		at = next > at ? next : at;
		if (s && s->begin > at)
			next = s->begin;
		else
			next = s ? s->end : UINT64_MAX;
		if (file && file->begin > at)
			next = file->begin < next ? file->begin : next;
		else if (file)
			next = file->end < next ? file->end : next;
		bool in_s = s && s->begin <= at, in_file = file && file->begin <= at;
		struct maps_entry m = {.begin = at, .end = next, .path = in_file ? file->path : ""};
		/* what a debugger leaves out can be read, and perhaps be run; it was never written to */
		uint32_t flags = in_s ? s->flags : PF_R | PF_X;
		memcpy(m.perms, "---p", 5);
		m.perms[0] = flags & PF_R ? 'r' : '-';
		m.perms[1] = flags & PF_W ? 'w' : '-';
		m.perms[2] = flags & PF_X ? 'x' : '-';
		if (in_file) {
			m.offset = file->offset + (at - file->begin);
			m.deleted = file->deleted;
		}
		if (!vec_push(&list, m)) {
			vec_free(&list);
			return ERR_NO_MEMORY;
		}
		at = next;
	}
	c->maps.v = list.v;
	c->maps.n = list.n;
	return 0;
}

static uint64_t auxv_value(const struct corefile *c, uint64_t type)
{
	for (size_t i = 0; i + 16 <= c->auxv.n; i += 16)
		if (word(c->auxv.v + i) == type)
			return word(c->auxv.v + i + 8);
	return 0;
}

/* The program's own headers tell which mapping is the program; else its name. */
static void find_exe(struct corefile *c)
{
	const struct maps_entry *m = maps_find(&c->maps, auxv_value(c, AT_PHDR));
	c->exe = m ? m->path : "";
	for (size_t i = 0; i < c->maps.n && !c->exe[0] && c->process.comm[0]; i++)
		if (strncmp(path_base(c->maps.v[i].path), c->process.comm, 15) == 0)
			c->exe = c->maps.v[i].path;
}

uint64_t corefile_stack_end(const struct corefile *c)
{
	uint64_t at = auxv_value(c, AT_RANDOM);
	const struct corefile_thread *t = at ? NULL : corefile_thread(c, c->process.pid);
	at = t ? t->sp : at;
	for (size_t i = 0; at && i < c->segments.n; i++)
		if (c->segments.v[i].begin <= at && at < c->segments.v[i].end)
			return c->segments.v[i].end;
	return 0;
}

/* The text at `at`, up to its 0, or as far as there is some and there is room. */
static size_t copy_text(const struct corefile *c, uint64_t at, char *to, size_t most)
{
	char one[PAGE];
	size_t used = 0, length = PAGE;
	while (length == PAGE && used < most) {
		size_t got = corefile_held(c, at, one, sizeof one);
		length = strnlen(one, got);
		size_t some = length < most - used ? length : most - used;
		memcpy(to + used, one, some);
		used += some;
		at += some;
	}
	return used;
}

/* Copy the words that the n pointers lead to. */
static int copy_words(struct corefile *c, const unsigned char *pointers, size_t n)
{
	size_t used = 0, most = COREFILE_ARGUMENTS_MAX;
	c->cmdline = malloc(n * sizeof *c->cmdline + most + 1);
	if (!c->cmdline)
		return ERR_NO_MEMORY;
	char *texts = (char *)(c->cmdline + n);
	for (size_t i = 0; i < n && used < most; i++) {
		c->cmdline[c->n_cmdline++] = texts + used;
		used += copy_text(c, word(pointers + 8 * i), texts + used, most - used);
		texts[used++] = 0;
	}
	return 0;
}

/* The words of the command line stand above the stack: their number, pointers to them, 0, pointers to the environment,
 * 0, the auxiliary vector, of which there is a note (Linux fs/binfmt_elf.c, create_elf_tables). */
static int find_cmdline(struct corefile *c)
{
	uint64_t random = auxv_value(c, AT_RANDOM);
	unsigned char *bytes = c->auxv.n >= 16 && random > STACK_BYTES ? malloc(STACK_BYTES) : NULL;
	uint64_t from = random & ~UINT64_C(7);
	size_t n = 0;
	int rc = 0;
	/* as much below it as there is */
	for (size_t want = STACK_BYTES; bytes && want >= PAGE && n == 0; want /= 2)
		if (corefile_held(c, from - want, bytes, want) == want)
			n = want;
	const unsigned char *found = n ? memmem(bytes, n, c->auxv.v, c->auxv.n) : NULL;
	if (found) {
		size_t at = (size_t)(found - bytes) / 8, argc = 0;
		const unsigned char *words = bytes + (size_t)(found - bytes) % 8;
		at = at ? at - 1 : 0; /* the 0 behind the environment */
		while (at > 0 && word(words + 8 * (at - 1)))
			at--;
		at = at ? at - 1 : 0; /* the 0 behind the words */
		while (at > argc && word(words + 8 * (at - 1 - argc)) != argc)
			argc++;
		if (argc && at > argc && argc < COREFILE_ARGUMENTS_MAX)
			rc = copy_words(c, words + 8 * (at - argc), argc);
	}
	free(bytes);
	if (rc < 0 || c->cmdline || !c->process.arguments[0])
		return rc;
	c->cmdline = malloc(sizeof *c->cmdline);
	if (!c->cmdline)
		return ERR_NO_MEMORY;
	c->cmdline[0] = c->process.arguments;
	c->n_cmdline = 1;
	return 0;
}

int corefile_settle(struct corefile *c)
{
	struct mapped_files f = {0};
	int rc = read_files(c, &f);
	if (rc == 0 && f.files.n == 0)
		rc = guess_files(c, &f);
	sort_files(&f);
	if (rc == 0)
		rc = join(c, &f);
	vec_free(&f.files);
	TRY(rc);
	find_exe(c);
	return find_cmdline(c);
}

int corefile_maps(const struct corefile *c, struct maps *m)
{
	*m = (struct maps){.n = c->maps.n};
	m->v = malloc((m->n ? m->n : 1) * sizeof *m->v);
	if (!m->v)
		return ERR_NO_MEMORY;
	if (m->n)
		memcpy(m->v, c->maps.v, m->n * sizeof *m->v);
	return 0;
}

int corefile_facts(const struct corefile *c, struct process_facts *p)
{
	size_t bytes = c->n_cmdline * sizeof *p->cmdline;
	memset(p, 0, sizeof *p);
	p->pid = c->process.is_there ? c->process.pid : 0;
	p->ns_pid = p->pid;
	p->parent_pid = c->process.parent_pid;
	p->uid = c->process.uid;
	p->same_pid_namespace = true;
	snprintf(p->exe, sizeof p->exe, "%s", c->exe);
	snprintf(p->comm, sizeof p->comm, "%s", c->process.comm);
	for (uint32_t i = 0; i < c->n_cmdline; i++)
		bytes += strlen(c->cmdline[i]) + 1;
	p->cmdline = malloc(bytes + 1);
	if (!p->cmdline)
		return ERR_NO_MEMORY;
	char *at = (char *)(p->cmdline + c->n_cmdline);
	for (uint32_t i = 0; i < c->n_cmdline; i++) {
		size_t n = strlen(c->cmdline[i]) + 1;
		memcpy(at, c->cmdline[i], n);
		p->cmdline[p->n_cmdline++] = at;
		at += n;
	}
	return 0;
}

#include "pyspy-report/view/source_find.h"

#include <string.h>

#include "libcommon/err.h"

struct source_search {
	struct source_find *best;
	const struct profile *p;
	const struct line_shares *l;
	const struct line_file *f;
	bool is_over; /* it looks as recorded */
};

static bool has_python_name(const char *path, size_t n)
{
	static const char *const ends[] = {".py", ".pyw", ".pyx", ".pxd", ".pxi"};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		size_t k = strlen(ends[i]);
		if (n > k && memcmp(path + n - k, ends[i], k) == 0)
			return true;
	}
	return false;
}

static bool is_script(const struct source_file *f)
{
	size_t n;
	const char *s = source_file_line(f, 1, &n);

	return s && n > 2 && s[0] == '#' && s[1] == '!' && memmem(s, n, "python", 6);
}

/* Is it there, and better than what was found? `path` is taken in any case. */
static int try_path(struct source_search *a, struct buf *path)
{
	struct source_find found = {0};
	bool take = false;
	int rc = path->err;

	buf_cstr(path);
	if (!rc && path->len && !memchr(path->data, 0, path->len))
		rc = source_file_read(&found.file, buf_cstr(path));
	else
		rc = rc ? rc : ERR_GONE;
	if (!rc) {
		found.check = source_check(&found.file, a->p, a->l, a->f);
		take = (has_python_name((const char *)path->data, path->len) || found.check.n_right ||
		        is_script(&found.file)) &&
		       (!a->best->is_found || source_check_is_right(&found.check));
	}
	if (take) {
		a->is_over = source_check_is_right(&found.check);
		source_find_done(a->best);
		*a->best = found;
		a->best->is_found = true;
		a->best->path = *path;
	} else {
		source_file_done(&found.file);
		buf_done(path);
	}
	return rc == ERR_NO_MEMORY ? rc : 0;
}

static int try_in(struct source_search *a, const char *folder, size_t folder_len, const char *tail, size_t n)
{
	struct buf path;

	if (a->is_over)
		return 0;
	buf_init(&path, 0);
	buf_put(&path, folder, folder_len);
	if (folder_len && folder[folder_len - 1] != '/')
		buf_u8(&path, '/');
	buf_put(&path, tail, n);
	return try_path(a, &path);
}

/* No way out of a folder that was given. */
static bool climbs(const char *s, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++)
		if (s[i] == '.' && s[i + 1] == '.' && (i == 0 || s[i - 1] == '/') && (i + 2 == n || s[i + 2] == '/'))
			return true;
	return false;
}

static size_t next_part(const char *s, size_t i, size_t n)
{
	while (i < n && s[i] != '/')
		i++;
	while (i < n && s[i] == '/')
		i++;
	return i;
}

/* The longest tail first, in every folder. */
static int try_folders(struct source_search *a, const char *const *folders, const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i] == '/')
		i++;
	for (; i < n && !a->is_over; i = next_part(s, i, n)) {
		if (climbs(s + i, n - i))
			continue;
		for (size_t k = 0; folders[k]; k++)
			TRY(try_in(a, folders[k], strlen(folders[k]), s + i, n - i));
	}
	return 0;
}

static int try_processes(struct source_search *a, const char *s, size_t n)
{
	for (size_t i = 1; i < a->p->processes.n && !a->is_over; i++) {
		const struct profile_process *q = &a->p->processes.v[i];

		for (size_t k = 0; k <= q->sys_path.n; k++) {
			size_t len;
			const char *folder = profile_text(a->p, k ? q->sys_path.v[k - 1] : q->cwd, &len);
			if (len && folder[0] == '/')
				TRY(try_in(a, folder, len, s, n));
		}
	}
	return try_in(a, "", 0, s, n);
}

int source_find(struct source_find *s, const struct profile *p, const struct line_shares *l, const struct line_file *f,
                const char *const *folders)
{
	struct source_search a = {.best = s, .p = p, .l = l, .f = f};
	size_t n;
	const char *name = profile_text(p, f->row.text, &n);

	memset(s, 0, sizeof *s);
	buf_init(&s->path, 0);
	if (!n || n >= 4096 || name[0] == '<')
		return 0;
	if (name[0] == '/')
		TRY(try_in(&a, "", 0, name, n));
	TRY(try_folders(&a, folders, name, n));
	return name[0] == '/' ? 0 : try_processes(&a, name, n);
}

void source_find_done(struct source_find *s)
{
	source_file_done(&s->file);
	buf_done(&s->path);
}

#include <ctype.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/importer.h"

const struct import_format *const import_formats[] = {
    &import_mojo, &import_tachyon, &import_speedscope, &import_austin, &import_perf, &import_folded, NULL};

bool import_number(const char *p, size_t n, uint64_t *value)
{
	uint64_t v = 0;

	if (!n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)p[i]) || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(p[i] - '0'), &v))
			return false;
	*value = v;
	return true;
}

static bool starts(const char *p, size_t n, const char *with)
{
	size_t len = strlen(with);

	return n >= len && memcmp(p, with, len) == 0;
}

static size_t digits(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && isdigit((unsigned char)p[i]))
		i++;
	return i;
}

/* py-spy: `process 12:"python app.py"`; ours: `process 12: python app.py`. */
int import_process_label(struct foreign *f, const char *p, size_t n, uint32_t *process, bool *taken)
{
	uint64_t pid;
	size_t k = starts(p, n, "process ") ? digits(p + 8, n - 8) : 0, at = 8 + k;

	*taken = false;
	if (!k || !import_number(p + 8, k, &pid) || pid > UINT32_MAX || (at < n && p[at] != ':' && p[at] != ' '))
		return 0;
	*taken = true;
	at += at < n;
	at += at < n && p[at] == ' ';
	if (n - at >= 2 && p[at] == '"' && p[n - 1] == '"')
		return foreign_process(f, (uint32_t)pid, p + at + 1, n - at - 2, process);
	return foreign_process(f, (uint32_t)pid, p + at, n - at, process);
}

/* py-spy: `thread (12): name` or `thread (0x7F...)`; Tachyon: `tid:12`; ours: `thread 12: name`. */
int import_thread_label(struct foreign *f, uint32_t process, const char *p, size_t n, uint32_t *thread, bool *taken)
{
	uint64_t tid = 0;
	size_t at = starts(p, n, "thread (") ? 8 : starts(p, n, "thread ") ? 7 : starts(p, n, "tid:") ? 4 : 0;
	size_t k = at ? digits(p + at, n - at) : 0;

	*taken = false;
	if (at == 8 && n > 10 && starts(p + 8, n - 8, "0x")) { /* a pthread, not a tid */
		uint64_t pthread = 0;

		for (at = 10; at < n && at < 26; at++) {
			char c = p[at] | 32;
			uint64_t d = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
			             : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a') + 10
			                                    : 16;
			if (d > 15)
				break;
			pthread = pthread << 4 | d;
		}
		if (at >= n || p[at] != ')')
			return 0;
		*taken = true;
		at++;
		at += starts(p + at, n - at, ": ") ? 2 : 0;
		return foreign_thread(f, process, 0, pthread, 0, p + at, n - at, thread);
	}
	if (!k || !import_number(p + at, k, &tid))
		return 0;
	if (p[0] == 't' && at == 8 && !(at + k < n && p[at + k] == ')'))
		return 0;
	if (at == 7 && at + k < n && p[at + k] != ' ' && p[at + k] != ':')
		return 0;
	if (at == 4 && at + k != n)
		return 0;
	*taken = true;
	const char *name = p + at + k;
	size_t n_name = n - at - k;
	if (starts(name, n_name, "): ")) {
		name += 3;
		n_name -= 3;
	} else if (at == 7 && starts(name, n_name, ": ")) {
		name += 2;
		n_name -= 2;
	} else if (n_name > 3 && name[0] == ' ' && name[1] == '(' && name[n_name - 1] == ')') {
		name += 2;
		n_name -= 3;
	} else {
		n_name = 0;
	}
	return tid <= UINT32_MAX ? foreign_thread(f, process, (uint32_t)tid, 0, 0, name, n_name, thread)
	                         : foreign_thread(f, process, 0, tid, 0, name, n_name, thread);
}

/* The last `c` in p, or n. */
static size_t last(const char *p, size_t n, char c)
{
	const char *at = n ? memrchr(p, c, n) : NULL;

	return at ? (size_t)(at - p) : n;
}

static bool ends_in_line(const char *p, size_t n, size_t *colon, uint64_t *line)
{
	*colon = last(p, n, ':');
	return *colon < n && import_number(p + *colon + 1, n - *colon - 1, line) && *line < INT32_MAX;
}

/* What is before the last colon could be a file's name. */
static bool is_file(const char *p, size_t n)
{
	return n && (p[0] == '<' || memchr(p, '/', n) || (n > 3 && memcmp(p + n - 3, ".py", 3) == 0) ||
	             (n > 4 && (memcmp(p + n - 4, ".pyx", 4) == 0 || memcmp(p + n - 4, ".pyc", 4) == 0)));
}

int import_frame_text(struct foreign *f, const char *p, size_t n, location_id *location)
{
	struct foreign_frame r = {.name = p, .n_name = n, .column = -1};
	uint64_t line;
	size_t colon, at;

	if (n > 2 && p[0] == '[' && p[n - 1] == ']') { /* "[in motion]" of ours, "[unknown]" of others */
		r.is_synthetic = true;
		r.name++;
		r.n_name -= 2;
		return foreign_frame(f, &r, location);
	}
	if (n > 4 && memcmp(p, "py::", 4) == 0) { /* the perf trampoline of CPython */
		r.name = p + 4;
		r.n_name = n - 4;
		colon = 0;
		while (colon < r.n_name && r.name[colon] != ':')
			colon++;
		if (colon < r.n_name) {
			r.file = r.name + colon + 1;
			r.n_file = r.n_name - colon - 1;
			r.n_name = colon;
		}
		return foreign_frame(f, &r, location);
	}
	at = n > 2 && p[n - 1] == ')' ? last(p, n, '(') : n;
	if (at < n && at > 1 && p[at - 1] == ' ') { /* name (file:line) */
		const char *file = p + at + 1;
		size_t n_file = n - at - 2;

		if (ends_in_line(file, n_file, &colon, &line)) {
			r.line = (int32_t)line;
			n_file = colon;
		}
		if (r.line || is_file(file, n_file)) {
			r.n_name = at - 1;
			r.file = file;
			r.n_file = n_file;
			return foreign_frame(f, &r, location);
		}
		r.line = 0;
	}
	if (ends_in_line(p, n, &colon, &line)) { /* file:name:line */
		size_t name = last(p, colon, ':');

		if (name < colon && is_file(p, name)) {
			r.line = (int32_t)line;
			r.file = p;
			r.n_file = name;
			r.name = p + name + 1;
			r.n_name = colon - name - 1;
		} else if (is_file(p, colon)) { /* file:line */
			r.line = (int32_t)line;
			r.file = p;
			r.n_file = colon;
			r.n_name = 0;
		}
	}
	return foreign_frame(f, &r, location);
}

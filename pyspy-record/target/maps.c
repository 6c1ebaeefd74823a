#include "pyspy-record/target/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/target/process.h"

enum { MAPS_TEXT_MAX = 256 << 20 };

/* The kernel fills at most a page per read, so this is a loop; the text is NUL-terminated. */
static int read_text(int fd, char **text, size_t *len)
{
	size_t cap = 64 << 10, n = 0;
	char *t = malloc(cap);
	if (!t)
		return ERR_NO_MEMORY;
	for (;;) {
		if (n + 1 >= cap) {
			char *more = cap < MAPS_TEXT_MAX ? realloc(t, cap * 2) : NULL;
			if (!more) {
				free(t);
				return ERR_NO_MEMORY;
			}
			t = more;
			cap *= 2;
		}
		ssize_t got = read(fd, t + n, cap - n - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int rc = errno == EACCES || errno == EPERM ? ERR_PERMISSION : ERR_GONE;
			free(t);
			return rc;
		}
		if (got == 0)
			break;
		n += (size_t)got;
	}
	t[n] = '\0';
	*text = t;
	*len = n;
	return 0;
}

static bool hex(char **p, char end, uint64_t *v)
{
	char *rest;
	errno = 0;
	*v = strtoull(*p, &rest, 16);
	if (errno || rest == *p || *rest != end)
		return false;
	*p = rest + 1;
	return true;
}

/* begin-end perms offset major:minor inode      path */
static bool parse_line(char *line, struct maps_entry *e)
{
	uint64_t dev_major, dev_minor;
	char *p = line;

	memset(e, 0, sizeof *e);
	if (!hex(&p, '-', &e->begin) || !hex(&p, ' ', &e->end) || e->end <= e->begin)
		return false;
	if (strlen(p) < 5 || p[4] != ' ')
		return false;
	memcpy(e->perms, p, 4);
	p += 5;
	if (!hex(&p, ' ', &e->offset) || !hex(&p, ':', &dev_major) || !hex(&p, ' ', &dev_minor))
		return false;
	e->dev_major = (uint32_t)dev_major;
	e->dev_minor = (uint32_t)dev_minor;
	e->inode = strtoull(p, &p, 10);
	while (*p == ' ')
		p++;
	static const char deleted[] = " (deleted)";
	size_t n = strlen(p);
	if (n > sizeof deleted - 1 && !strcmp(p + n - (sizeof deleted - 1), deleted)) {
		p[n - (sizeof deleted - 1)] = '\0';
		e->deleted = true;
	}
	e->path = p;
	return true;
}

static int parse_text(struct maps *m, size_t len)
{
	size_t lines = 0;
	for (size_t i = 0; i < len; i++)
		lines += m->text[i] == '\n';
	m->v = calloc(lines ? lines : 1, sizeof *m->v);
	if (!m->v)
		return ERR_NO_MEMORY;
	for (char *line = m->text, *next; m->n < lines && (next = strchr(line, '\n')); line = next + 1) {
		*next = '\0';
		/* mappings made while the kernel hands out its pages can overlap: keep the order strict */
		if (parse_line(line, &m->v[m->n]) && (m->n == 0 || m->v[m->n].begin >= m->v[m->n - 1].end))
			m->n++;
	}
	return 0;
}

int maps_read(pid_t pid, struct maps *m)
{
	char name[64];
	size_t len;

	memset(m, 0, sizeof *m);
	snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES || errno == EPERM ? ERR_PERMISSION : errno == ENOMEM ? ERR_NO_MEMORY : ERR_GONE;
	int rc = read_text(fd, &m->text, &len);
	close(fd);
	if (rc == 0)
		rc = parse_text(m, len);
	/* no memory at all: it is ending, unless it never had any */
	if (rc == 0 && m->n == 0 && !process_is_kernel_thread(pid))
		rc = ERR_GONE;
	if (rc < 0)
		maps_done(m);
	return rc;
}

void maps_done(struct maps *m)
{
	free(m->v);
	free(m->text);
	memset(m, 0, sizeof *m);
}

const struct maps_entry *maps_find(const struct maps *m, uint64_t addr)
{
	size_t low = 0, high = m->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (addr >= m->v[mid].end)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->n && addr >= m->v[low].begin ? &m->v[low] : NULL;
}

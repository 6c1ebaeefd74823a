#include "pyspy-record/target/taskstate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "libcommon/fds.h"

static int open_file(const struct taskstate *t, const char *name)
{
	char path[80];
	if (t->pid < 0) {
		errno = ENOENT;
		return -1;
	}
	snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)t->pid, (int)t->tid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

void taskstate_open(struct taskstate *t, pid_t pid, pid_t tid)
{
	*t = (struct taskstate){.pid = pid, .tid = tid};
	t->schedstat_fd = fds_keep(open_file(t, "schedstat"));
	t->syscall_fd = fds_keep(open_file(t, "syscall"));
	t->stat_fd = -1;
}

void taskstate_close(struct taskstate *t)
{
	if (t->schedstat_fd >= 0)
		close(t->schedstat_fd);
	if (t->syscall_fd >= 0)
		close(t->syscall_fd);
	if (t->stat_fd >= 0)
		close(t->stat_fd);
	t->schedstat_fd = t->syscall_fd = t->stat_fd = -1;
}

/* Text of one of the files, NUL-terminated. */
static int read_text(const struct taskstate *t, int fd, const char *name, char *text, size_t size)
{
	ssize_t n;
	if (fd >= 0) {
		n = pread(fd, text, size - 1, 0);
	} else {
		int once = open_file(t, name);
		if (once < 0)
			return errno == EACCES || errno == EPERM ? ERR_PERMISSION : ERR_GONE;
		n = pread(once, text, size - 1, 0);
		int error = errno;
		close(once);
		errno = error;
	}
	if (n <= 0)
		return n < 0 && (errno == EPERM || errno == EACCES) ? ERR_PERMISSION : ERR_GONE;
	text[n] = 0;
	return 0;
}

/* Decimal; this is done for each thread in each tick, and strtoull asks for the locale first. */
static uint64_t next_number(const char **text)
{
	const char *p = *text;
	uint64_t n = 0;
	while (*p == ' ')
		p++;
	for (; *p >= '0' && *p <= '9'; p++)
		n = 10 * n + (uint64_t)(*p - '0');
	*text = p;
	return n;
}

int taskstate_run(struct taskstate *t, struct taskstate_run *run)
{
	char text[96];
	const char *p = text;
	TRY(read_text(t, t->schedstat_fd, "schedstat", text, sizeof text));
	run->cpu_ns = next_number(&p);
	run->wait_ns = next_number(&p);
	run->count = next_number(&p);
	return 0;
}

int taskstate_blocked(struct taskstate *t, struct taskstate_block *block)
{
	char text[256], *p = text;
	TRY(read_text(t, t->syscall_fd, "syscall", text, sizeof text));
	if (text[0] == 'r') /* "running" */
		return 0;
	block->number = strtol(p, &p, 10);
	for (int i = 0; i < 6; i++)
		block->args[i] = block->number >= 0 ? strtoull(p, &p, 16) : 0;
	return 1;
}

static int read_stat(struct taskstate *t, char *text, size_t size)
{
	if (t->stat_fd < 0)
		t->stat_fd = fds_keep(open_file(t, "stat"));
	return read_text(t, t->stat_fd, "stat", text, size);
}

int taskstate_cpu(struct taskstate *t, char *letter)
{
	enum { STATE = 3, PROCESSOR = 39 }; /* fields of stat, proc(5) */
	char text[1024];
	*letter = 0;
	if (read_stat(t, text, sizeof text) < 0)
		return -1;
	const char *p = strrchr(text, ')'); /* the name before it may hold anything */
	if (!p || p[1] != ' ')
		return -1;
	p += 2;
	*letter = *p;
	for (int field = STATE; field < PROCESSOR; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -1;
		p++;
	}
	return atoi(p);
}

char taskstate_letter(struct taskstate *t)
{
	char text[512];
	if (read_stat(t, text, sizeof text) < 0)
		return 0;
	const char *p = strrchr(text, ')');
	return p && p[1] == ' ' ? p[2] : 0;
}

#include "pyspy-record/target/children.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"

static int by_pid(const void *a, const void *b)
{
	const struct children_entry *x = a, *y = b;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

static int add_of_thread(struct children *c, pid_t pid, const char *tid, unsigned depth)
{
	char path[320];
	int child;
	snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, tid);
	FILE *f = fopen(path, "re");
	int rc = 0;
	while (f && rc == 0 && c->list.n < CHILDREN_PROCESSES_MAX && fscanf(f, "%d", &child) == 1)
		rc = vec_push(&c->list, ((struct children_entry){child, depth})) ? 0 : ERR_NO_MEMORY;
	if (f)
		fclose(f);
	return rc;
}

static int add_of(struct children *c, pid_t pid, unsigned depth)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	int rc = 0;
	for (struct dirent *e; dir && rc == 0 && (e = readdir(dir));)
		if (e->d_name[0] != '.')
			rc = add_of_thread(c, pid, e->d_name, depth);
	if (dir)
		closedir(dir);
	return rc;
}

/* Theirs are put behind each one, so that a process is followed by what it started. */
static int add_below(struct children *c, size_t at)
{
	struct children more = {0};
	struct children_entry e = c->list.v[at];
	int rc = e.depth < CHILDREN_DEPTH_MAX ? add_of(&more, e.pid, e.depth + 1) : 0;
	if (rc == 0 && more.list.n && c->list.n + more.list.n <= CHILDREN_PROCESSES_MAX) {
		qsort(more.list.v, more.list.n, sizeof *more.list.v, by_pid);
		if (vec_room(&c->list, more.list.n)) {
			struct children_entry *to = c->list.v + at + 1;
			memmove(to + more.list.n, to, (c->list.n - at - 1) * sizeof *to);
			memcpy(to, more.list.v, more.list.n * sizeof *to);
			c->list.n += more.list.n;
		} else {
			rc = ERR_NO_MEMORY;
		}
	}
	vec_free(&more.list);
	return rc;
}

int children_of(pid_t pid, struct children *c)
{
	memset(c, 0, sizeof *c);
	TRY(add_of(c, pid, 1));
	if (c->list.n)
		qsort(c->list.v, c->list.n, sizeof *c->list.v, by_pid);
	for (size_t i = 0; i < c->list.n; i++)
		TRY(add_below(c, i));
	return 0;
}

void children_done(struct children *c)
{
	vec_free(&c->list);
}

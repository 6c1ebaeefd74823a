#include "pyspy-record/target/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pyspy-record/target/process.h"

int source_maps(struct corefile *core, pid_t pid, struct maps *m)
{
	return core ? corefile_maps(core, m) : maps_read(pid, m);
}

void source_exe(struct corefile *core, pid_t pid, char *path, size_t size, uint64_t *inode)
{
	char link[64];
	struct stat st;
	*inode = 0;
	if (core) {
		snprintf(path, size, "%s", core->exe);
		return;
	}
	snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(link, path, size - 1);
	path[n > 0 ? n : 0] = '\0';
	char *deleted = strstr(path, " (deleted)");
	if (deleted && deleted[10] == '\0')
		*deleted = '\0';
	if (stat(link, &st) == 0)
		*inode = (uint64_t)st.st_ino;
}

int source_open_mapped(struct corefile *core, pid_t pid, const struct maps_entry *m, bool *doubtful)
{
	return core ? corefile_open_mapped(core, m, doubtful) : process_open_mapped(pid, m, doubtful);
}

size_t source_ns_tids(struct corefile *core, pid_t pid, pid_t *tids, size_t most)
{
	size_t n = 0;
	if (!core)
		return process_ns_tids(pid, tids, most);
	for (; n < core->threads.n && n < most; n++)
		tids[n] = core->threads.v[n].tid;
	return n;
}

unsigned source_n_threads(struct corefile *core, pid_t pid)
{
	return core ? (unsigned)core->threads.n : process_n_threads(pid);
}

static uint64_t live_stack_pointer(pid_t pid, pid_t tid)
{
	char path[80], text[256];
	unsigned long long sp = 0, pc;
	snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = 0;
	if (n == 0 || text[0] == 'r')
		return 0;
	/* the last two words: "NUMBER ARGS... SP PC", or "-1 SP PC" */
	char *p = strrchr(text, ' ');
	while (p && p > text && p[-1] != ' ')
		p--;
	return p && sscanf(p, "%llx %llx", &sp, &pc) == 2 ? sp : 0;
}

uint64_t source_stack_pointer(struct corefile *core, pid_t pid, pid_t tid)
{
	const struct corefile_thread *t = core ? corefile_thread(core, tid) : NULL;
	return t ? t->sp : core ? 0 : live_stack_pointer(pid, tid);
}

uint64_t source_stack_end(struct corefile *core, pid_t pid)
{
	struct maps maps;
	uint64_t end = 0;
	if (core)
		return corefile_stack_end(core);
	if (maps_read(pid, &maps) < 0)
		return 0;
	for (size_t i = 0; i < maps.n; i++)
		if (strcmp(maps.v[i].path, "[stack]") == 0)
			end = maps.v[i].end;
	maps_done(&maps);
	return end;
}

#include "pyspy-record/target/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/target/access.h"
#include "pyspy-record/target/maps.h"
#include "pyspy-record/target/procfile.h"

enum {
	PROCESS_CMDLINE_MAX = 4 << 20,
	PROCESS_KTHREAD = 0x00200000, /* PF_KTHREAD of linux/sched.h, in the flags of /proc/PID/stat */
};
static const char deleted_suffix[] = " (deleted)";
enum { DELETED_LEN = sizeof deleted_suffix - 1 };

/* proc(5): what is used of /proc/PID/stat */
struct stat_line {
	char comm[64];
	char state;
	int parent_pid;
	unsigned long flags;
	uint64_t start_ticks;
};

static int error_of(int error_number, pid_t pid)
{
	if (error_number == EACCES || error_number == EPERM)
		return ERR_PERMISSION;
	/* hidepid=2 hides what exists */
	if (error_number == ENOENT && kill(pid, 0) < 0 && errno == EPERM)
		return ERR_PERMISSION;
	return error_number == ENOMEM ? ERR_NO_MEMORY : ERR_GONE;
}

static int read_stat(pid_t pid, pid_t tid, struct stat_line *s)
{
	char name[64], text[2048];
	unsigned long long start;

	if (tid)
		snprintf(name, sizeof name, "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	else
		snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
	if (procfile_read(name, text, sizeof text) < 0)
		return error_of(errno, pid);
	/* the name may hold anything, also ")" */
	char *open = strchr(text, '('), *close = strrchr(text, ')');
	if (!open || !close || close < open)
		return ERR_GONE;
	snprintf(s->comm, sizeof s->comm, "%.*s", (int)(close - open - 1), open + 1);
	if (sscanf(close + 1, " %c %d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
	           &s->state, &s->parent_pid, &s->flags, &start) != 4)
		return ERR_GONE;
	s->start_ticks = start;
	return 0;
}

static bool is_dead(char state)
{
	return state == 'Z' || state == 'X' || state == 'x';
}

static void read_link(pid_t pid, const char *what, char *out, size_t size)
{
	char name[64];
	snprintf(name, sizeof name, "/proc/%d/%s", (int)pid, what);
	ssize_t n = readlink(name, out, size - 1);
	out[n > 0 ? n : 0] = '\0';
}

static bool same_namespace(pid_t pid, const char *what)
{
	char theirs[64], ours[64];
	read_link(pid, what, theirs, sizeof theirs);
	read_link(getpid(), what, ours, sizeof ours);
	return !*theirs || !*ours || !strcmp(theirs, ours);
}

static int read_cmdline(pid_t pid, struct process_facts *p)
{
	char name[64];
	size_t cap = 4096;
	char *text = NULL;
	ssize_t n;

	snprintf(name, sizeof name, "/proc/%d/cmdline", (int)pid);
	for (;;) {
		char *more = realloc(text, cap);
		if (!more) {
			free(text);
			return ERR_NO_MEMORY;
		}
		text = more;
		n = procfile_read(name, text, cap);
		if (n < (ssize_t)cap - 1 || cap >= PROCESS_CMDLINE_MAX)
			break;
		cap *= 4;
	}
	if (n <= 0) {
		free(text);
		return 0;
	}
	size_t words = 0;
	for (ssize_t i = 0; i < n; i++)
		words += text[i] == '\0' || i == n - 1;
	/* words and their bytes in one allocation */
	p->cmdline = malloc(words * sizeof *p->cmdline + (size_t)n + 1);
	if (!p->cmdline) {
		free(text);
		return ERR_NO_MEMORY;
	}
	char *bytes = (char *)(p->cmdline + words);
	memcpy(bytes, text, (size_t)n);
	bytes[n] = '\0';
	free(text);
	for (char *at = bytes; at < bytes + n && p->n_cmdline < words; at += strlen(at) + 1)
		p->cmdline[p->n_cmdline++] = at;
	return 0;
}

int process_facts_read(pid_t pid, struct process_facts *p)
{
	char name[64], status[8192];
	struct stat_line s;
	uint64_t v;

	memset(p, 0, sizeof *p);
	TRY(read_stat(pid, 0, &s));
	if (is_dead(s.state))
		return ERR_GONE;
	snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
	if (procfile_read(name, status, sizeof status) < 0)
		return error_of(errno, pid);
	if (procfile_number(status, "Tgid", 0, 10, &v) && (pid_t)v != pid)
		return v ? process_facts_read((pid_t)v, p) : ERR_GONE;
	p->pid = p->ns_pid = pid;
	if (procfile_number(status, "NSpid", -1, 10, &v))
		p->ns_pid = (pid_t)v;
	if (procfile_number(status, "Uid", 1, 10, &v))
		p->uid = (uint32_t)v;
	p->parent_pid = s.parent_pid;
	p->start_ticks = s.start_ticks;
	p->start_ns = process_ticks_to_ns(s.start_ticks);
	memcpy(p->comm, s.comm, sizeof p->comm);
	p->same_pid_namespace = same_namespace(pid, "ns/pid");
	p->same_mount_namespace = same_namespace(pid, "ns/mnt");
	read_link(pid, "exe", p->exe, sizeof p->exe);
	read_link(pid, "cwd", p->cwd, sizeof p->cwd);
	return read_cmdline(pid, p);
}

void process_facts_done(struct process_facts *p)
{
	free(p->cmdline);
	memset(p, 0, sizeof *p);
}

int process_start_ticks(pid_t pid, pid_t tid, uint64_t *ticks)
{
	struct stat_line s;
	if (read_stat(pid, tid, &s) < 0)
		return ERR_GONE;
	*ticks = s.start_ticks;
	return 0;
}

uint64_t process_ticks_to_ns(uint64_t ticks)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	return ticks / hz * UINT64_C(1000000000) + ticks % hz * UINT64_C(1000000000) / hz;
}

unsigned process_n_threads(pid_t pid)
{
	char path[64];
	struct stat st; /* of the folder of threads: two links and one for each (fs/proc/base.c) */
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	return stat(path, &st) == 0 && st.st_nlink > 2 ? (unsigned)st.st_nlink - 2 : 0;
}

static int by_number(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

size_t process_ns_tids(pid_t pid, pid_t *tids, size_t most)
{
	char name[320], text[4096];
	size_t n = 0;
	bool same = same_namespace(pid, "ns/pid");
	snprintf(name, sizeof name, "/proc/%d/task", (int)pid);
	DIR *folder = opendir(name);
	for (struct dirent *e; folder && n < most && (e = readdir(folder));) {
		uint64_t tid = strtoul(e->d_name, NULL, 10);
		if (!tid)
			continue;
		if (!same) {
			snprintf(name, sizeof name, "/proc/%d/task/%d/status", (int)pid, (int)tid);
			if (procfile_read(name, text, sizeof text) < 0 || !procfile_number(text, "NSpid", -1, 10, &tid))
				continue;
		}
		tids[n++] = (pid_t)tid;
	}
	if (folder)
		closedir(folder);
	qsort(tids, n, sizeof *tids, by_number);
	return n;
}

bool process_is_alive(pid_t pid, uint64_t start_ticks)
{
	struct stat_line s;
	return read_stat(pid, 0, &s) == 0 && !is_dead(s.state) && s.start_ticks == start_ticks;
}

bool process_is_kernel_thread(pid_t pid)
{
	struct stat_line s;
	return read_stat(pid, 0, &s) == 0 && (s.flags & PROCESS_KTHREAD) && !is_dead(s.state);
}

/* A name of the target's could be a fifo or a device: neither may block us, neither is wanted. */
static int only_regular(int fd)
{
	struct stat st;
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

static int open_below_root(pid_t pid, const char *path)
{
	char name[64];
	snprintf(name, sizeof name, "/proc/%d/root", (int)pid);
	int root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_IN_ROOT};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
	if (fd < 0 && errno == ENOSYS) { /* before Linux 5.6 */
		while (*path == '/')
			path++;
		fd = openat(root, path, (int)how.flags);
	}
	int error_number = errno;
	close(root);
	errno = error_number;
	return only_regular(fd);
}

static int open_deleted(pid_t pid, const char *path, size_t len, uint64_t begin, uint64_t end)
{
	char name[96], exe[4096];
	if (begin) {
		snprintf(name, sizeof name, "/proc/%d/map_files/%llx-%llx", (int)pid, (unsigned long long)begin,
		         (unsigned long long)end);
		int fd = only_regular(open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
		if (fd >= 0)
			return fd;
	}
	read_link(pid, "exe", exe, sizeof exe);
	if (strncmp(exe, path, len) || strcmp(exe + len, deleted_suffix)) {
		errno = ENOENT;
		return -1;
	}
	snprintf(name, sizeof name, "/proc/%d/exe", (int)pid);
	return only_regular(open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

static bool is_mapping_deleted(pid_t pid, uint64_t begin)
{
	struct maps m;
	if (maps_read(pid, &m) < 0)
		return false;
	const struct maps_entry *e = maps_find(&m, begin);
	bool deleted = e && e->begin == begin && e->deleted;
	maps_done(&m);
	return deleted;
}

int process_open_file(pid_t pid, const char *path, uint64_t begin, uint64_t end)
{
	size_t len = strlen(path);
	if (len > DELETED_LEN && !strcmp(path + len - DELETED_LEN, deleted_suffix)) {
		int fd = open_deleted(pid, path, len - DELETED_LEN, begin, end);
		return fd >= 0 ? fd : open_below_root(pid, path); /* a file may be named so */
	}
	if (begin && is_mapping_deleted(pid, begin))
		return open_deleted(pid, path, len, begin, end);
	return open_below_root(pid, path);
}

int process_open_mapped(pid_t pid, const struct maps_entry *m, bool *doubtful)
{
	char map_file[96], exe[64];
	snprintf(map_file, sizeof map_file, "/proc/%d/map_files/%llx-%llx", (int)pid, (unsigned long long)m->begin,
	         (unsigned long long)m->end);
	snprintf(exe, sizeof exe, "/proc/%d/exe", (int)pid);
	const char *const ways[] = {m->deleted ? NULL : m->path, m->deleted ? NULL : m->path, map_file, exe};
	int kept = -1;
	*doubtful = false;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		struct stat st;
		if (!ways[i] || ways[i][0] != '/')
			continue;
		int fd = i == 0 ? open_below_root(pid, ways[i])
		                : only_regular(open(ways[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
		if (fd < 0)
			continue;
		/* what map_files opens is the mapped file by itself */
		if (ways[i] == map_file || (fstat(fd, &st) == 0 && (uint64_t)st.st_ino == m->inode)) {
			if (kept >= 0)
				close(kept);
			return fd;
		}
		if (kept < 0 && ways[i] != exe)
			kept = fd;
		else
			close(fd);
	}
	*doubtful = true;
	return kept;
}

void process_permission_hint(pid_t pid, char *out, size_t size)
{
	struct access_facts facts;
	access_facts_read(pid, &facts);
	access_hint(&facts, out, size);
}

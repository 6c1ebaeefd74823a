#include "pyspy-record/kernel/bpf.h"

#include <errno.h>
#include <linux/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "libcommon/err.h"

enum {
	KEY_MAX = 64,
	CPUS_MAX = 1 << 16,    /* eight times what any kernel is built for */
	KERNEL_ENOTSUPP = 524, /* the kernel's own, which gets out now and then */
	LOG_FIRST = 1 << 16,
	LOG_MOST = 1 << 24, /* no kernel takes less */
	TRIES = 5,
};

static int call(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

static int failed(void)
{
	switch (errno) {
	case EPERM:
	case EACCES:
		return ERR_PERMISSION;
	case ENOMEM:
		return ERR_NO_MEMORY;
	case E2BIG:
	case ENOSPC:
	case EMFILE:
	case ENFILE:
		return ERR_FULL;
	case ENOENT:
		return ERR_GONE;
	case EINVAL:
	case ENOSYS:
	case EOPNOTSUPP:
	case KERNEL_ENOTSUPP:
		return ERR_UNSUPPORTED;
	default:
		return ERR_SYSTEM;
	}
}

static int done(int rc)
{
	return rc < 0 ? failed() : rc;
}

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void set_name(char to[BPF_OBJ_NAME_LEN], const char *name)
{
	size_t n = 0;
	for (; name && *name && n < BPF_OBJ_NAME_LEN - 1; name++)
		if ((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
		    (*name >= '0' && *name <= '9') || *name == '_' || *name == '.')
			to[n++] = *name;
}

/* --- locked memory */

static bool counts_locked_memory(void)
{
	struct utsname u;
	unsigned major, minor;
	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major < 5 || (major == 5 && minor < 11));
}

/* True: there is more now, it is worth while to try again. */
static bool more_locked_memory(void)
{
	struct rlimit old, wanted = {RLIM_INFINITY, RLIM_INFINITY};
	if (!counts_locked_memory() || getrlimit(RLIMIT_MEMLOCK, &old) < 0 || old.rlim_cur == RLIM_INFINITY)
		return false;
	if (setrlimit(RLIMIT_MEMLOCK, &wanted) == 0)
		return true;
	wanted.rlim_cur = wanted.rlim_max = old.rlim_max;
	return old.rlim_cur < old.rlim_max && setrlimit(RLIMIT_MEMLOCK, &wanted) == 0;
}

/* A call that makes something; the verifier gives up when a signal comes. */
static int make(int command, union bpf_attr *attr)
{
	bool raised = false;
	for (int i = 0;; i++) {
		int fd = call(command, attr);
		if (fd >= 0)
			return fd;
		int reason = errno;
		if (reason == EPERM && !raised && more_locked_memory()) {
			raised = true;
			continue;
		}
		errno = reason;
		if ((reason != EAGAIN && reason != EINTR) || i >= TRIES)
			return -1;
	}
}

const char *bpf_words(int number, char *words, size_t size)
{
	struct rlimit r;
	if (number == EPERM && counts_locked_memory() && getrlimit(RLIMIT_MEMLOCK, &r) == 0 &&
	    r.rlim_cur != RLIM_INFINITY)
		snprintf(words, size, "permission denied, or more locked memory than the %llu kB of `ulimit -l`",
		         (unsigned long long)r.rlim_cur / 1024);
	else if (number == EPERM || number == EACCES)
		snprintf(words, size, "permission denied");
	else
		snprintf(words, size, "%s", number == KERNEL_ENOTSUPP ? "not supported" : strerror(number));
	return words;
}

/* --- maps */

int bpf_map_create(uint32_t type, uint32_t key_size, uint32_t value_size, uint32_t max_entries, uint32_t flags,
                   const char *name)
{
	union bpf_attr a = {.map_type = type,
	                    .key_size = key_size,
	                    .value_size = value_size,
	                    .max_entries = max_entries,
	                    .map_flags = flags};
	set_name(a.map_name, name);
	return done(make(BPF_MAP_CREATE, &a));
}

int bpf_map_of_maps_create(int inner_fd, uint32_t max_entries, const char *name)
{
	union bpf_attr a = {.map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS,
	                    .key_size = sizeof(uint32_t),
	                    .value_size = sizeof(uint32_t),
	                    .max_entries = max_entries,
	                    .inner_map_fd = (uint32_t)inner_fd};
	set_name(a.map_name, name);
	return done(make(BPF_MAP_CREATE, &a));
}

static int element(int command, int fd, const void *key, const void *value, uint64_t flags)
{
	union bpf_attr a = {.map_fd = (uint32_t)fd, .key = address(key), .value = address(value), .flags = flags};
	return done(call(command, &a));
}

int bpf_map_lookup(int fd, const void *key, void *value)
{
	return element(BPF_MAP_LOOKUP_ELEM, fd, key, value, 0);
}

int bpf_map_update(int fd, const void *key, const void *value, uint64_t flags)
{
	return element(BPF_MAP_UPDATE_ELEM, fd, key, value, flags);
}

int bpf_map_delete(int fd, const void *key)
{
	return element(BPF_MAP_DELETE_ELEM, fd, key, NULL, 0);
}

/* The key after this one (NULL, or one that is gone: the first). ERR_GONE: that was the last. */
static int next_key(int fd, const void *key, void *next)
{
	return element(BPF_MAP_GET_NEXT_KEY, fd, key, next, 0);
}

struct entries {
	unsigned char *keys, *values;
	size_t key_size, value_size;
	uint32_t room, n;
};

static int read_one_by_one(int fd, struct entries *e)
{
	unsigned char key[KEY_MAX], next[KEY_MAX];
	uint32_t vanished = 0;
	for (const void *from = NULL;; from = key) {
		int rc = next_key(fd, from, next);
		if (rc < 0)
			return rc == ERR_GONE ? 0 : rc;
		if (e->n == e->room)
			return ERR_FULL;
		memcpy(key, next, e->key_size);
		rc = bpf_map_lookup(fd, key, e->values + e->n * e->value_size);
		if (rc == ERR_GONE && vanished++ < e->room)
			continue;
		TRY(rc);
		memcpy(e->keys + e->n++ * e->key_size, key, e->key_size);
	}
}

/* 1: this map cannot be read so. */
static int read_in_batches(int fd, struct entries *e)
{
	unsigned char from[KEY_MAX], to[KEY_MAX], next[KEY_MAX];
	const void *token = NULL;
	while (e->n < e->room) {
		union bpf_attr a = {0};
		a.batch.in_batch = address(token);
		a.batch.out_batch = address(to);
		a.batch.keys = address(e->keys + e->n * e->key_size);
		a.batch.values = address(e->values + e->n * e->value_size);
		a.batch.count = e->room - e->n;
		a.batch.map_fd = (uint32_t)fd;
		int rc = call(BPF_MAP_LOOKUP_BATCH, &a) < 0 ? failed() : 0;
		if (rc == ERR_UNSUPPORTED && e->n == 0)
			return 1;
		if (rc < 0 && rc != ERR_GONE)
			return rc;
		e->n += a.batch.count;
		if (rc == ERR_GONE)
			return 0;
		memcpy(from, to, sizeof from);
		token = from;
	}
	int rc = next_key(fd, e->n ? e->keys + (e->n - 1) * e->key_size : NULL, next);
	return rc == ERR_GONE ? 0 : rc < 0 ? rc : ERR_FULL;
}

int bpf_map_read(int fd, void *keys, size_t key_size, void *values, size_t value_size, uint32_t room, uint32_t *n)
{
	struct entries e = {keys, values, key_size, value_size, room, 0};
	*n = 0;
	if (key_size == 0 || key_size > KEY_MAX)
		return ERR_USAGE;
	int rc = read_in_batches(fd, &e);
	if (rc == 1)
		rc = read_one_by_one(fd, &e);
	*n = e.n;
	return rc;
}

/* The value of a per-CPU map, read to where it ends with `room` entries before memory that there is not. True: it fits.
 */
static bool fits(int fd, unsigned char *end, uint32_t room)
{
	uint32_t zero = 0;
	return bpf_map_lookup(fd, &zero, end - room * sizeof(uint64_t)) == 0;
}

/* /sys knows too, but is not everywhere. Here it is what the kernel does that is counted: of a value it writes one word
 * for each CPU. */
int bpf_possible_cpus(void)
{
	size_t bytes = CPUS_MAX * sizeof(uint64_t), page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(uint32_t), sizeof(uint64_t), 1, 0, "cpus");
	if (fd < 0)
		return fd;
	unsigned char *words = mmap(NULL, bytes + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc = words == MAP_FAILED || mprotect(words, bytes, PROT_READ | PROT_WRITE) < 0 ? ERR_NO_MEMORY : 0;
	uint32_t most = 1, least = 0; /* more than least; most is enough */
	while (rc == 0 && !fits(fd, words + bytes, most)) {
		if (errno != EFAULT || most == CPUS_MAX)
			rc = failed();
		least = most;
		most *= 2;
	}
	while (rc == 0 && most - least > 1) {
		uint32_t middle = least + (most - least) / 2;
		if (fits(fd, words + bytes, middle))
			most = middle;
		else
			least = middle;
	}
	int reason = errno;
	if (words != MAP_FAILED)
		munmap(words, bytes + page);
	close(fd);
	errno = reason;
	return rc < 0 ? rc : (int)most;
}

/* --- programs */

static union bpf_attr load_attr(const struct bpf_program *p)
{
	union bpf_attr a = {
	    .prog_type = p->type, .insn_cnt = p->n_insns, .insns = address(p->insns), .license = address(p->license)};
	set_name(a.prog_name, p->name);
	if (p->n_functions) {
		a.prog_btf_fd = (uint32_t)p->btf_fd;
		a.func_info = address(p->functions);
		a.func_info_rec_size = sizeof *p->functions;
		a.func_info_cnt = p->n_functions;
	}
	return a;
}

/* Once more, with a log that grows until all is in it. */
static int load_with_log(const struct bpf_program *p, char **log)
{
	int fd = -1, reason = ENOMEM;
	for (uint32_t size = LOG_FIRST; size <= LOG_MOST; size *= 4) {
		char *bigger = realloc(*log, size);
		if (!bigger)
			break;
		*log = bigger;
		(*log)[0] = 0;
		union bpf_attr a = load_attr(p);
		a.log_level = 1;
		a.log_size = size;
		a.log_buf = address(*log);
		fd = make(BPF_PROG_LOAD, &a);
		reason = errno;
		(*log)[size - 1] = 0;
		if (fd >= 0 || reason != ENOSPC)
			break;
	}
	if (*log && (fd >= 0 || (*log)[0] == 0)) {
		free(*log);
		*log = NULL;
	}
	errno = reason;
	return fd;
}

int bpf_program_load(const struct bpf_program *p, char **log)
{
	union bpf_attr a = load_attr(p);
	*log = NULL;
	int fd = make(BPF_PROG_LOAD, &a);
	return fd >= 0 ? fd : done(load_with_log(p, log));
}

int bpf_function_type(uint32_t *type)
{
	static const struct {
		struct btf_header head;
		struct btf_type number;
		uint32_t number_is;
		struct btf_type prototype, function;
		char names[12];
	} words = {
	    .head = {.magic = 0xeb9f,
	             .version = BTF_VERSION,
	             .hdr_len = sizeof words.head,
	             .type_len = offsetof(__typeof__(words), names) - sizeof words.head,
	             .str_off = offsetof(__typeof__(words), names) - sizeof words.head,
	             .str_len = sizeof words.names},
	    .number = {.name_off = 1, .info = BTF_KIND_INT << 24, .size = sizeof(uint64_t)},
	    .number_is = BTF_INT_SIGNED << 24 | 64,
	    .prototype = {.info = BTF_KIND_FUNC_PROTO << 24, .type = 1},
	    .function = {.name_off = 6, .info = BTF_KIND_FUNC << 24 | BTF_FUNC_STATIC, .type = 2},
	    .names = "\0long\0fun",
	};
	union bpf_attr a = {.btf = address(&words), .btf_size = sizeof words};
	*type = 3;
	return done(make(BPF_BTF_LOAD, &a));
}

int bpf_raw_tracepoint_open(const char *name, int program_fd)
{
	union bpf_attr a = {0};
	a.raw_tracepoint.name = address(name);
	a.raw_tracepoint.prog_fd = (uint32_t)program_fd;
	return done(call(BPF_RAW_TRACEPOINT_OPEN, &a));
}

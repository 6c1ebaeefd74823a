/* Files that were mapped into the process that a core is of: pages that it does not hold are read from them, if they
 * are here and are the same.
 *
 * Where: below each folder that the user named, by the core's path, by build id (.build-id/12/34.., as in Fedora's
 * /usr/lib and in what debuggers keep) and by name alone; a file that the user named, for whichever object it is of;
 * then this system, by build id and by path. The same: the build id in the core's copy of the object's first page is
 * the file's. Objects that have none: the bytes of that page are. Where the core has not that page either (another
 * coredump_filter) a file is taken only from where the user said.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "libcommon/path.h"
#include "pyspy-record/target/corefile_parts.h"
#include "pyspy-record/target/elf.h"

enum { PAGE = 4096, PATH_BYTES = 4096, PARTS_MAX = 65536 /* mappings of an object */ };

static int only_regular(int fd)
{
	struct stat st;
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -1;
}

/* `path` is of another system: links in it lead to places below `root`, and ".." does not lead out. */
static int open_below(const char *root, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_IN_ROOT};
	int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -1;
	int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
	if (fd < 0 && errno == ENOSYS) { /* before Linux 5.6 */
		while (*path == '/')
			path++;
		fd = openat(folder, path, (int)how.flags);
	}
	close(folder);
	return only_regular(fd);
}

static int open_here(const char *path)
{
	return path[0] == '/' ? only_regular(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) : -1;
}

static bool read_held(void *ctx, uint64_t address, void *out, size_t n)
{
	return corefile_held(ctx, address, out, n) == n;
}

/* An object as the core has it. */
struct image {
	uint64_t begin;
	bool has_page; /* its first bytes are in the core */
	struct elf_facts facts;
};

/* The object that the mapping is a part of: where its first byte is mapped, nearest below. */
static void find_image(struct corefile *c, const struct maps_entry *m, struct image *image)
{
	unsigned char byte;
	memset(image, 0, sizeof *image);
	const struct maps_entry *e = maps_find(&c->maps, m->begin);
	for (size_t i = 0; e && e > c->maps.v && i < PARTS_MAX && !(e->offset == 0 && strcmp(e->path, m->path) == 0);
	     i++)
		e--;
	if (!e || e->offset != 0 || strcmp(e->path, m->path) != 0)
		return;
	image->begin = e->begin;
	image->has_page = corefile_held(c, e->begin, &byte, 1) == 1;
	if (image->has_page && elf_read_image(read_held, c, e->begin, &image->facts, NULL, 0) < 0)
		memset(&image->facts, 0, sizeof image->facts);
}

/* Are the core's first bytes of it the file's? */
static bool begins_alike(struct corefile *c, const struct image *image, int fd)
{
	unsigned char core[PAGE], file[PAGE];
	size_t n = corefile_held(c, image->begin, core, sizeof core);
	return n >= sizeof(Elf64_Ehdr) && pread(fd, file, n, 0) == (ssize_t)n && memcmp(core, file, n) == 0;
}

static enum corefile_binary_state judge(struct corefile *c, const struct image *image, int fd, bool is_named)
{
	struct elf_facts facts;
	/* a file of debugging information has the build id, and not the contents */
	if (image->facts.n_build_id)
		return elf_read(fd, &facts, NULL, 0) == 0 && facts.headers_hash == image->facts.headers_hash &&
		               facts.n_build_id == image->facts.n_build_id &&
		               memcmp(facts.build_id, image->facts.build_id, facts.n_build_id) == 0
		           ? BINARY_FOUND
		           : BINARY_OTHER;
	if (image->has_page)
		return begins_alike(c, image, fd) ? BINARY_FOUND : BINARY_OTHER;
	return is_named ? BINARY_UNCHECKED : BINARY_UNPROVED;
}

/* Take this file if it is the one. True: the search is over. */
static bool try_file(struct corefile *c, const struct image *image, struct corefile_binary *b, int fd, bool is_named)
{
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	enum corefile_binary_state state = judge(c, image, fd, is_named);
	if (state == BINARY_FOUND || state == BINARY_UNCHECKED) {
		b->state = state;
		b->fd = fd;
		b->size = (uint64_t)st.st_size;
		return true;
	}
	if (b->state == BINARY_ABSENT || state == BINARY_OTHER)
		b->state = state;
	close(fd);
	return false;
}

static void build_id_path(const struct image *image, char *out, size_t size)
{
	int n = snprintf(out, size, ".build-id/%02x/", image->facts.build_id[0]);
	for (uint32_t i = 1; i < image->facts.n_build_id && n + 3 < (int)size; i++)
		n += snprintf(out + n, size - (size_t)n, "%02x", image->facts.build_id[i]);
}

static void search(struct corefile *c, const struct image *image, struct corefile_binary *b)
{
	static const char *const prefixes[] = {"", "usr/lib/", "usr/lib/debug/"};
	char id[256] = "", path[PATH_BYTES];
	bool is_file_name = b->path[0] == '/';
	if (image->facts.n_build_id > 1)
		build_id_path(image, id, sizeof id);
	for (size_t i = 0; i < c->n_places; i++) {
		const char *place = c->places[i];
		struct stat st;
		if (stat(place, &st) < 0)
			continue;
		if (!S_ISDIR(st.st_mode)) {
			/* of which object it is, the object tells; failing that, its name */
			int fd = only_regular(open(place, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
			enum corefile_binary_state was = b->state;
			if (try_file(c, image, b, fd, strcmp(path_base(place), path_base(b->path)) == 0))
				return;
			b->state = was;
			continue;
		}
		if (is_file_name && try_file(c, image, b, open_below(place, b->path), true))
			return;
		for (size_t k = 0; id[0] && k < sizeof prefixes / sizeof *prefixes; k++) {
			snprintf(path, sizeof path, "%s%s", prefixes[k], id);
			if (try_file(c, image, b, open_below(place, path), true))
				return;
		}
		if (is_file_name && try_file(c, image, b, open_below(place, path_base(b->path)), true))
			return;
	}
	for (size_t k = 1; id[0] && k < sizeof prefixes / sizeof *prefixes; k++) {
		snprintf(path, sizeof path, "/%s%s", prefixes[k], id);
		if (try_file(c, image, b, open_here(path), false))
			return;
	}
	try_file(c, image, b, open_here(b->path), false);
}

struct corefile_binary *corefile_binary(struct corefile *c, const struct maps_entry *m)
{
	struct image image;
	bool has_name = m->path[0] == '/';
	if (!has_name && m->path != corefile_no_name) /* no file: anon_inode:... */
		return NULL;
	for (size_t i = 0; i < c->binaries.n && has_name; i++)
		if (c->binaries.v[i].path == m->path || strcmp(c->binaries.v[i].path, m->path) == 0)
			return &c->binaries.v[i];
	find_image(c, m, &image);
	for (size_t i = 0; i < c->binaries.n && !has_name; i++) /* those without a name: by their build ids */
		if (c->binaries.v[i].path[0] != '/' && c->binaries.v[i].n_build_id == image.facts.n_build_id &&
		    memcmp(c->binaries.v[i].build_id, image.facts.build_id, image.facts.n_build_id) == 0)
			return &c->binaries.v[i];
	struct corefile_binary b = {
	    .path = m->path, .state = BINARY_ABSENT, .fd = -1, .n_build_id = image.facts.n_build_id};
	memcpy(b.build_id, image.facts.build_id, sizeof b.build_id);
	b.has_page = image.has_page;
	if (c->binaries.n == COREFILE_BINARIES_MAX)
		return NULL;
	search(c, &image, &b);
	if (!vec_push(&c->binaries, b)) {
		if (b.fd >= 0)
			close(b.fd);
		return NULL;
	}
	return &c->binaries.v[c->binaries.n - 1];
}

void corefile_binaries_done(struct corefile *c)
{
	for (size_t i = 0; i < c->binaries.n; i++)
		if (c->binaries.v[i].fd >= 0)
			close(c->binaries.v[i].fd);
	vec_free(&c->binaries);
}

int corefile_open_mapped(struct corefile *c, const struct maps_entry *m, bool *doubtful)
{
	struct corefile_binary *b = corefile_binary(c, m);
	*doubtful = !b || b->state != BINARY_FOUND;
	return b && b->fd >= 0 ? fcntl(b->fd, F_DUPFD_CLOEXEC, 0) : -1;
}

const char *corefile_build_id_words(const struct corefile_binary *b, char out[160])
{
	int n = 0;
	out[0] = 0;
	if (!b->n_build_id)
		return out;
	n = snprintf(out, 160, " (build id ");
	for (uint32_t i = 0; i < b->n_build_id && n + 4 < 160; i++)
		n += snprintf(out + n, 160 - (size_t)n, "%02x", b->build_id[i]);
	snprintf(out + n, 160 - (size_t)n, ")");
	return out;
}

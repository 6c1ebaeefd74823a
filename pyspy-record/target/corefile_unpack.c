/* A zstd-compressed core, as systemd-coredump leaves it, into an unlinked file.
 *
 * How much: as far as its own program headers say that there is something, and never more than it really holds; zeros
 * become holes. So a few bytes that unpack to a terabyte take no room: what no header speaks of is not unpacked, and
 * what is zero takes none. What does not fit onto the disk is missing, as if the core were truncated. Memory: zstd's
 * window, at most 128 MB (what `zstd --long=27` writes), and two small buffers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "libcommon/err.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "pyspy-record/target/corefile_parts.h"

enum {
	PACKED_MAGIC_BYTES = 4,
	IN_BYTES = 256 << 10,
	OUT_BYTES = 256 << 10,
	HOLE = 4096,
	HEADERS_BYTES = 64 << 20, /* of program headers are kept until it is known how far to go */
	SILENT_BYTES = 256 << 20, /* then it is said where it goes */
};

struct unpacking {
	int from, to;
	ZSTD_DCtx *zstd;
	unsigned char *in, *out;
	uint64_t n;     /* bytes unpacked */
	uint64_t until; /* 0 = not known yet */
	const char *folder;
	bool is_told;
	char *why;
	size_t size;
};

bool corefile_is_packed(const unsigned char *first, size_t n)
{
	static const unsigned char magic[PACKED_MAGIC_BYTES] = {0x28, 0xb5, 0x2f, 0xfd};
	return n >= sizeof magic && memcmp(first, magic, sizeof magic) == 0;
}

static int open_unlinked(const char *folder)
{
	char name[4096];
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	if ((size_t)snprintf(name, sizeof name, "%s/pyspy-core-XXXXXX", folder) >= sizeof name) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

/* TMPDIR is the user's word; else a disk rather than memory, where /tmp often is. */
static int choose_folder(struct unpacking *u)
{
	const char *own = getenv("TMPDIR");
	const char *const folders[] = {own && *own ? own : "/var/tmp", own && *own ? NULL : "/tmp"};
	for (size_t i = 0; i < 2 && folders[i]; i++) {
		u->folder = folders[i];
		u->to = open_unlinked(u->folder);
		if (u->to >= 0)
			return 0;
	}
	snprintf(u->why, u->size, "it is compressed, and no file can be made in %s to unpack it into: %s; set TMPDIR",
	         u->folder, strerror(errno));
	return ERR_SYSTEM;
}

static bool is_zero(const unsigned char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Write, but for zeros. False: it does not fit. */
static bool put(struct unpacking *u, const unsigned char *p, size_t n)
{
	while (n) {
		size_t some = HOLE - u->n % HOLE;
		some = some < n ? some : n;
		if (!is_zero(p, some))
			for (size_t done = 0; done < some;) {
				ssize_t got = pwrite(u->to, p + done, some - done, (off_t)(u->n + done));
				if (got < 0 && errno == EINTR)
					continue;
				if (got <= 0)
					return false;
				done += (size_t)got;
			}
		u->n += some;
		p += some;
		n -= some;
	}
	return true;
}

/* Where does the last of what the headers speak of end? Once they are there; 0 = not yet. */
static int find_end(struct unpacking *u)
{
	struct corefile c = {.fd = u->to, .size = u->n};
	Elf64_Ehdr h;
	Elf64_Phdr first, p;
	memset(&h, 0, sizeof h);
	if (u->until)
		return 0;
	size_t n = u->n < sizeof h ? (size_t)u->n : sizeof h;
	if (ftruncate(u->to, (off_t)u->n) < 0 || !corefile_bytes(&c, 0, &h, n))
		return ERR_SYSTEM;
	if (n < sizeof h)
		return 0;
	TRY(corefile_check(&h, n, u->why, u->size));
	if (h.e_phoff > HEADERS_BYTES || !corefile_bytes(&c, h.e_phoff, &first, sizeof first)) {
		u->until = h.e_phoff > HEADERS_BYTES ? u->n : 0;
		return 0;
	}
	uint64_t count = corefile_n_headers(&h, &first), end = h.e_phoff + count * sizeof p;
	if (count > HEADERS_BYTES / sizeof p)
		count = HEADERS_BYTES / sizeof p;
	if (u->n < h.e_phoff + count * sizeof p)
		return 0;
	for (uint64_t i = 0; i < count && corefile_bytes(&c, h.e_phoff + i * sizeof p, &p, sizeof p); i++)
		if (p.p_filesz && p.p_offset + p.p_filesz > end && p.p_offset + p.p_filesz >= p.p_offset)
			end = p.p_offset + p.p_filesz;
	/* the section header that has the number of program headers, when there are many, is the last */
	if (h.e_phnum == PN_XNUM && h.e_shoff >= end && h.e_shoff - end <= HOLE)
		end = h.e_shoff + sizeof(Elf64_Shdr);
	u->until = end < INT64_MAX ? end : INT64_MAX;
	return 0;
}

static void tell(struct unpacking *u)
{
	char bytes[HUMAN_SIZE];
	if (u->is_told || u->n < SILENT_BYTES)
		return;
	u->is_told = true;
	log_info("unpacking the core into %s, at most %s there; TMPDIR names another folder", u->folder,
	         human_bytes(bytes, u->until));
}

static int run(struct unpacking *u)
{
	ZSTD_inBuffer in = {u->in, 0, 0};
	uint64_t at = 0;
	for (;;) {
		if (in.pos == in.size) {
			ssize_t got = pread(u->from, u->in, IN_BYTES, (off_t)at);
			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0) /* the rest is missing, if there was one: it is seen by the headers */
				return 0;
			at += (uint64_t)got;
			in = (ZSTD_inBuffer){u->in, (size_t)got, 0};
		}
		ZSTD_outBuffer out = {u->out, OUT_BYTES, 0};
		size_t rc = ZSTD_decompressStream(u->zstd, &out, &in);
		if (ZSTD_isError(rc)) {
			if (u->n == 0 && out.pos == 0) {
				snprintf(u->why, u->size, "it cannot be unpacked: %s; try: zstd -dk FILE",
				         ZSTD_getErrorName(rc));
				return ERR_FORMAT;
			}
			log_info(
			    "the compressed core is damaged behind %llu bytes (%s); what is before that is looked at",
			    (unsigned long long)u->n, ZSTD_getErrorName(rc));
			return 0;
		}
		if (u->until && out.pos > u->until - u->n)
			out.pos = (size_t)(u->until - u->n);
		if (!put(u, u->out, out.pos)) {
			log_info("the unpacked core does not fit into %s (%s); what fits is looked at: set TMPDIR to a "
			         "folder "
			         "with more room",
			         u->folder, strerror(errno ? errno : ENOSPC));
			return 0;
		}
		TRY(find_end(u));
		if (u->until && u->n >= u->until)
			return 0;
		tell(u);
	}
}

int corefile_unpack(int fd, int *unpacked, char *why, size_t size)
{
	struct unpacking u = {.from = fd, .to = -1, .why = why, .size = size};
	u.zstd = ZSTD_createDCtx();
	u.in = malloc(IN_BYTES);
	u.out = malloc(OUT_BYTES);
	int rc = u.zstd && u.in && u.out ? choose_folder(&u) : ERR_NO_MEMORY;
	if (rc == 0)
		rc = run(&u);
	if (u.until && u.n > u.until)
		u.n = u.until;
	if (rc == 0 && ftruncate(u.to, (off_t)u.n) < 0) /* holes at the end */
		rc = ERR_SYSTEM;
	if (rc < 0 && u.to >= 0)
		close(u.to);
	else
		*unpacked = u.to;
	ZSTD_freeDCtx(u.zstd);
	free(u.in);
	free(u.out);
	return rc;
}

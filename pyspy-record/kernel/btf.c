#include "pyspy-record/kernel/btf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <linux/btf.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"

enum {
	SIZE_MOST = 64 << 20,
	/* kinds that linux/btf.h of a 5.8 does not know */
	KIND_FLOAT = 16,
	KIND_DECL_TAG = 17,
	KIND_TYPE_TAG = 18,
	KIND_ENUM64 = 19,
};

struct types {
	const unsigned char *bytes;
	size_t n;
	const char *names;
	size_t names_n; /* the last byte is 0 */
};
/* A type, and what follows it: members, or what its kind has there. */
struct type {
	struct btf_type head;
	const unsigned char *rest;
	uint32_t kind, n_members;
};

static int open_types(struct types *t, const void *bytes, size_t n)
{
	struct btf_header h;
	if (n < sizeof h)
		return ERR_FORMAT;
	memcpy(&h, bytes, sizeof h);
	if (h.magic != BTF_MAGIC || h.version != BTF_VERSION || h.hdr_len < sizeof h || h.hdr_len > n)
		return ERR_FORMAT;
	size_t left = n - h.hdr_len;
	if (h.type_off > left || h.type_len > left - h.type_off || h.str_off > left || h.str_len > left - h.str_off)
		return ERR_FORMAT;
	const unsigned char *from = (const unsigned char *)bytes + h.hdr_len;
	*t = (struct types){from + h.type_off, h.type_len, (const char *)from + h.str_off, h.str_len};
	return t->names_n && t->names[t->names_n - 1] == 0 ? 0 : ERR_FORMAT;
}

static bool is_named(const struct types *t, uint32_t name, const char *wanted)
{
	return name < t->names_n && !strcmp(t->names + name, wanted);
}

/* How many bytes follow the head; SIZE_MAX: of a kind that we do not know. */
static size_t rest_size(uint32_t kind, uint32_t n_members)
{
	switch (kind) {
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case KIND_FLOAT:
	case KIND_TYPE_TAG:
		return 0;
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:
		return 8 * (size_t)n_members;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_DATASEC:
	case KIND_ENUM64:
		return 12 * (size_t)n_members;
	default:
		return SIZE_MAX;
	}
}

/* The type at *at, which moves on to the next one. 1; 0: there are no more; ERR_FORMAT. */
static int next_type(const struct types *t, size_t *at, struct type *out)
{
	if (*at == t->n)
		return 0;
	if (t->n - *at < sizeof out->head)
		return ERR_FORMAT;
	memcpy(&out->head, t->bytes + *at, sizeof out->head);
	*at += sizeof out->head;
	out->rest = t->bytes + *at;
	out->kind = out->head.info >> 24 & 0x1f;
	out->n_members = out->head.info & 0xffff;
	size_t size = rest_size(out->kind, out->n_members);
	if (size > t->n - *at)
		return ERR_FORMAT;
	*at += size;
	return 1;
}

/* The member's offset in bytes; 0: there is none, or it is a bit field, or it is the first (none of ours is). */
static uint32_t find_member(const struct types *t, const struct type *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_members; i++) {
		struct btf_member m;
		memcpy(&m, s->rest + i * sizeof m, sizeof m);
		if (!is_named(t, m.name_off, name))
			continue;
		uint32_t bits = m.offset;
		if (s->head.info >> 31) { /* the upper 8 bits: how wide a bit field is */
			if (bits >> 24)
				return 0;
			bits &= 0xffffff;
		}
		return bits % 8 ? 0 : bits / 8;
	}
	return 0;
}

/* Of `state`, an unsigned long before 5.14, the half that counts. */
static uint32_t low_half(uint32_t offset)
{
	const uint16_t one = 1;
	return !offset || *(const unsigned char *)&one ? offset : offset + (uint32_t)sizeof(long) - 4;
}

static void look_at_task(const struct types *t, const struct type *s, struct btf_task *out)
{
	out->state = find_member(t, s, "__state");
	if (!out->state)
		out->state = low_half(find_member(t, s, "state"));
	out->stack = find_member(t, s, "stack");
}

int btf_find_task(const void *bytes, size_t n, struct btf_task *out)
{
	struct types t;
	struct type type;
	size_t at = 0;
	int rc;
	*out = (struct btf_task){0};
	TRY(open_types(&t, bytes, n));
	while ((rc = next_type(&t, &at, &type)) > 0)
		if (type.kind == BTF_KIND_STRUCT && is_named(&t, type.head.name_off, "task_struct")) {
			look_at_task(&t, &type, out);
			return 0;
		}
	return rc;
}

static int read_all(int fd, unsigned char *to, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = read(fd, to + done, n - done);
		if (got <= 0)
			return ERR_IO;
		done += (size_t)got;
	}
	return 0;
}

int btf_running_kernel(struct btf_task *out)
{
	struct stat st;
	*out = (struct btf_task){0};
	int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ERR_GONE;
	int rc = fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= SIZE_MOST ? 0 : ERR_IO;
	unsigned char *bytes = rc == 0 ? malloc((size_t)st.st_size) : NULL;
	if (rc == 0)
		rc = bytes ? read_all(fd, bytes, (size_t)st.st_size) : ERR_NO_MEMORY;
	close(fd);
	if (rc == 0)
		rc = btf_find_task(bytes, (size_t)st.st_size, out);
	free(bytes);
	return rc;
}

#include "pyspy-record/memory/pagecache.h"

#include <errno.h>
#include <string.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"

enum { AT_ONCE = 64 /* pages of one system call */, AGAIN_AT_ONCE = 256, LOOK_AT_CLOCK = 64 };

/* May n more bytes be brought? */
static bool is_granted(struct pagecache *c, size_t n)
{
	if (c->deadline_ns && clock_mono_ns() > c->deadline_ns)
		c->is_late = true;
	if (n > c->bytes_left)
		c->is_spent = true;
	return !c->is_late && !c->is_spent;
}

static unsigned char *new_page(struct pagecache *c)
{
	if (c->n_used == c->pages.n) {
		if (!vec_room(&c->pages, 1) || !vec_room(&c->uses, 1))
			return NULL;
		c->pages.v[c->pages.n] = malloc(PAGECACHE_PAGE);
		if (!c->pages.v[c->pages.n])
			return NULL;
		c->pages.n++;
		c->uses.n++;
	}
	c->uses.v[c->n_used] = (struct pagecache_use){0};
	return c->pages.v[c->n_used++];
}

static void remember(struct pagecache *c, uint64_t number, uint32_t index)
{
	bool is_new;
	uint32_t *at = map_put(&c->at, number, 0, &is_new);
	if (at)
		*at = index;
	if (index)
		c->uses.v[index - 1].number = number;
}

/* Bring the pages from `number` on that are not here yet, at most n of them. False: none may be brought. */
static bool bring(struct pagecache *c, uint64_t number, size_t n)
{
	struct iovec local[AT_ONCE], remote[AT_ONCE];
	size_t first = c->n_used, k = 0;
	while (k < n && k < AT_ONCE && !map_get(&c->at, number + k, 0) && is_granted(c, (k + 1) * PAGECACHE_PAGE)) {
		unsigned char *page = new_page(c);
		if (!page)
			break;
		local[k] = (struct iovec){page, PAGECACHE_PAGE};
		remote[k] = (struct iovec){(void *)(uintptr_t)((number + k) * PAGECACHE_PAGE), PAGECACHE_PAGE};
		k++;
	}
	if (k == 0)
		return false;
	c->behind->calls++;
	c->reader.calls++;
	ssize_t got = c->behind->readv(c->behind, local, remote, k);
	size_t whole = got < 0 ? 0 : (size_t)got / PAGECACHE_PAGE;
	c->bytes_left -= whole * PAGECACHE_PAGE;
	c->n_used = first + whole;
	for (size_t i = 0; i < whole; i++)
		remember(c, number + i, (uint32_t)(first + i + 1));
	if (whole < k)
		remember(c, number + whole, 0);
	return true;
}

/* n bytes at `from` of one page. */
static bool read_part(struct pagecache *c, raddr_t from, unsigned char *to, size_t n, size_t more)
{
	uint64_t number = from / PAGECACHE_PAGE;
	uint32_t *at = map_get(&c->at, number, 0);
	if (!at) {
		if (!bring(c, number, 1 + c->ahead + (more + PAGECACHE_PAGE - 1) / PAGECACHE_PAGE))
			return false;
		at = map_get(&c->at, number, 0);
	}
	if (at && *at) {
		c->uses.v[*at - 1].asked++;
		c->is_mixed |= *at > c->n_again;
		memcpy(to, c->pages.v[*at - 1] + from % PAGECACHE_PAGE, n);
		return true;
	}
	c->is_mixed = true;
	/* a core file may end within a page */
	if (!is_granted(c, n))
		return false;
	c->bytes_left -= n;
	return reader_read(c->behind, from, to, n) == 0;
}

static ssize_t cached_readv(struct reader *r, const struct iovec *local, const struct iovec *remote, size_t n)
{
	struct pagecache *c = (struct pagecache *)r;
	size_t done = 0;
	if (++c->n_asked % LOOK_AT_CLOCK == 0) /* what is here already takes time, too */
		is_granted(c, 0);
	if (c->is_late) {
		errno = EFAULT;
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		raddr_t from = (uintptr_t)remote[i].iov_base;
		unsigned char *to = local[i].iov_base;
		size_t left = remote[i].iov_len;
		if (from + left < from) {
			errno = EFAULT;
			return done ? (ssize_t)done : -1;
		}
		while (left) {
			size_t part = PAGECACHE_PAGE - from % PAGECACHE_PAGE;
			if (part > left)
				part = left;
			errno = 0;
			if (!read_part(c, from, to, part, left - part)) {
				if (errno == 0 || c->is_late || c->is_spent)
					errno = EFAULT;
				return done ? (ssize_t)done : -1;
			}
			from += part;
			to += part;
			left -= part;
			done += part;
		}
	}
	return (ssize_t)done;
}

void pagecache_init(struct pagecache *c, struct reader *behind)
{
	*c = (struct pagecache){.behind = behind};
	c->reader = (struct reader){.readv = cached_readv, .pid = behind->pid, .core = behind->core};
	map_init(&c->at, 0);
}

void pagecache_done(struct pagecache *c)
{
	for (size_t i = 0; i < c->pages.n; i++)
		free(c->pages.v[i]);
	vec_free(&c->pages);
	vec_free(&c->uses);
	vec_free(&c->noted);
	map_done(&c->at);
}

void pagecache_clear(struct pagecache *c)
{
	map_clear(&c->at);
	c->n_used = c->n_again = 0;
	c->is_spent = c->is_late = c->is_mixed = false;
}

/* Those asked for most first: without them nothing can be made out. */
static int by_use(const void *x, const void *y)
{
	const struct pagecache_use *a = x, *b = y;
	return a->asked != b->asked ? (a->asked < b->asked) - (a->asked > b->asked)
	                            : (a->number > b->number) - (a->number < b->number);
}

void pagecache_note(struct pagecache *c)
{
	c->noted.n = 0;
	if (!vec_room(&c->noted, c->n_used + 1))
		return;
	for (size_t i = 0; i < c->n_used; i++)
		if (c->uses.v[i].asked)
			c->noted.v[c->noted.n++] = c->uses.v[i];
	qsort(c->noted.v, c->noted.n, sizeof *c->noted.v, by_use);
}

/* Bring n pages, n <= AGAIN_AT_ONCE: how many were dealt with. */
static size_t bring_noted(struct pagecache *c, const struct pagecache_use *noted, size_t n)
{
	struct iovec local[AGAIN_AT_ONCE], remote[AGAIN_AT_ONCE];
	size_t first = c->n_used, k = 0;
	for (; k < n; k++) {
		unsigned char *page = new_page(c);
		if (!page)
			break;
		local[k] = (struct iovec){page, PAGECACHE_PAGE};
		remote[k] = (struct iovec){(void *)(uintptr_t)(noted[k].number * PAGECACHE_PAGE), PAGECACHE_PAGE};
	}
	if (k == 0)
		return 0;
	c->behind->calls++;
	ssize_t got = c->behind->readv(c->behind, local, remote, k);
	size_t whole = got < 0 ? 0 : (size_t)got / PAGECACHE_PAGE;
	c->n_used = first + whole;
	for (size_t i = 0; i < whole; i++)
		remember(c, noted[i].number, (uint32_t)(first + i + 1));
	return whole < k ? whole + 1 : whole;
}

void pagecache_again(struct pagecache *c)
{
	size_t n = c->noted.n;
	pagecache_clear(c);
	for (size_t i = 0; i < n && is_granted(c, 0);) {
		size_t done = bring_noted(c, c->noted.v + i, n - i < AGAIN_AT_ONCE ? n - i : AGAIN_AT_ONCE);
		if (!done)
			break;
		i += done;
	}
	c->n_again = c->n_used;
}

void pagecache_trim(struct pagecache *c, size_t most)
{
	if (c->n_used <= most && c->at.n <= 2 * most)
		return;
	map_clear(&c->at);
	c->n_used = c->n_again = 0;
}

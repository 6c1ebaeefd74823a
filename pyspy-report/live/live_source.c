#include "pyspy-report/live/live_source.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"

enum { CHUNK = 64 << 10, GROWTH_MS = 50 };

void live_source_lock(struct live_source *s)
{
	pthread_mutex_lock(&s->lock);
}

void live_source_unlock(struct live_source *s)
{
	pthread_mutex_unlock(&s->lock);
}

static void ring(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void keep(struct live_source *s, const void *bytes, size_t n)
{
	if (!s->keeps)
		return;
	if (s->kept.n + n > LIVE_KEPT_MAX) {
		s->keeps = false;
	} else if (spool_write(&s->kept, bytes, n, NULL) < 0) {
		s->keeps = false;
		s->keep_error = s->kept.error_number ? s->kept.error_number : ENOMEM;
	}
}

static int count_waiting(struct live_source *s)
{
	int rc = s->waiting.len ? live_sums_feed(&s->sums, s->waiting.data, s->waiting.len) : 0;

	buf_done(&s->waiting);
	buf_init(&s->waiting, 0);
	return rc;
}

/* Locked. */
static int take(struct live_source *s, const void *bytes, size_t n)
{
	keep(s, bytes, n);
	if (!s->is_held)
		return live_sums_feed(&s->sums, bytes, n);
	buf_put(&s->waiting, bytes, n);
	if (s->waiting.err)
		return s->waiting.err;
	if (s->waiting.len < LIVE_WAITING_MAX)
		return 0;
	s->is_held = false;
	s->was_let_go = true;
	return count_waiting(s);
}

static bool is_closed(struct live_source *s)
{
	const struct profile *p = &s->sums.profile;

	return p->recordings.n && p->recordings.v[p->recordings.n - 1].is_closed && !s->waiting.len;
}

static void finish(struct live_source *s, int rc, int error_number)
{
	live_source_lock(s);
	s->is_held = false;
	int counted = rc < 0 ? 0 : count_waiting(s);
	/* what the last block left open is damage, as for a file that was cut there */
	if (!counted)
		counted = live_sums_finish(&s->sums);
	s->rc = rc ? rc : counted;
	s->error_number = error_number;
	s->is_over = true;
	live_source_unlock(s);
	ring(s->news_fd);
}

/* At the end of a file that may grow. True: it became shorter. */
static bool is_shorter(struct live_source *s)
{
	struct stat st;
	off_t at = lseek(s->fd, 0, SEEK_CUR);

	return at >= 0 && fstat(s->fd, &st) == 0 && st.st_size < at;
}

/* False: the thread shall end. */
static bool wait_for_more(struct live_source *s, bool at_end)
{
	struct pollfd p[] = {{.fd = s->stop_fd, .events = POLLIN}, {.fd = s->fd, .events = POLLIN}};
	int n;

	do
		n = poll(p, s->is_growing ? 1 : 2, s->is_growing ? at_end ? GROWTH_MS : 0 : -1);
	while (n < 0 && errno == EINTR);
	return !(p[0].revents & POLLIN);
}

static void *read_all(void *arg)
{
	struct live_source *s = arg;
	static _Thread_local char chunk[CHUNK];
	bool at_end = false;

	while (wait_for_more(s, at_end)) {
		ssize_t n = read(s->fd, chunk, sizeof chunk);
		int rc = 0;

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0) {
			finish(s, ERR_SYSTEM, errno);
			return NULL;
		}
		at_end = n == 0;
		if (at_end) {
			live_source_lock(s);
			bool is_end = !s->is_growing || is_closed(s), is_bad = s->is_growing && is_shorter(s);
			live_source_unlock(s);
			if (!is_end && !is_bad)
				continue;
			finish(s, is_bad ? ERR_DAMAGED : 0, 0);
			return NULL;
		}
		live_source_lock(s);
		rc = take(s, chunk, (size_t)n);
		live_source_unlock(s);
		if (rc) {
			finish(s, rc, 0);
			return NULL;
		}
		ring(s->news_fd);
	}
	return NULL;
}

int live_source_start(struct live_source *s, int fd, const char *name, uint64_t window_ns)
{
	sigset_t all, before;
	struct stat st;

	memset(s, 0, sizeof *s);
	s->fd = fd;
	s->keeps = true;
	buf_init(&s->waiting, 0);
	pthread_mutex_init(&s->lock, NULL);
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	TRY(live_sums_init(&s->sums, name, window_ns));
	if (s->stop_fd < 0 || s->news_fd < 0 || fstat(fd, &st) < 0)
		return ERR_SYSTEM;
	s->is_growing = S_ISREG(st.st_mode);
	sigfillset(&all); /* signals are for who draws */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int rc = pthread_create(&s->thread, NULL, read_all, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->has_thread = rc == 0;
	errno = rc;
	return rc ? ERR_SYSTEM : 0;
}

void live_source_stop(struct live_source *s)
{
	if (!s->has_thread)
		return;
	ring(s->stop_fd);
	pthread_join(s->thread, NULL);
	s->has_thread = false;
}

void live_source_done(struct live_source *s)
{
	live_source_stop(s);
	if (s->fd > STDIN_FILENO)
		close(s->fd);
	if (s->stop_fd >= 0)
		close(s->stop_fd);
	if (s->news_fd >= 0)
		close(s->news_fd);
	live_sums_done(&s->sums);
	spool_done(&s->kept);
	buf_done(&s->waiting);
	pthread_mutex_destroy(&s->lock);
}

int live_source_hold(struct live_source *s, bool holds)
{
	s->is_held = holds && !s->is_over;
	return s->is_held ? 0 : count_waiting(s);
}

int live_source_copy(struct live_source *s, int fd)
{
	uint64_t all = live_sums_bytes(&s->sums), at = 0;
	char chunk[CHUNK];

	if (all > s->kept.n) {
		errno = s->keep_error;
		return s->keep_error ? ERR_IO : ERR_FULL;
	}
	while (at < all) {
		size_t n = all - at < sizeof chunk ? (size_t)(all - at) : sizeof chunk;

		int rc = spool_read(&s->kept, at, chunk, n);
		if (rc < 0) {
			errno = s->kept.error_number ? s->kept.error_number : EIO;
			return ERR_IO;
		}
		for (size_t done = 0; done < n;) {
			ssize_t k = write(fd, chunk + done, n - done);

			if (k < 0 && errno != EINTR)
				return ERR_SYSTEM;
			done += k > 0 ? (size_t)k : 0;
		}
		at += n;
	}
	return 0;
}

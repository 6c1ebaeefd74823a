#include <ctype.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/hide_parts.h"

/* The first reading: what is secret. */

/* Account names that say nothing about anybody; to replace them everywhere would only spoil names of functions. */
static const char *const common_names[] = {"root",   "user", "app",   "admin", "ubuntu",   "debian",
                                           "python", "main", "build", "test",  "nobody",   "runner",
                                           "work",   "home", "code",  "src",   "localhost"};

/* Names of users and hosts are compared without case. */
static int remember(struct hide *h, struct intern *names, const char *p, size_t n)
{
	char lower[HIDE_NAME_MAX];

	if (n > sizeof lower)
		return 0; /* no system allows it */
	for (size_t i = 0; i < n; i++)
		lower[i] = (char)tolower((unsigned char)p[i]);
	h->longest = n > h->longest ? n : h->longest;
	return intern_get(names, lower, n, &(uint32_t){0}, NULL);
}

static bool is_common(const char *p, size_t n)
{
	for (size_t i = 0; i < sizeof common_names / sizeof *common_names; i++)
		if (strlen(common_names[i]) == n && hide_same_letters(p, common_names[i], n))
			return true;
	return n < HIDE_SHORT;
}

/* The users of a path: what stands behind /home/ and the like. */
static int look_for_users(struct hide *h, const char *p, size_t n)
{
	static const char *const folders[] = {"/home/",     "/Users/",    "/var/home/",
	                                      "/mnt/home/", "/nfs/home/", "/export/home/"};

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; p[i] == '/' && k < sizeof folders / sizeof *folders; k++) {
			size_t skip = strlen(folders[k]), len = 0;

			if (!hide_starts(p + i, n - i, folders[k]))
				continue;
			while (i + skip + len < n && p[i + skip + len] != '/')
				len++;
			if (!is_common(p + i + skip, len))
				TRY(remember(h, &h->users, p + i + skip, len));
		}
	return 0;
}

static int look_on_string(void *ctx, str_id id, const char *s, size_t n)
{
	struct hide *h = ctx;
	uint32_t text;

	while (h->ids.n <= id)
		if (!vec_push(&h->ids, 0))
			return ERR_NO_MEMORY;
	TRY(intern_get(&h->looked, s, n, &text, NULL));
	h->ids.v[id] = text;
	return look_for_users(h, s, n);
}

static const char *looked(const struct hide *h, str_id id, size_t *n)
{
	return intern_bytes(&h->looked, id < h->ids.n ? h->ids.v[id] : 0, n);
}

static int look_on_epoch(void *ctx, uint32_t number, bool complete)
{
	struct hide *h = ctx;

	h->ids.n = 0;
	intern_clear(&h->looked);
	return 0;
}

static int look_on_epoch_goes_on(void *ctx, uint32_t number, bool complete)
{
	return 0;
}

static int look_for_host(struct hide *h, str_id id)
{
	size_t n;
	const char *p = looked(h, id, &n);

	const char *dot = memchr(p, '.', n);
	size_t first = dot ? (size_t)(dot - p) : n; /* web-1 of web-1.acme.example */

	if (!is_common(p, first))
		TRY(remember(h, &h->hosts, p, first));
	return is_common(p, n) ? 0 : remember(h, &h->hosts, p, n);
}

static int look_on_recording(void *ctx, const struct rec_recording *r)
{
	return look_for_host(ctx, r->host);
}

static int look_on_host(void *ctx, const struct rec_host *r)
{
	return look_for_host(ctx, r->name);
}

/* A folder in which own code lies; not a Python's own, and not one that everything is in. */
static int look_for_root(struct hide *h, str_id id)
{
	size_t n;
	const char *p = looked(h, id, &n);

	while (n > 1 && p[n - 1] == '/')
		n--;
	if (n < 2 || p[0] != '/' || hide_python_part(p, n) < n)
		return 0;
	return intern_get(&h->roots, p, n, &(uint32_t){0}, NULL);
}

static int look_for_environment(struct hide *h, str_id id)
{
	size_t n;
	const char *p = looked(h, id, &n);

	if (n == 0 || (n == 4 && hide_starts(p, n, "/usr")) || (n == 10 && hide_starts(p, n, "/usr/local")) || n == 1)
		return 0;
	return intern_get(&h->secrets[HIDE_ENVIRONMENT], p, n, &(uint32_t){0}, NULL);
}

static int look_on_process(void *ctx, const struct rec_process *p)
{
	struct hide *h = ctx;

	TRY(look_for_root(h, p->cwd));
	for (uint32_t i = 0; i < p->n_sys_path; i++)
		TRY(look_for_root(h, p->sys_path[i]));
	TRY(look_for_environment(h, p->prefix));
	return look_for_environment(h, p->base_prefix);
}

int hide_look_begin(struct hide *h)
{
	if (h->stream)
		stream_free(h->stream);
	h->ids.n = 0;
	h->stream = stream_new(&(struct decode_visitor){.ctx = h,
	                                                .epoch = look_on_epoch,
	                                                .epoch_goes_on = look_on_epoch_goes_on,
	                                                .string = look_on_string,
	                                                .recording = look_on_recording,
	                                                .host = look_on_host,
	                                                .process = look_on_process});
	return h->stream ? 0 : ERR_NO_MEMORY;
}

int hide_look_feed(void *hide, const void *bytes, size_t n)
{
	return stream_feed(((struct hide *)hide)->stream, bytes, n);
}

int hide_look_finish(void *hide)
{
	return stream_finish(((struct hide *)hide)->stream);
}

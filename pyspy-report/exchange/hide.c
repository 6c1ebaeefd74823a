#include "pyspy-report/exchange/hide.h"

#include <ctype.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/human.h"
#include "pyspy-report/exchange/hide_parts.h"
#include "pyspy-report/exchange/sha256.h"

enum { HIDE_HASH_DIGITS = 10, HIDE_ROOT_MAX = 4096 };

static const struct {
	const char *stem, *one, *many;
} kinds[HIDE_KINDS] = {
    [HIDE_HOST] = {"host", "host", "hosts"},
    [HIDE_BOOT] = {"boot", "boot id", "boot ids"},
    [HIDE_USER] = {"user", "user", "users"},
    [HIDE_FOLDER] = {"folder", "folder", "folders"},
    [HIDE_ENVIRONMENT] = {"env", "Python environment", "Python environments"},
    [HIDE_FILE] = {"file", "file name", "file names"},
    [HIDE_FUNCTION] = {"f", "function", "functions"},
    [HIDE_MODULE] = {"m", "module", "modules"},
    [HIDE_THREAD] = {"thread", "thread name", "thread names"},
    [HIDE_WORD] = {"arg", "word of command lines", "words of command lines"},
    [HIDE_NOTE] = {"note", "text of notes", "texts of notes"},
    [HIDE_SYMBOL] = {"s", "native symbol", "native symbols"},
};

int hide_init(struct hide *h, const struct hide_rules *rules)
{
	memset(h, 0, sizeof *h);
	h->rules = *rules;
	for (int i = 0; i < HIDE_KINDS; i++)
		TRY(intern_init(&h->secrets[i], 1 << 28));
	TRY(intern_init(&h->users, 1 << 24));
	TRY(intern_init(&h->hosts, 1 << 24));
	TRY(intern_init(&h->roots, 1 << 24));
	snprintf(h->note, sizeof h->note, "hosts, users, folders, command lines%s%s%s%s", rules->notes ? "" : ", notes",
	         rules->files || rules->functions ? ", files" : "", rules->functions ? ", functions" : "",
	         rules->threads ? ", threads" : "");
	return intern_init(&h->looked, 1 << 30);
}

void hide_done(struct hide *h)
{
	for (int i = 0; i < HIDE_KINDS; i++)
		intern_done(&h->secrets[i]);
	intern_done(&h->users);
	intern_done(&h->hosts);
	intern_done(&h->roots);
	intern_done(&h->looked);
	vec_free(&h->ids);
	if (h->stream)
		stream_free(h->stream);
}

static void digest(const struct hide *h, const char *kind, const void *p, size_t n, uint8_t out[32])
{
	struct sha256 s;

	sha256_init(&s);
	sha256_add(&s, h->rules.salt ? h->rules.salt : "", h->rules.salt ? strlen(h->rules.salt) + 1 : 1);
	sha256_add(&s, kind, strlen(kind) + 1);
	sha256_add(&s, p, n);
	sha256_end(&s, out);
}

/* The stand-in for a secret. */
static int stand_in(struct hide *h, enum hide_kind kind, const char *p, size_t n, struct buf *to)
{
	uint8_t hash[32];
	uint32_t id;

	TRY(intern_get(&h->secrets[kind], p, n, &id, NULL));
	buf_printf(to, "%s-", kinds[kind].stem);
	if (!h->rules.salt) {
		buf_printf(to, "%u", id);
		return 0;
	}
	digest(h, kinds[kind].stem, p, n, hash);
	for (int i = 0; i < HIDE_HASH_DIGITS / 2; i++)
		buf_printf(to, "%02x", hash[i]);
	return 0;
}

static bool is_word(unsigned char c)
{
	return isalnum(c) || c >= 0x80;
}

bool hide_same_letters(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (tolower((unsigned char)a[i]) != tolower((unsigned char)b[i]))
			return false;
	return true;
}

/* The name among `names` that stands at p: its id, or 0. The longest one, so that bob-smith is not bob. */
static uint32_t name_at(const struct hide *h, const struct intern *names, const char *p, size_t n, size_t *length)
{
	char lower[HIDE_NAME_MAX];
	uint32_t found = 0;

	*length = 0;
	n = n < h->longest ? n : h->longest;
	for (size_t i = 0; i < n; i++)
		lower[i] = (char)tolower((unsigned char)p[i]);
	for (; n >= HIDE_SHORT && names->n > 1 && !found; n--) {
		found = intern_find(names, lower, n);
		*length = found ? n : 0;
	}
	return found;
}

/* A text that is kept, but for the names of users and hosts in it. They are looked for at the begin of each word, and
 * not for a word's end: alice_tools and aliceTools are hers. */
static int keep(struct hide *h, const char *p, size_t n, struct buf *to)
{
	for (size_t i = 0; i < n;) {
		bool begins = i == 0 || !is_word((unsigned char)p[i - 1]) ||
		              (isupper((unsigned char)p[i]) && islower((unsigned char)p[i - 1]));
		size_t host_length = 0, user_length = 0;
		uint32_t host = begins ? name_at(h, &h->hosts, p + i, n - i, &host_length) : 0;
		uint32_t user = begins ? name_at(h, &h->users, p + i, n - i, &user_length) : 0;
		size_t len = host_length >= user_length ? host_length : user_length;

		if (!host && !user) {
			buf_put(to, p + i++, 1);
			continue;
		}
		const char *name = host_length >= user_length ? intern_bytes(&h->hosts, host, &len)
		                                              : intern_bytes(&h->users, user, &len);
		TRY(stand_in(h, host_length >= user_length ? HIDE_HOST : HIDE_USER, name, len, to));
		i += len;
	}
	return 0;
}

bool hide_starts(const char *p, size_t n, const char *with)
{
	size_t len = strlen(with);

	return n >= len && memcmp(p, with, len) == 0;
}

/* "python", "python3", "python3.13t": the length of it at p, or 0. */
static size_t python_name(const char *p, size_t n)
{
	size_t i = 6;

	if (!hide_starts(p, n, "python"))
		return 0;
	while (i < n && (isdigit((unsigned char)p[i]) || p[i] == '.' || p[i] == 't' || p[i] == 'd'))
		i++;
	return i;
}

/* Where in the path a Python's own folder begins: "/lib/python3.11/..." , "/bin/python3" at its end; n: nowhere. */
size_t hide_python_part(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t skip = hide_starts(p + i, n - i, "/lib/")     ? 5
		              : hide_starts(p + i, n - i, "/lib64/") ? 7
		                                                     : 0,
		       len;

		if (skip && (len = python_name(p + i + skip, n - i - skip)) > 6 &&
		    (i + skip + len == n || p[i + skip + len] == '/'))
			return i;
		if (skip && hide_starts(p + i + skip, n - i - skip, "python3") && n >= 4 &&
		    memcmp(p + n - 4, ".zip", 4) == 0)
			return i;
		if (hide_starts(p + i, n - i, "/bin/") && i + 5 + python_name(p + i + 5, n - i - 5) == n && n > i + 5)
			return i;
	}
	return n;
}

static bool is_system(const char *p, size_t n)
{
	static const char *const folders[] = {
	    "/usr/lib/", "/usr/lib64/", "/usr/bin/", "/usr/sbin/", "/usr/libexec/",
	    "/bin/",     "/sbin/",      "/lib/",     "/lib64/",    "/usr/local/bin/python"};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (hide_starts(p, n, folders[i]))
			return true;
	return false;
}

/* The longest folder of code that the path is in: its length, without a '/' at the end; 0: none. */
static size_t root_of(const struct hide *h, const char *p, size_t n)
{
	for (size_t len = n < HIDE_ROOT_MAX ? n : HIDE_ROOT_MAX; len > 1; len--)
		if ((len == n || p[len] == '/') && p[len - 1] != '/' && intern_find(&h->roots, p, len))
			return len;
	return 0;
}

/* The folders and the name of a file, behind what stands for its root; one by one when files are hidden. */
static int relative(struct hide *h, const char *p, size_t n, struct buf *to)
{
	bool hides = h->rules.files || h->rules.functions;

	for (size_t i = 0; i < n;) {
		size_t len = 0;

		while (i + len < n && p[i + len] != '/')
			len++;
		bool is_last = i + len == n;
		if (!hides || len == 0 || (len <= 2 && p[i] == '.')) {
			TRY(keep(h, p + i, len, to));
		} else {
			bool is_python = is_last && len > 3 && memcmp(p + i + len - 3, ".py", 3) == 0;

			TRY(stand_in(h, HIDE_FILE, p + i, len - (is_python ? 3 : 0), to));
			buf_str(to, is_python ? ".py" : "");
		}
		i += len;
		if (i < n)
			buf_u8(to, (uint8_t)p[i++]);
	}
	return 0;
}

int hide_path(struct hide *h, const char *p, size_t n, struct buf *to)
{
	size_t at, root;

	if (n == 0 || p[0] == '<' || p[0] == '[') /* <string>, <frozen ...>, [vdso] */
		return keep(h, p, n, to);
	at = hide_python_part(p, n);
	if (at < n &&
	    (at == 0 || (at == 4 && hide_starts(p, n, "/usr")) || (at == 10 && hide_starts(p, n, "/usr/local"))))
		return keep(h, p, n, to);
	if (at < n) {
		buf_str(to, "/");
		TRY(stand_in(h, HIDE_ENVIRONMENT, p, at, to));
		return keep(h, p + at, n - at, to);
	}
	if (is_system(p, n) || (n == 4 && hide_starts(p, n, "/usr")) || (n == 10 && hide_starts(p, n, "/usr/local")))
		return keep(h, p, n, to);
	if (intern_find(&h->secrets[HIDE_ENVIRONMENT], p, n)) { /* sys.prefix */
		buf_str(to, "/");
		return stand_in(h, HIDE_ENVIRONMENT, p, n, to);
	}
	if (p[0] != '/')
		return relative(h, p, n, to);
	root = root_of(h, p, n);
	if (!root) { /* its folder is all that is known */
		root = n - 1;
		while (root > 0 && p[root] != '/')
			root--;
		if (root == 0)
			root = n;
	}
	buf_str(to, "/");
	TRY(stand_in(h, HIDE_FOLDER, p, root, to));
	return relative(h, p + root, n - root, to);
}

/* Code of the standard library and of packages keeps its names. */
static bool is_own_file(const char *file, size_t n)
{
	if (n == 0 || file[0] == '<')
		return n > 0 && !hide_starts(file, n, "<frozen");
	return hide_python_part(file, n) == n && !is_system(file, n);
}

static int command_word(struct hide *h, const char *p, size_t n, struct buf *to)
{
	size_t slash = n;

	while (slash > 0 && p[slash - 1] != '/')
		slash--;
	if ((n == 2 && p[0] == '-' && p[1] != '-') || (n == 2 && p[1] == '-'))
		return keep(h, p, n, to);
	if (n > slash && python_name(p + slash, n - slash) == n - slash)
		return slash ? hide_path(h, p, n, to) : keep(h, p, n, to);
	if (n > 3 && memcmp(p + n - 3, ".py", 3) == 0)
		return hide_path(h, p, n, to);
	return n ? stand_in(h, HIDE_WORD, p, n, to) : 0;
}

/* Of the recorder's command line its own options stay, and numbers. */
static int recorder_word(struct hide *h, const char *p, size_t n, struct buf *to)
{
	static const char *const options[] = {
	    "--pid",     "--output", "--format",  "--rate",     "--duration", "--subprocesses",   "--native",
	    "--threads", "--gil",    "--idle",    "--function", "--nolineno", "--full-filenames", "--nonblocking",
	    "--locals",  "--engine", "--max-cpu", "--quiet",    "--force",    "--max-stop",       "--note"};
	size_t i = 0;

	for (size_t k = 0; k < sizeof options / sizeof *options; k++)
		if (strlen(options[k]) == n && memcmp(options[k], p, n) == 0)
			return keep(h, p, n, to);
	while (i < n && (isdigit((unsigned char)p[i]) || p[i] == '.'))
		i++;
	if (n && n < 9 && i && (i == n || (n - i <= 3 && isalpha((unsigned char)p[i])) || (i + 1 == n && p[i] == '%')))
		return keep(h, p, n, to);
	if (hide_starts(p, n, "pyspy-record") && n == 12)
		return keep(h, p, n, to);
	return command_word(h, p, n, to);
}

/* A name with dots, part by part; <module>, <lambda>, <locals> stay. */
static int dotted(struct hide *h, enum hide_kind kind, const char *p, size_t n, struct buf *to)
{
	for (size_t i = 0; i < n;) {
		size_t len = 0;

		while (i + len < n && p[i + len] != '.')
			len++;
		if (len == 0 || p[i] == '<' || (len == 8 && memcmp(p + i, "__main__", 8) == 0) ||
		    (len > 4 && memcmp(p + i, "__", 2) == 0 && memcmp(p + i + len - 2, "__", 2) == 0))
			buf_put(to, p + i, len);
		else
			TRY(stand_in(h, kind, p + i, len, to));
		i += len;
		if (i < n)
			buf_u8(to, (uint8_t)p[i++]);
	}
	return 0;
}

static int on_text(void *ctx, enum copyist_text kind, const char *p, size_t n, const char *file, size_t n_file,
                   struct buf *to)
{
	struct hide *h = ctx;

	switch (kind) {
	case COPYIST_HOST:
		return n ? stand_in(h, HIDE_HOST, p, n, to) : 0;
	case COPYIST_BOOT:
		return n ? stand_in(h, HIDE_BOOT, p, n, to) : 0;
	case COPYIST_OPTION:
		return recorder_word(h, p, n, to);
	case COPYIST_NOTE:
		return h->rules.notes ? keep(h, p, n, to) : n ? stand_in(h, HIDE_NOTE, p, n, to) : 0;
	case COPYIST_FUNCTION:
		return h->rules.functions && is_own_file(file, n_file) ? dotted(h, HIDE_FUNCTION, p, n, to)
		                                                       : keep(h, p, n, to);
	case COPYIST_MODULE:
		return h->rules.functions && is_own_file(file, n_file) ? dotted(h, HIDE_MODULE, p, n, to)
		                                                       : keep(h, p, n, to);
	case COPYIST_FILE:
	case COPYIST_PATH:
		return hide_path(h, p, n, to);
	case COPYIST_WORD:
		return command_word(h, p, n, to);
	case COPYIST_THREAD:
		return h->rules.threads && n && !(n == 10 && memcmp(p, "MainThread", 10) == 0)
		           ? stand_in(h, HIDE_THREAD, p, n, to)
		           : keep(h, p, n, to);
	case COPYIST_SYMBOL:
		return h->rules.functions && !hide_starts(p, n, "Py") && !hide_starts(p, n, "_Py")
		           ? (n ? stand_in(h, HIDE_SYMBOL, p, n, to) : 0)
		           : keep(h, p, n, to);
	case COPYIST_VERSION: { /* 3.13.0, without who built it; 6.1.0 of 6.1.0-acme-prod */
		size_t i = 0;
		while (i < n && (isdigit((unsigned char)p[i]) || (p[i] == '.' && i)))
			i++;
		buf_put(to, p, i);
		return 0;
	}
	case COPYIST_PLAIN:
	case COPYIST_TEXTS:
		break;
	}
	return keep(h, p, n, to);
}

static void on_uuid(void *ctx, uint8_t uuid[16])
{
	uint8_t hash[32];

	digest(ctx, "uuid", uuid, 16, hash);
	memcpy(uuid, hash, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x80); /* RFC 9562: version 8, variant 1 */
	uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80);
}

static void on_process(void *ctx, struct rec_process *p)
{
	p->uid = p->uid ? 65534 : 0; /* nobody */
}

struct copyist_hooks hide_hooks(struct hide *h)
{
	return (struct copyist_hooks){.ctx = h,
	                              .text = on_text,
	                              .uuid = on_uuid,
	                              .process = on_process,
	                              .note_key = "pyspy.anonymized",
	                              .note = h->note};
}

void hide_say(const struct hide *h, struct buf *out)
{
	char text[HUMAN_SIZE];
	bool any = false;

	for (int i = 0; i < HIDE_KINDS; i++) {
		uint32_t n = h->secrets[i].n - 1;

		if (n)
			buf_printf(out, "%s%s %s", any ? ", " : "", human_count(text, n),
			           n == 1 ? kinds[i].one : kinds[i].many);
		any |= n > 0;
	}
	if (!any)
		buf_str(out, "nothing");
}

/* Locks, threads, files, sockets, loggers, network addresses, itertools' counters. */
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

/* --- locks */

/* A mutex of a byte (from 3.13.1 or so on), and nothing else; before: a pointer, weak references, and what says that it
 * is locked. */
int repr_show_lock(struct repr *p, raddr_t object, const struct repr_type *t)
{
	unsigned char locked;
	bool is_mutex = t->basicsize < (int64_t)repr_body(p) + 24;
	TRY(reader_read(p->reader, object + repr_body(p) + (is_mutex ? 0 : 16), &locked, 1));
	repr_put(p, locked & 1 ? "<locked " : "<unlocked ");
	repr_put_type(p, t);
	repr_format(p, " object at 0x%llx>", (unsigned long long)object);
	return 0;
}

/* lock, owner, count, weak references; from 3.14 on mutex, owner, and how often more */
int repr_show_rlock(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t words[3];
	if (p->layout->is_python2)
		return repr_show_object(p, object, t);
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	uint64_t count = t->basicsize >= (int64_t)repr_body(p) + 32 ? words[2] : words[0] & 1 ? words[2] + 1 : 0;
	repr_put(p, count ? "<locked " : "<unlocked ");
	repr_put_type(p, t);
	repr_format(p, " object owner=%llu count=%llu at 0x%llx>", (unsigned long long)words[1],
	            (unsigned long long)count, (unsigned long long)object);
	return 0;
}

/* --- threading: Thread, Event */

static bool is_true(struct repr *p, raddr_t object, const struct repr_type *t, const char *name)
{
	raddr_t value;
	int64_t v;
	return repr_attribute(p, object, t, name, &value) == 0 && repr_int(p, value, &v) == 0 && v;
}

static bool is_set(struct repr *p, raddr_t event)
{
	int rc;
	const struct repr_type *t = repr_type_of(p, event, &rc);
	return t && (is_true(p, event, t, "_flag") || is_true(p, event, t, "_Event__flag"));
}

int repr_show_event(struct repr *p, raddr_t object, const struct repr_type *t)
{
	repr_put(p, "<");
	repr_put_type(p, t);
	repr_format(p, " at 0x%llx: %s>", (unsigned long long)object, is_set(p, object) ? "set" : "unset");
	return 0;
}

int repr_show_thread(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t name, started, ident;
	char text[REPR_NAME] = "?";
	int64_t number;
	if (layout_minor(p->layout) >= 0x30d) /* whether it has ended is told elsewhere */
		return repr_show_custom(p, object, t);
	TRY(repr_attribute(p, object, t, p->layout->is_python2 ? "_Thread__name" : "_name", &name));
	TRY(repr_text(p, name, text, sizeof text));
	bool is_started =
	    repr_attribute(p, object, t, p->layout->is_python2 ? "_Thread__started" : "_started", &started) == 0 &&
	    is_set(p, started);
	bool is_stopped = is_true(p, object, t, p->layout->is_python2 ? "_Thread__stopped" : "_is_stopped");
	repr_put(p, "<");
	repr_put_name(p, repr_short_name(t));
	repr_put(p, "(");
	repr_put_name(p, text);
	repr_put(p, is_stopped ? ", stopped" : is_started ? ", started" : ", initial");
	if (is_true(p, object, t, p->layout->is_python2 ? "_Thread__daemonic" : "_daemonic"))
		repr_put(p, " daemon");
	if (repr_attribute(p, object, t, p->layout->is_python2 ? "_Thread__ident" : "_ident", &ident) == 0 &&
	    repr_int(p, ident, &number) == 0)
		repr_format(p, " %lld", (long long)number);
	repr_put(p, ")>");
	return 0;
}

/* --- io: who has the name is the innermost, the FileIO */

static int put_file_name(struct repr *p, raddr_t buffer)
{
	raddr_t raw, name;
	int rc;
	const struct repr_type *t = repr_type_of(p, buffer, &rc);
	if (!t || strncmp(t->name, "_io.Buffered", 12) != 0)
		return 0;
	TRY(repr_word(p, buffer + repr_body(p), &raw)); /* its first member */
	t = repr_type_of(p, raw, &rc);
	if (!t || repr_attribute(p, raw, t, "name", &name) < 0)
		return 0;
	repr_put(p, " name=");
	return repr_inner(p, name);
}

int repr_show_buffered(struct repr *p, raddr_t object, const struct repr_type *t)
{
	if (!repr_enter(p, object, "<", ">", UINT64_MAX))
		return 0;
	repr_put(p, "<");
	repr_put_name(p, t->name);
	TRY(put_file_name(p, object));
	repr_put(p, ">");
	repr_leave(p);
	return 0;
}

/* 2.x: FILE, name, mode */
int repr_show_file2(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t words[3];
	char mode[32];
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	TRY(repr_text(p, words[2], mode, sizeof mode));
	if (!repr_enter(p, object, "<", ">", UINT64_MAX))
		return 0;
	repr_put(p, words[0] ? "<open file " : "<closed file ");
	TRY(repr_inner(p, words[1]));
	repr_put(p, ", mode '");
	repr_put_name(p, mode);
	repr_format(p, "' at 0x%llx>", (unsigned long long)object);
	repr_leave(p);
	return 0;
}

/* ok, detached, chunk_size, buffer, encoding */
int repr_show_text_io(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t words[4];
	raddr_t mode;
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	if (!repr_enter(p, object, "<", ">", UINT64_MAX))
		return 0;
	repr_put(p, "<");
	repr_put_name(p, t->name);
	TRY(put_file_name(p, words[2]));
	if (repr_attribute(p, object, t, "mode", &mode) == 0) {
		repr_put(p, " mode=");
		TRY(repr_inner(p, mode));
	}
	repr_put(p, " encoding=");
	TRY(repr_inner(p, words[3]));
	repr_put(p, ">");
	repr_leave(p);
	return 0;
}

/* fd, family, type, proto; the addresses would have to be asked of the kernel */
int repr_show_socket(struct repr *p, raddr_t object, const struct repr_type *t)
{
	int32_t v[4];
	TRY(reader_read(p->reader, object + repr_body(p), v, sizeof v));
	repr_put(p, "<");
	repr_put_type(p, t);
	repr_format(p, "%s fd=%d, family=%d, type=%d, proto=%d>", v[0] < 0 ? " [closed]" : "", v[0], v[1], v[2], v[3]);
	return 0;
}

/* --- logging */

/* Its own level, or that of the next one above that has one. */
static int64_t effective_level(struct repr *p, raddr_t logger)
{
	int rc;
	for (int i = 0; i < 100; i++) {
		raddr_t value;
		int64_t level = 0;
		const struct repr_type *t = repr_type_of(p, logger, &rc);
		if (!t || repr_is_none(t))
			break;
		if (repr_attribute(p, logger, t, "level", &value) == 0 && repr_int(p, value, &level) == 0 && level)
			return level;
		if (repr_attribute(p, logger, t, "parent", &logger) < 0)
			break;
	}
	return 0;
}

int repr_show_logger(struct repr *p, raddr_t object, const struct repr_type *t)
{
	static const char *const names[] = {"NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"};
	raddr_t name;
	char text[REPR_NAME];
	TRY(repr_attribute(p, object, t, "name", &name));
	TRY(repr_text(p, name, text, sizeof text));
	int64_t level = effective_level(p, object);
	repr_put(p, "<");
	repr_put_name(p, repr_short_name(t));
	repr_put(p, " ");
	repr_put_name(p, text);
	if (level >= 0 && level <= 50 && level % 10 == 0)
		repr_format(p, " (%s)>", names[level / 10]);
	else
		repr_format(p, " (Level %lld)>", (long long)level);
	return 0;
}

/* --- ipaddress */

/* The longest row of two zeros and more is left out. */
static void put_v6(struct repr *p, const uint16_t *groups)
{
	int best = -1, best_n = 1;
	for (int i = 0, n; i < 8; i += n ? n : 1) {
		for (n = 0; i + n < 8 && groups[i + n] == 0; n++)
			;
		if (n > best_n) {
			best = i;
			best_n = n;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			repr_put(p, "::");
			i += best_n - 1;
		} else {
			repr_format(p, "%s%x", i && i != best + best_n ? ":" : i && best < 0 ? ":" : "", groups[i]);
		}
	}
}

static int put_address(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t number;
	unsigned __int128 v;
	TRY(repr_attribute(p, object, t, "_ip", &number));
	TRY(repr_int128(p, number, &v));
	if (!strstr(t->qualname, "6")) {
		repr_format(p, "%u.%u.%u.%u", (unsigned)(v >> 24) & 255, (unsigned)(v >> 16) & 255,
		            (unsigned)(v >> 8) & 255, (unsigned)v & 255);
		return 0;
	}
	uint16_t groups[8];
	for (int i = 0; i < 8; i++)
		groups[i] = (uint16_t)(v >> (112 - 16 * i));
	put_v6(p, groups);
	return 0;
}

int repr_show_address(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t scope;
	char text[64];
	repr_put_name(p, repr_short_name(t));
	repr_put(p, "('");
	TRY(put_address(p, object, t));
	if (repr_attribute(p, object, t, "_scope_id", &scope) == 0 && repr_text(p, scope, text, sizeof text) == 0) {
		repr_put(p, "%");
		repr_put_name(p, text);
	}
	repr_put(p, "')");
	return 0;
}

int repr_show_network(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t address, prefix;
	int64_t bits;
	int rc;
	TRY(repr_attribute(p, object, t, "network_address", &address));
	TRY(repr_attribute(p, object, t, "_prefixlen", &prefix));
	TRY(repr_int(p, prefix, &bits));
	const struct repr_type *at = repr_type_of(p, address, &rc);
	if (!at)
		return rc;
	repr_put_name(p, repr_short_name(t));
	repr_put(p, "('");
	TRY(put_address(p, address, at));
	repr_format(p, "/%lld')", (long long)bits);
	return 0;
}

/* --- itertools */

/* the next one, as a number, and where it does not fit as an object; the step */
int repr_show_count(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t words[3];
	int64_t step = 0;
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	repr_put(p, "count(");
	if (words[0] == INT64_MAX)
		TRY(repr_inner(p, words[1]));
	else
		repr_format(p, "%lld", (long long)words[0]);
	if (words[0] == INT64_MAX && words[2] && !(repr_int(p, words[2], &step) == 0 && step == 1)) {
		repr_put(p, ", ");
		TRY(repr_inner(p, words[2]));
	}
	repr_put(p, ")");
	return 0;
}

int repr_show_repeat(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t words[2];
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	if (!repr_enter(p, object, "repeat(", ")", UINT64_MAX))
		return 0;
	repr_put(p, "repeat(");
	TRY(repr_inner(p, words[0]));
	if ((int64_t)words[1] >= 0)
		repr_format(p, ", %lld", (long long)words[1]);
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

/* datetime's types, as Modules/_datetimemodule.c lays them out: hash, has-tzinfo, packed data; and zoneinfo. */
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

enum { DATE = 4, DATETIME = 10, TIME = 6 };

static void put_class(struct repr *p, const struct repr_type *t)
{
	repr_put_name(p, t->name);
}

static int read_data(struct repr *p, raddr_t object, unsigned char *data, size_t n, bool *has_tzinfo)
{
	unsigned char flag;
	TRY(reader_read(p->reader, object + repr_body(p) + 8, &flag, 1));
	*has_tzinfo = flag == 1;
	return reader_read(p->reader, object + repr_body(p) + 9, data, n);
}

int repr_show_date(struct repr *p, raddr_t object, const struct repr_type *t)
{
	unsigned char d[DATE];
	bool unused;
	TRY(read_data(p, object, d, sizeof d, &unused));
	put_class(p, t);
	repr_format(p, "(%d, %d, %d)", d[0] << 8 | d[1], d[2], d[3]);
	return 0;
}

/* What follows the numbers. `at`: of the tzinfo; the byte behind the data is `fold` from 3.6 on. */
static int show_rest(struct repr *p, raddr_t fold_at, raddr_t tzinfo_at, bool has_tzinfo)
{
	unsigned char fold = 0;
	raddr_t tzinfo;
	if (layout_minor(p->layout) >= 0x306)
		TRY(reader_read(p->reader, fold_at, &fold, 1));
	if (fold == 1)
		repr_put(p, ", fold=1");
	if (has_tzinfo) {
		TRY(repr_word(p, tzinfo_at, &tzinfo));
		repr_put(p, ", tzinfo=");
		TRY(repr_inner(p, tzinfo));
	}
	repr_put(p, ")");
	return 0;
}

static void put_clock(struct repr *p, const unsigned char *d, const char *open)
{
	int us = d[3] << 16 | d[4] << 8 | d[5];
	repr_format(p, "%s%d, %d", open, d[0], d[1]);
	if (us)
		repr_format(p, ", %d, %d", d[2], us);
	else if (d[2])
		repr_format(p, ", %d", d[2]);
}

int repr_show_datetime(struct repr *p, raddr_t object, const struct repr_type *t)
{
	unsigned char d[DATETIME];
	bool has_tzinfo;
	raddr_t body = object + repr_body(p);
	TRY(read_data(p, object, d, sizeof d, &has_tzinfo));
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	put_class(p, t);
	repr_format(p, "(%d, %d, %d", d[0] << 8 | d[1], d[2], d[3]);
	put_clock(p, d + DATE, ", ");
	TRY(show_rest(p, body + 9 + DATETIME, body + 24, has_tzinfo));
	repr_leave(p);
	return 0;
}

int repr_show_time(struct repr *p, raddr_t object, const struct repr_type *t)
{
	unsigned char d[TIME];
	bool has_tzinfo;
	raddr_t body = object + repr_body(p);
	TRY(read_data(p, object, d, sizeof d, &has_tzinfo));
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	put_class(p, t);
	put_clock(p, d, "(");
	TRY(show_rest(p, body + 9 + TIME, body + 16, has_tzinfo));
	repr_leave(p);
	return 0;
}

int repr_show_timedelta(struct repr *p, raddr_t object, const struct repr_type *t)
{
	int32_t v[3]; /* days, seconds, microseconds */
	static const char *const names[] = {"days", "seconds", "microseconds"};
	TRY(reader_read(p->reader, object + repr_body(p) + 8, v, sizeof v));
	put_class(p, t);
	if (layout_minor(p->layout) < 0x307) {
		repr_format(p, "(%d", v[0]);
		if (v[1] || v[2])
			repr_format(p, ", %d", v[1]);
		if (v[2])
			repr_format(p, ", %d", v[2]);
		repr_put(p, ")");
		return 0;
	}
	const char *separator = "(";
	for (int i = 0; i < 3; i++)
		if (v[i]) {
			repr_format(p, "%s%s=%d", separator, names[i], v[i]);
			separator = ", ";
		}
	repr_put(p, *separator == '(' ? "(0)" : ")");
	return 0;
}

/* timezone: offset, name. The one without a name and an offset is datetime.timezone.utc itself. */
int repr_show_timezone(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t words[2];
	int32_t v[3];
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	TRY(reader_read(p->reader, words[0] + repr_body(p) + 8, v, sizeof v));
	if (!words[1] && !v[0] && !v[1] && !v[2]) {
		repr_put(p, "datetime.timezone.utc");
		return 0;
	}
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	put_class(p, t);
	repr_put(p, "(");
	TRY(repr_inner(p, words[0]));
	if (words[1]) {
		repr_put(p, ", ");
		TRY(repr_inner(p, words[1]));
	}
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

/* zoneinfo.ZoneInfo: the key is its first member (Modules/_zoneinfo.c) */
int repr_show_zoneinfo(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t key;
	TRY(repr_word(p, object + repr_body(p), &key));
	if (!key || object_is_text(p->reader, p->layout, key) != 1)
		return repr_show_object(p, object, t);
	repr_put_name(p, t->name);
	repr_put(p, "(key=");
	TRY(repr_inner(p, key));
	repr_put(p, ")");
	return 0;
}

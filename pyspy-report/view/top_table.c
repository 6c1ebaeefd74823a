#include "pyspy-report/view/top_table.h"

#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "pyspy-report/view/caption.h"

static void put_line(FILE *out, const char *what, struct buf *raw)
{
	struct buf safe;

	buf_init(&safe, 0);
	escape_text(&safe, buf_cstr(raw), raw->len);
	if (safe.len)
		fprintf(out, "%-9s%s\n", what, buf_cstr(&safe));
	buf_done(&safe);
	buf_reset(raw);
}

static void put_header(FILE *out, const struct profile *p, const struct summary *s, const struct filter *f)
{
	struct buf b;

	buf_init(&b, 0);
	caption_command(&b, p, s);
	put_line(out, "command", &b);
	caption_samples(&b, p, s, f);
	put_line(out, "samples", &b);
	caption_losses(&b, p, s);
	if (!b.len)
		buf_str(&b, "nothing");
	put_line(out, "lost", &b);
	buf_done(&b);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

int top_table_write(FILE *out, const struct rank *r, const struct naming *n, const struct summary *s,
                    const struct filter *f, const struct top_table_options *o)
{
	uint64_t all = summary_shares(s, &s->kept)->n;
	size_t shown = o->limit && o->limit < r->rows.n ? o->limit : r->rows.n;
	char count[2][HUMAN_SIZE], time[2][HUMAN_SIZE];
	struct buf raw, safe;

	buf_init(&raw, 0);
	buf_init(&safe, 0);
	put_header(out, n->profile, s, f);
	if (r->rows.n)
		fprintf(out, "\n%7s %7s %10s %10s %10s %10s  %s\n", "self %", "total %", r->by_time ? "self n" : "self",
		        r->by_time ? "total n" : "total", "self time", "total time", "function (file:line)");
	for (size_t i = 0; i < shown; i++) {
		const struct rank_row *k = &r->rows.v[i];

		buf_reset(&raw);
		buf_reset(&safe);
		naming_text(n, k->frame, &raw);
		escape_text(&safe, buf_cstr(&raw), raw.len);
		fprintf(out, "%7.2f %7.2f %10s %10s %10s %10s  %s\n", percent(r->by_time ? k->self_ns : k->self_n, all),
		        percent(r->by_time ? k->total_ns : k->total_n, all), human_count(count[0], k->self_n),
		        human_count(count[1], k->total_n), human_duration(time[0], k->self_ns),
		        human_duration(time[1], k->total_ns), buf_cstr(&safe));
	}
	if (shown < r->rows.n)
		fprintf(out, "... %s more rows; --limit 0 shows all\n", human_count(count[0], r->rows.n - shown));
	int err = raw.err ? raw.err : safe.err;
	buf_done(&raw);
	buf_done(&safe);
	return err;
}

#include "pyspy-report/view/sample_lines.h"

#include <inttypes.h>
#include <string.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "pyspy-report/view/words.h"

static const struct {
	uint32_t flag;
	const char *word;
} marks[] = {
    {WIRE_FLAG_GIL, "gil"},           {WIRE_FLAG_GIL_WAIT, "gil-wait"}, {WIRE_FLAG_GC, "gc"},
    {TALLY_IN_MOTION, "in-motion"},   {WIRE_FLAG_CUT, "cut"},           {TALLY_LOST, "lost"},
    {WIRE_FLAG_UNPROVED, "unproved"}, {TALLY_EVENT, "event"},
};

void sample_lines_init(struct sample_lines *l, FILE *out, struct naming *n)
{
	memset(l, 0, sizeof *l);
	l->out = out;
	l->naming = n;
	frame_text_init(&l->texts, n, escape_folded);
	buf_init(&l->line, 0);
}

void sample_lines_done(struct sample_lines *l)
{
	frame_text_done(&l->texts);
	vec_free(&l->path);
	buf_done(&l->line);
}

static void put_time(struct buf *b, uint64_t time_ns, uint64_t started_ns)
{
	bool before = time_ns < started_ns;
	uint64_t ns = before ? started_ns - time_ns : time_ns - started_ns;

	buf_printf(b, "%s%" PRIu64 ".%06" PRIu64, before ? "-" : "", ns / CLOCK_NS_PER_S, ns % CLOCK_NS_PER_S / 1000);
}

void sample_lines_marks(struct buf *b, uint32_t flags, uint64_t weight_ns)
{
	bool any = false;

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		if (!(flags & marks[i].flag))
			continue;
		buf_printf(b, "%s%s", any ? "," : "", marks[i].word);
		if (marks[i].flag == TALLY_EVENT)
			buf_printf(b, "=%" PRIu64, weight_ns);
		any = true;
	}
	if (!any)
		buf_u8(b, '-');
}

static void put_frame(struct sample_lines *l, uint32_t frame, bool *any)
{
	size_t n;
	const char *s = frame_text_get(&l->texts, frame, &n);

	if (*any)
		buf_u8(&l->line, ';');
	buf_put(&l->line, s, n);
	*any = true;
}

static int put_stack(struct sample_lines *l, const struct shape *shape, uint32_t path)
{
	bool any = false;

	l->path.n = 0;
	for (uint32_t at = path; at; at = shape->nodes.v[at].parent)
		if (!vec_push(&l->path, shape->nodes.v[at].frame))
			return ERR_NO_MEMORY;
	while (l->path.n)
		put_frame(l, l->path.v[--l->path.n], &any);
	return l->texts.all.err;
}

int sample_lines_write(struct sample_lines *l, const struct profile *p, const struct shape *shape,
                       const struct replay_sample *s, uint32_t path)
{
	const struct profile_thread *t = &p->threads.v[s->thread];
	struct buf *b = &l->line;
	size_t n;
	const char *name = profile_text(p, t->name, &n);

	buf_reset(b);
	put_time(b, s->time_ns, p->recordings.v[s->recording].started_ns);
	buf_printf(b, "\t%u/%u\t", p->processes.v[t->process].pid, t->tid);
	if (n)
		escape_text(b, name, n);
	else
		buf_u8(b, '-');
	buf_printf(b, "\t%s\t", words_state(s->flags & WIRE_FLAG_STATE));
	sample_lines_marks(b, s->flags, s->weight_ns);
	buf_printf(b, "\t%s\t", words_way((s->flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT));
	TRY(put_stack(l, shape, path));
	buf_u8(b, '\n');
	TRY(b->err);
	fwrite(b->data, 1, b->len, l->out);
	return ferror(l->out) ? ERR_IO : 0;
}

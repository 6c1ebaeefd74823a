#include "pyspy-report/report_page.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/log.h"
#include "libcommon/spool.h"
#include "pyspy-report/query/timeline.h"
#include "pyspy-report/report_progress.h"

struct report_page {
	struct report_job *j;
	struct timeline clocks; /* without tracks: for what it knows of several recordings' clocks */
	struct page_nodes nodes;
	struct buckets buckets;
};

static bool is_wanted(const struct report_page *g, uint32_t thread)
{
	const struct filter *f = &g->j->filter;

	return thread >= f->threads.n || f->threads.v[thread];
}

static int add_meters(struct report_page *g, const struct lane_stretch *s, uint64_t begin_ns)
{
	uint32_t state = s->flags & WIRE_FLAG_STATE;
	bool is[PAGE_METERS] = {[PAGE_CPU] = state == WIRE_STATE_ON_CPU || state == WIRE_STATE_ACTIVE,
	                        [PAGE_GIL] = s->flags & WIRE_FLAG_GIL,
	                        [PAGE_GIL_WAIT] = s->flags & WIRE_FLAG_GIL_WAIT};

	for (uint32_t i = 0; i < PAGE_METERS; i++)
		if (is[i])
			TRY(buckets_add(&g->buckets, PAGE_METER(i), s->thread, begin_ns, s->length_ns, 0));
	return 0;
}

static int on_stretch(void *ctx, const struct profile *p, const struct lane_stretch *s)
{
	struct report_page *g = ctx;
	int64_t at = (int64_t)(s->begin_ns + timeline_clock(&g->clocks, s->recording));
	uint64_t begin_ns = at < 0 ? 0 : (uint64_t)at; /* an event may be older than its recording */
	uint32_t path;

	(void)p;
	if (is_wanted(g, s->thread))
		TRY(add_meters(g, s, begin_ns));
	TRY(shape_path(&g->j->shape, s->thread, s->stack, s->flags, &path));
	if (path == SHAPE_DROPPED || path >= g->j->tree.nodes.n) /* such a path has no weight */
		return 0;
	return buckets_add(&g->buckets, g->nodes.place[path], s->thread, begin_ns, s->length_ns, s->n);
}

/* The cells of each node add up to what it has: lanes are the tally's. Not so for CPU time, which they do not know. */
static bool is_exact(const struct report_page *g)
{
	const struct buckets *b = &g->buckets;
	size_t at = 0;

	for (uint32_t i = 0; i < g->nodes.list.n; i++) {
		uint64_t n = 0, ns = 0;

		for (; at < b->cells.n && b->cells.v[at].node == i; at++) {
			n += b->cells.v[at].n;
			ns += b->cells.v[at].ns;
		}
		if (n != g->nodes.list.v[i].self_n || ns != g->nodes.list.v[i].self_ns)
			return false;
	}
	return true;
}

/* Make them so. */
static int make_exact(struct report_page *g)
{
	const struct profile *p = &g->j->profile;
	struct buckets sums; /* of one bucket */
	int rc = buckets_init(&sums, 0, REPORT_PAGE_CELLS);

	for (size_t i = 0; i < p->tally.rows.n && !rc; i++) {
		const struct tally_row *r = &p->tally.rows.v[i];
		uint64_t ns = filter_row_ns(&g->j->filter, r);
		uint32_t path = SHAPE_DROPPED;

		if (r->n || ns)
			rc = shape_path(&g->j->shape, r->thread, r->stack, r->flags, &path);
		if (!rc && path != SHAPE_DROPPED)
			rc = buckets_add(&sums, g->nodes.place[path], r->thread, 0, ns, r->n);
	}
	if (!rc)
		rc = buckets_finish(&sums);
	if (!rc)
		rc = buckets_agree(&g->buckets, sums.cells.v, sums.cells.n);
	buckets_done(&sums);
	return rc;
}

static int fill(struct report_page *g, uint64_t max_frames)
{
	struct report_job *j = g->j;
	struct spool spool;

	TRY(page_nodes_make(&g->nodes, &j->tree, &j->naming, max_frames));
	TRY(timeline_settle(&g->clocks));
	TRY(buckets_init(&g->buckets, g->clocks.end_ns, REPORT_PAGE_CELLS));
	memset(&spool, 0, sizeof spool);
	int rc = report_input_lanes(&j->input, &j->profile, &j->options, on_stretch, g, &spool);
	if (rc == ERR_IO)
		log_error("cannot put samples aside in a temporary file: %s; free some space, or name another folder "
		          "in TMPDIR",
		          strerror(spool.error_number));
	spool_done(&spool);
	if (rc)
		return rc == ERR_IO ? REPORT_ERROR : rc;
	TRY(buckets_finish(&g->buckets));
	return is_exact(g) ? 0 : make_exact(g);
}

static int write_page(struct report_page *g, uint64_t max_frames, struct page_options *o)
{
	struct report_job *j = g->j;
	int rc = tree_build_shape(&j->tree, &j->shape);

	j->has_tree = true;
	if (!rc)
		rc = fill(g, max_frames);
	report_progress_end();
	o->invert = j->options.invert;
	o->origin_ns = g->clocks.origin_ns;
	if (!rc)
		rc = page_write(j->output.file, &j->tree, &j->naming, &j->summary, &j->filter, &g->nodes, &g->buckets,
		                o);
	return rc;
}

int report_page_write(struct report_job *j, uint64_t max_frames, struct page_options *o)
{
	struct report_page g = {.j = j};
	struct naming_options naming = report_options_naming(&j->options, &j->profile);
	struct shape_options rows = report_job_rows(j).shape;
	int rc, status = report_job_shape(j, &naming, &rows);

	if (status != REPORT_GO_ON)
		return status;
	timeline_init(&g.clocks, &j->profile, false);
	rc = write_page(&g, max_frames, o);
	buckets_done(&g.buckets);
	page_nodes_done(&g.nodes);
	timeline_done(&g.clocks);
	return rc == REPORT_ERROR ? report_job_drop(j, rc) : report_job_end(j, rc, false);
}

/* page: a profile as one HTML file that is also a program: flame graph, timeline, table, search (assets/page_*.js).
 *
 * One file, nothing fetched: its Content-Security-Policy allows the one script and the one style by their hash, and no
 * connection. Trust: names leave in visible form (escape_text) and are data: base64 of zlib, or JSON in which no '<'
 * stands; the script is a constant and writes texts only as text.
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/buckets.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/view/page_nodes.h"

/* Nodes that stand for what a thread was up to, whatever the view leaves out: nanoseconds on a CPU, with the GIL,
 * waiting for it. */
enum page_meter { PAGE_CPU, PAGE_GIL, PAGE_GIL_WAIT, PAGE_METERS };
#define PAGE_METER(meter) (UINT32_MAX - PAGE_METERS + (uint32_t)(meter))

struct page_options {
	const char *title; /* NULL: the program's command line */
	bool by_weight, invert;
	int64_t origin_ns; /* where the buckets begin, as CLOCK_REALTIME; 0 = not known */
};

/* cells of `b`: by index of p->list or PAGE_METER. 0 or ERR_NO_MEMORY; write errors stay in `out`. */
int page_write(FILE *out, const struct tree *t, const struct naming *n, const struct summary *s, const struct filter *f,
               const struct page_nodes *p, const struct buckets *b, const struct page_options *o);

/* What every page of ours has around its body: up to the body's begin; its end with `script`. */
struct page_asset {
	const unsigned char *bytes;
	unsigned length;
	const char *sha256; /* in base64 */
};
void page_head(FILE *out, const struct page_asset *style, const struct page_asset *script, struct buf *title);
void page_tail(FILE *out, const struct page_asset *script);
#define PAGE_ASSET(name) ((struct page_asset){asset_##name, asset_##name##_len, asset_##name##_sha256})

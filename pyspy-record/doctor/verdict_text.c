/* The verdict for people. */
#include <stdio.h>
#include <string.h>

#include "libcommon/escape.h"
#include "pyspy-record/doctor/verdict.h"

static void put(struct buf *out, const char *s)
{
	escape_text(out, s, strlen(s));
}

static const char *title(const char *group)
{
	return !strcmp(group, "machine")   ? "This user, this machine"
	       : !strcmp(group, "process") ? "The process"
	       : !strcmp(group, "python")  ? "Its Python"
	                                   : "What works on it";
}

static void put_to_do(struct buf *out, const char *words)
{
	buf_str(out, "             to do: ");
	put(out, words);
	buf_str(out, "\n");
}

/* Remedies of one line: of a warning only those not told yet. The others are kept for the end. */
static void put_remedies(struct buf *out, const struct finding *one, uint32_t *told)
{
	if (one->advice)
		put_to_do(out, one->advice);
	for (int i = 0; i < REMEDIES; i++) {
		uint32_t bit = UINT32_C(1) << i;
		if (!(one->remedies & bit) || ((*told & bit) && one->level != FINDING_PROBLEM))
			continue;
		*told |= bit;
		if (!remedy_is_snippet(i))
			put_to_do(out, remedy_words(i));
	}
}

static void put_finding(struct buf *out, const struct finding *one, uint32_t *told)
{
	static const char *const levels[] = {"ok     ", "warning", "PROBLEM"};
	buf_printf(out, "  %s  %s: ", levels[one->level], one->id);
	put(out, one->fact);
	if (*one->source) {
		buf_str(out, "  [");
		put(out, one->source);
		buf_str(out, "]");
	}
	buf_str(out, "\n");
	put_remedies(out, one, told);
}

static void put_snippets(struct buf *out, uint32_t told)
{
	bool is_first = true;
	for (int i = 0; i < REMEDIES; i++) {
		if (!(told & UINT32_C(1) << i) || !remedy_is_snippet(i))
			continue;
		if (is_first)
			buf_str(out, "\nSettings for containers\n");
		is_first = false;
		buf_printf(out, "  %s:\n", remedy_kind(i));
		for (const char *p = remedy_words(i); *p;) {
			size_t n = strcspn(p, "\n");
			buf_printf(out, "    %.*s\n", (int)n, p);
			p += n + (p[n] == '\n');
		}
	}
}

void verdict_text(const struct verdict *v, struct buf *out)
{
	const struct findings *f = v->findings;
	uint32_t told = 0;
	for (size_t i = 0; i < f->v.n; i++) {
		if (i == 0 || strcmp(f->v.v[i].group, f->v.v[i - 1].group)) {
			buf_str(out, i ? "\n" : "");
			buf_str(out, title(f->v.v[i].group));
			buf_str(out, "\n");
		}
		put_finding(out, &f->v.v[i], &told);
	}
	put_snippets(out, told);
	buf_str(out, "\n");
	put(out, v->text);
	buf_str(out, "\n");
}

#include "tests/unit/support_profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pyspy-report/profile/load.h"
#include "tests/unit/support_views.h"

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "support_profile: %s\n", what);
	abort();
}

void support_profile_bytes(struct support_profile *s, const struct buf *b, const struct naming_options *o)
{
	struct load_options none = {0};
	struct load *l;

	memset(s, 0, sizeof *s);
	s->filter.idle = true;
	must(profile_init(&s->profile) == 0, "profile_init");
	l = load_new(&s->profile, "test", &none);
	must(l && load_feed(l, b->data, b->len) == 0 && load_finish(l) == 0, "load");
	load_free(l);
	must(naming_init(&s->naming, &s->profile, o) == 0, "naming_init");
	must(tree_build(&s->tree, &s->naming, &s->filter, &(struct tree_options){0}) == 0, "tree_build");
}

void support_profile_view(struct support_profile *s, const char *view, const struct naming_options *o)
{
	struct buf b;

	buf_init(&b, 0);
	for (const struct support_view *v = support_views; v->name; v++)
		if (strcmp(v->name, view) == 0)
			v->make(&b);
	must(b.len > 0, view);
	support_profile_bytes(s, &b, o);
	buf_done(&b);
}

void support_profile_done(struct support_profile *s)
{
	tree_done(&s->tree);
	naming_done(&s->naming);
	profile_done(&s->profile);
}

uint32_t support_profile_frame(const struct support_profile *s, const char *name)
{
	for (uint32_t i = 0; i < s->naming.frames.n; i++) {
		size_t n;
		const char *text = naming_name(&s->naming, i, &n);

		if (n == strlen(name) && memcmp(text, name, n) == 0)
			return i;
	}
	must(false, name);
	return 0;
}

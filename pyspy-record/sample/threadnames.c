/* What the threads are called. */
#include <string.h>

#include "pyspy-record/python/names.h"
#include "pyspy-record/sample/target.h"

enum { THREAD_NAME_MAX = 4096 };

struct naming {
	struct target *t;
	struct writer *w;
};

static void take_name(void *ctx, uint64_t ident, const char *name, size_t n)
{
	struct naming *k = ctx;
	if (n > THREAD_NAME_MAX) /* cut, but not inside of a character */
		for (n = THREAD_NAME_MAX; n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80;)
			n--;
	for (size_t i = 0; i < k->t->threads.n; i++) {
		struct sample_thread *th = k->t->threads.v[i];
		if (th->pthread != ident || th->name_look == k->t->name_look)
			continue;
		th->name_look = k->t->name_look;
		if ((th->has_name && th->name.n == n && (n == 0 || memcmp(th->name.v, name, n) == 0)) ||
		    !vec_room(&th->name, n - (n < th->name.n ? n : th->name.n)))
			continue;
		if (n)
			memcpy(th->name.v, name, n);
		th->name.n = n;
		th->has_name = true;
		th->thread_flags &= ~(uint32_t)WIRE_THREAD_KERNEL_NAME;
		target_tell_thread(k->t, k->w, th);
	}
}

void target_names(struct target *t, struct writer *w)
{
	/* as long as nobody new has come and nothing has changed this is one call */
	if (!t->names_due && object_trail_holds(&t->names_trail, &t->reader))
		return;
	t->names_due = false;
	object_trail_clear(&t->names_trail);
	t->name_look++;
	for (size_t i = t->n_interps;
	     i-- > 0;) { /* a thread that is known to several has the oldest one's name for it */
		struct naming k = {t, w};
		names_read(&t->reader, &t->interpreter.layout, t->interps[i].at, take_name, &k, &t->names_trail);
	}
	/* a thread gets its place in threading._active only when it begins to run: look twice */
	for (size_t i = 0; i < t->threads.n; i++)
		if (!t->threads.v[i]->has_name && t->threads.v[i]->name_looks++ < 3)
			t->names_due = true;
}

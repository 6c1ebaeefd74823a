#include "pyspy-report/view/track_names.h"

#include "pyspy-report/view/caption.h"

static bool has_hosts(const struct profile *p)
{
	uint32_t first = 0;

	for (size_t i = 1; i < p->processes.n; i++) {
		if (first && p->processes.v[i].host != first)
			return true;
		first = p->processes.v[i].host;
	}
	return false;
}

static void put_cmdline(struct buf *out, const struct profile *p, const struct profile_process *q)
{
	struct buf b;
	size_t n;

	buf_init(&b, 0);
	caption_cmdline(&b, p, q);
	n = b.len;
	if (n > TRACK_NAMES_CMDLINE)
		for (n = TRACK_NAMES_CMDLINE; n && (b.data[n] & 0xC0) == 0x80;) /* not inside a character */
			n--;
	if (n)
		buf_put(out, b.data, n);
	if (n < b.len)
		buf_str(out, "\xE2\x80\xA6");
	buf_done(&b);
}

void track_names_process(struct buf *out, const struct profile *p, uint32_t process)
{
	const struct profile_process *q = &p->processes.v[process];
	size_t n;
	const char *host = profile_text(p, q->host, &n);

	if (!process) {
		buf_str(out, "[unknown process]");
		return;
	}
	put_cmdline(out, p, q);
	buf_printf(out, "%s(pid %u", q->cmdline.n ? " " : "", q->pid);
	if (n && has_hosts(p)) {
		buf_str(out, " on ");
		buf_put(out, host, n);
	}
	if (q->exec_number)
		buf_printf(out, ", image %u", q->exec_number + 1);
	buf_u8(out, ')');
}

void track_names_thread(struct buf *out, const struct profile *p, const struct timeline_track *k)
{
	const struct profile_thread *t = &p->threads.v[k->thread];
	size_t n;
	const char *name = profile_text(p, t->name, &n);

	if (!k->thread) {
		buf_printf(out, "[unknown thread %u]", k->id);
		return;
	}
	if (n)
		buf_put(out, name, n);
	buf_printf(out, n ? " (tid %u" : "thread %u", t->tid);
	if (!n && (t->interpreter || k->twin))
		buf_str(out, " (");
	if (t->interpreter)
		buf_printf(out, "%sinterpreter %u", n ? ", " : "", t->interpreter);
	if (k->twin)
		buf_printf(out, "%srecording %u", n || t->interpreter ? ", " : "", k->recording + 1);
	if (n || t->interpreter || k->twin)
		buf_u8(out, ')');
}

#include "pyspy-report/exchange/foreign.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/sha256.h"

enum { FOREIGN_EVENTS_A_BLOCK = 1 << 16, FOREIGN_SAMPLES_AN_EPOCH = 1 << 20 };

int foreign_init(struct foreign *f, struct scribe *to)
{
	memset(f, 0, sizeof *f);
	f->to = to;
	to->keeps_ids = true;
	buf_init(&f->text, 0);
	map_init(&f->modules, 0);
	map_init(&f->row_of, 0);
	TRY(intern_init(&f->process_keys, 1 << 28));
	TRY(intern_init(&f->thread_keys, 1 << 30));
	if (!vec_push(&f->processes, (struct foreign_process){0}) || !vec_push(&f->threads, (struct foreign_thread){0}))
		return ERR_NO_MEMORY;
	return 0;
}

void foreign_done(struct foreign *f)
{
	intern_done(&f->process_keys);
	intern_done(&f->thread_keys);
	vec_free(&f->processes);
	vec_free(&f->threads);
	vec_free(&f->rows);
	vec_free(&f->events);
	vec_free(&f->entries);
	vec_free(&f->notes);
	vec_free(&f->all_notes);
	map_done(&f->modules);
	map_done(&f->row_of);
	buf_done(&f->text);
}

/* Names are kept as they are: generalised UTF-8 or not, the views escape them. */
static int text(struct foreign *f, const char *p, size_t n, str_id *id)
{
	*id = 0;
	return n ? scribe_string(f->to, p, n, id) : 0;
}

static int put_process(struct foreign *f, uint32_t i)
{
	const struct foreign_process *p = &f->processes.v[i];
	static const char unknown[] = "(not in the file)";
	str_id words[1] = {p->command};

	if (!p->command && !p->pid)
		TRY(scribe_string(f->to, unknown, sizeof unknown - 1, &words[0]));

	encode_process(scribe_begin(f->to, SCRIBE_ACTORS), &(struct rec_process){.id = i,
	                                                                         .pid = p->pid,
	                                                                         .ns_pid = p->pid,
	                                                                         .exec_number = p->number,
	                                                                         .seen_ns = f->facts.start_ns,
	                                                                         .cmdline = words,
	                                                                         .n_cmdline = words[0] ? 1 : 0});
	return scribe_end(f->to, SCRIBE_ACTORS, 0, 0);
}

static int put_thread(struct foreign *f, uint32_t i)
{
	const struct foreign_thread *t = &f->threads.v[i];

	encode_thread(scribe_begin(f->to, SCRIBE_ACTORS),
	              &(struct rec_thread){.id = i,
	                                   .process = t->process,
	                                   .tid = t->tid,
	                                   .ns_tid = t->tid,
	                                   .interpreter = t->interpreter,
	                                   .pthread = t->pthread,
	                                   .start_ns = t->number,
	                                   .name = t->name,
	                                   .flags = t->is_main ? WIRE_THREAD_MAIN : 0});
	return scribe_end(f->to, SCRIBE_ACTORS, 0, 0);
}

int foreign_process(struct foreign *f, uint32_t pid, const char *command, size_t n, uint32_t *process)
{
	struct foreign_process p = {.pid = pid};
	bool is_new;

	TRY(text(f, command, n, &p.command));
	uint32_t key[2] = {pid, p.command};
	TRY(intern_get(&f->process_keys, key, sizeof key, process, &is_new));
	if (!is_new)
		return 0;
	if (*process >= SCRIBE_HOLE)
		return ERR_FULL;
	p.number = *process - 1; /* keeps apart what the source keeps apart */
	if (!vec_push(&f->processes, p))
		return ERR_NO_MEMORY;
	return f->has_epoch ? put_process(f, *process) : 0;
}

int foreign_thread(struct foreign *f, uint32_t process, uint32_t tid, uint64_t pthread, uint32_t interpreter,
                   const char *name, size_t n, uint32_t *thread)
{
	struct foreign_thread t = {.process = process, .tid = tid, .pthread = pthread, .interpreter = interpreter};
	bool is_new;

	TRY(text(f, name, n, &t.name));
	uint64_t key[3] = {(uint64_t)process << 32 | tid, pthread,
	                   (uint64_t)interpreter << 32 | (tid || pthread ? 0 : t.name)};
	TRY(intern_get(&f->thread_keys, key, sizeof key, thread, &is_new));
	if (!is_new && f->names_tell && t.name && f->threads.v[*thread].name && f->threads.v[*thread].name != t.name) {
		key[2] |= t.name; /* tasks, greenlets: one thread, several names */
		TRY(intern_get(&f->thread_keys, key, sizeof key, thread, &is_new));
		t.number = *thread;
	}
	if (is_new) {
		if (*thread >= SCRIBE_HOLE)
			return ERR_FULL;
		t.is_main =
		    (tid && tid == f->processes.v[process].pid) || (n == 10 && memcmp(name, "MainThread", 10) == 0);
		t.number = tid ? t.number : *thread;
		if (!vec_push(&f->threads, t))
			return ERR_NO_MEMORY;
		return f->has_epoch ? put_thread(f, *thread) : 0;
	}
	if (t.name && f->threads.v[*thread].name != t.name) { /* it came later */
		f->threads.v[*thread].name = t.name;
		return f->has_epoch ? put_thread(f, *thread) : 0;
	}
	return 0;
}

int foreign_frame(struct foreign *f, const struct foreign_frame *r, location_id *location)
{
	struct rec_function g = {.kind = r->is_synthetic ? WIRE_FUNCTION_SYNTHETIC : WIRE_FUNCTION_PYTHON,
	                         .first_line = r->first_line};
	struct rec_location l = {.line = r->line, .has_line = r->line > 0};

	TRY(text(f, r->module, r->n_module, &g.module));
	TRY(text(f, r->name, r->n_name, &g.qualname));
	TRY(text(f, r->file, r->n_file, &g.file));
	TRY(scribe_function(f->to, &g, &l.function));
	l.has_columns = l.has_line && r->end_line >= r->line && r->column >= 0 && r->end_column >= 0;
	l.end_line = r->end_line;
	l.column = r->column;
	l.end_column = r->end_column;
	return scribe_location(f->to, &l, location);
}

int foreign_native(struct foreign *f, const char *symbol, size_t n, const char *path, size_t n_path, uint64_t offset,
                   location_id *location)
{
	struct rec_location l = {.is_native = true, .offset = offset};
	struct rec_module m = {.process = 1};
	bool is_new;

	TRY(text(f, symbol, n, &l.symbol));
	TRY(text(f, path, n_path, &m.path));
	if (m.path) {
		uint32_t *at = map_put(&f->modules, m.path, 0, &is_new);

		if (!at)
			return ERR_NO_MEMORY;
		if (is_new)
			TRY(scribe_module(f->to, &m, at));
		l.module = *at;
	}
	return scribe_location(f->to, &l, location);
}

int foreign_stack(struct foreign *f, stack_id parent, location_id location, stack_id *stack)
{
	return scribe_stack(f->to, parent, location, true, stack);
}

static int begin_file(struct foreign *f)
{
	struct rec_file file = {.boottime_ns = f->facts.start_ns, .realtime_ns = f->facts.realtime_ns};
	struct sha256 s;
	uint8_t hash[32];

	if (f->to->has_file)
		return 0;
	sha256_init(&s);
	sha256_add(&s, f->facts.format, strlen(f->facts.format));
	sha256_add(&s, f->facts.identity, sizeof f->facts.identity);
	sha256_end(&s, hash);
	memcpy(file.uuid, hash, sizeof file.uuid);
	file.uuid[6] = (uint8_t)((file.uuid[6] & 0x0F) | 0x80); /* RFC 9562: version 8, variant 1 */
	file.uuid[8] = (uint8_t)((file.uuid[8] & 0x3F) | 0x80);
	f->begin_ns = f->facts.start_ns;
	f->end_ns = f->end_ns > f->begin_ns ? f->end_ns : f->begin_ns;
	return scribe_file(f->to, &file, false);
}

static int add_note(struct foreign *f, const char *key, const char *value)
{
	struct rec_note n;

	TRY(text(f, key, strlen(key), &n.key));
	TRY(text(f, value, strlen(value), &n.value));
	return vec_push(&f->all_notes, n) ? 0 : ERR_NO_MEMORY;
}

static int collect_notes(struct foreign *f)
{
	f->all_notes.n = 0;
	TRY(add_note(f, "pyspy.import", f->facts.format));
	buf_reset(&f->text);
	buf_printf(&f->text, "imported from %s", f->facts.format);
	TRY(add_note(f, WIRE_NOTE_ENGINE, buf_cstr(&f->text)));
	if (f->facts.unit)
		TRY(add_note(f, "pyspy.import.unit", f->facts.unit));
	buf_reset(&f->text);
	for (size_t i = 0; i < f->n_without; i++)
		buf_printf(&f->text, "%s%s", i ? ", " : "", f->without[i]);
	if (f->n_without)
		TRY(add_note(f, "pyspy.import.without", buf_cstr(&f->text)));
	for (size_t i = 0; i < f->notes.n; i++)
		if (!vec_push(&f->all_notes, f->notes.v[i]))
			return ERR_NO_MEMORY;
	return f->text.err;
}

int foreign_begin_epoch(struct foreign *f)
{
	struct rec_recording r = {.mean_gap_ns = f->facts.gap_ns,
	                          .schedule = 1,
	                          .engine = WIRE_ENGINE_OUTSIDE,
	                          .stop_ppm = 0,
	                          .started_ns = f->facts.start_ns};
	bool is_fresh;

	TRY(begin_file(f));
	TRY(scribe_epoch(f->to, &is_fresh));
	f->has_epoch = true;
	f->in_epoch = 0;
	TRY(text(f, f->facts.format, strlen(f->facts.format), &r.recorder));
	TRY(collect_notes(f));
	r.notes = f->all_notes.v;
	r.n_notes = (uint32_t)f->all_notes.n;
	encode_recording(scribe_begin(f->to, SCRIBE_RECORDING), &r);
	TRY(scribe_end(f->to, SCRIBE_RECORDING, 0, 0));
	for (uint32_t i = 1; i < f->processes.n; i++)
		TRY(put_process(f, i));
	for (uint32_t i = 1; i < f->threads.n; i++)
		TRY(put_thread(f, i));
	return 0;
}

/* What is defined so far fills a block; its samples come later. */
static int put_definitions(struct foreign *f)
{
	if (!f->has_epoch)
		TRY(foreign_begin_epoch(f));
	return scribe_block(f->to, &(struct rec_block){.begin_ns = f->begin_ns,
	                                               .end_ns = f->begin_ns,
	                                               .anchor_ns = f->facts.realtime_ns - (int64_t)f->facts.start_ns});
}

int foreign_count(struct foreign *f, uint32_t thread, stack_id stack, uint32_t flags, uint64_t n)
{
	bool is_new;

	if (!n)
		return 0;
	uint32_t *row = map_put(&f->row_of, (uint64_t)thread << 32 | stack, flags, &is_new);
	if (!row)
		return ERR_NO_MEMORY;
	if (!is_new) {
		struct foreign_row *r = &f->rows.v[*row];

		r->n = n < UINT64_MAX - r->n ? r->n + n : UINT64_MAX;
		return 0;
	}
	*row = (uint32_t)f->rows.n;
	if (scribe_waiting(f->to) > WIRE_CONTENT_MAX / 2)
		TRY(put_definitions(f));
	return vec_push(&f->rows, ((struct foreign_row){.thread = thread, .stack = stack, .flags = flags, .n = n}))
	           ? 0
	           : ERR_NO_MEMORY;
}

static int put_events(struct foreign *f)
{
	if (!f->events.n)
		return 0;
	if (!f->has_epoch || f->in_epoch >= FOREIGN_SAMPLES_AN_EPOCH)
		TRY(foreign_begin_epoch(f));
	encode_events(scribe_begin(f->to, SCRIBE_SAMPLES),
	              &(struct rec_events){
	                  .unit_ns = 1, .weight_unit_ns = 1, .events = f->events.v, .n_events = (uint32_t)f->events.n});
	TRY(scribe_end(f->to, SCRIBE_SAMPLES, f->events.n, 0));
	f->in_epoch += f->events.n;
	f->events.n = 0;
	TRY(scribe_block(f->to, &(struct rec_block){.begin_ns = f->begin_ns,
	                                            .end_ns = f->end_ns,
	                                            .anchor_ns = f->facts.realtime_ns
	                                                             ? f->facts.realtime_ns - (int64_t)f->facts.start_ns
	                                                             : -(int64_t)f->facts.start_ns}));
	f->begin_ns = f->end_ns;
	return 0;
}

int foreign_event(struct foreign *f, uint32_t thread, stack_id stack, uint32_t flags, uint64_t time_ns,
                  uint64_t weight_ns)
{
	uint64_t room = FOREIGN_MAX_NS - f->weight_ns;

	f->is_cut |= time_ns > FOREIGN_MAX_NS || weight_ns > room;
	time_ns = time_ns < FOREIGN_MAX_NS ? time_ns : FOREIGN_MAX_NS;
	weight_ns = weight_ns < room ? weight_ns : room;
	f->weight_ns += weight_ns;
	uint64_t end_ns = time_ns + weight_ns;
	f->end_ns = end_ns > f->end_ns ? end_ns : f->end_ns;
	f->n_samples++;
	if (!vec_push(&f->events, ((struct rec_event){time_ns, thread, stack, flags, weight_ns})))
		return ERR_NO_MEMORY;
	return f->events.n >= FOREIGN_EVENTS_A_BLOCK || scribe_waiting(f->to) > WIRE_CONTENT_MAX / 2 ? put_events(f)
	                                                                                             : 0;
}

void foreign_without(struct foreign *f, const char *what)
{
	for (size_t i = 0; i < f->n_without; i++)
		if (strcmp(f->without[i], what) == 0)
			return;
	if (f->n_without < FOREIGN_WITHOUT_MAX)
		f->without[f->n_without++] = what;
}

int foreign_note(struct foreign *f, const char *key, size_t n_key, const char *value, size_t n_value)
{
	struct rec_note n;

	if (f->notes.n >= 256) /* more is nobody's to read */
		return 0;
	TRY(text(f, key, n_key, &n.key));
	TRY(text(f, value, n_value, &n.value));
	return vec_push(&f->notes, n) ? 0 : ERR_NO_MEMORY;
}

void foreign_problem(struct foreign *f, bool is_line, uint64_t at, const char *format, ...)
{
	va_list args;

	if (f->n_problems++ >= FOREIGN_PROBLEMS_KEPT)
		return;
	struct foreign_problem *p = &f->problems[f->n_problems - 1];
	p->is_line = is_line;
	p->at = at;
	va_start(args, format);
	vsnprintf(p->text, sizeof p->text, format, args);
	va_end(args);
}

int foreign_finish(struct foreign *f)
{
	struct rec_block last = {.flags = WIRE_BLOCK_LAST};

	TRY(put_events(f));
	if (f->rows.n)
		TRY(foreign_put_counts(f));
	TRY(put_events(f));
	TRY(foreign_begin_epoch(f)); /* its notes are complete now */
	encode_end(scribe_begin(f->to, SCRIBE_SAMPLES), &(struct rec_end){.time_ns = f->end_ns});
	if (f->skipped)
		encode_lost(scribe_begin(f->to, SCRIBE_SAMPLES), &(struct rec_lost){.begin_ns = f->facts.start_ns,
		                                                                    .end_ns = f->end_ns,
		                                                                    .cause = WIRE_LOST_DAMAGE,
		                                                                    .count = f->skipped});
	TRY(scribe_end(f->to, SCRIBE_SAMPLES, 0, 0));
	last.begin_ns = f->begin_ns;
	last.end_ns = f->end_ns;
	last.anchor_ns = f->facts.realtime_ns - (int64_t)f->facts.start_ns;
	TRY(scribe_block(f->to, &last));
	return scribe_finish(f->to);
}

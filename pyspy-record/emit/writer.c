#include "pyspy-record/emit/writer_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"

enum {
	WRITER_EVENT_WIRE = 30,
	WRITER_FULL = WIRE_CONTENT_MAX / 8,
	WRITER_TIMES =
	    4, /* the dictionaries of an epoch are large when they hold so many times what its first block did */
	WRITER_WEIGHT = 4, /* samples must weigh this many times their definitions before an epoch may end */
};
#define WRITER_MAX_BYTES    ((size_t)64 << 20)
#define WRITER_ENOUGH_BYTES ((size_t)1 << 20)
#define WRITER_EPOCH_NS     (60 * CLOCK_NS_PER_S)
#define WRITER_EPOCH_MAX_NS (600 * CLOCK_NS_PER_S)

enum { UNIT_PART = 32, UNIT_LEAST_NS = 1000, UNIT_MOST_NS = 32000 };

static uint64_t round_down(const struct writer *w, uint64_t ns)
{
	return ns - ns % w->options.unit_ns;
}

static void make_file_header(struct rec_file *f)
{
	memset(f, 0, sizeof *f);
	f->major = WIRE_MAJOR;
	f->minor = WIRE_MINOR;
	f->boottime_ns = clock_boot_ns();
	f->realtime_ns = clock_real_ns();
	if (getrandom(f->uuid, sizeof f->uuid, GRND_NONBLOCK) != sizeof f->uuid) {
		/* no entropy yet, early at boot: the clocks tell recordings apart */
		memcpy(f->uuid, &f->boottime_ns, sizeof f->boottime_ns);
		memcpy(f->uuid + 8, &f->realtime_ns, sizeof f->realtime_ns);
	}
	f->uuid[6] = (uint8_t)((f->uuid[6] & 0x0F) | 0x40); /* RFC 4122: version 4, variant 1 */
	f->uuid[8] = (uint8_t)((f->uuid[8] & 0x3F) | 0x80);
}

static str_id text_id(struct writer *w, const char *s)
{
	return dictionary_string(&w->dictionary, s, strlen(s));
}

static str_id boot_id(struct writer *w)
{
	char text[64];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
	if (fd >= 0)
		close(fd);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	return n > 0 ? dictionary_string(&w->dictionary, text, (size_t)n) : 0;
}

/* About the recorder and its host. The strings are defined behind it in the same block. */
static void make_recording(struct writer *w)
{
	const struct writer_options *o = &w->options;
	uint32_t n = 0;
	struct utsname u;

	while (o->argv && o->argv[n])
		n++;
	str_id *options = calloc(n + 1, sizeof *options);
	struct rec_note *notes = calloc(o->n_notes + 1, sizeof *notes);
	memset(&u, 0, sizeof u);
	uname(&u);
	for (uint32_t i = 0; options && i < n; i++)
		options[i] = text_id(w, o->argv[i]);
	for (uint32_t i = 0; notes && i < o->n_notes; i++)
		notes[i] =
		    (struct rec_note){.key = text_id(w, o->notes[i].key), .value = text_id(w, o->notes[i].value)};
	buf_reset(&w->recording);
	encode_recording(&w->recording, &(struct rec_recording){
	                                    .host = text_id(w, u.nodename),
	                                    .kernel = text_id(w, u.release),
	                                    .machine = text_id(w, u.machine),
	                                    .boot_id = boot_id(w),
	                                    .recorder = text_id(w, "pyspy-record " PYSPY_VERSION),
	                                    .options = options,
	                                    .n_options = options ? n : 0,
	                                    .mean_gap_ns = o->mean_gap_ns,
	                                    .schedule = o->schedule,
	                                    .engine = o->engine,
	                                    .view_defaults = o->view_defaults,
	                                    .kernel_hz = clock_tick_hz(),
	                                    .stop_ppm = o->stop_ppm,
	                                    .notes = notes,
	                                    .n_notes = notes ? o->n_notes : 0,
	                                    .started_ns = w->file.boottime_ns,
	                                    .cpu_ppm = o->cpu_ppm,
	                                });
	free(options);
	free(notes);
}

/* What is finer than a part of the random gaps tells nobody anything, and is most of what a tick takes in the file.
 * Events have units of their own, and lie within their block: its ends are times of the ticks' unit. */
static uint64_t usual_unit(const struct writer_options *o)
{
	uint64_t unit = o->engine == WIRE_ENGINE_OUTSIDE ? o->mean_gap_ns / UNIT_PART : 0;
	return unit < UNIT_LEAST_NS ? UNIT_LEAST_NS : unit < UNIT_MOST_NS ? unit : UNIT_MOST_NS;
}

int writer_new(struct writer **out, struct sink *sink, const struct writer_options *o)
{
	struct writer *w = calloc(1, sizeof *w);

	*out = NULL;
	if (!w)
		return ERR_NO_MEMORY;
	w->sink = sink;
	w->options = *o;
	w->options.max_bytes = o->max_bytes ? o->max_bytes : WRITER_MAX_BYTES;
	w->options.epoch_min_ns = o->epoch_min_ns ? o->epoch_min_ns : WRITER_EPOCH_NS;
	w->options.unit_ns = o->unit_ns ? o->unit_ns : usual_unit(o);
	roster_init(&w->roster);
	tickbook_init(&w->ticks, w->options.unit_ns, w->options.mean_gap_ns);
	buf_init(&w->recording, 0);
	buf_init(&w->head, 0);
	buf_init(&w->tail, 0);
	buf_init(&w->out, 0);
	make_file_header(&w->file);
	w->epoch_begins = true;
	writer_begin(w, w->file.boottime_ns);
	w->sealer = block_sealer_new(o->zstd_level ? o->zstd_level : 1);
	if (dictionary_init(&w->dictionary, w->options.max_bytes) < 0 || !w->sealer || !writer_losses_room(w)) {
		writer_free(w);
		return ERR_NO_MEMORY;
	}
	make_recording(w);
	*out = w;
	return 0;
}

void writer_begin(struct writer *w, uint64_t time_ns)
{
	w->begin_ns = w->last_ns = w->epoch_ns = round_down(w, time_ns);
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	block_sealer_free(w->sealer);
	dictionary_done(&w->dictionary);
	roster_done(&w->roster);
	tickbook_done(&w->ticks);
	vec_free(&w->events);
	vec_free(&w->lost);
	buf_done(&w->recording);
	buf_done(&w->head);
	buf_done(&w->tail);
	buf_done(&w->out);
	free(w);
}

uint32_t writer_epoch(const struct writer *w)
{
	return w->epoch;
}

str_id writer_string(struct writer *w, const char *s, size_t n)
{
	return dictionary_string(&w->dictionary, s, n);
}

function_id writer_function(struct writer *w, const struct rec_function *f)
{
	return dictionary_function(&w->dictionary, f);
}

location_id writer_location(struct writer *w, const struct rec_location *l)
{
	return dictionary_location(&w->dictionary, l);
}

stack_id writer_stack(struct writer *w, const struct rec_stack *s)
{
	stack_id id = dictionary_stack(&w->dictionary, s->parent, s->location);
	if (s->certified)
		dictionary_certify(&w->dictionary, id);
	return id;
}

void writer_certify(struct writer *w, stack_id id)
{
	dictionary_certify(&w->dictionary, id);
}

void writer_doubt(struct writer *w, stack_id id)
{
	dictionary_doubt(&w->dictionary, id);
}

process_id writer_process(struct writer *w, process_id id, const struct writer_process *p)
{
	return roster_process(&w->roster, id, p);
}

void writer_process_end(struct writer *w, process_id id, uint64_t time_ns, uint32_t how, uint32_t status)
{
	for (thread_id t = 0; (t = roster_next_thread(&w->roster, id, t));)
		writer_thread_end(w, t, time_ns);
	struct rec_process_end end = {.id = id, .time_ns = time_ns, .how = how, .status = status};
	roster_process_end(&w->roster, &end);
}

void writer_interpreter(struct writer *w, process_id p, uint32_t number, uint32_t flags)
{
	struct rec_interpreter i = {.process = p, .number = number, .flags = flags};
	roster_interpreter(&w->roster, &i);
}

thread_id writer_thread(struct writer *w, thread_id id, const struct writer_thread *t)
{
	id = roster_thread(&w->roster, id, t);
	if (id && !tickbook_room(&w->ticks, id)) {
		roster_thread_end(&w->roster, id, t->start_ns);
		return 0;
	}
	return id;
}

void writer_thread_end(struct writer *w, thread_id id, uint64_t time_ns)
{
	if (roster_thread_end(&w->roster, id, time_ns))
		tickbook_entry(&w->ticks, id, 0, WIRE_FLAG_ABSENT, 0);
}

void writer_tick(struct writer *w, uint64_t time_ns)
{
	time_ns = round_down(w, time_ns);
	if (time_ns > w->last_ns)
		w->last_ns = time_ns;
	tickbook_tick(&w->ticks, w->last_ns);
}

void writer_gap(struct writer *w, uint64_t mean_ns)
{
	tickbook_gap(&w->ticks, mean_ns);
}

void writer_entry(struct writer *w, thread_id t, stack_id stack, uint32_t flags, uint64_t cpu_ns)
{
	tickbook_entry(&w->ticks, t, stack, flags, cpu_ns);
}

void writer_closing(struct writer *w, thread_id t, uint64_t cpu_ns)
{
	tickbook_closing(&w->ticks, t, cpu_ns);
}

static uint64_t smaller_unit(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

void writer_events(struct writer *w, const struct rec_events *e)
{
	if (w->events.n * WRITER_EVENT_WIRE > WIRE_CONTENT_MAX / 4 || !vec_room(&w->events, e->n_events)) {
		struct rec_lost lost = {w->begin_ns, w->last_ns, WIRE_LOST_DROPPED, 0, e->n_events};
		writer_lost(w, &lost);
		return;
	}
	w->event_unit_ns = smaller_unit(w->event_unit_ns, e->unit_ns);
	w->event_weight_unit_ns = smaller_unit(w->event_weight_unit_ns, e->weight_unit_ns);
	for (uint32_t i = 0; i < e->n_events; i++)
		w->events.v[w->events.n++] = e->events[i];
}

uint64_t writer_samples(const struct writer *w)
{
	return w->samples + tickbook_samples(&w->ticks) + w->events.n;
}

bool writer_is_full(const struct writer *w)
{
	return w->dictionary.pending_bytes + tickbook_bytes(&w->ticks) + w->events.n * WRITER_EVENT_WIRE > WRITER_FULL;
}

/* What happened in the open block. */
static void put_samples(struct writer *w)
{
	tickbook_encode(&w->ticks, &w->tail);
	if (w->events.n)
		encode_events(&w->tail, &(struct rec_events){
		                            .unit_ns = w->event_unit_ns ? w->event_unit_ns : 1,
		                            .weight_unit_ns = w->event_weight_unit_ns ? w->event_weight_unit_ns : 1,
		                            .events = w->events.v,
		                            .n_events = (uint32_t)w->events.n,
		                        });
	w->events.n = 0;
	w->event_unit_ns = w->event_weight_unit_ns = 0;
}

static void begin_epoch(struct writer *w, uint64_t now_ns)
{
	dictionary_clear(&w->dictionary);
	roster_new_epoch(&w->roster);
	tickbook_new_epoch(&w->ticks);
	w->epoch++;
	w->epoch_begins = true;
	w->epoch_ns = now_ns;
	w->definition_bytes = w->sample_bytes = 0;
	make_recording(w); /* first, while there is room for its strings */
}

static bool is_epoch_over(const struct writer *w, uint64_t now_ns)
{
	uint64_t age_ns = now_ns - w->epoch_ns;
	size_t bytes = w->dictionary.bytes;
	if (dictionary_is_nearly_full(&w->dictionary) ||
	    (bytes > WRITER_ENOUGH_BYTES && bytes > WRITER_TIMES * w->first_bytes))
		return true;
	return age_ns >= w->options.epoch_min_ns &&
	       (w->sample_bytes >= WRITER_WEIGHT * w->definition_bytes || age_ns >= WRITER_EPOCH_MAX_NS);
}

/* All records of the block into `head`, in an order in which everything is defined before it is used. */
static int put_content(struct writer *w, uint64_t now_ns, const struct rec_end *end)
{
	buf_reset(&w->head);
	buf_reset(&w->tail);
	if (w->epoch_begins)
		buf_put(&w->head, w->recording.data, w->recording.len);
	roster_encode(&w->roster, &w->dictionary, &w->tail);
	size_t roster_bytes = w->tail.len;
	writer_count_losses(w, now_ns);
	put_samples(w);
	w->sample_bytes += w->tail.len - roster_bytes;
	roster_encode_ends(&w->roster, &w->tail);
	writer_put_losses(w);
	writer_put_counters(w);
	if (end)
		encode_end(&w->tail, end);
	dictionary_encode(&w->dictionary, &w->head);
	w->definition_bytes += w->head.len + roster_bytes;
	buf_put(&w->head, w->tail.data, w->tail.len);
	return w->recording.err || w->head.err || w->tail.err ? ERR_NO_MEMORY : 0;
}

static bool has_news(const struct writer *w)
{
	return w->ticks.times.n || w->ticks.not_kept || w->events.n || w->lost.n || w->roster.has_news ||
	       w->dictionary.refused;
}

static int put_block(struct writer *w, const struct rec_block *block, const struct rec_end *end)
{
	buf_reset(&w->out);
	if (w->sequence == 0)
		encode_file_header(&w->out, &w->file);
	TRY(put_content(w, block->end_ns, end));
	TRY(block_seal(w->sealer, block, w->head.data, w->head.len, &w->out));
	return w->out.err ? ERR_NO_MEMORY : sink_write(w->sink, w->out.data, w->out.len);
}

int writer_flush(struct writer *w, uint64_t now_ns, const struct rec_end *end)
{
	if (w->error)
		return w->error;
	tickbook_close(&w->ticks);
	if (!end && !has_news(w))
		return 0;
	now_ns = round_down(w, now_ns);
	if (now_ns < w->last_ns)
		now_ns = w->last_ns;
	uint64_t samples = tickbook_samples(&w->ticks) + w->events.n;
	size_t n_ticks = w->ticks.times.n;
	w->counters[WIRE_COUNTER_TICKS] = w->n_ticks + n_ticks;
	w->counters[WIRE_COUNTER_SAMPLES] = w->samples + samples;
	struct rec_block block = {
	    .flags = (w->epoch_begins ? WIRE_BLOCK_EPOCH : 0) | (end ? WIRE_BLOCK_LAST : 0),
	    .sequence = w->sequence,
	    .epoch = w->epoch,
	    .begin_ns = w->begin_ns,
	    .end_ns = now_ns,
	    .anchor_ns = clock_real_ns() - (int64_t)clock_boot_ns(),
	    .samples_before = w->samples,
	    .n_samples = samples,
	    .n_ticks = (uint32_t)n_ticks,
	};
	memcpy(block.uuid8, w->file.uuid, sizeof block.uuid8);
	int rc = put_block(w, &block, end);
	if (rc < 0) /* what the file has not got must not be referred to: no more blocks */
		return w->error = rc == ERR_FULL ? ERR_NO_MEMORY : rc;
	w->sequence++;
	w->samples += samples;
	w->n_ticks += n_ticks;
	w->begin_ns = w->last_ns = now_ns;
	if (w->epoch_begins)
		w->first_bytes = w->dictionary.bytes;
	w->epoch_begins = false;
	if (!end && is_epoch_over(w, now_ns))
		begin_epoch(w, now_ns);
	return 0;
}

void writer_forget(struct writer *w, uint64_t now_ns)
{
	if (!w->epoch_begins && w->dictionary.bytes > WRITER_ENOUGH_BYTES)
		begin_epoch(w, now_ns);
}

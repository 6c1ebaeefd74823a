#include "pyspy-report/view/sample_sheet.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "pyspy-report/view/sample_lines.h"
#include "pyspy-report/view/words.h"

enum column {
	TIME_S,
	TIME_NS,
	UTC,
	PID,
	TID,
	THREAD,
	STATE,
	MARKS,
	WAY,
	WEIGHT_NS,
	DEPTH,
	FUNCTION,
	FILE_,
	LINE,
	STACK
};

static const struct sheet_column all[] = {
    [TIME_S] = {"time_s", "s since the recording began"},
    [TIME_NS] = {"time_ns", "ns since the recording began"},
    [UTC] = {"utc", NULL},
    [PID] = {"pid", NULL},
    [TID] = {"tid", NULL},
    [THREAD] = {"thread", NULL},
    [STATE] = {"state", NULL},
    [MARKS] = {"marks", NULL},
    [WAY] = {"way", NULL},
    [WEIGHT_NS] = {"weight_ns", "ns of the thread's time; events only"},
    [DEPTH] = {"depth", "frames"},
    [FUNCTION] = {"function", NULL},
    [FILE_] = {"file", NULL},
    [LINE] = {"line", NULL},
    [STACK] = {"stack", NULL},
};
enum { COLUMNS = sizeof all / sizeof *all };
static const char USUAL[] = "time_ns,pid,tid,thread,state,marks,way,weight_ns,stack";

void sample_sheet_names(struct buf *out)
{
	for (size_t i = 0; i < COLUMNS; i++)
		buf_printf(out, "%s%s", i ? " " : "", all[i].name);
}

static int unknown(const char *word, size_t n, char *message, size_t size)
{
	struct buf b, names;

	buf_init(&b, 0);
	buf_init(&names, 0);
	escape_text(&b, word, n < 30 ? n : 30);
	sample_sheet_names(&names);
	snprintf(message, size, "no column '%s': %s", buf_cstr(&b), buf_cstr(&names));
	buf_done(&b);
	buf_done(&names);
	return ERR_USAGE;
}

int sample_sheet_choose(struct sample_sheet *s, const char *list, char *message, size_t size)
{
	const char *word = list ? list : USUAL;

	s->n = 0;
	for (;; word++) {
		size_t n = strcspn(word, ","), i = 0;

		while (i < COLUMNS && (strlen(all[i].name) != n || memcmp(all[i].name, word, n) != 0))
			i++;
		if (i == COLUMNS)
			return unknown(word, n, message, size);
		for (size_t k = 0; k < s->n; k++)
			if (s->which[k] == i) {
				snprintf(message, size, "column %s is named twice", all[i].name);
				return ERR_USAGE;
			}
		s->which[s->n] = (uint8_t)i;
		s->columns[s->n++] = all[i];
		word += n;
		if (!*word)
			return 0;
	}
}

int sample_sheet_begin(struct sample_sheet *s, FILE *out, enum sheet_format format, const struct shape *shape)
{
	s->shape = shape;
	frame_text_init(&s->texts, shape->naming, format == SHEET_JSON_LINES ? escape_json : escape_folded);
	buf_init(&s->cell, 0);
	return sheet_begin(&s->sheet, out, format, s->columns, s->n, NULL);
}

int sample_sheet_end(struct sample_sheet *s)
{
	frame_text_done(&s->texts);
	vec_free(&s->path);
	buf_done(&s->cell);
	return sheet_end(&s->sheet);
}

static void cell_word(struct sheet *t, const char *word)
{
	sheet_text(t, word, strlen(word));
}

static void cell_string(struct sheet *t, const struct profile *p, uint32_t string)
{
	size_t len;
	const char *s = profile_text(p, string, &len);

	sheet_text(t, s, len);
}

static void cell_seconds(struct sheet *t, int64_t ns)
{
	uint64_t size = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	char out[40];

	snprintf(out, sizeof out, "%s%" PRIu64 ".%09" PRIu64, ns < 0 ? "-" : "", size / CLOCK_NS_PER_S,
	         size % CLOCK_NS_PER_S);
	sheet_made(t, out, strlen(out));
}

static void cell_utc(struct sheet *t, const struct profile_recording *r, uint64_t time_ns)
{
	int64_t ns = (int64_t)(time_ns + (uint64_t)r->anchor_ns);
	time_t s = (time_t)(ns / (int64_t)CLOCK_NS_PER_S);
	char out[80];
	struct tm tm;

	if (ns < 0 || !r->n_blocks || !gmtime_r(&s, &tm)) {
		sheet_none(t);
		return;
	}
	strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + strlen(out), 20, ".%09dZ", (int)(ns % (int64_t)CLOCK_NS_PER_S));
	cell_word(t, out);
}

static int cell_stack(struct sample_sheet *s, uint32_t path)
{
	bool is_json = s->sheet.format == SHEET_JSON_LINES;

	s->path.n = 0;
	for (uint32_t i = path; i; i = s->shape->nodes.v[i].parent)
		if (!vec_push(&s->path, s->shape->nodes.v[i].frame))
			return ERR_NO_MEMORY;
	s->cell.len = 0;
	for (size_t i = s->path.n; i-- > 0;) {
		size_t n;
		const char *text = frame_text_get(&s->texts, s->path.v[i], &n);

		if (i + 1 < s->path.n)
			buf_str(&s->cell, is_json ? ", " : ";");
		buf_str(&s->cell, is_json ? "\"" : "");
		buf_put(&s->cell, text, n);
		buf_str(&s->cell, is_json ? "\"" : "");
	}
	if (s->cell.err || s->texts.all.err)
		return ERR_NO_MEMORY;
	if (!is_json) {
		sheet_text(&s->sheet, buf_cstr(&s->cell), s->cell.len);
		return 0;
	}
	buf_u8(&s->cell, ']');
	sheet_made(&s->sheet, "[", 1);
	sheet_more(&s->sheet, s->cell.data, s->cell.len);
	return 0;
}

static void cell_marks(struct sample_sheet *s, const struct replay_sample *sample)
{
	s->cell.len = 0;
	sample_lines_marks(&s->cell, sample->flags & ~(uint32_t)TALLY_EVENT, 0);
	if (s->cell.len == 1 && s->cell.data[0] == '-')
		s->cell.len = 0;
	sheet_text(&s->sheet, buf_cstr(&s->cell), s->cell.len);
}

static int cell(struct sample_sheet *s, enum column c, const struct profile *p, const struct replay_sample *sample,
                uint32_t path)
{
	const struct profile_thread *thread = &p->threads.v[sample->thread];
	const struct profile_recording *r = &p->recordings.v[sample->recording];
	const struct naming_frame *leaf = &s->shape->naming->frames.v[s->shape->nodes.v[path].frame];
	struct sheet *t = &s->sheet;

	switch (c) {
	case TIME_S:
		cell_seconds(t, (int64_t)(sample->time_ns - r->started_ns));
		return 0;
	case TIME_NS:
		sheet_signed(t, (int64_t)(sample->time_ns - r->started_ns));
		return 0;
	case UTC:
		cell_utc(t, r, sample->time_ns);
		return 0;
	case PID:
		sheet_number(t, p->processes.v[thread->process].pid);
		return 0;
	case TID:
		sheet_number(t, thread->tid);
		return 0;
	case THREAD:
		cell_string(t, p, thread->name);
		return 0;
	case STATE:
		cell_word(t, words_state(sample->flags & WIRE_FLAG_STATE));
		return 0;
	case MARKS:
		cell_marks(s, sample);
		return 0;
	case WAY:
		cell_word(t, words_way((sample->flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT));
		return 0;
	case WEIGHT_NS:
		if (sample->flags & TALLY_EVENT)
			sheet_number(t, sample->weight_ns);
		else
			sheet_none(t);
		return 0;
	case DEPTH:
		sheet_number(t, s->shape->nodes.v[path].depth);
		return 0;
	case FUNCTION:
		cell_string(t, p, leaf->name);
		return 0;
	case FILE_:
		cell_string(t, p, leaf->file);
		return 0;
	case LINE:
		sheet_number_or_none(t, leaf->line);
		return 0;
	case STACK:
		return cell_stack(s, path);
	}
	return 0;
}

int sample_sheet_write(struct sample_sheet *s, const struct profile *p, const struct replay_sample *sample,
                       uint32_t path)
{
	for (size_t i = 0; i < s->n; i++)
		TRY(cell(s, s->which[i], p, sample, path));
	return sheet_row(&s->sheet);
}

/* live_model: what the screen shows: which rows, in which order, which of them is chosen, and the words around them.
 *
 * Flow:    live/live_ranks + keys (live/live_keys) -> [live_model] -> live/live_lines -> live/live_screen.
 * It knows no terminal. Texts of the program are escaped when they become lines.
 */
#pragma once
#include "libcommon/buf.h"
#include "pyspy-report/live/live_ranks.h"

enum live_sort { LIVE_BY_SELF_NOW, LIVE_BY_TOTAL_NOW, LIVE_BY_SELF_SINCE, LIVE_BY_TOTAL_SINCE };
enum live_view { LIVE_TABLE, LIVE_AROUND, LIVE_HELP };
/* What a row of the view about one function is. */
enum live_kind { LIVE_ROW, LIVE_CALLER, LIVE_ITSELF, LIVE_CALLEE };

struct live_item { /* a row that can be chosen */
	enum live_kind kind;
	uint32_t group; /* LIVE_NO_GROUP: a caller that is none */
	struct live_weight self[LIVE_PARTS], total[LIVE_PARTS];
};

struct live_model {
	struct live_ranks ranks;
	struct live_want want;
	enum live_sort sort;
	enum live_view view;
	bool is_of_shown;     /* percentages are of the rows' time, as tables of recordings have them */
	bool shows_since;     /* where there is no room for both, the percentages are those since the start */
	bool is_paused;       /* for the words only: live_source holds back what comes */
	bool is_waiting;      /* no sample was seen yet */
	bool is_over;         /* nothing comes any more */
	bool is_typing;       /* a filter */
	struct buf filter;    /* what was typed */
	struct pattern match; /* of it */
	bool has_match;
	VEC(struct live_item) items; /* in their order */
	size_t at, from;             /* the one chosen, and the first on the screen */
	bool follows;                /* the choice stays with its function; else at its place */
	struct buf chosen;           /* its text */
	VEC(char *) around;          /* texts of the functions looked at, the last is the one that is shown */
	uint32_t around_group;       /* the last; LIVE_NO_GROUP: it has no row now */
	size_t help_lines;           /* of the help, at this width */
	size_t page;                 /* rows that fitted at the last look */
	struct buf message;          /* for the last line, raw; "" = the keys */
	struct live_neighbours neighbours;
	/* what a key asked for; live_loop does it */
	bool quits, saves, resets;
};

void live_model_init(struct live_model *m, struct live_sums *s);
void live_model_done(struct live_model *m);
/* Count, filter, order. 0, ERR_FULL, ERR_NO_MEMORY. */
int live_model_look(struct live_model *m);
/* The filter as typed: rows whose text has it, in either case; a bad one matches nothing and says why. */
void live_model_match(struct live_model *m);
void live_model_say(struct live_model *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "4711 worker-1" where threads are apart, else nothing; raw, as what follows. */
void live_model_thread(const struct live_model *m, uint32_t group, struct buf *out);
/* The text of a group: "work (app.py:10)", with the thread in front where they are apart. */
void live_model_text(const struct live_model *m, uint32_t group, struct buf *out);
/* What 100 % is for this row (NULL: for none). */
uint64_t live_model_whole(const struct live_model *m, const struct live_group *g, enum live_part part);
/* Look at this row's function, or back; false: there is nothing to go to. */
bool live_model_enter(struct live_model *m);
bool live_model_back(struct live_model *m);
void live_model_move(struct live_model *m, long rows);

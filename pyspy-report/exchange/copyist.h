/* copyist: recordings -> scribe, record by record: the same samples under the ids of one dictionary.
 *
 * Flow:    format/decode -> [copyist] -> scribe. What views make of the copy is what they make of the originals,
 * together. Certificates (FORMAT.md 3.5) are of one epoch, and a dictionary is of all: so a sample that needs one names
 * the shared stack only if its own epoch certified it by then, else a stack of its own (scribe_private_stack), which is
 *          certified when its epoch does it. "Could not be proved" moves from DOUBT to the samples' own flags.
 * Damage:  what was not damaged is copied; what is known to be lost stands in the copy as LOST, cause damage.
 * Memory:  the ids of one epoch, one block.
 */
#pragma once
#include "format/decode.h"
#include "pyspy-report/exchange/scribe.h"

/* What a text is, for whoever changes texts on the way. */
enum copyist_text {
	COPYIST_PLAIN,   /* machine, recorder, its own notes */
	COPYIST_VERSION, /* of the kernel, of Python: a number, and who built it */
	COPYIST_HOST,
	COPYIST_BOOT,
	COPYIST_OPTION, /* a word of the recorder's command line */
	COPYIST_NOTE,   /* key or value of a note of the user's */
	COPYIST_FUNCTION,
	COPYIST_MODULE, /* a Python module's name */
	COPYIST_FILE,
	COPYIST_PATH,   /* of an executable, a library, a folder */
	COPYIST_WORD,   /* of a command line */
	COPYIST_THREAD, /* its name */
	COPYIST_SYMBOL, /* of native code */
	COPYIST_TEXTS
};

struct copyist_hooks {
	void *ctx;
	/* Append to `to` what stands for the text. `file`: of the function or module that it names, else "". */
	int (*text)(void *ctx, enum copyist_text kind, const char *p, size_t n, const char *file, size_t n_file,
	            struct buf *to);
	void (*uuid)(void *ctx, uint8_t uuid[16]);
	void (*process)(void *ctx, struct rec_process *p); /* numbers in it */
	const char *note_key, *note;                       /* added to each recording's notes; NULL: none */
};

/* What was met, for the words at the end. */
struct copyist_totals {
	uint64_t recordings, epochs, blocks, samples, lost; /* lost: by damage */
	uint64_t repeated;                                  /* blocks that were there before: left out */
	uint64_t clock_steps;                               /* blocks at which the clock was set by over a second */
	int64_t first_ns, last_ns;                          /* UTC, of all blocks */
};

struct copyist;
/* `hooks` may be NULL: texts stay. NULL: no memory. */
struct copyist *copyist_new(struct scribe *to, const struct copyist_hooks *hooks);
void copyist_free(struct copyist *c);
/* The next input begins. `damage`: told of what is wrong with it; 0 or what ends reading. */
int copyist_begin(struct copyist *c, int (*damage)(void *ctx, const struct decode_damage *d), void *ctx);
int copyist_feed(void *copyist, const void *bytes, size_t n); /* as stream_feed */
int copyist_finish(void *copyist);                            /* as stream_finish */
const struct copyist_totals *copyist_totals(const struct copyist *c);
/* A host, in the order they came; NULL: no more. */
const char *copyist_host(const struct copyist *c, uint32_t i, size_t *n);

/* usage: locals_lies PID LEVEL ROUNDS SEED
 *
 * Reads the variables of all frames of a process, and its asyncio tasks, through a reader that lies: of the words that
 * come over some are replaced by others, by pointers into the same memory, by sizes of 2^60. Whatever it says, each
 * value is bounded in length and time, and safe to print. Prints "rounds values tasks longest-text longest-us reads".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/utf8.h"
#include "pyspy-record/attach.h"
#include "pyspy-record/python/locals.h"
#include "pyspy-record/python/tasks.h"
#include "pyspy-record/sample/snapshot.h"

static struct reader *truth;
static uint64_t seed, reads, lies_of = 400;
static uint64_t seen[256];

static uint32_t draw(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % below;
}

static uint64_t lie(uint64_t was)
{
	switch (draw(9)) {
	case 0:
		return was ^ UINT64_C(1) << draw(64);
	case 1:
		return was + 8 * draw(64);
	case 2:
		return 0;
	case 3:
		return UINT64_MAX >> draw(64);
	case 4:
		return UINT64_C(1) << 60;
	case 5:
		return draw(100000);
	default: /* what stood elsewhere: another object, type, table */
		return seen[draw(256)];
	}
}

static ssize_t lying_readv(struct reader *r, const struct iovec *local, const struct iovec *remote, size_t n)
{
	ssize_t got = truth->readv(truth, local, remote, n);
	size_t left = got < 0 ? 0 : (size_t)got;
	(void)r;
	reads++;
	for (size_t i = 0; i < n && left; i++) {
		size_t here = local[i].iov_len < left ? local[i].iov_len : left;
		left -= here;
		for (size_t at = 0; at + 8 <= here; at += 8) {
			uint64_t word;
			unsigned char *p = (unsigned char *)local[i].iov_base + at;
			memcpy(&word, p, 8);
			if (word > 4096 && word < UINT64_C(1) << 47 && word % 8 == 0)
				seen[draw(256)] = word;
			if (draw((uint32_t)lies_of) == 0) {
				word = lie(word);
				memcpy(p, &word, 8);
			}
		}
	}
	return got;
}

static unsigned rounds, level, values, tasks_met;
static uint64_t longest_text, longest_ns;
static int failures;

static void check_text(const struct locals_list *list, const struct repr_limits *limits)
{
	for (size_t i = 0; i < list->v.n; i++) {
		const struct locals_entry *e = &list->v.v[i];
		const char *text = (const char *)list->text.data + e->value;
		size_t chars = 0;
		for (size_t at = 0; at < e->value_len; chars++) {
			uint32_t cp;
			at += utf8_next(text + at, e->value_len - at, &cp);
			if (cp < 0x20 || cp == 0x7f || cp > 0x10ffff || utf8_is_unsafe(cp)) {
				failures++;
				printf("unsafe character %#x in: %.*s\n", cp, (int)e->value_len, text);
				break;
			}
		}
		values++;
		longest_text = chars > longest_text ? chars : longest_text;
		if (chars > limits->chars + 4000) {
			failures++;
			printf("%zu characters, %zu allowed: %.300s\n", chars, limits->chars, text);
		}
	}
}

/* The tasks of asyncio, if there are any: bounded, whatever the lists, sets and chains are. */
static void look_at_tasks(struct target *t, struct reader *liar)
{
	struct tasks tasks;
	if (tasks_init(&tasks, liar, &t->interpreter.layout) == 0)
		for (unsigned i = 0; i < rounds; i++) {
			uint64_t before = clock_mono_ns();
			int rc = 0;
			lies_of = 50u << draw(8);
			tasks_begin(&tasks, before + UINT64_C(2000000000));
			if (tasks_find(&tasks, t->interps[0].at, 0) == 0)
				while ((rc = tasks_read(&tasks)) >= 0)
					tasks_met += (unsigned)rc;
			uint64_t took = clock_mono_ns() - before;
			longest_ns = took > longest_ns ? took : longest_ns;
			if (took > UINT64_C(4000000000)) {
				failures++;
				printf("tasks: %llu ms\n", (unsigned long long)took / 1000000);
			}
		}
	tasks_done(&tasks);
}

static bool look(void *ctx, struct target *t, struct snapshot *s, uint64_t until_ns)
{
	struct reader liar = {.readv = lying_readv, .pid = t->reader.pid};
	struct repr_limits limits = repr_limits_of(level);
	struct secrets secrets;
	char why[64];
	struct locals c;
	struct locals_list list = {0};
	(void)ctx, (void)until_ns;
	truth = &t->reader;
	if (secrets_init(&secrets, SECRETS_DEFAULT, why, sizeof why) < 0 ||
	    locals_init(&c, &liar, &t->interpreter.layout, level, &secrets) < 0)
		abort();
	for (unsigned i = 0; i < rounds; i++) {
		lies_of = 50u << draw(8);
		locals_begin(&c, 0, 0);
		for (size_t k = 0; k < s->frames.n; k++) {
			uint64_t before = clock_mono_ns();
			int rc = locals_read(&c, &s->frames.v[k].frame, &list);
			uint64_t took = clock_mono_ns() - before;
			if (rc == 0)
				check_text(&list, &limits);
			longest_ns = took > longest_ns ? took : longest_ns;
		}
	}
	look_at_tasks(t, &liar);
	locals_list_done(&list);
	locals_done(&c);
	secrets_done(&secrets);
	return false;
}

int main(int argc, char **argv)
{
	static const struct session_signals no_signals;
	static struct target the_target, *t = &the_target;
	static struct stops the_stops, *stops = &the_stops;
	struct snapshot s = {0};
	char message[512] = "";
	if (argc != 5)
		return 2;
	level = (unsigned)atoi(argv[2]);
	rounds = (unsigned)atoi(argv[3]);
	seed = (uint64_t)atoi(argv[4]);
	int rc = attach_open(t, atoi(argv[1]), NULL, UINT64_C(3000000000), false, &no_signals, message, sizeof message);
	if (rc == 0)
		rc = snapshot_take(t, stops, false, &(struct snapshot_looks){.visit = look}, &s);
	if (rc < 0)
		printf("%s %s\n", message, err_words(rc));
	printf("%u rounds, %u values, %u tasks, %llu characters, %llu us, %llu reads\n", rounds, values, tasks_met,
	       (unsigned long long)longest_text, (unsigned long long)longest_ns / 1000, (unsigned long long)reads);
	snapshot_done(&s);
	target_close(t);
	return rc < 0 || failures || !values;
}

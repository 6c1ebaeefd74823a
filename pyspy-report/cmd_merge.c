#include <time.h>

#include "libcommon/buf.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "pyspy-report/cmd.h"
#include "pyspy-report/report_copy.h"
#include "pyspy-report/report_job.h"

enum { MERGE_HOSTS_NAMED = 3 };

static const char *when(char out[32], int64_t ns)
{
	time_t s = (time_t)(ns / 1000000000);
	struct tm tm;

	if (!gmtime_r(&s, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(out, 32, "?");
	return out;
}

static uint32_t name_hosts(const struct copyist *c, struct buf *b)
{
	const char *host;
	uint32_t n = 0;
	size_t len;

	while ((host = copyist_host(c, n, &len)) != NULL) {
		if (n < MERGE_HOSTS_NAMED) {
			buf_str(b, n ? ", " : "");
			escape_text(b, host, len);
		}
		n++;
	}
	if (n > MERGE_HOSTS_NAMED)
		buf_str(b, ", ...");
	return n;
}

static void say(const struct copyist *c)
{
	const struct copyist_totals *t = copyist_totals(c);
	char recordings[HUMAN_SIZE], samples[HUMAN_SIZE], n[HUMAN_SIZE], first[32], last[32];
	struct buf b;

	buf_init(&b, 0);
	uint32_t hosts = name_hosts(c, &b);
	log_info("merged %s recording%s of %s host%s (%s): %s samples, %s to %s UTC",
	         human_count(recordings, t->recordings), t->recordings == 1 ? "" : "s", human_count(n, hosts),
	         hosts == 1 ? "" : "s", buf_cstr(&b), human_count(samples, t->samples),
	         t->blocks ? when(first, t->first_ns) : "-", t->blocks ? when(last, t->last_ns) : "-");
	buf_done(&b);
	if (hosts > 1)
		log_info(
		    "each host's own clock is believed: views over time place recordings of different hosts by UTC");
	if (t->clock_steps)
		log_info("warning: a clock was set while it was recorded (%s step%s of over a second); times since the "
		         "begin of a recording are right, the time of day is that of the clock",
		         human_count(n, t->clock_steps), t->clock_steps == 1 ? "" : "s");
	if (t->repeated)
		log_info("warning: %s block%s %s in the input twice (a copy of the same recording) and counted once",
		         human_count(n, t->repeated), t->repeated == 1 ? "" : "s", t->repeated == 1 ? "was" : "were");
}

static int cmd_merge(const struct report_verb *verb, int argc, char **argv)
{
	struct report_copy c;
	int status = report_copy_begin(&c, verb, argc, argv);

	if (status == REPORT_GO_ON)
		status = report_copy_run(&c, NULL);
	if (status != REPORT_GO_ON)
		return status;
	say(c.copyist);
	return report_copy_end(&c);
}

const struct report_verb cmd_merge_verb = {
    .name = "merge",
    .summary = "Several recordings (hosts, runs, parts) as one file.",
    .examples = "  pyspy-report merge -o all.pyspy web-1.pyspy web-2.pyspy\n"
                "  pyspy-report merge -o day.pyspy part-*.pyspy\n"
                "  ssh web-1 cat /var/tmp/app.pyspy | pyspy-report merge - local.pyspy | pyspy-report top -\n",
    .about =
        "Every verb says of the merged file what it says of the files when they are named together: all samples, with\n"
        "the same weights, in the order of the command line. Each recording keeps its own facts (host, command, "
        "engine,\n"
        "rate, losses, end) and its clock; names, functions and stacks are kept once for all of them. A process that\n"
        "several recordings saw (the same host, boot, pid, start and exec) is one; equal pids of two hosts are two.\n"
        "Views over time place recordings of one boot by its monotonic clock, others by the time of day that each\n"
        "host believed in. A recording that is in two of the files counts once, and stderr says so. What is damaged\n"
        "is left out as in the other verbs, said, and kept as a loss in the result.",
    .groups = 0,
    .run = cmd_merge,
};

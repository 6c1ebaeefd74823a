#!/usr/bin/env python3
# serial
"""From outside: a pool that waits for work beside a thread that never sleeps. Its threads are not asked one by one at each
tick (sample/waiters.c), and yet each is seen when it works, with and without the GIL, for as long as it says itself."""
import json
import math
import os
import signal
import subprocess

import harness as h
import recording

SECONDS = 12 if h.FULL else 5
AWAKE = (recording.ON_CPU, recording.RUNNABLE, recording.ACTIVE)
SOURCE = r"""
#include <stdatomic.h>
#include <time.h>
static atomic_llong spent, passed;
long long burst_ns(void) { return spent; }
long long burst_wall_ns(void) { return passed; }
static long long now(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}
void bursts(void)
{
	for (;;) {
		struct timespec nap = {0, 20000000};
		long long due = now(CLOCK_MONOTONIC) + nap.tv_nsec;
		nanosleep(&nap, 0);
		for (long long begin = now(CLOCK_THREAD_CPUTIME_ID); now(CLOCK_THREAD_CPUTIME_ID) - begin < 4000000;)
			;
		spent = now(CLOCK_THREAD_CPUTIME_ID);
		passed += now(CLOCK_MONOTONIC) - due;
	}
}
"""


def library():
    path = os.path.join(h.folder(), "bursts.so")
    with open(path[:-3] + ".c", "w") as f:
        f.write(SOURCE)
    subprocess.run([os.environ.get("CC", "cc"), "-O1", "-shared", "-fPIC", "-o", path, path[:-3] + ".c"], check=True, timeout=60)
    return path


def calls(rec):
    """system calls of reading for a tick; looks at threads are not among them"""
    return rec.counters["read_calls"] / max(rec.ticks, 1)


def pool(py, rate):
    with h.Victim(py, "pool.py", [library(), SECONDS]) as v:
        out = os.path.join(h.folder(), "p.pyspy")
        p = h.start_record(["-p", v.pid, "-r", rate], out)
        h.wait_for("the first block", lambda: os.path.exists(out) and os.path.getsize(out) > 64, 20)
        v.say("go")
        said = json.loads(v.line(60))
        p.send_signal(signal.SIGINT)
        rec = h.finish_record(p, out, 30).rec
        v.say("end")
    h.sound(rec)
    lasted = (rec.blocks[-1]["end"] - rec.blocks[0]["begin"]) / 1e9
    gap = lasted / rec.ticks
    seen = {"compute": 0, "digest": 0}
    awake = bursts = 0
    for r in rec.runs:
        names = {f.name for f in r.stack}
        for name in seen:
            if name in names:
                seen[name] += r.ticks
                awake += r.ticks if name == "digest" and r.state in AWAKE else 0
        if "native" in names and r.state in AWAKE:
            bursts += r.ticks
    # [least, most] seconds: who is awake uses its CPU, or waits for one; before and after the others the one in C worked, too
    want = {"compute": said["compute"][:1] * 2, "digest": said["digest"][:1] * 2, "digest, awake": said["digest"][::-1],
            "bursts": [s * lasted / said["wall"] for s in said["bursts"]]}
    got = {"compute": seen["compute"], "digest": seen["digest"], "digest, awake": awake, "bursts": bursts}
    for name, seconds in want.items():
        # chance; what is in motion has no name
        least, most = (s / gap * times + sign * (4 * math.sqrt(s / gap) + 3) for s, times, sign in zip(seconds, (0.95, 1.05), (-1, 1)))
        h.note("%s: %.3f to %.3f s, %d ticks of %.0f to %.0f" % (name, *seconds, got[name], least, most))
        h.check(least <= got[name] <= most, "%s is seen in %d ticks, not in %.0f to %.0f" % (name, got[name], least, most))
    h.note("%.1f calls that read memory a tick" % calls(rec))


cases = []
for py in h.pythons(one_per_minor=True):
    if h.FULL or py.minor == 13:
        for rate in (100, 1000):
            if h.FULL or rate == 1000:
                cases.append(("a pool %s, %d Hz" % (py, rate), pool, py, rate))

if __name__ == "__main__":
    h.main(cases)

# serial
# --max-cpu: the recorder's own CPU time stays under the bound, as the kernel accounts it, where it would be far above without;
# the file says how often was looked, and its times and shares are the program's own, although the rate was not the same
# all the time.
import json
import math
import os
import time

import accounts
import harness as h
import recording
from pythons import HOST

RATE = {"outside": 10000, "kernel": 10000}  # Hz
PART, LEAST = 4, 0.4  # the bound is so small a part of what it would cost, and at least so many % of a CPU: there are fixed costs
LEARN = 1.5  # 15 ms, as % of a CPU for a second
THREADS = 40
CALM, CROWD = (6, 14) if h.FULL else (1.6, 2.1)  # s


def begin(pid, seconds, engine, args=()):
    out = os.path.join(h.folder(), "x.pyspy")
    p = h.start_record(["-p", pid, "-d", seconds, "-r", RATE[engine]] + list(args), out, cpu=h.RECORD_CPU, engine=engine)
    return p, out, accounts.Account(p.pid, every=0.005, threads=False)


def end(p, out, account, seconds):
    r = h.finish_record(p, out, seconds * 3 + 60)
    account.close()
    h.sound(r.rec)
    h.note(h.cost(r.rec))
    return r


def used(account, first, last):
    """% of one CPU between two moments, by the recorder's CPU clock: the least that it can have been"""
    first = max(first, account.rows[0][1])  # a recorder may have begun before we looked at it
    return 100 * account.used(first, last)[0] / (last - first)


def windows(account, first, last, width):
    return [used(account, first + k * 0.1, first + k * 0.1 + width) for k in range(int((last - first - width) * 10) + 1)]


def main_share(rec, tid, name):
    runs = [r for r in rec.runs if r.info["tid"] == tid]
    hit = lambda r: any(f.name == name for f in r.stack)  # noqa: E731
    counts = sum(r.ticks for r in runs if hit(r)) / max(1, sum(r.ticks for r in runs))
    wall = sum(r.ns for r in runs)
    if not rec.ticks:
        return accounts.share(runs, hit), counts, wall / 1e9
    # each tick is a look of its own, also where one finds what the one before found: the log says what was to be found
    got = sum(r.ns for r in runs if hit(r)) / wall
    error = sum((r.ns / r.ticks) ** 2 * r.ticks * ((1.0 if hit(r) else 0.0) - got) ** 2 for r in runs if r.ticks)
    return (got, math.sqrt(error) / wall), counts, wall / 1e9


def mean_gap(rec, first, last):
    """of ticks; of the kernel engine between two samples of a running thread, about"""
    if rec.ticks:
        times = sorted({t for r in rec.runs for t in r.when})
    else:
        times = sorted(r.when[0] for r in rec.runs if r.way == recording.KERNEL and r.state == recording.ON_CPU)
    n = sum(first <= t / 1e9 < last for t in times)
    return (last - first) / max(n, 1)


def bounded(py, engine):
    if engine == "kernel":
        h.need_kernel()
    seconds = CALM + CROWD
    with h.Victim(py, "crowds.py", [THREADS], cpu=h.VICTIM_CPU) as v:
        p, out, free = begin(v.pid, 0.8, engine)
        first, last = accounts.span(end(p, out, free, 0.8).rec)
        unbounded = used(free, first, last - 0.02)
        allowed = max(round(unbounded / PART, 2), LEAST)
        if unbounded < 2 * allowed:
            raise h.Skip("the program gets too little of a CPU here: sampling it costs only %.2f %% of one" % unbounded)
        p, out, account = begin(v.pid, seconds, engine, ["--max-cpu", "%.2f%%" % allowed, "--max-stop", 1])
        time.sleep(CALM)
        v.say("crowd")
        r = end(p, out, account, seconds)
        log = os.path.join(h.folder(), "log")
        v.say("report " + log)
        v.line()
        with open(log) as f:
            truth = accounts.Log("main", json.load(f))
    tid = int(v.words[0])
    first, last = accounts.span(r.rec)
    bounded = first + 0.1  # the kernel's later programs may be loaded still when the first sample comes: the start is not bounded
    whole, worst = used(account, bounded, last - 0.02), max(windows(account, bounded, last - 0.02, 3.0))
    bound = h.info(r.path)["recordings"][0]["max_cpu"]
    h.note("%.3f %% of a CPU of %.2f, at most %.3f %% for 3 s, without a bound %.1f %%; told: %s" % (whole, allowed, worst, unbounded, bound))
    # the first look at each piece of code is dear, and paid back later than this recording lasts
    h.check(whole <= 1.1 * allowed + LEARN / (last - bounded), "%.3f %% of a CPU were used, the bound was %.2f" % (whole, allowed))
    h.check(worst <= 1.25 * allowed + LEARN / 3, "%.3f %% of a CPU were used for 3 s, the bound was %.2f" % (worst, allowed))
    # what the file says of it
    h.check(bound["ppm"] == round(allowed * 1e4) and bound["lowered"], "info says %s" % bound)
    # it has all of the recording; of the first 0.1 s, in which new code is met, it is not known how much was the start's
    told, slack = bound["cpu_ns"] / 1e9, (0.1 * allowed + 0.05) / 100 * (last - bounded)
    least = account.used(bounded, last - 0.02)[0]
    most = account.used(max(first, account.rows[0][1]), last - 0.02)[1]
    h.check(least - slack < told < most + slack, "the file says %.1f ms, the kernel %.1f to %.1f" % (1e3 * told, 1e3 * least, 1e3 * most))
    h.check(0 < bound["lowest_rate_hz"] <= bound["mean_rate_hz"] < RATE[engine], "rates %s" % bound)
    h.check("of a CPU of at most" in r.stderr and "in the mean" in r.stderr, "not told at the end: %r" % r.stderr)
    # the rates were not the same, and yet
    change = next((e[0] for e in truth.log if e[2]["crowd"] > 0), last)
    if change > last - 0.5:
        raise h.Skip("the program got no CPU once the crowd was there")
    calm, full = mean_gap(r.rec, first + 0.3, change), mean_gap(r.rec, change + 0.3, last)
    h.note("%s: a sample in %.2f ms while it was calm, in %.2f ms in the crowd" % (engine, 1e3 * calm, 1e3 * full))
    missed = h.info(r.path)["recordings"][0]["not_sampled_ns"] / 1e9  # a recorder that gets no CPU
    motion = sum(x.ns for x in r.rec.runs if x.info["tid"] == tid and x.stack[-1] is recording.IN_MOTION) / 1e9
    for name in ("often", "seldom"):
        (got, se), counts, wall = main_share(r.rec, tid, name)
        accounts.near("%s %s: %s (by counts %.1f %%)" % (py, engine, name, 100 * counts), got, truth.share(name, first, last), se, 0.02 + (missed + motion) / (last - first))
    h.check(abs(wall + missed - (last - first)) <= 0.02 * (last - first), "%.3f s of the main thread, and %.3f s not sampled, in %.3f s" % (wall, missed, last - first))
    if engine == "outside":
        if full < 1.5 * calm:  # a host too busy to tell
            h.note("the rate was about the same in both phases: counts would do as well here")
        h.check(r.rec.lowered, "no mean gaps in TICKS")
    raw = h.raw(r.path, "-i")
    h.check(sum(raw.values()) == r.rec.raw_total(), "raw adds up to %d, the file to %d" % (sum(raw.values()), r.rec.raw_total()))


def no_need(py):
    """a bound far above what is used lowers nothing"""
    with h.Victim(py, "crowds.py", [1], cpu=h.VICTIM_CPU) as v:
        r = h.record(v.pid, 0.6, 50, ["--max-cpu", "50%"], cpu=h.RECORD_CPU)
    bound = h.info(r.path)["recordings"][0]["max_cpu"]
    h.check(not bound["lowered"] and bound["held"] and not r.rec.lowered and not r.rec.timed, "lowered: %s" % bound)


PYTHONS = h.interpreters(((3, 8), (3, 11), (3, 12), (3, 13)), ("release",), HOST, not h.FULL)
ONE = [py for py in PYTHONS if py.minor == 13] or PYTHONS

if __name__ == "__main__":
    h.main([("%s %s" % (engine, py), bounded, py, engine) for py in (PYTHONS if h.FULL else ONE[:1]) for engine in ("outside", "kernel")]
           + [("no need %s" % ONE[0], no_need, ONE[0])])

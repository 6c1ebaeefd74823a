# serial
# (j) Samples of a thread that stands still because the recorder sits on its CPU: moments are the timer's, not the scheduler's. A
# program that asks the kernel for its CPU time has the scheduler look at each call, and is put aside there if it was not before.
import json
import os

import harness as h
import recording

SECONDS = 20.0 if h.FULL else 6.0
RATE = 250
MORE = 0.015  # without a priority of our own it is 0.06 to 0.09


def held(py):
    """share of held samples in a short system call, beside the program's own clock"""
    release = tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2])
    if os.getuid():
        raise h.Skip("only root may have a real-time priority for certain")
    if (6, 5) < release < (6, 12) or len(os.sched_getaffinity(0)) < 2:
        raise h.Skip("no CPU is held here: Linux %d.%d, %d CPUs" % (*release, len(os.sched_getaffinity(0))))
    with h.Victim(py, "asks.py", cpu=h.VICTIM_CPU) as v:
        def ask():
            v.say("share?")
            return json.loads(v.line(30))["ask"]
        before = ask()
        rec = h.record(v.pid, SECONDS, RATE).rec
        true = (before + ask()) / 2
    n = {True: 0, False: 0}
    for r in rec.runs:
        if r.info["tid"] == v.pid and r.way == recording.STILL:
            n[r.stack[-1].name == "ask"] += r.ticks
    whole = sum(n.values())
    h.check(whole >= 50, "%d held samples, of %d" % (whole, sum(r.ticks for r in rec.runs if r.info["tid"] == v.pid)))
    got = n[True] / max(whole, 1)
    h.check(abs(got - true) <= MORE + 5 * (true * (1 - true) / max(whole, 1)) ** 0.5,
            "%.2f %% of %d held samples in the call; by its own clock %.2f %%" % (100 * got, whole, 100 * true))
    h.note("%.2f %% of %d held samples in the call; by its own clock %.2f %%" % (100 * got, whole, 100 * true))


if __name__ == "__main__":
    h.main([("held samples %s" % py, held, py) for py in h.pythons(one_per_minor=True) if h.FULL or py.minor in (11, 13)])

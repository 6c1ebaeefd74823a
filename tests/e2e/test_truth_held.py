# serial
# (j) Where recorder and program share a CPU, moments are the timer's, not the scheduler's. A program that asks the kernel for its CPU
# time has the scheduler look at each call, and is put aside there if it was not before.
import os

import harness as h
import recording

SECONDS = 20.0 if h.FULL else 4.0
RATE = 250
MORE = 0.015  # without a priority of our own: held 0.06 to 0.09, one CPU 0.5


def asking(py, args=(), cpu=None):
    """-> Result, share of its time that the program spends in a short system call, by its own clock"""
    if os.getuid():
        raise h.Skip("only root may have a real-time priority for certain")
    with h.Victim(py, "asks.py", cpu=h.VICTIM_CPU) as v:
        before = v.ask("share?")["ask"]
        rec = h.record(v.pid, SECONDS, RATE, args, cpu=cpu).rec
        return [r for r in rec.runs if r.info["tid"] == v.pid], (before + v.ask("share?")["ask"]) / 2


def judge(runs, true, least, what):
    n = {True: 0, False: 0}
    for r in runs:
        n[r.stack[-1].name == "ask"] += r.ticks
    whole = sum(n.values())
    h.check(whole >= least, "%d %s, not %d" % (whole, what, least))
    got = n[True] / max(whole, 1)
    told = "%.2f %% of %d %s in the call; by its own clock %.2f %%" % (100 * got, whole, what, 100 * true)
    h.check(abs(got - true) <= MORE + 5 * (true * (1 - true) / max(whole, 1)) ** 0.5, told)
    h.note(told)


def held(py):
    release = tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2])
    if (6, 5) < release < (6, 12) or len(h.CPUS) < 2:
        raise h.Skip("no CPU is held here: Linux %d.%d, %d CPUs" % (*release, len(h.CPUS)))
    runs, true = asking(py)
    judge([r for r in runs if r.way == recording.STILL], true, 50, "held samples")


def shared(py, args=()):
    """recorder and program have one CPU: a container's, or a small machine's"""
    runs, true = asking(py, args, cpu=h.VICTIM_CPU)
    judge(runs, true, SECONDS * RATE / 2, "samples")


def busy(py):
    """every CPU is at work, the recorder runs where it can"""
    burners = [h.start([py.path, "-c", "while True: pass"], cpu=c) for c in h.CPUS if c != h.VICTIM_CPU]
    try:
        runs, true = asking(py)
    finally:
        for b in burners:
            h.stop(b)
    judge(runs, true, SECONDS * RATE / 2, "samples")


if __name__ == "__main__":
    pythons = [py for py in h.pythons(one_per_minor=True) if h.FULL or py.minor in (11, 13)]
    few = pythons if h.FULL else pythons[-1:]
    h.main([("held samples %s" % py, held, py) for py in pythons] +
           [("one CPU for both %s" % py, shared, py) for py in (pythons if h.FULL else pythons[:1])] +
           [("one CPU for both, --nonblocking %s" % py, shared, py, ["--nonblocking"]) for py in few] +
           [("a busy machine %s" % py, busy, py) for py in few])

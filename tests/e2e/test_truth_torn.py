# serial
# timeout: 3600
# (c) Programs that call as fast as they can and whose legal stacks are known: 0 impossible stacks, from outside and by
# the kernel engine. From outside a legal stack's prefix followed by `[in motion]` is legal; the part in motion is printed.
import json
import os
from collections import Counter

import harness as h
import legal as legals
from pythons import HOST

ENOUGH = 100000 if h.FULL else 0
RATE = 20000
SECONDS = 1.0
KERNEL_ENOUGH = 30000 if h.FULL else 0  # a case at 10 kHz, a tenth at 1 kHz; all cases together: KERNEL_ALL
KERNEL_ALL = 1000000 if h.FULL else 20000
NO_STACK, CUT = 0.005, 0.03  # shares of a case's samples by the kernel engine: of which nothing can be told, or not all
by_kernel = Counter()  # samples and impossible ones of all cases


def recordings(pid, first=SECONDS, enough=ENOUGH, free=False, rate=RATE, engine="outside", gone=0.0, args=()):
    """recordings of `first` seconds and more, until there are `enough` samples, or three minutes are over"""
    seconds, total, spent = first, 0, 0
    while True:
        r = h.record(pid, seconds, rate, args, cpu=None if free else h.RECORD_CPU, engine=engine, gone=gone)
        yield r
        total, spent = total + r.rec.samples, spent + seconds
        if total >= enough or spent > 180 or not total:
            return
        seconds = min(60, 1 + 1.1 * spent * (enough - total) / total)


def torn(py, shape, threads, free=False, rates=None, every_cpu=False):
    """rates: by the kernel engine, with these; else from outside; every_cpu: its threads may run at the same time"""
    with h.Victim(py, "colours.py", [shape, threads, py.folder()[1]], cpu=None if every_cpu else h.VICTIM_CPU) as v:
        facts = json.loads(" ".join(v.words))
        legal = legals.Legal(facts["sources"], facts["tids"], py.version >= (3, 11), py.outside)
        seen = legals.Seen()
        if rates:
            rs = (r for rate in rates for r in recordings(v.pid, 0.7, KERNEL_ENOUGH * rate // 10000, free, rate, "kernel", NO_STACK))
        else:
            rs = recordings(v.pid, free=free, args=() if free else py.to_be_stopped)
        for r in rs:
            legals.judge_colours(r.rec, legal, seen, "kernel" if rates else "outside")
            h.note(h.cost(r.rec))
        samples, motion, unknown, cut, bad = seen.samples, seen.motion, seen.unknown, seen.cut, seen.bad
        h.check(not seen.strangers, "threads that nobody started: %s" % seen.strangers[:3])
        h.note("%d impossible in %d samples, %.2f %% in motion, %d without a stack, %d cut, %d leaves, at most %d frames" % (
            bad, samples, 100.0 * motion / max(samples, 1), unknown, cut, len(seen.leaves), seen.depth))
        h.check(unknown <= NO_STACK * samples and cut <= (CUT * samples if rates else 0), "%d without a stack, %d cut of %d samples" % (unknown, cut, samples))
        h.check(not bad, "%d impossible stacks: %s, such as %s" % (bad, seen.wrongs.most_common(4), seen.examples.most_common(3)))
        h.check(samples >= max(KERNEL_ENOUGH if rates else ENOUGH, 200), "only %d samples" % samples)
        h.check(shape != "deep" or seen.depth > 1900, "the deepest stack has %d frames" % seen.depth)
        if rates:
            by_kernel.update(samples=samples, wrong=bad)
        # how much is proved depends on the host (a stop a tick at most, within a budget); that something is does not
        h.check(samples - motion >= 20, "%.0f %% of the %d samples are in motion: nothing was proved" % (100.0 * motion / max(samples, 1), samples))


def all_by_kernel():
    h.need_kernel()
    h.note("by the kernel engine: %d impossible in %d samples" % (by_kernel["wrong"], by_kernel["samples"]))
    h.check(by_kernel["samples"] >= KERNEL_ALL, "only %d samples by the kernel engine" % by_kernel["samples"])


def reused(py, kind, engine="outside", rate=RATE):
    """code objects freed and made again at the same address"""
    with h.Victim(py, "reused.py", [kind], cpu=h.VICTIM_CPU) as v:
        main_tid = int(v.words[0])
        # by the kernel engine names are read when the ring is drained: most turns are over by then
        rs = list(recordings(v.pid, first=2.0, engine=engine, rate=rate, enough=ENOUGH if engine == "outside" else KERNEL_ENOUGH, gone=0.9))
        outside, inside = py.folder()
        v.say(os.path.join(inside, "turns.json"))
        v.line()
        with open(os.path.join(outside, "turns.json")) as f:
            turns = json.load(f)
        seen = legals.Seen()
        for r in rs:
            legals.judge_turns(r.rec, main_tid, turns, kind, seen)
            h.note(h.cost(r.rec))
        samples, stale, marked, unknown = seen.samples, seen.stale, seen.marked, seen.unknown
        h.note("%d turns, %d samples, %d wrong, %d not true at their time, %.2f %% marked as not proved, %.2f %% gone before they were read, %.2f %% in motion, %d stacks" % (
            len(turns), samples, seen.bad, stale, 100.0 * marked / max(samples, 1), 100.0 * unknown / max(samples, 1), 100.0 * seen.motion / max(samples, 1),
            sum(b["stacks"] for r in rs for b in r.rec.blocks)))
        h.check(not seen.bad, "%s of %d samples: such as %s" % (dict(seen.wrongs), samples, seen.examples.most_common(3)))
        # a recorder that loses its CPU between the clock and the read is allowed, stale names would be every third sample
        h.check(stale <= 0.002 * samples + 2, "%d of %d samples tell what was not true at their time" % (stale, samples))
        h.check(samples > 500, "only %d samples" % samples)
        h.check(samples - marked - unknown > 20, "of %d samples %d are not proved, %d could not be read: nothing is left" % (samples, marked, unknown))


OLD = ((2, 7), (3, 6), (3, 7), (3, 8), (3, 9), (3, 10))  # their frames are heap objects
SHAPES = ("chains", "tree", "helpers", "generators", "asyncio")
KERNEL_SHAPES = SHAPES + ("deep", "callbacks")
# in the quick form each shape is tried on some of the old versions, and each old version with some shapes
OLD_FEW = {(2, 7): ("chains", "deep"), (3, 6): ("generators",), (3, 7): ("helpers", "asyncio"), (3, 8): ("tree", "callbacks"), (3, 9): ("asyncio",), (3, 10): ("generators", "deep")}


def has(py, shape):
    return shape != "asyncio" or py.version >= (3, 5)


FEW = {11: ("generators",), 12: ("chains", "helpers"), 13: ("tree", "asyncio")}
FREE_FEW = {11: ("generators",), 12: ("helpers",), 13: ("asyncio",)}

cases = []
for py in h.pythons():
    for shape in SHAPES:
        for threads in (1, 4):
            if h.FULL or py.kind != "system" and shape in FEW[py.minor] and (threads > 1) == (shape == "helpers"):
                cases.append(("torn %s %s, %d threads" % (py, shape, threads), torn, py, shape, threads))
    # the recorder free to go where the target is (pyspy-record/sample/hold.h), as users have it; else each has a CPU
    for shape in ("helpers", "generators", "asyncio"):
        for threads in (1, 4):
            if h.FULL or threads == 1 and py.kind != "system" and shape in FREE_FEW[py.minor]:
                cases.append(("torn %s %s, %d threads, free" % (py, shape, threads), torn, py, shape, threads, True))
    for kind in ("files", "same"):
        if h.FULL or py.kind != "system" and (kind == "same") == (py.minor == 12):
            cases.append(("reused %s %s" % (py, kind), reused, py, kind))
for py in h.interpreters(OLD, ("release",), HOST, not h.FULL):
    for shape in SHAPES:
        for threads in (1, 4):
            if has(py, shape) and (h.FULL or shape in OLD_FEW[py.version[:2]] and threads == (4 if py.minor == 7 else 1)):
                cases.append(("torn %s %s, %d threads" % (py, shape, threads), torn, py, shape, threads))
    for kind in ("files", "same"):
        if h.FULL or (kind == "same") == (py.minor == 8):
            cases.append(("reused %s %s" % (py, kind), reused, py, kind))

for py in h.pythons() if h.FULL else h.pythons(one_per_minor=True):
    for shape in KERNEL_SHAPES:
        for threads in (1, 4):
            few = {13: KERNEL_SHAPES, 12: ("callbacks",), 11: ("deep",)}[py.minor] if threads == 1 else ("helpers",) * (py.minor == 12)
            if h.FULL or shape in few:
                cases.append(("torn, kernel %s %s, %d threads" % (py, shape, threads), torn, py, shape, threads, threads > 1, (1000, 10000) if h.FULL else (10000,)))
    for kind in ("files", "same"):
        if h.FULL or (kind, py.minor) in (("files", 13), ("same", 12)):
            cases.append(("reused, kernel %s %s" % (py, kind), reused, py, kind, "kernel", 10000))
for py in h.interpreters(OLD, ("release",), HOST, not h.FULL):
    for shape in KERNEL_SHAPES:
        for threads in (1, 4):
            if has(py, shape) and (h.FULL or shape == OLD_FEW[py.version[:2]][-1] and threads == (4 if py.minor == 7 else 1)):
                cases.append(("torn, kernel %s %s, %d threads" % (py, shape, threads), torn, py, shape, threads, threads > 1, (1000, 10000) if h.FULL else (10000,)))
    for kind in ("files", "same"):
        if h.FULL or (kind == "same") == (py.minor == 9):
            cases.append(("reused, kernel %s %s" % (py, kind), reused, py, kind, "kernel", 10000))
# 3.14, 3.15, debug and free-threaded builds; without a GIL several threads are in motion at once
NEW_FEW = {(14, "release"): ("generators",), (15, "release"): ("callbacks",), (14, "freethreaded"): ("helpers",), (15, "freethreaded"): ("generators",)}
for py in h.newer(NEW_FEW):
    for shape in KERNEL_SHAPES:
        for threads in (1, 4):
            if not h.FULL and (shape not in NEW_FEW[py.minor, py.build] or (threads > 1) != py.free_threaded):
                continue
            every_cpu = py.free_threaded and threads > 1
            if shape in SHAPES and (h.FULL or py.free_threaded and py.minor == 14):
                cases.append(("torn %s %s, %d threads" % (py, shape, threads), torn, py, shape, threads, every_cpu, None, every_cpu))
            cases.append(("torn, kernel %s %s, %d threads" % (py, shape, threads), torn, py, shape, threads, threads > 1, (1000, 10000) if h.FULL else (10000,), every_cpu))
    for kind in ("files", "same"):
        if h.FULL:
            cases.append(("reused %s %s" % (py, kind), reused, py, kind))
        if h.FULL or kind == "files" and (py.minor, py.build) == (14, "release"):
            cases.append(("reused, kernel %s %s" % (py, kind), reused, py, kind, "kernel", 10000))
cases.append(("all by the kernel", all_by_kernel))

if __name__ == "__main__":
    h.main(cases)

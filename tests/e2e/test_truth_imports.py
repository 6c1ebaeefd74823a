# parallel
# timeout: 1800
# (c) Code objects that die young: a program that imports its modules again and again. Each module's own code object is
# freed as soon as it has run, and another one comes to its place. Whatever the recording says that a frame's caller is,
# the interpreter must have called so (sys.setprofile, in a run of its own): a name that is another object's by now is
# wrong, and `[gone]` is right.
import os
import subprocess
from collections import Counter

import harness as h

SECONDS = 10 if h.FULL else 0.8
ENV = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONHASHSEED": "0"}


def calls_of(py, inside, outside):
    for args in (("write",), ("run", "0.01"), ("witness", inside + "/calls")):
        p = h.start(py.argv(os.path.join(h.TARGETS, "imports.py"), inside, *args), env=ENV, stdout=subprocess.DEVNULL)
        if p.wait(60):
            raise h.Failure("imports.py %s: status %d" % (args[0], p.returncode))
        h.stop(p)
    with open(outside + "/calls") as f:
        return {tuple(line.rstrip("\n").split("\t")) for line in f}


def place(frame):
    return frame.name.split(".")[-1], frame.file


def one(py, engine):
    if engine == "kernel":
        h.need_kernel()
    outside, inside = py.folder()
    calls = calls_of(py, inside, outside)
    with h.Victim(py, "imports.py", [inside, "run", 120], env=ENV) as v:
        rec = h.record(v.pid, SECONDS, 1000, engine=engine, gone=1.0).rec
    pairs, wrong, doubted, gone, samples = Counter(), Counter(), Counter(), 0, 0
    for r in rec.runs:
        begin = [i for i, f in enumerate(r.stack) if f.name == "one_round"]
        if not begin:
            continue
        samples += r.ticks
        gone += r.ticks * any(f.name == "[gone]" for f in r.stack)
        for a, b in zip(r.stack[begin[0]:], r.stack[begin[0] + 1:]):
            if "synthetic" in (a.kind, b.kind) or "[gone]" in (a.name, b.name):
                continue
            pair = place(a) + place(b)
            pairs[pair] += r.ticks
            if pair not in calls and pair[2] not in ("cb", "__del__"):  # these are called whenever an object goes
                (doubted if r.doubted else wrong)[pair] += r.ticks
    h.note("%d samples below one_round, %d with [gone]; %d kinds of calls seen of %d, wrong %d, and where the file has doubts %d" % (
        samples, gone, len(pairs), len(calls), sum(wrong.values()), sum(doubted.values())))
    # some 600 a second on an idle machine; from outside ticks are late on a busy one
    h.check(samples > (300 if engine == "kernel" else 100) * SECONDS, "only %d samples" % samples)
    h.check(len(pairs) > 100, "only %d kinds of calls" % len(pairs))
    h.check(not wrong, "calls that were never made: %s" % dict(wrong.most_common(3)))
    if not h.FULL:
        return  # beside other tests names are read as late as this machine has time
    # where code objects have neither versions nor a count of those freed, another one of the same source may take the place.
    # Names are read at once for as long as the time for that lasts, half a second and 2 %, and each 100 ms after it: how many
    # that are depends on the machine. A slow one: doubted up to 5 % (3.15), gone 36 to 45 %, 2.7 70 %
    h.check(sum(doubted.values()) <= 0.08 * samples, "doubted, and wrong: %s" % dict(doubted.most_common(3)))
    h.check(gone < (0.8 if py.version[0] == 2 else 0.6) * samples, "%d of %d samples with [gone]" % (gone, samples))


def cases():
    some = None if h.FULL else ((2, 7), (3, 8), (3, 12), (3, 13), (3, 14))
    for py in h.interpreters(some, one_per_minor=not h.FULL):
        for engine in ("kernel", "outside") if h.FULL or py.minor == 13 else ("kernel",):
            yield "%s %s" % (engine, py.name), one, py, engine


if __name__ == "__main__":
    h.main(list(cases()))

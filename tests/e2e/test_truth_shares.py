# serial
# (b) Shares of time against the target's own clock, at the very moments of the samples. All comparisons of the whole
# script are judged together: a false alarm in any of them has probability 1e-5. No retries. By the kernel engine also
# the shares of the whole recording: there it is the kernel that chose the moments.
import bisect
import json
import os

import accounts
import harness as h
import recording
from pythons import HOST

SECONDS, RATE = (15.0, 2000) if h.FULL else (3.0, 3000)
shares = h.Shares(alarm=1e-5)
with open(os.path.join(h.TARGETS, "shares.py")) as f:
    SOURCE = f.read().split("\n")


class Clock:
    """what the target's log says of the time between two moments; between two entries linearly"""

    def __init__(self, log):
        self.log, self.times = log, [e[0] for e in log]

    def at(self, name, t):
        i = bisect.bisect(self.times, t)
        if i == 0 and self.times and t > self.times[0] - 0.001:
            return 0.0
        if i == 0 or i >= len(self.times):
            raise h.Failure("the target's log does not cover the recording")
        (t0, a), (t1, b) = self.log[i - 1], self.log[i]
        f = (t - t0) / max(t1 - t0, 1e-9)
        return a.get(name, 0) + f * (b.get(name, 0) - a.get(name, 0))

    def seconds(self, name, begin, end):
        return self.at(name, end) - self.at(name, begin)


class Run:
    def __init__(self, py, shape, rate=RATE, unit=(), free=False, engine="outside"):
        with h.Victim(py, "shares.py", [shape] + list(unit), cpu=None if shape == "parallel" else h.VICTIM_CPU) as v:
            self.tid = int(v.words[0])
            self.r = h.record(v.pid, SECONDS, rate, () if free else py.to_be_stopped, cpu=None if free else h.RECORD_CPU, engine=engine)
            self.rec = self.r.rec
            self.begin = min(run.times[0] for run in self.rec.runs) / 1e9
            self.end = max(run.times[-1] for run in self.rec.runs) / 1e9
            outside, inside = py.folder()

            def covered():
                v.say(os.path.join(inside, "log.json"))
                v.line()
                with open(os.path.join(outside, "log.json")) as f:
                    self.logs = json.load(f)
                return all(log and log[-1][0] > self.end + 0.01 for log in self.logs.values())
            h.wait_for("a log that covers the recording", covered, 60, 0.2)
        self.clock = {name: Clock(log) for name, log in self.logs.items()}
        self.span = self.end - self.begin
        h.note(h.cost(self.rec))

    def samples(self, tid=None):
        """(time, run) of a thread, in the order of time"""
        out = [(t / 1e9, run) for run in self.rec.runs if tid is None or run.info["tid"] == tid for t in run.when]
        out.sort(key=lambda x: x[0])
        return out

    def share(self, name, around=50e-6, log="main"):
        """of the wall time around a moment"""
        return lambda t: self.clock[log].seconds(name, t - around, t + around) / (2 * around)

    def whole(self, py, what, names, extra):
        """the shares of the wall time of the whole recording"""
        begin, end = accounts.span(self.rec)
        runs = [r for r in self.rec.runs if r.info["tid"] == self.tid]
        for name in names:
            got, se = accounts.share(runs, lambda r: within(name)((0, r)))
            accounts.near("%s %s: %s" % (py, what, name), got, self.clock["main"].seconds(name, begin, end) / (end - begin), se, extra)


def on_cpu(samples):
    return [s for s in samples if s[1].state in (recording.ON_CPU, recording.ACTIVE)]


def in_motion(sample):
    return sample[1].stack[-1] is recording.IN_MOTION


def within(name):
    return lambda s: any(f.name.rsplit(".", 1)[-1] == name and os.path.basename(f.file) in ("shares.py", "shares_loop.py") for f in s[1].stack)


def add(py, what, samples, hit, truth, extra):
    shares.add("%s %s" % (py, what), samples, hit, lambda s: in_motion(s) and not hit(s), truth, extra)


def functions(py, rate=RATE, unit=600, free=False):
    r = Run(py, "functions", rate, [unit], free)
    s = r.samples(r.tid)
    for name in ("work_02", "work_05", "work_08", "work_15", "work_30", "work_40"):
        add(py, "%s at %d Hz, unit %d%s" % (name, rate, unit, ", free" * free), s, within(name), r.share(name), 0.003)
    # the reporter's totals are our reader's
    raw = h.raw(r.r.path, "-i", "--full-filenames")
    h.check(sum(raw.values()) == r.rec.samples, "raw has %d samples, the file %d" % (sum(raw.values()), r.rec.samples))
    for name in ("work_02", "work_30"):
        a = sum(n for k, n in raw.items() if any(f.startswith(name + " (") for f in k))
        b = sum(run.ticks for run in r.rec.runs if within(name)((0, run)))
        h.check(a == b, "raw: %d samples in %s, our reader %d" % (a, name, b))
    # CPU time of the thread cannot be more than the wall clock's
    cpu = sum(run.cpu_ns or 0 for run in r.rec.runs if run.info["tid"] == r.tid) / 1e9
    hz = r.rec.epochs[0].recording["hz"] or 100
    h.check(cpu <= r.span + 3.0 / hz + 0.02, "%.3f s of CPU time in %.3f s" % (cpu, r.span))
    h.note("CPU time in the file: %.3f s of %.3f s recorded" % (cpu, r.span))


def by_kernel(py, shape, rate, free=False):
    """by the kernel engine: each sample at its own moment, and the shares of all"""
    r = Run(py, shape, rate, [600] if shape == "functions" else (), free, "kernel")
    names = {"functions": ("work_02", "work_05", "work_08", "work_15", "work_30", "work_40"), "sleeper": ("nap", "spin"), "asyncio": ("select",)}[shape]
    for name in names:
        around, extra = (2e-3, 0.02) if shape == "asyncio" else (50e-6, 0.01)
        if name != "nap":
            add(py, "kernel %s at %d Hz" % (name, rate), on_cpu(r.samples(r.tid)), within(name), r.share(name, around), extra)
    # a busy program may lose its CPU to others here: its clock says where, and so do its samples
    r.whole(py, "kernel %s at %d Hz, all" % (shape, rate), names, 0.02)
    raw = h.raw(r.r.path, "-i", "--full-filenames")
    h.check(sum(raw.values()) == r.rec.raw_total(), "raw adds up to %d, the file to %d" % (sum(raw.values()), r.rec.raw_total()))


def lines(py):
    r = Run(py, "lines")
    s = r.samples(r.tid)
    for name, text in (("line_a", "n * 50"), ("line_b", "n * 25"), ("line_c", "n * 60"), ("line_d", "n * 5)")):
        number = 1 + next(i for i, line in enumerate(SOURCE) if text in line and line.startswith("    ") and '"' not in line)

        def on(sample):
            f = [f for f in sample[1].stack if f.name == "lines"]
            return bool(f) and f[-1].line == number
        add(py, "line %d" % number, s, on, r.share(name), 0.005)


def sleeper(py):
    r = Run(py, "sleeper")
    s = r.samples(r.tid)
    add(py, "sleeper: nap", s, within("nap"), r.share("nap"), 0.01)
    add(py, "sleeper: spin", s, within("spin"), r.share("spin"), 0.01)
    # what is idle is in nap; a few naps are over, but the thread has no CPU yet
    idle = [x for x in s if x[1].idle]
    other = sum(not within("nap")(x) for x in idle)
    h.check(other <= 0.01 * len(idle) + 5, "%d of %d idle samples are not in nap" % (other, len(idle)))
    busy = h.raw(r.r.path, "--full-filenames")
    n = sum(c for k, c in busy.items())
    nap = sum(c for k, c in busy.items() if any(f.startswith("nap (") for f in k))
    want = sum(run.ticks for run in r.rec.runs if not run.idle)
    h.check(n == want, "raw without -i: %d samples, our reader %d" % (n, want))
    h.note("raw without -i: %d of %d samples in nap; %d of %d idle samples elsewhere" % (nap, n, other, len(idle)))
    h.check(len(idle) > 0.2 * len(s), "%d of %d samples are idle" % (len(idle), len(s)))


def threads(py):
    r = Run(py, "threads")
    tid = {t["name"]: t["tid"] for t in r.rec.threads().values()}
    held = [x for x in r.samples() if x[1].gil]
    at_tick = {}
    for t, _ in held:
        at_tick[t] = at_tick.get(t, 0) + 1
    double = sum(n > 1 for n in at_tick.values())
    h.check(double == 0, "%d ticks with two threads that hold the GIL" % double)

    def one(t):
        seconds = [r.clock[n].seconds(n, t - 50e-6, t + 50e-6) for n in ("one", "two")]
        return seconds[0] / sum(seconds) if sum(seconds) else None
    # share of the thread among all samples with the GIL; a little is held around what the target's clock measures, and in
    # 2.x more often: its GIL changes hands each 100 bytecodes, not each 5 ms
    around = 0.01 if py.version >= (3, 2) else 0.03
    shares.add("%s GIL: thread one" % py, held, lambda x: x[1].info["tid"] == tid["one"], lambda x: False, one, around)
    raw = h.raw(r.r.path, "-g", "--full-filenames")
    h.check(sum(raw.values()) == len(held), "raw -g: %d samples, our reader %d" % (sum(raw.values()), len(held)))
    waiting = sum(x[1].flags & recording.GIL_WAIT != 0 for x in r.samples())
    both = sum(x[1].gil and x[1].flags & recording.GIL_WAIT != 0 for x in r.samples())
    h.check(not both, "%d samples hold the GIL and wait for it" % both)
    h.note("%d samples hold the GIL, %d wait for it" % (len(held), waiting))


def parallel(py, engine="outside", rate=1000):
    """without a GIL: two threads run at once, and each is sampled for itself"""
    r = Run(py, "parallel", rate, (), True, engine)
    threads = {t["name"]: t["tid"] for t in r.rec.threads().values()}
    when = {}
    for name in ("one", "two"):
        s = r.samples(threads[name])
        if engine == "kernel":
            s = on_cpu(s)
        when[name] = [run for _, run in s]
        for work in ("work_05", "work_15", "work_30", "work_40"):
            # a thread that lost its CPU is where it was, by its own clock as well
            add(py, "%s, parallel %s, %s" % (engine, name, work), s, within(work), r.share(work, log=name), 0.01)
        h.check(not any(run.gil or run.flags & recording.GIL_WAIT for _, run in s), "%s: samples with a GIL, or waiting for it" % name)
    h.note("samples of the two: %s" % {k: len(v) for k, v in when.items()})
    h.check(min(map(len, when.values())) > 0.5 * max(map(len, when.values())), "one is sampled oftener: %s" % {k: len(v) for k, v in when.items()})


def polling(py, free=False):
    r = Run(py, "asyncio", free=free)
    s = r.samples(r.tid)
    # ours and the standard library's select; outside of what the clock measures: the calls of the clock themselves
    add(py, "asyncio: in select%s" % (", free" * free), s, within("select"), r.share("select", 2e-3), 0.02)
    leaf = sum(x[1].stack[-1].name in ("EpollSelector.select", "select") for x in s) / max(len(s), 1)
    true = r.clock["main"].seconds("select", r.begin, r.end) / r.span
    h.note("select is the leaf of %.1f %%, the target says %.1f %%, %.1f %% in motion" % (100 * leaf, 100 * true, 100 * sum(map(in_motion, s)) / len(s)))


def judge():
    bad = shares.judge()
    for b in bad:
        h.check(False, b)
    h.note("%d comparisons" % len(shares.rows))


OLD = ((2, 7), (3, 6), (3, 7), (3, 8), (3, 9), (3, 10))  # their frames are heap objects
SHAPES = {"functions": functions, "lines": lines, "threads": threads, "asyncio": polling, "sleeper": sleeper}
# in the quick form each shape is tried on one of the old versions, from outside or by the kernel
OLD_FEW = {"functions": (3, 6), "threads": (2, 7)}
OLD_KERNEL = {"functions": (3, 7), "sleeper": (3, 9), "asyncio": (3, 10)}

# and each shape on one of these
FEW = {11: ("threads", "asyncio, free"), 12: ("lines",), 13: ("functions", "sleeper")}

cases = []
for py in h.pythons():
    for shape, f in SHAPES.items():
        if h.FULL or (py.kind != "system" and shape in FEW[py.minor]):
            cases.append(("%s %s" % (shape, py), f, py))
    # the recorder free to go where the target is (pyspy-record/sample/hold.h), as users have it; else each has a CPU
    if h.FULL or py.kind != "system" and "asyncio, free" in FEW[py.minor]:
        cases.append(("asyncio %s, free" % py, polling, py, True))
    if h.FULL or (py.minor == 12 and py.kind != "system"):
        cases.append(("functions %s, 200 Hz, free" % py, functions, py, 200, 600, True))
    if h.FULL:
        cases.append(("functions %s, free" % py, functions, py, RATE, 600, True))
    if h.FULL:
        cases.append(("functions %s, 100 Hz" % py, functions, py, 100))
        cases.append(("functions %s, 5 kHz" % py, functions, py, 5000))
        cases.append(("functions %s, short" % py, functions, py, RATE, 40))
old = h.interpreters(OLD, ("release",), HOST, not h.FULL)
for py in old:
    for shape, f in SHAPES.items():
        if (h.FULL or OLD_FEW.get(shape) == py.version[:2]) and (shape != "asyncio" or py.version >= (3, 5)):
            cases.append(("%s %s" % (shape, py), f, py))
for n, py in enumerate(h.pythons(one_per_minor=True)):
    for m, (shape, rate) in enumerate((("functions", 2000), ("sleeper", 1000), ("asyncio", 2000))):
        if h.FULL or n == m and shape != "asyncio":
            cases.append(("%s, kernel %s, %d Hz" % (shape, py, rate), by_kernel, py, shape, rate))
    if h.FULL:
        cases.append(("functions, kernel %s, 100 Hz" % py, by_kernel, py, "functions", 100))
        cases.append(("functions, kernel %s, 10 kHz, free" % py, by_kernel, py, "functions", 10000, True))
for py in old:
    for shape, rate in (("functions", 2000), ("sleeper", 1000), ("asyncio", 2000)):
        if (h.FULL or OLD_KERNEL.get(shape) == py.version[:2]) and (shape != "asyncio" or py.version >= (3, 5)):
            cases.append(("%s, kernel %s, %d Hz" % (shape, py, rate), by_kernel, py, shape, rate))
# 3.14, 3.15, debug and free-threaded builds
NEW_FEW = {(14, "release"): ("lines",), (15, "freethreaded"): ("parallel",)}
for py in h.newer(NEW_FEW):
    for shape, f in SHAPES.items():
        if (h.FULL or shape in NEW_FEW[py.minor, py.build]) and (shape != "threads" or not py.free_threaded):
            cases.append(("%s %s" % (shape, py), f, py))
    for shape, rate in (("functions", 2000), ("sleeper", 1000), ("asyncio", 2000)):
        if h.FULL:
            cases.append(("%s, kernel %s, %d Hz" % (shape, py, rate), by_kernel, py, shape, rate))
    if py.free_threaded and h.FULL:
        cases.append(("parallel %s" % py, parallel, py))
    if py.free_threaded:
        cases.append(("parallel, kernel %s" % py, parallel, py, "kernel", 2000))
cases.append(("judge", judge))

if __name__ == "__main__":
    import sys
    if len(sys.argv) > 1:
        sys.argv[1] += "|judge"
    h.main(cases)

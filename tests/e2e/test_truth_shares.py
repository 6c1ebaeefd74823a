# serial
# (b) Shares of time against the target's own clock, over exactly the time that was recorded. All comparisons of the
# whole script are judged together: a false alarm in any of them has probability 1e-5. No retries.
import bisect
import json
import os

import harness as h
import pyspy_reader as pr

SECONDS, RATE = (12.0, 1000) if h.FULL else (4.0, 1000)
shares = h.Shares(alarm=1e-5)
with open(os.path.join(h.TARGETS, "shares.py")) as f:
    SOURCE = f.read().split("\n")


def truth(logs, name, begin, end):
    """seconds of `name` between two times, by the target's clock, between turns linearly"""
    def at(t):
        i = bisect.bisect(times, t)
        if i == 0 or i >= len(times):
            raise h.Failure("the target's log does not cover the recording")
        a, b = logs[i - 1], logs[i]
        f = (t - a[0]) / max(b[0] - a[0], 1e-9)
        return a[1].get(name, 0) + f * (b[1].get(name, 0) - a[1].get(name, 0))
    times = [e[0] for e in logs]
    return at(end) - at(begin)


class Run:
    def __init__(self, py, shape, rate=RATE, unit=()):
        with h.Victim(py, "shares.py", [shape] + list(unit), cpu=h.VICTIM_CPU) as v:
            self.tid = int(v.words[0])
            self.r = h.record(v.pid, SECONDS, rate, cpu=h.RECORD_CPU)
            where = os.path.join(h.folder(), "log.json")
            h.time.sleep(0.2)
            v.say(where)
            v.line()
            with open(where) as f:
                self.logs = json.load(f)
        self.rec = self.r.rec
        self.begin = min(run.times[0] for run in self.rec.runs) / 1e9
        self.end = max(run.times[-1] for run in self.rec.runs) / 1e9
        self.span = self.end - self.begin
        h.note(h.cost(self.rec))

    def samples(self, tid=None):
        """(time, run) of a thread, in the order of time"""
        out = [(t, run) for run in self.rec.runs if tid is None or run.info["tid"] == tid for t in run.when]
        out.sort(key=lambda x: x[0])
        return out

    def share(self, name, log="main"):
        return truth(self.logs[log], name, self.begin, self.end) / self.span


def within(name):
    return lambda run: any(f.name.rsplit(".", 1)[-1] == name and f.file.endswith("shares.py") for f in run.stack)


def add(py, what, samples, f, true, extra):
    shares.add("%s %s" % (py, what), [1 if f(run) else 0 for _, run in samples], true, extra)


def functions(py, rate=RATE, unit=600):
    r = Run(py, "functions", rate, [unit])
    s = r.samples(r.tid)
    motion = sum(run.stack[-1] is pr.IN_MOTION for _, run in s) / max(len(s), 1)
    for name in ("work_02", "work_05", "work_08", "work_15", "work_30", "work_40"):
        # in motion above the function: its samples are missing here, which the rest must not gain
        add(py, "%s at %d Hz, unit %d" % (name, rate, unit), s, within(name), r.share(name), 0.003 + 0.02 * motion)
    # the reporter's totals are our reader's
    raw = h.raw(r.r.path, "-i", "--full-filenames")
    h.check(sum(raw.values()) == r.rec.samples, "raw has %d samples, the file %d" % (sum(raw.values()), r.rec.samples))
    for name in ("work_02", "work_30"):
        a = sum(n for k, n in raw.items() if any(f.startswith(name + " (") for f in k))
        b = sum(run.ticks for run in r.rec.runs if within(name)(run))
        h.check(a == b, "raw: %d samples in %s, our reader %d" % (a, name, b))
    # CPU time: the thread's own, by the file, against the wall clock's share (it never sleeps): near 1 and never above
    cpu = sum(run.cpu_ns or 0 for run in r.rec.runs if run.info["tid"] == r.tid) / 1e9
    hz = r.rec.epochs[0].recording["hz"] or 100
    h.check(cpu <= r.span + 3.0 / hz + 0.02, "%.3f s of CPU time in %.3f s" % (cpu, r.span))
    h.note("CPU time in the file: %.3f s of %.3f s recorded" % (cpu, r.span))


def lines(py):
    r = Run(py, "lines")
    s = r.samples(r.tid)
    for name, text in (("line_a", "n * 50"), ("line_b", "n * 25"), ("line_c", "n * 60"), ("line_d", "n * 5)")):
        number = 1 + next(i for i, line in enumerate(SOURCE) if text in line and line.startswith("    ") and '"' not in line)
        def on(run):
            f = [f for f in run.stack if f.name == "lines"]
            return bool(f) and f[-1].line == number
        add(py, "line %d" % number, s, on, r.share(name), 0.005)


def sleeper(py):
    r = Run(py, "sleeper")
    s = r.samples(r.tid)
    add(py, "sleeper: nap", s, within("nap"), r.share("nap"), 0.01)
    add(py, "sleeper: spin", s, within("spin"), r.share("spin"), 0.01)
    idle = [(t, run) for t, run in s if run.idle]
    add(py, "sleeper: nap and idle", s, lambda run: run.idle and within("nap")(run), r.share("nap"), 0.02)
    # what is idle is in nap; a few stand at the switch
    other = sum(not within("nap")(run) for _, run in idle)
    h.note("%d of %d idle samples are not in nap" % (other, len(idle)))
    busy = h.raw(r.r.path, "--full-filenames")
    n = sum(c for k, c in busy.items())
    nap = sum(c for k, c in busy.items() if any(f.startswith("nap (") for f in k))
    want = sum(run.ticks for run in r.rec.runs if not run.idle)
    h.check(n == want, "raw without -i: %d samples, our reader %d" % (n, want))
    h.note("raw without -i: %d of %d samples in nap" % (nap, n))
    h.check(nap <= 0.1 * n + 10, "raw without -i still shows %d of %d samples asleep" % (nap, n))


def threads(py):
    r = Run(py, "threads")
    tid = {t["name"]: t["tid"] for t in r.rec.threads().values()}
    cpu = {n: truth(r.logs[n], n, r.begin, r.end) for n in ("one", "two")}
    held = [(t, run) for t, run in r.samples() if run.gil]
    at_tick = {}
    for t, run in held:
        at_tick[t] = at_tick.get(t, 0) + 1
    double = sum(n > 1 for n in at_tick.values())
    h.check(double == 0, "%d ticks with two threads that hold the GIL" % double)
    # who holds the GIL is who computes: share of the thread among all samples with the GIL
    add(py, "GIL: thread one", held, lambda run: run.info["tid"] == tid["one"], cpu["one"] / sum(cpu.values()), 0.02)
    raw = h.raw(r.r.path, "-g", "--full-filenames")
    h.check(sum(raw.values()) == len(held), "raw -g: %d samples, our reader %d" % (sum(raw.values()), len(held)))
    waiting = sum(run.flags & pr.GIL_WAIT != 0 for _, run in r.samples())
    both = sum(run.gil and run.flags & pr.GIL_WAIT != 0 for _, run in r.samples())
    h.check(not both, "%d samples hold the GIL and wait for it" % both)
    h.note("%d samples hold the GIL, %d wait for it, CPU one %.2f s two %.2f s of %.2f" % (len(held), waiting, cpu["one"], cpu["two"], r.span))


def polling(py):
    r = Run(py, "asyncio")
    s = r.samples(r.tid)
    motion = sum(run.stack[-1] is pr.IN_MOTION for _, run in s) / max(len(s), 1)
    # ours and the standard library's select, without what the clock itself takes; in motion may hide some of it
    add(py, "asyncio: select", s, within("select"), r.share("select"), 0.02 + 0.1 * motion)
    leaf = sum(run.stack[-1].name == "EpollSelector.select" for _, run in s) / max(len(s), 1)
    h.note("select is the leaf of %.1f %%, the target says %.1f %% in it, %.1f %% in motion" % (100 * leaf, 100 * r.share("select"), 100 * motion))


def judge():
    bad = shares.judge()
    for b in bad:
        h.check(False, b)
    h.note("%d comparisons" % len(shares.rows))


cases = []
for py in h.pythons():
    cases.append(("functions %s" % py, functions, py))
    if h.FULL or py.kind != "system":
        cases.append(("lines %s" % py, lines, py))
    cases.append(("threads %s" % py, threads, py))
    cases.append(("asyncio %s" % py, polling, py))
    if h.FULL or py.minor == 12:
        cases.append(("sleeper %s" % py, sleeper, py))
    if h.FULL:
        cases.append(("functions %s, 100 Hz" % py, functions, py, 100))
        cases.append(("functions %s, 5 kHz" % py, functions, py, 5000))
        cases.append(("functions %s, short" % py, functions, py, RATE, 40))
cases.append(("judge", judge))

if __name__ == "__main__":
    import sys
    if len(sys.argv) > 1:
        sys.argv[1] += "|judge"
    h.main(cases)

# serial
# timeout: 3600
# (e) Time by the kernel engine: on a CPU, per thread, as the kernel accounts it; with the time off it, wall time. And
# where a thread slept, by its own clock. Within 1 %, and what chance explains.
import json
import os

import accounts
import harness as h
import recording
from pythons import HOST

SECONDS = 8.0 if h.FULL else 2.0
ONE_PERCENT = 0.01


class Run:
    def __init__(self, py, rate, specs, seconds=SECONDS, cpu=None):
        with h.Victim(py, "cycles.py", specs, cpu=cpu) as v:
            self.account, self.rec = accounts.record(v.pid, seconds, rate)
            outside, inside = py.folder()
            self.main = v.pid
            self.begin, self.end = accounts.span(self.rec)

            def covered():
                v.say("report " + os.path.join(inside, "log.json"))
                v.line()
                with open(os.path.join(outside, "log.json")) as f:
                    self.logs = {int(tid): accounts.Log(*x) for tid, x in json.load(f).items()}
                return all(log.at and log.at[-1] > self.end for log in self.logs.values())
            h.wait_for("logs that cover the recording", covered, 30, 0.3)
        self.times = accounts.times(self.rec)

    def runs(self, tid):
        return [r for r in self.rec.runs if r.info["tid"] == tid]


def within(name):
    return lambda run: any(f.name == name and f.file.endswith("cycles.py") for f in run.stack)


def off(got, least, most):
    """how far outside of a range, as a share of it"""
    return max(0.0, least - got, got - most) / max(most, 1e-9)


def time_per_thread(py, rate, specs, cpu=None):
    run = Run(py, rate, specs, cpu=cpu)
    span = run.end - run.begin
    h.check(set(run.times) == set(run.logs) | {run.main}, "threads %s, the program has %s" % (sorted(run.times), sorted(run.logs)))
    worst = dict(cpu=0.0, own=0.0, wall=0.0)
    for tid, log in run.logs.items():
        t = run.times.get(tid, accounts.Time())
        stat, own = run.account.used(run.begin, run.end, tid), log.cpu(run.begin, run.end)
        errors = dict(cpu=off(t.on, *stat), own=off(t.on, *own), wall=abs(t.wall - span) / span)
        for k, e in errors.items():
            worst[k] = max(worst[k], e)
        h.check(errors["cpu"] <= ONE_PERCENT, "%s: %.4f s on a CPU, schedstat says %.4f .. %.4f" % (log.spec, t.on, *stat))
        h.check(errors["own"] <= ONE_PERCENT, "%s: %.4f s on a CPU, its own clock says %.4f .. %.4f" % (log.spec, t.on, *own))
        h.check(errors["wall"] <= ONE_PERCENT, "%s: %.4f s on a CPU and %.4f s off it, in %.4f s" % (log.spec, t.on, t.off, span))
    h.check(abs(run.times[run.main].wall - span) <= ONE_PERCENT * span, "the main thread, which waits: %.4f s of %.4f" % (run.times[run.main].wall, span))
    whole, used = sum(t.on for t in run.times.values()), run.account.used(run.begin, run.end)
    h.check(off(whole, *used) <= ONE_PERCENT, "all threads: %.4f s on a CPU, the process's clock says %.4f .. %.4f" % ((whole,) + used))
    h.note("worst of %d threads: CPU time %.2f %% off schedstat, %.2f %% off its own clock, wall time %.2f %%; all %.3f s, the kernel says %.3f .. %.3f" % (
        len(run.logs), 100 * worst["cpu"], 100 * worst["own"], 100 * worst["wall"], whole, *used))


def naps(py, rate, specs, seconds=SECONDS):
    """where threads slept"""
    run = Run(py, rate, specs, seconds)
    span = run.end - run.begin
    for spec in dict.fromkeys(log.spec for log in run.logs.values()):
        tids = [tid for tid, log in run.logs.items() if log.spec == spec]
        for tid in tids:
            t = run.times.get(tid, accounts.Time())
            h.check(abs(t.wall - span) <= ONE_PERCENT * span, "%s: %.4f s on a CPU and %.4f s off it, in %.4f s" % (spec, t.on, t.off, span))
        runs = [r for tid in tids for r in run.runs(tid)]
        # where nearly each sleep is taken chance has a part only in those that are not: their time goes to the others
        slept = sum(run.logs[tid].of("calls", run.begin, run.end) for tid in tids)
        taken = sum(r.way == recording.KERNEL and r.state == recording.SLEEPING for r in runs)
        for name in ("nap_a", "nap_b"):
            true = sum(run.logs[tid].share(name, run.begin, run.end) for tid in tids) / len(tids)
            got, se = accounts.share(runs, within(name))
            if taken > 0.9 * slept:
                se = min(se, (max(slept - taken, 0) * true * (1 - true)) ** 0.5 / slept)
            accounts.near("%s at %d Hz, %s" % (spec, rate, name), got, true, se, 0.02)
        asleep = [r for r in runs if r.state == recording.SLEEPING]
        elsewhere = sum(r.ns for r in asleep if not within("nap_a")(r) and not within("nap_b")(r))
        h.check(elsewhere <= 0.01 * sum(r.ns for r in asleep), "%s: asleep outside of its naps for %.4f s" % (spec, elsewhere / 1e9))


HALF_IDLE = ["cycle:0.2:0.2", "cycle:2:2", "cycle:5:20", "cycle:20:5", "cycle:100:100"]
SLEEPY = ["cycle:0.05:20*4", "cycle:0.5:100*4"]
SHARING = ["busy*3", "cycle:1:30"]
NAPS = ["naps:1:1:0.3", "naps:20:20:0.3", "naps:0.1:200:0.998"]

cases = []
for n, py in enumerate(h.pythons(one_per_minor=True)):
    for m, rate in enumerate((100, 1000, 10000)):
        if h.FULL or n == m:
            cases.append(("half idle %s, %d Hz" % (py, rate), time_per_thread, py, rate, HALF_IDLE + SLEEPY))
        if h.FULL or (n, m) == (1, 0):
            cases.append(("GIL shared %s, %d Hz" % (py, rate), time_per_thread, py, rate, SHARING))
        if h.FULL or (n, m) in ((0, 2), (2, 0)):
            cases.append(("naps %s, %d Hz" % (py, rate), naps, py, rate, NAPS))
        if h.FULL:
            cases.append(("one CPU for all %s, %d Hz" % (py, rate), time_per_thread, py, rate, SHARING + HALF_IDLE, h.VICTIM_CPU))
    if h.FULL:
        cases.append(("64 sleepers %s" % py, naps, py, 100, ["naps:1:3:0.5*8", "naps:30:50:0.5*32", "naps:0.2:400:0.99*24"]))
        cases.append(("64 sleepers that differ little %s" % py, naps, py, 100, ["naps:1:3:0.5*64"]))
    if h.FULL or py.minor == 13:
        # many short sleeps, few of them sampled: long ones must not count as short ones do
        cases.append(("64 short sleepers %s" % py, naps, py, 100, ["naps:0.5:20:0.8*64"]))

OLD = {(2, 7): ("GIL shared", 100), (3, 6): ("naps", 1000), (3, 8): ("half idle", 1000), (3, 10): ("GIL shared", 1000)}
for py in h.interpreters(((2, 7), (3, 6), (3, 7), (3, 8), (3, 9), (3, 10)), ("release",), HOST, not h.FULL):
    for what, f, specs in (("half idle", time_per_thread, HALF_IDLE + SLEEPY), ("GIL shared", time_per_thread, SHARING), ("naps", naps, NAPS)):
        for rate in (100, 1000):
            if h.FULL or OLD.get(py.version[:2]) == (what, rate):
                cases.append(("%s %s, %d Hz" % (what, py, rate), f, py, rate, specs))

for py in h.newer(()):
    for rate in (100, 1000, 10000):
        cases.append(("half idle %s, %d Hz" % (py, rate), time_per_thread, py, rate, HALF_IDLE + SLEEPY))
        cases.append(("%s %s, %d Hz" % ("threads at once" if py.free_threaded else "GIL shared", py, rate), time_per_thread, py, rate, SHARING))
    cases.append(("naps %s, 1000 Hz" % py, naps, py, 1000, NAPS))

if __name__ == "__main__":
    h.main(cases)

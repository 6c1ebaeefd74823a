"""The kernel's own account of a process beside what a recording says of its time.

`Account` reads, from outside and all the time, what each thread has used of a CPU (/proc/PID/task/TID/schedstat) and what
the process has (its CPU clock). schedstat of a thread that runs is up to a tick old, the process's clock is exact.
"""
import bisect
import math
import os
import threading
import time

import harness as h
import recording

TICK = time.clock_getres(6)  # of the CPUs, in seconds: the resolution of CLOCK_MONOTONIC_COARSE
boot = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)  # noqa: E731


def schedstat(pid, tid):
    """seconds on a CPU, or None when it has gone"""
    try:
        with open("/proc/%d/task/%d/schedstat" % (pid, tid), "rb", buffering=0) as f:
            return int(f.read(64).split()[0]) / 1e9
    except (OSError, IndexError, ValueError):
        return None


def process_clock(pid):
    """seconds of CPU time of all threads, also of those that have ended"""
    return time.clock_gettime((~pid << 3) | 2)


class Account(threading.Thread):
    def __init__(self, pid, every=0.004, threads=True):
        super().__init__(daemon=True)
        self.pid, self.every, self.threads, self.end = pid, every, threads, False
        self.rows = []  # (before, after, of the process, {tid: seconds}): readings, and between which moments
        self.look()
        self.start()

    def look(self):
        t0 = boot()
        try:
            whole = process_clock(self.pid)
        except OSError:
            return False
        each = {t: schedstat(self.pid, t) for t in h.tids(self.pid)} if self.threads else {}
        self.rows.append((t0, boot(), whole, each))
        return True

    def run(self):
        while not self.end and self.look():
            time.sleep(self.every)

    def close(self):
        self.end = True
        self.join(10)
        self.look()
        return self

    def around(self, t):
        """the readings before and after a moment"""
        before = [r for r in self.rows if r[1] <= t]
        after = [r for r in self.rows if r[0] >= t]
        if not before or not after:
            raise h.Failure("the account does not cover the recording")
        return before[-1], after[0]

    def used(self, begin, end, tid=None):
        """(least, most) seconds of CPU time between two moments, of a thread or of the process"""
        (a0, a1), (b0, b1) = self.around(begin), self.around(end)
        if tid is None:
            return b0[2] - a1[2], b1[2] - a0[2]
        get = lambda row: row[3].get(tid) or 0.0  # noqa: E731
        # one that runs has a reading of its last tick
        return get(b0) - get(a1) - TICK * (get(a1) > get(a0)), get(b1) - get(a0) + TICK * (get(b1) > get(b0))


def record(pid, seconds, rate, args=()):
    """-> (an account of the process meanwhile, the recording by the kernel engine)"""
    out = os.path.join(h.folder(), "x.pyspy")
    account = Account(pid)
    p = h.start_record(["-p", pid, "-d", seconds, "-r", rate] + list(args), out, cpu=h.RECORD_CPU, engine="kernel")
    r = h.finish_record(p, out, seconds * 3 + 60)
    account.close()  # before this process is busy with reading the file
    h.sound(r.rec)
    h.by_kernel(r.rec)
    h.note(h.cost(r.rec))
    return account, r.rec


class Log:
    """What the log of a thread of cycles.py says: seconds of CPU time, and of wall time by function, up to a moment"""

    def __init__(self, spec, log):
        self.spec, self.log, self.at = spec, log, [e[0] for e in log]

    def bracket(self, t):
        i = bisect.bisect(self.at, t)
        if not 0 < i < len(self.at):
            raise h.Failure("the log of %s does not cover the recording" % self.spec)
        return self.log[i - 1], self.log[i]

    def cpu(self, begin, end):
        """(least, most)"""
        (a0, a1), (b0, b1) = self.bracket(begin), self.bracket(end)
        return b0[1] - a1[1], b1[1] - a0[1]

    def total(self, name, t):
        """seconds in a function so far, or calls; what lies between two entries is hardly ever more than one call"""
        a, b = self.bracket(t)
        return a[2][name] + (b[2][name] - a[2][name]) * (t - a[0]) / (b[0] - a[0])

    def of(self, name, begin, end):
        return self.total(name, end) - self.total(name, begin)

    def share(self, name, begin, end):
        """of the wall time in between"""
        return self.of(name, begin, end) / (end - begin)


class Time:
    """what a recording says of a thread, in seconds"""

    def __init__(self):
        self.on = self.off = 0.0
        self.n_on = self.n_off = 0

    @property
    def wall(self):
        return self.on + self.off

    def add(self, run):
        if run.state in (recording.ON_CPU, recording.ACTIVE):
            self.on, self.n_on = self.on + run.ns / 1e9, self.n_on + 1
        else:
            self.off, self.n_off = self.off + run.ns / 1e9, self.n_off + 1


def times(rec):
    """tid -> Time"""
    out = {}
    for run in rec.runs:
        out.setdefault(run.info["tid"], Time()).add(run)
    return out


def span(rec):
    """(begin, end) of the recording, CLOCK_BOOTTIME in seconds"""
    return rec.blocks[0]["begin"] / 1e9, rec.blocks[-1]["end"] / 1e9


def share(runs, hit):
    """(share of the time of these samples that `hit` holds for, its standard error)

    Time on the CPU is exact, and so is time off it; what is sampled is where it went. So both have an error of their own:
    that of a mean of samples with these weights.
    """
    parts = {True: [], False: []}
    for run in runs:
        parts[run.state in (recording.ON_CPU, recording.ACTIVE)].append((run.ns, 1.0 if hit(run) else 0.0))
    whole = sum(w for part in parts.values() for w, _ in part)
    if not whole:
        raise h.Failure("no time at all")
    got = var = 0.0
    for part in parts.values():
        of = sum(w for w, _ in part)
        if not of:
            continue
        p = sum(w * x for w, x in part) / of
        got += of * p / whole
        # a share of 0 or 1 may be one hit away from it
        q = (p * len(part) + 1) / (len(part) + 2)
        var += max(sum((w * (x - p)) ** 2 for w, x in part), sum(w * w for w, _ in part) * q * (1 - q) * (p in (0.0, 1.0))) / whole ** 2
    return got, math.sqrt(var)


def near(what, got, true, se, extra, z=5.0):
    """a share is the true one, within what chance explains (z standard errors) and `extra`"""
    allowed = z * se + extra
    ok = abs(got - true) <= allowed
    print("    %-44s observed %6.2f %%  true %6.2f %%  allowed +-%.2f%s" % (
        what, 100 * got, 100 * true, 100 * allowed, "" if ok else "   WRONG"), flush=True)
    h.check(ok, "%s: observed %.2f %%, true %.2f %%, allowed +-%.2f" % (what, 100 * got, 100 * true, 100 * allowed))
    return ok

# serial
# timeout: 3600
# (g) Who holds the GIL, who waits for it, whether the collector runs: beside threads that know (gilwork.py).
import bisect
import os
import threading
import time

import accounts
import harness as h
import recording

SECONDS = 4.0 if h.FULL else 1.2
EDGE = 0.001  # seconds beside a change of what the target noted, where samples are not asked
ASIDE = 0.01  # share of the time in calls
SLOW = 0.05  # share of the time: what a thread that has the GIL spends between its calls, on a machine that has other work too


def tells_all(py):
    """Up to 3.6 the collector's word, and 2.7's lock, are variables that only the symbol table names"""
    if py.version >= (3, 7):
        return True
    with open(os.path.realpath(py.outside(py.path)), "rb") as f:
        return b"\0.symtab\0" in f.read()


class Notes:
    """when a thread of gilwork.py certainly had the GIL, in seconds of CLOCK_BOOTTIME"""

    def __init__(self, path):
        self.begin, self.end = [], []
        ahead = time.time() - accounts.boot()
        with open(path) as f:
            for line in f:
                if line.endswith("\n"):
                    begin, end = (float(w) - ahead for w in line.split())
                    self.begin.append(begin)
                    self.end.append(end)

    def share(self, begin, end):
        if not self.end or self.end[-1] < end - 0.5:
            raise h.Failure("the target's notes do not cover the recording")
        return sum(max(0, min(e, end) - max(b, begin)) for b, e in zip(self.begin, self.end)) / (end - begin)

    def at(self, t):
        """True, False; None: too near to a change"""
        i = bisect.bisect(self.begin, t) - 1
        near = min(abs(t - x) for x in self.begin[max(i, 0):i + 2] + self.end[max(i, 0):i + 1])
        return None if near < EDGE else i >= 0 and t < self.end[i]


class Scheduled(threading.Thread):
    """what the kernel says of each thread: (moment, {tid: (seconds on a CPU, seconds waiting for one)}), and of all the
    process: which part of its CPU time is the kernel's"""

    def __init__(self, pid, tids):
        super().__init__(daemon=True)
        self.pid, self.tids, self.rows, self.end, self.system = pid, tids, [], False, 0.0
        self.start()

    def modes(self):
        """jiffies in its own code, and in the kernel's"""
        with open("/proc/%d/stat" % self.pid) as f:
            return [int(w) for w in f.read().rsplit(")", 1)[1].split()[11:13]]

    def run(self):
        before = self.modes()
        while not self.end:
            row = {}
            for tid in self.tids:
                with open("/proc/%d/task/%d/schedstat" % (self.pid, tid)) as f:
                    row[tid] = tuple(int(w) / 1e9 for w in f.read().split()[:2])
            self.rows.append((accounts.boot(), row))
            time.sleep(0.01)
        user, system = (b - a for a, b in zip(before, self.modes()))
        self.system = system / max(1, user + system)

    def shares(self, begin, end, tid):
        """(on a CPU, waiting for one) between two moments"""
        a = [r for r in self.rows if r[0] <= begin][-1]
        b = [r for r in self.rows if r[0] >= end][0]
        return tuple((y - x) / (b[0] - a[0]) for x, y in zip(a[1][tid], b[1][tid]))


class Run:
    """the recording of a program, by thread"""

    def __init__(self, py, kinds, engine, rate, cpu=None):
        outside, inside = py.folder()
        with h.Victim(py, "gilwork.py", [inside] + kinds, cpu=cpu) as v:
            self.tids = [int(w) for w in v.words]
            self.scheduled = Scheduled(v.pid, self.tids)
            self.rec = h.record(v.pid, SECONDS, rate, engine=engine, gone=0.01).rec
            time.sleep(0.3)  # a round more of everybody
            self.scheduled.end = True
            self.scheduled.join(10)
        self.begin, self.end = accounts.span(self.rec)
        self.notes = lambda n: Notes(os.path.join(outside, str(n)))
        self.runs = [[r for r in self.rec.runs if r.info["tid"] == t] for t in self.tids]
        h.note(h.cost(self.rec))
        both = sum(r.ticks for r in self.rec.runs if r.gil and r.flags & recording.GIL_WAIT)
        h.check(not both, "%d samples that hold the GIL and wait for it" % both)
        alone = sum(r.ticks for r in self.rec.runs if r.flags & recording.GC and not r.gil)
        h.check(not alone, "%d samples that collect without the GIL" % alone)

    def share(self, n, flag):
        """(share of this thread's time, standard error)"""
        if self.rec.timed:
            return accounts.share(self.runs[n], lambda r: r.flags & flag)
        all = sum(r.ticks for r in self.runs[n])
        if not all:
            raise h.Failure("thread %d has no samples" % n)
        p = sum(r.ticks for r in self.runs[n] if r.flags & flag) / all
        q = (p * all + 1) / (all + 2)
        return p, (q * (1 - q) / all) ** 0.5

    def near(self, n, what, flag, true, extra=0.02):
        got, se = self.share(n, flag)
        accounts.near("thread %d, %s" % (n, what), got, true, se, extra)

    def moments(self, n, flag, slow):
        """Each sample of a moment against what the thread noted of that moment: inside of a call it has the flag, but when it
        was put aside between its clock and the call; outside hardly ever. (Events of sleeps are of a time, not of a moment.)"""
        notes, seen = self.notes(n), {True: [0, 0], False: [0, 0]}
        for r in self.runs[n]:
            if r.state == recording.SLEEPING and self.rec.timed:
                continue
            for when in r.when:
                inside = notes.at(when / 1e9)
                if inside is not None:
                    seen[inside][0] += 1
                    seen[inside][1] += bool(r.flags & flag)
        (n_in, flagged_in), (n_out, flagged_out) = seen[True], seen[False]
        print("    thread %d: %d of %d samples inside of its calls have the flag, %d of %d outside" % (n, flagged_in, n_in, flagged_out, n_out), flush=True)
        h.check(flagged_in >= n_in - ASIDE * n_in - max(2, 5 * (ASIDE * n_in) ** 0.5), "thread %d: %d of %d samples inside of its calls lack the flag" % (n, n_in - flagged_in, n_in))
        h.check(flagged_out <= slow * n_out + max(2, 5 * (slow * n_out) ** 0.5), "thread %d: %d of %d samples outside of its calls have the flag" % (n, flagged_out, n_out))

    def calls(self, n, what, flag, slow=SLOW):
        """a thread that has the flag during its calls, and hardly else"""
        self.moments(n, flag, slow)
        if self.rec.timed:  # ticks come late where the machine is busy, so their shares are of other moments
            self.near(n, what, flag, self.notes(n).share(self.begin, self.end), slow)


def contention(py, engine, rate):
    """Three that compute: who is on a CPU has the GIL, but for when it is in the kernel, to ask for it or to give it away
    (2.7: each 100 instructions, a seventh of its time); who sleeps waits for it. Who is neither waits for a CPU: with the
    GIL; or without, and then it counts as asleep until it runs. The threads of 2.x fight for their GIL on all CPUs that they
    are given, most of the time in vain: they get one."""
    run = Run(py, ["spin"] * 3, engine, rate, cpu=h.VICTIM_CPU if py.version < (3, 2) else None)
    held = 0.0
    for n, tid in enumerate(run.tids):
        on, ready = run.scheduled.shares(run.begin, run.end, tid)
        own = on * (1 - run.scheduled.system)
        run.near(n, "holds the GIL", recording.GIL, own + ready / 2, 0.03 + ready / 2)
        if "musl" in (py.root or ""):  # there a condition is waited for in a futex of the waiter's own
            run.near(n, "waits for it (musl: cannot be told)", recording.GIL_WAIT, 0.0)
        elif tells_all(py):
            run.near(n, "waits for it", recording.GIL_WAIT, 1 - on - ready / 2, 0.03 + ready / 2)
        else:
            run.near(n, "waits for it (stripped: cannot be told)", recording.GIL_WAIT, 0.0)
        held += run.share(n, recording.GIL)[0]
    sampled = min(sum(r.ticks for r in runs) for runs in run.runs)
    h.check(held <= 1.02 + 5 / sampled ** 0.5, "the GIL is held for %.1f %% of the time" % (100 * held))
    if not run.rec.timed:  # all are looked at together
        ticks = {}
        for runs in run.runs:
            for r in runs:
                # by number: two ticks of one moment may have the same time, which is told to a 32nd of the gap
                for tick in range(r.first, r.first + r.ticks) if r.gil else ():
                    ticks[id(r.times), tick] = ticks.get((id(r.times), tick), 0) + 1
        h.check(max(ticks.values()) == 1, "the GIL is held by %d threads at once" % max(ticks.values()))


def kinds(py, engine, rate):
    """One in C code that keeps the GIL for a known share of its time, one that lets go of it, one that collects"""
    run = Run(py, ["hold", "free", "gc"], engine, rate)
    run.calls(0, "holds the GIL in C code", recording.GIL)
    run.near(0, "collects", recording.GC, 0.0)
    run.near(1, "holds the GIL while it sleeps", recording.GIL, 0.0, SLOW)
    run.near(1, "collects", recording.GC, 0.0)
    if tells_all(py):
        run.calls(2, "collects", recording.GC)
    else:
        h.note("stripped: nobody can tell whether the collector runs")
        run.near(2, "collects", recording.GC, 0.0)
    # one that computed for long is put aside as it goes to sleep, with the GIL
    run.calls(2, "holds the GIL", recording.GIL, 1.0 if py.debug else 8 * SLOW)


def own(py, engine, rate):
    """Two interpreters with a GIL each beside the first: all three are held at once, and only one collects"""
    run = Run(py, ["own.spin", "own.gc", "hold"], engine, rate)
    names = {i for e in run.rec.epochs for _, i, flags in e.interpreters if flags & 2}
    h.check(len(names) == 3, "interpreters with a GIL of their own: %s" % names)
    run.near(0, "holds its GIL", recording.GIL, 1.0)
    run.near(0, "waits for it", recording.GIL_WAIT, 0.0)
    run.near(0, "collects", recording.GC, 0.0)
    run.calls(1, "collects", recording.GC)
    run.calls(1, "holds its GIL", recording.GIL, 1.0 if py.debug else 8 * SLOW)
    run.near(1, "waits for it", recording.GIL_WAIT, 0.0)
    run.calls(2, "holds the first one's", recording.GIL)
    run.near(2, "collects", recording.GC, 0.0)


def none(py, engine, rate):
    """Free-threaded: nobody holds a GIL that is switched off, nobody waits for it"""
    run = Run(py, ["spin", "spin", "free"], engine, rate)
    for n in range(3):
        # an extension module that is imported switches it on for a moment
        h.check(run.share(n, recording.GIL)[0] <= 0.01, "thread %d holds the GIL" % n)
        h.check(run.share(n, recording.GIL_WAIT)[0] <= 0.01, "thread %d waits for the GIL" % n)


everyone = h.interpreters() if h.FULL else h.interpreters(builds=("release",), one_per_minor=True)
everyone += [] if h.FULL else h.interpreters(builds=("freethreaded",), one_per_minor=True)[-1:]
QUICK = {(2, 7): 0, (3, 6): 1, (3, 9): 0, (3, 11): 1, (3, 12): 0, (3, 13): 1, (3, 14): 0, (3, 15): 1}  # which engine
cases = []


def add(what, f, py, quick):
    for k, engine in enumerate(("outside", "kernel")):
        if h.FULL or (quick and QUICK.get(py.version[:2]) == k):
            cases.append(("%s %s, %s" % (what, py, engine), f, py, engine, 1000 if h.FULL else 500))


for py in everyone:
    if py.free_threaded:
        add("switched off", none, py, True)
        continue
    musl = "musl" in str(py)  # has no ctypes
    if not musl:
        add("C code and collector", kinds, py, True)
    add("contention", contention, py, py.version[:2] in ((2, 7), (3, 11), (3, 14)))
    if py.version >= (3, 12) and not musl:
        add("own GILs", own, py, py.minor in (12, 15))

if __name__ == "__main__":
    h.main(cases)

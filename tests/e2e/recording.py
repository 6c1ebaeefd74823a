"""What pyspy_reader.py has read, and what tests ask of it: epochs, runs, their stacks as a reader shows them, sums.

From format/FORMAT.md alone, as the reader is; numbers in comments are its sections.

    rec = pyspy_reader.read("x.pyspy")
    for run in rec.runs: ...          # a run: one thread, one stack, `ticks` samples that stand for `ns` of its time
    rec.timed                         # there are events, or the rate was lowered: shares are of time (ns), not of samples
"""
from collections import Counter, namedtuple

# 4.2
UNKNOWN, ON_CPU, RUNNABLE, ACTIVE, SLEEPING, DISK, STOPPED = range(7)
GIL, GIL_WAIT, GC = 1 << 3, 1 << 4, 1 << 5
OUTSIDE, STILL, KERNEL, STOPPED_FOR = range(4)
CUT, DOUBTED, ABSENT, FAILED, NO_CPU = 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12
COUNTERS = {
    1: "ticks", 2: "samples", 3: "late", 4: "stops", 5: "stopped_ns", 6: "stops_in_syscall", 7: "uncertified",
    8: "reads_failed", 9: "read_calls", 10: "recorder_cpu_ns", 11: "stops_given_up", 12: "code_objects",
    13: "stacks", 14: "repairs", 15: "peak_rss", 16: "longest_stop_ns", 17: "held", 18: "held_ns",
    19: "events_tick", 20: "events_clock", 21: "events_switch", 22: "events_cut", 23: "events_overrun", 24: "drains",
    25: "longest_mean_gap_ns", 26: "lowered_ns", 27: "full_rate_ns", 28: "bounded_cpu_ns"}
STOP_LENGTHS = range(128, 256)
CAUSES = {1: "late", 2: "unreadable", 3: "torn", 4: "limit", 5: "damage", 6: "dropped", 7: "overrun", 8: "unstopped"}
REASONS = {0: "unknown", 1: "duration", 2: "target ended", 3: "SIGINT", 4: "SIGTERM", 5: "SIGHUP", 6: "output", 7: "error"}

Frame = namedtuple("Frame", "kind module name file first line end_line col end_col")
IN_MOTION = Frame("synthetic", "", "[in motion]", "", 0, None, None, None, None)
LOST = Frame("synthetic", "", "[lost]", "", 0, None, None, None, None)
NO_FRAME = Frame("synthetic", "", "[no Python frame]", "", 0, None, None, None, None)


class Epoch:
    def __init__(self, number, before=None):
        """before: the epoch that this one goes on from (2.1)"""
        self.number = number
        self.strings, self.functions, self.locations, self.stacks = {0: ""}, {}, {}, {}
        self.certified = {0}
        self.threads, self.processes, self.modules = {}, {}, {}
        self.interpreters = []
        self.recording = None
        self.tables = {"strings": 1, "functions": 1, "locations": 1, "stacks": 1}  # next id expected
        self._resolved = {}
        if before is not None:  # what it certifies later does not reach back
            self.strings, self.functions, self.locations = before.strings, before.functions, before.locations
            self.stacks, self.modules = before.stacks, before.modules
            self.certified, self.tables = set(before.certified), before.tables

    def frame(self, location):
        kind, a = location[0], location[1:]
        if kind == "native":
            return Frame("native", str(a[0]), a[2] or "0x%x" % a[1], "", 0, None, None, None, None)
        fid, line, end_line, col, end_col = a
        fkind, module, name, file, first = self.functions[fid]
        if fkind == 1:
            name = name if name.startswith("[") else "[%s]" % name
        return Frame("synthetic" if fkind == 1 else "python", module, name, file, first, line, end_line, col, end_col)

    def stack(self, sid):
        """root first, exactly as stored (whatever is certified)"""
        got = self._resolved.get(sid)
        if got is not None:
            return got
        chain = []
        while sid:
            got = self._resolved.get(sid)
            if got is not None:
                break
            chain.append(sid)
            if sid not in self.stacks:
                return (LOST,)
            sid = self.stacks[sid][0]
        s = got or ()
        for i in reversed(chain):
            s = s + (self.frame(self.locations[self.stacks[i][1]]),)
            self._resolved[i] = s
        return s

    def shown(self, sid, flags):
        """3.5: what a reader shows for a sample"""
        if sid == 0:
            return (NO_FRAME,)
        if sid not in self.stacks:
            return (LOST,)
        if (flags >> 6) & 3 != OUTSIDE or self.certain(sid):
            return self.stack(sid)
        while sid and not self.certain(sid):
            sid = self.stacks[sid][0]
        return self.stack(sid) + (IN_MOTION,)

    def certain(self, sid):
        return sid in self.certified

    def certify(self, sid):
        while sid and sid not in self.certified:
            self.certified.add(sid)
            sid = self.stacks[sid][0] if sid in self.stacks else 0


class Run:
    """consecutive ticks of one thread with the same stack and flags; or one event (weight_ns is not None then)"""
    __slots__ = ("epoch", "block", "thread", "sid", "flags", "first", "ticks", "times", "cpu_ns", "weight_ns", "ns")

    def __init__(self, epoch, block, thread, sid, flags, first, times):
        self.epoch, self.block, self.thread, self.sid, self.flags, self.first = epoch, block, thread, sid, flags, first
        self.times, self.ticks, self.cpu_ns, self.weight_ns = times, 0, None, None
        self.ns = 0  # time of its thread that it stands for (4.3, 4.4)

    @property
    def event(self):
        return self.weight_ns is not None

    @property
    def info(self):
        return self.epoch.threads.get(self.thread) or dict(tid=-1, name="?", process=0, flags=0)

    @property
    def state(self):
        return self.flags & 7

    @property
    def way(self):
        return (self.flags >> 6) & 3

    @property
    def gil(self):
        return bool(self.flags & GIL)

    @property
    def idle(self):
        """design.md: not on a CPU, not runnable, and not holding the GIL"""
        return self.state not in (ON_CPU, RUNNABLE, ACTIVE) and not self.gil

    @property
    def raw(self):
        return self.epoch.stack(self.sid)

    @property
    def stack(self):
        return self.epoch.shown(self.sid, self.flags)

    @property
    def doubted(self):
        return bool(self.flags & DOUBTED) or self.sid in self.block["doubt"]

    @property
    def when(self):
        return self.times[self.first:self.first + self.ticks]


class Recording:
    def __init__(self):
        self.problems = []
        self.headers, self.blocks, self.epochs, self.runs = [], [], [], []
        self.lost, self.ends, self.process_ends, self.thread_ends = [], [], [], []
        self.counters = {}
        self.stop_lengths = {}  # bucket -> stops
        self.lowered = False  # ticks have mean gaps of their own
        self.closed = False
        self.truncated = False
        self.bytes = 0

    # -- what tests ask for
    @property
    def samples(self):
        return sum(r.ticks for r in self.runs)

    @property
    def ticks(self):
        return sum(b["ticks"] for b in self.blocks)

    def threads(self):
        """(pid, tid, interpreter) -> the last thread record"""
        out = {}
        for e in self.epochs:
            for t in e.threads.values():
                p = e.processes.get(t["process"], {})
                out[(p.get("pid"), t["tid"], t["interpreter"])] = t
        return out

    def processes(self):
        out = {}
        for e in self.epochs:
            for p in e.processes.values():
                out[(p["pid"], p["start"], p["exec"])] = p
        return out

    def by_tid(self):
        out = {}
        for r in self.runs:
            out.setdefault(r.info["tid"], []).append(r)
        return out

    @property
    def timed(self):
        """4.1, 4.3: shares are of time"""
        return self.lowered or any(r.event for r in self.runs)

    @property
    def ns(self):
        return sum(r.ns for r in self.runs)

    def wall_ns(self):
        """tid -> its time, on a CPU and off it; of the part that is known to be on a CPU see cpu_ns of the runs"""
        out = Counter()
        for r in self.runs:
            out[r.info["tid"]] += r.ns
        return out

    def folded(self, idle=True):
        """stack -> what it weighs: samples, or ns where `timed`"""
        c, timed = Counter(), self.timed
        for r in self.runs:
            if idle or not r.idle:
                c[r.stack] += r.ns if timed else r.ticks
        return c

    def raw_total(self, idle=True):
        """the sum of the lines of `pyspy-report raw`: samples, or the time in samples' worth"""
        total = sum(self.folded(idle).values())
        if not self.timed:
            return total
        gaps = [e.recording["gap_ns"] for e in self.epochs if e.recording and e.recording["gap_ns"]]
        gap = min(gaps) if gaps else max(self.ns // self.samples, 1)
        return (2 * total + gap) // (2 * gap)

    def note(self, key):
        """text of a note of the last epoch, e.g. "pyspy.engine" (3.1); None = there is none"""
        r = self.epochs[-1].recording if self.epochs else None
        return dict(zip(r["note_keys"], r["note_values"])).get(key) if r else None

    @property
    def end(self):
        return self.ends[-1] if self.ends else None

"""bias.py [--quick] [BUILD]: does each way of sampling see functions for as long as they run?

Two programs, each on a CPU of its own, and a witness (tests/targets/witness.c): a thread of the program on another CPU, which
reads at random moments which frame is current. It shares nothing with the recorder and takes nothing from the program. It tells
which of its looks met the program on a CPU: the kernel engine's time is that, all others' is wall time.

    leaves    leaf_SIZE <- middle_SIZE <- outer_SIZE, leaves of 25 ns to 1 ms, each size for a sixth of the time. A function's
              share is of the time of its own size: that is stricter than a share of all time, by a factor of six
    polling   an event loop that never sleeps. `select` is the standard library's, its call to epoll_wait included
    kept      the same, but malloc keeps its buffers, so that nothing is unmapped (see below)

The ways take turns, in slices; the witness looks before, between and after them, and while they record. One difference for each
slice; what is printed is their mean and its 95 % interval (Student's). So the interval holds everything that differs between
slices: chance, the program's drift, and that samples 50 us apart in a function of 1 ms are not independent.

    the sample's own error    to the witness meanwhile: of one and the same time. It is what is judged:
                              ok   within 0.3 points
                              NOT  not within, and the interval says so as well
                              ?    not to be told: the interval reaches over the 0.3
    what recording changed    the witness meanwhile, to what it said just before and after. Interrupts of a clock, a CPU that is
                              held, stops, and two CPUs that share a core change a program, the more the higher the rate is
    both                      the recorder, to the witness while nobody recorded

Samples in motion are set apart: a name of its own, [in motion] below the last caller that is certain, as in every view. Their time is
some function's, nobody knows whose: so a function's share may be short of the witness's by as much as is in motion, and not too
large by anything. "Of what is not in motion" says how the shares of the others compare.

A witness that is a thread of the program takes one thing from it: who unmaps memory waits until each CPU that runs a thread of the
program has forgotten it, the witness's too, when it is awake. asyncio maps and unmaps a buffer of 256 KB for each read. So around each
look of a witness that sleeps in between, the program is longer in such calls, the longer the longer the witness has been awake
before it looks; and a recorder's programs that run when a thread wakes come before its look. (`select`: 3.6 % by a witness that sleeps,
2.6 % by the same one beside the kernel engine, by the program's own clock no change at all; by one that stays awake 2.7 and 2.65 %.) So
the kernel engine, which takes its samples on the program's CPU, stands beside a witness that stays awake all the time, in all
tables. (It is put off, though, while its CPU forgets, and so sees less of what unmaps.) The others need that CPU for themselves, and
their looks come after a sleep as the witness's do.

In the polling program its own clock around select is a third opinion, and more than it no sample can be right to say.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
sys.dont_write_bytecode = True
import rig  # noqa: E402

WAYS = ("kernel", "outside", "nonblocking", "blocking")
REACH = 0.3  # points
WITNESS_US, BESIDE_US = 60, 250  # mean gaps; beside a recorder that needs that CPU itself


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=os.path.join(ROOT, "build"), help="folder of the programs")
    p.add_argument("--quick", action="store_true", help="3 slices of 1 s each")
    p.add_argument("--programs", default="leaves,polling,kept", help="%(default)s")
    p.add_argument("--ways", default=",".join(WAYS), help="%(default)s")
    p.add_argument("--sizes", default="25,100,1000,10000,100000,1000000", help="of the leaves, ns (%(default)s)")
    p.add_argument("--rate", type=int, default=10000, help="%(default)s; from outside more would be late ticks")
    p.add_argument("--seconds", type=float, help="length of a slice (4; --quick: 1)")
    p.add_argument("--samples", type=int, help="of each way in each program, until --minutes are over (1000000; --quick: 3 slices)")
    p.add_argument("--minutes", type=float, default=30, help="for each program, at most (%(default)s)")
    p.add_argument("--nice", type=int, default=0, help="of the programs, where the machine is not quiet: -15 (%(default)s)")
    p.add_argument("--json", metavar="FILE", help="write all slices there")
    a = p.parse_args()
    a.seconds = a.seconds or (1 if a.quick else 4)
    a.samples = a.samples or (1 if a.quick else 1000000)
    return a


A = options()
SIZES = tuple(int(n) for n in A.sizes.split(","))
os.environ["PYSPY_BUILD"] = os.path.abspath(A.build)
os.environ.setdefault("PYSPY_PYTHONS", subprocess.run([ROOT + "/scripts/get-pythons", "--quick"], stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout)
import harness as h  # noqa: E402
import recording  # noqa: E402


class Leaves:
    name, script, env = "leaves", "leaves.py", {}
    groups = [["%s_%d" % (k, size) for k in ("leaf", "middle", "outer")] for size in SIZES]

    @staticmethod
    def command(witness):
        return [witness] + list(SIZES)

    @staticmethod
    def judged(name):
        return int(name.rsplit("_", 1)[1]) >= 1000

    @staticmethod
    def of_frame(name):
        """what a leaf counts as"""
        return name

    @staticmethod
    def group_of(frames):
        """which group something in motion below these frames is in"""
        for f in reversed(frames):
            if f.name.startswith(("leaf_", "middle_", "outer_")):
                return SIZES.index(int(f.name.rsplit("_", 1)[1]))
        return None


class Polling:
    name, script, env = "polling", "polling.py", {}
    groups = [["EpollSelector.select", "Timed.select", "compute", ""]]

    @staticmethod
    def command(witness):
        return ["polls", witness]

    @staticmethod
    def judged(name):
        return name == "EpollSelector.select"

    @staticmethod
    def of_frame(name):
        return name if name in Polling.groups[0] else ""

    @staticmethod
    def group_of(frames):
        return 0


class Kept(Polling):
    name, env = "kept", {"MALLOC_MMAP_THRESHOLD_": str(64 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}


PROGRAMS = {p.name: p for p in (Leaves, Polling, Kept)}


def shares(program, counts, motion={}):
    """{function: points of its group's time}, and {group: of all}; motion: {group: samples}"""
    out, whole = {}, sum(counts.get(n, 0) for g in program.groups for n in g) + sum(motion.values())
    for i, g in enumerate(program.groups):
        n = sum(counts.get(x, 0) for x in g) + motion.get(i, 0)
        for x in g:
            out[x] = 100.0 * counts.get(x, 0) / n if n else None
        if len(program.groups) > 1:
            out[i] = 100.0 * n / whole if whole else None
    return out


def ways():
    """{way: options, or why it is not there}"""
    known = subprocess.run([h.RECORD, "--help"], stdout=subprocess.PIPE, universal_newlines=True).stdout
    out = {"kernel": ["--engine", "kernel"], "outside": ["--engine", "outside"], "nonblocking": ["--engine", "outside", "--nonblocking"],
           "blocking": ["--engine", "outside", "--blocking"] if "--blocking" in known else "not built"}
    try:
        h.need_kernel()
    except (h.Skip, h.Failure) as e:
        out["kernel"] = str(e)
    return {w: out[w] for w in WAYS if w in A.ways.split(",")}


class Bench:
    def __init__(self, program, able):
        self.program, self.able = program, able
        self.differences = {w: [] for w in able}  # a slice: {name: points}
        self.beside = {w: [] for w in able}
        self.own = {w: [] for w in able}  # to the witness meanwhile
        self.certain = {w: [] for w in able}  # the same, of what is not in motion
        self.clock = {w: [] for w in able}  # polling: (own clock, Timed.select and what it calls, EpollSelector.select), of the wall time
        self.witness, self.looks = {True: [], False: []}, 0  # by one that stays awake; by one that sleeps
        self.of_group = {w: Counter() for w in able}
        self.samples, self.motion, self.late, self.ticks = Counter(), {w: Counter() for w in able}, Counter(), Counter()

    def witnessed(self, v, mean_us, awake):
        """shares by the witness, of wall time and of CPU time"""
        v.say("witness %g %d %d 1 %d" % (A.seconds, mean_us, h.RECORD_CPU, awake))
        counts = json.loads(v.line(A.seconds * 3 + 60))
        self.looks += sum(counts[1].values())
        return [shares(self.program, c) for c in counts]

    def undisturbed(self, v, awake):
        """the same, while nobody records"""
        got = self.witnessed(v, WITNESS_US, awake)
        self.witness[awake].append(got[1])
        return got

    def slice(self, v, way):
        """-> shares by the recorder, the same of what is not in motion, shares by the witness meanwhile"""
        out = os.path.join(h.folder(), "x.pyspy")
        p = h.start([h.RECORD, "-q", "-o", out, "-r", str(A.rate), "-p", str(v.pid)] + self.able[way], stderr=subprocess.PIPE,
                    cpu=h.RECORD_CPU if way in ("kernel", "nonblocking", "blocking") else None)
        time.sleep(rig.SETTLE)
        begin = self.ask(v)
        beside = self.witnessed(v, WITNESS_US if way == "kernel" else BESIDE_US, way == "kernel")
        end = self.ask(v)
        p.send_signal(2)
        rec = h.finish_record(p, out, 60).rec
        os.remove(out)
        for x in rec.lost:
            self.late[way] += x["count"] * (recording.CAUSES[x["cause"]] == "late")
        self.ticks[way] += rec.ticks
        counts, over, motion = self.counted(rec, v.pid, begin["wall"], end["wall"], way)
        self.motion[way] += motion
        self.of_group[way] += Counter({i: sum(counts[n] for n in g) + motion[i] for i, g in enumerate(self.program.groups)})
        if "select" in begin:
            wall = end["wall"] - begin["wall"]
            self.clock[way].append(((end["select"] - begin["select"]) / wall, over["timed"] / max(over["all"], 1)))
        return shares(self.program, counts, motion), shares(self.program, counts), beside[way == "kernel"]

    def ask(self, v):
        if self.program is Leaves:
            return {"wall": time.clock_gettime(time.CLOCK_BOOTTIME)}
        v.say("so far?")
        return json.loads(v.line(60))

    def counted(self, rec, tid, begin, end, way):
        """samples of the main thread on a CPU, by leaf; {`all`: and in any state, `timed`: those under Timed.select}; in motion, by group"""
        counts, over, motion, begin, end = Counter(), Counter(), Counter(), begin * 1e9, end * 1e9
        of_frame = self.program.of_frame
        for r in rec.runs:
            if r.info["tid"] != tid:
                continue
            n = sum(begin <= t <= end for t in r.when) if not r.event else begin <= r.times[0] <= end
            if not n:
                continue
            stack = r.stack
            if self.program is not Leaves:
                weight = r.ns if r.event else n
                over["all"] += weight
                over["timed"] += weight * any(f.name == "Timed.select" for f in stack)
            if r.state not in (recording.ON_CPU, recording.ACTIVE):
                # a stop comes to rest in calls: what is asleep then is not, in a program that never sleeps
                if way != "blocking":
                    continue
            self.samples[way] += n
            if stack[-1] is recording.IN_MOTION:
                motion[self.program.group_of(stack[:-1])] += n
            elif stack[-1].kind != "synthetic":
                counts[of_frame(stack[-1].name)] += n
        return counts, over, motion

    def run(self):
        program, end = self.program, time.monotonic() + 60 * A.minutes
        with h.Victim(h.pythons()[-1], program.script, program.command(h.build_witness()), cpu=h.VICTIM_CPU,
                      env=program.env) as v:
            for tid in h.tids(v.pid):
                os.setpriority(os.PRIO_PROCESS, tid, A.nice)
            before, rounds = {}, 0  # the last of each kind, while it is fresh
            while self.able and (rounds < 3 or min(self.samples[w] for w in self.able) < A.samples) and time.monotonic() < end:
                for way in self.able:
                    awake = way == "kernel"
                    first = before.get(awake) or self.undisturbed(v, awake)
                    got, certain, beside = self.slice(v, way)
                    after = self.undisturbed(v, awake)
                    pair = [w[awake] for w in (first, after)]
                    base = {k: (pair[0][k] + pair[1][k]) / 2 for k in pair[0] if None not in (pair[0][k], pair[1][k])}
                    for what, than, to in ((got, base, self.differences), (beside, base, self.beside), (got, beside, self.own), (certain, beside, self.certain)):
                        to[way].append({k: what[k] - than[k] for k in than if None not in (what.get(k), than[k])})
                    before = {awake: after}
                rounds += 1
        self.rounds = rounds
        return self


def verdict(mean, ci, motion):
    """motion: points that may be missing"""
    over = mean if mean > 0 else min(0, mean + motion)
    if abs(over) <= REACH:
        return "ok" if abs(over) + ci <= 2 * REACH else "ok ?"
    return "NOT" if abs(over) - ci > REACH else "?"


def cell(slices, name, judge, motion=0):
    values = [s[name] for s in slices if name in s]
    if not values:
        return "-"
    mean, ci = rig.mean_ci(values)
    return "%+6.2f +-%4.2f %s" % (mean, ci, verdict(mean, ci, motion) if judge else "")


def in_motion(bench, way, key):
    """points of the key's group, or of all, that are in motion"""
    program, motion = bench.program, bench.motion[way]
    if isinstance(key, int):
        return 100.0 * sum(motion.values()) / max(bench.samples[way], 1)
    group = [key in g for g in program.groups].index(True)
    return 100.0 * motion[group] / max(bench.of_group[way][group], 1)


def label(program, key):
    return "of all: %d ns" % SIZES[key] if isinstance(key, int) else key or "(others)"


def show(bench, all_ways):
    program, n = bench.program, [k for g in bench.program.groups for k in g]
    n += [i for i in range(len(program.groups)) if len(program.groups) > 1]
    print("\n%s: %d rounds of %.1f s, %d looks of the witness that met it on a CPU; %d Hz; differences to it in percentage points" % (
        program.name, bench.rounds, A.seconds, bench.looks, A.rate))
    width = 22
    kinds = [k for k in (True, False) if bench.witness[k]]
    print("%-22s %s  %s" % ("function", " ".join("%15s" % ("awake" if k else "witness") for k in kinds), "".join("%-*s" % (width, w if w in ("kernel", "outside") else "--" + w) for w in all_ways)))
    judged = lambda k: SIZES[k] >= 1000 if isinstance(k, int) else program.judged(k)  # noqa: E731
    for title, where in (("the sample's own error: to the witness meanwhile", bench.own), ("of what is not in motion: to the witness meanwhile", bench.certain),
                         ("what recording changed: the witness meanwhile, to what it said when nobody recorded", bench.beside),
                         ("both: to the witness when nobody recorded", bench.differences)):
        print(title)
        for k in n:
            seen = [rig.mean_ci([s[k] for s in bench.witness[kind] if s[k] is not None]) for kind in kinds]
            judge = judged(k) and where is bench.own
            cells = [cell(where[w], k, judge, in_motion(bench, w, k)) if w in where else all_ways[w] if where is bench.own else "" for w in all_ways]
            print("%-22s %s  %s" % (label(program, k), " ".join("%7.2f +-%5.2f" % s for s in seen), "".join("%-*s" % (width, c[:width - 1]) for c in cells)))
    print("%-38s  %s" % ("samples", "".join("%-*d" % (width, bench.samples[w]) if w in where else " " * width for w in all_ways)))
    total = {w: max(bench.samples[w], 1) for w in where}
    print("%-38s  %s" % ("in motion", "".join("%-*s" % (width, "%.2f %%" % (100.0 * sum(bench.motion[w].values()) / total[w])) if w in where else " " * width for w in all_ways)))
    if program is Leaves:
        for i, size in enumerate(SIZES):
            print("%-38s  %s" % ("  of them %d ns" % size, "".join("%-*s" % (width, "%.2f %%" % (100.0 * bench.motion[w][i] / total[w])) if w in where else " " * width for w in all_ways)))
    print("%-38s  %s" % ("late ticks", "".join("%-*s" % (width, "%.1f %%" % (100.0 * bench.late[w] / (bench.late[w] + bench.ticks[w])) if bench.ticks[w] else "-") if w in where else " " * width for w in all_ways)))
    for w in where:
        if bench.clock[w]:
            own, timed = rig.mean_ci([100 * c[0] for c in bench.clock[w]]), rig.mean_ci([100 * c[1] for c in bench.clock[w]])
            gap = rig.mean_ci([100 * (c[1] - c[0]) for c in bench.clock[w]])
            print("%-12s of the wall time under Timed.select %.2f +- %.2f %%; by its own clock, which it reads inside of that, %.2f +- %.2f %%; difference %+.2f +- %.2f" % (
                (w,) + timed + own + gap))
    sys.stdout.flush()


def main():
    all_ways, begin, record = ways(), time.monotonic(), {}
    print("%s; %s" % (rig.machine("other"), h.pythons()[-1]))
    print("within %.1f points: kernel and outside, for functions of 1 us and more and for select" % REACH, flush=True)
    able = {w: o for w, o in all_ways.items() if isinstance(o, list)}
    for name in A.programs.split(","):
        b = Bench(PROGRAMS[name], able).run()
        show(b, all_ways)
        record[name] = dict(witness=b.witness, differences=b.differences, beside=b.beside, own=b.own, certain=b.certain, clock=b.clock, samples=b.samples, motion=b.motion)
    print("%d min %d s; load now %.1f" % (*divmod(int(time.monotonic() - begin), 60), os.getloadavg()[0]))
    if A.json:
        with open(A.json, "w") as f:
            json.dump(record, f, indent=1, default=str)


if __name__ == "__main__":
    main()

"""impossible.py [--quick] [BUILD]: stacks that never were, of programs that call as fast as they can.

The programs know which of their stacks are legal (tests/targets/colours.py, reused.py: the shapes of ../shared/prototype's
victims are among them, and more); tests/e2e/legal.py judges each sample, down to the line that each call is made from. 1 and 4
threads, 10 and 20 kHz, as users have it: no options but the engine. Victim and recorder have a CPU each, where a stack is
likeliest to change while it is read; from outside some shapes are also run with both free to go anywhere.

    whole       samples of threads on a CPU that tell a whole stack, all of it judged. There are to be a million of them
    impossible  stacks among all samples that the program cannot have had (with `[in motion]`: up to there)
    stale       reused.py: names that were not true at that time. A recorder that loses its CPU between clock and read has a few
    in motion   from outside: the innermost part was not certain, and was left out
    unproved    a code object may be another one by now: the file says so, and no more is judged
    lost        samples that should have been and are not, or have no stack: unreadable, torn, no room, buffer full
    late        ticks whose time was over when the recorder got its CPU: from outside a tick waits for the one before

No figure here is a time: a busy machine makes it slower, and more ticks late.
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
VERSIONS = "3.8,3.10,3.11,3.12,3.13,3.14,3.15,3.13t"
SHAPES = ("tree", "sizes", "helpers", "asyncio", "generators", "gilmoves", "chains", "deep", "callbacks")
FREE = ("helpers", "generators", "asyncio")  # from outside, with the recorder free to go where the target is
KINDS = ("files", "same")  # of reused.py


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=os.path.join(ROOT, "build"), help="folder of the programs")
    p.add_argument("--quick", action="store_true", help="3.13 only, every second program, 20 s for each engine")
    p.add_argument("--versions", help=VERSIONS)
    p.add_argument("--engines", default="outside,kernel", help="%(default)s")
    p.add_argument("--samples", type=int, default=1000000, help="whole ones for each version and engine (%(default)s)")
    p.add_argument("--limit", type=float, help="seconds for each version and engine, at most (300; --quick: 20)")
    p.add_argument("--json", metavar="FILE", help="write all cases there")
    a = p.parse_args()
    a.versions = (a.versions or ("3.13" if a.quick else VERSIONS)).split(",")
    a.limit = a.limit or (20 if a.quick else 300)
    return a


A = options()
os.environ["PYSPY_BUILD"] = os.path.abspath(A.build)
os.environ["PYSPY_PYTHONS"] = subprocess.run([ROOT + "/scripts/get-pythons"], stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
import harness as h  # noqa: E402
import legal as legals  # noqa: E402
import pyspy_reader as pr  # noqa: E402
import recording  # noqa: E402


def python_of(version):
    """the interpreter for 3.12, 3.13t ...: of this system where there is one"""
    minor = tuple(int(n) for n in version.rstrip("t").split("."))
    found = h.interpreters([minor], ("freethreaded" if version.endswith("t") else "release",))
    return sorted(found, key=lambda p: (p.root is not None, "musl" in p.name))[0] if found else None


class Case:
    """one program; what was recorded of it in all rounds"""

    def __init__(self, py, engine, shape, threads, free=False):
        self.py, self.engine, self.shape, self.threads = py, engine, shape, threads
        # without a GIL several threads run at once where they may
        self.every_cpu = py.free_threaded and threads > 1
        self.free = free or self.every_cpu
        self.seen, self.lost, self.seconds, self.problems = legals.Seen(), Counter(), 0.0, []
        self.ticks, self.failed = 0, None

    def record(self, pid, seconds, rate):
        out = os.path.join(h.folder(), "x.pyspy")
        p = h.start_record(["-q", "-p", pid, "-d", "%.2f" % seconds, "-r", rate], out, cpu=None if self.free else h.RECORD_CPU, engine=self.engine)
        rec = h.finish_record(p, out, seconds * 3 + 60).rec
        os.remove(out)
        self.problems += rec.problems
        self.ticks += rec.ticks
        self.seconds += seconds
        for x in rec.lost:
            self.lost[recording.CAUSES[x["cause"]]] += x["count"]
        return rec

    def run(self, rate, samples, seconds):
        """one round: until there are so many whole samples, or so many seconds are over"""
        end, before = time.monotonic() + seconds, self.seen.whole
        reused = self.shape in KINDS
        args = [self.shape] if reused else [self.shape, self.threads, self.py.folder()[1]]
        try:
            with h.Victim(self.py, "reused.py" if reused else "colours.py", args, cpu=None if self.every_cpu else h.VICTIM_CPU) as v:
                self.rounds(v, rate, samples + before, end)
        except (h.Failure, subprocess.TimeoutExpired, OSError, pr.Damage) as e:  # what was judged before counts
            self.failed = "%s: %s" % (type(e).__name__, e)

    def rounds(self, v, rate, samples, end):
        length, recs, legal = 1.0, [], None
        if self.shape not in KINDS:
            facts = json.loads(" ".join(v.words))
            legal = legals.Legal(facts["sources"], facts["tids"], self.py.version >= (3, 11), self.py.outside)
        while self.seen.whole < samples:
            begin, whole = time.monotonic(), self.seen.whole
            rec = self.record(v.pid, length, rate)
            if legal:
                legals.judge_colours(rec, legal, self.seen, "kernel")
            else:
                self.judge_turns(v, rec)
            took, got = time.monotonic() - begin, self.seen.whole - whole
            left = end - time.monotonic()
            # reading and judging take their time too
            length = min(10, 1.2 * length * (samples - self.seen.whole) / max(got, 1), 0.9 * left * length / took)
            if length < 0.3:
                break

    def judge_turns(self, v, rec):
        outside, inside = self.py.folder()
        v.say(os.path.join(inside, "turns.json"))
        v.line()
        with open(os.path.join(outside, "turns.json")) as f:
            legals.judge_turns(rec, int(v.words[0]), json.load(f), self.shape, self.seen)

    def numbers(self):
        s = self.seen
        lost = Counter(self.lost)
        late = lost.pop("late", 0)
        # each sample without a stack was told as torn, but for those without any frame
        lost["torn"] = max(lost["torn"], s.unknown)
        return Counter(samples=s.samples, whole=s.whole, impossible=s.bad, stale=s.stale, motion=s.motion, unproved=s.marked, lost=sum(lost.values()),
                       late=late, ticks=self.ticks, strangers=len(s.strangers), problems=len(self.problems)), lost

    def name(self):
        return "%s, %d thread%s%s" % (self.shape, self.threads, "s" * (self.threads > 1), ", free" * (self.free and not self.every_cpu))


def cases_of(py, engine):
    out = [Case(py, engine, shape, threads) for shape in SHAPES for threads in (1, 4)]
    if engine == "outside":
        out += [Case(py, engine, shape, threads, True) for shape in FREE for threads in (1, 4) if not (py.free_threaded and threads > 1)]
    out += [Case(py, engine, kind, 1) for kind in KINDS]
    return [c for i, c in enumerate(out) if i % 4 in (0, 3)] if A.quick else out


def percent(n, of):
    return "-" if not n else "%.3f %%" % (100.0 * n / of) if of else "?"


HEAD = ("%-22s %-8s %9s %10s %6s %10s %9s %8s %8s  %s", "%-22s %-8s %9d %10d %6d %10s %9s %8s %8s  %s")


def row(name, engine, n, lost, verdict):
    due = n["samples"] + sum(lost.values()) - lost["torn"]  # a torn one is among the samples
    print(HEAD[1] % (name, engine, n["whole"], n["impossible"], n["stale"], percent(n["motion"], n["samples"]), percent(n["unproved"], n["samples"]),
                     percent(n["lost"], due), percent(n["late"], n["late"] + n["ticks"]), verdict), flush=True)
    return n["lost"] / max(due, 1)


def add(cases):
    n, lost = Counter(), Counter()
    for c in cases:
        a, b = c.numbers()
        n, lost = n + a, lost + b
    return n, lost


def measure(version, py, engine):
    begin, cases, round = time.monotonic(), cases_of(py, engine), 0
    while True:
        for i, c in enumerate(cases):
            whole = sum(x.seen.whole for x in cases)
            left = begin + A.limit - time.monotonic()
            if left < 1 or whole >= A.samples:
                break
            n = len(cases) - i
            # 10 and 20 kHz, changing places in each round
            c.run((20000, 10000)[(i // 2 + i + round) % 2], (A.samples - whole) // n + 1, left / n)
        else:
            round += 1
            continue
        break
    n, lost = add(cases)
    verdicts = []
    if n["impossible"] or n["stale"] > 0.002 * n["samples"] or n["strangers"] or n["problems"]:
        verdicts.append("NOT 0")
    if n["whole"] < A.samples:
        verdicts.append("only %d s" % (time.monotonic() - begin))
    part = row("%s %s" % (version, py.text if py.text != version else ""), engine, n, lost, "")
    verdicts.append("ok, " * (not verdicts) + "lost < 1 %" if part < 0.01 else "lost NOT < 1 %")
    print("%31s %s; lost: %s" % ("", ", ".join(verdicts), ", ".join("%s %d" % x for x in lost.items() if x[1]) or "nothing"))
    for c in cases:
        if c.seen.bad or c.seen.strangers or c.problems or c.failed:
            print("%31s %s: %s %s %s %s %s" % ("", c.name(), dict(c.seen.wrongs), c.seen.examples.most_common(2), c.seen.strangers[:2], c.problems[:2], c.failed or ""))
    sys.stdout.flush()
    return cases


def main():
    begin, all_cases = time.monotonic(), []
    print("impossible stacks, reach 0 of %d whole ones for each version and engine, lost < 1 %%; %s; %d CPUs" % (A.samples, os.uname().release, len(h.CPUS)))
    print(HEAD[0] % ("Python", "engine", "whole", "impossible", "stale", "in motion", "unproved", "lost", "late", ""), flush=True)
    engines = A.engines.split(",")
    if "kernel" in engines:
        try:
            h.need_kernel()
        except (h.Skip, h.Failure) as e:
            engines.remove("kernel")
            print("kernel: %s" % e)
    for version in A.versions:
        py = python_of(version)
        if not py:
            print("%-22s is not here (scripts/get-pythons)" % version)
            continue
        for engine in engines:
            all_cases += measure(version, py, engine)
    print("\nby program, all versions")
    for engine in engines:
        of = [c for c in all_cases if c.engine == engine]
        for name in dict.fromkeys(c.name() for c in of):
            row(name, engine, *add(c for c in of if c.name() == name), "")
    for engine in engines:
        row("all", engine, *add(c for c in all_cases if c.engine == engine), "")
    print("%d min %d s; load now %.1f" % (*divmod(int(time.monotonic() - begin), 60), os.getloadavg()[0]))
    if A.json:
        with open(A.json, "w") as f:
            json.dump([dict(c.numbers()[0], python=str(c.py), engine=c.engine, case=c.name(), seconds=c.seconds, lost_by=c.numbers()[1],
                            wrongs=c.seen.wrongs, failed=c.failed) for c in all_cases], f, indent=1)


if __name__ == "__main__":
    main()

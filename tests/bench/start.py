#!/usr/bin/env python3
"""How long until something is seen: from exec of pyspy-record to its first sample, beside py-spy's, on running programs of
several Pythons, a stripped one, and one with 300 libraries mapped. Milliseconds, the median of all runs, in turn.

    ready   the recording begins: the process is understood, and looked at (from the file)
    first   the first sample in the file, at 1 kHz: of the outside engine the first tick, a random gap after that; of the
            kernel engine the first event, of a thread that runs or sleeps
    end     exec to exit of a recording of 100 ms, less these 100 ms
    py-spy record   until it says that it samples, which is before its first sample, at the same rate
    py-spy dump     exec to exit
    ... --version   exec to exit of a program that has nothing to do: what is below none of the others

Both start from the page cache. Issue 6 asks for half of py-spy's time; of `dump` in all too.
    --where   where the time goes: the recorder under strace, and the time until each kind of call, in parts
"""
import os
import re
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import limits  # noqa: E402
import peers  # noqa: E402
import rig  # noqa: E402
from pyspy_reader import Reader  # noqa: E402,F401

LIBRARIES = 300
RECORD_S = 0.1
VERSIONS = ["3.9", "3.11", "3.13"]


class Run:
    """one run of a command: when it was begun (CLOCK_BOOTTIME ns), when it said something first, when it ended. By vfork: a
    child that is a copy of this process until its exec would take that apart first, some ms of it"""

    def __init__(self, command, timeout=30):
        self.exec = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        first = os.read(p.stdout.fileno(), 4096)
        self.said = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        rest, _ = p.communicate(timeout=timeout)
        self.ended = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.status, self.text = p.returncode, (first + rest).decode("utf-8", "replace")
        if self.status:
            raise rig.Failed((self.text.strip().split("\n") or [""])[-1])

    def ms(self, when):
        return (when - self.exec) / 1e6


class Ours:
    def __init__(self, build, engine, scratch):
        self.name, self.build, self.engine, self.out = engine, build, engine, os.path.join(scratch, "first")

    def missing(self):
        return None if os.access(self.build + "/pyspy-record", os.X_OK) else "%s/pyspy-record is not there" % self.build

    def command(self, pid):
        return [self.build + "/pyspy-record", "-q", "--engine", self.engine, "-r", "1000", "-d", str(RECORD_S),
                "-o", self.out, "-p", str(pid)]

    def run(self, pid):
        r = Run(self.command(pid))
        rec = limits.pyspy_reader.read(self.out)
        times = [run.times[0] for run in rec.runs]
        if not times:
            raise rig.Failed("no samples within %.1f s" % RECORD_S)
        return {"ready": r.ms(rec.blocks[0]["begin"]), "first": r.ms(min(times)), "end": r.ms(r.ended) - 1000 * RECORD_S}


class OurDump:
    name = "dump"

    def __init__(self, build):
        self.build = build

    def missing(self):
        text = subprocess.run([self.build + "/pyspy-record", "--help"], stdout=subprocess.PIPE, universal_newlines=True).stdout
        return None if re.search(r"^\s*(Usage:)?\s*pyspy-record dump", text, re.M) else "not built"

    def run(self, pid):
        r = Run([self.build + "/pyspy-record", "dump", "-p", str(pid)])
        return {"first": r.ms(r.ended), "end": r.ms(r.ended)}


class PySpyRecord(peers.PySpy):
    name = "py-spy record"

    def __init__(self, scratch):
        self.out = os.path.join(scratch, "raw")

    def run(self, pid):
        r = Run([peers.PYSPY, "record", "-r", "1000", "-d", "1", "-f", "raw", "-o", self.out, "-p", str(pid)])
        return {"first": r.ms(r.said), "end": r.ms(r.ended) - 1000}


class PySpyDump(peers.PySpy):
    name = "py-spy dump"

    def run(self, pid):
        r = Run([peers.PYSPY, "dump", "-p", str(pid)])
        return {"first": r.ms(r.ended), "end": r.ms(r.ended)}


class Version:
    """a program that has nothing to do"""

    def __init__(self, program):
        self.program, self.name = program, os.path.basename(program) + " --version"

    def missing(self):
        return None if os.access(self.program, os.X_OK) else "%s is not there" % self.program

    def run(self, pid):
        r = Run([self.program, "--version"])
        return {"end": r.ms(r.ended)}


def pythons():
    """-> [(words, path)]: one of each version that is asked for, and the system's, which is stripped"""
    lines = subprocess.run([rig.ROOT + "/scripts/get-pythons", "--quick"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           universal_newlines=True).stdout.split("\n")
    rows = [line.split() for line in lines if line]
    found = []
    for wanted in VERSIONS:
        here = [path for version, path, kind, root, build in rows
                if kind == "pyenv" and build == "release" and version.startswith(wanted + ".")]
        found += [("Python " + wanted, path) for path in here[:1]]
    return found + [("%s of the system, stripped" % version, path) for version, path, kind, root, build in rows if kind == "system"][:1]


def measure(tools, pid, rounds):
    """-> {tool: {column: median}}, {tool: why not}"""
    values, failed = {t.name: [] for t in tools}, {}
    for i in range(rounds + 1):  # the first brings files into the cache
        for t in tools:
            if t.name in failed or (isinstance(t, PySpyRecord) and i > 5):
                continue
            try:
                got = t.run(pid)
            except (rig.Failed, subprocess.TimeoutExpired) as e:
                failed[t.name] = str(e)
                continue
            if i:
                values[t.name].append(got)
    medians = {name: {k: statistics.median(v[k] for v in each) for k in each[0]} for name, each in values.items() if each}
    return medians, failed


def show(words, tools, medians, failed):
    print(words)
    form = lambda m, k: "%.1f" % m[k] if k in m else "-"
    for t in tools:
        m = medians.get(t.name)
        if not m:
            print("  %-22s      -  %s" % (t.name, failed.get(t.name)))
            continue
        verdict = ""
        if t.name in ("outside", "kernel") and "py-spy record" in medians:
            verdict = "to py-spy record's: " + limits.reached(m["first"] / medians["py-spy record"]["first"], 0.5)
            if "py-spy dump" in medians:
                verdict += "; to its dump's: %.2f" % (m["first"] / medians["py-spy dump"]["first"])
        if t.name == "dump" and "py-spy dump" in medians:
            verdict = "to py-spy dump's: " + limits.reached(m["end"] / medians["py-spy dump"]["end"], 0.5)
        print("  %-22s %7s %7s %7s  %s" % (t.name, form(m, "ready"), form(m, "first"), form(m, "end"), verdict))
    sys.stdout.flush()


def where(ours, pid):
    """the recorder under strace (which slows calls down): its parts, in order of time"""
    log = ours.out + ".strace"
    subprocess.run(["strace", "-f", "-ttt", "-o", log] + ours.command(pid), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    with open(log) as f:
        lines = [line.split(None, 2) for line in f]
    marks = [("libraries are loaded", r'prctl\(PR_SET_TIMERSLACK|sigaction|openat\(.*"/proc/|bpf\('), ("first bpf call", r"bpf\("),
             ("first look into /proc/PID", r'"/proc/%d/' % pid), ("first read of its memory", r"process_vm_readv"),
             ("the file is opened", r'openat\(.*' + re.escape(ours.out) + '"'), ("first sleep", r"clock_nanosleep|epoll_wait|epoll_pwait")]
    t0, rows = float(lines[0][1]), []
    for words, pattern in marks:
        at = next((float(t) for _, t, call in lines if re.search(pattern, call)), None)
        rows.append((at or 0, words))
    print("  %s under strace:" % ours.name)
    for at, words in sorted(rows):
        if at:
            print("    %7.2f ms  %s" % (1000 * (at - t0), words))
    counts = {}
    for (_, t, call), (_, after, _) in zip(lines, lines[1:]):
        if float(t) > max(at for at, w in rows if w == "first sleep"):
            break
        name = re.match(r"\w+", call)
        key = name.group() if name else "?"
        n, s = counts.get(key, (0, 0))
        counts[key] = n + 1, s + float(after) - float(t)
    most = sorted(counts.items(), key=lambda item: -item[1][1])[:10]
    print("    until then, by call (its time, and what is done after it): " + ", ".join("%s %d: %.1f ms" % (k, n, 1000 * s) for k, (n, s) in most))


def main():
    p = limits.parser(__doc__, "outside,kernel,py-spy")
    p.add_argument("--rounds", type=int, help="20; quick: 5")
    p.add_argument("--where", action="store_true", help="where the recorder's time goes (strace)")
    a = p.parse_args()
    rounds = a.rounds or (5 if a.quick else 20)
    with limits.Bench(a) as b:
        names = [t.name for t in b.tools]
        tools = [Ours(b.build, n, b.scratch) for n in names if n in ("outside", "kernel")] + [OurDump(b.build)]
        tools += [Version(b.build + "/pyspy-record")]
        tools += [PySpyRecord(b.scratch), PySpyDump(), Version(peers.PYSPY)] if "py-spy" in names else []
        reasons = {t.name: t.missing() for t in tools if t.missing()}
        able = [t for t in tools if t.name not in reasons]
        print("median of %d runs of each, in turn (py-spy record: of 5)" % rounds)
        print("  %-22s %7s %7s %7s" % ("", "ready", "first", "end"))
        library = peers.compiled(b.scratch, "natives", "-shared", "-fPIC", "-pthread")
        found = [(b.pythons["host"].version(), a.python)] if a.python else pythons()
        cells = [(words, rig.Python(path, b.scratch), None) for words, path in found]
        cells += [("%s with %d libraries" % (found[-1][0] if a.python else found[-2][0], LIBRARIES), cells[-1 if a.python else -2][1], library)]
        for words, python, libs in cells:
            with (limits.Program(python, rig.HERE + "/manylibs.py", [library, LIBRARIES]) if libs else
                  limits.busy(python, 10, 1, sleeping=0)) as program:
                medians, failed = measure(able, program.pid, rounds)
                show(words, tools, medians, {**reasons, **failed})
                b.measured = b.measured or bool(medians)
                if a.where:
                    for t in able:
                        if isinstance(t, Ours):
                            where(t, program.pid)
        return b.status()


if __name__ == "__main__":
    sys.exit(main())

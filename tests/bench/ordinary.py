#!/usr/bin/env python3
"""Ordinary programs, and programs whose stacks are new for ever, sampled from outside with default options: how much of
what they do could not be told (in motion), and how long they stood still for it. py-spy beside us, on the same running
program. Needs root (the kernel's trace is the witness), and `scripts/install-deps bench` (Django, py-spy). The program has a
CPU of its own; clients of the server and, unless --recorder says else, the tools may run where there is room.

First table, the recording's samples; those of the first seconds (--after) apart, for a program is got to know then:
    samples/s        of running threads, and of all
    in motion        of the samples of running threads: first seconds, after them; of all samples after them. Goal: the
                     samples of ordinary programs, after: <= 3 %. The strict one is judged: what sleeps is always certain
    stops/s          after the first seconds
    stops, us        median / 99 % / longest of all, by the kernel's trace: from when the thread had come to rest until it
                     was let go; +CPU: until it ran again (on a busy CPU others may come first); and as the file has them

Second table, the time that the program stood still for the tool (any thread of it), in % of wall time, of the whole
recording:
    file             as the recording's counter has it (pyspy only)
    stood            stopped, until it was let go, by the kernel's trace (standing.py)     +CPU: until it had its CPU again, too;
                     this is judged: within --max-stop
    worst            the worst second of it: 5 seconds' budget may be saved up for a stop that takes long
    held             the recording's counter of threads that waited while we sat on their CPU; the design allows it 5 times --max-stop
    aside            threads put aside for the tool, on purpose or because the scheduler put it there, by the trace
    had              CPU time of the program; where one that never sleeps (all but json, compileall) has much less than 100 %, the
                     machine was not quiet, and waiting for the CPU was for others. Few samples/s tell of that, too; with
                     less than half of the ticks that were asked for, there is no verdict ("too busy")
"""
import argparse
import collections
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import rig  # noqa: E402
import standing  # noqa: E402
from peers import PYSPY  # noqa: E402

sys.path.insert(0, os.path.join(rig.ROOT, "tests", "e2e"))
import pyspy_reader  # noqa: E402
import recording  # noqa: E402

MAX_STOP, HOLD_TIMES, MAX_MOTION = 0.2, 5, 3.0  # percent; the defaults of the recorder and what issue 6 asks for
RUNNING = (recording.ON_CPU, recording.RUNNABLE, recording.ACTIVE)
DJANGO = os.path.join(rig.CACHE, "django", "lib", "python*", "site-packages")
WARM = 2

Program = collections.namedtuple("Program", "name file ordinary args")
PROGRAMS = [
    Program("json", "json_server", True, []),
    Program("django", "django_client", True, []),
    Program("compileall", "compileall_run", True, ["{}"]),
    Program("compiler", "compiler", True, []),
    Program("visitors", "visitors", False, []),
    Program("generators", "generators", False, []),
]


# ---------------------------------------------------------------- the programs

def interpreter(name, scratch):
    """name: a path, or a version of which scripts/get-pythons knows a release build"""
    if os.sep in name:
        return rig.Python(name, scratch)
    lines = subprocess.run([rig.ROOT + "/scripts/get-pythons", "--quick"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           universal_newlines=True).stdout.split("\n")
    for version, path, _, root, build in (line.split() for line in lines if line):
        if build in ("release", "freethreaded") and (version + ".").startswith(name.rstrip("t") + ".") and \
                (build == "freethreaded") == name.endswith("t"):
            return rig.Python(path, scratch) if root == "-" else rig.RootedPython(root, path, scratch)
    sys.exit("ordinary.py: scripts/get-pythons knows no Python %s" % name)


class Running:
    """a program on the target's CPU, and its clients elsewhere; `reason`: why it does not run, or None"""

    def __init__(self, program, python):
        self.program, self.python, self.clients, self.p, self.reason = program, python, None, None, None
        if program.name == "django" and not os.path.isdir(python.scratch + "/django"):
            self.reason = "no Django (scripts/install-deps bench)"
            return
        self.p, ready = self.start(program.file, [a.format(python.inside) for a in program.args], {rig.TARGET_CPU})
        if ready and program.name == "json":
            self.clients, ready = self.start("json_clients", [ready[1]], set(rig.OTHER_CPUS))
        if not ready:
            self.end()
            self.log.seek(0)
            self.reason = "it did not start: " + rig.last_line(self.log)
            return
        self.pid = self.p.pid
        time.sleep(WARM)

    def start(self, file, args, cpus):
        """-> Popen, words of its first line; None: it ended before"""
        self.log = open(os.path.join(self.python.scratch, "log-" + file), "w+b")
        at = self.python.inside
        p = subprocess.Popen(self.python.start(["%s/programs/%s.py" % (at, file)] + args), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=self.log, preexec_fn=rig.pin(cpus),
                             env=dict(os.environ, PYTHONPATH=at + "/django", PYTHONDONTWRITEBYTECODE="1"))
        words = p.stdout.readline().split()
        return p, [w.decode() for w in words] if words[:1] == [b"ready"] else None

    def alive(self):
        return self.p.poll() is None and (not self.clients or self.clients.poll() is None)

    def end(self):
        for p in self.clients, self.p:
            if p:
                p.kill()
                p.wait()


# ---------------------------------------------------------------- the tools

def ours(build, pid, rate, seconds, out):
    return [build + "/pyspy-record", "-q", "--engine", "outside", "-r", str(rate), "-d", str(seconds), "-o", out, "-p", str(pid)]


def py_spy(build, pid, rate, seconds, out):
    return [PYSPY, "record", "-r", str(rate), "-d", str(int(seconds)), "-f", "raw", "-o", out, "-p", str(pid)]


def record(running, command, cpus):
    """-> witness of the time that the tool ran, that time in seconds, part of a CPU that the program had; rig.Failed"""
    with tempfile.TemporaryFile(dir=running.python.scratch) as log:
        with standing.Witness(running.pid) as w:
            begun, cpu = time.clock_gettime(time.CLOCK_BOOTTIME), rig.cpu_seconds(running.pid)
            p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=rig.pin(cpus))
            try:
                w.tool(p.pid)
                while p.poll() is None and running.alive():
                    time.sleep(0.05)
                lasted = time.clock_gettime(time.CLOCK_BOOTTIME) - begun
                cpu = (rig.cpu_seconds(running.pid) - cpu) / lasted if running.alive() else 0
            finally:
                if p.poll() is None:
                    p.terminate()
                status = p.wait(30)
        if not running.alive():
            raise rig.Failed("the program ended; " + rig.last_line(running.log))
        if status:
            raise rig.Failed("%s ended with %d: %s" % (os.path.basename(command[0]), status, rig.last_line(log)))
    if not w.switches:
        raise rig.Failed("the kernel's trace says nothing of the program (another pid name space?)")
    return w, lasted, cpu


# ---------------------------------------------------------------- what a recording says

class Samples:
    """after: ns from the beginning"""

    def __init__(self, rec, after):
        self.begin, self.end = rec.blocks[0]["begin"], max(b["end"] for b in rec.blocks)
        self.early, self.late = collections.Counter(), collections.Counter()
        cut = self.begin + after
        self.moving = []  # runs, of after
        for r in rec.runs:
            n = sum(t < cut for t in r.when)
            running = r.state in RUNNING
            motion = r.stack[-1:] == (recording.IN_MOTION,)
            for count, part in ((n, self.early), (r.ticks - n, self.late)):
                part["all"] += count
                part["running"] += count * running
                part["motion"] += count * motion
            if motion and r.ticks > n:
                self.moving.append((r, r.ticks - n))

    def share(self, part, of):
        return 100 * part["motion"] / part[of] if part[of] else 0.0

    def why(self):
        """what is in motion: lines of text"""
        total = sum(n for _, n in self.moving)
        if not total:
            return ["nothing was in motion"]
        torn, stacks, leaf, gone, known, depth = 0, collections.Counter(), collections.Counter(), 0, 0, 0
        for r, n in self.moving:
            raw = r.raw
            if raw[-1].kind == "synthetic":
                torn += n
                continue
            stacks[raw] += n
            leaf[raw[-1].name] += n
            certain = len(r.stack) - 1
            known, depth = known + n * certain, depth + n * len(raw)
            gone += n * (certain == len(raw) - 1)
        rest = max(total - torn, 1)
        lines = ["%d samples in motion: %.0f %% torn while they were read; the others in %d stacks, %.0f %% of them met once" % (
            total, 100 * torn / total, len(stacks), 100 * sum(n == 1 for n in stacks.values()) / max(len(stacks), 1))]
        if stacks:
            lines.append("   certain %.1f of %.1f frames; only the innermost not in %.0f %%; by innermost: %s" % (
                known / rest, depth / rest, 100 * gone / rest,
                ", ".join("%s %.0f %%" % (k, 100 * n / rest) for k, n in leaf.most_common(6))))
        return lines


def told_stops(build, out, c):
    """median / 99 % / longest of the stops in us, as the file has them; an older recorder's has no lengths, only the mean"""
    answer = subprocess.run([build + "/pyspy-report", "info", "--json", out], stdout=subprocess.PIPE)
    if answer.returncode:
        raise rig.Failed("pyspy-report could not read the recording")
    stops = json.loads(answer.stdout)["recordings"][0].get("stops")
    if not c.get("stops"):
        return "-"
    if isinstance(stops, dict) and stops.get("median_ns") is not None:
        return " / ".join("%.0f" % (stops[k] / 1e3) for k in ("median_ns", "p99_ns", "longest_ns"))
    return "mean %.0f / %.0f" % (c.get("stopped_ns", 0) / 1e3 / c["stops"], c.get("longest_stop_ns", 0) / 1e3)


def quantile(values, q):
    values = sorted(values)
    return values[min(int(q * len(values)), len(values) - 1)] if values else 0.0


def together(spans):
    """spans: (begin, length), which may overlap. -> the same time as spans that do not"""
    out = []
    for at, lasted in sorted(spans):
        if out and at <= out[-1][0] + out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], at + lasted - out[-1][0])
        else:
            out.append((at, lasted))
    return out


def parts(spans, begin, lasted):
    """-> percent of the time that the spans cover, and of the worst second, counted from `begin`"""
    seconds = collections.Counter()
    spans = together(spans)
    for at, length in spans:
        while length > 0:  # each second its part
            n = min(length, int(at - begin) + 1 - (at - begin)) or length
            seconds[int(at - begin)] += n
            at, length = at + n, length - n
    return 100 * sum(length for _, length in spans) / lasted, 100 * max(seconds.values(), default=0.0)


# ---------------------------------------------------------------- rows

class Row:
    """one recording of one program"""

    def __init__(self, running, tool, rate, w, lasted, cpu, a, out=None):
        self.python, self.program, self.tool, self.rate = running.python.path, running.program, tool, rate
        self.lost_events, self.seconds, self.after, self.cpu = w.lost, lasted, a.after, 100 * cpu
        begin, after = w.stops[0].at if w.stops else 0, a.after
        if out:
            rec = pyspy_reader.read(out)
            self.samples = Samples(rec, a.after * 10 ** 9)
            begin, self.seconds = self.samples.begin / 1e9, (self.samples.end - self.samples.begin) / 1e9
            self.counters, self.problems = rec.counters, rec.problems
            self.told_us = told_stops(a.build, out, rec.counters)
        late = [s for s in w.stops if s.at >= begin + after]
        self.n_stops = len(w.stops)
        self.stops_s = len(late) / max(self.seconds - after, 1)
        lengths = [s.stood + s.waited for s in w.stops]
        self.stops = [(s.at - begin, s.stood, s.waited) for s in w.stops]
        self.stop_us, self.away_us = (" / ".join("%.0f" % (1e6 * quantile(v, q)) for q in (0.5, 0.99, 1))
                                      for v in ([s.stood for s in w.stops], lengths))
        self.stood, _ = parts([(s.at, s.stood) for s in w.stops], begin, self.seconds)
        self.away, self.worst = parts([(s.at, s.stood + s.waited) for s in w.stops], begin, self.seconds)
        self.aside, self.aside_worst = parts([(x.at, x.lasted) for x in w.asides], begin, self.seconds)

    def verdict(self, reached):
        """Where the recorder itself did not get to run, nothing was measured."""
        if self.counters["ticks"] < 0.5 * self.rate * self.seconds:
            return "too busy"
        return "ok" if reached else "NOT reached"

    def counted(self, name):
        return 100 * self.counters.get(name, 0) / 1e9 / self.seconds

    def motion(self):
        s = self.samples
        late = s.share(s.late, "running")
        goal = self.verdict(late <= MAX_MOTION) if self.program.ordinary else "-"
        rates = tuple(s.late[of] / max(self.seconds - self.after, 1) for of in ("running", "all"))
        return (self.program.name, self.rate, "%.0f / %.0f" % rates,
                s.share(s.early, "running"), late, s.share(s.late, "all"), goal, self.stops_s, self.stop_us, self.away_us, self.told_us)

    def still(self):
        goal = self.verdict(self.away <= MAX_STOP) if self.tool == "pyspy" else "-"
        file = ("%.3f" % self.counted("stopped_ns"), "%.3f" % self.counted("held_ns")) if self.tool == "pyspy" else ("-", "-")
        return (self.program.name, self.rate, self.tool, file[0], "%.3f" % self.stood, "%.3f" % self.away, "%.2f" % self.worst,
                goal, file[1], "%.3f" % self.aside, "%.2f" % self.aside_worst, self.n_stops, self.cpu)

    def facts(self):
        f = {k: v for k, v in vars(self).items() if k not in ("samples", "program")}
        f["program"] = self.program.name
        if self.tool == "pyspy":
            f["samples"] = {"early": self.samples.early, "late": self.samples.late}
        return f


MOTION = ("%-10s", "%5d", "%13s", "%9.2f", "%7.2f", "%7.2f", "%-11s", "%7.1f", "%20s", "%20s", "%20s")
MOTION_HEADS = (("", "", "samples/s", "in motion", "%", "%", "goal", "stops/s", "stops, us: median", "+CPU: median", "in the file:"),
                ("", "Hz", "running / all", "first", "after", "of all", "<= %g %%" % MAX_MOTION, "after",
                 "/ 99 % / longest", "/ 99 % / longest", "the same"))
STILL = ("%-10s", "%5d", "%-6s", "%7s", "%7s", "%7s", "%6s", "%-11s", "%7s", "%7s", "%6s", "%7d", "%6.1f")
STILL_HEADS = (("", "", "", "file", "stood", "+CPU", "worst", "goal", "held", "aside", "worst", "stops", "had"),
               ("", "Hz", "", "%", "%", "%", "s, %", "<= %g %%" % MAX_STOP, "%", "%", "s, %", "", "CPU, %"))


def line(columns, values):
    return "  ".join(c % v for c, v in zip(columns, values)).rstrip()


def heads(columns, rows):
    widths = [re.sub(r"(\.\d)?[dfs]$", "s", c) for c in columns]
    for row in rows:
        print(line(widths, row))


def measure(running, a):
    """yields Row, or a text that says why there is none"""
    for rate in a.rates:
        for tool in a.tools:
            out = os.path.join(running.python.scratch, "out")
            command = ours if tool == "pyspy" else py_spy
            seconds = a.seconds if tool == "pyspy" else a.peer_seconds
            try:
                w, lasted, cpu = record(running, command(a.build, running.pid, rate, seconds, out), rig.PLACES[a.recorder])
                if tool == "pyspy" and a.keep:
                    shutil.copy(out, os.path.join(a.keep, "%s-%d.pyspy" % (running.program.name, rate)))
                yield Row(running, tool, rate, w, lasted, cpu, a, out if tool == "pyspy" else None)
            except (rig.Failed, ValueError) as e:
                yield "%-10s  %5d  %-6s  %s" % (running.program.name, rate, tool, e)
                if not running.alive():
                    return


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=os.path.join(rig.ROOT, "build"), help="folder of the programs")
    p.add_argument("--quick", action="store_true", help="a minute: 1000 Hz, 6 s, the first 3 s apart; no compileall, no py-spy")
    p.add_argument("--programs", default=None, help=",".join(x.name for x in PROGRAMS))
    p.add_argument("--rates", default=None, help="100,1000")
    p.add_argument("--seconds", type=float, help="length of a recording (20)")
    p.add_argument("--after", type=float, help="what counts begins after so many seconds (10)")
    p.add_argument("--peer-seconds", type=float, default=5, help="py-spy's recordings (5)")
    p.add_argument("--tools", help="pyspy,py-spy")
    p.add_argument("--recorder", choices=sorted(rig.PLACES), default="free", help="CPUs of the tools, seen from the program's (%(default)s)")
    p.add_argument("--python", default="newest", help="path, or version, or several with commas (the newest without a root of its own)")
    p.add_argument("--why", action="store_true", help="what it is that is in motion")
    p.add_argument("--keep", metavar="FOLDER", help="keep the recordings there")
    p.add_argument("--json", metavar="FILE", help="write all rows there")
    a = p.parse_args()
    full = {"programs": ",".join(x.name for x in PROGRAMS), "rates": "100,1000", "seconds": 20.0, "after": 10.0, "tools": "pyspy,py-spy"}
    quick = {"programs": "json,django,compiler,visitors,generators", "rates": "1000", "seconds": 6.0, "after": 3.0, "tools": "pyspy"}
    for name, value in (quick if a.quick else full).items():
        if getattr(a, name) is None:
            setattr(a, name, value)
    a.rates, a.tools, a.build = [int(r) for r in a.rates.split(",")], a.tools.split(","), os.path.abspath(a.build)
    wanted = a.programs.split(",")
    for what, given, known in ("program", wanted, [x.name for x in PROGRAMS]), ("tool", a.tools, ["pyspy", "py-spy"]):
        for n in given:
            if n not in known:
                p.error("%s is no %s; there are: %s" % (n, what, ", ".join(known)))
    if a.after >= a.seconds:
        p.error("--after must be shorter than --seconds")
    a.programs = [x for x in PROGRAMS if x.name in wanted]
    return a


def prepare(scratch, rooted):
    """the programs, and Django, where each interpreter sees them"""
    os.chmod(scratch, 0o755)
    shutil.copytree(os.path.join(rig.HERE, "programs"), scratch + "/programs", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in glob.glob(DJANGO):
        if rooted:
            shutil.copytree(folder, scratch + "/django", ignore=shutil.ignore_patterns("*.po", "pip", "setuptools"))
        else:
            os.symlink(folder, scratch + "/django")


def run_python(python, a):
    """-> [Row]; prints the tables"""
    print("\n%s; recordings of %g s, the first %g s apart; from outside with default options" % (
        python.version(), a.seconds, a.after))
    heads(MOTION, MOTION_HEADS)
    rows, reasons, lost = [], [], 0
    for program in a.programs:
        running = Running(program, python)
        try:
            if running.reason:
                print("%-10s  %s" % (program.name, running.reason), flush=True)
                continue
            for row in measure(running, a):
                if isinstance(row, str):
                    reasons.append(row)
                    continue
                rows.append(row)
                lost += row.lost_events
                if row.tool == "pyspy":
                    print(line(MOTION, row.motion()), flush=True)
                    for text in ["the file: " + p for p in row.problems[:3]] + (row.samples.why() if a.why else []):
                        print("      " + text)
        finally:
            running.end()
    print("\nstanding still, per wall second")
    heads(STILL, STILL_HEADS)
    for row in rows:
        print(line(STILL, row.still()))
    if lost:
        reasons.append("the kernel's trace lost %d events: times are too small" % lost)
    for text in reasons:
        print(text)
    return rows


def main():
    a = arguments()
    why = standing.missing() or (None if os.access(a.build + "/pyspy-record", os.X_OK) else "%s/pyspy-record is not there" % a.build)
    if why:
        print("ordinary.py: %s" % why)
        return 1
    if "py-spy" in a.tools and not os.access(PYSPY, os.X_OK):
        print("py-spy is not here (scripts/install-deps bench): not compared")
        a.tools.remove("py-spy")
    begun, rows = time.monotonic(), []
    names = [rig.newest_python() if n == "newest" else n for n in a.python.split(",")]
    print(rig.machine(a.recorder))
    for name in names:
        with tempfile.TemporaryDirectory(prefix="pyspy-bench-") as scratch:
            python = interpreter(name, scratch)
            prepare(scratch, isinstance(python, rig.RootedPython))
            rows += run_python(python, a)
    print("\nload now %.1f; %d min %d s" % ((os.getloadavg()[0],) + divmod(int(time.monotonic() - begun), 60)))
    if a.json:
        with open(a.json, "w") as f:
            json.dump({"machine": rig.machine(a.recorder), "when": time.time(), "rows": [r.facts() for r in rows]}, f, indent=1)
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())

"""The tools that the benches compare: each says how it is started on a target, and what it counted.

A tool: name; python, "host", "sid" or "sid-3.13": where its targets must run; missing(): why it cannot be measured here, or None;
command(target, rate, out); counts(target, out, what it printed, seconds it sampled) -> moments looked at per second,
stacks written per second (None: it writes none). It ends at SIGINT.
"""
import json
import os
import re
import shutil
import subprocess

from rig import CACHE, HERE, Failed

AUSTIN = os.path.join(CACHE, "austin", "bin", "austin")
PYSPY = os.path.join(CACHE, "py-spy", "bin", "py-spy")


def compiled(scratch, name, *flags):
    """builds NAME.c of this folder into the scratch folder"""
    out = os.path.join(scratch, name + (".so" if "-shared" in flags else ""))
    if not os.path.exists(out):
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-O2", "-D_GNU_SOURCE", "-I" + HERE, "-o", out,
                        "%s/%s.c" % (HERE, name), *flags], check=True)
    return out


def find(pattern, text):
    m = re.search(pattern, text)
    if not m:
        raise Failed("its answer was not understood: " + (text.strip().split("\n") or [""])[-1])
    return m.group(1)


class Tool:
    python = "host"

    def missing(self):
        return None


class Ours(Tool):
    def __init__(self, name, build, engine):
        self.name, self.build, self.engine = name, build, engine

    def missing(self):
        return None if os.access(self.build + "/pyspy-record", os.X_OK) else "%s/pyspy-record is not there" % self.build

    def choice(self):
        """A recorder that knows no engines has one: outside."""
        known = "--engine" in subprocess.run([self.build + "/pyspy-record", "--help"], stdout=subprocess.PIPE,
                                             universal_newlines=True).stdout
        return ["--engine", self.engine] if known or self.engine != "outside" else []

    def command(self, target, rate, out):
        return [self.build + "/pyspy-record", *self.choice(), "-r", str(rate), "-o", out, "-p", str(target.pid)]

    def counts(self, target, out, text, seconds):
        answer = subprocess.run([self.build + "/pyspy-report", "info", "--json", out], stdout=subprocess.PIPE)
        if answer.returncode:
            raise Failed("pyspy-report could not read the recording")
        info = json.loads(answer.stdout)
        recording, samples = info["recordings"][0], info["samples"]
        lasted = recording["duration_ns"] / 1e9
        # the kernel's moments are those of threads on a CPU; what happens off it comes beside them
        moments = samples["states"]["on-cpu"] if samples["ways"]["kernel"] else recording["ticks"]
        return moments / lasted, samples["samples"] / lasted


class PySpy(Tool):
    """-i: idle threads too, as all others here write them"""
    name = "py-spy"

    def missing(self):
        return None if os.access(PYSPY, os.X_OK) else "not installed (scripts/install-deps bench)"

    def command(self, target, rate, out):
        return [PYSPY, "record", "-i", "-r", str(rate), "-f", "raw", "-o", out, "-p", str(target.pid)]

    def counts(self, target, out, text, seconds):
        stacks = int(find(r"Samples: (\d+)", text)) / seconds
        return stacks / target.all_threads, stacks


class Tachyon(Tool):
    """Python 3.15's profiling.sampling; its rate counts the passes that failed, too"""
    name, python = "tachyon", "sid"

    def command(self, target, rate, out):
        out = os.path.join(target.python.inside, os.path.basename(out))
        return target.python.beside(target.pid, ["-m", "profiling.sampling", "attach", "-a", "--binary", "-r", str(rate),
                                                 "-o", out, str(target.pid)])

    def counts(self, target, out, text, seconds):
        seconds = float(find(r"Captured [\d,]+ samples in ([\d.]+) seconds", text))
        passes = int(find(r"Captured ([\d,]+) samples", text).replace(",", ""))
        return passes / seconds, int(find(r"written to \S+ \(([\d,]+) samples", text).replace(",", "")) / seconds


class Austin(Tool):
    """austin 4, which knows Python up to 3.14 and needs a newer libc than some hosts have: in the root of its target"""
    name, python = "austin", "sid-3.13"

    def missing(self):
        return None if os.access(AUSTIN, os.X_OK) else "not installed (scripts/install-deps bench)"

    def command(self, target, rate, out):
        inside = os.path.join(target.python.inside, os.path.basename(out))
        program = os.path.join(target.python.scratch, "austin")
        if not os.path.exists(program):
            shutil.copy(AUSTIN, program)
        return ["nsenter", "-t", str(target.pid), "-m", "-r", target.python.inside + "/austin",
                "-i", str(round(1e6 / rate)), "-o", inside, "-p", str(target.pid)]

    def counts(self, target, out, text, seconds):
        text = re.sub("\x1b\\[[0-9;]*m", "", text)
        stacks = int(find(r"Error rate[ .]+\d+/(\d+)", text)) / seconds
        return stacks / target.all_threads, stacks


class Floor(Tool):
    """floor.c"""
    name = "floor"

    def __init__(self, scratch):
        self.program = compiled(scratch, "floor", "-lm")

    def command(self, target, rate, out):
        return [self.program, str(target.pid), str(rate), "3600", "4096"]

    def counts(self, target, out, text, seconds):
        return int(find(r"ready\n[\d.]+ (\d+)", text)) / seconds, None


class EmptyEvent(Tool):
    """empty_event.c"""
    name = "empty-event"

    def __init__(self, scratch):
        self.program = compiled(scratch, "empty_event")

    def command(self, target, rate, out):
        return [self.program, str(target.pid), str(rate)]

    def counts(self, target, out, text, seconds):
        return int(find(r"ready\n(\d+) ", text)) / seconds, None


def all_tools(build, scratch):
    """in the order of the table; floor first, for what comes after is shown as multiples of it"""
    return [Floor(scratch), EmptyEvent(scratch), Ours("kernel", build, "kernel"), Ours("outside", build, "outside"),
            PySpy(), Tachyon(), Austin()]


def chosen(tools, names):
    """the tools of these names, in the order of the table; a name that is none ends the bench"""
    wanted = [n.strip() for n in names.split(",")]
    for n in wanted:
        if n not in [t.name for t in tools]:
            raise SystemExit("bench: %s is no tool; there are: %s" % (n, ", ".join(t.name for t in tools)))
    return [t for t in tools if t.name in wanted]

"""What the benches of one limit each share (rate, gaps, bytes, memory, start, idle, heap): their options, programs to look
at, one tool running on a program, and what was asked for beside what was reached.

A limit that is missed does not fail the bench: it measures, a person reads. The exit status is 1 when nothing could be
measured at all."""
import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import peers
import rig

sys.path.insert(0, os.path.join(rig.ROOT, "tests", "e2e"))
import pyspy_reader  # noqa: E402,F401: for the benches

LOAD_MAX_S = 1800  # whoever burns a CPU for us ends by itself after this


def parser(doc, tools):
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=os.path.join(rig.ROOT, "build"), help="folder of the programs")
    p.add_argument("--quick", action="store_true", help="a minute at most")
    p.add_argument("--tools", default=tools, help="%(default)s")
    p.add_argument("--python", help="of the targets (the newest that scripts/get-pythons finds)")
    return p


def reached(value, bound, at_least=False, form="%.2f"):
    """-> "reach <= 2: 1.31 ok" """
    if value is None:
        return "reach %s %s: not measured" % (">=" if at_least else "<=", form % bound)
    ok = value >= bound if at_least else value <= bound
    return "reach %s %s: %s %s" % (">=" if at_least else "<=", form % bound, form % value, "ok" if ok else "NOT reached")


# ---------------------------------------------------------------- programs

class Program:
    """A script that says "ready" when it is where it should be. Kept on the target's CPU.
    all_threads: how many of Python's it has"""

    def __init__(self, python, script, args=(), all_threads=1, cpus=None):
        self.python, self.all_threads = python, all_threads
        shutil.copy(script, python.scratch)
        self.p = subprocess.Popen(python.start([python.inside + "/" + os.path.basename(script)] + [str(a) for a in args]),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  preexec_fn=rig.pin(cpus or {rig.TARGET_CPU}),
                                  env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))
        self.pid = self.p.pid
        said = self.p.stdout.readline()
        if not said.startswith(b"ready"):
            self.end()
            raise rig.Failed("%s did not start with %s" % (os.path.basename(script), python.path))

    def end(self):
        self.p.kill()
        self.p.wait()
        self.p.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def busy(python, depth, threads, sleeping=1, cpus=None):
    """busy.py, which the other benches measure on too"""
    name = os.path.join(python.scratch, "steps-" + os.path.basename(python.path))
    open(name, "wb").close()
    return Program(python, rig.HERE + "/busy.py", [python.inside + "/" + os.path.basename(name), depth, threads,
                                                   "--sleeping", sleeping], threads + sleeping, cpus)


@contextlib.contextmanager
def load(n):
    """so many processes that burn CPU, wherever the kernel puts them"""
    code = "import time\nend = time.monotonic() + %d\nwhile time.monotonic() < end: pass" % LOAD_MAX_S
    burners = [subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL, preexec_fn=rig.pin(set(rig.CPUS)))
               for _ in range(n)]
    try:
        yield
    finally:
        for p in burners:
            p.kill()
            p.wait()


# ---------------------------------------------------------------- a tool on a program

class Running:
    """p, pid: the tool's process; out: its file"""

    def __init__(self, tool, program, p, log, out):
        self.tool, self.program, self.p, self.pid, self.log, self.out = tool, program, p, p.pid, log, out
        self.begun = time.monotonic()
        self.text = self.lasted = None

    def check(self):
        if self.p.poll() is not None:
            raise rig.Failed(rig.last_line(self.log))
        if self.program.p.poll() is not None:
            raise rig.Failed("the target ended with status %d" % self.program.p.returncode)

    def sleep(self, seconds):
        """as long as both live"""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            time.sleep(min(0.25, max(0, end - time.monotonic())))
        self.check()

    def cpu(self, seconds):
        """-> CPU seconds of the tool per second, of so many seconds from now on"""
        self.check()
        c0, t0 = rig.cpu_seconds(self.pid), time.monotonic()
        self.sleep(seconds)
        return (rig.cpu_seconds(self.pid) - c0) / (time.monotonic() - t0)

    def end(self):
        """SIGINT; the file is complete when this returns"""
        self.check()
        self.lasted = time.monotonic() - self.begun
        self.p.send_signal(signal.SIGINT)
        try:
            self.p.wait(60)
        except subprocess.TimeoutExpired:
            raise rig.Failed("it did not end 60 s after SIGINT")
        self.log.seek(0)
        self.text = self.log.read().decode("utf-8", "replace")
        return self

    def counts(self):
        """-> moments looked at per second, stacks written per second, as the tool itself counts; after end()"""
        return self.tool.counts(self.program, self.out, self.text, self.lasted)

    # of this recorder's files
    def info(self):
        answer = subprocess.run([self.tool.build + "/pyspy-report", "info", "--json", self.out],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if answer.returncode:
            raise rig.Failed("there is no recording: " + (self.text.strip().split("\n") or [""])[-1])
        return json.loads(answer.stdout)

    def recording(self):
        return pyspy_reader.read(self.out)


@contextlib.contextmanager
def running(tool, program, rate, place="other", settle=rig.SETTLE):
    """Starts it, and yields when it has begun, and a moment has passed. It has ended when this is left."""
    out, log = os.path.join(program.python.scratch, "out"), open(os.path.join(program.python.scratch, "log"), "w+b")
    if os.path.exists(out):
        os.remove(out)
    p = subprocess.Popen(tool.command(program, rate, out), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                         preexec_fn=rig.pin(rig.PLACES[place]), env=dict(os.environ, PYTHONUNBUFFERED="1"))
    try:
        # this recorder makes its file before it loads anything into the kernel, and speaks after that
        rig.wait_for_start(p, log, os.devnull + "/" if isinstance(tool, peers.Ours) else out)
        run = Running(tool, program, p, log, out)
        run.sleep(settle)
        yield run
    finally:
        if p.poll() is None:
            p.kill()
        p.wait()
        log.close()


# ---------------------------------------------------------------- a bench

class Bench:
    """with Bench(options) as b: scratch folder, tools that can run here, interpreters by the tools' kinds"""

    def __init__(self, a):
        self.a, self.begun, self.measured = a, time.monotonic(), False
        self.folder = tempfile.TemporaryDirectory(prefix="pyspy-bench-")
        self.scratch = self.folder.name
        os.chmod(self.scratch, 0o755)
        self.build = os.path.abspath(a.build)
        self.tools = peers.chosen(peers.all_tools(self.build, self.scratch), a.tools)
        self.pythons = {"host": rig.Python(a.python or rig.newest_python(), self.scratch), "sid": rig.sid_python(self.scratch),
                        "sid-3.13": rig.sid_python(self.scratch, "3.13")}
        os.sched_setaffinity(0, rig.OTHER_CPUS)

    def __enter__(self):
        print(rig.machine("other"))
        print("targets: " + self.pythons["host"].version(), flush=True)
        return self

    def __exit__(self, kind, error, trace):
        self.folder.cleanup()
        took = "%d min %d s" % divmod(int(time.monotonic() - self.begun), 60)
        print("\nload now %.1f on %d CPUs; %s" % (os.getloadavg()[0], len(rig.CPUS), took))

    def tool(self, name):
        return next((t for t in self.tools if t.name == name), None)

    def why_not(self, tool):
        """-> why this tool cannot be measured here, or None"""
        python = self.pythons[tool.python]
        return tool.missing() or (python if isinstance(python, str) else None)

    def try_each(self, measure, show, tools=None):
        """measure(tool, its interpreter) for each tool; show(name, what it returned, or None, and why)"""
        results = {}
        for tool in tools or self.tools:
            why = self.why_not(tool)
            try:
                if why:
                    raise rig.Failed(why)
                results[tool.name] = measure(tool, self.pythons[tool.python])
                self.measured = True
                show(tool.name, results[tool.name], None)
            except rig.Failed as e:
                show(tool.name, None, str(e))
            sys.stdout.flush()
        return results

    def status(self):
        return 0 if self.measured else 1

"""What the benches share: the target on a CPU of its own, tools switched on and off in turn, honest intervals.

One slice = a tool is started on the running target, is given a moment to settle, and is then watched for some seconds;
then it gets SIGINT and the target runs alone for a while. What a slice tells:

    cpu     CPU seconds of the tool per second, by its process's CPU clock (exact to the ns, all its threads). Only of the
            seconds watched: start-up and finishing are out, reading, encoding and writing are in. So it is of the very
            seconds in which the target's loss was seen, and both may be added up.
    loss    what the target did less, as a part of what it does alone just before and just after
    hz, stacks   moments looked at and stacks written per second, as the tool itself counts them

Whatever a tool does inside the target's interrupts, switches and page faults is loss, as it should be. A tool that runs
on the target's CPU is counted twice, as its CPU time and as loss: there are CPUs enough elsewhere, so that is its fault.
"""
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.environ.get("PYSPY_CACHE", "/var/tmp/pyspy-cache")
SID = os.path.join(CACHE, "roots", "sid")  # a Debian with Python 3.15: scripts/install-deps bench
CPUS = sorted(os.sched_getaffinity(0))
TARGET_CPU = CPUS[-1]
OTHER_CPUS = CPUS[:-1] or CPUS
SETTLE = 0.5
PLACES = {"other": set(OTHER_CPUS), "same": {TARGET_CPU}, "free": set(CPUS)}


def pin(cpus):
    return lambda: os.sched_setaffinity(0, cpus)


def cpu_seconds(pid):
    """CPU time of a process so far, its ended threads included"""
    return time.clock_gettime(~pid << 3 | 2)  # the number of a process's clock: see clock_getcpuclockid(3)


# ---------------------------------------------------------------- interpreters

class Python:
    """an interpreter that programs can be run with; `inside` is what the scratch folder is called there"""

    def __init__(self, path, scratch):
        self.path, self.scratch, self.inside = path, scratch, scratch

    def start(self, args):
        """-> command that starts a program"""
        return [self.path] + args

    def beside(self, pid, args):
        """-> command that starts another one with the same view of the file system as process pid has"""
        return [self.path] + args

    def version(self):
        out = subprocess.run(self.start(["-V"]), stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
        return "%s (%s)" % (out.strip(), self.path)


class RootedPython(Python):
    """one in a root of its own; its mounts live in a name space that ends with the program"""

    def __init__(self, root, path, scratch):
        self.root, self.path, self.scratch, self.inside = root, path, scratch, "/mnt"

    def start(self, args):
        mounts = 'mount --rbind /proc "$0/proc" && mount --bind "$1" "$0/mnt" && shift && exec chroot "$0" "$@"'
        return ["unshare", "-m", "sh", "-c", mounts, self.root, self.scratch, self.path] + args

    def beside(self, pid, args):
        return ["nsenter", "-t", str(pid), "-m", "-r", self.path] + args


def newest_python():
    """path of the newest interpreter that the recorder knows"""
    lines = subprocess.run([ROOT + "/scripts/get-pythons", "--quick"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           universal_newlines=True).stdout.split("\n")
    rows = [line.split() for line in lines if line]
    found = [path for version, path, kind, root, build in rows if root == "-" and build == "release"]
    return found[-1] if found else sys.exit("bench: no Python to measure on (scripts/get-pythons)")


def sid_python(scratch, version="3.15"):
    """-> this Python in its root, or a text that says why there is none"""
    path = "/usr/bin/python" + version
    if not os.access(SID + path, os.X_OK):
        return "no Python %s in %s (scripts/install-deps bench)" % (version, SID)
    return RootedPython(SID, path, scratch) if os.geteuid() == 0 else "chroot needs root"


# ---------------------------------------------------------------- the target

class Target:
    """busy.py, on one CPU. native: number of threads that know nothing of Python, of natives.c in the scratch folder"""
    last_tool = "none"

    def __init__(self, python, depth, threads, sleeping=0, native=0):
        self.threads, self.python, self.all_threads = threads, python, threads + sleeping
        name = "steps-" + os.path.basename(python.path)  # of each interpreter one target at a time
        self.file = os.path.join(python.scratch, name)
        open(self.file, "wb").close()
        shutil.copy(HERE + "/busy.py", python.scratch)
        args = [python.inside + "/busy.py", python.inside + "/" + name, str(depth), str(threads), "--sleeping", str(sleeping)]
        if native:
            args += ["--native", python.inside + "/natives.so", str(native)]
        self.p = subprocess.Popen(python.start(args), stdout=subprocess.PIPE, preexec_fn=pin({TARGET_CPU}))
        self.pid = self.p.pid
        if not self.p.stdout.readline().startswith(b"ready"):
            self.end()
            sys.exit("bench: the target did not start")

    def end(self):
        self.p.kill()
        self.p.wait()

    def stand_still(self):
        """no tool is on it now: leave the CPU to another target"""
        self.p.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.p.send_signal(signal.SIGCONT)
        time.sleep(0.7)  # bytecode is specialised, caches are warm

    def steps(self):
        with open(self.file, "rb") as f:
            return sum(struct.unpack("%dq" % self.threads, f.read(8 * self.threads))), time.monotonic()

    def paces(self, work):
        """-> (steps per second while work() runs, steps per second of the target's CPU time), what work() returned"""
        (n0, t0), c0 = self.steps(), cpu_seconds(self.pid)
        result = work()
        (n1, t1), c1 = self.steps(), cpu_seconds(self.pid)
        self.check()
        return ((n1 - n0) / (t1 - t0), (n1 - n0) / max(c1 - c0, 1e-9)), result

    def speed(self, work):
        """-> steps per second while work() runs, what work() returned"""
        (speed, _), result = self.paces(work)
        return speed, result

    def check(self):
        if self.p.poll() is not None:
            sys.exit("bench: the target ended with status %d; the last tool on it was %s" % (self.p.returncode, self.last_tool))

    def alone(self, seconds):
        """-> its paces, part of its CPU that it had"""
        self.check()
        c0, t0 = cpu_seconds(self.pid), time.monotonic()
        paces, _ = self.paces(lambda: time.sleep(seconds))
        return paces, (cpu_seconds(self.pid) - c0) / (time.monotonic() - t0)


# ---------------------------------------------------------------- slices

class Failed(Exception):
    pass


class Slice:
    """paces: the target's meanwhile. loss: of the first; loss_cpu: of the second, so but for what others have of its CPU"""

    def __init__(self, cpu, paces, hz, stacks):
        self.cpu, self.paces, self.hz, self.stacks, self.loss, self.loss_cpu = cpu, paces, hz, stacks, None, None


def last_line(log):
    log.seek(0)
    lines = [line.strip() for line in log.read().decode("utf-8", "replace").split("\n") if line.strip()]
    return lines[-1] if lines else "it said nothing"


def wait_for_start(p, log, out, limit=20):
    """Until the tool has said something or made its file: it samples, or is about to."""
    end = time.monotonic() + limit
    while p.poll() is None and not os.fstat(log.fileno()).st_size and not os.path.exists(out):
        if time.monotonic() > end:
            raise Failed("it did not begin within %d s" % limit)
        time.sleep(0.01)


def watch(target, tool, rate, seconds, place):
    """-> Slice without its loss; Failed says why not. The tool has ended when this returns."""
    out, log = os.path.join(target.python.scratch, "out"), open(os.path.join(target.python.scratch, "log"), "w+b")
    if os.path.exists(out):
        os.remove(out)
    target.last_tool = tool.name
    p = subprocess.Popen(tool.command(target, rate, out), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                         preexec_fn=pin(PLACES[place]), env=dict(os.environ, PYTHONUNBUFFERED="1"))
    try:
        wait_for_start(p, log, out)
        begun = time.monotonic()
        time.sleep(SETTLE)
        if p.poll() is None:
            c0, t0 = cpu_seconds(p.pid), time.monotonic()
            paces, _ = target.paces(lambda: time.sleep(seconds))
            if p.poll() is None:
                cpu = (cpu_seconds(p.pid) - c0) / (time.monotonic() - t0)
                lasted = time.monotonic() - begun
                p.send_signal(signal.SIGINT)
                p.wait(30)
                log.seek(0)
                return Slice(cpu, paces, *tool.counts(target, out, log.read().decode("utf-8", "replace"), lasted))
        raise Failed(last_line(log))
    except subprocess.TimeoutExpired:
        raise Failed("it did not end 30 s after SIGINT")
    finally:
        if p.poll() is None:
            p.kill()
        p.wait()
        log.close()


def in_turn(target, tools, rate, rounds, on, off, place, progress=lambda: None):
    """Tools on and off in turn, one after the other, `rounds` times. -> ({tool: [Slice]}, {tool: why it failed}, the
    parts of its CPU that the target had while it was alone)"""
    slices, failed, had = {tool: [] for tool in tools}, {}, []
    before, share = target.alone(off)
    had.append(share)
    for _ in range(rounds):
        for tool in tools:
            if tool in failed:
                continue
            try:
                slice = watch(target, tool, rate, on, place)
            except Failed as e:
                failed[tool] = str(e)
                slice = None
            time.sleep(0.05)
            after, share = target.alone(off)
            had.append(share)
            if slice:
                slice.loss, slice.loss_cpu = (1 - 2 * now / (b + a) for now, b, a in zip(slice.paces, before, after))
                slices[tool].append(slice)
            before = after
            progress()
    return slices, failed, had


# ---------------------------------------------------------------- numbers

T95 = [12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
       2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042]


def mean_ci(values):
    """-> mean, half of its 95 % confidence interval (Student's; infinite for one value)"""
    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return mean, math.inf
    t = T95[n - 2] if n - 2 < len(T95) else 1.96 + 2.5 / (n - 1)
    return mean, t * math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)


def machine(place):
    where = {"other": "kept off it", "same": "kept on it, too", "free": "free to run anywhere"}[place]
    return "%d CPUs, Linux %s; the target on CPU %d, tools %s" % (len(CPUS), os.uname().release, TARGET_CPU, where)


def quiet(had, load=0):
    """how far the numbers can be believed: whoever else ran, ran on the target's CPU too. load: that many were asked to"""
    worst = sorted(had)[len(had) // 10]
    text = "alone the target had %.1f %% of its CPU (a tenth of the time %.1f %% or less)" % (100 * sum(had) / len(had), 100 * worst)
    return text + ("; " if worst > 0.985 or load else ": the machine was NOT QUIET, do not believe these numbers; ") + \
        "load now %.1f" % os.getloadavg()[0]

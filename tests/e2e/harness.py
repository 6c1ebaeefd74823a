"""What the end-to-end tests share: programs, interpreters, victims, recordings by either engine, honest statistics.

A test script is a list of functions run by `main(...)`; each one calls `check(...)` and goes on, so that one run tells
everything that is wrong. Every wait has an end, everything that was started is ended by its pid.
"""
import atexit
import ctypes
import json
import math
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TARGETS = os.path.join(ROOT, "tests", "targets")
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import pyspy_reader  # noqa: E402
import recording  # noqa: E402
from pythons import Python, interpreters, newer, pythons, shim_of  # noqa: E402,F401: for the tests

BUILD = os.path.join(ROOT, os.environ.get("PYSPY_BUILD", "build"))
RECORD, REPORT = os.path.join(BUILD, "pyspy-record"), os.path.join(BUILD, "pyspy-report")
FULL = os.environ.get("PYSPY_FULL", "") not in ("", "0")
CPUS = sorted(os.sched_getaffinity(0))
VICTIM_CPU, RECORD_CPU = CPUS[-1], CPUS[0]
DEBUG_TARGETS = os.environ.get("PYSPY_KEEP")  # a folder: recordings are kept there


class Failure(Exception):
    pass


class Skip(Exception):
    """this case cannot be run here; the words say why"""


# ---------------------------------------------------------------- processes

_started = []
_folders = []


def _end_all():
    for p in _started:
        if p.poll() is None:
            try:
                p.send_signal(signal.SIGCONT)
                p.kill()
                p.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                pass
    for d in _folders:
        shutil.rmtree(d, ignore_errors=True)


atexit.register(_end_all)


def folder():
    d = tempfile.mkdtemp(prefix="pyspy-e2e-")
    _folders.append(d)
    return d


def start(cmd, cpu=None, env=None, **kw):
    """Popen that is ended at the exit of the test; cpu: pinned to that CPU from the start"""
    e = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONIOENCODING="utf-8", LC_ALL="C.UTF-8")
    for k in ("PYTHONPATH", "PYTHONHOME", "PYENV_VERSION"):
        e.pop(k, None)
    e.update(env or {})
    if cpu is not None and len(CPUS) > 1:
        cmd = ["taskset", "-c", str(cpu)] + list(cmd)
    p = subprocess.Popen(cmd, env=e, **kw)
    _started.append(p)
    return p


def stop(p, timeout=20):
    if p.poll() is None:
        p.kill()
        p.wait(timeout)
    for f in (p.stdout, p.stderr, p.stdin):
        if f:
            f.close()
    if p in _started:
        _started.remove(p)


class Victim:
    """a target script that prints `ready PID` (anything after it is kept) when it is where it should be"""

    def __init__(self, py, script, args=(), cpu=None, env=None, cmd=None, timeout=60, **kw):
        script = os.path.join(TARGETS, script)
        cmd = list(cmd) + [script] + [str(a) for a in args] if cmd else py.argv(script, *args)
        self.p = start(cmd, cpu=cpu, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **kw)
        line = self.line(timeout)
        w = line.split()
        if not w or w[0] != "ready":
            stop(self.p)
            raise Failure("%s with %s: said %r instead of `ready PID`" % (script, py, line))
        self.pid, self.words = int(w[1]), w[2:]

    def line(self, timeout=60):
        """one line of the victim's stdout, '' at its end"""
        out, end = b"", time.monotonic() + timeout
        fd = self.p.stdout.fileno()
        while not out.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise Failure("no line from the victim (pid %d) within %d s, got %r" % (self.p.pid, timeout, out))
            c = os.read(fd, 1)
            if not c:
                break
            out += c
        return out.decode("utf-8", "replace").rstrip("\n")

    def say(self, text):
        self.p.stdin.write((text + "\n").encode())
        self.p.stdin.flush()

    def ask(self, text, timeout=30):
        """its answer, which is JSON"""
        self.say(text)
        return json.loads(self.line(timeout))

    def alive(self):
        return self.p.poll() is None

    def stop(self):
        stop(self.p)

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.stop()


def process_state(pid, tid=None):
    """the letter of /proc/PID/task/TID/stat, or None when it has gone"""
    try:
        with open("/proc/%d/task/%d/stat" % (pid, tid or pid), "rb") as f:
            return f.read().rsplit(b")", 1)[1].split()[0].decode()
    except (OSError, IndexError):
        return None


def status_field(pid, name):
    try:
        with open("/proc/%d/status" % pid) as f:
            for line in f:
                if line.startswith(name + ":"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return None


def tids(pid):
    try:
        return sorted(int(t) for t in os.listdir("/proc/%d/task" % pid))
    except OSError:
        return []


def wait_for(what, f, timeout=30, every=0.01):
    end = time.monotonic() + timeout
    while True:
        v = f()
        if v:
            return v
        if time.monotonic() > end:
            raise Failure("not within %g s: %s" % (timeout, what))
        time.sleep(every)


# ---------------------------------------------------------------- recording

class Result:
    """what a finished recorder left: status, stderr, the file"""

    def __init__(self, path, status, stderr):
        self.path, self.status, self.stderr = path, status, stderr
        self._rec = None

    @property
    def rec(self):
        if self._rec is None:
            self._rec = pyspy_reader.read(self.path)
        return self._rec


_kernel = []  # "" or why --engine kernel does not work, once it is known


def need_kernel():
    """Skip where `--engine kernel` does not work, in the recorder's own words. With CI=true it must."""
    if not _kernel:
        p = start([(pythons() or interpreters())[0].path, "-c", "import time; time.sleep(60)"])
        got = subprocess.run([RECORD, "--engine", "kernel", "-d", "0.1", "-o", os.path.join(folder(), "x"), "-p", str(p.pid)],
                             stderr=subprocess.PIPE, timeout=60)
        stop(p)
        _kernel.append(got.stderr.decode().strip().split("\n")[-1] if got.returncode else "")
    if _kernel[0] and os.environ.get("CI") == "true":
        raise Failure("CI=true, but no kernel engine: " + _kernel[0])
    if _kernel[0]:
        raise Skip("no kernel engine here: " + _kernel[0])


def build_witness():
    """tests/targets/witness.c as a library, for targets/looks.py"""
    out = os.path.join(folder(), "witness.so")
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-o", out, os.path.join(TARGETS, "witness.c"), "-lm"], check=True, timeout=60)
    return out


def start_record(args, out, cpu=None, engine="outside", **kw):
    if not os.access(RECORD, os.X_OK):
        raise SystemExit("%s is missing: run make first (or set PYSPY_BUILD)" % RECORD)
    if engine == "kernel":
        need_kernel()
    return start([RECORD, "-o", out, "--engine", engine] + [str(a) for a in args], cpu=cpu,
                 stderr=kw.pop("stderr", subprocess.PIPE), **kw)


def finish_record(p, out, timeout, want=0):
    try:
        err = p.communicate(timeout=timeout)[1]
    except subprocess.TimeoutExpired:
        stop(p)
        raise Failure("the recorder did not end within %g s: %s" % (timeout, p.args))
    if p in _started:
        _started.remove(p)
    err = (err or b"").decode("utf-8", "replace")
    if want is not None and p.returncode != want:
        raise Failure("the recorder ended with %s, not %s: %s\n%s" % (p.returncode, want, p.args, err))
    if DEBUG_TARGETS and os.path.exists(out):
        os.makedirs(DEBUG_TARGETS, exist_ok=True)
        shutil.copy(out, os.path.join(DEBUG_TARGETS, "%d-%s" % (p.pid, os.path.basename(out))))
    return Result(out, p.returncode, err)


def record(pid, seconds, rate, args=(), cpu=None, want=0, engine="outside", gone=0.0):
    """attach for a while; the file is checked to be whole and as FORMAT.md says"""
    out = os.path.join(folder(), "x.pyspy")
    p = start_record(["-p", pid, "-d", seconds, "-r", rate] + list(args), out, cpu=cpu, engine=engine)
    r = finish_record(p, out, seconds * 3 + 60, want)
    if want == 0:
        sound(r.rec)
        if engine == "kernel":
            by_kernel(r.rec, gone)
    return r


def count(rec, number):
    """a counter of FORMAT.md 5.2"""
    return rec.counters.get(recording.COUNTERS.get(number, number), 0)


def by_kernel(rec, gone=0.0):
    """the kernel took the samples: no stop, nothing in motion, no tick, nothing torn; gone: share of the samples that may
    come to nothing, because threads or code objects were gone before they could be read"""
    c = rec.counters
    # where much goes while it is read, the target may seem to have become another program: it is looked for at a tick
    check(rec.samples and rec.ticks <= (gone > 0), "%d ticks, %d samples by the kernel engine" % (rec.ticks, rec.samples))
    for k in ("stops", "stopped_ns", "held", "uncertified"):
        check(not c.get(k), "%s: %s by the kernel engine" % (k, c.get(k)))
    bad = Counter(r.way for r in rec.runs if r.way not in (recording.KERNEL, recording.STILL) or r.weight_ns is None)
    check(not bad, "samples of other ways than the kernel's: %s" % dict(bad))
    still = sum(r.way == recording.STILL and r.state == recording.ON_CPU for r in rec.runs)
    check(not still, "%d samples stand still on a CPU" % still)
    torn = Counter(r.stack[-1].name for r in rec.runs if r.stack[-1].kind == "synthetic")
    motion = torn.pop("[in motion]", 0) + torn.pop("[lost]", 0)
    lost = Counter()
    for x in rec.lost:
        lost[recording.CAUSES[x["cause"]]] += x["count"]
    overrun = lost.pop("overrun", 0)
    check(not motion and torn["[torn]"] + sum(lost.values()) - lost["torn"] <= gone * (rec.samples + sum(lost.values())),
          "%d samples in motion, %s of %d, lost: %s, overrun %d" % (motion, dict(torn), rec.samples, dict(lost), overrun))


def sound(rec):
    """the file is what FORMAT.md says"""
    check(not rec.problems, "the recording breaks FORMAT.md: %s" % "; ".join(rec.problems[:5]))
    check(rec.closed and not rec.truncated, "the recording was not closed")
    check(rec.counters.get("samples") in (None, rec.samples), "counter says %s samples, the ticks hold %d" % (
        rec.counters.get("samples"), rec.samples))
    check(rec.counters.get("ticks") in (None, rec.ticks), "counter says %s ticks, the file holds %d" % (
        rec.counters.get("ticks"), rec.ticks))


def report(*args, **kw):
    p = subprocess.run([REPORT] + [str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=kw.pop("timeout", 120))
    if p.returncode != kw.pop("want", 0):
        raise Failure("pyspy-report %s ended with %d: %s" % (" ".join(map(str, args)), p.returncode, p.stderr.decode("utf-8", "replace")))
    return p.stdout


def raw(path, *args):
    """folded stacks of `pyspy-report raw`: {tuple of frames: count}, frames as text"""
    out = Counter()
    for line in report("raw", *args, path).decode("utf-8", "surrogateescape").split("\n"):
        if line:
            stack, n = line.rsplit(" ", 1)
            out[tuple(stack.split(";"))] += int(n)
    return out


def info(path):
    return json.loads(report("info", "--json", path).decode("utf-8", "replace"))


def motion_share(rec):
    n = rec.samples
    return sum(r.ticks for r in rec.runs if r.stack[-1] is recording.IN_MOTION) / n if n else 0.0


def cost(rec):
    """one line of numbers about a recording"""
    c, n = rec.counters, max(rec.samples, 1)
    span = (rec.blocks[-1]["end"] - rec.blocks[0]["begin"]) / 1e9 if rec.blocks else 0
    if count(rec, 24):
        return "%d samples in %.1f s (%d by tick, %d by clock, %d at switches), %d cut, %d overrun, %d failed, %d drains, CPU %.1f us/sample, %.1f bytes/sample" % (
            (rec.samples, span) + tuple(count(rec, k) for k in (19, 20, 21, 22, 23, 8, 24)) + (c.get("recorder_cpu_ns", 0) / 1e3 / n, rec.bytes / n))
    return "%d samples in %.1f s, %.2f %% in motion, %d uncertified when taken, %d stops (%.3f %% of wall, longest %.0f us, %d in a call), %d late, %d failed, CPU %.1f us/sample, %.1f bytes/sample" % (
        rec.samples, span, 100 * motion_share(rec), c.get("uncertified", 0), c.get("stops", 0),
        100 * c.get("stopped_ns", 0) / 1e9 / max(span, 1e-9), c.get("longest_stop_ns", 0) / 1e3, c.get("stops_in_syscall", 0),
        c.get("late", 0), c.get("reads_failed", 0), c.get("recorder_cpu_ns", 0) / 1e3 / n, rec.bytes / n)


# ---------------------------------------------------------------- statistics

def normal_quantile(p):
    """x with P(N > x) = p, by bisection on erfc"""
    lo, hi = 0.0, 40.0
    for _ in range(100):
        mid = (lo + hi) / 2
        if 0.5 * math.erfc(mid / math.sqrt(2)) > p:
            lo = mid
        else:
            hi = mid
    return lo


class Shares:
    """Observed against true shares, judged all together: a false alarm in any of them has probability `alarm`.

    The target's log tells what it did at every moment, so each sample is held against the truth of its own moment: chance,
    the machine's other work, and where the samples fell short do not matter. What remains is the error of the method: a
    sample's clock and its reading are some time apart. The recording is cut into `batches` pieces, and the spread of the
    pieces' differences measures that error.
    Samples in motion below a certain part that may hide the function (`hidden`) count for neither side: observed must not
    exceed the truth, observed and hidden together must not fall short of it.
    """

    def __init__(self, alarm=1e-5):
        self.alarm, self.rows = alarm, []

    def add(self, name, samples, hit, hidden, truth, extra=0.0, batches=100):
        """samples: (time, anything) in the order of time; hit, hidden: of one sample; truth(time) -> share of the time around
        that moment, None = not known; extra: what the target's own clock is not sure of (absolute)"""
        rows = [(1 if hit(s) else 0, 1 if hidden(s) else 0, truth(s[0])) for s in samples]
        rows = [r for r in rows if r[2] is not None]
        n = len(rows)
        if n < 200:
            raise Failure("%s: only %d samples" % (name, n))
        batches = max(4, min(batches, n // 40))
        parts = [rows[n * b // batches:n * (b + 1) // batches] for b in range(batches)]
        high = [sum(r[0] - r[2] for r in part) for part in parts]
        low = [sum(r[0] + r[1] - r[2] for r in part) for part in parts]
        got, hid, true = (sum(r[k] for r in rows) for k in range(3))

        def error(d):
            m = sum(d) / len(d)
            return math.sqrt(len(d) * sum((x - m) ** 2 for x in d) / (len(d) - 1)) / n
        self.rows.append((name, got / n, hid / n, true / n, error(high), error(low), sum(high) / n, sum(low) / n, extra, batches))

    def judge(self):
        k = max(len(self.rows), 1)
        bad = []
        for name, got, hid, true, se_high, se_low, d_high, d_low, extra, batches in self.rows:
            z = normal_quantile(self.alarm / 2 / k)
            nu = batches - 1  # Student's tail for a measured variance (Cornish-Fisher)
            t = z + (z ** 3 + z) / (4 * nu) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * nu ** 2)
            over, under = t * se_high + extra, t * se_low + extra
            ok = d_high <= over and d_low >= -under
            print("    %-40s observed %6.2f %% (+ %5.2f %% in motion)  true %6.2f %%  allowed -%.2f +%.2f%s" % (
                name, 100 * got, 100 * hid, 100 * true, 100 * under, 100 * over, "" if ok else "   WRONG"))
            if not ok:
                bad.append("%s: observed %.2f %% and %.2f %% in motion, true %.2f %%, allowed -%.2f +%.2f" % (
                    name, 100 * got, 100 * hid, 100 * true, 100 * under, 100 * over))
        return bad


# ---------------------------------------------------------------- the run

_failed = []
_where = [""]


def check(ok, text):
    if not ok:
        _failed.append("%s: %s" % (_where[0], text))
        print("  FAILED %s: %s" % (_where[0], text), flush=True)
    return ok


def note(text):
    print("  %s: %s" % (_where[0], text), flush=True)


def main(cases):
    """cases: (name, function, arguments...). All are run; the exit status tells whether all held."""
    begin = time.monotonic()
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    ran, skipped, why = 0, 0, ""
    for case in cases:
        name, f, args = case[0], case[1], case[2:]
        if pattern and not re.search(pattern, name):
            continue
        _where[0], t = name, time.monotonic()
        ran += 1
        try:
            f(*args)
        except Skip as e:
            skipped, why = skipped + 1, str(e)
            note("skipped: " + why)
        except Failure as e:
            check(False, str(e))
        except Exception as e:  # a mistake in the test, or a file that cannot be read: both are failures
            import traceback
            traceback.print_exc()
            check(False, "%s: %s" % (type(e).__name__, e))
        print("  %s: %.1f s" % (name, time.monotonic() - t), flush=True)
    if not ran:
        raise SystemExit("no case matches %r" % pattern)
    print("%s: %d cases, %d failures, %.0f s" % (os.path.basename(sys.argv[0]), ran - skipped, len(_failed), time.monotonic() - begin))
    for f in _failed[:30]:
        print("FAILED " + f)
    if skipped:
        print("%d of %d cases skipped: %s" % (skipped, ran, why))
    sys.exit(1 if _failed else 77 if skipped == ran else 0)

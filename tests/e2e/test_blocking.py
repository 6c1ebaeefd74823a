# serial
# What the recorder does to a target's threads: whom it stops (--blocking and the others), that it never writes, and that
# samples taken by stops say so.
import os
from collections import Counter

import harness as h
import recording
import touches
from pythons import HOST

SECONDS = 5 if h.FULL else 0.6


def goes_on(pid):
    """nobody traces a thread, none is stopped"""
    def field(t, name):
        try:
            with open("/proc/%d/task/%d/status" % (pid, t)) as f:
                return next(line.split()[1] for line in f if line.startswith(name))
        except OSError:
            return ""
    h.wait_for("no tracer, no stopped thread", lambda: all(field(t, "TracerPid:") in ("0", "") and field(t, "State:") not in ("t", "T") for t in h.tids(pid)), 5, 0.001)


def touched(py):
    """a thread that works and eight that sleep: by no way is the target written to, and only by stops the worker stopped"""
    touches.need_strace()
    with h.Victim(py, "oneworks.py", cpu=h.VICTIM_CPU) as v:
        sleepers = set(h.tids(v.pid)) - {v.pid}
        h.check(len(sleepers) == 9, "%d threads sleep" % len(sleepers))
        modes = [("outside", ["-r", 1000]), ("outside", ["-r", 1000, "--nonblocking"]), ("outside", ["-r", 1000, "--max-stop", 50]),
                 ("outside", ["-r", 1000, "--blocking"]), ("kernel", ["-r", 1000])]
        for engine, args in modes:
            what = "%s %s" % (engine, " ".join(map(str, args)))
            try:
                r, t = touches.watch(v.pid, SECONDS, args, engine)
            except h.Skip as e:
                h.note("%s: skipped: %s" % (what, e))
                continue
            stopped, c = t.asked_to_stop(), r.rec.counters
            h.check(not t.wrong, "%s: %d calls that change the target: %s" % (what, len(t.wrong), t.wrong[:3]))
            h.check(not stopped & sleepers, "%s: sleeping threads %s were asked to stop" % (what, sorted(stopped & sleepers)))
            h.check(stopped <= {v.pid}, "%s: threads %s were asked to stop" % (what, sorted(stopped)))
            if engine == "kernel" or "--nonblocking" in args:
                h.check(not t.ptraced and not c.get("stops"), "%s: it stops threads: %s" % (what, t.ptraced))
            if "--blocking" in args:
                h.check(stopped == {v.pid}, "--blocking asked %s to stop" % stopped)
                h.check(t.ptraced[v.pid]["PTRACE_DETACH"] >= c["stops"] > 5, "%s for %d stops" % (t.ptraced, c["stops"]))
            h.check(t.calls > 10, "%s: strace saw %d calls" % (what, t.calls))
            ways = Counter()
            for run in r.rec.runs:
                ways[run.info["tid"] == v.pid, run.way] += run.ticks
            h.check(engine == "kernel" or not {w for own, w in ways if not own} - {recording.STILL}, "%s: ways of sleepers: %s" % (what, ways))
            h.note("%s: %d calls, stops of %s, %s" % (what, t.calls, sorted(stopped) or "nobody", dict(t.ptraced.get(v.pid, {}))))
        goes_on(v.pid)


# each line changes the process PID in a way that `touches` must see
CHANGES = """
import ctypes, os
c = ctypes.CDLL(None, use_errno=True)
u = ctypes.c_ulong
os.close(os.open("/proc/PID/mem", os.O_RDWR))
open("/proc/PID/task/PID/comm", "w").close()
c.process_vm_writev(PID, None, u(0), None, u(0), u(0))
os.kill(PID, 0)
os.sched_setaffinity(PID, os.sched_getaffinity(PID))
c.ptrace(0x4206, PID, None, None), c.ptrace(0x4207, PID, None, None); os.waitpid(PID, 0x40000000); c.ptrace(4, PID, None, None), c.ptrace(17, PID, None, None)
"""


def seen_by_strace(py):
    """the judge of the case before sees what it should see"""
    touches.need_strace()
    log = os.path.join(h.folder(), "strace")
    with h.Victim(py, "oneworks.py") as v:
        p = h.start(touches.strace([h.pythons()[0].path, "-c", CHANGES.replace("PID", str(v.pid))], log), stderr=h.subprocess.PIPE)
        p.wait(30)
        t = touches.Touches(log, v.pid)
        calls = [w.split("(")[0].split()[-1] for w in t.wrong]
        want = Counter({"openat": 2, "process_vm_writev": 1, "kill": 1, "sched_setaffinity": 1, "ptrace": 1})
        h.check(not want - Counter(calls), "of what it did %s was seen; %s" % (calls, p.stderr.read()[-500:]))


def program():
    """nor does our program in the kernel write to anybody's memory: it never calls bpf_probe_write_user (36), nor sends
    signals (109, 117), nor changes what a call returns (58)"""
    h.need_kernel()
    calls = touches.helpers(os.path.join(h.BUILD, "obj", "pyspy-record", "kernel", "sample.bpf.o"))
    h.check(calls[112] + calls[4] and not {36, 58, 109, 117} & set(calls), "its calls: %s" % calls)  # it reads: bpf_probe_read_user


def samples(py):
    """each running thread's sample was taken while it was stopped, and is certain; info and the views say so"""
    with h.Victim(py, "colours.py", ["tree", 2, h.folder()], cpu=h.VICTIM_CPU) as v:
        out = os.path.join(h.folder(), "b.pyspy")
        p = h.start([h.RECORD, "-o", out, "-p", str(v.pid), "-d", str(2 * SECONDS), "-r", "500", "--blocking"], cpu=h.RECORD_CPU, stderr=h.subprocess.PIPE)
        r = h.finish_record(p, out, 60)
        goes_on(v.pid)
    h.sound(r.rec)
    ways = Counter()
    for run in r.rec.runs:
        torn = run.stack[-1].kind == "synthetic" and run.stack[-1].name not in ("[no Python frame]",)
        ways["torn" if torn else (run.way, run.state in (recording.SLEEPING, recording.DISK))] += run.ticks
    n, c = r.rec.samples, r.rec.counters
    torn = ways.pop("torn", 0)
    h.check(torn <= 0.01 * n, "%d of %d samples have no stack" % (torn, n))
    h.check(not set(ways) - {(recording.STOPPED_FOR, False), (recording.STILL, True)}, "ways: %s" % ways)
    stopped = ways[recording.STOPPED_FOR, False]
    h.check(stopped > 5 and c["stops"] >= stopped, "%d samples by %d stops" % (stopped, c["stops"]))
    h.check(r.rec.note("pyspy.engine").startswith("outside: each running thread is stopped"), "engine %r" % r.rec.note("pyspy.engine"))
    info = h.info(out)
    s, mine = info["recordings"][0]["stops"], r.rec.stop_lengths
    h.check(s["count"] == c["stops"] == sum(mine.values()), "%s stops, %s by length" % (s, sum(mine.values())))
    h.check(0 < s["median_ns"] <= s["p99_ns"] <= s["longest_ns"] <= s["total_ns"], "stops: %s" % s)
    lower = lambda b: (8 + b % 8) << (7 + b // 8)  # noqa: E731: FORMAT.md 5.2
    for q, ns in (0.5, s["median_ns"]), (0.99, s["p99_ns"]):
        below = sum(k for b, k in mine.items() if lower(b + 1) <= ns)
        upto = sum(k for b, k in mine.items() if lower(b) <= ns)
        h.check(below <= q * c["stops"] + 1e-9 and (upto >= q * c["stops"] - 1e-9), "%g of %d stops at %d ns: %s" % (q, c["stops"], ns, mine))
    h.check(b"taken by stops (biased" in h.report("top", out), "top says nothing of stops")
    h.note("%s; median %.0f us, p99 %.0f us, %s unstopped" % (h.cost(r.rec), s["median_ns"] / 1e3, s["p99_ns"] / 1e3,
                                                              sum(x["count"] for x in r.rec.lost if recording.CAUSES[x["cause"]] == "unstopped")))


def warned(py):
    """a version that does not try interrupted calls again is stopped when asked for, and it is said what that may do"""
    with h.Victim(py, "oneworks.py", cpu=h.VICTIM_CPU) as v:
        out = os.path.join(h.folder(), "b.pyspy")
        p = h.start([h.RECORD, "-o", out, "-p", str(v.pid), "-d", str(SECONDS), "--blocking"], cpu=h.RECORD_CPU, stderr=h.subprocess.PIPE)
        r = h.finish_record(p, out, 60)
        h.sound(r.rec)
        h.check(r.rec.counters.get("stops"), "no stops")
        said = [line for line in r.stderr.split("\n") if "EINTR" in line]
        h.check(len(said) == 1 and "does not try interrupted system calls again" in said[0], "it says %r" % r.stderr)
        goes_on(v.pid)


def traced(py):
    """another tracer is there: nothing hangs, it is said, and what sleeps is seen"""
    touches.need_strace()
    with h.Victim(py, "oneworks.py", cpu=h.VICTIM_CPU) as v:
        s = h.start(["strace", "-f", "-qq", "-e", "trace=none", "-o", os.devnull, "-p", str(v.pid)])
        h.wait_for("strace", lambda: h.status_field(v.pid, "TracerPid") == str(s.pid), 10)
        out = os.path.join(h.folder(), "b.pyspy")
        p = h.start([h.RECORD, "-o", out, "-p", str(v.pid), "-d", str(SECONDS), "--blocking"], cpu=h.RECORD_CPU, stderr=h.subprocess.PIPE)
        r = h.finish_record(p, out, 60)
        h.sound(r.rec)
        h.check("another program traces it" in r.stderr, "it says %r" % r.stderr)
        lost = Counter()
        for x in r.rec.lost:
            lost[recording.CAUSES[x["cause"]]] += x["count"]
        h.check(lost["unstopped"] and not r.rec.counters.get("stops"), "lost %s, %s stops" % (lost, r.rec.counters.get("stops")))
        h.check({run.info["tid"] for run in r.rec.runs} == set(h.tids(v.pid)) - {v.pid}, "threads seen: %s" % Counter(run.info["tid"] for run in r.rec.runs))
        h.stop(s)


few = h.pythons() if h.FULL else [p for p in h.pythons(one_per_minor=True) if p.minor == 13][:1] or h.pythons()[:1]
cases = []
for py in few:
    cases.append(("touched %s" % py, touched, py))
    cases.append(("samples %s" % py, samples, py))
    cases.append(("traced %s" % py, traced, py))
cases.append(("program", program))
cases.append(("seen by strace %s" % few[0], seen_by_strace, few[0]))
for py in h.interpreters(((2, 7),), ("release",), HOST, not h.FULL):
    cases.append(("warned %s" % py, warned, py))

if __name__ == "__main__":
    h.main(cases)

# serial
# (j) An event loop that polls and now and then waits, beside the kernel's own account of its system calls. (Beside the
# program's own clock, and py-spy: test_truth_leaves.py.)
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter

import accounts
import harness as h
import recording

SECONDS = 8.0 if h.FULL else 2.5
LATE_SECONDS = 8.0 if h.FULL else 1.5


def is_select(run):
    return run.stack[-1].name == "EpollSelector.select"


def run_delay(pid):
    """seconds that the main thread was ready to run and waited for a CPU"""
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[1]) / 1e9


def in_epoll(what, command, pid, pattern):
    """what a tracer of system calls says: share of its time in epoll_wait. It slows every call down: for people, and as a bound"""
    if not shutil.which(command[0]):
        return "%s: not here" % what
    begin = time.monotonic()
    p = h.start(command + [str(pid)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(1.5)
    p.send_signal(signal.SIGINT)
    text = p.communicate(timeout=20)[0].decode("utf-8", "replace")
    took = time.monotonic() - begin
    h.stop(p)
    m = re.search(pattern, text, re.M)
    if not m:
        return "%s: no answer" % what
    seconds, calls = float(m.group("time")) * (1e-3 if what == "perf trace" else 1), int(m.group("calls"))
    return "%s %.1f %% (%d calls)" % (what, 100 * seconds / took, calls)


def recorded(pid, rate):
    """as accounts.record, but what is lost is bounded, not forbidden: this program maps and unmaps memory all the time. And 3.12.1,
    as it is compiled here, hangs a new cframe into the thread state 30 instructions before it says anything of it
    (_PyEval_EvalFrameDefault): who is met there has no beginning. Seen: 0.9 in a recording of 2,400 samples"""
    out = os.path.join(h.folder(), "a.pyspy")
    account = accounts.Account(pid)
    p = h.start_record(["-p", pid, "-d", SECONDS, "-r", rate], out, cpu=h.RECORD_CPU, engine="kernel")
    rec = h.finish_record(p, out, SECONDS * 3 + 60).rec
    account.close()
    h.sound(rec)
    lost = Counter(recording.CAUSES[x["cause"]] for x in rec.lost for _ in range(x["count"]))
    h.note("%s; lost %s" % (h.cost(rec), dict(lost)))
    h.check(not set(lost) - {"unreadable", "torn"} and sum(lost.values()) <= 4 + rec.samples / 600, "lost %s of %d" % (dict(lost), rec.samples))
    h.check(not rec.ticks and rec.timed, "%d ticks by the kernel engine" % rec.ticks)
    return account, rec


def loop(py, rate, shape):
    with h.Victim(py, "polling.py", [shape], cpu=h.VICTIM_CPU) as v:
        def ask():
            v.say("so far?")
            return Counter(json.loads(v.line(30)))
        before, delay = ask(), run_delay(v.pid)
        account, rec = recorded(v.pid, rate)
        spent = ask()
        spent.subtract(before)
        delay = run_delay(v.pid) - delay
        tracers = [in_epoll("strace -c -w", ["strace", "-c", "-w", "-p"], v.pid, r"^ *[\d.]+ +(?P<time>[\d.]+) +\d+ +(?P<calls>\d+) +epoll_wait"),
                   in_epoll("perf trace", ["perf", "trace", "-s", "-p"], v.pid, r"^ *epoll_wait +(?P<calls>\d+) +\d+ +(?P<time>[\d.]+)")]
        h.check(v.alive(), "the target ended")
    first, last = accounts.span(rec)
    main = [r for r in rec.runs if r.info["tid"] == v.pid]
    ns, select_ns = Counter(), Counter()
    for r in main:
        ns[r.state] += r.ns / 1e9
        select_ns[r.state] += r.ns / 1e9 * is_select(r)
    wall = sum(ns.values())
    h.note("share of wall time in select %.1f %% (of CPU time %.1f %%); the program's clock around it: %.1f %%; in epoll_wait, when traced: %s" % (
        100 * sum(select_ns.values()) / wall, 100 * select_ns[recording.ON_CPU] / max(ns[recording.ON_CPU], 1e-9), 100 * spent["select"] / spent["wall"], ", ".join(tracers)))
    used, asleep = account.used(first, last, v.pid), ns[recording.SLEEPING]
    elsewhere = asleep - select_ns[recording.SLEEPING]
    h.note("asleep %.3f s, of these in select %.3f s; waits for memory's locks %.3f s; ready %.3f s (schedstat: %.3f s); on a CPU %.3f s, the kernel says %.3f .. %.3f of %.3f s" % (
        asleep, select_ns[recording.SLEEPING], ns[recording.DISK], ns[recording.RUNNABLE], delay, ns[recording.ON_CPU], used[0], used[1], last - first))
    h.check(0.99 * used[0] <= ns[recording.ON_CPU] <= 1.01 * used[1], "%.4f s on a CPU, the kernel says %.4f .. %.4f" % ((ns[recording.ON_CPU],) + used))
    # nothing else sleeps in this program; after a sleep of no length it may wait for its CPU, which counts as sleep
    h.check(elsewhere <= 0.02 * asleep + max(0, delay - ns[recording.RUNNABLE]) + 0.001, "asleep for %.4f s, in select %.4f s" % (asleep, select_ns[recording.SLEEPING]))
    if shape == "waits":
        h.check(select_ns[recording.SLEEPING] > 0, "it never sleeps in select")
    # more than the program's own clock around the selector says it cannot be
    own, se = spent["select"] / spent["wall"], accounts.share(main, is_select)[1]
    h.check(sum(select_ns.values()) / wall <= own + 5 * se + 0.03, "select %.1f %%, the program's clock says %.1f %%" % (100 * sum(select_ns.values()) / wall, 100 * own))


def read_late(py):
    """The loop's reads map and unmap their buffers. A recorder on another CPU that reads memory meanwhile waits, and sees what the
    program does some time after that: nothing may have more samples than it has of the time."""
    with h.Victim(py, "polling.py", ["polls", h.build_witness()], cpu=h.VICTIM_CPU) as v:
        def witness():
            v.say("witness %g 60 %d" % (LATE_SECONDS, h.RECORD_CPU))
            return Counter(json.loads(v.line(LATE_SECONDS * 3 + 30)))
        seen = witness()
        rec = h.record(v.pid, 2 * LATE_SECONDS, 10000, cpu=h.RECORD_CPU).rec
        seen += witness()
    n = Counter()
    for r in rec.runs:
        if r.info["tid"] == v.pid:
            n[r.stack[-1].name] += r.ticks
    h.check(sum(n.values()) >= 2000, "%d samples" % sum(n.values()))
    for name in ("EpollSelector.select", "Timed.select"):
        got, true = n[name] / sum(n.values()), seen[name] / sum(seen.values())
        error = (got * (1 - got) / sum(n.values()) + true * (1 - true) / sum(seen.values())) ** 0.5
        told = "%s: %.2f %% of %d samples, the witness says %.2f %% of %d looks" % (name, 100 * got, sum(n.values()), 100 * true, sum(seen.values()))
        h.check(got <= true + 0.004 + 4 * error, told)
        h.note(told)
    h.note("in motion: %.0f %%" % (100 * n[recording.IN_MOTION.name] / sum(n.values())))


cases = [("read from another CPU %s" % py, read_late, py) for py in h.pythons(one_per_minor=True) if py.minor in (11, 12, 13) and (h.FULL or py.minor == 13)]
for py in h.pythons(one_per_minor=True):
    for rate, shape in (1000, "waits"), (100, "waits"), (1000, "polls"):
        if h.FULL or (py.minor, rate, shape) == (12, 1000, "waits"):
            cases.append(("event loop that %s %s, %d Hz" % (shape, py, rate), loop, py, rate, shape))

if __name__ == "__main__":
    h.main(cases)

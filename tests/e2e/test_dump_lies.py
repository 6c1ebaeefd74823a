# parallel
# `pyspy-record dump` of what ends, becomes something else, forks, or lies, while it is read: it ends soon, uses little, and shows the rest.
import json
import os
import random
import resource
import subprocess
import time
from collections import Counter

import harness as h

HOWS = "circle pair wild code names lines slots threads active modules storm".split()


def dump(pid, *args, timeout=30):
    """(exit status, standard output, what it said), and a check that these fit each other"""
    p = subprocess.Popen([h.RECORD, "dump", "-p", str(pid)] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)))
    out, err = p.communicate(timeout=timeout)
    h.check(p.returncode in (0, 1), "dump %s: exit status %d, %s" % (args, p.returncode, err[-300:]))
    h.check(p.returncode == 0 or (not out and err.count(b"\n") == 1), "dump %s: %s %s" % (args, out[-200:], err[-300:]))
    if p.returncode == 0 and "--json" in args:
        json.loads(out.decode())
    return p.returncode, out.decode(), err.decode()


def shown(pid, *args):
    status, out, err = dump(pid, "--json", *args)
    return json.loads(out) if status == 0 else None


def lies(py, hows):
    for how in hows:
        with h.Victim(py, "lying.py", [how]) as v:
            for args in (["-l", "--tasks"], ["-lll"], ["--nonblocking", "-ll"])[:3 if h.FULL else 1]:
                begin = time.monotonic()
                d = shown(v.pid, *args)
                took = time.monotonic() - begin
                h.check(took < 12, "%s %s: %.1f s" % (how, args, took))
                if not h.check(d, "%s %s: no dump" % (how, args)):
                    continue
                main = [t for t in d["threads"] if t["tid"] == v.pid]
                frames = [f["name"] for t in main for f in t["frames"]]
                h.check("main_waits" in frames, "%s %s: the main thread: %s" % (how, args, frames))
                honest = [x["repr"] for t in main for f in t["frames"] if f["name"] == "main_waits" for x in f["locals"] or [] if x["name"] == "honest"]
                h.check(honest == ["'honest'"] or how == "storm", "%s %s: %s" % (how, args, honest))
                h.check(len(d["threads"]) <= 3 and sum(len(t["frames"]) for t in d["threads"]) < 70000, "%s %s: %d threads" % (how, args, len(d["threads"])))
                h.check(how == "storm" or not h.FULL or d["stops"]["longest_ns"] < 10e6, "%s %s: it stood for %.1f ms" % (how, args, d["stops"]["longest_ns"] / 1e6))
                if how in ("circle", "pair", "wild"):
                    liar = [t for t in d["threads"] if t["tid"] != v.pid]
                    h.check(not liar or liar[0]["torn"] or liar[0]["cut"] or len(liar[0]["frames"]) <= 3, "%s %s: an impossible stack: %s" % (how, args, [f["name"] for f in liar[0]["frames"]]))
            h.check(v.alive(), "%s: the target has ended" % how)
    h.note(" ".join(hows))


def ending(py, times):
    """programs that end at any moment of the dump"""
    statuses = Counter()
    for i in range(times):
        # a frame with something to read, and threads; it ends after some ms
        p = h.start([py.path, "-c", "import threading, time; [threading.Thread(target=time.sleep, args=(9,), daemon=True).start() for i in range(3)]\nx = list(range(1000)); time.sleep(%f)" % random.uniform(0, 0.06)],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0.005, 0.08))
        status, out, err = dump(p.pid, *random.choice((["--json", "-l"], ["-lll"], ["--json", "-s", "--tasks"], [])))
        statuses[status if status == 0 else err.split(": ", 2)[-1].strip()[:60]] += 1
        h.stop(p)
    h.note("%s" % dict(statuses))


CHANGING = """
import os, sys, time
n = int(sys.argv[1]) + 1
if n == 1: print("ready", os.getpid()); sys.stdout.flush()
t = time.time()
while time.time() - t < 0.01: pass
what = [sys.executable, sys.argv[0], str(n)] if n % 3 else ["/bin/sh", "-c", "sleep 0.01; exec '%s' '%s' %d" % (sys.executable, sys.argv[0], n)]
os.execv(what[0], what)
"""

FORKING = """
import os, signal, sys, threading, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def run():
    while True:
        if os.fork() == 0:
            time.sleep(0.01)
            os._exit(0)
        time.sleep(0.002)
threading.Thread(target=run, daemon=True).start()
print("ready", os.getpid()); sys.stdout.flush()
while True:
    threading.Thread(target=time.sleep, args=(0.001,)).start()
"""


def written(source):
    path = os.path.join(h.folder(), "victim.py")
    with open(path, "w") as f:
        f.write(source)
    return path


def changing(py, times):
    """execve() again and again, into Python and into a shell"""
    statuses = Counter()
    with h.Victim(py, written(CHANGING), ["0"]) as v:
        for i in range(times):
            begin = time.monotonic()
            status, out, err = dump(v.pid, *(["--json", "-l"], ["--tasks"], ["-s", "--json"])[i % 3])
            statuses[status if status == 0 else err.split(": ", 2)[-1].strip()[:60]] += 1
            h.check(time.monotonic() - begin < 10, "%.1f s" % (time.monotonic() - begin))
        h.check(v.alive() and h.status_field(v.pid, "TracerPid") == "0", "the target has ended, or is traced")
    h.check(statuses[0] >= 1, "%s" % dict(statuses))
    h.note("%s" % dict(statuses))


def forking(py, times):
    with h.Victim(py, written(FORKING)) as v:
        children = threads = 0
        for i in range(times):
            d = shown(v.pid, "-s", *(["-l"] if i % 2 else []))
            h.check(d and d["threads"], "no dump: %s" % d)
            children += len(d["children"]) if d else 0
            threads += len(d["threads"]) if d else 0
        h.check(v.alive() and h.status_field(v.pid, "TracerPid") == "0", "the target has ended, or is traced")
        h.note("%d dumps: %d threads, %d children" % (times, threads, children))


cases = []
for py in h.interpreters() if h.FULL else h.interpreters(one_per_minor=True):
    if py.version >= (3, 8) and "musl" not in str(py) and (h.FULL or py.version[:2] in ((3, 10), (3, 14))):
        cases.append(("lies %s" % py, lies, py, HOWS if h.FULL else random.sample(HOWS, 4) + ["circle"]))
for py in h.pythons(one_per_minor=True)[-1:]:
    cases += [("ending %s" % py, ending, py, 150 if h.FULL else 6), ("changing %s" % py, changing, py, 60 if h.FULL else 4), ("forking %s" % py, forking, py, 60 if h.FULL else 3)]

if __name__ == "__main__":
    h.main(cases)

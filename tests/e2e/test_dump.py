# serial
# `pyspy-record dump`: against the interpreter's own word, at one moment, and without harm.
import json
import os
import re
import signal
import subprocess
import time
from collections import Counter, namedtuple

import harness as h
import test_truth_parked as parked
from pythons import HOST

RECORD = os.environ["PYSPY_BUILD"] + "/pyspy-record"
Frame = namedtuple("Frame", "kind name module file first line end_line col end_col")


def dump(*args, want=0, env=None, timeout=30):
    p = subprocess.run([RECORD, "dump"] + [str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, env=env and dict(os.environ, **env))
    h.check(p.returncode == want, "dump %s: exit status %d, %s" % (args, p.returncode, p.stderr[-300:]))
    return p.stdout.decode(), p.stderr.decode()


def dumped(*args, **kw):
    return json.loads(dump("--json", *args, **kw)[0])


def plain(text):
    """JSON cannot hold lone surrogates"""
    return re.sub("[\ud800-\udfff]", "\ufffd", text) if isinstance(text, str) else text


def truth(py, engine=None):
    """all that threads parked in every kind of call say of themselves"""
    where = py.folder()
    with h.Victim(py, "parked.py", timeout=150) as v:
        before = parked.snap(v, where)
        d = dumped("-p", v.pid)
        after = parked.snap(v, where)
        if before["threads"] != after["threads"]:
            raise h.Failure("the threads moved between the two truths: the test proves nothing")
        text = dump("-p", v.pid, "--full-filenames")[0]
    got = {t["tid"]: t for t in d["threads"]}
    h.check(set(got) == {t["tid"] for t in after["threads"]}, "threads %s, truth %s" % (sorted(got), sorted(t["tid"] for t in after["threads"])))
    differences, frames = Counter(), 0
    for t in after["threads"]:
        if t["oracle"] or t["tid"] not in got:
            continue
        g = got[t["tid"]]
        stack = [Frame("python", f["name"], f["module"], f["file"], f["first_line"], f["line"], f["end_line"], f["column"], f["end_column"]) for f in reversed(g["frames"])]
        wrong = parked.stack_difference(stack, [[plain(x) for x in f] for f in t["frames"]])
        frames += len(stack)
        if not wrong and (g["state"] != "sleeping" or g["active"] or g["holds_gil"] or not g["certain"] or g["cut"] or g["torn"]):
            wrong = "flags %s" % {k: v for k, v in g.items() if k != "frames"}
        if not wrong and t["name"] is not None and t["name"] != "" and g["name"] != plain(t["name"]):
            wrong = "name %r, truth %r" % (g["name"], t["name"])
        if wrong:
            differences[wrong[:30]] += 1
            if len(differences) < 5:
                h.check(False, "%s: %s" % (t["case"], wrong))
    h.check(not d["stops"]["count"], "%s, and every thread slept" % d["stops"])
    h.check(d["threads"][0]["tid"] == v.pid, "the main thread does not come first")
    facts = after["process"]
    h.check(d["command"] == [plain(x) for x in facts["cmdline"]] and d["python_version"] == facts["version"].split()[0].rstrip("+"), "%s %s" % (d["command"], d["python_version"]))
    # the text: the same frames, innermost first
    shown = [line for line in text.split("\n") if line.startswith("    ")]
    want = sum(len(t["frames"]) or 1 for t in d["threads"])
    h.check(len(shown) == want, "%d lines of frames in the text, %d in the JSON" % (len(shown), want))
    h.note("%d threads, %d frames: %d differences" % (len(got), frames, sum(differences.values())))


def one_moment(py, n, times):
    """threads in step: no picture shows two of them a phase apart and more, and one has the GIL"""
    holders, wrong, uncertain, stops, longest, long = Counter(), [], 0, 0, 0, 0
    with h.Victim(py, "phases.py", [n]) as v:
        for i in range(times):
            d = dumped("-p", v.pid)
            runners = [t for t in d["threads"] if t["name"].startswith("runner")]
            h.check(len(runners) == n, "%d of %d threads" % (len(runners), n))
            uncertain += sum(not t["certain"] for t in runners)
            stops += d["stops"]["count"]
            longest = max(longest, d["stops"]["longest_ns"])
            long += d["stops"]["longest_ns"] >= 10e6
            holders[sum(t["holds_gil"] for t in d["threads"])] += 1
            phases = set()
            for t in runners:
                names = [f["name"] for f in reversed(t["frames"])]
                inner = [x for x in names if x.startswith("phase_")]
                h.check(len(inner) <= 1 and "run" in names, "impossible stack %s" % names)
                phases.update(int(x[-1]) for x in inner)
            apart = len(phases) > 2 or (len(phases) == 2 and (max(phases) - min(phases)) % 5 not in (1, 4))
            if apart:
                wrong.append(sorted(phases))
        h.check(v.alive(), "the target has ended")
        h.check(h.status_field(v.pid, "TracerPid") == "0", "it is traced still")
    h.check(not wrong, "%d of %d pictures are of several moments: %s" % (len(wrong), times, wrong[:5]))
    # without a GIL each one that runs is to be stopped: where it gets no CPU meanwhile it does not come to rest
    h.check(uncertain <= (0.2 * n * times if py.free_threaded else 0), "%d stacks are not certain" % uncertain)
    if not py.free_threaded:
        # a host that takes our CPU away while a thread stands makes a long one: that is seldom
        h.check(long <= 0.05 * times, "in %d of %d pictures a thread stood for 10 ms and more, the longest %.1f ms" % (long, times, longest / 1e6))
        h.check(set(holders) <= {0, 1} and holders[1] >= 0.7 * times, "holders of the GIL: %s" % dict(holders))
    h.note("%d pictures of %d threads: holders %s, %d stops, the longest %d us" % (times, n, dict(holders), stops, longest // 1000))


def looking(py):
    """--nonblocking, and a Python whose interrupted calls fail: nobody is stopped"""
    with h.Victim(py, "phases.py", [2]) as v:
        for args in ([], ["--nonblocking"])[py.version >= (3, 5):]:
            d = dumped("-p", v.pid, *args)
            h.check(not d["stops"]["count"] and not d["stops"]["allowed"], "%s" % d["stops"])
            h.check(len(d["threads"]) == 3, "%d threads" % len(d["threads"]))
            sleeper = d["threads"][0]
            h.check(sleeper["certain"] and not sleeper["active"], "the thread that sleeps: %s" % sleeper)
        h.note("certain: %s" % [t["certain"] for t in d["threads"]])


CHILDREN = """
import subprocess, sys, time
deeper = len(sys.argv) > 1
quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
ps = [subprocess.Popen(["sleep", "100"], **quiet), subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], **quiet)]
if not deeper:
    ps.append(subprocess.Popen([sys.executable, sys.argv[0], "deeper"], **dict(quiet, stdin=subprocess.PIPE)))
print("ready", __import__("os").getpid(), *[p.pid for p in ps])
sys.stdout.flush()
time.sleep(0.6)
sys.stdin.read()
for p in ps: p.kill()
"""


def children(py):
    script = os.path.join(h.folder(), "children.py")
    with open(script, "w") as f:
        f.write(CHILDREN)
    with h.Victim(py, script) as v:
        pids = [int(w) for w in v.words]
        def complete():
            d = dumped("-s", "-p", v.pid)
            by = {c["pid"]: c for c in d["children"]}
            return set(by) == set(pids) and by[pids[1]]["is_python"] and by[pids[1]]["threads"] and len(by[pids[2]]["children"]) == 2 and d
        h.wait_for("all children", complete, 10)
        d = complete()
        by = {c["pid"]: c for c in d["children"]}
        h.check(not by[pids[0]]["is_python"] and by[pids[0]]["command"] == ["sleep", "100"] and by[pids[0]]["threads"] == [], "%s" % by[pids[0]])
        grand = by[pids[2]]["children"]
        h.check([c["is_python"] for c in grand] == [False, True], "children of a child: %s" % grand)
        text = dump("-s", "-p", v.pid)[0]
        h.check(text.count("\nProcess ") == 5 and re.search(r"(?m)^Process %d: sleep 100: it is not Python$" % pids[0], text), text)
        h.check("\x1b" not in text and "\x1b[" in dump("--color", "always", "-p", v.pid)[0] and "\x1b[" in dump("-p", v.pid, env={"CLICOLOR_FORCE": "1"})[0] and
                "\x1b" not in dump("-p", v.pid, env={"CLICOLOR_FORCE": "1", "NO_COLOR": "1"})[0], "colours")
        for pid in pids + [c["pid"] for c in grand]:
            os.kill(pid, signal.SIGKILL)


def refusals(py):
    p = h.start(["sleep", "1000"])
    for args, want, words in (([], 2, "which process"), (["-p", "x"], 2, "process id"), (["-p", 1, "-p", 2], 2, "one process"), (["--color", "blue", "-p", 1], 2, "auto, always or never"),
                              (["--frobnicate"], 2, "unknown option"), (["-p", p.pid], 1, "Python"), (["-p", 4194303], 1, "no such process")):
        out, err = dump(*args, want=want)
        h.check(not out and words in err and err.count("\n") == 1, "dump %s: %r %r" % (args, out, err))
    out, _ = dump("--help")
    h.check(out.startswith("Examples:"), out[:50])
    full = subprocess.run([RECORD, "dump", "--help"], stdout=open("/dev/full", "w"), stderr=subprocess.PIPE)
    h.check(full.returncode == 1 and b"cannot write" in full.stderr, "a full disk: %s" % full)


stranger = h.start(["sleep", "300"])  # old enough when it is asked for: a young one may become Python yet
quick = h.pythons(one_per_minor=True)
cases = []
for py in h.pythons():
    if h.FULL or py.minor == 11:
        cases.append(("truth %s" % py, truth, py))
    if h.FULL or py.minor == 12:
        cases.append(("one moment %s" % py, one_moment, py, 4, 400 if h.FULL else 60))
for py in h.newer(((14, "release"), (15, "freethreaded"))):
    if h.FULL and "musl" not in str(py):  # parked.py wants glibc, and 3.11
        cases.append(("truth %s" % py, truth, py))
    if h.FULL or py.free_threaded:
        cases.append(("one moment %s" % py, one_moment, py, 3, 400 if h.FULL else 60))
for py in h.interpreters(((2, 7), (3, 6), (3, 8), (3, 10)), ("release",), HOST, not h.FULL):
    if h.FULL and py.version >= (3, 6):
        cases.append(("one moment %s" % py, one_moment, py, 4, 400))
    if h.FULL or py.version < (3,):
        cases.append(("looking %s" % py, looking, py))
for py in quick[-1:]:
    cases.append(("looking %s" % py, looking, py))
    cases.append(("children %s" % py, children, py))
    cases.append(("refusals %s" % py, refusals, py))

if __name__ == "__main__":
    h.main(cases)

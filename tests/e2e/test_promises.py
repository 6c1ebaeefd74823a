# serial
# (d) The recorder never harms the target: killed, suspended, or met by a target that forks, execs, ends.
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter

import harness as h
import pyspy_reader as pr
import recording
from pythons import HOST

KILLS = 40 if h.FULL else 8
random.seed(int(os.environ.get("PYSPY_SEED", "0")) or None)


class Watch(threading.Thread):
    """looks at the states of a process's threads as often as it can; keeps the longest time one was seen stopped on end"""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.end, self.longest, self.looks, self.stopped = pid, False, 0.0, 0, 0
        self.since, self.after = {}, None
        self.start()

    def run(self):
        while not self.end:
            for tid in h.tids(self.pid):
                state, now = h.process_state(self.pid, tid), time.monotonic()
                self.looks += 1
                if state in ("t", "T"):
                    self.stopped += 1
                    first = self.since.setdefault(tid, now)
                    self.longest = max(self.longest, now - first)
                else:
                    self.since.pop(tid, None)
            time.sleep(0.0005)

    def close(self):
        self.end = True
        self.join(10)
        return self


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        w = f.read().rsplit(")", 1)[1].split()
    return (int(w[11]) + int(w[12])) / os.sysconf("SC_CLK_TCK")


def untouched(pid, what):
    """no tracer, no thread stopped, and the program goes on"""
    h.wait_for("%s: no tracer" % what, lambda: all(tracer(pid, t) == 0 for t in h.tids(pid)), 5, 0.001)
    h.wait_for("%s: no thread stopped" % what, lambda: all(h.process_state(pid, t) not in ("t", "T") for t in h.tids(pid)), 5, 0.001)
    before = cpu_seconds(pid)
    h.wait_for("%s: the target goes on" % what, lambda: cpu_seconds(pid) > before, 20)


def tracer(pid, tid):
    try:
        with open("/proc/%d/task/%d/status" % (pid, tid)) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("TracerPid:"))
    except (OSError, StopIteration):
        return 0


# many stops, so that some are hit in the middle: a target with many short stacks, and a CPU each, so that its CPU is
# not held instead
MANY_STOPS = ["-r", "20000", "--max-stop", "50"]


def stopped_often(py):
    return h.Victim(py, "colours.py", ["tree", 2, h.folder()], cpu=h.VICTIM_CPU)


def often(engine):
    """what makes the recorder touch the target as often as it can"""
    return MANY_STOPS if engine == "outside" else ["-r", "10000"]


def killed(py, engine="outside"):
    with stopped_often(py) as v:
        kept = lost = 0
        late = 0.0
        for i in range(KILLS):
            out = os.path.join(h.folder(), "k.pyspy")
            p = h.start_record(["-p", v.pid, "-d", 60] + often(engine), out, cpu=h.RECORD_CPU, engine=engine)
            time.sleep(random.uniform(0.02, 0.6) if i % 4 else random.uniform(2.2, 3.2))
            if p.poll() is not None:
                raise h.Failure("the recorder ended by itself: %d %s" % (p.returncode, p.stderr.read()))
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            p.kill()
            p.wait(10)
            p.stderr.close()
            untouched(v.pid, "kill %d" % i)
            if i % 4 == 0:
                rec = pr.read(out)
                h.check(not rec.problems, "after kill -9: %s" % rec.problems[:3])
                h.check(not rec.closed, "closed, though it was killed")
                behind = now - rec.blocks[-1]["end"] / 1e9 if rec.blocks else 99
                late = max(late, behind)
                h.check(rec.blocks and behind < 2.0, "after kill -9 the last %.2f s are missing" % behind)
                kept += rec.samples
                info = h.info(out)
                h.check(isinstance(info, dict), "info of a recording that was not closed")
            elif os.path.exists(out) and os.path.getsize(out):
                rec = pr.read(out)
                h.check(not rec.problems, "after kill -9: %s" % rec.problems[:3])
            else:
                lost += 1
        h.note("%d kills, the target went on each time; %d recordings had no block yet; at most %.2f s were missing" % (KILLS, lost, late))


def suspended(py, group):
    """the recorder is stopped at random moments: the target stands still for no more than a moment"""
    with stopped_often(py) as v:
        out = os.path.join(h.folder(), "s.pyspy")
        p = h.start_record(["-p", v.pid, "-d", 300] + MANY_STOPS, out, cpu=h.RECORD_CPU, start_new_session=True)
        h.wait_for("the first block", lambda: os.path.exists(out) and os.path.getsize(out) > 64, 20)
        send = (lambda s: os.killpg(p.pid, s)) if group else (lambda s: os.kill(p.pid, s))
        longest, caught = 0.0, 0
        n = 200 if h.FULL else 30
        for i in range(n):
            time.sleep(random.uniform(0.002, 0.05))
            if p.poll() is not None:
                raise h.Failure("the recorder ended: %s" % p.stderr.read())
            send(signal.SIGSTOP)
            w = Watch(v.pid)
            time.sleep(0.15)
            w.close()
            caught += w.stopped > 0
            longest = max(longest, w.longest)
            send(signal.SIGCONT)
        untouched(v.pid, "suspended")
        p.send_signal(signal.SIGINT)
        rec = h.finish_record(p, out, 30, None).rec
        h.sound(rec)
        h.check(longest < 0.1, "a thread stood still for %.0f ms while the recorder was suspended" % (1e3 * longest))
        h.note("%d suspensions, %d seen with a stopped thread, longest %.1f ms; %s" % (n, caught, 1e3 * longest, h.cost(rec)))
        h.check(rec.end and rec.end["reason"] == 3, "END says %s after SIGINT" % rec.end)


def uninterrupted(py, engine="outside"):
    """results, signals and system calls of the target are as without us"""
    seconds = 12 if h.FULL else 4
    with h.Victim(py, "uninterrupted.py", [seconds, 0]) as v:
        out = os.path.join(h.folder(), "u.pyspy")
        p = h.start_record(["-p", v.pid] + often(engine), out, engine=engine)
        got = json.loads(v.line(seconds * 4 + 60))
        h.check(v.p.wait(30) == 0, "the target ended with %s" % v.p.returncode)
        r = h.finish_record(p, out, 30)
        h.sound(r.rec)
        c = r.rec.counters
        h.check(not got["bad"], "wrong results: %s" % got["bad"][:5])
        n = sum(got["eintr"].values())
        h.check(n <= c.get("stops_in_syscall", 0), "%d C calls were interrupted, %d stops counted as landing in a call" % (n, c.get("stops_in_syscall", 0)))
        h.check(r.rec.end and r.rec.end["reason"] == 2, "END says %s" % r.rec.end)
        ends = [e for e in r.rec.process_ends if e["pid"] == v.pid]
        h.check(ends, "no PROCESS_END")
        h.note("%d EINTR seen by C calls; %s; %s" % (n, got["seen"], h.cost(r.rec)))


def unstopped(py):
    """those that do not try an interrupted call again are not stopped unless asked for"""
    with stopped_often(py) as v:
        for args, stops in ([], False), (["--max-stop", "5"], True):
            r = h.record(v.pid, 2, 1000, args, cpu=h.RECORD_CPU)
            c = r.rec.counters
            h.check(bool(c.get("stops")) == stops, "%s stops with %s" % (c.get("stops"), args or "nothing given"))
            h.check(("is not stopped, not even for a moment" in r.stderr) != stops, "it says %r" % r.stderr)
            h.note("%s: %d of %d samples not certified; %s" % (" ".join(args) or "nothing given", c.get("uncertified", 0), r.rec.samples, h.cost(r.rec)))
        untouched(v.pid, "unstopped")


def started(py, engine="outside"):
    """a started program keeps its status, its streams and its signals"""
    folder = h.folder()
    out = os.path.join(folder, "a.pyspy")

    def run(args, want, stdin=b"", options=()):
        if os.path.exists(out):
            os.unlink(out)
        p = h.start([h.RECORD, "-q", "-o", out, "-r", "500", "--engine", engine] + list(options) + ["--"] + args, stdin=h.subprocess.PIPE,
                    stdout=h.subprocess.PIPE, stderr=h.subprocess.PIPE)
        try:
            so, se = p.communicate(stdin, timeout=60)
        except h.subprocess.TimeoutExpired:
            h.stop(p)
            raise h.Failure("hangs: %s" % args)
        h.check(p.returncode == want, "status %s, not %s: %s\n%s" % (p.returncode, want, args, se.decode("utf-8", "replace")))
        return so, se

    if engine == "kernel":
        h.need_kernel()
    for n in range(5):
        so, se = run([py.path, "-c", "import sys; print(sys.stdin.read().upper()); sys.exit(%d)" % n], n, b"caf\xc3\xa9")
        h.check(so == "CAF\u00c9\n".encode(), "stdout is %r" % so)
    so, se = run([py.path, "-S", "-E", "-c", "pass"], 0)
    for sig in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV):
        run([py.path, "-c", "import os,resource\nresource.setrlimit(resource.RLIMIT_CORE,(0,0))\nfor i in range(10**6): pass\nos.kill(os.getpid(), %d)" % sig], -sig)
    so, se = run([py.path, os.path.join(h.TARGETS, "uninterrupted.py"), "2", "7"], 7)
    lines = so.decode().split("\n")
    h.check(not json.loads(lines[1])["bad"], "a started program's results: %s" % lines[1])
    rec = pr.read(out)
    h.sound(rec)
    h.check(rec.samples > 100, "%d samples of a program of 2 s" % rec.samples)
    names = {f.name for r in rec.runs for f in r.stack}
    h.check("main" in names and "hashes" in names, "functions seen: %s" % sorted(names)[:20])
    p = [p for p in rec.processes().values()]
    h.check(p and p[0]["flags"] & 1, "the process is not marked as started by us")
    h.check(rec.end and (rec.end["how"], rec.end["status"]) == (1, 7), "END says %s, the status was 7" % rec.end)
    h.note("%s" % h.cost(rec))
    shim = h.shim_of(py)
    if shim:
        env = dict(os.environ)
        os.environ.update(shim[1])
        try:
            run([shim[0], os.path.join(h.TARGETS, "restless.py"), "brief", "1.5"], 0)
        finally:
            os.environ.clear()
            os.environ.update(env)
        rec = pr.read(out)
        h.sound(rec)
        names = Counter(f.name for r in rec.runs for f in r.stack)
        h.check("before_exec" in names, "through the shim: %s" % names.most_common(5))


def short_lived(py, engine="outside"):
    """it ends while we attach: never a hang, always a documented status"""
    statuses, hung = Counter(), 0
    for i in range(60 if h.FULL else 14):
        delay = random.uniform(0, 0.12)
        p = h.start([py.path, "-c", "import time; time.sleep(%f)" % delay])
        out = os.path.join(h.folder(), "s.pyspy")
        time.sleep(random.uniform(0, 0.06))
        r = h.start_record(["-p", p.pid, "-r", "200"], out, engine=engine)
        res = h.finish_record(r, out, 20, None)
        p.wait(20)
        statuses[res.status] += 1
        if res.status not in (0, 1):
            h.check(False, "status %s: %s" % (res.status, res.stderr))
        if res.status == 0 and os.path.exists(out):
            h.sound(res.rec)
        if res.status == 1:
            h.check(res.stderr.strip() and len(res.stderr.strip().split("\n")) <= 2, "status 1 with %r" % res.stderr)
            h.check(not os.path.exists(out) or os.path.getsize(out) == 0 or pr.read(out).samples >= 0, "a partial file")
    h.note("statuses %s" % dict(statuses))


def only(rec, allowed, engine):
    # at the birth and the death of threads the kernel engine meets states that no stack can be made of: few
    known, bad, torn = ("[in motion]", "[no Python frame]"), Counter(), 0
    for run in rec.runs:
        if engine == "kernel" and run.stack[-1].name == "[torn]":
            torn += run.ticks
            continue
        for f in run.stack:
            if f.kind == "synthetic" and f.name not in known:
                bad[f.name] += run.ticks
        names = [f.name for f in run.stack if f.file.endswith("restless.py")]
        for a, b in zip(names, names[1:]):
            if b not in allowed.get(a, ()):
                bad["%s -> %s" % (a, b)] += run.ticks
    h.check(not bad, "impossible: %s" % bad.most_common(5))
    h.check(torn <= 0.03 * rec.samples, "%d of %d samples are torn" % (torn, rec.samples))


CALLS = {
    "<module>": {"many_threads", "deep", "forks", "execs", "brief", "children"}, "many_threads": {"short_thread", "many_threads.<locals>.<listcomp>"},
    "short_thread": {"short_work"}, "deep": {"down", "bottom"}, "down": {"up"}, "up": {"down"}, "bottom": {"below", "hold"}, "below": {"bottom", "hold"},
    "forks": {"child_work", "short_work"}, "child_work": {"short_work"}, "execs": {"before_exec"}, "before_exec": {"short_work"}, "brief": {"before_exec"}}


def restless(py, shape, seconds, engine="outside", rate=2000):
    with h.Victim(py, "restless.py", [shape, seconds], cpu=h.VICTIM_CPU) as v:
        out = os.path.join(h.folder(), "r.pyspy")
        p = h.start_record(["-p", v.pid, "-r", rate], out, cpu=h.RECORD_CPU, engine=engine)
        said = v.line(seconds * 10 + 60)
        status = v.p.wait(60)
        r = h.finish_record(p, out, 60)
        h.check(status == 0, "the target ended with %s after %r" % (status, said))
        h.sound(r.rec)
        only(r.rec, CALLS, engine)
        h.note("%s; %s; %d threads; lost %s" % (said, h.cost(r.rec), len(r.rec.threads()), Counter(x["cause"] for x in r.rec.lost)))
        return r, said


def many_threads(py, engine="outside"):
    r, said = restless(py, "threads", 3, engine)
    made = int(said.split()[1])
    seen = {k for k, t in r.rec.threads().items() if t["name"].startswith("short ") or t["flags"] & 2}
    h.check(made > 300 and len(seen) > 50, "%d threads made, %d seen" % (made, len(seen)))
    cut = sum(run.ticks for run in r.rec.runs if run.flags & recording.CUT)
    h.check(not cut, "%d samples with missing outermost frames" % cut)
    h.check(len(r.rec.thread_ends) > 0.5 * len(seen), "%d threads seen, %d ended in the file" % (len(seen), len(r.rec.thread_ends)))


def deep(py, engine="outside"):
    with h.Victim(py, "restless.py", ["deep", 4], cpu=h.VICTIM_CPU) as v:
        out = os.path.join(h.folder(), "r.pyspy")
        p = h.start_record(["-p", v.pid, "-r", 2000], out, cpu=h.RECORD_CPU, engine=engine)
        v.p.wait(60)
        r = h.finish_record(p, out, 60)
    h.sound(r.rec)
    only(r.rec, CALLS, engine)
    depths, wrong, cut = [], Counter(), 0
    for run in r.rec.runs:
        s = run.stack
        depths.append(len(s))
        if run.flags & recording.CUT and engine == "kernel" and len(s) > 1500:
            cut += run.ticks  # what the kernel copies has an end
        elif run.flags & recording.CUT:
            wrong["cut"] += run.ticks
        elif engine == "kernel" and s[-1].name == "[torn]":
            pass  # counted in only()
        elif s[0].name != "<module>" and s != (recording.NO_FRAME,) and s != (recording.IN_MOTION,):
            wrong["begins with %s" % s[0].name] += run.ticks
    h.check(not wrong, "%s" % wrong)
    depths.sort()
    h.check(depths and depths[-1] > 1000, "deepest stack %s" % depths[-1:])
    h.note("depths: median %d, deepest %d, %d of %d cut; %s" % (depths[len(depths) // 2], depths[-1], cut, r.rec.samples, h.cost(r.rec)))


def execs(py, others, engine="outside"):
    """the program becomes another Python: what is recorded belongs to what ran, and nothing hangs"""
    with h.Victim(py, "restless.py", ["execs", 1.0] + [o.path for o in others], env={"READY": "1"}, cpu=h.VICTIM_CPU) as v:
        out = os.path.join(h.folder(), "r.pyspy")
        p = h.start_record(["-p", v.pid, "-r", 500], out, cpu=h.RECORD_CPU, engine=engine)
        said = v.line(60)
        v.p.wait(60)
        r = h.finish_record(p, out, 60)
    h.check(said == "last %d" % others[-1].minor, "the target said %r" % said)
    h.sound(r.rec)
    only(r.rec, CALLS, engine)
    execs = sorted((x["exec"], "%d.%d" % (x["version_hex"] >> 24, x["version_hex"] >> 16 & 255)) for x in r.rec.processes().values())
    h.check([v for _, v in execs] == ["3.%d" % x.minor for x in [py] + others], "images seen: %s" % execs)
    h.note("images seen: %s; %s" % (execs, h.cost(r.rec)))


def forks(py, engine="outside"):
    restless(py, "forks", 3, engine)


def children(py, engine="outside"):
    """a target that starts short programs: they are not ours, and go on"""
    with h.Victim(py, "restless.py", ["children", 2], cpu=h.VICTIM_CPU) as v:
        r = h.record(v.pid, 1.5, 500, cpu=h.RECORD_CPU, engine=engine)
        h.check(v.p.wait(60) == 0, "the target ended with %s" % v.p.returncode)
        h.note(h.cost(r.rec))


all_of_them = h.pythons()
few = all_of_them if h.FULL else h.pythons(one_per_minor=True)
cases = []
for py in few:
    if h.FULL or py.minor == 13:
        cases.append(("killed %s" % py, killed, py))
    if h.FULL or py.minor in (12,):
        cases.append(("suspended %s" % py, suspended, py, False))
        cases.append(("suspended group %s" % py, suspended, py, True))
    if h.FULL or py.minor != 12:
        cases.append(("uninterrupted %s" % py, uninterrupted, py))
    if h.FULL or py.minor == 12:
        cases.append(("many threads %s" % py, many_threads, py))
    if h.FULL or py.minor == 11:
        cases.append(("deep %s" % py, deep, py))
    if h.FULL or py.minor == 13:
        cases.append(("forks %s" % py, forks, py))
        cases.append(("children %s" % py, children, py))
    if h.FULL or py.minor == 12:
        cases.append(("exec %s" % py, execs, py, [p for p in few if p is not py] + [py]))
for py in h.interpreters(((2, 7),), ("release",), HOST, not h.FULL):
    cases.append(("unstopped %s" % py, unstopped, py))
for py in all_of_them:
    if h.FULL or py.minor == 13 or py.kind == "system":
        cases.append(("started %s" % py, started, py))
        cases.append(("short lived %s" % py, short_lived, py))
for py in few:
    # the same by the kernel engine; more of it: test_engine_promises.py
    if h.FULL or py.minor == 12:
        cases.append(("uninterrupted, kernel %s" % py, uninterrupted, py, "kernel"))
    if h.FULL or py.minor == 13:
        cases.append(("many threads, kernel %s" % py, many_threads, py, "kernel"))
    if h.FULL:
        for name, f in ("killed", killed), ("started", started), ("deep", deep), ("forks", forks), ("children", children), ("short lived", short_lived):
            cases.append(("%s, kernel %s" % (name, py), f, py, "kernel"))
        cases.append(("exec, kernel %s" % py, execs, py, [p for p in few if p is not py] + [py], "kernel"))

if __name__ == "__main__":
    h.main(cases)

# serial
# (h) The kernel engine harms nobody and loses no time: several processes, targets that fork, exec and end, a recorder that
# is killed or suspended, limits of open files and of the kernel's tables.
import ctypes
import json
import os
import random
import resource
import signal
import time
from collections import Counter

import accounts
import harness as h
import pyspy_reader as pr
import recording

ONE_PERCENT = 0.01
MUCH = 2 if h.FULL else 1
random.seed(int(os.environ.get("PYSPY_SEED", "0")) or None)


# ---------------------------------------------------------------- what is in the kernel

libc = ctypes.CDLL(None, use_errno=True)
SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine)
BY_ID = {"prog_id": 13, "map_id": 14, "link_id": 30}  # BPF_*_GET_FD_BY_ID


def kernel_ids(pid):
    """{(kind, id)} of the eBPF programs, maps and links that a process holds"""
    ids = set()
    for fd in os.listdir("/proc/%d/fdinfo" % pid):
        try:
            with open("/proc/%d/fdinfo/%s" % (pid, fd)) as f:
                words = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        except OSError:
            continue
        # of a link prog_id is the program's that it holds on to
        ids |= {(kind, int(words[kind])) for kind in BY_ID if kind in words}
    return ids


def exists(kind, number):
    attr = (ctypes.c_uint32 * 32)(number)
    fd = libc.syscall(SYS_BPF, BY_ID[kind], attr, ctypes.sizeof(attr))
    if fd >= 0:
        os.close(fd)
        return True
    if ctypes.get_errno() != 2:
        raise h.Failure("bpf(%d) of %s %d: %s" % (BY_ID[kind], kind, number, os.strerror(ctypes.get_errno())))
    return False


def gone(ids):
    """the kernel frees them a moment after their last user: what runs, and what it hangs on. A map may lie about longer
    (one of ten did, for more than 30 s, on a machine with much other load; nothing used it), that is only told"""
    begun = time.monotonic()
    runs = [i for i in ids if i[0] != "map_id"]
    try:
        h.wait_for("none of the recorder's programs and links in the kernel", lambda: not any(exists(*i) for i in runs), 10)
        end = time.monotonic() + 2
        while any(exists(*i) for i in ids) and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        h.note("freed after %.2f s; left: %s" % (time.monotonic() - begun, sorted(i for i in ids if exists(*i))))


# ---------------------------------------------------------------- recordings

def begin(args, rate, limits=(), engine="kernel", **kw):
    """-> (recorder, its file), when it has begun to record"""
    out = os.path.join(h.folder(), "x.pyspy")

    def limit():
        for kind, n in limits:
            resource.setrlimit(kind, (n, n))
    p = h.start_record(list(args) + ["-r", rate, "--flush", "200ms"], out, cpu=h.RECORD_CPU, engine=engine, preexec_fn=limit, **kw)
    h.wait_for("the first block", lambda: p.poll() is not None or (os.path.exists(out) and os.path.getsize(out) > 64), 30)
    if p.poll() is not None:
        raise h.Failure("the recorder ended with %d: %s" % (p.returncode, p.stderr.read().decode()))
    return p, out


def interrupt(p, out, unread=0.0):
    """unread: as for harness.by_kernel; None = not only the kernel engine recorded"""
    p.send_signal(signal.SIGINT)
    r = h.finish_record(p, out, 60)
    h.sound(r.rec)
    if unread is not None:
        h.by_kernel(r.rec, unread)
    h.note(h.cost(r.rec))
    return r


def of(rec, pid):
    return [r for r in rec.runs if r.epoch.processes[r.info["process"]]["pid"] == pid]


def cpu_seconds(runs):
    return sum(r.ns for r in runs if r.state == recording.ON_CPU) / 1e9


def adds_up(rec, pid, account, within=ONE_PERCENT, late=0.5):
    """Time on the CPU is what the kernel says of this process, and each thread's whole time is the recording's. late: the
    block begins before threads are looked at, all at one time; such short recordings show that."""
    first, last = accounts.span(rec)
    runs, wall = of(rec, pid), Counter()
    for r in runs:
        wall[r.info["tid"]] += r.ns / 1e9
    if not h.check(wall, "pid %d: no samples" % pid):
        return wall
    looked = min(max(wall.values()), last - first)
    h.check(last - first - looked <= late, "pid %d: looked at for %.4f s of %.4f" % (pid, looked, last - first))
    least, most = account.used(last - looked, last)
    got, worst = cpu_seconds(runs), max(abs(s - looked) for s in wall.values())
    h.note("pid %d: %.3f s on a CPU, the kernel says %.3f .. %.3f; looked at for %.3f s of %.3f; %d threads, at most %.1f ms off that" % (
        pid, got, least, most, looked, last - first, len(wall), 1e3 * worst))
    h.check((1 - within) * least <= got <= (1 + within) * most, "pid %d: %.4f s on a CPU, the kernel says %.4f .. %.4f" % (pid, got, least, most))
    h.check(worst <= within * looked, "pid %d: a thread's times are %.4f s off %.4f s" % (pid, worst, looked))
    return wall


def files(rec):
    return {os.path.basename(f.file) for r in rec.runs for f in r.stack if f.file}


# ---------------------------------------------------------------- who is looked at

def several(py, n, rate):
    """n processes in one recording: each has its own time"""
    victims = [h.Victim(py, "cycles.py", ["cycle:%d:%d" % (2 + k, 2 * k), "cycle:1:5"]) for k in range(n)]
    try:
        watched = [accounts.Account(v.pid, threads=False) for v in victims]
        p, out = begin([w for v in victims for w in ("-p", v.pid)], rate)
        time.sleep(1.5 * MUCH)
        rec = interrupt(p, out).rec
        for a in watched:
            a.close()
        h.check({x["pid"] for x in rec.processes().values()} == {v.pid for v in victims}, "processes %s" % list(rec.processes()))
        for v, a in zip(victims, watched):
            wall = adds_up(rec, v.pid, a)
            h.check(set(wall) == set(h.tids(v.pid)), "pid %d: threads %s, it has %s" % (v.pid, sorted(wall), h.tids(v.pid)))
    finally:
        for v in victims:
            v.stop()


def forks(py, rate):
    """children run Python too, and are not ours"""
    with h.Victim(py, "restless.py", ["forks", 60]) as v:
        account = accounts.Account(v.pid, threads=False)
        p, out = begin(["-p", v.pid], rate)
        time.sleep(1.5 * MUCH)
        # a page of the stack that is being copied after a fork is not there for a moment
        rec = interrupt(p, out, unread=0.03).rec
        account.close()
        wall = adds_up(rec, v.pid, account)
        h.check(set(wall) == {v.pid} and len(rec.processes()) == 1, "threads %s of processes %s" % (sorted(wall), list(rec.processes())))
        names = Counter(f.name for r in rec.runs for f in r.stack)
        h.check("child_work" not in names and "forks" in names, "functions seen: %s" % names)
        h.check(v.alive(), "the target ended with %s" % v.p.returncode)


def execs(py, others):
    """it becomes another Python: the kernel goes on sampling"""
    with h.Victim(py, "restless.py", ["execs", 1.0] + [o.path for o in others], env={"READY": "1"}) as v:
        account = accounts.Account(v.pid, threads=False)
        p, out = begin(["-p", v.pid], 500)
        said = v.line(60)
        h.check(v.p.wait(60) == 0 and said == "last %d" % others[-1].minor, "the target said %r" % said)
        rec = h.finish_record(p, out, 60).rec
    account.end = True
    h.sound(rec)
    images = sorted((x["exec"], x["version_hex"] >> 16 & 255) for x in rec.processes().values())
    h.check([minor for _, minor in images] == [x.minor for x in [py] + others], "images seen: %s" % images)
    by_image = Counter()
    for r in rec.runs:
        if r.way == recording.KERNEL and r.state == recording.ON_CPU and any(f.name == "before_exec" for f in r.stack):
            by_image[r.epoch.processes[r.info["process"]]["exec"]] += r.ns / 1e9
    used = account.rows[-1][2] - account.rows[0][2]
    h.note("seconds on a CPU by image %s; the process used %.2f, its start-ups too; %s" % (dict(by_image), used, h.cost(rec)))
    for number, minor in images:
        h.check(by_image[number] >= 0.6 * used / len(images), "image %d (3.%d): %.3f s on a CPU by the kernel engine" % (number, minor, by_image[number]))
    h.check(rec.end["reason"] == 2, "END says %s" % rec.end)


def becomes_no_python(py):
    """it becomes a program without Python: the recording ends, the program goes on"""
    with h.Victim(py, "crowd.py", [3]) as v:
        p, out = begin(["-p", v.pid, "--wait", "300ms"], 1000)
        mine = kernel_ids(p.pid)
        time.sleep(0.5)
        v.say("become sleep 30")
        rec = h.finish_record(p, out, 20).rec
        h.sound(rec)
        h.check(rec.end["reason"] == 2, "END says %s" % rec.end)
        h.check(v.alive() and h.process_state(v.pid) == "S", "the program is in state %s" % h.process_state(v.pid))
        h.check("crowd.py" in files(rec), "files %s" % files(rec))
        gone(mine)
        h.note(h.cost(rec))


def ends(py):
    """it ends while we come, or in the middle: never a hang, and nothing stays behind"""
    said = Counter()
    for i in range(12 * MUCH):
        busy = "import sys,threading,time\nfor i in range(%d): threading.Thread(target=lambda: [sum(range(100)) for _ in iter(int, 1)], daemon=True).start()\ntime.sleep(%f)\n"
        target = h.start([py.path, "-S", "-c", busy % (i % 4 * 5, random.uniform(0, 0.3)) + "import os; os._exit(0)"])
        time.sleep(random.uniform(0, 0.15))
        out = os.path.join(h.folder(), "e.pyspy")
        p = h.start_record(["-p", target.pid, "-r", 1000 if i % 2 else 100, "--flush", "100ms"], out, engine="kernel")
        if i % 3 == 0:
            time.sleep(random.uniform(0, 0.2))
            target.kill()
        r = h.finish_record(p, out, 30, None)
        target.wait(20)
        h.check(r.status in (0, 1), "status %s: %s" % (r.status, r.stderr))
        said[r.status] += 1
        if r.status == 0:
            h.sound(r.rec)
            h.check(r.rec.end["reason"] == 2, "END says %s" % r.rec.end)
        else:
            h.check(r.stderr.count("\n") <= 2, "status 1 with %r" % r.stderr)
    h.note("exit statuses %s" % dict(said))
    h.check(said[0] > 0, "not one recording")


# ---------------------------------------------------------------- what becomes of the recorder

def killed(py):
    """kill -9: the file is whole up to its last flush, nothing stays in the kernel, the target goes on"""
    with h.Victim(py, "crowd.py", [20], cpu=h.VICTIM_CPU) as v:
        for i in range(4 * MUCH):
            p, out = begin(["-p", v.pid], (100, 1000, 10000)[i % 3])
            mine = kernel_ids(p.pid)
            kinds = Counter(kind for kind, _ in mine)
            h.check(kinds["prog_id"] >= 5 and kinds["map_id"] >= 5, "the recorder holds %s" % kinds)
            time.sleep(random.uniform(0, 0.5))
            now = accounts.boot()
            p.kill()
            p.wait(10)
            p.stderr.close()
            gone(mine)
            rec = pr.read(out)
            h.check(not rec.problems and not rec.closed and rec.samples, "after kill -9: %d samples, closed: %s, %s" % (rec.samples, rec.closed, rec.problems[:3]))
            h.check(now - accounts.span(rec)[1] < 1.0, "the last %.2f s are missing" % (now - accounts.span(rec)[1]))
            v.say("report")
            log = json.loads(v.line(30))
            v.say("report")
            h.wait_for("the target goes on", lambda: json.loads(v.line(30))[-1][2] > log[-1][2] or v.say("report"), 20)
        h.note("%d kills, each time %s were freed" % (4 * MUCH, dict(kinds)))


def speed(log, first, last):
    """pieces of work a second of CPU time, the median of short stretches; and a second of wall time"""
    rows = [e for e in log if first <= e[0] <= last]
    rates = sorted((b[2] - a[2]) / (b[1] - a[1]) for a, b in zip(rows, rows[1:]) if b[1] > a[1])
    if len(rates) < 20:
        raise h.Failure("the log has %d entries between %.2f and %.2f" % (len(rates), first, last))
    return rates[len(rates) // 2], (rows[-1][2] - rows[0][2]) / (rows[-1][0] - rows[0][0])


def find(tree, key):
    """the value of a key, somewhere in an object"""
    if key in tree:
        return tree[key]
    parts = [x for v in tree.values() for x in (v if isinstance(v, list) else [v]) if isinstance(x, dict)]
    return next((x for x in (find(part, key) for part in parts) if x is not None), None)


def suspended(py, rate):
    """the recorder stands still for 3 s: the program does not, what does not fit is counted, and no time is lost"""
    with h.Victim(py, "crowd.py", [3, 60], cpu=h.VICTIM_CPU) as v:
        account = accounts.Account(v.pid, threads=False)
        p, out = begin(["-p", v.pid], rate)
        marks = [accounts.boot()]
        time.sleep(1.5)
        p.send_signal(signal.SIGSTOP)
        h.wait_for("the recorder stands", lambda: h.process_state(p.pid) == "T", 10)
        marks.append(accounts.boot())
        time.sleep(3)
        marks.append(accounts.boot())
        p.send_signal(signal.SIGCONT)
        time.sleep(0.7)
        rec = interrupt(p, out).rec
        account.close()
        v.say("report")
        log = json.loads(v.line(60))
    before, during = speed(log, marks[0], marks[1]), speed(log, marks[1], marks[2])
    h.note("pieces of work a second of CPU time: %.0f while recorded, %.0f while the recorder stands; of wall time: %.0f, %.0f" % (before[0], during[0], before[1], during[1]))
    # it must go on; what it costs is a bench's question: from one second to the next this machine differs by a quarter
    h.check(during[0] > 0.5 * before[0], "the target is slower while the recorder stands: %.0f of %.0f" % (during[0], before[0]))
    adds_up(rec, v.pid, account)
    said = h.info(out)
    h.note("lost: %s" % {recording.CAUSES[x["cause"]]: x["count"] for x in rec.lost})
    # 3 s of stacks 60 deep do not fit
    h.check(h.count(rec, 23) > 0, "nothing overran")
    h.check(sum(x["count"] for x in rec.lost if x["cause"] == 7) == h.count(rec, 23), "overrun %d, LOST says %s" % (h.count(rec, 23), rec.lost))
    h.check(find(said, "events_overrun") == find(said, "overrun") == h.count(rec, 23), "info --json says %s, %s" % (find(said, "events_overrun"), find(said, "overrun")))


# ---------------------------------------------------------------- limits

def open_files(pid, end):
    """how many of its open files have a name that ends so"""
    folder, n = "/proc/%d/fd/" % pid, 0
    for fd in os.listdir(folder):
        try:
            n += os.readlink(folder + fd).endswith(end)
        except FileNotFoundError:  # closed meanwhile
            pass
    return n


def few_files(py, n):
    """no clock for each thread: the others are sampled on the tick, and no time is lost"""
    specs = ["cycle:2:20*20", "cycle:0.3:9*30"]
    with h.Victim(py, "cycles.py", specs) as v:
        account = accounts.Account(v.pid, threads=False)
        p, out = begin(["-p", v.pid], 1000, [(resource.RLIMIT_NOFILE, n)])
        time.sleep(2.0 * MUCH)
        states = open_files(p.pid, "/stat")
        r = interrupt(p, out)
        account.close()
        h.check(r.stderr.count("no clocks for more threads") == 1, "it said %r" % r.stderr)
        adds_up(r.rec, v.pid, account, 0.02)
        by_tick, by_clock = h.count(r.rec, 19), h.count(r.rec, 20)
        # files of /proc, two a thread, come first: with 60 nothing is left for clocks; with 190 some 25 are for them and for a third
        # file of threads whose state was asked for, whichever is wanted first
        h.check(by_tick > 0 and (by_clock == 0 or n > 60), "%d samples by tick, %d by clock" % (by_tick, by_clock))
        h.check(n == 60 or by_clock > 0 or states >= 20, "no samples by clock, and %d files for states" % states)


def little_locked(py):
    """RLIMIT_MEMLOCK: counted before Linux 5.11 only"""
    with h.Victim(py, "crowd.py", [3]) as v:
        account = accounts.Account(v.pid, threads=False)
        p, out = begin(["-p", v.pid], 1000, [(resource.RLIMIT_MEMLOCK, 64 << 10)])
        time.sleep(1.0)
        rec = interrupt(p, out).rec
        account.close()
        adds_up(rec, v.pid, account)


def many_sleepers(py, n):
    """n threads that wait, and were there before"""
    with h.Victim(py, "crowd.py", [n]) as v:
        account = accounts.Account(v.pid, threads=False)
        p, out = begin(["-p", v.pid], 100)
        time.sleep(2.0 * MUCH)
        r = interrupt(p, out)
        account.close()
        wall = adds_up(r.rec, v.pid, account, late=2.0)
        h.check(len(wall) == n + 2, "%d threads with time, of %d" % (len(wall), n + 2))
        waits = sum(x.ns for x in r.rec.runs if x.state == recording.SLEEPING and any(f.name == "wait" and f.file.endswith("crowd.py") for f in x.stack))
        h.check(waits >= 0.99 * 1e9 * sum(wall.values()) * n / (n + 2), "threads wait for %.1f s of %.1f" % (waits / 1e9, sum(wall.values())))


def many_come(py, n):
    """n threads come while we record, more than there is room for in the kernel's tables: said, and gone on with"""
    with h.Victim(py, "crowd.py", [0]) as v:
        account = accounts.Account(v.pid, threads=False)
        p, out = begin(["-p", v.pid], 100)
        time.sleep(0.5)
        v.say("more %d" % n)
        h.check(int(v.line(60)) == n, "not all threads came")
        # who is there is looked up at leisure
        h.wait_for("%d threads in the recording" % n, lambda: len(pr.read(out).threads()) >= n, 40, 0.5)
        time.sleep(0.5)
        h.check(len(h.tids(v.pid)) == n + 2, "not all threads are there any more")
        r = interrupt(p, out, unread=None)
        account.close()
    outside = "it is sampled from outside now" in r.stderr
    ways = Counter()
    for x in r.rec.runs:
        ways["kernel" if x.event else "outside"] += x.ns / 1e9
    names = Counter(x.stack[-1].name for x in r.rec.runs)
    seen = len({x.info["tid"] for x in r.rec.runs})
    first, last = accounts.span(r.rec)
    least, most = account.used(first, last)
    on = sum(x.ns for x in r.rec.runs if x.state in (recording.ON_CPU, recording.ACTIVE)) / 1e9
    h.note("%s; %d threads seen; thread seconds by engine %s; %.3f s working, the kernel says %.3f .. %.3f of CPU time; lost %s; mostly %s" % (
        "from outside at last" if outside else "by the kernel to the end", seen, {k: round(s, 1) for k, s in ways.items()}, on, least, most,
        {recording.CAUSES[x["cause"]]: x["count"] for x in r.rec.lost}, names.most_common(3)))
    h.check(outside == bool(r.rec.ticks), "%d ticks, and it said %r" % (r.rec.ticks, r.stderr))
    h.check(ways["kernel"] > 0, "nothing by the kernel")
    h.check(seen >= n, "%d threads seen, %d came" % (seen, n))


cases = []
few = h.pythons(one_per_minor=True)
for py in few:
    quick = {11: 0, 12: 1, 13: 2}[py.minor]
    add = lambda on, name, f, *args: cases.append(("%s %s" % (name, py), f, py) + args) if h.FULL or on == quick else None  # noqa: E731
    add(2, "two processes, 100 Hz,", several, 2, 100)
    add(0, "five processes, 1000 Hz,", several, 5, 1000)
    add(1, "forks, 1000 Hz,", forks, 1000)
    add(2, "forks, 100 Hz,", forks, 100)
    add(1, "becomes another Python", execs, [p for p in few if p is not py] + [py])
    add(0, "becomes no Python", becomes_no_python)
    add(2, "ends", ends)
    add(1, "killed", killed)
    add(0, "60 files", few_files, 60)
    add(1, "190 files", few_files, 190)
    add(1, "little locked memory", little_locked)
    add(2, "3000 sleepers", many_sleepers, 3000)
    add(0, "5000 threads come", many_come, 5000)

# up to 3.10 whole stacks are sent: the ring fills up for certain
cases += [("suspended, 1000 Hz, %s" % py, suspended, py, 1000) for py in h.interpreters(((3, 8), (3, 10)), builds=("release",), one_per_minor=True)[0 if h.FULL else -1:]]

if __name__ == "__main__":
    h.main(cases)

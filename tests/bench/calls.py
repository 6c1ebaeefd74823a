#!/usr/bin/env python3
"""The floor of a look from outside: which system calls the recorder makes in a tick, how many, and what each costs.

The kernel tells of each (tracefs, in an instance of its own; root). What one costs is measured in the same run, on the same
program and as often: a loop that sleeps and makes one of the calls after each sleep, in turn (calls.c). What follows a sleep
finds its caches cold, so it costs more than in a tight loop; those that come later in the recorder's tick, less.

    a tick    calls for each tick          each, us   of one          us   both multiplied
    other     that no loop measures: stops and holds (ptrace, wait4, sched_setattr, sched_setaffinity), the file's writes
    rest      the recorder's CPU for a tick less all that: its own code (walking, resolving, writing), and `other`
    floor     one sleep, one read of 4096 bytes, one schedstat, as floor.c

No recorder that reads from outside at random moments goes without the sleep, a read and one look at who ran.
"""
import collections
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import limits  # noqa: E402
import peers  # noqa: E402
import rig  # noqa: E402
import standing  # noqa: E402

FILES = "schedstat", "syscall", "stat"
PREAD, SLEEP, READV = 17, 230, 310  # x86-64
OTHERS = {98: "getrusage", 228: "clock"}
PAGE, KB = 4096, 24 << 10


class Counts:
    """with Counts(pid) as c: ... ; then c.calls: {number: times}, c.preads: {file descriptor: times}, c.reads: {pieces: times}"""

    def __init__(self, pid):
        self.pid, self.folder = pid, "%s/instances/pyspy-calls-%d" % (standing.TRACING, os.getpid())
        self.calls, self.preads, self.reads = collections.Counter(), collections.Counter(), collections.Counter()

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as f:
            f.write(text)

    def __enter__(self):
        os.mkdir(self.folder)
        self.write("buffer_size_kb", str(KB))
        self.write("set_event_pid", " ".join(os.listdir("/proc/%d/task" % self.pid)))
        self.write("events/raw_syscalls/sys_enter/enable", "1")
        return self

    def __exit__(self, *_):
        self.write("tracing_on", "0")
        with open(self.folder + "/trace") as f:
            for number, text in re.findall(r"sys_enter: NR (\d+) \((.*?)\)", f.read()):
                number, words = int(number), [int(w, 16) for w in text.split(", ")]
                self.calls[number] += 1
                if number == PREAD:
                    self.preads[words[0]] += 1
                elif number == READV:
                    self.reads[words[2]] += 1
        os.rmdir(self.folder)


def names(pid, fds):
    """which file of /proc each is"""
    found = {}
    for fd in fds:
        try:
            found[fd] = os.path.basename(os.readlink("/proc/%d/fd/%d" % (pid, fd)))
        except OSError:
            found[fd] = "?"
    return found


def per_tick(tool, program, rate, seconds):
    """-> {call: times a tick}, CPU us a tick"""
    with limits.running(tool, program, rate, settle=2.0) as run:
        cpu = run.cpu(seconds)
        with Counts(run.pid) as counts:  # which costs something, too
            run.sleep(seconds)
        files = names(run.pid, counts.preads)
        run.end()
    ticks = counts.calls[SLEEP]
    if not ticks:
        raise rig.Failed("it made no tick that the kernel saw")
    calls = collections.Counter({"sleep": 1.0, "readv": counts.calls[READV] / ticks})
    for fd, n in counts.preads.items():
        calls[files[fd] if files[fd] in FILES else "other"] += n / ticks
    for number, n in counts.calls.items():
        if number not in (PREAD, SLEEP, READV):
            calls[OTHERS.get(number, "other")] += n / ticks
    calls["pieces"] = sum(pieces * n for pieces, n in counts.reads.items()) / ticks
    return calls, 1e6 * cpu * seconds / ticks


def costs(scratch, pid, rate, seconds, pieces):
    """-> {call: us each}"""
    ops = {"schedstat": "schedstat", "syscall": "syscall", "stat": "stat", "getrusage": "getrusage", "clock": "clock",
           "readv": "read:%d:%d" % (pieces, min(pieces, 2) * PAGE // pieces * pieces), "page": "read:1:%d" % PAGE}
    p = subprocess.run([peers.compiled(scratch, "calls", "-lm"), str(pid), str(rate), str(seconds * len(ops))] + list(ops.values()),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if p.returncode:
        raise rig.Failed(p.stderr.strip() or "calls ended with status %d" % p.returncode)
    us = dict(line.rsplit(" ", 1) for line in p.stdout.split("\n") if line)
    found = {name: float(us[op]) for name, op in ops.items()}
    found["sleep"] = float(us["sleep"])
    found["floor"] = found["sleep"] + found["page"] + found["schedstat"]
    return found


def show(title, calls, each, cpu):
    pieces = calls["pieces"] / calls["readv"] if calls["readv"] else 0
    print("\n%s\n%-34s %8s %9s %8s" % (title, "", "a tick", "each, us", "us"))
    whole = 0.0
    for name, what in (("sleep", "clock_nanosleep"), ("readv", "process_vm_readv, %.0f pieces" % pieces), ("schedstat", "pread of schedstat"),
                       ("syscall", "pread of syscall"), ("stat", "pread of stat"), ("getrusage", "getrusage"),
                       ("clock", "clock_gettime of its CPU time")):
        n = calls.get(name, 0)
        if n >= 0.005:
            whole += n * each[name]
            print("%-34s %8.2f %9.1f %8.1f" % (what, n, each[name], n * each[name]))
    print("%-34s %8.2f" % ("other", calls["other"]))
    print("%-34s %8s %9s %8.1f" % ("rest", "", "", cpu - whole))
    print("%-34s %8s %9s %8.1f   %.2f x the floor of %.1f" % ("the recorder", "", "", cpu, cpu / each["floor"], each["floor"]), flush=True)


def main():
    p = limits.parser(__doc__, "outside")
    p.add_argument("--threads", default="1,8,64", help="that are busy, beside one that sleeps (%(default)s)")
    p.add_argument("--depth", type=int, default=10)
    p.add_argument("--seconds", type=float, help="of counting, and of each loop (4; quick: 1)")
    a = p.parse_args()
    why, seconds = standing.missing(), a.seconds or (1 if a.quick else 4)
    if why:
        sys.exit("calls: " + why)
    with limits.Bench(a) as b:
        tool, python = b.tool("outside"), b.pythons["host"]
        for threads in [int(n) for n in a.threads.split(",")] + [0]:
            rate = 1000 if threads else 100
            program = limits.busy(python, a.depth, threads) if threads else limits.Program(python, rig.HERE + "/sleepers.py", [8], 8)
            with program:
                calls, cpu = per_tick(tool, program, rate, seconds)
                pieces = max(1, round(calls["pieces"] / max(calls["readv"], 1e-9)))
                each = costs(b.scratch, program.pid, rate, seconds, min(pieces, 64))
            title = "%d+1 threads, depth %d, %d Hz" % (threads, a.depth, rate) if threads else "8 threads that sleep, %d Hz" % rate
            show(title, calls, each, cpu)
            b.measured = True
        return b.status()


if __name__ == "__main__":
    sys.exit(main())

"""When did the threads of a program stand still because of a tool? Told by the kernel's scheduler, not by the tool.

The witness is the kernel's own trace of context switches (tracefs, in an instance of its own; root): each says which thread
left its CPU, in which state, for whom, and when it came back, in microseconds of CLOCK_BOOTTIME. New threads are
followed. From that:

    Stop    a thread left its CPU in state t or T (ptrace, SIGSTOP) until it ran again. `stood` is until it was woken, `waited`
            what it took from there to its CPU. What a stop costs before the thread is off its CPU is not in it: the signal,
            the way into the kernel, about a microsecond.
    Aside   a thread that wanted to run left its CPU for a thread of the tool, until that left the CPU again: what it took
            from the target, whether it sat there on purpose (sample/hold.h) or because the scheduler put it there.
"""
import collections
import os
import re

TRACING = "/sys/kernel/tracing"
LINE = re.compile(r"\[(\d+)\] \S+ +(\d+)\.(\d{6}): (sched_switch|sched_waking|sched_process_fork): (.*)")
SWITCH = re.compile(r"prev_pid=(\d+) prev_prio=\d+ prev_state=(\S+) ==> .* ?next_pid=(\d+) ")
WAKING = re.compile(r" pid=(\d+) ")
FORK = re.compile(r" pid=(\d+) .* child_pid=(\d+)")
EVENTS = "sched_switch", "sched_waking", "sched_process_fork"
KB = 24 << 10  # of a CPU; 20 s of 10,000 switches a second take half of it

Stop = collections.namedtuple("Stop", "tid at stood waited")  # seconds; at: CLOCK_BOOTTIME
Aside = collections.namedtuple("Aside", "tid at lasted")


def missing():
    """why there is no witness here, or None"""
    if os.geteuid():
        return "the kernel's trace needs root"
    return None if os.access(TRACING + "/instances", os.W_OK) else "no tracefs at %s (mount -t tracefs none %s)" % (TRACING, TRACING)


class Witness:
    """with Witness(pid of the target) as w: ... w.tool(pid of the tool) ...; then w.stops, w.asides; w.lost: events that
    the trace had no room for (then its sums are too small)"""

    def __init__(self, pid):
        self.pid, self.folder = pid, "%s/instances/pyspy-bench-%d" % (TRACING, os.getpid())
        self.stops, self.asides, self.lost, self.switches, self.hidden = [], [], 0, 0, 0
        self.threads, self.tools = set(), set()

    def write(self, name, text):
        fd = os.open(os.path.join(self.folder, name), os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def __enter__(self):
        os.mkdir(self.folder)
        try:
            self.write("trace_clock", "boot")
            self.write("buffer_size_kb", str(KB))
            self.write("options/event-fork", "1")
            self.threads |= self.follow(self.pid)
            for event in EVENTS:
                self.write("events/sched/%s/enable" % event, "1")
        except OSError:
            os.rmdir(self.folder)
            raise
        return self

    def follow(self, pid):
        tids = os.listdir("/proc/%d/task" % pid)
        for tid in tids:
            self.write("set_event_pid", tid)
        return {int(tid) for tid in tids}

    def tool(self, pid):
        """this process is one: its threads, and those that they make"""
        self.tools |= self.follow(pid)

    def __exit__(self, kind, *_):
        try:
            self.write("tracing_on", "0")
            if kind is None:
                self.tell()
        finally:
            for event in EVENTS:
                self.write("events/sched/%s/enable" % event, "0")
            os.rmdir(self.folder)

    def tell(self):
        for cpu in os.listdir(self.folder + "/per_cpu"):
            with open("%s/per_cpu/%s/stats" % (self.folder, cpu)) as f:
                self.lost += sum(int(n) for n in re.findall(r"^(?:overrun|dropped events): (\d+)", f.read(), re.M))
        with open(self.folder + "/trace", errors="replace") as f:
            self.read(f)

    def read(self, lines):
        stopped, woken, aside = {}, {}, {}
        for line in lines:
            m = LINE.search(line)
            if not m:
                continue
            cpu, at, text = int(m.group(1)), int(m.group(2)) + int(m.group(3)) / 1e6, m.group(5)
            if m.group(4) == "sched_waking":
                tid = int(WAKING.search(text).group(1))
                if tid in stopped:
                    woken[tid] = at
                continue
            if m.group(4) == "sched_process_fork":
                parent, child = (int(n) for n in FORK.search(text).groups())
                for whose in self.threads, self.tools:
                    if parent in whose:
                        whose.add(child)
                continue
            m = SWITCH.search(text)
            leaves, state, comes = int(m.group(1)), m.group(2), int(m.group(3))
            self.switches += leaves in self.threads
            if leaves in self.tools and cpu in aside:
                tid, since = aside.pop(cpu)
                self.asides.append(Aside(tid, since, at - since))
            if leaves in stopped:
                # its coming back was not told of (some guests hide switches away from some tasks, the idle one among
                # them: kernel/README.md). Nobody else was seen on that CPU, so it is taken to have run once woken
                since = stopped.pop(leaves)
                until = min(woken.pop(leaves, at), at)
                self.stops.append(Stop(leaves, since, until - since, 0.0))
                self.hidden += 1
            if comes in stopped:
                since = stopped.pop(comes)
                until = min(woken.pop(comes, at), at)
                self.stops.append(Stop(comes, since, until - since, at - until))
            if leaves in self.threads:
                if state[0] in "tT":
                    stopped[leaves] = at
                elif state[0] == "R" and comes in self.tools:
                    aside[cpu] = leaves, at
        self.unended = len(stopped)

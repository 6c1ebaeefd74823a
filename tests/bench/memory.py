#!/usr/bin/env python3
"""The recorder's resident memory, over time. Two programs: 64 busy threads and 1 sleeping, 10 deep, until 10 million samples
are in the file or the time is over; and one that makes new stacks for ever (newstacks.py: new functions by exec,
random walks up to 60 deep), at 1 kHz. Issue 6 asks for 8 MB at most, and flat.

    at 25 %...  VmRSS after that part of the run, MB; peak: VmHWM
    own         at the end: its data only (RssAnon). The rest are pages of its program and libraries, which others share,
                and what is mapped of the kernel engine's ring
    in kernel   memory of its eBPF maps, which no process's resident memory shows
    grown       from 25 % to the end; "flat" = by less than 5 % and 256 kB
    samples     in the file at the end (py-spy's and Tachyon's as they count); epochs: a new one begins when the tables are full

py-spy and Tachyon get the same rates and a shorter time; py-spy asks for far more than it can reach at 64 threads.
"""
import os
import re
import struct
import sys
import time

sys.dont_write_bytecode = True
import limits  # noqa: E402
import peers  # noqa: E402
import rig  # noqa: E402

GOAL_MB = 8
WANTED = 10 * 1000 * 1000
EACH_S = 0.5
MB = 1 << 20


def memory(pid):
    """-> {field of /proc/PID/status: bytes}"""
    with open("/proc/%d/status" % pid) as f:
        return {m.group(1): int(m.group(2)) << 10 for m in re.finditer(r"^(VmRSS|VmHWM|Rss\w+):\s+(\d+) kB", f.read(), re.M)}


def kernel_memory(pid):
    """bytes of the BPF maps that a process has open"""
    total = 0
    for name in os.listdir("/proc/%d/fdinfo" % pid):
        try:
            with open("/proc/%d/fdinfo/%s" % (pid, name)) as f:
                text = f.read()
        except OSError:
            continue  # closed meanwhile
        m = re.search(r"^memlock:\s+(\d+)", text, re.M)
        total += int(m.group(1)) if m and "map_type" in text else 0
    return total


class Growing:
    """how many samples are in a file that is being written, by its block headers"""

    def __init__(self, path):
        self.path, self.at, self.samples = path, 0, 0

    def look(self):
        try:
            with open(self.path, "rb") as f:
                while True:
                    f.seek(self.at)
                    head = f.read(80)
                    if len(head) < 80:
                        return self.samples
                    magic, size = struct.unpack_from("<II", head, 0)
                    self.at += 8 + size
                    if magic == 0x184D2A51:
                        self.at += struct.unpack_from("<I", head, 28)[0]
                        self.samples = sum(struct.unpack_from("<QQ", head, 64))
        except FileNotFoundError:
            return 0


class Memory:
    epochs = None

    def __init__(self, curve, end, samples, seconds):
        self.curve, self.end, self.samples, self.seconds = curve, end, samples, seconds

    def at(self, part):
        return self.curve[min(len(self.curve) - 1, int(part * len(self.curve)))]

    def grown(self):
        return self.curve[-1] - self.at(0.25)

    def is_flat(self):
        return self.grown() < max(256 << 10, 0.05 * self.at(0.25))


def one(tool, program, rate, seconds, wanted):
    with limits.running(tool, program, rate, place="free") as run:
        ours = isinstance(tool, peers.Ours)
        growing, curve, begun = Growing(run.out), [], time.monotonic()
        while time.monotonic() - begun < seconds and not (wanted and ours and growing.look() >= wanted):
            run.sleep(EACH_S)
            end = memory(run.pid)
            end["kernel"] = kernel_memory(run.pid)
            curve.append(end["VmRSS"])
        lasted = time.monotonic() - begun
        run.end()
        if ours:
            info = run.info()
            m = Memory(curve, end, info["samples"]["samples"], lasted)
            m.epochs = info["recordings"][0]["epochs"]
            counters = info["recordings"][0]["counters"]
            m.codes, m.stacks = counters.get("code_objects", 0), counters.get("stacks", 0)
            return m
        return Memory(curve, end, run.counts()[1] * run.lasted, lasted)


def show(name, m, why):
    if not m:
        return print("  %-8s      -  %s" % (name, why))
    mb = lambda n: "%.1f" % (n / MB)
    verdict = limits.reached(m.end["VmHWM"] / MB, GOAL_MB, form="%.1f") if m.epochs is not None else ""
    print("  %-8s %6.0f s %11d %6s  %6s %6s %6s %6s %6s %6s %9s  %+7.2f %-5s  %s" % (
        name, m.seconds, m.samples, m.epochs or "-", mb(m.at(0.25)), mb(m.at(0.5)), mb(m.at(0.75)), mb(m.curve[-1]),
        mb(m.end["VmHWM"]), mb(m.end["RssAnon"]), mb(m.end["kernel"]), m.grown() / MB, "flat" if m.is_flat() else "GROWS", verdict), flush=True)
    if m.epochs is not None:
        print("           its tables at the end: %d code objects, %d stacks" % (m.codes, m.stacks), flush=True)


def main():
    p = limits.parser(__doc__, "kernel,outside,py-spy,tachyon")
    p.add_argument("--seconds", type=float, help="at most (300 and 120; quick: 7)")
    p.add_argument("--rate", type=int, help="Hz (10000; of newstacks 1000)")
    p.add_argument("--programs", default="threads,newstacks", help="%(default)s")
    a = p.parse_args()
    with limits.Bench(a) as b:
        print("  %-8s %8s %11s %6s  %6s %6s %6s %6s %6s %6s %9s  %7s" % (
            "", "ran", "samples", "epochs", "25 %", "50 %", "75 %", "end", "peak", "own", "in kernel", "grown"))
        if "threads" in a.programs:
            print("64+1 threads, depth 10, %d Hz" % (a.rate or 10000))
            each(b, a, a.rate or 10000, 300, lambda python: limits.busy(python, 10, 64), WANTED)
        if "newstacks" in a.programs:
            print("ever new stacks, %d Hz" % (a.rate or 1000))
            each(b, a, a.rate or 1000, 120, lambda python: limits.Program(python, rig.HERE + "/newstacks.py"), 0)
        return b.status()


def each(b, a, rate, seconds, start, wanted):
    def measure(tool, python):
        ours = isinstance(tool, peers.Ours)
        at_most = a.seconds or (7 if a.quick and ours else 4 if a.quick else seconds if ours else 60)
        with start(python) as program:
            return one(tool, program, rate, at_most, wanted)
    b.try_each(measure, show)


if __name__ == "__main__":
    sys.exit(main())

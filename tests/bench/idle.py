#!/usr/bin/env python3
"""What watching nothing costs: CPU at 100 Hz on a program whose 8 threads all sleep. Beside it a loop that only sleeps at 100
Hz (sleeper.c: random gaps as the recorder's, and fixed ones), the floor (floor.c: a sleep, one read, one schedstat), py-spy and
Tachyon. Each tool several times in turn, on the same program. Issue 6 asks for at most 1.2x the loop.

    CPU         per second, 95 % interval of the slices' mean       us/look   for one of 100 a second
    x sleep     over the loop that sleeps at random gaps, of the same run
    wake-ups    times per second that it went to sleep (voluntary context switches)
    --calls     the recorder's system calls per second, by strace
"""
import re
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import limits  # noqa: E402
import peers  # noqa: E402
import rig  # noqa: E402

HZ, THREADS, GOAL = 100, 8, 1.2


class Sleeper(peers.Tool):
    def __init__(self, scratch, fixed):
        self.name = "sleep fixed" if fixed else "sleep"
        self.program, self.more = peers.compiled(scratch, "sleeper", "-lm"), ["fixed"] if fixed else []

    def command(self, target, rate, out):
        return [self.program, str(rate), "3600"] + self.more

    def counts(self, target, out, text, seconds):
        return int(peers.find(r"ready\n[\d.]+ (\d+)", text)) / seconds, None


def switches(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M).group(1))


def one(tool, program, seconds, settle):
    with limits.running(tool, program, HZ, settle=settle) as run:
        n0, t0 = switches(run.pid), time.monotonic()
        cpu = run.cpu(seconds)
        woken = (switches(run.pid) - n0) / (time.monotonic() - t0)
        run.end()
        return cpu, woken


def calls(tool, program, seconds=5):
    """system calls per second, once it has settled"""
    with limits.running(tool, program, HZ, settle=1.5) as run:
        p = subprocess.run(["timeout", "-s", "INT", str(seconds), "strace", "-c", "-f", "-p", str(run.pid)],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        run.end()
    found = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", p.stdout, re.M)
    return ", ".join("%s %.1f" % (name, int(n) / seconds) for n, name in found if name != "total")


def main():
    p = limits.parser(__doc__, "floor,kernel,outside,py-spy,tachyon")
    p.add_argument("--rounds", type=int, help="slices of each tool (8; quick: 3)")
    p.add_argument("--seconds", type=float, help="length of a slice (5; quick: 1.5)")
    p.add_argument("--calls", action="store_true", help="what the recorder calls (strace)")
    a = p.parse_args()
    rounds, seconds = a.rounds or (3 if a.quick else 8), a.seconds or (1.5 if a.quick else 5)
    with limits.Bench(a) as b:
        tools = [Sleeper(b.scratch, False), Sleeper(b.scratch, True)] + b.tools
        found, failed, said = {}, {}, []
        for kind in ("host", "sid"):
            able = [t for t in tools if t.python == kind and not b.why_not(t)]
            if not able:
                continue
            with limits.Program(b.pythons[kind], rig.HERE + "/sleepers.py", [THREADS], THREADS) as program:
                for _ in range(rounds):
                    for t in able:
                        if t.name not in failed:
                            try:
                                found.setdefault(t.name, []).append(one(t, program, seconds, 0.6 if a.quick else 1.0))
                            except rig.Failed as e:
                                failed[t.name] = str(e)
                if a.calls:
                    said += ["%s: %s" % (t.name, calls(t, program)) for t in able if isinstance(t, peers.Ours)]
        print("%d threads that sleep, %d Hz; %d slices of %.1f s each" % (THREADS, HZ, rounds, seconds))
        print("%-12s %18s %8s %8s %9s" % ("", "CPU, %", "us/look", "x sleep", "wake-ups"))
        base = statistics.mean(c for c, _ in found["sleep"])
        for t in tools:
            if t.name not in found:
                print("%-12s      -  %s" % (t.name, b.why_not(t) or failed.get(t.name)))
                continue
            cpu, ci = rig.mean_ci([c for c, _ in found[t.name]])
            print("%-12s %18s %8.1f %8.2f %9.1f   %s" % (
                t.name, "%.3f +- %.3f" % (100 * cpu, 100 * ci), 1e6 * cpu / HZ, cpu / base, statistics.mean(w for _, w in found[t.name]),
                limits.reached(cpu / base, GOAL) if isinstance(t, peers.Ours) else ""))
        for line in said:
            print("calls per second: " + line)
        b.measured = True
        return b.status()


if __name__ == "__main__":
    sys.exit(main())

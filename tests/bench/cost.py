#!/usr/bin/env python3
"""usage: cost.py [BUILD-FOLDER] [--python PATH] [--rates 100,1000] [--seconds 10] [--depth 10] [--threads 1]   (make bench)

What a sample costs: this recorder's engines, py-spy (installed by `scripts/install-deps bench`) and the floor, one after the other
on the same running target (busy.py, kept on one CPU; the recorders may go where they like). One line each:

    CPU us/sample   CPU time of the recorder, from the difference of a short and a long run: start-up is taken out,
                    encoding and writing are not; the floor is the least a pass of sleep and one read can cost
    x floor         the same as a multiple of the floor
    samples/s       stacks written per second
    bytes/sample    the file's growth; py-spy's is its folded text, which keeps no times, so it says little
    stops/s, stopped, in motion   as the recording counts them; py-spy stops once a sample
    target          the target's speed while it is recorded, beside its speed alone just before and after
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import rig  # noqa: E402
from peers import PYSPY, compiled  # noqa: E402


def run(command):
    """-> CPU seconds; ends the bench when it fails"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if p.returncode:
        sys.exit("cost.py: %s ended with %d:\n%s" % (" ".join(command), p.returncode, p.stdout.decode("utf-8", "replace")))
    run.output = p.stdout.decode("utf-8", "replace")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ways(build):
    """-> options of the recorder that are worth a row: each engine that runs here, and no holding at all"""
    if "--engine" not in subprocess.run([build + "/pyspy-record", "--help"], stdout=subprocess.PIPE).stdout.decode():
        return [], ["--nonblocking"]
    kernel = subprocess.run([build + "/pyspy-record", "-q", "--engine", "kernel", "-o", os.devnull, "--",
                             sys.executable, "-c", "import time; time.sleep(0.5)"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if kernel.returncode:
        print("the kernel engine does not run here: %s" % kernel.stdout.decode("utf-8", "replace").strip())
    outside = ["--engine", "outside"]
    return ([] if kernel.returncode else [["--engine", "kernel"]]) + [outside, outside + ["--nonblocking"]]


class Ours:
    def __init__(self, build, extra=()):
        self.build, self.extra = build, list(extra)
        self.name = " ".join(["pyspy-record"] + [word for word in self.extra if word != "--engine"])

    def record(self, pid, rate, seconds, out):
        """-> CPU seconds, samples, bytes, columns of its own"""
        cpu = run([self.build + "/pyspy-record", "-q", "-p", str(pid), "-r", str(rate), "-d", str(seconds), "-o", out] + self.extra)
        info = json.loads(subprocess.run([self.build + "/pyspy-report", "info", "--json", out], stdout=subprocess.PIPE, check=True).stdout)
        return cpu, os.path.getsize(out), facts(info)


def facts(info):
    """what the recording says of itself"""
    counters = [r["counters"] for r in info["recordings"]]
    total = lambda name: sum(c.get(name, 0) for c in counters)
    n = info["samples"]["samples"]
    return {"samples": n, "stops": total("stops"), "stopped_s": total("stopped_ns") / 1e9,
            "motion": info["samples"]["in_motion"] / max(n, 1)}


class PySpy:
    name = "py-spy"

    def __init__(self, extra=()):
        self.extra = list(extra)
        self.name = " ".join(["py-spy"] + self.extra)

    def record(self, pid, rate, seconds, out):
        cpu = run([PYSPY, "record", "-i", "-p", str(pid), "-r", str(rate), "-d", str(seconds), "-f", "raw", "-o", out] + self.extra)
        samples = 0
        with open(out) as f:
            for line in f:
                samples += int(line.rsplit(" ", 1)[1])
        stops = 0 if "--nonblocking" in self.extra else samples
        return cpu, os.path.getsize(out), {"samples": samples, "stops": stops}


def floor(pid, rate, seconds, program):
    run([program, str(pid), str(rate), str(seconds), "4096"])
    us, passes = run.output.split()[-2:]
    return float(us), int(passes)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("build", nargs="?", default="build")
    p.add_argument("--python")
    p.add_argument("--rates", default="100,1000")
    p.add_argument("--seconds", type=int, default=10)
    p.add_argument("--depth", type=int, default=10)
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    build = os.path.abspath(a.build)
    tools = [Ours(build, extra) for extra in ways(build)]
    if os.access(PYSPY, os.X_OK):
        tools += [PySpy(), PySpy(["--nonblocking"])]
    else:
        print("py-spy is not here (scripts/install-deps bench): not compared")

    with tempfile.TemporaryDirectory(prefix="pyspy-bench-") as folder:
        program = compiled(folder, "floor", "-lm")
        python = rig.Python(a.python or rig.newest_python(), folder)
        target = rig.Target(python, a.depth, a.threads)
        try:
            print("%s, %d frames deep, %d thread(s); %d s each, %d CPUs, Linux %s" % (
                python.version(), a.depth, a.threads, a.seconds, len(rig.CPUS), os.uname().release))
            print("%-34s %7s %9s %7s %9s %7s %7s %8s %9s %7s" % ("", "rate", "CPU us/", "x floor", "samples/s", "bytes/", "stops/s", "stopped", "in motion", "target"))
            print("%-34s %7s %9s %7s %9s %7s %7s %8s %9s %7s" % ("", "Hz", "sample", "", "", "sample", "", "", "", "speed"))
            for rate in (int(r) for r in a.rates.split(",")):
                base, _ = target.speed(lambda: time.sleep(2))
                least, passes = floor(target.pid, rate, a.seconds, program)
                print("%-34s %7d %9.1f %7.1f %9.0f" % ("floor (sleep, one 4 KB read)", rate, least, 1, passes / a.seconds), flush=True)
                for tool in tools:
                    out = os.path.join(folder, "out")
                    short = tool.record(target.pid, rate, 1, out)
                    os.remove(out)
                    speed, long = target.speed(lambda: tool.record(target.pid, rate, 1 + a.seconds, out))
                    os.remove(out)
                    after, _ = target.speed(lambda: time.sleep(2))
                    f = long[2]
                    n = max(f["samples"] - short[2]["samples"], 1)
                    us = (long[0] - short[0]) * 1e6 / n
                    print("%-34s %7d %9.1f %7.1f %9.0f %7.1f %7.1f %8s %9s %7.3f" % (
                        tool.name, rate, us, us / least, n / a.seconds, (long[1] - short[1]) / n, f["stops"] / (1 + a.seconds),
                        "%.3f %%" % (100 * f["stopped_s"] / (1 + a.seconds)) if "stopped_s" in f else "-",
                        "%.2f %%" % (100 * f["motion"]) if "motion" in f else "-", speed * 2 / (base + after)), flush=True)
                    base = after
        finally:
            target.end()
    print("what the target loses, with intervals, for more rates, threads and depths: tests/bench/duty.py, tests/bench/speed.py")


if __name__ == "__main__":
    main()

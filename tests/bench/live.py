#!/usr/bin/env python3
"""usage: live.py [BUILD-FOLDER] [--threads 64] [--rate 1000] [--seconds 10]   (make bench)

What the live table costs: `pyspy-report top -p PID` in a terminal of 120x40 beside `py-spy top` on the same program (busy.py:
library code in 64 threads, with stacks that are new all the time), one after the other, each at 1 kHz.

    CPU         seconds of one CPU for each second, user and system, after the first three seconds; ours in two parts: the screen
                (pyspy-report: reads, counts, draws) and the recorder
    samples/s   what it says that it saw; py-spy counts moments, each of all threads
Exit status 1 when the screen costs more than 20 % of a CPU."""
import argparse
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time

sys.dont_write_bytecode = True
from peers import PYSPY  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
BEFORE, BOUND = 3, 0.20


def cpu(pid):
    """seconds of all its threads, as the scheduler has them (ticks are too coarse here)"""
    try:
        total = 0
        for t in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/schedstat" % (pid, t)) as f:
                total += int(f.read().split()[0])
        return total / 1e9
    except OSError:
        return None


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(w) for w in f.read().split()]
    except OSError:
        return []


def watch(command, seconds):
    """-> CPU for each second of the program and of its first child (or None), and the terminal's bytes"""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", LC_ALL="C.UTF-8", TMPDIR=tempfile.gettempdir())
        os.execvp(command[0], command)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    said, start = b"", None
    begin = time.monotonic()
    quits = False
    rows = None
    while True:
        now = time.monotonic() - begin
        if start is None and now > BEFORE:
            kids = children(pid)
            start = (time.monotonic(), cpu(pid), kids[:1], cpu(kids[0]) if kids else None)
        if rows is None and start and now > BEFORE + seconds:
            took = time.monotonic() - start[0]
            own, child = cpu(pid), cpu(start[2][0]) if start[2] else None
            rows = (None if own is None else (own - start[1]) / took, (child - start[3]) / took if child is not None else None)
            os.write(fd, b"q")
            quits = True
        if now > BEFORE + seconds + 10:
            break
        if not select.select([fd], [], [], 0.1)[0]:
            continue
        try:
            got = os.read(fd, 65536)
        except OSError:
            got = b""
        if not got:
            break
        said = (said + got)[-400000:]
    os.close(fd)
    try:
        if not quits:
            os.kill(pid, 15)
        os.waitpid(pid, 0)
    except (OSError, ChildProcessError):
        pass
    return rows, said.decode("utf-8", "replace"), time.monotonic() - begin


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default="build")
    p.add_argument("--threads", type=int, default=64)
    p.add_argument("--rate", type=int, default=1000)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--python", default=sys.executable)
    a = p.parse_args()
    status = 0
    with tempfile.NamedTemporaryFile() as counters:
        target = subprocess.Popen([a.python, os.path.join(HERE, "busy.py"), counters.name, "10", str(a.threads)], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL)
        try:
            time.sleep(2)
            print("live table: %d threads at %d Hz, %g s" % (a.threads, a.rate, a.seconds))
            print("  %-28s %8s %10s %12s" % ("", "screen", "recorder", "samples/s"))
            for engine in "kernel", "outside":
                rows, said, took = watch([os.path.join(a.build, "pyspy-report"), "top", "--live", "--", "-r", str(a.rate), "-p", str(target.pid), "--engine", engine],
                                         a.seconds)
                samples = re.findall(r"([\d,]+) samples at", said)
                if not rows or rows[0] is None or not samples:
                    print("  %-28s did not run: %s" % ("pyspy-report top, " + engine, said.strip().split("\n")[-1]))
                    status |= engine == "outside"
                    continue
                print("  %-28s %8.3f %10.3f %12.0f" % ("pyspy-report top, " + engine, rows[0], rows[1] or 0, int(samples[-1].replace(",", "")) / took), flush=True)
                if rows[0] > BOUND:
                    print("  the screen costs more than %.0f %% of a CPU" % (100 * BOUND))
                    status = 1
            if not os.access(PYSPY, os.X_OK):
                print("  py-spy is not here (scripts/install-deps bench): not compared")
                return status
            rows, said, took = watch([PYSPY, "top", "-r", str(a.rate), "-p", str(target.pid)], a.seconds)
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
            samples = re.findall(r"Total Samples (\d+)", plain)
            print("  %-28s %19s %12s" % ("py-spy top (all of it)", "%.3f" % rows[0] if rows and rows[0] is not None else "ended",
                                        "%.0f x %d" % (int(samples[-1]) / took, a.threads) if samples else "-"), flush=True)
        finally:
            target.kill()
            target.wait()
    return status


if __name__ == "__main__":
    sys.exit(main())

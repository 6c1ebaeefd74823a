#!/usr/bin/env python3
"""How much slower a program gets by being recorded: its speed, alone on its CPU, with each tool on and off in turn (the
tools of duty.py, on the other CPUs). One thread, depth 10, at several rates; and, at 200 Hz, one Python thread beside
159 that know nothing of Python, as numerical libraries keep them. `--recorder same`: all on one CPU. `--load 8`: so many
processes that burn CPU, wherever the kernel puts them; how much of its CPU the target has differs from slice to slice then.
Needs root, and `scripts/install-deps bench`; what is missing is a row with its reason.

    speed        1 = not slowed down; 95 % interval. "not to be told from 1": 1 is inside
    for its CPU  the same for a second of CPU that it had: others that run on its CPU do not count, nor does a tool there
    less empty   the difference to the speed under an event of one's own that does nothing (empty_event.c)
    Hz           moments looked at per second that it reached        CPU   of the tool, per second
"""
import math
import sys

sys.dont_write_bytecode = True
import cells  # noqa: E402
import limits  # noqa: E402
import peers  # noqa: E402

NATIVE, NATIVE_HZ = 159, 200


def arguments():
    p = cells.parser(__doc__, {"rounds": 8, "seconds": 2.0, "alone": 1.0, "recorder": "other"})
    p.add_argument("--quick", action="store_true", help="3 rounds, 1000 Hz and the native threads")
    p.add_argument("--rates", help="100,1000,10000")
    p.add_argument("--depth", type=int, default=10)
    p.add_argument("--load", type=int, default=0, help="processes that burn CPU meanwhile (%(default)s)")
    p.add_argument("--no-native", action="store_true", help="without the program with native threads")
    a = p.parse_args()
    a.rates = a.rates or ("1000" if a.quick else "100,1000,10000")
    a.rounds = a.rounds or (3 if a.quick else 8)
    return a


def line(row, empty):
    if not row.slices:
        return "%-11s      -  %s" % (row.tool.name, row.reason)
    difference = "-"
    if empty and row is not empty:
        difference = "%+.4f +- %.4f" % (empty.loss - row.loss, math.hypot(row.loss_ci, empty.loss_ci))
    verdict = "not to be told from 1" if abs(row.loss) <= row.loss_ci else ""
    return "%-11s  %.4f +- %.4f  %.4f +- %.4f  %18s  %7.0f  %6.2f %%  %s" % (
        row.tool.name, 1 - row.loss, row.loss_ci, 1 - row.loss_cpu, row.loss_cpu_ci, difference, row.hz, 100 * row.cpu,
        verdict + ("   then: " + row.reason if row.reason else ""))


def show(title, rows):
    empty = next((r for r in rows if r.tool.name == "empty-event" and r.slices), None)
    print("\n" + title)
    for row in rows:
        print(line(row, empty), flush=True)


def main():
    a = arguments()
    with cells.Run(a) as run, limits.load(a.load):
        run.headline()
        if a.load:
            print("and %d processes that burn CPU" % a.load)
        print("%-11s  %-16s  %-16s  %18s  %7s  %8s" % ("", "speed", "for its CPU", "less empty", "Hz", "CPU"))
        for rate, rows in run.cells(cells.numbers(a.rates), a.depth, 1):
            show("1 thread, depth %d, %d Hz" % (a.depth, rate), rows)
        if not a.no_native:
            peers.compiled(run.scratch, "natives", "-shared", "-fPIC", "-pthread")
            for rate, rows in run.cells([NATIVE_HZ], a.depth, 1, native=NATIVE):
                show("1 Python thread and %d native ones, depth %d, %d Hz" % (NATIVE, a.depth, rate), rows)
        return run.finish()


if __name__ == "__main__":
    sys.exit(main())

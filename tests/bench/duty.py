#!/usr/bin/env python3
"""What recording takes from a machine: the recorder's CPU and what the target loses, per second, for this recorder's
two engines, py-spy, Python 3.15's profiling.sampling ("tachyon"), the floor (floor.c: a sleep and one read for each
moment looked at), and an event of one's own that does nothing (empty_event.c). All in one run, one after the other on the
same running target, which has a CPU of its own; the target of tachyon is the same program under 3.15.
Needs root, and `scripts/install-deps bench`; what is missing is a row with its reason.

    Hz         moments looked at per second: of the kernel engine, samples of threads on a CPU
    stacks/s   stacks written
    CPU        CPU time of the tool, while it samples: the median slice, for all tools alike. (A guest counts what the host
               takes of its CPU as the CPU time of whoever is on it: once in 25 slices 4 to 6 ms, more than a second of ours.)
    loss       what the target does less, 95 % interval
    duty       both together; a tool on the target's CPU counts twice
    us/look, us/stack   duty for one moment, and for one stack
    x floor    CPU, and duty, for one moment: as multiples of the CPU that the floor takes for one
    x ours     as multiples of what this recorder takes for one (its kernel engine, or where that cannot run, outside).
               >= and <: with the interval's other end, where one side cannot be told from 0; -: neither can
"""
import sys

sys.dont_write_bytecode = True
import cells  # noqa: E402

FULL = {"rates": "100,1000,10000", "threads": "1,8,64", "depths": "10,100", "rounds": 4}
QUICK = {"rates": "1000", "threads": "1,64", "depths": "10", "rounds": 3}
COLUMNS = ("%-11s", "%6s", "%8s", "%7s", "%14s", "%14s", "%8s", "%8s", "%7s", "%7s", "%7s", "%8s")
HEADS = (("", "", "", "CPU", "loss", "duty", "us/", "us/", "x floor", "", "x ours", ""),
         ("", "Hz", "stacks/s", "%", "%", "%", "look", "stack", "CPU", "duty", "CPU", "duty"))


def arguments():
    p = cells.parser(__doc__, {"rounds": FULL["rounds"], "seconds": 1.3, "alone": 0.6, "recorder": "free"})
    p.add_argument("--quick", action="store_true", help="two minutes: 1000 Hz, 1 and 64 threads, depth 10")
    p.add_argument("--rates", help=FULL["rates"])
    p.add_argument("--threads", help=FULL["threads"] + ": busy threads that share the GIL; one more sleeps")
    p.add_argument("--depths", help=FULL["depths"])
    a = p.parse_args()
    for name, value in (QUICK if a.quick else FULL).items():
        if getattr(a, name) is None:
            setattr(a, name, value)
    return a


def brief(x):
    return "%.2f" % x if x < 10 else "%.1f" % x if x < 100 else "%.0f" % x


def ratio(value, value_ci, base, base_ci):
    if base > base_ci and value + value_ci > 0:
        return brief(value / base) if value > value_ci else "< " + brief((value + value_ci) / base)
    return ">= " + brief((value - value_ci) / (base + base_ci)) if value > value_ci and base + base_ci > 0 else "-"


def multiples(row, floor, ours):
    """-> CPU and duty of one look as multiples of the floor's CPU, and of ours"""
    look = lambda r, value: value / r.hz
    texts = ["-"] * 4
    if floor and floor.cpu:
        texts[0] = brief(look(row, row.cpu) / look(floor, floor.cpu))
        texts[1] = ratio(look(row, row.duty), look(row, row.duty_ci), look(floor, floor.cpu), 0)
    if ours and ours.cpu:
        texts[2] = brief(look(row, row.cpu) / look(ours, ours.cpu))
        texts[3] = "1" if row is ours else ratio(look(row, row.duty), look(row, row.duty_ci), look(ours, ours.duty), look(ours, ours.duty_ci))
    return texts


def line(row, floor, ours):
    if not row.slices:
        return "%-11s      -  %s" % (row.tool.name, row.reason)
    interval = lambda mean, ci: "%.2f +- %.2f" % (100 * mean, 100 * ci)
    parts = [row.tool.name, "%.0f" % row.hz, "-" if row.stacks is None else "%.0f" % row.stacks, "%.2f" % (100 * row.cpu),
             interval(row.loss, row.loss_ci), interval(row.duty, row.duty_ci), "%.1f" % (1e6 * row.duty / row.hz) if row.hz else "-",
             "%.2f" % (1e6 * row.duty / row.stacks) if row.stacks else "-"]
    parts += multiples(row, floor, ours) if row.hz else ["-"] * 4
    return "  ".join(c % p for c, p in zip(COLUMNS, parts)) + ("   then: " + row.reason if row.reason else "")


def show(title, rows):
    there = {r.tool.name: r for r in rows if r.slices and r.hz}
    print("\n" + title)
    for row in rows:
        print(line(row, there.get("floor"), there.get("kernel") or there.get("outside")), flush=True)


def main():
    a = arguments()
    with cells.Run(a) as run:
        run.headline()
        for heads in HEADS:
            print("  ".join(c % h for c, h in zip(COLUMNS, heads)))
        for depth in cells.numbers(a.depths):
            for threads in cells.numbers(a.threads):
                for rate, rows in run.cells(cells.numbers(a.rates), depth, threads, sleeping=1):
                    show("%d+1 threads, depth %d, %d Hz" % (threads, depth, rate), rows)
        return run.finish()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""CPU for a stack of the Pythons whose frames are objects on the heap (3.6 to 3.10), 30 deep, 1 kHz, one busy thread: both
engines, the floor (floor.c: a sleep, one read, one schedstat) and py-spy, in turn on the same running target. Issue 6
asks for at most 2x the floor, and for py-spy to take 15x ours or more.

    us/stack   CPU time of the tool, while it samples, for one stack that it wrote (of the floor: for one pass); the median
               of the slices, and the smallest and largest. Where the target does not get its CPU the kernel engine has few stacks to
               write, and each costs more: look at Hz
    x floor    over the floor of the same version
    py-spy     its CPU for one over this one's
"""
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True
import limits  # noqa: E402
import peers  # noqa: E402
import rig  # noqa: E402

HZ, DEPTH = 1000, 30
VERSIONS = ["3.6", "3.7", "3.8", "3.9", "3.10"]
QUICK = ["3.6", "3.10"]


def paths(wanted):
    """-> [(version, path)]"""
    lines = subprocess.run([rig.ROOT + "/scripts/get-pythons", "--quick"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           universal_newlines=True).stdout.split("\n")
    rows = [line.split() for line in lines if line]
    found = {}
    for version, path, kind, root, build in rows:
        short = ".".join(version.split(".")[:2])
        if root == "-" and build == "release" and short in wanted:
            found.setdefault(short, (version, path))
    return [found.get(w, (w, None)) for w in wanted]


def one(tool, program, seconds):
    with limits.running(tool, program, HZ) as run:
        cpu = run.cpu(seconds)
        run.end()
        looks, stacks = run.counts()
        each = looks if stacks is None else stacks
        if not each:
            raise rig.Failed("no stacks")
        return 1e6 * cpu / each, each


def show(version, tools, found, failed):
    middle = {name: statistics.median(us for us, _ in slices) for name, slices in found.items() if slices}
    for t in tools:
        if t.name not in middle:
            print("%-8s %-8s      -  %s" % (version, t.name, failed.get(t.name)))
            continue
        us, all_us = middle[t.name], [us for us, _ in found[t.name]]
        times, peer = us / middle["floor"] if "floor" in middle else None, middle["py-spy"] / us if "py-spy" in middle else None
        ours = isinstance(t, peers.Ours)
        print("%-8s %-8s %7.0f %16s %8s %8s   %s" % (
            version, t.name, sum(hz for _, hz in found[t.name]) / len(found[t.name]), "%.1f (%.0f-%.0f)" % (us, min(all_us), max(all_us)),
            "%.2f" % times if times else "-", "%.1f" % peer if peer else "-",
            limits.reached(times, 2) + "; py-spy: " + limits.reached(peer, 15, at_least=True, form="%.0f") if ours else ""), flush=True)


def main():
    p = limits.parser(__doc__, "floor,kernel,outside,py-spy")
    p.add_argument("--versions", help="%s (quick: %s)" % (",".join(VERSIONS), ",".join(QUICK)))
    p.add_argument("--rounds", type=int, help="slices of each tool (7; quick: 3)")
    p.add_argument("--seconds", type=float, help="length of a slice (3; quick: 1)")
    a = p.parse_args()
    rounds, seconds = a.rounds or (3 if a.quick else 7), a.seconds or (1 if a.quick else 3)
    with limits.Bench(a) as b:
        print("1 thread, depth %d, %d Hz; %d slices of %.1f s each" % (DEPTH, HZ, rounds, seconds))
        print("%-8s %-8s %7s %16s %8s %8s" % ("", "", "Hz", "us/stack", "x floor", "py-spy"))
        for version, path in [("given", a.python)] if a.python else paths(a.versions.split(",") if a.versions else QUICK if a.quick else VERSIONS):
            if not path:
                print("%-8s is not here (scripts/get-pythons)" % version)
                continue
            found, failed = {t.name: [] for t in b.tools}, {t.name: b.why_not(t) for t in b.tools if b.why_not(t)}
            with limits.busy(rig.Python(path, b.scratch), DEPTH, 1, sleeping=0) as program:
                for _ in range(rounds):
                    for t in b.tools:
                        if t.name not in failed:
                            try:
                                found[t.name].append(one(t, program, seconds))
                            except rig.Failed as e:
                                failed[t.name] = str(e)
            show(version, b.tools, found, failed)
            b.measured = b.measured or any(found.values())
        return b.status()


if __name__ == "__main__":
    sys.exit(main())

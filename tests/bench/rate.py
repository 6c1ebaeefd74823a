#!/usr/bin/env python3
"""The highest honest rate: what is truly taken per second of one thread, 10 deep, when far more is asked for than can be
had. Beside it, on the same target in turn: a loop of bare reads (bare.c: process_vm_readv of 4 KB, back to back, without
a sleep: no sampler from outside can look more often); the same reads at random moments that are slept for, those that have
passed skipped ("bare slept": what an honest sampler that sleeps can reach at most); py-spy and Python 3.15's
profiling.sampling.

    Hz asked    each tool is asked for several rates; the row is the one where it took the most
    taken/s     samples in the file per second that it covers: of the outside engine, ticks that have a sample; of the
                kernel engine, samples of the thread on its CPU per second of CPU time that it had. The best round
    x reads     that over the bare reads per second, the best round of both (whoever else runs slows rounds down). Half of
                it, as the issue asks, would be a pass of two reads and nothing else, without a sleep; so the same is
                said of the loop that sleeps
    late/s      ticks whose moment had passed: skipped, counted in the file, and never made up for
    lost/s      looked at, but no stack could be made of it, or no room
    gap         between two samples in the file, microseconds: half of them are shorter than the first number, one in 100 is
                longer than the second. Far apart = it is delayed, by others or by its own work, and samples in between
    CPU         of the tool; us: its CPU time for one of taken. What is left of taken/s times that, up to a whole CPU, is
                sleep, and waiting for a CPU that others have

The kernel engine has no reads and no sleeps: its row says how often a thread can be interrupted; the target's loss at
such rates is in speed.py.
"""
import sys

sys.dont_write_bytecode = True
import limits  # noqa: E402
import peers  # noqa: E402
import rig  # noqa: E402
import ticktimes  # noqa: E402

ASKED = {"bare": [0], "bare slept": [100000], "kernel": [20000, 100000], "outside": [20000, 100000], "py-spy": [10000],
         "tachyon": [100000]}


class Bare(peers.Tool):
    def __init__(self, scratch, sleeps):
        self.program, self.sleeps = peers.compiled(scratch, "bare", "-lm"), sleeps
        self.name = "bare slept" if sleeps else "bare"

    def command(self, target, rate, out):
        return [self.program, str(target.pid), "3600", "4096"] + ([str(rate)] if self.sleeps else [])

    def counts(self, target, out, text, seconds):
        return float(peers.find(r"ready\n([\d.]+) ", text)), None


class Rate:
    """what one slice says; all per second"""
    late = lost = gaps = None

    def __init__(self, asked, taken, cpu):
        self.asked, self.taken, self.cpu = asked, taken, cpu


def of_file(run, rate):
    """what this recorder's file says"""
    info = run.info()
    recording, samples = info["recordings"][0], info["samples"]
    seconds = recording["duration_ns"] / 1e9
    if run.tool.engine == "kernel":
        rate.taken = samples["states"]["on-cpu"] / max(samples["time_ns"]["on_cpu"] / 1e9, 1e-9)
    else:
        rate.taken = (samples["samples"] - samples["lost"]) / run.program.all_threads / seconds
        rate.gaps = ticktimes.of_ticks(run.out)
    rate.late = recording["lost"].get("late", 0) / seconds
    rate.lost = sum(recording["lost"].get(k, 0) for k in ("unreadable", "torn", "limit", "dropped", "overrun")) / seconds
    return rate


def one(tool, program, asked, seconds):
    with limits.running(tool, program, asked) as run:
        cpu = run.cpu(seconds)
        run.end()
        if isinstance(tool, peers.Ours):
            return of_file(run, Rate(asked, 0, cpu))
        looks, stacks = run.counts()
        rate = Rate(asked, looks, cpu)
        if tool.name == "tachyon":
            rate.lost, rate.taken = looks - stacks / program.all_threads, stacks / program.all_threads
            rate.gaps = ticktimes.of_tachyon(run.out)
        return rate


def quantiles(gaps):
    if not gaps:
        return "-"
    gaps = sorted(gaps)
    return "%.0f/%.0f" % (1e6 * gaps[len(gaps) // 2], 1e6 * gaps[len(gaps) * 99 // 100])


def show(name, rate, reads, why):
    if not rate:
        return print("%-10s      -  %s" % (name, why))
    text = lambda x, form: "-" if x is None else form % x
    print("%-10s %8s %10.0f %8s %9s %8s %12s %7.1f %% %7.1f" % (
        name, rate.asked or "-", rate.taken, "%.3f" % (rate.taken / reads) if reads else "-", text(rate.late, "%.0f"),
        text(rate.lost, "%.0f"), quantiles(rate.gaps), 100 * rate.cpu,
        1e6 * rate.cpu / max(rate.taken, 1)), flush=True)


def main():
    p = limits.parser(__doc__, "kernel,outside,py-spy,tachyon")
    p.add_argument("--rounds", type=int, help="slices of each tool and rate (5; quick: 2)")
    p.add_argument("--seconds", type=float, help="length of a slice (3; quick: 1)")
    a = p.parse_args()
    rounds, seconds = a.rounds or (2 if a.quick else 5), a.seconds or (1 if a.quick else 3)
    with limits.Bench(a) as b:
        print("%d slices of %.1f s for each tool and rate" % (rounds, seconds))
        print("%-10s %8s %10s %8s %9s %8s %12s %9s %7s" % (
            "", "Hz asked", "taken/s", "x reads", "late/s", "lost/s", "gap 50/99 %", "CPU", "us"))
        best, failed = {}, {}
        tools = [Bare(b.scratch, False), Bare(b.scratch, True)] + b.tools
        for kind in ("host", "sid"):
            able = [t for t in tools if t.python == kind and not b.why_not(t)]
            if not able:
                continue
            with limits.busy(b.pythons[kind], 10, 1, sleeping=0) as program:
                for _ in range(rounds):
                    for tool in able:
                        for asked in ASKED.get(tool.name, [100000]):
                            try:
                                rate = one(tool, program, asked, seconds)
                            except rig.Failed as e:
                                failed[tool.name] = str(e)
                                continue
                            if tool.name not in best or rate.taken > best[tool.name].taken:
                                best[tool.name] = rate
        reads = best["bare"].taken if "bare" in best else None
        for tool in tools:
            show(tool.name, best.get(tool.name), reads, b.why_not(tool) or failed.get(tool.name))
        b.measured = bool(best)
        print()
        ratio = lambda name, to: best[name].taken / best[to].taken if name in best and to in best else None
        print("outside over bare reads:      " + limits.reached(ratio("outside", "bare"), 0.5, at_least=True, form="%.3f"))
        print("outside over bare, slept:     " + limits.reached(ratio("outside", "bare slept"), 0.5, at_least=True, form="%.3f"))
        for peer in "py-spy", "tachyon":
            if ratio("outside", peer):
                print("outside over %-12s    %.2f" % (peer + ":", ratio("outside", peer)))
        return b.status()


if __name__ == "__main__":
    sys.exit(main())

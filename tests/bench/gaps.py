#!/usr/bin/env python3
"""Are the gaps between samples what they should be when the host is busy? A sampler that was delayed must not make up for
it by samples back to back: they all see the same moment of the program. One thread, 10 deep; beside it 8 processes that
burn CPU wherever the kernel puts them, the recorder not kept anywhere either; 100 Hz, 1 kHz and 10 kHz.

    reached/s   moments looked at per second
    short       gaps shorter than half of the interval that was asked for, beyond what the tool's gaps should give when
                nothing delays it, with a 95 % interval of counting. Below 0: it came late, and gave moments up instead of
                crowding them. Asked is <= 1 %
    behind      the same, only of gaps that follow one of more than 5 intervals, as often as they came: there a sampler
                that catches up shows (+60 % for exponential, +100 % for fixed gaps)
    of reached  as short, with the mean gap that was reached as the interval: above 0 for everybody on a busy host, for it
                is off its CPU for some ms, and samples as asked for while it is on it. It says how much less the samples are
                worth than as many that are spread evenly
    late/s      moments that had passed: skipped, and counted in the file; of tachyon: passes that failed

What should be. Outside, gaps are exponential: 39.35 % are shorter than half of the mean. This stays so when late moments
are skipped: exponential gaps have no memory, so the first one that has not passed is a random gap away from *now*,
whatever was skipped. A gap in the file is what the pass before took, plus this, plus what the wake-up was late: it can
only be longer than it should. So all that is beyond 39.35 % is crowding.
The kernel's samples on a clock of the thread's own are 3/4 to 5/4 of the interval of its CPU time apart: 0 % are shorter
than half. Below the CPUs' HZ a random choice of their ticks is taken: of 100 of 250, 40 % are followed by the next, which
is less than half of the interval away. Shown are gaps of wall time, which are at least as long. Tachyon's gaps are fixed: 0 %.
"""
import math
import statistics
import sys

sys.dont_write_bytecode = True
import limits  # noqa: E402
import rig  # noqa: E402
import ticktimes  # noqa: E402

LOAD = 8
STALL = 5  # intervals
FULL, QUICK = {100: 60, 1000: 20, 10000: 10}, {100: 6, 1000: 3, 10000: 3}


class Gaps:
    def __init__(self, gaps, rate, expected, late):
        if len(gaps) < 10:
            raise rig.Failed("only %d gaps" % len(gaps))
        self.n, self.hz, self.late = len(gaps), len(gaps) / sum(gaps), late
        share = ticktimes.share_below(gaps, 0.5 / rate)
        self.short, self.short_ci = share - expected, 1.96 * math.sqrt(max(share * (1 - share), 1 / self.n) / self.n)
        after = [b for a, b in zip(gaps, gaps[1:]) if a > STALL / rate]
        self.n_behind, self.behind = len(after), ticktimes.share_below(after, 0.5 / rate) - expected
        self.of_reached = ticktimes.share_below(gaps, statistics.mean(gaps) / 2) - expected


def expected_of_ticks(rate, kernel_hz):
    """of a random choice of the CPU's ticks: how many are followed by the next one within half of the interval"""
    within = math.ceil(kernel_hz / rate / 2) - 1
    return 1 - (1 - min(1, rate / kernel_hz)) ** within


def one(tool, program, rate, seconds):
    with limits.running(tool, program, rate, place="free") as run:
        run.sleep(seconds)
        run.end()
        if tool.name == "tachyon":
            gaps = ticktimes.of_tachyon(run.out)
            if gaps is None:
                raise rig.Failed("its file was not understood")
            looks, stacks = run.counts()
            return Gaps(gaps, rate, 0, looks - stacks / program.all_threads)
        recording = run.info()["recordings"][0]
        lost, lasted = recording["lost"], recording["duration_ns"] / 1e9
        if tool.engine == "outside":
            return Gaps(ticktimes.of_ticks(run.out), rate, ticktimes.HALF_OF_RANDOM, lost.get("late", 0) / lasted)
        on_ticks = "tick" in recording["engine_text"]
        return Gaps(ticktimes.of_events(run.out), rate, expected_of_ticks(rate, recording["kernel_hz"]) if on_ticks else 0,
                    lost.get("overrun", 0) / lasted)


def show(name, g, why):
    if not g:
        return print("  %-8s      -  %s" % (name, why))
    print("  %-8s %10.1f %6d  %+6.2f +- %.2f %%  %9s %6d %10s %9.1f   %s" % (
        name, g.hz, g.n, 100 * g.short, 100 * g.short_ci, "%+.1f %%" % (100 * g.behind) if g.n_behind else "-", g.n_behind,
        "%+.1f %%" % (100 * g.of_reached), g.late,
        limits.reached(100 * g.short, 1) if name in ("outside", "kernel") else ""), flush=True)


def main():
    p = limits.parser(__doc__, "outside,kernel,tachyon")
    p.add_argument("--load", type=int, default=LOAD, help="processes that burn CPU (%(default)s)")
    a = p.parse_args()
    with limits.Bench(a) as b:
        print("  %-8s %10s %6s  %17s  %9s %6s %10s %9s" % ("", "reached/s", "gaps", "short", "behind", "of", "of reached", "late/s"))
        for rate, seconds in (QUICK if a.quick else FULL).items():
            print("%d Hz, load %d, %d s each" % (rate, a.load, seconds))

            def measure(tool, python):
                with limits.busy(python, 10, 1, sleeping=0, cpus=set(rig.CPUS)) as program, limits.load(a.load):
                    return one(tool, program, rate, seconds)
            b.try_each(measure, show)
        return b.status()


if __name__ == "__main__":
    sys.exit(main())

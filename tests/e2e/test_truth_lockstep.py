# serial
# timeout: 1800
# (i) Programs in step with the CPU's tick, at a rate that the tick could give: their own clock says where the time went.
# And one that is not in step: there the tick is to be used, which costs nothing.
import json
from collections import Counter

import accounts
import harness as h
import recording

SECONDS = 12.0 if h.FULL else 6.0
POINTS = 0.02  # and four standard errors


def run(py, rate, seconds, *args):
    """-> (the recording, {function: CPU seconds meanwhile, as the program says})"""
    with h.Victim(py, "ontick.py", args, cpu=h.VICTIM_CPU) as v:
        def ask():
            v.say("so far?")
            return Counter(json.loads(v.line(30)))
        before = ask()
        rec = h.record(v.pid, seconds, rate, cpu=h.RECORD_CPU, engine="kernel").rec
        spent = ask()
        spent.subtract(before)
    h.note("%s; %s" % (rec.note("pyspy.engine"), h.cost(rec)))
    return rec, {k: s for k, s in spent.items() if s}


def shares(rec, spent):
    """what is reported beside what is true"""
    innermost = lambda r: next((f.name for f in reversed(r.stack) if f.name in spent), None)  # noqa: E731
    mine = [r for r in rec.runs if r.state == recording.ON_CPU and innermost(r)]
    for name in spent:
        got, se = accounts.share(mine, lambda r: innermost(r) == name)  # noqa: B023
        true = spent[name] / sum(spent.values())
        print("    %-10s reported %5.1f +- %.1f %%, true %5.1f %%" % (name, 100 * got, 100 * se, 100 * true), flush=True)
        h.check(abs(got - true) <= POINTS + 4 * se, "%s: reported %.1f %%, true %.1f %%" % (name, 100 * got, 100 * true))


def in_step(py, rate, *args):
    rec, spent = run(py, rate, SECONDS, *args)
    shares(rec, spent)


def out_of_step(py, rate):
    rec, spent = run(py, rate, SECONDS * 1.5, "free")
    shares(rec, spent)
    # in the end it is the tick, and a tenth of the clocks; at first it is the clocks
    by_tick, by_clock = h.count(rec, 19), h.count(rec, 20)
    h.check(by_tick > by_clock, "not in step with the tick, and %d samples by tick, %d by clock" % (by_tick, by_clock))


cases = []
for py in h.pythons(one_per_minor=True):
    for phase in (0, 0.25, 0.5, 0.75):
        # at the tick itself, quick form: test_truth_leaves.py
        if h.FULL or (py.minor, phase) == (11, 0.75):
            cases.append(("wakes %g ticks after the tick, %s" % (phase, py), in_step, py, 100, "wakes", phase))
    if h.FULL or py.minor == 13:
        # the handler has a fifth of the time, and no tick ever meets it
        cases.append(("ITIMER_PROF each 10 ms, %s" % py, in_step, py, 100, "profiled", 10, 2))
    if h.FULL or py.minor == 12:
        cases.append(("out of step, %s" % py, out_of_step, py, 100))

if __name__ == "__main__":
    h.main(cases)

# serial
# timeout: 3600
# (g) Where on the CPU: short leaves beside a witness in the target that disturbs nobody; programs with a rhythm beside
# their own clock; an event loop that polls. By the kernel engine, from outside, and by py-spy where it is there.
import json
import os
import shutil
import subprocess
from collections import Counter

import accounts
import harness as h
import recording

SECONDS = 15.0 if h.FULL else 1.5
SIZES = (25, 100, 1000, 10000, 100000, 1000000)
AGREE_FROM_NS = 1000


def shares_of(counts):
    """{function: (share within its size, standard error)}, {size: samples}"""
    out, n = {}, {}
    for size in SIZES:
        names = ["%s_%d" % (k, size) for k in ("leaf", "middle", "outer")]
        n[size] = sum(counts[x] for x in names)
        for x in names:
            p = counts[x] / max(n[size], 1)
            q = (counts[x] + 1) / (n[size] + 2)
            out[x] = p, (q * (1 - q) / max(n[size], 1)) ** 0.5
    return out, n


def leaf_counts(rec):
    counts, motion = Counter(), 0
    for r in rec.runs:
        if r.state in (recording.ON_CPU, recording.ACTIVE):
            counts[r.stack[-1].name] += r.ticks
            motion += r.ticks * (r.stack[-1] is recording.IN_MOTION)
    return counts, motion


def leaves(py, rates):
    """shares of leaf, middle, outer for leaves of each size; asserted where all must agree"""
    got = {}
    with h.Victim(py, "leaves.py", [h.build_witness()], cpu=h.VICTIM_CPU) as v:
        def witness():
            # it looks from the recorder's CPU, while nobody records
            for t in h.tids(v.pid):
                if t != v.pid:
                    os.sched_setaffinity(t, {h.RECORD_CPU})
            v.say("witness %g" % SECONDS)
            return Counter(json.loads(v.line(SECONDS + 60)))
        seen = witness()
        got["outside"], motion = leaf_counts(h.record(v.pid, SECONDS, 1000, cpu=h.RECORD_CPU).rec)
        for rate in rates:
            got["kernel %d Hz" % rate], _ = leaf_counts(h.record(v.pid, SECONDS * (1 if rate > 250 else 2), rate, cpu=h.RECORD_CPU, engine="kernel").rec)
        seen += witness()
    got = {"witness": seen, **got}
    table = {who: shares_of(c) for who, c in got.items()}
    h.note("%d looks of the witness, before and after; %.1f %% of the outside samples in motion" % (sum(seen.values()), 100.0 * motion / max(sum(got["outside"].values()), 1)))
    print("    %-16s %s" % ("", "".join("%22s" % who for who in table)))
    for size in SIZES:
        for k in ("leaf", "middle", "outer"):
            name = "%s_%d" % (k, size)
            print("    %-16s %s" % (name, "".join("%12.2f +- %4.2f %%" % tuple(100 * x for x in table[who][0][name]) for who in table)))
            true, true_se = table["witness"][0][name]
            for who in table:
                p, se = table[who][0][name]
                if who.startswith("kernel") and size >= AGREE_FROM_NS:
                    h.check(abs(p - true) <= 5 * (se ** 2 + true_se ** 2) ** 0.5 + 0.02, "%s, %s: %.2f %%, the witness says %.2f %%" % (name, who, 100 * p, 100 * true))
    for who in table:
        n = table[who][1]
        whole = sum(n.values())
        h.check(whole > 100, "%s: %d samples" % (who, whole))
        for size in SIZES:
            true = table["witness"][1][size] / max(sum(table["witness"][1].values()), 1)
            p = n[size] / max(whole, 1)
            if who.startswith("kernel"):
                allowed = 5 * (true * (1 - true) * (1 / whole + 1 / sum(table["witness"][1].values()))) ** 0.5 + 0.02
                h.check(abs(p - true) <= allowed, "leaves of %d ns take %.2f %% of the time by %s, the witness says %.2f %%" % (size, 100 * p, who, 100 * true))


def rhythm(py, rate, extra, shape, *args):
    """shares of CPU time between functions, the program's own clock says them; extra: what they may be off (absolute)"""
    with h.Victim(py, "rhythm.py", [shape] + list(args), cpu=h.VICTIM_CPU) as v:
        def ask():
            v.say("so far?")
            return Counter(json.loads(v.line(30)))
        before = ask()
        # the recorder finds out in the first second or so what it may trust
        rec = h.record(v.pid, max(SECONDS, 2.0 if rate > 250 else 6.0), rate, cpu=h.RECORD_CPU, engine="kernel").rec
        spent = ask()
        spent.subtract(before)
    names = [k for k, s in spent.items() if s]
    runs = [r for r in rec.runs if r.state == recording.ON_CPU]
    within = lambda name: lambda r: [f.name for f in r.stack if f.name in names][-1:] == [name]  # noqa: E731
    mine = [r for r in runs if any(within(k)(r) for k in names)]
    h.note("%s; %s; CPU time outside of the functions %.1f %%" % (rec.note("pyspy.engine"), h.cost(rec), 100 - 100 * sum(r.ns for r in mine) / max(sum(r.ns for r in runs), 1)))
    for k in names:
        got, se = accounts.share(mine, within(k))
        accounts.near("%s %s at %d Hz: %s" % (shape, " ".join(map(str, args)), rate, k), got, spent[k] / sum(spent.values()), se, extra)


def polling(py, rate, shape):
    """an asyncio program whose loop polls: how much of its time is select?"""
    with h.Victim(py, "polling.py", [shape], cpu=h.VICTIM_CPU) as v:
        def ask():
            v.say("so far?")
            return Counter(json.loads(v.line(30)))
        before = ask()
        rec = h.record(v.pid, SECONDS, rate, cpu=h.RECORD_CPU, engine="kernel").rec
        spent = ask()
        spent.subtract(before)
        outside = h.record(v.pid, SECONDS, rate, cpu=h.RECORD_CPU).rec
        others = pyspy_says(v.pid, rate)
    # the program's clock is read in Timed.select, around the standard library's
    timed = lambda r: any(f.name == "Timed.select" for f in r.stack)  # noqa: E731
    select = lambda r: r.stack[-1].name == "EpollSelector.select"  # noqa: E731
    main = [r for r in rec.runs if r.info["tid"] == v.pid]
    wall, wall_se = accounts.share(main, timed)
    on, on_se = accounts.share([r for r in main if r.state == recording.ON_CPU], timed)
    h.note(h.cost(rec))
    accounts.near("in select, of wall time, %d Hz" % rate, wall, spent["select"] / spent["wall"], wall_se, 0.03)
    accounts.near("in select, of CPU time, %d Hz" % rate, on, spent["select_cpu"] / spent["cpu"], on_se, 0.03)
    n = Counter(select(r) for r in outside.runs for _ in range(r.ticks) if r.info["tid"] == v.pid)
    h.note("share of the wall time with select as the leaf: the program %.1f %% at most, kernel %.1f %%, outside %.1f %%%s" % (
        100 * spent["select"] / spent["wall"], 100 * accounts.share(main, select)[0], 100.0 * n[True] / max(sum(n.values()), 1), others))


def pyspy_says(pid, rate):
    """py-spy's answer to the same question, for people"""
    where = shutil.which("py-spy") or os.path.join(os.environ.get("PYSPY_CACHE", "/var/tmp/pyspy-cache"), "py-spy", "bin", "py-spy")
    if not os.access(where, os.X_OK):
        return ""
    out = os.path.join(h.folder(), "py-spy.txt")
    p = subprocess.run([where, "record", "-i", "-p", str(pid), "-d", str(max(2, int(SECONDS))), "-r", str(rate), "-f", "raw", "-o", out],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60 + 3 * SECONDS)
    if p.returncode or not os.path.exists(out):
        return ", py-spy failed"
    n = Counter()
    with open(out) as f:
        for line in f:
            stack, count = line.rsplit(" ", 1)
            n[stack.rsplit(";", 1)[-1].startswith(("select (", "EpollSelector.select ("))] += int(count)
    return ", py-spy %.1f %%" % (100.0 * n[True] / max(sum(n.values()), 1))


# The kernel lets no clock go off within 10 us after its thread got a CPU; what it was to show there is shown at their end.
BURSTS = 0.10
cases = []
for py in h.pythons(one_per_minor=True):
    if h.FULL or py.minor == 13:
        cases.append(("leaves %s" % py, leaves, py, (100, 1000, 10000) if h.FULL else (1000, 10000)))
        cases.append(("bursts of 30 us %s, 10 kHz" % py, rhythm, py, 10000, BURSTS, "bursts", 10))
        cases.append(("polling %s, 1000 Hz" % py, polling, py, 1000, "polls"))
    for phase in (0, 1, 2, 3):
        # more of it: test_truth_lockstep.py
        if h.FULL or (py.minor, phase) == (12, 0):
            cases.append(("in step with the tick, %d ms later, %s" % (phase, py), rhythm, py, 100, 0.02, "tick", phase))
    if h.FULL:
        cases.append(("in step with the tick %s, 1000 Hz" % py, rhythm, py, 1000, 0.02, "tick", 0))
        for rate in (100, 1000):
            cases.append(("ITIMER_PROF %s, %d Hz" % (py, rate), rhythm, py, rate, 0.02, "profiled"))
            cases.append(("polling and waiting %s, %d Hz" % (py, rate), polling, py, rate, "waits"))
        cases.append(("bursts of 30 us %s" % py, rhythm, py, 100, BURSTS, "bursts", 10))
        cases.append(("bursts of 300 us %s, 1000 Hz" % py, rhythm, py, 1000, 0.02, "bursts", 100))
        cases.append(("polling %s" % py, polling, py, 100, "polls"))

if __name__ == "__main__":
    h.main(cases)

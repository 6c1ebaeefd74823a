# serial
# timeout: 3600
# (c) Programs that call as fast as they can and whose legal stacks are known: 0 impossible stacks. A legal stack's
# prefix followed by `[in motion]` is legal; the part in motion is printed.
import bisect
import json
import os
import re
from collections import Counter

import harness as h
import pyspy_reader as pr

ENOUGH = 100000 if h.FULL else 0
RATE = 20000
SECONDS = 1.0


class Legal:
    """which stacks the sources allow, and for which thread"""

    def __init__(self, sources, tids):
        self.lines, self.entries = {}, {}
        self.tids = {int(k): "t%d" % v for k, v in tids.items()}
        for path in sources:
            with open(path) as f:
                for n, line in enumerate(f, 1):
                    code, _, allowed = line.partition("# -> ")
                    self.lines[path, n] = set(allowed.split())
                    m = re.match(r"\s*(?:async )?def (\w+)\(.*# entry", line)
                    if m:
                        self.entries[path, m.group(1)] = True
        self.cache = {}

    def wrong(self, tid, stack):
        key = (tid, stack)
        if key not in self.cache:
            self.cache[key] = self._wrong(self.tids.get(tid), stack)
        return self.cache[key]

    def _wrong(self, thread, stack):
        """None, or what is impossible about it"""
        if any(f.kind == "synthetic" and f.name != "[in motion]" for f in stack):
            return "synthetic frame %s" % [f.name for f in stack if f.kind == "synthetic"]
        if pr.IN_MOTION in stack[:-1]:
            return "[in motion] in the middle"
        if stack[-1].kind == "synthetic":
            stack = stack[:-1]
        mine = [f for f in stack if (f.file, 1) in self.lines]
        colours = {f.name[-1] for f in mine if f.name[-2:] in ("_A", "_B")}
        if len(colours) > 1:
            return "colours mixed"
        owners = {re.search(r"_(t\d+)", f.name).group(1) for f in mine if "_t" in f.name}
        if owners - {thread}:
            return "functions of %s in thread %s" % (sorted(owners), thread)
        last = None
        for f in stack:
            if (f.file, 1) not in self.lines:
                if last is not None and "lib" not in self.lines[last.file, last.line]:
                    return "%s from line %d of %s" % (f.name, last.line, last.name)
                last = None
                continue
            if last is None:
                if (f.file, f.name) not in self.entries and f.name != "<module>":
                    return "%s is no entry" % f.name
            elif f.name not in self.lines.get((last.file, last.line), ()):
                return "%s from line %d of %s" % (f.name, last.line, last.name)
            # a generator that begins has instructions without a line (3.12)
            if f.line is None and f is not stack[-1]:
                return "%s: calls from no line" % f.name
            if f.line is not None and not f.first <= f.line <= f.first + 4:
                return "%s: line %d, begins at %d" % (f.name, f.line, f.first)
            last = f
        return None


def recordings(pid, first=SECONDS, enough=ENOUGH, free=False):
    """recordings of `first` seconds and more, until there are `enough` samples, or three minutes are over"""
    seconds, total, spent = first, 0, 0
    while True:
        r = h.record(pid, seconds, RATE, cpu=None if free else h.RECORD_CPU)
        yield r
        total, spent = total + r.rec.samples, spent + seconds
        if total >= enough or spent > 180 or not total:
            return
        seconds = min(60, 1 + 1.1 * spent * (enough - total) / total)


def torn(py, shape, threads, free=False):
    with h.Victim(py, "colours.py", [shape, threads, h.folder()], cpu=h.VICTIM_CPU) as v:
        facts = json.loads(" ".join(v.words))
        legal = Legal(facts["sources"], facts["tids"])
        samples = motion = 0
        names, wrongs, depth, leaves = Counter(), Counter(), Counter(), Counter()
        for r in recordings(v.pid, free=free):
            for run in r.rec.runs:
                if run.info["tid"] not in legal.tids:
                    h.check(False, "a thread that nobody started: %s" % run.info)
                    continue
                stack = run.stack
                samples += run.ticks
                if stack[-1] is pr.IN_MOTION:
                    motion += run.ticks
                else:
                    leaves[stack[-1].name] += run.ticks
                w = legal.wrong(run.info["tid"], stack)
                if w:
                    wrongs[w] += run.ticks
                    names[" ".join("%s:%s" % (f.name, f.line) for f in stack[-12:])] += 1
            h.note(h.cost(r.rec))
        bad = sum(wrongs.values())
        h.note("%d impossible in %d samples, %.2f %% in motion, %d leaves" % (
            bad, samples, 100.0 * motion / max(samples, 1), len(leaves)))
        h.check(not bad, "%d impossible stacks: %s, such as %s" % (bad, wrongs.most_common(4), names.most_common(3)))
        h.check(samples >= max(ENOUGH, 200), "only %d samples" % samples)
        # how much is proved depends on the host (a stop a tick at most, within a budget); that something is does not
        h.check(samples - motion >= 20, "%.0f %% of the %d samples are in motion: nothing was proved" % (100.0 * motion / max(samples, 1), samples))


def reused(py, kind):
    """code objects freed and made again at the same address"""
    slack = 0.1  # between a tick's clock and the read; a stale name is older than that
    near_slack = 0.01  # the same where turns are long and only two colours tell them apart
    with h.Victim(py, "reused.py", [kind], cpu=h.VICTIM_CPU) as v:
        main_tid = int(v.words[0])
        rs = list(recordings(v.pid, first=2.0))
        where = os.path.join(h.folder(), "turns.json")
        v.say(where)
        v.line()
        with open(where) as f:
            turns = json.load(f)
        begins = [t[0] for t in turns]
        samples = marked = motion = stale = 0
        wrongs, examples = Counter(), Counter()
        for r in rs:
            for run in r.rec.runs:
                if run.info["tid"] != main_tid:
                    continue
                samples += run.ticks
                stack = run.stack
                if run.doubted:
                    marked += run.ticks
                    continue
                motion += run.ticks * (stack[-1] is pr.IN_MOTION)
                mine = [f for f in stack if f.file[:1] == "x"]
                colours = {f.name[-1] for f in mine if f.name[-2:] in ("_A", "_B")}
                files = {f.file for f in mine}
                chain = [f.name[:-2] for f in mine if f.name != "<module>"]
                w = None
                if len(colours) > 1:
                    w = "colours mixed"
                elif len(files) > 1:
                    w = "files mixed"
                elif chain != ["top", "mid", "leaf"][:len(chain)]:
                    w = "order of calls"
                elif any(f.name in ("<module>",) for f in mine) and chain:
                    w = "module and function"
                elif colours and kind == "files" and "AB"[int(mine[0].file[1:]) & 1] not in colours:
                    w = "name of one turn, file of another"
                elif mine:
                    for t in run.when:
                        t /= 1e9
                        if kind == "files":
                            i = int(mine[0].file[1:])
                            ok = i >= len(turns) or turns[i][0] - slack <= t <= turns[i][1] + slack
                        elif colours:
                            i = bisect.bisect(begins, t) - 1
                            near = range(max(0, i - 1), min(len(turns), i + 2))
                            ok = i >= len(turns) - 2 or any("AB"[k & 1] in colours and turns[k][0] - near_slack <= t <= turns[k][1] + near_slack for k in near)
                        else:
                            ok = True
                        stale += not ok
                if w:
                    wrongs[w] += run.ticks
                    examples[" ".join("%s:%s:%s" % (f.name, f.file, f.line) for f in mine)] += 1
            h.note(h.cost(r.rec))
        h.note("%d turns, %d samples, %d wrong, %d not true at their time, %.2f %% marked as not proved, %.2f %% in motion, %d stacks" % (
            len(turns), samples, sum(wrongs.values()), stale, 100.0 * marked / max(samples, 1), 100.0 * motion / max(samples, 1),
            sum(b["stacks"] for r in rs for b in r.rec.blocks)))
        h.check(not wrongs, "%s of %d samples: such as %s" % (dict(wrongs), samples, examples.most_common(3)))
        # a recorder that loses its CPU between the clock and the read is allowed, stale names would be every third sample
        h.check(stale <= 0.002 * samples + 2, "%d of %d samples tell what was not true at their time" % (stale, samples))
        h.check(samples > 500, "only %d samples" % samples)


cases = []
for py in h.pythons():
    for shape in ("chains", "tree", "helpers", "generators", "asyncio"):
        for threads in (1, 4):
            if h.FULL or threads == 1 or py.minor == 13 or shape in ("helpers", "generators"):
                cases.append(("torn %s %s, %d threads" % (py, shape, threads), torn, py, shape, threads))
    # the recorder free to go where the target is (pyspy-record/sample/hold.h), as users have it; else each has a CPU
    for shape in ("helpers", "generators", "asyncio"):
        for threads in (1, 4):
            if h.FULL or threads == 1 and (py.minor == 13 or shape == "generators"):
                cases.append(("torn %s %s, %d threads, free" % (py, shape, threads), torn, py, shape, threads, True))
    for kind in ("files", "same"):
        if h.FULL or kind == "files" or py.minor == 12:
            cases.append(("reused %s %s" % (py, kind), reused, py, kind))

if __name__ == "__main__":
    h.main(cases)

"""Which stacks can have been: judges of recordings whose target knows it (tests/targets/colours.py and reused.py).

    seen = legal.Seen()
    legal.judge_colours(rec, legal.Legal(...), seen, "kernel")
"""
import bisect
import re
from collections import Counter

import recording


class Seen:
    """what was found in recordings so far, in samples; whole: of threads on a CPU, and the whole stack was judged; unknown: no stack
    could be made; motion: the part that is not certain was left out; marked: a code object is not proved, and the file says so;
    stale: not true at their time"""

    def __init__(self):
        self.samples = self.whole = self.motion = self.unknown = self.cut = self.marked = self.stale = self.depth = 0
        self.wrongs, self.leaves, self.examples = Counter(), Counter(), Counter()
        self.strangers = []  # threads that nobody started

    @property
    def bad(self):
        return sum(self.wrongs.values())


class Legal:
    """Which stacks the sources allow, and for which thread. A stack is judged frame by frame from the root, as a state that
    each frame changes, so that what many stacks have in common is judged once."""
    EMPTY = (None, "", 0, False, None)  # the last frame of the sources, colour, how often it came in a row, line unknown, what is wrong

    def __init__(self, sources, tids, qualified, outside):
        self.lines, self.entries, self.times = {}, {}, {}
        self.tids = {int(k): "t%d" % v for k, v in tids.items()}
        for path in sources:
            with open(outside(path)) as f:
                for n, line in enumerate(f, 1):
                    code, _, allowed = line.partition("# -> ")
                    self.lines[path, n] = {name if qualified else name.rsplit(".", 1)[-1] for name in allowed.split()}
                    m = re.match(r"\s*(?:async )?def (\w+)\(.*# entry", line)
                    if m:
                        self.entries[path, m.group(1)] = True
                    m = re.match(r"\s*def (\w+)\(.*# times ([\d ]+)", line)
                    if m:
                        self.times[path, m.group(1)] = set(map(int, m.group(2).split()))
        self.cache = {}

    def wrong(self, run):
        """None, or what is impossible about its stack"""
        e, sid, certain = run.epoch, run.sid, run.way != recording.OUTSIDE
        while not certain and sid and not e.certain(sid):
            sid = e.stacks[sid][0]  # the rest is [in motion]
        if not sid:
            return "no frame" if certain else None
        return self.state(e, sid, self.tids.get(run.info["tid"]), bool(run.flags & recording.CUT))[-1]

    def state(self, epoch, sid, thread, cut):
        todo, state = [], self.EMPTY
        while sid:
            state = self.cache.get((id(epoch), sid, thread, cut))
            if state:
                break
            todo.append(sid)
            sid, state = epoch.stacks[sid][0], self.EMPTY
        for sid in reversed(todo):
            f = epoch.frame(epoch.locations[epoch.stacks[sid][1]])
            # of a stack that was cut any function may come first, as often as it likes
            begins = cut and state is self.EMPTY and (f.file, 1) in self.lines
            colour = f.name[-1] if f.name[-2:] in ("_A", "_B") else ""
            state = (f, colour, -1, f.line is None, None) if begins else state if state[-1] else self.next(state, f, thread)
            self.cache[id(epoch), sid, thread, cut] = state
        return state

    def next(self, state, f, thread):
        last, colour, times, unknown, _ = state

        def wrong(text):
            return last, colour, times, unknown, text
        if f.kind == "synthetic":
            return wrong("synthetic frame %s" % f.name)
        if unknown:
            return wrong("%s: calls from no line" % last.name)
        if (f.file, 1) not in self.lines:
            if last is not None and "lib" not in self.lines[last.file, last.line]:
                return wrong("%s from line %s of %s" % (f.name, last.line, last.name))
            return None, colour, 0, False, None
        mine = f.name[-1] if f.name[-2:] in ("_A", "_B") else colour
        owner = re.search(r"_(t\d+)", f.name)
        if colour and mine != colour:
            return wrong("colours mixed")
        if owner and owner.group(1) != thread:
            return wrong("functions of %s in thread %s" % (owner.group(1), thread))
        if last is None:
            if (f.file, f.name) not in self.entries and f.name != "<module>":
                return wrong("%s is no entry" % f.name)
        elif f.name not in self.lines.get((last.file, last.line), ()):
            return wrong("%s from line %s of %s" % (f.name, last.line, last.name))
        elif last.name != f.name and times > 0 and times not in self.times.get((last.file, last.name), {times}):
            return wrong("%s comes %d times" % (last.name, times))
        if f.line is not None and not f.first <= f.line <= f.first + 4:
            return wrong("%s: line %d, begins at %d" % (f.name, f.line, f.first))
        # a generator that begins has instructions without a line (3.12)
        return f, mine, times + (times > 0) if last is not None and last.name == f.name else 1, f.line is None, None


def told(run):
    """its stack in a line: repeated frames once"""
    out = []
    for f in run.stack:
        text = "%s:%s" % (f.name, f.line)
        if out and out[-1][0] == text:
            out[-1][1] += 1
        else:
            out.append([text, 1])
    if len(out) > 24:
        out[10:-12] = [["... %d more" % (len(out) - 22), 1]]
    return "way %d, state %d: %s" % (run.way, run.state, " ".join(text if n == 1 else "%s x%d" % (text, n) for text, n in out))


def judge_colours(rec, legal, seen, engine):
    for run in rec.runs:
        if run.info["tid"] not in legal.tids:
            seen.strangers.append(run.info)
            continue
        seen.samples += run.ticks
        seen.cut += run.ticks * bool(run.flags & recording.CUT)
        w = legal.wrong(run)
        if engine == "kernel" and run.stack[-1].name in ("[torn]", "[no Python frame]"):
            seen.unknown += run.ticks
        elif w:
            seen.wrongs[w] += run.ticks
            seen.examples[told(run)] += run.ticks
        elif run.stack[-1] is recording.IN_MOTION:
            seen.motion += run.ticks
        else:
            seen.whole += run.ticks * (run.state in (recording.ON_CPU, recording.ACTIVE))
            seen.leaves[run.stack[-1].name] += run.ticks
            seen.depth = max(seen.depth, len(run.stack))


SLACK = 0.1  # between a tick's clock and the read; a stale name is older than that
NEAR_SLACK = 0.01  # the same where turns are long and only two colours tell them apart


def judge_turns(rec, tid, turns, kind, seen):
    """of reused.py; turns: [(begin, end)] by its clock"""
    begins = [t[0] for t in turns]
    for run in rec.runs:
        if run.info["tid"] != tid:
            continue
        seen.samples += run.ticks
        stack = run.stack
        if stack[-1].name == "[torn]":
            seen.unknown += run.ticks
            continue
        if run.doubted:
            seen.marked += run.ticks
            continue
        seen.motion += run.ticks * (stack[-1] is recording.IN_MOTION)
        seen.whole += run.ticks * (stack[-1] is not recording.IN_MOTION and run.state in (recording.ON_CPU, recording.ACTIVE))
        mine = [f for f in stack if f.file[:1] == "x"]
        colours = {f.name[-1] for f in mine if f.name[-2:] in ("_A", "_B")}
        w = wrong_turn(mine, colours, kind)
        if w:
            seen.wrongs[w] += run.ticks
            seen.examples[" ".join("%s:%s:%s" % (f.name, f.file, f.line) for f in mine)] += 1
        elif mine:
            seen.stale += sum(not was_true(t / 1e9, mine, colours, turns, begins, kind) for t in run.when)


def wrong_turn(mine, colours, kind):
    """what no turn can have had, or None; mine: frames of the code that is made again and again"""
    chain = [f.name[:-2] for f in mine if f.name != "<module>"]
    if len(colours) > 1:
        return "colours mixed"
    if len({f.file for f in mine}) > 1:
        return "files mixed"
    if chain != ["top", "mid", "leaf"][:len(chain)]:
        return "order of calls"
    if any(f.name in ("<module>",) for f in mine) and chain:
        return "module and function"
    if colours and kind == "files" and "AB"[int(mine[0].file[1:]) & 1] not in colours:
        return "name of one turn, file of another"
    return None


def was_true(t, mine, colours, turns, begins, kind):
    """whether a turn around this moment had these names"""
    if kind == "files":
        i = int(mine[0].file[1:])
        return i >= len(turns) or turns[i][0] - SLACK <= t <= turns[i][1] + SLACK
    if not colours:
        return True
    i = bisect.bisect(begins, t) - 1
    near = range(max(0, i - 1), min(len(turns), i + 2))
    return i >= len(turns) - 2 or any("AB"[k & 1] in colours and turns[k][0] - NEAR_SLACK <= t <= turns[k][1] + NEAR_SLACK for k in near)

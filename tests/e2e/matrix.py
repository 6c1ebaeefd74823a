#!/usr/bin/env python3
"""The support matrix: every interpreter that is to be had here, recorded by both engines, against its own word.

    make matrix            every interpreter (scripts/get-pythons); about 6 s for each and engine
    tests/e2e/matrix.py [--quick] [--markdown] [--engine kernel|outside] [--seconds S] [PATTERN]
        --quick: what `make check` has, by the engines in turn; PATTERN: only interpreters whose name matches it

A row for each interpreter and engine. tests/targets/mixture.py parks threads in known places, says what sys._current_frames
(and co_positions, threading) say of them, and then works with known shares. Compared are:
    found      what the image offers to find the interpreter by: symbols, the section .PyRuntime, or nothing (a scan)
    version    PY_VERSION_HEX, and whether it is a debug or a free-threaded build
    threads    all that the interpreter knows were recorded, and no other; with their OS thread ids
    names      threading's names; the kernel's for a thread that threading does not know
    functions  frames of the parked threads: qualified name (2.x to 3.10: name), file, first line, module
    lines      the line of each of these frames
    columns    end line and columns of each of them (3.11 and later)
    gil        looks at the working thread that say that it has the GIL; no parked thread may have it. Without a GIL: nobody
    impossible samples of the working thread with a stack that the program cannot have, of how many
    shares     the part of work_A by our samples, by the program's own clock, and what chance may add
A version and build that the table of layouts has and no interpreter here is a row too: `skipped`. Exit status 1: a row failed.
"""
import argparse
import math
import os
import re
import struct
import subprocess
import sys
from collections import Counter

import harness as h
import pyspy_reader as pr
import recording
from pythons import interpreters

COLUMNS = ("found", "version", "threads", "names", "functions", "lines", "columns", "gil", "impossible", "shares")
HOLDS = 0.95  # of the working thread's samples that must have the GIL
SLACK = 0.02
TARGET = os.path.join(h.TARGETS, "mixture.py")


# ---------------------------------------------------------------- how it can be found

def symbols(path):
    """names in .dynsym and .symtab, and sections, of an ELF file (64 bit, little-endian)"""
    with open(path, "rb") as f:
        data = f.read()
    names, found = set(), set()
    at, = struct.unpack_from("<Q", data, 40)
    _, n, strings = struct.unpack_from("<HHH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, at + k * 64) for k in range(n if at else 0)]
    for s in sections:
        text = sections[strings][4] + s[0]
        names.add(data[text:data.index(b"\0", text)].decode())
        if s[1] in (2, 11):
            link = sections[s[6]]
            table = data[link[4]:link[4] + link[5]]
            for off in range(s[4], s[4] + s[5], 24):
                name, _, _, shndx, value = struct.unpack_from("<IBBHQ", data, off)
                if shndx and value:
                    found.add(table[name:table.index(b"\0", name)].decode("ascii", "replace"))
    return found, names


def how_found(py, pid):
    with open("/proc/%d/maps" % pid) as f:
        paths = {line.split(None, 5)[5].rstrip("\n") for line in f if len(line.split(None, 5)) > 5}
    exe = os.readlink("/proc/%d/exe" % pid)
    best = "scan"
    for path in paths:
        if path != exe and "libpython" not in path:
            continue
        inside = "/proc/%d/root%s" % (pid, path)  # maps and exe say where it is for us, but for a mount namespace of its own
        try:
            names, sections = symbols(path if os.path.exists(path) else inside)
        except (OSError, struct.error, IndexError, ValueError):
            continue
        if "_PyRuntime" in names or {"interp_head", "_PyThreadState_Current"} <= names:
            return "symbols"
        if ".PyRuntime" in sections:
            best = "section"
    return best


# ---------------------------------------------------------------- the truth

class Truth:
    def __init__(self, v):
        self.threads, self.hex, self.build, self.gil = [], 0, 0, 1
        while True:
            w = v.line(30).split("\t")
            if w[0] == "version":
                self.hex, self.build, self.gil = int(w[1]), int(w[2]), int(w[3])
            elif w[0] == "thread":
                self.threads.append(dict(ident=int(w[1]), tid=int(w[2]), name=w[3], frames=[]))
            elif w[0] == "frame":
                self.threads[-1]["frames"].append((w[1], w[2], int(w[3]), int(w[4]), w[5], w[6]))
            elif w[0] == "end":
                return
            else:
                raise h.Failure("the program said %r" % w)


class Row:
    def __init__(self, py, engine):
        self.py, self.engine, self.cells, self.wrong, self.skipped = py, engine, {}, [], ""

    def put(self, column, text, ok=True, why=""):
        self.cells[column] = text
        if not ok:
            self.wrong.append("%s: %s" % (column, why or text))

    @property
    def verdict(self):
        return "skipped: " + self.skipped if self.skipped else "FAILED" if self.wrong else "passed"


def record(row, pid, seconds, rate):
    out = os.path.join(h.folder(), "x.pyspy")
    p = h.start([h.RECORD, "-q", "-p", str(pid), "-d", str(seconds), "-r", str(rate), "--engine", row.engine, "-o", out],
                cpu=h.RECORD_CPU if row.engine == "kernel" else None,  # from outside it holds the CPU of a thread in motion
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        err = p.communicate(timeout=seconds * 3 + 30)[1].decode("utf-8", "replace").strip()
    except subprocess.TimeoutExpired:
        h.stop(p)
        raise h.Failure("the recorder did not end")
    if p.returncode:
        raise h.Failure("the recorder ended with %d: %s" % (p.returncode, err.split("\n")[-1][-200:]))
    rec = pr.read(out)
    if rec.problems:
        raise h.Failure("the recording breaks FORMAT.md: %s" % rec.problems[0])
    return rec


# ---------------------------------------------------------------- parked

def compare_frames(truth, by_tid):
    """-> frames compared, {what: how many differ}, {what: the first one that does}"""
    n, bad, first = 0, Counter(), {}

    def differs(what, text):
        bad[what] += 1
        first.setdefault(what, text)

    for t in truth.threads:
        want = t["frames"]
        if not want:
            continue
        n += len(want)
        runs = by_tid.get(t["tid"], [])
        stacks = {run.stack for run in runs}
        if not stacks:
            for what in ("functions", "lines", "columns"):
                bad[what] += len(want)
                first.setdefault(what, "thread %s has no sample" % t["name"])
        for got in list(stacks)[:1] if len(stacks) == 1 else stacks:
            if len(got) != len(want):
                differs("functions", "thread %s: %d frames (%s), truth %d" % (t["name"], len(got), " ".join(f.name for f in got)[-120:], len(want)))
                bad["lines"] += len(want)
                continue
            for f, (name, file, start, line, module, where) in zip(got, want):
                if (f.name, f.file, f.first, f.module) != (name, file, start, module):
                    differs("functions", "%r, truth %r" % ((f.name, f.file, f.first, f.module), (name, file, start, module)))
                if f.line != line:
                    differs("lines", "%s: line %s, truth %d" % (name, f.line, line))
                place = "-" if f.col is None else "%d:%d:%d" % (f.end_line, f.col, f.end_col)
                if place != where:
                    differs("columns", "%s line %d: %s, truth %s" % (name, line, place, where))
    return n, bad, first


def parked(row, truth, pid, seconds):
    rec = record(row, pid, seconds, 100)
    by_tid = rec.by_tid()
    threads = {t["tid"]: t for t in rec.threads().values()}
    p = [p for p in rec.processes().values() if p["pid"] == pid]
    got = (p[0]["version_hex"], p[0]["build"]) if p else None
    row.put("version", "%x" % got[0] if got else "-", got == (truth.hex, truth.build),
            got and "%x build %d, truth %x build %d" % (got + (truth.hex, truth.build)))
    want = {t["tid"] for t in truth.threads}
    seen = want & set(by_tid)
    row.put("threads", "%d/%d" % (len(seen), len(want)), set(by_tid) == want, "%s, truth %s" % (sorted(by_tid), sorted(want)))
    named, why = 0, ""
    for t in truth.threads:
        g = threads.get(t["tid"])
        if g and (g["flags"] & 2 if t["name"] == "-" else g["name"] == t["name"] and not g["flags"] & 2):
            named += 1
        elif g:
            why = "%r flags %d, truth %r" % (g["name"], g["flags"], t["name"])
    row.put("names", "%d/%d" % (named, len(want)), named == len(want), why or "threads are missing")
    n, bad, first = compare_frames(truth, by_tid)
    if not n:
        raise h.Failure("the program told no frames")
    has_columns = truth.hex >= 0x030B0000
    for what in ("functions", "lines", "columns"):
        if what != "columns" or has_columns:
            row.put(what, "%d/%d" % (max(0, n - bad[what]), n), not bad[what], first.get(what, "%d differ" % bad[what]))
        else:
            row.put(what, "none" if not bad[what] else "%d" % bad[what], not bad[what], first.get(what, ""))
    return sum(run.gil for runs in by_tid.values() for run in runs)


# ---------------------------------------------------------------- working

def read_allowed():
    allowed = {}
    with open(TARGET, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            allowed[n] = set(line.partition("# -> ")[2].split())
    return allowed


ALLOWED = read_allowed()


def impossible(stack, file):
    """None, or what is wrong with it"""
    colours = {f.name[-1] for f in stack if f.name[-2:] in ("_A", "_B")}
    if len(colours) > 1:
        return "colours mixed: " + " ".join(f.name for f in stack)
    if stack[-1] is recording.IN_MOTION:
        stack = stack[:-1]
    for a, b in zip(stack, stack[1:]):
        called = "lib" if b.file != file else b.name
        if a.file == file and (a.line is None or called not in ALLOWED.get(a.line, ())):
            return "%s from line %s of %s" % (b.name, a.line, a.name)
        if b.kind != "python":
            return "frame %s" % b.name
    if stack and (stack[0].name != "<module>" or stack[0].kind != "python"):
        return "%s is outermost" % stack[0].name
    return None


def working(row, truth, v, pid, seconds, held_when_parked, attempts=3):
    main = pid
    v.say("busy %g" % (seconds + 1.2))
    rec = record(row, pid, seconds, 1000)
    w = v.line(30).split("\t")
    if w[0] != "account":
        raise h.Failure("the program said %r" % w)
    own = float(w[1]) / (float(w[1]) + float(w[2]))
    file = [t for t in truth.threads if t["tid"] == main][0]["frames"][0][1]
    runs = [r for r in rec.by_tid().get(main, []) if r.state in (recording.ON_CPU, recording.ACTIVE)]
    others = sum(r.ticks for tid, rs in rec.by_tid().items() for r in rs if tid != main and r.gil)
    # From outside one look at a stack counts once, however long the thread then lacked a CPU: the program's account is of CPU time.
    weight = (lambda r: r.ns) if rec.timed else (lambda r: 1)
    n = len(runs)
    if n < 200 and attempts > 1:  # a machine that is busy with other things
        return working(row, truth, v, pid, 2 * seconds, held_when_parked, attempts - 1)
    if n < 200:
        row.put("impossible", "%d samples" % n, False, "only %d samples of the thread that works; by thread and state: %s" % (
            n, dict(Counter((r.info["tid"] == main, r.state) for r in rec.runs))))
        return
    wrongs, total, in_a, known, motion = Counter(), 0, 0, 0, 0
    for r in runs:
        total += weight(r)
        names = {f.name for f in r.stack}
        motion += weight(r) if r.stack[-1] is recording.IN_MOTION else 0
        if "[torn]" in names or not r.stack:
            continue
        why = impossible(r.stack, file)
        if why:
            wrongs[why] += 1
        if names & {"work_A", "work_B"}:
            known += weight(r)
            in_a += weight(r) if "work_A" in names else 0
    row.put("impossible", "%d of %d" % (sum(wrongs.values()), n), not wrongs, "%d of %d: %s" % (
        sum(wrongs.values()), n, "; ".join("%d x %s" % (k, w) for w, k in wrongs.most_common(3))))
    # by looks, not by time: one that lost its CPU just when it had given up the GIL (2.x does so all the time) stands like that for long
    gil = sum(r.gil for r in runs) / len(runs)
    if truth.gil:
        row.put("gil", "%.1f %%" % (100 * gil), gil >= HOLDS and not others and not held_when_parked,
                "%.1f %% of the looks at the working thread show it, %d of other threads', %d while all were parked; without it: %s" % (
                    100 * gil, others, held_when_parked, Counter((r.state, r.way, r.stack[-1].name) for r in runs if not r.gil).most_common(4)))
    else:
        row.put("gil", "no GIL", not gil and not others, "%.1f %% of the samples have a GIL that there is not" % (100 * gil))
    if known < 0.5 * total:
        row.put("shares", "-", False, "only %.1f %% of the samples can be told" % (100 * known / total))
        return
    got = in_a / known
    bound = 4.5 * math.sqrt(own * (1 - own) / n) + SLACK
    row.put("shares", "%.1f (%.1f +- %.1f)" % (100 * got, 100 * own, 100 * bound), abs(got - own) <= bound,
            "work_A %.1f %%, by the program's own account %.1f %% +- %.1f" % (100 * got, 100 * own, 100 * bound))


def run(py, engines, seconds):
    rows = [Row(py, e) for e in engines]
    try:
        with h.Victim(py, "mixture.py", cpu=h.VICTIM_CPU, timeout=30, stderr=subprocess.PIPE) as v:
            truth = Truth(v)
            pid = v.pid if not py.root else v.p.pid
            found = how_found(py, pid)
            for row in rows:
                if row.engine == "kernel":
                    try:
                        h.need_kernel()
                    except h.Skip as e:
                        row.skipped = str(e)
                        continue
                row.put("found", found)
                try:
                    held = parked(row, truth, pid, 1)
                    working(row, truth, v, pid, seconds, held)
                except (h.Failure, pr.Damage) as e:
                    row.wrong.append(str(e))
                    if not v.alive():
                        row.wrong.append("the program has ended: %s" % v.p.returncode)
                        break
    except h.Failure as e:
        for row in rows:
            if not row.cells and not row.skipped:
                row.wrong.append("the program: %s" % e)
    return rows


# ---------------------------------------------------------------- what is not here

def lacking(have):
    """versions and builds with a layout of which no interpreter is here"""
    out = []
    with open(os.path.join(h.ROOT, "pyspy-record", "python", "layout_table.inc")) as f:
        for version, build in re.findall(r"as in (\d+\.\d+)\.\d+ ([\w-]+) \*/", f.read()):
            if (version, build) not in have and (version, build) not in out:
                out.append((version, build))
    return out


def table(rows, markdown):
    head = ("interpreter", "build", "kind", "engine") + COLUMNS + ("verdict",)
    lines = []
    for r in rows:
        where = r.py.kind + (" " + os.path.basename(r.py.root) if r.py.root else "")
        lines.append((r.py.text, r.py.build, where, r.engine) + tuple(r.cells.get(c, "-") for c in COLUMNS) + (r.verdict,))
    widths = [max(len(x[i]) for x in lines + [head]) for i in range(len(head))]
    if markdown:
        print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        for line in lines:
            print("| " + " | ".join(line) + " |")
        return
    for line in [head] + lines:
        print("  ".join(x.ljust(w) for x, w in zip(line, widths)).rstrip())


class Absent:
    def __init__(self, version, build):
        self.text, self.build, self.kind, self.root, self.name = version, build, "-", None, "%s-%s" % (version, build)


def main():
    ap = argparse.ArgumentParser(usage="matrix.py [--quick] [--markdown] [--engine NAME] [--seconds S] [PATTERN]")
    ap.add_argument("--quick", action="store_true")
    ap.add_argument("--markdown", action="store_true")
    ap.add_argument("--engine", choices=("outside", "kernel"))
    ap.add_argument("--seconds", type=float, default=1.5)
    ap.add_argument("pattern", nargs="?", default="")
    a = ap.parse_args()
    if not a.quick:
        os.environ["PYSPY_FULL"] = "1"
    all_of_them = interpreters()
    engines = (a.engine,) if a.engine else ("outside", "kernel")
    rows = []
    for n, py in enumerate(all_of_them):
        if re.search(a.pattern, py.name):
            for row in run(py, engines[n % len(engines):][:1] if a.quick else engines, a.seconds):
                rows.append(row)
                print("%s, %s: %s" % (row.py, row.engine, row.verdict), file=sys.stderr)
                for why in row.wrong:
                    print("    " + why, file=sys.stderr)
    if not a.pattern:
        for version, build in lacking({("%d.%d" % p.version[:2], p.build) for p in all_of_them}):
            row = Row(Absent(version, build), "-")
            row.skipped = "not here; its layout comes from headers, and is tested on made-up memory"
            rows.append(row)
    table(rows, a.markdown)
    print()
    for row in rows:
        for why in row.wrong:
            print("FAILED %s %s: %s" % (row.py.name, row.engine, why))
    failed = sum(bool(r.wrong) for r in rows)
    skipped = sum(bool(r.skipped) for r in rows)
    passed = len(rows) - failed - skipped
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

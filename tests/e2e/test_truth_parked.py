# serial
# (a) Threads parked in known nested calls: names, modules, files, lines, columns, thread names and process facts equal
# what the interpreter says of itself, 0 differences, in our own reader's eyes and in `pyspy-report raw`.
import json
import os
import time
from collections import Counter

import harness as h
import recording


def cut_ok(got, want):
    """FORMAT.md 3.2: a string that was cut ends in U+2026"""
    return got == want or (len(want) > 2000 and got.endswith("\u2026") and len(got) > 1000 and want.startswith(got[:-1]))


def frame_difference(got, want):
    name, module, file, first, line, line2, end, col, end_col = want
    if line2 is not None and line != line2:
        return "f_lineno %s but co_positions %s (test)" % (line, line2)
    for what, g, w in (("kind", got.kind, "python"), ("first line", got.first, first), ("line", got.line, line)):
        if g != w:
            return "%s %r, truth %r" % (what, g, w)
    for what, g, w in (("name", got.name, name), ("module", got.module, module), ("file", got.file, file)):
        if not cut_ok(g, w):
            return "%s %r, truth %r" % (what, g[:200], w[:200])
    if col is None:
        if got.col is not None:
            return "columns %r, truth has none" % (got[6:],)
    elif (got.end_line, got.col, got.end_col) != (end, col, end_col):
        return "end line and columns %r, truth %r" % ((got.end_line, got.col, got.end_col), (end, col, end_col))
    return None


def stack_difference(got, want):
    if len(got) != len(want):
        def short(f):
            return f.name if isinstance(f, recording.Frame) else f[0]
        return "%d frames, truth %d: %s ... truth %s ..." % (len(got), len(want), [short(f)[:60] for f in got[:12]], [short(f)[:60] for f in want[:12]])
    for i, (g, w) in enumerate(zip(got, want)):
        d = frame_difference(g, w)
        if d:
            return "frame %d of %d, %s (%s:%s): %s" % (i, len(got), w[0][:60], w[2][-60:], w[4], d)
    return None


# libcommon/escape.h, written again
def unsafe(c):
    return (c < 0x20 or 0x7F <= c <= 0x9F or c in (0x61C, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF) or 0x202A <= c <= 0x202E or
            0x2066 <= c <= 0x2069 or 0xD800 <= c <= 0xDFFF or 0xFDD0 <= c <= 0xFDEF or c & 0xFFFE == 0xFFFE)


def escaped(s):
    out = []
    for ch in s:
        c = ord(ch)
        if ch in "\n\t\r":
            out.append({"\n": "\\n", "\t": "\\t", "\r": "\\r"}[ch])
        elif ch == ";" or (c < 0x80 and unsafe(c)):
            out.append("\\x%02x" % c)
        elif unsafe(c):
            out.append("\\u%04x" % c if c < 0x10000 else "\\U%08x" % c)
        else:
            out.append(ch)
    return "".join(out)


def text(name, file, line):
    """a frame as `raw` shows it"""
    where = " (%s%s)" % (file, "" if line is None else ":%d" % line) if file else ""
    return escaped((name or "<unknown>") + where)


def snap(v, folder):
    """folder: as py.folder() gives it"""
    v.say("snap " + os.path.join(folder[1], "truth.json"))
    if v.line(60) != "snapped":
        raise h.Failure("the victim did not write its truth")
    with open(os.path.join(folder[0], "truth.json")) as f:
        return json.load(f)


def compare(py, truth, r, v):
    rec = r.rec
    by_tid = rec.by_tid()
    threads = {t["tid"]: t for t in rec.threads().values()}
    differences = Counter()
    frames = 0

    def wrong(kind, text):
        differences[kind] += 1
        if differences[kind] <= 6:
            h.check(False, "%s: %s" % (kind, text))

    # what the samples of a thread that is there all the time add up to: ticks, or wall time in samples' worth
    begin, end = rec.blocks[0]["begin"], rec.blocks[-1]["end"]
    gap = rec.epochs[0].recording["gap_ns"]
    whole_of = (lambda runs: sum(run.ns for run in runs)) if rec.timed else (lambda runs: sum(run.ticks for run in runs))
    want_whole, allowed = (end - begin, 0.01 * (end - begin)) if rec.timed else (rec.ticks, 0)
    want_raw, allowed_raw = ((end - begin) / gap, 0.01 * (end - begin) / gap + 1) if rec.timed else (rec.ticks, 0)
    want_tids = {t["tid"] for t in truth["threads"]}
    for tid in set(by_tid) - want_tids:
        wrong("thread", "tid %d was recorded, the interpreter does not know it: %s" % (tid, [f.name for f in by_tid[tid][0].stack][-3:]))
    for t in truth["threads"]:
        if t["oracle"]:
            continue
        tid, case = t["tid"], t["case"]
        if tid not in by_tid:
            wrong("thread", "%s (tid %d) has no sample" % (case, tid))
            continue
        frames += len(t["frames"])
        for run in by_tid[tid]:
            d = stack_difference(run.stack, t["frames"])
            if d:
                wrong("stack", "%s, way %d: %s" % (case, run.way, d))
                break
        for run in by_tid[tid]:
            if run.state != recording.SLEEPING or run.gil or run.way == recording.OUTSIDE or run.flags & (recording.CUT | recording.DOUBTED | recording.FAILED):
                wrong("flags", "%s: flags %#x for a thread that sleeps" % (case, run.flags))
                break
        n = whole_of(by_tid[tid])
        if abs(n - want_whole) > allowed:
            wrong("samples", "%s: its samples add up to %d, not %d" % (case, n, want_whole))
        g = threads[tid]
        if t["name"] is not None:
            # an empty name of Python's may be given as the kernel's
            ok = (g["name"] == t["name"] and not g["flags"] & 2) or (t["name"] == "" and g["flags"] & 2 and g["name"] == t["comm"])
        else:
            ok = g["flags"] & 2 and g["name"] == t["comm"]
        if not ok:
            wrong("thread name", "%s: %r flags %d, truth %r (kernel: %r)" % (case, g["name"], g["flags"], t["name"], t["comm"]))
        if bool(g["flags"] & 1) != t["main"]:
            wrong("main thread", "%s: flags %d" % (case, g["flags"]))
        if g["pthread"] not in (t["ident"], 0) or g["ns_tid"] != tid or g["interpreter"] != 0:
            wrong("thread facts", "%s: pthread %#x (truth %#x), tid in namespace %d (tid %d), interpreter %d" % (
                case, g["pthread"], t["ident"], g["ns_tid"], tid, g["interpreter"]))
        if g["kind"] or g["owner"]:
            wrong("thread facts", "%s: kind %d owner %d" % (case, g["kind"], g["owner"]))

    facts = truth["process"]
    processes = [p for p in rec.processes().values() if p["pid"] == v.pid]
    h.check(len(processes) == 1, "%d processes with pid %d" % (len(processes), v.pid))
    if processes:
        p = processes[0]
        # paths are as this system sees them
        facts["cwd"], facts["exe"] = os.path.realpath(py.outside(facts["cwd"])), py.outside(facts["exe"])
        for key, want in (("ns_pid", facts["pid"]), ("parent", facts["parent"]), ("version_hex", facts["hexversion"]), ("cwd", facts["cwd"]),
                          ("cmdline", facts["cmdline"]), ("exe", facts["exe"]), ("prefix", facts["prefix"]), ("base_prefix", facts["base_prefix"]),
                          ("path", facts["path"]), ("uid", facts["uid"]), ("build", int(facts["debug"]) | 2 * py.free_threaded), ("exec", 0), ("host", 0)):
            if p[key] != want:
                wrong("process", "%s %r, truth %r" % (key, p[key], want))
        if not p["version"].startswith(facts["version"].split()[0]):
            wrong("process", "version %r, truth %r" % (p["version"], facts["version"]))
        ticks = float(open("/proc/%d/stat" % v.pid).read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
        if abs(p["start"] / 1e9 - ticks) > 0.02:
            wrong("process", "start %.3f, truth %.3f" % (p["start"] / 1e9, ticks))
    stops = rec.counters.get("stops", 0)
    if stops:
        wrong("stops", "%d stops, and every thread slept" % stops)

    # the reporter, by text; the oracle's own stack is not compared
    oracle = {t["tid"] for t in truth["threads"] if t["oracle"]}
    skip = {tuple(text(f.name, f.file, f.line) for f in run.stack) for tid in oracle for run in by_tid.get(tid, [])}
    want, whole = Counter(), 0
    for t in truth["threads"]:
        if not t["oracle"]:
            key = tuple(text(f[0], f[2], f[4]) for f in t["frames"])
            want[key] += want_raw
    got = h.raw(r.path, "-i", "--full-filenames")
    for key in set(want) | set(got):
        if key in skip:
            continue
        whole += 1
        times = max(1, want.get(key, 0) / want_raw)
        if abs(got.get(key, 0) - want.get(key, 0)) > allowed_raw * times and not any(len(f) > 2000 for f in key):
            wrong("raw", "%d samples, truth %.1f of %s" % (got.get(key, 0), want.get(key, 0), [f[:100] for f in key[-4:]]))
    if sum(got.values()) != rec.raw_total():
        wrong("raw", "%d samples in all, the file holds %d" % (sum(got.values()), rec.raw_total()))
    h.check(not differences, "differences: %s" % dict(differences))
    h.note("%d threads, %d frames, %d raw stacks at %d ticks: %d differences" % (
        len(truth["threads"]) - 1, frames, whole, rec.ticks, sum(differences.values())))


def parked(py, cmd=None, env=None, seconds=1.0, rate=100, engine="outside"):
    where = py.folder()
    with h.Victim(py, "parked.py", cmd=cmd, env=env, timeout=150) as v:
        before = snap(v, where)
        r = h.record(v.pid, seconds, rate, engine=engine)
        after = snap(v, where)
        if before["threads"] != after["threads"]:
            raise h.Failure("the threads moved between the two truths: the test proves nothing")
        compare(py, after, r, v)
        h.note(h.cost(r.rec))


def shim(py):
    cmd, env = h.shim_of(py)
    parked(py, [cmd], env, 0.5)


def renamed(py, engine="outside"):
    """a name that changes while we record"""
    with h.Victim(py, "parked.py", args=["case_function|case_map"], timeout=60) as v:
        out = os.path.join(h.folder(), "x.pyspy")
        p = h.start_record(["-p", v.pid, "-d", 4, "-r", 50], out, engine=engine)
        h.wait_for("the first block", lambda: os.path.exists(out) and os.path.getsize(out) > 64)
        v.say("rename new name \u540d")
        v.line()
        rec = h.finish_record(p, out, 60).rec
        h.sound(rec)
        names = sorted(t["name"] for t in rec.threads().values())
        h.check("new name \u540d" in names or "plain name" in names, "a thread renamed while it was recorded: names are %r" % names)
        h.note("the new name %s" % ("came" if "new name \u540d" in names else "did not come: the file has the one at the start"))


cases = []
for py in h.pythons():
    cases.append(("parked %s" % py, parked, py))
    if h.FULL or py.minor == 13:
        cases.append(("parked, kernel %s" % py, parked, py, None, None, 1.0, 100, "kernel"))
# 3.14, 3.15, debug and free-threaded builds
for py in h.newer(((15, "release"), (14, "freethreaded"))):
    if h.FULL or not py.free_threaded:
        cases.append(("parked %s" % py, parked, py))
    if h.FULL or py.free_threaded:
        cases.append(("parked, kernel %s" % py, parked, py, None, None, 1.0, 100, "kernel"))
    if h.FULL:
        cases.append(("parked %s, all cold" % py, parked, py, None, {"WARM": "0"}))
        cases.append(("parked %s, very deep" % py, parked, py, None, {"DEEP": "15000"}))
        cases.append(("renamed, kernel %s" % py, renamed, py, "kernel"))
for py in h.pythons():
    if h.shim_of(py):
        cases.append(("parked %s through pyenv's shim" % py, shim, py))
    if h.FULL or py.minor == 12:
        cases.append(("parked %s without columns" % py, parked, py, [py.path, "-X", "no_debug_ranges"], None, 0.5))
    if h.FULL or py.minor == 13:
        cases.append(("renamed %s" % py, renamed, py))
    if h.FULL:
        cases.append(("renamed, kernel %s" % py, renamed, py, "kernel"))
        cases.append(("parked, kernel %s, very deep" % py, parked, py, None, {"DEEP": "15000"}, 1.0, 1000, "kernel"))
        cases.append(("parked %s, all cold" % py, parked, py, None, {"WARM": "0"}))
        cases.append(("parked %s, very deep" % py, parked, py, None, {"DEEP": "15000"}))

if __name__ == "__main__":
    h.main(cases)

#!/usr/bin/env python3
# parallel
"""pyspy-report import: real files of py-spy, austin, Tachyon and perf (tests/foreign) say what those tools' own software says
of them, to the sample and the microsecond; packed ones and pipes too; and what is damaged is told, and what is good is kept.
In the full form every verb and packing with every file.
"""
import collections
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import pyspy_reader  # noqa: E402
import recording  # noqa: E402

REPORT = os.path.join(os.environ.get("PYSPY_BUILD", "build"), "pyspy-report")
FOREIGN = os.path.join(HERE, "..", "foreign")
TMP = tempfile.TemporaryDirectory(prefix="pyspy-import-")
bad = []


def path(name):
    return os.path.join(FOREIGN, name)


def run(*args, data=None, limit=60):
    return subprocess.run([REPORT] + list(args), input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit,
                          check=False)


def expect(what, got, want):
    if got != want:
        bad.append("%s: got %s, expected %s" % (what, str(got)[:400], str(want)[:400]))


def imported(name, *options, data=None):
    """-> (the recording by the independent reader, stderr)"""
    out = os.path.join(TMP.name, os.path.basename(name) + ".pyspy")
    r = run("import", "-o", out, *options, name if data is None else "-", data=data)
    expect("%s: status (%s)" % (name, r.stderr.decode(errors="replace")), r.returncode, 0)
    rec = pyspy_reader.read(out)
    expect("%s: problems" % name, rec.problems, [])
    return rec, r.stderr.decode()


def by_stack(rec, key, value):
    c = collections.Counter()
    for r in rec.runs:
        c[key(r)] += value(r)
    return c


def frame(f, base=False):
    file = os.path.basename(f.file) if base and not f.file.startswith("<") else f.file
    return "%s:%s:%s" % (file, f.name, f.line)


def lines_of(name):
    with open(path(name), encoding="utf-8") as f:
        return [x.rstrip("\n") for x in f if x.strip()]


# -- austin: its own library read the MOJO files (tests/foreign/truth.py)
def austin_mojo(name, scale):
    rec, _ = imported(path(name + ".mojo"))
    want = collections.Counter()
    for line in lines_of(name + ".truth"):
        head, value = line.rsplit(" ", 1)
        pid, tid, frames = head.split(" ", 2)
        want[(int(pid), int(tid, 16), frames)] += int(value) * scale
    pids = rec.epochs[-1].processes
    got = by_stack(rec, lambda r: (pids[r.info["process"]]["pid"], r.info["tid"], ";".join(
        frame(f) for f in r.stack if f.kind == "python")), lambda r: r.ns)
    expect(name, got, want)


def austin_text(name):
    rec, _ = imported(path(name + ".austin"))
    want, idle = collections.Counter(), 0
    for line in lines_of(name + ".austin"):
        if line.startswith("#"):
            continue
        head, metric = line.rsplit(" ", 1)
        p, t, frames = head.split(";", 2)
        want[(int(p[1:]), int(t.split(":")[1]), frames)] += int(metric.split(",")[0]) * 1000
        idle += metric.split(",")[1:2] == ["1"]
    got = by_stack(rec, lambda r: (rec.epochs[-1].processes[r.info["process"]]["pid"], r.info["tid"],
                                   ";".join(frame(f) for f in r.stack)), lambda r: r.ns)
    expect(name, got, want)
    expect(name + ": idle", sum(r.state == recording.SLEEPING for r in rec.runs), idle)


# -- Tachyon: `replay --collapsed` of the same file
def tachyon(name):
    rec, _ = imported(path(name + ".bin"))
    want = collections.Counter()
    for line in lines_of("tachyon.folded" if name == "tachyon" else name + ".folded"):
        head, n = line.rsplit(" ", 1)
        tid, frames = head.split(";", 1)
        want[(int(tid[4:]), frames)] += int(n)
    got = by_stack(rec, lambda r: (r.info["tid"], ";".join(
        frame(f, True) for f in r.stack if "_sync_coordinator" not in f.file)), lambda r: r.ticks)
    expect(name, got, want)
    expect(name + ": GIL", any(r.gil for r in rec.runs), True)
    expect(name + ": interval", {r.ns for r in rec.runs}, {10000000})
    expect(name + ": columns", any(f.col is not None for r in rec.runs for f in r.stack), True)


# -- py-spy
def pyspy_raw():
    rec, err = imported(path("pyspy.folded"), "--rate", "50")
    want = collections.Counter()
    for line in lines_of("pyspy.folded"):
        head, n = line.rsplit(" ", 1)
        thread, frames = head.split(";", 1)
        want[(int(thread[8:].split(")")[0]), thread.split(": ")[1] if ": " in thread else "", frames)] += int(n)
    got = by_stack(rec, lambda r: (r.info["tid"], r.info["name"],
                                   ";".join("%s (%s:%d)" % (f.name, f.file, f.line) for f in r.stack)), lambda r: r.ticks)
    expect("py-spy raw", got, want)
    expect("py-spy raw: time", {r.ns // r.ticks for r in rec.runs}, {20000000})
    expect("py-spy raw: says what it has not", "states of threads" in err, True)
    raw = run("raw", "-i", "--full-filenames", os.path.join(TMP.name, "pyspy.folded.pyspy")).stdout.decode()
    expect("py-spy raw: round trip", collections.Counter(raw.split("\n")[:-1]),
           collections.Counter(x.split(";", 1)[1] for x in lines_of("pyspy.folded")))


def speedscope_truth(name):
    """From the JSON alone -> (profile, frames) -> ns or samples"""
    with open(path(name), encoding="utf-8") as f:
        d = json.load(f)
    unit = {"seconds": 1e9, "milliseconds": 1e6, "microseconds": 1e3, "nanoseconds": 1, "none": 1}
    frames = d["shared"]["frames"]

    def text(stack):
        return ";".join("%s:%s:%s" % (frames[i].get("file") or "", frames[i]["name"], frames[i].get("line")) for i in stack
                        if not frames[i]["name"].startswith(("thread (", "process ")))
    want = collections.Counter()
    for p in d["profiles"]:
        if p["type"] == "sampled":
            for s, w in zip(p["samples"], p["weights"]):
                if s:
                    want[text(s)] += round(w * unit[p["unit"]])
            continue
        stack, before = [], 0
        for e in p["events"]:
            if stack and e["at"] > before:
                want[text(stack)] += round((e["at"] - before) * unit[p["unit"]])
            before = e["at"]
            stack = stack + [e["frame"]] if e["type"] == "O" else stack[:-1]
    return want


def speedscope(name):
    rec, _ = imported(path(name))
    got = by_stack(rec, lambda r: ";".join(frame(f) for f in r.stack), lambda r: r.ns if r.event else r.ticks)
    expect(name, got, speedscope_truth(name))
    return rec


# -- perf: inferno-collapse-perf read the same text
def perf():
    rec, _ = imported(path("perf.txt"))
    want = collections.Counter()
    for line in lines_of("perf.truth"):
        head, n = line.rsplit(" ", 1)
        comm, *frames = head.split(";")
        want[(comm, tuple(x for x in frames if not x.startswith("[") or x == "[kernel.kallsyms]"))] += int(n)

    def name(f):
        return "py::%s:%s" % (f.name, f.file) if f.kind == "python" else f.name
    got = by_stack(rec, lambda r: (r.info["name"], tuple(
        name(f) for f in r.stack if not f.name.startswith("0x") and f.name != "[unknown]")), lambda r: r.ns)
    expect("perf", got, want)
    expect("perf: weights", {r.ns for r in rec.runs}, {20408163})
    expect("perf: pid", {p["pid"] for p in rec.epochs[-1].processes.values()}, {17739})


# -- what holds for all of them
VERBS = [["top", "-i"], ["tree", "-i"], ["raw", "-i"], ["info"], ["info", "--json"], ["script", "-i"], ["speedscope", "-i"],
         ["chrometrace", "-i"], ["firefox", "-i"], ["pprof", "-i"], ["flamegraph", "-i"], ["stacks", "-i"], ["lines"]]


def every_verb(name):
    out = os.path.join(TMP.name, name + ".pyspy")
    for verb in VERBS:
        r = run(*verb, out)
        expect("%s: %s: %s" % (name, verb, r.stderr[-200:]), r.returncode, 0)
        expect("%s: %s: something" % (name, verb), len(r.stdout) > 0 or verb == ["lines"], True)


def packed(name):
    with open(path(name), "rb") as f:
        data = f.read()
    plain = run("import", path(name)).stdout
    expect(name + ": twice the same", run("import", path(name)).stdout == plain, True)
    a = run("raw", "-i", "-t", "--measure", "wall", "-", data=plain).stdout
    zst = subprocess.run(["zstd", "-cq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    for how, form in (("pipe", data), ("gzip", gzip.compress(data)), ("two gzips", gzip.compress(data[:99]) +
                                                                    gzip.compress(data[99:])), ("zstd", zst)):
        r = run("import", "-", data=form)
        expect("%s: %s: %s" % (name, how, r.stderr), r.returncode, 0)
        expect("%s: %s" % (name, how), run("raw", "-i", "-t", "--measure", "wall", "-", data=r.stdout).stdout == a, True)
    # what is cut off the packing is told, what came out of it is there
    cut = gzip.compress(data)
    r = run("import", "--strict", "-", data=cut[:len(cut) * 3 // 4])
    expect("%s: cut gzip" % name, r.returncode in (1, 4), True)
    expect("%s: cut gzip: one line of words" % name, b"gzip data ends early" in r.stderr or r.returncode == 1, True)


def cut(name, least):
    """Truncated: what is before the cut is there, a warning, status 4 with --strict."""
    with open(path(name), "rb") as f:
        data = f.read()
    whole = sum(r.ticks for r in pyspy_reader_of(run("import", "-", data=data).stdout).runs)
    r = run("import", "-", data=data[:len(data) * 3 // 5 + 1])
    expect("%s: cut: status: %s" % (name, r.stderr), r.returncode, 0)
    expect("%s: cut: warned" % name, b"warning: standard input: " in r.stderr, True)
    n = sum(x.ticks for x in pyspy_reader_of(r.stdout).runs)
    expect("%s: cut: %d of %d samples" % (name, n, whole), least * whole <= n < whole, True)
    expect("%s: cut: strict" % name, run("import", "--strict", "-", data=data[:len(data) * 3 // 5 + 1]).returncode, 4)


def pyspy_reader_of(data):
    out = os.path.join(TMP.name, "cut.pyspy")
    with open(out, "wb") as f:
        f.write(data)
    return pyspy_reader.read(out)


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))


def hostile(what, data, status, *options, words=()):
    began = time.time()
    r = subprocess.run([REPORT, "import", *options, "-"], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=60, preexec_fn=limited, check=False)
    err = r.stderr.decode(errors="replace")
    expect("%s: status: %s" % (what, err[:300]), r.returncode, status)
    if status == 1:
        expect("%s: one line: %s" % (what, err[:300]), err.count("\n"), 1)
        expect("%s: nothing written" % what, len(r.stdout), 0)
    for w in words:
        expect("%s: says %r: %s" % (what, w, err[:400]), w in err, True)
    expect("%s: seconds" % what, time.time() - began < 20, True)


def bad_input():
    frames = b'{"shared":{"frames":[{"name":"a"}]},"profiles":[{"type":"sampled","name":"x","unit":"none","samples":'
    hostile("empty", b"", 1, words=["empty"])
    hostile("zeros", b"\0" * 100000, 1, words=["not finished"])
    hostile("garbage", random.Random(1).randbytes(200000) + b"\0", 1, words=["none of the formats"])
    hostile("prose", b"Once upon a time\nthere was no number\n", 1, words=["none of the formats"])
    hostile("folded prose", b"Once upon a time\nthere was no number\n", 1, "--from", "folded", words=["line 1"])
    hostile("a recording", open(os.path.join(HERE, "..", "golden", "basic.pyspy"), "rb").read(), 1, words=["already"])
    hostile("deep JSON", b"[" * 1000000, 1, "--from", "speedscope")
    hostile("deep JSON object", b'{"a":' * 1000000, 1, words=["byte"])
    hostile("deep frame", b'{"shared":{"frames":[' + b"[" * 2000000, 1, words=["byte"])
    hostile("JSON without frames", b'{"a":1}', 1, words=["frames"])
    hostile("wrong index", frames + b'[[7],[0],[-1],[1e99]],"weights":[1,1,1,1]}]}', 0, words=["does not have"])
    hostile("wrong index, strict", frames + b'[[7],[0]],"weights":[1,1]}]}', 4, "--strict")
    hostile("huge weights", frames.replace(b"none", b"seconds") + b'[[0],[0]],"weights":[1e308,1e308]}]}', 0, words=["146 years"])
    hostile("NaN", frames + b'[[0]],"weights":[NaN]}]}', 1, words=["byte"])
    hostile("fewer weights", frames + b'[[0],[0],[0]],"weights":[1]}]}', 0, words=["3 samples and 1 weights"])
    hostile("deep folded", b";".join([b"f"] * 1100000) + b" 5\n", 0, words=["line 1", "innermost"])
    hostile("huge count", b"a;b 18446744073709551615\nc 3\n", 0, words=["line 2"])
    hostile("huge count 2", b"a;b 9223372036854775807\nc 3\n", 0)
    hostile("count of 30 digits", b"a 1\na;b 999999999999999999999999999999\n", 0, words=["line 2"])
    hostile("long line", b"x" * (70 << 20) + b" 1\ny 2\n", 0, "--from", "folded", words=["line 1", "longer"])
    hostile("a million stacks", b"".join(b"a%d;b%d %d\n" % (i % 1000, i, i) for i in range(300000)), 0)
    hostile("MOJO 9", b"MOJ\x09", 1, words=["version 9"])
    hostile("MOJO number", b"MOJ\x03" + b"\x02" + b"\xff" * 40, 0, words=["byte 4"])
    hostile("MOJO text without end", b"MOJ\x03\x01" + b"a" * 3000000, 0, words=["1 MB"])
    hostile("MOJO without keys", b"MOJ\x03\x02\x05\x00ab\x00\x05\x07\x05\x08\x09\x05", 0, words=["not defined"])
    head = bytearray(open(path("tachyon.bin"), "rb").read())
    for at, n in ((40, 8), (48, 8)):
        lie = bytearray(head)
        lie[at:at + n] = b"\xff" * n
        hostile("Tachyon: tables elsewhere", bytes(lie), 1, words=["byte 40"])
    for at in (0, 4):
        lie = bytearray(head)
        lie[len(head) - 32 + at:len(head) - 28 + at] = b"\xff" * 4
        hostile("Tachyon: many strings", bytes(lie), 0, words=["is not whole"])
    lie = bytearray(head)
    lie[28:36] = b"\xff" * 8
    hostile("Tachyon: many samples", bytes(lie), 0, words=["samples"])
    hostile("Tachyon cut", bytes(head[:len(head) // 2]), 1, words=["cut"])
    hostile("perf: no frames, other events", b"a b 12/13 [001] 1.5: 7 cycles: \n\na b 12/13 [001] 1.6: 7 instructions: \n\n"
            b"\tnonsense\nx\n", 0, words=["left out"])
    for name, text in (("py", b"print(1)\n"), ("svg", b"<svg xmlns='x'></svg>\n")):
        hostile(name, text, 1)


def usage():
    for args in (["import", "--from", "xyz", "-"], ["import", "--rate", "0", "-"], ["import", "a", "b"], ["import", "--x"]):
        expect("%s" % args, run(*args, data=b"").returncode, 2)
    expect("no such file", run("import", "/nonexistent/x").returncode, 1)
    help_text = run("import", "--help").stdout.decode()
    expect("help begins with examples", help_text.split("\n")[2:3], ["Examples:"])


for n, s in (("austin3", 1000), ("austin4", 1000), ("austin4_full", 1000), ("austin4_memory", 1)):
    austin_mojo(n, s)
austin_text("austin3")
austin_text("austin3_full")
tachyon("tachyon")
tachyon("tachyon_plain")
pyspy_raw()
speedscope("pyspy.speedscope.json")
speedscope("pyspy_plain.speedscope.json")
speedscope("made.speedscope.json")
perf()
FULL = os.environ.get("PYSPY_FULL") == "1"
for n in ["pyspy.folded", "made.speedscope.json", "tachyon.bin"] + FULL * ["pyspy.speedscope.json", "austin4_full.mojo",
                                                                           "austin3.austin", "perf.txt"]:
    every_verb(n)
for n in ["pyspy.speedscope.json", "tachyon.bin", "perf.txt"] + FULL * ["pyspy.folded", "austin4.mojo", "austin3.austin"]:
    packed(n)
cut("austin4.mojo", 0.3)
cut("austin3.austin", 0.3)
bad_input()
usage()
for b in bad:
    print(b)
print("import: %s" % ("%d things wrong" % len(bad) if bad else "as the tools themselves say"))
sys.exit(1 if bad else 0)

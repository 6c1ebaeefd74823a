#!/usr/bin/env python3
# parallel
"""pyspy-report merge: every verb says of the merged file, byte for byte, what it says of the files together; the independent
reader finds the sum of the parts; hosts, engines and processes stay apart or come together as they should."""
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import pyspy_reader  # noqa: E402

REPORT = os.path.abspath(os.path.join(os.environ.get("PYSPY_BUILD", "build"), "pyspy-report"))
GOLDEN = os.path.join(HERE, "..", "golden")
TMP = tempfile.TemporaryDirectory(prefix="pyspy-merge-")
FULL = os.environ.get("PYSPY_FULL") == "1"
bad = []

VERBS = [["raw", "-i"], ["raw", "-t", "--measure", "wall"], ["raw", "-i", "--measure", "cpu"], ["top", "-i", "--csv"],
         ["tree", "-i"], ["lines", "--csv"], ["stacks", "--csv", "-i"], ["script", "-i", "--csv"], ["speedscope", "-i"],
         ["chrometrace", "-i"], ["firefox", "-i"], ["pprof", "-i"], ["flamegraph", "-i"], ["raw", "-i", "--time", "10%..60%"],
         ["raw", "-g"], ["top", "--thread", "Main"]]
SETS = [["basic"], ["basic", "threads"], ["kernel", "basic", "bounded"], ["mixed", "motion", "epochs"], ["stopped", "fallback"],
        ["names", "native", "events", "lost"], ["open", "joined", "shared"], ["shared", "future", "empty", "epochs"]]


def run(*args, data=None):
    return subprocess.run([REPORT] + list(args), input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          check=False)


def expect(what, got, want):
    if got != want:
        bad.append("%s: got %s, expected %s" % (what, str(got)[:300], str(want)[:300]))


def tmp(name):
    return os.path.join(TMP.name, name)


def named(files, out):
    """Views name their inputs: the same name for all."""
    for f in files:
        out = out.replace(f.encode(), b"FILE").replace(os.path.basename(f).encode(), b"FILE")
    return out


def same_in_every_verb(names):
    files = [os.path.join(GOLDEN, n + ".pyspy") for n in names]
    merged = tmp("-".join(names) + ".pyspy")
    r = run("merge", "-o", merged, *files)
    expect("%s: status: %s" % (names, r.stderr), r.returncode, 0)
    for verb in VERBS:
        a, b = run(*verb, *files), run(*verb, merged)
        expect("%s: %s: status" % (names, verb), b.returncode, a.returncode)
        # pprof names the damage of its input in comments; a merged file has none any more
        if verb[0] != "pprof" or not {"open", "joined", "hole"} & set(names):
            expect("%s: %s" % (names, verb), named([merged], b.stdout) == named(files, a.stdout), True)
    expect("%s: zstd -t" % names, subprocess.run(["zstd", "-tq", merged], check=False).returncode, 0)
    # twice the same bytes, and merged in two steps the same views
    expect("%s: twice" % names, run("merge", *files).stdout == open(merged, "rb").read(), True)
    step = tmp("step.pyspy")
    run("merge", "-o", step, *files[:1])
    both = run("merge", step, *files[1:]).stdout
    expect("%s: in two steps" % names, run("raw", "-i", "-t", "-", data=both).stdout, run("raw", "-i", "-t", merged).stdout)
    return merged


def as_the_reader_finds(names):
    """Not the native one: it defines its modules behind the frames that name them."""
    want, n = collections.Counter(), 0
    for name in names:
        rec = pyspy_reader.read(os.path.join(GOLDEN, name + ".pyspy"))
        n += rec.samples
        for r in rec.runs:
            want[(r.info["tid"], r.stack, r.flags & 0x3f)] += r.ns
    rec = pyspy_reader.read(tmp("reader.pyspy"))
    got = collections.Counter()
    for r in rec.runs:
        got[(r.info["tid"], r.stack, r.flags & 0x3f)] += r.ns
    expect("reader: problems", rec.problems, [])
    expect("reader: samples", rec.samples, n)
    expect("reader: stacks", got == want, True)


def text(*args):
    return run(*args).stdout.decode(errors="replace")


def hosts_and_processes():
    # the same process on another host: anonymize gives it one
    basic, other = os.path.join(GOLDEN, "basic.pyspy"), tmp("other.pyspy")
    run("anonymize", "-o", other, basic)
    run("merge", "-o", tmp("hosts.pyspy"), basic, other)
    expect("a recording is its owner's", oct(os.stat(tmp("hosts.pyspy")).st_mode & 0o777), "0o600")
    info = text("info", tmp("hosts.pyspy"))
    expect("two hosts: two processes", len(re.findall("^process 4711", info, re.M)), 2)
    expect("two hosts: named", "build-07" in info and "host-1" in info, True)
    # parts of one run: the process is one
    run("merge", "-o", tmp("parts.pyspy"), os.path.join(GOLDEN, "basic.pyspy"), os.path.join(GOLDEN, "threads.pyspy"))
    info = text("info", tmp("parts.pyspy"))
    expect("one host: one process", len(re.findall("^process 4711", info, re.M)), 1)
    # facts of each recording stay
    run("merge", "-o", tmp("facts.pyspy"), os.path.join(GOLDEN, "kernel.pyspy"), os.path.join(GOLDEN, "stopped.pyspy"))
    info = text("info", tmp("facts.pyspy"))
    for word in ("kernel", "median", "overrun" if "overrun" in text("info", os.path.join(GOLDEN, "kernel.pyspy")) else "kernel"):
        expect("facts: %s" % word, word in info, True)


def copies_and_damage():
    basic, copy = os.path.join(GOLDEN, "basic.pyspy"), tmp("copy.pyspy")
    shutil.copy(basic, copy)
    r = run("merge", "-o", tmp("copies.pyspy"), basic, copy)
    expect("copies: counted once", text("raw", "-i", tmp("copies.pyspy")), text("raw", "-i", basic))
    expect("copies: said", b"twice" in r.stderr and b"counted once" in r.stderr, True)
    expect("copies: not damaged", run("info", "--strict", tmp("copies.pyspy")).returncode, 0)
    r = run("merge", "-o", tmp("x.pyspy"), basic, basic)
    expect("the same file twice", (r.returncode, os.path.exists(tmp("x.pyspy"))), (1, False))
    for name, lost in (("damaged", 10), ("hole", 15), ("cut", 15)):
        file = os.path.join(GOLDEN, name + ".pyspy")
        r = run("merge", "-o", tmp("d.pyspy"), file, basic)
        expect(name + ": warned", b"warning" in r.stderr, True)
        expect(name + ": strict", run("merge", "--strict", "-o", tmp("d2.pyspy"), file, basic).returncode, 4)
        expect(name + ": samples", text("raw", "-i", tmp("d.pyspy")), text("raw", "-i", file, basic))
        expect(name + ": the loss is kept", "%d samples lost through damage" % lost in text("info", tmp("d.pyspy")), True)
    # half a recording, and what is none
    data = open(os.path.join(GOLDEN, "kernel.pyspy"), "rb").read()
    for n in range(0, len(data), 97):
        open(tmp("half.pyspy"), "wb").write(data[:n])
        r = run("merge", "-o", tmp("h.pyspy"), tmp("half.pyspy"))
        expect("%d bytes: status" % n, r.returncode, run("info", tmp("half.pyspy")).returncode)
        if r.returncode == 0:
            expect("%d bytes" % n, text("raw", "-i", tmp("h.pyspy")), text("raw", "-i", tmp("half.pyspy")))
    open(tmp("none.pyspy"), "wb").write(b"x" * 1000)
    r = run("merge", "-o", tmp("n.pyspy"), basic, tmp("none.pyspy"))
    expect("no recording", (r.returncode, r.stderr.count(b"\n"), os.path.exists(tmp("n.pyspy"))), (1, 1, False))
    expect("no such file", run("merge", "-o", tmp("n.pyspy"), "/nonexistent").returncode, 1)
    r = run("merge", "-o", "/dev/full", basic)
    expect("full disk", (r.returncode, b"free some space" in r.stderr), (1, True))


def smaller():
    """The dictionary is there once: two runs of one program cost less than twice one."""
    out = []
    for i in (1, 2):
        folded = b"".join(b"%s;f%d (a.py:%d) %d\n" % (b";".join(b"m%d.Class.method (pkg/m%d.py:%d)" % (k, k, k + j)
                                                                for k in range(30)), j, j, i) for j in range(2000))
        out.append(tmp("big%d.pyspy" % i))
        run("import", "-o", out[-1], "-", data=folded)
    run("merge", "-o", tmp("big.pyspy"), *out)
    one, both = os.path.getsize(out[0]), os.path.getsize(tmp("big.pyspy"))
    expect("merged: %d bytes, one alone %d" % (both, one), both < 1.3 * one, True)
    expect("merged: samples", text("raw", "-i", "-t", tmp("big.pyspy")), text("raw", "-i", "-t", *out))


for s in SETS if FULL else SETS[:1] + SETS[2:]:
    same_in_every_verb(s)
READ = ["basic", "threads", "epochs", "motion", "events", "mixed", "bounded", "open", "stopped", "shared"]
run("merge", "-o", tmp("reader.pyspy"), *[os.path.join(GOLDEN, n + ".pyspy") for n in READ])
as_the_reader_finds(READ)
hosts_and_processes()
copies_and_damage()
smaller()
expect("help begins with examples", text("merge", "--help").split("\n")[2:3], ["Examples:"])
for b in bad:
    print(b)
print("merge: %s" % ("%d things wrong" % len(bad) if bad else "the sum of its parts"))
sys.exit(1 if bad else 0)

#!/usr/bin/env python3
# parallel
"""pyspy-report anonymize: of what is hidden nothing is left in the file, not in any letter case; numbers, structure and times
are those of the input; the same secret has the same stand-in, with a salt in every file."""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import pyspy_reader  # noqa: E402
import recording  # noqa: E402

REPORT = os.path.abspath(os.path.join(os.environ.get("PYSPY_BUILD", "build"), "pyspy-report"))
GOLDEN = os.path.join(HERE, "..", "golden")
TMP = tempfile.TemporaryDirectory(prefix="pyspy-anonymize-")
bad = []


def run(*args, data=None):
    return subprocess.run([REPORT] + list(args), input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          check=False)


def expect(what, got, want):
    if got != want:
        bad.append("%s: got %s, expected %s" % (what, str(got)[:400], str(want)[:400]))


def tmp(name):
    return os.path.join(TMP.name, name)


def contents(path):
    """All that the file says, unpacked, as it stands there, and the file itself."""
    out = subprocess.run(["zstd", "-dcqf", path], stdout=subprocess.PIPE, check=True).stdout
    return (out + open(path, "rb").read()).lower()


def hidden(what, path, *words):
    text = contents(path)
    for w in words:
        expect("%s: %r is left" % (what, w), w.lower().encode() in text, False)


def kept(what, path, *words):
    text = contents(path)
    for w in words:
        expect("%s: %r is gone" % (what, w), w.lower().encode() in text, True)


def weights(path):
    """The numbers alone, in their order in time."""
    rec = pyspy_reader.read(path)
    return [(r.ticks, r.ns, r.cpu_ns, r.flags & ~recording.DOUBTED, r.doubted, len(r.stack), [f.line for f in r.stack], r.info["tid"], list(r.when))
            for r in rec.runs]


# -- a recording full of secrets: folded stacks with paths, renamed hosts and command lines by the recorder's own format
SECRETS = """\
process 4:"/home/alice/.venv/bin/python3 /home/alice/acme/run.py --token=hunter2 customer-bmw";thread (4): MainThread;\
<module> (/home/alice/acme/run.py:3);Alice.work (/home/alice/acme/lib/alice_tools.py:7);get (/home/alice/.venv/lib/python3.11/\
site-packages/requests/api.py:61);dumps (/usr/lib/python3.11/json/__init__.py:231) 5
process 4:"/home/alice/.venv/bin/python3 /home/alice/acme/run.py --token=hunter2 customer-bmw";thread (5): alice-pool;\
bobby (/Users/bob-smith/x.py:3);ALICE_CONST (relative/alice.py:2);_run (<string>:1) 7
"""


def folded_secrets():
    run("import", "-o", tmp("s.pyspy"), "-", data=SECRETS.encode())
    r = run("anonymize", "-o", tmp("a.pyspy"), tmp("s.pyspy"))
    expect("status: %s" % r.stderr, r.returncode, 0)
    hidden("secrets", tmp("a.pyspy"), "alice", "hunter2", "customer-bmw", "bob-smith", "/home", "/users/", "acme")
    kept("secrets", tmp("a.pyspy"), "site-packages/requests/api.py", "/usr/lib/python3.11/json/__init__.py", "dumps",
         "<string>", "mainthread", "user-1", "run.py")
    expect("says what was hidden", b"hidden: " in r.stderr and b"1 user," in r.stderr and b"kept: " in r.stderr, True)
    expect("weights", weights(tmp("a.pyspy")), weights(tmp("s.pyspy")))
    expect("bobby is nobody's name", "bobby" in run("raw", tmp("a.pyspy")).stdout.decode(), True)

    run("anonymize", "--functions", "--threads", "-o", tmp("f.pyspy"), tmp("s.pyspy"))
    hidden("--functions", tmp("f.pyspy"), "alice", "work", "bobby", "_const", "run.py", "tools", "pool", "lib/alice")
    kept("--functions", tmp("f.pyspy"), "dumps", "get", "<module>", "site-packages/requests/api.py", "mainthread")
    expect("--functions: weights", weights(tmp("f.pyspy")), weights(tmp("s.pyspy")))
    expect("--keep-functions", run("anonymize", "--functions", "--keep-functions", tmp("s.pyspy")).stdout,
           run("anonymize", tmp("s.pyspy")).stdout)
    run("anonymize", "--files", "-o", tmp("n.pyspy"), tmp("s.pyspy"))
    hidden("--files", tmp("n.pyspy"), "run.py", "relative")
    kept("--files", tmp("n.pyspy"), "dumps")

    expect("twice the same", run("anonymize", tmp("s.pyspy")).stdout, open(tmp("a.pyspy"), "rb").read())
    a, b = run("anonymize", "--salt", "one", tmp("s.pyspy")).stdout, run("anonymize", "--salt", "two", tmp("s.pyspy")).stdout
    expect("another salt, other names", a != b, True)
    expect("the same salt", run("anonymize", "--salt", "one", tmp("s.pyspy")).stdout, a)
    # the same host has one name in both files
    run("anonymize", "--salt", "one", "-o", tmp("k.pyspy"), os.path.join(GOLDEN, "kernel.pyspy"))
    run("anonymize", "--salt", "one", "-o", tmp("b.pyspy"), os.path.join(GOLDEN, "basic.pyspy"))
    hosts = [re.search(r"host-[0-9a-f]{10}", run("info", tmp(x)).stdout.decode()) for x in ("k.pyspy", "b.pyspy")]
    expect("one host, one name", bool(hosts[0] and hosts[1] and hosts[0].group() == hosts[1].group()), True)
    # from a pipe, packed in two readings
    expect("a pipe", run("anonymize", "-", data=open(tmp("s.pyspy"), "rb").read()).stdout, open(tmp("a.pyspy"), "rb").read())
    again = run("anonymize", "-", data=open(tmp("a.pyspy"), "rb").read())
    expect("again: weights", again.returncode, 0)


def goldens():
    for name in sorted(x[:-6] for x in os.listdir(GOLDEN) if x.endswith(".pyspy")):
        src, out = os.path.join(GOLDEN, name + ".pyspy"), tmp("g.pyspy")
        for options in ([], ["--functions", "--threads"]):
            r = run("anonymize", "-o", out, *options, src)
            expect("%s: status: %s" % (name, r.stderr), r.returncode, 0)
            hidden(name, out, "build-07", "5f0c1c6e-7d3a", "own timer")
            hidden(name, out, *(["/srv/app", "work", "fib"] if options else ["/srv/app/app.py"]))
            for verb in (["top", "-i", "--csv", "--by", "thread"], ["raw", "-i"], ["raw", "-i", "--measure", "wall"]):
                numbers = [sorted(int(x) for x in re.findall(r" (\d+)$", run(*verb, f).stdout.decode(errors="replace"), re.M))
                           for f in (src, out)]
                if "--by" not in verb:
                    expect("%s: %s" % (name, verb), numbers[0], numbers[1])
            a, b = (re.findall(r"^samples.*$", run("info", f).stdout.decode(errors="replace"), re.M) for f in (src, out))
            expect("%s: samples" % name, [x.split(",")[0] for x in b], [x.split(",")[0] for x in a])
        if name in ("basic", "threads", "epochs", "motion", "events", "mixed", "bounded", "stopped", "shared"):
            expect("%s: weights" % name, weights(out), weights(src))


def a_real_one():
    """What the recorder writes, of this machine."""
    record = os.path.join(os.path.dirname(REPORT), "pyspy-record")
    home = tmp("home/charlotte/projekt")
    os.makedirs(home)
    with open(home + "/geheim.py", "w", encoding="utf-8") as f:
        f.write("import time, json\nend = time.time() + 0.7\ndef work():\n    while time.time() < end:\n"
                "        json.dumps(list(range(500)))\nwork()\n")
    r = subprocess.run([record, "-o", tmp("r.pyspy"), "--engine", "outside", "--note", "customer=wolkenkuckuck", "--",
                        sys.executable, "geheim.py", "--password", "tr0ub4dor"], cwd=home, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, timeout=60, check=False)
    if not os.path.exists(tmp("r.pyspy")):
        print("a recording of this machine: left out: %s" % r.stderr.decode(errors="replace").split("\n")[0])
        return
    run("anonymize", "--files", "-o", tmp("ra.pyspy"), tmp("r.pyspy"))
    hidden("real", tmp("ra.pyspy"), "charlotte", "projekt", "geheim", "tr0ub4dor", "wolkenkuckuck", "customer", *([os.uname().nodename] if len(os.uname().nodename) > 4 else []),
           open("/proc/sys/kernel/random/boot_id", encoding="ascii").read().strip())
    kept("real", tmp("ra.pyspy"), "json", "work")
    expect("real: weights", weights(tmp("ra.pyspy")), weights(tmp("r.pyspy")))


def bad_input():
    expect("--salt ''", run("anonymize", "--salt", "", tmp("s.pyspy")).returncode, 2)
    expect("no file", run("anonymize", "/nonexistent").returncode, 1)
    r = run("anonymize", "-o", tmp("z.pyspy"), "-", data=b"x" * 500)
    expect("no recording", (r.returncode, r.stderr.count(b"\n"), os.path.exists(tmp("z.pyspy"))), (1, 1, False))
    cut = open(os.path.join(GOLDEN, "epochs.pyspy"), "rb").read()[:-60]
    expect("cut", (run("anonymize", "-", data=cut).returncode, run("anonymize", "--strict", "-", data=cut).returncode), (0, 4))
    expect("help begins with examples", run("anonymize", "--help").stdout.decode().split("\n")[2:3], ["Examples:"])


folded_secrets()
goldens()
a_real_one()
bad_input()
for b in bad:
    print(b)
print("anonymize: %s" % ("%d things wrong" % len(bad) if bad else "nothing is left of what is hidden"))
sys.exit(1 if bad else 0)

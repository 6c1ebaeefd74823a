#!/usr/bin/env python3
# parallel
# timeout: 120
"""pprof files: what is in them is what `top`, `info` and `raw` say; Go's loader and Datadog's take them; names cannot
break them; the same bytes twice. Go's pprof and node are asked where they are; in the full form both must be."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import pprof_reader  # noqa: E402

BUILD, FULL = os.path.abspath(os.environ["PYSPY_BUILD"]), os.environ.get("PYSPY_FULL") == "1"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REPORT = BUILD + "/pyspy-report"
NODE_FORMAT = os.environ.get("PYSPY_VIEWERS", "/var/tmp/pyspy-cache/viewers")
FILTERS = {"small": [[], ["-i"], ["-g"], ["--focus", "parse"], ["--thread", "4711"], ["--time", "1s..2s"], ["-F"], ["--nolineno", "-t"]],
           "many": [["-i"], ["--pid", "301", "-i"], ["--state", "gc"], ["--level", "module"], ["--measure", "wall", "-i"], ["--processes", "-t", "-i"]],
           "kernel": [[], ["-i"], ["-g"], ["--measure", "samples"], ["--measure", "cpu"], ["--hide", "work", "-i"]]}
DECODE = """
import fs from "node:fs"; import zlib from "node:zlib"; import { createRequire } from "node:module";
const { Profile } = createRequire(process.argv[2] + "/x.js")("pprof-format");
for (const path of process.argv.slice(3)) {
  const raw = zlib.gunzipSync(fs.readFileSync(path)), p = Profile.decode(raw);
  const sums = p.sampleType.map((_, i) => String(p.sample.reduce((n, s) => n + BigInt(s.value[i]), 0n)));
  console.log(JSON.stringify({ sums, samples: p.sample.length, locations: p.location.length, functions: p.function.length,
    strings: p.stringTable.strings.length, frames: p.sample.reduce((n, s) => n + s.locationId.length, 0), again: p.encode().length, length: raw.length }));
}
"""


def report(*args, status=0):
    r = subprocess.run([REPORT, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert r.returncode == status, (args, r.returncode, r.stderr)
    return r.stdout


def make(recording, options, out):
    report("pprof", *options, "-o", out, recording)
    assert report("pprof", *options, recording) == open(out, "rb").read(), "-o and standard output differ, or two runs do"
    return pprof_reader.Pprof(out)


def of_top(recording, options, by):
    # frames of top carry no module: the test's programs have one function of a name and file
    return json.loads(report("top", "--json", "--by", by, "-L", "100000", *options, recording))


def check_totals(p, recording, options):
    top = of_top(recording, [o for o in options if o not in ("-t", "--processes")], "function")
    kept = top["totals"]["kept"]
    assert p.total("samples") == kept["samples"], (options, p.total("samples"), kept)
    if "--measure" not in options:
        assert p.total("wall") == kept["ns"], (options, p.total("wall"), kept)
        assert p.shown == {"time": "wall", "samples": "samples"}[top["shares_of"]], (p.shown, top["shares_of"])
    if "--level" in options or "-t" in options:
        return
    kind = "samples" if top["shares_of"] == "samples" else "wall"
    if "cpu" in options:
        kind = "cpu"
    key = {"samples": "samples", "wall": "ns", "cpu": "cpu_ns"}[kind]
    want, got = {}, {}
    for row in top["rows"]:
        if row["function"].startswith("process ") and not row["file"]:
            continue  # pprof has labels for them
        want[row["function"], row["file"], row["line"] or 0] = [row["self_" + key], row["total_" + key]]
    for (name, file, line), sums in p.by_function(kind).items():
        # module.qualname: ours without the module
        names = [k for k in want if k[1:] == (file, line) and (name == k[0] or name.endswith("." + k[0]))]
        names += [k for k in want if not k[1] and k[0] == name]
        assert names, (name, file, line, sorted(want))
        got[names[0]] = sums
    some = lambda d: {k: v for k, v in d.items() if v != [0, 0]}  # noqa: E731
    assert some(got) == some(want), (options, got, want)


def check_labels(p, recording):
    info = json.loads(report("info", "--json", recording))
    for process in info["processes"]:
        for thread in process["threads"]:
            if "samples" in thread and thread["tid"]:
                assert p.total("samples", thread_id=thread["tid"], pid=process["pid"]) == thread["samples"], thread
    assert {has["state"] for _, _, has in p.samples} <= {"unknown", "on-cpu", "runnable", "active", "sleeping", "disk", "stopped"}
    assert p.total("samples", gil="held") == info["samples"]["gil"], (p.total("samples", gil="held"), info["samples"]["gil"])


def check_names(p):
    for s in p.strings:
        bad = re.search("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", s)
        assert not bad, ascii(s)


def go(*args):
    r = subprocess.run(["go", "tool", "pprof", "-symbolize=none", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=100, env=dict(os.environ, GOTOOLCHAIN="local"), universal_newlines=True)
    assert r.returncode == 0, (args, r.stderr)
    return r.stdout


def go_sums(text):
    """of -raw: the sums of the samples' values"""
    rows = [[int(v) for v in line.split(":")[0].split()] for line in
            text.split("Samples:\n")[1].split("\nLocations")[0].split("\n")[1:] if re.match(r"^ *-?\d+ ", line)]
    return [sum(column) for column in zip(*rows)]


def check_go(files, work):
    for path, p in files:
        if not FULL and not re.search("(hostile|kernel)[.0]*pb.gz", path):
            continue  # half a second each
        want = [p.total(t) for t, _ in p.types] if p.samples else []
        assert go_sums(go("-raw", path)) == want, path
    many = next(p for path, p in files if path.endswith("/many.0.pb.gz"))
    path = work + "/many.0.pb.gz"
    top = go("-top", "-nodecount=100000", "-nodefraction=0", path)
    rows = {line.split(None, 5)[5]: int(line.split()[0]) for line in top.split("sum%")[1].split("\n")[1:] if line.strip()}
    want = {}
    for (name, _, _), (own, _) in many.by_function("samples").items():
        want[name] = want.get(name, 0) + own
    assert rows == want, (rows, want)
    assert "<module>" in rows, rows
    if not FULL:
        return
    for focus, labels in (("thread=waits", {"thread": "waits for the GIL"}), ("pid=301", {"pid": 301}),
                          ("gil=held", {"gil": "held"}), ("thread id=310", {"thread_id": 310})):
        text = go("-top", "-tagfocus", focus, path)
        n = int(re.search(r"accounting for (\d+),", text).group(1))
        assert n == many.total("samples", **labels) > 0, (focus, n)
    tags = go("-tags", path)
    assert "waits for the GIL" in tags and " gil: Total 880" in tags, tags
    assert go("-traces", path).count("held") > 0
    assert "made by pyspy-report" in go("-comments", path)


def check_node(files):
    if not os.path.isdir(NODE_FORMAT + "/node_modules/pprof-format"):
        return False
    script = tempfile.NamedTemporaryFile("w", suffix=".mjs")
    script.write(DECODE)
    script.flush()
    lines = subprocess.check_output(["node", script.name, NODE_FORMAT] + [f for f, _ in files], timeout=60).decode().split("\n")
    for (path, p), line in zip(files, lines):
        d = json.loads(line)
        assert [int(n) for n in d["sums"]] == [p.total(t) for t, _ in p.types], (path, d)
        assert (d["samples"], d["locations"], d["functions"], d["strings"]) == (len(p.samples), len(p.frames), len(p.functions), len(p.strings))
        assert d["frames"] == sum(len(stack) for stack, _, _ in p.samples)
    return True


def main():
    asked, absent = [], []
    with tempfile.TemporaryDirectory(prefix="pyspy-pprof-") as work:
        subprocess.check_call([BUILD + "/unit/test_report_views", "--write", work])
        files = []
        for recording in sorted(glob.glob(work + "/*.pyspy")):
            name = os.path.basename(recording)[:-6]
            for i, options in enumerate(FILTERS.get(name, [["-i"]])):
                out = "%s/%s.%d.pb.gz" % (work, name, i)
                p = make(recording, options, out)
                files.append((out, p))
                check_names(p)
                assert p.types == [("samples", "count"), ("wall", "nanoseconds"), ("cpu", "nanoseconds")]
                assert p.period_type == ("wall", "nanoseconds") and p.period > 0
                assert p.time_ns == 1763795624000000000, p.time_ns  # SUPPORT_REAL_NS
                if name in FILTERS:
                    check_totals(p, recording, options)
                if name == "many" and options == ["-i"]:
                    check_labels(p, recording)
        names = {f.name for f in next(p for path, p in files if path.endswith("/small.1.pb.gz")).frames.values()}
        assert {"<module>", "work", "threading.Event.wait"} <= names, names
        # columns, where the recording has them: those of the golden recordings are known
        p = make(ROOT + "/tests/golden/basic.pyspy", ["-i"], work + "/golden.pb.gz")
        assert any(f.column == 16 and f.line == 7 for f in p.frames.values()), [(f.name, f.line, f.column) for f in p.frames.values()]
        files.append((work + "/golden.pb.gz", p))
        p = make(work + "/small.pyspy", ["--focus", "no such function"], work + "/none.pb.gz")
        assert not p.samples and any("no such function" in c for c in p.comments), p.comments
        files.append((work + "/none.pb.gz", p))
        (asked if shutil.which("node") and check_node(files) else absent).append("node with pprof-format")
        if shutil.which("go"):
            check_go(files, work)
            asked.append("go tool pprof")
        else:
            absent.append("go")
    print("%d files; read by: our own reader%s" % (len(files), "".join(", " + a for a in asked)))
    if absent:
        print("not there: %s (scripts/install-deps viewers full)" % ", ".join(absent))
    if FULL and absent or os.environ.get("CI") == "true" and not asked:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

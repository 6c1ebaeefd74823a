#!/bin/bash
# parallel
# The independent reader (tests/e2e/pyspy_reader.py, from FORMAT.md alone) and the reporter find the same in the same
# files: samples, times, CPU time, idle and GIL shares, the sum of folded stacks, stack by stack what each weighs.
set -u
report=$(readlink -f "${PYSPY_BUILD:-build}")/pyspy-report
tests=$(readlink -f "$(dirname "$0")/..")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
"$PYSPY_BUILD/unit/test_report_views" --write "$work" || exit 1
for name in basic threads epochs motion events kernel mixed fallback empty shared; do
    cp "$tests/golden/$name.pyspy" "$work/golden-$name.pyspy" || exit 1
done
rm -f "$work/hostile.pyspy" "$work/undefined.pyspy" # what this reader does not take
PYTHONPATH=$tests/e2e python3 - "$report" "$work"/*.pyspy <<'P'
import json, subprocess, sys
import pyspy_reader as pr
import recording

report, failed = sys.argv[1], 0

def run(*words):
    return subprocess.run([report, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode()

def same(path, what, got, want):
    global failed
    if got != want:
        print("FAIL: %s: %s: the reporter says %s, the reader %s" % (path, what, got, want))
        failed = 1

for path in sys.argv[2:]:
    rec, info = pr.read(path), json.loads(run("info", "--json", path))
    s = info["samples"]
    same(path, "samples", s["samples"], rec.samples)
    same(path, "wall time", s["wall_ns"], rec.ns)
    same(path, "idle samples", s["idle"], sum(r.ticks for r in rec.runs if r.idle))
    same(path, "shares", info.get("shares_of") == "time", rec.timed)
    if rec.timed:
        t = s["time_ns"]
        same(path, "idle time", t["idle"], sum(r.ns for r in rec.runs if r.idle))
        same(path, "GIL", t["gil"], sum(r.ns for r in rec.runs if r.gil))
        same(path, "waiting", t["gil_wait"], sum(r.ns for r in rec.runs if r.flags & recording.GIL_WAIT))
        same(path, "CPU time", s["cpu_ns"] - sum(r.cpu_ns or 0 for r in rec.runs if not r.event),
             sum(r.cpu_ns for r in rec.runs if r.event))
    for options in (("--no-idle",), ("-i",)):
        lines = run("raw", "-F", "--full-filenames", "--no-threads", *options, path).splitlines()
        same(path, "raw %s" % (options,), sum(int(x.rsplit(" ", 1)[1]) for x in lines), rec.raw_total(options[0] == "-i"))
    # each stack's own weight, where the reporter shows it exactly: the time of a row of `top` is rounded, its share is not
    leaves, total = {}, sum(rec.folded().values())
    for stack, weight in rec.folded().items():
        name = stack[-1].name
        leaves[name] = leaves.get(name, 0) + weight
    shown = {}
    for row in run("top", "-i", "--no-threads", path).splitlines():
        columns = row.split(None, 8)
        if len(columns) > 8 and columns[0].replace(".", "").isdigit() and columns[0] != "0.00":
            name = columns[8].rsplit(" (", 1)[0] if columns[8].endswith(")") else columns[8]
            shown[name] = shown.get(name, 0) + float(columns[0])
    for name, share in shown.items():
        if abs(share - 100 * leaves.get(name, 0) / total) > 0.02:
            same(path, "share of %s" % name, share, 100 * leaves.get(name, 0) / total)
    same(path, "rows of top", {n for n, w in leaves.items() if w * 10000 > total} - set(shown), set())
sys.exit(failed)
P

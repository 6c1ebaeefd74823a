#!/bin/bash
# parallel
# Tables for programs (--csv, --json of top, tree, lines, stacks, script, info): what an independent reader
# (tests/e2e/pyspy_reader.py, from FORMAT.md alone) works out for the same table is what they hold, row by row and number by
# number; Python's csv and json and sqlite3 read them; hostile names stay inside their cells.
set -u
report=$(readlink -f "${PYSPY_BUILD:-build}")/pyspy-report
tests=$(readlink -f "$(dirname "$0")/..")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
fail() { echo "FAIL: $*"; failed=1; }
same() { [ "$2" = "$3" ] || fail "$1: got [$2], want [$3]"; }
"$PYSPY_BUILD/unit/test_report_views" --write . || exit 1
mkdir other
for name in threads motion events mixed cut bounded; do
    cp "$tests/golden/$name.pyspy" "golden-$name.pyspy" || exit 1
done
mv hostile.pyspy undefined.pyspy defaults.pyspy other
[ "${PYSPY_FULL:-}" ] || mv wide.pyspy small.pyspy golden-threads.pyspy golden-cut.pyspy other
PYTHONPATH=$tests/e2e python3 - "$report" ./*.pyspy <<'P' || failed=1
import csv, io, json, os, subprocess, sys
from collections import Counter, defaultdict
import pyspy_reader as pr
import recording

report, failed = sys.argv[1], 0

def run(*words):
    p = subprocess.run([report, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return p.stdout.decode()

def same(what, got, want):
    global failed
    if got != want:
        failed = 1
        a, b = (Counter(got), Counter(want)) if isinstance(got, list) else (got, want)
        print("FAIL: %s:\n  only the reporter: %s\n  only the reader: %s" % (
            what, list((a - b).items())[:3] if isinstance(a, Counter) else a, list((b - a).items())[:3] if isinstance(b, Counter) else b))

def rows_csv(text):
    assert text.endswith("\r\n") and text.count("\n") == text.count("\r\n"), "line ends"
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert all(len(r) == len(rows[0]) for r in rows), "a row of another length"
    return [dict(zip(rows[0], r)) for r in rows[1:]]

def rows_json(text):
    d = json.loads(text)
    assert d["schema_version"] == 1 and [set(r) for r in d["rows"]] == [{c["name"] for c in d["columns"]}] * len(d["rows"])
    return d

def text_of(rows):
    return [{k: "" if v is None else str(v).lower() if isinstance(v, bool) else "%.4f" % v if k.endswith("_percent") else str(v)
             for k, v in r.items()} for r in rows]

def idle(r):
    return not r.gil and (r.state in (recording.SLEEPING, recording.DISK, recording.STOPPED) or (r.state == recording.UNKNOWN and bool(r.flags & recording.GIL_WAIT)))

CUT = recording.Frame("made", "", "[cut]", "", 0, None, None, None, None)

def stack_of(r):
    return ((CUT,) if r.flags & recording.CUT else ()) + tuple(r.stack)

def percent(part, whole):
    return "%.4f" % (100.0 * part / whole) if whole else ""

class Sums:
    """key -> [self_n, total_n, self_ns, total_ns]; a key counts once a stack"""
    def __init__(self, runs, key):
        self.of = defaultdict(lambda: [0, 0, 0, 0])
        for r in runs:
            stack, ns = [key(f, r) for f in stack_of(r)], r.ns
            for k in set(stack):
                self.of[k][1] += r.ticks
                self.of[k][3] += ns
            self.of[stack[-1]][0] += r.ticks
            self.of[stack[-1]][2] += ns

    def rows(self, names, all_, timed, shown=lambda k: k):
        i = 2 if timed else 0
        out = []
        for k, v in self.of.items():
            cells = dict(zip(names, shown(k)))
            cells.update(self_percent=percent(v[i], all_), total_percent=percent(v[i + 1], all_), self_samples=str(v[0]),
                         total_samples=str(v[1]), self_ns=str(v[2]), total_ns=str(v[3]))
            out.append(tuple(sorted(cells.items())))
        return out

def native_file(f, r):
    return r.epoch.modules.get(int(f.module), (0, ""))[1] if f.kind == "native" else f.file

def line_of(f):
    return str(f.line) if f.kind == "python" and f.line and f.line > 0 else ""

def function(f, r):
    return (f.kind, f.module, f.name, native_file(f, r), f.first if f.kind == "python" else 0)

def by_line(f, r):
    return (f.kind, f.module, f.name, native_file(f, r), f.first, line_of(f))

def file_of(f, r):
    return native_file(f, r) or f.name

def module_of(f, r):
    return (f.module or f.file or f.name) if f.kind == "python" else file_of(f, r)

TOPS = {  # --by -> names of columns, key, how a key is shown
    "function": (("function", "file", "line"), function, lambda k: (k[2], k[3], str(k[4] or ""))),
    "line": (("function", "file", "line"), by_line, lambda k: (k[2], k[3], k[5])),
    "file": (("file",), file_of, lambda k: (k,)),
    "module": (("module",), module_of, lambda k: (k,)),
}

def check_top(path, rec, runs, all_, options):
    for by, (names, key, shown) in TOPS.items():
        words = ("top", "--by", by, "--full-filenames", "--no-processes", "--no-threads", *options, path)
        want = Sums(runs, key).rows(names, all_, rec.timed, shown)
        got = rows_csv(run(*words, "--csv"))
        same("%s %s" % (path, words), sorted(tuple(sorted(r.items())) for r in got), sorted(want))
        d = rows_json(run(*words, "--json"))
        same("%s %s: JSON is CSV" % (path, words), text_of(d["rows"]), got)
        kept = d["totals"]["kept"]
        same("%s: kept" % path, (kept["samples"], kept["ns"]), (sum(r.ticks for r in runs), sum(r.ns for r in runs)))
        order = [float(r["self_" + ("ns" if rec.timed else "samples")]) for r in got]
        same("%s: order" % path, order, sorted(order, reverse=True))
    threads = Counter()
    for r in runs:
        p = r.epoch.processes.get(r.info["process"], {}).get("pid", 0)
        threads[(str(p), str(r.info["tid"]), r.info["name"])] += r.ns if rec.timed else r.ticks
    got = rows_csv(run("top", "--by", "thread", *options, "--csv", path))
    same("%s: threads" % path, {(r["pid"], r["tid"], r["thread"]): r["total_percent"] for r in got},
         {k: percent(v, all_) for k, v in threads.items()})

def paths(rows, part):
    out, known = {}, {}
    for r in rows:
        if r["part"] != part:
            continue
        at = known[r["id"]] = known.get(r["parent"], ()) + ((r["function"], r["file"], r["line"]),)
        assert len(at) == int(r["depth"]) and r["left_out"] == "0", r
        a = out.setdefault(at, [0, 0])
        a[0] += int(r["self_samples"] or 0)
        a[1] += int(r["total_samples"])
    return out

def add(out, path, n, end=True):
    for i in range(1, len(path) + 1):
        a = out.setdefault(tuple(path[:i]), [0, 0])
        a[1] += n
    if end:
        out[tuple(path)][0] += n

def check_tree(path, rec, runs, all_):
    shown = TOPS["function"][2]
    whole, callers, callees = {}, {}, {}
    name = next((f.name for r in runs for f in r.stack[1:] if f.kind == "python"), None) or runs[0].stack[0].name
    for r in runs:
        keys = [shown(function(f, r)) for f in stack_of(r)]
        add(whole, keys, r.ticks)
        first = next((i for i, k in enumerate(keys) if k[0] == name), None)
        if first is not None:
            add(callees, keys[first:], r.ticks)
            add(callers, keys[first::-1], r.ticks, False)
    words = ("-i", "--csv", "--full-filenames", "--no-processes", "--no-threads", path)
    same("%s: tree" % path, paths(rows_csv(run("tree", *words)), "tree"), whole)
    pattern = "function:^%s$" % "".join("[%s]" % c if not c.isalnum() and c not in "[]^\\" else c if c.isalnum() else "\\" + c for c in name)
    rows = rows_csv(run("tree", "--of", pattern, *words))
    same("%s: callees of %s" % (path, name), paths(rows, "callees"), callees)
    same("%s: callers of %s" % (path, name), paths(rows, "callers"), callers)
    # limits: what has no row is counted by the row above
    d = rows_json(run("tree", "--json", "--min-share", "5", "--depth", "3", *words[2:]))
    ids = {r["id"]: r for r in d["rows"]}
    children = Counter(r["parent"] for r in d["rows"])
    assert all(r["depth"] <= 3 and r["total_percent"] >= 4.9999 for r in d["rows"]), d["rows"]
    full = {r["id"]: r for r in rows_json(run("tree", "--json", *words[2:]))["rows"]}
    all_children = Counter(r["parent"] for r in full.values())
    same("%s: left out" % path, {i: r["left_out"] for i, r in ids.items()}, {i: all_children[i] - children[i] for i in ids})

def check_lines(path, rec, runs, all_):
    want = Sums(runs, lambda f, r: (f.file, line_of(f)) if f.kind == "python" and f.file else None)
    want.of.pop(None, None)
    got = rows_csv(run("lines", "-i", "--csv", path))
    extra = ("source", "source_path", "text")
    same("%s: lines" % path, sorted(tuple(sorted((k, v) for k, v in r.items() if k not in extra)) for r in got if r["line"] or r["file"].endswith(".py")),
         sorted(r for r in want.rows(("file", "line"), all_, rec.timed)))
    d = rows_json(run("lines", "-i", "--json", path))
    same("%s: lines as JSON" % path, text_of(d["rows"]), got)

def check_stacks(path, rec):
    begin = rec.headers[0]["boottime"] if "boottime" in rec.headers[0] else rec.epochs[0].recording["started"]
    samples = defaultdict(list)
    for r in rec.runs:
        for t in (r.times[:1] if r.event else r.when):
            samples[str(r.info["tid"]), r.info["name"]].append((t, r))  # a tid may be had again
    for ms in (0, 333, 1995):
        at = begin + ms * 1000000
        got = rows_csv(run("stacks", "--csv", "--full-filenames", "--at", "%dms" % ms, path))
        for who in {(r["tid"], r["thread"]) for r in got}:
            mine = [r for r in got if (r["tid"], r["thread"]) == who]
            offset = int(mine[0]["sample_offset_ns"])
            near = min(abs(t - at) for t, _ in samples[who])
            same("%s: distance at %d ms" % (path, ms), abs(offset), near)
            stacks = [[shown[0] for shown in (TOPS["line"][2](by_line(f, r)) for f in reversed(stack_of(r)))] for t, r in samples[who] if t == at + offset]
            if [r["function"] for r in mine] not in stacks:
                same("%s: stack at %d ms" % (path, ms), tuple(r["function"] for r in mine), tuple(map(tuple, stacks)))

def check_script(path, rec, runs):
    want = Counter()
    for r in runs:
        for t in (r.times[:1] if r.event else r.when):
            want[(t, r.info["tid"], tuple(f.name for f in stack_of(r)), r.weight_ns)] += 1
    begin = rec.epochs[0].recording["started"]
    columns = "time_ns,tid,weight_ns,stack,function,line,depth"
    got, order = Counter(), []
    for x in run("script", "-i", "--json", "--nolineno", "--no-threads", "--columns", columns, path).splitlines():
        d = json.loads(x)
        assert d["depth"] == len(d["stack"]) and d["stack"][-1].startswith(d["function"]) and d["line"] is None, d
        order.append(d["time_ns"])
        got[(begin + d["time_ns"], d["tid"], tuple(d["stack"]), d["weight_ns"])] += 1
    strip = Counter()
    for (t, tid, stack, w), n in got.items():
        strip[(t, tid, tuple(f[:f.rindex(" (")] if f.endswith(")") and " (" in f else f for f in stack), w)] += n
    same("%s: script" % path, strip, want)
    rows = rows_csv(run("script", "-i", "--csv", "--columns", "depth,time_ns", path))
    same("%s: script as CSV" % path, [int(r["time_ns"]) for r in rows], order)

for path in sys.argv[2:]:
    rec = pr.read(path)
    for options, runs in (("-i",), rec.runs), (("--no-idle",), [r for r in rec.runs if not idle(r)]):
        all_ = sum(r.ns for r in runs) if rec.timed else sum(r.ticks for r in runs)
        check_top(path, rec, runs, all_, options)
        if options == ("-i",):
            check_tree(path, rec, runs, all_)
            check_lines(path, rec, runs, all_)
            check_stacks(path, rec)
            check_script(path, rec, runs)
    info, flat = json.loads(run("info", "--json", path)), {r["key"]: r["value"] for r in rows_csv(run("info", "--csv", path))}
    same("%s: info --csv" % path, flat["samples.samples"], str(info["samples"]["samples"]))
    same("%s: info --csv" % path, flat["recordings.0.file"], info["recordings"][0]["file"])
    leaves = lambda v: sum(map(leaves, v.values() if isinstance(v, dict) else v)) if isinstance(v, (dict, list)) else 1
    same("%s: info --csv has all of it" % path, len(flat), leaves(info))
sys.exit(failed)
P

# names that break things: the same rows by way of CSV and JSON, one line each
cp other/*.pyspy .
for v in "top -i" "top -i --by thread" "tree -i" "lines -i" stacks info; do
    $report $v --csv hostile.pyspy >a.csv 2>err || fail "$v --csv: $(cat err)"
    $report $v --json hostile.pyspy >a.json 2>err || fail "$v --json: $(cat err)"
    LC_ALL=C grep -qP '[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]' a.csv && fail "$v --csv: control characters"
    LC_ALL=C grep -qP '[\x00-\x09\x0b-\x1f\x80-\xff]' a.json && fail "$v --json: not plain ASCII"
    python3 - "$v" <<'P' || failed=1
import csv, json, sys
raw = open("a.csv", newline="", encoding="utf-8").read()
rows = list(csv.reader(raw.splitlines(True), strict=True))
assert len(rows) == raw.count("\r\n") == raw.count("\n"), "%s: a row of several lines" % sys.argv[1]
assert len({len(r) for r in rows}) == 1
assert not [c for r in rows for c in r if c[:1] in "=+-@" and c and not c[1:].replace(".", "").isdigit()], rows
d = json.load(open("a.json"))
if "rows" in d:
    assert len(d["rows"]) == len(rows) - 1
P
done
for v in "tree -i" "tree -i --of file:app" "lines -i --min-share 0" stacks "top -i --by file" "script -i --columns utc,thread,function,file"; do
    $report $v hostile.pyspy >a 2>err || fail "$v: $(cat err)"
    LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]' a && fail "$v: control characters"
    iconv -f UTF-8 -t UTF-8 a >/dev/null 2>&1 || fail "$v: not UTF-8"
    $report $v -o b hostile.pyspy 2>err; cmp -s a b || fail "$v: -o and standard output differ, or two runs do"
done
if command -v sqlite3 >/dev/null; then
    $report top -i --csv many.pyspy >top.csv 2>err
    same "sqlite3" "$(sqlite3 -csv :memory: '.import top.csv t' 'select sum(self_samples), max(total_percent) > 54 from t' 'select line from t where function = "fib"' | tr -d '\r' | tr '\n' ' ')" '1320,1 40 '
    $report tree -i --csv many.pyspy >tree.csv 2>err
    same "sqlite3: parents" "$(sqlite3 :memory: '.mode csv' '.import tree.csv t' "select count(*) from t a where parent <> '' and not exists (select 1 from t b where b.id = a.parent and b.depth + 1 = a.depth)" | tr -d '\r')" 0
else
    echo "sqlite3 is not here: its .import is not tried"
    [ "${CI:-}" = true ] && failed=1
fi

# what is left out is said, in words and in numbers; nothing left is no error
same "top --csv -L" "$($report top -i --csv -L 2 many.pyspy 2>err | wc -l)" 3
same "top --json -L" "$($report top -i --json -L 2 many.pyspy 2>err | python3 -c 'import json, sys; print(json.load(sys.stdin)["rows_left_out"])')" 7
for v in "top --csv" "tree --csv" "lines --csv" "stacks --csv" "script --csv"; do
    same "$v: nothing left" "$($report $v --focus nothing-is-called-so many.pyspy 2>err | wc -l)" 1
    grep -q 'nothing is left' err || fail "$v: does not say that nothing is left: $(cat err)"
done
for v in "top --json" "tree --json" "lines --json" "stacks --json"; do
    same "$v: nothing left" "$($report $v --focus nothing-is-called-so many.pyspy 2>err | python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["rows"], d["totals"]["kept"]["samples"], d["filters"]["focus"])')" \
        "[] 0 ['nothing-is-called-so']"
done
same "tree: a share of what is left out" "$($report tree -i --min-share 20 small.pyspy 2>err | grep -c 'more')" 0
same "tree: rest" "$($report tree --min-share 20 wide.pyspy 2>err | sed -n 's/^ *\([0-9.]*\) .*\.\.\. \([0-9]*\) more callees$/\1 \2/p' | sort -u | wc -l)" 2
$report tree --of nobody -i many.pyspy >out 2>err; grep -q 'no function matches' err || fail "tree --of nobody: $(cat err)"
same "--measure cpu names its columns" "$($report top --measure cpu --csv kernel.pyspy 2>err | head -1 | tr -d '\r')" \
    "function,file,line,self_percent,total_percent,self_samples,total_samples,self_cpu_ns,total_cpu_ns"

expect() { # status, words, command ...
    local status=$1 words=$2
    shift 2
    timeout 60 "$@" >out 2>err </dev/null
    local got=$?
    [ $got = "$status" ] && grep -qE -- "$words" err && [ "$(wc -l <err)" = 1 ] && [ ! -s out ] || fail "$*: status $got, want $status; [$words]: $(cat err)"
}
expect 2 '^pyspy-report: --at: not a time; at character 1' "$report" stacks --at x many.pyspy
expect 2 "no column 'nope'" "$report" script --columns tid,nope many.pyspy
expect 2 'named twice' "$report" script --columns tid,tid many.pyspy
expect 2 'min-share wants' "$report" tree --min-share 101 many.pyspy
expect 2 'min-share wants' "$report" lines --min-share -1 many.pyspy
expect 2 'depth wants' "$report" tree --depth 99999999999 many.pyspy
expect 2 'exclude each other' "$report" tree --of a --callers b many.pyspy
expect 2 '^pyspy-report: --of: Unmatched.*character 10' "$report" tree --of 'function:(x' many.pyspy
expect 2 'context wants' "$report" lines --context x many.pyspy
expect 2 'source-dir wants' "$report" lines --source-dir '' many.pyspy
for v in tree lines stacks; do
    expect 1 'No such file.*check the name' "$report" $v -o x missing.pyspy
    expect 1 'No space left on device' "$report" $v -o /dev/full many.pyspy
    expect 1 'No space left on device' "$report" $v --csv -o /dev/full many.pyspy
    expect 1 'No space left on device' "$report" $v --json -o /dev/full many.pyspy
    [ -e x ] && fail "$v: made a file out of nothing"
    $report $v --json -o a many.pyspy 2>err; $report $v --json many.pyspy >b 2>err
    cmp -s a b || fail "$v: two runs differ"
    head -c 700 many.pyspy >short
    timeout 60 "$report" $v short >out 2>err; [ $? -le 1 ] || fail "$v of a part: $(cat err)"
done
exit $failed

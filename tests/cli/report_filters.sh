#!/bin/bash
# parallel
# Filters: what an independent reader (tests/e2e/pyspy_reader.py, from FORMAT.md alone) leaves of each recording with
# Python's `re` is what the reporter leaves, stack by stack; views in order of time leave the same; ranges add up; wrong
# expressions name their place.
set -u
report=$(readlink -f "${PYSPY_BUILD:-build}")/pyspy-report
tests=$(readlink -f "$(dirname "$0")/..")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
"$PYSPY_BUILD/unit/test_report_views" --write . || exit 1
for name in basic threads epochs motion events kernel mixed fallback cut stopped bounded; do
    cp "$tests/golden/$name.pyspy" "golden-$name.pyspy" || exit 1
done
cat small.pyspy kernel.pyspy >two.pyspy # two recordings in one file: each has its own begin
mkdir other
[ "${PYSPY_FULL:-}" ] || mv wide.pyspy small.pyspy defaults.pyspy kernel.pyspy golden-{basic,threads,epochs,events,kernel,fallback,stopped}.pyspy other
mv hostile.pyspy undefined.pyspy other
PYTHONPATH=$tests/e2e python3 - "$report" ./*.pyspy <<'P' || exit 1
import os, re, subprocess, sys
from collections import Counter
import pyspy_reader as pr
import recording

report, failed, full, calls = sys.argv[1], 0, os.environ.get("PYSPY_FULL"), 0
NS = 10 ** 9

def run(*words, stdin=None):
    return subprocess.run([report, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, stdin=stdin).stdout.decode()

def folded(text):
    """lines of raw -> names of frames -> number"""
    out = Counter()
    for line in text.splitlines():
        stack, n = line.rsplit(" ", 1)
        out[tuple(re.sub(r" \([^()]*\)$", "", f) for f in stack.split(";"))] += int(n)
    return out

def same(what, got, want):
    global failed
    if got != want:
        failed = 1
        print("FAIL: %s:\n  only the reporter: %s\n  only the reader: %s" %
              (what, dict(list((got - want).items())[:3]), dict(list((want - got).items())[:3])))

def states(run):
    s = run.state
    return {"running"} & ({"running"} if s in (recording.ON_CPU, recording.ACTIVE) else set()) | \
        ({"runnable"} if s in (recording.RUNNABLE, recording.ACTIVE) else set()) | \
        ({"blocked"} if s in (recording.SLEEPING, recording.DISK, recording.STOPPED) else set()) | \
        ({"unknown"} if s == recording.UNKNOWN else set()) | \
        ({"gc"} if run.flags & recording.GC else set()) | ({"gil-wait"} if run.flags & recording.GIL_WAIT else set())

def idle(run):
    if run.gil:
        return False
    return run.state in (recording.SLEEPING, recording.DISK, recording.STOPPED) or (run.state == recording.UNKNOWN and bool(run.flags & recording.GIL_WAIT))

def texts(f, run):
    if f.kind == "native":
        path = run.epoch.modules.get(int(f.module), (0, ""))[1]
        return {"function": [f.name], "module": [path] if path else [], "file": [path] if path else []}
    of = {"function": [f.name] + ([f.module + "." + f.name.strip("[]")] if f.module else []),
          "module": [f.module] if f.module else [], "file": [f.file] if f.file else []}
    return of

def matches(frame, run, pattern):
    scope, rest = pattern.split(":", 1) if pattern.startswith(("function:", "module:", "file:")) else (None, pattern)
    flags = re.I if rest.startswith("(?i)") else 0
    rest = rest[4:] if flags else rest
    return any(re.search(rest, t, flags | re.S) for k, ts in texts(frame, run).items() if scope in (None, k) for t in ts)

def want(rec, keep=lambda r: True, focus=None, ignore=None, hide=None, show_from=None, at=lambda r, t: True):
    out = Counter()
    for r in rec.runs:
        if not keep(r):
            continue
        times = [r.times[0]] if r.event and r.times else r.when
        n = sum(1 for t in times if at(r, t))
        stack = list(r.stack)
        hit = lambda p: any(matches(f, r, p) for f in stack)
        if not n or (focus and not hit(focus)) or (ignore and hit(ignore)) or (show_from and not hit(show_from)):
            continue
        if show_from:
            while not matches(stack[0], r, show_from):
                stack.pop(0)
        cut = ("[cut]",) if r.flags & recording.CUT and not show_from else ()
        names = tuple(f.name for f in stack if not (hide and matches(f, r, hide))) or ("[hidden]",)
        out[cut + names] += n
    return out

ALL = ("-i", "--no-gil", "--no-threads", "--no-processes", "--measure", "samples")

def check(path, what, options, expected):
    raw = folded(run("raw", *ALL, *options, path))
    same("%s: %s" % (path, what), raw, expected)
    global calls
    calls += 1
    if not full and calls % 4:
        return
    lines = Counter()
    for line in run("script", *ALL[:4], *options, path).splitlines():
        lines[tuple(re.sub(r" \([^()]*\)$", "", f) for f in line.split("\t")[6].split(";"))] += 1
    same("%s: %s: script" % (path, what), lines, expected)

def total(path, measure, *options):
    svg = run("flamegraph", "-i", "--no-gil", "--measure", measure, *options, path)
    return int(re.search(r'data-all="(\d+)"', svg).group(1))

for path in sys.argv[2:]:
    rec = pr.read(path)
    cmdline = lambda r: " ".join(r.epoch.processes.get(r.info["process"], {}).get("cmdline", []))
    pid = lambda r: r.epoch.processes.get(r.info["process"], {}).get("pid")
    started = lambda r: r.epoch.recording["started"]
    check(path, "everything", (), want(rec))
    same("%s: not idle" % path, folded(run("raw", *ALL[1:], "--no-idle", path)), want(rec, lambda r: not idle(r)))
    same("%s: -g" % path, folded(run("raw", *ALL, "-g", path)), want(rec, lambda r: r.gil))
    for word in ("running", "runnable", "blocked", "gc", "gil-wait", "unknown", "blocked,gc"):
        check(path, word, ("--state", word), want(rec, lambda r: states(r) & set(word.split(","))))
    for n in sorted({pid(r) for r in rec.runs} - {None})[:2] + [999999]:
        check(path, "pid", ("--pid", str(n)), want(rec, lambda r: pid(r) == n))
    for n in sorted({r.info["tid"] for r in rec.runs} - {-1})[:2]:
        check(path, "tid", ("--thread", str(n)), want(rec, lambda r: r.info["tid"] == n))
    check(path, "thread", ("--thread", "^Main|wait"), want(rec, lambda r: re.search("^Main|wait", r.info["name"])))
    check(path, "process", ("--process", r"--worker|app\.py"), want(rec, lambda r: re.search(r"--worker|app\.py", cmdline(r))))
    names = sorted({f.name for r in rec.runs for f in r.stack})
    words = {re.escape(names[i * (len(names) - 1) // 2]) for i in range(3)} if len(names) < 1000 else {names[0]}
    ps = sorted(words) + ["module:app", "fib", r"\[in motion", "(?i)FILE:x|WORK", "^$", "file:\\.py$", "threading.Event.wait|_1[0-9]*3"]
    for i, p in enumerate(ps):
        for k, kind in enumerate(("focus", "ignore", "hide", "show_from")):
            if full or (i + k) % 2 == 0:
                check(path, "%s %s" % (kind, p), ("--" + kind.replace("_", "-"), p), want(rec, **{kind: p}))
    check(path, "all at once", ("--focus", "work|f", "--ignore", "dumps", "--hide", "module", "--state", "running,blocked"),
          want(rec, lambda r: states(r) & {"running", "blocked"}, focus="work|f", ignore="dumps", hide="module"))
    # offsets, shares and the clock; of each recording its own
    for text, a, b in (("0.5s..1.25s", .5, 1.25), ("1s..", 1, None), ("..2500ms", None, 2.5), ("0..1m", 0, 60), ("10h..", 36000, None)):
        def inside(r, t, a=a, b=b):
            s = t - started(r)
            return (not a or s >= a * NS) and (b is None or s < b * NS)
        check(path, "--time " + text, ("--time", text), want(rec, at=inside))
    if len(rec.headers) == 1:
        first, last = rec.headers[0]["boot"], max([b["end"] for b in rec.blocks] or [0])
        half = first + (last - first) // 2
        anchors = {b["anchor"] for b in rec.blocks}
        check(path, "first half", ("--time", "..50%"), want(rec, at=lambda r, t: t < half))
        check(path, "second half", ("--time", "50%..100%"), want(rec, at=lambda r, t: t >= half))
        check(path, "last second", ("--time=-1s..",), want(rec, at=lambda r, t: t >= max(last - NS, first)))
        if len(anchors) == 1:
            ns = first + NS + anchors.pop()
            day = subprocess.run(["date", "-u", "-d", "@%d" % (ns // NS), "+%Y-%m-%dT%H:%M:%S"], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
            check(path, "clock", ("--time", "%s.%09dZ.." % (day, ns % NS)), want(rec, at=lambda r, t: t >= first + NS))
    for measure in ("samples", "wall", "cpu"):
        whole = total(path, measure)
        if whole != {"samples": rec.samples, "wall": rec.ns}.get(measure, whole):
            same("%s: %s" % (path, measure), Counter(x=whole), Counter(x=rec.samples if measure == "samples" else rec.ns))
        for at in ("33%", "1.2345s", "-700ms") if full else ("1.2345s",):
            parts = [total(path, measure, "--time=" + w) for w in ("..%s" % at, "%s.." % at)]
            if sum(parts) != whole:
                same("%s: %s: parts at %s" % (path, measure, at), Counter(x=sum(parts)), Counter(x=whole))
sys.exit(failed)
P
mv other/* .
failed=0
fail() { echo "FAIL: $*"; failed=1; }
same() { [ "$2" = "$3" ] || fail "$1: got [$2], want [$3]"; }
sum() { awk '{n += $NF} END {print n + 0}'; }
raw() { "$report" raw -i "$@" 2>err; }

# wrong expressions: one line with the place, status 2, nothing on standard output
while IFS='|' read -r option value words; do
    "$report" raw "$option" "$value" -o made small.pyspy >out 2>err
    [ $? = 2 ] && [ ! -s out ] && [ ! -e made ] && [ "$(wc -l <err)" = 1 ] && grep -qF -- "$words" err || fail "$option $value: $(cat err out)"
done <<'L'
--focus|a(b|for --focus: Unmatched ( or \(; at character 2: '(b'
--ignore|a)b|for --ignore: Unmatched ); at character 2: ')b'
--hide|module:[z-a]|for --hide: Invalid range end; at character 11: 'a]'
--show-from|x**\|for --show-from: Trailing backslash; at character 4
--focus|(a)\1|back-references are not known here; at character 4
--focus|(a{99}){99}|repeats too often; at character 8
--thread|[|for --thread:
--process|*|for --process: Invalid preceding regular expression; at character 1: '*'
--time|10|no '..'
--time|1s..x|not a time; at character 5: 'x'
--time|1s..5parsecs|no unit of time (ms, s, m, h); at character 6: 'parsecs'
--time|5s..2s|ends before it begins; at character 5: '2s'
--time|..101%|more than 100 %; at character 3
--time|2026-02-30..|no such day; at character 1
--time|2026-02-03T25:00..|no hour; at character 12
--time|..2026-02-03T01:00+25:00|no time zone (Z, +01:00); at character 20
--state|running,sleepy|'sleepy' at character 9 is no state
--pid|12,x|no process number at character 4
--measure|bytes|samples, wall or cpu
--level|package|line, function, file or module
--strip-prefix||the name of a folder
L
"$report" top --focus "$(printf '\033[2J(')" small.pyspy 2>err; grep -q $'\033' err && fail "an escape sequence in a message"

# info: samples, processes and threads are of what is left
same "info" "$("$report" info --json --pid 301 --state gil-wait many.pyspy | python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["filters"], d["samples"]["samples"], sorted(t["samples"] for p in d["processes"] for t in p["threads"]))')" \
    "--pid 301 --state gil-wait 320 [0, 0, 0, 320]"
"$report" info --time 1s..2s many.pyspy | grep -q '^filters  *--time 1s..2s: they leave 330 of 1,320 samples; what follows is of these$' || fail "info does not say its filters"
"$report" info many.pyspy | grep -q '^filters' && fail "info names filters that are not on"
"$report" info defaults.pyspy | grep -q '^filters' && fail "info takes the recording's view for a filter"
same "info -g" "$("$report" info -g --json many.pyspy | python3 -c 'import json, sys; print(json.load(sys.stdin)["samples"]["samples"])')" 560

# nothing left: said, status 0
for v in raw top flamegraph script; do
    "$report" $v --focus 'no such function' small.pyspy >out 2>err || fail "$v: nothing left: status $?"
    cat out err | grep -q '0 of 800 samples .*filters: --focus .*no such function.*; nothing is left' || fail "$v: nothing left is not said: $(cat err)"
done
grep -c . out | grep -qx 0 || fail "script: lines of nothing"
"$report" flamegraph --time 10h.. -o none.svg small.pyspy 2>err || fail "nothing in that time"
grep -q 'No samples are left' none.svg || fail "an empty picture that does not say so"
python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse("none.svg")' || fail "none.svg: not XML"

# what was asked for is said in every view, as one types it, and what is left of the recording's time
"$report" top -i --time 1s..2500ms --thread 'Main|w.*' --state running many.pyspy >out 2>err
grep -qF "of 2 of 4 threads of 2 processes in 1.5 s of 4.0 s; filters: --time 1s..2500ms --thread 'Main|w.*' --state running" out || fail "top: $(head -4 out)"
"$report" flamegraph -i --level module --collapse-recursion --invert --measure cpu --strip-prefix /srv -o all.svg many.pyspy 2>err
sed 's/<[^>]*>//g' all.svg | grep -q 'shares are of CPU time (--measure cpu); by module (--level module); file names without /srv; recursion collapsed; inverted' || fail "flamegraph: $(grep 'id="samples"' all.svg)"
grep -q 'width: CPU time' all.svg || fail "flamegraph: what widths are"

# naming and grouping
same "by process" "$(raw --processes small.pyspy | cut -d';' -f1 | sort -u)" "process 4711: python3 app.py"
same "processes merged" "$(raw --no-processes many.pyspy | grep -c 'process 30')" 0
same "one process left: no row for it" "$(raw --pid 301 many.pyspy | grep -c 'process 30')" 0
same "collapsed" "$(raw --collapse-recursion --focus fib many.pyspy)" "<module> (server.py:30);fib (app/work.py:42) 80"
same "inverted" "$(raw --invert --thread 300 --focus deflate many.pyspy)" "deflate;Work.run (app/work.py:22);<module> (server.py:30) 240"
same "inverted twice is the same sum" "$(raw --invert -t many.pyspy | sum)" 1320
same "modules" "$(raw --level module --no-processes --pid 300 many.pyspy | sort)" "$(printf '%s\n' '__main__;app.work 160' '__main__;app.work;<unknown> 240' 'threading 200')"
same "files" "$(raw --level file --focus fib many.pyspy)" "server.py;app/work.py 80"
same "strip" "$(raw --strip-prefix /srv --full-filenames --focus fib -F many.pyspy | cut -d';' -f1)" "<module> (app/server.py:1)"
same "strip ends at a folder" "$(raw --strip-prefix /sr --full-filenames --focus fib -F many.pyspy | cut -d';' -f1)" "<module> (/srv/app/server.py:1)"
same "the longest is taken" "$(raw --strip-prefix /srv/ --strip-prefix /srv/app --focus fib -F many.pyspy | cut -d';' -f1)" "<module> (server.py:1)"
same "--level beats the recording's view" "$("$report" raw --no-threads --level line defaults.pyspy 2>err)" "$(printf '%s\n' 'f (defaults.py:11) 40' 'f (defaults.py:12) 60')"
same "--state beats idle" "$("$report" raw --state blocked --no-idle small.pyspy 2>err | sum)" 0

# hostile names: looked for as bytes
same "a lone surrogate's bytes" "$(raw --focus "$(printf '\355\262\200 bad \377')" hostile.pyspy | wc -l)" 1
same "a newline" "$(raw --focus "$(printf 'new\nline')" hostile.pyspy | wc -l)" 1

# a pipe is read twice, where that is needed, and leaves nothing behind
mkdir tmp
for options in "raw -i --time 50%.." "script -i" "script -i --time=-1s.. --focus Work" "top -i --time ..20%"; do
    $report $options many.pyspy >a 2>/dev/null
    TMPDIR=$PWD/tmp $report $options - <many.pyspy >b 2>/dev/null
    cat many.pyspy | TMPDIR=$PWD/tmp $report $options - >c 2>/dev/null
    TMPDIR=$PWD/tmp $report $options <(cat many.pyspy) >d 2>/dev/null
    cmp -s a b && cmp -s a c && cmp -s a d || fail "$options: a pipe shows something else than the file"
done
same "nothing is left of the pipes" "$(ls tmp)" ""
cat many.pyspy | TMPDIR=$PWD/none $report script - >out 2>err
[ $? = 1 ] && grep -q "cannot copy standard input to $PWD/none to read it twice: .*; free some space, set TMPDIR" err || fail "no place to copy a pipe to: $(cat err)"

# several files: each has its own begin; damage stays damage
same "two files, one second each" "$(raw --time ..1s small.pyspy many.pyspy | sum)" $(($(raw --time ..1s small.pyspy | sum) + $(raw --time ..1s many.pyspy | sum)))
same "and the other way round, in order of time" "$("$report" script -i --time 50%.. many.pyspy small.pyspy 2>err | wc -l)" \
    $(($(raw --time 50%.. small.pyspy | sum) + $(raw --time 50%.. many.pyspy | sum)))
"$report" raw --strict --time ..1s -i "$tests/golden/damaged.pyspy" >out 2>err; same "damage with --strict" $? 4
same "damaged: the parts" "$(raw --time ..40% "$tests/golden/damaged.pyspy" | sum) $(raw --time 40%.. "$tests/golden/damaged.pyspy" | sum)" \
    "$(raw --time ..40% "$tests/golden/damaged.pyspy" | sum) $(($(raw "$tests/golden/damaged.pyspy" | sum) - $(raw --time ..40% "$tests/golden/damaged.pyspy" | sum)))"
for f in "$tests"/golden/*.pyspy hostile.pyspy undefined.pyspy; do
    $report script -i "$f" 2>/dev/null >a; $report raw -i --measure samples "$f" 2>/dev/null >b
    same "${f##*/}: script and raw" "$(wc -l <a)" "$(sum <b)"
done

# `go tool pprof` filters the whole profile as the reporter did beforehand: what each function has, of itself and in total.
# (With [hidden] where pprof drops a sample; nothing of that kind is asked here.)
if command -v go >/dev/null && go tool pprof -h 2>&1 | grep -q show_from; then
    top() { go tool pprof -top -nodecount 1000 -sample_index=samples "$@" 2>/dev/null | awk '$2 ~ /%$/ && $5 ~ /%$/ {print $1, $4, $6, $7}' | sort; }
    "$report" pprof -i -o all.pb.gz many.pyspy 2>err
    filters="focus=fib hide=Work.run"
    [ "${PYSPY_FULL:-}" ] && filters="focus=fib hide=Work.run show_from=Work.run ignore=dumps focus=server.py hide=fib show_from=app/work ignore=threading.Event focus=^deflate$ hide=module"
    for filter in $filters; do
        "$report" pprof -i "--$(echo "${filter%%=*}" | tr _ -)" "${filter#*=}" -o some.pb.gz many.pyspy 2>err
        [ "$(top some.pb.gz | wc -l)" -gt 0 ] || fail "pprof: $filter: nothing"
        same "go tool pprof -$filter" "$(top some.pb.gz)" "$(top "-$filter" all.pb.gz)"
    done
else
    echo "(no go tool pprof: not compared with its filters)"
fi
exit $failed

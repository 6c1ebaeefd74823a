#!/bin/bash
# parallel
# What the reporter's verbs print for small recordings: totals that agree, the same bytes twice, what the rules of
# the folded format and of XML and JSON demand, options and view defaults.
set -u
report=$PYSPY_BUILD/pyspy-report
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
fail() { echo "FAIL: $*"; failed=1; }
same() { [ "$2" = "$3" ] || fail "$1: got [$2], want [$3]"; }
"$PYSPY_BUILD/unit/test_report_views" --write . || exit 1
sum() { awk '{n += $NF} END {print n + 0}'; }

# a page's policy allows what is in it, by its own reckoning; its columns add up, all of them and by thread and time
cat >page.py <<'PY'
import base64, hashlib, html.parser, re, sys, zlib
text = open(sys.argv[1], encoding="utf-8").read()
parts = {}
class Parts(html.parser.HTMLParser):
    def handle_starttag(self, tag, attrs):
        self.at = (tag, dict(attrs).get("id") or dict(attrs).get("type"))
        if tag == "meta" and "content" in dict(attrs):
            parts.setdefault("policy", dict(attrs)["content"])
    def handle_data(self, data):
        if getattr(self, "at", (None,))[0] in ("script", "style"):
            parts[self.at] = parts.get(self.at, "") + data
    def handle_endtag(self, tag):
        self.at = (None, None)
Parts(convert_charrefs=True).feed(text)
digest = lambda part: base64.b64encode(hashlib.sha256(parts[part].encode()).digest()).decode()
assert "script-src 'sha256-%s'; style-src 'sha256-%s';" % (digest(("script", "module")), digest(("style", None))) in parts["policy"], parts["policy"]
assert not re.search(r"unsafe|https?://| on[a-z]+=\"", parts["policy"])
if len(sys.argv) > 2:
    data = zlib.decompress(base64.b64decode(parts[("script", "profile")], validate=True))
    place = 0
    def number():
        global place
        v = shift = 0
        while True:
            c = data[place]
            place += 1
            v |= (c & 127) << shift
            shift += 7
            if c < 128:
                return v
    def column(n):
        return [number() for _ in range(n)]
    lengths = column(number())
    size = number()
    strings = data[place:place + size].decode()
    assert len(strings.encode("utf-16-le")) // 2 == sum(lengths)
    place += size
    for width in (3, 5):
        n = number()
        for _ in range(width):
            column(n)
    n = number()
    ups, frames = column(n), column(n - 1)
    more = column(frames.count(0))
    self_n, self_ns = column(n), column(n)
    assert place == len(data) and ups[0] == 0 and sum(self_n) == int(sys.argv[2]), (place, len(data), sum(self_n))
    data, place = zlib.decompress(base64.b64decode(parts[("script", "times")], validate=True)), 0
    n = number()
    node, thread, bucket, samples, ns = (column(n) for _ in range(5))
    by_node = [[0, 0] for _ in self_n]
    at = 0
    for step, a, b in zip(node, samples, ns):
        at += step
        by_node[at][0] += a
        by_node[at][1] += b
    assert by_node == [list(both) for both in zip(self_n, self_ns)], "cells do not add up"
PY

for f in small motion hostile many wide undefined; do
    total=$($report info --json $f.pyspy | python3 -c 'import json, sys; print(json.load(sys.stdin)["samples"]["samples"])')
    idle=$($report info --json $f.pyspy | python3 -c 'import json, sys; print(json.load(sys.stdin)["samples"]["idle"])')
    same "$f: raw -i" "$($report raw -i $f.pyspy 2>err | sum)" "$total"
    same "$f: raw" "$($report raw $f.pyspy 2>err | sum)" $((total - idle))
    same "$f: raw -F -t --nolineno" "$($report raw -F -t -i --nolineno $f.pyspy 2>err | sum)" "$total"
    same "$f: script -i" "$($report script -i $f.pyspy 2>err | wc -l)" "$total"
    same "$f: script" "$($report script $f.pyspy 2>err | wc -l)" $((total - idle))
    same "$f: script, folded by hand, is raw" \
        "$($report script --full-filenames -i $f.pyspy 2>err | cut -f7 | LC_ALL=C sort | uniq -c | awk '{n = $1; sub(/^ *[0-9]+ /, ""); print $0 " " n}' | LC_ALL=C sort | md5sum)" \
        "$($report raw --full-filenames -i $f.pyspy 2>err | sed 's/^process [0-9]*:[^;]*;//' | awk '{n = $NF; sub(/ [0-9]+$/, ""); c[$0] += n} END {for (k in c) print k " " c[k]}' | LC_ALL=C sort | md5sum)"
    $report raw -i $f.pyspy 2>err | grep -vE '^[^;]+(;[^;]+)* [0-9]+$' && fail "$f: lines that are not folded"
    for v in raw script top "info --json" info flamegraph "flamegraph --format=html" "lines --html"; do
        $report $v -i $f.pyspy >a 2>err || [ "${v%% *}" = info ] || fail "$f: $v: exit status"
        [ "${v%% *}" = info ] && $report $v $f.pyspy >a
        $report $v $([ "${v%% *}" = info ] || echo -i) -o b $f.pyspy 2>err
        cmp -s a b || fail "$f: $v: -o and standard output differ, or two runs do"
        LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]' a && fail "$f: $v: control characters"
        iconv -f UTF-8 -t UTF-8 a >/dev/null 2>&1 || fail "$f: $v: not UTF-8"
    done
    $report flamegraph -i -o $f.svg $f.pyspy 2>err
    python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' $f.svg || fail "$f: not XML"
    same "$f: script elements" "$(grep -o '<script' $f.svg | wc -l)" 1
    $report flamegraph -i -o $f.HTML $f.pyspy 2>err || fail "$f: a page by the name of its file"
    python3 page.py $f.HTML "$total" || fail "$f: the page"
    $report lines -i -o lines.htm $f.pyspy 2>err && python3 page.py lines.htm || fail "$f: the page of lines"
    same "$f: svg has no rest beside it" "$(ls -A | grep -c '\.tmp$')" 0
done

same "motion" "$($report raw -i motion.pyspy 2>err)" "[in motion] 25
[no Python frame] 10
a (motion.py:11) 10
a (motion.py:11);[in motion] 30
a (motion.py:11);b (motion.py:21) 20
d (motion.py:41) 5"
grep -q 'in motion 55.0 %' err && grep -q 'unproved 10.0 %' err || fail "motion: losses are not said: $(cat err)"
same "script's columns" "$($report script many.pyspy 2>err | head -1)" \
    "$(printf '0.005000\t300/300\tMainThread\tactive\tgil\toutside\t<module> (server.py:30);Work.run (app/work.py:22)')"
same "script's thread names" "$($report script hostile.pyspy 2>err | head -1 | cut -f3)" ']]></text>\x1b[1m\t\n"'"'<b>&"
same "process rows" "$($report raw -i many.pyspy 2>err | cut -d';' -f1 | sort -u | tr '\n' '|')" \
    "process 300: python3 server.py|process 301: python3 server.py --worker 1|"
same "-g" "$($report raw -g many.pyspy 2>err | sum)" 560
same "two files" "$($report raw -i small.pyspy many.pyspy 2>err | sum)" 2120
same "standard input" "$($report raw -i - <small.pyspy 2>err)" "$($report raw -i small.pyspy 2>err)"
same "FILE alone is top" "$($report small.pyspy)" "$($report top small.pyspy)"
same "top -L" "$($report top -i -L 2 many.pyspy | grep -c '^ *[0-9]')" 2
same "top by line" "$($report top -i --by line many.pyspy | grep -c 'fib (app/work.py:4[12])')" 2
same "top by function" "$($report top -i many.pyspy | grep -c 'fib ')" 1
same "top: recursion" "$($report top -i many.pyspy | awk '/fib /{print $3, $4}')" "80 80"
$report top small.pyspy 2>err | grep -q '400 idle left out' || fail "top does not say what was left out"

# by the kernel: every number is time. Threads 1 and 2 have 4 s each of events, thread 3 4 s of ticks; a sample is worth 10 ms
json() { $report info --json kernel.pyspy | python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }
same "kernel: thread time" "$(json 'd["shares_of"], d["samples"]["wall_ns"]')" "time 12000000000"
same "kernel: of each thread" "$(json '[t["wall_ns"] for p in d["processes"] for t in p["threads"]]')" \
    "[4000000000, 4000000000, 4000000000]"
same "kernel: on a CPU" "$(json 'd["samples"]["cpu_ns"] == d["samples"]["time_ns"]["states"]["on-cpu"]')" True
busy=$(json '(d["samples"]["time_ns"]["busy"] + 5000000) // 10000000')
same "kernel: raw -i" "$($report raw -i kernel.pyspy 2>err | sum)" 1200
grep -q '1 is 10 ms; [1-9][0-9]* stacks of less came to no line of their own' err || fail "kernel: raw does not say what its numbers are: $(cat err)"
same "kernel: raw" "$($report raw kernel.pyspy 2>err | sum)" "$busy"
same "kernel: raw -t" "$($report raw -t -i kernel.pyspy 2>err | awk -F';' '{n = $NF; sub(/.* /, "", n); c[$1] += n} END {for (k in c) print c[k]}' | tr '\n' ' ')" \
    "400 400 400 "
$report raw -i kernel.pyspy 2>err | grep -vE '^[^;]+(;[^;]+)* [1-9][0-9]*$' && fail "kernel: lines that are not folded"
same "kernel: script -i, events" "$($report script -i kernel.pyspy 2>err | sed -n 's/.*event=\([0-9]*\).*/\1/p' | awk '{n += $1} END {printf "%.0f", n}')" 8000000000
same "kernel: script in order" "$($report script -i kernel.pyspy 2>err | cut -f1 | sort -c -g && echo yes)" yes
same "kernel: top is 100 % of time" "$($report top -i --by line kernel.pyspy | awk '$1 ~ /^[0-9.]+$/ && NF > 6 {n += $1} END {print (n > 99 && n < 101)}')" 1
$report top kernel.pyspy | grep -q 'idle left out (-i shows it); shares are of time' || fail "kernel: top does not say what its shares are of"
$report flamegraph -i -o kernel.svg kernel.pyspy 2>err
same "kernel: width of the picture" "$(grep -o 'data-all="[0-9]*"' kernel.svg)" 'data-all="12000000000"'
grep -q '<title>all$' kernel.svg && grep -q '^12 s, 100.0 %, [0-9,]* samples; self 0 s, 0 %' kernel.svg || fail "kernel: details of the picture: $(grep -A1 '<title>all' kernel.svg)"
grep -q 'width: time' kernel.svg || fail "kernel: the picture does not say what its widths are"
same "kernel and small together" "$($report raw -i small.pyspy kernel.pyspy 2>err | sum)" 2000
$report info kernel.pyspy >a
for words in '^engine *kernel: timer tick, 250 Hz$' "^  .* by the kernel, on the thread's CPU" 'by the kernel, as the thread left its CPU' \
    'from outside, while the thread ran' '^taken *samples *time *share of time$' '^time *12 s of 3 threads: ' 'wall time *CPU time *off CPU'; do
    grep -q -- "$words" a || fail "kernel: info does not say [$words]"
done
$report info small.pyspy | grep -q '^taken *samples *time *share of samples$' || fail "info does not say what its shares are of"

# what the recording asks its views for holds until told otherwise
same "view defaults" "$($report raw defaults.pyspy 2>err)" "thread 600: MainThread;f (defaults.py:10) 100"
same "view defaults denied" "$($report raw --no-idle --no-threads --no-function defaults.pyspy 2>err)" "f (defaults.py:11) 40"
same "view defaults in script" "$($report script defaults.pyspy 2>err | tail -1 | cut -f4-)" \
    "$(printf 'sleeping\t-\tstill\tthread 600: MainThread;f (defaults.py:10)')"
same "-g beside view defaults" "$($report raw -g --no-threads defaults.pyspy 2>err)" "f (defaults.py:10) 40"

# the newest recording of the folder is taken, and named
touch -d '1 hour ago' ./*.pyspy; touch small.pyspy
same "newest" "$($report raw -i 2>err)" "$($report raw -i small.pyspy 2>/dev/null)"
grep -q 'small.pyspy' err || fail "the newest file is not named"
exit $failed

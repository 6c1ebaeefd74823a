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
    for v in raw script top "info --json" info flamegraph; do
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

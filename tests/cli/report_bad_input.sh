#!/bin/bash
# parallel
# Whatever the reporter is given: one line that says what failed, why and what to do, the documented exit status, and no
# output that looks whole.
set -u
report=$PYSPY_BUILD/pyspy-report
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
fail() { echo "FAIL: $*"; failed=1; }
"$PYSPY_BUILD/unit/test_report_views" --write . || exit 1

# status, words that must be there, command ...
expect() {
    local status=$1 words=$2
    shift 2
    timeout 60 "$@" >out 2>err </dev/null
    local got=$?
    [ $got = "$status" ] || fail "$*: exit status $got, want $status: $(cat err)"
    [ -z "$words" ] || grep -qE -- "$words" err || fail "$*: does not say [$words]: $(cat err)"
    grep -q 'ERROR: \|runtime error' err && fail "$*: $(cat err)"
    return 0
}
one_line() {
    expect "$@"
    [ "$(wc -l <err)" = 1 ] || fail "${*:3}: more than one line: $(cat err)"
    [ ! -s out ] || fail "${*:3}: wrote to standard output"
    ls -A | grep -q '\.tmp$' && fail "${*:3}: left a temporary file"
    return 0
}

$report index -o own.idx small.pyspy 2>err || fail "no index"
cp own.idx own2.idx
: >empty; mkdir folder; head -c 30 small.pyspy >start; printf 'GIF89a nothing' >gif
for v in raw script top info flamegraph; do
    one_line 1 'No such file.*check the name' $report $v -o x missing.pyspy
    one_line 1 'Is a directory.*inside it' $report $v folder
    one_line 1 'it is empty' $report $v empty
    one_line 1 'not a pyspy recording; make one with pyspy-record' $report $v gif
    one_line 1 'not a pyspy recording|ends in the middle' $report $v start
    one_line 1 'not a pyspy recording|it is empty' $report $v -
    one_line 2 "unknown option --nope; see pyspy-report $v --help" $report $v --nope small.pyspy
    one_line 1 'cannot write nowhere/x: No such file or directory' $report $v -o nowhere/x small.pyspy
    one_line 1 'cannot write folder: Is a directory' $report $v -o folder small.pyspy
    expect 1 'No space left on device.*free some space' $report $v -o /dev/full small.pyspy
    expect 1 'No space left on device' bash -c "$report $v small.pyspy >/dev/full"
    expect 1 'closed|Bad file' bash -c "$report $v small.pyspy >&-"
    expect 0 '' bash -c "$report $v wide.pyspy | head -c 1 >/dev/null; exit \${PIPESTATUS[0]}"
    grep -q 'cannot write' err && fail "$v: a reader that went away is an error: $(cat err)"
    one_line 1 'over the recording' $report $v -o small.pyspy small.pyspy
    one_line 1 'named twice' $report $v small.pyspy ./small.pyspy
    one_line 1 'own.idx is an index of small.pyspy, which is named too' $report $v small.pyspy own.idx
    [ -e x ] && fail "$v: made a file out of nothing"
    [ -s small.pyspy ] || fail "$v: damaged its input"
done
one_line 1 'own2.idx and own.idx are indexes of the same recording' $report top own.idx own2.idx
one_line 2 'foo: neither a verb .* nor a file' $report foo
one_line 2 'no verb' $report
one_line 2 'unknown option --foo' $report --foo
one_line 2 'needs a value' $report raw -o
one_line 2 'limit wants a number' $report top --limit -1 small.pyspy
one_line 2 'by wants function, line, file, module or thread' $report top --by x small.pyspy
one_line 2 'max-frames wants' $report flamegraph --max-frames 0 small.pyspy
expect 0 '' $report --help; grep -q flamegraph out || fail "help does not name the verbs"
expect 0 '' $report --version; grep -q '^pyspy-report [0-9]' out || fail "no version"
(cd folder && one_line 1 'no \*.pyspy file in this folder' $report raw)

# an existing file keeps its contents until the new one is whole; a link stays a link; the mode is the umask's
echo old >kept; ln -s kept link
one_line 1 'not a pyspy recording' $report raw -o kept gif
[ "$(cat kept)" = old ] || fail "an error replaced the old result"
expect 0 '' $report raw -i -o link small.pyspy
[ -L link ] && grep -q work kept || fail "-o through a link"
(umask 027; $report raw -o mode small.pyspy 2>/dev/null; [ "$(stat -c %a mode)" = 640 ]) || fail "mode of a result"

# a newer major version (the header's checksum must be right)
python3 - <<'P'
def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c ^= b
        for _ in range(8):
            c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
    return c ^ 0xFFFFFFFF
d = bytearray(open("small.pyspy", "rb").read())
d[16] = 2
d[60:64] = crc32c(bytes(d[:60])).to_bytes(4, "little")
open("newer.pyspy", "wb").write(d)
P
one_line 1 'newer version of pyspy; update' $report raw newer.pyspy

# truncated and damaged: what is outside is shown, what is missing is said
size=$(stat -c %s many.pyspy)
head -c $((size - 20)) many.pyspy >cut
expect 0 'ends in the middle' $report raw -i cut
[ -s out ] || fail "truncated: nothing shown"
expect 4 'ends in the middle' $report raw -i --strict cut
python3 - "$size" <<'P'
import sys
d = bytearray(open("many.pyspy", "rb").read())
second = d.index(b"PySpyBlk", d.index(b"PySpyBlk") + 8)
d[second + 130] ^= 0xFF
open("flip", "wb").write(d)
d = open("many.pyspy", "rb").read()
open("hole", "wb").write(d[:second - 8] + b"garbage in the middle" * 10 + d[second - 8:])
P
expect 0 'damaged block' $report raw -i flip
grep -q '330 samples known to be missing' err || fail "damaged block: $(cat err)"
[ "$(awk '{n += $NF} END {print n}' out)" = 990 ] || fail "damaged block: $(awk '{n += $NF} END {print n}' out) samples, want 990"
expect 4 'damaged block' $report info --strict flip
expect 0 'no part of a recording' $report raw -i hole
[ "$(awk '{n += $NF} END {print n}' out)" = 1320 ] || fail "garbage cost samples"
expect 0 '' $report info --json flip
python3 -c 'import json; d = json.load(open("out"))["damage"]; assert d["missing_samples"] == 330 and d["list"], d' || fail "info --json: damage"
for v in raw script top info flamegraph "info --json"; do
    for at in 70 200 400 700 1000 1500 2000; do
        head -c $at many.pyspy >cut
        timeout 60 $report $v cut >out 2>err
        [ $? -le 1 ] || fail "$v of $at bytes: $(cat err)"
    done
done
exit $failed

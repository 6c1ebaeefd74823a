#!/bin/bash
# parallel
# The progress bar: only on a terminal, only after a second, gone before anything else is said; never in a result. And
# pprof, which is binary, is not poured over a terminal.
set -u
report=$(readlink -f "${PYSPY_BUILD:-build}")/pyspy-report
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
fail() { echo "FAIL: $*"; failed=1; }
"${report%/*}/unit/test_report_views" --write . || exit 1
export TERM=xterm report
size=$(stat -c %s many.pyspy)
# a file, not a function: `script` runs $SHELL or sh, and dash drops bash's exported functions
printf '#!/bin/sh\nhead -c %d many.pyspy; sleep 1.3; tail -c +%d many.pyspy\n' $((size / 2)) $((size / 2 + 1)) >slow
chmod +x slow
on_terminal() { timeout 60 script -qec "$1" /dev/null </dev/null >tty 2>&1; }

on_terminal './slow | $report flamegraph -i -o slow.svg -'
tr '\r' '\n' <tty | grep -q '^\(.\[K\)\?reading standard input: [0-9]' || fail "no bar after a second: $(cat -v tty)"
tr '\r' '\n' <tty | grep -q '^.\[Kpyspy-report: 1,320 samples' || fail "the bar is not gone before the last word: $(cat -v tty)"
$report flamegraph -i -o fast.svg many.pyspy 2>err
cmp -s slow.svg fast.svg || fail "the result is another one with a bar"
grep -q reading err && fail "a bar without a terminal"
./slow | $report flamegraph -i -o slow.svg - 2>err
grep -q 'reading' err && fail "a bar without a terminal, after a second: $(cat err)"
on_terminal '$report flamegraph -i -o fast.svg many.pyspy'
grep -q 'reading' tty && fail "a bar in the first second: $(cat -v tty)"

on_terminal '$report pprof -i many.pyspy; echo "status $?"'
grep -q 'is binary, and standard output is a terminal; name a file: -o profile.pb.gz' tty || fail "pprof on a terminal: $(cat -v tty)"
grep -q 'status 2' tty || fail "pprof on a terminal: exit status"
[ "$($report pprof -i many.pyspy 2>/dev/null | md5sum)" = "$($report pprof -i - <many.pyspy 2>/dev/null | md5sum)" ] || fail "pprof of standard input"
[ "$($report pprof -i many.pyspy 2>/dev/null | gzip -dc | wc -c)" -gt 500 ] || fail "pprof is not gzip"
$report pprof -o /dev/full many.pyspy 2>err && fail "pprof on a full disk: exit status"
grep -q 'cannot write /dev/full: No space left' err || fail "pprof on a full disk: $(cat err)"
exit $failed

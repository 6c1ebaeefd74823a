#!/bin/bash
# parallel
# usage: report_golden.sh [--update]
# The recordings of tests/golden still come out as they did: NAME.script (script), NAME.folded (raw -i) and NAME.info.json.
# --update writes the texts anew: look at the difference before it is committed.
set -u
report=$(readlink -f "${PYSPY_BUILD:-build}")/pyspy-report
cd "$(dirname "$0")/../golden" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
for file in *.pyspy; do
    name=${file%.pyspy}
    $report script "$file" >"$work/$name.script" 2>/dev/null || { echo "FAIL: script $file: exit status $?"; failed=1; }
    $report raw -i "$file" >"$work/$name.folded" 2>/dev/null || { echo "FAIL: raw $file: exit status $?"; failed=1; }
    $report info --json "$file" >"$work/$name.info.json" 2>/dev/null || { echo "FAIL: info $file: exit status $?"; failed=1; }
done
if [ "${1:-}" = --update ]; then
    cp "$work"/* .
    exit $failed
fi
for text in "$work"/*; do
    diff -u "$(basename "$text")" "$text" || { echo "FAIL: $(basename "$text") is not what it was"; failed=1; }
done
exit $failed

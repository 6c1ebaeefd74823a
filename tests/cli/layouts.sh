#!/bin/bash
# parallel
# timeout: 600
# The table of layouts is what its data says, and its data is what CPython's headers say: for every set of headers on this
# machine each member of struct layout is computed by the compiler and compared with the row that layout_find gives.
# Quick: each set as it is; full: also the other builds that its macros make (debug, with object lists, free-threaded).
set -u
cd "$(dirname "$0")/../.."
failed=0 sets=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
scripts/gen-layouts --compare || failed=1
scripts/gen-debug-offsets --compare || failed=1
${CC:-cc} -std=gnu17 -I. -o "$tmp/layout_print" tests/cli/layout_print.c pyspy-record/python/layout.c || exit 1
export LAYOUT_PRINT=$tmp/layout_print

cache=${PYSPY_CACHE:-/var/tmp/pyspy-cache}
seen=
check() { # VERSION BUILD INCLUDE
    case "$seen" in *"|$1 $2|"*) return ;; esac
    seen="$seen|$1 $2|"
    if timeout 120 scripts/gen-layouts --check "$1" "$2" "$3" "$(dirname "$3")" >"$tmp/out" 2>&1; then
        sets=$((sets + 1))
        echo "$(tail -n 1 "$tmp/out") ($3)"
    else
        failed=1
        cat "$tmp/out"
        echo "FAILED: $1 $2: $3"
    fi
}
for include in "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}"/versions/*/include/python* /usr/include/python[23]* /usr/local/include/python[23]* \
    "$cache"/pythons/*/include/python* "$cache"/roots/*/usr/include/python* "$cache"/headers/*/usr/include/python*; do
    [ -e "$include/Python.h" ] || continue # a -dbg package's folder is of links into that of a -dev package
    version=$(sed -nE 's/^#define PY_VERSION[ \t]+"([0-9]+\.[0-9]+\.[0-9]+).*/\1/p' "$include/patchlevel.h")
    macros=$(echo '#include "pyconfig.h"' | ${CC:-cc} -E -dM -I"$include" -I"$(dirname "$include")" - | awk '{print $2}')
    is() { grep -qx "$1" <<<"$macros"; }
    minor=${version#*.} minor=${minor%.*}
    builds=release
    if is Py_DEBUG; then builds=debug; elif [ -n "${PYSPY_FULL:-}" ]; then builds="release debug"; fi
    if [ "${version%%.*}" = 3 ] && [ "$minor" -ge 8 ] && [ "$minor" -le 13 ] && [ -n "${PYSPY_FULL:-}" ] && ! is Py_DEBUG; then
        builds="$builds tracerefs"
    fi
    if is Py_GIL_DISABLED; then
        builds=freethreaded
        if is Py_DEBUG; then builds=freethreaded-debug; elif [ -n "${PYSPY_FULL:-}" ]; then builds="freethreaded freethreaded-debug"; fi
    elif [ "${version%%.*}" = 3 ] && [ "$minor" -ge 13 ] && [ -n "${PYSPY_FULL:-}" ] && ! is Py_DEBUG; then
        builds="$builds freethreaded freethreaded-debug"
    fi
    for build in $builds; do check "$version" "$build" "$include"; done
done
echo "$sets sets of headers compared"
if [ "$failed" = 0 ] && [ "$sets" = 0 ]; then
    echo "no headers of CPython on this machine"
    exit 77
fi
exit $failed

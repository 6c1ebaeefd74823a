#!/usr/bin/env bash
# Neither program needs more than it may: the recorder libunwind, libelf, zstd and the C library (its eBPF programs it
# loads itself); the reporter nothing of libunwind and libelf. Only what is named directly counts (libelf brings its own libz).
# A program that is linked statically runs where there is nothing but itself.
set -eu
build=${PYSPY_BUILD:-build}
system='libc\.so|libm\.so|libpthread\.so|libdl\.so|librt\.so|libgcc_s\.so|ld-linux|libasan|libubsan|libtsan|libgcov'
bad=0
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
alone() { # PROGRAM
    cp "$build/$1" "$root/$1"
    if [ "$(id -u)" = 0 ]; then chroot "$root" "/$1" --version; else "$root/$1" --version; fi
}
check() { # PROGRAM ALLOWED
    needed=$(readelf -dW "$build/$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    echo "$1: $(echo $needed)"
    [ -n "$needed" ] || alone "$1" || { echo "$1 needs what is not linked into it"; bad=1; }
    for lib in $needed; do
        echo "$lib" | grep -Eq "^($system|$2)" || { echo "$1 must not need $lib"; bad=1; }
    done
}
check pyspy 'nothing'
check pyspy-record 'libunwind|libelf\.so|libzstd\.so'
check pyspy-report 'libzstd\.so|libjansson\.so|libz\.so|libsqlite3\.so|libncursesw\.so|libtinfo\.so'
exit $bad

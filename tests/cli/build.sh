#!/usr/bin/env bash
# What the Makefile promises, on a toy tree of the same shape: nothing is built twice, changed headers, flags and lists
# of files are noticed, flavours do not mix, what is missing is named in one sentence, the kernel engine is left out
# where clang is missing, install and uninstall are twins.
set -eu
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS CLANG
cp -r "$root/Makefile" "$root/LICENSE" "$root/README.md" .
mkdir -p scripts libcommon pyspy-record/target pyspy-report/assets tests/unit
cp "$root/scripts/embed.sh" scripts/
printf 'a"\0\n\377' >pyspy-report/assets/a-b.js
echo 'int two(void);' >libcommon/two.h
printf '#include "libcommon/two.h"\nint two(void)\n{\n\treturn 2;\n}\n' >libcommon/two.c
printf '#include "libcommon/two.h"\nint main(void)\n{\n\treturn two();\n}\n' >pyspy-record/main.c
cat >pyspy-report/main.c <<'C'
#include <string.h>
extern const unsigned char asset_a_b_js[];
extern const unsigned int asset_a_b_js_len;
int main(void)
{
	return asset_a_b_js_len != 5 || memcmp(asset_a_b_js, "a\"\0\n\377", 6);
}
C

bad=0
expect() { # WORDS COMMAND...: it holds
    words=$1 && shift
    if ! "$@" >out 2>&1; then echo "does not hold: $words"; cat out; bad=1; fi
}
built() { make "$@" 2>&1 | sed -n 's/^  CC  *//p; s/^  EMBED  *//p; s/^  BPF  *//p' | sort | tr '\n' ' '; }
builds() { # FILES ARGUMENTS...: what this make compiles
    want=$1 && shift
    got=$(built "$@")
    [ "$got" = "$want" ] || { echo "make $*: compiled '$got', not '$want'"; bad=1; }
}
all='libcommon/two.c pyspy-record/main.c pyspy-report/assets/a-b.js pyspy-report/main.c '

builds "$all"
expect "the programs run" sh -c 'build/pyspy-record; [ $? = 2 ] && build/pyspy-report'
expect "a second make does nothing" sh -c 'make | grep -q "Nothing to be done"'
touch libcommon/two.h
builds 'libcommon/two.c pyspy-record/main.c '
builds "$all" CFLAGS="-DX='\"a b\"'"
builds '' CFLAGS="-DX='\"a b\"'"
builds "$all"
builds "$all" WERROR=1
builds "$all"
echo 'int more(void) { return 1; }' >pyspy-record/target/more.c
builds 'pyspy-record/target/more.c '
rm pyspy-record/target/more.c libcommon/two.h
printf 'int two(void);\nint two(void)\n{\n\treturn 2;\n}\n' >libcommon/two.c
sed -i 's/#include "libcommon.two.h"/int two(void);/' pyspy-record/main.c
builds 'libcommon/two.c pyspy-record/main.c ' # a header that is gone stops nothing
builds "$all" BUILD=debug
expect "flavours have folders of their own" test -x build/debug/pyspy-record
builds ''
expect "a warning is no error for users" sh -c 'echo "static int x;" >>libcommon/two.c && make'
expect "but it is one for us" sh -c '! make WERROR=1'
sed -i '$d' libcommon/two.c

# an eBPF program, for the recorder; where there is no clang for it, without
mkdir pyspy-record/kernel
echo 'int zero(void *ctx);' >pyspy-record/kernel/toy.h
printf '#include <linux/bpf.h>\n#include "pyspy-record/kernel/toy.h"\nint zero(void *ctx)\n{\n\treturn 0;\n}\n' >pyspy-record/kernel/toy.bpf.c
cat >pyspy-record/main.c <<'C'
#include <stdint.h>
int two(void);
#if PYSPY_HAS_KERNEL_ENGINE
extern const unsigned char asset_toy_bpf_o[];
extern const unsigned int asset_toy_bpf_o_len;
int main(void)
{
	return (uintptr_t)asset_toy_bpf_o % 8 || asset_toy_bpf_o_len < 64 || asset_toy_bpf_o[1] != 'E' ? 9 : two();
}
#else
int main(void)
{
	return two() + 1;
}
#endif
C
without='libcommon/two.c pyspy-record/main.c pyspy-report/assets/a-b.js pyspy-report/main.c '
if echo 'int x;' | clang -target bpf -x c -c -o /dev/null - 2>/dev/null; then
    make >/dev/null 2>&1
    expect "the eBPF object is in the recorder" sh -c 'build/pyspy-record; [ $? = 2 ]'
    touch pyspy-record/kernel/toy.h
    builds 'pyspy-record/kernel/toy.bpf.c '
    builds ''
    expect "with clang nothing is said about it" sh -c 'touch libcommon/two.c && ! make | grep "kernel engine"'
    echo 'static int unused;' >>pyspy-record/kernel/toy.bpf.c
    expect "its warnings are no errors for users" make
    expect "but they are for us" sh -c '! make WERROR=1'
    sed -i '$d' pyspy-record/kernel/toy.bpf.c
    make >/dev/null 2>&1
    builds "$without" CLANG=
fi
for words in "CLANG= CLANG is empty" "CLANG=absent absent is missing (scripts/install-deps build)" \
    "CLANG=false false has no bpf target or linux/bpf.h is older than 5.8"; do
    rm -rf build
    make "${words%% *}" >out 2>&1 || { echo "make ${words%% *}: $(cat out)"; bad=1; }
    grep "kernel engine" out >note || true
    [ "$(cat note)" = "  note: built without the kernel engine: ${words#* }" ] || { echo "make ${words%% *} says '$(cat note)'"; bad=1; }
    expect "it runs without" sh -c 'build/pyspy-record; [ $? = 3 ]'
done
make >/dev/null 2>&1

for words in "PKG_CONFIG=false libzstd-dev libelf-dev libjansson-dev" "PKG_CONFIG=absent pkg-config" "CC=absent gcc"; do
    set -- $words
    rc=0
    make "$1" >out 2>&1 || rc=$?
    shift
    [ $rc != 0 ] && [ "$(wc -l <out)" = 1 ] && grep -q "Missing: $* " out || { echo "make $words: $(cat out)"; bad=1; }
done
expect "an unknown flavour is named" sh -c '! make BUILD=fast && make BUILD=fast 2>&1 | grep -q "one of release debug"'

# a front that starts the others is a program of its own, with nothing of theirs
mkdir pyspy-record/front
printf 'int main(void)\n{\n\treturn 5;\n}\n' >pyspy-record/front/main.c
builds 'pyspy-record/front/main.c '
expect "the front runs, and the recorder is itself" sh -c 'build/pyspy; [ $? = 5 ] && ! build/pyspy-record && [ "$(nm build/pyspy-record | grep -c " T main$")" = 1 ]'
builds ''

expect "install" make install DESTDIR="$work/to" PREFIX=/usr
expect "installed" sh -c '[ -x to/usr/bin/pyspy ] && [ -x to/usr/bin/pyspy-record ] && [ -x to/usr/bin/pyspy-report ] && [ -f to/usr/share/doc/pyspy/LICENSE ]'
expect "uninstall" make uninstall DESTDIR="$work/to" PREFIX=/usr
expect "nothing of ours is left" sh -c '[ -z "$(find to -type f)" ]'
expect "clean" sh -c 'make clean && [ ! -e build ]'
expect "help names every target that has a comment" sh -c '[ "$(make help | grep -c "^make \|^  make ")" = "$(grep -c "^[a-z-]*:.*## " Makefile)" ]'
exit $bad

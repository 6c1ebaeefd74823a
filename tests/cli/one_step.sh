#!/usr/bin/env bash
# One step from a program to its view: which view, where it and the recording go, what is said when it fails, what
# signals do, and with whose rights the reporter runs. From outside: this is not about how samples are taken.
PYSPY_ENGINE=${PYSPY_ENGINE:-outside}
. "$(dirname "$0")/record_support.bash"
report=$build/pyspy-report
cat >busy.py <<'PY'
import sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    sum(i * i for i in range(1000))
print("its words")
sys.exit(int(sys.argv[2]))
PY
moment="-d 0.06 -r 300" # enough for some samples
full=${PYSPY_FULL:-0}
whole() { "$report" info --strict "$1" >/dev/null 2>&1 || fail "$1 is no whole recording"; }
same() { cmp "$1" "$2" || fail "$1 is not $2"; } # BYTES
clean() { rm -rf -- *.svg *.pyspy *.folded *.json *.txt *.gz x* .pyspy-* 2>/dev/null; }
left() { # FILES...: these views and recordings are here, and no others
    local got
    got=$(ls -A | grep -E 'svg|html|pyspy-?[^r]*tmp|\.pyspy|folded|json|txt$|gz$' | grep -v '^pyspy-record$' | sort | tr '\n' ' ')
    [ "$got" = "$(for f; do echo "$f"; done | sort | tr '\n' ' ')" ] || fail "left: $got"
}
# a recorder with a reporter of our own beside it: fake BODY
fake() {
    mkdir -p fake
    cp "$build/pyspy-record" fake/
    printf '#!/bin/sh\n%s\n' "$1" >fake/pyspy-report
    chmod 755 fake fake/*
}
record_fake=("$dir/fake/pyspy-record" --engine outside)
start_victim 300 0

# every view, by the end of the name and by -f: the same bytes as in two steps, from the recording beside it
for row in "svg flamegraph" "html flamegraph --format=html" "folded raw" "speedscope.json speedscope" "trace.json chrometrace" "pb.gz pprof" "firefox.json firefox"; do
    set -- $row
    "$report" "$2" --help >/dev/null 2>&1 || { echo "not there yet: $2"; continue; }
    expect 0 "$record" $moment -i -o "x.$1" -p "$victim" # it sleeps most of the time
    says "wrote x.$1 (" " and x.pyspy ("
    "$report" "${@:2}" x.pyspy >two 2>/dev/null
    same "x.$1" two
    whole x.pyspy
    left "x.$1" x.pyspy
    clean
done
expect 0 "$record" $moment -i -f raw -o x.svg -p "$victim" # -f decides
grep -q '^<module> ([^;]*;work ' x.svg || fail "-f raw: no folded stacks"
left x.svg x.pyspy
clean
expect 0 "$record" $moment -f raw -F --nolineno -t -i --full-filenames -o x.y -p "$victim"
"$report" raw -F --nolineno -t -i --full-filenames x.y.pyspy >two 2>/dev/null
same x.y two
[ -s x.y ] || fail "an empty view"
clean

# without -o: PROGRAM-TIME; --no-keep leaves the view alone
expect 0 "$record" -q $moment -f raw -p "$victim"
ls victim-$victim-*Z.folded victim-$victim-*Z.pyspy >/dev/null || fail "no default names: $(ls)"
[ -s err ] && fail "-q is not quiet"
clean; rm -f victim-*
expect 0 "$record" $moment -o x.svg --no-keep -p "$victim"
left x.svg
grep -q pyspy-report.top err && fail "points to a recording that is gone"

# what is there: the view is replaced; a recording only when it is the one of this view
echo old >x.svg
echo precious >x.pyspy
expect 0 "$record" $moment -o x.svg -p "$victim"
left x.svg x.pyspy x-1.pyspy
[ "$(cat x.pyspy)" = precious ] || fail "not a recording, and written over"
grep -q "<svg" x.svg || fail "x.svg was not replaced"
mv x-1.pyspy x.pyspy
expect 0 "$record" $moment -o x.svg --no-keep -p "$victim"
whole x.pyspy
left x.svg x.pyspy
before=$(stat -c %i x.pyspy)$(md5sum <x.pyspy)
expect 0 "$record" $moment -o x.svg -p "$victim"
left x.svg x.pyspy
"$report" flamegraph x.pyspy >two 2>/dev/null
same x.svg two
rm x.svg
expect 0 "$record" $moment -o x.svg -p "$victim"
left x.svg x.pyspy x-1.pyspy
mkdir real
mv x.svg real/y.svg
ln -s real/y.svg x.svg
expect 0 "$record" -q $moment -o x.svg -p "$victim"
[ -L x.svg ] && [ -s real/y.svg ] || fail "a link was not followed"
clean; rm -r real

# streams: - and its other names, a pipe; a program's own words go to stderr then
"$record" -f raw -F -o - --no-keep -- "$python" -S busy.py 0.3 7 >out 2>err
[ $? = 7 ] || fail "the program's status is lost"
grep -q '^<module> .* [0-9]*$' out || fail "no view on standard output"
grep -q "its words" out && fail "the program's words are in the view"
says "its words" "wrote standard output"
echo before >appended
"$record" -q -i -f raw -o /dev/stdout --no-keep $moment -p "$victim" >>appended
[ "$(head -n 1 appended)" = before ] && [ "$(wc -l <appended)" -gt 1 ] || fail "/dev/stdout is not standard output"
"$record" -q -i -f raw -o >(cat >through) --no-keep $moment -p "$victim"
until_true "a view through a pipe" test -s through
"$record" -i -f raw -o - --no-keep $moment -p "$victim" 2>err | head -c 1 >/dev/null
[ "${PIPESTATUS[0]}" = 0 ] || fail "a reader that goes is an error"
left
rm -f appended through

# names that a terminal would obey
bad=$'-x $(touch y)\e[2J\n"\xff.svg'
expect 0 "$record" $moment "-o$bad" -p "$victim"
[ -s "$bad" ] && [ -s "${bad%.svg}.pyspy" ] || fail "not written: $(ls -b)"
LC_ALL=C grep -q $'\e\|\xff' err && fail "names go to the terminal as they are"
no_file y
rm -f -- "$bad" "${bad%.svg}.pyspy"

# places that cannot be written are known before anything starts
expect 125 "$record" -o missing/x.svg -- sh -c 'touch started'; one_line "missing/x" "No such file" "-o"
expect 1 "$record" -f raw -o . -p "$victim"; one_line "directory"
expect 1 "$record" -o "$(printf 'n%.0s' {1..300}).svg" -p "$victim"; one_line "too long"
no_file started
left
expect 1 "$record" $moment -o /dev/full -i -f raw -p "$victim"
says "No space left" "cannot write the raw view to /dev/full" "the recording is kept: victim-$victim-"
ls victim-$victim-*.pyspy >/dev/null || fail "no recording was kept"
rm -f victim-$victim-*
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=8k none small 2>/dev/null; then
    mounted=$dir/small
    expect 1 "$record" $moment -o small/x.svg --no-keep -p "$victim" # a page of the view does not fit
    says "No space left" "the recording is kept: small/x.pyspy"
    [ "$(ls -A small)" = x.pyspy ] || fail "left: $(ls -A small)"
    whole small/x.pyspy
    rm small/*
    mount -o remount,ro small
    expect 125 "$record" -o small/x.svg -- sh -c 'touch started'; one_line "small/x" "Read-only"
    no_file started
    umount small; mounted=
else
    echo "not root: no small disk to fill"
fi

# the reporter: none, one that fails, that dies, that is no program. The recording is kept, with --no-keep, too.
program=("$python" -S busy.py 0.3 7)
why() { # WORDS...
    expect 1 "${record_fake[@]}" $moment -o x.svg --no-keep -p "$victim"
    says "cannot write the flamegraph view to x.svg" "the recording is kept: x.pyspy" "pyspy-report flamegraph -o x.svg x.pyspy" "$@"
    whole x.pyspy
    left x.svg x.pyspy
    [ "$(cat x.svg)" = old ] || fail "the old view was touched"
    rm x.pyspy
}
echo old >x.svg
fake ''
rm fake/pyspy-report
why "there is no $dir/fake/pyspy-report"
fake 'echo half; echo its reason >&2; exit 3'; why "exit status 3" "its reason"
fake 'echo half; kill -9 $$'; why "signal 9"
fake 'exit 0'; chmod 644 fake/pyspy-report; why "cannot run" "Permission denied"
rm fake/pyspy-report; mkdir fake/pyspy-report; why "cannot run"; rmdir fake/pyspy-report
fake 'echo its reason >&2; exit 1'
expect 125 "${record_fake[@]}" -q -o x.svg -- "${program[@]}" # as ever when the recorder failed
says "its reason" "the recording is kept: x.pyspy"
[ "$(wc -l <err)" = 2 ] || fail "-q: not two lines"
fake 'echo its chatter >&2; cat >/dev/null; echo fine'
expect 7 "${record_fake[@]}" -q -o x.svg -- "${program[@]}"
[ -s err ] && fail "-q is not quiet"
[ "$(cat x.svg)" = fine ] || fail "the view is not what the reporter wrote"
# never one of PATH
fake ''; rm fake/pyspy-report; mkdir path; printf '#!/bin/sh\ntouch %s/hijacked\n' "$dir" >path/pyspy-report; chmod 755 path/pyspy-report
PATH=$dir/path:$PATH expect 1 "${record_fake[@]}" $moment -o x.svg -p "$victim"
no_file hijacked
clean

# a program's end is ours, with its view
for code in 0 3; do
    program=("$python" -S busy.py 0.3 $code)
    expect $code "$record" -q -o x.svg -- "${program[@]}"
    [ -s x.svg ] || fail "no view after exit status $code"
    clean
done
"$python" -S - "$record" "$python" <<'PY' || fail "a death by signal was not passed on"
import subprocess, sys
p = subprocess.run([sys.argv[1], "-q", "-o", "x.svg", "--", sys.argv[2], "-S", "-c",
                    "import os, time; time.sleep(0.4); os.kill(os.getpid(), 15)"])
assert p.returncode == -15, p
PY
left x.svg x.pyspy
clean
expect 125 "$record" -o x.svg --wait 100ms -- sh -c 'exec sleep 0.5' # no Python, no view
left
expect 3 "$record" -o x.svg -- sh -c 'exit 3'
left

# signals while recording: the view is made all the same
signals=INT
[ "$full" = 1 ] && signals="INT TERM HUP"
for s in $signals; do
    start_recorder -o x.svg --flush 100ms -p "$victim"
    until_true "samples" larger_than x.pyspy 0
    kill -$s $recorder
    ended 0
    left x.svg x.pyspy
    whole x.pyspy
    clean
done
for seconds in 0.4 1 3; do # on a busy machine nothing may be recorded in less
    timeout -s INT $seconds "$record" -q -o x.svg -p "$victim" 2>err # sends it twice
    [ $? = 124 ] || fail "not ended by timeout"
    [ -s x.svg ] && break
done
[ -s x.svg ] || fail "timeout -s INT leaves no view"
clean
export ENDS_ON_INT=1
rm -f victim.log
start_recorder -o x.svg --flush 100ms -- "$python" -S victim.py second.log 120 9
until_true "the program" grep -qs ready second.log
until_true "samples" larger_than x.pyspy 0
kill -INT -- -$recorder
ended 9
left x.svg x.pyspy
clean; rm second.log
unset ENDS_ON_INT

# signals while the view is made: attached, or with a program that is over, they end it; nothing half is left
waiting() { until_true "a reporter at work" test -s working; }
fake 'echo $$ >working; echo half; exec sleep 60'
record=$dir/fake/pyspy-record
for s in $signals; do
    rm -f working
    start_recorder --engine outside $moment -o x.svg --no-keep -p "$victim"
    waiting
    kill -$s $recorder
    ended $((128 + $(kill -l $s)))
    says "stopped" "the recording is kept: x.pyspy"
    left x.pyspy
    until_true "the end of the reporter" not_alive "$(cat working)"
    clean
done
rm -f working
start_recorder --engine outside -o x.svg -- "$python" -S victim.py second.log 0.3 9
waiting
kill -TERM $recorder
ended 143
left x.pyspy
clean
# while the program runs they are its own, and a second Ctrl-C is ours
rm -f working second.log
start_recorder --engine outside -d 0.1 -o x.svg -- "$python" -S victim.py second.log 60 9
until_true "the program" grep -qs ready second.log
waiting
kill -INT -- -$recorder
until_true "SIGINT in the program" grep -qs SIGINT second.log
sleep 0.15
alive "$(cat working)" || fail "the first Ctrl-C ended the view"
kill -INT -- -$recorder
until_true "the end of the reporter" not_alive "$(cat working)"
alive $recorder || fail "the recorder left its program"
kill -TERM $recorder
ended 125
left x.pyspy
clean
# a recorder that is killed takes the reporter along
rm -f working
start_recorder --engine outside $moment -o x.svg -p "$victim"
waiting
kill -KILL $recorder
ended 137
until_true "the end of the reporter" not_alive "$(cat working)"
whole x.pyspy
clean

# whose rights the reporter has: under sudo those of who typed it, and no descriptor of ours
fake 'cat /proc/$$/status; ls /proc/$$/fd >&2; cat >/dev/null'
rights() { sed -n "s/^$1:[[:space:]]*//p" x.svg | tr '\t' ' '; }
drops() { # UID: all of it
    local cap
    [ "$(rights Uid)" = "$1 $1 $1 $1" ] || fail "the reporter runs as $(rights Uid)"
    for cap in CapInh CapPrm CapEff CapAmb; do
        [ "$(rights $cap)" = 0000000000000000 ] || fail "$cap of the reporter: $(rights $cap)"
    done
    [ "$(rights NoNewPrivs)" = 1 ] || fail "the reporter can get more rights"
}
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chmod 755 "$dir"
    exec 9</dev/null
    SUDO_UID=65534 SUDO_GID=65533 expect 0 "$record" $moment --engine outside -o x.svg -p "$victim"
    exec 9<&-
    drops 65534
    [ "$(rights Groups)" = "65533 " ] && [ "$(rights Gid)" = "65533 65533 65533 65533" ] || fail "groups: $(rights Groups), $(rights Gid)"
    grep -q '^[3-9]$' err && fail "it got descriptors of ours" # a shell has its own from 10 on
    [ "$(stat -c %u:%g x.svg x.pyspy | uniq)" = 65534:65533 ] || fail "not given to who typed sudo"
    clean
    echo old >x.svg
    chown 7:8 x.svg
    SUDO_UID=65534 SUDO_GID=65533 expect 0 "$record" -q $moment --engine outside -o x.svg -p "$victim"
    [ "$(stat -c %u:%g x.svg)" = 7:8 ] || fail "a file that was there has another owner"
    clean
    # into a folder, and from one, that is closed to that user
    mkdir -m 700 closed
    cp "$build/pyspy-record" "$report" closed/
    SUDO_UID=65534 SUDO_GID=65533 expect 0 closed/pyspy-record $moment --engine outside -o closed/x.svg -p "$victim"
    grep -q "<svg" closed/x.svg || fail "no view from a closed folder"
    rm -r closed
    # setuid, file capabilities, ambient ones: nothing of it goes on
    mkdir -m 777 open
    nobody_records() { # SETPRIV-OPTIONS, COMMAND
        expect 0 setpriv --reuid=65534 --regid=65534 --clear-groups "$@" "$record" --engine outside $moment -o open/x.svg -p "$nobody"
        mv open/x.svg x.svg
        drops 65534
        clean
        rm -f open/*
    }
    setpriv --reuid=65534 --regid=65534 --clear-groups "$python" -S -c 'import time
while True: time.sleep(0.001)' & nobody=$!
    started+=("$nobody")
    chmod u+s fake/pyspy-record
    nobody_records env SUDO_UID=4321 SUDO_GID=4321
    chmod u-s fake/pyspy-record
    if setcap cap_sys_ptrace+eip fake/pyspy-record 2>/dev/null; then
        nobody_records
        setcap -r fake/pyspy-record
    else
        echo "no setcap: file capabilities were not tried"
    fi
    nobody_records --inh-caps=+sys_ptrace --ambient-caps=+sys_ptrace
else
    echo "not root: no rights to drop"
fi
done_testing

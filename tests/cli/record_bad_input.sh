#!/usr/bin/env bash
# What cannot be recorded: one line that says what failed, why, and what to do; the documented exit status; files as they
# were before.
. "$(dirname "$0")/record_support.bash"

# usage: always 2
expect 2 "$record"; one_line "nothing to record"
expect 2 "$record" --frobnicate; one_line "unknown option --frobnicate"
expect 2 "$record" -p; one_line "-p"
expect 2 "$record" -p 1 -- true; one_line "one or the other"
expect 2 "$record" -p abc; one_line "not a process id"
for rate in 0 -5 nan 1e9 fast; do expect 2 "$record" -r "$rate" -- true; one_line "-r $rate"; done
for time in 0 -1 soon 1y; do expect 2 "$record" -d "$time" -- true; one_line "-d $time"; done
expect 2 "$record" -o x.csv -- true; one_line "x.csv" "FILE.svg"
expect 2 "$record" -f bogus -- true; one_line "-f bogus" "flamegraph"
expect 2 "$record" --no-keep -- true; one_line "--no-keep"
expect 2 "$record" top -p 1; one_line "not there yet"
expect 2 "$record" record; one_line "nothing to record"
expect 2 "$record" -r $'\e[2J' -p 1; one_line '\x1b[2J'
nothing_new

# help and version are results
expect 0 "$record" --help; grep -q "Usage: pyspy-record" out || fail "no usage in the help"; [ ! -s err ] || fail "help on stderr"
expect 0 "$record" record -h
expect 0 "$record" --version; grep -Eq '^pyspy-record [0-9]+\.' out || fail "no version"
"$record" --help >/dev/full 2>err && fail "help to a full disk, and no error"

# no such process, or none of Python
expect 1 "$record" -p 4194303; one_line "4194303" "no such process"
sleep 100 & sleeper=$!; started+=($sleeper)
expect 1 "$record" --wait 200ms -p $sleeper; one_line "$sleeper" "Python"
alive $sleeper || fail "sleep was harmed"
nothing_new

# existing files are left alone when nothing is recorded
echo precious >kept.pyspy
expect 1 "$record" -o kept.pyspy --wait 200ms -p $sleeper
expect 1 "$record" -o kept.pyspy -p 4194303
expect 127 "$record" -o kept.pyspy -- ./no-such-program
[ "$(cat kept.pyspy)" = precious ] || fail "an existing file was touched"
rm kept.pyspy

# programs that cannot be started, or are not Python
expect 127 "$record" -- ./no-such-program; one_line "./no-such-program" "No such file"
expect 127 "$record" -- no-such-program-in-path; one_line "no-such-program-in-path"
echo 'print(1)' >plain.py
expect 126 "$record" -- ./plain.py; one_line "./plain.py" "Permission denied"
expect 126 "$record" -- "$dir"; one_line "Permission denied"
expect 127 "$record" -- $'\e[31mred'; one_line '\x1b[31mred'
nothing_new

# a program that is no Python runs to its end first
expect 125 "$record" --wait 200ms -- sh -c 'sleep 2; echo over'; says "Python" "the program goes on"
grep -q over out || fail "the program was not left to its end"
nothing_new

# outputs
expect 125 "$record" -o /nonexistent/x -- sh -c 'touch started'; one_line "/nonexistent/x" "No such file" "-o"
no_file started
expect 1 "$record" -o . -p 1; one_line "directory"
start_victim 120 0
expect 1 "$record" -o /dev/full --flush 100ms -p "$victim"; says "/dev/full" "No space left"
alive "$victim" || fail "the victim was harmed"
expect 125 "$record" -o /dev/full --flush 100ms -- "$python" victim.py second.log 2 7; says "/dev/full" "the program goes on"
grep -q over second.log || fail "the program was not left to its end"

# a disk that becomes full: what was written stays readable, and nothing half
(ulimit -f 4; exec timeout 60 "$record" -o limit.pyspy --flush 100ms -p "$victim" 2>err)
[ $? = 1 ] || fail "a file size limit, and no error"
says "File too large" "whole and can be read"
recording limit.pyspy open
rm limit.pyspy
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=4k none small 2>/dev/null; then
    mounted=$dir/small
    expect 1 "$record" -o small/x.pyspy --flush 100ms -p "$victim"
    says "small/x.pyspy" "No space left"
    recording small/x.pyspy open
else
    echo "not root: no small disk to fill"
fi

# no permission: somebody else's process
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chmod 755 "$dir"; cp "$record" ./recorder; chmod 755 recorder; mkdir open; chmod 777 open
    expect 1 setpriv --reuid=65534 --regid=65534 --clear-groups ./recorder -o open/x.pyspy -p "$victim"
    one_line "permission denied" "belongs to user 0" "sudo"
    no_file open/x.pyspy
    alive "$victim" || fail "the victim was harmed"
else
    echo "not root: no other user to be"
fi
done_testing

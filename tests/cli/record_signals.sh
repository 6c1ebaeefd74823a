#!/usr/bin/env bash
# Signals: to whom they go, what they end, and what is left on disk.
. "$(dirname "$0")/record_support.bash"

logged() { grep -qs "$1" victim.log; }
# nothing sent to this process waits to be delivered
delivered() { grep -q '^ShdPnd:[[:space:]]*0*$' "/proc/$1/status"; }
victim_pid() { awk '/^ready/ { print $2 }' victim.log; }
# start_both ARGS...: recorder and program, which ends with status 9; waits for samples on disk
start_both() {
    rm -f victim.log x.pyspy
    start_recorder -o x.pyspy --flush 100ms "$@" -- "$python" victim.py victim.log 120 9
    until_true "the program" logged ready
    started+=("$(victim_pid)")
    until_true "samples" larger_than x.pyspy 0
}

# attached: each of them finishes the file; the target does not notice
start_victim 300 0
for s in INT TERM HUP; do
    start_recorder -o $s.pyspy --flush 100ms -p "$victim"
    until_true "samples" larger_than $s.pyspy 0
    kill -$s $recorder
    ended 0
    recording $s.pyspy SIG$s
    says "samples" "$s.pyspy"
done
[ "$(cat victim.log)" = "ready $victim" ] || fail "the target got a signal"

# attached: a second one ends at once. Both wait for a stopped recorder, so they come together.
start_recorder -o second.pyspy --flush 100ms -p "$victim"
until_true "samples" larger_than second.pyspy 0
kill -STOP $recorder
kill -INT $recorder
kill -TERM $recorder
kill -CONT $recorder
ended 143
recording second.pyspy open

# nohup: what was ignored stays ignored
(trap '' HUP; exec "$record" -o nohup.pyspy --flush 100ms -p "$victim" 2>err) & recorder=$!
started+=($recorder)
until_true "samples" larger_than nohup.pyspy 0
kill -HUP $recorder
until_true "SIGHUP" delivered $recorder
before=$(stat -c %s nohup.pyspy)
until_true "more samples after SIGHUP" larger_than nohup.pyspy "$before"
kill -INT $recorder
ended 0
recording nohup.pyspy SIGINT

# kill -9: at most the last flush is lost, the target runs on and nobody traces it
start_recorder -o killed.pyspy --flush 100ms -p "$victim"
until_true "samples" larger_than killed.pyspy 1000
kill -KILL $recorder
ended 137
recording killed.pyspy open
until_true "a target without a tracer" grep -q '^TracerPid:[[:space:]]*0$' "/proc/$victim/status"
grep -q '^State:[[:space:]]*[RSD]' "/proc/$victim/status" || fail "the target was left stopped"
kill -KILL "$victim"

# started: SIGTERM and SIGHUP finish the file and are passed on; we leave as the program does
for s in TERM HUP; do
    start_both
    kill -$s $recorder
    ended 9
    logged SIG$s || fail "the program did not get SIG$s"
    recording x.pyspy SIG$s
done
export DIES=1
start_both
kill -TERM $recorder
ended 143
unset DIES
recording x.pyspy SIGTERM

# started: Ctrl-C reaches both; the recording goes on until the program ends
export ENDS_ON_INT=1
start_both
kill -INT -- -$recorder
ended 9
unset ENDS_ON_INT
logged SIGINT || fail "the program did not get SIGINT"
recording x.pyspy "target ended"

# started: a second Ctrl-C ends the recording, the program goes on, and so does its parent
start_both
kill -INT -- -$recorder
until_true "SIGINT in the program" logged SIGINT
until_true "SIGINT in the recorder" delivered $recorder
size=$(stat -c %s x.pyspy)
until_true "more samples after Ctrl-C" larger_than x.pyspy "$size"
kill -INT -- -$recorder
until_true "the summary" grep -q "wrote x.pyspy" err
recording x.pyspy SIGINT
alive $recorder || fail "the recorder left its program"
alive "$(victim_pid)" || fail "the program ended with the recording"
kill -INT $recorder # of no use any more, and harmless
kill -TERM $recorder
ended 9
logged SIGTERM || fail "a plain parent did not pass SIGTERM on"

# started: after -d the recorder stays as a plain parent
start_both -d 0.7
until_true "the summary" grep -q "wrote x.pyspy" err
recording x.pyspy duration
alive $recorder || fail "the recorder left its program"
kill -HUP $recorder
ended 9
logged SIGHUP || fail "a plain parent did not pass SIGHUP on"
rm -f victim.log
expect 4 "$record" -d 0.3 -o d.pyspy -- "$python" victim.py victim.log 1.5 4
logged over || fail "the program was not left to its end"
recording d.pyspy duration

# started: kill -9 of the recorder does not take the program along
start_both
kill -KILL $recorder
ended 137
program=$(victim_pid)
until_true "a program without a tracer" grep -q '^TracerPid:[[:space:]]*0$' "/proc/$program/status"
alive "$program" || fail "the program died with the recorder"
recording x.pyspy open
kill -KILL "$program"

# a signal before there is anything to finish: no file is left
mkfifo fifo
start_recorder -o fifo -p $$
until_true "the recorder" grep -q '^pyspy-record' /proc/$recorder/comm
until_true "waiting for a reader" grep -q '^State:[[:space:]]*S' /proc/$recorder/status
kill -TERM $recorder
ended 143
done_testing

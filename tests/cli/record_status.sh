#!/usr/bin/env bash
# A started program keeps its exit status, its death by signal, its streams; where recordings go.
. "$(dirname "$0")/record_support.bash"

# exit status; a program that is over at once keeps it too
codes="0 1 2 3 42 125 126 127 128 255"
[ "${PYSPY_FULL:-0}" = 1 ] && codes=$(seq 0 255)
for code in $codes; do
    expect "$code" "$record" -q -o x.pyspy -- "$python" -c "import sys; sys.exit($code)"
    rm -f x.pyspy
done
expect 3 "$record" -- sh -c 'exit 3'

# death by signal is ours too: the caller sees the same signal
"$python" - "$record" "$python" <<'PY' || fail "a death by signal was not passed on"
import signal, subprocess, sys
record, python = sys.argv[1:]
for s in signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT, signal.SIGHUP:
    code = "import os, resource, signal, time; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); time.sleep(0.3);" \
           "signal.signal(%d, signal.SIG_DFL) if %d != 9 else 0; os.kill(os.getpid(), %d)" % (s, s, s)
    p = subprocess.run([record, "-q", "-o", "s.pyspy", "--", python, "-c", code])
    print(s.name, p.returncode)
    assert p.returncode == -s, p
PY
recording s.pyspy "target ended"

# stdin, stdout and stderr are the program's own, byte by byte
cat >filter.py <<'PY'
import sys, time
data = sys.stdin.buffer.read()
time.sleep(0.3)
sys.stdout.buffer.write(data[::-1])
sys.stderr.write("words of its own\n")
PY
head -c 300000 /dev/urandom >input
"$python" filter.py <input >plain.out 2>plain.err
"$record" -q -o f.pyspy -- "$python" filter.py <input >rec.out 2>rec.err || fail "filter.py failed"
cmp plain.out rec.out || fail "stdout is not the program's own"
cmp plain.err rec.err || fail "stderr is not the program's own, with -q"
recording f.pyspy "target ended"
"$record" -o f.pyspy -- "$python" filter.py <input >rec.out 2>err
cmp plain.out rec.out || fail "the recorder wrote on stdout"
says "recording " "samples" "pyspy-report flamegraph -o f.svg f.pyspy"
"$record" -q -o f.pyspy -- "$python" -c 'import os, sys, time; time.sleep(0.2); sys.exit(9 if sys.stdin is None else 0)' <&-
[ $? = 9 ] || fail "a closed stdin is not closed for the program"

# names: of the script, never over what is there, for nobody else to read
mkdir names && cd names || exit 1
cp ../victim.py "my app.py"
for i in 1 2 3; do expect 0 "$record" -q -- "$python" -u "my app.py" log 0.2 0; done
set -- my_app-*.pyspy
[ $# = 3 ] || fail "three runs, not three recordings: $(ls)"
[ "$(stat -c %a "$1")" = 600 ] || fail "others can read a recording"
recording "$1" "target ended"
cd .. || exit 1

# a stream on stdout: the same bytes as a file; a program's own output goes to stderr then
start_victim 120 0
"$record" -q -o - -d 0.5 -p "$victim" 2>err | cat >stream.pyspy
recording stream.pyspy duration
"$record" -q -o - -- "$python" -c 'import time; time.sleep(0.3); print("its words")' >stream2.pyspy 2>err
recording stream2.pyspy "target ended"
says "its words"
# the reader goes: that is its right
"$record" -o - --flush 100ms -p "$victim" 2>err | head -c 100 >/dev/null
[ "${PIPESTATUS[0]}" = 0 ] || fail "a reader that goes is an error"
grep -q "Broken pipe" err && fail "a reader that goes is complained about"

# a fifo, and time: -d is wall time
mkfifo fifo
cat fifo >from_fifo.pyspy & started+=($!)
begin=$(date +%s%N)
expect 0 "$record" -q -o fifo -d 1.5 -p "$victim"
took=$((($(date +%s%N) - begin) / 1000000))
[ $took -ge 1500 ] && [ $took -lt 6000 ] || fail "-d 1.5 took $took ms"
until_true "the fifo's reader" not_alive $!
recording from_fifo.pyspy duration

# quiet is quiet; several processes in one recording
expect 0 "$record" -q -d 0.3 -o q.pyspy -p "$victim"
[ -s err ] && fail "-q is not quiet"
"$python" victim.py other.log 60 0 & other=$!; started+=($other)
until_true "the other" grep -qs ready other.log
expect 0 "$record" -d 0.5 -o two.pyspy -p "$victim" -p $other
recording two.pyspy duration
# the target ends: so does the recording
start_recorder -o ends.pyspy --flush 100ms -p $other
until_true "samples" larger_than ends.pyspy 0
kill -KILL $other
ended 0
recording ends.pyspy "target ended"
says "the program ended"
done_testing

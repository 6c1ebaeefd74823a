# Shared by record_*.sh: source it. A folder of its own ($dir, also the working folder), a Python ($python), programs
# that are ended with the test, and words for what failed. Waits are polls with a deadline, never fixed sleeps.
set -u -m # -m: a background job is a process group of its own and does not ignore SIGINT
root=$PWD
build=$(cd "${PYSPY_BUILD:-build}" && pwd)
record=$build/pyspy-record # samples as it likes; PYSPY_ENGINE: always so
pythons=${PYSPY_PYTHONS:-$("$root/scripts/get-pythons" 2>/dev/null)}
python=$(awk '$1 ~ /^3\.1[123]\./ && $4 == "-" && $5 == "release" { print $2; exit }' <<<"$pythons")
[ -n "$python" ] || { echo "no CPython 3.11 to 3.13 here"; exit 77; }
dir=$(mktemp -d /tmp/pyspy-cli-XXXXXX)
cd "$dir" || exit 1
if [ -n "${PYSPY_ENGINE:-}" ]; then
    printf '#!/bin/sh\nexec "%s" --engine %s "$@"\n' "$record" "$PYSPY_ENGINE" >pyspy-record
    chmod 755 pyspy-record
    record=$dir/pyspy-record
fi
failures=0
started=()

finish() {
    for pid in "${started[@]}"; do kill -KILL -- "$pid" 2>/dev/null; done
    wait 2>/dev/null
    cd /
    [ -z "${mounted:-}" ] || umount "$mounted"
    rm -rf "$dir"
}
trap finish EXIT

fail() {
    echo "FAIL: $*"
    for f in err out; do [ -s "$f" ] && sed "s/^/    $f: /" "$f"; done
    failures=$((failures + 1))
}
done_testing() {
    [ "$failures" = 0 ] && echo "all fine"
    exit $((failures > 0))
}

# expect STATUS COMMAND...: run it, its streams in `out` and `err`
expect() {
    local want=$1 got
    shift
    timeout -k 1 60 "$@" >out 2>err </dev/null
    got=$?
    [ "$got" = "$want" ] || fail "exit status $got, not $want: $*"
}
# one message, in the shape "pyspy-record: what failed: why; what to do"
one_line() { # WORDS...
    [ "$(wc -l <err)" = 1 ] || fail "not one line on stderr"
    grep -q '^pyspy-record: .*[:;]' err || fail "not in the shape of a message"
    says "$@"
}
says() {
    local words
    for words; do grep -qF -- "$words" err || fail "stderr does not say: $words"; done
}
no_file() { # FILES...
    local f
    for f; do [ ! -e "$f" ] || fail "$f was left behind"; done
}
nothing_new() { # no recording in the folder
    no_file *.pyspy
}

# until_true WHAT COMMAND...: within 30 s
until_true() {
    local what=$1 end=$((SECONDS + 30))
    shift
    until "$@" 2>/dev/null; do
        [ $SECONDS -lt $end ] || { fail "never came: $what"; return 1; }
        sleep 0.02
    done
}
alive() { [ -d "/proc/$1" ] && ! grep -qs '^State:[[:space:]]*[ZX]' "/proc/$1/status"; }
not_alive() { ! alive "$1"; }
larger_than() { [ "$(stat -c %s "$1")" -gt "$2" ]; }

# A program that works until it is ended; it says "ready" in FILE, and "SIGNAL" when it gets one that it does not ignore.
cat >victim.py <<'PY'
import os, signal, sys, threading, time
log, seconds, status = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
def say(word):
    with open(log, "a") as f:
        f.write(word + "\n")
def got(number, frame):
    say(signal.Signals(number).name)
    if number != signal.SIGINT or os.environ.get("ENDS_ON_INT"):
        os._exit(status)
for s in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
    if not os.environ.get("DIES"):
        signal.signal(s, got)
def work(end):
    while time.monotonic() < end:
        sum(i * i for i in range(1000))
        time.sleep(0.001)
say("ready %d" % os.getpid())
work(time.monotonic() + seconds)
say("over")
sys.exit(status)
PY
# start_victim SECONDS STATUS: sets $victim
start_victim() {
    rm -f victim.log
    "$python" victim.py victim.log "$1" "$2" &
    victim=$!
    started+=("$victim")
    until_true "the victim" grep -qs ready victim.log
}
# start_recorder ARGS...: sets $recorder; its stderr goes to `err`
start_recorder() {
    : >err
    "$record" "$@" 2>err >out </dev/null &
    recorder=$!
    started+=("$recorder" "-$recorder")
}
recording_runs() { until_true "a recording" grep -q 'recording .* at ' err; }
# ended STATUS: the recorder's; a death by signal N is 128 + N here, as the shell says it
ended() {
    local want=$1 got end=$((SECONDS + 30))
    while alive "$recorder" && [ $SECONDS -lt $end ]; do sleep 0.02; done
    alive "$recorder" && { fail "the recorder did not end"; kill -KILL "$recorder"; }
    wait "$recorder" 2>/dev/null
    got=$?
    [ "$got" = "$want" ] || fail "the recorder left with $got, not $want"
}
# recording FILE REASON: it is whole, closed for that reason, and has samples (REASON "open": not closed)
recording() {
    "$python" - "$root/tests/e2e" "$1" "$2" <<'PY' || fail "$1 is not a recording closed by: $2"
import sys
sys.path.insert(0, sys.argv[1])
import pyspy_reader as pr
import recording
rec = pr.read(sys.argv[2])
said = recording.REASONS[rec.end["reason"]] if rec.end else "open"
print(rec.samples, "samples; ended by:", said, rec.problems)
sys.exit(bool(rec.problems) or rec.truncated or rec.samples == 0 or said != sys.argv[3])
PY
}

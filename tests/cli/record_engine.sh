#!/usr/bin/env bash
# Which engine: what was asked for, what the rights allow, and that the file says which and why.
. "$(dirname "$0")/record_support.bash"

# engine FILE kernel|outside [WORDS]: who took the samples of it, and why not the kernel
engine() {
    "$build/pyspy-report" info "$1" >info.txt 2>err || fail "no info of $1"
    grep -q "^engine  *$2" info.txt || fail "info does not say that the engine was: $2: $(grep ^engine info.txt)"
    if [ $# -gt 2 ]; then grep -qF "not by the kernel: $3" info.txt || fail "info does not say: $3"; fi
    "$python" - "$root/tests/e2e" "$1" "$2" <<'PY' || fail "$1 was not recorded by: $2"
import sys
sys.path.insert(0, sys.argv[1])
import pyspy_reader as pr
import recording
rec, kernel = pr.read(sys.argv[2]), sys.argv[3] == "kernel"
ways = {r.way for r in rec.runs}
print(rec.samples, "samples of the ways", ways, rec.note("pyspy.engine"), "-", rec.note("pyspy.engine.why"), rec.problems)
ok = not rec.problems and rec.samples and rec.closed and (recording.KERNEL in ways) == kernel and bool(rec.ticks) != kernel
sys.exit(not ok or (rec.note("pyspy.engine.why") is None) != kernel)
PY
}
said_why() { # LINES: so many of the recorder's lines say which engine it is
    local n
    n=$(grep -c 'not by the kernel' err)
    [ "$n" = "$1" ] || fail "$n lines say that it is not the kernel, not $1"
}

# two threads that work, and who they are
cat >ids.py <<'PY'
import os, sys, threading, time
ready = threading.Barrier(2)
def work(end):
    while time.monotonic() < end:
        sum(range(1000))
def second():
    ready.wait()
    work(time.monotonic() + float(sys.argv[2]))
t = threading.Thread(target=second)
t.start()
with open(sys.argv[1] + ".new", "w") as f:
    print(os.getpid(), threading.get_native_id(), t.native_id, file=f)
os.rename(sys.argv[1] + ".new", sys.argv[1])
ready.wait()
work(time.monotonic() + float(sys.argv[2]))
t.join()
sys.exit(5)
PY
# ids FILE IDS: the recording has exactly these threads, both with time on a CPU
ids() {
    "$python" - "$root/tests/e2e" "$1" "$(cat "$2")" "${3:-pid}" <<'PY' || fail "$1 has other ids than $(cat "$2")"
import sys
sys.path.insert(0, sys.argv[1])
import pyspy_reader as pr
import recording
rec, (pid, *tids) = pr.read(sys.argv[2]), map(int, sys.argv[3].split())
inside = sys.argv[4] == "inside"
pids = {p["ns_pid" if inside else "pid"] for p in rec.processes().values()}
found = {t["ns_tid" if inside else "tid"] for t in rec.threads().values()}
on = {r.thread for r in rec.runs if r.state == recording.ON_CPU and r.ns}
print("processes", pids, "threads", found, "of", pid, tids)
sys.exit(rec.problems != [] or pids != {pid} or found != set(tids) or len(on) != 2)
PY
}

# usage
expect 2 "$record" --engine foo -- touch started; one_line "--engine foo" "auto, kernel or outside"
expect 2 "$record" --engine; one_line "--engine"
no_file started; nothing_new

# from outside, because that was asked for: no word about it on the terminal, one in the file
start_victim 300 0
expect 0 "$record" --engine outside -d 0.5 -o o.pyspy -p "$victim"
said_why 0
engine o.pyspy outside "--engine outside was asked for"
rm o.pyspy

if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
    echo "not root, or no setpriv: no other rights to have"
    done_testing
fi

# no rights: somebody else
chmod 755 "$dir"; cp "$record" recorder; chmod 755 recorder; mkdir open; chmod 777 open
nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
python_of_all=
for p in $(awk '$1 ~ /^3\.1[123]\.?/ { print $2 }' <<<"$pythons"); do
    # setpriv itself still has the right to enter any folder
    [ -z "$python_of_all" ] && $nobody sh -c "exec '$p' -c 'import threading'" 2>/dev/null && python_of_all=$p
done
start_nobody() { # sets $victim
    $nobody "$python_of_all" victim.py open/victim.log 300 0 &
    victim=$!
    started+=("$victim")
    until_true "a program of nobody's" grep -qs ready open/victim.log
}
built=yes
"$record" --engine kernel -q -d 0.1 -o open/x.pyspy -p "$victim" 2>err || built=
grep -q 'built without it' err && no="built without it" || no="permission denied"
no_engine=$(tail -1 err)
rm -f open/x.pyspy
if [ "${CI:-}" = true ] && [ -z "$built" ]; then fail "CI=true, and no kernel engine"; fi

expect 125 $nobody ./recorder --engine kernel -o open/x.pyspy -- touch open/started
one_line "--engine kernel" "$no"
no_file open/started open/x.pyspy
[ "$no" != "permission denied" ] || says "root" "setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep"
if [ -n "$python_of_all" ]; then
    start_nobody
    expect 1 $nobody ./recorder --engine kernel -o open/x.pyspy -p "$victim"
    one_line "--engine kernel" "$no"
    no_file open/x.pyspy
    for wanted in "" "--engine auto"; do
        expect 0 $nobody ./recorder $wanted -d 0.5 -o open/a.pyspy -p "$victim"
        said_why 1
        says "sampling from outside, not by the kernel: " "$no"
        engine open/a.pyspy outside "" && grep "not by the kernel" info.txt | grep -qF "$no" || fail "info does not say: $no"
        rm -f open/a.pyspy
    done
    expect 5 $nobody ./recorder -o open/a.pyspy -- "$python_of_all" ids.py open/ids 0.7
    said_why 1
    engine open/a.pyspy outside ""
    expect 5 $nobody ./recorder -q -o open/a.pyspy -- "$python_of_all" ids.py open/ids 0.1
    [ ! -s err ] || fail "-q is not quiet"
    rm -f open/a.pyspy
else
    echo "no Python that nobody may run: left out"
fi

if [ -z "$built" ]; then
    echo "no kernel engine here: $no_engine"
    done_testing
fi

# a few capabilities on the file are all that it takes, for one's own processes and one's own programs
cp "$record" capable
if [ -n "$python_of_all" ] && setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep capable 2>/dev/null && $nobody ./capable --version >/dev/null 2>&1; then
    chmod 755 capable
    for wanted in "--engine kernel" ""; do
        expect 0 $nobody ./capable $wanted -d 0.5 -o open/c.pyspy -p "$victim"
        said_why 0
        engine open/c.pyspy kernel
        rm -f open/c.pyspy
    done
    expect 5 $nobody ./capable --engine kernel -r 1000 -o open/c.pyspy -- "$python_of_all" ids.py open/ids 0.7
    engine open/c.pyspy kernel
    ids open/c.pyspy open/ids
    # and the program gets none of them
    expect 0 $nobody ./capable -q -o open/c.pyspy -- grep -q '^CapEff:[[:space:]]*0*$' /proc/self/status
else
    echo "no setcap, or a file system without capabilities: left out"
fi

# root of a container: the right to read processes, and none to load programs
few=-bpf,-perfmon,-sys_admin
if setpriv --bounding-set=$few --inh-caps=$few true 2>/dev/null; then
    start_victim 300 0
    expect 1 setpriv --bounding-set=$few --inh-caps=$few ./recorder --engine kernel -o r.pyspy -p "$victim"
    one_line "--engine kernel" "permission denied"
    no_file r.pyspy
    expect 0 setpriv --bounding-set=$few --inh-caps=$few ./recorder -d 0.5 -o r.pyspy -p "$victim"
    said_why 1
    engine r.pyspy outside "the kernel refused"
    expect 5 setpriv --bounding-set=$few --inh-caps=$few ./recorder -o r.pyspy -- "$python" ids.py ids 0.5
    said_why 1
    engine r.pyspy outside "the kernel refused"
else
    echo "no capabilities to give up: left out"
fi

# other ids than the kernel's own: the recorder in a pid namespace, and the program alone in one
if unshare -p -f --mount-proc true 2>/dev/null; then
    expect 5 unshare -p -f --mount-proc "$record" --engine kernel -r 1000 -o n.pyspy -- "$python" ids.py ids 0.7
    engine n.pyspy kernel
    ids n.pyspy ids
    unshare -p -f --kill-child --mount-proc "$python" ids.py inner 30 & outer=$!
    started+=("$outer")
    until_true "a program in a namespace" [ -s inner ]
    expect 0 "$record" --engine kernel -r 1000 -d 1 -o n.pyspy -p "$(tr -d ' ' <"/proc/$outer/task/$outer/children")"
    engine n.pyspy kernel
    ids n.pyspy inner inside
else
    echo "no pid namespaces: left out"
fi
done_testing

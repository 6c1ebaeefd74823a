#!/usr/bin/env bash
# pyspy takes py-spy 0.4.3's command line: its published examples, every option, its names for outputs, what is not there
# yet, and completions. With py-spy itself where it is here. From outside: this is not about how samples are taken.
. "$(dirname "$0")/record_support.bash"
front=$build/pyspy
pyspy=${PYSPY_CACHE:-/var/tmp/pyspy-cache}/py-spy/bin/py-spy
[ -x "$pyspy" ] || pyspy=$(command -v py-spy || true)
[ -n "$pyspy" ] || echo "no py-spy here: nothing to compare with"
outside="--engine outside"
error() { # WORDS...: one line by the front itself
    [ "$(wc -l <err)" = 1 ] || fail "not one line on stderr"
    grep -q '^pyspy: ' err || fail "not in the shape of a message"
    [ ! -s out ] || fail "an error on stdout"
    says "$@"
}
python() { "$python" -S "$@"; } # as users have it in their PATH
mkdir bin
printf '#!/bin/sh\nexec "%s" -S "$@"\n' "$python" >bin/python
chmod 755 bin/python
export PATH=$dir/bin:$PATH
cat >myprogram.py <<'PY'
import sys, threading, time
def work(end):
    while time.monotonic() < end:
        sum(i * i for i in range(20000))
        time.sleep(0.001)
def idle():
    time.sleep(1000)
threading.Thread(target=idle, name="sleeper", daemon=True).start()
work(time.monotonic() + float((sys.argv + ["0.25"])[1]))
sys.exit(int((sys.argv + ["0", "0"])[2]))
PY
"$python" -S myprogram.py 300 & victim=$!
started+=("$victim")
left() { # FILES...: these, and no other outputs
    local got
    got=$(ls -A | grep -vxE 'bin|myprogram.py|victim.py|out|err' | sort | tr '\n' ' ')
    [ "$got" = "$(for f; do echo "$f"; done | sort | tr '\n' ' ')" ] || fail "left: $got"
}
clean() { rm -f ./*.svg ./*.html ./*.txt ./*.json ./*.gz ./*.pyspy ./x; }

# the examples of py-spy's README, as they stand there (its pid is 12345)
"$front" record -o profile.svg --pid $victim 2>err & recorder=$! # until Ctrl-C
started+=("$recorder")
recording_runs
sleep 0.2
kill -INT $recorder
ended 0
grep -q "<svg" profile.svg && grep -q "work" profile.svg || fail "record -o profile.svg --pid"
left profile.svg
rm profile.svg
expect 0 "$front" record -o profile.svg -- python myprogram.py
grep -q "<svg" profile.svg && grep -q "myprogram.py" profile.svg || fail "record -o profile.svg -- python myprogram.py"
left profile.svg
rm profile.svg
expect 0 "$front" dump --pid $victim
grep -q "work (myprogram.py:" out && grep -q "idle (myprogram.py:7)" out || fail "dump --pid"
expect 0 "$front" dump -jp=$victim --nonblocking --full-filenames
"$python" -Sc 'import json, sys; d = json.load(sys.stdin); assert d["pid"] == int(sys.argv[1]), d' $victim <out || fail "dump --json"
expect 0 "$front" top --delay 0.3 -r 50 --full-filenames -gi --nonblocking -- "$python" -Sc 'import time
t = time.time()
while time.time() - t < 0.8: pass'
grep -q "samples at 50 Hz" out && grep -q "<module> (<string>:1)" out || fail "top -- python"
expect 2 "$front" top --delay 2 -sn -p 1; error "--subprocesses" "not there yet"
expect 2 "$front" top -p 1 -- true; error "a process and a program"
expect 2 "$front" top; error "nothing to look at"
expect 1 "$front" top --pid 4194303; grep -q "process 4194303: there is no such" err || fail "top --pid of none"
for words in "--locals --pid $victim" "-ll -p $victim" "-n -p $victim"; do
    "$front" dump $words >out 2>err </dev/null && continue # it is there by now
    [ $? = 2 ] && [ "$(wc -l <err)" = 1 ] && grep -q "not there yet" err || fail "dump $words: neither there, nor not there yet"
done
expect 1 "$front" dump -c=no-core
grep -qx "pyspy-record: core no-core: No such file or directory; .*" err || fail "dump -c of no file"
expect 1 "$front" dump --core "$front"
grep -qx "pyspy-record: core .*: it is a program.*, no core file; .*" err || fail "dump -c of a program"
if command -v gcore >/dev/null; then
    gcore -o taken $victim >/dev/null 2>&1 </dev/null || fail "gcore $victim"
    expect 0 "$front" dump -c taken.$victim
    grep -q "work (.*myprogram.py:" out && grep -q "Core file taken.$victim: taken of the running process" out || fail "dump -c"
    expect 0 "$front" dump -jc taken.$victim
    "$python" -Sc 'import json, sys; d = json.load(sys.stdin); assert d["pid"] == int(sys.argv[1]) and d["core"]["signal"] is None, d' $victim <out || fail "dump -c --json"
    rm taken.$victim
fi
expect 2 "$front" dump; error "nothing to look at"
expect 2 "$front" dump -p $victim -- python myprogram.py; error "dump starts no program"
expect 1 "$front" dump -p 4194303
for words in "-s" "--subprocesses" "-n" "--native"; do
    expect 2 "$front" record $words -o profile.svg -- python myprogram.py
    error "$words" "not there yet"
done
left

# every option in every spelling that py-spy takes reaches the recorder
expect 0 "$front" record $outside -o x -f raw -d 0.2 -r 50 -F -t -g -i --nolineno --full-filenames --nonblocking -q --pid $victim
left x
expect 0 "$front" record $outside --output=x --format=raw --duration=200ms --rate=50 --function --threads --idle --pid=$(printf 0x%x $victim) --hideprogress --capture
says "at 50 Hz" "in 2"
grep -q '^thread .*sleeper' x && grep -q 'work (myprogram.py:2)' x || fail "-F -t -i did not reach the view"
grep -q 'work (myprogram.py:[34])' x && fail "-F: lines"
expect 0 "$front" record $outside -o=x -fraw -d=0.2 -r50 -ti --nolineno -p=$victim
grep -q 'work (myprogram.py) *' x || fail "--nolineno did not reach the view"
clean
expect 0 "$front" record $outside -d 0.2 -f raw -o - -p $victim
grep -q '^<module> .*work .* [0-9]*$' out || fail "no view on standard output"
expect 0 "$front" record $outside -d 0.2 -f raw -o /dev/stdout -p $victim
grep -q '^<module> .*work .* [0-9]*$' out || fail "no view on standard output"
left

# formats, and py-spy's names for what has none; the view is made by pyspy-report's verb
for row in "flamegraph svg" "html html" "raw txt" "speedscope json" "chrometrace json" "pprof pb.gz" "firefox json"; do
    set -- $row
    verb=${1/html/flamegraph --format=html}
    expect 0 "$front" record $outside -d 0.1 -f $1 --keep -p $victim
    name=$(ls ./$victim-*.$2)
    [[ $name =~ ^./$victim-20[0-9-]{8}T[0-9-]{8}[+-][0-9]{4}\.$2$ ]] || fail "named $name"
    "$build/pyspy-report" $verb "${name%.$2}.pyspy" 2>/dev/null | cmp - "$name" || fail "$1: not the view of its recording"
    clean
done
expect 0 "$front" record $outside -q -- python myprogram.py
name=$(ls -- python-20*.svg) || fail "no python-TIME.svg: $(ls)"
clean
TZ=XYZ-05:30 expect 0 "$front" record $outside -q -d 0.1 -p $victim
ls ./*+0530.svg >/dev/null || fail "not local time: $(ls)"
clean
# in this folder, and for a shell without danger
cp bin/python $'bin/-p $(touch y);\e'
expect 0 "$front" record $outside -q -- $'./bin/-p $(touch y);\e' myprogram.py
name=$(ls ./_p___touch_y*.svg) || fail "named otherwise: $(ls -b)"
no_file y
clean; rm bin/-p*
expect 0 "$front" record $outside -q -o x.pyspy -d 0.1 -p $victim
recording x.pyspy duration
clean

# a program: its status, its death, its streams and words, even those that look like ours
expect 7 "$front" record $outside -o x.svg -- python myprogram.py 0.2 7
expect 7 "$front" rec $outside -o x.svg python myprogram.py 0.2 7 # commands may be shortened, and -- left out
clean
expect 0 "$front" record $outside -q -o x.svg -- python -c 'import sys, time; time.sleep(0.2); print(sys.argv[1:])' -o --pid -h -- record ''
[ "$(cat out)" = "['-o', '--pid', '-h', '--', 'record', '']" ] || fail "its words came as $(cat out)"
expect 127 "$front" record -o x.svg -- ./no-such-program
expect 1 "$front" record -o x.svg --pid 4194303
expect 1 "$front" record -o no/x.svg --pid $victim
expect 2 "$front" record -o x.svg --pid $victim -- python myprogram.py
says "one or the other"
"$python" -S - "$front" <<'PY' || fail "a death by signal was not passed on"
import subprocess, sys
p = subprocess.run([sys.argv[1], "record", "-q", "-o", "x.svg", "--", "python", "-c",
                    "import os, time; time.sleep(0.4); os.kill(os.getpid(), 15)"])
assert p.returncode == -15, p
PY
left x.svg
clean

# bad words
expect 2 "$front"; error "no command"
expect 2 "$front" frobnicate; error "frobnicate: no such command"
expect 2 "$front" $'\e[2J'; error '\x1b[2J'
expect 2 "$front" -x record; error "-x"
expect 2 "$front" record; error "nothing to record"
expect 2 "$front" record --pid; error "--pid needs a value"
expect 2 "$front" record --form raw -p 1; error "--form"
expect 2 "$front" record -f bogus -p 1; error "-f bogus"
expect 2 "$front" record -f $'\e' -p 1; error '\x1b'
expect 2 "$front" record --function=1 -p 1; error "takes no value"
expect 2 "$front" record -d soon -p 1; says "-d soon"
expect 2 "$front" top --frobnicate; error "--frobnicate"
expect 2 "$front" completions; error "bash elvish fish powershell zsh"
expect 2 "$front" completions tcsh; error "tcsh"
expect 2 "$front" help nothing; error "nothing"
expect 2 "$front" help record top; error "top"

# help and version
expect 0 "$front" --version; grep -Eqx 'pyspy [0-9.]+' out || fail "no version"
expect 0 "$front" --help; cp out help; expect 0 "$front" help; cmp out help
for command in record top dump completions help; do
    expect 0 "$front" $command --help
    head -n 2 out | grep -q "^  pyspy $command" || fail "$command --help does not begin with examples"
    cp out help
    expect 0 "$front" help $command
    cmp out help || fail "two helps"
done
"$front" --help >/dev/full 2>err && fail "help to a full disk, and no error"
"$front" completions zsh >/dev/full 2>err && fail "completions to a full disk, and no error"
rm help

# the others beside it, and never from PATH
mkdir alone
cp "$front" alone/
expect 1 alone/pyspy record -o x.svg -p $victim; error "alone/pyspy-record" "one folder"
expect 125 alone/pyspy record -o x.svg -- python myprogram.py; error "alone/pyspy-record"
rm -r alone
ln -s "$front" bin/py-spy # a link to it works as itself
expect 0 py-spy record $outside -q -o x.svg -d 0.1 -p $victim
[ -s x.svg ] || fail "not through a link"
rm bin/py-spy
clean

# completions: what bash offers for a line
offers() { # LINE
    bash --norc -c 'eval "$("$1" completions bash)"
        read -ra COMP_WORDS <<<"$2"; [[ $2 == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _pyspy; echo "${COMPREPLY[*]}"' - "$front" "$1"
}
[ "$(offers 'pyspy ')" = "record top dump completions help --help --version" ] || fail "offers: $(offers 'pyspy ')"
[ "$(offers 'pyspy record --no')" = "--nolineno --nonblocking" ] || fail "offers: $(offers 'pyspy record --no')"
[ "$(offers 'pyspy record -f sp')" = speedscope ] || fail "offers: $(offers 'pyspy record -f sp')"
[ "$(offers 'pyspy record --format = r')" = raw ] || fail "offers: $(offers 'pyspy record --format = r')"
[ "$(offers 'pyspy record -o ')$(offers 'pyspy record -- python -')" = "" ] || fail "offers for a file, and for a program"
[ "$(offers 'pyspy completions z')" = zsh ] || fail "offers: $(offers 'pyspy completions z')"
for shell in zsh fish; do
    command -v $shell >/dev/null || { echo "no $shell here"; continue; }
    "$front" completions $shell >c
    $shell -n c || fail "$shell does not understand its completions"
done
if command -v fish >/dev/null; then
    "$front" completions fish >c
    got=$(HOME=$dir fish -c 'source c; complete -C "pyspy record --no"' | cut -f1 | tr '\n' ' ')
    [ "$got" = "--nolineno --nonblocking " ] || fail "fish offers: $got"
fi
rm -rf c .config .local .cache

# every option of py-spy 0.4.3 (what its helps print) is one of ours, and no other but those that say so
cat >options <<'EOF'
record -F, --function|-d, --duration|-f, --format|-g, --gil|-h, --help|-i, --idle|-n, --native|-o, --output|-p, --pid|-r, --rate|-s, --subprocesses|-t, --threads|--full-filenames|--nolineno|--nonblocking
top -g, --gil|-h, --help|-i, --idle|-n, --native|-p, --pid|-r, --rate|-s, --subprocesses|--delay|--full-filenames|--nonblocking
dump -c, --core|-h, --help|-j, --json|-l, --locals|-n, --native|-p, --pid|-s, --subprocesses|--full-filenames|--nonblocking
EOF
options() { grep -v "not py-spy's" | grep -oE '^ +(-[a-zA-Z], )?--[a-z-]+' | sed 's/^ *//' | LC_ALL=C sort; }
while read -r command theirs; do
    theirs=$(tr '|' '\n' <<<"$theirs" | LC_ALL=C sort)
    ours=$("$front" $command --help | options)
    [ "$ours" = "$theirs" ] || fail "$command: other options: $(diff <(echo "$ours") <(echo "$theirs"))"
    [ -z "$pyspy" ] || [ "$("$pyspy" $command --help | options)" = "$theirs" ] || fail "py-spy itself: $(diff <(echo "$theirs") <("$pyspy" $command --help | options))"
done <options
rm options

# py-spy itself sees the same functions
if [ -n "$pyspy" ]; then
    functions() { sed 's/ [0-9]*$//' "$1" | tr ';' '\n' | sed 's/ (.*//' | grep -E '^(<module>|work|idle)' | sort -u | tr '\n' ' '; }
    "$pyspy" record -f raw -i -d 1 -o theirs.txt --pid $victim >/dev/null 2>&1 &&
        "$front" record $outside -q -f raw -i -d 1 -o ours.txt --pid $victim || fail "one of them could not record"
    for way in theirs ours; do
        [[ $(functions $way.txt) == *"<module>"*idle*work* ]] || fail "$way saw: $(functions $way.txt)"
    done
    [ "$(functions ours.txt)" = "$(functions theirs.txt)" ] || fail "ours: $(functions ours.txt) theirs: $(functions theirs.txt)"
    clean
fi
done_testing

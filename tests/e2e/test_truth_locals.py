# Variables of frames: names, kinds and values, against the interpreter's own repr().
import json
import os
import re
import subprocess

import harness as h
from pythons import HOST

AT = re.compile(r" at 0x[0-9a-f]+")
MODULE = re.compile(r"(?s)<module .*>$")
# whose word repr() is not: addresses are left out of these, and modules may be told in other words
NO_ADDRESS = re.compile(r"<(function|bound method|built-in method|generator object|coroutine object|async_generator object|code object|method-wrapper|class \S+ at 0x)")


def dumped(pid, *args):
    p = subprocess.run([h.RECORD, "dump", "--json", "-p", str(pid)] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    h.check(p.returncode == 0, "dump %s: exit status %d, %s" % (args, p.returncode, p.stderr[-300:]))
    return json.loads(p.stdout.decode())


def frames(d):
    return [f for t in d["threads"] for f in t["frames"]]


def variables(frame):
    return {v["name"]: v for v in frame["locals"]}


def alike(got, want):
    if got == want:
        return True
    return bool(NO_ADDRESS.search(want)) and got == AT.sub("", want)


def truth(py):
    """hundreds of values, each as the interpreter prints it"""
    outside, inside = py.folder()
    with h.Victim(py, "values.py", [os.path.join(inside, "truth")]) as v:
        d = dumped(v.pid, "-lll", "--no-redact")
        small = dumped(v.pid, "-l")
    with open(os.path.join(outside, "truth")) as f:
        want = json.load(f)
    hold = [f for f in frames(d) if f["name"] == "hold"]
    h.check(len(hold) == 1, "frames of hold: %d" % len(hold))
    got, wrong = variables(hold[0]), 0
    h.check(set(got) - {"argument", "wait"} == set(want), "names: %s" % sorted(set(want) ^ set(got))[:5])
    for name, (text, how, expression) in sorted(want.items()):
        if name in got and not alike(got[name]["repr"], text):
            wrong += 1
            h.check(wrong > 12, "%s: %s\n  is    %s\n  repr: %s" % (name, expression, got[name]["repr"][:400], text[:400]))
    h.note("%d values, %d of them not as repr()" % (len(want), wrong))
    # the budget of -l: cut, and it says so
    small = [f for f in frames(small) if f["name"] == "hold"][0]
    h.check(len(small["locals"]) == 200 and small["locals_left_out"] == len(got) - 200, "%d variables, %d left out" % (len(small["locals"]), small["locals_left_out"]))
    small = variables(small)
    for name, (text, how, expression) in want.items():
        if name not in small:
            continue
        s = small[name]["repr"]
        h.check(len(s) <= 700, "%s: %d characters with -l" % (expression, len(s)))
        if len(text) > 700:
            h.check("\u2026" in s or "<int of" in s, "%s: cut without a word: %s" % (expression, s))
        elif len(text) < 100 and how == "repr":
            h.check(s == got[name]["repr"] or "\u2026" in s, "%s: -l %s" % (expression, s))


cases = []
for py in h.interpreters() if h.FULL else h.interpreters(one_per_minor=True):
    cases.append(("truth %s" % py, truth, py))

if __name__ == "__main__":
    h.main(cases)

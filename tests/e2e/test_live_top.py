# serial
# timeout: 240
# `top` while it happens, in a terminal (tmux): every key, every way out, sizes, names that want to break the screen, and
# that its numbers are those of `top` on the recording that it saves.
import json
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata

import harness as h
import tmuxes

TARGET = os.path.join(h.TARGETS, "livetop.py")
PYTHON = next((p.path for p in h.pythons() if p.minor >= 11), sys.executable)
HEAD = "now self%"


def target(seconds=60, status=3):
    return "%s %s %s %s" % (PYTHON, TARGET, seconds, status)


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(w) for w in f.read().split()]
    except OSError:
        return []


def comm(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except OSError:
        return ""


def reporter(t):
    """the pids of pyspy-report in this terminal, of its recorder, and of the program"""
    shell = int(t.ask("#{pane_pid}"))
    top = h.wait_for("pyspy-report runs", lambda: [p for p in children(shell) if comm(p) == "pyspy-report"], 10)[0]
    record = h.wait_for("pyspy-record runs", lambda: [p for p in children(top) if comm(p) == "pyspy-record"], 10)[0]
    return top, record, children(record)


def width(line):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def fits(t, what):
    """the picture has the head on top, the keys on the last line, and nothing that controls a terminal"""
    lines = t.lines()
    rows, columns = int(t.ask("#{pane_height}")), int(t.ask("#{pane_width}"))
    lines = lines[:rows]
    h.check(lines[0].startswith("pid "), "%s: first line %r" % (what, lines[0]))
    h.check(any(HEAD in x for x in lines), "%s: no table head:\n%s" % (what, "\n".join(lines)))
    h.check(lines[-1].startswith("? help"), "%s: last line %r" % (what, lines[-1]))
    h.check(all(width(x) <= columns for x in lines), "%s: a line is too wide:\n%s" % (what, "\n".join(lines)))
    bad = [x for x in lines if any(unicodedata.category(c) in ("Cc", "Cf") for c in x)]
    h.check(not bad, "%s: controls on the screen: %r" % (what, bad))
    return lines


def saved_numbers(t, args=""):
    """held, wide and saved: the times of all rows are those of `top` on the saved file"""
    t.resize(300, 80)
    t.type("Space")
    t.see("held", "[held")
    t.see("wide", "all self%")
    time.sleep(0.3)
    rows = {}
    for line in t.lines():
        m = re.match(r"^(.{10})(.{8})(.{10})(.{8})(.{10})(.{10})  (\S.*)$", line)
        if m and "%" not in line:
            rows[m.group(7)] = (m.group(5).strip(), m.group(6).strip())
    samples = re.search(r"([\d,]+) samples", t.text()).group(1)
    t.type("s")
    lines = t.see("saved", "saved ")
    name = re.search(r"saved (\S+\.pyspy)", "\n".join(lines)).group(1)
    path = os.path.join(t.folder, name)
    table = h.report("top", "-L", "0", *args.split(), path).decode()
    h.check("%s samples" % samples in table.split("\n\n")[0] or " %s samples" % samples in table, "samples: screen %s, table:\n%s" % (samples, table[:400]))
    right = {}
    for line in table.split("\n"):
        m = re.match(r"^ *([\d.]+) +([\d.]+) +([\d,]+) +([\d,]+) (.{10}) (.{10})  (\S.*)$", line)
        if m:
            right[m.group(7)] = tuple("" if x.strip() == "0 s" else x.strip() for x in (m.group(5), m.group(6)))
    shown = {k: v for k, v in rows.items() if k in right}
    wrong = {k: (v, right[k]) for k, v in shown.items() if v != right[k]}
    h.check(len(shown) >= 5, "only %d rows of %d are in both:\n%s" % (len(shown), len(rows), table[:2000]))
    h.check(not wrong, "screen and table differ: %s" % dict(list(wrong.items())[:5]))
    t.type("Space")
    t.see("goes on", lambda s: "[held" not in s)
    return path


def keys():
    """every key, on one program; the first picture; sizes; names; the saved file"""
    with tmuxes.Terminal(100, 30) as t:
        begin = time.monotonic()
        t.run("%s top --delay 0.2 -- %s; echo rc=$?" % (h.REPORT, target()))
        t.see("waits or shows", HEAD)
        t.see("first rows", "heavy (livetop.py")
        h.note("first rows %.2f s after the words were typed" % (time.monotonic() - begin))
        fits(t, "100x30")
        t.type("l")
        t.see("l: lines", lambda s: "line (file:line)" in s and len(re.findall(r"heavy \(livetop.py:\d+\)", s)) > 1)
        t.type("l")
        t.see("l again", lambda s: "function (file:line)" in s and len(re.findall(r"heavy \(livetop.py:\d+\)", s)) == 1)
        t.type("t")
        t.see("t: threads", lambda s: "row's own thread" in s and re.search(r"\d+ work | heavy", s))
        t.type("t")
        t.see("t again", lambda s: "thread |" not in s)
        t.type("g")
        t.see("g: GIL", "GIL holders only")
        t.type("g")
        t.type("i")
        parked = re.compile(r"(?m)^ *\d+\.\d .* parked \(livetop.py")  # with a share: it ran for a moment before it waited
        t.see("i: idle", lambda s: "idle too" in s and parked.search(s))
        t.type("i")
        t.see("i again", lambda s: "idle left out" in s and not parked.search(s))
        for key, mark in (("2", ">total%"), ("3", ">all self"), ("4", ">total"), ("1", ">now self%")):
            t.type(key)
            t.see("sort %s" % key, mark)
        t.type("/")
        t.type("-l", "HEAV")
        t.see("filter", lambda s: "/HEAV_" in s and "heavy (livetop.py" in s and "_bootstrap" not in s)
        t.type("BSpace", "BSpace", "BSpace", "BSpace")
        t.type("-l", "(")
        t.see("bad filter", lambda s: re.search(r"/\(_ .*nmatched", s))
        t.type("Escape")
        t.see("no filter", lambda s: "_bootstrap" in s and "/" != s[-1])
        t.type("p")
        t.see("p", "the time that the rows are of")
        t.type("p")
        t.type("/")
        t.type("-l", "heavy")
        t.type("Enter")
        t.see("kept filter", "with /heavy")
        t.type("Enter")
        t.see("callers", lambda s: re.search(r"called by\n.*work \(livetop", s))
        t.type("Enter")
        t.see("caller's callers", lambda s: re.search(r"\ncalls\n.*heavy \(livetop", s))
        t.type("Escape")
        t.type("Escape")
        t.see("back", "with /heavy")
        t.type("Escape")
        t.see("all rows", lambda s: "with /heavy" not in s and "_bootstrap" in s)
        t.type("Down", "Down", "End", "PageUp", "PageDown", "Up", "Home", "j", "k")
        fits(t, "after moving")
        t.type("c")
        t.see("c", lambda s: "all self%" in s and HEAD not in s)
        t.type("c")
        t.type("?")
        t.see("help", lambda s: "save what was seen" in s and "whole (wall) time" in s)
        t.type("x")
        t.see("help is over", "_bootstrap")
        t.type("F5")
        t.type("x")
        t.see("another key", "this key does nothing")
        saved_numbers(t)
        t.see("wide names", "\u6f22\u5b57\u95a2\u6570")
        t.type("2")  # the words of the saved file give way to the keys
        t.see("keys again", ">total%")
        text = "\n".join(fits(t, "300x80"))
        for shown in ("red\\x1b[31m\\x1b[2J\\x07", "abc\\u202edcba\\u2066", "a\\tb\\nc", "nnnn.."):
            h.check(shown in text, "%r is not on the screen:\n%s" % (shown, text))
        # percentages are of wall time: no row above 100
        h.check(all(float(x) <= 100 for x in re.findall(r"^ {1,9}(\d+\.\d) ", text, re.M)), "more than 100 %%:\n%s" % text)
        t.type("1")
        t.resize(40, 10)
        t.see("40x10", lambda s: HEAD in s and len(s.split("\n")) < 13)
        time.sleep(0.3)
        fits(t, "40x10")
        t.type("?")
        t.type("End")
        t.see("help scrolls", "for sure. lost: samples")
        t.type("q")
        t.see("q in help quits, and it is said what was saved", lambda s: "rc=0" in s and "pyspy-report: saved " in s)
        t.resize(100, 30)
        h.check(t.ask("#{alternate_on} #{cursor_flag}") == "0 1", "q: the terminal is %s" % t.ask("#{alternate_on} #{cursor_flag}"))


def reset():
    """r counts from then on; what was saved says how to ask for it"""
    with tmuxes.Terminal(120, 30) as t:
        t.run("%s top --delay 0.2 -- %s; echo rc=$?" % (h.REPORT, target()))
        t.see("first rows", "heavy (livetop.py")
        time.sleep(1.5)
        t.type("r")
        t.see("since r", "since r")
        h.check(re.search(r"in (\d+ ms|1\.\d s|0 s|0 us) since r", t.text()), "after r: %s" % t.lines()[1])
        time.sleep(1)
        t.type("Space")
        t.see("held", "[held")
        samples = re.search(r"([\d,]+) samples", t.text()).group(1)
        t.type("s")
        said = re.search(r"saved (\S+) .*--time (\S+)\)", "\n".join(t.see("saved", "since r: --time"))).groups()
        d = json.loads(h.report("top", "--json", "--time", said[1], os.path.join(t.folder, said[0])))
        seen = int(samples.replace(",", ""))
        h.check(abs(json_samples(d) - seen) <= max(6, seen // 20), "since r: %d on the screen, %d in the file" % (seen, json_samples(d)))
        t.type("q")
        t.see("q", "rc=0")


def json_samples(d):
    """those in --time"""
    return d["totals"]["all"]["samples"] - d["totals"]["outside_time"]["samples"]


def ways_out():
    """after each the terminal is as before, the last picture is there where it can be, the status is right, nothing goes on"""
    def by_signal(number):
        return lambda t, pids: os.kill(pids[0], number)

    ways = [
        ("q", lambda t, pids: t.type("q"), 0, True),
        ("SIGTERM", by_signal(signal.SIGTERM), 143, False),
        ("recorder killed", lambda t, pids: os.kill(pids[1], signal.SIGKILL), 125, True),
        ("program ends", None, 3, True),
    ]
    if h.FULL:
        ways += [
            ("Ctrl-C", lambda t, pids: t.type("C-c"), 0, True),
            ("SIGSEGV", by_signal(signal.SIGSEGV), 139, False),
            ("SIGHUP", by_signal(signal.SIGHUP), 129, False),
            ("SIGABRT", by_signal(signal.SIGABRT), 134, False),
            ("recorder ends", lambda t, pids: os.kill(pids[1], signal.SIGTERM), None, True),
            ("program killed", lambda t, pids: os.kill(pids[2][0], signal.SIGKILL), 137, True),
            ("SIGTERM twice", lambda t, pids: (os.kill(pids[0], signal.SIGTERM), os.kill(pids[0], signal.SIGTERM)), 143, False),
        ]
    terminals = []
    try:
        for name, _, _, _ in ways:
            t = tmuxes.Terminal(100, 24)
            terminals.append(t)
            t.run("stty -a >before; %s top --delay 0.2 -- %s; echo rc=$?; stty -a >after" % (h.REPORT, target(1.5 if name == "program ends" else 60)))
        for t, (name, act, status, has_picture) in zip(terminals, ways):
            if act:
                t.see("%s: rows" % name, "heavy (livetop.py", 20)
                pids = reporter(t)
                act(t, pids)
            lines = t.see("%s: it ends" % name, lambda s: re.search(r"^rc=\d+", s, re.M), 20)
            text = "\n".join(lines)
            got = int(re.search(r"^rc=(\d+)", text, re.M).group(1))
            h.check(status is None or got == status, "%s: status %d, wanted %s:\n%s" % (name, got, status, text))
            h.check(t.ask("#{alternate_on} #{cursor_flag}") == "0 1", "%s: alternate screen, cursor: %s" % (name, t.ask("#{alternate_on} #{cursor_flag}")))
            h.wait_for("%s: stty" % name, lambda: os.path.exists(os.path.join(t.folder, "after")), 10)
            time.sleep(0.05)
            states = [open(os.path.join(t.folder, f)).read() for f in ("before", "after")]
            h.check(states[0] == states[1], "%s: the terminal's settings changed:\n%s\n%s" % (name, *states))
            if has_picture:
                whole = "\n".join(t.lines("-S", "-100"))
                h.check("heavy (livetop.py" in whole and HEAD in whole, "%s: no last picture:\n%s" % (name, whole))
            if name == "program ends":
                said = re.search(r"the program's output is in (\S+)", text)
                h.check(said and "the program's own words" in open(said.group(1)).read(), "%s: the output is not named:\n%s" % (name, text))
            if name == "recorder killed":
                h.check("killed by signal 9" in text, "%s: it is not said:\n%s" % (name, text))
            if act:
                h.wait_for("%s: pyspy-record is gone" % name, lambda: comm(pids[1]) != "pyspy-record", 10)
                if name != "recorder killed":
                    h.wait_for("%s: the program is gone" % name, lambda: not [p for p in pids[2] if comm(p)], 10)
                for p in pids[2]:
                    if comm(p).startswith("python"):
                        os.kill(p, signal.SIGKILL)
    finally:
        for t in terminals:
            t.close()


def no_terminal():
    """tables one after the other; a stream; a file that grows; -p"""
    env = dict(os.environ, TMPDIR=h.folder())
    p = subprocess.run([h.REPORT, "top", "--delay", "0.3", "-L", "5", "--", *target(1.2, 7).split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       stdin=subprocess.DEVNULL, env=env, timeout=60)
    out, err = p.stdout.decode(), p.stderr.decode()
    h.check(p.returncode == 7, "status %d: %s" % (p.returncode, err))
    h.check(out.count("now self%") >= 3 and out.rstrip().split("\n\n")[-1].startswith("[ended] pid "), "tables:\n%s" % out)
    h.check("\x1b" not in out and "the program's output is in " in err, "output: %r, %r" % (out[:200], err))
    path = os.path.join(h.folder(), "grows.pyspy")
    r = h.start([h.RECORD, "-q", "-o", path, "--flush", "200ms", "--", *target(1.5, 0).split()], stdout=subprocess.DEVNULL)
    h.wait_for("the file", lambda: os.path.exists(path) and os.path.getsize(path) > 64, 10)
    f = subprocess.run([h.REPORT, "top", "--follow", path, "--delay", "0.3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    h.check(f.returncode == 0 and f.stdout.count(b"now self%") >= 3, "--follow FILE: %d %s %s" % (f.returncode, f.stdout.decode()[-500:], f.stderr.decode()))
    r.wait(20)
    with open(path, "rb") as whole:
        f = subprocess.run([h.REPORT, "top", "--follow", "-"], stdin=whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    h.check(f.returncode == 0 and b"heavy (livetop.py" in f.stdout, "--follow -: %d %s" % (f.returncode, f.stderr.decode()))
    for words, status, said in ((["-p", "4194303"], 1, "4194303"), (["--follow", "/nonexistent"], 1, "No such file"), (["--follow", "/etc/passwd"], 1, "not a recording"),
                                (["-p", "1", "--", "x"], 2, "one of them"), (["--live"], 2, "--live wants"), (["-r", "10"], 2, "what runs"), (["-p", "1", "--focus", "x"], 2, "--focus x"),
                                (["-p", "1", "-s"], 2, "not there yet"), (["--"], 2, "a program"), (["--", "/nonexistent"], 127, "nonexistent"), (["-p", "x"], 2, "process number"),
                                (["-p", "1", "--delay", "0"], 2, "--delay")):
        f = subprocess.run([h.REPORT, "top", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, env=env)
        h.check(f.returncode == status and said in f.stderr.decode() and f.stderr.count(b"\n") == 1, "%s: %d %r" % (words, f.returncode, f.stderr.decode()))


def follow_keys():
    """a stream on standard input: keys come from the terminal"""
    with tmuxes.Terminal(100, 24) as t:
        t.run("mkfifo f; %s -q -o - --flush 200ms -- %s >f 2>/dev/null & %s top --delay 0.2 --follow - <f; echo rc=$?; kill %%1" % (h.RECORD, target(), h.REPORT))
        t.see("rows", "heavy (livetop.py")
        t.type("t")
        t.see("t", "row's own thread")
        t.type("q")
        t.see("q", "rc=0")


def slow_terminal():
    """a terminal that takes nothing does not slow the recorder, and SIGTERM ends us all the same"""
    import fcntl
    import pty
    import struct
    import termios
    path = os.path.join(h.folder(), "kept.pyspy")
    r = h.start([h.RECORD, "-q", "-o", "-", "--flush", "200ms", "-d", "5", "--", *target(6, 0).split()], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    tee = h.start(["tee", path], stdin=r.stdout, stdout=subprocess.PIPE)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 80, 300, 0, 0))
    top = h.start([h.REPORT, "top", "--delay", "0.05", "--follow", "-"], stdin=tee.stdout, stdout=slave, stderr=subprocess.DEVNULL, start_new_session=True,
                  preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0), env={"TERM": "xterm"})
    os.close(slave)
    begin = time.monotonic()
    r.wait(30)
    took = time.monotonic() - begin
    h.check(took < 9, "the recorder took %.1f s for 5" % took)
    h.wait_for("tee", lambda: tee.poll() is not None, 10)
    d = json.loads(h.report("info", "--json", path))
    text = json.dumps(d)
    h.note("recorder done after %.1f s; %s" % (took, re.findall(r'"late": \d+', text)[:1]))
    blocked = top.poll() is None
    h.check(blocked, "pyspy-report ended with %s" % top.poll())
    top.send_signal(signal.SIGTERM)
    h.wait_for("SIGTERM ends it", lambda: top.poll() is not None, 10)
    os.close(master)
    h.stop(r)
    h.stop(tee)


cases = [("keys", keys), ("ways out", ways_out), ("no terminal", no_terminal), ("follow keys", follow_keys)]
if h.FULL:
    cases += [("reset", reset), ("slow terminal", slow_terminal)]

if __name__ == "__main__":
    h.main(cases)

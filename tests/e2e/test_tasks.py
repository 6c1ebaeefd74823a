# serial
# `pyspy-record dump --tasks`: against asyncio.all_tasks() and the chains that the program itself walks.
import json
import os
import re
import subprocess
import time
from collections import Counter

import harness as h

FORMS = "taskforms.py"


def dump(pid, *args):
    p = subprocess.run([h.RECORD, "dump", "--tasks", "-p", str(pid)] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    h.check(p.returncode == 0, "dump %s: exit status %d, %s" % (args, p.returncode, p.stderr[-300:]))
    return p.stdout.decode()


def dumped(pid, *args):
    return json.loads(dump(pid, "--json", *args))


def plain(text):
    """JSON cannot hold lone surrogates"""
    return re.sub("[\ud800-\udfff]", "\ufffd", text) if isinstance(text, str) else text


def compared(py, got, want):
    """what differs between one task and what the interpreter says of it"""
    def name(qualname):
        return qualname if py.version >= (3, 11) else qualname.rpartition(".")[2]
    waits = got["waits_for"]
    pairs = {"name": (got["name"], plain(want["name"])), "type": (got["type"], want["type"]), "coroutine": (got["coroutine"], want["coroutine"]),
             "frames": ([[f["name"], f["file"], f["line"]] for f in got["frames"]], [[name(n), f, line] for n, f, line in want["frames"]]),
             "awaits": (got["awaits"], want["awaits"]), "waits for": (waits and [waits["id"], waits["type"]], want["waits_for"]), "begun": (got["begun"], want["begun"]),
             "all of": ([x["id"] for x in waits["all_of"]] if waits else [], want["all_of"]), "loop": (got["loop"], want["loop"]), "thread": (got["thread"], want["thread"]),
             "state": (got["state"], "pending"), "certain": (got["certain"], True), "cut": (got["cut"], False),
             "awaited by": (sorted(got["awaited_by"]) if py.version >= (3, 14) else got["awaited_by"], want["awaited_by"] if py.version >= (3, 14) else None)}
    return ["%s: %s: %s, truth %s" % (want["name"], what, is_, should) for what, (is_, should) in pairs.items() if is_ != should]


def truth(py, *ways):
    outside, inside = py.folder()
    with h.Victim(py, "tasks.py", [os.path.join(inside, "truth")] + list(ways)) as v:
        d, text, with_locals = dumped(v.pid), dump(v.pid, "--full-filenames", "--color", "never"), dumped(v.pid, "-l")
    with open(os.path.join(outside, "truth")) as f:
        want = {t["id"]: t for t in json.load(f)}
    got = {t["id"]: t for t in d["tasks"]}
    h.check(len(want) >= 30, "%d tasks only" % len(want))
    h.check(set(got) == set(want), "missing %s, too many %s" % ([want[i]["name"] for i in set(want) - set(got)], [got[i]["name"] for i in set(got) - set(want)]))
    h.check(d["tasks_complete"] and not d["tasks_left_out"] and not d["tasks_not_understood"] and len(got) == len(d["tasks"]), "%s" % {k: v for k, v in d.items() if k.startswith("tasks_")})
    wrong = [x for i in sorted(set(got) & set(want)) for x in compared(py, got[i], want[i])]
    h.check(not wrong, "%d differ: %s" % (len(wrong), "\n  ".join(wrong[:6])))
    for i in set(got) & set(want):  # get_stack() of what is suspended is the outermost coroutine's frame alone
        stack = [[f["name"].rpartition(".")[2], f["line"]] for f in got[i]["frames"][-1:]]
        h.check(stack == want[i]["stack"], "%s: %s, get_stack() %s" % (want[i]["name"], stack, want[i]["stack"]))
    # the text has the same: a line for each task, and one for each frame
    head, tail = text.split("\nTasks: %d\n" % len(got))
    h.check(tail.count("\nTask \"") == len(got) and len(re.findall(r"(?m)^    \S", tail)) == sum(len(t["frames"]) for t in d["tasks"]), "the text: %s" % tail[:500])
    h.check("\x1b" not in text and "\u202e" not in text and '\nTask "kind gathered" (waits for all of ' in tail and '\nTask "not begun" (has not begun): ' in tail, "the text")
    # variables of coroutines that no thread runs
    leaves = [f for t in with_locals["tasks"] for f in t["frames"] if f["name"].endswith("leaf")]
    depths = Counter(x["repr"] for f in leaves for x in f["locals"] if x["name"] == "depth")
    h.check(leaves and all(f["locals"] for f in leaves) and depths["200"] == depths["100"] == depths["150"] == 1 + ("thread" in ways) and depths["0"] >= 10, "depths %s" % depths)
    h.note("%d tasks, %d frames" % (len(got), sum(len(t["frames"]) for t in d["tasks"])))


def running(py):
    with h.Victim(py, FORMS, ["running"]) as v:
        d = dumped(v.pid)
        text = dump(v.pid)
    stack = [[f["name"].rpartition(".")[2], f["line"]] for f in d["threads"][0]["frames"]]
    run = {t["name"]: t for t in d["tasks"] if t["state"] == "running"}
    h.check(set(run) == ({"outer", "eager inner"} if py.version >= (3, 12) else {"outer"}), "%s run" % sorted(run))
    for name, root in (("outer", "running"), ("eager inner", "eager_inner")):
        if name in run:
            frames = [[f["name"].rpartition(".")[2], f["line"]] for f in run[name]["frames"]]
            h.check(frames == stack[:len(frames)] and frames[-1][0] == root and frames[0][0] == "stand" and run[name]["thread"] == v.pid, "%s: %s, the thread: %s" % (name, frames, stack))
    h.check(len(d["tasks"]) == len(run) + 1 and '\nTask "outer" (running): running, thread %d\n' % v.pid in text, text)


def ring(py, n, times):
    """no picture shows the token at two places that are far apart, nor nowhere"""
    seen, certain, longest, long = Counter(), 0, 0, 0
    with h.Victim(py, FORMS, ["ring", n]) as v:
        for i in range(times):
            d = dumped(v.pid)
            hops = [t for t in d["tasks"] if t["name"].startswith("hop")]
            h.check(len(hops) == n, "%d of %d tasks" % (len(hops), n))
            longest = max(longest, d["stops"]["longest_ns"])
            long += d["stops"]["longest_ns"] >= 10e6
            sure = [t for t in hops if t["certain"]]
            certain += len(sure)
            at = sorted(int(t["name"].split()[1]) for t in sure if not t["waits_for"] or t["waits_for"]["state"] != "pending")
            seen["%d%s" % (len(at), "" if len(at) < 2 or (at[-1] - at[0]) in (1, n - 1) else " apart")] += len(sure) > 0
            seen["nobody"] += not at and len(sure) == n
        h.check(v.alive() and h.status_field(v.pid, "TracerPid") == "0", "the target has ended, or is traced")
    h.check(not seen.pop("nobody") and {k for k in seen if seen[k]} <= {"0", "1", "2"}, "tasks that did not wait: %s" % dict(seen))
    # without a GIL new futures lie where none were before: what has one of these is read afterwards
    h.check(certain >= (0.4 if py.free_threaded else 0.6) * times * n, "%d of %d tasks are certain" % (certain, times * n))
    h.check(long <= max(1, 0.05 * times), "in %d of %d pictures a thread stood for 10 ms and more, the longest %.1f ms" % (long, times, longest / 1e6))
    h.note("%d pictures of %d tasks, of these %d certain, who did not wait: %s; the longest stop %d us" % (times, n, certain, dict(seen), longest // 1000))


def many(py, n, times=3, form="many", cmd=None):
    with h.Victim(py, FORMS, [form, n], cmd=cmd, timeout=30) as v:
        long = []
        for i in range(times):
            begin = time.monotonic()
            d = dumped(v.pid)
            took = time.monotonic() - begin
            long.append(d["stops"]["longest_ns"])
            waits = [t for t in d["tasks"] if t["coroutine"] == "middle"]
            h.check(len(waits) == n and not d["tasks_left_out"] and d["tasks_complete"] and took < 10, "%d of %d tasks, %d left out, %.1f s" % (len(waits), n, d["tasks_left_out"], took))
            certain = sum(t["certain"] for t in waits)
            shapes = Counter(tuple(f["name"] for f in t["frames"]) for t in waits)
            h.check(set(shapes) == {("leaf", "middle")} and {t["waits_for"]["state"] for t in waits} == {"pending"}, "%s" % shapes)
        h.check(sorted(long)[len(long) // 2] < 10e6 or times == 1, "it stood for %s ms" % [x / 1e6 for x in long])
        h.note("%d tasks, %d certain: stops %s us" % (n, certain, [x // 1000 for x in long]))


def orphans(py):
    with h.Victim(py, FORMS, ["orphans"]) as v:
        d = dumped(v.pid)
        h.check(sorted(t["id"] for t in d["tasks"]) == [int(w) for w in v.words] and len(v.words) == 3, "%s, truth %s" % ([t["id"] for t in d["tasks"]], v.words))
        h.check(all(t["thread"] is None and t["state"] == "pending" for t in d["tasks"]), "%s" % d["tasks"])


def lies(py):
    for how in (("coroutine", "name", "waiter", "chain") if h.FULL else ("chain",)) + (("cycle",) if py.version >= (3, 14) else ("set",)):
        with h.Victim(py, FORMS, ["lies", how]) as v:
            begin = time.monotonic()
            d, text = dumped(v.pid), dump(v.pid)
            h.check(time.monotonic() - begin < 10, "%s: %.1f s" % (how, time.monotonic() - begin))
            h.check(v.alive() and d["threads"][0]["frames"][0]["name"] == "lies", "%s: the rest of the dump: %s" % (how, d["threads"]))
            names = [t["name"] for t in d["tasks"]]
            told = d["tasks_not_understood"] or not d["tasks_complete"] or any(t["cut"] for t in d["tasks"])
            h.check(told or how == "waiter", "%s: a lie that nobody speaks of: %s" % (how, names))
            h.check("honest" in names or how in ("set", "cycle"), "%s: %s" % (how, names))
            h.check(len(names) <= 6 and len(text) < 100000, "%s: %d tasks" % (how, len(names)))


def child(py):
    with h.Victim(py, FORMS, ["child"]) as v:
        d = dumped(v.pid)
    by = Counter((t["interpreter"] != 0, t["name"].startswith("within")) for t in d["tasks"])
    h.check(by[(True, True)] == 3 and by[(False, True)] == 0 and by[(False, False)] == 2, "tasks by interpreter: %s" % {(t["interpreter"], t["name"]) for t in d["tasks"]})


def too_old(py):
    with h.Victim(py, "variables.py", ["/dev/null"]) as v:
        d, text = dumped(v.pid), dump(v.pid)
        h.check(d["tasks"] is None and "3.8" in d["tasks_problem"] and "\nTasks: tasks are shown of Python 3.8 and later\n" in text and d["threads"], "%s" % d["tasks"])


def without(py):
    """a program that has nothing to do with asyncio; tasks that were not asked for"""
    with h.Victim(py, "variables.py", ["/dev/null"]) as v:
        d, text = dumped(v.pid), dump(v.pid)
        h.check(d["tasks"] == [] and d["tasks_complete"] and "\nTasks: 0 (asyncio is not in use)\n" in text, "%s" % d["tasks"])
        p = subprocess.run([h.RECORD, "dump", "--json", "-p", str(v.pid)], stdout=subprocess.PIPE, timeout=60)
        h.check(json.loads(p.stdout.decode())["tasks"] is None, "tasks that were not asked for")


def uvloop(py):
    """in its loop, written in C, tasks are asyncio's"""
    folder = h.folder()
    p = subprocess.run([py.path, "-m", "venv", folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    command = os.path.join(folder, "bin", "python")
    p = p if p.returncode else subprocess.run([command, "-m", "pip", "install", "-q", "--only-binary=:all:", "uvloop"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    if p.returncode:
        raise h.Skip("uvloop cannot be installed for %s: %s" % (py, p.stdout[-200:]))
    many(py, 200, 3, "uvloop", [command])


cases = []
for py in h.interpreters() if h.FULL else h.interpreters(one_per_minor=True):
    if py.version >= (3, 8):
        if h.FULL or py.version[:2] in ((3, 8), (3, 12)):
            cases.append(("truth %s" % py, truth, py))
        if h.FULL:
            cases.append(("truth in Python %s" % py, truth, py, "python"))
        if h.FULL or py.version[:2] == (3, 15):
            cases.append(("truth of two loops %s" % py, truth, py, "thread"))
        if h.FULL or py.version[:2] == (3, 13):
            cases.append(("running %s" % py, running, py))
        if h.FULL:
            cases += [("ring %s" % py, ring, py, 50, 60), ("large ring %s" % py, ring, py, 3000, 20), ("many %s" % py, many, py, 10000), ("orphans %s" % py, orphans, py)]
            if "musl" not in str(py):  # which has no ctypes
                cases.append(("lies %s" % py, lies, py))
            if py.kind == "pyenv" and py.version < (3, 13):
                cases.append(("uvloop %s" % py, uvloop, py))
        if h.FULL and py.version >= (3, 13) and not py.free_threaded:
            cases.append(("interpreters %s" % py, child, py))
    elif h.FULL or py.version[:2] == (3, 7):
        cases.append(("too old %s" % py, too_old, py))
for py in h.pythons(one_per_minor=True)[-1:] if not h.FULL else []:
    cases += [("without %s" % py, without, py), ("ring %s" % py, ring, py, 100, 5), ("many %s" % py, many, py, 3000, 1)]
for py in h.newer(((14, "freethreaded"),))[:1] if not h.FULL else []:
    cases += [("lies %s" % py, lies, py), ("orphans %s" % py, orphans, py)]

if __name__ == "__main__":
    h.main(cases)

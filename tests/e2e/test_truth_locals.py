# Variables of frames: names, kinds and values, against the interpreter's own repr().
import json
import os
import re
import subprocess
import time

import harness as h

AT = re.compile(r" at 0x[0-9a-f]+")
MODULE = re.compile(r"(?s)<module .*>$")
# whose word repr() is not: addresses are left out of these, and modules may be told in other words
NO_ADDRESS = re.compile(r"<(function|bound method|built-in method|generator object|coroutine object|async_generator object|code object|method-wrapper|class \S+ at 0x)")


def dumped(pid, *args, prefix=()):
    p = subprocess.run(list(prefix) + [h.RECORD, "dump", "--json", "-p", str(pid)] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
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


def names(py):
    """which variables a frame has: arguments, cells, free variables, bound ones only; classes, exec, modules; secrets"""
    outside, inside = py.folder()
    with h.Victim(py, "variables.py", [os.path.join(inside, "truth")]) as v:
        shown, all_ = dumped(v.pid, "-l"), dumped(v.pid, "-lll", "--no-redact")
        own = dumped(v.pid, "-l", "--redact-names", "^val")
        text = subprocess.run([h.RECORD, "dump", "-l", "-p", str(v.pid)], stdout=subprocess.PIPE, timeout=60).stdout.decode()
    with open(os.path.join(outside, "truth")) as f:
        want = json.load(f)
    got = frames(all_)[1:]
    h.check([f["name"].rpartition(".")[2] for f in got] == [w[0] for w in want], "frames %s, truth %s" % ([f["name"] for f in got], [w[0] for w in want]))
    n = 0
    for g, (function, is_function, values, arguments) in zip(got, want):
        mine = variables(g)
        if is_function:
            h.check(set(mine) == set(values), "%s: variables %s, truth %s" % (function, sorted(mine), sorted(values)))
            h.check([name for name in arguments if name in values] == [x["name"] for x in g["locals"] if x["arg"]], "%s: arguments %s, truth %s" % (function, [x["name"] for x in g["locals"] if x["arg"]], arguments))
        for name, text_ in values.items():
            n += 1
            h.check(name in mine and alike(mine[name]["repr"], text_) or " object at 0x" in text_ or "__builtins__" in text_, "%s: %s: %s, repr: %s" % (function, name, mine.get(name, {}).get("repr"), text_))
    h.check(n > 30, "%d variables only" % n)
    kinds = {(f["name"].rpartition(".")[2], x["name"]): x["kind"] for f in got for x in f["locals"]}
    for key, kind in {("with_cells", "in_cell"): "cell", ("with_cells", "argument"): "local", ("with_cells", "made"): "cell", ("innermost", "own"): "free", ("innermost", "in_cell"): "free",
                      ("Body", "class_variable"): "name", ("<module>", "exec_more"): "name"}.items():
        h.check(kinds.get(key) == kind, "%s is %s, should be %s" % (key, kinds.get(key), kind))
    # secrets, by default and by an expression of one's own
    more = {f["name"]: variables(f) for f in frames(shown)}
    m = more["more"]
    h.check(m["api_key"]["hidden"] and m["api_key"]["repr"] == "<hidden>" and not m["data"]["hidden"], "%s" % m)
    h.check(m["data"]["repr"] in ("{'token': <hidden>, 'plain': [1, {'Password': <hidden>}]}", "{'plain': [1, {'Password': <hidden>}], 'token': <hidden>}"), m["data"]["repr"])
    h.check("abc" not in text and "module secret" not in text and "            api_key: <hidden>\n" in text and "        Arguments:\n" in text, text)
    module = frames(shown)[-1]
    h.check(module["name"] == "<module>" and {"number_of_module", "password_of_module", "NEWER"} <= set(variables(module)) and not {"os", "truth", "Text", "__name__"} & set(variables(module)), "%s" % sorted(variables(module)))
    mine = {f["name"]: variables(f) for f in frames(own)}["more"]
    h.check(mine["value"]["hidden"] and not mine["api_key"]["hidden"], "%s" % mine)
    h.note("%d frames, %d variables" % (len(got), n))


def refused(py):
    with h.Victim(py, "variables.py", ["/dev/null"]) as v:
        p = subprocess.run([h.RECORD, "dump", "-l", "--redact-names", "a[b", "-p", str(v.pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        h.check(p.returncode == 2 and not p.stdout and b"--redact-names" in p.stderr and p.stderr.count(b"\n") == 1, "%s" % p)
        h.check(all(f["locals"] is None for f in frames(dumped(v.pid))), "locals that were not asked for")


# a thread that holds the GIL in a frame of many large values
HEAVY = """
import os, sys
lines = ["def heavy():", "    last = {}"]
lines += ["    v%d = [{'id': i, 'data': [i] * 10, 'name': 'n%%d' %% i} for i in range(100)]" % i for i in range(180)]
lines += ["    print('ready %d' % os.getpid())", "    sys.stdout.flush()", "    while True: last.get(1)"]
exec(chr(10).join(lines))
heavy()
"""

# sizes of 2**60 in the objects themselves; nothing may look at them any more
LIAR = """
import ctypes, gc, os, sys
gc.disable()
class Plain(object): pass
def park(honest):
    a_list, a_tuple, a_dict, a_set, a_bytes, a_str, an_int, a_deep = [1, 2], (1, 2, 3), {'k': 1}, {1, 2}, b'bytes', 'text of its own' + honest, 12345678901234567890 + len(honest), []
    for i in range(100000):
        a_deep = [a_deep]
    wide = [[[i] * 100 for i in range(100)] for i in range(100)]
    circle = Plain(); circle.me = circle; circle.all = [circle]
    head = object.__basicsize__
    for value, at in ((a_list, 0), (a_tuple, 0), (a_dict, 0), (a_set, 8), (a_bytes, 0), (a_str, 0), (an_int, 0)):
        ctypes.c_int64.from_address(id(value) + head + at).value = 1 << 60
    after = 'after'
    print('ready %d' % os.getpid())
    sys.stdout.flush()
    sys.stdin.read()
park('honest')
"""


def written(py, source):
    path = os.path.join(h.folder(), "victim.py")
    with open(path, "w") as f:
        f.write(source)
    return path


def heavy(py):
    """the one who holds the GIL stands for less than 10 ms, however much there is to read; all of it is there still"""
    with h.Victim(py, written(py, HEAVY), cpu=h.VICTIM_CPU) as v:
        for level in ("-l", "-lll"):
            stood = []
            for i in range(5):
                d = dumped(v.pid, level, prefix=["taskset", "-c", str(h.RECORD_CPU)])
                stood.append(d["stops"]["longest_ns"] / 1e6)
            frame = [f for f in frames(d) if f["name"] == "heavy"][0]
            got = variables(frame)
            # the host may stop this machine for longer than that, recorder and target at once
            h.check(sorted(stood)[-2] < 10, "%s: it stood for %s ms" % (level, stood))
            h.check(len(got) == 181 and all(x["repr"].startswith("[{'id': 0, ") or x["repr"] == "{}" for x in got.values()), "%s: %d variables" % (level, len(got)))
            h.note("%s: %d stops, the longest %.1f ms" % (level, d["stops"]["count"], max(stood)))


def liar(py):
    with h.Victim(py, written(py, LIAR)) as v:
        for level in ("-l", "-lll"):
            begin = time.monotonic()
            got = variables([f for f in frames(dumped(v.pid, level)) if f["name"] == "park"][0])
            h.check(time.monotonic() - begin < 20, "%s: %.1f s" % (level, time.monotonic() - begin))
            h.check(got["after"]["repr"] == "'after'" and got["honest"]["repr"] == "'honest'", "%s: what is honest: %s" % (level, got["after"]))
            h.check(got["circle"]["repr"].count("...") == 2 and "me=" in got["circle"]["repr"], "%s: a circle: %s" % (level, got["circle"]["repr"]))
            h.check("[\u2026 1 more]" in got["a_deep"]["repr"] and len(got["a_deep"]["repr"]) < 200, "%s: a deep one: %s" % (level, got["a_deep"]["repr"][:300]))
            for name in ("a_list", "a_tuple", "a_dict", "a_set", "a_bytes", "a_str", "an_int"):
                h.check(name in got and len(got[name]["repr"]) < 140000, "%s: %s: %s" % (level, name, got.get(name, {}).get("repr", "")[:200]))
        h.check(v.alive(), "the target has ended")


def lies(py, level, rounds):
    """what comes over is not what is there (locals_lies.c)"""
    archives = [os.path.join(h.BUILD, "obj", name + ".a") for name in ("record", "common")]
    if not all(os.path.exists(a) for a in archives):
        raise h.Skip("build/obj/record.a is not there: `make unit` makes it")
    program = os.path.join(h.folder(), "locals_lies")
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-D_GNU_SOURCE", "-I", h.ROOT, "-o", program, os.path.join(h.HERE, "locals_lies.c")] + archives + ["-lzstd", "-lelf", "-lm"],
                   check=True, timeout=120)
    outside, inside = py.folder()
    with h.Victim(py, "values.py", [os.path.join(inside, "truth")]) as v:
        p = subprocess.run([program, str(v.pid), str(level), str(rounds), "1"], stdout=subprocess.PIPE, timeout=300)
        h.check(p.returncode == 0, "%s" % p.stdout.decode("utf-8", "replace")[-1000:])
        h.note(p.stdout.decode("utf-8", "replace").strip().split("\n")[-1])


QUICK_TRUTH, QUICK_NAMES = ((2, 7), (3, 6), (3, 10), (3, 11), (3, 13), (3, 14)), ((3, 8), (3, 12), (3, 15))
cases = []
for py in h.interpreters() if h.FULL else h.interpreters(one_per_minor=True):
    if h.FULL or py.version[:2] in QUICK_TRUTH:
        cases.append(("truth %s" % py, truth, py))
    if h.FULL or py.version[:2] in QUICK_NAMES:
        cases.append(("names %s" % py, names, py))
    if h.FULL:
        cases.append(("lies %s" % py, lies, py, 3, 20))
for py in h.pythons(one_per_minor=True)[-1:]:
    cases.append(("refused %s" % py, refused, py))
    cases.append(("heavy %s" % py, heavy, py))
    cases.append(("liar %s" % py, liar, py))
    cases.append(("lies %s" % py, lies, py, 1, 8))

if __name__ == "__main__":
    h.main(cases)

# parallel
# timeout: 300
# speedscope, chrometrace and firefox: each file keeps its format's rules, and its totals are those of an independent
# reader of the recording, of `top --json` and of each other, under every filter; hostile names, reused pids, deep
# stacks, damage, full disks. And the checks themselves refuse what is wrong.
import copy
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter

import pyspy_reader
import recording
import timelines as t

BUILD = os.path.abspath(os.environ.get("PYSPY_BUILD", "build"))
REPORT = os.path.join(BUILD, "pyspy-report")
FULL = os.environ.get("PYSPY_FULL") == "1"
KINDS = ("speedscope", "chrometrace", "firefox")
failed = []


def check(what, ok, more=""):
    if not ok:
        failed.append(what)
        print("FAIL: %s %s" % (what, str(more)[:400]))


def report(*args, status=0, **kw):
    p = subprocess.run([REPORT, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, **kw)
    check("%s: exit status %d" % (" ".join(args), p.returncode), p.returncode == status, p.stderr)
    return p


def view(kind, *args):
    """-> the document; valid UTF-8 and JSON without NaN, or this dies"""
    out = report(kind, *args).stdout
    return json.loads(out.decode("utf-8", "strict"), parse_constant=lambda c: 1 / 0)


def clean(text):
    """as JSON has it: what is no UTF-8 is U+FFFD"""
    return "".join("\ufffd" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text)


def frame_of(f):
    if f.kind == "synthetic":
        return (f.name, "", 0)
    return (clean(f.name) or "<unknown>", clean(f.file), f.line if f.line and f.line > 0 else 0)


def read(path):
    """the independent reader: {stack: ns}, {stack: samples}, and by flags"""
    rec = pyspy_reader.read(path)
    ns, n, of = Counter(), Counter(), Counter()
    for r in rec.runs:
        stack = tuple(frame_of(f) for f in r.stack)
        if r.flags & recording.CUT:
            stack = (("[cut]", "", 0),) + stack
        ns[stack] += r.ns
        n[stack] += r.ticks
        of["gil"] += r.ns if r.gil else 0
        of["wait"] += r.ns if r.flags & recording.GIL_WAIT else 0
        of["running"] += r.ns if r.state in (recording.ON_CPU, recording.ACTIVE) else 0
    return rec, ns, n, of


def against_reader(name, path):
    rec, ns, n, of = read(path)
    native = any(f.kind == "native" for e in rec.epochs for loc in e.locations.values() for f in [e.frame(loc)])
    docs = {k: view(k, "-i", "--full-filenames", "--no-function", "--no-threads", path) for k in KINDS}
    for k, d in docs.items():
        check("%s: %s: rules" % (name, k), not t.problems(k, d), t.problems(k, d))
    want = Counter({s: w for s, w in ns.items() if w})
    got = t.sums("speedscope", docs["speedscope"])
    if not sum(n.values()): # a reader as strict as that one does not read what names undefined threads
        return
    if native: # their files are told by base names: sums of what is left
        check(name + ": speedscope's sum", sum(got.values()) == sum(want.values()))
    else:
        check(name + ": speedscope is what the reader reads", got == want, (got - want, want - got))
    texts = Counter()
    for s, w in got.items():
        texts[tuple((t.trace_text(f), "", 0) for f in s)] += w
    trace = t.sums("chrometrace", docs["chrometrace"])
    # a slice may end 1 ns early, once for each that begins behind it
    slack = sum(e["ph"] == "B" for e in docs["chrometrace"]["traceEvents"]) + 1
    apart = Counter({s: abs(trace[s] - texts[s]) for s in set(trace) | set(texts)})
    check(name + ": chrometrace is speedscope", sum(apart.values()) <= slack, +apart)
    fox = t.sums("firefox", docs["firefox"])
    if rec.timed:
        check(name + ": firefox is speedscope", fox == got, (fox - got, got - fox))
    elif not native:
        check(name + ": firefox has the reader's samples", fox == n, (fox - n, n - fox))
    for counter, what in (("threads running", "running"), ("GIL held", "gil"), ("threads waiting for the GIL", "wait")):
        have = sum(t.trace_counter(docs["chrometrace"], counter).values())
        bins = sum(e["ph"] == "C" and e["name"] == counter for e in docs["chrometrace"]["traceEvents"])
        # each of the bins was rounded to a thousandth
        slack = docs["speedscope"]["profiles"][0]["endValue"] * 0.0006 * max(len(docs["speedscope"]["profiles"]), 1) + 1
        check("%s: counter %s" % (name, counter), abs(have - of[what]) <= slack or not bins and not of[what], (have, of[what]))
    return docs


def against_top(name, path, *options):
    """rows of top --json: the same functions, the same times to the ns"""
    top = json.loads(report("top", "--json", "--by", "line", "-L", "0", "--no-processes", "--no-threads", *options, path).stdout)
    want = {}
    for r in top["rows"]:
        key = (r["function"], r["file"] or "", r["line"] or 0)
        a = want.setdefault(key, [0, 0])
        a[0] += r["self_ns"]
        a[1] += r["total_ns"]
    want = {k: v for k, v in want.items() if v[1]}
    got = t.totals("speedscope", view("speedscope", "--no-function", "--no-threads", *options, path))
    check("%s %s: top" % (name, " ".join(options)), got == want,
          [(k, got.get(k), want.get(k)) for k in set(got) | set(want) if got.get(k) != want.get(k)][:4])
    return top


def test_views(work):
    for program in ("test_timeline", "test_report_views"):
        subprocess.run([os.path.join(BUILD, "unit", program), "--write", work], check=True, timeout=60)
    for f in sorted(os.listdir(work)):
        name, path = f[:-6], os.path.join(work, f)
        if name in ("wide", "deep") and not FULL:
            continue
        if name != "hostile": # not even the reader reads bytes that are no UTF-8
            against_reader(name, path)
        against_top(name, path, "-i")
    many, kernel = os.path.join(work, "many.pyspy"), os.path.join(work, "kernel.pyspy")
    for path in (many, kernel):
        for k in KINDS:
            check(k + ": the same bytes", report(k, path).stdout == report(k, path).stdout)
        for o in ([], ["-g"], ["--time", "1s..2500ms", "-i"], ["--thread", "work", "-i"], ["--state", "runnable"],
                  ["--focus", "run|function_05", "-i"], ["--hide", "run|function_04", "-i"], ["--collapse-recursion", "-i"]):
            against_top(os.path.basename(path), path, *o)
            for k in KINDS if FULL else ():
                d = view(k, *o, path)
                check("%s %s: rules" % (k, o), not t.problems(k, d), t.problems(k, d))
    # a part of the time begins at 0 and is as long as it was asked for
    d = view("speedscope", "-i", "--time", "1s..2500ms", many)
    check("--time: length", d["profiles"][0]["endValue"] == 1500000000, d["profiles"][0]["endValue"])


def test_names(work):
    path = os.path.join(work, "hostile.pyspy")
    text = report("speedscope", "-i", path).stdout.decode()
    check("hostile: nothing live, nothing that a terminal obeys",
          "</script" not in text and not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text))
    names = {f["name"] for f in json.loads(text)["shared"]["frames"]}
    for want in ("</script><script>alert(1)</script>", "new\nline\ttab\rcr", "__proto__"):
        check("hostile: %r" % want, want in names, names)
    check("hostile: U+FFFD for what is no UTF-8", any("\ufffd" in n for n in names))
    d = view("chrometrace", "-i", os.path.join(work, "reused.pyspy"))
    pids = {e["pid"]: e["args"]["name"] for e in d["traceEvents"] if e["name"] == "process_name"}
    check("reused: three processes", len(pids) == 3 and sum("(pid 520)" in n for n in pids.values()) == 2, pids)
    check("reused: the first has its own number", "first.py" in pids.get(520, ""), pids)
    check("reused: others are above all pids", all(p == 520 or p > 1 << 22 for p in pids), pids)
    d = view("chrometrace", "-i", os.path.join(work, "holes.pyspy"), os.path.join(work, "elsewhere.pyspy"))
    pids = {e["pid"]: e["args"]["name"] for e in d["traceEvents"] if e["name"] == "process_name"}
    check("hosts: two processes, told apart", sorted(pids.values()) == ["python3 elsewhere.py (pid 500 on web-2)", "python3 holes.py (pid 500 on build-07)"], pids)
    d = view("firefox", "-i", os.path.join(work, "holes.pyspy"), os.path.join(work, "elsewhere.pyspy"))
    check("hosts: firefox", len({x["pid"] for x in d["threads"]}) == 2, [x["pid"] for x in d["threads"]])
    d = view("firefox", "-i", os.path.join(work, "reused.pyspy"))
    check("reused: firefox", len({x["pid"] for x in d["threads"]}) == 3, [x["pid"] for x in d["threads"]])


def test_deep(work):
    path = os.path.join(work, "deep.pyspy")
    d = view("speedscope", path)
    check("deep: 10,000 frames", max(len(s) for s in d["profiles"][0]["samples"]) == 10000)
    d = view("chrometrace", path)
    opened = depth = 0
    for e in d["traceEvents"]:
        opened += {"B": 1, "E": -1}.get(e["ph"], 0)
        depth = max(depth, opened)
    check("deep: slices", depth == 10000 and opened == 0, (depth, opened))


def test_nothing_and_bad(work):
    small = os.path.join(work, "small.pyspy")
    for k in KINDS:
        p = report(k, "--thread", "no such thread", small)
        d = json.loads(p.stdout)
        check(k + ": nothing left: rules", not t.problems(k, d), t.problems(k, d))
        check(k + ": nothing left: said", b"0 of 800 samples" in p.stderr or b"no sample" in p.stderr, p.stderr)
        with open(small, "rb") as f:
            data = f.read()
        cut = os.path.join(work, "cut")
        with open(cut, "wb") as f:
            f.write(data[:len(data) * 2 // 3])
        d = json.loads(report(k, "-i", cut).stdout)
        check(k + ": damaged: rules", not t.problems(k, d), t.problems(k, d))
        check(k + ": damaged --strict", b"warning" in report(k, "--strict", cut, status=4).stderr)
        out = os.path.join(work, "out.json")
        p = report(k, "-o", out, os.path.join(work, "timelines.py"), status=1)
        check(k + ": nothing is written", not os.path.exists(out) and p.stderr.count(b"\n") == 1, p.stderr)
        if os.path.exists("/dev/full"):
            p = report(k, "-o", "/dev/full", small, status=1)
            check(k + ": full disk", b"No space left" in p.stderr and p.stderr.count(b"\n") == 1, p.stderr)
        report(k, "--no-such-option", small, status=2)
        check(k + ": help", report(k, "--help").stdout.split(b"\n")[2] == b"Examples:")
        check(k + ": from a pipe", report(k, "-i", "-", input=data).stdout == report(k, "-i", small).stdout)
    # two recordings: of one boot, one clock; the same thread in both has one track where they do not overlap
    d = view("speedscope", "-i", small, os.path.join(work, "many.pyspy"))
    check("two files: rules", not t.problems("speedscope", d), t.problems("speedscope", d))
    check("two files: six threads", len(d["profiles"]) == 6, [p["name"] for p in d["profiles"]])


def test_twice(work):
    """two recorders at once: each thread twice, and told apart"""
    path, copy_ = os.path.join(work, "many.pyspy"), os.path.join(work, "copy")
    with open(path, "rb") as f, open(copy_, "wb") as g:
        g.write(f.read())
    for k in KINDS:
        d = view(k, "-i", path, copy_)
        check(k + ": twice: rules", not t.problems(k, d), t.problems(k, d))
        check(k + ": twice: both", sum(t.sums(k, d).values()) == 2 * sum(t.sums(k, view(k, "-i", path)).values()))
    names = [p["name"] for p in view("speedscope", "-i", path, copy_)["profiles"]]
    check("twice: names", len(set(names)) == len(names) == 8, names)


def test_no_room(work):
    """more runs than stay in memory; then the temporary file cannot grow: one line, nothing written"""
    if not FULL:
        return
    path = os.path.join(work, "large")
    with open(os.path.join(work, "wide.pyspy"), "rb") as f:
        data = f.read()
    with open(path, "wb") as f:
        f.write(data * 600)
    d = view("speedscope", "-i", path)
    check("large: rules", not t.problems("speedscope", d), t.problems("speedscope", d))
    check("large: all of it", sum(sum(p["weights"]) for p in d["profiles"]) == 600 * d["profiles"][0]["endValue"])

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
    p = report("speedscope", "-i", "-o", "/dev/null", path, status=1, preexec_fn=limit)
    check("no room: one line", b"temporary file" in p.stderr and p.stderr.count(b"\n") == 1, p.stderr)


def test_checks_refuse(work):
    """a wrong example of each kind"""
    path = os.path.join(work, "many.pyspy")
    s, c, f = (view(k, "-i", path) for k in KINDS)

    def refused(kind, d, what, change):
        d = copy.deepcopy(d)
        change(d)
        check("%s with %s is refused" % (kind, what), t.problems(kind, d))
    refused("speedscope", s, "an index too far", lambda d: d["profiles"][0]["samples"][0].append(9999))
    refused("speedscope", s, "a lost weight", lambda d: d["profiles"][0]["weights"].pop())
    refused("speedscope", s, "a wrong sum", lambda d: d["profiles"][0]["weights"].__setitem__(0, 1))
    refused("speedscope", s, "another end", lambda d: d["profiles"][1].__setitem__("endValue", 1))
    refused("speedscope", s, "an unused frame", lambda d: d["shared"]["frames"].append({"name": "x"}))
    refused("speedscope", s, "another active profile",
            lambda d: d.__setitem__("activeProfileIndex", (d["activeProfileIndex"] + 1) % len(d["profiles"])))

    def events(d, ph):
        return [i for i, e in enumerate(d["traceEvents"]) if e["ph"] == ph]
    refused("chrometrace", c, "a missing E", lambda d: d["traceEvents"].pop(events(d, "E")[0]))
    refused("chrometrace", c, "another name", lambda d: d["traceEvents"][events(d, "E")[0]].__setitem__("name", "x"))
    refused("chrometrace", c, "time that goes back", lambda d: d["traceEvents"][events(d, "E")[3]].__setitem__("ts", 0))
    refused("chrometrace", c, "two names", lambda d: d["traceEvents"].insert(0, d["traceEvents"][0]))
    refused("firefox", f, "a stack before its prefix", lambda d: d["shared"]["stackTable"]["prefix"].__setitem__(0, 1))
    refused("firefox", f, "a short column", lambda d: d["threads"][0]["samples"]["time"].pop())
    refused("firefox", f, "a string too far", lambda d: d["shared"]["funcTable"]["name"].__setitem__(0, 10 ** 6))


def main():
    with tempfile.TemporaryDirectory(prefix="pyspy-timelines-") as work:
        test_views(work)
        with open(os.path.join(work, "timelines.py"), "w") as f:
            f.write("no recording\n")
        test_names(work)
        test_deep(work)
        test_nothing_and_bad(work)
        test_twice(work)
        test_no_room(work)
        test_checks_refuse(work)
    if failed:
        sys.exit(1)
    print("ok")


if __name__ == "__main__":
    main()

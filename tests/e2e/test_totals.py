#!/usr/bin/env python3
# parallel
# timeout: 200
"""Every format of one recording, with the same filters, adds up to the same: read back from each file, as its software
does. Recordings of both kinds, by samples and by time, with a lowered rate, of several processes; in the full form also
two that are made now. And flamegraph.pl takes every line of the folded one."""
import decimal
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import pprof_reader  # noqa: E402

BUILD, FULL = os.path.abspath(os.environ["PYSPY_BUILD"]), os.environ.get("PYSPY_FULL") == "1"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REPORT = BUILD + "/pyspy-report"
FLAMEGRAPH_PL = "/usr/share/perl5/Devel/NYTProf/flamegraph.pl"
OPTIONS = [["-i"], [], ["-g"], ["-i", "--time", "25%..75%"], ["-i", "--thread", "Main", "--collapse-recursion"],
           ["-i", "--hide", "[a-m]", "-F"], ["--state", "running", "--nolineno"], ["-i", "--focus", "nothing is called so"]]
BUSY = """
import threading, time
def spin(n): return sum(i * i for i in range(n))
def deep(k): return deep(k - 1) if k else spin(3000)
def work(end):
    while time.time() < end: deep(8); spin(2000)
def wait(end):
    while time.time() < end: time.sleep(0.003)
end = time.time() + 2
threads = [threading.Thread(target=f, args=(end,), name=f.__name__) for f in (work, wait)]
[t.start() for t in threads]; work(end); [t.join() for t in threads]
"""


def report(verb, recording, options):
    r = subprocess.run([REPORT, verb, *options, recording], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100)
    assert r.returncode == 0, (verb, options, r.returncode, r.stderr)
    return r.stdout


def numbers_of(text):
    return json.loads(text, parse_float=decimal.Decimal)


# Each: -> {"samples": n} or {"ns": n}, whichever of both the format has.

def top(out, options):
    d = numbers_of(out)
    rows = d["rows"]
    sums = {"samples": sum(r["self_samples"] for r in rows), "ns": sum(r["self_ns"] for r in rows)}
    assert sums == d["totals"]["kept"], (sums, d["totals"]["kept"])
    return sums


def tree(out, options):
    d = numbers_of(out)
    rows = d["rows"]
    return {"samples": sum(r["self_samples"] for r in rows), "ns": sum(r["self_ns"] for r in rows)}


def folded(out, options):
    return {"folded": sum(int(line.rsplit(" ", 1)[1]) for line in out.decode().split("\n") if line)}


def flamegraph(out, options):
    text = out.decode()
    n = int(re.search(r'data-all="(\d+)"', text).group(1))
    return {"ns" if "width: time" in text else "samples": n}


def speedscope(out, options):
    d = numbers_of(out)
    assert all(p["unit"] == "nanoseconds" and len(p["samples"]) == len(p["weights"]) for p in d["profiles"])
    return {"ns": sum(w for p in d["profiles"] for s, w in zip(p["samples"], p["weights"]) if s)}


def chrometrace(out, options):
    d = numbers_of(out)
    begun, ended, depth, total = {}, {}, {}, 0
    nanosecond = decimal.Decimal("0.001")
    for e in d["traceEvents"]:
        lane = e["pid"], e.get("tid")
        if e["ph"] == "B":
            if not depth.get(lane):
                begun[lane] = e["ts"]
                if e["ts"] - ended.get(lane, e["ts"]) == nanosecond:
                    total += nanosecond  # a slice ends that much early where one of the same name begins
            depth[lane] = depth.get(lane, 0) + 1
        elif e["ph"] == "E":
            depth[lane] -= 1
            assert depth[lane] >= 0
            if not depth[lane]:
                total += e["ts"] - begun[lane]
                ended[lane] = e["ts"]
    assert not any(depth.values())
    return {"ns": total * 1000}


def firefox(out, options):
    samples = [t["samples"] for t in numbers_of(out)["threads"]]
    n = sum(w for s in samples for stack, w in zip(s["stack"], s["weight"] or itertools.repeat(1)) if stack is not None)
    kinds = {s["weightType"] for s in samples}
    assert len(kinds) <= 1
    return {"samples": n} if kinds <= {"samples"} else {"ns": n * 1000000}


def pprof(out, options):
    with tempfile.NamedTemporaryFile() as f:
        f.write(out)
        f.flush()
        p = pprof_reader.Pprof(f.name)
    return {"samples": p.total("samples"), "ns": p.total("wall")}


FORMATS = [("top", ["--json", "-L", "1000000"], top), ("tree", ["--json"], tree), ("raw", [], folded), ("flamegraph", [], flamegraph),
           ("speedscope", [], speedscope), ("chrometrace", [], chrometrace), ("firefox", [], firefox), ("pprof", [], pprof)]


def check(recording, options, unit_ns):
    want = numbers_of(report("top", recording, ["--json", *options]))
    kept, by_time = want["totals"]["kept"], want["shares_of"] == "time"
    kept = dict(kept, folded=(kept["ns"] + unit_ns // 2) // unit_ns if by_time else kept["samples"])
    for verb, more, total in FORMATS:
        for kind, n in total(report(verb, recording, [*more, *options]), options).items():
            assert n == kept[kind], "%s %s %s: %s are %s, top says %s" % (
                os.path.basename(recording), verb, " ".join(options), kind, n, kept[kind])
    return kept


def check_flamegraph_pl(folded_text):
    r = subprocess.run(["perl", FLAMEGRAPH_PL], input=folded_text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert r.returncode == 0 and b"Ignored" not in r.stderr, r.stderr
    want = folded(folded_text, [])["folded"]
    titles = re.findall(rb"<title>all \(([\d,]+) samples, 100%\)", r.stdout)
    assert titles and int(titles[0].replace(b",", b"")) == want, (titles, want)


def make_some(work):
    """recordings of now -> paths"""
    with open(work + "/busy.py", "w") as f:
        f.write(BUSY)
    out = []
    for engine in ("outside", "kernel") if os.getuid() == 0 else ("outside",):
        path = "%s/live-%s.pyspy" % (work, engine)
        r = subprocess.run([BUILD + "/pyspy-record", "--engine", engine, "-o", path, "--", sys.executable, work + "/busy.py"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        if r.returncode == 0 and os.path.exists(path):
            out.append(path)
        else:
            print("no recording by %s: %s" % (engine, r.stdout.decode(errors="replace").strip().split("\n")[-1]))
    return out


def main():
    n, perl = 0, shutil.which("perl") and os.path.exists(FLAMEGRAPH_PL)
    with tempfile.TemporaryDirectory(prefix="pyspy-totals-") as work:
        subprocess.check_call([BUILD + "/unit/test_report_views", "--write", work])
        recordings = [work + "/%s.pyspy" % name for name in (("small", "many", "kernel", "hostile", "motion", "wide", "undefined") if FULL else ("many", "kernel"))]
        recordings += [ROOT + "/tests/golden/%s.pyspy" % name for name in (("mixed", "bounded", "events", "lost") if FULL else ("mixed", "bounded"))]
        recordings += make_some(work) if FULL else []
        for recording in recordings:
            info = json.loads(report("info", recording, ["--json"]))
            unit_ns = min(r["mean_gap_ns"] for r in info["recordings"])
            for options in OPTIONS if FULL else OPTIONS[::2] if recording != recordings[1] else OPTIONS[1::2]:
                kept = check(recording, options, unit_ns)
                assert kept["samples"] == 0 or options != OPTIONS[-1]
                n += 1
            if perl:
                check_flamegraph_pl(report("raw", recording, ["-i", "-t"]))
    print("%d times %d formats add up to the same%s" % (n, len(FORMATS), "" if perl else "; not there: flamegraph.pl (libdevel-nytprof-perl)"))
    return 1 if FULL and not perl else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What it costs to look at a recording: our reporter beside decoding alone, and beside what others need for the same stacks.

Recordings are made by bigrec.c, through our own encoder: 10 million samples (few stacks; many stacks; by the kernel
engine), 1 million of which each has a stack of its own, stacks of 10,000 frames, and in the full form 100 million. Then the
stacks of 200,000 samples go to Tachyon (Python 3.15's profiler: its own writer makes the recording, its `replay` reads it)
and, as folded text, to inferno (what py-spy draws flame graphs with).

    CPU      seconds, user and system; the machine is shared, so look at ratios of one run
    x        to decoding alone: format/decode over the file with callbacks that do nothing ("decode")
    MB       most memory that was resident (15 at least: so much has the process that starts it)
    output   bytes written, in MB

Each recording is indexed, too, and questions are asked of the index: all of it, a hundredth and a tenth of its time, one
thread, SQL. "B" is bytes of the index a sample.

Exit status 1 when a bound is missed: 10 million samples -> flame graph in 5 times decoding; 100 million in 150 MB, indexed
too; an index in 10 times decoding, 2 bytes a sample; a filtered question of a set whose stacks are no more than 2,000 in 50 ms.
Needs cc, zstd; for the peers `scripts/install-deps bench` and root (Tachyon runs in a Debian of its own). What is not
there is a row with its reason. The full form takes some ten minutes and 7 GB of disk, --quick half a minute."""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.environ.get("PYSPY_CACHE", "/var/tmp/pyspy-cache")
SID = os.path.join(CACHE, "roots", "sid")
TIMES, MEMORY_MB = 5, 150
INDEX_TIMES, INDEX_BYTES, SECOND_MS = 10, 2, 50  # of decoding; a sample; a filtered question to the index

# name: what, samples, threads, busy, stacks, depth, new frames of a stack, repeat, engine; verbs
VERBS = ["info", "top", "flamegraph", "raw"]
SETS = {
    "few": ("10 M samples, 8 threads, 2,000 stacks of 29", 10000000, 8, 3, 2000, 29, 3, 0.6, "outside",
            VERBS + ["pprof", "speedscope", "chrometrace", "firefox"]),
    "many": ("10 M samples, 16 busy threads, 200,000 stacks of 63", 10000000, 16, 16, 200000, 63, 2.9, 0.3, "outside", VERBS + ["pprof"]),
    "kernel": ("10 M events of the kernel engine, 16 threads, 200,000 stacks of 63", 10000000, 16, 8, 200000, 63, 2.9, 0.3, "kernel",
               VERBS + ["pprof"]),
    "distinct": ("1 M samples, each with a stack of its own, 100 deep", 1000000, 1, 1, 1000000, 100, 4, 0, "outside", VERBS + ["pprof"]),
    "deep": ("1 M samples, 1,000 stacks of 10,000", 1000000, 4, 4, 1000, 10000, 50, 0.3, "outside", ["info", "top", "flamegraph"]),
    "long": ("100 M samples, 16 busy threads, 54,000 stacks of 60", 100000000, 16, 16, 54000, 60, 3, 0.3, "outside",
             ["info", "top", "flamegraph"]),
}
QUICK = {"few": (1000000, 2000), "many": (1000000, 20000), "distinct": (100000, 100000)}  # samples, stacks


class Cost:
    def __init__(self, cpu, mb, out_bytes, reason=None):
        self.cpu, self.mb, self.out, self.reason = cpu, mb, out_bytes, reason


def run(command, out=None, stdin=None, timeout=1800):
    """-> Cost. The output goes to the file `out`, or nowhere."""
    with open(out or os.devnull, "wb") as f, open(stdin or os.devnull, "rb") as i, tempfile.TemporaryFile() as err:
        p = subprocess.Popen(["timeout", str(timeout)] + command, stdin=i, stdout=f, stderr=err)
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode:
            err.seek(0)
            said = err.read().decode(errors="replace").strip().split("\n")[-1]
            return Cost(0, 0, 0, "exit status %d: %s" % (p.returncode, said[:100]))
    # of all that was waited for: timeout and the program
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, os.path.getsize(out) if out else 0)


def row(name, cost, base=None, extra=""):
    if cost.reason:
        print("  %-34s       -  %s" % (name, cost.reason), flush=True)
        return
    print("  %-34s %7.2f  %6s %7.0f  %7s  %s" % (
        name, cost.cpu, "%.1f" % (cost.cpu / base) if base else "", cost.mb, "%.1f" % (cost.out / 1e6) if cost.out else "", extra), flush=True)


def build(scratch):
    exe = os.path.join(scratch, "bigrec")
    sources = [os.path.join(ROOT, d, f) for d in ("format", "libcommon") for f in sorted(os.listdir(os.path.join(ROOT, d))) if f.endswith(".c")]
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-O2", "-D_GNU_SOURCE", '-DPYSPY_VERSION="bench"', "-I" + ROOT, "-o", exe,
                    os.path.join(HERE, "bigrec.c"), *sources, "-lzstd", "-lm"], check=True)
    return exe


def head(title):
    print("\n%s\n  %-34s %7s  %6s %7s  %7s" % (title, "", "CPU s", "x", "MB", "output"))


def bound(what, value, most, missed):
    ok = value <= most
    if not ok:
        missed.append(what)
    return "reach <= %g: %s" % (most, "ok" if ok else "NOT reached")


def one_set(name, a, bigrec, scratch, missed):
    title, samples, threads, busy, stacks, depth, new, repeat, engine, verbs = SETS[name]
    if a.quick:
        samples, stacks = QUICK[name]
        title = "%s (--quick: %d samples, %d stacks)" % (title, samples, stacks)
    path = os.path.join(scratch, name + ".pyspy")
    words = [bigrec, "write", path, samples, threads, busy, stacks, depth, new, repeat, engine]
    subprocess.run([str(w) for w in words], check=True, stdout=subprocess.DEVNULL)
    head("%s: %.1f MB" % (title, os.path.getsize(path) / 1e6))
    decode = run([bigrec, "decode", path])
    row("zstd -dc", run(["zstd", "-dcq", path]), decode.cpu)
    row("decode", decode, decode.cpu)
    out = os.path.join(scratch, "out")
    for verb in verbs:
        cost = run([a.report, verb] + ([] if verb == "info" else ["-i"]) + [path], out)
        extra = ""
        if verb == "flamegraph" and not cost.reason and not a.quick:
            if samples == 10000000:
                extra = bound("%s: flame graph" % name, cost.cpu / decode.cpu, TIMES, missed)
            if samples == 100000000:
                extra = bound("%s: memory" % name, cost.mb, MEMORY_MB, missed)
        row("pyspy-report " + verb, cost, decode.cpu, extra)
        if cost.reason:
            missed.append("%s: %s" % (name, verb))
        os.unlink(out)
    index(name, a, path, samples, stacks, decode, missed)
    os.unlink(path)


def index(name, a, path, samples, stacks, decode, missed):
    db = path + ".db"
    cost = run([a.report, "index", "-o", db, path])
    if cost.reason:
        row("pyspy-report index", cost)
        missed.append("%s: index" % name)
        return
    each = os.path.getsize(db) / samples
    extra = "%.2f B" % each
    if samples >= 10000000:
        extra += ", reach <= %g: %s" % (INDEX_BYTES, "ok" if each <= INDEX_BYTES else "NOT reached")
        if each > INDEX_BYTES:
            missed.append("%s: bytes of the index" % name)
        extra += "; CPU " + bound("%s: index" % name, cost.cpu / decode.cpu, INDEX_TIMES, missed)
    if samples == 100000000:
        extra += "; memory " + bound("%s: memory of the index" % name, cost.mb, MEMORY_MB, missed)
    cost.out = os.path.getsize(db)
    row("pyspy-report index", cost, decode.cpu, extra)
    questions = [("all", ["top", "-i", db]), ("1 % of the time", ["top", "-i", "--time", "50%..51%", db]),
                 ("10 % of the time", ["top", "-i", "--time", "50%..60%", db]), ("one thread", ["top", "-i", "--thread", "worker-2", db]),
                 ("sql: 1 % of the time", ["sql", db, "select tally(stack) from sample where time_ns between (select begin_ns + (end_ns - begin_ns) / 2 "
                                                      "from recording) and (select begin_ns + (end_ns - begin_ns) / 100 * 51 from recording)"])]
    for what, words in questions:
        costs = [run([a.report, *words]) for _ in range(3)]
        cost = min(costs, key=lambda c: c.cpu)
        extra = "%.0f ms" % (1000 * cost.cpu)
        if samples == 10000000 and stacks <= 2000 and what != "all":
            extra += " " + bound("%s: %s" % (name, what), 1000 * cost.cpu, SECOND_MS, missed)
        row("  of it, " + what, cost, decode.cpu, extra)
        if cost.reason:
            missed.append("%s: %s of the index" % (name, what))
    os.unlink(db)


def tachyon(bigrec, words, depth, samples):
    """-> [(name, Cost)]"""
    if os.getuid() or not os.path.exists(SID + "/usr/bin/python3.15"):
        return [("Tachyon", Cost(0, 0, 0, "needs root and Python 3.15 in %s (scripts/install-deps bench)" % SID))]
    folder = tempfile.mkdtemp(prefix="pyspy-bench-", dir=SID + "/tmp")
    inside, rows = folder[len(SID):], []
    try:
        shutil.copy(os.path.join(HERE, "tachyon_write.py"), folder)
        paths = subprocess.Popen([bigrec, "paths", *words], stdout=subprocess.PIPE)
        subprocess.run(["timeout", "1800", "chroot", SID, "python3.15", inside + "/tachyon_write.py", inside + "/t.bin", str(depth)],
                       stdin=paths.stdout, check=True)
        paths.stdout.close()
        paths.wait()
        for option in ("--collapsed", "--flamegraph"):
            cost = run(["chroot", SID, "python3.15", "-m", "profiling.sampling", "replay", option, "-o", inside + "/out", inside + "/t.bin"])
            if not cost.reason:
                cost.out = os.path.getsize(folder + "/out")
                os.unlink(folder + "/out")
            rows.append(("Tachyon replay %s (file: %.1f MB)" % (option[2:], os.path.getsize(folder + "/t.bin") / 1e6), cost))
    except (subprocess.SubprocessError, OSError) as e:
        rows.append(("Tachyon", Cost(0, 0, 0, str(e))))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def inferno(folded, scratch):
    exe = shutil.which("inferno-flamegraph") or os.path.join(CACHE, "inferno", "bin", "inferno-flamegraph")
    if not os.path.exists(exe):
        return Cost(0, 0, 0, "inferno-flamegraph is not there (scripts/install-deps bench, with cargo)")
    out = os.path.join(scratch, "inferno.svg")
    cost = run([exe, "-q", folded], out)
    os.unlink(out)
    return cost


def peers(title, samples, stacks, depth, a, bigrec, scratch):
    path, folded = os.path.join(scratch, "peers.pyspy"), os.path.join(scratch, "peers.folded")
    words = [str(w) for w in (bigrec, "write", path, samples, 1, 1, stacks, depth, 4, 0, "outside")]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    head(title)
    decode = run([bigrec, "decode", path])
    row("decode (file: %.1f MB)" % (os.path.getsize(path) / 1e6), decode, decode.cpu)
    row("pyspy-report raw", run([a.report, "raw", "-i", path], folded), decode.cpu)
    row("pyspy-report flamegraph", run([a.report, "flamegraph", "-i", path], os.path.join(scratch, "out")), decode.cpu)
    for name, cost in tachyon(bigrec, [str(w) for w in (samples, stacks, depth, 4)], depth, samples):
        row(name, cost, decode.cpu)
    row("inferno, of our folded text", inferno(folded, scratch), decode.cpu, "of text that has to be there already")
    for f in (path, folded):
        os.unlink(f)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=os.path.join(ROOT, "build"), help="folder of the programs")
    p.add_argument("--quick", action="store_true", help="smaller recordings, half a minute; no verdicts")
    p.add_argument("--sets", default="", help="of %s,peers" % ",".join(SETS))
    p.add_argument("--scratch", help="folder for the recordings (a temporary one)")
    a = p.parse_args()
    a.report = os.path.abspath(os.path.join(a.build, "pyspy-report"))
    sets = a.sets.split(",") if a.sets else [*(QUICK if a.quick else SETS), "peers"]
    if not os.path.exists(a.report):
        p.error("%s is not there: make" % a.report)
    unknown = [s for s in sets if s != "peers" and s not in (QUICK if a.quick else SETS)]
    if unknown:
        p.error("no set %s here" % unknown[0])
    missed = []
    with tempfile.TemporaryDirectory(prefix="pyspy-bench-", dir=a.scratch or "/var/tmp") as scratch:
        bigrec = build(scratch)
        print("load %s; %d CPUs" % (" ".join("%.1f" % n for n in os.getloadavg()), os.cpu_count()))
        for name in sets:
            if name != "peers":
                one_set(name, a, bigrec, scratch, missed)
        if "peers" in sets:
            n = 50000 if a.quick else 200000
            peers("%d samples, 1,000 stacks of 100: others" % n, n, 1000, 100, a, bigrec, scratch)
            n //= 10
            peers("%d samples, each with a stack of its own, 100 deep: others" % n, n, n, 100, a, bigrec, scratch)
        print("\nload %s" % " ".join("%.1f" % n for n in os.getloadavg()))
    for what in missed:
        print("missed: " + what)
    return 0


if __name__ == "__main__":
    sys.exit(main())

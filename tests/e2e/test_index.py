#!/usr/bin/env python3
# parallel
# timeout: 250
"""The index: every verb prints the same of it as of the recording, byte for byte; it is found, passed over, made anew and
added to as the help says; a build that is killed, two at once, a full disk and a read-only folder leave nothing half and
lose nothing old; SQLite's own shell reads it; SQL only reads; the examples of the help run; and what a hostile index
brings along is refused in one line. Quick: some golden recordings and a synthetic one; in full all, with more filters, and
two that are recorded now."""
import glob
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

BUILD, FULL = os.path.abspath(os.environ["PYSPY_BUILD"]), os.environ.get("PYSPY_FULL") == "1"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REPORT, RECORD = BUILD + "/pyspy-report", BUILD + "/pyspy-record"
VERBS = [["info"], ["info", "--json"], ["top", "-i"], ["tree", "-i", "--json"], ["lines"], ["stacks", "--at", "50%"], ["flamegraph"],
         ["speedscope", "-i"], ["chrometrace", "-i"], ["firefox", "-i"], ["pprof", "-i"], ["raw", "-i", "-t"], ["script", "-i"]]
FILTERS = [[], ["--time", "20%..60%"]]
if FULL:
    VERBS += [["top", "--csv"], ["raw", "--measure", "cpu"], ["script", "--json"], ["flamegraph", "--invert"], ["speedscope"], ["pprof"]]
    FILTERS += [["--time", "-1s.."], ["--thread", "Main"], ["-g"], ["--time", "40%..41%", "--state", "running"], ["--ignore", "a"]]
BUSY = """
import threading, time
def spin(n): return sum(i * i for i in range(n))
def work(end):
    while time.time() < end: spin(2000); time.sleep(0.002)
end = time.time() + 2
threads = [threading.Thread(target=work, args=(end,)) for _ in range(3)]
[t.start() for t in threads]; work(end); [t.join() for t in threads]
"""
failed = 0


def check(ok, *what):
    global failed
    if not ok:
        failed += 1
        print("FAIL:", *what)
    return ok


def run(*words, cwd=None, env=None, stdin=None):
    p = subprocess.run([REPORT, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, timeout=120, stdin=stdin,
                       env=dict(os.environ, **(env or {})))
    return p.returncode, p.stdout, p.stderr.decode(errors="replace")


def refused(what, result, status, words):
    """One line on stderr, nothing on stdout, the right status."""
    rc, out, err = result
    check(rc == status and not out and err.count("\n") == 1 and err.startswith("pyspy-report: ") and re.search(words, err),
          "%s: exit status %d, [%s]" % (what, rc, err.strip()))


def synthetic(folder):
    """A recording of many blocks and threads, through the bench's own writer."""
    exe = folder + "/bigrec"
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-O1", "-D_GNU_SOURCE", "-I" + ROOT, "-o", exe, ROOT + "/tests/bench/bigrec.c",
                    BUILD + "/obj/common.a", "-lzstd", "-lm"], check=True)
    subprocess.run([exe, "write", folder + "/big.pyspy", "60000", "8", "3", "300", "29", "3", "0.6", "outside"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([exe, "write", folder + "/kernel.pyspy", "60000", "8", "3", "300", "29", "3", "0.6", "kernel", "7"], check=True,
                   stdout=subprocess.DEVNULL)


def the_same(folder, recordings):
    for path in recordings:
        name = os.path.basename(path)
        d = tempfile.mkdtemp(dir=folder)
        shutil.copy(path, d + "/" + name)
        rc, _, err = run("index", "-o", "all.db", name, cwd=d)
        check(rc == 0, name, "index", rc, err)
        for verb in VERBS:
            for f in FILTERS:
                if "--time" in f and verb[0] == "stacks":
                    continue
                a, b = run(*verb, *f, "--no-index", name, cwd=d), run(*verb, *f, "all.db", cwd=d)
                if not check(a == b, name, verb, f, "differs", a[0], b[0], a[2], b[2], len(a[1]), len(b[1])):
                    return
        for verb in ("flamegraph", "lines"):
            pages = []
            for source in (["--no-index", name], ["all.db"]):
                run(verb, "-o", "x.html", *source, cwd=d)
                with open(d + "/x.html", "rb") as f:
                    pages.append(f.read())
            check(pages[0] == pages[1], name, verb, "as a page")
        shutil.rmtree(d)


def several(d):
    """Hosts, parts and runs in one index; added at once or one by one."""
    names = ["big.pyspy", "kernel.pyspy", "motion.pyspy"]
    shutil.copy(ROOT + "/tests/golden/motion.pyspy", d)
    check(run("index", "-o", "three.db", *names, cwd=d)[0] == 0, "three at once")
    for n in names:
        check(run("index", "-o", "added.db", n, cwd=d)[0] == 0, "adding", n)
    for verb in (["info"], ["top", "-i"], ["raw", "-i", "--time", "10%..30%"], ["script", "-i"], ["speedscope", "-i"]):
        a, b, c = run(*verb, *names, cwd=d), run(*verb, "three.db", cwd=d), run(*verb, "added.db", cwd=d)
        check(a == b, verb, "of three files and of their index")
        check(a == c, verb, "of three files and of an index that grew")
        check(run(*verb, names[0], names[1], names[2], cwd=d) == run(*verb, "added.db", cwd=d), verb, "once more")
    before = os.stat(d + "/added.db").st_ino
    rc, _, err = run("index", "-o", "added.db", names[1], cwd=d)
    check(rc == 0 and "already" in err and os.stat(d + "/added.db").st_ino == before, "what is in it is not added again", err)
    refused("no name for several", run("index", *names, cwd=d), 2, "-o FILE.db")
    refused("twice the same", run("index", "-o", "x.db", names[0], "./" + names[0], cwd=d), 1, "named twice")
    refused("an index of an index", run("index", "three.db", cwd=d), 1, "is an index")
    refused("over a recording", run("index", "-o", names[0], names[1], cwd=d), 1, "no index")
    refused("over itself", run("index", "-o", names[0], names[0], cwd=d), 1, "made of")
    refused("of a stream", run("index", "-", cwd=d), 2, "files")
    refused("of no recording", run("index", "-o", "x.db", __file__, cwd=d), 1, "not a pyspy recording")
    refused("of nothing", run("index", "none.pyspy", cwd=d), 1, "No such file")
    check(not glob.glob(d + "/x.db*") and not glob.glob(d + "/*.tmp"), "something was left", os.listdir(d))


def beside(d):
    """FILE.idx is used while it is of just this FILE."""
    with open(d + "/big.pyspy", "rb") as f:
        whole = f.read()
    want = run("top", "-i", "--no-index", "big.pyspy", cwd=d)
    check(run("index", "big.pyspy", cwd=d)[0] == 0 and os.path.exists(d + "/big.pyspy.idx"), "index beside")
    check(run("top", "-i", "big.pyspy", cwd=d) == want, "the index beside is used")
    # that it is used: an index that is of it but holds other numbers shows
    with open(d + "/big.pyspy.idx", "rb") as f:
        good = f.read()
    trace = subprocess.run(["strace", "-f", "-e", "trace=openat", REPORT, "top", "big.pyspy"], cwd=d, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE).stderr if shutil.which("strace") else b"big.pyspy.idx"
    check(b"big.pyspy.idx" in trace, "the index beside is opened")
    os.utime(d + "/big.pyspy")
    check(run("top", "-i", "big.pyspy", cwd=d) == want, "touched: still of this file")
    with open(d + "/big.pyspy", "wb") as f:
        f.write(whole[:len(whole) // 2])
    a, b = run("top", "-i", "big.pyspy", cwd=d), run("top", "-i", "--no-index", "big.pyspy", cwd=d)
    check(a[:2] == b[:2] and "another one by now" in a[2], "cut: the index is passed over", a[2])
    rc, _, err = run("index", "big.pyspy", cwd=d)
    check(rc == 0, "made anew", err)
    check(run("top", "-i", "big.pyspy", cwd=d)[1] == b[1], "of the cut one")
    with open(d + "/big.pyspy", "wb") as f:
        f.write(whole)
    for n, at in enumerate((30, 5000, len(good) // 2, len(good) - 3000)):
        with open(d + "/big.pyspy.idx", "wb") as f:
            f.write(good[:at] + bytes(x ^ 0xFF for x in good[at:at + 700]) + good[at + 700:])
        got = run("top", "-i", "big.pyspy", cwd=d)
        check(got[:2] == want[:2], "damaged at %d: the recording itself is read" % at, got[2])
        named = run("top", "-i", "big.pyspy.idx", cwd=d)
        check(named[:2] == want[:2] or (named[0] == 1 and not named[1] and named[2].count("\n") == 1), "damaged and named", named)
    with open(d + "/big.pyspy.idx", "wb") as f:
        f.write(good[:10000])
    refused("truncated", run("top", "big.pyspy.idx", cwd=d), 1, "damaged|cannot read")
    db = sqlite3.connect(d + "/v.idx")
    db.executescript("pragma application_id = 0x50795370; pragma user_version = 99; create table t(x)")
    db.close()
    refused("another version", run("top", "v.idx", cwd=d), 1, "another version")
    db = sqlite3.connect(d + "/o.db")
    db.executescript("create table t(x)")
    db.close()
    refused("another database", run("top", "o.db", cwd=d), 1, "no index made by")
    refused("over another database", run("index", "-o", "o.db", "big.pyspy", cwd=d), 1, "no index")
    os.unlink(d + "/big.pyspy.idx")


def hostile(d):
    """What somebody could put into a file that calls itself an index."""
    run("index", "-o", "good.db", "big.pyspy", cwd=d)
    tricks = {
        "a view": "create view v as select load_extension('/tmp/x.so')",
        "a trigger": "create trigger t after insert on about begin select load_extension('x'); end",
        "a view by the name of a table": "alter table note rename to note2; create view note as select * from note2",
        "an expression index": "create index i on string(length(text) + abs(id))",
        "a generated column": "drop table note; create table note(recording, key, value as (zeroblob(1000000000)))",
        "a bomb": "create view v as select " + "(" * 500 + "1" + ")" * 500,
        "a virtual table": "create virtual table f using fts5(x)",
        "one table less": "drop table activity",
        "a table by the name of the virtual one": "create table sample(x)",
    }
    for what, sql in tricks.items():
        shutil.copy(d + "/good.db", d + "/bad.db")
        db = sqlite3.connect(d + "/bad.db")
        try:
            db.executescript(sql)
        except sqlite3.OperationalError as e:
            print("note: %s: this Python's SQLite will not: %s" % (what, e))
            continue
        finally:
            db.close()
        refused(what, run("top", "bad.db", cwd=d), 1, "damaged")
        refused(what + " (sql)", run("sql", "bad.db", "select 1", cwd=d), 1, "damaged")
    lies = {
        "no blocks": "delete from block", "no stacks": "delete from block_stacks", "no packs": "delete from pack",
        "a pack less": "delete from pack where id = (select max(id) from pack)", "packs that are text": "update pack set data = 'x'",
        "packs in another order": "update pack set id = 1000 - id", "one pack twice": "insert into pack select id + 1000, kind, number, data from pack",
        "a huge BLOB": "update block set data = zeroblob(90000000) where id = 1", "empty BLOBs": "update block set data = x''",
        "NULLs": "update pack set data = null",
    }
    for what, sql in lies.items():
        shutil.copy(d + "/good.db", d + "/bad.db")
        db = sqlite3.connect(d + "/bad.db")
        db.executescript(sql)
        db.commit()
        db.close()
        refused(what, run("script", "bad.db", cwd=d), 1, "damaged")
    # rows for people are not what verbs read
    shutil.copy(d + "/good.db", d + "/bad.db")
    db = sqlite3.connect(d + "/bad.db")
    db.executescript("update stack set parent = id; update thread set name = '\x1b[31m</script>'; delete from recording")
    db.close()
    check(run("top", "-i", "bad.db", cwd=d)[:2] == run("top", "-i", "good.db", cwd=d)[:2], "a stack tree with circles in it")
    rc, out, _ = run("sql", "bad.db", "select name from thread", cwd=d)
    check(rc == 0 and b"\x1b" not in out, "a name with ESC", out)


def safe_builds(d):
    """Killed in the middle; two at once; a reader meanwhile; what is in the way."""
    out = d + "/k.db"
    run("index", "-o", "k.db", "motion.pyspy", cwd=d)
    with open(out, "rb") as f:
        old = f.read()
    # no answer differs while others build
    for delay in [0.003 * n for n in range(10 if FULL else 5)]:
        p = subprocess.Popen([REPORT, "index", "-o", "k.db", "--rebuild", "big.pyspy"], cwd=d, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        p.send_signal(signal.SIGKILL)
        p.wait(20)
        rc = run("info", "k.db", cwd=d)
        check(rc[0] == 0, "killed after %g s: the index is there and whole" % delay, rc[2])
    check(run("index", "-o", "k.db", "--rebuild", "big.pyspy", cwd=d)[0] == 0 and not os.path.exists(out + ".tmp"), "after kills")
    shutil.copyfile(out, d + "/want.db")
    pair = [subprocess.Popen([REPORT, "index", "-o", "pair.db", "big.pyspy"], cwd=d, stderr=subprocess.PIPE) for _ in range(2)]
    said = [p.communicate(timeout=60)[1] for p in pair]
    check([p.returncode for p in pair] == [0, 0] and run("info", "pair.db", cwd=d)[0] == 0 and not os.path.exists(d + "/pair.db.tmp"),
          "two at once", said)
    builder = subprocess.Popen([REPORT, "index", "-o", "k.db", "--rebuild", "big.pyspy", "kernel.pyspy"], cwd=d, stderr=subprocess.DEVNULL)
    n = 0
    while builder.poll() is None or n < 3:
        rc = run("info", "k.db", cwd=d)
        n += 1
        check(rc[0] == 0 and rc[1], "a reader while it is made anew", rc[2])
    check(builder.returncode == 0, "the builder")
    with open(d + "/m.db.tmp", "w") as f:
        f.write("my own notes, nobody else's")
    refused("a file in the way", run("index", "-o", "m.db", "big.pyspy", cwd=d), 1, "File exists")
    check(open(d + "/m.db.tmp").read().startswith("my own"), "it was written over")
    for what in ("/dev/null", "/dev/full", d):
        refused("-o " + what, run("index", "-o", what, "big.pyspy", cwd=d), 1, "regular file|directory")
    check(old[:15] == b"SQLite format 3", "an SQLite file")


def full_disk(d):
    """A small tmpfs, where this is root."""
    small = d + "/small"
    os.mkdir(small)
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", small], stderr=subprocess.DEVNULL).returncode:
        print("note: no tmpfs here: a full disk was not tried")
        return
    try:
        shutil.copy(ROOT + "/tests/golden/motion.pyspy", small)
        check(run("index", "motion.pyspy", cwd=small)[0] == 0, "a small one fits")
        with open(small + "/motion.pyspy.idx", "rb") as f:
            old = f.read()
        refused("full", run("index", "-o", small + "/motion.pyspy.idx", "--rebuild", d + "/big.pyspy", cwd=small), 1, "No space left")
        with open(small + "/motion.pyspy.idx", "rb") as f:
            check(f.read() == old, "the old one is as it was")
        check(sorted(os.listdir(small)) == ["motion.pyspy", "motion.pyspy.idx"], "left behind", os.listdir(small))
        refused("full TMPDIR", run("sql", d + "/big.pyspy", "select 1", cwd=small, env={"TMPDIR": small}), 1, "No space left")
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        refused("read-only", run("index", "-o", "new.db", d + "/big.pyspy", cwd=small), 1, "Read-only")
        check(run("top", "-i", "motion.pyspy", cwd=small)[0] == 0, "read from a read-only folder")
    finally:
        subprocess.run(["umount", small], check=True)


def sql(d):
    run("index", "-o", "s.db", "big.pyspy", "kernel.pyspy", cwd=d)
    text = subprocess.run([REPORT, "sql", "--help"], stdout=subprocess.PIPE, cwd=d).stdout.decode()
    examples = text.split("Examples:\n")[1].split("\nUsage")[0]
    examples = re.split(r"\n(?=  pyspy-report)", examples.rstrip())
    check(len(examples) >= 5, "the help has examples")
    shutil.copy(d + "/big.pyspy", d + "/app.pyspy")
    for e in examples:
        p = subprocess.run(["bash", "-c", e.strip().replace("pyspy-report", REPORT, 1)], cwd=d, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(p.returncode == 0 and p.stdout.count(b"\n") > 1 and not p.stderr, "example", e, p.returncode, p.stderr)
    # the same numbers by the views, by the virtual table, by SQLite's own shell
    total = int(run("sql", "--csv", "s.db", "select count(*) from sample", cwd=d)[1].split()[1])
    check(total == 120000, "samples", total)
    by_activity = int(run("sql", "--csv", "s.db", "select sum(samples) from activity", cwd=d)[1].split()[1])
    check(by_activity == total, "activity", by_activity)
    rows = run("sql", "--csv", "s.db", "select path(stack), count(*) from sample where recording = 0 group by 1", cwd=d)[1].decode().split("\r\n")[1:-1]
    folded = run("raw", "-i", "-F", "--nolineno", "--full-filenames", "big.pyspy", cwd=d)[1].decode().split("\n")[:-1]
    check(sorted(int(r.rsplit(",", 1)[1]) for r in rows) == sorted(int(r.rsplit(" ", 1)[1]) for r in folded), "stacks as raw has them")
    mid = "(select (begin_ns + end_ns) / 2 from recording where id = 0)"
    for where in ("time_ns >= " + mid, "tid = 4711", "thread = 3 and gil = 1", "pid = 4711 and time_ns < " + mid, "recording = 1", "block = 1"):
        # a condition that cannot be pushed down gives the same
        a = run("sql", "--csv", "s.db", "select count(*), sum(weight_ns), min(time_ns), max(stack) from sample where " + where, cwd=d)
        b = run("sql", "--csv", "s.db", "select count(*), sum(weight_ns), min(time_ns), max(stack) from sample where " +
                re.sub(r"\b(time_ns|tid|thread|gil|pid|recording|block) (?=[=<>])", r"+\1 ", where), cwd=d)
        check(a == b and a[0] == 0, where, a, b)
    both = run("sql", "--csv", "s.db", "select count(*) from (select time_ns, thread from sample where recording = 0 limit 500) a join sample b "
               "on b.recording = 0 and b.time_ns = a.time_ns and b.thread = a.thread", cwd=d)
    check(both[1].split()[-1] == b"500", "two cursors at once", both)
    if shutil.which("sqlite3"):
        for statement in ("select count(*) from stack", "select count(*) > 0 from activity", "pragma integrity_check",
                          "with recursive up(id, parent, location) as (select * from stack where id = (select max(id) from stack) union all "
                          "select stack.* from stack join up on stack.id = up.parent) select count(*) from up"):
            p = subprocess.run(["sqlite3", "s.db", statement], cwd=d, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            check(p.returncode == 0 and p.stdout.strip() not in (b"", b"0"), "sqlite3:", statement, p)
    else:
        check(not os.environ.get("CI"), "sqlite3 is missing (scripts/install-deps check)")
    for s in ("delete from string", "insert into about values(1, 2)", "update thread set name = 1", "drop table pack", "create table t(x)",
              "attach '/tmp/x.db' as x", "pragma journal_mode = wal", "pragma user_version = 4", "vacuum", "vacuum into 'x.db'", "begin",
              "create temp table t(x)", "delete from sample", "insert into sample default values", "reindex", "analyze"):
        refused(s, run("sql", "s.db", s, cwd=d), 1, "only reads|cannot be run")
    check(not os.path.exists(d + "/x.db"), "something was written")
    refused("an extension", run("sql", "s.db", "select load_extension('x')", cwd=d), 1, "not authorized|cannot be run")
    refused("two statements", run("sql", "s.db", "select 1; select 2", cwd=d), 2, "more than one")
    refused("none", run("sql", "s.db", " -- nothing", cwd=d), 2, "no statement")
    refused("no such table", run("sql", "s.db", "select * from nowhere", cwd=d), 1, "no such table")
    refused("a sum that is too large", run("sql", "s.db", "select tally(1, 9000000000000000000) from sample", cwd=d), 1, "too large")
    refused("no file", run("sql", "none.pyspy", "select 1", cwd=d), 1, "No such file")
    hostile_names(d)


def hostile_names(d):
    import csv
    import io
    import json
    shutil.copy(ROOT + "/tests/golden/names.pyspy", d)
    for words in ((), ("--csv",), ("--json",)):
        rc, out, err = run("sql", *words, "names.pyspy", "select text, id from string", cwd=d)
        check(rc == 0 and not err, "hostile names", words, err)
        text = out.decode("utf-8")
        check(not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text), "control characters", words)
        if "--json" in words:
            check(len(json.loads(text)["rows"]) > 3, "JSON")
        if "--csv" in words:
            check({len(r) for r in csv.reader(io.StringIO(text))} == {2}, "CSV")
    rc, out, _ = run("sql", "--json", "names.pyspy", "select 1 as \"a\"\"b\\\", 2 as \"</script>\", 3 as x, 4 as x, 1e999 as inf", cwd=d)
    check(json.loads(out)["rows"] == [{"a\"b\\": 1, "</script>": 2, "x": 3, "x_2": 4, "inf": None}], "names of columns", out)


def schema(d):
    """SCHEMA.md is what the program prints."""
    rc, out, _ = run("sql", "--schema", cwd=d)
    with open(ROOT + "/pyspy-report/index/SCHEMA.md", "rb") as f:
        check(rc == 0 and f.read() == out, "SCHEMA.md: pyspy-report sql --schema -o pyspy-report/index/SCHEMA.md")


def main():
    with tempfile.TemporaryDirectory(prefix="pyspy-index-") as d:
        golden = sorted(glob.glob(ROOT + "/tests/golden/*.pyspy"))
        synthetic(d)
        if not FULL:
            golden = [g for g in golden if os.path.basename(g)[:-6] in ("mixed", "motion", "joined", "bounded")]
        else:
            with open(d + "/busy.py", "w") as f:
                f.write(BUSY)
            for engine in ("outside", "auto"):
                subprocess.run([RECORD, "-q", "-r", "500", "--engine", engine, "-o", "live-%s.pyspy" % engine, "--", sys.executable, "busy.py"],
                               cwd=d, check=True, timeout=60)
        live = sorted(glob.glob(d + "/live-*.pyspy"))
        the_same(d, golden + live + ([d + "/big.pyspy", d + "/kernel.pyspy"] if FULL else [d + "/kernel.pyspy"]))
        for part in (several, beside, hostile, safe_builds, full_disk, sql, schema):
            part(d)
    print("%d failed" % failed)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())

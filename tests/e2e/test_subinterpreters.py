# serial
# timeout: 3600
# Threads inside several interpreters, and threads that C code made: one OS thread is one thread, with one stack.
import os
import re
import shutil
import subprocess
import time

import harness as h
import recording

SECONDS = 2.0 if h.FULL else 0.6
NESTED = ["main_outer", "<module>", "a_outer", "a_inner", "<module>", "b_outer", "b_inner"]


def names(stack):
    """of the functions; without the target's `run`, which is no more than a call"""
    return [f.name.rsplit(".", 1)[-1] for f in stack if f.name != "run"]


def unknown(stacks):
    """samples of a running thread without a frame: from outside its outermost frame is believed once three or four looks agree,
    and a look that is torn comes on top (of 26 recordings of a busy thread four had four)"""
    return sum(n for stack, n in stacks.items() if stack == (recording.IN_MOTION,))


def by_tid(rec):
    """tid -> {stack: samples}, and one thread each"""
    stacks, threads = {}, {}
    for run in rec.runs:
        of = stacks.setdefault(run.info["tid"], {})
        of[run.stack] = of.get(run.stack, 0) + run.ticks
        threads.setdefault(run.info["tid"], set()).add((run.info["start"], run.info["interpreter"]))
    h.check(all(len(s) == 1 for s in threads.values()), "threads of more than one kind: %s" % threads)
    return stacks


def hosts(py, engine, word):
    with h.Victim(py, "subinterpreters.py", [word] if word else []) as v:
        tids = [int(w) for w in v.words]
        rec = h.record(v.pid, SECONDS, 200, engine=engine).rec
    stacks, n, wrong = by_tid(rec), 0, 0
    for k, tid in enumerate(tids, 1):
        first = unknown(stacks.get(tid, {}))
        h.check(first <= (10 if engine == "outside" else 0), "host %d: %d samples without a frame" % (k, first))
        for stack, ticks in stacks.get(tid, {}).items():
            n += ticks
            if stack != (recording.IN_MOTION,) and names(stack)[-4:] != ["host", "<module>", "sub_outer_%d" % k, "sub_inner_%d" % k]:
                wrong += ticks
                print("    host %d: %s" % (k, names(stack)))
    h.check(n and not wrong, "%d of %d stacks are not one in the right order" % (wrong, n))
    h.check(set(stacks) == set(tids + [v.pid]), "threads %s, not %s" % (sorted(stacks), tids))
    numbers = {i for e in rec.epochs for _, i, _ in e.interpreters}
    h.check(len(numbers) == 3, "INTERPRETER records: %s" % numbers)
    h.note(h.cost(rec))
    gil = {}
    for run in rec.runs:
        for tick in range(run.first, run.first + run.ticks) if run.gil else ():  # by number: times may be the same
            gil.setdefault((id(run.times), tick), set()).add(run.info["tid"])
    most = max((len(s) for s in gil.values()), default=0)
    if not rec.timed and not py.free_threaded:
        h.check(most <= (3 if py.version >= (3, 12) else 1), "GILs are held by %d threads at once" % most)


def nested(py, engine, *words):
    with h.Victim(py, "subinterpreters.py", ("nested",) + words) as v:
        tid = int(v.words[0])
        time.sleep(0.8)
        rec = h.record(v.pid, SECONDS, 200, engine=engine).rec
    stacks, n, wrong = by_tid(rec), 0, 0
    first = unknown(stacks.get(tid, {}))
    h.check(first <= (10 if engine == "outside" else 0), "%d samples without a frame" % first)
    for stack, ticks in stacks.get(tid, {}).items():
        n += ticks
        if names(stack)[-7:] != NESTED and stack != (recording.IN_MOTION,):
            wrong += ticks
            print("    %s" % names(stack))
    h.check(n and not wrong, "%d of %d stacks are not one in the right order" % (wrong, n))
    h.note(h.cost(rec))


def churn(py, engine):
    """Interpreters come and go. What is inside of one is on top of the call that runs it; import machinery runs while it is
    made and while it ends."""
    with h.Victim(py, "subinterpreters.py", ["churn"]) as v:
        # what ran in an interpreter ends with it, a few ms after the sample: 6 to 13 % in ten runs of 3.6, 16 % beside others
        rec = h.record(v.pid, 2 * SECONDS, 500, engine=engine, gone=0.25).rec
    n = wrong = inner = doubted = cut = 0
    by_tid(rec)
    for run in rec.runs:
        if run.info["tid"] != v.pid:
            continue
        text, ticks = ">".join(f.name for f in run.stack), run.ticks
        doubted += ticks * run.doubted
        if run.flags & recording.CUT:  # says itself that frames are missing
            cut += ticks
            continue
        n += ticks
        inner += ticks * (">c_inner" in text)
        own = re.fullmatch(r"<module>>churn>churn_host(>run)?(>.*)?", text)
        if ">c_" in text:
            own = re.fullmatch(r"<module>>churn>churn_host>run><module>>c_outer(>c_inner)?", text)
        if not own and not run.doubted and not re.search(r"\[(in motion|torn|gone)\]", text):
            wrong += ticks
            print("    %d %s" % (ticks, text))
    h.check(not wrong, "%d of %d stacks cannot be" % (wrong, n))
    h.check(inner, "nothing of %d samples is inside of an interpreter" % n)
    h.note("%d samples, %d in c_inner, %d not proved, %d cut; %s" % (n, inner, doubted, cut, h.cost(rec)))


def many(py, engine):
    """More interpreters than are looked at: said, and the first one is among those that are"""
    with h.Victim(py, "subinterpreters.py", ["many", 140], timeout=120) as v:
        r = h.record(v.pid, 0.5, 100, engine=engine, gone=1.0)  # those that are not looked at count as lost
    h.check("141 interpreters, of which 128" in r.stderr, "the recorder says: %s" % r.stderr)
    h.check(sum(x["count"] for x in r.rec.lost if recording.CAUSES[x["cause"]] == "limit") == 13, "lost: %s" % r.rec.lost)
    main = [run for run in r.rec.runs if run.info["tid"] == v.pid]
    h.check(main and all(run.stack[-1].name.endswith("wait") and run.info["interpreter"] == 0 for run in main), "the main thread")


def library(py):
    cc = shutil.which("cc") or shutil.which("gcc")
    if not cc:
        raise h.Skip("no C compiler")
    outside, inside = py.folder()
    subprocess.run([cc, "-shared", "-fPIC", "-O1", "-o", os.path.join(outside, "cthreads.so"), os.path.join(h.TARGETS, "cthreads.c"), "-lpthread"], check=True)
    made = os.path.join(inside, "cthreads.so")
    p = h.start(py.command("-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", made), stderr=subprocess.DEVNULL)
    if p.wait(60):
        raise h.Skip("what the compiler makes here cannot be loaded there (another C library)")
    h.stop(p)
    return made


def in_c(py, engine):
    with h.Victim(py, "cthreads.py", [library(py)]) as v:
        bare, holder, guest = [int(w) for w in v.words]
        rec = h.record(v.pid, 2 * SECONDS, 500, engine=engine, gone=0.05).rec
    stacks = by_tid(rec)
    for tid in (bare, holder):
        h.check(tid in stacks and all(s == (recording.NO_FRAME,) or s == () for s in stacks[tid]), "a thread without frames: %s" % [names(s) for s in stacks.get(tid, ())])
    runs = {t: [r for r in rec.runs if r.info["tid"] == t] for t in (bare, holder)}
    h.check(not any(r.gil for r in runs[bare]), "the one that does nothing has the GIL")
    ns = sum(r.ns for r in runs[holder])
    held = sum(r.ns for r in runs[holder] if r.gil) / max(ns, 1)
    if not py.free_threaded:
        h.check(0.05 < held < 0.6, "the one that has the GIL for a third of its time has it for %.1f %%" % (100 * held))
    seen = {">".join(names(s)) for s in stacks.get(guest, ())}
    h.check("called>inner_called" in seen, "the one that calls: %s" % seen)
    h.check(seen <= {"", "[no Python frame]", "called", "called>inner_called", "called>[in motion]", "called>inner_called>[in motion]", "[torn]", "[in motion]", "[gone]"}, "the one that calls: %s" % seen)
    h.note("held %.1f %%; %s; %s" % (100 * held, seen, h.cost(rec)))


everyone = h.interpreters() if h.FULL else h.interpreters(builds=("release",), one_per_minor=True)
cases = []
for k, py in enumerate(everyone):
    def add(what, f, *args, only=None):
        for e, engine in enumerate(("outside", "kernel")):
            if h.FULL or (e == k % 2 and (only is None or py.version[:2] in only)):
                cases.append(("%s %s, %s" % (what, py, engine), f, py, engine) + args)

    add("threads made in C", in_c, only=((2, 7), (3, 7), (3, 11), (3, 13), (3, 14)))
    if py.version < (3, 6):
        continue
    add("nested, in a thread, swapped, busy", nested, "swap", "thread", "busy", only=((3, 6), (3, 8), (3, 9), (3, 10), (3, 11), (3, 12), (3, 14), (3, 15)))
    add("nested", nested, only=((3, 9), (3, 12), (3, 15)))
    if py.version >= (3, 8):
        add("parked", hosts, "", only=((3, 8), (3, 13)))
        if py.version >= (3, 12):  # before, an interpreter that computes does not hear that another one wants the GIL that they share
            add("busy", hosts, "busy", only=((3, 14),))
    add("churn", churn, only=((3, 6), (3, 10), (3, 12), (3, 13), (3, 15)))
    if py.version >= (3, 12):
        add("many", many, only=((3, 13),))

if __name__ == "__main__":
    h.main(cases)

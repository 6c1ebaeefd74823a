# serial
# Several interpreters in one process: what is seen of them, each thread's stack by interpreter.
import harness as h
import pyspy_reader as pr


def parked(py, engine="outside"):
    with h.Victim(py, "subinterpreters.py") as v:
        hosts = [int(w) for w in v.words]
        r = h.record(v.pid, 0.5, 100, engine=engine)
        rec = r.rec
        threads = {(t["tid"], t["interpreter"]): t for t in rec.threads().values()}
        h.note("threads %s" % {k: t["name"] for k, t in threads.items()})
        stacks = {}
        for run in rec.runs:
            t = run.info
            stacks.setdefault((t["tid"], t["interpreter"]), set()).add(run.stack)
        for n, tid in enumerate(hosts, 1):
            mine = {k[1]: s for k, s in stacks.items() if k[0] == tid}
            h.note("host %d: %s" % (n, {i: [[f.name for f in x] for x in s] for i, s in mine.items()}))
            sub = [x for i, s in mine.items() if i for x in s]
            h.check(sub and all([f.name for f in x] == ["<module>", "sub_outer_%d" % n, "sub_inner_%d" % n] for x in sub),
                    "host %d: stacks in its interpreter: %s" % (n, [[f.name for f in x] for x in sub]))
            own = mine.get(0, set())
            # the kernel engine tells a thread's time once, of the state that runs in it
            ok = own and all(x[-1].name == "host" for x in own) if engine == "outside" else not own
            h.check(ok, "host %d: stacks in the main interpreter: %s" % (n, [[f.name for f in x] for x in own]))
        numbers = {i for e in rec.epochs for _, i, _ in e.interpreters}
        h.check(len(numbers) == 3, "INTERPRETER records: %s" % numbers)


def busy(py, engine="outside"):
    with h.Victim(py, "subinterpreters.py", ["busy"]) as v:
        hosts = [int(w) for w in v.words]
        rec = h.record(v.pid, 1.0, 500, engine=engine).rec
        gil, wrong, n = {}, 0, 0
        for run in rec.runs:
            t = run.info
            if run.gil:
                for when in run.when:
                    gil.setdefault((when, t["interpreter"]), set()).add(t["tid"])
            names = [f.name for f in run.stack if f.name.startswith("sub_")]
            k = str(1 + hosts.index(t["tid"])) if t["tid"] in hosts else "?"
            wrong += run.ticks * any(not x.endswith(k) for x in names)
            n += run.ticks
        h.check(not wrong, "%d of %d samples with another interpreter's functions" % (wrong, n))
        h.check(all(len(s) == 1 for s in gil.values()), "one GIL held by two threads")
        h.note("%s; ticks with a holder, by interpreter: %s" % (h.cost(rec), {i: sum(1 for k in gil if k[1] == i) for i in {k[1] for k in gil}}))


cases = []
for py in h.pythons(one_per_minor=True):
    cases.append(("parked %s" % py, parked, py))
    if h.FULL or py.minor == 11:
        cases.append(("parked, kernel %s" % py, parked, py, "kernel"))
    if py.minor > 11:  # 3.11: an interpreter that computes does not hear that another one wants the GIL that they share
        cases.append(("busy %s" % py, busy, py))
        if h.FULL or py.minor == 13:
            cases.append(("busy, kernel %s" % py, busy, py, "kernel"))

if __name__ == "__main__":
    h.main(cases)

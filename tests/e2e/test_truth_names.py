# parallel
# timeout: 3600
# (n) Names: of threads (renamed while they run, too), functions, files, modules, and what sys says of itself, as the
# recording has them, against the interpreter's own word. Every version, every build, every kind of string.
import os
import signal
import time

import harness as h
import pythons as p


def text(token, is_2):
    """what the target told, as 3.x has it"""
    kind, _, rest = token.partition(":")
    if kind == "b":  # a 2.x str: FORMAT.md has text
        return bytes.fromhex(rest).decode("utf-8", "surrogateescape")
    if kind != "u":
        return ""  # no string
    got = "".join(chr(int(c, 16)) for c in rest.split(",") if c)
    return got.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") if is_2 else got


def told(v, is_2):
    """-> {pthread: (name, frames)}, {"prefix": text, "path": [text]}"""
    threads, facts = {}, {"path": []}
    while True:
        line = v.line()
        w = line.split(" ")
        if w[0] == "thread":
            frames = [tuple(text(x, is_2) for x in f.split("|")) for f in w[3:]]
            threads[int(w[1], 16)] = (text(w[2], is_2), frames)
        elif w[0] == "path":
            facts["path"].append(text(w[1], is_2))
        elif w[0] == "end":
            facts["path"] = [x for x in facts["path"] if x]
            return threads, facts
        elif len(w) == 2:
            facts[w[0]] = text(w[1], is_2)
        else:
            raise h.Failure("the target said %r" % line)


def short(x):
    s = ascii(x)
    return s if len(s) < 200 else s[:150] + "... (%d)" % len(s)


def one(py, engine):
    is_2 = py.version[0] == 2
    h.need_kernel() if engine == "kernel" else None
    outside, inside = py.folder()
    out = os.path.join(h.folder(), "names.pyspy")
    with h.Victim(py, "names.py", [inside]) as v:
        threads, facts = told(v, is_2)
        rec = h.start_record(["-p", v.pid, "-r", 100], out, engine=engine)
        h.wait_for("the first block", lambda: os.path.exists(out) and os.path.getsize(out) > 64, 30)
        time.sleep(1.0)
        v.say("rename")
        renamed, _ = told(v, is_2)
        time.sleep(2.5)
        rec.send_signal(signal.SIGINT)
        rec = h.finish_record(rec, out, 60).rec
    h.sound(rec)
    h.check(len(threads) >= 15 and len(renamed) == len(threads) + 3, "%d, then %d threads told" % (len(threads), len(renamed)))
    # every name that a thread ever had, in the order it was told; the last is the one it has at the end
    had, tids = {}, {}
    for (_, tid, _), t in rec.threads().items():
        tids[tid] = t["pthread"]
    for e in rec.epochs:
        for t in e.threads.values():
            had.setdefault(t["pthread"], []).append(t["name"])
    wrong = 0
    for ident, (name, _) in renamed.items():
        got = had.get(ident, [None])[-1]
        if got != name:
            wrong += 1
            h.check(wrong > 5, "thread %x is called %s, not %s" % (ident, short(got), short(name)))
    # stacks: park and those that call it, all of them
    seen, frames, bad = {}, set(), {}
    for r in rec.runs:
        ident = tids[r.info["tid"]]
        if ident not in renamed or r.stack[-1].kind != "python":
            continue
        want = renamed[ident][1]
        got = [(f.name, f.file, f.module) for f in r.stack]
        seen[ident] = seen.get(ident, 0) + r.ticks
        frames.update(got)
        if got != want and ident in threads:
            bad[ident] = (got, want)
    for ident, (got, want) in list(bad.items())[:5]:
        h.check(False, "thread %x: %s" % (ident, "; ".join("%s, not %s" % (short(g), short(w)) for g, w in zip(got, want) if g != w) or
                                          "%d frames, not %d" % (len(got), len(want))))
    missing = [i for i in threads if not seen.get(i)]
    h.check(not missing, "no stacks of %d threads of %d" % (len(missing), len(threads)))
    process = list(rec.processes().values())[-1]
    for what in ("prefix", "base_prefix"):
        h.check(process[what] == facts[what], "%s: %s, not %s" % (what, short(process[what]), short(facts[what])))
    h.check(process["path"] == facts["path"], "sys.path: %s, not %s" % (short(process["path"]), short(facts["path"])))
    h.note("%s, %s: %d threads, %d different frames, %d samples; wrong: %d names, %d stacks" % (
        py, engine, len(renamed), len(frames), rec.samples, wrong, len(bad)))


cases = []
for n, py in enumerate(x for x in p.interpreters() if x.kind != "shim"):
    for engine in ("outside", "kernel"):
        if h.FULL or (engine == "kernel") == (n % 4 == 3):
            cases.append(("%s, %s" % (py, engine), one, py, engine))

if __name__ == "__main__":
    h.main(cases)

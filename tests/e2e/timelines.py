"""What must hold in files of `speedscope`, `chrometrace` and `firefox`, checked on the JSON alone, and their totals.

    problems(kind, document) -> list of texts; totals(kind, document) -> {(name, file, line): (self, total)}
    rows(kind, document) -> {track: {stack: weight}}, stack = frames root first, frame = (name, file, line)

Times are nanoseconds; in a firefox document that counts samples the weights are samples.
"""
from collections import Counter, defaultdict


def whole(x, unit):
    """a JSON number in a unit -> whole nanoseconds; exact up to 2^50 of them"""
    return round(x * unit) if isinstance(x, float) else x * unit


# speedscope

def speedscope_rows(d):
    frames = [(f["name"], f.get("file", ""), f.get("line", 0)) for f in d["shared"]["frames"]]
    out = defaultdict(Counter)
    for i, p in enumerate(d["profiles"]):
        for s, w in zip(p["samples"], p["weights"]):
            if s:
                out[(i, p["name"])][tuple(frames[f] for f in s)] += w
    return out


def speedscope_problems(d):
    bad = []
    frames, busy = d["shared"]["frames"], []
    # a frame stands once: merging is by index. (Two functions may look the same, but not a frame that nothing uses.)
    used = {f for p in d["profiles"] for s in p["samples"] for f in s}
    if used != set(range(len(frames))):
        bad.append("frames: %d, of them %d used" % (len(frames), len(used)))
    for p in d["profiles"]:
        name = p["name"]
        if p["type"] != "sampled" or p["unit"] != "nanoseconds" or p["startValue"] != 0:
            bad.append("%s: type, unit or start" % name)
        if p["endValue"] != d["profiles"][0]["endValue"]:
            bad.append("%s: ends elsewhere" % name)
        if len(p["samples"]) != len(p["weights"]):
            bad.append("%s: %d samples, %d weights" % (name, len(p["samples"]), len(p["weights"])))
        if any(not isinstance(w, int) or w <= 0 for w in p["weights"]):
            bad.append("%s: a weight that is none" % name)
        if sum(p["weights"]) != p["endValue"] - p["startValue"]:
            bad.append("%s: weights add up to %d of %d" % (name, sum(p["weights"]), p["endValue"]))
        if any(not 0 <= f < len(frames) for s in p["samples"] for f in s):
            bad.append("%s: a frame that is not there" % name)
        if any(a == b for a, b in zip(p["samples"], p["samples"][1:])):
            bad.append("%s: equal stacks behind each other" % name)
        busy.append(sum(w for s, w in zip(p["samples"], p["weights"]) if s))
    if d["profiles"] and busy[d["activeProfileIndex"]] != max(busy):
        bad.append("the busiest profile is not shown first")
    return bad


# Chrome trace

def trace_text(frame):
    name, file, line = frame
    return name + (" (%s%s)" % (file, ":%d" % line if line else "") if file else "")


def trace_rows(d):
    """frames are texts here: ((text, "", 0), ...)"""
    out = defaultdict(Counter)
    opened, last = defaultdict(list), {}
    for e in d["traceEvents"]:
        if e["ph"] not in "BE":
            continue
        k = (e["pid"], e["tid"])
        ns = whole(e["ts"], 1000)
        if opened[k] and ns > last[k]:
            out[k][tuple((n, "", 0) for n in opened[k])] += ns - last[k]
        last[k] = ns
        if e["ph"] == "B":
            opened[k].append(e["name"])
        elif opened[k]:
            opened[k].pop()
    return out


def trace_problems(d):
    bad, named, threads = [], Counter(), Counter()
    opened, last, seen_other = defaultdict(list), {}, False
    for i, e in enumerate(d["traceEvents"]):
        at = "event %d: " % i
        if not all(isinstance(e[k], int) for k in ("pid", "tid")):
            bad.append(at + "pid or tid")
        k = (e["pid"], e["tid"])
        if e["ph"] == "M":
            if seen_other:
                bad.append(at + "metadata behind events")
            named[e["pid"]] += e["name"] == "process_name"
            threads[k] += e["name"] == "thread_name"
            continue
        seen_other = True
        if e["ts"] < 0:
            bad.append(at + "ts %s" % e["ts"])
        if e["ph"] == "C":
            if not all(isinstance(v, (int, float)) and v >= 0 for v in e["args"].values()):
                bad.append(at + "counter %s" % e["args"])
            continue
        if e["ph"] not in ("B", "E") or "args" in e:
            bad.append(at + "%s, %s" % (e["ph"], e.get("args")))
            continue
        if e["ts"] < last.get(k, 0):
            bad.append(at + "goes back")
        last[k] = e["ts"]
        if e["ph"] == "B":
            opened[k].append(e["name"])
        elif not opened[k] or opened[k].pop() != e["name"]:
            bad.append(at + "E does not close its B")
    bad += ["%s: %d frames stay open" % (k, len(v)) for k, v in opened.items() if v]
    bad += ["%s is named %d times" % (k, n) for c in (named, threads) for k, n in c.items() if n != 1]
    bad += ["%s has no name" % (k,) for k in opened if not threads[k] or not named[k[0]]]
    return bad[:20]


def trace_counter(d, name):
    """the integral over time, in ns; by pid"""
    out, before = Counter(), {}
    for e in d["traceEvents"]:
        if e["ph"] == "C" and e["name"] == name:
            ns, value = whole(e["ts"], 1000), next(iter(e["args"].values()))
            if e["pid"] in before:
                out[e["pid"]] += (ns - before[e["pid"]][0]) * before[e["pid"]][1]
            before[e["pid"]] = ns, value
    return out


# Firefox

def firefox_stacks(d):
    """-> [stack as frames], for each row of the stackTable"""
    s = d["shared"]
    strings, func, frame = s["stringArray"], s["funcTable"], s["frameTable"]
    out = []
    for f, prefix in zip(s["stackTable"]["frame"], s["stackTable"]["prefix"]):
        g = frame["func"][f]
        source = func["source"][g]
        file = "" if source is None else strings[s["sources"]["filename"][source]]
        out.append((out[prefix] if prefix is not None else ()) + ((strings[func["name"][g]], file, frame["line"][f] or 0),))
    return out


def firefox_rows(d):
    stacks, out = firefox_stacks(d), defaultdict(Counter)
    for i, t in enumerate(d["threads"]):
        unit = 1000000 if t["samples"]["weightType"] == "tracing-ms" else 1
        for s, w in zip(t["samples"]["stack"], t["samples"]["weight"]):
            if s is not None:
                out[(i, t["name"])][stacks[s]] += whole(w, unit)
    return out


def firefox_problems(d):
    bad, s = [], d["shared"]
    if d["meta"]["preprocessedProfileVersion"] != 61:
        bad.append("version")
    lengths = {"strings": len(s["stringArray"])}
    for name in ("sources", "funcTable", "frameTable", "stackTable", "resourceTable", "nativeSymbols"):
        t = s[name]
        lengths[name] = t["length"]
        bad += ["%s.%s has %d entries" % (name, k, len(v)) for k, v in t.items() if k != "length" and len(v) != t["length"]]

    def below(column, of, null=False):
        return all((x is None and null) or (x is not None and 0 <= x < lengths[of]) for x in column)
    checks = {
        "sources": below(s["sources"]["filename"], "strings"),
        "functions": below(s["funcTable"]["name"], "strings") and below(s["funcTable"]["source"], "sources", True),
        "frames": below(s["frameTable"]["func"], "funcTable"),
        "stacks": below(s["stackTable"]["frame"], "frameTable"),
        "prefixes": all(p is None or 0 <= p < i for i, p in enumerate(s["stackTable"]["prefix"])),
        "categories": all(0 <= c < len(d["meta"]["categories"]) for c in s["frameTable"]["category"]),
    }
    bad += [k for k, ok in checks.items() if not ok]
    for t in d["threads"]:
        x = t["samples"]
        if not len(x["stack"]) == len(x["time"]) == len(x["weight"]) == x["length"]:
            bad.append("%s: columns" % t["name"])
        if any(a > b for a, b in zip(x["time"], x["time"][1:])) or any(v < 0 for v in x["time"]):
            bad.append("%s: times go back" % t["name"])
        if not below(x["stack"], "stackTable", True) or not isinstance(t["pid"], str):
            bad.append("%s: stacks or pid" % t["name"])
    pairs = Counter((t["pid"], t["name"]) for t in d["threads"])
    bad += ["%s: %d tracks" % (k, n) for k, n in pairs.items() if n > 1]
    return bad[:20]


KINDS = {"speedscope": (speedscope_problems, speedscope_rows), "chrometrace": (trace_problems, trace_rows),
         "firefox": (firefox_problems, firefox_rows)}


def problems(kind, d):
    return KINDS[kind][0](d)


def rows(kind, d):
    return KINDS[kind][1](d)


def totals(kind, d):
    """frame -> [self, total]; a frame that is several times in a stack counts once for it"""
    out = defaultdict(lambda: [0, 0])
    for track in rows(kind, d).values():
        for stack, w in track.items():
            out[stack[-1]][0] += w
            for f in set(stack):
                out[f][1] += w
    return dict(out)


def sums(kind, d):
    """stack -> weight, over all tracks"""
    out = Counter()
    for track in rows(kind, d).values():
        out.update(track)
    return out

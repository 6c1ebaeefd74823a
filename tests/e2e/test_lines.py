# parallel
"""`lines`, `stacks` and `tree` of a real program whose hot line is known, its source in place, moved, and changed."""
import json
import os
import shutil

from harness import check, finish_record, folder, main, need_kernel, pythons, report, start_record

SOURCE = '''import time

DATA = list(range(300000))


class Work:
    @staticmethod
    def cold():
        return sum(DATA[:2000])

    def hot(self):
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            sum(DATA)  # all of the time\ttab
            self.cold()


def begin():
    Work().hot()


begin()
'''
HOT, CALL = SOURCE.split("\n").index("            sum(DATA)  # all of the time\ttab") + 1, SOURCE.split("\n").index("    Work().hot()") + 1


def lines(path, *args):
    d = json.loads(report("lines", "--json", *args, path).decode())
    mine = [r for r in d["rows"] if r["file"].endswith("/hot.py")]
    files = [f for f in d["files"] if f["file"].endswith("/hot.py")]
    check(len(files) == 1, "hot.py is there %d times" % len(files))
    return mine, files[0] if files else {}


def in_place(path, place):
    rows, file = lines(path)
    top = max(rows, key=lambda r: r["self_percent"])
    check(top["line"] == HOT and top["self_percent"] > 80, "line %s has most: %s %%, want line %d" % (top["line"], top["self_percent"], HOT))
    check(top["text"] == SOURCE.split("\n")[HOT - 1], "its text is %r" % top["text"])
    called = [r for r in rows if r["line"] == CALL]
    check(called and called[0]["total_percent"] >= top["total_percent"] and called[0]["self_percent"] < 5, "the line that calls: %s" % called)
    check((file["source"], file["source_path"]) == ("same", place) and not file["remark"], "source: %s" % file)
    text = report("lines", path).decode()
    first = text.split("\n\n")[1].split("\n")
    check(first[0].startswith(place + ": self "), "the first file is %r" % first[0])
    check(any(x.endswith("%d              sum(DATA)  # all of the time        tab" % HOT) or
              ("%d  " % HOT in x and "sum(DATA)  # all of the time" in x and "\t" not in x) for x in first), "no line of the hot line:\n%s" % text)
    check("WARNING" not in text, "a warning:\n%s" % text)


def moved(path, place):
    new = os.path.join(folder(), "laptop", "src")
    os.makedirs(new)
    shutil.move(place, os.path.join(new, "hot.py"))
    rows, file = lines(path)
    check(file["source"] == "missing" and all(r["text"] is None for r in rows), "without a source: %s" % file)
    check(any(r["line"] == HOT and r["self_percent"] > 80 for r in rows), "without a source: %s" % rows)
    check("--source-dir DIR says where to look" in report("lines", path).decode(), "it is not said what to do")
    rows, file = lines(path, "--source-dir", os.path.join(new, "nothing"), "--source-dir", new)
    check((file["source"], file["source_path"]) == ("same", os.path.join(new, "hot.py")), "--source-dir: %s" % file)
    return new


def changed(path, new):
    for what, text, remark in (
            ("a line more", "# new\n" + SOURCE, "functions do not begin where they did"),
            ("renamed", SOURCE.replace("def hot", "def warm"), "1 of "),
            ("shorter", "".join(x + "\n" for x in SOURCE.split("\n")[:CALL - 2]), "line %d was recorded" % (SOURCE.split("\n").index("begin()") + 1))):
        with open(os.path.join(new, "hot.py"), "w") as f:
            f.write(text)
        _, file = lines(path, "--source-dir", new)
        check(file["source"] == "differs" and remark in file["remark"], "%s: %s" % (what, file))
        check("WARNING: not the source that was recorded: " in report("lines", "--source-dir", new, path).decode(), "%s: no warning" % what)
    with open(os.path.join(new, "hot.py"), "w") as f:
        f.write(SOURCE.replace("1.2", "1.3"))
    _, file = lines(path, "--source-dir", new)
    check(file["source"] == "same" and "newer than the recording" in file["remark"], "newer, as far as can be told the same: %s" % file)


def dumps(path):
    for at in ("80%", "-0.4s", "-700ms"):  # its start takes how long it takes
        d = json.loads(report("stacks", "--json", "--at", at, path).decode())
        stack = [(r["function"].split(".")[-1], r["line"]) for r in d["rows"]]
        loop = {("hot", line) for line in (HOT - 1, HOT, HOT + 1)}  # its `while` too, with 0.2 % of the time
        check(loop & set(stack[:2]) and [x[0] for x in stack[-3:]] == ["hot", "begin", "<module>"], "at %s: %s" % (at, stack))
        check(all(abs(r["sample_offset_ns"]) < 300e6 for r in d["rows"]), "at %s: samples far away: %s" % (at, d["rows"][:1]))
    d = json.loads(report("tree", "--json", "--of", "function:hot$", path).decode())
    callers = [r["function"].split(".")[-1] for r in d["rows"] if r["part"] == "callers"]
    check(callers == ["hot", "begin", "<module>"], "callers: %s" % callers)


def one(engine):
    python = pythons()[-1]
    place = os.path.join(folder(), "hot.py")
    with open(place, "w") as f:
        f.write(SOURCE)
    os.utime(place, (1e9, 1e9))
    out = os.path.join(folder(), "x.pyspy")
    finish_record(start_record(["-r", "200", "--", python.path, "-S", "-E", place], out, engine=engine), out, 60)
    in_place(out, place)
    dumps(out)
    changed(out, moved(out, place))


def outside():
    one("outside")


def kernel():
    need_kernel()
    one("kernel")


if __name__ == "__main__":
    main([("outside", outside), ("kernel", kernel)])

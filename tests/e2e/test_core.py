# parallel
# timeout: 1800
# Core files, gcore's and of real crashes: threads, names, frames and variables are what the process itself said before,
# and what faulthandler said when it died; what is missing, cut or damaged is said, and never worse than that.
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import time

import harness as h

PATTERN = "/proc/sys/kernel/core_pattern"
lacking = {}  # by core: gdb could not read all
ENV = {"MALLOC_ARENA_MAX": "1"}  # small cores


def dump(core, *args, want=0, timeout=60):
    p = subprocess.run([h.RECORD, "dump", "-c", core] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    err = p.stderr.decode("utf-8", "replace")
    if want is not None:
        h.check(p.returncode == want, "dump -c %s: exit status %d, not %d: %s" % (" ".join(args), p.returncode, want, err))
    return p.stdout.decode("utf-8", "replace"), err


def dumped(core, *args):
    out, err = dump(core, "--json", *args)
    return json.loads(out), err


def gcore(pid):
    """-> the core of a running process"""
    if not shutil.which("gcore"):
        if os.environ.get("CI") == "true":
            raise h.Failure("CI=true, but no gcore: scripts/install-deps check")
        raise h.Skip("no gcore here: apt-get install gdb")
    base = os.path.join(h.folder(), "core")
    p = subprocess.run(["gcore", "-o", base, str(pid)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    path = "%s.%d" % (base, pid)
    if not os.path.exists(path):
        raise h.Failure("gcore: %s" % p.stdout[-300:])
    # stacks of glibc 2.42, whose guard pages gdb up to 13 at least stumbles over: it writes zeros for the whole of them
    lacking[path] = b"Memory read failed for corefile section" in p.stdout
    return path


def places(py):
    """what -c needs for an interpreter in a root"""
    return ["--sysroot", py.root] if py.root else []


def by_ident(d):
    return {t["ident"]: t for t in d["threads"]}


def short(frame):
    return frame["name"].rsplit(".", 1)[-1]


def compare(d, truth, lacks=False, program=True):
    """threads of a dump with what the program said of them; lacks: outer frames may be missing, if it says so; without the
    program values are what can be told"""
    got, n = by_ident(d), 0
    for ident, name, frames in truth["threads"]:
        t = got.get(ident)
        if not h.check(t, "thread %r (%d) is missing" % (name, ident)):
            continue
        h.check(t["name"] == name and t["name_is_from"] == "python", "named %r, should be %r" % (t["name"], name))
        if lacks and t["cut"]:
            frames = frames[:len(t["frames"])]
            t = dict(t, cut=False)
        h.check([[f["file"], f["line"], short(f)] for f in t["frames"]] == [f[:3] for f in frames], "%s: frames\n  are       %s\n  should be %s" % (
            name, [(f["file"], f["line"], f["name"]) for f in t["frames"]], [f[:3] for f in frames]))
        h.check(t["certain"] and not t["torn"] and not t["cut"] and not t["active"] and t["state"] == "sleeping", "%s: %s" % (name, {k: t[k] for k in t if k != "frames"}))
        for f, (file, line, function, known) in zip(t["frames"], frames):
            mine = {v["name"]: v["repr"] for v in f["locals"] or ()}
            for k, v in known.items():
                n += mine.get(k) == v
                h.check(mine.get(k) == v or not program and "<unreadable>" in mine.get(k, ""), "%s: %s of %s is %s, should be %s" % (name, k, function, mine.get(k), v))
    h.check(n > 10, "only %d values" % n)


def without(d):
    """what a live dump and a core's may differ in"""
    return [{k: v for k, v in t.items() if k not in ("state", "active", "holds_gil", "waits_for_gil", "certain", "tid", "namespace_tid", "name", "name_is_from")} for t in d["threads"]]


def reads(pid):
    with open("/proc/%d/task/%d/syscall" % (pid, pid)) as f:
        return f.read().startswith("0 0x0 ")


def running(py, pack):
    """gcore's of a running process"""
    outside, inside = py.folder()
    with h.Victim(py, "cores.py", [os.path.join(inside, "truth")], env=ENV) as v:
        h.wait_for("the main thread reads", lambda: reads(v.pid))
        live = json.loads(subprocess.run([h.RECORD, "dump", "--json", "-l", "-p", str(v.pid)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60).stdout.decode())
        core = gcore(v.pid)
        h.check(v.alive(), "the target has ended")
    with open(os.path.join(outside, "truth")) as f:
        truth = json.load(f)
    d, err = dumped(core, "-l", *places(py))
    h.check(not err, err)
    compare(d, truth, lacking[core])
    for key in ("pid", "command", "python_version", "free_threaded", "debug_build", "interpreters", "executable"):
        a, b = d[key], live[key]
        h.check(a == b or (key == "executable" and a.endswith(b)), "%s: %r, live %r" % (key, a, b))
    h.check([t["tid"] for t in d["threads"]] == [t["tid"] for t in live["threads"]], "threads: %s, live: %s" % ([t["tid"] for t in d["threads"]], [t["tid"] for t in live["threads"]]))
    a, b = without(d), without(live)
    for x, y in zip(a, b):
        if x["cut"] and lacking[core]:
            x["cut"], y["frames"] = False, y["frames"][:len(x["frames"])]
        if "spin" not in [short(f) for f in x["frames"]]:
            h.check(x == y, "a thread differs from the live one:\n  %s\n  %s" % (x, y))
    h.check(d["core"]["signal"] is None and not d["core"]["truncated"] and not d["core"]["damaged"], "%s" % d["core"])
    spinner = [t for t in d["threads"] if t["name"] == "spinner"][0]
    h.check([short(f) for f in spinner["frames"]][:1] == ["spin"] and spinner["active"], "the spinner: %s" % spinner)
    if not py.free_threaded:
        h.check([t["name"] for t in d["threads"] if t["holds_gil"]] == ["spinner"], "the GIL: %s" % [(t["name"], t["holds_gil"]) for t in d["threads"]])
    text = dump(core, "-l", *places(py))[0]
    h.check(text.startswith("Process %d: " % d["pid"]) and "\nCore file %s: taken of the running process\n" % core in text and '(idle): "lock 2"' in text and '"\\"sleeper\\"; \\n"' not in text, text[:600])
    if pack:
        packed(core, d, places(py))
    os.unlink(core)


def packed(core, d, more):
    """the same, compressed as systemd-coredump does; cut; damaged"""
    subprocess.run(["zstd", "-q", "-1", "-o", core + ".zst", core], check=True, timeout=120)
    z, err = dumped(core + ".zst", "-l", *more)
    h.check(re.match(r"(pyspy-record: unpacking the core into .*, at most .* there; .*\n)?$", err) and z["core"]["compressed"], "%s %s" % (err, z["core"]))
    h.check(without(z) == without(d), "compressed, it is another one")
    with open(core + ".zst", "rb") as f:
        bytes_ = f.read()
    with open(core + ".zst", "wb") as f:
        f.write(bytes_[:len(bytes_) // 2])
    out, err = dump(core + ".zst", "--json", *more, want=None)
    h.check("truncated" in err, "half of a compressed core: %r %r" % (out[:100], err))
    left = os.listdir(os.environ.get("TMPDIR", "/var/tmp"))
    h.check(not [n for n in left if n.startswith("pyspy-core")], "left behind: %s" % left)


# ---------------------------------------------------------------- crashes

class Pattern:
    """cores of crashes are to lie in the folder of who crashes. In the full form the system is asked to; it is put back."""

    def __enter__(self):
        with open(PATTERN) as f:
            self.was = f.read().rstrip("\n")
        self.is_set = False
        if self.was[:1] in ("|", "/"):
            if not h.FULL or os.geteuid() != 0:
                raise h.Skip("cores of crashes go elsewhere here (%s): only make check-full, as root, changes that" % self.was[:60])
            self.put("core")
            self.is_set = True
        return self

    def put(self, text):
        with open(PATTERN, "w") as f:
            f.write(text + "\n")

    def __exit__(self, *a):
        if self.is_set:
            self.put(self.was)


def crashed(py, how, coredump_filter=None):
    """-> core, truth, frames of who crashed, faulthandler's text, its pid, the wait status"""
    outside, inside = py.folder()
    with open(os.path.join(outside, "stderr"), "wb") as err:
        with Pattern(), h.Victim(py, "cores.py", [os.path.join(inside, "truth")], env=ENV, stderr=err) as v:
            if coredump_filter:
                with open("/proc/%d/coredump_filter" % v.pid, "w") as f:
                    f.write("%#x" % coredump_filter)
            v.say(how)
            v.p.wait(60)
            status = v.p.returncode
    found = [n for n in os.listdir(outside) if n.startswith("core")]
    if not found:
        raise h.Skip("no core was written here")
    with open(os.path.join(outside, "truth")) as f:
        truth = json.load(f)
    with open(os.path.join(outside, "truth.crash")) as f:
        frames = json.load(f)
    with open(os.path.join(outside, "stderr"), encoding="utf-8", errors="replace") as f:
        text = f.read()
    return os.path.join(outside, found[0]), truth, frames, text, v.pid, status


SIGNALS = {"segv": signal.SIGSEGV, "abort": signal.SIGABRT, "fpe": signal.SIGFPE}
HEAD = re.compile(r"(?m)^(Current thread|Thread) 0x([0-9a-f]+).*$")
LINE = re.compile(r'(?m)^  File "(.*)", line (\d+) in (.*)$')


def of_faulthandler(text):
    """{ident: [(file, line, function)]}, and who was the current one"""
    heads, out, current = list(HEAD.finditer(text)), {}, None
    for head, after in zip(heads, heads[1:] + [None]):
        ident = int(head.group(2), 16)
        body = text[head.end():after.start() if after else len(text)].split("\n\n")[0]
        out[ident] = [(f, int(n), name) for f, n, name in LINE.findall(body)]
        current = ident if head.group(1) == "Current thread" else current
    return out, current


def crash(py, how):
    """a core of the kernel's, of a real crash"""
    core, truth, frames, text, pid, status = crashed(py, how)
    number = SIGNALS[how.replace("thread-", "")]
    name = "crasher" if how.startswith("thread-") else "MainThread"
    if py.debug and py.version < (3,) and "segv" in how:  # its ctypes has an assertion
        number = signal.SIGABRT
    h.check(status in (-number, 128 + number), "the target's exit status: %d" % status)
    d, err = dumped(core, "-l", *places(py))
    h.check(not err, err)
    compare(d, truth)
    h.check(d["core"]["signal"] == number and d["core"]["signal_name"] == number.name and not d["core"]["truncated"] and not d["core"]["damaged"], "%s" % d["core"])
    who = [t for t in d["threads"] if t["crashed"]]
    if h.check(len(who) == 1 and who[0]["name"] == name and who[0]["tid"] == d["core"]["crashed_tid"], "crashed: %s, should be %s" % ([(t["name"], t["tid"]) for t in who], name)):
        got = [[f["file"], f["line"], short(f)] for f in who[0]["frames"]]
        at = [f[2] for f in got].index("crash") + 1 if "crash" in [f[2] for f in got] else 0
        h.check(got[at:] == [f[:3] for f in frames] and [f[2] for f in got[:at]][-2:] == ["die", "crash"], "who crashed: %s, should be %s" % (got, frames))
        h.check(who[0]["active"], "it was active: %s" % who[0])
    # without the others' stacks, as free-threaded builds say it, there is no ident
    text = re.sub(r"(?m)^Stack \(most", "Current thread 0x%x (most" % (who[0]["ident"] if who else 0), text)
    said, current = of_faulthandler(text)
    mine = by_ident(d)
    h.check(said or py.version < (3, 3) or how.endswith("fpe") and not said, "faulthandler said nothing: %r" % text[:300])
    for ident, lines in said.items():
        t = mine.get(ident)
        if h.check(t, "a thread of faulthandler's is missing: %x" % ident):
            got = [(f["file"], f["line"], short(f)) for f in t["frames"]]
            if t["name"] != "spinner":  # it ran on for a moment
                h.check(got == lines, "%s: %s, faulthandler: %s" % (t["name"], got, lines))
    if said and who:
        h.check(current is None or current == who[0]["ident"], "faulthandler's current thread is %s" % current)
    out = dump(core, *places(py))[0]
    h.check(re.search(r"(?m)^Core file .*: %s( at address 0x[0-9a-f]+)? in thread %d$" % (number.name, who[0]["tid"] if who else 0), out) and
            len(re.findall(r"(?m)^Thread \d+ \(active(\+gil)?, %s\): \"%s\"$" % (number.name, name), out)) == 1, out[:1500])
    h.note("%d threads of faulthandler's, %.1f MB" % (len(said), os.stat(core).st_size / 1e6))
    os.unlink(core)


def native(py):
    """who crashed is a thread of C's"""
    core, truth, frames, text, pid, status = crashed(py, "native")
    d, err = dumped(core, "-l", *places(py))
    compare(d, truth)
    h.check(not err and d["core"]["signal"] == signal.SIGABRT and d["core"]["crashed_tid"] not in {t["tid"] for t in d["threads"]} and not any(t["crashed"] for t in d["threads"]), "%s" % d["core"])
    h.check(" in thread %d, which ran no Python\n" % d["core"]["crashed_tid"] in dump(core, *places(py))[0], "it is not said")
    os.unlink(core)


# ---------------------------------------------------------------- what is missing

def cut(py, parts):
    """a core that was cut off: what it has is shown, and it is said; never another stack than the true one"""
    core, truth, frames, text, pid, status = crashed(py, "segv")
    full, _ = dumped(core, "-l", *places(py))
    whole = {t["ident"]: [f["name"] for f in t["frames"]] for t in full["threads"]}
    size, shown = os.stat(core).st_size, []
    for part in range(parts - 1, -1, -1):
        os.truncate(core, size * part // parts)
        begin = time.monotonic()
        out, err = dump(core, "--json", "-l", *places(py), want=None)
        h.check(time.monotonic() - begin < 10, "part %d: %.1f s" % (part, time.monotonic() - begin))
        h.check(err.count("\n") == 1 and ("truncated" in err or part == 0), "part %d of %d: %r" % (part, parts, err))
        d = json.loads(out) if out else {"threads": []}
        h.check(not out or d["core"]["truncated"], "it does not say that it is truncated")
        for t in d["threads"]:
            names = [f["name"] for f in t["frames"]]
            true = whole.get(t["ident"], [])
            ok = all(a == b or a == "[not in the core]" for a, b in zip(names, true)) and len(names) <= len(true)
            h.check(ok and (t["cut"] or t["torn"] or len(names) == len(true)), "part %d: %s of %s" % (part, names, true))
        shown.append(sum(len(t["frames"]) for t in d["threads"]))
    # where the interpreter is a library its data lie near the end
    h.check(shown[0] > 0 or py.kind != "system", "of nearly all of it there is nothing: %s" % shown)
    h.note("frames shown of a core cut at %d places: %s" % (parts, shown))


def damaged(py, rounds, seed):
    """bits that flipped: bounded time, no crash, one clear line when there is nothing"""
    core = crashed(py, "abort")[0]
    noise, told, end = random.Random(seed), {0: 0, 1: 0}, os.stat(core).st_size
    file = open(core, "r+b", buffering=0)

    def put(at, byte):
        old = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), byte, at)
        return at, old
    for n in range(rounds):
        undo = []
        for _ in range(noise.choice((1, 4, 64, 4096))):
            at = noise.randrange(noise.choice((64, 4096, 65536, end)))  # headers and notes lie at the beginning
            was = os.pread(file.fileno(), 1, at)[0]
            undo.append(put(at, bytes([noise.choice((0, 255, was ^ (1 << noise.randrange(8)), noise.randrange(256)))])))
        begin = time.monotonic()
        out, err = dump(core, "--json", "-l", *places(py), want=None, timeout=120)
        p = 0 if out else 1
        told[p] += 1
        h.check(time.monotonic() - begin < 20, "round %d (seed %s): %.1f s" % (n, seed, time.monotonic() - begin))
        h.check(out or err.count("\n") == 1 and err.startswith("pyspy-record: core "), "round %d (seed %s): %r" % (n, seed, err))
        if out:
            json.loads(out)
        for at, old in reversed(undo):
            put(at, old)
    file.close()
    h.note("%d rounds (seed %s): %d shown, %d refused" % (rounds, seed, told[0], told[1]))


def binaries(py):
    """the program was replaced since: it is not used, and said; the one that is named is"""
    d = h.folder()
    here, kept = os.path.join(d, "python-here"), os.path.join(d, "kept")
    os.mkdir(kept)
    shutil.copy(py.path, here)
    shutil.copy(py.path, os.path.join(kept, "python-here"))
    prefix = subprocess.run([py.path, "-c", "import sys; print(sys.prefix)"], stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout.strip()
    truth = os.path.join(d, "truth")
    with h.Victim(py, "cores.py", [truth], cmd=[here], env=dict(ENV, PYTHONHOME=prefix)) as v:
        core = gcore(v.pid)
    with open(truth) as f:
        truth = json.load(f)
    compare(dumped(core, "-l")[0], truth)
    os.unlink(here)
    for other, words in ((None, "is not here"), ("/bin/true", "is another one")):
        if other:
            shutil.copy(other, here)
        got, err = dumped(core, "-l")
        h.check(err.count("\n") == 1 and "python-here (build id " in err and words in err and "--sysroot" in err, "the program %s: %r" % (words, err))
        compare(got, truth, program=False)  # its own memory is in the core
        h.check("<unreadable>" in json.dumps(got) and [b["state"] for b in got["core"]["binaries"]] != ["used"], "%s" % got["core"])
    for place in (kept, os.path.join(kept, "python-here")):
        got, err = dumped(core, "-l", "--sysroot", place)
        compare(got, truth)
        h.check([b["state"] for b in got["core"]["binaries"]][:1] == ["used"], "%s" % got["core"])
    # as in a root of another system, and by build id
    root = os.path.join(d, "root")
    os.makedirs(root + os.path.dirname(here))
    shutil.copy(os.path.join(kept, "python-here"), root + here)
    compare(dumped(core, "-l", "--sysroot", root)[0], truth)
    build_id = got["core"]["binaries"][0]["build_id"]
    links = os.path.join(d, "ids", "usr", "lib", "debug", ".build-id", build_id[:2])
    os.makedirs(links)
    shutil.copy(os.path.join(kept, "python-here"), os.path.join(links, build_id[2:]))
    compare(dumped(core, "-l", "--sysroot", os.path.join(d, "ids"))[0], truth)
    # gcore writes its notes last: cut off, nothing says which files were mapped, nor which threads there were
    with open(core, "rb") as f:
        head = f.read(64 + 56)
    os.truncate(core, struct.unpack_from("<Q", head, 64 + 8)[0])
    for place in ([], ["--sysroot", os.path.join(kept, "python-here")]):
        got, err = dumped(core, "-l", *place)
        h.check("truncated" in err and got["pid"] is None and got["core"]["threads"] == 0, "without notes: %r %s" % (err, got["core"]))
        for ident, name, frames in truth["threads"]:
            t = by_ident(got).get(ident, {"name": None, "frames": []})
            h.check(t["name"] == name and [[f["file"], f["line"], short(f)] for f in t["frames"]] == [f[:3] for f in frames] and t["state"] == "unknown", "without notes: %s" % t)
        h.check(bool(place) != ("<unreadable>" in json.dumps(got)), "values without notes, %s" % place)
    os.unlink(core)


def filters(py, full):
    """what the kernel leaves out and puts in is the process's own to say"""
    for number in (0x21, 0x7f, 0x33) if full else (0x21,):
        core, truth, frames, text, pid, status = crashed(py, "abort", number)
        out, err = dump(core, "--json", want=None)
        if number & 16:
            h.check(out and not err, "coredump_filter %#x: %r" % (number, err))
        else:  # not even the first page of the program, which would tell whether it is the one
            h.check(not out and err.count("\n") == 1 and "nothing in the core" in err and "--sysroot" in err, "coredump_filter %#x: %r" % (number, err))
        d, err = dumped(core, "-l", "--sysroot", "/")
        h.check(("nothing in it tells" in err) == (not number & 16), "coredump_filter %#x, --sysroot /: %r" % (number, err))
        compare(d, truth)
        os.unlink(core)


def namespace(py):
    """of a process in a pid namespace of its own, taken from outside: the notes have other numbers than its memory"""
    d = h.folder()
    command = ["unshare", "--pid", "--fork", "--mount-proc", py.path]
    if os.geteuid() != 0 or subprocess.run(command[:-1] + ["true"], stderr=subprocess.DEVNULL).returncode:
        raise h.Skip("no namespaces here")
    with h.Victim(py, "cores.py", [os.path.join(d, "truth")], cmd=command, env=ENV) as v:
        with open("/proc/%d/task/%d/children" % (v.p.pid, v.p.pid)) as f:
            pid = int(f.read().split()[0])
        h.check(v.pid != pid, "it is no namespace")
        core = gcore(pid)
        os.kill(pid, signal.SIGKILL)
    with open(os.path.join(d, "truth")) as f:
        truth = json.load(f)
    got, err = dumped(core, "-l")
    h.check(not err and got["pid"] == pid and {t["tid"] for t in got["threads"]} >= {pid}, "%s %s" % (err, got["pid"]))
    compare(got, truth)
    os.unlink(core)


def alike(py, script, args):
    """threads inside several interpreters: as the live process is shown"""
    if py.version < (3, 8):
        raise h.Skip("no module of interpreters")
    with h.Victim(py, script, args, env=ENV) as v:
        time.sleep(0.3)
        live = json.loads(subprocess.run([h.RECORD, "dump", "--json", "-p", str(v.pid)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60).stdout.decode())
        core = gcore(v.pid)
    d, err = dumped(core, *places(py))
    h.check(not err and d["interpreters"] == live["interpreters"] > 1, "%s, %d interpreters" % (err, d["interpreters"]))
    a, b = without(d), without(live)
    for x, y in zip(a, b):
        if x["cut"] and lacking[core]:
            x["cut"], y["frames"] = False, y["frames"][:len(x["frames"])]
    h.check(a == b, "threads differ from the live ones:\n  %s\n  %s" % (a, b))
    os.unlink(core)


def tasks(py):
    """asyncio's tasks, as the live process's"""
    outside, inside = py.folder()
    with h.Victim(py, "tasks.py", [os.path.join(inside, "truth")], env=ENV) as v:
        time.sleep(0.2)
        live = json.loads(subprocess.run([h.RECORD, "dump", "--tasks", "--json", "-p", str(v.pid)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60).stdout.decode())
        core = gcore(v.pid)
    d, err = dumped(core, "--tasks", *places(py))
    h.check(not err and len(live["tasks"]) > 5 and d["tasks"] == live["tasks"], "%s\n  core %s\n  live %s" % (err, d["tasks"], live["tasks"]))
    os.unlink(core)


def refusals(py):
    d = h.folder()
    p = h.start(["sleep", "100"])
    stranger = gcore(p.pid)
    h.stop(p)

    def written(name, bytes_):
        path = os.path.join(d, name)
        with open(path, "wb") as f:
            f.write(bytes_)
        return path
    with open(stranger, "rb") as f:
        head = f.read(1 << 16)
    for path, words in (("/bin/true", "no core file"), (written("text", b"hello, world, this is a text" * 4), "no core file"), (written("empty", b""), "empty"), (d, "no regular file"),
                        (os.path.join(d, "none"), "No such file"), ("/dev/zero", "no regular file"), (stranger, "not of a Python program"),
                        (written("arm", head[:18] + b"\xb7\0" + head[20:]), "aarch64"), (written("i386", head[:4] + b"\1" + head[5:18] + b"\3\0" + head[20:]), "32-bit x86"),
                        (written("big", head[:5] + b"\2" + head[6:16] + b"\0\4\0\x16" + head[20:]), "s390"), (written("short", head[:40]), "its beginning"),
                        (written("header", head[:64]), "cut off"), (written("xz", b"\xfd7zXZ\0" + head), "xz -dk"), (written("zst", b"\x28\xb5\x2f\xfd" + b"\xff" * 100), "unpacked"),
                        (written("ESC\033[31m\n", b"text"), "no core file")):
        out, err = dump(path, want=1)
        h.check(not out and words in err and err.count("\n") == 1 and "\033" not in err, "%s: %r %r" % (path, out, err))
    for args, words in ((["-c", stranger, "-p", "1"], "one process"), (["-c", stranger, "-c", stranger], "one process"), (["-c"], "value"), (["-c", stranger, "--sysroot", d + "/none"], "--sysroot"),
                        (["-p", "1", "--sysroot", d], "--sysroot is for"), ([], "--core FILE")):
        q = subprocess.run([h.RECORD, "dump"] + args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        h.check(q.returncode == 2 and words in q.stderr.decode() and q.stderr.count(b"\n") == 1, "dump %s: %s" % (args, q))
    q = subprocess.run([h.RECORD, "dump", "-s", "-c", stranger], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    h.check(q.returncode == 1 and b"one process" in q.stderr, "-s: %s" % q)


def old_way(py):
    """what py-spy makes of the same file; our own answer is tried elsewhere"""
    tool = os.path.join(os.environ.get("PYSPY_CACHE", "/var/tmp/pyspy-cache"), "py-spy", "bin", "py-spy")
    if not os.access(tool, os.X_OK):
        raise h.Skip("no py-spy here")
    outside, inside = py.folder()
    with h.Victim(py, "cores.py", [os.path.join(inside, "truth")], env=ENV) as v:
        core = gcore(v.pid)
    p = subprocess.run([tool, "dump", "-c", core], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    h.note("py-spy dump -c: exit status %d, %s" % (p.returncode, " | ".join(p.stdout.decode("utf-8", "replace").split("\n")[:4])))
    ours = subprocess.run([os.path.join(h.BUILD, "pyspy"), "dump", "-c", core], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    h.check(ours.returncode == 0 and b"by_lock" in ours.stdout, "%s" % ours)
    h.note("pyspy dump -c: %d lines" % ours.stdout.count(b"\n"))


cases = []
ways = ["segv", "thread-abort", "abort", "thread-segv", "fpe"]
for n, py in enumerate(h.interpreters() if h.FULL else h.interpreters(((3, 12), (3, 14)), ("release",), one_per_minor=True)):
    cases.append(("running %s" % py, running, py, h.FULL or py.minor == 12))
for n, py in enumerate(h.interpreters() if h.FULL else h.interpreters(((2, 7), (3, 6), (3, 8), (3, 11), (3, 13), (3, 15)), ("release",), one_per_minor=True)):
    for how in ways if h.FULL else [ways[n % 2]]:
        cases.append(("%s %s" % (how, py), crash, py, how))
    if h.FULL:
        cases.append(("cut %s" % py, cut, py, 20))
for py in h.interpreters(((3, 8), (3, 11), (3, 13), (3, 14)), ("release",)) if h.FULL else ():
    if "musl" not in str(py):
        cases.append(("tasks %s" % py, tasks, py))
for py in h.interpreters(((3, 12), (3, 13), (3, 14), (3, 8)), ("release",)) if h.FULL else h.interpreters(((3, 13),), one_per_minor=True):
    cases.append(("interpreters %s" % py, alike, py, "subinterpreters.py", ["nested"]))
    if h.FULL:
        cases.append(("interpreters, threads %s" % py, alike, py, "subinterpreters.py", []))
for py in h.pythons(one_per_minor=True) if h.FULL else h.pythons(one_per_minor=True)[:1]:
    cases.append(("damaged %s" % py, damaged, py, 300 if h.FULL else 12, random.randrange(1 << 30) if h.FULL else 7))
for py in h.pythons(("system",)) or h.pythons(one_per_minor=True)[:1]:
    cases.append(("binaries %s" % py, binaries, py))
    cases.append(("filters %s" % py, filters, py, h.FULL))
    cases.append(("namespace %s" % py, namespace, py))
    cases.append(("native %s" % py, native, py))
    cases.append(("refusals %s" % py, refusals, py))
    if not h.FULL:
        cases.append(("cut %s" % py, cut, py, 5))
    if h.FULL:
        cases.append(("py-spy %s" % py, old_way, py))

if __name__ == "__main__":
    h.main(cases)

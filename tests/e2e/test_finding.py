#!/usr/bin/env python3
# timeout: 120
"""Is the interpreter found, whatever has been done to its files, and is it the right one? Each case builds or bends a real
one, lets tests/targets/found.py stand in known functions, records it, and compares: version, functions, thread ids."""
import os
import shutil
import struct
import subprocess
import sys
import time

import harness as h
import recording
from binaries import LIBS, PLUGIN, PROGRAM, archive, bend, compile, home, library, need, sites

FULL = h.FULL
TARGET = os.path.join(h.TARGETS, "found.py")
SECONDS = 0.25


# ---------------------------------------------------------------- the truth, and what was recorded

class Standing:
    """found.py, started: pid as we see it, what it said of itself"""

    def __init__(self, cmd, env=None, child=False, **kw):
        self.p = h.start([str(c) for c in cmd], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **kw)
        words = h.Victim.line(self, 60).split()
        if words[:1] != ["ready"]:
            h.stop(self.p)
            raise h.Failure("%s said %r instead of `ready ...`" % (cmd, words))
        self.pid = self.p.pid
        if child:
            with open("/proc/%d/task/%d/children" % (self.pid, self.pid)) as f:
                self.pid = int(f.read().split()[0])
        self.ns_pid, self.version, self.hex = int(words[1]), words[2], int(words[3])
        self.tids = {k: int(v) for k, v in (w.split("=") for w in words[4:])}

    def __enter__(self):
        return self

    def __exit__(self, *a):
        h.stop(self.p)


def compare(v, rec, lonely=False):
    """version, functions and thread ids; lonely: the program has threads that Python does not know"""
    h.sound(rec)
    p = list(rec.processes().values())
    if not h.check(len(p) == 1, "%d processes in the recording" % len(p)):
        return
    h.check(p[0]["version"] == v.version and p[0]["version_hex"] == v.hex,
            "version %s (%#x), it is %s (%#x)" % (p[0]["version"], p[0]["version_hex"], v.version, v.hex))
    h.check(p[0]["pid"] == v.pid and p[0]["ns_pid"] == v.ns_pid, "pid %d (%d inside), it is %d (%d)" % (
        p[0]["pid"], p[0]["ns_pid"], v.pid, v.ns_pid))
    got, outer = {}, set()
    for r in rec.runs:
        names = [f.name for f in r.stack]
        for n in v.tids:
            if any(x == n or x.endswith("." + n) for x in names):
                got.setdefault(n, set()).add(r.info["ns_tid"])
                outer.add(r.info["tid"])
                break
        else:
            got.setdefault("neither: %s" % ";".join(names), set()).add(r.info["ns_tid"])
    want = {n: {t} for n, t in v.tids.items()}
    for n, t in list(want.items()):
        if t == {0}:  # the interpreter cannot say: then it is at least one thread, and another one than the others
            want[n] = got.get(n) if len(got.get(n, ())) == 1 and not any(got[n] & got[m] for m in got if m != n) else "?"
    h.check(got == want, "functions and thread ids %s, they are %s" % (got, want))
    h.check(outer <= set(h.tids(v.pid)), "threads %s, the process has %s" % (sorted(outer), h.tids(v.pid)))


def attach(v, **kw):
    compare(v, h.record(v.pid, SECONDS, 100, ["-i"], **kw).rec)


def standing(cmd, env=None, engine="outside", **kw):
    with Standing(cmd, env, **kw) as v:
        attach(v, engine=engine)


# ---------------------------------------------------------------- cases

def plain(py):
    standing(py.argv(TARGET))


def bent(py, how):
    """copies of the program and its library"""
    folder = h.folder()
    lib = library(py)
    exe = shutil.copy(os.path.realpath(py.path), folder)
    bend(exe, how)
    env = home(py)
    if lib:
        bend(shutil.copy(lib, folder), how)
        env["LD_LIBRARY_PATH"] = folder
    standing([exe, TARGET], env)


def system(how):
    path = "/usr/bin/python3.11"
    if not os.access(path, os.X_OK):
        raise h.Skip("no %s" % path)
    folder = h.folder()
    exe = shutil.copy(os.path.realpath(path), folder)
    bend(exe, how)
    standing([exe, TARGET], {"PYTHONHOME": "/usr"})


def foreign(py, folder):
    """its library under a name that says nothing, in its DT_SONAME too"""
    lib = library(py)
    old = os.path.basename(lib).encode()
    new = old.replace(b"libpython", b"libserpen")
    out = os.path.join(folder, new.decode())
    with open(lib, "rb") as f:
        data = f.read()
    with open(out, "wb") as f:
        f.write(data.replace(b"\0" + old + b"\0", b"\0" + new + b"\0"))
    os.chmod(out, 0o755)
    return out


def embedded(py, how, renamed=None, second=False):
    """a C program with Python in it: linked, or dlopened"""
    folder = h.folder()
    lib = foreign(py, folder) if renamed else library(py)
    env = home(py)
    env["LD_LIBRARY_PATH"] = os.path.dirname(lib)
    flags = ["-DSECOND"] if second else []
    if how == "dlopen":
        exe = compile(folder, "program", PROGRAM, "-DDLOPEN", *flags, *LIBS)
        cmd = [exe, TARGET, lib]
    else:
        exe = compile(folder, "program", PROGRAM, *flags, "-L" + os.path.dirname(lib), "-l:" + os.path.basename(lib), *LIBS)
        cmd = [exe, TARGET]
    if renamed:
        bend(lib, renamed)
    standing(cmd, env)


def static(py, how, *flags):
    """libpython.a in the program: nothing is exported"""
    folder = h.folder()
    exe = compile(folder, "program", PROGRAM, archive(py), *sites(py), *flags, *LIBS)
    bend(exe, how)
    standing([exe, TARGET], home(py))


def plugin(py, how):
    """libpython.a hidden in a library that a program loads"""
    folder = h.folder()
    exe = compile(folder, "program", PROGRAM, "-DDLOPEN", "-DHOSTED", *LIBS)
    lib = compile(folder, "plugin.so", PLUGIN, "-shared", "-fPIC", archive(py), "-Wl,--exclude-libs,ALL", "-Wl,-Bsymbolic", *sites(py), *LIBS)
    bend(lib, how)
    standing([exe, TARGET, lib], home(py))


def deleted(py, how, replaced=None):
    """its files go while it runs, or others come in their place"""
    folder = h.folder()
    exe = shutil.copy(os.path.realpath(py.path), folder)
    bend(exe, how)
    files = [exe]
    env = home(py)
    if library(py):
        files.append(shutil.copy(library(py), folder))
        bend(files[1], how)
        env["LD_LIBRARY_PATH"] = folder
    with Standing([exe, TARGET], env) as v:
        for f in files:
            os.unlink(f)
        if replaced:
            shutil.copy(os.path.realpath(replaced.path), files[0])
            if len(files) > 1:
                shutil.copy(library(replaced), files[1])
        attach(v)


def root_only():
    if os.geteuid():
        raise h.Skip("only root can do this")


def mounted(py, other):
    """in a mount namespace in which another library lies at its library's place"""
    root_only()
    need("unshare", "mount")
    folder = h.folder()
    lib = shutil.copy(library(other), os.path.join(folder, os.path.basename(library(py))))  # what we see there
    env = home(py)
    env["LD_LIBRARY_PATH"] = folder
    script = 'mount --bind "$1" "$2" && exec "$3" "$4"'
    standing(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", library(py), lib, os.path.realpath(py.path), TARGET], env)


def numbered(py, engine="outside"):
    """in a pid namespace"""
    root_only()
    need("unshare")
    standing(["unshare", "-f", "-p", "--mount-proc", "--kill-child"] + py.command(TARGET), engine=engine, child=True)


def contained(py):
    """mount and pid namespaces, its files below a root of its own"""
    root_only()
    if not py.root:
        raise h.Skip("not in a root")
    standing(["unshare", "-f", "-p", "-m", "--propagation", "private", "--kill-child", "sh", "-c",
              'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"', py.root, py.path, py.put(TARGET)], child=True)


def launched(py, words, name):
    """started by the recorder through something that becomes Python after a while"""
    out = os.path.join(h.folder(), "x.pyspy")
    p = h.start_record(["-i", "-r", 100, "--"] + [w if w != "PYTHON" else py.path for w in words] + [TARGET], out,
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    line = h.Victim.line(type("V", (), {"p": p})(), 30).split()
    if not h.check(line[:1] == ["ready"], "the program said %r" % line):
        h.stop(p)
        return
    time.sleep(0.5)
    p.stdin.close()  # the program ends
    p.stdin = None
    rec = h.finish_record(p, out, 30).rec
    got = list(rec.processes().values())
    h.check(got and got[-1]["version"] == line[2], "version %s, it is %s" % (got and got[-1]["version"], line[2]))
    names = {f.name for r in rec.runs for f in r.stack}
    h.check({"stay_main", "stay_first", "stay_second"} <= names, "functions: %s" % sorted(names))


def become(py, script):
    """-p of a shell that is not Python yet"""
    p = h.start(["sh", "-c", script, "sh", py.path, TARGET], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out = os.path.join(h.folder(), "x.pyspy")
    r = h.start_record(["-i", "-p", p.pid, "-r", 100], out)
    h.Victim.line(type("V", (), {"p": p})(), 30)
    time.sleep(0.5)
    h.stop(p)
    rec = h.finish_record(r, out, 30).rec
    names = {f.name for x in rec.runs for f in x.stack}
    h.check({"stay_main", "stay_first", "stay_second"} <= names, "functions: %s" % sorted(names))


def refused(cmd, want, env=None, args=()):
    """what is said of a program that is none"""
    p = h.start(cmd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(0.3)
    begin = time.monotonic()
    got = subprocess.run([h.RECORD, "-d", "0.2", "-o", os.path.join(h.folder(), "x"), "-p", str(p.pid)] + list(args),
                         stderr=subprocess.PIPE, timeout=30, universal_newlines=True)
    took = time.monotonic() - begin
    h.check(got.returncode == 1 and want in got.stderr, "status %d, said %r, not %r" % (got.returncode, got.stderr, want))
    h.note("%.1f s: %s" % (took, got.stderr.strip().split("\n")[-1]))
    h.stop(p)


def child(py):
    """-p of a launcher that stays"""
    refused(["sh", "-c", '"$0" "$1"; true', py.path, TARGET], "which it started, is: use -p", args=["--wait", "300ms"])


def patient(py):
    """--wait is for -p too: a launcher of no known name, and no longer young, becomes Python in the end"""
    exe = compile(h.folder(), "launch", SHIM.replace("300000", "4500000"))
    p = h.start([exe, py.path, TARGET], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(3.2)
    out = os.path.join(h.folder(), "x.pyspy")
    r = h.start_record(["-i", "-p", p.pid, "-r", 100, "-d", 0.3, "--wait", "20s"], out)
    h.check(h.finish_record(r, out, 30).rec.samples, "no samples")
    h.stop(p)


def offsets(py, want, change):
    """a library whose _Py_DebugOffsets says something else"""
    folder = h.folder()
    lib = shutil.copy(library(py), folder)
    with open(lib, "r+b") as f:
        b = bytearray(f.read())
        at = b.index(b"xdebugpy" + struct.pack("<Q", py.version[0] << 24 | py.version[1] << 16 | py.version[2] << 8 | 0xf0))
        change(b, at)
        f.seek(0)
        f.write(b)
    refused([os.path.realpath(py.path), TARGET], want, dict(home(py), LD_LIBRARY_PATH=folder))


def preview(b, at):
    struct.pack_into("<Q", b, at + 8, 0x030f00a7)


def nonsense(b, at):
    for i in range(3, 70):
        struct.pack_into("<Q", b, at + 8 * i, 0xffffffff00000000 + i)


def wrong(b, at):
    """sane, and not so: the threads of an interpreter are where its number is"""
    struct.pack_into("<Q", b, at + 8 * 9, struct.unpack_from("<Q", b, at + 8 * 7)[0])


def from_memory():
    """a program that never was a file"""
    code = """import os, sys
fd = os.memfd_create("nothing", 0)
os.write(fd, open("/usr/bin/python3.11", "rb").read())
os.execve(fd, ["python3.11", sys.argv[1]], os.environ)"""
    if not os.access("/usr/bin/python3.11", os.X_OK):
        raise h.Skip("no /usr/bin/python3.11")
    standing(["/usr/bin/python3.11", "-c", code, TARGET])


def nobody(py, how):
    """deleted, and we may not use /proc/PID/map_files"""
    root_only()
    need("setpriv")
    if open("/proc/sys/kernel/yama/ptrace_scope").read().strip() not in ("0",) if os.path.exists("/proc/sys/kernel/yama") else False:
        raise h.Skip("yama lets only parents look in")
    folder = h.folder()
    os.chmod(folder, 0o777)
    # all of it in a folder that nobody can enter, which root's home is not
    target, recorder = shutil.copy(TARGET, folder), shutil.copy(h.RECORD, folder)
    lib = library(py) and shutil.copy(library(py), folder)
    exe = shutil.copy(os.path.realpath(py.path), folder)
    for f in filter(None, (lib, exe)):
        bend(f, how)
    version = "python%d.%d" % py.version[:2]
    shutil.copytree(os.path.join(os.path.dirname(os.path.dirname(py.path)), "lib", version), os.path.join(folder, "lib", version),
                    symlinks=True, ignore=shutil.ignore_patterns("test", "site-packages", "config*", "__pycache__", "idlelib"))
    drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    with Standing(drop + [exe, target], dict(PYTHONHOME=folder, LD_LIBRARY_PATH=folder)) as v:
        for f in filter(None, (lib, exe)):
            os.unlink(f)
        out = os.path.join(folder, "x.pyspy")
        p = h.start(drop + [recorder, "-o", out, "--engine", "outside", "-i", "-r", "100", "-d", "0.3", "-p", str(v.pid)], stderr=subprocess.PIPE)
        compare(v, h.finish_record(p, out, 30).rec)


def locks(py, make, can_tell_waiters=True):
    """who has the GIL and who waits for it, of three threads that compute"""
    cmd, env = make(py)
    with Standing(cmd + ["spin"], env) as v:
        v.p.stdin.write(b"x")
        v.p.stdin.flush()
        rec = h.record(v.pid, 1.0, 200, ["-i"]).rec
        n = sum(r.ticks for r in rec.runs)
        has = sum(r.ticks for r in rec.runs if r.gil)
        waits = sum(r.ticks for r in rec.runs if r.flags & recording.GIL_WAIT)
        h.note("%d samples: %d have the GIL, %d wait for it" % (n, has, waits))
        # three threads compute, one at a time; how often those who wait stand still depends on the machine
        h.check(0.1 * n < has < 0.4 * n, "%d of %d samples have the GIL" % (has, n))
        if can_tell_waiters:
            # 2.x hands its GIL over every 100 bytecodes: waiters seldom stand still
            h.check(waits > (0.05 * n if py.version >= (3,) else 0), "%d of %d samples wait for the GIL" % (waits, n))
        else:
            h.check(waits == 0, "%d of %d samples wait for the GIL" % (waits, n))


def locks_later(py, make, engine):
    """the same of one that is idle when it is attached to: then nothing in memory names the thread that has the GIL"""
    cmd, env = make(py)
    with Standing(cmd + ["later"], env) as v:
        out = os.path.join(h.folder(), "x.pyspy")
        p = h.start_record(["-i", "-p", v.pid, "-r", 200, "-d", 5], out, engine=engine)
        time.sleep(1)
        v.p.stdin.write(b"x")
        v.p.stdin.flush()
        rec = h.finish_record(p, out, 60).rec
        has = sum(r.ns for r in rec.runs if r.gil) / 1e9
        h.note("%.1f s with the GIL" % has)
        h.check(has > 1, "%.1f s with the GIL, of 4" % has)


def copies(how):
    def make(py):
        folder = h.folder()
        exe = shutil.copy(os.path.realpath(py.path), folder)
        bend(exe, how)
        bend(shutil.copy(library(py), folder), how)
        return [exe, TARGET], dict(home(py), LD_LIBRARY_PATH=folder)
    return make


def copied(py):
    """a copy relocation: the variable that says who has the GIL is the program's"""
    folder, lib = h.folder(), library(py)
    exe = compile(folder, "program", PROGRAM, "-DCOPIED", "-fno-pic", "-no-pie", "-L" + os.path.dirname(lib), "-l:" + os.path.basename(lib), *LIBS)
    return [exe, TARGET], dict(home(py), LD_LIBRARY_PATH=os.path.dirname(lib))


def bare(py):
    """static, nothing exported, sstripped: the GIL by scan alone"""
    exe = compile(h.folder(), "program", PROGRAM, archive(py), *sites(py), *LIBS)
    bend(exe, "sstrip")
    return [exe, TARGET], home(py)


SHIM = r"""
#include <unistd.h>
int main(int argc, char **argv) { usleep(300000); return execv(argv[1], argv + 1); }
"""


def shim(py):
    exe = compile(h.folder(), "launch", SHIM)
    launched(py, [exe, "PYTHON"], "shim")


every = h.interpreters()
local = [p for p in every if p.kind == "pyenv" and library(p)]
few = {(2, 7), (3, 6), (3, 8), (3, 12), (3, 13)}
some = [p for p in local if FULL or p.version[:2] in few]
old = [p for p in local if p.version[:2] <= (3, 6)]
cases = []
for py in every if FULL else [p for p in every if p not in local or p.version[:2] not in few]:
    cases.append(("plain %s" % py, plain, py))
for i, py in enumerate(some):
    other = some[i - 1]
    cases.append(("stripped %s" % py, bent, py, "strip"))
    minor = py.version[:2]
    if FULL or minor in ((2, 7), (3, 8), (3, 13)):
        cases.append(("sstripped %s" % py, bent, py, "sstrip"))
    if FULL or minor in ((2, 7), (3, 12)):
        cases.append(("static, sstripped, not PIE %s" % py, static, py, "sstrip", "-no-pie"))
    if FULL or minor in ((3, 6), (3, 13)):
        cases.append(("hidden in a plugin, sstripped %s" % py, plugin, py, "sstrip"))
    if FULL or minor in ((2, 7), (3, 8)):
        cases.append(("linked, another name, stripped %s" % py, embedded, py, "linked", "strip"))
        cases.append(("dlopened, another name, in the second thread %s" % py, embedded, py, "dlopen", "strip", True))
        cases.append(("replaced, stripped %s" % py, deleted, py, "strip", other))
        cases.append(("deleted %s" % py, deleted, py, ""))
        cases.append(("another mount namespace %s" % py, mounted, py, other))
        cases.append(("pid namespace %s" % py, numbered, py))
        cases.append(("pid namespace, kernel %s" % py, numbered, py, "kernel"))
    if FULL:
        cases.append(("linked %s" % py, embedded, py, "linked"))
        cases.append(("dlopened %s" % py, embedded, py, "dlopen"))
        cases.append(("linked, another name, sstripped %s" % py, embedded, py, "linked", "sstrip"))
        for how in ("", "strip", "sstrip"):
            cases.append(("static, PIE, %s %s" % (how or "whole", py), static, py, how, "-pie"))
            cases.append(("hidden in a plugin, %s %s" % (how or "whole", py), plugin, py, how))
        cases.append(("static, exporting, stripped, not PIE %s" % py, static, py, "strip", "-no-pie", "-rdynamic"))
        cases.append(("deleted, sstripped %s" % py, deleted, py, "sstrip"))
    if FULL or minor == (3, 8):
        cases.append(("static C library, stripped %s" % py, static, py, "sstrip", "-static"))
for how in ("", "sstrip"):
    cases.append(("Debian's, %s" % (how or "as it is"), system, how))
for py in [p for p in every if p.root]:
    if FULL or py.version[:2] == (3, 14):
        cases.append(("in a container %s" % py, contained, py))
for py in old:
    cases.append(("GIL, stripped %s" % py, locks, py, copies("strip"), py.version >= (3,)))
    if FULL or py.version >= (3,):
        cases.append(("GIL, static, sstripped %s" % py, locks, py, bare, py.version >= (3,)))
    if FULL:
        cases.append(("GIL, copy relocation %s" % py, locks, py, copied))
        for engine in ("outside", "kernel"):
            cases.append(("GIL, static, sstripped, idle at first, %s %s" % (engine, py), locks_later, py, bare, engine))
        cases.append(("GIL %s" % py, locks, py, copies("")))
        cases.append(("GIL, sstripped %s" % py, locks, py, copies("sstrip"), py.version >= (3,)))
for py in [p for p in local if FULL or p.version[:2] == (3, 12)]:
    cases.append(("sh, then exec %s" % py, launched, py, ["sh", "-c", 'sleep 0.7; exec "$0" "$@"', "PYTHON"], "sh"))
    cases.append(("env %s" % py, launched, py, ["env", "A=b", "PYTHON"], "env"))
    cases.append(("a shim %s" % py, shim, py))
    cases.append(("-p of a shell that becomes it %s" % py, become, py, 'sleep 0.7; exec "$@"'))
for py in [p for p in local if FULL or p.version[:2] == (3, 8)]:
    cases.append(("-p of a shell that started it %s" % py, child, py))
    if FULL:
        cases.append(("deleted, for nobody, stripped %s" % py, nobody, py, "strip"))
for py in [p for p in local if p.version[:2] == (3, 13)]:
    cases.append(("a preview %s" % py, offsets, py, "CPython 3.15.0a7 is a preview", preview))
    if FULL:
        cases.append(("offsets that are nonsense %s" % py, offsets, py, "are not where they should be", nonsense))
        cases.append(("offsets that are wrong %s" % py, offsets, py, "cannot record", wrong))
        cases.append(("--wait for -p %s" % py, patient, py))
cases.append(("from memory", from_memory))
cases.append(("not Python", refused, ["sleep", "60"], "it is not Python", None, () if FULL else ("--wait", "300ms")))

if __name__ == "__main__":
    h.main(cases)

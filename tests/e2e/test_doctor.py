#!/usr/bin/env python3
# timeout: 120
"""Is the doctor right? Each case makes one thing that stands in the way, or does not, for real: users, capabilities,
namespaces, seccomp filters, protected, traced, ended processes. The doctor says whether the process can be recorded, and
then it is recorded: the two must agree, and the doctor must name what was made. Pairs run beside each other.

Yama is not in every kernel, and its highest value stays until the next boot: it is tried where it can be written, and by
scripts/test-kernels in kernels of Debian's, all values of it."""
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import harness as h

NOBODY, OTHER = 65534, 65533
YAMA = "/proc/sys/kernel/yama/ptrace_scope"
# works, and ends with the test, whoever was put between the two
WORK = """
import os, select
print('ready', os.getpid(), flush=True)
while not select.select([0], [], [], 0.001)[0]:
    sum(range(2000))
"""
# from here on system call NR is answered with ACTION; then a program takes the place of this one
FILTER = """
import ctypes, os, struct, sys
numbers, action = [int(n) for n in sys.argv[1].split(",")], int(sys.argv[2], 0)
code = [(0x20, 0, 0, 0)] + [line for n in numbers for line in ((0x15, 0, 1, n), (0x06, 0, 0, action))] + [(0x06, 0, 0, 0x7fff0000)]
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
class Program(ctypes.Structure):
    _fields_ = [("n", ctypes.c_ushort), ("code", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, ctypes.byref(Program(len(code), ctypes.addressof(text))), 0, 0):
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[3], sys.argv[3:])
"""
READV, PTRACE, BPF = 310, 101, 321  # x86_64
EPERM, ENOSYS, KILL = 0x50001, 0x50026, 0x80000000
PYTHON = next((p for p in (os.path.realpath(sys.executable), "/usr/bin/python3") if not p.startswith("/root")), "/usr/bin/python3")


def user(uid, *more):
    return ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"] + list(more)


def yama_now():
    try:
        with open(YAMA) as f:
            return int(f.read())
    except OSError:
        return 0


def filtered(numbers, action):
    return [PYTHON, "-c", FILTER, ",".join(str(n) for n in numbers), str(action)]


PEEK = user(OTHER, "--inh-caps", "+sys_ptrace", "--ambient-caps", "+sys_ptrace")  # may look at all, and load no eBPF programs


class Pair:
    """the doctor's word, and what recording then does"""

    def __init__(self, name, pid, prefix=PEEK, exe=None, can=True, problems=(), warnings=(), remedies=(), text=None, kernel=False, plain=False):
        """plain: nothing but being the same user lets us in, so yama can take it away"""
        if plain and yama_now() > 0:
            can, problems, warnings, remedies, text = False, ("yama" if pid else "own_processes",), (), (), None
        self.name, self.pid, self.prefix, self.exe = name, pid, list(prefix), exe or PLACE.exe
        self.can, self.problems, self.warnings, self.remedies = can, problems, warnings, remedies
        self.text = text
        self.engine = [] if kernel or h.FULL else ["--engine", "outside"]  # to load the kernel's programs is what takes long

    def run(self):
        which = ["-p", str(self.pid)] if self.pid else []
        got = subprocess.run(self.prefix + [self.exe, "doctor", "--json"] + which, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             cwd=PLACE.open, timeout=60)
        self.status, self.out, self.err = got.returncode, got.stdout.decode("utf-8", "strict"), got.stderr.decode()
        if self.pid:
            out = os.path.join(PLACE.open, re.sub(r"\W+", "-", self.name) + ".pyspy")
            got = subprocess.run(self.prefix + [self.exe, "-q", "-p", str(self.pid), "-d", "0.3", "-o", out] + self.engine, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, cwd=PLACE.open, timeout=60)
            self.recorded, self.words = got.returncode, got.stderr.decode()
            self.bytes = os.path.getsize(out) if os.path.exists(out) else 0
        return self

    def check(self):
        try:
            doc = self.doc = json.loads(self.out)
        except ValueError as e:
            raise h.Failure("no JSON (%s): status %d, %r %r" % (e, self.status, self.out[-200:], self.err[-300:]))
        found = {(f["group"], f["id"]): f for f in doc["findings"]}
        said = {level: {f["id"] for f in doc["findings"] if f["level"] == level} for level in ("ok", "warning", "problem")}
        verdict = doc["verdict"]
        h.check(verdict["can"] == self.can, "the doctor says %s: %s" % (verdict, said["problem"]))
        h.check(self.status == (0 if verdict["can"] else 1), "exit status %d for %s" % (self.status, verdict))
        h.check(bool(said["problem"]) != verdict["can"], "can is %s with problems %s" % (verdict["can"], said["problem"]))
        h.check(not self.err, "on stderr: %r" % self.err)
        if self.pid:
            h.check((self.recorded == 0) == verdict["can"], "the doctor says %s, recording ended with %d: %s" % (
                verdict["can"], self.recorded, self.words))
            h.check((self.bytes > 0) == verdict["can"], "%d bytes were recorded" % self.bytes)
        for want in self.problems:
            h.check(want in said["problem"], "no problem %r, but %s" % (want, said["problem"]))
        for want in self.warnings:
            h.check(want in said["warning"], "no warning %r, but %s" % (want, said["warning"]))
        told = {r["text"] for f in doc["findings"] if f["level"] != "ok" for r in f["remedies"]}
        for want in self.remedies:
            h.check(any(want in t for t in told), "no remedy with %r among %s" % (want, told))
        for f in doc["findings"]:
            h.check(f["fact"] and (f["level"] == "ok" or f["source"] or f["group"] == "features" or f["id"] == "other_users"), "half a finding: %s" % f)
        if self.text:
            h.check(any(re.search(self.text, f["fact"]) for f in doc["findings"] if f["level"] != "ok"),
                    "no fact that says %r: %s" % (self.text, [f["fact"] for f in doc["findings"] if f["level"] != "ok"]))
        return doc, found


class Place:
    """folders that every user may use, with the recorder in it"""

    def __init__(self):
        self.folder = h.folder()
        os.chmod(self.folder, 0o755)
        self.exe = self.copy("pyspy-record")
        self.open = os.path.join(self.folder, "open")
        os.mkdir(self.open)
        os.chmod(self.open, 0o1777)

    def copy(self, name, caps=None, source=h.RECORD):
        to = os.path.join(self.folder, name)
        shutil.copy(source, to)
        os.chmod(to, 0o755)
        if caps:
            subprocess.run(["setcap", caps, to], check=True, timeout=20)
        return to


def ready(cmd, **kw):
    """the pid that the target says"""
    p = h.start(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", **kw)
    words = p.stdout.readline().split()
    if not words or words[0] != b"ready":
        raise h.Failure("%s: said %r" % (cmd, words))
    return p, int(words[1])


def target(prefix=(), code="", **kw):
    return ready(list(prefix) + [PYTHON, "-c", code + WORK], **kw)[1]


def outer(p):
    """the target's pid as we count: of a command that started it in a pid namespace of its own"""
    with open("/proc/%d/task/%d/children" % (p.pid, p.pid)) as f:
        return int(f.read().split()[0])


def can_set_capabilities():
    try:
        PLACE.copy("tried", "cap_sys_ptrace+ep")
        return True
    except (OSError, subprocess.SubprocessError):
        return False


# ---------------------------------------------------------------- the cases

def pairs_of_users(out):
    mine, theirs = target(), target(user(NOBODY))
    out += [Pair("root", mine, (), kernel=True), Pair("root, another user", theirs, ()),
            Pair("the same user", theirs, user(NOBODY), plain=True, warnings=("cap_sys_ptrace", "kernel_engine")),
            Pair("another user", theirs, user(OTHER), can=False, problems=("user", "memory"), remedies=("sudo", "user whose")),
            Pair("root's", mine, user(NOBODY), can=False, problems=("user",), text="another user"),
            Pair("root without the capability", theirs, ["setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace"], can=False,
                 problems=("user",), remedies=("run pyspy-record on the host",), text="bounding set"),
            Pair("ambient capability", mine, user(NOBODY, "--inh-caps", "+sys_ptrace", "--ambient-caps", "+sys_ptrace"))]
    capable = target(user(NOBODY, "--inh-caps", "+net_raw", "--ambient-caps", "+net_raw"))
    out.append(Pair("more capable than we", capable, user(NOBODY), can=False, problems=("capabilities",), text="more than ours"))
    hidden = target(user(NOBODY), "import ctypes; ctypes.CDLL(None).prctl(4, 0)\n")
    out += [Pair("not dumpable", hidden, user(NOBODY), can=False, problems=("dumpable",), remedies=("sudo",), text="PR_SET_DUMPABLE"),
            Pair("not dumpable, capable", hidden)]
    copy = PLACE.copy("setuid-python", source=PYTHON)
    prefix = subprocess.run([PYTHON, "-c", "import sys; print(sys.base_prefix)"], stdout=subprocess.PIPE, timeout=20).stdout.decode().strip()
    os.chown(copy, OTHER, OTHER)
    os.chmod(copy, 0o4755)
    changed = ready(user(NOBODY) + [copy, "-c", WORK], env={"PYTHONHOME": prefix})[1]
    out += [Pair("setuid, as who started it", changed, user(NOBODY), can=False, problems=("user",)),
            Pair("setuid, as who it runs as", changed, user(OTHER), can=False, problems=("dumpable",)), Pair("setuid, capable", changed)]


def pairs_of_files(out):
    """capabilities of the recorder's own file, and what takes them away"""
    mine = target()
    if not can_set_capabilities():
        h.note("file capabilities cannot be set here")
        return
    ptrace = PLACE.copy("with-ptrace", "cap_sys_ptrace+ep")
    all_three = PLACE.copy("with-all", "cap_bpf,cap_perfmon,cap_sys_ptrace+ep")
    permitted = PLACE.copy("with-p", "cap_sys_ptrace+p")
    nosuid = os.path.join(PLACE.folder, "nosuid")
    os.mkdir(nosuid)
    mounted = ["unshare", "-m", "--propagation", "private", "sh", "-c",
               'mount --bind "$1" "$1" && mount -o remount,bind,nosuid "$1" && shift && exec "$@"', "sh", PLACE.folder]
    out += [Pair("capable file", mine, user(NOBODY), ptrace, warnings=("cap_bpf",)),
            Pair("file with all capabilities", mine, user(NOBODY), all_three, kernel=True),
            Pair("capable file, no_new_privs", mine, user(NOBODY) + ["setpriv", "--no-new-privs"], ptrace, can=False, problems=("user",),
                 warnings=("file_capabilities", "no_new_privs"), text="no effect: no_new_privs"),
            Pair("capable file, nosuid", mine, mounted + user(NOBODY), ptrace, can=False, problems=("user",), warnings=("file_capabilities",),
                 remedies=("without nosuid",), text="no effect: .*nosuid"),
            Pair("capable file, without +e", mine, user(NOBODY), permitted, can=False, problems=("user",), warnings=("file_capabilities",),
                 remedies=("setcap",), text=r"\+ep")]


def pairs_of_namespaces(out):
    theirs = target(user(NOBODY))
    p, _ = ready(["unshare", "-p", "-f", "--mount-proc", PYTHON, "-c", WORK])
    inner = outer(p)
    out.append(Pair("pid namespace", inner, ()))
    proc = ["unshare", "-m", "--propagation", "private", "sh", "-c", 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', "sh"]
    out += [Pair("hidepid", theirs, proc + user(OTHER), can=False, problems=("process",), warnings=("hidepid",), text="hidepid"),
            Pair("hidepid, the same user", theirs, proc + user(NOBODY), plain=True, warnings=("hidepid",)),
            Pair("hidepid, capable", theirs, proc + PEEK)]
    if subprocess.run(user(NOBODY) + ["unshare", "-U", "-r", "true"], stderr=subprocess.DEVNULL, timeout=20).returncode:
        h.note("users may not make user namespaces here")
    else:
        inner = target(user(NOBODY) + ["unshare", "-U", "-r"])
        out += [Pair("user namespace, capable", inner), Pair("user namespace, who made it", inner, user(NOBODY)),
                Pair("user namespace, another user", inner, user(OTHER), can=False, problems=("user",)),
                Pair("from a user namespace", theirs, user(NOBODY) + ["unshare", "-U", "-r"], can=False, problems=("user_namespace",),
                     warnings=("user_namespace",), text="do not count outside"),
                Pair("from a user namespace without users", theirs, user(NOBODY) + ["unshare", "-U"], can=False, problems=("user_namespace",))]
    chroots = [py for py in h.interpreters() if py.root and py.version >= (3, 8)]
    if chroots:
        script = os.path.join(h.folder(), "work.py")
        with open(script, "w") as f:
            f.write(WORK)
        p, _ = ready(chroots[0].argv(script))
        out.append(Pair("chroot", p.pid))


def pairs_of_filters(out):
    mine, me = target(), user(NOBODY)
    theirs = target(me)
    for name, action in (("EPERM", EPERM), ("ENOSYS", ENOSYS), ("kill", KILL)):
        out.append(Pair("no process_vm_readv: " + name, mine, PEEK + filtered([READV], action), can=False, problems=("memory",),
                        warnings=("seccomp", "own_processes"), remedies=("seccomp=unconfined",)))
        out.append(Pair("nothing at all: " + name, 0, PEEK + filtered([READV], action), can=False, problems=("own_processes", "started_programs")))
    out += [Pair("no ptrace", mine, filtered([PTRACE], EPERM), warnings=("stop",), kernel=True),
            Pair("no ptrace, no kernel engine", theirs, me + filtered([PTRACE], EPERM), plain=True, warnings=("stop", "stops")),
            Pair("no bpf: ENOSYS", mine, filtered([BPF], ENOSYS), warnings=("kernel_engine",), kernel=True),
            Pair("bpf kills", mine, filtered([BPF], KILL), can=False, kernel=True, problems=("kernel_engine",), remedies=("--engine outside",))]


def pairs_of_processes(out):
    sleeper = h.start(["sleep", "1000"]).pid
    out.append(Pair("not Python", sleeper, can=False, problems=("python",), text="not Python"))
    zombie = h.start(["true"])
    h.wait_for("a zombie", lambda: h.process_state(zombie.pid) == "Z")
    out.append(Pair("zombie", zombie.pid, can=False, problems=("process",), text="has ended"))
    gone = subprocess.Popen(["true"])
    gone.wait(20)
    out.append(Pair("gone", gone.pid, can=False, problems=("process",), text="there is no process"))
    if open("/proc/2/comm").read() == "kthreadd\n":
        out.append(Pair("kernel thread", 2, can=False, problems=("process",), text="thread of the kernel"))
    pid = target(code="import threading, time\nt = threading.Thread(target=time.sleep, args=(1000,), daemon=True); t.start()\n")
    out.append(Pair("the number of a thread", h.tids(pid)[1]))
    if shutil.which("strace"):
        p, pid = ready(user(NOBODY) + ["strace", "-qq", "-e", "trace=none", "-o", "/dev/null", PYTHON, "-c", WORK])
        out += [Pair("traced", pid, ()), Pair("traced, no kernel engine", pid, user(NOBODY), plain=True, warnings=("tracer", "stops"), text="strace")]
    hostile = "import ctypes; ctypes.CDLL(None).prctl(15, b'\\x1b[31m\\n\"<\\xff')\n"
    out.append(Pair("hostile name", target(code=hostile)))
    stopped = target()
    os.kill(stopped, 19)
    out.append(Pair("stopped", stopped))


def pairs_of_nobody(out):
    """without a pid"""
    out += [Pair("here", 0, ()), Pair("here, an ordinary user", 0, user(NOBODY), plain=True, warnings=("other_users", "kernel_engine", "priority"), remedies=("setcap", "cap_bpf")),
            Pair("here, in a user namespace", 0, ["unshare", "-U", "-r"], warnings=("user_namespace",))]


def check_pair(pair):
    doc, found = pair.check()
    name = pair.name
    if pair.pid:
        h.check(doc["pid"] == pair.pid, "pid %s" % doc["pid"])
    if pair.pid and pair.can:
        h.check(doc["python"]["version"] and doc["features"]["lines"], "no Python: %s" % doc["python"])
    if name == "hostile name":
        h.check("\x1b" not in pair.out, "an escape in the JSON")
        text = subprocess.run([PLACE.exe, "doctor", "-p", str(pair.pid)], stdout=subprocess.PIPE, timeout=60).stdout.decode("utf-8", "strict")
        h.check("\x1b" not in text and "\\x1b[31m" in text, "the name in the text: %r" % text[:2000])
    if name == "here":
        h.check(doc["machine"]["other_users"] and doc["machine"]["own_processes"] and doc["python"] is None, "%s" % doc["machine"])
        h.check(doc["schema_version"] == 1, "schema %s" % doc["schema_version"])
    if name == "here, an ordinary user":
        h.check(not doc["machine"]["other_users"] and doc["machine"]["own_processes"] == (yama_now() == 0), "%s" % doc["machine"])
    if name in ("pid namespace", "chroot"):
        other = [i for i in ("pid_namespace", "mount_namespace") if "another one" in found["process", i]["fact"]]
        h.check("mount_namespace" in other and (name == "chroot" or "pid_namespace" in other), "namespaces: %s" % other)


def versions(few):
    """what is said of each Python is what it says of itself"""
    for py in h.interpreters():
        if not h.FULL and (py.version[:2], py.build) not in few:
            continue
        script = os.path.join(h.folder(), "word.py")
        with open(script, "w") as f:
            f.write("import sys, time, threading\nt = threading.Thread(target=time.sleep, args=(1000,)); t.daemon = True; t.start()\n"
                    "print('ready %d %s %d' % (__import__('os').getpid(), sys.version.split()[0], hasattr(sys, 'gettotalrefcount')))\n"
                    "sys.stdout.flush()\nwhile True:\n    time.sleep(0.01)\n")
        p = h.start(py.argv(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        words = p.stdout.readline().decode().split()
        got = subprocess.run([PLACE.exe, "doctor", "--json", "-p", str(p.pid)], stdout=subprocess.PIPE, timeout=60)
        doc = json.loads(got.stdout.decode())
        said, features = doc["python"] or {}, doc["features"] or {}
        h.check(got.returncode == 0 and said.get("version") == words[2], "%s: said %s: %s" % (py, said, doc["verdict"]))
        h.check(("debug" in said["build"]) == (words[3] == "1"), "%s: build %s" % (py, said["build"]))
        h.check(said["free_threaded"] == py.free_threaded and said["threads"] == 2 and said["interpreters"] == 1, "%s: %s" % (py, said))
        new, musl = py.version >= (3, 11), bool(py.root and "musl" in os.path.basename(py.root))
        stripped = py.version < (3, 0) and bool(py.root) and not py.debug  # Debian's: README.md, "Which Pythons"
        for feature, want in (("lines", True), ("names", True), ("columns", new), ("qualified_names", new), ("thread_names", True),
                              ("gil_holder", not py.free_threaded), ("collector", not py.free_threaded and not stripped),
                              ("gil_waiters", not py.free_threaded and not stripped and not musl), ("thread_ids", True)):
            h.check(features[feature] == want, "%s: %s is %s" % (py, feature, features[feature]))
        h.stop(p)


def yama():
    """every value but the highest, which stays until the next boot"""
    try:
        with open(YAMA) as f:
            was = f.read().strip()
        with open(YAMA, "w") as f:
            f.write(was)
    except OSError as e:
        raise h.Skip("no yama that can be set: %s" % e)
    if was == "3":
        raise h.Skip("yama is 3 until the next boot")
    theirs = target(user(NOBODY))
    allowed = target(user(NOBODY), "import ctypes; ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1))\n")
    try:
        for value, can in ((0, True), (1, False), (2, False)):
            with open(YAMA, "w") as f:
                f.write(str(value))
            for pair in (Pair("yama %d" % value, theirs, user(NOBODY), can=can, problems=() if can else ("yama",)),
                         Pair("yama %d, root" % value, theirs),
                         Pair("yama %d, allowed" % value, allowed, user(NOBODY), can=value < 2),
                         Pair("yama %d, here" % value, 0, user(NOBODY), can=can, problems=() if can else ("own_processes",))):
                pair.run().check()
    finally:
        with open(YAMA, "w") as f:
            f.write(was)


def usage():
    for words, status, say in ((["-h"], 0, "Examples:"), (["-p", "x"], 2, "not a process id"), (["4711"], 2, "-p PID"), (["--nope"], 2, "--help"),
                               (["-p", "1", "-p", "2"], 2, "second process"), (["-V"], 0, "pyspy-record")):
        got = subprocess.run([h.RECORD, "doctor"] + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        h.check(got.returncode == status and say in (got.stdout + got.stderr).decode(), "%s: %d %r" % (words, got.returncode, got.stderr))
    with open("/dev/full", "w") as full:
        got = subprocess.run([h.RECORD, "doctor"], stdout=full, stderr=subprocess.PIPE, timeout=60)
    h.check(got.returncode == 1 and b"No space left" in got.stderr, "a full disk: %d %r" % (got.returncode, got.stderr))


def main():
    cases = [("usage", usage), ("versions", versions, (((2, 7), "release"), ((3, 8), "release"), ((3, 12), "release"), ((3, 14), "freethreaded"))),
             ("yama", yama)]
    if os.geteuid() != 0:
        print("the cases with users and namespaces want root")
    else:
        pairs = []
        for make in (pairs_of_processes, pairs_of_users, pairs_of_files, pairs_of_namespaces, pairs_of_filters, pairs_of_nobody):
            make(pairs)
        if len(sys.argv) > 1:
            pairs = [p for p in pairs if re.search(sys.argv[1], p.name)]
        pairs.sort(key=lambda p: p.name != "not Python")  # the slow one first
        begin = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(Pair.run, pairs))
        print("  %d pairs: %.1f s" % (len(pairs), time.monotonic() - begin))
        cases = [(p.name, check_pair, p) for p in pairs] + cases
    h.main(cases)


PLACE = Place()
if __name__ == "__main__":
    main()

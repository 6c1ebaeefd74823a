"""What a recorder does to a target, as strace saw it: `watch` records under strace, `judge` says what should not be."""
import os
import re
import shutil
import struct
from collections import Counter

import harness as h

# calls by which one process can change another, or its threads
CALLS = ("ptrace,process_vm_writev,process_madvise,open,openat,openat2,creat,write,pwrite64,writev,pwritev,pwritev2,kill,tkill,tgkill,"
         "rt_sigqueueinfo,rt_tgsigqueueinfo,pidfd_send_signal,pidfd_getfd,prlimit64,sched_setaffinity,sched_setattr,sched_setparam,"
         "sched_setscheduler,setpriority,ioprio_set,move_pages,migrate_pages,setpgid,process_mrelease,set_robust_list")
READS = {"PTRACE_SEIZE", "PTRACE_INTERRUPT", "PTRACE_DETACH", "PTRACE_GETREGSET"}  # what of ptrace writes nothing


def need_strace():
    if not shutil.which("strace"):
        raise h.Skip("no strace here: scripts/install-deps check")


def strace(argv, out):
    return ["strace", "-f", "-y", "-qq", "-s", "64", "-e", "trace=" + CALLS, "-e", "signal=none", "-o", out] + argv


def helpers(path):
    """the kernel's functions that an eBPF object calls, by number: of each section with instructions, each call"""
    with open(path, "rb") as f:
        elf = f.read()
    at, = struct.unpack_from("<Q", elf, 0x28)
    size, n = struct.unpack_from("<HH", elf, 0x3A)
    out = Counter()
    for i in range(n):
        kind, flags, _, begin, length = struct.unpack_from("<IQQQQ", elf, at + i * size + 4)
        for k in range(begin, begin + length, 8) if kind == 1 and flags & 4 else ():
            code, registers, _, immediate = struct.unpack_from("<BBhi", elf, k)
            if code == 0x85 and registers >> 4 == 0:
                out[immediate] += 1
    return out


class Touches:
    """calls: all that were seen; wrong: those that change the target; ptraced: tid -> requests"""

    def __init__(self, path, pid):
        tids, self.calls, self.wrong, self.ptraced = set(h.tids(pid)) | {pid}, 0, [], {}
        with open(path, errors="replace") as f:
            for line in f:
                m = re.match(r"\d+ +(\w+)\((.*)", line)
                if not m:
                    continue
                self.calls += 1
                if self.is_wrong(m.group(1), m.group(2), tids):
                    self.wrong.append(line.strip()[:200])

    def is_wrong(self, call, rest, tids):
        words = [re.sub(r"<.*", "", w) for w in re.split(r"[,)] *", rest)]
        numbers = {int(w) for w in words if re.match(r"-?\d+$", w)}
        if call == "ptrace":
            self.ptraced.setdefault(int(words[1]), Counter())[words[0]] += 1
            return words[0] not in READS
        if call in ("open", "openat", "openat2", "creat"):  # nothing of /proc may be opened for writing
            return "/proc/" in rest and (call == "creat" or not re.search(r"O_RDONLY", rest) or re.search(r"O_WRONLY|O_RDWR", rest))
        if "write" in call and call != "process_vm_writev":
            return re.match(r"\d+<(/proc|pidfd)", rest) is not None
        if call in ("prlimit64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "setpgid"):
            return int(words[0]) in tids
        return True if call.startswith(("process_", "move_", "migrate_", "pidfd_")) else bool(numbers & tids)

    def asked_to_stop(self):
        return {tid for tid, n in self.ptraced.items() if n["PTRACE_SEIZE"] or n["PTRACE_INTERRUPT"]}


def watch(pid, seconds, args, engine="outside"):
    need_strace()
    if engine == "kernel":
        h.need_kernel()
    folder = h.folder()
    log, out = os.path.join(folder, "strace"), os.path.join(folder, "x.pyspy")
    argv = [h.RECORD, "-o", out, "-p", str(pid), "-d", str(seconds)] + [str(a) for a in args]
    if "--blocking" not in args:
        argv += ["--engine", engine]
    p = h.start(strace(argv, log), cpu=h.RECORD_CPU, stderr=h.subprocess.PIPE)
    r = h.finish_record(p, out, seconds * 10 + 60)
    h.sound(r.rec)
    return r, Touches(log, pid)

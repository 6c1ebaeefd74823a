# parallel
# timeout: 7200
# (l) Line tables: linetable_find against the interpreter's own word (PyCode_Addr2Line, dis, co_lines, co_positions,
# f_lineno of frames that run) on every offset of the code objects of its standard library and of made-up tables: no
# difference. Quick: a random part of the library, the seed is printed (PYSPY_SEED=N repeats it). Full: all of it.
import os
import random
import re
import struct
import subprocess

import harness as h

SEED = int(os.environ.get("PYSPY_SEED") or random.SystemRandom().randrange(1 << 31))
QUICK_BYTES = 1500000  # of source, all interpreters together
ENOUGH = {0: (5000, 500000) if h.FULL else (30, 3000), 1: (50, 2500)}  # by group: codes, offsets
LIMIT = 3600 if h.FULL else 120
GROUPS = ("library", "made up")
ADDR2LINE, DIS, CO_LINES, CO_POSITIONS, FRAME = range(5)
SOURCES = ("PyCode_Addr2Line", "dis", "co_lines", "co_positions", "f_lineno")
DUMP = os.path.join(h.HERE, "linetable_dump.py")


class Interpreter:
    def __init__(self, version, path, kind, root="-", build="-"):
        self.version = tuple(int(w) for w in re.findall(r"\d+", version)[:2])
        self.name = "-".join([version, kind] + [w for w in (build,) if w != "-"])
        self.command = ([] if root == "-" else ["chroot", root]) + [path]


def interpreters():
    """all of PYSPY_PYTHONS, any version: lines VERSION PATH KIND [ROOT BUILD]"""
    text = os.environ.get("PYSPY_PYTHONS")
    if text is None:
        text = subprocess.run([os.path.join(h.ROOT, "scripts", "get-pythons")], stdout=subprocess.PIPE,
                              universal_newlines=True, timeout=900).stdout
    found = [line.split() for line in text.splitlines()]
    only = os.environ.get("PYSPY_ONLY", "")
    return [Interpreter(*w[:5]) for w in found if len(w) >= 3 and w[2] != "shim" and w[0].startswith(only)]


def build_checker():
    out = os.path.join(h.folder(), "linetable_check")
    rooms = os.path.join(h.ROOT, "pyspy-record", "python")
    tables = sorted(os.path.join(rooms, n) for n in os.listdir(rooms) if re.match(r"linetable.*\.c$", n))
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"] if h.FULL else []
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-O2", "-g"] + flags + ["-D_GNU_SOURCE", "-I" + h.ROOT, "-o", out,
                    os.path.join(h.HERE, "linetable_check.c")] + tables, check=True, timeout=120)
    return out


def dump_command(py, n_bytes):
    return py.command + ["-E", "-W", "ignore", "-", str(SEED), str(n_bytes)]


def compare(py, checker, n_bytes):
    """the interpreter's dump goes through a pipe: in full it is gigabytes"""
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    with open(DUMP, "rb") as script:
        dump = subprocess.Popen(dump_command(py, n_bytes), stdin=script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    check = subprocess.Popen([checker], stdin=dump.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    dump.stdout.close()
    try:
        text, differences = check.communicate(timeout=LIMIT)
        said = dump.communicate(timeout=30)[1].decode("utf-8", "replace").strip()
    finally:
        for p in (dump, check):
            if p.poll() is None:
                p.kill()
                p.wait()
    h.check(dump.returncode == 0, "%s: the dump failed with %d: %s" % (py.name, dump.returncode, said[-2000:]))
    h.check(check.returncode == 0, "%s: linetable_check: exit status %d: %s" % (py.name, check.returncode, differences[:4000].strip()))
    rows = {}
    for line in text.splitlines():
        group, source, codes, offsets, none, different = map(int, line.split())
        rows[group, source] = codes, offsets, different
        if offsets:
            h.note("%-8s %-17s %7d codes %10d offsets (%d without a line), %d different" % (
                GROUPS[group], SOURCES[source] + ":", codes, offsets, none, different))
        h.check(different == 0, "%s: %s: %d of %d offsets differ" % (py.name, SOURCES[source], different, offsets))
    h.note(said.splitlines()[-1] if said else "no word from the dump")
    wanted = [CO_LINES] if py.version >= (3, 10) else [DIS]
    if py.version >= (3, 11):
        wanted.append(CO_POSITIONS)
    if "NO CTYPES" not in said:
        wanted.append(ADDR2LINE)
    for group in range(len(GROUPS)):
        for source in wanted:
            codes, offsets, _ = rows.get((group, source), (0, 0, 0))
            h.check(codes >= ENOUGH[group][0] and offsets >= ENOUGH[group][1], "%s: %s, %s: only %d offsets of %d codes compared" % (
                py.name, GROUPS[group], SOURCES[source], offsets, codes))
    h.check(rows.get((0, FRAME), (0, 0, 0))[1] >= 300, "%s: only %d frames" % (py.name, rows.get((0, FRAME), (0, 0, 0))[1]))


def judge(checker, data):
    return subprocess.run([checker], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT).returncode


def changed(data, change):
    """a dump with each code's head (group, kind, first line ...) and table as `change` makes them"""
    out, at = bytearray(data), 0
    while data[at:at + 4] == b"code":
        head = list(struct.unpack_from("<IIiIII", data, at + 4))
        begin, n_table, n_name, blocks = at + 28, head[3], head[4], head[5]
        table = bytearray(data[begin:begin + n_table])
        change(head, table)
        struct.pack_into("<IIiIII", out, at + 4, *head)
        out[begin:begin + n_table] = table
        at = begin + n_table + n_name
        for _ in range(blocks):
            count, width = struct.unpack_from("<II", data, at + 12)
            at += 20 + 4 * count * width
    if data[at:at + 4] != b"end.":
        raise h.Failure("the dump cannot be read")
    return bytes(out)


def sees_differences(py, checker):
    """what the checker must not let pass"""
    with open(DUMP, "rb") as script:
        data = subprocess.run(dump_command(py, 1), stdin=script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT).stdout

    def other_kind(head, table):
        head[1] = (head[1] + 1) % 4

    def next_line(head, table):
        head[2] += 1

    def other_byte(head, table):
        if table:
            table[len(table) // 2] ^= 1
    h.check(judge(checker, changed(data, lambda head, table: None)) == 0, "a dump as it was does not pass")
    for what, change in (("kind", other_kind), ("first line", next_line), ("byte of the table", other_byte)):
        h.check(judge(checker, changed(data, change)) == 1, "another %s passes" % what)
    h.check(judge(checker, data[:-8]) == 2 and judge(checker, data[:len(data) // 2]) == 2 and judge(checker, b"") == 2, "a cut dump passes")


found = interpreters()
if not found:
    raise SystemExit("no interpreters: run scripts/get-pythons, or set PYSPY_PYTHONS")
part = 0 if h.FULL else min(max(QUICK_BYTES // len(found), 60000), 300000)
print("seed %d; %s" % (SEED, "%d bytes of source for each" % part if part else "everything"), flush=True)
program = build_checker()
h.main([("the checker itself", sees_differences, found[0], program)] +
       [(py.name, compare, py, program, part) for py in found])

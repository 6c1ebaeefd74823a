"""usage: PYTHON linetable_dump.py SEED BYTES

What this interpreter says about the lines of code objects, for linetable_check.c (the format is told there), on stdout:
all code objects of its standard library (of a random part with BYTES bytes of source where BYTES is not 0), made-up
tables, and frames that run. Counts go to stderr. Written for every CPython from 2.3 on.
"""
import os
import random
import struct
import sys

try:
    import ctypes
    addr2line = ctypes.pythonapi.PyCode_Addr2Line
    addr2line.argtypes = [ctypes.py_object, ctypes.c_int]
    addr2line.restype = ctypes.c_int
except Exception:
    addr2line = None
import dis

VERSION = sys.version_info[:2]
KIND = (VERSION >= (3, 6)) + (VERSION >= (3, 10)) + (VERSION >= (3, 11))
RANGES, LOCATIONS = 2, 3
ADDR2LINE, DIS, CO_LINES, CO_POSITIONS, FRAME = 0, 1, 2, 3, 4
LIBRARY, MADE = 0, 1
NONE = -2 ** 31
NOT_STARTED = 2 ** 32 - 1

out = os.fdopen(1, "wb")
n_codes = 0


def pack(form, *words):
    return struct.pack("<" + form, *words)


def empty():
    return pack("")


def join(parts):
    return empty().join(parts)


def octets(numbers):
    return join([pack("B", n & 255) for n in numbers])


def table_of(code):
    if KIND >= RANGES:
        return code.co_linetable
    return code.co_lnotab


def line_or_none(line):
    """from 3.10 on a line below 0 is none: frame.f_lineno"""
    if line is None or (KIND >= RANGES and line < 0):
        return NONE
    return line


def block(source, start, step, width, numbers):
    return pack("IIIII", source, start, step, len(numbers) // width, width) + pack("%di" % len(numbers), *numbers)


def code_record(group, code, blocks):
    global n_codes
    n_codes = n_codes + 1
    table = table_of(code)
    name = repr((code.co_filename, code.co_name)).encode("ascii", "backslashreplace") + octets([0])
    out.write(pack("4sIIiIII", octets(map(ord, "code")), group, KIND, code.co_firstlineno, len(table), len(name), len(blocks)))
    out.write(table)
    out.write(name)
    for b in blocks:
        out.write(b)


def by_addr2line(code):
    n = len(code.co_code)
    blocks = [block(ADDR2LINE, 0, 1, 1, [line_or_none(addr2line(code, i)) for i in range(n)]),
              block(ADDR2LINE, NOT_STARTED, 0, 1, [addr2line(code, -1), addr2line(code, -2)])]
    if KIND < RANGES:  # later ones may assert that the code is not left
        more = [n, n + 1, n + 2, n + 255, n + 100000, 2 ** 31 - 1]
        blocks.extend([block(ADDR2LINE, i, 0, 1, [addr2line(code, i)]) for i in more])
    return blocks


def by_dis(code):
    starts = dict(list(dis.findlinestarts(code)))
    lines, line = [], code.co_firstlineno
    for i in range(len(code.co_code)):
        line = starts.get(i, line)
        lines.append(line)
    return [block(DIS, 0, 1, 1, lines)]


def by_co_lines(code):
    lines = []
    for start, end, line in code.co_lines():
        if start != len(lines):
            raise ValueError("co_lines leaves a gap")
        lines.extend([line_or_none(line)] * (end - start))
    return [block(CO_LINES, 0, 1, 1, lines)]


def by_co_positions(code):
    numbers = []
    for line, end_line, column, end_column in code.co_positions():
        if line_or_none(line) == NONE:
            numbers.extend((NONE, NONE, NONE, NONE))
            continue
        for number in (line, end_line, column, end_column):
            if number is None:
                number = NONE
            numbers.append(number)
    return [block(CO_POSITIONS, 0, 2, 4, numbers)]


def say(group, code):
    blocks = []
    if addr2line:
        blocks.extend(by_addr2line(code))
    if KIND < RANGES and hasattr(dis, "findlinestarts"):
        blocks.extend(by_dis(code))
    if KIND >= RANGES:
        blocks.extend(by_co_lines(code))
    if KIND >= LOCATIONS:
        blocks.extend(by_co_positions(code))
    code_record(group, code, blocks)


# ---------------------------------------------------------------- the standard library

def sources():
    found = []
    for folder, folders, names in os.walk(os.path.dirname(os.__file__)):
        for other in ("site-packages", "dist-packages", "__pycache__"):
            if other in folders:
                folders.remove(other)
        found.extend([os.path.join(folder, name) for name in names if name.endswith(".py")])
    found.sort()
    return found


def codes_of(code):
    todo = [code]
    while todo:
        code = todo.pop()
        yield code
        todo.extend([c for c in code.co_consts if type(c) is type(code)])


def say_library(chance, budget):
    files = sources()
    n_files, all_files, failed, size = 0, len(files), 0, 0
    if budget:
        chance.shuffle(files)
    for path in files:
        f = open(path, "rb")
        text = f.read()
        f.close()
        if budget and (len(text) > budget // 4 or size + len(text) > budget):
            continue  # not all on one table of data
        size = size + len(text)
        newline = octets([10])
        try:
            code = compile(text.replace(octets([13, 10]), newline) + newline, path, "exec", 0, 1)
        except Exception:  # sources that are wrong on purpose, or of another version
            failed = failed + 1
            continue
        n_files = n_files + 1
        for c in codes_of(code):
            say(LIBRARY, c)
        if budget and size > budget * 0.9:
            break
    sys.stderr.write("; %d of %d files, %d bytes, %d do not compile" % (n_files, all_files, size, failed))


# ---------------------------------------------------------------- tables that no compiler would make

def template(a):
    b = a + 1
    return b


def with_table(table, first_line):
    c = (lambda f: getattr(f, "__code__", None) or f.func_code)(template)
    if hasattr(c, "replace"):
        if KIND >= RANGES:
            return c.replace(co_code=c.co_code * 50, co_linetable=table, co_firstlineno=first_line)
        return c.replace(co_code=c.co_code * 50, co_lnotab=table, co_firstlineno=first_line)
    args = [c.co_argcount]
    if VERSION >= (3, 0):
        args.append(c.co_kwonlyargcount)
    args.extend([c.co_nlocals, c.co_stacksize, c.co_flags, c.co_code * 50, c.co_consts, c.co_names, c.co_varnames,
                 c.co_filename, c.co_name, first_line, table])
    return type(c)(*args)


def varint(number):
    numbers = []
    while number >= 64:
        numbers.append(64 | (number & 63))
        number = number >> 6
    return numbers + [number]


def signed(number):
    if number < 0:
        return varint(-number << 1 | 1)
    return varint(number << 1)


def location(chance):
    kind, n = chance.randrange(16), chance.randrange(8)
    numbers = [128 | kind << 3 | n]
    step = chance.choice([0, 1, -1, 31, 32, -31, -32, -33, 1000, -1000, 2047, 2048, 100000, -100000, chance.randrange(-5, 6)])
    if kind < 10:
        numbers.append(chance.randrange(128))
    elif kind < 13:
        numbers.extend([chance.randrange(128), chance.randrange(128)])
    elif kind < 15:
        numbers.extend(signed(step))
        if kind == 14:
            numbers.extend(varint(chance.choice([0, 1, 63, 64, 5000])))
            if chance.randrange(4):
                numbers.extend(varint(1 + chance.randrange(5000)) + varint(1 + chance.randrange(5000)))
            else:
                numbers.extend([0, 0])
    return numbers


def pair(chance):
    length = chance.choice([0, 0, 1, 2, 2, 4, 6, 50, 254, 255, chance.randrange(256)])
    if KIND == RANGES:
        length = length & 254  # in whole instructions
    return [length, chance.choice([0, 1, 1, 2, 127, 128, 128, 129, 254, 255, chance.randrange(256)])]


def say_made(chance, rounds):
    for i in range(rounds):
        numbers = []
        for k in range(chance.choice([1, 2, 5, 20, 100])):
            if KIND == LOCATIONS:
                numbers.extend(location(chance))
            else:
                numbers.extend(pair(chance))
        if KIND == RANGES:  # 3.10 would read on after one of no length; and some code lies beyond the table
            numbers.extend([2, 1])
        if KIND < RANGES and i % 10 == 0:
            numbers = numbers[:-1]
        say(MADE, with_table(octets(numbers), chance.choice([1, 10, 300, 500000, 500000])))
    if KIND != RANGES:
        say(MADE, with_table(empty(), 7))


# ---------------------------------------------------------------- frames that run

seen = {}


def profile(frame, event, arg):
    while frame is not None:
        key = (frame.f_code, frame.f_lasti)
        if key in seen:
            break
        seen[key] = frame.f_lineno
        frame = frame.f_back


def numbers_from(n):
    for i in range(n):
        yield (i,
               n)


def work():
    import difflib
    import pprint
    import textwrap
    import tokenize
    f = open(os.path.join(os.path.dirname(os.__file__), "textwrap.py"), "rb")
    text = f.read().decode("latin-1")
    f.close()
    lines = text.split("\n")
    list(difflib.ndiff(lines[:30], lines[5:40]))
    textwrap.fill(text, 60)
    pprint.pformat([{"a": [i] * 20, "b": lines[:5]} for i in range(5)])
    reader = iter([line + "\n" for line in lines])
    for token in tokenize.generate_tokens(lambda: next_or_nothing(reader)):
        pass
    g = numbers_from(3)
    profile(g.gi_frame, "", None)  # a frame that has not started
    for x in g:
        profile(g.gi_frame, "", None)


def next_or_nothing(reader):
    for line in reader:
        return line
    return ""


def say_frames():
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    for (code, lasti), line in seen.items():
        if lasti < 0:
            lasti = NOT_STARTED
        if line is None:
            line = NONE
        code_record(LIBRARY, code, [block(FRAME, lasti, 0, 1, [line])])
    sys.stderr.write("%d places of frames, %d of them not started" % (len(seen), len([1 for code, lasti in seen if lasti < 0])))


def main():
    seed, budget = int(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)
    say_frames()
    say_made(chance, budget and 50 or 1000)
    say_library(chance, budget)
    out.write(pack("4sI", octets(map(ord, "end.")), n_codes))
    out.close()
    if not addr2line:
        sys.stderr.write("; NO CTYPES")
    sys.stderr.write("\n")


if __name__ == "__main__":
    main()

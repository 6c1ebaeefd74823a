# -*- coding: utf-8 -*-
# Threads, functions, modules and files of many names, each of which the program tells as it sees it. For 2.3 and later.
#
#   names.py FOLDER     prints `ready PID`, then what is there, then `end`; on `rename` changes the names of threads and
#                       starts some more, and tells it all again
#
# A text is printed as u:CODEPOINT,... or, the bytes of a 2.x str, as b:HEX.
import os
import sys
import threading
import time

PY3 = sys.version_info[0] >= 3
if PY3:
    unichr, unicode = chr, str
truth = {}  # ident -> frames, outermost first
lock = threading.Lock()


def wide(*codes):
    """-> a text, also of 2.x builds with 2 bytes a character"""
    if PY3 or sys.maxunicode > 0xffff:
        return unicode("").join([unichr(c) for c in codes])
    out = unicode("")
    for c in codes:
        if c > 0xffff:
            out += unichr(0xd800 + (c - 0x10000 >> 10)) + unichr(0xdc00 + (c & 0x3ff))
        else:
            out += unichr(c)
    return out


def told(text):
    if isinstance(text, unicode):
        return "u:" + ",".join(["%x" % ord(c) for c in text])
    if isinstance(text, str):
        return "b:" + "".join(["%02x" % ord(c) for c in text])
    return "-"


def park():
    frames, f = [], sys._getframe()
    while f is not None:
        code = f.f_code
        frames.append((getattr(code, "co_qualname", code.co_name), code.co_filename, f.f_globals.get("__name__")))
        f = f.f_back
    frames.reverse()
    lock.acquire()
    truth[get_ident()] = frames
    lock.release()
    while True:
        time.sleep(0.05)


def get_ident():
    return getattr(threading, "get_ident", None) and threading.get_ident() or thread.get_ident()


if not PY3:
    import thread

ALPHA, HAN, SMILE, DESERET = 0x3b1, 0x6f22, 0x1f600, 0x10400
if PY3:
    NAMES = ["plain", wide(0x63, 0x61, 0x66, 0xe9, 0xff), wide(ALPHA, 0x20, HAN), wide(SMILE, 0x20, 0x78), wide(0xd800, 0x79, 0xdcff),
             wide(0xd83d, 0xde00), "n" * 300, wide(*[0xe9] * 300), wide(*[HAN] * 300), wide(*[SMILE] * 300), "", "a\0b", "line\nbreak",
             "x" * 4000]
else:
    NAMES = ["plain", "caf\xc3\xa9", "caf\xe9\xff", "\xed\xa0\x80", "\xf0\x9f\x98\x80 x", "n" * 300, "", "a\0b", "x" * 4000, wide(0x61),
             wide(0x61, 0x62), wide(ALPHA, 0x20, HAN), wide(SMILE, 0x20, 0x78), wide(0x79, 0xd800), wide(*[HAN] * 300), wide(), wide(0xe9)]
if PY3:
    # function, class or "", file, module
    PLACES = [("plain", "", "/nowhere/plain.py", "plain"),
              (wide(0x67, 0x72, 0xf6, 0xdf, 0x65), "", wide(*[ord(c) for c in "/nowhere/caf"] + [0xe9]), wide(0x6d, 0xf6)),
              (wide(ALPHA, HAN), wide(0x41a, 0x43b), wide(0x2f, HAN), wide(ALPHA, 0x2e, HAN)),
              (wide(DESERET, 0x78), "", wide(0x2f, SMILE), wide(SMILE)),
              ("f", "C", wide(0x2f, 0xdcff, 0xd800), wide(0xd800)),
              ("f" * 300, "C" * 300, "/" + "d" * 3000, "m" * 300),
              (wide(*[HAN] * 300), "", wide(*[SMILE] * 300), wide(*[0xe9] * 300)),
              ("nameless", "", "", None), ("number", "", "<string>", 7)]
else:
    PLACES = [("plain", "", "/nowhere/plain.py", "plain"), ("gr\xc3\xb6\xc3\x9fe", "", "/nowhere/caf\xc3\xa9", "m\xc3\xb6"),
              ("f\xe9", "", "/nowhere/caf\xe9", "\xff"), ("f", "C", "/\xed\xa0\x80\xf0\x9f\x98", wide(ALPHA, 0x2e, SMILE)),
              ("f" * 300, "C" * 300, "/" + "d" * 3000, "m" * 300), ("nameless", "", "", None), ("number", "", "<string>", 7)]


class Text(str):
    pass


def raw_text(text):
    """a str that has nothing but a wchar_t text, as the old C API makes them: 3.3 to 3.11; else None"""
    if not (3, 3) <= sys.version_info < (3, 12):
        return None
    try:
        import ctypes
    except ImportError:
        return None
    api = ctypes.pythonapi
    api.PyUnicode_FromUnicode.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
    api.PyUnicode_FromUnicode.restype = ctypes.py_object
    api.PyUnicode_AsUnicode.argtypes = [ctypes.py_object]
    api.PyUnicode_AsUnicode.restype = ctypes.c_void_p
    import warnings
    warnings.simplefilter("ignore")
    new = api.PyUnicode_FromUnicode(None, len(text))
    to = (ctypes.c_uint32 * len(text)).from_address(api.PyUnicode_AsUnicode(new))
    for i, c in enumerate(text):
        to[i] = ord(c)
    return new


def function(name, of, file, module, folder):
    """a function of this name, in a class of that name, that calls what it is given"""
    if PY3:
        source = "def %s(go):\n go()\n return 1\n" % name
        if of:
            source = "class %s:\n def %s(go):\n  go()\n  return 1\n" % (of, name)
        space = {"__name__": module}
        if module is None:
            del space["__name__"]
        exec(compile(source, file, "exec"), space)
        return getattr(space[of], name) if of else space[name]
    space = {}
    exec(compile("def f(go):\n go()\n return 1\n", "x", "exec"), space)
    c = space["f"].func_code
    code = type(c)(c.co_argcount, c.co_nlocals, c.co_stacksize, c.co_flags, c.co_code, c.co_consts, c.co_names, c.co_varnames, file, name,
                   c.co_firstlineno, c.co_lnotab, c.co_freevars, c.co_cellvars)
    space = {"__builtins__": __builtins__}
    if module is not None:
        space["__name__"] = module
    return type(park)(code, space)


def imported(folder):
    """a function of a module that lies in a file, both of names that are not ASCII"""
    if PY3:
        name = wide(0x6d, 0xf6, 0x64, ALPHA, DESERET)
        path = os.path.join(folder, wide(0x64, HAN))
    else:
        name, path = "plainmodule", os.path.join(folder, "d\xe9\xc3\xa9")
    os.mkdir(path)
    f = open(os.path.join(path, name + ".py"), "w")
    f.write("def inside(go):\n    go()\n    return 1\n")
    f.close()
    sys.path.append(path)
    return __import__(name).inside


threads = []  # thread, its name as we know it


def begin(name, f):
    t = threading.Thread(target=f, args=(park,))
    getattr(t, "setDaemon", lambda on: setattr(t, "daemon", on))(True) if not PY3 else setattr(t, "daemon", True)
    call(t, name)
    before = len(truth)
    t.start()
    threads.append(t)
    while len(truth) == before:
        time.sleep(0.001)


names = {}


def call(t, name, as_object=None):
    if PY3:
        if as_object is not None:
            t._name = as_object
        else:
            t.name = name
    elif isinstance(name, unicode):
        t._Thread__name = name
    else:
        t.setName(name)
    names[t] = name


def ident_of(t):
    for ident, one in threading._active.items():
        if one is t:
            return ident


def tell():
    out = []
    for t in threads:
        ident = ident_of(t)
        out.append(" ".join(["thread", "%x" % (ident & 0xffffffffffffffff), told(names[t])] +
                            ["|".join([told(x) for x in frame]) for frame in truth[ident]]))
    for what in ("prefix", "base_prefix"):
        out.append("%s %s" % (what, told(getattr(sys, what, ""))))
    for p in sys.path:
        out.append("path " + told(p))
    sys.stdout.write("\n".join(out + ["end"]) + "\n")
    sys.stdout.flush()


def main():
    folder = sys.argv[1]
    sys.path.append(wide(0x2f, ALPHA, SMILE))
    sys.path.append(7)
    functions = [function(*place + (folder,)) for place in PLACES] + [imported(folder)]
    for i in range(max(len(NAMES), len(functions))):
        begin(NAMES[i % len(NAMES)], functions[i % len(functions)])
    if PY3:
        begin("x", functions[0])
        call(threads[-1], "derived", Text("derived"))
        text = wide(0x72, ALPHA, SMILE)
        raw = raw_text(text)
        if raw is not None:
            begin("x", functions[0])
            call(threads[-1], text, raw)
    sys.stdout.write("ready %d\n" % os.getpid())
    tell()
    while True:
        line = sys.stdin.readline()
        if line.strip() != "rename":
            break
        for i, t in enumerate(threads):
            if i % 3 == 0:
                old = names[t]
                call(t, old[1:] + old[:1] if i % 2 else NAMES[(i + 1) % len(NAMES)])
        for i in range(3):
            begin(NAMES[i], functions[i])
        tell()


main()

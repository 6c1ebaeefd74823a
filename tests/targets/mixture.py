# -*- coding: utf-8 -*-
"""mixture.py: what the support matrix (tests/e2e/matrix.py) records; runs on every CPython from 2.3 to 3.15.

Threads park in known places. Then `ready PID` is printed and what the interpreter itself says of all threads, a line each,
fields between tabs:
    version HEXVERSION BUILD(bit 0 debug, 1 free-threaded) GIL(1, 0)
    thread IDENT TID NAME             NAME: threading's, `-` = threading does not know it
    frame NAME FILE FIRST-LINE LINE MODULE POSITION     of the thread before it, outermost first; POSITION: END-LINE:COL:END-COL or -
    end
A line `busy SECONDS` on stdin: work with known shares, then `account A B CALLS` (CPU seconds in work_A and in work_B) and the
main thread parks again where it was. Behind `# ->` stand the functions that a line may call; lib: of another file.
"""
import os
import random
import sys
import time
import threading
try:
    import thread
except ImportError:
    import _thread as thread

tids = {}  # ident -> tid
frames = {}  # ident -> a frame that goes on running; for 2.3 and 2.4, which have no sys._current_frames
clock = getattr(time, "process_time", None) or time.clock  # CPU time
never = threading.Event()
pipe_out, pipe_in = os.pipe()
lock = thread.allocate_lock()
lock.acquire()


def gettid():
    if hasattr(threading, "get_native_id"):
        return threading.get_native_id()
    try:
        import ctypes
        return ctypes.CDLL(None).syscall(186)
    except ImportError:
        return int(os.readlink("/proc/thread-self").split("/")[-1])


def register():
    tids[thread.get_ident()] = gettid()


def put(text):
    if not isinstance(text, str) or sys.version_info[0] > 2:
        text = text.encode("utf-8", "surrogateescape")
    while text:
        text = text[os.write(1, text):]


# ---------------------------------------------------------------- places to park in

class Place(object):
    def down(self, n):
        if n:
            return self.down(
                n - 1)
        return self.read()

    def read(self):
        frames[thread.get_ident()] = sys._getframe()
        return os.read(
            pipe_out,
            1)


def wait():
    register()
    call = lambda x: \
        never.wait()
    call(1)


def read():
    register()
    Place().down(7)


def steps(n):
    for i in range(n):
        yield sleep(i)


def sleep(i):
    def inner():
        frames[thread.get_ident()] = sys._getframe()
        time.sleep(100000)
    inner()


def generate():
    register()
    return [x for x in [list(steps(3)) for i in range(2)]]


SOURCE = """

def acquire():
  if 1:
    frames[get_ident()] = _getframe(); lock.acquire(
        1)

class Body:
  acquire()
"""


def execute():
    register()
    space = {"lock": lock, "frames": frames, "get_ident": thread.get_ident, "_getframe": sys._getframe, "__name__": "made.up"}
    exec(compile(SOURCE, "/no/such/file.py", "exec"), space)


# ---------------------------------------------------------------- work

def leaf_A(n):
    x = 0
    for i in range(n):
        x += i
    return x


def leaf_B(n):
    x = 0
    for i in range(n):
        x += i
    return x


def down_A(n):
    return leaf_A(n)  # -> leaf_A


def down_B(n):
    return leaf_B(n)  # -> leaf_B


def shared(f, n):
    return through(f, n)  # -> through


def through(f, n):
    return f(n)  # -> down_A down_B


def work_A(calls):
    for i in range(calls):
        shared(down_A, 40)  # -> shared


def work_B(calls):
    for i in range(calls):
        shared(down_B, 40)  # -> shared


def busy(seconds):
    spent = [0.0, 0.0]
    calls = 0
    end = time.time() + seconds
    now = clock()
    while time.time() < end:
        n, m = random.randint(8, 48), random.randint(4, 20)  # -> lib
        begin = clock()
        work_A(n)  # -> work_A
        middle = clock()
        work_B(m)  # -> work_B
        now = clock()
        spent[0] += middle - begin
        spent[1] += now - middle
        calls += n + m
    put("account\t%f\t%f\t%d\n" % (spent[0], spent[1], calls))


# ---------------------------------------------------------------- what the interpreter says

def position(code, lasti, cache={}):
    if not hasattr(code, "co_positions"):
        return None
    if code not in cache:
        cache[code] = list(code.co_positions())
    p = cache[code]
    if 0 <= lasti // 2 < len(p):
        return p[lasti // 2]
    return None


def walk(frame):
    out = []
    while frame is not None:
        code = frame.f_code
        p, where = position(code, frame.f_lasti), "-"
        if p and p[2] is not None:
            where = "%d:%d:%d" % (p[1], p[2], p[3])
        name = getattr(code, "co_qualname", code.co_name)
        out.append((name, code.co_filename, code.co_firstlineno, frame.f_lineno, frame.f_globals.get("__name__"), where))
        frame = frame.f_back
    out.reverse()
    return out


def snapshot():
    if hasattr(sys, "_current_frames"):
        now = sys._current_frames()
    else:
        now = frames
    names = {}
    for ident, t in list(threading._active.items()):
        names[ident] = getattr(t, "name", None) or t.getName()
    me = thread.get_ident()
    out = []
    for ident, frame in now.items():
        stack = []
        if ident != me:
            stack = walk(frame)
        out.append((ident, names.get(ident, "-"), stack))
    out.sort()
    return out


def speak():
    register()
    before = None
    while 1:
        time.sleep(0.15)
        now = snapshot()
        if now == before and len(now) == PLACES + 2 and len(tids) == PLACES + 2:
            break
        before = now
    gil = 1
    if hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled():
        gil = 0
    build = hasattr(sys, "gettotalrefcount") + 2 * ("t" in getattr(sys, "abiflags", ""))
    put("ready %d\nversion\t%d\t%d\t%d\n" % (os.getpid(), sys.hexversion, build, gil))
    for ident, name, stack in now:
        put("thread\t%d\t%d\t%s\n" % (ident, tids[ident], name))
        for f in stack:
            put("frame\t%s\t%s\t%d\t%d\t%s\t%s\n" % f)
    put("end\n")
    never.wait()


def park():
    frames[thread.get_ident()] = sys._getframe()
    line = os.read(0, 100)
    return line.split()


def start(f, name):
    t = threading.Thread(target=f)
    if hasattr(t, "name"):  # since 2.6
        t.name, t.daemon = name or t.name, True
    else:
        t.setName(name or t.getName())
        t.setDaemon(1)
    t.start()


PLACES = 4


def main():
    register()
    for f, name in ((wait, "waiter"), (read, "läser"), (generate, ""), (execute, None), (speak, "speaker")):
        if name is None:
            thread.start_new_thread(f, ())
        else:
            start(f, name)
    while 1:
        words = park()  # -> park
        if not words:
            os._exit(0)
        busy(float(words[1]))  # -> busy


main()  # -> main

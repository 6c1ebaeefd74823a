"""Threads that know when they hold the GIL, and when the collector runs (Python 2.7, 3.x).

gilwork.py FOLDER KIND ...    one thread each, which notes in FOLDER/NUMBER, a line each, when (CLOCK_REALTIME) a call
began and ended during which it certainly had the GIL
spin    computes: has the GIL, or waits for it; notes nothing
hold    in C code that keeps the GIL (usleep by PyDLL) for 10 ms, asleep without it for 15 ms
free    the same in C code that lets go of it (CDLL): notes nothing
gc      collects a large graph (the call), then sleeps
own.*   the same in an interpreter of its own that has its own GIL (3.12 and later)
"""
import os
import sys
import threading
import time

WORK = r"""
import gc, time
from functools import partial
from operator import methodcaller
def timed(call):
    # all in C: nobody gets the GIL between the clocks and the call
    begin, _, end = map(methodcaller("__call__"), (time.time, call, time.time))
    return begin, end
def spin(f):
    n = 0
    while True:
        for i in range(1000):
            n += i
def rounds(call, pause, f):
    while True:
        begin, end = timed(call)
        if f:
            f.write("%.6f %.6f\n" % (begin, end))
            f.flush()
        time.sleep(pause)
def hold(f):
    import ctypes
    rounds(partial(ctypes.PyDLL(None).usleep, 10000), 0.015, f)
def free(f):
    import ctypes
    rounds(partial(ctypes.CDLL(None).usleep, 10000), 0.015, None)
def collect(f):
    gc.disable()
    graph = [[i] for i in range(100000)]
    for i, x in enumerate(graph):
        x.append(graph[i - 1])
    rounds(gc.collect, 0.02, f)
"""
FUNCTIONS = {"spin": "spin", "hold": "hold", "free": "free", "gc": "collect"}
tids = []


def tid():
    try:
        return threading.get_native_id()
    except AttributeError:  # before 3.8
        return int(os.readlink("/proc/thread-self").rsplit("/", 1)[1])


def run(kind, path):
    work = {}
    exec(WORK, work)
    with open(path, "w") as f:
        tids.append(tid())
        work[FUNCTIONS[kind]](f)


def run_own(kind, path):
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    tids.append(tid())
    i = interpreters.create()
    interpreters.run_string(i, "%s\n%s(open(%r, 'w'))" % (WORK, FUNCTIONS[kind], path))


def main():
    folder = sys.argv[1]
    for n, kind in enumerate(sys.argv[2:]):
        own, kind = kind.startswith("own."), kind.split(".")[-1]
        t = threading.Thread(target=run_own if own else run, args=(kind, os.path.join(folder, str(n))), name="%d %s" % (n, kind))
        t.daemon = True
        t.start()
        while len(tids) <= n:
            time.sleep(0.01)
    time.sleep(0.3)
    print("ready %d %s" % (os.getpid(), " ".join(str(t) for t in tids)))
    sys.stdout.flush()
    sys.stdin.read()


main()

"""Threads inside several interpreters (3.6 and later).

(nothing)              two threads that each run an interpreter of their own, which sleeps
busy                   the same, and they compute
nested [WORD ...]      main_outer runs interpreter A, whose a_outer, a_inner run B, whose b_outer, b_inner sleep;
                       swap: B was made before A; thread: not in the main thread; busy: b_inner computes
churn                  interpreters that come and go for ever, each computes 5 to 15 ms in c_outer, c_inner
many N                 N interpreters that nobody is in
"""
import os
import sys
import threading
import time

try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        interpreters = None  # before 3.8: each call makes one of its own

RUN = """
try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        interpreters = None
def run(i, text):
    if interpreters:
        interpreters.run_string(i, text)
    else:
        import _testcapi
        _testcapi.run_in_subinterp(text)
"""
HOST = """
import time
def sub_outer_%d():
    return sub_inner_%d()
def sub_inner_%d():
    if %r:
        while True:
            sum(range(1000))
    time.sleep(100000)
sub_outer_%d()
"""
INNER = """
import time
def b_outer():
    return b_inner()
def b_inner():
    while True:
        sum(range(1000)) if %r else time.sleep(100000)
b_outer()
"""
OUTER = RUN + """
def a_outer():
    return a_inner()
def a_inner():
    run(%r, %r)
a_outer()
"""
SHORT = """
import time
def c_outer():
    return c_inner()
def c_inner():
    end = time.time() + %r
    while time.time() < end:
        sum(range(100))
c_outer()
"""
exec(RUN)
tids = []


def tid():
    try:
        return threading.get_native_id()
    except AttributeError:  # before 3.8
        return int(os.readlink("/proc/thread-self").rsplit("/", 1)[1])


def create():
    return interpreters.create() if interpreters else 0


def ready():
    print("ready", os.getpid(), *tids, flush=True)


def host(n):
    tids.append(tid())
    run(create(), HOST % (n, n, n, "busy" in sys.argv, n))


def hosts():
    for n in (1, 2):
        threading.Thread(target=host, args=(n,), name="host %d" % n, daemon=True).start()
        while len(tids) < n:
            time.sleep(0.01)
        time.sleep(0.7)
    ready()
    threading.Event().wait()


def main_outer(a, b):
    tids.append(tid())
    ready()  # now: where they share a GIL an interpreter that computes does not hear that another one wants it (up to 3.11)
    run(a, OUTER % (int(b), INNER % ("busy" in sys.argv)))


def nested():
    a, b = create(), create()
    if "swap" in sys.argv:
        a, b = b, a
    if "thread" in sys.argv:
        threading.Thread(target=main_outer, args=(a, b), daemon=True).start()
        threading.Event().wait()
    main_outer(a, b)


def churn_host():
    n = 0
    while True:
        n += 1
        i = create()
        run(i, SHORT % (0.005 + 0.005 * (n % 3)))
        if interpreters:
            interpreters.destroy(i)


def churn():
    threading.Thread(target=threading.Event().wait, name="sleeper", daemon=True).start()
    tids.append(os.getpid())
    ready()
    churn_host()


def many():
    kept = [create() for _ in range(int(sys.argv[2]))]
    tids.append(os.getpid())
    ready()
    threading.Event().wait()
    return kept


{"nested": nested, "churn": churn, "many": many}.get((sys.argv + [""])[1], hosts)()

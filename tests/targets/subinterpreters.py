"""Two threads that each run another interpreter, parked or (`busy`) computing; `none` where this Python cannot."""
import os
import sys
import threading
import time

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

CODE = """
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
tids = []


def host(n):
    tids.append(threading.get_native_id())
    i = interpreters.create()
    interpreters.run_string(i, CODE % (n, n, n, len(sys.argv) > 1, n))


for n in (1, 2):
    threading.Thread(target=host, args=(n,), name="host %d" % n, daemon=True).start()
    while len(tids) < n:
        time.sleep(0.01)
    time.sleep(0.7)
print("ready", os.getpid(), *tids, flush=True)
threading.Event().wait()

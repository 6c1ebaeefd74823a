"""cthreads.py LIBRARY: threads that C code made (cthreads.c); the third one calls `called` from time to time."""
import ctypes
import os
import sys
import time


def called():
    return inner_called()


def inner_called():
    end = time.time() + 0.02
    while time.time() < end:
        sum(range(100))


library = ctypes.CDLL(sys.argv[1])
callback = ctypes.CFUNCTYPE(None)(called)
library.begin(callback)
time.sleep(0.5)
tids = (ctypes.c_int * 3).in_dll(library, "cthreads_tids")
print("ready %d %s" % (os.getpid(), " ".join(map(str, tids))))
sys.stdout.flush()
sys.stdin.read()

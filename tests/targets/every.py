"""every: what the targets need and old versions lack. Runs on 2.7 and on 3.3 and later, and is one frame deep at most."""
from __future__ import print_function

import ctypes
import sys
import threading
import time

CLOCK_BOOTTIME = 7
SYS_GETTID = 186  # x86_64
libc = ctypes.CDLL(None)


class Timespec(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_long), ("ns", ctypes.c_long)]


def clock_by_hand(kind, libc=ctypes.CDLL(None), byref=ctypes.byref):
    t = Timespec()
    libc.clock_gettime(kind, byref(t))
    return t.sec + t.ns / 1e9


clock_gettime = getattr(time, "clock_gettime", clock_by_hand)
native_id = getattr(threading, "get_native_id", lambda: libc.syscall(SYS_GETTID))


def wall():
    return clock_gettime(CLOCK_BOOTTIME)


def say(*words):
    print(*words)
    sys.stdout.flush()


def start(target, args=(), name=None):
    t = threading.Thread(target=target, args=args, name=name)
    t.daemon = True
    t.start()
    return t


def switch_often():
    getattr(sys, "setswitchinterval", lambda seconds: sys.setcheckinterval(10))(0.0005)


def switch_never():
    getattr(sys, "setswitchinterval", lambda seconds: sys.setcheckinterval(1 << 30))(1000)


def run(coroutine):
    import asyncio
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # up to 3.7 gather() asks for the thread's own
    loop.run_until_complete(coroutine)


def for_this_version(source):
    """source as this version can compile it, line for line"""
    if sys.version_info < (3, 3):
        source = source.replace("yield from g4_", "for x in g4_").replace("(cb)  # -> g4_", "(cb): yield x  # -> g4_")
    return source

# -*- coding: utf-8 -*-
"""A process to make a core of: threads that stand, one that computes; it says what is true of them, and dies if told to.

cores.py FILE: writes FILE (JSON) and prints `ready PID`. {"threads": [[ident, name, [[file, line, function, {variable:
repr}], ...]], ...]} of the threads that stand; the innermost frame first. Then a word on stdin: native, or segv, abort, fpe, in the main thread or, with
"thread-" before it, in another one: what that one's frames are is added (FILE.crash) before it happens.
"""
import json
import os
import resource
import signal
import sys
import threading
import time

try:
    import faulthandler
except ImportError:  # 2.7
    faulthandler = None

lock = threading.Lock()
lock.acquire()
go = threading.Event()
word = [""]


class Plain(object):
    def __init__(self):
        self.kind, self.size = "plain", 12


def by_lock(depth, text):
    values = {"k": [1, 2, (3.5, None)], "text": text}
    if depth:
        return by_lock(depth - 1, text + "x")
    lock.acquire()
    return values


def by_event(number):
    big = 2 ** 100 + number
    wait = threading.Event()
    wait.wait()
    return big


def by_sleep(data):
    some = [n * n for n in range(5)]
    time.sleep(100000)
    return some, data


def spin():
    while True:
        pass


def native():
    """abort() in a thread that C code made and Python knows nothing of"""
    import ctypes
    libc, thread = ctypes.CDLL(None), ctypes.c_ulong()
    libc.pthread_create(ctypes.byref(thread), None, ctypes.cast(libc.abort, ctypes.c_void_p), None)
    time.sleep(60)


def die(how):
    if how == "native":
        native()
    if how == "abort":
        os.abort()
    number = signal.SIGFPE if how == "fpe" else signal.SIGSEGV
    try:
        import ctypes
    except ImportError:
        ctypes = None
    if how == "segv" and ctypes:  # not faulthandler._sigsegv, which sees to it that no core is written
        ctypes.string_at(0)
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.current_thread().ident, number)
    os.kill(os.getpid(), number)


def crasher():
    go.wait()
    crash(word[0])


def frames(f):
    out = []
    while f is not None:
        known = {}
        for k, v in f.f_locals.items():
            if isinstance(v, (int, float, str, list, dict, tuple, bytes)) and f.f_code.co_name != "<module>":
                known[k] = repr(v)
        out.append([f.f_code.co_filename, f.f_lineno, f.f_code.co_name, known])
        f = f.f_back
    return out


def write(path, what):
    with open(path + ".new", "w") as f:
        json.dump(what, f)
    os.rename(path + ".new", path)


def crash(how):
    write(sys.argv[1] + ".crash", frames(sys._getframe().f_back))
    die(how)


def stand(threads):
    """until nothing moves any more"""
    was = None
    while True:
        time.sleep(0.02)
        now = sys._current_frames()
        now = [[t.ident, t.name, frames(now[t.ident])] for t in threads]
        if now == was and all(len(t[2]) > 3 for t in now):
            return now
        was = now


def main():
    os.chdir(os.path.dirname(sys.argv[1]))  # where cores come to lie
    most = resource.getrlimit(resource.RLIMIT_CORE)[1] if os.getuid() else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    threads = [threading.Thread(target=by_lock, args=(k, "text-%d" % k), name="lock %d" % k) for k in range(3)]
    threads.append(threading.Thread(target=by_event, args=(7,), name="waits \xfc \u20ac" if sys.version_info[0] > 2 else "waits"))
    threads.append(threading.Thread(target=by_sleep, args=((1, "two"),), name='"sleeper"; \n'))
    more = [threading.Thread(target=spin, name="spinner"), threading.Thread(target=crasher, name="crasher")]
    for t in threads + more:
        t.daemon = True
    for t in threads:
        t.start()
    truth = stand(threads)
    for t in more:
        t.start()
    if faulthandler:
        faulthandler.enable(all_threads=True)
    write(sys.argv[1], {"threads": truth})
    print("ready %d" % os.getpid())
    sys.stdout.flush()
    word[0] = sys.stdin.readline().strip()
    if word[0].startswith("thread-"):
        word[0] = word[0][len("thread-"):]
        go.set()
        time.sleep(60)
    elif word[0]:
        crash(word[0])


if __name__ == "__main__":
    main()

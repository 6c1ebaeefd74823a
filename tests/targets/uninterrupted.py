"""uninterrupted.py SECONDS: results that a stop in the wrong place would change.

Threads sleep, select, poll, wait with timeouts, ask C functions that do not retry after EINTR, take signals from a timer,
pass numbers through a pipe, and compute. At the end one line of JSON: what each saw. `bad` must be empty; `eintr` counts C
calls that were interrupted (in a thread that takes no signals), which only a stop can do.
"""
import ctypes
import hashlib
import json
import os
import select
import signal
import sys
import threading
import time

SECONDS = float(sys.argv[1])
EXIT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
libc = ctypes.CDLL(None, use_errno=True)
bad, seen = [], {}
end = time.monotonic() + SECONDS
BLOCKED = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}


def guarded(f):
    def run():
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
        n = 0
        try:
            while time.monotonic() < end:
                n += f() or 1
        except Exception as e:
            bad.append("%s: %r" % (f.__name__, e))
        seen[f.__name__] = n
    return threading.Thread(target=run, name=f.__name__)


def timed(name, least, f, want):
    t = time.monotonic()
    got = f()
    took = time.monotonic() - t
    if took < least - 0.0002 or got != want:
        bad.append("%s: %r after %.6f s" % (name, got, took))


def sleeps():
    timed("sleep", 0.003, lambda: time.sleep(0.003), None)


def selects():
    timed("select", 0.002, lambda: select.select([r2], [], [], 0.002), ([], [], []))


def polls():
    p = select.poll()
    p.register(r2)
    timed("poll", 0.002, lambda: p.poll(2), [])


def waits():
    timed("wait", 0.002, lambda: threading.Event().wait(0.002), False)


eintr = {}


def c_call(name, f):
    if f() == -1 and ctypes.get_errno() == 4:
        eintr[name] = eintr.get(name, 0) + 1


class Timespec(ctypes.Structure):
    _fields_ = [("s", ctypes.c_long), ("ns", ctypes.c_long)]


def c_nanosleep():
    t = Timespec(0, 3000000)
    c_call("nanosleep", lambda: libc.nanosleep(ctypes.byref(t), None))


def c_epoll():
    buf = ctypes.create_string_buffer(64)
    c_call("epoll_wait", lambda: libc.epoll_wait(epoll.fileno(), buf, 1, 3))


def c_usleep():
    c_call("usleep", lambda: libc.usleep(3000))


r, w = os.pipe()
r2, w2 = os.pipe()
epoll = select.epoll()
epoll.register(r2)
total = [0, 0]


def write_numbers():
    n = 0
    while time.monotonic() < end:
        for _ in range(50):
            os.write(w, n.to_bytes(8, "little"))
            n += 1
        time.sleep(0.0005)
    os.close(w)
    total[0] = n
    return n


def read_numbers():
    buf, n = b"", 0
    while True:
        piece = os.read(r, 4096)
        if not piece:
            break
        buf += piece
        while len(buf) >= 8:
            if int.from_bytes(buf[:8], "little") != n:
                bad.append("pipe: %d is not %d" % (int.from_bytes(buf[:8], "little"), n))
            buf, n = buf[8:], n + 1
    total[1] = n
    return n


def hashes():
    h = hashlib.sha256()
    for i in range(400):
        h.update(b"%d" % i)
    if h.hexdigest()[:16] != EXPECTED:
        bad.append("hash")


_h = hashlib.sha256()
for _i in range(400):
    _h.update(b"%d" % _i)
EXPECTED = _h.hexdigest()[:16]

signals = [0]


def on_alarm(number, frame):
    signals[0] += 1


def main():
    signal.signal(signal.SIGALRM, on_alarm)
    threads = [guarded(f) for f in (sleeps, selects, polls, waits, c_nanosleep, c_epoll, c_usleep, write_numbers, read_numbers, hashes)]
    for t in threads:
        t.start()
    print("ready", os.getpid(), flush=True)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    while time.monotonic() < end:
        timed("main sleep", 0.007, lambda: time.sleep(0.007), None)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for t in threads:
        t.join()
    if total[0] != total[1]:
        bad.append("pipe: %s" % total)
    if signals[0] < SECONDS * 5:
        bad.append("%d signals in %g s" % (signals[0], SECONDS))
    print(json.dumps(dict(bad=bad[:20], eintr=eintr, seen=seen, signals=signals[0])), flush=True)
    sys.exit(EXIT)


main()

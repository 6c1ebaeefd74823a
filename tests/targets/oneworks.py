"""oneworks.py: the main thread works in Python, 9 others sleep for ever, in 8 kinds of calls. Prints `ready PID`."""
import os
import select
import socket
import sys
import threading
import time

held = threading.Lock()
held.acquire()
r, w = os.pipe()
a, b = socket.socketpair()
event, condition, never = threading.Event(), threading.Condition(), threading.Thread(target=held.acquire)


def wait_for_condition():
    with condition:
        condition.wait()


SLEEPS = [lambda: time.sleep(10 ** 6), held.acquire, event.wait, wait_for_condition, never.join,
          lambda: select.select([r], [], []), lambda: os.read(r, 1), lambda: a.recv(1)]


def add(n):
    return n + 1


def work(n):
    for _ in range(1000):
        n = add(n)
    return n


def settled():
    """all but this one have stopped to use the CPU"""
    def used():
        return [open("/proc/self/task/%s/schedstat" % t).read() for t in os.listdir("/proc/self/task") if int(t) != os.getpid()]
    before = None
    while before != used():
        before = used()
        time.sleep(0.05)


if __name__ == "__main__":
    never.daemon = True
    never.start()
    for f in SLEEPS[:]:
        t = threading.Thread(target=f)
        t.daemon = True
        t.start()
    settled()
    print("ready %d" % os.getpid())
    sys.stdout.flush()
    while True:
        work(0)

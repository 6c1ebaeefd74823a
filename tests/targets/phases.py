"""Threads that go through the same phases together, a barrier between each two. At one moment they are all in one phase, or
some in the next one already: a picture that shows two phases apart was not taken at one moment.

phases.py THREADS: prints `ready PID` once its main thread sleeps (for ever, without the GIL), runs until it is killed.
"""
import os
import sys
import threading
import time

N = int(sys.argv[1])
LOCK = threading.Lock()
turns = [0] * N
SLEEPS = ("23", "35", "230", "270")  # select, nanosleep, clock_nanosleep, pselect6
go = []


def wait_for_others(me, turn):
    turns[me] = turn
    while min(turns) < turn:
        pass


def work(x):
    for i in range(30):
        x = x * 31 + i & 0xFFFF
    return x


def phase_0(me, turn):
    work(1)
    wait_for_others(me, turn)


def phase_1(me, turn):
    work(2)
    wait_for_others(me, turn)


def phase_2(me, turn):
    work(3)
    wait_for_others(me, turn)


def phase_3(me, turn):
    work(4)
    wait_for_others(me, turn)


def phase_4(me, turn):
    work(5)
    wait_for_others(me, turn)


def main_sleeps():
    with open("/proc/%d/syscall" % os.getpid()) as f:
        return f.read().split()[0] in SLEEPS


def run(me):
    while not (go if me else main_sleeps()):
        time.sleep(1e-3)
    if me == 0:
        sys.stdout.write("ready %d\n" % os.getpid())
        sys.stdout.flush()
        go.append(me)
    turn = 0
    while True:
        for phase in (phase_0, phase_1, phase_2, phase_3, phase_4):
            turn += 1
            phase(me, turn)


if hasattr(sys, "setswitchinterval"):
    sys.setswitchinterval(1e-4)
else:
    sys.setcheckinterval(10)
for i in range(N):
    t = threading.Thread(target=run, args=(i,), name="runner-%d" % i)
    t.daemon = True
    t.start()
time.sleep(1e6)  # 2.7's Event.wait would look every 50 ms

"""rhythm.py SHAPE ...: programs whose work has a rhythm, and which know by their own clock how much of it was where.

    tick PHASE     wakes PHASE ms after each multiple of 4 ms of CLOCK_MONOTONIC, works 1 ms in first, 1 ms in second
    profiled       computes in base; a SIGPROF handler works for 1 ms at each tick of ITIMER_PROF
    bursts US      sleeps for 0.2 ms, then works US us in each of first, second, third
On a line of input it answers {function: CPU seconds so far}.
"""
import json
import os
import select
import signal
import sys
import threading
import time

total = dict(first=0.0, second=0.0, third=0.0, base=0.0, handler=0.0)
cpu = time.thread_time


def spin(until):
    x = 0
    while cpu() < until:
        x += 1
    return x


def first(until):
    spin(until)


def second(until):
    spin(until)


def third(until):
    spin(until)


def base(until):
    spin(until)


def handler(number, frame):
    begin = cpu()
    spin(begin + 0.001)
    total["handler"] += cpu() - begin


def work(functions, seconds):
    for f in functions:
        begin = cpu()
        f(begin + seconds)
        total[f.__name__] += cpu() - begin


def in_step(phase):
    while True:
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        wake = (now // 4000000 + 1) * 4000000 + int(phase * 1e6)
        time.sleep((wake - now) * 1e-9)
        work((first, second), 0.001)
        answer()


def profiled():
    signal.signal(signal.SIGPROF, handler)
    signal.setitimer(signal.ITIMER_PROF, 0.004, 0.004)
    while True:
        before, begin = total["handler"], cpu()
        base(begin + 0.05)
        total["base"] += cpu() - begin - (total["handler"] - before)
        answer()


def bursts(us):
    while True:
        time.sleep(0.0002)
        work((first, second, third), us * 1e-6)
        answer()


def answer():
    if select.select([0], [], [], 0)[0]:
        sys.stdin.readline()
        print(json.dumps(total), flush=True)


print("ready", os.getpid(), threading.main_thread().native_id, flush=True)
{"tick": in_step, "profiled": profiled, "bursts": bursts}[sys.argv[1]](*map(float, sys.argv[2:]))

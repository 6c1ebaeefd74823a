"""ontick.py SHAPE [NUMBER]: programs that run in step with the CPU's tick, or out of step, and know their own time.

    wakes PHASE    wakes PHASE ticks (0 .. 1) after each tick of CLOCK_MONOTONIC, works a quarter of a tick in first, as
                   long in second
    profiled MS N  computes in base; a SIGPROF handler works for N ms each MS ms of CPU time (ITIMER_PROF)
    free           works in first, second and third, for random times, with random sleeps
On a line of input it answers {function: CPU seconds so far}.
"""
import json
import os
import random
import select
import signal
import sys
import time

TICK = time.clock_getres(6)  # CLOCK_MONOTONIC_COARSE moves with it
spent = dict(first=0.0, second=0.0, third=0.0, base=0.0, handler=0.0)
cpu, now = time.thread_time, time.monotonic


def until(end):
    while cpu() < end:
        pass


def first(end):
    until(end)


def second(end):
    until(end)


def third(end):
    until(end)


def base(end):
    until(end)


def timed(f, seconds):
    begin = cpu()
    f(begin + seconds)
    spent[f.__name__] += cpu() - begin


def wakes(phase):
    while True:
        begin = now()
        time.sleep((begin // TICK + 1 + phase) * TICK - begin)
        timed(first, TICK / 4)
        timed(second, TICK / 4)
        answer()


def handler(ms):
    begin = cpu()
    until(begin + ms / 1e3)
    spent["handler"] += cpu() - begin


def profiled(ms, n):
    signal.signal(signal.SIGPROF, lambda number, frame: handler(n))
    signal.setitimer(signal.ITIMER_PROF, ms / 1e3, ms / 1e3)
    while True:
        before = spent["handler"]
        timed(base, 0.05)
        spent["base"] -= spent["handler"] - before
        answer()


def free():
    while True:
        for f, seconds in (first, 0.003), (second, 0.006), (third, 0.009):
            timed(f, random.uniform(0.5, 1.5) * seconds)
        time.sleep(random.uniform(0, 0.004))
        answer()


def answer():
    if select.select([0], [], [], 0)[0]:
        sys.stdin.readline()
        print(json.dumps(spent), flush=True)


print("ready", os.getpid(), flush=True)
{"wakes": wakes, "profiled": profiled, "free": free}[sys.argv[1]](*map(float, sys.argv[2:]))

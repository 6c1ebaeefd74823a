"""cycles.py SPEC...: threads whose work and sleep are known, by their own clocks.

    busy                 works all the time
    cycle:W:S            works for W ms (of its CPU time), then sleeps for S ms
    naps:A:B:P           sleeps: with probability P for A ms in nap_a, else for B ms in nap_b
    count                does the same small work again and again: calls per CPU second are its speed
    SPEC*N               N such threads
Each thread keeps (CLOCK_BOOTTIME, its CPU time, {function: wall seconds so far, and calls}), about every 5 ms; on a line of input
`report FILE` all logs are written there, as {tid: [spec, log]}.
"""
import json
import os
import random
import sys
import threading
import time

import every

CLOCK_THREAD_CPUTIME_ID = 3
boot, cpu = every.wall, lambda: every.clock_gettime(CLOCK_THREAD_CPUTIME_ID)
logs = {}


def work(seconds):
    end = cpu() + seconds
    while cpu() < end:
        x = 0
        for i in range(200):
            x += i


def work_of_one_size(n):
    x = 0
    for i in range(n):
        x += i


def nap_a(seconds):
    time.sleep(seconds)


def nap_b(seconds):
    time.sleep(seconds)


class Clock:
    def __init__(self, spec):
        self.log, self.total, self.last = [], dict(work=0.0, work_of_one_size=0.0, nap_a=0.0, nap_b=0.0, calls=0), 0.0
        logs[every.native_id()] = [spec, self.log]

    def run(self, f, seconds):
        self.mark()
        begin = boot()
        f(seconds)
        end = boot()
        self.total[f.__name__] += end - begin
        self.total["calls"] += 1

    def mark(self):
        now = boot()
        if now - self.last > 0.005:
            self.last = now
            self.log.append((now, cpu(), dict(self.total)))


def busy(clock):
    while True:
        clock.run(work, 0.002)


def cycle(clock, worked, slept):
    while True:
        clock.run(work, worked / 1e3)
        clock.run(nap_a, slept / 1e3)


def naps(clock, a, b, p):
    while True:
        if random.random() < p:
            clock.run(nap_a, a / 1e3)
        else:
            clock.run(nap_b, b / 1e3)


def count(clock):
    while True:
        clock.run(work_of_one_size, 2000)


SHAPES = {"busy": busy, "cycle": cycle, "naps": naps, "count": count}


def begin(spec):
    words = spec.split(":")
    clock = Clock(spec)
    clock.mark()  # a recorder may be quicker than we are: the log begins before it
    began.append(spec)
    started.wait()
    SHAPES[words[0]](clock, *map(float, words[1:]))


def listen():
    for line in iter(sys.stdin.readline, ""):
        with open(line.split()[1], "w") as f:
            json.dump({tid: [spec, list(log)] for tid, (spec, log) in logs.items()}, f)
        every.say("written")


specs = [s for word in sys.argv[1:] for s in [word.split("*")[0]] * int((word.split("*") + ["1"])[1])]
started, began = threading.Event(), []
for s in specs:
    every.start(begin, (s,), s)
while len(began) < len(specs):
    time.sleep(0.001)
started.set()
every.say("ready", os.getpid())
listen()

"""crowds.py THREADS: a main thread that works all the time, and others that sleep until the crowd is called.

Lines of input: `crowd` wakes the others for good, each of which then works a little, deep down, and naps for 4 ms, again and
again; `report FILE` writes the main thread's log as accounts.Log reads it. While it is calm the main thread works in often()
for a fifth of the time, in a crowd for four fifths.
"""
import json
import os
import random
import sys
import threading
import time

import every

CLOCK_THREAD_CPUTIME_ID = 3
total, log, last = {"often": 0.0, "seldom": 0.0, "crowd": 0.0}, [], [0.0]
crowd = threading.Event()


def mark():
    now = every.wall()
    if now - last[0] > 0.003:
        last[0] = now
        log.append((now, every.clock_gettime(CLOCK_THREAD_CPUTIME_ID), dict(total)))
    return now


def spin(n):
    x = 0
    for i in range(n):
        x += i


def often(n):
    spin(n)


def seldom(n):
    spin(n)


def down(depth):
    if depth:
        down(depth - 1)
    else:
        spin(100)
        time.sleep(0.004)


def member(depth):
    crowd.wait()
    while True:
        down(depth)


def listen():
    for line in iter(sys.stdin.readline, ""):
        words = line.split()
        if words[0] == "crowd":
            crowd.set()
        else:
            with open(words[1], "w") as f:
                json.dump(list(log), f)
            every.say("written")


def work():
    while True:
        now, full = mark(), crowd.is_set()
        f = often if random.random() < (0.8 if full else 0.2) else seldom
        f(random.randrange(5000, 20000))
        end = every.wall()
        total[f.__name__] += end - now
        total["crowd"] += end - now if full else 0.0


for k in range(int(sys.argv[1])):
    every.start(member, (10 + k % 20,))
every.start(listen)
mark()
every.say("ready", os.getpid(), every.native_id())
work()

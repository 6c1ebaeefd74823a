"""asks.py: works for some 20 us, asks the kernel for its own CPU time once, and so on for ever, below ever another of 65,536
stacks. On a line of input it answers {"ask": share of the wall time that went into asking}, by its own clock, measured then
and there."""
import json
import os
import random
import statistics
import sys
import threading
import time


def ask():
    return time.thread_time()


def work():
    x = 0
    for i in range(300):
        x += i
    return x


def left(path, depth):
    return right(path >> 1, depth - 1) if path & 1 and depth else other(path >> 1, depth - 1) if depth else work()


def right(path, depth):
    return left(path >> 1, depth - 1) if path & 1 and depth else other(path >> 1, depth - 1) if depth else work()


def other(path, depth):
    return left(path >> 1, depth - 1) if path & 1 and depth else right(path >> 1, depth - 1) if depth else work()


def rounds(seconds):
    """of usual rounds: those in which somebody else had the CPU are not"""
    asks, alls, begin = [], [], time.perf_counter_ns()
    now = begin
    while now - begin < seconds * 1e9:
        started = now
        left(random.getrandbits(16), 16)
        before = time.perf_counter_ns()
        ask()
        now = time.perf_counter_ns()
        asks.append(now - before)
        alls.append(now - started)
    return statistics.median(asks) / statistics.median(alls)


def loop():
    for _ in range(1000):
        left(random.getrandbits(16), 16)
        ask()
    if asked:
        print(json.dumps({"ask": rounds(asked.pop())}), flush=True)


def listen():
    for _ in sys.stdin:
        asked.append(0.5)


asked = []
threading.Thread(target=listen, daemon=True).start()
print("ready", os.getpid(), flush=True)
while True:
    loop()

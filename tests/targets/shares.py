"""shares.py SHAPE [UNIT]: known work in known functions and lines, and the target's own clock around it.

The clock readings are kept as (CLOCK_BOOTTIME, {name: seconds so far}), one after each piece of work; on a line of input
they are written to the file named there. So it can be told what was done at the very moment of each sample.
"""
import json
import os
import random
import sys
import threading
import time

import every

boot = every.clock_gettime


def wall(kind=every.CLOCK_BOOTTIME):
    return boot(kind)


total = {}
log = []


def listen():
    for line in iter(sys.stdin.readline, ""):
        with open(line.strip(), "w") as f:
            json.dump({k: list(v) for k, v in logs.items()}, f)
        every.say("written")


logs = {"main": log}


def mark(now=None):
    log.append((now or wall(), dict(total)))


def done(name, begin, end):
    """`name` ran between these two moments"""
    if log[-1][0] < begin:
        mark(begin)
    total[name] = total.get(name, 0) + end - begin
    mark(end)


# ---------------------------------------------------------------- functions: 2 % .. 40 %
def work_02(n):
    x = 0
    for i in range(n):
        x += i
    return x


def work_05(n):
    x = 0
    for i in range(n):
        x += i
    return x


def work_08(n):
    return sum(range(n * 3))


def work_15(n):
    x = []
    for i in range(n):
        x.append(i)
    del x[:]  # what is freed at the return would be freed in the caller's frame


def deeper(n, depth):
    if depth:
        return deeper(n, depth - 1)
    x = 0
    for i in range(n):
        x ^= i
    return x


def work_30(n):
    return deeper(n, 12)


class Worker:
    def work_40(self, n):
        return self.inner(n)

    def inner(self, n):
        return len([self.square(i) for i in range(n // 3)])

    @staticmethod
    def square(i):
        y = i * i
        return y


FUNCTIONS = [(work_02, 2), (work_05, 5), (work_08, 8), (work_15, 15), (work_30, 30), (Worker().work_40, 40)]


def functions():
    unit = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    todo = [(f, unit * share) for f, share in FUNCTIONS]
    while True:
        random.shuffle(todo)
        for f, n in todo:
            t = wall()
            f(n)
            done(f.__name__, t, wall())


# ---------------------------------------------------------------- lines of one function
def lines(n):
    t0 = wall()
    for i in range(n * 50): i * i
    t1 = wall()
    for i in range(n * 25): i * i
    t2 = wall()
    sum(range(n * 60))
    t3 = wall()
    for i in range(n * 5): i + i
    t4 = wall()
    return t0, t1, t2, t3, t4


LINES = {"line_a": "n * 50", "line_b": "n * 25", "line_c": "n * 60", "line_d": "n * 5"}


def one_function():
    while True:
        n = random.randrange(10, 60)
        t = lines(n)
        for k, name in enumerate(sorted(LINES)):
            done(name, t[k], t[k + 1])


# ---------------------------------------------------------------- a thread that sleeps 70 %
def nap(seconds):
    time.sleep(seconds)


def spin(seconds):
    end = wall() + seconds
    x = 0
    while wall() < end:
        for i in range(100):
            x += i


def sleeper():
    while True:
        u = random.uniform(0.5, 1.5)
        t0 = wall()
        spin(0.003 * u)
        t1 = wall()
        nap(0.0068 * u)
        t2 = wall()
        done("spin", t0, t1)
        done("nap", t1, t2)


# ---------------------------------------------------------------- two threads and the GIL
def burn(n):
    x = 0
    for i in range(n):
        x += i
    return x


def hold_gil(name, low, high):
    """nobody asks for the GIL while it computes (the switch interval is endless): the wall time of burn() is time with it"""
    held, log = 0.0, logs[name]
    while True:
        t = wall()
        burn(random.randrange(low, high))
        log.append((t, {name: held}))
        held += wall() - t
        log.append((wall(), {name: held}))
        time.sleep(random.uniform(0.0003, 0.003))


def thread_one():
    hold_gil("one", 20000, 80000)


def thread_two():
    hold_gil("two", 5000, 20000)


def two_threads():
    every.switch_never()
    every.start(thread_one, name="one")
    every.start(thread_two, name="two")
    threading.Event().wait()


# ---------------------------------------------------------------- two threads at once, where there is no GIL
def functions_of(name):
    total, log = {}, logs[name]
    todo = [(f, 600 * share) for f, share in FUNCTIONS]
    while True:
        random.shuffle(todo)
        for f, n in todo:
            t = wall()
            if log[-1][0] < t:
                log.append((t, dict(total)))
            f(n)
            now = wall()
            total[f.__name__] = total.get(f.__name__, 0) + now - t
            log.append((now, dict(total)))


def parallel():
    threads = [threading.Thread(target=functions_of, args=(name,), name=name, daemon=True) for name in ("one", "two")]
    for t in threads:
        t.start()
    threading.Event().wait()


# ---------------------------------------------------------------- an event loop that polls
def poller():
    import shares_loop
    shares_loop.run(wall, total, mark)


SHAPES = {"functions": functions, "lines": one_function, "sleeper": sleeper, "threads": two_threads, "parallel": parallel, "asyncio": poller}
every.start(listen, name="listener")
# the logs begin before the recording does
if sys.argv[1] in ("threads", "parallel"):
    logs.clear()
    logs.update(one=[(wall(), {"one": 0.0})], two=[(wall(), {"two": 0.0})])
else:
    mark()
every.say("ready", os.getpid(), every.native_id())
SHAPES[sys.argv[1]]()

"""crowd.py SLEEPING [DEPTH]: SLEEPING threads that wait, and a thread that works, DEPTH calls deep, and counts its work.

Lines of input: `more N` starts N more threads that wait, and answers how many wait; `report` answers a list of
(CLOCK_BOOTTIME, CPU time of the thread that works, pieces of work done), one each 10 ms or so; `become PROGRAM ARGS` makes
the process that program.
"""
import _thread
import json
import os
import sys
import threading
import time

never = threading.Event()
begun = []
log = []
threading.stack_size(256 << 10)


def wait():
    begun.append(1)
    never.wait()


def start(n):
    # threading waits for each of its threads to begin: it would take the worker's turns
    want = len(begun) + n
    for _ in range(n):
        _thread.start_new_thread(wait, ())
    while len(begun) < want:
        time.sleep(0.001)


def count():
    done, last = 0, 0.0
    while True:
        for _ in range(20):
            x = 0
            for i in range(1000):
                x += i
        done += 20
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        if now - last > 0.01:
            last = now
            log.append((now, time.thread_time(), done))


def down(n):
    return down(n - 1) if n > 0 else count()


start(int(sys.argv[1]))
threading.Thread(target=down, args=(int(sys.argv[2]) if len(sys.argv) > 2 else 1,), name="worker", daemon=True).start()
print("ready", os.getpid(), flush=True)
for line in sys.stdin:
    words = line.split()
    if words[0] == "more":
        start(int(words[1]))
        print(len(begun), flush=True)
    elif words[0] == "report":
        print(json.dumps(list(log)), flush=True)
    elif words[0] == "become":
        os.execvp(words[1], words[1:])

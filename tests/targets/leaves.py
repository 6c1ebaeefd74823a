"""leaves.py WITNESS.so [SIZE...]: calls leaves of 25 ns to 1 ms, each size for as long as the others, three functions deep.

outer_SIZE calls middle_SIZE, which calls leaf_SIZE. A line `witness SECONDS [MEAN_US [CPU [ON_CPU [AWAKE]]]]` of input has witness.c look on, and
answers as looks.py says; recorded or not, the program does the same.
"""
import json
import os
import sys
import threading
import time

import looks

SIZES = [int(a) for a in sys.argv[2:]] or [25, 100, 1000, 10000, 100000, 1000000]  # ns
SOURCE = """
def leaf_SIZE(n):
    BODY
    return n
def middle_SIZE(n):
    return leaf_SIZE(n)
def outer_SIZE(n, times):
    for _ in range(times):
        middle_SIZE(n)
"""


def turn(size):
    """-> (outer_SIZE, n, times): a leaf takes about `size` ns, a turn some 5 ms"""
    body = {25: "pass", 100: "x = n + 1; x = x * 3 - n; x = x ^ n; x = x + n"}.get(size, "for i in range(n): pass")
    exec(SOURCE.replace("SIZE", str(size)).replace("BODY", body), globals())
    outer, n = globals()["outer_%d" % size], 1
    while size > 100:
        begin = time.thread_time_ns()
        outer(n, 20)
        took = (time.thread_time_ns() - begin) / 20
        if took >= size:
            break
        n = max(n + 1, int(n * min(2, size / took)))
    outer(n, 100)
    begin = time.thread_time_ns()
    outer(n, 20)
    return outer, n, max(1, int(5e6 * 20 / (time.thread_time_ns() - begin)))


turns = [turn(size) for size in SIZES]
functions = {"%s_%d" % (k, size): globals()["%s_%d" % (k, size)].__code__ for size in SIZES for k in ("leaf", "middle", "outer")}
witness = looks.Witness(sys.argv[1], functions)


def listen():
    for line in sys.stdin:
        print(json.dumps(witness.look(*map(float, line.split()[1:]))), flush=True)


threading.Thread(target=listen, daemon=True).start()
print("ready", os.getpid(), threading.main_thread().native_id, flush=True)
while True:
    for outer, n, times in turns:
        outer(n, times)

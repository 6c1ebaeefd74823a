"""leaves.py WITNESS.so: calls leaves of 25 ns to 1 ms, each size for as long as the others, three functions deep.

outer_SIZE calls middle_SIZE, which calls leaf_SIZE. A line `witness SECONDS` of input has witness.c look on, and answers
{function: looks}; recorded or not, the program does the same.
"""
import ctypes
import json
import os
import sys
import threading
import time

SIZES = [25, 100, 1000, 10000, 100000, 1000000]  # ns
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
# thread state -> innermost frame -> code: (offset of the root, through a cframe, offset of current_frame there, of code)
PLACES = {11: (56, 1, 8, 32), 12: (56, 1, 0, 0), 13: (72, 0, 0, 0)}


def turn(size):
    """-> (outer_SIZE, n, times): a leaf takes about `size` ns, a turn some 5 ms"""
    body = {25: "pass", 100: "x = n + 1; x = x * 3 - n; x = x ^ n; x = x + n"}.get(size, "for i in range(n): pass")
    exec(SOURCE.replace("SIZE", str(size)).replace("BODY", body), globals())
    outer, n = globals()["outer_%d" % size], 1
    while size > 100:
        begin = time.perf_counter_ns()
        outer(n, 20)
        took = (time.perf_counter_ns() - begin) / 20
        if took >= size:
            break
        n = max(n + 1, int(n * min(2, size / took)))
    outer(n, 100)
    begin = time.perf_counter_ns()
    outer(n, 20)
    return outer, n, max(1, int(5e6 * 20 / (time.perf_counter_ns() - begin)))


turns = [turn(size) for size in SIZES]
functions = {"%s_%d" % (k, size): globals()["%s_%d" % (k, size)].__code__ for size in SIZES for k in ("leaf", "middle", "outer")}
ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_uint64
root, is_indirect, current_frame, code = PLACES[sys.version_info[1]]
root += ctypes.pythonapi.PyThreadState_Get()
witness = ctypes.CDLL(sys.argv[1]).witness
codes = (ctypes.c_uint64 * len(functions))(*map(id, functions.values()))


def listen():
    counts = (ctypes.c_long * (len(functions) + 1))()
    for line in sys.stdin:
        witness(ctypes.c_uint64(root), is_indirect, current_frame, code, codes, len(functions),
                ctypes.c_double(float(line.split()[1])), ctypes.c_double(250), counts)
        print(json.dumps(dict(zip(functions, counts))), flush=True)


threading.Thread(target=listen, daemon=True).start()
print("ready", os.getpid(), threading.main_thread().native_id, flush=True)
while True:
    for outer, n, times in turns:
        outer(n, times)

"""pool.py LIBRARY SECONDS: 24 threads that wait for work, beside a main thread that never sleeps and now and then has some:
`compute` (Python, with the GIL) or `digest` (C, without). One thread more is in C all the time (`bursts` of LIBRARY), sleeps
there for 20 ms and works for 4, and never asks for the GIL meanwhile.

Prints `ready PID`; from a line of input on works for SECONDS; then {"compute": [wall, CPU], "digest": [wall, CPU],
"bursts": [CPU, wall], "wall": all of it}, in seconds.
"""
import ctypes
import hashlib
import json
import os
import queue
import random
import sys
import threading
import time

used = {"compute": [0.0, 0.0], "digest": [0.0, 0.0]}
jobs = queue.Queue()
lock = threading.Lock()


def compute():
    x, end = 0, time.thread_time() + 0.004
    while time.thread_time() < end:
        for i in range(100):
            x += i


def digest():
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 12000)


def work():
    while True:
        job = jobs.get()
        wall, cpu = time.perf_counter(), time.thread_time()
        job()
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        with lock:
            mine = used[job.__name__]
            mine[0] += wall
            mine[1] += cpu


def native(lib):
    lib.bursts()


lib = ctypes.CDLL(sys.argv[1])
lib.burst_ns.restype = lib.burst_wall_ns.restype = ctypes.c_longlong
threads = [threading.Thread(target=work, daemon=True) for _ in range(24)] + [threading.Thread(target=native, args=(lib,), daemon=True)]
for t in threads:
    t.start()
print("ready", os.getpid(), flush=True)
sys.stdin.readline()
begin, bursts, end, x = time.perf_counter(), (lib.burst_ns(), lib.burst_wall_ns()), time.perf_counter() + float(sys.argv[2]), 0
following = begin
while time.perf_counter() < end:
    for i in range(2000):
        x += i
    if time.perf_counter() >= following:
        jobs.put(random.choice((compute, digest)))
        following += random.expovariate(1 / 0.06)
print(json.dumps({"compute": used["compute"], "digest": used["digest"], "bursts": [(lib.burst_ns() - bursts[0]) / 1e9, (lib.burst_wall_ns() - bursts[1]) / 1e9],
                  "wall": time.perf_counter() - begin}), flush=True)
sys.stdin.readline()

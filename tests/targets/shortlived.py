"""shortlived.py N: N threads that live for 0.1 to 5 ms of CPU time each, four at a time, from a line of input on.

Prints `ready PID`, and at the end {"threads": N, "seconds": CPU time of all of them as they saw it, "main": of the main
thread, "whole": of the process}, all since that line came.
"""
import json
import math
import os
import random
import sys
import threading
import time

spent = []


def brief(seconds):
    x, end = 0, time.thread_time() + seconds
    while time.thread_time() < end:
        for i in range(100):
            x += i
    spent.append(time.thread_time())


print("ready", os.getpid(), flush=True)
sys.stdin.readline()
main, whole, n = time.thread_time(), time.process_time(), int(sys.argv[1])
for i in range(0, n, 4):
    threads = [threading.Thread(target=brief, args=(math.exp(random.uniform(math.log(1e-4), math.log(5e-3))),)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
print(json.dumps({"threads": len(spent), "seconds": sum(spent), "main": time.thread_time() - main, "whole": time.process_time() - whole}), flush=True)
sys.stdin.readline()

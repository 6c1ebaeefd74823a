"""THREADS threads, all of them asleep, for ever, some frames deep; the main thread is one of them.
usage: sleepers.py THREADS"""
import os
import sys
import threading

never = threading.Event()


def deeper(n):
    return deeper(n - 1) if n else never.wait()


for _ in range(int(sys.argv[1]) - 1):
    threading.Thread(target=deeper, args=(8,), daemon=True).start()
print("ready", os.getpid(), flush=True)
deeper(8)

"""A program that has many libraries mapped, and then works.
usage: manylibs.py LIBRARY COPIES       (each copy is a file of its own beside this script)"""
import ctypes
import os
import shutil
import sys

here = os.path.dirname(os.path.abspath(__file__))
kept = []
for i in range(int(sys.argv[2])):
    copy = os.path.join(here, "lib-%d.so" % i)
    if not os.path.exists(copy):
        shutil.copy(sys.argv[1], copy)
    kept.append(ctypes.CDLL(copy))


def work(n):
    return work(n - 1) if n else sum(range(100))


print("ready", os.getpid(), flush=True)
while True:
    work(8)

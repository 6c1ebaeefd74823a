"""What the benches measure on: ordinary library code (json, re, textwrap, tokenize) below DEPTH frames, in THREADS
threads, for ever. Counts its steps in FILE (8 bytes a thread, shared), so that its speed can be read from outside.
usage: busy.py FILE DEPTH [THREADS] [--sleeping N] [--native LIBRARY N]
  --sleeping: so many more threads that only wait; --native: so many threads that know nothing of Python (natives.c)
"""
import argparse
import io
import json
import mmap
import os
import re
import struct
import textwrap
import threading
import tokenize

TEXT = textwrap.__doc__ + " The quick brown fox jumps over the lazy dog." * 5
DATA = {"numbers": list(range(30)), "words": TEXT.split(), "nested": [{"a": i, "b": [i] * 3} for i in range(5)]}
SOURCE = "def f(a, b=(1, 2)):\n    return [x * a for x in b if x > %d]\n" * 3
ENCODER = json.JSONEncoder(indent=1)  # indent: the pure Python encoder


class Worker:
    def __init__(self, index):
        self.steps, self.index = 0, index

    def round(self):
        for step in self.wrap, self.encode, self.split, self.scan:
            step()
            self.steps += 1
            struct.pack_into("q", counters, 8 * self.index, self.steps)

    def wrap(self):
        return textwrap.fill(TEXT, 40)

    def encode(self):
        return "".join(ENCODER.iterencode(DATA))

    def split(self):
        return [re.sub("[aeiou]", lambda m: m.group().upper(), word) for word in TEXT.split()]

    def scan(self):
        return [token.string for token in tokenize.generate_tokens(io.StringIO(SOURCE % (1, 2, 3)).readline)]

    def begin(self, depth):
        everybody.wait()  # threads that run already would hold up the start of the others
        self.descend(depth)

    def descend(self, depth):
        if depth > 1:
            return self.descend(depth - 1)
        while True:
            self.round()


p = argparse.ArgumentParser()
p.add_argument("file")
p.add_argument("depth", type=int)
p.add_argument("threads", type=int, nargs="?", default=1)
p.add_argument("--sleeping", type=int, default=0)
p.add_argument("--native", nargs=2)
a = p.parse_args()
with open(a.file, "r+b") as f:
    f.truncate(8 * a.threads)
    counters = mmap.mmap(f.fileno(), 8 * a.threads)
if a.native:
    import ctypes
    if ctypes.CDLL(a.native[0]).natives_start(int(a.native[1])) != int(a.native[1]):
        raise SystemExit("busy.py: not all native threads could be started")
for i in range(a.sleeping):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
everybody = threading.Event()
for i in range(1, a.threads):
    threading.Thread(target=Worker(i).begin, args=(a.depth,), daemon=True).start()
everybody.set()
print("ready", os.getpid(), flush=True)
Worker(0).descend(a.depth)

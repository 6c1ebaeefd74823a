"""What bench/cost.py measures on: ordinary library code (json, re, textwrap, tokenize) below DEPTH frames, in THREADS
threads, for ever. Counts its rounds in FILE (8 bytes, shared), so that its speed can be read from outside.
usage: busy.py FILE DEPTH [THREADS]
"""
import io
import json
import mmap
import os
import re
import struct
import sys
import textwrap
import threading
import tokenize

TEXT = textwrap.__doc__ + " The quick brown fox jumps over the lazy dog." * 5
DATA = {"numbers": list(range(30)), "words": TEXT.split(), "nested": [{"a": i, "b": [i] * 3} for i in range(5)]}
SOURCE = "def f(a, b=(1, 2)):\n    return [x * a for x in b if x > %d]\n" * 3
ENCODER = json.JSONEncoder(indent=1)  # indent: the pure Python encoder


class Worker:
    def __init__(self, index):
        self.rounds, self.index = 0, index

    def round(self):
        self.wrap(), self.encode(), self.split(), self.scan()
        self.rounds += 1
        struct.pack_into("q", counters, 8 * self.index, self.rounds)

    def wrap(self):
        return textwrap.fill(TEXT, 40)

    def encode(self):
        return "".join(ENCODER.iterencode(DATA))

    def split(self):
        return [re.sub("[aeiou]", lambda m: m.group().upper(), word) for word in TEXT.split()]

    def scan(self):
        return [token.string for token in tokenize.generate_tokens(io.StringIO(SOURCE % (1, 2, 3)).readline)]

    def descend(self, depth):
        if depth > 1:
            return self.descend(depth - 1)
        while True:
            self.round()


path, depth = sys.argv[1], int(sys.argv[2])
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 1
with open(path, "r+b") as f:
    f.truncate(8 * threads)
    counters = mmap.mmap(f.fileno(), 8 * threads)
for i in range(1, threads):
    threading.Thread(target=Worker(i).descend, args=(depth,), daemon=True).start()
print("ready", os.getpid(), flush=True)
Worker(0).descend(depth)

"""reused.py KIND: code objects are freed and made again at the same addresses, under other names.

Turn I compiles leaf_C, mid_C and top_C (C = A on even turns, B on odd ones; KIND `files`: in a file named xI, KIND
`same`: always in "x"), calls them for a while, and drops them. The clock (CLOCK_BOOTTIME) of every turn is kept; on
a line of input it is written to the file named there. So each stack can be asked whether it was true at its time.
"""
import json
import os
import sys

import every

SOURCE = """def leaf_C(): return sum(range(300))
def mid_C(): return leaf_C()
def top_C():
  for _ in range(CALLS): mid_C()
"""
turns = []
kind = sys.argv[1]
# `same` has turns of some 30 ms, so that a stack that is a turn old can be told from a true one by the clock
SOURCE = SOURCE.replace("CALLS", "20" if kind == "files" else "8000")


def listen():
    for line in iter(sys.stdin.readline, ""):
        with open(line.strip(), "w") as f:
            json.dump(turns[:], f)
        every.say("written")


def main():
    every.say("ready", os.getpid(), every.native_id())
    i, clock = 0, every.clock_gettime
    while True:
        c = "AB"[i & 1]
        space = {"__name__": "turn"}
        begin = clock(every.CLOCK_BOOTTIME)
        exec(compile(SOURCE.replace("_C", "_" + c), "x%d" % i if kind == "files" else "x", "exec"), space)
        space["top_" + c]()
        space.clear()
        turns.append((begin, clock(every.CLOCK_BOOTTIME)))
        i += 1


every.start(listen)
main()

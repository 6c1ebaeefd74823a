"""A program that makes new stacks for ever: new functions (compiled by exec, each with a name of its own, and forgotten after a
while), and random walks through a fixed set of functions, up to 60 deep, whose paths hardly come twice.
usage: newstacks.py [NEW-FUNCTIONS-A-SECOND (2000)]"""
import os
import random
import sys
import time
from collections import deque

SOURCE = "def f%d(g, n):\n    x = 0\n    for i in range(20):\n        x += i\n    return g(n - 1) if n > 0 else x\n"
KEPT = 500
LINES = 8  # call sites of a walker: each is another instruction

names = {}
walkers = []
for i in range(30):
    body = "".join("    if k == %d:\n        return step(n - 1)\n" % k for k in range(LINES))
    exec("def walk%d(n):\n    k = draw(%d)\n%s" % (i, LINES, body), names)
    walkers.append(names["walk%d" % i])


def step(n):
    return random.choice(walkers)(n) if n > 0 else sum(range(50))


names.update(step=step, draw=random.randrange)
made = deque(maxlen=KEPT)
rate = float(sys.argv[1]) if len(sys.argv) > 1 else 2000
print("ready", os.getpid(), flush=True)
count, begun = 0, time.monotonic()
while True:
    if count < rate * (time.monotonic() - begun):
        count += 1
        space = {}
        exec(compile(SOURCE % count, "<made %d>" % count, "exec"), space)
        made.append(space["f%d" % count])
    step(random.randrange(5, 60))
    random.choice(made)(step, random.randrange(5, 60))

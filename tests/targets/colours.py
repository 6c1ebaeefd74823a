"""colours.py SHAPE THREADS FOLDER: calls as fast as it can; which stacks are legal is written into its source.

Every thread T runs functions of its own, named ..._tT; a shape has two colours, ..._A and ..._B, that never meet in one
stack. `# -> f g` at the end of a line names what may be called from that line (`lib`: a frame of another file, `*`: the
frames of this source that are marked `# entry`); `# times 3 5`: under a leaf, a function that calls itself is there so many
times. The sources are written to FOLDER and run from there; line 1 printed is
`ready PID {"tids": {TID: T}, "sources": [...]}`.
"""
import json
import os
import sys
import threading

import every

DEPTH_CHAIN, DEPTH_TREE = 24, 7


def chains(t):
    """two chains of calls that never mix"""
    out = []
    for c in "AB":
        for i in range(DEPTH_CHAIN - 1, -1, -1):
            out.append("def f%d_%s_%s(n):" % (i, t, c))
            if i == DEPTH_CHAIN - 1:
                out.append("    return n")
            else:
                # odd ones call twice, on two lines
                if i in (5, 13):
                    out.append("    f%d_%s_%s(n)  # -> f%d_%s_%s" % (i + 1, t, c, i + 1, t, c))
                out.append("    return f%d_%s_%s(n)  # -> f%d_%s_%s" % (i + 1, t, c, i + 1, t, c))
    out += ["def loop_%s():  # entry" % t, "    while True:"]
    out += ["        f0_%s_%s(1)  # -> f0_%s_%s" % (t, c, t, c) for c in "AB"]
    return out


def tree(t):
    """a binary tree of calls: each node has one parent"""
    out = []
    for level in range(DEPTH_TREE, -1, -1):
        for i in range(2 ** level):
            out.append("def n%d_%d_%s():" % (level, i, t))
            if level == DEPTH_TREE:
                out.append("    return 1")
            else:
                for k in (0, 1):
                    name = "n%d_%d_%s" % (level + 1, 2 * i + k, t)
                    out.append("    %s%s()  # -> %s" % ("return " if k else "", name, name))
    return out + ["def loop_%s():  # entry" % t, "    while True:", "        n0_0_%s()  # -> n0_0_%s" % (t, t)]


def helpers(t):
    """two call trees through the same helpers: every single call of a torn stack is legal, the stack is not"""
    return """
def g3_T(cb): return cb()  # -> h_T_A h_T_B
def g2_T(cb):
    return g3_T(cb)  # -> g3_T
def g1_T(cb):
    return g2_T(cb)  # -> g2_T
def h_T_A(): return 1
def h_T_B(): return 2
def f_T_A():
    return g1_T(h_T_A)  # -> g1_T
def f_T_B():
    return g1_T(h_T_B)  # -> g1_T
def loop_T():  # entry
    while True:
        f_T_A()  # -> f_T_A
        f_T_B()  # -> f_T_B
""".replace("_T", "_" + t).split("\n")


def generators(t):
    """generators in two colours through the same helper generators"""
    return """
def leaf_T_A(): return 1
def leaf_T_B(): return 2
def g4_T(cb):
    for _ in range(3):
        yield cb()  # -> leaf_T_A leaf_T_B
def g3_T(cb):
    yield from g4_T(cb)  # -> g4_T
def g2_T(cb):
    for x in g3_T(cb):  # -> g3_T
        yield x
def h_T(it):
    for x in it:  # -> g2_T
        pass
def f_T_A():
    h_T(g2_T(leaf_T_A))  # -> h_T g2_T
def f_T_B():
    h_T(g2_T(leaf_T_B))  # -> h_T g2_T
def loop_T():  # entry
    while True:
        f_T_A()  # -> f_T_A
        f_T_B()  # -> f_T_B
""".replace("_T", "_" + t).split("\n")


def aio(t):
    """asyncio: two tasks, two colours through shared coroutines; the event loop polls"""
    return """
import asyncio
import every
def leaf_T_A(): return sum(range(3))
def leaf_T_B(): return sum(range(5))
async def c3_T(cb):
    for _ in range(20):
        cb()  # -> leaf_T_A leaf_T_B
async def c2_T(cb):
    await c3_T(cb)  # -> c3_T
async def c1_T(cb):
    await c2_T(cb)  # -> c2_T
async def t_T_A():  # entry
    while True:
        await c1_T(leaf_T_A)  # -> c1_T
        await asyncio.sleep(0)  # -> lib
async def t_T_B():  # entry
    while True:
        await c1_T(leaf_T_B)  # -> c1_T
        await asyncio.sleep(0)  # -> lib
async def main_T():  # entry
    await asyncio.gather(t_T_A(), t_T_B())  # -> lib
def loop_T():  # entry
    every.run(main_T())  # -> lib main_T
""".replace("_T", "_" + t).split("\n")


def deep(t):
    """recursion over several chunks of the data stack, two colours through the same helper"""
    return """
def leaf_T_A(): return 1
def leaf_T_B(): return 2
def d_T(n, cb):  # times 301 901 1901
    if n:
        return d_T(n - 1, cb)  # -> d_T
    for _ in range(99): cb()  # -> leaf_T_A leaf_T_B
def f_T_A(n):
    d_T(n, leaf_T_A)  # -> d_T
def f_T_B(n):
    d_T(n, leaf_T_B)  # -> d_T
def loop_T():  # entry
    while True:
        for n in (300, 900, 1900):
            f_T_A(n)  # -> f_T_A
            f_T_B(n)  # -> f_T_B
""".replace("_T", "_" + t).split("\n")


def callbacks(t):
    """Python called by C called by Python: sort keys, comparisons, attributes; two colours through the same helpers"""
    return """
import functools
def low_T_A(x): return x
def low_T_B(x): return -x
def key_T(cb, x):
    return cb(x)  # -> low_T_A low_T_B
class W_T:
    def __init__(self, cb):
        self.cb = cb
    def __getattr__(self, name):
        return key_T(self.cb, 1)  # -> key_T
    def __lt__(self, other):
        return key_T(self.cb, 1) < 2  # -> key_T
def sort_T(cb):
    return sorted(range(5), key=functools.partial(key_T, cb))  # -> key_T
def less_T(w):
    return sorted([w, w, w])  # -> W_T.__lt__
def attr_T(w):
    return w.missing  # -> W_T.__getattr__
def map_T(cb):
    return list(map(cb, range(3)))  # -> low_T_A low_T_B
def f_T_A(w):
    sort_T(low_T_A)  # -> sort_T
    less_T(w)  # -> less_T
    attr_T(w)  # -> attr_T
    map_T(low_T_A)  # -> map_T
def f_T_B(w):
    sort_T(low_T_B)  # -> sort_T
    less_T(w)  # -> less_T
    attr_T(w)  # -> attr_T
    map_T(low_T_B)  # -> map_T
def loop_T():  # entry
    a, b = W_T(low_T_A), W_T(low_T_B)  # -> W_T.__init__
    while True:
        f_T_A(a)  # -> f_T_A
        f_T_B(b)  # -> f_T_B
""".replace("_T", "_" + t).split("\n")


def sizes(t):
    """leaves that take no time, some, and long, called in turns"""
    return """
def tiny_T(): return 1
def small_T():
    x = 0
    for i in range(5): x += i
    return x
def long_T():
    x = 0
    for i in range(2000): x += i
    return x
def many_T():
    for i in range(200): tiny_T()  # -> tiny_T
def some_T():
    for i in range(60): small_T()  # -> small_T
def one_T():
    long_T()  # -> long_T
def loop_T():  # entry
    while True:
        many_T()  # -> many_T
        some_T()  # -> some_T
        one_T()  # -> one_T
""".replace("_T", "_" + t).split("\n")


def gilmoves(t):
    """the GIL is dropped in every leaf; two colours through the same helpers"""
    return """
import os
import time
here = os.open(os.__file__, os.O_RDONLY)
def g3_T(cb): return cb()  # -> h_T_A h_T_B
def g2_T(cb):
    return g3_T(cb)  # -> g3_T
def g1_T(cb):
    return g2_T(cb)  # -> g2_T
def h_T_A(): return os.read(here, 16)
def h_T_B(): time.sleep(0)
def f_T_A():
    return g1_T(h_T_A)  # -> g1_T
def f_T_B():
    return g1_T(h_T_B)  # -> g1_T
def loop_T():  # entry
    while True:
        f_T_A()  # -> f_T_A
        f_T_B()  # -> f_T_B
""".replace("_T", "_" + t).split("\n")


SHAPES = {"chains": chains, "tree": tree, "helpers": helpers, "generators": generators, "asyncio": aio, "deep": deep, "callbacks": callbacks,
          "sizes": sizes, "gilmoves": gilmoves}


def main():
    shape, threads, folder = SHAPES[sys.argv[1]], int(sys.argv[2]), sys.argv[3]
    sources, loops = [], []
    for n in range(threads):
        t = "t%d" % n
        path = os.path.join(folder, "%s_%s.py" % (sys.argv[1], t))
        text = every.for_this_version("\n".join(shape(t)) + "\n")
        with open(path, "w") as f:
            f.write(text)
        space = {"__name__": "colours_" + t}
        exec(compile(text, path, "exec"), space)
        sources.append(path)
        loops.append(space["loop_" + t])
    tids = {every.native_id(): 0}
    sys.setrecursionlimit(4000)
    if threads > 1:
        every.switch_often()
    go, reached = threading.Event(), [threading.Event() for _ in range(threads)]

    def start(n):
        tids[every.native_id()] = n
        reached[n].set()
        go.wait()
        loops[n]()

    for n in range(1, threads):
        every.start(start, (n,))
        reached[n].wait()
    every.say("ready", os.getpid(), json.dumps(dict(tids=tids, sources=sources)))
    go.set()
    loops[0]()


main()

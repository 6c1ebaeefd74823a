"""restless.py SHAPE ...: targets that change under the recorder's eyes: threads, processes, depth, the program itself."""
import os
import random
import subprocess
import sys
import threading
import time

shape = sys.argv[1]


def short_work(n):
    x = 0
    for i in range(n):
        x += i
    return x


def short_thread():
    short_work(random.randrange(10, 3000))


def many_threads(seconds):
    """thousands of threads that live for a moment"""
    end, n = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        ts = [threading.Thread(target=short_thread, name="short %d" % (n + i)) for i in range(8)]
        for t in ts:
            t.start()
        for t in ts:
            t.join()
        n += 8
    print("threads", n, flush=True)


def down(n):
    return up(n - 1) if n > 0 else 0


def up(n):
    return down(n - 1) if n > 0 else 0


def hold(n):
    x = 0
    for i in range(n):
        x += i


def bottom(n, f):
    if n > 0:
        return below(n - 1, f)
    return hold(300)


def below(n, f):
    return bottom(n - 1, f) if n > 0 else hold(300)


def deep(seconds):
    """recursion that grows and shrinks over many chunks of the data stack"""
    sys.setrecursionlimit(20000)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        down(random.choice((1, 5, 50, 400, 3000)))
        bottom(random.choice((0, 3, 30, 300, 2500)), None)


def child_work():
    short_work(2000)


def forks(seconds):
    """children that run a little Python and end; and one that outlives the parent's wait"""
    end, n = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        pid = os.fork()
        if pid == 0:
            child_work()
            os._exit(n % 3)
        short_work(3000)
        got = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if got != n % 3:
            print("child", got, flush=True)
            sys.exit(9)
        n += 1
    print("forks", n, flush=True)


def before_exec(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        short_work(1000)


def execs(seconds, *pythons):
    """the program becomes another Python, and another"""
    before_exec(float(seconds))
    if pythons:
        os.execv(pythons[0], [pythons[0], os.path.abspath(__file__), "execs", seconds] + list(pythons[1:]))
    print("last", sys.version_info[1], flush=True)


def brief(seconds):
    before_exec(seconds)


def children(seconds):
    """short programs one after the other"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        subprocess.run([sys.executable, "-c", "print(1)"], stdout=subprocess.DEVNULL, check=True)


if shape != "execs" or os.environ.get("READY"):
    print("ready", os.getpid(), flush=True)
    os.environ.pop("READY", None)
if shape == "threads":
    many_threads(float(sys.argv[2]))
elif shape == "deep":
    deep(float(sys.argv[2]))
elif shape == "forks":
    forks(float(sys.argv[2]))
elif shape == "execs":
    execs(*sys.argv[2:])
elif shape == "brief":
    brief(float(sys.argv[2]))
elif shape == "children":
    children(float(sys.argv[2]))

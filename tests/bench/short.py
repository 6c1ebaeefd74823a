"""short.py [SECONDS [SIZE]]: where is a program whose calls take some ten nanoseconds? Three opinions at one time.

By itself, on the host's Python 3.13: a loop calls middle(), which calls leaf(); who is current is looked at (three.c) from
another CPU, in an interrupt that another CPU sends, and in one of a timer on its own CPU. Slices of 2 s; differences to the
first opinion, with their 95 % interval. See README.md, "Functions of less than a microsecond".
"""
import ctypes
import os
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import rig  # noqa: E402

CURRENT_FRAME = 72  # of a 3.13 thread state


def leaf(n):
    pass


def middle(n):
    return leaf(n)


def outer(n, times):
    for _ in range(times):
        middle(n)


def watch(library, tid, seconds, names):
    slices, counts, n = [], (ctypes.c_long * (3 * (len(names) + 1)))(), len(names) + 1
    os.sched_setaffinity(0, {rig.OTHER_CPUS[0]})
    total = [0, 0, 0]
    for _ in range(max(3, int(seconds / 2))):
        library.three_look(tid, ctypes.c_double(2), ctypes.c_double(100), counts)
        rows = [counts[way * n:way * n + len(names)] for way in range(3)]
        if all(sum(r) > 20 for r in rows):
            slices.append([[100 * c / sum(r) for c in r] for r in rows])
            total = [t + sum(r) for t, r in zip(total, rows)]
    print("%-10s %16s %22s %22s" % ("", "from another CPU", "interrupt from there", "timer of its own CPU"))
    for i, name in enumerate(names):
        print("%-10s %6.2f +-%5.2f %%  %s" % ((name,) + rig.mean_ci([s[0][i] for s in slices]) + (
            "".join("      %+6.2f +-%5.2f   " % rig.mean_ci([s[way][i] - s[0][i] for s in slices]) for way in (1, 2)),)))
    print("%d slices; looks: %s; load %.1f" % (len(slices), ", ".join(map(str, total)), os.getloadavg()[0]), flush=True)
    os._exit(0)


def main():
    if sys.version_info[:2] != (3, 13):
        os.execv(rig.newest_python(), [rig.newest_python(), os.path.abspath(__file__)] + sys.argv[1:])
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as d:
        so = os.path.join(d, "three.so")
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-O2", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", so, HERE + "/three.c", "-lm"], check=True)
        library = ctypes.CDLL(so)
    functions = [leaf, middle, outer]
    codes = (ctypes.c_uint64 * 3)(*[id(f.__code__) for f in functions])
    ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_uint64
    os.sched_setaffinity(0, {rig.TARGET_CPU})
    library.three_begin(ctypes.c_uint64(ctypes.pythonapi.PyThreadState_Get() + CURRENT_FRAME), 0, codes, 3)
    threading.Thread(target=watch, args=(library, threading.get_native_id(), seconds, [f.__name__ for f in functions]), daemon=True).start()
    while True:
        outer(1, 100000)


main()

"""usage: livetop.py SECONDS STATUS

What live top is shown on: two threads that work (one in `heavy`, one in functions with hostile names), one that sleeps. After
SECONDS the program ends with STATUS."""
import sys
import threading
import time

NAMES = {"wide": "\u6f22\u5b57\u95a2\u6570", "marks": "e\u0301\u0302\u0303\u0304\u0305\u0306x", "escape": "red\x1b[31m\x1b[2J\x07",
         "bidi": "abc\u202edcba\u2066", "long": "n" * 5000, "tab": "a\tb\nc"}


def heavy(n):
    s = 0
    for i in range(n):
        s += i * i
    return s


def work():
    while True:
        heavy(5000)


def template(n):
    s = 0
    for i in range(n):
        s += i
    return s


def named(name):
    code = template.__code__
    more = {"co_qualname": name} if hasattr(code, "co_qualname") else {}
    return type(template)(code.replace(co_name=name, **more), {"range": range})


def hostile():
    functions = [named(n) for n in NAMES.values()]
    while True:
        for f in functions:
            f(5000)


def parked():
    time.sleep(600)


for target in (work, hostile, parked):
    threading.Thread(target=target, name=target.__name__, daemon=True).start()
print("the program's own words")
time.sleep(float(sys.argv[1]))
sys.stdout.flush()
import os  # noqa: E402

os._exit(int(sys.argv[2]))

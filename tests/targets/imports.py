# Imports a package of its own again and again: code objects come, run once, and go, and others come to their places.
# imports.py FOLDER write           the package is written there
# imports.py FOLDER witness FILE    two rounds; every call that the interpreter makes, as caller and callee, goes there
# imports.py FOLDER run SECONDS     `ready PID`, then rounds
import os
import sys
import time

MODULES = 48
BODY = '''
import sys
%(imports)s
NAME = %(n)d
def first_%(n)d(k):
    return second_%(n)d(k) + sum(range(k))
def second_%(n)d(k):
    return len(repr(list(range(k))))
class Thing_%(n)d(object):
    size_%(n)d = [first_%(n)d(i) for i in range(%(work)d)]
    def method_%(n)d(self):
        return first_%(n)d(%(work)d)
made_%(n)d = sum(Thing_%(n)d().method_%(n)d() for i in range(%(work)d))
exec("def text_%(n)d(k):\\n    return first_%(n)d(k)\\ntext_%(n)d(7)")
%(filler)s
'''


def write(folder):
    for n in range(MODULES):
        imports = "".join("import imported_%d\n" % m for m in (2 * n + 1, 2 * n + 2) if m < MODULES)
        filler = "\n".join("def filler_%d_%d(a, b=%d):\n    return [a, b, %r]" % (n, i, i, "x" * i) for i in range(n % 7 * 3))
        with open("%s/imported_%d.py" % (folder, n), "w") as f:
            f.write(BODY % {"n": n, "imports": imports, "work": 20 + n % 5 * 10, "filler": filler})


def one_round():
    for name in [m for m in sys.modules if m.startswith("imported_")]:
        del sys.modules[name]
    __import__("imported_0")


def place(code):
    return getattr(code, "co_qualname", code.co_name).split(".")[-1], code.co_filename


def witness(path):
    seen = set()

    def look(frame, event, arg):
        if event == "call" and frame.f_back:
            seen.add((place(frame.f_back.f_code), place(frame.f_code)))
    for _ in range(2):
        sys.setprofile(look)
        one_round()
        sys.setprofile(None)
    with open(path, "w") as f:
        for (a, b), (c, d) in seen:
            f.write("\t".join((a, b, c, d)) + "\n")


def run(seconds):
    sys.stdout.write("ready %d\n" % os.getpid())
    sys.stdout.flush()
    end = time.time() + seconds
    while time.time() < end:
        one_round()


sys.path.insert(0, sys.argv[1])
{"write": lambda: write(sys.argv[1]), "witness": lambda: witness(sys.argv[3]), "run": lambda: run(float(sys.argv[3]))}[sys.argv[2]]()

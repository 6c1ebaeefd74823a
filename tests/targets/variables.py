"""Frames of every kind, and what their own f_locals say.

`variables.py FILE`: the innermost function writes JSON [[function, is_function, {name: repr}, [arguments]], ...], innermost
first, to FILE, prints `ready PID` and waits. Also runs with 2.7: what a version does not have is not compiled.
"""
import json
import os
import sys

password_of_module = "module secret"
number_of_module = 41
Text = type("")


def truth(frame):
    out = []
    while frame:
        code = frame.f_code
        n = code.co_argcount + getattr(code, "co_kwonlyargcount", 0) + bool(code.co_flags & 4) + bool(code.co_flags & 8)
        is_function = bool(code.co_flags & 1)
        names = dict((k, repr(v)) for k, v in frame.f_locals.items()) if is_function else dict((k, repr(v)) for k, v in frame.f_locals.items() if k.startswith(("class_", "number_", "exec_")))
        out.append([code.co_name, is_function, names, list(code.co_varnames[:n]) if is_function else []])
        frame = frame.f_back
    return out


def park(a, b=2, *rest):
    with open(sys.argv[1], "w") as f:
        json.dump(truth(sys._getframe(1)), f)
    print("ready %d" % os.getpid())
    sys.stdout.flush()
    while sys.stdin.readline():
        pass


def with_cells(argument, in_cell, unused_cell=None):
    plain = 1
    never_bound = 2
    del never_bound
    made = [argument]

    def inner(x, *args, **kw):
        own = "own"
        made.append(x)

        def innermost(y=(1,)):
            if y is None:
                not_yet = 1
            sees = (own, in_cell, made is None)
            generate(sees)
        innermost()
    if plain == 2:
        late = plain

        def sees_late():
            return late
    inner(plain, 2, 3, key="value")


def generate(value):
    def generator(n):
        for i in range(n):
            if i == 2:
                in_class(i, value)
            yield i
    for _ in generator(5):
        pass


def in_class(i, value):
    class Body(object):
        class_variable = [i]
        class_other = "text"
        comprehended = [deeper(j) for j in (value,)]
    return Body


def deeper(value):
    space = {"go": lambda: more(api_key="abc", author=1, data={"token": "t", "plain": [1, {"Password": 2}]}, value=value), "exec_name": 5}
    exec("exec_more = exec_name + 1\ngo()", space)


def more(api_key, author, data, value):
    recursive(3, value)


def recursive(n, value, _list=[1, 2]):
    if n:
        return recursive(n - 1, value)
    NEWER.get("newer", lambda f: f())(lambda: park(1))


NEWER = {}
for source in ("""
def newer(f, positional=1, /, other=2, *, keyword=3, **rest):
    squares = [g * g for g in range(3)]
    pairs = {k: [v for v in range(k)] for k in range(3)}
    if (walrus := keyword):
        f()
""", """
async def coroutine(f):
    awaited = 1
    async def inner(): f()
    await inner()
def run(f):
    c = coroutine(f)
    try: c.send(None)
    except StopIteration: pass
NEWER["newer"] = (lambda newer: lambda f: run(lambda: newer(f)))(NEWER["newer"])
""", """
def generic[T](f, x: T):
    y = x
    f()
NEWER["newer"] = (lambda newer: lambda f: generic(lambda: newer(f), 5))(NEWER["newer"])
"""):
    try:
        space = {"NEWER": NEWER}
        exec(source, space)
        NEWER.update((k, v) for k, v in space.items() if k == "newer")
    except (SyntaxError, KeyError):
        pass

with_cells("argument", {"in": "cell"})

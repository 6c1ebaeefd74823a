"""Cases of parked.py: code by where it comes from (strings, files, archives), how it is named, and how its lines lie."""
import importlib
import os
import sys
import tempfile
import zipfile

from parked_halt import halt, identity
from parked_objects import Things


def case_exec_string():
    exec("def from_string(x):\n\n  return halt(x)\nfrom_string(\n 1)", {"halt": halt, "__name__": "made.up"})


def case_exec_names():
    """module names that are hard to find: no __name__, one that is no str, a dict with keys that are no str, a big one"""
    spaces = [{}, {"__name__": 5}, {1: 2, None: 3, "__name__": "general keys"},
              dict({"x%d" % i: i for i in range(3000)}, __name__="big"), {"__name__": "módulo.\u6a21"}, {"__name__": ""}]
    shrunk = {"y%d" % i: i for i in range(500)}
    shrunk["__name__"] = "first"
    for i in range(500):
        del shrunk["y%d" % i]
    del shrunk["__name__"]
    shrunk["__name__"] = "second"
    spaces.append(shrunk)
    run_nested(spaces, None)


def case_exec_shared_code():
    """the same code object with the globals of two modules"""
    code = compile("def f(): return halt()\nf()", "<string>", "exec")
    run_nested([{"__name__": "one"}, {"__name__": "two"}], code)


def run_nested(spaces, code):
    if not spaces:
        return halt()
    g = spaces[0]
    g["halt"] = lambda: run_nested(spaces[1:], code)
    exec(code or compile("def f(): return halt()\nf()", "<string>", "exec"), g)


FILES = ["<string>", "<stdin>", "", "bad\udcff\ud800.py", "a;b c\n\x1b[31m\t\\.py", "/\u30d5\u30a1\u30a4\u30eb/\U0001f40d.py",
         "/x/" + "very_long_folder/" * 30 + "end.py", "\u202ebidi.py", "Latin-\xe9\xff.py"]


def case_exec_files():
    run_files(FILES)


def run_files(files):
    if not files:
        return halt()
    exec(compile("\n\ndef in_file(f):\n    f()\nin_file(go)", files[0], "exec"), {"go": lambda: run_files(files[1:]), "__name__": "files"})


def case_eval():
    eval("halt(\n 1)", {"halt": halt})


NON_ASCII = """
class Größe:
    def \u540d\u524d(self, λ):
        def ß(): return halt(λ)
        return ß()
Größe().\u540d\u524d(1)
Größe().\u540d\u524d(1) if False else None
"""


def case_names_non_ascii():
    exec(compile(NON_ASCII, "/tmp/\xfcml\xe4ut.py", "exec"), {"halt": halt, "__name__": "ünï"})


def latin_é():
    return astral_𝒳()


def astral_𝒳():
    return halt()


def case_names_kinds():
    latin_é()


def case_names_long():
    for n in (255, 1000):
        name = "n" * n
        space = {"halt": halt, "__name__": "m" * n}
        exec("def %s(): return halt()" % name, space)
        space[name]()
    name = "long_" + "x" * 100000
    space = {"halt": space[name[5:5 + 0] or "n" * 1000], "__name__": "cut"}
    exec("def %s(): return halt()" % name, space)
    space[name]()


def case_code_replaced():
    def f():
        return halt()
    f.__code__ = f.__code__.replace(co_name="other", co_qualname="other.<qual>.name", co_firstlineno=1, co_filename="replaced.py")
    f()

    def g():
        return halt()
    g.__code__ = g.__code__.replace(co_name="", co_qualname="")
    g()


def case_code_replaced_2():
    def f():
        return halt()
    f.__code__ = f.__code__.replace(co_name="moved", co_qualname="moved.<locals>", co_firstlineno=2000000)
    f()


def case_no_line_table():
    def f():
        return halt()
    f.__code__ = f.__code__.replace(co_linetable=b"")
    f()


def case_far_lines():
    import ast
    tree = ast.parse("def far():\n  return (\n" + "\n" * 3000 + "    halt(" + " " * 700 + "1,\n" + "\n" * 70000 + "))\n")
    ast.increment_lineno(tree, 1000000)
    space = {"halt": halt, "__name__": "far"}
    exec(compile(tree, "far.py", "exec"), space)
    space["far"]()


def case_multi_line_call():
    return identity(
        1,
        identity(2,
                 halt(
                     3,
                 ),
                 ),
        x=identity(
            4
        ),
    )


def case_multi_line_expression():
    x = (1
         + 2
         + (halt(3)
            or 4)
         + 5)
    return x


def case_unpacking():
    a, *b = identity(*[1, 2], **{"x": halt(
        1)}), 2, 3
    return a, b


def case_chained():
    return (Things
            .klass.__func__(
                Things)
            )


def case_conditional():
    return 1 if not identity(0) and halt() else 2


def case_try_finally():
    try:
        identity(1)
    finally:
        halt()


def case_except():
    try:
        raise KeyError(
            1)
    except KeyError as e:
        identity(e)
        halt()


def case_except_group():
    try:
        raise ExceptionGroup("x", [ValueError(1)])
    except* ValueError:
        halt()


def case_nested_try():
    try:
        try:
            raise KeyError
        finally:
            identity()
    except KeyError:
        try:
            1 / 0
        except ZeroDivisionError:
            halt()
        else:
            pass


def case_match():
    match identity([1, 2]):
        case [x] if halt(x):
            return 1
        case [1, y] if (
                halt(y)):
            return 2
        case _:
            return 3


def case_while_loop():
    n = 0
    while n < 3:
        n += 1
        if n == 2:
            halt()


FOLDER = tempfile.mkdtemp(prefix="pyspy-mödül-\u6a21-")
sys.path.insert(0, FOLDER)
with open(os.path.join(FOLDER, "top_\xe9.py"), "w", encoding="utf-8") as _f:
    _f.write("# a module that blocks while it is imported\nimport parked_halt\n\nclass A:\n    x = (\n        parked_halt.halt())\n\n")
with zipfile.ZipFile(os.path.join(FOLDER, "lib.zip"), "w") as _z:
    _z.writestr("zipped/__init__.py", "")
    _z.writestr("zipped/deep.py", "import parked_halt\n\n\ndef f():\n    return parked_halt.halt()\n")
sys.path.insert(0, os.path.join(FOLDER, "lib.zip"))
import zipped.deep  # noqa: E402


def case_import_module():
    sys.modules.pop("top_\xe9", None)
    importlib.import_module("top_\xe9")


def case_zip_module():
    zipped.deep.f()


def case_semicolons():
    a = 1; identity(a); halt(a); identity(a)  # noqa: E702


def case_assert():
    assert not halt(), "x"


def case_default_argument():
    def f(x=halt()):
        return x
    f()


def case_walrus():
    if (n := halt(1)) and n:
        return n


def case_many_locals():
    space = {"halt": halt}
    body = "".join("  v%d = %d\n" % (i, i) for i in range(400))
    exec("def wide():\n%s  return halt(v399)\ndef wider():\n%s  return wide()\n" % (body, body), space)
    space["wider"]()


def case_far_jump():
    space = {"halt": halt}
    exec("def far(n):\n for i in range(2):\n%s  halt()\n" % "".join("  x%d = n + %d\n" % (i, i) for i in range(600)), space)
    space["far"](1)

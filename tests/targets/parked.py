"""Threads parked in known nested calls, and the truth about them from the interpreter itself.

Every `case_*` function is run by a thread of its own: first `WARM` times with halt() returning at once (so that calls get
specialised and inlined), then for good: the last halt() blocks for ever. A thread named `oracle` reads commands on
stdin; `snap FILE` writes what sys._current_frames, co_positions and threading say, as JSON. Truth is taken twice and only
written when nothing moved in between.
"""
import _thread
import asyncio
import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import queue
import re
import select
import socket
import sys
import tempfile
import threading
import time
import types
import weakref
import zipfile

WARM = int(os.environ.get("WARM", "60"))
DEEP = int(os.environ.get("DEEP", "2500"))
sys.setrecursionlimit(20000)
threading.stack_size(64 << 20)

# ------------------------------------------------------------------ how to block

HELD = threading.Lock()
HELD.acquire()
NEVER = threading.Event()
PIPE_R, PIPE_W = os.pipe()
PAIR_A, PAIR_B = socket.socketpair()
EMPTY = queue.Queue()
BARRIER = threading.Barrier(1000)


def by_lock():
    HELD.acquire()


def by_event():
    NEVER.wait()


def by_event_timeout():
    NEVER.wait(timeout=100000)


def by_sleep():
    time.sleep(100000)


def by_select():
    select.select([PIPE_R], [], [])


def by_read():
    os.read(PIPE_R, 1)


def by_recv():
    PAIR_A.recv(1)


def by_queue():
    EMPTY.get()


def by_barrier():
    BARRIER.wait()


def by_epoll():
    with select.epoll() as e:
        e.register(PIPE_R)
        e.poll()


def by_with_lock():
    with HELD:
        pass


WAYS = [by_lock, by_event, by_sleep, by_select, by_read, by_recv, by_queue, by_barrier, by_epoll, by_event_timeout, by_with_lock]
armed = {}  # thread ident -> how it blocks; absent: halt() returns
halted = {}


def halt(value=None):
    """the innermost call of every case"""
    how = armed.get(_thread.get_ident())
    if how is not None:
        halted[_thread.get_ident()] = True
        how()
    return value


# ------------------------------------------------------------------ the cases

def identity(*args, **kw):
    return args[0] if args else None


def case_function():
    def inner():
        halt()
    inner()


def case_oneline(): identity(halt())


class Things:
    def __init__(self, deep=False):
        self.a = 1
        if deep:
            halt()

    def method(self):
        return self._second(1, b=2)

    def _second(self, a, *, b):
        return halt(a + b)

    @classmethod
    def klass(cls):
        return cls.static()

    @staticmethod
    def static():
        return halt()

    @property
    def prop(self):
        return halt(1)

    @functools.cached_property
    def cached(self):
        return halt(1)

    def __getattr__(self, name):
        return halt(name)

    def __getitem__(self, i):
        return halt(i)

    def __call__(self, x):
        return halt(x)

    def __add__(self, other):
        return halt(other)

    def __lt__(self, other):
        halt()
        return False

    def __contains__(self, x):
        return bool(halt())

    def __len__(self):
        return halt(3)

    def __bool__(self):
        return bool(halt(True))

    def __format__(self, spec):
        return str(halt(spec))

    def __hash__(self):
        halt()
        return 5

    def __enter__(self):
        return halt(self)

    def __exit__(self, *a):
        return None

    def __iter__(self):
        return self

    def __next__(self):
        halt()
        raise StopIteration


THING = Things()


def case_method():
    THING.method()


def case_class_and_static():
    Things.klass()


def case_property():
    return (
        THING
        .prop
    )


def case_cached_property():
    return Things().cached


def case_getattr():
    return THING.not_there


def case_getitem():
    return THING[
        1
    ]


def case_call():
    return THING(1)


def case_operator():
    return 1, THING + 2


def case_compare():
    return sorted([THING, Things(), Things()])


def case_contains():
    return 1 in THING


def case_len():
    return len(THING)


def case_bool():
    if THING:
        return 1


def case_fstring():
    return f"{1} {THING:x} {2}"


def case_hash():
    return {THING: 1}


def case_init():
    return Things(
        deep=True)


def case_init_inlined():
    return Inlined(1)


class Inlined:
    def __init__(self, x):
        self.x = halt(x)


class Slots:
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = Inlined(x)


def case_init_in_init():
    return Slots(2)


def case_with_enter():
    with THING:
        pass


def case_with_body():
    with contextlib.suppress(KeyError), contextlib.ExitStack() as s:
        s.callback(identity)
        halt()


class OnExit:
    def __enter__(self):
        return self

    def __exit__(self, *a):
        halt()
        return True


def case_with_exit():
    with OnExit():
        identity(1)


def case_with_exit_exception():
    with OnExit():
        raise ValueError


@contextlib.contextmanager
def manager():
    halt()
    yield 1


def case_contextmanager():
    with manager() as m:
        return m


@contextlib.contextmanager
def manager_late():
    try:
        yield 1
    finally:
        halt()


def case_contextmanager_late():
    with manager_late() as m:
        identity(m)


def case_iter_next():
    for _ in Things():
        pass


def case_lambda():
    return (lambda x: (lambda: halt(x))())(1)


def case_listcomp():
    return [halt(x) for x in (1, 2)]


def case_dictcomp():
    return {x: halt(x) for x in (1, 2)}


def case_setcomp():
    return {halt(x)
            for x in (1, 2)
            if x}


def case_genexpr():
    return list(halt(x) for x in (1, 2))


def case_nested_comprehension():
    return [[halt(x + y) for x in (1, 2)] for y in (3, 4)]


def case_comprehension_lambda():
    return [(lambda: [halt(i) for i in (1,)])() for j in (1,)]


def case_genexpr_sum():
    return sum(halt(x)
               or 0
               for x in (1, 2))


def gen_leaf():
    yield 1
    halt()
    yield 2


def gen_mid():
    yield from gen_leaf()


def gen_for():
    for x in gen_mid():
        yield x


def case_generator():
    for _ in gen_for():
        pass


def case_generator_list():
    return list(gen_for())


def gen_send():
    while True:
        x = yield
        if x:
            halt()


def case_generator_send():
    g = gen_send()
    next(g)
    g.send(0)
    g.send(1)


def gen_throw():
    try:
        yield
    except ValueError:
        halt()


def gen_throw_outer():
    yield from gen_throw()


def case_generator_throw():
    g = gen_throw_outer()
    next(g)
    with contextlib.suppress(StopIteration):
        g.throw(ValueError())


def gen_close():
    try:
        yield
    finally:
        halt()


def case_generator_close():
    g = gen_close()
    next(g)
    g.close()


class Wait:
    def __await__(self):
        halt()
        return iter(())


async def co_leaf():
    halt()


async def co_mid(n):
    if n:
        return await co_mid(n - 1)
    await co_leaf()


def case_coroutine():
    with contextlib.suppress(StopIteration):
        co_mid(5).send(None)


async def co_await():
    await Wait()


def case_awaitable():
    with contextlib.suppress(StopIteration):
        co_await().send(None)


async def agen():
    yield 1
    await co_leaf()
    yield 2


async def agen_user():
    async for _ in agen():
        pass


def case_async_generator():
    asyncio.run(agen_user())


async def acomp():
    return [x async for x in agen()]


def case_async_comprehension():
    asyncio.run(acomp())


class AWith:
    async def __aenter__(self):
        halt()

    async def __aexit__(self, *a):
        pass


async def awith():
    async with AWith():
        pass


def case_async_with():
    asyncio.run(awith())


async def task_main():
    await asyncio.gather(co_mid(3), asyncio.sleep(0))


def case_asyncio_task():
    asyncio.run(task_main())


async def idle_loop():
    if armed.get(_thread.get_ident()):
        halted[_thread.get_ident()] = True
        await asyncio.sleep(100000)


def case_asyncio_idle():
    asyncio.run(idle_loop())


@types.coroutine
def old_coroutine():
    halt()
    yield


async def old_user():
    await old_coroutine()


def case_types_coroutine():
    c = old_user()
    c.send(None)
    c.close()


def recurse(n):
    if n:
        return recurse(n - 1)
    return halt()


def case_recursion():
    recurse(40)


def case_recursion_deep():
    recurse(DEEP if armed.get(_thread.get_ident()) else 3)


def even(n):
    a = b = c = d = e = f = g = h = n
    return odd(n - 1) if n else halt(a)


def odd(n):
    return (
        even(n - 1)
        if n else halt())


def case_recursion_mutual():
    even(DEEP if armed.get(_thread.get_ident()) else 4)


def through_c(n):
    return list(map(through_c, [n - 1])) if n else halt()


def case_recursion_through_c():
    through_c(150)


def gen_deep(n):
    if n:
        yield from gen_deep(n - 1)
    else:
        halt()
        yield 1


def case_generator_deep():
    list(gen_deep(300))


def deco(f):
    @functools.wraps(f)
    def wrapper(*args, **kw):
        return f(*args, **kw)
    return wrapper


def deco_arg(n):
    def outer(f):
        @functools.wraps(f)
        def wrapper(*args):
            x = f(*args)
            return x
        return wrapper
    return outer


@deco
@deco_arg(
    1
)
@deco
def decorated(x):
    return halt(x)


def case_decorator():
    decorated(1)


@functools.lru_cache(maxsize=2)
def caching(x):
    return halt(x)


def case_lru_cache():
    caching(object())


def case_partial():
    functools.partial(identity, 1)()
    functools.partial(halt, 1)()


@functools.singledispatch
def single(x):
    return 0


@single.register
def single_int(x: int):
    return halt(x)


def case_singledispatch():
    single(1)


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


def case_closure():
    a = 1

    def one():
        nonlocal a

        def two():
            def three():
                return halt(a)
            return three()
        return two()
    one()


def case_class_body():
    class Body:
        x = 1
        y = halt(x)

        class Inner:
            z = halt()
    return Body


class Meta(type):
    def __new__(mcs, name, bases, space, **kw):
        halt()
        return super().__new__(mcs, name, bases, space)

    def __call__(cls, *a):
        return super().__call__(*a)


def case_metaclass():
    class WithMeta(metaclass=Meta):
        pass
    return WithMeta


class MetaPrepare(type):
    @classmethod
    def __prepare__(mcs, name, bases):
        halt()
        return {}


def case_metaclass_prepare():
    class WithPrepare(metaclass=MetaPrepare):
        pass


class Base:
    def __init_subclass__(cls, **kw):
        halt()


def case_init_subclass():
    class Sub(Base, x=1):
        pass


class Named:
    def __set_name__(self, owner, name):
        halt()

    def __get__(self, obj, kind):
        return halt()


def case_set_name():
    class Owner:
        n = Named()


class HasNamed:
    n = Named()


def case_descriptor():
    return HasNamed().n


def case_super():
    class A:
        def f(self):
            return halt()

    class B(A):
        def f(self):
            return super().f()

    class C(B):
        def f(self):
            return (super()
                    .f())
    C().f()


def case_sorted_key():
    sorted([3, 1, 2], key=lambda x: halt(x) or x)


def case_map():
    return list(map(
        lambda x: halt(x), [1, 2]))


def case_filter_reduce():
    return functools.reduce(lambda a, b: a + (halt(b) or 0), filter(None, [1, 2, 3]))


def on_match(m):
    return str(halt(m.group()))


def case_re_sub():
    re.sub("a|b", on_match, "cab")


def case_min_key():
    min([1, 2], key=halt)


def case_json_hook():
    json.loads('{"a": [1, {"b": 2}]}', object_hook=lambda d: halt(d) and 1)


def case_type_call():
    return type("T", (Base,), {})


class Del:
    def __del__(self):
        halt()


def case_del():
    d = Del()
    identity(1)
    del d


def case_del_scope():
    def scope():
        d = Del()
        return identity(d) and 1
    scope()


class Cycle:
    def __del__(self):
        halt()


def case_gc():
    tries = 200 if armed.get(_thread.get_ident()) else 0
    while tries:  # free-threaded: while another thread collects, nothing is done here
        tries -= 1
        c = Cycle()
        c.me = c
        del c
        gc.collect()
        time.sleep(0.01)


def case_weakref():
    class W:
        pass
    w = W()
    r = weakref.ref(w, lambda r: halt())
    del w
    return r


def case_setprofile():
    def prof(frame, event, arg):
        if event == "call" and frame.f_code is identity.__code__:
            halt()
    sys.setprofile(prof)
    try:
        identity(1)
    finally:
        sys.setprofile(None)


def case_settrace():
    def trace(frame, event, arg):
        if frame.f_code is identity.__code__ and event == "line":
            halt()
        return trace
    sys.settrace(trace)
    try:
        identity(1)
    finally:
        sys.settrace(None)


def case_monitoring():
    """sys.monitoring (3.12): the code is instrumented in place"""
    m = getattr(sys, "monitoring", None)
    if not m:
        return halt()
    if not armed.get(_thread.get_ident()):
        return None
    m.use_tool_id(4, "parked")

    def on_line(code, line):
        if code is watched.__code__ and line == watched.__code__.co_firstlineno + 2:
            halt()
    m.register_callback(4, m.events.LINE, on_line)
    m.set_local_events(4, watched.__code__, m.events.LINE | m.events.PY_START | m.events.INSTRUCTION)
    watched(1)


def watched(x):
    y = identity(x)
    return [identity(z) for z in (
        x, y)]


FOLDER = tempfile.mkdtemp(prefix="pyspy-mödül-\u6a21-")
sys.path.insert(0, FOLDER)
with open(os.path.join(FOLDER, "top_\xe9.py"), "w", encoding="utf-8") as _f:
    _f.write("# a module that blocks while it is imported\nimport __main__\n\nclass A:\n    x = (\n        __main__.halt())\n\n")
with zipfile.ZipFile(os.path.join(FOLDER, "lib.zip"), "w") as _z:
    _z.writestr("zipped/__init__.py", "")
    _z.writestr("zipped/deep.py", "import __main__\n\n\ndef f():\n    return __main__.halt()\n")
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


# ------------------------------------------------------------------ the threads

info = {}  # ident -> native id, how it was made


def run_case(case, how, dry):
    ident = _thread.get_ident()
    info[ident] = dict(native=_thread.get_native_id(), case=case.__name__)
    for _ in range(dry):
        case()
    armed[ident] = how
    case()
    os.write(2, b"case %s did not block\n" % case.__name__.encode())
    os._exit(3)


def c_thread(arg):
    """a thread that is started in C, and knows nothing of threading"""
    if arg:
        threading.current_thread()  # makes a _DummyThread
    run_case(case_closure, by_sleep, 3)
    return 0


def start_c_thread(dummy):
    kind = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    f = kind(c_thread)
    keep.append(f)
    t = ctypes.c_ulong()
    lib = ctypes.CDLL(None)
    if lib.pthread_create(ctypes.byref(t), None, f, ctypes.c_void_p(1 if dummy else None)):
        raise OSError("pthread_create")


def named_in_kernel():
    ctypes.CDLL(None).prctl(15, b"kernel name", 0, 0, 0)
    run_case(case_function, by_sleep, 2)


keep = []
NAMES = {"case_function": "plain name", "case_method": "N\xe4me \u540d\U0001f40d", "case_property": "", "case_map": "x" * 200,
         "case_lambda": "a;b\n\x1b[31mred", "case_listcomp": "sur\udcffrogate", "case_gc": "\xff\xfe"}


def start_thread(case, i, dry):
    t = threading.Thread(target=run_case, args=(case, WAYS[i % len(WAYS)], dry), daemon=True)
    if case.__name__ in NAMES:
        t.name = NAMES[case.__name__]
    elif i % 3 == 0:
        t.name = case.__name__
    t.start()
    if i % 7 == 0 and case.__name__ not in NAMES:
        t.name = "renamed " + case.__name__
    return t


# ------------------------------------------------------------------ the truth

def positions(code, cache={}):
    p = cache.get(code)
    if p is None:
        p = cache[code] = list(code.co_positions())
    return p


def walk(frame):
    out = []
    while frame is not None:
        code = frame.f_code
        p = positions(code)
        i = frame.f_lasti // 2
        line, end, col, end_col = p[i] if 0 <= i < len(p) else (None,) * 4
        name = frame.f_globals.get("__name__")
        out.append([code.co_qualname, name if isinstance(name, str) else "", code.co_filename, code.co_firstlineno,
                    frame.f_lineno, line, end, col, end_col])
        frame = frame.f_back
    out.reverse()
    return out


def snapshot():
    names = {t.ident: t.name for t in threading.enumerate()}
    me = _thread.get_ident()
    out = []
    for ident, frame in sys._current_frames().items():
        i = info.get(ident)
        native = i["native"] if i else next((t.native_id for t in threading.enumerate() if t.ident == ident), 0)
        with open("/proc/self/task/%d/comm" % native, "rb") as f:
            comm = f.read()[:-1].decode("utf-8", "surrogateescape")
        out.append(dict(ident=ident, tid=native, name=names.get(ident), comm=comm, main=ident == threading.main_thread().ident,
                        oracle=ident == me, case=i["case"] if i else "main" if ident == threading.main_thread().ident else "?",
                        frames=[] if ident == me else walk(frame)))
    return out


def facts():
    with open("/proc/self/cmdline", "rb") as f:
        words = f.read().decode("utf-8", "surrogateescape").split("\0")[:-1]
    return dict(hexversion=sys.hexversion, version=sys.version, prefix=sys.prefix, base_prefix=sys.base_prefix, path=sys.path,
                cwd=os.getcwd(), cmdline=words, exe=os.readlink("/proc/self/exe"), pid=os.getpid(), parent=os.getppid(),
                uid=os.geteuid(), debug=hasattr(sys, "gettotalrefcount"))


def blocked(tid):
    with open("/proc/self/task/%d/stat" % tid, "rb") as f:
        return f.read().rsplit(b")", 1)[1].split()[0] == b"S"


def settled(n):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if len(halted) >= n and all(blocked(i["native"]) for i in list(info.values())):
            a = snapshot()
            time.sleep(0.05)
            if a == snapshot():
                return a
        time.sleep(0.02)
    print("not settled:", [i["case"] for k, i in info.items() if k not in halted], flush=True)
    os._exit(4)


def main():
    cases = [f for name, f in sorted(globals().items()) if name.startswith("case_")]
    if len(sys.argv) > 1:
        cases = [f for f in cases if re.search(sys.argv[1], f.__name__)]
    for i, case in enumerate(cases):
        t = start_thread(case, i, WARM)
        if i % 16 == 15:
            t.join(0.02)
    _thread.start_new_thread(run_case, (case_match, by_lock, 5))
    _thread.start_new_thread(named_in_kernel, ())
    start_c_thread(False)
    start_c_thread(True)
    made = len(cases) + 4

    def oracle():
        settled(made + 1)
        print("ready", os.getpid(), made, flush=True)
        for line in sys.stdin:
            w = line.split(None, 1)
            if w[0] == "snap":
                s = settled(made + 1)
                with open(w[1].strip() + ".tmp", "w") as f:
                    json.dump(dict(threads=s, process=facts()), f)
                os.rename(w[1].strip() + ".tmp", w[1].strip())
                print("snapped", flush=True)
            elif w[0] == "rename":
                next(t for t in threading.enumerate() if t.name == "plain name").name = w[1].strip()
                print("renamed", flush=True)
            else:
                break
        import shutil
        shutil.rmtree(FOLDER, ignore_errors=True)
        os._exit(0)

    threading.Thread(target=oracle, name="oracle", daemon=True).start()
    run_case(case_genexpr_sum, by_lock, 3)


main()

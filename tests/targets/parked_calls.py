"""Cases of parked.py: functions, comprehensions, generators, coroutines and recursion; decorators, what C calls, and hooks."""
import _thread
import asyncio
import contextlib
import functools
import json
import os
import re
import sys
import types

from parked_halt import armed, halt, halted, identity

DEEP = int(os.environ.get("DEEP", "2500"))


def case_function():
    def inner():
        halt()
    inner()


def case_oneline(): identity(halt())


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

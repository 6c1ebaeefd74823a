"""tasks.py TRUTH [python|c] [thread]: every kind of asyncio task, and what the interpreter says of each, as JSON in TRUTH: a list of tasks with
the chain of what they await, walked in Python. 3.8 and later.

python: asyncio's own tasks in Python, C's module _asyncio is not there. thread: a second loop in a thread of its own."""
import gc
import json
import os
import sys
import threading
import traceback
import types

WAYS = sys.argv[2:]
if "python" in WAYS:
    sys.modules["_asyncio"] = None
import asyncio

NEW = sys.version_info >= (3, 11)


class Future(asyncio.Future):
    pass


class MyTask(asyncio.Task):
    pass


class Awaitable:
    """an iterator of its own: the chain ends here"""
    def __init__(self, future): self.future = future
    def __await__(self): return self
    def __iter__(self): return self
    def __next__(self): return self.send(None)
    def send(self, value):
        self.future._asyncio_future_blocking = True
        return self.future
    def throw(self, *a): raise a[0] if len(a) == 1 else a[1]
    def close(self): pass


class Generated:
    """__await__ is a generator"""
    def __init__(self, future): self.future = future
    def __await__(self):
        value = yield from self.future
        return value


class Wrapped:
    """__await__ of a coroutine: a coroutine_wrapper"""
    def __init__(self, coroutine): self.coroutine = coroutine
    def __await__(self): return self.coroutine.__await__()


@types.coroutine
def decorated(future):
    for _ in iter(int, 1):
        yield from future.__await__()


class Manager:
    def __init__(self, future): self.future = future
    async def __aenter__(self): await self.future
    async def __aexit__(self, *a): await self.future


class Kinds:
    def __init__(self, loop):
        self.loop = loop
        self.own = Future(loop=loop)

    @property
    def never(self):  # one for each who waits: cancelling a task cancels what it waits for
        future = self.loop.create_future()
        KEEP_FUTURES.append(future)
        return future

    async def leaf(self, depth):
        if depth:
            return await self.leaf(depth - 1)
        await self.never

    async def on_own_future(self): await self.own
    async def sleeper(self): await asyncio.sleep(3600)
    async def gathered(self):
        await asyncio.gather(self.leaf(1), self.leaf(2), self.never, self.sleeper())
    async def waited(self):
        await asyncio.wait([self.loop.create_task(self.leaf(0)), self.loop.create_task(self.leaf(1))])
    async def timed(self): await asyncio.wait_for(self.leaf(2), 3600)
    async def shielded(self): await asyncio.shield(self.leaf(1))
    async def numbers(self):
        yield 1
        await self.never
        yield 2
    async def over(self):
        async for number in self.numbers():
            await asyncio.sleep(0)
    async def delegating(self):
        async for n in self.numbers():
            yield n
    async def over_two(self):
        return [n async for n in self.delegating()]
    async def by_hand(self):
        it = self.numbers()
        await it.__anext__()
        await it.asend(None)
    async def closing(self):
        it = self.numbers()
        await it.__anext__()
        async def finish():
            try:
                await it.__anext__()
            finally:
                await it.aclose()
        await finish()
    async def thrown(self):
        async def catches():
            try:
                yield 1
            except ValueError:
                await self.never
        it = catches()
        await it.__anext__()
        await it.athrow(ValueError())
    async def own_iterator(self): await Awaitable(self.never)
    async def generated(self): await Generated(self.never)
    async def wrapped(self): await Wrapped(self.leaf(1))
    async def old_style(self): await decorated(self.never)
    async def entering(self):
        async with Manager(self.never):
            pass
    async def on_queue(self): await asyncio.Queue().get()
    async def on_event(self): await asyncio.Event().wait()
    async def on_lock(self):
        lock = asyncio.Lock()
        async with lock:
            async with lock:
                pass
    async def on_task(self): await self.loop.create_task(self.leaf(3), name="a child of its own")
    async def cancelled_once(self):
        try:
            await self.never
        except asyncio.CancelledError:
            await self.never
    async def deep(self): await self.leaf(200)
    async def looping(self):
        for value in (x for x in range(3)):
            await self.never
    async def grouped(self):
        async with asyncio.TaskGroup() as group:
            group.create_task(self.leaf(1))
            group.create_task(self.leaf(2), name="grouped two")
    async def in_timeout(self):
        async with asyncio.timeout(3600):
            await self.leaf(1)
    async def anext_default(self):
        it = self.numbers()
        await anext(it, 5)
        await anext(it, 5)


def thing(object_):
    if object_ is None:
        return None
    kind = type(object_)
    return [id(object_), (kind.__module__ + "." if kind.__module__ != "builtins" else "") + kind.__qualname__]


def chain(coroutine):
    """frames of what is awaited, the innermost first, and what the innermost waits for"""
    frames, end, at = [], None, coroutine
    while at is not None:
        frame = nxt = None
        if isinstance(at, types.CoroutineType):
            frame, nxt = at.cr_frame, at.cr_await
        elif isinstance(at, types.GeneratorType):
            frame, nxt = at.gi_frame, at.gi_yieldfrom
        elif isinstance(at, types.AsyncGeneratorType):
            frame, nxt = at.ag_frame, at.ag_await
        elif type(at).__name__ == "_GeneratorWrapper":
            at = at._GeneratorWrapper__wrapped
            continue
        elif type(at).__name__ in ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow", "anext_awaitable"):
            inner = [x for x in gc.get_referents(at) if type(x).__name__ in ("coroutine", "async_generator", "async_generator_asend")]
            at = inner[0] if inner else None
            continue
        else:
            end = thing(at)[1]
            break
        if frame is None:
            break
        code = frame.f_code
        frames.append([getattr(code, "co_qualname", code.co_name), code.co_filename, frame.f_lineno])
        at = nxt
    return frames[::-1], end


def describe(task, thread):
    coroutine = task.get_coro()
    frames, end = chain(coroutine)
    by = getattr(task, "_asyncio_awaited_by", None)
    children = getattr(task._fut_waiter, "_children", [])
    state = getattr(coroutine, "cr_frame", None)
    return dict(id=id(task), name=task.get_name(), type=thing(task)[1], coroutine=getattr(coroutine, "__qualname__", thing(coroutine)[1]), frames=frames, awaits=end,
                waits_for=thing(task._fut_waiter), all_of=[id(c) for c in children if not c.done()], begun=state is None or state.f_lasti >= 0 and bool(task._fut_waiter or end or len(frames) > 1),
                stack=[[f.f_code.co_name, f.f_lineno] for f in task.get_stack()], awaited_by=sorted(id(x) for x in by or []), loop=id(task.get_loop()), thread=thread)


KEEP, LOOPS, KEEP_FUTURES = [], [], []


def begin(loop, kinds, names, factory=None):
    for name in names:
        task = loop.create_task(getattr(kinds, name)(), name="kind " + name)
        KEEP.append(task)


async def main(loop, ready, out, thread):
    kinds = Kinds(loop)
    names = [n for n in sorted(vars(Kinds)) if not n.startswith("_") and n not in ("leaf", "never", "numbers", "delegating")]
    if not NEW:
        names = [n for n in names if n not in ("grouped", "in_timeout")]
    if sys.version_info < (3, 10):
        names.remove("anext_default")
    begin(loop, kinds, names)
    KEEP.append(MyTask(kinds.leaf(1), loop=loop, name="of my own \udc80 \n\x1b[31m\u202e;"))
    if sys.version_info >= (3, 12):
        KEEP.append(asyncio.Task(kinds.leaf(2), loop=loop, name="eager", eager_start=True))
    for i in range(3):  # done, and kept
        KEEP.append(loop.create_task(asyncio.sleep(0)))
    KEEP.append(loop.create_task(kinds.leaf(0)))
    for _ in range(10):
        await asyncio.sleep(0.01)
    [t for t in KEEP if t.get_name() == "kind cancelled_once"][0].cancel()
    [t for t in KEEP if t.get_name() == "kind closing"][0].cancel()
    for _ in range(5):
        await asyncio.sleep(0.01)
    ready()


def settle(loop, out, thread, then):
    """when this runs nothing else does: only futures that never come are waited for"""
    me = asyncio.current_task(loop)
    late = loop.create_task(Kinds(loop).leaf(1), name="not begun")
    KEEP.append(late)
    out.extend(describe(t, thread) for t in asyncio.all_tasks(loop))
    then()


async def guarded(*args):
    try:
        await main(*args)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def run(out, then):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    thread = threading.get_native_id()
    LOOPS.append(loop)
    KEEP.append(loop.create_task(guarded(loop, lambda: loop.call_later(0.05, settle, loop, out, thread, then), out, thread), name="main"))
    loop.run_forever()


def last(out):
    with open(sys.argv[1], "w") as f:
        json.dump(out, f)
    print("ready %d" % os.getpid())
    sys.stdout.flush()
    sys.stdin.read()  # the loop stands in a callback: "not begun" never begins
    os._exit(0)


out = []
if "thread" in WAYS:
    done = threading.Event()
    def stand():
        done.set()
        threading.Event().wait()
    other = threading.Thread(target=run, args=(out, stand), daemon=True)
    other.start()
    done.wait()
run(out, lambda: last(out))

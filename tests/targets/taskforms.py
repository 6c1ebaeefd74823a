"""taskforms.py FORM [N]: asyncio programs for `dump --tasks`, each in a state of its own. 3.8 and later.

running  a task that is in a call, and (3.12) one that it has begun eagerly; both are on the stack
ring     N tasks that pass a token round, as fast as they can: but for the one or two that have it, each waits for a future
many     N tasks that wait, and one that works
orphans  a loop whose thread has ended with its tasks (they print their ids)
lies     tasks whose structs were overwritten; HOW: coroutine, name, cycle (lists, 3.14), set (up to 3.13), waiter; one honest task
uvloop   as `many`, in uvloop's loop
child    tasks in an interpreter of their own (3.13)"""
import asyncio
import os
import sys
import threading
import time

FORM, ARGS = sys.argv[1], sys.argv[2:]


def ready(*words):
    print("ready", os.getpid(), *words)
    sys.stdout.flush()


def stand():
    sys.stdin.read()


def deeper(n):
    return deeper(n - 1) if n else (ready(), stand())


async def inner():
    await asyncio.sleep(0)
    deeper(3)


async def eager_inner():
    deeper(3)


async def outer():
    if sys.version_info >= (3, 12):
        asyncio.Task(eager_inner(), loop=asyncio.get_running_loop(), name="eager inner", eager_start=True)
    await inner()


async def running():
    asyncio.current_task().set_name("outer")
    other = asyncio.ensure_future(asyncio.sleep(1000))
    await asyncio.sleep(0.01)
    await outer()


async def hop(n, futures):
    loop = asyncio.get_running_loop()
    while True:
        await futures[n]
        futures[n] = loop.create_future()
        futures[(n + 1) % len(futures)].set_result(None)


async def ring():
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(int(ARGS[0]))]
    tasks = [loop.create_task(hop(n, futures), name="hop %d" % n) for n in range(len(futures))]
    await asyncio.sleep(0)
    futures[0].set_result(None)
    loop.call_later(0.1, ready)
    await loop.create_future()


async def leaf(future):
    await future


async def middle(future):
    await leaf(future)


async def many():
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(middle(loop.create_future())) for _ in range(int(ARGS[0]))]
    await asyncio.sleep(0.1)
    ready()
    while True:
        end = time.time() + 0.02
        while time.time() < end:
            sum(range(100))
        await asyncio.sleep(0)


def orphans():
    keep = []
    def run():
        async def some():
            loop = asyncio.get_running_loop()
            keep.append([loop] + [loop.create_task(leaf(loop.create_future()), name="orphan %d" % i) for i in range(3)])
            await asyncio.sleep(0.01)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(some())
    t = threading.Thread(target=run)
    t.start()
    t.join()
    ready(*sorted(id(task) for task in asyncio.all_tasks(keep[0][0])))
    stand()


def word(at):
    import ctypes
    return ctypes.c_uint64.from_address(at)


def find(object_, wanted):
    """where in the object a pointer to another one is"""
    for at in range(id(object_) + object.__basicsize__, id(object_) + type(object_).__basicsize__, 8):
        if word(at).value == id(wanted):
            return at
    raise SystemExit("not found")


async def lies():
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(leaf(loop.create_future()), name="liar %d" % i) for i in range(4)]
    honest = loop.create_task(leaf(loop.create_future()), name="honest")
    await asyncio.sleep(0.01)
    coroutines = [t.get_coro() for t in tasks]
    how = ARGS[0]
    at = [find(t, c) for t, c in zip(tasks, coroutines)]
    if how == "coroutine":
        for a, value in zip(at, (8, id(sys), 0xdeadbeef000, id(tasks[0]))):
            word(a).value = value
    if how == "name":
        for a, value in zip(at, (0, 16, (1 << 47) - 8, id(None))):
            word(a + 8).value = value
        text = "name of its own" + how
        word(at[0] + 8).value = id(text)
        word(id(text) + object.__basicsize__).value = 1 << 60
    if how == "waiter":
        for a, value in zip(at, (8, id(tasks[0]), 0xdeadbeef000, id(tasks[3]))):
            word(a - 8).value = value
    if how == "set":
        tasks_set = getattr(asyncio.tasks, "_all_tasks", None) or asyncio.tasks._scheduled_tasks
        word(id(tasks_set.data) + object.__basicsize__ + 16).value = (1 << 60) - 1
    if how == "cycle":  # a list that comes back to its second node
        node = at[0] + 24
        last = at[3] + 24
        word(last).value, word(node + 8).value = node, last
    if how == "chain":  # a coroutine that waits for itself: each word of its stack that is what it waits for
        c = coroutines[0]
        holder = c if sys.version_info >= (3, 11) else c.cr_frame
        for a in range(id(holder), id(holder) + sys.getsizeof(holder) + 64, 8):
            if word(a).value & ~3 == id(c.cr_await):
                word(a).value = id(c)
                break
        else:
            raise SystemExit("not found")
    ready()
    os.read(0, 1)
    os._exit(0)


CHILD = '''
import asyncio, os, time
async def leaf(f): await f
async def main():
    loop = asyncio.get_running_loop()
    keep = [loop.create_task(leaf(loop.create_future()), name="within %%d" %% i) for i in range(3)]
    await asyncio.sleep(0.01)
    os.write(%d, b"x")
    time.sleep(1000)
asyncio.run(main())
'''


def child():
    import _interpreters
    i = _interpreters.create()
    r, w = os.pipe()
    threading.Thread(target=_interpreters.run_string, args=(i, CHILD % w), daemon=True).start()
    os.read(r, 1)
    async def main():
        task = asyncio.ensure_future(leaf(asyncio.get_running_loop().create_future()))
        await asyncio.sleep(0.01)
        ready()
        os.read(0, 1)
        os._exit(0)
    asyncio.run(main())


if FORM == "uvloop":
    import uvloop
    uvloop.install() if sys.version_info < (3, 12) else asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    FORM = "many"
if FORM in ("orphans", "child"):
    globals()[FORM]()
else:
    asyncio.run(globals()[FORM]())

"""shares_loop: the shape `asyncio` of shares.py, in a file of its own, which versions without coroutines never see."""
import asyncio
import selectors

wall = total = mark = None  # those of shares.py


class Timed(selectors.EpollSelector):
    def select(self, timeout=None):
        t = wall()
        r = super().select(timeout)
        total["select"] = total.get("select", 0) + wall() - t
        return r


def step(n):
    x = 0
    for i in range(n):
        x += i
    return x


async def hop(n):
    for _ in range(3):
        step(n)
    await asyncio.sleep(0)


async def task(n):
    while True:
        await hop(n)


async def book():
    while True:
        for _ in range(50):
            await asyncio.sleep(0)
        mark()


async def everything():
    await asyncio.gather(task(40), task(70), book())


def run(clock, seconds, marking):
    global wall, total, mark
    wall, total, mark = clock, seconds, marking
    loop = asyncio.SelectorEventLoop(Timed())
    asyncio.set_event_loop(loop)  # up to 3.7 gather() asks for the thread's own
    loop.run_until_complete(everything())

"""polling.py SHAPE [WITNESS.so]: an asyncio server and its clients in one program; the loop always polls (`polls`), or now and then
it waits (`waits`).

On a line of input it answers {"wall", "cpu": seconds so far, "select", "select_cpu": those in the selector}; on
`witness SECONDS [MEAN_US [CPU [ON_CPU [AWAKE]]]]` what looks.py says.
"""
import asyncio
import json
import os
import selectors
import socket
import sys
import threading
import time

total = {"select": 0.0, "select_cpu": 0.0}
wall = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)  # noqa: E731


class Timed(selectors.EpollSelector):
    def select(self, timeout=None):
        cpu, begin = time.thread_time(), wall()
        ready = super().select(timeout)
        total["select"] += wall() - begin
        total["select_cpu"] += time.thread_time() - cpu
        return ready


def compute(n):
    x = 0
    for i in range(n):
        x += i
    return x


async def serve(reader, writer):
    while True:
        line = await reader.readline()
        if not line:
            break
        compute(int(line))
        writer.write(line)
        await writer.drain()


async def ask(sock, n):
    reader, writer = await asyncio.open_connection(sock=sock)
    turn = 0
    while True:
        writer.write(b"%d\n" % n)
        await reader.readline()
        turn += 1
        if turn % 50 == 0 and sys.argv[1] == "waits":
            await asyncio.sleep(0.0005)


def look(*args):
    print(json.dumps(witness.look(*args)), flush=True)


async def answers():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while True:
        line = await reader.readline()
        if line.startswith(b"witness"):
            threading.Thread(target=look, args=map(float, line.split()[1:]), daemon=True).start()
        elif line:
            print(json.dumps(dict(total, wall=wall(), cpu=time.thread_time())), flush=True)
        else:
            break


async def everything():
    jobs = [answers()]
    for n in (300, 900):
        a, b = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=a)
        jobs += [serve(reader, writer), ask(b, n)]
    print("ready", os.getpid(), threading.main_thread().native_id, flush=True)
    await asyncio.gather(*jobs)


if len(sys.argv) > 2:
    import looks
    functions = {"EpollSelector.select": selectors.EpollSelector.select, "Timed.select": Timed.select, "compute": compute}
    witness = looks.Witness(sys.argv[2], {name: f.__code__ for name, f in functions.items()})
loop = asyncio.SelectorEventLoop(Timed())
loop.run_until_complete(everything())

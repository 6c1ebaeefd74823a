#!/usr/bin/env python3
"""Bytes in the file for each stack at 1 kHz: 1, 8 and 64 busy threads that share the GIL and 1 sleeping, 10 and 100 deep;
both engines, Tachyon (--binary) and austin 4 (MOJO). Issue 6 asks for at most 2, 0.8 and 0.35, and 1.2x that at depth 100.

    stacks/s     stacks in the file per second that it covers
    B/stack      the whole file over its stacks
    later        the same without the first block, which holds what is told once (a longer recording comes near to this)
    B/look       bytes over (threads x Hz x seconds): what the file takes for each time that somebody would have looked at a
                 thread. The kernel engine writes one event for a whole sleep, so it has fewer stacks, and each is news
    of these     where the bytes are: block headers; definitions (strings, functions, locations, stacks); times of ticks
                 or events; the columns of entries or events: at, thread, stack, flags, CPU or weight; the rest (processes,
                 threads, counters). Each part is compressed on its own as the writer compresses a whole block, so that
                 their sum is about the file, and a little more

Where a goal is missed, the columns say what to change.
"""
import ctypes
import ctypes.util
import os
import struct
import sys
from collections import Counter

sys.dont_write_bytecode = True
import limits  # noqa: E402
import peers  # noqa: E402
import rig  # noqa: E402
from pyspy_reader import MAGIC_BLOCK, MAGIC_FILE, Cursor, decompress  # noqa: E402

GOALS = {1: 2.0, 8: 0.8, 64: 0.35}
DEEP, DEEPER = 100, 1.2
HZ = 1000
DEFINITIONS = {2: "strings", 3: "functions", 4: "locations", 5: "stacks", 6: "certify", 18: "certify"}


class Zstd:
    """as the writer compresses: level 1"""

    def __init__(self):
        self.lib = ctypes.CDLL(ctypes.util.find_library("zstd"))
        for f in self.lib.ZSTD_compress, self.lib.ZSTD_compressBound:
            f.restype = ctypes.c_size_t
        self.lib.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
        self.lib.ZSTD_compressBound.argtypes = [ctypes.c_size_t]

    def size(self, data):
        room = self.lib.ZSTD_compressBound(len(data))
        return self.lib.ZSTD_compress(ctypes.create_string_buffer(room), room, bytes(data), len(data), 1)


class Parts:
    """of a file: bytes by part, compressed each on its own, and as they are"""

    def __init__(self, path):
        with open(path, "rb") as f:
            data = f.read()
        self.bytes, self.blocks, self.first, self.first_samples = len(data), 0, 0, 0
        self.packed, self.plain = Counter(), Counter()
        zstd, i = Zstd(), 0
        while i + 8 <= len(data):
            magic, size = struct.unpack_from("<II", data, i)
            if magic == MAGIC_FILE:
                self.packed["headers"] += 8 + size
            elif magic == MAGIC_BLOCK:
                csize, content = struct.unpack_from("<II", data, i + 28)
                samples, = struct.unpack_from("<Q", data, i + 72)
                self.packed["headers"] += 8 + size
                for name, part in self.cut(decompress(data[i + 8 + size:i + 8 + size + csize], content)).items():
                    self.packed[name] += zstd.size(part) - 9  # a frame's own bytes are there once a block
                    self.plain[name] += len(part)
                self.packed["headers"] += 13
                self.blocks += 1
                if self.blocks == 1:
                    self.first, self.first_samples = i + 8 + size + csize, samples
                i += csize
            i += 8 + size

    def cut(self, content):
        """-> {part: its bytes} of a block's content"""
        parts, c = {}, Cursor(content)

        def take(name, begin, end):
            parts[name] = parts.get(name, b"") + content[begin:end]

        while c.i < c.end:
            begin, kind, n = c.i, c.u(), c.u()
            r, c.i = Cursor(content, c.i, c.i + n), c.i + n
            if kind == 12:
                self.ticks(r, take)
            elif kind == 13:
                self.events(r, take)
            else:
                take(DEFINITIONS.get(kind, "rest"), begin, c.i)
        return parts

    @staticmethod
    def columns(r, take, names, n):
        for name in names:
            begin = r.i
            for _ in range(n):
                r.u()
            take(name, begin, r.i)

    def ticks(self, r, take):
        begin = r.i
        r.u(), r.u()
        for _ in range(r.u()):
            r.u()
        take("times", begin, r.i)
        r.u()
        self.columns(r, take, ("at", "thread", "stack", "flags", "cpu"), r.u())
        take("cpu", r.i, r.end)

    def events(self, r, take):
        r.u(), r.u(), r.u()
        self.columns(r, take, ("times", "thread", "stack", "flags", "cpu"), r.u())


class Size:
    parts = None

    def __init__(self, size, stacks, hz, looks):
        self.bytes, self.stacks, self.hz, self.looks = size, stacks, hz, looks


def one(tool, program, seconds):
    with limits.running(tool, program, HZ, place="free") as run:
        run.sleep(seconds)
        run.end()
        looks = HZ * program.all_threads
        if not isinstance(tool, peers.Ours):
            _, hz = run.counts()
            return Size(os.path.getsize(run.out), hz * run.lasted, hz, looks * run.lasted)
        info = run.info()
        lasted = info["recordings"][0]["duration_ns"] / 1e9
        size = Size(info["bytes"], info["samples"]["samples"], info["samples"]["samples"] / lasted, looks * lasted)
        size.parts = Parts(run.out)
        return size


def text_of_parts(parts, stacks):
    """B/stack of each part, the largest first"""
    return "  ".join("%s %.3f" % (name, n / stacks) for name, n in parts.packed.most_common() if n / stacks >= 0.0005)


def show_for(goal):
    def show(name, s, why):
        if not s:
            return print("  %-8s      -  %s" % (name, why))
        later, verdict = "-", ""
        if s.parts:
            rest = s.stacks - s.parts.first_samples
            later = "%.3f" % ((s.bytes - s.parts.first) / rest) if rest > 0 else "-"
            verdict = limits.reached(s.bytes / s.stacks, goal, form="%.3f")
        print("  %-8s %9.0f %10d %8.3f %8s %8.3f   %s" % (name, s.hz, s.bytes, s.bytes / s.stacks, later, s.bytes / s.looks, verdict))
        if s.parts:
            print("           of these: " + text_of_parts(s.parts, s.stacks))
    return show


def main():
    p = limits.parser(__doc__, "kernel,outside,tachyon,austin")
    p.add_argument("--seconds", type=float, help="length of a recording (10; quick: 3)")
    p.add_argument("--threads", help="1,8,64")
    p.add_argument("--depths", help="10,100 (quick: 10)")
    a = p.parse_args()
    seconds = a.seconds or (3 if a.quick else 10)
    numbers = lambda text: [int(n) for n in text.split(",")]
    with limits.Bench(a) as b:
        print("  %-8s %9s %10s %8s %8s %8s" % ("", "stacks/s", "bytes", "B/stack", "later", "B/look"))
        for depth in numbers(a.depths or ("10" if a.quick else "10,100")):
            for threads in numbers(a.threads or "1,8,64"):
                goal = GOALS.get(threads, GOALS[64]) * (DEEPER if depth >= DEEP else 1)
                print("%d+1 threads, depth %d, %d Hz, %.0f s each" % (threads, depth, HZ, seconds))

                def measure(tool, python):
                    with limits.busy(python, depth, threads) as program:
                        return one(tool, program, seconds)
                b.try_each(measure, show_for(goal))
        return b.status()


if __name__ == "__main__":
    sys.exit(main())

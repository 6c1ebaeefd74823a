"""When a recorder looked: the gaps between the moments in its file, for gaps.py and rate.py. All gaps in seconds."""
import bisect
import math
import os
import struct
import subprocess
import sys

import rig

sys.path.insert(0, os.path.join(rig.ROOT, "tests", "e2e"))
import pyspy_reader  # noqa: E402
import recording  # noqa: E402

HALF_OF_RANDOM = 1 - math.exp(-0.5)  # of exponential gaps so many are shorter than half of the mean


def of_ticks(path):
    """of this recorder's outside engine: from tick to tick. Across blocks too."""
    rec = pyspy_reader.read(path)
    times, seen = [], set()
    for run in rec.runs:
        if not run.event and id(run.times) not in seen:
            seen.add(id(run.times))
            times += run.times
    times.sort()
    return [(b - a) / 1e9 for a, b in zip(times, times[1:])]


def of_events(path):
    """of its kernel engine: between two samples of a thread on its CPU, of all threads; wall time"""
    times = {}
    for run in pyspy_reader.read(path).runs:
        if run.event and run.state == recording.ON_CPU:
            times.setdefault(run.info["tid"], []).extend(run.times)
    return [(b - a) / 1e9 for each in times.values() for each in [sorted(each)] for a, b in zip(each, each[1:])]


def share_below(gaps, limit):
    """part of the gaps that are shorter than limit. Times are whole units in the file (1 us, or more), so a gap may be off by one
    unit either way: those within half a unit of the limit count half"""
    unit = math.gcd(*(round(1e9 * gap) for gap in gaps)) / 1e9 if gaps else 0
    gaps = sorted(gaps)
    low, high = bisect.bisect_left(gaps, limit - 0.5 * unit), bisect.bisect_right(gaps, limit + 0.5 * unit)
    return (low + high) / 2 / len(gaps) if gaps else 0


def of_tachyon(path):
    """of Python 3.15's profiling.sampling: from pass to pass, by its binary file (as version 1 is, of 3.15.2). All threads
    of a pass have one time. None: this is no such file"""
    with open(path, "rb") as f:
        data = f.read()
    if len(data) < 64 or data[:8] != b"HCAT\1\0\0\0":
        return None
    strings, = struct.unpack_from("<Q", data, 40)
    packed = struct.unpack_from("<I", data, 56)[0]
    body = subprocess.run(["zstd", "-dcq"], input=data[64:strings], stdout=subprocess.PIPE).stdout if packed else data[64:strings]
    c, at, passes = pyspy_reader.Cursor(body), {}, set()

    def sample(thread):
        at[thread] = at.get(thread, 0) + c.u()
        c.raw(1)
        passes.add(at[thread])

    while c.i < c.end:
        thread, kind = c.raw(12), c.raw(1)[0]
        if kind == 0:
            for _ in range(c.u()):
                sample(thread)
            continue
        if kind > 3:
            return None
        sample(thread)
        first = c.u()  # depth; shared; pops
        for _ in range(first if kind == 1 else c.u()):
            c.u()
    times = sorted(passes)
    return [(b - a) / 1e6 for a, b in zip(times, times[1:])]

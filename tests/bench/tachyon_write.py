"""For report.py, by Python 3.15: what `bigrec paths` prints on standard input, as a recording of Tachyon's (its own
writer, _remote_debugging.BinaryWriter).

usage: tachyon_write.py FILE DEPTH"""
import array
import sys

import _remote_debugging as rd
from profiling.sampling.binary_collector import BinaryCollector

path, depth = sys.argv[1], int(sys.argv[2])
collector = BinaryCollector(path, 10000)
frames = []
for location in range(20000):
    f, line = divmod(location, 5)
    at = rd.LocationInfo((10 + f % 900 + 1 + 3 * line, 10 + f % 900 + 1 + 3 * line, 8, 30))
    frames.append(rd.FrameInfo(("/srv/app/part%d/module%d.py" % (f // 400, f // 20), at, "Class%d.method_%d" % (f // 7, f), None)))
status = rd.THREAD_STATUS_ON_CPU | rd.THREAD_STATUS_HAS_GIL | rd.THREAD_STATUS_MAIN_THREAD
at_us = 10**12
while True:
    numbers = sys.stdin.buffer.read(4 * depth)
    if len(numbers) < 4 * depth:
        break
    stack = [frames[i] for i in reversed(array.array("I", numbers))]
    at_us += 10000
    collector._writer.write_sample([rd.InterpreterInfo((0, [rd.ThreadInfo((4711, status, stack))]))], at_us)
collector.export(None)

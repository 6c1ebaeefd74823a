"""looks: a target's own witness (witness.c): how often the main thread is in which function.

`look(seconds, mean_us, cpu, on_cpu, awake)` is for a thread of its own, on a CPU of its own; it answers {function: looks}, "" for all
others; with on_cpu a list of two of them, the second of the looks at which the main thread was on a CPU. The recorder shares no
code with it, and the main thread does the same whether it looks or not.
"""
import ctypes
import os
import sys
import threading

# thread state -> innermost frame -> code: (offset of the root, through a cframe, offset of current_frame there, of code)
PLACES = {11: (56, 1, 8, 32), 12: (56, 1, 0, 0), 13: (72, 0, 0, 0)}


class Witness:
    """functions: {name: code object}; to be made by the main thread"""

    def __init__(self, library, functions):
        ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_uint64
        offset, self.is_indirect, self.current_frame, self.code = PLACES[sys.version_info[1]]
        self.root = offset + ctypes.pythonapi.PyThreadState_Get()
        self.witness = ctypes.CDLL(library).witness
        self.functions, self.tid = functions, threading.get_native_id()
        self.codes = (ctypes.c_uint64 * len(functions))(*map(id, functions.values()))

    def look(self, seconds, mean_us=250.0, cpu=-1, on_cpu=0, awake=0):
        if cpu >= 0:
            os.sched_setaffinity(0, {int(cpu)})
        n, names = len(self.functions), list(self.functions) + [""]
        counts = (ctypes.c_long * (2 * (n + 1)))()
        self.witness(ctypes.c_uint64(self.root), self.is_indirect, self.current_frame, self.code, self.codes, n,
                     ctypes.c_double(seconds), ctypes.c_double(mean_us), self.tid if on_cpu else 0, int(awake), counts)
        both = [dict(zip(names, counts[i:i + n + 1])) for i in (0, n + 1)]
        return both if on_cpu else both[0]

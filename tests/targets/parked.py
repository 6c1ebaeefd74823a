"""Threads parked in known nested calls, and the truth about them from the interpreter itself. 3.11 and later, with glibc.

    parked.py [PATTERN]     all cases, or those whose names match

Every `case_*` function (parked_calls.py, parked_objects.py, parked_code.py) is run by a thread of its own: first `WARM` times
with halt() (parked_halt.py) returning at once, so that calls get specialised and inlined, then for good: the last halt() blocks
for ever. A thread named `oracle` (parked_oracle.py) says `ready` when all stand, and then what is true, as it is asked on stdin.
"""
import _thread
import ctypes
import os
import re
import sys
import threading

import parked_calls
import parked_code
import parked_objects
from parked_halt import WAYS, armed, by_lock, by_sleep, info
from parked_oracle import oracle

WARM = int(os.environ.get("WARM", "60"))
sys.setrecursionlimit(20000)
threading.stack_size(64 << 20)


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
    run_case(parked_calls.case_closure, by_sleep, 3)
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
    run_case(parked_calls.case_function, by_sleep, 2)


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


def main():
    of = {name: f for room in (parked_calls, parked_code, parked_objects) for name, f in vars(room).items() if name.startswith("case_")}
    cases = [f for name, f in sorted(of.items())]
    if len(sys.argv) > 1:
        cases = [f for f in cases if re.search(sys.argv[1], f.__name__)]
    for i, case in enumerate(cases):
        t = start_thread(case, i, WARM)
        if i % 16 == 15:
            t.join(0.02)
    _thread.start_new_thread(run_case, (parked_code.case_match, by_lock, 5))
    _thread.start_new_thread(named_in_kernel, ())
    start_c_thread(False)
    start_c_thread(True)
    made = len(cases) + 4
    threading.Thread(target=oracle, args=(made, parked_code.FOLDER), name="oracle", daemon=True).start()
    run_case(parked_calls.case_genexpr_sum, by_lock, 3)


main()

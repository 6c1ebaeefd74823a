"""lying.py HOW: a thread `liar` parked in five calls, whose structures were overwritten; the main thread says `ready` and waits. 3.8 and later.

circle     a frame that is called by itself      pair       two that call each other        wild       callers at addresses of every bad kind
code       frames of what is no code             names      names of 2^60 characters        lines      a line table of 2^60 bytes
slots      2^60 names of variables               threads    a list of threads that comes back to itself
active     a dict of threads with 2^60 slots     modules    the same of modules             storm      values that change all the time"""
import ctypes
import gc
import os
import random
import sys
import threading
import time

HOW, HEAD, NEW = sys.argv[1], object.__basicsize__, sys.version_info >= (3, 11)
HUGE = 1 << 60
parked = threading.Event()
gc.disable()


def word(at):
    return ctypes.c_uint64.from_address(at)


def pointer_to(holder, object_, size=400):
    for at in range(id(holder) + HEAD, id(holder) + size, 8):
        if word(at).value & ~3 == id(object_):
            return at
    raise SystemExit("not found")


def five(text, number, n=5):
    if n:
        return five(text, number + 1, n - 1)
    a_list, a_dict, a_set, a_bytes, a_tuple = [1, 2, [3]], {"k": "v", 1: 2}, {1, 2}, b"bytes of its own" + text.encode(), (1, (2, 3))
    VICTIMS.extend([a_list, a_dict, a_set, a_bytes, a_tuple, text + "!"])
    parked.set()
    time.sleep(1e6)


def frame_at(frame):
    """where the interpreter keeps what this frame object stands for, and where in it the caller is"""
    if not NEW:
        return id(frame), id(frame) + HEAD + 8
    at = word(id(frame) + HEAD + 8).value
    return at, at + (48 if sys.version_info < (3, 12) else 8)


VICTIMS, KEEP = [], []
liar = threading.Thread(target=five, args=("text", 1), name="liar", daemon=True)
liar.start()
parked.wait()
time.sleep(0.05)
top = sys._current_frames()[liar.ident]
frames = [top]
while frames[-1].f_back:
    frames.append(frames[-1].f_back)
KEEP.append(frames)
code, places = top.f_code, [frame_at(f) for f in frames]
if HOW == "circle":
    word(places[1][1]).value = places[1][0]
elif HOW == "pair":
    word(places[2][1]).value = places[1][0]
elif HOW == "wild":
    for (at, previous), value in zip(places[1:], (1, 8, (1 << 47) - 8, 1 << 63, 0xdeadbee8, id(sys))):
        word(previous).value = value
elif HOW == "code":
    for f, (at, previous), value in zip(frames, places, (id("text"), 8, 0xdeadbeef000, id(five), id(sys.modules))):
        begin = at if NEW else at + HEAD
        word([a for a in range(begin, begin + 80, 8) if word(a).value & ~3 == id(f.f_code)][0]).value = value
elif HOW == "names":
    for object_ in {id(x): x for x in (code.co_name, code.co_filename, getattr(code, "co_qualname", code.co_name))}.values():
        copy = object_ + "!"
        KEEP.append(copy)
        word(id(copy) + HEAD).value = HUGE
        word(pointer_to(code, object_)).value = id(copy)
elif HOW == "lines":
    table = code.co_linetable if sys.version_info >= (3, 10) else code.co_lnotab
    word(id(table) + HEAD).value = HUGE
elif HOW == "slots":
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    for at in range(id(code) + HEAD, id(code) + 200, 8):
        value = word(at).value
        try:
            head = os.pread(memory, HEAD + 8, value) if value % 8 == 0 and value < 1 << 47 else b""
        except OSError:
            continue
        words = [int.from_bytes(head[i:i + 8], "little") for i in range(0, len(head), 8)]
        if words[HEAD // 8 - 1:] and words[HEAD // 8 - 1] == id(tuple) and words[-1] and value != id(code.co_consts):
            word(value + HEAD).value = HUGE
elif HOW == "threads":
    get = ctypes.pythonapi.PyThreadState_Get
    get.restype = ctypes.c_void_p
    me = get()
    other = word(me).value or word(me + 8).value
    word((other if word(me).value else me) + 8).value = me if word(me).value else other  # the next of the oldest is the newest
    word(me + 8).value = other
elif HOW in ("active", "modules"):
    dict_ = threading._active if HOW == "active" else sys.modules
    keys = word(id(dict_) + HEAD + 16).value
    word(keys + 8).value = HUGE | 60


def storm():
    targets = [id(v) + HEAD + 8 * i for v in VICTIMS for i in range(3)]
    values = [0, 1, HUGE, (1 << 64) - 1, 8, 0xdeadbeef000] + [id(v) for v in VICTIMS]
    while True:
        word(random.choice(targets)).value = random.choice(values)


def main_waits():
    honest = "honest"
    os.write(1, b"ready %d\n" % os.getpid())
    if HOW == "storm":
        storm()
    os.read(0, 1)
    os._exit(0)


main_waits()

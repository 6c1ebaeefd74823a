"""What other people's software makes of the files here, as lines "process thread frames... value" for test_import.py:

    PYTHONPATH=FOLDER python3 truth.py INFERNO-FOLDER     (pip install --target FOLDER austin-python; cargo install inferno)

Tachyon's own replay was `python3.15 -m profiling.sampling replay --collapsed`; it is kept as it was written.
"""
import collections
import subprocess
import sys


def austin(name):
    from austin.events import AustinSample
    from austin.format.mojo import MojoStreamReader
    out = collections.Counter()
    with open(name + ".mojo", "rb") as f:
        for e in MojoStreamReader(f):
            if isinstance(e, AustinSample):
                memory = "memory" in name
                value = max(e.metrics.memory or 0, 0) if memory else e.metrics.time
                frames = ";".join("%s:%s:%d" % (x.filename, x.function, x.line) for x in e.frames or ())
                out["%d %s %s" % (e.pid, e.thread, frames)] += value
    with open(name + ".truth", "w") as f:
        for k in sorted(out):
            f.write("%s %d\n" % (k, out[k]))


def perf(inferno):
    out = subprocess.run([inferno + "/inferno-collapse-perf", "perf.txt"], stdout=subprocess.PIPE, check=True).stdout
    with open("perf.truth", "wb") as f:
        f.write(out)


for n in ("austin3", "austin4", "austin4_full", "austin4_memory"):
    austin(n)
perf(sys.argv[1])

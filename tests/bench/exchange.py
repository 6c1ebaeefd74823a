#!/usr/bin/env python3
"""usage: exchange.py [BUILD] [--quick]

What merge, anonymize and import cost: CPU seconds and peak memory, of 10 million samples (import of texts: 1 to 10 million,
scaled to what a disk takes), beside decoding a recording of as many. The promise is 150 MB.
"""
import os
import random
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
QUICK = "--quick" in sys.argv
ARGS = [a for a in sys.argv[1:] if not a.startswith("-")]
REPORT = os.path.abspath(os.path.join(ARGS[0] if ARGS else "build", "pyspy-report"))
N = 200000 if QUICK else 2000000
PROMISE_MB = 150


def cost(words):
    with tempfile.TemporaryFile() as err:
        p = subprocess.Popen(["timeout", "900"] + words, stdout=subprocess.DEVNULL, stderr=err)
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode:
            err.seek(0)
            sys.exit("%s: %s" % (words[:3], err.read().decode(errors="replace")))
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def row(name, samples, words):
    cpu, mb = cost(words)
    print("  %-44s %11s %8.2f s %8.0f ns a sample %6.0f MB%s" % (
        name, "{:,}".format(samples), cpu, cpu / samples * 1e9, mb, "" if mb <= PROMISE_MB else "   MORE THAN %d" % PROMISE_MB),
        flush=True)
    return mb <= PROMISE_MB


def leb(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def mojo_int(n):
    out = [n & 63]
    n >>= 6
    if n:
        out[0] |= 128
    while n:
        out.append(n & 127 | (128 if n >> 7 else 0))
        n >>= 7
    return bytes(out)


STACKS = [[0, 1, 2] + [3 + (i * 7 + k * 13) % 5000 for k in range(25)] for i in range(2000)]


def speedscope(path, n):
    texts = ["[%s]" % ",".join(map(str, s)) for s in STACKS]
    with open(path, "w", encoding="ascii") as f:
        f.write('{"profiles":[{"type":"sampled","name":"Process 5 Thread 5","unit":"seconds","startValue":0,"endValue":1,"samples":[[0]')
        for _ in range(n // 1000):
            f.write("," + ",".join(random.choices(texts, k=1000)))
        f.write('],"weights":[0.01' + ",0.01" * (n // 1000 * 1000) + ']}],"shared":{"frames":[')
        f.write(",".join('{"name":"f%d","file":"p/m%d.py","line":%d}' % (i, i % 300, i % 900 + 1) for i in range(5003)))
        f.write("]}}")


def mojo(path, n):
    with open(path, "wb") as f:
        f.write(b"MOJ" + mojo_int(3) + b"\x01mode\0wall\0\x01interval\x0010000\0\x02" + mojo_int(5) + b"\0" + b"5\0")
        for i in range(5003):
            f.write(b"\x0b" + mojo_int(2 * i + 2) + b"f%d\0\x0b" % i + mojo_int(2 * i + 3) + b"p/m%d.py\0\x03" % (i % 300))
            f.write(mojo_int(i + 1) + mojo_int(2 * i + 3) + mojo_int(2 * i + 2) + mojo_int(i % 900 + 1) * 2 + b"\1\2")
        f.write(b"\x09\1")
        events = [b"\x02" + mojo_int(5) + b"\0" + b"5\0" + b"".join(b"\5" + mojo_int(x + 1) for x in s) + b"\x09" +
                  mojo_int(10000) for s in STACKS]
        for _ in range(n // 1000):
            f.write(b"".join(random.choices(events, k=1000)))


def tachyon(path, n):
    with open(path, "wb") as f:
        f.write(b"\0" * 64)
        for i in range(n // 50):
            s = STACKS[i // 8 % 2000]
            f.write(struct.pack("<QIB", 100 + i % 8, 0, 1) + leb(1000) + b"\5" + leb(len(s)) + b"".join(leb(x) for x in s))
            f.write(struct.pack("<QIB", 100 + i % 8, 0, 0) + leb(49) + (leb(1000) + b"\5") * 49)
        strings = f.tell()
        for i in range(5003):
            for t in (b"f%d" % i, b"p/m%d.py" % (i % 300)):
                f.write(leb(len(t)) + t)
        frames = f.tell()
        for i in range(5003):
            f.write(leb(2 * i + 1) + leb(2 * i) + leb(2 * (i % 900 + 1)) + b"\0\x08\x0a\xff")
        end = f.tell() + 32
        f.write(struct.pack("<IIQ16s", 10006, 5003, end, b""))
        f.seek(0)
        f.write(struct.pack("<IIBBBBQQQIQQII", 0x54414348, 1, 3, 15, 2, 0, 10**9, 1000, n // 50 * 50, 8, strings, frames, 0, 1))


def perf(path, n):
    texts = ["python3 12/12 %s: 10101010 cpu-clock: \n" + "".join("\t  7f64563c584a f%d+0xa (/usr/lib/x.so)\n" % x for x in s[:15]) +
             "\n" for s in STACKS]
    with open(path, "w", encoding="ascii") as f:
        for i in range(n):
            f.write(random.choice(texts) % ("%d.%06d" % (i // 100, i % 100 * 10000)))


def folded(path, n):
    names = ["m%d.Class.method_%d (p/m%d.py:%d)" % (i % 400, i, i % 400, i) for i in range(20000)]
    with open(path, "w", encoding="ascii") as f:
        for i in range(50000):
            at = i // 50 * 7 % 15000
            f.write(";".join(names[(at + k * 3) % 20000] for k in range(38)) + ";%s %d\n" % (names[i % 20000], n // 50000))


def main():
    random.seed(1)
    ok = True
    with tempfile.TemporaryDirectory(prefix="pyspy-exchange-", dir="/var/tmp") as scratch:
        def at(name):
            return os.path.join(scratch, name)
        sources = [os.path.join(ROOT, d, f) for d in ("format", "libcommon") for f in sorted(os.listdir(os.path.join(ROOT, d)))
                   if f.endswith(".c")]
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-O2", "-D_GNU_SOURCE", "-I" + ROOT, "-o", at("bigrec"),
                        os.path.join(HERE, "bigrec.c"), *sources, "-lzstd", "-lm"], check=True)
        subprocess.run([at("bigrec"), "write", at("a.pyspy"), str(N * 5), "8", "3", "2000", "28", "4", "0.8", "outside", "1"],
                       check=True, stdout=subprocess.DEVNULL)
        subprocess.run([at("bigrec"), "write", at("b.pyspy"), str(N * 5), "16", "16", "50000", "60", "4", "0.3", "kernel", "2"],
                       check=True, stdout=subprocess.DEVNULL)
        row("decoding, 8 threads, 2,000 stacks", N * 5, [at("bigrec"), "decode", at("a.pyspy")])
        row("decoding, 16 busy threads, 50,000 stacks", N * 5, [at("bigrec"), "decode", at("b.pyspy")])
        for verb, files, n in (("merge", ["a"], 5), ("merge", ["b"], 5), ("merge", ["a", "b"], 10), ("anonymize", ["b"], 5)):
            ok &= row("%s %s" % (verb, " and ".join(files)), N * n,
                      [REPORT, verb, "-o", at("out.pyspy")] + [at(f + ".pyspy") for f in files])
        for make, n in ((folded, N * 5), (tachyon, N * 5), (mojo, N), (speedscope, N), (perf, N // 10)):
            make(at("file"), n)
            ok &= row("import of %s, %d MB" % (make.__name__, os.path.getsize(at("file")) // 1000000), n,
                      [REPORT, "import", "-o", at("out.pyspy"), at("file")])
    return 0 if ok else 1


sys.exit(main())

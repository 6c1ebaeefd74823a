"""An independent reader of pyspy recordings, written from format/FORMAT.md alone (no use of our C code).

It is strict: whatever the specification forbids is put into `Recording.problems`, and so it is an oracle
for the recorder's output as well as for the reporter's totals. Numbers in comments are FORMAT.md's sections.

    rec = pyspy_reader.read("x.pyspy")      # a `Recording`: recording.py
    python3 pyspy_reader.py FILE            # a short text of what is in it
"""
import ctypes
import ctypes.util
import struct
import subprocess
import sys
from collections import Counter

from recording import ABSENT, ACTIVE, COUNTERS, FAILED, ON_CPU, STOP_LENGTHS, Epoch, Recording, Run

# 1.
MAGIC_FILE, MAGIC_BLOCK, MAGIC_ZSTD = 0x184D2A50, 0x184D2A51, 0xFD2FB528
MAX_CONTENT = 16 << 20
MAX_IDS = 1 << 24


class Damage(Exception):
    """what makes a block damaged from here on"""


def _crc_table():
    t = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
        t.append(n)
    return t


_CRC = _crc_table()


def crc32c(data):
    c, t = 0xFFFFFFFF, _CRC
    for b in data:
        c = t[(c ^ b) & 255] ^ (c >> 8)
    return c ^ 0xFFFFFFFF


def _load_zstd():
    try:
        z = ctypes.CDLL("libzstd.so.1")
    except OSError:
        return None
    z.ZSTD_decompress.restype = z.ZSTD_getFrameContentSize.restype = None
    z.ZSTD_decompress.restype = ctypes.c_size_t
    z.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    z.ZSTD_isError.restype = ctypes.c_uint
    z.ZSTD_isError.argtypes = [ctypes.c_size_t]
    return z


_zstd = _load_zstd()


def decompress(frame, size):
    if _zstd is None:
        out = subprocess.run(["zstd", "-dcq"], input=frame, stdout=subprocess.PIPE, check=False).stdout
    else:
        buf = ctypes.create_string_buffer(max(size, 1))
        n = _zstd.ZSTD_decompress(buf, size, frame, len(frame))
        if _zstd.ZSTD_isError(n):
            raise Damage("zstd says error")
        out = buf.raw[:n]
    if len(out) != size:
        raise Damage("decompresses to %d bytes, header says %d" % (len(out), size))
    return out


class Cursor:
    __slots__ = ("b", "i", "end")

    def __init__(self, b, i=0, end=None):
        self.b, self.i, self.end = b, i, len(b) if end is None else end

    def u(self):
        b, i, end, v, s = self.b, self.i, self.end, 0, 0
        while True:
            if i >= end or s > 63:
                raise Damage("varint ends early or is too long")
            c = b[i]
            i += 1
            v |= (c & 127) << s
            s += 7
            if c < 128:
                break
        if v >> 64:
            raise Damage("varint of more than 64 bits")
        self.i = i
        return v

    def z(self):
        n = self.u()
        return (n >> 1) ^ -(n & 1)

    def raw(self, n):
        if n > self.end - self.i:
            raise Damage("bytes end early")
        self.i += n
        return bytes(self.b[self.i - n:self.i])

    def count(self):
        n = self.u()
        if n > self.end - self.i:  # an entry has at least one byte
            raise Damage("a list of %d entries in %d bytes" % (n, self.end - self.i))
        return n

    def list(self, f):
        return [f() for _ in range(self.count())]


class Reader:
    def __init__(self, data):
        self.data, self.rec, self.epoch, self.uuid = data, Recording(), None, None
        self.sequence = self.before = self.last_end = None
        self.rec.bytes = len(data)

    def problem(self, text):
        if len(self.rec.problems) < 200:
            self.rec.problems.append(text)

    # -- 1. framing
    def run(self):
        d, i = self.data, 0
        if not d:
            raise ValueError("empty file")
        while i < len(d):
            if len(d) - i < 8:
                self.rec.truncated = True
                break
            magic, size = struct.unpack_from("<II", d, i)
            head = d[i:i + 8 + size] if 0x184D2A50 <= magic <= 0x184D2A5F else b""
            if magic == MAGIC_FILE and d[i + 8:i + 16] == b"PySpyRec":
                if len(head) < 64:
                    self.rec.truncated = True
                    break
                if crc32c(head[:60]) != struct.unpack_from("<I", head, 60)[0]:
                    raise ValueError("file header: bad CRC")
                self.file_header(head)
                i += 8 + size
            elif magic == MAGIC_BLOCK and d[i + 8:i + 16] == b"PySpyBlk":
                if len(head) < 104:
                    self.rec.truncated = True
                    break
                if crc32c(head[:100]) != struct.unpack_from("<I", head, 100)[0]:
                    raise ValueError("block header at %d: bad CRC" % i)
                i += 8 + size
                n = self.block(head, i)
                if n < 0:
                    self.rec.truncated = True
                    break
                i += n
            elif 0x184D2A50 <= magic <= 0x184D2A5F:
                i += 8 + size
            else:
                raise ValueError("no valid header at %d (this reader does not resynchronise)" % i)
        if not self.rec.headers:
            raise ValueError("not a recording")
        return self.rec

    def file_header(self, h):
        major, minor, flags = struct.unpack_from("<HHI", h, 16)
        if major > 1:
            raise ValueError("major version %d" % major)
        if self.data.index(h) == 0 and (struct.unpack_from("<I", h, 4)[0], flags, h[56:60]) != (56, 0, b"\0" * 4):
            self.problem("file header: size, flags or reserved not as specified")
        self.uuid = h[24:40]
        real, boot = struct.unpack_from("<qQ", h, 40)
        self.rec.headers.append(dict(version=(major, minor), uuid=self.uuid.hex(), real=real, boot=boot))
        self.sequence, self.before, self.last_end = 0, 0, 0
        self.rec.closed, self.rec.counters = False, {}

    def block(self, h, i):
        (flags, seq, number, csize, size, crc, begin, end, anchor, before, samples, ticks, uuid8,
         reserved) = struct.unpack_from("<IIIIIIQQqQQI8sQ", h, 16)
        if csize > 16842752 or size > MAX_CONTENT:
            raise ValueError("block %d: content too large" % seq)
        frame = self.data[i:i + csize]
        if len(frame) < csize:
            return -1
        b = dict(seq=seq, flags=flags, epoch=number, begin=begin, end=end, anchor=anchor, before=before,
                 samples=samples, ticks=ticks, csize=csize, size=size, doubt=set(), stacks=0, entries=0)
        if self.uuid is None or uuid8 != self.uuid[:8]:
            self.problem("block %d: uuid is not the header's" % seq)
        if reserved:
            self.problem("block %d: reserved not 0" % seq)
        if seq != self.sequence:
            self.problem("block %d: sequence, expected %s" % (seq, self.sequence))
        if before != self.before:
            self.problem("block %d: samples before %d, expected %s" % (seq, before, self.before))
        if end < begin or begin < (self.last_end or 0):
            self.problem("block %d: times %d..%d, the block before ended at %s" % (seq, begin, end, self.last_end))
        if self.rec.closed and seq:
            self.problem("block %d after the last one" % seq)
        self.sequence, self.before, self.last_end = seq + 1, before + samples, end
        if struct.unpack_from("<I", frame, 0)[0] != MAGIC_ZSTD:
            self.problem("block %d: content is no zstd frame" % seq)
        if not frame[4] & 4:
            self.problem("block %d: zstd frame without checksum" % seq)
        if not (frame[4] >> 6 or frame[4] & 32):
            self.problem("block %d: zstd frame without content size" % seq)
        if crc32c(frame) != crc:
            self.problem("block %d: content fails its CRC" % seq)
            return csize
        content = decompress(frame, size)
        self.rec.blocks.append(b)
        if flags & 1 or self.epoch is None or self.epoch.number != number:
            if not flags & 1:
                self.problem("block %d: epoch %d begins without its flag" % (seq, number))
            self.epoch = Epoch(number, self.epoch if flags & 4 else None)
            self.rec.epochs.append(self.epoch)
            self.fresh = True
        else:
            self.fresh = False
        if flags & 2:
            self.rec.closed = True
        first_run = len(self.rec.runs)
        self.had_ticks, self.gaps = False, {}
        self.late_strings = []
        self.b = b
        try:
            c = Cursor(content)
            first = True
            while c.i < c.end:
                kind, n = c.u(), c.u()
                if n > c.end - c.i:
                    raise Damage("record %d: longer than its block" % kind)
                r = Cursor(content, c.i, c.i + n)
                if self.fresh and first and kind != 1:
                    self.problem("block %d: the epoch's first record is of type %d" % (seq, kind))
                first = False
                f = self.RECORDS.get(kind)
                if f:
                    f(self, r)
                    if r.i != r.end:
                        self.problem("block %d: record type %d has %d unknown bytes" % (seq, kind, r.end - r.i))
                else:
                    self.problem("block %d: unknown record type %d" % (seq, kind))
                c.i += n
        except Damage as e:
            self.problem("block %d: damaged: %s" % (seq, e))
        for where, key, ids in self.late_strings:
            try:
                where[key] = [self.text(x) for x in ids] if isinstance(ids, list) else self.text(ids)
            except Damage as e:
                self.problem("block %d: %s: %s" % (seq, key, e))
        self.give_time(self.rec.runs[first_run:])
        got = sum(r.ticks for r in self.rec.runs[first_run:])
        if got != samples:
            self.problem("block %d: header says %d samples, the ticks hold %d" % (seq, samples, got))
        if not self.had_ticks and ticks:
            self.problem("block %d: header says %d ticks, there is no TICKS" % (seq, ticks))
        return csize

    def give_time(self, runs):
        """4.3, 4.4: what the samples of the block that just ended stand for"""
        ticks = [r for r in runs if not r.event]
        for r in runs:
            if r.event:
                r.ns = r.weight_ns
        if not ticks:
            return
        times, gap = ticks[0].times, (self.epoch.recording or {}).get("gap_ns", 0)
        at, missed, before = self.b["begin"], 0, [0]
        for i, t in enumerate(times + [self.b["end"]]):
            gap = self.gaps.get(i, gap)
            missed += max(0, t - at - 5 * gap) if gap else 0
            at = max(at, t)
            before.append(before[-1] + (gap if self.gaps else 1))
        span = self.b["end"] - self.b["begin"]
        span -= min(missed, span)
        self.rec.lowered |= bool(self.gaps)
        of = before[len(times)]
        for r in ticks:
            r.ns = span * before[r.first + r.ticks] // of - span * before[r.first] // of

    # -- 2. records
    def text(self, sid):
        if sid not in self.epoch.strings:
            raise Damage("string %d is not defined" % sid)
        return self.epoch.strings[sid]

    def str(self, c):
        return self.text(c.u())

    def batch(self, c, name, entry):
        e, first = self.epoch, c.u()
        if first != e.tables[name]:
            self.problem("%s start at %d, expected %d" % (name, first, e.tables[name]))
        n = c.count()
        if first + n > MAX_IDS:
            raise Damage("too many %s" % name)
        table = getattr(e, name)
        for i in range(first, first + n):
            table[i] = entry(c, i)
        e.tables[name] = first + n

    def recording(self, c):
        r = {}
        ids = [c.u() for _ in range(4)]
        recorder, options = c.u(), c.list(c.u)
        for k in ("gap_ns", "schedule", "engine", "view", "hz", "stop_ppm"):
            r[k] = c.u()
        notes = [(c.u(), c.u()) for _ in range(c.count())]
        r["started"] = c.u()
        r["cpu_ppm"] = c.u() if c.i < c.end else 0
        late = self.late_strings
        for k, i in zip(("host", "kernel", "machine", "boot_id"), ids):
            late.append((r, k, i))
        late += [(r, "recorder", recorder), (r, "options", options),
                 (r, "note_keys", [k for k, _ in notes]), (r, "note_values", [v for _, v in notes])]
        if self.epoch.recording is not None:
            self.problem("a second RECORDING in an epoch")
        self.epoch.recording = r

    def strings(self, c):
        def one(c, i):
            n = c.u()
            if n > 65536:
                self.problem("a string of %d bytes" % n)
            return c.raw(n).decode("utf-8", "surrogatepass")
        self.batch(c, "strings", one)

    def functions(self, c):
        def one(c, i):
            f = (c.u(), self.str(c), self.str(c), self.str(c), c.u())
            if f[0] > 1:
                raise Damage("function kind %d" % f[0])
            return f
        self.batch(c, "functions", one)

    def locations(self, c):
        def one(c, i):
            v = c.u()
            if v & 1:
                return ("native", v >> 1, c.u(), self.str(c))
            if v >> 1 not in self.epoch.functions:
                raise Damage("location %d: function %d is not defined" % (i, v >> 1))
            first = self.epoch.functions[v >> 1][4]
            line, flags = first + c.z(), c.u()
            end, col, end_col = None, None, None
            if flags & 2:
                end = line + c.u()
                col, end_col = c.u(), c.u()
            if flags & 1:
                if line != first:
                    self.problem("location %d without a line, but it is not the first line" % i)
                line = None
            return ("python", v >> 1, line, end, col, end_col)
        self.batch(c, "locations", one)

    def stacks(self, c):
        def one(c, i):
            back, v = c.u(), c.u()
            if not 0 < back <= i:
                raise Damage("stack %d: parent %d" % (i, i - back))
            parent = i - back
            if parent and parent not in self.epoch.stacks:
                raise Damage("stack %d: parent %d is not defined" % (i, parent))
            if v >> 1 not in self.epoch.locations:
                raise Damage("stack %d: location %d is not defined" % (i, v >> 1))
            self.b["stacks"] += 1
            self.epoch.stacks[i] = (parent, v >> 1)
            if v & 1:
                self.epoch.certify(i)
            return (parent, v >> 1)
        self.batch(c, "stacks", one)

    def ids(self, c):
        out, last = [], 0
        for _ in range(c.count()):
            last += c.z()
            if last not in self.epoch.stacks:
                raise Damage("stack %d is not defined" % last)
            out.append(last)
        return out

    def certify(self, c):
        for s in self.ids(c):
            self.epoch.certify(s)

    def doubt(self, c):
        self.b["doubt"].update(self.ids(c))

    def process(self, c):
        n = c.u()
        p = {"id": n}
        for k in ("pid", "ns_pid", "parent", "host", "start", "exec", "seen", "flags", "uid", "version_hex", "build"):
            p[k] = c.u()
        for k in ("version", "exe", "cwd", "prefix", "base_prefix"):
            p[k] = self.str(c)
        p["cmdline"] = c.list(lambda: self.str(c))
        p["path"] = c.list(lambda: self.str(c))
        self.epoch.processes[n] = p

    def process_end(self, c):
        p, time, how, status = c.u(), c.u(), c.u(), c.u()
        if p not in self.epoch.processes:
            raise Damage("PROCESS_END of unknown process %d" % p)
        self.rec.process_ends.append(dict(pid=self.epoch.processes[p]["pid"], time=time, how=how, status=status))

    def module(self, c):
        n, p, path = c.u(), c.u(), self.str(c)
        build = c.raw(c.u()).hex()
        self.epoch.modules[n] = (p, path, build, c.u(), c.u(), c.u())

    def thread(self, c):
        n = c.u()
        t = {"id": n}
        for k in ("process", "tid", "ns_tid", "start", "interpreter", "pthread"):
            t[k] = c.u()
        t["name"] = self.str(c)
        for k in ("flags", "kind", "owner"):
            t[k] = c.u()
        if t["process"] not in self.epoch.processes:
            raise Damage("thread %d: process %d is not defined" % (n, t["process"]))
        self.epoch.threads[n] = t

    def thread_end(self, c):
        t, time = c.u(), c.u()
        if t not in self.epoch.threads:
            raise Damage("THREAD_END of unknown thread %d" % t)
        self.rec.thread_ends.append(dict(tid=self.epoch.threads[t]["tid"], time=time))

    def lost_record(self, c):
        self.rec.lost.append(dict(zip(("begin", "end", "cause", "thread", "count"), [c.u() for _ in range(5)])))

    def counters(self, c):
        for _ in range(c.count()):
            k = c.u()
            k, v = COUNTERS.get(k, k), c.u()
            if v < self.rec.counters.get(k, 0):
                self.problem("counter %s goes back" % k)
            self.rec.counters[k] = v
            if k in STOP_LENGTHS:
                self.rec.stop_lengths[k - STOP_LENGTHS[0]] = v
        known, stops = sum(self.rec.stop_lengths.values()), self.rec.counters.get("stops", 0)
        if known and known != stops:
            self.problem("%d stops, but %d by length" % (stops, known))

    def end_record(self, c):
        self.rec.ends.append(dict(zip(("time", "reason", "how", "status"), [c.u() for _ in range(4)])))

    def host(self, c):
        c.u(), [self.str(c) for _ in range(4)]

    def interpreter(self, c):
        self.epoch.interpreters.append((c.u(), c.u(), c.u()))

    # -- 4. samples
    def ticks(self, c):
        if self.had_ticks:
            self.problem("block %d: a second TICKS" % self.b["seq"])
        self.had_ticks = True
        base, unit, n = c.u(), c.u(), c.count()
        if unit < 1:
            raise Damage("unit 0")
        times, t = [], base
        for _ in range(n):
            t += c.u() * unit
            times.append(t)
        if n != self.b["ticks"]:
            self.problem("block %d: header says %d ticks, TICKS has %d" % (self.b["seq"], self.b["ticks"], n))
        if times and not (self.b["begin"] <= times[0] + unit and times[-1] <= self.b["end"] + unit):
            self.problem("block %d: ticks %d..%d outside %d..%d" % (self.b["seq"], times[0], times[-1], self.b["begin"], self.b["end"]))
        cpu_unit, m = c.u(), c.count()
        if cpu_unit < 1:
            raise Damage("CPU unit 0")
        u = c.u
        cols = [[u() for _ in range(m)] for _ in range(5)]
        self.b["entries"] = m
        open_runs, seen, last_stack, now = {}, set(), {}, 0

        def close(run, tick):
            run.ticks = tick - run.first

        for dt, thread, stack, flags, cpu in zip(*cols):
            now += dt
            if now >= n:
                raise Damage("entry at tick %d of %d" % (now, n))
            if thread not in self.epoch.threads:
                raise Damage("entry of unknown thread %d" % thread)
            if (thread, now) in seen:
                self.problem("block %d: two entries of thread %d at tick %d" % (self.b["seq"], thread, now))
            seen.add((thread, now))
            if stack == 0:
                if thread not in last_stack and not flags & ABSENT:
                    raise Damage("first entry of thread %d names no stack" % thread)
                sid = last_stack.get(thread, 0)
            else:
                sid = stack - 1
                if sid and sid not in self.epoch.stacks:
                    self.problem("block %d: an entry names stack %d, not defined" % (self.b["seq"], sid))
            if stack or thread in last_stack:
                last_stack[thread] = sid
            old = open_runs.pop(thread, None)
            if old:
                close(old, now)
                old.cpu_ns = cpu * cpu_unit
            if not flags & ABSENT:
                run = Run(self.epoch, self.b, thread, sid, flags, now, times)
                open_runs[thread] = run
                self.rec.runs.append(run)
            elif flags & FAILED and not flags & ABSENT:
                self.problem("bit 11 without bit 10")
            if flags >> 13:
                self.problem("block %d: unknown flag bits %#x" % (self.b["seq"], flags))
        for run in open_runs.values():
            close(run, n)
        with_entry = {t for t, _ in seen}
        for _ in range(c.count()):
            thread, cpu = c.u(), c.u()
            if thread not in with_entry:
                self.problem("block %d: closing of thread %d without an entry" % (self.b["seq"], thread))
            elif thread in open_runs:
                open_runs[thread].cpu_ns = cpu * cpu_unit
        tick = -1
        for k in range(c.count() if c.i < c.end else 0):
            step, mean = c.u(), c.u()
            tick = step if k == 0 else tick + step
            if tick > n or (k and not step) or not 0 < mean <= 1 << 39:
                raise Damage("mean gap %d from tick %d of %d on" % (mean, tick, n))
            self.gaps[tick] = mean

    def events(self, c):
        t, unit, wunit, n = c.u(), c.u(), c.u(), c.count()
        if unit < 1 or wunit < 1:
            raise Damage("unit 0")
        cols = [[c.z() for _ in range(n)]] + [[c.u() for _ in range(n)] for _ in range(4)]
        last = {}
        for dt, thread, stack, flags, weight in zip(*cols):
            t += dt * unit
            if not stack and thread not in last:
                raise Damage("first event of thread %d names no stack" % thread)
            sid = stack - 1 if stack else last[thread]
            last[thread] = sid
            if thread not in self.epoch.threads:
                self.problem("block %d: an event of thread %d, not defined" % (self.b["seq"], thread))
            if sid and sid not in self.epoch.stacks:
                self.problem("block %d: an event names stack %d, not defined" % (self.b["seq"], sid))
            if flags >> 13 or flags & (ABSENT | FAILED):
                self.problem("block %d: an event with flag bits %#x" % (self.b["seq"], flags))
            if weight * wunit >> 64:
                raise Damage("a weight of more than 64 bits")
            if t > self.b["end"] + unit:
                self.problem("block %d: an event at %d, behind the block's end %d" % (self.b["seq"], t, self.b["end"]))
            run = Run(self.epoch, self.b, thread, sid, flags, 0, [t])
            run.ticks, run.weight_ns = 1, weight * wunit
            run.cpu_ns = run.weight_ns if run.state in (ON_CPU, ACTIVE) else 0
            self.rec.runs.append(run)

    RECORDS = {1: recording, 2: strings, 3: functions, 4: locations, 5: stacks, 6: certify, 7: process, 8: process_end,
               9: module, 10: thread, 11: thread_end, 12: ticks, 13: events, 14: lost_record, 15: counters,
               16: end_record, 17: host, 18: doubt, 19: interpreter}


def read(path):
    with open(path, "rb") as f:
        return Reader(f.read()).run()


def main():
    rec = read(sys.argv[1])
    h = rec.headers[0]
    print("version %d.%d  uuid %s  %d bytes  %d blocks  %d epochs  %d ticks  %d samples  %s" % (
        h["version"] + (h["uuid"], rec.bytes, len(rec.blocks), len(rec.epochs), rec.ticks, rec.samples,
                        "closed" if rec.closed else "not closed")))
    print("counters", rec.counters)
    print("end", rec.end, "lost", rec.lost[:10])
    for p in rec.processes().values():
        print("process", {k: v for k, v in p.items() if k != "path"})
    for k, t in sorted(rec.threads().items(), key=str):
        print("thread", k, repr(t["name"]), "flags", t["flags"], "pthread %#x" % t["pthread"])
    print("engine", rec.note("pyspy.engine"), "why not the kernel", rec.note("pyspy.engine.why"))
    if rec.timed:
        cpu = Counter()
        for r in rec.runs:
            cpu[r.info["tid"]] += r.cpu_ns or 0
        for tid, ns in rec.wall_ns().items():
            print("time of thread %d: %.3f ms, %.3f ms of them on a CPU" % (tid, ns / 1e6, cpu[tid] / 1e6))
    for s, n in rec.folded().most_common(int(sys.argv[2]) if len(sys.argv) > 2 else 20):
        print(n, ";".join("%s (%s:%s)" % (f.name, f.file.rsplit("/", 1)[-1], f.line) if f.kind == "python" else f.name for f in s))
    for p in rec.problems:
        print("PROBLEM", p)
    return 1 if rec.problems else 0


if __name__ == "__main__":
    sys.exit(main())

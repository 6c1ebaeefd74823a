"""A reader of profile.proto for tests, by the format's description alone (github.com/google/pprof, proto/profile.proto):
strict where Go's loader is strict. What others' readers say of the same files is test_pprof.py's to compare."""
import gzip


def varint(b, at):
    value = shift = 0
    while True:
        byte = b[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        assert shift < 70, "a number without an end"


def fields(b):
    """-> (number, value): int, or bytes"""
    at = 0
    while at < len(b):
        tag, at = varint(b, at)
        if tag & 7 == 0:
            value, at = varint(b, at)
        elif tag & 7 == 2:
            n, at = varint(b, at)
            value, at = b[at:at + n], at + n
            assert len(value) == n, "cut"
        else:
            raise AssertionError("wire type %d" % (tag & 7))
        yield tag >> 3, value


def numbers(b):
    out, at = [], 0
    while at < len(b):
        value, at = varint(b, at)
        out.append(value)
    return out


def one(b):
    return dict(fields(b))


class Frame:
    def __init__(self, location, line, function):
        self.name, self.file, self.start_line = function
        self.line, self.column, self.mapping = line.get(2, 0), line.get(3, 0), location.get(2, 0)


class Pprof:
    def __init__(self, path):
        with open(path, "rb") as f:
            packed = f.read()
        assert packed[:4] == b"\x1f\x8b\x08\x00" and packed[4:8] == b"\0\0\0\0", "gzip with a time or a name in it"
        raw = list(fields(gzip.decompress(packed)))
        many = lambda number: [v for k, v in raw if k == number]  # noqa: E731
        single = dict((k, v) for k, v in raw if isinstance(v, int))
        self.strings = [v.decode("utf-8") for v in many(6)]
        assert self.strings and self.strings[0] == ""
        text = self.strings.__getitem__
        self.types = [(text(t[1]), text(t[2])) for t in map(one, many(1))]
        self.shown = text(single[14])
        self.time_ns, self.duration_ns, self.period = (single.get(k, 0) for k in (9, 10, 12))
        self.period_type = (text(one(many(11)[0])[1]), text(one(many(11)[0])[2]))
        self.comments = [text(v) for k, v in raw if k == 13]
        self.mappings = {m[1]: m for m in map(one, many(3))}
        functions, self.functions = many(5), {}
        for f in map(one, functions):
            assert 3 not in f, "a system name"
            self.functions[f[1]] = (text(f.get(2, 0)), text(f.get(4, 0)), f.get(5, 0))
        locations, self.frames = many(4), {}
        for b in locations:
            location = one(b)
            lines = [one(v) for k, v in fields(b) if k == 4]
            assert len(lines) == 1 and location.get(2, 0) in self.mappings
            self.frames[location[1]] = Frame(location, lines[0], self.functions[lines[0][1]])
        assert len(self.functions) == len(functions) and len(self.frames) == len(locations), "an id twice"
        assert 0 not in self.functions and 0 not in self.frames
        self.samples = []  # (frames from the innermost out, values, labels)
        for b in many(2):
            stack, values, labels = [], [], {}
            for k, v in fields(b):
                if k == 1:
                    stack += numbers(v)
                elif k == 2:
                    values += numbers(v)
                elif k == 3:
                    label = one(v)
                    assert text(label[1]) not in labels and (2 in label) != (3 in label)
                    labels[text(label[1])] = text(label[2]) if 2 in label else label[3]
            assert len(values) == len(self.types)
            self.samples.append(([self.frames[i] for i in stack], values, labels))

    def total(self, kind, **labels):
        i = [t for t, _ in self.types].index(kind)
        return sum(values[i] for _, values, has in self.samples
                   if all(has.get(k.replace("_", " ")) == v for k, v in labels.items()))

    def by_function(self, kind):
        """-> {(name, file, start line): [self, total]}; recursion counts once"""
        i, out = [t for t, _ in self.types].index(kind), {}
        for stack, values, _ in self.samples:
            for f in {(f.name, f.file, f.start_line) for f in stack}:
                out.setdefault(f, [0, 0])[1] += values[i]
            out[stack[0].name, stack[0].file, stack[0].start_line][0] += values[i]
        return out

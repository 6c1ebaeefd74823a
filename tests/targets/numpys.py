"""numpys.py FILE: numpy's scalars and arrays in the variables of one frame, and what numpy prints of each, as JSON {name: [text, expression]} in
FILE; on one line, with the spaces of a line's beginning as one."""
import json
import os
import re
import sys

import numpy as np

np.set_printoptions(linewidth=10 ** 6, threshold=10 ** 6)
INTEGERS = "int8 uint8 int16 uint16 int32 uint32 int64 uint64 longlong ulonglong intc".split()
FLOATS = "float16 float32 float64 longdouble".split()
EXPRESSIONS = []
for t in INTEGERS:
    EXPRESSIONS += ["np.%s(0)" % t, "np.iinfo(np.%s).max" % t, "np.%s(np.iinfo(np.%s).max)" % (t, t), "np.%s(np.iinfo(np.%s).min)" % (t, t),
                    "np.arange(5, dtype=np.%s)" % t, "np.array([1, 100, 7], dtype=np.%s)" % t, "np.array([1, 2], dtype=np.dtype(np.%s).newbyteorder('>'))" % t]
for t in FLOATS:
    EXPRESSIONS += ["np.%s(%s)" % (t, v) for v in ("0", "1.5", "-0.1", "1/3", "1e4", "6.5e4", "1e-5", "123.456", "'nan'", "'inf'", "'-inf'", "'-0.0'")]
    EXPRESSIONS += ["np.array(%s, dtype=np.%s)" % (v, t) for v in ("[1, 2.5, -3]", "[1/3, 2/3]", "[0.1, 100]", "[1e-5, 1]", "[1, float('nan'), float('inf'), -float('inf')]", "[1e-5, float('nan'), -float('inf')]",
                    "[0.0, -0.0]", "[1000.5, 0.001]", "[]", "[[1, 2], [3, 4.25]]", "2.5", "float('nan')", "[10000.0, 1.5]", "[12345.678, 0.5]")]
    EXPRESSIONS.append("np.array([1.5, -2], dtype=np.dtype(np.%s).newbyteorder('>'))" % t)
EXPRESSIONS += ["np.float32('3.4e38')", "np.float64(1e300)", "np.float64(1e16)", "np.float64(123456789.123)", "np.longdouble('0.1')", "np.longdouble('1e4000')", "np.longdouble(1) / 3", "np.array([1e8, 1])",
                "np.array([1e300, 1e-300])", "np.array([123456789.123456789, 1])", "np.array([0.123456789012345])", "np.array([99999999.9, 0.5])", "np.longdouble(2) ** 70", "np.array([1, 2], dtype=np.longdouble) / 3"]
for t in "complex64", "complex128", "clongdouble":
    EXPRESSIONS += ["np.%s(%s)" % (t, v) for v in ("0", "1", "1j", "1.5-2j", "complex('nan')", "complex(0, float('inf'))", "-0.1+1e-7j", "complex(-0.0, 1)")]
    EXPRESSIONS += ["np.array(%s, dtype=np.%s)" % (v, t) for v in ("[1, 1j]", "[1.5-2.25j, 100+1j]", "[1e-7+1j]", "[complex(float('nan'), 1), 2]", "[]", "1+1j", "[1e10j, 1]", "[[1, 2], [3j, 4]]")]
EXPRESSIONS += ["np.bool_(True)", "np.bool_(False)", "np.array([True, False])", "np.array(True)", "np.array([[True], [True]])", "np.array([], dtype=bool)", "np.str_('it\\'s \\u20ac\\n')", "np.str_('')",
                "np.bytes_(b'a\\0b\"')", "np.bytes_(b'')"]
UNITS = "Y M W D h m s ms us ns ps fs as".split()
for u in UNITS:
    EXPRESSIONS += ["np.datetime64(0, '%s')" % u, "np.datetime64(1234567, '%s')" % u, "np.datetime64(-12345, '%s')" % u, "np.datetime64('NaT', '%s')" % u, "np.timedelta64(5, '%s')" % u,
                    "np.timedelta64('NaT', '%s')" % u, "np.array([0, 100, -100], dtype='M8[%s]')" % u, "np.array([0, 100, -100], dtype='m8[%s]')" % u, "np.array([1, 'NaT'], dtype='m8[%s]')" % u]
EXPRESSIONS += ["np.datetime64('2020-02-29')", "np.datetime64('0001-01-01')", "np.datetime64('1969-12-31T23:59:59.999')", "np.datetime64('NaT')", "np.timedelta64(7)", "np.timedelta64('NaT')", "np.datetime64(5, '25s')",
                "np.timedelta64(5, '25s')", "np.array(['2020-01-01', 'NaT'], dtype='M8[D]')", "np.array(['NaT'], dtype='M8[s]')", "np.array('2020-01-01', dtype='M8[D]')", "np.array([1, 2], dtype='>m8[D]')",
                "np.array(['2020-01-01'], dtype='>M8[D]')", "np.array([1], dtype='M8[25s]')", "np.array([1, 2], dtype='m8')", "np.array([], dtype='M8[D]')", "np.datetime64(2**62, 's')", "np.datetime64(-2**62, 'D')",
                "np.timedelta64(-2**62, 'ns')"]
EXPRESSIONS += ["np.arange(6).reshape(2, 3)", "np.asfortranarray(np.arange(6).reshape(2, 3))", "np.arange(10)[::3]", "np.arange(10)[::-2]", "np.arange(24).reshape(2, 3, 4)[:, ::2, 1:3]", "np.arange(6).reshape(2, 3).T",
                "np.broadcast_to(np.arange(3), (2, 3))", "np.zeros((0,))", "np.zeros((0, 3))", "np.zeros((2, 0, 3), dtype=np.int8)", "np.array(5)", "np.array(None)", "np.array([1, 'a', None, [2]], dtype=object)",
                "np.array([[{}, ()], [None, 1.5]], dtype=object)", "np.array('text')", "np.array(['a', 'bcd', ''])", "np.array(['\\u20ac', \"it's\", 'a\\nb'])", "np.array([b'a', b'bc\\0d'])", "np.array(['x'], dtype='>U3')",
                "np.array([], dtype='U4')", "np.array([], dtype='S')", "np.array([b''], dtype='S1')", "np.array([b'ab', b'cd'], dtype='V2')", "np.array([-1, 1])", "np.zeros((1,) * 8)", "np.ones((2, 1, 2), dtype=np.float32)",
                "np.void(b'abc')", "np.matrix([[1, 2], [3, 4]])", "np.array([1, 2, 3]).view(Mine)", "np.array([(1, 2.)], dtype=[('a', 'i4'), ('b', 'f8')]).view(np.recarray)", "np.empty((0, 2), dtype=object)",
                "np.array([10 ** 30, 2], dtype=object)", "np.arange(1000, 1003)", "np.array([np.datetime64('2020-01-01')], dtype=object)", "[np.int64(1), np.float32(2.5), np.array([1])]", "{'a': np.arange(3)}", "MyFloat(1.5)", "MyStr('x')"]
RECORDS = ["[('a', 'i4'), ('b', 'f8')]", "[('name', 'U5'), ('raw', 'S3'), ('flag', '?')]", "[('when', 'M8[D]'), ('how', 'm8[s]')]", "[('x', 'f4', (2,)), ('y', 'i1', (2, 2))]", "[('in', [('p', 'i2'), ('q', 'f4')]), ('o', 'O')]",
           "[('one', 'i8')]", "[('big', '>i4'), ('c', 'c16')]"]
for r in RECORDS:
    EXPRESSIONS += ["np.zeros(2, dtype=%s)" % r, "np.zeros(2, dtype=%s)[0]" % r, "np.zeros((), dtype=%s)" % r, "np.zeros((2, 2), dtype=%s)" % r, "np.zeros(0, dtype=%s)" % r]
EXPRESSIONS += ["np.array([(1, 2.5), (-100, 3)], dtype=[('a', 'i4'), ('b', 'f8')])", "np.array([('ab', b'x', True), ('', b'', False)], dtype=[('n', 'U5'), ('r', 'S3'), ('f', '?')])"]


class Mine(np.ndarray):
    pass


class MyFloat(np.float64):
    pass


class MyStr(np.str_):
    pass


def main():
    values, truth = [], {}
    for i, e in enumerate(EXPRESSIONS):
        try:
            value = eval(e)
            text = repr(value)
        except Exception:
            continue
        truth["v%d" % len(values)] = [re.sub(r"\s*\n\s*", " ", text), e]
        values.append(value)
    big = np.arange(100000).reshape(1000, 100)
    lines = ["def hold(values, wait, big):"] + ["    v%d = values[%d]" % (i, i) for i in range(len(values))] + ["    del values", "    wait()"]
    space = {}
    exec("\n".join(lines), space)
    with open(sys.argv[1], "w") as f:
        json.dump(truth, f)

    def wait():
        print("ready %d" % os.getpid(), np.__version__)
        sys.stdout.flush()
        sys.stdin.read()
    space["hold"](values, wait, big)


main()

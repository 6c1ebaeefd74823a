# parallel
# numpy's values in variables, against what numpy prints; pandas' by their shape. In full in environments of their own.
import json
import os
import subprocess

import harness as h

PANDAS = """
import os, sys
import numpy as np, pandas as pd
def hold():
    shapes = dict(frame=(3, 2), empty=(0, 0), wide=(1000, 50), series=(2,), index=(2,), numbers=(5,), dates=(4,), several=(2,))
    frame = pd.DataFrame({'a': [1, 2, 3], 'b': ['x', 'y', 'z']})
    empty, wide = pd.DataFrame(), pd.DataFrame(np.zeros((1000, 50)))
    series = pd.Series([1.5, 2.5], name='its name')
    index, numbers, dates = pd.Index(['a', 'b']), pd.RangeIndex(5), pd.date_range('2020', periods=4)
    several = pd.MultiIndex.from_tuples([(1, 'a'), (2, 'b')])
    print('ready', os.getpid(), pd.__version__)
    sys.stdout.flush()
    sys.stdin.read()
hold()
"""


def variables(pid, *args):
    p = subprocess.run([h.RECORD, "dump", "--json", "-p", str(pid)] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    h.check(p.returncode == 0, "dump: exit status %d, %s" % (p.returncode, p.stderr[-300:]))
    frame = [f for t in json.loads(p.stdout.decode())["threads"] for f in t["frames"] if f["name"] == "hold"][0]
    return {x["name"]: x["repr"] for x in frame["locals"]}


def truth(py, command):
    where = os.path.join(h.folder(), "truth")
    with h.Victim(py, "numpys.py", [where], cmd=command, stderr=subprocess.DEVNULL) as v:
        got, small = variables(v.pid, "-lll", "--no-redact"), variables(v.pid, "-l")
        version = v.words[0]
    with open(where) as f:
        want = json.load(f)
    h.check(len(want) > 400, "%d values only" % len(want))
    wrong = ["%s\n    is   %s\n    repr %s" % (expression, got.get(name, "missing")[:300], text[:300]) for name, (text, expression) in want.items() if got.get(name) != text]
    h.check(not wrong, "%d of %d are not as repr(): %s" % (len(wrong), len(want), "\n  ".join(wrong[:8])))
    h.check(got["big"].startswith("array([[") and got["big"].endswith(" 95904 more, shape=(1000, 100))"), "a large one: %s" % got["big"][-100:])
    h.check(all(len(x) < 900 for x in small.values()), "with -l: %s" % max(small.values(), key=len)[:300])
    h.note("numpy %s: %d values" % (version, len(want)))


def environment(py, *packages):
    folder = h.folder()
    command = os.path.join(folder, "bin", "python")
    for cmd in ([py.path, "-m", "venv", folder], [command, "-m", "pip", "install", "-q", "--only-binary=:all:"] + list(packages)):
        p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
        if p.returncode:
            raise h.Skip("%s cannot be installed for %s: %s" % (packages, py, p.stdout[-200:]))
    return [command]


def installed(py, *packages):
    truth(py, environment(py, *packages))


def at_hand(py):
    """its own numpy, else one that is fetched (which a machine without a network cannot)"""
    has = subprocess.run([py.path, "-c", "import numpy"], stderr=subprocess.DEVNULL).returncode == 0
    truth(py, [py.path] if has else environment(py, "numpy"))


def pandas(py):
    command = environment(py, "pandas")
    script = os.path.join(h.folder(), "pandas_victim.py")
    with open(script, "w") as f:
        f.write(PANDAS)
    with h.Victim(py, script, cmd=command) as v:
        got, version = variables(v.pid, "-l"), v.words[0]
    shapes = eval(got["shapes"])
    for name, shape in shapes.items():
        h.check(": shape=%s" % (shape,) in got[name] and got[name].startswith("<pandas."), "%s: %s" % (name, got[name]))
    h.check(got["series"].endswith("shape=(2,), name='its name'>"), got["series"])
    h.note("pandas %s: %d shapes" % (version, len(shapes)))


cases = []
for py in h.interpreters(one_per_minor=True):
    if h.FULL and py.kind == "pyenv" and py.version >= (3, 8):
        # the oldest and the newest that there are for it, and those where numpy's repr() changed
        for numpy in {8: ("numpy<1.20", "numpy"), 9: ("numpy<2",), 10: ("numpy==2.0.*",), 11: ("numpy==2.3.*",), 12: ("numpy==2.4.*",), 13: ("numpy",)}.get(py.minor, ()):
            cases.append(("%s %s" % (numpy, py), installed, py, numpy))
        if py.minor in (8, 12):
            cases.append(("pandas %s" % py, pandas, py))
    elif not h.FULL and py.version[:2] == (3, 11):
        cases.append(("numpy %s" % py, at_hand, py))

if __name__ == "__main__":
    h.main(cases)

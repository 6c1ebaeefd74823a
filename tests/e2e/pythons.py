"""The interpreters to test with: scripts/get-pythons' lines as objects that know how a program is started with them.

Some live in a root of their own (a container as small as can be) and are started by chroot. What they are to read or
write must be in there: `argv` takes care of scripts, `folder` makes a place that both sides see.
"""
import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GET_PYTHONS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "scripts", "get-pythons")
TODAY = ((3, 11), (3, 12), (3, 13))
HOST = ("pyenv", "shim", "system", "path", "fetched", "built")
IMPORT = re.compile(r"(?m)^[ \t]*(?:from[ \t]+(\w+)[\w.]*[ \t]+import\b|import[ \t]+(.+))")

_folders = []


@atexit.register
def _remove_all():
    for d in _folders:
        shutil.rmtree(d, ignore_errors=True)


class Python:
    """version: (3, 14, 2); text: 3.14.2 (3.15.0rc1); path: inside of root; root: None is this system itself;
    kind and build: get-pythons' words; name: of this one among all"""

    def __init__(self, text, path, kind, root="-", build="release"):
        self.text, self.path, self.kind, self.build = text, path, kind, build
        self.root = None if root == "-" else root
        self.version = tuple(int(n) for n in re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text).groups("0"))
        self.minor = self.version[1]
        self.free_threaded, self.debug = "freethreaded" in build, "debug" in build
        # a /proc of its own: the interpreter's word on itself is needed
        self.prefix = ["unshare", "--mount-proc=" + root + "/proc", "chroot", root] if self.root else []
        where = ":" + os.path.basename(root).replace("-debug", "") if self.root else ""
        self.name = "%s/%s%s%s" % (text, kind, where, "" if build == "release" else "-" + build)
        self.retries = self.version >= (3, 5)  # a call that a stop interrupts (PEP 475)
        # a recorder that has one CPU only can certify nothing without stops, and these are not stopped unless asked for
        self.to_be_stopped = [] if self.retries else ["--max-stop", "0.2"]
        self._put = {}

    def __repr__(self):
        return self.name

    def command(self, *args):
        """to start it; the arguments are as the interpreter sees them"""
        return self.prefix + [self.path] + [str(a) for a in args]

    def argv(self, script, *args, options=()):
        """to start a script with it, which is put, with the modules beside it that it imports, where it can be seen"""
        return self.command(*options, self.put(script), *args)

    def outside(self, path):
        """a path of the interpreter's as this system sees it"""
        return self.root + os.path.abspath(path) if self.root else path

    def folder(self):
        """-> a new folder as this system sees it, as the interpreter sees it; gone at the end of the test"""
        tmp = self.outside("/tmp") if self.root else tempfile.gettempdir()
        if self.root:  # a test that was killed could not clean up, and roots stay
            for old in os.listdir(tmp):
                pid = re.match(r"pyspy-e2e-(\d+)-", old)
                if pid and not os.path.exists("/proc/" + pid.group(1)):
                    shutil.rmtree(os.path.join(tmp, old), ignore_errors=True)
        d = tempfile.mkdtemp(prefix="pyspy-e2e-%d-" % os.getpid(), dir=tmp)
        os.chmod(d, 0o755)
        _folders.append(d)
        return d, d[len(self.root):] if self.root else d

    def put(self, script):
        """-> the script's path as the interpreter sees it"""
        script = os.path.abspath(script)
        if not self.root:
            return script
        if script not in self._put:
            outside, inside = self.folder()
            for path in beside(script):
                (shutil.copytree if os.path.isdir(path) else shutil.copy)(path, os.path.join(outside, os.path.basename(path)))
            self._put[script] = os.path.join(inside, os.path.basename(script))
        return self._put[script]

    def ask(self, code, timeout=60):
        """what it prints when it runs this"""
        env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
        for name in ("PYTHONPATH", "PYTHONHOME", "PYENV_VERSION"):
            env.pop(name, None)
        return subprocess.run(self.command("-c", code), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
                              timeout=timeout, universal_newlines=True).stdout.rstrip("\n")


def beside(script):
    """the script, and the modules and packages in its folder that it imports, and those that they import"""
    found, left = [], [script]
    while left:
        path = left.pop()
        found.append(path)
        if os.path.isdir(path):
            sources = [os.path.join(d, f) for d, _, files in os.walk(path) for f in files if f.endswith(".py")]
        else:
            sources = [path]
        for source in sources:
            with open(source, encoding="utf-8", errors="replace") as f:
                text = f.read()
            for one, several in IMPORT.findall(text):
                for name in [one] if one else re.findall(r"(?:^|,)\s*(\w+)", several):
                    base = os.path.join(os.path.dirname(script), name)
                    for there in (base + ".py", base):
                        if os.path.exists(there) and there not in found + left:
                            left.append(there)
    return found


def interpreters(minors=None, builds=None, kinds=None, one_per_minor=False):
    """Those of PYSPY_PYTHONS (else of get-pythons) that are asked for; minors: (major, minor) pairs; None: all.
    May be empty. PYSPY_ONLY, for debugging: only those whose name begins so."""
    text = os.environ.get("PYSPY_PYTHONS")
    if not text:
        full = os.environ.get("PYSPY_FULL", "") not in ("", "0")
        text = subprocess.run([GET_PYTHONS] + ([] if full else ["--quick"]), stdout=subprocess.PIPE, universal_newlines=True, timeout=900).stdout
    out, seen, only = [], set(), os.environ.get("PYSPY_ONLY", "")
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3:
            continue
        p = Python(*words[:5])
        minor = p.version[:2]
        if (minors and minor not in minors) or (builds and p.build not in builds) or (kinds and p.kind not in kinds):
            continue
        if (one_per_minor and minor in seen) or not p.name.startswith(only):
            continue
        seen.add(minor)
        out.append(p)
    return out


def pythons(kinds=None, one_per_minor=False):
    """ordinary builds of 3.11 .. 3.13 on this system: there is always one"""
    out = interpreters(TODAY, ("release",), kinds or HOST, one_per_minor)
    if not out and not os.environ.get("PYSPY_ONLY"):
        raise SystemExit("no CPython 3.11, 3.12 or 3.13 found: run scripts/get-pythons, or set PYSPY_PYTHONS")
    return out


def newer(few=None):
    """3.13 and later beyond what pythons() gives: roots, debug and free-threaded builds. few: in the quick form only
    these (minor, build)"""
    ordinary = {p.name for p in interpreters(TODAY, ("release",), HOST)}
    out = [p for p in interpreters() if p.version >= (3, 13) and p.name not in ordinary]
    full = os.environ.get("PYSPY_FULL", "") not in ("", "0")
    return [p for p in out if full or few is None or (p.minor, p.build) in few]


def shim_of(py):
    """pyenv's shell shim that ends in this interpreter, with the environment it needs; None without pyenv"""
    m = re.match(r"(.*)/versions/([^/]+)/bin/", py.path)
    if not m:
        return None
    shim = os.path.join(m.group(1), "shims", "python3")
    if not os.access(shim, os.X_OK):
        return None
    return shim, {"PYENV_VERSION": m.group(2), "PYENV_ROOT": m.group(1)}


if __name__ == "__main__":  # what is there, and whether it starts a script
    for one in interpreters():
        got = subprocess.run(one.argv(sys.argv[1]), stdout=subprocess.PIPE, universal_newlines=True) if sys.argv[1:] else None
        print("%-32s %s" % (one, got.stdout.strip() if got else one.build))

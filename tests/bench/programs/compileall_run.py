"""python -m compileall in one process, over a copy of the standard library, again and again until it is killed.
usage: compileall_run.py FOLDER       FOLDER: where the copy is put. Prints "ready".
"""
import compileall
import os
import shutil
import sys
import sysconfig

copy = os.path.join(sys.argv[1], "library-%d.%d" % sys.version_info[:2])
library = sysconfig.get_path("stdlib")
if not os.path.exists(copy):
    shutil.copytree(library, copy, ignore=lambda folder, names: [
        n for n in names if n in ("__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3")
        or os.path.islink(os.path.join(folder, n)) or not (n.endswith(".py") or os.path.isdir(os.path.join(folder, n)))])
print("ready", flush=True)
while True:
    compileall.compile_dir(copy, quiet=2, force=True)

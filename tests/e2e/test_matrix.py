# serial
# timeout: 900
# The support matrix in its quick form: the interpreters of `make check`, recorded by both engines, each against its own
# word. `make matrix` has all of them.
import subprocess
import sys

import harness as h

sys.exit(subprocess.run([sys.executable, h.HERE + "/matrix.py"] + ([] if h.FULL else ["--quick", "--seconds", "1"])).returncode)

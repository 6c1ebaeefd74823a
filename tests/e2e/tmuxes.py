"""A terminal that tests can type into and look at: tmux, with a server of its own."""
import os
import shutil
import subprocess
import time

import harness as h


class Terminal:
    """A shell in a terminal of width x height. It ends by itself after a while (TMOUT), should the test be killed."""

    def __init__(self, width=100, height=30, cwd=None, env=None):
        if not shutil.which("tmux"):
            if os.environ.get("CI"):
                raise h.Failure("tmux is missing (scripts/install-deps check)")
            raise h.Skip("tmux is missing (scripts/install-deps check)")
        self.folder = cwd or h.folder()
        self.socket = os.path.join(h.folder(), "s")
        e = {k: v for k, v in os.environ.items() if not k.startswith("TMUX")}
        e.update({"LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "TMPDIR": self.folder, "PS1": "$ ", "TMOUT": "300", "PYTHONDONTWRITEBYTECODE": "1"}, **(env or {}))
        subprocess.run(["tmux", "-u", "-S", self.socket, "-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "bash --norc --noprofile"],
                       cwd=self.folder, env=e, check=True, timeout=20)
        self.pid = int(self.ask("#{pid}"))
        self.tmux("set", "-g", "escape-time", "0")

    def tmux(self, *words):
        p = subprocess.run(["tmux", "-u", "-S", self.socket, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
        return p.stdout.decode("utf-8", "replace")

    def ask(self, what):
        return self.tmux("display", "-p", what).strip()

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    def run(self, command):
        self.tmux("send-keys", "-l", command)
        self.tmux("send-keys", "Enter")

    def lines(self, *more):
        return self.tmux("capture-pane", "-p", *more).split("\n")

    def text(self):
        return "\n".join(self.lines())

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def see(self, what, found, seconds=10):
        """wait until found(text) is true of the screen, and return the screen's lines"""
        end = time.monotonic() + seconds
        while True:
            lines = self.lines()
            text = "\n".join(lines)
            if found(text) if callable(found) else found in text:
                return lines
            if time.monotonic() > end:
                h.check(False, "%s: not seen within %d s:\n%s" % (what, seconds, text))
                return lines
            time.sleep(0.03)

    def close(self):
        self.tmux("kill-server")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

# serial
# (d) kill -9 of the recorder at any moment, in every mode: the target runs on. In full 1,000 times:
#     scripts/run-tests --full -v tests/e2e/test_kills.py          (PYSPY_KILLS=N: another number)
import os
import random
import select
import signal
import time

import harness as h
import pyspy_reader as pr

KILLS = int(os.environ.get("PYSPY_KILLS", 1000 if h.FULL else 16))
random.seed(int(os.environ.get("PYSPY_SEED", "0")) or None)
# what makes it touch the target as often as it can; a CPU each, but where it is to sit on the target's
MODES = [("outside", ["-r", "5000"], None), ("outside", ["-r", "20000", "--max-stop", "50"], h.RECORD_CPU),
         ("outside", ["-r", "5000", "--blocking"], h.RECORD_CPU), ("kernel", ["-r", "10000"], h.RECORD_CPU)]


def status(pid, tid):
    """(state letter, tracer)"""
    try:
        with open("/proc/%d/task/%d/status" % (pid, tid)) as f:
            lines = dict(line.split(":", 1) for line in f if line.startswith(("State", "TracerPid")))
        return lines["State"].split()[0], int(lines["TracerPid"])
    except (OSError, KeyError):
        return "", 0


def stopped(pid, tids):
    return any(status(pid, t)[0] in ("t", "T") for t in tids)


def run_ns(pid, tids):
    """CPU time of the threads, to the ns where they left their CPU"""
    out = 0
    for t in tids:
        with open("/proc/%d/task/%d/schedstat" % (pid, t)) as f:
            out += int(f.read().split()[0])
    return out


def until_it_samples(p):
    """the line `recording ...` comes when all is ready; the first tick is at most a few ms later"""
    got, end = b"", time.monotonic() + 30
    while b"recording " not in got:
        if not select.select([p.stderr], [], [], max(0, end - time.monotonic()))[0]:
            raise h.Failure("the recorder did not begin within 30 s: %r" % got)
        more = os.read(p.stderr.fileno(), 4096)
        if not more:
            raise h.Failure("the recorder ended: %r" % got)
        got += more


def suspend(p, pid, tids, seconds):
    """SIGSTOP at random moments until one comes while a thread stands, for so long at most; true: it is so now. (Then the
    recorder is resumed within 10 ms.)"""
    end = time.monotonic() + seconds
    while True:
        p.send_signal(signal.SIGSTOP)
        soon = time.monotonic() + 0.005
        while h.process_state(p.pid) != "T" and time.monotonic() < soon:
            pass
        if stopped(pid, tids) and h.process_state(p.pid) == "T":
            return True
        if time.monotonic() >= end:
            return False
        p.send_signal(signal.SIGCONT)
        time.sleep(random.uniform(0.0005, 0.005))


def runs_on(pid, tids, what):
    h.wait_for("%s: no tracer, no stopped thread" % what, lambda: all(status(pid, t) not in (("t", 0), ("T", 0)) and status(pid, t)[1] == 0 for t in tids), 5, 0.001)
    before = run_ns(pid, tids)
    h.wait_for("%s: the target goes on" % what, lambda: run_ns(pid, tids) > before, 20, 0.002)


def killed(py, engine, args, cpu, n):
    """Every other kill is aimed: the recorder is suspended while a thread stands, so that the kill comes in the middle of a
    stop."""
    stops = bool({"--blocking", "--max-stop"} & set(args))
    just_before = just_after = in_a_stop = blocks = 0
    if engine == "kernel":
        h.need_kernel()
    with h.Victim(py, "colours.py", ["tree", 2, h.folder()], cpu=h.VICTIM_CPU) as v:
        tids = h.tids(v.pid)
        out = os.path.join(h.folder(), "k.pyspy")
        for i in range(n):
            if os.path.exists(out):
                os.unlink(out)
            argv = [h.RECORD, "-o", out, "-p", str(v.pid), "--flush", "100ms"] + args + ([] if "--blocking" in args else ["--engine", engine])
            p = h.start(argv, cpu=cpu, stderr=h.subprocess.PIPE)
            until_it_samples(p)
            time.sleep(random.uniform(0.001, 0.15))
            if p.poll() is not None:
                raise h.Failure("the recorder ended by itself: %d %s" % (p.returncode, p.stderr.read()))
            if i % 2:
                in_a_stop += suspend(p, v.pid, tids, 0.5 if stops else 0)
                p.kill()
            else:
                before = stopped(v.pid, tids)
                p.kill()
                after = stopped(v.pid, tids)
                just_before, just_after = just_before + before, just_after + after
            p.wait(10)
            p.stderr.close()
            runs_on(v.pid, tids, "kill %d" % i)
            if os.path.exists(out) and os.path.getsize(out):
                rec = pr.read(out)
                blocks += len(rec.blocks) > 0
                h.check(not rec.problems and not rec.closed, "after kill -9: closed %s, %s" % (rec.closed, rec.problems[:3]))
        h.note("%d kills, the target went on each time; a thread was seen stopped just before %d and just after %d of the %d plain ones, "
               "and certainly stood at %d of the %d that were aimed; %d recordings had blocks" % (
                   n, just_before, just_after, (n + 1) // 2, in_a_stop, n // 2, blocks))
        h.check(n < 100 or not stops or in_a_stop > n / 20, "only %d of %d kills hit a stop" % (in_a_stop, n))


py = (h.pythons(one_per_minor=True) or h.pythons())[-1]
cases = [("killed, %s %s %s" % (engine, " ".join(args), py), killed, py, engine, args, cpu, KILLS // 4) for engine, args, cpu in MODES]

if __name__ == "__main__":
    h.main(cases)

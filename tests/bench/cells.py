"""One run of a bench that compares tools (duty.py, speed.py): the options they share, what is there to measure with, and
the cells of their tables. A cell = one target at one rate; it has a row for each tool."""
import argparse
import json
import os
import statistics
import tempfile
import time

import peers
import rig


class Row:
    """what the slices of one tool in one cell say; reason: why there are none, or no more"""

    def __init__(self, tool, slices, reason):
        self.tool, self.slices, self.reason = tool, slices, reason
        if not slices:
            return
        self.hz = sum(s.hz for s in slices) / len(slices)
        self.stacks = None if slices[0].stacks is None else sum(s.stacks for s in slices) / len(slices)
        self.cpu = statistics.median([s.cpu for s in slices])  # a guest's clock also counts what the host takes meanwhile
        self.loss, self.loss_ci = rig.mean_ci([s.loss for s in slices])
        self.loss_cpu, self.loss_cpu_ci = rig.mean_ci([s.loss_cpu for s in slices])
        self.duty, self.duty_ci = rig.mean_ci([s.cpu + s.loss for s in slices])


def numbers(text):
    return [int(n) for n in text.split(",")]


def parser(doc, defaults):
    """with the options that every such bench has; defaults: of rounds, seconds, alone, recorder"""
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=os.path.join(rig.ROOT, "build"), help="folder of the programs")
    p.add_argument("--tools", default="floor,empty-event,kernel,outside,py-spy,tachyon", help="%(default)s")
    p.add_argument("--rounds", type=int, help="slices for each row (%d)" % defaults["rounds"])
    p.add_argument("--seconds", type=float, default=defaults["seconds"], help="length of a slice (%(default)s)")
    p.add_argument("--alone", type=float, default=defaults["alone"], help="of the slices without a tool in between (%(default)s)")
    p.add_argument("--recorder", choices=sorted(rig.PLACES), default=defaults["recorder"],
                   help="CPUs of the tools, seen from the target's (%(default)s)")
    p.add_argument("--python", help="of the targets (the newest that scripts/get-pythons finds)")
    p.add_argument("--json", metavar="FILE", help="write all slices there")
    return p


class Run:
    def __init__(self, a):
        self.a, self.had, self.record, self.begun = a, [], [], time.monotonic()
        self.folder = tempfile.TemporaryDirectory(prefix="pyspy-bench-")
        self.scratch = self.folder.name
        os.chmod(self.scratch, 0o755)
        self.tools = peers.chosen(peers.all_tools(os.path.abspath(a.build), self.scratch), a.tools)
        sid = rig.sid_python(self.scratch)
        self.pythons = {"host": rig.Python(a.python or rig.newest_python(), self.scratch), "sid": sid}
        self.reasons = {}
        for t in self.tools:
            why = t.missing() or (sid if t.python == "sid" and isinstance(sid, str) else None) or (
                None if t.python in self.pythons else "not measured by this bench")
            if why:
                self.reasons[t] = why
        os.sched_setaffinity(0, rig.OTHER_CPUS)  # this program too leaves the target its CPU

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def headline(self):
        kinds = [(k, who) for k, who in (("host", "the rest"), ("sid", "tachyon"))
                 if any(t.python == k and t not in self.reasons for t in self.tools)]
        print(rig.machine(self.a.recorder))
        print("targets: " + (", ".join("%s for %s" % (self.pythons[k].version(), who) for k, who in kinds) or "none"))
        print("each row: %d slices of %.1f s with the tool on, %.1f s alone between them" % (
            self.a.rounds, self.a.seconds, self.a.alone), flush=True)

    def cells(self, rates, depth, threads, sleeping=0, native=0):
        """yields rate, [Row] as soon as a cell is complete. The targets live as long: both at a time, one stopped."""
        able = [[t for t in self.tools if t.python == k and t not in self.reasons] for k in ("host", "sid")]
        targets = [rig.Target(self.pythons[k], depth, threads, sleeping, native) if some else None
                   for k, some in zip(("host", "sid"), able)]
        try:
            for target in filter(None, targets):
                target.stand_still()
            for rate in rates:
                rows = [Row(t, [], why) for t, why in self.reasons.items()]
                for target, tools in zip(targets, able):
                    rows += self.measure(target, tools, rate) if target else []
                rows.sort(key=lambda r: self.tools.index(r.tool))
                self.record += [{"tool": r.tool.name, "rate_hz": rate, "depth": depth, "threads": threads, "sleeping": sleeping,
                                 "native": native, "reason": r.reason, "slices": [vars(s) for s in r.slices]} for r in rows]
                yield rate, rows
        finally:
            for target in filter(None, targets):
                target.end()

    def measure(self, target, tools, rate):
        a = self.a
        target.go_on()
        slices, failed, had = rig.in_turn(target, tools, rate, a.rounds, a.seconds, a.alone, a.recorder)
        target.stand_still()
        self.had += had
        return [Row(t, slices[t], failed.get(t)) for t in tools]

    def finish(self):
        """-> exit status: 0 when anything was measured"""
        took = "%d min %d s" % divmod(int(time.monotonic() - self.begun), 60)
        print("\n%s; %s" % (rig.quiet(self.had, getattr(self.a, "load", 0)) if self.had else "nothing was measured", took))
        if self.a.json:
            with open(self.a.json, "w") as f:
                json.dump({"machine": rig.machine(self.a.recorder), "when": time.time(), "alone": self.had,
                           "options": vars(self.a), "rows": self.record}, f, indent=1)
        return 0 if any(r["slices"] for r in self.record) else 1

# parallel
# Secrets in variables: by the names of what holds them, and within texts. And what is none, as it is.
import json
import os
import re
import subprocess

import harness as h

PART = re.compile("Zq7|q7Z")  # of a secret: a piece of it is one too


def dump(pid, *args):
    p = subprocess.run([h.RECORD, "dump", "-p", str(pid)] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    h.check(p.returncode == 0, "dump %s: exit status %d, %s" % (args, p.returncode, p.stderr[-300:]))
    return p.stdout.decode()


def secrets(py):
    outside, inside = py.folder()
    with h.Victim(py, "secretive.py", [os.path.join(inside, "truth")]) as v:
        shown = {level: json.loads(dump(v.pid, "--json", level)) for level in ("-l", "-ll", "-lll")}
        text, everything, own = dump(v.pid, "-ll"), dump(v.pid, "-lll", "--no-redact"), dump(v.pid, "-lll", "--redact-names", "^user$")
    with open(os.path.join(outside, "truth")) as f:
        want = json.load(f)
    for level, d in shown.items():
        frames = [f for t in d["threads"] for f in t["frames"]]
        hold = {x["name"]: x for f in frames if f["name"] == "hold" for x in f["locals"]}
        h.check(len(hold) >= 17, "%s: variables %s" % (level, sorted(hold)))
        for f in frames:
            if f["name"] != "<module>" or level != "-lll":  # where M itself is a variable
                for x in f["locals"]:
                    if x["name"] not in ("args", "M", "JWT"):
                        m = PART.search(x["repr"])
                        h.check(not m, "%s: %s.%s: ...%s..." % (level, f["name"], x["name"], m and x["repr"][max(0, m.start() - 60):m.end() + 40]))
        h.check(hold["password"]["hidden"] and hold["password"]["repr"] == "<hidden>" and not hold["settings"]["hidden"], "%s: %s" % (level, hold["password"]))
        # what stands around it is there
        h.check("user='ann'" in hold["settings"]["repr"] and "'ann'" in hold["login"]["repr"] and "'user': 'ann'" in hold["kwargs"]["repr"] and "plain=1" in hold["slots"]["repr"], "%s: %s" % (level, hold["kwargs"]["repr"]))
        if level == "-lll":
            for part in ("'postgres://ann:<hidden>@db:5432/shop'", "'Authorization: Bearer <hidden>'", "'login?token=<hidden>&page=1'", "Pwd=<hidden>;Database=d", "Host: x", "-----BEGIN PRIVATE KEY-----<hidden>-----END PRIVATE KEY-----"):
                h.check(part in hold["texts"]["repr"], "%s in %s" % (part, hold["texts"]["repr"][:800]))
            h.check(hold["argv"]["repr"] == "['prog', '--user', 'ann', '--password', <hidden>, '--token=<hidden>', '-v']", hold["argv"]["repr"])
            plain = {x["name"]: x["repr"] for f in frames if f["name"].endswith("ordinary") for x in f["locals"]}["plain"]
            h.check(plain == "[" + ", ".join(want) + "]", "what is no secret: %s\n  repr %s" % (plain, want))
            h.check(len(hold["long_text"]["repr"]) > 60000 and "password=<hidden> y" in hold["long_text"]["repr"], "a long text: %s" % hold["long_text"]["repr"][3990:4100])
    h.check(not PART.search(re.sub(r"(?m)^ +(args|M|JWT): .*$", "", text)), "the text")
    h.check(len(PART.findall(everything)) > 500, "--no-redact: %d" % len(PART.findall(everything)))
    # an expression of one's own: names by it; texts as ever
    h.check("user=<hidden>" in own and "'postgres://ann:<hidden>@db:5432/shop'" in own and "password='" in own, "with --redact-names")


cases = []
for py in h.interpreters() if h.FULL else h.interpreters(one_per_minor=True):
    if h.FULL or py.version[:2] in ((2, 7), (3, 13)):
        cases.append(("secrets %s" % py, secrets, py))

if __name__ == "__main__":
    h.main(cases)

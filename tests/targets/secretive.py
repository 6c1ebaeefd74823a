"""secretive.py FILE: secrets in every kind of value, each with Zq7 in it, and texts that only look like it; what repr() says of the latter, as JSON in
FILE. Also runs with 2.7."""
import collections
import functools
import json
import os
import sys

M = "Zq7Zq7Zq7aZq7Zq7"
NAMES = ["password", "db_password", "API_KEY", "api-key", "secret_access_key", "auth_token", "client_secret", "passphrase", "private_key", "credentials", "authorization"]


class Settings(object):
    def __init__(self):
        self.user, self.password, self.nested = "ann", M, {"deeper": [{"token": M, "list": [("secret", M), ["--password", M]]}]}


class Slots(object):
    __slots__ = ("secret_key", "plain")

    def __init__(self):
        self.secret_key, self.plain = M, 1


Login = collections.namedtuple("Login", "user password")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ" + M + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
TEXTS = ["postgres://ann:%s@db:5432/shop" % M, "amqp://:%s@host" % M, "Authorization: Bearer %s" % M, "GET / HTTP/1.1\r\nAuthorization: Basic %s\r\nCookie: a=%s\r\nHost: x\r\n\r\n" % (M, M), "password=%s" % M,
         "login?token=%s&page=1" % M, '{"password": "%s", "user": "ann"}' % M, "{'api_key': '%s'}" % M, "Server=x;Pwd=%s;Database=d" % M, JWT, "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n" % M,
         "X-Api-Key: %s" % M, "AWS_SECRET_ACCESS_KEY=%s" % M, "connect(user='ann', password='%s')" % M, "Bearer %s" % M, json.dumps(json.dumps({"token": M}))]
PLAIN = ["", "password", "The password: must be at least 8 characters", "max_tokens=4096", "author=Smith", "password=%s", "http://host:8080/a@2x.png", "bearer of bad news", "git@github.com:ann/x.git", "a: b, c=d", "PWD=/home/ann",
         "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----", "SELECT token FROM t WHERE a = 'b'", "eyJust a word", "it's 12:30:45", "x" * 100, u"\u20ac = \u20ac: 5", "keyboard=us; monkey: 1", "Enter password: "]


def hold(wait, password, *args, **kwargs):
    settings, slots, login = Settings(), Slots(), Login("ann", M)
    by_name = dict((name, M) for name in NAMES)
    by_bytes = dict((name.encode(), M.encode()) for name in NAMES)
    ordered, default = collections.OrderedDict(sorted(by_name.items())), collections.defaultdict(str, by_name)
    texts, raw, array = list(TEXTS), [t.encode() for t in TEXTS], [bytearray(t.encode()) for t in TEXTS]
    deep = {"a": [({"b": {"c": [Settings()]}},)]}
    headers = [(b"host", b"x"), (b"authorization", ("Bearer " + M).encode()), (b"x-api-key", M.encode())]
    argv = ["prog", "--user", "ann", "--password", M, "--token=" + M, "-v"]
    call = functools.partial(max, password=M)
    error = ValueError("cannot connect to postgres://ann:%s@db" % M)
    # wherever the text is cut, within the secret too
    cut = ["x" * n + " " + t for n in range(200, 258, 3) for t in TEXTS[:3] + TEXTS[9:11]]
    long_text = "x" * 4000 + " password=" + M + " " + "y" * 70000
    wait()


def main():
    with open(sys.argv[1], "w") as f:
        json.dump([repr(t) for t in PLAIN], f)

    def wait(*plain):
        print("ready %d" % os.getpid())
        sys.stdout.flush()
        sys.stdin.read()

    def ordinary(plain):
        hold(wait, M, M, **{"api_key": M, "user": "ann", "url": TEXTS[0]})
    ordinary(PLAIN)


main()

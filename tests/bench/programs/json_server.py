"""A JSON server: http.server's threads, one for each connection, until it is killed. Prints "ready PORT".
usage: json_server.py          its clients: json_clients.py PORT
"""
import datetime
import http.server
import json
import random
import re
import threading
import urllib.parse

dice = random.Random(1)
WORDS = re.findall(r"[a-z]+", (urllib.parse.__doc__ + http.server.__doc__ + random.__doc__).lower())
PRODUCTS = {n: {"id": n, "name": " ".join(dice.choices(WORDS, k=3)), "price": dice.randint(99, 99999), "tags": dice.choices(WORDS, k=4)}
            for n in range(300)}


class Orders:
    def __init__(self):
        self.lock, self.kept, self.next = threading.Lock(), {}, 1

    def add(self, order):
        with self.lock:
            self.kept[self.next % 500] = order = dict(order, id=self.next)
            self.next += 1
        return order

    def of(self, customer):
        with self.lock:
            return [o for o in self.kept.values() if o["customer"] == customer]


orders = Orders()


class Bad(Exception):
    pass


def check_order(order):
    if not isinstance(order, dict) or not re.fullmatch(r"[a-z]+-\d{1,4}", str(order.get("customer"))):
        raise Bad("no such customer")
    for line in order.get("lines", ()):
        if line.get("product") not in PRODUCTS or not 0 < line.get("count", 0) < 100:
            raise Bad("no such product: %r" % line.get("product"))
    return order


def price_order(order):
    lines = [dict(line, price=PRODUCTS[line["product"]]["price"] * line["count"]) for line in order["lines"]]
    total = sum(line["price"] for line in lines)
    off = 0.1 if total > 500000 else 0.05 if total > 100000 else 0
    return dict(order, lines=lines, total=round(total * (1 - off)), day=datetime.date(2024, 1, 1 + total % 28).isoformat())


def report(customer):
    days = {}
    for order in orders.of(customer):
        day = days.setdefault(order["day"], {"orders": 0, "total": 0, "products": set()})
        day["orders"] += 1
        day["total"] += order["total"]
        day["products"].update(line["product"] for line in order["lines"])
    return {"customer": customer, "days": [dict(v, day=k, products=sorted(v["products"])) for k, v in sorted(days.items())]}


def find_products(text, limit):
    pattern = re.compile(".*".join(re.escape(word) for word in text.split()), re.I)
    found = [p for p in PRODUCTS.values() if pattern.search(p["name"]) or any(pattern.match(tag) for tag in p["tags"])]
    return sorted(found, key=lambda p: (p["price"], p["name"]))[:limit]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, status, value, indent=None):
        body = json.dumps(value, indent=indent, sort_keys=True).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/products":
            self.answer(200, find_products(query.get("q", ""), int(query.get("limit", 20))))
        elif url.path == "/report":
            self.answer(200, report(query.get("customer", "")), indent=1)  # indent: json's encoder in Python
        else:
            self.answer(404, {"error": "nothing at " + url.path})

    def do_POST(self):
        try:
            order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(201, orders.add(price_order(check_order(order))))
        except (Bad, ValueError) as e:
            self.answer(400, {"error": str(e)})


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("ready", server.server_port, flush=True)
server.serve_forever()

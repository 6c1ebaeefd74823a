"""The load of json_server.py: connections that ask one thing after the other, and are made anew every now and then.
usage: json_clients.py PORT [CONNECTIONS]      Prints "ready"; ends when the server does.
"""
import http.client
import json
import random
import sys
import threading


def order(dice):
    if dice.random() < 0.05:
        return {"customer": "nobody", "lines": []}
    return {"customer": "%s-%d" % (dice.choice(["ada", "bob", "eve"]), dice.randrange(10)),
            "lines": [{"product": dice.randrange(305), "count": dice.randint(1, 9)} for _ in range(dice.randint(1, 12))]}


def ask(link, dice):
    what = dice.random()
    if what < 0.5:
        link.request("POST", "/orders", json.dumps(order(dice)), {"Content-Type": "application/json"})
    elif what < 0.75:
        link.request("GET", "/report?customer=%s-%d" % (dice.choice(["ada", "bob", "eve"]), dice.randrange(10)))
    elif what < 0.98:
        link.request("GET", "/products?q=%s&limit=%d" % (dice.choice("abcdeghilmnoprstu"), dice.randint(5, 60)))
    else:
        link.request("GET", "/nowhere")
    answer = link.getresponse()
    json.loads(answer.read())
    return answer.status


def work(port, seed):
    dice = random.Random(seed)
    while True:
        link = http.client.HTTPConnection("127.0.0.1", port)
        for _ in range(dice.randint(50, 500)):
            ask(link, dice)
        link.close()


port, connections = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 4
if ask(http.client.HTTPConnection("127.0.0.1", port), random.Random(0)) not in (200, 201, 400, 404):
    sys.exit("json_clients.py: that is no JSON server")
print("ready", flush=True)
threads = [threading.Thread(target=work, args=(port, seed)) for seed in range(connections)]
threading.excepthook = lambda hook: None  # the server ended
for t in threads:
    t.start()
for t in threads:
    t.join()

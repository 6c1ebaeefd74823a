"""usage: phase_accounts.py DEPTH SETTLE SECONDS

One phase after the other, each with an account of its own: what the clocks of the program said of it. Prints them at the
end as JSON: {function: [wall seconds, seconds on a CPU]}, and what `small` and `large` used of a CPU below `deep`.
"""
import json, sys, threading, time

def small(n):
    x = 0
    for i in range(3 * n):
        x += i

def large(n):
    x = 0
    for i in range(7 * n):
        x += i

def mix(until, spent):
    while time.monotonic() < until:
        a = time.thread_time()
        small(150)
        b = time.thread_time()
        large(150)
        spent[0] += b - a
        spent[1] += time.thread_time() - b

def produce(until, spent):  # a generator: its frame does not lie on the data stack
    mix(until, spent)
    yield

def deep(n, until, spent):
    if n > 1:
        return deep(n - 1, until, spent)
    for _ in produce(until, spent):
        pass

def late(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        small(100)

def pause(seconds):
    time.sleep(seconds)

def doze(until):
    while time.monotonic() < until:
        time.sleep(0.02)

def wait(event):
    event.wait()

truth = {}

def account(f, *args):
    wall, cpu = time.monotonic(), time.thread_time()
    f(*args)
    truth[f.__name__] = time.monotonic() - wall, time.thread_time() - cpu

def main(depth, settle, seconds):
    begin = time.monotonic()
    event = threading.Event()
    pause(settle)  # the recorder finds us
    threads = [threading.Thread(target=account, args=(wait, event)),
               threading.Thread(target=account, args=(doze, begin + settle + seconds))]
    for t in threads:
        t.start()
    spent = [0, 0]
    account(deep, depth, begin + settle + seconds / 2, spent)
    worker = threading.Thread(target=account, args=(late, seconds / 4))
    worker.start()
    account(pause, max(0, begin + settle + seconds - time.monotonic()))
    event.set()
    for t in threads + [worker]:
        t.join()
    truth["small"], truth["large"] = spent
    print(json.dumps(truth))

main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))

import sys
import threading
import time


def leaf(n):
    s = 0
    for i in range(n):
        s += i * i
    return s


class Worker:
    def run(self, until):
        while time.time() < until:
            self.inner()

    def inner(self):
        leaf(2000)


def other(until):
    while time.time() < until:
        leaf(500)


def main():
    until = time.time() + float(sys.argv[1])
    t = threading.Thread(target=Worker().run, args=(until,), name="busy-bee")
    t.start()
    other(until)
    t.join()


main()

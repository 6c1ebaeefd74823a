"""Generators inside of generators, put together by chance, so that their stacks are new for ever; until it is killed.
Prints "ready".
"""
import random

dice = random.Random(4)


def numbers(n):
    yield from range(n)


def squares(source):
    for x in source:
        yield x * x % 997


def odd(source):
    for x in source:
        if x & 1:
            yield x


def pairs(source):
    for x in source:
        yield x
        yield x + 1


def runs(source):
    last = 0
    for x in source:
        last += x
        yield last


def passed_on(source):
    yield from source


def skipping(source):
    for i, x in enumerate(source):
        if i % 3:
            yield x


def zipped(source):
    for a, b in zip(source, expression_of(numbers(50))):
        yield a ^ b


def expression_of(source):
    return (3 * x + 1 for x in source if x % 5)


def buffered(source):
    some = []
    for x in source:
        some.append(x)
        if len(some) == 4:
            yield from reversed(some)
            some.clear()


def tree(source, depth=0):
    for x in source:
        if x % 4 == 0 and depth < 6:
            yield from tree(numbers(x % 7), depth + 1)
        yield x


def echo(source):
    """one that is sent to"""
    got = 0
    for x in source:
        got = (yield x + (got or 0)) or 0


STEPS = [squares, odd, pairs, runs, passed_on, skipping, zipped, expression_of, buffered, tree, echo]


def pipeline():
    source = numbers(dice.randint(20, 200))
    for _ in range(dice.randint(4, 14)):
        source = dice.choice(STEPS)(source)
    return source


def drain(source, limit):
    total = 0
    for i, x in enumerate(source):
        total += x
        if i == limit:
            break
    source.close()
    return total


print("ready", flush=True)
while True:
    drain(pipeline(), 300)

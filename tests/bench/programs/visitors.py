"""Recursive visitors over trees that there were never before, so that their stacks are new for ever; until it is killed.
Prints "ready".
"""
import ast
import random

dice = random.Random(3)
BINARY, COMPARE = [ast.Add, ast.Sub, ast.Mult, ast.BitXor], [ast.Lt, ast.Eq, ast.In]


def name():
    return dice.choice("abcdefgh")


def expression(depth):
    kind = dice.randrange(9) if depth else 0
    inner = lambda: expression(depth - dice.randint(1, 3) if depth > 3 else 0)
    if kind < 2:
        return ast.Name(name(), ast.Load()) if dice.random() < 0.6 else ast.Constant(dice.randrange(1000))
    if kind == 2:
        return ast.Call(inner(), [inner() for _ in range(dice.randrange(3))], [ast.keyword(name(), inner())])
    if kind == 3:
        return ast.BinOp(inner(), dice.choice(BINARY)(), inner())
    if kind == 4:
        return ast.Compare(inner(), [dice.choice(COMPARE)()], [inner()])
    if kind == 5:
        return ast.List([inner() for _ in range(dice.randrange(4))], ast.Load())
    if kind == 6:
        return ast.Dict([inner(), None], [inner(), inner()])
    if kind == 7:
        return ast.IfExp(inner(), inner(), inner())
    return ast.ListComp(inner(), [ast.comprehension(ast.Name(name(), ast.Store()), inner(), [inner()], 0)])


def statement(depth):
    kind = dice.randrange(6) if depth else 0
    body = lambda: [statement(depth - 1) for _ in range(dice.randint(1, 2))]
    if kind < 2:
        return ast.Assign([ast.Name(name(), ast.Store())], expression(12), lineno=1)
    if kind == 2:
        return ast.If(expression(6), body(), body())
    if kind == 3:
        return ast.While(expression(6), body(), [])
    if kind == 4:
        return ast.Try(body(), [ast.ExceptHandler(expression(3), None, body())], [], [])
    return ast.FunctionDef(name(), ast.arguments([], [ast.arg(name())], None, [], [], None, []), body(), [], lineno=1)


class Count(ast.NodeVisitor):
    def __init__(self):
        self.n = {}

    def generic_visit(self, node):
        self.n[type(node)] = self.n.get(type(node), 0) + 1
        super().generic_visit(node)


class Rename(ast.NodeTransformer):
    def visit_Name(self, node):
        return ast.copy_location(ast.Name(node.id + "_", node.ctx), node)

    def visit_Call(self, node):
        node.args = [self.visit(a) for a in node.args]
        return self.generic_visit(node)


def depth(node):
    return 1 + max((depth(child) for child in ast.iter_child_nodes(node)), default=0)


print("ready", flush=True)
while True:
    tree = ast.Module([statement(6) for _ in range(6)], [])
    Count().visit(tree)
    depth(tree)
    ast.unparse(ast.fix_missing_locations(Rename().visit(tree)))

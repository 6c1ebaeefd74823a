"""A compiler written in Python, over the sources of the standard library: each is cut into tokens, parsed, its names
bound, constants folded, compiled, and its instructions read; until it is killed. Prints "ready".
"""
import ast
import dis
import glob
import io
import marshal
import operator
import os
import symtable
import sysconfig
import tokenize
import types

FOLD = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.BitOr: operator.or_}


class Names(ast.NodeVisitor):
    """who binds and who reads which name"""

    def __init__(self):
        self.scopes, self.bound, self.read = [], {}, {}

    def scope(self, node):
        self.scopes.append(node.name)
        self.generic_visit(node)
        self.scopes.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = scope

    def visit_Name(self, node):
        table = self.read if isinstance(node.ctx, ast.Load) else self.bound
        table.setdefault((".".join(self.scopes), node.id), []).append(node.lineno)

    def visit_arg(self, node):
        self.bound.setdefault((".".join(self.scopes), node.arg), []).append(node.lineno)
        if node.annotation:
            self.visit(node.annotation)


class Folder(ast.NodeTransformer):
    def visit_BinOp(self, node):
        self.generic_visit(node)
        both = (node.left, node.right)
        if type(node.op) in FOLD and all(isinstance(n, ast.Constant) and isinstance(n.value, (int, str)) for n in both):
            try:
                return ast.copy_location(ast.Constant(FOLD[type(node.op)](*(n.value for n in both))), node)
            except (TypeError, MemoryError, OverflowError):
                pass
        return node

    def visit_If(self, node):
        self.generic_visit(node)
        return node.body if isinstance(node.test, ast.Constant) and node.test.value else node


def tokens(text):
    return [(t.type, t.string) for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type != tokenize.COMMENT]


def cells(table):
    """variables that an inner function uses"""
    found = [s.get_name() for s in table.get_symbols() if s.is_free()]
    for child in table.get_children():
        found += cells(child)
    return found


def instructions(code):
    n = sum(1 for _ in dis.get_instructions(code))
    return n + sum(instructions(c) for c in code.co_consts if isinstance(c, types.CodeType))


def compile_one(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    tokens(text)
    tree = ast.parse(text, path)
    Names().visit(tree)
    cells(symtable.symtable(text, path, "exec"))
    tree = ast.fix_missing_locations(Folder().visit(tree))
    code = compile(tree, path, "exec", dont_inherit=True)
    return instructions(code), len(marshal.dumps(code))


library = sysconfig.get_path("stdlib")
paths = sorted(glob.glob(library + "/*.py") + glob.glob(library + "/*/*.py"))
paths = [p for p in paths if os.path.basename(os.path.dirname(p)) not in ("test", "lib2to3", "site-packages", "idlelib")]
if not paths:
    raise SystemExit("compiler.py: no sources in " + library)
print("ready", flush=True)
while True:
    for path in paths:
        compile_one(path)

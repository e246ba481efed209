"""From a kernel's source to a generator function with typed arithmetic.

Before::                                 After::

    s[t] += x[i] * 2                         _store(base=(b := s), index=(k := t),
                                                    value=_binary("+", b[k], _binary("*", ...)))
    for k in range(n):                       _t.enter(3)
        v = helper(k)                        for k in (yield from _t.call(1, range, n)):
        cuda.syncthreads()                       _t.step()
                                                 v = yield from _t.call(4, helper, k)
                                                 yield from _t.call(5, _t.cuda.syncthreads)
                                             _t.leave()

The numbers are positions in the program.  Together with the loops entered and their iterations they
say where a thread stands (see ``thread``).
"""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
import textwrap
from types import FunctionType
from typing import Any

from . import arithmetic

HELPERS = {
    "_binary": arithmetic.binary,
    "_unary": arithmetic.unary,
    "_compare": arithmetic.compare_chain,
    "_store": arithmetic.store,
}
NUMBERS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
BITS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift)
ONE = (ast.USub, ast.UAdd, ast.Invert)
TWO = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
SIGNS = ("+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>", "-", "+", "~")
SYMBOLS: dict[type[ast.AST], str] = dict(
    zip((*NUMBERS, *BITS, *ONE, *TWO), (*SIGNS, "<", "<=", ">", ">=", "==", "!="))
)


class Program:
    """A kernel and the device functions that it calls."""

    def __init__(self, kernel: Any) -> None:
        self.positions = itertools.count(1)
        self._made: dict[FunctionType, Any] = {}
        function = python_function(kernel)
        if function is None:
            raise TypeError(f"interpret: {kernel!r} given, expected a Python function")
        self.kernel = self.generator(function)

    def generator(self, function: FunctionType) -> Any:
        """The function as a generator that takes the thread before its own arguments."""
        if function not in self._made:
            lines, first = inspect.getsourcelines(function)
            tree = ast.parse(textwrap.dedent("".join(lines)))
            ast.increment_lineno(tree, first - 1)
            definition = tree.body[0]
            assert isinstance(definition, ast.FunctionDef)
            env = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
            Rewrite(self.positions, env, set(function.__code__.co_varnames)).function(definition)
            scope = {**env, **HELPERS}
            code = compile(ast.fix_missing_locations(tree), function.__code__.co_filename, "exec")
            exec(code, scope)
            made = scope[function.__name__]
            made.__defaults__ = function.__defaults__
            self._made[function] = made
        return self._made[function]


def python_function(obj: Any) -> FunctionType | None:
    """The function below ``cuda.jit``, or None."""
    for name in ("py_func", "fn", "_func"):
        inner = getattr(obj, name, None)
        if inspect.isfunction(inner):
            return inner
    return obj if inspect.isfunction(obj) else None


def cuda_path(obj: Any) -> str | None:
    """``""`` for the module ``numba.cuda``, ``"atomic.add"`` for a member, else None."""
    cuda = sys.modules.get("numba.cuda")
    if cuda is None or obj is None or isinstance(obj, (int, float, str, tuple)):
        return None
    if obj is cuda:
        return ""
    for place in ("", "atomic", "shared", "local", "const", "cg"):
        home = getattr(cuda, place, None) if place else cuda
        for name in dir(home):
            if not name.startswith("_") and getattr(home, name, None) is obj:
                known = place or inspect.getmodule(obj) is None
                module = str(getattr(obj, "__module__", type(obj).__module__))
                if known or "cuda" in module:
                    return f"{place}.{name}".strip(".")
    return None


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


class Rewrite(ast.NodeTransformer):
    """Rewrites one function in place."""

    def __init__(self, positions: Any, env: dict[str, Any], local: set[str]) -> None:
        self.positions, self.local, self.temporaries = positions, local, itertools.count()
        self.cuda = {}
        for name, obj in env.items():
            path = cuda_path(obj)
            if path is not None:
                self.cuda[name] = path

    def function(self, node: ast.FunctionDef) -> None:
        node.decorator_list, node.returns = [], None
        node.args.args.insert(0, ast.arg("_t"))
        node.args.defaults = []
        for parameter in node.args.args:
            parameter.annotation = None
        node.body = [s for old in node.body for s in self.statements(old)]
        node.body.append(ast.parse("if False: yield").body[0])

    def statements(self, node: ast.stmt) -> list[ast.stmt]:
        new = self.visit(node)
        return new if isinstance(new, list) else [new]

    def position(self) -> ast.expr:
        return ast.Constant(next(self.positions))

    def temporary(self) -> str:
        return f"_v{next(self.temporaries)}"

    # -- expressions -------------------------------------------------------------------------------
    def visit_Name(self, node: ast.Name) -> ast.expr:
        path = None if node.id in self.local else self.cuda.get(node.id)
        if path is None:
            return node
        return ast.parse(f"_t.cuda.{path}".rstrip("."), mode="eval").body

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return _call("_binary", ast.Constant(SYMBOLS[type(node.op)]), node.left, node.right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            return node
        return _call("_unary", ast.Constant(SYMBOLS[type(node.op)]), node.operand)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if any(type(op) not in SYMBOLS for op in node.ops):  # is, in
            return node
        symbols = [ast.Constant(SYMBOLS[type(op)]) for op in node.ops]
        ops = ast.Tuple(list(symbols), ast.Load())
        return _call("_compare", ops, node.left, *node.comparators)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        call = ast.Attribute(ast.Name("_t", ast.Load()), "call", ast.Load())
        args = [self.position(), node.func, *node.args]
        return ast.copy_location(ast.YieldFrom(ast.Call(call, args, node.keywords)), node)

    # -- assignments -------------------------------------------------------------------------------
    def visit_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        value = self.visit(node.value)
        out: list[ast.stmt] = []
        if len(node.targets) > 1:
            name = self.temporary()
            out.append(ast.Assign([ast.Name(name, ast.Store())], value))
            value = ast.Name(name, ast.Load())
        for target in node.targets:
            out += self.assign(target, value)
        return [ast.copy_location(s, node) for s in out]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> list[ast.stmt]:
        return self.visit_Assign(ast.copy_location(ast.Assign([node.target], node.value), node))  # type: ignore[arg-type]

    def assign(self, target: ast.expr, value: ast.expr) -> list[ast.stmt]:
        if isinstance(target, ast.Subscript):
            base, index = self.visit(target.value), self.visit(target.slice)
            return [ast.Expr(_call("_store", value, base, index))]
        if not isinstance(target, (ast.Tuple, ast.List)):
            return [ast.Assign([target], value)]
        names: list[ast.expr] = [ast.Name(self.temporary(), ast.Store()) for _ in target.elts]
        out: list[ast.stmt] = [ast.Assign([ast.Tuple(names, ast.Store())], value)]
        for name, part in zip(names, target.elts):
            out += self.assign(part, ast.Name(name.id, ast.Load()))  # type: ignore[attr-defined]
        return out

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        op, target = ast.Constant(SYMBOLS[type(node.op)]), node.target
        if isinstance(target, ast.Name):
            value = _call("_binary", op, ast.Name(target.id, ast.Load()), self.visit(node.value))
            return ast.copy_location(ast.Assign([target], value), node)
        assert isinstance(target, ast.Subscript)
        b, k = self.temporary(), self.temporary()
        base = ast.NamedExpr(ast.Name(b, ast.Store()), self.visit(target.value))
        index = ast.NamedExpr(ast.Name(k, ast.Store()), self.visit(target.slice))
        if isinstance(target.slice, ast.Slice):
            raise TypeError(f"line {node.lineno}: the interpreter does not update slices")
        old = ast.Subscript(ast.Name(b, ast.Load()), ast.Name(k, ast.Load()), ast.Load())
        value = _call("_binary", op, old, self.visit(node.value))
        parts = {"base": base, "index": index, "value": value}
        store = _call("_store")
        store.keywords = [ast.keyword(name, part) for name, part in parts.items()]
        return ast.copy_location(ast.Expr(store), node)

    # -- loops -------------------------------------------------------------------------------------
    def visit_For(self, node: ast.For) -> list[ast.stmt]:
        node.iter = self.visit(node.iter)
        enter = ast.parse(f"_t.enter({next(self.positions)})").body
        body = [s for old in node.body for s in self.statements(old)]
        node.body = [*ast.parse("_t.step()").body, *body]
        node.orelse = [s for old in node.orelse for s in self.statements(old)]
        return [*enter, node, *ast.parse("_t.leave()").body]

    def visit_While(self, node: ast.While) -> list[ast.stmt]:
        enter = ast.parse(f"_t.enter({next(self.positions)})").body
        step = ast.parse("_t.step()", mode="eval").body
        node.test = ast.BoolOp(ast.And(), [step, self.visit(node.test)])
        node.body = [s for old in node.body for s in self.statements(old)]
        node.orelse = [s for old in node.orelse for s in self.statements(old)]
        return [*enter, node, *ast.parse("_t.leave()").body]

"""Small helpers on Python's ``ast`` that every pass of the compiler uses.

The compiler works on the kernel's own syntax tree, because what comes out of it must be
readable again.  Naming rule: a name that ends in ``_`` belongs to the compiler (``tid_x_`` is
``threadIdx.x``, ``acc_`` is the storage of ``acc`` for all threads), and ``name__3`` is the third
variant of a user's name.  User names that would collide are renamed on entry.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from ..errors import UnsupportedKernelError

THREAD_INDICES = ("tid_x_", "tid_y_", "tid_z_")
BLOCK_VALUES = tuple(f"{kind}_{d}_" for kind in ("bid", "bdim", "gdim") for d in "xyz")
BARRIERS = frozenset({"sync_", "sync_warp_", "grid_sync_"})
SHUFFLES = frozenset({"shfl_idx_", "shfl_up_", "shfl_down_", "shfl_xor_"})
COLLECTIVES = SHUFFLES | {"warp_bits_", "warp_match_", "block_count_"}
EFFECTS = ("atomic_", "plain_", "effect_")
DECLARATIONS = ("shared_", "local_")
MODULES = ("np", "math", "cmath")
REDUCTIONS = frozenset(
    {f"np.{name}" for name in ("sum", "prod", "mean", "var", "std", "all", "any")}
    | {f"np.{name}" for name in ("argmin", "argmax", "nansum", "nanprod", "nanmean")}
    | {f"{name}_of_" for name in ("min", "max", "nanmin", "nanmax", "count_nonzero")}
)
"""Functions of NumPy that read a whole array; each thread does so for itself."""

VALUE_ATTRIBUTES = frozenset(
    {"shape", "size", "ndim", "strides", "itemsize", "nbytes", "dtype", "T", "real", "imag"}
)
"""Attributes of arrays and complex numbers; any other may be a field of a record."""


class Names:
    """Source of fresh variable names, one per kernel being compiled."""

    def __init__(self) -> None:
        self._count = 0

    def fresh(self, base: str) -> str:
        """A name that no other variable has: ``base__7``."""
        self._count += 1
        return f"{base.split('__')[0].rstrip('_') or 'v'}__{self._count}"


def load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def store(name: str) -> ast.Name:
    return ast.Name(name, ast.Store())


def const(value: object) -> ast.Constant:
    return ast.Constant(value)  # type: ignore[arg-type]


def call(function: str, *args: ast.expr) -> ast.Call:
    return ast.Call(load(function), list(args), [])


def negate(test: ast.expr) -> ast.expr:
    """``not test``, without a double negation."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return ast.UnaryOp(ast.Not(), test)


def conjunction(*tests: ast.expr) -> ast.expr:
    kept = [t for t in tests if not (isinstance(t, ast.Constant) and t.value is True)]
    if not kept:
        return const(True)
    return kept[0] if len(kept) == 1 else ast.BoolOp(ast.And(), kept)


def parse(text: str) -> ast.expr:
    """The expression written in ``text``; for templates made of compiler names only."""
    return ast.parse(text, mode="eval").body


def locate(node: ast.AST, like: ast.AST) -> ast.AST:
    """Give every node made by the compiler the file and line of the user's node ``like``."""
    line, file = getattr(like, "lineno", 1), getattr(like, "file", "")
    instruction = getattr(like, "instruction", 0)
    for n in ast.walk(node):
        if isinstance(n, (ast.stmt, ast.expr)) and not hasattr(n, "file"):
            n.lineno = n.end_lineno = line
            n.col_offset = n.end_col_offset = 0
            n.file, n.instruction = file, instruction  # type: ignore[union-attr]
    return node


def assign(name: str, value: ast.expr, like: ast.AST) -> ast.Assign:
    node = ast.Assign([store(name)], value)
    locate(node, like)
    return node


def if_(test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt], like: ast.AST) -> ast.If:
    node = ast.If(test, body or [ast.Pass()], orelse)
    locate(node, like)
    return node


def while_(test: ast.expr, body: list[ast.stmt], like: ast.AST) -> ast.While:
    node = ast.While(test, body or [ast.Pass()], [])
    locate(node, like)
    return node


def for_(target: str, iter_: ast.expr, body: list[ast.stmt], like: ast.AST) -> ast.For:
    node = ast.For(store(target), iter_, body or [ast.Pass()], [], None)
    locate(node, like)
    return node


def fail(node: ast.AST, construct: str, why: str) -> NoReturn:
    """Refuse a construct, naming the user's file and line."""
    file, line = getattr(node, "file", "<unknown>"), getattr(node, "lineno", 0)
    raise UnsupportedKernelError(file, line, construct, why)


def text_of(node: ast.AST, limit: int = 60) -> str:
    """The node as source text, for error messages."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def walk(nodes: ast.AST | Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node below a node or a list of statements."""
    for n in [nodes] if isinstance(nodes, ast.AST) else nodes:
        yield from ast.walk(n)


def reads(nodes: ast.AST | Iterable[ast.AST]) -> set[str]:
    return {n.id for n in walk(nodes) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def writes(nodes: ast.AST | Iterable[ast.AST]) -> set[str]:
    return {n.id for n in walk(nodes) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def function_name(node: ast.AST) -> str:
    """``np.float32`` for the call ``np.float32(x)``; an empty string for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    f = node.func
    if isinstance(f, ast.Name):
        return f.id
    if isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name):
        return f"{f.value.id}.{f.attr}"
    return ""


def is_sync(s: ast.AST) -> bool:
    """True for a statement at which threads wait for each other: a barrier or a collective."""
    if isinstance(s, ast.Expr):
        return function_name(s.value) in BARRIERS
    return isinstance(s, ast.Assign) and function_name(s.value) in COLLECTIVES


def has_effect(e: ast.AST) -> bool:
    """True when the expression calls a function that does more than give a value."""
    return any(function_name(n).startswith(EFFECTS) for n in ast.walk(e))


def has_sync(nodes: ast.AST | Iterable[ast.AST]) -> bool:
    return any(is_sync(n) for n in walk(nodes))


def has_load(e: ast.AST) -> bool:
    """True when the expression reads memory (``x.shape[0]`` does not)."""
    return any(
        is_field(n)
        or function_name(n) in REDUCTIONS
        or (isinstance(n, ast.Subscript) and not is_shape_item(n))
        for n in ast.walk(e)
    )


def is_field(n: ast.AST) -> bool:
    """True for ``r.x``, which may be a field of a record in memory, or a method."""
    if not isinstance(n, ast.Attribute) or n.attr in VALUE_ATTRIBUTES:
        return False
    return not (isinstance(n.value, ast.Name) and n.value.id in MODULES)


def is_shape_item(n: ast.AST) -> bool:
    return (
        isinstance(n, ast.Subscript)
        and isinstance(n.value, ast.Attribute)
        and n.value.attr in ("shape", "strides")
    )


def blocks(s: ast.stmt) -> list[list[ast.stmt]]:
    """The statement lists of a compound statement."""
    if isinstance(s, ast.If):
        return [s.body, s.orelse]
    if isinstance(s, (ast.For, ast.While)):
        return [s.body]
    return []


def literal(e: ast.expr) -> object | None:
    """The value of a number written as a literal (``-1`` too), else None."""
    if isinstance(e, ast.Constant) and isinstance(e.value, (int, float)):
        return e.value
    if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub):
        value = literal(e.operand)
        return -value if isinstance(value, (int, float)) else None
    return None


def rename(nodes: ast.AST | Iterable[ast.AST], mapping: dict[str, str]) -> None:
    """Rename variables in place."""
    for n in walk(nodes):
        if isinstance(n, ast.Name) and n.id in mapping:
            n.id = mapping[n.id]


def clone(node: Any) -> Any:
    """A deep copy of a node or a list of nodes (file and line come along)."""
    return copy.deepcopy(node)


def index_list(n: ast.Subscript) -> list[ast.expr]:
    return list(n.slice.elts) if isinstance(n.slice, ast.Tuple) else [n.slice]


def range_bounds(s: ast.For) -> tuple[ast.expr, ast.expr, ast.expr]:
    """(start, stop, step) of ``for ... in range(...)``."""
    a = s.iter.args  # type: ignore[attr-defined]
    if len(a) == 1:
        return const(0), a[0], const(1)
    return a[0], a[1], a[2] if len(a) > 2 else const(1)

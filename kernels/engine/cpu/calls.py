"""What a call in a kernel becomes: one handler per function of ``numba.cuda``.

A handler receives the canonicalised arguments and returns the expression that stands for the call
in the canonical tree::

    cuda.grid(1)                    ->       bid_x_ * bdim_x_ + tid_x_
    cuda.shfl_down_sync(m, v, 16)   ->       shfl_down_(m, v, 16)

Families of functions keep their handlers in files of their own; this one merges them.
"""

from __future__ import annotations

import ast
import builtins
import cmath
import functools
import inspect
import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import names as table
from .calls_atomics import ATOMIC_HANDLERS
from .calls_collective import COLLECTIVE_HANDLERS
from .calls_scalar import SCALAR_HANDLERS
from .calls_vectors import VECTOR_HANDLERS
from .debug import print_call
from .dtypes import type_text
from .folding import call_np
from .rt_angles import ANGLES
from .rt_cmath import CUDA_MATH
from .rt_math import MATH
from .tree import REDUCTIONS, call, const, fail, load, parse, reads, text_of

if TYPE_CHECKING:
    from .canonical import Canonical

Handler = Callable[["Canonical", ast.Call, list[ast.expr], dict[str, ast.expr]], ast.expr]


def grid(canonical: Canonical, node: ast.Call) -> ast.expr:
    """``cuda.grid(n)`` and ``cuda.gridsize(n)``."""
    first = canonical.resolve(node.func)
    position = table.cuda_name(first) == "grid"
    form = "bid_{0}_ * bdim_{0}_ + tid_{0}_" if position else "bdim_{0}_ * gdim_{0}_"
    n = canonical.constant(node.args[0], "the number of dimensions") if node.args else None
    if n not in (1, 2, 3):
        fail(node, text_of(node), "the number of dimensions must be 1, 2 or 3")
    parts = [form.format(d) for d in "xyz"[:n]]
    return parse(parts[0] if n == 1 else f"({', '.join(parts)})")


def declaration(canonical: Canonical, node: ast.Call) -> ast.expr:
    """``cuda.shared.array(shape, dtype)`` and ``cuda.local.array(shape, dtype)``."""
    shared = table.cuda_name(canonical.resolve(node.func)) == "shared.array"
    given = dict(zip(("shape", "dtype"), node.args)) | {k.arg: k.value for k in node.keywords}
    if "shape" not in given or "dtype" not in given:
        fail(node, text_of(node), "an array needs a shape and a dtype")
    frozen_shape(given["shape"])
    shape = canonical.constant(given["shape"], "the shape of an array")
    shape = (shape,) if isinstance(shape, (int, np.integer)) else shape
    if not isinstance(shape, tuple) or not all(isinstance(n, (int, np.integer)) for n in shape):
        fail(node, text_of(node), "the shape must be an int or a tuple of ints")
    dynamic = shared and shape == (0,)
    if any(n <= 0 for n in shape) and not dynamic:
        fail(node, text_of(node), "every dimension must be positive")
    dtype = type_text(canonical.constant(given["dtype"], "the dtype of an array"))
    if dtype is None:
        fail(node, text_of(node), "the dtype must be a number type, bool or a structured dtype")
    sizes = ast.Tuple([const(int(n)) for n in shape], ast.Load())
    return call("shared_" if shared else "local_", sizes, const(dtype))


def frozen_shape(shape: ast.expr) -> None:
    """Refuse what numba-cuda refuses: ``(T, T + 1)`` of a global T is no constant to it."""
    for part in shape.elts if isinstance(shape, ast.Tuple) else [shape]:
        if any(isinstance(n, (ast.BinOp, ast.Call)) for n in ast.walk(part)) and reads(part):
            fail(
                part,
                text_of(part),
                "numba-cuda takes numbers and the names of global numbers as a shape; give the "
                "result of this expression a name outside the kernel",
            )


def array_like(
    canonical: Canonical, node: ast.Call, args: list[ast.expr], keywords: dict[str, ast.expr]
) -> ast.expr:
    """``cuda.const.array_like(GLOBAL)``: global arrays are constant anyway."""
    hidden = canonical.unit.arrays
    if keywords or len(args) != 1 or not isinstance(args[0], ast.Name) or args[0].id not in hidden:
        fail(node, text_of(node), "const.array_like takes a global array")
    return args[0]


OPERATORS: dict[Any, Any] = {
    operator.add: ast.Add,
    operator.sub: ast.Sub,
    operator.mul: ast.Mult,
    operator.truediv: ast.Div,
    operator.mod: ast.Mod,
    operator.pow: ast.Pow,
    operator.floordiv: ast.FloorDiv,
    operator.lshift: ast.LShift,
    operator.rshift: ast.RShift,
    operator.and_: ast.BitAnd,
    operator.or_: ast.BitOr,
    operator.xor: ast.BitXor,
    operator.eq: ast.Eq,
    operator.ne: ast.NotEq,
    operator.lt: ast.Lt,
    operator.le: ast.LtE,
    operator.gt: ast.Gt,
    operator.ge: ast.GtE,
}
"""Functions of the module ``operator``, which kernels take as closure variables."""


def library_call(node: ast.Call, obj: Any, args: list[ast.expr]) -> ast.expr:
    """A call of a builtin, a scalar type, or a function of ``math`` or NumPy."""
    scalar = table.scalar_type_name(obj)
    if scalar:
        return call_np({"boolean": "bool_"}.get(scalar, scalar), *args)
    name = getattr(obj, "__name__", "")
    if obj is ord and len(args) == 1 and isinstance(args[0], ast.Constant):
        return const(ord(args[0].value))
    if inspect.isbuiltin(obj) and obj in OPERATORS and len(args) == 2:
        op = OPERATORS[obj]()
        if isinstance(op, ast.operator):
            return ast.BinOp(args[0], op, args[1])
        return ast.Compare(args[0], [op], [args[1]])
    if obj is tuple and len(args) == 1 and isinstance(args[0], ast.Tuple):
        return args[0]
    if obj is print:
        return print_call(node, args)
    if getattr(builtins, name, None) is obj and name in table.BUILTINS:
        if name in ("min", "max") and len(args) > 1:
            return functools.reduce(lambda a, b: call(f"{name}_", a, b), args)
        return call("round_to_" if name == "round" and len(args) == 2 else name, *args)
    if name in {**ANGLES, **CUDA_MATH, **MATH} and getattr(math, name) is obj:
        return call(name + "_", *args)
    if not table.is_library(obj):
        fail(node, text_of(node.func), "this function is not translated to the CPU")
    if isinstance(obj, np.ufunc) and len(args) > obj.nin:
        fail(node, text_of(node), "a ufunc with an output array is not translated; use its value")
    if f"{name}_of_" in REDUCTIONS:
        return call(f"{name}_of_", *args)
    modules = [m.__name__ for m in (math, cmath) if getattr(m, name, None) is obj]
    module = modules[0] if modules else "np"
    return ast.Call(ast.Attribute(load(module), name, ast.Load()), args, [])


UNEVALUATED: dict[str | None, Callable[[Canonical, ast.Call], ast.expr]] = {
    "grid": grid,
    "gridsize": grid,
    "shared.array": declaration,
    "local.array": declaration,
}

HANDLERS: dict[str, Handler] = {
    **ATOMIC_HANDLERS,
    "const.array_like": array_like,
    **COLLECTIVE_HANDLERS,
    **SCALAR_HANDLERS,
    **VECTOR_HANDLERS,
}

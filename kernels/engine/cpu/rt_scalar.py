"""How a scalar function of CUDA becomes a Numba intrinsic.

``scalar_function("int32(float64)", ...)`` makes a function with the given concrete signatures: the
arguments are converted to the best match by Numba's rules of overload resolution, which are those
of numba-cuda for the same list.  ``generate(Scalar, *values)`` writes the machine code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core.sigutils import normalize_signature
from numba.extending import intrinsic

F32, F64 = ir.FloatType(), ir.DoubleType()
I1, I8, I16, I32, I64 = (ir.IntType(n) for n in (1, 8, 16, 32, 64))
LETTERS = {str(F32): "f", str(F64): ""}


class Scalar:
    """Writes code for one call: ``bld`` is the builder, ``sig`` the signature chosen."""

    def __init__(self, ctx: Any, bld: Any, sig: Any) -> None:
        self.ctx, self.bld, self.sig = ctx, bld, sig

    def llvm(self, name: str, *args: Any) -> Any:
        """An LLVM intrinsic whose arguments and result have one type."""
        kind = args[0].type
        f = self.bld.module.declare_intrinsic(
            name, [kind], ir.FunctionType(kind, [kind] * len(args))
        )
        return self.bld.call(f, args)

    def library(self, name: str, result: Any, *args: Any) -> Any:
        """A function of the C library."""
        kind = ir.FunctionType(result, [a.type for a in args])
        f = self.bld.module.globals.get(name)
        if f is None:
            f = ir.Function(self.bld.module, kind, name)
            f.attributes.add("nounwind")
        return self.bld.call(f, args)

    def real(self, name: str, *args: Any) -> Any:
        """The C function for the type of the first argument: ``sin`` or ``sinf``."""
        return self.library(name + LETTERS[str(args[0].type)], args[0].type, *args)

    def python(self, function: Callable[..., Any], text: str, *args: Any) -> Any:
        """A function written in Python."""
        return self.ctx.compile_internal(self.bld, function, signature(text), args)

    def through_float64(self, generate: Callable[..., Any], *args: Any) -> Any:
        """Compute in float64 and round once to the type of the first argument."""
        kind = args[0].type
        wide = [self.bld.fpext(a, F64) if a.type == F32 else a for a in args]
        value = generate(self, *wide)
        return value if kind == F64 else self.bld.fptrunc(value, F32)

    def integer(self, value: Any, kind: Any) -> Any:
        """A float, already whole, as a signed integer; what does not fit becomes the limit."""
        return self._saturated("llvm.fptosi.sat", value, kind)

    def unsigned(self, value: Any, kind: Any) -> Any:
        return self._saturated("llvm.fptoui.sat", value, kind)

    def _saturated(self, name: str, value: Any, kind: Any) -> Any:
        f = self.bld.module.declare_intrinsic(
            name, [kind, value.type], ir.FunctionType(kind, [value.type])
        )
        return self.bld.call(f, [value])


def scalar_function(cases: str | list[str], generate: Callable[..., Any]) -> Any:
    """A pure function with the signatures ``cases``, which all take equally many arguments."""
    texts = (cases,) if isinstance(cases, str) else tuple(cases)
    key = object()

    def typed(tyctx: Any, *args: Any) -> Any:
        chosen = tyctx.resolve_overload(key, [signature(t) for t in texts], args, {})
        return None if chosen is None else (chosen, codegen)

    def codegen(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
        return generate(Scalar(ctx, bld, sig), *args)

    parameters = texts[0].rpartition("(")[2].count(",") + 1
    return intrinsic(_ARITY[parameters](typed))


@functools.cache
def signature(text: str) -> Any:
    """Numba's signature of ``"float32(float32, int32)"``."""
    args, result = normalize_signature(text)
    return result(*args)


def _one(typed: Callable[..., Any]) -> Callable[..., Any]:
    def function(tyctx, a):
        return typed(tyctx, a)

    return function


def _two(typed: Callable[..., Any]) -> Callable[..., Any]:
    def function(tyctx, a, b):
        return typed(tyctx, a, b)

    return function


def _three(typed: Callable[..., Any]) -> Callable[..., Any]:
    def function(tyctx, a, b, c):
        return typed(tyctx, a, b, c)

    return function


_ARITY = {1: _one, 2: _two, 3: _three}


def pair(bld: Any, first: Any, second: Any) -> Any:
    """Two values as Numba's tuple of them."""
    kind = (
        ir.ArrayType(first.type, 2)
        if first.type == second.type
        else ir.LiteralStructType([first.type, second.type])
    )
    out = bld.insert_value(ir.Constant(kind, ir.Undefined), first, 0)
    return bld.insert_value(out, second, 1)

"""``atan`` and ``atan2`` of float32 that LLVM can vectorise.

Both divide the smaller of two magnitudes by the larger and turn the angle of this quotient, which
is at most pi/4, into the octant asked for.  Errors are in ``tests/test_cpu_math.py``.
"""

from __future__ import annotations

import math
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from .rt_math import I32, Emit, float32_function

HALF_PI = (1.57079637050628662, -4.37113900018624283e-8)
PI = (3.14159274101257324, -8.74227800037248566e-8)
"""Each is the nearest float32 and what is left."""


def _first_octant(e: Emit, q: Any) -> Any:
    """atan(q) for q from 0 to 1: q + q*s*P(s), s = q*q, with a minimax polynomial P."""
    s = e.mul(q, q)
    p = e.horner(
        s,
        -1.7936218064e-3,
        1.0914606042e-2,
        -3.1177846715e-2,
        5.7957593352e-2,
        -8.4034502506e-2,
        1.0952185841e-1,
        -1.4264242351e-1,
        1.9998548925e-1,
        -3.3333298564e-1,
    )
    return e.add(e.mul(e.mul(p, s), q), q)


def _minus(e: Emit, angle: tuple[float, float], r: Any) -> Any:
    return e.sub(e.number(angle[0]), e.sub(r, e.number(angle[1])))


def emit_atan(e: Emit, x: Any) -> Any:
    """atan(x) = pi/2 - atan(1/x) for x > 1, with the sign of x; atan(inf) is pi/2 - atan(0)."""
    a, one = e.intrinsic("llvm.fabs", x), e.number(1.0)
    steep = e.less(one, a)
    r = _first_octant(e, e.select(steep, e.bld.fdiv(one, a), a))
    r = e.select(steep, _minus(e, HALF_PI, r), r)
    return e.intrinsic("llvm.copysign", r, x)


def emit_atan2(e: Emit, y: Any, x: Any) -> Any:
    """The angle of the point (x, y); zeros keep their signs, as C99 has it."""
    ax, ay = e.intrinsic("llvm.fabs", x), e.intrinsic("llvm.fabs", y)
    steep = e.less(ax, ay)
    low, high = e.select(steep, ax, ay), e.select(steep, ay, ax)
    q = e.bld.fdiv(low, high)
    infinite = e.bld.fcmp_ordered("==", low, e.number(float("inf")))
    q = e.select(infinite, e.number(1.0), q)
    q = e.select(e.bld.fcmp_ordered("==", high, e.number(0.0)), e.number(0.0), q)
    r = _first_octant(e, q)
    r = e.select(steep, _minus(e, HALF_PI, r), r)
    left = e.bld.icmp_signed("<", e.bld.bitcast(x, I32), I32(0))
    r = e.intrinsic("llvm.copysign", e.select(left, _minus(e, PI, r), r), y)
    return e.select(e.bld.fcmp_unordered("uno", x, y), e.add(x, y), r)


@intrinsic
def atan2(tyctx, y, x):
    signature = tyctx.resolve_function_type(math.atan2, (y, x), {})
    if signature is None:
        return None

    def codegen(ctx, bld, sig, args):
        if set(sig.args) == {types.float32}:
            return emit_atan2(Emit(bld), *args)
        wide = [ctx.cast(bld, *v) for v in zip(args, sig.args, signature.args)]
        return ctx.get_function(math.atan2, signature)(bld, wide)

    return signature.return_type(y, x), codegen


ANGLES = {"atan": float32_function("atan", emit_atan), "atan2": atan2}

FUNCTIONS: dict[str, Any] = {f"{name}_": function for name, function in ANGLES.items()}

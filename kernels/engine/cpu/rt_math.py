"""Elementary functions of float32 that LLVM can vectorise, and CUDA's min and max.

Numba's ``math.exp`` calls the C library once per element, which keeps a loop from vectorising.
Here the function is written out as arithmetic.  Errors measured over all float32 values are in
``tests/test_cpu_math.py``.  Any other argument type takes the usual path.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .rt_half import in_float32

F32, I32 = ir.FloatType(), ir.IntType(32)


class Emit:
    """Float32 arithmetic in LLVM IR; multiplications and additions may fuse."""

    def __init__(self, bld: Any) -> None:
        self.bld = bld

    @staticmethod
    def number(value: float) -> Any:
        return ir.Constant(F32, value)

    def mul(self, a: Any, b: Any) -> Any:
        return self.bld.fmul(a, b, flags=("contract",))

    def add(self, a: Any, b: Any) -> Any:
        return self.bld.fadd(a, b, flags=("contract",))

    def sub(self, a: Any, b: Any) -> Any:
        return self.bld.fsub(a, b, flags=("contract",))

    def horner(self, x: Any, *coefficients: float) -> Any:
        """The polynomial with the highest coefficient first."""
        p = self.number(coefficients[0])
        for c in coefficients[1:]:
            p = self.add(self.mul(p, x), self.number(c))
        return p

    def intrinsic(self, name: str, *args: Any) -> Any:
        kind = args[0].type
        f = self.bld.module.declare_intrinsic(
            name, [kind], ir.FunctionType(kind, [kind] * len(args))
        )
        return self.bld.call(f, args)

    def less(self, a: Any, b: Any) -> Any:
        return self.bld.fcmp_ordered("<", a, b)

    def select(self, test: Any, a: Any, b: Any) -> Any:
        return self.bld.select(test, a, b)

    def is_nan(self, x: Any) -> Any:
        return self.bld.fcmp_unordered("uno", x, x)


ROUND = 12583166.0
"""1.5 * 2**23 + 254: a number that is added to this one is rounded, and so are its bits."""


def emit_exp(e: Emit, x: Any) -> Any:
    """exp(x) = 2**n * exp(r), |r| <= log(2)/2; ln 2 is subtracted in two parts (Cody, Waite).

    The sum with ``ROUND`` holds n + 254 in its low bits. 2**n is the product of two powers whose
    biased exponents are the halves of that number, for 2**-150 and 2**128 are no float32 numbers.
    """
    low, high = e.number(-104.0), e.number(89.0)
    y = e.select(e.less(x, low), low, x)  # NaN stays
    y = e.select(e.less(high, y), high, y)
    t = e.add(e.mul(y, e.number(1.44269504088896341)), e.number(ROUND))
    n = e.sub(t, e.number(ROUND))
    r = e.sub(y, e.mul(n, e.number(0.693359375)))
    r = e.add(r, e.mul(n, e.number(2.12194440054690583e-4)))
    p = e.horner(
        r,
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
    p = e.add(e.add(e.mul(e.mul(p, r), r), r), e.number(1.0))
    bits, places = e.bld.bitcast(t, I32), I32(23)
    half = e.bld.lshr(bits, I32(1))
    for exponent in (half, e.bld.sub(bits, half)):
        p = e.mul(p, e.bld.bitcast(e.bld.shl(exponent, places), F32))
    return p


def emit_tanh(e: Emit, x: Any) -> Any:
    """An odd polynomial below 0.625, else 1 - 2 / (exp(2|x|) + 1) with the sign of x."""
    a = e.intrinsic("llvm.fabs", x)
    s = e.mul(x, x)
    p = e.horner(
        s,
        -5.70498872745e-3,
        2.06390887954e-2,
        -5.37397155531e-2,
        1.33314422036e-1,
        -3.33332819422e-1,
    )
    small = e.add(e.mul(e.mul(p, s), x), x)
    t = e.add(emit_exp(e, e.add(a, a)), e.number(1.0))
    big = e.sub(e.number(1.0), e.bld.fdiv(e.number(2.0), t))
    value = e.select(e.less(a, e.number(0.625)), small, big)
    return e.intrinsic("llvm.copysign", value, x)  # of small too: the sum loses the sign of -0


def _erf_near_zero(e: Emit, x: Any) -> Any:
    """erf(x) = x + x*P(x*x), for |x| below 0.9277."""
    p = e.horner(
        e.mul(x, x),
        -5.96761703e-4,
        4.99119423e-3,
        -2.67681349e-2,
        1.12819925e-1,
        -3.76125336e-1,
        1.28379166e-1,
    )
    return e.add(e.mul(p, x), x)


def emit_erf(e: Emit, x: Any) -> Any:
    """Two minimax polynomials: that near zero below 0.9277, 1 - exp(-Q(|x|)) above."""
    a = e.intrinsic("llvm.fabs", x)
    small = _erf_near_zero(e, x)
    q = e.horner(
        a,
        -1.72853470e-5,
        3.83197126e-4,
        -3.88396438e-3,
        2.42546219e-2,
        -1.06777877e-1,
        -6.34846687e-1,
        -1.28717512e-1,
    )
    q = e.sub(e.mul(q, a), a)
    big = e.intrinsic("llvm.copysign", e.sub(e.number(1.0), emit_exp(e, q)), x)
    value = e.select(e.less(a, e.number(0.927734375)), small, big)
    big = e.intrinsic("llvm.copysign", e.number(1.0), x)
    return e.select(e.less(e.number(4.0), a), big, e.select(e.is_nan(x), x, value))


def emit_erfc(e: Emit, x: Any) -> Any:
    """1 - erf(x) below 0.5, else exp(-x*x) * P(q) / (1 + 2|x|), q = (|x| - 3) / (|x| + 3).

    The form is that of Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2)
    erfc x", Mathematics of Computation 1981; the coefficients are a minimax fit for 0 to 12. What
    x*x loses by rounding is made good after the exponential, which magnifies it.
    """
    a = e.intrinsic("llvm.minnum", e.intrinsic("llvm.fabs", x), e.number(12.0))  # erfc(12) is 0
    three, one = e.number(3.0), e.number(1.0)
    p = e.horner(
        e.bld.fdiv(e.sub(a, three), e.add(a, three)),
        -2.509515041e-4,
        -7.351036618e-4,
        2.023895495e-3,
        2.54833528e-3,
        -2.38149613e-2,
        6.829735869e-2,
        -1.192674193e-1,
        1.296465537e-1,
        -4.756262657e-2,
        -1.356211492e-1,
        1.253008061,
    )
    square = e.bld.fmul(a, a)
    lost = e.intrinsic("llvm.fma", a, a, e.bld.fneg(square))
    power = emit_exp(e, e.bld.fneg(square))
    power = e.sub(power, e.mul(power, lost))
    tail = e.mul(e.bld.fdiv(p, e.add(e.mul(e.number(2.0), a), one)), power)
    tail = e.select(e.less(x, e.number(0.0)), e.sub(e.number(2.0), tail), tail)
    near = e.sub(one, _erf_near_zero(e, x))
    return e.select(e.is_nan(x), x, e.select(e.less(a, e.number(0.5)), near, tail))


def emit_log(e: Emit, x: Any) -> Any:
    """log(m * 2**k) = k*log(2) + log(m) with sqrt(1/2) <= m < sqrt(2)."""
    tiny = e.less(x, e.number(1.1754943508222875e-38))
    y = e.select(tiny, e.mul(x, e.number(8388608.0)), x)
    bits = e.bld.bitcast(y, I32)
    shifted = e.bld.add(bits, ir.Constant(I32, 0x3F800000 - 0x3F3504F3))
    k = e.bld.sub(e.bld.ashr(shifted, ir.Constant(I32, 23)), ir.Constant(I32, 127))
    k = e.bld.sub(k, e.select(tiny, ir.Constant(I32, 23), ir.Constant(I32, 0)))
    low = e.bld.and_(shifted, ir.Constant(I32, 0x007FFFFF))
    m = e.bld.bitcast(e.bld.add(low, ir.Constant(I32, 0x3F3504F3)), F32)
    f, n = e.sub(m, e.number(1.0)), e.bld.sitofp(k, F32)
    p = e.horner(
        f,
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    )
    s = e.mul(f, f)
    r = e.mul(e.mul(p, f), s)
    r = e.add(r, e.mul(n, e.number(-2.12194440054690583e-4)))
    r = e.sub(r, e.mul(s, e.number(0.5)))
    value = e.add(e.add(f, r), e.mul(n, e.number(0.693359375)))
    infinity, nan = e.number(float("inf")), e.number(float("nan"))
    value = e.select(e.bld.fcmp_ordered("==", x, infinity), x, value)
    value = e.select(e.bld.fcmp_ordered("==", x, e.number(0.0)), e.number(float("-inf")), value)
    return e.select(e.bld.fcmp_unordered("<", x, e.number(0.0)), nan, value)


def float32_function(name: str, emit: Callable[[Emit, Any], Any]) -> Any:
    function = getattr(math, name)

    @intrinsic
    def impl(tyctx, x):
        signature = tyctx.resolve_function_type(function, (x,), {})
        if signature is None:
            return None

        def codegen(ctx, bld, sig, args):
            if sig.args[0] == types.float32:
                return emit(Emit(bld), args[0])
            v = ctx.cast(bld, args[0], sig.args[0], signature.args[0])
            return ctx.get_function(function, signature)(bld, [v])

        return signature.return_type(x), codegen

    return impl


MATH = {
    "exp": float32_function("exp", emit_exp),
    "tanh": float32_function("tanh", emit_tanh),
    "erf": float32_function("erf", emit_erf),
    "erfc": float32_function("erfc", emit_erfc),
    "log": float32_function("log", emit_log),
}


def _extreme(name: str, builtin: Any, order: str) -> Any:
    """``max(a, b)`` as numba-cuda has it: of two floats, a NaN loses (``fmaxf``)."""

    @intrinsic
    def impl(tyctx, a, b):
        resolved = tyctx.resolve_function_type(builtin, (a, b), {})
        if resolved is None:
            return None
        result = resolved.return_type
        floats = isinstance(a, types.Float) and isinstance(b, types.Float)

        def codegen(ctx, bld, sig, args):
            x, y = (ctx.cast(bld, v, t, result) for v, t in zip(args, sig.args))
            if result == types.float16:
                return in_float32(ctx, bld, partial(Emit(bld).intrinsic, f"llvm.{name}num"), x, y)
            if floats:
                return Emit(bld).intrinsic(f"llvm.{name}num", x, y)
            if isinstance(result, types.Float):
                return bld.select(bld.fcmp_ordered(order, y, x), y, x)
            compare = bld.icmp_signed if getattr(result, "signed", False) else bld.icmp_unsigned
            return bld.select(compare(order, y, x), y, x)

        return result(a, b), codegen

    return impl


maximum = _extreme("max", max, ">")
minimum = _extreme("min", min, "<")


FUNCTIONS: dict[str, Any] = {
    "max_": maximum,
    "min_": minimum,
    **{f"{name}_": function for name, function in MATH.items()},
}

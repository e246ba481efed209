"""Gradients of ``+ - * /`` with broadcasting, and the specs of these four ops.

Broadcasting repeats an operand along an axis, so its gradient is the sum over that axis:
for ``z = x + y`` with x (m, n) and y (n,), ``dy[j] = sum over i of dz[i, j]``. The ops themselves
are maps of the family ``elementwise``; the sums are :func:`~nnlite.kernels.reduce.sum_to`.
"""

from __future__ import annotations

from typing import Any

from .elementwise import add, arithmetic, div, mul, neg, sub
from .elementwise.specs import wide_maps, wrong_pair
from .engine import Array
from .opspec import Arg, GpuKernel, OpSpec
from .reduce import sum_to

X, Y = Arg("x", "..."), Arg("y", "...")


def add_backward(dy: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Gradients of :func:`add`: ``dy`` summed to the shapes of x and y."""
    return _to(dy, x.shape), _to(dy, y.shape)


def sub_backward(dy: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Gradients of :func:`sub`: ``dy`` and ``-dy``, summed to the shapes of x and y."""
    return _to(dy, x.shape), neg(_to(dy, y.shape))


def mul_backward(dy: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Gradients of :func:`mul`: ``dy * y`` and ``dy * x``, summed to the shapes of x and y."""
    return _to(mul(dy, y), x.shape), _to(mul(dy, x), y.shape)


def div_backward(dy: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Gradients of :func:`div`: ``dy / y`` and ``-dy x / y²``, summed to the shapes of x and y."""
    dx = div(dy, y)
    return _to(dx, x.shape), _to(neg(mul(dx, div(x, y))), y.shape)


def _to(x: Array, shape: tuple[int, ...]) -> Array:
    return x if x.shape == shape else sum_to(x, shape)


def _spec(name: str, forward: Any, vjp: Any, reference: Any, y: Arg = Y) -> OpSpec:
    return OpSpec(
        name=name,
        forward=forward,
        reference=reference,
        args=(X, y),
        vjp=vjp,
        wrong=wrong_pair("x", "y"),
        kernels=getattr(arithmetic, name.upper()).signatures(),
        block=256,
    )


SPECS: tuple[OpSpec, ...] = (
    _spec("add", add, add_backward, lambda x, y: x + y),
    _spec("sub", sub, sub_backward, lambda x, y: x - y),
    _spec("mul", mul, mul_backward, lambda x, y: x * y),
    _spec("div", div, div_backward, lambda x, y: x / y, Arg("y", "...", low=0.25)),
)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels by 128-bit access; for operands that repeat they are with ``elementwise``."""
    return wide_maps(SPECS)

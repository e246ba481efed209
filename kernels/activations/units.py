"""Launchers of the further units and their gradients: ELU and its kin, softplus, Mish, ….

``<name>(x, …)`` returns a new array, ``<name>_backward(dy, x, …)`` the gradient for x, given the
gradient ``dy`` of the output, the *input* x and the options of the forward call. :data:`UNITS`
says for each which maps run it and what its options are called; at most two are scalars of the
kernel.

Shape: any, rank 8 at most, any strides; ``dy`` and x have one shape.
dtype: float32 or float64; ``dy`` and x have one dtype.
Errors: DtypeError, ShapeError and DeviceError where this does not hold, ArgumentError for options.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numba import float32, float64, types

from ..checks import FLOAT32, FLOAT64, require_float, require_number
from ..elementwise.arithmetic import like
from ..elementwise.mapping import Map
from ..elementwise.unary import require_pair
from ..engine import ArgumentError, Array
from . import units_functions as functions


@dataclass(frozen=True)
class Unit:
    """The maps of one unit, for each dtype.

    Args:
        value: map of x and the options.
        slope: map of dy, x and the options.
        options: the names of the options.
    """

    value: dict[Any, Map]
    slope: dict[Any, Map]
    options: tuple[str, ...] = ()

    def signatures(self, slope: bool) -> tuple[Any, ...]:
        """Kernels with argument types for the compile gate."""
        found = self.slope if slope else self.value
        real = {FLOAT32: types.float32, FLOAT64: types.float64}
        return tuple(s for dtype, m in found.items() for s in m.signatures(real[dtype]))


def _unit(name: str, *options: str, slope: str | None = None) -> Unit:
    backward = slope or f"{name}_backward"
    value = Map(name, getattr(functions, name), scalars=len(options))
    back = Map(backward, getattr(functions, backward), inputs=2, scalars=len(options))
    return Unit({FLOAT32: value, FLOAT64: value}, {FLOAT32: back, FLOAT64: back}, options)


def _selu() -> Unit:
    pairs = ((FLOAT32, float32), (FLOAT64, float64))
    return Unit(
        {dtype: Map("selu", functions.selu(real)) for dtype, real in pairs},
        {dtype: Map("selu_backward", functions.selu_backward(real), 2) for dtype, real in pairs},
    )


UNITS: dict[str, Unit] = {
    "elu": _unit("elu", "alpha"),
    "selu": _selu(),
    "celu": _unit("celu", "alpha"),
    "softplus": _unit("softplus", "beta", "threshold"),
    "logsigmoid": _unit("logsigmoid"),
    "mish": _unit("mish"),
    "softsign": _unit("softsign"),
    "tanhshrink": _unit("tanhshrink"),
    "hardtanh": _unit("hardtanh", "min_val", "max_val"),
    "hardsigmoid": _unit("hardsigmoid"),
    "hardswish": _unit("hardswish"),
    "softshrink": _unit("softshrink", "lambd", slope="shrink_backward"),
    "hardshrink": _unit("hardshrink", "lambd", slope="shrink_backward"),
    "threshold": _unit("threshold", "threshold", "value"),
}


def _value(name: str, x: Array, *options: float) -> Array:
    require_float(name, "x", x)
    _check(name, name, options)
    kind = x.dtype.type
    return like(name, UNITS[name].value[x.dtype], x, *map(kind, options))


def _slope(name: str, dy: Array, x: Array, *options: float) -> Array:
    op = f"{name}_backward"
    require_pair(op, dy, "x", x)
    _check(op, name, options)
    kind = x.dtype.type
    return like(op, UNITS[name].slope[x.dtype], dy, x, *map(kind, options))


# Unit -> (which option, what it must be, test of the options).
LIMITS: dict[str, tuple[int, str, Any]] = {
    "celu": (0, "a number above 0", lambda alpha: alpha > 0),
    "softplus": (0, "a number above 0", lambda beta, threshold: beta > 0),
    "hardtanh": (1, "a number not below min_val", lambda low, high: low <= high),
    "softshrink": (0, "a number not below 0", lambda width: width >= 0),
}


def _check(op: str, name: str, options: tuple[float, ...]) -> None:
    names = UNITS[name].options
    for option, given in zip(names, options):
        require_number(op, option, given)
    if name in LIMITS:
        which, expected, holds = LIMITS[name]
        if not holds(*options):
            raise ArgumentError(
                f"{op}: {names[which]}: {options[which]!r} given, expected {expected}"
            )


def elu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where x > 0, else ``alpha (exp(x) - 1)``.

    Source: Clevert, Unterthiner, Hochreiter, "Fast and Accurate Deep Network Learning by
    Exponential Linear Units", arXiv:1511.07289.
    """
    return _value("elu", x, alpha)


def elu_backward(dy: Array, x: Array, alpha: float = 1.0) -> Array:
    """Gradient of :func:`elu`: dy where x > 0, else ``dy alpha exp(x)``."""
    return _slope("elu", dy, x, alpha)


def selu(x: Array) -> Array:
    """``s x`` where x > 0, else ``s a (exp(x) - 1)``, with s = 1.0507… and a = 1.6732….

    Source: Klambauer, Unterthiner, Mayr, Hochreiter, "Self-Normalizing Neural Networks",
    arXiv:1706.02515.
    """
    return _value("selu", x)


def selu_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`selu`: ``s dy`` where x > 0, else ``s a exp(x) dy``."""
    return _slope("selu", dy, x)


def celu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where x > 0, else ``alpha (exp(x / alpha) - 1)``; alpha > 0.

    Source: Barron, "Continuously Differentiable Exponential Linear Units", arXiv:1704.07483.
    """
    return _value("celu", x, alpha)


def celu_backward(dy: Array, x: Array, alpha: float = 1.0) -> Array:
    """Gradient of :func:`celu`: dy where x > 0, else ``dy exp(x / alpha)``."""
    return _slope("celu", dy, x, alpha)


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """``log(1 + exp(beta x)) / beta``; x itself where ``beta x > threshold``; beta > 0."""
    return _value("softplus", x, beta, threshold)


def softplus_backward(dy: Array, x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """Gradient of :func:`softplus`: ``dy sigmoid(beta x)``; dy above the threshold."""
    return _slope("softplus", dy, x, beta, threshold)


def logsigmoid(x: Array) -> Array:
    """``log(1 / (1 + exp(-x)))``, without overflow for any x."""
    return _value("logsigmoid", x)


def logsigmoid_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`logsigmoid`: ``dy sigmoid(-x)``."""
    return _slope("logsigmoid", dy, x)


def mish(x: Array) -> Array:
    """``x tanh(log(1 + exp(x)))``; 0 at -inf, its limit.

    Source: Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", arXiv:1908.08681.
    """
    return _value("mish", x)


def mish_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`mish`: ``dy (t + x (1 - t²) sigmoid(x))`` with t = tanh(log(1 + e^x))."""
    return _slope("mish", dy, x)


def softsign(x: Array) -> Array:
    """``x / (1 + |x|)``; NaN for infinite x, as in PyTorch."""
    return _value("softsign", x)


def softsign_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`softsign`: ``dy / (1 + |x|)²``."""
    return _slope("softsign", dy, x)


def tanhshrink(x: Array) -> Array:
    """``x - tanh(x)``, precise for small x too."""
    return _value("tanhshrink", x)


def tanhshrink_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`tanhshrink`: ``dy tanh(x)²``."""
    return _slope("tanhshrink", dy, x)


def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """``x`` held between ``min_val`` and ``max_val``; ReLU6 with 0 and 6."""
    return _value("hardtanh", x, min_val, max_val)


def hardtanh_backward(dy: Array, x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """Gradient of :func:`hardtanh`: dy strictly between the bounds, else 0."""
    return _slope("hardtanh", dy, x, min_val, max_val)


def hardsigmoid(x: Array) -> Array:
    """``(x + 3) / 6`` held between 0 and 1."""
    return _value("hardsigmoid", x)


def hardsigmoid_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`hardsigmoid`: ``dy / 6`` where |x| < 3, else 0."""
    return _slope("hardsigmoid", dy, x)


def hardswish(x: Array) -> Array:
    """``x`` times :func:`hardsigmoid` of x; 0 at -inf, its limit.

    Source: Howard et al., "Searching for MobileNetV3", arXiv:1905.02244.
    """
    return _value("hardswish", x)


def hardswish_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`hardswish`: 0, ``dy (2 x + 3) / 6`` or dy, left, inside, right of ±3."""
    return _slope("hardswish", dy, x)


def softshrink(x: Array, lambd: float = 0.5) -> Array:
    """``x`` moved towards 0 by ``lambd`` >= 0; 0 where |x| <= lambd."""
    return _value("softshrink", x, lambd)


def softshrink_backward(dy: Array, x: Array, lambd: float = 0.5) -> Array:
    """Gradient of :func:`softshrink`: dy where |x| > lambd, else 0."""
    return _slope("softshrink", dy, x, lambd)


def hardshrink(x: Array, lambd: float = 0.5) -> Array:
    """``x``; 0 where |x| <= lambd."""
    return _value("hardshrink", x, lambd)


def hardshrink_backward(dy: Array, x: Array, lambd: float = 0.5) -> Array:
    """Gradient of :func:`hardshrink`: dy where |x| > lambd, else 0."""
    return _slope("hardshrink", dy, x, lambd)


def threshold(x: Array, threshold: float, value: float) -> Array:
    """``x`` where x > threshold, else ``value``."""
    return _value("threshold", x, threshold, value)


def threshold_backward(dy: Array, x: Array, threshold: float, value: float) -> Array:
    """Gradient of :func:`threshold`: dy where x > threshold, else 0."""
    return _slope("threshold", dy, x, threshold, value)

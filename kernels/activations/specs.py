"""``SPECS`` of the activations and, as ops of their own, of their gradients.

Bounds in ulp that are not the 4 of DESIGN.md, with their reason (u is half an ulp of 1):

* ``tanh_backward`` and ``gelu_backward``: five to seven roundings in a row, 8 ulp.
* ``gelu``: Phi at -4 magnifies the rounding of its argument by about ``x² = 16``; with two
  roundings of the argument that is 32 u. With ``approximate="tanh"``, ``exp(2 u(x))`` magnifies
  the roundings of its argument by ``|2 u(-4)| = 11``; there are four. 48 ulp hold both.
* gradients of SiLU and GELU cancel near x = -1.28 and x = -0.75: the bound is measured at the
  size of the two terms (``magnitude``), not of their difference.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..elementwise.specs import FLOATS, wrong_pair, wrong_unary
from ..engine import ArgumentError
from ..opspec import Arg, OpSpec, Tolerance, Wrong
from . import launchers, reference

X = Arg("x", "...")
DY = Arg("dy", "...")
Y_SIGMOID = Arg("y", "...", low=0.0, high=1.0, bounded=True)
Y_TANH = Arg("y", "...", low=-1.0, high=1.0, bounded=True)


def _spec(name: str, arrays: tuple[Arg, ...], find: Any, mappings: Any, **more: Any) -> OpSpec:
    wrong = wrong_unary() if len(arrays) == 1 else wrong_pair("dy", arrays[1].name)
    return OpSpec(
        name=name,
        forward=getattr(launchers, name),
        reference=find,
        args=arrays,
        wrong=(*wrong, *more.pop("wrong", ())),
        kernels=tuple(s for m in mappings for s in m),
        block=256,
        **more,
    )


def _forward(name: str, find: Any, *mappings: Any, **more: Any) -> OpSpec:
    return _spec(name, (X,), find, mappings, vjp=getattr(launchers, f"{name}_backward"), **more)


def _backward(name: str, find: Any, *mappings: Any, of: Arg = X, **more: Any) -> OpSpec:
    return _spec(name, (DY, of), find, mappings, **more)


def _both(found: dict[str, dict[Any, Any]]) -> tuple[Any, ...]:
    """Signatures of maps made per option and dtype."""
    return tuple(
        m.signatures(np_to_numba(dtype)) for maps in found.values() for dtype, m in maps.items()
    )


def np_to_numba(dtype: np.dtype) -> Any:
    from numba.np.numpy_support import from_dtype

    return from_dtype(dtype)


def _wrong_option(arrays: int, name: str, value: Any) -> tuple[Wrong, ...]:
    args = (FLOATS,) * arrays
    return (Wrong(args, ArgumentError, f"{name}: {value!r} given, expected", {name: value}),)


SLOPES = {"negative_slope": (0.01, 0.25)}
APPROXIMATE = {"approximate": ("none", "tanh")}
M = launchers
R = reference

SPECS: tuple[OpSpec, ...] = (
    _forward("relu", R.relu, M.RELU.signatures(), smooth=False),
    _backward("relu_backward", R.relu_backward, M.RELU_BACKWARD.signatures()),
    _backward(
        "relu_backward_from_output",
        R.relu_backward,
        M.RELU_BACKWARD.signatures(),
        of=Arg("y", "...", low=0.0),
    ),
    _forward(
        "leaky_relu",
        R.leaky_relu,
        M.LEAKY_RELU.signatures(),
        options=SLOPES,
        smooth=False,
        wrong=_wrong_option(1, "negative_slope", "steep"),
    ),
    _backward(
        "leaky_relu_backward",
        R.leaky_relu_backward,
        M.LEAKY_RELU_BACKWARD.signatures(),
        options=SLOPES,
        wrong=_wrong_option(2, "negative_slope", None),
    ),
    _forward("sigmoid", R.sigmoid, M.SIGMOID.signatures()),
    _backward(
        "sigmoid_backward",
        R.sigmoid_backward,
        M.SIGMOID_BACKWARD.signatures(),
        tolerance=Tolerance(ulp=8.0),
    ),
    _backward(
        "sigmoid_backward_from_output",
        lambda dy, y: dy * (y * (1.0 - y)),
        M.SIGMOID_FROM_OUTPUT.signatures(),
        of=Y_SIGMOID,
    ),
    _forward("tanh", np.tanh, M.TANH.signatures()),
    _backward(
        "tanh_backward",
        R.tanh_backward,
        M.TANH_BACKWARD.signatures(),
        tolerance=Tolerance(ulp=8.0),
    ),
    _backward(
        "tanh_backward_from_output",
        lambda dy, y: dy * ((1.0 - y) * (1.0 + y)),
        M.TANH_FROM_OUTPUT.signatures(),
        of=Y_TANH,
    ),
    _forward(
        "gelu",
        R.gelu,
        *_both(M.GELU),
        options=APPROXIMATE,
        tolerance=Tolerance(ulp=48.0),
        wrong=_wrong_option(1, "approximate", "cubic"),
    ),
    _backward(
        "gelu_backward",
        R.gelu_backward,
        *_both(M.GELU_BACKWARD),
        options=APPROXIMATE,
        magnitude=R.gelu_backward_magnitude,
        tolerance=Tolerance(ulp=48.0),
        wrong=_wrong_option(2, "approximate", True),
    ),
    _forward("silu", R.silu, M.SILU.signatures()),
    _backward(
        "silu_backward",
        R.silu_backward,
        M.SILU_BACKWARD.signatures(),
        magnitude=R.silu_backward_magnitude,
        tolerance=Tolerance(ulp=8.0),
    ),
)

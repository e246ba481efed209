"""Initial values of parameters; each function fills a tensor in place and returns it.

The numbers come from the generator of :mod:`nnlite.random`, which ``nl.manual_seed`` seeds, or from
the argument ``generator``, one of NumPy's. Fan-in and fan-out are those of PyTorch: for a weight
(out, in, ...) they are ``in`` and ``out`` times the size of the remaining axes.

Sources: K. He et al., "Delving Deep into Rectifiers", ICCV 2015 (Kaiming); X. Glorot and
Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
AISTATS 2010 (Xavier).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import random
from .autograd import no_grad
from .errors import ArgumentError, ShapeError
from .tensor import Tensor

GAINS = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Factor that keeps the variance of activations through ``nonlinearity``.

    Args:
        nonlinearity: ``"linear"``, ``"sigmoid"``, ``"tanh"``, ``"relu"`` or ``"leaky_relu"``.
        param: for ``"leaky_relu"``: its negative slope, 0.01 if None.

    Raises:
        ArgumentError: another ``nonlinearity``.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1.0 + slope * slope))
    if nonlinearity not in GAINS:
        known = ", ".join([*GAINS, "leaky_relu"])
        raise ArgumentError(
            f"calculate_gain: nonlinearity: {nonlinearity!r} given, expected one of {known}"
        )
    return GAINS[nonlinearity]


def fans(op: str, tensor: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a weight (out, in, ...); ShapeError if it has less than two axes."""
    if tensor.ndim < 2:
        raise ShapeError(f"{op}: tensor: shape {tensor.shape} given, expected at least 2 axes")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _fill(tensor: Tensor, values: np.ndarray) -> Tensor:
    with no_grad():
        return tensor.copy_(values.astype(tensor.dtype))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    r"""Fill with numbers drawn from :math:`U(a, b)`.

    Raises:
        ArgumentError: ``a`` is above ``b``, or one of them is not finite.
    """
    if not -math.inf < a <= b < math.inf:
        raise ArgumentError(f"uniform_: a, b: {a!r}, {b!r} given, expected finite numbers a <= b")
    rng = generator or random.generator()
    return _fill(tensor, rng.uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    r"""Fill with numbers drawn from :math:`N(\mathrm{mean}, \mathrm{std}^2)`.

    Raises:
        ArgumentError: ``std`` is negative or not finite.
    """
    if not 0 <= std < math.inf:
        raise ArgumentError(f"normal_: std: {std!r} given, expected in [0, inf)")
    rng = generator or random.generator()
    return _fill(tensor, rng.normal(mean, std, tensor.shape))


def constant_(tensor: Tensor, value: float) -> Tensor:
    """Fill with ``value``."""
    return _fill(tensor, np.full(tensor.shape, value))


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    r"""Glorot's uniform initialisation, :math:`U(-a, a)`.

    .. math:: a = \mathrm{gain} \sqrt{6 / (\mathrm{fan_{in}} + \mathrm{fan_{out}})}

    Args:
        tensor: a weight of at least two axes.
        gain: of what follows the layer; see :func:`calculate_gain`.

    Raises:
        ShapeError: ``tensor`` has fewer axes.
    """
    bound = gain * math.sqrt(6.0 / max(1, sum(fans("xavier_uniform_", tensor))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    r"""Glorot's normal initialisation, :math:`N(0, \sigma^2)`.

    .. math:: \sigma = \mathrm{gain} \sqrt{2 / (\mathrm{fan_{in}} + \mathrm{fan_{out}})}

    Arguments and errors as :func:`xavier_uniform_`.
    """
    std = gain * math.sqrt(2.0 / max(1, sum(fans("xavier_normal_", tensor))))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    r"""He's uniform initialisation, :math:`U(-b, b)` with :math:`b = g \sqrt{3 / \mathrm{fan}}`.

    Args:
        tensor: a weight of at least two axes.
        a: negative slope of the leaky rectifier after the layer, from which the gain :math:`g`.
        mode: ``"fan_in"`` keeps the variance in the forward pass, ``"fan_out"`` in the backward.
        nonlinearity: what follows the layer; see :func:`calculate_gain`.
        generator: a NumPy generator in place of the global one.

    Raises:
        ShapeError: ``tensor`` has fewer than two axes.
        ArgumentError: ``mode`` or ``nonlinearity`` is none of those.
    """
    bound = math.sqrt(3.0) * _kaiming("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    r"""He's normal initialisation, :math:`N(0, g^2 / \mathrm{fan})`.

    Arguments and errors as :func:`kaiming_uniform_`.
    """
    std = _kaiming("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, generator)


def _kaiming(op: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan_in, fan_out = fans(op, tensor)
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"{op}: mode: {mode!r} given, expected 'fan_in' or 'fan_out'")
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(max(1, fan))

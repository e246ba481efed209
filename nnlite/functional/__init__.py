"""Differentiable functions on tensors: per op check, launch, save and gradient, side by side.

Names and meaning are those of ``torch.nn.functional`` and ``torch``. Every function takes tensors
(or engine arrays) and returns a new tensor; the kernels behind it, their formulas and sources are
in the family of :mod:`nnlite.kernels` that each module imports. Both operands of a binary
operation have one dtype and live on one device; nothing is promoted silently.
"""

from __future__ import annotations

from .activations import gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, tanh
from .arithmetic import accumulate, add, div, exp, log, mul, neg, pow, sqrt, sub
from .losses import accuracy, cross_entropy, mse_loss
from .pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from .products import bias_add, linear, matmul
from .reductions import Axis, argmax, max, mean, min, sum
from .shapes import (
    broadcast_to,
    contiguous,
    flatten,
    getitem,
    permute,
    reshape,
    to,
    transpose,
    view,
)
from .units import (
    celu,
    elu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    logsigmoid,
    mish,
    prelu,
    relu6,
    selu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)

__all__ = [
    "Axis",
    "accumulate",
    "accuracy",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "add",
    "argmax",
    "avg_pool1d",
    "avg_pool2d",
    "bias_add",
    "broadcast_to",
    "celu",
    "contiguous",
    "cross_entropy",
    "div",
    "elu",
    "exp",
    "flatten",
    "gelu",
    "getitem",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "linear",
    "log",
    "log_softmax",
    "logsigmoid",
    "matmul",
    "max",
    "max_pool1d",
    "max_pool2d",
    "mean",
    "min",
    "mish",
    "mse_loss",
    "mul",
    "neg",
    "permute",
    "pow",
    "prelu",
    "relu",
    "relu6",
    "reshape",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softshrink",
    "softsign",
    "sqrt",
    "sub",
    "sum",
    "tanh",
    "tanhshrink",
    "threshold",
    "to",
    "transpose",
    "view",
]

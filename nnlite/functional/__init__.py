"""Differentiable functions on tensors: per op check, launch, save and gradient, side by side.

Names and meaning are those of ``torch.nn.functional`` and ``torch``. Every function takes tensors
(or engine arrays) and returns a new tensor; the kernels behind it, their formulas and sources are
in the family of :mod:`nnlite.kernels` that each module imports. Both operands of a binary
operation have one dtype and live on one device; nothing is promoted silently.
"""

from __future__ import annotations

from .activations import gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, tanh
from .arithmetic import accumulate, add, div, exp, log, mul, neg, pow, sqrt, sub
from .dropout import dropout, dropout1d, dropout2d
from .item_losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from .losses import (
    accuracy,
    cross_entropy,
    nll_loss,
)
from .normalisation import batch_norm, group_norm, layer_norm, rms_norm
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
from .recurrent import recurrent
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
    "batch_norm",
    "bias_add",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "celu",
    "contiguous",
    "cross_entropy",
    "div",
    "dropout",
    "dropout1d",
    "dropout2d",
    "elu",
    "exp",
    "flatten",
    "gelu",
    "getitem",
    "glu",
    "group_norm",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "layer_norm",
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
    "nll_loss",
    "permute",
    "pow",
    "prelu",
    "recurrent",
    "relu",
    "relu6",
    "reshape",
    "rms_norm",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
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

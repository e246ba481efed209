"""Optimizer updates in place, clipping of gradients, moving averages: one launch for many tensors.

Each launcher treats its arrays as one line of items. ``nnlite.optim`` keeps small parameters, and
their state, side by side in one stretch of memory, so that one launch updates all of them.

- ``sgd``: with momentum, dampening, Nesterov momentum.
- ``adam``: Adam, AdamW, AMSGrad.
- ``rmsprop``: plain, centered, with momentum.
- ``adagrad``, ``lion``.
- ``average``: exponential moving average of weights.
- ``clip``: norm of many gradients; scaling them by it; limiting their values.
- ``gpu``: what the machine code of all of them is to hold.
"""

from . import adagrad, adam, average, clip, clip_specs, lion, rmsprop, sgd
from .adagrad import adagrad_update
from .adam import adam_update
from .average import average_update
from .clip import clip_scale, clip_value, combine_norms, partial_norm
from .gpu import gpu_kernels
from .lion import lion_update
from .rmsprop import rmsprop_update
from .sgd import sgd_update

SPECS = (
    *sgd.SPECS,
    *adam.SPECS,
    *rmsprop.SPECS,
    *adagrad.SPECS,
    *lion.SPECS,
    *average.SPECS,
    *clip_specs.SPECS,
)

__all__ = [
    "SPECS",
    "adagrad_update",
    "adam_update",
    "average_update",
    "clip",
    "clip_scale",
    "clip_value",
    "combine_norms",
    "gpu_kernels",
    "lion_update",
    "partial_norm",
    "rmsprop_update",
    "sgd_update",
]

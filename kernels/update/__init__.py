"""Optimizer updates in place, clipping of gradients, moving averages: one launch for many tensors.

Each launcher treats its arrays as one line of items. On a CPU ``nnlite.optim`` keeps small
parameters, and their state, side by side in one stretch of memory, so that one launch updates all
of them; on a GPU one launch finds them where they lie.

- ``sgd``: with momentum, dampening, Nesterov momentum.
- ``adam``: Adam, AdamW, AMSGrad.
- ``rmsprop``: plain, centered, with momentum.
- ``adagrad``, ``lion``.
- ``average``: exponential moving average of weights.
- ``many``, ``many_rules``, ``many_clip``: all of these for many tensors where they lie, on a GPU.
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
from .many import Batch, Tensors
from .many_clip import Listed
from .many_rules import adagrad_many, adam_many, average_many, lion_many, rmsprop_many, sgd_many
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
    "Batch",
    "Listed",
    "Tensors",
    "adagrad_many",
    "adagrad_update",
    "adam_many",
    "adam_update",
    "average_many",
    "average_update",
    "clip",
    "clip_scale",
    "clip_value",
    "combine_norms",
    "gpu_kernels",
    "lion_many",
    "lion_update",
    "partial_norm",
    "rmsprop_many",
    "rmsprop_update",
    "sgd_many",
    "sgd_update",
]

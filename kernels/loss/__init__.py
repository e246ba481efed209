"""Losses that compare a prediction with a target of the same shape, item by item.

==================  =======================================================================
file                what it holds
==================  =======================================================================
functions.py        the device functions: value and slopes for one item, and their stable forms
kernels.py          the kernels: one item per thread, or a sum per block
wide.py             the kernels by 128-bit access, on a GPU
wide_weighted.py    those with weights
launchers.py        the common launch; squared, absolute, smooth and Huber errors
probabilities.py    binary cross entropy (of probabilities, of scores), Kullback-Leibler
reference.py        NumPy references
specs.py            wrong inputs, tolerances and their reasons
==================  =======================================================================

The losses of class numbers, cross entropy and negative log-likelihood, are in ``softmax``.
"""

from ..opspec import GpuKernel
from . import wide, wide_weighted
from .launchers import (
    BCE,
    BCE_LOGITS,
    HUBER,
    KL,
    KL_LOG,
    L1,
    MSE,
    SMOOTH_L1,
    huber,
    huber_backward,
    l1,
    l1_backward,
    mse,
    mse_backward,
    smooth_l1,
    smooth_l1_backward,
)
from .probabilities import (
    bce,
    bce_backward,
    bce_logits,
    bce_logits_backward,
    kl_div,
    kl_div_backward,
)
from .specs import SPECS


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels by 128-bit access."""
    plain = wide.gpu_kernels((MSE, L1, SMOOTH_L1, HUBER, BCE, BCE_LOGITS, KL, KL_LOG))
    return (*plain, *wide_weighted.gpu_kernels((BCE, BCE_LOGITS)))


__all__ = [
    "SPECS",
    "bce",
    "bce_backward",
    "bce_logits",
    "bce_logits_backward",
    "gpu_kernels",
    "huber",
    "huber_backward",
    "kl_div",
    "kl_div_backward",
    "l1",
    "l1_backward",
    "mse",
    "mse_backward",
    "smooth_l1",
    "smooth_l1_backward",
]

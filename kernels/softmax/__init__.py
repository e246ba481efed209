"""Softmax and what classifiers need of it.

- ``plain``: softmax, log_softmax and their gradients.
- ``entropy``: cross entropy of integer labels, fused with the softmax.
- ``wide``, ``entropy_wide``: both by 128-bit access, on a GPU.
- ``weighted``, ``weighted_kernels``: the same with class weights, ignored rows and label
  smoothing; negative log-likelihood of given logarithms. ``weighted_wide``: the former by 128-bit
  access, on a GPU.
- ``metrics``: accuracy.
- ``specs``, ``weighted_specs``: ``SPECS``.
"""

from ..opspec import GpuKernel
from . import entropy_wide, specs, weighted_specs, weighted_wide, wide
from .entropy import cross_entropy, cross_entropy_backward
from .metrics import accuracy
from .plain import log_softmax, log_softmax_backward, softmax, softmax_backward
from .weighted import (
    cross_entropy_weighted,
    cross_entropy_weighted_backward,
    nll,
    nll_backward,
)

SPECS = (*specs.SPECS, *weighted_specs.SPECS)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels by 128-bit access."""
    return (*wide.gpu_kernels(), *entropy_wide.gpu_kernels(), *weighted_wide.gpu_kernels())


__all__ = [
    "SPECS",
    "accuracy",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_weighted",
    "cross_entropy_weighted_backward",
    "gpu_kernels",
    "log_softmax",
    "log_softmax_backward",
    "nll",
    "nll_backward",
    "softmax",
    "softmax_backward",
]

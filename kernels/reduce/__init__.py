"""Reductions over any axes: sum, mean, max, min, argmax, and ``sum_to``.

- ``plan``: any tuple of axes as one (outer, n, inner) view.
- ``kernels``: one kernel per access pattern, for any operation; two launches for long axes.
- ``wide``: both kernels by 128-bit access, on a GPU; ``wide_extremes``, ``wide_extreme_columns``:
  argmax, and the gradient of a maximum.
- ``tree``, ``wide_rows``: what rows are combined by; the latter by 128-bit access, on a GPU.
- ``sums``: sum, mean and their gradients; sum_to, the reverse of broadcasting.
- ``extremes``: max, min, argmax and their gradient.
- ``specs``: references and ``SPECS``.
"""

from ..opspec import GpuKernel
from . import wide, wide_extreme_columns, wide_extremes
from .extremes import argmax, extreme_backward, max, min
from .specs import SPECS
from .sums import mean, mean_backward, sum, sum_backward, sum_to


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels by 128-bit access."""
    parts = wide, wide_extremes, wide_extreme_columns
    return tuple(found for part in parts for found in part.gpu_kernels())


__all__ = [
    "SPECS",
    "argmax",
    "extreme_backward",
    "gpu_kernels",
    "max",
    "mean",
    "mean_backward",
    "min",
    "sum",
    "sum_backward",
    "sum_to",
]

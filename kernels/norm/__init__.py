"""Normalisation of batches, layers, groups of channels, and by the root mean square.

- ``sums``: the variance, and sums over a block.
- ``reference``: the references in NumPy.
- ``batch_kernels``, ``batch``: batch normalisation.
- ``batch_wide``, ``batch_wide_slopes``: the same by 128-bit access on a GPU, with several blocks
  to a channel; ``batch_columns_wide``: that of (n, c); ``batch_wide_fixed``: the gradients of both
  where mean and variance are given.
- ``row_kernels``, ``row_sums``, ``rows``: the normalisations of single items.
- ``row_wide``, ``row_wide_slopes``, ``row_wide_gradients``: those by 128-bit access, on a GPU.
- ``specs``, ``row_specs``: ``SPECS``.
"""

from ..opspec import GpuKernel
from . import (
    batch_columns_wide,
    batch_wide,
    batch_wide_fixed,
    batch_wide_slopes,
    row_wide,
    row_wide_gradients,
    row_wide_slopes,
)
from .batch import (
    batch_norm,
    batch_norm_backward,
    batch_norm_constants,
    batch_norm_inference,
)
from .row_specs import ROWS
from .rows import (
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)
from .specs import BATCH

SPECS = (*BATCH, *ROWS)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels by 128-bit access."""
    parts = (
        batch_wide,
        batch_wide_slopes,
        batch_wide_fixed,
        batch_columns_wide,
        row_wide,
        row_wide_slopes,
        row_wide_gradients,
    )
    return tuple(found for part in parts for found in part.gpu_kernels())


__all__ = [
    "SPECS",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_constants",
    "batch_norm_inference",
    "gpu_kernels",
    "group_norm",
    "group_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "rms_norm",
    "rms_norm_backward",
]

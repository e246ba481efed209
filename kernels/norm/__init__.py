"""Normalisation of batches, layers, groups of channels, and by the root mean square.

- ``sums``: the variance, and sums over a block.
- ``reference``: the references in NumPy.
- ``batch_kernels``, ``batch``: batch normalisation.
- ``row_kernels``, ``rows``: the normalisations of single items.
- ``specs``, ``row_specs``: ``SPECS``.
"""

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

__all__ = [
    "SPECS",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_constants",
    "batch_norm_inference",
    "group_norm",
    "group_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "rms_norm",
    "rms_norm_backward",
]

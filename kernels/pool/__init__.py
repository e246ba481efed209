"""Pooling: max, average, both adaptive, of images; a sequence is an image of one row.

- ``windows``: which elements a window holds, and the reverse.
- ``reference``: the references in NumPy.
- ``launch``: planes and grids.
- ``maximum``, ``average``: kernels and launchers.
- ``wide_cells``: cells of 2 x 2 by 128-bit access, on a GPU.
- ``specs``: ``SPECS``.
"""

from .average import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    avg_pool2d,
    avg_pool2d_backward,
)
from .maximum import (
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from .specs import SPECS
from .wide_cells import gpu_kernels

__all__ = [
    "SPECS",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "gpu_kernels",
    "max_pool2d",
    "max_pool2d_backward",
]

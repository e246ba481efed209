"""Matrix product with fused bias and activation.

==============  =========================================================================
file            what it holds
==============  =========================================================================
kernels.py      the kernels; open this to understand tiling
launcher.py     ``matmul(a, b, …)``: checks, choice of the tile, gradient
specs.py        NumPy reference, wrong inputs, tolerances
==============  =========================================================================
"""

from .kernels import TILE, make_matmul, matmul_tiled
from .launcher import matmul, matmul_backward
from .specs import SPECS, matmul_reference

__all__ = [
    "SPECS",
    "TILE",
    "make_matmul",
    "matmul",
    "matmul_backward",
    "matmul_reference",
    "matmul_tiled",
]

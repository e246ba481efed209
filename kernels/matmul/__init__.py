"""Matrix product with fused bias and activation.

==============  =========================================================================
file            what it holds
==============  =========================================================================
kernels.py      the kernels; open this to understand tiling
launcher.py     ``matmul(a, b, …)``: checks, choice of the tile, gradient
sgemm.py        the kernel for large float32 matrices on a GPU: wide tiles, copied ahead
tensor.py       the same by tensor cores, for factors rounded to tf32 or bfloat16
halves/         matrices of float16 and bfloat16, by tensor cores: ``matmul_halves``
hopper/         products on Hopper GPUs, by wgmma and TMA
precision.py    whether that is allowed: ``set_float32_matmul_precision``
cores.py        how long tensor cores take, by which of their instructions, and the launch
large.py        when to use wide tiles, and their launch
slicing.py      into how many slices steps are cut where there are few tiles
split.py        the sum of those slices
order.py        the order in which a kernel computes its tiles
alignment.py    which matrices allow 128-bit accesses
batched.py      ``bmm(a, b)``: many products of one size, whole
specs.py        NumPy reference, wrong inputs, tolerances
==============  =========================================================================
"""

from . import batched, specs
from .batched import bmm, bmm_backward
from .halves import matmul_halves
from .kernels import TILE, make_matmul, matmul_tiled
from .large import gpu_kernels
from .launcher import matmul, matmul_backward
from .precision import get_float32_matmul_precision, set_float32_matmul_precision
from .specs import matmul_reference

SPECS = (*specs.SPECS, *batched.SPECS)

__all__ = [
    "SPECS",
    "TILE",
    "bmm",
    "bmm_backward",
    "get_float32_matmul_precision",
    "gpu_kernels",
    "make_matmul",
    "matmul",
    "matmul_backward",
    "matmul_halves",
    "matmul_reference",
    "matmul_tiled",
    "set_float32_matmul_precision",
]

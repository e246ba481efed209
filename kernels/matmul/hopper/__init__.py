"""Matrix product by the tensor cores of Hopper GPUs (compute capability 9.0), with their TMA.

==============  =========================================================================
file            what it holds
==============  =========================================================================
gemm.py         the kernel: a producer, two consumers, tiles of 128 x 256
epilogue.py     how it stores its sums, with bias and activation
operands.py     kernels that bring a and b into the order and the numbers it reads
launcher.py     when it can be used and pays, and its launch
==============  =========================================================================
"""

from .gemm import make_hopper_gemm
from .launcher import fits, gpu_kernels, launch, multiply, numbers_to_copy, pays

__all__ = [
    "fits",
    "gpu_kernels",
    "launch",
    "make_hopper_gemm",
    "multiply",
    "numbers_to_copy",
    "pays",
]

"""Matrix product of float16 and bfloat16 matrices, of 16 bits in memory, with sums in float32.

==============  =========================================================================
file            what it holds
==============  =========================================================================
gemm.py         the kernel for all GPUs with such tensor cores, by ``mma.sync``; for CPUs too
epilogue.py     how it stores its sums, with bias and activation
launcher.py     ``matmul_halves(a, b, ...)``: checks, and the choice between it and ``..hopper``
==============  =========================================================================
"""

from .gemm import make_half_gemm
from .launcher import gpu_kernels, matmul_halves

__all__ = ["gpu_kernels", "make_half_gemm", "matmul_halves"]

"""Compiles Numba CUDA kernels for the CPU.

The kernel source that numba-cuda runs on a GPU becomes native, vectorised, multi-threaded code:
``ast`` of the kernel -> one meaning per name (``canonical``) -> device functions inlined
(``flatten``) -> early exits as flags (``exits``) -> one name per use (``webs``) -> Numba's types
(``infer``) -> loops ordered for vectors (``loops``) -> split at barriers (``regions``) -> readable
source for ``numba.njit`` (``emit``).  ``CpuKernel.source`` shows the result.

Blocks run on a pool of OS threads; compiled kernels are kept on disk (``cache``).
"""

from __future__ import annotations

from .launch import CpuKernel

__all__ = ["CpuKernel"]

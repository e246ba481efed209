"""The GPU back end: the only place that touches numba-cuda's host side.

- ``pool``: memory, in a caching pool.
- ``arrays``: :class:`GpuArray`, views and copies of that memory.
- ``launch``: kernels.

Everything runs in the order of one stream by default; a block of memory freed while a kernel still
uses it is only reused by later work of that order. Whoever launches on a stream of their own must
keep its arrays until that stream is synchronized. Without numba-cuda or a driver, :func:`count` is
0 and nothing else here is called.
"""

from __future__ import annotations

import functools

from numba import cuda
from numba.core import config

from ..device import Limits
from .arrays import GpuArray, empty, from_host, zeros
from .launch import configure, dispatcher, launch, synchronize

__all__ = [
    "GpuArray",
    "configure",
    "count",
    "dispatcher",
    "empty",
    "from_host",
    "launch",
    "limits",
    "synchronize",
    "zeros",
]

FLOAT32_CORES = {(7, 0): 64, (7, 5): 64, (8, 0): 64}  # per multiprocessor; 128 on the others


@functools.cache
def count() -> int:
    """Number of NVIDIA GPUs that numba can use; 0 without a driver and in Numba's simulator."""
    if getattr(config, "ENABLE_CUDASIM", False) or not cuda.is_available():
        return 0
    return len(cuda.gpus)


@functools.cache
def limits(index: int) -> Limits:
    """Limits of GPU ``index`` as its driver reports them."""
    with cuda.gpus[index]:
        d = cuda.get_current_device()
        name = d.name.decode() if isinstance(d.name, bytes) else str(d.name)
        capability = tuple(d.compute_capability)
        bus = d.GLOBAL_MEMORY_BUS_WIDTH / 8  # bytes per transfer, two transfers per clock
        cores = FLOAT32_CORES.get(capability, 128) * d.MULTIPROCESSOR_COUNT
        return Limits(
            name=name,
            compute_capability=capability,
            sms=d.MULTIPROCESSOR_COUNT,
            shared_per_block=d.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
            bandwidth=2 * d.MEMORY_CLOCK_RATE * 1e3 * bus / 1e9,
            float32=2 * cores * d.CLOCK_RATE * 1e3 / 1e12,
            power=0,
            threads_per_block=d.MAX_THREADS_PER_BLOCK,
            block_dim=(d.MAX_BLOCK_DIM_X, d.MAX_BLOCK_DIM_Y, d.MAX_BLOCK_DIM_Z),
            grid_dim=(d.MAX_GRID_DIM_X, d.MAX_GRID_DIM_Y, d.MAX_GRID_DIM_Z),
        )

"""Instructions of the GPU that Numba has no name for. The only place with inline PTX.

==================  ==============================================================================
file                what it holds
==================  ==============================================================================
memory.py           128-bit loads and stores, copies from global to shared memory (``cp.async``)
matrix.py           ``ldmatrix``, ``mma.sync``: tensor cores, warp by warp
numbers.py          rounding to tf32, bfloat16 and float16
tiles.py            products of tiles, unrolled
fragments.py        the same by tensor cores
halves.py           and of tiles of 16-bit numbers, as they are in memory
barriers.py         sm_90: barriers that count bytes, bulk copies (TMA), fences, setmaxnreg
wgmma.py            sm_90a: tensor cores, four warps together
instruction.py      how an instruction becomes a function
==================  ==============================================================================

Those of ``barriers`` and ``wgmma`` are for a GPU alone, and for ``nnlite.testing.machine``, which
runs PTX. All others run on the CPU too, with the same result.
"""

from .barriers import (
    bulk_copy,
    fence_async,
    fence_mbarrier_init,
    fewer_registers,
    mbarrier_arrive,
    mbarrier_expect,
    mbarrier_init,
    mbarrier_wait,
    more_registers,
    tensor_map_acquire,
    tensor_map_release,
    tma_load_2d,
)
from .fragments import Layout, multiply_warp
from .halves import HalfTile, multiply_halves, place_in_tile
from .matrix import (
    ldmatrix_x1,
    ldmatrix_x2,
    ldmatrix_x2_trans,
    ldmatrix_x2_words,
    ldmatrix_x4,
    ldmatrix_x4_trans,
    ldmatrix_x4_words,
    mma_bf16,
    mma_f16,
    mma_tf32,
)
from .memory import (
    cp_async4,
    cp_async16,
    cp_async16_halves,
    cp_async_commit,
    cp_async_wait,
    load4,
    store2,
    store4,
)
from .numbers import to_bf16x2, to_f16x2, to_tf32
from .tiles import multiply_columns, multiply_rows
from .wgmma import descriptor, wgmma, wgmma_wait, wgmma_wait_for

__all__ = [
    "HalfTile",
    "Layout",
    "bulk_copy",
    "cp_async16",
    "cp_async16_halves",
    "cp_async4",
    "cp_async_commit",
    "cp_async_wait",
    "descriptor",
    "fence_async",
    "fence_mbarrier_init",
    "fewer_registers",
    "ldmatrix_x1",
    "ldmatrix_x2",
    "ldmatrix_x2_trans",
    "ldmatrix_x2_words",
    "ldmatrix_x4",
    "ldmatrix_x4_trans",
    "ldmatrix_x4_words",
    "load4",
    "mbarrier_arrive",
    "mbarrier_expect",
    "mbarrier_init",
    "mbarrier_wait",
    "mma_bf16",
    "mma_f16",
    "mma_tf32",
    "more_registers",
    "multiply_columns",
    "multiply_halves",
    "multiply_rows",
    "multiply_warp",
    "place_in_tile",
    "store2",
    "store4",
    "tensor_map_acquire",
    "tensor_map_release",
    "tma_load_2d",
    "to_bf16x2",
    "to_f16x2",
    "to_tf32",
    "wgmma",
    "wgmma_wait",
    "wgmma_wait_for",
]

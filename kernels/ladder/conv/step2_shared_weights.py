"""Step 2, weights in shared memory: a block loads its filter once.

What changed:
    All threads of a block compute the same filter f. They load its C K K weights into shared
    memory together, wait at a barrier, and read them from there.

Why:
    In the inner loop all threads of a warp need the same weight at the same time: from shared
    memory that is one broadcast without address tests or cache look-ups. The size of the filter
    is known when the kernel is made, so the loops over it can be unrolled.

Lens, at 1 x 16 x 64 x 3 x 16 x 64:
    For 32 multiply-adds: 4.2 sectors of global memory, 0.963 wavefronts of shared memory (step
    1: 5.14 and 0).

On a GPU:
    Half the global reads are gone. The image is still read K K times.
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cuda, float32

from ...engine import Array, Kernel, kernel
from ..step import Step, blocks
from .types import SIGNATURE

BLOCK = (32, 8)
THREADS = BLOCK[0] * BLOCK[1]


@functools.cache
def make(channels: int, size: int) -> Kernel:
    """The kernel for filters of (channels, size, size)."""
    CHANNELS, SIZE = channels, size
    WEIGHTS = channels * size * size
    PAD = size // 2

    @kernel
    def conv_shared_weights(x: Any, w: Any, y: Any) -> None:
        """x (n, C, h, wd), w (F, C, K, K), y (n, F, h, wd), float32; blockIdx.z = n F."""
        weights = cuda.shared.array((CHANNELS, SIZE, SIZE), float32)
        j = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        i = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
        filters = w.shape[0]
        image = cuda.blockIdx.z // filters
        f = cuda.blockIdx.z % filters
        rows, columns = y.shape[2], y.shape[3]
        tid = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
        for q in range(tid, WEIGHTS, THREADS):
            c, u, v = q // (SIZE * SIZE), q // SIZE % SIZE, q % SIZE
            weights[c, u, v] = w[f, c, u, v]
        cuda.syncthreads()
        if i < rows and j < columns:
            total = float32(0.0)
            for c in range(CHANNELS):
                for u in range(SIZE):
                    for v in range(SIZE):
                        r, s = i + u - PAD, j + v - PAD
                        if r >= 0 and r < rows and s >= 0 and s < columns:
                            total += x[image, c, r, s] * weights[c, u, v]
            y[image, f, i, j] = total

    return conv_shared_weights


def launch(x: Array, w: Array, y: Array) -> None:
    """y = x * w."""
    n, filters, rows, columns = y.shape
    grid = (blocks(columns, BLOCK[0]), blocks(rows, BLOCK[1]), n * filters)
    make(w.shape[1], w.shape[2])[grid, BLOCK](x, w, y)


STEP = Step("shared weights", "a block loads its filter once", make(16, 3), launch, SIGNATURE)

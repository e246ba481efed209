"""Adding up what blocks have found: the parts of weight gradients, and the gradient of the bias.

    db[m] = sum over n, p, q of  dy[n, m, p, q]

* ``collect``: adds the parts of the gradient of the weights and turns them to the order of the
  weights.
* ``channel_sums``: a block adds up one channel of some images.
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cuda, float32, float64

from ..checks import FLOAT32
from ..engine import Array, Kernel, empty, kernel
from ..reduce.tree import block_sum
from .tiles import LANES

# Blocks that the images are divided among: fixed, so that results do not depend on the number of
# CPU cores.
PARTS_CPU, PARTS_GPU = 8, 32
SUM_THREADS_CPU, SUM_THREADS_GPU = 32, 128


def images_of_part(n: int, on_cpu: bool) -> int:
    """How many of n images a block of a gradient takes."""
    return -(-n // (PARTS_CPU if on_cpu else PARTS_GPU))


@cuda.jit(device=True)
def own_images(n):
    """The first of the images that this block takes of n, and the first that it does not."""
    share = (n + cuda.gridDim.z - 1) // cuda.gridDim.z
    return cuda.blockIdx.z * share, min(n, (cuda.blockIdx.z + 1) * share)


@functools.cache
def collect_kernel(real: Any) -> Kernel:
    """The kernel that adds the parts, for numba's float32 or float64."""

    @kernel
    def collect(part, dw):  # part: (parts, G K, M, lanes), dw: (G, M, K)
        groups = dw.shape[0]
        group = cuda.blockIdx.x % groups
        m = cuda.blockIdx.x // groups * cuda.blockDim.x + cuda.threadIdx.x
        k = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
        if m < dw.shape[1] and k < dw.shape[2]:
            total = real(0.0)
            for i in range(part.shape[0]):
                for lane in range(part.shape[3]):
                    total += part[i, group * dw.shape[2] + k, m, lane]
            dw[group, m, k] = total

    return collect


@functools.cache
def channel_sums_kernel(real: Any) -> Kernel:
    """The kernel of the bias gradient for numba's float32 or float64."""

    @kernel
    def channel_sums(dy, part):  # dy: (N, M, pixels), part: (parts, M); block (m, part)
        tree = cuda.shared.array(SUM_THREADS_GPU, real)
        m = cuda.blockIdx.x
        total = real(0.0)
        share = (dy.shape[0] + cuda.gridDim.y - 1) // cuda.gridDim.y
        begin = cuda.blockIdx.y * share
        for n in range(begin, min(dy.shape[0], begin + share)):
            for turn in range((dy.shape[2] + cuda.blockDim.x - 1) // cuda.blockDim.x):
                pixel = turn * cuda.blockDim.x + cuda.threadIdx.x
                total += dy[n, m, pixel] if pixel < dy.shape[2] else real(0.0)
        total = block_sum(tree, total)
        if cuda.threadIdx.x == 0:
            part[cuda.blockIdx.y, m] = total

    return channel_sums


def collect(part: Array, dw: Array) -> None:
    """Add up ``part`` (parts, G K, M, lanes) to ``dw``, any view of shape (G, M, K)."""
    g, m, k = dw.shape
    grid = (g * -(-m // LANES), -(-k // LANES))
    collect_kernel(float32 if dw.dtype == FLOAT32 else float64)[grid, (LANES, LANES)](part, dw)


def channel_sums(dy: Array) -> Array:
    """Sum of dy (N, M, ...) over everything but the channels; dy is contiguous and not empty."""
    real = float32 if dy.dtype == FLOAT32 else float64
    n, m = dy.shape[:2]
    run = channel_sums_kernel(real)
    threads = SUM_THREADS_CPU if dy.device.is_cpu else SUM_THREADS_GPU
    parts = 1 if dy.device.is_cpu else min(n, PARTS_GPU)
    part = empty((parts, m), dy.dtype, dy.device)
    run[(m, parts), threads](dy.reshape(n, m, dy.size // (n * m)), part)
    if parts == 1:
        return part.reshape(m)
    db = empty((1, m), dy.dtype, dy.device)
    run[(m, 1), threads](part.T.copy().reshape(1, m, parts), db)
    return db.reshape(m)

"""Combining one value of each thread of a block: a tree in shared memory.

    sum:   v_0 + v_1    v_2 + v_3    ...          half = 4: thread t adds element t + 4,
              \\         /                         half = 2: thread t adds element t + 2,
            (v_0 + v_1) + (v_2 + v_3)  ...         half = 1: thread 0 has the result

Each step halves the number of values; the threads that still work are neighbours, and so are the
elements they touch: no bank conflicts, and whole warps fall idle (Harris, "Optimizing parallel
reduction in CUDA", 2007). The order of additions depends on the block size only.

Many short rows share a block, with a row of threads for each (:func:`row_blocks`). The steps of
their trees do not wait for each other, and a multiprocessor, which takes few blocks at a time, gets
enough warps.
"""

from __future__ import annotations

import math
from typing import Any

from numba import cuda

from ..elementwise.functions import add_items as add

BLOCK = 256
# Longest row -> threads of a row; longer ones get the whole block. Few shapes, because the CPU
# compiler makes a kernel for each.
ROW_THREADS = {256: 16, 1024: 128}
SHORT_ROW = 1024


def row_blocks(rows: int, n: int) -> tuple[int, tuple[int, int]]:
    """Blocks, and threads of a block, for ``rows`` rows of n elements; see :func:`own_row`."""
    threads = next((t for longest, t in ROW_THREADS.items() if n <= longest), BLOCK)
    return -(-rows // (BLOCK // threads)), (threads, BLOCK // threads)


@cuda.jit(device=True)
def own_row():
    """The row of a thread; may lie beyond the last one, by less than blockDim.y."""
    return cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y


@cuda.jit(device=True)
def larger(a: Any, b: Any) -> Any:
    """Larger of two numbers; NaN if one is NaN (NaN is the only number not equal to itself)."""
    return a if a > b or a != a else b


@cuda.jit(device=True)
def smaller(a: Any, b: Any) -> Any:
    """Smaller of two numbers; NaN if one is NaN."""
    return a if a < b or a != a else b


@cuda.jit(device=True)
def beats(a: Any, b: Any) -> Any:
    """True if ``a`` comes before ``b`` as the maximum: it is larger, or the only NaN of the two."""
    return a > b or (a != a and b == b)


# Operation -> how two values combine, and the value that changes nothing.
OPERATIONS = {"add": (add, 0.0), "larger": (larger, -math.inf), "smaller": (smaller, math.inf)}


def block_tree(combine: Any) -> Any:
    """A device function ``combined(tree, value)`` for a commutative device function ``combine``.

    It combines the values of each row of threads: those with the same threadIdx.y. ``tree`` is
    shared memory with an element for each thread; blockDim.x is a power of two. Every thread of the
    block must call it, and gets the result of its row; ``tree`` may be used again at once.
    """

    @cuda.jit(device=True)
    def combined(tree: Any, value: Any) -> Any:
        tid = cuda.threadIdx.x
        first = cuda.threadIdx.y * cuda.blockDim.x
        tree[first + tid] = value
        cuda.syncthreads()
        half = cuda.blockDim.x // 2
        while half > 0:
            if tid < half:
                tree[first + tid] = combine(tree[first + tid], tree[first + tid + half])
            cuda.syncthreads()
            half //= 2
        result = tree[first]
        cuda.syncthreads()
        return result

    return combined


block_sum = block_tree(add)
block_max = block_tree(larger)

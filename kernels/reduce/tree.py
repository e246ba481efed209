"""Combining one value of each thread of a block: a tree in shared memory.

    sum:   v_0 + v_1    v_2 + v_3    ...          half = 4: thread t adds element t + 4,
              \\         /                         half = 2: thread t adds element t + 2,
            (v_0 + v_1) + (v_2 + v_3)  ...         half = 1: thread 0 has the result

Each step halves the number of values; the threads that still work are neighbours, and so are the
elements they touch: no bank conflicts, and whole warps fall idle (Harris, "Optimizing parallel
reduction in CUDA", 2007). The order of additions depends on the block size only.
"""

from __future__ import annotations

from typing import Any

from numba import cuda


@cuda.jit(device=True)
def add(a: Any, b: Any) -> Any:
    """Sum of two terms."""
    return a + b


@cuda.jit(device=True)
def larger(a: Any, b: Any) -> Any:
    """Larger of two numbers; NaN if one is NaN (NaN is the only number not equal to itself)."""
    return a if a > b or a != a else b


@cuda.jit(device=True)
def smaller(a: Any, b: Any) -> Any:
    """Smaller of two numbers; NaN if one is NaN."""
    return a if a < b or a != a else b


def block_tree(combine: Any) -> Any:
    """A device function ``combined(tree, value)`` for a commutative device function ``combine``.

    ``tree`` is shared memory of blockDim.x elements; the block is one-dimensional, its size a power
    of two. Every thread of the block must call it, and gets the result; ``tree`` may be used again
    at once.
    """

    @cuda.jit(device=True)
    def combined(tree: Any, value: Any) -> Any:
        tid = cuda.threadIdx.x
        tree[tid] = value
        cuda.syncthreads()
        half = cuda.blockDim.x // 2
        while half > 0:
            if tid < half:
                tree[tid] = combine(tree[tid], tree[tid + half])
            cuda.syncthreads()
            half //= 2
        result = tree[0]
        cuda.syncthreads()
        return result

    return combined


block_sum = block_tree(add)
block_max = block_tree(larger)

"""Exercise 11, shuffle: the lanes of a warp read each other's registers.

Learn:
    The 32 lanes of a warp can hand each other numbers without shared memory and without a barrier:
    cuda.shfl_down_sync(mask, value, d) gives each lane the value of the lane d above it. Five of
    them make a sum of 32 numbers, in lane 0. The mask names the lanes that take part, and all of
    them must come: a shuffle inside a condition that some lanes fail is undefined.

Do:
    Add up the numbers of each warp, and store one sum for each warp that has any.

Compute:
    out[w] = x[32 w] + ... + x[32 w + 31], as far as there are so many
    x (n,), out (warps,) with warps = n / 32, rounded up; float32.

Launch:
    warp_sum[blocks, 64](x, out) with blocks = n / 64, rounded up. The last warp of the last block
    may have no number at all.

Passes if:
    each number is read once, nothing goes through shared memory, and each warp stores one number.

Hints:
    Lanes beyond the end take part with 0. A lane is the number of a thread modulo 32.
    kernels/ladder/reduce/step4_shuffle.py
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

ALL = 0xFFFFFFFF  # the mask that names all 32 lanes


@cuda.jit
def warp_sum(x: Any, out: Any) -> None:
    """x (n,), out (warps,), float32."""
    i = cuda.grid(1)
    ...  # your code: the number of this lane
    ...  # your code: five shuffles
    ...  # your code: one lane stores the sum

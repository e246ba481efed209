"""Exercise 3, guard: more threads than numbers.

Learn:
    A launch has whole blocks, so the last one may have threads without work. They must touch
    nothing: an index beyond the end reads or overwrites somebody else's memory, and nobody reports
    it on a GPU. An index of -1 is as bad: Numba counts it from the end, as Python does.

Do:
    Compute out[i] in threads that have an i within out, and take care of the first one.

Compute:
    out[i] = x[i] - x[i - 1], and out[0] = x[0]
    x and out (n,), float32.

Launch:
    difference[blocks, 32](x, out) with blocks = n / 32, rounded up.

Passes if:
    no index leaves its array, and each thread reads two numbers at most.

Hints:
    x.size is the length of an array, x.shape its shape.
    A conditional expression evaluates one of its two branches only.
"""

from __future__ import annotations

from typing import Any

from numba import cuda


@cuda.jit
def difference(x: Any, out: Any) -> None:
    """x (n,), out (n,), float32."""
    i = cuda.grid(1)
    ...  # your code: out[i], if there is one

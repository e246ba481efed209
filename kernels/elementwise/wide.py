"""Four items to a thread by one access of 128 bits, on a GPU: the wide form of scalar functions.

A thread of a wide kernel loads four float32 items at once (``LDG.E.128``), applies the function of
the scalar kernel to each, and stores them at once (``STG.E.128``). For the same bytes that is a
quarter of the instructions, and each thread has four times as many bytes in flight. The gain has
NOT been measured on a GPU.

Such an access needs an address that is a multiple of 16 bytes. The arrays of a launch may begin at
other addresses, if all are equal modulo 16: the ``head`` items before the first such address, and
those after the last run of four, are computed one by one by further threads::

    items     0 1 2 | 3 4 5 6 | 7 8 9 10 | 11 12          head = 3
    threads   2 3 4 |    0    |    1     |  5  6

Other dtypes, arrays that are not aligned alike, and strided ones take the scalar kernel. So does
the CPU, whose compiler vectorises it.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, uint64

from ..checks import FLOAT32
from ..engine import Array
from ..engine.ptx import load4, store4

RUN = 4  # items to an access
ALIGNMENT = 16  # bytes


def shared_head(*arrays: Array) -> int | None:
    """Items before the first address that is a multiple of 16 bytes, alike in all arrays.

    Args:
        arrays: contiguous arrays of one GPU.

    Returns:
        0 to 3, or None if the wide kernel cannot take these arrays.
    """
    places = set()
    for x in arrays:
        if x.dtype != FLOAT32:
            return None
        places.add((x.buffer.pointer + x.offset) % ALIGNMENT)  # type: ignore[attr-defined]
    place = places.pop()
    if places or place % FLOAT32.itemsize:
        return None
    return -place % ALIGNMENT // FLOAT32.itemsize


def threads_of(n: int, head: int) -> int:
    """Threads for n items: one for each run, and one for each other item."""
    head = min(head, n)
    runs = (n - head) // RUN
    return n - (RUN - 1) * runs


@cuda.jit(device=True)
def place_of(n, head):
    """(first item, whether it begins a run of four), for the thread that asks."""
    t, size, before = uint64(cuda.grid(1)), uint64(n), min(uint64(head), uint64(n))
    runs = uint64(uint64(size - before) // uint64(RUN))
    if t < runs:
        return uint64(before + t * uint64(RUN)), True
    single = uint64(t - runs)
    return uint64(single if single < before else single + runs * uint64(RUN)), False


@cuda.jit(device=True)
def fetch(kept, source, i):
    """The four items from ``i`` on, into a local array."""
    kept[0], kept[1], kept[2], kept[3] = load4(source, i)


@cuda.jit(device=True)
def put_back(target, i, kept):
    """Four items of ``kept`` go to ``target`` from item ``i`` on."""
    store4(target, i, kept[0], kept[1], kept[2], kept[3])


def make_wide(function: Any, inputs: int, scalars: int) -> Any:
    """The wide kernel of a map, as a Python function.

    Args:
        function: of ``inputs`` items, 1 or 2, and ``scalars`` scalars.

    Returns:
        A kernel of (x, out, head, alpha, beta) or (x, y, out, head, alpha, beta); scalars that the
        function does not take are ignored.
    """
    one, two = with_two_scalars(function, scalars)

    def wide_unary(x, out, head, alpha, beta):
        i, whole = place_of(out.size, head)
        if whole:
            x0, x1, x2, x3 = load4(x, i)
            x0, x1 = one(x0, alpha, beta), one(x1, alpha, beta)
            store4(out, i, x0, x1, one(x2, alpha, beta), one(x3, alpha, beta))
        elif i < uint64(out.size):
            out[i] = one(x[i], alpha, beta)

    def wide_binary(x, y, out, head, alpha, beta):
        i, whole = place_of(out.size, head)
        if whole:
            x0, x1, x2, x3 = load4(x, i)
            y0, y1, y2, y3 = load4(y, i)
            x0, x1 = two(x0, y0, alpha, beta), two(x1, y1, alpha, beta)
            store4(out, i, x0, x1, two(x2, y2, alpha, beta), two(x3, y3, alpha, beta))
        elif i < uint64(out.size):
            out[i] = two(x[i], y[i], alpha, beta)

    return wide_unary if inputs == 1 else wide_binary


def with_two_scalars(function: Any, scalars: int) -> tuple[Any, Any]:
    """A function of one item, and of two, that takes two scalars whatever ``function`` takes."""
    if scalars == 0:
        one = cuda.jit(device=True)(lambda x, alpha, beta: function(x))
        two = cuda.jit(device=True)(lambda x, y, alpha, beta: function(x, y))
    elif scalars == 1:
        one = cuda.jit(device=True)(lambda x, alpha, beta: function(x, alpha))
        two = cuda.jit(device=True)(lambda x, y, alpha, beta: function(x, y, alpha))
    else:
        one = two = function
    return one, two

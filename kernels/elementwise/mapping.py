"""Maps: ``out[i] = function(x[i], …)`` for a scalar device function, on arrays of any strides.

A :class:`Map` makes two kernels of its function:

* ``flat``: one thread per item of contiguous arrays; neighbouring threads touch neighbouring
  items, so every warp moves whole 32-byte sectors. It is limited by memory bandwidth alone.
* ``strided``: arrays of rank 4 with arbitrary strides (transposed, sliced, reversed, broadcast by
  stride 0). Threads run along the last axis; ``blockIdx.y`` counts the rows of the other three.

A function takes one or two items, then the scalar of the map if it has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from numba import cuda, types

from ..engine import Array, Kernel, ShapeError, kernel

THREADS = 256  # enough warps to hide latency, small enough for good occupancy on every GPU
ROW_THREADS = 32  # threads of the strided kernel: last axes are often short
MAX_GRID_Y = 65535
RANK = 4  # axes of the strided kernel; further leading axes are looped over on the host
MAX_RANK = 8


def _make_unary(function: Any, scalar: bool) -> tuple[Any, Any]:
    if scalar:

        def flat(x, alpha, out):
            i = cuda.grid(1)
            if i < out.size:
                out[i] = function(x[i], alpha)

        def strided(x, alpha, out):
            j = cuda.grid(1)
            _, n0, n1, n2, n3 = out.shape
            if j < n3:
                for row in range(cuda.blockIdx.y, n0 * n1 * n2, cuda.gridDim.y):
                    p, q, r = row // n2 // n1, row // n2 % n1, row % n2
                    out[0, p, q, r, j] = function(x[0, p, q, r, j], alpha)

        return flat, strided

    def flat(x, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = function(x[i])

    def strided(x, out):
        j = cuda.grid(1)
        _, n0, n1, n2, n3 = out.shape
        if j < n3:
            for row in range(cuda.blockIdx.y, n0 * n1 * n2, cuda.gridDim.y):
                p, q, r = row // n2 // n1, row // n2 % n1, row % n2
                out[0, p, q, r, j] = function(x[0, p, q, r, j])

    return flat, strided


def _make_binary(function: Any, scalar: bool) -> tuple[Any, Any]:
    if scalar:

        def flat(x, y, alpha, out):
            i = cuda.grid(1)
            if i < out.size:
                out[i] = function(x[i], y[i], alpha)

        def strided(x, y, alpha, out):
            j = cuda.grid(1)
            _, n0, n1, n2, n3 = out.shape
            if j < n3:
                for row in range(cuda.blockIdx.y, n0 * n1 * n2, cuda.gridDim.y):
                    p, q, r = row // n2 // n1, row // n2 % n1, row % n2
                    out[0, p, q, r, j] = function(x[0, p, q, r, j], y[0, p, q, r, j], alpha)

        return flat, strided

    def flat(x, y, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = function(x[i], y[i])

    def strided(x, y, out):
        j = cuda.grid(1)
        _, n0, n1, n2, n3 = out.shape
        if j < n3:
            for row in range(cuda.blockIdx.y, n0 * n1 * n2, cuda.gridDim.y):
                p, q, r = row // n2 // n1, row // n2 % n1, row % n2
                out[0, p, q, r, j] = function(x[0, p, q, r, j], y[0, p, q, r, j])

    return flat, strided


class Map:
    """Applies a scalar device function to each item of one or two arrays.

    Args:
        name: name of the op, also that of the kernels (``<name>_flat``, ``<name>_strided``).
        function: a ``cuda.jit(device=True)`` function of ``inputs`` items (and a scalar).
        inputs: number of input arrays, 1 or 2.
        scalar: the function takes a scalar as its last argument.

    Attributes:
        flat, strided: the two kernels.
    """

    __slots__ = ("name", "inputs", "scalar", "flat", "strided")

    def __init__(self, name: str, function: Any, inputs: int = 1, scalar: bool = False) -> None:
        make = _make_unary if inputs == 1 else _make_binary
        flat, strided = make(function, scalar)
        self.name, self.inputs, self.scalar = name, inputs, scalar
        self.flat: Kernel = _named(flat, f"{name}_flat")
        self.strided: Kernel = _named(strided, f"{name}_strided")

    def __call__(self, out: Array, *args: Any) -> Array:
        """Overwrite ``out`` with the map of ``args`` (input arrays, then the scalar).

        Inputs are broadcast to the shape of ``out``; an input may be ``out`` itself, because each
        thread reads only the items at the place it writes.
        """
        shape = out.shape
        size = out.size
        if size == 0:
            return out
        arrays = args[: self.inputs]
        plain = out.is_contiguous
        for x in arrays:
            plain = plain and (x is out or (x.shape == shape and x.is_contiguous))
        if plain:
            if len(shape) != 1:
                args = (*[x.reshape(size) for x in arrays], *args[self.inputs :])
            self.flat[(size + THREADS - 1) // THREADS, THREADS](
                *args, out if len(shape) == 1 else out.reshape(size)
            )
            return out
        for views in _rank_four(out, arrays):
            target = views[-1]
            rows = target.shape[1] * target.shape[2] * target.shape[3]
            blocks = (target.shape[4] + ROW_THREADS - 1) // ROW_THREADS
            self.strided[(blocks, min(rows, MAX_GRID_Y)), ROW_THREADS](
                *views[:-1], *args[self.inputs :], target
            )
        return out

    def signatures(self, *dtypes: Any) -> tuple[tuple[Kernel, tuple[Any, ...]], ...]:
        """Kernels with argument types for the compile gate, for each numba dtype in ``dtypes``."""
        found = []
        for dtype in dtypes or (types.float32, types.float64):
            scalar = (dtype,) if self.scalar else ()
            line, block = types.Array(dtype, 1, "C"), types.Array(dtype, 1 + RANK, "A")
            found.append((self.flat, (*[line] * self.inputs, *scalar, line)))
            found.append((self.strided, (*[block] * self.inputs, *scalar, block)))
        return tuple(found)


def _named(function: Callable[..., None], name: str) -> Kernel:
    """A kernel that profilers and error messages show under ``name``."""
    function.__name__ = function.__qualname__ = name
    return kernel(function)


def _rank_four(out: Array, inputs: tuple[Any, ...]) -> Iterator[list[Array]]:
    """Views (2, n0, n1, n2, n3) of the inputs, broadcast like ``out``, and of ``out``, the last.

    The first axis repeats the array by a stride of 0, and the kernels use index 0 of it. It makes
    every view, also that of a contiguous array, one of general layout for numba: otherwise each
    combination of contiguous and strided arguments would be compiled on its own.
    """
    shape = out.shape
    lead = max(len(shape) - RANK, 0)
    padded = (1,) * (RANK - len(shape)) + shape
    views = [x.broadcast_to(padded) for x in (*inputs, out)]
    for index in _indices(padded[:lead]):
        yield [x[index].broadcast_to((2, *padded[lead:])) for x in views]


def _indices(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if not shape:
        yield ()
        return
    for i in range(shape[0]):
        for rest in _indices(shape[1:]):
            yield (i, *rest)


def broadcast_shape(op: str, x: Array, y: Array) -> tuple[int, ...]:
    """Shape of ``x`` and ``y`` together by NumPy's rules; ShapeError if there is none."""
    a, b = x.shape, y.shape
    if a == b:
        shape = a
    else:
        rank = max(len(a), len(b))
        a = (1,) * (rank - len(a)) + a
        b = (1,) * (rank - len(b)) + b
        for s, t in zip(a, b):
            if s != t and s != 1 and t != 1:
                raise ShapeError(
                    f"{op}: y: shape {y.shape} given, expected one that broadcasts with "
                    f"shape {x.shape} of x"
                )
        shape = tuple(t if s == 1 else s for s, t in zip(a, b))
    require_rank(op, "x and y", shape)
    return shape


def require_rank(op: str, name: str, shape: tuple[int, ...]) -> None:
    """Raise ShapeError if ``shape`` has more axes than the launchers take."""
    if len(shape) > MAX_RANK:
        raise ShapeError(f"{op}: {name}: shape {shape} given, expected at most {MAX_RANK} axes")

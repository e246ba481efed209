"""Maps: ``out[i] = function(x[i], …)`` for a scalar device function, on arrays of any strides.

A :class:`Map` makes these kernels of its function:

* ``flat``: one thread per item of contiguous arrays; neighbouring threads touch neighbouring
  items, so every warp moves whole 32-byte sectors. It is limited by memory bandwidth alone.
* ``strided``: arrays of rank 4 with arbitrary strides (transposed, sliced, reversed, broadcast by
  stride 0). The grid has one dimension for each of the last three axes, so that no thread has to
  divide a flat index; threads run along the last one.
* ``wide``: contiguous float32 arrays on a GPU, four items to a thread; see :mod:`.wide`.
* ``broadcast``: on a GPU, operands that repeat in a contiguous float32 result; see
  :mod:`.wide_broadcast`. Made for the maps that broadcasting is common for.

A function takes one or two items, then the scalars of the map: none, one or two.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba import types

from ..engine import Array, Kernel, ShapeError, kernel
from ..engine.tuning import Choice
from .scalar import FACTORIES
from .wide import make_wide, shared_head, threads_of
from .wide_broadcast import broadcast_kernel, launch_broadcast

THREADS = 256  # enough warps to hide latency, small enough for good occupancy on every GPU
ROW_THREADS = 32  # threads of the strided kernel: last axes are often short
MAX_GRID = 65535  # most blocks in grid dimensions y and z; longer axes take several launches
RANK = 4  # axes of the strided kernel; further leading axes are looped over on the host
MAX_RANK = 8
NOTHING = np.float32(0.0)  # a scalar that the function of a wide kernel does not take
# Threads per block of the wide kernel; results do not depend on it.
WIDE_THREADS = Choice(
    "wide threads", lambda device, problem: (128, 256, 512), lambda device, problem: THREADS,
    sources=(__name__, make_wide.__module__),
)  # fmt: skip


class Map:
    """Applies a scalar device function to each item of one or two arrays.

    Args:
        name: name of the op, also that of the kernels (``<name>_flat``, ``<name>_strided``).
        function: a ``cuda.jit(device=True)`` function of ``inputs`` items (and scalars).
        inputs: number of input arrays, 1 or 2.
        scalars: how many scalars the function takes after the items, 0 to 2.
        broadcasts: make a kernel for operands that repeat.

    Attributes:
        flat, strided, wide, broadcast: the kernels; the last is None unless ``broadcasts``.
    """

    __slots__ = ("name", "inputs", "scalars", "flat", "strided", "wide", "broadcast")

    def __init__(
        self,
        name: str,
        function: Any,
        inputs: int = 1,
        scalars: int = 0,
        broadcasts: bool = False,
    ) -> None:
        flat, strided = FACTORIES[inputs, scalars](function)
        self.name, self.inputs, self.scalars = name, inputs, scalars
        self.flat: Kernel = _named(flat, f"{name}_flat")
        self.strided: Kernel = _named(strided, f"{name}_strided")
        self.wide: Kernel = _named(make_wide(function, inputs, scalars), f"{name}_wide")
        self.broadcast: Kernel | None = None
        if broadcasts:
            broadcast = f"{name}_broadcast_wide"
            self.broadcast = broadcast_kernel(broadcast, function, inputs, scalars)

    def __call__(self, out: Array, *args: Any) -> Array:
        """Overwrite ``out`` with the map of ``args`` (input arrays, then the scalars).

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
            target: Any = out
            if len(shape) != 1:
                if out.device.is_cpu:  # NumPy's own views take a tenth of the time of Array's
                    arrays = tuple([x.data.reshape(size) for x in arrays])
                    target = out.data.reshape(size)
                else:
                    arrays = tuple([x.reshape(size) for x in arrays])
                    target = out.reshape(size)
                args = arrays + args[self.inputs :]
            if out.device.kind == "cpu" or not self._launch_wide(target, args):
                self.flat[(size + THREADS - 1) // THREADS, THREADS](*args, target)
            return out
        if (
            out.device.kind != "cpu"
            and self.broadcast is not None
            and launch_broadcast(self.broadcast, out, arrays, *args[self.inputs :])
        ):
            return out
        for views in _rank_four(out, arrays):
            _, _, planes, rows, columns = views[-1].shape
            grid = ((columns + ROW_THREADS - 1) // ROW_THREADS, rows, planes)
            self.strided[grid, ROW_THREADS](*views[:-1], *args[self.inputs :], views[-1])
        return out

    def _launch_wide(self, out: Array, args: tuple[Any, ...]) -> bool:
        """Launch the wide kernel on contiguous arrays of one axis on a GPU, if it takes them."""
        head = shared_head(out, *args[: self.inputs])
        if head is None:
            return False
        scalars = (*args[self.inputs :], NOTHING, NOTHING)[:2]
        given = *args[: self.inputs], out, np.uint32(head), *scalars
        items = threads_of(out.size, head)

        def launch(threads: int) -> None:
            self.wide[(items + threads - 1) // threads, threads](*given)

        problem = self.name, out.size
        launch(WIDE_THREADS(out.device, problem, launch, updates=(out,)))  # may be an input, too
        return True

    def signatures(self, *dtypes: Any) -> tuple[tuple[Kernel, tuple[Any, ...]], ...]:
        """Kernels with argument types for the compile gate, for each numba dtype in ``dtypes``."""
        found = []
        for dtype in dtypes or (types.float32, types.float64):
            scalars = (dtype,) * self.scalars
            line, block = types.Array(dtype, 1, "C"), types.Array(dtype, 1 + RANK, "A")
            found.append((self.flat, (*[line] * self.inputs, *scalars, line)))
            found.append((self.strided, (*[block] * self.inputs, *scalars, block)))
            if dtype == types.float32:
                found.append((self.wide, (*[line] * (1 + self.inputs), types.uint32, dtype, dtype)))
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
    planes, rows = (range(0, size, MAX_GRID) for size in padded[-3:-1])
    for index in itertools.product(*map(range, padded[:lead]), planes, rows):
        *outer, plane, row = index
        part = (*outer, slice(None), slice(plane, plane + MAX_GRID), slice(row, row + MAX_GRID))
        parts = [x[part] for x in views]
        yield [x.broadcast_to((2, *x.shape)) for x in parts]


def fold(blocks: int) -> tuple[int, int]:
    """(y, z), within the limits of a grid, that hold ``blocks`` with fewer than z to spare."""
    z = (blocks + MAX_GRID - 1) // MAX_GRID
    return (blocks + z - 1) // z, z


def row_grid(rows: int, n: int) -> tuple[tuple[int, int, int], int]:
    """Grid and block for a block per row, or part of a row, of a table (rows, n).

    The row of a block is ``blockIdx.z * gridDim.y + blockIdx.y``: no thread divides, and all
    threads of a block share what they read of the row.
    """
    block = ROW_THREADS if n <= 2 * ROW_THREADS else 4 * ROW_THREADS
    return ((n + block - 1) // block, *fold(rows)), block


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

"""What the poolings share: planes, grids, the place of a thread, the check of gradients."""

from __future__ import annotations

import math

from numba import cuda

from .. import checks
from ..elementwise import copy
from ..engine import Array, ShapeError
from .windows import Windows

# Cells that get kernels of their own: halving an image, halving a sequence. Every other size would
# cost a compilation of its own for a layer that is seldom used.
COMPILED_CELLS = ((2, 2), (1, 2))
# Threads along the columns and rows of an image: few sizes, because each is compiled.
SMALL, NARROW, USUAL = (16, 8), (16, 16), (32, 8)
SHORT_LINE, LINE = (16, 1), (128, 1)

Dim = tuple[int, int, int]


def planes(x: Array) -> Array:
    """``x`` (..., h, w) as a contiguous (planes, h, w)."""
    h, w = x.shape[-2:]
    if not x.is_contiguous:
        x = copy(x)
    return x.reshape((math.prod(x.shape[:-2]), h, w))


def over(shape: tuple[int, ...]) -> tuple[Dim, tuple[int, int]]:
    """Grid and block for one thread per element of an image of (planes, h, w); see `place`."""
    count, h, w = shape
    narrow = w <= NARROW[0]
    if h == 1:
        block = SHORT_LINE if narrow else LINE
    elif narrow:
        block = SMALL if h <= SMALL[1] else NARROW
    else:
        block = USUAL
    # Only the first axis of a grid may be longer than 65535.
    return (count, -(-w // block[0]), -(-h // block[1])), block


@cuda.jit(device=True)
def place():
    """Plane, row and column of the element that this thread works on."""
    row = cuda.blockIdx.z * cuda.blockDim.y + cuda.threadIdx.y
    column = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    return cuda.blockIdx.x, row, column


def require_image(op: str, name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of a shape (..., h, w).

    Raises:
        ShapeError: it has fewer than two axes.
    """
    if len(shape) < 2:
        raise ShapeError(f"{op}: {name}: shape {shape} given, expected (..., h, w)")
    return shape[-2], shape[-1]


def require_result(op: str, dy: Array, shape: tuple[int, ...], found: Windows) -> None:
    """Raise unless ``dy`` is a float array in the shape of the result."""
    checks.require_float(op, "dy", dy)
    checks.require_shape(op, "dy", dy, (*shape[:-2], *found.size))

"""What the launchers of the poolings share: planes, grids and the check of gradients."""

from __future__ import annotations

import math

from .. import checks
from ..elementwise import copy
from ..engine import Array, ShapeError
from .windows import Windows

# Cells that get kernels of their own: halving an image, halving a sequence. Every other size would
# cost a compilation of its own for a layer that is seldom used.
COMPILED_CELLS = ((2, 2), (1, 2))
# Planes that run next to each other; a thread loops over the rest.
MOST_PLANES = 512
# Threads along the columns and rows of an image, by its width: few sizes, each is compiled.
NARROW, USUAL, LINE = (16, 8), (32, 8), 128

Dim = tuple[int, int, int]


def planes(x: Array) -> Array:
    """``x`` (..., h, w) as a contiguous (planes, h, w)."""
    h, w = x.shape[-2:]
    if not x.is_contiguous:
        x = copy(x)
    return x.reshape((math.prod(x.shape[:-2]), h, w))


def over(shape: tuple[int, ...]) -> tuple[Dim, tuple[int, int]]:
    """Grid and block for one thread per element of an image of (planes, h, w)."""
    count, h, w = shape
    block = NARROW if w <= NARROW[0] else USUAL
    if h == 1:
        block = (block[0] if w <= block[0] else LINE, 1)
    grid = (-(-w // block[0]), -(-h // block[1]), min(count, MOST_PLANES))
    return grid, block


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

"""Launcher of the matrix product: checks, the choice of a tile, and the gradient."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from numba import float32, float64

from ..checks import (
    FLOAT32,
    require_apart,
    require_float,
    require_like,
    require_ndim,
    require_option,
    require_out,
    require_shape,
)
from ..elementwise import copy
from ..elementwise.mapping import fold
from ..engine import CPU, Array, Device, Kernel, ShapeError, cached_constant, empty, zeros
from ..engine.tuning import Choice, on_change
from . import large, precision
from .kernels import ACTIVATIONS, TILE, make_matmul

FLAGS = (False, True)
BLOCK = (TILE, TILE)
MOST_FOUND = 4096  # products remembered before they are forgotten
MAX_GRID_Y = 65535  # most blocks in grid dimensions y and z

# Items per thread and axis -> time of one block, relative to the others of the table. A larger tile
# takes less time for each item, but there are fewer blocks to keep the processors busy: the
# launcher takes the tile whose rounds of blocks take least time in all. The times on a CPU are
# measured (64x128x784 and 128x784x64). Those on a GPU are NOT measured: they are reasoned from the
# reads of shared memory, which are 2 S for S² multiply-adds, and wait for a GPU to correct them.
GPU_TILES = {1: 1.0, 2: 2.7, 4: 9.0}
CPU_TILES = {2: 1.0, 4: 3.2}
SMALLER = tuple(GPU_TILES.items())  # the tiles with which ``large.pays`` compares the large one


def matmul(
    a: Array,
    b: Array,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: Array | None = None,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """``activation(a b + bias)`` of two matrices, in one kernel.

    Args:
        a: (m, k), or (k, m) if ``transpose_a``; float32 or float64.
        b: (k, n), or (n, k) if ``transpose_b``; dtype and device of a.
        transpose_a, transpose_b: use the transpose of the matrix given. Costs nothing, just like
            passing ``x.T``; matrices that are neither contiguous nor the transpose of a contiguous
            one are copied first.
        bias: (n,), added to each row, or None.
        activation: None, ``"relu"``, ``"sigmoid"``, ``"tanh"``, ``"gelu"`` or ``"silu"``.
        out: (m, n), contiguous, apart from the memory of the other arguments: receives the result.

    Returns:
        ``out``, or a new array (m, n). With k = 0 every sum is 0.

    Raises:
        ShapeError: an argument has not two axes, or the sizes do not agree.
        DtypeError: a is not a float array, or another argument has another dtype.
        DeviceError: the arguments are on several devices.
        ArgumentError: an option is none of those named here, or ``out`` overlaps an argument.
    """
    key = None if out is not None else _key(a, b, transpose_a, transpose_b, bias, activation)
    found = None if key is None else _found.get(key)
    if found is not None:  # such a product has been checked before
        c = empty(found.shape, a.dtype, a.device)
        found.launch(a, b, found.no_bias if bias is None else bias, c)
        return c
    require_float("matmul", "a", a)
    require_like("matmul", "b", b, "a", a)
    require_ndim("matmul", "a", a, 2)
    require_ndim("matmul", "b", b, 2)
    require_option("matmul", "transpose_a", transpose_a, FLAGS)
    require_option("matmul", "transpose_b", transpose_b, FLAGS)
    require_option("matmul", "activation", activation, ACTIVATIONS)
    k, m = a.shape if transpose_a else a.shape[::-1]
    n, k_of_b = b.shape if transpose_b else b.shape[::-1]
    if k != k_of_b:
        raise ShapeError(
            f"matmul: b: shape {b.shape}{' transposed' * transpose_b} given, expected {k} rows "
            f"to multiply with a of shape {a.shape}{' transposed' * transpose_a}"
        )
    if bias is not None:
        require_like("matmul", "bias", bias, "a", a)
        require_shape("matmul", "bias", bias, (n,))
    c = require_out("matmul", out, (m, n), a.dtype, a.device)
    if out is not None:
        require_apart("matmul", out, a=a, b=b, bias=bias)
    if m == 0 or n == 0:
        return c
    is_plain = a.is_contiguous and b.is_contiguous and (bias is None or bias.is_contiguous)
    no_bias = None
    if bias is None:
        bias = no_bias = _no_bias(n, a.dtype, a.device)
    elif not bias.is_contiguous:
        bias = copy(bias)
    a, transpose_a = _stored(a, transpose_a)
    b, transpose_b = _stored(b, transpose_b)
    given = a, b, bias, c, transpose_a, transpose_b, activation
    problem = m, n, k, a.dtype.char, transpose_a, transpose_b, precision.kind()
    tile = TILES(c.device, problem, lambda tile: _launch(tile, k, *given), (c,))
    launch = _launch(tile, k, *given)
    if key is not None and is_plain and launch is not None:
        if len(_found) >= MOST_FOUND:
            _found.clear()
        _found[key] = _Found(launch, (m, n), no_bias)
    return c


def _launch(
    tile: Any,
    k: int,
    a: Array,
    b: Array,
    bias: Array,
    c: Array,
    transpose_a: bool,
    transpose_b: bool,
    activation: str | None,
) -> Any:
    """Compute a product by one of the tiles.

    Returns:
        The launch, so that it can be repeated; None if that takes more than one.
    """
    m, n = c.shape
    if tile == LARGE or (tile == RULE and large.pays(m, n, k, a.dtype, a.device, SMALLER)):
        large.launch(a, b, bias, c, transpose_a, transpose_b, activation)
        return None
    items = 0 if tile == RULE else tile
    chosen, grid = _plan(m, n, a.dtype, a.device, transpose_a, transpose_b, activation, items)
    launch = chosen[grid, BLOCK]
    launch(a, b, bias, c)
    return launch


def _tiles(device: Device, problem: Any) -> tuple[Any, ...]:
    """Tiles of items to a thread, and the large one; those of one precision alone."""
    m, n, k, dtype, *_, kind = problem
    if kind is not None and not device.is_cpu:
        return ()
    fits = large.fits(m, n, k, dtype, device)
    return (*(CPU_TILES if device.is_cpu else GPU_TILES), *[LARGE] * fits)


# By rule, the one that finishes first by the figures above. Another order of the sums changes a
# result by much less than a missing tile does.
RULE, LARGE = "rule", "large"
TILES = Choice(
    "matmul tile", _tiles, lambda device, problem: RULE,
    sources=(__name__, f"{__package__}.kernels", f"{__package__}.sgemm"), tolerance=1e-3,
)  # fmt: skip


class _Found(NamedTuple):
    """How a product on the CPU is computed: the launch, the shape of c, zeros if it has no bias."""

    launch: Any
    shape: tuple[int, int]
    no_bias: Array | None


_found: dict[Any, _Found] = {}
on_change(lambda: _found.clear())


def _key(
    a: Any, b: Any, transpose_a: Any, transpose_b: Any, bias: Any, activation: Any
) -> tuple[Any, ...] | None:
    """All that decides about a product of arrays on the CPU, None for those of other places.

    The small products of a training step take a few microseconds, as do the checks of their
    arguments: what has passed them once, and needs no copy, passes by this key.
    """
    if not type(a) is type(b) is Array or not a.device is b.device is CPU:
        return None
    if bias is not None and (type(bias) is not Array or bias.device is not CPU):
        return None
    if not type(transpose_a) is type(transpose_b) is bool:
        return None
    if activation is not None and type(activation) is not str:
        return None
    key = a.kind, a.shape, b.kind, b.shape, transpose_a, transpose_b, activation
    return key if bias is None else (*key, bias.kind, bias.shape)


def matmul_backward(
    dy: Array, a: Array, b: Array, *, transpose_a: bool = False, transpose_b: bool = False
) -> tuple[Array, Array]:
    """Gradients of the plain product for a and b, each in the shape in which it was given.

    For ``y = a b``: ``da = dy bᵀ`` and ``db = aᵀ dy``, and their transposes where a or b was.
    """
    if transpose_a:
        da = matmul(b, dy, transpose_a=transpose_b, transpose_b=True)
    else:
        da = matmul(dy, b, transpose_b=not transpose_b)
    if transpose_b:
        db = matmul(dy, a, transpose_a=True, transpose_b=transpose_a)
    else:
        db = matmul(a, dy, transpose_a=not transpose_a)
    return da, db


def _stored(x: Array, transpose: bool) -> tuple[Array, bool]:
    """A C-contiguous array and whether to transpose it, equal to ``x`` and ``transpose``."""
    if x.is_contiguous:
        return x, transpose
    if x.T.is_contiguous:
        return x.T, not transpose
    return copy(x), transpose


@cached_constant(64)
def _no_bias(n: int, dtype: Any, device: Device) -> Array:
    """A bias of zeros: adding it is cheaper than a second kernel for products without bias."""
    return zeros((n,), dtype, device)


@functools.lru_cache(maxsize=1024)
def _plan(
    m: int,
    n: int,
    dtype: Any,
    device: Device,
    transpose_a: bool,
    transpose_b: bool,
    activation: str | None,
    items: int,
) -> tuple[Kernel, tuple[int, int, int]]:
    """Kernel and grid for a product of this size; 0 items: as :func:`choose_items` says."""
    tiles = CPU_TILES if device.is_cpu else GPU_TILES
    items = items or choose_items(m, n, tiles, device.processors)
    width = items * TILE
    real = float32 if dtype == FLOAT32 else float64
    grid = ((n + width - 1) // width, *fold((m + width - 1) // width))
    return make_matmul(real, items, transpose_a, transpose_b, activation), grid


def choose_items(
    m: int, n: int, tiles: dict[int, float], processors: int, products: int = 1
) -> int:
    """Items per thread and axis: the tile that finishes (m, n) first on so many processors."""

    def time(items: int) -> float:
        width = items * TILE
        blocks = products * ((m + width - 1) // width) * ((n + width - 1) // width)
        return (blocks + processors - 1) // processors * tiles[items]

    return min(sorted(tiles), key=time)

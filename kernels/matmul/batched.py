"""Products of many matrices of one size, ``c[p] = a[p] b[p]``, in one launch.

* :func:`make_bmm`: the kernel of :func:`~nnlite.kernels.matmul.kernels.make_matmul`, with the same
  tiles and storage orders, without bias and activation. The third dimension of the grid runs over
  the products; a factor that all of them share is stored once and read with a step of 0.

Gradients, with the transposes taken by the kernel while it reads:

    da[p] = dc[p] b[p]ᵀ,   db[p] = a[p]ᵀ dc[p]         summed over p for a shared factor
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64, int64, types

from ..checks import (
    FLOAT32,
    require_float,
    require_like,
    require_ndim,
    require_option,
    require_shape,
)
from ..elementwise import copy
from ..engine import ArgumentError, Array, Device, DtypeError, Kernel, ShapeError, empty, kernel
from ..opspec import Arg, OpSpec, Tolerance, Wrong
from .kernels import HALF, PADDING, TILE
from .launcher import BLOCK, CPU_TILES, FLAGS, GPU_TILES, MAX_GRID_Y, choose_items


def bmm_reference(
    a: np.ndarray, b: np.ndarray, transpose_a: bool = False, transpose_b: bool = False
) -> np.ndarray:
    return (a.swapaxes(1, 2) if transpose_a else a) @ (b.swapaxes(1, 2) if transpose_b else b)


@functools.cache
def make_bmm(real: Any, items: int, transpose_a: bool, transpose_b: bool) -> Kernel:
    """The kernel for one dtype and storage order; arguments as of ``make_matmul``.

    Returns:
        A kernel of (a, b, step_a, step_b, c): c (p, m, n), and a and b with one matrix for each
        of the p, or with a single one and a step of 0. The grid is (tiles along n, tiles along
        m, at most p).
    """
    S, T = items, TILE
    WIDTH = S * T
    A_SHAPE = (T, WIDTH) if transpose_a else (WIDTH, T)
    B_SHAPE = (T, WIDTH + PADDING) if transpose_b else (T, WIDTH)

    @kernel
    def bmm(a, b, step_a, step_b, c):
        a_tile = cuda.shared.array(A_SHAPE, real)
        b_tile = cuda.shared.array(B_SHAPE, real)
        total = cuda.local.array((S, S), real)
        tx = cuda.threadIdx.x
        ty = cuda.threadIdx.y
        row0 = cuda.blockIdx.y * WIDTH
        column0 = cuda.blockIdx.x * WIDTH
        m, n = c.shape[1], c.shape[2]
        k = a.shape[1] if transpose_a else a.shape[2]
        for p in range(cuda.blockIdx.z, c.shape[0], cuda.gridDim.z):
            pa, pb = p * step_a, p * step_b
            for i in range(S):
                for j in range(S):
                    total[i, j] = real(0.0)
            for k0 in range(0, k, T):
                for s in range(0, WIDTH, T):
                    # tx runs along the rows of a and b as they are stored: coalesced reads.
                    if transpose_a:
                        q, row = k0 + ty, row0 + s + tx
                        a_tile[ty, s + tx] = a[pa, q, row] if row < m and q < k else real(0.0)
                    else:
                        q, row = k0 + tx, row0 + s + ty
                        a_tile[s + ty, tx] = a[pa, row, q] if row < m and q < k else real(0.0)
                    if transpose_b:
                        q, col = k0 + tx, column0 + s + ty
                        b_tile[tx, s + ty] = b[pb, col, q] if col < n and q < k else real(0.0)
                    else:
                        q, col = k0 + ty, column0 + s + tx
                        b_tile[ty, s + tx] = b[pb, q, col] if col < n and q < k else real(0.0)
                cuda.syncthreads()
                for q0 in range(0, T, HALF):
                    for q in range(q0, q0 + HALF):
                        for i in range(S):
                            x = a_tile[q, i * T + ty] if transpose_a else a_tile[i * T + ty, q]
                            for j in range(S):
                                total[i, j] += x * b_tile[q, j * T + tx]
                cuda.syncthreads()
            for i in range(S):
                for j in range(S):
                    row = row0 + i * T + ty
                    col = column0 + j * T + tx
                    if row < m and col < n:
                        c[p, row, col] = total[i, j]

    return bmm


def bmm(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """The products ``a[p] b[p]``.

    Args:
        a: (p, m, k), or (p, k, m) if ``transpose_a``; float32 or float64. With a first axis of
            size 1, all products share the matrix.
        b: (p, k, n), or (p, n, k) if ``transpose_b``; dtype and device of a; shared like a.
        transpose_a, transpose_b: use the transposes of the matrices given. Costs nothing, just
            like passing views with the last two axes swapped.

    Returns:
        A new array (p, m, n). With k = 0 every sum is 0.

    Raises:
        ShapeError: an argument has not three axes, or the sizes do not agree.
        DtypeError: a is not a float array, or b has another dtype.
        DeviceError: the arguments are on several devices.
        ArgumentError: a flag is not a boolean.
    """
    require_float("bmm", "a", a)
    require_like("bmm", "b", b, "a", a)
    require_ndim("bmm", "a", a, 3)
    require_ndim("bmm", "b", b, 3)
    require_option("bmm", "transpose_a", transpose_a, FLAGS)
    require_option("bmm", "transpose_b", transpose_b, FLAGS)
    k, m = a.shape[1:] if transpose_a else a.shape[:0:-1]
    n, k_of_b = b.shape[1:] if transpose_b else b.shape[:0:-1]
    pa, pb = a.shape[0], b.shape[0]
    if k != k_of_b or (pa != pb and pa != 1 and pb != 1):
        raise ShapeError(
            f"bmm: b: shape {b.shape}{' transposed' * transpose_b} given, expected {pa} matrices, "
            f"or 1, of {k} rows to multiply with a of shape {a.shape}{' transposed' * transpose_a}"
        )
    p = pb if pa == 1 else pa
    c = empty((p, m, n), a.dtype, a.device)
    if c.size == 0:
        return c
    a, transpose_a = _stored(a, transpose_a)
    b, transpose_b = _stored(b, transpose_b)
    launch, grid = _plan(p, m, n, a.dtype, a.device, transpose_a, transpose_b)
    launch[grid, BLOCK](a, b, np.int64(pa != 1), np.int64(pb != 1), c)
    return c


def bmm_backward(dc: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Gradients of the plain :func:`bmm` for a and b, unsummed where a factor is shared: (p, …)."""
    require_like("bmm_backward", "dc", dc, "a", a)
    p = b.shape[0] if a.shape[0] == 1 else a.shape[0]
    require_shape("bmm_backward", "dc", dc, (p, a.shape[1], b.shape[2]))
    return bmm(dc, b, transpose_b=True), bmm(a, dc, transpose_a=True)


def _stored(x: Array, transpose: bool) -> tuple[Array, bool]:
    """A C-contiguous array and whether to transpose it, equal to ``x`` and ``transpose``."""
    if x.is_contiguous:
        return x, transpose
    turned = x.transpose(0, 2, 1)
    return (turned, not transpose) if turned.is_contiguous else (copy(x), transpose)


@functools.lru_cache(maxsize=1024)
def _plan(
    p: int,
    m: int,
    n: int,
    dtype: Any,
    device: Device,
    transpose_a: bool,
    transpose_b: bool,
) -> tuple[Kernel, tuple[int, int, int]]:
    """Kernel and grid for p products of this size."""
    tiles = CPU_TILES if device.is_cpu else GPU_TILES
    items = choose_items(m, n, tiles, device.processors, p)
    width = items * TILE
    real = float32 if dtype == FLOAT32 else float64
    rows = (m + width - 1) // width
    if rows > MAX_GRID_Y:
        raise ShapeError(f"bmm: a: {m} rows given, expected at most {MAX_GRID_Y * width}")
    grid = ((n + width - 1) // width, rows, min(p, MAX_GRID_Y))
    return make_bmm(real, items, transpose_a, transpose_b), grid


def _vjp(
    dc: Array, a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False
) -> tuple[Array, Array]:
    da, db = bmm_backward(
        dc,
        a.transpose(0, 2, 1) if transpose_a else a,
        b.transpose(0, 2, 1) if transpose_b else b,
    )
    return (
        da.transpose(0, 2, 1) if transpose_a else da,
        db.transpose(0, 2, 1) if transpose_b else db,
    )


def _configure(integer: Any) -> Any:
    """Sizes around the tiles, in every storage order."""
    near = (integer(0, 9), integer(15, 17), integer(31, 33))
    m, k, n = (near[integer(0, 2)] for _ in range(3))
    ta, tb = bool(integer(0, 1)), bool(integer(0, 1))
    a, b = ((k, m) if ta else (m, k)), ((n, k) if tb else (k, n))
    sizes = {"p": integer(0, 4), "a1": a[0], "a2": a[1], "b1": b[0], "b2": b[1]}
    return sizes, {"transpose_a": ta, "transpose_b": tb}


def _magnitude(a: np.ndarray, b: np.ndarray, **flags: Any) -> np.ndarray:
    return bmm_reference(np.abs(a), np.abs(b), **flags)


def _terms(a: np.ndarray, b: np.ndarray, transpose_a: bool = False, **flags: Any) -> int:
    return a.shape[1] if transpose_a else a.shape[2]


def _signatures() -> tuple[Any, ...]:
    found = []
    for real in (types.float32, types.float64):
        block = types.Array(real, 3, "C")
        for items in sorted({*GPU_TILES, *CPU_TILES}):
            for ta in FLAGS:
                for tb in FLAGS:
                    found.append(
                        (make_bmm(real, items, ta, tb), (block, block, int64, int64, block))
                    )
    return tuple(found)


_A, _B = np.ones((2, 3, 4), np.float32), np.ones((2, 4, 5), np.float32)

SPECS: tuple[OpSpec, ...] = (
    OpSpec(
        name="bmm",
        forward=bmm,
        reference=bmm_reference,
        args=(Arg("a", "p a1 a2"), Arg("b", "p b1 b2")),
        vjp=_vjp,
        magnitude=_magnitude,
        tolerance=Tolerance(terms=_terms),
        wrong=(
            Wrong((_A, _B[:, :3]), ShapeError, r"b: shape \(2, 3, 5\) given, expected 2 matrices"),
            Wrong((_A, _B.repeat(2, 0)), ShapeError, r"b: shape \(4, 4, 5\) given"),
            Wrong((_A[0], _B), ShapeError, r"a: shape \(3, 4\) given, expected 3 axes"),
            Wrong((_A, _B[0]), ShapeError, r"b: shape \(4, 5\) given, expected 3 axes"),
            Wrong((_A, _B.astype(np.float64)), DtypeError, "b: dtype float64 given"),
            Wrong((_A.astype(int), _B), DtypeError, "a: dtype int64 given"),
            Wrong((_A, _B), ArgumentError, "transpose_b: 1 given", {"transpose_b": 1}),
        ),
        kernels=_signatures(),
        configure=_configure,
    ),
)

"""Rows of a table by their numbers: embedding, its gradient, and one-hot codes.

    y[i, :] = table[index[i], :],     dtable[r, :] = sum over i with index[i] = r of dy[i, :]
    one_hot[i, j] = 1 if j = index[i] else 0

Kernels, with neighbouring threads on neighbouring columns:

* ``embedding_kernel``: a block for each number, or for a part of its row.
* ``embedding_backward_kernel``: each block owns a slice of the rows of the table and some of its
  columns. It walks over all numbers in order and adds those dy that belong to its rows: every item
  of dtable is summed by one thread, in the order of i, so results repeat bit for bit, whatever the
  number of slices. (Atomic additions would not; sorting the numbers first would take more passes.)
* ``one_hot_kernel``: one thread per item of the result.

A number outside the table gives a row of NaN on a GPU, where numbers are not read back to check
them, and an error on the CPU; no memory outside the table is touched.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, float64, int32, int64, types

from .. import checks
from ..elementwise import copy
from ..elementwise.mapping import require_rank, row_grid
from ..engine import ArgumentError, Array, DtypeError, ShapeError, empty, kernel, zeros
from ..opspec import Arg, OpSpec, Tolerance, Wrong

WIDTHS = (32, 64, 128)  # columns of a block of the gradient: the first that holds all
# Slices of the table: enough blocks for a GPU, whose time is not measured; on a CPU one for each
# thread, as each slice costs a walk over the numbers.
GPU_SLICES = 64
LINE = 256
NO_PADDING = -1


def embedding_reference(
    table: np.ndarray, index: np.ndarray, padding_idx: int | None = None
) -> np.ndarray:
    if index.size and (index.min() < 0 or index.max() >= len(table)):
        raise ValueError("number outside the table")
    return table[index]


def embedding_backward_reference(
    dy: np.ndarray, table: np.ndarray, index: np.ndarray, padding_idx: int | None = None
) -> np.ndarray:
    v = len(table)
    if padding_idx is not None and not -v <= padding_idx < v:
        raise ValueError("no such row")
    if index.size and (index.min() < 0 or index.max() >= v):
        raise ValueError("number outside the table")
    dtable = np.zeros_like(table)
    np.add.at(dtable, index, dy)
    if padding_idx is not None:
        dtable[padding_idx] = 0
    return dtable


def one_hot_reference(index: np.ndarray, num_classes: int) -> np.ndarray:
    if index.size and (index.min() < 0 or index.max() >= num_classes):
        raise ValueError("number outside the classes")
    return (index[..., None] == np.arange(num_classes)).astype(np.int64)


@functools.cache
def embedding_kernel(real: Any) -> Any:
    """The kernel for numba's float32 or float64."""

    @kernel
    def embedding(table, index, y):  # table: (v, d), index: (n,), y: (n, d)
        column = cuda.grid(1)
        i = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
        if i < y.shape[0] and column < y.shape[1]:
            row = index[i]
            if row >= 0 and row < table.shape[0]:
                y[i, column] = table[row, column]
            else:
                y[i, column] = real(math.nan)

    return embedding


@kernel
def embedding_backward_kernel(dy, index, padding, chunk, dtable):
    """dy (n, d), index (n,), dtable (v, d) of zeros; block (x, s): rows s*chunk onwards."""
    column = cuda.grid(1)
    low = cuda.blockIdx.y * chunk
    high = min(low + chunk, dtable.shape[0])
    if column < dy.shape[1]:
        for i in range(dy.shape[0]):
            row = index[i]
            if row >= low and row < high and row != padding:
                dtable[row, column] += dy[i, column]


@kernel
def one_hot_kernel(index, y):  # index: (n,), y: (n, c)
    i = cuda.grid(1)
    c = y.shape[1]
    if i < y.shape[0] * c:
        row = i // c
        j = i - row * c
        y[row, j] = int64(1) if index[row] == j else int64(0)


_KERNELS = {
    checks.FLOAT32: embedding_kernel(float32),
    checks.FLOAT64: embedding_kernel(float64),
}


def embedding(table: Array, index: Array, padding_idx: int | None = None) -> Array:
    """The rows of ``table`` with the numbers ``index``.

    Args:
        table: (v, d), any strides; float32 or float64.
        index: int32 or int64 of rank 7 at most, any strides, each number in ``[0, v)``.
        padding_idx: number of a row whose gradient is 0 (for :func:`embedding_backward`).

    Returns:
        A new array (*index.shape, d).

    Raises:
        DtypeError, ShapeError, DeviceError: the arguments do not fit each other.
        ArgumentError: there is no row ``padding_idx``; on the CPU, a number outside ``[0, v)``.
    """
    _check("embedding", table, index, padding_idx)
    n, d = index.size, table.shape[1]
    y = empty((*index.shape, d), table.dtype, table.device)
    if n and d:
        source = table if table.is_contiguous else copy(table)
        _KERNELS[table.dtype][row_grid(n, d)](source, _line(index), y.reshape((n, d)))
    return y


def embedding_backward(
    dy: Array, table: Array, index: Array, padding_idx: int | None = None
) -> Array:
    """Gradient of :func:`embedding` for the table; ``dy`` has the shape of the output."""
    op = "embedding_backward"
    _check(op, table, index, padding_idx)
    v, d = table.shape
    checks.require_like(op, "dy", dy, "table", table)
    checks.require_shape(op, "dy", dy, (*index.shape, d))
    dtable = zeros((v, d), table.dtype, table.device)
    n = index.size
    if n and d:
        slices = min(v, table.device.processors if table.device.is_cpu else GPU_SLICES)
        chunk = -(-v // slices)
        dense = dy if dy.is_contiguous else copy(dy)
        padding = np.int64(NO_PADDING if padding_idx is None else padding_idx % v)
        block = next((size for size in WIDTHS if d <= size), WIDTHS[-1])
        embedding_backward_kernel[(-(-d // block), slices), block](
            dense.reshape((n, d)), _line(index), padding, np.int64(chunk), dtable
        )
    return dtable


def one_hot(index: Array, num_classes: int) -> Array:
    """One-hot codes: 1 at the number, 0 elsewhere.

    Args:
        index: int32 or int64 of rank 7 at most, each number in ``[0, num_classes)``.
        num_classes: how many classes.

    Returns:
        A new int64 array (*index.shape, num_classes).

    Raises:
        DtypeError: index are not int32 or int64.
        ShapeError: index has more than 7 axes.
        ArgumentError: ``num_classes`` is not an integer >= 0; on the CPU, a number is outside (on
            a GPU, its code is all zeros).
    """
    checks.require_index("one_hot", "index", index)
    whole = isinstance(num_classes, (int, np.integer)) and not isinstance(num_classes, bool)
    if not whole or num_classes < 0:
        raise ArgumentError(
            f"one_hot: num_classes: {num_classes!r} given, expected an integer >= 0"
        )
    shape = (*index.shape, int(num_classes))
    require_rank("one_hot", "index", shape)
    _require_inside("one_hot", index, shape[-1])
    y = empty(shape, np.int64, index.device)
    n = index.size
    if y.size:
        one_hot_kernel[-(-y.size // LINE), LINE](_line(index), y.reshape((n, shape[-1])))
    return y


def _check(op: str, table: Array, index: Array, padding_idx: int | None) -> None:
    checks.require_float(op, "table", table)
    checks.require_ndim(op, "table", table, 2)
    checks.require_index(op, "index", index)
    checks.same_device(op, table=table, index=index)
    v = table.shape[0]
    require_rank(op, "index", (*index.shape, 1))
    if padding_idx is not None:
        whole = isinstance(padding_idx, (int, np.integer)) and not isinstance(padding_idx, bool)
        if not whole or not -v <= padding_idx < v:
            raise ArgumentError(
                f"{op}: padding_idx: {padding_idx!r} given, expected None or a row of {v}"
            )
    _require_inside(op, index, v)


def _require_inside(op: str, index: Array, count: int) -> None:
    """Raise ArgumentError if a number on the CPU is outside ``[0, count)``."""
    if index.size and index.device.is_cpu:
        found = index.data
        if int(found.min()) < 0 or int(found.max()) >= count:
            at = np.unravel_index(int(np.argmax((found < 0) | (found >= count))), found.shape)
            raise ArgumentError(
                f"{op}: index: {int(found[at])} given at {tuple(map(int, at))}, expected a "
                f"number in [0, {count})"
            )


def _line(index: Array) -> Array:
    return (index if index.is_contiguous else copy(index)).reshape((index.size,))


def _vjp(
    dy: Array, table: Array, index: Array, padding_idx: int | None = None
) -> tuple[Array, None]:
    return embedding_backward(dy, table, index, padding_idx), None


def _signatures() -> tuple[Any, ...]:
    found: list[Any] = []
    for real in (types.float32, types.float64):
        table = types.Array(real, 2, "C")
        for number in (int32, int64):
            line = types.Array(number, 1, "C")
            found.append((embedding_kernel(real), (table, line, table)))
            backward = (table, line, int64, int64, table)
            found.append((embedding_backward_kernel, backward))
    return tuple(found)


_TABLE = np.ones((4, 3), np.float32)
_INDEX = np.array([0, 3])
_CODES = tuple((one_hot_kernel, (types.Array(t, 1, "C"), int64[:, ::1])) for t in (int32, int64))

SPECS: tuple[OpSpec, ...] = (
    OpSpec(
        name="embedding",
        forward=embedding,
        reference=embedding_reference,
        args=(
            Arg("table", "v d"),
            Arg("index", "n m", kind="index", upper="v", differentiable=False),
        ),
        vjp=_vjp,
        tolerance=Tolerance(ulp=0.0),
        wrong=(
            Wrong((_TABLE, np.array([0, 4])), ArgumentError, r"index: 4 given at \(1,\)"),
            Wrong((_TABLE, np.array([[-1]])), ArgumentError, r"index: -1 given at \(0, 0\)"),
            Wrong((_TABLE[0], _INDEX), ShapeError, r"table: shape \(3,\) given"),
            Wrong((_TABLE.astype(int), _INDEX), DtypeError, "table: dtype int64 given"),
            Wrong((_TABLE, _INDEX * 1.0), DtypeError, "index: dtype float64 given"),
            Wrong((_TABLE, _INDEX), ArgumentError, "padding_idx: 4 given", {"padding_idx": 4}),
            Wrong((_TABLE, _INDEX), ArgumentError, "padding_idx: True", {"padding_idx": True}),
        ),
        kernels=_signatures(),
        block=32,
    ),
    OpSpec(
        name="one_hot",
        forward=one_hot,
        reference=one_hot_reference,
        args=(Arg("index", "n m", kind="index", upper="9", differentiable=False),),
        options={"num_classes": (9, 17)},
        wrong=(
            Wrong((_INDEX, 3), ArgumentError, r"index: 3 given at \(1,\), expected"),
            Wrong((_INDEX, -1), ArgumentError, "num_classes: -1 given, expected an integer"),
            Wrong((_INDEX, 4.0), ArgumentError, "num_classes: 4.0 given"),
            Wrong((_INDEX.astype(np.int16), 4), DtypeError, "index: dtype int16 given"),
            Wrong(([0, 1], 4), DtypeError, "index: list given"),
        ),
        kernels=_CODES,
        block=16,
    ),
)

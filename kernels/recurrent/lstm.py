"""Long short-term memory: the gates of one step, forward and backward, each as one kernel.

Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 1997, with the forget gate
of Gers et al. (2000), in the order of PyTorch (input, forget, cell, output)::

    a = gates_x + gates_h             gates_x = x W_ih^T + b_ih,  gates_h = h W_hh^T + b_hh
    i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o)            g = tanh(a_g)
    c' = f c + i g                    h' = o tanh(c')

    do = dh' tanh(c')                 dct = dc' + dh' o (1 - tanh(c')^2)
    da_i = dct g i (1 - i)            da_f = dct c f (1 - f)
    da_g = dct i (1 - g^2)            da_o = do o (1 - o)         dc = dct f

Kernels, each with one thread per unit; ``threadIdx.x`` runs along the units of a row:

- ``lstm_forward``: also keeps i, f, g, o.
- ``lstm_backward``: takes dh' in two parts, from the output and from the next step, and has dc
  updated in place.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda, float32

from ..activations.functions import sigmoid
from ..engine import Array, empty, kernel, zeros
from ..opspec import Arg, OpSpec, Tolerance
from .common import (
    BLOCK,
    check_gates,
    dense,
    grid_of,
    rows,
    sigmoid_reference,
    signatures,
    wrong_gates,
)

GATES = 4
KEPT = 4


def lstm_cell_reference(gates_x: np.ndarray, gates_h: np.ndarray, c_prev: np.ndarray) -> np.ndarray:
    """(2, n, m): the new hidden state and the new cell."""
    a = gates_x + gates_h
    i, f, o = (sigmoid_reference(a[:, k]) for k in (0, 1, 3))
    c = f * c_prev + i * np.tanh(a[:, 2])
    return np.stack([o * np.tanh(c), c])


@kernel
def lstm_forward(gates_x, gates_h, c_prev, kept, h, c):
    """gates_x, gates_h, kept (n, 4 m); c_prev, h, c (n, m)."""
    j, first = cuda.grid(2)
    n, m = c.shape
    if j < m:
        for row in range(first, n, cuda.gridDim.y * cuda.blockDim.y):
            i = sigmoid(gates_x[row, j] + gates_h[row, j])
            f = sigmoid(gates_x[row, m + j] + gates_h[row, m + j])
            g = math.tanh(gates_x[row, 2 * m + j] + gates_h[row, 2 * m + j])
            o = sigmoid(gates_x[row, 3 * m + j] + gates_h[row, 3 * m + j])
            kept[row, j] = i
            kept[row, m + j] = f
            kept[row, 2 * m + j] = g
            kept[row, 3 * m + j] = o
            new = f * c_prev[row, j] + i * g
            c[row, j] = new
            h[row, j] = o * math.tanh(new)


@kernel
def lstm_backward(dy, dh, dc, kept, c_prev, c, dgates):
    """dy, dh, dc, c_prev, c (n, m); kept, dgates (n, 4 m); dc becomes the gradient of c_prev."""
    j, first = cuda.grid(2)
    n, m = c.shape
    if j < m:
        for row in range(first, n, cuda.gridDim.y * cuda.blockDim.y):
            i = kept[row, j]
            f = kept[row, m + j]
            g = kept[row, 2 * m + j]
            o = kept[row, 3 * m + j]
            t = math.tanh(c[row, j])
            d = dy[row, j] + dh[row, j]
            one = float32(1.0)
            dct = dc[row, j] + d * o * ((one - t) * (one + t))
            dgates[row, j] = dct * g * (i * (one - i))
            dgates[row, m + j] = dct * c_prev[row, j] * (f * (one - f))
            dgates[row, 2 * m + j] = dct * i * ((one - g) * (one + g))
            dgates[row, 3 * m + j] = d * t * (o * (one - o))
            dc[row, j] = dct * f


def lstm_step(
    gates_x: Array, gates_h: Array, c_prev: Array, kept: Array, h: Array, c: Array
) -> None:
    """One step into ``kept``, ``h`` and ``c``: contiguous matrices, not checked."""
    n, m = c.shape
    if n and m:
        lstm_forward[grid_of(n, m), BLOCK](gates_x, gates_h, c_prev, kept, h, c)


def lstm_step_back(
    dy: Array, dh: Array, dc: Array, kept: Array, c_prev: Array, c: Array, dgates: Array
) -> None:
    """Gradients of one step into ``dgates`` and ``dc``: contiguous matrices, not checked."""
    n, m = c.shape
    if n and m:
        lstm_backward[grid_of(n, m), BLOCK](dy, dh, dc, kept, c_prev, c, dgates)


def lstm_cell(gates_x: Array, gates_h: Array, c_prev: Array) -> Array:
    """Hidden state and cell after one step.

    Args:
        gates_x, gates_h: (n, 4, m): what the input and the hidden state give to the gates i, f, g,
            o; float32 or float64.
        c_prev: (n, m), the cell before.

    Returns:
        A new array (2, n, m): the hidden state, then the cell.

    Raises:
        ShapeError, DtypeError, DeviceError: the arrays do not fit each other.
    """
    return _run(gates_x, gates_h, c_prev)[0]


def _run(gates_x: Array, gates_h: Array, c_prev: Array) -> tuple[Array, Array]:
    check_gates("lstm_cell", GATES, gates_x, gates_h, c_prev=c_prev)
    n, m = c_prev.shape
    y = empty((2, n, m), c_prev.dtype, c_prev.device)
    kept = empty((n, KEPT * m), c_prev.dtype, c_prev.device)
    lstm_step(rows(gates_x), rows(gates_h), dense(c_prev), kept, y[0], y[1])
    return y, kept


def lstm_cell_backward(
    dy: Array, gates_x: Array, gates_h: Array, c_prev: Array
) -> tuple[Array, Array, Array]:
    """Gradients of :func:`lstm_cell` for ``dy`` (2, n, m); the forward step is run again."""
    y, kept = _run(gates_x, gates_h, c_prev)
    n, m = c_prev.shape
    dy = dense(dy)
    dgates = empty((n, GATES * m), c_prev.dtype, c_prev.device)
    dc = dy[1].copy()
    none = zeros((n, m), c_prev.dtype, c_prev.device)
    lstm_step_back(dy[0], none, dc, kept, dense(c_prev), y[1], dgates)
    dgates = dgates.reshape((n, GATES, m))
    return dgates, dgates, dc


def _magnitude(gates_x: np.ndarray, gates_h: np.ndarray, c_prev: np.ndarray) -> np.ndarray:
    """|f c| + |i g| for the cell; for the hidden state what the error of the cell moves, too."""
    a = gates_x + gates_h
    i, f, o = (sigmoid_reference(a[:, k]) for k in (0, 1, 3))
    terms = np.abs(f * c_prev) + np.abs(i * np.tanh(a[:, 2]))
    h, c = lstm_cell_reference(gates_x, gates_h, c_prev)
    slope = np.where(np.isfinite(c), 1 - np.tanh(c) ** 2, 0.0)
    moved = np.where(slope > 0, o * slope * terms, 0.0)
    return np.stack([np.abs(h) + moved, terms])


_ARGS: tuple[Any, ...] = (Arg("gates_x", "n 4 m"), Arg("gates_h", "n 4 m"), Arg("c_prev", "n m"))

SPECS = (
    OpSpec(
        name="lstm_cell",
        forward=lstm_cell,
        reference=lstm_cell_reference,
        args=_ARGS,
        vjp=lstm_cell_backward,
        magnitude=_magnitude,
        # Rounding a sum a, |a| <= 8, moves sigmoid(a) by up to 4 ulp; sigmoid and tanh have 3 each.
        tolerance=Tolerance(ulp=16.0),
        wrong=wrong_gates("lstm_cell", GATES, "c_prev"),
        kernels=(*signatures(lstm_forward, 6), *signatures(lstm_backward, 7)),
        block=32,
    ),
)

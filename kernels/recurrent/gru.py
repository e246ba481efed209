"""Gated recurrent unit: the gates of one step, forward and backward, each as one kernel.

Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014, in the form and
order of PyTorch (reset, update, new)::

    gates_x = x W_ih^T + b_ih         gates_h = h W_hh^T + b_hh
    r = sigmoid(x_r + h_r)            z = sigmoid(x_z + h_z)          n = tanh(x_n + r h_n)
    h' = (1 - z) n + z h

    da_n = dh' (1 - z) (1 - n^2)      da_z = dh' (h - n) z (1 - z)    da_r = da_n h_n r (1 - r)
    dgates_x = (da_r, da_z, da_n)     dgates_h = (da_r, da_z, r da_n) dh = z dh' + dgates_h W_hh

Kernels, each with one thread per unit; ``threadIdx.x`` runs along the units of a row:

- ``gru_forward``: also keeps r, z, n, h_n.
- ``gru_backward``: takes dh' in three parts: from the output, through the gates of the next step,
  and past them; the last is updated in place.
"""

from __future__ import annotations

import math

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

GATES = 3
KEPT = 4


def gru_cell_reference(gates_x: np.ndarray, gates_h: np.ndarray, h_prev: np.ndarray) -> np.ndarray:
    """(n, m): the new hidden state."""
    r = sigmoid_reference(gates_x[:, 0] + gates_h[:, 0])
    z = sigmoid_reference(gates_x[:, 1] + gates_h[:, 1])
    n = np.tanh(gates_x[:, 2] + r * gates_h[:, 2])
    return (1 - z) * n + z * h_prev


@kernel
def gru_forward(gates_x, gates_h, h_prev, kept, h):
    """gates_x, gates_h (n, 3 m); kept (n, 4 m); h_prev, h (n, m)."""
    j, first = cuda.grid(2)
    n, m = h.shape
    if j < m:
        for row in range(first, n, cuda.gridDim.y * cuda.blockDim.y):
            r = sigmoid(gates_x[row, j] + gates_h[row, j])
            z = sigmoid(gates_x[row, m + j] + gates_h[row, m + j])
            through = gates_h[row, 2 * m + j]
            new = math.tanh(gates_x[row, 2 * m + j] + r * through)
            kept[row, j] = r
            kept[row, m + j] = z
            kept[row, 2 * m + j] = new
            kept[row, 3 * m + j] = through
            h[row, j] = (float32(1.0) - z) * new + z * h_prev[row, j]


@kernel
def gru_backward(dy, dh, past, kept, h_prev, dgates_x, dgates_h):
    """dy, dh, past, h_prev (n, m); kept (n, 4 m); dgates_x, dgates_h (n, 3 m)."""
    j, first = cuda.grid(2)
    n, m = h_prev.shape
    if j < m:
        for row in range(first, n, cuda.gridDim.y * cuda.blockDim.y):
            r = kept[row, j]
            z = kept[row, m + j]
            new = kept[row, 2 * m + j]
            one = float32(1.0)
            d = dy[row, j] + dh[row, j] + past[row, j]
            da_n = d * (one - z) * ((one - new) * (one + new))
            da_z = d * (h_prev[row, j] - new) * (z * (one - z))
            da_r = da_n * kept[row, 3 * m + j] * (r * (one - r))
            dgates_x[row, j] = da_r
            dgates_x[row, m + j] = da_z
            dgates_x[row, 2 * m + j] = da_n
            dgates_h[row, j] = da_r
            dgates_h[row, m + j] = da_z
            dgates_h[row, 2 * m + j] = r * da_n
            past[row, j] = d * z


def gru_step(gates_x: Array, gates_h: Array, h_prev: Array, kept: Array, h: Array) -> None:
    """One step into ``kept`` and ``h``: contiguous matrices, not checked."""
    n, m = h.shape
    if n and m:
        gru_forward[grid_of(n, m), BLOCK](gates_x, gates_h, h_prev, kept, h)


def gru_step_back(
    dy: Array,
    dh: Array,
    past: Array,
    kept: Array,
    h_prev: Array,
    dgates_x: Array,
    dgates_h: Array,
) -> None:
    """Gradients of one step into ``dgates_*`` and ``past``: contiguous matrices, not checked."""
    n, m = h_prev.shape
    if n and m:
        gru_backward[grid_of(n, m), BLOCK](dy, dh, past, kept, h_prev, dgates_x, dgates_h)


def gru_cell(gates_x: Array, gates_h: Array, h_prev: Array) -> Array:
    """Hidden state after one step.

    Args:
        gates_x, gates_h: (n, 3, m): what the input and the hidden state give to the gates r, z, n;
            float32 or float64.
        h_prev: (n, m), the hidden state before.

    Returns:
        A new array (n, m).

    Raises:
        ShapeError, DtypeError, DeviceError: the arrays do not fit each other.
    """
    return _run(gates_x, gates_h, h_prev)[0]


def _run(gates_x: Array, gates_h: Array, h_prev: Array) -> tuple[Array, Array]:
    check_gates("gru_cell", GATES, gates_x, gates_h, h_prev=h_prev)
    n, m = h_prev.shape
    y = empty((n, m), h_prev.dtype, h_prev.device)
    kept = empty((n, KEPT * m), h_prev.dtype, h_prev.device)
    gru_step(rows(gates_x), rows(gates_h), dense(h_prev), kept, y)
    return y, kept


def gru_cell_backward(
    dy: Array, gates_x: Array, gates_h: Array, h_prev: Array
) -> tuple[Array, Array, Array]:
    """Gradients of :func:`gru_cell`; the forward step is run again."""
    _, kept = _run(gates_x, gates_h, h_prev)
    n, m = h_prev.shape
    dx = empty((n, GATES * m), h_prev.dtype, h_prev.device)
    dh = empty((n, GATES * m), h_prev.dtype, h_prev.device)
    none, past = (zeros((n, m), h_prev.dtype, h_prev.device) for _ in range(2))
    gru_step_back(dense(dy), none, past, kept, dense(h_prev), dx, dh)
    return dx.reshape((n, GATES, m)), dh.reshape((n, GATES, m)), past


def _magnitude(gates_x: np.ndarray, gates_h: np.ndarray, h_prev: np.ndarray) -> np.ndarray:
    """Absolute terms, and what the rounding of the argument of tanh moves."""
    r = sigmoid_reference(gates_x[:, 0] + gates_h[:, 0])
    z = sigmoid_reference(gates_x[:, 1] + gates_h[:, 1])
    through = r * gates_h[:, 2]
    n = np.tanh(gates_x[:, 2] + through)
    slope = 1 - n * n
    terms = np.where(slope > 0, slope * (np.abs(gates_x[:, 2]) + np.abs(through)), 0.0)
    # 1 - z is rounded as if it were 1.
    return np.abs(n) + (1 - z) * terms + np.abs(z * h_prev)


SPECS = (
    OpSpec(
        name="gru_cell",
        forward=gru_cell,
        reference=gru_cell_reference,
        args=(Arg("gates_x", "n 3 m"), Arg("gates_h", "n 3 m"), Arg("h_prev", "n m")),
        vjp=gru_cell_backward,
        magnitude=_magnitude,
        # Rounding a sum a, |a| <= 8, moves sigmoid(a) by up to 4 ulp; sigmoid and tanh have 3 each.
        tolerance=Tolerance(ulp=16.0),
        wrong=wrong_gates("gru_cell", GATES, "h_prev"),
        kernels=(*signatures(gru_forward, 5), *signatures(gru_backward, 7)),
        block=32,
    ),
)

"""Elman's recurrent network: one step, forward and backward, each as one kernel.

Elman, "Finding Structure in Time", Cognitive Science 1990::

    h' = tanh(gates_x + gates_h)  or  max(gates_x + gates_h, 0)
    da = dh' (1 - h'^2)           or  dh' where h' > 0

Kernels, each with one thread per unit; ``threadIdx.x`` runs along the units of a row:

- ``plain_forward``, ``plain_backward``: made for tanh and for ReLU.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32

from .. import checks
from ..engine import Array, Kernel, empty, kernel, zeros
from ..opspec import Arg, OpSpec, Tolerance, Wrong
from .common import BLOCK, check_gates, dense, grid_of, rows, signatures, wrong_gates

GATES = 1
NONLINEARITIES = ("tanh", "relu")


def rnn_cell_reference(
    gates_x: np.ndarray, gates_h: np.ndarray, nonlinearity: str = "tanh"
) -> np.ndarray:
    """(n, m): the new hidden state."""
    a = (gates_x + gates_h)[:, 0]
    return np.tanh(a) if nonlinearity == "tanh" else np.maximum(a, 0.0)


@functools.cache
def plain_kernels(nonlinearity: str) -> tuple[Kernel, Kernel]:
    """``plain_forward`` and ``plain_backward`` for ``"tanh"`` or ``"relu"``."""
    smooth = nonlinearity == "tanh"

    @kernel
    def plain_forward(gates_x: Any, gates_h: Any, h: Any) -> None:
        """gates_x, gates_h, h (n, m)."""
        j, first = cuda.grid(2)
        n, m = h.shape
        if j < m:
            for row in range(first, n, cuda.gridDim.y * cuda.blockDim.y):
                a = gates_x[row, j] + gates_h[row, j]
                if smooth:
                    a = math.tanh(a)
                elif a <= float32(0.0):  # NaN stays
                    a = float32(0.0)
                h[row, j] = a

    @kernel
    def plain_backward(dy: Any, dh: Any, h: Any, dgates: Any) -> None:
        """dy, dh, h, dgates (n, m)."""
        j, first = cuda.grid(2)
        n, m = h.shape
        if j < m:
            for row in range(first, n, cuda.gridDim.y * cuda.blockDim.y):
                d = dy[row, j] + dh[row, j]
                y = h[row, j]
                if smooth:
                    d *= (float32(1.0) - y) * (float32(1.0) + y)
                elif y <= float32(0.0):
                    d = float32(0.0)
                dgates[row, j] = d

    return plain_forward, plain_backward


def plain_step(gates_x: Array, gates_h: Array, h: Array, nonlinearity: str) -> None:
    """One step into ``h``: contiguous matrices, not checked."""
    n, m = h.shape
    if n and m:
        plain_kernels(nonlinearity)[0][grid_of(n, m), BLOCK](gates_x, gates_h, h)


def plain_step_back(dy: Array, dh: Array, h: Array, dgates: Array, nonlinearity: str) -> None:
    """Gradient of one step into ``dgates``: contiguous matrices, not checked."""
    n, m = h.shape
    if n and m:
        plain_kernels(nonlinearity)[1][grid_of(n, m), BLOCK](dy, dh, h, dgates)


def rnn_cell(gates_x: Array, gates_h: Array, nonlinearity: str = "tanh") -> Array:
    """Hidden state after one step.

    Args:
        gates_x, gates_h: (n, 1, m): what the input and the hidden state give; float32 or float64.
        nonlinearity: ``"tanh"`` or ``"relu"``.

    Returns:
        A new array (n, m).

    Raises:
        ShapeError, DtypeError, DeviceError: the arrays do not fit each other.
        ArgumentError: another nonlinearity.
    """
    check_gates("rnn_cell", GATES, gates_x, gates_h)
    checks.require_option("rnn_cell", "nonlinearity", nonlinearity, NONLINEARITIES)
    n, _, m = gates_x.shape
    h = empty((n, m), gates_x.dtype, gates_x.device)
    plain_step(rows(gates_x), rows(gates_h), h, nonlinearity)
    return h


def rnn_cell_backward(
    dy: Array, gates_x: Array, gates_h: Array, nonlinearity: str = "tanh"
) -> tuple[Array, Array]:
    """Gradients of :func:`rnn_cell`; the forward step is run again."""
    h = rnn_cell(gates_x, gates_h, nonlinearity)
    da = empty(h.shape, h.dtype, h.device)
    plain_step_back(dense(dy), zeros(h.shape, h.dtype, h.device), h, da, nonlinearity)
    da = da.reshape(gates_x.shape)
    return da, da


_G = np.ones((2, 1, 3), np.float32)

SPECS = (
    OpSpec(
        name="rnn_cell",
        forward=rnn_cell,
        reference=rnn_cell_reference,
        args=(Arg("gates_x", "n 1 m"), Arg("gates_h", "n 1 m")),
        options={"nonlinearity": NONLINEARITIES},
        vjp=rnn_cell_backward,
        magnitude=lambda gates_x, gates_h, nonlinearity: np.abs(
            rnn_cell_reference(gates_x, gates_h, nonlinearity)
        ),
        tolerance=Tolerance(signed_zero=False),  # the reference gives -0 for a ReLU of -0
        wrong=(
            *wrong_gates("rnn_cell", GATES),
            Wrong((_G, _G), checks.ArgumentError, "'elu' given", {"nonlinearity": "elu"}),
        ),
        kernels=tuple(
            pair
            for name in NONLINEARITIES
            for k, arrays in zip(plain_kernels(name), (3, 4))
            for pair in signatures(k, arrays)
        ),
        block=32,
        smooth=False,
    ),
)

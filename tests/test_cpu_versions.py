"""Variables whose type changes keep each type where Numba does."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32

from nnlite.kernels.engine.cpu import CpuKernel


@cuda.jit
def changes_type(x, n, out):
    """``v`` is float32 until the loop makes it float64, ``n`` int32 until it is halved."""
    s = cuda.shared.array(32, float32)
    i = cuda.grid(1)
    v = x[i]
    s[i] = v
    cuda.syncthreads()
    w = v * v
    m = n * n
    for _ in range(2):
        v = v * 1.1
        n = n // 2
    out[i, 0] = w
    out[i, 1] = v + s[i]
    out[i, 2] = m + n


def test_a_variable_that_changes_its_type_keeps_both():
    x = np.random.default_rng(0).random(32, dtype=np.float32)
    out = np.zeros((32, 3))
    CpuKernel(changes_type).launch((1, 1, 1), (32, 1, 1), 0, (x, np.int32(9), out))
    np.testing.assert_array_equal(out[:, 0], x * x)  # rounded to float32
    v = x.astype(np.float64) * 1.1 * 1.1
    np.testing.assert_allclose(out[:, 1], v + x, rtol=4e-16)
    np.testing.assert_array_equal(out[:, 2], 81 + 2)

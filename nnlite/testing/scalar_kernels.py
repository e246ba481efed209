"""Scalar functions of CUDA, called once per element by a kernel that the CPU compiler runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from ..kernels.engine.cpu import CpuKernel

AT_ONCE = 8  # functions per kernel: compiling takes longer than running


def evaluate(functions: dict[str, Any], result: Any, *columns: np.ndarray) -> dict[str, np.ndarray]:
    """Call each function on the same one, two or three columns.

    Args:
        functions: device functions or functions of numba.cuda, all with as many arguments as there
            are columns.
        result: dtype to which every result is converted.
        columns: arrays of one dimension and equal size.

    Returns:
        the results of each function, by its name.
    """
    names, size = list(functions), columns[0].size
    out = np.zeros((-(-len(names) // AT_ONCE) * AT_ONCE, size), result)
    for k in range(0, len(names), AT_ONCE):
        chosen = [functions[n] for n in names[k : k + AT_ONCE]]
        chosen += [chosen[-1]] * (AT_ONCE - len(chosen))
        kernel = (_one, _two, _three)[len(columns) - 1](*chosen)
        rows = out[k : k + AT_ONCE]
        CpuKernel(kernel).launch((-(-size // 64), 1, 1), (64, 1, 1), 0, (*columns, rows))
    return dict(zip(names, out))


def _one(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    @cuda.jit
    def kernel(x, out):
        i = cuda.grid(1)
        if i < x.size:
            out[0, i], out[1, i], out[2, i], out[3, i] = a(x[i]), b(x[i]), c(x[i]), d(x[i])
            out[4, i], out[5, i], out[6, i], out[7, i] = e(x[i]), f(x[i]), g(x[i]), h(x[i])

    return kernel


def _two(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    @cuda.jit
    def kernel(x, y, out):
        i = cuda.grid(1)
        if i < x.size:
            u, v = x[i], y[i]
            out[0, i], out[1, i], out[2, i], out[3, i] = a(u, v), b(u, v), c(u, v), d(u, v)
            out[4, i], out[5, i], out[6, i], out[7, i] = e(u, v), f(u, v), g(u, v), h(u, v)

    return kernel


def _three(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    @cuda.jit
    def kernel(x, y, z, out):
        i = cuda.grid(1)
        if i < x.size:
            u, v, w = x[i], y[i], z[i]
            out[0, i], out[1, i], out[2, i] = a(u, v, w), b(u, v, w), c(u, v, w)
            out[3, i], out[4, i], out[5, i] = d(u, v, w), e(u, v, w), f(u, v, w)
            out[6, i], out[7, i] = g(u, v, w), h(u, v, w)

    return kernel

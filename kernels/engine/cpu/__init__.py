"""Compiles Numba CUDA kernels for the CPU and launches them."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from . import runtime
from .translate import translate


class CpuKernel:
    def __init__(self, py_func: Any, *, fastmath: bool = False) -> None:
        self.py_func, self.fastmath = py_func, fastmath
        self.entries: dict[Any, Any] = {}

    def entry(self, block, args):
        nn = tuple(isinstance(a, (int, np.integer)) and a >= 0 for a in args)
        ts = tuple(numba.typeof(a) for a in args)
        key = (block, nn, ts)
        e = self.entries.get(key)
        if e is None:
            p = translate(self.py_func, block, ts, nn, self.fastmath, numba.typeof)
            ns = runtime.namespace()
            exec(compile(p.source, "<generated>", "exec"), ns)
            f = ns[p.name]
            e = self.entries[key] = (f, p)
        return e

    def source(self, block, args):
        return self.entry(block, args)[1].source

    def launch(self, grid, block, shared_bytes, args):
        f, p = self.entry(tuple(block), args)
        extra = list(p.arrays)
        if p.scratch_bytes:
            extra.append(np.empty(p.scratch_bytes, np.uint8))
        f(*args, *extra, np.array([0, grid[0] * grid[1] * grid[2], *grid], np.int64))

"""The kernels by 128-bit access, with the accesses that their machine code is to hold."""

from __future__ import annotations

import math

import numpy as np
from numba import float32, types, uint32, uint64

from ..opspec import GpuKernel
from ..reduce.wide_rows import HELD
from .adagrad import adagrad_kernels
from .adam import adam_kernels
from .average import average_kernels
from .clip import clip_kernels
from .clip_wide import wide_norm_kernel
from .lion import lion_kernels
from .many import GROUP, NUMBERS, put
from .many_clip import clip_many_kernel, norm_many_kernel
from .many_rules import many_kernels
from .rmsprop import rmsprop_kernels
from .sgd import momentum_kernels, sgd_kernels

FLOAT32 = np.dtype(np.float32)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """Each with the types of its arguments: (arrays, head, numbers)."""
    scale, value = clip_kernels(FLOAT32)
    # Kernels, arrays, numbers, and how many arrays are read and written four items at a time.
    pairs = {
        "sgd": (sgd_kernels(FLOAT32), 2, 2, 2, 1),
        "sgd with momentum": (momentum_kernels(FLOAT32), 3, 5, 3, 2),
        "adam": (adam_kernels(FLOAT32, False), 5, 8, 4, 3),
        "amsgrad": (adam_kernels(FLOAT32, True), 5, 8, 5, 4),
        "rmsprop": (rmsprop_kernels(FLOAT32, False, False), 5, 6, 3, 2),
        "rmsprop, centered": (rmsprop_kernels(FLOAT32, True, False), 5, 6, 4, 3),
        "rmsprop with momentum": (rmsprop_kernels(FLOAT32, False, True), 5, 6, 4, 3),
        "rmsprop, both": (rmsprop_kernels(FLOAT32, True, True), 5, 6, 5, 4),
        "adagrad": (adagrad_kernels(FLOAT32), 3, 3, 3, 2),
        "lion": (lion_kernels(FLOAT32), 3, 6, 3, 2),
        "average": (average_kernels(FLOAT32), 2, 1, 2, 1),
        "clip_scale": (scale, 2, 1, 1, 1),
        "clip_value": (value, 1, 1, 1, 1),
    }
    line = float32[::1]
    found = []
    for name, ((_, wide), arrays, numbers, loads, stores) in pairs.items():
        expects = f"LDG.128 >= {loads}", f"STG.128 >= {stores}", "LDL == 0"
        signature = (*[line] * arrays, uint32, *[float32] * numbers)
        found.append(GpuKernel(name, wide, signature, expects=expects))
    for norm_type in (1.0, 2.0, math.inf):
        read = (f"LDG.128 == {HELD}", "LDL == 0")
        wide = wide_norm_kernel(norm_type)
        found.append(GpuKernel("partial_norm", wide, (line, line, uint32), expects=read))
    return (*found, *_for_many_tensors())


def _for_many_tensors() -> list[GpuKernel]:
    """Each reads parameter, gradient and states once, and writes all but the gradient once."""
    table = uint64[::1]
    given = float32[::1], table, table, uint32, *[float32] * NUMBERS
    found = []
    for name, (made, states) in many_kernels().items():
        expects = f"LDG.128 >= {2 + states}", f"STG.128 >= {1 + states}", "LDL == 0", "STL == 0"
        found.append(GpuKernel(name, made, given, expects=expects))
    read = float32[::1], table, table, uint32, float32[::1]
    once = "LDG.128 >= 1", "LDL == 0", "STL == 0"
    for norm_type in (1.0, 2.0, math.inf):
        found.append(GpuKernel("norm of many", norm_many_kernel(norm_type), read, expects=once))
    for name in ("clip_scale_many", "clip_value_many"):
        expects = *once, "STG.128 >= 1"
        found.append(GpuKernel(name, clip_many_kernel(name), (*read, float32), expects=expects))
    written = table, uint32, types.UniTuple(types.int64, GROUP)
    found.append(
        GpuKernel("put", put, written, expects=(f"STG.64 >= {GROUP}", "LDL == 0", "STL == 0"))
    )
    return found

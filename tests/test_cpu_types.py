"""Every variable has the type on the CPU that numba-cuda infers for the GPU."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import cuda, float32, int32, types

from nnlite.kernels.engine.cpu.canonical import Unit, canonical
from nnlite.kernels.engine.cpu.flatten import flatten
from nnlite.kernels.engine.cpu.infer import variable_types
from nnlite.kernels.engine.cpu.webs import split_webs

pytest.importorskip("numba_cuda", reason="needs numba-cuda to compare with its types")

F4 = types.Array(types.float32, 2, "C")
I8 = types.Array(types.int64, 1, "C")


@cuda.jit
def indices(x, n):
    i = cuda.grid(1)
    row, col = cuda.grid(2)
    t = cuda.threadIdx.x
    b = cuda.blockIdx.y * cuda.blockDim.y
    product = t * t
    half = cuda.blockDim.x // 2
    size = cuda.gridsize(1) + n
    narrow = int32(i) + int32(1)
    unsigned = np.uint32(t) * np.uint32(3)
    x[row, col] = b + product + half + size + narrow + unsigned


@cuda.jit
def floats(x, n):
    a = x[0, 0]
    wide = a * 2.0
    mixed = a * n
    kept = a * float32(2)
    root = math.sqrt(a)
    e = math.exp(a - kept)
    whole = math.exp(n)
    power = a**2
    biggest = max(a, kept)
    either = max(a, wide)
    chosen = a if n > 3 else 0
    acc = 0
    for k in range(n):
        acc += x[k, 0]
    x[0, 1] = wide + mixed + root + e + whole + power + biggest + either + chosen + acc


@cuda.jit
def loops(x, n):
    total = float32(0)
    s = cuda.blockDim.x // 2
    while s > 0:
        s //= 2
        total += float32(s)
    rows, cols = x.shape
    for k in range(0, rows, 2):
        last = k + cols
        flag = last > n
        both = flag and k < 3
        if both:
            total = total + x[k, 0]
    x[0, 0] = total


@cuda.jit
def divisions(x, n):
    q = n // 3
    r = n % 3
    f = n / 3
    g = x[0, 0] // float32(2)
    h = x[0, 0] % 2
    z = abs(x[0, 0])
    m = min(n, 3)
    c = int(x[0, 0])
    d = float(n)
    x[0, 0] = q + r + f + g + h + z + m + c + d


def names_without_variants(variables):
    found = {}
    for name, t in variables.items():
        if not name.startswith(("$", "arg.")):
            base = name.split(".")[0].split("__")[0]
            found.setdefault(base, set()).add(str(types.unliteral(t)))
    return found


@pytest.mark.parametrize("kernel", [indices, floats, loops, divisions])
def test_types_equal_numba_cuda(kernel):
    from numba.cuda.compiler import compile_cuda

    function, signature = kernel.py_func, (F4, types.int64)
    compiled = compile_cuda(function, types.void, signature, cc=(8, 0))
    theirs = names_without_variants(compiled.type_annotation.typemap)
    unit = Unit()
    tree = flatten(canonical(function, unit), unit.devices, unit.names)
    split_webs(tree, unit.names)
    ours = names_without_variants(variable_types(tree, [], signature))
    common = (theirs.keys() & ours.keys()) - {"x", "n"}
    assert len(common) >= 7
    different = {v: (ours[v], theirs[v]) for v in common if not ours[v] <= theirs[v]}
    assert not different

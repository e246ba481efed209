"""``inspect_cpu`` shows what a block does on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32

import nnlite as nl
from nnlite.kernels.engine.errors import LaunchError


@nl.kernel
def mirror(x, out):
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]
    cuda.syncthreads()
    out[t] = s[cuda.blockDim.x - 1 - t]


def test_shows_variants_that_were_launched():
    kernel = nl.kernel(mirror.py_func)
    with pytest.raises(LaunchError, match="mirror: nothing compiled yet; launch the kernel first"):
        kernel.inspect_cpu()
    for threads in (32, 64):
        x = nl.array(np.arange(threads, dtype=np.float32))
        kernel[1, threads](x, nl.empty(threads))
    text = kernel.inspect_cpu()
    for line in (
        "mirror for blocks of (32, 1, 1)",
        "mirror for blocks of (64, 1, 1)",
        "#   x: array(float32, 1d, C)",
        "s = new_s_()  # shared memory",
        "for tx_ in range(64):",
        "barrier, all threads of the block are here",
    ):
        assert line in text
    assert text.count("what a thread gives to a warp operation") == 1
    compile(text, "<generated>", "exec")


def test_compiles_for_a_block_on_request():
    x = nl.zeros(16)
    text = mirror.inspect_cpu(16, (x, x))
    assert "mirror for blocks of (16, 1, 1)" in text
    with pytest.raises(LaunchError, match="block 'many' given"):
        mirror.inspect_cpu("many", (x, x))

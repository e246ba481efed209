"""Dropout from a counter-based random number generator.

    y_i = x_i / (1 - p) where item i is kept, else 0;    dx is the same map of dy

Item i is dropped if its 32 random bits, as a fraction of 2^32, are below p. The bits are those of
Philox4x32-10: a keyed bijection of 128-bit counters, ten rounds of two 32 x 32 bit products each.
The counter is the place of the item and the key is the seed, so there is no state: every thread
computes its own bits, a seed gives the same mask on every device, and the gradient computes the
mask anew instead of reading it from memory.

Counter i gives four words. Word q belongs to item ``i + q * quarter`` of n, with quarter the
ceiling of n / 4: neighbouring threads read and write neighbouring items, for every q.

Sources: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout", JMLR 2014; Salmon,
Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011 (Philox, section 4.3).

Kernels:

- ``dropout``: one thread per counter, four items each; forward and gradient.
- ``dropout_wide``: one thread per four counters, by 128-bit access, for float32 on a GPU.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
from numba import cuda, float32, float64, int64, uint32, uint64

from . import checks
from .elementwise import copy, fill
from .elementwise.specs import FLOATS, INTEGERS
from .elementwise.wide import RUN, fetch, put_back, shared_head
from .engine import ArgumentError, Array, DtypeError, Kernel, empty, kernel
from .opspec import Arg, GpuKernel, OpSpec, Signature, Signatures, Wrong

BLOCK = 256
ROUNDS = 10
WORDS = 4 * RUN  # that a thread of the wide kernel makes
# Multipliers and key increments of the paper: the latter are the golden ratio and sqrt(3) - 1.
M0, M1 = 0xD2511F53, 0xCD9E8D57
W0, W1 = 0x9E3779B9, 0xBB67AE85
MASK = 0xFFFFFFFF


def philox_reference(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Philox4x32-10: four random words (..., 4) for counters of four words (..., 4)."""
    a, b, c, d = np.moveaxis(counter.astype(np.uint64), -1, 0)
    low, shift = np.uint64(MASK), np.uint64(32)
    k0, k1 = key
    for _ in range(ROUNDS):
        p, q = a * np.uint64(M0), c * np.uint64(M1)
        a, b, c, d = (
            (q >> shift) ^ b ^ np.uint64(k0),
            q & low,
            (p >> shift) ^ d ^ np.uint64(k1),
            p & low,
        )
        k0, k1 = (k0 + W0) & MASK, (k1 + W1) & MASK
    return np.stack([a, b, c, d], axis=-1).astype(np.uint32)


def dropout_reference(x: np.ndarray, p: float = 0.5, seed: int = 0) -> np.ndarray:
    """Dropout in float64, with the mask of the kernel."""
    if p == 1.0:
        return np.zeros_like(x)
    quarter = -(-x.size // 4)
    counter = np.zeros((quarter, 4), np.uint64)
    counter[:, 0] = np.arange(quarter)
    words = philox_reference(counter, _key(seed)).T.reshape(-1)[: x.size].reshape(x.shape)
    return np.where(words >= _threshold(p), x / (1 - p), 0.0)


@cuda.jit(device=True)
def philox(a: Any, b: Any, c: Any, d: Any, k0: Any, k1: Any) -> Any:
    """Philox4x32-10 of the counter (a, b, c, d) and the key (k0, k1), all uint32."""
    for _ in range(ROUNDS):
        p = uint64(a) * uint64(M0)
        q = uint64(c) * uint64(M1)
        a = uint32(uint32(q >> uint64(32)) ^ b ^ k0)
        b = uint32(q)
        c = uint32(uint32(p >> uint64(32)) ^ d ^ k1)
        d = uint32(p)
        k0 = uint32(k0 + uint32(W0))
        k1 = uint32(k1 + uint32(W1))
    return a, b, c, d


@functools.cache
def dropout_kernel(dtype: Any) -> Kernel:
    """``dropout`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def dropout(x, threshold, scale, k0, k1, quarter, y):
        """x, y (n,); threshold and the key uint32; quarter = ceil(n / 4)."""
        i = cuda.grid(1)
        if i < quarter:
            high = uint32(i >> 32)
            a, b, c, d = philox(uint32(i), high, uint32(0), uint32(0), k0, k1)
            y[i] = x[i] * scale if a >= threshold else real(0.0)
            j = i + quarter
            if j < x.size:
                y[j] = x[j] * scale if b >= threshold else real(0.0)
            j += quarter
            if j < x.size:
                y[j] = x[j] * scale if c >= threshold else real(0.0)
            j += quarter
            if j < x.size:
                y[j] = x[j] * scale if d >= threshold else real(0.0)

    return dropout


@kernel
def dropout_wide(x, threshold, scale, k0, k1, quarter, y):
    """The same with four counters to a thread; quarter is uint64 and a multiple of four."""
    first = uint64(uint64(cuda.grid(1)) * uint64(RUN))
    if first < quarter:
        words, kept = cuda.local.array(WORDS, uint32), cuda.local.array(RUN, float32)
        for j in range(RUN):
            i = uint64(first + uint64(j))
            a, b, c, d = philox(uint32(i), uint32(i >> 32), uint32(0), uint32(0), k0, k1)
            words[j], words[RUN + j], words[2 * RUN + j], words[3 * RUN + j] = a, b, c, d
        for q in range(4):
            at = uint64(first + uint64(q) * quarter)
            fetch(kept, x, at)
            for j in range(RUN):
                kept[j] = kept[j] * scale if words[q * RUN + j] >= threshold else float32(0.0)
            put_back(y, at, kept)


def dropout(x: Array, p: float = 0.5, seed: int = 0) -> Array:
    """Drop items with probability p and divide the others by 1 - p; its own gradient.

    Args:
        x: any shape, any strides; float32 or float64.
        p: in [0, 1].
        seed: in [0, 2^64): chooses the mask, together with the number of items.

    Returns:
        A new array like x: 0 where dropped, whatever x was.

    Raises:
        DtypeError: x is not a float array.
        ArgumentError: p or seed is not in its range.

    Example:
        >>> y = dropout(x, 0.5, seed)
        >>> dx = dropout(dy, 0.5, seed)
    """
    checks.require_float("dropout", "x", x)
    checks.require_between("dropout", "p", p, 0.0, 1.0)
    k0, k1 = _key(seed)
    y = empty(x.shape, x.dtype, x.device)
    n = x.size
    if n == 0:
        return y
    if p == 1.0:
        return fill(y, 0.0)
    flat = (x if x.is_contiguous else copy(x)).reshape((n,))
    out, quarter = y.reshape((n,)), -(-n // 4)
    numbers = np.uint32(_threshold(p)), x.dtype.type(1.0 / (1.0 - p)), np.uint32(k0), np.uint32(k1)
    if _is_wide(flat, out):
        blocks = -(-quarter // (RUN * BLOCK))
        dropout_wide[blocks, BLOCK](flat, *numbers, np.uint64(quarter), out)
    else:
        blocks = -(-quarter // BLOCK)
        dropout_kernel(x.dtype)[blocks, BLOCK](flat, *numbers, np.int64(quarter), out)
    return y


def _is_wide(x: Array, y: Array) -> bool:
    """Whether ``dropout_wide`` takes two lines: each quarter begins at a multiple of 16 bytes."""
    return x.device.kind != "cpu" and x.size % WORDS == 0 and shared_head(x, y) == 0


def _threshold(p: float) -> int:
    """Words below it drop their item; p just below 1 keeps the largest word."""
    return min(round(p * 2**32), MASK)


def _key(seed: Any) -> tuple[int, int]:
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**64:
        raise ArgumentError(f"dropout: seed: {seed!r} given, expected an integer in [0, 2**64)")
    return number & MASK, number >> 32


def _signatures() -> Signatures:
    found: list[Signature] = []
    for dtype, real in ((np.float32, float32), (np.float64, float64)):
        types = (real[::1], uint32, real, uint32, uint32, int64, real[::1])
        found.append((dropout_kernel(np.dtype(dtype)), types))
    return tuple(found)


SPECS: tuple[OpSpec, ...] = (
    OpSpec(
        name="dropout",
        forward=dropout,
        reference=dropout_reference,
        args=(Arg("x", "..."),),
        options={"p": (0.5, 0.0, 0.1, 1.0), "seed": (0, 1, 2**63 + 12345, *range(2, 14))},
        vjp=lambda dy, x, p, seed: dropout(dy, p, seed),
        wrong=(
            Wrong((INTEGERS,), DtypeError, "dropout: x: dtype int64 given"),
            Wrong(([[1.0]],), DtypeError, "dropout: x: list given"),
            Wrong((FLOATS,), ArgumentError, "dropout: p: 1.5 given", {"p": 1.5}),
            Wrong((FLOATS,), ArgumentError, "dropout: p: -0.1 given", {"p": -0.1}),
            Wrong((FLOATS,), ArgumentError, "dropout: p: nan given", {"p": float("nan")}),
            Wrong((FLOATS,), ArgumentError, "dropout: p: '1' given", {"p": "1"}),
            Wrong((FLOATS,), ArgumentError, "dropout: seed: -1 given", {"seed": -1}),
            Wrong((FLOATS,), ArgumentError, "dropout: seed: 1.0 given", {"seed": 1.0}),
            Wrong((FLOATS,), ArgumentError, "dropout: seed: 1844", {"seed": 2**64}),
            Wrong((FLOATS,), ArgumentError, "dropout: seed: True given", {"seed": True}),
        ),
        kernels=_signatures(),
        block=4,
    ),
)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernel by 128-bit access, and what its machine code is to hold."""
    signature = (float32[::1], uint32, float32, uint32, uint32, uint64, float32[::1])
    expects = ("LDG.128 == 4", "STG.128 == 4", "LDL == 0")
    return (GpuKernel("dropout", dropout_wide, signature, expects=expects),)

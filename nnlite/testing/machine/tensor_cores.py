"""Tensor cores of the machine: rounding, pairs of numbers, and one ``mma`` of each warp."""

from __future__ import annotations

import numpy as np


def rounded(x: np.ndarray, bits: int, away: bool) -> np.ndarray:
    """``x`` to so many bits, in float64; ties away from zero or to even."""
    mantissa, exponent = np.frexp(np.asarray(x, np.float64))
    scaled = np.ldexp(mantissa, bits)
    whole = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled) if away else np.rint(scaled)
    return np.ldexp(whole, exponent - bits)


def tf32_of(x: np.ndarray) -> np.ndarray:
    """The bits of the nearest tf32, in those of a float32."""
    return rounded(x, 11, away=True).astype(np.float32).view(np.uint32)


def bf16_of(x: np.ndarray) -> np.ndarray:
    """The bits of the nearest bfloat16."""
    return rounded(x, 8, away=False).astype(np.float32).view(np.uint32) >> 16


def f16_of(x: np.ndarray) -> np.ndarray:
    """The bits of the nearest float16."""
    return x.astype(np.float16).view(np.uint16).astype(np.uint32)


def pack(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Two 16-bit numbers in a word."""
    return low | high << np.uint32(16)


def unpack(kind: str, words: np.ndarray) -> np.ndarray:
    """The numbers in a register of each thread: (threads, 1) of tf32, (threads, 2) of pairs."""
    words = words.astype(np.uint32)
    if kind == "tf32":
        return (words & np.uint32(0xFFFFE000)).view(np.float32)[:, None].astype(np.float64)
    halves = np.stack([words & 0xFFFF, words >> 16], axis=1).astype(np.uint32)
    if kind == "bf16":
        return (halves << np.uint32(16)).view(np.float32).astype(np.float64)
    return halves.astype(np.uint16).view(np.float16).astype(np.float64)


def mma(kind: str, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """``mma.sync`` of every warp, on registers (number, threads); the figures of the PTX ISA.

    In them a register of a holds, for lane ``l``, row ``l / 4`` (+ 8 in the second and fourth) and
    column ``l % 4`` or the pair from ``l % 4 * 2`` on (+ half the width in the third and fourth).
    """
    pair = 1 if kind == "tf32" else 2
    group, member = np.divmod(np.arange(32), 4)
    ahead = member[:, None] * pair + np.arange(pair)  # the place of each number of a register
    results = np.zeros_like(c)
    for warp in range(0, c.shape[1], 32):
        lanes = slice(warp, warp + 32)
        left, right, sums = np.zeros((16, 8 * pair)), np.zeros((8 * pair, 8)), np.zeros((16, 8))
        for r in range(4):
            column = ahead + 4 * pair * (r // 2)
            left[(group + 8 * (r % 2))[:, None], column] = unpack(kind, a[r, lanes])
            sums[group + 8 * (r // 2), 2 * member + r % 2] = c[r, lanes]
        for r in range(2):
            right[ahead + 4 * pair * r, group[:, None]] = unpack(kind, b[r, lanes])
        product = (left @ right + sums).astype(np.float32)
        for r in range(4):
            results[r, lanes] = product[group + 8 * (r // 2), 2 * member + r % 2]
    return results

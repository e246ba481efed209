"""What the Hopper kernel reads: matrices with rows along q, and the tensor maps that name them.

``wgmma`` takes tf32 with the rows along q only, and the TMA wants rows that begin at multiples of
16 bytes. A float32 matrix that is stored otherwise, or is to be multiplied as bfloat16, goes once
through memory into rows of a length that fits, by one of the kernels here.

Cost of that for a matrix of (size, k): ``4 size k`` bytes read, and as many (tf32) or half of them
(bfloat16) written. Beside a product with x rows of the other matrix that is, at the 4.3 TB/s and
some 450 (tf32) or 770 (bfloat16) TFLOP/s that others measured on an H200, 420/x or 540/x of its
time: a tenth for 4096 to 5400 rows. Our own kernels are NOT measured.
"""

from __future__ import annotations

import functools

from numba import cuda, float32, uint32

from ...engine import Kernel, kernel
from ...engine.ptx.barriers import MAP_WORDS, tensor_map_release
from ...engine.ptx.memory import load4, store4
from ...engine.ptx.numbers import float_bits, to_bf16x2, to_tf32

THREADS = 256
WORDS = 4  # of 32 bits that a thread writes
RUN = {"tf32": 4, "bf16": 8}  # and numbers in them
WIDTH = 64  # rows and steps of a tile that is turned
PITCH = WIDTH + 1  # by 1 longer, so that a column of it lies in many banks
TILE = WIDTH * PITCH
READ_ROWS = THREADS // WIDTH
BOTH_MAPS = 2 * MAP_WORDS


@kernel
def write_maps(maps, words):
    """Two tensor maps in global memory; by a kernel, so that it takes its turn among others.

    For one block with a thread for each word.
    """
    i = cuda.threadIdx.x
    maps[i] = words[i]
    tensor_map_release()


@cuda.jit(device=True)
def store_tf32(target, at, x0, x1, x2, x3, x4, x5, x6, x7):
    """The first four numbers, rounded to tf32."""
    a = float_bits(to_tf32(x0))
    b = float_bits(to_tf32(x1))
    c = float_bits(to_tf32(x2))
    d = float_bits(to_tf32(x3))
    store4(target, at, a, b, c, d)


@cuda.jit(device=True)
def store_bf16(target, at, x0, x1, x2, x3, x4, x5, x6, x7):
    """Eight numbers, rounded to bfloat16."""
    a, b = to_bf16x2(x0, x1), to_bf16x2(x2, x3)
    c, d = to_bf16x2(x4, x5), to_bf16x2(x6, x7)
    store4(target, at, a, b, c, d)


@cuda.jit(device=True)
def number(source, start, q, k):
    """Number q of a row of k, 0 beyond its end."""
    return source[uint32(start + q)] if q < k else float32(0.0)


@functools.cache
def make_convert(kind: str, wide: bool) -> Kernel:
    """The kernel that rounds a matrix with rows along q, for ``"tf32"`` or ``"bf16"``.

    Args:
        kind: to which numbers.
        wide: the matrix begins at a multiple of 16 bytes and k is a multiple of four.

    Returns:
        A kernel of (source, target, size, k, runs): the float32 items of (size, k) in a row; uint32
        words of as many rows of ``runs`` times 16 bytes, the last of which hold zeros beyond k. For
        blocks of 256, a thread for each 16 bytes.
    """
    LENGTH = RUN[kind]
    store = store_tf32 if kind == "tf32" else store_bf16

    @kernel
    def convert_wide(source, target, size, k, runs):
        i = uint32(cuda.grid(1))
        row = uint32(i // runs)
        if row < size:
            q = uint32(uint32(i - row * runs) * uint32(LENGTH))
            at = uint32(row * k + q)
            x0, x1, x2, x3 = load4(source, at)
            x4 = x5 = x6 = x7 = float32(0.0)
            if LENGTH > 4 and uint32(q + uint32(4)) < k:
                x4, x5, x6, x7 = load4(source, uint32(at + uint32(4)))
            store(target, uint32(i * uint32(WORDS)), x0, x1, x2, x3, x4, x5, x6, x7)

    @kernel
    def convert(source, target, size, k, runs):
        i = uint32(cuda.grid(1))
        row = uint32(i // runs)
        if row < size:
            q = uint32(uint32(i - row * runs) * uint32(LENGTH))
            at = uint32(row * k)
            x0, x1 = number(source, at, q, k), number(source, at, uint32(q + uint32(1)), k)
            x2 = number(source, at, uint32(q + uint32(2)), k)
            x3 = number(source, at, uint32(q + uint32(3)), k)
            x4 = x5 = x6 = x7 = float32(0.0)
            if LENGTH > 4:
                x4 = number(source, at, uint32(q + uint32(4)), k)
                x5 = number(source, at, uint32(q + uint32(5)), k)
                x6 = number(source, at, uint32(q + uint32(6)), k)
                x7 = number(source, at, uint32(q + uint32(7)), k)
            store(target, uint32(i * uint32(WORDS)), x0, x1, x2, x3, x4, x5, x6, x7)

    return convert_wide if wide else convert


@functools.cache
def make_turn(kind: str) -> Kernel:
    """:func:`make_convert` for a matrix with a row for each q, which is transposed on the way.

    Returns:
        A kernel of (source, target, size, k, runs), the source being (k, size). For blocks of 256
        and a grid of (tiles of 64 rows of the target, y, z) with y z tiles of 64 steps.
    """
    LENGTH = RUN[kind]
    ACROSS = WIDTH // LENGTH  # threads to a row of the target
    TURNS = WIDTH * ACROSS // THREADS
    ROWS = THREADS // ACROSS
    store = store_tf32 if kind == "tf32" else store_bf16

    @kernel
    def turn(source, target, size, k, runs):
        tile = cuda.shared.array(TILE, float32)
        t = uint32(cuda.threadIdx.x)
        x0 = uint32(uint32(cuda.blockIdx.x) * uint32(WIDTH))
        q0 = uint32(cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y) * uint32(WIDTH)
        x = uint32(t % uint32(WIDTH))
        column = uint32(x0 + x)
        for i in range(WIDTH // READ_ROWS):
            q = uint32(uint32(t // uint32(WIDTH)) + uint32(i * READ_ROWS))
            step = uint32(q0 + q)
            inside = step < k and column < size
            value = source[uint32(step * size + column)] if inside else float32(0.0)
            tile[uint32(q * uint32(PITCH) + x)] = value
        cuda.syncthreads()
        run = uint32(t % uint32(ACROSS))
        to = uint32(uint32(q0 // uint32(LENGTH)) + run)
        for i in range(TURNS):
            x = uint32(uint32(t // uint32(ACROSS)) + uint32(i * ROWS))
            row = uint32(x0 + x)
            if row < size and to < runs:
                at = uint32(run * uint32(LENGTH * PITCH) + x)
                at4 = uint32(at + uint32((LENGTH - 4) * PITCH))
                store(
                    target,
                    uint32(uint32(row * runs + to) * uint32(WORDS)),
                    tile[at],
                    tile[at + uint32(PITCH)],
                    tile[at + uint32(2 * PITCH)],
                    tile[at + uint32(3 * PITCH)],
                    tile[at4],
                    tile[at4 + uint32(PITCH)],
                    tile[at4 + uint32(2 * PITCH)],
                    tile[at4 + uint32(3 * PITCH)],
                )

    return turn

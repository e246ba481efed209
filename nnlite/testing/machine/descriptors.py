"""Where the operands of ``wgmma`` lie: in shared memory by a descriptor, in registers by fragments.

Source: PTX ISA, section "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions": the
figures of the fragments of "wgmma.mma_async.m64nNk8" and "m64nNk16", "Shared Memory Matrix Layout",
"Strides", "Swizzling Modes", "Matrix Descriptor Format".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .tensor_cores import unpack
from .tensor_maps import swizzled
from .threads import GROUP

ROWS, DEPTH_BYTES, UNIT = 64, 32, 16  # of a; of one instruction; of what a swizzle moves
SWIZZLES = {0: 0, 1: 128, 2: 64, 3: 32}  # the two highest bits of a descriptor -> bytes of a row


@dataclass(frozen=True)
class Descriptor:
    """A matrix in shared memory, as the 64 bits of its descriptor name it.

    Attributes:
        start: address.
        leading, stride: byte offsets; see :func:`places`.
        swizzle: bytes of a row whose units are exchanged; 0 for none.
    """

    start: int
    leading: int
    stride: int
    swizzle: int

    @classmethod
    def of(cls, bits: int) -> Descriptor:
        """From the bits: fields of 14, in units of 16 bytes."""
        start, leading, stride = ((bits >> k & 0x3FFF) << 4 for k in (0, 16, 32))
        if bits >> 49 & 7:
            raise NotImplementedError("a matrix descriptor with a base offset")
        return cls(start, leading, stride, SWIZZLES[bits >> 62 & 3])

    def places(self, rows: int, depth: int, item: int, turned: bool) -> np.ndarray:
        """Addresses (rows, depth) of the items; rows are those of a, or the columns of b.

        Canonical layouts, k is the place along the depth. Straight (K-major), k runs along memory:
        eight rows make a block, ``swizzle`` (16 without) bytes from row to row; ``stride`` bytes
        from block to block; without a swizzle ``leading`` bytes from one unit of k to the next.
        Turned (MN-major), rows run along memory: ``swizzle`` (16) bytes of them make a chunk,
        whose next k is ``swizzle`` (16) bytes further; with a swizzle it is ``leading`` bytes from
        chunk to chunk and ``stride`` from eight k to the next, without one the other way round.
        """
        row, k = np.arange(rows)[:, None], np.arange(depth)[None, :]
        width = self.swizzle or UNIT
        if not turned:
            along = k * item
            offset = row % 8 * width + row // 8 * self.stride
            offset = offset + (
                along if self.swizzle else along // UNIT * self.leading + along % UNIT
            )
        else:
            chunk = width // item
            steps = (self.leading, self.stride) if self.swizzle else (self.stride, self.leading)
            offset = row % chunk * item + row // chunk * steps[0]
            offset = offset + k % 8 * width + k // 8 * steps[1]
        return swizzled(self.start + offset, self.swizzle)


def accumulator_places(columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column (registers, 128) of each sum that a thread of a warpgroup holds."""
    thread, register = np.arange(GROUP)[None, :], np.arange(columns // 2)[:, None]
    warp, lane = np.divmod(thread, 32)
    row = 16 * warp + lane // 4 + 8 * (register // 2 % 2)
    return row, 8 * (register // 4) + 2 * (lane % 4) + register % 2


def left_matrix(kind: str, words: np.ndarray) -> np.ndarray:
    """The 64 rows of a from four registers of each thread."""
    pair = 1 if kind == "tf32" else 2
    thread = np.arange(GROUP)
    warp, lane = np.divmod(thread, 32)
    matrix = np.zeros((ROWS, 8 * pair))
    for r in range(4):
        row = 16 * warp + lane // 4 + 8 * (r % 2)
        column = (lane % 4)[:, None] * pair + np.arange(pair) + 4 * pair * (r // 2)
        matrix[row[:, None], column] = unpack(kind, words[r])
    return matrix

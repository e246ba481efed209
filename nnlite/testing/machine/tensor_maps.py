"""Tensor maps: what ``cp.async.bulk.tensor`` is told of a tensor in global memory.

On a GPU the driver makes the 128 bytes (``cuTensorMapEncodeTiled``), and what is in them is its
secret. The machine has an encoding of its own, for the same description.

Source: CUDA driver API, "Tensor Map Object Management"; PTX ISA, sections "Tensors", "Tensor-map".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

WORDS = 16
MAGIC = 0x70616D726F736E74
MOST_BOX = 256  # items along an axis
MOST_RANK = 5
SWIZZLES = {0: 0, 32: 1, 64: 3, 128: 7}  # bytes of a row -> which of the bits of a row's number
_LAYOUT = struct.Struct("<QQBBHI5I4x4Q5H5H")  # 8+8+8+24+32+20


@dataclass(frozen=True)
class TensorMap:
    """A tensor in global memory, cut into boxes.

    Args:
        address: of the first item, a multiple of 16.
        itemsize: bytes of an item: 1, 2, 4 or 8.
        sizes: of the tensor, the fastest axis first.
        strides: in bytes, of all axes but the fastest, multiples of 16.
        box: sizes of a box, the fastest axis first; along it a multiple of 16 bytes.
        swizzle: 0, 32, 64 or 128: bytes of a row of a box whose 16-byte units are exchanged.
        steps: every how many items one is taken, for each axis.

    Raises:
        ValueError: the driver would refuse it.
    """

    address: int
    itemsize: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    box: tuple[int, ...]
    swizzle: int = 0
    steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        rank, row = len(self.sizes), self.box[0] * self.itemsize
        if not self.steps:
            object.__setattr__(self, "steps", (1,) * rank)
        checks = [
            (1 <= rank <= MOST_RANK, f"{rank} axes, expected 1 to {MOST_RANK}"),
            (len(self.strides) == rank - 1, f"{len(self.strides)} strides of {rank} axes"),
            (len(self.box) == rank, f"a box of {len(self.box)} axes, expected {rank}"),
            (self.itemsize in (1, 2, 4, 8), f"items of {self.itemsize} bytes"),
            (self.address % 16 == 0, f"address {self.address}, expected a multiple of 16"),
            (all(1 <= n <= 1 << 32 for n in self.sizes), f"sizes {self.sizes}"),
            (all(s % 16 == 0 and 0 < s < 1 << 40 for s in self.strides), f"strides {self.strides}"),
            (all(1 <= n <= MOST_BOX for n in self.box), f"box {self.box}, each 1 to {MOST_BOX}"),
            (row % 16 == 0, f"rows of a box of {row} bytes, expected a multiple of 16"),
            (self.swizzle in SWIZZLES, f"swizzle {self.swizzle}, expected one of {[*SWIZZLES]}"),
            (not self.swizzle or row <= self.swizzle, f"rows of {row} bytes, swizzle of less"),
            (all(1 <= s <= 8 for s in self.steps), f"steps {self.steps}, each 1 to 8"),
        ]
        for right, message in checks:
            if not right:
                raise ValueError(f"tensor map: {message}")

    @property
    def nbytes(self) -> int:
        """Bytes of a box."""
        return int(np.prod(self.box)) * self.itemsize

    def words(self) -> np.ndarray:
        """The map as 16 uint64 of the machine's own encoding."""

        def five(values: tuple[int, ...], fill: int = 0) -> tuple[int, ...]:
            return (*values, *[fill] * (MOST_RANK - len(values)))

        sizes = [n - 1 for n in self.sizes]
        raw = _LAYOUT.pack(
            MAGIC, self.address, len(self.sizes), self.itemsize, self.swizzle, 0,
            *five(tuple(sizes)), *five(self.strides)[:4], *five(self.box), *five(self.steps),
        )  # fmt: skip
        return np.frombuffer(raw.ljust(8 * WORDS, b"\0"), np.uint64).copy()

    @classmethod
    def from_words(cls, words: np.ndarray) -> TensorMap:
        """The map that 16 words hold; ValueError if they hold none."""
        magic, address, rank, item, swizzle, _, *rest = _LAYOUT.unpack(
            words.tobytes()[: _LAYOUT.size]
        )
        if magic != MAGIC:
            raise ValueError("tensor map: these 128 bytes hold none")
        sizes, strides, box, steps = rest[:5], rest[5:9], rest[9:14], rest[14:]
        return cls(
            address, item, tuple(n + 1 for n in sizes[:rank]), tuple(strides[: rank - 1]),
            tuple(box[:rank]), swizzle, tuple(steps[:rank]),
        )  # fmt: skip

    def items(self, start: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Addresses of the items of a box, its fastest axis last, and which are in the tensor."""
        address: Any = np.int64(self.address)
        inside: Any = np.bool_(True)
        for axis in range(len(self.box)):
            index = start[axis] + np.arange(self.box[axis], dtype=np.int64) * self.steps[axis]
            shape = [1] * len(self.box)
            shape[-1 - axis] = -1
            stride = self.itemsize if axis == 0 else self.strides[axis - 1]
            address = address + (index * stride).reshape(shape)
            inside = inside & ((index >= 0) & (index < self.sizes[axis])).reshape(shape)
        return np.asarray(address), np.asarray(inside)


def swizzled(address: np.ndarray, swizzle: int) -> np.ndarray:
    """Where an address of shared memory really lies: bits 4 to 6 are exchanged by bits 7 to 9."""
    return address ^ ((address >> 7 & SWIZZLES[swizzle]) << 4)

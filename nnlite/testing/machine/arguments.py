"""The arguments of a launch as Numba's kernels take them, and NumPy arrays in global memory.

An array is seven and more parameters: two pointers that a kernel does not read, the number of its
items and their size, its address, its sizes and its strides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .memory import GlobalMemory
from .program import Parameter


@dataclass(frozen=True)
class _Placed:
    """An array, where its lowest byte is in global memory, and its bytes with the gaps."""

    array: np.ndarray
    address: int
    low: int
    nbytes: int

    @property
    def data(self) -> int:
        return self.address - self.low

    def window(self, raw: np.ndarray) -> np.ndarray:
        return np.ndarray(self.array.shape, self.array.dtype, raw, -self.low, self.array.strides)


class Arrays:
    """NumPy arrays that a launch changes in place: copied to global memory before, back after."""

    def __init__(self, memory: GlobalMemory) -> None:
        self.memory = memory
        self._placed: dict[Any, _Placed] = {}

    def address(self, array: np.ndarray) -> int:
        """Address of the first item of an array, which stays known from now on."""
        return self._place(array).data

    def _place(self, array: np.ndarray) -> _Placed:
        start = array.__array_interface__["data"][0]
        key = start, array.shape, array.strides, array.dtype.str
        found = self._placed.get(key)
        if found is not None:
            return found
        low = sum((n - 1) * s for n, s in zip(array.shape, array.strides) if s < 0 and n)
        high = sum((n - 1) * s for n, s in zip(array.shape, array.strides) if s > 0 and n)
        nbytes = high - low + array.itemsize if array.size else 0
        for other in self._placed.values():
            if nbytes and np.may_share_memory(array, other.array):
                raise ValueError("two arguments share memory and are not the same array")
        made = self._placed[key] = _Placed(array, self.memory.allocate(nbytes), low, nbytes)
        return made

    def upload(self) -> None:
        """Copy every array to global memory; the gaps between its items stay unwritten."""
        for placed in self._placed.values():
            raw, written = np.zeros(placed.nbytes, np.uint8), np.zeros(placed.nbytes, np.uint8)
            if not placed.nbytes:
                continue
            placed.window(raw)[...] = placed.array
            item = np.dtype((np.void, placed.array.itemsize))
            marks = np.ndarray(placed.array.shape, item, written, -placed.low, placed.array.strides)
            marks[...] = np.array(b"\1" * item.itemsize, item)
            self.memory.write_some(placed.address, raw, written != 0)

    def download(self) -> None:
        """Copy every array back that can be written."""
        for placed in self._placed.values():
            if placed.nbytes and placed.array.flags.writeable:
                window = placed.window(self.memory.read(placed.address, placed.nbytes))
                placed.array[...] = window

    def pack(self, parameters: Sequence[Parameter], arguments: Sequence[Any]) -> bytes:
        """The bytes of the parameters.

        Raises:
            ValueError: more or fewer arguments than the kernel takes.
        """
        values = [v for a in arguments for v in self._flat(a)]
        if len(values) != len(parameters):
            raise ValueError(
                f"the arguments are {len(values)} parameters, the kernel has {len(parameters)}"
            )
        packed = bytearray(parameters[-1].offset + parameters[-1].size if parameters else 0)
        for parameter, value in zip(parameters, values):
            packed[parameter.offset : parameter.offset + parameter.size] = _bytes(parameter, value)
        return bytes(packed)

    def _flat(self, argument: Any) -> Iterator[Any]:
        if isinstance(argument, np.ndarray):
            data = self.address(argument)
            yield from (0, 0, argument.size, argument.itemsize, data)
            yield from (*argument.shape, *argument.strides)
        elif isinstance(argument, (tuple, list)):
            for item in argument:
                yield from self._flat(item)
        elif isinstance(argument, (complex, np.complexfloating)):
            yield from (argument.real, argument.imag)
        else:
            yield argument


def _bytes(parameter: Parameter, value: Any) -> bytes:
    if parameter.kind in ("f32", "f64") or isinstance(value, (float, np.floating)):
        return np.array(value, f"f{parameter.size}").tobytes()
    return (int(value) & ((1 << 8 * parameter.size) - 1)).to_bytes(parameter.size, "little")

"""``GpuArray``: an array in GPU memory, its views and its copies."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from .. import layout
from ..constants import forgotten_with_driver
from ..device import Device
from ..errors import ShapeError
from ..memory import Array
from ..replay import works_on
from . import work
from .pool import Buffer, pool

ORIGIN = 256  # where `all_memory` begins: aligned for every access, and not 0, which is no address


class _Interface:
    """What numba needs to see memory as an array; keeps the buffer alive."""

    def __init__(self, array: GpuArray) -> None:
        self.buffer = array.buffer
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "strides": array.strides,
            "typestr": array.dtype.str,
            "data": (array.pointer, False),
            "version": 3,
        }


class GpuArray(Array):
    """An :class:`Array` in GPU memory: a buffer, an offset, a shape and strides in bytes.

    Attributes:
        data: a device array of Numba's, made for those who ask; launches do without.
    """

    __slots__ = ("buffer", "offset", "_strides", "_data", "_parameters")

    def __init__(
        self,
        buffer: Buffer,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        dtype: np.dtype,
        device: Device,
    ) -> None:
        self.buffer, self.offset, self._strides = buffer, offset, strides
        self.shape, self.dtype, self.device = shape, dtype, device
        self._data = self._kind = None
        self._parameters: tuple[int, ...] | None = None

    @property
    def data(self) -> Any:
        if self._data is None:
            from numba import cuda

            with cuda.gpus[self.device.index]:
                self._data = cuda.as_cuda_array(_Interface(self), sync=False)
        return self._data

    @property
    def pointer(self) -> int:
        """Address of the first item."""
        return self.buffer.pointer + self.offset

    @property
    def place(self) -> int:
        """The number of the first item in :func:`all_memory` of this dtype."""
        return (self.pointer - ORIGIN) // self.dtype.itemsize

    @property
    def parameters(self) -> tuple[int, ...]:
        """What a compiled kernel is given for this array, see ``arguments``."""
        found = self._parameters
        if found is None:
            shape, itemsize = self.shape, self.dtype.itemsize
            head = 0, 0, math.prod(shape), itemsize, self.pointer
            found = self._parameters = (*head, *shape, *self._strides)
        return found

    @property
    def kind(self) -> int:
        """``arguments.kind_of`` this array, found once."""
        kind = self._kind
        if kind is None:
            from .arguments import kind_of

            kind = self._kind = kind_of(self)
        return kind

    @property
    def strides(self) -> tuple[int, ...]:
        return self._strides

    @property
    def is_contiguous(self) -> bool:
        return layout.is_contiguous(self.shape, self._strides, self.dtype.itemsize)

    def _view(self, view: layout.View) -> GpuArray:
        offset, shape, strides = view
        return GpuArray(self.buffer, self.offset + offset, shape, strides, self.dtype, self.device)

    def _index(self, keys: tuple[Any, ...]) -> Array:
        return self._view(layout.index(self.shape, self._strides, keys))

    def transpose(self, *axes: int) -> Array:
        return self._view(layout.transpose(self.shape, self._strides, axes or None))

    def broadcast_to(self, shape: Any) -> Array:
        sizes = tuple(map(operator.index, shape))
        return self._view(layout.broadcast(self.shape, self._strides, sizes))

    def _reshape(self, shape: tuple[int, ...]) -> Array:
        sizes = tuple(map(operator.index, shape))
        return self._view((0, sizes, layout.contiguous_strides(sizes, self.dtype.itemsize)))

    def _extent(self) -> tuple[int, int]:
        """The stretch of memory that holds the items: offset in the buffer, and bytes."""
        low, high = layout.extent(self.shape, self._strides, self.dtype.itemsize)
        return self.offset + low, high - low

    def stretch(self, dtype: np.dtype) -> tuple[GpuArray, int]:
        """The memory that holds the items as items of a dtype in a row, and which is the first."""
        low, nbytes = self._extent()
        size = dtype.itemsize
        row = GpuArray(self.buffer, low, (nbytes // size,), (size,), dtype, self.device)
        return row, (self.offset - low) // size

    def _window(self, host: np.ndarray, low: int) -> np.ndarray:
        """The items in a copy of their stretch of memory."""
        return np.ndarray(self.shape, self.dtype, host, self.offset - low, self._strides)

    def numpy(self) -> np.ndarray:
        low, nbytes = self._extent()
        host = np.empty(nbytes, np.uint8)
        if nbytes:
            source = self.buffer.pointer + low
            work.read(self.device.index, host.ctypes.data, source, nbytes)
        window = self._window(host, low)
        return window if self.is_contiguous else window.copy()

    def copy(self) -> Array:
        return self._copied()

    def _copied(self) -> GpuArray:
        new = empty(self.shape, self.dtype, self.device)
        new._write(self)
        return new

    def _write(self, other: Array) -> None:
        low, nbytes = self._extent()
        if not self.size:
            return
        index, start = self.device.index, self.buffer.pointer + low
        if isinstance(other, GpuArray) and other.device == self.device:
            if _share_memory(other, self):
                other = other._copied()
            if other.is_contiguous and self.is_contiguous:
                works_on((self, other))
                work.move(index, start, other.pointer, nbytes)
                return
            if not any(n > 1 and step == 0 for n, step in zip(self.shape, self._strides)):
                from .strided import copy_strided

                copy_strided(other, self)
                return
        host = np.empty(nbytes, np.uint8)
        if not self.is_contiguous:  # what lies between the items stays as it is
            work.read(index, host.ctypes.data, start, nbytes)
        self._window(host, low)[...] = other.numpy()
        works_on((self,))
        work.write(index, start, host.ctypes.data, nbytes)


def _share_memory(a: GpuArray, b: GpuArray) -> bool:
    """Whether the stretches of memory of two arrays overlap."""
    if a.buffer is not b.buffer:
        return False
    (low, size), (other, its_size) = a._extent(), b._extent()
    return low < other + its_size and other < low + size


def empty(shape: tuple[int, ...], dtype: np.dtype, device: Device) -> GpuArray:
    """A new C-contiguous array with undefined items on GPU ``device``."""
    if min(shape, default=0) < 0:
        raise ShapeError(f"empty: shape {shape} given, expected no negative sizes")
    strides = layout.contiguous_strides(shape, dtype.itemsize)
    nbytes = dtype.itemsize * math.prod(shape)
    return GpuArray(pool(device.index).take(nbytes), 0, shape, strides, dtype, device)


def zeros(shape: tuple[int, ...], dtype: np.dtype, device: Device) -> GpuArray:
    """A new C-contiguous array of zeros, set on GPU ``device`` without waiting for it."""
    new = empty(shape, dtype, device)
    if new.nbytes:  # zero bytes are zero in every dtype
        work.fill(device.index, new.pointer, 0, new.nbytes)
    return new


def from_host(host: np.ndarray, device: Device) -> GpuArray:
    """A copy of a NumPy array on GPU ``device``."""
    new = empty(host.shape, host.dtype, device)
    if host.size:
        host = np.ascontiguousarray(host)
        work.write(device.index, new.pointer, host.ctypes.data, host.nbytes)
    return new


@forgotten_with_driver
@functools.cache
def all_memory(dtype: np.dtype, device: Device) -> GpuArray:
    """All memory of GPU ``device`` as one array, for kernels that find places in tables.

    Its item ``i`` lies at the address ``ORIGIN + i * dtype.itemsize``. It keeps nothing alive, and
    no graph knows what it is used for: see ``replay.works_on``.
    """
    n = layout.TOO_LARGE // dtype.itemsize
    buffer = Buffer(ORIGIN, n * dtype.itemsize, None)
    return GpuArray(buffer, 0, (n,), (dtype.itemsize,), dtype, device)

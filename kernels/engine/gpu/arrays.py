"""``GpuArray``: an array in GPU memory, its views and its copies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda

from .. import layout
from ..device import Device
from ..errors import ShapeError
from ..memory import Array
from .pool import Buffer, pool


class _Interface:
    """What numba needs to see memory as an array; keeps the buffer alive."""

    def __init__(self, array: GpuArray) -> None:
        self.buffer = array.buffer
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "strides": array.strides,
            "typestr": array.dtype.str,
            "data": (array.buffer.pointer + array.offset, False),
            "version": 3,
        }


class GpuArray(Array):
    """An :class:`Array` in GPU memory: a buffer, an offset, a shape and strides in bytes."""

    __slots__ = ("buffer", "offset", "_strides", "_data")

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
        self._data = None

    @property
    def data(self) -> Any:
        if self._data is None:
            with cuda.gpus[self.device.index]:
                self._data = cuda.as_cuda_array(_Interface(self), sync=False)
        return self._data

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
        return self._view(layout.broadcast(self.shape, self._strides, tuple(shape)))

    def _reshape(self, shape: tuple[int, ...]) -> Array:
        return self._view((0, shape, layout.contiguous_strides(shape, self.dtype.itemsize)))

    def _bytes(self) -> tuple[int, GpuArray]:
        """The stretch of memory that holds the items: its offset, and it as an array of bytes."""
        low, high = layout.extent(self.shape, self._strides, self.dtype.itemsize)
        low, nbytes = self.offset + low, high - low
        return low, GpuArray(self.buffer, low, (nbytes,), (1,), np.dtype(np.uint8), self.device)

    def _window(self, host: np.ndarray, low: int) -> np.ndarray:
        """The items in a copy of their stretch of memory."""
        return np.ndarray(self.shape, self.dtype, host, self.offset - low, self._strides)

    def numpy(self) -> np.ndarray:
        low, stretch = self._bytes()
        host = np.empty(stretch.shape, np.uint8)
        if host.size:
            with cuda.gpus[self.device.index]:
                stretch.data.copy_to_host(host)
        window = self._window(host, low)
        return window if self.is_contiguous else window.copy()

    def copy(self) -> Array:
        new = empty(self.shape, self.dtype, self.device)
        new._write(self)
        return new

    def _write(self, other: Array) -> None:
        low, stretch = self._bytes()
        if not self.size:
            return
        with cuda.gpus[self.device.index]:
            if isinstance(other, GpuArray) and _can_be_moved(other, self):
                stretch.data.copy_to_device(other._bytes()[1].data)
                return
            host = np.empty(stretch.shape, np.uint8)
            if not self.is_contiguous:
                stretch.data.copy_to_host(host)  # what lies between the items stays as it is
            self._window(host, low)[...] = other.numpy()
            stretch.data.copy_to_device(host)


def _can_be_moved(source: GpuArray, target: GpuArray) -> bool:
    """Whether one copy inside the GPU does: two stretches without gaps that do not overlap."""
    apart = source.buffer is not target.buffer or (
        abs(source.offset - target.offset) >= source.nbytes
    )
    return (
        apart and source.device == target.device and source.is_contiguous and target.is_contiguous
    )


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
    if new.nbytes:
        with cuda.gpus[device.index]:
            new.buffer.memory.memset(0, new.nbytes)  # zero bytes are zero in every dtype
    return new


def from_host(host: np.ndarray, device: Device) -> GpuArray:
    """A copy of a NumPy array on GPU ``device``."""
    new = empty(host.shape, host.dtype, device)
    if host.size:
        with cuda.gpus[device.index]:
            new.data.copy_to_device(np.ascontiguousarray(host))
    return new

"""The GPU back end: the only file that touches numba-cuda's host side.

Memory comes from a caching pool: freed blocks are kept by size and handed out again, because
``cudaMalloc`` and ``cudaFree`` stop the whole device. Everything runs in the order of one stream
by default; a block freed while a kernel still uses it is only reused by later work of that order.
Without numba-cuda or a driver, :func:`count` is 0 and nothing else here is called.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda
from numba.core import config

from . import layout
from .device import KIB, Device, Limits
from .errors import DeviceError
from .memory import Array

if TYPE_CHECKING:
    from .kernel import Kernel

Dim3 = tuple[int, int, int]
GRANULE = 512  # bytes; cudaMalloc aligns to 256, 512 keeps size classes few
FLOAT32_CORES = {(7, 0): 64, (7, 5): 64, (8, 0): 64}  # per multiprocessor; 128 on the others
LARGE = 1024 * KIB  # bytes; blocks above it are rounded to whole MiB


@functools.cache
def count() -> int:
    """Number of NVIDIA GPUs that numba can use; 0 without a driver and in Numba's simulator."""
    if getattr(config, "ENABLE_CUDASIM", False) or not cuda.is_available():
        return 0
    return len(cuda.gpus)


@functools.cache
def limits(index: int) -> Limits:
    """Limits of GPU ``index`` as its driver reports them."""
    with cuda.gpus[index]:
        d = cuda.get_current_device()
        name = d.name.decode() if isinstance(d.name, bytes) else str(d.name)
        capability = tuple(d.compute_capability)
        bus = d.GLOBAL_MEMORY_BUS_WIDTH / 8  # bytes per transfer, two transfers per clock
        cores = FLOAT32_CORES.get(capability, 128) * d.MULTIPROCESSOR_COUNT
        return Limits(
            name=name,
            compute_capability=capability,
            sms=d.MULTIPROCESSOR_COUNT,
            shared_per_block=d.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
            bandwidth=2 * d.MEMORY_CLOCK_RATE * 1e3 * bus / 1e9,
            float32=2 * cores * d.CLOCK_RATE * 1e3 / 1e12,
            power=0,
            threads_per_block=d.MAX_THREADS_PER_BLOCK,
            block_dim=(d.MAX_BLOCK_DIM_X, d.MAX_BLOCK_DIM_Y, d.MAX_BLOCK_DIM_Z),
            grid_dim=(d.MAX_GRID_DIM_X, d.MAX_GRID_DIM_Y, d.MAX_GRID_DIM_Z),
        )


class Buffer:
    """A block of GPU memory that goes back to its pool when nothing refers to it any more."""

    __slots__ = ("memory", "nbytes", "pool", "__weakref__")

    def __init__(self, memory: Any, nbytes: int, pool: Pool) -> None:
        self.memory, self.nbytes, self.pool = memory, nbytes, pool

    @property
    def pointer(self) -> int:
        return int(self.memory.device_pointer_value)

    def __del__(self) -> None:
        self.pool.free.setdefault(self.nbytes, []).append(self.memory)


class Pool:
    """Caching allocator of one GPU: free blocks by size class."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.free: dict[int, list[Any]] = {}

    @staticmethod
    def size_class(nbytes: int) -> int:
        """Bytes really reserved for a request of ``nbytes``."""
        unit = LARGE if nbytes > LARGE else GRANULE
        return max(GRANULE, (nbytes + unit - 1) // unit * unit)

    def take(self, nbytes: int) -> Buffer:
        """A block of at least ``nbytes``: a cached one, else new; empties the cache if full."""
        size = self.size_class(nbytes)
        cached = self.free.get(size)
        if cached:
            return Buffer(cached.pop(), size, self)
        try:
            memory = self._allocate(size)
        except Exception:
            if not any(self.free.values()):
                raise
            self.release()
            memory = self._allocate(size)
        return Buffer(memory, size, self)

    def _allocate(self, size: int) -> Any:
        with cuda.gpus[self.index]:
            return cuda.current_context().memalloc(size)

    def release(self) -> None:
        """Give every cached block back to the driver."""
        with cuda.gpus[self.index]:
            cuda.synchronize()
            self.free.clear()


@functools.cache
def pool(index: int) -> Pool:
    """The pool of GPU ``index``."""
    return Pool(index)


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

    def numpy(self) -> np.ndarray:
        raw = np.empty(self.buffer.nbytes, np.uint8)
        with cuda.gpus[self.device.index]:
            _bytes_of(self.buffer, self.device).copy_to_host(raw)
        return np.ndarray(self.shape, self.dtype, raw, self.offset, self._strides).copy()

    def copy(self) -> Array:
        return from_host(self.numpy(), self.device)

    def _write(self, other: Array) -> None:
        host = np.empty(self.buffer.nbytes, np.uint8)
        whole = _bytes_of(self.buffer, self.device)
        with cuda.gpus[self.device.index]:
            if not self.is_contiguous:
                whole.copy_to_host(host)
            window = np.ndarray(self.shape, self.dtype, host, self.offset, self._strides)
            window[...] = other.numpy()
            if self.is_contiguous:
                end = self.offset + self.nbytes
                whole[self.offset : end].copy_to_device(host[self.offset : end])
            else:
                whole.copy_to_device(host)


def _bytes_of(buffer: Buffer, device: Device) -> Any:
    """The whole buffer as a numba array of bytes."""
    return GpuArray(buffer, 0, (buffer.nbytes,), (1,), np.dtype(np.uint8), device).data


def empty(shape: tuple[int, ...], dtype: np.dtype, device: Device) -> GpuArray:
    """A new C-contiguous array with undefined items on GPU ``device``."""
    strides = layout.contiguous_strides(shape, dtype.itemsize)
    nbytes = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    return GpuArray(pool(device.index).take(nbytes), 0, shape, strides, dtype, device)


def from_host(host: np.ndarray, device: Device) -> GpuArray:
    """A copy of a NumPy array on GPU ``device``."""
    new = empty(host.shape, host.dtype, device)
    if host.size:
        with cuda.gpus[device.index]:
            new.data.copy_to_device(np.ascontiguousarray(host))
    return new


def dispatcher(kernel: Kernel) -> Any:
    """numba-cuda's dispatcher of a kernel with its options."""
    options: dict[str, Any] = {"fastmath": kernel.fastmath}
    if kernel.launch_bounds is not None:
        options["launch_bounds"] = kernel.launch_bounds
    if kernel.max_registers is not None:
        options["max_registers"] = kernel.max_registers
    try:
        return cuda.jit(**options)(kernel.py_func)
    except (TypeError, ValueError) as error:
        raise DeviceError(
            f"{kernel.__name__}: numba's CUDA target refuses the options {options}: {error}; "
            "install the extra cuda12 or cuda13"
        ) from error


def launch(
    kernel: Kernel, device: Device, grid: Dim3, block: Dim3, stream: Any, shared: int, args: Any
) -> None:
    """Run a kernel on GPU ``device``; returns as soon as it is queued."""
    with cuda.gpus[device.index]:
        kernel.gpu[grid, block, stream, shared](*args)


def synchronize(device: Device) -> None:
    """Wait until GPU ``device`` has finished all queued work."""
    with cuda.gpus[device.index]:
        cuda.synchronize()

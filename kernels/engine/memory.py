"""Arrays that live on a device: :class:`Array` on the CPU, and how new arrays are made.

An :class:`Array` is a typed, strided view of memory, like ``numpy.ndarray``, tied to one device.
It has no arithmetic: kernels do that. On the CPU it wraps a NumPy array; its subclass
``GpuArray`` in ``gpu/arrays.py`` wraps GPU memory from a caching pool.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import host_memory, layout
from .device import CPU, Device
from .device import device as find_device
from .errors import DeviceError, DtypeError, ShapeError

FLOAT32 = np.dtype(np.float32)
DTYPES = frozenset(
    np.dtype(t)
    for t in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16")
)


class Array:
    """A strided array on a device.

    Attributes:
        data: what a kernel receives: ``numpy.ndarray`` on the CPU, a numba device array on a GPU.
        shape, strides: sizes, and steps in bytes, of the axes.
        dtype: ``numpy.dtype`` of the items.
        device: the :class:`Device` that holds the memory.
    """

    __slots__ = ("data", "shape", "dtype", "device", "_kind", "__weakref__")

    def __init__(self, data: np.ndarray) -> None:
        self._kind: int | None = None
        self.data: Any = data
        self.shape: tuple[int, ...] = data.shape
        self.dtype = data.dtype
        self.device: Device = CPU

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        """Of a copy, unpickled perhaps in another process: numbers of kinds hold for one only."""
        for name, value in state[1].items():
            setattr(self, name, value)
        self._kind = None

    @property
    def strides(self) -> tuple[int, ...]:
        return self.data.strides

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for s in self.shape:
            n *= s
        return n

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def is_contiguous(self) -> bool:
        """True when the items lie in C order without gaps."""
        return self.data.flags.c_contiguous

    @property
    def kind(self) -> int:
        """``layout.kind_of(data)`` of an array on the CPU, found once."""
        kind = self._kind
        if kind is None:
            kind = self._kind = layout.kind_of(self.data)
        return kind

    @property
    def T(self) -> Array:
        """View with the axes reversed."""
        return self.transpose()

    def numpy(self) -> np.ndarray:
        """A new ``numpy.ndarray`` with the same items (always a copy, on the host)."""
        return self.data.copy()

    def item(self) -> Any:
        """The only item as a Python scalar; ShapeError if there is not exactly one."""
        if self.size != 1:
            raise ShapeError(f"item: shape {self.shape} given, expected an array of one item")
        return self.numpy().reshape(())[()].item()

    def __getitem__(self, key: Any) -> Array:
        """View by integers, slices, ``...`` and None; never a copy."""
        keys = key if isinstance(key, tuple) else (key,)
        for k in keys:
            plain = isinstance(k, (int, np.integer)) and not isinstance(k, bool)
            if not (plain or isinstance(k, slice) or k is Ellipsis or k is None):
                raise TypeError(
                    f"index: {type(k).__name__} given, expected integers, slices, ... or None"
                )
        if Ellipsis not in keys:  # keeps a 0-d view from becoming a NumPy scalar
            keys = (*keys, Ellipsis)
        return self._index(keys)

    def _index(self, keys: tuple[Any, ...]) -> Array:
        return Array(self.data[keys])

    def transpose(self, *axes: int) -> Array:
        """View with permuted axes; without arguments they are reversed."""
        try:
            return Array(self.data.transpose(*axes))
        except ValueError:
            layout.transpose(self.shape, self.strides, axes)
            raise

    def broadcast_to(self, shape: Sequence[int]) -> Array:
        """View repeated to ``shape`` by strides of 0; do not write to it."""
        target = tuple(shape)
        _, target, strides = layout.broadcast(self.shape, self.strides, target)
        return Array(np.lib.stride_tricks.as_strided(self.data, target, strides))

    def reshape(self, *shape: Any) -> Array:
        """View of a C-contiguous array in another shape; one size may be -1.

        Raises:
            ShapeError: the number of items differs, or the array is not C-contiguous
                (make it so with ``copy()``).
        """
        single = len(shape) == 1 and not isinstance(shape[0], (int, np.integer))
        target = tuple(shape[0]) if single else shape
        target = layout.resolve_shape(self.size, target)
        if not self.is_contiguous:
            raise ShapeError(
                f"reshape: strides {self.strides} of shape {self.shape} are not C-contiguous; "
                "call copy() first"
            )
        return self._reshape(target)

    def _reshape(self, shape: tuple[int, ...]) -> Array:
        return Array(self.data.reshape(shape))

    def copy(self) -> Array:
        """A new C-contiguous array on the same device."""
        made = host_memory.empty(self.shape, self.dtype)
        np.copyto(made, self.data)
        return Array(made)

    def copy_from(self, source: Array | np.ndarray) -> Array:
        """Overwrite the items with those of ``source`` (same shape and dtype); returns self."""
        other = source if isinstance(source, Array) else Array(np.asarray(source))
        if other.shape != self.shape:
            raise ShapeError(f"copy_from: shape {other.shape} given, expected {self.shape}")
        if other.dtype != self.dtype:
            raise DtypeError(f"copy_from: dtype {other.dtype} given, expected {self.dtype}")
        self._write(other)
        return self

    def _write(self, other: Array) -> None:
        self.data[...] = other.data if other.device.is_cpu else other.numpy()

    def to(self, device: Device | str) -> Array:
        """The array on ``device``: itself if it is there already, else a copy."""
        target = find_device(device)
        if target == self.device:
            return self
        return array(self.numpy(), device=target)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if not self.device.is_cpu:
            raise DeviceError(f"array on {self.device}: call .numpy() to copy it to the host")
        return np.array(self.data, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        body = np.array2string(self.numpy(), separator=", ", prefix="array(")
        return f"array({body}, dtype={self.dtype}, device='{self.device}')"


def check_dtype(dtype: Any) -> np.dtype:
    """``numpy.dtype`` of ``dtype``; DtypeError if kernels cannot hold it."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise DtypeError(f"dtype: {dtype!r} given, expected a NumPy dtype") from None
    if found not in DTYPES:
        raise DtypeError(f"dtype: {found} given, expected a boolean, integer, float or complex")
    return found


def array(x: Any, dtype: Any = None, device: Device | str | None = None) -> Array:
    """A new array on ``device`` with the items of ``x``; always a copy.

    Args:
        x: anything ``numpy.asarray`` takes, or an :class:`Array`. Python floats become float32,
            Python integers int64; NumPy arrays keep their dtype.
        dtype: dtype of the items.
        device: ``"cpu"``, ``"cuda"``, a :class:`Device`; None is the default device.

    Raises:
        DtypeError: the items have no numeric dtype.
        DeviceError: the device is not present.
    """
    target = find_device(device)
    same = isinstance(x, Array) and x.device == target
    if same and (dtype is None or check_dtype(dtype) == x.dtype):
        return x.copy()
    typed = isinstance(x, (np.ndarray, np.generic, Array))
    host = x.numpy() if isinstance(x, Array) else np.asarray(x)
    if dtype is None:
        dtype = FLOAT32 if not typed and host.dtype == np.float64 else host.dtype
    host = np.array(host, dtype=check_dtype(dtype), order="C")
    if target.is_cpu:
        return Array(host)
    from . import gpu

    return gpu.from_host(host, target)


def empty(shape: Any, dtype: Any = FLOAT32, device: Device | str | None = None) -> Array:
    """A new C-contiguous array with undefined items.

    Args:
        shape: a tuple of sizes, or one size.
        dtype: dtype of the items.
        device: see :func:`array`.
    """
    if dtype is not FLOAT32:
        dtype = np.dtype(dtype) if dtype in DTYPES else check_dtype(dtype)
    target = device if device is CPU else find_device(device)
    if target is CPU or target.is_cpu:
        return Array(host_memory.empty(shape, dtype))
    from . import gpu

    return gpu.empty(_sizes(shape), dtype, target)


def full(shape: Any, value: Any, dtype: Any = FLOAT32, device: Any = None) -> Array:
    """A new array with every item ``value``; see :func:`empty`."""
    target = find_device(device)
    if target.is_cpu:
        return Array(np.full(shape, value, check_dtype(dtype)))
    from .gpu import filling, from_host

    if np.ndim(value):  # one for each place of some axes
        return from_host(np.full(shape, value, check_dtype(dtype)), target)
    return filling.full(_sizes(shape), np.full((), value, check_dtype(dtype)), target)


def zeros(shape: Any, dtype: Any = FLOAT32, device: Any = None) -> Array:
    """A new array of zeros; see :func:`empty`."""
    target = find_device(device)
    if target.is_cpu:
        return Array(np.zeros(shape, check_dtype(dtype)))
    from . import gpu

    return gpu.zeros(_sizes(shape), check_dtype(dtype), target)


def _sizes(shape: Any) -> tuple[int, ...]:
    """A shape of Python's integers: products of NumPy's may overflow, and they have widths."""
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else shape
    return tuple(map(operator.index, sizes))

"""From the arguments of a launch to what the compiled kernel takes: NumPy arrays and scalars.

Host and device memory are one here, so an array is passed as it is unless a GPU's separate copy
could be told apart: ``cuda.In`` and read-only arrays get a copy, so do overlapping host arrays.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import typeof
from numba.cuda.simulator.cudadrv import devicearray
from numba.cuda.simulator.kernel import ArgHint

After = list[Callable[[], Any]]


def extended(extensions: Any, args: tuple[Any, ...], stream: Any, after: After) -> tuple[Any, ...]:
    """The arguments as the ``prepare_args`` of the kernel's extensions leave them."""
    if not extensions:
        return args
    values = []
    for value in args:
        kind = None if isinstance(value, ArgHint) else _typeof(value)
        for extension in reversed(extensions):
            kind, value = extension.prepare_args(kind, value, stream=stream, retr=after)
        values.append(value)
    return tuple(values)


def _typeof(value: Any) -> Any:
    try:
        return typeof(value)
    except Exception:
        return None


class Arguments:
    """Converts the arguments of one launch.

    Args:
        name: of the kernel, for errors.
        args: what the launch was given.

    Attributes:
        values: what the compiled kernel takes.
        after: to be called when the kernel has finished.
    """

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name = name
        self.after: After = []
        self.host: list[np.ndarray] = []
        self.values = tuple(self._value(a) for a in args)

    def _value(self, a: Any) -> Any:
        if isinstance(a, devicearray.FakeCUDAArray):
            inner = a._ary
            return inner.view(np.ndarray) if isinstance(inner, np.ndarray) else inner
        if isinstance(a, np.ndarray):
            return self._host(a.view(np.ndarray))
        if isinstance(a, ArgHint):
            inner = self._value(a.value)
            copied = type(a).__name__ == "In" and isinstance(inner, (np.ndarray, np.void))
            return inner.copy() if copied else inner
        if isinstance(a, devicearray.FakeWithinKernelCUDAArray):
            return self._value(a._item)
        if isinstance(a, tuple):
            items = [self._value(item) for item in a]
            return type(a)(*items) if hasattr(a, "_fields") else tuple(items)
        if isinstance(a, enum.Enum):
            return a.value
        if type(a) is int and 2**63 <= a < 2**64:
            return np.uint64(a)
        return a

    def _host(self, a: np.ndarray) -> np.ndarray:
        """A host array: copied to the device and back by a GPU, mostly used in place here."""
        devicearray.sentry_contiguous(a)
        if not a.flags.writeable:
            return self._read_only(a)
        if any(np.may_share_memory(a, other) for other in self.host):
            copy = a.copy(order="K")
            self.after.append(lambda: np.copyto(a, copy))
            return copy
        self.host.append(a)
        return a

    def _read_only(self, a: np.ndarray) -> np.ndarray:
        copy = a.copy(order="K")
        before = copy.tobytes()

        def check() -> None:
            if copy.tobytes() != before:
                raise ValueError(f"{self.name}: the kernel wrote to an array that is read-only")

        self.after.append(check)
        return copy

"""``@kernel``: one CUDA kernel source, run where its arrays live.

    @kernel
    def saxpy(a, x, y, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = a * x[i] + y[i]

    saxpy[blocks, threads](np.float32(2), x, y, out)

Arrays on a GPU: the function is compiled by numba-cuda and launched by ``engine.gpu``. Arrays on
the CPU: it is compiled by ``engine.cpu`` to a multi-threaded native function. Launch limits are
checked on both.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from . import layout
from .device import CPU, Device, check_launch, shared_size
from .errors import ArgumentError, DeviceError, LaunchError
from .memory import Array
from .read_only import launch_without_writing

Dim3 = tuple[int, int, int]
INTEGERS = frozenset({int, np.int32, np.int64})
NUMBERS = INTEGERS | {bool, float, np.float32, np.float64}  # what most kernels take
LAUNCHES = 4096  # configurations remembered per kernel before the cache is emptied


class Kernel:
    """A CUDA kernel that runs on any device; made by :func:`kernel`.

    Launch it as numba kernels are: ``k[grid, block](*args)`` or
    ``k[grid, block, stream, shared_bytes](*args)``. Arguments are :class:`Array` objects of one
    device, ``numpy.ndarray`` (CPU), numba device arrays (GPU) and scalars. On the CPU the launch
    returns when the kernel has finished, and ``stream`` is ignored.

    Attributes:
        py_func: the plain Python function.
        fastmath, launch_bounds, max_registers, debug: the options given to :func:`kernel`.
    """

    def __init__(
        self,
        py_func: Callable[..., None],
        *,
        fastmath: bool = False,
        launch_bounds: int | tuple[int, int] | None = None,
        max_registers: int | None = None,
        debug: bool = False,
    ) -> None:
        self.py_func = py_func
        self.__name__: str = py_func.__name__
        self.fastmath = fastmath
        self.launch_bounds = launch_bounds
        self.max_registers = max_registers
        self.debug = debug
        self._launches: dict[Any, _Launch] = {}
        self.loaded: dict[Device, dict[Any, Any]] = {}  # by types of arguments; of gpu.launch
        functools.update_wrapper(self, py_func)
        made_kernels.add(self)

    @functools.cached_property
    def cpu(self) -> Any:
        """The kernel as the CPU compiler sees it (``engine.cpu.CpuKernel``)."""
        from .cpu import CpuKernel

        return CpuKernel(self.py_func, fastmath=self.fastmath, debug=self.debug)

    @functools.cached_property
    def gpu(self) -> Any:
        """The kernel as numba-cuda's dispatcher, for launches that only numba-cuda can do."""
        from . import gpu

        return gpu.dispatcher(self)

    @property
    def check(self) -> Any:
        """``k.check[grid, block](*args)`` launches under the checker (``engine.lens``).

        Returns:
            the :class:`~nnlite.kernels.engine.lens.Report` of the launch.
        """
        from .lens import Checker

        return Checker(self)

    def inspect_cpu(self, block: Any = None, args: tuple[Any, ...] = ()) -> str:
        """The Python source that the CPU compiler has generated, one function per variant.

        Args:
            block: a block shape to compile for; None shows what launches have compiled so far.
            args: example arguments for ``block``; their types decide.

        Raises:
            LaunchError: nothing has been compiled and no block is given.
            UnsupportedKernelError: the kernel cannot be compiled for the CPU.

        Example:
            >>> print(saxpy.inspect_cpu(256, (np.float32(2), x, y, out)))
        """
        values = tuple(a.data if isinstance(a, Array) else a for a in args)
        shape = None if block is None else dim3(self.__name__, "block", block)
        return self.cpu.inspect_cpu(shape, values)

    def __getitem__(self, config: Any) -> _Launch:
        try:
            return self._launches[config]
        except KeyError:
            pass
        except TypeError:  # an unhashable grid such as a list
            return _Launch(self, config)
        if len(self._launches) >= LAUNCHES:
            self._launches.clear()
        launch = self._launches[config] = _Launch(self, config)
        return launch

    def __call__(self, *args: Any) -> None:
        raise LaunchError(
            f"{self.__name__}: a kernel needs a grid and a block, as in "
            f"{self.__name__}[blocks, threads](...)"
        )

    def __repr__(self) -> str:
        return f"<kernel {self.__name__}>"


made_kernels: weakref.WeakSet[Kernel] = weakref.WeakSet()


def forget_gpu() -> None:
    """Let every kernel forget what it has loaded on a GPU."""
    for found in list(made_kernels):
        found.loaded.clear()
        found._launches.clear()


class _Launch:
    """A kernel with a launch configuration; calling it runs the kernel."""

    __slots__ = (
        "kernel", "grid", "block", "stream", "shared", "checked", "checked_on_cpu", "on_gpu",
    )  # fmt: skip

    def __init__(self, kernel: Kernel, config: Any) -> None:
        name = kernel.__name__
        if not isinstance(config, tuple) or not 2 <= len(config) <= 4:
            raise LaunchError(
                f"{name}: launch configuration {config!r} given, expected "
                "[grid, block] or [grid, block, stream, shared_bytes]"
            )
        self.kernel = kernel
        self.grid = dim3(name, "grid", config[0])
        self.block = dim3(name, "block", config[1])
        self.stream = config[2] if len(config) > 2 else 0
        self.shared = shared_size(name, config[3]) if len(config) > 3 else 0
        self.checked: set[Device] = set()
        self.checked_on_cpu = False
        self.on_gpu: Any = None  # gpu.Launcher, made by the first launch on a GPU

    def __call__(self, *args: Any) -> None:
        values: list[Any] = []
        key: list[Any] = [self.block]
        for a in args:
            kind = type(a)
            if kind is Array:
                number = a._kind
                values.append(a.data)
                key.append(a.kind if number is None else number)
            elif kind is np.ndarray and a.flags.writeable:
                values.append(a)
                key.append(layout.kind_of(a))
            elif kind in NUMBERS:
                values.append(a)
                key.append(kind)
                if kind in INTEGERS:
                    key.append(0 <= a < layout.TOO_LARGE)
            else:
                return self._launch(args)
        if not self.checked_on_cpu:
            self._check(CPU)
        return self.kernel.cpu.launch(self.grid, self.block, self.shared, tuple(values), tuple(key))

    def _launch(self, args: tuple[Any, ...]) -> None:
        """Launch with arguments of any kind, on the device of the arrays."""
        if self.on_gpu is not None and self.on_gpu.quick(args):
            return
        device = None
        for a in args:
            inner = _device_of(a)
            if inner is not None:
                device = self._same(device, inner, args)
        if device is None or device.is_cpu:
            if not self.checked_on_cpu:
                self._check(CPU)
            launch = functools.partial(self.kernel.cpu.launch, self.grid, self.block, self.shared)
            launch_without_writing(self.kernel.py_func, tuple(map(data_of, args)), launch)
        else:
            if device not in self.checked:
                self._check(device)
            launcher = self.on_gpu  # another thread may set it, for another GPU
            if launcher is None or launcher.device != device:
                from .gpu import Launcher

                launcher = self.on_gpu = Launcher(self, device)
            launcher.launch(args)

    def _same(self, seen: Device | None, new: Device, args: tuple[Any, ...]) -> Device:
        if seen is not None and seen != new:
            i = next(i for i, a in enumerate(args) if _device_of(a) == new)
            raise DeviceError(
                f"{self.kernel.__name__}: argument {i} is on {new}, expected {seen} "
                "like the arguments before it"
            )
        return new

    def _check(self, device: Device) -> None:
        kernel = self.kernel
        static = kernel.cpu.static_shared_bytes if device.is_cpu else 0
        sizes = self.grid, self.block, static, self.shared
        check_launch(device.limits, kernel.__name__, *sizes, kernel.launch_bounds)
        self.checked.add(device)
        self.checked_on_cpu = CPU in self.checked


def data_of(value: Any) -> Any:
    """What a kernel is given for an argument; the items of tuples too."""
    if isinstance(value, tuple):
        items = [data_of(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value.data if isinstance(value, Array) else value


def _device_of(value: Any) -> Device | None:
    """Where a launch argument, or the first array in a tuple, lives; None for a scalar."""
    if isinstance(value, Array):
        return value.device
    if isinstance(value, tuple):
        return next((d for d in map(_device_of, value) if d is not None), None)
    if isinstance(value, np.ndarray):
        return CPU
    return Device("cuda") if hasattr(value, "__cuda_array_interface__") else None


def dim3(name: str, what: str, value: Any) -> Dim3:
    sizes = value if isinstance(value, (tuple, list)) else (value,)
    whole = all(isinstance(s, (int, np.integer)) and not isinstance(s, bool) for s in sizes)
    if not whole or not 1 <= len(sizes) <= 3:
        raise LaunchError(f"{name}: {what} {value!r} given, expected 1 to 3 integers")
    x, y, z = (*map(int, sizes), 1, 1)[:3]
    return x, y, z


def kernel(
    py_func: Callable[..., None] | None = None,
    *,
    fastmath: bool = False,
    launch_bounds: int | tuple[int, int] | None = None,
    max_registers: int | None = None,
    debug: bool = False,
) -> Any:
    """Make a CUDA kernel of an ordinary Numba CUDA function; use as ``@kernel`` or ``@kernel(…)``.

    Args:
        fastmath: allow reassociation, approximate division and square roots, flush subnormals.
        launch_bounds: most threads per block, or (threads, least blocks per multiprocessor);
            lets the GPU compiler give each thread more registers.
        max_registers: most registers a thread may use on a GPU.
        debug: report exceptions that the kernel raises; without it they only end the thread. On the
            CPU every index is checked as well (IndexError).

    Returns:
        :class:`Kernel`, launched as ``k[grid, block](*args)``.

    Raises:
        ArgumentError: an option has a value out of range.
    """
    if max_registers is not None and not 16 <= max_registers <= 255:
        raise ArgumentError(f"kernel: max_registers={max_registers} given, expected 16 to 255")
    threads = launch_bounds if isinstance(launch_bounds, int) else (launch_bounds or (1,))[0]
    if not 1 <= threads <= 1024:
        raise ArgumentError(f"kernel: launch_bounds={launch_bounds} given, expected 1 to 1024")

    def wrap(function: Callable[..., None]) -> Kernel:
        return Kernel(
            function,
            fastmath=fastmath,
            launch_bounds=launch_bounds,
            max_registers=max_registers,
            debug=debug,
        )

    return wrap if py_func is None else wrap(py_func)

"""Launches on a GPU: compiled once per types of arguments, then queued by one call.

The first launch of a kernel with new types of arguments compiles it (``compile``), loads the
machine code and keeps it as an :class:`Entry`. Each launch lines up the parameters of its arguments
(``arguments``), those of an array as they were made once, and hands them to the driver. What that
cannot do goes through numba-cuda's own launcher, at its price: debugging, ``print``, barriers of
the whole grid, arrays that other packages made.
"""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any

from ..device import STATIC_SHARED, Device
from ..errors import DeviceError, LaunchError
from ..replay import beside, here, works_on
from . import work
from .arguments import LARGE, PLAIN, Packer, describe, signature
from .arrays import GpuArray
from .compile import compiled
from .driver import active

if TYPE_CHECKING:
    from ..kernel import Kernel

_lock = threading.RLock()
_names: dict[int, str] = {}


def name_of(handle: int) -> str:
    """The name of a loaded kernel."""
    return _names.get(handle, "a kernel")


def dispatcher(kernel: Kernel) -> Any:
    """numba-cuda's dispatcher of a kernel with its options."""
    from numba import cuda

    options: dict[str, Any] = {"fastmath": kernel.fastmath}
    if kernel.launch_bounds is not None:
        options["launch_bounds"] = kernel.launch_bounds
    if kernel.max_registers is not None:
        options["max_registers"] = kernel.max_registers
    if kernel.debug:
        options |= {"debug": True, "opt": False}
    try:
        return cuda.jit(**options)(kernel.py_func)
    except (TypeError, ValueError) as error:
        raise DeviceError(
            f"{kernel.__name__}: numba's CUDA target refuses the options {options}: {error}; "
            "install the extra cuda12 or cuda13"
        ) from error


class Entry:
    """A kernel loaded on one GPU for certain types of arguments."""

    __slots__ = ("index", "kernel", "packer", "shared")

    def __init__(self, index: int, kernel: int, packer: Packer) -> None:
        self.index, self.kernel, self.packer = index, kernel, packer
        self.shared = 0  # dynamic shared memory allowed: 48 KiB less the static at first, unasked

    def allow(self, shared: int) -> None:
        """Let launches ask for so much dynamic shared memory, or for more as before."""
        with _lock:  # another thread that needs less would take it back
            if shared > self.shared:
                active().allow_shared(self.index, self.kernel, shared)
                self.shared = shared


class Launcher:
    """A kernel with a launch configuration on one GPU.

    Args:
        config: kernel, grid, block, bytes of shared memory, and a stream of anyone's; 0 is the one
            that the thread uses.
        device: where.
    """

    __slots__ = (
        "kernel", "device", "grid", "block", "stream", "shared", "configuration", "entries",
    )  # fmt: skip

    def __init__(self, config: Any, device: Device) -> None:
        self.kernel: Kernel = config.kernel
        self.device = device
        self.grid, self.block, self.shared = config.grid, config.block, config.shared
        self.stream = handle_of(config.stream)
        self.configuration = active().configuration(config.grid, config.block, config.shared)
        self.entries: dict[tuple[Any, ...], Entry | None] = self.kernel.loaded.setdefault(
            device, {}
        )

    def quick(self, args: tuple[Any, ...]) -> bool:
        """Launch a kernel that was launched before with arguments of these types.

        Returns: False if it has to be done the long way, :meth:`launch`.
        """
        values: list[Any] = []
        key: list[Any] = []
        device = self.device
        for a in args:
            kind = type(a)
            if kind is GpuArray:
                if a.device is not device and a.device != device:
                    return False
                number = a._kind
                key.append(a.kind if number is None else number)
                values += a._parameters or a.parameters
            elif kind in PLAIN:
                key.append(kind)
                values.append(a)
            elif kind is int and -LARGE <= a < LARGE:
                key.append(int)
                values.append(a)
            else:
                return False
        entry = self.entries.get(tuple(key))
        if entry is None:
            return False
        if beside or here.recorder is not None:
            works_on(args, self.stream)
        self.run(entry, values)
        return True

    def launch(self, args: tuple[Any, ...]) -> None:
        """Launch, compiling the kernel if need be; returns as soon as it is queued."""
        values: list[Any] = []
        keys = tuple([describe(a, values) for a in args])
        if not self.kernel.debug and None not in keys:
            if keys not in self.entries:
                self.load(keys)
            entry = self.entries[keys]
            if entry is not None:
                works_on(args, self.stream)
                self.run(entry, values)
                return
        self.launch_by_numba(args)

    def run(self, entry: Entry, values: list[Any]) -> None:
        """Queue a loaded kernel."""
        if self.shared > entry.shared:
            entry.allow(self.shared)
        work.launch(entry, self.configuration, self.stream, values)

    def load(self, keys: tuple[Any, ...]) -> None:
        """Compile the kernel for these types, and load it."""
        index = self.device.index
        with _lock:
            if keys in self.entries:
                return
            if here.recorder is not None:
                here.recorder.stop("a kernel is compiled or loaded", for_good=False)
            types, code = signature(keys)
            capability = self.device.limits.compute_capability
            found = compiled(self.kernel, types, capability, active().machine_code)
            entry = None
            if found is not None:
                entry = Entry(index, active().load(index, found), Packer(code))
                _names[entry.kernel] = self.kernel.__name__
            self.entries[keys] = entry

    def launch_by_numba(self, args: tuple[Any, ...]) -> None:
        """Launch as numba-cuda does, which takes everything and longer."""
        from numba import cuda

        from ..kernel import data_of

        if here.recorder is not None:
            here.recorder.stop(f"the kernel {self.kernel.__name__} is launched by numba-cuda")
        handle = self.stream
        if handle is None and here.index == self.device.index:
            handle = here.stream
        with cuda.gpus[self.device.index], warnings.catch_warnings():
            # numba warns of every grid below 128 blocks; in a small network most are. By the
            # message, as numba and numba-cuda have a class of warning each.
            warnings.filterwarnings("ignore", message="Grid size")
            stream = cuda.external_stream(handle) if handle else 0  # it takes its own alone
            configured = self.kernel.gpu[self.grid, self.block, stream, self.shared]
            works_on(args, handle)
            before = configured.pre_launch_callbacks  # of a configuration that numba-cuda keeps
            if self.shared > STATIC_SHARED and _allow_shared not in before:
                before.append(_allow_shared)
            configured(*map(data_of, args))


def _allow_shared(compiled: Any, configured: Any) -> None:
    """Raise a kernel's limit of dynamic shared memory, which is 48 KiB unless one asks for more."""
    from numba.cuda.cudadrv.driver import binding, driver

    attribute = binding.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    function = compiled.library.get_cufunc()
    driver.cuKernelSetAttribute(
        attribute, configured.sharedmem, function.handle, function.device.id
    )


def handle_of(stream: Any) -> int | None:
    """The driver's handle of a stream of ours, Numba's, PyTorch's or CuPy's; None for 0.

    Raises:
        LaunchError: it is no stream.
    """
    if isinstance(stream, int):
        return stream or None
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:
        return int(protocol()[1])
    for name in ("cuda_stream", "ptr", "handle"):
        found = getattr(stream, name, None)
        if found is not None:
            return int(getattr(found, "value", found) or 0) or None
    raise LaunchError(
        f"launch: stream {stream!r} given, expected 0, a stream of nl.Stream, numba.cuda, PyTorch "
        "or CuPy, or its handle"
    )


def synchronize(device: Device) -> None:
    """Wait until GPU ``device`` has finished all queued work."""
    work.synchronize(device.index)

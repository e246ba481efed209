"""What the GPU back end asks of a driver, and which driver that is.

Everything else in this package speaks to the functions of :class:`Driver`. There is the one of the
machine, ``cuda_driver``, and one for tests that keeps its memory on the host,
``nnlite.testing.fake_gpu``. Addresses and handles are plain integers; a stream is a handle, 0 the
default one. Work in one stream runs in its order, that of several streams only as events say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ..device import Limits
from ..replay import here

Dim3 = tuple[int, int, int]


@dataclass(frozen=True)
class Code:
    """A compiled kernel.

    Args:
        name: of the entry in the code.
        ptx: the code as text.
        cubin: machine code; empty if the driver that asked for it runs none.
        source: the Python function.
        signature: Numba types of its arguments.
    """

    name: str
    ptx: str
    cubin: bytes
    source: Any
    signature: tuple[Any, ...]


class Driver(Protocol):
    """Memory, kernels, streams, events and graphs of all GPUs; ``index`` is the number of one.

    Errors of the hardware are :class:`~nnlite.errors.DeviceError`, a full memory is MemoryError.

    Attributes:
        machine_code: whether :meth:`load` wants :attr:`Code.cubin`.
    """

    machine_code: bool

    def count(self) -> int: ...

    def limits(self, index: int) -> Limits: ...

    def version(self) -> str:
        """Version of CUDA that the driver supports, such as ``"13.0"``."""

    def make_current(self, index: int) -> None:
        """Let this thread call functions of the API that are not listed here."""

    # -- memory: addresses on the GPU; ``source`` of write and ``target`` of read are the host's --
    def allocate(self, index: int, nbytes: int) -> int: ...

    def free(self, index: int, address: int) -> None: ...

    def write(self, index: int, target: int, source: int, nbytes: int, stream: int) -> None:
        """Queue a copy from the host. The source may be changed at once, unless it is pinned."""

    def read(self, index: int, target: int, source: int, nbytes: int, stream: int) -> None:
        """Copy to the host, and wait for it."""

    def move(self, index: int, target: int, source: int, nbytes: int, stream: int) -> None: ...

    def fill(self, index: int, target: int, byte: int, nbytes: int, stream: int) -> None: ...

    def allocate_host(self, index: int, nbytes: int) -> int:
        """Pinned memory of the host: copies from it do not hold up the thread that asks."""

    def free_host(self, index: int, address: int) -> None: ...

    # -- kernels -----------------------------------------------------------------------------------
    def load(self, index: int, code: Code) -> int: ...

    def allow_shared(self, index: int, kernel: int, nbytes: int) -> None:
        """Let launches of a kernel ask for so much dynamic shared memory, above 48 KiB too."""

    def configuration(self, grid: Dim3, block: Dim3, shared: int) -> Any:
        """What a launch is given for these; equal if they are equal."""

    def launch(
        self, index: int, kernel: int, configuration: Any, stream: int, values: list[Any]
    ) -> None:
        """Queue a kernel with parameters as ``arguments.describe`` makes them."""

    # -- order -------------------------------------------------------------------------------------
    def synchronize(self, index: int) -> None: ...

    def create_stream(self, index: int) -> int:
        """A stream that does not wait for the default one, nor that for it."""

    def destroy_stream(self, index: int, stream: int) -> None: ...

    def synchronize_stream(self, index: int, stream: int) -> None: ...

    def record(self, index: int, stream: int, timing: bool = False) -> int:
        """A new event: everything queued in the stream so far."""

    def elapsed(self, index: int, start: int, end: int) -> float:
        """Seconds between two events with timing that have come to pass."""

    def wait(self, index: int, stream: int, event: int) -> None:
        """Let what is queued in the stream from now on wait for the event."""

    def synchronize_event(self, index: int, event: int) -> None: ...

    def destroy_event(self, index: int, event: int) -> None: ...

    # -- graphs ------------------------------------------------------------------------------------
    def begin_capture(self, index: int, stream: int) -> None:
        """Note what is queued in the stream from now on instead of running it."""

    def last_node(self, index: int, stream: int) -> int:
        """The node of the graph being captured that was noted last."""

    def end_capture(self, index: int, stream: int) -> tuple[int, int]:
        """The noted graph, and the same ready to run."""

    def set_parameters(
        self, index: int, ready: int, node: int, kernel: int, configuration: Any, parameters: int
    ) -> None:
        """Give a kernel in a graph new parameters for the runs to come.

        Args:
            parameters: where the addresses of the parameters stand.
        """

    def run_graph(self, index: int, ready: int, stream: int) -> None: ...

    def destroy_graph(self, index: int, graph: int, ready: int) -> None: ...


_driver: Driver | None = None


def active() -> Driver:
    """The driver in use: that of the machine, unless :func:`use` gave another."""
    global _driver
    if _driver is None:
        from .cuda_driver import CudaDriver

        _driver = CudaDriver()
    return _driver


def use(driver: Driver | None) -> None:
    """Make ``driver`` the one in use; None is that of the machine.

    What the package has made of the one before is forgotten by ``gpu.forget``.
    """
    global _driver
    _driver = driver


def stream_of(index: int) -> int:
    """The stream that this thread queues work for GPU ``index`` in."""
    return here.stream if here.index == index else 0

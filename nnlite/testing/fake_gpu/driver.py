"""``FakeDriver``: memory, streams, events and graphs of the pretended GPU."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import DeviceError
from ...kernels.engine import Limits
from ...kernels.engine.device import GPUS
from ...kernels.engine.gpu.driver import Code
from .kernels import Loaded, memory_for
from .memory import Blocks, bytes_at

Dim3 = tuple[int, int, int]


@dataclass
class _Stream:
    """Work queued in a stream, and how much there has been."""

    waiting: deque[Callable[[], None]] = field(default_factory=deque)
    queued: int = 0
    done: int = 0
    graph: list[Any] | None = None  # the nodes noted so far, while it is captured
    thread: int = 0


@dataclass
class _Kernel:
    """A launch: of a loaded kernel, with its parameters."""

    kernel: int
    grid: Dim3
    block: Dim3
    shared: int
    parameters: list[bytes]


class FakeDriver:
    """See :class:`nnlite.kernels.engine.gpu.driver.Driver`.

    Args:
        run: ``"cpu"`` or ``"machine"``, see :class:`~nnlite.testing.fake_gpu.kernels.Loaded`.
        gpu: whose limits it has.
        room: bytes of memory.
        gpus: number of GPUs.

    Attributes:
        to_host, to_device, inside: bytes copied so far.
        launches: (kernel name, grid, block, shared) of every launch asked for one by one.
        graphs: number of graphs run.
        allocated: number of blocks asked for so far.
    """

    machine_code = False

    def __init__(
        self, run: str = "cpu", gpu: str = "A100", room: int = 1 << 40, gpus: int = 1
    ) -> None:
        self.how, self.board, self.room, self.gpus = run, GPUS[gpu], room, gpus
        self.to_host = self.to_device = self.inside = self.graphs = self.allocated = 0
        self.launches: list[tuple[str, Dim3, Dim3, int]] = []
        self.memory: Any = memory_for(run)
        self.pinned = Blocks()
        self._numbers = itertools.count(1)
        self._kernels: dict[int, Loaded] = {}
        self._streams: dict[int, _Stream] = {0: _Stream()}
        self._events: dict[int, tuple[int, int]] = {}
        self._graphs: dict[int, list[Any]] = {}
        self._lock = threading.RLock()

    def count(self) -> int:
        return self.gpus

    def limits(self, index: int) -> Limits:
        return self.board

    def version(self) -> str:
        return "0.0"

    def make_current(self, index: int) -> None:
        """There are no contexts."""

    # -- memory ------------------------------------------------------------------------------------
    def allocate(self, index: int, nbytes: int) -> int:
        with self._lock:
            if nbytes > self.room:
                given = f"{nbytes:,} bytes asked for, {self.room:,} are free"
                raise MemoryError(f"GPU: out of memory: {given}")
            self.room -= nbytes
            self.allocated += 1
            return self.memory.allocate(nbytes)

    def free(self, index: int, address: int) -> None:
        with self._lock:
            self._not_captured()
            self.room += self.memory.sizes[address]
            self.memory.free(address)

    def allocate_host(self, index: int, nbytes: int) -> int:
        with self._lock:
            return self.pinned.allocate(nbytes)

    def free_host(self, index: int, address: int) -> None:
        with self._lock:
            self.pinned.free(address)

    def write(self, index: int, target: int, source: int, nbytes: int, stream: int) -> None:
        with self._lock:
            self._not_captured()
            data = bytes_at(source, nbytes)
            data = data if self.pinned.holds(source) else data.copy()
            self.to_device += nbytes
            self._queue(stream, lambda: self.memory.write(target, data))

    def read(self, index: int, target: int, source: int, nbytes: int, stream: int) -> None:
        with self._lock:
            self._not_captured()
            self._run(stream)
            self.to_host += nbytes
            bytes_at(target, nbytes)[...] = self.memory.read(source, nbytes)

    def move(self, index: int, target: int, source: int, nbytes: int, stream: int) -> None:
        self.inside += nbytes
        self._queue(stream, lambda: self.memory.copy(target, source, nbytes))

    def fill(self, index: int, target: int, byte: int, nbytes: int, stream: int) -> None:
        values = np.full(nbytes, byte, np.uint8)
        self._queue(stream, lambda: self.memory.write(target, values))

    # -- kernels -----------------------------------------------------------------------------------
    def load(self, index: int, code: Code) -> int:
        with self._lock:
            self._not_captured()
            handle = next(self._numbers)
            self._kernels[handle] = Loaded(code, self.how)
            return handle

    def allow_shared(self, index: int, kernel: int, nbytes: int) -> None:
        assert nbytes <= self.board.shared_per_block
        self._kernels[kernel].shared = nbytes

    def configuration(self, grid: Dim3, block: Dim3, shared: int) -> Any:
        return grid, block, shared

    def launch(
        self, index: int, kernel: int, configuration: Any, stream: int, values: list[Any]
    ) -> None:
        with self._lock:
            found = self._kernels[kernel]
            grid, block, shared = configuration
            self.launches.append((found.code.source.__name__, grid, block, shared))
            self._queue(stream, _Kernel(kernel, grid, block, shared, found.made(values)))

    def _do(self, work: Any) -> None:
        if isinstance(work, _Kernel):
            w = work
            self._kernels[w.kernel].run(w.grid, w.block, w.shared, w.parameters, self.memory)
        else:
            work()

    # -- order -------------------------------------------------------------------------------------
    def _queue(self, stream: int, work: Any) -> None:
        with self._lock:
            found = self._streams[stream]
            if found.graph is not None:
                found.graph.append(work)
                return
            self._not_captured()
            found.waiting.append(work)
            found.queued += 1

    def _not_captured(self) -> None:
        """As the driver does, refuse what the thread that captures may not do."""
        me = threading.get_ident()
        if any(s.graph is not None and s.thread == me for s in self._streams.values()):
            raise DeviceError("GPU: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")

    def _run(self, stream: int, until: int | None = None) -> None:
        found = self._streams.get(stream, _Stream())  # one that was destroyed has done everything
        while found.waiting and (until is None or found.done < until):
            found.done += 1
            self._do(found.waiting.popleft())

    def synchronize(self, index: int) -> None:
        with self._lock:
            self._not_captured()
            for stream in list(self._streams):
                self._run(stream)

    def create_stream(self, index: int) -> int:
        with self._lock:
            handle = next(self._numbers)
            self._streams[handle] = _Stream()
            return handle

    def destroy_stream(self, index: int, stream: int) -> None:
        with self._lock:
            self._run(stream)
            del self._streams[stream]

    def synchronize_stream(self, index: int, stream: int) -> None:
        with self._lock:
            self._not_captured()
            self._run(stream)

    def elapsed(self, index: int, start: int, end: int) -> float:
        return 1e-3  # there is no clock: every run takes as long

    def record(self, index: int, stream: int, timing: bool = False) -> int:
        with self._lock:
            assert self._streams[stream].graph is None
            event = next(self._numbers)
            self._events[event] = stream, self._streams[stream].queued
            return event

    def wait(self, index: int, stream: int, event: int) -> None:
        before = self._events[event]
        self._queue(stream, lambda: self._run(*before))

    def synchronize_event(self, index: int, event: int) -> None:
        with self._lock:
            self._not_captured()
            self._run(*self._events[event])

    def destroy_event(self, index: int, event: int) -> None:
        del self._events[event]

    # -- graphs ------------------------------------------------------------------------------------
    def begin_capture(self, index: int, stream: int) -> None:
        with self._lock:
            self._not_captured()
            found = self._streams[stream]
            assert stream, "the default stream cannot be captured"
            found.graph, found.thread = [], threading.get_ident()

    def last_node(self, index: int, stream: int) -> int:
        nodes = self._streams[stream].graph
        assert nodes
        return len(nodes) - 1

    def end_capture(self, index: int, stream: int) -> tuple[int, int]:
        with self._lock:
            graph, ready = next(self._numbers), next(self._numbers)
            nodes = self._streams[stream].graph
            assert nodes is not None
            self._graphs[graph], self._graphs[ready] = nodes, list(nodes)
            self._streams[stream].graph = None
            return graph, ready

    def set_parameters(
        self, index: int, ready: int, node: int, kernel: int, configuration: Any, parameters: int
    ) -> None:
        with self._lock:
            nodes = self._graphs[ready]
            assert nodes[node].kernel == kernel, "a node keeps its kernel"
            grid, block, shared = configuration
            found = self._kernels[kernel].read(parameters)
            nodes[node] = _Kernel(kernel, grid, block, shared, found)

    def run_graph(self, index: int, ready: int, stream: int) -> None:
        self.graphs += 1
        for work in list(self._graphs[ready]):
            self._queue(stream, work)

    def destroy_graph(self, index: int, graph: int, ready: int) -> None:
        self._not_captured()
        del self._graphs[graph], self._graphs[ready]

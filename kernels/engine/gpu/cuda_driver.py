"""The driver of the machine: kernels through ``cuda.core``, the rest through ``cuda.bindings``.

Source of what each does: NVIDIA, "CUDA Driver API Reference". Contexts are the primary ones, which
Numba, PyTorch and CuPy share.

What ``cuda.core`` needs for a launch - device, stream, configuration, kernel - is made once and
kept. That of a stream is its handle and nothing else: kept for one that was destroyed, it is right
for the next stream with this handle. The handle of a kernel here is that of its function in the
context of its GPU: nodes of graphs have it, whose parameters ``cuda.bindings`` alone can replace.
"""

from __future__ import annotations

import functools
import importlib.util
import threading
from typing import Any, NoReturn

from numba.core import config

from ..device import Limits
from ..errors import DeviceError
from .driver import Code, Dim3

FLOAT32_CORES = {(7, 0): 64, (7, 5): 64, (8, 0): 64}  # per multiprocessor; 128 on the others


class CudaDriver:
    """See :class:`~nnlite.kernels.engine.gpu.driver.Driver`."""

    machine_code = True

    def __init__(self) -> None:
        self._contexts: dict[int, Any] = {}
        self._lock = threading.RLock()  # what is freed inside may ask for it again
        self._streams: set[tuple[int, int]] = set()  # GPU and handle of those made here
        self._captured: set[tuple[int, int]] = set()  # of which a thread captures the work
        self._kernels: dict[int, Any] = {}  # GPU and kernel, by handle

    @functools.cached_property
    def _api(self) -> Any:
        from cuda.bindings import driver

        return driver

    @functools.cached_property
    def _core(self) -> Any:
        from cuda import core

        return core

    @functools.cached_property
    def _stream(self) -> Any:
        return functools.cache(self._core.Stream.from_handle)

    def _check(self, result: tuple[Any, ...]) -> Any:
        """What a function of the API returned; its error code raised."""
        error = result[0]
        if error:
            raise _failure(getattr(error, "name", str(error)))
        return result[1] if len(result) == 2 else result[1:]

    @functools.cache  # noqa: B019  there is one driver for the whole process
    def count(self) -> int:
        # The bindings may be here without the compiler, as PyTorch installs them, too.
        compiler = importlib.util.find_spec("numba_cuda")
        if getattr(config, "ENABLE_CUDASIM", False) or compiler is None:
            return 0
        try:
            self._check(self._api.cuInit(0))
            return self._check(self._api.cuDeviceGetCount())
        except Exception:  # no bindings, no driver, or none that works: no GPU, whatever it raises
            return 0

    def _enter(self, index: int) -> Any:
        """The API, with the context of GPU ``index`` set in this thread: others change it."""
        context = self._contexts.get(index)
        if context is None:
            with self._lock:
                context = self._contexts.get(index) or self._retain(index)
        self._check(self._api.cuCtxSetCurrent(context))
        return self._api

    def _retain(self, index: int) -> Any:
        api = self._api
        self._check(api.cuInit(0))
        device = self._check(api.cuDeviceGet(index))
        context = self._contexts[index] = self._check(api.cuDevicePrimaryCtxRetain(device))
        return context

    def make_current(self, index: int) -> None:
        self._enter(index)

    def limits(self, index: int) -> Limits:
        api = self._api
        device = self._check(api.cuDeviceGet(index))
        names = api.CUdevice_attribute

        def ask(name: str) -> int:
            attribute = getattr(names, f"CU_DEVICE_ATTRIBUTE_{name}")
            return self._check(api.cuDeviceGetAttribute(attribute, device))

        capability = ask("COMPUTE_CAPABILITY_MAJOR"), ask("COMPUTE_CAPABILITY_MINOR")
        sms = ask("MULTIPROCESSOR_COUNT")
        bus = ask("GLOBAL_MEMORY_BUS_WIDTH") / 8  # bytes per transfer, two transfers per clock
        cores = FLOAT32_CORES.get(capability, 128) * sms
        name = self._check(api.cuDeviceGetName(128, device))
        block, grid = (tuple(ask(f"MAX_{w}_DIM_{x}") for x in "XYZ") for w in ("BLOCK", "GRID"))
        return Limits(
            name=name.split(b"\0")[0].decode(),
            compute_capability=capability,
            sms=sms,
            shared_per_block=ask("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"),
            bandwidth=2 * ask("MEMORY_CLOCK_RATE") * 1e3 * bus / 1e9,
            float32=2 * cores * ask("CLOCK_RATE") * 1e3 / 1e12,
            power=0,
            threads_per_block=ask("MAX_THREADS_PER_BLOCK"),
            block_dim=(block[0], block[1], block[2]),
            grid_dim=(grid[0], grid[1], grid[2]),
        )

    def version(self) -> str:
        number = self._check(self._api.cuDriverGetVersion())
        return f"{number // 1000}.{number % 1000 // 10}"

    # -- memory ------------------------------------------------------------------------------------
    def allocate(self, index: int, nbytes: int) -> int:
        api = self._enter(index)
        # A thread that captures a graph may not allocate unless it says that it knows.
        relaxed = api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        before = self._check(api.cuThreadExchangeStreamCaptureMode(relaxed))
        try:
            return int(self._check(api.cuMemAlloc(nbytes)))
        except MemoryError as error:
            free, total = self._check(api.cuMemGetInfo())
            given = f"{nbytes:,} bytes asked for, {free:,} of {total:,} are free"
            raise MemoryError(f"{error}: {given}") from None
        finally:
            self._check(api.cuThreadExchangeStreamCaptureMode(before))

    def free(self, index: int, address: int) -> None:
        self._check(self._enter(index).cuMemFree(address))

    def write(self, index: int, target: int, source: int, nbytes: int, stream: int) -> None:
        self._check(self._enter(index).cuMemcpyHtoDAsync(target, source, nbytes, stream))

    def read(self, index: int, target: int, source: int, nbytes: int, stream: int) -> None:
        api = self._enter(index)
        self._check(api.cuMemcpyDtoHAsync(target, source, nbytes, stream))
        self._check(api.cuStreamSynchronize(stream))

    def move(self, index: int, target: int, source: int, nbytes: int, stream: int) -> None:
        self._check(self._enter(index).cuMemcpyDtoDAsync(target, source, nbytes, stream))

    def fill(self, index: int, target: int, byte: int, nbytes: int, stream: int) -> None:
        self._check(self._enter(index).cuMemsetD8Async(target, byte, nbytes, stream))

    def allocate_host(self, index: int, nbytes: int) -> int:
        return int(self._check(self._enter(index).cuMemAllocHost(nbytes)))

    def free_host(self, index: int, address: int) -> None:
        self._check(self._enter(index).cuMemFreeHost(address))

    # -- kernels -----------------------------------------------------------------------------------
    def load(self, index: int, code: Code) -> int:
        api = self._enter(index)
        try:
            kernel = self._core.ObjectCode.from_cubin(code.cubin).get_kernel(code.name)
        except Exception as error:
            _raise(error)
        # Asking for the function loads the code into this context now, not in the first launch,
        # which may be one that a graph captures.
        function = int(self._check(api.cuKernelGetFunction(kernel.handle)))
        self._kernels[function] = self._core.Device(index), kernel
        return function

    def allow_shared(self, index: int, kernel: int, nbytes: int) -> None:
        api = self._enter(index)
        attribute = api.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        device = self._check(api.cuDeviceGet(index))
        _, found = self._kernels[kernel]
        self._check(api.cuKernelSetAttribute(attribute, nbytes, found.handle, device))

    def configuration(self, grid: Dim3, block: Dim3, shared: int) -> Any:
        return self._core.LaunchConfig(grid=grid, block=block, shmem_size=shared)

    def launch(
        self, index: int, kernel: int, configuration: Any, stream: int, values: list[Any]
    ) -> None:
        # A kernel of cuda.core belongs to no context: in the default stream it would run, without
        # an error, on whichever GPU another library has made current.
        gpu, found = self._kernels[kernel]
        try:
            gpu.set_current()
            self._core.launch(self._stream(stream), configuration, found, *values)
        except Exception as error:
            _raise(error)

    # -- order -------------------------------------------------------------------------------------
    def synchronize(self, index: int) -> None:
        api = self._enter(index)
        with self._lock:  # no capture begins meanwhile
            if not self._captured:
                self._check(api.cuCtxSynchronize())
                return
            # It would end the capture of another thread, too.
            for number, stream in {(index, 0), *self._streams} - self._captured:
                # While this thread waits it may collect garbage, and with it one of them.
                if number == index and (not stream or (number, stream) in self._streams):
                    self._check(api.cuStreamSynchronize(stream))

    def create_stream(self, index: int) -> int:
        api = self._enter(index)
        made = int(self._check(api.cuStreamCreate(api.CUstream_flags.CU_STREAM_NON_BLOCKING)))
        self._streams.add((index, made))
        return made

    def destroy_stream(self, index: int, stream: int) -> None:
        api = self._enter(index)
        with self._lock:  # no other thread waits for it meanwhile
            self._streams.discard((index, stream))
            self._check(api.cuStreamDestroy(stream))

    def synchronize_stream(self, index: int, stream: int) -> None:
        self._check(self._enter(index).cuStreamSynchronize(stream))

    def record(self, index: int, stream: int, timing: bool = False) -> int:
        api = self._enter(index)
        flags = api.CUevent_flags
        kind = flags.CU_EVENT_DEFAULT if timing else flags.CU_EVENT_DISABLE_TIMING
        event = self._check(api.cuEventCreate(kind))
        self._check(api.cuEventRecord(event, stream))
        return int(event)

    def elapsed(self, index: int, start: int, end: int) -> float:
        return float(self._check(self._enter(index).cuEventElapsedTime(start, end))) * 1e-3

    def wait(self, index: int, stream: int, event: int) -> None:
        self._check(self._enter(index).cuStreamWaitEvent(stream, event, 0))

    def synchronize_event(self, index: int, event: int) -> None:
        self._check(self._enter(index).cuEventSynchronize(event))

    def destroy_event(self, index: int, event: int) -> None:
        self._check(self._enter(index).cuEventDestroy(event))

    # -- graphs ------------------------------------------------------------------------------------
    def begin_capture(self, index: int, stream: int) -> None:
        api = self._enter(index)
        mode = api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        with self._lock:
            self._check(api.cuStreamBeginCapture(stream, mode))
            self._captured.add((index, stream))

    def last_node(self, index: int, stream: int) -> int:
        # status, id, graph, nodes that the next one will depend on, ...
        return int(self._check(self._enter(index).cuStreamGetCaptureInfo(stream))[3][0])

    def end_capture(self, index: int, stream: int) -> tuple[int, int]:
        api = self._enter(index)
        try:
            graph = self._check(api.cuStreamEndCapture(stream))
        finally:
            self._captured.discard((index, stream))
        return int(graph), int(self._check(api.cuGraphInstantiate(graph, 0)))

    def set_parameters(
        self, index: int, ready: int, node: int, kernel: int, configuration: Any, parameters: int
    ) -> None:
        api = self._enter(index)
        new = api.CUDA_KERNEL_NODE_PARAMS()
        new.func = kernel
        new.gridDimX, new.gridDimY, new.gridDimZ = configuration.grid
        new.blockDimX, new.blockDimY, new.blockDimZ = configuration.block
        new.sharedMemBytes, new.kernelParams = configuration.shmem_size, parameters
        self._check(api.cuGraphExecKernelNodeSetParams(ready, node, new))

    def run_graph(self, index: int, ready: int, stream: int) -> None:
        self._check(self._enter(index).cuGraphLaunch(ready, stream))

    def destroy_graph(self, index: int, graph: int, ready: int) -> None:
        api = self._enter(index)
        self._check(api.cuGraphExecDestroy(ready))
        self._check(api.cuGraphDestroy(graph))


def _failure(name: str) -> Exception:
    """The error to be raised for one of the driver's."""
    if name == "CUDA_ERROR_OUT_OF_MEMORY":
        return MemoryError(f"GPU: {name}")
    return DeviceError(f"GPU: {name} from the driver; see the CUDA Driver API, CUresult")


def _raise(error: Exception) -> NoReturn:
    """Raise what ``cuda.core`` has raised; one that the driver reported begins with its name."""
    name = str(error).partition(":")[0]
    if name.startswith("CUDA_ERROR"):
        raise _failure(name) from error
    raise error

"""Host functions of ``numba.cuda`` that the simulator lacks, or has without their parameters."""

from __future__ import annotations

import contextlib
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba.cuda.simulator import api
from numba.cuda.simulator.cudadrv import devicearray, devices

from ..kernels.engine.cpu.source import execute
from ..kernels.engine.device import reference_gpu


class Event(api.Event):
    """An event; launches are over when they return, so the host's clock times them."""

    def __init__(self, timing: bool = True) -> None:
        self.timing, self.recorded = timing, 0.0

    def record(self, stream: Any = 0) -> None:
        self.recorded = time.perf_counter()

    def query(self) -> bool:
        return True

    def elapsed_time(self, evtend: Any) -> float:
        """Milliseconds from this event to ``evtend``."""
        return 1e3 * (evtend.recorded - self.recorded)


class Stream(api.stream):
    """A stream; whatever is put into it is done at once."""

    handle = None

    def add_callback(self, callback: Callable[..., Any], arg: Any = None) -> None:
        """Call ``callback(stream, 0, arg)``: all work before it has finished."""
        callback(self, 0, arg)

    def query(self) -> bool:
        return True


@contextlib.contextmanager
def pinned(*arrays: Any) -> Iterator[None]:
    """Pin host arrays; nothing to do where there is one memory."""
    yield


@contextlib.contextmanager
def profiling() -> Iterator[None]:
    """A profiled region; there is no CUDA profiler."""
    yield


def nothing() -> None:
    """A function that has no work here, such as ``cuda.profile_start``."""


def is_cuda_array(obj: object) -> bool:
    """True for device arrays."""
    return isinstance(obj, devicearray.FakeCUDAArray)


def as_cuda_array(obj: Any, sync: bool = True) -> Any:
    """A device array as it is; nothing else lives on the pretended device.

    Raises:
        TypeError: ``obj`` is no device array.
    """
    if not is_cuda_array(obj):
        raise TypeError(f"as_cuda_array: {type(obj).__name__} given, expected a device array")
    return obj


def device_ndarray(
    shape: Any, strides: Any, dtype: Any, stream: Any = 0, gpu_data: Any = None
) -> Any:
    """``DeviceNDArray`` as Numba's ufuncs make it: a view of other device memory."""
    if gpu_data is None:
        return devicearray.device_array(shape, dtype, strides=strides)
    view = np.lib.stride_tricks.as_strided(gpu_data, shape, strides)
    return devicearray.FakeCUDAArray(view, stream)


def mapped_array_like(ary: Any, **options: Any) -> Any:
    """A device array like ``ary``; host and device share one memory."""
    return devicearray.device_array_like(ary)


def install(cuda: Any, put: Callable[..., None], put_missing: Callable[..., None]) -> None:
    """Put these in place of the simulator's, and what only the real ``numba.cuda`` has."""
    for name, value in {
        "event": Event,
        "Event": Event,
        "stream": Stream,
        "pinned": pinned,
    }.items():
        put(cuda, name, value)
    for name, value in {
        "as_cuda_array": as_cuda_array,
        "default_stream": Stream,
        "event_elapsed_time": lambda start, end: start.elapsed_time(end),
        "get_current_device": lambda: devices.gpus[0].device,
        "is_cuda_array": is_cuda_array,
        "is_supported_version": lambda: True,
        "legacy_default_stream": Stream,
        "managed_array": devicearray.managed_array,
        "mapped_array_like": mapped_array_like,
        "per_thread_default_stream": Stream,
        "profile_start": nothing,
        "profile_stop": nothing,
        "profiling": profiling,
    }.items():
        put_missing(cuda, name, value)
    # vectorize and guvectorize build the text of their kernels; let the compiler find it.
    put(importlib.import_module("numba.cuda.deviceufunc"), "exec", execute)
    install_random(importlib.import_module("numba.core.config"), put)
    put_missing(devicearray, "DeviceNDArray", device_ndarray)
    put_missing(devicearray.FakeCUDAArray, "gpu_data", property(lambda array: array._ary))
    limits = reference_gpu()
    put(devices, "_SIMULATOR_CC", limits.compute_capability)
    for name, number in {
        "name": f"{limits.name} (limits only)".encode(),
        "id": 0,
        "WARP_SIZE": limits.warp_size,
        "MULTIPROCESSOR_COUNT": limits.sms,
        "MAX_THREADS_PER_BLOCK": limits.threads_per_block,
        "MAX_SHARED_MEMORY_PER_BLOCK": 48 * 1024,
    }.items():
        put_missing(devices.FakeCUDADevice, name, number)


def install_random(config: Any, put: Callable[..., None]) -> None:
    """Let ``create_xoroshiro128p_states`` seed with compiled code, as it does beside a GPU.

    Under the simulator ``numba.cuda.random`` compiles nothing: 4,096 states take two minutes. Its
    seeding function is taken from a second copy of the module, made as for a GPU; the first copy
    stays as it is for kernels that the simulator runs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Numba's own, about options it passes to itself
        random = importlib.import_module("numba.cuda.random")
    assert random.__spec__ is not None
    spec = importlib.util.spec_from_file_location("nnlite.cudasim._random", random.__spec__.origin)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    simulated, config.ENABLE_CUDASIM = config.ENABLE_CUDASIM, 0
    try:
        spec.loader.exec_module(copy)
    finally:
        config.ENABLE_CUDASIM = simulated
    put(random, "init_xoroshiro128p_states_cpu", copy.init_xoroshiro128p_states_cpu)

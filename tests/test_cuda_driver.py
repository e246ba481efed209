"""The driver of the machine without one: every call as ``cuda.bindings`` declares it."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import DeviceError
from nnlite.kernels.engine.gpu import use_driver
from nnlite.kernels.engine.gpu.cuda_driver import CudaDriver
from nnlite.kernels.engine.replay import here
from tests.noted_api import Api, Core, parameters, real, returned


@pytest.fixture
def api():
    driver, found = CudaDriver(), Api()
    driver.__dict__["_api"] = found
    driver.__dict__["_core"] = Core(found)
    before = nl.default_device()
    use_driver(driver)
    yield found
    use_driver(None)
    nl.set_default_device(before)
    assert here.recorder is None


@pytest.fixture
def cuda_driver(api):
    from nnlite.kernels.engine.gpu.driver import active

    return active()


def test_what_the_documentation_is_read_as():
    """The two readers above, on functions whose signatures are known."""
    assert len(parameters(real.cuLaunchKernel)) == 11
    assert parameters(real.cuGraphGetNodes) == ["hGraph", "size_t numNodes=0"]
    assert returned(real.cuMemAlloc) == ["dptr"]
    assert returned(real.cuMemFree) == []
    with pytest.raises(AssertionError):
        Api().cuMemAlloc()


def test_limits(api, cuda_driver):
    assert cuda_driver.count() == 1
    assert cuda_driver.version() == "13.2"
    limits = nl.device("cuda").limits
    assert (limits.name, limits.compute_capability) == ("NVIDIA Test", (9, 0))
    assert limits.float32 == 2 * 128 * 1024 * 1024 * 1e3 / 1e12


def test_no_gpu_can_be_used_without_the_compiler(api, monkeypatch):
    """PyTorch brings cuda-bindings along: with it and a driver, numba-cuda may be missing."""
    missing = CudaDriver()
    missing.__dict__["_api"] = api
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert missing.count() == 0
    assert not api.calls


def test_memory(api, cuda_driver):
    address = cuda_driver.allocate(0, 512)
    cuda_driver.write(0, address, 1, 8, 3)
    cuda_driver.move(0, address, 2, 8, 3)
    cuda_driver.fill(0, address, 0, 8, 3)
    cuda_driver.read(0, 1, address, 8, 3)
    cuda_driver.free(0, address)
    cuda_driver.free_host(0, cuda_driver.allocate_host(0, 64))
    relaxed = real.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
    assert ("cuThreadExchangeStreamCaptureMode", relaxed) in api.calls
    assert ("cuMemcpyHtoDAsync", address, 1, 8, 3) in api.calls
    assert ("cuMemcpyDtoDAsync", address, 2, 8, 3) in api.calls
    assert ("cuMemsetD8Async", address, 0, 8, 3) in api.calls
    at = api.names().index("cuMemcpyDtoHAsync")
    assert api.calls[at : at + 2] == [
        ("cuMemcpyDtoHAsync", 1, address, 8, 3),
        ("cuStreamSynchronize", 3),
    ]
    api.full = True
    said = r"CUDA_ERROR_OUT_OF_MEMORY: 5,120 bytes asked for, 1,\d+ of 1,\d+ are free"
    with pytest.raises(MemoryError, match=said):
        cuda_driver.allocate(0, 5120)
    assert api.names()[-1] == "cuThreadExchangeStreamCaptureMode", "the mode is put back"


def test_errors_have_the_driver_s_name(api, cuda_driver):
    api.result = lambda *given: (real.CUresult.CUDA_ERROR_ILLEGAL_ADDRESS,)
    with pytest.raises(DeviceError, match="CUDA_ERROR_ILLEGAL_ADDRESS"):
        cuda_driver.synchronize(0)


def test_streams_events_and_graphs(api, cuda_driver):
    stream = cuda_driver.create_stream(0)
    event = cuda_driver.record(0, stream)
    cuda_driver.wait(0, 0, event)
    cuda_driver.synchronize_event(0, event)
    cuda_driver.elapsed(0, cuda_driver.record(0, 0, timing=True), event)
    cuda_driver.destroy_event(0, event)
    cuda_driver.begin_capture(0, stream)
    assert cuda_driver.last_node(0, stream) == 77
    graph, ready = cuda_driver.end_capture(0, stream)
    configuration = cuda_driver.configuration((1, 2, 3), (4, 5, 6), 7)
    cuda_driver.set_parameters(0, ready, 77, 5, configuration, 8)
    cuda_driver.run_graph(0, ready, stream)
    cuda_driver.destroy_graph(0, graph, ready)
    cuda_driver.destroy_stream(0, stream)
    flags = real.CUstream_flags.CU_STREAM_NON_BLOCKING
    assert ("cuStreamCreate", flags) in api.calls
    mode = real.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
    assert ("cuStreamBeginCapture", stream, mode) in api.calls
    assert ("cuGraphLaunch", ready, stream) in api.calls
    (new,) = (call[3] for call in api.calls if call[0] == "cuGraphExecKernelNodeSetParams")
    assert [new.gridDimX, new.gridDimY, new.gridDimZ] == [1, 2, 3]
    assert [new.blockDimX, new.blockDimY, new.blockDimZ] == [4, 5, 6]
    assert (int(new.func), new.sharedMemBytes) == (5, 7)


def test_a_thread_can_be_made_ready_for_other_functions(api, cuda_driver):
    cuda_driver.make_current(0)
    assert api.names() == ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent"]


def test_no_capture_is_ended_by_waiting_for_the_device(api, cuda_driver):
    """Whose thread waits does not matter: the device has a stream that is being captured."""
    captured, other, gone = (cuda_driver.create_stream(0) for _ in range(3))
    cuda_driver.destroy_stream(0, gone)
    cuda_driver.begin_capture(0, captured)
    del api.calls[:]
    cuda_driver.synchronize(0)
    waits = [call for call in api.calls if "Synchronize" in call[0]]
    assert sorted(waits) == [("cuStreamSynchronize", 0), ("cuStreamSynchronize", other)]
    cuda_driver.end_capture(0, captured)
    cuda_driver.synchronize(0)
    assert api.names()[-1] == "cuCtxSynchronize"


def test_no_stream_is_waited_for_that_goes_meanwhile(api, cuda_driver):
    """Garbage that is collected while the thread waits may hold one."""
    captured, *others = (cuda_driver.create_stream(0) for _ in range(4))
    cuda_driver.begin_capture(0, captured)
    results = api.result

    def result(name, given, names):
        if name == "cuStreamSynchronize":
            for stream in others:
                cuda_driver.destroy_stream(0, stream)
            others.clear()
        return results(name, given, names)

    del api.calls[:]
    api.result = result
    cuda_driver.synchronize(0)
    first = api.names().index("cuStreamDestroy")
    assert {call[1] for call in api.calls[first:] if "Synchronize" in call[0]} <= {0}


@nl.kernel
def add_to(x, value):
    for i in range(x.size):
        x[i] += value


def test_a_launch_loads_machine_code(api, cuda_driver):
    x = nl.kernels.engine.empty(3)
    for shared in (0, 0, 100, 64 * 1024, 100):
        add_to[(2, 3), (4, 5), 0, shared](x, np.float32(1))
    (load,) = (call for call in api.calls if call[0] == "cuLibraryLoadData")
    assert load[1][:4] == b"\x7fELF"
    (find,) = (call for call in api.calls if call[0] == "cuLibraryGetKernel")
    assert "add_to" in find[1]
    launches = [call for call in api.calls if call[0] == "cuLaunchKernelEx"]
    values = (0, 0, 3, 4, x.pointer, 3, 4, np.float32(1))
    assert [call[1:] for call in launches] == [
        (5, 0, (2, 3, 1), (4, 5, 1), shared, values) for shared in (0, 0, 100, 64 * 1024, 100)
    ]
    # What is allowed unasked is less by what the kernel has of its own.
    allowed = [call[2:4] for call in api.calls if call[0] == "cuKernelSetAttribute"]
    assert allowed == [(100, 5), (64 * 1024, 5)]
    first, *_, last = (i for i, name in enumerate(api.names()) if name == "cuLaunchKernelEx")
    launch = ["cuCtxSetCurrent", "cuLaunchKernelEx"]
    allow = ["cuCtxSetCurrent", "cuDeviceGet", "cuKernelSetAttribute"]
    expected = [*launch, *allow, *launch, *allow, *launch, *launch]
    assert api.names()[first + 1 : last + 1] == expected


def test_a_context_put_away_by_another_library_is_made_current(api, cuda_driver):
    """As numba-cuda does at the end of ``with cuda.gpus[0]``, and PyTorch with another GPU."""
    x, usual, current = nl.kernels.engine.empty(3), api.result, [True]
    add_to[1, 1](x, np.float32(1))

    def result(name, given, results):
        current[0] = current[0] or name == "cuCtxSetCurrent"
        if not current[0]:
            return real.CUresult.CUDA_ERROR_INVALID_CONTEXT, *[0] * len(results)
        return usual(name, given, results)

    api.result = result
    for work in (
        lambda: add_to[1, 1](x, np.float32(1)),
        x.copy,
        x.numpy,
        lambda: cuda_driver.record(0, 0),
        lambda: cuda_driver.run_graph(0, 5, 0),
        lambda: cuda_driver.synchronize(0),
    ):
        current[0] = False
        work()
        assert current[0]

"""Stand-ins for ``cuda.bindings.driver`` and ``cuda.core`` that note calls; see
``test_cuda_driver.py``.

The functions of the API check the number of their arguments against the signature in the real
function's documentation, and return as many values as it does. ``cuda.core`` only notes how it is
used; ``test_cuda_core.py`` has the real one.
"""

from __future__ import annotations

import itertools
import re
from types import SimpleNamespace

import pytest

real = pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is not installed")
SUCCESS, FULL = real.CUresult.CUDA_SUCCESS, real.CUresult.CUDA_ERROR_OUT_OF_MEMORY
ATTRIBUTES = {
    "COMPUTE_CAPABILITY_MAJOR": 9,
    "COMPUTE_CAPABILITY_MINOR": 0,
    "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN": 227 * 1024,
}


def parameters(function):
    """Names of the parameters, of which those with a default may be left out."""
    head = function.__doc__.partition("\n")[0]
    inner = re.fullmatch(r"\w+\((.*)\)", head)[1]
    flat = re.sub(r"\[[^]]*\]", "", inner)
    return [p.strip() for p in flat.split(",") if p.strip()]


def returned(function):
    """Names of the values that come with the error code."""
    text = function.__doc__.partition("Returns\n-------\n")[2].partition("See Also")[0]
    names = re.findall(r"^(\w+)(?: :.*)?$", text, re.M)
    return [n for n in names if n not in ("CUresult", "None")]


class Api:
    """``cuda.bindings.driver`` that notes calls instead of making them."""

    def __init__(self):
        self.calls = []
        self.full = False
        self.numbers = itertools.count(1000)

    def __getattr__(self, name):
        found = getattr(real, name)
        if not name.startswith("cu"):
            return found
        most = parameters(found)
        least = [p for p in most if "=" not in p]
        results = returned(found)

        def call(*given):
            assert len(least) <= len(given) <= len(most), (name, most, given)
            self.calls.append((name, *given))
            if self.full and name == "cuMemAlloc":
                return FULL, 0
            return self.result(name, given, results)

        return call

    def result(self, name, given, results):
        if name == "cuDeviceGetName":
            return SUCCESS, b"NVIDIA Test" + b"\0" * 100
        if name == "cuDeviceGetAttribute":
            key = given[0].name.removeprefix("CU_DEVICE_ATTRIBUTE_")
            return SUCCESS, ATTRIBUTES.get(key, 1024)
        if name == "cuDeviceGetCount":
            return SUCCESS, 1
        if name == "cuDriverGetVersion":
            return SUCCESS, 13020
        if name == "cuThreadExchangeStreamCaptureMode":
            return SUCCESS, given[0]
        if name == "cuStreamGetCaptureInfo":
            return SUCCESS, 1, 5, 6, [77], None, 1
        return SUCCESS, *(next(self.numbers) for _ in results)

    def names(self):
        return [name for name, *_ in self.calls]


class Core:
    """As much of ``cuda.core`` as is used; notes what is asked of the driver among the calls."""

    def __init__(self, api):
        self.api = api
        self.ObjectCode = self.Stream = self
        self.LaunchConfig = lambda **given: SimpleNamespace(**given)

    def call(self, *call):
        """Note one, and raise its error as ``cuda.core`` does: the driver's name and an account."""
        self.api.calls.append(call)
        error = self.api.result(call[0], call[1:], [])[0]
        if error:
            raise RuntimeError(f"{error.name}: what this means")

    def Device(self, index):
        return SimpleNamespace(set_current=lambda: self.call("cuCtxSetCurrent", index))

    def from_cubin(self, code):
        self.call("cuLibraryLoadData", code)
        return self

    def get_kernel(self, name):
        self.call("cuLibraryGetKernel", name)
        return SimpleNamespace(handle=5)

    def from_handle(self, stream):
        return SimpleNamespace(handle=stream)

    def launch(self, stream, config, kernel, *values):
        given = config.grid, config.block, config.shmem_size, values
        self.call("cuLaunchKernelEx", kernel.handle, stream.handle, *given)

"""Tensor maps: what the driver is asked, without one: a function of the same prototype answers."""

from __future__ import annotations

import ctypes
import gc

import pytest

import nnlite as nl
from nnlite.errors import DeviceError
from nnlite.kernels.engine.gpu import tensor_map as module
from nnlite.kernels.engine.gpu.recorder import capture
from nnlite.kernels.engine.gpu.tensor_map import map_words, tensor_map
from nnlite.testing.fake_gpu import fake_gpu

driver = pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is not installed")
TYPES = driver.CUtensorMapDataType
KINDS = {
    "tf32": (TYPES.CU_TENSOR_MAP_DATA_TYPE_TFLOAT32, 32),
    "bf16": (TYPES.CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 64),
    "f16": (TYPES.CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 64),
}
CODES = [
    driver.CUtensorMapInterleave.CU_TENSOR_MAP_INTERLEAVE_NONE,
    driver.CUtensorMapSwizzle.CU_TENSOR_MAP_SWIZZLE_128B,
    driver.CUtensorMapL2promotion.CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
    driver.CUtensorMapFloatOOBfill.CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
]


@pytest.fixture
def encoder(monkeypatch):
    """What the function was given, most recent last; it refuses an address that is not aligned."""
    calls = []

    def encode(target, kind, rank, address, sizes, pitches, box, steps, *codes):
        lists = [
            list((item * n).from_address(place))
            for place, item, n in (
                (sizes, ctypes.c_uint64, rank),
                (pitches, ctypes.c_uint64, rank - 1),
                (box, ctypes.c_uint32, rank),
                (steps, ctypes.c_uint32, rank),
            )
        ]
        calls.append((kind, rank, address, *lists, *codes))
        if target % 64:
            return int(driver.CUresult.CUDA_ERROR_INVALID_VALUE)
        (ctypes.c_uint64 * 16).from_address(target)[:] = range(100, 116)
        return int(address is None)

    function = module._PROTOTYPE(encode)
    place = ctypes.cast(function, ctypes.c_void_p).value
    assert driver.cuGetProcAddress.__doc__.startswith("cuGetProcAddress(char *symbol, int cudaVer")

    def find(symbol, version, flags):
        assert (symbol, flags) == (b"cuTensorMapEncodeTiled", 0)
        return driver.CUresult.CUDA_SUCCESS, place, 0

    monkeypatch.setattr(driver, "cuGetProcAddress", find)
    module._encoder.cache_clear()
    with fake_gpu() as fake:
        current = []
        monkeypatch.setattr(fake, "make_current", current.append)
        yield calls
        assert len(current) >= len(calls), "the thread may have no context yet"
    module._encoder.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_the_driver_gets_aligned_memory_and_the_matrix(encoder, kind):
    code, width = KINDS[kind]
    kept = []
    for k in range(1, 20):
        kept.append(bytearray(16 * k))  # so that not all maps are made in one place
        found = tensor_map(kind, 4096 * k, rows=70, length=50, pitch=256, box_rows=128)
        assert found.encode() == tuple(range(100, 116))
        expected = code, 2, 4096 * k, [50, 70], [256], [width, 128], [1, 1], *CODES
        assert encoder[-1] == tuple(int(x) if isinstance(x, int) else x for x in expected)
    with pytest.raises(DeviceError, match="refuses.*CUDA_ERROR_INVALID_VALUE"):
        tensor_map(kind, 0, rows=70, length=50, pitch=256, box_rows=64).encode()


def test_a_driver_without_maps_is_named(encoder, monkeypatch):
    missing = driver.CUresult.CUDA_ERROR_NOT_FOUND, 0, 1
    monkeypatch.setattr(driver, "cuGetProcAddress", lambda *_: missing)
    with pytest.raises(DeviceError, match="no cuTensorMapEncodeTiled"):
        tensor_map("bf16", 16, rows=70, length=96, pitch=256, box_rows=64).encode()


def test_a_graph_keeps_the_matrix_of_a_map(encoder):
    """Its address is among numbers, not among the arrays of a launch."""
    x = [nl.empty((64, 64))]
    _, graph, recorder = capture(0, lambda: map_words("tf32", x[0][8:], 56, 64, 256, 128))
    assert not recorder.reason
    address = x.pop().pointer
    assert encoder[-1][2] == address + 8 * 256
    assert nl.empty((64, 64)).pointer != address
    del graph, recorder
    gc.collect()
    assert address in [held.pointer for held in [nl.empty((64, 64)) for _ in range(3)]]

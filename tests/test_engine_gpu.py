"""The GPU back end on a machine without a GPU, over the driver of ``nnlite.testing.fake_gpu``.

Views, copies, the pool and the passing of arguments are tested here; what a GPU computes, and how
fast, is not.
"""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import pytest
from numba import cuda

import nnlite as nl
from nnlite.errors import DeviceError, ShapeError
from nnlite.kernels import all_specs, elementwise
from nnlite.kernels.engine.gpu.pool import GRANULE, LARGE, Pool
from nnlite.testing.check_op import compare_call
from nnlite.testing.edges import boundary_calls

FAKE = "cuda:0"  # the GPU of the fixture ``driver``


def strided_views(x):
    """Views of a (4, 6) array or matrix: contiguous, transposed, stepped, reversed, repeated."""
    yield x
    yield x[1:3]
    yield x[2]
    yield x[1, 2]
    yield x.T
    yield x[::2, 1:5:3]
    yield x[::-1, ::-2]
    yield x[1:1]
    yield x[None, :, None]


VIEWS = len(list(strided_views(np.zeros((4, 6)))))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u1", "?", "f2", "c8"])
@pytest.mark.parametrize("number", range(VIEWS))
def test_views_and_their_copies_are_numpy_s(driver, dtype, number):
    host = (np.arange(24) % 7).reshape(4, 6).astype(dtype)
    x = nl.array(host, device=FAKE)
    view = list(strided_views(x))[number]
    expected = list(strided_views(host))[number]
    for found in (view, view.copy(), nl.array(view, device=FAKE), view.to("cpu")):
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        assert np.array_equal(found.numpy(), expected)
    assert view.copy().is_contiguous


@pytest.mark.parametrize("number", range(VIEWS))
def test_writing_to_a_view_changes_nothing_else(driver, number):
    host = np.arange(24, dtype=np.float32).reshape(4, 6)
    x = nl.array(host, device=FAKE)
    target, expected = list(strided_views(x))[number], list(strided_views(host))[number]
    new = np.full(expected.shape, -1, np.float32)
    target.copy_from(new)
    if isinstance(expected, np.ndarray):
        expected[...] = new
    else:
        host[1, 2] = new
    assert np.array_equal(x.numpy(), host)


def test_numpy_copies_no_more_than_the_view(driver):
    x = nl.zeros((1000, 100), device=FAKE)
    x[3, 4].item()
    assert driver.to_host == 4
    x[5].copy_from(np.ones(100, np.float32))
    assert driver.to_device == 400


def test_copies_between_arrays_of_a_gpu_stay_there(driver):
    x = nl.zeros((8, 8), device=FAKE)
    y = nl.array(x.copy(), device=FAKE)
    y[:4].copy_from(x[4:])
    y[:4].copy_from(y[4:])
    assert (driver.to_host, driver.to_device) == (0, 0)
    assert driver.inside == 2 * 256 + 2 * 128


def test_a_copy_onto_overlapping_memory_is_exact(driver):
    x = nl.array(np.arange(9, dtype=np.int64), device=FAKE)
    x[1:].copy_from(x[:-1])
    assert x.numpy().tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7]


def test_zeros_and_negative_sizes(driver):
    assert not nl.zeros((3, 5), np.int64, device=FAKE).numpy().any()
    assert driver.to_device == 0
    assert nl.zeros(0, device=FAKE).numpy().shape == (0,)
    with pytest.raises(ShapeError, match="no negative"):
        nl.empty((2, -1), device=FAKE)


def test_memory_is_used_again(driver):
    first = nl.empty(100, device=FAKE)
    address = first.buffer.pointer
    view = first[10:]
    del first
    other = nl.empty(100, device=FAKE)
    assert other.buffer.pointer != address, "a view keeps the memory"
    del view
    assert nl.empty(90, device=FAKE).buffer.pointer == address
    assert len(driver.memory.sizes) == 2


def test_freed_memory_goes_to_later_work_only(driver):
    """Nothing has run when the memory of x is given to y: the kernel still sees x."""
    x = nl.array(np.arange(5, dtype=np.float32), device=FAKE)
    out = nl.empty(5, device=FAKE)
    address = x.pointer
    for _ in range(2):  # compiling leaves references to what it has seen
        scale_into[1, 32](x, np.float32(2), out)
    gc.collect()
    del x
    y = nl.array(np.zeros(5, np.float32), device=FAKE)
    assert y.pointer == address
    assert out.numpy().tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    ("nbytes", "expected"),
    [(0, GRANULE), (1, GRANULE), (512, 512), (513, 1024), (LARGE, LARGE), (LARGE + 1, 2 * LARGE)],
)
def test_size_classes(nbytes, expected):
    assert Pool.size_class(nbytes) == expected


def test_a_full_gpu_empties_the_pool_once(driver):
    driver.room = 4 * GRANULE
    held = [nl.empty(GRANULE, np.uint8, device=FAKE) for _ in range(4)]
    with pytest.raises(MemoryError):
        nl.empty(1, device=FAKE)
    del held
    assert nl.empty(4 * GRANULE, np.uint8, device=FAKE).buffer.nbytes == 4 * GRANULE


def test_threads_share_the_pool(driver):
    """Two threads never hold one block: each finds in its array what it wrote."""
    wrong = []

    def work(value):
        for _ in range(300):
            x = nl.array(np.full(4, value), device=FAKE)
            if x.numpy().tolist() != [value] * 4:
                wrong.append(value)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
    assert len(driver.memory.sizes) <= 4 * 2


@nl.kernel
def scale_into(x, factor, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = factor * x[i]


def test_a_launch_reaches_the_driver(driver):
    x = nl.array(np.arange(5, dtype=np.float32), device=FAKE)
    out = nl.empty(5, device=FAKE)
    for _ in range(2):  # the second takes the quick way
        scale_into[1, 32](x, np.float32(2), out)
        assert out.numpy().tolist() == [0, 2, 4, 6, 8]
    assert driver.launches == [("scale_into", (1, 1, 1), (32, 1, 1), 0)] * 2


def test_arguments_of_several_devices_are_named(driver):
    here, there = nl.zeros(3, device="cpu"), nl.zeros(3, device=FAKE)
    with pytest.raises(DeviceError, match="argument 2 is on cuda:0, expected cpu"):
        scale_into[1, 32](here, np.float32(1), there)
    with pytest.raises(DeviceError, match="argument 2 is on cpu, expected cuda:0"):
        scale_into[1, 32](there, np.float32(1), np.zeros(3, np.float32))


def test_dynamic_shared_memory_above_48_kib_is_asked_for(driver):
    x = nl.array(np.arange(5, dtype=np.float32), device=FAKE)
    out = nl.empty(5, device=FAKE)
    for shared in (48 * 1024, 100 * 1024, 60 * 1024):
        scale_into[1, 32, 0, shared](x, np.float32(2), out)  # the driver refuses what is not
        assert out.numpy().tolist() == [0, 2, 4, 6, 8]
    assert [kib for *_, kib in driver.launches] == [48 * 1024, 100 * 1024, 60 * 1024]


def test_strided_arguments_reach_the_kernel(driver):
    host = np.arange(24, dtype=np.float32).reshape(4, 6)
    x = nl.array(host, device=FAKE)
    assert np.array_equal(
        elementwise.add(x[::-1, ::2], x[:, 3:]).numpy(), host[::-1, ::2] + host[:, 3:]
    )
    column = x[:1].broadcast_to((4, 6))
    assert np.array_equal(elementwise.add(column, x).numpy(), host[:1] + host)


SPECS = {spec.name: spec for spec in all_specs()}


@pytest.mark.parametrize(
    "name", ["bias_grad", "matmul_tn", "mean", "argmax", "cross_entropy", "accuracy", "adam_update"]
)
def test_ops_run_on_the_pretended_gpu(driver, name):
    spec = SPECS[name]
    for number, call in enumerate(boundary_calls(spec)):
        if number % 5 == 0:
            compare_call(spec, call, FAKE)
    assert driver.launches


@pytest.mark.parametrize("dtype", ["f4", "?", "f2", "c8", "c16"])
@pytest.mark.parametrize("number", range(VIEWS))
def test_strided_copies_stay_on_the_gpu(driver, dtype, number):
    host = (np.arange(24) % 7).reshape(4, 6).astype(dtype)
    source = list(strided_views(nl.array(host, device=FAKE)))[number]
    expected = list(strided_views(host))[number]
    before = driver.to_host, driver.to_device
    copied = source.copy()
    target = nl.zeros((9, 9), dtype, device=FAKE)
    if source.ndim == 2:
        part = target.T[1 : 1 + source.shape[0], 8 : 8 - source.shape[1] : -1]
        part.copy_from(source)
    assert (driver.to_host, driver.to_device) == before
    assert np.array_equal(copied.numpy(), expected)
    if source.ndim == 2:
        assert np.array_equal(part.numpy(), expected)
        assert np.count_nonzero(target.numpy()) == np.count_nonzero(expected)


def test_copies_of_many_axes_and_onto_themselves(driver):
    host = np.arange(2**7, dtype=np.int16).reshape((2,) * 7)
    x = nl.array(host, device=FAKE)
    axes = (6, 0, 5, 2, 3, 1, 4)
    assert np.array_equal(x.transpose(*axes).copy().numpy(), host.transpose(axes))
    square = nl.array(np.arange(9.0).reshape(3, 3), device=FAKE)
    square.copy_from(square.T)
    assert np.array_equal(square.numpy(), np.arange(9.0).reshape(3, 3).T)
    assert driver.to_device == host.nbytes + 72

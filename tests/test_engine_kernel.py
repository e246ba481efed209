"""``@kernel``: launching, limits, options, devices."""

import subprocess
import sys

import numpy as np
import pytest
from numba import cuda, float32

import nnlite as nl
from nnlite.errors import ArgumentError, DeviceError, LaunchError
from nnlite.kernels.engine.cpu.signature import launch_key


@nl.kernel
def add_one(x, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[i] + float32(1)


@nl.kernel(launch_bounds=64, max_registers=32, fastmath=True)
def bounded(x):
    i = cuda.grid(1)
    if i < x.size:
        x[i] = float32(i)


@nl.kernel
def too_much_shared(x):
    tile = cuda.shared.array((128, 128), float32)
    tile[cuda.threadIdx.x, 0] = x[0]
    cuda.syncthreads()
    x[0] = tile[0, 0]


@nl.kernel
def corners(out):
    i, j, k = cuda.grid(3)
    if i < out.shape[0] and j < out.shape[1] and k < out.shape[2]:
        out[i, j, k] = i * 100 + j * 10 + k


def test_launch_runs_where_the_arrays_live(device):
    x = nl.array(np.arange(100, dtype=np.float32), device=device)
    out = nl.empty(100, device=device)
    add_one[4, 32](x, out)
    assert np.array_equal(out.numpy(), np.arange(100, dtype=np.float32) + 1)


def test_launch_takes_numpy_arrays_on_the_cpu():
    out = np.empty(5, np.float32)
    add_one[1, 32](np.zeros(5, np.float32), out)
    assert out.tolist() == [1] * 5


def test_three_dimensional_grids(device):
    out = nl.zeros((3, 4, 5), np.int32, device=device)
    corners[(2, 2, 3), (2, 2, 2)](out)
    i, j, k = np.ogrid[:3, :4, :5]
    assert np.array_equal(out.numpy(), i * 100 + j * 10 + k)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ((1, 2048), "threads per block.*2048.*limit 1024"),
        ((1, (1, 1, 128)), "block dimension z: 128, limit 64"),
        ((1, (32, 0)), "block dimension y: 0"),
        (((1, 70000), 32), "grid dimension y: 70000, limit 65535"),
        ((2**31, 1), "grid dimension x"),
        ((0, 32), "grid dimension x: 0"),
        ((-1, 32), "grid dimension x: -1"),
        ((1, 32, 0, 10**6), "shared memory per block: 1000000 bytes, limit"),
        ((1, 32, 0, -4), "shared memory per block: -4"),
        ((1, 32, 0, 255.9), "add_one: shared_bytes: 255.9 given, expected an integer"),
        ((1, 32, 0, "256"), "shared_bytes: '256'"),
        ((1,), "launch configuration"),
        (7, "launch configuration"),
        ((1, 32, 0, 0, 0), "launch configuration"),
        ((1.5, 32), "grid 1.5"),
        ((1, (1, 2, 3, 4)), "block"),
        ((1, "32"), "block '32'"),
    ],
)
def test_limits_are_checked_before_anything_runs(config, words):
    x = np.zeros(8, np.float32)
    with pytest.raises(LaunchError, match=words):
        add_one[config](x, x)
    assert not x.any()


def test_the_checker_takes_no_fraction_of_a_byte_either():
    with pytest.raises(LaunchError, match=r"check: shared_bytes: 255.9 given"):
        add_one.check[1, 32, 0, 255.9]


def test_limit_errors_name_kernel_and_device():
    with pytest.raises(LaunchError, match="add_one: .*limits of NVIDIA A100"):
        add_one[1, 2048](np.zeros(1, np.float32), np.zeros(1, np.float32))


def test_static_shared_memory_is_limited():
    with pytest.raises(LaunchError, match="static shared memory: 65536 bytes, limit 49152"):
        too_much_shared[1, 32](np.zeros(1, np.float32))


def test_launch_bounds_are_a_limit(device):
    x = nl.zeros(64, device=device)
    bounded[1, 64](x)
    assert np.array_equal(x.numpy(), np.arange(64, dtype=np.float32))
    with pytest.raises(LaunchError, match="launch_bounds"):
        bounded[1, 128](x)


def test_options_are_checked():
    with pytest.raises(ArgumentError, match="max_registers=7"):
        nl.kernel(max_registers=7)
    with pytest.raises(ArgumentError, match="launch_bounds=4096"):
        nl.kernel(launch_bounds=4096)


def test_a_kernel_is_not_called_without_a_grid():
    with pytest.raises(LaunchError, match="needs a grid"):
        add_one(np.zeros(1, np.float32), np.zeros(1, np.float32))


def test_wrong_number_of_arguments():
    with pytest.raises(TypeError, match="2 arguments"):
        add_one[1, 32](np.zeros(1, np.float32))


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cuda:99", "", "cpu:0:1"])
def test_unknown_or_absent_devices(name):
    with pytest.raises(DeviceError, match="device"):
        nl.zeros(1, device=name)


def test_the_variable_that_names_an_unknown_device_is_named(monkeypatch):
    monkeypatch.setenv("NNLITE_DEVICE", "tpu")
    monkeypatch.setattr(sys.modules["nnlite.kernels.engine.device"], "_default", None)
    with pytest.raises(DeviceError, match="NNLITE_DEVICE: device: 'tpu' given, expected 'cpu'"):
        nl.zeros(1)


def test_the_cpu_is_one_object():
    cpu = nl.device("cpu")
    assert nl.device(nl.Device("cpu")) is cpu
    assert nl.empty(3, device="cpu").device is cpu


def test_cpu_is_a_device():
    assert str(nl.devices()[0]) == "cpu"
    assert nl.device("cpu") == nl.devices()[0]
    assert nl.device("cpu").limits.threads_per_block == 1024


def test_reference_gpu_comes_from_the_environment():
    code = (
        "import nnlite as nl; from nnlite.kernels.engine import reference_gpu;"
        "print(reference_gpu().name)"
    )
    import os

    env = dict(os.environ, NNLITE_REFERENCE_GPU="T4")
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "NVIDIA T4", done.stderr
    env["NNLITE_REFERENCE_GPU"] = "none"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert "unknown GPU 'none'" in done.stderr


def test_the_short_way_of_a_launch_gives_the_key_of_launch_key(monkeypatch):
    """Otherwise a kernel would be compiled twice, or run the code for other arguments."""
    table = np.zeros((3, 4), np.float32)
    arrays = [nl.array(table, device="cpu"), nl.array(table, device="cpu").T, table[:, ::2], table]
    numbers = [True, 3, -1, 2**50, 2.5, np.int32(-2), np.int64(7), np.float32(1), np.float64(2)]
    found = []
    monkeypatch.setattr(type(add_one.cpu), "launch", lambda kernel, *args: found.append(args))
    add_one[2, (8, 4)](*arrays, *numbers)
    ((_, block, _, args, key),) = found
    assert key == launch_key(block, args)
    assert list(map(type, key)) == list(map(type, launch_key(block, args)))

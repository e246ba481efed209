"""How launches are configured, limited, reported and left to the simulator; run by pytest.

Started with ``python -m nnlite.cudasim -m pytest tests/programs/launches.py``.
"""

import warnings

import numpy as np
import pytest
from numba import cuda, float32, int32
from numba.cuda.cudadrv.driver import CudaAPIError

import nnlite.cudasim
from nnlite.errors import LaunchError, UnsupportedKernelError


@cuda.jit
def double(x):
    i = cuda.grid(1)
    if i < x.size:
        x[i] *= 2


def test_configuration_errors():
    x = np.ones(1)
    with pytest.raises(ValueError, match="launch configuration was not specified"):
        double(x)
    with pytest.raises(ValueError, match="at least the griddim and blockdim"):
        double[(1,)](x)
    with pytest.raises(ValueError, match="1, 2 or 3 integers"):
        double[1, (1, 1, 1, 1)](x)
    with pytest.raises(TypeError, match="must be a sequence of integers"):
        double[1, 2.0](x)


def test_exceptions_of_debug_kernels():
    @cuda.jit(debug=True, opt=False)
    def checked(x):
        i = cuda.grid(1)
        if x[i] < 0:
            raise ValueError("negative")

    checked[2, 32](np.ones(64))
    x = np.ones(64)
    x[40] = -1
    with pytest.raises(ValueError, match=r"checked.*tid=\[8, 0, 0\] ctaid=\[1, 0, 0\]: negative"):
        checked[2, 32](x)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ((1, 1025), "threads per block: 1025x1x1 = 1025, limit 1024"),
        ((1, (1, 1, 65)), "block dimension z: 65, limit 64"),
        (((1, 65536), 1), "grid dimension y: 65536, limit 65535"),
        ((0, 1), "grid dimension x: 0, expected at least 1"),
        ((1, 1, 0, 200_000), "shared memory per block: 200000 bytes"),
    ],
)
def test_launch_limits(config, text):
    with pytest.raises(LaunchError, match=text):
        double[config](np.ones(1))
    with pytest.raises(CudaAPIError, match=text):
        double[config](np.ones(1))


def test_launch_bounds():
    bounded = cuda.jit(launch_bounds=64)(double.py_func)
    bounded[1, 64](np.ones(1))
    with pytest.raises(LaunchError, match="limit 64; the kernel's launch_bounds"):
        bounded[1, 96](np.ones(1))


def test_forall():
    x = np.arange(1000)
    double.forall(x.size)(x)
    double.forall(x.size, tpb=32)(x)
    double.forall(0)(x)
    assert (x == 4 * np.arange(1000)).all()
    with pytest.raises(ValueError, match="negative task count: -1"):
        double.forall(-1)


def test_a_stored_launch_keeps_its_configuration():
    launch = double[1, 1]
    double[1, 32](np.ones(32))
    x = np.ones(32)
    launch(x)
    assert x.sum() == 33


def test_device_functions_and_kernels_call_each_other():
    @cuda.jit
    def helper(a, b=2):
        return a * b

    @cuda.jit(device=True)
    def twice(f):
        return helper(f) + helper(b=3, a=f)

    @cuda.jit
    def outer(x):
        x[0] = twice(x[0])

    x = np.ones(1)
    outer[1, 1](x)
    assert x[0] == 5
    double_it = cuda.jit(device=True)(lambda a: 2 * a)
    assert double_it(4) == 8


def test_cooperative_launch():
    @cuda.jit
    def swap_blocks(x, y):
        grid = cuda.cg.this_grid()
        block = cuda.blockIdx.x
        x[block] = block
        grid.sync()
        y[block] = x[cuda.gridDim.x - 1 - block]

    x, y = np.zeros(40), np.zeros(40)
    blocks = swap_blocks.overloads[(float32[:], float32[:])].max_cooperative_grid_blocks(1)
    assert blocks >= 40
    swap_blocks[40, 1](x, y)
    assert y.tolist() == list(range(39, -1, -1))


def test_extensions_prepare_arguments():
    class Unwrap:
        def prepare_args(self, ty, val, stream, retr):
            if isinstance(val, dict):
                retr.append(lambda: val.update(done=True))
                return ty, val["array"]
            return ty, val

    kernel = cuda.jit(extensions=[Unwrap()])(double.py_func)
    wrapped = {"array": np.ones(3)}
    kernel[1, 32](wrapped)
    assert wrapped["array"].tolist() == [2, 2, 2]
    assert wrapped["done"]


def test_link_is_refused():
    with pytest.raises(UnsupportedKernelError, match=r"launches.py:\d+: link: linked PTX"):
        cuda.jit(link=["code.ptx"])(double.py_func)


SETTINGS = {"step": 3}


def test_fallback_warns_once_per_kernel(simulated):
    @cuda.jit
    def uses_a_dict(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] += SETTINGS["step"]

    x = np.zeros(3, np.int32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        uses_a_dict[1, 4](x)
        uses_a_dict[1, 4](x)
        uses_a_dict[2, 2](x.astype(np.int64))
    assert x.tolist() == [6, 6, 6]
    (warning,) = caught
    assert warning.filename == __file__
    assert "kernel uses_a_dict runs on Numba's slow simulator" in str(warning.message)
    assert "launches.py:" in str(warning.message)
    assert "SETTINGS" in str(warning.message)
    assert any("uses_a_dict" in name for name in nnlite.cudasim.simulated())


def test_names_from_anywhere_work_in_the_simulator_too(simulated):
    from numba.cuda import grid, threadIdx

    @cuda.jit
    def imported(x):
        if threadIdx.x < x.size:
            x[grid(1)] = SETTINGS["step"] + int32(1)

    x = np.zeros(2)
    with pytest.warns(nnlite.cudasim.SimulatedKernelWarning):
        imported[1, 4](x)
    assert x.tolist() == [4, 4]


def test_refused_where_the_simulator_cannot_help(simulated):
    @cuda.jit
    def votes(x):
        x[0] = cuda.any_sync(0xFFFFFFFF, SETTINGS["step"])

    with (
        pytest.warns(nnlite.cudasim.SimulatedKernelWarning),
        pytest.raises(UnsupportedKernelError, match="SETTINGS"),
    ):
        votes[1, 1](np.zeros(1))

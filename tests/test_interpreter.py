"""The interpreter of kernels: answers computed by hand, and those of Numba's own simulator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import cuda, float32, int8, int32, int64, uint8, uint32, uint64

from nnlite.testing.interpreter import KernelError, interpret
from nnlite.testing.interpreter.arithmetic import binary, cast, compare, dtype_of, unary

ROOT = Path(__file__).resolve().parents[1]
FULL = 0xFFFFFFFF


def launch(kernel, grid, block, *args, **options):
    """The interpreter with sizes of one, two or three dimensions."""
    three = [tuple(v) if isinstance(v, tuple) else (v,) for v in (grid, block)]
    g, b = ((*v, 1, 1)[:3] for v in three)
    interpret(kernel, g, b, args, **options)


# -- types ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("op", "a", "b", "value", "name"),
    [
        ("+", np.int32(2**31 - 1), np.int32(1), 2**31, "int64"),
        ("+", np.uint8(255), np.uint8(1), 256, "uint64"),
        ("-", np.uint32(0), np.uint32(1), 2**64 - 1, "uint64"),
        ("-", np.uint32(0), np.int32(1), -1, "int64"),
        ("*", 2**62, 4, 0, "int64"),
        ("//", -7, 2, -4, "int64"),
        ("%", np.int8(-7), np.int8(3), 2, "int64"),
        ("%", np.uint64(2**64 - 5), 7, 2, "int64"),
        ("<<", np.uint8(255), 4, 4080, "uint64"),
        (">>", np.int16(-8), 1, -4, "int64"),
        ("*", np.float32(1 / 3), np.float32(3), np.float32(1 / 3) * np.float32(3), "float32"),
        ("*", np.float32(0.5), np.int32(3), 1.5, "float64"),
        ("/", 1, 4, 0.25, "float64"),
        ("&", True, True, True, "bool"),
        ("+", True, True, 2, "int64"),
    ],
)
def test_operators_have_the_types_of_numba(op, a, b, value, name):
    result = binary(op, a, b)
    assert (result, dtype_of(result).name) == (value, name)


@pytest.mark.parametrize(
    ("op", "a", "value", "name"),
    [
        ("-", np.uint8(1), 255, "uint64"),
        ("~", np.uint16(3), 65532, "uint64"),
        ("~", np.int8(3), -4, "int64"),
        ("-", np.float32(2), -2.0, "float32"),
    ],
)
def test_one_operand(op, a, value, name):
    result = unary(op, a)
    assert (result, dtype_of(result).name) == (value, name)


def test_casts_wrap_and_truncate():
    assert cast(300, np.dtype(np.uint8)) == 44
    assert cast(200, np.dtype(np.int8)) == -56
    assert cast(np.float32(-2.75), np.dtype(np.int32)) == -2
    assert cast(np.int32(-1), np.dtype(np.uint64)) == 2**64 - 1
    with pytest.raises(ValueError, match="cannot be cast"):
        cast(float("nan"), np.dtype(np.int32))


def test_comparison_of_int64_and_uint64_goes_through_float64_as_in_numba():
    assert not compare("<", 2**62, np.uint64(2**62 + 1))
    assert compare("<", np.uint32(1), np.uint32(2))


def test_functions_of_one_value():
    @cuda.jit
    def kernel(out):
        out[0] = cuda.popc(int8(-1))
        out[1] = cuda.clz(int32(1))
        out[2] = cuda.ffs(int64(40))
        out[3] = cuda.brev(uint32(1))
        out[4] = cuda.selp(out[0] > 7, int32(5), int32(6))
        out[5] = cuda.fma(float32(2), float32(3), float32(4))
        out[6] = min(int32(-3), int32(2)) + max(4, 5) + abs(-6)
        out[7] = int64(uint64(7) // uint64(2)) + len((1, 2))

    out = np.zeros(8, np.int64)
    launch(kernel, 1, 1, out)
    assert out.tolist() == [8, 31, 4, 2**31, 5, 10, 8, 5]


# -- who meets whom -------------------------------------------------------------------------------
@cuda.jit(device=True)
def rotated(v, s, t):
    s[t] = v
    cuda.syncthreads()
    if v < 0:
        return int32(-1)
    return s[(t + 1) % 40]


@cuda.jit
def meetings(out, bits):
    s = cuda.shared.array(40, int32)
    t = cuda.threadIdx.x
    out[t, 0] = rotated(t, s, t)
    out[t, 1] = cuda.syncthreads_count(int32(t % 3 == 0))
    out[t, 2] = cuda.shfl_up_sync(FULL, t, 2)
    out[t, 3] = cuda.shfl_xor_sync(FULL, t, 1)
    out[t, 4] = cuda.match_any_sync(FULL, int32(t % 2))
    mask = cuda.ballot_sync(FULL, t % 4 == 1)
    if t % 4 == 1:
        out[t, 5] = cuda.shfl_sync(mask, t, cuda.ffs(mask) - 1)
        bits[t] = cuda.activemask()
    k = t % 3
    mask = cuda.ballot_sync(FULL, k > 0)
    while k > 0:
        k -= 1
        out[t, 6] += cuda.popc(mask)
        mask = cuda.ballot_sync(mask, k > 0)
    agree, all_equal = cuda.match_all_sync(FULL, int32(t // 32))
    if t == 39:
        return
    cuda.syncthreads()
    out[t, 7] = cuda.syncthreads_count(int32(1)) + int32(all_equal)


def test_meetings_of_a_block_with_a_partial_warp():
    out, bits = np.zeros((40, 8), np.int64), np.zeros(40, np.uint32)
    for backward in (False, True):
        out[:] = 0
        launch(meetings, 1, 40, out, bits, backward=backward)
        t = np.arange(40)
        assert out[:, 0].tolist() == ((t + 1) % 40).tolist()
        assert set(out[:, 1]) == {14}
        assert out[:, 2].tolist() == np.where(t % 32 < 2, t, t - 2).tolist()
        assert out[:, 3].tolist() == (t ^ 1).tolist()
        assert out[:2, 4].tolist() == [0x55555555, -0x55555556]
        assert out[32:34, 4].tolist() == [0x55, 0xAA]
        assert out[t % 4 == 1, 5].tolist() == [1] * 8 + [33] * 2
        assert bits[1] == 0x22222222
        assert bits[33] == 0x22
        # of 32 lanes 21 begin the loop and 10 go on; of the last 8 lanes (t = 32..39) 5 and 3
        first = np.where(t < 32, 21, 5)
        again = np.where(t % 3 == 2, np.where(t < 32, 10, 3), 0)
        assert out[:, 6].tolist() == (np.where(t % 3 > 0, first, 0) + again).tolist()
        assert out[:, 7].tolist() == [40] * 39 + [0]


@cuda.jit
def across_blocks(g, out):
    i = cuda.grid(1)
    for k in range(2):
        g[i] = i + k
        cuda.cg.this_grid().sync()
        out[i] += g[(i + 8) % 16]
        cuda.cg.this_grid().sync()


def test_grid_barrier():
    g, out = np.zeros(16, np.int64), np.zeros(16, np.int64)
    launch(across_blocks, 2, 8, g, out)
    assert out.tolist() == [2 * ((i + 8) % 16) + 1 for i in range(16)]


@cuda.jit
def memory(x, out):
    bytes_ = cuda.shared.array(0, uint8)
    words = cuda.shared.array(0, int32)
    mine = cuda.local.array((2, 2), int8)
    table = cuda.const.array_like(x)
    t = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    words[t] = 256 * t + 1
    mine[1, 0] = 200
    mine[0, 1], mine[-1, -1] = t, -t
    cuda.syncthreads()
    out[t, 0] = bytes_[4 * t + 1]
    out[t, 1] = mine[1, 0]
    out[t, 2] = mine[0, -1] + mine[1, 1] + table[t]
    out[t, 3] = bytes_.size


def test_shared_local_and_constant_memory():
    x, out = np.arange(6) * 10, np.zeros((6, 4), np.int64)
    launch(memory, 1, (2, 3), x, out, shared_bytes=24)
    assert out.tolist() == [[t, -56, 10 * t, 24] for t in range(6)]


@cuda.jit
def every_atomic(a, u, f, old):
    old[0] = cuda.atomic.add(a, 0, 5)
    old[1] = cuda.atomic.sub(a, (1,), 5)
    old[2] = cuda.atomic.max(a, 2, 5)
    old[3] = cuda.atomic.min(a, 3, 5)
    old[4] = cuda.atomic.and_(a, 4, 6)
    old[5] = cuda.atomic.or_(a, 5, 6)
    old[6] = cuda.atomic.xor(a, 6, 6)
    old[7] = cuda.atomic.exch(a, 7, 6)
    old[8] = cuda.atomic.cas(a, 8, 10, 6)
    old[9] = cuda.atomic.cas(a, 9, 11, 6)
    old[10] = cuda.atomic.compare_and_swap(u, 3, 4)
    old[11] = cuda.atomic.inc(u, 1, 3)
    old[12] = cuda.atomic.dec(u, 2, 9)
    old[13] = cuda.atomic.inc(u, 3, 9)
    cuda.atomic.max(f, 0, float32(2))
    cuda.atomic.nanmax(f, 1, float32(2))
    cuda.atomic.nanmin(f, 2, float32(2))


def test_atomics():
    a, u, old = np.full(10, 10, np.int32), np.full(4, 3, np.uint32), np.zeros(14, np.int64)
    u[2] = 0
    f = np.array([np.nan, np.nan, 3], np.float32)
    launch(every_atomic, 1, 1, a, u, f, old)
    assert a.tolist() == [15, 5, 10, 5, 2, 14, 12, 6, 6, 10]
    assert u.tolist() == [4, 0, 9, 4]
    assert old.tolist() == [10] * 10 + [3, 3, 0, 3]
    np.testing.assert_array_equal(f, np.float32([np.nan, 2, 2]))


# -- what CUDA does not define --------------------------------------------------------------------
@cuda.jit
def divergent(out):
    if cuda.threadIdx.x < 5:
        cuda.syncthreads()
    out[0] = 1
    cuda.syncthreads()


@cuda.jit
def other_iteration(out):
    for _ in range(cuda.threadIdx.x % 2 + 1):
        cuda.syncthreads()
    cuda.syncthreads()


@cuda.jit
def absent_lane(out):
    if cuda.threadIdx.x < 5:
        out[0] = cuda.shfl_sync(FULL, 1, 0)
    cuda.syncwarp()


@cuda.jit
def unnamed_lane(out):
    out[0] = cuda.ballot_sync(15, True)


@cuda.jit
def out_of_bounds(out):
    out[cuda.threadIdx.x] = 1


@cuda.jit
def endless(out):
    while out[0] == 0:
        pass


@cuda.jit
def half_the_grid(out):
    if cuda.blockIdx.x == 0:
        cuda.cg.this_grid().sync()


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (divergent, r"5 at syncthreads of line \d+ \(such as thread \(0, 0, 0\) of block"),
        (other_iteration, "must reach the same iteration"),
        (absent_lane, "the mask 0xffffffff names lane 5, but thread"),
        (unnamed_lane, "is lane 4, which its mask 0x0000000f does not name"),
        (out_of_bounds, r"thread \(2, 0, 0\) of block .* line \d+: IndexError: index 2"),
        (endless, "a loop did not end after"),
        (half_the_grid, "not every block reaches the same grid barrier"),
    ],
)
def test_errors_say_who_stands_where(kernel, message):
    with pytest.raises(KernelError, match=message):
        launch(kernel, 2, 8, np.zeros(2, np.int64))


def test_agrees_with_the_simulator_of_numba():
    """In a process of its own: the simulator replaces ``numba.cuda``."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(ROOT)}
    script = Path(__file__).with_name("interpreter_and_simulator.py")
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["reduce", "scan", "histogram", "counting", "bits", "dynamic"]

"""Warp operations and counting barriers."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32, int32

from nnlite.kernels.engine.cpu import CpuKernel

FULL = 0xFFFFFFFF
SHAPES = [(32, 1, 1), (48, 1, 1), (7, 1, 1), (8, 5, 1), (4, 3, 5)]


def run(kernel, grid, block, *args):
    CpuKernel(kernel).launch((grid, 1, 1), block, 0, args)


def warps(values, threads):
    """The values of each warp of each block."""
    for start in range(0, values.size, threads):
        block = values[start : start + threads]
        for w in range(0, threads, 32):
            yield slice(start + w, start + min(w + 32, threads)), block[w : w + 32]


def signed(bits):
    return bits - 2**32 if bits >= 2**31 else bits


def bits(flags):
    return sum(1 << lane for lane, flag in enumerate(flags) if flag)


@cuda.jit
def position(out):
    t = (cuda.threadIdx.z * cuda.blockDim.y + cuda.threadIdx.y) * cuda.blockDim.x
    t += cuda.threadIdx.x
    out[t, 0] = cuda.laneid
    out[t, 1] = cuda.warpsize
    out[t, 2] = cuda.lanemask_lt()


@pytest.mark.parametrize("block", SHAPES)
def test_lane_is_thread_number_modulo_32(block):
    threads = int(np.prod(block))
    out = np.zeros((threads, 3), np.int64)
    run(position, 1, block, out)
    lane = np.arange(threads) % 32
    np.testing.assert_array_equal(out, np.stack([lane, lane * 0 + 32, 2**lane - 1], 1))


@cuda.jit
def shuffles(x, by, out):
    i = cuda.grid(1)
    out[i, 0] = cuda.shfl_sync(FULL, x[i], 3)
    out[i, 1] = cuda.shfl_up_sync(FULL, x[i], 2)
    out[i, 2] = cuda.shfl_down_sync(FULL, x[i], 16)
    out[i, 3] = cuda.shfl_xor_sync(FULL, x[i], 5)
    out[i, 4] = cuda.shfl_sync(FULL, x[i], by[i])  # a lane that differs between threads
    out[i, 5] = cuda.shfl_up_sync(FULL, x[i], by[i])
    out[i, 6] = cuda.shfl_down_sync(FULL, x[i], by[i])
    out[i, 7] = cuda.shfl_xor_sync(FULL, x[i], by[i])
    k = by[0] + 1
    for column in range(8, 12):  # a distance known when the kernel runs
        out[i, column] = cuda.shfl_xor_sync(FULL, x[i], k)
        k += 1


@pytest.mark.parametrize("threads", [32, 64, 45, 5])
@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint16, np.int32, np.uint64, np.float32, np.float64, np.bool_]
)
def test_shuffles_move_values_between_lanes(threads, dtype):
    rng = np.random.default_rng(threads)
    x = rng.integers(0, 100, 2 * threads).astype(dtype)
    by = rng.integers(0, 32, x.size).astype(np.int32)
    by[0] = 3
    out = np.zeros((x.size, 12), dtype)
    run(shuffles, 2, (threads, 1, 1), x, by, out)
    for part, v in warps(x, threads):
        lanes, own = len(v), by[part]
        lane = np.arange(lanes)
        sources = [lane * 0 + 3, lane - 2, lane + 16, lane ^ 5]
        sources += [own, lane - own, lane + own, lane ^ own]
        sources += [lane ^ (by[0] + 1 + k) for k in range(4)]
        for column, source in enumerate(sources):
            inside = (source >= 0) & (source < lanes)
            expected = v[np.where(inside, source, lane)]
            np.testing.assert_array_equal(out[part, column], expected, err_msg=str(column))


@cuda.jit
def votes(x, out):
    i = cuda.grid(1)
    out[i, 0] = cuda.ballot_sync(FULL, x[i] > 3)
    out[i, 1] = cuda.all_sync(FULL, x[i] > 0)
    out[i, 2] = cuda.any_sync(FULL, x[i] == 9)
    out[i, 3] = cuda.eq_sync(FULL, x[i] == 9)
    out[i, 4] = cuda.match_any_sync(FULL, x[i])
    out[i, 5], out[i, 6] = cuda.match_all_sync(FULL, x[i])
    out[i, 7] = cuda.syncthreads_count(x[i] > 4)
    out[i, 8] = cuda.syncthreads_and(x[i] > 0)
    out[i, 9] = cuda.syncthreads_or(x[i] == 9)
    cuda.syncwarp()
    if x[i] > 5:
        out[i, 10] = cuda.activemask()
        out[i, 11] = cuda.ballot_sync(cuda.activemask(), x[i] == 7)


@pytest.mark.parametrize("threads", [32, 64, 45, 5])
@pytest.mark.parametrize("high", [2, 10])
def test_votes_and_counts(threads, high):
    x = np.random.default_rng(high).integers(0, high, 2 * threads)
    x[:threads] = 1 if high == 2 else x[:threads]
    out = np.zeros((x.size, 12), np.int64)
    run(votes, 2, (threads, 1, 1), x, out)
    for part, v in warps(x, threads):
        whole = x[part.start // threads * threads :][:threads]
        same = [signed(bits(v == one)) for one in v]
        all_same = len(set(v)) == 1
        active = bits(v > 5)
        expected = np.array([
            [signed(bits(v > 3)), (v > 0).all(), (v == 9).any(), len(set(v == 9)) == 1, m,
             signed(bits(v == v)) if all_same else 0, all_same, (whole > 4).sum(),
             (whole > 0).all(), (whole == 9).any(),
             active if one > 5 else 0, signed(bits(v == 7)) if one > 5 else 0]
            for m, one in zip(same, v)
        ], np.int64)  # fmt: skip
        np.testing.assert_array_equal(out[part], expected)


@cuda.jit
def two_groups(x, out):
    i = cuda.grid(1)
    mask = 0xFFFF if cuda.laneid < 16 else 0xFFFF0000
    out[i, 0] = cuda.any_sync(mask, x[i] > 90)
    out[i, 1] = cuda.all_sync(mask, x[i] > 5)
    out[i, 2] = cuda.ballot_sync(mask, x[i] > 50)
    out[i, 3], out[i, 4] = cuda.match_all_sync(mask, x[i] > 2)


def test_masks_name_the_lanes_that_take_part():
    x = np.random.default_rng(5).integers(0, 100, 64)
    x[16:32] = 50
    out = np.zeros((64, 5), np.int64)
    run(two_groups, 1, (64, 1, 1), x, out)
    for start in range(0, 64, 16):
        v, shift = x[start : start + 16], start % 32
        agree = len(set(v > 2)) == 1
        mask = signed(0xFFFF << shift)
        row = [(v > 90).any(), (v > 5).all(), signed(bits(v > 50) << shift), mask * agree, agree]
        np.testing.assert_array_equal(out[start : start + 16], np.tile(row, (16, 1)))


@cuda.jit(device=True)
def block_sum(v, scratch):
    """A device function with warp operations, barriers and an early return."""
    t = cuda.threadIdx.x
    for distance in (16, 8, 4, 2, 1):
        v += cuda.shfl_down_sync(FULL, v, distance)
    if t % 32 == 0:
        scratch[t // 32] = v
    cuda.syncthreads()
    if t >= 32:
        return float32(0)
    v = scratch[t] if t < cuda.blockDim.x // 32 else float32(0)
    for distance in (16, 8, 4, 2, 1):
        v += cuda.shfl_down_sync(FULL, v, distance)
    return v


@cuda.jit
def block_sums(x, out):
    scratch = cuda.shared.array(32, float32)
    i = cuda.grid(1)
    v = block_sum(x[i] if i < x.size else float32(0), scratch)
    cuda.syncthreads()
    w = block_sum(v + float32(1), scratch)
    if cuda.threadIdx.x == 0:
        out[cuda.blockIdx.x, 0] = v
        out[cuda.blockIdx.x, 1] = w


def test_device_functions_synchronise():
    x = np.arange(500, dtype=np.float32)  # small integers: sums are exact
    out = np.zeros((4, 2), np.float32)
    run(block_sums, 4, (128, 1, 1), x, out)
    sums = np.resize(np.append(x, np.zeros(12, np.float32)), (4, 128)).sum(1)
    np.testing.assert_array_equal(out[:, 0], sums)
    # The first warp of the second round adds what its lanes hold after the first.
    assert (out[:, 1] >= sums + 128).all()


@cuda.jit(device=True)
def bit_count(word):
    count = int32(0)
    while word > 0:
        count += int32(word & 1)
        word >>= 1
    return count


@cuda.jit
def divergent_loop(x, out):
    """Lanes leave the loop at different times; votes see those that are left."""
    i = cuda.grid(1)
    n = x[i]
    total = int32(0)
    while n > 0:
        total += bit_count(cuda.activemask())
        n -= 1
    out[i] = total


def test_votes_in_divergent_loops_see_active_lanes():
    x = np.random.default_rng(1).integers(0, 9, 96).astype(np.int32)
    out = np.zeros(96, np.int32)
    run(divergent_loop, 1, (96, 1, 1), x, out)
    for part, v in warps(x, 96):
        np.testing.assert_array_equal(out[part], [sum((v > k).sum() for k in range(n)) for n in v])

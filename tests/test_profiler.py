"""Figures of the profiler against hand calculation: textbook cases of memory access."""

import json

import numpy as np
import pytest
from numba import cuda, float32, float64, int32

import nnlite as nl
from nnlite.errors import CheckError, LaunchError
from nnlite.kernels.engine.device import GPUS
from nnlite.kernels.engine.ptx import load4

TILE = 32 * 33


def line_of(kernel, mark):
    """Number of the line that ends with the mark."""
    code = kernel.py_func.__code__
    with open(code.co_filename, encoding="utf-8") as file:
        lines = file.read().splitlines()
    found = [i for i, x in enumerate(lines, 1) if x.endswith(f"# {mark}")]
    return next(i for i in found if i >= code.co_firstlineno)


@nl.kernel
def copy_with(x, out, stride, offset):
    i = cuda.grid(1)
    out[i] = x[i * stride + offset]  # HERE


def copied(n, stride, offset, dtype=np.float32):
    x = np.ones(n * stride + offset + 1, dtype)
    return nl.profile(copy_with, 1, n, (x, np.zeros(n, dtype), stride, offset))


@pytest.mark.parametrize(
    ("stride", "offset", "dtype", "sectors", "ideal"),
    [
        (1, 0, "float32", 4, 4),  # 128 bytes that lie together
        (1, 1, "float32", 5, 4),  # the same, begun 4 bytes after a multiple of 32
        (1, 8, "float32", 4, 4),  # begun a sector later
        (0, 0, "float32", 1, 1),  # all lanes read one number
        (2, 0, "float32", 8, 4),
        (4, 0, "float32", 16, 4),
        (8, 0, "float32", 32, 4),
        (16, 0, "float32", 32, 4),
        (32, 0, "float32", 32, 4),
        (1, 0, "float64", 8, 8),
        (2, 0, "float64", 16, 8),
        (1, 1, "float64", 9, 8),
        (1, 0, "int8", 1, 1),
        (1, 0, "float16", 2, 2),
        (1, 0, "complex128", 16, 16),
    ],
)
def test_sectors_of_a_warp(stride, offset, dtype, sectors, ideal):
    line = copied(32, stride, offset, dtype).of(line_of(copy_with, "HERE"), "load", "x")
    assert (line.requests, line.active_lanes) == (1, 32)
    assert (line.sectors, line.ideal_sectors) == (sectors, ideal)
    used = min(stride, 1) * 32 * np.dtype(dtype).itemsize or np.dtype(dtype).itemsize
    assert (line.useful, line.bytes_moved) == (used, 32 * sectors)
    assert line.efficiency == used / (32 * sectors)


def test_a_view_begins_where_it_begins_in_its_array():
    x = np.ones(64, np.float32)
    for first, sectors in ((0, 4), (1, 5), (8, 4)):
        report = nl.profile(copy_with, 1, 32, (x[first:], np.zeros(32, np.float32), 1, 0))
        assert report.of(line_of(copy_with, "HERE"), "load").sectors == sectors


def test_a_partial_warp_has_fewer_lanes():
    line = copied(40, 1, 0).of(line_of(copy_with, "HERE"), "load")
    assert (line.requests, line.lanes, line.active_lanes) == (2, 40, 20)
    assert line.sectors == 4 + 1


# -- shared memory ---------------------------------------------------------------------------------
@nl.kernel
def shared_columns(out, pitch):
    tile = cuda.shared.array(TILE, float32)
    t = cuda.threadIdx.x
    for row in range(32):
        tile[row * pitch + t] = float32(row)  # ROW
    cuda.syncwarp()
    out[t] = tile[t * pitch]  # COLUMN


@nl.kernel
def shared_strides(out, stride):
    tile = cuda.shared.array(1024, float32)
    t = cuda.threadIdx.x
    for i in range(t, 1024, 32):
        tile[i] = float32(i)
    cuda.syncwarp()
    out[t] = tile[t * stride]  # HERE


@nl.kernel
def shared_wide(out, stride):
    tile = cuda.shared.array(1024, float64)
    t = cuda.threadIdx.x
    for i in range(t, 1024, 32):
        tile[i] = float64(i)  # STORE
    cuda.syncwarp()
    out[t] = tile[t * stride]  # HERE


def test_a_column_of_a_tile_needs_padding():
    for pitch, waves in ((32, 32), (33, 1)):
        report = nl.profile(shared_columns, 1, 32, (np.zeros(32, np.float32), pitch))
        row = report.of(line_of(shared_columns, "ROW"), "store", "tile")
        assert (row.requests, row.wavefronts, row.ideal_wavefronts) == (32, 32, 32)
        column = report.of(line_of(shared_columns, "COLUMN"), "load", "tile")
        assert (column.requests, column.wavefronts, column.ideal_wavefronts) == (1, waves, 1)


@pytest.mark.parametrize(("stride", "waves"), [(0, 1), (1, 1), (2, 2), (3, 1), (4, 4), (16, 16)])
def test_wavefronts_of_strides(stride, waves):
    report = nl.profile(shared_strides, 1, 32, (np.zeros(32, np.float32), stride))
    assert report.of(line_of(shared_strides, "HERE"), "load", "tile").wavefronts == waves


@pytest.mark.parametrize(("stride", "waves"), [(0, 2), (1, 2), (2, 4), (16, 32)])
def test_elements_of_8_bytes_are_served_to_half_a_warp(stride, waves):
    report = nl.profile(shared_wide, 1, 32, (np.zeros(32), stride))
    line = report.of(line_of(shared_wide, "HERE"), "load", "tile")
    assert (line.wavefronts, line.ideal_wavefronts) == (waves, 2)


@nl.kernel
def wide_loads(x, out):
    tile = cuda.shared.array(128, float32, 16)
    t = cuda.threadIdx.x
    for i in range(t, 128, 32):
        tile[i] = float32(i)
    cuda.syncwarp()
    a = load4(x, 4 * t)  # GLOBAL
    b = load4(tile, 4 * t)  # SHARED
    out[t] = a[0] + b[3]


def test_128_bit_access_is_one_request():
    report = nl.profile(wide_loads, 1, 32, (np.ones(128, np.float32), np.zeros(32, np.float32)))
    line = report.of(line_of(wide_loads, "GLOBAL"), "load", "x")
    assert (line.requests, line.sectors, line.useful) == (1, 16, 512)
    line = report.of(line_of(wide_loads, "SHARED"), "load", "tile")
    assert (line.requests, line.wavefronts, line.ideal_wavefronts) == (1, 4, 4)


# -- lanes, branches, loops, atomics ---------------------------------------------------------------
@nl.kernel
def parting(x, out):
    t = cuda.threadIdx.x
    if t % 2 == 0:  # ODD
        out[t] = x[t]  # HALF
    if t < 32:  # WARP
        out[t] += float32(1)


def test_lanes_that_part_share_requests_by_turns():
    report = nl.profile(parting, 1, 64, (np.ones(64, np.float32), np.zeros(64, np.float32)))
    odd = report.of(line_of(parting, "ODD"))
    assert (odd.what, odd.requests, odd.divergent) == ("branch", 2, 2)
    assert report.of(line_of(parting, "WARP")).divergent == 0
    half = report.of(line_of(parting, "HALF"), "load")
    assert (half.requests, half.active_lanes, half.sectors) == (2, 16, 8)
    assert half.efficiency == 0.5


@nl.kernel
def uneven(x, out):
    t = cuda.threadIdx.x
    total = float32(0)
    for q in range(t):
        if q % 2 == t % 2:
            total += x[q]  # HERE
    out[t] = total


def test_lanes_meet_in_the_same_turn_of_a_loop():
    """In turn q lane t is there if q < t and their parities agree, whatever it left out before."""
    report = nl.profile(uneven, 1, 32, (np.ones(32, np.float32), np.zeros(32, np.float32)))
    line = report.of(line_of(uneven, "HERE"), "load")
    expected = [sum(q < t and q % 2 == t % 2 for t in range(32)) for q in range(32)]
    assert line.requests == sum(n > 0 for n in expected)
    assert line.lanes == sum(expected)
    assert line.sectors == line.requests


@nl.kernel
def counting(x, bins):
    t = cuda.grid(1)
    cuda.atomic.add(bins, x[t], int32(1))  # HERE


@pytest.mark.parametrize(("bins", "lanes"), [(1, 32), (4, 8), (32, 1)])
def test_contention_is_the_line_at_one_address(bins, lanes):
    x = np.arange(64, dtype=np.int32) % bins
    out = np.zeros(bins, np.int32)
    line = nl.profile(counting, 2, 32, (x, out)).of(line_of(counting, "HERE"), "atomic")
    assert (line.requests, line.contention) == (2, lanes)
    np.testing.assert_array_equal(out, np.full(bins, 64 // bins))


# -- totals ----------------------------------------------------------------------------------------
@nl.kernel
def axpy(a, x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = a * x[i] + y[i]


def test_totals_and_the_roofline():
    n = 1000
    x, y = np.ones(n, np.float32), np.ones(n, np.float32)
    report = nl.profile(axpy, 8, 128, (np.float32(2), x, y))
    assert (y == 3).all()
    assert report.flops == 2 * n
    assert report.bytes_moved == 3 * 4 * n
    assert report.bytes_touched == 2 * 4 * n
    assert report.intensity == 2 * n / (2 * 4 * n)
    assert report.intensity_without_caches == 2 * n / (3 * 4 * n)
    gpu = GPUS["A100"]
    assert report.roofline(gpu) == 0.25 * 2039e9
    assert report.roofline(gpu, 1e6) == 19.5e12


def test_a_product_counts_the_operations_of_its_formula():
    from nnlite.kernels.ladder import LADDERS

    a = np.random.default_rng(0).random((64, 64), np.float32)
    for step, moved in zip(LADDERS["matmul"].steps[:3], (None, None, 2 * 64**3 // 32 + 64**2)):
        c = np.zeros((64, 64), np.float32)
        block = (32, 32) if step.name == "shared tiles" else (32, 8)
        grid = tuple(64 // b for b in block)
        report = nl.profile(step.kernel, grid, block, (a, a, c))
        np.testing.assert_allclose(c, a @ a, rtol=1e-5)
        assert report.flops == 2 * 64**3
        if moved is not None:  # each number once per tile of 32, and the result
            assert report.bytes_moved == 4 * moved


def test_the_report_is_a_table_and_json():
    report = copied(64, 2, 0)
    text = str(report)
    assert "load x" in text
    assert "50%" in text
    line = json.loads(report.to_json())["lines"][0]
    assert line["file"] == __file__
    assert {x.source for x in report.lines} == {"out[i] = x[i * stride + offset]  # HERE"}


def test_what_is_not_right_is_not_profiled():
    with pytest.raises(CheckError, match=r"copy_with: the launch is not right; nl\.check or"):
        nl.profile(copy_with, 1, 64, (np.ones(32, np.float32), np.zeros(64, np.float32), 1, 0))
    with pytest.raises(LaunchError, match="4096"):
        nl.profile(copy_with, 1, 4096, (np.ones(1, np.float32), np.zeros(1, np.float32), 0, 0))
    with pytest.raises(LookupError, match="0 kinds of access at line 1"):
        copied(32, 1, 0).of(1)

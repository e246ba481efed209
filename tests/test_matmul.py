"""What the tests made from the specs do not reach: every tile, edges, ``out``, strided views."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from numba import float32

from nnlite.kernels.engine import ArgumentError, Array, DtypeError, ShapeError, array, empty, full
from nnlite.kernels.matmul import (
    TILE,
    launcher,
    make_matmul,
    matmul,
    matmul_reference,
    matmul_tiled,
)
from nnlite.kernels.matmul.launcher import CPU_TILES, GPU_TILES, MAX_GRID_Y, choose_items, fold
from nnlite.testing.compare import assert_close

FLAGS = list(itertools.product((False, True), repeat=2))
ITEMS = sorted({*GPU_TILES, *CPU_TILES})


def operands(m: int, n: int, k: int, ta: bool, tb: bool, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = ((k, m) if ta else (m, k), (n, k) if tb else (k, n), (n,))
    return [rng.uniform(-2, 2, s).astype(np.float32) for s in shapes]


def check(c: Array, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None, **options) -> None:
    wide = [None if x is None else x.astype(np.float64) for x in (a, b, bias)]
    size = [None if x is None else np.abs(x) for x in wide]
    terms = a.shape[0] if options.get("transpose_a") else a.shape[1]
    assert_close(
        c.numpy(),
        matmul_reference(*wide, **options),
        dtype=a.dtype,
        magnitude=matmul_reference(*size, **options),
        terms=terms + (bias is not None),
    )


@pytest.mark.parametrize("items", ITEMS)
@pytest.mark.parametrize(("ta", "tb"), FLAGS)
def test_every_tile_at_its_edges(items, ta, tb):
    """The launcher takes one tile per device; the kernels of all of them must be right."""
    width = items * TILE
    kernel = make_matmul(float32, items, ta, tb, None)
    for m, n, k in ((width + 1, width - 1, TILE + 1), (1, 2 * width, TILE - 1), (width, 3, 1)):
        a, b, bias = operands(m, n, k, ta, tb)
        c = full((m, n), np.nan)
        grid = ((n + width - 1) // width, (m + width - 1) // width)
        kernel[grid, (TILE, TILE)](array(a), array(b), array(bias), c)
        check(c, a, b, bias, transpose_a=ta, transpose_b=tb)


def test_textbook_kernel():
    for m, n, k in ((TILE, TILE, TILE), (TILE + 1, 2 * TILE - 1, 37), (1, 1, 1)):
        a, b, _ = operands(m, n, k, False, False)
        c = full((m, n), np.nan)
        grid = ((n + TILE - 1) // TILE, (m + TILE - 1) // TILE)
        matmul_tiled[grid, (TILE, TILE)](array(a), array(b), c)
        check(c, a, b, None)


@pytest.mark.parametrize(("m", "n", "k", "ta", "tb"), [
    (64, 128, 784, False, True),  # first layer of the MLP
    (128, 784, 64, True, False),  # gradient of its weight
    (64, 10, 128, False, True),
    (64, 128, 10, False, False),
])  # fmt: skip
def test_shapes_of_a_training_step(m, n, k, ta, tb):
    a, b, bias = operands(m, n, k, ta, tb)
    c = matmul(array(a), array(b), transpose_a=ta, transpose_b=tb, bias=array(bias))
    check(c, a, b, bias, transpose_a=ta, transpose_b=tb)


@pytest.mark.parametrize(("ta", "tb"), FLAGS)
def test_views_equal_copies(ta, tb):
    """Transposed, reversed, sliced and broadcast views give the bits of their contiguous copy."""
    a, b, bias = operands(33, 18, 47, ta, tb)
    flags = {"transpose_a": ta, "transpose_b": tb}
    expected = matmul(array(a), array(b), bias=array(bias), **flags).numpy()
    a_views = [array(a.T.copy()).T, array(a[::-1].copy())[::-1], array(np.repeat(a, 2, 1))[:, ::2]]
    b_views = [array(b.T.copy()).T, array(np.pad(b, ((0, 0), (3, 1))))[:, 3:-1]]
    long = array(np.repeat(bias, 3))[::3]
    for x, y in itertools.product(a_views, b_views):
        np.testing.assert_array_equal(matmul(x, y, bias=long, **flags).numpy(), expected)
    row = array(a[:1]).broadcast_to(a.shape)
    once = matmul(array(np.broadcast_to(a[:1], a.shape).copy()), array(b), **flags).numpy()
    np.testing.assert_array_equal(matmul(row, array(b), **flags).numpy(), once)


def test_empty_sums_and_empty_results():
    bias = array(np.array([-1.0, 0.0, 2.0], np.float32))
    a, b = empty((4, 0)), empty((0, 3))
    np.testing.assert_array_equal(matmul(a, b).numpy(), np.zeros((4, 3), np.float32))
    expected = np.broadcast_to(np.float32([0, 0, 2]), (4, 3))
    np.testing.assert_array_equal(matmul(a, b, bias=bias, activation="relu").numpy(), expected)
    assert matmul(empty((0, 5)), empty((5, 3)), bias=bias).shape == (0, 3)
    assert matmul(empty((2, 5)), empty((5, 0))).shape == (2, 0)


def test_nan_stays_in_its_row_and_column():
    """Tiles beyond the edge are zeros; a NaN must not reach results that do not depend on it."""
    a, b, _ = operands(40, 50, 33, False, False)
    a[7, 32] = np.nan
    b[5, 49] = np.inf
    c = matmul(array(a), array(b)).numpy()
    assert np.isnan(c[7]).all()
    assert not np.isfinite(c[:, 49]).any()
    rest = np.delete(np.delete(c, 7, 0), 49, 1)
    assert np.isfinite(rest).all()


def test_out_receives_the_result():
    a, b, _ = operands(5, 6, 7, False, False)
    out = full((5, 6), np.nan)
    assert matmul(array(a), array(b), out=out) is out
    check(out, a, b, None)


def test_products_that_have_passed_the_checks_before():
    given = operands(5, 3, 7, False, False)
    a, b, bias = (array(x, device="cpu") for x in given)
    held = [sys.getrefcount(x) for x in (a, b, bias)]
    for _ in range(3):
        check(matmul(a, b, bias=bias), *given)
        check(matmul(a, b), *given[:2], None)
    assert [sys.getrefcount(x) for x in (a, b, bias)] == held
    with pytest.raises(ArgumentError, match="activation"):
        matmul(a, b, activation=["relu"])
    with pytest.raises(ArgumentError, match="transpose_a: 0 given"):
        matmul(a, b, transpose_a=0)
    with pytest.raises(DtypeError, match="bias: list given"):
        matmul(a, b, bias=[1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="bias: shape"):
        matmul(a, b, bias=empty((4,), device="cpu"))
    turned = array(np.ascontiguousarray(given[1].T), device="cpu").T  # as b, stored otherwise
    check(matmul(a, turned, bias=bias), *given)


def test_out_must_fit_and_lie_apart():
    square = array(np.ones((4, 4), np.float32))
    with pytest.raises(ShapeError, match=r"out: shape \(4, 5\) given, expected \(4, 4\)"):
        matmul(square, square, out=empty((4, 5)))
    with pytest.raises(DtypeError, match="out: dtype float64 given, expected float32"):
        matmul(square, square, out=empty((4, 4), np.float64))
    with pytest.raises(ShapeError, match="out: strides .* expected a contiguous array"):
        matmul(square, square, out=empty((4, 8))[:, ::2])
    memory = array(np.ones(40, np.float32))
    a, b = memory[:16].reshape(4, 4), memory[24:].reshape(4, 4)
    for name, at in (("a", 8), ("b", 16)):
        with pytest.raises(ArgumentError, match=f"out: overlaps the memory of {name}"):
            matmul(a, b, out=memory[at : at + 16].reshape(4, 4))
    np.testing.assert_array_equal(memory.numpy(), np.ones(40, np.float32))
    beside = array(np.ones(48, np.float32))
    a, b, c = (beside[i : i + 16].reshape(4, 4) for i in (0, 16, 32))
    np.testing.assert_array_equal(matmul(a, b, out=c).numpy(), np.full((4, 4), 4, np.float32))


def test_result_does_not_depend_on_the_tile():
    """Each sum runs over k in one order, so a machine with more processors gets the same bits."""
    a, b, bias = operands(70, 70, 70, False, True)
    results = []
    for items in ITEMS:
        width = items * TILE
        blocks = (70 + width - 1) // width
        c = empty((70, 70))
        kernel = make_matmul(float32, items, False, True, None)
        kernel[(blocks, blocks), (TILE, TILE)](array(a), array(b), array(bias), c)
        results.append(c.numpy())
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_choice_of_the_tile():
    assert choose_items(4096, 4096, GPU_TILES, 132) == max(GPU_TILES)
    assert choose_items(64, 128, GPU_TILES, 132) == min(GPU_TILES)
    # the first layer of the MLP on 2 cores: two large blocks; on 16 cores: eight small ones
    assert choose_items(64, 128, CPU_TILES, 2) == 4
    assert choose_items(64, 128, CPU_TILES, 16) == 2
    assert choose_items(64, 10, CPU_TILES, 2) == 2


@pytest.mark.parametrize("blocks", [1, 2, 65535, 65536, 65537, 10**6, 2**31])
def test_a_grid_holds_any_number_of_rows(blocks):
    y, z = fold(blocks)
    assert max(y, z) <= MAX_GRID_Y
    assert blocks <= y * z < blocks + z


def test_rows_beyond_the_limit_of_grid_dimension_y(monkeypatch):
    monkeypatch.setattr(launcher, "MAX_GRID_Y", 2)
    launcher._plan.cache_clear()
    a, b, bias = operands(333, 5, 7, False, False)
    check(matmul(array(a), array(b), bias=array(bias)), a, b, bias)
    launcher._plan.cache_clear()

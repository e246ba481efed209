"""The order in which a kernel computes the tiles of a product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlite.kernels.engine import CPU, array
from nnlite.kernels.engine.tuning import Tuning, override
from nnlite.kernels.matmul import matmul_halves, order


@settings(deadline=None)
@given(rows=st.integers(1, 70), columns=st.integers(1, 9), strip=st.sampled_from(order.STRIPS))
def test_every_tile_has_its_turn_and_neighbours_in_time_are_near(rows, columns, strip):
    place = order.place_of.py_func
    sizes = np.uint32(rows), np.uint32(columns), np.uint32(strip)
    found = [tuple(map(int, place(np.uint32(i), *sizes))) for i in range(rows * columns)]
    assert sorted(found) == [(r, c) for r in range(rows) for c in range(columns)]
    for band in range(0, rows, strip):
        part = found[band * columns : (band + strip) * columns]
        assert {r for r, _ in part} == set(range(band, min(band + strip, rows)))
        assert [c for _, c in part] == sorted(c for _, c in part)


def test_strips_that_differ():
    assert order._strips(CPU, (1, 64, 4096, "bf16 halves")) == ()
    assert order._strips(CPU, (8, 64, 4096, "bf16 halves")) == (4, 8)
    assert order._strips(CPU, (64, 64, 4096, "bf16 halves")) == order.STRIPS


@pytest.mark.usefixtures("tuning_folder")
def test_the_order_is_tuned_and_changes_no_number():
    rng = np.random.default_rng(2)
    a, b = (array(rng.standard_normal(s).astype(np.float16)) for s in ((9 * 128, 8), (136, 8)))
    plain = matmul_halves(a, b, kind="f16").numpy()
    with Tuning(timer=steady, rounds=1) as found:
        np.testing.assert_array_equal(matmul_halves(a, b, kind="f16").numpy(), plain)
    (outcome,) = (o for o in found.outcomes if o.choice == "matmul tile order")
    assert outcome.discarded == {}
    assert set(outcome.seconds) == {"4", "8", "16"}
    with override("matmul tile order", 4):
        np.testing.assert_array_equal(matmul_halves(a, b, kind="f16").numpy(), plain)


def steady(device):
    """A clock by which all candidates are equally fast."""

    def seconds(run):
        run()
        return 1.0

    return seconds

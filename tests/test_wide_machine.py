"""The PTX of the kernels for rows, run without a GPU: alignment, shuffles, results."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nnlite.kernels import all_specs, gpu_kernels
from nnlite.kernels.reduce.wide_rows import row_launch
from nnlite.testing.compare import assert_close
from nnlite.testing.machine import Fault, Machine
from nnlite.testing.pretend import tables

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools: Linux only")
OPS = {spec.name: spec for spec in all_specs()}
KERNELS = {k.kernel.__name__: k for k in gpu_kernels() if k.kernel.__name__.endswith("_wide")}


def machine(name: str) -> Machine:
    from nnlite.kernels.engine.resources import ptx

    found = KERNELS[name]
    return Machine(ptx(found.kernel, found.signature, "sm_80"))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("kind", ["", "_long"])
def test_softmax(name, kind):
    """Rows of odd lengths begin anywhere; the machine refuses 128-bit access off its alignment."""
    runs = machine(f"{name}{kind}_wide")
    for rows, c in ((3, 37), (9, 131), (2, 530)):
        (x,) = tables(c, rows, c, 1)
        y = np.zeros(rows * c, np.float32)
        runs.launch(*row_launch(rows, c), x.reshape(-1), y, 0, rows, c)
        spec = OPS[name]
        size = spec.magnitude(x.astype(float))
        expected = spec.reference(x.astype(float))
        assert_close(
            y.reshape(rows, c), expected, dtype=np.float32, terms=c, magnitude=size, what=name
        )


def test_a_wrong_head_is_a_fault():
    (x,) = tables(0, 2, 40, 1)
    y = np.zeros(80, np.float32)
    with pytest.raises(Fault, match="not aligned"):
        machine("softmax_wide").launch(*row_launch(2, 40), x.reshape(-1), y, 1, 2, 40)


def test_layer_norm():
    rows, c = 5, 67
    (x,) = tables(1, rows, c, 1)
    (weight,), (bias,) = tables(2, 1, c, 2)
    y, stats = np.zeros(rows * c, np.float32), np.zeros((3, rows), np.float32)
    numbers = np.float32(1e-5), y, stats, 0, 0, 1, 1, rows, c
    runs = machine("layer_norm_wide")
    runs.launch(*row_launch(rows, c), x.reshape(-1), weight, bias, *numbers)
    values, spec = [a.astype(float) for a in (x, weight, bias)], OPS["layer_norm"]
    expected, size = spec.reference(*values, eps=1e-5), spec.magnitude(*values, eps=1e-5)
    assert_close(y.reshape(rows, c), expected, dtype=np.float32, terms=c, magnitude=size)


def test_group_norm():
    """Channels of nine items, three to a group: runs of four items begin and end anywhere."""
    images, groups, length, c = 2, 2, 9, 27
    (x,) = tables(1, images * groups, c, 1)
    weight, bias = tables(2, 2, 6, 1)[0]
    y, stats = np.zeros(x.size, np.float32), np.zeros((3, len(x)), np.float32)
    numbers = np.float32(1e-5), y, stats, 0, 0, groups, length, len(x), c
    machine("group_norm_wide").launch(*row_launch(len(x), c), x.reshape(-1), weight, bias, *numbers)
    values = [a.astype(float) for a in (x.reshape(images, 6, length), weight, bias)]
    spec, options = OPS["group_norm"], {"groups": groups, "eps": 1e-5}
    expected, size = spec.reference(*values, **options), spec.magnitude(*values, **options)
    assert_close(y.reshape(expected.shape), expected, dtype=np.float32, terms=c, magnitude=size)


@pytest.mark.parametrize("c", [37, 530])
def test_argmax(c):
    x = np.random.default_rng(c).integers(-3, 4, (3, c)).astype(np.float32)
    x[0], x[1, c // 2 :: 5] = -np.inf, np.nan
    values, found = np.zeros(3, np.float32), np.zeros(3, np.int64)
    machine("argmax_rows_wide").launch(*row_launch(3, c), x.reshape(-1), values, found, 0, 3, c, c)
    np.testing.assert_array_equal(found, x.argmax(1))
    np.testing.assert_array_equal(values, x.max(1))

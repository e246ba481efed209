"""Every op of ``kernels.all_specs()``: forward, special values, gradient, wrong calls."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from nnlite.kernels import all_specs
from nnlite.kernels.engine import array
from nnlite.testing import check_forward, check_gradient, check_mutates, check_wrong
from nnlite.testing.check_op import compare_call
from nnlite.testing.strategies import Call, shape_of, special_values

SPECS = all_specs()
by_name = {"argvalues": SPECS, "ids": [spec.name for spec in SPECS]}
with_gradient = [spec for spec in SPECS if spec.vjp is not None]
by_gradient = {"argvalues": with_gradient, "ids": [spec.name for spec in with_gradient]}


@pytest.mark.parametrize("spec", **by_name)
def test_forward_agrees_with_the_reference(spec, device):
    check_forward(spec, device=device)


@pytest.mark.parametrize("spec", **by_gradient)
def test_gradient_agrees_with_central_differences(spec, device):
    check_gradient(spec, device=device)


@pytest.mark.parametrize("spec", **by_name)
def test_wrong_calls_raise_and_change_nothing(spec, device):
    check_wrong(spec, device=device)


@pytest.mark.parametrize(
    "spec", [s for s in SPECS if s.mutates], ids=[s.name for s in SPECS if s.mutates]
)
def test_updated_arrays_come_back(spec, device):
    check_mutates(spec, device=device)


def special_calls(spec, dtype):
    """Calls where each argument runs through the special values, against shifts of the others."""
    sizes = {name: 6 for arg in spec.args for name in arg.dims.split()}
    sizes = {k: (4, 9) if k == "..." else int(k) if k.isdigit() else n for k, n in sizes.items()}
    large = spec.tolerance.terms is None and spec.magnitude is None
    for shift in range(4):
        values = []
        for position, arg in enumerate(spec.args):
            shape = shape_of(arg, sizes)
            size = math.prod(shape)
            if arg.kind == "index":
                upper = int(arg.upper) if arg.upper.isdigit() else sizes[arg.upper]
                values.append((np.arange(size) % upper).reshape(shape))
                continue
            low = max(arg.low, 0.0) if arg.kind == "state" else arg.low
            choices = special_values(dtype, low, arg.high, large, arg.bounded)
            # One step more for each further argument: every pair of values meets in four shifts
            # often enough, NaN with infinity included.
            picks = itertools.islice(itertools.cycle(choices), shift * (position + 1), None)
            values.append(np.array(list(itertools.islice(picks, size)), dtype).reshape(shape))
        names = list(spec.options)
        for combination in itertools.product(*spec.options.values()):
            options = dict(zip(names, combination, strict=True))
            yield Call(tuple(values), ("contiguous",) * len(values), options, np.dtype(dtype))


@pytest.mark.parametrize(
    "spec", [s for s in SPECS if s.special], ids=[s.name for s in SPECS if s.special]
)
def test_special_values_go_through_like_the_reference(spec, device):
    for call in special_calls(spec, np.float32):
        compare_call(spec, call, device)


WRONG_BACKWARD = {
    "zeros": np.zeros_like,
    "ones": np.ones_like,
    "doubled": lambda g: 2 * g,
    "negated": lambda g: -g,
}


@pytest.mark.parametrize("spoil", WRONG_BACKWARD.values(), ids=WRONG_BACKWARD)
@pytest.mark.parametrize("spec", **by_gradient)
def test_gradient_check_catches_a_wrong_backward(spec, spoil):
    def wrong(dy, *arrays, **options):
        found = spec.vjp(dy, *arrays, **options)
        found = found if isinstance(found, tuple) else (found,)
        spoilt = [g if g is None else array(spoil(g.numpy()), device=g.device) for g in found]
        return tuple(spoilt)

    with pytest.raises(AssertionError, match="gradient of"):
        check_gradient(dataclasses.replace(spec, vjp=wrong))


def test_every_op_has_its_own_name():
    names = [spec.name for spec in SPECS]
    assert sorted(names) == sorted(set(names))

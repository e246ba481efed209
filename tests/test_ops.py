"""Every op of ``kernels.all_specs()``: forward, special values, gradient, wrong calls."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nnlite.kernels import all_specs
from nnlite.kernels.engine import array
from nnlite.testing import check_forward, check_gradient, check_mutates, check_wrong

SPECS = all_specs()
by_name = {"argvalues": SPECS, "ids": [spec.name for spec in SPECS]}
with_gradient = [spec for spec in SPECS if spec.vjp is not None]
FORWARD_CASES, GRADIENT_CASES, WRONG_CALLS = 200, 50, 5  # what every op is promised
by_gradient = {"argvalues": with_gradient, "ids": [spec.name for spec in with_gradient]}


@pytest.mark.parametrize("spec", **by_name)
def test_forward_agrees_with_the_reference(spec, device):
    assert check_forward(spec, device=device) >= FORWARD_CASES


@pytest.mark.parametrize("spec", **by_gradient)
def test_gradient_agrees_with_central_differences(spec, device):
    assert check_gradient(spec, device=device) >= GRADIENT_CASES


@pytest.mark.parametrize("spec", **by_name)
def test_wrong_calls_raise_and_change_nothing(spec, device):
    assert len(spec.wrong) >= WRONG_CALLS
    check_wrong(spec, device=device)


@pytest.mark.parametrize(
    "spec", [s for s in SPECS if s.mutates], ids=[s.name for s in SPECS if s.mutates]
)
def test_updated_arrays_come_back(spec, device):
    check_mutates(spec, device=device)


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

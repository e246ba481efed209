"""Initial values: their spread, seeds, errors."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite import nn
from nnlite.errors import ArgumentError, ShapeError

# Statistics of initialisation: with n numbers the bounds are five standard errors wide.
SHAPE = (300, 200)
N = SHAPE[0] * SHAPE[1]


@pytest.mark.parametrize(
    ("fill", "variance", "bound"),
    [
        (lambda t: nn.init.uniform_(t, -2.0, 2.0), 16 / 12, 2.0),
        (lambda t: nn.init.normal_(t, 0.0, 3.0), 9.0, None),
        (lambda t: nn.init.xavier_uniform_(t, 2.0), 4 * 2 / 500, 2 * math.sqrt(6 / 500)),
        (lambda t: nn.init.xavier_normal_(t), 2 / 500, None),
        (lambda t: nn.init.kaiming_uniform_(t), 2 / 200, math.sqrt(6 / 200)),
        (lambda t: nn.init.kaiming_uniform_(t, math.sqrt(5)), 1 / 600, math.sqrt(1 / 200)),
        (lambda t: nn.init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"), 2 / 300, None),
        (lambda t: nn.init.kaiming_normal_(t, nonlinearity="tanh"), (5 / 3) ** 2 / 200, None),
    ],
)
def test_initial_values_have_the_right_spread(fill: Any, variance: float, bound: Any) -> None:
    nl.manual_seed(5)
    t = nn.Parameter(np.zeros(SHAPE, np.float32))
    assert fill(t) is t
    found = t.numpy().astype(np.float64)
    assert abs(found.mean()) < 5 * math.sqrt(variance / N)
    assert found.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / N))
    if bound is not None:
        assert 0.99 * bound < np.abs(found).max() <= bound * (1 + 1e-6)


def test_initial_values_of_linear() -> None:
    nl.manual_seed(5)
    layer = nn.Linear(200, 300)
    limit = 1 / math.sqrt(200)
    for p in layer.parameters():
        assert np.abs(p.numpy()).max() <= limit * (1 + 1e-6)
        assert p.numpy().std() == pytest.approx(limit / math.sqrt(3), rel=0.1)
    nl.manual_seed(5)
    assert np.array_equal(nn.Linear(200, 300).weight.numpy(), layer.weight.numpy())


def test_initialisation_with_a_generator_of_its_own() -> None:
    t = nl.tensor(np.zeros(9, np.float32))
    first = nn.init.normal_(t, generator=np.random.default_rng(1)).numpy()
    assert np.array_equal(first, nn.init.normal_(t, generator=np.random.default_rng(1)).numpy())


def test_constants_and_gains() -> None:
    t = nl.tensor(np.empty((2, 3), np.float32))
    assert (nn.init.zeros_(t).numpy() == 0).all()
    assert (nn.init.ones_(t).numpy() == 1).all()
    assert (nn.init.constant_(t, 0.5).numpy() == 0.5).all()
    assert nn.init.calculate_gain("leaky_relu", 0.2) == pytest.approx(math.sqrt(2 / 1.04))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda t: nn.init.kaiming_uniform_(t), ShapeError, r"kaiming_uniform_: .*\(3,\)"),
        (lambda t: nn.init.xavier_normal_(t), ShapeError, "xavier_normal_"),
        (lambda t: nn.init.normal_(t, std=-1.0), ArgumentError, "std: -1.0"),
        (lambda t: nn.init.uniform_(t, 2.0, 1.0), ArgumentError, "uniform_: a, b: 2.0, 1.0"),
        (lambda t: nn.init.uniform_(t, 0.0, math.inf), ArgumentError, "inf given"),
        (lambda t: nn.init.calculate_gain("mish"), ArgumentError, "'mish'"),
        (
            lambda t: nn.init.kaiming_normal_(t.reshape(3, 1), mode="fan"),
            ArgumentError,
            re.escape("mode: 'fan'"),
        ),
    ],
)
def test_wrong_initialisation(call: Any, error: type[Exception], match: str) -> None:
    t = nl.tensor(np.ones(3, np.float32))
    with pytest.raises(error, match=match):
        call(t)
    assert (t.numpy() == 1).all()

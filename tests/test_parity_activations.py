"""Activation layers against PyTorch: outputs, gradients of the input and of the parameters.

Bound: both sides compute an item from a few correctly rounded operations and elementary functions
of at most 4 ulp each, so they differ by some ten roundings, 16 eps of the largest item. A gradient
of PReLU's slopes is a sum of n terms and gets ``4 sqrt(n) eps`` more.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError
from nnlite.testing.parity import check_parity

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

CASES = 30
EPS = float(np.finfo(np.float32).eps)
BOUND = 16 * EPS
SIZES = (1, 2, 3, 5, 7, 16, 31, 33)


def _uniform(low: float, high: float) -> Any:
    return lambda rng: float(np.float32(rng.uniform(low, high)))


LAYERS: dict[str, dict[str, Any]] = {
    "ELU": {"alpha": _uniform(0.2, 2.0)},
    "SELU": {},
    "CELU": {"alpha": _uniform(0.2, 2.0)},
    "Softplus": {"beta": _uniform(0.5, 3.0), "threshold": _uniform(1.0, 20.0)},
    "LogSigmoid": {},
    "Mish": {},
    "Softsign": {},
    "Tanhshrink": {},
    "Hardtanh": {"min_val": _uniform(-2.0, 0.0), "max_val": _uniform(0.5, 2.0)},
    "ReLU6": {},
    "Hardsigmoid": {},
    "Hardswish": {},
    "Softshrink": {"lambd": _uniform(0.0, 1.0)},
    "Hardshrink": {"lambd": _uniform(0.0, 1.0)},
    "Threshold": {"threshold": _uniform(-1.0, 1.0), "value": _uniform(-9.0, 9.0)},
    "GLU": {},
    "PReLU": {},
    "ReLU": {},
    "LeakyReLU": {"negative_slope": _uniform(0.0, 0.5)},
    "Sigmoid": {},
    "Tanh": {},
    "GELU": {"approximate": lambda rng: str(rng.choice(["none", "tanh"]))},
    "SiLU": {},
}


def shape_of(rng: np.random.Generator, case: int) -> tuple[int, ...]:
    """Ranks 0 to 4, with a size of 0 now and then."""
    sizes = tuple(int(rng.choice(SIZES)) for _ in range(case % 5))
    return (0, *sizes[1:]) if case == 6 else sizes


def options_of(
    rng: np.random.Generator, name: str, shape: tuple[int, ...]
) -> tuple[dict[str, Any], tuple[int, ...]]:
    options = {key: draw(rng) for key, draw in LAYERS[name].items() if rng.integers(4)}
    if name == "Threshold":
        options = {key: draw(rng) for key, draw in LAYERS[name].items()}
    if name == "GLU":
        shape = shape or (4,)
        axis = int(rng.integers(len(shape)))
        shape = (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])
        options = {"dim": axis - len(shape) * int(rng.integers(2))}
    if name == "PReLU" and len(shape) > 1 and rng.integers(3):
        options = {"num_parameters": shape[1]}
    return options, shape


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    for case in range(CASES):
        rng = np.random.default_rng([7, case])
        options, shape = options_of(rng, name, shape_of(rng, case))
        x = (2.0 * rng.normal(size=shape)).astype(np.float32)
        theirs = getattr(torch.nn, name)(**options)
        bound, floor = BOUND, 1.0
        if name == "PReLU":
            slopes = rng.uniform(-0.5, 0.5, theirs.weight.shape).astype(np.float32)
            with torch.no_grad():
                theirs.weight.copy_(torch.from_numpy(slopes))
            bound += 4 * math.sqrt(max(x.size, 1)) * EPS
        check_parity(
            getattr(nl.nn, name)(**options), theirs, x, bound=bound, floor=floor, seed=case
        )


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
def test_softmax_over_any_axis(name: str) -> None:
    """A row sums n terms, and exp magnifies the rounding of scores of at most 10 in size."""
    for case in range(CASES):
        rng = np.random.default_rng([8, case])
        shape = shape_of(rng, case) or (5,)
        dim = int(rng.integers(-len(shape), len(shape)))
        x = np.clip(3.0 * rng.normal(size=shape), -10, 10).astype(np.float32)
        bound = (20 + 4 * math.sqrt(shape[dim])) * EPS
        check_parity(
            getattr(nl.nn, name)(dim),
            getattr(torch.nn, name)(dim),
            x,
            bound=bound,
            floor=1.0,
            seed=case,
        )
    with pytest.raises(ArgumentError, match="dim: 2 given"):
        getattr(nl.nn, name)(2)(nl.tensor([[1.0]]))


def test_defaults_and_printed_options_are_those_of_pytorch() -> None:
    for name in LAYERS:
        options = {"threshold": 0.5, "value": 2.0} if name == "Threshold" else {}
        ours, theirs = getattr(nl.nn, name)(**options), getattr(torch.nn, name)(**options)
        for key in (*LAYERS[name], "dim", "num_parameters"):
            if hasattr(theirs, key):
                assert getattr(ours, key) == getattr(theirs, key), (name, key)
    assert repr(nl.nn.PReLU(3)) == repr(torch.nn.PReLU(3))
    assert repr(nl.nn.Softplus()) == repr(torch.nn.Softplus())
    assert nl.nn.PReLU(3).weight.numpy().tolist() == [0.25] * 3


def test_far_from_zero_the_limits_are_those_of_pytorch() -> None:
    x = np.array([-80.0, -50.0, -20.0, -1e-4, -0.0, 1e-4, 20.0, 50.0, 80.0], np.float32)
    for name in ("elu", "selu", "celu", "softplus", "logsigmoid", "mish", "softsign"):
        wide = getattr(torch.nn.functional, name)(torch.from_numpy(x.astype(np.float64))).numpy()
        found = getattr(nl.functional, name)(nl.tensor(x)).numpy()
        # exp(-80) and the like keep their relative precision
        np.testing.assert_allclose(found, wide, rtol=BOUND, atol=0.0, err_msg=name)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nl.nn.Hardtanh(1.0, -1.0),
        lambda: nl.nn.PReLU(0),
        lambda: nl.nn.PReLU(2.0),  # type: ignore[arg-type]
        lambda: nl.nn.CELU(0.0)(nl.tensor([1.0])),
        lambda: nl.nn.Softplus(beta=0.0)(nl.tensor([1.0])),
        lambda: nl.nn.Softshrink(-1.0)(nl.tensor([1.0])),
        lambda: nl.nn.GLU(1)(nl.tensor([1.0, 2.0])),
    ],
)
def test_wrong_options(make: Any) -> None:
    with pytest.raises(ArgumentError, match="given, expected"):
        make()


def test_inplace_is_refused() -> None:
    with pytest.raises(TypeError, match="inplace"):
        nl.nn.ELU(inplace=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="ndarray given, expected a Tensor"):
        nl.functional.mish(np.ones(3))  # type: ignore[arg-type]
